/* agent/receive.c: a machine is to come here: job vm.receive, made by the agent that it leaves.
 *
 * Each pass looks again at what is missing, does what it can about it, and answers once all is there:
 * memory (kept free from then on, because the machine's row says that it comes), pools, volumes, networks.
 * The answer, in the job's 'result', is what the machine will be here:
 *
 *     {"print":"d601ed07cd4f084a","kvm":true,"console":"/var/lib/byre/log/console/UUID.log",
 *      "kernel":"/pools/boot/kernel","initrd":"...","disks":{"vda":"/pools/fast/web.raw"},
 *      "made":["UUID of a volume that was made for the copy", ...]}
 *
 * What arrives is paused.  It runs when its row says that it is here; a paused copy of a machine whose
 * row says otherwise is what a broken migration left, and is removed (leftovers_pass()). */
#define LOG_MODULE "migrate"
#include <net/if.h>

#include "agent/migrate_i.h"
#include "model/network.h"

#include "base/clock.h"
#include "base/log.h"

#define PATIENCE_MS 60000 /* For volumes to be made or seen. */
#define NETWORK_PATIENCE_MS 20000

struct receiving {
    struct list node; /* In struct agent's 'receiving'. */
    struct uuid job, refresh;
    bool refreshing, refreshed, waits;
    int64_t since_ms;
    struct uuid_list made;
};

static struct receiving *
receiving_of(struct agent *a, const struct row_job *job)
{
    LIST_FOR_EACH (struct receiving, r, node, &a->receiving) {
        if (uuid_eq(&r->job, &job->base.uuid)) {
            return r;
        }
    }
    struct receiving *r = NEW(struct receiving);
    r->job = job->base.uuid;
    r->since_ms = agent_now_ms(a);
    list_push_back(&a->receiving, &r->node);
    return r;
}

static void
receiving_free(struct receiving *r)
{
    list_remove(&r->node);
    VEC_DONE(&r->made);
    free(r);
}

void
receive_free(struct agent *a)
{
    while (!list_empty(&a->receiving)) {
        receiving_free(CONTAINER_OF(a->receiving.next, struct receiving, node));
    }
}

static struct json
ref(struct arena *arena, const struct uuid *uuid)
{
    return json_pair(arena, json_string_ref("uuid"), json_string(arena, UUID_TEXT(uuid)));
}

/* A row with a UUID that is known now. */
static void
insert(struct txn *txn, const char *table, const struct uuid *uuid, struct json row)
{
    struct arena *arena = txn_arena(txn);
    struct json op = json_object();

    json_put(arena, &op, "op", json_string_ref("insert"));
    json_put(arena, &op, "table", json_string_ref(table));
    json_put(arena, &op, "uuid", json_string(arena, UUID_TEXT(uuid)));
    json_put(arena, &op, "row", row);
    txn_op(txn, op);
}

static const struct row_pool *
pool_here(struct agent *a, const struct row_pool *there)
{
    ROW_FOR_EACH (struct row_pool, pool, row_pool_table(a->replica)) {
        if (uuid_eq(&pool->metapool, &there->metapool) &&
            agent_is_own(a, &pool->hostnode)) {
            return pool;
        }
    }
    return NULL;
}

/* The other host has just made the file: what this host's last scan says may be older. */
static void
look_again(struct agent *a, struct receiving *r, const struct row_pool *pool)
{
    struct txn *txn = txn_new(replica_database(a->replica));
    struct arena *arena = txn_arena(txn);
    struct json row = json_object();

    uuid_random(&r->refresh);
    r->refreshing = true;
    json_put(arena, &row, "kind", json_string_ref("pool.refresh"));
    json_put(arena, &row, "target", ref(arena, &pool->base.uuid));
    json_put(arena, &row, "target_table", json_string_ref("pool"));
    json_put(arena, &row, "hostnode", ref(arena, &a->row));
    json_put(arena, &row, "created_at", json_int(clock_wall_ms()));
    insert(txn, "job", &r->refresh, row);
    txn_commit(txn, replica_session(a->replica), NULL, NULL);
}

