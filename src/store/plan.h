/* store/plan.h: what has to be done to a pool or a volume, as a list of steps.
 *
 * Backends append steps; room engine runs them, in order; plan_text() shows them.  A step is a
 * command (argv, never a shell) or a typed file operation.  An undo belongs to the step before
 * it: when a later step fails, the undos of those that worked run, last first.
 *
 * A plan works in one directory, the root: plan_root() comes before any step that names an
 * entry of it.  It has at most one file in work, made by plan_temp() or opened by plan_open();
 * the steps without a name act on that.  So no name is looked up twice while a plan runs.
 * Memory.  All in the plan's arena; strings that are given are copied. */
#ifndef STORE_PLAN_H
#define STORE_PLAN_H 1

#include "base/arena.h"
#include "base/buf.h"
#include "base/vec.h"
#include "store/pool.h"
#include "store/volume.h"

struct plan;
struct source_list;

enum step_kind {
    STEP_COMMAND,    /* 'args'. */
    STEP_ROOT,       /* Open the directory 'name' (absolute; links on the way are fine).
                      * 'dir' not NULL: refuse unless that is mounted there. */
    STEP_CHECK,      /* Is the directory 'name' there?  Sets the result's 'active'. */
    STEP_MKDIRS,     /* Make the directory 'name' with its parents, 'perms', 'cow'. */
    STEP_RMDIR_ROOT, /* Remove the directory 'name' (absolute), which must be empty. */
    STEP_WATCH,      /* Put the root on the request's descriptor, which is inotify(7)'s. */
    STEP_SCAN,       /* List the root, read each header, statvfs; drop dead temporaries. */
    STEP_STAT,       /* The entry 'name' alone, into the result's volumes. */
    STEP_ROOM,       /* Refuse if 'size' > the file system, or 'length' > what is free. */
    STEP_TEMP,    /* Make an empty file that will be 'name', locked.  'write': in the place
                      * of one that is there. */
    STEP_OPEN,    /* Open the regular file 'name'; 'write' says how. */
    STEP_SOURCE,  /* Open 'name' of the directory 'dir' for reading, beside the file;
                      * refuse it if it needs files outside of its pool.  'write': to replace
                      * it, so nobody else may have it open. */
    STEP_BACKING, /* Refuse unless the image 'name' can be read (relative: to the root), and
                    * what lies below it lies beside it. */
    STEP_NOCOW,   /* No copy-on-write on btrfs, if it can be had. */
    STEP_SIZE,    /* Set the file's length to 'size'. */
    STEP_ALLOCATE, /* Have blocks for [0, size); the file becomes that long at least. */
    STEP_GROWS,    /* Refuse unless the image has at most 'size' bytes now, and if it needs
                    * files outside of its pool. */
    STEP_COPY,     /* Source to file, keeping holes if 'sparse'; 'size' bytes at most. */
    STEP_RECEIVE,  /* The request's descriptor into the file at 'offset', 'length' bytes.
                    * 'bounded': not beyond the end of the source, or of the file itself. */
    STEP_SEND,     /* The reverse.  'length' 0: to the end. */
    STEP_WIPE,     /* 'algorithm' over all that the file ever held; see engine/wipe.c. */
    STEP_LIKE, /* Give the file the source's owner and mode; 'bounded': and blocks for all
                    * of it if the source has those. */
    STEP_REST, /* The source's bytes behind what was received, too. */
    STEP_REPLACE, /* fsync, and put the temporary in the place of the source 'name'. */
    STEP_OWNER,   /* Owner and group of 'perms', where given. */
    STEP_MODE,    /* Mode of 'perms'. */
    STEP_PUBLISH, /* fsync, and give the temporary its name; refuses to replace. */
    STEP_MKDIR,   /* Make the directory entry 'name' with 'perms'. */
    STEP_UNLINK,  /* Remove the file 'name'; not there is fine. */
    STEP_RMDIR,   /* Remove the directory entry 'name'. */
    STEP_DISCARD, /* Undo of STEP_TEMP: remove the temporary, unless published. */
    STEP_MOUNTED, /* Is 'dir' (a device, HOST:PATH, //HOST/SHARE) mounted on 'name', and does
                    * it answer?  Sets 'active'.  'strict': refuse if another is there. */
    STEP_PARSE,   /* 'parse' makes the result from what commands printed. */
    STEP_THEN,    /* 'then' appends the steps that follow from what commands printed: so it
                    * is the last step of a plan that is made. */
    STEP_SETTLE, /* Wait until udev has made the nodes of known devices; at most 'size' ms. */
    STEP_NODE,   /* Wait for the device node 'name', at most 'size' ms. */
    STEP_DEVICE, /* Open the block device 'name' as the file in work; for writing only if
                    * neither the kernel nor a machine uses it. */
    STEP_SOURCE_DEVICE, /* Open the block device 'name' as the source. */
    STEP_ZERO_ENDS,     /* Zeros over the first and the last MiB of the device in work. */
    STEP_LOOK, /* Look at the nodes of the volumes in the result: capacity where it is -1,
                * owner, mode; one that cannot be opened gets an error.  'dir': its path is the
                * first link there that leads to it, in the order of names.  'size': ms for which
                * nodes are waited for. */
    STEP_SESSION, /* Is there an iSCSI session to the target of the pool 'aux'?  Sets
                   * 'active'.  'strict': an error if it is down. */
    STEP_CHAP,    /* Name and password of the pool 'aux' into its node record (0600). */
    STEP_ADAPTER, /* Is the adapter of the pool 'aux' there?  Sets 'active'; 'strict': must be. */
    STEP_VPORT,      /* Make ('write') or remove the virtual port of the pool 'aux'. */
    STEP_RESCAN,     /* Ask the hosts of the pool 'aux' for new LUNs and new sizes. */
    STEP_LUNS,       /* List the LUNs of the hosts of the pool 'aux'. */
    STEP_IDLE,       /* Refuse if somebody uses one of them. */
    STEP_LUN,        /* Open the LUN or map 'name' of the pool 'aux' as the file in work. */
    STEP_SOURCE_LUN, /* ... as the source. */
    STEP_DISTINCT, /* Refuse if 'dir' and 'backing', two paths, or hosts ('strict'), are one
                    * thing: pool 'name' would have the same source. */
    STEP_GROW_LOOK,   /* What lies below the pool 'aux', as "look", for store/grow.h. */
    STEP_GROW_RESCAN, /* Have the kernel ask the disk 'name' for its size. */
    STEP_LOCK, /* Hold the lock 'name' of this host till the end; 'write': alone.  'strict': if
                * that would have to wait, the plan ends here, and well. */
    STEP_SYNC, /* Make the content of the file in work durable, and close it. */
    STEP_FETCH, /* What the URL 'name' sends into the file; 'sha256' not NULL: it must be that. */
    STEP_IMAGE, /* Refuse unless the file is of 'format' (NULL: any) and needs no other file. */
    STEP_ALIVE, /* Read a page of the block device 'name' past all caches; not there is fine. */
    N_STEP_KINDS
};

