/* cli/cmd_vm_parts.c: the verbs that change a machine's hardware. */
#include "cli/vm_i.h"

static const struct opt_spec opts_medium[] = {
    { "force", NULL, "even if the guest has locked the drive" },
    { NULL },
};
static const struct opt_spec opts_attach[] = {
    { "cdrom", NULL, "as a CD-ROM" },
    { NULL },
};

#define WHILE_IT_RUNS                                                                            \
    "A running machine is changed at once where that is possible; vm why names what waits for\n" \
    "the next start.\n"
#define DISK_HELP "DISK is the guest's name for it (vdb), or the volume.\n"
#define IFACE_HELP "IFACE is its MAC address, or the network if it has one card there.\n"

const struct command cmds_vm_parts[] = {
    { "vm", "set", "NAME COLUMN=VALUE...", "changes its hardware", vm_set, CMD_CHANGE,
      opts_vm_set, "vm assignment",
      "byre vm set web mem=4G vcpu=4 cpu_cap=150 cpuset=0-3\n" WHILE_IT_RUNS
      "byre explain vm lists the columns.\n" },
    { "vm", "mem-set", "NAME SIZE", "changes its memory", vm_mem_set, CMD_CHANGE,
      opts_vm_mem_set, "vm",
      "Up to the maximum it was started with at once, by its balloon.\n" },
    { "vm", "vcpu-set", "NAME N", "changes the number of its CPUs", vm_vcpu_set, CMD_CHANGE,
      opts_vm_vcpu_set, "vm", "Up to the maximum it was started with at once.\n" },
    { "vm", "disk list", "NAME", "its disks and drives", vm_disk_list, CMD_LIST, NULL,
      "vm" },
    { "vm", "disk attach", "NAME DISK", "gives it one more disk", vm_attach, CMD_CHANGE,
      opts_attach, "vm volume", "DISK is as for vm create.\n" WHILE_IT_RUNS },
    { "vm", "disk detach", "NAME DISK", "takes a disk out; its volume stays", vm_detach,
      CMD_CHANGE, NULL, "vm volume",
      DISK_HELP
      "The guest of a running machine must give it back: it is asked for 45 s.\n" },
    { "vm", "disk set", "NAME DISK COLUMN=VALUE...",
      "changes a disk: its limits, its cache", vm_disk_set, CMD_CHANGE, NULL, "vm volume",
      "byre vm disk set web vda total_iops_sec=500 total_bytes_sec=50M\n" DISK_HELP
          WHILE_IT_RUNS },
    { "vm", "disk insert", "NAME DRIVE VOLUME", "puts a medium into a drive", vm_insert,
      CMD_CHANGE, opts_medium, "vm volume volume", NULL },
    { "vm", "disk eject", "NAME DRIVE", "takes the medium out of a drive", vm_eject,
      CMD_CHANGE, opts_medium, "vm volume",
      "A guest that reads it may have locked the drive: then --force, as with a pin in the hole.\n" },
    { "vm", "disk resize", "NAME DISK SIZE", "makes a disk larger", vm_disk_resize,
      CMD_CHANGE, NULL, "vm volume",
      "byre vm disk resize web vdb 20G\n" DISK_HELP
      "The guest of a running machine sees the new size at once; its partitions and file systems\n"
      "are its own to grow.\n" },
    { "vm", "disk move", "NAME DISK POOL", "moves a disk to another pool", vm_disk_move,
      CMD_CHANGE, opts_vm_disk_move, "vm volume pool",
      "byre vm disk move web vda fast\n" DISK_HELP
      "A running machine goes on meanwhile and notices nothing.  Cancelled (Ctrl-C, byre job cancel) or\n"
      "broken off, the disk is where it was.\n" },
    { "vm", "iface list", "NAME", "its network cards", vm_iface_list, CMD_LIST, NULL,
      "vm" },
    { "vm", "iface add", "NAME NETWORK", "gives it a network card", vm_iface_add,
      CMD_CHANGE, NULL, "vm network",
      "NETWORK is as for vm create: NET,ip=A,mac=M,model=e1000\n" WHILE_IT_RUNS },
    { "vm", "iface remove", "NAME IFACE", "takes a network card out", vm_iface_remove,
      CMD_CHANGE, NULL, "vm network", IFACE_HELP "Its addresses are free then.\n" },
    { "vm", "iface set", "NAME IFACE COLUMN=VALUE...",
      "changes a network card: its limits, its cable", vm_iface_set, CMD_CHANGE, NULL,
      "vm network",
      "byre vm iface set web 52:54:00:12:34:56 inbound=10240 link_down=on\n" IFACE_HELP
          WHILE_IT_RUNS },
    { "vm", "attach", "NAME DISK", "vm disk attach", vm_attach, CMD_CHANGE | CMD_HIDDEN,
      opts_attach, "vm volume", NULL },
    { "vm", "detach", "NAME DISK", "vm disk detach", vm_detach, CMD_CHANGE | CMD_HIDDEN,
      NULL, "vm volume", NULL },
    { NULL },
};
