/* store/backend/file.c: volumes that are files.
 *
 * Raw files are made by our own file operations, other formats by qemu-img(1).  Either way a
 * volume grows under a temporary name and gets its own in the last step, so that nothing
 * half-made can be seen; and the image format is always said to qemu-img, which must never
 * guess it from what a guest wrote.  The options and their order are libvirt's, but for the
 * compat level of qcow2, which is 1.1 here if none is given. */
#include "store/backend/file_i.h"

#include "base/buf.h"
#include "base/str.h"
#include "store/backend/block_i.h"
#include "store/code.h"

#define VOL_MODE 0600
#define POOL_MODE 0711 /* Of a directory that building makes, unless said otherwise. */

static bool
is_format(const struct vol *vol, const char *name)
{
    return str_eq(vol->target.format, name);
}

/* An ISO image is made as raw; it becomes one by what is written into it. */
static bool
is_raw(const struct vol *vol)
{
    return !vol->target.format || is_format(vol, "raw") || is_format(vol, "iso");
}

static const char *
text_dup(struct plan *plan, const char *text)
{
    return text ? arena_str(&plan->arena, text) : NULL;
}

/* A file system that is gone must not be written to where it was: the plan's root is then the
 * bare mount point. */
static void
file_root(struct plan *plan, const struct pool *pool)
{
    struct plan_step *step = plan_root(plan, pool->target.path);
    step->dir = file_mount_source(&plan->arena, pool);
}

const char *
file_mount_source(struct arena *arena, const struct pool *pool)
{
    const struct pool_source *source = &pool->source;
    if (pool->type == POOL_FS && source->n_devices > 0) {
        return arena_str(arena, source->devices[0].path);
    } else if (pool->type != POOL_NETFS || source->n_hosts == 0) {
        return NULL;
    }
    const char *host = source->hosts[0].name;
    const char *left = strchr(host, ':') ? "[" : "", *right = *left ? "]" : "";
    return str_eq(source->format, "cifs")
               ? arena_printf(arena, "//%s%s%s%s%s", left, host, right,
                              source->dir[0] == '/' ? "" : "/", source->dir)
               : arena_printf(arena, "%s%s%s:%s", left, host, right, source->dir);
}

struct err *
file_build(const struct pool *pool, struct plan *plan)
{
    struct plan_step *step = plan_add(plan, STEP_MKDIRS, pool->target.path);
    step->perms = pool->target.perms;
    step->default_mode = POOL_MODE;
    step->cow = pool->cow;
    return NULL;
}

struct err *
file_delete(const struct pool *pool, struct plan *plan)
{
    plan_add(plan, STEP_RMDIR_ROOT, pool->target.path);
    return NULL;
}

struct err *
file_scan(const struct pool *pool, struct plan *plan)
{
    file_root(plan, pool);
    plan_add(plan, STEP_SCAN, NULL);
    return NULL;
}

struct err *
file_watch(const struct pool *pool, struct plan *plan)
{
    file_root(plan, pool);
    plan_add(plan, STEP_WATCH, NULL);
    return NULL;
}

struct err *
file_vol_stat(const struct pool *pool, const struct vol *vol, struct plan *plan)
{
    file_root(plan, pool);
    plan_add(plan, STEP_STAT, vol->name);
    return NULL;
}

static struct err *
check_crypt(const struct vol *vol)
{
    const char *crypt = vol->target.crypt.format;
    const char *format = vol->target.format ? vol->target.format : "raw";
    if (!crypt) {
        return NULL;
    }
    bool is_qcow = is_format(vol, "qcow") || is_format(vol, "qcow2");
    if (is_qcow && (str_eq(crypt, "qcow") || str_eq(crypt, "default"))) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "creation of qcow2 encrypted image is not supported");
    } else if (is_raw(vol) && !str_eq(crypt, "luks")) {
        return store_err(VE_INTERNAL, "Only luks encryption is supported for raw files");
    } else if (!is_raw(vol) && !is_format(vol, "qcow2")) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "volume encryption unsupported with format %s", format);
    } else if (vol->target.crypt.n_secrets != 1) {
        return store_err(VE_INVALID_ARG,
                         "A single <secret type='passphrase'...> element is "
                         "expected in encryption description");
    }
    return err_hint(
        store_err(VE_CONFIG_UNSUPPORTED, "creation of encrypted volumes is not supported"),
        "encrypt inside of the guest");
}

