/* virt/dom.c: looking at domains and commanding them; facts of the host. */
#include <stdio.h>

#include <libvirt/virterror.h>

#include "base/str.h"
#include "virt/conn_i.h"
#include "virt/hot.h"

static const char *const state_names[N_VIRT_STATES] = {
    [VIRT_UNKNOWN] = "unknown", [VIRT_RUNNING] = "running",     [VIRT_IDLE] = "idle",
    [VIRT_PAUSED] = "paused",   [VIRT_SHUTDOWN] = "shutdown",   [VIRT_SHUTOFF] = "shutoff",
    [VIRT_CRASHED] = "crashed", [VIRT_SUSPENDED] = "suspended",
};

const char *
virt_state_name(enum virt_state state)
{
    return state_names[state];
}

enum virt_state
virt_state_of(int state)
{
    switch (state) {
    case VIR_DOMAIN_RUNNING: return VIRT_RUNNING;
    case VIR_DOMAIN_BLOCKED: return VIRT_IDLE;
    case VIR_DOMAIN_PAUSED: return VIRT_PAUSED;
    case VIR_DOMAIN_SHUTDOWN: return VIRT_SHUTDOWN;
    case VIR_DOMAIN_SHUTOFF: return VIRT_SHUTOFF;
    case VIR_DOMAIN_CRASHED: return VIRT_CRASHED;
    case VIR_DOMAIN_PMSUSPENDED: return VIRT_SUSPENDED;
    default: return VIRT_UNKNOWN;
    }
}

static enum virt_reason
reason_of(int state, int reason)
{
    if (state == VIR_DOMAIN_CRASHED) {
        return VIRT_WHY_CRASHED;
    } else if (state == VIR_DOMAIN_PAUSED) {
        switch (reason) {
        case VIR_DOMAIN_PAUSED_IOERROR: return VIRT_WHY_IO_ERROR;
        case VIR_DOMAIN_PAUSED_UNKNOWN:
        case VIR_DOMAIN_PAUSED_FROM_SNAPSHOT: /* As the snapshot was. */
        case VIR_DOMAIN_PAUSED_USER: return VIRT_WHY_OTHER;
        case VIR_DOMAIN_PAUSED_CRASHED: return VIRT_WHY_CRASHED;
        default: return VIRT_WHY_TRANSIENT;
        }
    } else if (state != VIR_DOMAIN_SHUTOFF) {
        return VIRT_WHY_OTHER;
    }
    switch (reason) {
    case VIR_DOMAIN_SHUTOFF_SHUTDOWN: return VIRT_WHY_GUEST_POWEROFF;
    case VIR_DOMAIN_SHUTOFF_DESTROYED: return VIRT_WHY_DESTROYED;
    case VIR_DOMAIN_SHUTOFF_CRASHED: return VIRT_WHY_CRASHED;
    case VIR_DOMAIN_SHUTOFF_FAILED: return VIRT_WHY_FAILED;
    default: return VIRT_WHY_OTHER;
    }
}

/* Byre's mark in the definition on file or in what runs.  False: none, or no such side. */
static bool
mark_of(virDomainPtr dom, bool live, struct virt_mark *ret)
{
    CLEANUP(free_drop)
    char *xml =
        virDomainGetMetadata(dom, VIR_DOMAIN_METADATA_ELEMENT, VIRT_MARK_URI,
                             live ? VIR_DOMAIN_AFFECT_LIVE : VIR_DOMAIN_AFFECT_CONFIG);
    return xml && virt_mark_parse(xml, ret);
}

/* What runs.  NULL: it went, or says something that no domain says. */
static struct virt_live *
live_of(virDomainPtr dom, enum virt_kind kind)
{
    CLEANUP(free_drop) char *xml = virDomainGetXMLDesc(dom, 0);
    struct virt_live *live = NULL;

    err_free(xml ? virt_live_read(kind, xml, &live) : NULL);
    return live;
}

