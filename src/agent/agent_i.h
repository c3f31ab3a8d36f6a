/* agent/agent_i.h: what the files of this room share.  Private.
 *
 * The pass.  Everything that may change what is to be done calls agent_touch().  Soon after, one
 *            pass goes over the rows of this host: each object decides (diff.h), begins its step in
 *            a worker thread, and compares the facts of its row with what is known; what differs
 *            goes into the one transaction of the pass.
 * Objects.   An object is what the agent remembers about a row; row->user points to it.  While a
 *            step is under way it is busy: nothing else begins.  An object outlives its row until
 *            its step has ended.
 * Threads.   All of this runs on the loop's thread, but for functions called *_run(): those get
 *            copies of what they need.
 * Ticks.     Answers from threads may overtake each other.  'tick' counts answers; a listing does not
 *            overwrite what was learned after it began. */
#ifndef AGENT_AGENT_I_H
#define AGENT_AGENT_I_H 1

#include "agent/agent.h"
#include "agent/diff.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "loop/loop.h"
#include "loop/work.h"
#include "model/storage.h"
#include "model/vm.h"
#include "priv/call.h"
#include "replica/vmmgr_rows.h"
#include "replica/write.h"
#include "virt/conn.h"
#include "virt/probe.h"

#define RETRY_MIN_MS                                                                       \
    500 /* After trouble that may pass by itself (BUSY): doubles up to ... */
#define RETRY_MAX_MS 30000
#define LOOK_BUSY_MS                                                                       \
    10000 /* All domains are listed again: while something is unsettled, ... */
#define LOOK_IDLE_MS 30000 /* ... and else.  Events come at once in any case. */
#define HEARTBEAT_MS 30000 /* hostnode.observed_at. */

/* A domain as last seen.  In struct agent's 'seen', by UUID. */
struct seen {
    struct hmap_node node;
    struct virt_dom dom;
    bool gone;    /* It was looked for and is not there any more; 'dom' has but its UUID. */
    int64_t tick; /* When that was learned. */
};

/* What all objects have in common. */
struct obj {
    struct agent *agent;
    const struct replica_row *row; /* NULL once it was deleted. */
    struct uuid uuid;              /* The row's. */
    bool busy;
    int64_t retry_ms, retry_at_ms; /* After a failure that may pass; 0: none. */
    char *trouble;                 /* Its text, or NULL. */
};

struct vm_job;
struct vm_obj {
    struct obj o;
    struct vm_memo memo;
    struct vm_job *job; /* The step under way, or NULL. */
    /* clang-format off */
    enum { FIRSTBOOT_UNKNOWN, FIRSTBOOT_NONE, FIRSTBOOT_THERE } firstboot; /* install.c */
    /* clang-format on */
    int64_t hashed_ms; /* When its key was last asked to become a hash. */
};

/* A volume as byre-stored described it last. */
struct vol_info {
    bool known;
    char *type, *key, *path, *format, *error; /* NULL if it has none. */
    int64_t capacity, allocation, physical;
};

struct vol_obj {
    struct obj o;
    struct vol_memo memo;
    struct vol_info info;
    bool begun; /* An earlier creation may have made the file: its answer was lost. */
    bool met;   /* By this agent, in a pass. */
    bool
        sized; /* A job has given it another capacity, and the row does not want that yet: */
    int64_t sized_to, sized_generation;
    bool taken; /* A machine runs with it already, which the rows do not say yet. */
    int64_t tick;
};

/* How the files of a pool are watched. */
struct pool_watch {
    int wd;              /* inotify's; 0: it is not watched. */
    bool busy;           /* A look is under way. */
    bool all;            /* Look at the whole pool. */
    struct strvec names; /* Else at these. */
    int64_t retry_at_ms; /* After it could not be watched. */
};

