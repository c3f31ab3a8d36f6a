/* agent/stats_i.h: between the rounds (stats.c) and the answers (stats_serve.c).  Private. */
#ifndef AGENT_STATS_I_H
#define AGENT_STATS_I_H 1

#include "agent/agent_i.h"
#include "agent/stats.h"
#include "base/vec.h"
#include "sql/parcel.h"

struct slots {
    struct sql_row *v; /* Names are owned. */
    size_t n, cap;
};

/* A machine as it was sampled last.  It stays for a while after it has ended: its slot needs a
 * name. */
struct live {
    struct hmap_node node;
    int64_t at_ms; /* It runs if this is the last sample's. */
    struct virt_sample sample;
};

/* What goes after machines that have moved, and what comes; history.c. */
struct history {
    bool look;                /* The store may have something for other hosts. */
    struct sql_parcel parcel; /* On its way, or about to be: one at a time. */
    bool posting, posted;
    int64_t give_up_ms, retry_at_ms;
    struct uuids {
        struct uuid *v;
        size_t n, cap;
    } skipped,
        refused; /* Hosts that do not take theirs, this time; rows that cannot be read. */
};

struct stats {
    struct agent *agent;
    char *url;  /* NULL: nothing is stored. */
    char *host; /* Key of the saved readings. */
    int64_t boot;
    struct work *work; /* One thread samples, one stores. */
    struct loop_timer *timer;
    bool loaded, sampling, storing, failing;
    int64_t rolled_hour;

    struct meter meter;
    struct hmap live; /* Of struct live, by UUID. */
    int64_t live_at_ms;
    int64_t begun_ms;     /* The last sample; monotonic. */
    struct slots pending; /* Not stored yet. */

    struct history history;

    struct sql *sql; /* Of the thread that stores, while 'storing' or not 'loaded'. */
};

struct live *live_find(const struct stats *, const struct uuid *); /* NULL: not sampled. */
struct sql_keep stats_keep(struct agent *);
void history_look(struct stats *); /* Something was stored. */
void history_done(struct stats *);
/* Somebody looks: the next sample is due now, and not in its own time. */
void stats_looked_at(struct stats *);

#endif /* agent/stats_i.h */
