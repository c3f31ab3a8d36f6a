/* cli/cmd_stats.c: what machines used: graphs, rows, and traffic for bills.
 *
 * The agent of this host writes the rows into a file that goes along with the request, so that no
 * answer is too long. */
#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cli/agent_i.h"
#include "cli/list_i.h"
#include "base/when.h"

#define GRAPH_COLUMNS 48
#define ANSWER_MAX_BYTES ((size_t) 2 << 30)
#define DAY_S 86400

enum step { STEP_MINUTE, STEP_HOUR, STEP_DAY, N_STEPS };
static const char *const step_names[N_STEPS] = { "minute", "hour", "day" };
static const int64_t step_s[N_STEPS] = { 300, 3600, DAY_S };
static const char *const step_lengths[N_STEPS] = { "5 minutes", "an hour", "a day" };
static const int64_t finer_s[N_STEPS] = { 10, 300, 3600 }; /* What 'count' counts. */

/* One question. */
struct span {
    int64_t from_s, to_s;
    enum step step;
};

/* Steps so fine that the rows are still there, and not too many. */
static enum step
fitting_step(int64_t now_s, int64_t from_s, int64_t to_s)
{
    return to_s - from_s <= 2 * DAY_S && now_s - from_s <= 5 * DAY_S     ? STEP_MINUTE
           : to_s - from_s <= 62 * DAY_S && now_s - from_s <= 33 * DAY_S ? STEP_HOUR
                                                                         : STEP_DAY;
}

static struct err *
read_span(const struct args *args, const char *from_default, struct span *ret)
{
    int64_t now_s = clock_wall_ms() / 1000;
    const char *from = args_get(args, "from"), *to = args_get(args, "to"),
               *step = args_get(args, "step");

    TRY(when_parse(from ? from : from_default, now_s, &ret->from_s));
    TRY(when_parse(to ? to : "now", now_s, &ret->to_s));
    if (ret->from_s >= ret->to_s) {
        return err_hint(err_new(ERR_SYNTAX, "the time ends before it begins"),
                        "--from must lie before --to");
    }
    ret->step = fitting_step(now_s, ret->from_s, ret->to_s);
    for (int i = 0; step && i < N_STEPS; i++) {
        if (str_eq(step, step_names[i])) {
            ret->step = (enum step) i;
            return NULL;
        }
    }
    return step ? err_hint(err_new(ERR_SYNTAX, "\"%s\" is no step", step),
                           "--step minute, hour or day")
                : NULL;
}

/* Asks, and maps the answer: lines of JSON.  The caller unmaps. */
static struct err *
ask(struct cli *cli, const struct span *span, const struct uuid *uuid, char **ret,
    size_t *ret_n)
{
    struct arena *a = &cli->arena;
    struct json request = json_object(), result;
    CLEANUP(fd_done) int fd = memfd_create("byre-stats", MFD_CLOEXEC);
    if (fd < 0) {
        return err_io(errno, "memory for the answer");
    }
    json_put(a, &request, "method", json_string_ref("stats"));
    json_put(a, &request, "from", json_int(span->from_s));
    json_put(a, &request, "to", json_int(span->to_s));
    json_put(a, &request, "step", json_string_ref(step_names[span->step]));
    if (uuid) {
        json_put(a, &request, "uuid", json_string(a, UUID_TEXT(uuid)));
    }
    int64_t deadline_ms = clock_mono_ms() + (cli->timeout_ms ? cli->timeout_ms : INT32_MAX);
    TRY(err_wrap(agent_call(cli, &request, fd, deadline_ms, "stats", &result, NULL),
                 "stats"));
    off_t size = lseek(fd, 0, SEEK_END);
    *ret_n = size > 0 ? (size_t) size : 0;
    *ret = NULL;
    if (*ret_n > ANSWER_MAX_BYTES) {
        return err_hint(err_new(ERR_CONSTRAINT, "the answer is too long"),
                        "ask for a shorter time, or name a machine");
    } else if (*ret_n) {
        *ret = mmap(NULL, *ret_n, PROT_READ, MAP_PRIVATE, fd, 0);
        if (*ret == MAP_FAILED) {
            return err_io(errno, "the answer");
        }
    }
    return NULL;
}

