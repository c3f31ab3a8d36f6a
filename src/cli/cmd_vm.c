/* cli/cmd_vm.c: virtual machines: what state they shall be in.
 *
 * A verb writes the wanted state; the agent of the machine's host makes it true.  So a
 * verb that is given twice is harmless, and one for a host that is down is kept until it
 * is up. */
#include "cli/list_i.h"
#include "cli/vm_i.h"

#define VM_COLUMNS "name,hostnode,source,state,status"

void
vm_await(struct cli *cli, const struct named *vm, enum goal_kind kind, const char *said)
{
    struct uuid node;
    const char *label = arena_printf(&cli->arena, "vm %s", vm->label);
    if (row_ref(vm->row, "hostnode", &node)) {
        change_await(cli, kind, "vm", &vm->uuid, -1, label, said);
    }
}

struct err *
vm_check_ours(const struct named *vm)
{
    if (!str_eq(row_string(vm->row, "source"), "libvirt")) {
        return NULL;
    }
    struct err *e =
        err_new(ERR_DENIED, "it was made by others; Byre shows it and never touches it");
    e = err_hint(e, "use the tool that made it, or virsh");
    return fail_as(err_wrap(e, "vm %s", vm->label), EXIT_REFUSED);
}

typedef struct err *vm_fn(struct cli *, const struct args *, const struct named *);

static struct err *
each_vm(struct cli *cli, const struct args *args, vm_fn *fn)
{
    struct named_list vms = VEC_INIT;
    struct err *e = names_match(cli, "vm", args->pos.v, args->pos.n, VM_COLUMNS, &vms);
    if (err_is(e, ERR_NOT_FOUND) && args_has(args, "if-exists")) {
        err_free(e);
        e = NULL;
    }
    for (size_t i = 0; i < vms.n && !e; i++) {
        e = vm_check_ours(&vms.v[i]);
        if (!e) {
            e = fn(cli, args, &vms.v[i]);
        }
    }
    VEC_DONE(&vms);
    return e;
}

/* Sets the wanted state.  'how' NULL leaves that column alone. */
static struct err *
want(struct cli *cli, const struct named *vm, const char *state, const char *how,
     const char *said)
{
    struct json row = json_object();
    struct uuid node;
    if (!row_ref(vm->row, "hostnode", &node) && !str_eq(state, "deleted")) {
        return err_hint(err_new(ERR_CONSTRAINT, "vm %s has no host", vm->label),
                        "byre vm set %s hostnode=NODE", vm->label);
    }
    json_put(&cli->arena, &row, "state", json_string_ref(state));
    if (how) {
        json_put(&cli->arena, &row, "how", json_string_ref(how));
    }
    change_update(cli, "vm", &vm->uuid, row);
    vm_await(cli, vm, str_eq(state, "deleted") ? GOAL_GONE : GOAL_APPLIED, said);
    return NULL;
}

static const char *
how_of(const struct args *args)
{
    return args_has(args, "force") ? "force" : "graceful";
}

static struct err *
start_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    return want(cli, vm, "running", NULL, "running");
}

static struct err *
shutdown_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    return want(cli, vm, "stopped", "graceful", "stopped");
}

static struct err *
stop_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    return want(cli, vm, "stopped", how_of(args), "stopped");
}

/* Neither is a way to start a machine. */
static struct err *
check_on(const struct named *vm)
{
    const char *state = row_string(vm->row, "state");
    if (str_eq(state, "running") || str_eq(state, "paused")) {
        return NULL;
    }
    return err_hint(err_new(ERR_CONSTRAINT, "vm %s shall not be running", vm->label),
                    "byre vm start %s", vm->label);
}

static struct err *
pause_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    TRY(check_on(vm));
    return want(cli, vm, "paused", NULL, "paused");
}

static struct err *
resume_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    TRY(check_on(vm));
    return want(cli, vm, "running", NULL, "running");
}

