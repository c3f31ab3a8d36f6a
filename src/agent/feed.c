/* agent/feed.c: what a scan found, on its way into the rows.
 *
 * A scan, whole or of what differs, is applied at once to what the agent remembers; then the rows
 * that are missing are made, and those that nobody needs any more go, a few hundred a
 * transaction: a database that chews on twenty thousand rows at once would keep everybody
 * waiting.  A small scan is one transaction: readers see the rows before it or after it.  The
 * pool counts as scanned, and its refresh as done, when the last one is durable.
 *
 * What the agent holds is named by the scan's id; the next refresh asks for what differs since.
 * Whatever makes it doubt (a row somebody removed, a file that was in work meanwhile, a
 * transaction that failed) makes it ask for all. */
#define LOG_MODULE "volume"
#include "agent/agent_i.h"

#include "base/clock.h"
#include "base/log.h"

#define FEED_ROWS 256 /* Of one transaction. */

struct feed {
    struct list node; /* In struct pool_obj's 'feeds'; the first one is at work. */
    struct agent *agent;
    struct pool_obj *obj;
    struct uuid pool, hostnode;
    int64_t begun_tick;
    struct vol_list list;
    VEC(const struct vol *) fresh; /* Without a row. */
    VEC(struct uuid) stale;        /* Rows that go. */
    size_t i_fresh, i_stale;       /* The next ones. */
    bool idle;                     /* Nothing of what is remembered changed. */
    bool doubt;                    /* Something was left out: ask for all the next time. */
};

/* A name of the list. */
struct mention {
    const struct vol *vol; /* NULL: it is gone. */
    bool has_row;
};

static void
feed_free(struct feed *feed)
{
    list_remove(&feed->node);
    vol_list_done(&feed->list);
    VEC_DONE(&feed->fresh);
    VEC_DONE(&feed->stale);
    free(feed);
}

/* A file without a row gets one: it is there, so it is ready. */
static void
insert_row(struct txn *txn, const struct feed *feed, const struct vol *vol)
{
    struct txn_row *row = txn_insert(txn, "volume");

    txn_set_string(row, "name", vol->name);
    txn_set_uuid(row, "pool", &feed->pool);
    txn_set_uuid(row, "hostnode", &feed->hostnode);
    txn_set_int(row, "size", (int64_t) div_up((uint64_t) max64(vol->capacity, 0), MIB));
    if (vol->target.format) {
        txn_set_string(row, "format", vol->target.format);
    }
    txn_set_bool(row, "found", true);
    txn_set_string(row, "type", vol_type_name(vol->type));
    txn_set_string(row, "key", vol->key);
    txn_set_string(row, "filepath", vol->target.path);
    txn_set_int(row, "capacity", max64(vol->capacity, 0));
    txn_set_int(row, "allocation", max64(vol->allocation, 0));
    txn_set_int(row, "physical", max64(vol->physical, 0));
    txn_set_string(row, "state", "ready");
    txn_set_string(row, "error", vol->error);
    txn_set_int(row, "observed_at", clock_wall_ms());
}

/* Does anything of the cluster refer to the volume? */
static bool
is_referred_to(struct agent *a, const struct uuid *volume)
{
    return typed_first_of(row_device_table(a->replica), ROW_DEVICE_VOLUME, volume) ||
           typed_first_of(row_volume_table(a->replica), ROW_VOLUME_BACKING, volume);
}

/* A row that a scan made, and that nobody took up, goes with its file. */
static bool
may_go(struct agent *a, const struct row_volume *row)
{
    return row->found && row->generation == 0 && !row->wanted_capacity.has &&
           !row->deleted && uuid_is_zero(&row->vm) && row->external_ids.n == 0 &&
           !is_referred_to(a, &row->base.uuid);
}

static void
apply_row(struct feed *feed, struct row_volume *row, const struct vol *vol)
{
    struct agent *a = feed->agent;
    struct vol_obj *obj = vol_obj_of(a, row);

    if (obj->o.busy || obj->tick > feed->begun_tick ||
        strvec_has(&feed->obj->touched, row->name)) {
        feed->doubt = true; /* Its own step knows better. */
        return;
    }
    obj->memo.scanned = true;
    obj->memo.present = vol != NULL;
    if (vol && (str_eq(row->state, "ready") || str_eq(row->state, "missing"))) {
        vol_learn(obj, vol);
    } else if (!vol && may_go(a, row)) {
        obj->memo.gone = true;
        *VEC_ADD(&feed->stale) = row->base.uuid;
    }
}

