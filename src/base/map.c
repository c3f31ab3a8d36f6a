/* base/map.c: chained hash tables that double when full. */
#include "base/map.h"

/* Murmur3's block mix over 4-byte words: quick and good enough for trusted and untrusted keys
 * of limited number. */
static uint32_t
mix(uint32_t h, uint32_t word)
{
    word *= 0xcc9e2d51;
    word = word << 15 | word >> 17;
    word *= 0x1b873593;
    h ^= word;
    h = h << 13 | h >> 19;
    return h * 5 + 0xe6546b64;
}

uint32_t
hash_bytes(const void *bytes, size_t n_bytes, uint32_t basis)
{
    const uint8_t *p = bytes;
    uint32_t h = basis, word;
    size_t n = n_bytes;

    for (; n >= 4; n -= 4, p += 4) {
        memcpy(&word, p, 4);
        h = mix(h, word);
    }
    if (n) {
        word = 0;
        memcpy(&word, p, n);
        h = mix(h, word);
    }
    h ^= (uint32_t) n_bytes;
    h ^= h >> 16;
    h *= 0x85ebca6b;
    h ^= h >> 13;
    h *= 0xc2b2ae35;
    return h ^ h >> 16;
}

void
hmap_done(struct hmap *h)
{
    free(h->buckets);
    *h = HMAP_INIT;
}

#define RESIZE_AHEAD 8 /* Nodes come from all over the memory. */

static void
hmap_resize(struct hmap *h, uint32_t n_buckets)
{
    struct hmap_node **buckets = xcalloc(n_buckets, sizeof(struct hmap_node *));

    for (uint32_t i = 0; h->buckets && i <= h->mask; i++) {
        if (i + RESIZE_AHEAD <= h->mask) { /* NULL does no harm. */
            __builtin_prefetch(h->buckets[i + RESIZE_AHEAD], 1);
        }
        for (struct hmap_node *node = h->buckets[i], *next; node; node = next) {
            next = node->next;
            node->next = buckets[node->hash & (n_buckets - 1)];
            buckets[node->hash & (n_buckets - 1)] = node;
        }
    }
    free(h->buckets);
    h->buckets = buckets;
    h->mask = n_buckets - 1;
}

void
hmap_reserve(struct hmap *h, size_t n)
{
    uint32_t n_buckets = h->buckets ? h->mask + 1 : 8;
    while (n_buckets < n && n_buckets < UINT32_MAX / 2) {
        n_buckets *= 2;
    }
    if (!h->buckets || n_buckets > h->mask + 1) {
        hmap_resize(h, n_buckets);
    }
}

void
hmap_insert(struct hmap *h, struct hmap_node *node, uint32_t hash)
{
    if (!h->buckets || h->n > h->mask) {
        hmap_reserve(h, h->n + 1);
    }
    node->hash = hash;
    node->next = h->buckets[hash & h->mask];
    h->buckets[hash & h->mask] = node;
    h->n++;
}

void
hmap_remove(struct hmap *h, struct hmap_node *node)
{
    struct hmap_node **at = &h->buckets[node->hash & h->mask];
    while (*at != node) {
        ASSERT(*at);
        at = &(*at)->next;
    }
    *at = node->next;
    h->n--;
}

static struct hmap_node *
first_from(const struct hmap *h, uint32_t bucket)
{
    for (uint32_t i = bucket; h->buckets && i <= h->mask; i++) {
        if (h->buckets[i]) {
            return h->buckets[i];
        }
    }
    return NULL;
}

struct hmap_node *
hmap_first(const struct hmap *h)
{
    return h->n ? first_from(h, 0) : NULL;
}

struct hmap_node *
hmap_next(const struct hmap *h, const struct hmap_node *node)
{
    return node->next ? node->next : first_from(h, (node->hash & h->mask) + 1);
}

static struct map_entry *
find_entry(const struct map *m, const char *key)
{
    HMAP_FOR_EACH_HASH (struct map_entry, entry, node, hash_string(key), &m->entries) {
        if (strcmp(entry->key, key) == 0) {
            return entry;
        }
    }
    return NULL;
}

void
map_done(struct map *m)
{
    HMAP_FOR_EACH_SAFE (struct map_entry, entry, node, &m->entries) {
        free(entry);
    }
    hmap_done(&m->entries);
}

void *
map_get(const struct map *m, const char *key)
{
    const struct map_entry *entry = find_entry(m, key);
    return entry ? entry->value : NULL;
}

bool
map_has(const struct map *m, const char *key)
{
    return find_entry(m, key) != NULL;
}

void *
map_put(struct map *m, const char *key, void *value)
{
    struct map_entry *entry = find_entry(m, key);
    if (!entry) {
        size_t n = strlen(key) + 1;
        entry = xmalloc(sizeof *entry + n);
        memcpy(entry->key, key, n);
        entry->value = NULL;
        hmap_insert(&m->entries, &entry->node, hash_string(key));
    }
    void *old = entry->value;
    entry->value = value;
    return old;
}

void *
map_remove(struct map *m, const char *key)
{
    struct map_entry *entry = find_entry(m, key);
    if (!entry) {
        return NULL;
    }
    void *value = entry->value;
    hmap_remove(&m->entries, &entry->node);
    free(entry);
    return value;
}
