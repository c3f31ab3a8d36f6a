/* cli/cmd_ip.c: ranges of addresses, and the addresses that were given out. */
#include "cli/list_i.h"
#include "cli/net_i.h"

#define FREE_DEFAULT 10 /* Addresses that `ip free` lists. */

/* No address may be in two ranges: figures would lie. */
static struct err *
check_apart(struct cli *cli, const struct net_range *range)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;

    json_add(a, &ops, q_select(a, "iprange", json_array(), "first,last,network"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    for (uint32_t i = 0; i < rows->n; i++) {
        const char *first = row_string(&rows->elems[i], "first");
        const char *last = row_string(&rows->elems[i], "last");
        struct net_range other;
        struct uuid network;
        struct named named;
        struct err *e = net_range_parse(first, last, &other);
        if (e) {
            err_free(e);
        } else if (net_range_meets(range, &other)) {
            ASSERT(row_ref(&rows->elems[i], "network", &network));
            TRY(names_find(cli, "network", UUID_TEXT(&network), "_uuid", &named));
            return err_hint(
                err_new(ERR_EXISTS, "it meets the range %s-%s of network %s", first, last,
                        named.label),
                "byre iprange list shows all; byre iprange rm %s %s removes that one",
                named.label, first);
        }
    }
    return NULL;
}

/* FIRST LAST, or a subnet. */
static struct err *
range_from(const struct args *args, struct net_range *ret, int *ret_prefix)
{
    struct net_cidr cidr;

    *ret_prefix = -1;
    if (args->pos.n == 3) {
        return net_range_parse(args->pos.v[1], args->pos.v[2], ret);
    } else if (!net_cidr_parse(args->pos.v[1], &cidr)) {
        return err_hint(err_new(ERR_SYNTAX, "\"%s\" is no range", args->pos.v[1]),
                        "two addresses, or one subnet as 192.168.100.0/25");
    }
    *ret = (struct net_range){ net_cidr_first(&cidr), net_cidr_last(&cidr) };
    *ret_prefix = cidr.prefix;
    return NULL;
}

static struct err *
range_row(struct cli *cli, const struct args *args, const struct net_state *n,
          struct json *row)
{
    struct arena *a = &cli->arena;
    struct net_range range;
    struct json dns = json_array();
    int prefix_said;
    int64_t prefix;

    TRY(range_from(args, &range, &prefix_said));
    bool v6 = range.first.v6;
    const struct net_cidr *subnet = &n->subnets[v6];
    prefix = n->has_subnet[v6] ? subnet->prefix : prefix_said;
    TRY(args_int(args, "prefix", 1, v6 ? 128 : 32, &prefix));
    if (n->has_subnet[v6] &&
        !(net_cidr_has(subnet, &range.first) && net_cidr_has(subnet, &range.last))) {
        return err_hint(err_new(ERR_CONSTRAINT, "it is not in %s, the network's subnet",
                                row_string(n->row, v6 ? "subnet6" : "subnet")),
                        "byre network info %s", n->name);
    } else if (prefix < 0) {
        return err_hint(err_new(ERR_SYNTAX, "nobody says how long the network's prefix is"),
                        "--prefix 24, or give the network a subnet");
    }
    TRY(check_apart(cli, &range));
    *row = json_object();
    json_put(a, row, "network", q_uuid(a, &n->uuid));
    json_put(a, row, "first", json_string(a, NET_ADDR_TEXT(&range.first)));
    json_put(a, row, "last", json_string(a, NET_ADDR_TEXT(&range.last)));
    json_put(a, row, "prefix", json_int(prefix));
    struct net_addr addr;
    const char *gateway = args_get(args, "gateway");
    if (gateway && (!net_addr_parse(gateway, &addr) || addr.v6 != v6)) {
        return err_new(ERR_SYNTAX, "--gateway %s is no IPv%d address", gateway, v6 ? 6 : 4);
    } else if (gateway) {
        json_put(a, row, "gateway", json_string(a, NET_ADDR_TEXT(&addr)));
    }
    for (size_t i = 0; args_nth(args, "dns", i); i++) {
        if (!net_addr_parse(args_nth(args, "dns", i), &addr)) {
            return err_new(ERR_SYNTAX, "--dns %s is no IP address",
                           args_nth(args, "dns", i));
        }
        json_add(a, &dns, json_string(a, NET_ADDR_TEXT(&addr)));
    }
    json_put(a, row, "dns", json_pair(a, json_string_ref("set"), dns));
    return NULL;
}

static struct err *
find_network(struct cli *cli, const char *spec, struct net_state *ret)
{
    struct named named;
    TRY(names_find(cli, "network", spec, "_uuid", &named));
    return net_state_load(cli, &named.uuid, ret);
}

static struct err *
cmd_range_add(struct cli *cli, const struct args *args)
{
    struct net_state n;
    struct json row;

    TRY(find_network(cli, args->pos.v[0], &n));
    TRY(err_wrap(range_row(cli, args, &n, &row), "network %s", n.name));
    net_unless_deleted(cli, &n.uuid);
    change_insert(cli, "iprange", row, NULL);
    change_say(cli, "network %s: range %s-%s added", n.name, row_string(&row, "first"),
               row_string(&row, "last"));
    return NULL;
}

static struct err *
cmd_range_rm(struct cli *cli, const struct args *args)
{
    struct net_state n;
    struct net_addr first;

    TRY(find_network(cli, args->pos.v[0], &n));
    if (!net_addr_parse(args->pos.v[1], &first)) {
        return err_new(ERR_SYNTAX, "'%s' is no IP address", args->pos.v[1]);
    }
    for (size_t i = 0; i < n.n_parts; i++) {
        if (net_addr_cmp(&n.parts[i].range.first, &first) == 0) {
            change_delete(cli, "iprange", &n.parts[i].uuid);
            change_say(cli, "network %s: range of %s removed; who has an address keeps it",
                       n.name, args->pos.v[1]);
            return NULL;
        }
    }
    return err_hint(err_new(ERR_NOT_FOUND, "network %s has no range that begins with %s",
                            n.name, args->pos.v[1]),
                    "byre iprange list");
}

static struct err *
cmd_range_list(struct cli *cli, const struct args *args)
{
    return list_noun(cli, args, "iprange");
}

static struct err *
cmd_list(struct cli *cli, const struct args *args)
{
    return list_noun(cli, args, "ip");
}

/* The interface of the machine that is meant: the one in that network, or the only one. */
static struct err *
iface_of(struct cli *cli, const struct args *args, const struct named *vm, struct uuid *ret,
         struct uuid *ret_network)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    const char *network = args_get(args, "network"), *mac = args_get(args, "mac");
    struct named named;
    size_t n = 0;

    if (network) {
        TRY(names_find(cli, "network", network, "_uuid", &named));
    }
    json_add(a, &where, q_clause(a, "vm", "==", q_uuid(a, &vm->uuid)));
    json_add(a, &ops, q_select(a, "iface", where, "_uuid,network,mac"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    for (uint32_t i = 0; i < rows->n; i++) {
        const struct json *row = &rows->elems[i];
        struct uuid its;
        bool fits = row_ref(row, "network", &its) &&
                    (!network || uuid_eq(&its, &named.uuid)) &&
                    (!mac || str_eq(mac, row_string(row, "mac")));
        if (fits) {
            *ret = row_uuid(row);
            *ret_network = its;
            n++;
        }
    }
    if (n != 1) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "vm %s has %zu such interfaces", vm->label, n),
            n ? "say which: --network NET or --mac M" : "byre vm iface add %s NET",
            vm->label);
    }
    return NULL;
}

