/* store/plan.c: builds plans and shows them. */
#include "store/plan.h"

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/gate.h"

void
plan_done(struct plan *plan)
{
    VEC_DONE(&plan->steps);
    arena_done(&plan->arena);
    *plan = PLAN_INIT;
}

static struct plan_step *
step_new(struct plan *plan, enum step_kind kind, const char *name)
{
    struct plan_step *step = ARENA_NEW(&plan->arena, struct plan_step);
    step->kind = kind;
    step->name = name ? arena_str(&plan->arena, name) : NULL;
    step->perms = PERMS_INIT;
    return step;
}

struct plan_step *
plan_add(struct plan *plan, enum step_kind kind, const char *name)
{
    struct plan_step *step = step_new(plan, kind, name);
    *VEC_ADD(&plan->steps) = step;
    return step;
}

/* The step that arguments and undos go to. */
static struct plan_step *
last_step(struct plan *plan)
{
    ASSERT(plan->steps.n > 0);
    return plan->steps.v[plan->steps.n - 1];
}

struct plan_step *
plan_root(struct plan *plan, const char *path)
{
    struct plan_step *step = plan_add(plan, STEP_ROOT, path);
    plan->root = step->name;
    return step;
}

void
plan_when(struct plan *plan, enum step_when when)
{
    last_step(plan)->when = when;
}

static const char *
in_root(struct plan *plan, const char *dir, const char *name)
{
    CLEANUP(free_drop) char *path = path_join(dir, name);
    return arena_str(&plan->arena, path);
}

struct plan_step *
plan_temp(struct plan *plan, const char *name)
{
    ASSERT(plan->root);
    struct plan_step *step = plan_add(plan, STEP_TEMP, name);
    plan->file = in_root(plan, plan->root, name);
    plan_undo_step(plan, STEP_DISCARD, name);
    return step;
}

struct plan_step *
plan_open(struct plan *plan, const char *name, bool write)
{
    ASSERT(plan->root);
    struct plan_step *step = plan_add(plan, STEP_OPEN, name);
    step->write = write;
    plan->file = in_root(plan, plan->root, name);
    return step;
}

struct plan_step *
plan_source(struct plan *plan, const char *dir, const char *name)
{
    struct plan_step *step = plan_add(plan, STEP_SOURCE, name);
    step->dir = arena_str(&plan->arena, dir);
    plan->source = in_root(plan, dir, name);
    return step;
}

struct plan_step *
plan_size(struct plan *plan, enum step_kind kind, int64_t size)
{
    struct plan_step *step = plan_add(plan, kind, NULL);
    step->size = size;
    return step;
}

struct plan_step *
plan_parse(struct plan *plan, plan_parse_fn *parse, const void *aux, const char *words)
{
    struct plan_step *step = plan_add(plan, STEP_PARSE, words);
    step->parse = parse;
    step->aux = aux;
    return step;
}

struct plan_step *
plan_then(struct plan *plan, plan_then_fn *then, const void *aux, const char *words)
{
    struct plan_step *step = plan_add(plan, STEP_THEN, words);
    step->then = then;
    step->aux = aux;
    return step;
}

struct plan_step *
plan_device(struct plan *plan, const char *path, bool write)
{
    struct plan_step *step = plan_add(plan, STEP_DEVICE, path);
    step->write = write;
    plan->file = step->name;
    return step;
}

struct plan_step *
plan_of_pool(struct plan *plan, enum step_kind kind, const struct pool *pool)
{
    CLEANUP(free_drop) char *what = pool_source_text(pool);
    struct plan_step *step = plan_add(plan, kind, what);
    step->aux = pool;
    return step;
}

struct plan_step *
plan_source_device(struct plan *plan, const char *path)
{
    struct plan_step *step = plan_add(plan, STEP_SOURCE_DEVICE, path);
    plan->source = step->name;
    return step;
}

void
plan_seen_done(struct plan_seen *seen)
{
    for (size_t i = 0; i < seen->outputs.n; i++) {
        buf_done(&seen->outputs.v[i].text);
    }
    VEC_DONE(&seen->outputs);
    *seen = PLAN_SEEN_INIT;
}

