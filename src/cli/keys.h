/* cli/keys.h: keys by name, and text as keys.  Pure.
 *
 * Source.  Codes are Linux's (linux/input-event-codes.h), which libvirt takes as its code set "linux".  Names are its
 *          own without KEY_, in any case, and what people say instead (ctrl, alt, del, pgup). */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H 1

#include "base/arena.h"
#include "json/json.h"

#define KEYS_TOGETHER_MAX 16

/* "ctrl-alt-delete" into [29,56,111].  ERR_SYNTAX names the key that there is none of. */
struct err *keys_parse(struct arena *, const char *chord, struct json *ret) MUST_CHECK;

/* Adds to 'list' the keys that type the text on a keyboard of the layout us: [[42,35],[23],...].  ERR_UNSUPPORTED: a
 * character that is not on it. */
struct err *keys_of_text(struct arena *, const char *text, size_t n,
                         struct json *list) MUST_CHECK;

#endif /* cli/keys.h */
