/* cli/vm_disk.c: the disks of a machine: as typed, as rows, put in and taken out. */
#include "cli/vm_i.h"
#include "cli/vol_i.h"
#include "store/pool_ops.h"

/* --disk and --cdrom as typed: POOL/NAME[:SIZE][,key=value]... */
struct disk {
    char *volume; /* POOL/NAME; owned. */
    char *size;   /* NULL: the volume is there; owned. */
    const char *bus, *format, *cache, *backing;
    bool readonly, shareable, is_cdrom;
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
    } else if (str_eq(word, "shareable")) {
        d->shareable = true;
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
                        "bus=, format=, cache=, backing=, readonly, shareable");
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

/* Two machines that write to one disk destroy what is on it. */
static struct err *
check_free(struct cli *cli, const struct disk *d, const struct named *volume,
           const struct uuid *vm)
{
    struct uuid owner;
    struct named other;
    if (row_bool(volume->row, "deleted")) {
        return err_new(ERR_CONSTRAINT, "volume %s is being deleted", volume->label);
    } else if (d->readonly || d->shareable || !row_ref(volume->row, "vm", &owner) ||
               uuid_eq(&owner, vm)) {
        return NULL;
    }
    TRY(names_find(cli, "vm", UUID_TEXT(&owner), "_uuid", &other));
    return err_hint(
        err_new(ERR_BUSY, "volume %s belongs to vm %s", volume->label, other.label),
        "take another, or add ,readonly or ,shareable");
}

/* LUNs are called unit:BUS:TARGET:LUN.  Where nothing can be made there is no size. */
static struct err *
rejoin_lun(struct cli *cli, struct disk *d)
{
    const char *slash = d->size ? strchr(d->volume, '/') : NULL;
    if (!slash) {
        return NULL;
    }
    CLEANUP(free_drop) char *pool = str_dup_n(d->volume, (size_t) (slash - d->volume));
    CLEANUP(storage_pool_done) struct storage_pool s;
    TRY(storage_pool_find(cli, pool, &s));
    const struct pool_ops *ops = pool_ops_find(s.value.type);
    if (ops && !ops->vol_create) {
        char *whole = str_dupf("%s:%s", d->volume, d->size);
        free(TAKE(d->size));
        free(d->volume);
        d->volume = whole;
    }
    return NULL;
}

/* The volume's UUID; a new one is added to the change.  *ret_own: it is this machine's
 * from now on. */
