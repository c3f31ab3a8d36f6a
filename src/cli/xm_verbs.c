/* cli/xm_verbs.c: xm's subcommands that change something: each is a command line of byre.
 *
 * A checkpoint file of `xm save` is a ticket: the memory itself is kept by libvirt on this host, as for `byre vm save`,
 * and the file says whose it is.  So it is small, and of no use on another host. */
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/agent_i.h"
#include "cli/vm_i.h"
#include "cli/xm_i.h"

#include "base/clock.h"

#define TICKET "byre-saved"
#define TICKET_MAX_BYTES 4096

static const char *
uuid_word(struct cli *cli, const struct named *vm)
{
    return arena_str(&cli->arena, UUID_TEXT(&vm->uuid));
}

/* byre vm VERB DOMAIN [MORE]. */
static struct err *
verb(struct cli *cli, const char *domain, const char *verb_name, const char *more)
{
    struct named vm;
    TRY(xm_find(cli, domain, &vm));
    const char *words[] = { "vm", verb_name, uuid_word(cli, &vm), more, NULL };
    return xm_byre(cli, words);
}

static bool
is_on(const struct named *vm)
{
    return row_int(vm->row, "domid", -1) >= 0;
}

static struct err *
not_running(const struct named *vm)
{
    return err_new(ERR_CONSTRAINT, "Domain '%s' is not running.", vm->label);
}

struct err *
xm_console(struct cli *cli, const struct xm_args *args)
{
    cli->quiet = false;
    return verb(cli, args->pos.v[0], "console", NULL);
}

struct err *
xm_vncviewer(struct cli *cli, const struct xm_args *args)
{
    struct named vm;
    TRY(xm_find(cli, args->pos.v[0], &vm));
    const char *address = row_string(vm.row, "vnc");
    if (!address) {
        return err_hint(err_new(ERR_CONSTRAINT, "Domain '%s' has no VNC server.", vm.label),
                        "byre set vm %s display=vnc, then start it again", vm.label);
    }
    /* "127.0.0.1:5901": vncviewer takes a port behind two colons. */
    const char *port = strrchr(address, ':');
    char *host =
        arena_printf(&cli->arena, "%.*s::%s", (int) (port - address), address, port + 1);
    fflush(stdout);
    execlp("vncviewer", "vncviewer", host, (char *) NULL);
    struct err *e = err_new(ERR_NOT_FOUND, "vncviewer cannot be run: %s", strerror(errno));
    return err_hint(e, "the server listens at %s", address);
}

struct err *
xm_delete(struct cli *cli, const struct xm_args *args)
{
    struct named vm;
    TRY(xm_find(cli, args->pos.v[0], &vm));
    if (is_on(&vm) && !xm_has(args, "force")) {
        return err_new(ERR_CONSTRAINT, "Domain is not halted.");
    }
    const char *words[] = { "vm", "delete", uuid_word(cli, &vm), NULL };
    return xm_byre(cli, words);
}

struct err *
xm_destroy(struct cli *cli, const struct xm_args *args)
{
    struct named vm;
    TRY(xm_find(cli, args->pos.v[0], &vm));
    if (!is_on(&vm)) {
        return not_running(&vm);
    }
    return verb(cli, args->pos.v[0], "destroy", NULL);
}

struct err *
xm_dump_core(struct cli *cli, const struct xm_args *args)
{
    struct named vm;
    int64_t n_bytes;
    char stamp[32] = "";
    time_t now = (time_t) (clock_wall_ms() / 1000);
    struct tm tm;
    TRY(xm_find(cli, args->pos.v[0], &vm));
    strftime(stamp, sizeof stamp, "%Y-%m%d-%H%M.%S", localtime_r(&now, &tm));
    const char *path = args->pos.n > 1
                           ? args->pos.v[1]
                           : arena_printf(&cli->arena, "%s-%s.%" PRId64 ".core", stamp,
                                          vm.label, row_int(vm.row, "domid", 0));
    printf("Dumping core of domain: %s ...\n", args->pos.v[0]);
    fflush(stdout);
    TRY(vm_dump_to(cli, &vm, path, xm_has(args, "live"), &n_bytes));
    if (xm_has(args, "crash")) {
        return verb(cli, args->pos.v[0], "destroy", NULL);
    }
    return xm_has(args, "reset") ? verb(cli, args->pos.v[0], "reset", NULL) : NULL;
}

