/* cli/job.c: rows of table job: asked for, shown as a bar.
 *
 * What takes long is a job that can be waited for and cancelled.  A bar says how much is done
 * in bytes and when it will end, both as the agent tells. */
#include "cli/job_i.h"

#include <pwd.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/query_i.h"

#define BAR_CELLS 20

struct json
job_asker(struct cli *cli)
{
    const struct passwd *who = getpwuid(geteuid());
    return who ? json_string(&cli->arena, who->pw_name)
               : json_stringf(&cli->arena, "uid %u", (unsigned) geteuid());
}

struct json
job_row(struct cli *cli, const char *kind, const char *table, const struct uuid *target,
        const struct json *row_with_node)
{
    struct arena *a = &cli->arena;
    struct json row = json_object();
    struct uuid node;

    json_put(a, &row, "kind", json_string_ref(kind));
    json_put(a, &row, "target", q_uuid(a, target));
    json_put(a, &row, "target_table", json_string_ref(table));
    if (row_ref(row_with_node, "hostnode", &node)) {
        json_put(a, &row, "hostnode", q_uuid(a, &node));
    }
    json_put(a, &row, "asked_by", job_asker(cli));
    json_put(a, &row, "state", json_string_ref("queued"));
    json_put(a, &row, "created_at", json_int(clock_wall_ms()));
    return row;
}

void
job_await(struct cli *cli, const struct uuid *job)
{
    struct goal *g = &cli->change.goals.v[cli->change.goals.n - 1];
    g->job = *job;
    g->has_job = true;
}

void
bar_print(struct buf *b, const struct bar *bar)
{
    int n = (int) (bar->fraction * BAR_CELLS + 0.5);
    buf_char(b, '[');
    for (int i = 0; i < BAR_CELLS; i++) {
        buf_char(b, i < n ? '#' : '-');
    }
    buf_printf(b, "] %3.0f%%", 100 * bar->fraction);
    if (bar->total > 0) {
        CLEANUP(free_drop) char *done = str_from_bytes(bar->done);
        CLEANUP(free_drop) char *total = str_from_bytes(bar->total);
        buf_printf(b, "  %s of %s", done, total);
    }
    if (bar->left_ms >= 0) {
        CLEANUP(free_drop) char *left = duration_text(bar->left_ms);
        buf_printf(b, "  %s left", left);
    }
}

char *
duration_text(int64_t ms)
{
    int64_t s = max64(ms, 0) / 1000;
    return s < 100         ? str_dupf("%" PRId64 " s", s)
           : s < 100 * 60  ? str_dupf("%" PRId64 " min", s / 60)
           : s < 72 * 3600 ? str_dupf("%" PRId64 " h", s / 3600)
                           : str_dupf("%" PRId64 " d", s / 86400);
}
