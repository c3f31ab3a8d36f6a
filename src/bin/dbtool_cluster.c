/* bin/dbtool_cluster.c: reading the files of ovsdb-server's Raft clusters.
 *
 * Byre serves no member of a cluster; it stands before one (relays) and reads its files: to tell what
 * they are, whether they fit each other, and to save the content when the cluster is lost.
 *
 * A file is a header and what Raft wrote behind it:
 *
 *     {"server_id":..,"local_address":..,"name":..,"cluster_id":..,"prev_term":1,"prev_index":1,
 *      "prev_servers":{..},"prev_data":[SCHEMA, DATA],"prev_eid":..}
 *     {"term":1,"vote":..}  {"term":1,"leader":..}  {"commit_index":2}  {"note":..}
 *     {"term":1,"index":2,"eid":..,"data":[SCHEMA|null, TXN|null]}    or "servers", "election_timer"
 *
 * A later entry with an index takes the place of those from that index on.  A member that has not
 * joined yet has a header with "remote_addresses" and no content.
 * Source.  ovsdb(5), "Clustered Format". */
#include <fcntl.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "bin/dbtool_i.h"
#include "journal/record.h"

#define ENTRIES_MAX ((size_t) 10 * 1000 * 1000)

struct entry {
    int64_t term;
    const char *eid;         /* NULL: one without data. */
    const struct json *data; /* [schema, txn], or NULL. */
};

struct cluster_file {
    const char *path;
    struct arena arena;                     /* Holds all records. */
    struct json *header;                    /* The first one. */
    const char *name, *sid, *cid, *address; /* 'cid' NULL: not joined yet. */
    int64_t prev_index, prev_term, commit_index;
    VEC(struct entry) entries; /* From prev_index + 1 on. */
    struct map leaders;        /* Term to the server's ID. */
};

static void
cluster_file_done(struct cluster_file *f)
{
    VEC_DONE(&f->entries);
    map_done(&f->leaders);
    arena_done(&f->arena);
}

static MUST_CHECK struct err *
read_header(struct cluster_file *f, const struct json *h)
{
    f->name = json_get_string(h, "name");
    f->sid = json_get_string(h, "server_id");
    f->cid = json_get_string(h, "cluster_id");
    f->address = json_get_string(h, "local_address");
    if (!f->name || !f->sid || !f->address) {
        return err_new(ERR_SYNTAX, "%s: the header lacks a name, a server ID or an address",
                       f->path);
    } else if (json_get(h, "remote_addresses")) {
        return NULL; /* Not joined yet: nothing more is there. */
    } else if (!json_get_int(h, "prev_index", &f->prev_index) ||
               !json_get_int(h, "prev_term", &f->prev_term) || f->prev_index < 0) {
        return err_new(ERR_SYNTAX, "%s: the header lacks where the log begins", f->path);
    }
    f->commit_index = f->prev_index;
    return NULL;
}

static MUST_CHECK struct err *
read_entry(struct cluster_file *f, const struct json *r, int64_t index)
{
    struct entry entry = { .eid = json_get_string(r, "eid"), .data = json_get(r, "data") };
    int64_t next = f->prev_index + (int64_t) f->entries.n + 1;

    if (!json_get_int(r, "term", &entry.term)) {
        return err_new(ERR_SYNTAX, "%s: entry %" PRId64 " has no term", f->path, index);
    } else if (index <= f->prev_index) {
        return NULL; /* The snapshot has it. */
    } else if (index > next) {
        return err_new(ERR_SYNTAX, "%s: entry %" PRId64 " follows entry %" PRId64, f->path,
                       index, next - 1);
    } else if (entry.data && (entry.data->type != JSON_ARRAY || entry.data->n != 2)) {
        return err_new(ERR_SYNTAX, "%s: entry %" PRId64 " has data of another shape",
                       f->path, index);
    } else if (f->entries.n >= ENTRIES_MAX) {
        return err_new(ERR_CONSTRAINT, "%s: more than %zu entries", f->path, ENTRIES_MAX);
    }
    f->entries.n = (size_t) (index - f->prev_index - 1);
    *VEC_ADD(&f->entries) = entry;
    return NULL;
}

