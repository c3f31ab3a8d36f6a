/* cli/xm_list.c: what xm shows: list, uptime, domstate, info.
 *
 *     Name                                        ID   Mem VCPUs      State   Time(s)
 *     Domain-0                                     0  2796    16     r----- 3867699.3
 *     0004fb00000600001ab4fe3614bd3616             1 16351     4     -b---- 2551256.8
 *
 * Domain-0 is the host: its memory is what its guests do not have, its time that of its processors at work.  Scripts that
 * leave it out go on doing so, and those that sum up find the whole host. */
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cli/xm_i.h"

#define DOM0 "Domain-0"
#define PROC_MAX_BYTES ((size_t) 4 * MIB)

/* The letters r b p s c d, of which one is set. */
static const char *
state_of(const struct json *vm)
{
    static const char *const states[][2] = {
        { "running", "r-----" },  { "idle", "-b----" },    { "paused", "--p---" },
        { "shutdown", "---s--" }, { "crashed", "----c-" }, { "suspended", "--p---" },
    };
    const char *status = row_string(vm, "status");
    for (size_t i = 0; i < N_ELEMS(states); i++) {
        if (str_eq(status, states[i][0])) {
            return states[i][1];
        }
    }
    return "------";
}

static bool
is_on(const struct json *vm)
{
    return row_int(vm, "domid", -1) >= 0;
}

/* Seconds of CPU of the machine, as measured last. */
static double
cpu_seconds(const struct json *sample, const struct json *vm)
{
    const struct json *domains = is_on(vm) ? json_get(sample, "domains") : NULL;
    for (uint32_t i = 0; domains && i < domains->n; i++) {
        if (str_eq(json_get_string(&domains->elems[i], "name"), row_string(vm, "name"))) {
            return json_get_number(&domains->elems[i], "cpu_ms") / 1000;
        }
    }
    return 0;
}

/* "cpu  225 0 377 22 ..." of /proc/stat: user, nice, system in ticks. */
static double
host_cpu_seconds(void)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    double user = 0, nice_ = 0, system_ = 0;
    struct err *e = fs_read("/proc/stat", PROC_MAX_BYTES, &text);
    if (!e) {
        (void) !sscanf(buf_cstr(&text), "cpu %lf %lf %lf", &user, &nice_, &system_);
    }
    err_free(e);
    return (user + nice_ + system_) / (double) sysconf(_SC_CLK_TCK);
}

static int64_t
now_of(const struct json *vm, const char *actual, const char *wanted)
{
    int64_t value = row_int(vm, actual, 0);
    return value > 0 ? value : row_int(vm, wanted, 0);
}

static void
put_line(const char *name, int64_t id, int64_t mem, int64_t vcpus, const char *state,
         double seconds)
{
    char id_text[24] = "";
    if (id >= 0) {
        snprintf(id_text, sizeof id_text, "%" PRId64, id);
    }
    printf("%-40s %5s %5" PRId64 " %5" PRId64 " %10s %8.1f\n", name, id_text, mem, vcpus,
           state, seconds);
}

static int64_t
guests_mem(const struct named_list *domains)
{
    int64_t sum = 0;
    for (size_t i = 0; i < domains->n; i++) {
        if (is_on(domains->v[i].row)) {
            sum += now_of(domains->v[i].row, "mem_actual", "mem");
        }
    }
    return sum;
}

/* "(domain (domid 3) (name web) ...)": what Ganeti's and other parsers look for. */
static void
put_long(const struct json *vm, const char *state, double seconds)
{
    struct uuid uuid;
    printf("(domain\n");
    if (is_on(vm)) {
        printf("    (domid %" PRId64 ")\n", row_int(vm, "domid", 0));
    }
    if (row_ref(vm, "uuid", &uuid)) {
        printf("    (uuid %s)\n", UUID_TEXT(&uuid));
    }
    printf("    (name %s)\n    (memory %" PRId64 ")\n    (maxmem %" PRId64 ")\n",
           row_string(vm, "name"), now_of(vm, "mem_actual", "mem"),
           max64(row_int(vm, "mem_max", 0), row_int(vm, "mem", 0)));
    printf("    (vcpus %" PRId64 ")\n", now_of(vm, "vcpu_actual", "vcpu"));
    const char *events[] = { "on_poweroff", "on_reboot", "on_crash" };
    const char *usual[] = { "destroy", "restart", "destroy" };
    for (size_t i = 0; i < N_ELEMS(events); i++) {
        const char *value = row_string(vm, events[i]);
        printf("    (%s %s)\n", events[i], value ? value : usual[i]);
    }
    printf("    (state %s)\n    (cpu_time %.9f)\n", state, seconds);
    printf("    (status %d)\n)\n", is_on(vm) ? 2 : 0);
}

static bool
has_state(const struct json *vm, const char *wanted)
{
    return !wanted || str_eq(wanted, row_string(vm, "status")) ||
           (str_eq(wanted, "halted") && !is_on(vm));
}

