/* cli/vm_create.c: a new machine: its row, its disks, and the volumes that are new with
 * it, in one transaction. */
#include "base/clock.h"
#include "cli/list_i.h"
#include "cli/net_i.h"
#include "cli/vm_i.h"
#include "cli/vm_image_i.h"
#include "cli/vol_i.h"

#define MEM_MIB_DEFAULT 1024

static struct err *
add_disks(struct cli *cli, const struct args *args, size_t n, const struct uuid *vm)
{
    static const char *const opts[] = { "disk", "cdrom" };
    for (size_t k = 0; k < N_ELEMS(opts); k++) {
        const char *text;
        for (size_t i = 0; (text = args_nth(args, opts[k], i)); i++) {
            if (n == VM_DISKS_MAX) {
                return err_new(ERR_CONSTRAINT, "more than %d disks", VM_DISKS_MAX);
            }
            TRY(err_wrap(vm_add_disk(cli, vm, text, k == 1, n++), "--%s %s", opts[k],
                         text));
        }
    }
    return NULL;
}

/* References that are named by an option of the column's name. */
static struct err *
put_ref(struct cli *cli, const struct args *args, const char *column, const char *table,
        struct json *row)
{
    const char *spec = args_get(args, column);
    struct named named;
    if (!spec) {
        return NULL;
    }
    TRY(err_wrap(names_find(cli, table, spec, "_uuid", &named), "--%s", column));
    json_put(&cli->arena, row, column, q_uuid(&cli->arena, &named.uuid));
    return NULL;
}

static void
put_text(struct cli *cli, const struct args *args, const char *opt, const char *column,
         struct json *row)
{
    const char *text = args_get(args, opt);
    if (text) {
        json_put(&cli->arena, row, column, json_string(&cli->arena, text));
    }
}

/* Room to grow while it runs. */
static struct err *
put_room(struct cli *cli, const struct args *args, struct json *row)
{
    int64_t mem_bytes = 0, vcpus = 0;
    TRY(args_size(args, "mem-max", MIB, &mem_bytes));
    TRY(args_int(args, "vcpu-max", 1, 4096, &vcpus));
    if (mem_bytes) {
        json_put(&cli->arena, row, "mem_max", json_int((mem_bytes + MIB - 1) / MIB));
    }
    if (vcpus) {
        json_put(&cli->arena, row, "vcpu_max", json_int(vcpus));
    }
    return NULL;
}

static struct err *
put_hardware(struct cli *cli, const struct args *args, const struct template *t,
             struct json *row)
{
    struct arena *a = &cli->arena;
    int64_t mem_bytes = template_int(t, "mem", MEM_MIB_DEFAULT) * MIB;
    int64_t vcpu = template_int(t, "vcpu", 1);
    TRY(args_size(args, "mem", MIB, &mem_bytes));
    TRY(args_int(args, "vcpu", 1, 4096, &vcpu));
    if (mem_bytes < MIB || mem_bytes % MIB) {
        return err_hint(err_new(ERR_SYNTAX, "--mem must be a whole number of MiB"),
                        "--mem 2G");
    }
    json_put(a, row, "mem", json_int(mem_bytes / MIB));
    json_put(a, row, "vcpu", json_int(vcpu));
    TRY(put_ref(cli, args, "vmi", "vmi", row));
    TRY(put_ref(cli, args, "kernel", "volume", row));
    TRY(put_ref(cli, args, "initrd", "volume", row));
    put_text(cli, args, "cmdline", "cmdline", row);
    put_text(cli, args, "machine", "machine", row);
    put_text(cli, args, "accel", "accel", row);
    put_text(cli, args, "cpu-mode", "cpu_mode", row);
    put_text(cli, args, "cpu-model", "cpu_model", row);
    put_text(cli, args, "display", "display", row);
    if (args_has(args, "tpm")) {
        json_put(a, row, "tpm", json_bool(true));
    }
    TRY(put_room(cli, args, row));
    put_text(cli, args, "firmware", "firmware", row);
    put_text(cli, args, "description", "description", row);
    return NULL;
}

