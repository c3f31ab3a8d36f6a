/* super/test_unit.c: lives of a program on a scripted clock. */
#include "super/unit.h"

#include <stdio.h>

#include "base/buf.h"
#include "test.h"

static const struct {
    const char *why;
    const char *script; /* Events with their time in ms: "want@0 free@0 died@5". */
    const char *want;   /* State after the last one, its wake time, deaths, actions done. */
} cases[] = {
    /* clang-format off */
    { "a start that works", "want@0 free@0 wake@50 answers@51",
      "up never 0: look spawn knock" },
    { "a predecessor is waited for", "want@0 wake@100 wake@200 free@200",
      "starting 250 0: look look look spawn" },
    { "it is not knocked before the time", "want@0 free@0 wake@49",
      "starting 50 0: look spawn" },
    { "knocking grows patient", "want@0 free@0 wake@50 wake@100 wake@2000",
      "starting 2500 0: look spawn knock knock knock" },
    { "and stays below 5 s", "want@0 free@0 wake@100000",
      "starting 105000 0: look spawn knock" },
    { "the first death waits 1 s", "want@0 free@0 answers@20 died@500",
      "backoff 1500 1: look spawn" },
    { "the second 2 s", "want@0 free@0 died@0 wake@1000 free@1000 died@1000",
      "backoff 3000 2: look spawn look spawn" },
    { "six in a row: 30 s at most",
      "want@0 free@0 died@0 wake@1000 free@1000 died@1000 wake@3000 free@3000 died@3000 "
      "wake@7000 free@7000 died@7000 wake@15000 free@15000 died@15000 "
      "wake@31000 free@31000 died@31000",
      "backoff 61000 6: look spawn look spawn look spawn look spawn look spawn look spawn" },
    { "a good minute is rewarded",
      "want@0 free@0 died@0 wake@1000 free@1000 died@1000 wake@3000 free@3000 died@63000",
      "backoff 64000 3: look spawn look spawn look spawn" },
    { "the end, obeyed", "want@0 free@0 answers@9 end@100 died@120",
      "off never 0: look spawn term" },
    { "the end, ignored", "want@0 free@0 answers@9 end@100 wake@10100 died@10101",
      "off never 0: look spawn term kill" },
    { "the end of one that starts", "want@0 free@0 end@10 died@11",
      "off never 0: look spawn term" },
    { "the end during back-off", "want@0 free@0 died@0 end@10 wake@1000",
      "off never 1: look spawn" },
    { "the end while waiting", "want@0 end@10 free@20", "off never 0: look" },
    { "a death that was asked for is none", "want@0 free@0 end@1 died@2 died@3",
      "off never 0: look spawn term" },
    /* clang-format on */
};

static enum unit_event
event_of(const char *name)
{
    static const char *const names[] = { "want", "wake", "free", "answers", "died", "end" };
    for (size_t i = 0; i < N_ELEMS(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return (enum unit_event) i;
        }
    }
    ASSERT(!"no such event");
}

TEST(scripts)
{
    static const char *const actions[] = {
        "", " look", " spawn", " knock", " term", " kill"
    };

    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct unit u = UNIT_INIT;
        CLEANUP(buf_done) struct buf done = BUF_INIT;
        const char *at = cases[i].script;
        char name[16];
        long long now;
        int n_read;
        while (sscanf(at, "%15[a-z]@%lld %n", name, &now, &n_read) == 2) {
            buf_str(&done, actions[unit_step(&u, event_of(name), now)]);
            at += n_read;
        }
        CHECK_STR(cases[i].why, at, "");
        CLEANUP(buf_done) struct buf got = BUF_INIT;
        buf_printf(&got, "%s ", unit_state_name(u.state));
        if (u.wake_ms == INT64_MAX) {
            buf_str(&got, "never");
        } else {
            buf_i64(&got, u.wake_ms);
        }
        buf_printf(&got, " %u:%s", u.n_deaths, buf_cstr(&done));
        CHECK_STR(cases[i].why, buf_cstr(&got), cases[i].want);
    }
}
