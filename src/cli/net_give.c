/* cli/net_give.c: gives out addresses and MACs, in the transaction that makes the interface.
 *
 * Nobody holds a lock: the first free address is taken, and the database's index on ip.address refuses
 * the second of two who took the same.  That one looks again and takes another, from then on at
 * random among what is free, so that many who start at once do not meet again and again. */
#include "cli/net_i.h"

#include <sys/random.h>

#define GIVE_SPREAD 1024 /* Free addresses among which a second attempt draws. */
#define MAX_ATTEMPTS 64  /* Lost against others each time: then something else is wrong. */

static uint64_t
random_below(uint64_t n)
{
    uint64_t r = 0;
    if (getrandom(&r, sizeof r, 0) != sizeof r) {
        r = 0; /* Then the first one, which is as good. */
    }
    return n ? r % n : 0;
}

static struct err *
exhausted(const struct net_state *n, bool v6)
{
    struct net_figures f = net_figures_of(n, v6);
    struct err *e = err_new(ERR_NO_SPACE,
                            "no IPv%d address is free: %" PRIu64 " of %" PRIu64
                            " in its ranges are taken",
                            v6 ? 6 : 4, f.used, f.size);
    return err_hint(
        err_wrap(e, "network %s", n->name),
        "byre ip list --where network=%s tells by whom; byre iprange add %s FIRST "
        "LAST adds some",
        n->name, n->name);
}

static struct err *
pick(const struct net_state *n, bool v6, int attempt, struct net_addr *ret)
{
    uint64_t free_ones = 0;

    for (size_t i = 0; i < n->n_parts; i++) {
        const struct net_range *r = &n->parts[i].range;
        if (r->first.v6 == v6) {
            uint64_t left = net_range_size(r) - net_range_used(r, n->taken, n->n_taken);
            free_ones = free_ones + left < left ? UINT64_MAX : free_ones + left;
        }
    }
    uint64_t skip =
        attempt ? random_below(free_ones < GIVE_SPREAD ? free_ones : GIVE_SPREAD) : 0;
    for (size_t i = 0; i < n->n_parts; i++) {
        const struct net_range *r = &n->parts[i].range;
        if (r->first.v6 != v6) {
            continue;
        }
        uint64_t left = net_range_size(r) - net_range_used(r, n->taken, n->n_taken);
        if (skip >= left) {
            skip -= left;
        } else if (net_range_pick(r, n->taken, n->n_taken, skip, ret)) {
            return NULL;
        }
    }
    return exhausted(n, v6);
}

static struct json
ip_row(struct cli *cli, const struct net_state *n, const struct net_addr *addr,
       const struct uuid *vm, const struct uuid *iface)
{
    struct arena *a = &cli->arena;
    struct json row = json_object();

    json_put(a, &row, "address", json_string(a, NET_ADDR_TEXT(addr)));
    json_put(a, &row, "family", json_string_ref(addr->v6 ? "ipv6" : "ipv4"));
    json_put(a, &row, "network", q_uuid(a, &n->uuid));
    if (vm) {
        json_put(a, &row, "vm", q_uuid(a, vm));
    }
    if (iface) {
        json_put(a, &row, "iface", q_uuid(a, iface));
    }
    return row;
}

/* Remembers that the last operation may take another value if this one is gone. */
static void
may_change(struct cli *cli, const struct net_state *n, bool v6, bool is_mac)
{
    *VEC_ADD(&cli->change.gifts) = (struct change_gift){
        .op = cli->change.ops.n - 1, .network = n->uuid, .v6 = v6, .is_mac = is_mac
    };
}

struct err *
net_give(struct cli *cli, const struct net_state *n, bool v6, const struct uuid *vm,
         const struct uuid *iface, const char **ret)
{
    struct net_addr addr;

    TRY(pick(n, v6, 0, &addr));
    change_insert(cli, "ip", ip_row(cli, n, &addr, vm, iface), NULL);
    may_change(cli, n, v6, false);
    *ret = arena_str(&cli->arena, NET_ADDR_TEXT(&addr));
    return NULL;
}

static bool
is_taken(const struct net_state *n, const struct net_addr *addr)
{
    for (size_t i = 0; i < n->n_taken; i++) {
        if (net_addr_cmp(&n->taken[i], addr) == 0) {
            return true;
        }
    }
    return false;
}

