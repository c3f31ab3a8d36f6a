/* wire/test_msg.c: remotes, messages and the session's machine: all that is pure. */
#include <stdio.h>

#include "base/str.h"
#include "test.h"
#include "wire/jsonrpc.h"
#include "wire/remote.h"
#include "wire/session.h"

TEST(remotes)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        /* clang-format off */
        { "unix:./a/b.sock", "unix:./a/b.sock" },
        { "punix:/run/x", "punix:/run/x" },
        { "tcp:host", "tcp:host:6640" },
        { "tcp:10.0.0.1:1", "tcp:10.0.0.1:1" },
        { "tcp:[::1]", "tcp:[::1]:6640" },
        { "tcp:[fe80::1%eth0]:7000", "tcp:[fe80::1%eth0]:7000" },
        { "ptcp:", "ptcp:6640" },
        { "ptcp:0", "ptcp:0" },
        { "ptcp:7:127.0.0.1", "ptcp:7:127.0.0.1" },
        { "ptcp::127.0.0.1", "ptcp:6640:127.0.0.1" },
        { "ptcp:7:[::]", "ptcp:7:[::]" },
        { "unix:", "syntax: unix:: the socket's path is missing" },
        { "tcp:", "syntax: tcp:: a host name or address is missing" },
        { "tcp::1", "syntax: tcp::1: a host name or address is missing" },
        { "tcp:h:0", "syntax: tcp:h:0: '0' is no port number" },
        { "tcp:h:65536", "syntax: tcp:h:65536: '65536' is no port number" },
        { "tcp:h:x", "syntax: tcp:h:x: 'x' is no port number" },
        { "tcp:::1", "syntax: tcp:::1: a host name or address is missing" },
        { "tcp:fe80::1", "syntax: tcp:fe80::1: no HOST:PORT" },
        { "tcp:[::1", "syntax: tcp:[::1: ']' is missing" },
        { "ptcp:x", "syntax: ptcp:x: 'x' is no port number" },
        { "ptcp:1:[::1", "syntax: ptcp:1:[::1: ']' is missing" },
        { "ssl:host", "ssl:host:6640" },
        { "pssl:0:[::1]", "pssl:0:[::1]" },
        { "http://x", "syntax: 'http://x' is no connection method" },
        { "", "syntax: '' is no connection method" },
        /* clang-format on */
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct remote r;
        CLEANUP(err_drop) struct err *e = remote_parse(cases[i].in, &r);
        CLEANUP(free_drop) char *text = e ? NULL : remote_text(&r);
        CHECK_STR(cases[i].in, e ? err_brief(e) : text, cases[i].want);
        if (!e) {
            remote_done(&r);
        }
    }

    char long_path[200] = "unix:";
    memset(long_path + 5, 'x', 108);
    struct remote r;
    CHECK_ERR("108 bytes are too long for a socket", remote_parse(long_path, &r),
              ERR_SYNTAX);
    long_path[5 + 107] = '\0';
    CHECK_OK("107 are not", remote_parse(long_path, &r));
    remote_done(&r);
}

TEST(message_rules)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        /* clang-format off */
        { "{\"id\":1,\"method\":\"m\",\"params\":[]}", "request" },
        { "{\"id\":[],\"method\":\"m\",\"params\":[1]}", "request" },
        { "{\"id\":\"\",\"method\":\"m\",\"params\":[1],\"result\":null,\"error\":null}", "request" },
        { "{\"id\":null,\"method\":\"m\",\"params\":[]}", "notification" },
        { "{\"method\":\"m\",\"params\":[]}", "notification" },
        { "{\"id\":1,\"result\":{},\"error\":null}", "reply" },
        { "{\"id\":1,\"result\":false}", "reply" },
        { "{\"id\":1,\"error\":\"x\",\"result\":null}", "error" },
        { "[]", "syntax: received a message that is no JSON-RPC object" },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":[]}", "syntax: JSON-RPC message has unexpected member \"jsonrpc\"" },
        { "{\"id\":1,\"method\":null,\"params\":[]}", "syntax: JSON-RPC method must be a string" },
        { "{\"id\":1,\"method\":\"m\"}", "syntax: JSON-RPC request must have \"params\"" },
        { "{\"id\":1,\"method\":\"m\",\"params\":null}", "syntax: JSON-RPC request must have \"params\"" },
        { "{\"id\":1,\"method\":\"m\",\"params\":{}}", "syntax: JSON-RPC \"params\" must be a JSON array" },
        { "{\"id\":1,\"params\":[]}", "syntax: JSON-RPC request must have \"method\"" },
        { "{\"id\":1,\"result\":1,\"method\":\"m\"}", "syntax: JSON-RPC reply must not have \"method\"" },
        { "{\"id\":1,\"result\":1,\"error\":1}", "syntax: JSON-RPC reply must not have \"error\"" },
        { "{\"result\":1}", "syntax: JSON-RPC reply must have \"id\"" },
        { "{\"id\":1,\"error\":1,\"params\":[]}", "syntax: JSON-RPC error must not have \"params\"" },
        { "{}", "syntax: JSON-RPC notification must have \"method\"" },
        { "{\"id\":1", "syntax: error parsing stream: line 1, column 8, byte 7: unexpected end of input" },
        /* clang-format on */
    };
    static const char *const kinds[] = { "request", "notification", "reply", "error" };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(jsonrpc_msg_drop) struct jsonrpc_msg *msg = NULL;
        CLEANUP(err_drop)
        struct err *e = jsonrpc_msg_parse(cases[i].in, strlen(cases[i].in), &msg);
        CHECK_STR(cases[i].in, e ? err_brief(e) : kinds[msg->kind], cases[i].want);
    }
}

