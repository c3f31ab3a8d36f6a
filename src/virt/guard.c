/* virt/guard.c: see guard.h. */
#include "virt/guard.h"

#include <libvirt/virterror.h>

#include "base/str.h"
#include "virt/conn_i.h"
#include "virt/domain.h"
#include "xml/writer.h"

#define CLEAN "byre-clean-1"
#define MAC_ONLY "byre-mac-1"

/* Rules of smaller priority come first; the first that fits decides; "out" is from the guest.
 * Never: another's MAC, in the frame or in ARP; answers of a DHCP server; router advertisements. */
#define HEAD                                                                               \
    "<rule action='drop' direction='out' priority='-950'>"                                 \
    "<mac match='no' srcmacaddr='$MAC'/></rule>"                                           \
    "<rule action='drop' direction='out' priority='-940'>"                                 \
    "<arp match='no' arpsrcmacaddr='$MAC'/></rule>"                                        \
    "<rule action='drop' direction='out' priority='-935'>"                                 \
    "<ip protocol='udp' srcportstart='67'/></rule>"                                        \
    "<rule action='drop' direction='out' priority='-935'>"                                 \
    "<ipv6 protocol='udp' srcportstart='547'/></rule>"                                     \
    "<rule action='drop' direction='out' priority='-935'>"                                 \
    "<ipv6 protocol='icmpv6' type='134'/></rule>"

/* Unspecified addresses ask for one (DHCP, ARP probes, duplicate detection); link-local ones are each
 * host's own in IPv6.  RARP is what QEMU announces after a migration.  All else that is not an
 * address of ours is dropped: other protocols, VLAN tags, spanning tree. */
static const struct {
    const char *name, *xml;
} filters[] = {
    { CLEAN,
      "<filter name='" CLEAN "' chain='root'>"
      "<uuid>6279726e-6574-4c01-8001-636c65616e31</uuid>" HEAD
      "<rule action='accept' direction='out' priority='-930'><arp arpsrcipaddr='$IP'/></rule>"
      "<rule action='accept' direction='out' priority='-930'>"
      "<arp arpsrcipaddr='0.0.0.0'/></rule>"
      "<rule action='drop' direction='out' priority='-920'><arp/></rule>"
      "<rule action='accept' direction='out' priority='-900'>"
      "<ip srcipaddr='0.0.0.0' protocol='udp' srcportstart='68' dstportstart='67'/></rule>"
      "<rule action='accept' direction='out' priority='-900'><ip srcipaddr='$IP'/></rule>"
      "<rule action='drop' direction='out' priority='-890'><ip/></rule>"
      "<rule action='accept' direction='out' priority='-870'><ipv6 srcipaddr='$IPV6'/></rule>"
      "<rule action='accept' direction='out' priority='-870'>"
      "<ipv6 srcipaddr='::' srcipmask='128'/></rule>"
      "<rule action='accept' direction='out' priority='-870'>"
      "<ipv6 srcipaddr='fe80::' srcipmask='10'/></rule>"
      "<rule action='accept' direction='out' priority='-860'><mac protocolid='rarp'/></rule>"
      "<rule action='drop' direction='out' priority='-850'><mac/></rule>"
      "</filter>" },
    { MAC_ONLY, "<filter name='" MAC_ONLY "' chain='root'>"
                "<uuid>6279726e-6574-4c01-8001-6d61636f6e31</uuid>" HEAD "</filter>" },
};

static void
put_parameter(struct xml_writer *w, const char *name, const char *value)
{
    xml_open(w, "parameter");
    xml_put(w, "name", name);
    xml_put(w, "value", value);
    xml_close(w);
}

void
virt_guard_put(struct xml_writer *w, const struct virt_guard *g)
{
    bool any[2] = { false, false };

    if (!g->on) {
        return;
    }
    xml_open(w, "filterref");
    xml_put(w, "filter", g->addresses && g->addresses[0] ? CLEAN : MAC_ONLY);
    for (size_t i = 0; g->addresses && g->addresses[i]; i++) {
        bool v6 = strchr(g->addresses[i], ':') != NULL;
        any[v6] = true;
        put_parameter(w, v6 ? "IPV6" : "IP", g->addresses[i]);
    }
    /* A family without an address: what the filter lets pass anyway, for it wants a value. */
    if (any[0] != any[1]) {
        put_parameter(w, any[0] ? "IPV6" : "IP", any[0] ? "::" : "0.0.0.0");
    }
    xml_close(w);
}

void
virt_guard_text(const struct virt_nic *nic, struct buf *b)
{
    buf_printf(b, "%s %d", nic->mac, nic->guard.on);
    for (size_t i = 0; nic->guard.addresses && nic->guard.addresses[i]; i++) {
        buf_printf(b, " %s", nic->guard.addresses[i]);
    }
    buf_char(b, '\n');
}

/* libvirt prints an interface as
 *
 *     <interface type='network'>
 *       <mac address='52:aa:00:00:00:01'/>
 *       ...
 *       <filterref filter='byre-clean-1'>
 *         <parameter name='IP' value='192.168.77.10'/>
 *       </filterref>
 *       ...
 *     </interface>
 *
 * and takes the same text, changed, for virDomainUpdateDeviceFlags().  The rest of it must stay as it
 * is, so it is not built anew but cut. */
