/* journal/gather.c: records that wait to be written together.
 *
 * One write(2) for all that a client sent at once, instead of one a transaction.  A transaction that
 * was gathered has happened: others may have built upon it.  So a full disk must not be able to refuse
 * it any more: room is set aside beforehand (beyond the end of the file, whose size stays what its
 * records need), and without room nothing is gathered.  What is left is a disk that breaks, which ends
 * the program as a failed fdatasync() does. */
#include "journal/journal_i.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#define GATHER_MAX_BYTES ((size_t) (256 * KIB))
#define RESERVE_MIN_BYTES (256 * KIB)
#define RESERVE_MAX_BYTES (4 * MIB)

void
journal_gather(struct journal *j)
{
    j->gathers = true;
}

/* Has the disk room for all up to 'want', whatever comes? */
static bool
is_reserved(struct journal *j, int64_t want)
{
    struct rlimit limit;

    if (want <= j->reserved) {
        return true;
    } else if (want < j->ask_again) {
        return false;
    }
    int64_t more = clamp64(want / 8, RESERVE_MIN_BYTES, RESERVE_MAX_BYTES);
    bool fits = getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
                (limit.rlim_cur == RLIM_INFINITY ||
                 (uint64_t) (want + more) <= (uint64_t) limit.rlim_cur);
    if (fits && fallocate(j->fd, FALLOC_FL_KEEP_SIZE, j->end, want + more - j->end) == 0) {
        j->reserved = want + more;
        return true;
    }
    j->ask_again = want + more;
    return false;
}

bool
journal_may_gather(struct journal *j, size_t n_bytes)
{
    size_t n_all = j->gathered.n + n_bytes;
    return j->gathers && n_all <= GATHER_MAX_BYTES &&
           is_reserved(j, j->end + (int64_t) n_all);
}

struct err *
journal_flush(struct journal *j)
{
    if (j->gathered.n == 0) {
        return NULL;
    }
    journal_wait_if_loose(j, j->gathered.n);
    struct err *e =
        j->dead ? err_new(ERR_IO, "%s: an earlier write failed", j->path)
                : journal_pwrite(j->fd, j->path, j->end, j->gathered.data, j->gathered.n);
    if (e) {
        j->dead = true;
        return err_hint(e, "what was answered is on the disk: check it, then start again");
    }
    size_t n_bytes = j->gathered.n;
    buf_clear(&j->gathered);
    journal_written(j, n_bytes);
    return NULL;
}

void
journal_unreserve(struct journal *j)
{
    if (j->reserved > j->end && !j->dead && ftruncate(j->fd, j->end) != 0) {
        j->dirty_tail = false; /* It takes room, that is all. */
    }
    j->reserved = j->ask_again = 0;
}
