/* virt/migrate.c: see migrate.h.  The call that migrates blocks until all is over; another thread asks
 * for the job's figures meanwhile, aborts it, and switches to post-copy. */
#include "virt/migrate.h"

#include <time.h>

#include <libvirt/virterror.h>

#include "base/clock.h"
#include "base/str.h"
#include "virt/conn_i.h"

#define LOOK_MS 300
#define POST_COPY_AFTER 2 /* Passes: what is hardly written has gone over by then. */
#define BETWEEN_TRIES 50  /* Of LOOK_MS: for libvirt to forget what it has migrated. */
#define LOAD_S 1
#define LOAD_TRIES 50 /* Of 100 ms, after that second. */

/* What the looking thread and the migrating one share. */
struct monitor {
    struct virt *virt;
    virDomainPtr dom;
    const struct virt_migration *what; /* NULL: somebody else's. */
    const struct virt_migrate_watch *watch;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool over;                  /* Guarded by 'lock', and ... */
    struct virt_migrating last; /* ... this. */
    bool aborted, limited, switched;
};

static int64_t
field(virTypedParameterPtr p, int n, const char *name)
{
    unsigned long long big = 0;
    int small = 0;

    if (virTypedParamsGetULLong(p, n, name, &big) == 1) {
        return (int64_t) min64((int64_t) (big & INT64_MAX), INT64_MAX);
    }
    return virTypedParamsGetInt(p, n, name, &small) == 1 ? small : 0;
}

enum job_state { JOB_NONE, JOB_UNDER_WAY, JOB_NOT_KNOWN };

static enum job_state
job_look(virDomainPtr dom, struct virt_migrating *ret)
{
    virTypedParameterPtr p = NULL;
    int n = 0, type = VIR_DOMAIN_JOB_NONE;

    memset(ret, 0, sizeof *ret);
    if (virDomainGetJobStats(dom, &type, &p, &n, 0) < 0) {
        return JOB_NOT_KNOWN;
    }
    ret->elapsed_ms = field(p, n, VIR_DOMAIN_JOB_TIME_ELAPSED);
    ret->done = field(p, n, VIR_DOMAIN_JOB_DATA_PROCESSED);
    ret->left = field(p, n, VIR_DOMAIN_JOB_DATA_REMAINING);
    ret->total = field(p, n, VIR_DOMAIN_JOB_DATA_TOTAL);
    ret->rate =
        field(p, n, VIR_DOMAIN_JOB_MEMORY_BPS) + field(p, n, VIR_DOMAIN_JOB_DISK_BPS);
    ret->dirty_rate = field(p, n, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE) *
                      max64(field(p, n, VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE), 4096);
    ret->passes = field(p, n, VIR_DOMAIN_JOB_MEMORY_ITERATION);
    ret->throttle = field(p, n, VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE);
    virTypedParamsFree(p, n);
    return type == VIR_DOMAIN_JOB_NONE ? JOB_NONE : JOB_UNDER_WAY;
}

static bool
is_cancelled(const struct monitor *m)
{
    return m->watch->cancelled && m->watch->cancelled(m->watch->aux);
}

/* One look. */
static enum job_state
monitor_turn(struct monitor *m)
{
    struct virt_migrating now;
    enum job_state state = job_look(m->dom, &now);

    if (state != JOB_UNDER_WAY) {
        return state;
    }
    if (m->what && !m->limited) { /* QEMU takes it only once it migrates. */
        m->limited = virDomainMigrateSetMaxDowntime(
                         m->dom, (unsigned long long) m->what->downtime_ms, 0) == 0;
    }
    if (is_cancelled(m) && !m->aborted) {
        m->aborted = virDomainAbortJob(m->dom) == 0;
    } else if (m->what && m->what->post_copy && !m->switched &&
               now.passes > POST_COPY_AFTER) {
        m->switched = virDomainMigrateStartPostCopy(m->dom, 0) == 0;
    }
    now.post_copy = m->switched;
    pthread_mutex_lock(&m->lock);
    m->last = now;
    pthread_mutex_unlock(&m->lock);
    if (m->watch->progress) {
        m->watch->progress(m->watch->aux, &now);
    }
    return state;
}

/* Sleeps, or until it is over. */
static bool
monitor_wait(struct monitor *m)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&m->lock);
    if (!m->over) {
        pthread_cond_timedwait(&m->ended, &m->lock, &until);
    }
    bool over = m->over;
    pthread_mutex_unlock(&m->lock);
    return !over;
}

static void *
monitor_thread(void *aux)
{
    struct monitor *m = aux;

    while (monitor_wait(m)) {
        monitor_turn(m);
    }
    return NULL;
}

static void
add_strings(virTypedParameterPtr *p, int *n, int *max, const char *name,
            const char *const *values, size_t n_values)
{
    for (size_t i = 0; i < n_values; i++) {
        virTypedParamsAddString(p, n, max, name, values[i]);
    }
}

