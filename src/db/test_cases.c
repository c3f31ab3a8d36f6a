/* db/test_cases.c: runs tests/cases/db/ *.case: what a client says ('>') and what comes of it ('<').
 *
 *     > schema SCHEMA              a new, empty database
 *     > transact [OP, ...]         < reply [...], or < parked timeout MS reads [TABLE, ...]
 *     > transact_ro, transact_at MS, transact_full [OP, ...]
 *     > transact_as ROLE ID [OP, ...]
 *                                  read-only; MS after it came; with a journal that cannot write
 *     > record                     < what the journal got last, without _date
 *     > replay RECORD              < ok, or < error {...}
 *     > convert SCHEMA             < ok, or < error {...}
 *     > restart                    the content goes through a snapshot into a new database
 *     > due                        < yes or < no: should the last parked one run again?
 *     > monitor NAME 1|2 REQUESTS  < reply {...}; from then on < NAME {...} before each reply
 *     > change NAME REQUESTS       new conditions
 *     > cancel NAME
 *     > lock|steal|unlock CLIENT PARAMS, > gone CLIENT
 *
 * UUIDs are "#0", "#1", ... in the order in which they were first seen, in what comes and in what
 * goes; _version is left out; rows and sets come in a canonical order.
 *
 * With BYRE_BLESS=1 in the environment the files are rewritten with what came: read the diff. */
#include <dirent.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/str.h"
#include "data/rfc7047.h"
#include "db/db.h"
#include "db/monitor.h"
#include "test.h"

enum { MAX_MONITORS = 8, MAX_CLIENTS = 4 };

struct run {
    const char *file;
    struct arena arena;
    struct schema *schema;
    struct db *db;
    struct db_wait wait;
    struct buf record;
    struct strvec uuids; /* The known ones, by number. */
    struct {
        char *name;
        struct monitor *m;
        struct bytes *updates; /* What it got. */
    } monitors[MAX_MONITORS];
    struct lock_server locks;
    struct lock_session clients[MAX_CLIENTS]; /* "a", "b", ... */
    struct buf out;                           /* Lines of "< ...". */
    struct buf blessed;                       /* The file as it came out. */
};

static int
uuid_number(struct run *r, const char *uuid, bool learn)
{
    for (size_t i = 0; i < r->uuids.n; i++) {
        if (strcmp(r->uuids.v[i], uuid) == 0) {
            return (int) i;
        }
    }
    if (learn) {
        strvec_add(&r->uuids, uuid);
        return (int) r->uuids.n - 1;
    }
    return -1;
}

static bool
is_uuid(const char *s)
{
    struct uuid unused;
    return uuid_parse(s, &unused);
}

static void canon(struct run *, const struct json *, bool masked, struct buf *);

/* UUIDs inside a text count as well: errors name rows. */
static void
canon_string(struct run *r, const char *s, bool masked, struct buf *buf)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    while (*s) {
        char uuid[UUID_CHARS + 1] = { 0 };
        strncpy(uuid, s, UUID_CHARS);
        if (!is_uuid(uuid)) {
            buf_char(&text, *s++);
            continue;
        }
        s += UUID_CHARS;
        if (masked) {
            int known = uuid_number(r, uuid, false); /* New ones sort last. */
            buf_printf(&text, "#%08d", known < 0 ? 99999999 : known);
        } else {
            buf_printf(&text, "#%d", uuid_number(r, uuid, true));
        }
    }
    json_print_string(buf_cstr(&text), text.n, buf);
}

struct item {
    const struct json *value;
    const char *name;
    char *key;
};

static int
item_cmp(const void *a, const void *b)
{
    return strcmp(((const struct item *) a)->key, ((const struct item *) b)->key);
}

