/* priv/line_i.h: lines over a socket that blocks, with a limit, a deadline, and one descriptor
 * that may come along. */
#ifndef PRIV_LINE_I_H
#define PRIV_LINE_I_H 1

#include "base/base.h"
#include "base/buf.h"

struct line_reader {
    int fd;           /* Borrowed. */
    size_t max_bytes; /* Of one line. */
    struct buf in;    /* Received, not yet handed out. */
    int passed_fd;    /* The first descriptor that came, or -1; owned. */
};
void line_reader_init(struct line_reader *, int fd, size_t max_bytes);
void line_reader_done(struct line_reader *);

/* The next line without its end, in 'ret_line' (which it replaces).  Waits until 'until_ms'
 * (clock_mono_ms(); ERR_TIMEOUT) or until *cancel is nonzero (ERR_CANCELED; NULL: never).
 * ERR_IO "the connection ended" at the end; ERR_CONSTRAINT above the limit. */
struct err *line_read(struct line_reader *, int64_t until_ms, const volatile int *cancel,
                      struct buf *ret_line) MUST_CHECK;

/* Sends all, with 'pass_fd' (-1: none) beside the first byte.  Blocks as the socket does. */
struct err *line_write(int fd, const char *bytes, size_t n_bytes, int pass_fd) MUST_CHECK;

#endif /* priv/line_i.h */
