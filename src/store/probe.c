/* store/probe.c: readers of image headers.
 *
 * One function a format, tried in libvirt's order; the order is part of the contract, because
 * a file may satisfy two (an ISO image may begin with a qcow2 header).  Formats that libvirt
 * knows by name but never detects (bochs, cloop, dmg, fixed vpc), and vhdx, come after those
 * it does, so whatever libvirt recognises is called the same here. */
#include "store/probe.h"

#include "base/str.h"
#include "store/probe_i.h"

/* An ISO 9660 volume descriptor; the 16 sectors before it may hold anything. */
static bool
probe_iso(struct probe_in *in, struct probe *ret)
{
    ret->format = "iso";
    return in_match(in, 32769, "CD001", 5);
}

/* Virtual PC, dynamic: a copy of the footer comes first.  The current size (48) is what the
 * guest sees, not the original one (40). */
static bool
probe_vpc(struct probe_in *in, struct probe *ret)
{
    if (!in_match(in, 0, "conectix", 8)) {
        return false;
    }
    ret->format = "vpc";
    probe_version(in, "vpc", in_be32(in, 12), 0x10000, 0x10000);
    probe_capacity(ret, in_be64(in, 48), 1);
    return true;
}

static bool
probe_vdi(struct probe_in *in, struct probe *ret)
{
    if (!in_match(in, 64, "\x7f\x10\xda\xbe", 4)) {
        return false;
    }
    ret->format = "vdi";
    probe_version(in, "vdi", in_le32(in, 68), 0x10001, 0x10001);
    probe_capacity(ret, in_le64(in, 368), 1);
    return true;
}

static bool
probe_ploop(struct probe_in *in, struct probe *ret)
{
    if (!in_match(in, 0, "WithouFreSpacExt", 16)) {
        return false;
    }
    ret->format = "ploop";
    probe_capacity(ret, in_le64(in, 36), 512);
    return true;
}

static bool
probe_cow(struct probe_in *in, struct probe *ret)
{
    if (!in_match(in, 0, "OOOM", 4)) {
        return false;
    }
    ret->format = "cow";
    probe_version(in, "cow", in_be32(in, 4), 2, 2);
    probe_capacity(ret, in_be64(in, 1036), 1);
    ret->backing = in_string(in, 8, 1024);
    ret->has_backing = ret->backing;
    return true;
}

static bool
probe_qed(struct probe_in *in, struct probe *ret)
{
    if (!in_match(in, 0, "QED", 4)) {
        return false;
    }
    ret->format = "qed";
    uint64_t features = in_le64(in, 16);
    probe_capacity(ret, in_le64(in, 48), 1);
    ret->cluster_bytes = in_le32(in, 4);
    ret->has_backing = features & 1;
    if (ret->has_backing) {
        ret->backing = in_string(in, in_le32(in, 56), in_le32(in, 60));
        ret->backing_format = features & 4 ? "raw" : "auto";
    }
    return true;
}

/* The parent of a VMware disk stands in the descriptor, a text after the header. */
static const char *
vmdk_parent(struct probe_in *in)
{
    static const char key[] = "parentFileNameHint=\"";
    if (in->n_head <= 512) {
        return NULL;
    }
    const uint8_t *text = in->head + 512;
    size_t n = in->n_head - 512;
    const uint8_t *nul = memchr(text, 0, n);
    n = nul ? (size_t) (nul - text) : n;
    const uint8_t *at = memmem(text, n, key, strlen(key));
    if (!at) {
        return NULL;
    }
    at += strlen(key);
    const uint8_t *quote = memchr(at, '"', n - (size_t) (at - text));
    return quote ? in_string(in, (uint64_t) (at - in->head), (uint64_t) (quote - at))
                 : NULL;
}

/* May there be a parent that vmdk_parent() does not see?  The descriptor, of up to 20 sectors, may
 * lie anywhere. */
static bool
vmdk_hides_parent(struct probe_in *in)
{
    static const char key[] = "parentFileNameHint";
    return in_le64(in, 28) > (PROBE_HEAD_BYTES - 20 * 512) / 512 ||
           memmem(in->head, in->n_head, key, strlen(key)) != NULL;
}

static bool
probe_vmdk(struct probe_in *in, struct probe *ret)
{
    if (!in_match(in, 0, "KDMV", 4)) {
        return false;
    }
    ret->format = "vmdk";
    probe_version(in, "vmdk", in_le32(in, 4), 1, 3);
    probe_capacity(ret, in_le64(in, 12), 512);
    ret->cluster_bytes = (int64_t) (in_le64(in, 20) & 0xffffff) * 512;
    ret->has_data_file = in_le64(in, 12) == 0; /* A descriptor follows that names files. */
    ret->backing = vmdk_parent(in);
    ret->backing_format = ret->backing ? "vmdk" : NULL;
    ret->has_backing = ret->backing || vmdk_hides_parent(in);
    return true;
}

