/* cli/vm_delete.c: the end of a machine: its agent removes the domain, then the row; with --volumes its disks go too. */
#include "cli/vm_i.h"

/* No host, no agent: the rows are all there is. */
static struct err *
delete_rows(struct cli *cli, const struct named *vm)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    json_add(a, &where, q_clause(a, "vm", "==", q_uuid(a, &vm->uuid)));
    json_add(a, &ops, q_select(a, "device", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *devices = q_rows(&results, 0);
    for (uint32_t i = 0; i < devices->n; i++) {
        struct uuid uuid = row_uuid(&devices->elems[i]);
        change_delete(cli, "device", &uuid);
    }
    change_delete(cli, "vm", &vm->uuid);
    return NULL;
}

/* Waits for the disks that the agent deletes with the machine: those that no other has. */
static struct err *
await_volumes(struct cli *cli, const struct named *vm)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    json_add(a, &where, q_clause(a, "volume", "!=", q_unset(a)));
    json_add(a, &ops, q_select(a, "device", where, "vm,type,volume"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *devices = q_rows(&results, 0);
    for (uint32_t i = 0; i < devices->n; i++) {
        const struct json *device = &devices->elems[i];
        struct uuid owner, volume, other, its;
        bool shared = false;
        if (!row_ref(device, "vm", &owner) || !uuid_eq(&owner, &vm->uuid) ||
            !str_eq(row_string(device, "type"), "disk") ||
            !row_ref(device, "volume", &volume)) {
            continue;
        }
        for (uint32_t k = 0; k < devices->n; k++) {
            shared |= row_ref(&devices->elems[k], "volume", &other) &&
                      uuid_eq(&other, &volume) &&
                      !(row_ref(&devices->elems[k], "vm", &its) && uuid_eq(&its, &owner));
        }
        if (!shared) {
            struct named named;
            TRY(names_find(cli, "volume", UUID_TEXT(&volume), "_uuid", &named));
            change_await_state(cli, GOAL_TAKEN_ALONG, "volume", &volume,
                               arena_printf(a, "vol %s", named.label), "deleted");
            cli->change.goals.v[cli->change.goals.n - 1].owner = owner;
        }
    }
    return NULL;
}

static struct err *
delete_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    struct uuid node;
    struct json row = json_object();
    if (!row_ref(vm->row, "hostnode", &node)) {
        return delete_rows(cli, vm);
    }
    json_put(&cli->arena, &row, "delete_volumes", json_bool(args_has(args, "volumes")));
    change_update(cli, "vm", &vm->uuid, row);
    TRY(vm_want_state(cli, vm, "deleted", "force", "deleted"));
    return args_has(args, "volumes") ? await_volumes(cli, vm) : NULL;
}

struct err *
vm_delete(struct cli *cli, const struct args *args)
{
    return vm_each(cli, args, delete_one);
}
