/* tests/fuzz/fuzz_priv.c: what an agent may send to root.  A request that is accepted encodes to
 * one that is accepted again, and makes the plan of its verb or is refused; answers are decoded too. */
#include "priv/worker_i.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void
as_request(struct arena *arena, const struct json *j)
{
    struct priv_request request, again;
    CLEANUP(err_drop) struct err *e = priv_request_decode(arena, j, &request);
    if (e) {
        return;
    }
    struct json once = priv_request_encode(arena, &request);
    struct err *e2 = priv_request_decode(arena, &once, &again);
    ASSERT(!e2);
    struct json twice = priv_request_encode(arena, &again);
    ASSERT(json_eq(&once, &twice));
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    err_free(worker_plan(&request, &plan)); /* Of every verb. */
    plan_text(&plan);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;
    struct err *e = json_parse(&arena, (const char *) data, n_bytes, &j);
    if (e) {
        err_free(e);
        return 0;
    }
    as_request(&arena, &j);
    struct priv_reply reply;
    priv_reply_init(&reply);
    err_free(priv_reply_decode(&j, &reply));
    priv_reply_done(&reply);
    err_free(priv_error_decode(&j));
    return 0;
}
