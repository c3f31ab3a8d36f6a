/* agent/migrate.c: a machine leaves for another host.
 *
 *     phase      what goes on                                             ends with
 *     LOOKING    its load is measured, in a thread                        the forecast
 *     ASKING     the other host gets ready (its job vm.receive)           its answer, or refusal
 *     RUNNING    libvirt migrates, in a thread; it arrives there paused   an outcome, or none
 *     SETTLING   is there a domain here still?  One transaction says so   the row
 *     ARRIVING   the other agent lets it run, as its row says now         the end of the job
 *
 * The question of SETTLING is asked of this host's libvirt alone: it gives the domain up, definition and
 * all, only once the other one has it whole, and there nothing runs before the row says so.  So whatever
 * dies, one machine runs; an agent that comes after begins with SETTLING (adopt()). */
#define LOG_MODULE "migrate"
#include <stdio.h>

#include "agent/migration_i.h"
#include "agent/stats.h"

#include "base/clock.h"
#include "base/log.h"

#define ANSWER_MS 90000 /* The other agent's. */
#define ARRIVE_MS 60000 /* To run there; then the job ends all the same. */
#define DOWNTIME_MS 300 /* The schema's default. */
#define LEAVING_MAX                                                                        \
    2 /* At a time: more share the link, and each takes longer to converge. */

static void
migration_free(struct migration *m)
{
    list_remove(&m->node);
    strvec_done(&m->disks);
    strvec_done(&m->from);
    strvec_done(&m->to);
    VEC_DONE(&m->made);
    err_free(m->e);
    free(m->name);
    free(m->to_name);
    free(m->state);
    free(m->uri);
    free(m->data_uri);
    free(m);
}

void
migrates_free(struct agent *a)
{
    while (!list_empty(&a->migrations)) {
        migration_free(CONTAINER_OF(a->migrations.next, struct migration, node));
    }
}

void
migrates_stop(struct agent *a)
{
    LIST_FOR_EACH (struct migration, m, node, &a->migrations) {
        if ((m->phase == RUNNING || a->leaving) && m->stop == STOP_NOT) {
            m->stop = a->leaving ? STOP_LEAVING : STOP_DATABASE;
        }
    }
}

static struct migration *
migration_of(const struct agent *a, const struct uuid *vm)
{
    LIST_FOR_EACH (struct migration, m, node, &a->migrations) {
        if (uuid_eq(&m->vm, vm)) {
            return m;
        }
    }
    return NULL;
}

void
migrates_event(struct agent *a, const struct virt_event *event)
{
    LIST_FOR_EACH (struct migration, m, node, &a->migrations) {
        if (m->phase == RUNNING && uuid_eq(&m->domain, &event->domain)) {
            m->paused_at_ms = event->kind == VIRT_EV_PAUSED    ? event->at_ms
                              : event->kind == VIRT_EV_RESUMED ? 0
                                                               : m->paused_at_ms;
        }
    }
}

static void
set_phase(struct migration *m, enum phase phase)
{
    m->phase = phase;
    m->phase_ms = agent_now_ms(m->agent);
    agent_touch(m->agent);
}

/* LOOKING. */

static MUST_CHECK struct err *
check_forecast(const struct migration *m)
{
    const struct converge *f = &m->forecast;

    if (f->ends || m->what.auto_converge || m->what.post_copy || m->give_up_ms ||
        m->estimate) {
        return NULL;
    }
    return err_hint(err_new(ERR_CONSTRAINT,
                            "it would never end: the guest dirties %" PRId64
                            " MiB/s, the link carries %" PRId64 " MiB/s",
                            m->in.dirty_rate / (int64_t) MIB,
                            m->in.bandwidth / (int64_t) MIB),
                    "%s; or try it for a while: --time-limit SECONDS", f->advice);
}

/* The end, before anything was begun. */
static void
give_up(struct migration *m, struct err *e)
{
    e = err_wrap(e, "machine %s", m->name);
    if (m->ticket) {
        ticket_end(m->ticket, e, NULL);
    }
    err_free(e);
    migration_free(m);
}

static void
look_done(void *aux, bool dropped)
{
    struct migration *m = aux;

    m->busy = false;
    if (dropped) {
        return; /* migrates_free() follows. */
    } else if (!m->e) {
        migration_set_error(m, check_forecast(m));
    }
    if (m->e) {
        give_up(m, TAKE(m->e));
        return;
    }
    set_phase(m, ASKING);
}

/* ASKING. */

static void
on_asked(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct migration *m = aux;

    m->busy = false;
    if (e) {
        give_up(m, err_wrap(e, "its row could not be changed"));
        return;
    }
    m->phase_ms = agent_now_ms(m->agent);
    agent_touch(m->agent);
}

