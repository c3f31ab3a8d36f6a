/* cli/vm_clone.c: a second machine like the first, with disks of its own.
 *
 * All in one transaction: the new machine's row, its devices and cards, its volumes.  A new volume names the one it
 * begins as a copy of (`source`), or the one that it holds the differences to (`backing`, --linked); the agent makes
 * them, then defines the machine.  Killed anywhere in between, it goes on from the rows.  If a disk cannot be made
 * the new machine goes again, with what there is of its disks. */
#include "cli/job_i.h"
#include "cli/storage_i.h"
#include "cli/vm_i.h"
#include "cli/vol_i.h"

#define MAC_PREFIX "52:54:00"

const struct opt_spec opts_vm_clone[] = {
    { "linked", NULL, "new disks hold only what differs from the old machine's" },
    { "pool", "POOL", "where the new disks lie (where the old ones do)", "pool" },
    { "start", NULL, "start it" },
    { NULL },
};

struct clone {
    struct named from;
    struct uuid row, uuid; /* The new machine's. */
    const char *name;
    const char *pool; /* NULL: each disk's own. */
    bool linked, start;
    size_t n_disks;
};

/* What is the first machine's alone, and what was only observed. */
static bool
is_copied(const char *column)
{
    static const char *const own[] = {
        "_uuid",
        "_version",
        "name",
        "uuid",
        "ip",
        "domain",
        "state",
        "how",
        "delete_volumes",
        "reboots",
        "reboots_done",
        "generation",
        "asked_by",
        "asked_at",
        "asked_for",
        "opkey",
        "password",
        "status",
        "domid",
        "vnc",
        "autostart",
        "imported",
        "source",
        "error",
        "observed_at",
        "observed_generation",
        "high_availability",
    };
    for (size_t i = 0; i < N_ELEMS(own); i++) {
        if (str_eq(column, own[i])) {
            return false;
        }
    }
    return !str_starts(column, "guest_") && !strstr(column, "_actual") &&
           !str_starts(column, "needreboot") && !str_starts(column, "migrat") &&
           !str_starts(column, "fence") && !str_starts(column, "firstboot");
}

static void
copy_columns(struct cli *cli, const struct json *from, struct json *to,
             bool (*takes)(const char *))
{
    JSON_FOR_EACH_MEMBER (m, from) {
        if (takes(m->name)) {
            json_put(&cli->arena, to, m->name, m->value);
        }
    }
}

static bool
is_device_copied(const char *column)
{
    return column[0] != '_' && !str_eq(column, "vm") && !str_eq(column, "volume") &&
           !str_eq(column, "error") && !str_starts(column, "observed");
}

static bool
is_iface_copied(const char *column)
{
    return column[0] != '_' && !str_eq(column, "vm") && !str_eq(column, "mac") &&
           !str_eq(column, "target") && !str_eq(column, "error") &&
           !str_starts(column, "observed");
}

/* "web-vda": taken by the new machine, so no other wants that name. */
static const char *
volume_name(struct cli *cli, const struct clone *c, const struct json *device,
            const struct json *volume)
{
    const char *old = row_string(volume, "name");
    const char *from = row_string(c->from.row, "name");
    const char *at = from && old ? strstr(old, from) : NULL;
    if (at) { /* "web.qcow2" of web is "web2.qcow2" of web2. */
        return arena_printf(&cli->arena, "%.*s%s%s", (int) (at - old), old, c->name,
                            at + strlen(from));
    }
    return arena_printf(&cli->arena, "%s-%s", c->name, row_string(device, "targetdev"));
}

/* The new volume as a value: for the checks and for the row. */
static void
like(struct vol *vol, const struct vol *source, const struct clone *c)
{
    vol->capacity = source->capacity;
    vol->allocation = 0;
    vol->target.format = c->linked ? "qcow2" : source->target.format;
    vol->target.perms = source->target.perms;
}

