/* store/wipe.h: how volumes are overwritten: each algorithm as a list of passes.  Pure.
 *
 * The algorithms are those that virsh names; libvirt leaves all but "zero" to scrub(1), whose
 * passes these are. */
#ifndef STORE_WIPE_H
#define STORE_WIPE_H 1

#include "base/base.h"
#include "store/gate.h"

enum wipe_kind {
    WIPE_PASS_BYTES,  /* 'bytes' again and again, counted from byte 0 of the volume. */
    WIPE_PASS_RANDOM, /* Random bytes. */
    WIPE_PASS_VERIFY, /* Reads back what the pass before has written. */
};
struct wipe_pass {
    enum wipe_kind kind;
    uint8_t bytes[3];
};
#define WIPE_MAX_PASSES 35

/* The passes of an algorithm, and their number in *ret_n.  None for WIPE_TRIM: blocks are only
 * given back. */
const struct wipe_pass *wipe_passes(enum wipe_algorithm, size_t *ret_n);
/* What such a pass puts at [at, at + n) of the volume. */
void wipe_fill(const struct wipe_pass *, int64_t at, void *block, size_t n);

#endif /* store/wipe.h */
