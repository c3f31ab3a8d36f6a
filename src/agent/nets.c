/* agent/nets.c: networks of this host: libvirt's of type nat and route, and bridges. */
#define LOG_MODULE "net"
#include "agent/nets.h"

#include <stdio.h>

#include "agent/bridge.h"
#include "agent/leases.h"
#include "base/log.h"
#include "model/network.h"
#include "virt/guard.h"
#include "virt/net.h"

#define MAX_USERS 8 /* That are named when a network may not stop. */

/* One step, and the look after it, in a worker thread. */
struct net_job {
    struct agent *agent;
    struct net_obj *obj; /* NULL: its row is gone. */
    enum net_step step;
    struct net_want want; /* For the memo; without strings but 'print'. */
    char print[VIRT_PRINT_CHARS + 1];
    char *name;
    struct uuid row;
    struct model_network model;
    struct err *e, *look_e;
    struct net_seen seen;
};

/* The guards' filters, once a connection. */
struct guards_job {
    struct agent *agent;
    struct err *e;
};

/* A fingerprint of who gets what by DHCP. */
static void
hosts_print(const struct virt_net_host *const hosts[2], const size_t n[2],
            char ret[VIRT_PRINT_CHARS + 1])
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    for (int f = 0; f < 2; f++) {
        for (size_t i = 0; i < n[f]; i++) {
            const struct virt_net_host *h = &hosts[f][i];
            buf_printf(&text, "%s %s %s %s\n", h->ip, h->mac ? h->mac : "",
                       h->id ? h->id : "", h->name ? h->name : "");
        }
    }
    virt_print(text.data ? text.data : "", text.n, ret);
}

static void
wanted_hosts_print(const struct virt_network *n, char ret[VIRT_PRINT_CHARS + 1])
{
    const struct virt_net_host *hosts[2] = { n->v4.hosts, n->v6.hosts };
    size_t counts[2] = { n->dhcp && n->v4.address ? n->v4.n_hosts : 0,
                         n->dhcp && n->v6.address ? n->v6.n_hosts : 0 };
    hosts_print(hosts, counts, ret);
}

static struct err *
step_run(struct net_job *job)
{
    struct virt *v = job->agent->virt;
    const struct model_network *m = &job->model;
    CLEANUP(buf_done) struct buf xml = BUF_INIT;

    switch (job->step) {
    case NET_DO_BRIDGE:
        return bridge_make(m->bridge, &job->row, m->nic, m->vlan, m->net.mtu);
    case NET_DO_UNBRIDGE: return bridge_remove(m->bridge, &job->row, m->nic, m->vlan);
    case NET_DO_DEFINE:
        virt_network_xml(&m->net, &xml);
        return virt_net_define(v, buf_cstr(&xml));
    case NET_DO_START: return virt_net_start(v, &job->row);
    case NET_DO_HOSTS: return virt_net_hosts(v, &m->net);
    case NET_DO_LEASES: return leases_release(v, &m->net);
    case NET_DO_STOP: return virt_net_stop(v, &job->row);
    case NET_DO_UNDEFINE: return virt_net_undefine(v, &job->row);
    default: return NULL;
    }
}

static struct err *
look_run(struct net_job *job)
{
    struct net_seen *seen = &job->seen;

    if (job->want.is_bridge) {
        struct bridge_look b =
            bridge_look(job->model.bridge, &job->row, job->model.nic, job->model.vlan);
        *seen = (struct net_seen){ .looked = true,
                                   .exists = b.exists,
                                   .active = b.exists,
                                   .ours = b.ours,
                                   .attached = b.attached };
        return NULL;
    }
    CLEANUP(virt_net_look_done) struct virt_net_look look = { .exists = false };
    TRY(virt_net_look(job->agent->virt, &job->row, job->name, &look));
    const struct virt_network_seen *now = look.active ? &look.live : &look.file;
    *seen =
        (struct net_seen){ .looked = true, .exists = look.exists, .active = look.active };
    if (look.exists) {
        seen->ours = look.file.marked && uuid_eq(&look.file.mark.row, &job->row);
        seen->renamed = seen->ours && !str_eq(look.name, job->name);
        memcpy(seen->print, look.file.mark.print, sizeof seen->print);
        memcpy(seen->live_print, look.live.mark.print, sizeof seen->live_print);
        hosts_print((const struct virt_net_host *const[]){ now->hosts[0], now->hosts[1] },
                    now->n_hosts, seen->hosts);
        /* What was just given back takes libvirt a moment to note; the next look will see. */
        seen->stale_leases = job->step != NET_DO_LEASES && leases_are_stale(&look);
    }
    return NULL;
}

