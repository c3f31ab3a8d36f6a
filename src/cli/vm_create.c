/* cli/vm_create.c: a new machine: its row, its disks, and the volumes that are new with it, in one
 * transaction; and changes of its hardware. */
#include "base/clock.h"
#include "cli/list_i.h"
#include "cli/vm_i.h"
#include "cli/vol_i.h"

#define DISKS_MAX 26 /* vda to vdz. */
#define MEM_MIB_DEFAULT 1024

/* --disk and --cdrom as typed: POOL/NAME[:SIZE][,key=value]... */
struct disk {
    char *volume; /* POOL/NAME; owned. */
    char *size;   /* NULL: the volume is there; owned. */
    const char *bus, *format, *cache, *backing;
    bool readonly, is_cdrom;
    struct strvec words; /* What the texts above point into. */
};

static void
disk_done(struct disk *d)
{
    free(d->volume);
    free(d->size);
    strvec_done(&d->words);
}

static struct err *
disk_option(struct disk *d, const char *word)
{
    static const char *const buses[] = { "virtio", "sata", "scsi", "ide" };
    const char *value = strchr(word, '=') ? strchr(word, '=') + 1 : "";
    if (str_eq(word, "readonly")) {
        d->readonly = true;
    } else if (str_starts(word, "bus=")) {
        d->bus = value;
        for (size_t i = 0; i < N_ELEMS(buses); i++) {
            if (str_eq(value, buses[i])) {
                return NULL;
            }
        }
        return err_hint(err_new(ERR_SYNTAX, "there is no bus \"%s\"", value),
                        "one of: virtio, sata, scsi, ide");
    } else if (str_starts(word, "format=")) {
        d->format = value;
    } else if (str_starts(word, "cache=")) {
        d->cache = value;
    } else if (str_starts(word, "backing=")) {
        d->backing = value;
    } else {
        return err_hint(err_new(ERR_SYNTAX, "\"%s\" says nothing about a disk", word),
                        "bus=, format=, cache=, backing=, readonly");
    }
    return NULL;
}

static struct err *
disk_parse(const char *text, bool is_cdrom, struct disk *d)
{
    *d = (struct disk){ .is_cdrom = is_cdrom, .readonly = is_cdrom };
    strvec_split(&d->words, text, ",");
    if (d->words.n == 0) {
        return err_hint(err_new(ERR_SYNTAX, "it names no volume"), "--disk POOL/NAME:SIZE");
    }
    d->volume = str_dup(d->words.v[0]);
    char *colon = strrchr(d->volume, ':');
    if (colon) {
        *colon = '\0';
        d->size = str_dup(colon + 1);
    }
    for (size_t i = 1; i < d->words.n; i++) {
        TRY(disk_option(d, d->words.v[i]));
    }
    return NULL;
}

/* The volume's UUID; a new one is added to the change. */
static struct err *
disk_volume(struct cli *cli, const struct disk *d, struct uuid *ret)
{
    struct named named;
    if (!d->size) {
        TRY(names_find(cli, "volume", d->volume, "state,deleted", &named));
        if (row_bool(named.row, "deleted")) {
            return err_new(ERR_CONSTRAINT, "volume %s is being deleted", named.label);
        }
        *ret = named.uuid;
        return NULL;
    }
    const char *slash = strchr(d->volume, '/');
    if (!slash) {
        return err_hint(err_new(ERR_SYNTAX, "\"%s\" names no pool", d->volume),
                        "--disk POOL/%s:%s", d->volume, d->size);
    }
    CLEANUP(free_drop) char *pool = str_dup_n(d->volume, (size_t) (slash - d->volume));
    CLEANUP(storage_pool_done) struct storage_pool s;
    CLEANUP(vol_done) struct vol v;
    vol_init(&v);
    TRY(storage_pool_find(cli, pool, &s));
    v.name = slash + 1;
    v.allocation = 0;
    v.target.format = d->format ? d->format : "qcow2";
    TRY(parse_size("size", d->size, 1, &v.capacity));
    return vol_create(cli, &s, &v, d->backing, false, ret);
}

/* vda, vdb ... or sda; hda for ide. */
static const char *
target_name(struct cli *cli, const char *bus, size_t i)
{
    const char *prefix = str_eq(bus, "virtio") ? "vd" : str_eq(bus, "ide") ? "hd" : "sd";
    return arena_printf(&cli->arena, "%s%c", prefix, (char) ('a' + i));
}