/* What formats cannot do, in libvirt's words and order. */
static struct err *
check_options(const struct vol *vol, int flags)
{
    const struct vol_target *t = &vol->target;
    bool is_qcow2 = is_format(vol, "qcow2");
    bool wants_metadata = flags & VOL_PREALLOC_METADATA;
    TRY(check_crypt(vol));
    if (is_raw(vol)) {
        if (wants_metadata) {
            return store_err(VE_CONFIG_UNSUPPORTED,
                             "metadata preallocation is not supported for raw volumes");
        } else if (vol->backing.path) {
            return store_err(VE_NO_SUPPORT,
                             "backing storage not supported for raw volumes");
        }
        return NULL;
    } else if (wants_metadata && !is_qcow2) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "metadata preallocation only available with qcow2");
    } else if (t->compat && !is_qcow2) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "compatibility option only available with qcow2");
    } else if (t->has_features && !is_qcow2) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "format features only available with qcow2");
    } else if (t->lazy_refcounts && str_eq(t->compat, "0.10")) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "lazy_refcounts not supported with compat level 0.10");
    } else if (t->extended_l2 && str_eq(t->compat, "0.10")) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "'extended_l2' not supported with compat level 0.10");
    } else if (wants_metadata && vol->backing.path) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "metadata preallocation conflicts with backing store");
    }
    return NULL;
}

/* The value of qemu-img's -o; "" if there is nothing to say. */
static void
put_options(const struct vol *vol, int flags, bool with_backing, struct buf *out)
{
    const struct vol_target *t = &vol->target;
    if (with_backing && vol->backing.path) {
        buf_printf(out, "backing_fmt=%s,",
                   vol->backing.format ? vol->backing.format : "raw");
    }
    if (flags & VOL_PREALLOC_METADATA) {
        bool all = vol_wanted_allocation(vol) >= vol->capacity;
        buf_printf(out, "preallocation=%s,", all ? "falloc" : "metadata");
    }
    if (t->nocow) {
        buf_str(out, "nocow=on,");
    }
    if (is_format(vol, "qcow2")) {
        buf_printf(out, "compat=%s,", t->compat ? t->compat : "1.1");
    }
    if (t->cluster_bytes) {
        buf_printf(out, "cluster_size=%" PRId64 ",", t->cluster_bytes);
    }
    if (t->lazy_refcounts) {
        buf_str(out, "lazy_refcounts=on,");
    }
    if (t->extended_l2) {
        buf_str(out, "extended_l2=on,");
    }
    out->n -= out->n > 0; /* The last comma. */
}

static void
plan_options(struct plan *plan, const struct vol *vol, int flags, bool with_backing)
{
    CLEANUP(buf_done) struct buf options = BUF_INIT;
    put_options(vol, flags, with_backing, &options);
    if (options.n) {
        plan_arg(plan, "-o");
        plan_arg(plan, buf_cstr(&options));
    }
}

/* The last steps of all that make a volume. */
static void
plan_finish(struct plan *plan, const struct vol *vol)
{
    struct perms perms = vol->target.perms;
    perms.mode = perms.mode < 0 ? VOL_MODE : perms.mode;
    plan_perms(plan, &perms);
    plan_add(plan, STEP_PUBLISH, vol->name);
    plan_undo_step(plan, STEP_UNLINK, vol->name);
    plan_add(plan, STEP_STAT, vol->name);
}