/* True while the refresh is under way. */
static bool
is_looking(struct agent *a, struct receiving *r)
{
    const struct row_job *job = row_job_find(a->replica, &r->refresh);

    if (r->refreshing && job && !job_is_open(job)) {
        r->refreshing = false;
        r->refreshed = true;
    }
    return r->refreshing;
}

/* An empty volume of the same shape, for the other host's QEMU to fill. */
static void
make_copy(struct agent *a, struct receiving *r, const struct row_volume *from,
          const struct row_pool *pool)
{
    struct txn *txn = txn_new(replica_database(a->replica));
    struct arena *arena = txn_arena(txn);
    struct json row = json_object();
    struct uuid uuid;

    uuid_random(&uuid);
    *VEC_ADD(&r->made) = uuid;
    json_put(arena, &row, "name", json_string(arena, from->name));
    json_put(arena, &row, "pool", ref(arena, &pool->base.uuid));
    json_put(arena, &row, "hostnode", ref(arena, &pool->hostnode));
    json_put(arena, &row, "wanted_capacity", json_int(from->capacity.v));
    json_put(arena, &row, "size",
             json_int((int64_t) div_up((uint64_t) from->capacity.v, MIB)));
    if (from->format) {
        json_put(arena, &row, "format", json_string(arena, from->format));
    }
    if (from->compat) {
        json_put(arena, &row, "compat", json_string(arena, from->compat));
    }
    if (from->cluster_size.has) {
        json_put(arena, &row, "cluster_size", json_int(from->cluster_size.v));
    }
    insert(txn, "volume", &uuid, row);
    txn_comment(txn, "byre-agentd: volume %s for a machine that comes", from->name);
    txn_commit(txn, replica_session(a->replica), NULL, NULL);
    a->vols_rest = false;
}

static bool
is_made(const struct receiving *r, const struct uuid *volume)
{
    for (size_t i = 0; i < r->made.n; i++) {
        if (uuid_eq(&r->made.v[i], volume)) {
            return true;
        }
    }
    return false;
}

static MUST_CHECK struct err *
check_shared(struct agent *a, struct receiving *r, const struct row_volume *volume,
             const struct row_volume *here, const struct row_pool *pool)
{
    bool there = here && !str_eq(here->state, "missing");

    if (there) {
        r->waits |= !str_eq(here->state, "ready");
    } else if (is_looking(a, r) || !r->refreshed) {
        if (!r->refreshing) {
            look_again(a, r, pool);
        }
        r->waits = true;
    } else {
        return err_hint(err_new(ERR_NOT_FOUND,
                                "volume %s/%s is not to be seen on this host", pool->name,
                                volume->name),
                        "is it the same storage?  byre pool refresh %s, byre vol list %s",
                        pool->name, pool->name);
    }
    return NULL;
}

static MUST_CHECK struct err *
check_copy(struct agent *a, struct receiving *r, const struct row_volume *volume,
           const struct row_volume *here, const struct row_pool *pool, bool estimate)
{
    if (here && !is_made(r, &here->base.uuid)) {
        return err_hint(err_new(ERR_EXISTS, "there is a volume %s/%s on this host already",
                                pool->name, volume->name),
                        "delete or rename it: byre vol delete %s/%s", pool->name,
                        volume->name);
    } else if (!volume->capacity.has) {
        return err_new(ERR_CONSTRAINT, "the size of volume %s is not known", volume->name);
    } else if (estimate) {
        return pool->available.has && pool->available.v < volume->allocation.v
                   ? err_new(ERR_NO_SPACE, "pool %s has no room for volume %s", pool->name,
                             volume->name)
                   : NULL;
    } else if (here && str_eq(here->state, "failed")) {
        return err_new(ERR_IO, "volume %s/%s could not be made: %s", pool->name,
                       volume->name, here->error ? here->error : "");
    } else if (!here && r->made.n == 0) {
        make_copy(a, r, volume, pool);
    } else if (!here && !row_volume_find(a->replica, &r->made.v[r->made.n - 1])) {
        r->waits = true; /* One after the other: the last one's row is on its way. */
        return NULL;
    } else if (!here) {
        make_copy(a, r, volume, pool);
    }
    r->waits |= !here || !str_eq(here->state, "ready");
    return NULL;
}

