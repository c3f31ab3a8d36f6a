/* cli/suggest.c: the nearest of a few words to one that was mistyped.
 *
 * The distance is Damerau's, restricted to swaps of neighbours ("optimal string
 * alignment"): the four slips of a typist cost one each.  Words are short, so the
 * quadratic table is nothing. */
#include "cli/suggest_i.h"

#include <ctype.h>

#define WORD_MAX                                                                           \
    64 /* Longer words are not compared: nobody mistypes a known word to that. */

static bool
same_letter(char a, char b)
{
    return tolower((unsigned char) a) == tolower((unsigned char) b);
}

size_t
edit_distance(const char *a, const char *b)
{
    size_t n_a = strlen(a);
    size_t n_b = strlen(b);
    if (n_a > WORD_MAX || n_b > WORD_MAX) {
        return SIZE_MAX;
    }

    size_t d[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= n_a; i++) {
        d[i][0] = i;
    }
    for (size_t j = 0; j <= n_b; j++) {
        d[0][j] = j;
    }
    for (size_t i = 1; i <= n_a; i++) {
        for (size_t j = 1; j <= n_b; j++) {
            size_t best = d[i - 1][j - 1] + !same_letter(a[i - 1], b[j - 1]);
            best = (size_t) min64((int64_t) best, (int64_t) d[i - 1][j] + 1);
            best = (size_t) min64((int64_t) best, (int64_t) d[i][j - 1] + 1);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                same_letter(a[i - 2], b[j - 1])) {
                best = (size_t) min64((int64_t) best, (int64_t) d[i - 2][j - 2] + 1);
            }
            d[i][j] = best;
        }
    }
    return d[n_a][n_b];
}

const char *
suggest(const char *word, const struct strvec *candidates)
{
    size_t allowed = strlen(word) / 3 + 1;
    const char *nearest = NULL;
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < candidates->n; i++) {
        size_t distance = edit_distance(word, candidates->v[i]);
        bool begins = strlen(word) >= 2 && str_starts(candidates->v[i], word);
        /* Two letters may not both be wrong: "vm" is no slip for "to". */
        if (!begins && (distance > allowed || distance >= strlen(word))) {
            continue;
        }
        if (begins) {
            distance = 0;
        }
        if (distance < least) {
            least = distance;
            nearest = candidates->v[i];
        }
    }
    return nearest;
}

bool
is_glob(const char *pattern)
{
    return strpbrk(pattern, "*?[") != NULL;
}
