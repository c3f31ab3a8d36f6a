/* store/volxml.c: volume XML, in and out, with the checks in libvirt's order
 * (virStorageVolDefParseXML): name, type, backing store, capacity, allocation, target. */
#include "store/volxml.h"

#include "base/str.h"
#include "store/code.h"
#include "store/xmlparts_i.h"
#include "xml/units.h"

static struct err *
parse_size(const struct xml_node *node, int64_t *ret)
{
    const char *number = node->text + strspn(node->text, " \t\r\n"); /* As strtoull(3). */
    number += *number == '+';
    CLEANUP(err_drop) struct err *e = units_to_bytes(number, xml_attr(node, "unit"), ret);
    if (!e) {
        return NULL;
    }
    switch (err_kind(e)) {
    case ERR_UNSUPPORTED: return store_err(VE_INVALID_ARG, "%s", err_why(e));
    case ERR_CONSTRAINT: return store_err(VE_OVERFLOW, "%s", err_why(e));
    default: return store_err(VE_XML_ERROR, "malformed capacity element");
    }
}

/* <format type=''/>: 'none' is a state a volume can be in, not one to ask for. */
static struct err *
parse_format(const struct xml_node *root, const char *path,
             const struct pool_traits *traits, const char **ret)
{
    if (!traits->vol_formats) {
        return NULL;
    }
    const char *format = xml_string(root, path);
    if (!format) {
        *ret = traits->default_vol_format;
        return NULL;
    }
    int i = parts_index(traits->vol_formats, format);
    if (i < 0 || (i == 0 && str_eq(traits->default_vol_format, "raw"))) {
        return store_err(VE_CONFIG_UNSUPPORTED, "unknown volume format type %s", format);
    }
    *ret = traits->vol_formats[i];
    return NULL;
}

static struct err *
parse_backing(const struct xml_node *root, const struct pool_traits *traits,
              struct vol *vol)
{
    const char *path = xml_string(root, "backingStore/path");
    if (!path) {
        return NULL;
    }
    vol->backing.path = arena_str(&vol->arena, path);
    TRY(parse_format(root, "backingStore/format/@type", traits, &vol->backing.format));
    return parts_perms(&vol->arena, root, "backingStore/permissions", &vol->backing.perms);
}

static struct err *
parse_sizes(const struct xml_node *root, int flags, struct vol *vol)
{
    if (xml_string(root, "capacity")) {
        TRY(parse_size(xml_find(root, "capacity"), &vol->capacity));
    } else if (!(flags & VOLXML_NO_CAPACITY) && !vol->backing.path) {
        return store_err(VE_XML_ERROR, "missing capacity element");
    }
    if (xml_string(root, "allocation")) {
        TRY(parse_size(xml_find(root, "allocation"), &vol->allocation));
    }
    return NULL;
}

static struct err *
parse_features(const struct xml_node *root, struct vol_target *target)
{
    const struct xml_node *features = xml_find(root, "target/features");
    if (!features) {
        return NULL;
    }
    target->has_features = true;
    if (!target->compat) {
        target->compat = "1.1";
    }
    for (const struct xml_node *x = features->first; x; x = x->next) {
        if (str_eq(x->name, "lazy_refcounts")) {
            target->lazy_refcounts = true;
        } else if (str_eq(x->name, "extended_l2")) {
            target->extended_l2 = true;
        } else {
            return store_err(VE_CONFIG_UNSUPPORTED, "unsupported feature %s", x->name);
        }
    }
    return NULL;
}

static struct err *
parse_target(const struct xml_node *root, const struct pool_traits *traits, struct vol *vol)
{
    struct vol_target *target = &vol->target;
    target->path = parts_dup(&vol->arena, xml_string(root, "target/path"));
    TRY(parse_format(root, "target/format/@type", traits, &target->format));
    TRY(parts_perms(&vol->arena, root, "target/permissions", &target->perms));
    const struct xml_node *crypt = xml_find(root, "target/encryption");
    if (crypt) {
        TRY(volcrypt_parse(&vol->arena, crypt, &target->crypt));
    }
    target->compat = parts_dup(&vol->arena, xml_string(root, "target/compat"));
    if (target->compat && !vol_is_compat(target->compat)) {
        return store_err(VE_XML_ERROR, "forbidden characters in 'compat' attribute");
    }
    target->nocow = xml_find(root, "target/nocow") != NULL;
    if (xml_string(root, "target/clusterSize")) {
        CLEANUP(err_drop)
        struct err *e =
            parse_size(xml_find(root, "target/clusterSize"), &target->cluster_bytes);
        if (e && err_code(e) != VE_XML_ERROR) {
            return TAKE(e);
        } else if (e) {
            return store_err(
                VE_XML_ERROR,
                "Invalid value '%s' for element or attribute './target/clusterSize'",
                xml_string(root, "target/clusterSize"));
        }
    }
    return parse_features(root, target);
}

