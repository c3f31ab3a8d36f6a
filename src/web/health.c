/* web/health.c: one session, one echo a question. */
#include "web/health.h"

#include "base/list.h"
#include "base/str.h"
#include "loop/loop.h"
#include "web/http.h"
#include "wire/session_io.h"

struct health {
    struct loop *loop;
    struct session_io *session;
    struct list questions; /* Of struct question's 'node'. */
    size_t n_questions;
};

struct question {
    struct list node; /* In struct health's 'questions'. */
    struct health *health;
    struct http_request *request;
    struct loop_timer *timer;
    int64_t id; /* Of the echo. */
    int64_t asked_ms;
};

static void
question_free(struct question *q)
{
    list_remove(&q->node);
    q->health->n_questions--;
    loop_timer_free(q->timer);
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

static void
on_echo(void *aux, struct jsonrpc_msg *reply, struct err *e)
{
    struct question *q = aux;

    if (e) {
        answer_down(q->request, err_is(e, ERR_BUSY) ? "not connected" : "no answer");
        err_free(e);
    } else {
        int64_t took_ms = loop_now_ms(q->health->loop) - q->asked_ms;
        CLEANUP(free_drop)
        char *body = str_dupf("{\"status\":\"ok\",\"version\":\"%s\",\"database\":\"ok\","
                              "\"database_ms\":%" PRId64 "}\n",
                              BYRE_VERSION, took_ms);
        http_answer(q->request, 200, "application/json", body);
    }
    jsonrpc_msg_free(reply);
    question_free(q);
}

static void
on_timeout(void *aux)
{
    struct question *q = aux;
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
    q->id = session_io_request_text(h->session, "echo", "[]", on_echo, q);
}

void
health_forget(struct health *h, struct http_request *request)
{
    LIST_FOR_EACH (struct question, q, node, &h->questions) {
        if (q->request == request) {
            session_io_forget(h->session, q->id);
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
health_new(struct loop *loop, const char *db_remote, struct health **ret)
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
        free(h);
    }
}