/* Refuses what cannot fit before anything is made. */
static void
plan_room(struct plan *plan, int64_t capacity, int64_t at_once, int flags)
{
    struct plan_step *step = plan_size(plan, STEP_ROOM, max64(capacity, 0));
    step->length = at_once;
    step->overcommit = flags & VOL_OVERCOMMIT;
}

static void
plan_create_raw(struct plan *plan, const struct vol *vol)
{
    int64_t allocation = vol_wanted_allocation(vol);
    plan_temp(plan, vol->name);
    if (vol->target.nocow) {
        plan_add(plan, STEP_NOCOW, NULL);
    }
    plan_size(plan, STEP_SIZE, vol->capacity);
    if (allocation > 0) {
        plan_size(plan, STEP_ALLOCATE, allocation);
    }
}

static void
plan_create_image(struct plan *plan, const struct vol *vol, int flags)
{
    const char *backing = vol->backing.path;
    if (backing) {
        struct plan_step *check = plan_add(plan, STEP_BACKING, backing);
        check->format =
            vol->backing.format ? arena_str(&plan->arena, vol->backing.format) : "raw";
    }
    plan_temp(plan, vol->name);
    plan_cmd(plan, "qemu-img", "create", "-q", "-f", vol->target.format);
    if (backing) {
        plan_arg(plan, "-b");
        plan_arg(plan, backing);
    }
    plan_options(plan, vol, flags, true);
    if (backing && backing[0] != '/') {
        plan_arg_file_at(plan); /* A relative name counts from where the image lies. */
    } else {
        plan_arg_file(plan);
    }
    if (vol->capacity > 0 || !backing) {
        plan_argf(plan, "%" PRIu64 "K", div_up((uint64_t) vol->capacity, 1024));
    }
    /* qemu-img has opened the file by name and left its own mode alone: undo is the temp's. */
}

struct err *
file_vol_create(const struct pool *pool, const struct vol *vol, int flags,
                struct plan *plan)
{
    TRY(check_options(vol, flags));
    file_root(plan, pool);
    if (is_format(vol, "dir")) {
        struct plan_step *step = plan_add(plan, STEP_MKDIR, vol->name);
        step->perms = vol->target.perms;
        plan_undo_step(plan, STEP_RMDIR, vol->name);
        plan_add(plan, STEP_STAT, vol->name);
        return NULL;
    } else if (is_format(vol, "ploop")) {
        return store_err(VE_CONFIG_UNSUPPORTED,
                         "volumes of format ploop cannot be created");
    }
    bool all_at_once = is_raw(vol) || flags & VOL_PREALLOC_METADATA;
    plan_room(plan, vol->capacity, all_at_once ? vol_wanted_allocation(vol) : 0, flags);
    if (is_raw(vol)) {
        plan_create_raw(plan, vol);
    } else {
        plan_create_image(plan, vol, flags);
    }
    plan_finish(plan, vol);
    return NULL;
}

struct err *
file_vol_clone(const struct pool *pool, const struct vol *vol,
               const struct pool *source_pool, const struct vol *source, int flags,
               struct plan *plan)
{
    struct vol wanted = *vol;
    wanted.arena = ARENA_INIT;
    wanted.backing = (struct vol_target){ .perms = PERMS_INIT }; /* A clone stands alone. */
    TRY(check_options(&wanted, flags));
    if (is_format(vol, "dir")) {
        return store_err(VE_CONFIG_UNSUPPORTED, "a volume of format dir cannot be cloned");
    } else if (flags & VOL_REFLINK && !(is_raw(vol) && is_raw(source))) {
        return store_err(VE_INVALID_ARG, "reflink is only possible between raw volumes");
    }
    int64_t capacity = max64(vol->capacity, source->capacity);
    wanted.capacity = capacity;
    int64_t allocation = vol_wanted_allocation(&wanted);
    bool raw = is_raw(&wanted) && is_raw(source);

