/* cli/wait.c: waits until what a change wants is so, watching only the rows concerned.
 *
 * An agent answers to a generation: it sets observed_generation, and error if it could
 * not do it, in one transaction.  On a terminal one line shows what is still awaited; it
 * is gone when all is done; elsewhere a plain line comes now and then for what takes long.  A
 * server that restarts meanwhile costs nothing: the replica connects again.
 * Ctrl-C, where jobs are awaited, cancels them and waits for what becomes of that; a second one
 * leaves them to themselves. */
#include <signal.h>

#include "base/clock.h"
#include "cli/job_i.h"
#include "cli/query_i.h"
#include "loop/loop.h"

#define SPIN_MS 200
#define PLAIN_MS 10000

struct wait {
    struct cli *cli;
    int64_t start_ms, plain_ms; /* 'plain_ms': of the last plain line. */
    bool line;                  /* The live line is on the screen. */
    int n_heard;                /* Interrupts that were acted upon. */
};

static volatile sig_atomic_t n_interrupts;

static void
on_interrupt(int signo UNUSED)
{
    n_interrupts++;
}

static const char *
text_of(const struct replica_row *row, const char *column)
{
    const struct datum *d = replica_value(row, column);
    return d && d->n ? datum_string(d) : NULL;
}

static int64_t
int_of(const struct replica_row *row, const char *column)
{
    const struct datum *d = replica_value(row, column);
    return d ? datum_int(d) : 0;
}

static int64_t
opt_int_of(const struct replica_row *row, const char *column)
{
    const struct datum *d = replica_value(row, column);
    return d && d->n ? datum_int(d) : 0;
}

/* "set; with the next start: machine, vcpu" */
static const char *
with_next_start(struct wait *w, const struct goal *g, const struct replica_row *row)
{
    const struct datum *d = row ? replica_value(row, "needreboot_columns") : NULL;
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    for (uint32_t i = 0; d && i < d->n; i++) {
        buf_str(&b, i ? ", " : "; with the next start: ");
        buf_str(&b, datum_keys(d)[i].string->s);
    }
    return arena_printf(&w->cli->arena, "%s%s", g->said, buf_cstr(&b));
}

static bool
bool_of(const struct replica_row *row, const char *column)
{
    const struct datum *d = replica_value(row, column);
    return d && datum_bool(d);
}

/* The agent's text may hold its three parts as lines; the error keeps them apart. */
static struct err *
agent_error(const struct goal *g, const char *text)
{
    struct strvec lines = STRVEC_INIT;
    strvec_split(&lines, text, "\n");
    struct err *e;
    if (lines.n >= 3) {
        e = err_wrap(err_new(ERR_IO, "%s", lines.v[1]), "%s", lines.v[0]);
        e = err_wrap(err_hint(e, "%s", lines.v[2]), "%s", g->label);
    } else {
        e = err_wrap(err_new(ERR_IO, "%s", lines.n ? lines.v[0] : "no reason was given"),
                     "%s", g->label);
        if (lines.n == 2) {
            e = err_hint(e, "%s", lines.v[1]);
        } else if (str_starts(g->label, "vm ")) {
            e = err_hint(e, "byre vm why %s", g->label + 3);
        }
    }
    strvec_done(&lines);
    return fail_as(e, EXIT_NOT_APPLIED);
}

/* How far a job is. */
static void
look_at_progress(struct goal *g, const struct replica_row *row)
{
    const struct datum *progress = replica_value(row, "progress");
    g->progress = progress && progress->n ? datum_real(progress) : -1;
    g->seen = text_of(row, "message");
    g->bytes = opt_int_of(row, "bytes_done");
    g->bytes_of = opt_int_of(row, "bytes_total");
    g->ends_at = opt_int_of(row, "ends_at");
}

/* "cloned" and what the job says of it. */
static void
look_at_result(struct wait *w, struct goal *g, const struct replica_row *row)
{
    const char *result = text_of(row, "result");
    if (result && result[0] != '{') { /* An object is for the command that asked. */
        g->said = arena_printf(&w->cli->arena, "%s (%s)", g->said, result);
    }
}

