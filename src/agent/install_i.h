/* agent/install_i.h: machines whose system is not installed yet.  Private.  See install.c. */
#ifndef AGENT_INSTALL_I_H
#define AGENT_INSTALL_I_H 1

#include "agent/agent_i.h"

#define HASH_AGAIN_MS 5000 /* If the transaction that hashes the key was lost. */

/* Makes, keeps or removes the machine's first-boot disk.  Not NULL: why it cannot be started yet;
 * three lines, for the caller to free. */
char *install_pass(struct agent *, struct vm_obj *, const struct row_vm *);
void install_forget(struct agent *, const struct uuid *domain); /* The disk goes. */
void install_event(struct agent *, const struct row_vm *, enum virt_event_kind);

#endif /* agent/install_i.h */
