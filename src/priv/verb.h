/* priv/verb.h: the requests that cross to root, and their answers, as typed values.
 *
 * On the wire a request is one line of JSON, {"verb":"vol_create","pool":{...},...}; what each
 * verb carries is the table in verb.c, and a member that the verb does not have is refused.
 * Decoding checks everything that needs no look at the machine. */
#ifndef PRIV_VERB_H
#define PRIV_VERB_H 1

#include "base/arena.h"
#include "json/json.h"
#include "store/gate.h"
#include "store/pool.h"
#include "store/sources.h"
#include "store/volume.h"

#define PRIV_MAX_REQUEST_BYTES (1 * MIB)
#define PRIV_MAX_REPLY_BYTES (256 * MIB) /* A refresh of a huge pool. */

/* clang-format off */
enum priv_verb { PRIV_POOL_CHECK, PRIV_POOL_BUILD, PRIV_POOL_START, PRIV_POOL_STOP,
                 PRIV_POOL_REFRESH, PRIV_POOL_WATCH, PRIV_POOL_DELETE, PRIV_FIND_SOURCES, PRIV_POOL_GROW_LOOK, PRIV_POOL_GROW_HOST,
                 PRIV_POOL_GROW_TOP,
                 PRIV_VOL_CREATE, PRIV_VOL_CLONE, PRIV_VOL_STAT, PRIV_VOL_DELETE,
                 PRIV_VOL_RESIZE, PRIV_VOL_UPLOAD, PRIV_VOL_DOWNLOAD, PRIV_VOL_WIPE, PRIV_VOL_FETCH,
                 N_PRIV_VERBS };
/* clang-format on */
const char *priv_verb_name(enum priv_verb); /* "pool_check" */

/* Members beyond the verb's are ignored by the encoder.  Pointers are borrowed. */
struct priv_request {
    enum priv_verb verb;
    int64_t timeout_ms;      /* How long it may take; 0: the verb's own default. */
    const struct pool *pool; /* Always. */
    const struct vol *vol; /* All vol_*.  Existing ones: name and target.format at least. */
    const struct pool *source_pool; /* vol_clone. */
    const struct vol *source;       /* vol_clone: name, format, capacity, allocation. */
    /* pool_start: what else is on this host and could be the same thing.  May be none. */
    const struct pool *const *others;
    size_t n_others;
    int build_flags;        /* pool_build: enum build_flags. */
    int vol_flags;          /* vol_create, vol_clone, vol_resize: enum vol_flags. */
    int64_t capacity;       /* vol_resize: bytes. */
    int64_t offset, length; /* vol_upload, vol_download: bytes; length 0: to the end. */
    enum wipe_algorithm algorithm; /* vol_wipe. */
    const char *url, *sha256;      /* vol_fetch; 'sha256' may be NULL. */
    int64_t since; /* pool_refresh: the scan (vols.scan) whose list is at hand; 0: none. */
};

/* How far it is. */
struct priv_progress {
    double fraction;     /* 0..1, of the whole. */
    int64_t done, total; /* Bytes of the running step; 'total' 0: it moves none. */
    const char *message; /* That step. */
};

/* What came of it.  Strings in vols.arena. */
struct priv_reply {
    bool active;   /* pool_check; true after pool_start. */
    bool has_stat; /* pool_start, pool_refresh; vol_* but delete, download: the pool now. */
    struct pool_stat stat;
    struct vol_list
        vols; /* pool_start, pool_refresh: all, or changes.  Those vol_*: the one, now. */
    struct source_list sources; /* find_sources. */
    int64_t
        n_bytes; /* vol_upload, vol_download: bytes moved; pool_watch: inotify's number. */
    const char *note; /* What is worth saying of what was done, or NULL. */
};
void priv_reply_init(struct priv_reply *);
void priv_reply_done(struct priv_reply *); /* For CLEANUP(). */

struct json priv_request_encode(struct arena *, const struct priv_request *);
/* All that the request points to lies in the arena.  ERR_SYNTAX, or what the pool's or the
 * volume's own checks say. */
struct err *priv_request_decode(struct arena *, const struct json *,
                                struct priv_request *ret) MUST_CHECK;
/* {"result":{...}} and {"error":{"kind","code","what","text","hint"}}: 'what' and 'hint' may be
 * absent; 'text' is err_why(). */
struct json priv_reply_encode(struct arena *, const struct priv_reply *);
struct err *priv_reply_decode(const struct json *, struct priv_reply *ret) MUST_CHECK;
struct json priv_error_encode(struct arena *, const struct err *);
struct err *priv_error_decode(const struct json *) MUST_CHECK; /* Never NULL. */

#endif /* priv/verb.h */
