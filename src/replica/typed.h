/* replica/typed.h: rows as C structs.
 *
 * tools/idlc.py makes from the schema, at build time, "replica/vmmgr_rows.h": for each table T
 *
 *     struct row_T {
 *         struct replica_row base;
 *         const char *name;               // string; "" if empty
 *         const char *error;              // optional string: NULL if empty
 *         int64_t mem;                    // integer
 *         struct typed_int capacity;      // optional integer: .has, .v
 *         bool autostart;                 // boolean
 *         struct uuid vm;                 // uuid, optional or not: all zeros if empty
 *         struct typed_set roles;         // set: .n, .v[i]
 *         struct typed_map external_ids;  // map: .n, .keys[i], .values[i]
 *     };
 *     extern const struct row_class row_T_class;
 *     enum row_T_field { ROW_T_NAME, ... };   // for row_T_changed()
 *
 * and row_T_watch(), row_T_find(), row_T_table(), row_T_of(), and row_T_get_C() for each column C
 * that refers to a row:
 *
 *     ROW_FOR_EACH (struct row_vm, vm, row_vm_table(replica)) {
 *         struct row_hostnode *node = row_vm_get_hostnode(vm); // Or NULL.
 *     }
 *
 * Tables must be watched with their class (row_T_watch()).  The replica keeps the fields current;
 * they point into the row's datums and hold until the row changes.  A column that is not watched,
 * or that the server does not have, reads as empty. */
#ifndef REPLICA_TYPED_H
#define REPLICA_TYPED_H 1

#include "base/base.h"
#include "replica/replica.h"

struct typed_int {
    bool has;
    int64_t v; /* 0 if not has. */
};
struct typed_real {
    bool has;
    double v;
};
struct typed_bool {
    bool has, v;
};
struct typed_set {
    uint32_t n;
    const union atom *v; /* Strings: v[i].string->s. */
};
struct typed_map {
    uint32_t n;
    const union atom *keys, *values;
};

enum typed_kind {
    TYPED_STRING,     /* const char *, never NULL. */
    TYPED_OPT_STRING, /* const char *, or NULL. */
    TYPED_INT,
    TYPED_OPT_INT,
    TYPED_REAL,
    TYPED_OPT_REAL,
    TYPED_BOOL,
    TYPED_OPT_BOOL,
    TYPED_UUID, /* Optional or not. */
    TYPED_SET,
    TYPED_MAP,
};

struct row_field {
    const char *name; /* The column's. */
    size_t offset;    /* In the struct. */
    enum typed_kind kind;
};

struct row_class {
    const char *table;
    size_t n_bytes; /* Of the struct, which begins with struct replica_row. */
    const struct row_field *fields;
    size_t n_fields;
    const char *const *columns; /* All names, NULL-terminated: for replica_watch(). */
};

/* Fills all fields from the datums.  A column whose type does not fit the field reads as empty.
 * The replica calls it; others need not. */
void typed_fill(struct replica_row *);
/* May a field of this kind show a column of this type? */
bool typed_fits(enum typed_kind, const struct type *);
/* Did the change touch the field (enum ROW_T_X)?  True for all of an inserted or deleted row. */
bool typed_changed(const struct replica_change *, const struct row_class *, int field);

/* The rows of a table, as typed rows or plain; none for a NULL table. */
struct replica_row *typed_first(const struct replica_table *);
struct replica_row *typed_next(const struct replica_row *);
#define ROW_FOR_EACH(type, var, table)                                                     \
    for (type *var = (type *) (void *) typed_first(table); var;                            \
         var = (type *) (void *) typed_next(&var->base))

/* The rows of a table whose field (enum ROW_T_X, of a reference) is the UUID; by an index, which is made when it is
 * asked for first.  No order.
 *
 *     ROW_FOR_EACH_OF (struct row_device, device, row_device_table(r), ROW_DEVICE_VM, &vm->base.uuid) */
struct replica_row *typed_first_of(struct replica_table *, int field, const struct uuid *);
struct replica_row *typed_next_of(const struct replica_row *, int field);
#define ROW_FOR_EACH_OF(type, var, table, field, uuid)                                     \
    for (type *var = (type *) (void *) typed_first_of(table, field, uuid); var;            \
         var = (type *) (void *) typed_next_of(&var->base, field))

bool typed_set_has(const struct typed_set *, const char *); /* Of strings. */
const char *typed_map_get(const struct typed_map *,
                          const char *key); /* Of strings; or NULL. */

#endif /* replica/typed.h */
