/* cli/pool_grow.c: a pool grows on a LUN that grew, on all hosts that have the pool.
 *
 * 1. Each host looks: all paths there, all of one size, the same size on all hosts?  If not, the
 *    command ends here and nothing has been changed.
 * 2. Each host has its kernel learn the new size: rescans its paths, resizes its multipath maps.
 * 3. All look again.  Only when every kernel knows the size on every path ...
 * 4. ... does one host grow what lies on it: partition, PV, LV, file system.
 * 5. All scan the pool anew.
 * Each stage is a job a host.  Broken off anywhere, the same command goes on: what is done already
 * is seen by the look, and left out. */
#include "base/clock.h"
#include "cli/pool_i.h"
#include "cli/storage_i.h"
#include "store/grow.h"

struct grow_host {
    struct storage_pool s;
    const char *node; /* Its name. */
    struct uuid job;
    struct grow_look look;
};

struct grow_hosts {
    VEC(struct grow_host *) v;
};

static void
hosts_drop(struct grow_hosts *hosts)
{
    VEC_FOR_EACH (struct grow_host **h, &hosts->v) {
        grow_look_done(&(*h)->look);
        storage_pool_done(&(*h)->s);
        free(*h);
    }
    VEC_DONE(&hosts->v);
}

const struct opt_spec opts_pool_grow[] = {
    { "node", "NODE", "the host that grows the file system (the first)", "hostnode" },
    { NULL },
};

/* Of the host of a pool's row. */
static const char *
node_name(const struct json *nodes, const struct json *pool)
{
    struct uuid of;
    for (uint32_t i = 0; i < nodes->n && row_ref(pool, "hostnode", &of); i++) {
        struct uuid uuid = row_uuid(&nodes->elems[i]);
        if (uuid_eq(&uuid, &of)) {
            return row_string(&nodes->elems[i], "name");
        }
    }
    return "?";
}

