/* xml/test_xml.c: the tree, the writer and the units. */
#include "test.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/str.h"
#include "xml/tree.h"
#include "xml/units.h"
#include "xml/writer.h"

static const char sample[] = "<?xml version='1.0'?>\n"
                             "<pool type=\"dir\" xmlns:fs='urn:fs'><!-- no -->\n"
                             "  <name>a &lt;b&gt; &#x41;<![CDATA[<c>]]></name>\n"
                             "  <empty></empty>\n"
                             "  <source/>\n"
                             "  <source><host name='one'/><host name=''/><host/></source>\n"
                             "  <fs:opts><fs:opt name='x'/><fs:opt name='y'/></fs:opts>\n"
                             "  <fs:name>hidden</fs:name>\n"
                             "</pool>\n";

TEST(tree_and_paths)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct xml_node *root;
    CHECK_OK("parses", xml_parse(&arena, "doc", sample, strlen(sample), &root));
    CHECK_STR("root", root->name, "pool");
    CHECK_STR("attribute", xml_string(root, "@type"), "dir");
    CHECK_STR("text with entities and CDATA", xml_string(root, "name"), "a <b> A<c>");
    CHECK_STR("empty is absent", xml_string(root, "empty"), NULL);
    CHECK_STR("an empty attribute is absent", xml_string(root, "source/host/@none"), NULL);
    CHECK_STR("first path that leads somewhere", xml_string(root, "source/host/@name"),
              "one");
    CHECK_INT("three hosts", (int64_t) xml_count(root, "source/host"), 3);
    const struct xml_node *host = xml_next(xml_find(root, "source/host"));
    CHECK_STR("raw attribute may be empty", xml_attr(host, "name"), "");
    CHECK("namespaced elements are not found by plain paths", !xml_find(root, "opts"));
    const struct xml_node *opt =
        xml_find_ns(xml_find_ns(root, "urn:fs", "opts"), "urn:fs", "opt");
    CHECK_STR("namespace", xml_attr(opt, "name"), "x");
    CHECK_STR("next in namespace", xml_attr(xml_next_ns(opt), "name"), "y");
    CHECK("end", !xml_next_ns(xml_next_ns(opt)));
    CHECK_INT("line", xml_find(root, "name")->line, 3);
}

static void
check_parse(const char *why, const char *text, const char *want)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct xml_node *root;
    CHECK_BRIEF(why, xml_parse(&arena, "(doc)", text, strlen(text), &root), want);
}

TEST(what_is_refused)
{
    static const struct {
        const char *why, *text, *want;
    } cases[] = {
        { "the words and the caret are libvirt's", "<pool>\n <name>x</nam>\n</pool>\n",
          "syntax: (doc):2: Opening and ending tag mismatch: name line 2 and nam\n"
          " <name>x</nam>\n"
          "--------------^" },
        { "no document type", "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>",
          "constraint: XML with a <!DOCTYPE> is not accepted" },
        { "nothing at all", "",
          "syntax: (doc):1: Document is empty\n"
          "\n"
          "^" },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        check_parse(cases[i].why, cases[i].text, cases[i].want);
    }

    CLEANUP(buf_done) struct buf deep = BUF_INIT;
    for (int i = 0; i <= XML_MAX_DEPTH; i++) {
        buf_str(&deep, "<a>");
    }
    for (int i = 0; i <= XML_MAX_DEPTH; i++) {
        buf_str(&deep, "</a>");
    }
    check_parse("depth", buf_cstr(&deep), "constraint: XML nests deeper than 64 elements");

    CLEANUP(buf_done) struct buf many = BUF_INIT;
    buf_str(&many, "<r>");
    for (int i = 0; i < XML_MAX_NODES; i++) {
        buf_str(&many, "<a/>");
    }
    buf_str(&many, "</r>");
    check_parse("nodes", buf_cstr(&many),
                "constraint: XML has more than 100000 elements and attributes");

    CLEANUP(buf_done) struct buf large = BUF_INIT;
    memset(buf_reserve(&large, XML_MAX_BYTES + 1), ' ', XML_MAX_BYTES + 1);
    large.n = XML_MAX_BYTES + 1;
    check_parse("bytes", buf_cstr(&large), "constraint: XML is longer than 4194304 bytes");
}

