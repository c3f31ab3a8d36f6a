/* engine/engine_i.h: one run of a plan, shared by the files of this room. */
#ifndef ENGINE_ENGINE_I_H
#define ENGINE_ENGINE_I_H 1

#include <sys/stat.h>

#include "engine/engine.h"

#define ENGINE_CHUNK_BYTES (1 * MIB)      /* Of one read or write. */
#define ENGINE_BIG_CHUNK_BYTES (64 * MIB) /* Of one fallocate(2) or copy_file_range(2). */
#define ENGINE_MAX_VOLS 200000            /* Entries of a pool that are listed. */

struct engine {
    struct plan *plan;
    const struct engine_env *env;
    struct engine_result *ret;
    int root, file, source, lock; /* Descriptors, -1 if not open. */
    const char *root_path;
    char *temp_name; /* Of 'file' until it is published, else NULL. */
    size_t i_step;   /* Running now. */
    bool finished;   /* A step found that nothing more is to be done. */
    bool undoing;    /* Nothing interrupts an undo. */
    int64_t slow_ms; /* What one operation of the running step may take, if it is slow. */
    int64_t progress_ms; /* When the last progress was told. */
    VEC(bool) ran;       /* Which steps did, up to the running one: only their undos run. */
    struct plan_seen seen;
};

/* ERR_CANCELED or ERR_TIMEOUT if the run is to end. */
struct err *engine_interrupted(const struct engine *) MUST_CHECK;
/* The same, without a sign of life to whoever watches. */
struct err *engine_ended(const struct engine *) MUST_CHECK;
/* Tells how far the running step is, if it is time to. */
void engine_progress(struct engine *, int64_t done, int64_t total);
/* Waits until 'fd' can be read or written ('events' of poll(2)), or the run is to end. */
struct err *engine_wait(struct engine *, int fd, short events) MUST_CHECK;
/* "<root>/<name>" for messages; lives as long as the plan's arena does. */
const char *engine_path(struct engine *, const char *name);
/* ENOSPC and EDQUOT get a hint; all have VE_SYSTEM_ERROR. */
struct err *engine_io(int errnum, const char *fmt, ...) MUST_CHECK PRINTF(2, 3);
struct err *engine_busy(const char *name) MUST_CHECK; /* "volume 'X' is still in use." */

/* place.c: names. */
/* Opens the entry 'name' of 'dir' without following a link; -1 with errno. */
int place_open(int dir, const char *name, int flags);
struct err *place_root(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_check(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_mkdirs(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_rmdir_root(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_room(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_temp(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_open_file(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_open_source(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_backing(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_publish(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_like(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_replace(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_discard(struct engine *) MUST_CHECK;
struct err *place_mkdir(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_unlink(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *place_rmdir(struct engine *, const struct plan_step *) MUST_CHECK;
/* Removes a temporary that no living worker holds. */
void place_reap(struct engine *, const char *name);
/* Takes the lock of a worker that works on the file; false: another has it.  'alone' needs a
 * descriptor that can write. */
bool place_lock(int fd, bool alone);
bool place_is_btrfs(int fd);
bool place_is_written(int fd); /* By QEMU. */
struct err *place_nocow(int fd) MUST_CHECK;

/* data.c: size and blocks of the file in work. */
struct err *data_size(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *data_allocate(struct engine *, const struct plan_step *) MUST_CHECK;
int64_t data_length(int fd); /* Of a file or a device; -1 with errno. */
/* copy.c: content of the source. */
struct err *data_copy(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *data_rest(struct engine *, const struct plan_step *) MUST_CHECK;
/* Zeros in [from, to) of a device, by the device itself if it can. */
struct err *data_zero_range(struct engine *, int fd, int64_t from, int64_t to) MUST_CHECK;
/* The same open file once more, for writing around the page cache; -1: it cannot.  A block
 * for that, aligned, of malloc().  Writes all, through 'direct' what fits (-1: nothing). */
int data_open_direct(int fd);
char *data_block(size_t n_bytes);
int data_write(int fd, int direct, const char *bytes, size_t n, int64_t at); /* 0, errno. */
bool data_is_zero(const char *bytes, size_t n);
/* wipe.c */
struct err *data_wipe(struct engine *, const struct plan_step *) MUST_CHECK;
/* stream.c: content from and to the requester. */
struct err *stream_receive(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *stream_send(struct engine *, const struct plan_step *) MUST_CHECK;
/* Bytes at their place in the file in work; zeros stay holes. */
struct err *stream_put(struct engine *, const char *bytes, size_t n, int64_t at) MUST_CHECK;
/* fetch.c: content from a server. */
struct err *fetch_run(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *fetch_look(struct engine *, const struct plan_step *) MUST_CHECK;

/* scan.c: what is there. */
struct err *scan_root(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *scan_watch(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *scan_one(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *scan_grows(struct engine *, const struct plan_step *) MUST_CHECK;
/* Probes an open file.  0 or an errno. */
struct probe;
int scan_probe(struct arena *, int fd, const struct stat *, struct probe *ret);

/* Owner, mode, label and times of what is open as 'fd' (-1: no label). */
void scan_describe(struct arena *, int fd, const struct stat *, struct vol_target *);

/* command.c: programs. */
struct err *command_run(struct engine *, const struct plan_step *) MUST_CHECK;
/* Its path in the fixed directories.  The caller frees it. */
struct err *command_find(const char *name, char **ret_path) MUST_CHECK;
/* Text as a file that has no name. */
struct err *command_input(const char *text, int *ret_fd) MUST_CHECK;

/* device.c: block devices. */
struct err *device_settle(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *device_node(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *device_open(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *device_open_source(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *device_zero_ends(struct engine *, const struct plan_step *) MUST_CHECK;
void device_close(struct engine *); /* So that an undo can remove it. */
struct err *device_sync(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *device_look(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *device_lock(struct engine *, const struct plan_step *) MUST_CHECK;
struct err *alive_check(struct engine *, const struct plan_step *) MUST_CHECK;
int64_t device_size(int fd, const struct stat *); /* Of a file or a block device. */

/* image.c: may qemu-img open the image 'fd', which lies in the directory 'dir' and should be of
 * 'format'?  Not if it needs files other than those of that directory and 'allowed' (a path; may
 * be NULL).  'path' is for messages. */
struct err *image_check(int dir, int fd, const char *path, const char *format,
                        const char *allowed) MUST_CHECK;

/* The next stretch of data of 'fd' in [from, end): [*ret_start, *ret_stop); false if only a
 * hole follows.  Where a file system cannot tell, all is data. */
bool data_next_extent(int fd, int64_t from, int64_t end, int64_t *ret_start,
                      int64_t *ret_stop);

#endif /* engine/engine_i.h */
