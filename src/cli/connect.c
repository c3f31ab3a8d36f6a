/* cli/connect.c: reaches the database, and says clearly why not.
 *
 * The replica connects again by itself for as long as it lives, which is right while
 * waiting for an effect and wrong at the start: a person wants to know at once that
 * nobody is there.  So the first failed attempt ends it, unless the socket is there and
 * refuses: then a killed server is just being restarted, and that is worth a moment. */
#include <errno.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cli/cli_i.h"
#include "loop/loop.h"

#define TURN_MS 50

static void
on_lost(void *cli_, const struct err *why)
{
    struct cli *cli = cli_;
    err_free(cli->lost);
    int errnum = why && err_errno(why) ? err_errno(why) : ECONNRESET;
    cli->lost = err_new(ERR_IO, "%s", why ? err_text(why) : "the connection was closed");
    cli->lost_errnum = errnum;
    cli->n_lost++;
    cli->may_come_back |= errnum == ECONNREFUSED || errnum == ECONNRESET ||
                          errnum == EPIPE || errnum == EAGAIN;
}

static void
on_changed(void *cli_, const struct replica_change *change)
{
    struct cli *cli = cli_;
    if (cli->on_changed) {
        cli->on_changed(cli->on_aux, change);
    }
}

static void
on_batch(void *cli_)
{
    struct cli *cli = cli_;
    if (cli->on_batch) {
        cli->on_batch(cli->on_aux);
    }
}

static struct err *
unreachable(struct cli *cli, int errnum, const char *why)
{
    struct err *e = err_wrap(err_new(ERR_IO, "%s", why), "the database %s does not answer",
                             cli->remote);
    if (errnum == EACCES || errnum == EPERM) {
        return fail_as(err_hint(e, "run byre as the user who runs byred, or as root"),
                       EXIT_DENIED);
    }
    e = err_hint(e, "start byred (byred --state DIR), or say where it is: "
                    "--db unix:DIR/run/db.sock");
    return fail_as(e, EXIT_UNREACHABLE);
}

bool
cli_is_lost(const struct err *e)
{
    return e && fail_exit_code(e) == EXIT_UNREACHABLE;
}

static int
count_remotes(const char *remotes)
{
    int n = 1;
    for (const char *p = remotes; *p; p++) {
        n += *p == ',';
    }
    return n;
}

struct err *
cli_connect(struct cli *cli)
{
    if (!cli->loop) {
        TRY(loop_new(&cli->loop));
    }
    if (!cli->replica) {
        struct replica_options options = { .remote = cli->remote, .probe_ms = -1 };
        static const struct replica_events events = {
            .disconnected = on_lost,
            .changed = on_changed,
            .batch_end = on_batch,
        };
        struct err *e = replica_new(cli->loop, &options, &events, cli, &cli->replica);
        if (e) {
            return err_hint(e, "--db unix:PATH or --db tcp:HOST:PORT");
        }
    }

    bool was_there = cli->schema != NULL;
    int64_t give_up_ms = clock_mono_ms() + cli->patience_ms;
    while (!replica_is_connected(cli->replica) || !replica_schema(cli->replica)) {
        bool hopeless =
            !was_there && cli->n_lost >= count_remotes(cli->remote) && !cli->may_come_back;
        if (hopeless || clock_mono_ms() > give_up_ms) {
            return unreachable(cli, cli->lost ? cli->lost_errnum : 0,
                               cli->lost ? err_why(cli->lost) : "it is silent");
        }
        loop_turn(cli->loop, TURN_MS);
    }
    err_free(TAKE(cli->lost));
    cli->n_lost = 0;
    if (!cli->schema) { /* Columns of it are borrowed everywhere: it stays, whatever happens. */
        cli->schema =
            schema_ref((struct schema *) (uintptr_t) replica_schema(cli->replica));
    }
    return NULL;
}

struct err *
cli_call(struct cli *cli, const char *method, const struct json *params, struct json *ret)
{
    TRY(cli_connect(cli));
    struct err *e =
        replica_call_blocking(cli->replica, method, params, CALL_MS, &cli->arena, ret);
    if (err_is(e, ERR_TIMEOUT) || err_is(e, ERR_BUSY) || (e && cli->n_lost)) {
        e = err_wrap(e, "the database %s", cli->remote);
        e = err_hint(e, "look at byre-dbd's log; then give the command again");
        return fail_as(e, EXIT_UNREACHABLE);
    }
    return e;
}

struct err *
cli_agent_socket(struct cli *cli, char **ret_path)
{
    if (!str_starts(cli->remote, "unix:")) {
        struct err *e = err_new(ERR_UNSUPPORTED, "%s is on another host", cli->remote);
        return err_hint(e, "this command talks to the host's agent: run it there");
    }
    CLEANUP(free_drop) char *path = str_dup(cli->remote + strlen("unix:"));
    path[strcspn(path, ",")] = '\0';
    CLEANUP(free_drop) char *dir = path_dir(path);
    *ret_path = path_join(dir, "agent.sock");
    return NULL;
}