static MUST_CHECK struct err *
read_record(struct cluster_file *f, const struct json *r)
{
    int64_t n, term;
    const char *leader = json_get_string(r, "leader");

    if (json_get_int(r, "index", &n)) {
        return read_entry(f, r, n);
    } else if (json_get_int(r, "commit_index", &n)) {
        f->commit_index = max64(f->commit_index, n);
    } else if (leader && json_get_int(r, "term", &term)) {
        CLEANUP(free_drop) char *key = str_dupf("%" PRId64, term);
        if (!map_has(&f->leaders, key)) {
            map_put(&f->leaders, key, (void *) leader);
        } else if (!str_eq(map_get(&f->leaders, key), leader)) {
            return err_new(ERR_CONSTRAINT, "%s: term %" PRId64 " has two leaders", f->path,
                           term);
        }
    }
    return NULL;
}

static MUST_CHECK struct err *
read_all(struct cluster_file *f, struct record_reader *reader)
{
    for (bool first = true;; first = false) {
        const char *text;
        size_t n;
        TRY(record_read(reader, &text, &n));
        if (!text) {
            return first ? err_new(ERR_SYNTAX, "%s: cannot identify file type", f->path)
                         : NULL;
        }
        struct json *json = ARENA_NEW(&f->arena, struct json);
        TRY(err_wrap(json_parse(&f->arena, text, n, json),
                     "%s: the record before offset %" PRId64, f->path, reader->offset));
        TRY(first ? read_header(f, json) : read_record(f, json));
        if (first) {
            f->header = json;
        }
    }
}

static MUST_CHECK struct err *
cluster_file_read(const char *path, struct cluster_file *f)
{
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct record_reader reader;

    f->path = path;
    if (fd < 0) {
        return err_io(errno, "%s: open failed", path);
    } else if (!tool_is_cluster(path)) {
        return err_new(ERR_SYNTAX, "%s: not a clustered database", path);
    }
    record_reader_init(&reader, path, fd, 0);
    reader.cluster = true;
    struct err *e = read_all(f, &reader);
    record_reader_done(&reader);
    return e;
}

bool
tool_is_cluster(const char *path)
{
    char head[16] = "";
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && read(fd, head, sizeof head - 1) > 0 &&
           str_starts(head, "OVSDB CLUSTER ");
}

struct err *
tool_cluster_name(const char *path)
{
    CLEANUP(cluster_file_done) struct cluster_file f = { 0 };

    TRY(cluster_file_read(path, &f));
    puts(f.name);
    return NULL;
}

struct err *
tool_db_cid(struct tool *t, const char **args)
{
    CLEANUP(cluster_file_done) struct cluster_file f = { 0 };

    TRY(cluster_file_read(args[0], &f));
    if (!f.cid) {
        fprintf(stderr, "%s: cluster ID not yet known\n", args[0]);
        t->status = TOOL_NO;
    } else {
        puts(f.cid);
    }
    return NULL;
}

struct err *
tool_db_sid(struct tool *t UNUSED, const char **args)
{
    CLEANUP(cluster_file_done) struct cluster_file f = { 0 };

    TRY(cluster_file_read(args[0], &f));
    puts(f.sid);
    return NULL;
}

struct err *
tool_db_local_address(struct tool *t UNUSED, const char **args)
{
    CLEANUP(cluster_file_done) struct cluster_file f = { 0 };

    TRY(cluster_file_read(args[0], &f));
    puts(f.address);
    return NULL;
}

/* Content. */

static bool
is_null(const struct json *j)
{
    return j->type == JSON_NULL;
}

/* [schema|null, txn|null] on top of '*db', which may become another one.  A schema without a
 * transaction is a conversion; with one, the two are all that there is. */
static MUST_CHECK struct err *
apply(const struct json *data, struct db **db)
{
    const struct json *new = &data->elems[0], *txn = &data->elems[1];

    if (!is_null(new)) {
        CLEANUP(schema_drop) struct schema *schema = NULL;
        CLEANUP(db_drop) struct db *next = NULL;
        TRY(schema_parse(new, &schema));
        if (*db && is_null(txn)) {
            TRY(db_convert(*db, schema, &next));
        } else {
            next = db_new(schema);
        }
        db_free(*db);
        *db = TAKE(next);
    }
    return is_null(txn) || !*db ? NULL : db_replay(*db, txn);
}

