/* db/rbac_i.h: what a client's role lets it write.
 *
 * Active when the database has a table RBAC_Role and the connection a role.  Reading is free. */
#ifndef DB_RBAC_I_H
#define DB_RBAC_I_H 1

#include "db/cond_i.h"

/* All: "permission error" if not. */
struct err *rbac_check_insert(const struct db_ctx *, const struct row *) MUST_CHECK;
struct err *rbac_check_delete(const struct db_ctx *, const struct table *,
                              const struct row_vec *) MUST_CHECK;
/* Every one of 'columns' must be among those that the role may write. */
struct err *rbac_check_update(const struct db_ctx *, const struct table *,
                              const struct row_vec *, const struct column *const *columns,
                              size_t n) MUST_CHECK;
struct err *rbac_check_mutate(const struct db_ctx *, const struct table *,
                              const struct row_vec *, const struct column *const *columns,
                              size_t n) MUST_CHECK;

#endif /* db/rbac_i.h */
