/* agent/disk_live.c: jobs of a disk whose machine runs: QEMU has the file, so QEMU does it.
 *
 *     vm.disk.resize   target: the volume                   to 'length' bytes; the guest sees it at once
 *     vm.disk.move     target: the new volume, source: old  copied while the guest goes on; the rows are move.c's
 *
 * Growing changes a file first and the row's want after it: an agent that is killed in between finds the old want,
 * which is smaller than the file, and never shrinks; the job runs again and ends at once.
 * A move may end (QEMU uses the new file) before the rows say so.  Until they do, live_disks_where_they_are() keeps
 * the machine from being changed back, and a machine that goes off in that moment waits for the job (vols_job_text()). */
#define LOG_MODULE "job"
#include <stdio.h>

#include "agent/jobs_i.h"
#include "agent/ticket_i.h"

#include "base/log.h"
#include "virt/disk.h"
#include "virt/hot.h"

struct disk_work {
    struct agent *agent;
    struct ticket *ticket;
    struct uuid domain, volume; /* The row of 'to', or of what grows. */
    char *kind, *target;
    char *path, *format; /* Of a move: where it goes. */
    bool block;
    int64_t bytes;     /* Of a resize. */
    int64_t bandwidth; /* Of a move: bytes/s; 0: no limit. */
    struct pool pool;
    struct vol vol;
    bool has_vol;
    struct priv_reply reply;
    struct err *e, *look_e;
    struct virt_dom dom;
};

static void
work_free_all(struct disk_work *w)
{
    err_free(w->e);
    err_free(w->look_e);
    virt_dom_done(&w->dom);
    priv_reply_done(&w->reply);
    if (w->has_vol) {
        vol_done(&w->vol);
    }
    pool_done(&w->pool);
    free(w->kind);
    free(w->target);
    free(w->path);
    free(w->format);
    free(w);
}

static void
on_progress(void *aux, int64_t done, int64_t total)
{
    struct disk_work *w = aux;
    struct priv_progress now = { .fraction = total > 0 ? (double) done / (double) total : 0,
                                 .done = done,
                                 .total = total,
                                 .message = "copying while the machine runs" };

    ticket_progress(w->ticket, &now);
}

static enum virt_disk_wish
wish_of(void *aux)
{
    struct disk_work *w = aux;
    int flag = *ticket_flag(w->ticket);

    return flag == TICKET_LEAVE ? VIRT_DISK_LEAVE
           : flag               ? VIRT_DISK_ABORT
                                : VIRT_DISK_GO_ON;
}

/* A device has to grow before QEMU can be told; a file is QEMU's own to grow. */
static struct err *
grow(struct disk_work *w)
{
    struct agent *a = w->agent;
    struct priv_request request = {
        .verb = PRIV_VOL_RESIZE, .pool = &w->pool, .vol = &w->vol, .capacity = w->bytes
    };

    if (w->block && w->vol.capacity < w->bytes) {
        TRY(stored_call(a->stored, &request, -1, NULL, &w->reply));
        priv_reply_done(&w->reply);
        priv_reply_init(&w->reply);
    }
    TRY(virt_disk_resize(a->virt, &w->domain, w->target, w->bytes));
    request.verb = PRIV_VOL_STAT;
    request.capacity = 0;
    return stored_call(a->stored, &request, -1, NULL, &w->reply);
}

static void
disk_run(void *aux)
{
    struct disk_work *w = aux;
    struct virt_disk_place to = { w->path, w->format, w->block, w->bandwidth };
    struct virt_disk_watch watch = { on_progress, wish_of, w };

    w->e = w->path ? virt_disk_move(w->agent->virt, &w->domain, w->target, &to, &watch)
                   : grow(w);
    w->look_e = virt_look(w->agent->virt, &w->domain, &w->dom);
}

