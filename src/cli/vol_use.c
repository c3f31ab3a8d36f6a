/* cli/vol_use.c: who has a volume.
 *
 * A volume whose deletion is wanted goes as soon as nothing holds it; so a deletion that
 * was refused because a machine runs must not stay wanted, or the disk would vanish when
 * the machine stops.  Therefore it is refused here, before anything is written.  The
 * schema tells what may refer to a volume, so a new kind of user needs no edit here. */
#include "cli/vol_i.h"

static bool
refers_to_volumes(const struct column *c)
{
    return base_type_ref(&c->type.key) != REF_NONE &&
           str_eq(c->type.key.uuid.ref_table_name, "volume");
}

/* Does this line's change delete the row, or want its deletion? */
static bool
goes_too(const struct change *change, const char *table, const struct uuid *uuid)
{
    for (size_t i = 0; i < change->ops.n; i++) {
        const struct change_op *op = &change->ops.v[i];
        if (!str_eq(op->table, table) || !uuid_eq(&op->uuid, uuid)) {
            continue;
        }
        if (op->kind == CHANGE_DELETE ||
            (op->kind == CHANGE_UPDATE && json_get(&op->row, "deleted"))) {
            return true;
        }
    }
    return false;
}

static struct err *
refuse(struct cli *cli, const struct named *volume, const struct table_schema *table,
       const struct column *column, const struct uuid *user)
{
    struct named by;
    struct uuid vm;
    if (str_eq(table->name, "device")) {
        TRY(names_find(cli, "device", UUID_TEXT(user), "vm,targetdev", &by));
        const char *target = row_string(by.row, "targetdev");
        if (row_ref(by.row, "vm", &vm)) {
            struct named owner;
            TRY(names_find(cli, "vm", UUID_TEXT(&vm), "_uuid", &owner));
            return err_hint(err_new(ERR_BUSY, "machine %s has it as disk %s", owner.label,
                                    target ? target : "?"),
                            "byre vm detach %s %s", owner.label,
                            target ? target : volume->label);
        }
    }
    TRY(names_find(cli, table->name, UUID_TEXT(user), "_uuid", &by));
    struct err *e = err_new(ERR_BUSY, "%s %s has it as its %s", noun_of_table(table->name),
                            by.label, column->name);
    return err_hint(e, "byre %s info %s", noun_of_table(table->name), by.label);
}

struct err *
vol_check_no_jobs(struct cli *cli, const struct named *volume)
{
    static const char *const columns[] = { "target", "source" };
    struct arena *a = &cli->arena;
    struct json ops = json_array(), results;
    for (size_t i = 0; i < N_ELEMS(columns); i++) {
        struct json where = json_array();
        json_add(a, &where, q_clause(a, columns[i], "==", q_uuid(a, &volume->uuid)));
        json_add(a, &ops, q_select(a, "job", where, "_uuid,kind,state"));
    }
    TRY(db_transact(cli, &ops, &results));
    for (size_t i = 0; i < N_ELEMS(columns); i++) {
        const struct json *rows = q_rows(&results, i);
        for (uint32_t k = 0; k < rows->n; k++) {
            const char *state = row_string(&rows->elems[k], "state");
            struct uuid job = row_uuid(&rows->elems[k]);
            if (!state || str_eq(state, "queued") || str_eq(state, "running")) {
                struct err *e =
                    err_new(ERR_BUSY, "job %s (%s) has it in use", UUID_TEXT(&job),
                            row_string(&rows->elems[k], "kind"));
                return err_hint(err_wrap(e, "vol %s", volume->label),
                                "wait for it (byre job wait %.8s) or cancel it",
                                UUID_TEXT(&job));
            }
        }
    }
    return NULL;
}

struct err *
vol_check_unused(struct cli *cli, const struct named *volume)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array();
    struct json results;
    VEC(struct {
        const struct table_schema *table;
        const struct column *column;
    })
    asked = VEC_INIT;

    for (size_t t = 0; t < cli->schema->n_tables; t++) {
        const struct table_schema *table = &cli->schema->tables[t];
        for (size_t c = N_SPECIAL_COLUMNS; c < table->n_columns; c++) {
            const struct column *column = &table->columns[c];
            if (refers_to_volumes(column)) {
                struct json where = json_array();
                json_add(a, &where,
                         q_clause(a, column->name, "includes", q_uuid(a, &volume->uuid)));
                json_add(a, &ops, q_select(a, table->name, where, "_uuid"));
                VEC_ADD(&asked)->table = table;
                asked.v[asked.n - 1].column = column;
            }
        }
    }
    struct err *e = vol_check_no_jobs(cli, volume);
    e = e ? e : db_transact(cli, &ops, &results);
    for (size_t i = 0; i < asked.n && !e; i++) {
        const struct json *rows = q_rows(&results, i);
        for (uint32_t k = 0; k < rows->n && !e; k++) {
            struct uuid user = row_uuid(&rows->elems[k]);
            if (!goes_too(&cli->change, asked.v[i].table->name, &user)) {
                e = err_wrap(
                    refuse(cli, volume, asked.v[i].table, asked.v[i].column, &user),
                    "vol %s", volume->label);
            }
        }
    }
    VEC_DONE(&asked);
    return e;
}

struct err *
vol_check_at_rest(struct cli *cli, const struct named *volume)
{
    static const char *const on[] = { "running", "idle", "paused", "shutdown", "saved" };
    struct named vm;
    struct uuid uuid;

    TRY(vol_check_no_jobs(cli, volume));
    if (!row_ref(volume->row, "vm", &uuid)) {
        return NULL;
    }
    TRY(names_find(cli, "vm", UUID_TEXT(&uuid), "status", &vm));
    const char *status = row_string(vm.row, "status");
    for (size_t i = 0; i < N_ELEMS(on); i++) {
        if (str_eq(status, on[i])) {
            struct err *e =
                err_new(ERR_BUSY, "machine %s is %s and uses it", vm.label, status);
            return err_hint(err_wrap(e, "vol %s", volume->label),
                            "byre vm shutdown %s, then give the command again", vm.label);
        }
    }
    return NULL;
}
