/* cli/net_state.c: which addresses of a network are free. */
#include "cli/net_i.h"

static struct err *
read_side(const struct json *row, bool v6, struct net_state *n)
{
    const char *subnet = row_string(row, v6 ? "subnet6" : "subnet");
    const char *gateway = row_string(row, v6 ? "gateway6" : "gateway");
    bool is_bridge = str_eq(row_string(row, "type"), "bridge");

    if (!subnet || !*subnet) {
        return NULL;
    }
    TRY(net_subnet(v6 ? "subnet6" : "subnet", subnet, gateway, v6, &n->subnets[v6],
                   &n->gateways[v6]));
    n->has_subnet[v6] = true;
    n->has_gateway[v6] = !is_bridge || gateway;
    return NULL;
}

static int
by_first(const void *a, const void *b)
{
    return net_addr_cmp(&((const struct net_part *) a)->range.first,
                        &((const struct net_part *) b)->range.first);
}

static void
read_parts(struct cli *cli, const struct json *rows, struct net_state *n)
{
    n->parts = arena_zalloc(&cli->arena, (rows->n + 1) * sizeof *n->parts);
    for (uint32_t i = 0; i < rows->n; i++) {
        const struct json *row = &rows->elems[i];
        struct net_part *part = &n->parts[n->n_parts];
        struct err *e = net_range_parse(row_string(row, "first"), row_string(row, "last"),
                                        &part->range);
        part->uuid = row_uuid(row);
        part->row = row;
        n->n_parts += !e;
        err_free(e); /* Whoever wrote it past this program. */
    }
    if (n->n_parts) {
        qsort(n->parts, n->n_parts, sizeof *n->parts, by_first);
    }
}

static void
take(struct net_state *n, const char *text)
{
    n->n_taken += text && net_addr_parse(text, &n->taken[n->n_taken]);
}

/* Addresses of rows, of this very change, and those that no guest may have. */
static void
read_taken(struct cli *cli, const struct json *ips, struct net_state *n)
{
    size_t room = ips->n + cli->change.ops.n + 2 * (3 + n->n_parts);
    n->taken = arena_zalloc(&cli->arena, (room + 1) * sizeof *n->taken);
    for (uint32_t i = 0; i < ips->n; i++) {
        take(n, row_string(&ips->elems[i], "address"));
    }
    const struct change_op *op;
    for (size_t i = 0; (op = change_inserted(&cli->change, "ip", i)); i++) {
        take(n, row_string(&op->row, "address"));
    }
    for (size_t i = 0; i < n->n_parts; i++) {
        take(n, row_string(n->parts[i].row, "gateway"));
    }
    for (int v6 = 0; v6 < 2; v6++) {
        if (n->has_subnet[v6]) {
            n->taken[n->n_taken++] = net_cidr_first(&n->subnets[v6]);
        }
        if (n->has_subnet[v6] && !v6) {
            n->taken[n->n_taken++] = net_cidr_last(&n->subnets[v6]); /* Broadcast. */
        }
        if (n->has_gateway[v6]) {
            n->taken[n->n_taken++] = n->gateways[v6];
        }
    }
    net_addrs_sort(n->taken, n->n_taken);
}

struct err *
net_state_load(struct cli *cli, const struct uuid *uuid, struct net_state *ret)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();

    memset(ret, 0, sizeof *ret);
    json_add(a, &where, q_clause(a, "network", "==", q_uuid(a, uuid)));
    json_add(a, &ops, q_select(a, "network", q_where_uuid(a, uuid), NULL));
    json_add(a, &ops, q_select(a, "iprange", where, NULL));
    /* All: an address is one's in the whole cluster. */
    json_add(a, &ops, q_select(a, "ip", json_array(), "address"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    const struct change_op *op;
    const struct json *row = rows->n ? &rows->elems[0] : NULL;
    for (size_t i = 0; !row && (op = change_inserted(&cli->change, "network", i)); i++) {
        row = uuid_eq(&op->uuid, uuid) ? &op->row : NULL;
    }
    if (!row) {
        return err_new(ERR_NOT_FOUND, "the network was removed meanwhile");
    }
    ret->uuid = *uuid;
    ret->row = row;
    ret->name = row_string(row, "name");
    TRY(err_wrap(read_side(row, false, ret), "network %s", ret->name));
    TRY(err_wrap(read_side(row, true, ret), "network %s", ret->name));
    read_parts(cli, q_rows(&results, 1), ret);
    read_taken(cli, q_rows(&results, 2), ret);
    return NULL;
}

bool
net_has_range(const struct net_state *n, bool v6)
{
    for (size_t i = 0; i < n->n_parts; i++) {
        if (n->parts[i].range.first.v6 == v6) {
            return true;
        }
    }
    return false;
}

struct net_figures
net_figures_of(const struct net_state *n, bool v6)
{
    struct net_figures f = { 0, 0 };

    for (size_t i = 0; i < n->n_parts; i++) {
        const struct net_range *range = &n->parts[i].range;
        if (range->first.v6 == v6) {
            uint64_t size = net_range_size(range);
            f.size = f.size + size < f.size ? UINT64_MAX : f.size + size;
            f.used += net_range_used(range, n->taken, n->n_taken);
        }
    }
    return f;
}

const char *
net_holder(struct cli *cli, const char *address)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    struct uuid vm;
    struct named named;

    json_add(a, &where, q_clause(a, "address", "==", json_string(a, address)));
    json_add(a, &ops, q_select(a, "ip", where, "vm"));
    struct err *e = db_transact(cli, &ops, &results);
    if (e) {
        err_free(e);
        return "is taken";
    }
    const struct json *rows = q_rows(&results, 0);
    if (!rows->n) {
        return "belongs to the network itself";
    } else if (!row_ref(&rows->elems[0], "vm", &vm)) {
        return "is reserved";
    }
    e = names_find(cli, "vm", UUID_TEXT(&vm), "_uuid", &named);
    if (e) {
        err_free(e);
        return "is taken";
    }
    return arena_printf(a, "is that of vm %s", named.label);
}
