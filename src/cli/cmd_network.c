/* cli/cmd_network.c: networks: made, changed, removed, and how much of them is used. */
#include "cli/list_i.h"
#include "cli/net_i.h"

static struct err *
check_interface_name(const char *what, const char *name)
{
    if (name && (!str_is_name(name) || strlen(name) > 15)) {
        return err_hint(
            err_new(ERR_SYNTAX, "%s \"%s\" is no name of an interface", what, name),
            "up to 15 letters, digits, '.', '_', '-'");
    }
    return NULL;
}

/* Does what the row would say fit together?  'row' has the whole of it, as a select gives it. */
static struct err *
check_row(const struct json *row)
{
    const char *type = row_string(row, "type");
    bool is_bridge = str_eq(type, "bridge");
    bool any = false;

    TRY(check_interface_name("bridge", row_string(row, "bridge")));
    TRY(check_interface_name("nic", row_string(row, "nic")));
    for (int v6 = 0; v6 < 2; v6++) {
        const char *subnet = row_string(row, v6 ? "subnet6" : "subnet");
        struct net_cidr cidr;
        struct net_addr gateway;
        if (subnet && *subnet) {
            TRY(net_subnet(v6 ? "subnet6" : "subnet", subnet,
                           row_string(row, v6 ? "gateway6" : "gateway"), v6, &cidr,
                           &gateway));
            any = true;
        }
    }
    if (!is_bridge && !any) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "a network of type %s needs a subnet", type),
            "--subnet 192.168.100.0/24");
    } else if (!is_bridge && row_string(row, "nic")) {
        return err_hint(err_new(ERR_CONSTRAINT, "a NIC is for networks of type bridge"),
                        "--type bridge --nic %s", row_string(row, "nic"));
    } else if (row_value(row, "vlan") && !row_string(row, "nic")) {
        return err_hint(err_new(ERR_CONSTRAINT, "a VLAN needs the NIC that carries it"),
                        "--type bridge --nic eth1 --vlan %" PRId64,
                        row_int(row, "vlan", 0));
    } else if (is_bridge && row_bool(row, "dhcp")) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "there is no DHCP of ours on a bridge"),
            "its machines get their addresses at first boot, or from a server there");
    }
    return NULL;
}

