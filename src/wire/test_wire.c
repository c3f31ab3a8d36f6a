/* wire/test_wire.c: real sockets: a small server and clients in one loop. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "base/vec.h"
#include "loop/loop.h"
#include "test.h"
#include "wire/jsonrpc.h"
#include "wire/session_io.h"
#include "wire/tls.h"

/* A server that answers: "sum" adds, "hang" never answers, "drop" hangs up, "flood" sends N
 * notifications of 1000 bytes, "big" returns N bytes. */
struct server {
    struct loop *loop;
    struct tls *tls; /* Borrowed; NULL without. */
    struct listener *listener;
    VEC(struct peer *) peers;
    int n_closed, n_overflows;
    size_t held_back; /* Not 0: something waited to be sent when a message came. */
    char why[200];    /* Of the last close. */
    bool is_patient;
};

struct peer {
    struct server *server;
    struct jsonrpc *conn;
};

static void
peer_free(struct peer *p)
{
    struct server *s = p->server;
    for (size_t i = 0; i < s->peers.n; i++) {
        if (s->peers.v[i] == p) {
            VEC_REMOVE_AT(&s->peers, i);
            break;
        }
    }
    jsonrpc_free(p->conn);
    free(p);
}

static void
flood(struct peer *p, int64_t n)
{
    struct buf head = BUF_INIT, body = BUF_INIT;
    buf_str(&head, "{\"id\":null,\"method\":\"flood\",\"params\":[\"");
    memset(buf_reserve(&body, 1000), 'x', 1000);
    body.n = 1000;
    struct bytes *shared = bytes_take(&body);
    struct bytes *begin = bytes_take(&head), *end = bytes_new("\"]}", 3);
    for (int64_t i = 0; i < n; i++) {
        jsonrpc_send(p->conn, bytes_ref(begin));
        jsonrpc_send(p->conn, bytes_ref(shared));
        jsonrpc_send(p->conn, bytes_ref(end));
    }
    CHECK("the block is shared or sent", shared->n_refs >= 1);
    bytes_unref(begin);
    bytes_unref(shared);
    bytes_unref(end);
}

static void
peer_message(void *p_, struct jsonrpc_msg *msg)
{
    struct peer *p = p_;
    size_t backlog = jsonrpc_backlog_bytes(p->conn);
    if (jsonrpc_handle_echo(p->conn, msg)) {
        return;
    }
    p->server->held_back |= backlog;
    CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *m = msg;
    struct buf reply = BUF_INIT;
    int64_t n = m->params.n ? m->params.elems[0].integer : 0;
    if (str_eq(m->method, "sum")) {
        int64_t sum = 0;
        JSON_FOR_EACH (elem, &m->params) {
            sum += elem->integer;
        }
        struct json result = json_int(sum);
        jsonrpc_print_reply(&reply, &m->id, &result);
    } else if (str_eq(m->method, "big")) {
        jsonrpc_begin_reply(&reply, &m->id);
        buf_char(&reply, '"');
        memset(buf_reserve(&reply, (size_t) n), 'b', (size_t) n);
        reply.n += (size_t) n;
        buf_char(&reply, '"');
        jsonrpc_end_reply(&reply);
    } else if (str_eq(m->method, "flood")) {
        flood(p, n);
        return;
    } else if (str_eq(m->method, "drop")) {
        peer_free(p);
        return;
    } else if (str_eq(m->method, "hang")) {
        return;
    } else {
        struct json error = json_string_ref("unknown method");
        jsonrpc_print_error(&reply, &m->id, &error);
    }
    jsonrpc_cork(p->conn, true); /* As for an answer of several pieces. */
    jsonrpc_send_buf(p->conn, &reply);
    jsonrpc_cork(p->conn, false);
}

static void
peer_closed(void *p_, struct err *e)
{
    struct peer *p = p_;
    p->server->n_closed++;
    snprintf(p->server->why, sizeof p->server->why, "%s", e ? err_text(e) : "end of file");
    err_free(e);
    peer_free(p);
}

