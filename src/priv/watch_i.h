/* priv/watch_i.h: workers under the server's eye: which run, which hang.
 *
 * A worker tells in a page that both see by when its running step should have ended.  One that
 * is late gets SIGKILL, and its client an answer from the server.  One that does not die of it
 * sleeps in the kernel (a dead server, a lost disk): it is left behind and counted, and nobody
 * waits for it; when it ends at last it is buried like the others. */
#ifndef PRIV_WATCH_I_H
#define PRIV_WATCH_I_H 1

#include <sys/types.h>

#include "base/vec.h"
#include "engine/engine.h"

#define WATCH_DEATH_MS 2000 /* From SIGKILL to "it hangs". */
#define WATCH_MAX_HUNG 3    /* Of one pool: then its requests are refused. */

/* Written by the worker, read by the server. */
struct watch_page {
    struct engine_watch engine;
    char pool[128]; /* "" until the request is decoded. */
};

struct watch_worker {
    pid_t pid;
    int fd; /* The connection, for the case that the worker cannot answer; -1: closed. */
    struct watch_page *page;
    int64_t killed_ms; /* When the server gave it up; 0: it did not. */
    bool hung;         /* It did not die of that. */
};

struct watch {
    VEC(struct watch_worker) workers;
};

/* Before the fork.  NULL: no memory. */
struct watch_page *watch_page_new(void);
void watch_page_free(struct watch_page *);
void watch_add(struct watch *, pid_t, int fd, struct watch_page *); /* Takes 'fd', page. */
/* In a new worker: forgets the others' connections. */
void watch_forked(struct watch *);
void watch_buried(struct watch *, pid_t); /* waitpid() has returned it. */
void watch_done(struct watch *);
size_t watch_n_working(const struct watch *);
size_t watch_n_hung(const struct watch *, const char *pool); /* NULL: of all. */
/* How long nothing will be due, in ms for poll(2); -1: until something else happens. */
int watch_wait_ms(const struct watch *, int64_t now_ms);
/* Kills what is late, answers for it, and gives up what does not die. */
void watch_look(struct watch *, int64_t now_ms);

#endif /* priv/watch_i.h */
