/* agent/stats.c: the rounds: sample, add up, store. */
#define LOG_MODULE "stats"
#include "agent/stats_i.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_MAX_BYTES 64
#define PENDING_MAX 500000  /* Slots that wait for a store that fails. */
#define FORGET_S (2 * 3600) /* A machine that was not seen for so long. */

/* One round's sample, in a thread. */
struct sampling {
    struct stats *stats;
    struct virt_samples samples;
    int64_t at_ms;
    struct err *e;
};

/* One store, in a thread. */
struct storing {
    struct stats *stats;
    struct slots slots; /* Owned. */
    struct buf saved;
    int64_t now_s;
    bool roll;
    struct sql_keep keep;
    struct err *e;
};

/* Domain ids begin anew with each boot of the host; so a run is known by both. */
static int64_t
run_number(const struct stats *s, int domid)
{
    return s->boot | (int64_t) (uint32_t) domid;
}

static struct stat_reading
reading_of(const struct stats *s, const struct virt_sample *v, int64_t at_ms)
{
    struct stat_reading r = { .at_ms = at_ms, .started = run_number(s, v->domid) };

    r.mem_kib = v->rss_kib ? v->rss_kib : v->mem_kib;
    r.counters[STAT_CPU_MS] = v->cpu_ns / 1000000;
    for (size_t i = 0; i < v->n_nets; i++) {
        r.counters[STAT_RX] += v->nets[i].rx;
        r.counters[STAT_TX] += v->nets[i].tx;
        r.counters[STAT_PRX] += v->nets[i].prx;
        r.counters[STAT_PTX] += v->nets[i].ptx;
        r.counters[STAT_ERRS] += v->nets[i].errs;
    }
    for (size_t i = 0; i < v->n_disks; i++) {
        r.counters[STAT_RD_REQ] += v->disks[i].rd_req;
        r.counters[STAT_WR_REQ] += v->disks[i].wr_req;
        r.counters[STAT_RD_BYTES] += v->disks[i].rd_bytes;
        r.counters[STAT_WR_BYTES] += v->disks[i].wr_bytes;
    }
    return r;
}

/* Storing. */

static void
slots_add(struct slots *slots, const struct uuid *uuid, const char *name,
          const struct stat_slot *slot)
{
    struct sql_row *row = VEC_ADD(slots);
    row->uuid = *uuid;
    row->name = str_dup(name);
    row->slot = *slot;
}

static void
slots_done(struct slots *slots)
{
    for (size_t i = 0; i < slots->n; i++) {
        free((char *) slots->v[i].name);
    }
    VEC_DONE(slots);
}

static struct err *
store_open(struct stats *s)
{
    return s->sql ? NULL : sql_open(s->url, &s->sql);
}

static void
store_run(void *aux)
{
    struct storing *job = aux;
    struct stats *s = job->stats;

    job->e = store_open(s);
    if (!job->e) {
        job->e = sql_put(s->sql, job->slots.v, job->slots.n, s->host, &job->saved);
    }
    if (!job->e) {
        slots_done(
            &job->slots); /* They are safe: a failed roll-up must not store them twice. */
        job->e = job->roll ? sql_roll(s->sql, job->now_s, &job->keep) : NULL;
    }
    if (job->e) {
        sql_close(TAKE(s->sql)); /* The connection may be what is broken. */
    }
}

static void
store_done(void *aux, bool dropped)
{
    struct storing *job = aux;
    struct stats *s = job->stats;

    s->storing = false;
    if (job->e && !s->failing) {
        log_warn("%s; kept in memory and tried again", err_text(job->e));
    } else if (!job->e && s->failing && !dropped) {
        log_info("statistics are stored again");
    }
    s->failing = job->e != NULL;
    if (!job->e && !dropped) {
        history_look(s);
    }
    s->rolled_hour = !job->e && job->roll ? job->now_s / STAT_HOUR_S : s->rolled_hour;
    if (job->slots.n + s->pending.n > PENDING_MAX) {
        log_warn("%zu slots of statistics are lost: the store fails for too long",
                 job->slots.n);
    } else {
        for (size_t i = 0; i < job->slots.n; i++) {
            *VEC_ADD(&s->pending) = job->slots.v[i];
            job->slots.v[i].name = NULL;
        }
    }
    slots_done(&job->slots);
    buf_done(&job->saved);
    err_free(job->e);
    free(job);
}