static bool
peer_overflow(void *p_, size_t backlog_bytes UNUSED)
{
    struct peer *p = p_;
    p->server->n_overflows++;
    return p->server->is_patient;
}

static const struct jsonrpc_events peer_events = {
    .message = peer_message,
    .closed = peer_closed,
    .overflow = peer_overflow,
};

static void
server_accepted(void *s_, struct stream *stream)
{
    struct server *s = s_;
    struct peer *p = NEW(struct peer);
    p->server = s;
    p->conn = jsonrpc_new(stream, &peer_events, p);
    *VEC_ADD(&s->peers) = p;
}

static void
server_start(struct server *s, const char *remote_text)
{
    struct remote remote;
    CHECK_OK("remote", remote_parse(remote_text, &remote));
    remote.tls = s->tls;
    CHECK_OK("listen",
             listener_new(s->loop, &remote, 0600, server_accepted, s, &s->listener));
    remote_done(&remote);
}

static void
server_stop(struct server *s)
{
    while (s->peers.n > 0) {
        peer_free(s->peers.v[0]);
    }
    VEC_DONE(&s->peers);
    listener_free(TAKE(s->listener));
}

struct client {
    struct session_io *io;
    int n_connected, n_disconnected, n_notified, n_replies;
    struct buf seen;
};

static void
client_connected(void *c_)
{
    struct client *c = c_;
    c->n_connected++;
}

static void
client_disconnected(void *c_, const struct err *why)
{
    struct client *c = c_;
    CHECK("says why", *err_text(why));
    c->n_disconnected++;
}

static void
client_notified(void *c_, struct jsonrpc_msg *msg)
{
    struct client *c = c_;
    c->n_notified++;
    jsonrpc_msg_free(msg);
}

static const struct session_io_events client_events = { client_connected,
                                                        client_disconnected,
                                                        client_notified };

static void
client_reply(void *c_, struct jsonrpc_msg *reply, struct err *e)
{
    struct client *c = c_;
    c->n_replies++;
    if (e) {
        buf_printf(&c->seen, "%s ", err_kind_name(err_kind(e)));
        err_free(e);
    } else if (reply->kind == JSONRPC_ERROR) {
        buf_printf(&c->seen, "error:%s ", reply->error.string);
    } else if (reply->result.type == JSON_INTEGER) {
        buf_printf(&c->seen, "%d ", (int) reply->result.integer);
    } else {
        buf_printf(&c->seen, "%u bytes ", reply->result.n);
    }
    jsonrpc_msg_free(reply);
}

static void
request(struct client *c, const char *method, const char *params)
{
    session_io_request_text(c->io, method, params, client_reply, c);
}

#define TURN_UNTIL(why, loop, cond)                                                        \
    do {                                                                                   \
        int64_t until_ms_ = clock_mono_ms() + 10000;                                       \
        while (!(cond)) {                                                                  \
            CHECK(why, clock_mono_ms() < until_ms_);                                       \
            loop_turn(loop, 20);                                                           \
        }                                                                                  \
    } while (0)

enum transport { OVER_UNIX, OVER_TCP, OVER_TLS, N_TRANSPORTS };

/* A certificate that is its own CA, and its key, in the test's directory. */
static struct tls *
tls_of_test(const char *dir)
{
    CLEANUP(free_drop) char *key_path = path_join(dir, "key.pem");
    CLEANUP(free_drop) char *cert_path = path_join(dir, "cert.pem");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);

    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "tester",
                               -1, -1, 0);
    X509_set_issuer_name(cert, name);
    CHECK("signed", X509_sign(cert, key, EVP_sha256()) > 0);
    BIO *file = BIO_new_file(key_path, "w");
    CHECK("key", PEM_write_bio_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
    BIO_free(file);
    file = BIO_new_file(cert_path, "w");
    CHECK("certificate", PEM_write_bio_X509(file, cert) == 1);
    BIO_free(file);
    X509_free(cert);
    EVP_PKEY_free(key);

    struct tls *tls = tls_new();
    struct tls_config config = { .private_key = key_path,
                                 .certificate = cert_path,
                                 .ca_cert = cert_path };
    CHECK_OK("keys", tls_load(tls, &config));
    CHECK("ready", tls_is_ready(tls));
    return tls;
}

