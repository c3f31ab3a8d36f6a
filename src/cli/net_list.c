/* cli/net_list.c: networks with figures: addresses, machines, hosts. */
#include "base/map.h"
#include "base/str.h"
#include "cli/list_i.h"
#include "cli/net_i.h"

/* What one look gives for all networks.  UUIDs stay as text: there may be tens of thousands. */
struct all {
    const struct json *networks, *ifaces, *hosts;
    struct map names; /* Of hosts and machines, by UUID. */
};

static void
all_done(struct all *all)
{
    map_done(&all->names);
}

static struct json
number(uint64_t n)
{
    return json_int(n > INT64_MAX ? INT64_MAX : (int64_t) n);
}

static struct err *
load_all(struct cli *cli, struct all *ret)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json *results = arena_zalloc(a, sizeof *results);

    json_add(a, &ops, q_select(a, "network", json_array(), NULL));
    json_add(a, &ops, q_select(a, "iface", json_array(), "vm,network"));
    json_add(a, &ops, q_select(a, "hostnode_network", json_array(), NULL));
    json_add(a, &ops, q_select(a, "hostnode", json_array(), "_uuid,name"));
    json_add(a, &ops, q_select(a, "vm", json_array(), "_uuid,name"));
    TRY(db_transact(cli, &ops, results));
    ret->networks = q_rows(results, 0);
    ret->ifaces = q_rows(results, 1);
    ret->hosts = q_rows(results, 2);
    for (size_t op = 3; op <= 4; op++) {
        const struct json *rows = q_rows(results, op);
        for (uint32_t i = 0; i < rows->n; i++) {
            const char *uuid = row_ref_text(&rows->elems[i], "_uuid");
            const char *name = row_string(&rows->elems[i], "name");
            if (uuid && name) {
                map_put(&ret->names, uuid, (void *) name);
            }
        }
    }
    return NULL;
}

static bool
refers(const struct json *row, const char *column, const char *uuid)
{
    return str_eq(row_ref_text(row, column), uuid);
}

static const char *
name_of(const struct all *all, const struct json *row, const char *column)
{
    const char *uuid = row_ref_text(row, column);
    const char *name = uuid ? map_get(&all->names, uuid) : NULL;

    return name ? name : "?";
}

/* "active", or what is wrong somewhere: the worst of all hosts. */
static const char *
state_of(const struct all *all, const char *network, const struct json *row)
{
    const char *worst = "unknown";
    uint32_t n = 0, n_active = 0;

    for (uint32_t i = 0; i < all->hosts->n; i++) {
        const struct json *host = &all->hosts->elems[i];
        if (refers(host, "network", network)) {
            bool active = str_eq(row_string(host, "state"), "active");
            n++;
            n_active += active;
            worst =
                active || !row_string(host, "state") ? worst : row_string(host, "state");
        }
    }
    return row_bool(row, "deleted") ? "deleting" : n && n == n_active ? "active" : worst;
}

/* Machines of it; 'names' not NULL: are added there. */
static uint32_t
machines(const struct all *all, const char *network, struct strvec *names)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < all->ifaces->n; i++) {
        const struct json *iface = &all->ifaces->elems[i];
        if (refers(iface, "network", network)) {
            n++;
            if (names) {
                strvec_add(names, name_of(all, iface, "vm"));
            }
        }
    }
    return n;
}

static const struct json *
row_of(const struct all *all, const struct uuid *network)
{
    for (uint32_t i = 0; i < all->networks->n; i++) {
        struct uuid uuid = row_uuid(&all->networks->elems[i]);
        if (uuid_eq(&uuid, network)) {
            return &all->networks->elems[i];
        }
    }
    return NULL;
}

static struct json
text_or_null(const char *text)
{
    return text && *text ? json_string_ref(text) : json_null();
}

static struct err *
list_one(struct cli *cli, const struct all *all, const struct uuid *uuid,
         struct out_table *out)
{
    const struct json *row = row_of(all, uuid);
    struct net_state n;

