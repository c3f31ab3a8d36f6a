/* db/mutate_i.h: RFC 7047 <mutation>. */
#ifndef DB_MUTATE_I_H
#define DB_MUTATE_I_H 1

#include "db/txn_i.h"

enum mutator { MUT_ADD, MUT_SUB, MUT_MUL, MUT_DIV, MUT_MOD, MUT_INSERT, MUT_DELETE };

struct mutation {
    enum mutator mutator;
    const struct column *column;
    struct datum arg;
    struct type arg_type; /* Borrows what the column's type owns. */
};

struct mutations {
    struct mutation *v;
    size_t n;
};
#define MUTATIONS_INIT ((struct mutations){ NULL, 0 })
void mutations_done(struct mutations *);
struct err *mutations_parse(struct mutations *ret, struct arena *, const struct table *,
                            const struct json *, struct symtab *) MUST_CHECK;
/* Applies all to one row, in order; stops at the first error. */
struct err *mutations_apply(const struct mutations *, struct txn *,
                            struct row *) MUST_CHECK;

#endif /* db/mutate_i.h */
