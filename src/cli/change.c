/* cli/change.c: the one transaction of a command line: built, shown, committed.
 *
 * A commit whose reply is lost (the server was killed) is settled: rows that it inserts
 * have UUIDs made here, so a look tells whether it happened.  A change without inserts
 * only sets values, so it may be sent again; one that may not says 'not_twice'. */
#include "cli/change_i.h"

#include "cli/net_i.h"
#include "cli/query_i.h"
#include "data/datum.h"
#include "data/rfc7047.h"

#define RETRIES 3

void
change_done(struct change *c)
{
    VEC_FOR_EACH (struct goal *g, &c->goals) {
        err_free(g->error);
    }
    VEC_DONE(&c->ops);
    VEC_DONE(&c->gifts);
    VEC_DONE(&c->goals);
    buf_done(&c->plan);
    buf_done(&c->said);
}

void
change_say(struct cli *cli, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&cli->change.said, fmt, args);
    va_end(args);
    buf_char(&cli->change.said, '\n');
}

void
change_insert_as(struct cli *cli, const char *table, const struct uuid *uuid,
                 struct json row)
{
    struct json with_uuid = json_object();
    json_put(&cli->arena, &with_uuid, "_uuid", q_uuid(&cli->arena, uuid));
    for (uint32_t i = 0; i < row.n; i++) {
        json_put(&cli->arena, &with_uuid, row.members[i].name, row.members[i].value);
    }
    *VEC_ADD(&cli->change.ops) =
        (struct change_op){ CHANGE_INSERT, table, *uuid, with_uuid };
}

void
change_insert(struct cli *cli, const char *table, struct json row, struct uuid *ret_uuid)
{
    struct uuid uuid;
    uuid_random(&uuid);
    change_insert_as(cli, table, &uuid, row);
    if (ret_uuid) {
        *ret_uuid = uuid;
    }
}

void
change_update(struct cli *cli, const char *table, const struct uuid *uuid, struct json row)
{
    *VEC_ADD(&cli->change.ops) = (struct change_op){ CHANGE_UPDATE, table, *uuid, row };
}

void
change_mutate(struct cli *cli, const char *table, const struct uuid *uuid,
              const char *column, const char *mutator, struct json value)
{
    struct json mutations = json_array();
    json_add(&cli->arena, &mutations, q_clause(&cli->arena, column, mutator, value));
    *VEC_ADD(&cli->change.ops) =
        (struct change_op){ CHANGE_MUTATE, table, *uuid, mutations };
}

void
change_delete(struct cli *cli, const char *table, const struct uuid *uuid)
{
    *VEC_ADD(&cli->change.ops) =
        (struct change_op){ CHANGE_DELETE, table, *uuid, json_null() };
}

void
change_unless(struct cli *cli, const char *table, struct json where, const char *columns,
              struct json rows)
{
    struct arena *a = &cli->arena;
    struct json op = json_object();

    json_put(a, &op, "op", json_string_ref("wait"));
    json_put(a, &op, "timeout", json_int(0));
    json_put(a, &op, "table", json_string_ref(table));
    json_put(a, &op, "where", where);
    json_put(a, &op, "columns", q_columns(a, columns));
    json_put(a, &op, "until", json_string_ref("=="));
    json_put(a, &op, "rows", rows);
    *VEC_ADD(&cli->change.ops) =
        (struct change_op){ .kind = CHANGE_UNLESS, .table = table, .row = op };
}

bool
change_has_inserted(const struct change *c, const char *table, const struct uuid *uuid)
{
    const struct change_op *op;

    for (size_t i = 0; (op = change_inserted(c, table, i)); i++) {
        if (uuid_eq(&op->uuid, uuid)) {
            return true;
        }
    }
    return false;
}

const struct change_op *
change_inserted(const struct change *c, const char *table, size_t i)
{
    for (size_t k = 0; k < c->ops.n; k++) {
        const struct change_op *op = &c->ops.v[k];
        if (op->kind == CHANGE_INSERT && str_eq(op->table, table) && i-- == 0) {
            return op;
        }
    }
    return NULL;
}

