/* db/cond_i.h: conditions on rows, RFC 7047 <condition>, and finding the rows that meet them. */
#ifndef DB_COND_I_H
#define DB_COND_I_H 1

#include "db/txn_i.h"

/* clang-format off */
enum cond_op { COND_EQ, COND_NE, COND_LT, COND_LE, COND_GT, COND_GE, COND_INCLUDES, COND_EXCLUDES,
               COND_FALSE, COND_TRUE /* The literals. */ };
/* clang-format on */

struct clause {
    enum cond_op op;
    const struct column *column; /* NULL for the literals. */
    struct datum arg;
};

struct cond {
    struct clause *clauses;
    size_t n;
};
#define COND_INIT ((struct cond){ NULL, 0 })
void cond_done(struct cond *);
/* 'json' is an array.  'symbols' may be NULL. */
struct err *cond_parse(struct cond *ret, struct arena *, const struct table *,
                       const struct json *, struct symtab *) MUST_CHECK;
struct err *clause_parse(struct clause *ret, const struct table *, const struct json *,
                         struct symtab *) MUST_CHECK;
void clause_done(struct clause *);
/* Against a value of the clause's column. */
bool clause_holds(const struct clause *, const struct datum *);
bool cond_holds(const struct cond *, const struct row *); /* All clauses hold. */

/* The rows that meet a condition now; through _uuid or an index where it can.  'ret' is the
 * caller's to VEC_DONE(). */
struct row_vec {
    VEC(struct row *) rows;
};
#define ROW_VEC_INIT ((struct row_vec){ VEC_INIT })
static inline void
row_vec_done(struct row_vec *v)
{
    VEC_DONE(&v->rows);
}
void query(struct table *, const struct cond *, struct row_vec *ret);

#endif /* db/cond_i.h */