static struct err *
add_disk(struct cli *cli, const struct uuid *vm, const char *text, bool is_cdrom, size_t i)
{
    struct arena *a = &cli->arena;
    CLEANUP(disk_done) struct disk d;
    struct json row = json_object();
    struct uuid volume;
    TRY(disk_parse(text, is_cdrom, &d));
    TRY(disk_volume(cli, &d, &volume));

    const char *bus = d.bus ? d.bus : is_cdrom ? "sata" : "virtio";
    json_put(a, &row, "vm", q_uuid(a, vm));
    json_put(a, &row, "type", json_string_ref(is_cdrom ? "cdrom" : "disk"));
    json_put(a, &row, "controller", json_string(a, bus));
    json_put(a, &row, "targetdev", json_string_ref(target_name(cli, bus, i)));
    json_put(a, &row, "volume", q_uuid(a, &volume));
    json_put(a, &row, "readonly", json_bool(d.readonly));
    json_put(a, &row, "boot_order", json_int((int64_t) i + 1));
    if (d.cache) {
        json_put(a, &row, "cache", json_string(a, d.cache));
    }
    change_insert(cli, "device", row, NULL);
    return NULL;
}

static struct err *
add_disks(struct cli *cli, const struct args *args, const struct uuid *vm)
{
    static const char *const opts[] = { "disk", "cdrom" };
    size_t n = 0;
    for (size_t k = 0; k < N_ELEMS(opts); k++) {
        const char *text;
        for (size_t i = 0; (text = args_nth(args, opts[k], i)); i++) {
            if (n == DISKS_MAX) {
                return err_new(ERR_CONSTRAINT, "more than %d disks", DISKS_MAX);
            }
            TRY(err_wrap(add_disk(cli, vm, text, k == 1, n++), "--%s %s", opts[k], text));
        }
    }
    return NULL;
}

/* References that are named by an option of the column's name. */
static struct err *
put_ref(struct cli *cli, const struct args *args, const char *column, const char *table,
        struct json *row)
{
    const char *spec = args_get(args, column);
    struct named named;
    if (!spec) {
        return NULL;
    }
    TRY(err_wrap(names_find(cli, table, spec, "_uuid", &named), "--%s", column));
    json_put(&cli->arena, row, column, q_uuid(&cli->arena, &named.uuid));
    return NULL;
}

static void
put_text(struct cli *cli, const struct args *args, const char *opt, const char *column,
         struct json *row)
{
    const char *text = args_get(args, opt);
    if (text) {
        json_put(&cli->arena, row, column, json_string(&cli->arena, text));
    }
}

static struct err *
put_hardware(struct cli *cli, const struct args *args, struct json *row)
{
    struct arena *a = &cli->arena;
    int64_t mem_bytes = MEM_MIB_DEFAULT * MIB;
    int64_t vcpu = 1;
    TRY(args_size(args, "mem", MIB, &mem_bytes));
    TRY(args_int(args, "vcpu", 1, 4096, &vcpu));
    if (mem_bytes < MIB || mem_bytes % MIB) {
        return err_hint(err_new(ERR_SYNTAX, "--mem must be a whole number of MiB"),
                        "--mem 2G");
    }
    json_put(a, row, "mem", json_int(mem_bytes / MIB));
    json_put(a, row, "vcpu", json_int(vcpu));
    TRY(put_ref(cli, args, "vmi", "vmi", row));
    TRY(put_ref(cli, args, "kernel", "volume", row));
    TRY(put_ref(cli, args, "initrd", "volume", row));
    put_text(cli, args, "cmdline", "cmdline", row);
    put_text(cli, args, "machine", "machine", row);
    put_text(cli, args, "accel", "accel", row);
    put_text(cli, args, "cpu-mode", "cpu_mode", row);
    put_text(cli, args, "firmware", "firmware", row);
    put_text(cli, args, "description", "description", row);
    return NULL;
}

