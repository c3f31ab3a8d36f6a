/* store/test_probe.c: headers of images that qemu-img makes while the test runs, and of some
 * that it cannot make. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"
#include "store/probe.h"

/* What is in a probe, on one line. */
static void
describe(const struct probe *p, struct buf *out)
{
    buf_printf(out, "%s %" PRId64, p->format, p->capacity);
    if (p->cluster_bytes) {
        buf_printf(out, " cluster %" PRId64, p->cluster_bytes);
    }
    if (p->compat) {
        buf_printf(out, " compat %s", p->compat);
    }
    buf_str(out, p->lazy_refcounts ? " lazy" : "");
    buf_str(out, p->extended_l2 ? " l2" : "");
    buf_str(out, p->has_data_file ? " data" : "");
    if (p->crypt) {
        buf_printf(out, " crypt %s", p->crypt);
    }
    if (p->backing) {
        buf_printf(out, " backing %s as %s", p->backing, p->backing_format);
    }
    if (p->warning) {
        buf_printf(out, " (%s)", p->warning);
    }
}

struct image {
    uint8_t head[PROBE_HEAD_BYTES], tail[PROBE_TAIL_BYTES];
    size_t n_head, n_tail;
    int64_t n_bytes;
};

static void
image_read(const char *path, struct image *ret)
{
    CLEANUP(fd_done) int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    CHECK(path, fd >= 0 && fstat(fd, &st) == 0);
    ret->n_bytes = st.st_size;
    ret->n_head = (size_t) pread(fd, ret->head, sizeof ret->head, 0);
    ret->n_tail = 0;
    if (st.st_size >= PROBE_TAIL_BYTES) {
        ret->n_tail =
            (size_t) pread(fd, ret->tail, sizeof ret->tail, st.st_size - PROBE_TAIL_BYTES);
    }
}

static void
check_image(const char *why, const struct image *image, const char *want)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf got = BUF_INIT;
    struct probe probe;
    probe_image(&arena, image->head, image->n_head, image->tail, image->n_tail,
                image->n_bytes, &probe);
    describe(&probe, &got);
    CHECK_STR(why, buf_cstr(&got), want);
}

static void
run(const char *command)
{
    CLEANUP(free_drop)
    char *line = str_dupf("cd %s && { %s; } >/dev/null", test_dir(), command);
    /* With LUKS qemu-img measures how much CPU time hashing takes, and gives up where the clock has
     * not moved meanwhile: seldom with SHA-512, the slowest, in every second run with SHA-256. */
    int status = -1;
    for (int i = 0; i < 20 && status != 0; i++) {
        status = system(line);
    }
    CHECK_INT(line, status, 0);
}

static const struct made {
    const char *command, *want;
} made[] = {
    /* clang-format off */
    { "truncate -s 5M i", "raw 5242880" },
    { "qemu-img create -f qcow2 i 10M", "qcow2 10485760 cluster 65536 compat 1.1" },
    { "qemu-img create -f qcow2 -o compat=0.10,cluster_size=4096 i 10M", "qcow2 10485760 cluster 4096" },
    { "qemu-img create -f qcow2 -o lazy_refcounts=on,extended_l2=on,cluster_size=128K i 1G",
      "qcow2 1073741824 cluster 131072 compat 1.1 lazy l2" },
    { "qemu-img create -f raw b 1M && qemu-img create -f qcow2 -b b -F raw i 2M",
      "qcow2 2097152 cluster 65536 compat 1.1 backing b as raw" },
    { "qemu-img create -f qcow2 b 1M && qemu-img create -f qcow2 -o compat=0.10 -b $PWD/../b -u -F qcow2 i 2M && "
      "qemu-img rebase -u -b ../b -F qcow2 i", "qcow2 2097152 cluster 65536 backing ../b as qcow2" },
    { "qemu-img create -f qcow2 -o data_file=d i 1M", "qcow2 1048576 cluster 65536 compat 1.1 data" },
    { "qemu-img create -f qcow2 --object secret,id=s,data=x -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10,encrypt.hash-alg=sha512 i 1M",
      "qcow2 1048576 cluster 65536 compat 1.1 crypt luks" },
    { "qemu-img create -f luks --object secret,id=s,data=x -o key-secret=s,iter-time=10,hash-alg=sha512 i 1M", "raw 1048576 crypt luks" },
    { "qemu-img create -f qcow i 3M", "qcow 3145728 cluster 4096" },
    { "qemu-img create -f vdi i 3M", "vdi 3145728" },
    { "qemu-img create -f vpc -o force_size=on i 3M", "vpc 3145728" },
    { "qemu-img create -f vpc -o force_size=on,subformat=fixed i 3M", "vpc 3145728" },
    { "qemu-img create -f vhdx i 3M", "vhdx 8388608" },
    { "qemu-img create -f vmdk i 3M", "vmdk 3145728 cluster 65536" },
    { "qemu-img create -f vmdk b 3M && qemu-img create -f vmdk -b b -F vmdk i", "vmdk 3145728 cluster 65536 backing b as vmdk" },
    { "qemu-img create -f qed i 3M", "qed 3145728 cluster 65536" },
    { "qemu-img create -f raw b 3M && qemu-img create -f qed -b b -F raw i", "qed 3145728 cluster 65536 backing b as raw" },
    /* clang-format on */
};