/* Members by name, or by value if the names are UUIDs; elements by value if 'sort'. */
static void
canon_items(struct run *r, const struct json *j, bool sort, bool masked, struct buf *buf)
{
    bool object = j->type == JSON_OBJECT;
    struct item *items = xcalloc(j->n + 1, sizeof *items);
    size_t n = 0;
    for (uint32_t i = 0; i < j->n; i++) {
        const char *name = object ? j->members[i].name : NULL;
        const struct json *value = object ? &j->members[i].value : &j->elems[i];
        if (name && (strcmp(name, "_version") == 0 || strcmp(name, "_date") == 0)) {
            continue;
        }
        struct buf key = BUF_INIT;
        if (name && !is_uuid(name)) {
            buf_str(&key, name);
        } else {
            canon(r, value, true, &key);
            if (name) {
                canon_string(r, name, true, &key);
            }
        }
        items[n++] = (struct item){ value, name, buf_take(&key) };
    }
    if (object || sort) {
        qsort(items, n, sizeof *items, item_cmp);
    }
    for (size_t i = 0; i < n; i++) {
        buf_str(buf, i ? "," : "");
        if (object) {
            canon_string(r, items[i].name, masked, buf);
            buf_char(buf, ':');
        }
        bool is_set = !object && n == 2 && i == 1 && items[0].value->type == JSON_STRING &&
                      strcmp(items[0].value->string, "set") == 0;
        bool is_rows = object && strcmp(items[i].name, "rows") == 0;
        if ((is_set || is_rows) && items[i].value->type == JSON_ARRAY) {
            buf_char(buf, '[');
            canon_items(r, items[i].value, true, masked, buf);
            buf_char(buf, ']');
        } else {
            canon(r, items[i].value, masked, buf);
        }
        free(items[i].key);
    }
    free(items);
}

static void
canon(struct run *r, const struct json *j, bool masked, struct buf *buf)
{
    if (j->type == JSON_OBJECT || j->type == JSON_ARRAY) {
        bool object = j->type == JSON_OBJECT;
        buf_char(buf, object ? '{' : '[');
        canon_items(r, j, false, masked, buf);
        buf_char(buf, object ? '}' : ']');
    } else if (j->type == JSON_STRING) {
        canon_string(r, j->string, masked, buf);
    } else {
        json_print(j, JSON_15G, buf);
    }
}

/* "< WORD JSON" */
static void
say(struct run *r, const char *word, const char *text, size_t n)
{
    struct json j;
    CHECK_OK(word, json_parse(&r->arena, text, n, &j));
    buf_printf(&r->out, "< %s ", word);
    canon(r, &j, false, &r->out);
    buf_char(&r->out, '\n');
}

static void
say_error(struct run *r, const char *word, struct err *e)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    rfc_print(e, &text);
    say(r, word, text.data, text.n);
    err_free(e);
}

/* JSON of a case, with "#N" for UUIDs. */
static struct json
input(struct run *r, const char *text)
{
    CLEANUP(buf_done) struct buf buf = BUF_INIT;
    for (const char *p = text; *p; p++) {
        unsigned number;
        int n;
        if (p[0] == '"' && p[1] == '#' && sscanf(p + 2, "%u\"%n", &number, &n) == 1) {
            CHECK("a UUID that was seen", number < r->uuids.n);
            buf_printf(&buf, "\"%s\"", r->uuids.v[number]);
            p += 1 + n;
        } else {
            buf_char(&buf, *p);
        }
    }
    struct json j;
    CHECK_OK(text, json_parse_str(&r->arena, buf_cstr(&buf), &j));
    return j;
}

static void
deliver(void *r_, struct monitor *m, struct bytes *updates)
{
    struct run *r = r_;
    for (size_t i = 0; i < MAX_MONITORS; i++) {
        if (r->monitors[i].m == m) {
            ASSERT(!r->monitors[i].updates);
            r->monitors[i].updates = bytes_ref(updates);
        }
    }
}

/* In the order of the monitors, which the database does not promise. */
static void
say_updates(struct run *r)
{
    for (size_t i = 0; i < MAX_MONITORS; i++) {
        CLEANUP(bytes_drop) struct bytes *updates = TAKE(r->monitors[i].updates);
        if (updates) {
            say(r, r->monitors[i].name, updates->data, updates->n);
        }
    }
}

