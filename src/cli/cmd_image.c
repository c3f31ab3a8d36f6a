/* cli/cmd_image.c: images: OS templates (table vmi) together with the volume that holds them.
 *
 * From a URL the agent's host fetches it: the volume's row says from where and what SHA-256 it must
 * have, a job tells how far it is.  From a file of the caller the bytes go the way of `vol upload`,
 * after the checksum was compared here.  The template's row comes last: a template that is there has
 * its volume. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/agent_i.h"
#include "cli/fail_i.h"
#include "cli/job_i.h"
#include "cli/list_i.h"
#include "cli/vol_i.h"
#include "digest/digest.h"
#include "loop/child.h"
#include "store/fetch.h"
#include "store/gate.h"
#include "store/probe.h"

#define SUMS_MAX_BYTES (4 * MIB)
#define SUMS_MS 60000
#define BLOCK_BYTES (1 * MIB)

/* One `image add`. */
struct image {
    const char *name, *from; /* A URL, or a path. */
    const char *kind, *format, *sha256;
    struct storage_pool pool;
    struct vol vol;
    struct uuid volume;
    const char *label;
    int fd; /* Of the file; -1: from a URL. */
};

static bool
is_url(const char *from)
{
    return strstr(from, "://") != NULL;
}

/* A list of checksums, fetched as the caller, who reads it too. */
static MUST_CHECK struct err *
fetch_sums(struct cli *cli, const char *url, struct buf *ret)
{
    const char *argv[] = { "curl", "-q", "--config", "-", NULL };
    CLEANUP(child_result_done) struct child_result result = CHILD_RESULT_INIT;
    CLEANUP(fd_done) int input = -1, out = -1;
    int pipe_fds[2];
    TRY(fetch_check(url, NULL));
    if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
        return err_io(errno, "pipe");
    }
    input = pipe_fds[0];
    out = pipe_fds[1];
    const char *config = arena_printf(
        &cli->arena,
        "url = \"%s\"\ngloboff\nsilent\nshow-error\nfail\nlocation\n"
        "max-redirs = 5\nproto = \"=http,https\"\nproto-redir = \"%s\"\n"
        "max-filesize = %d\n",
        url, str_starts(url, "https:") ? "=https" : "=http,https", (int) SUMS_MAX_BYTES);
    TRY(fd_write_all(out, config, strlen(config))); /* Less than a pipe holds. */
    fd_done(&out);
    struct child_spec spec = { .argv = argv,
                               .deadline_ms = SUMS_MS,
                               .stdin_fd = &input,
                               .stdout_max_bytes = SUMS_MAX_BYTES };
    TRY(child_run_blocking(&spec, -1, NULL, &result));
    TRY(child_result_check(&result, &spec));
    buf_add(ret, result.out.data, result.out.n);
    return NULL;
}

/* --sha256, or what --checksum-url says of the file. */
static MUST_CHECK struct err *
read_sum(struct cli *cli, const struct args *args, struct image *i)
{
    const char *url = args_get(args, "checksum-url");
    CLEANUP(buf_done) struct buf list = BUF_INIT;
    char room[256], sum[DIGEST_CHARS + 1];

    i->sha256 = args_get(args, "sha256");
    if (i->sha256 && url) {
        return err_hint(err_new(ERR_SYNTAX, "--sha256 and --checksum-url"), "one of them");
    } else if (i->sha256 && !digest_is_text(i->sha256)) {
        return err_hint(err_new(ERR_SYNTAX, "--sha256 needs 64 small hexadecimal digits"),
                        "as sha256sum prints them");
    } else if (!url) {
        return NULL;
    }
    const char *base =
        is_url(i->from) ? fetch_base(i->from, room, sizeof room) : path_base(i->from);
    TRY(err_wrap(fetch_sums(cli, url, &list), "--checksum-url"));
    TRY(err_wrap(fetch_find_sum(buf_cstr(&list), base, sum), "--checksum-url"));
    i->sha256 = arena_str(&cli->arena, sum);
    return NULL;
}