bool
virt_guard_rewrite(const char *xml, const struct virt_nic *nic, struct buf *ret)
{
    static const char head[] = "<interface ", tail[] = "</interface>";
    CLEANUP(free_drop) char *mac = str_dupf("<mac address='%s'/>", nic->mac);
    const char *from, *to = NULL;

    for (from = strstr(xml, head); from; from = strstr(to, head)) {
        to = strstr(from, tail);
        const char *at = to ? strstr(from, mac) : NULL;
        if (!to) {
            return false;
        } else if (at && at < to) {
            break;
        }
    }
    if (!from) {
        return false;
    }
    const char *filter = strstr(from, "<filterref ");
    const char *keep_to = to;
    const char *rest = to;
    if (filter && filter < to) {
        const char *line = strchr(filter, '>');
        const char *end =
            line && line[-1] == '/' ? line + 1 : strstr(filter, "</filterref>");
        if (!end || end > to) {
            return false;
        }
        keep_to = filter;
        rest = end + (line[-1] == '/' ? 0 : strlen("</filterref>"));
    }
    struct xml_writer w;
    buf_add(ret, from, (size_t) (keep_to - from));
    xml_writer_init(&w, ret);
    virt_guard_put(&w, &nic->guard);
    buf_add(ret, rest, (size_t) (to - rest));
    buf_str(ret, tail);
    return true;
}

static void
filter_drop(virNWFilterPtr *filter)
{
    if (*filter) {
        virNWFilterFree(*filter);
        *filter = NULL;
    }
}

struct err *
virt_guards_define(struct virt *v)
{
    CLEANUP(virt_conn_drop) virConnectPtr conn = NULL;
    TRY(virt_conn_take(v, &conn));

    for (size_t i = 0; i < N_ELEMS(filters); i++) {
        CLEANUP(filter_drop)
        virNWFilterPtr filter = virNWFilterLookupByName(conn, filters[i].name);
        if (!filter) {
            filter = virNWFilterDefineXML(conn, filters[i].xml);
        }
        if (!filter) {
            return err_hint(
                virt_last_error(v, "define the packet filters"),
                "install libvirt's driver for them (libvirt-daemon-config-nwfilter, "
                "ebtables)");
        }
    }
    return NULL;
}

/* One side (live or on file): each interface that differs. */
static struct err *
set_side(struct virt *v, virDomainPtr dom, bool live, const struct virt_nic *nics, size_t n)
{
    CLEANUP(free_drop)
    char *xml = virDomainGetXMLDesc(dom, live ? 0 : VIR_DOMAIN_XML_INACTIVE);
    if (!xml) {
        return virt_last_error(v, "get the domain's XML");
    }
    for (size_t i = 0; i < n; i++) {
        CLEANUP(buf_done) struct buf device = BUF_INIT;
        if (!virt_guard_rewrite(xml, &nics[i], &device)) {
            continue; /* It comes with the machine's next start, and its guard then. */
        } else if (virDomainUpdateDeviceFlags(dom, buf_cstr(&device),
                                              live ? VIR_DOMAIN_AFFECT_LIVE
                                                   : VIR_DOMAIN_AFFECT_CONFIG) < 0) {
            return err_wrap(virt_last_error(v, "change the packet filter"), "interface %s",
                            nics[i].mac);
        }
    }
    return NULL;
}

/* The mark of that side says which guards it has: an agent that was killed before this does it again. */
static struct err *
set_mark(struct virt *v, virDomainPtr dom, unsigned side, const char *guard)
{
    CLEANUP(free_drop)
    char *xml = virDomainGetMetadata(dom, VIR_DOMAIN_METADATA_ELEMENT, VIRT_MARK_URI, side);
    struct virt_mark mark;

    if (!xml || !virt_mark_parse(xml, &mark)) {
        return err_new(ERR_CONSTRAINT, "the domain has no mark of Byre");
    }
    bool vnc = !uuid_is_zero(&mark.vnc_secret);
    CLEANUP(free_drop)
    char *text =
        str_dupf("<vm row='%s' print='%s' cpu='%s' guard='%s'%s%s%s/>",
                 UUID_TEXT(&mark.row), mark.print, mark.cpu, guard, vnc ? " vnc='" : "",
                 vnc ? UUID_TEXT(&mark.vnc_secret) : "", vnc ? "'" : "");
    return virDomainSetMetadata(dom, VIR_DOMAIN_METADATA_ELEMENT, text, "byre",
                                VIRT_MARK_URI, side) < 0
               ? virt_last_error(v, "note the packet filters")
               : NULL;
}

struct err *
virt_guards_set(struct virt *v, const struct uuid *uuid, const struct virt_nic *nics,
                size_t n, const char *guard)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    TRY(virt_dom_take(v, uuid, &dom));

    if (virDomainIsActive(dom) == 1) {
        TRY(set_side(v, dom, true, nics, n));
        TRY(set_mark(v, dom, VIR_DOMAIN_AFFECT_LIVE, guard));
    }
    TRY(set_side(v, dom, false, nics, n));
    return set_mark(v, dom, VIR_DOMAIN_AFFECT_CONFIG, guard);
}