    file_root(plan, pool);
    TRY(plan_clone_source(plan, source_pool, source));
    plan_room(plan, capacity, raw && !(flags & VOL_REFLINK) ? allocation : 0, flags);
    plan_temp(plan, vol->name);
    if (raw) {
        struct plan_step *copy = plan_size(plan, STEP_COPY, max64(source->capacity, 0));
        copy->sparse = allocation < capacity;
        copy->reflink = flags & VOL_REFLINK;
        plan_size(plan, STEP_SIZE, capacity);
        if (!copy->sparse && !copy->reflink) {
            plan_size(plan, STEP_ALLOCATE, capacity);
        }
    } else {
        struct plan_step *convert =
            plan_cmd(plan, "qemu-img", "convert", "-p", "-f",
                     source->target.format ? source->target.format : "raw", "-O",
                     is_raw(&wanted) ? "raw" : vol->target.format);
        convert->percent = true;
        convert->size = max64(source->capacity, 0);
        plan_options(plan, &wanted, flags, false);
        plan_arg_source(plan);
        plan_arg_file(plan);
        if (capacity > source->capacity) { /* libvirt forgets this one. */
            plan_cmd(plan, "qemu-img", "resize", "-q", "-f",
                     is_raw(&wanted) ? "raw" : vol->target.format);
            plan_arg_file(plan);
            plan_argf(plan, "%" PRId64, capacity);
        }
    }
    plan_finish(plan, vol);
    return NULL;
}

/* The size is the server's to say: nobody knows it here. */
struct err *
file_vol_fetch(const struct pool *pool, const struct vol *vol, const char *url,
               const char *sha256, struct plan *plan)
{
    if (is_format(vol, "dir")) {
        return store_err(VE_CONFIG_UNSUPPORTED, "a volume of format dir cannot be fetched");
    }
    file_root(plan, pool);
    plan_temp(plan, vol->name);
    plan_add(plan, STEP_FETCH, url)->sha256 = text_dup(plan, sha256);
    plan_add(plan, STEP_IMAGE, NULL)->format = text_dup(plan, vol->target.format);
    plan_finish(plan, vol);
    return NULL;
}

struct err *
file_vol_delete(const struct pool *pool, const struct vol *vol, struct plan *plan)
{
    file_root(plan, pool);
    bool is_dir = is_format(vol, "dir") || vol->type == VOL_DIR;
    plan_add(plan, is_dir ? STEP_RMDIR : STEP_UNLINK, vol->name);
    return NULL;
}

struct err *
file_vol_resize(const struct pool *pool, const struct vol *vol, int64_t capacity, int flags,
                struct plan *plan)
{
    bool shrink = flags & VOL_SHRINK;
    if (is_format(vol, "dir") || vol->type == VOL_DIR) {
        return store_err(VE_OPERATION_UNSUPPORTED,
                         "a volume of format dir has no capacity");
    } else if (flags & VOL_ALLOCATE && !is_raw(vol)) {
        return store_err(VE_OPERATION_UNSUPPORTED,
                         "preallocate is only supported for raw type volume");
    } else if (vol->target.crypt.format) {
        return store_err(VE_CONFIG_UNSUPPORTED, "an encrypted volume cannot be resized");
    }
    file_root(plan, pool);
    plan_open(plan, vol->name, true);
    struct plan_step *check = plan_size(plan, STEP_GROWS, capacity);
    check->shrink = shrink;
    check->format =
        vol->target.format ? arena_str(&plan->arena, vol->target.format) : "raw";
    check->backing = text_dup(plan, vol->backing.path);
    plan_room(plan, capacity, 0, flags);
    if (is_raw(vol)) {
        plan_size(plan, STEP_SIZE, capacity);
        if (flags & VOL_ALLOCATE) {
            plan_size(plan, STEP_ALLOCATE, capacity);
        }
    } else {
        plan_cmd(plan, "qemu-img", "resize", "-q");
        if (shrink) {
            plan_arg(plan, "--shrink");
        }
        plan_arg(plan, "-f");
        plan_arg(plan, vol->target.format);
        plan_arg_file(plan);
        plan_argf(plan, "%" PRIu64, div_up((uint64_t) capacity, 512) * 512);
    }
    plan_add(plan, STEP_STAT, vol->name);
    return NULL;
}

