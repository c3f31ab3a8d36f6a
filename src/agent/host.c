/* agent/host.c: the host: its identity, its facts, and the domains that libvirt has.
 *
 * Identity. A host is known by libvirt's host UUID.  libvirt takes that from the firmware; where the
 *           firmware tells none (containers, some clouds) it makes one up at each start of its
 *           daemon.  So the first one is kept in DIR/host-uid together with the machine id, and
 *           stays this host's as long as the machine id does.
 * Listing.  Events tell what changes; all domains are listed when the connection is (re)made and
 *           every LOOK_*_MS, because libvirt has no event for some changes. */
#define LOG_MODULE "host"
#include <pthread.h>
#include <stdio.h>

#include "agent/agent_i.h"
#include "agent/nets.h"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"

#define KEPT_MAX_BYTES 4096
#define CONNECT_MAX_MS 30000

/* Connects, lists, and what else must not run on the loop. */
struct look_job {
    struct agent *agent;
    int64_t begun_tick;
    bool need_host, need_probe;
    struct err *e;
    struct virt_doms doms;
    struct virt_host host;
    struct uuid uid;
    struct probe probe;
};

static void
machine_id(struct buf *ret)
{
    struct err *e = fs_read("/etc/machine-id", KEPT_MAX_BYTES, ret);

    if (e || ret->n == 0) {
        err_free(e);
        buf_str(ret, "none\n");
    }
}

/* The kept file: the UUID's line, then the machine id's. */
static bool
identity_kept(const char *path, struct uuid *ret)
{
    CLEANUP(buf_done) struct buf kept = BUF_INIT, machine = BUF_INIT;
    char uid[UUID_CHARS + 1];

    machine_id(&machine);
    struct err *e = fs_read(path, KEPT_MAX_BYTES, &kept);
    if (e || kept.n <= UUID_CHARS || kept.data[UUID_CHARS] != '\n' ||
        !str_eq(buf_cstr(&kept) + UUID_CHARS + 1, buf_cstr(&machine))) {
        err_free(e);
        return false;
    }
    memcpy(uid, kept.data, UUID_CHARS);
    uid[UUID_CHARS] = '\0';
    return uuid_parse(uid, ret);
}

static struct err *
identity_settle(const char *dir, const struct uuid *libvirts, struct uuid *ret)
{
    CLEANUP(free_drop) char *path = path_join(dir, "host-uid");
    CLEANUP(buf_done) struct buf text = BUF_INIT, machine = BUF_INIT;

    if (identity_kept(path, ret)) {
        return NULL;
    } else if (!libvirts) {
        return err_new(ERR_NOT_FOUND, "%s does not name this host yet", path);
    }
    machine_id(&machine);
    buf_printf(&text, "%s\n%s", UUID_TEXT(libvirts), buf_cstr(&machine));
    TRY(fs_write_atomic(path, text.data, text.n, 0600));
    *ret = *libvirts;
    return NULL;
}

/* A probe and the agent's own look may ask at once: the first one's answer is kept for both. */
struct err *
host_identity(const char *dir, const struct uuid *libvirts, struct uuid *ret)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&lock);
    struct err *e = identity_settle(dir, libvirts, ret);
    pthread_mutex_unlock(&lock);
    return e;
}

static void
look_run(void *aux)
{
    struct look_job *job = aux;
    struct agent *a = job->agent;

    job->e = virt_connect(a->virt);
    if (!job->e && job->need_host) {
        job->e = virt_host_facts(a->virt, &job->host);
        if (!job->e) {
            job->e = host_identity(a->dir, &job->host.uid, &job->uid);
        }
    }
    if (!job->e) {
        job->e = virt_list(a->virt, &job->doms);
    }
}

static struct seen *
seen_find(const struct agent *a, const struct uuid *domain)
{
    HMAP_FOR_EACH_HASH (struct seen, seen, node, uuid_hash(domain), &a->seen) {
        if (uuid_eq(&seen->dom.uuid, domain)) {
            return seen;
        }
    }
    return NULL;
}

