/* replica/write_i.h: a transaction, as building (write.c) and sending (commit.c) see it. */
#ifndef REPLICA_WRITE_I_H
#define REPLICA_WRITE_I_H 1

#include "base/arena.h"
#include "base/list.h"
#include "base/vec.h"
#include "replica/write.h"

enum op_kind { OP_INSERT, OP_UPDATE, OP_DELETE, OP_RAW };

struct txn_row {
    struct list node; /* In struct txn's 'rows'. */
    struct txn *txn;
    enum op_kind kind;
    const char *table;
    struct uuid uuid;      /* Of an insert: after success. */
    const char *name;      /* Of an insert: its "uuid-name". */
    struct json columns;   /* Set: an object. */
    struct json mutations; /* An array of [column, mutator, value]. */
    struct json raw;       /* OP_RAW: the operation. */
    uint32_t op;           /* Index of its first operation in the answer. */
};

/* A "wait" with timeout 0 at the beginning. */
struct guard {
    const char *table;
    struct uuid uuid;
    const char *column; /* NULL: the row exists. */
    struct json value;
};

struct txn {
    struct arena arena;
    char *database;
    struct list rows; /* In the order of their making. */
    VEC(struct guard) guards;
    struct buf comment;
    unsigned int n_names;

    /* Once sent. */
    uint32_t n_ops;
    txn_done_fn *done;
    void *aux;
    struct jsonrpc_msg *reply; /* Holds the result. */
};

#endif /* replica/write_i.h */
