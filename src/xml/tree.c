/* xml/tree.c: libxml2's document, copied into a tree of ours.
 *
 * libxml2 parses (its own limits on depth and text length stay on: no XML_PARSE_HUGE); a
 * document type declaration stops it at once, so there are no entities to expand.  What is
 * then copied is bounded in nodes and depth.  After that libxml2 is out of the picture.
 * Messages are built as libvirt does it, because clients show them: name, line, libxml2's
 * text, the source line, and a caret below the place. */
#include "xml/tree.h"

#include "base/buf.h"
#include "base/str.h"
#include "xml/library_i.h"

#define LINE_MAX_BYTES 400 /* Of a source line in a message. */

struct reader {
    const struct library *library;
    struct arena *arena;
    int n_nodes;
};

/* What the parser's callbacks tell. */
struct verdict {
    const struct library *library;
    const char *name;    /* Of the document, for messages. */
    struct err *problem; /* The first fatal one. */
};

static void
silence(void *ctx UNUSED, const char *fmt UNUSED, ...)
{
}

/* Called for <!DOCTYPE: nobody who describes a pool needs one. */
static void
refuse_dtd(void *ctx, const xmlChar *name UNUSED, const xmlChar *external UNUSED,
           const xmlChar *system UNUSED)
{
    xmlParserCtxtPtr parser = ctx;
    struct verdict *verdict = parser->_private;
    if (!verdict->problem) {
        verdict->problem =
            err_hint(err_new(ERR_CONSTRAINT, "XML with a <!DOCTYPE> is not accepted"),
                     "remove the document type declaration");
    }
    verdict->library->stop_parser(parser);
}

/* Keeps the first fatal error with the line around the place, as libvirt's catchXMLError(). */
static void
on_error(void *ctx, xmlErrorPtr error)
{
    xmlParserCtxtPtr parser = ctx;
    struct verdict *verdict = parser->_private;
    if (verdict->problem || error->level != XML_ERR_FATAL || !error->message) {
        return;
    }
    CLEANUP(free_drop) char *message = str_dup(error->message);
    size_t n = strlen(message);
    while (n && message[n - 1] == '\n') {
        message[--n] = '\0';
    }
    const char *base = parser->input ? (const char *) parser->input->base : NULL;
    const char *at = parser->input ? (const char *) parser->input->cur : NULL;
    if (!base || !at) {
        verdict->problem =
            err_new(ERR_SYNTAX, "%s:%d: %s", verdict->name, error->line, message);
        return;
    }
    const char *line = at;
    while (line > base && (*line == '\n' || *line == '\r')) {
        line--;
    }
    while (line > base && line[-1] != '\n' && line[-1] != '\r') {
        line--;
    }
    CLEANUP(buf_done) struct buf caret = BUF_INIT;
    for (const char *p = line; p < at && caret.n < LINE_MAX_BYTES; p++) {
        buf_add(&caret, "-", 1);
    }
    buf_add(&caret, "^", 1);
    int shown = (int) min64((int64_t) strcspn(line, "\r\n"), LINE_MAX_BYTES);
    verdict->problem = err_new(ERR_SYNTAX, "%s:%d: %s\n%.*s\n%s", verdict->name,
                               error->line, message, shown, line, buf_cstr(&caret));
}

static struct err *
count_node(struct reader *r)
{
    if (++r->n_nodes > XML_MAX_NODES) {
        return err_new(ERR_CONSTRAINT, "XML has more than %d elements and attributes",
                       XML_MAX_NODES);
    }
    return NULL;
}

static const char *
copy(struct reader *r, const xmlChar *s)
{
    return s ? arena_str(r->arena, (const char *) s) : NULL;
}

static struct err *
copy_attrs(struct reader *r, const xmlNode *from, struct xml_node *node)
{
    for (const xmlAttr *a = from->properties; a; a = a->next) {
        TRY(count_node(r));
        node->n_attrs++;
    }
    node->attrs = arena_zalloc(r->arena, node->n_attrs * sizeof *node->attrs);
    struct xml_attr *to = node->attrs;
    for (const xmlAttr *a = from->properties; a; a = a->next, to++) {
        to->name = copy(r, a->name);
        to->ns = a->ns ? copy(r, a->ns->href) : NULL;
        xmlChar *value = r->library->node_get_content((const xmlNode *) a);
        to->value = value ? copy(r, value) : "";
        (*r->library->free)(value);
    }
    return NULL;
}

/* Texts of an element and of all below it go to 'text', which its parent then appends too. */
static struct err *
copy_node(struct reader *r, const xmlNode *from, int depth, struct xml_node **ret,
          struct buf *text)
{
    if (depth > XML_MAX_DEPTH) {
        return err_new(ERR_CONSTRAINT, "XML nests deeper than %d elements", XML_MAX_DEPTH);
    }
    TRY(count_node(r));
    struct xml_node *node = ARENA_NEW(r->arena, struct xml_node);
    node->name = copy(r, from->name);
    node->ns = from->ns ? copy(r, from->ns->href) : NULL;
    node->line = (int) r->library->get_line_no((xmlNode *) from);
    TRY(copy_attrs(r, from, node));

