/* cli/job_i.h: jobs, for the commands that ask for them. */
#ifndef CLI_JOB_I_H
#define CLI_JOB_I_H 1

#include "cli/cli_i.h"

/* A new row of table job, queued, for the host of 'row_with_node' (a pool's or a volume's). */
struct json job_row(struct cli *, const char *kind, const char *table,
                    const struct uuid *target, const struct json *row_with_node);
/* Name of the user who gives this command, for a column asked_by. */
struct json job_asker(struct cli *);
/* The last goal of the change is reached by this job: it is shown, printed with --no-wait and
 * cancelled by Ctrl-C. */
void job_await(struct cli *, const struct uuid *job);

struct bar {
    double fraction;     /* 0..1 */
    int64_t done, total; /* Bytes; 'total' 0: not said. */
    int64_t left_ms;     /* -1: not known. */
};
/* "[########------------]  40%  1.20 GiB of 3.00 GiB  15 s left" */
void bar_print(struct buf *, const struct bar *);
char *duration_text(int64_t ms); /* "15 s", "3 min".  The caller frees it. */

#endif /* cli/job_i.h */
