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
    list_remove(&m->in_peer);
    list_remove(&m->in_served);
    monitor_free(m->monitor);
    buf_done(&m->head);
    free(m->id);
    free(m);
}

void
monitors_deliver(void *aux UNUSED, struct monitor *monitor, struct bytes *updates)
{
    struct peer_monitor *m = monitor_user(monitor);
    struct buf head = BUF_INIT;

    if (!m->peer->closed) {
        buf_add(&head, m->head.data, m->head.n);
        if (monitor_version(monitor) == MONITOR_V3) {
            buf_printf(&head, "\"%s\",", UUID_TEXT(db_last_id(m->served->db)));
        }
        peer_queue(m->peer, OUT_UPDATE, m->served, &head, bytes_ref(updates), "]}");
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
