/* store/xmlparts.c: what pool and volume XML have in common. */
#include "store/xmlparts_i.h"

#include <errno.h>

#include "base/str.h"
#include "base/uuid.h"
#include "store/code.h"

struct err *
parts_document(struct arena *arena, const char *text, size_t n_bytes, const char *file,
               const char *name, const struct xml_node **ret_root)
{
    struct xml_node *root;
    struct err *e = xml_parse(arena, file, text, n_bytes, &root);
    if (e) {
        return err_tag(e, VE_XML_DETAIL);
    } else if (!str_eq(root->name, name)) {
        return store_err(VE_XML_ERROR, "expecting root element of '%s', not '%s'", name,
                         root->name);
    }
    *ret_root = root;
    return NULL;
}

const char *
parts_dup(struct arena *arena, const char *s)
{
    return s ? arena_str(arena, s) : NULL;
}

int
parts_index(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++) {
        if (str_eq(names[i], name)) {
            return i;
        }
    }
    return -1;
}

/* As strtoll(3) reads it, but nothing may follow. */
static bool
read_long(const char *s, int base, long long *ret)
{
    char *end;
    errno = 0;
    *ret = strtoll(s, &end, base);
    return end != s && !*end && errno == 0;
}

/* A user or group: -1 and the largest 32-bit number mean "none". */
static struct err *
read_id(const struct xml_node *node, const char *name, int64_t *ret)
{
    const struct xml_node *found = xml_find(node, name);
    long long value = -1;
    if (found &&
        (!read_long(found->text, 10, &value) || value < -1 || value > UINT32_MAX)) {
        return store_err(VE_XML_ERROR, "malformed %s element", name);
    }
    *ret = value == UINT32_MAX ? -1 : value;
    return NULL;
}

struct err *
parts_perms(struct arena *arena, const struct xml_node *parent, const char *path,
            struct perms *ret)
{
    *ret = PERMS_INIT;
    const struct xml_node *node = xml_find(parent, path);
    if (!node) {
        return NULL;
    }
    const char *mode = xml_string(node, "mode");
    long long value;
    if (mode) {
        if (!read_long(mode, 8, &value) || value < 0 || value > 0777) {
            return store_err(VE_XML_ERROR, "malformed octal mode");
        }
        ret->mode = (int) value;
    }
    TRY(read_id(node, "owner", &ret->owner));
    TRY(read_id(node, "group", &ret->group));
    ret->label = parts_dup(arena, xml_string(node, "label"));
    return NULL;
}

void
parts_put_perms(struct xml_writer *w, const struct perms *perms)
{
    if (perms->mode < 0 && perms->owner < 0 && perms->group < 0 && !perms->label) {
        return;
    }
    xml_open(w, "permissions");
    if (perms->mode >= 0) {
        xml_leaff(w, "mode", "0%o", (unsigned) perms->mode);
    }
    if (perms->owner >= 0) {
        xml_leaff(w, "owner", "%" PRId64, perms->owner);
    }
    if (perms->group >= 0) {
        xml_leaff(w, "group", "%" PRId64, perms->group);
    }
    xml_leaf(w, "label", perms->label);
    xml_close(w);
}

struct err *
parts_enum(const struct xml_node *node, const char *attr, const char *const *names,
           bool required, int *ret_index)
{
    const char *value = xml_attr(node, attr);
    if (!value) {
        if (required) {
            return store_err(VE_XML_ERROR,
                             "Missing required attribute '%s' in element '%s'", attr,
                             node->name);
        }
        return NULL;
    }
    int i = parts_index(names, value);
    if (i < 0) {
        return store_err(VE_XML_ERROR,
                         "Invalid value for attribute '%s' in element '%s': '%s'.", attr,
                         node->name, value);
    }
    *ret_index = i;
    return NULL;
}

static const char *const yes_no[] = { "yes", "no", NULL };

struct err *
parts_tristate(const struct xml_node *node, const char *attr, enum tristate *ret)
{
    int i = -1;
    TRY(parts_enum(node, attr, yes_no, false, &i));
    *ret = (enum tristate)(i + 1);
    return NULL;
}

void
parts_put_tristate(struct xml_writer *w, const char *attr, enum tristate value)
{
    xml_put(w, attr, value == TRI_ABSENT ? NULL : yes_no[value - 1]);
}

void
parts_put_bytes(struct xml_writer *w, const char *name, int64_t n_bytes)
{
    xml_open(w, name);
    xml_put(w, "unit", "bytes");
    xml_close_text(w, "%" PRId64, n_bytes);
}

struct err *
parts_int(const struct xml_node *node, const char *attr, int *ret)
{
    const char *text = xml_attr(node, attr);
    long long value;
    if (!text) {
        return NULL;
    } else if (!read_long(text, 10, &value) || value < INT32_MIN || value > INT32_MAX) {
        return store_err(VE_XML_ERROR,
                         "Invalid value for attribute '%s' in element '%s': '%s'. Expected "
                         "integer value",
                         attr, node->name, text);
    }
    *ret = (int) value;
    return NULL;
}

struct err *
parts_secret(struct arena *arena, const struct xml_node *secret, const char **ret_uuid,
             const char **ret_usage)
{
    const char *uuid = xml_attr(secret, "uuid");
    const char *usage = xml_attr(secret, "usage");
    struct uuid parsed;
    if (!uuid && !usage) {
        return store_err(VE_XML_ERROR, "missing secret uuid or usage attribute");
    } else if (uuid && usage) {
        return store_err(VE_XML_ERROR, "either secret uuid or usage expected");
    } else if (uuid && !uuid_parse(uuid, &parsed)) {
        return store_err(VE_XML_ERROR, "invalid secret uuid '%s'", uuid);
    }
    *ret_uuid = NULL;
    if (uuid) {
        char text[UUID_CHARS + 1];
        uuid_format(&parsed, text);
        *ret_uuid = arena_str(arena, text);
    }
    *ret_usage = parts_dup(arena, usage);
    return NULL;
}
