/* dbserver/options.c: see options.h.  Options of ovsdb-server that change nothing here are accepted, so
 * that scripts work. */
#include "dbserver/options.h"

#include <getopt.h>

#include "base/fs.h"
#include "dbserver/server.h"

const char options_usage[] =
    "usage: byre-dbd [OPTION]... DATABASE...\n"
    "Serves databases over RFC 7047: OVSDB files, and relay:NAME:REMOTE[,REMOTE...], which follows\n"
    "the database NAME of another server.  Without any, and without --no-dbs: DBDIR/conf.db.\n"
    "  --remote=REMOTE      listen on punix:PATH, ptcp:[PORT][:HOST] or pssl:[PORT][:HOST], or\n"
    "                       call unix:PATH, tcp:HOST[:PORT] or ssl:HOST[:PORT], or do what\n"
    "                       db:DB,TABLE,COLUMN says; may be repeated\n"
    "  -p, --private-key=FILE, -c, --certificate=FILE, -C, --ca-cert=FILE\n"
    "                       for ssl; instead of FILE also db:DB,TABLE,COLUMN\n"
    "  --bootstrap-ca-cert=FILE  as --ca-cert, but learn it from the first server if there is none\n"
    "  --peer-ca-cert=FILE  a CA certificate to send along with ours\n"
    "  --ssl-protocols=LIST, --ssl-ciphers=LIST, --ssl-ciphersuites=LIST\n"
    "  --no-dbs             serve no database but those added later\n"
    "  --config-file=FILE   databases and remotes from a JSON file, in place of the above\n"
    "  --unixctl=PATH       control socket for ovs-appctl (default RUNDIR/byre-dbd.PID.ctl)\n"
    "  --pidfile[=FILE]     write and lock a pid file (default RUNDIR/byre-dbd.pid)\n"
    "  --overwrite-pidfile  take the pid file's place even if a running process has locked it\n"
    "  --log-file[=FILE]    log there (default LOGDIR/byre-dbd.log)\n"
    "  -v, --verbose[=SPEC] log more; SPEC as in ovs-appctl(8), for example console:dbg\n"
    "  --syslog-method=METHOD  how to reach syslog with what -v sends there (-vsyslog:err): libc,\n"
    "                       null, unix:FILE, udp:IP:PORT (default $OVS_SYSLOG_METHOD or libc)\n"
    "  --syslog-target=IP:PORT  send it there as well, by UDP\n"
    "  --detach             go to the background once everything is open\n"
    "  --monitor            a second process watches, and starts again after a crash\n"
    "  --no-chdir           stay in this directory when detaching\n"
    "  --user=USER[:GROUP]  become that user before any file but the pid file is opened\n"
    "  --run=COMMAND        run a shell command once listening and end with it\n"
    "  --no-durable         answer before transactions are on the disk: quick, and a power cut\n"
    "                       may take back what was answered\n"
    "  --sync-from=REMOTE   be a backup of that server: read-only, and equal to it\n"
    "  --sync-exclude-tables=DB:TABLE,...  but for these tables\n"
    "  --active             not before ovs-appctl ovsdb-server/connect-active-ovsdb-server\n"
    "  --relay-leader-only  relays follow nobody but the leader of a cluster\n"
    "Accepted, as they change nothing here: --disable-file-column-diff (files never hold what old\n"
    "tools cannot read), --disable-file-no-data-conversion, --no-self-confinement,\n"
    "--ssl-server-name=NAME\n"
    "  -h, --help, -V, --version\n";

enum {
    OPT_FIRST = 256,
    OPT_REMOTE,
    OPT_UNIXCTL,
    OPT_PIDFILE,
    OPT_LOG_FILE,
    OPT_DETACH,
    OPT_NO_CHDIR,
    OPT_RUN,
    OPT_NO_DURABLE,
    OPT_CONFIG_FILE,
    OPT_USER,
    OPT_MONITOR,
    OPT_OVERWRITE_PIDFILE,
    OPT_SYSLOG_METHOD,
    OPT_SYSLOG_TARGET,
    OPT_RECORD,
    OPT_NO_DBS,
    OPT_SYNC_FROM,
    OPT_SYNC_EXCLUDE,
    OPT_ACTIVE,
    OPT_RELAY_LEADER_ONLY,
    OPT_BOOTSTRAP_CA,
    OPT_PEER_CA,
    OPT_PROTOCOLS,
    OPT_CIPHERS,
    OPT_CIPHERSUITES,
    OPT_IGNORED
};