const struct virt_dom *
host_seen(const struct agent *a, const struct uuid *domain)
{
    const struct seen *seen = seen_find(a, domain);
    return seen && !seen->gone ? &seen->dom : NULL;
}

void
host_learn(struct agent *a, const struct uuid *domain, struct virt_dom *dom)
{
    struct seen *seen = seen_find(a, domain);

    if (!seen) {
        seen = NEW(struct seen);
        hmap_insert(&a->seen, &seen->node, uuid_hash(domain));
    }
    virt_dom_done(&seen->dom);
    seen->gone = !dom;
    seen->dom = dom ? *dom : (struct virt_dom){ .name = NULL };
    seen->dom.uuid = *domain;
    seen->tick = ++a->tick;
    if (dom) {
        dom->name = NULL; /* Taken. */
        dom->live = NULL;
    }
}

/* What was learned after the listing began is newer than the listing. */
static void
list_apply(struct agent *a, struct look_job *job)
{
    HMAP_FOR_EACH_SAFE (struct seen, seen, node, &a->seen) {
        bool newer = seen->tick > job->begun_tick;
        if (!newer && !virt_doms_find(&job->doms, &seen->dom.uuid)) {
            hmap_remove(&a->seen, &seen->node);
            virt_dom_done(&seen->dom);
            free(seen);
        }
    }
    for (size_t i = 0; i < job->doms.n; i++) {
        struct virt_dom *dom = &job->doms.v[i];
        const struct seen *seen = seen_find(a, &dom->uuid);
        if (!seen || seen->tick <= job->begun_tick) {
            host_learn(a, &dom->uuid, dom);
        }
    }
    a->listed = true;
}

static void
host_failed(struct agent *a, struct err *e)
{
    CLEANUP(free_drop) char *text = error_text(e);

    if (!str_eq(text, a->trouble)) { /* Once a trouble, not once an attempt. */
        log_failure(LOG_WARN, LOG_MODULE, e);
    } else {
        err_free(e);
    }
    free(a->trouble);
    a->trouble = TAKE(text);
    a->listed = false;
    a->connect_ms = clamp64(2 * a->connect_ms, 1000, CONNECT_MAX_MS);
    loop_timer_set(a->look_timer, a->connect_ms);
}

static void
look_done(void *aux, bool dropped)
{
    struct look_job *job = aux;
    struct agent *a = job->agent;

    a->listing = false;
    if (!dropped && job->e) {
        host_failed(a, TAKE(job->e));
    } else if (!dropped) {
        if (a->trouble) {
            log_info("libvirt at %s answers again", virt_uri(a->virt));
        }
        free(TAKE(a->trouble));
        a->connect_ms = 0;
        if (job->need_host) {
            a->host = job->host;
            a->uid = job->uid;
            a->have_host = a->have_uid = true;
            log_info("this host is %s, %s", UUID_TEXT(&a->uid), a->host.version);
        }
        list_apply(a, job);
        loop_timer_set(a->look_timer, a->list_again  ? 0
                                      : a->unsettled ? LOOK_BUSY_MS
                                                     : LOOK_IDLE_MS);
        a->list_again = false;
    }
    if (!dropped) {
        agent_touch(a);
    }
    err_free(job->e);
    virt_doms_done(&job->doms);
    free(job);
}

static void
look_begin(void *aux)
{
    struct agent *a = aux;

    if (a->listing) {
        a->list_again = true;
        return;
    }
    struct look_job *job = NEW(struct look_job);
    job->agent = a;
    job->begun_tick = a->tick;
    job->need_host = !a->have_host;
    a->listing = true;
    work_submit(a->work, "libvirt", look_run, look_done, job);
}

void
host_list(struct agent *a)
{
    loop_timer_set(a->look_timer, 0);
}

