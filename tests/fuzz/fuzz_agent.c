/* tests/fuzz/fuzz_agent.c: what a client may ask of DIR/run/agent.sock, against rows of a small host.
 *
 * What is accepted has all that its thread will use, and names only rows of this host. */
#include <fcntl.h>
#include <unistd.h>

#include "agent/service_i.h"
#include "data/vmmgr_schema.h"
#include "replica/replica_i.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* Machine 1, pool 5 and volume 7 are on host 9; machine 2, pool 6 and volume 8 are not; pool 6 has no
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
    return &agent;
}

static void
check_accepted(const struct request *r)
{
    ASSERT(r->run);
    if (r->has_models) {
        ASSERT(r->passed_fd >= 0 && r->done && strcmp(r->vol.name, "v") == 0);
        ASSERT(r->priv.offset >= 0 && r->priv.length >= 0);
    }
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
    struct err *e = json_parse(&r->arena, (const char *) data, n_bytes, &r->json);
    if (!e) {
        e = request_prepare(r);
    }
    if (!e) {
        check_accepted(r);
    }
    err_free(e);
    request_free(r);
    return 0;
}