TEST(images_of_qemu_img)
{
    CLEANUP(free_drop) char *path = path_join(test_dir(), "i");
    static struct image image;
    for (size_t i = 0; i < N_ELEMS(made); i++) {
        unlink(path);
        run(made[i].command);
        image_read(path, &image);
        check_image(made[i].command, &image, made[i].want);
    }
}

static void
put(struct image *image, size_t at, const char *bytes, size_t n)
{
    memcpy(image->head + at, bytes, n);
}
#define PUT(image, at, literal) put(image, at, literal, sizeof(literal) - 1)

TEST(images_by_hand)
{
    static struct image i;
    memset(&i, 0, sizeof i);
    i.n_head = sizeof i.head;
    i.n_tail = sizeof i.tail;
    i.n_bytes = 1000000;
    check_image("zeros", &i, "raw 1000000");

    PUT(&i, 32769, "CD001");
    PUT(&i, 0, "QFI\xfb\0\0\0\3");
    check_image("iso comes first", &i, "iso 1000000");
    i.head[32769] = 0;
    check_image("a size of 0 is the file's, a header too short is damaged", &i,
                "qcow2 1000000 compat 1.1 (qcow2 with a cluster size that cannot be)");
    PUT(&i, 20, "\0\0\0\177\xff\xff\xff\xff\xff\xff\xff\xff");
    check_image("sizes that cannot be", &i,
                "qcow2 1000000 compat 1.1 (qcow2 with a cluster size that cannot be)");
    PUT(&i, 4, "\0\0\0\7");
    check_image("unknown version", &i,
                "raw 1000000 (header of qcow2 with an unknown version)");
    PUT(&i, 4, "\0\0\0\3\0\0\0\0\0\1\0\0\0\0\4\1\0\0\0\20");
    check_image("backing name of 1025 bytes", &i,
                "qcow2 1000000 cluster 65536 compat 1.1"
                " (the size in the header is out of range)");
    PUT(&i, 4, "\0\0\0\3\0\0\0\0\0\0\2\0\0\0\0\1");
    PUT(&i, 512, "b");
    check_image("backing file of no said format", &i,
                "qcow2 1000000 cluster 65536 compat 1.1 backing b as auto"
                " (the size in the header is out of range)");
    PUT(&i, 8, "\0\0\0\0\0\0\0\0");
    i.n_head = 40;
    check_image("truncated v3", &i,
                "qcow2 1000000 cluster 65536 compat 1.1 (qcow2 with a truncated header)");
    i.n_head = sizeof i.head;

    memset(i.head, 0, sizeof i.head);
    PUT(&i, 0, "Bochs Virtual HD Image");
    PUT(&i, 64, "\0\0\2\0");
    PUT(&i, 84, "\0\0\20\0");
    check_image("bochs", &i, "bochs 1048576");

    memset(i.head, 0, sizeof i.head);
    PUT(&i, 0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount\n");
    PUT(&i, 128, "\0\1\0\0\0\0\0\20");
    check_image("cloop", &i, "cloop 1048576");

    memset(i.head, 0, sizeof i.head);
    PUT(&i, 0, "WithouFreSpacExt");
    PUT(&i, 36, "\0\10");
    check_image("ploop", &i, "ploop 1048576");

    memset(i.head, 0, sizeof i.head);
    PUT(&i, 0, "OOOM\0\0\0\2base.img");
    PUT(&i, 1036, "\0\0\0\0\0\20\0\0");
    check_image("cow", &i, "cow 1048576 backing base.img as (null)");

    memset(i.head, 0, sizeof i.head);
    PUT(&i, 0, "LUKS\xba\xbe\0\2");
    PUT(&i, 4096, "{\"segments\":{\"0\":{\"type\":\"crypt\",\"offset\":\"400000\"");
    check_image("luks2", &i, "raw 600000 crypt luks");

    memset(i.head, 0, sizeof i.head);
    memcpy(i.tail, "koly", 4);
    memcpy(i.tail + 492, "\0\0\0\0\0\0\10\0", 8);
    check_image("dmg", &i, "dmg 1048576");
}

/* Whatever a guest writes, nothing is read outside of what is there (the sanitizers say so) and
 * the result can be used. */
TEST(damaged_images)
{
    CLEANUP(free_drop) char *path = path_join(test_dir(), "i");
    static struct image image;
    uint32_t seed = 1;
    for (size_t i = 0; i < N_ELEMS(made); i++) {
        unlink(path);
        run(made[i].command);
        image_read(path, &image);
        for (int round = 0; round < 2000; round++) {
            CLEANUP(arena_done) struct arena arena = ARENA_INIT;
            seed = seed * 1664525 + 1013904223;
            size_t n = seed >> 8 & 1 ? image.n_head : (seed >> 9) % (image.n_head + 1);
            uint8_t *head = xmemdup(image.head, n); /* On the heap: bounds are seen. */
            for (int k = 0; n && k < 4; k++) {
                seed = seed * 1664525 + 1013904223;
                head[(seed >> 8) % (k < 3 && n > 256 ? 256 : n)] = (uint8_t) (seed >> 3);
            }
            struct probe probe;
            probe_image(&arena, head, n, image.tail, image.n_tail, image.n_bytes, &probe);
            CHECK("a format", probe.format != NULL);
            CHECK("a capacity", probe.capacity >= 0);
            CHECK("a short backing name",
                  !probe.backing || strlen(probe.backing) <= PROBE_HEAD_BYTES);
            free(head);
        }
    }
}