static void
close_db(struct run *r)
{
    for (size_t i = 0; i < MAX_MONITORS; i++) {
        monitor_free(r->monitors[i].m);
        free(r->monitors[i].name);
        r->monitors[i].m = NULL;
        r->monitors[i].name = NULL;
    }
    db_wait_done(&r->wait);
    db_drop(&r->db);
    schema_drop(&r->schema);
    buf_clear(&r->record);
}

static void
do_schema(struct run *r, const char *text)
{
    close_db(r);
    struct json j = input(r, text);
    CHECK_OK(r->file, schema_parse(&j, &r->schema));
    r->db = db_new(r->schema);
}

static void
say_parked(struct run *r)
{
    buf_printf(&r->out, "< parked timeout %" PRId64 " reads", r->wait.timeout_ms);
    for (size_t i = 0; i < r->wait.n_tables; i++) {
        buf_printf(&r->out, " %s", r->schema->tables[r->wait.tables[i]].name);
    }
    buf_char(&r->out, '\n');
}

static void
do_transact(struct run *r, const char *ops, struct db_ctx ctx, bool full)
{
    CLEANUP(buf_done) struct buf reply = BUF_INIT;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct json j;
    buf_printf(&text, "[\"D\"%s%s", ops[1] == ']' ? "" : ",", ops + 1);
    j = input(r, buf_cstr(&text));

    struct txn *txn;
    struct db_wait wait;
    ctx.locks = &r->clients[0];
    enum db_outcome outcome = db_transact(r->db, &j, &ctx, &reply, &txn, &wait);
    if (outcome == DB_PARKED) {
        CHECK_INT("no reply when parked", (int64_t) reply.n, 0);
        db_wait_done(&r->wait);
        r->wait = wait;
        say_parked(r);
        return;
    }
    if (outcome == DB_PREPARED && full) {
        CLEANUP(err_drop) struct err *e = err_io(28, "F: write failed");
        db_txn_abort(txn, e, &reply);
    } else if (outcome == DB_PREPARED) {
        buf_clear(&r->record);
        buf_add(&r->record, db_txn_record(txn)->data, db_txn_record(txn)->n);
        db_txn_commit(txn, deliver, r);
        say_updates(r);
    }
    say(r, "reply", reply.data, reply.n);
}

static void
do_replay(struct run *r, const char *text)
{
    struct json j = input(r, text);
    struct err *e = db_replay_deliver(r->db, &j, deliver, r);
    say_updates(r);
    if (e) {
        say_error(r, "error", e);
    } else {
        buf_str(&r->out, "< ok\n");
    }
}

static void
do_restart(struct run *r)
{
    CLEANUP(buf_done) struct buf all = BUF_INIT;
    struct json j;
    struct schema *schema = schema_ref(r->schema);
    db_snapshot(r->db, 0, NULL, &all);
    close_db(r);
    r->schema = schema;
    r->db = db_new(schema);
    CHECK_OK(r->file, json_parse(&r->arena, all.data, all.n, &j));
    CHECK_OK(r->file, db_replay(r->db, &j));
}

static void
do_convert(struct run *r, const char *text)
{
    struct json j = input(r, text);
    CLEANUP(schema_drop) struct schema *schema = NULL;
    struct db *db;
    struct err *e = schema_parse(&j, &schema);
    if (!e) {
        e = db_convert(r->db, schema, &db);
    }
    if (e) {
        say_error(r, "error", e);
        return;
    }
    close_db(r);
    r->schema = TAKE(schema);
    r->db = db;
    buf_str(&r->out, "< ok\n");
}

static size_t
find_monitor(struct run *r, const char *name)
{
    for (size_t i = 0; i < MAX_MONITORS; i++) {
        if (str_eq(r->monitors[i].name, name)) {
            return i;
        }
    }
    return MAX_MONITORS;
}