/* *ret_there: a machine of that name is there, and that is fine. */
static struct err *
check_new(struct cli *cli, const struct args *args, const char *name, bool *ret_there)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    json_add(a, &where, q_clause(a, "name", "==", json_string(a, name)));
    json_add(a, &ops, q_select(a, "vm", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    *ret_there = q_rows(&results, 0)->n > 0;
    if (*ret_there && !args_has(args, "if-not-exists")) {
        return err_hint(err_new(ERR_EXISTS, "there is already a vm \"%s\"", name),
                        "byre vm info %s; --if-not-exists leaves it as it is", name);
    }
    return NULL;
}

static struct err *
check_takes_new(struct cli *cli, const struct named *node)
{
    struct named full;
    TRY(names_find(cli, "hostnode", UUID_TEXT(&node->uuid), "maintenance", &full));
    if (!row_bool(full.row, "maintenance")) {
        return NULL;
    }
    struct err *e = err_new(
        ERR_CONSTRAINT, "node %s is in maintenance and takes no new machines", node->label);
    return err_hint(e, "byre node maintenance %s off, or another --node", node->label);
}

/* The name of the main network, or NULL. */
static struct err *
main_network(struct cli *cli, const char **ret)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();
    json_add(a, &where, q_clause(a, "main", "==", json_bool(true)));
    json_add(a, &where, q_clause(a, "deleted", "==", json_bool(false)));
    json_add(a, &ops, q_select(a, "network", where, "name"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    *ret = rows->n == 1 ? row_string(&rows->elems[0], "name") : NULL;
    return NULL;
}

/* What the interfaces shall be: as --net says; else as the preset does; else one in the main network, if
 * there is one. */
static MUST_CHECK struct err *
list_ifaces(struct cli *cli, const struct args *args, const struct template *t,
            struct strvec *ret)
{
    const char *text;
    for (size_t i = 0; (text = args_nth(args, "net", i)); i++) {
        strvec_add(ret, text);
    }
    if (ret->n == 0) {
        TRY(template_networks(cli, t, ret));
    }
    if (ret->n == 0) {
        TRY(main_network(cli, &text));
        if (text) {
            strvec_add(ret, text);
        }
    }
    if (ret->n > NET_IFACES_MAX) {
        return err_new(ERR_CONSTRAINT, "more than %d interfaces", NET_IFACES_MAX);
    }
    return NULL;
}

static struct err *
add_ifaces(struct cli *cli, const struct args *args, const struct template *t,
           const struct uuid *vm, struct json *row)
{
    CLEANUP(strvec_done) struct strvec texts = STRVEC_INIT;
    const char *address = NULL;
    TRY(list_ifaces(cli, args, t, &texts));
    for (size_t i = 0; i < texts.n && !str_eq(texts.v[i], "none"); i++) {
        const char *first, *text = template_limits(cli, t, texts.v[i]);
        TRY(err_wrap(net_add_iface(cli, vm, text, &first), "--net %s", text));
        address = address ? address : first;
    }
    if (address) {
        json_put(&cli->arena, row, "ip", json_string_ref(address));
    }
    return NULL;
}

struct err *
vm_create(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    const char *name = args->pos.v[0];
    struct named node;
    struct json row = json_object();
    struct uuid row_uuid_new, uuid;
    struct template template;
    bool start = args_has(args, "start");
    bool there;

    TRY(fail_unless_name("vm", name));
    TRY(check_new(cli, args, name, &there));
    if (there) {
        return NULL;
    }
    TRY(pick_node(cli, args, &node));
    TRY(err_wrap(check_takes_new(cli, &node), "vm %s", name));
    uuid_random(&row_uuid_new);
    uuid_random(&uuid);
    json_put(a, &row, "name", json_string(a, name));
    json_put(a, &row, "uuid", q_uuid(a, &uuid));
    json_put(a, &row, "hostnode", q_uuid(a, &node.uuid));
    TRY(err_wrap(template_read(cli, args, &template), "vm %s", name));
    TRY(err_wrap(put_hardware(cli, args, &template, &row), "vm %s", name));
    TRY(err_wrap(template_apply(cli, args, &template, name, &row_uuid_new, &row), "vm %s",
                 name));
    json_put(a, &row, "autostart", json_bool(args_has(args, "autostart")));
    json_put(a, &row, "state", json_string_ref(start ? "running" : "stopped"));
    json_put(a, &row, "generation", json_int(1));
    TRY(err_wrap(add_disks(cli, args, template.image.row ? 1 : 0, &row_uuid_new), "vm %s",
                 name));
    TRY(err_wrap(add_ifaces(cli, args, &template, &row_uuid_new, &row), "vm %s", name));
    change_insert_as(cli, "vm", &row_uuid_new, row);
    change_await(cli, GOAL_APPLIED, "vm", &row_uuid_new, 1, arena_printf(a, "vm %s", name),
                 start ? "running" : "created");
    return NULL;
}

const struct opt_spec opts_vm_create[] = {
    { "mem", "SIZE", "memory; MiB without a unit (1G)" },
    { "vcpu", "N", "CPUs (1)" },
    { "disk", "DISK", "POOL/VOLUME or POOL/NAME:SIZE; may be repeated", "volume" },
    { "cdrom", "VOLUME", "an ISO image; may be repeated", "volume" },
    { "image", "IMAGE", "its disk is a copy of this one, with a first-boot disk", "vmi" },
    { "preset", "PRESET", "sizes to begin with", "preset" },
    { "size", "SIZE", "size of its main disk (the image's); MiB without a unit" },
    { "pool", "POOL", "where its main disk lies (beside the image)", "pool" },
    { "user", "NAME", "user that the first boot makes (the image's own)" },
    { "ssh-key", "FILE", "public keys of that user; may be repeated", "file" },
    { "password-stdin", NULL, "his password: the first line of standard input" },
    { "hostname", "NAME", "what the guest calls itself (NAME)" },
    { "net", "NET", "NET[,ip=A][,mac=M]...; may be repeated; none (the main network)",
      "network" },
    { "vmi", "NAME", "OS template: kernel, initrd, command line", "vmi" },
    { "kernel", "VOLUME", "kernel to boot directly", "volume" },
    { "initrd", "VOLUME", "its initial RAM disk", "volume" },
    { "cmdline", "TEXT", "its command line" },
    { "node", "NODE", "on which host (the only one)", "hostnode" },
    { "start", NULL, "start it" },
    { "autostart", NULL, "start it when the host has booted" },
    { "machine", "TYPE", "q35, pc ... (q35)" },
    { "accel", "HOW", "auto (default), kvm, qemu", "auto|kvm|qemu" },
    { "mem-max", "SIZE", "the most memory it can get while it runs" },
    { "vcpu-max", "N", "the most CPUs it can get while it runs" },
    { "cpu-mode", "MODE", "host-passthrough, host-model, maximum, custom",
      "host-passthrough|host-model|maximum|custom" },
    { "cpu-model", "NAME", "with --cpu-mode custom" },
    { "display", "KIND", "vnc, none", "vnc|none" },
    { "tpm", NULL, "with a TPM 2.0" },
    { "firmware", "KIND", "bios (default), efi", "bios|efi" },
    { "description", "TEXT", "for people" },
    { "if-not-exists", NULL, "a machine of that name that is there already is no error" },
    { NULL },
};
