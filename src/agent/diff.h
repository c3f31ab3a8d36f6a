/* agent/diff.h: what to do next about one object, from what is wanted, what was seen and what
 * this agent remembers.  Pure: no I/O, no clock; time is an argument.
 *
 * Each call gives the one next step.  The caller takes it, looks again and asks again, until
 * there is nothing left to do.  So every action follows from rows and reality alone, and an agent
 * that was killed in the middle goes on from whatever it finds.
 *
 * settled   means that the want as it stands has been reached, or that it is known why it cannot
 *           be: the row's observed_generation may follow its generation.  A step, or waiting for
 *           something that is under way, is not settled.
 * Memory.   'memo' is lost when the agent ends; nothing but patience depends on it: when a guest
 *           was asked to shut down, when a crashed one may be tried again, which want failed. */
#ifndef AGENT_DIFF_H
#define AGENT_DIFF_H 1

#include "base/base.h"
#include "base/uuid.h"
#include "virt/conn.h"

#define ASK_AGAIN_MS                                                                       \
    10000                /* A guest that is booting loses the first press of the button. */
#define GIVE_UP_MS 45000 /* A graceful stop is then called ignored; nothing is destroyed. */
#define HOT_TRIES                                                                          \
    3 /* Changes of a running machine that libvirt made and that do not show. */
#define HOT_LATE_CHARS 100  /* The first line of hot_late names what it is about. */
#define RESTART_MIN_MS 1000 /* Back-off after crashes: doubles up to ... */
#define RESTART_MAX_MS (5 * 60 * 1000)
#define RESTART_GOOD_MS (60 * 1000) /* ... and is forgotten after a run this long. */
#define POOL_RETRY_MIN_MS 2000
#define POOL_RETRY_MAX_MS 60000
#define POOL_LOOK_MS 15000 /* Between two looks at a pool that runs. */

/* clang-format off */
enum vm_state { VM_UNSET, VM_RUNNING, VM_STOPPED, VM_PAUSED, VM_SAVED, VM_DELETED };
enum vm_step { VM_DO_NOTHING,
               VM_DO_DEFINE, VM_DO_START, VM_DO_START_PAUSED, VM_DO_SHUTDOWN, VM_DO_DESTROY,
               VM_DO_SUSPEND, VM_DO_RESUME, VM_DO_REBOOT, VM_DO_RESET, VM_DO_UNDEFINE,
               VM_DO_SAVE, VM_DO_FORGET_SAVED,
               VM_DO_CHANGE,       /* What runs becomes what the row says, as far as it can. */
               VM_DO_GUARD, /* Its packet filters: their addresses have changed. */
               VM_DO_ROW_STOPPED,  /* The guest switched itself off: the want follows. */
               VM_DO_ROW_REBOOTED, /* reboots_done follows reboots. */
               VM_DO_ROW_DELETE,   /* With its devices; marks its volumes if delete_volumes. */
               N_VM_STEPS };
/* clang-format on */
const char *vm_step_name(enum vm_step); /* "start" */

/* How what runs differs from the row: not, or not so that it can be changed while it runs; changes
 * that are to be made; only those that the guest must agree to. */
enum vm_hot { VM_HOT_NONE, VM_HOT_NOW, VM_HOT_GUEST };

/* A vm row. */
struct vm_want {
    const char *name;
    enum vm_state state;
    bool force;                              /* how = force. */
    int64_t generation, observed_generation; /* Of the row. */
    int64_t reboots, reboots_done;
    bool restart_on_crash;
    bool was_on;       /* The row's own fact: the last report said it was running. */
    const char *guard; /* Fingerprint of what keeps it from spoofing; NULL: not known. */
    const char
        *print; /* Fingerprint of the wanted hardware; NULL: it cannot be built ... */
    const char *error;  /* ... and why. */
    const char *waits;  /* Not NULL: something it needs is under way; the text says what. */
    bool waits_for_job; /* And that will end by itself. */
    enum vm_hot hot;    /* Of a machine that is on. */
    const char *hot_late; /* VM_HOT_GUEST: for the row if the guest does not answer. */
    bool has_snapshots;
};

/* The want that a failure belongs to: the same want is not tried again. */
struct vm_tried {
    enum vm_state state;
    bool force;
    int64_t generation, reboots;
    char print[VIRT_PRINT_CHARS + 1], guard[VIRT_PRINT_CHARS + 1];
};

/* What this agent remembers about a vm; zeros at first. */
struct vm_memo {
    bool failed;
    struct vm_tried tried; /* If failed. */
    char *error;           /* If failed; owned. */

    int64_t asked_ms, asked_last_ms; /* When the guest was asked to stop, first and last. */
    int64_t asked_generation;        /* For which want; valid if asked_ms. */
    bool stop_ours;                  /* The last stop was asked for by this agent. */

    int64_t reboot_ms; /* When it was asked to reboot; 0: it was not. */
    int64_t reboot_of; /* For which value of 'reboots'. */
    bool rebooted;     /* The reset was seen since. */

    char hot_print[VIRT_PRINT_CHARS + 1]; /* What runs was changed for this want ... */
    int64_t hot_generation;
    int64_t hot_ms, hot_last_ms; /* ... first and last then; 0: it was not. */
    int hot_tries;               /* How often, though the guest had not to agree. */
    char hot_late[HOT_LATE_CHARS +
                  1]; /* Begin of hot_late: waited for in vain; "": nothing. */