/* "512", "512m", "1g": MiB without a letter. */
static struct err *
mem_word(struct cli *cli, const char *text, const char **ret)
{
    int64_t bytes;
    struct err *e = parse_size("memory", text, MIB, &bytes);
    if (e || bytes < MIB) {
        err_free(e);
        return err_new(ERR_SYNTAX, "%s: Invalid memory size.", text);
    }
    *ret = arena_printf(&cli->arena, "mem=%" PRId64, bytes / MIB);
    return NULL;
}

struct err *
xm_mem_set(struct cli *cli, const struct xm_args *args)
{
    const char *assignment = NULL;
    TRY(mem_word(cli, args->pos.v[1], &assignment));
    return verb(cli, args->pos.v[0], "set", assignment);
}

struct err *
xm_vcpu_set(struct cli *cli, const struct xm_args *args)
{
    int64_t n;
    if (!str_to_i64(args->pos.v[1], &n) || n < 1) {
        return err_new(ERR_SYNTAX, "Invalid VCPU count: %s", args->pos.v[1]);
    }
    return verb(cli, args->pos.v[0], "set", arena_printf(&cli->arena, "vcpu=%" PRId64, n));
}

/* Byre moves what runs while it runs: -l is what it does anyway.  The way is the hosts' own, so port and node of
 * Xen's relocation server mean nothing here. */
struct err *
xm_migrate(struct cli *cli, const struct xm_args *args)
{
    if (xm_get(args, "port") || xm_get(args, "node") || xm_has(args, "ssl")) {
        fprintf(stderr, "Warning: -p, -n and -s are Xen's; hosts of Byre know their way\n");
    }
    return verb(cli, args->pos.v[0], "migrate", args->pos.v[1]);
}

struct err *
xm_pause(struct cli *cli, const struct xm_args *args)
{
    return verb(cli, args->pos.v[0], "pause", NULL);
}

struct err *
xm_unpause(struct cli *cli, const struct xm_args *args)
{
    return verb(cli, args->pos.v[0], "resume", NULL);
}

struct err *
xm_reset(struct cli *cli, const struct xm_args *args)
{
    return verb(cli, args->pos.v[0], "reset", NULL);
}

struct err *
xm_suspend(struct cli *cli, const struct xm_args *args)
{
    return verb(cli, args->pos.v[0], "save", NULL);
}

struct err *
xm_resume(struct cli *cli, const struct xm_args *args)
{
    return verb(cli, args->pos.v[0], "restore", xm_has(args, "paused") ? "--paused" : NULL);
}

/* One, or all that are on; as xm, it waits only if it is told to. */
static struct err *
ask_guests(struct cli *cli, const struct xm_args *args, const char *verb_name)
{
    struct named_list vms = VEC_INIT;
    VEC(const char *) words = VEC_INIT;
    struct err *e = NULL;
    if (xm_has(args, "all") == (args->pos.n > 0)) {
        return err_new(ERR_SYNTAX, "a domain or -a must be given, and not both");
    } else if (args->pos.n) {
        e = xm_find(cli, args->pos.v[0], VEC_ADD(&vms));
        if (!e && !is_on(&vms.v[0])) {
            e = not_running(&vms.v[0]);
        }
    } else {
        e = xm_domains(cli, &vms);
    }
    *VEC_ADD(&words) = "vm";
    *VEC_ADD(&words) = verb_name;
    for (size_t i = 0; i < vms.n && !e; i++) {
        if (is_on(&vms.v[i]) && !str_eq(row_string(vms.v[i].row, "source"), "libvirt")) {
            *VEC_ADD(&words) = uuid_word(cli, &vms.v[i]);
        }
    }
    if (!e && words.n > 2) {
        *VEC_ADD(&words) = xm_has(args, "wait") ? "--timeout=0" : "--no-wait";
        *VEC_ADD(&words) = NULL;
        e = xm_byre(cli, words.v);
    }
    VEC_DONE(&words);
    VEC_DONE(&vms);
    return e;
}

struct err *
xm_reboot(struct cli *cli, const struct xm_args *args)
{
    return ask_guests(cli, args, "reboot");
}

struct err *
xm_shutdown(struct cli *cli, const struct xm_args *args)
{
    return ask_guests(cli, args, xm_has(args, "reboot") ? "reboot" : "stop");
}

