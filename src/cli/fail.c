/* cli/fail.c: failures in three lines:
 *
 *     byre: vm start demo: not done
 *       why:  volume default/demo.qcow2: no space left on device
 *       next: byre vm why demo
 */
#include "cli/fail_i.h"

#include "base/buf.h"
#include "base/str.h"

/* Above all codes of RFC 7047 and libvirt that an error may carry. */
#define EXIT_TAG 90000

struct err *
fail_as(struct err *e, enum exit_code code)
{
    return err_tag(e, EXIT_TAG + (int) code);
}

struct err *
fail_unless_name(const char *noun, const char *name)
{
    struct err *e = str_check_name(noun, name);
    return e ? fail_as(e, EXIT_USAGE) : NULL;
}

enum exit_code
fail_exit_code(const struct err *e)
{
    if (!e) {
        return EXIT_DONE;
    } else if (err_code(e) >= EXIT_TAG) {
        return (enum exit_code)(err_code(e) - EXIT_TAG);
    }
    switch (err_kind(e)) {
    case ERR_SYNTAX: return EXIT_USAGE;
    case ERR_NOT_FOUND: return EXIT_NOT_FOUND;
    case ERR_DENIED: return EXIT_DENIED;
    case ERR_TIMEOUT: return EXIT_TIMED_OUT;
    default: return EXIT_REFUSED;
    }
}

/* Text of the database ends in a full stop and may hold anything; one line, no control
 * bytes. */
static void
put_line(struct buf *b, const char *head, const char *text)
{
    buf_str(b, head);
    for (; *text; text++) {
        unsigned char c = (unsigned char) *text;
        buf_char(b, (char) (c == '\n' || c == '\t' ? ' ' : c < ' ' || c == 0x7f ? '?' : c));
    }
    buf_char(b, '\n');
}

static const char *
default_next(enum exit_code code)
{
    switch (code) {
    case EXIT_USAGE: return "byre help";
    case EXIT_NOT_FOUND: return "look at what there is: byre help names the lists";
    case EXIT_DENIED:
        return "run it as a user who may, or ask the administrator of this cluster";
    case EXIT_NOT_APPLIED: return "remove the cause and give the command again";
    case EXIT_TIMED_OUT: return "byre node list shows whether the host's agent is there";
    case EXIT_UNREACHABLE:
        return "is byred running?  Start it, or name another database by --db";
    default: return "nothing was changed; correct the command and give it again";
    }
}

void
fail_print(const struct err *e, const char *command, FILE *file)
{
    const char *what = err_what(e);
    const char *next = err_next(e);
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    put_line(&b, "byre: ", what[0] ? what : command[0] ? command : "it failed");
    put_line(&b, "  why:  ", err_why(e));
    put_line(&b, "  next: ", next ? next : default_next(fail_exit_code(e)));
    if (err_kind(e) == ERR_BUG) {
        buf_printf(&b, "  (%s)\n", err_where(e));
    }
    fwrite(b.data, 1, b.n, file); /* At once: others may write there too. */
}