struct err *
volxml_parse(const char *text, size_t n_bytes, enum pool_type pool_type, int flags,
             struct vol *vol)
{
    CLEANUP(arena_done) struct arena tree = ARENA_INIT;
    const struct pool_traits *traits = pool_traits(pool_type);
    const struct xml_node *root;
    TRY(parts_document(&tree, text, n_bytes, "(storage_volume_definition)", "volume",
                       &root));

    const char *name = xml_string(root, "name");
    if (!name) {
        return store_err(VE_XML_ERROR, "missing volume name element");
    }
    vol->name = arena_str(&vol->arena, name);
    vol->key = parts_dup(&vol->arena, xml_string(root, "key"));
    const char *type = xml_string(root, "@type");
    if (type && !vol_type_parse(type, &vol->type)) {
        return store_err(VE_CONFIG_UNSUPPORTED, "unknown volume type '%s'", type);
    }
    TRY(parse_backing(root, traits, vol));
    TRY(parse_sizes(root, flags, vol));
    return parse_target(root, traits, vol);
}

static void
put_time(struct xml_writer *w, const char *name, const struct vol_time *t)
{
    if (t->nsec > 0) {
        xml_leaff(w, name, "%" PRId64 ".%09" PRId64, t->sec, t->nsec);
    } else if (t->nsec == 0) {
        xml_leaff(w, name, "%" PRId64, t->sec);
    }
}

/* Extents that follow each other on one device share its element. */
static void
put_extents(struct xml_writer *w, const struct vol *vol)
{
    if (!vol->n_extents) {
        return;
    }
    xml_open(w, "source");
    for (size_t i = 0; i < vol->n_extents; i++) {
        const struct vol_extent *x = &vol->extents[i];
        if (i == 0 || !str_eq(x->path, x[-1].path)) {
            xml_open(w, "device");
            xml_put(w, "path", x->path);
        }
        xml_open(w, "extent");
        xml_putf(w, "start", "%" PRId64, x->start);
        xml_putf(w, "end", "%" PRId64, x->end);
        xml_close(w);
        if (i + 1 == vol->n_extents || !str_eq(x->path, x[1].path)) {
            xml_close(w);
        }
    }
    xml_close(w);
}

static void
put_target(struct xml_writer *w, const char *name, const struct vol_target *target,
           const struct pool_traits *traits)
{
    xml_open(w, name);
    xml_leaf(w, "path", target->path);
    if (traits->vol_formats && target->format) {
        xml_open(w, "format");
        xml_put(w, "type", vol_format_in_xml(target->format));
        xml_close(w);
    }
    parts_put_perms(w, &target->perms);
    if (target->has_times) {
        xml_open(w, "timestamps");
        put_time(w, "atime", &target->atime);
        put_time(w, "mtime", &target->mtime);
        put_time(w, "ctime", &target->ctime);
        put_time(w, "btime", &target->btime);
        xml_close_wide(w);
    }
    volcrypt_format(&target->crypt, w);
    xml_leaf(w, "compat", target->compat);
    if (target->cluster_bytes > 0) {
        xml_open(w, "clusterSize");
        xml_put(w, "unit", "B");
        xml_close_text(w, "%" PRId64, target->cluster_bytes);
    }
    if (target->has_features) {
        xml_open(w, "features");
        if (target->lazy_refcounts) {
            xml_open(w, "lazy_refcounts");
            xml_close(w);
        }
        if (target->extended_l2) {
            xml_open(w, "extended_l2");
            xml_close(w);
        }
        xml_close(w);
    }
    xml_close_wide(w);
}

void
volxml_format(const struct vol *vol, enum pool_type pool_type, struct buf *out)
{
    const struct pool_traits *traits = pool_traits(pool_type);
    struct xml_writer w;
    xml_writer_init(&w, out);
    xml_open(&w, "volume");
    xml_put(&w, "type", vol_type_name(vol->type));
    xml_leaf(&w, "name", vol->name);
    xml_leaf(&w, "key", vol->key);
    put_extents(&w, vol);
    parts_put_bytes(&w, "capacity", max64(vol->capacity, 0));
    parts_put_bytes(&w, "allocation", vol_wanted_allocation(vol));
    if (vol->physical > 0) {
        parts_put_bytes(&w, "physical", vol->physical);
    }
    put_target(&w, "target", &vol->target, traits);
    if (vol->backing.path) {
        put_target(&w, "backingStore", &vol->backing, traits);
    }
    xml_close(&w);
}
