/* sched/test_sched.c: the worked examples of the guides, and the limits between them. */
#include "sched/admit.h"
#include "sched/converge.h"
#include "sched/place.h"

#include <math.h>

#include "test.h"

/* A guest of so many GiB whose overhead does not show. */
#define BARE(n)                                                                            \
    {                                                                                      \
        .memory = (n) *GIB, .measured = 1, .vcpus = 1                                      \
    }

TEST(domain_0_gets_what_oracle_vm_gives_it)
{
    static const struct {
        int64_t gib, mib;
    } cases[] = { { 2, 543 },    { 16, 837 },   { 32, 1173 },  { 64, 1845 },
                  { 128, 3188 }, { 256, 5875 }, { 512, 11249 } };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CHECK_INT("MiB", admit_dom0_bytes(cases[i].gib * GIB) / MIB, cases[i].mib);
    }
}

TEST(reserve)
{
    CHECK_INT("at least 4 GiB", admit_reserve_default(64 * GIB), 4 * GIB);
    CHECK_INT("more on a large host", admit_reserve_default(512 * GIB), 11249 * MIB);
    CHECK_INT("a small one keeps less, or nothing would be left",
              admit_reserve_default(2 * GIB), 543 * MIB);
}

static const struct admit_case {
    const char *why;
    int64_t ram, swap; /* GiB. */
    double policy;
    int64_t guests;                   /* GiB in all, without overhead. */
    double ratio;                     /* Wanted, rounded to 2 digits. */
    int64_t swap_needed, comfortable; /* GiB. */
    const char *verdict;
} admit_cases[] = {
    /* clang-format off */
    { "64 GiB host, guests of 40", 64, 4, 1.5, 40, 0.69, 0, 0, "" },
    { "guests of 96 need 40 of swap", 64, 40, 2.0, 96, 1.56, 40, 96, "" },
    { "one less is too little", 64, 39, 2.0, 96, 1.56, 40, 96,
      "overcommit of 1.56 needs 40.0 GiB of swap, the host has 39.0 GiB" },
    { "the guide's 50 guests of 1 GiB on 32", 32, 26, 2.0, 50, 1.69, 26, 48, "" },
    { "the baseline counts when it is larger", 32, 16, 1.5, 33, 1.16, 16, 32, "" },
    { "no overcommit unless allowed", 64, 400, 0, 61, 1.02, 40, 40,
      "guests 61.0 GiB + overhead 0.0 GiB + host 4.0 GiB = 65.0 GiB, the host has 64.0 GiB" },
    { "not beyond the policy", 64, 400, 1.2, 96, 1.56, 40, 44,
      "1.56 times the host's memory would be promised, the cluster allows 1.20" },
    /* clang-format on */
};

TEST(kvm_overcommit)
{
    for (const struct admit_case *c = admit_cases; c < admit_cases + N_ELEMS(admit_cases);
         c++) {
        struct admit_host host = { ADMIT_KVM, c->ram * GIB, c->swap * GIB, 4 * GIB,
                                   0,         c->policy };
        struct admit_guest guest = BARE(c->guests);
        struct admit_sum sum = admit_add_up(&host, &guest, 1);
        CLEANUP(err_drop) struct err *e = admit_verdict(&host, &sum);
        CHECK_INT(c->why, lround(sum.ratio * 100), lround(c->ratio * 100));
        if (c->policy > 0) {
            CHECK_INT(c->why, sum.swap_needed / GIB, c->swap_needed);
            CHECK_INT(c->why, sum.swap_comfortable / GIB, c->comfortable);
        }
        CHECK_STR(c->why, e ? err_why(e) : "", c->verdict);
        CHECK(c->why, !e || err_next(e));
    }
}

