/* bin/dbtool_txn.c: one transaction on a file that no server has open. */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "bin/dbtool_i.h"
#include "data/rfc7047.h"

/* The answer on standard output, failures of the transaction included; ovsdb-tool's words. */
static void
print_refusal(struct err *e)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    rfc_print(e, &text);
    err_free(e);
    puts(buf_cstr(&text));
}

static struct err *
check_params(const struct json *params, const struct db *db)
{
    if (params->type != JSON_ARRAY) {
        return rfc_syntax(params, "array expected");
    } else if (params->n == 0 || params->elems[0].type != JSON_STRING ||
               strcmp(params->elems[0].string, db_schema(db)->name) != 0) {
        return rfc_syntax(params, "database name expected as first parameter");
    }
    return NULL;
}

/* Runs it and writes what it changed. */
static MUST_CHECK struct err *
run(struct tool *t, struct journal *journal, struct db *db, const struct json *params,
    bool read_only)
{
    CLEANUP(buf_done) struct buf reply = BUF_INIT;
    char author[64];
    snprintf(author, sizeof author, "by uid %ld byre-dbtool", (long) getuid());
    struct db_ctx ctx = { .read_only = read_only,
                          .wall_ms = clock_wall_ms(),
                          .author = author,
                          .role = t->rbac_role };
    struct db_wait wait;
    struct txn *txn;
    uint64_t seq;

    enum db_outcome outcome = db_transact(db, params, &ctx, &reply, &txn, &wait);
    if (outcome == DB_PARKED) { /* Nobody else can make it come true. */
        db_wait_done(&wait);
        puts("[{\"details\":\"triggers not supported\",\"error\":\"not supported\"}]");
        return NULL;
    } else if (outcome == DB_PREPARED) {
        const struct buf *record = db_txn_record(txn);
        struct err *e =
            record->n ? journal_append(journal, record->data, record->n, &seq) : NULL;
        e = e ? e : journal_sync(journal);
        if (e) {
            db_txn_abort(txn, e, NULL);
            return e;
        }
        db_txn_commit(txn, NULL, NULL);
    }
    puts(buf_cstr(&reply));
    return NULL;
}

static struct err *
transact(struct tool *t, const char **args, bool read_only)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(db_drop) struct db *db = NULL;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const char *path = args[1] ? args[0] : NULL;
    const char *text = args[1] ? args[1] : args[0];
    struct json params;

    TRY(err_wrap(json_parse_str(&arena, text, &params), "\"%s\"", text));
    TRY(tool_open_good(tool_db(path), read_only ? JOURNAL_READ_ONLY : 0, &journal, &db));
    struct err *e = check_params(&params, db);
    if (e) {
        print_refusal(e);
        return NULL;
    }
    return run(t, journal, db, &params, read_only);
}

struct err *
tool_query(struct tool *t, const char **args)
{
    return transact(t, args, true);
}

struct err *
tool_transact(struct tool *t, const char **args)
{
    return transact(t, args, false);
}
