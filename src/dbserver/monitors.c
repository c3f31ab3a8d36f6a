/* dbserver/monitors.c: from a committed change to the clients that watch. */
#include "base/str.h"
#include "dbserver/peer_i.h"

struct peer_monitor *
peer_monitor_find(const struct peer *p, const char *id)
{
    LIST_FOR_EACH (struct peer_monitor, m, in_peer, &p->monitors) {
        if (str_eq(m->id, id)) {
            return m;
        }
    }
    return NULL;
}

void
peer_monitor_free(struct peer_monitor *m)
{
    m->peer->n_monitors--;
    output_forget_monitor(m->peer, m);
    list_remove(&m->in_peer);
    list_remove(&m->in_served);
    monitor_free(m->monitor);
    buf_done(&m->head);
    free(m->id);
    free(m);
}

/* What one commit's deliveries have in common: most clients call their monitors alike, so that not
 * only the updates but the whole message is the same. */
struct shared_update {
    struct bytes *updates; /* What monitors_deliver() got last; NULL between commits. */
    struct buf head;       /* Of the first client that got it... */
    struct bytes *message; /* ... and its message. */
    struct bytes *rest;    /* What follows other heads; NULL: not yet needed. */
};

static void
print_head(const struct peer_monitor *m, struct buf *head)
{
    buf_add(head, m->head.data, m->head.n);
    if (monitor_version(m->monitor) == MONITOR_V3) {
        buf_printf(head, "\"%s\",", UUID_TEXT(db_last_id(m->served->db)));
    }
}

static struct bytes *
join(const struct buf *head, const struct bytes *updates)
{
    struct buf b = BUF_INIT;
    size_t n_head = head ? head->n : 0;
    buf_reserve(&b, n_head + updates->n + 2);
    if (n_head) {
        buf_add(&b, head->data, n_head);
    }
    buf_add(&b, updates->data, updates->n);
    buf_add(&b, "]}", 2);
    return bytes_take(&b);
}

static void
share(struct shared_update *s, const struct peer_monitor *first, struct bytes *updates)
{
    bytes_unref(s->updates);
    bytes_unref(s->message);
    bytes_drop(&s->rest);
    buf_clear(&s->head);
    s->updates = bytes_ref(updates);
    buf_add(&s->head, first->head.data, first->head.n);
    struct buf head = BUF_INIT;
    print_head(first, &head);
    s->message = join(&head, updates);
    buf_done(&head);
}

void
monitors_send(struct peer_monitor *m, struct bytes *updates, uint64_t before)
{
    struct buf head = BUF_INIT;
    print_head(m, &head);
    peer_queue_update(m, NULL, join(&head, updates), before);
    buf_done(&head);
}

void
monitors_deliver(void *aux UNUSED, struct monitor *monitor, struct bytes *updates)
{
    struct peer_monitor *m = monitor_user(monitor);
    struct shared_update *s = m->peer->server->shared;
    uint64_t before = db_seq(m->served->db) - 1;

    if (m->peer->closed || m->lagging) {
        return;
    }
    if (!s) {
        s = m->peer->server->shared = NEW(struct shared_update);
    }
    if (s->updates != updates) {
        share(s, m, updates);
    }
    if (s->head.n == m->head.n && memcmp(s->head.data, m->head.data, s->head.n) == 0) {
        peer_queue_update(m, NULL, bytes_ref(s->message), before);
        return;
    }
    struct buf head = BUF_INIT;
    print_head(m, &head);
    s->rest = s->rest ? s->rest : join(NULL, updates);
    peer_queue_update(m, bytes_take(&head), bytes_ref(s->rest), before);
}

void
monitors_delivered(struct dbserver *server)
{
    struct shared_update *s = TAKE(server->shared);
    if (s) {
        bytes_unref(s->updates);
        bytes_unref(s->message);
        bytes_unref(s->rest);
        buf_done(&s->head);
        free(s);
    }
}

void
monitors_cancel(struct served *served)
{
    while (!list_empty(&served->monitors)) {
        struct peer_monitor *m =
            CONTAINER_OF(served->monitors.next, struct peer_monitor, in_served);
        if (m->peer->aware) {
            peer_notify(m->peer, "monitor_canceled", m->id);
        }
        peer_monitor_free(m);
    }
}