TEST(writer_prints_as_libvirt)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    struct xml_writer w;
    xml_writer_init(&w, &out);
    xml_open(&w, "pool");
    xml_put(&w, "type", "dir");
    xml_put(&w, "none", NULL);
    xml_leaf(&w, "name", "a<b>&'\"\x01\xff\xc3\xa9\xe2\x82");
    xml_leaf(&w, "none", NULL);
    xml_open(&w, "capacity");
    xml_put(&w, "unit", "bytes");
    xml_close_text(&w, "%d", 0);
    xml_open(&w, "source");
    xml_close_wide(&w);
    xml_open(&w, "target");
    xml_open(&w, "path");
    xml_putf(&w, "n", "%d", 7);
    xml_close(&w);
    xml_raw(&w, "<x>\n  <y/>\n</x>\n");
    xml_close(&w);
    xml_close(&w);
    CHECK_STR(
        "text", buf_cstr(&out),
        "<pool type='dir'>\n"
        "  <name>a&lt;b&gt;&amp;&apos;&quot;\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd"
        "</name>\n"
        "  <capacity unit='bytes'>0</capacity>\n"
        "  <source>\n"
        "  </source>\n"
        "  <target>\n"
        "    <path n='7'/>\n"
        "    <x>\n"
        "      <y/>\n"
        "    </x>\n"
        "  </target>\n"
        "</pool>\n");
}

TEST(what_is_written_can_be_read)
{
    /* Every byte but NUL in one name. */
    char all[256];
    for (int i = 0; i < 255; i++) {
        all[i] = (char) (i + 1);
    }
    all[255] = '\0';
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    struct xml_writer w;
    xml_writer_init(&w, &out);
    xml_open(&w, "a");
    xml_put(&w, "b", all);
    xml_leaf(&w, "c", all);
    xml_close(&w);
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct xml_node *root;
    CHECK_OK("reads", xml_parse(&arena, "doc", out.data, out.n, &root));
    CHECK("ASCII is there", strstr(xml_string(root, "c"), "\t\n\r !\"#$%&'()*+"));
}

TEST(units)
{
    static const struct {
        const char *number, *unit, *want;
    } cases[] = {
        { "5", NULL, "5" },
        { "5", "", "5" },
        { "5", "Bytes", "5" },
        { "1", "k", "1024" },
        { "1", "KB", "1000" },
        { "1", "kib", "1024" },
        { "3", "G", "3221225472" },
        { "2", "TiB", "2199023255552" },
        { "7", "E", "8070450532247928832" },
        { "8", "E", "constraint: value too large: 8E" },
        { "9223372036854775807", "b", "9223372036854775807" },
        { "9223372036854775808", NULL, "constraint: value too large: 9223372036854775808" },
        { "1", "X", "unsupported: unknown suffix 'X'" },
        { "1", "KiBs", "unsupported: unknown suffix 'KiBs'" },
        { "-1", NULL, "syntax: '-1' is no plain decimal number" },
        { " 10 ", NULL, "syntax: ' 10 ' is no plain decimal number" },
        { "1.5", NULL, "syntax: '1.5' is no plain decimal number" },
        { NULL, NULL, "syntax: '' is no plain decimal number" },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        int64_t n = 0;
        CLEANUP(err_drop)
        struct err *e = units_to_bytes(cases[i].number, cases[i].unit, &n);
        char text[32];
        snprintf(text, sizeof text, "%" PRId64, n);
        CHECK_STR(cases[i].want, e ? err_brief(e) : text, cases[i].want);
    }
}
