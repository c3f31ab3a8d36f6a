/* journal/cluster.h: reading the files of ovsdb-server's Raft clusters.
 *
 * A file is a header and what Raft wrote behind it:
 *
 *     {"server_id":..,"local_address":..,"name":..,"cluster_id":..,"prev_term":1,"prev_index":1,
 *      "prev_servers":{..},"prev_data":[SCHEMA, DATA],"prev_eid":..}
 *     {"term":1,"vote":..}  {"term":1,"leader":..}  {"commit_index":2}  {"note":..}
 *     {"term":1,"index":2,"eid":..,"data":[SCHEMA|null, TXN|null]}    or "servers", "election_timer"
 *
 * A later entry with an index takes the place of those from that index on.  A member that has not
 * joined yet has a header with "remote_addresses" and no content.  What the data mean is not
 * looked at here.
 * Source.  ovsdb(5), "Clustered Format". */
#ifndef JOURNAL_CLUSTER_H
#define JOURNAL_CLUSTER_H 1

#include "base/map.h"
#include "base/vec.h"
#include "json/json.h"

#define CLUSTER_ENTRIES_MAX ((size_t) 10 * 1000 * 1000)

struct cluster_entry {
    int64_t term;
    const char *eid;         /* NULL: one without data. */
    const struct json *data; /* [schema, txn], or NULL. */
};

struct cluster_file {
    const char *path;                       /* For messages. */
    struct arena arena;                     /* Holds all records. */
    struct json *header;                    /* The first one. */
    const char *name, *sid, *cid, *address; /* 'cid' NULL: not joined yet. */
    int64_t prev_index, prev_term, commit_index;
    VEC(struct cluster_entry) entries; /* From prev_index + 1 on. */
    struct map leaders;                /* Term to the server's ID. */
};

/* Reads all of it; 'path' is borrowed for as long as the file is there.  cluster_file_done() follows,
 * after an error too. */
struct err *cluster_file_read(struct cluster_file *, const char *path, int fd) MUST_CHECK;
void cluster_file_done(struct cluster_file *);
bool cluster_file_joined(const struct cluster_file *); /* It has content. */
/* [schema, txn] of what lies before the entries; NULL if there is none. */
const struct json *cluster_file_snapshot(const struct cluster_file *);

/* Is all that it calls committed there? */
struct err *cluster_file_check(const struct cluster_file *) MUST_CHECK;
/* Can both be of one cluster? */
struct err *cluster_file_compare(const struct cluster_file *,
                                 const struct cluster_file *) MUST_CHECK;

#endif /* journal/cluster.h */
