/* journal/test_cut.c: a file of 2,000 transactions, cut after every byte.
 *
 * Reading goes forward and keeps nothing of a record when it is at the next; so for each cut it is
 * enough to read from two records before it, which makes all of them affordable.  The whole way
 * through journal_open() is gone at some of the cuts. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "journal/journal.h"
#include "journal/record.h"
#include "test.h"

#define N_TXNS 2000
#define OPEN_EVERY                                                                         \
    2503 /* Bytes; a prime, so that all places in a record have their turn. */

struct file {
    char *path;
    int64_t begins[N_TXNS + 2]; /* Of record k; the last is the end. */
};

/* Of many lengths, with text that looks like a header or a torn one. */
static void
print_txn(int k, struct buf *out)
{
    static const char *const notes[] = { "", "OVSDB JSON 20 0123", "{\\\"T\\\":{}}",
                                         "\\n\\\\" };
    buf_printf(out, "{\"n\":%d,\"T\":{\"%08x-0000-4000-8000-000000000000\":{\"note\":\"%s",
               k, (unsigned int) k * 2654435761u, notes[k % 4]);
    for (int i = 0; i < k % 23; i++) {
        buf_printf(out, "%d", k * i);
    }
    buf_str(out, "\"}}}");
}

static void
file_make(struct file *f)
{
    struct journal *j;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json schema;
    bool more;
    f->path = path_join(test_dir(), "cut2000.db");
    unlink(f->path);
    CHECK_OK("create", journal_create(f->path, "{\"n\":0}"));
    CHECK_OK("open", journal_open(f->path, JOURNAL_NO_DURABLE, &j));
    do {
        CHECK_OK("read", journal_read(j, &arena, &schema, &more));
    } while (more);
    f->begins[0] = 0;
    for (int k = 1; k <= N_TXNS; k++) {
        CLEANUP(buf_done) struct buf text = BUF_INIT;
        uint64_t seq;
        print_txn(k, &text);
        f->begins[k] = journal_size(j);
        CHECK_OK("append", journal_append(j, text.data, text.n, &seq));
    }
    f->begins[N_TXNS + 1] = journal_size(j);
    journal_close(j);
}

/* Cutting a file on a disk 300,000 times takes minutes. */
static int
copy_in_memory(const struct file *f)
{
    CLEANUP(fd_done) int from = open(f->path, O_RDONLY | O_CLOEXEC);
    int fd = memfd_create("cut", MFD_CLOEXEC);
    CHECK("files", from >= 0 && fd >= 0);
    int64_t n = f->begins[N_TXNS + 1];
    CLEANUP(free_drop) char *data = xmalloc((size_t) n);
    CHECK_INT("read", pread(from, data, (size_t) n, 0), n);
    CHECK_INT("write", pwrite(fd, data, (size_t) n, 0), n);
    return fd;
}

/* From record 'k' on: how many are read to the end, whether it is a clean one, and where. */
static int
read_from(const struct file *f, int fd, int k, bool *ret_clean, int64_t *ret_end)
{
    struct record_reader r;
    const char *data;
    size_t n_bytes;
    int n = 0;
    record_reader_init(&r, f->path, fd, f->begins[k]);
    for (;;) {
        struct err *e = record_read(&r, &data, &n_bytes);
        *ret_clean = !e;
        if (e || !data) {
            err_free(e);
            break;
        }
        n++;
    }
    *ret_end = r.offset;
    record_reader_done(&r);
    return n;
}

static void
open_at(const struct file *f, int whole, bool clean)
{
    struct journal *j;
    enum journal_part part;
    struct json record;
    int64_t number;
    int n = 0;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    bool more;
    CHECK_OK("open", journal_open(f->path, JOURNAL_READ_ONLY, &j));
    CHECK_OK("schema", journal_read(j, &arena, &record, &more));
    while (more) {
        CHECK("has a number", json_get_int(&record, "n", &number));
        CHECK_INT("in order", number, n++);
        CHECK_OK("read", journal_read_ahead(j, &record, &part, &more));
    }
    const struct journal_damage *d = journal_damage(j);
    CHECK_INT("what was whole", n, whole);
    CHECK_INT("it says so", (int64_t) journal_n_records(j), whole);
    CHECK("damage is noticed", clean == !d->why);
    if (!clean) {
        CHECK_INT("its place", d->offset, f->begins[whole]);
        CHECK("a torn tail", d->torn);
    }
    journal_close(j);
}

TEST(cut_2000_transactions_after_every_byte)
{
    struct file f;
    file_make(&f);
    CLEANUP(free_drop) char *path = f.path;
    CLEANUP(fd_done) int fd = copy_in_memory(&f);
    int whole = N_TXNS + 1; /* Records before the cut, the schema's included. */

    for (int64_t cut = f.begins[N_TXNS + 1]; cut > f.begins[1]; cut--) {
        CHECK_INT("cut", ftruncate(fd, cut), 0);
        while (f.begins[whole] > cut) {
            whole--;
        }
        bool want_clean = f.begins[whole] == cut, clean;
        int from = whole > 2 ? whole - 2 : 0;
        int64_t end;
        int n = read_from(&f, fd, from, &clean, &end);
        if (n != whole - from || clean != want_clean || end != f.begins[whole]) {
            CHECK_INT("wrong after this many bytes", cut, -1);
        }
        if (cut % OPEN_EVERY == 0) {
            CHECK_INT("cut", truncate(path, cut), 0);
            open_at(&f, whole, clean);
        }
    }
}
