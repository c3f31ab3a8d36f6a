/* cli/vm_image.c: `vm create` from a preset and an image.
 *
 *     image      the main disk begins as a copy of the image's volume, grown to --size; a first-boot
 *                disk tells the guest its name, user and keys, if the image obeys cloud-init
 *     iso        an empty disk, and the image in the CD drive: the disk boots once something is on it
 *     installer  an empty disk; kernel and initrd come from the template
 * The values of a preset are copied; what the command line says wins.  A one-time key (vm.opkey) goes
 * to the guest, by which it reports that it is installed: until then the agent keeps the first-boot
 * disk in its drive. */
#include <crypt.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/fail_i.h"
#include "cli/vm_i.h"
#include "cli/vm_image_i.h"
#include "cli/vol_i.h"
#include "digest/digest.h"
#include "store/gate.h"

#define KEY_MAX_BYTES (64 * KIB)
#define PASSWORD_MAX_BYTES 512
#define FINISH_MACRO "($FINISH)" /* In an installer's command line: where it reports. */

struct err *
template_read(struct cli *cli, const struct args *args, struct template *t)
{
    const char *preset = args_get(args, "preset"), *image = args_get(args, "image");
    *t = (struct template){ 0 };
    if (preset) {
        TRY(err_wrap(names_find(cli, "preset", preset, NULL, &t->preset), "--preset"));
    }
    if (image && args_has(args, "vmi")) {
        return fail_as(err_hint(err_new(ERR_SYNTAX, "--image and --vmi"), "one of them"),
                       EXIT_USAGE);
    } else if (image) {
        TRY(err_wrap(names_find(cli, "vmi", image, NULL, &t->image), "--image"));
    }
    return NULL;
}

int64_t
template_int(const struct template *t, const char *column, int64_t absent)
{
    return t->preset.row ? row_int(t->preset.row, column, absent) : absent;
}

struct err *
template_networks(struct cli *cli, const struct template *t, struct strvec *networks)
{
    const struct json *value = t->preset.row ? json_get(t->preset.row, "networks") : NULL;
    struct json set = json_array();

    if (!value) {
        return NULL;
    } else if (str_eq(value->elems[0].string, "set")) {
        set = value->elems[1];
    } else { /* A set of one comes as that one. */
        json_add(&cli->arena, &set, *value);
    }
    for (uint32_t i = 0; i < set.n; i++) {
        struct named network;
        TRY(names_find(cli, "network", set.elems[i].elems[1].string, NULL, &network));
        strvec_add(networks, row_string(network.row, "name"));
    }
    strvec_sort(networks);
    return NULL;
}

const char *
template_limits(struct cli *cli, const struct template *t, const char *net)
{
    static const char *const limits[] = { "inbound", "outbound" };

    for (size_t i = 0; i < N_ELEMS(limits); i++) {
        int64_t kib = template_int(t, limits[i], 0);
        if (kib > 0 && !strstr(net, arena_printf(&cli->arena, ",%s=", limits[i]))) {
            net = arena_printf(&cli->arena, "%s,%s=%" PRId64, net, limits[i], kib);
        }
    }
    return net;
}

/* Columns that a preset and a machine have both, and that have no say of their own. */
static void
copy_preset(struct cli *cli, const struct template *t, struct json *row)
{
    static const char *const ints[] = { "cputune", "blkiotune" };
    static const char *const texts[] = { "cpu_mode", "firmware" };
    struct arena *a = &cli->arena;
    if (!t->preset.row) {
        return;
    }
    json_put(a, row, "preset", q_uuid(a, &t->preset.uuid));
    for (size_t i = 0; i < N_ELEMS(ints); i++) {
        int64_t value = row_int(t->preset.row, ints[i], -1);
        if (value >= 0) {
            json_put(a, row, ints[i], json_int(value));
        }
    }
    for (size_t i = 0; i < N_ELEMS(texts); i++) {
        const char *value = row_string(t->preset.row, texts[i]);
        if (value && !json_get(row, texts[i])) {
            json_put(a, row, texts[i], json_string(a, value));
        }
    }
}

