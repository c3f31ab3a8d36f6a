/* engine/qemu_img.c: qemu-img(1) on a leash, and how far it is.
 *
 * It reads images that strangers made, as root.  Its header was checked (image.c); against what
 * else may be in it there are limits, so that a small file cannot eat the host: memory,
 * processor time, and the length of what it writes, all of which follow from the bytes at work.
 * With -p it prints
 *     "    (12.34/100%)\r"
 * again and again, which becomes the progress. */
#include <stdlib.h>

#include "base/str.h"
#include "engine/engine_i.h"
#include "engine/qemu_img_i.h"

#define MEMORY_BYTES (4 * GIB) /* Address space: its libraries alone map some 100 MiB. */
#define CPU_MIN_S 300
#define CPU_BYTES_PER_S (2 * MIB) /* Slower than this even compression is not. */
#define FILE_SLACK_BYTES (1 * GIB)

static void
on_output(void *aux, bool is_stderr, const char *bytes, size_t n)
{
    struct qemu_img *q = aux;
    for (size_t i = 0; i < n && !is_stderr; i++) {
        if (bytes[i] != '\r' && bytes[i] != '\n') {
            q->text[q->n] = bytes[i];
            q->n += q->n + 1 < sizeof q->text;
            continue;
        }
        q->text[q->n] = '\0';
        q->n = 0;
        double percent = qemu_img_percent(q->text);
        if (percent >= 0) {
            engine_progress(q->engine, (int64_t) (percent / 100 * (double) q->total),
                            q->total);
        }
    }
}

double
qemu_img_percent(const char *line)
{
    const char *open = strchr(line, '(');
    char *end;
    double percent = open ? strtod(open + 1, &end) : -1;
    return open && end != open + 1 && str_starts(end, "/100%)") && percent >= 0 &&
                   percent <= 100
               ? percent
               : -1;
}

/* The largest number of bytes that the plan speaks of. */
static int64_t
bytes_at_work(const struct engine *engine)
{
    int64_t most = 0;
    for (size_t i = 0; i < engine->plan->steps.n; i++) {
        most = max64(most, engine->plan->steps.v[i]->size);
    }
    most = max64(most, engine->file >= 0 ? data_length(engine->file) : 0);
    return max64(most, engine->source >= 0 ? data_length(engine->source) : 0);
}

void
qemu_img_prepare(struct qemu_img *q, struct engine *engine, const struct plan_step *step,
                 struct child_spec *spec)
{
    *q = (struct qemu_img){ .engine = engine };
    if (!str_eq(step->args[0].text, "qemu-img")) {
        return;
    }
    int64_t bytes = bytes_at_work(engine);
    q->limits = (struct child_limits){
        .memory_bytes = MEMORY_BYTES,
        .cpu_s = CPU_MIN_S + bytes / CPU_BYTES_PER_S,
        .file_bytes = bytes > INT64_MAX / 4 ? 0 : 2 * bytes + FILE_SLACK_BYTES,
    };
    spec->limits = &q->limits;
    if (step->percent) {
        q->total = max64(step->size, 1);
        spec->on_output = on_output;
        spec->aux = q;
    }
}
