/* stat/stat.h: what a machine has used, by slots of time.
 *
 * Shape.  A reading is what the hypervisor says now: counters that grow while the machine runs, and
 *         two gauges.  A meter holds the last reading of each machine and the slot that is being
 *         filled; meter_read() adds the difference.  meter_cut() hands over the slots of a period that ended.
 * Restart. A machine that was started anew counts from zero: its whole counter is the difference.
 *         One whose counter went back without a new start wrapped at 2^32 if it was close to that; else
 *         the hypervisor lost it, and nothing is counted.
 *         A machine seen for the first time adds nothing: nobody knows when that was used.
 * Units.  Bytes, requests, packets, milliseconds of CPU over all virtual CPUs, KiB of memory.
 *         Times are seconds since 1970 UTC, as in VMmanager's tables; but a reading knows its millisecond,
 *         because rates of a second or two are made of it. */
#ifndef STAT_STAT_H
#define STAT_STAT_H 1

#include "base/buf.h"
#include "base/map.h"
#include "base/uuid.h"

#define STAT_SLOT_S 300
#define STAT_HOUR_S 3600
#define STAT_DAY_S 86400

/* The counters, in the order of the tables' columns. */
/* clang-format off */
enum stat_counter { STAT_CPU_MS, STAT_RX, STAT_TX, STAT_PRX, STAT_PTX,
                    STAT_RD_REQ, STAT_WR_REQ, STAT_RD_BYTES, STAT_WR_BYTES, STAT_ERRS, N_STAT_COUNTERS };
/* clang-format on */
extern const char *const stat_counter_names[N_STAT_COUNTERS]; /* "cpu_ms", "rx" ... */

struct stat_reading {
    int64_t at_ms;
    int64_t
        started; /* Tells one run from another: libvirt's domain id, or any such number. */
    uint64_t counters[N_STAT_COUNTERS];
    int64_t mem_kib; /* In use now. */
};

/* What was used between 'begin_s' and 'begin_s' + the length of the table's slots. */
struct stat_slot {
    int64_t begin_s;
    int64_t samples; /* Readings that it is made of. */
    uint64_t sums[N_STAT_COUNTERS];
    int64_t mem_sum_kib; /* Over the samples: mean = sum / samples. */
    int64_t mem_max_kib;
};

struct meter_vm {
    struct hmap_node node;
    struct uuid uuid;
    bool has_last, has_rates;
    struct stat_reading last;
    struct stat_slot slot; /* samples 0: nothing yet. */
    /* Per second, between the last two readings; for `top`. */
    double rates[N_STAT_COUNTERS];
};

struct meter {
    struct hmap vms;
};
#define METER_INIT ((struct meter){ HMAP_INIT })
void meter_done(struct meter *); /* For CLEANUP(). */

void meter_read(struct meter *, const struct uuid *, const struct stat_reading *);
const struct meter_vm *meter_find(const struct meter *, const struct uuid *);
/* Forgets machines that were not read since 'since_s', unless their slot holds something. */
void meter_forget(struct meter *, int64_t since_s);

/* Calls 'take' for each slot that began before 'before_s' and has something in it, and empties it. */
void meter_cut(struct meter *, int64_t before_s,
               void (*take)(void *aux, const struct uuid *, const struct stat_slot *),
               void *aux);

/* Hands over what the slot of one machine has so far, and forgets the machine: it is measured elsewhere now. */
void meter_leave(struct meter *, const struct uuid *,
                 void (*take)(void *aux, const struct uuid *, const struct stat_slot *),
                 void *aux);

/* The readings as bytes, to be stored with the slots that end with them; and back.  ERR_SYNTAX:
 * nothing is taken over. */
void meter_save(const struct meter *, struct buf *);
struct err *meter_load(struct meter *, const void *, size_t n_bytes) MUST_CHECK;

#endif /* stat/stat.h */
