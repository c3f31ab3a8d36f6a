/* cli/cmd_job.c: jobs: what agents are asked to do once. */
#include "cli/list_i.h"

static struct err *
cmd_list(struct cli *cli, const struct args *args)
{
    return list_noun(cli, args, "job");
}

static struct err *
cmd_info(struct cli *cli, const struct args *args)
{
    return info_noun(cli, args, "job", NULL);
}

static struct err *
cmd_wait(struct cli *cli, const struct args *args)
{
    struct named_list jobs = VEC_INIT;
    struct err *e = names_match(cli, "job", args->pos.v, args->pos.n, "kind", &jobs);
    for (size_t i = 0; i < jobs.n && !e; i++) {
        const char *label = arena_printf(&cli->arena, "job %s (%s)", jobs.v[i].label,
                                         row_string(jobs.v[i].row, "kind"));
        change_await_state(cli, GOAL_JOB, "job", &jobs.v[i].uuid, label, "done");
    }
    VEC_DONE(&jobs);
    return e; /* The goals are awaited like those of a change. */
}

static struct err *
cmd_cancel(struct cli *cli, const struct args *args)
{
    struct named_list jobs = VEC_INIT;
    struct json row = json_object();
    json_put(&cli->arena, &row, "cancel", json_bool(true));
    struct err *e = names_match(cli, "job", args->pos.v, args->pos.n, "state", &jobs);
    for (size_t i = 0; i < jobs.n && !e; i++) {
        const char *state = row_string(jobs.v[i].row, "state");
        if (str_eq(state, "done") || str_eq(state, "failed") ||
            str_eq(state, "cancelled")) {
            e = err_hint(
                err_new(ERR_CONSTRAINT, "job %s is %s already", jobs.v[i].label, state),
                "byre job info %s", jobs.v[i].label);
        } else {
            change_update(cli, "job", &jobs.v[i].uuid, row);
        }
    }
    VEC_DONE(&jobs);
    return e;
}

const struct command cmds_job[] = {
    { "job", "list", "[JOB...]", "jobs and how far they are", cmd_list, CMD_LIST, NULL,
      "job" },
    { "job", "info", "JOB...", "all that is known of a job", cmd_info, 0, NULL, "job" },
    { "job", "wait", "JOB...", "waits until it has ended; fails if it did", cmd_wait, 0,
      NULL, "job" },
    { "job", "cancel", "JOB...", "asks its agent to stop it", cmd_cancel, CMD_CHANGE, NULL,
      "job" },
    { NULL },
};
