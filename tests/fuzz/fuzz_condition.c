/* tests/fuzz/fuzz_condition.c: clients with conditions, and what they know.
 *
 * The input is a program, a choice a byte: monitors come with conditions and change them, rows come,
 * change and go, clients stop to read and catch up, leave and come back with what they knew.  Each client has a copy of what it
 * was told, kept by rules of its own (RFC 7047, ovsdb-server(7)) on JSON; after each step it must be
 * what "select" finds for its conditions, one clause at a time. */
#include "base/uuid.h"
#include "base/vec.h"
#include "db/db.h"
#include "db/history_i.h"
#include "db/monitor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

enum {
    N_TABLES = 2,
    N_COLUMNS = 11,
    N_ROWS = 4,
    MAX_CLIENTS = 6,
    MAX_KEPT = 3,
    MAX_STEPS = 60
};

/* Both tables have these columns; the first two are everybody's.  'is_delta': more than one element
 * fits, so that changes come as differences. */
static const struct {
    const char *name, *type;
    bool is_delta;
    const char *values[5]; /* The first one is the default. */
} columns[N_COLUMNS] = {
    { "_uuid", NULL, false, { NULL } },
    { "_version", NULL, false, { NULL } },
    { "i", "\"integer\"", false, { "0", "1", "2", "-1", "7" } },
    { "o",
      "{\"key\":\"integer\",\"min\":0}",
      false,
      { "[\"set\",[]]", "0", "1", "2", "[\"set\",[1]]" } },
    { "s", "\"string\"", false, { "\"\"", "\"a\"", "\"b\"", "\"ab\"", "\"c\"" } },
    { "r", "\"real\"", false, { "0", "1.5", "-2", "1", "2.25" } },
    { "b", "\"boolean\"", false, { "false", "true", "false", "true", "true" } },
    { "t",
      "{\"key\":\"string\",\"min\":0,\"max\":\"unlimited\"}",
      true,
      { "[\"set\",[]]", "\"a\"", "[\"set\",[\"a\",\"b\"]]", "[\"set\",[\"b\",\"c\",\"d\"]]",
        "\"b\"" } },
    { "n",
      "{\"key\":\"integer\",\"min\":0,\"max\":2},\"ephemeral\":true",
      true,
      { "[\"set\",[]]", "1", "[\"set\",[1,2]]", "2", "[\"set\",[2,3]]" } },
    { "m",
      "{\"key\":\"string\",\"value\":\"integer\",\"min\":0,\"max\":\"unlimited\"}",
      true,
      { "[\"map\",[]]", "[\"map\",[[\"k\",1]]]", "[\"map\",[[\"k\",2]]]",
        "[\"map\",[[\"k\",1],[\"l\",1]]]", "[\"map\",[[\"l\",2],[\"j\",0]]]" } },
    { "w",
      "{\"key\":{\"type\":\"uuid\",\"refTable\":\"B\",\"refType\":\"weak\"},\"min\":0,\"max\":3}",
      true,
      { NULL } }, /* As _uuid: any row, or none. */
};

static const char *const tables[N_TABLES] = { "A", "B" };

/* What a client knows of a value: its elements, in order; "key=value" for maps. */
struct cell {
    size_t n;
    const char *v[8];
};

struct known {
    struct known *next;
    int table;
    const char *uuid;
    struct cell cells[N_COLUMNS];
};

struct ask {
    bool wanted, checked; /* Of the table.  Checked: everything is told, so all must fit. */
    unsigned shown;       /* Bit per column. */
    const char *select;   /* ,"select":{...}, or "". */
    const char *where;    /* An array; NULL: none. */
};

struct client {
    struct monitor *m; /* NULL: free, or left. */
    enum monitor_version version;
    struct ask asks[N_TABLES];
    struct known *rows;
    struct uuid last_id; /* Of those that left. */
    bool stuck;          /* Does not read, since: */
    uint64_t told_seq;
    struct history_hold *hold;
};

struct fuzz {
    const uint8_t *at, *end;
    struct arena arena;
    struct db *db;
    struct client clients[MAX_CLIENTS], kept[MAX_KEPT];
};

static unsigned
pick(struct fuzz *f, unsigned n)
{
    return f->at < f->end ? *f->at++ % n : 0;
}

static struct json
parse(struct fuzz *f, const char *text)
{
    struct json j;
    struct err *e = json_parse_str(&f->arena, text, &j);
    ASSERT(!e);
    return j;
}

