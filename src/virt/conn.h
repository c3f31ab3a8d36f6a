/* virt/conn.h: the connection to libvirt and everything that is asked of it.
 *
 * Threads. Every virt_* function that talks to libvirt may block for seconds: call it from a
 *          worker thread (loop/work.h), never from the loop's.  They may be called from several
 *          threads at once.  virt_new(), virt_free() and the event callback belong to the loop's
 *          thread.
 * Events.  A thread of its own runs libvirt's event loop.  What it sees is posted to the loop
 *          (loop_post) and arrives in 'on_event' there.  The keep-alive is on: a libvirtd that
 *          stops answering for 30 s counts as lost.
 * Loss.    When libvirtd dies, calls fail with ERR_BUSY ("libvirt ... is not reachable") until
 *          virt_connect() succeeds again.  Guests do not care.
 * Errors.  libvirt's own text and code (err_code() = virErrorNumber), mapped to kinds: no such
 *          domain ERR_NOT_FOUND, operation not possible in this state ERR_CONSTRAINT, exists
 *          ERR_EXISTS, denied ERR_DENIED, not supported ERR_UNSUPPORTED, timed out ERR_TIMEOUT,
 *          connection trouble ERR_BUSY, the rest ERR_IO. */
#ifndef VIRT_CONN_H
#define VIRT_CONN_H 1

#include "base/base.h"
#include "base/uuid.h"
#include "virt/domain.h"

struct loop;
struct virt_live; /* virt/hot.h */
struct virt;      /* One connection.  virt_new(), virt_free(). */

/* As VMmanager's and libvirt's words: what a domain does now. */
/* clang-format off */
enum virt_state { VIRT_UNKNOWN, VIRT_RUNNING, VIRT_IDLE, VIRT_PAUSED, VIRT_SHUTDOWN, VIRT_SHUTOFF,
                  VIRT_CRASHED, VIRT_SUSPENDED, N_VIRT_STATES };
/* Why it is off, or paused; from the domain's state or from the event. */
enum virt_reason { VIRT_WHY_OTHER, VIRT_WHY_GUEST_POWEROFF, VIRT_WHY_DESTROYED, VIRT_WHY_CRASHED,
                   VIRT_WHY_FAILED,    /* It never came up. */
                   VIRT_WHY_IO_ERROR,  /* Paused: a disk could not be written. */
                   VIRT_WHY_TRANSIENT, /* Paused: libvirt is at work and resumes it itself. */
                   N_VIRT_REASONS };
/* clang-format on */
const char *virt_state_name(enum virt_state);

/* A domain as libvirt has it. */
struct virt_dom {
    struct uuid uuid;
    char *name; /* Owned by the list. */
    enum virt_state state;
    enum virt_reason reason;
    int domid; /* -1 when it is off. */
    bool persistent, autostart;
    bool saved; /* It is off, and its memory waits on disk: a start goes on from there. */
    int64_t mem_mib, vcpus; /* The most memory it can have; the CPUs it has. */
    bool marked;            /* Byre's ... */
    struct virt_mark
        mark; /* ... and then this row's.  'print' of the definition on file. */
    char live_print[VIRT_PRINT_CHARS + 1]; /* 'print' of what runs now; "" when off. */
    char live_guard[VIRT_PRINT_CHARS + 1]; /* 'guard' of what runs now; "" when off. */
    int vnc_port;                          /* -1: none. */
    struct virt_live *live; /* Marked and on: what runs; else NULL.  Owned by the list. */
};

struct virt_doms {
    struct virt_dom *v;
    size_t n;
};
#define VIRT_DOMS_INIT ((struct virt_doms){ NULL, 0 })
void virt_doms_done(struct virt_doms *);
const struct virt_dom *virt_doms_find(const struct virt_doms *, const struct uuid *);

/* What libvirt knows about the host. */
struct virt_host {
    struct uuid uid; /* libvirt's host UUID. */
    char arch[32], cpu_model[128];
    int cpus;
    int64_t mem_mib, mem_free_mib;
    bool efi, tpm;     /* UEFI firmware and swtpm are there. */
    char version[128]; /* "libvirt 9.0.0, QEMU 7.2.22" */
};