static void
look_at_job(struct wait *w, struct goal *g, const struct replica_row *row)
{
    const char *state = text_of(row, "state");
    const char *error = text_of(row, "error");
    look_at_progress(g, row);

    if (str_eq(state, "done")) {
        g->done = true;
        look_at_result(w, g, row);
    } else if (str_eq(state, "failed")) {
        g->done = true;
        g->error = agent_error(g, error ? error : "the job failed");
    } else if (str_eq(state, "cancelled")) {
        g->done = true;
        g->error = agent_error(g, "the job was cancelled");
    }
}

static void
look_at(struct wait *w, struct goal *g)
{
    const struct replica_row *row = replica_find(w->cli->replica, g->table, &g->uuid);
    g->seen = NULL;
    if (!row) {
        if (g->kind == GOAL_GONE || g->kind == GOAL_TAKEN_ALONG) {
            g->done = true;
        } else {
            g->done = true;
            g->error = agent_error(g, "it was removed by somebody else");
        }
        return;
    }
    const char *error = text_of(row, "error");
    bool answered = int_of(row, "observed_generation") >= g->generation;

    switch (g->kind) {
    case GOAL_APPLIED:
        g->seen = text_of(row, str_eq(g->table, "vm") ? "status" : "state");
        g->asked_guest = str_eq(g->seen, "running") &&
                         str_eq(text_of(row, "state"), "stopped") &&
                         !str_eq(text_of(row, "how"), "force");
        g->done = answered;
        row = g->has_job ? replica_find(w->cli->replica, "job", &g->job) : NULL;
        if (row && str_eq(text_of(row, "state"), "running")) {
            look_at_progress(g, row);
        }
        break;
    case GOAL_GONE: g->done = answered && error; break;
    case GOAL_TAKEN_ALONG:
        if (bool_of(row, "deleted")) {
            g->done = error && !str_eq(error, g->stale);
        } else if (replica_find(w->cli->replica, "vm", &g->owner)) {
            g->stale = error ? arena_str(&w->cli->arena, error) : NULL;
        } else { /* Both come in one transaction, if they come. */
            g->done = true;
            error = "it stays: another command deleted the machine without its disks\n"
                    "delete it by byre vol delete";
        }
        break;
    case GOAL_JOB: look_at_job(w, g, row); return;
    case GOAL_ONLINE:
        g->done = str_eq(text_of(row, "state"), "online");
        g->seen = error;
        return;
    }
    if (g->done && error) {
        g->error = agent_error(g, error);
    } else if (g->done && g->is_hardware) {
        g->said = with_next_start(w, g, replica_find(w->cli->replica, "vm", &g->uuid));
    }
}

static void
clear_line(struct wait *w)
{
    if (w->line) {
        fputs("\r\033[K", stderr);
        w->line = false;
    }
}

static void
put_progress(struct buf *b, const struct goal *g)
{
    struct bar bar = { .fraction = g->progress, .done = g->bytes, .total = g->bytes_of };
    bar.left_ms = g->ends_at ? max64(g->ends_at - clock_wall_ms(), 0) : -1;
    buf_char(b, ' ');
    bar_print(b, &bar);
}

/* Where no terminal is: a line each ten seconds. */
static void
show_plain(struct wait *w, const struct goal *g)
{
    int64_t now_ms = clock_mono_ms();
    if (w->cli->quiet || w->cli->tty_err || g->progress < 0 ||
        now_ms - w->plain_ms < PLAIN_MS) {
        return;
    }
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    put_progress(&b, g);
    fprintf(stderr, "%s:%s\n", g->label, buf_cstr(&b));
    w->plain_ms = now_ms;
}