/* Raw bytes inside an envelope of LUKS: the format is raw, the content encrypted. */
static bool
probe_luks(struct probe_in *in, struct probe *ret)
{
    if (!in_match(in, 0, "LUKS\xba\xbe", 6)) {
        return false;
    }
    ret->format = "raw";
    ret->crypt = "luks";
    uint16_t version = in_be16(in, 6);
    int64_t payload = 0;
    if (version == 1) {
        payload = (int64_t) in_be32(in, 104) * 512;
    } else if (version == 2) {
        /* The data segment's place is JSON text; its first "offset" is what is needed. */
        const uint8_t *area = in->head + 4096;
        size_t n = in->n_head > 4096 ? in->n_head - 4096 : 0;
        const uint8_t *segments = n ? memmem(area, n, "\"segments\"", 10) : NULL;
        const uint8_t *at =
            segments ? memmem(segments, n - (size_t) (segments - area), "\"offset\":\"", 10)
                     : NULL;
        for (at = at ? at + 10 : NULL; at && at < in->head + in->n_head; at++) {
            if (*at < '0' || *at > '9' || payload > INT64_MAX / 20) {
                break;
            }
            payload = payload * 10 + (*at - '0');
        }
    } else {
        ret->warning = "unknown version of LUKS";
    }
    ret->capacity = max64(in->file_bytes - payload, 0);
    return true;
}

static bool
probe_bochs(struct probe_in *in, struct probe *ret)
{
    if (!in_match(in, 0, "Bochs Virtual HD Image", 22)) {
        return false;
    }
    ret->format = "bochs";
    uint32_t version = in_le32(in, 64);
    probe_version(in, "bochs", version, 0x10000, 0x20000);
    probe_capacity(ret, in_le64(in, version == 0x10000 ? 80 : 84), 1);
    return true;
}

static bool
probe_cloop(struct probe_in *in, struct probe *ret)
{
    if (!in_match(in, 0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop", 37)) {
        return false;
    }
    ret->format = "cloop";
    uint64_t block = in_be32(in, 128), n_blocks = in_be32(in, 132);
    probe_capacity(ret, n_blocks, block); /* Both have 32 bits. */
    return true;
}

static bool
probe_vhdx(struct probe_in *in, struct probe *ret)
{
    ret->format = "vhdx"; /* The size is in a region beyond what was read. */
    return in_match(in, 0, "vhdxfile", 8);
}

/* These two are told by a trailer of 512 bytes. */
static bool
probe_dmg(struct probe_in *in, struct probe *ret)
{
    if (in->n_tail != PROBE_TAIL_BYTES || memcmp(in->tail, "koly", 4) != 0) {
        return false;
    }
    ret->format = "dmg";
    struct probe_in tail = { .head = in->tail, .n_head = in->n_tail };
    probe_capacity(ret, in_be64(&tail, 492), 512);
    return true;
}

static bool
probe_vpc_fixed(struct probe_in *in, struct probe *ret)
{
    if (in->n_tail != PROBE_TAIL_BYTES || memcmp(in->tail, "conectix", 8) != 0) {
        return false;
    }
    struct probe_in tail = { .head = in->tail, .n_head = in->n_tail };
    if (in_be32(&tail, 60) != 2) { /* Disk type: fixed. */
        return false;
    }
    ret->format = "vpc";
    probe_capacity(ret, in_be64(&tail, 48), 1);
    return true;
}

void
probe_version(struct probe_in *in, const char *format, uint32_t version, uint32_t min,
              uint32_t max)
{
    if (version < min || version > max) {
        in->unknown = format;
    }
}

void
probe_capacity(struct probe *ret, uint64_t units, uint64_t unit_bytes)
{
    uint64_t n_bytes;
    if (!__builtin_mul_overflow(units, unit_bytes, &n_bytes) && n_bytes <= INT64_MAX &&
        n_bytes > 0) {
        ret->capacity = (int64_t) n_bytes;
    } else if (units > 0) {
        ret->warning = "the size in the header is out of range";
    }
}

static bool (*const probes[])(struct probe_in *, struct probe *) = {
    probe_iso,   probe_vpc,  probe_vdi,       probe_ploop, probe_cow,
    probe_qcow,  probe_qed,  probe_vmdk,      probe_luks,  probe_bochs,
    probe_cloop, probe_vhdx, probe_vpc_fixed, probe_dmg,
};

void
probe_image(struct arena *arena, const uint8_t *head, size_t n_head, const uint8_t *tail,
            size_t n_tail, int64_t file_bytes, struct probe *ret)
{
    struct probe_in in = { arena, head, n_head, tail, n_tail, file_bytes, NULL };
    for (size_t i = 0; i < N_ELEMS(probes); i++) {
        *ret = (struct probe){ .capacity = file_bytes };
        if (probes[i](&in, ret)) {
            break;
        }
        *ret = (struct probe){ .format = "raw", .capacity = file_bytes };
    }
    if (in.unknown) { /* As libvirt takes it: better not to guess what it means. */
        *ret = (struct probe){ .format = "raw", .capacity = file_bytes };
        ret->warning =
            arena_printf(arena, "header of %s with an unknown version", in.unknown);
    }
}
