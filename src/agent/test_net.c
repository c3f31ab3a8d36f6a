/* agent/test_net.c: the next step for a network, as a table. */
#include <stdio.h>

#include "agent/diff_net.h"
#include "base/str.h"
#include "test.h"

#define P "1111111111111111"
#define Q "2222222222222222"
#define H "3333333333333333"
#define I "4444444444444444"

static const struct net_want nat = { .print = P, .hosts = H };
static const struct net_want nat_used = { .print = P, .hosts = H, .users = "web" };
static const struct net_want nat_bad = { .error = "what\nwhy\nnext" };
static const struct net_want nat_gone = { .print = P, .hosts = H, .deleted = true };
static const struct net_want nat_gone_used = {
    .print = P, .hosts = H, .deleted = true, .users = "web"
};
static const struct net_want bridge = { .is_bridge = true, .print = "", .hosts = "" };
static const struct net_want card = { .is_bridge = true, .has_nic = true, .print = "" };
static const struct net_want card_gone = { .is_bridge = true,
                                           .has_nic = true,
                                           .deleted = true };

/* clang-format off */
#define SEEN(...) { .looked = true, __VA_ARGS__ }
#define RUNS .exists = true, .active = true, .ours = true
static const struct {
    const char *why;
    const struct net_want *want;
    struct net_seen seen;
    const char *decided; /* "STEP", or "STATE first line of the error". */
} cases[] = {
    { "nothing is known", &nat, { .looked = false }, "look" },
    { "it is not there", &nat, SEEN(.exists = false), "define" },
    { "defined", &nat, SEEN(.exists = true, .ours = true, .print = P), "start" },
    { "runs", &nat, SEEN(RUNS, .print = P, .live_print = P, .hosts = H), "active" },
    { "other hosts", &nat, SEEN(RUNS, .print = P, .live_print = P, .hosts = I), "hosts" },
    { "another definition", &nat, SEEN(RUNS, .print = Q, .live_print = Q), "define" },
    { "another's lease", &nat, SEEN(RUNS, .print = P, .live_print = P, .hosts = H, .stale_leases = true),
      "leases" },
    { "hosts before leases", &nat, SEEN(RUNS, .print = P, .live_print = P, .hosts = I, .stale_leases = true),
      "hosts" },
    { "it runs as it was", &nat, SEEN(RUNS, .print = P, .live_print = Q), "stop" },
    { "it runs as it was, and is in use", &nat_used, SEEN(RUNS, .print = P, .live_print = Q),
      "active restart the network still runs as it was before the last change" },
    { "somebody else's", &nat, SEEN(.exists = true, .active = true),
      "inactive libvirt has a network of that name that Byre did not make" },
    { "renamed while off", &nat, SEEN(.exists = true, .ours = true, .renamed = true, .print = P),
      "undefine" },
    { "renamed while on", &nat, SEEN(RUNS, .renamed = true, .print = P, .live_print = P), "stop" },
    { "a row that cannot be", &nat_bad, SEEN(.exists = false), "missing what" },
    { "a row that cannot be, but ran", &nat_bad, SEEN(RUNS), "active what" },
    { "deleted, runs", &nat_gone, SEEN(RUNS), "stop" },
    { "deleted, off", &nat_gone, SEEN(.exists = true, .ours = true), "undefine" },
    { "deleted, gone", &nat_gone, SEEN(.exists = false), "row-gone" },
    { "deleted, in use", &nat_gone_used, SEEN(RUNS), "active the network is in use on this host" },
    { "deleted, but another's", &nat_gone, SEEN(.exists = true, .active = true), "row-gone" },
    { "no bridge", &bridge, SEEN(.exists = false), "missing the network's bridge is not on this host" },
    { "a bridge", &bridge, SEEN(.exists = true), "active" },
    { "to be made", &card, SEEN(.exists = false), "bridge" },
    { "without its card", &card, SEEN(.exists = true, .ours = true), "bridge" },
    { "another's is not given a card", &card, SEEN(.exists = true), "active" },
    { "made", &card, SEEN(.exists = true, .ours = true, .attached = true), "active" },
    { "to be removed", &card_gone, SEEN(.exists = true, .ours = true), "unbridge" },
    { "another's stays", &card_gone, SEEN(.exists = true), "row-gone" },
};
/* clang-format on */

TEST(next_steps)
{
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct net_memo memo = { .failed = false };
        struct net_decision d = net_decide(cases[i].want, &cases[i].seen, &memo, 1000);
        char got[200];

        if (d.step != NET_DO_NOTHING) {
            snprintf(got, sizeof got, "%s", net_step_name(d.step));
        } else {
            snprintf(got, sizeof got, "%s%s%s%.*s", d.state,
                     d.needs_restart ? " restart" : "", d.error ? " " : "",
                     d.error ? (int) strcspn(d.error, "\n") : 0, d.error ? d.error : "");
            CHECK(cases[i].why, d.settled);
        }
        CHECK_STR(cases[i].why, got, cases[i].decided);
    }
}

TEST(a_failure_is_tried_again_later)
{
    struct net_seen seen = SEEN(.exists = true, .ours = true, .print = P);
    struct net_memo memo = { .failed = false };

    net_memo_failed(&memo, &nat, "no dnsmasq", 1000);
    struct net_decision d = net_decide(&nat, &seen, &memo, 1000);
    CHECK("told", d.settled && d.step == NET_DO_NOTHING);
    CHECK_STR("why", d.error, "no dnsmasq");
    CHECK_INT("when", d.wake_ms, 1000 + NET_RETRY_MIN_MS);
    CHECK("then again", net_decide(&nat, &seen, &memo, d.wake_ms).step == NET_DO_START);
    net_memo_failed(&memo, &nat, "no dnsmasq", d.wake_ms);
    CHECK_INT("more patient", memo.retry_ms, 2 * NET_RETRY_MIN_MS);

    struct net_want newer = nat;
    newer.generation = 1;
    CHECK("another want is tried at once",
          net_decide(&newer, &seen, &memo, d.wake_ms).step == NET_DO_START);
    net_memo_worked(&memo);
    CHECK("forgotten", net_decide(&nat, &seen, &memo, 0).step == NET_DO_START);
    net_memo_done(&memo);
}
