/* journal/sync.c: see sync.h. */
#include "journal/sync.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"

struct sync_job { /* A file that takes the place of another. */
    int fd, old_fd;
    char *tmp, *path;
};

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
    struct sync_job *job; /* To do, or being done. */
    bool running;         /* The thread is at work, on 'fd' or the job. */
    bool stop;
};

/* Returns an errno value. */
static int
job_do(const struct sync_job *job)
{
    if (fdatasync(job->fd) || rename(job->tmp, job->path)) {
        return errno;
    }
    CLEANUP(free_drop) char *dir = path_dir(job->path);
    struct err *e = fs_sync_dir(dir);
    int errnum = e ? (err_errno(e) ? err_errno(e) : EIO) : 0;
    err_free(e);
    return errnum;
}

static void *
close_main(void *fd)
{
    close((int) (intptr_t) fd);
    return NULL;
}

void
sync_close_aside(int fd)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, close_main, (void *) (intptr_t) fd) == 0) {
        pthread_detach(thread);
    } else {
        close(fd);
    }
}

static void
job_free(struct sync_job *job)
{
    sync_close_aside(job->old_fd);
    free(job->tmp);
    free(job->path);
    free(job);
}

static bool
has_work(const struct sync *s)
{
    return !s->errnum && (s->done < s->want || s->job);
}

static void *
sync_main(void *sync)
{
    struct sync *s = sync;

    pthread_mutex_lock(&s->mutex);
    for (;;) {
        while (!s->stop && !has_work(s)) {
            pthread_cond_wait(&s->wake, &s->mutex);
        }
        if (!has_work(s)) {
            break; /* Stopped, and nothing left to do. */
        }
        uint64_t target = s->want;
        int fd = s->fd;
        struct sync_job *job = s->job;
        s->running = true;
        pthread_mutex_unlock(&s->mutex);
        int errnum = job ? job_do(job) : fdatasync(fd) ? errno : 0;
        pthread_mutex_lock(&s->mutex);
        s->running = false;
        if (job) {
            s->fd = job->fd;
            s->job = NULL;
            job_free(job);
        }
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
        if (s->job) { /* Left behind by a failure. */
            job_free(s->job);
        }
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
sync_switch(struct sync *s, int fd, const char *tmp, const char *path, int old_fd)
{
    struct sync_job *job = NEW(struct sync_job);
    *job = (struct sync_job){ fd, old_fd, str_dup(tmp), str_dup(path) };
    pthread_mutex_lock(&s->mutex);
    ASSERT(!s->job);
    s->job = job;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->mutex);
}

bool
sync_is_switching(struct sync *s)
{
    pthread_mutex_lock(&s->mutex);
    bool switching = s->job != NULL;
    pthread_mutex_unlock(&s->mutex);
    return switching;
}

void
sync_wait_idle(struct sync *s)
{
    pthread_mutex_lock(&s->mutex);
    while (has_work(s)) {
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
