/* bin/dbtool_join.c: files for new members of ovsdb-server's Raft clusters: the first one, with the
 * content, and those that join it and get the content from it.  Shapes: dbtool_cluster.c. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/uuid.h"
#include "bin/dbtool_i.h"
#include "journal/record.h"

#define ELECTION_MIN_MS 100
#define ELECTION_MAX_MS 600000

/* ovsdb-server takes no other: a member is called by others. */
static MUST_CHECK struct err *
check_address(const char *address)
{
    const char *port = strrchr(address, ':');

    if ((!str_starts(address, "tcp:") && !str_starts(address, "ssl:") &&
         !str_starts(address, "unix:")) ||
        (!str_starts(address, "unix:") && port == address + 3)) {
        return err_hint(err_new(ERR_SYNTAX, "%s: no address of a member", address),
                        "write tcp:IP:PORT or ssl:IP:PORT");
    }
    return NULL;
}

static void
put_id(struct arena *arena, struct json *object, const char *name)
{
    struct uuid id;

    uuid_random(&id);
    json_put(arena, object, name, json_string(arena, UUID_TEXT(&id)));
}

static void
add_record(struct buf *file, const struct json *json)
{
    CLEANUP(free_drop) char *text = json_text(json, JSON_15G);

    record_header_cluster(text, strlen(text), file);
    buf_str(file, text);
    buf_char(file, '\n');
}

static MUST_CHECK struct err *
write_file(const char *path, const struct buf *file)
{
    if (fs_exists(path)) {
        return err_hint(err_new(ERR_EXISTS, "%s is there already", path),
                        "name a new file");
    }
    return err_wrap(fs_write_atomic(path, file->data, file->n, 0640), "create %s", path);
}

/* A cluster has no ephemeral columns. */
static size_t
make_persistent(struct arena *arena, struct json *schema)
{
    struct json *tables = (struct json *) json_get(schema, "tables");
    size_t n = 0;

    for (uint32_t i = 0; tables && i < tables->n; i++) {
        struct json *columns =
            (struct json *) json_get(&tables->members[i].value, "columns");
        for (uint32_t k = 0; columns && k < columns->n; k++) {
            struct json *column = &columns->members[k].value, kept = json_object();
            JSON_FOR_EACH_MEMBER (m, column) {
                if (!str_eq(m->name, "ephemeral")) {
                    json_put(arena, &kept, m->name, m->value);
                } else {
                    n += m->value.type == JSON_TRUE;
                }
            }
            *column = kept;
        }
    }
    return n;
}

static bool
is_database(const char *path)
{
    char head[8] = "";
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && read(fd, head, sizeof head - 1) > 0 && str_starts(head, "OVSDB ");
}

/* [schema, rows] of a database file, or of a schema file. */
static MUST_CHECK struct err *
read_contents(const char *path, struct arena *arena, const char **ret_name,
              struct json *ret)
{
    CLEANUP(db_close) struct journal *journal = NULL;
    CLEANUP(db_drop) struct db *db = NULL;
    CLEANUP(schema_drop) struct schema *schema = NULL;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct json rows = json_object();

    if (is_database(path)) {
        CLEANUP(free_drop) char *comment = str_dupf("created from %s", path);
        TRY(tool_open_good(path, JOURNAL_READ_ONLY, &journal, &db));
        schema = schema_ref(db_schema(db));
        db_snapshot(db, clock_wall_ms(), comment, &text);
        TRY(json_parse(arena, text.data, text.n, &rows));
    } else {
        TRY(tool_schema(path, &schema));
    }
    struct json borrowed = schema_json(arena, schema);
    struct json json = json_copy(arena, &borrowed); /* The schema goes. */
    size_t n = make_persistent(arena, &json);
    if (n) {
        fprintf(
            stderr,
            "byre-dbtool: %zu ephemeral columns become persistent: clusters have no others\n",
            n);
    }
    *ret_name = json_get_string(&json, "name");
    *ret = json_pair(arena, json, rows);
    return NULL;
}

struct err *
tool_create_cluster(struct tool *t, const char **args)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf file = BUF_INIT;
    struct json header = json_object(), servers = json_object(), data;
    const char *name;

    TRY(check_address(args[2]));
    if (t->election_ms &&
        (t->election_ms < ELECTION_MIN_MS || t->election_ms > ELECTION_MAX_MS)) {
        return err_new(ERR_CONSTRAINT, "election timer must be between %d and %d, in msec.",
                       ELECTION_MIN_MS, ELECTION_MAX_MS);
    }
    TRY(read_contents(args[1], &arena, &name, &data));
    put_id(&arena, &header, "server_id");
    json_put(&arena, &header, "local_address", json_string_ref(args[2]));
    json_put(&arena, &header, "name", json_string_ref(name));
    put_id(&arena, &header, "cluster_id");
    json_put(&arena, &header, "prev_term", json_int(1));
    json_put(&arena, &header, "prev_index", json_int(1));
    json_put(&arena, &servers, json_get_string(&header, "server_id"),
             json_string_ref(args[2]));
    json_put(&arena, &header, "prev_servers", servers);
    json_put(&arena, &header, "prev_data", data);
    put_id(&arena, &header, "prev_eid");
    add_record(&file, &header);
    if (t->election_ms) {
        struct json timer = json_object();
        json_put(&arena, &timer, "term", json_int(1));
        json_put(&arena, &timer, "index", json_int(2));
        json_put(&arena, &timer, "election_timer", json_int(t->election_ms));
        add_record(&file, &timer);
    }
    return write_file(args[0], &file);
}

struct err *
tool_join_cluster(struct tool *t, const char **args)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf file = BUF_INIT;
    struct json header = json_object(), remotes = json_array();
    struct uuid cid;

    TRY(check_address(args[2]));
    for (size_t i = 3; i < TOOL_ARGS_MAX && args[i]; i++) {
        TRY(check_address(args[i]));
        if (str_eq(args[i], args[2])) {
            return err_new(ERR_CONSTRAINT,
                           "remote addresses cannot be the same as the local address");
        }
        json_add(&arena, &remotes, json_string_ref(args[i]));
    }
    put_id(&arena, &header, "server_id");
    json_put(&arena, &header, "local_address", json_string_ref(args[2]));
    json_put(&arena, &header, "name", json_string_ref(args[1]));
    if (t->cid) {
        if (!uuid_parse(t->cid, &cid)) {
            return err_new(ERR_SYNTAX, "--cid: \"%s\" is not a valid UUID", t->cid);
        }
        json_put(&arena, &header, "cluster_id", json_string(&arena, UUID_TEXT(&cid)));
    }
    json_put(&arena, &header, "remote_addresses", remotes);
    add_record(&file, &header);
    return write_file(args[0], &file);
}