void
change_await(struct cli *cli, enum goal_kind kind, const char *table,
             const struct uuid *uuid, int64_t known, const char *label, const char *said)
{
    struct goal *g = VEC_ADD(&cli->change.goals);
    *g = (struct goal){ .kind = kind,
                        .table = table,
                        .uuid = *uuid,
                        .label = arena_str(&cli->arena, label),
                        .said = said,
                        .generation = known,
                        .op = SIZE_MAX,
                        .progress = -1 };
    if (known < 0) {
        g->op = cli->change.ops.n;
        change_mutate(cli, table, uuid, "generation", "+=", json_int(1));
    }
}

void
change_take_back(struct cli *cli, struct json op)
{
    cli->change.goals.v[cli->change.goals.n - 1].take_back = op;
}

void
change_await_state(struct cli *cli, enum goal_kind kind, const char *table,
                   const struct uuid *uuid, const char *label, const char *said)
{
    change_await(cli, kind, table, uuid, 0, label, said);
}

static struct json
op_head(struct arena *a, const char *op_name, const struct change_op *op)
{
    struct json j = json_object();
    json_put(a, &j, "op", json_string_ref(op_name));
    json_put(a, &j, "table", json_string_ref(op->table));
    if (op->kind != CHANGE_INSERT) {
        json_put(a, &j, "where", q_where_uuid(a, &op->uuid));
    }
    return j;
}

static struct json
op_json(struct arena *a, const struct change_op *op)
{
    struct json j = json_null();
    struct json row = json_object();

    switch (op->kind) {
    case CHANGE_INSERT:
        j = op_head(a, "insert", op);
        for (uint32_t i = 1; i < op->row.n; i++) { /* Without its "_uuid". */
            json_put(a, &row, op->row.members[i].name, op->row.members[i].value);
        }
        json_put(a, &j, "row", row);
        json_put(a, &j, "uuid", json_string(a, UUID_TEXT(&op->uuid)));
        break;
    case CHANGE_UPDATE:
        j = op_head(a, "update", op);
        json_put(a, &j, "row", op->row);
        break;
    case CHANGE_MUTATE:
        j = op_head(a, "mutate", op);
        json_put(a, &j, "mutations", op->row);
        break;
    case CHANGE_DELETE: j = op_head(a, "delete", op); break;
    case CHANGE_UNLESS: j = op->row; break;
    }
    return j;
}

/* Reads the generations that the goals wait for from the selects behind their mutations. */
static struct err *
read_generations(struct cli *cli, const struct json *results)
{
    size_t n_extra = 0;
    for (size_t i = 0; i < cli->change.goals.n; i++) {
        struct goal *g = &cli->change.goals.v[i];
        if (g->op == SIZE_MAX) {
            continue;
        }
        const struct json *rows = q_rows(results, g->op + 1 + n_extra++);
        if (rows->n != 1) {
            return err_new(ERR_NOT_FOUND, "%s was removed meanwhile", g->label);
        }
        g->generation = row_int(&rows->elems[0], "generation", 0);
    }
    return NULL;
}

/* The operations, each generation's select behind its mutation, and the comment. */
static struct json
commit_ops(struct cli *cli)
{
    struct arena *a = &cli->arena;
    struct change *c = &cli->change;
    struct json ops = json_array();
    size_t next_goal = 0;

    for (size_t i = 0; i < c->ops.n; i++) {
        json_add(a, &ops, op_json(a, &c->ops.v[i]));
        while (next_goal < c->goals.n && c->goals.v[next_goal].op == SIZE_MAX) {
            next_goal++;
        }
        if (next_goal < c->goals.n && c->goals.v[next_goal].op == i) {
            json_add(a, &ops,
                     q_select(a, c->ops.v[i].table, q_where_uuid(a, &c->ops.v[i].uuid),
                              "generation"));
            next_goal++;
        }
    }
    struct json comment = json_object();
    json_put(a, &comment, "op", json_string_ref("comment"));
    json_put(a, &comment, "comment", json_string_ref(c->comment ? c->comment : "byre"));
    json_add(a, &ops, comment);
    return ops;
}

/* After a lost reply: *ret_done tells whether the inserts of the change are in the
 * database. */