/* Of one of a few rows. */
static const char *
uuid_name(struct fuzz *f)
{
    return arena_printf(&f->arena, "\"%08x-0000-4000-8000-000000000000\"",
                        pick(f, N_ROWS + 1));
}

static const char *
uuid_text(struct fuzz *f)
{
    return arena_printf(&f->arena, "[\"uuid\",%s]", uuid_name(f));
}

static const char *
value(struct fuzz *f, unsigned column)
{
    if (columns[column].values[0]) {
        return columns[column].values[pick(f, N_ELEMS(columns[0].values))];
    } else if (strcmp(columns[column].name, "w") == 0 && pick(f, 3) == 0) {
        return arena_printf(&f->arena, "[\"set\",[%s]]", pick(f, 2) ? uuid_text(f) : "");
    }
    return uuid_text(f);
}

/* Mostly a clause that makes sense; now and then bytes of the input as they are. */
static const char *
clause(struct fuzz *f)
{
    static const char *const ops[] = { "==", "includes", "!=", "excludes", "includes",
                                       "<",  ">=",       "<=", ">",        "==" };
    unsigned column = pick(f, N_COLUMNS), op = pick(f, N_ELEMS(ops)), what = pick(f, 16);
    struct json j;

    if (what == 0) {
        return pick(f, 2) ? "true" : "false";
    } else if (what == 1) {
        return arena_printf(&f->arena, "[\"%s\",\"%s\",%s]", columns[column].name, ops[op],
                            value(f, pick(f, N_COLUMNS)));
    } else if (what == 2) {
        size_t n = pick(f, 64);
        n = n < (size_t) (f->end - f->at) ? n : (size_t) (f->end - f->at);
        char *text = arena_dup(&f->arena, (const char *) f->at, n);
        f->at += n;
        struct err *e = json_parse(&f->arena, text, n, &j);
        if (!e) {
            return text;
        }
        err_free(e);
    }
    return arena_printf(&f->arena, "[\"%s\",\"%s\",%s]", columns[column].name, ops[op],
                        value(f, column));
}

static const char *
where(struct fuzz *f)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    unsigned n = pick(f, 5);
    buf_char(&b, '[');
    for (unsigned i = 0; i < n; i++) {
        buf_printf(&b, "%s%s", i ? "," : "", clause(f));
    }
    buf_char(&b, ']');
    return arena_str(&f->arena, buf_cstr(&b));
}

/* Clients' copies. */

static int
text_cmp(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static const char *
element(struct fuzz *f, const struct json *j)
{
    CLEANUP(free_drop) char *text = json_text(j, JSON_SORTED | JSON_15G);
    return arena_str(&f->arena, text);
}

static struct cell
cell_of(struct fuzz *f, const struct json *j)
{
    struct cell c = { 0 };
    bool set = j->type == JSON_ARRAY && j->n == 2 && json_is(&j->elems[0], JSON_STRING) &&
               strcmp(j->elems[0].string, "uuid") != 0;
    bool map = set && strcmp(j->elems[0].string, "map") == 0;
    if (!set) {
        c.v[c.n++] = element(f, j);
        return c;
    }
    ASSERT(j->elems[1].n <= N_ELEMS(c.v));
    JSON_FOR_EACH (e, &j->elems[1]) {
        c.v[c.n++] = map ? arena_printf(&f->arena, "%s=%s", element(f, &e->elems[0]),
                                        element(f, &e->elems[1]))
                         : element(f, e);
    }
    qsort(c.v, c.n, sizeof *c.v, text_cmp);
    return c;
}

static bool
cell_eq(const struct cell *a, const struct cell *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        if (strcmp(a->v[i], b->v[i]) != 0) {
            return false;
        }
    }
    return a->n == b->n;
}

/* Bytes before the '=' of a map's pair, or all of a set's element. */
static size_t
key_length(const char *element)
{
    const char *sign = strchr(element, '=');
    return sign ? (size_t) (sign - element) : strlen(element);
}

