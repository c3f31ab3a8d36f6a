/* agent/migrate_run.c: a machine that leaves: what the threads do, and what is another there. */
#define LOG_MODULE "migrate"
#include <stdio.h>

#include "agent/migration_i.h"

#include "base/clock.h"
#include "base/log.h"

#define LINK_BYTES 125000000 /* 1 Gbit/s, if nobody knows. */

void
migration_set_error(struct migration *m, struct err *e)
{
    if (m->e) {
        err_free(e);
    } else {
        m->e = e;
    }
}

bool
migration_is_cancelled(void *aux)
{
    struct migration *m = aux;

    if (m->give_up_ms && clock_mono_ms() >= m->give_up_ms && m->stop == STOP_NOT) {
        m->stop = STOP_TIME;
    }
    return m->stop != STOP_NOT || (m->cancel && *m->cancel);
}

struct err *
migration_stop_error(const struct migration *m)
{
    switch (m->stop) {
    case STOP_WANT:
        return err_new(ERR_CANCELED, "the machine shall do something else now: it stays");
    case STOP_DATABASE:
        return err_hint(
            err_new(ERR_BUSY,
                    "the database went away in the middle; the machine goes on here"),
            "give the command again");
    case STOP_TIME:
        return err_hint(
            err_new(ERR_TIMEOUT, "it took longer than it may; the machine goes on here"),
            "give it more time, or use --auto-converge or --post-copy");
    default: return err_new(ERR_CANCELED, "it was cancelled; the machine goes on here");
    }
}

static void
on_progress(void *aux, const struct virt_migrating *now)
{
    struct migration *m = aux;
    char message[160];
    int64_t all = now->done + now->left;

    CLEANUP(free_drop) char *left = str_from_bytes(now->left);
    CLEANUP(free_drop) char *rate = str_from_bytes(now->rate);
    int n = snprintf(message, sizeof message, "pass %" PRId64 ": %s left, %s/s",
                     now->passes, left, rate);
    if (now->throttle > 0 && n > 0 && (size_t) n < sizeof message) {
        snprintf(message + n, sizeof message - (size_t) n,
                 ", the guest is slowed by %" PRId64 " %%", now->throttle);
    }
    if (m->ticket) {
        ticket_progress(m->ticket,
                        &(struct priv_progress){
                            .fraction = all > 0 ? (double) now->done / (double) all : 0,
                            .done = now->done,
                            .total = all,
                            .message = now->post_copy
                                           ? "it runs there; the rest of its memory follows"
                                           : message });
    }
}

static void
forecast(struct migration *m)
{
    struct converge_in *in = &m->in;

    in->memory = m->load.memory;
    in->dirty_rate = max64(m->load.dirty_rate, 0);
    in->write_rate = m->load.write_rate;
    in->downtime_ms = m->what.downtime_ms;
    in->bandwidth = in->bandwidth > 0 ? in->bandwidth : LINK_BYTES;
    in->bandwidth =
        m->what.bandwidth > 0 ? min64(m->what.bandwidth, in->bandwidth) : in->bandwidth;
    m->forecast = converge_forecast(in);
}

void
migration_look_run(void *aux)
{
    struct migration *m = aux;
    migration_set_error(m, virt_load_of(m->agent->virt, &m->domain, &m->load));
    forecast(m);
}

struct err *
migration_job_error(const struct row_job *job)
{
    CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT;
    bool cancelled = str_eq(job->state, "cancelled");

    strvec_split(&lines, job->error ? job->error : "", "\n");
    struct err *e = err_new(cancelled ? ERR_CANCELED : ERR_CONSTRAINT, "%s",
                            lines.n > 1   ? lines.v[1]
                            : lines.n > 0 ? lines.v[0]
                                          : "it gave no reason");
    if (lines.n > 1 && !str_starts(lines.v[0], "it could not")) {
        e = err_wrap(e, "%s", lines.v[0]);
    }
    return lines.n > 2 ? err_hint(e, "%s", lines.v[2]) : e;
}

static void
differs(struct migration *m, const char *from, const char *to)
{
    if (from && to && !str_eq(from, to)) {
        strvec_add(&m->from, from);
        strvec_add(&m->to, to);
    }
}

static bool
is_copied(const struct migration *m, const struct row_vm *row, const char *target)
{
    ROW_FOR_EACH (struct row_device, device, row_device_table(m->agent->replica)) {
        const struct row_volume *volume = row_device_get_volume(device);
        if (uuid_eq(&device->vm, &row->base.uuid) && volume &&
            str_eq(device->targetdev, target)) {
            return !migrate_is_shared(volume) && !device->readonly &&
                   str_eq(device->type, "disk");
        }
    }
    return false;
}

