/* store/volume.c: volumes, their names, and lists of them. */
#include "store/volume.h"

#include "base/buf.h"
#include "base/str.h"
#include "store/code.h"

#define TEMP_RANDOM_CHARS 6

static const char *const type_names[N_VOL_TYPES] = { "file",    "block",  "dir",
                                                     "network", "netdir", "ploop" };

void
vol_init(struct vol *vol)
{
    *vol = (struct vol){
        .capacity = -1,
        .allocation = -1,
        .target.perms = PERMS_INIT,
        .backing.perms = PERMS_INIT,
    };
}

void
vol_done(struct vol *vol)
{
    arena_done(&vol->arena);
    vol_init(vol);
}

int64_t
vol_wanted_allocation(const struct vol *vol)
{
    return vol->allocation >= 0 ? vol->allocation : max64(vol->capacity, 0);
}

const char *
vol_type_name(enum vol_type type)
{
    ASSERT(type < N_VOL_TYPES);
    return type_names[type];
}

bool
vol_type_parse(const char *name, enum vol_type *ret)
{
    for (int i = 0; i < N_VOL_TYPES; i++) {
        if (str_eq(type_names[i], name)) {
            *ret = (enum vol_type) i;
            return true;
        }
    }
    return false;
}

const char *
vol_format_in_xml(const char *format)
{
    if (!format) {
        return NULL;
    }
    for (int type = 0; type < N_POOL_TYPES; type++) {
        const char *const *known = pool_traits((enum pool_type) type)->vol_formats;
        for (; known && *known; known++) {
            if (str_eq(*known, format)) {
                return format;
            }
        }
    }
    return "raw";
}

struct err *
vol_name_check(const char *name)
{
    if (!name || !*name) {
        return store_err(VE_XML_ERROR, "missing volume name element");
    }
    size_t n = strlen(name);
    if (strchr(name, '/')) {
        return store_err(VE_OPERATION_INVALID, "volume name '%s' cannot contain '/'", name);
    } else if (name[0] == '-') {
        return store_err(VE_OPERATION_INVALID, "volume name '%s' cannot start with '-'",
                         name);
    } else if (str_eq(name, ".") || str_eq(name, "..")) {
        return store_err(VE_OPERATION_INVALID, "volume name '%s' is a directory's", name);
    } else if (n > VOL_NAME_MAX) {
        return store_err(VE_OPERATION_INVALID, "volume name is longer than %d bytes",
                         VOL_NAME_MAX);
    } else if (!str_is_utf8(name, n)) {
        return store_err(VE_OPERATION_INVALID, "volume name is not valid UTF-8");
    } else if (vol_name_is_temporary(name)) {
        return err_hint(store_err(VE_OPERATION_INVALID,
                                  "volume name '%s' is kept for volumes in the making",
                                  name),
                        "choose a name without '" VOL_TEMP_INFIX "'");
    }
    for (const char *p = name; *p; p++) {
        if ((uint8_t) *p < 0x20 || *p == 0x7f) {
            return store_err(VE_OPERATION_INVALID,
                             "volume name contains the control character 0x%02x",
                             (uint8_t) *p);
        }
    }
    return NULL;
}

bool
vol_name_is_temporary(const char *name)
{
    size_t n = strlen(name);
    size_t n_infix = strlen(VOL_TEMP_INFIX);
    if (name[0] != '.' || n < 1 + n_infix + TEMP_RANDOM_CHARS) {
        return false;
    }
    const char *end = name + n - TEMP_RANDOM_CHARS;
    for (const char *p = end; *p; p++) {
        if (!((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z'))) {
            return false;
        }
    }
    return strncmp(end - n_infix, VOL_TEMP_INFIX, n_infix) == 0;
}

bool
vol_is_compat(const char *s)
{
    static const char digits[] = "0123456789";
    size_t n = strspn(s, digits);
    if (n == 0 || n > 9 || s[n] != '.') {
        return false;
    }
    const char *minor = s + n + 1;
    n = strspn(minor, digits);
    return n > 0 && n <= 9 && !minor[n];
}

static struct err *
check_format(const char *format, enum pool_type type)
{
    const char *const *known = pool_traits(type)->vol_formats;
    if (!format || !known || str_eq(format, "vhdx")) {
        return NULL;
    }
    for (; *known; known++) {
        if (str_eq(*known, format)) {
            return NULL;
        }
    }
    return store_err(VE_CONFIG_UNSUPPORTED, "unknown volume format type %s", format);
}

static struct err *
check_perms(const struct perms *perms)
{
    if (perms->mode < -1 || perms->mode > 0777) {
        return store_err(VE_XML_ERROR, "malformed octal mode");
    } else if (perms->owner < -1 || perms->owner >= UINT32_MAX) {
        return store_err(VE_XML_ERROR, "malformed owner element");
    } else if (perms->group < -1 || perms->group >= UINT32_MAX) {
        return store_err(VE_XML_ERROR, "malformed group element");
    }
    return NULL;
}

/* qemu takes "nbd:...", "json:{...}" and the like for other things than files. */
static struct err *
check_backing(const struct vol *vol)
{
    const char *path = vol->backing.path;
    if (path && (!*path || path[0] == '-' || path[strcspn(path, ":/\n")] == ':' ||
                 strchr(path, '\n'))) {
        return err_hint(store_err(VE_CONFIG_UNSUPPORTED,
                                  "backing store '%s' is not the path of a file", path),
                        "give an absolute path, or the name of a volume in the same pool");
    }
    return NULL;
}

struct err *
vol_check(const struct vol *vol, enum pool_type type)
{
    TRY(vol_name_check(vol->name));
    TRY(check_format(vol->target.format, type));
    TRY(check_format(vol->backing.format, type));
    TRY(check_perms(&vol->target.perms));
    TRY(check_backing(vol));
    if (vol->target.compat && !vol_is_compat(vol->target.compat)) {
        return store_err(VE_XML_ERROR, "forbidden characters in 'compat' attribute");
    } else if (vol->capacity < -1 || vol->allocation < -1 ||
               vol->target.cluster_bytes < 0) {
        return store_err(VE_XML_ERROR, "malformed capacity element");
    }
    return NULL;
}

void
vol_list_done(struct vol_list *list)
{
    VEC_DONE(&list->vols);
    VEC_DONE(&list->warnings);
    VEC_DONE(&list->gone);
    arena_done(&list->arena);
}

struct vol *
vol_list_add(struct vol_list *list)
{
    struct vol *vol = VEC_ADD(&list->vols);
    vol_init(vol);
    return vol;
}

void
vol_list_warn(struct vol_list *list, const char *fmt, ...)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    *VEC_ADD(&list->warnings) = arena_str(&list->arena, buf_cstr(&text));
}

const struct vol *
vol_list_find(const struct vol_list *list, const char *name)
{
    for (size_t i = 0; i < list->vols.n; i++) {
        if (str_eq(list->vols.v[i].name, name)) {
            return &list->vols.v[i];
        }
    }
    return NULL;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(((const struct vol *) a)->name, ((const struct vol *) b)->name);
}

void
vol_list_sort(struct vol_list *list)
{
    if (list->vols.n) {
        qsort(list->vols.v, list->vols.n, sizeof *list->vols.v, compare_names);
    }
}