static const struct option long_options[] = {
    { "remote", required_argument, NULL, OPT_REMOTE },
    { "unixctl", required_argument, NULL, OPT_UNIXCTL },
    { "pidfile", optional_argument, NULL, OPT_PIDFILE },
    { "log-file", optional_argument, NULL, OPT_LOG_FILE },
    { "verbose", optional_argument, NULL, 'v' },
    { "detach", no_argument, NULL, OPT_DETACH },
    { "no-chdir", no_argument, NULL, OPT_NO_CHDIR },
    { "run", required_argument, NULL, OPT_RUN },
    { "user", required_argument, NULL, OPT_USER },
    { "config-file", required_argument, NULL, OPT_CONFIG_FILE },
    { "no-durable", no_argument, NULL, OPT_NO_DURABLE },
    { "sync-from", required_argument, NULL, OPT_SYNC_FROM },
    { "sync-exclude-tables", required_argument, NULL, OPT_SYNC_EXCLUDE },
    { "active", no_argument, NULL, OPT_ACTIVE },
    { "relay-leader-only", no_argument, NULL, OPT_RELAY_LEADER_ONLY },
    { "help", no_argument, NULL, 'h' },
    { "version", no_argument, NULL, 'V' },
    { "monitor", no_argument, NULL, OPT_MONITOR },
    { "record", optional_argument, NULL, OPT_RECORD },
    { "replay", optional_argument, NULL, OPT_RECORD },
    { "overwrite-pidfile", no_argument, NULL, OPT_OVERWRITE_PIDFILE },
    { "no-dbs", no_argument, NULL, OPT_NO_DBS },
    { "syslog-target", required_argument, NULL, OPT_SYSLOG_TARGET },
    { "syslog-method", required_argument, NULL, OPT_SYSLOG_METHOD },
    { "no-self-confinement", no_argument, NULL, OPT_IGNORED },
    { "disable-file-column-diff", no_argument, NULL, OPT_IGNORED },
    { "disable-file-no-data-conversion", no_argument, NULL, OPT_IGNORED },
    { "ssl-server-name", required_argument, NULL, OPT_IGNORED },
    { "private-key", required_argument, NULL, 'p' },
    { "certificate", required_argument, NULL, 'c' },
    { "ca-cert", required_argument, NULL, 'C' },
    { "bootstrap-ca-cert", required_argument, NULL, OPT_BOOTSTRAP_CA },
    { "peer-ca-cert", required_argument, NULL, OPT_PEER_CA },
    { "ssl-protocols", required_argument, NULL, OPT_PROTOCOLS },
    { "ssl-ciphers", required_argument, NULL, OPT_CIPHERS },
    { "ssl-ciphersuites", required_argument, NULL, OPT_CIPHERSUITES },
    { NULL, 0, NULL, 0 },
};

static void
set(char **where, char *value)
{
    free(*where);
    *where = value;
}

/* A file in the run or log directory unless 'arg' says where; by default PROGRAM.SUFFIX. */
static char *
in_dir(const char *dir, const char *arg, const char *program, const char *suffix)
{
    CLEANUP(free_drop) char *name = arg ? str_dup(arg) : str_dupf("%s.%s", program, suffix);
    CLEANUP(free_drop)
    char *path = strchr(name, '/') ? str_dup(name) : path_join(dir, name);
    return path_absolute(path); /* --detach changes the directory. */
}

/* A file, absolute because --detach changes the directory; or a word that is none. */
static char *
secret_path(const char *arg)
{
    return str_starts(arg, "db:") || str_eq(arg, "none") ? str_dup(arg)
                                                         : path_absolute(arg);
}

static const char *
log_dir(void)
{
    const char *dir = getenv("BYRE_LOGDIR");

    if (!dir || !*dir) {
        dir = getenv("OVS_LOGDIR");
    }
    return dir && *dir ? dir : "/var/log/byre";
}

static const char *
db_dir(void)
{
    const char *dir = getenv("BYRE_DBDIR");

    if (!dir || !*dir) {
        dir = getenv("OVS_DBDIR");
    }
    return dir && *dir ? dir : "/var/lib/byre/db";
}