/* What is in both goes, what is in one stays; of two values for a key the new one. */
static void
cell_apply(struct cell *c, const struct cell *delta)
{
    for (size_t i = 0; i < delta->n; i++) {
        const char *d = delta->v[i];
        size_t k = 0;
        while (k < c->n && (key_length(c->v[k]) != key_length(d) ||
                            memcmp(c->v[k], d, key_length(d)) != 0)) {
            k++;
        }
        if (k == c->n) {
            ASSERT(c->n < N_ELEMS(c->v));
            c->v[c->n++] = d;
        } else if (strcmp(c->v[k], d) == 0) {
            c->v[k] = c->v[--c->n];
        } else {
            c->v[k] = d;
        }
    }
    if (c->n) {
        qsort(c->v, c->n, sizeof *c->v, text_cmp);
    }
}

static struct known **
find(struct client *c, int table, const char *uuid)
{
    struct known **p = &c->rows;
    while (*p && ((*p)->table != table || strcmp((*p)->uuid, uuid) != 0)) {
        p = &(*p)->next;
    }
    return p;
}

static int
column_index(const char *name)
{
    for (int i = 0; i < N_COLUMNS; i++) {
        if (strcmp(columns[i].name, name) == 0) {
            return i;
        }
    }
    ASSERT(!"a column that was asked for");
}

static void
set_cells(struct fuzz *f, const struct ask *a, struct known *row, const struct json *j,
          bool delta)
{
    JSON_FOR_EACH_MEMBER (m, j) {
        int i = column_index(m->name);
        struct cell c = cell_of(f, &m->value);
        ASSERT(a->shown >> i & 1);
        if (delta && columns[i].is_delta) {
            cell_apply(&row->cells[i], &c);
        } else {
            row->cells[i] = c;
        }
    }
}

static struct known *
add_row(struct fuzz *f, struct client *c, int table, const char *uuid)
{
    struct known *row = ARENA_NEW(&f->arena, struct known);
    *row = (struct known){ .next = c->rows, .table = table, .uuid = uuid };
    for (int i = 2; i < N_COLUMNS; i++) {
        struct json j =
            parse(f, columns[i].values[0] ? columns[i].values[0] : "[\"set\",[]]");
        row->cells[i] = cell_of(f, &j);
    }
    c->rows = row;
    return row;
}

static void
apply_v2(struct fuzz *f, struct client *c, int table, const char *uuid,
         const struct json_member *kind)
{
    struct known **p = find(c, table, uuid);
    if (strcmp(kind->name, "delete") == 0) {
        ASSERT(*p);
        *p = (*p)->next;
    } else if (strcmp(kind->name, "modify") == 0) {
        ASSERT(*p);
        set_cells(f, &c->asks[table], *p, &kind->value, true);
    } else {
        ASSERT(!*p);
        set_cells(f, &c->asks[table], add_row(f, c, table, uuid), &kind->value, false);
    }
}

static void
apply_v1(struct fuzz *f, struct client *c, int table, const char *uuid,
         const struct json *row)
{
    struct known **p = find(c, table, uuid);
    const struct json *new = json_get(row, "new"), *old = json_get(row, "old");
    ASSERT(!old == !*p);
    for (uint32_t i = 0; old && i < old->n; i++) {
        struct cell was = cell_of(f, &old->members[i].value);
        ASSERT(cell_eq(&was, &(*p)->cells[column_index(old->members[i].name)]));
    }
    if (!new) {
        *p = (*p)->next;
    } else {
        set_cells(f, &c->asks[table], *p ? *p : add_row(f, c, table, uuid), new, false);
    }
}

static void
apply(struct fuzz *f, struct client *c, const struct bytes *updates)
{
    struct json j;
    struct err *e = json_parse(&f->arena, updates->data, updates->n, &j);
    ASSERT(!e);
    JSON_FOR_EACH_MEMBER (t, &j) {
        int table = strcmp(t->name, tables[0]) != 0;
        ASSERT(c->asks[table].wanted && t->value.n > 0);
        for (uint32_t i = 0; c->asks[table].checked && i < t->value.n; i++) {
            const struct json_member *row = &t->value.members[i];
            if (c->version == MONITOR_V1) {
                apply_v1(f, c, table, row->name, &row->value);
            } else {
                ASSERT(row->value.n == 1);
                apply_v2(f, c, table, row->name, &row->value.members[0]);
            }
        }
    }
}

/* What should be there: a "select" for each clause. */

static enum db_outcome
run(struct fuzz *f, const char *ops, struct buf *reply, struct txn **ret)
{
    struct json params = parse(f, arena_printf(&f->arena, "[\"D\",%s]", ops));
    struct db_ctx ctx = { 0 };
    struct db_wait wait;
    return db_transact(f->db, &params, &ctx, reply, ret, &wait);
}