void
plan_seen_put(struct plan_seen *seen, const char *name, const void *bytes, size_t n_bytes)
{
    struct plan_output *output = NULL;
    for (size_t i = 0; i < seen->outputs.n && !output; i++) {
        output = str_eq(seen->outputs.v[i].name, name) ? &seen->outputs.v[i] : NULL;
    }
    if (!output) {
        output = VEC_ADD(&seen->outputs);
        *output = (struct plan_output){ name, BUF_INIT };
    }
    buf_clear(&output->text);
    buf_add(&output->text, bytes, n_bytes);
}

const char *
plan_seen_text(const struct plan_seen *seen, const char *name)
{
    for (size_t i = 0; i < seen->outputs.n; i++) {
        if (str_eq(seen->outputs.v[i].name, name)) {
            return buf_cstr(&seen->outputs.v[i].text);
        }
    }
    return "";
}

void
plan_perms(struct plan *plan, const struct perms *perms)
{
    if (perms->owner >= 0 || perms->group >= 0) {
        plan_add(plan, STEP_OWNER, NULL)->perms = *perms;
    }
    if (perms->mode >= 0) {
        plan_add(plan, STEP_MODE, NULL)->perms = *perms;
    }
}

static void
add_arg(struct plan *plan, enum plan_arg_kind kind, const char *text)
{
    struct plan_step *step = last_step(plan);
    step = step->undo ? step->undo : step;
    ASSERT(step->kind == STEP_COMMAND);
    struct plan_arg *args =
        arena_alloc(&plan->arena, (step->n_args + 1) * sizeof *step->args);
    if (step->n_args) {
        memcpy(args, step->args, step->n_args * sizeof *args);
    }
    args[step->n_args++] = (struct plan_arg){ kind, arena_str(&plan->arena, text) };
    step->args = args;
}

struct plan_step *
plan_cmd_(struct plan *plan, const char *const *argv)
{
    struct plan_step *step = plan_add(plan, STEP_COMMAND, NULL);
    for (; *argv; argv++) {
        add_arg(plan, ARG_TEXT, *argv);
    }
    return step;
}

struct plan_step *
plan_undo_(struct plan *plan, const char *const *argv)
{
    struct plan_step *step = step_new(plan, STEP_COMMAND, NULL);
    last_step(plan)->undo = step;
    for (; *argv; argv++) {
        add_arg(plan, ARG_TEXT, *argv);
    }
    return step;
}

struct plan_step *
plan_undo_step(struct plan *plan, enum step_kind kind, const char *name)
{
    return last_step(plan)->undo = step_new(plan, kind, name);
}

void
plan_arg(struct plan *plan, const char *text)
{
    add_arg(plan, ARG_TEXT, text);
}

void
plan_argf(struct plan *plan, const char *fmt, ...)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    plan_arg(plan, buf_cstr(&text));
}

void
plan_arg_file(struct plan *plan)
{
    ASSERT(plan->file);
    add_arg(plan, ARG_FILE, plan->file);
}

void
plan_arg_file_at(struct plan *plan)
{
    ASSERT(plan->file);
    add_arg(plan, ARG_FILE_AT, plan->file);
}

void
plan_arg_source(struct plan *plan)
{
    ASSERT(plan->source);
    add_arg(plan, ARG_SOURCE, plan->source);
}

/* As a shell would need it, so that the line can be pasted. */
static void
put_quoted(struct buf *out, const char *s)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        "-_./,=:+@%";
    if (*s && strspn(s, plain) == strlen(s)) {
        buf_str(out, s);
        return;
    }
    buf_str(out, "'");
    for (; *s; s++) {
        if (*s == '\'') {
            buf_str(out, "'\\''");
        } else {
            buf_add(out, s, 1);
        }
    }
    buf_str(out, "'");
}

