/* agent/watch.c: files that come, change and go without us are seen within a second.
 *
 * The agent has one inotify(7) descriptor.  byre-stored puts the directory of each running pool
 * of files on it (the agent may not be allowed to look there), so that nobody holds the directory
 * open and an unmount stays possible.  The kernel tells names; a moment after the first of them
 * each is looked at by byre-stored, or the whole pool is, if there were many or the kernel lost
 * count.  What comes of it goes the way of a scan (feed.c).
 *
 * A server's files change elsewhere too, which no kernel tells: there a refresh, or a look-up,
 * finds them.  Without inotify (its limits are the host's) a pool works all the same. */
#define LOG_MODULE "watch"
#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/agent_i.h"

#include "base/fs.h"
#include "base/log.h"
#include "store/code.h"

#define SETTLE_MS 200     /* From the first event to the look. */
#define NAMES_MAX 32      /* So many are looked at one by one. */
#define RETRY_MS 60000    /* Until a pool that could not be watched is tried again. */
#define BATCH_BYTES 65536 /* Of one read. */
#define READS_MAX 64      /* Of one turn of the loop: then the others have theirs. */

struct watch {
    struct agent *agent;
    int fd; /* -1: this host has no inotify for us. */
    struct loop_fd *poll;
    struct loop_timer *timer;
};

/* A pool's part: in struct pool_obj. */

/* One look, in a worker thread. */
struct look {
    struct agent *agent;
    struct pool_obj *obj;
    int fd; /* Not -1: begin to watch. */
    struct pool pool;
    int64_t begun_tick, since;
    struct strvec names; /* Empty: the whole pool. */
    struct err *e;
    struct priv_reply reply;
};

/* One name into the reply, which becomes a scan of what differs. */
static struct err *
look_at(struct look *look, const char *name)
{
    struct vol_list *list = &look->reply.vols;
    struct priv_reply one;
    struct vol vol;
    vol_init(&vol);
    vol.name = name;
    vol.target.format = pool_traits(look->pool.type)->default_vol_format;
    struct priv_request request = { .verb = PRIV_VOL_STAT,
                                    .pool = &look->pool,
                                    .vol = &vol };

    priv_reply_init(&one);
    struct err *e = stored_call(look->agent->stored, &request, -1, NULL, &one);
    if (!e) {
        VEC_FOR_EACH (const struct vol *found, &one.vols.vols) {
            *VEC_ADD(&list->vols) = *found;
        }
        arena_adopt(&list->arena, &one.vols.arena);
        look->reply.has_stat = one.has_stat;
        look->reply.stat = one.stat;
        look->reply.stat.perms.label = NULL;
    } else if (err_code(e) == VE_NO_VOL) {
        err_free(TAKE(e));
        *VEC_ADD(&list->gone) = arena_str(&list->arena, name);
    } else if (err_code(e) == VE_OPERATION_INVALID) {
        err_free(TAKE(e)); /* A name that no volume may have. */
    }
    priv_reply_done(&one);
    return e;
}

static void
look_run(void *aux)
{
    struct look *look = aux;
    struct priv_request request = { .pool = &look->pool, .since = look->since };

    if (look->fd >= 0) {
        request.verb = PRIV_POOL_WATCH;
        look->e = stored_call(look->agent->stored, &request, look->fd, NULL, &look->reply);
    } else if (!look->names.n) {
        request.verb = PRIV_POOL_REFRESH;
        look->e = stored_call(look->agent->stored, &request, -1, NULL, &look->reply);
    }
    for (size_t i = 0; i < look->names.n && !look->e; i++) {
        look->e = look_at(look, look->names.v[i]);
    }
}

static void
look_worked(struct look *look)
{
    struct pool_obj *obj = look->obj;

    if (look->fd >= 0) { /* What came before it began, the whole scan finds. */
        obj->watch.wd = (int) look->reply.n_bytes;
        obj->watch.all = true;
        loop_timer_set(look->agent->watch->timer, 0);
    } else if (!look->names.n) {
        pool_refreshed(obj, look->begun_tick, &look->reply);
    } else {
        look->reply.vols.since = look->since ? look->since : 1;
        look->reply.vols.scan = look->since;
        pool_stat_set(obj, &look->reply);
        feed_begin(obj, look->begun_tick, &look->reply.vols);
    }
}

static void
look_done(void *aux, bool dropped)
{
    struct look *look = aux;
    struct pool_obj *obj = look->obj;
    struct agent *a = look->agent;

    obj->watch.busy = false;
    if (obj->o.row && !dropped && look->e) {
        obj->watch.retry_at_ms = agent_now_ms(a) + RETRY_MS;
        obj->scan = 0; /* Whatever was to be seen: the next scan tells all. */
        log_failure(LOG_INFO, LOG_MODULE, err_wrap(TAKE(look->e), "%s", look->pool.name));
    } else if (obj->o.row && !dropped) {
        look_worked(look);
    }
    if (look->fd < 0) {
        pool_scan_end(obj);
    }
    if (!obj->o.row) {
        pool_obj_orphan(obj);
    } else if (!dropped) {
        agent_touch_jobs(a);
    }
    err_free(look->e);
    strvec_done(&look->names);
    priv_reply_done(&look->reply);
    pool_done(&look->pool);
    free(look);
}

static void
look_begin(struct agent *a, struct pool_obj *obj, int fd, struct strvec *names)
{
    struct look *look = NEW(struct look);
    char key[UUID_CHARS + 8];

    struct err *e = pool_model(row_pool_of(obj->o.row), &look->pool);
    if (e) {
        err_free(e); /* The pool itself tells. */
        free(look);
        return;
    }
    look->agent = a;
    look->obj = obj;
    look->fd = fd;
    look->begun_tick = a->tick;
    look->since = feed_since(obj);
    if (names) {
        look->names = *names;
        *names = STRVEC_INIT;
    }
    priv_reply_init(&look->reply);
    obj->watch.busy = true;
    if (fd < 0) {
        pool_scan_begin(obj);
    }
    snprintf(key, sizeof key, "pool/%s", UUID_TEXT(&obj->o.uuid));
    work_submit(a->pools, key, look_run, look_done, look);
}

