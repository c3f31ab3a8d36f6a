/* store/adapter.c: <adapter> of a scsi pool: a SCSI host, or a fibre channel host (vHBA). */
#include "store/adapter_i.h"

#include "base/str.h"
#include "store/code.h"
#include "store/xmlparts_i.h"

/* One number of a PCI address, in C's notation. */
static struct err *
pci_part(const struct xml_node *node, const char *attr, uint32_t max, uint32_t *ret)
{
    const char *text = xml_attr(node, attr);
    if (!text) {
        *ret = 0;
        return NULL;
    }
    char *end;
    unsigned long value = strtoul(text, &end, 0);
    if (end == text || *end || value > UINT32_MAX || strchr(text, '-')) {
        return store_err(VE_XML_ERROR,
                         "Invalid value for attribute '%s' in element '%s': '%s'. Expected "
                         "non-negative integer value",
                         attr, node->name, text);
    } else if (value > max && max == 7) { /* A function: libvirt's text differs a little. */
        return store_err(VE_XML_ERROR, "Invalid PCI address %s=0x%lx, must be <= 7", attr,
                         value);
    } else if (value > max) {
        return store_err(VE_XML_ERROR, "Invalid PCI address %s='0x%lx', must be <= 0x%X",
                         attr, value, max);
    }
    *ret = (uint32_t) value;
    return NULL;
}

static struct err *
parse_parentaddr(const struct xml_node *node, struct pool_adapter *ret)
{
    const struct xml_node *address = xml_find(node, "address");
    if (!address) {
        return store_err(VE_XML_ERROR, "Missing scsi_host PCI address element");
    }
    ret->has_parentaddr = true;
    TRY(pci_part(address, "domain", UINT16_MAX, &ret->domain));
    TRY(pci_part(address, "bus", UINT8_MAX, &ret->bus));
    TRY(pci_part(address, "slot", 31, &ret->slot));
    TRY(pci_part(address, "function", 7, &ret->function));
    if (!ret->domain && !ret->bus && !ret->slot) {
        return store_err(VE_XML_ERROR,
                         "Invalid PCI address 0000:00:00, at least one of domain, "
                         "bus, or slot must be > 0");
    }
    const char *id = xml_attr(node, "unique_id");
    int64_t value;
    if (!id || !str_to_i64(id, &value) || value < 0 || value > INT32_MAX) {
        return store_err(VE_XML_ERROR, "Missing or invalid scsi adapter 'unique_id' value");
    }
    ret->unique_id = (int) value;
    return NULL;
}

static struct err *
parse_fc_host(struct arena *arena, const struct xml_node *node, struct pool_adapter *ret)
{
    ret->parent = parts_dup(arena, xml_attr(node, "parent"));
    TRY(parts_tristate(node, "managed", &ret->managed));
    ret->parent_wwnn = parts_dup(arena, xml_attr(node, "parent_wwnn"));
    ret->parent_wwpn = parts_dup(arena, xml_attr(node, "parent_wwpn"));
    ret->parent_fabric_wwn = parts_dup(arena, xml_attr(node, "parent_fabric_wwn"));
    ret->wwpn = parts_dup(arena, xml_attr(node, "wwpn"));
    ret->wwnn = parts_dup(arena, xml_attr(node, "wwnn"));
    return NULL;
}

struct err *
adapter_parse(struct arena *arena, const struct xml_node *node, struct pool_adapter *ret)
{
    static const char *const types[] = { "scsi_host", "fc_host", NULL };
    const struct xml_node *parentaddr = xml_find(node, "parentaddr");
    int type = -1;
    TRY(parts_enum(node, "type", types, false, &type));
    if (type == 1) {
        ret->type = ADAPTER_FC_HOST;
        return parse_fc_host(arena, node, ret);
    }
    if (type < 0) { /* Definitions from before there was a type have a name and no more. */
        if (xml_attr(node, "wwnn") || xml_attr(node, "wwpn") || xml_attr(node, "parent")) {
            return store_err(VE_XML_ERROR, "Use of 'wwnn', 'wwpn', and 'parent' attributes "
                                           "requires use of the adapter 'type'");
        } else if (parentaddr) {
            return store_err(
                VE_XML_ERROR,
                "Use of 'parentaddr' element requires use of the adapter 'type'");
        } else if (!xml_attr(node, "name")) {
            return NULL; /* As if there were no adapter at all. */
        }
    }
    ret->type = ADAPTER_SCSI_HOST;
    ret->name = parts_dup(arena, xml_attr(node, "name"));
    return parentaddr ? parse_parentaddr(parentaddr, ret) : NULL;
}

