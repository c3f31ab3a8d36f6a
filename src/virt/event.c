/* virt/event.c: libvirt's event loop in a thread of its own, and its events as values.
 *
 * libvirt allows one event loop a process, registered before the first connection; so it is
 * counted here and not owned by a connection.  Callbacks run on that thread; they copy what they
 * were told and post it to the program's loop. */
#include <libvirt/virterror.h>

#include "base/clock.h"
#include "loop/loop.h"
#include "virt/conn_i.h"

#define LAST_TURNS 3

static struct {
    pthread_mutex_t lock; /* Guards the rest. */
    pthread_t thread;
    unsigned n_users;
    bool registered; /* With libvirt; once for ever. */
    bool stop;
    int waker; /* A timer that ends the thread's poll(2) at once. */
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool
must_stop(void)
{
    pthread_mutex_lock(&shared.lock);
    bool stop = shared.stop;
    pthread_mutex_unlock(&shared.lock);
    return stop;
}

static void *
event_thread(void *aux UNUSED)
{
    while (!must_stop()) {
        virEventRunDefaultImpl(); /* Fails only by interruption. */
    }
    /* What was removed last is freed by the turns after. */
    for (int i = 0; i < LAST_TURNS; i++) {
        virEventUpdateTimeout(shared.waker, 0);
        virEventRunDefaultImpl();
    }
    return NULL;
}

static void
on_waker(int timer, void *aux UNUSED)
{
    virEventUpdateTimeout(timer, -1);
}

void
virt_thread_ref(void)
{
    pthread_mutex_lock(&shared.lock);
    if (!shared.registered) {
        virInitialize();
        ASSERT(virEventRegisterDefaultImpl() == 0);
        shared.waker = virEventAddTimeout(-1, on_waker, NULL, NULL);
        shared.registered = true;
    }
    if (shared.n_users++ == 0) {
        shared.stop = false;
        ASSERT(pthread_create(&shared.thread, NULL, event_thread, NULL) == 0);
    }
    pthread_mutex_unlock(&shared.lock);
}

void
virt_thread_unref(void)
{
    pthread_mutex_lock(&shared.lock);
    bool last = --shared.n_users == 0;
    if (last) {
        shared.stop = true;
        virEventUpdateTimeout(shared.waker, 0);
    }
    pthread_t thread = shared.thread;
    pthread_mutex_unlock(&shared.lock);
    if (last) {
        pthread_join(thread, NULL);
    }
}

/* An event on its way to the loop. */
struct post {
    struct virt *virt; /* Holds a reference. */
    struct virt_event event;
};

static void
deliver(void *aux)
{
    struct post *post = aux;

    if (!post->virt->closed) {
        post->virt->on_event(post->virt->aux, &post->event);
    }
    virt_unref(post->virt);
    free(post);
}

static void
post_event(struct virt *v, struct virt_event event)
{
    struct post *post = NEW(struct post);

    event.at_ms = clock_wall_ms();
    post->virt = v;
    post->event = event;
    pthread_mutex_lock(&v->lock);
    v->n_refs++;
    pthread_mutex_unlock(&v->lock);
    loop_post(v->loop, deliver, post);
}

static struct virt_event
event_of_domain(virDomainPtr dom, enum virt_event_kind kind)
{
    struct virt_event event = { .kind = kind };
    virDomainGetUUID(dom, event.domain.b);
    return event;
}

static enum virt_reason
reason_of_stop(int detail)
{
    switch (detail) {
    case VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: return VIRT_WHY_GUEST_POWEROFF;
    case VIR_DOMAIN_EVENT_STOPPED_DESTROYED: return VIRT_WHY_DESTROYED;
    case VIR_DOMAIN_EVENT_STOPPED_CRASHED: return VIRT_WHY_CRASHED;
    case VIR_DOMAIN_EVENT_STOPPED_FAILED: return VIRT_WHY_FAILED;
    default: return VIRT_WHY_OTHER;
    }
}

static const enum virt_event_kind kinds[] = {
    [VIR_DOMAIN_EVENT_DEFINED] = VIRT_EV_DEFINED,
    [VIR_DOMAIN_EVENT_UNDEFINED] = VIRT_EV_UNDEFINED,
    [VIR_DOMAIN_EVENT_STARTED] = VIRT_EV_STARTED,
    [VIR_DOMAIN_EVENT_SUSPENDED] = VIRT_EV_PAUSED,
    [VIR_DOMAIN_EVENT_RESUMED] = VIRT_EV_RESUMED,
    [VIR_DOMAIN_EVENT_STOPPED] = VIRT_EV_STOPPED,
    [VIR_DOMAIN_EVENT_SHUTDOWN] = VIRT_EV_OTHER,
    [VIR_DOMAIN_EVENT_PMSUSPENDED] = VIRT_EV_OTHER,
    [VIR_DOMAIN_EVENT_CRASHED] = VIRT_EV_CRASHED,
};

static int
on_lifecycle(virConnectPtr conn UNUSED, virDomainPtr dom, int kind, int detail, void *aux)
{
    bool known = kind >= 0 && (size_t) kind < N_ELEMS(kinds);
    struct virt_event event = event_of_domain(dom, known ? kinds[kind] : VIRT_EV_OTHER);

    if (event.kind == VIRT_EV_STOPPED) {
        event.reason = reason_of_stop(detail);
    }
    post_event(aux, event);
    return 0;
}

static void
on_reboot(virConnectPtr conn UNUSED, virDomainPtr dom, void *aux)
{
    post_event(aux, event_of_domain(dom, VIRT_EV_REBOOTED));
}

/* The guest gave a device back, or refused to; its balloon grew or shrank: look again. */
static void
on_device(virConnectPtr conn UNUSED, virDomainPtr dom, const char *alias UNUSED, void *aux)
{
    post_event(aux, event_of_domain(dom, VIRT_EV_OTHER));
}

static void
on_balloon(virConnectPtr conn UNUSED, virDomainPtr dom, unsigned long long kib UNUSED,
           void *aux)
{
    post_event(aux, event_of_domain(dom, VIRT_EV_OTHER));
}

static void
on_network(virConnectPtr conn UNUSED, virNetworkPtr net UNUSED, int kind UNUSED,
           int detail UNUSED, void *aux)
{
    post_event(aux, (struct virt_event){ .kind = VIRT_EV_NETWORK });
}

static void
on_close(virConnectPtr conn, int reason, void *aux)
{
    struct virt *v = aux;

    if (reason == VIR_CONNECT_CLOSE_REASON_CLIENT) {
        return; /* We did it. */
    }
    pthread_mutex_lock(&v->lock);
    bool ours = v->conn == conn;
    v->lost |= ours;
    pthread_mutex_unlock(&v->lock);
    if (ours) {
        post_event(v, (struct virt_event){ .kind = VIRT_EV_LOST });
    }
}

struct err *
virt_events_on(struct virt *v, virConnectPtr conn)
{
    static const struct {
        int event;
        virConnectDomainEventGenericCallback call;
        bool optional; /* The test driver has it not. */
    } wanted[N_VIRT_CALLBACKS] = {
        { VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), false },
        { VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK(on_reboot), false },
        { VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device), true },
        { VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, VIR_DOMAIN_EVENT_CALLBACK(on_device),
          true },
        { VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_balloon), true },
    };

    for (size_t i = 0; i < N_VIRT_CALLBACKS; i++) {
        v->callbacks[i] = virConnectDomainEventRegisterAny(conn, NULL, wanted[i].event,
                                                           wanted[i].call, v, NULL);
        if (v->callbacks[i] < 0 && !wanted[i].optional) {
            return virt_last_error(v, "register for domain events");
        }
    }
    /* A libvirt without a network driver tells of none. */
    v->network_callback =
        virConnectNetworkEventRegisterAny(conn, NULL, VIR_NETWORK_EVENT_ID_LIFECYCLE,
                                          VIR_NETWORK_EVENT_CALLBACK(on_network), v, NULL);
    /* The test driver cannot close by itself; that it cannot tell is no failure. */
    virConnectRegisterCloseCallback(conn, on_close, v, NULL);
    return NULL;
}

void
virt_events_off(struct virt *v, virConnectPtr conn)
{
    virConnectUnregisterCloseCallback(conn, on_close);
    if (v->network_callback >= 0) {
        virConnectNetworkEventDeregisterAny(conn, v->network_callback);
        v->network_callback = -1;
    }
    for (size_t i = 0; i < N_VIRT_CALLBACKS; i++) {
        if (v->callbacks[i] >= 0) {
            virConnectDomainEventDeregisterAny(conn, v->callbacks[i]);
            v->callbacks[i] = -1;
        }
    }
}
