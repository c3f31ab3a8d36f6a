/* store/backend/mpath.c: all multipath maps of the host.  Command: dmsetup(8).
 *
 * The device mapper knows the maps, multipathd makes them; there is nothing to start or to stop.
 * A map with a failed path is a volume like others, with a warning; one without any path left
 * has an error. */
#include "base/str.h"
#include "store/backend/lun_i.h"
#include "store/code.h"

#define MAPS_MAX 65536

static struct err *
mpath_check(const struct pool *pool UNUSED, struct plan *plan)
{
    plan_add(plan, STEP_CHECK, "/dev/mapper");
    return NULL;
}

/* "minor/name/uuid" lines of dmsetup info; '/' cannot be in a name:
 *
 *     0/mpatha/mpath-0QEMU_QEMU_HARDDISK_disk1
 *     1/tvg-lv0/LVM-rXx...
 */
static void
parse_infos(const char *text, struct vol_list *ret)
{
    CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT;
    strvec_split(&lines, text, "\n");
    for (size_t i = 0; i < lines.n && ret->vols.n < MAPS_MAX; i++) {
        char *name = strchr(lines.v[i], '/');
        char *uuid = name ? strchr(name + 1, '/') : NULL;
        int64_t minor;
        if (!uuid || !str_starts(uuid, "/mpath-")) {
            continue;
        }
        *name++ = *uuid = '\0';
        const char *digits = lines.v[i] + strspn(lines.v[i], " ");
        if (!str_to_i64(digits, &minor) || minor < 0) {
            continue;
        }
        struct vol *vol = vol_list_add(ret);
        vol->type = VOL_BLOCK;
        vol->name = arena_printf(&ret->arena, "dm-%" PRId64, minor);
        vol->target.path = vol->key = arena_printf(&ret->arena, "/dev/mapper/%s", name);
        vol->capacity = vol->allocation = -1;
    }
}

static struct vol *
by_path(struct vol_list *list, const char *name)
{
    VEC_FOR_EACH (struct vol *vol, &list->vols) {
        if (str_eq(vol->target.path + strlen("/dev/mapper/"), name)) {
            return vol;
        }
    }
    return NULL;
}

/* How many paths there are, and how many failed: words "MAJOR:MINOR A|F" among numbers.
 *
 *     mpatha: 0 2097152 multipath 2 0 0 0 2 1 A 0 1 2 8:16 A 0 0 1 E 0 1 2 8:32 F 1 0 1
 */
static void
parse_status(char *line, struct vol_list *list)
{
    char *colon = strstr(line, ": ");
    if (!colon) {
        return;
    }
    *colon = '\0';
    struct vol *vol = by_path(list, line);
    CLEANUP(strvec_done) struct strvec words = STRVEC_INIT;
    strvec_split(&words, colon + 1, " ");
    int64_t sectors;
    if (!vol || words.n < 3 || !str_eq(words.v[2], "multipath") ||
        !str_to_i64(words.v[1], &sectors) || sectors < 0 || sectors > INT64_MAX / 512) {
        return;
    }
    vol->capacity = vol->allocation = sectors * 512;
    int n_paths = 0, n_failed = 0;
    for (size_t i = 3; i + 1 < words.n; i++) {
        if (strchr(words.v[i], ':')) {
            n_paths++;
            n_failed += str_eq(words.v[i + 1], "F");
        }
    }
    if (n_paths == n_failed) {
        vol->error = arena_printf(&list->arena, "'%s' has no working path left (%d failed)",
                                  vol->target.path, n_failed);
        vol_list_warn(list, "%s", vol->error);
    } else if (n_failed) {
        vol_list_warn(list, "volume '%s' (%s): %d of %d paths failed", vol->name, line,
                      n_failed, n_paths);
    }
}

struct err *
mpath_parse(const struct plan_seen *seen, const void *aux UNUSED,
            const struct plan_found *found)
{
    struct vol_list *list = found->vols;
    parse_infos(plan_seen_text(seen, "maps"), list);
    CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT;
    strvec_split(&lines, plan_seen_text(seen, "status"), "\n");
    for (size_t i = 0; i < lines.n; i++) {
        parse_status(lines.v[i], list);
    }
    *found->stat = (struct pool_stat){ .perms = PERMS_INIT };
    for (size_t i = 0; i < list->vols.n; i++) {
        found->stat->capacity += max64(list->vols.v[i].capacity, 0);
    }
    found->stat->allocation = found->stat->capacity;
    *found->has_stat = *found->active = true;
    vol_list_sort(list);
    return NULL;
}

static struct err *
mpath_scan(const struct pool *pool UNUSED, struct plan *plan)
{
    plan_add(plan, STEP_SETTLE, NULL);
    struct plan_step *step = plan_cmd(plan, "dmsetup", "info", "-c", "--noheadings",
                                      "--separator", "/", "-o", "minor,name,uuid");
    step->output = "maps";
    step->or_so = "the device mapper does not answer";
    step = plan_cmd(plan, "dmsetup", "status", "--target", "multipath");
    step->output = "status";
    step->or_so = "the device mapper does not answer";
    plan_parse(plan, mpath_parse, NULL, "list the multipath maps");
    plan_add(plan, STEP_LOOK, NULL);
    return NULL;
}

const struct pool_ops pool_mpath_ops = {
    .type = POOL_MPATH,
    .check = mpath_check,
    .scan = mpath_scan,
    .vol_upload = lun_upload,
    .vol_download = lun_download,
    .vol_wipe = lun_wipe,
};