/* 16 hexadecimal digits after an optional 0x. */
static struct err *
check_wwn(const char *wwn)
{
    if (!wwn) {
        return NULL;
    }
    const char *digits = str_starts(wwn, "0x") ? wwn + 2 : wwn;
    if (strlen(digits) != 16 || strspn(digits, "0123456789abcdefABCDEF") != 16) {
        return store_err(VE_INTERNAL, "Malformed wwn: %s", wwn);
    }
    return NULL;
}

static struct err *
check_fc_host(const struct pool_adapter *adapter)
{
    if (!adapter->wwnn || !adapter->wwpn) {
        return store_err(VE_XML_ERROR,
                         "'wwnn' and 'wwpn' must be specified for adapter type 'fchost'");
    }
    TRY(check_wwn(adapter->wwnn));
    TRY(check_wwn(adapter->wwpn));
    if (adapter->parent_wwnn && !adapter->parent_wwpn) {
        return store_err(
            VE_XML_ERROR,
            "when providing parent_wwnn='%s', the parent_wwpn must also be provided",
            adapter->parent_wwnn);
    } else if (adapter->parent_wwpn && !adapter->parent_wwnn) {
        return store_err(
            VE_XML_ERROR,
            "when providing parent_wwpn='%s', the parent_wwnn must also be provided",
            adapter->parent_wwpn);
    }
    TRY(check_wwn(adapter->parent_wwnn));
    TRY(check_wwn(adapter->parent_wwpn));
    return check_wwn(adapter->parent_fabric_wwn);
}

struct err *
adapter_check(const struct pool_adapter *adapter)
{
    switch (adapter->type) {
    case ADAPTER_FC_HOST: return check_fc_host(adapter);
    case ADAPTER_SCSI_HOST: break;
    case ADAPTER_NONE:
        return store_err(VE_XML_ERROR, "missing storage pool source adapter");
    }
    if (!adapter->name && !adapter->has_parentaddr) {
        return store_err(VE_XML_ERROR,
                         "Either 'name' or 'parent' must be specified for the "
                         "'scsi_host' adapter");
    } else if (adapter->name && adapter->has_parentaddr) {
        return store_err(VE_XML_ERROR,
                         "Both 'name' and 'parent' cannot be specified for the "
                         "'scsi_host' adapter");
    }
    return NULL;
}

void
adapter_format(const struct pool_adapter *adapter, struct xml_writer *w)
{
    if (adapter->type == ADAPTER_NONE) {
        return;
    }
    xml_open(w, "adapter");
    if (adapter->type == ADAPTER_FC_HOST) {
        xml_put(w, "type", "fc_host");
        xml_put(w, "parent", adapter->parent);
        xml_put(w, "parent_wwnn", adapter->parent_wwnn);
        xml_put(w, "parent_wwpn", adapter->parent_wwpn);
        xml_put(w, "parent_fabric_wwn", adapter->parent_fabric_wwn);
        parts_put_tristate(w, "managed", adapter->managed);
        xml_put(w, "wwnn", adapter->wwnn);
        xml_put(w, "wwpn", adapter->wwpn);
        xml_close(w);
        return;
    }
    xml_put(w, "type", "scsi_host");
    xml_put(w, "name", adapter->name);
    if (adapter->has_parentaddr) {
        xml_open(w, "parentaddr");
        xml_putf(w, "unique_id", "%d", adapter->unique_id);
        xml_open(w, "address");
        xml_putf(w, "domain", "0x%04x", adapter->domain);
        xml_putf(w, "bus", "0x%02x", adapter->bus);
        xml_putf(w, "slot", "0x%02x", adapter->slot);
        xml_putf(w, "function", "0x%x", adapter->function);
        xml_close(w);
        xml_close(w);
    }
    xml_close(w);
}
