/* web/metrics_text.c: rows and the agent's figures as Prometheus reads them.
 *
 * A metric is a line of a table: its name, what it is, and where its value is.  Base units: bytes and
 * seconds.  A value that is not known has no line: zero would be a lie. */
#include "base/str.h"
#include "replica/vmmgr_rows.h"
#include "web/metrics.h"

static void
put_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* ,NAME="value", with what the format has escapes for. */
static void
put_label(struct buf *out, char before, const char *name, const char *value)
{
    buf_printf(out, "%c%s=\"", before, name);
    for (const char *p = value ? value : ""; *p; p++) {
        if (*p == '\\' || *p == '"') {
            buf_char(out, '\\');
        }
        if (*p == '\n') {
            buf_str(out, "\\n");
        } else {
            buf_char(out, *p);
        }
    }
    buf_char(out, '"');
}

static void
put_value(struct buf *out, int64_t value)
{
    buf_printf(out, "} %" PRId64 "\n", value);
}

/* Integers of rows, by their place in the struct. */
struct row_metric {
    const char *name, *help;
    size_t offset; /* Of a struct typed_int. */
    int64_t unit;  /* Bytes, or 1. */
};

static const struct row_metric host_metrics[] = {
    { "byre_host_cpus", "Processors of the host.", offsetof(struct row_hostnode, cpus), 1 },
    { "byre_host_memory_bytes", "Memory of the host.", offsetof(struct row_hostnode, mem),
      MIB },
    { "byre_host_memory_free_bytes", "Memory that the host can still give.",
      offsetof(struct row_hostnode, mem_free), MIB },
};
static const struct row_metric pool_metrics[] = {
    { "byre_pool_capacity_bytes", "Size of the pool.", offsetof(struct row_pool, capacity),
      1 },
    { "byre_pool_allocation_bytes", "What is taken of the pool.",
      offsetof(struct row_pool, allocation), 1 },
    { "byre_pool_available_bytes", "What is free in the pool.",
      offsetof(struct row_pool, available), 1 },
};

static const struct typed_int *
int_at(const void *row, size_t offset)
{
    return (const struct typed_int *) ((const char *) row + offset);
}

static void
put_hosts(const struct replica *r, struct buf *out)
{
    for (size_t i = 0; i < N_ELEMS(host_metrics); i++) {
        const struct row_metric *m = &host_metrics[i];
        put_head(out, m->name, "gauge", m->help);
        ROW_FOR_EACH (struct row_hostnode, host, row_hostnode_table(r)) {
            const struct typed_int *value = int_at(host, m->offset);
            if (value->has) {
                buf_str(out, m->name);
                put_label(out, '{', "host", host->name);
                put_value(out, value->v * m->unit);
            }
        }
    }
    put_head(out, "byre_host_online", "gauge", "Whether the host's agent is there.");
    ROW_FOR_EACH (struct row_hostnode, host, row_hostnode_table(r)) {
        buf_str(out, "byre_host_online");
        put_label(out, '{', "host", host->name);
        put_value(out, str_eq(host->state, "online"));
    }
    put_head(out, "byre_host_maintenance", "gauge",
             "Whether the host takes no new machines.");
    ROW_FOR_EACH (struct row_hostnode, host, row_hostnode_table(r)) {
        buf_str(out, "byre_host_maintenance");
        put_label(out, '{', "host", host->name);
        put_value(out, host->maintenance);
    }
}

static void
put_pool(struct buf *out, const char *name, const struct row_pool *pool)
{
    const struct row_hostnode *host = row_pool_get_hostnode(pool);
    buf_str(out, name);
    put_label(out, '{', "pool", pool->name);
    put_label(out, ',', "host", host ? host->name : "");
}

static void
put_pools(const struct replica *r, struct buf *out)
{
    for (size_t i = 0; i < N_ELEMS(pool_metrics); i++) {
        const struct row_metric *m = &pool_metrics[i];
        put_head(out, m->name, "gauge", m->help);
        ROW_FOR_EACH (struct row_pool, pool, row_pool_table(r)) {
            const struct typed_int *value = int_at(pool, m->offset);
            if (value->has) {
                put_pool(out, m->name, pool);
                put_value(out, value->v * m->unit);
            }
        }
    }
    put_head(out, "byre_pool_state", "gauge", "1 for the state that the pool is in.");
    ROW_FOR_EACH (struct row_pool, pool, row_pool_table(r)) {
        put_pool(out, "byre_pool_state", pool);
        put_label(out, ',', "state", pool->state ? pool->state : "unknown");
        put_value(out, 1);
    }
}

static void
put_vm(struct buf *out, const char *name, const struct row_vm *vm)
{
    const struct row_hostnode *host = row_vm_get_hostnode(vm);
    buf_str(out, name);
    put_label(out, '{', "vm", vm->name);
    put_label(out, ',', "host", host ? host->name : "");
}

