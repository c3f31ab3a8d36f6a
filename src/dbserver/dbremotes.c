/* dbserver/dbremotes.c: remotes that rows tell: --remote=db:DB,TABLE,COLUMN.
 *
 * The column holds either remotes as strings, or references to rows of a table like Manager or
 * Connection, whose columns say more: target, max_backoff, inactivity_probe, read_only, role,
 * other_config:dscp.  Into those rows goes, every STATUS_MS, what became of the remote:
 * is_connected and status.
 *
 * The rows are looked at again when a table changed that they are in. */
#define LOG_MODULE "dbserver"
#include "base/log.h"
#include "base/str.h"
#include "dbserver/remotes_i.h"
#include "dbserver/rows_i.h"

#define STATUS_MS 2500
#define SOURCE_TARGETS_MAX 1000 /* Remotes that one source may tell. */

/* A row that tells a remote. */
struct target {
    char *name; /* Of the remote. */
    char *uuid; /* Of the row. */
};

struct source {
    struct list node; /* In the server's 'sources'. */
    struct db_column from;
    uint64_t seq;               /* db_seq() when it was looked at. */
    struct db *seen;            /* The database then; only compared. */
    char *row_table;            /* Of the rows; NULL if the column holds strings. */
    VEC(struct target) targets; /* The rows as of the last look. */
};

static void
forget_targets(struct source *src)
{
    VEC_FOR_EACH (struct target *t, &src->targets) {
        free(t->name);
        free(t->uuid);
    }
    VEC_DONE(&src->targets);
}

static void
source_free(struct source *src)
{
    list_remove(&src->node);
    forget_targets(src);
    db_column_done(&src->from);
    free(src->row_table);
    free(src);
}

/* The column that a source names, if it can tell remotes. */
static MUST_CHECK struct err *
find_column(const struct dbserver *s, const struct source *src, struct served **ret_served,
            const struct column **ret_column)
{
    TRY(db_column_find(s, &src->from, ret_served, ret_column));
    const struct type *type = &(*ret_column)->type;
    if (type_is_map(type) ||
        (type->key.type != ATOM_STRING && base_type_ref(&type->key) == REF_NONE)) {
        return err_new(ERR_SYNTAX,
                       "\"%s\": the column holds neither strings nor references",
                       src->from.name);
    }
    return NULL;
}

static struct remote_options
read_options(const struct json *row)
{
    struct remote_options o = REMOTE_OPTIONS_INIT;
    const struct json *backoff = value_first(row, "max_backoff");
    const struct json *probe = value_first(row, "inactivity_probe");
    const struct json *role = value_first(row, "role");
    const char *dscp = value_of_key(row, "other_config", "dscp");
    int64_t value;

    if (json_is(backoff, JSON_INTEGER)) {
        o.max_backoff_ms = clamp64(backoff->integer, REMOTE_BACKOFF_MIN_MS, INT32_MAX);
    }
    if (json_is(probe, JSON_INTEGER) && probe->integer >= 0) {
        o.probe_ms = probe->integer ? clamp64(probe->integer, 1000, INT32_MAX) : 0;
    }
    o.read_only = json_is(value_first(row, "read_only"), JSON_TRUE);
    if (json_is(role, JSON_STRING) && role->n) {
        o.role = str_dup(role->string);
    }
    if (dscp && str_to_i64(dscp, &value) && value >= 0 && value <= 63) {
        o.dscp = (int) value;
    }
    return o;
}

/* Makes the remote 'name' be there with these options (taken). */
static void
want(struct dbserver *s, const char *name, struct remote_options *o)
{
    struct remote_entry *r = remote_find(s, name);

    if (!r) {
        log_failure(LOG_ERR, LOG_MODULE, remote_add(s, name, o, true, &r));
        return;
    } else if (!r->wanted && r->from_db) {
        remote_set_options(r, o);
    }
    r->wanted = true; /* Of two that tell the same remote the first is obeyed. */
    free(TAKE(o->role));
}

static void
look_at_row(struct dbserver *s, struct source *src, const struct json *row)
{
    const struct json *target = value_first(row, "target");
    const struct json *uuid = json_get(row, "_uuid");

    if (!json_is(target, JSON_STRING) || target->n == 0 || !uuid || uuid->n != 2) {
        return;
    }
    struct remote_options o = read_options(row);
    want(s, target->string, &o);
    *VEC_ADD(&src->targets) = (struct target){ .name = str_dup(target->string),
                                               .uuid = str_dup(uuid->elems[1].string) };
}

