/* cli/vm_console.c: a machine's serial console.
 *
 * On a terminal: raw mode, every key goes to the guest, Ctrl-] leaves.  Without one:
 * what the guest prints is copied until the end, until --until was seen, or until
 * --timeout; so a script can wait for a guest without a terminal. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cli/agent_i.h"
#include "cli/vm_i.h"

#define LEAVE_KEY 0x1d /* Ctrl-] */
#define CONNECT_MS 15000

struct console {
    int fd;              /* To the agent. */
    const char *vm;      /* Its name. */
    const char *until;   /* Or NULL. */
    struct buf tail;     /* The end of what was printed, as long as 'until' may need. */
    int64_t deadline_ms; /* 0: none. */
    bool keys;           /* Standard input goes to the guest. */
};

static struct termios saved_mode;

static void
restore_terminal(void)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &saved_mode);
}

static void
on_deadly_signal(int signum)
{
    restore_terminal();
    signal(signum, SIG_DFL);
    raise(signum);
}

static struct err *
raw_terminal(void)
{
    if (tcgetattr(STDIN_FILENO, &saved_mode) < 0) {
        return err_io(errno, "terminal");
    }
    struct termios raw = saved_mode;
    cfmakeraw(&raw);
    if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0) {
        return err_io(errno, "terminal");
    }
    signal(SIGTERM, on_deadly_signal);
    signal(SIGHUP, on_deadly_signal);
    return NULL;
}

/* Has the text that is awaited come, and its line ended?  Keeps just enough of the past. */
static bool
seen_it(struct console *c, const char *bytes, size_t n)
{
    if (!c->until) {
        return false;
    }
    buf_add(&c->tail, bytes, n);
    char *hit = memmem(c->tail.data, c->tail.n, c->until, strlen(c->until));
    if (hit) {
        size_t rest = c->tail.n - (size_t) (hit - c->tail.data);
        return memchr(hit, '\n', rest) != NULL || memchr(hit, '\r', rest) != NULL;
    }
    size_t keep = strlen(c->until);
    if (c->tail.n > keep) {
        buf_drop_front(&c->tail, c->tail.n - keep);
    }
    return false;
}

/* *ret_done: there is nothing more to do. */
static struct err *
from_guest(struct console *c, bool *ret_done)
{
    char bytes[8192];
    ssize_t n = read(c->fd, bytes, sizeof bytes);
    if (n < 0) {
        return errno == EINTR || errno == EAGAIN ? NULL : err_io(errno, "console");
    } else if (n == 0) {
        *ret_done = true;
        return c->until
                   ? fail_as(err_hint(err_new(ERR_NOT_FOUND,
                                              "the console ended before \"%s\"", c->until),
                                      "byre vm why %s", c->vm),
                             EXIT_NOT_APPLIED)
                   : NULL;
    }
    TRY(fd_write_all(STDOUT_FILENO, bytes, (size_t) n));
    *ret_done = seen_it(c, bytes, (size_t) n);
    return NULL;
}

static struct err *
from_keys(struct console *c, bool *ret_done)
{
    char bytes[1024];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
    if (n <= 0) {
        c->keys = false;
        return NULL;
    }
    char *leave = memchr(bytes, LEAVE_KEY, (size_t) n);
    if (leave) {
        *ret_done = true;
        n = leave - bytes;
    }
    return fd_write_all(c->fd, bytes, (size_t) n);
}

static struct err *
run(struct console *c)
{
    bool done = false;
    while (!done) {
        int64_t left_ms = c->deadline_ms ? c->deadline_ms - clock_mono_ms() : -1;
        struct pollfd pfds[] = { { c->fd, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
        if (c->deadline_ms && left_ms <= 0) {
            struct err *e =
                c->until ? err_new(ERR_TIMEOUT, "\"%s\" was not seen in time", c->until)
                         : err_new(ERR_TIMEOUT, "the time is over");
            return fail_as(err_hint(e, "a longer --timeout, or byre vm why %s", c->vm),
                           EXIT_TIMED_OUT);
        }
        if (poll(pfds, c->keys ? 2 : 1, (int) min64(left_ms, INT32_MAX)) <= 0) {
            continue; /* EINTR, or the deadline. */
        }
        if (pfds[0].revents) {
            TRY(from_guest(c, &done));
        }
        if (c->keys && pfds[1].revents && !done) {
            TRY(from_keys(c, &done));
        }
    }
    return NULL;
}

struct err *
vm_console(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    struct named vm;
    struct json request = json_object();
    struct json result;
    struct console c = { .fd = -1, .until = args_get(args, "until"), .tail = BUF_INIT };
    bool log = args_has(args, "log");

    TRY(names_find(cli, "vm", args->pos.v[0], "_uuid", &vm));
    c.vm = vm.label;
    if (args_has(args, "timeout") && cli->timeout_ms) {
        c.deadline_ms = clock_mono_ms() + cli->timeout_ms;
    }
    json_put(a, &request, "method", json_string_ref("console"));
    json_put(a, &request, "vm", json_string(a, UUID_TEXT(&vm.uuid)));
    if (log) {
        json_put(a, &request, "log", json_bool(true));
    }
    TRY(err_wrap(agent_call(cli, &request, -1, clock_mono_ms() + CONNECT_MS, vm.label,
                            &result, &c.fd),
                 "console of vm %s", vm.label));
    bool raw = cli->tty_in && cli->tty_out && !log && !c.until;
    c.keys = raw;
    struct err *e = NULL;
    if (raw) {
        fprintf(stderr, "console of vm %s; leave by Ctrl-]\n", vm.label);
        e = raw_terminal();
    }
    if (!e) {
        e = run(&c);
    }
    if (raw) {
        restore_terminal();
        fputs("\n", stderr);
    }
    fd_done(&c.fd);
    buf_done(&c.tail);
    return err_wrap(e, "console of vm %s", vm.label);
}

const struct opt_spec opts_vm_console[] = {
    { "until", "TEXT", "end with success when a line with TEXT was printed" },
    { "log", NULL, "only what was printed so far" },
    { NULL },
};
