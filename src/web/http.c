/* web/http.c: the only file that knows libwebsockets (4.1 of Debian 12).
 *
 * Writing is allowed only in the WRITEABLE callback, so an answer is kept on the request and
 * written from there.  The library frees connections through the loop, which is why http_free()
 * turns the loop a little. */
#define LOG_MODULE "http"
#include "web/http.h"

#include <libwebsockets.h>

#include "base/log.h"
#include "base/str.h"
#include "loop/loop.h"
#include "wire/remote.h"

#define HEADERS_MAX_BYTES 1024
#define TEARDOWN_TURNS 50 /* Of 10 ms at most. */

struct http {
    struct loop *loop;
    struct http_events events;
    struct lws_context *context;
};

/* The library's memory for one connection, zeroed at its start. */
struct http_request {
    struct http *http;
    struct lws *wsi;
    bool is_open; /* The handler owes an answer. */
    bool is_head; /* Nobody reads the body. */
    char *path;   /* Of a POST whose body is still coming. */
    size_t n_came;
    unsigned status;
    const char *type; /* A literal. */
    char *body;       /* NULL: no answer yet. */
};

static void
on_lws_log(int level, const char *line)
{
    int n = (int) strcspn(line, "\n");
    log_write(level == LLL_ERR ? LOG_ERR : LOG_WARN, LOG_MODULE, "%.*s", n, line);
}

void
http_answer(struct http_request *r, unsigned status, const char *type, const char *body)
{
    ASSERT(r->is_open && strlen(body) <= HTTP_BODY_MAX_BYTES);
    r->is_open = false;
    r->status = status;
    r->type = type;
    r->body = str_dup(body);
    lws_callback_on_writable(r->wsi);
}