static const struct json *
row_by_uuid(const struct json *rows, const char *uuid)
{
    JSON_FOR_EACH (row, rows) {
        const struct json *id = json_get(row, "_uuid");
        if (id && id->n == 2 && str_eq(id->elems[1].string, uuid)) {
            return row;
        }
    }
    return NULL;
}

static void
look_at_source(struct dbserver *s, struct source *src)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const struct column *column;
    struct served *served;
    size_t n = 0;

    forget_targets(src);
    free(TAKE(src->row_table));
    served = map_get(&s->dbs, src->from.db);
    src->seen =
        served ? served->db : NULL; /* NULL: also a relay's that is not there yet. */
    src->seq = src->seen ? db_seq(src->seen) : 0;
    struct err *e = find_column(s, src, &served, &column);
    if (e && err_is(e, ERR_BUSY)) {
        err_free(e);
        return;
    } else if (e) { /* It was there once. */
        log_failure(LOG_WARN, LOG_MODULE, e);
        return;
    }
    bool refs = column->type.key.type == ATOM_UUID;
    src->row_table = refs ? str_dup(column->type.key.uuid.ref_table_name) : NULL;
    struct json holders = rows_select(served, &arena, src->from.table);
    struct json rows = refs ? rows_select(served, &arena, src->row_table) : json_array();
    JSON_FOR_EACH (holder, &holders) {
        uint32_t n_elems = 0;
        const struct json *value = json_get(holder, src->from.column);
        const struct json *elems = value ? value_elements(value, &n_elems) : NULL;
        for (uint32_t i = 0; i < n_elems && n < SOURCE_TARGETS_MAX; i++, n++) {
            const struct json *row = refs && elems[i].n == 2
                                         ? row_by_uuid(&rows, elems[i].elems[1].string)
                                         : NULL;
            if (row) {
                look_at_row(s, src, row);
            } else if (!refs) {
                struct remote_options o = REMOTE_OPTIONS_INIT;
                want(s, elems[i].string, &o);
            }
        }
    }
}

static bool
source_changed(const struct dbserver *s, const struct source *src)
{
    const struct served *served = map_get(&s->dbs, src->from.db);
    struct db *db = served ? served->db : NULL;
    uint32_t tables[2];
    struct db_wait since = { .seq = src->seq, .tables = tables };

    if (db != src->seen || !db) {
        return db != src->seen;
    }
    const struct table_schema *a = schema_find_table(db_schema(db), src->from.table);
    const struct table_schema *b =
        src->row_table ? schema_find_table(db_schema(db), src->row_table) : NULL;
    if (a) {
        tables[since.n_tables++] = a->index;
    }
    if (b) {
        tables[since.n_tables++] = b->index;
    }
    return db_wait_due(db, &since);
}

/* Makes the remotes be what the rows say. */
static void
reconcile(struct dbserver *s)
{
    LIST_FOR_EACH (struct remote_entry, r, node, &s->remotes) {
        r->wanted = false;
    }
    LIST_FOR_EACH (struct source, src, node, &s->sources) {
        look_at_source(s, src);
    }
    LIST_FOR_EACH_SAFE (struct remote_entry, r, node, &s->remotes) {
        if (r->from_db && !r->wanted) {
            remote_free(r);
        }
    }
}

static void
look(struct dbserver *s)
{
    bool any = false;

    LIST_FOR_EACH (struct source, src, node, &s->sources) {
        any |= source_changed(s, src);
    }
    if (any) {
        reconcile(s);
    }
}

static void
on_changed(void *server)
{
    struct dbserver *s = server;

    s->sources_posted = false;
    look(s);
    server_flush(s);
}

void
dbremotes_changed(struct dbserver *s)
{
    if (!list_empty(&s->sources) && !s->sources_posted && !s->closing) {
        s->sources_posted = true;
        loop_timer_set(s->sources_later, 0);
    }
}

/* What became of them, into their rows. */