struct err *
file_vol_upload(const struct pool *pool, const struct vol *vol, int64_t offset,
                int64_t length, struct plan *plan)
{
    if (is_format(vol, "dir") || vol->type == VOL_DIR) {
        return store_err(VE_OPERATION_UNSUPPORTED,
                         "a volume of format dir takes no bytes; put files into it");
    }
    file_root(plan, pool);
    bool whole = offset == 0 && length == 0;
    if (whole) { /* The old content stays until the new one is whole. */
        plan_source(plan, pool->target.path, vol->name)->write = true;
        plan_temp(plan, vol->name)->write = true;
        plan_add(plan, STEP_LIKE, NULL)->bounded = is_raw(vol);
    } else {
        plan_open(plan, vol->name, true);
    }
    struct plan_step *step = plan_add(plan, STEP_RECEIVE, NULL);
    step->offset = offset;
    step->length = length;
    step->bounded = is_raw(vol);
    if (whole && is_raw(vol)) {
        plan_add(plan, STEP_REST, NULL);
    }
    if (whole) {
        plan_add(plan, STEP_REPLACE, vol->name);
    }
    plan_add(plan, STEP_STAT, vol->name);
    return NULL;
}

struct err *
file_vol_download(const struct pool *pool, const struct vol *vol, int64_t offset,
                  int64_t length, struct plan *plan)
{
    file_root(plan, pool);
    plan_open(plan, vol->name, false);
    struct plan_step *step = plan_add(plan, STEP_SEND, NULL);
    step->offset = offset;
    step->length = length;
    return NULL;
}

/* An image is wiped as the file that it is, so that its tables go too, and made anew. */
static void
plan_remake(struct plan *plan, const struct vol *vol)
{
    plan_cmd(plan, "qemu-img", "create", "-q", "-f", vol->target.format);
    if (vol->backing.path) {
        plan_arg(plan, "-b");
        plan_arg(plan, vol->backing.path);
    }
    plan_options(plan, vol, 0, true);
    plan_arg_file(plan);
    plan_argf(plan, "%" PRIu64 "K", div_up((uint64_t) vol->capacity, 1024));
}

struct err *
file_vol_wipe(const struct pool *pool, const struct vol *vol, enum wipe_algorithm algorithm,
              struct plan *plan)
{
    static const char *const can_be_made[] = {
        "qcow2", "qcow", "qed", "vdi", "vmdk", "vpc"
    };
    bool remake = false;
    if (is_format(vol, "dir") || vol->type == VOL_DIR) {
        return store_err(VE_OPERATION_UNSUPPORTED,
                         "a volume of format dir cannot be wiped");
    }
    for (size_t i = 0; i < N_ELEMS(can_be_made); i++) {
        remake |= is_format(vol, can_be_made[i]);
    }
    if (remake && vol->capacity < 0) {
        return store_err(VE_INVALID_ARG,
                         "the capacity of '%s' is not known, so it could "
                         "not be made anew",
                         vol->name);
    }
    file_root(plan, pool);
    if (remake && vol->backing.path) {
        struct plan_step *check = plan_add(plan, STEP_BACKING, vol->backing.path);
        check->format =
            vol->backing.format ? arena_str(&plan->arena, vol->backing.format) : "raw";
    }
    plan_open(plan, vol->name, true);
    plan_add(plan, STEP_WIPE, NULL)->algorithm = (int) algorithm;
    if (remake) {
        plan_remake(plan, vol);
    }
    plan_add(plan, STEP_STAT, vol->name);
    return NULL;
}