static struct err *
add_copy(struct cli *cli, const struct clone *c, const struct named *from,
         const struct storage_pool *to, struct json row, struct uuid *ret)
{
    struct arena *a = &cli->arena;
    json_put(a, &row, "pool", q_uuid(a, &to->pool.uuid));
    json_put(a, &row, "vm", q_uuid(a, &c->row));
    json_put(a, &row, "generation", json_int(1));
    if (c->linked) {
        const char *format = row_string(from->row, "format");
        json_put(a, &row, "backing", q_uuid(a, &from->uuid));
        json_put(a, &row, "backing_format", json_string(a, format ? format : "raw"));
        change_insert(cli, "volume", row, ret);
        return NULL;
    }
    struct json job;
    json_put(a, &row, "source", q_uuid(a, &from->uuid));
    change_insert(cli, "volume", row, ret);
    job = job_row(cli, "vol.clone", "volume", ret, to->pool.row);
    json_put(a, &job, "source", q_uuid(a, &from->uuid));
    change_insert(cli, "job", job, NULL);
    return NULL;
}

static struct err *
clone_volume(struct cli *cli, struct clone *c, const struct json *device,
             const struct uuid *old, struct uuid *ret)
{
    CLEANUP(storage_pool_done) struct storage_pool from_pool;
    CLEANUP(storage_pool_done) struct storage_pool to;
    CLEANUP(vol_done) struct vol source;
    CLEANUP(vol_done) struct vol vol;
    struct named from;
    bool there;
    pool_init(&from_pool.value);
    pool_init(&to.value);
    vol_init(&source);
    vol_init(&vol);
    TRY(vol_find(cli, UUID_TEXT(old), &from, &from_pool));
    if (!str_eq(row_string(from.row, "state"), "ready")) {
        return err_hint(err_new(ERR_CONSTRAINT, "volume %s is not ready", from.label),
                        "byre vol info %s", from.label);
    }
    TRY(storage_volume(cli, &from_pool, from.row, &source));
    TRY(storage_pool_find(cli, c->pool ? c->pool : UUID_TEXT(&from_pool.pool.uuid), &to));
    vol.name = volume_name(cli, c, device, from.row);
    like(&vol, &source, c);
    TRY(vol_check_new(cli, &to, vol.name, false, &there));
    TRY(vol_check_pool(&to, &vol));
    TRY(vol_check_format(&to, &vol));
    return add_copy(cli, c, &from, &to, storage_volume_row(cli, &vol), ret);
}

/* A CD is shared, and so is what several machines write to on purpose. */
static struct err *
clone_device(struct cli *cli, struct clone *c, const struct json *device)
{
    struct arena *a = &cli->arena;
    struct json row = json_object();
    struct uuid old, new;
    bool has_volume = row_ref(device, "volume", &old);
    bool shared = str_eq(row_string(device, "type"), "cdrom") ||
                  row_bool(device, "readonly") || row_bool(device, "shareable");

    copy_columns(cli, device, &row, is_device_copied);
    json_put(a, &row, "vm", q_uuid(a, &c->row));
    if (!has_volume && !shared) {
        return err_hint(err_new(ERR_UNSUPPORTED,
                                "disk %s is no volume, so it cannot be copied",
                                row_string(device, "targetdev")),
                        "take it into a pool, or detach it");
    } else if (has_volume && shared) {
        json_put(a, &row, "volume", q_uuid(a, &old));
    } else if (has_volume) {
        TRY(err_wrap(clone_volume(cli, c, device, &old, &new), "disk %s",
                     row_string(device, "targetdev")));
        json_put(a, &row, "volume", q_uuid(a, &new));
        c->n_disks++;
    }
    change_insert(cli, "device", row, NULL);
    return NULL;
}

/* No two cards of the cluster have one address: the index refuses what chance did not avoid. */
static void
clone_iface(struct cli *cli, const struct clone *c, const struct json *iface)
{
    struct arena *a = &cli->arena;
    struct json row = json_object();
    struct uuid dice;
    uuid_random(&dice);
    copy_columns(cli, iface, &row, is_iface_copied);
    json_put(a, &row, "vm", q_uuid(a, &c->row));
    json_put(
        a, &row, "mac",
        json_stringf(a, MAC_PREFIX ":%02x:%02x:%02x", dice.b[0], dice.b[1], dice.b[2]));
    change_insert(cli, "iface", row, NULL);
}