    size_t start = text->n;
    struct xml_node **link = &node->first;
    for (const xmlNode *child = from->children; child; child = child->next) {
        if (child->type == XML_ELEMENT_NODE) {
            TRY(copy_node(r, child, depth + 1, link, text));
            link = &(*link)->next;
        } else if (child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE) {
            buf_str(text, (const char *) child->content);
        }
    }
    node->text = arena_dup(r->arena, text->data ? text->data + start : "", text->n - start);
    *ret = node;
    return NULL;
}

/* By libxml2, into the document that 'parser' holds from then on. */
static struct err *
parse(xmlParserCtxtPtr parser, struct verdict *verdict, const char *text, size_t n_bytes)
{
    parser->_private = verdict;
    parser->sax->internalSubset = refuse_dtd;
    parser->sax->error = silence;
    parser->sax->warning = silence;
    parser->sax->serror = on_error;
    parser->myDoc =
        verdict->library->ctxt_read_memory(parser, text, (int) n_bytes, verdict->name, NULL,
                                           XML_PARSE_NONET | XML_PARSE_NOWARNING);
    if (verdict->problem) {
        return verdict->problem;
    }
    return parser->myDoc ? NULL
                         : err_new(ERR_SYNTAX, "%s: not well-formed XML", verdict->name);
}

struct err *
xml_parse(struct arena *arena, const char *name, const char *text, size_t n_bytes,
          struct xml_node **ret_root)
{
    if (n_bytes > XML_MAX_BYTES) {
        return err_new(ERR_CONSTRAINT, "XML is longer than %" PRId64 " bytes",
                       XML_MAX_BYTES);
    }
    const struct library *library;
    TRY(library_get(&library));
    xmlParserCtxtPtr parser = library->new_parser_ctxt();
    ASSERT(parser && parser->sax);
    struct verdict verdict = { library, name, NULL };
    struct err *e = parse(parser, &verdict, text, n_bytes);
    const xmlNode *root = e ? NULL : library->doc_get_root_element(parser->myDoc);
    if (root) {
        struct reader reader = { library, arena, 0 };
        CLEANUP(buf_done) struct buf all_text = BUF_INIT;
        e = copy_node(&reader, root, 1, ret_root, &all_text);
    } else if (!e) {
        e = err_new(ERR_SYNTAX, "%s: missing root element", name);
    }
    library->free_doc(parser->myDoc);
    library->free_parser_ctxt(parser);
    return e;
}

static bool
is_named(const struct xml_node *node, const char *name, size_t n)
{
    return !node->ns && strncmp(node->name, name, n) == 0 && !node->name[n];
}

const struct xml_node *
xml_find(const struct xml_node *node, const char *path)
{
    while (node && *path) {
        size_t n = strcspn(path, "/");
        const struct xml_node *found = NULL;
        for (const struct xml_node *child = node->first; child; child = child->next) {
            /* The first that has the rest of the path below it, as XPath would have it. */
            if (is_named(child, path, n)) {
                found = path[n] ? xml_find(child, path + n + 1) : child;
                if (found) {
                    break;
                }
            }
        }
        return found;
    }
    return node;
}

const struct xml_node *
xml_next(const struct xml_node *node)
{
    size_t n = strlen(node->name);
    const struct xml_node *next = node->next;
    while (next && !is_named(next, node->name, n)) {
        next = next->next;
    }
    return next;
}

size_t
xml_count(const struct xml_node *node, const char *path)
{
    size_t n = 0;
    for (const struct xml_node *x = xml_find(node, path); x; x = xml_next(x)) {
        n++;
    }
    return n;
}

const char *
xml_string(const struct xml_node *node, const char *path)
{
    const char *at = strchr(path, '@');
    const char *value;
    if (at) {
        CLEANUP(free_drop) char *parent = str_dup_n(path, (size_t) (at - path));
        size_t n = strlen(parent);
        if (n) {
            parent[n - 1] = '\0'; /* The '/' before the '@'. */
        }
        const struct xml_node *found = xml_find(node, parent);
        value = found ? xml_attr(found, at + 1) : NULL;
    } else {
        const struct xml_node *found = xml_find(node, path);
        value = found ? found->text : NULL;
    }
    return value && *value ? value : NULL;
}

const char *
xml_attr(const struct xml_node *node, const char *name)
{
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (!node->attrs[i].ns && str_eq(node->attrs[i].name, name)) {
            return node->attrs[i].value;
        }
    }
    return NULL;
}

const struct xml_node *
xml_find_ns(const struct xml_node *node, const char *ns, const char *name)
{
    for (const struct xml_node *x = node ? node->first : NULL; x; x = x->next) {
        if (str_eq(x->ns, ns) && str_eq(x->name, name)) {
            return x;
        }
    }
    return NULL;
}

const struct xml_node *
xml_next_ns(const struct xml_node *node)
{
    for (const struct xml_node *x = node->next; x; x = x->next) {
        if (str_eq(x->ns, node->ns) && str_eq(x->name, node->name)) {
            return x;
        }
    }
    return NULL;
}
