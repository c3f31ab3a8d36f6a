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

#include "agent/migrate_i.h"

#include "base/clock.h"
#include "base/log.h"

#define ANSWER_MS 90000 /* The other agent's. */
#define ARRIVE_MS 60000 /* To run there; then the job ends all the same. */
#define DOWNTIME_MS 300 /* The schema's default. */
#define LEAVING_MAX                                                                        \
    2 /* At a time: more share the link, and each takes longer to converge. */
#define LINK_BYTES 125000000 /* 1 Gbit/s, if nobody knows. */

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

    /* The threads'. */
    struct virt_migration what;
    char *uri, *data_uri, *from_print;
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
    free(m->from_print);
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

static void
set_phase(struct migration *m, enum phase phase)
{
    m->phase = phase;
    m->phase_ms = agent_now_ms(m->agent);
    agent_touch(m->agent);
}

/* The first failure is the one that counts.  Takes 'e'. */
static void
set_error(struct migration *m, struct err *e)
{
    if (m->e) {
        err_free(e);
    } else {
        m->e = e;
    }
}

static bool
is_cancelled(void *aux)
{
    struct migration *m = aux;

    if (m->give_up_ms && clock_mono_ms() >= m->give_up_ms && m->stop == STOP_NOT) {
        m->stop = STOP_TIME;
    }
    return m->stop != STOP_NOT || (m->cancel && *m->cancel);
}

/* What became of it, for the job. */
static struct err *
stop_error(const struct migration *m)
{
    switch (m->stop) {
    case STOP_WANT:
        return err_new(ERR_CANCELED, "the machine shall do something else now: it stays");
    case STOP_DATABASE:
        return err_hint(
            err_new(ERR_BUSY,
                    "the database went away in the middle; the machine goes on here"),
            "give the command again");
    case STOP_TIME:
        return err_hint(
            err_new(ERR_TIMEOUT, "it took longer than it may; the machine goes on here"),
            "give it more time, or use --auto-converge or --post-copy");
    default: return err_new(ERR_CANCELED, "it was cancelled; the machine goes on here");
    }
}

static void
on_progress(void *aux, const struct virt_migrating *now)
{
    struct migration *m = aux;
    char message[160];
    int64_t all = now->done + now->left;

    CLEANUP(free_drop) char *left = str_from_bytes(now->left);
    CLEANUP(free_drop) char *rate = str_from_bytes(now->rate);
    int n = snprintf(message, sizeof message, "pass %" PRId64 ": %s left, %s/s",
                     now->passes, left, rate);
    if (now->throttle > 0 && n > 0 && (size_t) n < sizeof message) {
        snprintf(message + n, sizeof message - (size_t) n,
                 ", the guest is slowed by %" PRId64 " %%", now->throttle);
    }
    if (m->ticket) {
        ticket_progress(m->ticket,
                        &(struct priv_progress){
                            .fraction = all > 0 ? (double) now->done / (double) all : 0,
                            .done = now->done,
                            .total = all,
                            .message = now->post_copy
                                           ? "it runs there; the rest of its memory follows"
                                           : message });
    }
}

/* LOOKING. */

static void
forecast(struct migration *m)
{
    struct converge_in *in = &m->in;

    in->memory = m->load.memory;
    in->dirty_rate = max64(m->load.dirty_rate, 0);
    in->write_rate = m->load.write_rate;
    in->downtime_ms = m->what.downtime_ms;
    in->bandwidth = in->bandwidth > 0 ? in->bandwidth : LINK_BYTES;
    in->bandwidth =
        m->what.bandwidth > 0 ? min64(m->what.bandwidth, in->bandwidth) : in->bandwidth;
    m->forecast = converge_forecast(in);
}

static void
look_run(void *aux)
{
    struct migration *m = aux;
    set_error(m, virt_load_of(m->agent->virt, &m->domain, &m->load));
    forecast(m);
}

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
        set_error(m, check_forecast(m));
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

