/* engine/qemu_img_i.h: what qemu-img gets besides its arguments.  Private. */
#ifndef ENGINE_QEMU_IMG_I_H
#define ENGINE_QEMU_IMG_I_H 1

#include "loop/child.h"

struct engine;
struct plan_step;

struct qemu_img {
    struct engine *engine;
    struct child_limits limits;
    int64_t total;
    char text[64]; /* The line that it is printing. */
    size_t n;
};

/* Sets limits and the eye for the progress if the command is qemu-img.  'q' must live as long
 * as the child does. */
void qemu_img_prepare(struct qemu_img *q, struct engine *, const struct plan_step *,
                      struct child_spec *);
/* "    (12.34/100%)" is 12.34; -1: it is something else. */
double qemu_img_percent(const char *line);

#endif /* engine/qemu_img_i.h */
