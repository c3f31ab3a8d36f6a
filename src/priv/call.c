/* priv/call.c: the asking side. */
#include "priv/call.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "json/decode.h"
#include "priv/line_i.h"

#define GRACE_MS 60000  /* Beyond the request's own time, for undoing. */
#define CANCEL_MS 20000 /* For the other side to undo after a cancel. */
#define LONGEST_MS (INT64_C(25) * 3600 * 1000)

static struct err *
connect_to(const char *path, int *ret_fd)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof sun.sun_path) {
        return err_new(ERR_CONSTRAINT, "%s: the path is too long for a socket", path);
    }
    strcpy(sun.sun_path, path);
    CLEANUP(fd_done) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return err_io(errno, "socket");
    }
    /* Where the queue of one who does not accept is full, and for the request. */
    struct timeval patience = { PRIV_ANSWER_MS / 1000, 0 };
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *) &sun, sizeof sun) < 0) {
        /* Never ERR_NOT_FOUND: that is what a volume may be. */
        return err_hint(err_new(ERR_BUSY, "byre-stored does not answer at %s: %s", path,
                                strerror(errno)),
                        "start byred, which starts byre-stored, or look into its log");
    }
    *ret_fd = fd_take(&fd);
    return NULL;
}

static struct err *
send_request(int fd, const struct priv_request *request, int pass_fd)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    struct json j = priv_request_encode(&arena, request);
    json_print(&j, 0, &line);
    buf_str(&line, "\n");
    if (line.n > PRIV_MAX_REQUEST_BYTES) {
        return err_new(ERR_CONSTRAINT, "the request is longer than %" PRId64 " bytes",
                       PRIV_MAX_REQUEST_BYTES);
    }
    struct err *e = line_write(fd, line.data, line.n, pass_fd);
    if (err_is(e, ERR_IO)) {
        err_free(e); /* It may have refused us without reading: the answer tells why. */
        return NULL;
    }
    return e;
}

/* Looks at one line.  *ret_done: it was the last. */
static struct err *
on_line(const struct buf *line, const struct priv_watch *watch, struct priv_reply *ret,
        bool *ret_done)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;
    TRY(json_parse(&arena, line->data, line->n, &j));
    if (json_get(&j, "result")) {
        *ret_done = true;
        return priv_reply_decode(&j, ret);
    } else if (json_get(&j, "error")) {
        *ret_done = true;
        return priv_error_decode(&j);
    }
    struct decode d;
    decode_begin(&d, &j, "progress");
    const struct json *progress = decode_member(&d, "progress", DECODE_NUMBER);
    const char *message = decode_string(&d, "message", DECODE_OPTIONAL, "");
    struct priv_progress p = { .message = message };
    p.done = decode_int(&d, "done", DECODE_OPTIONAL, 0, 0, INT64_MAX);
    p.total = decode_int(&d, "total", DECODE_OPTIONAL, 0, 0, INT64_MAX);
    TRY(decode_end(&d));
    if (watch && watch->progress) {
        p.fraction =
            progress->type == JSON_INTEGER ? (double) progress->integer : progress->real;
        watch->progress(watch->aux, &p);
    }
    return NULL;
}

/* Reads until the last line. */
static struct err *
wait_for_answer(struct line_reader *reader, int64_t until_ms,
                const struct priv_watch *watch, const volatile int *cancel,
                struct priv_reply *ret)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    int64_t patience_ms = watch && watch->answer_ms ? watch->answer_ms : PRIV_ANSWER_MS;
    int64_t first_ms = min64(until_ms, clock_mono_ms() + patience_ms);
    int n_lines = 0;
    for (bool done = false; !done;) {
        struct err *e = line_read(reader, n_lines++ ? until_ms : first_ms, cancel, &line);
        if (e && !err_is(e, ERR_CANCELED)) {
            e = err_hint(err_wrap(e, "byre-stored"),
                         "refresh the pool to see what came of it");
        }
        TRY(e);
        TRY(on_line(&line, watch, ret, &done));
    }
    return NULL;
}

struct err *
priv_call(const char *socket_path, const struct priv_request *request, int pass_fd,
          const struct priv_watch *watch, struct priv_reply *ret)
{
    CLEANUP(fd_done) int fd = -1;
    TRY(connect_to(socket_path, &fd));
    TRY(send_request(fd, request, pass_fd));

    CLEANUP(line_reader_done) struct line_reader reader;
    line_reader_init(&reader, fd, PRIV_MAX_REPLY_BYTES);
    int64_t limit_ms = request->timeout_ms ? request->timeout_ms + GRACE_MS : LONGEST_MS;
    const volatile int *cancel = watch ? watch->cancel : NULL;
    struct err *e =
        wait_for_answer(&reader, clock_mono_ms() + limit_ms, watch, cancel, ret);
    if (err_is(e, ERR_CANCELED) && cancel && *cancel) {
        /* Half a hang-up tells the worker; its answer says that the undos have run.  It may
         * also be done already: then that counts. */
        shutdown(fd, SHUT_WR);
        err_free(e);
        e = wait_for_answer(&reader, clock_mono_ms() + CANCEL_MS, NULL, NULL, ret);
    }
    return e;
}