/* A step may depend on what an earlier one found ('active' of the result so far). */
enum step_when { STEP_ALWAYS, STEP_IF_INACTIVE, STEP_IF_ACTIVE };

/* The file in work and the source are passed to commands as what is open already; ARG_FILE_AT
 * is the file by its name in the root, for commands that look at what lies beside it. */
enum plan_arg_kind { ARG_TEXT, ARG_FILE, ARG_FILE_AT, ARG_SOURCE };

struct plan_arg {
    enum plan_arg_kind kind;
    const char *text; /* What plan_text() shows; what is passed if ARG_TEXT. */
};

/* What commands printed so far, by the 'output' of their steps. */
struct plan_output {
    const char *name;
    struct buf text;
};
struct plan_seen {
    VEC(struct plan_output) outputs;
};
#define PLAN_SEEN_INIT ((struct plan_seen){ VEC_INIT })
void plan_seen_done(struct plan_seen *);
void plan_seen_put(struct plan_seen *, const char *name, const void *bytes, size_t n_bytes);
/* Never NULL: "" if nothing was printed or the step did not run. */
const char *plan_seen_text(const struct plan_seen *, const char *name);

/* Where parsing puts what it found: members of the engine's result.  Strings that are kept go
 * to the arena of the list they belong to. */
struct plan_found {
    bool *active, *has_stat;
    struct pool_stat *stat;
    struct vol_list *vols;
    struct source_list *sources;
};

/* An entry that cannot be read becomes a warning in 'found->vols': it neither hides the others
 * nor vanishes.  Output that is no list at all is ERR_SYNTAX.  'aux' is the step's. */
typedef struct err *plan_parse_fn(const struct plan_seen *, const void *aux,
                                  const struct plan_found *found);
typedef struct err *plan_then_fn(const struct plan_seen *, const void *aux, struct plan *);

#define PLAN_EXIT(status) (UINT64_C(1) << (status))