    if (!row) {
        return NULL; /* Gone this moment. */
    }
    TRY(net_state_load(cli, uuid, &n));
    struct net_figures f4 = net_figures_of(&n, false), f6 = net_figures_of(&n, true);
    struct json *cells = out_add_row(out, n.name);
    cells[0] = json_string_ref(n.name);
    cells[1] = json_string_ref(row_string(row, "type"));
    cells[2] = text_or_null(row_string(row, "subnet"));
    cells[3] = text_or_null(row_string(row, "subnet6"));
    cells[4] = number(f4.size - f4.used);
    cells[5] = number(f4.used);
    cells[6] = number(f6.size - f6.used);
    cells[7] = number(f6.used);
    cells[8] = json_int(machines(all, UUID_TEXT(uuid), NULL));
    cells[9] = json_bool(row_bool(row, "main"));
    cells[10] = json_string_ref(state_of(all, UUID_TEXT(uuid), row));
    return NULL;
}

/* Columns of the table itself, or rows as they change, are for the general list. */
static bool
is_general(const struct args *args)
{
    return args_has(args, "columns") || args_has(args, "where") || args_has(args, "watch");
}

struct err *
network_list(struct cli *cli, const struct args *args)
{
    static const char *const columns[] = { "name",       "type", "subnet", "subnet6",
                                           "free",       "used", "free6",  "used6",
                                           "interfaces", "main", "state" };
    CLEANUP(out_table_done) struct out_table out = OUT_TABLE_INIT;
    struct named_list list = VEC_INIT;
    CLEANUP(all_done) struct all all = { .names = MAP_INIT };
    char *every[] = { (char *) "*" };
    const char *sort = args_get(args, "sort");

    if (is_general(args)) {
        return list_noun(cli, args, "network");
    }
    TRY(cli_connect(cli));
    for (size_t i = 0; i < N_ELEMS(columns); i++) {
        out_add_column(&out, columns[i], UNIT_NONE, false);
    }
    TRY(load_all(cli, &all));
    struct err *e = NULL;
    if (args->pos.n || all.networks->n) {
        e = names_match(cli, "network", args->pos.n ? args->pos.v : every,
                        args->pos.n ? args->pos.n : 1, "_uuid", &list);
    }
    for (size_t i = 0; i < list.n && !e; i++) {
        e = list_one(cli, &all, &list.v[i].uuid, &out);
    }
    VEC_DONE(&list);
    if (e) {
        return e;
    } else if (sort && out_find_column(&out, sort + (sort[0] == '-')) < 0) {
        return err_new(ERR_SYNTAX, "--sort %s: that column is not shown", sort);
    }
    out_sort(&out, sort ? sort : "name");
    struct out_style style = cli_style(cli, args);
    out_print(&out, &style, stdout);
    return NULL;
}

static void
add_cell(struct out_table *out, struct json *cells, size_t *n, const char *name,
         struct json value)
{
    out_add_column(out, name, UNIT_NONE, false);
    cells[(*n)++] = value;
}

/* Hosts as "n1: active, br-lan" with what is wrong; ranges as "10.0.0.2-10.0.0.254: 3 of 253". */
static struct json
hosts_text(struct cli *cli, const struct all *all, const char *network)
{
    struct arena *a = &cli->arena;
    struct json list = json_array();

    for (uint32_t i = 0; i < all->hosts->n; i++) {
        const struct json *host = &all->hosts->elems[i];
        const char *state = row_string(host, "state"), *bridge = row_string(host, "bridge");
        const char *error = row_string(host, "error");
        if (refers(host, "network", network)) {
            json_add(a, &list,
                     json_stringf(a, "%s: %s%s%s%s%s", name_of(all, host, "hostnode"),
                                  state ? state : "unknown", bridge ? ", bridge " : "",
                                  bridge ? bridge : "", error ? ": " : "",
                                  error ? error : ""));
        }
    }
    return list;
}