static void
do_monitor(struct run *r, const char *name, const char *version, const char *requests)
{
    struct json j = input(r, requests);
    size_t i = find_monitor(r, NULL);
    CHECK("room for a monitor", i < MAX_MONITORS);
    r->monitors[i].name = str_dup(name);
    struct err *e = monitor_new(r->db, &j, *version == '1' ? MONITOR_V1 : MONITOR_V2,
                                r->monitors[i].name, &r->monitors[i].m);
    if (e) {
        free(TAKE(r->monitors[i].name));
        say_error(r, "error", e);
        return;
    }
    CLEANUP(bytes_drop) struct bytes *initial = monitor_initial(r->monitors[i].m);
    say(r, "reply", initial->data, initial->n);
}

static void
do_change(struct run *r, const char *name, const char *requests)
{
    struct json j = input(r, requests);
    CLEANUP(bytes_drop) struct bytes *updates = NULL;
    struct err *e = monitor_change(r->monitors[find_monitor(r, name)].m, &j, &updates);
    if (e) {
        say_error(r, "error", e);
    } else if (updates) {
        say(r, name, updates->data, updates->n);
    }
}

static void
do_cancel(struct run *r, const char *name)
{
    size_t i = find_monitor(r, name);
    monitor_free(TAKE(r->monitors[i].m));
    free(TAKE(r->monitors[i].name));
}

static void
do_lock(struct run *r, const char *verb, const char *client, const char *params)
{
    CLEANUP(lock_notices_done) struct lock_notices notices = LOCK_NOTICES_INIT;
    struct lock_session *s = &r->clients[client[0] - 'a'];
    struct err *e = NULL;
    bool locked = false;
    if (strcmp(verb, "gone") == 0) {
        lock_session_done(s, &notices);
        lock_session_init(s, &r->locks, NULL);
    } else {
        struct json j = input(r, params);
        e = strcmp(verb, "unlock") == 0
                ? lock_release(s, &j, &notices)
                : lock_request(s, &j, *verb == 's' ? LOCK_STEAL : LOCK_WAIT, &locked,
                               &notices);
    }
    VEC_FOR_EACH (struct lock_notice *n, &notices.v) {
        buf_printf(&r->out, "< %c %s %s\n", (char) ('a' + (n->to - r->clients)),
                   n->stolen ? "stolen" : "locked", n->name);
    }
    if (e) {
        say_error(r, "error", e);
    } else if (*verb == 'l' || *verb == 's') {
        buf_printf(&r->out, "< %s\n", locked ? "locked" : "waits");
    }
}

/* "a b c {...}" to at most 'n' words; the last one is the rest. */
static void
split(char *line, char **words, int n)
{
    for (int i = 0; i < n; i++) {
        words[i] = line;
        char *blank = strchr(line, ' ');
        if (!blank || i == n - 1) {
            for (i++; i < n; i++) {
                words[i] = line + strlen(line);
            }
            return;
        }
        *blank = '\0';
        line = blank + 1;
    }
}

