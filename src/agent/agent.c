/* agent/agent.c: starts the parts, routes what happens to them, and makes the passes. */
#define LOG_MODULE "agent"
#include <unistd.h>

#include "agent/agent_i.h"
#include "agent/nets.h"
#include "agent/stats.h"
#include "agent/migrate_i.h"
#include "agent/ticket_i.h"

#include "base/fs.h"
#include "base/log.h"

#define STEP_THREADS 8
#define SLOW_THREADS 8
#define POOL_THREADS 32 /* Each keeps one for as long as its storage does not answer. */
#define LEAVE_MS 1000
#define CGROUPS2_FILE "/sys/fs/cgroup/cgroup.controllers" /* Only version 2 has it there. */

int64_t
agent_now_ms(const struct agent *a)
{
    return loop_now_ms(a->loop);
}

void
agent_touch(struct agent *a)
{
    a->vols_rest = false;
    agent_touch_jobs(a);
}

void
agent_touch_jobs(struct agent *a)
{
    a->touched = true;
    if (!a->passing) {
        loop_timer_set(a->pass_timer, 0);
    }
}

void
agent_wake(struct agent *a, int64_t at_ms)
{
    if (at_ms > 0 && (a->wake_ms == 0 || at_ms < a->wake_ms)) {
        a->wake_ms = at_ms;
    }
}

struct row_hostnode *
agent_own(const struct agent *a)
{
    char uid[UUID_CHARS + 1];

    if (!a->have_uid) {
        return NULL;
    }
    uuid_format(&a->uid, uid);
    ROW_FOR_EACH (struct row_hostnode, node, row_hostnode_table(a->replica)) {
        if (str_eq(node->uid, uid)) {
            return node;
        }
    }
    return NULL;
}

bool
agent_is_own(const struct agent *a, const struct uuid *hostnode)
{
    return a->have_row && uuid_eq(&a->row, hostnode);
}

/* Rows are only acted on while the replica is current: a want that cannot be seen to change must
 * not be followed. */
static void
pass(void *aux)
{
    struct agent *a = aux;
    struct row_hostnode *own;

    if (a->leaving || !replica_is_ready(a->replica)) {
        return;
    }
    own = agent_own(a);
    a->have_row = own != NULL;
    if (!own) {
        return;
    }
    a->row = own->base.uuid;
    a->passing = true;
    a->touched = a->unsettled = false;
    a->wake_ms = 0;
    host_pass(a, own);
    nets_pass(a);
    pools_pass(a);
    watch_pass(a);
    vols_pass(a);
    vms_pass(a);
    strangers_pass(a, own);
    snapshots_pass(a);
    jobs_pass(a);
    migrates_pass(a);
    leftovers_pass(a);
    history_pass(a->stats);
    if (report_send(a)) {
        tickets_tell(a);
    }
    a->passing = false;

    if (a->touched) {
        loop_timer_set(a->pass_timer, 0);
    } else if (a->wake_ms) {
        loop_timer_set(a->pass_timer, max64(a->wake_ms - agent_now_ms(a), 1));
    }
}

static void
on_ready(void *aux)
{
    log_info("the replica is current");
    agent_touch(aux);
}

static void
on_disconnected(void *aux, const struct err *why)
{
    struct agent *a = aux;
    /* Said once a loss, not once an attempt: the replica tells both. */
    static bool lost;
    if (!lost) {
        log_warn("database: %s; trying again", why ? err_text(why) : "connection lost");
    }
    lost = why != NULL;
    if (why) {
        migrates_stop(a);
    }
}

/* In a large cluster most changes are of other hosts.  What is not surely theirs is ours. */
static bool
concerns_us(const struct agent *a, const struct replica_change *change)
{
    const char *table = change->row->table->schema->name;
    const struct uuid *hostnode = NULL;

    if (change->kind == REPLICA_DELETED || !a->have_row ||
        replica_changed(change, "hostnode")) {
        return true;
    } else if (str_eq(table, "hostnode")) {
        return uuid_eq(&change->row->uuid, &a->row);
    } else if (str_eq(table, "vm")) {
        hostnode = &row_vm_of(change->row)->hostnode;
    } else if (str_eq(table, "job")) {
        hostnode = &row_job_of(change->row)->hostnode;
    } else if (str_eq(table, "pool")) {
        hostnode = &row_pool_of(change->row)->hostnode;
    } else if (str_eq(table, "volume")) {
        const struct row_pool *pool = row_volume_get_pool(row_volume_of(change->row));
        hostnode = pool ? &pool->hostnode : NULL;
    } else if (str_eq(table, "hostnode_network")) {
        hostnode = &row_hostnode_network_of(change->row)->hostnode;
    } else if (str_eq(table, "history")) {
        hostnode = &row_history_of(change->row)->hostnode;
    }
    return !hostnode || uuid_eq(hostnode, &a->row);
}