struct live *
live_find(const struct stats *s, const struct uuid *uuid)
{
    HMAP_FOR_EACH_HASH (struct live, live, node, uuid_hash(uuid), &s->live) {
        if (uuid_eq(&live->sample.uuid, uuid)) {
            return live;
        }
    }
    return NULL;
}

static void
on_slot(void *aux, const struct uuid *uuid, const struct stat_slot *slot)
{
    struct stats *s = aux;
    const struct live *live = live_find(s, uuid);
    ASSERT(live); /* It is forgotten later than its slot ends. */
    slots_add(&s->pending, uuid, live->sample.name, slot);
}

struct sql_keep
stats_keep(struct agent *a)
{
    struct sql_keep keep = SQL_KEEP_INIT;
    ROW_FOR_EACH (struct row_cluster, row, row_cluster_table(a->replica)) {
        keep.minute_days =
            row->stat_minute_keep.has ? (int) row->stat_minute_keep.v : keep.minute_days;
        keep.hour_days =
            row->stat_hour_keep.has ? (int) row->stat_hour_keep.v : keep.hour_days;
        keep.day_days = row->stat_day_keep.has ? (int) row->stat_day_keep.v : keep.day_days;
    }
    return keep;
}

/* Hands what has ended to the thread that stores. */
static void
store(struct stats *s, int64_t now_s)
{
    meter_cut(&s->meter, now_s - now_s % STAT_SLOT_S, on_slot, s);
    if (!s->url || s->storing || s->pending.n == 0) {
        if (!s->url) {
            slots_done(&s->pending);
        }
        return;
    }
    struct storing *job = NEW(struct storing);
    job->stats = s;
    job->now_s = now_s;
    job->keep = stats_keep(s->agent);
    job->roll = now_s / STAT_HOUR_S != s->rolled_hour;
    memcpy(&job->slots, &s->pending, sizeof job->slots);
    memset(&s->pending, 0, sizeof s->pending);
    meter_save(&s->meter, &job->saved);
    s->storing = true;
    work_submit(s->work, "store", store_run, store_done, job);
}

void
stats_left(struct stats *s, const struct uuid *domain)
{
    if (s->url &&
        live_find(s, domain)) { /* Else it was not measured, or has been stored. */
        meter_leave(&s->meter, domain, on_slot, s);
        store(s, clock_wall_ms() / 1000);
    }
    history_look(s);
}

/* Sampling. */

static void
live_free(struct stats *s, struct live *live)
{
    struct virt_samples one = { xmemdup(&live->sample, sizeof live->sample), 1 };
    virt_samples_done(&one);
    hmap_remove(&s->live, &live->node);
    free(live);
}

/* Machines that ended before 'before_ms' go. */
static void
live_expire(struct stats *s, int64_t before_ms)
{
    HMAP_FOR_EACH_SAFE (struct live, live, node, &s->live) {
        if (live->at_ms < before_ms) {
            live_free(s, live);
        }
    }
}

/* The sample becomes what is live.  A partial one has no counters to compare. */
static void
take_over(struct stats *s, struct virt_samples *samples, int64_t at_ms)
{
    for (size_t i = 0; i < samples->n; i++) {
        struct live *live = live_find(s, &samples->v[i].uuid);
        if (live) {
            live_free(s, live);
        }
        live = NEW(struct live);
        live->sample = samples->v[i];
        live->at_ms = at_ms;
        hmap_insert(&s->live, &live->node, uuid_hash(&live->sample.uuid));
        if (!live->sample.partial) {
            struct stat_reading reading = reading_of(s, &live->sample, at_ms);
            meter_read(&s->meter, &live->sample.uuid, &reading);
        }
    }
    samples->n = 0; /* Their content moved. */
    s->live_at_ms = at_ms;
    live_expire(s, at_ms - FORGET_S * 1000);
}

static void
sample_run(void *aux)
{
    struct sampling *job = aux;
    job->e = virt_sample_all(job->stats->agent->virt, &job->samples);
    job->at_ms = clock_wall_ms();
}

