/* loop/child_result.c: a child's result and command, for people. */
#include "loop/child.h"

#include <string.h>

void
child_result_done(struct child_result *r)
{
    buf_done(&r->out);
    buf_done(&r->err);
}

/* The last line that is not blank, or "". */
static char *
last_line(const struct buf *text)
{
    size_t end = text->n;
    while (end > 0 && strchr(" \t\r\n", text->data[end - 1])) {
        end--;
    }
    size_t start = end;
    while (start > 0 && text->data[start - 1] != '\n' && text->data[start - 1] != '\r') {
        start--;
    }
    struct buf line = BUF_INIT;
    buf_add(&line, text->data ? text->data + start : "", end - start);
    return buf_take(&line);
}

struct err *
child_result_check(const struct child_result *r, const struct child_spec *spec)
{
    const char *program = spec->argv[0];
    if (r->exit_status == 0) {
        return NULL;
    } else if (r->timed_out) {
        return err_new(
            ERR_TIMEOUT, "%s did not end within %" PRId64 " s%s", program,
            (spec->deadline_ms + 999) / 1000,
            r->stuck ? " and cannot be killed (it waits for a device or a server)" : "");
    } else if (r->canceled) {
        return err_new(ERR_CANCELED, "%s was canceled", program);
    } else if (r->signal) {
        return err_new(ERR_IO, "%s was killed by signal %d (%s)", program, r->signal,
                       strsignal(r->signal));
    }
    CLEANUP(free_drop) char *why = last_line(&r->err);
    return err_tag(err_new(ERR_IO, "%s failed (exit status %d)%s%s", program,
                           r->exit_status, *why ? ": " : "", why),
                   r->exit_status);
}

static bool
is_plain(const char *arg)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-+=./:,@%^";
    return *arg && arg[strspn(arg, plain)] == '\0';
}

char *
child_text(const char *const *argv)
{
    struct buf text = BUF_INIT;
    for (size_t i = 0; argv[i]; i++) {
        if (i > 0) {
            buf_char(&text, ' ');
        }
        if (is_plain(argv[i])) {
            buf_str(&text, argv[i]);
            continue;
        }
        buf_char(&text, '\'');
        for (const char *s = argv[i]; *s; s++) {
            if (*s == '\'') {
                buf_str(&text, "'\\''");
            } else {
                buf_char(&text, *s);
            }
        }
        buf_char(&text, '\'');
    }
    return buf_take(&text);
}
