/* virt/edit.c: a domain's XML for another host: paths that differ there are replaced.
 *
 * libvirt prints attributes in single quotes, our metadata in double ones, and texts between tags:
 *
 *     <source file='/pools/a/web.qcow2' index='1'/>
 *     <kernel>/pools/boot/kernel</kernel>
 *     <vm row="3508e65b-..." print="d601ed07cd4f084a"/>
 *
 * Only whole values are replaced, all in one go, so that two paths may change places. */
#include "virt/migrate.h"

#include "base/str.h"
#include "xml/writer.h"

/* The value at 'at', up to 'end', is it this one? */
static bool
is_value(const char *at, size_t n, const char *text)
{
    CLEANUP(buf_done) struct buf escaped = BUF_INIT;

    xml_escape(&escaped, text);
    return escaped.n == n && memcmp(escaped.data, at, n) == 0;
}

static const struct virt_edit *
edit_of(const char *at, size_t n, const struct virt_edit *edits, size_t n_edits)
{
    for (size_t i = 0; i < n_edits; i++) {
        if (edits[i].from && edits[i].to && is_value(at, n, edits[i].from)) {
            return &edits[i];
        }
    }
    return NULL;
}

void
virt_xml_edit(const char *xml, const struct virt_edit *edits, size_t n_edits,
              struct buf *ret)
{
    bool in_tag = false;

    for (const char *at = xml; *at;) {
        char c = *at++;
        buf_char(ret, c);
        in_tag = c == '<' || (in_tag && c != '>');
        char end = c == '>' ? '<' : in_tag && (c == '\'' || c == '"') ? c : '\0';
        const char *to = end ? strchr(at, end) : NULL;
        if (!to) {
            continue;
        }
        const struct virt_edit *edit = edit_of(at, (size_t) (to - at), edits, n_edits);
        if (edit) {
            xml_escape(ret, edit->to);
        } else {
            buf_add(ret, at, (size_t) (to - at));
        }
        at = to;
        if (end != '<') {
            buf_char(ret, *at++);
        }
    }
}
