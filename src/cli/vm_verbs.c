/* cli/vm_verbs.c: the verbs of a machine's life: what state it shall be in.
 *
 * A verb writes the wanted state; the agent of the machine's host makes it true.  So a verb that
 * is given twice is harmless, and one for a host that is down is kept until it is up.
 * Several machines (names, patterns, --all) are one transaction.  Who means them by a pattern
 * means those that can: the others are named and left out; a machine named itself is not. */
#include <unistd.h>

#include "base/clock.h"
#include "cli/job_i.h"
#include "cli/suggest_i.h"
#include "cli/vm_i.h"
#include "cli/watch_i.h"

#define VM_COLUMNS "name,hostnode,source,state,status"
#define ASKED_MAX 250

void
vm_put_asked(struct cli *cli, struct json *row)
{
    struct arena *a = &cli->arena;
    const char *said = cli->change.comment ? cli->change.comment : "byre";
    const char *command = str_starts(said, "byre ") ? said + 5 : said;
    json_put(a, row, "asked_by", job_asker(cli));
    json_put(a, row, "asked_at", json_int(clock_wall_ms()));
    json_put(a, row, "asked_for",
             json_stringf(a, "%.*s", (int) min64((int64_t) strlen(command), ASKED_MAX),
                          command));
}

void
vm_await(struct cli *cli, const struct named *vm, enum goal_kind kind, const char *said)
{
    struct uuid node;
    struct json asked = json_object();
    vm_put_asked(cli, &asked);
    change_update(cli, "vm", &vm->uuid, asked);
    const char *label = arena_printf(&cli->arena, "vm %s", vm->label);
    if (row_ref(vm->row, "hostnode", &node)) {
        change_await(cli, kind, "vm", &vm->uuid, -1, label, said);
    }
}

struct err *
vm_check_ours(const struct named *vm)
{
    if (!str_eq(row_string(vm->row, "source"), "libvirt")) {
        return NULL;
    }
    struct err *e =
        err_new(ERR_DENIED, "it was made by others; Byre shows it and never touches it");
    e = err_hint(e, "use the tool that made it, or virsh");
    return fail_as(err_wrap(e, "vm %s", vm->label), EXIT_REFUSED);
}

/* Were the machines meant one by one? */
static bool
means_many(const struct cli *cli, const struct args *args)
{
    bool many = args_has(args, "all");
    for (size_t i = 0; i < args->pos.n && !cli->exact; i++) {
        many |= is_glob(args->pos.v[i]);
    }
    return many;
}

static struct err *
select_vms(struct cli *cli, const struct args *args, struct named_list *ret)
{
    char every[] = "*", *all = every;
    bool exact = cli->exact;
    struct err *e;
    if (!args_has(args, "all")) {
        return args->pos.n
                   ? names_match(cli, "vm", args->pos.v, args->pos.n, VM_COLUMNS, ret)
                   : err_hint(err_new(ERR_SYNTAX, "no machine was named"),
                              "name some, or say --all");
    } else if (args->pos.n) {
        return err_new(ERR_SYNTAX, "--all and names do not go together");
    }
    cli->exact = false;
    e = names_match(cli, "vm", &all, 1, VM_COLUMNS, ret);
    cli->exact = exact;
    return e;
}

struct err *
vm_each(struct cli *cli, const struct args *args, vm_fn *fn)
{
    struct named_list vms = VEC_INIT;
    bool many = means_many(cli, args);
    size_t n_done = 0;
    struct err *last = NULL;
    struct err *e = select_vms(cli, args, &vms);
    if (err_is(e, ERR_NOT_FOUND) && args_has(args, "if-exists")) {
        err_free(e);
        return NULL;
    }
    for (size_t i = 0; i < vms.n && !e; i++) {
        e = vm_check_ours(&vms.v[i]);
        e = e ? e : fn(cli, args, &vms.v[i]);
        if (!e) {
            n_done++;
        } else if (many && (err_is(e, ERR_CONSTRAINT) || err_is(e, ERR_DENIED))) {
            if (!cli->quiet) {
                fprintf(stderr, "vm %s: left out: %s\n", vms.v[i].label, err_why(e));
            }
            err_free(last);
            last = TAKE(e);
        }
    }
    VEC_DONE(&vms);
    if (!e && n_done == 0) {
        return last;
    }
    err_free(last);
    return e;
}