struct err *
xm_save(struct cli *cli, const struct xm_args *args)
{
    CLEANUP(buf_done) struct buf ticket = BUF_INIT;
    struct named vm;
    const char *path = args->pos.v[1];
    TRY(xm_find(cli, args->pos.v[0], &vm));
    if (xm_has(args, "checkpoint")) {
        return err_hint(err_new(ERR_UNSUPPORTED, "-c: a domain that runs on is not saved"),
                        "byre vm snapshot create %s NAME keeps its state while it runs",
                        vm.label);
    } else if (!is_on(&vm)) {
        return not_running(&vm);
    }
    buf_printf(&ticket, TICKET " %s %s\n", UUID_TEXT(&vm.uuid), vm.label);
    TRY(fs_write_atomic(path, ticket.data, ticket.n, 0600));
    struct err *e = verb(cli, args->pos.v[0], "save", NULL);
    if (e) {
        unlink(path);
    }
    return e;
}

struct err *
xm_restore(struct cli *cli, const struct xm_args *args)
{
    CLEANUP(buf_done) struct buf ticket = BUF_INIT;
    char uuid_text[UUID_CHARS + 1] = "";
    struct uuid uuid;
    struct named vm;
    TRY(fs_read(args->pos.v[0], TICKET_MAX_BYTES, &ticket));
    if (sscanf(buf_cstr(&ticket), TICKET " %36s", uuid_text) != 1 ||
        !uuid_parse(uuid_text, &uuid)) {
        return err_hint(
            err_new(ERR_SYNTAX, "%s is no checkpoint of xm save on Byre", args->pos.v[0]),
            "a memory image of Xen cannot go on here; boot the machine anew");
    }
    TRY(xm_find(cli, uuid_text, &vm));
    const char *words[] = { "vm", "restore", uuid_text,
                            xm_has(args, "paused") ? "--paused" : NULL, NULL };
    TRY(xm_byre(cli, words));
    unlink(args->pos.v[0]); /* Used: the memory is the machine's again. */
    return NULL;
}

struct err *
xm_start(struct cli *cli, const struct xm_args *args)
{
    struct named vm;
    TRY(xm_find(cli, args->pos.v[0], &vm));
    if (is_on(&vm)) {
        return err_new(ERR_CONSTRAINT, "Domain '%s' is already running.", vm.label);
    }
    const char *name = uuid_word(cli, &vm);
    const char *start[] = { "vm", "start", name, NULL };
    const char *paused[] = { "vm", "start", name, "--paused", NULL };
    TRY(xm_byre(cli, xm_has(args, "paused") ? paused : start));
    if (!xm_has(args, "console_autoconnect")) {
        return NULL;
    }
    change_done(&cli->change);
    cli->change = (struct change){ 0 };
    return verb(cli, args->pos.v[0], "console", NULL);
}

struct err *
xm_top(struct cli *cli, const struct xm_args *args UNUSED)
{
    const char *words[] = { "top", NULL };
    cli->quiet = false;
    return xm_byre(cli, words);
}

/* "host:1d6b:0002" is a product, "host:1.4" a place on a bus. */
static struct err *
usb(struct cli *cli, const struct xm_args *args, bool attach)
{
    struct arena *a = &cli->arena;
    const char *text = args->pos.v[1];
    unsigned first = 0, second = 0;
    struct named vm;
    struct json request = json_object(), result;
    int end = 0;
    bool product = sscanf(text, "host:%4x:%4x%n", &first, &second, &end) == 2 && !text[end];
    if (!product &&
        (sscanf(text, "host:%3u.%3u%n", &first, &second, &end) != 2 || text[end])) {
        return err_new(ERR_SYNTAX,
                       "%s: Invalid USB device: host:bus.addr or "
                       "host:vendor_id:product_id",
                       text);
    }
    TRY(xm_find(cli, args->pos.v[0], &vm));
    if (!is_on(&vm)) {
        return not_running(&vm);
    }
    json_put(a, &request, "method", json_string_ref("usb"));
    json_put(a, &request, "vm", json_string(a, UUID_TEXT(&vm.uuid)));
    json_put(a, &request, "attach", json_bool(attach));
    json_put(a, &request, product ? "vendor" : "bus", json_int(first));
    json_put(a, &request, product ? "product" : "device", json_int(second));
    return agent_call(cli, &request, -1, clock_mono_ms() + CALL_MS, vm.label, &result,
                      NULL);
}

struct err *
xm_usb_add(struct cli *cli, const struct xm_args *args)
{
    return usb(cli, args, true);
}

struct err *
xm_usb_del(struct cli *cli, const struct xm_args *args)
{
    return usb(cli, args, false);
}
