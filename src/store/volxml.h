/* store/volxml.h: libvirt's volume XML, in and out. */
#ifndef STORE_VOLXML_H
#define STORE_VOLXML_H 1

#include "base/buf.h"
#include "store/pool.h"
#include "store/volume.h"

enum volxml_flags {
    VOLXML_NO_CAPACITY =
        1, /* <capacity> may be missing: a source volume is given beside. */
};

/* Reads a volume description for a pool of 'type' as virStorageVolCreateXML() does: same
 * defaults, checks, codes and texts.  '*ret' must be vol_init()ed; the caller calls vol_done()
 * on failure too.  Does not check the name beyond being there: see vol_name_check(). */
struct err *volxml_parse(const char *text, size_t n_bytes, enum pool_type, int flags,
                         struct vol *ret) MUST_CHECK;

/* What virsh vol-dumpxml prints, newline included. */
void volxml_format(const struct vol *, enum pool_type, struct buf *out);

#endif /* store/volxml.h */
