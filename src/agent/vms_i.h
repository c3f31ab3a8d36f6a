/* agent/vms_i.h: what vms.c, vm_steps.c and vm_rows.c share.  Private. */
#ifndef AGENT_VMS_I_H
#define AGENT_VMS_I_H 1

#include "agent/agent_i.h"
#include "virt/hot.h"

/* A row's want, with what it takes to define the domain.  The strings of the want live in it. */
struct vm_wanted {
    struct vm_want want;
    struct model_vm model;
    bool built; /* The model holds something. */
    char print[VIRT_PRINT_CHARS + 1];
    char *error, *waits, *late;
    struct virt_diff diff; /* Against what runs. */
    bool has_diff;
    char guard[VIRT_PRINT_CHARS + 1];
};

/* One step, or only a look (VM_DO_NOTHING), in a worker thread.  Owns all it points to. */
struct vm_job {
    struct agent *agent;
    struct vm_obj *obj; /* NULL: a look at a domain that is nobody's. */
    enum vm_step step;
    struct uuid domain;
    char *name;
    char *xml;             /* VM_DO_DEFINE. */
    struct virt_diff diff; /* VM_DO_CHANGE ... */
    bool has_diff;
    bool asked; /* ... and it was tried before. */
    char *
        console_log; /* VM_DO_UNDEFINE for good: goes with the domain; NULL: another name. */
    volatile int cancel; /* The want changed before the step began. */
    struct vm_want want; /* For the memo; its 'print' points to: */
    char print[VIRT_PRINT_CHARS + 1], guard[VIRT_PRINT_CHARS + 1];
    struct model_vm model; /* VM_DO_GUARD: what it shall be; else empty. */
    struct vm_memo before; /* What the step was decided on; borrows its 'error'. */

    bool skipped;
    struct err *e, *look_e;
    struct virt_dom dom;
};

/* vm_steps.c */
/* Begins a step in a thread; takes from '*w' what it needs. */
void vm_step_begin(struct agent *, struct vm_obj *, enum vm_step, struct vm_wanted *w,
                   const struct row_vm *);
void vm_look_at(struct agent *, const struct uuid *domain); /* It may have changed. */

/* vm_rows.c */
/* Steps that are but a transaction.  They hold only for the want that they were decided on. */
void vm_row_step(struct agent *, struct vm_obj *, enum vm_step, const struct row_vm *);
/* 'd' NULL: nothing was decided, so nothing is said of it. */
void vm_facts(struct agent *, const struct row_vm *, const struct virt_dom *seen,
              const struct vm_wanted *, const struct vm_decision *d);

#endif /* agent/vms_i.h */
