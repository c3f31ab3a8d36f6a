/* xml/writer.h: prints XML as libvirt does: two blanks a level, single quotes.
 *
 *     struct xml_writer w;
 *     xml_writer_init(&w, &buf);
 *     xml_open(&w, "pool");            // <pool
 *     xml_put(&w, "type", "dir");      //  type='dir'
 *     xml_leaf(&w, "name", "p1");      // >\n  <name>p1</name>\n
 *     xml_open(&w, "dir");
 *     xml_put(&w, "path", "/x");
 *     xml_close(&w);                   //   <dir path='/x'/>\n
 *     xml_close(&w);                   // </pool>\n
 *
 * Names must be literals (they are kept until xml_close()).  Values are escaped; control
 * characters that XML cannot hold are left out, bytes that are no UTF-8 become U+FFFD, so what
 * comes out is well formed whatever goes in.  NULL values write nothing. */
#ifndef XML_WRITER_H
#define XML_WRITER_H 1

#include "base/base.h"
#include "base/buf.h"

#define XML_WRITER_DEPTH 32

struct xml_writer {
    struct buf *out; /* Borrowed. */
    const char *names[XML_WRITER_DEPTH];
    int depth;
    bool in_tag; /* "<name" is written, ">" not yet. */
};

void xml_writer_init(struct xml_writer *, struct buf *out);
void xml_open(struct xml_writer *, const char *name);
void xml_put(struct xml_writer *, const char *attr, const char *value);
void xml_putf(struct xml_writer *, const char *attr, const char *fmt, ...) PRINTF(3, 4);
void xml_close(struct xml_writer *);      /* "/>" if nothing came in between. */
void xml_close_wide(struct xml_writer *); /* Never "/>": start and end on two lines. */

/* <name>text</name>; with attributes: xml_open(), xml_put()s, xml_close_text(). */
void xml_leaf(struct xml_writer *, const char *name, const char *text);
void xml_leaff(struct xml_writer *, const char *name, const char *fmt, ...) PRINTF(3, 4);
void xml_close_text(struct xml_writer *, const char *fmt, ...) PRINTF(2, 3);
/* Well-formed XML from elsewhere, on lines of its own. */
void xml_raw(struct xml_writer *, const char *lines);
void xml_escape(struct buf *, const char *text); /* For element text and attributes. */

#endif /* xml/writer.h */
