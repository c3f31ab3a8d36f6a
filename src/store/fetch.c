/* store/fetch.c: URLs and lists of checksums. */
#include "store/fetch.h"

#include <ctype.h>
#include <stdio.h>

#include "base/str.h"

#define SUM_CHARS 64

static struct err *
wrong(const char *what, const char *next)
{
    return err_hint(err_new(ERR_SYNTAX, "%s", what), "%s", next);
}

/* Of a well-formed start; else NULL. */
static const char *
authority(const char *url)
{
    const char *mark = strstr(url, "://");
    size_t n = mark ? (size_t) (mark - url) : 0;
    bool known =
        (n == 4 && memcmp(url, "http", 4) == 0) || (n == 5 && memcmp(url, "https", 5) == 0);
    return known ? mark + strlen("://") : NULL;
}

static bool
is_plain(const char *url)
{
    for (; *url; url++) {
        if (*url <= ' ' || *url > '~' || strchr("\"\\<>^`{|}", *url)) {
            return false;
        }
    }
    return true;
}

static bool
is_sum(const char *text)
{
    return strspn(text, "0123456789abcdef") == SUM_CHARS && text[SUM_CHARS] == '\0';
}

struct err *
fetch_check(const char *url, const char *sha256)
{
    const char *host = authority(url);
    size_t n = host ? strcspn(host, "/?#") : 0;

    if (strlen(url) > FETCH_URL_MAX) {
        return wrong("the URL is too long", "it has 2048 bytes at most");
    } else if (!host) {
        return wrong("the URL is neither http:// nor https://",
                     "a file of this host is given by its path");
    } else if (n == 0 || host[0] == ':') {
        return wrong("the URL has no host", "https://HOST/PATH");
    } else if (memchr(host, '@', n)) {
        return wrong("the URL holds a user's name or password",
                     "everybody who may read the database would see it; get the file "
                     "yourself and give its path");
    } else if (!is_plain(url)) {
        return wrong("the URL has a character that must be written as %XX",
                     "a space is %20");
    } else if (sha256 && !is_sum(sha256)) {
        return wrong("a SHA-256 is 64 small hexadecimal digits", "as sha256sum prints it");
    }
    return NULL;
}

const char *
fetch_base(const char *url, char *room, size_t n_room)
{
    const char *host = authority(url), *path = host ? strchr(host, '/') : NULL;
    size_t n = path ? strcspn(path, "?#") : 0;
    size_t begin = n;
    while (begin > 0 && path[begin - 1] != '/') {
        begin--;
    }
    snprintf(room, n_room, "%.*s", (int) (n - begin), path ? path + begin : "");
    return room;
}

/* "HEX  NAME", "HEX *NAME", "SHA256 (NAME) = HEX"; writes 'ret' if the line is of 'name'. */
static bool
read_line(const char *line, size_t n, const char *name, char ret[SUM_CHARS + 1])
{
    static const char tag[] = "SHA256 (";
    CLEANUP(free_drop) char *text = str_dup_n(line, n);
    char *digits = text, *said;

    while (n > 0 && isspace((unsigned char) text[n - 1])) {
        text[--n] = '\0';
    }
    if (str_starts(text, tag)) {
        said = text + strlen(tag);
        char *end = strstr(said, ") = ");
        if (!end) {
            return false;
        }
        *end = '\0';
        digits = end + strlen(") = ");
    } else if (n > SUM_CHARS + 2 && text[SUM_CHARS] == ' ' &&
               (text[SUM_CHARS + 1] == ' ' || text[SUM_CHARS + 1] == '*')) {
        text[SUM_CHARS] = '\0';
        said = text + SUM_CHARS + 2;
        said += str_starts(said, "./") ? 2 : 0;
    } else {
        return false;
    }
    for (char *p = digits; *p; p++) {
        *p = (char) tolower((unsigned char) *p);
    }
    if (!str_eq(said, name) || !is_sum(digits)) {
        return false;
    }
    memcpy(ret, digits, SUM_CHARS + 1);
    return true;
}

struct err *
fetch_find_sum(const char *list, const char *name, char ret[SUM_CHARS + 1])
{
    while (*list) {
        size_t n = strcspn(list, "\n");
        if (read_line(list, n, name, ret)) {
            return NULL;
        }
        list += n + (list[n] == '\n');
    }
    return err_hint(err_new(ERR_NOT_FOUND, "the list has no SHA-256 for \"%s\"", name),
                    "look into it, and give --sha256");
}