static void
do_line(struct run *r, char *line)
{
    char *w[4], *rest;
    CLEANUP(free_drop) char *copy = str_dup(line);
    rest = strchr(line, ' ') ? strchr(line, ' ') + 1 : line + strlen(line);
    split(copy, w, 4);

    if (strcmp(w[0], "schema") == 0) {
        do_schema(r, rest);
    } else if (strcmp(w[0], "transact") == 0) {
        do_transact(r, rest, (struct db_ctx){ .author = NULL }, false);
    } else if (strcmp(w[0], "transact_ro") == 0) {
        do_transact(r, rest, (struct db_ctx){ .read_only = true }, false);
    } else if (strcmp(w[0], "transact_full") == 0) {
        do_transact(r, rest, (struct db_ctx){ .author = "me" }, true);
    } else if (strcmp(w[0], "transact_as") == 0) {
        struct db_ctx ctx = { .role = w[1], .id = strcmp(w[2], "-") ? w[2] : NULL };
        do_transact(r, w[3], ctx, false);
    } else if (strcmp(w[0], "transact_at") == 0) {
        do_transact(r, strchr(rest, ' ') + 1, (struct db_ctx){ .elapsed_ms = atoi(rest) },
                    false);
    } else if (strcmp(w[0], "record") == 0) {
        say(r, "record", r->record.n ? r->record.data : "null",
            r->record.n ? r->record.n : 4);
    } else if (strcmp(w[0], "replay") == 0) {
        do_replay(r, rest);
    } else if (strcmp(w[0], "convert") == 0) {
        do_convert(r, rest);
    } else if (strcmp(w[0], "restart") == 0) {
        do_restart(r);
    } else if (strcmp(w[0], "due") == 0) {
        buf_str(&r->out, db_wait_due(r->db, &r->wait) ? "< yes\n" : "< no\n");
    } else if (strcmp(w[0], "monitor") == 0) {
        do_monitor(r, w[1], w[2], w[3]);
    } else if (strcmp(w[0], "change") == 0) {
        do_change(r, w[1], strchr(rest, ' ') + 1);
    } else if (strcmp(w[0], "cancel") == 0) {
        do_cancel(r, w[1]);
    } else {
        do_lock(r, w[0], w[1], w[2]);
    }
}

/* Steps that belong together: "> ..." and the "< ..." lines behind it. */
static void
run_file(const char *path)
{
    bool bless = getenv("BYRE_BLESS") != NULL;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT;
    struct run r = { .file = path, .uuids = STRVEC_INIT, .locks = LOCK_SERVER_INIT };
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        lock_session_init(&r.clients[i], &r.locks, NULL);
    }
    CHECK_OK(path, fs_read(path, 1 << 20, &text));
    strvec_split(&lines, buf_cstr(&text), "\n");

    const char *why = path;
    for (size_t i = 0; i < lines.n;) {
        char *line = lines.v[i++];
        if (line[0] != '<') {
            buf_printf(&r.blessed, "%s\n", line);
        }
        if (line[0] == '#') {
            why = line;
        } else if (line[0] == '>') {
            CLEANUP(buf_done) struct buf want = BUF_INIT;
            while (i < lines.n && lines.v[i][0] == '<') {
                buf_printf(&want, "%s\n", lines.v[i++]);
            }
            buf_clear(&r.out);
            do_line(&r, line + 2);
            CLEANUP(free_drop) char *shown = str_dupf("%s: %s\n%s", path, why, line);
            if (bless) {
                buf_add(&r.blessed, r.out.data, r.out.n);
            } else {
                CHECK_STR(shown, buf_cstr(&r.out), want.n ? buf_cstr(&want) : "");
            }
        }
    }
    if (bless) {
        CHECK_OK(path, fs_write_atomic(path, r.blessed.data, r.blessed.n, 0644));
    }
    buf_done(&r.blessed);
    close_db(&r);
    struct lock_notices notices = LOCK_NOTICES_INIT;
    for (size_t i = 0; i < MAX_CLIENTS; i++) {
        lock_session_done(&r.clients[i], &notices);
    }
    lock_notices_done(&notices);
    lock_server_done(&r.locks);
    strvec_done(&r.uuids);
    buf_done(&r.record);
    buf_done(&r.out);
    arena_done(&r.arena);
}

TEST(cases)
{
    CLEANUP(strvec_done) struct strvec files = STRVEC_INIT;
    DIR *dir = opendir(CASES_DIR);
    CHECK("the cases are there", dir != NULL);
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        if (str_ends(d->d_name, ".case")) {
            strvec_addf(&files, "%s/%s", CASES_DIR, d->d_name);
        }
    }
    closedir(dir);
    strvec_sort(&files);
    CHECK("there are some", files.n > 0);
    for (size_t i = 0; i < files.n; i++) {
        run_file(files.v[i]);
        CHECK_INT("no string leaked", (int64_t) istring_count(), 0);
    }
}
