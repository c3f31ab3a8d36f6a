/* store/backend/lvm.c: reads the reports of lvs(8), vgs(8), pvs(8) in JSON.
 *
 * `lvs --reportformat json --units b --nosuffix`:
 *   {"report": [{"lv": [
 *     {"lv_name":"str", "origin":"", "devices":"/dev/sda(3),/dev/sdb(0)", "segtype":"striped",
 *      "stripes":"2", "seg_size":"16777216", "vg_extent_size":"4194304", "lv_size":"16777216",
 *      "lv_attr":"-wi-a-----", "data_percent":"", "pool_lv":"", ...}]}]}
 * with a row a segment.  All values are strings.  Which are listed is libvirt's choice (active
 * ones but thin pools), but for what it loses: thin volumes are listed with the bytes they use. */
#include "store/backend/lvm_i.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/str.h"
#include "json/json.h"
#include "store/code.h"

#define LVM_NAME_MAX 127
#define MAX_EXTENTS 100000 /* Of one volume. */
#define NEARLY_FULL_PERCENT 90.0

/* What stands where in lv_attr, lvs(8). */
enum attr { ATTR_TYPE = 0, ATTR_STATE = 4, ATTR_HEALTH = 8, N_ATTRS = 9 };

bool
lvm_is_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789+_.-";
    return *name && *name != '-' && strlen(name) <= LVM_NAME_MAX &&
           strspn(name, allowed) == strlen(name) && !str_eq(name, ".") &&
           !str_eq(name, "..");
}

struct err *
lvm_name_check(const char *what, const char *name)
{
    if (!lvm_is_name(name)) {
        return err_hint(
            store_err(VE_INVALID_ARG, "'%s' is no name for a %s of LVM", name, what),
            "use letters, digits and + _ . -, at most %d, not '-' in front", LVM_NAME_MAX);
    }
    return NULL;
}

struct err *
lvm_source_parse(struct arena *arena, const char *name, struct lvm_source *ret)
{
    char *vg = arena_str(arena, name ? name : "");
    char *slash = strchr(vg, '/');
    if (slash) {
        *slash = '\0';
        TRY(lvm_name_check("thin pool", slash + 1));
    }
    TRY(lvm_name_check("volume group", vg));
    *ret = (struct lvm_source){ vg, slash ? slash + 1 : NULL };
    return NULL;
}

const char *
lvm_cell(const struct json *row, const char *column)
{
    const char *value = json_get_string(row, column);
    return value ? value : "";
}

static int64_t
cell_bytes(const struct json *row, const char *column)
{
    int64_t value;
    return str_to_i64(lvm_cell(row, column), &value) && value >= 0 ? value : 0;
}

/* "10.94"; -1 if there is none. */
static double
cell_percent(const struct json *row, const char *column)
{
    const char *text = lvm_cell(row, column);
    char *end;
    double value = strtod(text, &end);
    return *text && !*end && value >= 0 && value <= 100 ? value : -1;
}

static double
or_zero(double percent)
{
    return percent > 0 ? percent : 0;
}

/* LVM's complaints go to another stream, but a library's may stand before the report. */
struct err *
lvm_rows(struct arena *arena, const char *text, const char *kind,
         const struct json **ret_rows)
{
    const char *begin = strchr(text, '{');
    struct json *report = ARENA_NEW(arena, struct json);
    *ret_rows = NULL;
    if (!begin) {
        return err_new(ERR_SYNTAX, "LVM printed no report");
    }
    TRY(err_wrap(json_parse_str(arena, begin, report), "the report of LVM"));
    const struct json *list =
        json_is(report, JSON_OBJECT) ? json_get(report, "report") : NULL;
    const struct json *first = json_is(list, JSON_ARRAY) && list->n ? list->elems : NULL;
    const struct json *rows = json_is(first, JSON_OBJECT) ? json_get(first, kind) : NULL;
    if (!json_is(rows, JSON_ARRAY)) {
        return err_new(ERR_SYNTAX, "the report of LVM has no '%s'", kind);
    }
    JSON_FOR_EACH (row, rows) {
        if (!json_is(row, JSON_OBJECT)) {
            return err_new(ERR_SYNTAX, "the report of LVM has a row that is no object");
        }
    }
    *ret_rows = rows;
    return NULL;
}

