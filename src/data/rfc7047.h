/* data/rfc7047.h: the errors of RFC 7047, whose tags and texts are a contract with clients.
 *
 * An error of the contract is a 'struct err' with an enum rfc_tag as its err_code(), the
 * "details" as its err_text() and the "syntax" (compact JSON with sorted members) as its
 * err_attached().  Texts are ovsdb-server's, word for word.
 * Source.  RFC 7047 section 3.1 and 5; ovsdb-server(7). */
#ifndef DATA_RFC7047_H
#define DATA_RFC7047_H 1

#include "base/base.h"
#include "base/buf.h"
#include "json/decode.h"
#include "json/json.h"

enum rfc_tag {
    RFC_NONE, /* No error of this contract. */
    RFC_SYNTAX,
    RFC_CONSTRAINT,
    RFC_REFERENTIAL,
    RFC_OVSDB, /* "ovsdb error": whatever has no tag of its own. */
    RFC_UNKNOWN_COLUMN,
    RFC_UNKNOWN_TABLE,
    RFC_UNKNOWN_DATABASE,
    RFC_UNKNOWN_FUNCTION,
    RFC_UNKNOWN_MUTATOR,
    RFC_DUP_UUID_NAME,
    RFC_DUP_UUID,
    RFC_DOMAIN,
    RFC_RANGE,
    RFC_TIMED_OUT,
    RFC_NOT_OWNER,
    RFC_NOT_ALLOWED,
    RFC_ABORTED,
    RFC_PERMISSION,
    RFC_INVALID_PARAMETERS,
    RFC_NOT_AVAILABLE, /* "database not available" */
    RFC_CANCELED,
    RFC_IO, /* "I/O error", with an "io-error" member from err_errno(). */
    N_RFC_TAGS,
};

/* 'syntax' may be NULL: then the error object has no such member. */
struct err *rfc_err_at(const char *where, enum rfc_tag, const struct json *syntax,
                       const char *fmt, ...) MUST_CHECK PRINTF(4, 5);
#define rfc_err(tag, ...) rfc_err_at(WHERE, tag, NULL, __VA_ARGS__)
#define rfc_syntax(json, ...) rfc_err_at(WHERE, RFC_SYNTAX, json, __VA_ARGS__)
#define rfc_err_json(tag, json, ...) rfc_err_at(WHERE, tag, json, __VA_ARGS__)

/* As decode_end(), and makes its failure a "syntax error" whose syntax is the whole object. */
struct err *rfc_decode_end(struct decode *, const struct json *object) MUST_CHECK;

const char *rfc_tag_name(enum rfc_tag); /* "constraint violation" */
/* The tag of a name that a server sent, or RFC_OVSDB. */
enum rfc_tag rfc_tag_find(const char *name);

/* {"error":TAG,"details":TEXT,"syntax":JSON}.  An error without a tag gets the one that its
 * kind suggests (ERR_SYNTAX: "syntax error", ERR_IO and ERR_NO_SPACE: "I/O error", ...). */
void rfc_print(const struct err *, struct buf *);
/* The reverse, for clients: an <error> object, or a bare string, as an error whose kind fits. */
struct err *rfc_parse(const struct json *) MUST_CHECK;

#endif /* data/rfc7047.h */
