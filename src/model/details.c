/* model/details.c: what a pool's XML says that has no column of its own.
 *
 * Nothing in Byre looks for these, or hardly anything; but a definition that goes in must come out
 * as it went in.  They are the map metapool.details, by names that follow the XML's.  Lists whose
 * order counts are there element by element, "device.0" ..., because the columns are sets. */
#include <stdio.h>

#include "base/str.h"
#include "model/storage.h"

/* Plain texts. */
static const struct {
    const char *key;
    size_t in_pool; /* Offset of a const char * in struct pool. */
} texts[] = {
    { "vendor", offsetof(struct pool, source.vendor) },
    { "product", offsetof(struct pool, source.product) },
    { "label", offsetof(struct pool, target.perms.label) },
    { "refresh.allocation", offsetof(struct pool, refresh_allocation) },
    { "secret.type", offsetof(struct pool, source.auth.secret_type) },
    { "secret.uuid", offsetof(struct pool, source.auth.secret_uuid) },
    { "secret.usage", offsetof(struct pool, source.auth.secret_usage) },
    { "adapter.parent_wwnn", offsetof(struct pool, source.adapter.parent_wwnn) },
    { "adapter.parent_wwpn", offsetof(struct pool, source.adapter.parent_wwpn) },
    { "adapter.parent_fabric_wwn",
      offsetof(struct pool, source.adapter.parent_fabric_wwn) },
};

static const char **
text_at(struct pool *pool, size_t offset)
{
    return (const char **) (void *) ((char *) pool + offset);
}

static const char *
tristate(enum tristate value)
{
    return value == TRI_YES ? "yes" : value == TRI_NO ? "no" : NULL;
}

static enum tristate
tristate_of(const char *text)
{
    return str_eq(text, "yes") ? TRI_YES : str_eq(text, "no") ? TRI_NO : TRI_ABSENT;
}

static void
put(model_put_fn *fn, void *aux, const char *key, const char *value)
{
    if (value) {
        fn(aux, key, value);
    }
}

static void
put_lists(const struct pool_source *source, model_put_fn *fn, void *aux)
{
    char key[64];
    for (size_t i = 0; i < source->n_devices; i++) {
        if (source->n_devices > 1) {
            snprintf(key, sizeof key, "device.%zu", i);
            put(fn, aux, key, source->devices[i].path);
        }
        snprintf(key, sizeof key, "part_separator.%zu", i);
        put(fn, aux, key, tristate(source->devices[i].part_separator));
    }
    for (size_t i = 0; source->n_hosts > 1 && i < source->n_hosts; i++) {
        char port[16] = "";
        snprintf(key, sizeof key, "host.%zu", i);
        put(fn, aux, key, source->hosts[i].name);
        snprintf(key, sizeof key, "port.%zu", i);
        snprintf(port, sizeof port, "%d", source->hosts[i].port);
        put(fn, aux, key, source->hosts[i].port ? port : NULL);
    }
}

void
model_details_put(const struct pool *pool, model_put_fn *fn, void *aux)
{
    const struct pool_adapter *adapter = &pool->source.adapter;
    char text[64];

    for (size_t i = 0; i < N_ELEMS(texts); i++) {
        put(fn, aux, texts[i].key, *text_at((struct pool *) pool, texts[i].in_pool));
    }
    put(fn, aux, "cow", tristate(pool->cow));
    put(fn, aux, "adapter.managed", adapter->managed == TRI_NO ? "no" : NULL);
    if (adapter->has_parentaddr) {
        snprintf(text, sizeof text, "%x:%x:%x.%x", adapter->domain, adapter->bus,
                 adapter->slot, adapter->function);
        put(fn, aux, "adapter.pci", text);
        snprintf(text, sizeof text, "%d", adapter->unique_id);
        put(fn, aux, "adapter.unique_id", text);
    }
    put_lists(&pool->source, fn, aux);
}

static const char *
get(const struct row_metapool *m, const char *kind, size_t i)
{
    char key[64];
    snprintf(key, sizeof key, "%s.%zu", kind, i);
    return typed_map_get(&m->details, key);
}

/* A list's order counts only while it has the members of its column. */
static void
get_devices(const struct row_metapool *m, struct pool *pool)
{
    struct pool_source *source = &pool->source;
    bool whole = source->n_devices > 1;
    for (size_t i = 0; i < source->n_devices && whole; i++) {
        const char *path = get(m, "device", i);
        whole = path && typed_set_has(&m->source_devices, path);
    }
    for (size_t i = 0; i < source->n_devices; i++) {
        if (whole) {
            source->devices[i].path = arena_str(&pool->arena, get(m, "device", i));
        }
        source->devices[i].part_separator = tristate_of(get(m, "part_separator", i));
    }
}

static void
get_hosts(const struct row_metapool *m, struct pool *pool)
{
    struct pool_source *source = &pool->source;
    bool whole = source->n_hosts > 1;
    for (size_t i = 0; i < source->n_hosts && whole; i++) {
        const char *name = get(m, "host", i);
        bool there = false;
        for (size_t k = 0; k < source->n_hosts && name; k++) {
            there |= str_eq(source->hosts[k].name, name);
        }
        whole = there;
    }
    if (!whole) {
        return;
    }
    struct pool_host *hosts =
        arena_zalloc(&pool->arena, source->n_hosts * sizeof *source->hosts);
    for (size_t i = 0; i < source->n_hosts; i++) {
        const char *port = get(m, "port", i);
        hosts[i].name = arena_str(&pool->arena, get(m, "host", i));
        hosts[i].port = port ? atoi(port) : 0;
    }
    source->hosts = hosts;
}

void
model_details_get(const struct row_metapool *m, struct pool *pool)
{
    struct pool_adapter *adapter = &pool->source.adapter;
    const char *pci = typed_map_get(&m->details, "adapter.pci");
    const char *id = typed_map_get(&m->details, "adapter.unique_id");

    for (size_t i = 0; i < N_ELEMS(texts); i++) {
        const char *value = typed_map_get(&m->details, texts[i].key);
        if (value) {
            *text_at(pool, texts[i].in_pool) = arena_str(&pool->arena, value);
        }
    }
    pool->cow = tristate_of(typed_map_get(&m->details, "cow"));
    if (str_eq(typed_map_get(&m->details, "adapter.managed"), "no")) {
        adapter->managed = TRI_NO;
    }
    if (pci && id &&
        sscanf(pci, "%x:%x:%x.%x", &adapter->domain, &adapter->bus, &adapter->slot,
               &adapter->function) == 4) {
        adapter->has_parentaddr = true;
        adapter->unique_id = atoi(id);
    }
    get_devices(m, pool);
    get_hosts(m, pool);
}
