/* engine/crew.c: many small looks at files, by several threads.
 *
 * What costs in a scan is waiting: for a disk that could serve sixteen readers as quickly as one,
 * or for a server.  Threads live for one scan only, in the worker's own process; they take the
 * next few numbers from a counter.  As many begin as there are processors; if these do not get
 * on, they wait for something, and the others come.  Where nothing has to be waited for, sixteen of them would keep
 * a command of somebody else from a processor for long: so they are nice, of all that Byre does.  The calling thread does no file I/O itself, so it can still
 * answer when the deadline passes and a thread hangs in a dead server's file. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/scan_i.h"

#define ALONE_MAX 16 /* So few are done without any thread. */
#define BATCH 16     /* Numbers that a thread takes at a time. */
#define STACK_BYTES (512 * 1024)
#define NICE 5
#define EARLY_MS 5       /* Until they are looked at first: */
#define MANY_PER_MS 50   /* who does less has to wait for what is not in memory. */
#define LOOK_MS 20       /* Between looks at the deadline. */
#define PATIENCE_MS 1000 /* For threads to notice that they shall end. */

struct crew;
struct hand {
    struct crew *crew;
    int index;
};

struct crew {
    pthread_mutex_t lock; /* For 'n_working'. */
    pthread_cond_t rest;
    int n_working;
    atomic_size_t next;
    struct {
        atomic_size_t n;
        char apart[56]; /* Counters on one cache line would be fought for. */
    } done[CREW_MAX_HANDS];
    atomic_bool stop;
    size_t n;
    void (*fn)(void *aux, int hand, size_t i);
    void *aux;
    struct hand hands[CREW_MAX_HANDS];
    size_t n_hands; /* That were begun. */
};

static void *
hand_run(void *arg)
{
    struct hand *hand = arg;
    struct crew *crew = hand->crew;
    setpriority(PRIO_PROCESS, (id_t) gettid(), NICE); /* Of this thread. */
    for (size_t i; (i = atomic_fetch_add(&crew->next, BATCH)) < crew->n;) {
        for (size_t end = i + BATCH; i < end && i < crew->n; i++) {
            if (atomic_load_explicit(&crew->stop, memory_order_relaxed)) {
                break;
            }
            crew->fn(crew->aux, hand->index, i);
            atomic_fetch_add_explicit(&crew->done[hand->index].n, 1, memory_order_relaxed);
        }
    }
    pthread_mutex_lock(&crew->lock);
    crew->n_working--;
    pthread_cond_signal(&crew->rest);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* Begins threads until there are 'n'; fewer if there is not so much to do, or no room for them. */
static void
crew_start(struct crew *crew, size_t n)
{
    size_t n_hands = (size_t) min64((int64_t) (crew->n / BATCH), CREW_MAX_HANDS);
    n_hands = (size_t) min64((int64_t) n_hands, (int64_t) n);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (; crew->n_hands < n_hands; crew->n_hands++) {
        struct hand *hand = &crew->hands[crew->n_hands];
        *hand = (struct hand){ crew, (int) crew->n_hands };
        pthread_t thread;
        pthread_mutex_lock(&crew->lock);
        crew->n_working++;
        pthread_mutex_unlock(&crew->lock);
        if (pthread_create(&thread, &attr, hand_run, hand) == 0) {
            continue;
        } else if (crew->n_hands == 0) {
            crew->n_hands++;
            hand_run(hand); /* Alone, then. */
            break;
        }
        pthread_mutex_lock(&crew->lock);
        crew->n_working--;
        pthread_mutex_unlock(&crew->lock);
        break;
    }
    pthread_attr_destroy(&attr);
}

/* Waits up to 'ms' for all to rest.  True: they do. */
static bool
crew_wait(struct crew *crew, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&crew->lock);
    while (crew->n_working > 0 &&
           pthread_cond_timedwait(&crew->rest, &crew->lock, &until) == 0) {
    }
    bool resting = crew->n_working == 0;
    pthread_mutex_unlock(&crew->lock);
    return resting;
}

static size_t
n_done(struct crew *crew)
{
    size_t n = 0;
    for (int i = 0; i < CREW_MAX_HANDS; i++) {
        n += atomic_load_explicit(&crew->done[i].n, memory_order_relaxed);
    }
    return n;
}

/* Until all rest, the run is to end, or nothing moves any more. */
static struct err *
look_after(struct engine *engine, struct crew *crew, bool *ret_resting)
{
    int64_t stall_ms = engine->env->stall_ms - engine->env->stall_ms / 8;
    int64_t moved_ms = clock_mono_ms(), then_ms = moved_ms;
    size_t n_then = 0;
    for (int64_t wait_ms = EARLY_MS; !(*ret_resting = crew_wait(crew, wait_ms));
         wait_ms = LOOK_MS) {
        size_t n_now = n_done(crew);
        int64_t now_ms = clock_mono_ms();
        bool moved = n_now != n_then;
        if (n_now - n_then < (size_t) ((now_ms - then_ms) * MANY_PER_MS)) {
            crew_start(crew, CREW_MAX_HANDS);
        }
        n_then = n_now;
        then_ms = now_ms;
        moved_ms = moved ? now_ms : moved_ms;
        TRY(moved ? engine_interrupted(engine) : engine_ended(engine));
        if (stall_ms && now_ms - moved_ms > stall_ms) {
            return err_hint(err_new(ERR_TIMEOUT,
                                    "a file below '%s' does not answer since %" PRId64 " s",
                                    engine->root_path, stall_ms / 1000),
                            "look whether the storage below it answers; other pools go on");
        }
        engine_progress(engine, (int64_t) n_now, (int64_t) crew->n);
    }
    return NULL;
}

struct err *
crew_run(struct engine *engine, size_t n, void (*fn)(void *aux, int hand, size_t i),
         void *aux, bool *ret_abandoned)
{
    *ret_abandoned = false;
    for (size_t i = 0; n <= ALONE_MAX && i < n; i++) {
        TRY(engine_interrupted(engine));
        fn(aux, 0, i);
    }
    if (n <= ALONE_MAX) {
        return NULL;
    }
    struct crew *crew = NEW(struct crew);
    crew->n = n;
    crew->fn = fn;
    crew->aux = aux;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->rest, NULL);
    crew_start(crew, (size_t) max64(sysconf(_SC_NPROCESSORS_ONLN), 1));
    bool resting = false;
    struct err *e = look_after(engine, crew, &resting);
    if (!resting) {
        atomic_store(&crew->stop, true);
        if (!crew_wait(crew, PATIENCE_MS)) {
            *ret_abandoned = true; /* Some thread still has the crew. */
            return e;
        }
    }
    pthread_cond_destroy(&crew->rest);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
    return e;
}