/* "/dev/sda(3),/dev/sdb(0)": one extent each, of the length of the segment. */
static void
add_extents(struct vol_list *list, struct vol *vol, const struct json *row)
{
    int64_t unit = cell_bytes(row, "vg_extent_size");
    int64_t length = cell_bytes(row, "seg_size");
    CLEANUP(strvec_done) struct strvec parts = STRVEC_INIT;
    strvec_split(&parts, lvm_cell(row, "devices"), ",");
    struct vol_extent *extents =
        arena_alloc(&list->arena, (vol->n_extents + parts.n) * sizeof *extents);
    if (vol->n_extents) {
        memcpy(extents, vol->extents, vol->n_extents * sizeof *extents);
    }
    for (size_t i = 0; i < parts.n && vol->n_extents < MAX_EXTENTS; i++) {
        char *open = strrchr(parts.v[i], '('), *end;
        int64_t first = open ? (int64_t) strtoull(open + 1, &end, 10) : -1;
        if (first < 0 || *end != ')' || first > INT64_MAX / MIB / 1024) {
            continue;
        }
        int64_t start = first * min64(unit, 1024 * MIB);
        extents[vol->n_extents++] =
            (struct vol_extent){ arena_dup(&list->arena, parts.v[i],
                                           (size_t) (open - parts.v[i])),
                                 start, start + length };
    }
    vol->extents = extents;
}

/* What its eighth letter tells of trouble, for people; NULL if there is none. */
static const char *
health_of(const struct json *row)
{
    static const struct {
        char letter;
        const char *text;
    } words[] = {
        { 'p', "a physical volume of it is missing" },
        { 'X', "its state is unknown to LVM" },
        { 'F', "it has failed" },
        { 'D', "the thin pool is out of data space" },
        { 'M', "the thin pool's metadata is read-only" },
        { 'r', "a device of the mirror needs a refresh" },
        { 'm', "the mirror's halves differ" },
    };
    const char *attr = lvm_cell(row, "lv_attr");
    if (strlen(attr) < N_ATTRS) {
        return NULL;
    }
    for (size_t i = 0; i < N_ELEMS(words); i++) {
        if (attr[ATTR_HEALTH] == words[i].letter) {
            return words[i].text;
        }
    }
    return NULL;
}

static void
add_volume(struct vol_list *list, const struct lvm_source *source, const struct json *row)
{
    struct arena *arena = &list->arena;
    const char *name = lvm_cell(row, "lv_name"), *origin = lvm_cell(row, "origin");
    const char *attr = lvm_cell(row, "lv_attr");
    struct vol *last = list->vols.n ? &list->vols.v[list->vols.n - 1] : NULL;
    if (last && str_eq(last->name, name)) { /* Its next segment. */
        add_extents(list, last, row);
        return;
    }
    struct vol *vol = vol_list_add(list);
    vol->type = VOL_BLOCK;
    vol->name = arena_str(arena, name);
    vol->key = arena_str(arena, lvm_cell(row, "lv_uuid"));
    vol->target.path = arena_printf(arena, "/dev/%s/%s", source->vg, name);
    vol->allocation = cell_bytes(row, "lv_size");
    /* Of a snapshot, lv_size is the room for changes: the device itself tells its size. */
    vol->capacity = attr[ATTR_TYPE] == 's' ? -1 : vol->allocation;
    double percent = cell_percent(row, "data_percent");
    if (attr[ATTR_TYPE] == 'V') {
        vol->allocation =
            percent < 0 ? 0 : (int64_t) ((double) vol->capacity * percent / 100);
    }
    if (*origin && *origin != '[') {
        vol->backing.path = arena_printf(arena, "/dev/%s/%s", source->vg, origin);
    }
    const char *trouble = health_of(row);
    if (trouble) {
        vol->error = arena_str(arena, trouble);
    } else if (attr[ATTR_TYPE] == 's' && percent >= 100) {
        vol->error = "the snapshot is full and can no longer be read";
    }
    add_extents(list, vol, row);
}

void
lvm_thin_stat(const struct json *row, const struct plan_found *found)
{
    struct arena *arena = &found->vols->arena;
    double data = or_zero(cell_percent(row, "data_percent"));
    double metadata = cell_percent(row, "metadata_percent");
    struct pool_stat *stat = found->stat;
    *found->has_stat = true;
    stat->capacity = cell_bytes(row, "lv_size");
    stat->allocation = (int64_t) ((double) stat->capacity * data / 100);
    stat->available = stat->capacity - stat->allocation;
    stat->metadata_permille = (int) (or_zero(metadata) * 10);
    const char *trouble = health_of(row);
    if (trouble || data >= NEARLY_FULL_PERCENT || metadata >= NEARLY_FULL_PERCENT) {
        stat->degraded = arena_printf(arena, "%s: data %.2f%%, metadata %.2f%% used",
                                      trouble ? trouble : "the thin pool is nearly full",
                                      data, or_zero(metadata));
        vol_list_warn(found->vols, "%s", stat->degraded);
    }
}