struct pair {
    struct tls *tls; /* Of both sides; NULL without. */
    struct loop *loop;
    struct server server;
    struct client client;
    char *remote;
};

static void
pair_start(struct pair *p, enum transport transport, bool once)
{
    *p = (struct pair){ .client.seen = BUF_INIT };
    CHECK_OK("loop", loop_new(&p->loop));
    p->server.loop = p->loop;
    if (transport != OVER_UNIX) {
        const char *scheme = transport == OVER_TLS ? "ssl" : "tcp";
        CLEANUP(free_drop) char *passive = str_dupf("p%s:0:127.0.0.1", scheme);
        p->tls = transport == OVER_TLS ? tls_of_test(test_dir()) : NULL;
        p->server.tls = p->tls;
        server_start(&p->server, passive);
        p->remote = str_dupf("%s:127.0.0.1:%u", scheme, listener_port(p->server.listener));
    } else {
        CLEANUP(free_drop) char *passive = str_dupf("punix:%s/s", test_dir());
        server_start(&p->server, passive);
        p->remote = str_dup(passive + 1);
    }
    struct session_io_options options = {
        .remote = p->remote, .probe_ms = -1, .once = once, .tls = p->tls
    };
    CHECK_OK("session",
             session_io_new(p->loop, &options, &client_events, &p->client, &p->client.io));
    TURN_UNTIL("connects", p->loop, p->client.n_connected == 1);
}

static void
pair_stop(struct pair *p)
{
    session_io_free(p->client.io);
    server_stop(&p->server);
    tls_free(p->tls);
    loop_free(p->loop);
    buf_done(&p->client.seen);
    free(p->remote);
}

TEST(requests_over_every_transport)
{
    for (int transport = 0; transport < N_TRANSPORTS; transport++) {
        struct pair p;
        pair_start(&p, transport, false);
        request(&p.client, "sum", "[1,2,39]");
        request(&p.client, "nonsense", "[]");
        request(&p.client, "big", "[3000000]");
        request(&p.client, "sum", "[7]");
        CHECK_INT("nothing within the call", p.client.n_replies, 0);
        TURN_UNTIL("replies", p.loop, p.client.n_replies == 4);
        CHECK_STR("all right", buf_cstr(&p.client.seen),
                  "42 error:unknown method 3000000 bytes 7 ");
        struct ucred cred;
        bool is_unix = stream_peer_cred(jsonrpc_stream(p.server.peers.v[0]->conn), &cred);
        CHECK_INT("who it is", is_unix, transport == OVER_UNIX);
        CHECK_STR("its name", stream_peer_id(jsonrpc_stream(p.server.peers.v[0]->conn)),
                  transport == OVER_TLS ? "tester" : NULL);
        if (is_unix) {
            CHECK_INT("pid", cred.pid, getpid());
        }
        pair_stop(&p);
    }
}

TEST(a_flood_arrives_whole_and_in_order)
{
    for (int transport = 0; transport < N_TRANSPORTS; transport++) {
        struct pair p;
        pair_start(&p, transport, false);
        request(&p.client, "flood", "[5000]");
        request(&p.client, "sum", "[1]");
        TURN_UNTIL("all", p.loop, p.client.n_replies == 1);
        CHECK_INT("the reply comes after the updates", p.client.n_notified, 5000);
        CHECK_INT("no backlog is left", jsonrpc_backlog_bytes(p.server.peers.v[0]->conn),
                  0);
        pair_stop(&p);
    }
}

