/* json/frame.c: where a JSON text ends in a stream.  Counts brackets outside of strings and
 * checks nothing else: a text that is wrong inside is the parser's to refuse. */
#include "json/json.h"
#include "json/json_i.h"

/* Of the bytes outside of strings, those that mean something here. */
static const bool marks[256] = {
    ['"'] = true, ['{'] = true, ['['] = true, ['}'] = true, [']'] = true
};

static inline bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Up to and including the closing quote, or to the end. */
static const char *
skip_string(struct json_framer *f, const char *s, const char *end)
{
    while (s < end) {
        if (f->in_escape) {
            f->in_escape = false;
            s++;
            continue;
        }
        s = json_plain_end(s, end);
        if (s < end && *s == '"') {
            f->in_string = false;
            return s + 1;
        }
        f->in_escape = s < end && *s == '\\';
        s += s < end;
    }
    return end;
}

struct err *
json_frame(struct json_framer *f, const char *bytes, size_t n_bytes, size_t *ret_consumed,
           bool *ret_complete)
{
    const char *s = bytes, *end = bytes + n_bytes;

    if (!f->started) {
        while (s < end && is_space(*s)) {
            s++;
        }
        if (s < end && *s != '{' && *s != '[') {
            return err_new(ERR_SYNTAX,
                           "a message must begin with '{', not with byte 0x%02x",
                           (unsigned char) *s);
        }
        f->started = s < end;
    }
    while (s < end) {
        if (f->in_string) {
            s = skip_string(f, s, end);
            continue;
        }
        while (s < end && !marks[(unsigned char) *s]) {
            s++;
        }
        if (s == end) {
            break;
        }
        char c = *s++;
        if (c == '"') {
            f->in_string = true;
        } else if (c == '{' || c == '[') {
            if (++f->depth > JSON_MAX_DEPTH) {
                return err_new(ERR_SYNTAX, "input exceeds maximum nesting depth %d",
                               JSON_MAX_DEPTH);
            }
        } else if (--f->depth == 0) {
            *f = JSON_FRAMER_INIT;
            *ret_consumed = (size_t) (s - bytes);
            *ret_complete = true;
            return NULL;
        }
    }
    *ret_consumed = n_bytes;
    *ret_complete = false;
    return NULL;
}
