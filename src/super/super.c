/* super/super.c: the rim around unit.c: pids, timers, SIGCHLD.
 *
 * Callbacks only feed events: drive() gives one to a unit and does what comes back.  Two cursors
 * give the order.  'n_begun' programs have been asked to start: the next one is when the last
 * of them is up, or was given its share of the time.  'ending' counts down at the end. */
#define LOG_MODULE "super"
#include "super/super.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/log.h"
#include "loop/loop.h"
#include "super/spawn.h"
#include "super/tree.h"
#include "super/unit.h"

#define NEXT_ANYWAY_MS 8000 /* The next program is not kept waiting longer. */
#define START_DEATHS_MAX 3  /* Of one program: enough to call the start-up failed. */
#define ALIVE_MS 3600000
#define PREDECESSOR_TERM_MS 5000  /* Patience with an old one that holds the pid file, */
#define PREDECESSOR_KILL_MS 15000 /* and its end. */

struct ward {
    struct super *super;
    enum program program;
    struct unit unit;
    struct loop_timer *timer;
    pid_t pid;             /* 0: none. */
    int64_t stderr_offset; /* Where the present process' words begin. */
    int64_t waiting_ms;    /* Since when for a predecessor; 0: it does not. */
    char *why;             /* Why it died last; NULL. */
    struct strvec argv;
    char *socket, *pidfile, *stderr_path;
};

struct super {
    struct loop *loop;
    const struct place *place;
    struct super_events events;
    struct loop_signal *on_child;
    struct loop_timer *start_timer; /* Ends the start-up, ready or not. */
    struct loop_timer *next_timer;  /* Begins the next program, the last one up or not. */
    struct loop_timer *alive_timer; /* Signals alone do not keep a loop running. */
    struct ward wards[N_PROGRAMS];
    size_t n_begun;
    bool started, ending;
};

static void drive(struct ward *, enum unit_event);
static void begin_next(void *super);

static void
log_state(const struct ward *w, enum unit_state before)
{
    const char *name = program_name(w->program);

    if (w->unit.state == U_UP) {
        log_info("%s is up (process %d)", name, (int) w->pid);
    } else if (w->unit.state == U_BACKOFF) {
        log_warn("%s died (%s); again in %" PRId64 " ms", name, w->why ? w->why : "unknown",
                 w->unit.backoff_ms);
    } else if (w->unit.state == U_OFF && before == U_ENDING) {
        log_info("%s has ended", name);
    }
}

/* All that is not up, with the reason known of each; NULL if all are. */
static struct err *
not_up(const struct super *s)
{
    for (const struct ward *w = s->wards; w < s->wards + N_PROGRAMS; w++) {
        if (w->unit.state != U_UP) {
            struct err *e =
                err_new(w->why ? ERR_IO : ERR_TIMEOUT, "%s",
                        w->why ? w->why : "it runs, but its socket does not answer");
            const char *name = program_name(w->program);
            e = err_wrap(e, "%s does not start", name);
            return err_hint(e, "read %s/log: %s.log and %s.stderr", s->place->state_dir,
                            name, name);
        }
    }
    return NULL;
}

static void
tell_started(struct super *s, struct err *e)
{
    loop_timer_clear(s->start_timer);
    if (s->started) {
        err_free(e);
        return;
    }
    s->started = true;
    s->events.on_started(s->events.aux, e);
}

static void
on_start_timer(void *super)
{
    struct super *s = super;
    tell_started(s, not_up(s));
}

/* EV_FREE when no older process holds the pid file; else leans on it, if it is one of ours. */
static enum unit_event
look_for_predecessor(struct ward *w)
{
    pid_t holder = pidfile_holder(w->pidfile);
    if (holder == 0) {
        w->waiting_ms = 0;
        return EV_FREE;
    }
    int64_t now_ms = loop_now_ms(w->super->loop);
    w->waiting_ms = w->waiting_ms ? w->waiting_ms : now_ms;
    int64_t waited_ms = now_ms - w->waiting_ms;
    if (waited_ms > PREDECESSOR_TERM_MS &&
        spawn_is_program(holder, program_name(w->program))) {
        kill(holder, waited_ms > PREDECESSOR_KILL_MS ? SIGKILL : SIGTERM);
    }
    free(w->why);
    w->why = str_dupf("process %d still runs and holds %s", (int) holder, w->pidfile);
    return N_UNIT_EVENTS;
}

/* EV_DIED if there is no process to be had. */
static enum unit_event
spawn_ward(struct ward *w)
{
    struct err *e = spawn(w->argv.v, w->stderr_path, &w->pid, &w->stderr_offset);
    if (e) {
        free(w->why);
        w->why = str_dup(err_text(e));
        err_free(e);
        return EV_DIED;
    }
    return N_UNIT_EVENTS;
}

static void
signal_ward(const struct ward *w, int signum)
{
    if (w->pid > 0) {
        kill(w->pid, signum);
    }
}

/* Ends the next one from behind; tells when there is none left. */
static void
end_next(struct super *s)
{
    for (size_t i = N_PROGRAMS; i-- > 0;) {
        struct ward *w = &s->wards[i];
        if (w->unit.state != U_OFF) {
            if (w->unit.state != U_ENDING) {
                drive(w, EV_END);
            }
            if (w->unit.state != U_OFF) {
                return;
            }
        }
    }
    s->events.on_ended(s->events.aux);
}

