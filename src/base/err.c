/* base/err.c: the error object.  One allocation for the struct, one for each text; errors are
 * rare, so clarity beats speed here. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>

#include "base/str.h"

struct err {
    enum err_kind kind;
    int errnum;        /* 0 if none. */
    int code;          /* Of a foreign contract; 0 if none. */
    const char *where; /* Static: "file:line" of its birth. */
    char *why;         /* The innermost text. */
    char *what;     /* The wraps, outermost first, without the last ": ".  NULL if none. */
    char *hint;     /* NULL if none. */
    char *attached; /* Of the foreign contract; NULL if none. */
    char *text;     /* Cache of err_text(). */
    char *brief;    /* Cache of err_brief(). */
};

static const char *const kind_names[N_ERR_KINDS] = {
    [ERR_BUG] = "bug",
    [ERR_SYNTAX] = "syntax",
    [ERR_NOT_FOUND] = "not-found",
    [ERR_EXISTS] = "exists",
    [ERR_CONSTRAINT] = "constraint",
    [ERR_DENIED] = "denied",
    [ERR_UNSUPPORTED] = "unsupported",
    [ERR_NO_SPACE] = "no-space",
    [ERR_BUSY] = "busy",
    [ERR_TIMEOUT] = "timeout",
    [ERR_CANCELED] = "canceled",
    [ERR_IO] = "io",
};

static enum err_kind
kind_from_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return ERR_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS: return ERR_DENIED;
    case ENOENT: return ERR_NOT_FOUND;
    case EEXIST: return ERR_EXISTS;
    case EBUSY: return ERR_BUSY;
    case ETIMEDOUT: return ERR_TIMEOUT;
    case EOPNOTSUPP:
    case ENOSYS: return ERR_UNSUPPORTED;
    default: return ERR_IO;
    }
}

static char *
vformat(const char *fmt, va_list args)
{
    char *s = NULL;
    if (vasprintf(&s, fmt, args) < 0) {
        s = str_dup("(message could not be formatted)");
    }
    return s;
}

struct err *
err_new_at(const char *where, enum err_kind kind, int errnum, const char *fmt, ...)
{
    struct err *e = NEW(struct err);
    e->kind = errnum ? kind_from_errno(errnum) : kind;
    e->errnum = errnum;
    e->where = where;

    va_list args;
    va_start(args, fmt);
    e->why = vformat(fmt, args);
    va_end(args);
    if (errnum) {
        char *full = str_dupf("%s: %s", e->why, strerror(errnum));
        free(e->why);
        e->why = full;
    }
    return e;
}

struct err *
err_wrap(struct err *e, const char *fmt, ...)
{
    if (!e) {
        return NULL;
    }
    va_list args;
    va_start(args, fmt);
    char *outer = vformat(fmt, args);
    va_end(args);

    if (e->what) {
        char *both = str_dupf("%s: %s", outer, e->what);
        free(outer);
        free(e->what);
        outer = both;
    }
    e->what = outer;
    free(e->text);
    free(e->brief);
    e->text = e->brief = NULL;
    return e;
}

struct err *
err_hint(struct err *e, const char *fmt, ...)
{
    if (e && !e->hint) {
        va_list args;
        va_start(args, fmt);
        e->hint = vformat(fmt, args);
        va_end(args);
    }
    return e;
}

struct err *
err_tag(struct err *e, int code)
{
    if (e) {
        e->code = code;
    }
    return e;
}

int
err_code(const struct err *e)
{
    return e ? e->code : 0;
}

struct err *
err_attach(struct err *e, char *text)
{
    if (e) {
        free(e->attached);
        e->attached = text;
    } else {
        free(text);
    }
    return e;
}

const char *
err_attached(const struct err *e)
{
    return e ? e->attached : NULL;
}

enum err_kind
err_kind(const struct err *e)
{
    return e->kind;
}

const char *
err_kind_name(enum err_kind kind)
{
    return kind < N_ERR_KINDS ? kind_names[kind] : "unknown";
}

bool
err_kind_parse(const char *name, enum err_kind *ret_kind)
{
    for (int i = 0; i < N_ERR_KINDS; i++) {
        if (str_eq(name, kind_names[i])) {
            *ret_kind = (enum err_kind) i;
            return true;
        }
    }
    return false;
}

bool
err_is(const struct err *e, enum err_kind kind)
{
    return e && e->kind == kind;
}

int
err_errno(const struct err *e)
{
    return e->errnum;
}

const char *
err_text(const struct err *e)
{
    if (!e->what) {
        return e->why;
    }
    if (!e->text) {
        ((struct err *) e)->text = str_dupf("%s: %s", e->what, e->why); /* A cache. */
    }
    return e->text;
}

const char *
err_why(const struct err *e)
{
    return e->why;
}

const char *
err_what(const struct err *e)
{
    return e->what ? e->what : "";
}

const char *
err_next(const struct err *e)
{
    return e->hint;
}

const char *
err_where(const struct err *e)
{
    return e->where;
}

const char *
err_brief(struct err *e)
{
    if (!e->brief) {
        e->brief = e->code ? str_dupf("%d: %s", e->code, err_text(e))
                           : str_dupf("%s: %s", err_kind_name(e->kind), err_text(e));
    }
    return e->brief;
}

void
err_free(struct err *e)
{
    if (e) {
        free(e->why);
        free(e->what);
        free(e->hint);
        free(e->attached);
        free(e->text);
        free(e->brief);
        free(e);
    }
}

void
err_drop(struct err **e)
{
    err_free(*e);
    *e = NULL;
}
