/* virt/conn_i.h: what the files of this room share.  Private. */
#ifndef VIRT_CONN_I_H
#define VIRT_CONN_I_H 1

#include <pthread.h>

#include <libvirt/libvirt.h>

#include "virt/conn.h"

#define N_VIRT_CALLBACKS 5 /* Lifecycle, reboot, devices out or not, balloon. */

/* Who holds it: the caller of virt_new(), and each event on its way to the loop.  The last one
 * frees it. */
struct virt {
    char *uri;
    struct loop *loop;
    void (*on_event)(void *aux, const struct virt_event *);
    void *aux;
    bool closed; /* virt_free() was called.  Loop's thread only. */

    pthread_mutex_t connecting; /* Held while a connection is made or given up. */
    pthread_mutex_t lock;       /* Guards what follows; never held during a libvirt call. */
    unsigned n_refs;
    virConnectPtr conn; /* NULL: never connected, or given up. */
    bool lost;          /* 'conn' is dead and waits for virt_connect() to drop it. */
    int callbacks[N_VIRT_CALLBACKS]; /* Of 'conn'; -1: none. */
    int network_callback;            /* The same for networks. */
};

/* The error libvirt left on this thread.  'what' says what was tried. */
struct err *virt_last_error(const struct virt *, const char *what) MUST_CHECK;

/* A reference on the live connection, for virConnectClose().  ERR_BUSY when there is none. */
struct err *virt_conn_take(struct virt *, virConnectPtr *ret) MUST_CHECK;
void virt_conn_drop(virConnectPtr *); /* For CLEANUP(). */
void virt_dom_drop(virDomainPtr *);   /* For CLEANUP(). */
/* Finds a domain.  ERR_NOT_FOUND. */
struct err *virt_dom_take(struct virt *, const struct uuid *, virDomainPtr *ret) MUST_CHECK;

enum virt_state virt_state_of(int state); /* Of a virDomainState. */

/* event.c: the thread of libvirt's event loop, one for the process, counted. */
void virt_thread_ref(void);
void virt_thread_unref(void); /* The last one stops it. */
/* Registers for what we want to hear on 'conn'. */
struct err *virt_events_on(struct virt *, virConnectPtr conn) MUST_CHECK;
void virt_events_off(struct virt *, virConnectPtr conn);
void virt_unref(struct virt *);

#endif /* virt/conn_i.h */
