/* replica/test_replica.c: against real servers: Debian's ovsdb-server, and byre-dbd if $BYRE_DBD
 * names it.  Two replicas watch, one of them writes, and both must show the same. */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "data/rfc7047.h"
#include "data/vmmgr_schema.h"
#include "loop/child.h"
#include "loop/loop.h"
#include "replica/replica.h"
#include "replica/vmmgr_rows.h"
#include "replica/write.h"
#include "test.h"

#define TIMEOUT_MS 20000
#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })

struct fixture {
    struct loop *loop;
    char *file, *socket, *remote;
    const char *server; /* Program. */
    struct child *child;
    bool is_up;
    struct replica *a, *b;
    struct buf seen; /* What 'a' saw, a word an event. */
    int n_ready, n_disconnected, n_batches;
};

static void
on_server_exit(void *f_, struct child_result *r UNUSED)
{
    struct fixture *f = f_;
    f->is_up = false;
}

static void
server_start(struct fixture *f)
{
    CLEANUP(free_drop) char *remote = str_dupf("--remote=p%s", f->remote);
    CLEANUP(free_drop) char *ctl = str_dupf("--unixctl=%s/ctl", test_dir());
    struct child_spec spec = { .argv =
                                   ARGV(f->server, f->file, remote, ctl, "--verbose=off") };
    CHECK_OK("start", child_start(f->loop, &spec, on_server_exit, f, &f->child));
    f->is_up = true;
    for (int i = 0; i < 1000 && !test_listens(f->socket); i++) {
        CHECK("the server runs", f->is_up);
        loop_turn(f->loop, 10);
    }
    CHECK("the server listens", test_listens(f->socket));
}

static void
server_stop(struct fixture *f)
{
    child_cancel(f->child);
    while (f->is_up) {
        loop_turn(f->loop, 100);
    }
    unlink(f->socket);
}

static void
see(struct fixture *f, const char *what, const struct replica_row *row)
{
    const struct datum *name = replica_value(row, "name");
    buf_printf(&f->seen, "%s:%s:%s ", what, row->table->schema->name,
               name ? datum_string(name) : "?");
}

static void
on_changed(void *f_, const struct replica_change *c)
{
    static const char *const what[] = { "new", "mod", "del" };
    struct fixture *f = f_;
    see(f, what[c->kind], c->row);
    const struct column *mem = schema_find_column(c->row->table->schema, "mem");
    if (c->kind == REPLICA_MODIFIED && mem && replica_has_changed(c, mem)) {
        buf_printf(&f->seen, "mem %d->%d ", (int) datum_int(&c->old[mem->index]),
                   (int) datum_int(&c->row->columns[mem->index]));
    }
}

static void
on_ready(void *f_)
{
    struct fixture *f = f_;
    f->n_ready++;
}

static void
on_disconnected(void *f_, const struct err *why UNUSED)
{
    struct fixture *f = f_;
    f->n_disconnected++;
}

static void
on_batch_end(void *f_)
{
    struct fixture *f = f_;
    f->n_batches++;
}

static const struct replica_events events = { .ready = on_ready,
                                              .disconnected = on_disconnected,
                                              .changed = on_changed,
                                              .batch_end = on_batch_end };

static struct replica *
replica_start(struct fixture *f, const struct replica_events *e, bool once)
{
    struct replica *r;
    struct replica_options options = { .remote = f->remote, .probe_ms = -1, .once = once };
    CHECK_OK("replica", replica_new(f->loop, &options, e, f, &r));
    return r;
}

