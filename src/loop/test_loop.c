/* loop/test_loop.c: timers, posts, signals, descriptors, and the pool of threads. */
#include "loop/loop.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "loop/work.h"
#include "test.h"

struct fixture {
    struct loop *loop;
    struct buf seen;
    struct loop_timer *timer;
    struct loop_signal *signal;
    struct loop_fd *fd;
    int pipe[2];
    int n;
    struct work *work;
};

static void
setup(struct fixture *f)
{
    *f = (struct fixture){ .seen = BUF_INIT };
    CHECK_OK("loop", loop_new(&f->loop));
}

static void
teardown(struct fixture *f)
{
    loop_free(f->loop);
    buf_done(&f->seen);
}

static void
see_once(void *f_)
{
    struct fixture *f = f_;
    buf_char(&f->seen, 'o');
    loop_timer_repeat(f->timer, 5);
}

static void
see_repeat(void *f_)
{
    struct fixture *f = f_;
    buf_char(&f->seen, 'r');
    if (++f->n == 3) {
        loop_timer_free(f->timer); /* Within its own callback. */
    }
}

TEST(timers)
{
    struct fixture f;
    setup(&f);
    f.timer = loop_timer_new(f.loop, see_repeat, &f);
    struct loop_timer *once = loop_timer_new(f.loop, see_once, &f);
    CHECK("not set at first", !loop_timer_is_set(once));
    int64_t start_ms = clock_mono_ms();
    loop_timer_set(once, 5000);
    loop_timer_set(once, 20); /* Replaces. */
    loop_run(f.loop);
    CHECK_STR("once, then three", buf_cstr(&f.seen), "orrr");
    CHECK("time passed", clock_mono_ms() - start_ms >= 34);
    loop_timer_set(once, 1000);
    loop_timer_clear(once);
    loop_run(f.loop); /* Ends at once. */
    loop_timer_free(once);
    teardown(&f);
}

static void
see_post(void *f_)
{
    struct fixture *f = f_;
    f->n++;
    if (f->n == 1000) {
        loop_release(f->loop);
    }
}

static void *
poster(void *f_)
{
    struct fixture *f = f_;
    for (int i = 0; i < 500; i++) {
        loop_post(f->loop, see_post, f);
    }
    return NULL;
}

TEST(posts_from_threads)
{
    struct fixture f;
    setup(&f);
    loop_hold(f.loop);
    pthread_t a, b;
    pthread_create(&a, NULL, poster, &f);
    pthread_create(&b, NULL, poster, &f);
    loop_run(f.loop);
    CHECK_INT("all came", f.n, 1000);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    teardown(&f);
}

static void
see_signal(void *f_)
{
    struct fixture *f = f_;
    buf_char(&f->seen, 's');
    loop_stop(f->loop);
}

TEST(signals)
{
    struct fixture f;
    setup(&f);
    CHECK_OK("signal", loop_signal_new(f.loop, SIGUSR1, see_signal, &f, &f.signal));
    loop_hold(f.loop);
    raise(SIGUSR1);
    loop_run(f.loop);
    loop_release(f.loop);
    CHECK_STR("seen", buf_cstr(&f.seen), "s");
    loop_run(f.loop); /* A handler alone keeps nothing alive. */
    loop_signal_free(f.signal);
    teardown(&f);
}

static void
see_fd(void *f_, int ready)
{
    struct fixture *f = f_;
    char bytes[10];
    CHECK_INT("readable", ready, LOOP_READ);
    ssize_t n = read(f->pipe[0], bytes, sizeof bytes);
    if (n <= 0) {
        loop_fd_free(f->fd);
    } else {
        buf_add(&f->seen, bytes, (size_t) n);
    }
}