static int
begin_post(struct http *http, struct http_request *r, struct lws *wsi, const char *path)
{
    char text[24] = "0";
    int64_t length = 0;
    lws_hdr_copy(wsi, text, sizeof text, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    bool known = str_to_i64(text, &length) && length >= 0;
    if (!known || length > HTTP_POST_MAX_BYTES ||
        lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0) {
        r->is_open = false;
        lws_return_http_status(wsi, HTTP_STATUS_REQ_ENTITY_TOO_LARGE, "too large");
        return -1;
    } else if (length == 0) {
        http->events.request(http->events.aux, r, true, path);
        return 0;
    }
    r->is_open = false; /* Until the body is here the handler owes nothing. */
    free(r->path);
    r->path = str_dup(path);
    r->n_came = 0;
    return 0;
}

/* Nonzero closes the connection. */
static int
begin_request(struct http *http, struct http_request *r, struct lws *wsi, const char *path)
{
    bool is_get = lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0;
    bool is_post = lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0;

    r->http = http;
    r->wsi = wsi;
    r->is_open = true;
    r->is_head = !is_get && lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
    if (!is_get && !r->is_head && !is_post) {
        r->is_open = false; /* A body may follow that nobody reads, so close after it. */
        lws_return_http_status(wsi, HTTP_STATUS_METHOD_NOT_ALLOWED,
                               "only GET, HEAD and POST");
        return -1;
    } else if (strlen(path) > HTTP_PATH_MAX) {
        http_answer(r, HTTP_STATUS_REQ_URI_TOO_LONG, "text/plain", "too long\n");
    } else if (is_post) {
        return begin_post(http, r, wsi, path);
    } else {
        http->events.request(http->events.aux, r, false, path);
    }
    return 0;
}

/* Its body is of no interest, but the connection goes on behind it. */
static int
take_body(struct http_request *r, size_t n)
{
    r->n_came += n;
    return r->n_came > HTTP_POST_MAX_BYTES ? -1 : 0;
}

static int
end_body(struct http *http, struct http_request *r)
{
    CLEANUP(free_drop) char *path = TAKE(r->path);
    if (path) {
        r->is_open = true;
        http->events.request(http->events.aux, r, true, path);
    }
    return 0;
}

static int
write_answer(struct http_request *r, struct lws *wsi)
{
    if (!r->body) {
        return 0;
    }
    size_t n_body = strlen(r->body);
    CLEANUP(free_drop) unsigned char *out = xmalloc(LWS_PRE + HEADERS_MAX_BYTES + n_body);
    unsigned char *start = out + LWS_PRE, *at = start, *end = start + HEADERS_MAX_BYTES;

    if (lws_add_http_common_headers(wsi, r->status, r->type, n_body, &at, end) ||
        lws_add_http_header_by_name(wsi, (const unsigned char *) "cache-control:",
                                    (const unsigned char *) "no-store", 8, &at, end) ||
        lws_finalize_write_http_header(wsi, start, &at, end)) {
        return 1;
    }
    memcpy(start, r->body, n_body);
    free(r->body);
    r->body = NULL;
    if (!r->is_head && n_body > 0 &&
        lws_write(wsi, start, n_body, LWS_WRITE_HTTP_FINAL) != (int) n_body) {
        return 1;
    }
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

static void
end_request(struct http *http, struct http_request *r)
{
    if (r->is_open) {
        r->is_open = false;
        http->events.gone(http->events.aux, r);
    }
    free(r->body);
    r->body = NULL;
    free(TAKE(r->path));
}

static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
    struct http *http = lws_context_user(lws_get_context(wsi));
    struct http_request *r = user;

    switch (reason) {
    case LWS_CALLBACK_HTTP: return begin_request(http, r, wsi, in);
    case LWS_CALLBACK_HTTP_BODY: return r ? take_body(r, n) : -1;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION: return r ? end_body(http, r) : -1;
    case LWS_CALLBACK_HTTP_WRITEABLE: return r ? write_answer(r, wsi) : 0;
    case LWS_CALLBACK_CLOSED_HTTP:
        if (r) {
            end_request(http, r);
        }
        return 0;
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL: return 0;
    default: return lws_callback_http_dummy(wsi, reason, user, in, n);
    }
}

static const struct lws_protocols protocols[] = {
    { "http", on_event, sizeof(struct http_request), 0, 0, NULL, 0 },
    { NULL, NULL, 0, 0, 0, NULL, 0 },
};

static MUST_CHECK struct err *
listen_on(struct http *http, const char *address)
{
    CLEANUP(remote_done) struct remote where = { 0 };
    TRY(remote_parse(address, &where));
    if (where.passive) {
        return err_new(ERR_SYNTAX, "'%s' is neither unix:PATH nor tcp:IPV4:PORT", address);
    }
    struct lws_context_creation_info info = { 0 };
    info.protocols = protocols;
    info.vhost_name = "byre";
    info.options = LWS_SERVER_OPTION_DISABLE_IPV6;
    if (where.kind == REMOTE_UNIX) {
        info.options |= LWS_SERVER_OPTION_UNIX_SOCK;
        info.iface = where.path;
    } else {
        info.iface = where.host;
        info.port = where.port;
    }
    if (!lws_create_vhost(http->context, &info)) {
        struct err *e = err_new(ERR_IO, "cannot listen on %s", address);
        return err_hint(e, "is the address in use, or not one of this host's?");
    }
    return NULL;
}

struct err *
http_new(struct loop *loop, const char *listen, const struct http_events *events,
         struct http **ret)
{
    struct http *http = NEW(struct http);
    http->loop = loop;
    http->events = *events;
    lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);

    void *loops[] = { loop_uv(loop) };
    struct lws_context_creation_info info = { 0 };
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DISABLE_IPV6;
    info.foreign_loops = loops;
    info.user = http;
    info.pcontext = &http->context; /* Becomes NULL when it is really gone. */
    http->context = lws_create_context(&info);
    struct err *e = NULL;
    if (!http->context) {
        e = err_new(ERR_UNSUPPORTED, "libwebsockets does not start on libuv");
        e = err_hint(e, "install the package libwebsockets-evlib-uv");
    } else {
        e = listen_on(http, listen);
    }
    if (e) {
        http_free(http);
        return e;
    }
    *ret = http;
    return NULL;
}

void
http_free(struct http *http)
{
    if (!http) {
        return;
    }
    if (http->context) {
        lws_context_destroy(http->context);
        for (int i = 0; i < TEARDOWN_TURNS && http->context; i++) {
            loop_turn(http->loop, 10);
        }
        if (http->context) {
            lws_context_destroy(http->context);
        }
    }
    free(http);
}