TEST(without_keys_tls_is_refused)
{
    CLEANUP(tls_drop) struct tls *tls = tls_new();
    struct tls_config config = { .private_key = "/nonexistent",
                                 .certificate = "/nonexistent",
                                 .ca_cert = "none" };

    CHECK_ERR("no such file", tls_load(tls, &config), ERR_SYNTAX);
    CHECK("nothing is loaded", !tls_is_ready(tls));
    CHECK_ERR("no certificate", tls_load(tls, &(struct tls_config){ 0 }), ERR_SYNTAX);
    CHECK_OK("nothing to refresh", tls_refresh(tls));
}

TEST(a_slow_reader_is_cut_off)
{
    for (int patient = 0; patient < 2; patient++) {
        struct pair p;
        pair_start(&p, false, false);
        p.server.is_patient = patient;
        jsonrpc_set_limits(p.server.peers.v[0]->conn, 0, 500000);
        request(&p.client, "flood", "[5000]");
        if (patient) {
            TURN_UNTIL("all come", p.loop, p.client.n_notified == 5000);
            CHECK("but it was asked", p.server.n_overflows > 0);
        } else {
            TURN_UNTIL("cut", p.loop, p.server.n_closed == 1);
            CHECK(p.server.why, strstr(p.server.why, "reads too slowly"));
        }
        pair_stop(&p);
    }
}

TEST(pausing_keeps_messages_back)
{
    struct pair p;
    pair_start(&p, false, false);
    jsonrpc_pause(p.server.peers.v[0]->conn, true);
    request(&p.client, "sum", "[1]");
    request(&p.client, "sum", "[2]");
    for (int i = 0; i < 5; i++) {
        loop_turn(p.loop, 10);
    }
    CHECK_INT("no answer", p.client.n_replies, 0);
    jsonrpc_pause(p.server.peers.v[0]->conn, false);
    TURN_UNTIL("answers", p.loop, p.client.n_replies == 2);
    pair_stop(&p);
}

TEST(what_came_together_is_answered_together)
{
    struct pair p;
    pair_start(&p, false, false);
    struct jsonrpc *server = p.server.peers.v[0]->conn;
    jsonrpc_pause(server, true);
    request(&p.client, "sum", "[1]");
    request(&p.client, "sum", "[2]");
    for (int i = 0; i < 5; i++) { /* Both are under way. */
        loop_turn(p.loop, 10);
    }
    jsonrpc_pause(server, false);
    TURN_UNTIL("answers", p.loop, p.client.n_replies == 2);
    CHECK("the first waited for the second", p.server.held_back > 0);
    pair_stop(&p);
}

TEST(lost_requests_fail_and_the_session_comes_back)
{
    struct pair p;
    pair_start(&p, false, false);
    request(&p.client, "hang", "[]");
    request(&p.client, "drop", "[]");
    TURN_UNTIL("lost", p.loop, p.client.n_disconnected == 1);
    CHECK_STR("nobody knows", buf_cstr(&p.client.seen), "timeout timeout ");
    request(&p.client, "sum", "[1]");
    loop_turn(p.loop, 10);
    CHECK_STR("not connected", buf_cstr(&p.client.seen), "timeout timeout busy ");
    TURN_UNTIL("again", p.loop, p.client.n_connected == 2);
    request(&p.client, "sum", "[5]");
    TURN_UNTIL("works", p.loop, p.client.n_replies == 4);
    pair_stop(&p);
}

TEST(once_means_once)
{
    struct pair p;
    pair_start(&p, false, true);
    request(&p.client, "drop", "[]");
    TURN_UNTIL("lost", p.loop, p.client.n_disconnected == 1);
    for (int i = 0; i < 10; i++) {
        loop_turn(p.loop, 20);
    }
    CHECK_INT("stays so", p.client.n_connected, 1);
    pair_stop(&p);
}

TEST(a_server_that_comes_back_is_found)
{
    struct pair p;
    pair_start(&p, false, false);
    server_stop(&p.server);
    TURN_UNTIL("fails again and again", p.loop, p.client.n_disconnected >= 3);
    CLEANUP(free_drop) char *passive = str_dupf("p%s", p.remote);
    server_start(&p.server, passive);
    TURN_UNTIL("connected", p.loop, p.client.n_connected == 2);
    pair_stop(&p);
}