/* A copy that was cut short because the agent leaves goes on in QEMU, and the next agent with it. */
static void
disk_done(void *aux, bool dropped)
{
    struct disk_work *w = aux;
    struct agent *a = w->agent;
    struct row_volume *row = dropped ? NULL : row_volume_find(a->replica, &w->volume);

    if (!dropped && !w->look_e) {
        host_learn(a, &w->domain, &w->dom);
    }
    if (dropped || a->leaving) {
        ticket_release(w->ticket);
    } else if (w->path && !w->e && row) {
        vol_obj_of(a, row)->taken = true; /* move.c tells the rows. */
        ticket_release(w->ticket);
    } else {
        if (row && !w->e) {
            job_tell_volume(a, row, &w->reply, w->bytes);
        } else if (row && w->path) {
            move_forget(a, row);
        }
        w->e = err_wrap(TAKE(w->e), "%s", w->kind);
        ticket_end(w->ticket, w->e, NULL);
    }
    if (!dropped) {
        agent_touch(a);
    }
    work_free_all(w);
}

/* The device by which a machine of this host has the volume.  Two that have it at once are two writers: neither
 * could be told about what the other's QEMU does. */
static struct err *
device_of(struct agent *a, const struct row_volume *volume, const struct row_device **ret)
{
    *ret = NULL;
    ROW_FOR_EACH (struct row_device, device, row_device_table(a->replica)) {
        if (!uuid_eq(&device->volume, &volume->base.uuid)) {
            continue;
        } else if (*ret) {
            return err_new(ERR_BUSY, "volume %s belongs to several machines", volume->name);
        }
        *ret = device;
    }
    return *ret ? NULL
                : err_hint(err_new(ERR_NOT_FOUND, "no machine has volume %s any more",
                                   volume->name),
                           "byre vol info %s", volume->name);
}

/* ERR_CONSTRAINT: it does not run. */
static struct err *
machine_of(struct agent *a, const struct row_device *device, bool may_be_off,
           const struct row_vm **ret)
{
    const struct row_vm *vm = row_device_get_vm(device);

    if (!vm || !agent_is_own(a, &vm->hostnode)) {
        return err_new(ERR_NOT_FOUND, "this host has no machine with that disk");
    }
    struct uuid domain = model_vm_uuid(vm);
    const struct virt_dom *seen = host_seen(a, &domain);
    *ret = vm;
    if (!seen || !seen->marked) {
        return err_new(ERR_NOT_FOUND, "libvirt has no machine %s of ours", vm->name);
    } else if (!may_be_off && (seen->saved || !vms_is_on(seen))) {
        return err_hint(err_new(ERR_CONSTRAINT, "machine %s is %s now", vm->name,
                                seen->saved ? "saved" : "off"),
                        "give the command again");
    } else if (may_be_off && vm_has_snapshots(a, vm)) {
        return err_hint(err_new(ERR_CONSTRAINT,
                                "machine %s has snapshots, which lie in its disks",
                                vm->name),
                        "byre vm snapshot delete, then give the command again");
    }
    return NULL;
}

static struct disk_work *
disk_work_new(struct agent *a, const struct row_job *row, const struct row_vm *vm,
              const struct row_device *device, const struct row_volume *volume)
{
    struct disk_work *w = NEW(struct disk_work);

    w->agent = a;
    w->kind = str_dup(row->kind);
    w->domain = model_vm_uuid(vm);
    w->volume = volume->base.uuid;
    w->target = str_dup(device->targetdev);
    w->block = str_eq(volume->type, "block");
    pool_init(&w->pool);
    priv_reply_init(&w->reply);
    return w;
}

static void
submit(struct disk_work *w, const struct row_job *row)
{
    char key[UUID_CHARS + 8];

    w->ticket = ticket_take(w->agent, row);
    w->agent->unsettled = true;
    log_info("%s of %s begins", w->kind, w->target);
    snprintf(key, sizeof key, "vol/%s", UUID_TEXT(&w->volume));
    work_submit(w->agent->slow, key, disk_run, disk_done, w);
}