struct pool_obj {
    struct obj o;
    struct pool_memo memo;
    bool has_stat;
    struct pool_stat stat;    /* Without strings. */
    struct pool_extent *free; /* Of a disk: where partitions can be made; owned. */
    size_t n_free;
    char *degraded;       /* It works, but this is wrong; NULL: nothing is. */
    int64_t refreshed_at; /* Wall clock; 0: never by this agent. */
    struct strvec warnings;
    struct strvec touched; /* Volumes made or deleted while a scan is under way. */
    int n_scans;           /* Under way: its own step, a job, a look at its files. */
    struct pool_watch watch;
    struct list feeds;      /* Scans whose rows are being written; feed.c. */
    int64_t scan;           /* Whose list is in the rows; 0: none. */
    int64_t scan_deletions; /* struct agent's 'vol_deletions' then. */
};

struct service;
struct stats;

struct watch;
struct agent {
    struct loop *loop;
    char *dir, *stored, *console_dir, *nvram_dir, *firstboot_dir;
    bool cgroups2; /* The host has version 2 of them. */
    struct replica *replica;
    struct virt *virt;
    struct work *work;  /* Steps. */
    struct work *pools; /* Pools' steps: dead ones must keep nothing but themselves. */
    struct work *slow;  /* What may take minutes: transfers, builds, consoles' openings. */
    struct loop_timer *pass_timer, *look_timer;
    struct service *service;
    struct watch *watch;
    struct list tickets;    /* Of struct ticket: what runs long. */
    struct list feeding;    /* Of struct job_work: done, but for their rows. */
    struct list migrations; /* Machines that leave; migrate.c. */
    struct list receiving;  /* Machines that come; receive.c. */
    int n_leftovers;        /* Paused copies on their way out. */
    bool switching;         /* A move's transaction is on its way. */
    bool holding;           /* In a pass: some machine is held by a job. */
    bool moving;            /* In a pass: some disk is on its way to another volume. */
    int64_t jobs_at_ms;     /* byre-stored did not answer: no job begins before this. */
    struct stats *stats;
    int64_t vol_deletions; /* Rows of volumes that went without us. */
    size_t n_reported;     /* Rows in 'txn'. */
    bool passing;          /* A pass is running. */
    bool touched;          /* Meanwhile. */
    bool concerned;        /* A change of the batch that is being applied is ours. */
    bool leaving;          /* agent_leave(). */
    struct loop_timer *leave_timer;
    void (*left)(void *aux);
    void *left_aux;
    bool vols_rest; /* No volume can have anything to do or to say; see vols_pass(). */
    bool unsettled; /* The last pass left something to do. */
    int64_t
        wake_ms; /* Of the pass that runs: the earliest time that something asked for. */

    /* Reports. */
    struct txn *txn; /* Of the pass that runs; NULL: nothing to say yet. */
    bool reporting;  /* A report is on its way. */
    int64_t report_retry_ms, report_at_ms; /* After a failed one: not before. */

    /* The host and libvirt. */
    int64_t tick;
    struct hmap seen;
    bool listing, list_again;
    bool listed; /* 'seen' is whole. */
    int64_t list_tick;
    int64_t connect_ms; /* The pause before the next attempt. */
    char *trouble;      /* Why libvirt cannot be used; three lines; NULL: it can. */
    bool have_host, have_uid;
    struct virt_host host;
    bool have_row;
    struct uuid row; /* The host's own, as the last pass found it. */
    struct uuid uid; /* Of this host for ever; see host.c. */
    bool probing, probed;
    struct probe probe;
    int64_t heartbeat_at_ms;
    bool autostarted, autostarting; /* What is to start with the host was told so. */
    int64_t autostart_at_ms;        /* Not tried before. */

    bool nets_rest; /* No network has anything to do before ... */
    int64_t nets_at_ms;

    /* What keeps guests from spoofing; nets.c. */
    bool guards, guards_busy;
    int64_t guards_at_ms; /* Not tried before. */
    char *no_guards;      /* Why this host has none: three lines; NULL: it has, or will. */
};

/* agent.c */
void agent_touch(struct agent *);
void agent_touch_jobs(struct agent *); /* Nothing that volumes could depend on changed. */
void agent_wake(struct agent *,
                int64_t at_ms); /* In a pass: there must be another one then. */
