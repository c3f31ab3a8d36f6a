/* virt/sample.c: reads libvirt's flat list of "net.0.rx.bytes" = N into the shapes of sample.h. */
#include "virt/sample.h"

#include <stdio.h>

#include "base/str.h"
#include "virt/conn_i.h"

#define WANTED                                                                             \
    (VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_CPU_TOTAL | VIR_DOMAIN_STATS_BALLOON |      \
     VIR_DOMAIN_STATS_VCPU | VIR_DOMAIN_STATS_INTERFACE | VIR_DOMAIN_STATS_BLOCK)

static uint64_t
number(const virTypedParameter *p)
{
    switch (p->type) {
    case VIR_TYPED_PARAM_INT: return (uint64_t) p->value.i;
    case VIR_TYPED_PARAM_UINT: return p->value.ui;
    case VIR_TYPED_PARAM_LLONG: return (uint64_t) p->value.l;
    case VIR_TYPED_PARAM_ULLONG: return p->value.ul;
    default: return 0;
    }
}

/* "net.12.rx.bytes" with kind "net": 12, and "rx.bytes".  False: another one. */
static bool
indexed(const char *field, const char *kind, size_t *ret_i, const char **ret_rest)
{
    size_t n = strlen(kind), i = 0;
    if (strncmp(field, kind, n) != 0 || field[n] != '.') {
        return false;
    }
    const char *p = field + n + 1;
    if (*p < '0' || *p > '9') {
        return false;
    }
    while (*p >= '0' && *p <= '9' && i < VIRT_SAMPLE_MAX_DEVICES) {
        i = i * 10 + (size_t) (*p++ - '0');
    }
    *ret_i = i;
    *ret_rest = *p == '.' ? p + 1 : "";
    return *p == '.';
}

static void
net_field(struct virt_sample_net *net, const char *field, const virTypedParameter *p)
{
    if (str_eq(field, "name") && p->type == VIR_TYPED_PARAM_STRING) {
        snprintf(net->name, sizeof net->name, "%s", p->value.s);
    } else if (str_eq(field, "rx.bytes")) {
        net->rx = number(p);
    } else if (str_eq(field, "tx.bytes")) {
        net->tx = number(p);
    } else if (str_eq(field, "rx.pkts")) {
        net->prx = number(p);
    } else if (str_eq(field, "tx.pkts")) {
        net->ptx = number(p);
    } else if (str_eq(field, "rx.errs") || str_eq(field, "tx.errs")) {
        net->errs += number(p);
    }
}

static void
disk_field(struct virt_sample_disk *disk, const char *field, const virTypedParameter *p)
{
    if (str_eq(field, "name") && p->type == VIR_TYPED_PARAM_STRING) {
        snprintf(disk->name, sizeof disk->name, "%s", p->value.s);
    } else if (str_eq(field, "rd.reqs")) {
        disk->rd_req = number(p);
    } else if (str_eq(field, "wr.reqs")) {
        disk->wr_req = number(p);
    } else if (str_eq(field, "rd.bytes")) {
        disk->rd_bytes = number(p);
    } else if (str_eq(field, "wr.bytes")) {
        disk->wr_bytes = number(p);
    }
}

/* The one value without an index.  What is missing shows as 'partial'. */
static void
plain_field(struct virt_sample *s, const virTypedParameter *p)
{
    if (str_eq(p->field, "state.state")) {
        s->state = virt_state_of((int) number(p));
    } else if (str_eq(p->field, "cpu.time")) {
        s->cpu_ns = number(p);
    } else if (str_eq(p->field, "balloon.current")) {
        s->mem_kib = (int64_t) number(p);
    } else if (str_eq(p->field, "balloon.maximum")) {
        s->max_mem_kib = (int64_t) number(p);
    } else if (str_eq(p->field, "balloon.rss")) {
        s->rss_kib = (int64_t) number(p);
    } else if (str_eq(p->field, "vcpu.current")) {
        s->vcpus = (int64_t) number(p);
    }
}

static size_t
count_of(const virTypedParameter *params, int n, const char *field)
{
    for (int i = 0; i < n; i++) {
        if (str_eq(params[i].field, field)) {
            return (size_t) min64((int64_t) number(&params[i]), VIRT_SAMPLE_MAX_DEVICES);
        }
    }
    return 0;
}

static bool
has_field(const virTypedParameter *params, int n, const char *field)
{
    for (int i = 0; i < n; i++) {
        if (str_eq(params[i].field, field)) {
            return true;
        }
    }
    return false;
}

static void
read_record(const virDomainStatsRecord *record, struct virt_sample *s)
{
    const virTypedParameter *params = record->params;
    int n = record->nparams;
    size_t i;
    const char *field;

    virDomainGetUUID(record->dom, s->uuid.b);
    s->name = str_dup(virDomainGetName(record->dom));
    s->domid = (int) virDomainGetID(record->dom);
    s->n_nets = count_of(params, n, "net.count");
    s->n_disks = count_of(params, n, "block.count");
    s->n_vcpus = count_of(params, n, "vcpu.maximum");
    s->nets = xcalloc(s->n_nets + 1, sizeof *s->nets);
    s->disks = xcalloc(s->n_disks + 1, sizeof *s->disks);
    s->vcpu_ns = xcalloc(s->n_vcpus + 1, sizeof *s->vcpu_ns);
    for (int k = 0; k < n; k++) {
        if (indexed(params[k].field, "net", &i, &field)) {
            net_field(&s->nets[min64((int64_t) i, (int64_t) s->n_nets)], field, &params[k]);
        } else if (indexed(params[k].field, "block", &i, &field)) {
            disk_field(&s->disks[min64((int64_t) i, (int64_t) s->n_disks)], field,
                       &params[k]);
        } else if (indexed(params[k].field, "vcpu", &i, &field) && str_eq(field, "time")) {
            s->vcpu_ns[min64((int64_t) i, (int64_t) s->n_vcpus)] = number(&params[k]);
        } else {
            plain_field(s, &params[k]);
        }
    }
    /* An empty drive has no counters even of a guest that answers. */
    s->partial = s->n_disks > 0;
    for (size_t d = 0; d < s->n_disks && s->partial; d++) {
        char name[48];
        snprintf(name, sizeof name, "block.%zu.rd.reqs", d);
        s->partial = !has_field(params, n, name);
    }
    s->partial |= !has_field(params, n, "cpu.time");
}

void
virt_samples_done(struct virt_samples *samples)
{
    for (size_t i = 0; i < samples->n; i++) {
        free(samples->v[i].name);
        free(samples->v[i].nets);
        free(samples->v[i].disks);
        free(samples->v[i].vcpu_ns);
    }
    free(samples->v);
    *samples = VIRT_SAMPLES_INIT;
}

struct err *
virt_sample_all(struct virt *v, struct virt_samples *ret)
{
    CLEANUP(virt_conn_drop) virConnectPtr conn = NULL;
    virDomainStatsRecordPtr *records = NULL;

    TRY(virt_conn_take(v, &conn));
    int n = virConnectGetAllDomainStats(conn, WANTED, &records,
                                        VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE |
                                            VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
    if (n < 0) {
        return virt_last_error(v, "statistics of the domains");
    }
    ret->v = xcalloc((size_t) n + 1, sizeof *ret->v);
    ret->n = (size_t) n;
    for (int i = 0; i < n; i++) {
        read_record(records[i], &ret->v[i]);
    }
    virDomainStatsRecordListFree(records);
    return NULL;
}