/* What the scan says of the rows there are, and which there are not. */
static void
apply(struct feed *feed)
{
    struct agent *a = feed->agent;
    struct vol_list *list = &feed->list;
    size_t n = list->vols.n + list->gone.n;
    struct mention *mentions = xcalloc(n + 1, sizeof *mentions);
    struct map by_name = MAP_INIT;

    for (size_t i = 0; i < list->vols.n; i++) {
        mentions[i].vol = &list->vols.v[i];
        map_put(&by_name, list->vols.v[i].name, &mentions[i]);
    }
    for (size_t i = 0; i < list->gone.n; i++) {
        map_put(&by_name, list->gone.v[i], &mentions[list->vols.n + i]);
    }
    ROW_FOR_EACH (struct row_volume, row, row_volume_table(a->replica)) {
        if (!uuid_eq(&row->pool, &feed->pool)) {
            continue;
        }
        struct mention *mention = map_get(&by_name, row->name);
        if (mention) {
            mention->has_row = true;
        }
        if (mention || !list->since) {
            apply_row(feed, row, mention ? mention->vol : NULL);
        }
    }
    for (size_t i = 0; i < list->vols.n; i++) {
        if (mentions[i].has_row) {
            continue;
        } else if (strvec_has(&feed->obj->touched, list->vols.v[i].name)) {
            feed->doubt = true;
        } else {
            *VEC_ADD(&feed->fresh) = &list->vols.v[i];
        }
    }
    map_done(&by_name);
    free(mentions);
}

static void feed_next(struct pool_obj *);

static void
feed_end(struct feed *feed)
{
    struct pool_obj *obj = feed->obj;
    struct agent *a = feed->agent;

    obj->scan = feed->doubt ? 0 : feed->list.scan;
    obj->scan_deletions = a->vol_deletions;
    bool idle = feed->idle && obj->memo.scanned;
    obj->memo.scanned = true;
    feed_free(feed);
    if (!list_empty(&obj->feeds)) {
        feed_next(obj);
    } else if (!obj->o.row) {
        pool_obj_orphan(obj);
    }
    if (idle) {
        agent_touch_jobs(a); /* One may wait for this. */
    } else {
        agent_touch(a);
    }
}

/* Somebody may have made a row of that name meanwhile; then all waits for the next scan. */
static void
on_fed(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct feed *feed = aux;

    if (e) {
        log_failure(LOG_INFO, LOG_MODULE, err_wrap(e, "files without rows"));
        feed->doubt = true;
        feed->i_fresh = feed->fresh.n;
        feed->i_stale = feed->stale.n;
    }
    feed_next(feed->obj);
}

/* The next transaction of the first feed, or its end. */
static void
feed_next(struct pool_obj *obj)
{
    struct feed *feed = CONTAINER_OF(obj->feeds.next, struct feed, node);
    struct agent *a = feed->agent;
    struct txn *txn = txn_new(replica_database(a->replica));

    if (!obj->o.row || a->leaving) { /* The pool is gone, or we are. */
        feed->i_fresh = feed->fresh.n;
        feed->i_stale = feed->stale.n;
    }
    for (int n = 0; n < FEED_ROWS && feed->i_stale < feed->stale.n; n++) {
        const struct uuid *uuid = &feed->stale.v[feed->i_stale++];
        if (row_volume_find(a->replica, uuid)) {
            txn_delete(txn, "volume", uuid);
        }
    }
    for (int n = 0; n < FEED_ROWS && feed->i_fresh < feed->fresh.n; n++) {
        insert_row(txn, feed, feed->fresh.v[feed->i_fresh++]);
    }
    if (txn_is_empty(txn)) {
        txn_free(txn);
        feed_end(feed);
    } else {
        txn_commit(txn, replica_session(a->replica), on_fed, feed);
    }
}

void
feed_begin(struct pool_obj *obj, int64_t begun_tick, struct vol_list *list)
{
    const struct row_pool *row = row_pool_of(obj->o.row);
    struct feed *feed = NEW(struct feed);

    feed->agent = obj->o.agent;
    feed->obj = obj;
    feed->pool = row->base.uuid;
    feed->hostnode = row->hostnode;
    feed->begun_tick = begun_tick;
    feed->list = *list;
    *list = VOL_LIST_INIT;
    list_push_back(&obj->feeds, &feed->node);
    feed->idle = feed->list.since && !feed->list.vols.n && !feed->list.gone.n;
    if (!feed->idle) {
        apply(feed);
    }
    if (obj->feeds.next == &feed->node) {
        feed_next(obj);
    }
}

bool
feed_under_way(const struct pool_obj *obj)
{
    return !list_empty(&obj->feeds);
}

int64_t
feed_since(const struct pool_obj *obj)
{
    return obj->scan_deletions == obj->o.agent->vol_deletions ? obj->scan : 0;
}
