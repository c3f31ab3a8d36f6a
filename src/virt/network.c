/* virt/network.c: see network.h. */
#include "virt/network.h"

#include <stdio.h>
#include <strings.h>

#include "base/arena.h"
#include "base/str.h"
#include "xml/tree.h"
#include "xml/writer.h"

#define MAX_BRIDGE_CHARS 15 /* IFNAMSIZ - 1. */

/* NULL comes before any text. */
static int
text_cmp(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) : !!a - !!b;
}

static int
host_cmp(const struct virt_net_host *a, const struct virt_net_host *b)
{
    int order = text_cmp(a->ip, b->ip);
    order = order ? order : text_cmp(a->mac, b->mac);
    order = order ? order : text_cmp(a->id, b->id);
    return order ? order : text_cmp(a->name, b->name);
}

static int
by_host(const void *a, const void *b)
{
    return host_cmp(a, b);
}

void
virt_net_hosts_sort(struct virt_net_host *hosts, size_t n)
{
    if (n) {
        qsort(hosts, n, sizeof *hosts, by_host);
    }
}

struct err *
virt_network_check(const struct virt_network *n)
{
    TRY(str_check_name("network", n->name));
    if (!str_is_name(n->bridge) || strlen(n->bridge) > MAX_BRIDGE_CHARS) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "bridge '%s' is no name of an interface", n->bridge),
            "up to %d letters, digits, '.', '_', '-'", MAX_BRIDGE_CHARS);
    } else if (!n->v4.address && !n->v6.address) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "a network of type %s needs a subnet", n->forward),
            "byre network set %s subnet=192.168.100.0/24", n->name);
    }
    return NULL;
}

static void
put_host(struct xml_writer *w, const struct virt_net_host *host)
{
    xml_open(w, "host");
    xml_put(w, "id", host->id);
    xml_put(w, "mac", host->mac);
    xml_put(w, "name", host->name);
    xml_put(w, "ip", host->ip);
    xml_close(w);
}

/* Without a <range>: dnsmasq then serves those alone that it was told of. */
static void
put_ip(struct xml_writer *w, const struct virt_network *n, const struct virt_net_ip *ip,
       bool v6, bool hosts)
{
    if (!ip->address) {
        return;
    }
    xml_open(w, "ip");
    xml_put(w, "family", v6 ? "ipv6" : "ipv4");
    xml_put(w, "address", ip->address);
    xml_putf(w, "prefix", "%d", ip->prefix);
    if (n->dhcp && ip->n_hosts && hosts) {
        xml_open(w, "dhcp");
        for (size_t i = 0; i < ip->n_hosts; i++) {
            put_host(w, &ip->hosts[i]);
        }
        xml_close(w);
    }
    xml_close(w);
}

static void
put_dns(struct xml_writer *w, const struct virt_network *n)
{
    if (!n->dns || !n->dns[0]) {
        return;
    }
    xml_open(w, "dns");
    for (size_t i = 0; n->dns[i]; i++) {
        xml_open(w, "forwarder");
        xml_put(w, "addr", n->dns[i]);
        xml_close(w);
    }
    xml_close(w);
}

/* 'print' NULL: the text that the fingerprint is taken of. */
static void
put_network(const struct virt_network *n, const char *print, struct buf *ret)
{
    struct xml_writer w;

    xml_writer_init(&w, ret);
    xml_open(&w, "network");
    xml_put(&w, "ipv6", n->v6.address ? "yes" : NULL);
    xml_leaf(&w, "name", n->name);
    xml_leaf(&w, "uuid", UUID_TEXT(&n->row));
    xml_open(&w, "metadata");
    xml_open(&w, "byre:network");
    xml_put(&w, "xmlns:byre", VIRT_NETWORK_MARK_URI);
    xml_put(&w, "row", UUID_TEXT(&n->row));
    xml_put(&w, "print", print);
    xml_close(&w);
    xml_close(&w);
    xml_open(&w, "forward");
    xml_put(&w, "mode", n->forward);
    if (n->v6.address && str_eq(n->forward, "nat")) {
        xml_open(&w, "nat");
        xml_put(&w, "ipv6", "yes");
        xml_close(&w);
    }
    xml_close(&w);
    xml_open(&w, "bridge");
    xml_put(&w, "name", n->bridge);
    xml_put(&w, "stp", "off"); /* Else a guest's first packets wait for half a minute. */
    xml_put(&w, "delay", "0");
    xml_close(&w);
    if (n->mtu > 0) {
        xml_open(&w, "mtu");
        xml_putf(&w, "size", "%" PRId64, n->mtu);
        xml_close(&w);
    }
    put_dns(&w, n);
    put_ip(&w, n, &n->v4, false, print != NULL);
    put_ip(&w, n, &n->v6, true, print != NULL);
    xml_close(&w);
}

