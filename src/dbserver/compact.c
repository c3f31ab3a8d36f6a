/* dbserver/compact.c: making the database file short while the server goes on.
 *
 *     WRITING    a forked child, which sees the rows as they were, archives and writes the snapshot
 *     FOLLOWING  a thread copies what the journal got meanwhile, until little is missing
 *     SWITCHING  the journal goes on in the new file; its thread renames it
 *
 * The loop itself forks (a page table to copy), copies the last FOLLOW_BYTES and starts the rest;
 * no request waits for more.  A child costs no second copy of the rows but of the pages that are
 * written meanwhile, and the rows need no locks.  Until the switch nothing has happened: what fails
 * before is tried again later. */
#define _GNU_SOURCE 1
#define LOG_MODULE "dbserver"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "dbserver/dbfile.h"
#include "dbserver/peer_i.h"
#include "loop/work.h"

#define FOLLOW_BYTES (256 * KIB) /* So much the loop copies itself. */
#define CHILD_NICE 10

enum state { WRITING, FOLLOWING, SWITCHING };

struct compaction {
    struct served *served; /* NULL: canceled; what is under way frees this. */
    struct loop *loop;
    enum state state;
    int64_t start_ms, fork_ms, before_bytes;
    struct journal_rewrite *rw; /* Until the switch. */
    struct journal_snapshot snapshot;
    pid_t pid;               /* Of the child; 0: none. */
    int fd;                  /* The child's word comes here... */
    struct loop_fd *watched; /* ... seen by this... */
    struct buf word;         /* ... and gathers here. */
    struct work *work;       /* One thread, for following. */
    bool posted;             /* followed() is about to be called. */
    int follow_fd;
    int64_t follow_end;
    struct err *e; /* Of following. */
};

static void
compaction_free(struct compaction *c)
{
    loop_fd_free(c->watched);
    fd_done(&c->fd);
    if (c->pid) {
        kill(c->pid, SIGKILL);
        waitpid(c->pid, NULL, 0);
    }
    work_free(TAKE(c->work));
    journal_rewrite_abort(c->rw);
    buf_done(&c->word);
    err_free(c->e);
    free(c);
}

/* Takes 'e'. */
static void
finish(struct compaction *c, struct err *e)
{
    struct served *s = TAKE(c->served);

    s->compaction = NULL;
    served_compacted(s, e, c->start_ms, c->before_bytes);
    compaction_free(c);
    ctl_compacted(s->server);
}

/* In the child: all descriptors but ours are closed, or clients would not see theirs close. */
static void
keep_only(const int *fds, size_t n)
{
    unsigned from = STDERR_FILENO + 1;
    for (;;) {
        unsigned next = ~0u;
        for (size_t i = 0; i < n; i++) {
            next = (unsigned) fds[i] >= from && (unsigned) fds[i] < next ? (unsigned) fds[i]
                                                                         : next;
        }
        if (next > from) {
            close_range(from, next == ~0u ? next : next - 1, 0);
        }
        if (next == ~0u) {
            return;
        }
        from = next + 1;
    }
}

/* Never returns.  No log, no loop, no other thread here. */
static void
child_main(struct compaction *c, const char *comment, int fd)
{
    const struct served *s = c->served;
    const int fds[] = { fd, journal_fd(s->journal), journal_rewrite_fd(c->rw) };

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    keep_only(fds, N_ELEMS(fds));
    errno = 0;
    if (nice(CHILD_NICE) < 0 && errno) {
        errno = 0; /* It works all the same. */
    }
    struct err *e = dbfile_rewrite_fill(c->rw, s->journal, s->db, comment, &c->snapshot);
    if (!e) {
        e = journal_rewrite_seal(c->rw);
    }
    struct buf word = BUF_INIT;
    if (e) {
        buf_str(&word, err_text(e));
    } else {
        buf_printf(&word, "ok %" PRId64, c->snapshot.archive_bytes);
    }
    ssize_t n = write(fd, word.data, word.n);
    _exit(e || n < 0);
}

static void
switch_over(struct compaction *c)
{
    struct served *s = c->served;
    struct err *e = journal_rewrite_switch(s->journal, TAKE(c->rw));

    c->state = SWITCHING;
    if (e || !journal_is_switching(s->journal)) {
        finish(c, e);
    } /* Else compact_poll() finds when it has happened. */
}

static void follow(struct compaction *);

/* On the loop, but not within the pool. */
static void
followed(void *compaction)
{
    struct compaction *c = compaction;

    c->posted = false;
    if (!c->served) {
        compaction_free(c);
    } else if (c->e) {
        finish(c, TAKE(c->e));
    } else {
        follow(c);
    }
}

