/* db/exec_i.h: running the operations of one transaction. */
#ifndef DB_EXEC_I_H
#define DB_EXEC_I_H 1

#include "db/txn_i.h"
#include "json/decode.h"

struct exec {
    struct txn *txn;
    const struct db_ctx *ctx;
    struct buf *reply;  /* Each operation appends its result. */
    bool asserted;      /* That a lock is held. */
    bool parked;        /* A "wait" does not hold and may still come to. */
    int64_t timeout_ms; /* With 'parked': of that wait, -1 for ever. */
};

/* Members are read first and checked all together; then it runs. */
typedef struct err *exec_fn(struct exec *, struct decode *op, const struct json *whole);
exec_fn exec_insert, exec_update, exec_mutate, exec_delete; /* exec_write.c */
exec_fn exec_select;                                        /* exec_select.c */
exec_fn exec_wait;                                          /* exec_wait.c */

/* The member "table": a table that there is.  NULL with the decoder's error otherwise. */
struct table *exec_table(struct exec *, struct decode *);

#endif /* db/exec_i.h */
