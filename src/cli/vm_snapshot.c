/* cli/vm_snapshot.c: snapshots of machines.
 *
 * A row of table snapshot is a wish: the agent of the machine's host takes it, and removes it again once the row says
 * so.  Going back is a job, because it is no state: the same transaction says what the machine shall be doing after
 * it, and the agent does nothing else with the machine until the job has ended. */
#include "cli/job_i.h"
#include "cli/list_i.h"
#include "cli/vm_i.h"

#define VM_COLUMNS "name,hostnode,source,state,status"

static const char *
label_of(struct cli *cli, const struct named *vm, const char *name)
{
    return arena_printf(&cli->arena, "snapshot %s of vm %s", name, vm->label);
}

static struct err *
find_vm(struct cli *cli, const struct args *args, struct named *ret)
{
    struct uuid node;
    TRY(names_find(cli, "vm", args->pos.v[0], VM_COLUMNS, ret));
    TRY(vm_check_ours(ret));
    return row_ref(ret->row, "hostnode", &node)
               ? NULL
               : err_hint(err_new(ERR_CONSTRAINT, "vm %s has no host", ret->label),
                          "byre vm set %s hostnode=NODE", ret->label);
}

static struct json
of_vm(struct cli *cli, const struct uuid *vm)
{
    struct json where = json_array();
    json_add(&cli->arena, &where,
             q_clause(&cli->arena, "vm", "==", q_uuid(&cli->arena, vm)));
    return where;
}

/* NULL with ret: there is none. */
static struct err *
find_snapshot(struct cli *cli, const struct named *vm, const char *name,
              const struct json **ret)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), results;
    struct json where = of_vm(cli, &vm->uuid);
    json_add(a, &where, q_clause(a, "name", "==", json_string(a, name)));
    json_add(a, &ops, q_select(a, "snapshot", where, NULL));
    TRY(db_transact(cli, &ops, &results));
    *ret = q_rows(&results, 0)->n ? &q_rows(&results, 0)->elems[0] : NULL;
    return NULL;
}

static struct err *
get_snapshot(struct cli *cli, const struct named *vm, const char *name,
             const struct json **ret)
{
    TRY(find_snapshot(cli, vm, name, ret));
    return *ret ? NULL
                : err_hint(err_new(ERR_NOT_FOUND, "vm %s has no snapshot \"%s\"", vm->label,
                                   name),
                           "byre vm snapshot list %s", vm->label);
}

/* One that could not be taken leaves no row. */
static struct json
forget_failed(struct arena *a, const struct uuid *snapshot)
{
    struct json op = json_object();
    json_put(a, &op, "op", json_string_ref("delete"));
    json_put(a, &op, "table", json_string_ref("snapshot"));
    json_put(a, &op, "where", q_where_uuid(a, snapshot));
    return op;
}

struct err *
vm_snapshot_create(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    const char *name = args->pos.v[1], *description = args_get(args, "description");
    struct named vm;
    struct uuid uuid;
    struct json row = json_object(), asked = json_object();
    const struct json *there;
    TRY(find_vm(cli, args, &vm));
    TRY(fail_unless_name("snapshot", name));
    TRY(find_snapshot(cli, &vm, name, &there));
    if (there) {
        return err_hint(
            err_new(ERR_EXISTS, "vm %s has a snapshot \"%s\" already", vm.label, name),
            "another name, or byre vm snapshot delete %s %s", vm.label, name);
    }
    json_put(a, &row, "vm", q_uuid(a, &vm.uuid));
    json_put(a, &row, "name", json_string(a, name));
    json_put(a, &row, "memory", json_bool(!args_has(args, "no-memory")));
    json_put(a, &row, "generation", json_int(1));
    if (description) {
        json_put(a, &row, "description", json_string(a, description));
    }
    change_insert(cli, "snapshot", row, &uuid);
    vm_put_asked(cli, &asked);
    change_update(cli, "vm", &vm.uuid, asked);
    change_await(cli, GOAL_APPLIED, "snapshot", &uuid, 1, label_of(cli, &vm, name),
                 "taken");
    change_take_back(cli, forget_failed(a, &uuid));
    return NULL;
}

static struct json
cell(const char *text)
{
    return text ? json_string_ref(text) : json_null();
}

static void
add_line(struct out_table *out, const struct labels *labels, const struct labels *vms,
         const struct json *row)
{
    struct uuid vm, parent;
    const char *name = row_string(row, "name");
    const char *vm_name = row_ref(row, "vm", &vm) ? labels_get(vms, UUID_TEXT(&vm)) : NULL;
    const char *above =
        row_ref(row, "parent", &parent) ? labels_get(labels, UUID_TEXT(&parent)) : NULL;
    struct json *cells = out_add_row(out, name);
    int64_t created = row_int(row, "created_at", 0);
    const char *error = row_string(row, "error");

    cells[0] = cell(vm_name);
    cells[1] = json_string(&out->arena, name);
    cells[2] = cell(above);
    cells[3] = cell(row_string(row, "state"));
    cells[4] = cell(row_string(row, "status"));
    cells[5] = created ? json_int(created) : json_null();
    cells[6] =
        error ? json_string(&out->arena, error) : cell(row_string(row, "description"));
}

