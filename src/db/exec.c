/* db/exec.c: the life of a transaction from the request to the prepared change.
 *
 * Results are written straight into the reply.  The first operation that fails leaves its error
 * in its place and nulls for those behind it; a commit that fails appends its error. */
#include "db/exec_i.h"

#include "data/rfc7047.h"

static exec_fn exec_commit, exec_abort, exec_comment, exec_assert;

static const struct {
    const char *name;
    exec_fn *run;
    bool writes;
} operations[] = {
    { "insert", exec_insert, true },    { "select", exec_select, false },
    { "update", exec_update, true },    { "mutate", exec_mutate, true },
    { "delete", exec_delete, true },    { "wait", exec_wait, false },
    { "commit", exec_commit, true },    { "abort", exec_abort, false },
    { "comment", exec_comment, false }, { "assert", exec_assert, false },
};

struct table *
exec_table(struct exec *x, struct decode *op)
{
    const char *name = decode_id(op, "table");
    struct table *t = name ? db_table(x->txn->db, name) : NULL;
    if (name && !t) {
        decode_fail(op, err_new(ERR_SYNTAX, "No table named %s.", name));
    }
    return t;
}

static struct err *
no_write(const struct exec *x, const char *name)
{
    const char *db = x->txn->db->schema->name;
    if (db[0] == '_') {
        return rfc_err(RFC_NOT_ALLOWED,
                       "%s operation not allowed on table in reserved database %s", name,
                       db);
    }
    return rfc_err(RFC_NOT_ALLOWED,
                   "%s operation not allowed when database server is in read only mode",
                   name);
}

/* Operation i of n, from 1.  Appends its result. */
static struct err *
run_one(struct exec *x, const struct json *j, uint32_t i, uint32_t n)
{
    struct decode op;
    decode_begin_nth(&op, j, "ovsdb operation", i, n);
    const char *name = decode_id(&op, "op");
    for (size_t k = 0; name && k < N_ELEMS(operations); k++) {
        if (strcmp(operations[k].name, name) == 0) {
            TRY(operations[k].run(x, &op, j));
            return operations[k].writes && x->ctx->read_only ? no_write(x, name) : NULL;
        }
    }
    if (name) {
        decode_fail(&op, err_new(ERR_SYNTAX, "No operation \"%s\"", name));
    }
    return rfc_decode_end(&op, j);
}

/* False if one failed, which the reply says, or if a wait parked it. */
static bool
run_all(struct exec *x, const struct json *params)
{
    uint32_t n = params->n - 1;
    for (uint32_t i = 1; i <= n; i++) {
        if (i > 1) {
            buf_char(x->reply, ',');
        }
        size_t at = x->reply->n;
        CLEANUP(err_drop) struct err *e = run_one(x, &params->elems[i], i, n);
        if (e) {
            x->reply->n = at;
            rfc_print(e, x->reply);
            for (i++; i <= n; i++) {
                buf_str(x->reply, ",null");
            }
            return false;
        } else if (x->parked) {
            return false;
        }
    }
    return true;
}

static void
wait_for_tables(const struct exec *x, struct db_wait *ret)
{
    const struct db *db = x->txn->db;
    *ret = (struct db_wait){ .timeout_ms = x->timeout_ms,
                             .seq = db->seq,
                             .any_commit = x->asserted };
    ret->tables = xcalloc(db->schema->n_tables + 1, sizeof *ret->tables);
    for (uint32_t i = 0; i < db->schema->n_tables; i++) {
        if (db->tables[i].was_read) {
            ret->tables[ret->n_tables++] = i;
        }
    }
}

enum db_outcome
db_transact(struct db *db, const struct json *params, const struct db_ctx *ctx,
            struct buf *reply, struct txn **ret_txn, struct db_wait *ret_wait)
{
    size_t start = reply->n;
    struct txn *txn = txn_begin(db);
    struct exec x = { .txn = txn, .ctx = ctx, .reply = reply };

    buf_char(reply, '[');
    bool all_ran = run_all(&x, params);
    if (x.parked) {
        reply->n = start;
        wait_for_tables(&x, ret_wait);
        txn_undo(txn);
        return DB_PARKED;
    }
    if (all_ran && ctx->check_only) {
        reply->n = start;
        txn_undo(txn);
        return DB_CHECKED;
    }
    CLEANUP(err_drop) struct err *e = all_ran ? commit_prepare(txn) : NULL;
    if (e) {
        if (params->n > 1) {
            buf_char(reply, ',');
        }
        rfc_print(e, reply);
    }
    buf_char(reply, ']');
    if (!all_ran || e || commit_is_empty(txn)) {
        txn_undo(txn);
        return DB_DONE;
    }
    record_print(txn, ctx);
    *ret_txn = txn;
    return DB_PREPARED;
}

/* {"op":"commit","durable":bool}, RFC 7047 5.2.7. */
static struct err *
exec_commit(struct exec *x, struct decode *op, const struct json *whole)
{
    bool durable = decode_bool(op, "durable", 0, false);
    TRY(rfc_decode_end(op, whole));
    x->txn->durable = x->txn->durable || durable;
    buf_str(x->reply, "{}");
    return NULL;
}

/* {"op":"abort"}, RFC 7047 5.2.8. */
static struct err *
exec_abort(struct exec *x, struct decode *op, const struct json *whole)
{
    TRY(rfc_decode_end(op, whole));
    return rfc_err(RFC_ABORTED, "aborted by request");
}

/* {"op":"comment","comment":string}, RFC 7047 5.2.9. */
static struct err *
exec_comment(struct exec *x, struct decode *op, const struct json *whole)
{
    const struct json *comment = decode_member(op, "comment", DECODE_STRING);
    TRY(rfc_decode_end(op, whole));
    if (x->txn->comment.n) {
        buf_char(&x->txn->comment, '\n');
    }
    buf_add(&x->txn->comment, comment->string, comment->n);
    buf_str(x->reply, "{}");
    return NULL;
}

/* {"op":"assert","lock":<id>}, RFC 7047 5.2.10. */
static struct err *
exec_assert(struct exec *x, struct decode *op, const struct json *whole)
{
    const char *lock = decode_id(op, "lock");
    TRY(rfc_decode_end(op, whole));
    if (!x->ctx->locks || !lock_holds(x->ctx->locks, lock)) {
        return rfc_err(RFC_NOT_OWNER, "Asserted lock %s not held.", lock);
    }
    x->asserted = true;
    buf_str(x->reply, "{}");
    return NULL;
}