static void
put_perms(struct buf *out, const struct perms *perms)
{
    if (perms->mode >= 0) {
        buf_printf(out, " mode 0%o", (unsigned) perms->mode);
    }
    if (perms->owner >= 0) {
        buf_printf(out, " owner %" PRId64, perms->owner);
    }
    if (perms->group >= 0) {
        buf_printf(out, " group %" PRId64, perms->group);
    }
}

/* How each kind reads; NULL where it needs more than a word and a name or a size. */
static const struct step_words {
    const char *before_name, *before_size;
} words[N_STEP_KINDS] = {
    [STEP_ROOT] = { "open directory ", NULL },
    [STEP_CHECK] = { "look for directory ", NULL },
    [STEP_MKDIRS] = { "make directory ", NULL },
    [STEP_RMDIR_ROOT] = { "remove directory ", NULL },
    [STEP_WATCH] = { "watch for changes", NULL },
    [STEP_SCAN] = { "list volumes", NULL },
    [STEP_STAT] = { "look at ", NULL },
    [STEP_ROOM] = { "check room for ", "" },
    [STEP_TEMP] = { "make temporary file for ", NULL },
    [STEP_OPEN] = { "open ", NULL },
    [STEP_SOURCE] = { "open source ", NULL },
    [STEP_BACKING] = { "check backing image ", NULL },
    [STEP_NOCOW] = { "turn copy-on-write off", NULL },
    [STEP_SIZE] = { "set size to ", "" },
    [STEP_ALLOCATE] = { "allocate ", "" },
    [STEP_GROWS] = { "check that it has at most ", "" },
    [STEP_COPY] = { "copy source, up to ", "" },
    [STEP_RECEIVE] = { "receive data", NULL },
    [STEP_SEND] = { "send data", NULL },
    [STEP_WIPE] = { "overwrite", NULL },
    [STEP_LIKE] = { "make it like the old one", NULL },
    [STEP_REST] = { "keep what lies behind", NULL },
    [STEP_REPLACE] = { "sync and put it in the place of ", NULL },
    [STEP_OWNER] = { "set", NULL },
    [STEP_MODE] = { "set", NULL },
    [STEP_PUBLISH] = { "sync and name it ", NULL },
    [STEP_MKDIR] = { "make directory ", NULL },
    [STEP_UNLINK] = { "remove file ", NULL },
    [STEP_RMDIR] = { "remove directory ", NULL },
    [STEP_DISCARD] = { "discard temporary file for ", NULL },
    [STEP_MOUNTED] = { "look for the mount of ", NULL },
    [STEP_PARSE] = { "", NULL },
    [STEP_THEN] = { "", NULL },
    [STEP_SETTLE] = { "wait for udev", NULL },
    [STEP_NODE] = { "wait for ", NULL },
    [STEP_DEVICE] = { "open device ", NULL },
    [STEP_SOURCE_DEVICE] = { "open source device ", NULL },
    [STEP_ZERO_ENDS] = { "zeros over the first and last MiB", NULL },
    [STEP_LOOK] = { "look at the volumes' devices", NULL },
    [STEP_SESSION] = { "look for a session to ", NULL },
    [STEP_CHAP] = { "write name and password into the node record of ", NULL },
    [STEP_ADAPTER] = { "look for ", NULL },
    [STEP_VPORT] = { "", NULL },
    [STEP_RESCAN] = { "look for new LUNs and sizes at ", NULL },
    [STEP_LUNS] = { "list LUNs of ", NULL },
    [STEP_IDLE] = { "make sure that nothing uses a LUN of ", NULL },
    [STEP_LUN] = { "open LUN ", NULL },
    [STEP_SOURCE_LUN] = { "open source LUN ", NULL },
    [STEP_DISTINCT] = { "make sure that it is not the source of pool ", NULL },
    [STEP_GROW_LOOK] = { "look at what lies below ", NULL },
    [STEP_GROW_RESCAN] = { "echo 1 > /sys/class/block/", NULL },
    [STEP_LOCK] = { "take the lock ", NULL },
    [STEP_SYNC] = { "sync", NULL },
    [STEP_FETCH] = { "fetch ", NULL },
    [STEP_IMAGE] = { "look what it is", NULL },
    [STEP_ALIVE] = { "read the first page of ", NULL },
};

