/* store/grow.c: looks compared and turned into steps. */
#include "store/grow.h"

#include "base/buf.h"
#include "base/str.h"
#include "json/decode.h"
#include "store/code.h"

static const char *const kind_names[N_GROW_KINDS] = { "disk", "multipath", "partition",
                                                      "pv",   "lv",        "filesystem" };

void
grow_look_done(struct grow_look *look)
{
    VEC_DONE(&look->layers);
    arena_done(&look->arena);
}

struct grow_layer *
grow_look_add(struct grow_look *look, enum grow_kind kind)
{
    struct grow_layer *layer = VEC_ADD(&look->layers);
    *layer = (struct grow_layer){ .kind = kind };
    return layer;
}

static void
put(struct arena *arena, struct json *j, const char *name, const char *value)
{
    if (value) {
        json_put(arena, j, name, json_string(arena, value));
    }
}

struct json
grow_look_encode(struct arena *arena, const struct grow_look *look)
{
    struct json layers = json_array(), j = json_object();
    VEC_FOR_EACH (const struct grow_layer *layer, &look->layers) {
        struct json l = json_object();
        put(arena, &l, "kind", kind_names[layer->kind]);
        put(arena, &l, "name", layer->name);
        put(arena, &l, "node", layer->node);
        put(arena, &l, "below", layer->below);
        put(arena, &l, "map", layer->map);
        put(arena, &l, "error", layer->error);
        json_put(arena, &l, "number", json_int(layer->number));
        json_put(arena, &l, "bytes", json_int(layer->bytes));
        json_put(arena, &l, "target_bytes", json_int(layer->target_bytes));
        json_add(arena, &layers, l);
    }
    put(arena, &j, "host", look->host ? look->host : "?");
    json_put(arena, &j, "layers", layers);
    return j;
}

static const char *
get(struct arena *arena, struct decode *d, const char *name)
{
    const char *text = decode_string(d, name, DECODE_OPTIONAL, NULL);
    return text ? arena_str(arena, text) : NULL;
}

static struct err *
decode_layer(const struct json *j, struct grow_look *look)
{
    struct decode d;
    struct arena *a = &look->arena;
    decode_begin(&d, j, "layer");
    const char *kind = decode_string(&d, "kind", 0, NULL);
    int k = 0;
    while (kind && k < N_GROW_KINDS && !str_eq(kind_names[k], kind)) {
        k++;
    }
    if (kind && k == N_GROW_KINDS) {
        decode_fail(&d, err_new(ERR_SYNTAX, "unknown kind of layer '%s'", kind));
        k = 0;
    }
    struct grow_layer *layer = grow_look_add(look, (enum grow_kind) k);
    layer->name = get(a, &d, "name");
    layer->node = get(a, &d, "node");
    layer->below = get(a, &d, "below");
    layer->map = get(a, &d, "map");
    layer->error = get(a, &d, "error");
    layer->number = (int) decode_int(&d, "number", DECODE_OPTIONAL, 0, 0, INT32_MAX);
    layer->bytes = decode_int(&d, "bytes", 0, 0, 0, INT64_MAX);
    layer->target_bytes = decode_int(&d, "target_bytes", DECODE_OPTIONAL, 0, 0, INT64_MAX);
    if (!layer->name || !layer->node) {
        decode_fail(&d, err_new(ERR_SYNTAX, "a layer needs name and node"));
    }
    return decode_end(&d);
}

struct err *
grow_look_decode(const struct json *j, struct grow_look *ret)
{
    struct decode d;
    *ret = GROW_LOOK_INIT;
    decode_begin(&d, j, "look");
    ret->host = get(&ret->arena, &d, "host");
    const struct json *layers = decode_member(&d, "layers", DECODE_ARRAY);
    for (uint32_t i = 0; layers && i < layers->n && i < GROW_MAX_LAYERS; i++) {
        decode_fail(&d, decode_layer(&layers->elems[i], ret));
    }
    return decode_end(&d);
}