static struct err *
reboot_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    struct json row = json_object();
    if (!str_eq(row_string(vm->row, "state"), "running")) {
        return err_hint(err_new(ERR_CONSTRAINT, "vm %s shall not be running", vm->label),
                        "byre vm start %s", vm->label);
    }
    json_put(&cli->arena, &row, "how", json_string_ref(how_of(args)));
    change_update(cli, "vm", &vm->uuid, row);
    change_mutate(cli, "vm", &vm->uuid, "reboots", "+=", json_int(1));
    cli->change.not_twice = true;
    vm_await(cli, vm, GOAL_APPLIED, "rebooted");
    return NULL;
}

/* No host, no agent: the rows are all there is. */
static struct err *
delete_rows(struct cli *cli, const struct named *vm)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    json_add(a, &where, q_clause(a, "vm", "==", q_uuid(a, &vm->uuid)));
    json_add(a, &ops, q_select(a, "device", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *devices = q_rows(&results, 0);
    for (uint32_t i = 0; i < devices->n; i++) {
        struct uuid uuid = row_uuid(&devices->elems[i]);
        change_delete(cli, "device", &uuid);
    }
    change_delete(cli, "vm", &vm->uuid);
    return NULL;
}

/* Waits for the disks that the agent deletes with the machine: those that no other has. */
static struct err *
await_volumes(struct cli *cli, const struct named *vm)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    json_add(a, &where, q_clause(a, "volume", "!=", q_unset(a)));
    json_add(a, &ops, q_select(a, "device", where, "vm,type,volume"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *devices = q_rows(&results, 0);
    for (uint32_t i = 0; i < devices->n; i++) {
        const struct json *device = &devices->elems[i];
        struct uuid owner, volume, other, its;
        bool shared = false;
        if (!row_ref(device, "vm", &owner) || !uuid_eq(&owner, &vm->uuid) ||
            !str_eq(row_string(device, "type"), "disk") ||
            !row_ref(device, "volume", &volume)) {
            continue;
        }
        for (uint32_t k = 0; k < devices->n; k++) {
            shared |= row_ref(&devices->elems[k], "volume", &other) &&
                      uuid_eq(&other, &volume) &&
                      !(row_ref(&devices->elems[k], "vm", &its) && uuid_eq(&its, &owner));
        }
        if (!shared) {
            struct named named;
            TRY(names_find(cli, "volume", UUID_TEXT(&volume), "_uuid", &named));
            change_await_state(cli, GOAL_TAKEN_ALONG, "volume", &volume,
                               arena_printf(a, "vol %s", named.label), "deleted");
            cli->change.goals.v[cli->change.goals.n - 1].owner = owner;
        }
    }
    return NULL;
}

static struct err *
delete_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    struct uuid node;
    struct json row = json_object();
    if (!row_ref(vm->row, "hostnode", &node)) {
        return delete_rows(cli, vm);
    }
    json_put(&cli->arena, &row, "delete_volumes", json_bool(args_has(args, "volumes")));
    change_update(cli, "vm", &vm->uuid, row);
    TRY(want(cli, vm, "deleted", "force", "deleted"));
    return args_has(args, "volumes") ? await_volumes(cli, vm) : NULL;
}

static struct err *
autostart_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    struct json row = json_object();
    json_put(&cli->arena, &row, "autostart", json_bool(!args_has(args, "disable")));
    change_update(cli, "vm", &vm->uuid, row);
    return NULL;
}

static struct err *
cmd_start(struct cli *cli, const struct args *args)
{
    return each_vm(cli, args, start_one);
}

static struct err *
cmd_shutdown(struct cli *cli, const struct args *args)
{
    return each_vm(cli, args, shutdown_one);
}

static struct err *
cmd_stop(struct cli *cli, const struct args *args)
{
    return each_vm(cli, args, stop_one);
}

static struct err *
cmd_reboot(struct cli *cli, const struct args *args)
{
    return each_vm(cli, args, reboot_one);
}

static struct err *
cmd_pause(struct cli *cli, const struct args *args)
{
    return each_vm(cli, args, pause_one);
}

static struct err *
cmd_resume(struct cli *cli, const struct args *args)
{
    return each_vm(cli, args, resume_one);
}

static struct err *
cmd_delete(struct cli *cli, const struct args *args)
{
    return each_vm(cli, args, delete_one);
}