/* "| vol default/a: [####----]  40%  1.20 GiB of 3.00 GiB  15 s left" */
static void
show_line(struct wait *w)
{
    static const char spinner[] = "|/-\\";
    struct cli *cli = w->cli;
    const struct goal *waiting = NULL;
    size_t n_waiting = 0;
    for (size_t i = 0; i < cli->change.goals.n; i++) {
        const struct goal *g = &cli->change.goals.v[i];
        if (!g->done) {
            waiting = waiting ? waiting : g;
            n_waiting++;
        }
    }
    if (waiting) {
        show_plain(w, waiting);
    }
    if (!waiting || cli->quiet || !cli->tty_err) {
        return;
    }
    int64_t spent_ms = clock_mono_ms() - w->start_ms;
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    buf_printf(&b, "%c %s", spinner[spent_ms / SPIN_MS % 4], waiting->label);
    if (waiting->progress >= 0) {
        buf_char(&b, ':');
        put_progress(&b, waiting);
    } else if (waiting->seen) {
        buf_printf(&b, ": %s", waiting->seen);
    }
    if (n_waiting > 1) {
        buf_printf(&b, " and %zu more", n_waiting - 1);
    }
    buf_printf(&b, "  %" PRId64 " s", spent_ms / 1000);
    size_t room = cli->columns_out > 1 ? (size_t) cli->columns_out - 1 : 79;
    for (size_t i = 0; i < b.n; i++) { /* The message is a stranger's text. */
        b.data[i] = (unsigned char) b.data[i] < ' ' || b.data[i] == 0x7f ? '?' : b.data[i];
    }
    fprintf(stderr, "\r\033[K%.*s", (int) min64((int64_t) room, (int64_t) b.n),
            buf_cstr(&b));
    fflush(stderr);
    w->line = true;
}

static bool
all_done(void *w_)
{
    struct wait *w = w_;
    bool done = true;
    for (size_t i = 0; i < w->cli->change.goals.n; i++) {
        struct goal *g = &w->cli->change.goals.v[i];
        if (!g->done) {
            look_at(w, g);
        }
        if (!g->done) {
            done = false;
        }
    }
    show_line(w);
    return done || n_interrupts > w->n_heard;
}

static void
on_spin(void *w)
{
    show_line(w);
}

static bool
awaits_jobs(const struct cli *cli)
{
    for (size_t i = 0; i < cli->change.goals.n; i++) {
        const struct goal *g = &cli->change.goals.v[i];
        if (!g->done && (g->has_job || g->kind == GOAL_JOB)) {
            return true;
        }
    }
    return false;
}

static const struct uuid *
job_of(const struct goal *g)
{
    return g->has_job ? &g->job : g->kind == GOAL_JOB ? &g->uuid : NULL;
}

static void
watch_table(struct cli *cli, const char *table)
{
    static const char *const columns[] = {
        "observed_generation", "error",       "state",   "status", "progress", "message",
        "bytes_done",          "bytes_total", "ends_at", "result", "deleted",  "how",
        "needreboot_columns",  NULL
    };
    struct json where = json_array();
    for (size_t i = 0; i < cli->change.goals.n; i++) {
        const struct goal *g = &cli->change.goals.v[i];
        bool of_job = str_eq(table, "job") && job_of(g);
        if (of_job || str_eq(g->table, table)) {
            json_add(&cli->arena, &where,
                     q_clause(&cli->arena, "_uuid",
                              "==", q_uuid(&cli->arena, of_job ? job_of(g) : &g->uuid)));
        }
    }
    replica_watch(cli->replica, table, columns, &where, NULL);
}

static struct err *
watch_goals(struct cli *cli)
{
    bool jobs = false, job_table = false;
    for (size_t i = 0; i < cli->change.goals.n; i++) {
        bool first = true;
        for (size_t k = 0; k < i; k++) {
            first &= !str_eq(cli->change.goals.v[i].table, cli->change.goals.v[k].table);
        }
        if (first) {
            watch_table(cli, cli->change.goals.v[i].table);
        }
        jobs |= cli->change.goals.v[i].has_job;
        job_table |= first && str_eq(cli->change.goals.v[i].table, "job");
    }
    if (jobs && !job_table) {
        watch_table(cli, "job");
    }
    return replica_wait_ready(cli->replica, CALL_MS);
}

