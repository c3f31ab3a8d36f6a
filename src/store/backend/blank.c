/* store/backend/blank.c: is there something on a device?  Command: blkid(8).
 *
 * `blkid -p -o export DEVICE` looks at the device itself, not into a cache; 2 is "nothing":
 *   DEVNAME=/dev/sdc
 *   PTTYPE=dos             a table of partitions, or
 *   TYPE=LVM2_member       a file system or suchlike */
#include "store/backend/blank_i.h"

#include "base/str.h"
#include "store/code.h"

#define NOTHING_FOUND 2

struct blank {
    const char *device, *format, *output;
};

struct err *
device_path_check(const char *path)
{
    for (const char *p = path; *p; p++) {
        if ((uint8_t) *p < 0x20 || *p == 0x7f ||
            (str_starts(p, "/..") && (!p[3] || p[3] == '/'))) {
            return store_err(VE_INVALID_ARG, "'%s' is no path of a device", path);
        }
    }
    return path[0] == '/' ? NULL
                          : err_hint(store_err(VE_INVALID_ARG,
                                               "device path '%s' is not absolute", path),
                                     "such as /dev/disk/by-id/...");
}

static struct err *
check(const struct plan_seen *seen, const void *aux, const struct plan_found *found UNUSED)
{
    const struct blank *blank = aux;
    CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT;
    const char *type = NULL;

    strvec_split(&lines, plan_seen_text(seen, blank->output), "\n");
    for (size_t i = 0; i < lines.n; i++) {
        if (str_starts(lines.v[i], "TYPE=")) {
            type = lines.v[i] + strlen("TYPE=");
        } else if (str_starts(lines.v[i], "PTTYPE=") && !type) {
            type = lines.v[i] + strlen("PTTYPE=");
        }
    }
    if (!type && lines.n == 0) {
        return NULL;
    }
    type = type ? type : "something that blkid cannot name";
    struct err *e =
        str_eq(type, blank->format)
            ? store_err(VE_POOL_BUILT, "Device '%s' already formatted using '%s'",
                        blank->device, blank->format)
            : store_err(VE_POOL_BUILT,
                        "Format of device '%s' does not match the expected format '%s', "
                        "forced overwrite is necessary",
                        blank->device, blank->format);
    return err_hint(e, "it holds %s; --overwrite destroys what is there", type);
}

void
plan_blank(struct plan *plan, const char *device, const char *format)
{
    struct blank *blank = ARENA_NEW(&plan->arena, struct blank);
    *blank =
        (struct blank){ arena_str(&plan->arena, device), arena_str(&plan->arena, format),
                        arena_printf(&plan->arena, "blkid %s", device) };
    struct plan_step *step = plan_cmd(plan, "blkid", "-p", "-o", "export", device);
    step->output = blank->output;
    step->ok_exits = PLAN_EXIT(NOTHING_FOUND);
    plan_parse(plan, check, blank,
               arena_printf(&plan->arena, "make sure that nothing is on %s", device));
}

void
plan_clear(struct plan *plan, const char *device)
{
    plan_device(plan, device, true);
    plan_add(plan, STEP_ZERO_ENDS, NULL);
}
