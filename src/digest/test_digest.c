/* digest/test_digest.c: the examples of FIPS 180-4. */
#include "digest/digest.h"
#include "test.h"

static const struct digest_case {
    const char *why, *text, *want;
    size_t times;
} cases[] = {
    /* clang-format off */
    { "nothing", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 1 },
    { "one block", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 1 },
    { "in many parts", "a", "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", 1000000 },
    /* clang-format on */
};

TEST(digests)
{
    for (const struct digest_case *c = cases; c < cases + N_ELEMS(cases); c++) {
        CLEANUP(digest_drop) struct digest *d = digest_new();
        char got[DIGEST_CHARS + 1];
        for (size_t i = 0; i < c->times; i++) {
            digest_add(d, c->text, strlen(c->text));
        }
        digest_text(d, got);
        CHECK_STR(c->why, got, c->want);
        CHECK("it is one", digest_is_text(got));
    }
}

TEST(what_is_no_digest)
{
    CHECK("capitals",
          !digest_is_text(
              "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"));
    CHECK("too short", !digest_is_text("e3b0"));
    CHECK("a newline behind it",
          !digest_is_text(
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85\n"));
}

TEST(random_keys)
{
    char one[DIGEST_CHARS + 1], two[DIGEST_CHARS + 1];
    CHECK_OK("a key", digest_random_key(one));
    CHECK_OK("another", digest_random_key(two));
    CHECK("they differ",
          strcmp(one, two) != 0 && digest_is_text(one) && digest_is_text(two));
}