/* Tables of networks, which no volume depends on. */
static bool
is_of_networks(const char *table)
{
    static const char *const tables[] = { "network", "hostnode_network", "iface", "ip",
                                          "iprange" };
    for (size_t i = 0; i < N_ELEMS(tables); i++) {
        if (str_eq(table, tables[i])) {
            return true;
        }
    }
    return false;
}

/* Could a volume have something to do because of this?  A pool's figures change all the time. */
static bool
concerns_volumes(const struct replica_change *change)
{
    static const char *const wants[] = { "active", "state", "error", "metapool",
                                         "hostnode" };
    const char *table = change->row->table->schema->name;
    bool concerns = !str_eq(table, "pool") || change->kind != REPLICA_MODIFIED;

    for (size_t i = 0; i < N_ELEMS(wants) && !concerns; i++) {
        concerns = replica_changed(change, wants[i]);
    }
    return concerns && !str_eq(table, "job") && !str_eq(table, "history") &&
           !is_of_networks(table);
}

static bool
concerns_networks(const struct replica_change *change)
{
    const char *table = change->row->table->schema->name;

    return is_of_networks(table) ||
           (str_eq(table, "vm") &&
            (change->kind != REPLICA_MODIFIED || replica_changed(change, "name") ||
             replica_changed(change, "ip") || replica_changed(change, "hostnode")));
}

static void
on_changed(void *aux, const struct replica_change *change)
{
    static const struct {
        const char *table;
        void (*orphan)(void *);
    } owners[] = {
        { "vm", (void (*)(void *)) vm_obj_orphan },
        { "volume", (void (*)(void *)) vol_obj_orphan },
        { "pool", (void (*)(void *)) pool_obj_orphan },
        { "network", (void (*)(void *)) net_obj_orphan },
    };

    struct agent *a = aux;

    if (concerns_us(a, change)) {
        a->concerned = true;
        a->vols_rest &= !concerns_volumes(change);
        a->nets_rest &= !concerns_networks(change);
    }
    if (change->kind == REPLICA_DELETED &&
        str_eq(change->row->table->schema->name, "job")) {
        job_row_deleted(a, &change->row->uuid);
    }
    if (change->kind != REPLICA_DELETED || !change->row->user) {
        a->vol_deletions += change->kind == REPLICA_DELETED; /* At worst for nothing. */
        return;
    }
    for (size_t i = 0; i < N_ELEMS(owners); i++) {
        if (str_eq(change->row->table->schema->name, owners[i].table)) {
            owners[i].orphan(TAKE(change->row->user));
            return;
        }
    }
}

static void
on_batch_end(void *aux)
{
    struct agent *a = aux;

    if (a->concerned) {
        a->concerned = false;
        agent_touch_jobs(a);
    }
}

static void
watch_all(struct replica *r)
{
    row_cluster_watch(r, NULL);
    row_hostnode_watch(r, NULL);
    row_metapool_watch(r, NULL);
    row_pool_watch(r, NULL);
    row_volume_watch(r, NULL);
    row_vm_watch(r, NULL);
    row_vmi_watch(r, NULL);
    row_device_watch(r, NULL);
    row_iface_watch(r, NULL);
    row_network_watch(r, NULL);
    row_hostnode_network_watch(r, NULL);
    row_ip_watch(r, NULL);
    row_snapshot_watch(r, NULL);
    row_history_watch(r, NULL);
    row_job_watch(r, NULL);
    row_alarm_watch(r, NULL);
    row_secret_watch(r, NULL); /* Of pools that log in. */
}

static MUST_CHECK struct err *
dirs_make(struct agent *a)
{
    CLEANUP(free_drop) char *run = path_join(a->dir, "run");

    TRY(fs_mkdirs(run, 0711));
    TRY(fs_mkdirs(a->console_dir, 0711));
    return fs_mkdirs(a->nvram_dir, 0711);
}

