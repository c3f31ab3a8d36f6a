/* store/volcrypt.c: <encryption> of a volume. */
#include "base/str.h"
#include "store/code.h"
#include "store/xmlparts_i.h"

static const char *const formats[] = {
    "default", "qcow", "luks", "luks2", "luks-any", NULL
};
static const char *const engines[] = { "qemu", "librbd", NULL };

static struct err *
parse_secret(struct arena *arena, const struct xml_node *node, struct vol_secret *ret)
{
    const char *type = xml_attr(node, "type");
    if (!type) {
        return store_err(VE_XML_ERROR, "unknown volume encryption secret type");
    } else if (!str_eq(type, "passphrase")) {
        return store_err(VE_CONFIG_UNSUPPORTED, "unknown volume encryption secret type %s",
                         type);
    }
    return parts_secret(arena, node, &ret->uuid, &ret->usage);
}

static struct err *
parse_cipher(struct arena *arena, const struct xml_node *node, struct vol_crypt *ret)
{
    const char *name = xml_attr(node, "name");
    const char *size = xml_attr(node, "size");
    uint64_t bits;
    if (!name) {
        return store_err(VE_XML_ERROR, "cipher info missing 'name' attribute");
    } else if (!size) {
        return store_err(VE_XML_ERROR,
                         "Missing required attribute 'size' in element 'cipher'");
    } else if (!str_to_u64(size, &bits) || bits > UINT16_MAX) {
        return store_err(VE_XML_ERROR,
                         "Invalid value for attribute 'size' in element 'cipher': '%s'. "
                         "Expected non-negative integer value",
                         size);
    }
    ret->cipher_name = arena_str(arena, name);
    ret->cipher_size = (int) bits;
    ret->cipher_mode = parts_dup(arena, xml_attr(node, "mode"));
    ret->cipher_hash = parts_dup(arena, xml_attr(node, "hash"));
    return NULL;
}

static struct err *
parse_ivgen(struct arena *arena, const struct xml_node *node, struct vol_crypt *ret)
{
    if (!xml_attr(node, "name")) {
        return store_err(VE_XML_ERROR, "missing ivgen info name string");
    }
    ret->ivgen_name = arena_str(arena, xml_attr(node, "name"));
    ret->ivgen_hash = parts_dup(arena, xml_attr(node, "hash"));
    return NULL;
}

struct err *
volcrypt_parse(struct arena *arena, const struct xml_node *node, struct vol_crypt *ret)
{
    const char *format = xml_attr(node, "format");
    if (!format) {
        return store_err(VE_XML_ERROR, "unknown volume encryption format");
    }
    int i = parts_index(formats, format);
    if (i < 0) {
        return store_err(VE_CONFIG_UNSUPPORTED, "unknown volume encryption format type %s",
                         format);
    }
    ret->format = formats[i];
    i = -1;
    TRY(parts_enum(node, "engine", engines, false, &i));
    ret->engine = i < 0 ? NULL : engines[i];

    size_t n = xml_count(node, "secret");
    ret->secrets = arena_zalloc(arena, n * sizeof *ret->secrets);
    for (const struct xml_node *s = xml_find(node, "secret"); s; s = xml_next(s)) {
        TRY(parse_secret(arena, s, &ret->secrets[ret->n_secrets++]));
    }
    if (!str_eq(format, "luks")) {
        return NULL; /* The others have none, whatever is written there. */
    }
    const struct xml_node *cipher = xml_find(node, "cipher");
    const struct xml_node *ivgen = xml_find(node, "ivgen");
    if (cipher) {
        TRY(parse_cipher(arena, cipher, ret));
    }
    if (ivgen && !cipher) {
        return store_err(VE_XML_ERROR, "ivgen element found, but cipher is missing");
    } else if (ivgen) {
        TRY(parse_ivgen(arena, ivgen, ret));
    }
    return NULL;
}

void
volcrypt_format(const struct vol_crypt *crypt, struct xml_writer *w)
{
    if (!crypt->format) {
        return;
    }
    xml_open(w, "encryption");
    xml_put(w, "format", crypt->format);
    xml_put(w, "engine", crypt->engine);
    for (size_t i = 0; i < crypt->n_secrets; i++) {
        xml_open(w, "secret");
        xml_put(w, "type", "passphrase");
        xml_put(w, "uuid", crypt->secrets[i].uuid);
        xml_put(w, "usage", crypt->secrets[i].usage);
        xml_close(w);
    }
    if (crypt->cipher_name) {
        xml_open(w, "cipher");
        xml_put(w, "name", crypt->cipher_name);
        xml_putf(w, "size", "%d", crypt->cipher_size);
        xml_put(w, "mode", crypt->cipher_mode);
        xml_put(w, "hash", crypt->cipher_hash);
        xml_close(w);
    }
    if (crypt->ivgen_name) {
        xml_open(w, "ivgen");
        xml_put(w, "name", crypt->ivgen_name);
        xml_put(w, "hash", crypt->ivgen_hash);
        xml_close(w);
    }
    xml_close_wide(w);
}