static struct err *
apply(struct options *o, int c, const char *arg)
{
    switch (c) {
    case OPT_REMOTE: strvec_add(&o->remotes, arg); return NULL;
    case OPT_UNIXCTL: set(&o->unixctl, str_dup(arg)); return NULL;
    case OPT_PIDFILE:
        set(&o->pidfile, in_dir(dbserver_rundir(), arg, o->name, "pid"));
        return NULL;
    case OPT_LOG_FILE:
        set(&o->log_file, in_dir(log_dir(), arg, o->name, "log"));
        return NULL;
    case OPT_DETACH: o->detach = true; return NULL;
    case OPT_NO_CHDIR: o->chdir = false; return NULL;
    case OPT_RUN: set(&o->run, str_dup(arg)); return NULL;
    case OPT_USER: set(&o->user, str_dup(arg)); return NULL;
    case OPT_CONFIG_FILE: set(&o->config_file, path_absolute(arg)); return NULL;
    case OPT_MONITOR: o->monitor = true; return NULL;
    case OPT_SYSLOG_METHOD: set(&o->syslog_method, str_dup(arg)); return NULL;
    case OPT_SYSLOG_TARGET: set(&o->syslog_target, str_dup(arg)); return NULL;
    case OPT_OVERWRITE_PIDFILE: o->overwrite_pidfile = true; return NULL;
    case OPT_NO_DBS: o->no_dbs = true; return NULL;
    case OPT_RECORD:
        return err_hint(
            err_new(ERR_UNSUPPORTED, "--record and --replay are not supported"),
            "they test Open vSwitch itself; byre-dbd's journal tells what happened: "
            "byre-dbtool show-log");
    case OPT_SYNC_FROM: set(&o->sync_from, str_dup(arg)); return NULL;
    case OPT_SYNC_EXCLUDE: set(&o->sync_exclude, str_dup(arg)); return NULL;
    case OPT_ACTIVE: o->active = true; return NULL;
    case OPT_RELAY_LEADER_ONLY: o->relay_leader_only = true; return NULL;
    case OPT_NO_DURABLE: o->no_durable = true; return NULL;
    case 'p': set(&o->private_key, secret_path(arg)); return NULL;
    case 'c': set(&o->certificate, secret_path(arg)); return NULL;
    case 'C':
    case OPT_BOOTSTRAP_CA:
        set(&o->ca_cert, secret_path(arg));
        o->bootstrap_ca = c == OPT_BOOTSTRAP_CA;
        return NULL;
    case OPT_PEER_CA: set(&o->peer_ca_cert, secret_path(arg)); return NULL;
    case OPT_PROTOCOLS: set(&o->ssl_protocols, str_dup(arg)); return NULL;
    case OPT_CIPHERS: set(&o->ssl_ciphers, str_dup(arg)); return NULL;
    case OPT_CIPHERSUITES: set(&o->ssl_ciphersuites, str_dup(arg)); return NULL;
    case 'v': strvec_add(&o->verbosity, arg ? arg : "dbg"); return NULL;
    case 'h': o->mode = OPTIONS_HELP; return NULL;
    case 'V': o->mode = OPTIONS_VERSION; return NULL;
    case OPT_IGNORED: return NULL;
    default:
        return err_hint(
            err_new(ERR_SYNTAX, "an option that is not known or lacks its value"),
            "see: byre-dbd --help");
    }
}

struct err *
options_parse(int argc, char **argv, struct options *ret)
{
    struct options o = { .name = str_dup(path_base(argv[0])), .chdir = true };
    struct err *e = NULL;
    int c;

    while (!e && (c = getopt_long(argc, argv, "p:c:C:v::hV", long_options, NULL)) != -1) {
        e = apply(&o, c, optarg);
    }
    for (int i = optind; i < argc && !e; i++) {
        bool relay = str_starts(argv[i], "relay:");
        CLEANUP(free_drop)
        char *database = relay ? str_dup(argv[i]) : path_absolute(argv[i]);
        if (!strvec_has(&o.databases, database)) { /* As there: twice is once. */
            strvec_take(&o.databases, TAKE(database));
        }
    }
    if (!e && o.config_file && (o.databases.n || o.remotes.n || o.sync_from || o.active)) {
        e = err_hint(err_new(ERR_SYNTAX,
                             "--config-file excludes databases, --remote and --sync-from"),
                     "name them in the file");
    }
    if (!e && !o.databases.n && !o.config_file && !o.no_dbs && o.mode == OPTIONS_RUN) {
        strvec_take(&o.databases, path_join(db_dir(), "conf.db"));
    }
    if (e) {
        options_done(&o);
        return e;
    }
    *ret = o;
    return NULL;
}

void
options_done(struct options *o)
{
    strvec_done(&o->databases);
    strvec_done(&o->remotes);
    strvec_done(&o->verbosity);
    free(o->name);
    free(o->unixctl);
    free(o->pidfile);
    free(o->log_file);
    free(o->syslog_method);
    free(o->syslog_target);
    free(o->run);
    free(o->user);
    free(o->config_file);
    free(o->sync_from);
    free(o->sync_exclude);
    free(o->private_key);
    free(o->certificate);
    free(o->ca_cert);
    free(o->peer_ca_cert);
    free(o->ssl_protocols);
    free(o->ssl_ciphers);
    free(o->ssl_ciphersuites);
}