static void
setup(struct fixture *f, const char *server)
{
    *f = (struct fixture){ .server = server, .seen = BUF_INIT };
    CHECK_OK("loop", loop_new(&f->loop));
    static int number;
    f->file = str_dupf("%s/%d.db", test_dir(), ++number);
    f->socket = str_dupf("%s/%d.sock", test_dir(), number);
    f->remote = str_dupf("unix:%s", f->socket);
    CLEANUP(free_drop) char *schema = path_join(test_dir(), "schema");
    CHECK_OK("schema",
             fs_write_atomic(schema, vmmgr_schema_text, strlen(vmmgr_schema_text), 0600));
    CLEANUP(child_result_done) struct child_result r = CHILD_RESULT_INIT;
    struct child_spec spec = { .argv = ARGV("ovsdb-tool", "create", f->file, schema) };
    CHECK_OK("ovsdb-tool", child_run_blocking(&spec, -1, NULL, &r));
    CHECK_OK("create", child_result_check(&r, &spec));
    server_start(f);

    f->a = replica_start(f, &events, false);
    row_vm_watch(f->a, NULL);
    row_hostnode_watch(f->a, NULL);
    f->b = replica_start(f, NULL, false);
    row_vm_watch(f->b, (const char *const[]){ "name", "mem", "no_such_column", NULL });
    CHECK_OK("a is ready", replica_wait_ready(f->a, TIMEOUT_MS));
    CHECK_OK("b is ready", replica_wait_ready(f->b, TIMEOUT_MS));
}

static void
teardown(struct fixture *f)
{
    replica_free(f->a);
    replica_free(f->b);
    server_stop(f);
    loop_free(f->loop);
    buf_done(&f->seen);
    free(f->file);
    free(f->socket);
    free(f->remote);
}

/* Runs fn(server) for each server that there is. */
static void
with_servers(void (*fn)(const char *server))
{
    fn("ovsdb-server");
    const char *ours = getenv("BYRE_DBD");
    if (ours && fs_exists(ours)) {
        fn(ours);
    }
}

/* A row with all that the schema demands, but for its name. */
static struct txn_row *
new_vm(struct txn *txn)
{
    struct txn_row *vm = txn_insert(txn, "vm");
    txn_set_int(vm, "vcpu", 1);
    txn_set_int(vm, "mem", 1);
    return vm;
}

static struct uuid
insert_vm(struct fixture *f, const char *name, int64_t mem)
{
    CLEANUP(txn_drop) struct txn *txn = txn_new("vmmgr");
    struct txn_row *vm = new_vm(txn);
    struct uuid libvirt_uuid;
    uuid_random(&libvirt_uuid);
    txn_set_string(vm, "name", name);
    txn_set_int(vm, "mem", mem);
    txn_set_uuid(vm, "uuid", &libvirt_uuid);
    CHECK_OK("insert", txn_commit_blocking(txn, f->a, TIMEOUT_MS));
    return *txn_row_uuid(vm);
}

/* The other replica hears of it a little later. */
struct expect {
    struct fixture *f;
    size_t n_vms;
    int64_t sum_mem;
};

static bool
b_shows(void *e_)
{
    struct expect *e = e_;
    struct replica_table *t = replica_table(e->f->b, "vm");
    int64_t sum = 0;
    ROW_FOR_EACH (struct row_vm, vm, t) {
        sum += vm->mem;
    }
    return t && t->rows.n == e->n_vms && sum == e->sum_mem;
}

static void
expect_b(struct fixture *f, size_t n_vms, int64_t sum_mem)
{
    struct expect e = { f, n_vms, sum_mem };
    CHECK_OK("the other replica shows it",
             replica_wait_until(f->b, b_shows, &e, TIMEOUT_MS));
}

static void
expect_seen(struct fixture *f, const char *want)
{
    CHECK_STR("what was seen", buf_cstr(&f->seen), want);
    buf_clear(&f->seen);
}