struct err *
agent_new(struct loop *loop, const struct agent_options *options, struct agent **ret)
{
    static const struct replica_events events = {
        .ready = on_ready,
        .disconnected = on_disconnected,
        .changed = on_changed,
        .batch_end = on_batch_end,
    };
    struct agent *a = NEW(struct agent);

    a->loop = loop;
    list_init(&a->tickets);
    list_init(&a->feeding);
    list_init(&a->migrations);
    list_init(&a->receiving);
    a->dir = path_absolute(options->state);
    a->stored = str_dup(options->stored);
    a->console_dir = path_join(a->dir, "log/console");
    a->nvram_dir = path_join(a->dir, "nvram");
    a->cgroups2 = access(CGROUPS2_FILE, F_OK) == 0;
    a->firstboot_dir = path_join(a->dir, "firstboot");
    a->work = work_new(loop, STEP_THREADS);
    a->slow = work_new(loop, SLOW_THREADS);
    a->pools = work_new(loop, POOL_THREADS);
    a->watch = watch_new(a);
    a->pass_timer = loop_timer_new(loop, pass, a);
    a->virt = virt_new(options->uri, loop, host_event, a);

    struct err *e = dirs_make(a);
    if (!e) {
        e = replica_new(loop,
                        &(struct replica_options){ .remote = options->db, .probe_ms = -1 },
                        &events, a, &a->replica);
    }
    if (!e) {
        watch_all(a->replica);
        e = service_new(a, &a->service);
    }
    if (e) {
        agent_free(a);
        return err_wrap(e, "agent");
    }
    host_start(a);
    a->stats = stats_new(a, options->stats);
    *ret = a;
    return NULL;
}

/* Steps under way run to their end: libvirt and byre-stored would finish them anyway. */
static void
objects_free(struct agent *a)
{
    static const char *const tables[] = { "vm", "volume", "network", "pool" };

    for (size_t i = 0; i < N_ELEMS(tables); i++) {
        const struct replica_table *table =
            a->replica ? replica_table(a->replica, tables[i]) : NULL;
        if (!table) {
            continue;
        }
        REPLICA_FOR_EACH (row, table) {
            if (!row->user) {
                continue;
            }
            switch (i) {
            case 0: vm_obj_orphan(row->user); break;
            case 1: vol_obj_orphan(row->user); break;
            case 2: net_obj_orphan(row->user); break;
            default: pool_obj_orphan(row->user); break;
            }
            row->user = NULL;
        }
    }
}

static void
on_left(void *aux)
{
    struct agent *a = aux;

    if (a->left) {
        void (*left)(void *) = TAKE(a->left);
        left(a->left_aux);
    }
}

static void
on_said(void *aux, struct txn *txn UNUSED, struct err *e)
{
    err_free(e); /* Then the time stamp tells, in a while. */
    on_left(aux);
}

void
agent_leave(struct agent *a, void (*done)(void *aux), void *aux)
{
    struct row_hostnode *own = agent_own(a);

    if (a->leaving) {
        return;
    }
    a->leaving = true;
    a->left = done;
    a->left_aux = aux;
    a->leave_timer = loop_timer_new(a->loop, on_left, a);
    if (!own || !replica_is_ready(a->replica)) {
        loop_timer_set(a->leave_timer, 0);
        return;
    }
    loop_timer_set(a->leave_timer, LEAVE_MS);
    tickets_tell(a);
    struct txn *txn = txn_new(replica_database(a->replica));
    txn_set_string(txn_update(txn, "hostnode", &own->base.uuid), "state", "offline");
    txn_comment(txn, "byre-agentd: ends");
    txn_commit(txn, replica_session(a->replica), on_said, a);
}

void
agent_free(struct agent *a)
{
    if (!a) {
        return;
    }
    a->left = NULL;
    a->leaving = true;
    loop_timer_free(a->leave_timer);
    objects_free(a);
    tickets_cancel(a);
    migrates_stop(a);
    service_close(a->service);
    stats_stop(a->stats);
    work_free(a->work);
    work_free(a->slow);
    work_free(a->pools);
    loop_turn(a->loop, 0); /* What they posted refers to the agent. */
    service_free(a->service);
    stats_free(a->stats);
    host_stop(a);
    replica_free(a->replica);
    jobs_free(a);
    migrates_free(a);
    receive_free(a);
    tickets_free(a);
    txn_free(a->txn);
    virt_free(a->virt);
    loop_timer_free(a->pass_timer);
    watch_free(a->watch);
    free(a->dir);
    free(a->stored);
    free(a->console_dir);
    free(a->nvram_dir);
    free(a->firstboot_dir);
    free(a->no_guards);
    free(a);
}
