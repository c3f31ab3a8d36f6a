/* agent/migrate_rows.c: the transactions of a migration.
 *
 * 'hostnode' says where a machine may run, and it changes together with 'fence' and the disks in one
 * transaction, which holds only while the machine is still said to be on its way. */
#include "agent/migrate_i.h"

#include "base/clock.h"

static struct json
ref(struct arena *arena, const struct uuid *uuid)
{
    return json_pair(arena, json_string_ref("uuid"), json_string(arena, UUID_TEXT(uuid)));
}

struct txn *
migrate_txn_begin(struct agent *a, const struct row_vm *row, const struct row_job *job,
                  const struct uuid *receive)
{
    struct txn *txn = txn_new(replica_database(a->replica));
    struct arena *arena = txn_arena(txn);
    struct json op = json_object(), values = json_object(), options = json_array();
    bool estimate = typed_set_has(&job->options, "estimate");
    bool copy = typed_set_has(&job->options, "copy-storage");

    txn_verify(txn, &row->base, "hostnode");
    txn_verify(txn, &row->base, "migrate");
    txn_verify(txn, &row->base, "state");
    txn_verify(txn, &job->base, "cancel");
    if (!estimate) {
        struct txn_row *vm = txn_update(txn, "vm", &row->base.uuid);
        txn_set_bool(vm, "migrate", true);
        txn_set_int(vm, "fence", row->fence + 1);
        txn_set_uuid(vm, "migrate_to", &job->destination);
    }
    if (estimate) {
        json_add(arena, &options, json_string_ref("estimate"));
    }
    if (copy) {
        json_add(arena, &options, json_string_ref("copy-storage"));
    }
    json_put(arena, &values, "kind", json_string_ref("vm.receive"));
    json_put(arena, &values, "target", ref(arena, &row->base.uuid));
    json_put(arena, &values, "target_table", json_string_ref("vm"));
    json_put(arena, &values, "source", ref(arena, &job->base.uuid));
    json_put(arena, &values, "hostnode", ref(arena, &job->destination));
    json_put(arena, &values, "options", json_pair(arena, json_string_ref("set"), options));
    json_put(arena, &values, "state", json_string_ref("queued"));
    json_put(arena, &values, "created_at", json_int(clock_wall_ms()));
    json_put(arena, &op, "op", json_string_ref("insert"));
    json_put(arena, &op, "table", json_string_ref("job"));
    json_put(arena, &op, "uuid", json_string(arena, UUID_TEXT(receive)));
    json_put(arena, &op, "row", values);
    txn_op(txn, op);
    if (!estimate) {
        txn_comment(txn, "byre-agentd: machine %s is being moved", row->name);
    }
    return txn;
}

/* The device gets the volume as the other host has it. */
static void
point(struct agent *a, struct txn *txn, const struct row_vm *row,
      const struct row_device *device)
{
    const struct row_volume *old = row_device_get_volume(device);
    const struct row_volume *new = old ? model_volume_on(old, &row->migrate_to) : NULL;

    if (!new || new == old) {
        return;
    }
    txn_verify(txn, &device->base, "volume");
    txn_set_uuid(txn_update(txn, "device", &device->base.uuid), "volume", &new->base.uuid);
    if (!uuid_eq(&old->vm, &row->base.uuid)) {
        return; /* An image that others use too. */
    }
    struct txn_row *to = txn_update(txn, "volume", &new->base.uuid);
    struct txn_row *from = txn_update(txn, "volume", &old->base.uuid);
    txn_set_uuid(to, "vm", &old->vm);
    txn_set_uuid(to, "device", uuid_is_zero(&old->device) ? NULL : &old->device);
    txn_set_string(to, "bus", old->bus);
    txn_set_string(to, "dev", old->dev);
    txn_set_string(to, "format", old->format); /* Never what its content looks like. */
    txn_set_bool(to, "found", false);
    txn_set_uuid(from, "vm", NULL);
    txn_set_uuid(from, "device", NULL);
    if (migrate_is_shared(
            old)) { /* One file, two rows: this one is a mere sight of it now. */
        txn_set_bool(from, "found", true);
        txn_clear(from, "wanted_capacity");
        txn_set_int(from, "generation", 0);
        txn_set_int(from, "observed_generation", 0);
    } else {
        txn_set_bool(from, "deleted", true);
        txn_set_int(from, "generation", old->generation + 1);
    }
    a->vols_rest = false;
}

struct txn *
migrate_txn_moved(struct agent *a, const struct row_vm *row, bool on, bool runs)
{
    struct txn *txn = txn_new(replica_database(a->replica));
    struct txn_row *vm = txn_update(txn, "vm", &row->base.uuid);

    txn_verify(txn, &row->base, "hostnode");
    txn_verify(txn, &row->base, "migrate");
    txn_verify(txn, &row->base, "migrate_to");
    txn_set_uuid(vm, "hostnode", &row->migrate_to);
    txn_set_int(vm, "fence", row->fence + 1);
    txn_set_bool(vm, "migrate", false);
    txn_set_uuid(vm, "migrate_to", NULL);
    txn_set_string(vm, "status", !on ? "shutoff" : runs ? "running" : "paused");
    txn_set_int(vm, "observed_at", clock_wall_ms());
    txn_clear(vm, "domid");
    txn_clear(vm, "vnc");
    ROW_FOR_EACH (struct row_device, device, row_device_table(a->replica)) {
        if (uuid_eq(&device->vm, &row->base.uuid)) {
            point(a, txn, row, device);
        }
    }
    txn_comment(txn, "byre-agentd: machine %s has moved", row->name);
    return txn;
}

struct txn *
migrate_txn_stays(struct agent *a, const struct row_vm *row, const struct uuid_list *made)
{
    struct txn *txn = txn_new(replica_database(a->replica));
    struct txn_row *vm = txn_update(txn, "vm", &row->base.uuid);

    txn_verify(txn, &row->base, "hostnode");
    txn_verify(txn, &row->base, "migrate");
    txn_set_bool(vm, "migrate", false);
    txn_set_uuid(vm, "migrate_to", NULL);
    for (size_t i = 0; i < made->n; i++) {
        const struct row_volume *volume = row_volume_find(a->replica, &made->v[i]);
        if (volume && uuid_is_zero(&volume->vm) && !volume->deleted) {
            struct txn_row *copy = txn_update(txn, "volume", &made->v[i]);
            txn_set_bool(copy, "deleted", true);
            txn_set_int(copy, "generation", volume->generation + 1);
        }
    }
    txn_comment(txn, "byre-agentd: machine %s stays", row->name);
    return txn;
}