static void
select_into(struct fuzz *f, struct client *want, int table, const char *clause)
{
    CLEANUP(buf_done) struct buf reply = BUF_INIT;
    struct txn *txn;
    enum db_outcome outcome =
        run(f,
            arena_printf(&f->arena, "{\"op\":\"select\",\"table\":\"%s\",\"where\":[%s]}",
                         tables[table], clause),
            &reply, &txn);
    ASSERT(outcome == DB_DONE);
    struct json j = parse(f, arena_dup(&f->arena, reply.data, reply.n));
    const struct json *rows = json_get(&j.elems[0], "rows");
    ASSERT(rows);
    JSON_FOR_EACH (r, rows) {
        const char *uuid = json_get(r, "_uuid")->elems[1].string;
        if (!*find(want, table, uuid)) {
            struct known *row = add_row(f, want, table, uuid);
            set_cells(f, &want->asks[table], row, r, false);
        }
    }
}

static void
check(struct fuzz *f, struct client *c)
{
    struct client want = { .asks = { { .shown = ~0u }, { .shown = ~0u } } };
    size_t n = 0, n_want = 0;
    for (int t = 0; t < N_TABLES; t++) {
        if (!c->asks[t].checked) {
            continue;
        }
        struct json clauses = parse(f, c->asks[t].where ? c->asks[t].where : "[]");
        if (clauses.n == 0) {
            select_into(f, &want, t, "");
        }
        JSON_FOR_EACH (cl, &clauses) {
            select_into(f, &want, t, element(f, cl));
        }
    }
    for (struct known *row = c->rows; row; row = row->next) {
        n++;
    }
    for (struct known *row = want.rows; row; row = row->next, n_want++) {
        struct known *has = *find(c, row->table, row->uuid);
        ASSERT(has);
        for (int i = 0; i < N_COLUMNS; i++) {
            ASSERT(!(c->asks[row->table].shown >> i & 1) ||
                   cell_eq(&has->cells[i], &row->cells[i]));
        }
    }
    ASSERT(n == n_want);
}

static void
check_all(struct fuzz *f)
{
    for (int i = 0; i < MAX_CLIENTS; i++) {
        if (f->clients[i].m && !f->clients[i].stuck) {
            check(f, &f->clients[i]);
        }
    }
}

/* Steps. */

static void
on_update(void *f, struct monitor *m, struct bytes *updates)
{
    struct client *c = monitor_user(m);
    if (!c->stuck) {
        apply(f, c, updates);
    }
}

static void
leave(struct fuzz *f, struct client *c)
{
    db_unhold(f->db, TAKE(c->hold));
    monitor_free(TAKE(c->m));
    c->stuck = false;
}

/* It stops to read, sometimes without anybody's holding its state; or it reads again. */
static void
step_read(struct fuzz *f)
{
    struct client *c = &f->clients[pick(f, MAX_CLIENTS)];
    unsigned hold = pick(f, 4);
    if (!c->m) {
        return;
    } else if (!c->stuck) {
        c->stuck = true;
        c->told_seq = db_seq(f->db);
        c->hold = hold ? db_hold(f->db, c->told_seq) : NULL;
        ASSERT(!hold || c->hold);
        return;
    }
    CLEANUP(bytes_drop) struct bytes *missed = monitor_missed(c->m, c->told_seq);
    ASSERT(missed || !c->hold);
    if (missed) {
        c->stuck = false;
        db_unhold(f->db, TAKE(c->hold));
        apply(f, c, missed);
    } else {
        leave(f, c);
    }
}

static void
print_columns(struct buf *b, unsigned shown)
{
    bool first = true;
    for (int i = 0; i < N_COLUMNS; i++) {
        if (shown >> i & 1) {
            buf_printf(b, "%s\"%s\"", first ? "" : ",", columns[i].name);
            first = false;
        }
    }
}