/* A thin pool inside of a group that is a pool as a whole: its filling would not be seen. */
static void
warn_thin(const struct json *row, const struct plan_found *found)
{
    double data = cell_percent(row, "data_percent");
    double metadata = cell_percent(row, "metadata_percent");
    const char *trouble = health_of(row);
    if (trouble || data >= NEARLY_FULL_PERCENT || metadata >= NEARLY_FULL_PERCENT) {
        vol_list_warn(found->vols, "thin pool '%s': %s (data %.2f%%, metadata %.2f%% used)",
                      lvm_cell(row, "lv_name"), trouble ? trouble : "it is nearly full",
                      or_zero(data), or_zero(metadata));
    }
}

static struct err *
no_group(const struct lvm_source *source)
{
    return err_hint(store_err(VE_CONFIG_UNSUPPORTED,
                              "cannot find logical volume group name '%s'", source->vg),
                    "vgs lists the groups of this host; byre pool build makes one");
}

static struct err *
stat_group(const struct plan_seen *seen, const struct lvm_source *source,
           const struct plan_found *found)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct json *rows;
    TRY(lvm_rows(&arena, plan_seen_text(seen, "vgs"), "vg", &rows));
    if (rows->n == 0) {
        return no_group(source);
    }
    const struct json *row = rows->elems;
    struct pool_stat *stat = found->stat;
    *stat = (struct pool_stat){ .perms = PERMS_INIT };
    stat->capacity = cell_bytes(row, "vg_size");
    stat->available = min64(cell_bytes(row, "vg_free"), stat->capacity);
    stat->allocation = stat->capacity - stat->available;
    int64_t missing = cell_bytes(row, "vg_missing_pv_count");
    if (missing > 0) {
        stat->degraded = arena_printf(&found->vols->arena,
                                      "%" PRId64 " physical volume(s) of volume group '%s' "
                                      "are missing",
                                      missing, source->vg);
        vol_list_warn(found->vols, "%s", stat->degraded);
    }
    *found->has_stat = true;
    return NULL;
}

/* Is this row a volume of the pool? */
static bool
is_listed(const struct json *row, const struct lvm_source *source)
{
    const char *attr = lvm_cell(row, "lv_attr");
    if (strlen(attr) <= ATTR_STATE || attr[ATTR_STATE] != 'a' || attr[ATTR_TYPE] == 't') {
        return false;
    }
    return !source->thin || str_eq(lvm_cell(row, "pool_lv"), source->thin);
}

struct err *
lvm_parse(const struct plan_seen *seen, const struct lvm_source *source,
          const char *pool_name, const char *only, const struct plan_found *found)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct json *rows;
    bool has_thin = false;

    TRY(stat_group(seen, source, found));
    TRY(lvm_rows(&arena, plan_seen_text(seen, "lvs"), "lv", &rows));
    JSON_FOR_EACH (row, rows) {
        const char *name = lvm_cell(row, "lv_name");
        bool is_thin_pool = lvm_cell(row, "lv_attr")[0] == 't';
        if (source->thin && is_thin_pool && str_eq(name, source->thin)) {
            has_thin = true;
            lvm_thin_stat(row, found);
        } else if (is_thin_pool && !source->thin) {
            warn_thin(row, found);
        } else if (is_listed(row, source) &&
                   (only ? str_eq(name, only) : !vol_name_is_temporary(name))) {
            add_volume(found->vols, source, row);
        }
    }
    if (source->thin && !has_thin) {
        return err_hint(store_err(VE_CONFIG_UNSUPPORTED,
                                  "volume group '%s' has no thin pool '%s'", source->vg,
                                  source->thin),
                        "byre pool build %s makes one", pool_name);
    } else if (only && !vol_list_find(found->vols, only)) {
        return err_hint(
            store_err(VE_NO_VOL, "no storage vol with matching name '%s'", only),
            "refresh the pool to see what is there");
    }
    vol_list_sort(found->vols);
    *found->active = true;
    return NULL;
}
