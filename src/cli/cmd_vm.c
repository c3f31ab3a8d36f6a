/* cli/cmd_vm.c: the noun vm: its verbs and their options. */
#include "cli/list_i.h"
#include "cli/vm_i.h"

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

#define OPT_ALL "all", NULL, "all machines of Byre's"

static const struct opt_spec opts_all[] = { { OPT_ALL }, { NULL } };
static const struct opt_spec opts_restore[] = {
    { OPT_ALL },
    { "paused", NULL, "and leave it paused" },
    { NULL },
};
static const struct opt_spec opts_wait[] = {
    { "state", "STATE",
      "running (default), stopped, paused, saved, crashed, installed, deleted",
      "running|stopped|paused|saved|crashed|installed|deleted" },
    { NULL },
};
static const struct opt_spec opts_snapshot[] = {
    { "description", "TEXT", "for people" },
    { "no-memory", NULL, "the disks alone; the machine must be off" },
    { NULL },
};
static const struct opt_spec opts_stop[] = {
    { OPT_ALL },
    { "force", NULL, "pull the plug instead of asking the guest" },
    { NULL },
};
static const struct opt_spec opts_delete[] = {
    { OPT_ALL },
    { "volumes", NULL, "its disks too" },
    { "if-exists", NULL, "a machine that is not there is no error" },
    { NULL },
};
static const struct opt_spec opts_autostart[] = {
    { OPT_ALL },
    { "disable", NULL, "do not" },
    { NULL },
};

#define MANY                                                                                      \
    "NAME may be a pattern ('web*'); of those that it means, the ones that can are changed, in\n" \
    "one transaction, and the others are named.\n"

