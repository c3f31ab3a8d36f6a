/* tests/fuzz/fuzz_datum.c: values as people write them.  The first byte chooses the type; what can
 * be read must print, be read again and be the same. */
#include "base/str.h"
#include "data/datum.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static const char *const types[] = {
    "\"integer\"",
    "\"real\"",
    "\"boolean\"",
    "\"string\"",
    "\"uuid\"",
    "{\"key\":\"string\",\"min\":0}",
    "{\"key\":\"string\",\"min\":0,\"max\":\"unlimited\"}",
    "{\"key\":\"integer\",\"max\":3}",
    "{\"key\":\"string\",\"value\":\"string\",\"min\":0,\"max\":\"unlimited\"}",
    "{\"key\":\"integer\",\"value\":\"real\",\"min\":0,\"max\":2}",
    "{\"key\":{\"type\":\"string\",\"enum\":[\"set\",[\"a\",\"b c\"]]}}",
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (n_bytes == 0) {
        return 0;
    }
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(free_drop) char *text = str_dup_n((const char *) data + 1, n_bytes - 1);
    struct type type;
    struct json j;
    struct datum d, again;
    struct err *e = json_parse_str(&arena, types[data[0] % N_ELEMS(types)], &j);
    ASSERT(!e);
    e = type_parse(&type, &j);
    ASSERT(!e);

    e = datum_parse_text(&d, &type, text, NULL);
    if (!e) {
        CLEANUP(buf_done) struct buf printed = BUF_INIT;
        datum_print_text(&d, &type, &printed);
        e = datum_parse_text(&again, &type, buf_cstr(&printed), NULL);
        ASSERT(!e);
        /* Reals are printed with 15 digits: only the second round must be exact. */
        CLEANUP(buf_done) struct buf second = BUF_INIT;
        datum_print_text(&again, &type, &second);
        ASSERT(strcmp(buf_cstr(&printed), buf_cstr(&second)) == 0);
        datum_done(&d, &type);
        datum_done(&again, &type);
    }
    err_free(e);
    type_done(&type);
    return 0;
}