/* libvirt calls a machine that was restored to be paused "migrating" for ever: it is only while a job says so. */
static bool
is_at_rest(virDomainPtr dom, int state, int reason)
{
    virDomainJobInfo job;
    return state == VIR_DOMAIN_PAUSED && reason == VIR_DOMAIN_PAUSED_MIGRATION &&
           virDomainGetJobInfo(dom, &job) == 0 && job.type == VIR_DOMAIN_JOB_NONE;
}

/* A domain may vanish while it is looked at: then false, and that is no failure. */
static bool
look(virDomainPtr dom, enum virt_kind kind, struct virt_dom *ret)
{
    struct virt_dom d = { .domid = -1, .vnc_port = -1 };
    virDomainInfo info;
    int state, reason, autostart = 0;
    struct virt_mark live;

    if (virDomainGetUUID(dom, d.uuid.b) < 0 ||
        virDomainGetState(dom, &state, &reason, 0) < 0 ||
        virDomainGetInfo(dom, &info) < 0) {
        return false;
    }
    d.state = virt_state_of(state);
    d.reason = is_at_rest(dom, state, reason) ? VIRT_WHY_OTHER : reason_of(state, reason);
    d.mem_mib = (int64_t) (info.maxMem / 1024);
    d.vcpus = info.nrVirtCpu;
    d.persistent = virDomainIsPersistent(dom) == 1;
    d.saved = d.state == VIRT_SHUTOFF && virDomainHasManagedSaveImage(dom, 0) == 1;
    d.autostart = virDomainGetAutostart(dom, &autostart) == 0 && autostart;
    if (d.persistent) {
        d.marked = mark_of(dom, false, &d.mark);
    }
    if (d.state != VIRT_SHUTOFF && d.state != VIRT_CRASHED) {
        unsigned id = virDomainGetID(dom);
        d.domid = id == (unsigned) -1 ? -1 : (int) id;
        d.live = live_of(dom, kind);
        d.vnc_port = d.live ? d.live->vnc_port : -1;
        if (mark_of(dom, true, &live)) {
            memcpy(d.live_print, live.print, sizeof d.live_print);
            memcpy(d.live_guard, live.guard, sizeof d.live_guard);
            if (!d.marked) { /* Undefined while it runs, or started without a definition. */
                d.marked = true;
                d.mark = live;
            }
        }
    }
    if (!d.marked) { /* Not ours to change. */
        virt_live_free(TAKE(d.live));
    }
    d.name = str_dup(virDomainGetName(dom));
    *ret = d;
    return true;
}

void
virt_dom_done(struct virt_dom *d)
{
    free(d->name);
    d->name = NULL;
    virt_live_free(TAKE(d->live));
}

void
virt_doms_done(struct virt_doms *doms)
{
    for (size_t i = 0; i < doms->n; i++) {
        virt_dom_done(&doms->v[i]);
    }
    free(doms->v);
    *doms = VIRT_DOMS_INIT;
}

const struct virt_dom *
virt_doms_find(const struct virt_doms *doms, const struct uuid *uuid)
{
    for (size_t i = 0; i < doms->n; i++) {
        if (uuid_eq(&doms->v[i].uuid, uuid)) {
            return &doms->v[i];
        }
    }
    return NULL;
}

struct err *
virt_list(struct virt *v, struct virt_doms *ret)
{
    CLEANUP(virt_conn_drop) virConnectPtr conn = NULL;
    TRY(virt_conn_take(v, &conn));

    virDomainPtr *doms = NULL;
    int n = virConnectListAllDomains(conn, &doms, 0);
    if (n < 0) {
        return virt_last_error(v, "list domains");
    }

    struct virt_doms list = { xcalloc((size_t) n + 1, sizeof *list.v), 0 };
    for (int i = 0; i < n; i++) {
        list.n += look(doms[i], virt_kind_of(v->uri), &list.v[list.n]);
        virDomainFree(doms[i]);
    }
    free(doms);
    if (!virt_connected(v)) { /* Half a list must not read as "the others are gone". */
        virt_doms_done(&list);
        return err_new(ERR_BUSY, "libvirt at %s went away during the listing", v->uri);
    }
    *ret = list;
    return NULL;
}

struct err *
virt_look(struct virt *v, const struct uuid *uuid, struct virt_dom *ret)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    TRY(virt_dom_take(v, uuid, &dom));
    return look(dom, virt_kind_of(v->uri), ret) ? NULL
                                                : virt_last_error(v, "look at a domain");
}

