/* cli/vm_guest.c: what is done to a running guest that is no state: keys, text, pictures, memory.
 *
 * These go to the agent of this host, not through the database: what is typed may be a password, and pictures and
 * memory are bytes.  Files are opened here, with the rights of who asks, and handed to the agent open. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cli/agent_i.h"
#include "cli/keys.h"
#include "cli/storage_i.h"
#include "cli/vm_i.h"

#define AGENT_MS 30000
#define TYPE_MAX_BYTES 4096
#define KEYS_A_REQUEST 1000 /* A request has at most 64 KiB. */

const struct opt_spec opts_vm_send_key[] = {
    { "hold", "MS", "how long each is held (50)" },
    { NULL },
};
const struct opt_spec opts_vm_screenshot[] = {
    { "file", "FILE", "where to (NAME.png or NAME.ppm, as QEMU makes it)", "file", 'f' },
    { NULL },
};
const struct opt_spec opts_vm_dumpxml[] = {
    { "inactive", NULL, "as it will start next, not as it runs" },
    { NULL },
};
const struct opt_spec opts_vm_dump_core[] = {
    { "file", "FILE", "where to (NAME.core)", "file", 'f' },
    { "live", NULL, "do not halt the guest meanwhile" },
    { NULL },
};

/* As virsh and xm take it, or by the option. */
static const char *
file_of(const struct args *args)
{
    return args->pos.n > 1 ? args->pos.v[1] : args_get(args, "file");
}

static struct json
request_for(struct cli *cli, const char *method, const struct named *vm)
{
    struct json request = json_object();
    json_put(&cli->arena, &request, "method", json_string_ref(method));
    json_put(&cli->arena, &request, "vm", json_string(&cli->arena, UUID_TEXT(&vm->uuid)));
    return request;
}

static struct err *
press(struct cli *cli, const struct named *vm, const struct json *keys, int64_t hold_ms)
{
    struct arena *a = &cli->arena;
    for (uint32_t done = 0; done < keys->n;) {
        struct json request = request_for(cli, "keys", vm), part = json_array(), result;
        for (uint32_t i = 0; i < KEYS_A_REQUEST && done < keys->n; i++) {
            json_add(a, &part, keys->elems[done++]);
        }
        json_put(a, &request, "keys", part);
        json_put(a, &request, "hold_ms", json_int(hold_ms));
        int64_t deadline_ms = clock_mono_ms() + AGENT_MS + 4 * hold_ms * part.n;
        TRY(err_wrap(agent_call(cli, &request, -1, deadline_ms, vm->label, &result, NULL),
                     "keys for vm %s", vm->label));
    }
    return NULL;
}

struct err *
vm_send_key(struct cli *cli, const struct args *args)
{
    struct named vm;
    struct json keys = json_array();
    int64_t hold_ms = 50;
    TRY(args_int(args, "hold", 1, 10000, &hold_ms));
    for (size_t i = 1; i < args->pos.n; i++) {
        struct json chord;
        TRY(keys_parse(&cli->arena, args->pos.v[i], &chord));
        json_add(&cli->arena, &keys, chord);
    }
    TRY(names_find(cli, "vm", args->pos.v[0], "_uuid", &vm));
    return press(cli, &vm, &keys, hold_ms);
}

/* "\n" as two characters is one key, too: a shell's quotes make no line ends. */
static void
unescape(const char *text, struct buf *ret)
{
    for (; *text; text++) {
        bool is_end = text[0] == '\\' && text[1] == 'n';
        buf_char(ret, is_end ? '\n' : *text);
        text += is_end;
    }
}

struct err *
vm_type(struct cli *cli, const struct args *args)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct named vm;
    struct json keys = json_array();
    int64_t hold_ms = 50;
    TRY(args_int(args, "hold", 1, 10000, &hold_ms));
    if (str_eq(args->pos.v[1], "-")) {
        TRY(read_input("-", &text));
    } else {
        unescape(args->pos.v[1], &text);
    }
    if (text.n > TYPE_MAX_BYTES) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "the text has more than %d characters", TYPE_MAX_BYTES),
            "type it in parts, or use the console");
    }
    TRY(keys_of_text(&cli->arena, text.data, text.n, &keys));
    TRY(names_find(cli, "vm", args->pos.v[0], "_uuid", &vm));
    return press(cli, &vm, &keys, hold_ms);
}

/* A new file, for its owner alone; "-" is standard output. */
static struct err *
open_new(const char *path, int *ret)
{
    int fd = str_eq(path, "-") ? dup(STDOUT_FILENO)
                               : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_io(errno, "open %s", path);
    }
    *ret = fd;
    return NULL;
}

static int64_t
int_member(const struct json *object, const char *name)
{
    const struct json *value = json_get(object, name);
    return value && value->type == JSON_INTEGER ? value->integer : 0;
}

