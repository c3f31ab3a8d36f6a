/* virt/disk.c: see disk.h. */
#include "virt/disk.h"

#include <time.h>

#include <libvirt/virterror.h>

#include "base/str.h"
#include "virt/conn_i.h"
#include "xml/tree.h"
#include "xml/writer.h"

#define LOOK_MS 200

struct err *
virt_disk_resize(struct virt *v, const struct uuid *uuid, const char *target, int64_t bytes)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    TRY(virt_dom_take(v, uuid, &dom));

    return virDomainBlockResize(dom, target, (unsigned long long) bytes,
                                VIR_DOMAIN_BLOCK_RESIZE_BYTES) < 0
               ? virt_last_error(v, "resize the disk")
               : NULL;
}

void
virt_disk_place_xml(const struct virt_disk_place *place, struct buf *ret)
{
    struct xml_writer w;

    xml_writer_init(&w, ret);
    xml_open(&w, "disk");
    xml_put(&w, "type", place->block ? "block" : "file");
    xml_open(&w, "driver");
    xml_put(&w, "type", place->format);
    xml_close(&w);
    xml_open(&w, "source");
    xml_put(&w, place->block ? "dev" : "file", place->path);
    xml_close(&w);
    xml_close(&w);
}

static struct err *
take_path(const struct xml_node *node, char ret[VIRT_PATH_CHARS + 1])
{
    const char *path = xml_string(node, "source/@file");

    path = path ? path : xml_string(node, "source/@dev");
    path = path ? path : "";
    if (strlen(path) > VIRT_PATH_CHARS) {
        return err_new(ERR_CONSTRAINT, "libvirt names a path of over %d bytes",
                       VIRT_PATH_CHARS);
    }
    memcpy(ret, path, strlen(path) + 1);
    return NULL;
}

/*     <disk type='file' device='disk'>
 *       <source file='/p/one/demo.qcow2' index='1'/>
 *       <mirror type='file' job='copy' ready='yes'>
 *         <format type='qcow2'/>
 *         <source file='/p/two/demo.qcow2' index='5'/>
 *       </mirror>
 *       <target dev='vda' bus='virtio'/>        */
struct err *
virt_disk_at(const char *xml, const char *target, struct virt_disk_at *ret)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct xml_node *root;

    TRY(xml_parse(&arena, "(domain)", xml, strlen(xml), &root));
    for (const struct xml_node *disk = xml_find(root, "devices/disk"); disk;
         disk = xml_next(disk)) {
        if (str_eq(xml_string(disk, "target/@dev"), target)) {
            TRY(take_path(disk, ret->path));
            return take_path(xml_find(disk, "mirror"), ret->mirror);
        }
    }
    return err_new(ERR_NOT_FOUND, "the machine has no disk %s", target);
}

static struct err *
look(struct virt *v, virDomainPtr dom, bool live, const char *target,
     struct virt_disk_at *ret)
{
    CLEANUP(free_drop)
    char *xml = virDomainGetXMLDesc(dom, live ? 0 : VIR_DOMAIN_XML_INACTIVE);

    return xml ? virt_disk_at(xml, target, ret) : virt_last_error(v, "look at the domain");
}

/* A copy does not survive the end of its QEMU: it has to be TRANSIENT_JOB for a machine that is
 * defined, and whoever asked for it sees that it ended. */
static struct err *
begin(struct virt *v, virDomainPtr dom, const char *target,
      const struct virt_disk_place *to)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    unsigned flags = VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB;

    virTypedParameterPtr params = NULL;
    int n = 0, max = 0;

    virt_disk_place_xml(to, &xml);
    if (to->bandwidth > 0) {
        virTypedParamsAddULLong(&params, &n, &max, VIR_DOMAIN_BLOCK_COPY_BANDWIDTH,
                                (unsigned long long) to->bandwidth);
    }
    int r = virDomainBlockCopy(dom, target, buf_cstr(&xml), params, n, flags);
    virTypedParamsFree(params, n);
    return r < 0 ? virt_last_error(v, "copy the disk") : NULL;
}

/* libvirt says cur == end only once QEMU is ready to pivot. */
static struct err *
until_the_same(struct virt *v, virDomainPtr dom, const char *target,
               const struct virt_disk_watch *watch)
{
    const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000 };
    virDomainBlockJobInfo info;

    for (;;) {
        int r = virDomainGetBlockJobInfo(dom, target, &info, 0);
        if (r < 0) {
            return virt_last_error(v, "ask how far the copy of the disk is");
        } else if (r == 0) {
            return err_hint(err_new(ERR_IO, "QEMU gave up the copy of the disk"),
                            "look whether the new pool has room; QEMU's log tells more");
        }
        watch->progress(watch->aux, (int64_t) info.cur, (int64_t) info.end);
        enum virt_disk_wish wish = watch->wish(watch->aux);
        if (wish == VIRT_DISK_LEAVE) {
            return err_new(ERR_BUSY, "the copy of the disk goes on by itself");
        } else if (wish == VIRT_DISK_ABORT) {
            if (virDomainBlockJobAbort(dom, target, 0) < 0) {
                return virt_last_error(v, "end the copy of the disk");
            }
            return err_new(ERR_CANCELED, "it was cancelled; the disk is where it was");
        } else if (info.end && info.cur == info.end) {
            return NULL;
        }
        nanosleep(&pause, NULL);
    }
}

struct err *
virt_disk_move(struct virt *v, const struct uuid *uuid, const char *target,
               const struct virt_disk_place *to, const struct virt_disk_watch *watch)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    CLEANUP(free_drop) struct virt_disk_at *at = NEW(struct virt_disk_at);
    TRY(virt_dom_take(v, uuid, &dom));

    bool live = virDomainIsActive(dom) == 1;
    TRY(look(v, dom, live, target, at));
    if (str_eq(at->path, to->path)) {
        return NULL;
    } else if (!live) {
        return err_hint(err_new(ERR_CONSTRAINT, "the machine went off meanwhile"),
                        "its disk is where it was: give the command again");
    } else if (!at->mirror[0]) {
        TRY(begin(v, dom, target, to));
    } else if (!str_eq(at->mirror, to->path)) {
        return err_new(ERR_BUSY, "disk %s is being copied to %s", target, at->mirror);
    }
    TRY(until_the_same(v, dom, target, watch));
    return virDomainBlockJobAbort(dom, target, VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) < 0
               ? virt_last_error(v, "let the machine go on with the copy of its disk")
               : NULL;
}
