/* priv/watch.c: kills late workers, answers for them, counts those that hang. */
#include "priv/watch_i.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG_MODULE "priv"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "priv/worker_i.h"

struct watch_page *
watch_page_new(void)
{
    void *page = mmap(NULL, sizeof(struct watch_page), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}

void
watch_page_free(struct watch_page *page)
{
    if (page) {
        munmap(page, sizeof *page);
    }
}

void
watch_add(struct watch *watch, pid_t pid, int fd, struct watch_page *page)
{
    *VEC_ADD(&watch->workers) = (struct watch_worker){ .pid = pid, .fd = fd, .page = page };
}

void
watch_forked(struct watch *watch)
{
    VEC_FOR_EACH (struct watch_worker *w, &watch->workers) {
        fd_done(&w->fd);
    }
}

static void
worker_done(struct watch_worker *w)
{
    fd_done(&w->fd);
    watch_page_free(w->page);
    w->page = NULL;
}

/* The worker cannot say it.  It has written whole lines only, or it would not be late. */
static void
answer_for(struct watch_worker *w, int64_t now_ms)
{
    struct engine_watch *engine = &w->page->engine;
    engine->doing[sizeof engine->doing - 1] = '\0';
    struct err *e = err_new(ERR_TIMEOUT,
                            "the storage does not answer: no end of '%s' after "
                            "%" PRId64 " s",
                            engine->doing, (now_ms - engine->begun_ms + 500) / 1000);
    if (w->hung) {
        e = err_wrap(e, "process %d hangs in the kernel and was left behind", (int) w->pid);
    }
    worker_refuse(w->fd,
                  err_hint(e, "look whether the server or the disk works, and at the "
                              "kernel's log (dmesg)"));
    fd_done(&w->fd);
}

void
watch_buried(struct watch *watch, pid_t pid)
{
    for (size_t i = 0; i < watch->workers.n; i++) {
        struct watch_worker *w = &watch->workers.v[i];
        if (w->pid == pid) {
            if (w->killed_ms && w->fd >= 0) {
                answer_for(w, clock_mono_ms());
            }
            if (w->hung) {
                log_info("process %d of pool '%s', which hung, has ended", (int) pid,
                         w->page->pool);
            }
            worker_done(w);
            VEC_REMOVE_AT(&watch->workers, i);
            return;
        }
    }
}

void
watch_done(struct watch *watch)
{
    VEC_FOR_EACH (struct watch_worker *w, &watch->workers) {
        worker_done(w);
    }
    VEC_DONE(&watch->workers);
}

size_t
watch_n_working(const struct watch *watch)
{
    size_t n = 0;
    VEC_FOR_EACH (const struct watch_worker *w, &watch->workers) {
        n += !w->hung;
    }
    return n;
}

size_t
watch_n_hung(const struct watch *watch, const char *pool)
{
    size_t n = 0;
    VEC_FOR_EACH (const struct watch_worker *w, &watch->workers) {
        n += w->hung && (!pool || str_eq(w->page->pool, pool));
    }
    return n;
}

/* When something is to be done about this one; INT64_MAX: never. */
static int64_t
due_ms(const struct watch_worker *w)
{
    if (w->hung) {
        return INT64_MAX;
    } else if (w->killed_ms) {
        return w->killed_ms + WATCH_DEATH_MS;
    }
    int64_t due = w->page->engine.due_ms;
    return due ? due : INT64_MAX;
}

int
watch_wait_ms(const struct watch *watch, int64_t now_ms)
{
    int64_t next = INT64_MAX;
    VEC_FOR_EACH (const struct watch_worker *w, &watch->workers) {
        next = min64(next, due_ms(w));
    }
    return next == INT64_MAX ? -1 : (int) clamp64(next - now_ms, 0, 60000);
}

void
watch_look(struct watch *watch, int64_t now_ms)
{
    VEC_FOR_EACH (struct watch_worker *w, &watch->workers) {
        if (now_ms < due_ms(w)) {
            continue;
        } else if (!w->killed_ms) {
            log_warn("pool '%s': '%s' takes too long, killing process %d", w->page->pool,
                     w->page->engine.doing, (int) w->pid);
            w->killed_ms = now_ms;
            kill(w->pid, SIGKILL);
        } else {
            w->hung = true;
            log_warn("pool '%s': process %d hangs in the kernel and is left behind; %zu of "
                     "this host do",
                     w->page->pool, (int) w->pid, watch_n_hung(watch, NULL));
        }
    }
    VEC_FOR_EACH (struct watch_worker *w, &watch->workers) {
        if (w->hung && w->fd >= 0) {
            answer_for(w, now_ms);
        }
    }
}
