/* super/control.h: what `byred --stop` and `--status` do to the byred of a state directory. */
#ifndef SUPER_CONTROL_H
#define SUPER_CONTROL_H 1

#include "super/program.h"

/* Both print for a person and return the exit status. */
int control_stop(const struct place *);   /* 0: none runs any more. */
int control_status(const struct place *); /* 0: all run; 3: not all. */

#endif /* super/control.h */