/* Without what follows a '?': that may be a key. */
static void
put_origin(struct buf *out, const struct plan_step *step)
{
    out->n -= strlen(step->name);
    buf_printf(out, "%.*s", (int) strcspn(step->name, "?#"), step->name);
    if (step->sha256) {
        buf_printf(out, ", SHA-256 %.12s...", step->sha256);
    }
}

static void
put_action(struct buf *out, const struct plan_step *step)
{
    if (step->kind == STEP_COMMAND) {
        for (size_t i = 0; i < step->n_args; i++) {
            buf_str(out, i ? " " : "");
            put_quoted(out, step->args[i].text);
        }
        return;
    }
    buf_str(out, words[step->kind].before_name);
    if (step->kind == STEP_VPORT) {
        buf_str(out, step->write ? "make the virtual port " : "remove the virtual port ");
    }
    if (step->kind == STEP_MOUNTED || (step->kind == STEP_ROOT && step->dir)) {
        const char *first = step->kind == STEP_ROOT ? step->name : step->dir;
        const char *second = step->kind == STEP_ROOT ? step->dir : step->name;
        put_quoted(out, first);
        buf_str(out, step->kind == STEP_ROOT ? ", where it must be mounted: " : " on ");
        put_quoted(out, second);
        return;
    }
    if (words[step->kind].before_size) {
        buf_printf(out, "%" PRId64 " bytes", step->size);
    } else if (step->name) {
        if (step->dir && step->kind != STEP_DISTINCT) {
            buf_printf(out, "%s/", step->dir);
        }
        buf_str(out, step->name);
    }
    switch (step->kind) {
    case STEP_MKDIRS:
    case STEP_MKDIR: put_perms(out, &step->perms); break;
    case STEP_OWNER: {
        struct perms perms = step->perms;
        perms.mode = -1;
        put_perms(out, &perms);
        break;
    }
    case STEP_MODE: buf_printf(out, " mode 0%o", (unsigned) step->perms.mode); break;
    case STEP_ROOM: buf_printf(out, ", %" PRId64 " of them at once", step->length); break;
    case STEP_DEVICE:
    case STEP_OPEN: buf_str(out, step->write ? " for writing" : " for reading"); break;
    case STEP_RECEIVE:
    case STEP_SEND:
        buf_printf(out, " at %" PRId64, step->offset);
        if (step->length) {
            buf_printf(out, ", %" PRId64 " bytes", step->length);
        }
        break;
    case STEP_WIPE:
        buf_printf(out, ": %s", wipe_algorithm_name((enum wipe_algorithm) step->algorithm));
        break;
    case STEP_FETCH: put_origin(out, step); return;
    case STEP_DISTINCT: buf_printf(out, ": %s, %s", step->dir, step->backing); break;
    case STEP_GROW_RESCAN: buf_str(out, "/device/rescan"); break;
    case STEP_COPY: buf_str(out, step->sparse ? ", keeping holes" : ""); break;
    default: break;
    }
}

static void
put_step(struct buf *out, const struct plan_step *step)
{
    /* A comment of the shell, so that the line can still be pasted. */
    static const char *const comments[] = { [STEP_ALWAYS] = "",
                                            [STEP_IF_INACTIVE] = " # unless it is active",
                                            [STEP_IF_ACTIVE] = " # if it is active" };
    put_action(out, step);
    buf_str(out, comments[step->when]);
}

char *
step_text(const struct plan_step *step)
{
    struct buf out = BUF_INIT;
    put_action(&out, step);
    return buf_take(&out);
}

const char *
plan_text(struct plan *plan)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    for (size_t i = 0; i < plan->steps.n; i++) {
        const struct plan_step *step = plan->steps.v[i];
        put_step(&out, step);
        buf_str(&out, "\n");
        if (step->undo) {
            buf_str(&out, "undo: ");
            put_step(&out, step->undo);
            buf_str(&out, "\n");
        }
    }
    return arena_str(&plan->arena, buf_cstr(&out));
}
