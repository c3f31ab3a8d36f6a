/* db/rbac.c: role-based access control, ovsdb-server(7) section 2.6.
 *
 * RBAC_Role:       name, permissions: {table name: RBAC_Permission}
 * RBAC_Permission: authorization: names of columns, or "column:key", one of which must hold the
 *                  client's id ("": anybody's), insert_delete, update: columns that may change */
#include "db/rbac_i.h"

#include "data/rfc7047.h"

static bool
is_active(const struct db_ctx *ctx, struct db *db)
{
    return ctx->role && *ctx->role && db_table(db, "RBAC_Role");
}

/* The value of a column by its name if it is a set or map with string keys. */
static const struct datum *
string_keyed(const struct row *row, const char *name, struct datum *room,
             const struct column **ret_column)
{
    const struct column *c = schema_find_column(row->table->schema, name);
    if (!c || c->index < N_SPECIAL_COLUMNS || c->type.key.type != ATOM_STRING) {
        return NULL;
    }
    *ret_column = c;
    return row_get(row, c, room);
}

static bool
set_has(const struct row *row, const char *column, const char *s)
{
    const struct column *c;
    struct datum room;
    const struct datum *d = string_keyed(row, column, &room, &c);
    for (uint32_t i = 0; d && !type_is_map(&c->type) && i < d->n; i++) {
        if (strcmp(datum_key(d, i)->string->s, s) == 0) {
            return true;
        }
    }
    return false;
}

/* The RBAC_Permission row of a role for a table, or NULL. */
static const struct row *
find_permission(const struct db_ctx *ctx, const struct table *t)
{
    const struct table *roles = db_table(t->db, "RBAC_Role");
    const struct table *permissions = db_table(t->db, "RBAC_Permission");
    HMAP_FOR_EACH (struct row, role, node, &roles->rows) {
        const struct column *c = NULL;
        struct datum room;
        const struct datum *d = string_keyed(role, "permissions", &room, &c);
        if (!set_has(role, "name", ctx->role) || !d || !permissions ||
            c->type.value.type != ATOM_UUID) {
            continue;
        }
        for (uint32_t i = 0; i < d->n; i++) {
            if (strcmp(datum_key(d, i)->string->s, t->schema->name) == 0) {
                return table_find(permissions, &datum_value(d, i)->uuid);
            }
        }
    }
    return NULL;
}

/* Does the row hold the client's id where the permission says? */
static bool
is_authorized(const struct row *permission, const char *id, const struct row *row)
{
    const struct column *c;
    struct datum room, map_room;
    const struct datum *names = string_keyed(permission, "authorization", &room, &c);
    for (uint32_t i = 0; names && i < names->n; i++) {
        const char *name = datum_key(names, i)->string->s;
        const char *colon = strchr(name, ':');
        if (*name == '\0') {
            return true;
        } else if (!colon) {
            if (set_has(row, name, id)) {
                return true;
            }
            continue;
        }
        char column[256];
        if ((size_t) (colon - name) >= sizeof column) {
            continue;
        }
        memcpy(column, name, (size_t) (colon - name));
        column[colon - name] = '\0';
        const struct datum *map = string_keyed(row, column, &map_room, &c);
        if (map && c->type.value.type == ATOM_STRING) {
            const char *value = datum_map_string(map, colon + 1);
            if (value && strcmp(value, id) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool
may_insert_delete(const struct row *permission)
{
    const struct column *c = schema_find_column(permission->table->schema, "insert_delete");
    struct datum room;
    return c && c->type.key.type == ATOM_BOOLEAN && c->index >= N_SPECIAL_COLUMNS &&
           datum_bool(row_get(permission, c, &room));
}

static struct err *
refuse(const struct db_ctx *ctx, const struct table *t, const char *what)
{
    return rfc_err(RFC_PERMISSION,
                   "RBAC rules for client \"%s\" role \"%s\" prohibit %s table \"%s\".",
                   ctx->id ? ctx->id : "", ctx->role, what, t->schema->name);
}

static bool
all_authorized(const struct db_ctx *ctx, const struct row *permission,
               const struct row_vec *rows)
{
    for (size_t i = 0; i < rows->rows.n; i++) {
        if (!is_authorized(permission, ctx->id, rows->rows.v[i])) {
            return false;
        }
    }
    return true;
}

struct err *
rbac_check_insert(const struct db_ctx *ctx, const struct row *row)
{
    if (!is_active(ctx, row->table->db)) {
        return NULL;
    }
    const struct row *p = ctx->id ? find_permission(ctx, row->table) : NULL;
    return p && may_insert_delete(p) && is_authorized(p, ctx->id, row)
               ? NULL
               : refuse(ctx, row->table, "row insertion into");
}

struct err *
rbac_check_delete(const struct db_ctx *ctx, const struct table *t,
                  const struct row_vec *rows)
{
    if (!is_active(ctx, t->db)) {
        return NULL;
    }
    const struct row *p = ctx->id ? find_permission(ctx, t) : NULL;
    return p && may_insert_delete(p) && all_authorized(ctx, p, rows)
               ? NULL
               : refuse(ctx, t, "row deletion from");
}

static bool
may_change(const struct db_ctx *ctx, const struct table *t, const struct row_vec *rows,
           const struct column *const *columns, size_t n)
{
    if (!is_active(ctx, t->db)) {
        return true;
    }
    const struct row *p = ctx->id ? find_permission(ctx, t) : NULL;
    for (size_t i = 0; p && i < n; i++) {
        if (!set_has(p, "update", columns[i]->name)) {
            return false;
        }
    }
    return p && all_authorized(ctx, p, rows);
}

struct err *
rbac_check_update(const struct db_ctx *ctx, const struct table *t,
                  const struct row_vec *rows, const struct column *const *columns, size_t n)
{
    return may_change(ctx, t, rows, columns, n) ? NULL : refuse(ctx, t, "modification of");
}

struct err *
rbac_check_mutate(const struct db_ctx *ctx, const struct table *t,
                  const struct row_vec *rows, const struct column *const *columns, size_t n)
{
    return may_change(ctx, t, rows, columns, n) ? NULL
                                                : refuse(ctx, t, "mutate operation on");
}
