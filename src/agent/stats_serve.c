/* agent/stats_serve.c: answers about what machines use: now (from memory), and then (from the store). */
#include "agent/stats_i.h"

#include <stdio.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "agent/service_i.h"
#include "base/clock.h"
#include "base/fs.h"
#include "json/decode.h"
#include "virt/hot.h"

#define CPUINFO_MAX_BYTES (4 * MIB)
#define ROWS_MAX 5000000 /* In one answer. */

static void
put_int(struct arena *a, struct json *object, const char *name, int64_t value)
{
    json_put(a, object, name, json_int(value));
}

static struct json
nets_json(struct arena *a, const struct virt_sample *s)
{
    struct json list = json_array();
    for (size_t i = 0; i < s->n_nets; i++) {
        struct json net = json_object();
        json_put(a, &net, "name", json_string(a, s->nets[i].name));
        put_int(a, &net, "rx", (int64_t) s->nets[i].rx);
        put_int(a, &net, "tx", (int64_t) s->nets[i].tx);
        put_int(a, &net, "prx", (int64_t) s->nets[i].prx);
        put_int(a, &net, "ptx", (int64_t) s->nets[i].ptx);
        json_add(a, &list, net);
    }
    return list;
}

static struct json
disks_json(struct arena *a, const struct virt_sample *s)
{
    struct json list = json_array();
    for (size_t i = 0; i < s->n_disks; i++) {
        struct json disk = json_object();
        json_put(a, &disk, "name", json_string(a, s->disks[i].name));
        put_int(a, &disk, "rd_req", (int64_t) s->disks[i].rd_req);
        put_int(a, &disk, "wr_req", (int64_t) s->disks[i].wr_req);
        put_int(a, &disk, "rd_bytes", (int64_t) s->disks[i].rd_bytes);
        put_int(a, &disk, "wr_bytes", (int64_t) s->disks[i].wr_bytes);
        json_add(a, &list, disk);
    }
    return list;
}

static struct json
domain_begin(struct arena *a, const struct uuid *uuid, const char *name,
             enum virt_state state, int domid)
{
    struct json domain = json_object();
    json_put(a, &domain, "uuid", json_string(a, UUID_TEXT(uuid)));
    json_put(a, &domain, "name", json_string(a, name));
    json_put(a, &domain, "status", json_string_ref(virt_state_name(state)));
    put_int(a, &domain, "domid", domid);
    return domain;
}

static struct json
sampled_json(struct arena *a, const struct virt_sample *s, enum virt_state state,
             const struct meter_vm *metered)
{
    struct json domain = domain_begin(a, &s->uuid, s->name, state, s->domid);
    struct json rates = json_object(), vcpus = json_array();

    json_put(a, &domain, "sampled", json_bool(true));
    json_put(a, &domain, "partial", json_bool(s->partial));
    put_int(a, &domain, "cpu_ms", (int64_t) (s->cpu_ns / 1000000));
    put_int(a, &domain, "mem_kib", s->mem_kib);
    put_int(a, &domain, "max_mem_kib", s->max_mem_kib);
    put_int(a, &domain, "vcpu", s->vcpus);
    for (size_t i = 0; i < s->n_vcpus; i++) {
        json_add(a, &vcpus, json_int((int64_t) (s->vcpu_ns[i] / 1000000)));
    }
    json_put(a, &domain, "vcpus_ms", vcpus);
    json_put(a, &domain, "nets", nets_json(a, s));
    json_put(a, &domain, "disks", disks_json(a, s));
    for (int i = 0; i < N_STAT_COUNTERS && metered && metered->has_rates; i++) {
        json_put(a, &rates, stat_counter_names[i], json_real(metered->rates[i]));
    }
    json_put(a, &domain, "rates", rates);
    return domain;
}

/* It runs, and has not been sampled. */
static struct json
seen_json(struct arena *a, const struct virt_dom *dom)
{
    struct json domain = domain_begin(a, &dom->uuid, dom->name, dom->state, dom->domid);
    int64_t now_mib = dom->live ? dom->live->d.mem_mib : dom->mem_mib;

    json_put(a, &domain, "sampled", json_bool(false));
    json_put(a, &domain, "partial", json_bool(true));
    put_int(a, &domain, "mem_kib", now_mib * 1024);
    put_int(a, &domain, "max_mem_kib", dom->mem_mib * 1024);
    put_int(a, &domain, "vcpu", dom->vcpus);
    json_put(a, &domain, "vcpus_ms", json_array());
    json_put(a, &domain, "nets", json_array());
    json_put(a, &domain, "disks", json_array());
    json_put(a, &domain, "rates", json_object());
    return domain;
}

/* What runs is what libvirt's events say; the last sample knows how busy it is.  A sample of an earlier run
 * does not count. */
static struct json
seen_domains(struct arena *a, const struct stats *s)
{
    struct json domains = json_array();
    HMAP_FOR_EACH (struct seen, seen, node, &s->agent->seen) {
        const struct virt_dom *dom = &seen->dom;
        if (seen->gone || dom->domid < 0) {
            continue;
        }
        const struct live *live = live_find(s, &dom->uuid);
        bool sampled = live && live->sample.domid == dom->domid;
        json_add(a, &domains,
                 sampled ? sampled_json(a, &live->sample, dom->state,
                                        meter_find(&s->meter, &dom->uuid))
                         : seen_json(a, dom));
    }
    return domains;
}

