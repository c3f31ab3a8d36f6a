/* data/rfc7047.c: one table of the tags, and the two ways over the wire. */
#include "data/rfc7047.h"

#include <stdio.h>

#include "base/str.h"

static const struct {
    const char *name;
    enum err_kind kind;
} tags[N_RFC_TAGS] = {
    [RFC_NONE] = { "internal error", ERR_BUG },
    [RFC_SYNTAX] = { "syntax error", ERR_SYNTAX },
    [RFC_CONSTRAINT] = { "constraint violation", ERR_CONSTRAINT },
    [RFC_REFERENTIAL] = { "referential integrity violation", ERR_CONSTRAINT },
    [RFC_OVSDB] = { "ovsdb error", ERR_CONSTRAINT },
    [RFC_UNKNOWN_COLUMN] = { "unknown column", ERR_NOT_FOUND },
    [RFC_UNKNOWN_TABLE] = { "unknown table", ERR_NOT_FOUND },
    [RFC_UNKNOWN_DATABASE] = { "unknown database", ERR_NOT_FOUND },
    [RFC_UNKNOWN_FUNCTION] = { "unknown function", ERR_SYNTAX },
    [RFC_UNKNOWN_MUTATOR] = { "unknown mutator", ERR_SYNTAX },
    [RFC_DUP_UUID_NAME] = { "duplicate uuid-name", ERR_EXISTS },
    [RFC_DUP_UUID] = { "duplicate uuid", ERR_EXISTS },
    [RFC_DOMAIN] = { "domain error", ERR_CONSTRAINT },
    [RFC_RANGE] = { "range error", ERR_CONSTRAINT },
    [RFC_TIMED_OUT] = { "timed out", ERR_TIMEOUT },
    [RFC_NOT_OWNER] = { "not owner", ERR_DENIED },
    [RFC_NOT_ALLOWED] = { "not allowed", ERR_DENIED },
    [RFC_ABORTED] = { "aborted", ERR_CANCELED },
    [RFC_PERMISSION] = { "permission error", ERR_DENIED },
    [RFC_INVALID_PARAMETERS] = { "invalid parameters", ERR_SYNTAX },
    [RFC_NOT_AVAILABLE] = { "database not available", ERR_BUSY },
    [RFC_CANCELED] = { "canceled", ERR_CANCELED },
    [RFC_IO] = { "I/O error", ERR_IO },
};

struct err *
rfc_err_at(const char *where, enum rfc_tag tag, const struct json *syntax, const char *fmt,
           ...)
{
    va_list args;
    va_start(args, fmt);
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    buf_vprintf(&text, fmt, args);
    va_end(args);

    struct err *e = err_new_at(where, tags[tag].kind, 0, "%s", buf_cstr(&text));
    e = err_tag(e, tag);
    return syntax ? err_attach(e, json_text(syntax, JSON_SORTED | JSON_15G)) : e;
}

struct err *
rfc_decode_end(struct decode *d, const struct json *object)
{
    struct err *e = decode_end(d);
    if (!e || err_code(e) != RFC_NONE) { /* A tagged one came through decode_fail(). */
        return e;
    }
    e = err_tag(e, RFC_SYNTAX);
    return json_is(object, JSON_OBJECT)
               ? err_attach(e, json_text(object, JSON_SORTED | JSON_15G))
               : e;
}

const char *
rfc_tag_name(enum rfc_tag tag)
{
    return tags[tag < N_RFC_TAGS ? tag : RFC_NONE].name;
}

enum rfc_tag
rfc_tag_find(const char *name)
{
    for (int i = 1; i < N_RFC_TAGS; i++) {
        if (strcmp(tags[i].name, name) == 0) {
            return (enum rfc_tag) i;
        }
    }
    return RFC_OVSDB;
}

static enum rfc_tag
tag_of(const struct err *e)
{
    int code = err_code(e);
    if (code > RFC_NONE && code < N_RFC_TAGS) {
        return (enum rfc_tag) code;
    }
    switch (err_kind(e)) {
    case ERR_SYNTAX: return RFC_SYNTAX;
    case ERR_CONSTRAINT: return RFC_CONSTRAINT;
    case ERR_DENIED:
    case ERR_UNSUPPORTED: return RFC_NOT_ALLOWED;
    case ERR_TIMEOUT: return RFC_TIMED_OUT;
    case ERR_CANCELED: return RFC_CANCELED;
    case ERR_IO:
    case ERR_NO_SPACE: return RFC_IO;
    default: return err_errno(e) ? RFC_IO : RFC_OVSDB;
    }
}

void
rfc_print(const struct err *e, struct buf *buf)
{
    const char *text = err_text(e);
    size_t n = strlen(text);
    const char *errno_text = err_errno(e) ? strerror(err_errno(e)) : NULL;
    if (errno_text) { /* It has a member of its own: leave it out of the details. */
        size_t n_tail = strlen(errno_text) + 2;
        n -= n > n_tail && str_ends(text, errno_text) ? n_tail : 0;
    }

    buf_str(buf, "{\"details\":");
    json_print_string(text, n, buf);
    buf_printf(buf, ",\"error\":\"%s\"", rfc_tag_name(tag_of(e)));
    if (errno_text) {
        buf_str(buf, ",\"io-error\":");
        json_print_string(errno_text, strlen(errno_text), buf);
    }
    const char *syntax = err_attached(e);
    if (syntax) {
        buf_str(buf, ",\"syntax\":");
        json_print_string(syntax, strlen(syntax), buf);
    }
    buf_char(buf, '}');
}

struct err *
rfc_parse(const struct json *j)
{
    const char *name = json_is(j, JSON_STRING) ? j->string : json_get_string(j, "error");
    if (!name) {
        return rfc_syntax(j, "the server sent an error that is none");
    }
    enum rfc_tag tag = rfc_tag_find(name);
    const char *details = json_is(j, JSON_OBJECT) ? json_get_string(j, "details") : NULL;
    const char *io = json_is(j, JSON_OBJECT) ? json_get_string(j, "io-error") : NULL;
    const char *syntax = json_is(j, JSON_OBJECT) ? json_get_string(j, "syntax") : NULL;

    struct err *e = err_new(tags[tag].kind, "%s%s%s%s%s", details ? details : "",
                            details ? " (" : "", name, details ? ")" : "", "");
    if (io) {
        e = err_wrap(e, "%s", io);
    }
    if (syntax) {
        e = err_attach(e, str_dup(syntax));
    }
    return err_tag(e, tag);
}