struct err *
migration_compare(struct migration *m, const struct row_vm *row, const struct json *j)
{
    struct model_vm_host host = host_model(m->agent);
    const struct json *disks = json_get(j, "disks"), *made = json_get(j, "made");
    const struct json *kvm = json_get(j, "kvm");
    const struct virt_dom *seen = host_seen(m->agent, &m->domain);
    char print[VIRT_PRINT_CHARS + 1];
    struct model_vm vm;

    if (!json_is(j, JSON_OBJECT) || !json_is(disks, JSON_OBJECT)) {
        return err_new(ERR_SYNTAX, "the other host's answer cannot be read");
    }
    for (uint32_t i = 0; json_is(made, JSON_ARRAY) && i < made->n; i++) {
        struct uuid uuid;
        if (json_is(&made->elems[i], JSON_STRING) &&
            uuid_parse(made->elems[i].string, &uuid)) {
            *VEC_ADD(&m->made) = uuid;
        }
    }
    TRY(model_vm(row, &host, &vm));
    if (vm.waits || !json_is_bool(kvm)) {
        model_vm_done(&vm);
        return err_new(ERR_BUSY, "its hardware is being changed");
    } else if (vm.domain.kvm != (kvm->type == JSON_TRUE)) {
        bool here = vm.domain.kvm;
        model_vm_done(&vm);
        return err_hint(
            err_new(ERR_UNSUPPORTED, "it runs with %s here, host %s would run it with %s",
                    here ? "KVM" : "emulation", m->to_name, here ? "emulation" : "KVM"),
            "set its accel to qemu and restart it, to move it between such hosts");
    }
    virt_domain_print(&vm.domain, print);
    if (seen && str_eq(seen->live_print, print)) {
        differs(m, print, json_get_string(j, "print"));
    }
    differs(m, vm.domain.console_log, json_get_string(j, "console"));
    differs(m, vm.domain.kernel, json_get_string(j, "kernel"));
    differs(m, vm.domain.initrd, json_get_string(j, "initrd"));
    for (size_t i = 0; i < vm.domain.n_disks; i++) {
        const struct virt_disk *disk = &vm.domain.disks[i];
        differs(m, disk->path, json_get_string(disks, disk->target));
        if (is_copied(m, row, disk->target)) {
            strvec_add(&m->disks, disk->target);
        }
    }
    model_vm_done(&vm);
    return NULL;
}

static MUST_CHECK struct err *
migrate(struct migration *m)
{
    struct virt *v = m->agent->virt;
    CLEANUP(free_drop) char *xml = NULL;
    CLEANUP(buf_done) struct buf there = BUF_INIT;
    struct virt_edit *edits = NULL;
    struct virt_migrate_watch watch = { on_progress, migration_is_cancelled, m };

    if (!m->on) {
        return virt_undefine(v, &m->domain); /* The other host's agent defines it. */
    }
    TRY(virt_migratable_xml(v, &m->domain, &xml));
    edits = xcalloc(m->from.n + 1, sizeof *edits);
    for (size_t i = 0; i < m->from.n; i++) {
        edits[i] = (struct virt_edit){ m->from.v[i], m->to.v[i] };
    }
    virt_xml_edit(xml, edits, m->from.n, &there);
    free(edits);
    m->what.uri = m->uri;
    m->what.data_uri = m->data_uri;
    m->what.xml = buf_cstr(&there);
    m->what.disks = (const char *const *) m->disks.v;
    m->what.n_disks = m->disks.n;
    struct err *e = virt_migrate(v, &m->domain, &m->what, &watch, &m->last);
    if (err_is(e, ERR_CANCELED)) {
        err_free(e);
        e = migration_stop_error(m);
    }
    return e;
}

/* Is it here?  Only once libvirt has nothing under way with it can that be said. */
static void
find_out(struct migration *m)
{
    struct virt_migrate_watch watch = { on_progress, migration_is_cancelled, m };
    struct virt_dom dom = { 0 };
    struct err *e = virt_migrate_await(m->agent->virt, &m->domain, &watch);

    if (!e) {
        e = virt_look(m->agent->virt, &m->domain, &dom);
        virt_dom_done(&dom);
    }
    m->moved = err_is(e, ERR_NOT_FOUND);
    m->known = !e || m->moved;
    if (e && !m->moved) {
        log_info("%s: where it is cannot be told yet: %s", m->name, err_text(e));
    }
    err_free(e);
}

void
migration_run(void *aux)
{
    struct migration *m = aux;

    if (m->phase == RUNNING) {
        migration_set_error(m, migration_is_cancelled(m) ? migration_stop_error(m)
                                                         : migrate(m));
    }
    find_out(m);
}
