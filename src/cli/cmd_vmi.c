/* cli/cmd_vmi.c: OS templates. */
#include "cli/list_i.h"

static struct err *
put_volume(struct cli *cli, const struct args *args, const char *opt, struct json *row)
{
    const char *spec = args_get(args, opt);
    struct named volume;
    if (!spec) {
        return NULL;
    }
    TRY(err_wrap(names_find(cli, "volume", spec, "_uuid", &volume), "--%s", opt));
    json_put(&cli->arena, row, opt, q_uuid(&cli->arena, &volume.uuid));
    return NULL;
}

static struct err *
cmd_create(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    const char *name = args->pos.v[0];
    const char *kind = args_get(args, "kind");
    struct json row = json_object();
    struct json ops = json_array();
    struct json results;
    struct json where = json_array();

    TRY(fail_unless_name("vmi", name));
    json_add(a, &where, q_clause(a, "name", "==", json_string(a, name)));
    json_add(a, &ops, q_select(a, "vmi", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    if (q_rows(&results, 0)->n && args_has(args, "if-not-exists")) {
        return NULL;
    } else if (q_rows(&results, 0)->n) {
        return err_hint(err_new(ERR_EXISTS, "there is already a vmi \"%s\"", name),
                        "byre vmi info %s", name);
    }
    json_put(a, &row, "name", json_string(a, name));
    json_put(a, &row, "kind", json_string(a, kind ? kind : "installer"));
    TRY(put_volume(cli, args, "kernel", &row));
    TRY(put_volume(cli, args, "initrd", &row));
    TRY(put_volume(cli, args, "volume", &row));
    if (args_has(args, "cmdline")) {
        json_put(a, &row, "cmdline", json_string(a, args_get(args, "cmdline")));
    }
    if (args_has(args, "os")) {
        json_put(a, &row, "os", json_string(a, args_get(args, "os")));
    }
    change_insert(cli, "vmi", row, NULL);
    change_say(cli, "vmi %s: created", name);
    return NULL;
}

static struct err *
cmd_list(struct cli *cli, const struct args *args)
{
    return list_noun(cli, args, "vmi");
}

static struct err *
cmd_info(struct cli *cli, const struct args *args)
{
    return info_noun(cli, args, "vmi", NULL);
}

static struct err *
cmd_delete(struct cli *cli, const struct args *args)
{
    struct named_list list = VEC_INIT;
    struct err *e = names_match(cli, "vmi", args->pos.v, args->pos.n, "_uuid", &list);
    for (size_t i = 0; i < list.n && !e; i++) {
        change_delete(cli, "vmi", &list.v[i].uuid);
    }
    VEC_DONE(&list);
    return e;
}

static const struct opt_spec opts_create[] = {
    { "kind", "KIND", "image, installer (default), iso", "image|installer|iso" },
    { "kernel", "VOLUME", "kernel to boot", "volume" },
    { "initrd", "VOLUME", "initial RAM disk", "volume" },
    { "cmdline", "TEXT", "the kernel's command line" },
    { "volume", "VOLUME", "image or ISO", "volume" },
    { "os", "TEXT", "what it installs; for people" },
    { "if-not-exists", NULL, "a template of that name that is there already is no error" },
    { NULL },
};

const struct command cmds_vmi[] = {
    { "vmi", "create", "NAME", "a new OS template; its volumes must be there", cmd_create,
      CMD_CHANGE, opts_create },
    { "vmi", "list", "[NAME...]", "OS templates", cmd_list, CMD_LIST, NULL, "vmi" },
    { "vmi", "info", "NAME...", "all that is known of a template", cmd_info, 0, NULL,
      "vmi" },
    { "vmi", "delete", "NAME...", "deletes the template; its volumes stay", cmd_delete,
      CMD_CHANGE, NULL, "vmi" },
    { NULL },
};