static struct err *
timed_out(const struct goal *g, int64_t timeout_ms)
{
    struct err *e =
        err_new(ERR_TIMEOUT, "not seen done within %" PRId64 " s%s%s; it goes on",
                timeout_ms / 1000, g->seen ? ": " : "", g->seen ? g->seen : "");
    e = err_wrap(e, "%s", g->label);
    if (g->asked_guest) {
        e = err_hint(e, "the guest does not obey: byre vm stop %s --force", g->label + 3);
    } else if (str_starts(g->label, "vm ")) {
        e = err_hint(e, "byre vm why %s", g->label + 3);
    } else {
        e = err_hint(e, "byre node list shows whether the host's agent is there");
    }
    return fail_as(e, EXIT_TIMED_OUT);
}

/* That it cannot be withdrawn is no failure of its own: the row shows what it still wants. */
static void
take_back(struct cli *cli, const struct goal *g)
{
    struct json op = json_object(), ops = json_array(), results;
    struct json where = json_copy(&cli->arena, json_get(&g->take_back, "where"));
    json_add(&cli->arena, &where,
             q_clause(&cli->arena, "generation", "==", json_int(g->generation)));
    JSON_FOR_EACH_MEMBER (m, &g->take_back) {
        json_put(&cli->arena, &op, m->name, str_eq(m->name, "where") ? where : m->value);
    }
    json_add(&cli->arena, &ops, op);
    err_free(db_transact(cli, &ops, &results));
}

/* A row a goal, for -o json and the like. */
static void
outcomes_table(struct cli *cli)
{
    CLEANUP(out_table_done) struct out_table out = OUT_TABLE_INIT;
    out_add_column(&out, "object", UNIT_NONE, false);
    out_add_column(&out, "outcome", UNIT_NONE, false);
    out_add_column(&out, "error", UNIT_NONE, false);
    for (size_t i = 0; i < cli->change.goals.n; i++) {
        const struct goal *g = &cli->change.goals.v[i];
        struct json *cells = out_add_row(&out, g->label);
        cells[0] = json_string(&out.arena, g->label);
        cells[1] = json_string_ref(!g->done ? "timeout" : g->error ? "failed" : g->said);
        cells[2] = g->error ? json_string(&out.arena, err_text(g->error)) : json_null();
    }
    struct out_style style = { .format = cli->format, .is_tty = cli->tty_out };
    out_print(&out, &style, stdout);
}

/* Says what became of each; the first failure is returned, the others are printed here. */
static struct err *
outcomes(struct cli *cli)
{
    struct err *first = NULL;
    bool lines = cli->format == OUT_TABLE;
    size_t n_failed = 0;
    if (!lines && !cli->quiet) {
        outcomes_table(cli);
    }
    for (size_t i = 0; i < cli->change.goals.n; i++) {
        struct goal *g = &cli->change.goals.v[i];
        struct err *e = g->done ? TAKE(g->error) : timed_out(g, cli->timeout_ms);
        if (e && g->done && g->take_back.type == JSON_OBJECT) {
            take_back(cli, g);
        }
        n_failed += e != NULL;
        if (!e) {
            if (lines) {
                cli_say(cli, "%s: %s", g->label, g->said);
            }
        } else if (!first) {
            first = e;
        } else {
            fail_print(e, g->label, stderr);
            err_free(e);
        }
    }
    if (n_failed && cli->change.goals.n > 1 && lines) {
        cli_say(cli, "%zu of %zu done", cli->change.goals.n - n_failed,
                cli->change.goals.n);
    }
    return first;
}