static MUST_CHECK struct err *
check_volume(struct agent *a, struct receiving *r, const struct row_volume *volume,
             bool copied, bool estimate)
{
    const struct row_pool *there = row_volume_get_pool(volume);
    const struct row_pool *pool = there ? pool_here(a, there) : NULL;

    if (!pool) {
        return err_hint(err_new(ERR_NOT_FOUND, "pool %s is not on this host",
                                there ? there->name : "?"),
                        "byre pool define it with --node, build and start it");
    } else if (!pool->active || !str_eq(pool->state, "running")) {
        return err_hint(err_new(ERR_CONSTRAINT, "pool %s is %s on this host", pool->name,
                                pool->state ? pool->state : "unknown"),
                        "byre pool start %s", pool->name);
    }
    const struct row_volume *here = model_volume_on(volume, &a->row);
    return copied ? check_copy(a, r, volume, here, pool, estimate)
                  : check_shared(a, r, volume, here, pool);
}

static MUST_CHECK struct err *
check_volumes(struct agent *a, struct receiving *r, const struct row_vm *vm, bool estimate)
{
    const struct row_vmi *vmi = row_vm_get_vmi(vm);
    const struct row_volume *kernel = row_vm_get_kernel(vm),
                            *initrd = row_vm_get_initrd(vm);

    if (!kernel && vmi) {
        kernel = row_vmi_get_kernel(vmi);
        initrd = initrd ? initrd : row_vmi_get_initrd(vmi);
    }
    TRY(kernel ? check_volume(a, r, kernel, false, estimate) : NULL);
    TRY(initrd ? check_volume(a, r, initrd, false, estimate) : NULL);
    ROW_FOR_EACH (struct row_device, device, row_device_table(a->replica)) {
        const struct row_volume *volume = row_device_get_volume(device);
        if (uuid_eq(&device->vm, &vm->base.uuid) && volume) {
            TRY(check_volume(a, r, volume, !migrate_is_shared(volume), estimate));
        }
    }
    return NULL;
}

static MUST_CHECK struct err *
check_bridge(const struct row_network *network)
{
    const char *bridge = network->bridge ? network->bridge : network->name;

    if (if_nametoindex(bridge) != 0) {
        return NULL;
    }
    return err_hint(err_new(ERR_NOT_FOUND,
                            "this host has no bridge %s, which network %s needs", bridge,
                            network->name),
                    "make it, or give the machine another network");
}

/* nat and route are made by this agent (nets.c), which may be at it, or may have failed. */
static MUST_CHECK struct err *
check_made(struct agent *a, struct receiving *r, const struct row_network *network)
{
    const struct row_hostnode_network *here = model_network_on(network, &a->row);
    CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT;
    bool late = agent_now_ms(a) - r->since_ms > NETWORK_PATIENCE_MS;

    if (here && str_eq(here->state, "active")) {
        return NULL;
    } else if (!late && !(here && here->error)) {
        r->waits = true;
        return NULL;
    }
    strvec_split(&lines, here && here->error ? here->error : "", "\n");
    return err_hint(err_new(ERR_NOT_FOUND, "network %s is %s on this host%s%s",
                            network->name, here && here->state ? here->state : "unknown",
                            lines.n ? ": " : "", lines.n ? lines.v[lines.n > 1] : ""),
                    "byre network info %s; or give the machine another network",
                    network->name);
}

static MUST_CHECK struct err *
check_networks(struct agent *a, struct receiving *r, const struct row_vm *vm)
{
    ROW_FOR_EACH (struct row_iface, iface, row_iface_table(a->replica)) {
        const struct row_network *network = row_iface_get_network(iface);
        if (uuid_eq(&iface->vm, &vm->base.uuid) && network) {
            TRY(str_eq(network->type, "bridge") ? check_bridge(network)
                                                : check_made(a, r, network));
        }
    }
    return NULL;
}

