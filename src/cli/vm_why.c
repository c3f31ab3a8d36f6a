/* cli/vm_why.c: explains a machine: what it shall be, what it is and since when that is
 * known, what failed, what it waits for, and what to do. */
#include "base/clock.h"
#include "cli/list_i.h"
#include "cli/vm_i.h"

#define STALE_MS 120000 /* An agent writes facts more often than this while it lives. */

/* "12 s ago" */
static const char *
ago(struct cli *cli, int64_t then_ms)
{
    int64_t s = (clock_wall_ms() - then_ms) / 1000;
    if (then_ms <= 0) {
        return "never";
    } else if (s < 120) {
        return arena_printf(&cli->arena, "%" PRId64 " s ago", max64(s, 0));
    } else if (s < 7200) {
        return arena_printf(&cli->arena, "%" PRId64 " min ago", s / 60);
    }
    return arena_printf(&cli->arena, "%" PRId64 " h ago", s / 3600);
}

static const char *
or_unset(const char *text, const char *unset)
{
    return text ? text : unset;
}

/* Is what was seen what was wanted? */
static bool
fits(const char *state, const char *status)
{
    if (str_eq(state, "running")) {
        return str_eq(status, "running") || str_eq(status, "idle");
    } else if (str_eq(state, "stopped")) {
        return str_eq(status, "shutoff");
    } else if (str_eq(state, "paused")) {
        return str_eq(status, "paused");
    } else if (str_eq(state, "saved")) {
        return str_eq(status, "saved");
    }
    return !state;
}

/* What, why and what next, below each other. */
static void
tell_error(const struct json *row)
{
    struct strvec lines = STRVEC_INIT;
    const char *error = row_string(row, "error");
    strvec_split(&lines, error ? error : "", "\n");
    for (size_t i = 0; i < lines.n; i++) {
        printf("%s%s\n", i ? "          " : "error:    ", lines.v[i]);
    }
    strvec_done(&lines);
}

/* "asked:    by root 12 s ago: vm stop" */
static void
tell_asker(struct cli *cli, const struct json *vm)
{
    int64_t at_ms = row_int(vm, "asked_at", 0);
    if (at_ms > 0) {
        printf("asked:    by %s %s: %s\n", or_unset(row_string(vm, "asked_by"), "somebody"),
               ago(cli, at_ms), or_unset(row_string(vm, "asked_for"), "?"));
    }
}

/* What it waits for, if that is a job; and the last one that failed. */
static void
tell_jobs(struct cli *cli, const struct json *jobs)
{
    for (uint32_t i = 0; i < jobs->n; i++) {
        const struct json *job = &jobs->elems[i];
        const char *state = or_unset(row_string(job, "state"), "queued");
        if (str_eq(state, "queued") || str_eq(state, "running")) {
            const char *message = row_string(job, "message");
            printf("job:      %s is %s, asked for by %s %s%s%s\n", row_string(job, "kind"),
                   state, or_unset(row_string(job, "asked_by"), "somebody"),
                   ago(cli, row_int(job, "created_at", 0)), message ? ": " : "",
                   or_unset(message, ""));
        } else if (str_eq(state, "failed")) {
            printf("job:      %s failed %s\n", row_string(job, "kind"),
                   ago(cli, row_int(job, "ended_at", 0)));
            tell_error(job);
        }
    }
}

static void
tell_node(struct cli *cli, const struct json *node)
{
    int64_t seen_ms = row_int(node, "observed_at", 0);
    printf("host:     %s, %s, heard of %s\n", row_string(node, "name"),
           or_unset(row_string(node, "state"), "unknown"), ago(cli, seen_ms));
    if (row_string(node, "error")) {
        printf("          %s\n", row_string(node, "error"));
    }
    if (clock_wall_ms() - seen_ms > STALE_MS) {
        printf(
            "          its agent has been silent for long: what is seen may be out of date\n");
    }
}

static void
tell_volumes(struct cli *cli, const struct json *devices, const struct json *volumes,
             const struct uuid *vm)
{
    for (uint32_t d = 0; d < devices->n; d++) {
        struct uuid owner, volume;
        if (!row_ref(&devices->elems[d], "vm", &owner) || !uuid_eq(&owner, vm)) {
            continue;
        }
        const char *target = row_string(&devices->elems[d], "targetdev");
        if (!row_ref(&devices->elems[d], "volume", &volume)) {
            printf("disk %s: its volume is gone\n", or_unset(target, "?"));
            continue;
        }
        for (uint32_t v = 0; v < volumes->n; v++) {
            const struct json *row = &volumes->elems[v];
            struct uuid uuid = row_uuid(row);
            if (uuid_eq(&uuid, &volume)) {
                printf("disk %s: %s is %s\n", or_unset(target, "?"),
                       row_string(row, "name"),
                       or_unset(row_string(row, "state"), "not there yet"));
                tell_error(row);
            }
        }
    }
}