static void
life_of_a_row(const char *server)
{
    struct fixture f;
    setup(&f, server);
    struct uuid uuid = insert_vm(&f, "web", 512);
    expect_seen(&f, "new:vm:web "); /* Before the reply. */
    struct row_vm *vm = row_vm_find(f.a, &uuid);
    CHECK("found", vm);
    CHECK_STR("name", vm->name, "web");
    CHECK_INT("mem", vm->mem, 512);
    CHECK("an optional string without a value", !vm->error);
    CHECK("an unset reference", uuid_is_zero(&vm->hostnode) && !row_vm_get_hostnode(vm));
    expect_b(&f, 1, 512);

    CLEANUP(txn_drop) struct txn *txn = txn_new("vmmgr");
    struct txn_row *node = txn_insert(txn, "hostnode");
    txn_set_string(node, "name", "n1");
    txn_set_string(node, "uid", "00000000-0000-0000-0000-000000000001");
    struct txn_row *row = txn_update(txn, "vm", &uuid);
    txn_set_row(row, "hostnode", node);
    txn_set_int(row, "mem", 1);
    txn_set_int(row, "mem", 1024); /* The last one counts. */
    txn_add(row, "generation", 2);
    txn_map_put(row, "external_ids", "k", "v1");
    txn_verify(txn, &vm->base, "name");
    txn_comment(txn, "%s %d", "test", 1);
    CHECK("one handle a row", txn_update(txn, "vm", &uuid) == row);
    CHECK_OK("commit", txn_commit_blocking(txn, f.a, TIMEOUT_MS));
    CHECK(buf_cstr(&f.seen), strstr(buf_cstr(&f.seen), "mod:vm:web mem 512->1024 "));
    CHECK(buf_cstr(&f.seen), strstr(buf_cstr(&f.seen), "new:hostnode:n1 "));
    buf_clear(&f.seen);
    CHECK_INT("mem", vm->mem, 1024);
    CHECK_INT("generation", vm->generation, 2);
    CHECK_STR("the map", typed_map_get(&vm->external_ids, "k"), "v1");
    CHECK_STR("the reference", row_vm_get_hostnode(vm)->name, "n1");

    CLEANUP(txn_drop) struct txn *again = txn_new("vmmgr");
    row = txn_update(again, "vm", &uuid);
    txn_map_put(row, "external_ids", "k", "v2");
    txn_map_put(row, "external_ids", "l", "w");
    txn_clear(row, "hostnode");
    CHECK_OK("commit", txn_commit_blocking(again, f.a, TIMEOUT_MS));
    CHECK_STR("replaced", typed_map_get(&vm->external_ids, "k"), "v2");
    CHECK_STR("added", typed_map_get(&vm->external_ids, "l"), "w");
    CHECK("cleared", uuid_is_zero(&vm->hostnode));
    buf_clear(&f.seen);

    CLEANUP(txn_drop) struct txn *last = txn_new("vmmgr");
    txn_delete(last, "vm", &uuid);
    CHECK_OK("delete", txn_commit_blocking(last, f.a, TIMEOUT_MS));
    expect_seen(&f, "del:vm:web ");
    CHECK("gone", !row_vm_find(f.a, &uuid));
    expect_b(&f, 0, 0);
    teardown(&f);
}

TEST(a_row_lives_and_dies)
{
    with_servers(life_of_a_row);
}

static void
refusals(const char *server)
{
    struct fixture f;
    setup(&f, server);
    struct uuid uuid = insert_vm(&f, "web", 512), none = { { 1 } };
    static const struct {
        const char *why;
        enum err_kind kind;
        int tag;
    } cases[] = {
        { "a name taken", ERR_CONSTRAINT, RFC_CONSTRAINT },
        { "a wrong type", ERR_SYNTAX, RFC_SYNTAX },
        { "an unknown column", ERR_NOT_FOUND, RFC_UNKNOWN_COLUMN },
        { "a row that is gone", ERR_NOT_FOUND, 0 },
        { "a dangling reference", ERR_CONSTRAINT, RFC_REFERENTIAL },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(txn_drop) struct txn *txn = txn_new("vmmgr");
        if (i == 3) {
            txn_set_int(txn_update(txn, "vm", &none), "mem", 1);
        } else if (i == 4) {
            struct txn_row *device = txn_insert(txn, "device");
            txn_set_uuid(device, "vm", &none);
            txn_set_string(device, "type", "disk");
            txn_set_string(device, "targetdev", "vda");
        } else {
            struct txn_row *vm = new_vm(txn);
            txn_set_string(vm, "name", i == 0 ? "web" : "other");
            if (i == 1) {
                txn_set_string(vm, "mem", "much");
            } else if (i == 2) {
                txn_set_int(vm, "colour", 1);
            }
        }
        struct err *e = txn_commit_blocking(txn, f.a, TIMEOUT_MS);
        CHECK(cases[i].why, e != NULL);
        CHECK_INT(err_text(e), err_kind(e), cases[i].kind);
        CHECK_INT(err_text(e), err_code(e), cases[i].tag);
        err_free(e);
    }

    /* Another client changes what we looked at. */
    CLEANUP(txn_drop) struct txn *ours = txn_new("vmmgr");
    txn_set_int(txn_update(ours, "vm", &uuid), "mem", 2);
    txn_verify(ours, &row_vm_find(f.a, &uuid)->base, "mem");
    CLEANUP(txn_drop) struct txn *theirs = txn_new("vmmgr");
    txn_set_int(txn_update(theirs, "vm", &uuid), "mem", 1);
    CHECK_OK("theirs", txn_commit_blocking(theirs, f.b, TIMEOUT_MS));
    CHECK_ERR("ours", txn_commit_blocking(ours, f.a, TIMEOUT_MS), ERR_BUSY);
    expect_b(&f, 1, 1);
    teardown(&f);
}