static struct err *
was_committed(struct cli *cli, bool *ret_done)
{
    const struct change *c = &cli->change;
    *ret_done = false;
    for (size_t i = 0; i < c->ops.n; i++) {
        if (c->ops.v[i].kind == CHANGE_INSERT) {
            struct json ops = json_array();
            struct json results;
            json_add(&cli->arena, &ops,
                     q_select(&cli->arena, c->ops.v[i].table,
                              q_where_uuid(&cli->arena, &c->ops.v[i].uuid), "_uuid"));
            TRY(db_transact(cli, &ops, &results));
            *ret_done = q_rows(&results, 0)->n > 0;
            return NULL;
        }
    }
    return NULL;
}

/* The generations of a change whose own reply was lost. */
static struct err *
ask_generations(struct cli *cli)
{
    for (size_t i = 0; i < cli->change.goals.n; i++) {
        struct goal *g = &cli->change.goals.v[i];
        if (g->op != SIZE_MAX) {
            struct json ops = json_array();
            struct json results;
            json_add(&cli->arena, &ops,
                     q_select(&cli->arena, g->table, q_where_uuid(&cli->arena, &g->uuid),
                              "generation"));
            TRY(db_transact(cli, &ops, &results));
            const struct json *rows = q_rows(&results, 0);
            g->generation = rows->n ? row_int(&rows->elems[0], "generation", 0) : 0;
        }
    }
    return NULL;
}

/* Takes 'e', which broke the connection between sending and hearing. */
static struct err *
uncertain(struct err *e)
{
    struct err *said =
        err_new(ERR_TIMEOUT, "%s; nobody knows whether it was committed", err_why(e));
    err_free(e);
    return fail_as(
        err_hint(said, "look at the rows (byre list) before giving the command again"),
        EXIT_UNREACHABLE);
}

static struct err *
commit(struct cli *cli)
{
    struct json ops = commit_ops(cli);
    for (int attempt = 0;; attempt++) {
        struct json results;
        struct err *e = db_transact(cli, &ops, &results);
        if (!e) {
            return read_generations(cli, &results);
        } else if (err_code(e) == RFC_CONSTRAINT && cli->change.gifts.n) {
            bool again;
            struct err *none = net_give_again(cli, attempt + 1, &again);
            if (none || !again) {
                err_free(none ? e : NULL);
                return none ? none : e;
            }
            err_free(e);
            ops = commit_ops(cli);
            continue;
        } else if (!cli_is_lost(e) || attempt >= RETRIES || cli->n_lost == 0) {
            return e;
        }
        bool done;
        struct err *lookup = was_committed(cli, &done);
        if (lookup) {
            err_free(lookup);
            return uncertain(e);
        } else if (done) {
            err_free(e);
            return ask_generations(cli);
        } else if (cli->change.not_twice) {
            return uncertain(e);
        }
        err_free(e);
    }
}

/* A row that the change touches, for the difference. */
struct touched {
    const char *table;
    struct uuid uuid;
    bool inserted;
    const struct json *before, *after; /* NULL: not there. */
};
struct touched_list {
    struct touched *v;
    size_t n, cap;
};

static void
touched_add(struct touched_list *list, const struct change_op *op)
{
    for (size_t i = 0; i < list->n; i++) {
        if (uuid_eq(&list->v[i].uuid, &op->uuid)) {
            return;
        }
    }
    *VEC_ADD(list) =
        (struct touched){ op->table, op->uuid, op->kind == CHANGE_INSERT, NULL, NULL };
}

/* Bookkeeping that says nothing to people. */
static bool
is_bookkeeping(const char *column)
{
    return str_eq(column, "_uuid") || str_eq(column, "_version") ||
           str_eq(column, "generation");
}

static void
print_value(struct cli *cli, const struct table_schema *table, const struct column *column,
            const struct json *row)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const struct json *value = json_get(row, column->name);
    if (str_eq(table->name, "secret") && str_eq(column->name, "value")) {
        buf_str(&b, "(hidden)");
    } else if (value) {
        struct json plain = q_plain(&cli->arena, value, &column->type);
        out_plain_text(&plain, &b);
    }
    fputs(buf_cstr(&b), stdout);
}

