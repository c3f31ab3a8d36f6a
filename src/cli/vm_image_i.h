/* cli/vm_image_i.h: what a new machine is made from: a preset and an image. */
#ifndef CLI_VM_IMAGE_I_H
#define CLI_VM_IMAGE_I_H 1

#include "cli/job_i.h"
#include "cli/names_i.h"

struct template
{
    struct named preset, image; /* 'row' NULL: none was named. */
};

/* --preset and --image. */
struct err *template_read(struct cli *, const struct args *, struct template *) MUST_CHECK;
/* A number of the preset. */
int64_t template_int(const struct template *, const char *column, int64_t absent);
/* Adds the names of the preset's networks, sorted. */
struct err *template_networks(struct cli *, const struct template *,
                              struct strvec *networks) MUST_CHECK;
/* An interface as --net has it, with the preset's limits where it says none itself. */
const char *template_limits(struct cli *, const struct template *, const char *net);
/* Adds to the machine's row, and to the change, what they ask for; the row's "mem" must be there.
 * ERR_CONSTRAINT with the figures if the image needs more. */
struct err *template_apply(struct cli *, const struct args *, const struct template *,
                           const char *name, const struct uuid *vm,
                           struct json *row) MUST_CHECK;

#endif /* cli/vm_image_i.h */