static void
ask(struct migration *m, const struct row_vm *row, const struct row_job *job)
{
    uuid_random(&m->receive);
    m->asked = m->busy = true;
    txn_commit(migrate_txn_begin(m->agent, row, job, &m->receive),
               replica_session(m->agent->replica), on_asked, m);
}

/* RUNNING. */

static void
run_done(void *aux, bool dropped)
{
    struct migration *m = aux;
    struct agent *a = m->agent;

    m->busy = false;
    if (dropped) {
        return;
    } else if (!m->known) {
        m->retry_at_ms = agent_now_ms(a) + RETRY_MIN_MS;
    } else if (m->moved) {
        host_learn(a, &m->domain, NULL);
    }
    host_list(a);
    set_phase(m, SETTLING);
}

static void
run(struct migration *m, enum phase phase)
{
    char key[UUID_CHARS + 8];

    snprintf(key, sizeof key, "vm/%s", UUID_TEXT(&m->domain));
    set_phase(m, phase);
    m->busy = true;
    work_submit(m->agent->slow, key, migration_run, run_done, m);
}

/* SETTLING. */

/* The real pause: from libvirt's word here that the guest stands still to the row's that it runs there,
 * both by this host's clock; so the way through the database is in it.  After a switch to post-copy the
 * guest runs before its row says so: then nobody here knows. */
static char *
stood_still(const struct migration *m)
{
    int64_t pause_ms = m->ran_at_ms - m->paused_at_ms;

    return m->paused_at_ms && m->ran_at_ms && pause_ms >= 0 && !m->last.post_copy
               ? str_dupf(", it stood still for %" PRId64 " ms", pause_ms)
               : str_dup("");
}

static void
finish(struct migration *m)
{
    CLEANUP(free_drop) char *note = NULL;
    int64_t took_ms = agent_now_ms(m->agent) - m->began_ms;

    if (m->moved && m->on && !m->adopted) {
        CLEANUP(free_drop) char *sent = str_from_bytes(m->last.done);
        CLEANUP(free_drop) char *stood = stood_still(m);
        note = str_dupf("moved to %s in %.1f s: %s sent, %" PRId64 " passes%s", m->to_name,
                        (double) took_ms / 1000, sent, max64(m->last.passes, 1), stood);
    } else if (m->moved) {
        note = str_dupf("moved to %s", m->to_name);
    }
    if (m->moved) {
        stats_left(m->agent->stats, &m->domain);
    }
    struct err *e = m->moved ? NULL : err_wrap(TAKE(m->e), "machine %s", m->name);
    log_info("%s: %s", m->name, m->moved ? note : err_text(e));
    if (m->ticket) {
        ticket_end(m->ticket, e, note);
    }
    err_free(e);
    migration_free(m);
}

static void
on_settled(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct migration *m = aux;

    m->busy = false;
    if (e) {
        m->retry_at_ms = agent_now_ms(m->agent) + RETRY_MIN_MS;
        log_failure(LOG_INFO, LOG_MODULE, err_wrap(e, "%s: where it is", m->name));
        agent_touch(m->agent);
    } else if (m->moved) {
        set_phase(m, ARRIVING);
    } else {
        finish(m);
    }
}

static void
settle(struct migration *m, const struct row_vm *row)
{
    struct agent *a = m->agent;

    if (agent_now_ms(a) < m->retry_at_ms) {
        agent_wake(a, m->retry_at_ms);
    } else if (!m->known) {
        run(m, SETTLING);
    } else if (!row || !agent_is_own(a, &row->hostnode) || !row->migrate) {
        finish(m); /* Said already: its answer was lost. */
    } else {
        m->busy = true;
        txn_commit(m->moved ? migrate_txn_moved(a, row, m->on, m->on && m->what.post_copy)
                            : migrate_txn_stays(a, row, &m->made),
                   replica_session(a->replica), on_settled, m);
    }
}

/* The answer is there: begin, or end with the estimate. */
static void
answered(struct migration *m, const struct row_vm *row, const struct row_job *receive)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json j;

    if (m->estimate) {
        CLEANUP(buf_done) struct buf text = BUF_INIT;
        if (m->on) {
            converge_explain(&text, &m->in, &m->forecast, m->load.dirty_rate >= 0,
                             m->link_known);
        } else {
            buf_str(&text, "it is off: only its row changes");
        }
        ticket_end(m->ticket, NULL, buf_cstr(&text));
        migration_free(m);
        return;
    }
    struct err *e = json_parse_str(&arena, receive->result ? receive->result : "", &j);
    e = e ? e : migration_compare(m, row, &j);
    if (e) {
        migration_set_error(m, e);
        run(m, SETTLING);
        return;
    }
    run(m, RUNNING);
}

