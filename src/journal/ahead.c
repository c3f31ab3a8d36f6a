/* journal/ahead.c: see ahead.h. */
#include "journal/ahead.h"

#include <pthread.h>

#include "base/vec.h"

#define N_BATCHES 8
#define BATCH_BYTES ((size_t) (256 * KIB)) /* Of JSON text; then it is handed over. */
#define SPLIT_BYTES ((size_t) MIB)         /* A first record longer than this is split. */

struct batch {
    struct arena arena;
    VEC(struct ahead_item) items;
};

struct ahead {
    struct record_reader reader; /* The thread's. */
    pthread_t thread;
    struct batch batches[N_BATCHES]; /* A ring: number k lies at k % N_BATCHES. */

    pthread_mutex_t mutex; /* Of all below. */
    pthread_cond_t moved;
    uint64_t n_filled; /* By the thread. */
    uint64_t n_done;   /* By the owner: those before may be filled again. */
    bool at_end;       /* No more will be filled. */
    bool stop;

    size_t next; /* The owner's: its item in batch 'n_done'. */
};

struct err *
record_json(const struct record_reader *r, struct arena *arena, const char *data,
            size_t n_bytes, struct json *ret)
{
    int64_t at = r->offset - (int64_t) n_bytes;
    struct err *e = json_parse(arena, data, n_bytes, ret);
    if (e) {
        return err_wrap(e,
                        "%s: %zu bytes starting at offset %" PRId64 " are not valid JSON",
                        r->path, n_bytes, at);
    } else if (ret->type != JSON_OBJECT) {
        return err_new(ERR_SYNTAX,
                       "%s: %zu bytes starting at offset %" PRId64 " are not a JSON object",
                       r->path, n_bytes, at);
    }
    return NULL;
}

static void
drop_errors(struct batch *b)
{
    VEC_FOR_EACH (struct ahead_item *item, &b->items) {
        err_free(TAKE(item->e));
    }
}

/* The next batch to fill, empty; NULL if the owner wants no more. */
static struct batch *
batch_begin(struct ahead *a)
{
    pthread_mutex_lock(&a->mutex);
    while (!a->stop && a->n_filled - a->n_done == N_BATCHES) {
        pthread_cond_wait(&a->moved, &a->mutex);
    }
    struct batch *b = a->stop ? NULL : &a->batches[a->n_filled % N_BATCHES];
    pthread_mutex_unlock(&a->mutex);
    if (b) {
        arena_reset(&b->arena);
        drop_errors(b);
        b->items.n = 0;
    }
    return b;
}

static void
batch_end(struct ahead *a, bool last)
{
    pthread_mutex_lock(&a->mutex);
    a->n_filled++;
    a->at_end = last;
    pthread_cond_signal(&a->moved);
    pthread_mutex_unlock(&a->mutex);
}

static struct ahead_item *
add_item(struct batch *b, const struct ahead *a, int64_t begin, enum ahead_part part)
{
    struct ahead_item *item = VEC_ADD(&b->items);
    item->begin = begin;
    item->end = a->reader.offset;
    item->part = part;
    memcpy(item->sum, a->reader.sum, sizeof item->sum);
    return item;
}

/* A batch a part.  False: the owner wants no more. */
static bool
read_parts(struct ahead *a, int64_t begin, const char *data, size_t n_bytes)
{
    struct json_split split;
    enum json_split_result result = JSON_SPLIT_PIECE;
    struct batch *b = NULL;

    json_split_init(&split, data, n_bytes);
    while (result == JSON_SPLIT_PIECE && (b = batch_begin(a))) {
        result = json_split_next(&split, BATCH_BYTES);
        struct ahead_item *item =
            add_item(b, a, begin, result == JSON_SPLIT_LAST ? AHEAD_LAST_PART : AHEAD_PART);
        item->e = result == JSON_SPLIT_BAD ? err_new(ERR_SYNTAX, "cannot be split")
                                           : json_parse(&b->arena, split.piece.data,
                                                        split.piece.n, &item->value);
        if (item->e) {
            item->part = AHEAD_PART;
            result = JSON_SPLIT_BAD;
        }
        batch_end(a, false);
    }
    json_split_done(&split);
    return b != NULL;
}

