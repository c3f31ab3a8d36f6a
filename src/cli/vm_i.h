/* cli/vm_i.h: the larger verbs of the noun vm, one file each. */
#ifndef CLI_VM_I_H
#define CLI_VM_I_H 1

#include "cli/names_i.h"

struct err *vm_create(struct cli *, const struct args *) MUST_CHECK; /* vm_create.c */
struct err *vm_attach(struct cli *, const struct args *) MUST_CHECK; /* vm_disk.c */
struct err *vm_detach(struct cli *, const struct args *) MUST_CHECK; /* vm_disk.c */
struct err *vm_insert(struct cli *, const struct args *) MUST_CHECK; /* vm_disk.c */
struct err *vm_eject(struct cli *, const struct args *) MUST_CHECK;  /* vm_disk.c */
struct err *vm_disk_resize(struct cli *,
                           const struct args *) MUST_CHECK; /* vm_disk_move.c */
struct err *vm_disk_move(struct cli *, const struct args *) MUST_CHECK;
extern const struct opt_spec opts_vm_disk_move[];
/* The machine (hostnode, source, status) and the disk (targetdev, type, volume) that the first two words name. */
struct err *vm_and_device(struct cli *, const struct args *, struct named *vm,
                          const struct json **ret) MUST_CHECK;
/* Of what the row says: is the guest there?  'vm' has its column status. */
bool vm_is_on(const struct named *vm);
struct err *vm_disk_set(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_disk_list(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_set(struct cli *, const struct args *) MUST_CHECK; /* vm_set.c */
struct err *vm_mem_set(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_vcpu_set(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_iface_add(struct cli *, const struct args *) MUST_CHECK; /* vm_iface.c */
struct err *vm_iface_remove(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_iface_set(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_iface_list(struct cli *, const struct args *) MUST_CHECK;
extern const struct opt_spec opts_vm_mem_set[], opts_vm_vcpu_set[];

#define VM_VCPUS_MAX 4096
/* Words "COLUMN=VALUE" from the 'first' positional on, as values for a row of the table; only
 * columns of the list, which ends with NULL. */
struct err *vm_assignments(struct cli *, const char *table, const char *const *columns,
                           const struct args *, size_t first, struct json *ret) MUST_CHECK;
/* Rows of a table that belong to the machine the first positional names. */
struct err *vm_list_parts(struct cli *, const struct args *, const char *table,
                          const char *columns, const char *wide) MUST_CHECK;
struct err *vm_console(struct cli *, const struct args *) MUST_CHECK; /* vm_console.c */
struct err *vm_why(struct cli *, const struct args *) MUST_CHECK;     /* vm_why.c */
struct err *vm_migrate(struct cli *, const struct args *) MUST_CHECK; /* vm_migrate.c */
extern const struct opt_spec opts_vm_migrate[];
extern const char vm_migrate_help[];
extern const struct opt_spec opts_vm_create[], opts_vm_set[], opts_vm_console[];

/* vm_verbs.c */
typedef struct err *vm_fn(struct cli *, const struct args *, const struct named *);
/* For each machine that the words name; of many those that can are changed, and the others named. */
struct err *vm_each(struct cli *, const struct args *, vm_fn *) MUST_CHECK;
/* Sets the wanted state and waits for it.  'how' NULL leaves that column alone; 'said': "started". */
struct err *vm_want_state(struct cli *, const struct named *, const char *state,
                          const char *how, const char *said) MUST_CHECK;
struct err *vm_start(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_shutdown(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_stop(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_destroy(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_reboot(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_reset(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_pause(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_resume(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_save(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_restore(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_delete(struct cli *, const struct args *) MUST_CHECK; /* vm_delete.c */
struct err *vm_autostart(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_rename(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_wait(struct cli *, const struct args *) MUST_CHECK;

/* vm_clone.c */
struct err *vm_clone(struct cli *, const struct args *) MUST_CHECK;
extern const struct opt_spec opts_vm_clone[];

/* vm_guest.c */
struct err *vm_send_key(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_type(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_screenshot(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_dump_core(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_dumpxml(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_vnc(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_vnc_password(struct cli *,
                            const struct args *) MUST_CHECK; /* vm_vnc_password.c */
extern const struct opt_spec opts_vm_vnc_password[];
extern const struct opt_spec opts_vm_send_key[], opts_vm_screenshot[], opts_vm_dump_core[],
    opts_vm_dumpxml[];
/* The memory of a guest into a new file; *ret_bytes of it. */
struct err *vm_dump_to(struct cli *, const struct named *, const char *path, bool live,
                       int64_t *ret_bytes) MUST_CHECK;

/* vm_snapshot.c */
struct err *vm_snapshot_create(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_snapshot_list(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_snapshot_revert(struct cli *, const struct args *) MUST_CHECK;
struct err *vm_snapshot_delete(struct cli *, const struct args *) MUST_CHECK;

#define VM_DISKS_MAX 26 /* vda to vdz. */
/* Adds the i-th disk to the change, and its volume if that is new.  'text': POOL/VOLUME or
 * POOL/NAME:SIZE, then ",key=value"...  */
struct err *vm_add_disk(struct cli *, const struct uuid *vm, const char *text,
                        bool is_cdrom, size_t i) MUST_CHECK;

/* Who gives this command, and when, into a vm's row: `vm why` tells it. */
void vm_put_asked(struct cli *, struct json *row);
/* Waits for the agent, if there is one that will act: a machine without a host is only a
 * row.  Notes who asked. */
void vm_await(struct cli *, const struct named *vm, enum goal_kind, const char *said);
/* The same for a change of its hardware: tells what waits for the next start. */
void vm_await_hardware(struct cli *, const struct named *vm, const char *said);
/* Refuses machines that belong to libvirt alone. */
struct err *vm_check_ours(const struct named *vm) MUST_CHECK;

#endif /* cli/vm_i.h */