static void
put_vms(const struct replica *r, struct buf *out)
{
    put_head(out, "byre_vm_status", "gauge",
             "1 for what the machine is doing, as libvirt says.");
    ROW_FOR_EACH (struct row_vm, vm, row_vm_table(r)) {
        put_vm(out, "byre_vm_status", vm);
        put_label(out, ',', "status", vm->status ? vm->status : "unknown");
        put_value(out, 1);
    }
    put_head(out, "byre_vm_failed", "gauge",
             "Whether what is wanted of the machine failed.");
    ROW_FOR_EACH (struct row_vm, vm, row_vm_table(r)) {
        put_vm(out, "byre_vm_failed", vm);
        put_value(out, vm->error != NULL);
    }
    put_head(out, "byre_vm_memory_bytes", "gauge", "Memory that the machine is given.");
    ROW_FOR_EACH (struct row_vm, vm, row_vm_table(r)) {
        put_vm(out, "byre_vm_memory_bytes", vm);
        put_value(out, vm->mem * MIB);
    }
    put_head(out, "byre_vm_vcpus", "gauge", "Virtual processors of the machine.");
    ROW_FOR_EACH (struct row_vm, vm, row_vm_table(r)) {
        put_vm(out, "byre_vm_vcpus", vm);
        put_value(out, vm->vcpu);
    }
}

static void
put_jobs(const struct replica *r, struct buf *out)
{
    static const char *const states[] = { "queued", "running", "done", "failed",
                                          "cancelled" };
    size_t counts[N_ELEMS(states)] = { 0 }, n_alarms = 0;
    ROW_FOR_EACH (struct row_job, job, row_job_table(r)) {
        for (size_t i = 0; i < N_ELEMS(states); i++) {
            counts[i] += str_eq(job->state ? job->state : "queued", states[i]);
        }
    }
    put_head(out, "byre_jobs", "gauge", "Jobs that are remembered, by state.");
    for (size_t i = 0; i < N_ELEMS(states); i++) {
        buf_str(out, "byre_jobs");
        put_label(out, '{', "state", states[i]);
        put_value(out, (int64_t) counts[i]);
    }
    ROW_FOR_EACH (struct row_alarm, alarm, row_alarm_table(r)) {
        n_alarms++;
    }
    put_head(out, "byre_alarms", "gauge", "What somebody should look at.");
    buf_printf(out, "byre_alarms %zu\n", n_alarms);
}

/* Figures of the agent's answer: of a machine itself, or of each element of a list in it. */
static const struct live_metric {
    const char *name, *type, *help;
    const char *list, *label; /* NULL: of the machine. */
    const char *member;
    double unit;
} live_metrics[] = {
    /* clang-format off */
    { "byre_vm_cpu_seconds_total", "counter", "Processor time over all virtual processors.", NULL, NULL, "cpu_ms", 0.001 },
    { "byre_vm_memory_used_bytes", "gauge", "Memory in use now.", NULL, NULL, "mem_kib", KIB },
    { "byre_vm_network_receive_bytes_total", "counter", "Bytes that the machine received.", "nets", "interface", "rx", 1 },
    { "byre_vm_network_transmit_bytes_total", "counter", "Bytes that the machine sent.", "nets", "interface", "tx", 1 },
    { "byre_vm_network_receive_packets_total", "counter", "Packets that the machine received.", "nets", "interface", "prx", 1 },
    { "byre_vm_network_transmit_packets_total", "counter", "Packets that the machine sent.", "nets", "interface", "ptx", 1 },
    { "byre_vm_disk_reads_total", "counter", "Read requests.", "disks", "disk", "rd_req", 1 },
    { "byre_vm_disk_writes_total", "counter", "Write requests.", "disks", "disk", "wr_req", 1 },
    { "byre_vm_disk_read_bytes_total", "counter", "Bytes read.", "disks", "disk", "rd_bytes", 1 },
    { "byre_vm_disk_written_bytes_total", "counter", "Bytes written.", "disks", "disk", "wr_bytes", 1 },
    /* clang-format on */
};

static void
put_live(struct buf *out, const struct live_metric *m, const char *vm, const char *element,
         const struct json *from)
{
    int64_t value;
    if (!json_get_int(from, m->member, &value)) {
        return;
    }
    buf_str(out, m->name);
    put_label(out, '{', "vm", vm);
    if (m->label) {
        put_label(out, ',', m->label, element);
    }
    if (m->unit < 1) {
        buf_printf(out, "} %.3f\n", (double) value * m->unit);
    } else {
        put_value(out, value * (int64_t) m->unit);
    }
}

static void
put_top(const struct json *domains, struct buf *out)
{
    for (size_t i = 0; i < N_ELEMS(live_metrics); i++) {
        const struct live_metric *m = &live_metrics[i];
        put_head(out, m->name, m->type, m->help);
        for (uint32_t k = 0; k < domains->n; k++) {
            const struct json *domain = &domains->elems[k];
            const char *vm = json_get_string(domain, "name");
            const struct json *list = m->list ? json_get(domain, m->list) : NULL;
            if (!m->list) {
                put_live(out, m, vm, NULL, domain);
            }
            for (uint32_t e = 0; list && json_is(list, JSON_ARRAY) && e < list->n; e++) {
                const struct json *element = &list->elems[e];
                put_live(out, m, vm, json_get_string(element, "name"), element);
            }
        }
    }
}

void
metrics_print(const struct replica *r, bool database_up, const struct json *top,
              struct buf *out)
{
    const struct json *domains = top ? json_get(top, "domains") : NULL;

    put_head(out, "byre_database_up", "gauge", "Whether what is said of rows is current.");
    buf_printf(out, "byre_database_up %d\n", database_up);
    put_head(out, "byre_agent_up", "gauge", "Whether this host's agent answers.");
    buf_printf(out, "byre_agent_up %d\n", domains != NULL);
    if (database_up) {
        put_hosts(r, out);
        put_pools(r, out);
        put_vms(r, out);
        put_jobs(r, out);
    }
    if (domains && json_is(domains, JSON_ARRAY)) {
        put_top(domains, out);
    }
}
