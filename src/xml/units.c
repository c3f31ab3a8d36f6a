/* xml/units.c: scaled sizes. */
#include "xml/units.h"

#include <strings.h>

#include "base/str.h"

/* 2^10 or 10^3 per step; 0 if the unit is unknown. */
static uint64_t
unit_factor(const char *unit)
{
    if (!unit || !*unit || strcasecmp(unit, "b") == 0 || strcasecmp(unit, "byte") == 0 ||
        strcasecmp(unit, "bytes") == 0) {
        return 1;
    }
    static const char letters[] = "kmgtpe";
    const char *at = memchr(letters, unit[0] | 0x20, 6);
    if (!at) {
        return 0;
    }
    uint64_t base;
    if (!unit[1] || strcasecmp(unit + 1, "iB") == 0) {
        base = 1024;
    } else if (strcasecmp(unit + 1, "B") == 0) {
        base = 1000;
    } else {
        return 0;
    }
    uint64_t factor = base;
    for (const char *p = letters; p < at; p++) {
        factor *= base;
    }
    return factor;
}

struct err *
units_to_bytes(const char *number, const char *unit, int64_t *ret_bytes)
{
    uint64_t n;
    if (!number || !str_to_u64(number, &n)) {
        return err_new(ERR_SYNTAX, "'%s' is no plain decimal number", number ? number : "");
    }
    uint64_t factor = unit_factor(unit);
    if (!factor) {
        return err_new(ERR_UNSUPPORTED, "unknown suffix '%s'", unit);
    }
    if (n && n > (uint64_t) INT64_MAX / factor) {
        return err_new(ERR_CONSTRAINT, "value too large: %" PRIu64 "%s", n,
                       unit ? unit : "");
    }
    *ret_bytes = (int64_t) (n * factor);
    return NULL;
}
