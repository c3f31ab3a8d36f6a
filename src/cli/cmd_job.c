/* cli/cmd_job.c: jobs: what agents are asked to do once, and what takes long. */
#include "base/clock.h"
#include "cli/job_i.h"
#include "cli/list_i.h"

#define SHORT_UUID 8

/* Names of what jobs are about: volumes and pools. */
static struct err *
read_labels(struct cli *cli, struct labels *labels)
{
    static const char *const tables[] = { "volume", "pool" };
    struct json ops = json_array();
    struct json results;
    const struct table_schema *table;
    size_t next = 0;
    for (size_t i = 0; i < N_ELEMS(tables); i++) {
        TRY(db_table(cli, tables[i], &table));
        labels_ask(cli, table, &ops);
    }
    TRY(db_transact(cli, &ops, &results));
    for (size_t i = 0; i < N_ELEMS(tables); i++) {
        TRY(db_table(cli, tables[i], &table));
        labels_read(cli, labels, table, &results, &next);
    }
    return NULL;
}

static struct json
label_or_uuid(struct cli *cli, const struct labels *labels, const struct json *row,
              const char *column)
{
    struct uuid uuid;
    if (!row_ref(row, column, &uuid)) {
        return json_null();
    }
    const char *label = labels_get(labels, UUID_TEXT(&uuid));
    return label ? json_string_ref(label)
                 : json_stringf(&cli->arena, "%.*s", SHORT_UUID, UUID_TEXT(&uuid));
}

static struct json
duration(struct cli *cli, int64_t ms)
{
    CLEANUP(free_drop) char *text = duration_text(ms);
    return json_string(&cli->arena, text);
}

/* The last thing that is known: how it goes, or how it ended. */
static struct json
what_is_said(struct cli *cli, const struct json *row)
{
    const char *error = row_string(row, "error");
    const char *result = row_string(row, "result");
    const char *message = row_string(row, "message");
    const char *text = error ? error : result ? result : message;
    const char *lines = text ? strchr(text, '\n') : NULL;
    if (error && lines) { /* Of the three lines the second says why. */
        text = lines + 1;
        lines = strchr(text, '\n');
    }
    return !text   ? json_null()
           : lines ? json_stringf(&cli->arena, "%.*s", (int) (lines - text), text)
                   : json_string_ref(text);
}

static void
fill(struct cli *cli, const struct labels *labels, const struct json *row, int order,
     struct json *cells)
{
    int64_t now = clock_wall_ms();
    const char *state = row_string(row, "state");
    int64_t created = row_int(row, "created_at", 0), ends = row_int(row, "ends_at", 0);
    struct uuid uuid = row_uuid(row);
    bool running = str_eq(state, "running");

    cells[0] = json_stringf(&cli->arena, "%.*s", SHORT_UUID, UUID_TEXT(&uuid));
    cells[1] = order ? json_int(order) : json_null();
    cells[2] = json_string_ref(row_string(row, "kind"));
    cells[3] = label_or_uuid(cli, labels, row, "target");
    cells[4] = json_string_ref(state ? state : "queued");
    cells[5] = running ? json_real(row_real(row, "progress", 0)) : json_null();
    cells[6] = created ? duration(cli, now - created) : json_null();
    cells[7] = running && ends ? duration(cli, ends - now) : json_null();
    cells[8] = row_string(row, "asked_by") ? json_string_ref(row_string(row, "asked_by"))
                                           : json_null();
    cells[9] = what_is_said(cli, row);
}

static int
by_age(const void *a, const void *b)
{
    int64_t x = row_int(*(const struct json *const *) a, "created_at", 0);
    int64_t y = row_int(*(const struct json *const *) b, "created_at", 0);
    return x < y ? -1 : x > y;
}

/* For people: by name, in the order in which they were asked for, with the place in the line. */
static struct err *
list_for_people(struct cli *cli, const struct args *args)
{
    static const struct {
        const char *name;
        enum out_unit unit;
    } columns[] = { { "job", UNIT_NONE },      { "order", UNIT_NONE },
                    { "kind", UNIT_NONE },     { "target", UNIT_NONE },
                    { "state", UNIT_NONE },    { "progress", UNIT_RATIO },
                    { "age", UNIT_NONE },      { "left", UNIT_NONE },
                    { "asked_by", UNIT_NONE }, { "message", UNIT_NONE } };
    CLEANUP(out_table_done) struct out_table out = OUT_TABLE_INIT;
    CLEANUP(labels_done) struct labels labels = LABELS_INIT;
    struct json ops = json_array();
    struct json results;
    TRY(cli_connect(cli));
    TRY(read_labels(cli, &labels));
    json_add(&cli->arena, &ops, q_select(&cli->arena, "job", json_array(), NULL));
    TRY(db_transact(cli, &ops, &results));

    const struct json *rows = q_rows(&results, 0);
    const struct json **sorted = arena_zalloc(&cli->arena, (rows->n + 1) * sizeof *sorted);
    for (uint32_t i = 0; i < rows->n; i++) {
        sorted[i] = &rows->elems[i];
    }
    qsort(sorted, rows->n, sizeof *sorted, by_age);
    for (size_t i = 0; i < N_ELEMS(columns); i++) {
        out_add_column(&out, columns[i].name, columns[i].unit, false);
    }
    int order = 0;
    for (uint32_t i = 0; i < rows->n; i++) {
        const char *state = row_string(sorted[i], "state");
        bool open = !state || str_eq(state, "queued") || str_eq(state, "running");
        struct uuid uuid = row_uuid(sorted[i]);
        fill(cli, &labels, sorted[i], open ? ++order : 0,
             out_add_row(&out, UUID_TEXT(&uuid)));
    }
    struct out_style style = cli_style(cli, args);
    out_print(&out, &style, stdout);
    return NULL;
}

static struct err *
cmd_list(struct cli *cli, const struct args *args)
{
    bool plain = cli->format == OUT_TABLE && args->pos.n == 0 && !cli->raw &&
                 !args_has(args, "columns") && !args_has(args, "where") &&
                 !args_has(args, "sort") && !args_has(args, "watch");
    return plain ? list_for_people(cli, args) : list_noun(cli, args, "job");
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
    { "job", "list", "[JOB...]", "jobs, how far they are and when they will be done",
      cmd_list, CMD_LIST, NULL, "job" },
    { "job", "info", "JOB...", "all that is known of a job", cmd_info, 0, NULL, "job" },
    { "job", "show", "JOB...", "the same as info", cmd_info, 0, NULL, "job" },
    { "job", "wait", "JOB...", "waits until it has ended; fails if it did", cmd_wait, 0,
      NULL, "job" },
    { "job", "cancel", "JOB...", "asks its agent to stop it", cmd_cancel, CMD_CHANGE, NULL,
      "job" },
    { NULL },
};
