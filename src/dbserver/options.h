/* dbserver/options.h: the command line of byre-dbd, which is ovsdb-server's. */
#ifndef DBSERVER_OPTIONS_H
#define DBSERVER_OPTIONS_H 1

#include "base/str.h"

enum options_mode { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_VERSION };

struct options {
    enum options_mode mode;
    char *name; /* What it was called by: names its own files, as for ovsdb-server. */
    struct strvec databases; /* Files, and "relay:DB:REMOTE,...". */
    struct strvec remotes;
    struct strvec verbosity; /* -v specs, in order. */
    char *unixctl;  /* NULL: "<name>.<pid>.ctl" in the run directory; "none": no socket. */
    char *pidfile;  /* NULL: none.  Absolute. */
    char *log_file; /* NULL: none. */
    char *syslog_method, *syslog_target; /* base/log_syslog.h; NULL: not given. */
    char *run;                           /* --run's command, or NULL. */
    char *user;                          /* "USER[:GROUP]" to become; NULL: stay. */
    char *config_file; /* Instead of databases and remotes; NULL: none.  Absolute. */
    /* TLS: each a file, or what its name says; or "db:DB,TABLE,COLUMN".  NULL: not given. */
    char *private_key, *certificate, *ca_cert, *peer_ca_cert;
    char *ssl_protocols, *ssl_ciphers, *ssl_ciphersuites;
    bool bootstrap_ca;              /* 'ca_cert' may be learnt. */
    char *sync_from, *sync_exclude; /* Whose backup we are, and which tables not. */
    bool active;                    /* But not before ovs-appctl says so. */
    bool no_dbs;                    /* None is the default one. */
    bool monitor;                   /* --monitor: start again after a crash. */
    bool overwrite_pidfile;         /* Even if somebody has locked it. */
    bool detach, chdir, no_durable, relay_leader_only;
};

/* Takes both "--name=value" and "--name value".  ERR_SYNTAX. */
struct err *options_parse(int argc, char **argv, struct options *ret) MUST_CHECK;
void options_done(struct options *); /* For CLEANUP(). */
extern const char options_usage[];

#endif /* dbserver/options.h */
