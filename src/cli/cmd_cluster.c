/* cli/cmd_cluster.c: the cluster's one row. */
#include "cli/list_i.h"
#include "cli/table_i.h"

static struct err *
cmd_init(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    const char *name = args->pos.n ? args->pos.v[0] : "byre";
    struct json ops = json_array();
    struct json results;
    struct uuid uuid;

    TRY(fail_unless_name("cluster", name));
    json_add(a, &ops, q_select(a, "cluster", json_array(), "_uuid,name"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    if (rows->n && args_has(args, "if-not-exists")) {
        return NULL;
    } else if (rows->n) {
        return err_hint(err_new(ERR_EXISTS, "this is already the cluster \"%s\"",
                                row_string(&rows->elems[0], "name")),
                        "byre set cluster . name=%s renames it", name);
    }
    struct json row = json_object();
    json_put(a, &row, "name", json_string(a, name));
    uuid_random(&uuid);
    json_put(a, &row, "uuid", q_uuid(a, &uuid));
    change_insert(cli, "cluster", row, NULL);
    return NULL;
}

static struct err *
cmd_info(struct cli *cli, const struct args *args)
{
    return info_noun(cli, args, "cluster", NULL);
}

static struct err *
cmd_set(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    struct named cluster;
    struct json row = json_object();

    TRY(db_table(cli, "cluster", &table));
    TRY(names_find(cli, "cluster", ".", "_uuid", &cluster));
    for (size_t i = 0; i < args->pos.n; i++) {
        TRY(table_assign(cli, table, args->pos.v[i], &row));
    }
    change_update(cli, "cluster", &cluster.uuid, row);
    return NULL;
}

static const struct opt_spec opts_init[] = {
    { "if-not-exists", NULL, "a cluster that is there already is no error" },
    { NULL },
};

const struct command cmds_cluster[] = {
    { "cluster", "init", "[NAME]", "makes the cluster's row (NAME: byre)", cmd_init,
      CMD_CHANGE, opts_init },
    { "cluster", "info", "", "the cluster's settings", cmd_info, 0 },
    { "cluster", "set", "COLUMN=VALUE...", "changes the cluster's settings", cmd_set,
      CMD_CHANGE, NULL, NULL,
      "byre cluster set memory_overcommit=1.5 migration_transport=tls\n" },
    { NULL },
};
