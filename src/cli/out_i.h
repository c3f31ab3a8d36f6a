/* cli/out_i.h: tables of values, in the formats of `-o`.
 *
 * Shape.  A table is columns and rows of cells; a cell is a plain JSON value (not RFC 7047's
 *         tagged form): null for an unset optional, an array for a set, an object for a map,
 *         a string for a reference.  All cells live in the table's arena.
 * Units.  JSON, CSV and YAML print the numbers of the database; only table and wide turn bytes,
 *         MiB, times and ratios into what people read.
 * Source. libsmartcols for table and wide. */
#ifndef CLI_OUT_I_H
#define CLI_OUT_I_H 1

#include <stdio.h>

#include "base/arena.h"
#include "base/vec.h"
#include "json/json.h"

enum out_format { OUT_TABLE, OUT_WIDE, OUT_JSON, OUT_JSONL, OUT_CSV, OUT_YAML, OUT_NAME };
bool out_format_parse(const char *name, enum out_format *ret);
#define OUT_FORMATS "table, wide, json, jsonl, csv, yaml, name"

/* What a number means.  TIME_MS: since 1970 UTC.  RATIO: 0-1, shown as per cent. */
enum out_unit { UNIT_NONE, UNIT_BYTES, UNIT_MIB, UNIT_TIME_MS, UNIT_RATIO };

struct out_column {
    const char *name; /* Member name in JSON; the header, in capitals, in tables. */
    enum out_unit unit;
    bool is_wide; /* Shown by `-o table` only when asked for. */
};

struct out_row {
    const char *label;  /* What `-o name` prints. */
    struct json *cells; /* As many as columns. */
};

struct out_table {
    struct arena arena;
    VEC(struct out_column) columns;
    VEC(struct out_row) rows;
};
#define OUT_TABLE_INIT                                                                     \
    {                                                                                      \
        ARENA_INIT, VEC_INIT, VEC_INIT                                                     \
    }

void out_table_done(struct out_table *); /* For CLEANUP(). */
void out_add_column(struct out_table *, const char *name, enum out_unit, bool is_wide);
/* Adds a row of nulls; 'label' is copied.  The cells, to be filled in. */
struct json *out_add_row(struct out_table *, const char *label);

/* Sorts by "name" or "-name" of a column; numbers by value, null first.  'key' must be a
 * column (out_find_column()). */
void out_sort(struct out_table *, const char *key);
int out_find_column(const struct out_table *, const char *name); /* -1 if absent. */

struct out_style {
    enum out_format format;
    bool no_headers;
    bool is_tty; /* A table may then be cut to the width of the terminal. */
    bool
        vertical; /* One "name: value" line a cell: for `info`.  JSON: an object, not an array. */
};
void out_print(const struct out_table *, const struct out_style *, FILE *);

/* The value as a table shows it.  Caller frees. */
char *out_cell_text(const struct json *, enum out_unit);
/* The value in the text form of `set` and `get`: a, [a, b], {k=v}; strings quoted only
 * where they must be. */
void out_plain_text(const struct json *, struct buf *);

#endif /* cli/out_i.h */
