/* cli/top.c: one screen of `byre top`. */
#include "cli/top_i.h"

#include <fnmatch.h>
#include <stdio.h>

#include "base/str.h"
#include "base/vec.h"

#define N_COLUMNS 19
#define SECTOR 512

const char *const top_sort_names[N_TOP_SORTS] = { "name",  "cpu(sec)", "cpu",
                                                  "mem",   "vcpus",    "nettx",
                                                  "netrx", "reads",    "writes" };

/* A machine, and what it is sorted by. */
struct line {
    const struct json *domain;
    const char *name;
    double keys[N_TOP_SORTS]; /* But the name. */
    char *cells[N_COLUMNS];
};

bool
top_sort_parse(const char *name, enum top_sort *ret)
{
    for (int i = 0; i < N_TOP_SORTS; i++) {
        if (str_eq(name, top_sort_names[i])) {
            *ret = (enum top_sort) i;
            return true;
        }
    }
    return false;
}

static int64_t
total(const struct json *domain, const char *list, const char *member)
{
    const struct json *devices = json_get(domain, list);
    int64_t sum = 0;
    for (uint32_t i = 0; devices && i < devices->n; i++) {
        sum += (int64_t) json_get_number(&devices->elems[i], member);
    }
    return sum;
}

static int64_t
count(const struct json *domain, const char *list)
{
    const struct json *devices = json_get(domain, list);
    return devices ? devices->n : 0;
}

/* Dying, shut down, blocked, crashed, paused, running: xentop's order, not that of xm list. */
static const char *
state_flags(const char *status)
{
    static const struct {
        const char *status, *flags;
    } states[] = { { "running", "-----r" },  { "idle", "--b---" },
                   { "paused", "----p-" },   { "shutdown", "d-----" },
                   { "shutoff", "-s----" },  { "crashed", "---c--" },
                   { "suspended", "----p-" } };
    for (size_t i = 0; i < N_ELEMS(states); i++) {
        if (str_eq(states[i].status, status)) {
            return states[i].flags;
        }
    }
    return "------";
}

/* Names may come from others: no control characters reach a terminal. */
static char *
printable(const char *text)
{
    char *copy = str_dup(text);
    for (char *p = copy; *p; p++) {
        *p = (unsigned char) *p < ' ' || *p == 127 ? '?' : *p;
    }
    return copy;
}

static void
fill_cells(struct line *line, double host_kib)
{
    const struct json *d = line->domain;
    const char *status = json_get_string(d, "status");
    double mem = json_get_number(d, "mem_kib"), max = json_get_number(d, "max_mem_kib");
    char **c = line->cells;

    *c++ = printable(line->name);
    *c++ = str_dup(state_flags(status));
    *c++ = str_dupf("%.0f", json_get_number(d, "cpu_ms") / 1000);
    *c++ = str_dupf("%.1f", line->keys[TOP_CPU]);
    *c++ = str_dupf("%.0f", mem);
    *c++ = str_dupf("%.1f", host_kib > 0 ? 100 * mem / host_kib : 0);
    *c++ = str_dupf("%.0f", max);
    *c++ = str_dupf("%.1f", host_kib > 0 ? 100 * max / host_kib : 0);
    *c++ = str_dupf("%.0f", json_get_number(d, "vcpu"));
    *c++ = str_dupf("%" PRId64, count(d, "nets"));
    *c++ = str_dupf("%" PRId64, total(d, "nets", "tx") / 1024);
    *c++ = str_dupf("%" PRId64, total(d, "nets", "rx") / 1024);
    *c++ = str_dupf("%" PRId64, count(d, "disks"));
    *c++ = str_dup("0"); /* Out of ring slots: Xen's own. */
    *c++ = str_dupf("%" PRId64, total(d, "disks", "rd_req"));
    *c++ = str_dupf("%" PRId64, total(d, "disks", "wr_req"));
    *c++ = str_dupf("%" PRId64, total(d, "disks", "rd_bytes") / SECTOR);
    *c++ = str_dupf("%" PRId64, total(d, "disks", "wr_bytes") / SECTOR);
    *c++ = str_dup("0");
}

static void
fill_keys(struct line *line)
{
    const struct json *d = line->domain, *rates = json_get(d, "rates");
    line->keys[TOP_CPU_S] = json_get_number(d, "cpu_ms");
    line->keys[TOP_CPU] =
        json_get_number(rates, "cpu_ms") / 10; /* ms a second -> per cent of one CPU. */
    line->keys[TOP_MEM] = json_get_number(d, "mem_kib");
    line->keys[TOP_VCPUS] = json_get_number(d, "vcpu");
    line->keys[TOP_NETTX] = json_get_number(rates, "tx");
    line->keys[TOP_NETRX] = json_get_number(rates, "rx");
    line->keys[TOP_RD] = json_get_number(rates, "rd_bytes");
    line->keys[TOP_WR] = json_get_number(rates, "wr_bytes");
}

static int
by_view(const void *a, const void *b, void *aux)
{
    const struct line *x = a, *y = b;
    const struct top_view *view = aux;
    int names = strcmp(x->name, y->name);
    double difference = y->keys[view->sort] - x->keys[view->sort]; /* The largest first. */
    int order = view->sort == TOP_NAME ? names
                : difference > 0       ? 1
                : difference < 0       ? -1
                                       : names;
    return view->reverse ? -order : order;
}

