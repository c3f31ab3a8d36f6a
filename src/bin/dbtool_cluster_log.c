/* bin/dbtool_cluster_log.c: show-log of a member of ovsdb-server's cluster: what Raft wrote, record
 * by record, in ovsdb-tool's form (but for its typing errors):
 *
 *     record 5:
 *      term: 1
 *      index: 3
 *      eid: 5ca9
 *      2026-11-22 20:54:23.843 "hello"
 *       table A insert row "web" (e38f6267):
 *
 * Of IDs the first four digits are shown: enough to tell a cluster's servers apart. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "bin/dbtool_i.h"
#include "journal/record.h"

struct log {
    struct tool_names names;
    struct schema *schema; /* As of the record that is shown; NULL before the first. */
    int more;              /* So many -m. */
};

static void
log_done(struct log *log)
{
    tool_names_done(&log->names);
    schema_drop(&log->schema);
}

static void
show_string(const char *label, const char *s)
{
    if (s) {
        CLEANUP(buf_done) struct buf quoted = BUF_INIT;
        json_print_string(s, strlen(s), &quoted);
        printf(" %s: %s\n", label, buf_cstr(&quoted));
    }
}

static void
show_id(const struct json *record, const char *member, const char *label)
{
    const char *id = json_get_string(record, member);
    if (id) {
        printf(" %s: %.4s\n", label, id);
    }
}

static void
show_number(const struct json *record, const char *member)
{
    int64_t n;
    if (json_get_int(record, member, &n)) {
        printf(" %s: %" PRId64 "\n", member, n);
    }
}

static int
compare_members(const void *a, const void *b)
{
    const struct json_member *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* An object of addresses by server ID. */
static void
show_servers(const struct json *record, const char *member)
{
    const struct json *servers = json_get(record, member);

    if (!servers || servers->type != JSON_OBJECT) {
        return;
    }
    CLEANUP(free_drop)
    const struct json_member **sorted = xcalloc(servers->n + 1, sizeof *sorted);
    for (uint32_t i = 0; i < servers->n; i++) {
        sorted[i] = &servers->members[i];
    }
    qsort(sorted, servers->n, sizeof *sorted, compare_members);
    printf(" %s:", member);
    for (uint32_t i = 0; i < servers->n; i++) {
        CLEANUP(free_drop) char *address = json_text(&sorted[i]->value, JSON_SORTED);
        printf("%s %.4s(%s)", i ? "," : "", sorted[i]->name, address);
    }
    putchar('\n');
}

/* An array of the addresses through which a server means to join. */
static void
show_addresses(const struct json *record, const char *member)
{
    const struct json *addresses = json_get(record, member);

    if (addresses && addresses->type == JSON_ARRAY) {
        printf(" %s:", member);
        for (uint32_t i = 0; i < addresses->n; i++) {
            /* Without the quotes, but with nothing that a terminal would obey. */
            CLEANUP(free_drop) char *text = json_text(&addresses->elems[i], JSON_SORTED);
            bool quoted = addresses->elems[i].type == JSON_STRING;
            printf(" %.*s", (int) strlen(text) - 2 * quoted, text + quoted);
        }
        putchar('\n');
    }
}

/* [SCHEMA or null, TRANSACTION or null] */
static MUST_CHECK struct err *
show_data(struct log *log, const struct json *data, const char *prefix)
{
    if (!data || data->type != JSON_ARRAY || data->n != 2) {
        return NULL;
    }
    if (data->elems[0].type == JSON_OBJECT) {
        schema_drop(&log->schema);
        TRY(schema_parse(&data->elems[0], &log->schema));
        printf(" %sschema: \"%s\", version=\"%s\", cksum=\"%s\"\n", prefix,
               log->schema->name, log->schema->version, log->schema->cksum);
    }
    if (data->elems[1].type == JSON_OBJECT && data->elems[1].n) {
        tool_show_when(&data->elems[1]);
        putchar('\n');
        if (log->more) {
            tool_show_rows(log->schema, &data->elems[1], &log->names, log->more);
        }
    }
    return NULL;
}

static MUST_CHECK struct err *
show_header(struct log *log, const struct json *header)
{
    show_string("name", json_get_string(header, "name"));
    show_string("local address", json_get_string(header, "local_address"));
    show_id(header, "server_id", "server_id");
    show_id(header, "cluster_id", "cluster_id");
    show_addresses(header, "remote_addresses");
    show_number(header, "prev_index");
    show_number(header, "prev_term");
    show_servers(header, "prev_servers");
    show_number(header, "prev_election_timer");
    show_id(header, "prev_eid", "prev_eid");
    return show_data(log, json_get(header, "prev_data"), "prev_");
}

static MUST_CHECK struct err *
show_record(struct log *log, const struct json *record)
{
    show_string("comment", json_get_string(record, "comment"));
    show_number(record, "term");
    show_number(record, "index");
    show_servers(record, "servers");
    show_number(record, "election_timer");
    show_id(record, "eid", "eid");
    show_id(record, "vote", "vote");
    show_string("note", json_get_string(record, "note"));
    show_number(record, "commit_index");
    show_id(record, "leader", "leader");
    return show_data(log, json_get(record, "data"), "");
}

static MUST_CHECK struct err *
show_all(struct log *log, struct record_reader *reader)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;

    for (uint64_t number = 0;; number++) {
        struct json record;
        const char *text;
        size_t n;

        arena_reset(&arena);
        TRY(record_read(reader, &text, &n));
        if (!text) {
            return NULL;
        }
        TRY(err_wrap(json_parse(&arena, text, n, &record),
                     "%s: the record before offset %" PRId64, reader->path,
                     reader->offset));
        printf("record %" PRIu64 ":\n", number);
        TRY(number ? show_record(log, &record) : show_header(log, &record));
        putchar('\n');
    }
}

struct err *
tool_show_cluster_log(const struct tool *t, const char *path)
{
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC);
    CLEANUP(log_done) struct log log = { .more = t->more };
    struct record_reader reader;

    if (fd < 0) {
        return err_io(errno, "%s: open failed", path);
    }
    record_reader_init(&reader, path, fd, 0);
    reader.cluster = true;
    struct err *e = show_all(&log, &reader);
    record_reader_done(&reader);
    return e;
}
