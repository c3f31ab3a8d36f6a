/* cli/vm_migrate.c: machines go to another host.  One job each for the agent of the host that they leave:
 * it asks the other host whether it may come, and moves it.  With --dry-run, or --estimate, the same job
 * only looks and tells how it would go. */
#include "base/clock.h"
#include "cli/job_i.h"
#include "cli/vm_i.h"

#define DOWNTIME_MAX_MS 600000
#define TIMEOUT_MAX_S (7 * 24 * 3600)

const struct opt_spec opts_vm_migrate[] = {
    { "estimate", NULL, "only tell whether it can, and how it would go (as --dry-run)" },
    { "copy-storage", NULL, "copy the disks that lie in pools of its host alone" },
    { "auto-converge", NULL, "slow the guest down until it converges" },
    { "post-copy", NULL, "let it run there before all of its memory has come" },
    { "bandwidth", "SIZE", "at most so much a second (10M)" },
    { "downtime", "MS", "the guest may stand still for so long (the cluster's, else 300)" },
    { "time-limit", "SECONDS", "give up after that; it goes on where it was" },
    { NULL },
};

const char vm_migrate_help[] =
    "byre vm migrate web n2 --dry-run tells whether n2 would take it, the passes, the time and the pause.\n"
    "\n"
    "Memory goes over while the guest runs; what it writes meanwhile goes again, until the rest fits the\n"
    "pause.  Then it runs on NODE, and its row says so; whatever breaks, it runs on one host.  Disks must\n"
    "lie in pools that both hosts have (netfs, iscsi, scsi, mpath), or are copied.  A machine that is off\n"
    "changes its host at once.  Two machines at a time leave a host, others wait in line; byre job cancel\n"
    "stops one, and it goes on where it was.  --post-copy always ends, but a host or link that fails in\n"
    "its second half takes the guest with it.\n";

/* What the machine and its options ask for. */
static struct err *
job_of(struct cli *cli, const struct args *args, const struct named *vm,
       const struct named *node, bool estimate, struct json *ret)
{
    static const char *const flags[] = { "copy-storage", "auto-converge", "post-copy" };
    struct arena *a = &cli->arena;
    struct json options = json_array();
    int64_t bandwidth = 0, downtime = 0, timeout = 0;

    TRY(args_size(args, "bandwidth", 1, &bandwidth));
    TRY(args_int(args, "downtime", 1, DOWNTIME_MAX_MS, &downtime));
    TRY(args_int(args, "time-limit", 1, TIMEOUT_MAX_S, &timeout));
    struct json row = job_row(cli, "vm.migrate", "vm", &vm->uuid, vm->row);
    json_put(a, &row, "destination", q_uuid(a, &node->uuid));
    for (size_t i = 0; i < N_ELEMS(flags); i++) {
        if (args_has(args, flags[i])) {
            json_add(a, &options, json_string_ref(flags[i]));
        }
    }
    if (estimate) {
        json_add(a, &options, json_string_ref("estimate"));
    }
    json_put(a, &row, "options", json_pair(a, json_string_ref("set"), options));
    if (bandwidth > 0) {
        json_put(a, &row, "bandwidth", json_int(bandwidth));
    }
    if (downtime > 0) {
        json_put(a, &row, "downtime", json_int(downtime));
    }
    if (timeout > 0) {
        json_put(a, &row, "timeout", json_int(timeout));
    }
    *ret = row;
    return NULL;
}

static struct err *
add_job(struct cli *cli, const struct args *args, const struct named *vm,
        const struct named *node, bool estimate, struct uuid *ret_job)
{
    struct uuid at;
    struct json row;

    TRY(vm_check_ours(vm));
    if (!row_ref(vm->row, "hostnode", &at)) {
        return err_hint(err_new(ERR_CONSTRAINT, "vm %s has no host", vm->label),
                        "byre vm set %s hostnode=%s", vm->label, node->label);
    } else if (uuid_eq(&at, &node->uuid)) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "vm %s is on node %s already", vm->label, node->label),
            "byre node list shows the others");
    }
    TRY(job_of(cli, args, vm, node, estimate, &row));
    const char *label = arena_printf(&cli->arena, "vm %s", vm->label);
    const char *said =
        estimate ? "looked at" : arena_printf(&cli->arena, "moved to %s", node->label);
    change_insert(cli, "job", row, ret_job);
    change_await_state(cli, GOAL_JOB, "job", ret_job, label, said);
    job_await(cli, ret_job);
    return NULL;
}

/* The forecast is the job's result. */
static struct err *
tell(struct cli *cli, const struct named *vm, const struct uuid *job)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), results;

    json_add(a, &ops, q_select(a, "job", q_where_uuid(a, job), "result"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    const char *text = rows->n ? row_string(&rows->elems[0], "result") : NULL;
    printf("vm %s:\n%s\n", vm->label, text ? text : "its agent told nothing");
    return NULL;
}

static struct err *
estimate_one(struct cli *cli, const struct args *args, const struct named *vm,
             const struct named *node)
{
    bool dry_run = cli->dry_run, quiet = cli->quiet;
    struct uuid job;

    TRY(add_job(cli, args, vm, node, true, &job));
    cli->dry_run = false; /* That job changes nothing. */
    cli->quiet = true;
    struct err *e = change_step(cli);
    cli->dry_run = dry_run;
    cli->quiet = quiet;
    TRY(e);
    return tell(cli, vm, &job);
}

struct err *
vm_migrate(struct cli *cli, const struct args *args)
{
    bool estimate = cli->dry_run || args_has(args, "estimate");
    struct named_list vms = VEC_INIT;
    struct named node;
    struct uuid job;

    if (estimate && cli->no_wait) {
        return err_hint(err_new(ERR_SYNTAX, "an estimate is waited for"),
                        "leave --no-wait out");
    }
    TRY(names_find(cli, "hostnode", args->pos.v[args->pos.n - 1], "_uuid", &node));
    struct err *e = names_match(cli, "vm", args->pos.v, args->pos.n - 1,
                                "name,hostnode,source,state", &vms);
    for (size_t i = 0; i < vms.n && !e; i++) {
        e = estimate ? estimate_one(cli, args, &vms.v[i], &node)
                     : add_job(cli, args, &vms.v[i], &node, false, &job);
    }
    VEC_DONE(&vms);
    return e;
}
