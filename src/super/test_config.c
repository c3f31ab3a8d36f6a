/* super/test_config.c: config files, good and bad. */
#include "super/config.h"

#include "base/buf.h"
#include "test.h"

#define TEN "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
    const char *why, *text;
    const char *want; /* "remotes|libvirt|listen", or the error. */
} cases[] = {
    /* clang-format off */
    { "empty is fine", "", "|-|-" },
    { "comments and blank lines", "# one\n\n; two\n", "|-|-" },
    { "all of it", "[dbd]\nremotes = ptcp:6640, pssl:6641\n[agent]\nlibvirt=xen:///\n"
                   "[web]\nlisten = tcp:127.0.0.1:80\n",
      "ptcp:6640 pssl:6641|xen:///|tcp:127.0.0.1:80" },
    { "remotes on several lines", "[dbd]\nremotes = ptcp:1\nremotes = ptcp:2\n",
      "ptcp:1 ptcp:2|-|-" },
    { "no newline at the end", "[agent]\nlibvirt=test:///default", "|test:///default|-" },
    { "spelling", "[agent]\n\nlibvrt = x\n", "syntax: f:3: no setting 'libvrt' in [agent]" },
    { "the right key in the wrong section", "[web]\nlibvirt = x\n",
      "syntax: f:2: no setting 'libvirt' in [web]" },
    { "an unknown section", "[sql]\nx = y\n", "syntax: f:2: no section [sql]" },
    { "before any section", "x = y\n", "syntax: f:1: 'x' stands before the first section" },
    { "the first error counts", "[agent]\nlibvirt\n[sql]\na = b\n",
      "syntax: f:2: neither [section], nor key = value, nor a comment" },
    { "a long line", "[agent]\nlibvirt = " HUNDRED HUNDRED "\n",
      "syntax: f:2: the line is too long" },
    /* clang-format on */
};

TEST(files)
{
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(config_done) struct config c = CONFIG_INIT;
        CLEANUP(err_drop) struct err *e = config_parse("f", cases[i].text, &c);
        if (e) {
            CHECK_STR(cases[i].why, err_brief(e), cases[i].want);
            CHECK(cases[i].why, err_next(e) != NULL);
            continue;
        }
        CLEANUP(free_drop) char *remotes = strvec_join(&c.dbd_remotes, " ");
        CLEANUP(free_drop)
        char *got = str_dupf("%s|%s|%s", remotes, c.agent_libvirt ? c.agent_libvirt : "-",
                             c.web_listen ? c.web_listen : "-");
        CHECK_STR(cases[i].why, got, cases[i].want);
    }
}