/* What the image cannot do with less. */
static MUST_CHECK struct err *
check_least(const struct template *t, const char *what, const char *column, int64_t has_mib)
{
    int64_t least = row_int(t->image.row, column, 0);
    return has_mib >= least ? NULL
                            : err_hint(err_new(ERR_CONSTRAINT,
                                               "image %s needs %" PRId64
                                               " MiB of %s, this machine has %" PRId64,
                                               t->image.label, least, what, has_mib),
                                       "--%s %" PRId64 "M, or more",
                                       str_eq(column, "min_mem") ? "mem" : "size", least);
}

/* The volume of the main disk: empty, or a copy of 'source' (NULL: empty). */
static MUST_CHECK struct err *
add_volume(struct cli *cli, const struct storage_pool *pool, struct vol *vol,
           const struct named *source, struct uuid *ret)
{
    struct arena *a = &cli->arena;
    struct uuid job;
    bool there;
    if (!source) {
        return vol_create(cli, pool, vol, NULL, false, ret);
    }
    const char *label = arena_printf(a, "vol %s/%s", pool->pool.label, vol->name);
    TRY(err_wrap(vol_check_new(cli, pool, vol->name, false, &there), "%s", label));
    TRY(err_wrap(vol_check_pool(pool, vol), "%s", label));
    struct json row = storage_volume_row(cli, vol);
    json_put(a, &row, "pool", q_uuid(a, &pool->pool.uuid));
    json_put(a, &row, "source", q_uuid(a, &source->uuid));
    json_put(a, &row, "generation", json_int(1));
    change_insert(cli, "volume", row, ret);
    change_await(cli, GOAL_APPLIED, "volume", ret, 1, label, "cloned");
    change_insert(cli, "job", job_row(cli, "vol.clone", "volume", ret, pool->pool.row),
                  &job);
    job_await(cli, &job);
    return NULL;
}

static void
add_device(struct cli *cli, const struct uuid *vm, const struct uuid *volume, bool is_cdrom)
{
    struct arena *a = &cli->arena;
    struct json row = json_object();
    struct uuid device;
    json_put(a, &row, "vm", q_uuid(a, vm));
    json_put(a, &row, "type", json_string_ref(is_cdrom ? "cdrom" : "disk"));
    json_put(a, &row, "controller", json_string_ref(is_cdrom ? "sata" : "virtio"));
    json_put(a, &row, "targetdev", json_string_ref(is_cdrom ? "sda" : "vda"));
    json_put(a, &row, "volume", q_uuid(a, volume));
    json_put(a, &row, "readonly", json_bool(is_cdrom));
    json_put(a, &row, "boot_order", json_int(is_cdrom ? 2 : 1));
    change_insert(cli, "device", row, &device);
    if (!is_cdrom) { /* `vm delete --volumes` takes it along. */
        struct json ties = json_object();
        json_put(a, &ties, "vm", q_uuid(a, vm));
        json_put(a, &ties, "device", q_uuid(a, &device));
        json_put(a, &ties, "bus", json_string_ref("virtio"));
        change_update(cli, "volume", volume, ties);
    }
}

/* The image's volume; NULL in 'ret' if it has none. */
static MUST_CHECK struct err *
image_volume(struct cli *cli, const struct template *t, struct named *ret)
{
    struct uuid uuid;
    *ret = (struct named){ 0 };
    if (!row_ref(t->image.row, "volume", &uuid)) {
        return NULL;
    }
    TRY(names_find(cli, "volume", UUID_TEXT(&uuid), NULL, ret));
    const char *state = row_string(ret->row, "state");
    return str_eq(state, "ready")
               ? NULL
               : err_hint(err_new(ERR_CONSTRAINT, "volume %s of image %s is %s, not ready",
                                  ret->label, t->image.label,
                                  state ? state : "not there yet"),
                          "byre vol info %s", ret->label);
}