/* Calls 'each' for every row of the answer. */
static struct err *
for_each_row(struct cli *cli, const struct span *span, const struct uuid *uuid,
             void (*each)(void *aux, const struct json *row), void *aux)
{
    char *text = NULL;
    size_t n = 0;
    TRY(ask(cli, span, uuid, &text, &n));
    struct err *e = NULL;
    for (size_t at = 0; at < n && !e;) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        const char *end = memchr(text + at, '\n', n - at);
        size_t length = end ? (size_t) (end - text) - at : n - at;
        struct json row;
        e = err_wrap(json_parse(&arena, text + at, length, &row), "the agent's answer");
        if (!e) {
            each(aux, &row);
        }
        at += length + 1;
    }
    if (text) {
        munmap(text, n);
    }
    return e;
}

static int64_t
cell(const struct json *row, const char *name)
{
    int64_t n = 0;
    return json_get_int(row, name, &n) ? n : 0;
}

/* Rows, for -o csv, json and so on. */

static const struct {
    const char *name;
    enum out_unit unit;
} row_columns[] = {
    { "count", UNIT_NONE },   { "cpu_ms", UNIT_NONE },    { "mem", UNIT_NONE },
    { "mem_max", UNIT_NONE }, { "rx", UNIT_BYTES },       { "tx", UNIT_BYTES },
    { "prx", UNIT_NONE },     { "ptx", UNIT_NONE },       { "rd_req", UNIT_NONE },
    { "wr_req", UNIT_NONE },  { "rd_bytes", UNIT_BYTES }, { "wr_bytes", UNIT_BYTES },
    { "errs", UNIT_NONE },
};

static void
add_row(void *aux, const struct json *row)
{
    struct out_table *table = aux;
    const char *name = json_get_string(row, "vm");
    struct json *cells = out_add_row(table, name ? name : "");
    cells[0] = json_string(&table->arena, name ? name : "");
    cells[1] = json_int(cell(row, "begin") * 1000);
    for (size_t i = 0; i < N_ELEMS(row_columns); i++) {
        cells[2 + i] = json_int(cell(row, row_columns[i].name));
    }
}

static void
begin_rows(struct out_table *table)
{
    out_add_column(table, "vm", UNIT_NONE, false);
    out_add_column(table, "begin", UNIT_TIME_MS, false);
    for (size_t i = 0; i < N_ELEMS(row_columns); i++) {
        out_add_column(table, row_columns[i].name, row_columns[i].unit, false);
    }
}

/* Graphs, for people. */

static const struct {
    const char *title, *column;
    double scale; /* From a slot's sum to the value shown: per second if 'rate'. */
    bool rate;
    const char *unit;
} graphs[] = {
    { "cpu", "cpu_ms", 0.1, true, "%" }, /* ms a second -> per cent of one CPU. */
    { "memory", "mem", 1024, false, "B" },     { "received", "rx", 1, true, "B/s" },
    { "sent", "tx", 1, true, "B/s" },          { "read", "rd_bytes", 1, true, "B/s" },
    { "written", "wr_bytes", 1, true, "B/s" },
};

/* Slots weigh as much as was seen of them: a machine that ran for one minute of five used what it used in
 * that minute. */
struct plot {
    const struct span *span;
    int64_t n_rows, first_s;
    double seen_s;
    double sum[N_ELEMS(graphs)][GRAPH_COLUMNS], max[N_ELEMS(graphs)],
        total[N_ELEMS(graphs)], last[N_ELEMS(graphs)];
    double column_s[GRAPH_COLUMNS];
};

static void
plot_row(void *aux, const struct json *row)
{
    struct plot *p = aux;
    const struct span *span = p->span;
    int64_t at =
        (cell(row, "begin") - span->from_s) * GRAPH_COLUMNS / (span->to_s - span->from_s);
    size_t column = (size_t) clamp64(at, 0, GRAPH_COLUMNS - 1);

    double seen_s = (double) clamp64(cell(row, "count") * finer_s[span->step],
                                     finer_s[span->step], step_s[span->step]);

    p->first_s = p->n_rows++ ? min64(p->first_s, cell(row, "begin")) : cell(row, "begin");
    p->seen_s += seen_s;
    p->column_s[column] += seen_s;
    for (size_t i = 0; i < N_ELEMS(graphs); i++) {
        double value = (double) cell(row, graphs[i].column) * graphs[i].scale;
        value = graphs[i].rate ? value / seen_s : value;
        p->sum[i][column] += value * seen_s;
        p->total[i] += value * seen_s;
        p->last[i] = value;
        p->max[i] = value > p->max[i] ? value : p->max[i];
    }
}

