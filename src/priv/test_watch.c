/* priv/test_watch.c: late workers, with real processes and a clock that the test turns. */
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "priv/watch_i.h"

/* A worker that does nothing for ever.  Returns the client's end. */
static int
add_sleeper(struct watch *watch, const char *pool, int64_t due_ms, pid_t *ret_pid)
{
    int ends[2];
    ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    struct watch_page *page = watch_page_new();
    ASSERT(page);
    snprintf(page->pool, sizeof page->pool, "%s", pool);
    snprintf(page->engine.doing, sizeof page->engine.doing, "list volumes");
    page->engine.begun_ms = 1000;
    page->engine.due_ms = due_ms;
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            pause();
        }
    }
    watch_add(watch, pid, ends[1], page);
    *ret_pid = pid;
    return ends[0];
}

static const char *
answer(int fd, char *text, size_t n_text)
{
    ssize_t n = recv(fd, text, n_text - 1, MSG_DONTWAIT);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

TEST(late_ones_are_killed_and_answered_for)
{
    struct watch watch = { VEC_INIT };
    pid_t late, early;
    char text[1024];
    CLEANUP(fd_done) int of_late = add_sleeper(&watch, "p", 21000, &late);
    CLEANUP(fd_done) int of_early = add_sleeper(&watch, "q", 90000, &early);
    CHECK_INT("the first one's time", watch_wait_ms(&watch, 20500), 500);
    watch_look(&watch, 20500);
    CHECK_INT("nobody is late", kill(late, 0), 0);

    watch_look(&watch, 21000);
    int status;
    CHECK_INT("it was killed", waitpid(late, &status, 0), late);
    CHECK_INT("by that", WTERMSIG(status), SIGKILL);
    CHECK_STR("no answer before it is dead", answer(of_late, text, sizeof text), "");
    watch_buried(&watch, late);
    answer(of_late, text, sizeof text);
    CHECK("what hung is said", strstr(text, "no end of 'list volumes' after"));
    CHECK("as a matter of time", strstr(text, "\"TIMEOUT\"") || strstr(text, "timeout"));
    CHECK_INT("nothing hangs", (int) watch_n_hung(&watch, NULL), 0);
    CHECK_INT("the other one works", (int) watch_n_working(&watch), 1);
    CHECK_STR("and has no answer", answer(of_early, text, sizeof text), "");
    kill(early, SIGKILL);
    waitpid(early, &status, 0);
    watch_buried(&watch, early);
    CHECK_STR("nor one for a death that nobody asked for",
              answer(of_early, text, sizeof text), "");
    CHECK_INT("nothing is due", watch_wait_ms(&watch, 0), -1);
    watch_done(&watch);
}

TEST(what_does_not_die_is_left_behind_and_counted)
{
    struct watch watch = { VEC_INIT };
    pid_t pid;
    char text[1024];
    CLEANUP(fd_done) int fd = add_sleeper(&watch, "p", 5000, &pid);
    watch_look(&watch, 5000);
    CHECK_INT("a moment to die in", watch_wait_ms(&watch, 5000), WATCH_DEATH_MS);
    watch_look(&watch, 5000 + WATCH_DEATH_MS); /* Nobody has buried it. */
    answer(fd, text, sizeof text);
    CHECK("it is said", strstr(text, "hangs in the kernel and was left behind"));
    CHECK_INT("it is counted", (int) watch_n_hung(&watch, "p"), 1);
    CHECK_INT("for its pool", (int) watch_n_hung(&watch, "q"), 0);
    CHECK_INT("and works no more", (int) watch_n_working(&watch), 0);
    CHECK_INT("nobody waits for it", watch_wait_ms(&watch, 9000), -1);
    int status;
    waitpid(pid, &status, 0);
    watch_buried(&watch, pid);
    CHECK_INT("until it dies at last", (int) watch_n_hung(&watch, NULL), 0);
    watch_done(&watch);
}