static void
job_run(void *aux)
{
    struct net_job *job = aux;

    job->e = step_run(job);
    job->look_e = look_run(job);
}

static void
job_free(struct net_job *job)
{
    err_free(job->e);
    err_free(job->look_e);
    model_network_done(&job->model);
    free(job->name);
    free(job);
}

static void
net_obj_free(struct net_obj *obj)
{
    net_memo_done(&obj->memo);
    obj_done(&obj->o);
    free(obj);
}

void
net_obj_orphan(struct net_obj *obj)
{
    obj->o.row = NULL;
    if (!obj->o.busy) {
        net_obj_free(obj);
    }
}

static struct net_obj *
net_obj_of(struct agent *a, const struct row_network *row)
{
    struct replica_row *base = (struct replica_row *) &row->base;

    if (!base->user) {
        struct net_obj *obj = NEW(struct net_obj);
        obj_init(&obj->o, a, base);
        base->user = obj;
    }
    return base->user;
}

static void
step_failed(struct net_job *job)
{
    struct net_obj *obj = job->obj;
    struct err *e =
        err_wrap(TAKE(job->e), "%s of the network failed", net_step_name(job->step));

    if (job->step == NET_DO_LEASES) { /* They expire; nothing else waits for them. */
        log_failure(obj->leases_stay ? LOG_DBG : LOG_WARN, LOG_MODULE,
                    err_wrap(e, "%s", job->name));
        obj->leases_stay = true;
        return;
    } else if (trouble_may_pass(e)) {
        obj_trouble(&obj->o, e);
        return;
    }
    CLEANUP(free_drop) char *text = error_text(e);
    log_failure(LOG_WARN, LOG_MODULE, err_wrap(e, "%s", job->name));
    net_memo_failed(&obj->memo, &job->want, text, agent_now_ms(job->agent));
}

static void
job_done(void *aux, bool dropped)
{
    struct net_job *job = aux;
    struct net_obj *obj = job->obj;
    struct agent *a = job->agent;

    obj->o.busy = false;
    obj->job = NULL;
    if (!dropped && job->e) {
        step_failed(job);
    } else if (!dropped) {
        obj_fine(&obj->o);
        if (job->step != NET_DO_LOOK) {
            net_memo_worked(&obj->memo);
        }
    }
    if (!dropped && job->look_e) {
        obj->seen.looked = false;
        obj_trouble(&obj->o, TAKE(job->look_e));
    } else if (!dropped) {
        obj->seen = job->seen;
        obj->look_at_ms = agent_now_ms(a) + NET_LOOK_MS;
    }
    a->nets_rest = false;
    if (!obj->o.row) {
        net_obj_free(obj);
    }
    if (!dropped) {
        agent_touch_jobs(a);
    }
    job_free(job);
}

static void
begin(struct agent *a, struct net_obj *obj, enum net_step step, const struct net_want *want,
      const struct row_network *row, struct model_network *model)
{
    struct net_job *job = NEW(struct net_job);
    char key[UUID_CHARS + 8];

    job->agent = a;
    job->obj = obj;
    job->step = step;
    job->want = *want;
    job->want.users = job->want.error = job->want.hosts = job->want.print = NULL;
    if (want->print) {
        memcpy(job->print, want->print, VIRT_PRINT_CHARS);
        job->want.print = job->print;
    }
    job->name = str_dup(row->name);
    job->row = row->base.uuid;
    job->model = *model;
    memset(model, 0, sizeof *model); /* Taken. */
    model->arena = ARENA_INIT;
    obj->o.busy = true;
    obj->job = job;
    if (step != NET_DO_LOOK && step != NET_DO_HOSTS && step != NET_DO_LEASES) {
        log_info("%s: %s", row->name, net_step_name(step));
    }
    snprintf(key, sizeof key, "net/%s", UUID_TEXT(&row->base.uuid));
    work_submit(a->work, key, job_run, job_done, job);
}