TEST(a_silent_peer_is_probed_and_given_up)
{
    struct pair p;
    pair_start(&p, false, false);
    struct jsonrpc *conn = p.server.peers.v[0]->conn;
    jsonrpc_set_probe(conn, 50);
    int64_t until_ms = clock_mono_ms() + 400;
    while (clock_mono_ms() < until_ms) {
        loop_turn(p.loop, 10); /* Our client answers the echoes. */
    }
    CHECK_INT("alive", p.server.n_closed, 0);
    pair_stop(&p);

    /* A client that never answers. */
    CHECK_OK("loop", loop_new(&p.loop));
    struct server s = { .loop = p.loop };
    CLEANUP(free_drop) char *passive = str_dupf("punix:%s/s", test_dir());
    server_start(&s, passive);
    struct remote remote;
    CHECK_OK("remote", remote_parse(passive + 1, &remote));
    struct stream *mute;
    static const struct stream_events ignore = { .connected = free };
    CHECK_OK("connect", stream_connect(p.loop, &remote, &ignore, NULL, &mute));
    remote_done(&remote);
    stream_pause(mute, true);
    TURN_UNTIL("accepted", p.loop, s.peers.n == 1);
    jsonrpc_set_probe(s.peers.v[0]->conn, 50);
    TURN_UNTIL("given up", p.loop, s.n_closed == 1);
    CHECK(s.why, strstr(s.why, "no response to inactivity probe after 50 ms"));
    stream_free(mute);
    server_stop(&s);
    loop_free(p.loop);
}

/* What a raw peer sends, and how the connection ends. */
static const struct raw_case {
    const char *why, *bytes, *want;
} raw_cases[] = {
    { "no JSON", "GET / HTTP/1.1\r\n\r\n", "must begin with '{'" },
    { "no object", "[]", "no JSON-RPC object" },
    { "bad JSON", "{\"id\":}", "error parsing stream: line 1, column 7" },
    { "rules", "{\"id\":1,\"method\":\"m\"}", "must have \"params\"" },
    { "too long", "{\"method\":\"0123456789012345678901234567890123456789\"",
      "longer than" },
};

TEST(rule_breakers_are_dropped)
{
    for (const struct raw_case *c = raw_cases; c < raw_cases + N_ELEMS(raw_cases); c++) {
        struct pair p;
        pair_start(&p, false, true);
        jsonrpc_set_limits(p.server.peers.v[0]->conn, 40, 0);
        struct remote remote;
        CHECK_OK("remote", remote_parse(p.remote, &remote));
        static const struct stream_events ignore = { .connected = free };
        struct stream *raw;
        CHECK_OK("connect", stream_connect(p.loop, &remote, &ignore, NULL, &raw));
        remote_done(&remote);
        stream_pause(raw, true);
        stream_send(raw, bytes_new(c->bytes, strlen(c->bytes)));
        TURN_UNTIL("accepted", p.loop, p.server.peers.n == 2 || p.server.n_closed);
        if (!p.server.n_closed) {
            jsonrpc_set_limits(p.server.peers.v[1]->conn, 40, 0);
        }
        TURN_UNTIL(c->why, p.loop, p.server.n_closed == 1);
        CHECK(p.server.why, strstr(p.server.why, c->want));
        stream_free(raw);
        pair_stop(&p);
    }
}

static void
raw_closed(void *aux UNUSED, struct err *e)
{
    err_free(e);
}

