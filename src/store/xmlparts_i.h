/* store/xmlparts_i.h: what pool and volume XML have in common. */
#ifndef STORE_XMLPARTS_I_H
#define STORE_XMLPARTS_I_H 1

#include "store/pool.h"
#include "store/volume.h"
#include "xml/tree.h"
#include "xml/writer.h"

/* Parses a document whose root must be <name>, with libvirt's codes.  'file' is what libvirt
 * calls it: "(storage_pool_definition)". */
struct err *parts_document(struct arena *, const char *text, size_t n_bytes,
                           const char *file, const char *name,
                           const struct xml_node **ret_root) MUST_CHECK;

/* Copies a string of the tree into the arena; NULL stays NULL. */
const char *parts_dup(struct arena *, const char *);

/* <permissions> below 'path'. */
struct err *parts_perms(struct arena *, const struct xml_node *, const char *path,
                        struct perms *ret) MUST_CHECK;
void parts_put_perms(struct xml_writer *, const struct perms *);

/* An optional attribute that must be one of 'names' (NULL-terminated).  *ret_index is left
 * alone if it is absent. */
struct err *parts_enum(const struct xml_node *, const char *attr, const char *const *names,
                       bool required, int *ret_index) MUST_CHECK;
struct err *parts_tristate(const struct xml_node *, const char *attr,
                           enum tristate *ret) MUST_CHECK;
void parts_put_tristate(struct xml_writer *, const char *attr, enum tristate);
void parts_put_bytes(struct xml_writer *, const char *name, int64_t n_bytes);
/* An optional decimal integer. */
struct err *parts_int(const struct xml_node *, const char *attr, int *ret) MUST_CHECK;

/* <secret uuid= | usage=>, exactly one. */
struct err *parts_secret(struct arena *, const struct xml_node *secret,
                         const char **ret_uuid, const char **ret_usage) MUST_CHECK;

/* Index of 'name' in a NULL-terminated list, or -1. */
int parts_index(const char *const *names, const char *name);

/* <encryption>, volcrypt.c. */
struct err *volcrypt_parse(struct arena *, const struct xml_node *,
                           struct vol_crypt *ret) MUST_CHECK;
void volcrypt_format(const struct vol_crypt *, struct xml_writer *);

#endif /* store/xmlparts_i.h */
