/* dbserver/test_options.c: command lines as ovs-ctl, byred and people write them. */
#include <getopt.h>
#include <unistd.h>

#include "base/fs.h"
#include "dbserver/options.h"
#include "test.h"

/* All of it on one line, for comparing. */
static char *
options_text(const struct options *o)
{
    CLEANUP(free_drop) char *dbs = strvec_join(&o->databases, ",");
    CLEANUP(free_drop) char *remotes = strvec_join(&o->remotes, ",");
    CLEANUP(free_drop) char *verbosity = strvec_join(&o->verbosity, ",");
    CLEANUP(free_drop) char *here = path_absolute("");
    const struct {
        const char *name, *value;
    } more[] = { { "key", o->private_key },
                 { "cert", o->certificate },
                 { "ca", o->ca_cert },
                 { "peer-ca", o->peer_ca_cert },
                 { "tls", o->ssl_protocols },
                 { "ciphers", o->ssl_ciphers },
                 { "suites", o->ssl_ciphersuites },
                 { "config", o->config_file },
                 { "from", o->sync_from },
                 { "exclude", o->sync_exclude },
                 { "syslog", o->syslog_method },
                 { "target", o->syslog_target },
                 { "monitor", o->monitor ? "yes" : NULL },
                 { "active", o->active ? "yes" : NULL },
                 { "leader", o->relay_leader_only ? "yes" : NULL } };
    struct buf text = BUF_INIT;
    buf_printf(&text, "mode=%d dbs=%s remotes=%s v=%s ctl=%s pid=%s log=%s run=%s%s%s%s",
               o->mode, dbs, remotes, verbosity, o->unixctl ? o->unixctl : "-",
               o->pidfile ? o->pidfile : "-", o->log_file ? o->log_file : "-",
               o->run ? o->run : "-", o->detach ? " detach" : "",
               o->chdir ? "" : " no-chdir", o->no_durable ? " no-durable" : "");
    for (size_t i = 0; i < N_ELEMS(more); i++) {
        bool inside = more[i].value && str_starts(more[i].value, here);
        if (more[i].value) {
            buf_printf(&text, " %s=%s%s", more[i].name, inside ? "CWD/" : "",
                       inside ? path_base(more[i].value) : more[i].value);
        }
        if (o->bootstrap_ca && str_eq(more[i].name, "ca")) {
            buf_str(&text, " bootstrap");
        }
    }
    return buf_take(&text);
}

static const struct {
    const char *why;
    const char *args;
    const char *want; /* NULL: refused. */
} cases[] = {
    /* clang-format off */
    { "nothing", "", "mode=0 dbs=/db/conf.db remotes= v= ctl=- pid=- log=- run=-" },
    { "byred's",
      "--remote=punix:/s/db.sock --remote=ptcp:1 --unixctl=/s/c.ctl --pidfile=/s/p --log-file=/s/l /s/a.db",
      "mode=0 dbs=/s/a.db remotes=punix:/s/db.sock,ptcp:1 v= ctl=/s/c.ctl pid=/s/p log=/s/l run=-" },
    { "ovs-ctl's",
      "/d/conf.db -vconsole:emer -vsyslog:err -vfile:info --remote=punix:/r/db.sock "
      "--private-key=db:O,SSL,private_key --no-chdir --log-file=/l/x --pidfile --detach --monitor",
      "mode=0 dbs=/d/conf.db remotes=punix:/r/db.sock v=console:emer,syslog:err,file:info ctl=- "
      "pid=/run/test/byre-dbd.pid log=/l/x run=- detach no-chdir key=db:O,SSL,private_key monitor=yes" },
    { "names without a directory", "--pidfile=p --log-file=l",
      "mode=0 dbs=/db/conf.db remotes= v= ctl=- pid=/run/test/p log=/log/test/l run=-" },
    { "separate values", "--remote ptcp:0 --run true --no-durable -v --verbose",
      "mode=0 dbs=/db/conf.db remotes=ptcp:0 v=dbg,dbg ctl=- pid=- log=- run=true no-durable" },
    { "keys", "-p k -c /c --bootstrap-ca-cert=db:D,T,ca --ssl-protocols=TLSv1.3 --remote=pssl:",
      "mode=0 dbs=/db/conf.db remotes=pssl: v= ctl=- pid=- log=- run=- key=CWD/k cert=/c ca=db:D,T,ca bootstrap tls=TLSv1.3" },
    { "anybody's certificate", "-C none", "mode=0 dbs=/db/conf.db remotes= v= ctl=- pid=- log=- run=- ca=none" },
    { "syslog", "--syslog-method=udp:1.2.3.4:514 --syslog-target=::1:514",
      "mode=0 dbs=/db/conf.db remotes= v= ctl=- pid=- log=- run=- syslog=udp:1.2.3.4:514 target=::1:514" },
    { "a configuration file", "--config-file=/c.json", "mode=0 dbs= remotes= v= ctl=- pid=- log=- run=- config=/c.json" },
    { "a configuration file is all", "--config-file=/c.json /x.db", NULL },
    { "no database", "--no-dbs", "mode=0 dbs= remotes= v= ctl=- pid=- log=- run=-" },
    { "a relay", "--relay-leader-only relay:T:tcp:a:1,unix:b",
      "mode=0 dbs=relay:T:tcp:a:1,unix:b remotes= v= ctl=- pid=- log=- run=- leader=yes" },
    { "a backup", "--sync-from=tcp:a:1 --sync-exclude-tables=T:A --active /x.db",
      "mode=0 dbs=/x.db remotes= v= ctl=- pid=- log=- run=- from=tcp:a:1 exclude=T:A active=yes" },
    { "a configuration file tells whose backup", "--config-file=/c.json --sync-from=tcp:a:1", NULL },
    { "help", "-h", "mode=1 dbs= remotes= v= ctl=- pid=- log=- run=-" },
    { "version", "--version", "mode=2 dbs= remotes= v= ctl=- pid=- log=- run=-" },
    { "unknown", "--bogus", NULL },
    { "no value", "--remote", NULL },
    /* clang-format on */
};

TEST(command_lines)
{
    setenv("BYRE_RUNDIR", "/run/test", 1);
    setenv("BYRE_LOGDIR", "/log/test", 1);
    setenv("BYRE_DBDIR", "/db", 1);
    opterr = 0;
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct strvec words = STRVEC_INIT;
        strvec_add(&words, "byre-dbd");
        strvec_split(&words, cases[i].args, " ");
        optind = 0; /* Starts getopt afresh. */
        struct options o = { 0 };
        struct err *e = options_parse((int) words.n, words.v, &o);
        if (!cases[i].want) {
            CHECK_ERR(cases[i].why, e, ERR_SYNTAX);
        } else {
            CHECK_OK(cases[i].why, e);
            CLEANUP(free_drop) char *text = options_text(&o);
            CHECK_STR(cases[i].why, text, cases[i].want);
            options_done(&o);
        }
        strvec_done(&words);
    }
}

TEST(relative_databases_are_made_absolute)
{
    char *argv[] = { (char *) "byre-dbd", (char *) "x.db", NULL };
    struct options o;
    optind = 0;
    CHECK_OK("parse", options_parse(2, argv, &o));
    CLEANUP(free_drop) char *want = path_absolute("x.db");
    CHECK_STR("path", o.databases.v[0], want);
    options_done(&o);
}