static MUST_CHECK struct err *
add_main_disk(struct cli *cli, const struct args *args, const struct template *t,
              const char *name, const struct uuid *vm, struct json *vm_row)
{
    struct arena *a = &cli->arena;
    CLEANUP(storage_pool_done) struct storage_pool pool;
    CLEANUP(vol_done) struct vol vol;
    struct named source;
    struct uuid pool_uuid, volume;
    const char *kind = row_string(t->image.row, "kind"),
               *pool_name = args_get(args, "pool");
    bool is_image = str_eq(kind, "image");
    int64_t size = template_int(t, "vsize", 0) * MIB;

    pool_init(&pool.value);
    vol_init(&vol);
    TRY(args_size(args, "size", MIB, &size));
    TRY(image_volume(cli, t, &source));
    if ((is_image || str_eq(kind, "iso")) && !source.row) {
        return err_hint(err_new(ERR_NOT_FOUND, "image %s has no volume", t->image.label),
                        "byre image add makes one that has");
    }
    int64_t least = is_image ? row_int(source.row, "capacity", 0) : 0;
    if (is_image && size == 0) {
        size = max64(least, row_int(t->image.row, "min_vsize", 0) * MIB);
    } else if (size < least || size <= 0) {
        CLEANUP(free_drop) char *text = str_from_bytes(least);
        return err_hint(err_new(ERR_CONSTRAINT,
                                is_image ? "the disk would be smaller than the image's %s"
                                         : "the size of its disk is not said%.0s",
                                text),
                        "--size SIZE");
    }
    TRY(check_least(t, "disk", "min_vsize", size / MIB));
    if (!pool_name && is_image && row_ref(source.row, "pool", &pool_uuid)) {
        pool_name = arena_str(a, UUID_TEXT(&pool_uuid));
    }
    TRY(storage_pool_find(cli, pool_name ? pool_name : "default", &pool));
    bool is_files = pool_type_is_files(pool.value.type);
    const char *format = is_image ? row_string(source.row, "format") : NULL;
    vol.target.format = !is_files ? pool_traits(pool.value.type)->default_vol_format
                        : format  ? format
                                  : "qcow2";
    vol.name = arena_printf(a, "%s%s%s", name, is_files ? "." : "",
                            is_files ? vol.target.format : "");
    vol.capacity = size;
    vol.allocation = is_files ? 0 : -1;
    TRY(add_volume(cli, &pool, &vol, is_image ? &source : NULL, &volume));
    add_device(cli, vm, &volume, false);
    if (str_eq(kind, "iso")) {
        add_device(cli, vm, &source.uuid, true);
    }
    json_put(a, vm_row, "vsize", json_int((int64_t) div_up((uint64_t) size, MIB)));
    return NULL;
}

static struct uuid
add_secret(struct cli *cli, const char *usage, const char *value)
{
    struct arena *a = &cli->arena;
    struct json secret = json_object();
    struct uuid uuid;
    json_put(a, &secret, "usage", json_string_ref(usage));
    json_put(a, &secret, "value", json_string(a, value));
    json_put(a, &secret, "created_at", json_int(clock_wall_ms()));
    change_insert(cli, "secret", secret, &uuid);
    return uuid;
}

/* The first line of standard input, hashed: the password itself is nowhere. */
static MUST_CHECK struct err *
put_password(struct cli *cli, struct json *row)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct crypt_data data = { 0 };
    TRY(read_input("-", &text));
    size_t n = strcspn(buf_cstr(&text), "\r\n");
    text.data[n] = '\0';
    if (n == 0 || n > PASSWORD_MAX_BYTES) {
        return err_new(ERR_CONSTRAINT, "a password has 1 to %d bytes", PASSWORD_MAX_BYTES);
    }
    const char *setting =
        crypt_gensalt_rn("$6$", 0, NULL, 0, data.output, sizeof data.output);
    char salt[CRYPT_GENSALT_OUTPUT_SIZE] = "";
    if (setting) {
        memcpy(salt, setting, strlen(setting) + 1);
    }
    const char *hash = setting ? crypt_r(text.data, salt, &data) : NULL;
    explicit_bzero(text.data, text.n);
    if (!hash || hash[0] != '$') {
        return err_new(ERR_UNSUPPORTED, "crypt(3) cannot hash the password");
    }
    struct uuid uuid = add_secret(cli, "login", hash);
    json_put(&cli->arena, row, "guest_password", q_uuid(&cli->arena, &uuid));
    return NULL;
}