struct err *
vm_want_state(struct cli *cli, const struct named *vm, const char *state, const char *how,
              const char *said)
{
    struct json row = json_object();
    struct uuid node;
    if (!row_ref(vm->row, "hostnode", &node) && !str_eq(state, "deleted")) {
        return err_hint(err_new(ERR_CONSTRAINT, "vm %s has no host", vm->label),
                        "byre vm set %s hostnode=NODE", vm->label);
    }
    json_put(&cli->arena, &row, "state", json_string_ref(state));
    if (how) {
        json_put(&cli->arena, &row, "how", json_string_ref(how));
    }
    change_update(cli, "vm", &vm->uuid, row);
    vm_await(cli, vm, str_eq(state, "deleted") ? GOAL_GONE : GOAL_APPLIED, said);
    return NULL;
}

static const char *
how_of(const struct args *args)
{
    return args_has(args, "force") ? "force" : "graceful";
}

static struct err *
start_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    return args_has(args, "paused") ? vm_want_state(cli, vm, "paused", NULL, "paused")
                                    : vm_want_state(cli, vm, "running", NULL, "running");
}

bool
vm_is_on(const struct named *vm)
{
    const char *status = row_string(vm->row, "status");
    return str_eq(status, "running") || str_eq(status, "idle") ||
           str_eq(status, "paused") || str_eq(status, "suspended");
}

static struct err *
not_so(const struct named *vm, const char *wanted, const char *next)
{
    const char *status = row_string(vm->row, "status");
    struct err *e = err_new(ERR_CONSTRAINT, "vm %s is %s, not %s", vm->label,
                            status ? status : "not seen yet", wanted);
    return err_hint(e, "byre vm %s %s", next, vm->label);
}

static struct err *
save_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    bool saved = str_eq(row_string(vm->row, "status"), "saved");
    return vm_is_on(vm) || saved ? vm_want_state(cli, vm, "saved", NULL, "saved")
                                 : not_so(vm, "running", "start");
}

static struct err *
restore_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    return str_eq(row_string(vm->row, "status"), "saved")
               ? vm_want_state(cli, vm, args_has(args, "paused") ? "paused" : "running",
                               NULL, "restored")
               : not_so(vm, "saved", "start");
}

static struct err *
shutdown_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    return vm_want_state(cli, vm, "stopped", "graceful", "stopped");
}

static struct err *
destroy_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    return vm_want_state(cli, vm, "stopped", "force", "stopped");
}

static struct err *
stop_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    return vm_want_state(cli, vm, "stopped", how_of(args), "stopped");
}

/* Neither is a way to start a machine. */
static struct err *
check_on(const struct named *vm)
{
    const char *state = row_string(vm->row, "state");
    if (str_eq(state, "running") || str_eq(state, "paused")) {
        return NULL;
    }
    return err_hint(err_new(ERR_CONSTRAINT, "vm %s shall not be running", vm->label),
                    "byre vm start %s", vm->label);
}

static struct err *
pause_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    TRY(check_on(vm));
    return vm_want_state(cli, vm, "paused", NULL, "paused");
}

static struct err *
resume_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    TRY(check_on(vm));
    return vm_want_state(cli, vm, "running", NULL, "running");
}

static struct err *
reboot(struct cli *cli, const struct named *vm, const char *how, const char *said)
{
    struct json row = json_object();
    if (!str_eq(row_string(vm->row, "state"), "running")) {
        return err_hint(err_new(ERR_CONSTRAINT, "vm %s shall not be running", vm->label),
                        "byre vm start %s", vm->label);
    }
    json_put(&cli->arena, &row, "how", json_string_ref(how));
    change_update(cli, "vm", &vm->uuid, row);
    change_mutate(cli, "vm", &vm->uuid, "reboots", "+=", json_int(1));
    cli->change.not_twice = true;
    vm_await(cli, vm, GOAL_APPLIED, said);
    return NULL;
}

static struct err *
reboot_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    return reboot(cli, vm, how_of(args), "rebooted");
}

static struct err *
reset_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    return reboot(cli, vm, "force", "reset");
}

static struct err *
autostart_one(struct cli *cli, const struct args *args, const struct named *vm)
{
    struct json row = json_object();
    json_put(&cli->arena, &row, "autostart", json_bool(!args_has(args, "disable")));
    change_update(cli, "vm", &vm->uuid, row);
    return NULL;
}

struct err *
vm_start(struct cli *cli, const struct args *args)
{
    return vm_each(cli, args, start_one);
}

struct err *
vm_stop(struct cli *cli, const struct args *args)
{
    return vm_each(cli, args, stop_one);
}

struct err *
vm_destroy(struct cli *cli, const struct args *args)
{
    return vm_each(cli, args, destroy_one);
}

struct err *
vm_reboot(struct cli *cli, const struct args *args)
{
    return vm_each(cli, args, reboot_one);
}

struct err *
vm_reset(struct cli *cli, const struct args *args)
{
    return vm_each(cli, args, reset_one);
}

struct err *
vm_pause(struct cli *cli, const struct args *args)
{
    return vm_each(cli, args, pause_one);
}