    bool started;          /* This agent has started it ... */
    int64_t started_of;    /* ... for this generation. */
    int64_t started_ms;    /* When it was last seen to start; 0: never. */
    int64_t backoff_ms;    /* The pause after the last crash. */
    int64_t not_before_ms; /* No new start before this; 0: no limit. */
};

struct vm_decision {
    enum vm_step step;
    bool settled;
    int64_t wake_ms; /* Decide again at this time at the latest; 0: only on a change. */
    const char
        *error; /* For the row; NULL: none.  Borrowed from 'want', 'memo' or static. */
};

/* 'seen' NULL: libvirt has no such domain.  Times are of the monotonic clock. */
struct vm_decision vm_decide(const struct vm_want *, const struct virt_dom *seen,
                             const struct vm_memo *, int64_t now_ms);

/* Forgets a failure once another want came: if the old one comes back, things have changed. */
void vm_memo_follow(struct vm_memo *, const struct vm_want *);
/* Bookkeeping of the memo: a step begins; it failed ('error' for the row); libvirt told
 * something about the domain. */
void vm_memo_begin(struct vm_memo *, enum vm_step, const struct vm_want *, int64_t now_ms);
void vm_memo_skipped(struct vm_memo *,
                     const struct vm_memo *before); /* It did not begin after all. */
void vm_memo_failed(struct vm_memo *, const struct vm_want *, const char *error);
/* What was decided is told: the guest is not waited for a second time. */
void vm_memo_told(struct vm_memo *, const struct vm_want *, const struct vm_decision *);
void vm_memo_event(struct vm_memo *, enum virt_event_kind, enum virt_reason,
                   int64_t now_ms);
void vm_memo_done(struct vm_memo *);

/* clang-format off */
enum vol_state { VOL_IS_UNKNOWN, VOL_IS_CREATING, VOL_IS_READY, VOL_IS_MISSING, VOL_IS_FAILED,
                 N_VOL_STATES };
enum vol_step { VOL_DO_NOTHING, VOL_DO_CREATE, VOL_DO_RESIZE, VOL_DO_DELETE, VOL_DO_ROW_DELETE,
                N_VOL_STEPS };
/* clang-format on */
const char *vol_state_name(enum vol_state); /* "ready" */
const char *vol_step_name(enum vol_step);

/* A volume row. */
struct vol_want {
    enum vol_state state; /* The row's own fact. */
    bool deleted;
    int64_t generation, observed_generation;
    int64_t wanted_capacity; /* Bytes; -1: not said. */
    int64_t capacity;        /* Fact, bytes; -1: not known. */
    bool pool_ready;         /* The pool runs and was scanned by this agent. */
    const char *pool_error; /* If not: why it will not become so; NULL: it is on its way. */
    bool is_device;         /* Its size is rounded up to what the pool deals out. */
    bool had_file;          /* The row's facts name one. */
    const char *in_use;     /* Why it cannot be removed now, or NULL. */
    const char *waits;      /* What its creation waits for, or NULL. */
    const char *row_error;  /* The row's own 'error', or NULL. */
};

struct vol_memo {
    bool failed; /* At this want: */
    int64_t failed_generation, failed_capacity;
    bool failed_deleted;
    char *error;  /* If failed; owned. */
    bool made;    /* By this agent, and the row may not say so yet. */
    bool gone;    /* The file was removed by us; the row is next. */
    bool scanned; /* A scan, or an action of ours, looked for the file ... */
    bool present; /* ... and it was there. */
};

struct vol_decision {
    enum vol_step step;
    bool settled;
    enum vol_state state; /* For the row. */
    const char *error;    /* For the row; NULL: none. */
};

struct vol_decision vol_decide(const struct vol_want *, const struct vol_memo *);
void vol_memo_failed(struct vol_memo *, const struct vol_want *, const char *error);
void vol_memo_done(struct vol_memo *);

/* clang-format off */
enum pool_step { POOL_DO_NOTHING, POOL_DO_CHECK, POOL_DO_START, POOL_DO_STOP, POOL_DO_REFRESH,
                 N_POOL_STEPS };
/* clang-format on */
const char *pool_step_name(enum pool_step);

/* A pool row. */
struct pool_want {
    bool active;
    int64_t generation;
    const char *users; /* Why it must not stop now: three lines.  NULL: nobody uses it. */
};

struct pool_memo {
    bool checked; /* This agent has looked ... */
    bool active;  /* ... and the pool is active. */
    bool started; /* By this agent: found active is not enough, it may be another's. */
    bool scanned; /* A refresh ended well since it became active. */
    int64_t look_at_ms; /* Of a pool that runs: when to look whether it still does. */
    bool failed;        /* At this want: */
    int64_t failed_generation;
    bool failed_active;
    char *error;         /* If failed; owned. */
    int64_t retry_at_ms; /* Servers come back: tried again by itself then. */
    int64_t retry_ms;    /* The pause before it; doubles. */
};

struct pool_decision {
    enum pool_step step;
    bool settled;
    const char *state; /* For the row; NULL: leave what is there. */
    const char *error; /* For the row; NULL: none. */
    int64_t wake_ms;
};

struct pool_decision pool_decide(const struct pool_want *, const struct pool_memo *,
                                 int64_t now_ms);
/* It is unknown then. */
void pool_memo_failed(struct pool_memo *, const struct pool_want *, const char *error,
                      int64_t now_ms);
void pool_memo_worked(struct pool_memo *); /* Forgets the failure. */
void pool_memo_done(struct pool_memo *);

#endif /* agent/diff.h */
