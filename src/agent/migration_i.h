/* agent/migration_i.h: one machine on its way, for migrate.c (the loop's side: phases and transactions) and
 * migrate_run.c (what its threads do).  While a thread has it, 'busy' is set and the loop only looks at
 * 'phase' and writes 'stop'. */
#ifndef AGENT_MIGRATION_I_H
#define AGENT_MIGRATION_I_H 1

#include "agent/migrate_i.h"

enum phase { LOOKING, ASKING, RUNNING, SETTLING, ARRIVING };
enum stop { STOP_NOT, STOP_WANT, STOP_DATABASE, STOP_TIME, STOP_LEAVING };

struct migration {
    struct list node; /* In struct agent's 'migrations'. */
    struct agent *agent;
    struct ticket *ticket; /* NULL: nobody asks any more. */
    struct uuid vm, domain, job, receive;
    char *name, *to_name, *state;
    int64_t reboots;
    enum phase phase;
    bool busy; /* A thread or a transaction. */
    bool adopted, estimate, asked;
    bool on;
    volatile int *cancel; /* The ticket's. */
    volatile int stop;    /* enum stop. */
    int64_t began_ms, phase_ms, give_up_ms, retry_at_ms;
    int64_t paused_at_ms, ran_at_ms; /* Wall clock of this host; 0: not seen. */

    /* The threads'. */
    struct virt_migration what;
    char *uri, *data_uri;
    struct strvec disks;
    struct strvec from, to; /* Of the XML: what is another there. */
    struct virt_load load;
    struct converge_in in;
    struct converge forecast;
    bool link_known;
    struct uuid_list made;
    struct virt_migrating last;
    struct err *e; /* Why it stays. */
    bool known, moved;
};

/* The first failure is the one that counts.  Takes 'e'. */
void migration_set_error(struct migration *, struct err *e);
bool migration_is_cancelled(void *migration);
/* What became of it then, for the job. */
struct err *migration_stop_error(const struct migration *) MUST_CHECK;
/* The three lines of a job's error, as an error. */
struct err *migration_job_error(const struct row_job *) MUST_CHECK;
/* Takes from 'answer' (receive.c) what the machine will be there, where it differs. */
struct err *migration_compare(struct migration *, const struct row_vm *,
                              const struct json *answer) MUST_CHECK;

/* In threads. */
void migration_look_run(void *migration); /* The load, and the forecast. */
void
migration_run(void *migration); /* RUNNING: moves it; then, as in SETTLING: where is it? */

#endif /* agent/migration_i.h */
