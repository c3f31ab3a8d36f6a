/* cli/vm_iface.c: the network cards of a machine that is there: put in, taken out, changed. */
#include "cli/net_i.h"
#include "cli/vm_i.h"

struct err *
vm_iface_add(struct cli *cli, const struct args *args)
{
    struct named vm;
    TRY(names_find(cli, "vm", args->pos.v[0], "hostnode,source", &vm));
    TRY(vm_check_ours(&vm));
    TRY(err_wrap(net_add_iface(cli, &vm.uuid, args->pos.v[1], NULL), "vm %s", vm.label));
    vm_await_hardware(cli, &vm, "added");
    return NULL;
}

/* By its MAC address, or by the network if it has but one card there. */
static struct err *
find_iface(struct cli *cli, const struct named *vm, const char *which, struct uuid *ret)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), where = json_array(), results;
    struct named network;
    size_t n = 0;
    json_add(a, &where, q_clause(a, "vm", "==", q_uuid(a, &vm->uuid)));
    json_add(a, &ops, q_select(a, "iface", where, "_uuid,mac,network"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    struct err *e = names_find(cli, "network", which, "_uuid", &network);
    bool by_network = !e;
    err_free(e);
    for (uint32_t i = 0; i < rows->n; i++) {
        const struct json *row = &rows->elems[i];
        struct uuid its;
        if (str_eq(row_string(row, "mac"), which)) {
            *ret = row_uuid(row);
            return NULL;
        } else if (by_network && row_ref(row, "network", &its) &&
                   uuid_eq(&its, &network.uuid)) {
            *ret = row_uuid(row);
            n++;
        }
    }
    if (n == 1) {
        return NULL;
    }
    e = n ? err_new(ERR_CONSTRAINT, "vm %s has %zu interfaces in network %s", vm->label, n,
                    which)
          : err_new(ERR_NOT_FOUND, "vm %s has no interface \"%s\"", vm->label, which);
    return err_hint(e, "name it by its MAC address: byre vm iface list %s", vm->label);
}

static struct err *
vm_and_iface(struct cli *cli, const struct args *args, struct named *vm, struct uuid *ret)
{
    TRY(names_find(cli, "vm", args->pos.v[0], "hostnode,source", vm));
    TRY(vm_check_ours(vm));
    return find_iface(cli, vm, args->pos.v[1], ret);
}

/* Its addresses are free again in the same transaction. */
static struct err *
free_addresses(struct cli *cli, const struct uuid *iface)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), where = json_array(), results;
    json_add(a, &where, q_clause(a, "iface", "==", q_uuid(a, iface)));
    json_add(a, &ops, q_select(a, "ip", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    for (uint32_t i = 0; i < rows->n; i++) {
        struct uuid uuid = row_uuid(&rows->elems[i]);
        change_delete(cli, "ip", &uuid);
    }
    return NULL;
}

struct err *
vm_iface_remove(struct cli *cli, const struct args *args)
{
    struct named vm;
    struct uuid iface;
    TRY(vm_and_iface(cli, args, &vm, &iface));
    TRY(free_addresses(cli, &iface));
    change_delete(cli, "iface", &iface);
    vm_await_hardware(cli, &vm, "removed");
    return NULL;
}

struct err *
vm_iface_set(struct cli *cli, const struct args *args)
{
    static const char *const columns[] = {
        "model",      "inbound",       "inbound_peak",   "inbound_burst",
        "outbound",   "outbound_peak", "outbound_burst", "link_down",
        "boot_order", "antispoof",     "external_ids",   NULL,
    };
    struct named vm;
    struct uuid iface;
    struct json row;
    TRY(vm_and_iface(cli, args, &vm, &iface));
    TRY(vm_assignments(cli, "iface", columns, args, 2, &row));
    change_update(cli, "iface", &iface, row);
    vm_await_hardware(cli, &vm, "set");
    return NULL;
}

struct err *
vm_iface_list(struct cli *cli, const struct args *args)
{
    return vm_list_parts(
        cli, args, "iface", "mac,network,model,inbound,outbound,link_down,target",
        "antispoof,inbound_peak,inbound_burst,outbound_peak,outbound_burst,boot_order");
}
