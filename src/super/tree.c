/* super/tree.c: directories and the database file. */
#include "super/tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "loop/child.h"

#define DBTOOL_DEADLINE_MS 30000
#define LAST_LINE_MAX_BYTES 4096

/* 0711: others may reach a socket or a disk whose name they know; who may use it says its own
 * mode.  The database and the logs are nobody else's. */
static const struct {
    const char *path;
    mode_t mode;
} directories[] = {
    { "", 0711 },    { "db", 0700 },          { "run", 0711 },
    { "log", 0700 }, { "log/console", 0700 }, { "pools", 0711 },
};

static MUST_CHECK struct err *
make_directory(const struct place *place, const char *rest, mode_t mode)
{
    CLEANUP(free_drop)
    char *path = *rest ? place_path(place, rest) : str_dup(place->state_dir);
    struct err *e = fs_mkdirs(path, mode);
    e = err_hint(e, "choose a state directory that you may write to: --state DIR");
    return err_wrap(e, "cannot make the state directory");
}

struct err *
tree_take(const struct place *place, int *ret_pid_fd)
{
    CLEANUP(free_drop) char *pidfile = place_path(place, "run/byred.pid");

    TRY(place_check(place));
    for (size_t i = 0; i < N_ELEMS(directories); i++) {
        TRY(make_directory(place, directories[i].path, directories[i].mode));
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
