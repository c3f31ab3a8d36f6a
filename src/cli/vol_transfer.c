/* cli/vol_transfer.c: `vol upload` and `vol download`.
 *
 * The open file goes to the agent, so that the caller's rights decide about it and no
 * path is trusted on the other side.  It is opened last: a command that is refused, and
 * --dry-run, leave the caller's files alone. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/agent_i.h"
#include "cli/vol_i.h"

struct transfer {
    const char *method; /* "upload", "download": what the agent calls it. */
    const char *path;   /* The caller's file; "-": standard input or output. */
    struct named volume;
    int64_t offset, length; /* In the volume; length 0: to the end. */
};

static struct err *
read_args(struct cli *cli, const struct args *args, const char *method,
          struct transfer *ret)
{
    const char *name = NULL;
    *ret = (struct transfer){ .method = method, .path = args->pos.v[args->pos.n - 1] };
    TRY(vol_name_arg(cli, args, 1, &name));
    TRY(names_find(cli, "volume", name, "state,format,capacity", &ret->volume));
    const char *state = row_string(ret->volume.row, "state");
    if (!str_eq(state, "ready")) {
        return err_hint(err_new(ERR_CONSTRAINT, "volume %s is %s, not ready",
                                ret->volume.label, state ? state : "not there yet"),
                        "byre vol info %s", ret->volume.label);
    }
    TRY(args_size(args, "offset", 1, &ret->offset));
    return args_size(args, "length", 1, &ret->length);
}

static struct err *
run(struct cli *cli, const struct transfer *t, int fd)
{
    bool data_on_stdout = str_eq(t->method, "download") && str_eq(t->path, "-");
    struct arena *a = &cli->arena;
    struct json request = json_object();
    struct json result;
    json_put(a, &request, "method", json_string_ref(t->method));
    json_put(a, &request, "volume", json_string(a, UUID_TEXT(&t->volume.uuid)));
    json_put(a, &request, "offset", json_int(t->offset));
    json_put(a, &request, "length", json_int(t->length));
    const char *label = arena_printf(a, "vol %s", t->volume.label);
    TRY(err_wrap(agent_call(cli, &request, fd, 0, label, &result, NULL), "%s %s", t->method,
                 t->volume.label));
    if (!data_on_stdout) {
        cli_say(cli, "%s: %sed", label, t->method);
    }
    return NULL;
}

static void
show_dry(const struct transfer *t)
{
    bool up = str_eq(t->method, "upload");
    printf("would %s %s to %s\n", t->method, up ? t->path : t->volume.label,
           up ? t->volume.label : t->path);
}

/* A raw volume's bytes are its capacity: a longer file would make it another size than
 * its row wants.  (Of other formats the file's length says nothing.) */
static struct err *
check_room(const struct transfer *t, const struct stat *st)
{
    int64_t capacity = row_int(t->volume.row, "capacity", -1);
    int64_t n = t->length && t->length < st->st_size ? t->length : st->st_size;
    if (capacity < 0 || !S_ISREG(st->st_mode) ||
        !str_eq(row_string(t->volume.row, "format"), "raw") ||
        (t->offset <= capacity && n <= capacity - t->offset)) {
        return NULL;
    }
    struct err *e = err_new(
        ERR_NO_SPACE, "%" PRId64 " bytes from byte %" PRId64 " on, but it has %" PRId64, n,
        t->offset, capacity);
    return t->offset > INT64_MAX - n
               ? e
               : err_hint(e, "byre vol resize %s %" PRId64, t->volume.label, t->offset + n);
}

struct err *
vol_upload(struct cli *cli, const struct args *args)
{
    struct transfer t;
    struct stat st;
    TRY(read_args(cli, args, "upload", &t));
    CLEANUP(fd_done)
    int fd = str_eq(t.path, "-") ? dup(STDIN_FILENO) : open(t.path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        return err_hint(err_io(errno, "open %s", t.path), "name a file that can be read");
    } else if (S_ISDIR(st.st_mode)) {
        return err_hint(err_new(ERR_CONSTRAINT, "%s is a directory", t.path),
                        "name a file, or - for standard input");
    }
    TRY(err_wrap(check_room(&t, &st), "vol %s", t.volume.label));
    if (cli->dry_run) {
        show_dry(&t);
        return NULL;
    }
    return run(cli, &t, fd);
}

/* Takes 'e'.  The agent takes a full disk for the pool's; here it is the caller's. */
static struct err *
no_room(const struct transfer *t, struct err *e)
{
    if (!err_is(e, ERR_NO_SPACE)) {
        return e;
    }
    err_free(e);
    e = err_new(ERR_NO_SPACE, "%s has no room for the data",
                str_eq(t->path, "-") ? "standard output" : t->path);
    return err_hint(e, "make room there, or name a file elsewhere");
}

/* Nobody reads standard output any more. */
static bool
reader_is_gone(void)
{
    struct pollfd pfd = { STDOUT_FILENO, 0, 0 };
    return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLERR | POLLHUP));
}

static struct err *
download_to_output(struct cli *cli, const struct transfer *t)
{
    CLEANUP(fd_done) int fd = dup(STDOUT_FILENO);
    if (fd < 0) {
        return err_io(errno, "standard output");
    }
    struct err *e = run(cli, t, fd);
    if (e && reader_is_gone()) { /* As with `| head`: it had enough. */
        err_free(e);
        return NULL;
    }
    return no_room(t, e);
}

/* Half a file would be taken for a whole one, so what failed is removed; and a file that
 * --force replaces stays what it was until the new one is whole. */
static struct err *
download_to_file(struct cli *cli, const struct transfer *t, bool force)
{
    struct stat st;
    bool there = lstat(t->path, &st) == 0;
    bool replace = there && force && S_ISREG(st.st_mode);
    const char *path =
        replace ? arena_printf(&cli->arena, "%s.byre-part", t->path) : t->path;
    int flags =
        O_RDWR | O_CLOEXEC | (there && !replace && force ? O_TRUNC : O_CREAT | O_EXCL);
    if (cli->dry_run) {
        show_dry(t);
        return NULL;
    }
    CLEANUP(fd_done) int fd = open(path, flags, 0666);
    if (fd < 0) {
        int errnum = errno;
        return err_hint(err_io(errnum, "open %s", path), "%s",
                        errnum == EEXIST && !replace
                            ? "--force replaces a file that is there"
                            : "name a file that can be made");
    }
    struct err *e = run(cli, t, fd);
    if (!e && replace && rename(path, t->path) < 0) {
        e = err_io(errno, "rename %s", path);
    }
    if (e && (flags & O_CREAT)) {
        unlink(path);
    }
    return no_room(t, e);
}

struct err *
vol_download(struct cli *cli, const struct args *args)
{
    struct transfer t;
    TRY(read_args(cli, args, "download", &t));
    if (str_eq(t.path, "-")) {
        if (cli->dry_run) {
            show_dry(&t);
            return NULL;
        }
        return download_to_output(cli, &t);
    }
    return download_to_file(cli, &t, args_has(args, "force"));
}
