/* json/test_oracle.h: jansson as the judge.  Apart from json.h, because both use the same names
 * (the room's symbols are hidden, so the two can be linked together). */
#ifndef JSON_TEST_ORACLE_H
#define JSON_TEST_ORACLE_H 1

#include <stddef.h>

struct buf;

/* Appends what jansson read: members sorted, every number as "%.17g" of its double.
 * False if jansson refuses the text. */
_Bool oracle_canonical(const char *text, size_t n_bytes, struct buf *out);

#endif /* json/test_oracle.h */