static void
print_head(struct buf *out, const struct json *sample, const struct top_view *view,
           const struct line *lines, size_t n)
{
    static const struct {
        const char *status, *word;
    } words[] = { { "running", "running" }, { "idle", "blocked" },
                  { "paused", "paused" },   { "crashed", "crashed" },
                  { "shutdown", "dying" },  { "shutoff", "shutdown" } };
    const struct json *host = json_get(sample, "host");
    double mem = json_get_number(host, "mem_kib"),
           free_kib = json_get_number(host, "mem_free_kib");

    buf_printf(out, "byre top - %s   %s\n", view->time,
               host && json_get_string(host, "name") ? json_get_string(host, "name") : "");
    buf_printf(out, "%zu domains:", n);
    for (size_t w = 0; w < N_ELEMS(words); w++) {
        int of_them = 0;
        for (size_t i = 0; i < n; i++) {
            of_them += str_eq(json_get_string(lines[i].domain, "status"), words[w].status);
        }
        buf_printf(out, "%s %d %s", w ? "," : "", of_them, words[w].word);
    }
    const char *trouble = json_get_string(sample, "trouble");
    if (trouble) { /* Its first line; the list is of before. */
        CLEANUP(free_drop) char *text = printable(trouble);
        buf_printf(out, "   (not current: %.*s)", (int) strcspn(trouble, "\n"), text);
    }
    buf_printf(out, "\nMem: %.0fk total, %.0fk used, %.0fk free    CPUs: %.0f @ %.0fMHz\n",
               mem, mem - free_kib, free_kib, json_get_number(host, "cpus"),
               json_get_number(host, "mhz"));
}

static void
print_row(struct buf *out, char *const *cells, const int *widths)
{
    for (int c = 0; c < N_COLUMNS; c++) {
        /* Names to the left: they begin at one place however long they are. */
        buf_printf(out, c == 0 ? "%-*s" : " %*s", widths[c], cells[c]);
    }
    buf_char(out, '\n');
}

static void
print_devices(struct buf *out, const struct json *d, const struct top_view *view)
{
    const struct json *nets = json_get(d, "nets"), *disks = json_get(d, "disks"),
                      *vcpus = json_get(d, "vcpus_ms");

    for (uint32_t i = 0; view->vcpus && vcpus && i < vcpus->n; i++) {
        buf_printf(out, "%s%u: %" PRId64 "s", i ? "  " : "  VCPUs(sec): ", i,
                   vcpus->elems[i].integer / 1000);
    }
    if (view->vcpus && vcpus && vcpus->n) {
        buf_char(out, '\n');
    }
    for (uint32_t i = 0; view->networks && nets && i < nets->n; i++) {
        const struct json *net = &nets->elems[i];
        buf_printf(out, "  Net%u %s RX: %.0fbytes %.0fpkts  TX: %.0fbytes %.0fpkts\n", i,
                   json_get_string(net, "name"), json_get_number(net, "rx"),
                   json_get_number(net, "prx"), json_get_number(net, "tx"),
                   json_get_number(net, "ptx"));
    }
    for (uint32_t i = 0; view->disks && disks && i < disks->n; i++) {
        const struct json *disk = &disks->elems[i];
        buf_printf(out, "  VBD %s RD: %.0f  WR: %.0f  RSECT: %.0f  WSECT: %.0f\n",
                   json_get_string(disk, "name"), json_get_number(disk, "rd_req"),
                   json_get_number(disk, "wr_req"),
                   json_get_number(disk, "rd_bytes") / SECTOR,
                   json_get_number(disk, "wr_bytes") / SECTOR);
    }
}

static void
print_lines(struct buf *out, const struct line *lines, size_t n,
            const struct top_view *view)
{
    static char *const header[N_COLUMNS] = {
        "NAME",      "STATE",  "CPU(sec)",  "CPU(%)",    "MEM(k)",   "MEM(%)", "MAXMEM(k)",
        "MAXMEM(%)", "VCPUS",  "NETS",      "NETTX(k)",  "NETRX(k)", "VBDS",   "VBD_OO",
        "VBD_RD",    "VBD_WR", "VBD_RSECT", "VBD_WSECT", "SSID"
    };
    int widths[N_COLUMNS], left = view->rows ? view->rows - 4 : INT32_MAX;

    for (int c = 0; c < N_COLUMNS; c++) {
        widths[c] = (int) strlen(header[c]);
        for (size_t i = 0; i < n; i++) {
            widths[c] = (int) max64(widths[c], (int64_t) strlen(lines[i].cells[c]));
        }
    }
    print_row(out, header, widths);
    for (size_t i = (size_t) max64(view->first, 0); i < n && left-- > 0; i++) {
        print_row(out, lines[i].cells, widths);
        print_devices(out, lines[i].domain, view);
    }
}

bool
top_is_shown(const struct json *domain, const struct top_view *view)
{
    const char *name = json_get_string(domain, "name");
    return name && (!view->filter || fnmatch(view->filter, name, 0) == 0);
}

void
top_print(struct buf *out, const struct json *sample, const struct top_view *view)
{
    const struct json *domains = json_get(sample, "domains");
    VEC(struct line) lines = VEC_INIT;

    for (uint32_t i = 0; domains && i < domains->n; i++) {
        if (top_is_shown(&domains->elems[i], view)) {
            struct line *line = VEC_ADD(&lines);
            line->domain = &domains->elems[i];
            line->name = json_get_string(line->domain, "name");
            fill_keys(line);
            fill_cells(line, json_get_number(json_get(sample, "host"), "mem_kib"));
        }
    }
    if (lines.n) {
        qsort_r(lines.v, lines.n, sizeof *lines.v, by_view, (void *) view);
    }
    print_head(out, sample, view, lines.v, lines.n);
    print_lines(out, lines.v, lines.n, view);
    for (size_t i = 0; i < lines.n; i++) {
        for (int c = 0; c < N_COLUMNS; c++) {
            free(lines.v[i].cells[c]);
        }
    }
    VEC_DONE(&lines);
}