static MUST_CHECK struct err *
check_room(struct agent *a, const struct row_vm *vm)
{
    const struct row_hostnode *own = agent_own(a);
    int64_t n = 0;

    if (own->maintenance) {
        return err_hint(err_new(ERR_CONSTRAINT, "this host is in maintenance"),
                        "byre node maintenance %s off", own->name);
    }
    ROW_FOR_EACH (struct row_vm, other, row_vm_table(a->replica)) {
        n += agent_is_own(a, &other->hostnode);
    }
    if (own->max_vm_count.has && n >= own->max_vm_count.v) {
        return err_hint(err_new(ERR_NO_SPACE,
                                "this host has %" PRId64 " machines, as many as it may", n),
                        "byre set hostnode %s max_vm_count=N", own->name);
    }
    return migrate_is_on(vm) ? memory_admit(a, vm) : NULL;
}

/* A copy that an earlier attempt left is on its way out. */
static MUST_CHECK struct err *
check_domain(struct agent *a, struct receiving *r, const struct row_vm *vm)
{
    struct uuid domain = model_vm_uuid(vm);
    const struct virt_dom *seen = host_seen(a, &domain);

    if (!a->listed || !a->probed) {
        r->waits = true;
    } else if (vms_is_on(seen) && seen->state != VIRT_PAUSED) {
        return err_hint(
            err_new(ERR_EXISTS, "a domain with the machine's UUID runs on this host"),
            "find out whose it is: virsh dumpxml %s", seen->name);
    } else if (vms_is_on(seen)) {
        r->waits = true;
    }
    return NULL;
}

static MUST_CHECK struct err *
check(struct agent *a, struct receiving *r, const struct row_vm *vm, bool estimate)
{
    r->waits = false;
    TRY(check_domain(a, r, vm));
    TRY(check_room(a, vm));
    TRY(check_networks(a, r, vm));
    return check_volumes(a, r, vm, estimate);
}

/* What it will be here.  NULL text: something is waited for. */
static MUST_CHECK struct err *
answer(struct agent *a, struct receiving *r, const struct row_vm *vm, char **ret)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct model_vm_host host = host_model(a);
    struct json j = json_object(), disks = json_object(), made = json_array();
    struct model_vm m;
    char print[VIRT_PRINT_CHARS + 1];

    *ret = NULL;
    host.hostnode = &a->row;
    TRY(model_vm(vm, &host, &m));
    if (m.waits) {
        r->waits = true;
        model_vm_done(&m);
        return NULL;
    }
    virt_domain_print(&m.domain, print);
    json_put(&arena, &j, "print", json_string_ref(print));
    json_put(&arena, &j, "kvm", json_bool(m.domain.kvm));
    json_put(&arena, &j, "console", json_string_ref(m.domain.console_log));
    if (m.domain.kernel) {
        json_put(&arena, &j, "kernel", json_string_ref(m.domain.kernel));
    }
    if (m.domain.initrd) {
        json_put(&arena, &j, "initrd", json_string_ref(m.domain.initrd));
    }
    for (size_t i = 0; i < m.domain.n_disks; i++) {
        const struct virt_disk *disk = &m.domain.disks[i];
        if (disk->path) {
            json_put(&arena, &disks, disk->target, json_string_ref(disk->path));
        }
    }
    for (size_t i = 0; i < r->made.n; i++) {
        json_add(&arena, &made, json_string(&arena, UUID_TEXT(&r->made.v[i])));
    }
    json_put(&arena, &j, "disks", disks);
    json_put(&arena, &j, "made", made);
    *ret = json_text(&j, 0);
    model_vm_done(&m);
    return NULL;
}

/* Copies that nobody will fill. */
static void
take_back(struct agent *a, const struct receiving *r)
{
    struct txn *txn = txn_new(replica_database(a->replica));

    for (size_t i = 0; i < r->made.n; i++) {
        const struct row_volume *volume = row_volume_find(a->replica, &r->made.v[i]);
        if (volume) {
            struct txn_row *row = txn_update(txn, "volume", &volume->base.uuid);
            txn_set_bool(row, "deleted", true);
            txn_set_int(row, "generation", volume->generation + 1);
        }
    }
    txn_commit(txn, replica_session(a->replica), NULL, NULL);
}

