/* cli/suggest_i.h: "did you mean".  Pure. */
#ifndef CLI_SUGGEST_I_H
#define CLI_SUGGEST_I_H 1

#include "base/base.h"
#include "base/str.h"

/* Edits (insert, delete, replace, swap of neighbours) from 'a' to 'b', case ignored. */
size_t edit_distance(const char *a, const char *b);

/* The candidate nearest to 'word', or NULL when none is near enough to be meant: at most
 * a third of the word's letters wrong, or the word begins it.  Borrowed from
 * 'candidates'. */
const char *suggest(const char *word, const struct strvec *candidates);

/* True if 'pattern' has a glob character ("*", "?", "["). */
bool is_glob(const char *pattern);

#endif /* cli/suggest_i.h */
