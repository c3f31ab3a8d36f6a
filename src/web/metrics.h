/* web/metrics.h: answers GET /metrics: what Prometheus wants to know.
 *
 * Rows come from a replica of the tables that it shows (no secrets among them); what machines use
 * now comes from this host's agent, which measures them every 10 s anyway: nobody asks libvirt.  An
 * agent that does not answer within METRICS_TIMEOUT_MS costs its part only: byre_agent_up is 0.
 * Source. Prometheus, "Text-based format" 0.0.4, "Metric and label naming". */
#ifndef WEB_METRICS_H
#define WEB_METRICS_H 1

#include "base/base.h"
#include "base/buf.h"
#include "json/json.h"

#define METRICS_TIMEOUT_MS 2000
#define METRICS_OPEN_MAX 16 /* Requests at once; more are answered 503. */
#define METRICS_TOP_MAX_BYTES (32 * MIB)
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct loop;
struct metrics;
struct replica;
struct http_request;

/* 'agent' is the path of agent.sock; NULL: no live figures. */
struct err *metrics_new(struct loop *, const char *db_remote, const char *agent,
                        struct metrics **ret) MUST_CHECK;
void metrics_free(struct metrics *); /* Nothing may be open; NULL is fine. */
void metrics_ask(struct metrics *, struct http_request *);
void metrics_forget(struct metrics *, struct http_request *); /* It is gone. */

/* metrics_text.c: the text.  Pure.  'top' is the agent's answer to "top", or NULL. */
void metrics_print(const struct replica *, bool database_up, const struct json *top,
                   struct buf *);

#endif /* web/metrics.h */
