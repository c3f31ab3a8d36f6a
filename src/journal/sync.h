/* journal/sync.h: group commit.  One thread, one fdatasync(2) for all that was written
 * since the last one.  While it runs, more records gather; so the slower the disk, the
 * larger the group.
 *
 * Threads.  sync_want(), sync_done_seq(), sync_wait_idle(), sync_set_fd() belong to one
 *           owner thread. 'notify' runs in the sync thread: it may only pass the word on
 *           (loop_post()). */
#ifndef JOURNAL_SYNC_H
#define JOURNAL_SYNC_H 1

#include "base/base.h"

struct sync; /* sync_new(), sync_free(). */

/* 'fd' is borrowed.  'notify' is called after each fdatasync, also after a failed one. */
struct sync *sync_new(int fd, void (*notify)(void *aux), void *aux);
void sync_free(struct sync *); /* Waits for the running fdatasync.  NULL is fine. */

/* All up to 'seq' has been written: make it durable. */
void sync_want(struct sync *, uint64_t seq);

/* The newest durable sequence number; '*ret_errnum' is the errno of a failed fdatasync
 * (after which nothing gets durable any more), else 0. */
uint64_t sync_done_seq(struct sync *, int *ret_errnum);

/* Waits until all that was wanted is durable or has failed. */
void sync_wait_idle(struct sync *);

/* All that was wanted is in the file 'fd' (borrowed) as well, which is still called 'tmp': it is made
 * durable and takes the place of 'path', all in the thread; what is wanted from now on is in 'fd'.
 * 'old_fd' is closed when it is not needed any more.  One at a time.  A failure counts as one of
 * fdatasync: which file will be there after a crash is unknown. */
void sync_switch(struct sync *, int fd, const char *tmp, const char *path, int old_fd);
bool sync_is_switching(struct sync *);

/* Goes on with another file, in which all up to 'seq' is durable already.  Waits for the
 * running fdatasync. */
void sync_set_fd(struct sync *, int fd, uint64_t seq);

/* Closes a file that has no name any more, in a thread: the kernel frees all of it then, 100 ms for a
 * large one. */
void sync_close_aside(int fd);

#endif /* journal/sync.h */