/* Sets the machine's primary address if it has none. */
static void
maybe_primary(struct cli *cli, const struct named *vm, const char *address)
{
    if (!row_string(vm->row, "ip")) {
        struct json row = json_object();
        json_put(&cli->arena, &row, "ip", json_string_ref(address));
        change_update(cli, "vm", &vm->uuid, row);
    }
}

/* An address by name, or the first free one of a family. */
static struct err *
add_one(struct cli *cli, const struct net_state *n, const char *text, const struct uuid *vm,
        const struct uuid *iface, const char **ret)
{
    if (str_eq(text, "ipv4") || str_eq(text, "ipv6")) {
        bool v6 = str_eq(text, "ipv6");
        return net_has_range(n, v6)
                   ? net_give(cli, n, v6, vm, iface, ret)
                   : err_hint(err_new(ERR_NO_SPACE, "network %s has no range of %s",
                                      n->name, text),
                              "byre iprange add %s FIRST LAST", n->name);
    }
    return net_give_this(cli, n, text, vm, iface, ret);
}

static struct err *
cmd_add(struct cli *cli, const struct args *args)
{
    const char *network = args_get(args, "network"), *vm_name = args_get(args, "vm");
    struct named vm, named;
    struct uuid iface, uuid;
    struct net_state n;
    const char *address;

    if (vm_name) {
        TRY(names_find(cli, "vm", vm_name, "ip", &vm));
        TRY(iface_of(cli, args, &vm, &iface, &uuid));
    } else if (network) {
        TRY(names_find(cli, "network", network, "_uuid", &named));
        uuid = named.uuid;
    } else {
        return err_hint(err_new(ERR_SYNTAX, "for whom?"),
                        "--vm NAME gives it to a machine; --network NET reserves it there");
    }
    for (size_t i = 0; i < args->pos.n; i++) {
        TRY(net_state_load(cli, &uuid, &n));
        TRY(add_one(cli, &n, args->pos.v[i], vm_name ? &vm.uuid : NULL,
                    vm_name ? &iface : NULL, &address));
        if (vm_name && i == 0) {
            maybe_primary(cli, &vm, address);
        }
        if (args_has(args, "domain")) {
            struct change_op *op = &cli->change.ops.v[cli->change.ops.n - 1];
            json_put(&cli->arena, &op->row, "domain",
                     json_string(&cli->arena, args_get(args, "domain")));
        }
    }
    net_unless_deleted(cli, &uuid);
    return NULL;
}