/* The pool's row on each host, the one that is to do the work first. */
static struct err *
find_hosts(struct cli *cli, const char *name, const char *node, struct grow_hosts *ret)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), where = json_array(), results;
    struct named metapool, wanted;
    TRY(names_find(cli, "metapool", name, NULL, &metapool));
    if (node) {
        TRY(names_find(cli, "hostnode", node, NULL, &wanted));
    }
    json_add(a, &where, q_clause(a, "metapool", "==", q_uuid(a, &metapool.uuid)));
    json_add(a, &ops, q_select(a, "pool", where, "_uuid,hostnode,active"));
    json_add(a, &ops, q_select(a, "hostnode", json_array(), "_uuid,name"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    bool found = !node;
    for (uint32_t i = 0; i < rows->n; i++) {
        struct uuid uuid = row_uuid(&rows->elems[i]), of;
        struct grow_host *h = NEW(struct grow_host);
        *VEC_ADD(&ret->v) = h;
        h->look = GROW_LOOK_INIT;
        TRY(storage_pool_find(cli, UUID_TEXT(&uuid), &h->s));
        h->node = node_name(q_rows(&results, 1), &rows->elems[i]);
        if (!row_bool(&rows->elems[i], "active")) {
            return err_hint(
                err_new(ERR_CONSTRAINT, "pool %s is not active", h->s.pool.label),
                "start it on every host first: byre pool start %s", h->s.pool.label);
        } else if (node && row_ref(&rows->elems[i], "hostnode", &of) &&
                   uuid_eq(&of, &wanted.uuid)) {
            found = true;
            ret->v.v[ret->v.n - 1] = ret->v.v[0];
            ret->v.v[0] = h;
        }
    }
    if (ret->v.n == 0 || !found) {
        return err_new(ERR_NOT_FOUND, "no pool %s%s%s", name, node ? " on " : "",
                       node ? node : "");
    }
    return NULL;
}

/* The job's result, as a look. */
static struct err *
read_look(struct cli *cli, struct grow_host *h)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), results, j;
    json_add(a, &ops, q_select(a, "job", q_where_uuid(a, &h->job), "result"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    const char *text = rows->n ? row_string(&rows->elems[0], "result") : NULL;
    if (!text) {
        return err_hint(err_new(ERR_NOT_FOUND, "the job left no result"),
                        "is the agent of that host of this version?");
    }
    TRY(json_parse_str(a, text, &j));
    grow_look_done(&h->look);
    TRY(err_wrap(grow_look_decode(&j, &h->look), "the look of host %s", h->node));
    h->look.host = arena_str(&h->look.arena, h->node);
    return NULL;
}

/* One job on each of the first 'n' hosts; waits for all. */
static struct err *
run_stage(struct cli *cli, struct grow_hosts *hosts, size_t n, const char *kind,
          const char *said)
{
    bool dry_run = cli->dry_run;
    for (size_t i = 0; i < n; i++) {
        struct grow_host *h = hosts->v.v[i];
        TRY(pool_add_job(cli, &h->s, kind, said, &h->job));
    }
    cli->dry_run = false; /* In a dry run only the looks are run, which change nothing. */
    struct err *e = change_step(cli);
    cli->dry_run = dry_run;
    TRY(e);
    for (size_t i = 0; i < n; i++) {
        TRY(read_look(cli, hosts->v.v[i]));
    }
    return NULL;
}

static struct err *
check_all(const struct grow_hosts *hosts)
{
    for (size_t i = 0; i < hosts->v.n; i++) {
        TRY(grow_check_paths(&hosts->v.v[i]->look));
        TRY(grow_check_hosts(&hosts->v.v[0]->look, &hosts->v.v[i]->look));
    }
    return NULL;
}

static struct err *
check_known(const struct grow_hosts *hosts)
{
    TRY(check_all(hosts));
    for (size_t i = 0; i < hosts->v.n; i++) {
        if (!grow_is_known(&hosts->v.v[i]->look)) {
            CLEANUP(free_drop) char *text = grow_text(&hosts->v.v[i]->look);
            return err_hint(err_new(ERR_CONSTRAINT,
                                    "%s: its kernel still has an old size: %s",
                                    hosts->v.v[i]->look.host, text),
                            "look at the kernel's log there, then: byre pool grow NAME");
        }
    }
    return NULL;
}

static void
tell(const struct cli *cli, const struct grow_hosts *hosts)
{
    for (size_t i = 0; i < hosts->v.n && !cli->quiet; i++) {
        CLEANUP(free_drop) char *text = grow_text(&hosts->v.v[i]->look);
        printf("%s: %s\n", hosts->v.v[i]->look.host, text);
    }
}

static struct err *
print_plan(const struct grow_look *look,
           struct err *(*fn)(const struct grow_look *, struct plan *) )
{
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    TRY(fn(look, &plan));
    CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT;
    strvec_split(&lines, plan_text(&plan), "\n");
    for (size_t i = 0; i < lines.n; i++) {
        printf("    %s\n", lines.v[i]);
    }
    return NULL;
}

/* As the look will be when each host has done its part. */
static void
pretend(struct grow_look *look)
{
    VEC_FOR_EACH (struct grow_layer *layer, &look->layers) {
        int64_t bytes = 0;
        for (size_t i = 0; i < look->layers.n && layer->kind == GROW_MAP; i++) {
            const struct grow_layer *disk = &look->layers.v[i];
            bytes = str_eq(disk->map, layer->name) ? disk->target_bytes : bytes;
        }
        layer->bytes = layer->kind == GROW_DISK ? layer->target_bytes
                       : bytes                  ? bytes
                                                : layer->bytes;
    }
}

static struct err *
show_plans(struct grow_hosts *hosts)
{
    for (size_t i = 0; i < hosts->v.n; i++) {
        printf("on %s:\n", hosts->v.v[i]->look.host);
        TRY(print_plan(&hosts->v.v[i]->look, grow_plan_host));
    }
    printf("then, on %s alone:\n", hosts->v.v[0]->look.host);
    pretend(&hosts->v.v[0]->look);
    TRY(print_plan(&hosts->v.v[0]->look, grow_plan_top));
    printf("then refresh the pool on all\n");
    return NULL;
}

static struct err *
grow(struct cli *cli, struct grow_hosts *hosts)
{
    TRY(run_stage(cli, hosts, hosts->v.n, "pool.grow.look", "looked at"));
    tell(cli, hosts);
    TRY(check_all(hosts));
    if (cli->dry_run) {
        return show_plans(hosts);
    }
    TRY(run_stage(cli, hosts, hosts->v.n, "pool.grow.host", "rescanned"));
    TRY(check_known(hosts));
    TRY(run_stage(cli, hosts, 1, "pool.grow.top", "grown"));
    tell(cli, hosts);
    for (size_t i = 0; i < hosts->v.n; i++) {
        struct uuid job;
        TRY(pool_add_job(cli, &hosts->v.v[i]->s, "pool.refresh", "refreshed", &job));
    }
    return NULL;
}

struct err *
pool_grow(struct cli *cli, const struct args *args)
{
    CLEANUP(hosts_drop) struct grow_hosts hosts = { VEC_INIT };
    if (cli->no_wait) {
        return err_hint(
            err_new(ERR_SYNTAX, "growing waits for all hosts between its stages"),
            "leave --no-wait out");
    }
    TRY(find_hosts(cli, args->pos.v[0], args_get(args, "node"), &hosts));
    return grow(cli, &hosts);
}
