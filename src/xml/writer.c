/* xml/writer.c: libvirt's way to print XML. */
#include "xml/writer.h"

#include "base/str.h"

void
xml_writer_init(struct xml_writer *w, struct buf *out)
{
    *w = (struct xml_writer){ .out = out };
}

/* Ends the tag that is being written, if there is one, with 'by'. */
static void
finish_tag(struct xml_writer *w, const char *by)
{
    if (w->in_tag) {
        buf_str(w->out, by);
        w->in_tag = false;
    }
}

static void
indent(struct xml_writer *w, int depth)
{
    buf_printf(w->out, "%*s", 2 * depth, "");
}

void
xml_open(struct xml_writer *w, const char *name)
{
    ASSERT(w->depth < XML_WRITER_DEPTH);
    finish_tag(w, ">\n");
    indent(w, w->depth);
    buf_printf(w->out, "<%s", name);
    w->names[w->depth++] = name;
    w->in_tag = true;
}

void
xml_put(struct xml_writer *w, const char *attr, const char *value)
{
    ASSERT(w->in_tag);
    if (value) {
        buf_printf(w->out, " %s='", attr);
        xml_escape(w->out, value);
        buf_str(w->out, "'");
    }
}

void
xml_putf(struct xml_writer *w, const char *attr, const char *fmt, ...)
{
    CLEANUP(buf_done) struct buf value = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&value, fmt, args);
    va_end(args);
    xml_put(w, attr, buf_cstr(&value));
}

void
xml_close(struct xml_writer *w)
{
    if (w->in_tag) {
        w->depth--;
        finish_tag(w, "/>\n");
    } else {
        xml_close_wide(w);
    }
}

void
xml_close_wide(struct xml_writer *w)
{
    ASSERT(w->depth > 0);
    finish_tag(w, ">\n");
    w->depth--;
    indent(w, w->depth);
    buf_printf(w->out, "</%s>\n", w->names[w->depth]);
}

void
xml_leaf(struct xml_writer *w, const char *name, const char *text)
{
    if (text) {
        xml_open(w, name);
        xml_close_text(w, "%s", text);
    }
}

void
xml_leaff(struct xml_writer *w, const char *name, const char *fmt, ...)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    xml_leaf(w, name, buf_cstr(&text));
}

void
xml_close_text(struct xml_writer *w, const char *fmt, ...)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    ASSERT(w->in_tag);
    finish_tag(w, ">");
    xml_escape(w->out, buf_cstr(&text));
    w->depth--;
    buf_printf(w->out, "</%s>\n", w->names[w->depth]);
}

void
xml_raw(struct xml_writer *w, const char *lines)
{
    finish_tag(w, ">\n");
    while (*lines) {
        size_t n = strcspn(lines, "\n");
        if (n) {
            indent(w, w->depth);
            buf_add(w->out, lines, n);
            buf_add(w->out, "\n", 1);
        }
        lines += n + (lines[n] == '\n');
    }
}

/* Bytes of the UTF-8 character at 's', 0 if it is none that XML can hold. */
static size_t
char_bytes(const char *s)
{
    const uint8_t *b = (const uint8_t *) s;
    size_t n = b[0] < 0x80 ? 1 : b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    for (size_t i = 1; i < n; i++) {
        if (!s[i]) {
            return 0;
        }
    }
    return str_is_utf8(s, n) ? n : 0;
}

void
xml_escape(struct buf *out, const char *text)
{
    while (*text) {
        size_t plain =
            strcspn(text, "<>&'\"\r\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f"
                          "\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d"
                          "\x1e\x1f");
        for (size_t i = 0; i < plain;) {
            size_t n = char_bytes(text + i);
            buf_add(out, n ? text + i : "\xef\xbf\xbd", n ? n : 3);
            i += n ? n : 1;
        }
        text += plain;
        switch (*text) {
        case '<': buf_str(out, "&lt;"); break;
        case '>': buf_str(out, "&gt;"); break;
        case '&': buf_str(out, "&amp;"); break;
        case '\'': buf_str(out, "&apos;"); break;
        case '"': buf_str(out, "&quot;"); break;
        case '\r': buf_str(out, "&#13;"); break;
        case '\0': return;
        default: break; /* XML has no way to write it. */
        }
        text++;
    }
}