static const struct grow_layer *
first_path(const struct grow_look *look, const char *map)
{
    VEC_FOR_EACH (const struct grow_layer *layer, &look->layers) {
        if (layer->kind == GROW_DISK && str_eq(layer->map, map)) {
            return layer;
        }
    }
    return NULL;
}

struct err *
grow_check_paths(const struct grow_look *look)
{
    size_t n_disks = 0;
    VEC_FOR_EACH (const struct grow_layer *layer, &look->layers) {
        if (layer->error) {
            return err_hint(err_new(ERR_CONSTRAINT, "host %s: %s: %s", look->host,
                                    layer->name, layer->error),
                            "mend or remove it first; nothing has been changed");
        } else if (layer->kind != GROW_DISK) {
            continue;
        }
        n_disks++;
        const struct grow_layer *first = layer->map ? first_path(look, layer->map) : layer;
        if (first->target_bytes != layer->target_bytes) {
            return err_hint(
                err_new(ERR_CONSTRAINT,
                        "host %s: the paths of %s disagree: %s has %" PRId64
                        " bytes, %s has %" PRId64,
                        look->host, layer->map, first->name, first->target_bytes,
                        layer->name, layer->target_bytes),
                "see that the LUN has grown on all ports of the array; nothing has been "
                "changed");
        } else if (layer->target_bytes < layer->bytes) {
            return err_hint(err_new(ERR_CONSTRAINT,
                                    "host %s: %s has become smaller: %" PRId64
                                    " bytes, it had %" PRId64,
                                    look->host, layer->name, layer->target_bytes,
                                    layer->bytes),
                            "give the LUN its size back at once");
        }
    }
    return n_disks
               ? NULL
               : err_new(ERR_CONSTRAINT, "host %s sees no disk below the pool", look->host);
}

/* The next disk that counts: of a map only the first path. */
static const struct grow_layer *
next_lun(const struct grow_look *look, size_t *i)
{
    while (*i < look->layers.n) {
        const struct grow_layer *layer = &look->layers.v[(*i)++];
        if (layer->kind == GROW_DISK &&
            (!layer->map || first_path(look, layer->map) == layer)) {
            return layer;
        }
    }
    return NULL;
}

struct err *
grow_check_hosts(const struct grow_look *a, const struct grow_look *b)
{
    size_t i = 0, j = 0;
    for (;;) {
        const struct grow_layer *one = next_lun(a, &i), *other = next_lun(b, &j);
        if (!one && !other) {
            return NULL;
        } else if (!one || !other || one->target_bytes != other->target_bytes) {
            return err_hint(
                err_new(ERR_CONSTRAINT,
                        "hosts %s and %s disagree: %s has %" PRId64
                        " bytes, %s has %" PRId64,
                        a->host, b->host, one ? one->name : "nothing",
                        one ? one->target_bytes : 0, other ? other->name : "nothing",
                        other ? other->target_bytes : 0),
                "see that both hosts see the grown LUN; nothing has been changed");
        }
    }
}

bool
grow_is_known(const struct grow_look *look)
{
    VEC_FOR_EACH (const struct grow_layer *layer, &look->layers) {
        const struct grow_layer *path =
            layer->kind == GROW_MAP ? first_path(look, layer->name) : layer;
        if ((layer->kind == GROW_DISK || layer->kind == GROW_MAP) && path &&
            layer->bytes != path->target_bytes) {
            return false;
        }
    }
    return true;
}

char *
grow_text(const struct grow_look *look)
{
    struct buf out = BUF_INIT;
    VEC_FOR_EACH (const struct grow_layer *layer, &look->layers) {
        CLEANUP(free_drop) char *size = str_from_bytes(layer->bytes);
        CLEANUP(free_drop) char *target = str_from_bytes(layer->target_bytes);
        buf_printf(&out, "%s%s", out.n ? " > " : "", layer->name);
        if (layer->kind == GROW_FS) {
            buf_printf(&out, " on %s", layer->node);
        }
        buf_printf(&out, " %s", layer->kind == GROW_DISK ? target : size);
        if (layer->kind == GROW_DISK && layer->bytes != layer->target_bytes) {
            buf_printf(&out, " (kernel: %s)", size);
        }
    }
    return buf_take(&out);
}

