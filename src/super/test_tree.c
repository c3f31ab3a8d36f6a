/* super/test_tree.c: state directories that were there before. */
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "super/tree.h"

TEST(directories_of_before)
{
    static const struct {
        const char *path;
        mode_t mode;
        const char *want; /* In the error; NULL: fine. */
    } rows[] = {
        { "", 0755, NULL },
        { "", 0775, NULL },
        { "", 0777, "open to others (mode 0777)" },
        { "", 01777, "open to others (mode 1777)" },
        { "db", 0700, NULL },
        { "db", 0711, NULL },
        { "db", 0750, "open to others (mode 0750)" },
        { "log", 0755, "open to others (mode 0755)" },
        { "run", 0755, NULL },
        { "run", 0733, "open to others (mode 0733)" },
    };
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        CLEANUP(free_drop) char *dir = str_dupf("%s/%zu", test_dir(), i);
        CLEANUP(free_drop) char *path = path_join(dir, rows[i].path);
        CLEANUP(fd_done) int fd = -1;
        struct place place = { dir, "", (unsigned) geteuid() };
        CHECK_OK("make", fs_mkdirs(path, 0755));
        CHECK_INT("mode", chmod(path, rows[i].mode), 0);
        CLEANUP(err_drop) struct err *e = tree_take(&place, &fd);
        CHECK(path, rows[i].want ? e && strstr(err_text(e), rows[i].want) : !e);
        CHECK(path, !e || err_next(e));
    }
}

TEST(links_in_the_state_directory)
{
    CLEANUP(free_drop) char *dir = path_join(test_dir(), "linked");
    CLEANUP(free_drop) char *link = path_join(dir, "db");
    CLEANUP(fd_done) int fd = -1;
    struct place place = { dir, "", (unsigned) geteuid() };
    CHECK_OK("make", fs_mkdirs(dir, 0755));
    CHECK_INT("link", symlink("/tmp", link), 0);
    CHECK_ERR("not the database's", tree_take(&place, &fd), ERR_CONSTRAINT);
}