static bool
is_default(const struct column *column, const struct json *value)
{
    struct datum d = DATUM_EMPTY;
    struct err *e = datum_parse(&d, &column->type, value, NULL, DATUM_SIZED);
    bool is = !e && datum_is_default(&d, &column->type);
    err_free(e);
    datum_done(&d, &column->type);
    return is;
}

static void
print_difference(struct cli *cli, const struct touched *t)
{
    const struct table_schema *table = schema_find_table(cli->schema, t->table);
    const struct json *row = t->after ? t->after : t->before;
    const char *name = row ? row_string(row, "name") : NULL;
    printf("%c %s %s\n",
           !t->before  ? '+'
           : !t->after ? '-'
                       : '~',
           t->table, name ? name : UUID_TEXT(&t->uuid));

    for (size_t i = 0; t->after && i < table->n_columns; i++) {
        const struct column *column = &table->columns[i];
        const struct json *new = json_get(t->after, column->name);
        const struct json *old = t->before ? json_get(t->before, column->name) : NULL;
        if (is_bookkeeping(column->name) || !new || (old && json_eq(old, new)) ||
            (!old && is_default(column, new))) {
            continue;
        }
        printf("    %s: ", column->name);
        if (old) {
            print_value(cli, table, column, t->before);
            fputs(" -> ", stdout);
        }
        print_value(cli, table, column, t->after);
        putchar('\n');
    }
}

/* The server runs the operations between two looks at the rows, then aborts. */
static struct err *
dry_run(struct cli *cli)
{
    struct arena *a = &cli->arena;
    struct change *c = &cli->change;
    struct touched_list list = VEC_INIT;
    struct json ops = json_array();
    for (size_t i = 0; i < c->ops.n; i++) {
        if (c->ops.v[i].kind != CHANGE_UNLESS) {
            touched_add(&list, &c->ops.v[i]);
        }
    }
    for (size_t i = 0; i < list.n; i++) {
        json_add(a, &ops,
                 q_select(a, list.v[i].table, q_where_uuid(a, &list.v[i].uuid), NULL));
    }
    for (size_t i = 0; i < c->ops.n; i++) {
        json_add(a, &ops, op_json(a, &c->ops.v[i]));
    }
    for (size_t i = 0; i < list.n; i++) {
        json_add(a, &ops,
                 q_select(a, list.v[i].table, q_where_uuid(a, &list.v[i].uuid), NULL));
    }
    struct json abort_op = json_object();
    json_put(a, &abort_op, "op", json_string_ref("abort"));
    json_add(a, &ops, abort_op);

    struct json results;
    struct err *e = db_transact(cli, &ops, &results);
    if (e && results.type == JSON_ARRAY &&
        results.n == ops.n) { /* Only the abort failed. */
        err_free(e);
        e = NULL;
    }
    for (size_t i = 0; i < list.n && !e; i++) {
        const struct json *before = q_rows(&results, i);
        const struct json *after = q_rows(&results, list.n + c->ops.n + i);
        list.v[i].before = before->n ? &before->elems[0] : NULL;
        list.v[i].after = after->n ? &after->elems[0] : NULL;
        print_difference(cli, &list.v[i]);
    }
    if (!e && c->plan.n) {
        printf("plan:\n%s", buf_cstr(&c->plan));
    }
    VEC_DONE(&list);
    return e;
}

struct err *
change_step(struct cli *cli)
{
    if (cli->joined) {
        return err_hint(
            err_new(ERR_SYNTAX, "this takes two steps, so it cannot be joined by --"),
            "give it by itself");
    } else if (cli->no_wait || cli->dry_run) {
        return NULL;
    }
    const char *comment = cli->change.comment;
    TRY(change_commit(cli));
    TRY(change_wait(cli));
    change_done(&cli->change);
    cli->change = (struct change){ .comment = comment };
    return NULL;
}

struct err *
change_commit(struct cli *cli)
{
    if (cli->change.ops.n == 0) {
        return NULL;
    }
    TRY(cli->dry_run ? dry_run(cli) : commit(cli));
    if (cli->change.said.n && !cli->quiet && !cli->dry_run) {
        fputs(buf_cstr(&cli->change.said), stdout);
    }
    return NULL;
}