struct err *
virt_define(struct virt *v, const char *xml)
{
    CLEANUP(virt_conn_drop) virConnectPtr conn = NULL;
    TRY(virt_conn_take(v, &conn));
    CLEANUP(virt_dom_drop)
    virDomainPtr dom = virDomainDefineXMLFlags(conn, xml, VIR_DOMAIN_DEFINE_VALIDATE);
    return dom ? NULL : virt_last_error(v, "define the domain");
}

/* Runs 'call' on the domain. */
#define COMMAND(virt, uuid, call, what)                                                    \
    do {                                                                                   \
        CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;                                    \
        TRY(virt_dom_take(virt, uuid, &dom));                                              \
        return (call) < 0 ? virt_last_error(virt, what) : NULL;                            \
    } while (0)

/* Each driver takes the flags that it knows and refuses all others; Xen's knows but the first.  'forget': also
 * what firmware and TPM remember. */
static unsigned int
undefine_flags(const struct virt *v, bool forget)
{
    enum virt_kind kind = virt_kind_of(virt_uri(v));
    unsigned int flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE;

    if (kind != VIRT_KIND_XEN) {
        flags |= VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                 VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA;
    }
    if (kind == VIRT_KIND_QEMU) {
        flags |= forget ? VIR_DOMAIN_UNDEFINE_NVRAM | VIR_DOMAIN_UNDEFINE_TPM
                        : VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_TPM;
    }
    return flags;
}

struct err *
virt_undefine(struct virt *v, const struct uuid *uuid)
{
    COMMAND(v, uuid, virDomainUndefineFlags(dom, undefine_flags(v, true)),
            "undefine the domain");
}

struct err *
virt_undefine_for_now(struct virt *v, const struct uuid *uuid)
{
    COMMAND(v, uuid, virDomainUndefineFlags(dom, undefine_flags(v, false)),
            "undefine the domain");
}

struct err *
virt_start(struct virt *v, const struct uuid *uuid, bool paused)
{
    COMMAND(v, uuid, virDomainCreateWithFlags(dom, paused ? VIR_DOMAIN_START_PAUSED : 0),
            "start the domain");
}

struct err *
virt_shutdown(struct virt *v, const struct uuid *uuid)
{
    COMMAND(v, uuid, virDomainShutdown(dom), "ask the guest to shut down");
}

struct err *
virt_destroy(struct virt *v, const struct uuid *uuid)
{
    COMMAND(v, uuid, virDomainDestroy(dom), "power the domain off");
}

struct err *
virt_reboot(struct virt *v, const struct uuid *uuid)
{
    COMMAND(v, uuid, virDomainReboot(dom, 0), "ask the guest to reboot");
}

struct err *
virt_reset(struct virt *v, const struct uuid *uuid)
{
    COMMAND(v, uuid, virDomainReset(dom, 0), "reset the domain");
}

struct err *
virt_suspend(struct virt *v, const struct uuid *uuid)
{
    COMMAND(v, uuid, virDomainSuspend(dom), "pause the domain");
}

struct err *
virt_resume(struct virt *v, const struct uuid *uuid)
{
    COMMAND(v, uuid, virDomainResume(dom), "resume the domain");
}

struct err *
virt_save(struct virt *v, const struct uuid *uuid)
{
    COMMAND(v, uuid, virDomainManagedSave(dom, 0), "save the domain");
}

struct err *
virt_forget_saved(struct virt *v, const struct uuid *uuid)
{
    COMMAND(v, uuid, virDomainManagedSaveRemove(dom, 0), "throw the saved state away");
}

struct err *
virt_xml(struct virt *v, const struct uuid *uuid, bool inactive, char **ret)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    TRY(virt_dom_take(v, uuid, &dom));

    char *xml = virDomainGetXMLDesc(dom, inactive ? VIR_DOMAIN_XML_INACTIVE : 0);
    if (!xml) {
        return virt_last_error(v, "get the domain's XML");
    }
    *ret = xml;
    return NULL;
}
