/* store/code.c: one table of libvirt's error numbers. */
#include "store/code.h"

#include "base/str.h"

/* The prefixes are those of libvirt's virErrorMsg(). */
static const struct code_row {
    enum store_code code;
    enum err_kind kind;
    const char *prefix;
} codes[] = {
    { VE_INTERNAL, ERR_IO, "internal error: " },
    { VE_NO_SUPPORT, ERR_UNSUPPORTED,
      "this function is not supported by the connection driver: " },
    { VE_INVALID_ARG, ERR_CONSTRAINT, "invalid argument: " },
    { VE_OPERATION_FAILED, ERR_CONSTRAINT, "operation failed: " },
    { VE_XML_ERROR, ERR_SYNTAX, "XML error: " },
    { VE_OPERATION_DENIED, ERR_DENIED, "operation " },
    { VE_XML_DETAIL, ERR_SYNTAX, "" },
    { VE_SYSTEM_ERROR, ERR_IO, "" },
    { VE_NO_POOL, ERR_NOT_FOUND, "Storage pool not found: " },
    { VE_NO_VOL, ERR_NOT_FOUND, "Storage volume not found: " },
    { VE_OPERATION_INVALID, ERR_CONSTRAINT, "Requested operation is not valid: " },
    { VE_NO_SECRET, ERR_NOT_FOUND, "Secret not found: " },
    { VE_CONFIG_UNSUPPORTED, ERR_UNSUPPORTED, "unsupported configuration: " },
    { VE_ARGUMENT_UNSUPPORTED, ERR_UNSUPPORTED, "argument unsupported: " },
    { VE_PROBE_FAILED, ERR_IO, "Storage pool probe failed: " },
    { VE_POOL_BUILT, ERR_EXISTS, "Storage pool already built: " },
    { VE_OVERFLOW, ERR_CONSTRAINT, "numerical overflow: " },
    { VE_OPERATION_UNSUPPORTED, ERR_UNSUPPORTED, "Operation not supported: " },
    { VE_VOL_EXISTS, ERR_EXISTS, "" },
    { VE_XML_INVALID_SCHEMA, ERR_SYNTAX,
      "XML document failed to validate against schema: " },
};

static const struct code_row *
row_find(int code)
{
    for (size_t i = 0; i < N_ELEMS(codes); i++) {
        if ((int) codes[i].code == code) {
            return &codes[i];
        }
    }
    return NULL;
}

enum err_kind
store_code_kind(enum store_code code)
{
    const struct code_row *row = row_find(code);
    ASSERT(row);
    return row->kind;
}

const char *
store_code_prefix(int code)
{
    const struct code_row *row = row_find(code);
    return row ? row->prefix : "";
}

char *
store_err_message(const struct err *e)
{
    return str_dupf("%s%s", store_code_prefix(err_code(e)), err_why(e));
}