static void
put_status(struct dbserver *s, struct arena *arena, const struct table_schema *table,
           const struct target *t, struct json *params)
{
    const struct column *is_connected = schema_find_column(table, "is_connected");
    const struct column *status = schema_find_column(table, "status");
    const struct remote_entry *r = remote_find(s, t->name);
    struct json row = json_object();
    struct json op = json_object();
    struct json pairs = json_array();

    if (is_connected && is_connected->type.key.type == ATOM_BOOLEAN) {
        json_put(arena, &row, "is_connected", json_bool(r && remote_is_connected(r)));
    }
    if (status && status->type.key.type == ATOM_STRING &&
        status->type.value.type == ATOM_STRING) {
        if (r) {
            remote_status(r, arena, &pairs);
        }
        json_put(arena, &row, "status", json_pair(arena, json_string_ref("map"), pairs));
    }
    if (row.n == 0) {
        return;
    }
    struct json uuid = json_pair(arena, json_string_ref("uuid"), json_string_ref(t->uuid));
    struct json clause = json_pair(arena, json_string_ref("_uuid"), json_string_ref("=="));
    struct json where = json_array();
    json_add(arena, &clause, uuid);
    json_add(arena, &where, clause);
    json_put(arena, &op, "op", json_string_ref("update"));
    json_put(arena, &op, "table", json_string_ref(table->name));
    json_put(arena, &op, "where", where);
    json_put(arena, &op, "row", row);
    json_add(arena, params, op);
}

static void
write_status(void *server)
{
    struct dbserver *s = server;

    LIST_FOR_EACH (struct remote_entry, r, node, &s->remotes) {
        remote_retry(r);
    }
    look(s); /* So that no row is gone that is written to. */
    LIST_FOR_EACH (struct source, src, node, &s->sources) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        CLEANUP(buf_done) struct buf reply = BUF_INIT;
        struct served *served = map_get(&s->dbs, src->from.db);
        const struct table_schema *table =
            served && src->row_table && !served->relay &&
                    !served->backup /* Ours to write. */
                ? schema_find_table(db_schema(served->db), src->row_table)
                : NULL;
        struct json params = json_array();
        if (!table || src->targets.n == 0) {
            continue;
        }
        json_add(&arena, &params, json_string_ref(src->from.db));
        VEC_FOR_EACH (struct target *t, &src->targets) {
            put_status(s, &arena, table, t, &params);
        }
        if (params.n > 1) {
            rows_run(served, &params, true, &reply);
        }
    }
    server_flush(s);
}

/* Sources. */

static struct source *
find_source(const struct dbserver *s, const char *name)
{
    LIST_FOR_EACH (struct source, src, node, &s->sources) {
        if (str_eq(src->from.name, name)) {
            return src;
        }
    }
    return NULL;
}

struct err *
dbremotes_add(struct dbserver *s, const char *name)
{
    const struct column *column;
    struct served *served;

    if (find_source(s, name)) {
        return NULL;
    }
    struct source *src = NEW(struct source);
    list_init(&src->node);
    struct err *e = db_column_parse(name, &src->from);
    if (!e) {
        e = find_column(s, src, &served, &column);
    }
    if (e && err_is(e, ERR_BUSY)) { /* It will be looked at when it is there. */
        err_free(TAKE(e));
    }
    if (e) {
        source_free(src);
        return e;
    }
    list_push_back(&s->sources, &src->node);
    loop_timer_repeat(s->status, STATUS_MS);
    reconcile(s);
    return NULL;
}

bool
dbremotes_remove(struct dbserver *s, const char *name)
{
    struct source *src = find_source(s, name);
    if (!src) {
        return false;
    }
    source_free(src);
    reconcile(s);
    return true;
}

void
dbremotes_list(const struct dbserver *s, struct strvec *out)
{
    LIST_FOR_EACH (struct source, src, node, &s->sources) {
        strvec_add(out, src->from.name);
    }
}

void
dbremotes_init(struct dbserver *s)
{
    list_init(&s->sources);
    s->status = loop_timer_new(s->loop, write_status, s);
    s->sources_later = loop_timer_new(s->loop, on_changed, s);
}

void
dbremotes_free(struct dbserver *s)
{
    while (!list_empty(&s->sources)) {
        source_free(CONTAINER_OF(s->sources.next, struct source, node));
    }
    loop_timer_free(TAKE(s->status));
    loop_timer_free(TAKE(s->sources_later));
}
