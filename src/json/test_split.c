/* json/test_split.c: long objects in pieces. */
#include "json/json.h"
#include "test.h"

static char *
pieces(const char *text, size_t want_bytes)
{
    struct buf out = BUF_INIT;
    struct json_split s;
    enum json_split_result result;
    json_split_init(&s, text, strlen(text));
    do {
        result = json_split_next(&s, want_bytes);
        if (result != JSON_SPLIT_BAD) {
            buf_add(&out, s.piece.data, s.piece.n);
        }
        buf_str(&out, result == JSON_SPLIT_PIECE ? " "
                      : result == JSON_SPLIT_BAD ? "!"
                                                 : "");
    } while (result == JSON_SPLIT_PIECE);
    json_split_done(&s);
    return buf_take(&out);
}

TEST(an_object_comes_in_pieces)
{
    static const struct {
        const char *text;
        size_t want_bytes;
        const char *pieces; /* "!": it is refused there. */
    } cases[] = {
        /* clang-format off */
        { "{\"T\":{\"a\":1,\"b\":[2,{}],\"c\":3},\"n\":4}", 6,
          "{\"T\":{\"a\":1,\"b\":[2,{}]}} {\"T\":{\"c\":3}} {\"n\":4}" },
        { "{\"T\":{\"a\":1,\"b\":2}}", 100, "{\"T\":{\"a\":1,\"b\":2}}" },
        { " { \"T\" : { \"a\" : 1 , \"b\" : 2 } } ", 1, "{\"T\":{ \"a\" : 1 }} {\"T\":{\"b\" : 2 }}" },
        { "{\"T\":{},\"U\":{}}", 1, "{\"T\":{}} {\"U\":{}}" },
        { "{\"T\":{\"}\\\"{\":\"],\\\\\"}}", 1, "{\"T\":{\"}\\\"{\":\"],\\\\\"}}" },
        { "{\"_comment\":\"a,b\",\"_date\":1}", 1, "{\"_comment\":\"a,b\"} {\"_date\":1}" },
        { "[1]", 1, "!" },
        { "", 1, "!" },
        { "{}", 1, "!" },
        { "{\"T\":{\"a\":1", 1, "!" },
        { "{\"T\":{\"a\":1}", 1, "!" },
        { "{\"T\":{\"a\":1}}x", 1, "!" },
        { "{\"T\":{\"a\":1,}}", 1, "!" },
        { "{\"T\":{\"a\":1},}", 1, "{\"T\":{\"a\":1}} !" },
        { "{\"T\":{},\"T\":{}}", 1, "{\"T\":{}} !" },
        { "{\"\\u0054\":{}}", 1, "!" },
        /* clang-format on */
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(free_drop) char *got = pieces(cases[i].text, cases[i].want_bytes);
        CHECK_STR(cases[i].text, got, cases[i].pieces);
    }
}
