/* base/log_syslog.c: see log_syslog.h.
 * Source.  RFC 5424 for what goes to a target; ovs-appctl(8) and ovsdb-server(1), --syslog-method, for the
 * words; what the latter sends. */
#include "base/log_syslog.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/str.h"

#define HOST_CHARS 64

static const struct {
    const char *name;
    int number;
} facilities[] = {
    { "kern", LOG_KERN },     { "user", LOG_USER },     { "mail", LOG_MAIL },
    { "daemon", LOG_DAEMON }, { "auth", LOG_AUTH },     { "syslog", LOG_SYSLOG },
    { "lpr", LOG_LPR },       { "news", LOG_NEWS },     { "uucp", LOG_UUCP },
    { "clock", LOG_CRON },    { "ftp", LOG_FTP },       { "ntp", 12 << 3 },
    { "audit", 13 << 3 },     { "alert", 14 << 3 },     { "clock2", 15 << 3 },
    { "local0", LOG_LOCAL0 }, { "local1", LOG_LOCAL1 }, { "local2", LOG_LOCAL2 },
    { "local3", LOG_LOCAL3 }, { "local4", LOG_LOCAL4 }, { "local5", LOG_LOCAL5 },
    { "local6", LOG_LOCAL6 }, { "local7", LOG_LOCAL7 },
};

static const char *ident = "byre";
static int facility = -1; /* -1: nobody has said; the system's and a target's differ. */
static enum { BY_LIBC, BY_SOCKET, BY_NOTHING } method;
static int method_fd = -1, target_fd = -1;

void
log_syslog_ident(const char *name)
{
    ident = name;
    openlog(name, LOG_NDELAY, LOG_DAEMON);
}

bool
log_syslog_facility(const char *name)
{
    for (size_t i = 0; i < N_ELEMS(facilities); i++) {
        if (str_eq(name, facilities[i].name)) {
            facility = facilities[i].number;
            return true;
        }
    }
    return false;
}

/* A socket that sends to 'addr' and never waits. */
static MUST_CHECK struct err *
open_socket(const struct sockaddr *addr, socklen_t n_bytes, const char *where, int *ret_fd)
{
    CLEANUP(fd_done)
    int fd = socket(addr->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, addr, n_bytes) < 0) {
        return err_io(errno, "syslog: %s", where);
    }
    *ret_fd = fd_take(&fd);
    return NULL;
}

static MUST_CHECK struct err *
open_unix(const char *path, int *ret_fd)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };

    if (strlen(path) >= sizeof addr.sun_path) {
        return err_new(ERR_SYNTAX, "syslog: %s: the name is too long", path);
    }
    memcpy(addr.sun_path, path, strlen(path));
    return open_socket((const struct sockaddr *) &addr, sizeof addr, path, ret_fd);
}

/* "IP:PORT", "[IP]:PORT". */
static MUST_CHECK struct err *
open_udp(const char *where, int *ret_fd)
{
    static const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM,
                                           .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
    const char *colon = strrchr(where, ':');
    if (!colon || !colon[1]) {
        return err_new(ERR_SYNTAX, "syslog: %s: port must be specified", where);
    }
    bool brackets = where[0] == '[' && colon > where && colon[-1] == ']';
    CLEANUP(free_drop)
    char *host = str_dup_n(where + brackets, (size_t) (colon - where) - (brackets ? 2 : 0));
    struct addrinfo *found = NULL;
    int status = getaddrinfo(host, colon + 1, &hints, &found);
    if (status != 0) {
        return err_new(ERR_SYNTAX, "syslog: %s: %s", where, gai_strerror(status));
    }
    struct err *e = open_socket(found->ai_addr, found->ai_addrlen, where, ret_fd);
    freeaddrinfo(found);
    return e;
}

struct err *
log_syslog_method(const char *name)
{
    bool is_unix = str_starts(name, "unix:"), is_udp = str_starts(name, "udp:");
    bool is_libc = str_eq(name, "libc");

    if (!is_libc && !is_unix && !is_udp && !str_eq(name, "null")) {
        return err_hint(err_new(ERR_UNSUPPORTED, "unsupported syslog method '%s'", name),
                        "use libc, null, unix:FILE or udp:IP:PORT");
    }
    method = is_libc ? BY_LIBC : BY_NOTHING;
    fd_done(&method_fd);
    const char *where = strchr(name, ':');
    if (where) {
        TRY(is_unix ? open_unix(where + 1, &method_fd) : open_udp(where + 1, &method_fd));
    }
    if (method_fd >= 0) {
        method = BY_SOCKET;
    }
    return NULL;
}

struct err *
log_syslog_target(const char *where)
{
    fd_done(&target_fd);
    return open_udp(where, &target_fd);
}

static void
send_datagram(int fd, const struct buf *out)
{
    if (send(fd, out->data, out->n, MSG_NOSIGNAL) < 0) {
        errno = 0; /* A log that cannot be written must not stop the program. */
    }
}

/* <29>ovs|00002|socket_util|INFO|0:127.0.0.1: listening on port 36397 */
static void
send_short(const struct syslog_line *l, int priority)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    buf_printf(&out, "<%d>%s", priority, l->text);
    send_datagram(method_fd, &out);
}

/* <133>1 2026-11-22T17:22:22.702Z vm ovsdb-server 23316 socket_util - BOM0:127.0.0.1: listening on port 36397 */
static void
send_far(const struct syslog_line *l, int priority)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    char host[HOST_CHARS + 1] = "-";

    if (gethostname(host, HOST_CHARS) != 0) {
        errno = 0;
    }
    buf_printf(&out, "<%d>1 %s %s %s %ld %s - \xef\xbb\xbf%s", priority, l->time, host,
               ident, (long) getpid(), l->module, l->message);
    send_datagram(target_fd, &out);
}

void
log_syslog_send(const struct syslog_line *l)
{
    int own = facility < 0 ? LOG_DAEMON : facility;

    if (method == BY_LIBC) {
        syslog(own | l->severity, "%s", l->text);
    } else if (method == BY_SOCKET) {
        send_short(l, own | l->severity);
    }
    if (target_fd >= 0) {
        send_far(l, (facility < 0 ? LOG_LOCAL0 : facility) | l->severity);
    }
}