TEST(descriptors)
{
    struct fixture f;
    setup(&f);
    CHECK("pipe", pipe(f.pipe) == 0);
    CHECK_OK("fd", loop_fd_new(f.loop, f.pipe[0], see_fd, &f, &f.fd));
    CHECK("write", write(f.pipe[1], "abc", 3) == 3);
    loop_turn(f.loop, 0);
    CHECK_STR("nothing is wanted yet", buf_cstr(&f.seen), "");
    loop_fd_set(f.fd, LOOP_READ);
    loop_turn(f.loop, 1000);
    CHECK_STR("read", buf_cstr(&f.seen), "abc");
    close(f.pipe[1]);
    loop_run(f.loop);
    close(f.pipe[0]);
    teardown(&f);
}

TEST(a_turn_waits_no_longer_than_told)
{
    struct fixture f;
    setup(&f);
    int64_t start_ms = clock_mono_ms();
    loop_turn(f.loop, 30);
    int64_t took_ms = clock_mono_ms() - start_ms;
    CHECK("about 30 ms", took_ms >= 29 && took_ms < 1000);
    teardown(&f);
}

/* Work.  Each job notes its begin and end; jobs of one key must never overlap. */

struct sample {
    struct fixture *f;
    char key;
    int number;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int running[256], n_running, n_running_max, last[256];
static bool overlapped, disordered;

static void
run_sample(void *s_)
{
    struct sample *s = s_;
    unsigned char key = (unsigned char) s->key;
    pthread_mutex_lock(&lock);
    overlapped |= running[key]++ > 0;
    disordered |= s->number < last[key];
    last[key] = s->number;
    if (++n_running > n_running_max) {
        n_running_max = n_running;
    }
    pthread_mutex_unlock(&lock);
    usleep(2000);
    pthread_mutex_lock(&lock);
    running[key]--;
    n_running--;
    pthread_mutex_unlock(&lock);
}

static void
sample_done(void *s_, bool dropped)
{
    struct sample *s = s_;
    buf_printf(&s->f->seen, "%s%c%d ", dropped ? "!" : "", s->key, s->number);
    free(s);
}

static void
submit(struct fixture *f, char key, int number)
{
    struct sample *s = NEW(struct sample);
    *s = (struct sample){ f, key, number };
    work_submit(f->work, (char[]){ key, '\0' }, run_sample, sample_done, s);
}

TEST(work_of_one_key_is_serial)
{
    struct fixture f;
    setup(&f);
    f.work = work_new(f.loop, 4);
    for (int i = 0; i < 20; i++) {
        submit(&f, 'a', i);
        submit(&f, 'b', i);
        submit(&f, 'c', i);
    }
    CHECK_INT("pending", work_n_pending(f.work), 60);
    CHECK_INT("of one key", work_n_pending_key(f.work, "a"), 20);
    loop_run(f.loop); /* Until no work is left. */
    CHECK_INT("none left", work_n_pending(f.work), 0);
    CHECK("serial and in order", !overlapped && !disordered);
    CHECK("in parallel otherwise", n_running_max >= 2 && n_running_max <= 3);
    const char *at = buf_cstr(&f.seen);
    for (int i = 0; i < 20; i++) {
        char want[10];
        snprintf(want, sizeof want, "a%d ", i);
        at = strstr(at, want);
        CHECK("done in order", at);
    }
    work_free(f.work);
    teardown(&f);
}

TEST(work_that_has_not_begun_is_dropped)
{
    struct fixture f;
    setup(&f);
    memset(last, 0, sizeof last);
    f.work = work_new(f.loop, 1);
    for (int i = 0; i < 3; i++) {
        submit(&f, 'z', i);
    }
    usleep(500);
    work_free(f.work);
    CHECK("the last one never ran", strstr(buf_cstr(&f.seen), "!z2"));
    teardown(&f);
}

static void
free_pool(void *f_, bool dropped UNUSED)
{
    struct fixture *f = f_;
    f->n++;
    work_free(TAKE(f->work));
}

static void
run_nothing(void *f UNUSED)
{
}

TEST(the_pool_may_be_freed_by_a_done)
{
    struct fixture f;
    setup(&f);
    f.work = work_new(f.loop, 2);
    work_submit(f.work, NULL, run_nothing, free_pool, &f);
    loop_run(f.loop);
    CHECK("freed", f.n == 1 && !f.work);
    teardown(&f);
}
