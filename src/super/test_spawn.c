/* super/test_spawn.c: what a program gets from byred, and what it does not. */
#include "test.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "super/spawn.h"

TEST(no_descriptors_but_three)
{
    char *argv[] = {
        "/bin/sh", "-c",
        "exec >&2; for n in 0 1 2 3 77; do test -e /proc/$$/fd/$n && echo $n; done; exit 7",
        NULL
    };
    CLEANUP(free_drop) char *path = path_join(test_dir(), "stderr");
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    int64_t offset = -1;
    pid_t pid = 0;
    int status = 0;

    CHECK_INT("one that stays open over exec", dup2(2, 77), 77);
    CHECK_OK("start", spawn(argv, path, &pid, &offset));
    close(77);
    CHECK_INT("nothing was there", offset, 0);
    CHECK_INT("wait", waitpid(pid, &status, 0), pid);
    CHECK("it ran", WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK_OK("read", fs_read(path, 4096, &text));
    CHECK_STR("descriptors", buf_cstr(&text), "0\n1\n2\n");
}
