/* cli/node_memory.c: the sums of a host's memory: what is promised, what that needs, and
 * whether it is within the cluster's rules. */
#include "cli/list_i.h"
#include "cli/node_i.h"
#include "sched/admit.h"

/* A machine counts from the moment that it is wanted or seen to be running. */
static bool
counts(const struct json *vm)
{
    static const char *const alive[] = { "running", "idle", "paused", "shutdown" };
    const char *state = row_string(vm, "state"), *status = row_string(vm, "status");
    for (size_t i = 0; i < N_ELEMS(alive); i++) {
        if (str_eq(status, alive[i])) {
            return true;
        }
    }
    return str_eq(state, "running") || str_eq(state, "paused");
}

static struct admit_host
host_of(const struct json *node, const struct json *cluster)
{
    const char *only = row_string(node, "hypervisors"); /* NULL if it has several. */
    struct admit_host host = {
        .kind = ADMIT_KVM,
        .ram = row_int(node, "mem", 0) * MIB,
        .swap = row_int(node, "swap", 0) * MIB,
        .xen_free = row_int(node, "mem_free", 0) * MIB,
    };
    if (cluster) {
        host.policy_ratio = row_real(cluster, "memory_overcommit", 0);
        host.reserve = row_int(cluster, "host_reserve", 0) * MIB;
    }
    if (str_eq(only, "xen")) {
        host.kind = ADMIT_XEN;
    }
    return host;
}

/* The sum over the machines of 'node'.  What was measured stands for what was planned. */
static struct admit_sum
sum_of(const struct admit_host *host, const struct json *node, const struct json *vms)
{
    VEC(struct admit_guest) guests = VEC_INIT;
    struct uuid here = row_uuid(node), its;
    for (uint32_t i = 0; i < vms->n; i++) {
        const struct json *vm = &vms->elems[i];
        if (row_ref(vm, "hostnode", &its) && uuid_eq(&its, &here) && counts(vm)) {
            *VEC_ADD(&guests) = (struct admit_guest){ .memory = row_int(vm, "mem", 0) * MIB,
                                                      .vcpus = row_int(vm, "vcpu", 1) };
        }
    }
    struct admit_sum sum = admit_add_up(host, guests.v, guests.n);
    VEC_DONE(&guests);
    return sum;
}

static const struct {
    const char *name;
    enum out_unit unit;
} columns[] = {
    { "node", UNIT_NONE },          { "guests", UNIT_NONE },
    { "guest_memory", UNIT_BYTES }, { "overhead", UNIT_BYTES },
    { "reserve", UNIT_BYTES },      { "promised", UNIT_BYTES },
    { "memory", UNIT_BYTES },       { "ratio", UNIT_NONE },
    { "allowed", UNIT_NONE },       { "swap", UNIT_BYTES },
    { "swap_needed", UNIT_BYTES },  { "swap_comfortable", UNIT_BYTES },
    { "within_rules", UNIT_NONE },  { "why", UNIT_NONE },
};

static void
add_row(struct out_table *table, const char *name, const struct admit_host *host,
        const struct admit_sum *sum, const struct err *verdict)
{
    struct json *cells = out_add_row(table, name);
    size_t i = 0;
    cells[i++] = json_string(&table->arena, name);
    cells[i++] = json_int((int64_t) sum->n_guests);
    cells[i++] = json_int(sum->guests);
    cells[i++] = json_int(sum->overhead);
    cells[i++] = json_int(sum->reserve);
    cells[i++] = json_int(sum->promised);
    cells[i++] = json_int(host->ram);
    cells[i++] = json_real((double) (int64_t) (sum->ratio * 100 + 0.5) / 100);
    cells[i++] = json_real(host->policy_ratio > 0 ? host->policy_ratio : 1);
    cells[i++] = json_int(host->swap);
    cells[i++] = json_int(sum->swap_needed);
    cells[i++] = json_int(sum->swap_comfortable);
    cells[i++] = json_bool(!verdict);
    if (verdict) {
        cells[i++] = json_string(&table->arena, err_why(verdict));
    }
}

