/* agent/test_host.c: the host's identity, and errors as three lines. */
#include <unistd.h>

#include "agent/agent_i.h"

#include "base/fs.h"
#include "test.h"

TEST(the_first_uuid_stays)
{
    struct uuid first, second, got;
    CLEANUP(free_drop) char *path = path_join(test_dir(), "host-uid");
    CLEANUP(buf_done) struct buf kept = BUF_INIT;

    uuid_random(&first);
    uuid_random(&second);
    unlink(path);
    CHECK_ERR("nothing is known yet", host_identity(test_dir(), NULL, &got), ERR_NOT_FOUND);
    CHECK_OK("libvirt's is taken", host_identity(test_dir(), &first, &got));
    CHECK_STR("as it is", UUID_TEXT(&got), UUID_TEXT(&first));
    CHECK_OK("libvirt made up another", host_identity(test_dir(), &second, &got));
    CHECK_STR("the first stays", UUID_TEXT(&got), UUID_TEXT(&first));
    CHECK_OK("without libvirt", host_identity(test_dir(), NULL, &got));
    CHECK_STR("too", UUID_TEXT(&got), UUID_TEXT(&first));

    /* The directory was copied to another machine: that is another host. */
    CHECK_OK("read", fs_read(path, 4096, &kept));
    kept.data[kept.n - 2] ^= 1;
    CHECK_OK("another machine id", fs_write_atomic(path, kept.data, kept.n, 0600));
    CHECK_OK("taken anew", host_identity(test_dir(), &second, &got));
    CHECK_STR("as libvirt says", UUID_TEXT(&got), UUID_TEXT(&second));
}

static const char *const broken[] = { "", "\n", "not a uuid\n",
                                      "00000000-0000-0000-0000-00000000000" };

TEST(a_broken_file_is_made_anew)
{
    CLEANUP(free_drop) char *path = path_join(test_dir(), "host-uid");
    struct uuid uid, got;

    uuid_random(&uid);
    for (size_t i = 0; i < N_ELEMS(broken); i++) {
        CHECK_OK(broken[i], fs_write_atomic(path, broken[i], strlen(broken[i]), 0600));
        CHECK_OK(broken[i], host_identity(test_dir(), &uid, &got));
        CHECK_STR(broken[i], UUID_TEXT(&got), UUID_TEXT(&uid));
    }
}

TEST(errors_are_three_lines)
{
    struct err *e = err_hint(err_wrap(err_new(ERR_IO, "a\nb"), "start"), "do this");
    CLEANUP(free_drop) char *whole = error_text(e);
    CHECK_STR("what, why, next", whole, "start\na b\ndo this");
    err_free(e);

    e = err_wrap(err_new(ERR_IO, "open /p/\xff\xfe"), "\xc3\xa9t\xc3\xa9");
    CLEANUP(free_drop) char *bytes = error_text(e);
    CHECK("what the database takes", str_starts(bytes, "\xc3\xa9t\xc3\xa9\nopen /p/??\n"));
    err_free(e);

    e = err_new(ERR_IO, "no room");
    CLEANUP(free_drop) char *bare = error_text(e);
    CHECK_STR("all three, always", bare,
              "it could not be done\nno room\nremove the cause and give the command again");
    err_free(e);
}
