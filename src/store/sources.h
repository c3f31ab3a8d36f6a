/* store/sources.h: sources of pools that a look at a host, or over the network, found. */
#ifndef STORE_SOURCES_H
#define STORE_SOURCES_H 1

#include "base/buf.h"
#include "base/vec.h"
#include "store/pool.h"

struct source_list {
    struct arena arena; /* Holds the strings of all elements. */
    VEC(struct pool_source) v;
};
#define SOURCE_LIST_INIT ((struct source_list){ ARENA_INIT, VEC_INIT })
void source_list_done(struct source_list *); /* For CLEANUP(). */
struct pool_source *source_list_add(struct source_list *);
/* libvirt's <sources> with a <source> each, of pools of 'type'. */
void source_list_format(const struct source_list *, enum pool_type type, struct buf *out);

#endif /* store/sources.h */
