/* tests/fuzz/fuzz_agent.c: what a client may ask of DIR/run/agent.sock, against rows of a small host.
 *
 * What is accepted has all that its thread will use, and names only rows of this host. */
#include <fcntl.h>
#include <unistd.h>

#include "agent/service_i.h"
#include "agent/stats_i.h"
#include "data/vmmgr_schema.h"
#include "replica/replica_i.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* Machine 1 (it runs), pool 5 and volume 7 are on host 9; machine 2, pool 6 and volume 8 are not; pool 6 has no
 * template, volume 4 no pool. */
#define U(n) "00000000-0000-4000-8000-00000000000" n
static const char rows[] = "{\"hostnode\":{\"" U(
    "9") "\":{\"initial\":{\"name\":\"n1\",\"uid\":\"u1\"}}},"
         "\"vm\":{\"" U("1") "\":{\"initial\":{\"name\":\"a\",\"hostnode\":[\"uuid\",\"" U(
             "9") "\"]}},"
                  "\"" U(
                      "2") "\":{\"initial\":{\"name\":\"b\"}}},"
                           "\"metapool\":{\"" U(
                               "3") "\":{\"initial\":{\"name\":\"t\",\"type\":\"dir\"}}},"
                                    "\"pool\":{\"" U(
                                        "5") "\":{\"initial\":{\"name\":\"p\",\"state\":\"running\",\"active\":true,"
                                             "\"hostnode\":[\"uuid\",\"" U("9") "\"],\"metapool\":[\"uuid\",\"" U(
                                                 "3") "\"]}},"
                                                      "\"" U(
                                                          "6") "\":{\"initial\":{\"name\":\"q\"}}},"
                                                               "\"volume\":{\"" U("7") "\":{\"initial\":{\"name\":\"v\",\"state\":\"ready\",\"pool\":[\"uuid\",\"" U(
                                                                   "5") "\"]}},"
                                                                        "\"" U("8") "\":{\"initial\":{\"name\":\"w\",\"state\":\"ready\",\"pool\":[\"uuid\",\"" U(
                                                                            "6") "\"]}},"
                                                                                 "\"" U(
                                                                                     "4") "\":{\"initial\":{\"name\":\"x\"}}}}";

static const struct row_class *const classes[] = { &row_vm_class,       &row_volume_class,
                                                   &row_pool_class,     &row_hostnode_class,
                                                   &row_metapool_class, &row_device_class };

static struct agent *
agent_make(void)
{
    static struct replica replica;
    static const struct replica_events events;
    static struct watch watches[N_ELEMS(classes)];
    static struct agent agent;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json content;
    struct batch b;

    struct err *e =
        schema_parse_text(vmmgr_schema_text, strlen(vmmgr_schema_text), &replica.schema);
    ASSERT(!e);
    replica.events = &events;
    for (size_t i = 0; i < N_ELEMS(classes); i++) {
        watches[i].class = classes[i];
        map_put(&replica.watches, classes[i]->table, &watches[i]);
    }
    tables_update(&replica);
    e = json_parse_str(&arena, rows, &content);
    ASSERT(!e);
    batch_init(&b, &replica);
    e = batch_sync(&b, &content);
    ASSERT(!e);
    batch_finish(&b);
    replica.phase = PHASE_READY;
    agent.replica = &replica;
    agent.console_dir = "/nonexistent";
    agent.have_row = true;
    list_init(&agent.tickets);
    list_init(&agent.feeding);
    ASSERT(uuid_parse(U("9"), &agent.row));

    struct uuid uuid;
    ASSERT(uuid_parse(U("5"), &uuid));
    struct pool_obj *pool = pool_obj_of(&agent, row_pool_find(&replica, &uuid));
    pool->memo.active = pool->memo.scanned = true;

    static struct stats stats = { .agent = &agent, .url = (char *) "sqlite:/nonexistent" };
    agent.stats = &stats;
    ASSERT(uuid_parse(U("1"), &uuid));
    struct virt_dom dom = {
        .name = str_dup("a"), .state = VIRT_RUNNING, .domid = 1, .marked = true
    };
    host_learn(&agent, &uuid, &dom);
    return &agent;
}

static void
check_keys(const struct request *r)
{
    ASSERT(r->guest.n_chords > 0);
    for (size_t i = 0; i < r->guest.n_chords; i++) {
        const struct virt_chord *chord = &r->guest.chords[i];
        ASSERT(chord->n > 0 && chord->n <= VIRT_CHORD_KEYS);
        for (int k = 0; k < chord->n; k++) {
            ASSERT(chord->codes[k] > 0 && chord->codes[k] <= UINT8_MAX);
        }
    }
}

static void
check_accepted(const struct request *r, const char *method)
{
    ASSERT(r->run);
    if (str_eq(method, "upload") || str_eq(method, "download")) {
        ASSERT(r->has_models && r->passed_fd >= 0 && r->done && str_eq(r->vol.name, "v"));
        ASSERT(r->priv.offset >= 0 && r->priv.length >= 0);
    } else if (str_eq(method, "look")) { /* A name from outside, for root to look at. */
        ASSERT(r->has_models && r->done && !strchr(r->vol.name, '/'));
        ASSERT(!str_eq(r->vol.name, "..") && str_eq(r->pool.name, "p"));
    } else if (str_eq(method, "keys")) {
        check_keys(r);
    } else if (str_eq(method, "stats") || str_eq(method, "screen") ||
               str_eq(method, "dump")) {
        ASSERT(r->passed_fd >= 0);
    }
    ASSERT(!r->has_models || r->pool.name); /* What root is asked about has a pool. */
}

/* A descriptor comes along with every other length. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static struct agent *agent;
    if (!agent) {
        agent = agent_make();
    }
    struct request *r = NEW(struct request);
    r->agent = agent;
    r->arena = ARENA_INIT;
    r->fd = -1;
    r->passed_fd = n_bytes % 2 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    CLEANUP(free_drop) char *method = NULL;
    struct err *e = json_parse(&r->arena, (const char *) data, n_bytes, &r->json);
    if (!e) {
        method = str_dup(
            json_get_string(&r->json, "method")); /* The answer may take its place. */
        e = request_prepare(r);
    }
    if (!e) {
        check_accepted(r, method);
    }
    err_free(e);
    request_free(r);
    return 0;
}