static struct err *
clone_parts(struct cli *cli, struct clone *c)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), where = json_array(), results;
    json_add(a, &where, q_clause(a, "vm", "==", q_uuid(a, &c->from.uuid)));
    json_add(a, &ops, q_select(a, "device", where, NULL));
    json_add(a, &ops, q_select(a, "iface", where, NULL));
    TRY(db_transact(cli, &ops, &results));
    const struct json *devices = q_rows(&results, 0), *ifaces = q_rows(&results, 1);
    for (uint32_t i = 0; i < devices->n; i++) {
        TRY(clone_device(cli, c, &devices->elems[i]));
    }
    for (uint32_t i = 0; i < ifaces->n; i++) {
        clone_iface(cli, c, &ifaces->elems[i]);
    }
    return NULL;
}

static struct err *
check_off(const struct named *vm)
{
    const char *status = row_string(vm->row, "status");
    if (str_eq(status, "shutoff") && str_eq(row_string(vm->row, "state"), "stopped")) {
        return NULL;
    }
    struct err *e = err_new(ERR_CONSTRAINT, "vm %s is %s: its disks would change meanwhile",
                            vm->label, status ? status : "not seen yet");
    return err_hint(e, "byre vm shutdown %s", vm->label);
}

/* If a disk could not be made: the machine goes, and its disks with it. */
static struct json
forget_failed(struct arena *a, const struct uuid *vm)
{
    struct json op = json_object(), row = json_object();
    json_put(a, &row, "state", json_string_ref("deleted"));
    json_put(a, &row, "how", json_string_ref("force"));
    json_put(a, &row, "delete_volumes", json_bool(true));
    json_put(a, &op, "op", json_string_ref("update"));
    json_put(a, &op, "table", json_string_ref("vm"));
    json_put(a, &op, "where", q_where_uuid(a, vm));
    json_put(a, &op, "row", row);
    return op;
}

struct err *
vm_clone(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    struct clone c = { .name = args->pos.v[1],
                       .pool = args_get(args, "pool"),
                       .linked = args_has(args, "linked"),
                       .start = args_has(args, "start") };
    struct json row = json_object();
    struct named other;
    TRY(fail_unless_name("vm", c.name));
    TRY(names_find(cli, "vm", args->pos.v[0], NULL, &c.from));
    TRY(vm_check_ours(&c.from));
    TRY(check_off(&c.from));
    bool exact = cli->exact;
    cli->exact = true;
    struct err *e = names_find(cli, "vm", c.name, "_uuid", &other);
    cli->exact = exact;
    if (!e) {
        return err_hint(err_new(ERR_EXISTS, "there is already a vm \"%s\"", c.name),
                        "byre vm info %s", c.name);
    }
    err_free(e);
    uuid_random(&c.row);
    uuid_random(&c.uuid);
    copy_columns(cli, c.from.row, &row, is_copied);
    json_put(a, &row, "name", json_string(a, c.name));
    json_put(a, &row, "uuid", q_uuid(a, &c.uuid));
    json_put(a, &row, "state", json_string_ref(c.start ? "running" : "stopped"));
    json_put(a, &row, "generation", json_int(1));
    vm_put_asked(cli, &row);
    TRY(err_wrap(clone_parts(cli, &c), "clone of vm %s", c.from.label));
    change_insert_as(cli, "vm", &c.row, row);
    change_await(cli, GOAL_APPLIED, "vm", &c.row, 1, arena_printf(a, "vm %s", c.name),
                 c.start    ? "running"
                 : c.linked ? "cloned, linked"
                            : "cloned");
    change_take_back(cli, forget_failed(a, &c.row));
    return NULL;
}