struct err *
grow_plan_host(const struct grow_look *look, struct plan *plan)
{
    TRY(grow_check_paths(look));
    VEC_FOR_EACH (const struct grow_layer *layer, &look->layers) {
        if (layer->kind == GROW_DISK && layer->bytes != layer->target_bytes) {
            plan_add(plan, STEP_GROW_RESCAN, layer->name);
        }
    }
    VEC_FOR_EACH (const struct grow_layer *layer, &look->layers) {
        const struct grow_layer *path =
            layer->kind == GROW_MAP ? first_path(look, layer->name) : NULL;
        if (path && layer->bytes != path->target_bytes) {
            plan_cmd(plan, "multipathd", "resize", "map", layer->name);
        }
    }
    return NULL;
}

/* The command that grows a mounted file system. */
static struct err *
plan_fs(const struct grow_layer *fs, struct plan *plan)
{
    if (str_starts(fs->name, "ext")) {
        plan_cmd(plan, "resize2fs", fs->below);
    } else if (str_eq(fs->name, "xfs")) {
        plan_cmd(plan, "xfs_growfs", fs->node);
    } else if (str_eq(fs->name, "btrfs")) {
        plan_cmd(plan, "btrfs", "filesystem", "resize", "max", fs->node);
    } else if (str_eq(fs->name, "ocfs2")) {
        plan_cmd(plan, "tunefs.ocfs2", "-y", "-S", fs->below);
    } else {
        return err_hint(err_new(ERR_UNSUPPORTED,
                                "a file system of type %s does not grow here", fs->name),
                        "ext2, ext3, ext4, xfs, btrfs and ocfs2 do");
    }
    return NULL;
}

/* While it is in use: parted(8) asks about that, and takes no answer from a script.  So the table is
 * written by sfdisk(8), and the kernel is told of this one partition. */
static void
plan_partition(const struct grow_layer *part, struct plan *plan)
{
    /* A GPT's second copy goes to the new end; other tables have none. */
    plan_cmd(plan, "sfdisk", "--quiet", "--force", "--no-reread", "--relocate",
             "gpt-bak-std", part->below);
    plan->steps.v[plan->steps.n - 1]->ok_exits = PLAN_EXIT(1);
    struct plan_step *step =
        plan_cmd(plan, "sfdisk", "--quiet", "--force", "--no-reread", "--partno");
    step->input = ", +\n"; /* Where it begins, to the end of what is free. */
    plan_argf(plan, "%d", part->number);
    plan_arg(plan, part->below);
    if (str_starts(part->node, "/dev/mapper/")) {
        plan_cmd(plan, "kpartx", "-u", part->below);
    } else {
        plan_cmd(plan, "partx", "--update", "--nr");
        plan_argf(plan, "%d", part->number);
        plan_arg(plan, part->below);
    }
    plan_add(plan, STEP_SETTLE, NULL);
}

struct err *
grow_plan_top(const struct grow_look *look, struct plan *plan)
{
    TRY(grow_check_paths(look));
    if (!grow_is_known(look)) {
        return err_hint(
            err_new(ERR_CONSTRAINT,
                    "host %s: its kernel does not know the new size on all paths",
                    look->host),
            "start again: byre pool grow NAME");
    }
    VEC_FOR_EACH (const struct grow_layer *layer, &look->layers) {
        switch (layer->kind) {
        case GROW_PART: plan_partition(layer, plan); break;
        case GROW_PV: plan_cmd(plan, "pvresize", layer->node); break;
        case GROW_LV:
            plan_cmd(plan, "lvextend", "-l", "+100%FREE", layer->name);
            /* Nothing to add is no failure: it had been done before. */
            plan->steps.v[plan->steps.n - 1]->ok_exits = PLAN_EXIT(5);
            break;
        case GROW_FS: TRY(plan_fs(layer, plan)); break;
        default: break;
        }
    }
    return NULL;
}