TEST(message_shapes)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json id = json_string_ref("a\"b"), params = json_array(),
                result = json_real(0.1);
    json_add(&arena, &params, json_int(7));
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    jsonrpc_print_request(&out, &id, "m", &params);
    jsonrpc_print_notification(&out, "n", &params);
    jsonrpc_print_reply(&out, &id, &result);
    jsonrpc_print_error(&out, &id, &result);
    CHECK_STR("shapes", buf_cstr(&out),
              "{\"id\":\"a\\\"b\",\"method\":\"m\",\"params\":[7]}"
              "{\"id\":null,\"method\":\"n\",\"params\":[7]}"
              "{\"id\":\"a\\\"b\",\"result\":0.1,\"error\":null}"
              "{\"id\":\"a\\\"b\",\"error\":0.1}");
}

/* An hour in a microsecond: each line is one event and what has to come of it. */
static const struct session_line {
    int64_t at_ms;
    enum session_event ev;
    enum session_action action;
    enum session_state state;
    int64_t wake_ms;
} script[] = {
    /* clang-format off */
    { 0,      EV_WAKE,      DO_CONNECT, S_CONNECTING, 10000 },
    { 10,     EV_LOST,      DO_CLOSE,   S_BACKOFF,    110 },
    { 50,     EV_WAKE,      DO_NOTHING, S_BACKOFF,    110 },    /* Too early. */
    { 110,    EV_WAKE,      DO_CONNECT, S_CONNECTING, 10110 },
    { 10110,  EV_WAKE,      DO_CLOSE,   S_BACKOFF,    10310 },  /* Connecting took too long. */
    { 10310,  EV_WAKE,      DO_CONNECT, S_CONNECTING, 20310 },
    { 10311,  EV_LOST,      DO_CLOSE,   S_BACKOFF,    10711 },  /* 400 now. */
    { 10711,  EV_WAKE,      DO_CONNECT, S_CONNECTING, 20711 },
    { 10720,  EV_CONNECTED, DO_NOTHING, S_ACTIVE,     15720 },
    { 10721,  EV_LOST,      DO_CLOSE,   S_BACKOFF,    11521 },  /* Connected, but never a byte. */
    { 11521,  EV_WAKE,      DO_CONNECT, S_CONNECTING, 21521 },
    { 11530,  EV_CONNECTED, DO_NOTHING, S_ACTIVE,     16530 },
    { 12000,  EV_BYTES,     DO_NOTHING, S_ACTIVE,     17000 },
    { 16530,  EV_WAKE,      DO_NOTHING, S_ACTIVE,     17000 },
    { 17000,  EV_WAKE,      DO_ECHO,    S_PROBING,    22000 },
    { 17100,  EV_BYTES,     DO_NOTHING, S_ACTIVE,     22100 },
    { 22100,  EV_WAKE,      DO_ECHO,    S_PROBING,    27100 },
    { 27100,  EV_WAKE,      DO_CLOSE,   S_BACKOFF,    27200 },  /* Forgotten: 100 again. */
    { 27150,  EV_BYTES,     DO_NOTHING, S_BACKOFF,    27200 },  /* Of the closed one: ignored. */
    /* clang-format on */
};

TEST(session_script)
{
    struct session s = SESSION_INIT(0, 5000);
    for (size_t i = 0; i < N_ELEMS(script); i++) {
        char why[30];
        snprintf(why, sizeof why, "line %zu", i);
        CHECK_INT(why, session_step(&s, script[i].ev, script[i].at_ms), script[i].action);
        CHECK_INT(why, s.state, script[i].state);
        CHECK_INT(why, s.wake_ms, script[i].wake_ms);
    }
}

TEST(session_backoff_is_bounded)
{
    struct session s = SESSION_INIT(0, 0);
    int64_t now_ms = 0;
    for (int i = 0; i < 100; i++) {
        now_ms = s.wake_ms;
        CHECK_INT("connect", session_step(&s, EV_WAKE, now_ms), DO_CONNECT);
        CHECK_INT("fails", session_step(&s, EV_LOST, now_ms), DO_CLOSE);
    }
    CHECK_INT("the longest wait", s.wake_ms - now_ms, SESSION_MAX_BACKOFF_MS);
    session_step(&s, EV_WAKE, s.wake_ms);
    session_step(&s, EV_CONNECTED, now_ms);
    CHECK("no probes wanted", s.wake_ms == INT64_MAX);
}
