/* base/when.h: points in time as people type them. */
#ifndef BASE_WHEN_H
#define BASE_WHEN_H 1

#include "base/base.h"

/* "now"; "24h", "7d", "30m", "2w" (so long ago; a leading "-" is fine); "2026-11", "2026-11-22", "2026-11-22 10:00[:00]" (this
 * machine's time zone; a "T" between is fine, and a "Z" behind makes it UTC); "@1400000000".  Seconds since 1970 UTC. */
struct err *when_parse(const char *text, int64_t now_s, int64_t *ret_s) MUST_CHECK;

#endif /* base/when.h */