static struct err *
cmd_autostart(struct cli *cli, const struct args *args)
{
    return each_vm(cli, args, autostart_one);
}

static struct err *
cmd_list(struct cli *cli, const struct args *args)
{
    return list_noun(cli, args, "vm");
}

static struct err *
cmd_info(struct cli *cli, const struct args *args)
{
    return info_noun(cli, args, "vm", NULL);
}

static const struct opt_spec opts_stop[] = {
    { "force", NULL, "pull the plug instead of asking the guest" },
    { NULL },
};
static const struct opt_spec opts_delete[] = {
    { "volumes", NULL, "its disks too" },
    { "if-exists", NULL, "a machine that is not there is no error" },
    { NULL },
};
static const struct opt_spec opts_attach[] = {
    { "cdrom", NULL, "as a CD-ROM" },
    { NULL },
};
static const struct opt_spec opts_autostart[] = {
    { "disable", NULL, "do not" },
    { NULL },
};

const struct command cmds_vm[] = {
    { "vm", "create", "NAME", "makes a machine", vm_create, CMD_CHANGE, opts_vm_create,
      NULL,
      "byre vm create web --mem 2G --vcpu 2 --disk default/web.qcow2:20G --vmi tiny --start\n"
      "\n"
      "A disk is POOL/VOLUME (one that is there) or POOL/NAME:SIZE (a new one, qcow2), followed by\n"
      ",bus=virtio|sata|scsi|ide  ,format=raw  ,cache=none  ,backing=VOLUME\n"
      ",readonly  ,shareable  as wanted.  A disk that is neither belongs to the machine from then on.\n" },
    { "vm", "list", "[NAME...]", "machines, and how they are", cmd_list, CMD_LIST, NULL,
      "vm" },
    { "vm", "info", "NAME...", "all that is known of a machine", cmd_info, 0, NULL, "vm" },
    { "vm", "start", "NAME...", "starts it", cmd_start, CMD_CHANGE, NULL, "vm" },
    { "vm", "shutdown", "NAME...", "asks its guest to shut down", cmd_shutdown, CMD_CHANGE,
      NULL, "vm" },
    { "vm", "stop", "NAME...", "stops it; --force pulls the plug", cmd_stop, CMD_CHANGE,
      opts_stop, "vm" },
    { "vm", "reboot", "NAME...", "reboots it; --force resets it", cmd_reboot, CMD_CHANGE,
      opts_stop, "vm" },
    { "vm", "pause", "NAME...", "halts its CPUs; memory stays", cmd_pause, CMD_CHANGE, NULL,
      "vm" },
    { "vm", "resume", "NAME...", "lets it go on", cmd_resume, CMD_CHANGE, NULL, "vm" },
    { "vm", "delete", "NAME...", "forces it off and forgets it", cmd_delete, CMD_CHANGE,
      opts_delete, "vm" },
    { "vm", "set", "NAME COLUMN=VALUE...", "changes its hardware", vm_set, CMD_CHANGE,
      opts_vm_set, "vm assignment",
      "byre vm set web mem=4G vcpu=4: a running machine gets it at its next start\n" },
    { "vm", "attach", "NAME DISK", "gives it one more disk", vm_attach, CMD_CHANGE,
      opts_attach, "vm volume",
      "DISK is as for vm create; a running machine gets it at its next start.\n" },
    { "vm", "detach", "NAME DISK", "takes a disk out; its volume stays", vm_detach,
      CMD_CHANGE, NULL, "vm volume",
      "DISK is the guest's name for it (vdb), or the volume.\n" },
    { "vm", "autostart", "NAME...", "starts it when the host has booted", cmd_autostart,
      CMD_CHANGE, opts_autostart, "vm" },
    { "vm", "console", "NAME", "its serial console; Ctrl-] leaves", vm_console, 0,
      opts_vm_console, "vm" },
    { "vm", "migrate", "NAME... NODE", "moves it to another host, while it runs",
      vm_migrate, CMD_CHANGE, opts_vm_migrate, "vm hostnode", vm_migrate_help },
    { "vm", "why", "NAME", "what it shall be, what it is, and what it waits for", vm_why, 0,
      NULL, "vm" },
    { NULL },
};