/* *ret_there: a machine of that name is there, and that is fine. */
static struct err *
check_new(struct cli *cli, const struct args *args, const char *name, bool *ret_there)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    json_add(a, &where, q_clause(a, "name", "==", json_string(a, name)));
    json_add(a, &ops, q_select(a, "vm", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    *ret_there = q_rows(&results, 0)->n > 0;
    if (*ret_there && !args_has(args, "if-not-exists")) {
        return err_hint(err_new(ERR_EXISTS, "there is already a vm \"%s\"", name),
                        "byre vm info %s; --if-not-exists leaves it as it is", name);
    }
    return NULL;
}

struct err *
vm_create(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    const char *name = args->pos.v[0];
    struct named node;
    struct json row = json_object();
    struct uuid row_uuid_new, uuid;
    bool start = args_has(args, "start");
    bool there;

    TRY(fail_unless_name("vm", name));
    TRY(check_new(cli, args, name, &there));
    if (there) {
        return NULL;
    }
    TRY(pick_node(cli, args, &node));
    uuid_random(&row_uuid_new);
    uuid_random(&uuid);
    json_put(a, &row, "name", json_string(a, name));
    json_put(a, &row, "uuid", q_uuid(a, &uuid));
    json_put(a, &row, "hostnode", q_uuid(a, &node.uuid));
    TRY(err_wrap(put_hardware(cli, args, &row), "vm %s", name));
    json_put(a, &row, "autostart", json_bool(args_has(args, "autostart")));
    json_put(a, &row, "state", json_string_ref(start ? "running" : "stopped"));
    json_put(a, &row, "generation", json_int(1));
    TRY(err_wrap(add_disks(cli, args, &row_uuid_new), "vm %s", name));
    change_insert_as(cli, "vm", &row_uuid_new, row);
    change_await(cli, GOAL_APPLIED, "vm", &row_uuid_new, 1, arena_printf(a, "vm %s", name),
                 start ? "running" : "created");
    return NULL;
}

/* Columns by which a person decides; the others have verbs of their own or are facts. */
static bool
is_settable(const char *column)
{
    static const char *const columns[] = {
        "name",         "hostnode",    "mem",       "vcpu",
        "cputune",      "blkiotune",   "vmi",       "kernel",
        "initrd",       "cmdline",     "domain",    "description",
        "autostart",    "on_poweroff", "on_reboot", "on_crash",
        "cpu_mode",     "firmware",    "machine",   "accel",
        "user",         "preset",      "ip",        "high_availability",
        "external_ids", "vsize",
    };
    for (size_t i = 0; i < N_ELEMS(columns); i++) {
        if (str_eq(column, columns[i])) {
            return true;
        }
    }
    return false;
}

static struct err *
set_one(struct cli *cli, const struct table_schema *table, const char *text,
        struct json *row)
{
    static const char *const assign[] = { "=", NULL };
    CLEANUP(free_drop) char *name = NULL;
    const char *op, *value_text;
    const struct column *column;
    struct json value;
    TRY(split_assignment(text, assign, &name, &op, &value_text));
    TRY(db_column(table, name, &column));
    if (!is_settable(name)) {
        return err_hint(err_new(ERR_SYNTAX, "vm.%s is not for setting by hand", name),
                        "byre help vm lists the verbs; byre set vm writes any column");
    }
    TRY(value_parse(cli, table, column, value_text, &value));
    if (str_eq(name, "name")) {
        TRY(fail_unless_name("vm", value.string));
    }
    json_put(&cli->arena, row, column->name, value);
    return NULL;
}

struct err *
vm_set(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct named_list vms = VEC_INIT;
    struct json row = json_object();
    TRY(db_table(cli, "vm", &table));
    for (size_t i = 1; i < args->pos.n; i++) {
        TRY(set_one(cli, table, args->pos.v[i], &row));
    }
    struct err *e = names_match(cli, "vm", args->pos.v, 1, "name,hostnode,source", &vms);
    for (size_t i = 0; i < vms.n && !e; i++) {
        e = vm_check_ours(&vms.v[i]);
        if (!e) {
            change_update(cli, "vm", &vms.v[i].uuid, row);
            vm_await(cli, &vms.v[i], GOAL_APPLIED, "set");
        }
    }
    VEC_DONE(&vms);
    return e;
}

const struct opt_spec opts_vm_create[] = {
    { "mem", "SIZE", "memory; MiB without a unit (1G)" },
    { "vcpu", "N", "CPUs (1)" },
    { "disk", "DISK", "POOL/VOLUME or POOL/NAME:SIZE; may be repeated", "volume" },
    { "cdrom", "VOLUME", "an ISO image; may be repeated", "volume" },
    { "vmi", "NAME", "OS template: kernel, initrd, command line", "vmi" },
    { "kernel", "VOLUME", "kernel to boot directly", "volume" },
    { "initrd", "VOLUME", "its initial RAM disk", "volume" },
    { "cmdline", "TEXT", "its command line" },
    { "node", "NODE", "on which host (the only one)", "hostnode" },
    { "start", NULL, "start it" },
    { "autostart", NULL, "start it when the host has booted" },
    { "machine", "TYPE", "q35, pc ... (q35)" },
    { "accel", "HOW", "auto (default), kvm, qemu", "auto|kvm|qemu" },
    { "cpu-mode", "MODE", "host-passthrough, host-model, maximum",
      "host-passthrough|host-model|maximum" },
    { "firmware", "KIND", "bios (default), efi", "bios|efi" },
    { "description", "TEXT", "for people" },
    { "if-not-exists", NULL, "a machine of that name that is there already is no error" },
    { NULL },
};

const struct opt_spec opts_vm_set[] = { { NULL } };
