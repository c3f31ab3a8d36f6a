/* store/qcow.c: headers of qcow and qcow2.
 *
 *      at  bytes  (big-endian)
 *       0    4    "QFI\xfb"
 *       4    4    version: 1 qcow, 2 and 3 qcow2
 *       8    8    where the backing file's name is      16  4  and its length
 *      20    4    cluster bits (qcow2)                  24  8  size the guest sees
 *      32    4    encryption (qcow2): 0, 1 AES, 2 LUKS  36  4  encryption (qcow)
 *      72    8    incompatible features (v3)            80  8  compatible features (v3)
 *     100    4    length of the header (v3; of v2: 72), after it come the extensions:
 *                 type (4), length (4), data padded to 8; type 0 ends
 *
 * Source: qemu's docs/interop/qcow2.txt. */
#include "base/str.h"
#include "store/probe_i.h"

#define EXTENSION_BACKING_FORMAT 0xE2792ACA
#define EXTENSIONS_MAX 64
#define BACKING_NAME_MAX 1023
#define INCOMPAT_DATA_FILE (UINT64_C(1) << 2)
#define INCOMPAT_EXTENDED_L2 (UINT64_C(1) << 4)
#define COMPAT_LAZY_REFCOUNTS (UINT64_C(1) << 0)

/* The format that the image says its backing file has; "auto" if it says none we know. */
static const char *
backing_format(struct probe_in *in, uint64_t extensions)
{
    uint64_t at = extensions;
    for (int i = 0; i < EXTENSIONS_MAX && in_has(in, at, 8); i++) {
        uint32_t type = in_be32(in, at), n = in_be32(in, at + 4);
        if (type == 0) {
            break;
        } else if (type == EXTENSION_BACKING_FORMAT) {
            const char *name = in_string(in, at + 8, n);
            const char *const *known = pool_traits(POOL_DIR)->vol_formats;
            for (known++; name && *known; known++) { /* After "none". */
                if (str_eq(*known, name)) {
                    return *known;
                }
            }
            break;
        }
        at += 8 + ((uint64_t) n + 7) / 8 * 8;
    }
    return "auto";
}

static void
probe_qcow2(struct probe_in *in, uint32_t version, struct probe *ret)
{
    ret->format = "qcow2";
    uint32_t bits = in_be32(in, 20);
    if (bits >= 9 && bits <= 21) { /* What qemu accepts. */
        ret->cluster_bytes = INT64_C(1) << bits;
    } else {
        ret->warning = "qcow2 with a cluster size that cannot be";
    }
    uint32_t crypt = in_be32(in, 32);
    ret->crypt = crypt == 2 ? "luks" : crypt == 1 ? "qcow" : NULL;
    uint64_t extensions = 72;
    if (version >= 3) {
        extensions = in_be32(in, 100);
        uint64_t incompatible = in_be64(in, 72);
        ret->compat = "1.1";
        ret->has_features = true;
        ret->lazy_refcounts = in_be64(in, 80) & COMPAT_LAZY_REFCOUNTS;
        ret->extended_l2 = incompatible & INCOMPAT_EXTENDED_L2;
        ret->has_data_file = incompatible & INCOMPAT_DATA_FILE;
        if (!in_has(in, 0, 104)) {
            ret->warning = "qcow2 with a truncated header";
        }
    }
    if (ret->backing) {
        ret->backing_format = backing_format(in, extensions);
    }
}

bool
probe_qcow(struct probe_in *in, struct probe *ret)
{
    if (!in_match(in, 0, "QFI", 3)) {
        return false;
    }
    uint32_t version = in_be32(in, 4);
    ret->format = "qcow";
    probe_version(in, "qcow2", version, 1, 3);
    probe_capacity(ret, in_be64(in, 24), 1);

    uint64_t at = in_be64(in, 8);
    uint32_t n = in_be32(in, 16);
    ret->has_backing = at != 0;
    if (at && n && n <= BACKING_NAME_MAX) {
        ret->backing = in_string(in, at, n);
        ret->backing_format = ret->backing ? "auto" : NULL;
    }
    if (version == 1) {
        ret->crypt = in_be32(in, 36) == 1 ? "qcow" : NULL;
        uint32_t bits = in->n_head > 32 ? in->head[32] : 0;
        ret->cluster_bytes = bits >= 9 && bits <= 16 ? INT64_C(1) << bits : 0;
    } else if (version <= 3) {
        probe_qcow2(in, version, ret);
    }
    return true;
}
