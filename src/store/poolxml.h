/* store/poolxml.h: libvirt's pool XML, in and out. */
#ifndef STORE_POOLXML_H
#define STORE_POOLXML_H 1

#include "base/buf.h"
#include "store/pool.h"

/* Reads a pool definition as virStoragePoolDefineXML() does: same defaults, same checks in the
 * same order, same codes and texts (store/code.h).  A missing <uuid> leaves 'uuid' zero: the
 * caller makes one (pure code has no random numbers).  Sizes are ignored.  '*ret' must be
 * pool_init()ed; the caller calls pool_done() on failure too. */
struct err *poolxml_parse(const char *text, size_t n_bytes, struct pool *ret) MUST_CHECK;

/* A <source> document, as virConnectFindStoragePoolSources() takes it. */
struct err *poolxml_parse_source(const char *text, size_t n_bytes, enum pool_type,
                                 struct pool *ret) MUST_CHECK;

/* What virsh pool-dumpxml prints, newline included. */
void poolxml_format(const struct pool *, struct buf *out);

/* What virsh pool-capabilities prints; poolcaps.c. */
void poolcaps_format(struct buf *out);

#endif /* store/poolxml.h */
