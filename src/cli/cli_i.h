/* cli/cli_i.h: what one run of `byre` knows: its options, its connection, the live
 * schema, and the transaction that the commands of the line add to. */
#ifndef CLI_CLI_I_H
#define CLI_CLI_I_H 1

#include "base/arena.h"
#include "base/base.h"
#include "base/uuid.h"
#include "cli/change_i.h"
#include "cli/cli.h"
#include "cli/command_i.h"
#include "cli/fail_i.h"
#include "cli/out_i.h"
#include "data/schema.h"
#include "replica/replica.h"

#define CALL_MS 30000 /* A database that takes longer for a reply does not answer. */
#define PATIENCE_MS                                                                        \
    5000 /* For one that is there but refuses: it is just being restarted. */
#define TIMEOUT_MS_DEFAULT 60000

struct cli {
    struct arena arena; /* Everything of this run that is not freed earlier. */
    const char *remote;
    int64_t timeout_ms; /* For effects; 0: for ever. */
    bool timeout_said;  /* Else a job at work is waited for as long as it takes. */
    enum out_format format;
    bool no_wait, dry_run, quiet, exact, raw;
    bool looked_up; /* The agent was asked for a volume without a row. */
    bool joined;    /* More than one command in this line. */
    bool tty_in, tty_out, tty_err;
    int columns_out;     /* Width of the terminal on stderr. */
    int64_t patience_ms; /* For a database that refuses at the moment. */

    struct loop *loop; /* NULL until cli_connect(). */
    struct replica
        *replica;          /* Likewise; it also connects again when the server restarts. */
    struct schema *schema; /* Likewise. */
    struct err *lost;      /* Why the connection is not there; NULL: it is. */
    int lost_errnum;       /* Of 'lost'. */
    bool may_come_back;    /* It refused once: there is, or was a moment ago, a server. */
    int n_lost;            /* Attempts that failed since the last success. */
    /* Who wants to hear of changed rows of what is watched; NULL: nobody. */
    void (*on_changed)(void *aux, const struct replica_change *);
    void (*on_batch)(void *aux);
    void *on_aux;

    const char *as; /* What the log of the database calls this command; NULL: itself. */
    struct change change;
};

void cli_init(struct cli *);
void cli_done(struct cli *);
/* Parses and runs one command line, with its transaction and its waiting. */
struct err *cli_run_words(struct cli *, char **words, size_t n_words) MUST_CHECK;

/* Connects and reads the schema; connected already is fine.  Failures have
 * EXIT_UNREACHABLE. */
struct err *cli_connect(struct cli *) MUST_CHECK;
bool cli_is_lost(const struct err *); /* A failure of the connection, not of a request. */
/* One request with a reply in time. */
struct err *cli_call(struct cli *, const char *method, const struct json *params,
                     struct json *ret) MUST_CHECK;
/* How this run prints. */
struct out_style cli_style(const struct cli *, const struct args *);
/* DIR/run/agent.sock beside the database's socket.  ERR_UNSUPPORTED for a remote
 * database. */
struct err *cli_agent_socket(struct cli *, char **ret_path) MUST_CHECK;
/* One line on stdout for people: "vm demo: running".  Nothing with -q. */
void cli_say(const struct cli *, const char *fmt, ...) PRINTF(2, 3);

#endif /* cli/cli_i.h */