TEST(refusals_have_their_kind)
{
    with_servers(refusals);
}

static void
reconnecting(const char *server)
{
    struct fixture f;
    setup(&f, server);
    insert_vm(&f, "stays", 1);
    struct uuid goes = insert_vm(&f, "goes", 2), changes = insert_vm(&f, "changes", 4);
    struct row_vm *kept = row_vm_find(f.a, &changes);
    expect_b(&f, 3, 7);
    buf_clear(&f.seen);

    server_stop(&f);
    int64_t until_ms = clock_mono_ms() + 5000;
    while (f.n_disconnected == 0 && clock_mono_ms() < until_ms) {
        loop_turn(f.loop, 50);
    }
    CHECK("both know", !replica_is_ready(f.a) && !replica_is_ready(f.b));
    CHECK_INT("the rows stay", replica_table(f.a, "vm")->rows.n, 3);

    /* Only 'c' sees the new server at first: it changes the content unseen by the others. */
    free(f.remote);
    CLEANUP(free_drop) char *hidden = path_join(test_dir(), "hidden.sock");
    CLEANUP(free_drop) char *seen_socket = f.socket;
    f.remote = str_dupf("unix:%s", hidden);
    f.socket = str_dup(hidden);
    server_start(&f);
    struct replica *c = replica_start(&f, NULL, true);
    CHECK_OK("c", replica_wait_ready(c, TIMEOUT_MS));
    CLEANUP(txn_drop) struct txn *txn = txn_new("vmmgr");
    txn_delete(txn, "vm", &goes);
    txn_set_int(txn_update(txn, "vm", &changes), "mem", 40);
    struct txn_row *vm = new_vm(txn);
    txn_set_string(vm, "name", "comes");
    txn_set_int(vm, "mem", 8);
    CHECK_OK("commit", txn_commit_blocking(txn, c, TIMEOUT_MS));
    replica_free(c);
    CHECK("link", link(hidden, seen_socket) == 0);

    CHECK_OK("ready again", replica_wait_ready(f.a, TIMEOUT_MS));
    expect_b(&f, 3, 49);
    CHECK("the same row", row_vm_find(f.a, &changes) == kept && kept->mem == 40);
    const char *seen = buf_cstr(&f.seen);
    CHECK(seen, strstr(seen, "mod:vm:changes mem 4->40 ") &&
                    strstr(seen, "new:vm:comes ") && strstr(seen, "del:vm:goes "));
    CHECK(seen, !strstr(seen, "stays"));
    CHECK_INT("ready twice", f.n_ready, 2);
    unlink(seen_socket);
    teardown(&f);
}

TEST(after_reconnecting_only_the_difference_is_told)
{
    with_servers(reconnecting);
}

static void
conditions(const char *server)
{
    struct fixture f;
    setup(&f, server);
    struct uuid small = insert_vm(&f, "small", 1);
    insert_vm(&f, "large", 100);

    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json where;
    CHECK_OK("where", json_parse_str(&arena, "[[\"name\",\"==\",\"small\"]]", &where));
    replica_watch(f.b, "vm", NULL, &where, &row_vm_class); /* Watched anew. */
    CHECK("not ready meanwhile", !replica_is_ready(f.b));
    CHECK_OK("ready", replica_wait_ready(f.b, TIMEOUT_MS));
    expect_b(&f, 1, 1);

    CLEANUP(txn_drop) struct txn *txn = txn_new("vmmgr");
    txn_set_string(txn_update(txn, "vm", &small), "name", "other");
    CHECK_OK("rename", txn_commit_blocking(txn, f.a, TIMEOUT_MS));
    expect_b(&f, 0, 0); /* It left the condition. */

    replica_watch(f.b, "vm", NULL, NULL, NULL); /* Plain rows now, all of them. */
    CHECK_OK("ready", replica_wait_ready(f.b, TIMEOUT_MS));
    CHECK_INT("both", replica_table(f.b, "vm")->rows.n, 2);
    teardown(&f);
}

