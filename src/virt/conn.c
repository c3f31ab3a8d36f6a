/* virt/conn.c: making, losing and making again the connection to libvirt; its errors as ours.
 *
 * A connection is dropped only by virt_connect() and virt_free(), never from libvirt's close
 * callback: that runs inside libvirt's event loop, where closing would wait for itself. */
#include "virt/conn.h"

#include <stdio.h>

#include <libvirt/virterror.h>

#include "base/str.h"
#include "virt/conn_i.h"

#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 5 /* Unanswered: the connection is lost. */

/* libvirt prints errors to standard error unless told otherwise; ours go up as values. */
static void
quiet(void *aux UNUSED, virErrorPtr error UNUSED)
{
}

struct virt *
virt_new(const char *uri, struct loop *loop,
         void (*on_event)(void *aux, const struct virt_event *), void *aux)
{
    struct virt *v = NEW(struct virt);

    v->uri = str_dup(uri);
    v->loop = loop;
    v->on_event = on_event;
    v->aux = aux;
    v->n_refs = 1;
    pthread_mutex_init(&v->connecting, NULL);
    pthread_mutex_init(&v->lock, NULL);
    for (size_t i = 0; i < N_VIRT_CALLBACKS; i++) {
        v->callbacks[i] = -1;
    }
    v->network_callback = -1;
    virSetErrorFunc(NULL, quiet);
    virt_thread_ref();
    return v;
}

/* Gives up the connection, if any.  'connecting' is held. */
static void
conn_close(struct virt *v)
{
    pthread_mutex_lock(&v->lock);
    virConnectPtr conn = TAKE(v->conn);
    v->lost = false;
    pthread_mutex_unlock(&v->lock);

    if (conn) {
        virt_events_off(v, conn);
        virConnectClose(conn);
    }
}

void
virt_unref(struct virt *v)
{
    pthread_mutex_lock(&v->lock);
    unsigned left = --v->n_refs;
    pthread_mutex_unlock(&v->lock);

    if (left == 0) {
        pthread_mutex_destroy(&v->lock);
        pthread_mutex_destroy(&v->connecting);
        free(v->uri);
        free(v);
    }
}

void
virt_free(struct virt *v)
{
    if (!v) {
        return;
    }
    v->closed = true;
    pthread_mutex_lock(&v->connecting);
    conn_close(v);
    pthread_mutex_unlock(&v->connecting);
    virt_thread_unref();
    virt_unref(v);
}

const char *
virt_uri(const struct virt *v)
{
    return v->uri;
}

bool
virt_connected(struct virt *v)
{
    pthread_mutex_lock(&v->lock);
    bool yes = v->conn && !v->lost;
    pthread_mutex_unlock(&v->lock);
    return yes;
}

struct err *
virt_connect(struct virt *v)
{
    if (virt_connected(v)) {
        return NULL;
    }

    struct err *e = NULL;
    pthread_mutex_lock(&v->connecting);
    if (!virt_connected(v)) { /* Another worker may have been quicker. */
        conn_close(v);
        virConnectPtr conn = virConnectOpen(v->uri);
        if (!conn) {
            e = err_hint(
                virt_last_error(v, "libvirt cannot be reached"),
                "start libvirt's daemons on this host (systemctl start libvirtd), and see "
                "whether 'virsh -c %s list' works as this user",
                v->uri);
        } else if ((e = virt_events_on(v, conn))) {
            virt_events_off(v, conn);
            virConnectClose(conn);
        } else {
            /* A local test driver has no keep-alive, and needs none. */
            virConnectSetKeepAlive(conn, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT);
            pthread_mutex_lock(&v->lock);
            v->conn = conn;
            pthread_mutex_unlock(&v->lock);
        }
    }
    pthread_mutex_unlock(&v->connecting);
    return e;
}

struct err *
virt_conn_take(struct virt *v, virConnectPtr *ret)
{
    virConnectPtr conn = NULL;

    pthread_mutex_lock(&v->lock);
    if (v->conn && !v->lost) {
        conn = v->conn;
        virConnectRef(conn);
    }
    pthread_mutex_unlock(&v->lock);
    if (!conn) {
        return err_hint(
            err_new(ERR_BUSY, "libvirt at %s is not reachable now", v->uri),
            "nothing: the agent tries again by itself; see 'error' of the hostnode");
    }
    *ret = conn;
    return NULL;
}

void
virt_conn_drop(virConnectPtr *conn)
{
    if (*conn) {
        virConnectClose(*conn); /* Gives a reference back; the last one closes. */
        *conn = NULL;
    }
}

void
virt_dom_drop(virDomainPtr *dom)
{
    if (*dom) {
        virDomainFree(*dom);
        *dom = NULL;
    }
}

struct err *
virt_dom_take(struct virt *v, const struct uuid *uuid, virDomainPtr *ret)
{
    CLEANUP(virt_conn_drop) virConnectPtr conn = NULL;
    TRY(virt_conn_take(v, &conn));

    virDomainPtr dom = virDomainLookupByUUID(conn, uuid->b);
    if (!dom) {
        return virt_last_error(v, "look up a domain");
    }
    *ret = dom; /* Holds the connection. */
    return NULL;
}

static enum err_kind
kind_of(int code)
{
    switch (code) {
    case VIR_ERR_NO_NETWORK:
    case VIR_ERR_NO_NWFILTER:
    case VIR_ERR_NO_DOMAIN: return ERR_NOT_FOUND;
    case VIR_ERR_DOM_EXIST: return ERR_EXISTS;
    case VIR_ERR_OPERATION_INVALID:
    case VIR_ERR_INVALID_ARG:
    case VIR_ERR_CONFIG_UNSUPPORTED: return ERR_CONSTRAINT;
    case VIR_ERR_XML_ERROR:
    case VIR_ERR_XML_DETAIL:
    case VIR_ERR_XML_INVALID_SCHEMA: return ERR_SYNTAX;
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_CANCELLED:
    case VIR_ERR_AUTH_UNAVAILABLE:
    case VIR_ERR_ACCESS_DENIED:
    case VIR_ERR_OPERATION_DENIED: return ERR_DENIED;
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_OPERATION_UNSUPPORTED:
    case VIR_ERR_ARGUMENT_UNSUPPORTED: return ERR_UNSUPPORTED;
    case VIR_ERR_OPERATION_TIMEOUT: return ERR_TIMEOUT;
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_INVALID_CONN:
    case VIR_ERR_RPC:
    case VIR_ERR_RESOURCE_BUSY: return ERR_BUSY;
    default: return ERR_IO;
    }
}

struct err *
virt_last_error(const struct virt *v, const char *what)
{
    const virError *last = virGetLastError();
    int code = last ? last->code : 0;
    const char *text = last && last->message ? last->message : "libvirt gave no reason";

    /* A lost connection is VIR_ERR_SYSTEM_ERROR from the RPC layer: the server is gone, so it
     * may work later. */
    enum err_kind kind = kind_of(code);
    if (last && last->domain == VIR_FROM_RPC) {
        kind = ERR_BUSY;
    }
    return err_wrap(err_tag(err_new(kind, "%s", text), code), "%s (%s)", what, v->uri);
}