void
host_lost(struct agent *a)
{
    a->listed = false;
    host_list(a);
}

/* The probe takes seconds on a bad host; nothing waits for it but machines that may use KVM. */
static void
probe_run(void *aux)
{
    struct look_job *job = aux;
    probe_host(job->agent->dir, false, &job->probe);
}

static void
probe_done(void *aux, bool dropped)
{
    struct look_job *job = aux;
    struct agent *a = job->agent;

    if (!dropped) {
        a->probe = job->probe;
        a->probed = true;
        log_info("KVM %s%s; translation %s%s",
                 a->probe.kvm ? "works" : "does not work: ", a->probe.kvm_why,
                 a->probe.tcg ? "works" : "does not work: ", a->probe.tcg_why);
        agent_touch(a);
    }
    free(job);
}

void
host_start(struct agent *a)
{
    struct look_job *job = NEW(struct look_job);

    /* Known from earlier runs, so that a missing libvirt can be told in the host's row. */
    struct err *e = host_identity(a->dir, NULL, &a->uid);
    a->have_uid = !e;
    err_free(e);
    a->look_timer = loop_timer_new(a->loop, look_begin, a);
    host_list(a);
    job->agent = a;
    work_submit(a->work, "probe", probe_run, probe_done, job);
}

void
host_stop(struct agent *a)
{
    HMAP_FOR_EACH_SAFE (struct seen, seen, node, &a->seen) {
        hmap_remove(&a->seen, &seen->node);
        virt_dom_done(&seen->dom);
        free(seen);
    }
    hmap_done(&a->seen);
    loop_timer_free(a->look_timer);
    free(a->trouble);
}

void
host_event(void *aux, const struct virt_event *event)
{
    struct agent *a = aux;

    if (event->kind == VIRT_EV_LOST) {
        log_warn("libvirt at %s is gone; the machines are not", virt_uri(a->virt));
        host_lost(a);
    } else if (event->kind == VIRT_EV_NETWORK) {
        nets_event(a);
    } else {
        vm_event(a, event);
    }
}

struct model_vm_host
host_model(const struct agent *a)
{
    return (struct model_vm_host){ .kvm = a->probe.kvm,
                                   .tcg = a->probe.tcg,
                                   .kvm_why = a->probe.kvm_why,
                                   .console_dir = a->console_dir,
                                   .nvram_dir = a->nvram_dir,
                                   .kind = virt_kind_of(virt_uri(a->virt)),
                                   .has_efi = a->host.efi,
                                   .has_tpm = a->host.tpm,
                                   .firstboot_dir = a->firstboot_dir,
                                   .cgroups2 = a->cgroups2,
                                   .no_guards = a->no_guards };
}

/* MiB of the line "NAME:   12345 kB" in /proc/meminfo; -1 if there is none. */
static int64_t
meminfo_mib(const char *name)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    long long kib;

    struct err *e = fs_read("/proc/meminfo", 1 * MIB, &text);
    if (e) {
        err_free(e);
        return -1;
    }
    const char *at = strstr(buf_cstr(&text), name);
    return at && sscanf(at + strlen(name), ": %lld kB", &kib) == 1 ? kib / 1024 : -1;
}

/* DIR/run/agent-boot names the boot for which this was done. */
static bool
boot_is_new(const char *path, struct buf *boot)
{
    CLEANUP(buf_done) struct buf kept = BUF_INIT;

    struct err *e = fs_read("/proc/sys/kernel/random/boot_id", KEPT_MAX_BYTES, boot);
    if (!e) {
        e = fs_read(path, KEPT_MAX_BYTES, &kept);
    }
    bool same = !e && str_eq(buf_cstr(&kept), buf_cstr(boot));
    err_free(e);
    return !same;
}