/* The hosts that answer: each of them is awaited.  'generation': of the change. */
static struct err *
await_hosts(struct cli *cli, const struct uuid *network, const char *name,
            int64_t generation, enum goal_kind kind, const char *said)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();

    json_add(a, &where, q_clause(a, "network", "==", q_uuid(a, network)));
    json_add(a, &ops, q_select(a, "hostnode", json_array(), "_uuid,name,state"));
    json_add(a, &ops, q_select(a, "hostnode_network", where, "_uuid,hostnode"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *nodes = q_rows(&results, 0), *rows = q_rows(&results, 1);
    for (uint32_t i = 0; i < nodes->n; i++) {
        struct uuid node = row_uuid(&nodes->elems[i]), of, row;
        bool found = false;
        for (uint32_t k = 0; k < rows->n && !found; k++) {
            found = row_ref(&rows->elems[k], "hostnode", &of) && uuid_eq(&of, &node);
            row = row_uuid(&rows->elems[k]);
        }
        if (!found && kind == GOAL_GONE) {
            continue;
        } else if (!found) {
            struct json new = json_object();
            json_put(a, &new, "hostnode", q_uuid(a, &node));
            json_put(a, &new, "network", q_uuid(a, network));
            change_insert(cli, "hostnode_network", new, &row);
        }
        const char *host = row_string(&nodes->elems[i], "name");
        if (str_eq(row_string(&nodes->elems[i], "state"), "online")) {
            change_await(cli, kind, "hostnode_network", &row, generation,
                         arena_printf(a, "network %s on %s", name, host), said);
        } else {
            change_say(cli, "network %s on %s: when that host is online again", name, host);
        }
    }
    return NULL;
}

/* Only one network is the main one. */
static struct err *
clear_main(struct cli *cli, const struct uuid *but)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    struct json row = json_object();

    json_add(a, &where, q_clause(a, "main", "==", json_bool(true)));
    json_add(a, &ops, q_select(a, "network", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    json_put(a, &row, "main", json_bool(false));
    for (uint32_t i = 0; i < rows->n; i++) {
        struct uuid uuid = row_uuid(&rows->elems[i]);
        if (!uuid_eq(&uuid, but)) {
            change_update(cli, "network", &uuid, row);
        }
    }
    return NULL;
}

static void
put_text(struct cli *cli, const struct args *args, const char *opt, struct json *row)
{
    if (args_has(args, opt)) {
        json_put(&cli->arena, row, opt, json_string(&cli->arena, args_get(args, opt)));
    }
}

static struct err *
new_row(struct cli *cli, const struct args *args, struct json *row)
{
    struct arena *a = &cli->arena;
    const char *type = args_get(args, "type");
    int64_t vlan = 0, mtu = 0;

    type = type                                                ? type
           : args_has(args, "bridge") || args_has(args, "nic") ? "bridge"
                                                               : "nat";
    if (!str_eq(type, "nat") && !str_eq(type, "route") && !str_eq(type, "bridge")) {
        return err_hint(err_new(ERR_SYNTAX, "there is no type \"%s\"", type),
                        "one of: nat, route, bridge");
    }
    TRY(args_int(args, "vlan", 1, 4094, &vlan));
    TRY(args_int(args, "mtu", 576, 65535, &mtu));
    json_put(a, row, "name", json_string(a, args->pos.v[0]));
    json_put(a, row, "type", json_string(a, type));
    put_text(cli, args, "bridge", row);
    put_text(cli, args, "nic", row);
    put_text(cli, args, "subnet", row);
    put_text(cli, args, "gateway", row);
    put_text(cli, args, "subnet6", row);
    put_text(cli, args, "gateway6", row);
    if (vlan) {
        json_put(a, row, "vlan", json_int(vlan));
    }
    if (mtu) {
        json_put(a, row, "mtu", json_int(mtu));
    }
    struct json dns = json_array();
    for (size_t i = 0; args_nth(args, "dns", i); i++) {
        struct net_addr addr;
        if (!net_addr_parse(args_nth(args, "dns", i), &addr)) {
            return err_hint(
                err_new(ERR_SYNTAX, "--dns %s is no IP address", args_nth(args, "dns", i)),
                "--dns 9.9.9.9");
        }
        json_add(a, &dns, json_string(a, NET_ADDR_TEXT(&addr)));
    }
    json_put(a, row, "dns", json_pair(a, json_string_ref("set"), dns));
    json_put(a, row, "dhcp",
             json_bool(!str_eq(type, "bridge") && !args_has(args, "no-dhcp")));
    json_put(a, row, "main", json_bool(args_has(args, "main")));
    json_put(a, row, "generation", json_int(1));
    return check_row(row);
}

static void
add_range(struct cli *cli, const struct uuid *network, const struct net_addr *first,
          const struct net_addr *last, int prefix)
{
    struct arena *a = &cli->arena;
    struct json row = json_object();

    json_put(a, &row, "network", q_uuid(a, network));
    json_put(a, &row, "first", json_string(a, NET_ADDR_TEXT(first)));
    json_put(a, &row, "last", json_string(a, NET_ADDR_TEXT(last)));
    json_put(a, &row, "prefix", json_int(prefix));
    change_insert(cli, "iprange", row, NULL);
}

/* All of a subnet that is for hosts: its ends and the gateway are never given out. */
static struct err *
add_whole_subnet(struct cli *cli, const struct uuid *network, const struct json *row,
                 bool v6)
{
    const char *subnet = row_string(row, v6 ? "subnet6" : "subnet");
    struct net_cidr cidr;
    struct net_addr gateway;

    if (!subnet) {
        return NULL;
    }
    TRY(net_subnet("subnet", subnet, row_string(row, v6 ? "gateway6" : "gateway"), v6,
                   &cidr, &gateway));
    struct net_addr first = net_cidr_first(&cidr), last = net_cidr_last(&cidr);
    first.n++;
    last.n -= !v6;
    add_range(cli, network, &first, &last, cidr.prefix);
    return NULL;
}

static struct err *
check_new(struct cli *cli, const struct args *args, bool *ret_there)
{
    struct arena *a = &cli->arena;
    const char *name = args->pos.v[0];
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();

    TRY(fail_unless_name("network", name));
    json_add(a, &where, q_clause(a, "name", "==", json_string(a, name)));
    json_add(a, &ops, q_select(a, "network", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    *ret_there = q_rows(&results, 0)->n > 0;
    if (*ret_there && !args_has(args, "if-not-exists")) {
        return err_hint(err_new(ERR_EXISTS, "there is already a network \"%s\"", name),
                        "byre network info %s", name);
    }
    return NULL;
}

static struct err *
cmd_create(struct cli *cli, const struct args *args)
{
    const char *name = args->pos.v[0];
    struct json row = json_object();
    struct uuid uuid;
    bool there;

    TRY(check_new(cli, args, &there));
    if (there) {
        return NULL;
    }
    TRY(err_wrap(new_row(cli, args, &row), "network %s", name));
    uuid_random(&uuid);
    change_insert_as(cli, "network", &uuid, row);
    if (args_has(args, "main")) {
        TRY(clear_main(cli, &uuid));
    }
    if (!str_eq(row_string(&row, "type"), "bridge") && !args_has(args, "no-range")) {
        TRY(add_whole_subnet(cli, &uuid, &row, false));
        TRY(add_whole_subnet(cli, &uuid, &row, true));
    }
    return await_hosts(cli, &uuid, name, 1, GOAL_APPLIED, "active");
}

/* Addresses that were given out must stay in the subnet. */
static struct err *
check_addresses(struct cli *cli, const struct net_state *n, const struct json *row)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();

    json_add(a, &where, q_clause(a, "network", "==", q_uuid(a, &n->uuid)));
    json_add(a, &ops, q_select(a, "ip", where, "address"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *ips = q_rows(&results, 0);
    for (uint32_t i = 0; i < ips->n; i++) {
        const char *address = row_string(&ips->elems[i], "address");
        struct net_addr addr;
        struct net_cidr cidr;
        const char *subnet;
        if (net_addr_parse(address, &addr) &&
            (subnet = row_string(row, addr.v6 ? "subnet6" : "subnet")) && *subnet &&
            net_cidr_parse(subnet, &cidr) && !net_cidr_has(&cidr, &addr)) {
            return err_hint(err_new(ERR_BUSY, "%s %s and is not in %s", address,
                                    net_holder(cli, address), subnet),
                            "byre ip rm %s first", address);
        }
    }
    return NULL;
}

static struct err *
set_one(struct cli *cli, const struct table_schema *table, const char *text,
        struct json *row, struct json *whole)
{
    static const char *const assign[] = { "=", NULL };
    static const char *const settable[] = { "bridge",   "main", "subnet", "gateway",
                                            "dhcp",     "vlan", "nic",    "subnet6",
                                            "gateway6", "dns",  "mtu",    "external_ids" };
    CLEANUP(free_drop) char *name = NULL;
    const char *op, *value_text;
    const struct column *column;
    struct json value;
    bool allowed = false;

    TRY(split_assignment(text, assign, &name, &op, &value_text));
    TRY(db_column(table, name, &column));
    for (size_t i = 0; i < N_ELEMS(settable); i++) {
        allowed |= str_eq(name, settable[i]);
    }
    if (!allowed) {
        return err_hint(err_new(ERR_SYNTAX, "network.%s is not for setting by hand", name),
                        "make another network, and let the machines join that");
    }
    TRY(value_parse(cli, table, column, value_text, &value));
    json_put(&cli->arena, row, column->name, value);
    for (uint32_t i = 0; i < whole->n; i++) {
        if (str_eq(whole->members[i].name, column->name)) {
            whole->members[i].value = value;
        }
    }
    return NULL;
}

static struct err *
cmd_set(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct arena *a = &cli->arena;
    struct named network;
    struct net_state n;
    struct json row = json_object();

    TRY(db_table(cli, "network", &table));
    TRY(names_find(cli, "network", args->pos.v[0], NULL, &network));
    TRY(net_state_load(cli, &network.uuid, &n));
    struct json whole = json_copy(a, n.row);
    for (size_t i = 1; i < args->pos.n; i++) {
        TRY(set_one(cli, table, args->pos.v[i], &row, &whole));
    }
    TRY(err_wrap(check_row(&whole), "network %s", network.label));
    TRY(err_wrap(check_addresses(cli, &n, &whole), "network %s", network.label));
    int64_t generation = row_int(n.row, "generation", 0) + 1;
    json_put(a, &row, "generation", json_int(generation));
    change_update(cli, "network", &network.uuid, row);
    if (row_bool(&row, "main")) {
        TRY(clear_main(cli, &network.uuid));
    }
    return await_hosts(cli, &network.uuid, network.label, generation, GOAL_APPLIED, "set");
}

/* Rows that only make sense with it. */
static void
delete_rows(struct cli *cli, const char *table, const struct json *rows)
{
    for (uint32_t i = 0; i < rows->n; i++) {
        struct uuid uuid = row_uuid(&rows->elems[i]);
        change_delete(cli, table, &uuid);
    }
}

/* The database itself makes sure that no interface joins it meanwhile. */
static struct err *
delete_one(struct cli *cli, const struct named *network)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    struct json row = json_object();
    int64_t generation = row_int(network->row, "generation", 0) + 1;

    json_add(a, &where, q_clause(a, "network", "==", q_uuid(a, &network->uuid)));
    json_add(a, &ops, q_select(a, "iface", where, "vm"));
    json_add(a, &ops, q_select(a, "iprange", where, "_uuid"));
    json_add(a, &ops, q_select(a, "ip", where, "_uuid"));
    json_add(a, &ops, q_select(a, "hostnode_network", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *ifaces = q_rows(&results, 0);
    if (ifaces->n) {
        struct named vm;
        struct uuid uuid;
        ASSERT(row_ref(&ifaces->elems[0], "vm", &uuid));
        TRY(names_find(cli, "vm", UUID_TEXT(&uuid), "_uuid", &vm));
        return err_hint(
            err_wrap(err_new(ERR_BUSY, "%u interfaces are in it, one of vm %s", ifaces->n,
                             vm.label),
                     "network %s", network->label),
            "byre list iface --where network=%s; they go with byre vm iface rm, or "
            "with their machines",
            network->label);
    }
    change_unless(cli, "iface", where, "mac", json_array());
    delete_rows(cli, "iprange", q_rows(&results, 1));
    delete_rows(cli, "ip", q_rows(&results, 2));
    if (q_rows(&results, 3)->n == 0) { /* No host knows it. */
        change_delete(cli, "network", &network->uuid);
        return NULL;
    }
    json_put(a, &row, "deleted", json_bool(true));
    json_put(a, &row, "generation", json_int(generation));
    change_update(cli, "network", &network->uuid, row);
    return await_hosts(cli, &network->uuid, network->label, generation, GOAL_GONE,
                       "deleted");
}

static struct err *
cmd_delete(struct cli *cli, const struct args *args)
{
    struct named_list list = VEC_INIT;
    struct err *e =
        names_match(cli, "network", args->pos.v, args->pos.n, "name,generation", &list);

    if (err_is(e, ERR_NOT_FOUND) && args_has(args, "if-exists")) {
        err_free(e);
        e = NULL;
    }
    for (size_t i = 0; i < list.n && !e; i++) {
        e = delete_one(cli, &list.v[i]);
    }
    VEC_DONE(&list);
    return e;
}

static const struct opt_spec opts_create[] = {
    { "type", "TYPE", "nat (default), route, bridge", "nat|route|bridge" },
    { "subnet", "CIDR", "IPv4 addresses, as 192.168.100.0/24" },
    { "gateway", "ADDRESS",
      "the host's address in it (the first); on a bridge: the router's" },
    { "subnet6", "CIDR", "IPv6 addresses, as 2001:db8:1::/64" },
    { "gateway6", "ADDRESS", "as --gateway" },
    { "bridge", "NAME", "the hosts' bridge (br-NAME; of type bridge: NAME)" },
    { "nic", "NAME", "of type bridge: make the bridge of this network card" },
    { "vlan", "N", "with --nic: of this VLAN of it" },
    { "dns", "ADDRESS", "whom guests' questions go to; may be repeated" },
    { "mtu", "BYTES", "largest packet" },
    { "no-dhcp", NULL, "no DHCP server" },
    { "no-range", NULL, "no address of the subnet is given out by itself" },
    { "main", NULL, "machines join it that name no other" },
    { "if-not-exists", NULL, "a network of that name that is there already is no error" },
    { NULL },
};
static const struct opt_spec opts_delete[] = {
    { "if-exists", NULL, "a network that is not there is no error" },
    { NULL },
};

const struct command cmds_network[] = {
    { "network", "create", "NAME", "makes a network, on all hosts", cmd_create, CMD_CHANGE,
      opts_create, NULL,
      "byre network create lan --subnet 192.168.100.0/24 --main\n"
      "byre network create office --bridge vmbr0 --subnet 10.1.0.0/16 --gateway 10.1.0.1\n"
      "\n"
      "nat and route are networks of libvirt's: guests get their addresses by DHCP, and reach others\n"
      "through the host, under its address (nat) or their own (route).  bridge joins them to a bridge\n"
      "of the host: an existing one, or one that Byre makes of a network card without addresses.\n"
      "Machines get addresses from ranges; nat and route begin with all of their subnet.\n" },
    { "network", "list", "[NAME...]", "networks, and how much of them is used",
      network_list, CMD_LIST, NULL, "network" },
    { "network", "info", "NAME...", "all about a network: hosts, ranges, machines",
      network_info, 0, NULL, "network" },
    { "network", "set", "NAME COLUMN=VALUE...", "changes it", cmd_set, CMD_CHANGE, NULL,
      "network assignment",
      "byre network set lan dns=9.9.9.9\n"
      "\n"
      "What runs and is in use is not restarted: the answer then says who is in the way.\n" },
    { "network", "delete", "NAME...", "removes a network that nobody is in", cmd_delete,
      CMD_CHANGE, opts_delete, "network" },
    { NULL },
};
