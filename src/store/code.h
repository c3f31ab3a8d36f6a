/* store/code.h: libvirt's error numbers, with the prefix each puts before its text.
 *
 * store_err() is the only way to raise one.  The error carries the number (err_code()), the
 * text without the prefix, and the kind that Byre's own code branches on. */
#ifndef STORE_CODE_H
#define STORE_CODE_H 1

#include "base/base.h"

/* virErrorNumber of libvirt/virterror.h; the values are its ABI. */
enum store_code {
    VE_INTERNAL = 1,
    VE_NO_SUPPORT = 3,
    VE_INVALID_ARG = 8,
    VE_OPERATION_FAILED = 9,
    VE_XML_ERROR = 27,
    VE_OPERATION_DENIED = 29,
    VE_XML_DETAIL = 35,
    VE_SYSTEM_ERROR = 38,
    VE_NO_POOL = 49,
    VE_NO_VOL = 50,
    VE_OPERATION_INVALID = 55,
    VE_NO_SECRET = 66,
    VE_CONFIG_UNSUPPORTED = 67,
    VE_ARGUMENT_UNSUPPORTED = 74,
    VE_PROBE_FAILED = 75,
    VE_POOL_BUILT = 76,
    VE_OVERFLOW = 82,
    VE_OPERATION_UNSUPPORTED = 84,
    VE_VOL_EXISTS = 90,
    VE_XML_INVALID_SCHEMA = 92,
};

#define store_err(code, ...) err_tag(err_new(store_code_kind(code), __VA_ARGS__), code)
/* With an errno's text at the end, code VE_SYSTEM_ERROR. */
#define store_err_io(errnum, ...) err_tag(err_io(errnum, __VA_ARGS__), VE_SYSTEM_ERROR)

enum err_kind store_code_kind(enum store_code);
/* "Requested operation is not valid: " for 55; "" where there is none. */
const char *store_code_prefix(int code);
/* The whole message as libvirt's clients see it: prefix and text.  The caller frees it. */
char *store_err_message(const struct err *);

#endif /* store/code.h */