const struct command cmds_vm[] = {
    { "vm", "create", "NAME", "makes a machine", vm_create, CMD_CHANGE, opts_vm_create,
      NULL,
      "byre vm create web --mem 2G --vcpu 2 --disk default/web.qcow2:20G --vmi tiny --start\n"
      "\n"
      "A disk is POOL/VOLUME (one that is there) or POOL/NAME:SIZE (a new one, qcow2), followed by\n"
      ",bus=virtio|sata|scsi|ide  ,format=raw  ,cache=none  ,backing=VOLUME\n"
      ",readonly  ,shareable  as wanted.  A disk that is neither belongs to the machine from then on.\n"
      "\n"
      "An interface is a network, followed by  ,ip=ADDRESS|none  ,mac=M  ,model=e1000  ,antispoof=off\n"
      ",inbound=KIB  ,outbound=KIB  as wanted.  Without ip= it gets an address of each family that the\n"
      "network has ranges for, in the transaction that makes it.\n" },
    { "vm", "list", "[NAME...]", "machines, and how they are", cmd_list, CMD_LIST, NULL,
      "vm" },
    { "vm", "info", "NAME...", "all that is known of a machine", cmd_info, 0, NULL, "vm" },
    { "vm", "start", "[NAME...]", "starts it; one that is saved goes on", vm_start,
      CMD_CHANGE, opts_restore, "vm", MANY },
    { "vm", "shutdown", "[NAME...]", "asks its guest to shut down", vm_shutdown, CMD_CHANGE,
      opts_all, "vm",
      "By the guest agent if it answers, else by the power button, again and again for 45 s.\n"
      "A guest that does not obey goes on: on a terminal you are asked whether to pull the plug.\n"
      "\n" MANY },
    { "vm", "stop", "[NAME...]", "stops it; --force pulls the plug", vm_stop, CMD_CHANGE,
      opts_stop, "vm",
      "--force of a saved machine throws its memory away.\n"
      "\n" MANY },
    { "vm", "destroy", "[NAME...]", "pulls the plug; the machine itself stays", vm_destroy,
      CMD_CHANGE, opts_all, "vm", MANY },
    { "vm", "reboot", "[NAME...]", "reboots it; --force resets it", vm_reboot, CMD_CHANGE,
      opts_stop, "vm", MANY },
    { "vm", "reset", "[NAME...]", "presses its reset button", vm_reset, CMD_CHANGE,
      opts_all, "vm", MANY },
    { "vm", "pause", "[NAME...]", "halts its CPUs; memory stays", vm_pause, CMD_CHANGE,
      opts_all, "vm", MANY },
    { "vm", "resume", "[NAME...]", "lets it go on", vm_resume, CMD_CHANGE, opts_all, "vm",
      MANY },
    { "vm", "save", "[NAME...]", "writes its memory to disk and ends it", vm_save,
      CMD_CHANGE, opts_all, "vm",
      "The next start, or restore, goes on where it was.\n"
      "\n" MANY },
    { "vm", "restore", "[NAME...]", "lets what was saved go on", vm_restore, CMD_CHANGE,
      opts_restore, "vm", MANY },
    { "vm", "delete", "[NAME...]", "forces it off and forgets it", vm_delete, CMD_CHANGE,
      opts_delete, "vm", MANY },
    { "vm", "rename", "NAME NEW", "gives it another name", vm_rename, CMD_CHANGE, NULL,
      "vm", "What runs keeps its name in libvirt until it is off.\n" },
    { "vm", "wait", "NAME...", "waits until it is in a state", vm_wait, 0, opts_wait, "vm",
      "byre vm wait web --state stopped --timeout 300\n" },
    { "vm", "snapshot create", "NAME SNAPSHOT", "keeps its state, in its disks",
      vm_snapshot_create, CMD_CHANGE, opts_snapshot, "vm",
      "With its memory while it is on.  All its disks must be qcow2.\n" },
    { "vm", "snapshot list", "[NAME...]", "its snapshots", vm_snapshot_list, CMD_LIST, NULL,
      "vm" },
    { "vm", "snapshot revert", "NAME SNAPSHOT", "goes back to one; what it is now is lost",
      vm_snapshot_revert, CMD_CHANGE, NULL, "vm snapshot",
      "The machine is then what it was: running, paused or off.\n" },
    { "vm", "snapshot delete", "NAME SNAPSHOT...", "forgets them", vm_snapshot_delete,
      CMD_CHANGE, NULL, "vm snapshot" },
    { "vm", "autostart", "[NAME...]", "starts it when the host has booted", vm_autostart,
      CMD_CHANGE, opts_autostart, "vm" },
    { "vm", "console", "NAME", "its serial console; Ctrl-] leaves", vm_console, 0,
      opts_vm_console, "vm" },
    { "vm", "migrate", "NAME... NODE", "moves it to another host, while it runs",
      vm_migrate, CMD_CHANGE, opts_vm_migrate, "vm hostnode", vm_migrate_help },
    { "vm", "clone", "NAME NEW", "a second machine like it, with copies of its disks",
      vm_clone, CMD_CHANGE, opts_vm_clone, "vm",
      "byre vm clone web web2 --start\n"
      "The machine must be off.  --linked copies nothing: the new disks hold what differs, so the\n"
      "old machine cannot be started any more while the new one is there.\n" },
    { "vm", "send-key", "NAME KEYS...", "presses keys together: ctrl-alt-delete",
      vm_send_key, 0, opts_vm_send_key, "vm",
      "byre vm send-key web ctrl-alt-f2 enter: one after the other.  Names as libvirt's, without KEY_:\n"
      "a 1 f1 enter esc tab space backspace delete home pageup left ctrl alt shift meta sysrq ...\n" },
    { "vm", "type", "NAME TEXT", "types the text on its keyboard", vm_type, 0,
      opts_vm_send_key, "vm",
      "TEXT - is read from standard input: for what shall not stand in the list of processes.\n"
      "The guest must have the keyboard layout us.  A line end is the key enter; \\n in TEXT, too.\n" },
    { "vm", "screenshot", "NAME [FILE]", "a picture of its screen", vm_screenshot, 0,
      opts_vm_screenshot, "vm" },
    { "vm", "dumpxml", "NAME", "the machine as libvirt's XML", vm_dumpxml, 0,
      opts_vm_dumpxml, "vm",
      "What its rows became, on its host; for virsh, and for those who want to know.\n" },
    { "vm", "dump-core", "NAME [FILE]",
      "its memory as an ELF core, for crash(8) and gdb(1)", vm_dump_core, 0,
      opts_vm_dump_core, "vm",
      "The guest stands still meanwhile, unless --live; then it goes on.\n" },
    { "vm", "vnc", "NAME", "where its VNC server listens, and how to get there", vm_vnc, 0,
      NULL, "vm" },
    { "vm", "vnc-password", "NAME", "what its VNC server asks for", vm_vnc_password,
      CMD_CHANGE, opts_vm_vnc_password, "vm",
      "byre vm vnc-password web --password-file - < FILE\n"
      "Of its 1 to 8 characters no list, log or process tells.  With the next start.\n" },
    { "vm", "why", "NAME", "what it shall be, what it is, and what it waits for", vm_why, 0,
      NULL, "vm" },
    { NULL },
};