void
virt_network_print(const struct virt_network *n, char ret[VIRT_PRINT_CHARS + 1])
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;

    put_network(n, NULL, &xml);
    buf_str(&xml, n->dhcp ? "dhcp" : "");
    virt_print(xml.data, xml.n, ret);
}

void
virt_network_xml(const struct virt_network *n, struct buf *ret)
{
    char print[VIRT_PRINT_CHARS + 1];

    virt_network_print(n, print);
    put_network(n, print, ret);
}

void
virt_net_host_xml(const struct virt_net_host *host, struct buf *ret)
{
    struct xml_writer w;

    xml_writer_init(&w, ret);
    put_host(&w, host);
}

static struct err *
parse_hosts(struct arena *arena, const struct xml_node *ip, struct virt_network_seen *ret,
            bool v6)
{
    size_t n = xml_count(ip, "dhcp/host");

    if (n > VIRT_MAX_NET_HOSTS) {
        return err_new(ERR_CONSTRAINT, "a network with %zu hosts", n);
    }
    struct virt_net_host *hosts = arena_zalloc(arena, (n + 1) * sizeof *hosts);
    size_t i = 0;
    for (const struct xml_node *host = xml_find(ip, "dhcp/host"); host;
         host = xml_next(host)) {
        hosts[i++] = (struct virt_net_host){ xml_attr(host, "mac"), xml_attr(host, "id"),
                                             xml_attr(host, "name"), xml_attr(host, "ip") };
    }
    virt_net_hosts_sort(hosts, n);
    ret->hosts[v6] = hosts;
    ret->n_hosts[v6] = n;
    return NULL;
}

struct err *
virt_network_parse(struct arena *arena, const char *xml, struct virt_network_seen *ret)
{
    struct virt_network_seen seen = { .at = { -1, -1 } };
    struct xml_node *root;
    int place = 0;

    TRY(xml_parse(arena, "(network)", xml, strlen(xml), &root));
    const struct xml_node *mark =
        xml_find_ns(xml_find(root, "metadata"), VIRT_NETWORK_MARK_URI, "network");
    const char *row = mark ? xml_attr(mark, "row") : NULL;
    const char *print = mark ? xml_attr(mark, "print") : NULL;
    seen.marked = row && uuid_parse(row, &seen.mark.row);
    if (seen.marked && print && strlen(print) == VIRT_PRINT_CHARS) {
        memcpy(seen.mark.print, print, VIRT_PRINT_CHARS + 1);
    }
    seen.bridge = xml_string(root, "bridge/@name");
    for (const struct xml_node *ip = xml_find(root, "ip"); ip; ip = xml_next(ip), place++) {
        bool v6 = str_eq(xml_attr(ip, "family"), "ipv6");
        if (seen.at[v6] < 0) { /* Byre's own have one of a family. */
            seen.at[v6] = place;
            TRY(parse_hosts(arena, ip, &seen, v6));
        }
    }
    *ret = seen;
    return NULL;
}

bool
virt_net_lease_holds(const struct virt_network_seen *seen,
                     const struct virt_net_lease *lease)
{
    for (size_t i = 0; i < seen->n_hosts[lease->v6]; i++) {
        const struct virt_net_host *host = &seen->hosts[lease->v6][i];
        const char *is = lease->v6 ? lease->id : lease->mac;
        const char *should = lease->v6 ? host->id : host->mac;
        if (str_eq(host->ip, lease->ip)) {
            return is && should && strcasecmp(is, should) == 0;
        }
    }
    return false;
}

/* Calls 'fn' for what is in 'a' and not in 'b'. */
static struct err *
without(const struct virt_net_host *a, size_t n_a, const struct virt_net_host *b,
        size_t n_b, bool add, struct err *(*fn)(void *, const struct virt_net_host *, bool),
        void *aux)
{
    for (size_t i = 0, k = 0; i < n_a; i++) {
        while (k < n_b && host_cmp(&b[k], &a[i]) < 0) {
            k++;
        }
        if (k == n_b || host_cmp(&b[k], &a[i]) != 0) {
            TRY(fn(aux, &a[i], add));
        }
    }
    return NULL;
}

struct err *
virt_net_hosts_differ(const struct virt_net_host *is, size_t n_is,
                      const struct virt_net_host *should, size_t n_should,
                      struct err *(*fn)(void *aux, const struct virt_net_host *, bool add),
                      void *aux)
{
    TRY(without(is, n_is, should, n_should, false, fn, aux));
    return without(should, n_should, is, n_is, true, fn, aux);
}
