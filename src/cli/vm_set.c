/* cli/vm_set.c: changes of a machine's hardware: columns of its row, and what its parts share. */
#include "cli/list_i.h"
#include "cli/vm_i.h"

/* By which a person decides; the others have verbs of their own or are facts. */
static const char *const settable[] = {
    "name",      "hostnode",    "mem",          "mem_max",     "vcpu",
    "vcpu_max",  "cputune",     "cpu_cap",      "cpuset",      "vcpu_pin",
    "blkiotune", "vmi",         "kernel",       "initrd",      "cmdline",
    "domain",    "description", "autostart",    "on_poweroff", "on_reboot",
    "on_crash",  "cpu_mode",    "cpu_model",    "firmware",    "machine",
    "accel",     "tpm",         "display",      "watchdog",    "user",
    "preset",    "ip",          "external_ids", "vsize",       "high_availability",
    NULL,
};

static bool
is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++) {
        if (str_eq(word, *words)) {
            return true;
        }
    }
    return false;
}

static struct err *
assign(struct cli *cli, const struct table_schema *table, const char *const *columns,
       const char *text, struct json *row)
{
    static const char *const operators[] = { "=", NULL };
    CLEANUP(free_drop) char *name = NULL;
    const char *op, *value_text;
    const struct column *column;
    struct json value;
    TRY(split_assignment(text, operators, &name, &op, &value_text));
    TRY(db_column(table, name, &column));
    if (!is_one_of(name, columns)) {
        return err_hint(
            err_new(ERR_SYNTAX, "%s.%s is not for setting by hand", table->name, name),
            "byre help vm lists the verbs; byre set %s writes any column", table->name);
    }
    TRY(value_parse(cli, table, column, value_text, &value));
    if (str_eq(name, "name")) {
        TRY(fail_unless_name("vm", value.string));
    }
    json_put(&cli->arena, row, column->name, value);
    return NULL;
}

struct err *
vm_assignments(struct cli *cli, const char *table_name, const char *const *columns,
               const struct args *args, size_t first, struct json *ret)
{
    const struct table_schema *table;
    TRY(db_table(cli, table_name, &table));
    *ret = json_object();
    for (size_t i = first; i < args->pos.n; i++) {
        TRY(assign(cli, table, columns, args->pos.v[i], ret));
    }
    return NULL;
}

void
vm_await_hardware(struct cli *cli, const struct named *vm, const char *said)
{
    size_t n = cli->change.goals.n;
    vm_await(cli, vm, GOAL_APPLIED, said);
    if (cli->change.goals.n > n) {
        cli->change.goals.v[n].is_hardware = true;
    }
}

/* The same change of each machine that 'spec' names. */
static struct err *
update_all(struct cli *cli, char *const *spec, struct json row, const char *said)
{
    struct named_list vms = VEC_INIT;
    struct err *e = names_match(cli, "vm", spec, 1, "name,hostnode,source", &vms);
    for (size_t i = 0; i < vms.n && !e; i++) {
        e = vm_check_ours(&vms.v[i]);
        if (!e) {
            change_update(cli, "vm", &vms.v[i].uuid, row);
            vm_await_hardware(cli, &vms.v[i], said);
        }
    }
    VEC_DONE(&vms);
    return e;
}

struct err *
vm_set(struct cli *cli, const struct args *args)
{
    struct json row;
    TRY(vm_assignments(cli, "vm", settable, args, 1, &row));
    return update_all(cli, args->pos.v, row, "set");
}

struct err *
vm_mem_set(struct cli *cli, const struct args *args)
{
    struct json row = json_object();
    int64_t bytes, max_bytes = 0;
    TRY(parse_size("memory", args->pos.v[1], MIB, &bytes));
    TRY(args_size(args, "max", MIB, &max_bytes));
    if (bytes < MIB || bytes % MIB) {
        return err_hint(err_new(ERR_SYNTAX, "memory must be a whole number of MiB"),
                        "byre vm mem-set %s 2G", args->pos.v[0]);
    }
    json_put(&cli->arena, &row, "mem", json_int(bytes / MIB));
    if (max_bytes) {
        json_put(&cli->arena, &row, "mem_max", json_int((max_bytes + MIB - 1) / MIB));
    }
    return update_all(cli, args->pos.v, row, "set");
}

struct err *
vm_vcpu_set(struct cli *cli, const struct args *args)
{
    struct json row = json_object();
    int64_t n, max = 0;
    if (!str_to_i64(args->pos.v[1], &n) || n < 1 || n > VM_VCPUS_MAX) {
        return err_hint(err_new(ERR_SYNTAX, "\"%s\" is no number of CPUs", args->pos.v[1]),
                        "a number from 1 to %d", VM_VCPUS_MAX);
    }
    TRY(args_int(args, "max", 1, VM_VCPUS_MAX, &max));
    json_put(&cli->arena, &row, "vcpu", json_int(n));
    if (max) {
        json_put(&cli->arena, &row, "vcpu_max", json_int(max));
    }
    return update_all(cli, args->pos.v, row, "set");
}

struct err *
vm_list_parts(struct cli *cli, const struct args *args, const char *table,
              const char *columns, const char *wide)
{
    struct named vm;
    TRY(cli_connect(cli));
    TRY(names_find(cli, "vm", args->pos.v[0], "name", &vm));
    char *where = arena_printf(&cli->arena, "vm=%s", UUID_TEXT(&vm.uuid));
    struct strvec conditions = STRVEC_INIT;
    struct list l = { .columns = columns, .wide = wide };
    strvec_add(&conditions, where);
    l.where = conditions.v;
    l.n_where = conditions.n;
    struct err *e = db_table(cli, table, &l.table);
    e = e ? e : list_run(cli, args, &l);
    strvec_done(&conditions);
    return e;
}

const struct opt_spec opts_vm_set[] = { { NULL } };
const struct opt_spec opts_vm_mem_set[] = {
    { "max", "SIZE", "the most it can get while it runs (with the next start)" },
    { NULL },
};
const struct opt_spec opts_vm_vcpu_set[] = {
    { "max", "N", "the most it can get while it runs (with the next start)" },
    { NULL },
};
