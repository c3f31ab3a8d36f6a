/* journal/cluster.c: see cluster.h. */
#include "journal/cluster.h"

#include "base/str.h"
#include "journal/record.h"

#define INDEX_MAX (INT64_MAX / 2) /* Of where a log begins: nothing overflows. */

void
cluster_file_done(struct cluster_file *f)
{
    VEC_DONE(&f->entries);
    map_done(&f->leaders);
    arena_done(&f->arena);
}

bool
cluster_file_joined(const struct cluster_file *f)
{
    return f->cid && !json_get(f->header, "remote_addresses");
}

const struct json *
cluster_file_snapshot(const struct cluster_file *f)
{
    const struct json *prev = json_get(f->header, "prev_data");
    return prev && prev->type == JSON_ARRAY && prev->n == 2 ? prev : NULL;
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
               !json_get_int(h, "prev_term", &f->prev_term) || f->prev_index < 0 ||
               f->prev_index > INDEX_MAX) {
        return err_new(ERR_SYNTAX, "%s: the header lacks where the log begins", f->path);
    }
    f->commit_index = f->prev_index;
    return NULL;
}

static MUST_CHECK struct err *
read_entry(struct cluster_file *f, const struct json *r, int64_t index)
{
    struct cluster_entry entry = { .eid = json_get_string(r, "eid"),
                                   .data = json_get(r, "data") };
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
    } else if (f->entries.n >= CLUSTER_ENTRIES_MAX) {
        return err_new(ERR_CONSTRAINT, "%s: more than %zu entries", f->path,
                       CLUSTER_ENTRIES_MAX);
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

struct err *
cluster_file_read(struct cluster_file *f, const char *path, int fd)
{
    struct record_reader reader;

    *f = (struct cluster_file){ .path = path };
    record_reader_init(&reader, path, fd, 0);
    reader.cluster = true;
    struct err *e = read_all(f, &reader);
    record_reader_done(&reader);
    return e;
}

static const struct cluster_entry *
entry_at(const struct cluster_file *f, int64_t index)
{
    int64_t i = index - f->prev_index - 1;
    return i >= 0 && i < (int64_t) f->entries.n ? &f->entries.v[i] : NULL;
}

struct err *
cluster_file_check(const struct cluster_file *f)
{
    int64_t last = f->prev_index + (int64_t) f->entries.n;
    return f->commit_index <= last
               ? NULL
               : err_new(ERR_CONSTRAINT,
                         "%s: entry %" PRId64 " is committed, but the last is %" PRId64,
                         f->path, f->commit_index, last);
}

/* Raft: what is committed is the same everywhere, and two logs that agree on the term at an index
 * agree on the entry. */
struct err *
cluster_file_compare(const struct cluster_file *a, const struct cluster_file *b)
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
        const struct cluster_entry *ours = &a->entries.v[i], *theirs = entry_at(b, index);
        bool same =
            !theirs || (ours->term == theirs->term && str_eq(ours->eid, theirs->eid));
        if (!same && (index <= common || ours->term == theirs->term)) {
            return err_new(ERR_CONSTRAINT, "entry %" PRId64 " differs between %s and %s",
                           index, a->path, b->path);
        }
    }
    return NULL;
}
