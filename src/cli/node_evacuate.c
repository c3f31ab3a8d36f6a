/* cli/node_evacuate.c: all machines leave a host that goes into maintenance.
 *
 * Each gets a job vm.migrate to the host with most memory left; the host's agent lets two go at a time and
 * asks the other host whether it takes it.  What cannot move is told with its reason, and stays. */
#include "cli/job_i.h"
#include "cli/names_i.h"
#include "cli/node_i.h"
#include "sched/place.h"

#define VM_COLUMNS "name,hostnode,source,state,status,mem"

struct place_hosts {
    struct place_host *v;
    size_t n, cap;
};

static int
by_size(const void *a, const void *b)
{
    int64_t x = row_int(*(const struct json *const *) a, "mem", 0);
    int64_t y = row_int(*(const struct json *const *) b, "mem", 0);
    return x > y ? -1 : x < y;
}

static bool
is_at(const struct json *row, const struct uuid *node)
{
    struct uuid at;
    return row_ref(row, "hostnode", &at) && uuid_eq(&at, node);
}

/* The other hosts; 'only' NULL: all of them. */
static void
read_hosts(const struct json *nodes, const struct json *vms, const struct uuid *leaving,
           const struct uuid *only, struct place_hosts *ret)
{
    for (uint32_t i = 0; i < nodes->n; i++) {
        const struct json *row = &nodes->elems[i];
        struct uuid uuid = row_uuid(row);
        struct place_host host = {
            .name = row_string(row, "name"),
            .usable = !uuid_eq(&uuid, leaving) && (!only || uuid_eq(&uuid, only)) &&
                      str_eq(row_string(row, "state"), "online") &&
                      !row_bool(row, "maintenance") && (only || row_bool(row, "status")),
            .mem_free = row_int(row, "mem_free", 0),
            .max_vms = row_int(row, "max_vm_count", 0),
        };
        for (uint32_t k = 0; k < vms->n; k++) {
            host.n_vms += is_at(&vms->elems[k], &uuid);
        }
        *VEC_ADD(ret) = host;
    }
}

static void
add_job(struct cli *cli, const struct json *vm, const struct json *node, bool copy)
{
    struct arena *a = &cli->arena;
    struct uuid uuid = row_uuid(vm), to = row_uuid(node), job;
    struct json row = job_row(cli, "vm.migrate", "vm", &uuid, vm), options = json_array();

    json_put(a, &row, "destination", q_uuid(a, &to));
    if (copy) {
        json_add(a, &options, json_string_ref("copy-storage"));
    }
    json_put(a, &row, "options", json_pair(a, json_string_ref("set"), options));
    change_insert(cli, "job", row, &job);
    change_await_state(cli, GOAL_JOB, "job", &job,
                       arena_printf(a, "vm %s", row_string(vm, "name")),
                       arena_printf(a, "moved to %s", row_string(node, "name")));
    job_await(cli, &job);
}

struct err *
node_evacuate(struct cli *cli, const struct args *args, const struct named *node)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), results;
    struct place_hosts hosts = VEC_INIT;
    struct named only;
    const char *to = args_get(args, "to");
    struct err *e = NULL;

    TRY(to ? names_find(cli, "hostnode", to, "_uuid", &only) : NULL);
    json_add(a, &ops, q_select(a, "hostnode", json_array(), NULL));
    json_add(a, &ops, q_select(a, "vm", json_array(), "_uuid," VM_COLUMNS));
    TRY(db_transact(cli, &ops, &results));
    const struct json *nodes = q_rows(&results, 0), *vms = q_rows(&results, 1);
    const struct json **leaving = arena_zalloc(a, (vms->n + 1) * sizeof *leaving);
    size_t n = 0;
    for (uint32_t i = 0; i < vms->n; i++) {
        const char *source = row_string(&vms->elems[i], "source");
        if (is_at(&vms->elems[i], &node->uuid) && !str_eq(source, "libvirt") &&
            !str_eq(row_string(&vms->elems[i], "state"), "deleted")) {
            leaving[n++] = &vms->elems[i];
        }
    }
    qsort(leaving, n, sizeof *leaving, by_size);
    read_hosts(nodes, vms, &node->uuid, to ? &only.uuid : NULL, &hosts);
    for (size_t i = 0; i < n; i++) {
        const char *why = NULL, *name = row_string(leaving[i], "name");
        int at = place_pick(hosts.v, hosts.n, row_int(leaving[i], "mem", 0), &why);
        if (at >= 0) {
            add_job(cli, leaving[i], &nodes->elems[at], args_has(args, "copy-storage"));
        } else if (!e) {
            e = err_hint(err_wrap(err_new(ERR_NO_SPACE, "%s", why), "vm %s", name),
                         "add a host, stop the machine, or allow overcommit; without "
                         "--evacuate the machines stay");
        }
    }
    VEC_DONE(&hosts);
    return e;
}
