/* cli/vm_vnc_password.c: the password of a machine's VNC server.
 *
 * It is read from a file or from standard input, never from the command line, and lies in a row of its own (table
 * secret), which no list shows.  Each password is a new row: so the agent sees that it is another one without
 * comparing, and no fingerprint of it stands where everybody reads. */
#include "base/clock.h"
#include "cli/storage_i.h"
#include "cli/vm_i.h"

#define PASSWORD_MAX_CHARS 8 /* RFB has no more. */

const struct opt_spec opts_vm_vnc_password[] = {
    { "password-file", "FILE", "whose first line it is; - is standard input", "file" },
    { "none", NULL, "ask for none" },
    { NULL },
};

static struct err *
add_secret(struct cli *cli, const char *file, struct uuid *ret)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct json secret = json_object();
    TRY(read_input(file, &text));
    size_t n = strcspn(buf_cstr(&text), "\r\n");
    if (n == 0 || n > PASSWORD_MAX_CHARS) {
        explicit_bzero(text.data, text.n);
        return err_hint(
            err_new(ERR_CONSTRAINT, "the first line of %s holds %zu bytes", file, n),
            "a password of VNC has 1 to %d characters", PASSWORD_MAX_CHARS);
    }
    text.data[n] = '\0';
    json_put(&cli->arena, &secret, "usage", json_string_ref("vnc"));
    json_put(&cli->arena, &secret, "value", json_string(&cli->arena, text.data));
    json_put(&cli->arena, &secret, "created_at", json_int(clock_wall_ms()));
    change_insert(cli, "secret", secret, ret);
    explicit_bzero(text.data, text.n);
    return NULL;
}

struct err *
vm_vnc_password(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    const char *file = args_get(args, "password-file");
    struct named vm;
    struct json row = json_object();
    struct uuid old, new;
    if (!file == !args_has(args, "none")) {
        return err_hint(err_new(ERR_SYNTAX, "a file or --none is needed"),
                        "byre vm vnc-password NAME --password-file FILE");
    }
    TRY(names_find(cli, "vm", args->pos.v[0], "hostnode,source,password", &vm));
    TRY(vm_check_ours(&vm));
    if (file) {
        TRY(err_wrap(add_secret(cli, file, &new), "vm %s", vm.label));
        json_put(a, &row, "password", q_uuid(a, &new));
    } else {
        json_put(a, &row, "password", q_unset(a));
    }
    change_update(cli, "vm", &vm.uuid, row);
    if (row_ref(vm.row, "password", &old)) {
        change_delete(cli, "secret", &old);
    }
    vm_await_hardware(cli, &vm, file ? "has its VNC password" : "has no VNC password");
    return NULL;
}