struct err *
xm_list(struct cli *cli, const struct xm_args *args)
{
    struct named_list domains = VEC_INIT;
    struct json sample = json_object();
    bool is_long = xm_has(args, "long");
    struct err *e = xm_domains(cli, &domains);
    if (!e) { /* Without it the list has no times, and that is no reason to have none. */
        err_free(xm_sample(cli, &sample));
    }
    const struct json *host = json_get(&sample, "host");
    bool all = args->pos.n == 0;
    for (size_t i = 0; i < args->pos.n && !e; i++) { /* Before anything is printed. */
        struct named one;
        if (!str_eq(args->pos.v[i], DOM0) && !str_eq(args->pos.v[i], "0")) {
            e = xm_find(cli, args->pos.v[i], &one);
        }
    }
    if (!e && !is_long) {
        printf("%-40s %5s %5s %5s %10s %8s\n", "Name", "ID", "Mem", "VCPUs", "State",
               "Time(s)");
    }
    bool dom0 = all && !xm_get(args, "state");
    for (size_t i = 0; i < args->pos.n; i++) {
        dom0 |= str_eq(args->pos.v[i], DOM0) || str_eq(args->pos.v[i], "0");
    }
    if (!e && dom0 && !is_long) {
        int64_t mem =
            (int64_t) json_get_number(host, "mem_kib") / 1024 - guests_mem(&domains);
        put_line(DOM0, 0, max64(mem, 0), sysconf(_SC_NPROCESSORS_ONLN), "r-----",
                 host_cpu_seconds());
    }
    for (size_t i = 0; i < domains.n && !e; i++) {
        const struct json *vm = domains.v[i].row;
        bool shown = all;
        for (size_t k = 0; k < args->pos.n && !shown; k++) {
            struct named one;
            shown = !str_eq(args->pos.v[k], DOM0) &&
                    !(e = xm_find(cli, args->pos.v[k], &one)) &&
                    uuid_eq(&one.uuid, &domains.v[i].uuid);
            err_free(TAKE(e));
        }
        if (!shown || !has_state(vm, xm_get(args, "state"))) {
            continue;
        } else if (is_long) {
            put_long(vm, state_of(vm), cpu_seconds(&sample, vm));
        } else {
            put_line(domains.v[i].label, row_int(vm, "domid", -1),
                     now_of(vm, "mem_actual", "mem"), now_of(vm, "vcpu_actual", "vcpu"),
                     state_of(vm), cpu_seconds(&sample, vm));
        }
    }
    VEC_DONE(&domains);
    return e;
}

/* "136 days,  0:38:43", "1 day,  3:00:01", "0:42:13". */
static void
put_uptime(const char *name, int64_t id, int64_t seconds, bool is_short)
{
    int64_t days = seconds / 86400, s = seconds % 86400;
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    if (days > 0) {
        buf_printf(&b, "%" PRId64 " day%s, ", days, days == 1 ? "" : "s");
        buf_printf(&b, "%2" PRId64, s / 3600);
    } else {
        buf_printf(&b, "%" PRId64, s / 3600);
    }
    buf_printf(&b, ":%02" PRId64 ":%02" PRId64, s / 60 % 60, s % 60);
    if (is_short) {
        printf("%s %s\n", name, buf_cstr(&b));
    } else {
        printf("%-33s %4" PRId64 " %s\n", name, id, buf_cstr(&b));
    }
}

static int64_t
host_uptime(void)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    double seconds = 0;
    struct err *e = fs_read("/proc/uptime", PROC_MAX_BYTES, &text);
    if (!e) {
        (void) !sscanf(buf_cstr(&text), "%lf", &seconds);
    }
    err_free(e);
    return (int64_t) seconds;
}

struct err *
xm_uptime(struct cli *cli, const struct xm_args *args)
{
    struct named_list domains = VEC_INIT;
    bool is_short = xm_has(args, "short");
    int64_t now_ms = clock_wall_ms();
    struct err *e = NULL;
    if (args->pos.n == 0) {
        e = xm_domains(cli, &domains);
    }
    for (size_t i = 0; i < args->pos.n && !e; i++) {
        e = xm_find(cli, args->pos.v[i], VEC_ADD(&domains));
    }
    if (!e && !is_short) {
        printf("%-33s %4s %s\n", "Name", "ID", "Uptime");
    }
    if (!e && args->pos.n == 0) {
        put_uptime(DOM0, 0, host_uptime(), is_short);
    }
    for (size_t i = 0; i < domains.n && !e; i++) {
        const struct json *vm = domains.v[i].row;
        int64_t started_ms = row_int(vm, "started_at", 0);
        if (is_on(vm)) {
            put_uptime(domains.v[i].label, row_int(vm, "domid", 0),
                       started_ms ? max64(now_ms - started_ms, 0) / 1000 : 0, is_short);
        }
    }
    VEC_DONE(&domains);
    return e;
}

struct err *
xm_domstate(struct cli *cli, const struct xm_args *args)
{
    struct named vm;
    TRY(xm_find(cli, args->pos.v[0], &vm));
    const char *status = row_string(vm.row, "status");
    printf("%s\n", !status ? "unknown" : str_eq(status, "saved") ? "shutoff" : status);
    return NULL;
}

struct err *
xm_info(struct cli *cli, const struct xm_args *args UNUSED)
{
    struct named_list domains = VEC_INIT;
    struct json sample;
    struct utsname host;
    TRY(xm_domains(cli, &domains));
    VEC_DONE(&domains);
    TRY(xm_sample(cli, &sample));
    const struct json *h = json_get(&sample, "host");
    uname(&host);
    int64_t total = (int64_t) json_get_number(h, "mem_kib") / 1024;
    int64_t free_mib = (int64_t) json_get_number(h, "mem_free_kib") / 1024;
    printf("%-23s: %s\n", "host", host.nodename);
    printf("%-23s: %s\n", "release", host.release);
    printf("%-23s: %s\n", "version", host.version);
    printf("%-23s: %s\n", "machine", host.machine);
    printf("%-23s: %ld\n", "nr_cpus", sysconf(_SC_NPROCESSORS_ONLN));
    printf("%-23s: %" PRId64 "\n", "cpu_mhz", (int64_t) json_get_number(h, "mhz"));
    printf("%-23s: %" PRId64 "\n", "total_memory", total);
    printf("%-23s: %" PRId64 "\n", "free_memory", free_mib);
    printf("%-23s: %s\n", "hypervisor", "libvirt (see byre node info)");
    return NULL;
}
