/* base/err.h: why something failed.  A function that can fail returns 'struct err *': NULL is
 * success; else the caller owns it and must return it, handle it or err_free() it.
 *
 * The three lines that a person reads are: what (the chain of err_wrap()s), why (the text of
 * the innermost error) and what to do next (err_hint()).  Nobody compares text: branch on the
 * kind or on the code. */
#ifndef BASE_ERR_H
#define BASE_ERR_H 1

#include "base/base.h"

/* What a caller may branch on; the text is for people.  BUG: our invariant broke.
 * SYNTAX: the peer sent nonsense.  CONSTRAINT: well formed, but the schema or a limit says
 * no.  BUSY: may work later.  TIMEOUT: nobody knows whether it happened. */
/* clang-format off */
enum err_kind { ERR_BUG, ERR_SYNTAX, ERR_NOT_FOUND, ERR_EXISTS, ERR_CONSTRAINT, ERR_DENIED,
                ERR_UNSUPPORTED, ERR_NO_SPACE, ERR_BUSY, ERR_TIMEOUT, ERR_CANCELED, ERR_IO,
                N_ERR_KINDS };
/* clang-format on */
struct err; /* Opaque. */

struct err *err_new_at(const char *where, enum err_kind, int errnum, const char *fmt,
                       ...) MUST_CHECK PRINTF(4, 5);
#define err_new(kind, ...) err_new_at(WHERE, kind, 0, __VA_ARGS__)
/* 'errnum' is an errno; its text is appended (": No such file or directory").  ENOSPC and
 * EDQUOT become ERR_NO_SPACE, EACCES and EPERM ERR_DENIED, ENOENT ERR_NOT_FOUND, EEXIST
 * ERR_EXISTS, EBUSY ERR_BUSY, ETIMEDOUT ERR_TIMEOUT, the others ERR_IO. */
#define err_io(errnum, ...) err_new_at(WHERE, ERR_IO, errnum, __VA_ARGS__)

/* Takes 'e', prepends "<text>: ", returns it.  NULL stays NULL. */
struct err *err_wrap(struct err *e, const char *fmt, ...) MUST_CHECK PRINTF(2, 3);

/* Takes 'e', sets what the user should do next unless something deeper already did. */
struct err *err_hint(struct err *e, const char *fmt, ...) MUST_CHECK PRINTF(2, 3);

/* A room that speaks a foreign contract (RFC 7047, libvirt) hangs its code on the error;
 * wrapping keeps it.  0 if none. */
struct err *err_tag(struct err *e, int code) MUST_CHECK;
int err_code(const struct err *e);
/* A text that belongs to that foreign contract besides (RFC 7047's "syntax").  Takes both. */
struct err *err_attach(struct err *e, char *text) MUST_CHECK;
const char *err_attached(const struct err *e); /* NULL if none. */

enum err_kind err_kind(const struct err *e);
const char *err_kind_name(enum err_kind);                       /* "not-found" */
bool err_kind_parse(const char *name, enum err_kind *ret_kind); /* The reverse. */
bool err_is(const struct err *e, enum err_kind);                /* False for NULL. */
int err_errno(const struct err *e);                             /* 0 if none. */
const char *err_text(const struct err *e);  /* "ring cpu: open ./nope: No such file" */
const char *err_why(const struct err *e);   /* The innermost text alone. */
const char *err_what(const struct err *e);  /* The wraps alone, "" if none. */
const char *err_next(const struct err *e);  /* The hint, or NULL. */
const char *err_where(const struct err *e); /* "src/base/fs.c:12", for logs. */

/* For tests: "<code>: <text>", or "<kind>: <text>" without a code.  Lives as long as 'e'. */
const char *err_brief(struct err *e);

void err_free(struct err *e);  /* NULL is fine. */
void err_drop(struct err **e); /* For CLEANUP(). */

/* Return early with a failure.  Only where every resource has a CLEANUP(). */
#define TRY(expr)                                                                          \
    do {                                                                                   \
        struct err *e_ = (expr);                                                           \
        if (e_) {                                                                          \
            return e_;                                                                     \
        }                                                                                  \
    } while (0)

#endif /* base/err.h */