static void
explain(const char *name, const struct admit_host *host, const struct admit_sum *sum,
        bool headed)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    admit_explain(&text, host, sum);
    printf("%s%s%s%s", headed ? "node " : "", headed ? name : "", headed ? "\n" : "",
           buf_cstr(&text));
}

/* What the answer is made of. */
struct report {
    struct cli *cli;
    const struct json *nodes, *clusters, *vms;
    int64_t extra; /* Memory of one guest more; 0: none. */
    bool plain;    /* A calculation for people, else 'table'. */
    struct out_table table;
    struct err *refused; /* The first host that has no room for it. */
};

static void
report_node(struct report *r, const struct json *node)
{
    const char *name = row_string(node, "name");
    struct admit_host host = host_of(node, r->clusters->n ? &r->clusters->elems[0] : NULL);
    struct admit_sum sum = sum_of(&host, node, r->vms);
    struct admit_guest more = { .memory = r->extra, .vcpus = 1 };
    CLEANUP(err_drop)
    struct err *verdict =
        r->extra ? admit_check(&host, &sum, &more, &sum) : admit_verdict(&host, &sum);
    if (r->plain) {
        explain(name, &host, &sum, r->nodes->n > 1);
    } else {
        add_row(&r->table, name, &host, &sum, verdict);
    }
    if (r->extra && verdict && !r->refused) {
        r->refused = err_wrap(TAKE(verdict), "node %s: one guest more", name);
    }
}

static struct err *
ask(struct report *r, struct json *results)
{
    struct arena *a = &r->cli->arena;
    struct json ops = json_array();
    json_add(
        a, &ops,
        q_select(a, "hostnode", json_array(), "_uuid,name,mem,mem_free,swap,hypervisors"));
    json_add(a, &ops,
             q_select(a, "cluster", json_array(), "memory_overcommit,host_reserve"));
    /* _uuid: machines that are alike in all other columns would be one row of the answer. */
    json_add(a, &ops,
             q_select(a, "vm", json_array(), "_uuid,hostnode,mem,vcpu,state,status"));
    TRY(db_transact(r->cli, &ops, results));
    r->nodes = q_rows(results, 0);
    r->clusters = q_rows(results, 1);
    r->vms = q_rows(results, 2);
    return NULL;
}

static bool
is_named(const struct named_list *names, const struct json *node)
{
    struct uuid uuid = row_uuid(node);
    for (size_t i = 0; i < names->n; i++) {
        if (uuid_eq(&names->v[i].uuid, &uuid)) {
            return true;
        }
    }
    return false;
}

struct err *
node_memory(struct cli *cli, const struct args *args)
{
    struct report r = { .cli = cli,
                        .plain = cli->format == OUT_TABLE,
                        .table = OUT_TABLE_INIT };
    struct named_list names = VEC_INIT;
    struct json results;

    TRY(args_size(args, "with", MIB, &r.extra));
    struct err *e = ask(&r, &results);
    if (!e && args->pos.n) {
        e = names_match(cli, "hostnode", args->pos.v, args->pos.n, "_uuid", &names);
    }
    for (size_t i = 0; i < N_ELEMS(columns) && !r.plain; i++) {
        out_add_column(&r.table, columns[i].name, columns[i].unit, false);
    }
    for (uint32_t i = 0; !e && i < r.nodes->n; i++) {
        const struct json *node = &r.nodes->elems[i];
        if (args->pos.n && !is_named(&names, node)) {
            continue;
        } else if (row_int(node, "mem", 0) == 0) {
            e = err_hint(
                err_new(ERR_NOT_FOUND, "its agent has not told the host's memory yet"),
                "byre node info %s", row_string(node, "name"));
            e = err_wrap(e, "node %s", row_string(node, "name"));
        } else {
            report_node(&r, node);
        }
    }
    if (!e && !r.plain) {
        struct out_style style = cli_style(cli, args);
        out_print(&r.table, &style, stdout);
    }
    out_table_done(&r.table);
    VEC_DONE(&names);
    return e ? (err_free(r.refused), e) : r.refused;
}
