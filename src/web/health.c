/* web/health.c: one session, one echo a question, and a "ping" of the agent. */
#include "web/health.h"

#include "base/list.h"
#include "base/str.h"
#include "json/json.h"
#include "loop/loop.h"
#include "web/ask.h"
#include "web/http.h"
#include "wire/session_io.h"

struct health {
    struct loop *loop;
    struct session_io *session;
    char *agent;           /* Or NULL. */
    struct list questions; /* Of struct question's 'node'. */
    size_t n_questions;
};

struct question {
    struct list node; /* In struct health's 'questions'. */
    struct health *health;
    struct http_request *request;
    struct loop_timer *timer;
    int64_t id;                    /* Of the echo; meaningless once that came. */
    int64_t asked_ms, database_ms; /* The latter -1 until then. */
    struct ask *ask;
    const char *said; /* Of the agent; NULL: it is waited for. */
    bool libvirt;
};

static void
question_free(struct question *q)
{
    list_remove(&q->node);
    q->health->n_questions--;
    loop_timer_free(q->timer);
    ask_free(q->ask);
    free(q);
}

static void
answer_down(struct http_request *request, const char *why)
{
    CLEANUP(free_drop)
    char *body = str_dupf("{\"status\":\"down\",\"version\":\"%s\",\"database\":\"%s\"}\n",
                          BYRE_VERSION, why);
    http_answer(request, 503, "application/json", body);
}

/* Once both have answered, or there was time enough.  What this program serves comes from the database:
 * without it, it is down.  Without the agent it works, but this host does not follow. */
static void
answer_up(struct question *q)
{
    const char *said = q->said ? q->said : "no answer in time";
    bool well = !q->health->agent || (str_eq(said, "ok") && q->libvirt);
    CLEANUP(free_drop)
    char *body = str_dupf("{\"status\":\"%s\",\"version\":\"%s\",\"database\":\"ok\","
                          "\"database_ms\":%" PRId64 ",\"agent\":\"%s\"%s}\n",
                          well ? "ok" : "degraded", BYRE_VERSION, q->database_ms, said,
                          !str_eq(said, "ok") ? ""
                          : q->libvirt        ? ",\"libvirt\":\"ok\""
                                              : ",\"libvirt\":\"no answer\"");
    http_answer(q->request, 200, "application/json", body);
    question_free(q);
}

static void
on_agent(void *aux, const char *line)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct question *q = aux;
    struct json j;

    struct err *e = line ? json_parse_str(&arena, line, &j) : NULL;
    const struct json *result =
        line && !e && json_is(&j, JSON_OBJECT) ? json_get(&j, "result") : NULL;
    const struct json *libvirt =
        result && json_is(result, JSON_OBJECT) ? json_get(result, "libvirt") : NULL;
    q->said = libvirt ? "ok" : "no answer";
    q->libvirt = libvirt && libvirt->type == JSON_TRUE;
    err_free(e);
    if (q->database_ms >= 0) {
        answer_up(q);
    }
}

static void
on_echo(void *aux, struct jsonrpc_msg *reply, struct err *e)
{
    struct question *q = aux;

    jsonrpc_msg_free(reply);
    if (e) {
        answer_down(q->request, err_is(e, ERR_BUSY) ? "not connected" : "no answer");
        err_free(e);
        question_free(q);
        return;
    }
    q->database_ms = loop_now_ms(q->health->loop) - q->asked_ms;
    if (q->said) {
        answer_up(q);
    }
}

static void
on_timeout(void *aux)
{
    struct question *q = aux;

    if (q->database_ms >= 0) {
        answer_up(q);
        return;
    }
    session_io_forget(q->health->session, q->id);
    answer_down(q->request, "no answer in time");
    question_free(q);
}

void
health_ask(struct health *h, struct http_request *request)
{
    if (h->n_questions >= HEALTH_OPEN_MAX) {
        answer_down(request, "too many questions at once");
        return;
    }
    struct question *q = NEW(struct question);
    q->health = h;
    q->request = request;
    q->asked_ms = loop_now_ms(h->loop);
    q->timer = loop_timer_new(h->loop, on_timeout, q);
    list_push_back(&h->questions, &q->node);
    h->n_questions++;
    loop_timer_set(q->timer, HEALTH_TIMEOUT_MS);
    q->database_ms = -1;
    struct err *e = ask_new(h->loop, h->agent, "{\"method\":\"ping\"}\n", HEALTH_LINE_MAX,
                            on_agent, q, &q->ask);
    if (e) {
        q->said = h->agent ? "does not listen" : "not asked";
        err_free(e);
    }
    q->id = session_io_request_text(h->session, "echo", "[]", on_echo, q);
}

void
health_forget(struct health *h, struct http_request *request)
{
    LIST_FOR_EACH (struct question, q, node, &h->questions) {
        if (q->request == request) {
            if (q->database_ms < 0) {
                session_io_forget(h->session, q->id);
            }
            question_free(q);
            return;
        }
    }
}

static void
on_notification(void *aux UNUSED, struct jsonrpc_msg *msg)
{
    jsonrpc_msg_free(msg);
}

static void
on_connected(void *aux UNUSED)
{
}

static void
on_disconnected(void *aux UNUSED, const struct err *why UNUSED)
{
}

struct err *
health_new(struct loop *loop, const char *db_remote, const char *agent, struct health **ret)
{
    static const struct session_io_events events = { on_connected, on_disconnected,
                                                     on_notification };
    struct session_io_options options = { db_remote, -1, false };
    struct health *h = NEW(struct health);
    h->loop = loop;
    list_init(&h->questions);
    struct err *e = session_io_new(loop, &options, &events, h, &h->session);
    if (e) {
        free(h);
        return e;
    }
    h->agent = str_dup(agent);
    *ret = h;
    return NULL;
}

struct session_io *
health_session(struct health *h)
{
    return h->session;
}

void
health_free(struct health *h)
{
    if (h) {
        ASSERT(list_empty(&h->questions));
        session_io_free(h->session);
        free(h->agent);
        free(h);
    }
}
