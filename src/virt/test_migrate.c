/* virt/test_migrate.c: a domain's XML for another host. */
#include "virt/migrate.h"

#include "test.h"

static const struct edit_case {
    const char *why;
    const char *xml;
    struct virt_edit edits[3];
    const char *want;
} cases[] = {
    /* clang-format off */
    { "an attribute", "<source file='/a/x' index='1'/>", { { "/a/x", "/b/x" } },
      "<source file='/b/x' index='1'/>" },
    { "an element's text", "<kernel>/a/k</kernel>", { { "/a/k", "/b/k" } },
      "<kernel>/b/k</kernel>" },
    { "our mark, in double quotes", "<byre:vm row=\"r\" print=\"0011\"/>", { { "0011", "ffee" } },
      "<byre:vm row=\"r\" print=\"ffee\"/>" },
    { "whole values only", "<a b='/a/x2' c='1/a/x'>/a/x/y</a>", { { "/a/x", "/b/x" } },
      "<a b='/a/x2' c='1/a/x'>/a/x/y</a>" },
    { "two change places", "<a b='/1' c='/2'/>", { { "/1", "/2" }, { "/2", "/1" } },
      "<a b='/2' c='/1'/>" },
    { "an apostrophe in a text opens nothing", "<t>it's</t><s file='/a/x'/>", { { "/a/x", "/b/x" } },
      "<t>it's</t><s file='/b/x'/>" },
    { "escaped on both ways", "<s file='/a/x&amp;y'/>", { { "/a/x&y", "/b/<" } },
      "<s file='/b/&lt;'/>" },
    { "nothing to do", "<s file='/a/x'/>", { { NULL, NULL } }, "<s file='/a/x'/>" },
    /* clang-format on */
};

TEST(xml_edit)
{
    for (const struct edit_case *c = cases; c < cases + N_ELEMS(cases); c++) {
        CLEANUP(buf_done) struct buf out = BUF_INIT;
        virt_xml_edit(c->xml, c->edits, N_ELEMS(c->edits), &out);
        CHECK_STR(c->why, buf_cstr(&out), c->want);
    }
}
