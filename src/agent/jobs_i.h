/* agent/jobs_i.h: what jobs.c, move.c and vols.c share.  Private. */
#ifndef AGENT_JOBS_I_H
#define AGENT_JOBS_I_H 1

#include "agent/agent_i.h"

bool job_is_open(const struct row_job *); /* Queued or running. */
/* The open job that tells of the volume's making and has no ticket yet, or NULL. */
struct row_job *job_of_volume(struct agent *, const struct uuid *volume);
/* Ends it as failed, or as cancelled.  Takes 'e'. */
void job_refuse(struct agent *, const struct row_job *, struct err *e);

/* What is known of the volume now, before the end of the job is told: who waits for that then
 * reads no old figures.  'wanted': the capacity that it is to have from now on, or -1. */
void job_tell_volume(struct agent *, struct row_volume *, const struct priv_reply *,
                     int64_t wanted);

void move_pass(struct agent *, const struct row_job *); /* move.c */
/* The new volume of a move that comes to nothing is to go. */
void move_forget(struct agent *, const struct row_volume *new);

/* disk_live.c: disks of machines that run. */
#define JOB_DISK_MOVE "vm.disk.move"
void disk_resize_pass(struct agent *, const struct row_job *);
/* Copies the disk in a thread; once the machine uses the new volume, its object says 'taken'. */
struct err *disk_move_begin(struct agent *, const struct row_job *,
                            const struct row_volume *old,
                            const struct row_volume *new) MUST_CHECK;

/* ERR_BUSY if a machine that is on, or a job, has the volume in use: for one who writes, anybody;
 * else those who write.  Job 'but' does not count; may be NULL. */
struct err *vol_refuse_used(struct agent *, const struct row_volume *, bool writes,
                            const struct uuid *but) MUST_CHECK; /* vol_use.c */
/* The same as the lines of an error column; NULL: it is free.  The caller frees it. */
char *vol_used_text(struct agent *, const struct row_volume *, bool writes,
                    const struct uuid *but);

/* Why the machine's disks are not its own at the moment: a job copies or overwrites one.  Lines
 * for an error column, or NULL.  The caller frees it. */
char *vols_job_text(struct agent *, const struct row_vm *);

#endif /* agent/jobs_i.h */
