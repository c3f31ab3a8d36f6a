/* model/vm.h: a virtual machine, from its rows to room virt's values.
 *
 * Pure.  Strings in the result are copied into its own arena, so that it may cross to another
 * thread while the rows change.
 * Rows.    The vm; its devices and their volumes (a volume's 'filepath' and 'format' as observed);
 *          its interfaces, their networks (which must work on the host) and addresses; kernel, initrd and command line of its own, or else
 *          of its OS template.  "($HOSTNAME)" in a command line stands for the vm's name.
 * Errors.  ERR_CONSTRAINT or ERR_NOT_FOUND, with a hint, for what only a change of rows can mend. */
#ifndef MODEL_VM_H
#define MODEL_VM_H 1

#include "base/base.h"
#include "replica/vmmgr_rows.h"
#include "virt/domain.h"

/* What the host decides about a domain. */
struct model_vm_host {
    bool kvm, tcg;             /* A probe guest ran. */
    const char *kvm_why;       /* If not: why.  NULL or "": not known. */
    const char *console_dir;   /* Logs of serial consoles; absolute. */
    const char *firstboot_dir; /* First-boot disks; absolute.  NULL: none are shown. */
    const char *no_guards; /* Why guests cannot be kept from spoofing; NULL: they can. */
    const struct uuid *hostnode; /* As it will be there; NULL: where its row says. */
    const char *nvram_dir;       /* Variables of UEFI firmware; absolute. */
    enum virt_kind kind;
    bool has_efi, has_tpm; /* It has the firmware, and swtpm. */
    bool cgroups2;
};

struct model_vm {
    struct arena arena;
    struct virt_domain domain; /* Has passed virt_domain_check(), unless 'waits'. */
    const char *waits;  /* Not NULL: it cannot be built yet; what for.  Three lines. */
    bool waits_for_job; /* And that will end by itself. */
};

/* 'ret' is initialised here; on failure it holds nothing. */
struct err *model_vm(const struct row_vm *, const struct model_vm_host *,
                     struct model_vm *ret) MUST_CHECK;
void model_vm_done(struct model_vm *); /* For CLEANUP(). */

/* The same volume as another host has it: that of the same name in its pool of the same template
 * (the same file if hosts share the storage, else its copy).  NULL: it has none. */
const struct row_volume *model_volume_on(const struct row_volume *,
                                         const struct uuid *hostnode);

/* The UUID of the vm's domain: the column 'uuid', else the row's own. */
struct uuid model_vm_uuid(const struct row_vm *);
/* Where the vm's first-boot disk is.  The caller frees it. */
char *model_vm_firstboot(const char *firstboot_dir, const struct uuid *domain);
/* Where the serial console of the vm is logged.  The caller frees it. */
char *model_vm_console_log(const char *console_dir, const struct uuid *domain);

#endif /* model/vm.h */