static struct err *
disk_volume(struct cli *cli, struct disk *d, const struct uuid *vm, struct uuid *ret,
            bool *ret_own)
{
    struct named named;
    struct uuid owner;
    *ret_own = true;
    TRY(rejoin_lun(cli, d));
    if (!d->size) {
        TRY(names_find(cli, "volume", d->volume, "state,deleted,vm", &named));
        TRY(check_free(cli, d, &named, vm));
        *ret_own = !d->readonly && !d->shareable && !row_ref(named.row, "vm", &owner);
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
    bool is_files = pool_type_is_files(s.value.type);
    v.allocation = is_files ? 0 : -1;
    v.target.format = d->format  ? d->format
                      : is_files ? "qcow2"
                                 : pool_traits(s.value.type)->default_vol_format;
    TRY(parse_size("size", d->size, 1, &v.capacity));
    return vol_create(cli, &s, &v, d->backing, false, ret);
}

/* One disk twice in one machine is two writers too. */
static struct err *
check_not_twice(struct cli *cli, const struct uuid *vm, const struct uuid *volume,
                const char *label)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    struct uuid its;
    for (size_t i = 0; i < cli->change.ops.n; i++) { /* Of this very line. */
        const struct change_op *op = &cli->change.ops.v[i];
        if (op->kind == CHANGE_INSERT && str_eq(op->table, "device") &&
            row_ref(&op->row, "volume", &its) && uuid_eq(&its, volume)) {
            return err_hint(err_new(ERR_BUSY, "volume %s is named twice", label),
                            "name each disk once");
        }
    }
    json_add(a, &where, q_clause(a, "vm", "==", q_uuid(a, vm)));
    json_add(a, &where, q_clause(a, "volume", "==", q_uuid(a, volume)));
    json_add(a, &ops, q_select(a, "device", where, "targetdev"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    if (rows->n == 0) {
        return NULL;
    }
    const char *target = row_string(&rows->elems[0], "targetdev");
    return err_hint(err_new(ERR_EXISTS, "it has volume %s already, as disk %s", label,
                            target ? target : "?"),
                    "name another volume");
}

/* vda, vdb ... or sda; hda for ide. */
static const char *
target_name(struct cli *cli, const char *bus, size_t i)
{
    const char *prefix = str_eq(bus, "virtio") ? "vd" : str_eq(bus, "ide") ? "hd" : "sd";
    return arena_printf(&cli->arena, "%s%c", prefix, (char) ('a' + i));
}

/* 'boots': it stands in the firmware's boot order, behind those before it. */
static struct err *
add_disk(struct cli *cli, const struct uuid *vm, const char *text, bool is_cdrom, size_t i,
         bool boots)
{
    struct arena *a = &cli->arena;
    CLEANUP(disk_done) struct disk d;
    struct json row = json_object();
    struct uuid volume, device;
    bool own;
    TRY(disk_parse(text, is_cdrom, &d));
    TRY(disk_volume(cli, &d, vm, &volume, &own));
    if (!d.size && !d.readonly && !d.shareable) {
        TRY(check_not_twice(cli, vm, &volume, d.volume));
    }

    const char *bus = d.bus ? d.bus : is_cdrom ? "sata" : "virtio";
    json_put(a, &row, "vm", q_uuid(a, vm));
    json_put(a, &row, "type", json_string_ref(is_cdrom ? "cdrom" : "disk"));
    json_put(a, &row, "controller", json_string(a, bus));
    json_put(a, &row, "targetdev", json_string_ref(target_name(cli, bus, i)));
    json_put(a, &row, "volume", q_uuid(a, &volume));
    json_put(a, &row, "readonly", json_bool(d.readonly));
    json_put(a, &row, "shareable", json_bool(d.shareable));
    if (boots) {
        json_put(a, &row, "boot_order", json_int((int64_t) i + 1));
    }
    if (d.cache) {
        json_put(a, &row, "cache", json_string(a, d.cache));
    }
    change_insert(cli, "device", row, &device);
    if (own) { /* `vm delete --volumes` takes it along. */
        struct json ties = json_object();
        json_put(a, &ties, "vm", q_uuid(a, vm));
        json_put(a, &ties, "device", q_uuid(a, &device));
        json_put(a, &ties, "bus", json_string(a, bus));
        json_put(a, &ties, "dev", json_string_ref(target_name(cli, bus, i)));
        change_update(cli, "volume", &volume, ties);
    }
    return NULL;
}

struct err *
vm_add_disk(struct cli *cli, const struct uuid *vm, const char *text, bool is_cdrom,
            size_t i)
{
    return add_disk(cli, vm, text, is_cdrom, i, true);
}

/* The devices of a machine. */
static struct err *
devices_of(struct cli *cli, const struct uuid *vm, const struct json **ret_rows)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    json_add(a, &where, q_clause(a, "vm", "==", q_uuid(a, vm)));
    json_add(a, &ops, q_select(a, "device", where, "_uuid,targetdev,type,volume"));
    TRY(db_transact(cli, &ops, &results));
    *ret_rows = q_rows(&results, 0);
    return NULL;
}

/* Behind the last letter in use, whatever the bus. */
static size_t
free_letter(const struct json *devices)
{
    size_t next = 0;
    for (uint32_t i = 0; i < devices->n; i++) {
        const char *target = row_string(&devices->elems[i], "targetdev");
        size_t n = target ? strlen(target) : 0;
        if (n && target[n - 1] >= 'a' && target[n - 1] <= 'z') {
            next = (size_t) max64((int64_t) next, target[n - 1] - 'a' + 1);
        }
    }
    return next;
}

struct err *
vm_attach(struct cli *cli, const struct args *args)
{
    struct named vm;
    const struct json *devices;
    TRY(names_find(cli, "vm", args->pos.v[0], "hostnode,source", &vm));
    TRY(vm_check_ours(&vm));
    TRY(devices_of(cli, &vm.uuid, &devices));
    size_t letter = free_letter(devices);
    if (letter >= VM_DISKS_MAX) {
        return err_new(ERR_CONSTRAINT, "vm %s has all the disks it can have", vm.label);
    }
    /* The order of booting is that of the machine's making: a disk that comes later would change
     * it, and that needs a reboot. */
    TRY(err_wrap(add_disk(cli, &vm.uuid, args->pos.v[1], args_has(args, "cdrom"), letter,
                          devices->n == 0),
                 "vm %s", vm.label));
    vm_await_hardware(cli, &vm, "attached");
    return NULL;
}

/* The volume of a device that goes is nobody's again. */
static struct err *
release(struct cli *cli, const struct uuid *vm, const struct json *device)
{
    struct arena *a = &cli->arena;
    struct uuid volume, owner;
    struct named named;
    struct json row = json_object();
    if (!row_ref(device, "volume", &volume)) {
        return NULL;
    }
    TRY(names_find(cli, "volume", UUID_TEXT(&volume), "vm", &named));
    if (row_ref(named.row, "vm", &owner) && uuid_eq(&owner, vm)) {
        json_put(a, &row, "vm", q_unset(a));
        json_put(a, &row, "device", q_unset(a));
        change_update(cli, "volume", &volume, row);
    }
    return NULL;
}

/* By the guest's name for it (vdb), or by the volume. */
static struct err *
find_device(struct cli *cli, const struct named *vm, const char *which,
            const struct json **ret)
{
    struct named volume;
    const struct json *devices;
    TRY(devices_of(cli, &vm->uuid, &devices));
    struct err *e = names_find(cli, "volume", which, "_uuid", &volume);
    bool by_volume = !e;
    err_free(e);
    for (uint32_t i = 0; i < devices->n; i++) {
        const struct json *row = &devices->elems[i];
        struct uuid its;
        if (str_eq(row_string(row, "targetdev"), which) ||
            (by_volume && row_ref(row, "volume", &its) && uuid_eq(&its, &volume.uuid))) {
            *ret = row;
            return NULL;
        }
    }
    return err_hint(err_new(ERR_NOT_FOUND, "vm %s has no disk \"%s\"", vm->label, which),
                    "byre vm disk list %s", vm->label);
}

struct err *
vm_and_device(struct cli *cli, const struct args *args, struct named *vm,
              const struct json **ret)
{
    TRY(names_find(cli, "vm", args->pos.v[0], "hostnode,source,status", vm));
    TRY(vm_check_ours(vm));
    return find_device(cli, vm, args->pos.v[1], ret);
}

struct err *
vm_detach(struct cli *cli, const struct args *args)
{
    struct named vm;
    const struct json *device;
    TRY(vm_and_device(cli, args, &vm, &device));
    struct uuid uuid = row_uuid(device);
    change_delete(cli, "device", &uuid);
    TRY(release(cli, &vm.uuid, device));
    vm_await_hardware(cli, &vm, "detached");
    return NULL;
}

/* Another medium, or none (NULL), for a drive. */
static struct err *
change_medium(struct cli *cli, const struct args *args, const struct uuid *volume,
              const char *said)
{
    bool force = args_has(args, "force");
    struct arena *a = &cli->arena;
    struct named vm;
    const struct json *device;
    struct json row = json_object();
    TRY(vm_and_device(cli, args, &vm, &device));
    if (str_eq(row_string(device, "type"), "disk")) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "%s is a disk, not a drive", args->pos.v[1]),
            "byre vm disk detach %s %s", vm.label, args->pos.v[1]);
    }
    struct uuid uuid = row_uuid(device);
    json_put(a, &row, "volume", volume ? q_uuid(a, volume) : q_unset(a));
    json_put(a, &row, "filepath", q_unset(a));
    json_put(a, &row, "how", force ? json_string_ref("force") : q_unset(a));
    change_update(cli, "device", &uuid, row);
    vm_await_hardware(cli, &vm, said);
    return NULL;
}

