/* super/test_program.c: the command lines, word by word. */
#include "super/program.h"

#include "base/fs.h"
#include "test.h"

static const struct {
    const char *why, *config;
    unsigned uid;
    enum program program;
    const char *want_argv, *want_socket;
} cases[] = {
    /* clang-format off */
    { "the database", "", 0, PROGRAM_DBD,
      "byre-dbd --remote=punix:/s/run/db.sock --unixctl=/s/run/byre-dbd.ctl "
      "--pidfile=/s/run/byre-dbd.pid --log-file=/s/log/byre-dbd.log /s/db/vmmgr.db",
      "/s/run/db.sock" },
    { "with remotes", "[dbd]\nremotes = ptcp:1 ptcp:2\n", 0, PROGRAM_DBD,
      "byre-dbd --remote=punix:/s/run/db.sock --remote=ptcp:1 --remote=ptcp:2 "
      "--unixctl=/s/run/byre-dbd.ctl --pidfile=/s/run/byre-dbd.pid "
      "--log-file=/s/log/byre-dbd.log /s/db/vmmgr.db",
      "/s/run/db.sock" },
    { "with keys", "[dbd]\nremotes=pssl:1\nprivate_key=/k\ncertificate=/c\nca_cert=/a\n", 0,
      PROGRAM_DBD,
      "byre-dbd --remote=punix:/s/run/db.sock --remote=pssl:1 --private-key=/k "
      "--certificate=/c --ca-cert=/a --unixctl=/s/run/byre-dbd.ctl "
      "--pidfile=/s/run/byre-dbd.pid --log-file=/s/log/byre-dbd.log /s/db/vmmgr.db",
      "/s/run/db.sock" },
    { "storage trusts one user", "", 1000, PROGRAM_STORED,
      "byre-stored --socket=/s/run/stored.sock --allow-uid=1000 --scan-dir=/s/run/scan "
      "--pidfile=/s/run/byre-stored.pid --log-file=/s/log/byre-stored.log",
      "/s/run/stored.sock" },
    { "root's libvirt", "", 0, PROGRAM_AGENTD,
      "byre-agentd --db=unix:/s/run/db.sock --state=/s --libvirt=qemu:///system "
      "--stored=/s/run/stored.sock --pidfile=/s/run/byre-agentd.pid "
      "--log-file=/s/log/byre-agentd.log",
      "/s/run/agent.sock" },
    { "a user's libvirt", "", 1000, PROGRAM_AGENTD,
      "byre-agentd --db=unix:/s/run/db.sock --state=/s --libvirt=qemu:///session "
      "--stored=/s/run/stored.sock --pidfile=/s/run/byre-agentd.pid "
      "--log-file=/s/log/byre-agentd.log",
      "/s/run/agent.sock" },
    { "statistics elsewhere", "[agent]\nstats = mariadb://byre@db1/byre\n", 0, PROGRAM_AGENTD,
      "byre-agentd --db=unix:/s/run/db.sock --state=/s --libvirt=qemu:///system "
      "--stored=/s/run/stored.sock --stats=mariadb://byre@db1/byre "
      "--pidfile=/s/run/byre-agentd.pid --log-file=/s/log/byre-agentd.log",
      "/s/run/agent.sock" },
    { "the web on a port", "[web]\nlisten = tcp:[::1]:80\n", 0, PROGRAM_WEBD,
      "byre-webd --listen=tcp:[::1]:80 --db=unix:/s/run/db.sock --agent=/s/run/agent.sock "
      "--pidfile=/s/run/byre-webd.pid --log-file=/s/log/byre-webd.log",
      NULL },
    { "the web on a socket", "", 0, PROGRAM_WEBD,
      "byre-webd --listen=unix:/s/run/web.sock --db=unix:/s/run/db.sock --agent=/s/run/agent.sock "
      "--pidfile=/s/run/byre-webd.pid --log-file=/s/log/byre-webd.log",
      "/s/run/web.sock" },
    /* clang-format on */
};

TEST(command_lines)
{
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct place place = { "/s", "", cases[i].uid };
        CLEANUP(config_done) struct config config = CONFIG_INIT;
        CHECK_OK(cases[i].why, config_parse("f", cases[i].config, &config));
        CLEANUP(strvec_done) struct strvec argv = STRVEC_INIT;
        program_argv(cases[i].program, &place, &config, &argv);
        CLEANUP(free_drop) char *text = strvec_join(&argv, " ");
        CHECK_STR(cases[i].why, text, cases[i].want_argv);
        CLEANUP(free_drop) char *sock = program_socket(cases[i].program, &place, &config);
        CHECK_STR(cases[i].why, sock, cases[i].want_socket);
    }
}

TEST(own_directory_comes_first)
{
    const char *dir = test_dir();
    CLEANUP(free_drop) char *there = path_join(dir, "byre-dbd");
    CHECK_OK("a program", fs_write_atomic(there, "", 0, 0755));
    struct place place = { "/s", dir, 0 };
    CLEANUP(free_drop) char *found = program_path("byre-dbd", &place);
    CHECK_STR("beside byred", found, there);
    CLEANUP(free_drop) char *in_path = program_path("byre-webd", &place);
    CHECK_STR("not beside byred", in_path, "byre-webd");
}

TEST(deep_state_directory)
{
    char deep[89] = "/"; /* 88 characters, and "/run/byre-agentd.ctl" has 20. */
    memset(deep + 1, 'd', sizeof deep - 2);
    struct place place = { deep, "", 0 };
    CHECK_ERR("too long", place_check(&place), ERR_CONSTRAINT);
    deep[87] = '\0';
    CHECK_OK("just fits", place_check(&place));
}