/* One request a table, or two: then only the first one's condition counts. */
static const char *
requests(struct fuzz *f, const struct client *c, bool in_two)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    buf_char(&b, '{');
    for (int t = 0; t < N_TABLES; t++) {
        const struct ask *a = &c->asks[t];
        if (!a->wanted) {
            continue;
        }
        unsigned first = in_two ? a->shown & 0x2aa : a->shown;
        buf_printf(&b, "%s\"%s\":[{\"columns\":[", b.n > 1 ? "," : "", tables[t]);
        print_columns(&b, first);
        buf_printf(&b, "]%s", a->select);
        if (a->where) {
            buf_printf(&b, ",\"where\":%s", a->where);
        }
        if (in_two) {
            buf_str(&b, "},{\"columns\":[");
            print_columns(&b, a->shown & ~first);
            buf_printf(&b, "]%s%s", a->select,
                       c->version == MONITOR_V1 ? "" : ",\"where\":[false]");
        }
        buf_str(&b, "}]");
    }
    buf_char(&b, '}');
    return arena_str(&f->arena, buf_cstr(&b));
}

/* Where a new client may sit, or NULL. */
static struct client *
free_client(struct fuzz *f)
{
    for (int i = 0; i < MAX_CLIENTS; i++) {
        if (!f->clients[i].m) {
            return &f->clients[i];
        }
    }
    return NULL;
}

static bool
start(struct fuzz *f, struct client *c, bool in_two)
{
    struct json j = parse(f, requests(f, c, in_two));
    struct err *e = monitor_new(f->db, &j, c->version, c, &c->m);
    bool ok = !e;
    err_free(e);
    return ok;
}

static void
step_come(struct fuzz *f)
{
    static const char *const selects[] = {
        ",\"select\":{\"initial\":false}", ",\"select\":{\"modify\":false}",
        ",\"select\":{\"insert\":false,\"delete\":false}"
    };
    struct client *c = free_client(f);
    if (!c) {
        return;
    }
    *c = (struct client){ .version = (enum monitor_version) pick(f, 3) };
    for (int t = 0; t < N_TABLES; t++) {
        unsigned bits = pick(f, 256), kind = pick(f, 16);
        c->asks[t] =
            (struct ask){ .wanted = bits != 1,
                          .checked = bits != 1 && kind >= N_ELEMS(selects),
                          .shown = (bits << 2 | bits >> 7) & ((1u << N_COLUMNS) - 1),
                          .select = kind < N_ELEMS(selects) ? selects[kind] : "",
                          .where =
                              c->version != MONITOR_V1 && pick(f, 4) ? where(f) : NULL };
    }
    if (start(f, c, pick(f, 8) == 0)) {
        CLEANUP(bytes_drop) struct bytes *initial = monitor_initial(c->m);
        apply(f, c, initial);
    }
}

static void
step_change(struct fuzz *f)
{
    struct client *c = &f->clients[pick(f, MAX_CLIENTS)];
    unsigned which = 1 + pick(f, 3);
    const char *new[N_TABLES] = { NULL, NULL };
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    CLEANUP(bytes_drop) struct bytes *updates = NULL;

    if (!c->m || c->stuck || c->version == MONITOR_V1) {
        return;
    }
    buf_char(&b, '{');
    for (int t = 0; t < N_TABLES; t++) {
        if (which >> t & 1 && c->asks[t].wanted) {
            new[t] = where(f);
            buf_printf(&b, "%s\"%s\":[{\"where\":%s}]", b.n > 1 ? "," : "", tables[t],
                       new[t]);
        }
    }
    buf_char(&b, '}');
    struct json j = parse(f, arena_str(&f->arena, buf_cstr(&b)));
    struct err *e = monitor_change(c->m, &j, &updates);
    for (int t = 0; t < N_TABLES && !e; t++) {
        c->asks[t].where = new[t] ? new[t] : c->asks[t].where;
    }
    err_free(e);
    if (updates) {
        apply(f, c, updates);
    }
}

static void
step_leave(struct fuzz *f)
{
    struct client *c = &f->clients[pick(f, MAX_CLIENTS)];
    unsigned keep = pick(f, MAX_KEPT + 1);
    if (c->m && !c->stuck && keep < MAX_KEPT) {
        f->kept[keep] = *c;
        f->kept[keep].m = NULL;
        f->kept[keep].last_id = *db_last_id(f->db);
    }
    leave(f, c);
}

/* It comes back with what it knew: what it missed must make that true again. */
static void
step_return(struct fuzz *f)
{
    struct client *c = free_client(f);
    struct client *kept = &f->kept[pick(f, MAX_KEPT)];
    bool two = pick(f, 8) == 0;
    if (!c || uuid_is_zero(&kept->last_id)) {
        return;
    }
    *c = *kept;
    *kept = (struct client){ 0 };
    bool ok = start(f, c, two);
    ASSERT(ok || two); /* In two, as many columns may be none. */
    CLEANUP(bytes_drop) struct bytes *missed = ok ? monitor_since(c->m, &c->last_id) : NULL;
    if (missed) {
        apply(f, c, missed);
    } else if (ok) {
        leave(f, c);
    }
}

