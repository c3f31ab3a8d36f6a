/* cli/pool_edit.c: `pool edit`: the definition in an editor, and what comes back is defined.
 *
 * The XML is the one that `pool dumpxml --inactive` prints.  The editor is $VISUAL, $EDITOR or
 * vi, run by the shell as it stands there: it may hold options. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/pool_i.h"
#include "cli/storage_i.h"
#include "store/poolxml.h"

#define XML_MAX_BYTES ((size_t) 1 << 20)

static struct err *
run_editor(const char *path)
{
    const char *editor = getenv("VISUAL");
    editor = editor && *editor ? editor : getenv("EDITOR");
    editor = editor && *editor ? editor : "vi";
    CLEANUP(free_drop) char *command = str_dupf("%s \"$1\"", editor);
    pid_t pid = fork();
    int status;
    if (pid < 0) {
        return err_io(errno, "fork");
    } else if (pid == 0) {
        execl("/bin/sh", "sh", "-c", command, "sh", path, (char *) NULL);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return err_io(errno, "wait for the editor");
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0
               ? NULL
               : err_hint(err_new(ERR_IO, "the editor '%s' failed", editor),
                          "nothing was changed; EDITOR names another one");
}

static struct err *
edit_file(struct cli *cli, const struct args *args, const struct buf *before,
          const char *path)
{
    CLEANUP(buf_done) struct buf after = BUF_INIT;
    TRY(run_editor(path));
    TRY(fs_read(path, XML_MAX_BYTES, &after));
    if (after.n == before->n && memcmp(after.data, before->data, after.n) == 0) {
        if (!cli->quiet) {
            printf("pool %s: not changed\n", args->pos.v[0]);
        }
        return NULL;
    }
    return pool_define_text(cli, args, "the edited XML", &after);
}

struct err *
pool_edit(struct cli *cli, const struct args *args)
{
    CLEANUP(storage_pool_done) struct storage_pool s;
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    TRY(storage_pool_find(cli, args->pos.v[0], &s));
    poolxml_format(&s.value, &xml);

    const char *dir = getenv("TMPDIR");
    CLEANUP(free_drop) char *path = str_dupf("%s/byre-XXXXXX.xml", dir ? dir : "/tmp");
    CLEANUP(fd_done) int fd = mkostemps(path, 4, O_CLOEXEC);
    if (fd < 0) {
        return err_io(errno, "make %s", path);
    }
    struct err *e = fd_write_all(fd, xml.data, xml.n);
    if (!e) {
        e = edit_file(cli, args, &xml, path);
    }
    unlink(path);
    return e;
}