/* Machines of this host that are on and in the network, in words; NULL: none. */
static char *
users_of(struct agent *a, const struct row_network *row)
{
    CLEANUP(buf_done) struct buf names = BUF_INIT;
    size_t n = 0;

    ROW_FOR_EACH (struct row_iface, iface, row_iface_table(a->replica)) {
        const struct row_vm *vm =
            uuid_eq(&iface->network, &row->base.uuid) ? row_iface_get_vm(iface) : NULL;
        struct uuid domain = vm ? model_vm_uuid(vm) : (struct uuid){ { 0 } };
        if (vm && agent_is_own(a, &vm->hostnode) && vms_is_on(host_seen(a, &domain)) &&
            n++ < MAX_USERS) {
            buf_printf(&names, "%s%s", names.n ? ", " : "", vm->name);
        }
    }
    if (n > MAX_USERS) {
        buf_printf(&names, " and %zu more", n - MAX_USERS);
    }
    return n ? buf_take(&names) : NULL;
}

static const struct row_hostnode_network *
own_row(struct agent *a, const struct row_network *row)
{
    return model_network_on(row, &a->row);
}

static void
net_facts(struct agent *a, const struct row_network *row, const struct net_decision *d,
          const char *bridge)
{
    const struct row_hostnode_network *own = own_row(a, row);

    if (!own) { /* It is a row from the next pass on; the database tells us. */
        struct txn_row *new = txn_insert(report_txn(a), "hostnode_network");
        txn_set_uuid(new, "hostnode", &a->row);
        txn_set_uuid(new, "network", &row->base.uuid);
        txn_set_string(new, "state", "unknown");
        a->unsettled = true;
        return;
    }
    struct facts f = facts_begin(a, &own->base);
    if (d->state) {
        facts_string(&f, "state", own->state, d->state);
        facts_string(&f, "bridge", own->bridge, str_eq(d->state, "active") ? bridge : NULL);
    }
    facts_string(&f, "error", own->error, d->error);
    facts_bool(&f, "needrestart", own->needrestart, d->needs_restart);
    if (d->settled) {
        facts_int(&f, "observed_generation", own->observed_generation, row->generation);
    }
    facts_end(&f);
}

static void
on_gone(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct net_obj *obj = aux;
    struct agent *a = obj->o.agent;

    obj->o.busy = false;
    if (e) {
        obj_trouble(&obj->o, err_wrap(e, "the network's row could not be removed"));
    } else {
        obj_fine(&obj->o);
    }
    if (!obj->o.row) {
        net_obj_free(obj);
    }
    a->nets_rest = false;
    agent_touch_jobs(a);
}

/* Nothing is left of it here.  The last host that says so removes the network's row. */
static void
row_gone(struct agent *a, struct net_obj *obj, const struct row_network *row)
{
    const struct row_hostnode_network *own = own_row(a, row);
    bool others = false;

    ROW_FOR_EACH (struct row_hostnode_network, other,
                  row_hostnode_network_table(a->replica)) {
        others |= other != own && uuid_eq(&other->network, &row->base.uuid);
    }
    if (!own && others) {
        return; /* They are not ready. */
    }
    struct txn *txn = txn_new(replica_database(a->replica));
    txn_verify(txn, &row->base, "deleted");
    if (own) {
        txn_delete(txn, "hostnode_network", &own->base.uuid);
    }
    if (!others) {
        txn_delete(txn, "network", &row->base.uuid);
    }
    txn_comment(txn, "byre-agentd: network %s is gone", row->name);
    log_info("%s: %s", row->name, net_step_name(NET_DO_ROW_GONE));
    obj->o.busy = true;
    txn_commit(txn, replica_session(a->replica), on_gone, obj);
}

/* A row's want; strings live in it. */
struct wanted {
    struct net_want want;
    struct model_network model;
    char print[VIRT_PRINT_CHARS + 1], hosts[VIRT_PRINT_CHARS + 1];
    char bridge[MODEL_BRIDGE_CHARS + 1];
    char *error, *users;
};

static void
wanted_done(struct wanted *w)
{
    model_network_done(&w->model);
    free(w->error);
    free(w->users);
}

