/* virt/snapshot.c: see snapshot.h.  Source: https://libvirt.org/formatsnapshot.html */
#include "virt/snapshot.h"

#include <stdio.h>

#include <libvirt/virterror.h>

#include "base/str.h"
#include "virt/conn_i.h"
#include "xml/tree.h"
#include "xml/writer.h"

static void
snapshot_drop(virDomainSnapshotPtr *snapshot)
{
    if (*snapshot) {
        virDomainSnapshotFree(*snapshot);
        *snapshot = NULL;
    }
}

void
virt_snapshot_xml(const struct virt_snapshot *s, struct buf *ret)
{
    struct xml_writer w;

    xml_writer_init(&w, ret);
    xml_open(&w, "domainsnapshot");
    xml_leaf(&w, "name", s->name);
    xml_leaf(&w, "description", s->description);
    xml_open(&w, "disks");
    for (size_t i = 0; i < s->n_disks; i++) {
        xml_open(&w, "disk");
        xml_put(&w, "name", s->disks[i].target);
        xml_put(&w, "snapshot", s->disks[i].keep ? "internal" : "no");
        xml_close(&w);
    }
    xml_close(&w);
    xml_close(&w);
}

/*     <domainsnapshot>
 *       <name>before</name>
 *       <state>running</state>
 *       <parent><name>first</name></parent>
 *       <creationTime>1700000000</creationTime>   and much more */
struct err *
virt_snapshot_parse(const char *xml, struct virt_snapshot_facts *ret)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct virt_snapshot_facts facts = { .status = "" };
    struct xml_node *root;
    TRY(xml_parse(&arena, "(snapshot)", xml, strlen(xml), &root));

    const char *state = xml_string(root, "state");
    const char *created = xml_string(root, "creationTime");
    const char *parent_name = xml_string(root, "parent/name");
    if (!state) {
        return err_new(ERR_SYNTAX, "libvirt's snapshot has no state");
    }
    snprintf(facts.status, sizeof facts.status, "%s", state);
    if (parent_name && strlen(parent_name) < sizeof facts.parent) {
        memcpy(facts.parent, parent_name, strlen(parent_name) + 1);
    }
    if (!created || !str_to_i64(created, &facts.created_s)) {
        facts.created_s = 0;
    }
    *ret = facts;
    return NULL;
}

static struct err *
snapshot_error(struct virt *v, const char *what)
{
    int code = virGetLastErrorCode();
    struct err *e = virt_last_error(v, what);

    if (code != VIR_ERR_NO_DOMAIN_SNAPSHOT) {
        return e;
    }
    struct err *missing = err_new(ERR_NOT_FOUND, "%s", err_why(e));
    err_free(e);
    return err_wrap(err_tag(missing, code), "%s", what);
}

static struct err *
snapshot_take(struct virt *v, virDomainPtr dom, const char *name, virDomainSnapshotPtr *ret)
{
    virDomainSnapshotPtr snapshot = virDomainSnapshotLookupByName(dom, name, 0);
    if (!snapshot) {
        return snapshot_error(v, "look up a snapshot");
    }
    *ret = snapshot;
    return NULL;
}

struct err *
virt_snapshot_create(struct virt *v, const struct uuid *uuid, const struct virt_snapshot *s)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    CLEANUP(snapshot_drop) virDomainSnapshotPtr snapshot = NULL;
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    TRY(virt_dom_take(v, uuid, &dom));

    if ((snapshot = virDomainSnapshotLookupByName(dom, s->name, 0))) {
        return err_new(ERR_EXISTS, "libvirt has a snapshot '%s' already", s->name);
    }
    virt_snapshot_xml(s, &xml);
    snapshot = virDomainSnapshotCreateXML(dom, buf_cstr(&xml), 0);
    return snapshot ? NULL : virt_last_error(v, "take the snapshot");
}

struct err *
virt_snapshot_look(struct virt *v, const struct uuid *uuid, const char *name,
                   struct virt_snapshot_facts *ret)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    CLEANUP(snapshot_drop) virDomainSnapshotPtr snapshot = NULL;
    TRY(virt_dom_take(v, uuid, &dom));
    TRY(snapshot_take(v, dom, name, &snapshot));

    CLEANUP(free_drop) char *xml = virDomainSnapshotGetXMLDesc(snapshot, 0);
    return xml ? virt_snapshot_parse(xml, ret) : virt_last_error(v, "read the snapshot");
}

/* libvirt calls it risky where its own QEMU process has to be ended for it. */
struct err *
virt_snapshot_revert(struct virt *v, const struct uuid *uuid, const char *name)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    CLEANUP(snapshot_drop) virDomainSnapshotPtr snapshot = NULL;
    TRY(virt_dom_take(v, uuid, &dom));
    TRY(snapshot_take(v, dom, name, &snapshot));

    int failed = virDomainRevertToSnapshot(snapshot, 0);
    if (failed && virGetLastErrorCode() == VIR_ERR_SNAPSHOT_REVERT_RISKY) {
        failed = virDomainRevertToSnapshot(snapshot, VIR_DOMAIN_SNAPSHOT_REVERT_FORCE);
    }
    return failed ? virt_last_error(v, "go back to the snapshot") : NULL;
}

struct err *
virt_snapshot_delete(struct virt *v, const struct uuid *uuid, const char *name)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    CLEANUP(snapshot_drop) virDomainSnapshotPtr snapshot = NULL;
    TRY(virt_dom_take(v, uuid, &dom));
    TRY(snapshot_take(v, dom, name, &snapshot));

    return virDomainSnapshotDelete(snapshot, 0) < 0
               ? virt_last_error(v, "delete the snapshot")
               : NULL;
}
