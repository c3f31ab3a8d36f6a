/* tests/fuzz/fuzz_jsonrpc.c: messages as they come from any peer.  What is taken must keep the
 * rules of its kind. */
#include "wire/jsonrpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct jsonrpc_msg *msg;
    struct err *e = jsonrpc_msg_parse((const char *) data, n_bytes, &msg);
    if (e) {
        err_free(e);
        return 0;
    }
    bool is_call = msg->kind == JSONRPC_REQUEST || msg->kind == JSONRPC_NOTIFICATION;
    ASSERT((msg->method != NULL) == is_call);
    ASSERT((msg->params.type == JSON_ARRAY) == is_call);
    ASSERT((msg->id.type == JSON_NULL) == (msg->kind == JSONRPC_NOTIFICATION));
    jsonrpc_msg_free(msg);
    return 0;
}
