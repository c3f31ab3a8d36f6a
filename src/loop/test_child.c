/* loop/test_child.c: real children, waited for in both ways. */
#include "loop/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "loop/loop.h"
#include "test.h"

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SH(script) ARGV("/bin/sh", "-c", script)

/* On the loop, but as if it blocked. */
struct waiting {
    struct loop *loop;
    struct child_result result;
    bool done;
};

static void
on_done(void *w_, struct child_result *r)
{
    struct waiting *w = w_;
    w->result = *r;
    *r = CHILD_RESULT_INIT;
    w->done = true;
}

static struct err *
run_on_loop(const struct child_spec *spec, struct child_result *ret)
{
    CLEANUP(loop_drop) struct loop *loop = NULL;
    TRY(loop_new(&loop));
    struct waiting w = { .loop = loop, .result = CHILD_RESULT_INIT };
    struct child *child;
    TRY(child_start(loop, spec, on_done, &w, &child));
    CHECK("not from within child_start()", !w.done);
    loop_run(loop);
    CHECK("done", w.done);
    *ret = w.result;
    return NULL;
}

static struct err *
run_blocking(const struct child_spec *spec, struct child_result *ret)
{
    return child_run_blocking(spec, -1, NULL, ret);
}

static struct err *(*const ways[])(const struct child_spec *,
                                   struct child_result *) = { run_blocking, run_on_loop };

static const struct child_case {
    const char *why, *script;
    int64_t deadline_ms;
    int exit_status, signal;
    bool timed_out;
    const char *out, *err, *check;
} cases[] = {
    /* clang-format off */
    { "success", "echo out; echo err >&2", 0, 0, 0, false, "out\n", "err\n", "success" },
    { "exit status and last line", "echo a >&2; echo '  b ' >&2; exit 5", 0, 5, 0, false, "", "a\n  b \n",
      "5: /bin/sh failed (exit status 5):   b" },
    { "signal", "kill -9 $$", 0, -1, 9, false, "", "", "io: /bin/sh was killed by signal 9 (Killed)" },
    { "deadline", "echo on; sleep 60", 200, -1, SIGTERM, true, "on\n", "",
      "timeout: /bin/sh did not end within 1 s" },
    { "a grandchild that keeps the pipes is not waited for", "sleep 20 & echo fine", 0, 0, 0, false, "fine\n", "", "success" },
    { "standard input is empty", "cat; echo end", 0, 0, 0, false, "end\n", "", "success" },
    { "C locale", "echo $LC_ALL", 0, 0, 0, false, "C\n", "", "success" },
    { "no other descriptors", "ls /proc/self/fd | tr '\\n' ' '", 0, 0, 0, false, "0 1 2 3 ", "", "success" },
    /* clang-format on */
};

TEST(results)
{
    setenv("LC_ALL", "de_DE.UTF-8", 1);
    int leaked = open("/dev/null", O_RDONLY); /* Without O_CLOEXEC, as a library may do. */
    for (size_t i = 0; i < N_ELEMS(cases) * N_ELEMS(ways); i++) {
        const struct child_case *c = &cases[i / N_ELEMS(ways)];
        struct child_spec spec = { .argv = SH(c->script), .deadline_ms = c->deadline_ms };
        CLEANUP(child_result_done) struct child_result r = CHILD_RESULT_INIT;
        int64_t start_ms = clock_mono_ms();
        CHECK_OK(c->why, ways[i % N_ELEMS(ways)](&spec, &r));
        CHECK(c->why, clock_mono_ms() - start_ms < 15000);
        CHECK_INT(c->why, r.exit_status, c->exit_status);
        CHECK_INT(c->why, r.signal, c->signal);
        CHECK_INT(c->why, r.timed_out, c->timed_out);
        CHECK_STR(c->why, buf_cstr(&r.out), c->out);
        CHECK_STR(c->why, buf_cstr(&r.err), c->err);
        CHECK_BRIEF(c->why, child_result_check(&r, &spec), c->check);
    }
    close(leaked);
    unsetenv("LC_ALL");
}

TEST(a_child_that_ignores_sigterm_is_killed)
{
    for (size_t i = 0; i < N_ELEMS(ways); i++) {
        struct child_spec spec = { .argv = SH("trap '' TERM; while :; do sleep 0.1; done"),
                                   .deadline_ms = 100 };
        CLEANUP(child_result_done) struct child_result r = CHILD_RESULT_INIT;
        CHECK_OK("run", ways[i](&spec, &r));
        CHECK("timed out", r.timed_out && !r.stuck);
        CHECK_INT("killed", r.signal, SIGKILL);
    }
}

TEST(the_whole_group_dies)
{
    CLEANUP(free_drop) char *path = str_dupf("%s/pid", test_dir());
    CLEANUP(free_drop) char *script = str_dupf("sleep 1000 & echo $! >%s; wait", path);
    for (size_t i = 0; i < N_ELEMS(ways); i++) {
        struct child_spec spec = { .argv = SH(script), .deadline_ms = 300 };
        CLEANUP(child_result_done) struct child_result r = CHILD_RESULT_INIT;
        CHECK_OK("run", ways[i](&spec, &r));
        CLEANUP(buf_done) struct buf pid = BUF_INIT;
        CHECK_OK("pid", fs_read(path, 100, &pid));
        bool gone = false;
        for (int tries = 0; tries < 100 && !gone; tries++) {
            CLEANUP(free_drop) char *stat = str_dupf("/proc/%d/stat", atoi(buf_cstr(&pid)));
            CLEANUP(buf_done) struct buf text = BUF_INIT;
            struct err *e = fs_read(stat, 4096, &text);
            gone =
                e || strstr(buf_cstr(&text), ") Z "); /* Nobody may reap in a container. */
            err_free(e);
            poll(NULL, 0, 10);
        }
        CHECK("the grandchild is gone", gone);
    }
}