TEST(conditions_and_watching_anew)
{
    with_servers(conditions);
}

/* The names of the machines of a node, sorted: "a b". */
static const char *
machines_of(struct fixture *f, const struct uuid *node, struct buf *ret)
{
    struct strvec names = STRVEC_INIT;
    ROW_FOR_EACH_OF (struct row_vm, vm, row_vm_table(f->a), ROW_VM_HOSTNODE, node) {
        strvec_add(&names, vm->name);
    }
    strvec_sort(&names);
    buf_clear(ret);
    for (size_t i = 0; i < names.n; i++) {
        buf_printf(ret, "%s%s", i ? " " : "", names.v[i]);
    }
    strvec_done(&names);
    return buf_cstr(ret);
}

static void
set_node(struct fixture *f, const struct uuid *vm, const struct uuid *node)
{
    CLEANUP(txn_drop) struct txn *txn = txn_new("vmmgr");
    txn_set_uuid(txn_update(txn, "vm", vm), "hostnode", node);
    CHECK_OK("set", txn_commit_blocking(txn, f->a, TIMEOUT_MS));
}

static void
referring(const char *server)
{
    struct fixture f;
    setup(&f, server);
    CLEANUP(buf_done) struct buf names = BUF_INIT;
    struct uuid nodes[2], vms[3], nobody = { { 9 } };
    for (int i = 0; i < 2; i++) {
        CLEANUP(txn_drop) struct txn *txn = txn_new("vmmgr");
        struct txn_row *node = txn_insert(txn, "hostnode");
        const char *uid = i ? "00000000-0000-0000-0000-000000000001"
                            : "00000000-0000-0000-0000-000000000002";
        txn_set_string(node, "name", i ? "n1" : "n0");
        txn_set_string(node, "uid", uid);
        CHECK_OK("node", txn_commit_blocking(txn, f.a, TIMEOUT_MS));
        nodes[i] = *txn_row_uuid(node);
    }
    for (int i = 0; i < 3; i++) {
        vms[i] = insert_vm(&f, i == 0 ? "a" : i == 1 ? "b" : "c", 1);
    }
    set_node(&f, &vms[0], &nodes[0]);
    CHECK_STR("rows that were there before", machines_of(&f, &nodes[0], &names), "a");
    set_node(&f, &vms[1], &nodes[0]);
    set_node(&f, &vms[2], &nodes[1]);
    CHECK_STR("and after", machines_of(&f, &nodes[0], &names), "a b");
    set_node(&f, &vms[0], &nodes[1]);
    CHECK_STR("one has left", machines_of(&f, &nodes[0], &names), "b");
    CHECK_STR("for the other", machines_of(&f, &nodes[1], &names), "a c");
    set_node(&f, &vms[0], NULL);
    CHECK_STR("refers to nothing", machines_of(&f, &nodes[1], &names), "c");
    CHECK_STR("empty is nobody's", machines_of(&f, &(struct uuid){ { 0 } }, &names), "");
    CHECK_STR("nobody", machines_of(&f, &nobody, &names), "");
    CLEANUP(txn_drop) struct txn *txn = txn_new("vmmgr");
    txn_delete(txn, "vm", &vms[2]);
    CHECK_OK("delete", txn_commit_blocking(txn, f.a, TIMEOUT_MS));
    CHECK_STR("deleted", machines_of(&f, &nodes[1], &names), "");

    server_stop(&f); /* The same rows again: a synchronisation. */
    server_start(&f);
    CHECK_OK("ready", replica_wait_ready(f.a, TIMEOUT_MS));
    CHECK_STR("after a break", machines_of(&f, &nodes[0], &names), "b");
    teardown(&f);
}

