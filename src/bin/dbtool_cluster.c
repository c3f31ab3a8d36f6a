/* bin/dbtool_cluster.c: what can be known of the files of ovsdb-server's Raft clusters.
 *
 * Byre serves no member of a cluster; it stands before one (relays) and reads its files: to tell what
 * they are, whether they fit each other, and to save the content when the cluster is lost. */
#include <fcntl.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "bin/dbtool_i.h"
#include "journal/cluster.h"

static MUST_CHECK struct err *
read_file(const char *path, struct cluster_file *f)
{
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return err_io(errno, "%s: open failed", path);
    } else if (!tool_is_cluster(path)) {
        return err_new(ERR_SYNTAX, "%s: not a clustered database", path);
    }
    return cluster_file_read(f, path, fd);
}

bool
tool_is_cluster(const char *path)
{
    char head[16] = "";
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && read(fd, head, sizeof head - 1) > 0 &&
           str_starts(head, "OVSDB CLUSTER ");
}

struct err *
tool_cluster_name(const char *path)
{
    CLEANUP(cluster_file_done) struct cluster_file f = { 0 };

    TRY(read_file(path, &f));
    puts(f.name);
    return NULL;
}

struct err *
tool_db_cid(struct tool *t, const char **args)
{
    CLEANUP(cluster_file_done) struct cluster_file f = { 0 };

    TRY(read_file(args[0], &f));
    if (!f.cid) {
        fprintf(stderr, "%s: cluster ID not yet known\n", args[0]);
        t->status = TOOL_NO;
    } else {
        puts(f.cid);
    }
    return NULL;
}

struct err *
tool_db_sid(struct tool *t UNUSED, const char **args)
{
    CLEANUP(cluster_file_done) struct cluster_file f = { 0 };

    TRY(read_file(args[0], &f));
    puts(f.sid);
    return NULL;
}

struct err *
tool_db_local_address(struct tool *t UNUSED, const char **args)
{
    CLEANUP(cluster_file_done) struct cluster_file f = { 0 };

    TRY(read_file(args[0], &f));
    puts(f.address);
    return NULL;
}

struct err *
tool_cluster_to_standalone(struct tool *t UNUSED, const char **args)
{
    CLEANUP(cluster_file_done) struct cluster_file f = { 0 };
    CLEANUP(db_drop) struct db *db = NULL;

    if (fs_exists(args[0])) {
        return err_hint(err_new(ERR_EXISTS, "%s is there already", args[0]),
                        "name a new file");
    }
    TRY(read_file(args[1], &f));
    TRY(dbfile_of_cluster(&f, &db));
    if (!db) {
        return err_hint(err_new(ERR_NOT_FOUND,
                                "%s has no content: it has not joined its "
                                "cluster",
                                f.path),
                        "take the file of a member that had joined");
    }
    return tool_write_db(args[0], db, "made from a cluster by byre-dbtool " BYRE_VERSION);
}

static MUST_CHECK struct err *
check_all(struct cluster_file *files, size_t n)
{
    size_t n_joined = 0;

    for (size_t i = 0; i < n; i++) {
        const struct cluster_file *f = &files[i];
        if (!cluster_file_joined(f)) {
            printf("%s has not joined the cluster, omitting\n", f->path);
            continue;
        }
        TRY(cluster_file_check(f));
        n_joined++;
        for (size_t k = 0; k < i; k++) {
            if (cluster_file_joined(&files[k])) {
                TRY(cluster_file_compare(&files[k], f));
            }
        }
    }
    return n_joined ? NULL : err_new(ERR_NOT_FOUND, "all logs are empty");
}

struct err *
tool_check_cluster(struct tool *t UNUSED, const char **args)
{
    struct cluster_file files[TOOL_ARGS_MAX] = { 0 };
    struct err *e = NULL;
    size_t n = 0;

    while (!e && n < TOOL_ARGS_MAX && args[n]) {
        e = read_file(args[n], &files[n]);
        n++;
    }
    e = e ? e : check_all(files, n);
    for (size_t i = 0; i < n; i++) {
        cluster_file_done(&files[i]);
    }
    return e;
}