void
receive_pass(struct agent *a, const struct row_job *job)
{
    const struct row_vm *vm = row_vm_find(a->replica, &job->target);
    bool estimate = typed_set_has(&job->options, "estimate");
    struct receiving *r = receiving_of(a, job);
    CLEANUP(free_drop) char *text = NULL;
    struct err *e = NULL;

    a->unsettled = true;
    if (!vm) {
        e = err_new(ERR_NOT_FOUND, "the machine does not exist any more");
    } else if (job->cancel || (!estimate && !agent_is_own(a, &vm->migrate_to))) {
        e = err_new(ERR_CANCELED, "the machine does not come");
    } else {
        e = check(a, r, vm, estimate);
        /* A copy that is not made yet has no path. */
        if (!e && !r->waits &&
            !(estimate && typed_set_has(&job->options, "copy-storage"))) {
            e = answer(a, r, vm, &text);
        }
    }
    if (!e && r->waits && agent_now_ms(a) - r->since_ms > PATIENCE_MS) {
        e = err_hint(err_new(ERR_TIMEOUT, "its volumes are not ready after %d s",
                             PATIENCE_MS / 1000),
                     "byre vol list tells");
    }
    if (e) {
        take_back(a, r);
        receiving_free(r);
        job_refuse(a, job, e);
    } else if (r->waits) {
        agent_wake(a, agent_now_ms(a) + 500);
    } else {
        receiving_free(r);
        ticket_end(ticket_take(a, job), NULL, text);
    }
}

/* Leftovers. */

struct leftover {
    struct agent *agent;
    struct uuid domain;
    char *name;
    bool gone;
    struct err *e;
};

static void
leftover_run(void *aux)
{
    struct leftover *l = aux;
    struct virt_dom dom = { 0 };

    l->e = virt_look(l->agent->virt, &l->domain, &dom);
    if (!l->e && dom.state == VIRT_PAUSED) { /* Still what it was. */
        l->e = virt_destroy(l->agent->virt, &l->domain);
        if (!l->e) {
            l->e = virt_undefine(l->agent->virt, &l->domain);
        }
    }
    virt_dom_done(&dom);
    if (!l->e || err_is(l->e, ERR_NOT_FOUND)) {
        err_free(TAKE(l->e));
        l->gone = true;
    }
}

static void
leftover_done(void *aux, bool dropped)
{
    struct leftover *l = aux;

    if (l->e) {
        log_failure(LOG_WARN, LOG_MODULE,
                    err_wrap(TAKE(l->e), "%s: its paused copy", l->name));
    } else if (!dropped) {
        log_info("%s: the paused copy that a migration left is removed", l->name);
        host_learn(l->agent, &l->domain, NULL);
    }
    if (!dropped) {
        l->agent->n_leftovers--;
        agent_touch(l->agent);
    }
    err_free(l->e);
    free(l->name);
    free(l);
}

void
leftovers_pass(struct agent *a)
{
    if (!a->listed || a->n_leftovers) {
        return;
    }
    HMAP_FOR_EACH (struct seen, seen, node, &a->seen) {
        const struct row_vm *row =
            seen->gone || !seen->dom.marked || seen->dom.state != VIRT_PAUSED
                ? NULL
                : row_vm_find(a->replica, &seen->dom.mark.row);
        bool elsewhere = row && !uuid_is_zero(&row->hostnode) &&
                         !agent_is_own(a, &row->hostnode) &&
                         !(row->migrate && agent_is_own(a, &row->migrate_to));
        struct uuid domain = row ? model_vm_uuid(row) : seen->dom.uuid;
        if (!elsewhere || !uuid_eq(&domain, &seen->dom.uuid) || row->fence == 0) {
            continue;
        }
        struct leftover *l = NEW(struct leftover);
        l->agent = a;
        l->domain = domain;
        l->name = str_dup(row->name);
        a->n_leftovers++;
        a->unsettled = true;
        work_submit(a->work, "leftover", leftover_run, leftover_done, l);
    }
}
