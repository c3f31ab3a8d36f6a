/* wire/remote.c: see remote.h. */
#include "wire/remote.h"

#include <string.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/str.h"

static struct err *
parse_port(const char *text, const char *port, bool zero_is_fine, uint16_t *ret)
{
    uint64_t value;
    if (!str_to_u64(port, &value) || value > UINT16_MAX || (value == 0 && !zero_is_fine)) {
        return err_new(ERR_SYNTAX, "%s: '%s' is no port number", text, port);
    }
    *ret = (uint16_t) value;
    return NULL;
}

/* "HOST", "[V6]", each perhaps with ":PORT". */
static struct err *
parse_host_port(const char *text, const char *s, struct remote *r)
{
    const char *host = s, *host_end, *rest;
    if (*s == '[') {
        host = s + 1;
        host_end = strchr(host, ']');
        if (!host_end) {
            return err_new(ERR_SYNTAX, "%s: ']' is missing", text);
        }
        rest = host_end + 1;
    } else {
        host_end = rest = s + strcspn(s, ":");
    }
    if (host_end == host) {
        return err_new(ERR_SYNTAX, "%s: a host name or address is missing", text);
    }
    r->host = str_dup_n(host, (size_t) (host_end - host));
    r->port = REMOTE_DEFAULT_PORT;
    if (*rest == '\0') {
        return NULL;
    } else if (*rest != ':' || strchr(rest + 1, ':')) {
        return err_hint(err_new(ERR_SYNTAX, "%s: no HOST:PORT", text),
                        "write IPv6 addresses in brackets: tcp:[::1]:6640");
    }
    return parse_port(text, rest + 1, false, &r->port);
}

/* "", "PORT", "PORT:HOST", ":HOST". */
static struct err *
parse_port_host(const char *text, const char *s, struct remote *r)
{
    size_t n = strcspn(s, ":");
    r->port = REMOTE_DEFAULT_PORT;
    if (n > 0) {
        CLEANUP(free_drop) char *port = str_dup_n(s, n);
        TRY(parse_port(text, port, true, &r->port));
    }
    const char *host = s[n] ? s + n + 1 : "";
    size_t n_host = strlen(host);
    if (*host == '[') {
        if (host[n_host - 1] != ']') {
            return err_new(ERR_SYNTAX, "%s: ']' is missing", text);
        }
        host++;
        n_host -= 2;
    } else if (strchr(host, ':')) {
        return err_hint(err_new(ERR_SYNTAX, "%s: no PORT:HOST", text),
                        "write IPv6 addresses in brackets: ptcp:6640:[::1]");
    }
    r->host = n_host > 0 ? str_dup_n(host, n_host) : NULL;
    return NULL;
}

static struct err *
parse_path(const char *text, const char *path, struct remote *r)
{
    size_t max = sizeof((struct sockaddr_un *) NULL)->sun_path - 1;
    if (*path == '\0') {
        return err_new(ERR_SYNTAX, "%s: the socket's path is missing", text);
    } else if (strlen(path) > max) {
        return err_hint(err_new(ERR_SYNTAX,
                                "%s: the path is longer than %zu bytes, which is "
                                "all that a unix socket can have",
                                text, max),
                        "use a shorter directory, or a path relative to the current one");
    }
    r->path = str_dup(path);
    return NULL;
}

static struct err *
parse_fd(const char *text, const char *number, struct remote *r)
{
    char *end;
    long fd = strtol(number, &end, 10);
    if (end == number || *end || fd < 3 || fd > INT32_MAX) {
        return err_hint(err_new(ERR_SYNTAX, "%s: not the number of a socket", text),
                        "write pfd:FD with a listening socket from 3 on");
    }
    r->fd = (int) fd;
    return NULL;
}

static const struct scheme {
    const char *prefix;
    enum remote_kind kind;
    bool passive, secure;
    struct err *(*parse)(const char *text, const char *rest, struct remote *);
} schemes[] = {
    { "unix:", REMOTE_UNIX, false, false, parse_path },
    { "punix:", REMOTE_UNIX, true, false, parse_path },
    { "pfd:", REMOTE_UNIX, true, false, parse_fd },
    { "tcp:", REMOTE_TCP, false, false, parse_host_port },
    { "ptcp:", REMOTE_TCP, true, false, parse_port_host },
    { "ssl:", REMOTE_TCP, false, true, parse_host_port },
    { "pssl:", REMOTE_TCP, true, true, parse_port_host },
};

struct err *
remote_parse(const char *text, struct remote *ret)
{
    for (const struct scheme *s = schemes; s < schemes + N_ELEMS(schemes); s++) {
        if (!str_starts(text, s->prefix)) {
            continue;
        }
        struct remote r = { .kind = s->kind, .passive = s->passive, .secure = s->secure };
        struct err *e = s->parse(text, text + strlen(s->prefix), &r);
        if (e) {
            remote_done(&r);
            return e;
        }
        *ret = r;
        return NULL;
    }
    return err_hint(
        err_new(ERR_SYNTAX, "'%s' is no connection method", text),
        "use unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT (to listen: punix:PATH, ptcp:PORT:HOST, "
        "pssl:PORT:HOST)");
}

void
remote_done(struct remote *r)
{
    free(TAKE(r->path));
    free(TAKE(r->host));
}

char *
remote_text(const struct remote *r)
{
    const char *p = r->passive ? "p" : "";
    if (r->fd) {
        return str_dupf("pfd:%d", r->fd);
    } else if (r->kind == REMOTE_UNIX) {
        return str_dupf("%sunix:%s", p, r->path);
    }
    bool v6 = r->host && strchr(r->host, ':');
    const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
    const char *scheme = r->secure ? "ssl" : "tcp";
    if (!r->passive) {
        return str_dupf("%s:%s%s%s:%u", scheme, open, r->host, close, r->port);
    } else if (!r->host) {
        return str_dupf("p%s:%u", scheme, r->port);
    }
    return str_dupf("p%s:%u:%s%s%s", scheme, r->port, open, r->host, close);
}
