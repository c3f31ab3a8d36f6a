/* cli/vm_disk_move.c: a disk gets larger, or goes to another pool, whether its machine runs or not. */
#include "cli/vm_i.h"
#include "cli/vol_i.h"

const struct opt_spec opts_vm_disk_move[] = {
    { "keep", NULL, "the old volume stays; it is nobody's then" },
    { "bandwidth", "SIZE", "copy at most so much a second (50M); while it runs" },
    { "name", "NEW", "of the volume there (the same)" },
    { NULL },
};

/* The volume of the disk; drives hold what others may use too. */
static struct err *
disk_volume(struct cli *cli, const struct args *args, struct named *vm, struct uuid *ret)
{
    const struct json *device;
    TRY(vm_and_device(cli, args, vm, &device));
    if (!str_eq(row_string(device, "type"), "disk")) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "%s is a drive, not a disk", args->pos.v[1]),
            "byre vm disk insert %s %s VOLUME", vm->label, args->pos.v[1]);
    } else if (!row_ref(device, "volume", ret)) {
        return err_hint(err_new(ERR_CONSTRAINT, "disk %s of vm %s is no volume of a pool",
                                args->pos.v[1], vm->label),
                        "byre vm disk list %s", vm->label);
    }
    return NULL;
}

struct err *
vm_disk_resize(struct cli *cli, const struct args *args)
{
    struct named vm;
    struct uuid volume;
    TRY(disk_volume(cli, args, &vm, &volume));
    return vol_resize_disk(cli, &volume, args->pos.v[2], vm_is_on(&vm));
}

/* Snapshots lie in the file, and no copy of the disk has them. */
static struct err *
check_no_snapshots(struct cli *cli, const struct named *vm)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), where = json_array(), results;
    json_add(a, &where, q_clause(a, "vm", "==", q_uuid(a, &vm->uuid)));
    json_add(a, &ops, q_select(a, "snapshot", where, "name"));
    TRY(db_transact(cli, &ops, &results));
    return q_rows(&results, 0)->n
               ? err_hint(err_new(ERR_CONSTRAINT,
                                  "vm %s has snapshots, which lie in its disks", vm->label),
                          "byre vm snapshot list %s", vm->label)
               : NULL;
}

struct err *
vm_disk_move(struct cli *cli, const struct args *args)
{
    struct named vm;
    struct uuid volume;
    TRY(disk_volume(cli, args, &vm, &volume));
    int64_t bandwidth = 0;
    TRY(check_no_snapshots(cli, &vm));
    TRY(args_size(args, "bandwidth", 1, &bandwidth));
    if (bandwidth && !vm_is_on(&vm)) {
        return err_new(ERR_SYNTAX, "--bandwidth is for a machine that runs; vm %s does not",
                       vm.label);
    }
    return vol_move_disk(cli, &volume, args->pos.v[2], args_get(args, "name"), bandwidth,
                         args_has(args, "keep"), vm_is_on(&vm));
}
