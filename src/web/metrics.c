/* web/metrics.c: a replica, and one question to the agent a request. */
#include "web/metrics.h"

#include "base/list.h"
#include "base/str.h"
#include "loop/loop.h"
#include "replica/vmmgr_rows.h"
#include "web/ask.h"
#include "web/http.h"

struct metrics {
    struct loop *loop;
    struct replica *replica;
    char *agent;           /* Or NULL. */
    struct list questions; /* Of struct question's 'node'. */
    size_t n_questions;
};

struct question {
    struct list node; /* In struct metrics' 'questions'. */
    struct metrics *metrics;
    struct http_request *request;
    struct loop_timer *timer;
    struct ask *ask; /* NULL: the agent cannot be asked. */
};

static void
question_free(struct question *q)
{
    list_remove(&q->node);
    q->metrics->n_questions--;
    ask_free(q->ask);
    loop_timer_free(q->timer);
    free(q);
}

/* With what came of the agent's answer: all of it, or nothing. */
static void
answer(void *aux, const char *line)
{
    struct question *q = aux;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    const struct replica *r = q->metrics->replica;
    struct json j;
    const struct json *top = NULL;

    if (line) {
        struct err *e = json_parse_str(&arena, line, &j);
        top = !e && json_is(&j, JSON_OBJECT) ? json_get(&j, "result") : NULL;
        top = top && json_is(top, JSON_OBJECT) ? top : NULL;
        err_free(e);
    }
    metrics_print(r, replica_is_ready(r), top, &text);
    http_answer(q->request, 200, METRICS_TYPE, buf_cstr(&text));
    question_free(q);
}

static void
on_timeout(void *aux)
{
    answer(aux, NULL);
}

void
metrics_ask(struct metrics *m, struct http_request *request)
{
    if (m->n_questions >= METRICS_OPEN_MAX) {
        http_answer(request, 503, "text/plain", "too many at once; try again\n");
        return;
    }
    struct question *q = NEW(struct question);
    q->metrics = m;
    q->request = request;
    q->timer = loop_timer_new(m->loop, on_timeout, q);
    list_push_back(&m->questions, &q->node);
    m->n_questions++;
    loop_timer_set(q->timer, METRICS_TIMEOUT_MS);
    struct err *e = ask_new(m->loop, m->agent, "{\"method\":\"top\"}\n",
                            METRICS_TOP_MAX_BYTES, answer, q, &q->ask);
    if (e) { /* Said by byre_agent_up. */
        err_free(e);
        answer(q, NULL);
    }
}

void
metrics_forget(struct metrics *m, struct http_request *request)
{
    LIST_FOR_EACH (struct question, q, node, &m->questions) {
        if (q->request == request) {
            question_free(q);
            return;
        }
    }
}

/* Only what is shown: no secret comes here. */
static void
watch_all(struct replica *r)
{
    static const char *const host[] = { "name",     "state",       "cpus", "mem",
                                        "mem_free", "maintenance", NULL };
    static const char *const pool[] = { "name",       "hostnode",  "state", "capacity",
                                        "allocation", "available", NULL };
    static const char *const vm[] = { "name", "hostnode", "status", "error",
                                      "mem",  "vcpu",     NULL };
    static const char *const job[] = { "state", NULL };
    static const char *const alarm[] = { "kind", NULL };
    row_hostnode_watch(r, host);
    row_pool_watch(r, pool);
    row_vm_watch(r, vm);
    row_job_watch(r, job);
    row_alarm_watch(r, alarm);
}

struct err *
metrics_new(struct loop *loop, const char *db_remote, const char *agent,
            struct metrics **ret)
{
    struct replica_options options = { .remote = db_remote, .probe_ms = -1 };
    struct metrics *m = NEW(struct metrics);
    m->loop = loop;
    m->agent = str_dup(agent);
    list_init(&m->questions);
    struct err *e = replica_new(loop, &options, NULL, NULL, &m->replica);
    if (e) {
        metrics_free(m);
        return e;
    }
    watch_all(m->replica);
    *ret = m;
    return NULL;
}

void
metrics_free(struct metrics *m)
{
    if (m) {
        ASSERT(list_empty(&m->questions));
        replica_free(m->replica);
        free(m->agent);
        free(m);
    }
}