TEST(one_guest_more)
{
    struct admit_host host = { ADMIT_KVM, 16 * GIB, 0, 4 * GIB, 0, 0 };
    struct admit_guest guest = BARE(6);
    struct admit_sum sum = admit_add_up(&host, &guest, 1), after;
    CHECK_OK("6 + 5 + 4 of 16",
             admit_check(&host, &sum, &(struct admit_guest) BARE(5), &after));
    CHECK_INT("counted", (int64_t) after.n_guests, 2);
    CHECK_INT("the old sum stays", (int64_t) sum.n_guests, 1);
    CHECK_ERR("6 + 6 + 4 and the overheads do not fit",
              admit_check(&host, &sum, &(struct admit_guest) BARE(6), &after),
              ERR_NO_SPACE);
    CHECK("figures all the same", after.guests == 12 * GIB);
}

TEST(overhead_is_planned_until_it_is_measured)
{
    struct admit_guest guest = { .memory = GIB, .vcpus = 4 };
    CHECK_INT("planned", admit_overhead(ADMIT_KVM, &guest) / MIB, 200 + 8 + 16);
    guest.measured = 70 * MIB;
    CHECK_INT("measured", admit_overhead(ADMIT_KVM, &guest) / MIB, 70);
}

TEST(locked_memory_cannot_be_swapped)
{
    struct admit_host host = { ADMIT_KVM, 64 * GIB, 400 * GIB, 4 * GIB, 0, 3.0 };
    struct admit_guest guest = BARE(61);
    guest.locked = true;
    struct admit_sum sum = admit_add_up(&host, &guest, 1);
    CHECK_ERR("swap does not help", admit_verdict(&host, &sum), ERR_NO_SPACE);
    guest.locked = false;
    sum = admit_add_up(&host, &guest, 1);
    CHECK_OK("not locked it is fine", admit_verdict(&host, &sum));
}

/* An Oracle VM server: 134,089,040 KiB, 28,216,812 free; guests of 16,352 MiB with 4 CPUs. */
TEST(xen_has_no_overcommit)
{
    struct admit_host host = { ADMIT_XEN, 134089040 * KIB, 0, 0, 28216812 * KIB, 5.0 };
    struct admit_guest guest = { .memory = 16352 * MIB, .vcpus = 4 };
    struct admit_sum sum = admit_add_up(&host, NULL, 0), after;
    CHECK_INT("shadow memory", admit_overhead(ADMIT_XEN, &guest) / MIB, 131);
    CHECK_OK("one more fits", admit_check(&host, &sum, &guest, &after));
    host.xen_free -= guest.memory;
    CHECK_ERR("two do not", admit_check(&host, &sum, &guest, &after), ERR_NO_SPACE);
}

TEST(explanation)
{
    struct admit_host host = { ADMIT_KVM, 64 * GIB, 40 * GIB, 4 * GIB, 0, 2.0 };
    struct admit_guest guest = BARE(96);
    struct admit_sum sum = admit_add_up(&host, &guest, 1);
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    admit_explain(&text, &host, &sum);
    CHECK_STR(
        "a line a step", buf_cstr(&text),
        "1 guest                        96.0 GiB\n"
        "+ overhead                      0.0 GiB   QEMU's own, measured or planned\n"
        "+ host                          4.0 GiB   reserve\n"
        "= promised                    100.0 GiB\n"
        "memory of the host             64.0 GiB\n"
        "ratio                          1.56        2.00 is allowed\n"
        "swap there is                  40.0 GiB\n"
        "swap needed                    40.0 GiB   the larger of the next two\n"
        "  by the memory alone          32.0 GiB\n"
        "  by the guests                40.0 GiB   guests + 4 host + 4 its swap - memory\n"
        "swap to be comfortable         96.0 GiB   half the memory + memory x (allowed - 1)\n"
        "verdict                  within the rules\n");
}