static void
add_op(struct fuzz *f, struct buf *b)
{
    static const char *const mutations[] = {
        "[\"i\",\"+=\",1]",
        "[\"t\",\"insert\",\"d\"]",
        "[\"t\",\"delete\",\"a\"]",
        "[\"r\",\"*=\",-1]",
        "[\"m\",\"delete\",\"k\"]",
        "[\"o\",\"insert\",1]",
        "[\"m\",\"insert\",[\"map\",[[\"k\",2]]]]",
        "[\"n\",\"insert\",[\"set\",[1]]]",
    };
    const char *table = tables[pick(f, N_TABLES)];
    unsigned kind = pick(f, 8);
    const char *row_where =
        pick(f, 4) ? arena_printf(&f->arena, "[\"_uuid\",\"==\",%s]", uuid_text(f)) : "";
    unsigned column = 2 + pick(f, N_COLUMNS - 2), other = 2 + pick(f, N_COLUMNS - 2);
    if (kind < 3) {
        buf_printf(b, "{\"op\":\"insert\",\"table\":\"%s\",\"uuid\":%s,\"row\":{", table,
                   uuid_name(f));
    } else if (kind < 6) {
        buf_printf(b, "{\"op\":\"update\",\"table\":\"%s\",\"where\":[%s],\"row\":{", table,
                   row_where);
    } else if (kind == 6) {
        buf_printf(b,
                   "{\"op\":\"mutate\",\"table\":\"%s\",\"where\":[%s],\"mutations\":[%s]}",
                   table, row_where, mutations[pick(f, N_ELEMS(mutations))]);
        return;
    } else {
        buf_printf(b, "{\"op\":\"delete\",\"table\":\"%s\",\"where\":[%s]}", table,
                   row_where);
        return;
    }
    buf_printf(b, "\"%s\":%s", columns[column].name, value(f, column));
    if (other != column) {
        buf_printf(b, ",\"%s\":%s", columns[other].name, value(f, other));
    }
    buf_str(b, "}}");
}

static void
step_transact(struct fuzz *f)
{
    CLEANUP(buf_done) struct buf ops = BUF_INIT;
    CLEANUP(buf_done) struct buf reply = BUF_INIT;
    struct txn *txn;
    unsigned n = 1 + pick(f, 4);
    for (unsigned i = 0; i < n; i++) {
        if (i) {
            buf_char(&ops, ',');
        }
        add_op(f, &ops);
    }
    if (run(f, buf_cstr(&ops), &reply, &txn) == DB_PREPARED) {
        db_txn_commit(txn, on_update, f);
    }
}

static struct schema *
make_schema(void)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    struct schema *schema;
    buf_str(&b, "{\"name\":\"D\",\"tables\":{");
    for (int t = 0; t < N_TABLES; t++) {
        buf_printf(&b, "%s\"%s\":{\"isRoot\":true,\"columns\":{", t ? "," : "", tables[t]);
        for (int i = 2; i < N_COLUMNS; i++) {
            buf_printf(&b, "%s\"%s\":{\"type\":%s}", i > 2 ? "," : "", columns[i].name,
                       columns[i].type);
        }
        buf_str(&b, "}}");
    }
    buf_str(&b, "}}");
    struct err *e = schema_parse_text(b.data, b.n, &schema);
    ASSERT(!e);
    return schema;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static void (*const steps[])(struct fuzz *) = {
        step_transact, step_come,     step_change, step_transact,
        step_leave,    step_transact, step_return, step_read,
    };
    static struct schema *schema;
    schema = schema ? schema : make_schema();

    struct fuzz f = { .at = data, .end = data + n_bytes, .db = db_new(schema) };
    f.db->history->n_max =
        4; /* So that states are forgotten, or folded for who holds them. */
    for (int i = 0; i < MAX_STEPS && f.at < f.end; i++) {
        steps[pick(&f, N_ELEMS(steps))](&f);
        check_all(&f);
    }
    for (int i = 0; i < MAX_CLIENTS; i++) {
        leave(&f, &f.clients[i]);
    }
    db_free(f.db);
    arena_done(&f.arena);
    return 0;
}
