/* fuzz/fuzz_journal.c: a database file of arbitrary bytes: reading ends, the place of the
 * damage is in the file, and what was read is whole records.  The first byte says how the
 * SHA-1s are treated: odd, they are made right, so that the fuzzer gets past them. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "journal/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* Turns the input into lines with a header each. */
static void
frame_lines(const uint8_t *data, size_t n_bytes, struct buf *out)
{
    while (n_bytes) {
        const uint8_t *lf = memchr(data, '\n', n_bytes);
        size_t n = lf ? (size_t) (lf - data) : n_bytes;
        record_header(data, n, out);
        buf_add(out, data, n);
        buf_char(out, '\n');
        data += lf ? n + 1 : n;
        n_bytes -= lf ? n + 1 : n;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    if (n_bytes == 0) {
        return 0;
    }
    CLEANUP(buf_done) struct buf file = BUF_INIT;
    bool framed = data[0] & 1;
    if (framed) {
        frame_lines(data + 1, n_bytes - 1, &file);
    } else {
        buf_add(&file, data + 1, n_bytes - 1);
    }
    CLEANUP(fd_done) int fd = memfd_create("journal", MFD_CLOEXEC);
    ASSERT(fd >= 0);
    err_free(fd_write_all(fd, file.data, file.n));

    struct record_reader r;
    record_reader_init(&r, "fuzz", fd, 0);
    for (;;) {
        const char *record;
        size_t n;
        int64_t before = r.offset;
        struct err *e = record_read(&r, &record, &n);
        if (e) {
            ASSERT(!framed && r.offset == before);
            err_free(e);
            int64_t good = record_find_good("fuzz", fd, before);
            ASSERT(good == -1 || (good > before && good < (int64_t) file.n));
            break;
        } else if (!record) {
            ASSERT(r.offset == (int64_t) file.n);
            break;
        }
        ASSERT(n > 0 && r.offset > before && r.offset <= (int64_t) file.n);
        ASSERT(memcmp(record, file.data + r.offset - n, n) == 0);
    }
    record_reader_done(&r);
    return 0;
}
