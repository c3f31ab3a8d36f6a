/* cli/node_i.h: commands of the noun node that have a file of their own. */
#ifndef CLI_NODE_I_H
#define CLI_NODE_I_H 1

#include "cli/names_i.h"

struct err *node_memory(struct cli *, const struct args *) MUST_CHECK;
/* Adds a job for each machine of the node; node_evacuate.c. */
struct err *node_evacuate(struct cli *, const struct args *,
                          const struct named *node) MUST_CHECK;

#endif /* cli/node_i.h */