struct row_hostnode *
agent_own(const struct agent *); /* NULL: this host is in no cluster. */
bool agent_is_own(const struct agent *, const struct uuid *hostnode);
int64_t agent_now_ms(const struct agent *);

/* obj.c */
void obj_init(struct obj *, struct agent *, const struct replica_row *);
/* Trouble that may pass: try again after a pause, longer each time.  Takes 'e'. */
void obj_trouble(struct obj *, struct err *e);
void obj_fine(struct obj *); /* It works. */
bool
obj_must_wait(struct obj *); /* In a pass: after trouble; asks for the next pass itself. */
void obj_done(struct obj *);

/* report.c: facts.  Each sets the column in the pass's transaction if it differs. */
struct facts {
    struct agent *agent;
    const struct replica_row *row;
    struct txn_row *out; /* NULL: nothing differs so far. */
};
struct facts facts_begin(struct agent *, const struct replica_row *);
void facts_string(struct facts *, const char *column, const char *is, const char *should);
void facts_int(struct facts *, const char *column, int64_t is, int64_t should);
void facts_opt_int(struct facts *, const char *column, const struct typed_int *is,
                   int64_t should);
void facts_bool(struct facts *, const char *column, bool is, bool should);
void facts_uuid(struct facts *, const char *column, const struct uuid *is,
                const struct uuid *should);
void facts_strings(struct facts *, const char *column, const struct typed_set *is,
                   const struct strvec *should); /* Sorts 'should'. */
/* Stamps 'observed_at' if anything differed. */
void facts_end(struct facts *);
struct txn *report_txn(struct agent *); /* The pass's transaction. */
/* False: the pass's report is long enough; the next one takes the rest. */
bool report_has_room(struct agent *);
/* At the end of the pass.  True: all that there was to say is on its way. */
bool report_send(struct agent *);
/* "what\nwhy\nnext", for columns called error.  'e' is borrowed.  The caller frees it. */
char *error_text(const struct err *e);

/* alarm.c */
struct alarm_object {
    const char *table;
    struct uuid uuid, hostnode;
};
/* In a pass: the alarm of this kind says 'text' (three lines: what, why, what next); NULL: there is
 * none. */
void alarm_set(struct agent *, const struct alarm_object *, const char *kind,
               const char *text);

/* host.c: libvirt's connection, the list of domains, the host's identity and facts. */
void host_start(struct agent *);
void host_stop(struct agent *);
void host_list(struct agent *); /* Looks at all domains, soon. */
void host_lost(struct agent *); /* libvirt does not answer. */
void host_pass(struct agent *, struct row_hostnode *own);
void host_event(void *agent, const struct virt_event *);
const struct virt_dom *host_seen(const struct agent *, const struct uuid *domain);
/* A look at one domain has ended: takes *dom's content; NULL: it is not there. */
void host_learn(struct agent *, const struct uuid *domain, struct virt_dom *dom);
struct model_vm_host host_model(const struct agent *);
/* 'libvirts' NULL: only what is kept, else ERR_NOT_FOUND. */
struct err *host_identity(const char *dir, const struct uuid *libvirts,
                          struct uuid *ret) MUST_CHECK;

/* vms.c */
void vms_pass(struct agent *);
struct row_vm *vm_row_of(const struct agent *, const struct uuid *domain); /* Or NULL. */
struct vm_obj *vm_obj_find(struct agent *, const struct uuid *domain);
struct vm_obj *vm_obj_of(struct agent *, const struct row_vm *);
void vm_obj_release(struct vm_obj *); /* What made it busy has ended. */
void vm_event(struct agent *, const struct virt_event *);
void vm_obj_free(struct vm_obj *);
void vm_obj_orphan(struct vm_obj *); /* Its row is gone. */
/* Name of a vm that is on and uses the volume, or NULL. */
const char *vms_user_of(struct agent *, const struct uuid *volume);
bool vms_is_on(const struct virt_dom *);
/* It is on, or it is saved and will go on with its disks as they are. */
bool vms_has_disks(const struct virt_dom *);

