/* super/tree.c: directories and the database file. */
#include "super/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "loop/child.h"

#define DBTOOL_DEADLINE_MS 30000
#define LAST_LINE_MAX_BYTES 4096

/* 0711: others may reach a socket or a disk whose name they know; who may use it says its own
 * mode.  The database and the logs are nobody else's. */
static const struct directory {
    const char *path;
    mode_t mode;
    bool is_ours; /* Of nobody else; pools may lie on somebody's disk. */
} directories[] = {
    { "", 0711, false },   { "db", 0700, true },          { "run", 0711, true },
    { "log", 0700, true }, { "log/console", 0700, true }, { "pools", 0711, false },
};

/* A directory of before: is it as closed as ours would be?  One that others may write to lets them
 * put a socket or a database of theirs in the place of ours. */
static MUST_CHECK struct err *
check_directory(const char *path, const struct directory *d)
{
    struct stat st;
    if (stat(path, &st) < 0) { /* A link is fine: it was made by who may write here. */
        return err_io(errno, "stat %s", path);
    }
    /* To pass through does no harm; a group may have members that are trusted. */
    mode_t closed = d->mode == 0700 ? 066 : 002;
    if (st.st_mode & closed) {
        return err_hint(err_new(ERR_CONSTRAINT, "%s is open to others (mode %04o)", path,
                                (unsigned) st.st_mode & 07777),
                        "chmod %04o %s", (unsigned) d->mode, path);
    } else if (d->is_ours && st.st_uid != geteuid() && st.st_uid != 0) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "%s belongs to user %u", path, (unsigned) st.st_uid),
            "start byred as that user, or choose another state directory: "
            "--state DIR");
    }
    return NULL;
}

static MUST_CHECK struct err *
make_directory(const struct place *place, const struct directory *d)
{
    CLEANUP(free_drop)
    char *path = *d->path ? place_path(place, d->path) : str_dup(place->state_dir);
    struct err *e = fs_mkdirs(path, d->mode);
    e = err_hint(e, "choose a state directory that you may write to: --state DIR");
    e = e ? e : check_directory(path, d);
    return err_wrap(e, "cannot make the state directory");
}

struct err *
tree_take(const struct place *place, int *ret_pid_fd)
{
    CLEANUP(free_drop) char *pidfile = place_path(place, "run/byred.pid");

    TRY(place_check(place));
    for (size_t i = 0; i < N_ELEMS(directories); i++) {
        TRY(make_directory(place, &directories[i]));
    }
    struct err *e = pidfile_take(pidfile, ret_pid_fd);
    e = err_hint(e, "byred --state %s --status tells, --stop ends it", place->state_dir);
    return err_wrap(e, "cannot start a byred here");
}

struct err *
tree_make_database(const struct place *place)
{
    CLEANUP(free_drop) char *tool = program_path("byre-dbtool", place);
    CLEANUP(free_drop) char *db = place_path(place, "db/vmmgr.db");
    const char *argv[] = { tool, "create", "--if-not-exists", db, NULL };
    struct child_spec spec = { .argv = argv, .deadline_ms = DBTOOL_DEADLINE_MS };
    CLEANUP(child_result_done) struct child_result result = CHILD_RESULT_INIT;

    TRY(child_run_blocking(&spec, -1, NULL, &result));
    return err_wrap(child_result_check(&result, &spec), "cannot make the database file");
}

/* Our programs say what, why and next, in this order: what is worth most in one line. */
static bool
is_telling(const char *line)
{
    line += strspn(line, " ");
    return *line && !str_starts(line, "why:") && !str_starts(line, "next:");
}

char *
tree_last_line(const char *path, int64_t offset)
{
    char text[LAST_LINE_MAX_BYTES + 1];
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        return str_dup("");
    }
    int64_t from = max64(offset, st.st_size - LAST_LINE_MAX_BYTES);
    ssize_t n = pread(fd, text, LAST_LINE_MAX_BYTES, from);
    text[n > 0 ? n : 0] = '\0';

    CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT;
    strvec_split(&lines, text, "\n");
    for (size_t i = lines.n; i-- > 0;) {
        if (is_telling(lines.v[i])) {
            return str_dup(lines.v[i]);
        }
    }
    return str_dup("");
}