struct plan_step {
    enum step_kind kind;
    const char *name, *dir;
    const char
        *format; /* STEP_GROWS, _SOURCE, _BACKING: of the image; NULL: not looked at. */
    const char *backing; /* STEP_GROWS, _SOURCE: what may lie below it though elsewhere. */
    struct plan_arg *args; /* Of a command. */
    size_t n_args;
    int64_t size, offset, length; /* Bytes. */
    struct perms perms;
    bool write, sparse, shrink, reflink;
    bool overcommit;    /* STEP_ROOM: 'size' does not count. */
    int default_mode;   /* STEP_MKDIRS: of a new directory if 'perms' has none. */
    enum tristate cow;  /* STEP_MKDIRS. */
    bool strict;        /* STEP_MOUNTED, _LOCK, _DEVICE (only look, then close it). */
    bool bounded;       /* STEP_RECEIVE, STEP_LIKE. */
    bool percent;       /* STEP_COMMAND: it prints how far it is, as qemu-img -p does. */
    int algorithm;      /* STEP_WIPE: enum wipe_algorithm. */
    const char *sha256; /* STEP_FETCH: 64 digits. */
    enum step_when when;
    /* Of commands: */
    const char
        *output; /* Standard output is kept by this name, for STEP_PARSE, STEP_THEN. */
    const char *input; /* For standard input; never shown: the way for secrets.  Or NULL. */
    const char
        *or_so; /* If it fails: a warning that begins so; the plan goes on.  Or NULL. */
    uint64_t ok_exits;  /* PLAN_EXIT()s below 64 that are fine besides 0. */
    int64_t timeout_ms; /* 0: the plan's. */
    /* STEP_PARSE, STEP_THEN: */
    plan_parse_fn *parse;
    plan_then_fn *then;
    const void *aux;        /* Lives as long as the plan. */
    struct plan_step *undo; /* Or NULL. */
};

struct plan {
    struct arena arena;
    VEC(struct plan_step *) steps;
    const char *root; /* Of plan_root(); NULL before. */
    const char *file; /* Path of the file in work, for texts. */
    const char *source;
    const char *noun; /* "volume 'a' in pool 'p'": for messages. */
};
#define PLAN_INIT ((struct plan){ ARENA_INIT, VEC_INIT, NULL, NULL, NULL, NULL })
void plan_done(struct plan *); /* For CLEANUP(). */

/* Appends a step of this kind, otherwise zero; the caller fills it. */
struct plan_step *plan_add(struct plan *, enum step_kind, const char *name);
struct plan_step *plan_root(struct plan *, const char *path);
/* What holds for the last step. */
void plan_when(struct plan *, enum step_when);
struct plan_step *plan_temp(struct plan *, const char *name); /* With its undo. */
struct plan_step *plan_open(struct plan *, const char *name, bool write);
struct plan_step *plan_source(struct plan *, const char *dir, const char *name);
struct plan_step *plan_size(struct plan *, enum step_kind, int64_t size);
void plan_perms(struct plan *,
                const struct perms *); /* STEP_OWNER and STEP_MODE as given. */

/* plan_cmd(plan, "lvcreate", "--name", name); then more arguments. */
#define plan_cmd(plan, ...) plan_cmd_(plan, (const char *const[]){ __VA_ARGS__, NULL })
struct plan_step *plan_cmd_(struct plan *, const char *const *argv);
void plan_arg(struct plan *, const char *);
void plan_argf(struct plan *, const char *fmt, ...) PRINTF(2, 3);
void plan_arg_file(struct plan *); /* The file in work. */
void plan_arg_file_at(struct plan *);
void plan_arg_source(struct plan *); /* The source file. */
/* The undo of the last step: a command, whose arguments plan_arg() then adds ... */
#define plan_undo(plan, ...) plan_undo_(plan, (const char *const[]){ __VA_ARGS__, NULL })
struct plan_step *plan_undo_(struct plan *, const char *const *argv);
/* ... or an operation. */
struct plan_step *plan_undo_step(struct plan *, enum step_kind, const char *name);

/* 'words' is what plan_text() shows of a parsing or a decision ("list what lvs printed"). */
struct plan_step *plan_parse(struct plan *, plan_parse_fn *, const void *aux,
                             const char *words);
struct plan_step *plan_then(struct plan *, plan_then_fn *, const void *aux,
                            const char *words);
struct plan_step *plan_device(struct plan *, const char *path, bool write);
/* A step that needs the pool, which must live as long as the plan: 'aux'. */
struct plan_step *plan_of_pool(struct plan *, enum step_kind, const struct pool *);
struct plan_step *plan_source_device(struct plan *, const char *path);

/* One step a line, undos as "undo: ...", for people and tests.  In the plan's arena. */
const char *plan_text(struct plan *);
/* One step, for progress and messages.  The caller frees it. */
char *step_text(const struct plan_step *);

#endif /* store/plan.h */
