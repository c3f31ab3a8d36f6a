/* replica/commit.c: sending a transaction, and what its answer means.
 *
 * The answer has an element an operation; the first with an "error" member is why nothing
 * happened, those behind it are null; one element more than operations is an error of the commit
 * itself (constraints, references, disk). */
#include "replica/write_i.h"

#include "data/rfc7047.h"
#include "loop/loop.h"
#include "replica/replica_i.h"
#include "wire/session_io.h"

/* A guard that did not hold says only "timed out". */
static struct err *
guard_error(const struct guard *g)
{
    const char *uuid = UUID_TEXT(&g->uuid);
    if (g->column) {
        return err_hint(
            err_new(ERR_BUSY, "%s %s: %s has changed meanwhile", g->table, uuid, g->column),
            "look at it again and repeat the command");
    }
    return err_new(ERR_NOT_FOUND, "%s %s does not exist any more", g->table, uuid);
}

static struct err *
element_error(const struct txn *txn, uint32_t i, const struct json *element)
{
    struct err *e = rfc_parse(element);
    if (i < txn->guards.n && err_code(e) == RFC_TIMED_OUT) {
        err_free(e);
        return guard_error(&txn->guards.v[i]);
    }
    return e;
}

static struct err *
result_error(const struct txn *txn, const struct json *result)
{
    if (result->type != JSON_ARRAY || result->n < txn->n_ops) {
        return err_new(ERR_SYNTAX, "the server's answer to a transaction makes no sense");
    }
    for (uint32_t i = 0; i < result->n; i++) {
        if (json_get(&result->elems[i], "error")) {
            return element_error(txn, i, &result->elems[i]);
        }
    }
    return NULL;
}

/* {"uuid": ["uuid", "..."]} */
static struct err *
learn_uuids(struct txn *txn, const struct json *result)
{
    LIST_FOR_EACH (struct txn_row, row, node, &txn->rows) {
        if (row->kind != OP_INSERT) {
            continue;
        }
        const struct json *pair = json_get(&result->elems[row->op], "uuid");
        if (!json_is(pair, JSON_ARRAY) || pair->n != 2 ||
            !json_is(&pair->elems[1], JSON_STRING) ||
            !uuid_parse(pair->elems[1].string, &row->uuid)) {
            return err_new(ERR_SYNTAX, "the server's answer to an insert makes no sense");
        }
    }
    return NULL;
}

/* Takes both; one is NULL. */
static struct err *
take_answer(struct txn *txn, struct jsonrpc_msg *reply, struct err *e)
{
    jsonrpc_msg_free(txn->reply);
    txn->reply = reply;
    TRY(e);
    if (reply->kind == JSONRPC_ERROR) {
        return rfc_parse(&reply->error);
    }
    TRY(result_error(txn, &reply->result));
    return learn_uuids(txn, &reply->result);
}

static void
on_reply(void *txn_, struct jsonrpc_msg *reply, struct err *e)
{
    struct txn *txn = txn_;
    e = take_answer(txn, reply, e);
    if (txn->done) {
        txn->done(txn->aux, txn, e);
    } else {
        err_free(e);
    }
    txn_free(txn);
}

void
txn_commit(struct txn *txn, struct session_io *session, txn_done_fn *done, void *aux)
{
    struct json params = txn_params(txn);
    txn->done = done;
    txn->aux = aux;
    session_io_request(session, "transact", &params, on_reply, txn);
}

struct err *
txn_commit_blocking(struct txn *txn, struct replica *r, int64_t timeout_ms)
{
    struct json params = txn_params(txn);
    struct jsonrpc_msg *reply = NULL;
    struct err *e = replica_request_blocking(r, "transact", &params, timeout_ms, &reply);
    return take_answer(txn, reply, e);
}

const struct uuid *
txn_row_uuid(const struct txn_row *row)
{
    return &row->uuid;
}

const struct json *
txn_result(const struct txn *txn)
{
    return &txn->reply->result;
}
