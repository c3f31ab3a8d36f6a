/* replica/wait.c: for programs that do one thing: runs the loop until it has happened. */
#include "replica/replica_i.h"

#include "base/clock.h"
#include "data/rfc7047.h"
#include "loop/loop.h"
#include "wire/session_io.h"

#define TURN_MS 1000 /* A turn ends with each event anyway. */

/* Why it has not happened: the last failure, if there was one. */
static struct err *
timed_out(const struct replica *r, int64_t timeout_ms)
{
    struct err *e = err_new(ERR_TIMEOUT, "no answer from %s within %" PRId64 " ms%s%s",
                            replica_remote(r), timeout_ms, r->last_error ? ": " : "",
                            r->last_error ? err_text(r->last_error) : "");
    const char *hint = r->last_error ? err_next(r->last_error) : NULL;
    return hint ? err_hint(e, "%s", hint) : e;
}

/* A negative time-out is none. */
static struct err *
wait_for(struct replica *r, bool (*happened)(struct replica *, void *aux), void *aux,
         int64_t timeout_ms)
{
    int64_t until_ms = timeout_ms < 0 ? INT64_MAX : clock_mono_ms() + timeout_ms;
    ASSERT(!r->in_batch);
    while (!happened(r, aux)) {
        int64_t now_ms = clock_mono_ms();
        if (r->once && r->last_error) {
            return replica_err_dup(r->last_error);
        } else if (now_ms >= until_ms) {
            return timed_out(r, timeout_ms);
        }
        loop_turn(r->loop, min64(until_ms - now_ms, TURN_MS));
    }
    return NULL;
}

static bool
is_ready(struct replica *r, void *aux UNUSED)
{
    return r->phase == PHASE_READY;
}

struct err *
replica_wait_ready(struct replica *r, int64_t timeout_ms)
{
    return wait_for(r, is_ready, NULL, timeout_ms);
}

static bool
has_schema(struct replica *r, void *aux UNUSED)
{
    return r->schema && (r->phase == PHASE_MONITOR || r->phase == PHASE_READY);
}

struct err *
replica_wait_schema(struct replica *r, int64_t timeout_ms)
{
    return wait_for(r, has_schema, NULL, timeout_ms);
}

struct until {
    bool (*fn)(void *aux);
    void *aux;
};

static bool
users_condition(struct replica *r UNUSED, void *u_)
{
    struct until *u = u_;
    return u->fn(u->aux);
}

struct err *
replica_wait_until(struct replica *r, bool (*fn)(void *aux), void *aux, int64_t timeout_ms)
{
    return wait_for(r, users_condition, &(struct until){ fn, aux }, timeout_ms);
}

struct call {
    struct jsonrpc_msg *reply;
    struct err *e;
};

static void
on_reply(void *call_, struct jsonrpc_msg *reply, struct err *e)
{
    struct call *call = call_;
    call->reply = reply;
    call->e = e;
}

static bool
is_answered(struct replica *r UNUSED, void *call_)
{
    struct call *call = call_;
    return call->reply || call->e;
}

struct err *
replica_request_blocking(struct replica *r, const char *method, const struct json *params,
                         int64_t timeout_ms, struct jsonrpc_msg **ret_reply)
{
    struct call call = { NULL, NULL };
    int64_t id = session_io_request(r->session, method, params, on_reply, &call);
    struct err *e = wait_for(r, is_answered, &call, timeout_ms);
    if (!call.reply && !call.e) {
        session_io_forget(r->session, id);
        return e;
    }
    err_free(e);
    *ret_reply = call.reply;
    return call.e;
}

struct err *
replica_call_blocking(struct replica *r, const char *method, const struct json *params,
                      int64_t timeout_ms, struct arena *arena, struct json *ret_result)
{
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *reply = NULL;
    TRY(replica_request_blocking(r, method, params, timeout_ms, &reply));
    if (reply->kind == JSONRPC_ERROR) {
        return rfc_parse(&reply->error);
    }
    *ret_result = json_copy(arena, &reply->result);
    return NULL;
}