static MUST_CHECK struct err *
put_keys(struct cli *cli, const struct args *args, struct json *row)
{
    struct arena *a = &cli->arena;
    struct json set = json_array();
    const char *path;
    for (size_t i = 0; (path = args_nth(args, "ssh-key", i)); i++) {
        CLEANUP(buf_done) struct buf text = BUF_INIT;
        CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT;
        TRY(err_wrap(read_input(path, &text), "--ssh-key"));
        if (text.n > KEY_MAX_BYTES || strstr(buf_cstr(&text), "PRIVATE KEY")) {
            return err_hint(err_new(ERR_CONSTRAINT, "%s holds no public keys", path),
                            "name the file that ends in .pub");
        }
        strvec_split(&lines, buf_cstr(&text), "\r\n");
        for (size_t k = 0; k < lines.n; k++) {
            if (*lines.v[k] && *lines.v[k] != '#') {
                json_add(a, &set, json_string(a, lines.v[k]));
            }
        }
    }
    if (set.n > 0) {
        json_put(a, row, "guest_keys", json_pair(a, json_string_ref("set"), set));
    }
    return NULL;
}

static MUST_CHECK struct err *
put_first_boot(struct cli *cli, const struct args *args, const struct template *t,
               struct json *row)
{
    struct arena *a = &cli->arena;
    const char *user = args_get(args, "user"), *hostname = args_get(args, "hostname");
    bool obeys = row_bool(t->image.row, "cloud_init");
    const char *line = row_string(t->image.row, "cmdline");
    bool reports = str_eq(row_string(t->image.row, "kind"), "installer") && line &&
                   strstr(line, FINISH_MACRO);
    char key[DIGEST_CHARS + 1];

    if (!obeys && (user || hostname || args_has(args, "ssh-key") ||
                   args_has(args, "password-stdin"))) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "image %s does not obey cloud-init", t->image.label),
            "leave out --user, --ssh-key, --password-stdin and --hostname");
    }
    if (user) {
        json_put(a, row, "guest_user", json_string(a, user));
    }
    if (hostname) {
        json_put(a, row, "domain", json_string(a, hostname));
    }
    TRY(put_keys(cli, args, row));
    if (args_has(args, "password-stdin")) {
        TRY(put_password(cli, row));
    }
    if (obeys || reports) {
        TRY(digest_random_key(key));
        struct uuid uuid = add_secret(cli, "opkey", key);
        json_put(a, row, "opkey", q_uuid(a, &uuid));
        json_put(a, row, "needrebootcount",
                 json_int(row_int(t->image.row, "rebootcount", 0)));
    }
    return NULL;
}

struct err *
template_apply(struct cli *cli, const struct args *args, const struct template *t,
               const char *name, const struct uuid *vm, struct json *row)
{
    static const char *const only[] = { "size",    "pool",           "user",
                                        "ssh-key", "password-stdin", "hostname" };
    copy_preset(cli, t, row);
    for (size_t i = 0; i < N_ELEMS(only) && !t->image.row; i++) {
        if (args_has(args, only[i])) {
            return fail_as(err_hint(err_new(ERR_SYNTAX, "--%s without --image", only[i]),
                                    "name the image to make it from"),
                           EXIT_USAGE);
        }
    }
    if (!t->image.row) {
        return NULL;
    }
    json_put(&cli->arena, row, "vmi", q_uuid(&cli->arena, &t->image.uuid));
    TRY(check_least(t, "memory", "min_mem", json_get(row, "mem")->integer));
    TRY(add_main_disk(cli, args, t, name, vm, row));
    return put_first_boot(cli, args, t, row);
}
