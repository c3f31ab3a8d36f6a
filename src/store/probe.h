/* store/probe.h: what an image file says about itself.  Pure: bytes in, values out.
 *
 * Own readers, first match wins in libvirt's order (iso before qcow2).  A guest can write any
 * header on a raw disk: the outcome is for showing, never for attaching.  No size that a
 * header names is used in arithmetic before it is bounded; an image that is damaged is still
 * described, with 'warning' set.
 * Source.  qemu's docs/interop/qcow2.txt, qed_spec.txt, vhdx; the formats' own headers. */
#ifndef STORE_PROBE_H
#define STORE_PROBE_H 1

#include "base/arena.h"
#include "base/base.h"
#include "store/volume.h"

#define PROBE_HEAD_BYTES 33280 /* As much of the beginning as is worth reading (0x8200). */
#define PROBE_TAIL_BYTES 512   /* And of the end: footers. */

struct probe {
    const char *format;  /* "raw" if nothing matches. */
    int64_t capacity;    /* Bytes the guest sees. */
    const char *backing; /* As the image says it, or NULL.  In the arena. */
    const char
        *backing_format;   /* "auto" if the image has a backing file but says no (known)
                                 * format; NULL without one. */
    const char *crypt;     /* "luks", "qcow" or NULL. */
    const char *compat;    /* "1.1" of a qcow2 v3, else NULL. */
    int64_t cluster_bytes; /* 0 if unknown. */
    bool has_features, lazy_refcounts, extended_l2;
    bool has_data_file; /* The data is in another file: qcow2, vmdk. */
    bool
        has_backing; /* There is one, though 'backing' may be NULL: beyond what was read. */
    const char *warning; /* NULL, or what is odd: "qcow2 version 7 is not known". */
};

/* 'head' are the first n_head bytes (up to PROBE_HEAD_BYTES) of a file of 'file_bytes', 'tail'
 * the last n_tail (PROBE_TAIL_BYTES, or 0 if the file is shorter or not read). */
void probe_image(struct arena *, const uint8_t *head, size_t n_head, const uint8_t *tail,
                 size_t n_tail, int64_t file_bytes, struct probe *ret);

#endif /* store/probe.h */
