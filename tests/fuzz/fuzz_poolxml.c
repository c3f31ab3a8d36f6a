/* tests/fuzz/fuzz_poolxml.c: pool XML.  What is accepted prints as XML that is accepted again and
 * prints the same. */
#include "base/str.h"
#include "store/poolxml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    CLEANUP(pool_done) struct pool pool;
    pool_init(&pool);
    CLEANUP(err_drop) struct err *e = poolxml_parse((const char *) data, n_bytes, &pool);
    if (e) {
        return 0;
    }
    CLEANUP(buf_done) struct buf once = BUF_INIT;
    CLEANUP(buf_done) struct buf twice = BUF_INIT;
    CLEANUP(pool_done) struct pool again;
    pool_init(&again);
    poolxml_format(&pool, &once);
    struct err *e2 = poolxml_parse(once.data, once.n, &again);
    ASSERT(!e2);
    poolxml_format(&again, &twice);
    ASSERT(str_eq(buf_cstr(&once), buf_cstr(&twice)));
    return 0;
}