static const struct converge_case {
    const char *why;
    int64_t memory_mib, disk_mib, link, dirty, write; /* MiB and MiB/s. */
    int64_t downtime_ms;
    bool ends;
    int passes;
    int64_t deciseconds, pause_ms;
} converge_cases[] = {
    /* clang-format off */
    { "16 GiB over 10 GbE", 16384, 0, 1100, 200, 0, 300, true, 3, 182, 90 },
    { "a short pause needs more passes", 16384, 0, 1100, 200, 0, 10, true, 5, 182, 3 },
    { "1 GbE never ends", 16384, 0, 110, 200, 0, 300, false, 0, 1489, 0 },
    { "an idle guest is one pass", 1024, 0, 110, 0, 0, 300, true, 1, 93, 0 },
    { "a guest that fits into the pause", 16, 0, 110, 100, 0, 300, true, 0, 1, 145 },
    { "disks go first", 1024, 10240, 1024, 0, 0, 300, true, 1, 110, 0 },
    { "disks that are written too fast", 1024, 10240, 100, 0, 200, 300, false, 0, 1024, 0 },
    /* clang-format on */
};

TEST(migration_forecast)
{
    for (const struct converge_case *c = converge_cases;
         c < converge_cases + N_ELEMS(converge_cases); c++) {
        struct converge_in in = { c->memory_mib * MIB, c->disk_mib * MIB, c->link * MIB,
                                  c->dirty * MIB,      c->write * MIB,    c->downtime_ms };
        struct converge out = converge_forecast(&in);
        CHECK_INT(c->why, out.ends, c->ends);
        CHECK_INT(c->why, out.n_passes, c->passes);
        CHECK_INT(c->why, (int64_t) lround(out.seconds * 10), c->deciseconds);
        CHECK_INT(c->why, (int64_t) lround(out.pause_ms), c->pause_ms);
        CHECK(c->why, out.ends == !out.advice);
    }
}

TEST(throttling_that_would_do)
{
    struct converge_in in = { 16384 * MIB, 0, 110 * MIB, 200 * MIB, 0, 300 };
    struct converge out = converge_forecast(&in);
    CHECK_INT("half its speed", (int64_t) lround(out.throttle * 100), 51);
}

TEST(a_forecast_for_people)
{
    struct converge_in in = { 1024 * MIB, 0, 125 * MIB, 20 * MIB, 0, 300 };
    struct converge ends = converge_forecast(&in);
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    converge_explain(&text, &in, &ends, true, false);
    CHECK_STR("it ends", buf_cstr(&text),
              "memory in use       1024.0 MiB\n"
              "dirtied               20.0 MiB/s\n"
              "link                 125.0 MiB/s (assumed: its driver does not tell)\n"
              "allowed pause          300 ms\n"
              "passes                   2\n"
              "sent                1214.1 MiB\n"
              "time                   9.7 s\n"
              "pause                  210 ms, and what its devices take\n"
              "verdict         it converges");
    in.dirty_rate = 250 * MIB;
    struct converge never = converge_forecast(&in);
    buf_clear(&text);
    converge_explain(&text, &in, &never, true, true);
    CHECK("it does not", strstr(buf_cstr(&text), "it does not converge: auto-converge") &&
                             strstr(buf_cstr(&text), "slowed by 55 % it would"));
}

TEST(the_host_with_most_memory_left)
{
    struct place_host hosts[] = {
        { "off", false, 9000, 0, 0 },
        { "full", true, 8000, 5, 5 },
        { "b", true, 4000, 0, 0 },
        { "c", true, 3500, 0, 2 },
    };
    static const struct {
        const char *why;
        int64_t mem;
        int want;
    } cases[] = {
        { "the largest of those that may", 1000, 2 },
        { "what was placed counts", 1000, 3 },
        { "again", 1000, 2 },
        { "again the other", 2000, 3 },
        { "nobody has so much", 2500, -1 },
        { "the last one", 2000, 2 },
    };
    const char *why = NULL;

    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CHECK_INT(cases[i].why, place_pick(hosts, N_ELEMS(hosts), cases[i].mem, &why),
                  cases[i].want);
    }
    CHECK_STR("why", why, "no other host has so much memory free");
    CHECK_INT("none at all", place_pick(hosts, 1, 1, &why), -1);
    CHECK_STR("why", why, "no other host is online and open for machines");
    CHECK_INT("full", place_pick(hosts, 2, 1, &why), -1);
    CHECK_STR("why", why, "the other hosts have as many machines as they may");
}