static struct json
machines_text(struct cli *cli, const struct all *all, const char *network)
{
    struct strvec names = STRVEC_INIT;
    struct json list = json_array();

    machines(all, network, &names);
    strvec_sort(&names);
    for (size_t i = 0; i < names.n; i++) {
        json_add(&cli->arena, &list, json_string(&cli->arena, names.v[i]));
    }
    strvec_done(&names);
    return list;
}

static struct json
ranges_text(struct cli *cli, const struct net_state *n)
{
    struct arena *a = &cli->arena;
    struct json list = json_array();

    for (size_t i = 0; i < n->n_parts; i++) {
        const struct net_range *r = &n->parts[i].range;
        json_add(a, &list,
                 json_stringf(a, "%s-%s: %" PRIu64 " of %" PRIu64 " taken",
                              NET_ADDR_TEXT(&r->first), NET_ADDR_TEXT(&r->last),
                              net_range_used(r, n->taken, n->n_taken), net_range_size(r)));
    }
    return list;
}

#define MAX_CELLS 40

static struct err *
info_one(struct cli *cli, const struct args *args, const struct all *all,
         const struct uuid *uuid)
{
    static const char *const texts[] = { "type",    "bridge",  "nic",     "subnet",
                                         "gateway", "subnet6", "gateway6" };
    CLEANUP(out_table_done) struct out_table out = OUT_TABLE_INIT;
    const struct json *row = row_of(all, uuid);
    struct json values[MAX_CELLS];
    struct net_state n;
    size_t k = 0;

    if (!row) {
        return NULL;
    }
    TRY(net_state_load(cli, uuid, &n));
    add_cell(&out, values, &k, "name", json_string_ref(n.name));
    for (size_t i = 0; i < N_ELEMS(texts); i++) {
        add_cell(&out, values, &k, texts[i], text_or_null(row_string(row, texts[i])));
    }
    const struct json *vlan = row_value(row, "vlan"), *mtu = row_value(row, "mtu");
    add_cell(&out, values, &k, "vlan", vlan ? *vlan : json_null());
    add_cell(&out, values, &k, "mtu", mtu ? *mtu : json_null());
    add_cell(&out, values, &k, "main", json_bool(row_bool(row, "main")));
    add_cell(&out, values, &k, "dhcp", json_bool(row_bool(row, "dhcp")));
    add_cell(&out, values, &k, "state",
             json_string_ref(state_of(all, UUID_TEXT(uuid), row)));
    for (int v6 = 0; v6 < 2; v6++) {
        struct net_figures f = net_figures_of(&n, v6);
        add_cell(&out, values, &k, v6 ? "free6" : "free", number(f.size - f.used));
        add_cell(&out, values, &k, v6 ? "used6" : "used", number(f.used));
    }
    add_cell(&out, values, &k, "ranges", ranges_text(cli, &n));
    add_cell(&out, values, &k, "hosts", hosts_text(cli, all, UUID_TEXT(uuid)));
    add_cell(&out, values, &k, "machines", machines_text(cli, all, UUID_TEXT(uuid)));
    add_cell(&out, values, &k, "_uuid", json_string(&cli->arena, UUID_TEXT(uuid)));
    memcpy(out_add_row(&out, n.name), values, k * sizeof *values);
    struct out_style style = cli_style(cli, args);
    style.vertical = true;
    out_print(&out, &style, stdout);
    return NULL;
}

struct err *
network_info(struct cli *cli, const struct args *args)
{
    struct named_list list = VEC_INIT;
    CLEANUP(all_done) struct all all = { .names = MAP_INIT };

    TRY(cli_connect(cli));
    TRY(load_all(cli, &all));
    struct err *e = names_match(cli, "network", args->pos.v, args->pos.n, "_uuid", &list);
    for (size_t i = 0; i < list.n && !e; i++) {
        e = info_one(cli, args, &all, &list.v[i].uuid);
    }
    VEC_DONE(&list);
    return e;
}