static void
wanted_of(struct agent *a, const struct row_network *row, struct wanted *w)
{
    memset(w, 0, sizeof *w);
    w->model.arena = ARENA_INIT;
    w->users = users_of(a, row);
    model_network_bridge(row, w->bridge);
    w->want = (struct net_want){ .is_bridge = str_eq(row->type, "bridge"),
                                 .has_nic = row->nic && *row->nic,
                                 .deleted = row->deleted,
                                 .generation = row->generation,
                                 .users = w->users };
    struct err *e = model_network(row, &w->model);
    if (e) {
        w->error = error_text(err_wrap(e, "the network cannot be as its row says"));
        err_free(e);
        w->want.error = w->error;
        w->model.bridge = w->bridge;
        w->model.net.row = row->base.uuid;
        return;
    }
    if (!w->model.is_bridge) {
        virt_network_print(&w->model.net, w->print);
        wanted_hosts_print(&w->model.net, w->hosts);
    }
    w->want.print = w->print;
    w->want.hosts = w->hosts;
}

/* Is there anything left to do, or to wait for, but the next look? */
static bool
net_pass(struct agent *a, const struct row_network *row)
{
    struct net_obj *obj = net_obj_of(a, row);
    int64_t now_ms = agent_now_ms(a);
    struct wanted w;

    if (obj->o.busy) {
        return true;
    } else if (now_ms >= obj->look_at_ms) {
        obj->seen.looked = false;
    }
    wanted_of(a, row, &w);
    struct net_decision d = net_decide(&w.want, &obj->seen, &obj->memo, now_ms);
    bool at_rest = d.settled && !d.error && !d.needs_restart && own_row(a, row);
    if (d.step != NET_DO_NOTHING && obj_must_wait(&obj->o)) {
        d = (struct net_decision){ .error = obj->o.trouble };
        net_facts(a, row, &d, w.bridge);
    } else if (d.step == NET_DO_ROW_GONE) {
        row_gone(a, obj, row);
    } else if (d.step != NET_DO_NOTHING) {
        begin(a, obj, d.step, &w.want, row, &w.model);
    } else {
        net_facts(a, row, &d, w.bridge);
    }
    agent_wake(a, d.wake_ms);
    a->nets_at_ms =
        a->nets_at_ms && a->nets_at_ms < obj->look_at_ms ? a->nets_at_ms : obj->look_at_ms;
    wanted_done(&w);
    return !at_rest;
}

static void
guards_run(void *aux)
{
    struct guards_job *job = aux;
    job->e = virt_guards_define(job->agent->virt);
}

static void
guards_done(void *aux, bool dropped)
{
    struct guards_job *job = aux;
    struct agent *a = job->agent;

    a->guards_busy = false;
    if (!dropped) {
        free(TAKE(a->no_guards));
        a->guards = !job->e;
        a->guards_at_ms = agent_now_ms(a) + (job->e ? NET_RETRY_MAX_MS : 0);
        if (job->e && !str_starts(virt_uri(a->virt), "test:")) {
            struct err *e =
                err_wrap(TAKE(job->e), "guests cannot be kept from spoofing here");
            a->no_guards = error_text(e);
            log_failure(LOG_WARN, LOG_MODULE, e);
        }
        agent_touch_jobs(a);
    }
    err_free(job->e);
    free(job);
}

static void
guards_pass(struct agent *a)
{
    if (a->guards || a->guards_busy) {
        return;
    } else if (agent_now_ms(a) < a->guards_at_ms) {
        agent_wake(a, a->guards_at_ms);
        return;
    }
    struct guards_job *job = NEW(struct guards_job);
    job->agent = a;
    a->guards_busy = true;
    work_submit(a->work, "guards", guards_run, guards_done, job);
}

void
nets_event(struct agent *a)
{
    ROW_FOR_EACH (struct row_network, row, row_network_table(a->replica)) {
        struct net_obj *obj = row->base.user;
        if (obj) {
            obj->look_at_ms = 0;
        }
    }
    a->nets_rest = false;
    agent_touch_jobs(a);
}

void
nets_pass(struct agent *a)
{
    if (!a->listed) {
        a->guards = a->nets_rest = false; /* Another libvirtd may come. */
        return;
    }
    guards_pass(a);
    size_t n_reported = a->n_reported;
    if (!a->nets_rest || agent_now_ms(a) >= a->nets_at_ms) {
        a->nets_rest = true;
        a->nets_at_ms = 0;
        ROW_FOR_EACH (struct row_network, row, row_network_table(a->replica)) {
            a->nets_rest &= !net_pass(a, row);
        }
        a->nets_rest &= a->n_reported == n_reported;
    }
    agent_wake(a, a->nets_at_ms);
}
