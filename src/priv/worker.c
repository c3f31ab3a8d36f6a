/* priv/worker.c: one request, in a process of its own: read, decode, plan, run, answer.
 *
 * What ends it early: the client hangs up, the server dies (SIGTERM by PR_SET_PDEATHSIG) or
 * stops, or the time is up.  All set one flag or are seen by the engine, which then undoes.  As
 * a last resort SIGALRM kills the process: what it leaves is a temporary that the next refresh
 * removes. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define LOG_MODULE "priv"

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/engine.h"
#include "priv/line_i.h"
#include "priv/verb.h"
#include "priv/watch_i.h"
#include "priv/worker_i.h"
#include "store/code.h"

#define REQUEST_MS 10000 /* To send the request in. */
#define SEND_MS 10000    /* For the client to take an answer. */
#define GRACE_S 30       /* From the deadline to SIGALRM, for undoing. */
#define SIGTERM_GRACE_S 10

static volatile int canceled;

static void
on_sigterm(int signo UNUSED)
{
    canceled = 1;
    alarm(SIGTERM_GRACE_S);
}

/* How long each verb may take if the request does not say. */
static int64_t
default_timeout_ms(enum priv_verb verb)
{
    switch (verb) {
    case PRIV_POOL_GROW_TOP:
    case PRIV_VOL_CREATE:
    case PRIV_VOL_CLONE:
    case PRIV_VOL_UPLOAD:
    case PRIV_VOL_FETCH:
    case PRIV_VOL_DOWNLOAD:
    case PRIV_VOL_WIPE:
    case PRIV_VOL_RESIZE: return INT64_C(24) * 3600 * 1000;
    default: return 120 * 1000;
    }
}

/* How long one file operation may take before the storage counts as dead. */
static int64_t
stall_ms(enum priv_verb verb)
{
    switch (verb) {
    case PRIV_POOL_CHECK:
    case PRIV_POOL_START:
    case PRIV_POOL_STOP:
    case PRIV_POOL_REFRESH:
    case PRIV_POOL_WATCH:
    case PRIV_VOL_STAT:
    case PRIV_VOL_DELETE: return 20 * 1000;
    default: return 600 * 1000; /* Syncs what was written. */
    }
}

/* Another process would hang like those. */
static struct err *
check_hung(const struct watch *watch, const char *pool)
{
    size_t n = watch_n_hung(watch, pool);
    if (n < WATCH_MAX_HUNG) {
        return NULL;
    }
    return err_hint(err_new(ERR_TIMEOUT,
                            "%zu processes that worked on pool '%s' hang in the kernel", n,
                            pool),
                    "when the storage answers again they end by themselves; if it never "
                    "will, reboot the host");
}

struct err *
worker_plan(const struct priv_request *r, struct plan *plan)
{
    const struct pool *pool = r->pool;
    switch (r->verb) {
    case PRIV_POOL_CHECK: return gate_pool_check(pool, plan);
    case PRIV_POOL_BUILD:
        TRY(gate_pool_distinct(pool, r->others, r->n_others, plan));
        return gate_pool_build(pool, r->build_flags, plan);
    case PRIV_POOL_START:
        TRY(gate_pool_distinct(pool, r->others, r->n_others, plan));
        return gate_pool_start(pool, plan);
    case PRIV_POOL_STOP: return gate_pool_stop(pool, plan);
    case PRIV_POOL_REFRESH: return gate_pool_refresh(pool, plan);
    case PRIV_POOL_WATCH: return gate_pool_watch(pool, plan);
    case PRIV_POOL_DELETE: return gate_pool_delete(pool, plan);
    case PRIV_POOL_GROW_LOOK: return gate_pool_grow_look(pool, plan);
    case PRIV_POOL_GROW_HOST: return gate_pool_grow_host(pool, plan);
    case PRIV_POOL_GROW_TOP: return gate_pool_grow_top(pool, plan);
    case PRIV_FIND_SOURCES: return gate_find_sources(pool, plan);
    case PRIV_VOL_CREATE: return gate_vol_create(pool, r->vol, r->vol_flags, plan);
    case PRIV_VOL_CLONE:
        return gate_vol_clone(pool, r->vol, r->source_pool, r->source, r->vol_flags, plan);
    case PRIV_VOL_FETCH: return gate_vol_fetch(pool, r->vol, r->url, r->sha256, plan);
    case PRIV_VOL_STAT: return gate_vol_stat(pool, r->vol, plan);
    case PRIV_VOL_DELETE: return gate_vol_delete(pool, r->vol, plan);
    case PRIV_VOL_RESIZE:
        return gate_vol_resize(pool, r->vol, r->capacity, r->vol_flags, plan);
    case PRIV_VOL_UPLOAD: return gate_vol_upload(pool, r->vol, r->offset, r->length, plan);
    case PRIV_VOL_DOWNLOAD:
        return gate_vol_download(pool, r->vol, r->offset, r->length, plan);
    case PRIV_VOL_WIPE: return gate_vol_wipe(pool, r->vol, r->algorithm, plan);
    case N_PRIV_VERBS: break;
    }
    return err_new(ERR_BUG, "verb %d", (int) r->verb);
}

static struct err *
send_json(int fd, const struct json *j)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    json_print(j, 0, &line);
    buf_str(&line, "\n");
    return line_write(fd, line.data, line.n, -1);
}