/* The three lines of a job's error, as an error. */
static struct err *
error_of(const struct row_job *job)
{
    CLEANUP(strvec_done) struct strvec lines = STRVEC_INIT;
    bool cancelled = str_eq(job->state, "cancelled");

    strvec_split(&lines, job->error ? job->error : "", "\n");
    struct err *e = err_new(cancelled ? ERR_CANCELED : ERR_CONSTRAINT, "%s",
                            lines.n > 1   ? lines.v[1]
                            : lines.n > 0 ? lines.v[0]
                                          : "it gave no reason");
    if (lines.n > 1 && !str_starts(lines.v[0], "it could not")) {
        e = err_wrap(e, "%s", lines.v[0]);
    }
    return lines.n > 2 ? err_hint(e, "%s", lines.v[2]) : e;
}

static void
differs(struct migration *m, const char *from, const char *to)
{
    if (from && to && !str_eq(from, to)) {
        strvec_add(&m->from, from);
        strvec_add(&m->to, to);
    }
}

static bool
is_copied(const struct migration *m, const struct row_vm *row, const char *target)
{
    ROW_FOR_EACH (struct row_device, device, row_device_table(m->agent->replica)) {
        const struct row_volume *volume = row_device_get_volume(device);
        if (uuid_eq(&device->vm, &row->base.uuid) && volume &&
            str_eq(device->targetdev, target)) {
            return !migrate_is_shared(volume) && !device->readonly &&
                   str_eq(device->type, "disk");
        }
    }
    return false;
}

/* What is another there: 'j' is receive.c's answer. */
static MUST_CHECK struct err *
compare(struct migration *m, const struct row_vm *row, const struct json *j)
{
    struct model_vm_host host = host_model(m->agent);
    const struct json *disks = json_get(j, "disks"), *made = json_get(j, "made");
    const struct json *kvm = json_get(j, "kvm");
    const struct virt_dom *seen = host_seen(m->agent, &m->domain);
    char print[VIRT_PRINT_CHARS + 1];
    struct model_vm vm;

    if (!json_is(j, JSON_OBJECT) || !json_is(disks, JSON_OBJECT)) {
        return err_new(ERR_SYNTAX, "the other host's answer cannot be read");
    }
    for (uint32_t i = 0; json_is(made, JSON_ARRAY) && i < made->n; i++) {
        struct uuid uuid;
        if (json_is(&made->elems[i], JSON_STRING) &&
            uuid_parse(made->elems[i].string, &uuid)) {
            *VEC_ADD(&m->made) = uuid;
        }
    }
    TRY(model_vm(row, &host, &vm));
    if (vm.waits || !json_is_bool(kvm)) {
        model_vm_done(&vm);
        return err_new(ERR_BUSY, "its hardware is being changed");
    } else if (vm.domain.kvm != (kvm->type == JSON_TRUE)) {
        bool here = vm.domain.kvm;
        model_vm_done(&vm);
        return err_hint(
            err_new(ERR_UNSUPPORTED, "it runs with %s here, host %s would run it with %s",
                    here ? "KVM" : "emulation", m->to_name, here ? "emulation" : "KVM"),
            "set its accel to qemu and restart it, to move it between such hosts");
    }
    virt_domain_print(&vm.domain, print);
    if (seen && str_eq(seen->live_print, print)) {
        differs(m, print, json_get_string(j, "print"));
    }
    differs(m, vm.domain.console_log, json_get_string(j, "console"));
    differs(m, vm.domain.kernel, json_get_string(j, "kernel"));
    differs(m, vm.domain.initrd, json_get_string(j, "initrd"));
    for (size_t i = 0; i < vm.domain.n_disks; i++) {
        const struct virt_disk *disk = &vm.domain.disks[i];
        differs(m, disk->path, json_get_string(disks, disk->target));
        if (is_copied(m, row, disk->target)) {
            strvec_add(&m->disks, disk->target);
        }
    }
    model_vm_done(&vm);
    return NULL;
}