/* "cpu MHz		: 2445.404"; 0: not told. */
static int64_t
host_mhz(void)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct err *e = fs_read("/proc/cpuinfo", CPUINFO_MAX_BYTES, &text);
    const char *at = e ? NULL : strstr(buf_cstr(&text), "cpu MHz");
    int mhz = 0;
    err_free(e);
    return at && sscanf(at, "cpu MHz : %d", &mhz) == 1 ? mhz : 0;
}

static struct json
host_json(struct request *r)
{
    struct arena *a = &r->arena;
    struct json host = json_object();
    struct sysinfo info;
    char name[256] = "";

    gethostname(name, sizeof name - 1);
    json_put(a, &host, "name", json_string(a, name));
    put_int(a, &host, "cpus", r->stats.cpus);
    put_int(a, &host, "mhz", host_mhz());
    if (sysinfo(&info) == 0) {
        put_int(a, &host, "mem_kib", (int64_t) info.totalram * info.mem_unit / KIB);
        put_int(a, &host, "mem_free_kib", (int64_t) info.freeram * info.mem_unit / KIB);
    }
    return host;
}

/* In a thread: what the kernel tells of many processors takes its time. */
static void
top_serve(struct request *r)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    struct json answer = json_object();

    json_put(&r->arena, &r->json, "host", host_json(r));
    json_put(&r->arena, &answer, "result", r->json);
    json_print(&answer, 0, &line);
    service_send_line(r->fd, &line);
}

struct err *
stats_top_prepare(struct request *r, struct decode *d)
{
    struct stats *s = r->agent->stats;
    struct arena *a = &r->arena;
    struct json result = json_object();

    TRY(decode_end(d));
    stats_looked_at(s);
    json_put(a, &result, "at", json_int(s->live_at_ms));
    json_put(a, &result, "domains", seen_domains(a, s));
    if (!r->agent->listed) {
        json_put(a, &result, "trouble",
                 json_string(a, r->agent->trouble ? r->agent->trouble
                                                  : "libvirt has not answered yet"));
    }
    r->json = result;
    r->stats.cpus = r->agent->host.cpus;
    r->run = top_serve;
    return NULL;
}

/* What was stored.  It has a connection of its own: readers don't wait for the writer. */

struct reading_job {
    struct request *r;
    int64_t n_rows;
};

static struct err *
on_row(void *aux, const struct sql_got *got)
{
    struct reading_job *job = aux;
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    struct json row = json_object();

    if (++job->n_rows > ROWS_MAX) {
        return err_hint(err_new(ERR_CONSTRAINT, "more than %d rows", ROWS_MAX),
                        "ask for a shorter time, or name a machine");
    } else if (job->r->cancel) {
        return err_new(ERR_CANCELED, "canceled");
    }
    json_put(&a, &row, "vm", json_string(&a, got->name));
    json_put(&a, &row, "uuid", json_string(&a, got->uuid));
    put_int(&a, &row, "begin", got->slot.begin_s);
    put_int(&a, &row, "count", got->count);
    put_int(&a, &row, "mem",
            got->slot.samples ? got->slot.mem_sum_kib / got->slot.samples : 0);
    put_int(&a, &row, "mem_max", got->slot.mem_max_kib);
    for (int i = 0; i < N_STAT_COUNTERS; i++) {
        put_int(&a, &row, stat_counter_names[i], (int64_t) got->slot.sums[i]);
    }
    json_print(&row, 0, &line);
    buf_char(&line, '\n');
    return fd_write_all(job->r->passed_fd, line.data, line.n);
}

static struct err *
read_store(struct request *r, struct reading_job *job)
{
    CLEANUP(sql_drop) struct sql *sql = NULL;
    TRY(sql_open(r->agent->stats->url, &sql));
    return sql_read(sql, r->stats.table, r->stats.has_uuid ? &r->domain : NULL,
                    r->stats.from_s, r->stats.to_s, on_row, job);
}

static void
read_serve(struct request *r)
{
    struct reading_job job = { .r = r };
    CLEANUP(err_drop) struct err *e = read_store(r, &job);
    CLEANUP(buf_done) struct buf line = BUF_INIT;

    if (e) {
        service_send_error(r->fd, e);
        return;
    }
    buf_printf(&line, "{\"result\":{\"rows\":%" PRId64 "}}", job.n_rows);
    service_send_line(r->fd, &line);
}

struct err *
stats_read_prepare(struct request *r, struct decode *d)
{
    static const char *const steps[N_SQL_TABLES] = { "minute", "hour", "day" };
    const char *step = decode_string(d, "step", DECODE_OPTIONAL, "minute");
    const char *uuid = decode_string(d, "uuid", DECODE_OPTIONAL, NULL);

    r->stats.from_s = decode_int(d, "from", 0, 0, 0, INT64_MAX / 2);
    r->stats.to_s = decode_int(d, "to", 0, 0, 0, INT64_MAX / 2);
    TRY(decode_end(d));
    r->stats.has_uuid = uuid != NULL;
    if (uuid && !uuid_parse(uuid, &r->domain)) {
        return err_new(ERR_SYNTAX, "\"%s\" is no UUID", uuid);
    } else if (r->passed_fd < 0) {
        return err_new(ERR_SYNTAX, "a file must come along with the request");
    } else if (!r->agent->stats->url) {
        return err_hint(err_new(ERR_UNSUPPORTED, "this agent stores no statistics"),
                        "byre-agentd --stats URL, or [agent] stats in byred's file");
    }
    for (int i = 0; i < N_SQL_TABLES; i++) {
        if (str_eq(step, steps[i])) {
            r->stats.table = (enum sql_table) i;
            r->run = read_serve;
            return NULL;
        }
    }
    return err_new(ERR_SYNTAX, "a step is minute, hour or day, not \"%s\"", step);
}
