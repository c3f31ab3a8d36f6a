/* journal/sync.c: see sync.h. */
#include "journal/sync.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

struct sync {
    void (*notify)(void *aux); /* Called without the mutex. */
    void *aux;
    pthread_t thread;

    pthread_mutex_t mutex; /* Of all below. */
    pthread_cond_t wake;   /* For the thread: 'want' grew, or 'stop'. */
    pthread_cond_t moved;  /* For the owner: 'done', 'errnum' or 'running' changed. */
    int fd;
    uint64_t want, done;
    int errnum; /* Of the fdatasync() that failed; the kernel may have dropped the pages. */
    bool running; /* fdatasync() is at work on 'fd'. */
    bool stop;
};

static void *
sync_main(void *sync)
{
    struct sync *s = sync;

    pthread_mutex_lock(&s->mutex);
    for (;;) {
        while (!s->stop && (s->errnum || s->done >= s->want)) {
            pthread_cond_wait(&s->wake, &s->mutex);
        }
        if (s->errnum || s->done >= s->want) {
            break; /* Stopped, and nothing left to do. */
        }
        uint64_t target = s->want;
        int fd = s->fd;
        s->running = true;
        pthread_mutex_unlock(&s->mutex);
        int errnum = fdatasync(fd) ? errno : 0;
        pthread_mutex_lock(&s->mutex);
        s->running = false;
        if (errnum) {
            s->errnum = errnum;
        } else {
            s->done = target;
        }
        pthread_cond_broadcast(&s->moved);
        pthread_mutex_unlock(&s->mutex);
        s->notify(s->aux);
        pthread_mutex_lock(&s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

struct sync *
sync_new(int fd, void (*notify)(void *aux), void *aux)
{
    struct sync *s = NEW(struct sync);
    s->fd = fd;
    s->notify = notify;
    s->aux = aux;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->wake, NULL);
    pthread_cond_init(&s->moved, NULL);
    ASSERT(pthread_create(&s->thread, NULL, sync_main, s) == 0);
    return s;
}

void
sync_free(struct sync *s)
{
    if (s) {
        pthread_mutex_lock(&s->mutex);
        s->stop = true;
        pthread_cond_signal(&s->wake);
        pthread_mutex_unlock(&s->mutex);
        pthread_join(s->thread, NULL);
        pthread_mutex_destroy(&s->mutex);
        pthread_cond_destroy(&s->wake);
        pthread_cond_destroy(&s->moved);
        free(s);
    }
}

void
sync_want(struct sync *s, uint64_t seq)
{
    pthread_mutex_lock(&s->mutex);
    ASSERT(seq >= s->want);
    s->want = seq;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->mutex);
}

uint64_t
sync_done_seq(struct sync *s, int *ret_errnum)
{
    pthread_mutex_lock(&s->mutex);
    uint64_t done = s->done;
    *ret_errnum = s->errnum;
    pthread_mutex_unlock(&s->mutex);
    return done;
}

void
sync_wait_idle(struct sync *s)
{
    pthread_mutex_lock(&s->mutex);
    while (!s->errnum && s->done < s->want) {
        pthread_cond_wait(&s->moved, &s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
}

void
sync_set_fd(struct sync *s, int fd, uint64_t seq)
{
    pthread_mutex_lock(&s->mutex);
    while (s->running) {
        pthread_cond_wait(&s->moved, &s->mutex);
    }
    s->fd = fd;
    s->want = s->done = seq;
    pthread_mutex_unlock(&s->mutex);
}