static struct pool_obj *
obj_of_wd(struct agent *a, int wd)
{
    ROW_FOR_EACH (struct row_pool, row, row_pool_table(a->replica)) {
        struct pool_obj *obj = row->base.user;
        if (obj && obj->watch.wd == wd) {
            return obj;
        }
    }
    return NULL;
}

static void
forget(struct pool_obj *obj)
{
    obj->watch.wd = 0;
    obj->watch.all = false;
    strvec_done(&obj->watch.names);
}

static void
on_event(struct agent *a, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        ROW_FOR_EACH (struct row_pool, row, row_pool_table(a->replica)) {
            struct pool_obj *obj = row->base.user;
            if (obj && obj->watch.wd > 0) {
                obj->watch.all = true;
            }
        }
        return;
    }
    struct pool_obj *obj = obj_of_wd(a, event->wd);
    if (!obj) {
        return; /* Of a watch that has ended. */
    } else if (event->mask & (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF)) {
        if (!(event->mask & (IN_IGNORED | IN_UNMOUNT))) {
            inotify_rm_watch(a->watch->fd, event->wd);
        }
        forget(obj);
    } else if (event->len && !vol_name_is_temporary(event->name) &&
               str_is_utf8(event->name, strlen(event->name))) {
        if (obj->watch.names.n >= NAMES_MAX) {
            obj->watch.all = true;
        } else if (!strvec_has(&obj->watch.names, event->name)) {
            strvec_add(&obj->watch.names, event->name);
        }
    }
}

static void
on_readable(void *aux, int ready UNUSED)
{
    struct watch *w = aux;
    static char bytes[BATCH_BYTES]
        __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n;

    for (int i = 0; i < READS_MAX && (n = read(w->fd, bytes, sizeof bytes)) > 0; i++) {
        for (char *at = bytes; at < bytes + n;) {
            const struct inotify_event *event = (const void *) at;
            on_event(w->agent, event);
            at += sizeof *event + event->len;
        }
    }
    if (!loop_timer_is_set(w->timer)) {
        loop_timer_set(w->timer, SETTLE_MS);
    }
}

/* Looks at what was told of; a pool that is busy has its turn later. */
static void
on_settled(void *aux)
{
    struct watch *w = aux;
    struct agent *a = w->agent;
    bool later = false;

    if (a->leaving || !replica_is_ready(a->replica)) {
        return;
    }
    ROW_FOR_EACH (struct row_pool, row, row_pool_table(a->replica)) {
        struct pool_obj *obj = row->base.user;
        if (!obj || obj->watch.wd <= 0 || (!obj->watch.all && !obj->watch.names.n)) {
            continue;
        } else if (!pool_ready(row, obj)) {
            strvec_done(&obj->watch.names); /* Its start scans it. */
        } else if (obj->o.busy || obj->watch.busy || feed_under_way(obj)) {
            later = true;
        } else {
            if (obj->watch.all) {
                strvec_done(&obj->watch.names);
            }
            obj->watch.all = false;
            look_begin(a, obj, -1, &obj->watch.names);
        }
    }
    if (later) {
        loop_timer_set(w->timer, SETTLE_MS);
    }
}

void
watch_pass(struct agent *a)
{
    if (a->watch->fd < 0) {
        return;
    }
    ROW_FOR_EACH (struct row_pool, row, row_pool_table(a->replica)) {
        struct pool_obj *obj = row->base.user;
        if (!obj || !agent_is_own(a, &row->hostnode)) {
            continue;
        }
        bool ready = pool_ready(row, obj);
        if (obj->watch.wd > 0 && !ready) {
            inotify_rm_watch(a->watch->fd, obj->watch.wd);
            forget(obj);
        } else if (ready && obj->watch.wd == 0 && !obj->watch.busy && !obj->o.busy &&
                   agent_now_ms(a) >= obj->watch.retry_at_ms) {
            const struct row_metapool *metapool = row_pool_get_metapool(row);
            bool files = metapool &&
                         (str_eq(metapool->type, "dir") || str_eq(metapool->type, "fs") ||
                          str_eq(metapool->type, "netfs"));
            if (files) {
                look_begin(a, obj, a->watch->fd, NULL);
            }
        }
    }
}

void
watch_pool_done(struct pool_obj *obj)
{
    struct watch *w = obj->o.agent->watch;

    if (obj->watch.wd > 0 && w && w->fd >= 0) {
        inotify_rm_watch(w->fd, obj->watch.wd);
    }
    forget(obj);
}

struct watch *
watch_new(struct agent *a)
{
    struct watch *w = NEW(struct watch);

    w->agent = a;
    w->timer = loop_timer_new(a->loop, on_settled, w);
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    struct err *e = w->fd < 0 ? err_io(errno, "inotify")
                              : loop_fd_new(a->loop, w->fd, on_readable, w, &w->poll);
    if (e) {
        log_failure(LOG_WARN, LOG_MODULE,
                    err_wrap(e, "files that come and go are not seen"));
        fd_done(&w->fd);
    } else {
        loop_fd_set(w->poll, LOOP_READ);
    }
    return w;
}

void
watch_free(struct watch *w)
{
    if (!w) {
        return;
    }
    if (w->poll) {
        loop_fd_free(w->poll);
    }
    loop_timer_free(w->timer);
    fd_done(&w->fd);
    free(w);
}