struct err *
net_give_this(struct cli *cli, const struct net_state *n, const char *text,
              const struct uuid *vm, const struct uuid *iface, const char **ret)
{
    struct net_addr addr;

    if (!net_addr_parse(text, &addr)) {
        return err_hint(err_new(ERR_SYNTAX, "'%s' is no IP address", text),
                        "as 192.168.100.10 or 2001:db8::10");
    } else if (!net_addr_is_host(&addr)) {
        return err_new(ERR_CONSTRAINT, "%s is no address for a host", text);
    }
    const char *canonical = arena_str(&cli->arena, NET_ADDR_TEXT(&addr));
    if (n->has_subnet[addr.v6] && !net_cidr_has(&n->subnets[addr.v6], &addr)) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "%s is not in %s, the subnet of network %s", canonical,
                    row_string(n->row, addr.v6 ? "subnet6" : "subnet"), n->name),
            "byre ip free %s lists some", n->name);
    } else if (is_taken(n, &addr)) {
        return err_hint(err_new(ERR_EXISTS, "%s %s", canonical, net_holder(cli, canonical)),
                        "byre ip free %s lists some", n->name);
    }
    change_insert(cli, "ip", ip_row(cli, n, &addr, vm, iface), NULL);
    *ret = canonical;
    return NULL;
}

const char *
net_new_mac(struct cli *cli)
{
    uint8_t mac[NET_MAC_BYTES];
    char text[NET_MAC_CHARS + 1];

    net_mac_random(mac);
    net_mac_format(mac, text);
    return arena_str(&cli->arena, text);
}

void
net_mac_may_change(struct cli *cli)
{
    may_change(cli, &(struct net_state){ .n_parts = 0 }, false, true);
}

void
net_unless_deleted(struct cli *cli, const struct uuid *network)
{
    struct arena *a = &cli->arena;
    struct json rows = json_array();
    struct json row = json_object();

    if (change_has_inserted(&cli->change, "network", network)) {
        return;
    }
    json_put(a, &row, "deleted", json_bool(false));
    json_add(a, &rows, row);
    change_unless(cli, "network", q_where_uuid(a, network), "deleted", rows);
}

/* The value of a member of an operation's row. */
static void
replace(struct json *row, const char *name, struct json value)
{
    for (uint32_t i = 0; i < row->n; i++) {
        if (str_eq(row->members[i].name, name)) {
            row->members[i].value = value;
        }
    }
}

/* Is the gift another's by now?  The state was loaded with this change's own, which count once. */
static struct err *
again_address(struct cli *cli, struct change_gift *gift, int attempt, bool *ret)
{
    struct arena *a = &cli->arena;
    struct change_op *op = &cli->change.ops.v[gift->op];
    const char *was = row_string(&op->row, "address");
    struct net_state n;
    struct net_addr addr;
    size_t times = 0;

    TRY(net_state_load(cli, &gift->network, &n));
    ASSERT(net_addr_parse(was, &addr));
    for (size_t i = 0; i < n.n_taken; i++) {
        times += net_addr_cmp(&n.taken[i], &addr) == 0;
    }
    if (times < 2) {
        return NULL;
    }
    TRY(pick(&n, gift->v6, attempt, &addr));
    const char *now = arena_str(a, NET_ADDR_TEXT(&addr));
    replace(&op->row, "address", json_string_ref(now));
    for (size_t i = 0; i < cli->change.ops.n; i++) { /* The machine's primary address. */
        struct change_op *other = &cli->change.ops.v[i];
        if (str_eq(other->table, "vm") && str_eq(row_string(&other->row, "ip"), was)) {
            replace(&other->row, "ip", json_string_ref(now));
        }
    }
    *ret = true;
    return NULL;
}

static struct err *
again_mac(struct cli *cli, struct change_gift *gift, bool *ret)
{
    struct arena *a = &cli->arena;
    struct change_op *op = &cli->change.ops.v[gift->op];
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();

    json_add(a, &where,
             q_clause(a, "mac", "==", json_string_ref(row_string(&op->row, "mac"))));
    json_add(a, &ops, q_select(a, "iface", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    if (q_rows(&results, 0)->n) {
        replace(&op->row, "mac", json_string_ref(net_new_mac(cli)));
        *ret = true;
    }
    return NULL;
}

struct err *
net_give_again(struct cli *cli, int attempt, bool *ret)
{
    *ret = false;
    for (size_t i = 0; i < cli->change.gifts.n && attempt <= MAX_ATTEMPTS; i++) {
        struct change_gift *gift = &cli->change.gifts.v[i];
        TRY(gift->is_mac ? again_mac(cli, gift, ret)
                         : again_address(cli, gift, attempt, ret));
    }
    return NULL;
}