static void
follow_run(void *compaction)
{
    struct compaction *c = compaction;
    c->e = journal_rewrite_follow(c->rw, c->follow_fd, c->follow_end);
}

static void
follow_done(void *compaction, bool dropped UNUSED)
{
    struct compaction *c = compaction;
    c->posted = true;
    loop_post(c->loop, followed, c);
}

static void
follow(struct compaction *c)
{
    struct served *s = c->served;

    c->state = FOLLOWING;
    if (journal_rewrite_lag(s->journal, c->rw) <= (int64_t) FOLLOW_BYTES) {
        switch_over(c);
        return;
    }
    if (!c->work) {
        c->work = work_new(s->server->loop, 1);
    }
    c->follow_fd = journal_fd(s->journal);
    c->follow_end = journal_size(s->journal);
    work_submit(c->work, NULL, follow_run, follow_done, c);
}

/* The child has said its word and ended. */
static void
child_ended(struct compaction *c)
{
    int status = 0;
    int64_t archive_bytes;
    struct err *e = NULL;

    waitpid(c->pid, &status, 0);
    c->pid = 0;
    const char *word = c->word.n ? buf_cstr(&c->word) : "";
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        e = *word ? err_new(ERR_IO, "%s", word)
                  : err_new(ERR_IO, "the process that compacts died (status %d)", status);
    } else if (sscanf(word, "ok %" SCNd64, &archive_bytes) != 1) {
        e = err_new(ERR_BUG, "the process that compacts said \"%s\"", word);
    }
    if (!e) {
        e = journal_rewrite_adopt(c->rw, 2);
    }
    if (e) {
        finish(c, e);
        return;
    }
    c->snapshot.archive_bytes = archive_bytes;
    journal_rewrite_set_snapshot(c->rw, &c->snapshot);
    follow(c);
}

static void
on_word(void *compaction, int ready UNUSED)
{
    struct compaction *c = compaction;
    char *room = buf_reserve(&c->word, 4096);
    ssize_t n = read(c->fd, room, 4096);

    if (n > 0) {
        c->word.n += (size_t) n;
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        loop_fd_free(TAKE(c->watched));
        fd_done(&c->fd);
        child_ended(c);
    }
}

static struct err *
start_child(struct compaction *c, const char *comment)
{
    struct served *s = c->served;
    CLEANUP(fd_done) int to_us = -1;
    int fds[2];

    TRY(dbfile_rewrite_begin(s->journal, s->db, &c->rw));
    if (pipe2(fds, O_CLOEXEC) < 0) {
        return err_io(errno, "pipe");
    }
    c->fd = fds[0];
    to_us = fds[1];
    c->snapshot =
        (struct journal_snapshot){ .has_id = true, .id = *journal_id(s->journal) };
    int64_t start_ms = clock_mono_ms();
    c->pid = fork();
    if (c->pid < 0) {
        c->pid = 0;
        return err_hint(err_io(errno, "fork"),
                        "compaction needs memory for the pages that change meanwhile");
    } else if (c->pid == 0) {
        child_main(c, comment, to_us);
    }
    c->fork_ms = clock_mono_ms() - start_ms;
    log_dbg("%s: forked in %" PRId64 " ms", s->name, c->fork_ms);
    return loop_fd_new(s->server->loop, c->fd, on_word, c, &c->watched);
}

struct err *
compact_start(struct served *s, const char *comment)
{
    if (s->compaction) {
        return NULL; /* It comes to the same. */
    }
    struct compaction *c = NEW(struct compaction);
    *c = (struct compaction){ .served = s,
                              .loop = s->server->loop,
                              .fd = -1,
                              .start_ms = clock_mono_ms(),
                              .before_bytes = journal_size(s->journal) };
    struct err *e = start_child(c, comment);
    if (e) {
        e = err_wrap(e, "compact database %s", s->name);
        compaction_free(c);
        return e;
    }
    loop_fd_set(c->watched, LOOP_READ);
    s->compaction = c;
    return NULL;
}

void
compact_poll(struct served *s)
{
    struct compaction *c = s->compaction;
    if (c && c->state == SWITCHING && !journal_is_switching(s->journal)) {
        finish(c, NULL);
    }
}

void
compact_cancel(struct served *s)
{
    struct compaction *c = TAKE(s->compaction);
    if (!c) {
        return;
    }
    c->served = NULL;
    if (c->work && work_n_pending(c->work)) {
        work_free(TAKE(c->work)); /* Waits for a copy of a few MiB; posts followed(). */
    }
    if (!c->posted) {
        compaction_free(c);
    }
    if (!s->server->closing) {
        ctl_compacted(s->server);
    }
}
