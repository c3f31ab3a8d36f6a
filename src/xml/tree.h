/* xml/tree.h: reads an XML document into a small tree; the only user of libxml2.
 *
 * Shape.   Nodes, names and texts live in the caller's arena; comments and processing
 *          instructions are gone.  Look-ups take short paths with XPath's meaning:
 *          "target/path", "source/format/@type", "@type".  Only elements without a namespace
 *          are found by them, as in XPath 1.0.
 * Limits.  XML_MAX_BYTES, XML_MAX_DEPTH, XML_MAX_NODES.  No DTD (so no entities but the five),
 *          nothing is fetched.
 * Errors.  ERR_SYNTAX not well formed, with line, source line and a caret as libvirt prints
 *          them; ERR_CONSTRAINT a limit, or a DTD. */
#ifndef XML_TREE_H
#define XML_TREE_H 1

#include "base/arena.h"
#include "base/base.h"

#define XML_MAX_BYTES (4 * MIB)
#define XML_MAX_DEPTH 64
#define XML_MAX_NODES 100000 /* Elements and attributes. */

struct xml_attr {
    const char *name, *ns, *value; /* 'ns' is the namespace's URI or NULL. */
};

struct xml_node {
    const char *name;
    const char *ns;   /* Namespace URI, NULL if none. */
    const char *text; /* Of this element and all below it, in order; never NULL. */
    struct xml_attr *attrs;
    uint32_t n_attrs;
    int line;
    struct xml_node *first, *next; /* Child elements, next sibling element; NULL ends. */
};

/* 'name' stands for the file in messages: "(storage_pool_definition)". */
struct err *xml_parse(struct arena *, const char *name, const char *text, size_t n_bytes,
                      struct xml_node **ret_root) MUST_CHECK;

/* First element that 'path' ("a/b/c") leads to, or NULL.  NULL nodes have no children. */
const struct xml_node *xml_find(const struct xml_node *, const char *path);
/* The next sibling of the same name. */
const struct xml_node *xml_next(const struct xml_node *);
size_t xml_count(const struct xml_node *,
                 const char *path); /* Siblings that 'path' names. */
/* string(path), where the last step may be "@name"; "" counts as absent: NULL. */
const char *xml_string(const struct xml_node *, const char *path);
/* The attribute's value, "" included; NULL if there is none. */
const char *xml_attr(const struct xml_node *, const char *name);
/* First child with this name in the namespace 'ns', then its next sibling. */
const struct xml_node *xml_find_ns(const struct xml_node *, const char *ns,
                                   const char *name);
const struct xml_node *xml_next_ns(const struct xml_node *);

#endif /* xml/tree.h */