static const char *
verdict(const struct json *vm, const struct json *node)
{
    const char *state = row_string(vm, "state");
    const char *status = row_string(vm, "status");
    if (str_eq(row_string(vm, "source"), "libvirt")) {
        return "it belongs to libvirt alone; Byre shows it and never touches it";
    } else if (!node) {
        return "no host is set, so nobody acts: byre vm set NAME hostnode=NODE";
    } else if (row_bool(vm, "migrate")) {
        return "it moves to another host; byre job cancel stops that";
    } else if (row_string(vm, "error")) {
        return "remove the cause, then give the command again";
    } else if (row_int(vm, "observed_generation", 0) < row_int(vm, "generation", 0)) {
        if (str_eq(state, "stopped") && str_eq(status, "running") &&
            !str_eq(row_string(vm, "how"), "force")) {
            return "the guest was asked to shut down and runs on: byre vm stop --force NAME";
        }
        return "the agent has not acted on the latest change yet";
    } else if (fits(state, status)) {
        return "it is as it shall be";
    } else if (!status) {
        return "no agent has looked at it yet";
    }
    return "it is not as it shall be, and the agent gave no reason: see byre-agentd's log";
}

/* It is between two hosts. */
static void
tell_move(const struct json *vm, const struct json *to)
{
    if (row_bool(vm, "migrate")) {
        printf("moves:    it is on its way to host %s; until it has arrived it is here\n",
               to && to->n ? row_string(&to->elems[0], "name") : "?");
    }
}

/* A set with one element comes as that element. */
static void
tell_reboot(const struct json *row)
{
    const struct json *value = json_get(row, "needreboot_columns");
    bool is_set = value && value->type == JSON_ARRAY && value->n == 2;
    const struct json *set = is_set ? &value->elems[1] : value;
    uint32_t n = is_set ? set->n : 1;

    printf("hardware: with its next stop and start it gets");
    for (uint32_t i = 0; set && i < n; i++) {
        const struct json *column = is_set ? &set->elems[i] : set;
        printf("%s %s", i ? "," : "",
               column->type == JSON_STRING ? column->string : "what changed");
    }
    putchar('\n');
}

struct err *
vm_why(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    struct named vm;
    struct json ops = json_array();
    struct json results;
    struct uuid node_uuid, to_uuid = { { 0 } };
    TRY(names_find(cli, "vm", args->pos.v[0], NULL, &vm));
    bool has_node = row_ref(vm.row, "hostnode", &node_uuid);
    row_ref(vm.row, "migrate_to", &to_uuid);
    json_add(a, &ops, q_select(a, "device", json_array(), "vm,volume,targetdev"));
    json_add(a, &ops, q_select(a, "volume", json_array(), "_uuid,name,state,error"));
    struct json of_it = json_array();
    json_add(a, &of_it, q_clause(a, "target", "==", q_uuid(a, &vm.uuid)));
    json_add(a, &ops, q_select(a, "job", of_it, NULL));
    json_add(a, &ops, q_select(a, "hostnode", q_where_uuid(a, &to_uuid), "name"));
    if (has_node) {
        json_add(a, &ops, q_select(a, "hostnode", q_where_uuid(a, &node_uuid), NULL));
    }
    TRY(db_transact(cli, &ops, &results));
    const struct json *nodes = has_node ? q_rows(&results, 4) : NULL;
    const struct json *node = nodes && nodes->n ? &nodes->elems[0] : NULL;

    printf("vm %s\n", vm.label);
    printf("wanted:   %s (change %" PRId64 ")\n",
           or_unset(row_string(vm.row, "state"), "nothing"),
           row_int(vm.row, "generation", 0));
    printf("observed: %s, %s (change %" PRId64 ")\n",
           or_unset(row_string(vm.row, "status"), "unknown"),
           ago(cli, row_int(vm.row, "observed_at", 0)),
           row_int(vm.row, "observed_generation", 0));
    tell_asker(cli, vm.row);
    tell_error(vm.row);
    tell_move(vm.row, q_rows(&results, 3));
    tell_jobs(cli, q_rows(&results, 2));
    if (row_bool(vm.row, "needreboot")) {
        tell_reboot(vm.row);
    }
    if (node) {
        tell_node(cli, node);
    }
    tell_volumes(cli, q_rows(&results, 0), q_rows(&results, 1), &vm.uuid);
    printf("so:       %s\n", verdict(vm.row, node));
    return NULL;
}
