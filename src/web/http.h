/* web/http.h: an HTTP/1.1 server on our loop; a request's body is counted and dropped.
 *
 * Shape.   One handler sees every GET, HEAD and POST; other methods are answered 405 before.  It may
 *          answer at once or later, once a request.  A client that leaves in between is told by
 *          'gone', after which the request must not be touched.
 * Limits.  HTTP_PATH_MAX bytes of path (414 beyond); a request's body is at most
 *          HTTP_POST_MAX_BYTES (413), an answer HTTP_BODY_MAX_BYTES.
 * Threads. One: the loop's. */
#ifndef WEB_HTTP_H
#define WEB_HTTP_H 1

#include "base/base.h"

#define HTTP_PATH_MAX 1024
#define HTTP_POST_MAX_BYTES (64 * KIB)
#define HTTP_BODY_MAX_BYTES (64 * MIB)

struct loop;
struct http;
struct http_request; /* Lives until answered or gone. */

struct http_events {
    void (*request)(void *aux, struct http_request *, bool is_post, const char *path);
    void (*gone)(void *aux, struct http_request *); /* Not for one that was answered. */
    void *aux;
};

/* Listens on "unix:PATH" or "tcp:IPV4:PORT".  ERR_SYNTAX bad address, ERR_IO cannot listen. */
struct err *http_new(struct loop *, const char *listen, const struct http_events *,
                     struct http **ret) MUST_CHECK;
void http_free(struct http *); /* Closes all; NULL is fine. */

/* 'status' is 200, 404, 503 ...; 'type' a literal, "application/json".  Copies 'body'. */
void http_answer(struct http_request *, unsigned status, const char *type,
                 const char *body);

#endif /* web/http.h */
