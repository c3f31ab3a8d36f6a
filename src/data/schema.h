/* data/schema.h: the tables and columns of a database.
 *
 * A schema is immutable once read.  Tables are sorted by name, and columns too, behind the two
 * that every table has: _uuid and _version.
 * Source.  RFC 7047 section 3.2; canonical form and error texts as ovsdb-server has them. */
#ifndef DATA_SCHEMA_H
#define DATA_SCHEMA_H 1

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/map.h"
#include "data/type.h"
#include "json/json.h"

enum { COLUMN_UUID, COLUMN_VERSION, N_SPECIAL_COLUMNS }; /* Values of column->index. */

struct column {
    const char *name;
    uint32_t index; /* In table_schema.columns. */
    bool is_mutable;
    bool persistent; /* Not "ephemeral". */
    struct type type;
};

struct index_schema {
    const struct column *
        *columns; /* Owned array of borrowed columns, in the schema's order. */
    size_t n_columns;
};

struct table_schema {
    const char *name;
    uint32_t index; /* In schema.tables. */
    bool is_mutable;
    bool is_root;           /* As the schema text says. */
    bool counts_as_root;    /* is_root, or no table of the schema is. */
    uint32_t max_rows;      /* UINT32_MAX without a limit. */
    struct column *columns; /* [COLUMN_UUID], [COLUMN_VERSION], then by name. */
    size_t n_columns;
    struct map by_name; /* Of struct column. */
    struct index_schema *indexes;
    size_t n_indexes;
};

struct schema {
    const char *name;
    const char *version;         /* "" if none. */
    const char *cksum;           /* "" if none. */
    struct table_schema *tables; /* By name. */
    size_t n_tables;
    struct map by_name; /* Of struct table_schema. */
    uint32_t n_refs;
    struct arena arena; /* Holds all names and arrays. */
};

struct err *schema_parse(const struct json *, struct schema **ret) MUST_CHECK;
struct err *schema_parse_text(const char *, size_t n_bytes, struct schema **ret) MUST_CHECK;
struct schema *schema_ref(struct schema *);
void schema_unref(struct schema *);
void schema_drop(struct schema **); /* For CLEANUP(). */

/* Canonical JSON, members sorted: what get_schema and _Server.Database.schema hold. */
struct json schema_json(struct arena *, const struct schema *);
void schema_print(const struct schema *, struct buf *);
bool schema_eq(const struct schema *, const struct schema *);
bool schema_version_is_valid(const char *); /* x.y.z */

const struct table_schema *schema_find_table(const struct schema *, const char *name);
const struct column *schema_find_column(const struct table_schema *, const char *name);

/* A set of columns, ["a","b"]: distinct names, "_uuid" and "_version" allowed.  NULL: all that
 * belong to the table, specials included.  The array is in the arena, in the given order. */
struct err *schema_parse_columns(struct arena *, const struct table_schema *,
                                 const struct json *, const struct column ***ret,
                                 size_t *ret_n) MUST_CHECK;

#endif /* data/schema.h */
