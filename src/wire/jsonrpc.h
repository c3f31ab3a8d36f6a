/* wire/jsonrpc.h: JSON-RPC 1.0 messages over a stream, as RFC 7047 section 4 and ovsdb-server
 * have it.
 *
 * Input.   Each message is parsed into an arena of its own and checked (members, kinds); a
 *          message that breaks the rules ends the connection with ERR_SYNTAX.
 * Output.  Bytes that are already JSON.  The blocks of one message must be sent one after the other,
 *          without a turn of the loop between them.
 * Limits.  A message of more than 'max_message_bytes' ends the connection (ERR_CONSTRAINT), and
 *          so does a backlog above 'max_backlog_bytes' (ERR_BUSY), unless the 'overflow'
 *          callback deals with it.
 * Source.  RFC 7047 section 4; spec: ovsdb-server(7) "Protocol". */
#ifndef WIRE_JSONRPC_H
#define WIRE_JSONRPC_H 1

#include "base/arena.h"
#include "base/base.h"
#include "json/json.h"
#include "wire/stream.h"

#define JSONRPC_MAX_MESSAGE_BYTES (256 * MIB)

enum jsonrpc_kind { JSONRPC_REQUEST, JSONRPC_NOTIFICATION, JSONRPC_REPLY, JSONRPC_ERROR };

struct jsonrpc_msg {
    enum jsonrpc_kind kind;
    const char *method; /* Requests and notifications; else NULL. */
    struct json params; /* The same; an array. */
    struct json id;     /* All but notifications. */
    struct json result; /* Replies. */
    struct json error;  /* Errors. */
    size_t n_bytes;     /* Of its text. */
    struct arena arena; /* Holds all of the above; good for working on the message too. */
};

void jsonrpc_msg_free(struct jsonrpc_msg *);  /* NULL is fine. */
void jsonrpc_msg_drop(struct jsonrpc_msg **); /* For CLEANUP(). */
/* Parses and checks one message.  Used by connections; here for tests and replays. */
struct err *jsonrpc_msg_parse(const char *text, size_t n_bytes,
                              struct jsonrpc_msg **ret) MUST_CHECK;

struct jsonrpc; /* A connection. */
struct jsonrpc_events {
    void (*message)(void *aux, struct jsonrpc_msg *); /* Takes it. */
    void (*batch_end)(void *aux); /* All that came together have been told.  May be NULL. */
    /* The connection is dead: the peer closed (e NULL), broke the rules, was silent, or the
     * network failed.  Takes 'e'.  Call jsonrpc_free(), now or later. */
    void (*closed)(void *aux, struct err *e);
    void (*progress)(void *aux); /* Backlog shrank; look at it.  May be NULL. */
    void (*activity)(void *aux); /* Bytes came in.  May be NULL. */
    /* The backlog has passed max_backlog_bytes.  True: go on (asked again at each send).  False
     * or NULL: the connection is closed. */
    bool (*overflow)(void *aux, size_t backlog_bytes);
};

/* Takes the stream, which must be connected. */
struct jsonrpc *jsonrpc_new(struct stream *, const struct jsonrpc_events *, void *aux);
void jsonrpc_free(struct jsonrpc *); /* Also from within its callbacks.  NULL is fine. */
void jsonrpc_set_limits(struct jsonrpc *, size_t max_message_bytes,
                        size_t max_backlog_bytes); /* 0: the default; backlog: none. */
/* What the halves of messages of several connections may take together.  A connection that holds more
 * than JSONRPC_SMALL_BYTES ends with ERR_BUSY when it wants to grow while there is no room. */
#define JSONRPC_SMALL_BYTES ((size_t) (256 * KIB))
struct jsonrpc_room {
    size_t n_bytes, max_bytes;
};
/* The room must outlive the connection; once, before anything was received. */
void jsonrpc_set_room(struct jsonrpc *, struct jsonrpc_room *);
/* For how long the peer has been sending a message that is not complete; 0: there is none. */
int64_t jsonrpc_unfinished_ms(const struct jsonrpc *);
/* After 'interval_ms' without a byte from the peer sends an echo, and after as much again ends
 * the connection with ERR_TIMEOUT.  0: never (the default). */
void jsonrpc_set_probe(struct jsonrpc *, int64_t interval_ms);

/* While paused no 'message' comes, not even those that are already here. */
void jsonrpc_pause(struct jsonrpc *, bool paused);
void jsonrpc_cork(struct jsonrpc *, bool corked);
size_t jsonrpc_backlog_bytes(const struct jsonrpc *);
bool jsonrpc_is_full(const struct jsonrpc *);          /* stream_is_full() */
struct stream *jsonrpc_stream(const struct jsonrpc *); /* Borrowed: name, peer. */

void jsonrpc_send(struct jsonrpc *, struct bytes *);   /* Takes one reference. */
void jsonrpc_send_buf(struct jsonrpc *, struct buf *); /* Takes the content. */

/* Shapes (1.4 of the protocol): appended to 'out'; params, result and error may also be appended
 * by the caller between *_begin and *_end. */
void jsonrpc_print_request(struct buf *out, const struct json *id, const char *method,
                           const struct json *params);
void jsonrpc_print_notification(struct buf *out, const char *method,
                                const struct json *params);
void jsonrpc_print_reply(struct buf *out, const struct json *id, const struct json *result);
void jsonrpc_print_error(struct buf *out, const struct json *id, const struct json *error);
/* {"id":ID,"result":   and then  ,"error":null} */
void jsonrpc_begin_reply(struct buf *out, const struct json *id);
void jsonrpc_end_reply(struct buf *out);

/* Answers an "echo" request, and swallows the reply to our own probe.  True if it was one; then
 * the message is freed. */
bool jsonrpc_handle_echo(struct jsonrpc *, struct jsonrpc_msg *);

#endif /* wire/jsonrpc.h */