/* Fills a batch with records.  False at the end. */
static bool
read_batch(struct ahead *a, struct batch *b, bool *ret_split, const char **ret_data,
           size_t *ret_n_bytes, int64_t *ret_begin)
{
    for (size_t n_text = 0; n_text < BATCH_BYTES;) {
        const char *data;
        size_t n_bytes;
        int64_t begin = a->reader.offset;
        struct err *e = record_read(&a->reader, &data, &n_bytes);
        if (!e && !data) {
            return false;
        } else if (!e && *ret_split && n_bytes > SPLIT_BYTES) {
            *ret_data = data;
            *ret_n_bytes = n_bytes;
            *ret_begin = begin;
            return true;
        }
        *ret_split = false;
        struct ahead_item *item = add_item(b, a, begin, AHEAD_WHOLE);
        item->e = e ? e : record_json(&a->reader, &b->arena, data, n_bytes, &item->value);
        if (item->e) {
            item->value = json_null();
            return false;
        }
        n_text += n_bytes;
    }
    return true;
}

static void *
run(void *ahead)
{
    struct ahead *a = ahead;
    struct batch *b;
    bool more = true, may_split = true;
    while (more && (b = batch_begin(a))) {
        const char *data = NULL;
        size_t n_bytes = 0;
        int64_t begin = 0;
        more = read_batch(a, b, &may_split, &data, &n_bytes, &begin);
        batch_end(a, !more);
        if (data) {
            may_split = false;
            more = read_parts(a, begin, data, n_bytes);
        }
    }
    return NULL;
}

struct ahead *
ahead_start(const char *path, int fd, int64_t offset)
{
    struct ahead *a = NEW(struct ahead);
    record_reader_init(&a->reader, path, fd, offset);
    pthread_mutex_init(&a->mutex, NULL);
    pthread_cond_init(&a->moved, NULL);
    int errnum = pthread_create(&a->thread, NULL, run, a);
    ASSERT(errnum == 0);
    return a;
}

/* Waits for batch 'n_done'; NULL at the end. */
static struct batch *
batch_wait(struct ahead *a)
{
    pthread_mutex_lock(&a->mutex);
    while (a->n_filled == a->n_done && !a->at_end) {
        pthread_cond_wait(&a->moved, &a->mutex);
    }
    struct batch *b = a->n_filled > a->n_done ? &a->batches[a->n_done % N_BATCHES] : NULL;
    pthread_mutex_unlock(&a->mutex);
    return b;
}

struct ahead_item *
ahead_next(struct ahead *a)
{
    for (;;) {
        struct batch *b = batch_wait(a);
        if (!b || a->next < b->items.n) {
            return b ? &b->items.v[a->next++] : NULL;
        }
        a->next = 0;
        pthread_mutex_lock(&a->mutex);
        a->n_done++;
        pthread_cond_signal(&a->moved);
        pthread_mutex_unlock(&a->mutex);
    }
}

void
ahead_free(struct ahead *a)
{
    if (!a) {
        return;
    }
    pthread_mutex_lock(&a->mutex);
    a->stop = true;
    pthread_cond_signal(&a->moved);
    pthread_mutex_unlock(&a->mutex);
    pthread_join(a->thread, NULL);
    for (size_t i = 0; i < N_BATCHES; i++) {
        struct batch *b = &a->batches[i];
        drop_errors(b);
        VEC_DONE(&b->items);
        arena_done(&b->arena);
    }
    record_reader_done(&a->reader);
    pthread_cond_destroy(&a->moved);
    pthread_mutex_destroy(&a->mutex);
    free(a);
}