/* RUNNING. */

static MUST_CHECK struct err *
migrate(struct migration *m)
{
    struct virt *v = m->agent->virt;
    CLEANUP(free_drop) char *xml = NULL;
    CLEANUP(buf_done) struct buf there = BUF_INIT;
    struct virt_edit *edits = NULL;
    struct virt_migrate_watch watch = { on_progress, is_cancelled, m };

    if (!m->on) {
        return virt_undefine(v, &m->domain); /* The other host's agent defines it. */
    }
    TRY(virt_migratable_xml(v, &m->domain, &xml));
    edits = xcalloc(m->from.n + 1, sizeof *edits);
    for (size_t i = 0; i < m->from.n; i++) {
        edits[i] = (struct virt_edit){ m->from.v[i], m->to.v[i] };
    }
    virt_xml_edit(xml, edits, m->from.n, &there);
    free(edits);
    m->what.uri = m->uri;
    m->what.data_uri = m->data_uri;
    m->what.xml = buf_cstr(&there);
    m->what.disks = (const char *const *) m->disks.v;
    m->what.n_disks = m->disks.n;
    struct err *e = virt_migrate(v, &m->domain, &m->what, &watch, &m->last);
    if (err_is(e, ERR_CANCELED)) {
        err_free(e);
        e = stop_error(m);
    }
    return e;
}

/* Is it here?  Only once libvirt has nothing under way with it can that be said. */
static void
find_out(struct migration *m)
{
    struct virt_migrate_watch watch = { on_progress, is_cancelled, m };
    struct virt_dom dom = { 0 };
    struct err *e = virt_migrate_await(m->agent->virt, &m->domain, &watch);

    if (!e) {
        e = virt_look(m->agent->virt, &m->domain, &dom);
        virt_dom_done(&dom);
    }
    m->moved = err_is(e, ERR_NOT_FOUND);
    m->known = !e || m->moved;
    if (e && !m->moved) {
        log_info("%s: where it is cannot be told yet: %s", m->name, err_text(e));
    }
    err_free(e);
}

static void
run_run(void *aux)
{
    struct migration *m = aux;

    if (m->phase == RUNNING) {
        set_error(m, is_cancelled(m) ? stop_error(m) : migrate(m));
    }
    find_out(m);
}

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
    work_submit(m->agent->slow, key, run_run, run_done, m);
}

/* SETTLING. */

static void
finish(struct migration *m)
{
    CLEANUP(free_drop) char *note = NULL;
    int64_t took_ms = agent_now_ms(m->agent) - m->began_ms;

    if (m->moved && m->on && !m->adopted) {
        CLEANUP(free_drop) char *sent = str_from_bytes(m->last.done);
        note = str_dupf("moved to %s in %.1f s: %s sent, %" PRId64 " passes", m->to_name,
                        (double) took_ms / 1000, sent, max64(m->last.passes, 1));
    } else if (m->moved) {
        note = str_dupf("moved to %s", m->to_name);
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
    e = e ? e : compare(m, row, &j);
    if (e) {
        set_error(m, e);
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
        e = err_wrap(error_of(receive), "host %s", m->to_name);
    } else if (is_cancelled(m)) {
        e = stop_error(m);
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
        set_error(m, e);
        run(m, SETTLING);
    }
}

static void
arriving(struct migration *m, const struct row_vm *row)
{
    int64_t late_ms = m->phase_ms + ARRIVE_MS;
    bool there = !row || !m->on || str_eq(row->status, "running") ||
                 str_eq(row->status, "idle") || !str_eq(row->state, "running") ||
                 row->error;

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
        work_submit(a->slow, NULL, look_run, look_done, m);
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
    set_error(m,
              err_hint(err_new(ERR_IO, "the agent was restarted in the middle; the machine "
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