struct err *
tool_cluster_to_standalone(struct tool *t UNUSED, const char **args)
{
    CLEANUP(cluster_file_done) struct cluster_file f = { 0 };
    CLEANUP(db_drop) struct db *db = NULL;

    if (fs_exists(args[0])) {
        return err_hint(err_new(ERR_EXISTS, "%s is there already", args[0]),
                        "name a new file");
    }
    TRY(cluster_file_read(args[1], &f));
    const struct json *prev = json_get(f.header, "prev_data");
    if (prev && prev->type == JSON_ARRAY && prev->n == 2) {
        TRY(err_wrap(apply(prev, &db), "%s: the snapshot", f.path));
    }
    for (size_t i = 0; i < f.entries.n; i++) {
        const struct json *data = f.entries.v[i].data;
        TRY(err_wrap(data ? apply(data, &db) : NULL, "%s: entry %" PRId64, f.path,
                     f.prev_index + 1 + (int64_t) i));
    }
    if (!db) {
        return err_hint(err_new(ERR_NOT_FOUND,
                                "%s has no content: it has not joined its "
                                "cluster",
                                f.path),
                        "take the file of a member that had joined");
    }
    return tool_write_db(args[0], db, "made from a cluster by byre-dbtool " BYRE_VERSION);
}

/* Do files fit each other? */

static const struct entry *
entry_at(const struct cluster_file *f, int64_t index)
{
    int64_t i = index - f->prev_index - 1;
    return i >= 0 && i < (int64_t) f->entries.n ? &f->entries.v[i] : NULL;
}

/* Raft: what is committed is the same everywhere, and two logs that agree on the term at an index
 * agree on the entry. */
static MUST_CHECK struct err *
compare(const struct cluster_file *a, const struct cluster_file *b)
{
    if (!str_eq(a->name, b->name)) {
        return err_new(ERR_CONSTRAINT, "%s is of database %s, %s of %s", a->path, a->name,
                       b->path, b->name);
    } else if (!str_eq(a->cid, b->cid)) {
        return err_new(ERR_CONSTRAINT, "%s is of cluster %s, %s of %s", a->path, a->cid,
                       b->path, b->cid);
    } else if (str_eq(a->sid, b->sid)) {
        return err_new(ERR_CONSTRAINT, "%s and %s are both of server %s", a->path, b->path,
                       a->sid);
    }
    MAP_FOR_EACH (leader, &a->leaders) {
        const char *other = map_get(&b->leaders, leader->key);
        if (other && !str_eq(other, leader->value)) {
            return err_new(ERR_CONSTRAINT, "term %s has two leaders: %s in %s, %s in %s",
                           leader->key, (const char *) leader->value, a->path, other,
                           b->path);
        }
    }
    int64_t common = a->commit_index < b->commit_index ? a->commit_index : b->commit_index;
    for (size_t i = 0; i < a->entries.n; i++) {
        int64_t index = a->prev_index + 1 + (int64_t) i;
        const struct entry *ours = &a->entries.v[i], *theirs = entry_at(b, index);
        bool same =
            !theirs || (ours->term == theirs->term && str_eq(ours->eid, theirs->eid));
        if (!same && (index <= common || ours->term == theirs->term)) {
            return err_new(ERR_CONSTRAINT, "entry %" PRId64 " differs between %s and %s",
                           index, a->path, b->path);
        }
    }
    return NULL;
}

static MUST_CHECK struct err *
check_all(struct cluster_file *files, size_t n)
{
    size_t n_joined = 0;

    for (size_t i = 0; i < n; i++) {
        const struct cluster_file *f = &files[i];
        if (!f->cid || json_get(f->header, "remote_addresses")) {
            printf("%s has not joined the cluster, omitting\n", f->path);
            continue;
        }
        int64_t last = f->prev_index + (int64_t) f->entries.n;
        if (f->commit_index > last) {
            return err_new(ERR_CONSTRAINT,
                           "%s: entry %" PRId64 " is committed, but the last is %" PRId64,
                           f->path, f->commit_index, last);
        }
        n_joined++;
        for (size_t k = 0; k < i; k++) {
            if (files[k].cid && !json_get(files[k].header, "remote_addresses")) {
                TRY(compare(&files[k], f));
            }
        }
    }
    return n_joined ? NULL : err_new(ERR_NOT_FOUND, "all logs are empty");
}

struct err *
tool_check_cluster(struct tool *t UNUSED, const char **args)
{
    struct cluster_file files[TOOL_ARGS_MAX] = { 0 };
    struct err *e = NULL;
    size_t n = 0;

    while (!e && n < TOOL_ARGS_MAX && args[n]) {
        e = cluster_file_read(args[n], &files[n]);
        n++;
    }
    e = e ? e : check_all(files, n);
    for (size_t i = 0; i < n; i++) {
        cluster_file_done(&files[i]);
    }
    return e;
}