static void
asking(struct migration *m, const struct row_vm *row)
{
    struct agent *a = m->agent;
    const struct row_job *job = row_job_find(a->replica, &m->job);
    const struct row_job *receive = row_job_find(a->replica, &m->receive);
    int64_t give_up_ms = m->phase_ms + ANSWER_MS;
    struct err *e = NULL;

    if (!m->asked && (!row || !job)) {
        e = err_new(ERR_NOT_FOUND, "the machine does not exist any more");
    } else if (!m->asked) {
        ask(m, row, job);
        return;
    } else if (receive && str_eq(receive->state, "done") && row) {
        answered(m, row, receive);
        return;
    } else if (receive && !job_is_open(receive)) {
        e = err_wrap(migration_job_error(receive), "host %s", m->to_name);
    } else if (migration_is_cancelled(m)) {
        e = migration_stop_error(m);
    } else if (agent_now_ms(a) > give_up_ms) {
        e = err_hint(err_new(ERR_TIMEOUT, "host %s does not answer", m->to_name),
                     "does its agent run?  byre node info %s", m->to_name);
    } else {
        agent_wake(a, give_up_ms + 1);
        return;
    }
    if (receive && job_is_open(receive)) {
        txn_set_bool(txn_update(report_txn(a), "job", &m->receive), "cancel", true);
    }
    if (m->estimate || !row) {
        give_up(m, e);
    } else {
        migration_set_error(m, e);
        run(m, SETTLING);
    }
}

static void
arriving(struct migration *m, const struct row_vm *row)
{
    int64_t late_ms = m->phase_ms + ARRIVE_MS;
    bool runs = row && (str_eq(row->status, "running") || str_eq(row->status, "idle"));
    bool there = !row || !m->on || runs || !str_eq(row->state, "running") || row->error;

    if (runs) {
        m->ran_at_ms = clock_wall_ms();
    }
    if (there || agent_now_ms(m->agent) >= late_ms) {
        finish(m);
    } else {
        agent_wake(m->agent, late_ms);
    }
}

/* The row was changed since: what it says now comes first. */
static bool
wants_another(const struct migration *m, const struct row_vm *row)
{
    return !row || !str_eq(row->state, m->state) || row->reboots != m->reboots;
}

static void
migration_pass(struct migration *m)
{
    const struct row_vm *row = row_vm_find(m->agent->replica, &m->vm);

    if (m->phase <= RUNNING && !m->adopted && m->stop == STOP_NOT &&
        wants_another(m, row)) {
        m->stop = STOP_WANT;
    }
    m->agent->unsettled = true;
    if (m->busy) {
        return;
    }
    switch (m->phase) {
    case ASKING: asking(m, row); break;
    case SETTLING: settle(m, row); break;
    case ARRIVING: arriving(m, row); break;
    default: break;
    }
}

static struct migration *
migration_new(struct agent *a, const struct row_vm *row, const struct row_hostnode *to)
{
    struct migration *m = NEW(struct migration);

    m->agent = a;
    m->vm = row->base.uuid;
    m->domain = model_vm_uuid(row);
    m->name = str_dup(row->name);
    m->to_name = str_dup(to ? to->name : "?");
    m->state = str_dup(row->state);
    m->reboots = row->reboots;
    m->on = migrate_is_on(row);
    m->began_ms = m->phase_ms = agent_now_ms(a);
    list_push_back(&a->migrations, &m->node);
    return m;
}

/* What its job says of how. */
static void
take_options(struct migration *m, const struct row_job *job, const struct row_hostnode *to)
{
    struct agent *a = m->agent;
    int64_t downtime_ms = DOWNTIME_MS;

    ROW_FOR_EACH (struct row_cluster, cluster, row_cluster_table(a->replica)) {
        downtime_ms =
            cluster->migration_downtime.has ? cluster->migration_downtime.v : downtime_ms;
    }
    m->job = job->base.uuid;
    m->estimate = typed_set_has(&job->options, "estimate");
    m->what = (struct virt_migration){
        .bandwidth = job->bandwidth.has ? job->bandwidth.v : 0,
        .downtime_ms = job->downtime.has ? job->downtime.v : downtime_ms,
        .auto_converge = typed_set_has(&job->options, "auto-converge"),
        .post_copy = typed_set_has(&job->options, "post-copy"),
        .encrypted = migrate_is_encrypted(a),
    };
    if (job->timeout.has) {
        m->give_up_ms = clock_mono_ms() + min64(job->timeout.v, INT32_MAX) * 1000;
    }
    m->in.bandwidth = migrate_link(migrate_address(to));
    m->link_known = m->in.bandwidth > 0;
    ROW_FOR_EACH (struct row_device, device, row_device_table(a->replica)) {
        const struct row_volume *volume = row_device_get_volume(device);
        if (uuid_eq(&device->vm, &m->vm) && volume && !migrate_is_shared(volume)) {
            m->in.disk += volume->allocation.v;
        }
    }
}

