/* web/install.c: two transactions a key: who has it, and take it. */
#define LOG_MODULE "install"
#include "web/install.h"

#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "base/uuid.h"
#include "digest/digest.h"
#include "loop/loop.h"
#include "web/http.h"
#include "wire/session_io.h"

struct install {
    struct loop *loop;
    struct session_io *session;
    struct list calls; /* Of struct call's 'node'. */
    size_t n_calls;
    double tokens; /* How many may come now. */
    int64_t tokens_ms;
};

struct call {
    struct list node; /* In struct install's 'calls'. */
    struct install *install;
    struct http_request *request;
    struct loop_timer *timer;
    int64_t id;
    struct uuid secret;
};

static void
call_free(struct call *c)
{
    list_remove(&c->node);
    c->install->n_calls--;
    loop_timer_free(c->timer);
    free(c);
}

static void
answer(struct call *c, unsigned status, const char *text)
{
    http_answer(c->request, status, "text/plain", text);
    call_free(c);
}

static void
answer_unknown(struct call *c)
{
    answer(c, 404, "no such key, or it was used\n");
}

/* The i-th result, if all went well. */
static const struct json *
result_of(const struct jsonrpc_msg *reply, size_t i)
{
    const struct json *results =
        reply && reply->kind == JSONRPC_REPLY ? &reply->result : NULL;
    return results && json_is(results, JSON_ARRAY) && i < results->n ? &results->elems[i]
                                                                     : NULL;
}

static int64_t
count_of(const struct jsonrpc_msg *reply, size_t i)
{
    const struct json *result = result_of(reply, i);
    const struct json *count =
        result && json_is(result, JSON_OBJECT) ? json_get(result, "count") : NULL;
    return count && json_is(count, JSON_INTEGER) ? count->integer : -1;
}

static void
on_taken(void *aux, struct jsonrpc_msg *reply, struct err *e)
{
    struct call *c = aux;
    int64_t waits = count_of(reply, 0), done = count_of(reply, 1);

    if (e || waits < 0 || done < 0) {
        answer(c, 503, "the database did not take it; try again\n");
    } else if (waits + done == 0) {
        answer_unknown(c);
    } else {
        log_info("a guest has reported its installation%s", done ? "" : "; reboots follow");
        answer(c, 200, "thank you\n");
    }
    err_free(e);
    jsonrpc_msg_free(reply);
}

/* Those that still expect a reboot only lose the key; the agent sees the rest. */
static void
take_key(struct call *c)
{
    static const char format[] =
        "[\"vmmgr\","
        "{\"op\":\"update\",\"table\":\"vm\",\"where\":[[\"opkey\",\"==\",[\"uuid\",\"%s\"]],"
        "[\"needrebootcount\",\"excludes\",0],[\"needrebootcount\",\"!=\",[\"set\",[]]]],"
        "\"row\":{\"opkey\":[\"set\",[]]}},"
        "{\"op\":\"update\",\"table\":\"vm\",\"where\":[[\"opkey\",\"==\",[\"uuid\",\"%s\"]]],"
        "\"row\":{\"opkey\":[\"set\",[]],\"osinstalled\":true}},"
        "{\"op\":\"delete\",\"table\":\"secret\",\"where\":[[\"_uuid\",\"==\",[\"uuid\",\"%s\"]]]},"
        "{\"op\":\"comment\",\"comment\":\"byre-webd: a guest's system is installed\"}]";
    char uuid[UUID_CHARS + 1];
    strcpy(uuid, UUID_TEXT(&c->secret));
    CLEANUP(free_drop) char *params = str_dupf(format, uuid, uuid, uuid);
    c->id = session_io_request_text(c->install->session, "transact", params, on_taken, c);
}

