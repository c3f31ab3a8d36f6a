/* agent/stats.h: measures what machines use, keeps the live figures, and stores slots.
 *
 * Every STATS_SAMPLE_MS a thread asks libvirt once for all domains that run; a guest that hangs
 * delays nobody.  When a slot of 300 s has ended, another thread stores it with the readings
 * that it ends with.  A store that fails keeps the slots here and is tried again.
 * While somebody looks, there is a sample more for each look, at most one in STATS_LOOK_MS: the look itself
 * waits for nothing, the one after it sees figures of its own interval.
 * None of it touches the database of rows: it would wake every watcher. */
#ifndef AGENT_STATS_H
#define AGENT_STATS_H 1

#include "base/base.h"
#include "sql/sql.h"
#include "virt/sample.h"

struct agent;
struct stats;
struct request;
struct decode;

#define STATS_SAMPLE_MS 10000
#define STATS_LOOK_MS 1000

/* 'url' as in sql/sql.h; NULL: nothing is stored, the live figures are there all the same. */
struct stats *stats_new(struct agent *, const char *url);
void stats_free(struct stats *); /* After the agent's threads have ended. */
void stats_stop(struct stats *); /* No further sample. */
/* The machine has moved to another host: what was measured of it so far is stored now, and then follows it. */
void stats_left(struct stats *, const struct uuid *domain);
/* In a pass: history.c. */
void history_pass(struct stats *);

/* Requests of agent.sock; request.c calls them.
 *
 *     {"method":"top"}                       -> {"result":{"at":MS,"domains":[{...}][,"trouble":TEXT]}}
 *         All domains that run, as the agent saw them last.  One that has started since the last sample ("at") has
 *         no figures but its size; it says "sampled":false.  'trouble': libvirt does not answer, the list is of then.
 *     {"method":"stats","from":S,"to":S,"step":"minute|hour|day"[,"uuid":U]} + fd
 *                                            -> lines of JSON into fd, {"result":{"rows":N}} */
struct err *stats_top_prepare(struct request *, struct decode *) MUST_CHECK;
struct err *stats_read_prepare(struct request *, struct decode *) MUST_CHECK;

#endif /* agent/stats.h */