struct err *
vm_insert(struct cli *cli, const struct args *args)
{
    struct named volume;
    TRY(names_find(cli, "volume", args->pos.v[2], "deleted", &volume));
    if (row_bool(volume.row, "deleted")) {
        return err_new(ERR_CONSTRAINT, "volume %s is being deleted", volume.label);
    }
    return change_medium(cli, args, &volume.uuid, "inserted");
}

struct err *
vm_eject(struct cli *cli, const struct args *args)
{
    return change_medium(cli, args, NULL, "ejected");
}

struct err *
vm_disk_set(struct cli *cli, const struct args *args)
{
    static const char *const columns[] = {
        "controller",      "info",
        "readonly",        "shareable",
        "boot_order",      "cache",
        "total_bytes_sec", "read_bytes_sec",
        "write_bytes_sec", "total_iops_sec",
        "read_iops_sec",   "write_iops_sec",
        "external_ids",    NULL,
    };
    struct named vm;
    const struct json *device;
    struct json row;
    TRY(vm_and_device(cli, args, &vm, &device));
    struct uuid uuid = row_uuid(device);
    TRY(vm_assignments(cli, "device", columns, args, 2, &row));
    change_update(cli, "device", &uuid, row);
    vm_await_hardware(cli, &vm, "set");
    return NULL;
}

struct err *
vm_disk_list(struct cli *cli, const struct args *args)
{
    return vm_list_parts(cli, args, "device",
                         "targetdev,type,controller,volume,filepath,boot_order,cache",
                         "readonly,shareable,total_bytes_sec,total_iops_sec");
}