/* "12 %", "3.4 MiB/s" */
static const char *
value_text(struct arena *a, double value, const char *unit)
{
    static const char *const prefixes[] = { "", "Ki", "Mi", "Gi", "Ti", "Pi" };
    size_t i = 0;
    if (unit[0] == '%') {
        return arena_printf(a, "%.1f %%", value);
    }
    for (; value >= 1024 && i + 1 < N_ELEMS(prefixes); i++) {
        value /= 1024;
    }
    return arena_printf(a, i ? "%.1f %s%s" : "%.0f %s%s", value, prefixes[i], unit);
}

static double
column_mean(const struct plot *p, size_t g, size_t column)
{
    return p->column_s[column] > 0 ? p->sum[g][column] / p->column_s[column] : 0;
}

static void
print_graph(struct cli *cli, const struct plot *p, size_t g)
{
    static const char *const levels[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    double top = 0;

    for (size_t i = 0; i < GRAPH_COLUMNS; i++) {
        top = column_mean(p, g, i) > top ? column_mean(p, g, i) : top;
    }
    for (size_t i = 0; i < GRAPH_COLUMNS; i++) {
        double share = top > 0 ? column_mean(p, g, i) / top : 0;
        buf_str(&line, p->column_s[i] > 0 ? levels[(size_t) (share * 7.0 + 0.5)] : " ");
    }
    printf("  %-8s %s  last %-11s mean %-11s max %s\n", graphs[g].title, buf_cstr(&line),
           value_text(&cli->arena, p->last[g], graphs[g].unit),
           value_text(&cli->arena, p->total[g] / p->seen_s, graphs[g].unit),
           value_text(&cli->arena, p->max[g], graphs[g].unit));
}

/* Slots are stored when they end, on the machine's host. */
static struct err *
say_nothing(struct cli *cli, const struct span *span, const struct named *vm)
{
    struct uuid uuid;
    struct named host = { .label = NULL };

    if (row_ref(vm->row, "hostnode", &uuid)) {
        TRY(names_find(cli, "hostnode", UUID_TEXT(&uuid), "_uuid", &host));
    }
    printf(
        "%s: nothing is stored here of that time; a slot of %s is stored when it ends%s%s\n",
        vm->label, step_lengths[span->step], host.label ? ", on host " : "",
        host.label ? host.label : "");
    return NULL;
}

static struct err *
draw(struct cli *cli, const struct span *span, const struct named *vm,
     const struct uuid *domain)
{
    struct plot plot = { .span = span };
    TRY(for_each_row(cli, span, domain, plot_row, &plot));
    if (plot.n_rows == 0) {
        return say_nothing(cli, span, vm);
    }
    struct json first = json_int(plot.first_s * 1000);
    CLEANUP(free_drop) char *since = out_cell_text(&first, UNIT_TIME_MS);
    printf("%s: %" PRId64 " slot%s of %s since %s\n", vm->label, plot.n_rows,
           plot.n_rows == 1 ? "" : "s", step_lengths[span->step], since);
    for (size_t i = 0; i < N_ELEMS(graphs) && plot.n_rows; i++) {
        print_graph(cli, &plot, i);
    }
    return NULL;
}

static struct err *
cmd_stats(struct cli *cli, const struct args *args)
{
    struct named_list vms = VEC_INIT;
    struct span span;

    TRY(read_span(args, "24h", &span));
    struct out_table table = OUT_TABLE_INIT;
    bool graph = cli->format == OUT_TABLE;
    struct err *e =
        names_match(cli, "vm", args->pos.v, args->pos.n, "_uuid,uuid,hostnode", &vms);
    begin_rows(&table);
    for (size_t i = 0; i < vms.n && !e; i++) {
        struct uuid domain;
        if (!row_ref(vms.v[i].row, "uuid", &domain)) {
            domain = vms.v[i].uuid;
        }
        e = graph ? draw(cli, &span, &vms.v[i], &domain)
                  : for_each_row(cli, &span, &domain, add_row, &table);
    }
    if (!e && args->pos.n == 0 && graph) {
        e = err_hint(err_new(ERR_SYNTAX, "a graph shows one machine"),
                     "byre stats NAME, or -o csv for the rows of all");
    } else if (!e && args->pos.n == 0) {
        e = for_each_row(cli, &span, NULL, add_row, &table);
    }
    if (!e && !graph) {
        struct out_style style = cli_style(cli, args);
        out_print(&table, &style, stdout);
    }
    out_table_done(&table);
    VEC_DONE(&vms);
    return e;
}

/* Traffic by machine, for bills. */

struct traffic {
    struct map by_name; /* Of struct sum, in cli->arena. */
    struct cli *cli;
};
struct sum {
    int64_t rx, tx, days;
};

static void
add_traffic(void *aux, const struct json *row)
{
    struct traffic *t = aux;
    const char *name = json_get_string(row, "vm");
    struct sum *sum = map_get(&t->by_name, name ? name : "");
    if (!sum) {
        sum = ARENA_NEW(&t->cli->arena, struct sum);
        map_put(&t->by_name, name ? name : "", sum);
    }
    sum->rx += cell(row, "rx");
    sum->tx += cell(row, "tx");
    sum->days++;
}

/* "2026-11": from its first day to that of the next, UTC; NULL: this month. */
static struct err *
month_span(const char *month, struct span *ret)
{
    int64_t now_s = clock_wall_ms() / 1000;
    time_t now = (time_t) now_s;
    struct tm tm;
    int year, number, end = 0;

    gmtime_r(&now, &tm);
    year = tm.tm_year + 1900;
    number = tm.tm_mon + 1;
    if (month && (sscanf(month, "%4d-%2d%n", &year, &number, &end) != 2 || month[end] ||
                  year < 1970 || number < 1 || number > 12)) {
        return err_hint(err_new(ERR_SYNTAX, "\"%s\" is no month", month),
                        "--month 2026-11");
    }
    struct tm first = { .tm_year = year - 1900, .tm_mon = number - 1, .tm_mday = 1 };
    struct tm next = { .tm_year = year - 1900, .tm_mon = number, .tm_mday = 1 };
    *ret = (struct span){ timegm(&first), timegm(&next), STEP_DAY };
    return NULL;
}

static struct err *
cmd_traffic(struct cli *cli, const struct args *args)
{
    struct traffic traffic = { .by_name = MAP_INIT, .cli = cli };
    struct out_table table = OUT_TABLE_INIT;
    struct span span = { 0 };

    TRY(month_span(args_get(args, "month"), &span));
    struct err *e = for_each_row(cli, &span, NULL, add_traffic, &traffic);
    out_add_column(&table, "vm", UNIT_NONE, false);
    out_add_column(&table, "days", UNIT_NONE, false);
    out_add_column(&table, "rx", UNIT_BYTES, false);
    out_add_column(&table, "tx", UNIT_BYTES, false);
    MAP_FOR_EACH (item, &traffic.by_name) {
        const struct sum *sum = item->value;
        struct json *cells = out_add_row(&table, item->key);
        cells[0] = json_string(&table.arena, item->key);
        cells[1] = json_int(sum->days);
        cells[2] = json_int(sum->rx);
        cells[3] = json_int(sum->tx);
    }
    if (!e) {
        struct out_style style = cli_style(cli, args);
        out_sort(&table, "vm");
        out_print(&table, &style, stdout);
    }
    out_table_done(&table);
    map_done(&traffic.by_name);
    return e;
}

static const struct opt_spec opts_stats[] = {
    { "from", "TIME", "begin: 24h or 7d (ago), 2026-11-22, \"2026-11-22 10:00\"; 24h" },
    { "to", "TIME", "end; now" },
    { "step", "STEP", "of 300 s, an hour or a day; by the length of the time",
      "minute|hour|day" },
    { NULL },
};

static const struct opt_spec opts_traffic[] = {
    { "month", "YYYY-MM", "by UTC; the current one" },
    { NULL },
};

const struct command cmds_stats[] = {
    { NULL, "stats", "[NAME...]", "what machines used, as graphs or rows", cmd_stats, 0,
      opts_stats, "vm",
      "Graphs for people; -o csv, json, jsonl, yaml and wide give rows: CPU in ms, memory in KiB,\n"
      "network and disk in bytes and requests, and 'count', how many finer slots a row is made of\n"
      "(12 in a whole hour, 24 in a whole day).  Without a name: rows of all machines.\n"
      "    byre stats web1 --from 7d\n"
      "    byre stats --from 2026-11-01 --to 2026-12-01 --step day -o csv\n" },
    { NULL, "traffic", "", "network traffic of a month by machine, for bills", cmd_traffic,
      CMD_OFFLINE, opts_traffic, NULL, "    byre traffic --month 2026-11 -o csv\n" },
    { NULL },
};
