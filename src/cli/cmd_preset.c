/* cli/cmd_preset.c: presets: sizes that `vm create --preset` copies into a new machine. */
#include "cli/fail_i.h"
#include "cli/list_i.h"

/* The options of `preset add`, which are columns. */
static const struct {
    const char *opt, *column;
    int64_t unit;  /* Bytes of a number without a unit; 0: a plain number; -1: text. */
    int64_t least; /* As the schema has it. */
    int64_t most;
} fields[] = {
    { "mem", "mem", MIB, 1, 16777216 },           { "vcpu", "vcpu", 0, 1, 4096 },
    { "size", "vsize", MIB, 1, INT64_MAX / MIB }, { "cputune", "cputune", 0, 1, 262144 },
    { "blkiotune", "blkiotune", 0, 100, 1000 },   { "inbound", "inbound", 0, 1, INT64_MAX },
    { "outbound", "outbound", 0, 1, INT64_MAX },  { "cpu-mode", "cpu_mode", -1, 0, 0 },
    { "firmware", "firmware", -1, 0, 0 },
};

static MUST_CHECK struct err *
put_fields(struct cli *cli, const struct args *args, struct json *row)
{
    struct arena *a = &cli->arena;
    for (size_t i = 0; i < N_ELEMS(fields); i++) {
        int64_t value = 0;
        const char *opt = fields[i].opt, *text = args_get(args, opt);
        if (!text) {
            continue;
        } else if (fields[i].unit < 0) {
            json_put(a, row, fields[i].column, json_string(a, text));
            continue;
        } else if (fields[i].unit > 0) {
            TRY(args_size(args, opt, fields[i].unit, &value));
            value /= fields[i].unit;
            if (value < fields[i].least || value > fields[i].most) {
                return err_new(ERR_SYNTAX, "--%s %s is out of range", opt, text);
            }
        } else {
            TRY(args_int(args, opt, fields[i].least, fields[i].most, &value));
        }
        json_put(a, row, fields[i].column, json_int(value));
    }
    return NULL;
}

static MUST_CHECK struct err *
put_networks(struct cli *cli, const struct args *args, struct json *row)
{
    struct arena *a = &cli->arena;
    struct json set = json_array();
    const char *spec;
    for (size_t i = 0; (spec = args_nth(args, "network", i)); i++) {
        struct named network;
        TRY(err_wrap(names_find(cli, "network", spec, "_uuid", &network), "--network"));
        json_add(a, &set, q_uuid(a, &network.uuid));
    }
    if (set.n > 0) {
        json_put(a, row, "networks", json_pair(a, json_string_ref("set"), set));
    }
    return NULL;
}

static struct err *
cmd_add(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    const char *name = args->pos.v[0];
    struct json row = json_object(), ops = json_array(), where = json_array(), results;

    TRY(fail_unless_name("preset", name));
    json_add(a, &where, q_clause(a, "name", "==", json_string(a, name)));
    json_add(a, &ops, q_select(a, "preset", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    if (q_rows(&results, 0)->n && args_has(args, "if-not-exists")) {
        return NULL;
    } else if (q_rows(&results, 0)->n) {
        return err_hint(err_new(ERR_EXISTS, "there is already a preset \"%s\"", name),
                        "byre preset set %s ... changes it", name);
    }
    json_put(a, &row, "name", json_string(a, name));
    TRY(put_fields(cli, args, &row));
    TRY(put_networks(cli, args, &row));
    change_insert(cli, "preset", row, NULL);
    change_say(cli, "preset %s: added", name);
    return NULL;
}

static struct err *
cmd_set(struct cli *cli, const struct args *args)
{
    struct named_list list = VEC_INIT;
    struct json row = json_object();
    TRY(put_fields(cli, args, &row));
    TRY(put_networks(cli, args, &row));
    if (row.n == 0) {
        return fail_as(err_hint(err_new(ERR_SYNTAX, "nothing to set"),
                                "byre preset set --help lists the options"),
                       EXIT_USAGE);
    }
    struct err *e = names_match(cli, "preset", args->pos.v, args->pos.n, "_uuid", &list);
    for (size_t i = 0; i < list.n && !e; i++) {
        change_update(cli, "preset", &list.v[i].uuid, row);
    }
    VEC_DONE(&list);
    return e;
}

static struct err *
cmd_list(struct cli *cli, const struct args *args)
{
    return list_noun(cli, args, "preset");
}

static struct err *
cmd_info(struct cli *cli, const struct args *args)
{
    return info_noun(cli, args, "preset", NULL);
}

static struct err *
cmd_delete(struct cli *cli, const struct args *args)
{
    struct named_list list = VEC_INIT;
    struct err *e = names_match(cli, "preset", args->pos.v, args->pos.n, "_uuid", &list);
    if (err_is(e, ERR_NOT_FOUND) && args_has(args, "if-exists")) {
        err_free(e);
        e = NULL;
    }
    for (size_t i = 0; i < list.n && !e; i++) {
        change_delete(cli, "preset", &list.v[i].uuid);
    }
    VEC_DONE(&list);
    return e;
}

#define SIZES                                                                              \
    { "mem", "SIZE", "memory; MiB without a unit" }, { "vcpu", "N", "CPUs" },              \
        { "size", "SIZE", "size of the main disk; MiB without a unit" },                   \
        { "cputune", "N", "weight of its CPUs (1024 is usual)" },                          \
        { "blkiotune", "N", "weight of its disks, 100 to 1000" },                          \
        { "inbound", "KIB", "KiB/s that each card may receive" },                          \
        { "outbound", "KIB", "KiB/s that each card may send" },                            \
        { "network", "NETWORK", "one card in it; may be repeated", "network" },            \
        { "cpu-mode", "MODE", "host-passthrough, host-model, maximum",                     \
          "host-passthrough|host-model|maximum" },                                         \
    {                                                                                      \
        "firmware", "KIND", "bios, efi", "bios|efi"                                        \
    }

static const struct opt_spec opts_add[] = {
    SIZES,
    { "if-not-exists", NULL, "a preset of that name that is there already is no error" },
    { NULL },
};
static const struct opt_spec opts_set[] = { SIZES, { NULL } };
static const struct opt_spec opts_delete[] = {
    { "if-exists", NULL, "a preset that is not there is no error" },
    { NULL },
};

const struct command cmds_preset[] = {
    { "preset", "add", "NAME", "sizes for new machines, under a name", cmd_add, CMD_CHANGE,
      opts_add, NULL,
      "byre preset add small --mem 1G --vcpu 1 --size 10G\n"
      "byre vm create web --preset small --image debian12 --start\n"
      "\n"
      "A machine gets a copy of the values: changing a preset changes no machine.\n" },
    { "preset", "list", "[NAME...]", "presets", cmd_list, CMD_LIST, NULL, "preset" },
    { "preset", "info", "NAME...", "all values of a preset", cmd_info, 0, NULL, "preset" },
    { "preset", "set", "NAME...", "changes what new machines get", cmd_set, CMD_CHANGE,
      opts_set, "preset" },
    { "preset", "delete", "NAME...", "deletes it; machines keep what they got", cmd_delete,
      CMD_CHANGE, opts_delete, "preset" },
    { NULL },
};