TEST(who_refers_to_a_row)
{
    with_servers(referring);
}

static void
free_replica(void *f_, const struct replica_change *c UNUSED)
{
    struct fixture *f = f_;
    replica_free(TAKE(f->b));
}

static void
freeing(const char *server)
{
    struct fixture f;
    setup(&f, server);
    insert_vm(&f, "x", 1);
    static const struct replica_events freeing_events = { .changed = free_replica };
    replica_free(f.b);
    f.b = replica_start(&f, &freeing_events, false);
    row_vm_watch(f.b, NULL);
    int64_t until_ms = clock_mono_ms() + 5000;
    while (f.b && clock_mono_ms() < until_ms) {
        loop_turn(f.loop, 50);
    }
    CHECK("freed", !f.b);
    teardown(&f);
}

TEST(a_callback_may_free_the_replica)
{
    with_servers(freeing);
}

static void
on_done(void *f_, struct txn *txn, struct err *e)
{
    struct fixture *f = f_;
    buf_printf(&f->seen, "done:%s ", e ? err_kind_name(err_kind(e)) : "ok");
    CHECK("results are there", e || txn_result(txn)->n >= 1);
    err_free(e);
}

static bool
two_done(void *f_)
{
    struct fixture *f = f_;
    const char *first = strstr(buf_cstr(&f->seen), "done:");
    return first && strstr(first + 1, "done:");
}

static void
asynchronous(const char *server)
{
    struct fixture f;
    setup(&f, server);
    for (int i = 0; i < 2; i++) {
        struct txn *txn = txn_new("vmmgr");
        txn_set_string(new_vm(txn), "name", "one");
        txn_commit(txn, replica_session(f.a), on_done, &f);
    }
    CHECK_OK("wait", replica_wait_until(f.a, two_done, &f, TIMEOUT_MS));
    expect_seen(&f, "new:vm:one done:ok done:constraint ");

    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json params = json_array(), result;
    CHECK_OK("list_dbs",
             replica_call_blocking(f.a, "list_dbs", &params, TIMEOUT_MS, &arena, &result));
    CHECK_INT("an array", result.type, JSON_ARRAY);
    struct err *e =
        replica_call_blocking(f.a, "nonsense", &params, TIMEOUT_MS, &arena, &result);
    CHECK("refused", e != NULL);
    err_free(e);
    teardown(&f);
}

TEST(transactions_on_the_loop)
{
    with_servers(asynchronous);
}

TEST(no_server)
{
    CLEANUP(loop_drop) struct loop *loop = NULL;
    CHECK_OK("loop", loop_new(&loop));
    struct replica *r;
    struct replica_options options = { .remote = "unix:/nonexistent/sock", .once = true };
    CHECK_OK("new", replica_new(loop, &options, NULL, NULL, &r));
    struct err *e = replica_wait_ready(r, TIMEOUT_MS);
    CHECK_STR("says what to do", e ? err_next(e) : "success",
              "is the server running?  It makes the socket /nonexistent/sock");
    CHECK_ERR("at once", e, ERR_NOT_FOUND);
    replica_free(r);

    options.once = false;
    CHECK_OK("new", replica_new(loop, &options, NULL, NULL, &r));
    e = replica_wait_ready(r, 300);
    CHECK("the reason is kept", strstr(err_text(e), "No such file"));
    CHECK_ERR("else it waits", e, ERR_TIMEOUT);
    replica_free(r);

    options.remote = "vmmgr";
    CHECK_ERR("no remote", replica_new(loop, &options, NULL, NULL, &r), ERR_SYNTAX);
}

static void
wrong_database(const char *server)
{
    struct fixture f;
    setup(&f, server);
    struct replica *r;
    struct replica_options options = { .remote = f.remote,
                                       .database = "zoo",
                                       .once = true };
    CHECK_OK("new", replica_new(f.loop, &options, NULL, NULL, &r));
    struct err *e = replica_wait_schema(r, TIMEOUT_MS);
    CHECK_INT("tag", err_code(e), RFC_UNKNOWN_DATABASE);
    err_free(e);
    replica_free(r);
    teardown(&f);
}

TEST(a_database_that_is_not_there)
{
    with_servers(wrong_database);
}