static unsigned
flags_of(const struct virt_migration *what)
{
    unsigned flags = VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_LIVE | VIR_MIGRATE_PERSIST_DEST |
                     VIR_MIGRATE_UNDEFINE_SOURCE | VIR_MIGRATE_ABORT_ON_ERROR;

    /* After the switch to post-copy the machine must run there: the rest of its memory comes as it is
     * touched. */
    flags |= what->post_copy ? VIR_MIGRATE_POSTCOPY : VIR_MIGRATE_PAUSED;
    flags |= what->auto_converge ? VIR_MIGRATE_AUTO_CONVERGE : 0;
    flags |= what->encrypted ? VIR_MIGRATE_TLS : 0;
    flags |= what->n_disks ? VIR_MIGRATE_NON_SHARED_DISK : 0;
    return flags;
}

static int
call(virDomainPtr dom, const struct virt_migration *what)
{
    virTypedParameterPtr p = NULL;
    int n = 0, max = 0;

    if (what->data_uri) {
        virTypedParamsAddString(&p, &n, &max, VIR_MIGRATE_PARAM_URI, what->data_uri);
    }
    if (what->xml) {
        virTypedParamsAddString(&p, &n, &max, VIR_MIGRATE_PARAM_DEST_XML, what->xml);
    }
    if (what->bandwidth > 0) { /* In MiB/s. */
        virTypedParamsAddULLong(
            &p, &n, &max, VIR_MIGRATE_PARAM_BANDWIDTH,
            (unsigned long long) div_up((uint64_t) what->bandwidth, MIB));
    }
    add_strings(&p, &n, &max, VIR_MIGRATE_PARAM_MIGRATE_DISKS, what->disks, what->n_disks);
    int result = virDomainMigrateToURI3(dom, what->uri, p, (unsigned) n, flags_of(what));
    virTypedParamsFree(p, n);
    return result;
}

static int
state_of(virDomainPtr dom, int *ret_reason)
{
    int state = VIR_DOMAIN_NOSTATE;

    *ret_reason = 0;
    return virDomainGetState(dom, &state, ret_reason, 0) < 0 ? VIR_DOMAIN_NOSTATE : state;
}

/* The machine stays: libvirt may not have let it go on, because it does not know whether it runs there.
 * We do: nobody has resumed it there yet. */
static void
go_on(virDomainPtr dom)
{
    int reason, state = state_of(dom, &reason);

    if (state == VIR_DOMAIN_PAUSED &&
        (reason == VIR_DOMAIN_PAUSED_MIGRATION || reason == VIR_DOMAIN_PAUSED_UNKNOWN)) {
        virDomainResume(dom);
    }
}

struct err *
virt_migrate(struct virt *v, const struct uuid *uuid, const struct virt_migration *what,
             const struct virt_migrate_watch *watch, struct virt_migrating *ret_last)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    pthread_t thread;
    int reason;

    memset(ret_last, 0, sizeof *ret_last);
    TRY(virt_dom_take(v, uuid, &dom));
    struct monitor m = { .virt = v, .dom = dom, .what = what, .watch = watch };
    bool ran = state_of(dom, &reason) == VIR_DOMAIN_RUNNING;
    pthread_mutex_init(&m.lock, NULL);
    pthread_cond_init(&m.ended, NULL);
    ASSERT(pthread_create(&thread, NULL, monitor_thread, &m) == 0);

    struct err *e = NULL;
    if (call(dom, what) < 0) {
        e = virt_last_error(v, "migrate the domain");
    }
    pthread_mutex_lock(&m.lock);
    m.over = true;
    pthread_cond_signal(&m.ended);
    pthread_mutex_unlock(&m.lock);
    pthread_join(thread, NULL);
    pthread_mutex_destroy(&m.lock);
    pthread_cond_destroy(&m.ended);
    if (e && ran && !m.switched) {
        go_on(dom);
    }
    if (e && what->post_copy && strstr(err_text(e), "ostcopy is not supported")) {
        e = err_hint(
            e, "post-copy needs \"sysctl -w vm.unprivileged_userfaultfd=1\" on both hosts");
    }
    *ret_last = m.last;
    if (e && m.aborted) {
        err_free(e);
        e = err_new(ERR_CANCELED, "it was cancelled; the machine goes on here");
    }
    return e;
}

/* What a domain with which libvirt is done looks like. */
enum place { PLACE_HERE, PLACE_GONE, PLACE_IN_BETWEEN };

/* When QEMU here has ended, and the definition is about to go, the domain can still be found: it is off
 * because it was migrated, or it is not on and has not been called off yet. */
static enum place
place_of(struct virt *v, const struct uuid *uuid, enum job_state job)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    int reason;

    struct err *e = virt_dom_take(v, uuid, &dom);
    if (e) {
        bool gone = err_is(e, ERR_NOT_FOUND);
        err_free(e);
        return gone ? PLACE_GONE : PLACE_IN_BETWEEN;
    } else if (virDomainIsActive(dom) == 1) {
        return job == JOB_NONE ? PLACE_HERE : PLACE_IN_BETWEEN;
    }
    return state_of(dom, &reason) == VIR_DOMAIN_SHUTOFF &&
                   reason != VIR_DOMAIN_SHUTOFF_MIGRATED
               ? PLACE_HERE
               : PLACE_IN_BETWEEN;
}