static void
sample_done(void *aux, bool dropped)
{
    struct sampling *job = aux;
    struct stats *s = job->stats;

    s->sampling = false;
    if (!job->e && !dropped) {
        int64_t now_s = job->at_ms / 1000;
        store(s, now_s); /* What has ended before this sample goes first. */
        take_over(s, &job->samples, job->at_ms);
        meter_forget(&s->meter, now_s - FORGET_S);
    }
    err_free(job->e); /* host.c tells that libvirt is gone. */
    virt_samples_done(&job->samples);
    free(job);
}

static void
on_round(void *aux)
{
    struct stats *s = aux;

    loop_timer_set(s->timer, STATS_SAMPLE_MS);
    if (s->loaded && !s->sampling && virt_connected(s->agent->virt)) {
        struct sampling *job = NEW(struct sampling);
        job->stats = s;
        s->sampling = true;
        s->begun_ms = clock_mono_ms();
        work_submit(s->work, "sample", sample_run, sample_done, job);
    }
}

void
stats_looked_at(struct stats *s)
{
    if (s->timer && !s->sampling && clock_mono_ms() - s->begun_ms >= STATS_LOOK_MS) {
        loop_timer_set(s->timer, 0);
    }
}

/* Before the first sample: the readings that the last slot ended with. */

static void
load_run(void *aux)
{
    struct storing *job = aux;
    job->e = store_open(job->stats);
    if (!job->e) {
        job->e = sql_saved(job->stats->sql, job->stats->host, &job->saved);
    }
}

static void
load_done(void *aux, bool dropped)
{
    struct storing *job = aux;
    struct stats *s = job->stats;

    if (!job->e && job->saved.n && !dropped) {
        job->e = meter_load(&s->meter, job->saved.data, job->saved.n);
    }
    if (job->e) {
        log_warn("%s; counting begins anew", err_text(job->e));
    }
    s->loaded = true;
    if (!dropped) {
        history_look(s);
        on_round(s);
    }
    err_free(job->e);
    buf_done(&job->saved);
    free(job);
}

/* This host and this state directory, in a store that others may share. */
static char *
host_key(const char *dir)
{
    CLEANUP(buf_done) struct buf id = BUF_INIT;
    char name[256] = "";

    gethostname(name, sizeof name - 1);
    struct err *e = fs_read("/etc/machine-id", BOOT_ID_MAX_BYTES, &id);
    bool known = !e && id.n >= 32;
    err_free(e);
    return str_dupf("%.32s-%08x", known ? buf_cstr(&id) : name, hash_string(dir));
}

struct stats *
stats_new(struct agent *a, const char *url)
{
    CLEANUP(buf_done) struct buf boot = BUF_INIT;
    struct stats *s = NEW(struct stats);

    s->agent = a;
    s->url = str_dup(url);
    s->host = host_key(a->dir);
    s->work = work_new(a->loop, 2);
    s->timer = loop_timer_new(a->loop, on_round, s);
    err_free(fs_read(BOOT_ID, BOOT_ID_MAX_BYTES, &boot));
    s->boot = (int64_t) (hash_string(buf_cstr(&boot)) & INT32_MAX) << 32;
    s->loaded = !url;
    if (url) {
        struct storing *job = NEW(struct storing);
        job->stats = s;
        work_submit(s->work, "store", load_run, load_done, job);
    } else {
        loop_timer_set(s->timer, 0);
    }
    return s;
}

/* The slot that goes on is stored as it is; the next agent adds to it. */
static void
store_rest(struct stats *s)
{
    CLEANUP(buf_done) struct buf saved = BUF_INIT;

    meter_cut(&s->meter, INT64_MAX, on_slot, s);
    meter_save(&s->meter, &saved);
    struct err *e = store_open(s);
    if (!e) {
        e = sql_put(s->sql, s->pending.v, s->pending.n, s->host, &saved);
    }
    if (e) {
        log_warn("%s; the last %zu slots are lost", err_text(e), s->pending.n);
        err_free(e);
    }
}

void
stats_stop(struct stats *s)
{
    if (s && s->work) {
        loop_timer_free(TAKE(s->timer));
        work_free(TAKE(s->work));
        if (s->url && s->loaded) {
            store_rest(s);
        }
    }
}

void
stats_free(struct stats *s)
{
    if (!s) {
        return;
    }
    stats_stop(s);
    sql_close(s->sql);
    live_expire(s, INT64_MAX);
    hmap_done(&s->live);
    meter_done(&s->meter);
    slots_done(&s->pending);
    history_done(s);
    free(s->host);
    free(s->url);
    free(s);
}