static void
after_change(struct ward *w)
{
    struct super *s = w->super;

    if (s->ending) {
        if (w->unit.state == U_OFF) {
            end_next(s);
        }
    } else if (w->unit.state == U_UP && w == &s->wards[s->n_begun - 1]) {
        begin_next(s);
    } else if (!s->started && w->unit.n_deaths >= START_DEATHS_MAX) {
        tell_started(s, not_up(s));
    } else if (!s->started && w->unit.state == U_UP && s->n_begun == N_PROGRAMS) {
        CLEANUP(err_drop) struct err *e = not_up(s);
        if (!e) {
            tell_started(s, NULL);
        }
    }
}

/* Does one thing; the event that follows at once, N_UNIT_EVENTS if none does. */
static enum unit_event
perform(struct ward *w, enum unit_action action)
{
    switch (action) {
    case DO_NOTHING: break;
    case DO_LOOK: return look_for_predecessor(w);
    case DO_SPAWN: return spawn_ward(w);
    case DO_KNOCK:
        /* Who has no door is taken as up when it lives long enough to be knocked at. */
        return !w->socket || spawn_answers(w->socket) ? EV_ANSWERS : N_UNIT_EVENTS;
    case DO_TERM: signal_ward(w, SIGTERM); break;
    case DO_KILL: signal_ward(w, SIGKILL); break;
    }
    return N_UNIT_EVENTS;
}

/* Feeds an event to a unit, and those that follow from it. */
static void
drive(struct ward *w, enum unit_event ev)
{
    struct loop *loop = w->super->loop;
    enum unit_state before = w->unit.state;

    while (ev != N_UNIT_EVENTS) {
        ev = perform(w, unit_step(&w->unit, ev, loop_now_ms(loop)));
    }
    if (w->unit.wake_ms == INT64_MAX) {
        loop_timer_clear(w->timer);
    } else {
        loop_timer_set(w->timer, max64(w->unit.wake_ms - loop_now_ms(loop), 0));
    }
    if (w->unit.state != before) {
        log_state(w, before);
        after_change(w);
    }
}

static void
on_wake(void *ward)
{
    drive(ward, EV_WAKE);
}

static void
begin_next(void *super)
{
    struct super *s = super;

    loop_timer_clear(s->next_timer);
    if (s->ending) {
        return;
    }
    if (s->n_begun < N_PROGRAMS) {
        struct ward *w = &s->wards[s->n_begun++];
        loop_timer_set(s->next_timer, NEXT_ANYWAY_MS);
        drive(w, EV_WANT);
    } else {
        CLEANUP(err_drop) struct err *e = not_up(s);
        if (!e) {
            tell_started(s, NULL);
        }
    }
}

static char *
why_died(const struct ward *w, int status)
{
    CLEANUP(free_drop) char *said = tree_last_line(w->stderr_path, w->stderr_offset);
    const char *between = *said ? ": " : "";
    if (WIFSIGNALED(status)) {
        return str_dupf("%s%s%s", strsignal(WTERMSIG(status)), between, said);
    }
    return str_dupf("exit status %d%s%s", WEXITSTATUS(status), between, said);
}

static void
on_child(void *super)
{
    struct super *s = super;
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (struct ward *w = s->wards; w < s->wards + N_PROGRAMS; w++) {
            if (w->pid == pid) {
                w->pid = 0;
                free(w->why);
                w->why = why_died(w, status);
                drive(w, EV_DIED);
                break;
            }
        }
    }
}

static void
on_alive_timer(void *super UNUSED)
{
}

struct err *
super_new(struct loop *loop, const struct place *place, const struct config *config,
          const struct super_events *events, struct super **ret)
{
    struct super *s = NEW(struct super);
    s->loop = loop;
    s->place = place;
    s->events = *events;
    s->start_timer = loop_timer_new(loop, on_start_timer, s);
    s->next_timer = loop_timer_new(loop, begin_next, s);
    s->alive_timer = loop_timer_new(loop, on_alive_timer, s);
    for (size_t i = 0; i < N_PROGRAMS; i++) {
        struct ward *w = &s->wards[i];
        w->super = s;
        w->program = (enum program) i;
        w->unit = UNIT_INIT;
        w->timer = loop_timer_new(loop, on_wake, w);
        w->socket = program_socket(w->program, place, config);
        w->pidfile = program_pidfile(w->program, place);
        w->stderr_path = program_stderr(w->program, place);
        program_argv(w->program, place, config, &w->argv);
    }
    struct err *e = loop_signal_new(loop, SIGCHLD, on_child, s, &s->on_child);
    if (e) {
        super_free(s);
        return e;
    }
    *ret = s;
    return NULL;
}

void
super_begin(struct super *s)
{
    loop_timer_set(s->start_timer, SUPER_START_MS);
    loop_timer_repeat(s->alive_timer, ALIVE_MS);
    begin_next(s);
}

void
super_end(struct super *s)
{
    if (!s->ending) {
        s->ending = true;
        end_next(s);
    }
}

void
super_reopen_logs(struct super *s)
{
    for (struct ward *w = s->wards; w < s->wards + N_PROGRAMS; w++) {
        if (w->unit.state == U_UP) { /* A younger one may not have its handler yet. */
            signal_ward(w, SIGHUP);
        }
    }
}

void
super_free(struct super *s)
{
    if (!s) {
        return;
    }
    loop_timer_free(s->start_timer);
    loop_timer_free(s->next_timer);
    loop_timer_free(s->alive_timer);
    loop_signal_free(s->on_child);
    for (struct ward *w = s->wards; w < s->wards + N_PROGRAMS; w++) {
        loop_timer_free(w->timer);
        free(w->socket);
        free(w->pidfile);
        free(w->stderr_path);
        free(w->why);
        strvec_done(&w->argv);
    }
    free(s);
}