/* The template's name with the ending of what it comes from, so that people see what it is. */
static const char *
volume_name(struct cli *cli, const struct image *i)
{
    static const char *const endings[] = {
        ".qcow2", ".img", ".raw", ".iso", ".vmdk", ".vdi"
    };
    char room[256];
    const char *base =
        is_url(i->from) ? fetch_base(i->from, room, sizeof room) : path_base(i->from);
    const char *dot = strrchr(base, '.');
    for (size_t k = 0; dot && k < N_ELEMS(endings); k++) {
        if (str_eq(dot, endings[k]) && !strstr(i->name, dot)) {
            return arena_printf(&cli->arena, "%s%s", i->name, dot);
        }
    }
    return i->name;
}

static MUST_CHECK struct err *
check_free(struct cli *cli, const char *name)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), where = json_array(), results;
    json_add(a, &where, q_clause(a, "name", "==", json_string(a, name)));
    json_add(a, &ops, q_select(a, "vmi", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    return q_rows(&results, 0)->n == 0
               ? NULL
               : err_hint(err_new(ERR_EXISTS, "there is already an image \"%s\"", name),
                          "byre image info %s", name);
}

/* What the caller's file is: as large as a guest would see it, and in one piece. */
static MUST_CHECK struct err *
probe_file(struct cli *cli, struct image *i)
{
    CLEANUP(free_drop) uint8_t *head = xmalloc(PROBE_HEAD_BYTES);
    uint8_t tail[PROBE_TAIL_BYTES];
    struct stat st;
    struct probe probe;

    i->fd = open(i->from, O_RDONLY | O_CLOEXEC);
    if (i->fd < 0 || fstat(i->fd, &st) < 0) {
        return err_hint(err_io(errno, "open %s", i->from),
                        "name a file that can be read, or a URL: https://...");
    } else if (!S_ISREG(st.st_mode) || st.st_size == 0) {
        return err_new(ERR_CONSTRAINT, "%s is no file, or an empty one", i->from);
    }
    ssize_t n = pread(i->fd, head, PROBE_HEAD_BYTES, 0);
    ssize_t n_tail = st.st_size < PROBE_TAIL_BYTES
                         ? 0
                         : pread(i->fd, tail, sizeof tail, st.st_size - PROBE_TAIL_BYTES);
    if (n < 0 || n_tail < 0) {
        return err_io(errno, "read %s", i->from);
    }
    probe_image(&cli->arena, head, (size_t) n, tail, (size_t) n_tail, st.st_size, &probe);
    if (i->format && !str_eq(i->format, probe.format)) {
        return err_new(ERR_CONSTRAINT, "%s is of format %s, not %s", i->from, probe.format,
                       i->format);
    } else if (probe.has_backing || probe.has_data_file) {
        return err_hint(err_new(ERR_CONSTRAINT, "%s needs another file", i->from),
                        "qemu-img convert makes an image that stands alone");
    }
    i->format = arena_str(&cli->arena, probe.format);
    i->vol.capacity = max64(probe.capacity, 1);
    i->vol.allocation = 0;
    return NULL;
}

static MUST_CHECK struct err *
check_file_sum(const struct image *i)
{
    CLEANUP(free_drop) char *block = xmalloc(BLOCK_BYTES);
    CLEANUP(digest_drop) struct digest *d = digest_new();
    char got[DIGEST_CHARS + 1];
    int64_t at = 0;
    for (ssize_t n; (n = pread(i->fd, block, BLOCK_BYTES, at)) != 0; at += n) {
        if (n < 0) {
            return err_io(errno, "read %s", i->from);
        }
        digest_add(d, block, (size_t) n);
    }
    digest_text(d, got);
    return str_eq(got, i->sha256)
               ? NULL
               : err_hint(err_new(ERR_CONSTRAINT, "%s has the SHA-256 %s, not %s", i->from,
                                  got, i->sha256),
                          "nothing was done");
}

/* The volume whose content the pool's host fetches. */
static MUST_CHECK struct err *
add_fetched(struct cli *cli, struct image *i)
{
    struct arena *a = &cli->arena;
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    struct uuid job;
    bool there;

    struct err *e = fetch_check(i->from, i->sha256);
    if (e) {
        return fail_as(err_wrap(e, "--from"), EXIT_USAGE);
    }
    e = storage_refusal(vol_name_check(i->vol.name), "%s", i->label);
    if (e) {
        return fail_as(e, EXIT_USAGE);
    }
    TRY(vol_check_format(&i->pool, &i->vol));
    TRY(err_wrap(vol_check_new(cli, &i->pool, i->vol.name, false, &there), "%s", i->label));
    TRY(err_wrap(vol_check_pool(&i->pool, &i->vol), "%s", i->label));
    TRY(storage_refusal(gate_vol_fetch(&i->pool.value, &i->vol, i->from, i->sha256, &plan),
                        "%s", i->label));
    if (cli->dry_run) {
        show_plan(cli, i->label, &plan);
    }
    struct json row = storage_volume_row(cli, &i->vol);
    json_put(a, &row, "pool", q_uuid(a, &i->pool.pool.uuid));
    json_put(a, &row, "url", json_string(a, i->from));
    if (i->sha256) {
        json_put(a, &row, "sha256", json_string(a, i->sha256));
    }
    json_put(a, &row, "generation", json_int(1));
    change_insert(cli, "volume", row, &i->volume);
    change_await(cli, GOAL_APPLIED, "volume", &i->volume, 1, i->label, "fetched");
    change_take_back(cli, vol_forget_failed(a, &i->volume));
    change_insert(cli, "job",
                  job_row(cli, "vol.fetch", "volume", &i->volume, i->pool.pool.row), &job);
    job_await(cli, &job);
    return change_step(cli);
}

static MUST_CHECK struct err *
upload(struct cli *cli, struct image *i)
{
    struct arena *a = &cli->arena;
    struct json request = json_object(), result;
    json_put(a, &request, "method", json_string_ref("upload"));
    json_put(a, &request, "volume", json_string(a, UUID_TEXT(&i->volume)));
    struct err *e = agent_call(cli, &request, i->fd, 0, i->label, &result, NULL);
    if (e) { /* Half an image is none. */
        struct json row = json_object(), ops = json_array(), op = json_object(), results;
        json_put(a, &row, "deleted", json_bool(true));
        json_put(a, &op, "op", json_string_ref("update"));
        json_put(a, &op, "table", json_string_ref("volume"));
        json_put(a, &op, "where", q_where_uuid(a, &i->volume));
        json_put(a, &op, "row", row);
        json_add(a, &ops, op);
        err_free(db_transact(cli, &ops, &results));
    }
    return err_wrap(e, "%s", i->label);
}

/* The volume that the caller's file goes into. */
static MUST_CHECK struct err *
add_uploaded(struct cli *cli, struct image *i)
{
    if (!cli->dry_run && cli->no_wait) {
        return fail_as(err_hint(err_new(ERR_SYNTAX, "--no-wait and a file"),
                                "the file is read by this command: it has to stay"),
                       EXIT_USAGE);
    } else if (i->sha256) {
        TRY(check_file_sum(i));
    }
    TRY(vol_create(cli, &i->pool, &i->vol, NULL, false, &i->volume));
    TRY(change_step(cli));
    return cli->dry_run ? NULL : upload(cli, i);
}

static MUST_CHECK struct err *
put_mib(struct cli *cli, const struct args *args, const char *opt, const char *column,
        struct json *row)
{
    int64_t bytes = -1;
    TRY(args_size(args, opt, MIB, &bytes));
    if (bytes >= 0) {
        json_put(&cli->arena, row, column,
                 json_int((int64_t) div_up((uint64_t) bytes, MIB)));
    }
    return NULL;
}

static MUST_CHECK struct err *
template_row(struct cli *cli, const struct args *args, struct image *i, struct json *row)
{
    static const char *const volumes[] = { "kernel", "initrd" };
    static const char *const texts[] = { "cmdline", "os" };
    struct arena *a = &cli->arena;
    int64_t reboots = -1;

    *row = json_object();
    json_put(a, row, "name", json_string(a, i->name));
    json_put(a, row, "kind", json_string(a, i->kind));
    json_put(a, row, "cloud_init",
             json_bool(str_eq(i->kind, "image") && !args_has(args, "no-cloud-init")));
    json_put(a, row, "virtio", json_bool(true));
    for (size_t k = 0; k < N_ELEMS(volumes); k++) {
        const char *spec = args_get(args, volumes[k]);
        struct named volume;
        if (spec) {
            TRY(err_wrap(names_find(cli, "volume", spec, "_uuid", &volume), "--%s",
                         volumes[k]));
            json_put(a, row, volumes[k], q_uuid(a, &volume.uuid));
        }
    }
    for (size_t k = 0; k < N_ELEMS(texts); k++) {
        const char *text = args_get(args, texts[k]);
        if (text) {
            json_put(a, row, texts[k], json_string(a, text));
        }
    }
    TRY(args_int(args, "reboots", 0, 100, &reboots));
    if (reboots >= 0) {
        json_put(a, row, "rebootcount", json_int(reboots));
    }
    TRY(put_mib(cli, args, "min-mem", "min_mem", row));
    return put_mib(cli, args, "min-size", "min_vsize", row);
}

static MUST_CHECK struct err *
add(struct cli *cli, const struct args *args, struct image *i)
{
    struct arena *a = &cli->arena;
    const char *pool = args_get(args, "pool"), *volume = args_get(args, "volume");
    struct json row;

    TRY(fail_unless_name("image", i->name));
    TRY(check_free(cli, i->name));
    TRY(storage_pool_find(cli, pool ? pool : "default", &i->pool));
    i->vol.name = volume ? volume : volume_name(cli, i);
    i->label = arena_printf(a, "vol %s/%s", i->pool.pool.label, i->vol.name);
    TRY(read_sum(cli, args, i));
    if (!is_url(i->from)) {
        TRY(probe_file(cli, i));
    }
    i->vol.target.format = i->format;
    bool is_iso = str_eq(i->format, "iso") || str_ends(i->vol.name, ".iso");
    i->kind = args_get(args, "kind") ? args_get(args, "kind") : is_iso ? "iso" : "image";
    TRY(template_row(cli, args, i, &row));
    TRY(is_url(i->from) ? add_fetched(cli, i) : add_uploaded(cli, i));
    json_put(a, &row, "volume", q_uuid(a, &i->volume));
    change_insert(cli, "vmi", row, NULL);
    change_say(cli, "image %s: added", i->name);
    return NULL;
}

static struct err *
cmd_add(struct cli *cli, const struct args *args)
{
    struct image i = { .name = args->pos.v[0],
                       .from = args_get(args, "from"),
                       .format = args_get(args, "format"),
                       .fd = -1 };
    pool_init(&i.pool.value);
    vol_init(&i.vol);
    struct err *e = i.from ? add(cli, args, &i)
                           : fail_as(err_hint(err_new(ERR_SYNTAX, "image add needs --from"),
                                              "--from https://... or --from FILE"),
                                     EXIT_USAGE);
    fd_done(&i.fd);
    vol_done(&i.vol);
    storage_pool_done(&i.pool);
    return e;
}

static struct err *
cmd_list(struct cli *cli, const struct args *args)
{
    struct list l = { .names = args->pos.v,
                      .n_names = args->pos.n,
                      .columns = args_get(args, "columns")
                                     ? NULL
                                     : "name,kind,os,volume,min_mem,min_vsize" };
    TRY(db_table(cli, "vmi", &l.table));
    return list_run(cli, args, &l);
}

static struct err *
cmd_info(struct cli *cli, const struct args *args)
{
    return info_noun(cli, args, "vmi", NULL);
}

/* Those that were made from it stand on their own, but for linked clones: these refuse. */
static MUST_CHECK struct err *
delete_volume(struct cli *cli, const struct json *image)
{
    struct uuid uuid;
    struct named volume;
    struct json row = json_object();
    if (!row_ref(image, "volume", &uuid)) {
        return NULL;
    }
    TRY(names_find(cli, "volume", UUID_TEXT(&uuid), NULL, &volume));
    json_put(&cli->arena, &row, "deleted", json_bool(true));
    change_update(cli, "volume", &uuid, row);
    change_await(cli, GOAL_GONE, "volume", &uuid, -1,
                 arena_printf(&cli->arena, "vol %s", volume.label), "deleted");
    return vol_check_unused(cli, &volume);
}

static struct err *
cmd_delete(struct cli *cli, const struct args *args)
{
    struct named_list list = VEC_INIT;
    struct err *e = names_match(cli, "vmi", args->pos.v, args->pos.n, "name,volume", &list);
    if (err_is(e, ERR_NOT_FOUND) && args_has(args, "if-exists")) {
        err_free(e);
        e = NULL;
    }
    for (size_t i = 0; i < list.n; i++) {
        change_delete(cli, "vmi", &list.v[i].uuid);
    }
    for (size_t i = 0; i < list.n && !e; i++) {
        e = args_has(args, "keep-volume") ? NULL : delete_volume(cli, list.v[i].row);
        change_say(cli, "image %s: deleted", list.v[i].label);
    }
    VEC_DONE(&list);
    return e;
}

static const struct opt_spec opts_add[] = {
    { "from", "URL|FILE", "where it comes from: http(s)://... or a file of yours", "file" },
    { "sha256", "DIGEST", "what comes must have it, or nothing is kept" },
    { "checksum-url", "URL", "a list (SHA256SUMS) in which the digest stands" },
    { "pool", "POOL", "where its volume lies (default): dir, fs or netfs", "pool" },
    { "volume", "NAME", "its volume's name (NAME with the ending of what comes)" },
    { "format", "FORMAT", "what it must be (as it is found)", "raw|qcow2|iso|vmdk|vdi" },
    { "kind", "KIND", "image (default), iso, installer", "image|iso|installer" },
    { "os", "TEXT", "what system it is; for people" },
    { "min-mem", "SIZE", "memory below which it does not work; MiB without a unit" },
    { "min-size", "SIZE", "disk below which it does not work; MiB without a unit" },
    { "reboots", "N", "reboots that belong to its installation (0)" },
    { "kernel", "VOLUME", "kernel to boot it with", "volume" },
    { "initrd", "VOLUME", "its initial RAM disk", "volume" },
    { "cmdline", "TEXT", "its command line" },
    { "no-cloud-init", NULL, "it does not obey cloud-init: no first-boot disk" },
    { NULL },
};
static const struct opt_spec opts_delete[] = {
    { "keep-volume", NULL, "its volume stays" },
    { "if-exists", NULL, "an image that is not there is no error" },
    { NULL },
};

const struct command cmds_image[] = {
    { "image", "add", "NAME", "gets an image from a URL or a file", cmd_add, CMD_CHANGE,
      opts_add, NULL,
      "byre image add debian12 --from https://cloud.debian.org/.../debian-12-generic-amd64.qcow2 \\\n"
      "    --checksum-url https://.../SHA256SUMS --min-size 3G\n"
      "\n"
      "From a URL its host fetches it, as a job; a broken connection is taken up again if there is a\n"
      "checksum.  A URL with a user's name or password in it is refused: every reader of the database\n"
      "would see it.\n" },
    { "image", "list", "[NAME...]", "images", cmd_list, CMD_LIST, NULL, "vmi" },
    { "image", "info", "NAME...", "all that is known of an image", cmd_info, 0, NULL,
      "vmi" },
    { "image", "delete", "NAME...", "forgets it, and deletes its volume", cmd_delete,
      CMD_CHANGE, opts_delete, "vmi" },
    { NULL },
};
