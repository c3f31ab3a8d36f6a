/* stat/meter.c: differences of readings, added up in slots. */
#include "stat/stat.h"

#define WRAP_BYTES (UINT64_C(1) << 32) /* Some drivers count with 32 bits. */
#define SAVE_MAGIC "byre-meter-2\n"

const char *const stat_counter_names[N_STAT_COUNTERS] = {
    "cpu_ms", "rx", "tx", "prx", "ptx", "rd_req", "wr_req", "rd_bytes", "wr_bytes", "errs",
};

static struct meter_vm *
find(const struct meter *m, const struct uuid *uuid)
{
    HMAP_FOR_EACH_HASH (struct meter_vm, vm, node, uuid_hash(uuid), &m->vms) {
        if (uuid_eq(&vm->uuid, uuid)) {
            return vm;
        }
    }
    return NULL;
}

const struct meter_vm *
meter_find(const struct meter *m, const struct uuid *uuid)
{
    return find(m, uuid);
}

static struct meter_vm *
get(struct meter *m, const struct uuid *uuid)
{
    struct meter_vm *vm = find(m, uuid);
    if (!vm) {
        vm = NEW(struct meter_vm);
        vm->uuid = *uuid;
        hmap_insert(&m->vms, &vm->node, uuid_hash(uuid));
    }
    return vm;
}

void
meter_done(struct meter *m)
{
    HMAP_FOR_EACH_SAFE (struct meter_vm, vm, node, &m->vms) {
        hmap_remove(&m->vms, &vm->node);
        free(vm);
    }
    hmap_done(&m->vms);
}

static uint64_t
difference(const struct meter_vm *vm, const struct stat_reading *now, int counter)
{
    uint64_t then = vm->last.counters[counter], value = now->counters[counter];

    if (now->started != vm->last.started) {
        return value;
    } else if (value >= then) {
        return value - then;
    }
    bool wrapped = then < WRAP_BYTES && then > WRAP_BYTES / 4 * 3 && value < WRAP_BYTES / 4;
    return wrapped ? WRAP_BYTES - then + value : 0;
}

void
meter_read(struct meter *m, const struct uuid *uuid, const struct stat_reading *now)
{
    struct meter_vm *vm = get(m, uuid);
    double seconds = vm->has_last ? (double) (now->at_ms - vm->last.at_ms) / 1000 : 0;
    int64_t at_s = now->at_ms / 1000;

    if (vm->slot.samples == 0) {
        vm->slot = (struct stat_slot){ .begin_s = at_s - at_s % STAT_SLOT_S };
    }
    vm->slot.samples++;
    vm->slot.mem_sum_kib += now->mem_kib;
    vm->slot.mem_max_kib = max64(vm->slot.mem_max_kib, now->mem_kib);
    for (int i = 0; i < N_STAT_COUNTERS; i++) {
        uint64_t used = vm->has_last ? difference(vm, now, i) : 0;
        vm->slot.sums[i] += used;
        vm->rates[i] = seconds > 0 ? (double) used / seconds : 0;
    }
    vm->has_rates = seconds > 0;
    vm->last = *now;
    vm->has_last = true;
}

void
meter_forget(struct meter *m, int64_t since_s)
{
    HMAP_FOR_EACH_SAFE (struct meter_vm, vm, node, &m->vms) {
        if (vm->slot.samples == 0 && vm->last.at_ms / 1000 < since_s) {
            hmap_remove(&m->vms, &vm->node);
            free(vm);
        }
    }
}

void
meter_cut(struct meter *m, int64_t before_s,
          void (*take)(void *aux, const struct uuid *, const struct stat_slot *), void *aux)
{
    HMAP_FOR_EACH (struct meter_vm, vm, node, &m->vms) {
        if (vm->slot.samples > 0 && vm->slot.begin_s < before_s) {
            take(aux, &vm->uuid, &vm->slot);
            vm->slot = (struct stat_slot){ 0 };
        }
    }
}

void
meter_leave(struct meter *m, const struct uuid *uuid,
            void (*take)(void *aux, const struct uuid *, const struct stat_slot *),
            void *aux)
{
    struct meter_vm *vm = find(m, uuid);

    if (!vm) {
        return;
    } else if (vm->slot.samples > 0) {
        take(aux, &vm->uuid, &vm->slot);
    }
    hmap_remove(&m->vms, &vm->node);
    free(vm);
}

/* The saved form: the magic, then one struct after the other in this host's own byte order: it
 * is read by the same program on the same host, or not at all. */
struct saved {
    struct uuid uuid;
    struct stat_reading last;
};

void
meter_save(const struct meter *m, struct buf *ret)
{
    buf_str(ret, SAVE_MAGIC);
    HMAP_FOR_EACH (struct meter_vm, vm, node, &m->vms) {
        struct saved saved;
        memset(&saved, 0, sizeof saved);
        saved.uuid = vm->uuid;
        saved.last = vm->last;
        buf_add(ret, &saved, sizeof saved);
    }
}

struct err *
meter_load(struct meter *m, const void *data, size_t n_bytes)
{
    size_t magic = strlen(SAVE_MAGIC);
    const char *p = data;

    if (n_bytes < magic || memcmp(p, SAVE_MAGIC, magic) != 0 ||
        (n_bytes - magic) % sizeof(struct saved) != 0) {
        return err_new(ERR_SYNTAX, "the saved readings are of another version, or damaged");
    }
    for (size_t at = magic; at < n_bytes; at += sizeof(struct saved)) {
        struct saved saved;
        memcpy(&saved, p + at, sizeof saved);
        struct meter_vm *vm = get(m, &saved.uuid);
        vm->last = saved.last;
        vm->has_last = true;
    }
    return NULL;
}