TEST(output_is_capped_but_read)
{
    for (size_t i = 0; i < N_ELEMS(ways); i++) {
        struct child_spec spec = { .argv = SH("head -c 3000000 /dev/zero; echo end >&2"),
                                   .stdout_max_bytes = 1000 };
        CLEANUP(child_result_done) struct child_result r = CHILD_RESULT_INIT;
        CHECK_OK("run", ways[i](&spec, &r));
        CHECK_INT("kept", r.out.n, 1000);
        CHECK("cut", r.stdout_cut && !r.stderr_cut);
        CHECK_STR("it ran to its end", buf_cstr(&r.err), "end\n");
    }
}

TEST(missing_program_and_directory)
{
    for (size_t i = 0; i < N_ELEMS(ways); i++) {
        CLEANUP(child_result_done) struct child_result r = CHILD_RESULT_INIT;
        struct child_spec spec = { .argv = ARGV("no-such-program") };
        CHECK_ERR("no program", ways[i](&spec, &r), ERR_NOT_FOUND);
        spec = (struct child_spec){ .argv = ARGV("/etc/passwd") };
        CHECK_ERR("no right", ways[i](&spec, &r), ERR_DENIED);
        spec = (struct child_spec){ .argv = ARGV("true"), .dir = "/no/such/dir" };
        CHECK_ERR("no directory", ways[i](&spec, &r), ERR_NOT_FOUND);
    }
}

TEST(descriptors_env_and_dir)
{
    CLEANUP(free_drop) char *path = path_join(test_dir(), "in");
    CHECK_OK("file", fs_write_atomic(path, "hello", 5, 0600));
    CLEANUP(fd_done) int in = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP(free_drop) char *out_path = path_join(test_dir(), "out");
    CLEANUP(fd_done) int out = open(out_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct child_spec spec = {
        .argv = SH("cat; echo \" $A $PWD\""),
        .env = ARGV("A=b c"),
        .dir = "/",
        .stdin_fd = &in,
        .stdout_fd = &out,
    };
    CLEANUP(child_result_done) struct child_result r = CHILD_RESULT_INIT;
    CHECK_OK("run", child_run_blocking(&spec, -1, NULL, &r));
    CLEANUP(buf_done) struct buf got = BUF_INIT;
    CHECK_OK("read", fs_read(out_path, 100, &got));
    CHECK_STR("all arrived", buf_cstr(&got), "hello b c /\n");
}

TEST(cancel_by_descriptor)
{
    int fds[2];
    CHECK("pipe", pipe(fds) == 0);
    close(fds[1]); /* Hung up, as when a client goes away. */
    struct child_spec spec = { .argv = SH("sleep 60") };
    CLEANUP(child_result_done) struct child_result r = CHILD_RESULT_INIT;
    CHECK_OK("run", child_run_blocking(&spec, fds[0], NULL, &r));
    CHECK_BRIEF("canceled", child_result_check(&r, &spec),
                "canceled: /bin/sh was canceled");
    close(fds[0]);
}

static volatile int flag;

static void
on_alarm(int signum UNUSED)
{
    flag = 1;
}

TEST(cancel_by_flag)
{
    struct sigaction action = { .sa_handler = on_alarm };
    struct sigaction old;
    sigaction(SIGALRM, &action, &old);
    alarm(1);
    struct child_spec spec = { .argv = SH("sleep 60") };
    CLEANUP(child_result_done) struct child_result r = CHILD_RESULT_INIT;
    CHECK_OK("run", child_run_blocking(&spec, -1, &flag, &r));
    CHECK("canceled", r.canceled);
    sigaction(SIGALRM, &old, NULL);
}

static void
cancel_it(void *child)
{
    child_cancel(child);
}

TEST(cancel_on_the_loop)
{
    CLEANUP(loop_drop) struct loop *loop = NULL;
    CHECK_OK("loop", loop_new(&loop));
    struct child_spec spec = { .argv = SH("sleep 60") };
    struct waiting w = { .loop = loop, .result = CHILD_RESULT_INIT };
    struct child *child;
    CHECK_OK("start", child_start(loop, &spec, on_done, &w, &child));
    struct loop_timer *timer = loop_timer_new(loop, cancel_it, child);
    loop_timer_set(timer, 50);
    loop_run(loop);
    CHECK("canceled", w.done && w.result.canceled);
    child_result_done(&w.result);
    loop_timer_free(timer);
}

static void
see_output(void *seen, bool is_stderr, const char *bytes, size_t n_bytes)
{
    buf_printf(seen, "%s<%.*s>", is_stderr ? "err" : "out", (int) n_bytes, bytes);
}

TEST(output_is_seen_as_it_comes)
{
    for (size_t i = 0; i < N_ELEMS(ways); i++) {
        CLEANUP(buf_done) struct buf seen = BUF_INIT;
        struct child_spec spec = {
            .argv = SH("printf 1; sleep 0.2; printf 2; sleep 0.2; printf 3 >&2"),
            .on_output = see_output,
            .aux = &seen
        };
        CLEANUP(child_result_done) struct child_result r = CHILD_RESULT_INIT;
        CHECK_OK("run", ways[i](&spec, &r));
        CHECK_STR("pieces", buf_cstr(&seen), "out<1>out<2>err<3>");
        CHECK_STR("kept too", buf_cstr(&r.out), "12");
    }
}

TEST(text)
{
    CLEANUP(free_drop)
    char *text = child_text(ARGV("lvcreate", "-L", "10K", "a b", "it's", ""));
    CHECK_STR("quoted where needed", text, "lvcreate -L 10K 'a b' 'it'\\''s' ''");
}