static void
send_progress(void *aux, const struct engine_progress *p)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j = json_object();
    json_put(&arena, &j, "progress", json_real(p->fraction));
    json_put(&arena, &j, "message", json_string(&arena, p->message));
    if (p->total > 0) {
        json_put(&arena, &j, "done", json_int(p->done));
        json_put(&arena, &j, "total", json_int(p->total));
    }
    err_free(send_json(*(const int *) aux, &j)); /* A vanished client is seen elsewhere. */
}

/* Where the scans of this pool are written down: by UUID, so that no name makes a path. */
static const char *
scan_cache(struct arena *arena, const struct priv_serve_config *config,
           const struct pool *pool)
{
    return config->scan_dir && !uuid_is_zero(&pool->uuid)
               ? arena_printf(arena, "%s/%s", config->scan_dir, UUID_TEXT(&pool->uuid))
               : NULL;
}

/* Decodes and runs it.  What came of it goes to 'ret' and 'ret_verb' (for the log). */
static struct err *
serve_request(const struct priv_serve_config *config, struct arena *arena, int fd,
              struct line_reader *reader, const struct watch *watch,
              struct watch_page *page, struct buf *ret_what, struct priv_reply *ret)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    TRY(line_read(reader, clock_mono_ms() + REQUEST_MS, &canceled, &line));
    struct json j;
    TRY(json_parse(arena, line.data, line.n, &j));
    struct priv_request request;
    TRY(priv_request_decode(arena, &j, &request));
    buf_printf(ret_what, "%s pool '%s'", priv_verb_name(request.verb), request.pool->name);
    if (request.vol) {
        buf_printf(ret_what, " volume '%s'", request.vol->name);
    }

    snprintf(page->pool, sizeof page->pool, "%s", request.pool->name);
    TRY(check_hung(watch, request.pool->name));

    int64_t timeout_ms =
        request.timeout_ms ? request.timeout_ms : default_timeout_ms(request.verb);
    alarm((unsigned) (timeout_ms / 1000 + GRACE_S));
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    TRY(worker_plan(&request, &plan));

    struct engine_env env = {
        .deadline_ms = clock_mono_ms() + timeout_ms,
        .cancel_fd = fd, /* The client says nothing more: readable means that it is gone. */
        .cancel_flag = &canceled,
        .data_fd = reader->passed_fd,
        .progress = send_progress,
        .aux = &fd,
        .watch = &page->engine,
        .stall_ms = stall_ms(request.verb),
        .scan_cache = scan_cache(arena, config, request.pool),
        .scan_since = request.since,
    };
    struct engine_result result;
    engine_result_init(&result);
    struct err *e = engine_run(&plan, &env, &result);
    page->engine.due_ms = 0; /* The answer may take a while. */
    *ret = (struct priv_reply){ result.active,  result.has_stat, result.stat, result.vols,
                                result.sources, result.n_bytes,  result.note };
    result.vols = VOL_LIST_INIT; /* Moved. */
    result.sources = SOURCE_LIST_INIT;
    engine_result_done(&result);
    return e;
}

static void
send_answer(int fd, struct arena *arena, const struct err *e,
            const struct priv_reply *reply)
{
    struct json j = e ? priv_error_encode(arena, e) : priv_reply_encode(arena, reply);
    err_free(send_json(fd, &j));
}

static void
set_up(int fd, pid_t parent)
{
    struct sigaction term = { .sa_handler = on_sigterm };
    sigaction(SIGTERM, &term, NULL); /* No SA_RESTART: waits are to end. */
    sigaction(SIGINT, &term, NULL);
    signal(SIGALRM, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        canceled = 1; /* It died before we could ask to be told. */
    }
    struct timeval send_limit = { SEND_MS / 1000, 0 };
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send_limit, sizeof send_limit);
    alarm(REQUEST_MS / 1000 + GRACE_S);
    umask(022);
}

void
worker_run(const struct priv_serve_config *config, int fd, pid_t parent, uid_t uid,
           const struct watch *watch, struct watch_page *page)
{
    set_up(fd, parent);
    int64_t start_ms = clock_mono_ms();
    struct arena arena = ARENA_INIT;
    struct line_reader reader;
    line_reader_init(&reader, fd, PRIV_MAX_REQUEST_BYTES);
    struct buf what = BUF_INIT;
    struct priv_reply reply;
    priv_reply_init(&reply);

    struct err *e = serve_request(config, &arena, fd, &reader, watch, page, &what, &reply);
    send_answer(fd, &arena, e, &reply);
    const char *verb = what.n ? buf_cstr(&what) : "bad request";
    if (err_code(e) == VE_NO_VOL) { /* Somebody looked, and it is not there. */
        log_info("%s for uid %u: there is none", verb, (unsigned) uid);
    } else if (e) {
        log_warn("%s for uid %u: %s", verb, (unsigned) uid, err_text(e));
    } else {
        log_info("%s for uid %u: done in %" PRId64 " ms", verb, (unsigned) uid,
                 clock_mono_ms() - start_ms);
    }
    priv_reply_done(&reply);
    buf_done(&what);
    line_reader_done(&reader);
    err_free(e);
    arena_done(&arena);
    close(fd);
    _exit(0);
}

void
worker_refuse(int fd, struct err *e)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    struct json j = priv_error_encode(&arena, e);
    json_print(&j, 0, &line);
    buf_str(&line, "\n");
    if (send(fd, line.data, line.n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        log_dbg("a refusal could not be sent");
    }
    err_free(e);
}
