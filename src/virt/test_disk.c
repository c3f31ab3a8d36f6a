/* virt/test_disk.c: where a domain's XML has a disk, and where it is being copied to. */
#include "virt/disk.h"

#include "base/str.h"
#include "test.h"

#define DOMAIN(disks) "<domain type='qemu'><devices>" disks "</devices></domain>"
#define VDA                                                                                \
    "<disk type='file' device='disk'><source file='/p/one' index='1'/>"                    \
    "<target dev='vda' bus='virtio'/></disk>"

static const struct at_case {
    const char *why, *xml, *target;
    const char *path, *mirror; /* NULL: it has no such disk. */
} cases[] = {
    /* clang-format off */
    { "a file", DOMAIN(VDA), "vda", "/p/one", "" },
    { "the second one, a device",
      DOMAIN(VDA "<disk type='block'><source dev='/dev/vg/two'/><target dev='vdb'/></disk>"), "vdb",
      "/dev/vg/two", "" },
    { "on its way, as libvirt 9.0 says it",
      DOMAIN("<disk type='file' device='disk'><source file='/p/one' index='1'/><backingStore/>"
             "<mirror type='file' job='copy' ready='yes'><format type='raw'/>"
             "<source file='/q/one' index='5'/></mirror><target dev='vda' bus='virtio'/></disk>"), "vda",
      "/p/one", "/q/one" },
    { "its backing file is not where it is",
      DOMAIN("<disk type='file'><backingStore type='file'><source file='/p/base'/></backingStore>"
             "<source file='/p/top'/><target dev='vda'/></disk>"), "vda", "/p/top", "" },
    { "an empty drive", DOMAIN("<disk type='file' device='cdrom'><target dev='sda'/></disk>"), "sda", "", "" },
    { "no such disk", DOMAIN(VDA), "vdb", NULL, NULL },
    { "no disks", "<domain/>", "vda", NULL, NULL },
    /* clang-format on */
};

TEST(where_a_disk_is)
{
    for (const struct at_case *c = cases; c < cases + N_ELEMS(cases); c++) {
        CLEANUP(free_drop) struct virt_disk_at *at = NEW(struct virt_disk_at);
        CLEANUP(err_drop) struct err *e = virt_disk_at(c->xml, c->target, at);

        CHECK_STR(c->why, e ? NULL : at->path, c->path);
        CHECK_STR(c->why, e ? NULL : at->mirror, c->mirror);
    }
}

TEST(a_place_as_xml)
{
    CLEANUP(buf_done) struct buf file = BUF_INIT, device = BUF_INIT;

    virt_disk_place_xml(&(struct virt_disk_place){ .path = "/p/a&b", .format = "qcow2" },
                        &file);
    CHECK("a place", strstr(buf_cstr(&file), "<disk type='file'>") != NULL);
    CHECK("a place", strstr(buf_cstr(&file), "<source file='/p/a&amp;b'/>") != NULL);
    CHECK("a place", strstr(buf_cstr(&file), "type='qcow2'") != NULL);
    virt_disk_place_xml(
        &(struct virt_disk_place){ .path = "/dev/v", .format = "raw", .block = true },
        &device);
    CHECK("a place", strstr(buf_cstr(&device), "<disk type='block'>") != NULL);
    CHECK("a place", strstr(buf_cstr(&device), "<source dev='/dev/v'/>") != NULL);
}