struct err *
vm_resume(struct cli *cli, const struct args *args)
{
    return vm_each(cli, args, resume_one);
}

struct err *
vm_save(struct cli *cli, const struct args *args)
{
    return vm_each(cli, args, save_one);
}

struct err *
vm_restore(struct cli *cli, const struct args *args)
{
    return vm_each(cli, args, restore_one);
}

struct err *
vm_autostart(struct cli *cli, const struct args *args)
{
    return vm_each(cli, args, autostart_one);
}

/* Those that were asked to shut down and run on. */
static struct err *
destroy_if_on(struct cli *cli, const struct args *args, const struct named *vm)
{
    return vm_is_on(vm) ? destroy_one(cli, args, vm) : NULL;
}

static bool
answers_yes(void)
{
    char answer[16] = "";
    fputs(
        "Pull the plug, as a power cut would?  The guest may lose what it has not written. "
        "[y/N] ",
        stderr);
    fflush(stderr);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* A guest that does not obey is a matter for a person: asked on a terminal, said elsewhere. */
struct err *
vm_shutdown(struct cli *cli, const struct args *args)
{
    const char *comment = cli->change.comment;
    TRY(vm_each(cli, args, shutdown_one));
    if (!cli->tty_in || !cli->tty_err || cli->joined || cli->no_wait || cli->dry_run) {
        return NULL;
    }
    struct err *e = change_step(cli);
    enum exit_code code = fail_exit_code(e);
    if (code != EXIT_NOT_APPLIED && code != EXIT_TIMED_OUT) {
        return e;
    }
    fail_print(e, "vm shutdown", stderr);
    if (!answers_yes()) {
        return e;
    }
    err_free(e);
    change_done(&cli->change);
    cli->change = (struct change){ .comment = comment };
    if (cli->timeout_ms) { /* It was patience with the guest; the plug is another matter. */
        cli->timeout_ms = max64(cli->timeout_ms, TIMEOUT_MS_DEFAULT);
    }
    return vm_each(cli, args, destroy_if_on);
}

struct err *
vm_rename(struct cli *cli, const struct args *args)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), where = json_array(), row = json_object(), results;
    const char *name = args->pos.v[1];
    struct named vm;
    TRY(names_find(cli, "vm", args->pos.v[0], VM_COLUMNS, &vm));
    TRY(vm_check_ours(&vm));
    TRY(fail_unless_name("vm", name));
    json_add(a, &where, q_clause(a, "vm", "==", q_uuid(a, &vm.uuid)));
    json_add(a, &ops, q_select(a, "snapshot", where, "name"));
    TRY(db_transact(cli, &ops, &results));
    if (q_rows(&results, 0)->n) { /* libvirt files them under the name. */
        return err_hint(
            err_new(ERR_CONSTRAINT, "vm %s has snapshots, which would be lost", vm.label),
            "byre vm snapshot list %s", vm.label);
    } else if (str_eq(row_string(vm.row, "status"), "saved")) {
        return not_so(&vm, "shut down", "start");
    }
    json_put(a, &row, "name", json_string(a, name));
    change_update(cli, "vm", &vm.uuid, row);
    vm_await(cli, &vm, GOAL_APPLIED,
             arena_printf(a, "is %s now%s", name,
                          vm_is_on(&vm) ? "; libvirt follows when it is off" : ""));
    return NULL;
}

/* What people call a state, as a condition on the row. */
static const struct {
    const char *state, *condition;
} wait_states[] = {
    { "running", "status=running" },
    { "stopped", "status=shutoff" },
    { "paused", "status=paused" },
    { "saved", "status=saved" },
    { "crashed", "status=crashed" },
    { "installed", "osinstalled=true" },
    { "deleted", NULL },
};

struct err *
vm_wait(struct cli *cli, const struct args *args)
{
    const struct table_schema *table;
    CLEANUP(filter_drop) struct filter *filter = NULL;
    const char *state = args_get(args, "state");
    size_t i = 0;
    state = state ? state : "running";
    while (i < N_ELEMS(wait_states) && !str_eq(wait_states[i].state, state)) {
        i++;
    }
    if (i == N_ELEMS(wait_states)) {
        return err_hint(
            err_new(ERR_SYNTAX, "there is no state \"%s\" to wait for", state),
            "one of: running, stopped, paused, saved, crashed, installed, deleted");
    }
    char *condition = (char *) wait_states[i].condition;
    TRY(db_table(cli, "vm", &table));
    TRY(filter_new(cli, table, &condition, condition ? 1 : 0, &filter));
    for (size_t k = 0; k < args->pos.n; k++) {
        TRY(watch_until(cli, table, args->pos.v[k], filter, !condition));
        cli_say(cli, "vm %s: %s", args->pos.v[k], state);
    }
    return NULL;
}