static void
on_autostarted(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct agent *a = aux;

    a->autostarting = false;
    if (e) {
        log_failure(LOG_WARN, LOG_MODULE, err_wrap(e, "autostart"));
        a->autostart_at_ms = agent_now_ms(a) + RETRY_MIN_MS;
        agent_touch(a);
        return;
    }
    CLEANUP(free_drop) char *path = path_join(a->dir, "run/agent-boot");
    CLEANUP(buf_done) struct buf boot = BUF_INIT;
    if (boot_is_new(path, &boot) && boot.n) {
        log_failure(LOG_WARN, LOG_MODULE, fs_write_atomic(path, boot.data, boot.n, 0600));
    }
    a->autostarted = true;
}

/* What should start with the host is wanted from now on; once a boot, so that what somebody
 * stopped later stays stopped when the agent alone is restarted. */
static void
autostart(struct agent *a)
{
    CLEANUP(free_drop) char *path = path_join(a->dir, "run/agent-boot");
    CLEANUP(buf_done) struct buf boot = BUF_INIT;

    if (a->autostarted || a->autostarting) {
        return;
    } else if (agent_now_ms(a) < a->autostart_at_ms) {
        agent_wake(a, a->autostart_at_ms);
        return;
    } else if (!boot_is_new(path, &boot)) {
        a->autostarted = true;
        return;
    }
    struct txn *txn = txn_new(replica_database(a->replica));
    ROW_FOR_EACH (struct row_pool, pool, row_pool_table(a->replica)) {
        if (pool->autostart && !pool->active && agent_is_own(a, &pool->hostnode)) {
            txn_verify(txn, &pool->base, "active");
            txn_set_bool(txn_update(txn, "pool", &pool->base.uuid), "active", true);
        }
    }
    ROW_FOR_EACH (struct row_vm, vm, row_vm_table(a->replica)) {
        if (vm->autostart && agent_is_own(a, &vm->hostnode) &&
            !str_eq(vm->source, "libvirt") &&
            (!vm->state || str_eq(vm->state, "stopped"))) {
            txn_verify(txn, &vm->base, "state");
            txn_set_string(txn_update(txn, "vm", &vm->base.uuid), "state", "running");
        }
    }
    txn_comment(txn, "byre-agentd: the host was booted");
    a->autostarting = true;
    txn_commit(txn, replica_session(a->replica), on_autostarted, a);
}

static void
host_facts(struct agent *a, struct row_hostnode *own, struct facts *f)
{
    facts_opt_int(f, "cpus", &own->cpus, a->host.cpus);
    facts_string(f, "cpu_model", own->cpu_model, a->host.cpu_model);
    facts_opt_int(f, "mem", &own->mem, meminfo_mib("MemTotal"));
    facts_opt_int(f, "swap", &own->swap, meminfo_mib("SwapTotal"));
    facts_string(f, "version", own->version, a->host.version);
}

void
host_pass(struct agent *a, struct row_hostnode *own)
{
    struct facts f = facts_begin(a, &own->base);
    CLEANUP(strvec_done) struct strvec hypervisors = STRVEC_INIT;
    bool beat = agent_now_ms(a) >= a->heartbeat_at_ms;

    autostart(a);
    facts_string(&f, "state", own->state, "online");
    facts_string(&f, "error", own->error, a->trouble);
    if (a->have_host) {
        host_facts(a, own, &f);
    }
    if (a->probed) {
        if (a->probe.kvm) {
            strvec_add(&hypervisors, "kvm");
        }
        if (a->probe.tcg) {
            strvec_add(&hypervisors, "qemu");
        }
        facts_strings(&f, "hypervisors", &own->hypervisors, &hypervisors);
    }
    if (beat && !a->reporting) {
        a->heartbeat_at_ms = agent_now_ms(a) + HEARTBEAT_MS;
        facts_opt_int(&f, "mem_free", &own->mem_free, meminfo_mib("MemAvailable"));
        facts_opt_int(&f, "observed_at", &own->observed_at, clock_wall_ms());
    }
    agent_wake(a, a->heartbeat_at_ms);
    facts_end(&f);
}
