/* base/clock.h: the two clocks.  Only rims read them; pure code gets the time as an argument. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H 1

#include <stdint.h>

int64_t clock_mono_ms(void); /* Never jumps; for waiting. */
int64_t clock_mono_ns(void);
int64_t clock_wall_ms(void); /* Since 1970-01-01 UTC; for people. */

#endif /* base/clock.h */
