/* loop/work.c: see work.h.
 *
 * Jobs wait in one list, oldest first.  A thread takes the oldest job whose key is not running;
 * as only few keys run at a time, looking them up is a walk over the threads. */
#include "loop/work.h"

#include <pthread.h>
#include <signal.h>

#include "base/list.h"
#include "base/str.h"
#include "loop/loop.h"

struct job {
    struct list node;    /* In struct work's 'waiting' or 'finished'. */
    struct list pending; /* In struct work's 'pending'. */
    char *key;           /* NULL: no order. */
    void (*run)(void *aux);
    void (*done)(void *aux, bool dropped);
    void *aux;
};

struct worker {
    struct work *work;
    pthread_t thread;
    const struct job *running; /* NULL while idle. */
};

struct work {
    struct loop *loop;
    struct worker *workers;
    unsigned int n_workers;

    pthread_mutex_t lock; /* For these, and the workers' 'running': */
    pthread_cond_t wake;
    struct list waiting, finished;
    bool quit;
    bool posted; /* on_finished() is on its way. */

    struct list pending; /* All jobs.  From here on for the loop's thread only. */
    size_t n_pending;
    bool gone;      /* Freed by its user; on_finished() has to destroy it. */
    bool finishing; /* on_finished() runs. */
};

static bool
key_is_running(const struct work *w, const char *key)
{
    for (unsigned int i = 0; key && i < w->n_workers; i++) {
        const struct job *running = w->workers[i].running;
        if (running && str_eq(running->key, key)) {
            return true;
        }
    }
    return false;
}

/* The oldest job that may begin, removed from the list; NULL if none may. */
static struct job *
next_job(struct work *w)
{
    LIST_FOR_EACH (struct job, job, node, &w->waiting) {
        if (!key_is_running(w, job->key)) {
            list_remove(&job->node);
            return job;
        }
    }
    return NULL;
}

static void
job_finish(struct work *w, struct job *job, bool dropped)
{
    list_remove(&job->pending);
    w->n_pending--;
    loop_release(w->loop);
    if (job->done) {
        job->done(job->aux, dropped);
    }
    free(job->key);
    free(job);
}

static void
work_destroy(struct work *w)
{
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->wake);
    free(w->workers);
    free(w);
}

/* On the loop's thread.  'done' may submit more, or free the pool. */
static void
on_finished(void *w_)
{
    struct work *w = w_;
    pthread_mutex_lock(&w->lock);
    w->posted = false;
    w->finishing = true;
    for (struct list *node; (node = list_pop_front(&w->finished));) {
        pthread_mutex_unlock(&w->lock);
        job_finish(w, CONTAINER_OF(node, struct job, node), false);
        pthread_mutex_lock(&w->lock);
    }
    w->finishing = false;
    bool destroy = w->gone && !w->posted;
    pthread_mutex_unlock(&w->lock);
    if (destroy) {
        work_destroy(w);
    }
}

static void *
worker_main(void *worker_)
{
    struct worker *worker = worker_;
    struct work *w = worker->work;

    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct job *job = w->quit ? NULL : next_job(w);
        if (job) {
            worker->running = job;
            pthread_mutex_unlock(&w->lock);
            job->run(job->aux);
            pthread_mutex_lock(&w->lock);
            worker->running = NULL;
            list_push_back(&w->finished, &job->node);
            pthread_cond_broadcast(&w->wake); /* Its key is free now. */
            if (!w->posted) {
                w->posted = true;
                loop_post(w->loop, on_finished, w);
            }
        } else if (w->quit) {
            break;
        } else {
            pthread_cond_wait(&w->wake, &w->lock);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

struct work *
work_new(struct loop *loop, unsigned n_threads)
{
    ASSERT(n_threads > 0);
    struct work *w = NEW(struct work);
    w->loop = loop;
    w->n_workers = n_threads;
    w->workers = xcalloc(n_threads, sizeof *w->workers);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    list_init(&w->waiting);
    list_init(&w->finished);
    list_init(&w->pending);

    /* Signals are the loop thread's. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (unsigned int i = 0; i < n_threads; i++) {
        w->workers[i].work = w;
        int code = pthread_create(&w->workers[i].thread, NULL, worker_main, &w->workers[i]);
        ASSERT(code == 0);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return w;
}

static void
finish_all(struct work *w, struct list *jobs, bool dropped)
{
    for (struct list *node; (node = list_pop_front(jobs));) {
        job_finish(w, CONTAINER_OF(node, struct job, node), dropped);
    }
}

void
work_free(struct work *w)
{
    if (!w) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->quit = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    for (unsigned int i = 0; i < w->n_workers; i++) {
        pthread_join(w->workers[i].thread, NULL);
    }
    finish_all(w, &w->finished, false); /* No thread is left to lock against. */
    finish_all(w, &w->waiting, true);
    if (w->posted || w->finishing) {
        w->gone = true;
    } else {
        work_destroy(w);
    }
}

void
work_submit(struct work *w, const char *key, void (*run)(void *aux),
            void (*done)(void *aux, bool dropped), void *aux)
{
    ASSERT(!w->quit);
    struct job *job = NEW(struct job);
    job->key = str_dup(key);
    job->run = run;
    job->done = done;
    job->aux = aux;
    list_push_back(&w->pending, &job->pending);
    w->n_pending++;
    loop_hold(w->loop);

    pthread_mutex_lock(&w->lock);
    list_push_back(&w->waiting, &job->node);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

size_t
work_n_pending(const struct work *w)
{
    return w->n_pending;
}

size_t
work_n_pending_key(const struct work *w, const char *key)
{
    size_t n = 0;
    LIST_FOR_EACH (struct job, job, pending, &w->pending) {
        n += job->key && str_eq(job->key, key);
    }
    return n;
}
