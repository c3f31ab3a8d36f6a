/* cli/test_keys.c: keys by name and by text, as codes. */
#include "test.h"

#include "base/buf.h"
#include "cli/keys.h"

static const struct {
    const char *chord, *want; /* JSON, or the error. */
} chords[] = {
    { "ctrl-alt-delete", "[29,56,111]" },
    { "Ctrl+Alt+F2", "[29,56,60]" },
    { "KEY_ENTER", "[28]" },
    { "a", "[30]" },
    { "A", "[30]" },
    { "shift-1", "[42,2]" },
    { "minus", "[12]" },
    { "alt-sysrq-b", "[56,99,48]" },
    { "hyper", "there is no key \"hyper\"" },
    { "-", "\"-\" names no key" },
    { "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a", "at most 16 keys are pressed together" },
};

static const struct {
    const char *text, *want;
} texts[] = {
    { "Hi!\n", "[[42,35],[23],[42,2],[28]]" },
    { "a_b-c", "[[30],[42,12],[48],[12],[46]]" },
    { "~`|\\<>?/", "[[42,41],[41],[42,43],[43],[42,51],[42,52],[42,53],[53]]" },
    { "", "[]" },
    { "caf\303\251", "byte 4 of the text is no character of the keyboard us" },
};

static void
check(const char *why, struct err *e, const struct json *got, const char *want)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    if (e) {
        CHECK_STR(why, err_why(e), want);
        err_free(e);
    } else {
        json_print(got, 0, &b);
        CHECK_STR(why, buf_cstr(&b), want);
    }
}

TEST(keys_by_name)
{
    for (size_t i = 0; i < N_ELEMS(chords); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct json got;
        struct err *e = keys_parse(&a, chords[i].chord, &got);
        check(chords[i].chord, e, &got, chords[i].want);
    }
}

TEST(text_as_keys)
{
    for (size_t i = 0; i < N_ELEMS(texts); i++) {
        CLEANUP(arena_done) struct arena a = ARENA_INIT;
        struct json got = json_array();
        struct err *e = keys_of_text(&a, texts[i].text, strlen(texts[i].text), &got);
        check(texts[i].text, e, &got, texts[i].want);
    }
}
