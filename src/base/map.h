/* base/map.h: hash tables.
 *
 * hmap is intrusive: the node lies in the struct that is mapped, the caller hashes and compares.
 * map is by string and owns its keys, for everything that is not hot. */
#ifndef BASE_MAP_H
#define BASE_MAP_H 1

#include "base/base.h"

uint32_t hash_bytes(const void *, size_t n_bytes, uint32_t basis);
static inline uint32_t
hash_string(const char *s)
{
    return hash_bytes(s, strlen(s), 0);
}

struct hmap_node {
    uint32_t hash;
    struct hmap_node *next; /* In its bucket. */
};

struct hmap {
    struct hmap_node **buckets; /* NULL while empty. */
    uint32_t mask;              /* Number of buckets less 1. */
    size_t n;
};
#define HMAP_INIT ((struct hmap){ NULL, 0, 0 })

void hmap_done(struct hmap *);              /* Frees the buckets, not the nodes. */
void hmap_reserve(struct hmap *, size_t n); /* Room for n nodes in all. */
void hmap_insert(struct hmap *, struct hmap_node *, uint32_t hash);
void hmap_remove(struct hmap *, struct hmap_node *); /* Must be in it. */

/* First node with 'hash', then the next one; NULL at the end. */
static inline struct hmap_node *
hmap_match_(struct hmap_node *node, uint32_t hash)
{
    while (node && node->hash != hash) {
        node = node->next;
    }
    return node;
}

static inline struct hmap_node *
hmap_first_with_hash(const struct hmap *h, uint32_t hash)
{
    return h->buckets ? hmap_match_(h->buckets[hash & h->mask], hash) : NULL;
}

static inline struct hmap_node *
hmap_next_with_hash(const struct hmap_node *node)
{
    return hmap_match_(node->next, node->hash);
}

/* Says that this hash will be looked up or inserted soon: a large table's bucket comes from far. */
static inline void
hmap_prefetch_bucket(const struct hmap *h, uint32_t hash)
{
    if (h->buckets) {
        __builtin_prefetch(&h->buckets[hash & h->mask]);
    }
}

/* The same, once the bucket is there: what it leads to comes from far, too. */
static inline void
hmap_prefetch_node(const struct hmap *h, uint32_t hash)
{
    if (h->buckets) {
        __builtin_prefetch(h->buckets[hash & h->mask]); /* NULL does no harm. */
    }
}

struct hmap_node *hmap_first(const struct hmap *);
struct hmap_node *hmap_next(const struct hmap *, const struct hmap_node *);

#define HMAP_ELEM_(node, type, member) ((node) ? CONTAINER_OF(node, type, member) : NULL)
#define HMAP_FOR_EACH_HASH(type, var, member, want_hash, map)                              \
    for (type *var = HMAP_ELEM_(hmap_first_with_hash(map, want_hash), type, member); var;  \
         var = HMAP_ELEM_(hmap_next_with_hash(&var->member), type, member))
#define HMAP_FOR_EACH(type, var, member, map)                                              \
    for (type *var = HMAP_ELEM_(hmap_first(map), type, member); var;                       \
         var = HMAP_ELEM_(hmap_next(map, &var->member), type, member))
/* 'var' may be removed (and freed) in the body; nothing may be inserted. */
#define HMAP_FOR_EACH_SAFE(type, var, member, map)                                         \
    for (type *var = HMAP_ELEM_(hmap_first(map), type, member),                            \
              *var##_next = var ? HMAP_ELEM_(hmap_next(map, &var->member), type, member)   \
                                : NULL;                                                    \
         var; var = var##_next,                                                            \
              var##_next = var ? HMAP_ELEM_(hmap_next(map, &var->member), type, member)    \
                               : NULL)

struct map_entry {
    struct hmap_node node; /* In struct map's 'entries'. */
    void *value;           /* The user's; the map never frees it. */
    char key[];
};

struct map {
    struct hmap entries;
};
#define MAP_INIT ((struct map){ HMAP_INIT })

void map_done(struct map *);
void *map_get(const struct map *, const char *key); /* NULL if absent. */
bool map_has(const struct map *, const char *key);
void *map_put(struct map *, const char *key, void *value); /* The value it replaced. */
void *map_remove(struct map *, const char *key);           /* The value it had. */
static inline size_t
map_count(const struct map *m)
{
    return m->entries.n;
}
#define MAP_FOR_EACH(var, map) HMAP_FOR_EACH (struct map_entry, var, node, &(map)->entries)

#endif /* base/map.h */