/* clang-format off */
enum virt_event_kind { VIRT_EV_LOST,     /* The connection broke. */
                       VIRT_EV_NETWORK,  /* Some network started, stopped or changed. */
                       VIRT_EV_STARTED,  /* Also: resumed from a file, migrated in. */
                       VIRT_EV_STOPPED,  /* 'reason' says why. */
                       VIRT_EV_PAUSED, VIRT_EV_RESUMED, VIRT_EV_CRASHED,
                       VIRT_EV_REBOOTED, /* The guest was reset, by itself or on demand. */
                       VIRT_EV_DEFINED, VIRT_EV_UNDEFINED, VIRT_EV_OTHER };
/* clang-format on */
struct virt_event {
    enum virt_event_kind kind;
    struct uuid domain; /* Zero with VIRT_EV_LOST and VIRT_EV_NETWORK. */
    enum virt_reason reason;
    int64_t at_ms; /* Wall clock when libvirt told us. */
};

/* 'uri' e.g. "qemu:///system".  'on_event' runs on the loop's thread. */
struct virt *virt_new(const char *uri, struct loop *,
                      void (*on_event)(void *aux, const struct virt_event *), void *aux);
void virt_free(struct virt *); /* Blocks until the event thread is gone.  NULL is fine. */
const char *virt_uri(const struct virt *);

/* Connects if not connected.  The failure is three lines: what, libvirt's words, what to do. */
struct err *virt_connect(struct virt *) MUST_CHECK;
bool virt_connected(struct virt *);

struct err *virt_host_facts(struct virt *, struct virt_host *ret) MUST_CHECK;
struct err *virt_list(struct virt *, struct virt_doms *ret) MUST_CHECK; /* All domains. */
struct err *virt_look(struct virt *, const struct uuid *, struct virt_dom *ret) MUST_CHECK;
void virt_dom_done(struct virt_dom *); /* Frees what it owns. */

struct err *virt_define(struct virt *, const char *xml) MUST_CHECK;
/* Also when it has managed saves, NVRAM, snapshots' or checkpoints' metadata. */
struct err *virt_undefine(struct virt *, const struct uuid *) MUST_CHECK;
/* The same, but what firmware and TPM remember stays for the definition that follows. */
struct err *virt_undefine_for_now(struct virt *, const struct uuid *) MUST_CHECK;
struct err *virt_start(struct virt *, const struct uuid *, bool paused) MUST_CHECK;
/* Asks: by the guest agent if it answers, else by the power button. */
struct err *virt_shutdown(struct virt *, const struct uuid *) MUST_CHECK;
struct err *virt_destroy(struct virt *,
                         const struct uuid *) MUST_CHECK; /* Pulls the plug. */
struct err *virt_reboot(struct virt *, const struct uuid *) MUST_CHECK; /* Likewise. */
struct err *virt_reset(struct virt *, const struct uuid *) MUST_CHECK;  /* Presses reset. */
struct err *virt_suspend(struct virt *, const struct uuid *) MUST_CHECK;
struct err *virt_resume(struct virt *, const struct uuid *) MUST_CHECK;
/* Writes the guest's memory to disk and ends it; the next start goes on from there.  Takes as
 * long as the memory takes to be written. */
struct err *virt_save(struct virt *, const struct uuid *) MUST_CHECK;
/* Throws what was saved away. */
struct err *virt_forget_saved(struct virt *, const struct uuid *) MUST_CHECK;
/* The caller frees the XML.  'inactive': the definition on file instead of what runs. */
struct err *virt_xml(struct virt *, const struct uuid *, bool inactive,
                     char **ret) MUST_CHECK;

/* Joins 'fd' (a stream socket) to the guest's first serial console until either end closes;
 * then closes 'fd'.  Returns once the console is open.  'greeting' goes out first (NULL: none),
 * then the tail of 'log_path' (NULL: none).  A second client takes the console over, the first one's socket closes.  Takes 'fd'
 * (on failure too).  ERR_CONSTRAINT: the domain does not run. */
struct err *virt_console(struct virt *, const struct uuid *, const char *greeting,
                         const char *log_path, int fd) MUST_CHECK;

#endif /* virt/conn.h */
