/* cli/vm_i.h: the larger verbs of the noun vm, one file each. */
#ifndef CLI_VM_I_H
#define CLI_VM_I_H 1

#include "cli/names_i.h"

struct err *vm_create(struct cli *, const struct args *) MUST_CHECK;  /* vm_create.c */
struct err *vm_set(struct cli *, const struct args *) MUST_CHECK;     /* vm_create.c */
struct err *vm_console(struct cli *, const struct args *) MUST_CHECK; /* vm_console.c */
struct err *vm_why(struct cli *, const struct args *) MUST_CHECK;     /* vm_why.c */
extern const struct opt_spec opts_vm_create[], opts_vm_set[], opts_vm_console[];

/* Waits for the agent, if there is one that will act: a machine without a host is only a row. */
void vm_await(struct cli *, const struct named *vm, enum goal_kind, const char *said);
/* Refuses machines that belong to libvirt alone. */
struct err *vm_check_ours(const struct named *vm) MUST_CHECK;

#endif /* cli/vm_i.h */