/* Its start is under way. */
bool vm_is_starting(const struct row_vm *);

/* memory.c: is there memory for one machine more, by the cluster's rules?  ERR_NO_SPACE with the sums. */
struct err *memory_admit(struct agent *, const struct row_vm *) MUST_CHECK;

/* vm_jobs.c: jobs of machines.  While one is open nothing else is done to its machine. */
bool vm_is_held(struct agent *, const struct row_vm *);
bool vm_jobs_are_open(struct agent *);
void vm_job_pass(struct agent *, const struct row_job *);

/* disk_live.c: disks that go to other volumes while their machines run. */
bool live_moves_are_open(struct agent *);
/* What runs may be ahead of its rows: the domain that they want has such a disk where it is. */
void live_disks_where_they_are(struct agent *, const struct virt_dom *seen,
                               struct virt_domain *);

/* snapshots.c */
void snapshots_pass(struct agent *);
bool vm_has_snapshots(struct agent *, const struct row_vm *);

/* strangers.c: domains that are not ours. */
void strangers_pass(struct agent *, struct row_hostnode *own);

/* pools.c, vols.c */
void pools_pass(struct agent *);
void vols_pass(struct agent *);
struct pool_obj *pool_obj_of(struct agent *, const struct row_pool *);
struct vol_obj *vol_obj_of(struct agent *, const struct row_volume *);
void pool_obj_orphan(struct pool_obj *);

/* The pools of this host that another one is compared with before it is started or built. */
struct pool_others {
    VEC(struct pool *) pools;
};
/* Appends those that run, but for 'row'; one that cannot be reached would only keep us.  With
 * 'stopped' also all others that are made of devices: they have something to lose. */
void pool_others_take(struct agent *, const struct row_pool *row, bool stopped,
                      struct pool_others *);
void pool_others_done(struct pool_others *);

void vol_obj_orphan(struct vol_obj *);
/* The values of a pool's rows.  ERR_NOT_FOUND: its template is gone. */
struct err *pool_model(const struct row_pool *, struct pool *ret) MUST_CHECK;
bool pool_ready(const struct row_pool *, const struct pool_obj *);
/* A refresh ended well: applies it to the pool and its volumes. */
void pool_refreshed(struct pool_obj *, int64_t begun_tick, struct priv_reply *);
void pool_stat_set(struct pool_obj *, const struct priv_reply *);
/* Around each scan, until what it found is applied. */
void pool_scan_begin(struct pool_obj *);
void pool_scan_end(struct pool_obj *);
/* A volume of the pool was touched by us. */
void pool_touched(struct agent *, const struct uuid *pool_row, const char *name);
void vol_learn(struct vol_obj *, const struct vol *);

/* watch.c */
struct watch *watch_new(struct agent *);
void watch_free(struct watch *); /* NULL is fine. */
void watch_pass(struct agent *); /* After pools_pass(). */
void watch_pool_done(struct pool_obj *);

/* feed.c */
/* A scan that began at 'begun_tick' ended well: into what is remembered, and into rows.  Takes
 * the content of '*list'. */
void feed_begin(struct pool_obj *, int64_t begun_tick, struct vol_list *list);
bool feed_under_way(const struct pool_obj *); /* Rows are still being written. */
int64_t feed_since(const struct pool_obj *);  /* For priv_request.since. */

/* priv_call(), which says ERR_BUSY also when byre-stored went away in the middle. */
struct err *stored_call(const char *socket, const struct priv_request *, int fd,
                        const struct priv_watch *, struct priv_reply *ret) MUST_CHECK;
bool trouble_may_pass(const struct err *);

/* jobs.c */
void jobs_pass(struct agent *);
void jobs_free(struct agent *);
void job_row_deleted(struct agent *, const struct uuid *job);

/* service.c: DIR/run/agent.sock. */
struct err *service_new(struct agent *, struct service **ret) MUST_CHECK;
void service_close(struct service *); /* Lets nobody in any more; what is served goes on. */
void service_free(struct service *);  /* After all that is served has ended. */

#endif /* agent/agent_i.h */