static struct err *
resize_model(struct disk_work *w, const struct row_job *row, const struct row_volume *vol)
{
    const struct row_pool *pool = row_volume_get_pool(vol);

    if (!pool || !str_eq(vol->state, "ready") || !vol->filepath) {
        return err_hint(err_new(ERR_CONSTRAINT, "volume %s is not ready", vol->name),
                        "byre vol info tells why");
    } else if (!row->length.has) {
        return err_new(ERR_CONSTRAINT, "the new capacity is not said (length)");
    } else if (vol->capacity.has && row->length.v < vol->capacity.v) {
        return err_hint(err_new(ERR_CONSTRAINT,
                                "it has %" PRId64 " bytes; %" PRId64 " would cut off data",
                                vol->capacity.v, row->length.v),
                        "a disk of a running machine can only grow");
    }
    w->bytes = row->length.v;
    TRY(pool_model(pool, &w->pool));
    struct err *e = model_vol(vol, row_volume_get_backing(vol), w->pool.type, &w->vol);
    w->has_vol = !e;
    if (!e) {
        w->vol.capacity = vol->capacity.v;
        w->vol.target.path = arena_str(&w->vol.arena, vol->filepath);
    }
    return e;
}

static struct err *
resize_begin(struct agent *a, const struct row_job *row)
{
    const struct row_volume *vol = row_volume_find(a->replica, &row->target);
    const struct row_device *device;
    const struct row_vm *vm;

    if (!vol) {
        return err_new(ERR_NOT_FOUND, "the volume does not exist");
    }
    TRY(device_of(a, vol, &device));
    TRY(machine_of(a, device, false, &vm));
    struct disk_work *w = disk_work_new(a, row, vm, device, vol);
    struct err *e = resize_model(w, row, vol);
    if (e) {
        work_free_all(w);
        return e;
    }
    submit(w, row);
    return NULL;
}

void
disk_resize_pass(struct agent *a, const struct row_job *row)
{
    struct err *e = NULL;

    if (!a->listed) {
        a->unsettled = true;
    } else if ((e = resize_begin(a, row))) {
        job_refuse(a, row, err_wrap(e, "%s", row->kind));
    }
}

struct err *
disk_move_begin(struct agent *a, const struct row_job *row, const struct row_volume *old,
                const struct row_volume *new)
{
    const struct row_device *device;
    const struct row_vm *vm;

    TRY(device_of(a, old, &device));
    TRY(machine_of(a, device, true, &vm));
    struct disk_work *w = disk_work_new(a, row, vm, device, new);
    w->path = str_dup(new->filepath);
    w->bandwidth = row->bandwidth.v;
    w->format = str_dup(w->block || !new->format ? "raw" : new->format);
    submit(w, row);
    return NULL;
}

bool
live_moves_are_open(struct agent *a)
{
    ROW_FOR_EACH (struct row_job, row, row_job_table(a->replica)) {
        if (job_is_open(row) && str_eq(row->kind, JOB_DISK_MOVE)) {
            return true;
        }
    }
    return false;
}

static void
follow_disk(struct agent *a, struct virt_disk *disk, const struct virt_disk *is)
{
    ROW_FOR_EACH (struct row_job, row, row_job_table(a->replica)) {
        if (!job_is_open(row) || !str_eq(row->kind, JOB_DISK_MOVE)) {
            continue;
        }
        const struct row_volume *old = row_volume_find(a->replica, &row->source);
        const struct row_volume *new = row_volume_find(a->replica, &row->target);
        if (old && new &&str_eq(old->filepath, disk->path) &&
            str_eq(new->filepath, is->path)) {
            disk->path = is->path;
            disk->format = is->format;
            disk->block = is->block;
            return;
        }
    }
}

void
live_disks_where_they_are(struct agent *a, const struct virt_dom *seen,
                          struct virt_domain *d)
{
    if (!a->moving || !seen || !seen->live) {
        return;
    }
    for (size_t i = 0; i < d->n_disks; i++) {
        for (size_t k = 0; k < seen->live->d.n_disks; k++) {
            const struct virt_disk *is = &seen->live->d.disks[k];
            if (str_eq(is->target, d->disks[i].target) &&
                !str_eq(is->path, d->disks[i].path)) {
                follow_disk(a, (struct virt_disk *) &d->disks[i], is);
            }
        }
    }
}