/* Peers that send a part of a message and nothing more. */
TEST(halves_of_messages_are_bounded)
{
    struct pair p;
    pair_start(&p, false, true);
    struct jsonrpc_room room = { .max_bytes = 5 * MIB };
    struct jsonrpc *conn = p.server.peers.v[0]->conn;
    jsonrpc_set_room(conn, &room);
    CHECK_INT("nothing yet", jsonrpc_unfinished_ms(conn), 0);

    struct remote remote;
    CHECK_OK("remote", remote_parse(p.remote, &remote));
    static const struct stream_events ignore = { .connected = free, .closed = raw_closed };
    struct stream *raw[2];
    struct jsonrpc *conns[2];
    for (int i = 0; i < 2; i++) {
        CHECK_OK("connect", stream_connect(p.loop, &remote, &ignore, NULL, &raw[i]));
        stream_pause(raw[i], true);
        TURN_UNTIL("accepted", p.loop, p.server.peers.n == 2 + i);
        conns[i] = p.server.peers.v[1 + i]->conn;
        jsonrpc_set_room(conns[i], &room);
    }
    remote_done(&remote);
    static const char begin[] = "{\"method\":\"x\",\"params\":[\"";
    struct buf half = BUF_INIT;
    buf_str(&half, begin);
    memset(buf_reserve(&half, MIB), 'x', MIB);
    half.n += MIB;
    struct bytes *bytes = bytes_take(&half);
    stream_send(raw[0], bytes_ref(bytes));
    stream_send(raw[1], bytes_new(begin, strlen(begin)));
    TURN_UNTIL("they wait", p.loop,
               jsonrpc_unfinished_ms(conns[0]) > 0 && jsonrpc_unfinished_ms(conns[1]) > 0 &&
                   room.n_bytes >= MIB);
    for (int i = 0; i < 5; i++) {
        stream_send(raw[0], bytes_ref(bytes));
    }
    bytes_unref(bytes);
    TURN_UNTIL("the one that grows is cut off", p.loop, p.server.n_closed == 1);
    CHECK(p.server.why, strstr(p.server.why, "no room is left"));
    stream_send(raw[1], bytes_new("\"]}", 3));
    TURN_UNTIL("the other one ends its message", p.loop,
               jsonrpc_unfinished_ms(conns[1]) == 0);
    request(&p.client, "sum", "[1]");
    TURN_UNTIL("others work", p.loop, p.client.n_replies == 1);
    stream_free(raw[0]);
    stream_free(raw[1]);
    pair_stop(&p);
}

TEST(listeners)
{
    CLEANUP(loop_drop) struct loop *loop = NULL;
    CHECK_OK("loop", loop_new(&loop));
    CLEANUP(free_drop) char *path = path_join(test_dir(), "l.sock");
    struct remote remote = { .kind = REMOTE_UNIX, .passive = true, .path = path };
    struct server s = { .loop = loop };
    struct listener *first, *second;
    CHECK_OK("first", listener_new(loop, &remote, 0640, server_accepted, &s, &first));
    struct stat st;
    CHECK("mode", stat(path, &st) == 0 && (st.st_mode & 0777) == 0640);
    CHECK_ERR("a live one is not replaced",
              listener_new(loop, &remote, 0, server_accepted, &s, &second), ERR_BUSY);
    CHECK_STR("name", listener_name(first) + strlen("punix:"), path);

    /* A crash leaves the file: simulated by a second name for it. */
    CLEANUP(free_drop) char *stale = path_join(test_dir(), "stale.sock");
    CHECK("link", link(path, stale) == 0);
    listener_free(first);
    CHECK("removed", !fs_exists(path) && fs_exists(stale));
    remote.path = stale;
    CHECK_OK("a stale one is", listener_new(loop, &remote, 0, server_accepted, &s, &first));
    listener_free(first);

    CLEANUP(free_drop) char *file = path_join(test_dir(), "file");
    CHECK_OK("file", fs_write_atomic(file, "x", 1, 0600));
    remote.path = file;
    CHECK_ERR("a file is not", listener_new(loop, &remote, 0, server_accepted, &s, &first),
              ERR_EXISTS);
    CHECK("it is still there", fs_exists(file));

    remote = (struct remote){ .kind = REMOTE_TCP, .passive = true, .host = "localhost" };
    CHECK_ERR("names are not listened on",
              listener_new(loop, &remote, 0, server_accepted, &s, &first), ERR_SYNTAX);
}
