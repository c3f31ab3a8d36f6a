/* json/json_i.h: what the files of this room share. */
#ifndef JSON_JSON_I_H
#define JSON_JSON_I_H 1

#include "json/json.h"

/* Reads the number that begins at 'text' and ends before 'end' (which need not be readable).
 * Returns where it ended, or NULL with a reason in *ret_why. */
const char *json_number_parse(const char *text, const char *end, struct json *ret,
                              const char **ret_why);

/* Where the plain part of a string ends: at a quote, a backslash, a control character, or 'end'.  Eight
 * bytes at a time: of those that are 0 after the exclusive or (or below 0x20), the lowest shows. */
static inline const char *
json_plain_end(const char *s, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t ones = UINT64_C(0x0101010101010101);
    while (end - s >= 8) {
        uint64_t w, quote, slash;
        memcpy(&w, s, sizeof w);
        quote = w ^ ones * '"';
        slash = w ^ ones * '\\';
        uint64_t hit = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
                       ((w - ones * 0x20) & ~w);
        if (hit & ones << 7) {
            return s + __builtin_ctzll(hit & ones << 7) / 8;
        }
        s += 8;
    }
#endif
    while (s < end && (unsigned char) *s >= 0x20 && *s != '"' && *s != '\\') {
        s++;
    }
    return s;
}

#endif /* json/json_i.h */