struct err *
vm_screenshot(struct cli *cli, const struct args *args)
{
    CLEANUP(fd_done) int fd = -1;
    CLEANUP(free_drop) char *temporary = NULL;
    const char *path = file_of(args);
    struct named vm;
    struct json result;
    TRY(names_find(cli, "vm", args->pos.v[0], "_uuid", &vm));
    if (!path) { /* Its end says what it is, and that is known when it is there. */
        temporary = str_dupf("%s.part", vm.label);
    }
    TRY(open_new(path ? path : temporary, &fd));
    struct json request = request_for(cli, "screen", &vm);
    struct err *e =
        agent_call(cli, &request, fd, clock_mono_ms() + AGENT_MS, vm.label, &result, NULL);
    const char *mime = e ? NULL : json_get_string(&result, "mime");
    if (!e && !path) {
        path = arena_printf(&cli->arena, "%s.%s", vm.label,
                            str_eq(mime, "image/png") ? "png" : "ppm");
        e = rename(temporary, path) < 0 ? err_io(errno, "rename %s", temporary) : NULL;
    }
    if (e) {
        if (!str_eq(path, "-")) {
            unlink(path ? path : temporary);
        }
        return err_wrap(
            err_hint(e, "it needs a screen: byre vm set %s display=vnc", vm.label),
            "screen of vm %s", vm.label);
    }
    if (!str_eq(path, "-")) {
        cli_say(cli, "%s: %s, %" PRId64 " bytes", path, mime ? mime : "?",
                int_member(&result, "bytes"));
    }
    return NULL;
}

struct err *
vm_dump_to(struct cli *cli, const struct named *vm, const char *path, bool live,
           int64_t *ret_bytes)
{
    CLEANUP(fd_done) int fd = -1;
    struct json result;
    struct json request = request_for(cli, "dump", vm);
    json_put(&cli->arena, &request, "live", json_bool(live));
    TRY(open_new(path, &fd));
    struct err *e = agent_call(cli, &request, fd, 0, vm->label, &result, NULL);
    if (e) {
        if (!str_eq(path, "-")) {
            unlink(path);
        }
        return err_wrap(e, "memory of vm %s", vm->label);
    }
    *ret_bytes = int_member(&result, "bytes");
    return NULL;
}

struct err *
vm_dump_core(struct cli *cli, const struct args *args)
{
    const char *path = file_of(args);
    struct named vm;
    int64_t n_bytes = 0;
    TRY(names_find(cli, "vm", args->pos.v[0], "_uuid", &vm));
    path = path ? path : arena_printf(&cli->arena, "%s.core", vm.label);
    TRY(vm_dump_to(cli, &vm, path, args_has(args, "live"), &n_bytes));
    if (!str_eq(path, "-")) {
        CLEANUP(free_drop) char *size = str_from_bytes(n_bytes);
        cli_say(cli, "%s: %s", path, size);
    }
    return NULL;
}

/* Of libvirt on its host: what the rows became. */
struct err *
vm_dumpxml(struct cli *cli, const struct args *args)
{
    struct named vm;
    struct json result;
    TRY(names_find(cli, "vm", args->pos.v[0], "_uuid", &vm));
    struct json request = request_for(cli, "xml", &vm);
    json_put(&cli->arena, &request, "inactive", json_bool(args_has(args, "inactive")));
    struct err *e =
        agent_call(cli, &request, -1, clock_mono_ms() + AGENT_MS, vm.label, &result, NULL);
    if (e) {
        return err_wrap(e, "XML of vm %s", vm.label);
    }
    const char *xml = json_get_string(&result, "xml");
    fputs(xml ? xml : "", stdout);
    return NULL;
}

struct err *
vm_vnc(struct cli *cli, const struct args *args)
{
    struct named vm;
    TRY(names_find(cli, "vm", args->pos.v[0], "vnc,status,hostnode", &vm));
    const char *address = row_string(vm.row, "vnc");
    if (!address) {
        return err_hint(err_new(ERR_CONSTRAINT, "vm %s has no VNC server now", vm.label),
                        "byre vm set %s display=vnc, then start it", vm.label);
    } else if (cli->format != OUT_TABLE) {
        CLEANUP(out_table_done) struct out_table out = OUT_TABLE_INIT;
        struct out_style style = cli_style(cli, args);
        style.vertical = true;
        out_add_column(&out, "vnc", UNIT_NONE, false);
        out_add_row(&out, vm.label)[0] = json_string(&out.arena, address);
        out_print(&out, &style, stdout);
        return NULL;
    }
    printf("%s\n", address);
    struct uuid node_uuid;
    struct named node;
    if (cli->tty_out && row_ref(vm.row, "hostnode", &node_uuid)) {
        const char *port = strrchr(address, ':');
        TRY(names_find(cli, "hostnode", UUID_TEXT(&node_uuid), "ip", &node));
        const char *ip = row_string(node.row, "ip");
        printf("It listens on the host alone.  From elsewhere:\n"
               "  ssh -N -L %s:%s %s\n  vncviewer localhost:%s\n",
               port ? port + 1 : "5900", address, ip ? ip : node.label,
               port ? port + 1 : "5900");
    }

    return NULL;
}