struct err *
virt_migrate_await(struct virt *v, const struct uuid *uuid,
                   const struct virt_migrate_watch *watch)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;

    struct err *e = virt_dom_take(v, uuid, &dom);
    if (err_is(e, ERR_NOT_FOUND)) {
        err_free(e);
        return NULL; /* It has gone. */
    } else if (e) {
        return e;
    }
    struct monitor m = { .virt = v, .dom = dom, .watch = watch };
    enum place place = PLACE_IN_BETWEEN;
    pthread_mutex_init(&m.lock, NULL);
    pthread_cond_init(&m.ended, NULL);
    for (int i = 0; place == PLACE_IN_BETWEEN && i < BETWEEN_TRIES; i++) {
        enum job_state job = monitor_turn(&m);
        i = job == JOB_UNDER_WAY ? 0 : i;
        place = job == JOB_UNDER_WAY ? PLACE_IN_BETWEEN : place_of(v, uuid, job);
        if (place == PLACE_IN_BETWEEN) {
            monitor_wait(&m);
        }
    }
    pthread_mutex_destroy(&m.lock);
    pthread_cond_destroy(&m.ended);
    int reason;
    if (place == PLACE_IN_BETWEEN && state_of(dom, &reason) == VIR_DOMAIN_SHUTOFF &&
        reason == VIR_DOMAIN_SHUTOFF_MIGRATED) {
        return virt_undefine(v, uuid); /* What libvirt could not do. */
    } else if (place == PLACE_IN_BETWEEN) {
        return err_new(ERR_BUSY, "libvirt at %s is not done with the domain", virt_uri(v));
    } else if (place == PLACE_HERE) {
        go_on(dom);
    }
    return NULL;
}

struct err *
virt_migratable_xml(struct virt *v, const struct uuid *uuid, char **ret)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    TRY(virt_dom_take(v, uuid, &dom));

    char *xml = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_MIGRATABLE | VIR_DOMAIN_XML_SECURE);
    if (!xml) {
        return virt_last_error(v, "get the domain's XML");
    }
    *ret = xml;
    return NULL;
}

static int64_t
written(virDomainPtr dom)
{
    virDomainBlockStatsStruct stats;

    /* "" is all of its disks together. */
    return virDomainBlockStats(dom, "", &stats, sizeof stats) < 0 ? 0 : stats.wr_bytes;
}

static int64_t
memory_in_use(virDomainPtr dom)
{
    virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
    int n = virDomainMemoryStats(dom, stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);
    int64_t rss = 0, whole = 0;
    virDomainInfo info;

    for (int i = 0; i < n; i++) {
        rss = stats[i].tag == VIR_DOMAIN_MEMORY_STAT_RSS ? (int64_t) stats[i].val * 1024
                                                         : rss;
    }
    whole = virDomainGetInfo(dom, &info) < 0 ? rss : (int64_t) info.memory * 1024;
    return rss > 0 ? min64(rss, whole) : whole;
}

/* -1: not measured yet. */
static int64_t
dirty_rate(virDomainPtr dom)
{
    virDomainPtr doms[] = { dom, NULL };
    virDomainStatsRecordPtr *records = NULL;
    long long mib = 0;
    int64_t rate = -1;
    int status = 0;

    if (virDomainListGetStats(doms, VIR_DOMAIN_STATS_DIRTYRATE, &records, 0) == 1 &&
        virTypedParamsGetInt(records[0]->params, records[0]->nparams,
                             "dirtyrate.calc_status", &status) == 1 &&
        status == VIR_DOMAIN_DIRTYRATE_MEASURED &&
        virTypedParamsGetLLong(records[0]->params, records[0]->nparams,
                               "dirtyrate.megabytes_per_second", &mib) == 1) {
        rate = mib * MIB;
    }
    if (records) {
        virDomainStatsRecordListFree(records);
    }
    return rate;
}

struct err *
virt_load_of(struct virt *v, const struct uuid *uuid, struct virt_load *ret)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    TRY(virt_dom_take(v, uuid, &dom));

    int64_t wrote = written(dom), began_ms = clock_mono_ms();
    bool measures = virDomainStartDirtyRateCalc(dom, LOAD_S, 0) == 0;
    const struct timespec second = { .tv_sec = LOAD_S }, moment = { .tv_nsec = 100000000 };
    nanosleep(&second, NULL);
    int64_t dirty = measures ? dirty_rate(dom) : -1;
    for (int i = 0; measures && dirty < 0 && i < LOAD_TRIES; i++) {
        nanosleep(&moment, NULL);
        dirty = dirty_rate(dom);
    }
    int64_t spent_ms = max64(clock_mono_ms() - began_ms, 1);
    *ret = (struct virt_load){ .memory = memory_in_use(dom),
                               .dirty_rate = dirty,
                               .write_rate =
                                   max64(written(dom) - wrote, 0) * 1000 / spent_ms };
    return NULL;
}