static struct err *
remove_one(struct cli *cli, const struct named *ip)
{
    struct arena *a = &cli->arena;
    struct uuid uuid;
    struct named vm;
    struct json row = json_object();

    change_delete(cli, "ip", &ip->uuid);
    change_say(cli, "ip %s: free", ip->label);
    if (row_ref(ip->row, "vm", &uuid)) {
        TRY(names_find(cli, "vm", UUID_TEXT(&uuid), "ip", &vm));
        if (str_eq(row_string(vm.row, "ip"), ip->label)) {
            json_put(a, &row, "ip", q_unset(a));
            change_update(cli, "vm", &uuid, row);
        }
    }
    return NULL;
}

static struct err *
cmd_rm(struct cli *cli, const struct args *args)
{
    struct named_list list = VEC_INIT;
    struct err *e = names_match(cli, "ip", args->pos.v, args->pos.n, "address,vm", &list);

    for (size_t i = 0; i < list.n && !e; i++) {
        e = remove_one(cli, &list.v[i]);
    }
    VEC_DONE(&list);
    return e;
}

static struct err *
cmd_free(struct cli *cli, const struct args *args)
{
    CLEANUP(out_table_done) struct out_table out = OUT_TABLE_INIT;
    struct net_state n;
    int64_t count = FREE_DEFAULT;

    TRY(cli_connect(cli));
    TRY(args_int(args, "count", 1, 100000, &count));
    TRY(find_network(cli, args->pos.v[0], &n));
    out_add_column(&out, "address", UNIT_NONE, false);
    out_add_column(&out, "family", UNIT_NONE, false);
    for (int v6 = 0; v6 < 2; v6++) {
        int64_t left = count;
        for (size_t i = 0; i < n.n_parts; i++) {
            const struct net_range *r = &n.parts[i].range;
            struct net_addr addr;
            for (uint64_t skip = 0; r->first.v6 == v6 && left > 0 &&
                                    net_range_pick(r, n.taken, n.n_taken, skip, &addr);
                 skip++, left--) {
                struct json *cells = out_add_row(&out, NET_ADDR_TEXT(&addr));
                cells[0] = json_string(&cli->arena, NET_ADDR_TEXT(&addr));
                cells[1] = json_string_ref(v6 ? "ipv6" : "ipv4");
            }
        }
    }
    struct out_style style = cli_style(cli, args);
    out_print(&out, &style, stdout);
    return NULL;
}

static const struct opt_spec opts_range_add[] = {
    { "prefix", "BITS", "length of the network's prefix (that of its subnet)" },
    { "gateway", "ADDRESS", "router that its machines are told (the network's)" },
    { "dns", "ADDRESS", "name server that they are told; may be repeated" },
    { NULL },
};
static const struct opt_spec opts_add[] = {
    { "vm", "VM", "give it to this machine", "vm" },
    { "network", "NET", "which interface of it; without --vm: reserve it there",
      "network" },
    { "mac", "MAC", "which interface of it" },
    { "domain", "NAME", "DNS name of the address; for people and tools" },
    { NULL },
};
static const struct opt_spec opts_free[] = {
    { "count", "N", "how many of each family (10)" },
    { NULL },
};

const struct command cmds_ip[] = {
    { "iprange", "add", "NET FIRST|SUBNET [LAST]", "addresses that machines in NET get",
      cmd_range_add, CMD_CHANGE, opts_range_add, "network",
      "byre iprange add lan 192.168.100.10 192.168.100.99\n"
      "byre iprange add lan 192.168.100.128/25\n" },
    { "iprange", "list", "", "ranges", cmd_range_list, CMD_LIST },
    { "iprange", "rm", "NET FIRST", "removes a range; addresses that were given out stay",
      cmd_range_rm, CMD_CHANGE, NULL, "network" },
    { "ip", "list", "[ADDRESS...]", "addresses, and whose they are", cmd_list, CMD_LIST,
      NULL, "ip" },
    { "ip", "add", "ADDRESS|ipv4|ipv6...",
      "gives a machine an address more, or reserves one", cmd_add, CMD_CHANGE, opts_add,
      "ipv4|ipv6",
      "byre ip add ipv4 --vm web             the first that is free\n"
      "byre ip add 192.168.100.7 --vm web    just this one\n"
      "byre ip add 192.168.100.8 --network lan --domain printer\n" },
    { "ip", "rm", "ADDRESS...", "takes an address away, or gives up what was reserved",
      cmd_rm, CMD_CHANGE, NULL, "ip" },
    { "ip", "free", "NET", "addresses that are free", cmd_free, 0, opts_free, "network" },
    { NULL },
};