static bool
read_secret(const struct jsonrpc_msg *reply, size_t i, struct uuid *ret)
{
    const struct json *result = result_of(reply, i);
    const struct json *rows =
        result && json_is(result, JSON_OBJECT) ? json_get(result, "rows") : NULL;
    const struct json *id = rows && json_is(rows, JSON_ARRAY) && rows->n == 1
                                ? json_get(&rows->elems[0], "_uuid")
                                : NULL;
    return id && json_is(id, JSON_ARRAY) && id->n == 2 &&
           json_is(&id->elems[1], JSON_STRING) && uuid_parse(id->elems[1].string, ret);
}

static void
on_found(void *aux, struct jsonrpc_msg *reply, struct err *e)
{
    struct call *c = aux;
    bool answered = result_of(reply, 0) != NULL;

    if (read_secret(reply, 0, &c->secret) || read_secret(reply, 1, &c->secret)) {
        take_key(c);
    } else if (answered) {
        answer_unknown(c);
    } else {
        answer(c, 503, "the database does not answer; try again\n");
    }
    err_free(e);
    jsonrpc_msg_free(reply);
}

static void
on_timeout(void *aux)
{
    struct call *c = aux;
    session_io_forget(c->install->session, c->id);
    answer(c, 503, "the database does not answer; try again\n");
}

/* Whether one more may come. */
static bool
take_token(struct install *in)
{
    int64_t now_ms = loop_now_ms(in->loop);
    in->tokens += (double) (now_ms - in->tokens_ms) * INSTALL_PER_S / 1000;
    in->tokens = in->tokens > INSTALL_BURST ? INSTALL_BURST : in->tokens;
    in->tokens_ms = now_ms;
    if (in->tokens < 1) {
        return false;
    }
    in->tokens -= 1;
    return true;
}

void
install_ask(struct install *in, struct http_request *request, const char *key)
{
    static const char format[] =
        "[\"vmmgr\","
        "{\"op\":\"select\",\"table\":\"secret\",\"columns\":[\"_uuid\"],\"where\":"
        "[[\"usage\",\"==\",\"opkey\"],[\"value\",\"==\",\"sha256:%s\"]]},"
        "{\"op\":\"select\",\"table\":\"secret\",\"columns\":[\"_uuid\"],\"where\":"
        "[[\"usage\",\"==\",\"opkey\"],[\"value\",\"==\",\"%s\"]]}]";
    char sum[DIGEST_CHARS + 1];

    if (!digest_is_text(key)) { /* Of no form that is ever given out. */
        http_answer(request, 404, "text/plain", "no such key, or it was used\n");
        return;
    } else if (!take_token(in)) {
        http_answer(request, 429, "text/plain", "too many at once; try again\n");
        return;
    } else if (in->n_calls >= INSTALL_OPEN_MAX) {
        http_answer(request, 503, "text/plain", "too many at once; try again\n");
        return;
    }
    struct call *c = NEW(struct call);
    c->install = in;
    c->request = request;
    c->timer = loop_timer_new(in->loop, on_timeout, c);
    list_push_back(&in->calls, &c->node);
    in->n_calls++;
    loop_timer_set(c->timer, INSTALL_TIMEOUT_MS);
    digest_of(key, strlen(key), sum);
    CLEANUP(free_drop) char *params = str_dupf(format, sum, key);
    c->id = session_io_request_text(in->session, "transact", params, on_found, c);
}

void
install_forget(struct install *in, struct http_request *request)
{
    LIST_FOR_EACH (struct call, c, node, &in->calls) {
        if (c->request == request) {
            session_io_forget(in->session, c->id);
            call_free(c);
            return;
        }
    }
}

struct install *
install_new(struct loop *loop, struct session_io *session)
{
    struct install *in = NEW(struct install);
    in->loop = loop;
    in->session = session;
    in->tokens = INSTALL_BURST;
    in->tokens_ms = loop_now_ms(loop);
    list_init(&in->calls);
    return in;
}

void
install_free(struct install *in)
{
    if (in) {
        ASSERT(list_empty(&in->calls));
        free(in);
    }
}