static int
n_leaving(const struct agent *a)
{
    int n = 0;
    LIST_FOR_EACH (struct migration, m, node, &a->migrations) {
        n += !m->estimate;
    }
    return n;
}

/* A job that is open and that nobody runs: it is new, or an earlier agent ran it. */
static MUST_CHECK struct err *
begin(struct agent *a, const struct row_job *job)
{
    const struct row_vm *row = row_vm_find(a->replica, &job->target);
    const struct row_hostnode *to = row_job_get_destination(job);
    bool interrupted = str_eq(job->state, "running");
    CLEANUP(free_drop) char *uri = NULL;
    CLEANUP(free_drop) char *data_uri = NULL;

    if (!row) {
        return err_new(ERR_NOT_FOUND, "the machine does not exist");
    } else if (interrupted && uuid_eq(&row->hostnode, &job->destination)) {
        ticket_end(ticket_take(a, job), NULL, NULL); /* The end of the job was not told. */
        return NULL;
    } else if (interrupted) {
        return err_hint(err_new(ERR_IO, "it was interrupted; the machine is where it was"),
                        "give the command again");
    } else if (job->cancel) {
        return err_new(ERR_CANCELED, "it was cancelled before it began");
    } else if (!agent_is_own(a, &row->hostnode)) {
        return err_hint(err_new(ERR_CONSTRAINT, "the machine is not on this host any more"),
                        "give the command again");
    }
    TRY(migrate_check(a, row, job));
    if (n_leaving(a) >= LEAVING_MAX) {
        return NULL; /* It stays queued; the end of another calls for a pass. */
    }
    TRY(migrate_uris(a, to, &uri, &data_uri));
    struct migration *m = migration_new(a, row, to);
    m->uri = TAKE(uri);
    m->data_uri = TAKE(data_uri);
    take_options(m, job, to);
    m->ticket = ticket_take(a, job);
    m->cancel = ticket_flag(m->ticket);
    log_info("%s: to %s by %s", m->name, m->to_name, m->uri);
    if (m->on) {
        m->busy = true;
        work_submit(a->slow, NULL, migration_look_run, look_done, m);
    } else {
        set_phase(m, ASKING);
    }
    return NULL;
}

void
migrate_begin(struct agent *a, const struct row_job *job)
{
    const struct row_vm *row = row_vm_find(a->replica, &job->target);
    struct err *e = NULL;

    if (row && agent_is_own(a, &row->hostnode) && row->migrate &&
        str_eq(job->state, "running")) {
        return; /* adopt() takes it. */
    }
    e = begin(a, job);
    if (e) {
        job_refuse(a, job, err_wrap(e, "the machine is not moved"));
    }
}

/* An agent before this one began it.  libvirt may still be at it, may have finished, or not. */
static void
adopt(struct agent *a, const struct row_vm *row)
{
    struct migration *m = migration_new(a, row, row_vm_get_migrate_to(row));

    m->adopted = true;
    ROW_FOR_EACH (struct row_job, job, row_job_table(a->replica)) {
        if (str_eq(job->kind, "vm.migrate") && uuid_eq(&job->target, &m->vm) &&
            agent_is_own(a, &job->hostnode) && job_is_open(job) &&
            str_eq(job->state, "running") && !ticket_find(a, &job->base.uuid)) {
            m->job = job->base.uuid;
            m->ticket = ticket_take(a, job);
            m->cancel = ticket_flag(m->ticket);
        }
    }
    log_info("%s: its way to %s was begun earlier; where is it?", m->name, m->to_name);
    migration_set_error(
        m, err_hint(err_new(ERR_IO, "the agent was restarted in the middle; the machine "
                                    "goes on here"),
                    "give the command again"));
    run(m, SETTLING);
}

void
migrates_pass(struct agent *a)
{
    if (!a->listed) {
        return;
    }
    LIST_FOR_EACH_SAFE (struct migration, m, node, &a->migrations) {
        migration_pass(m);
    }
    ROW_FOR_EACH (struct row_vm, row, row_vm_table(a->replica)) {
        if (row->migrate && agent_is_own(a, &row->hostnode) &&
            !migration_of(a, &row->base.uuid)) {
            adopt(a, row);
        }
    }
}