static struct err *
read_rows(struct cli *cli, const struct named_list *vms, struct labels *labels,
          struct labels *vm_labels, struct out_table *out)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), results;
    const struct table_schema *snapshots, *machines;
    size_t next = 0;
    TRY(db_table(cli, "snapshot", &snapshots));
    TRY(db_table(cli, "vm", &machines));
    labels_ask(cli, snapshots, &ops);
    labels_ask(cli, machines, &ops);
    json_add(a, &ops, q_select(a, "snapshot", json_array(), NULL));
    TRY(db_transact(cli, &ops, &results));
    labels_read(cli, labels, snapshots, &results, &next);
    labels_read(cli, vm_labels, machines, &results, &next);
    const struct json *rows = q_rows(&results, next);
    for (uint32_t i = 0; i < rows->n; i++) {
        struct uuid of;
        bool shown = vms->n == 0;
        for (size_t k = 0; k < vms->n && !shown; k++) {
            shown = row_ref(&rows->elems[i], "vm", &of) && uuid_eq(&of, &vms->v[k].uuid);
        }
        if (shown) {
            add_line(out, labels, vm_labels, &rows->elems[i]);
        }
    }
    return NULL;
}

struct err *
vm_snapshot_list(struct cli *cli, const struct args *args)
{
    static const char *const names[] = { "vm",     "name",       "parent",     "state",
                                         "status", "created_at", "description" };
    CLEANUP(out_table_done) struct out_table out = OUT_TABLE_INIT;
    CLEANUP(labels_done) struct labels labels = LABELS_INIT;
    CLEANUP(labels_done) struct labels vm_labels = LABELS_INIT;
    struct named_list vms = VEC_INIT;
    struct err *e = NULL;
    if (args_has(args, "where") || args_has(args, "columns") || args_has(args, "watch")) {
        return err_hint(err_new(ERR_SYNTAX, "this list takes no -c, --where and -w"),
                        "byre list snapshot does");
    }
    for (size_t i = 0; i < N_ELEMS(names); i++) {
        out_add_column(&out, names[i],
                       str_eq(names[i], "created_at") ? UNIT_TIME_MS : UNIT_NONE, false);
    }
    if (args->pos.n) {
        e = names_match(cli, "vm", args->pos.v, args->pos.n, "name", &vms);
    }
    e = e ? e : read_rows(cli, &vms, &labels, &vm_labels, &out);
    VEC_DONE(&vms);
    if (e) {
        return e;
    }
    const char *sort = args_get(args, "sort");
    out_sort(&out, sort ? sort : "created_at");
    struct out_style style = cli_style(cli, args);
    out_print(&out, &style, stdout);
    return NULL;
}

struct err *
vm_snapshot_revert(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    const char *name = args->pos.v[1];
    const struct json *snapshot;
    struct named vm;
    struct uuid job;
    struct json row = json_object();
    TRY(find_vm(cli, args, &vm));
    TRY(get_snapshot(cli, &vm, name, &snapshot));
    const char *status = row_string(snapshot, "status");
    if (!str_eq(row_string(snapshot, "state"), "ready") || !status) {
        return err_hint(err_new(ERR_CONSTRAINT, "snapshot %s is not ready", name),
                        "byre vm snapshot list %s", vm.label);
    }
    json_put(a, &row, "state",
             json_string_ref(str_eq(status, "shutoff") ? "stopped" : status));
    change_update(cli, "vm", &vm.uuid, row);
    struct uuid uuid = row_uuid(snapshot);
    struct json job_json = job_row(cli, "vm.revert", "vm", &vm.uuid, vm.row);
    json_put(a, &job_json, "source", q_uuid(a, &uuid));
    change_insert(cli, "job", job_json, &job);
    change_await_state(cli, GOAL_JOB, "job", &job, label_of(cli, &vm, name), "reverted to");
    vm_await(cli, &vm, GOAL_APPLIED, str_eq(status, "shutoff") ? "off, as it was" : status);
    return NULL;
}

struct err *
vm_snapshot_delete(struct cli *cli, const struct args *args)
{
    struct named vm;
    struct json row = json_object();
    TRY(find_vm(cli, args, &vm));
    json_put(&cli->arena, &row, "deleted", json_bool(true));
    for (size_t i = 1; i < args->pos.n; i++) {
        const struct json *snapshot;
        TRY(get_snapshot(cli, &vm, args->pos.v[i], &snapshot));
        struct uuid uuid = row_uuid(snapshot);
        change_update(cli, "snapshot", &uuid, row);
        change_await(cli, GOAL_GONE, "snapshot", &uuid, -1,
                     label_of(cli, &vm, args->pos.v[i]), "deleted");
    }
    return NULL;
}