/* Asks the agents to give up what is still awaited. */
static void
cancel_jobs(struct wait *w)
{
    struct cli *cli = w->cli;
    struct arena *a = &cli->arena;
    struct json ops = json_array(), results;
    for (size_t i = 0; i < cli->change.goals.n; i++) {
        const struct goal *g = &cli->change.goals.v[i];
        if (!g->done && job_of(g)) {
            struct json op = json_object(), row = json_object();
            json_put(a, &row, "cancel", json_bool(true));
            json_put(a, &op, "op", json_string_ref("update"));
            json_put(a, &op, "table", json_string_ref("job"));
            json_put(a, &op, "where", q_where_uuid(a, job_of(g)));
            json_put(a, &op, "row", row);
            json_add(a, &ops, op);
        }
    }
    clear_line(w);
    fprintf(stderr, "byre: cancelling; once more, and the job is left to itself\n");
    err_free(db_transact(cli, &ops, &results));
}

static struct err *
left_alone(const struct cli *cli)
{
    for (size_t i = 0; i < cli->change.goals.n; i++) {
        const struct goal *g = &cli->change.goals.v[i];
        if (!g->done && job_of(g)) {
            struct err *e =
                err_wrap(err_new(ERR_CANCELED, "not awaited any more"), "%s", g->label);
            return fail_as(err_hint(e, "byre job wait %s", UUID_TEXT(job_of(g))),
                           EXIT_TIMED_OUT);
        }
    }
    return NULL;
}

/* Is one of the jobs at work? */
static bool
any_runs(const struct cli *cli)
{
    for (size_t i = 0; i < cli->change.goals.n; i++) {
        const struct goal *g = &cli->change.goals.v[i];
        const struct replica_row *row =
            !g->done && job_of(g) ? replica_find(cli->replica, "job", job_of(g)) : NULL;
        if (row && str_eq(text_of(row, "state"), "running")) {
            return true;
        }
    }
    return false;
}

/* Until all is done, or an interrupt has been obeyed. */
static struct err *
wait_interruptibly(struct wait *w)
{
    struct cli *cli = w->cli;
    struct sigaction before, ours = { .sa_handler = on_interrupt };
    bool jobs = awaits_jobs(cli);
    bool again = false;
    struct err *e = NULL;
    struct loop_timer *timer = loop_timer_new(cli->loop, on_spin, w);
    if (jobs) {
        sigaction(SIGINT, &ours, &before);
    }
    if (jobs || (cli->tty_err && !cli->quiet)) { /* It also sees to interrupts. */
        loop_timer_repeat(timer, SPIN_MS);
    }
    do {
        again = false;
        w->n_heard = n_interrupts;
        e = replica_wait_until(cli->replica, all_done, w,
                               cli->timeout_ms ? cli->timeout_ms : -1);
        if (err_is(e, ERR_TIMEOUT) && !cli->timeout_said && any_runs(cli)) {
            err_free(TAKE(e)); /* It takes the time that it takes. */
            again = true;
        } else if (!e && n_interrupts > w->n_heard && w->n_heard == 0) {
            cancel_jobs(w);
            again = true;
        }
    } while (again);
    if (!e && n_interrupts > 1) {
        e = left_alone(cli);
    }
    loop_timer_free(timer);
    clear_line(w);
    if (jobs) {
        sigaction(SIGINT, &before, NULL);
    }
    return e;
}

struct err *
change_wait(struct cli *cli)
{
    struct change *c = &cli->change;
    if (c->goals.n == 0 || cli->dry_run) {
        return NULL;
    } else if (cli->no_wait) {
        for (size_t i = 0; i < c->goals.n; i++) {
            const struct uuid *job = job_of(&c->goals.v[i]);
            if (job) { /* `byre job wait` takes it. */
                printf("%s\n", UUID_TEXT(job));
            }
        }
        return NULL;
    }

    struct wait w = { .cli = cli, .start_ms = clock_mono_ms() };
    w.plain_ms = w.start_ms;
    struct err *e = watch_goals(cli);
    if (!e) {
        e = wait_interruptibly(&w);
    }
    if (e && !err_is(e, ERR_TIMEOUT)) {
        return e;
    }
    err_free(e);
    return outcomes(cli);
}
