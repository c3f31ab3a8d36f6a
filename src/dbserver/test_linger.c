/* dbserver/test_linger.c: who stays awake, and for how long. */
#include "dbserver/linger.h"
#include "loop/loop.h"
#include "test.h"

struct fixture {
    struct loop *loop;
    struct linger *linger;
};

static struct fixture
start(void)
{
    struct fixture f;
    CHECK_OK("loop", loop_new(&f.loop));
    f.linger = linger_new(f.loop);
    return f;
}

static void
end(struct fixture *f)
{
    linger_free(f->linger);
    loop_free(f->loop);
}

/* 'n' requests in one batch; is it awake after the answer? */
static bool
ask(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++) {
        linger_asked(f->linger);
    }
    linger_answered(f->linger);
    return linger_is_awake(f->linger);
}

TEST(awake_after_one_request_not_after_many)
{
    struct fixture f = start();
    CHECK("many", !ask(&f, 2));
    CHECK("an answer without a request", !ask(&f, 0));
    CHECK("one", ask(&f, 1));
    CHECK("the next one came in time", ask(&f, 1));
    CHECK("many end it", !ask(&f, 3));
    end(&f);
}

TEST(nothing_comes_and_it_sleeps)
{
    struct fixture f = start();
    CHECK("one", ask(&f, 1));
    loop_run(f.loop); /* Ends when nothing holds the loop. */
    CHECK("asleep", !linger_is_awake(f.linger));
    end(&f);
}

/* The answers between two attempts, when nothing ever comes in time: ever more, up to the bound. */
TEST(misses_make_it_rest)
{
    struct fixture f = start();
    for (int i = 0; i < LINGER_MISSES; i++) {
        CHECK("the first attempts", ask(&f, 1));
        loop_run(f.loop);
    }
    unsigned int want = 1;
    for (int round = 0; round < 15; round++) {
        unsigned int rest = 0;
        while (!ask(&f, 1)) {
            rest++;
        }
        CHECK_INT("answers without", rest, want);
        want = want < LINGER_REST_MAX ? 2 * want : LINGER_REST_MAX;
        loop_run(f.loop);
    }
    while (!ask(&f, 1)) {
    }
    CHECK("a hit ends the resting", ask(&f, 1));
    loop_run(f.loop);
    CHECK("and misses count anew", ask(&f, 1));
    end(&f);
}
