/* cli/pool_auth.c: with which name and password a pool's source lets its hosts in.
 *
 * The password is read from a file or from standard input, never from the command line; it lies
 * in a row of its own (table secret), which no list shows. */
#include "base/clock.h"
#include "cli/pool_i.h"
#include "cli/storage_i.h"

#define PASSWORD_MAX_BYTES 255

const struct opt_spec opts_pool_auth[] = {
    { "username", "USER", "the name to log in with" },
    { "password-file", "FILE", "whose first line is the password; - is standard input",
      "file" },
    { "none", NULL, "log in without a name" },
    { NULL },
};

static struct err *
read_password(const char *path, struct buf *ret)
{
    TRY(read_input(path, ret));
    size_t n = strcspn(buf_cstr(ret), "\r\n");
    ret->data[n] = '\0';
    if (n == 0 || n > PASSWORD_MAX_BYTES) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "the first line of %s holds %zu bytes", path, n),
            "a password has 1 to %d; CHAP itself wants at least 12", PASSWORD_MAX_BYTES);
    }
    return NULL;
}

static struct err *
auth_json(struct cli *cli, const struct args *args, struct json *row)
{
    struct arena *a = &cli->arena;
    CLEANUP(buf_done) struct buf password = BUF_INIT;
    struct json secret = json_object();
    struct uuid uuid;
    const char *username = args_get(args, "username");
    const char *file = args_get(args, "password-file");

    if (args_has(args, "none")) {
        json_put(a, row, "auth_type", q_unset(a));
        json_put(a, row, "auth_username", q_unset(a));
        json_put(a, row, "auth_secret", q_unset(a));
        return NULL;
    } else if (!username || !file) {
        return err_hint(err_new(ERR_SYNTAX, "a name and a password are needed"),
                        "byre pool auth NAME --username USER --password-file FILE");
    }
    TRY(read_password(file, &password));
    json_put(a, &secret, "usage", json_string_ref("storage"));
    json_put(a, &secret, "value", json_string(a, password.data));
    json_put(a, &secret, "created_at", json_int(clock_wall_ms()));
    change_insert(cli, "secret", secret, &uuid);
    json_put(a, row, "auth_type", json_string_ref("chap"));
    json_put(a, row, "auth_username", json_string(a, username));
    json_put(a, row, "auth_secret", q_uuid(a, &uuid));
    explicit_bzero(password.data, password.n);
    return NULL;
}

struct err *
pool_auth(struct cli *cli, const struct args *args)
{
    CLEANUP(storage_pool_done) struct storage_pool s;
    struct json row = json_object();
    struct uuid old;
    TRY(storage_pool_find(cli, args->pos.v[0], &s));
    if (s.value.type != POOL_ISCSI) {
        return err_new(ERR_CONSTRAINT, "pool %s is of type %s; only iscsi logs in",
                       s.pool.label, pool_type_name(s.value.type));
    }
    struct uuid metapool = row_uuid(s.metapool);
    TRY(auth_json(cli, args, &row));
    change_update(cli, "metapool", &metapool, row);
    if (row_ref(s.metapool, "auth_secret", &old)) {
        change_delete(cli, "secret", &old);
    }
    change_say(cli, "pool %s: %s", s.pool.label,
               args_has(args, "none") ? "logs in without a name" : "has its password");
    return NULL;
}
