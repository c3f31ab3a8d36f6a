/* tests/fuzz/fuzz_schema.c: what is a schema must print, be read again and be the same (as text: its
 * reals have 15 digits, like the reference's); an empty database of it must come up. */
#include "data/schema.h"
#include "db/db.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    CLEANUP(schema_drop) struct schema *again = NULL;
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    CLEANUP(buf_done) struct buf text_again = BUF_INIT;

    struct err *e = schema_parse_text((const char *) data, n_bytes, &schema);
    if (e) {
        err_free(e);
        return 0;
    }
    schema_print(schema, &text);
    e = schema_parse_text(text.data, text.n, &again);
    ASSERT(!e);
    schema_print(again, &text_again);
    ASSERT(strcmp(buf_cstr(&text), buf_cstr(&text_again)) == 0);
    db_free(db_new(schema));
    return 0;
}
