/* web/metrics.c: a replica, and one question to the agent a request. */
#include "web/metrics.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/list.h"
#include "base/str.h"
#include "loop/loop.h"
#include "replica/vmmgr_rows.h"
#include "web/http.h"

#define READ_BYTES (256 * KIB)

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
    struct loop_fd *watch; /* NULL: the agent cannot be asked. */
    int fd;
    struct buf line;
};

static void
question_free(struct question *q)
{
    list_remove(&q->node);
    q->metrics->n_questions--;
    loop_fd_free(q->watch);
    loop_timer_free(q->timer);
    fd_done(&q->fd);
    buf_done(&q->line);
    free(q);
}

/* With what came of the agent's answer: all of it, or nothing. */
static void
answer(struct question *q)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    const struct replica *r = q->metrics->replica;
    const char *end = q->line.n ? memchr(q->line.data, '\n', q->line.n) : NULL;
    struct json j;
    const struct json *top = NULL;

    if (end) {
        struct err *e = json_parse(&arena, q->line.data, (size_t) (end - q->line.data), &j);
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
    answer(aux);
}

static void
on_agent(void *aux, int ready UNUSED)
{
    struct question *q = aux;
    ssize_t n = recv(q->fd, buf_reserve(&q->line, READ_BYTES), READ_BYTES, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    q->line.n += n > 0 ? (size_t) n : 0;
    bool whole = n > 0 && memchr(q->line.data + q->line.n - n, '\n', (size_t) n);
    if (n <= 0 || whole || q->line.n > METRICS_TOP_MAX_BYTES) {
        answer(q);
    }
}

/* Its socket listens or it does not: connecting to a unix socket never waits for a peer. */
static MUST_CHECK struct err *
ask_agent(struct question *q)
{
    static const char request[] = "{\"method\":\"top\"}\n";
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *path = q->metrics->agent;

    if (!path || strlen(path) >= sizeof address.sun_path) {
        return err_new(ERR_NOT_FOUND, "no agent");
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (q->fd < 0 || connect(q->fd, (struct sockaddr *) &address, sizeof address) < 0 ||
        send(q->fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t) strlen(request)) {
        return err_io(errno, "connect to %s", path);
    }
    TRY(loop_fd_new(q->metrics->loop, q->fd, on_agent, q, &q->watch));
    loop_fd_set(q->watch, LOOP_READ);
    return NULL;
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
    q->fd = -1;
    q->timer = loop_timer_new(m->loop, on_timeout, q);
    list_push_back(&m->questions, &q->node);
    m->n_questions++;
    loop_timer_set(q->timer, METRICS_TIMEOUT_MS);
    struct err *e = ask_agent(q);
    if (e) { /* Said by byre_agent_up. */
        err_free(e);
        answer(q);
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
