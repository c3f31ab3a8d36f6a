/* cli/keys.c: see keys.h. */
#include "cli/keys.h"

#include <ctype.h>
#include <strings.h>

#include "base/str.h"

#define KEY_LEFTSHIFT 42

/* clang-format off */
static const struct {
    const char *name;
    int code;
} names[] = {
    { "esc", 1 }, { "escape", 1 }, { "minus", 12 }, { "equal", 13 }, { "backspace", 14 }, { "tab", 15 },
    { "leftbrace", 26 }, { "rightbrace", 27 }, { "enter", 28 }, { "return", 28 },
    { "ctrl", 29 }, { "control", 29 }, { "leftctrl", 29 }, { "semicolon", 39 }, { "apostrophe", 40 }, { "grave", 41 },
    { "shift", 42 }, { "leftshift", 42 }, { "backslash", 43 }, { "comma", 51 }, { "dot", 52 }, { "slash", 53 },
    { "rightshift", 54 }, { "kpasterisk", 55 }, { "alt", 56 }, { "leftalt", 56 }, { "space", 57 }, { "capslock", 58 },
    { "f1", 59 }, { "f2", 60 }, { "f3", 61 }, { "f4", 62 }, { "f5", 63 }, { "f6", 64 }, { "f7", 65 }, { "f8", 66 },
    { "f9", 67 }, { "f10", 68 }, { "numlock", 69 }, { "scrolllock", 70 }, { "kpminus", 74 }, { "kpplus", 78 },
    { "f11", 87 }, { "f12", 88 }, { "kpenter", 96 }, { "rightctrl", 97 }, { "sysrq", 99 }, { "print", 99 },
    { "rightalt", 100 }, { "altgr", 100 }, { "home", 102 }, { "up", 103 }, { "pageup", 104 }, { "pgup", 104 },
    { "left", 105 }, { "right", 106 }, { "end", 107 }, { "down", 108 }, { "pagedown", 109 }, { "pgdn", 109 },
    { "insert", 110 }, { "ins", 110 }, { "delete", 111 }, { "del", 111 }, { "power", 116 }, { "pause", 119 },
    { "meta", 125 }, { "super", 125 }, { "win", 125 }, { "leftmeta", 125 }, { "rightmeta", 126 }, { "menu", 127 },
    { "compose", 127 },
};

/* The rows of the keyboard: plain, with shift, and the code of the first key. */
static const struct {
    const char *plain, *shifted;
    int first;
} rows[] = {
    { "1234567890-=", "!@#$%^&*()_+", 2 },
    { "qwertyuiop[]", "QWERTYUIOP{}", 16 },
    { "asdfghjkl;'`", "ASDFGHJKL:\"~", 30 },
    { "\\zxcvbnm,./", "|ZXCVBNM<>?", 43 },
    { " ", "", 57 }, { "\n", "", 28 }, { "\t", "", 15 }, { "\b", "", 14 }, { "\033", "", 1 },
};
/* clang-format on */

/* 0: not on the keyboard. */
static int
code_of_char(char c, bool *ret_shift)
{
    for (size_t i = 0; c && i < N_ELEMS(rows); i++) {
        const char *plain = strchr(rows[i].plain, c), *shifted = strchr(rows[i].shifted, c);
        if (plain || shifted) {
            *ret_shift = !plain;
            return rows[i].first +
                   (int) (plain ? plain - rows[i].plain : shifted - rows[i].shifted);
        }
    }
    return 0;
}

static int
code_of_name(const char *name)
{
    bool shift;
    if (strncasecmp(name, "KEY_", 4) == 0) {
        name += 4;
    }
    for (size_t i = 0; i < N_ELEMS(names); i++) {
        if (strcasecmp(name, names[i].name) == 0) {
            return names[i].code;
        }
    }
    return name[0] && !name[1]
               ? code_of_char((char) tolower((unsigned char) name[0]), &shift)
               : 0;
}

struct err *
keys_parse(struct arena *a, const char *chord, struct json *ret)
{
    struct strvec words = STRVEC_INIT;
    struct json codes = json_array();
    struct err *e = NULL;

    strvec_split(&words, chord, "-+");
    for (size_t i = 0; i < words.n && !e; i++) {
        int code = code_of_name(words.v[i]);
        if (!code) {
            e = err_hint(err_new(ERR_SYNTAX, "there is no key \"%s\"", words.v[i]),
                         "ctrl-alt-delete, f2, enter, a; the minus key is called minus");
        } else if (codes.n == KEYS_TOGETHER_MAX) {
            e = err_new(ERR_SYNTAX, "at most %d keys are pressed together",
                        KEYS_TOGETHER_MAX);
        } else {
            json_add(a, &codes, json_int(code));
        }
    }
    if (!e && words.n == 0) {
        e = err_new(ERR_SYNTAX, "\"%s\" names no key", chord);
    }
    strvec_done(&words);
    *ret = codes;
    return e;
}

struct err *
keys_of_text(struct arena *a, const char *text, size_t n, struct json *list)
{
    for (size_t i = 0; i < n; i++) {
        bool shift = false;
        int code = code_of_char(text[i], &shift);
        struct json keys = json_array();
        if (!code) {
            return err_hint(
                err_new(ERR_UNSUPPORTED,
                        "byte %zu of the text is no character of the keyboard us", i + 1),
                "type what is on it, and paste the rest through the console");
        }
        if (shift) {
            json_add(a, &keys, json_int(KEY_LEFTSHIFT));
        }
        json_add(a, &keys, json_int(code));
        json_add(a, list, keys);
    }
    return NULL;
}
