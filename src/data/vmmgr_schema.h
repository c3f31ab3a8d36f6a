/* data/vmmgr_schema.h: the text of schema/vmmgr.ovsschema, for programs that create databases.
 * Link with schema_dep. */
#ifndef DATA_VMMGR_SCHEMA_H
#define DATA_VMMGR_SCHEMA_H 1

extern const char vmmgr_schema_text[]; /* NUL-terminated JSON. */

#endif /* data/vmmgr_schema.h */
