/* xml/units.h: libvirt's scaled sizes: a number with a unit beside it. */
#ifndef XML_UNITS_H
#define XML_UNITS_H 1

#include "base/base.h"

/* Bytes of 'number' (plain decimal digits) in 'unit' (NULL or "": bytes; b byte bytes; k m g t
 * p e and KiB ...: powers of 1024; KB MB ...: powers of 1000; case ignored).  ERR_SYNTAX no
 * number; ERR_UNSUPPORTED "unknown suffix 'X'"; ERR_CONSTRAINT "value too large: N" above
 * 2^63-1. */
struct err *units_to_bytes(const char *number, const char *unit,
                           int64_t *ret_bytes) MUST_CHECK;

#endif /* xml/units.h */
