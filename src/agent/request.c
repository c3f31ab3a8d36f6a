/* agent/request.c: the requests of agent.sock.
 *
 *     {"method":"ping"}                            -> {"result":{"libvirt":true}}
 *     {"method":"probe"}                           -> {"result":{"uid":U,"name":N,"cpus":2,...}}
 *     {"method":"console","vm":ROW[,"log":true]}   -> {"result":{}} and then bytes
 *     {"method":"upload","volume":ROW,"offset":0,"length":0} + fd
 *     {"method":"xml",...}                         see describe.c
 *     {"method":"sources",...}                     see sources.c
 *     {"method":"keys"|"screen"|"dump"|"usb",...}        see guest_request.c
 *     {"method":"top"}, {"method":"stats",...}     see stats.h
 *     {"method":"download", the same}              -> {"progress":R,"message":S}...  {"result":{"bytes":N}} */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/jobs_i.h"
#include "agent/service_i.h"
#include "agent/ticket_i.h"

#include "base/clock.h"
#include "base/fs.h"
#include "json/decode.h"

#define PROGRESS_MS 200
#define LOG_MAX_BYTES (4 * MIB)

void
request_free(struct request *r)
{
    loop_fd_free(r->hangup);
    if (r->ticket) {
        ticket_release(r->ticket);
    }
    err_free(r->e);
    fd_done(&r->fd);
    fd_done(&r->passed_fd);
    free(r->console_log);
    if (r->has_models) {
        vol_done(&r->vol);
        pool_done(&r->pool);
        priv_reply_done(&r->reply);
    }
    arena_done(&r->arena);
    free(r);
}

static void
send_json(struct request *r, const struct json *answer)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT;

    json_print(answer, 0, &line);
    service_send_line(r->fd, &line);
}

static void
fail(struct request *r, struct err *e)
{
    service_send_error(r->fd, e);
    err_free(e);
}

static void
ping_serve(struct request *r)
{
    struct json answer = json_object(), result = json_object();

    json_put(&r->arena, &result, "libvirt", json_bool(r->libvirt));
    json_put(&r->arena, &answer, "result", result);
    send_json(r, &answer);
}

/* What "byre node add" wants to know.  The one who asks may be the first to reach libvirt. */
static struct err *
probe_take(struct request *r)
{
    struct agent *a = r->agent;

    TRY(virt_connect(a->virt));
    TRY(virt_host_facts(a->virt, &r->host));
    TRY(host_identity(a->dir, &r->host.uid, &r->uid));
    probe_host(a->dir, false, &r->probe);
    return NULL;
}

static void
probe_serve(struct request *r)
{
    struct arena *arena = &r->arena;
    struct json answer = json_object(), result = json_object(), hypervisors = json_array();
    char name[256] = "";

    struct err *e = probe_take(r);
    if (e) {
        fail(r, err_wrap(e, "probe"));
        return;
    }
    gethostname(name, sizeof name - 1);
    if (r->probe.kvm) {
        json_add(arena, &hypervisors, json_string_ref("kvm"));
    }
    if (r->probe.tcg) {
        json_add(arena, &hypervisors, json_string_ref("qemu"));
    }
    json_put(arena, &result, "uid", json_string(arena, UUID_TEXT(&r->uid)));
    json_put(arena, &result, "name", json_string(arena, name));
    json_put(arena, &result, "cpus", json_int(r->host.cpus));
    json_put(arena, &result, "cpu_model", json_string(arena, r->host.cpu_model));
    json_put(arena, &result, "mem", json_int(r->host.mem_mib));
    json_put(arena, &result, "version", json_string(arena, r->host.version));
    json_put(arena, &result, "hypervisors", hypervisors);
    json_put(arena, &answer, "result", result);
    send_json(r, &answer);
}

/* Only what was printed so far. */
static void
log_serve(struct request *r)
{
    CLEANUP(buf_done) struct buf log = BUF_INIT, line = BUF_INIT;
    CLEANUP(fd_done) int fd = open(r->console_log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0) {
        struct err *e = err_io(errno, "open %s", r->console_log);
        fail(r, err_hint(e, "a machine has a log once it was started"));
        return;
    }
    off_t size = lseek(fd, 0, SEEK_END);
    size_t n_bytes = (size_t) min64(size, LOG_MAX_BYTES);
    ssize_t n = pread(fd, buf_reserve(&log, n_bytes + 1), n_bytes, size - (off_t) n_bytes);
    buf_str(&line, "{\"result\":{}}");
    service_send_line(r->fd, &line);
    err_free(fd_write_all(r->fd, log.data, n > 0 ? (size_t) n : 0));
}

static void
console_serve(struct request *r)
{
    if (r->log_only) {
        log_serve(r);
        return;
    }
    int ours = dup(r->fd);
    struct err *e = ours < 0 ? err_io(errno, "dup")
                             : virt_console(r->agent->virt, &r->domain, "{\"result\":{}}\n",
                                            r->console_log, ours);
    if (e) {
        fail(r, err_hint(e, "start it first; byre vm console --log shows what it printed"));
    }
}

/* In the thread: to the job's row, and to the client. */
static void
on_progress(void *aux, const struct priv_progress *p)
{
    struct request *r = aux;
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json answer = json_object();

    ticket_progress(r->ticket, p);
    if (clock_mono_ms() - r->told_ms < PROGRESS_MS) {
        return;
    }
    r->told_ms = clock_mono_ms();
    json_put(&arena, &answer, "progress", json_real(p->fraction));
    json_put(&arena, &answer, "message", json_string(&arena, p->message));
    if (p->total > 0) {
        json_put(&arena, &answer, "done", json_int(p->done));
        json_put(&arena, &answer, "total", json_int(p->total));
    }
    send_json(r, &answer);
}

static void
transfer_serve(struct request *r)
{
    struct priv_watch watch = { .progress = on_progress,
                                .aux = r,
                                .cancel = ticket_flag(r->ticket) };
    struct json answer = json_object(), result = json_object();

    r->e = stored_call(r->agent->stored, &r->priv, r->passed_fd, &watch, &r->reply);
    if (r->e) {
        service_send_error(r->fd, r->e);
        return;
    }
    r->worked = true;
    json_put(&r->arena, &result, "bytes", json_int(r->reply.n_bytes));
    json_put(&r->arena, &answer, "result", result);
    send_json(r, &answer);
}

/* An upload changes what is known of the volume. */
static void
transfer_done(struct request *r)
{
    struct row_volume *row = row_volume_find(r->agent->replica, &r->vol_row);
    const struct row_pool *pool = row ? row_volume_get_pool(row) : NULL;

    if (row && pool && r->worked) {
        pool_stat_set(pool_obj_of(r->agent, pool), &r->reply);
        if (r->reply.vols.vols.n == 1) {
            job_tell_volume(r->agent, row, &r->reply, -1);
        }
    }
    ticket_end(TAKE(r->ticket), r->e, NULL);
    agent_touch(r->agent);
}

static struct err *
uuid_from(const char *text, struct uuid *ret)
{
    return text && uuid_parse(text, ret)
               ? NULL
               : err_new(ERR_SYNTAX, "'%s' is no UUID", text ? text : "");
}

struct err *
request_find_vm(struct request *r, const char *text, const struct row_vm **ret)
{
    struct uuid uuid;
    TRY(uuid_from(text, &uuid));
    const struct row_vm *vm = row_vm_find(r->agent->replica, &uuid);
    if (!vm || !agent_is_own(r->agent, &vm->hostnode)) {
        return err_hint(
            err_new(ERR_NOT_FOUND, "this host has no machine with row %s", text),
            "byre vm list shows the machines and their hosts");
    }
    r->domain = model_vm_uuid(vm);
    if (ret) {
        *ret = vm;
    }
    return NULL;
}

static struct err *
console_prepare(struct request *r, struct decode *d)
{
    const char *text = decode_string(d, "vm", 0, NULL);
    r->log_only = decode_bool(d, "log", DECODE_OPTIONAL, false);
    TRY(decode_end(d));

    TRY(request_find_vm(r, text, NULL));
    r->console_log = model_vm_console_log(r->agent->console_dir, &r->domain);
    r->run = console_serve;
    return NULL;
}

static struct err *
transfer_models(struct request *r, const struct row_volume *vol, const char *method)
{
    const struct row_pool *pool = row_volume_get_pool(vol);

    if (!pool || !agent_is_own(r->agent, &pool->hostnode)) {
        return err_hint(err_new(ERR_CONSTRAINT, "volume %s is not on this host", vol->name),
                        "run the command on the host of its pool");
    } else if (!pool_ready(pool, pool_obj_of(r->agent, pool))) {
        return err_hint(err_new(ERR_CONSTRAINT, "pool %s is not running", pool->name),
                        "byre pool start %s", pool->name);
    } else if (!str_eq(vol->state, "ready")) {
        return err_hint(err_new(ERR_CONSTRAINT, "volume %s is not ready", vol->name),
                        "byre vol info tells why");
    } else if (r->passed_fd < 0) {
        return err_new(ERR_SYNTAX, "a file must come along with the request");
    }
    TRY(vol_refuse_used(r->agent, vol, str_eq(method, "upload"), NULL));
    TRY(pool_model(pool, &r->pool));
    struct err *e = model_vol(vol, row_volume_get_backing(vol), r->pool.type, &r->vol);
    if (e) {
        pool_done(&r->pool);
        return e;
    }
    priv_reply_init(&r->reply);
    r->has_models = true;
    r->vol_row = vol->base.uuid;
    if (vol->filepath) { /* Of a block pool the node is where the volume is. */
        r->vol.target.path = arena_str(&r->vol.arena, vol->filepath);
    }
    return NULL;
}

static struct err *
transfer_prepare(struct request *r, struct decode *d, const char *method)
{
    const char *text = decode_string(d, "volume", 0, NULL);
    int64_t offset = decode_int(d, "offset", DECODE_OPTIONAL, 0, 0, INT64_MAX);
    int64_t length = decode_int(d, "length", DECODE_OPTIONAL, 0, 0, INT64_MAX);
    TRY(decode_end(d));

    struct uuid uuid;
    TRY(uuid_from(text, &uuid));
    const struct row_volume *vol = row_volume_find(r->agent->replica, &uuid);
    if (!vol) {
        return err_new(ERR_NOT_FOUND, "there is no volume with row %s", text);
    }
    TRY(transfer_models(r, vol, method));
    r->priv = (struct priv_request){ .verb = str_eq(method, "upload") ? PRIV_VOL_UPLOAD
                                                                      : PRIV_VOL_DOWNLOAD,
                                     .pool = &r->pool,
                                     .vol = &r->vol,
                                     .offset = offset,
                                     .length = length };
    r->run = transfer_serve;
    r->done = transfer_done;
    return NULL;
}

static bool
is_about_guest(const char *method)
{
    return str_eq(method, "keys") || str_eq(method, "screen") || str_eq(method, "dump") ||
           str_eq(method, "usb");
}

struct err *
request_prepare(struct request *r)
{
    struct decode d;

    r->fd = -1;
    decode_begin(&d, &r->json, "request");
    const char *method = decode_string(&d, "method", 0, NULL);
    bool needs_rows = str_eq(method, "console") || str_eq(method, "upload") ||
                      str_eq(method, "download") || str_eq(method, "xml") ||
                      str_eq(method, "look") || is_about_guest(method);
    if (needs_rows && !replica_is_ready(r->agent->replica)) {
        decode_ignore_rest(&d);
        err_free(decode_end(&d));
        return err_hint(err_new(ERR_BUSY, "the agent has no connection to the database"),
                        "try again in a moment");
    } else if (str_eq(method, "console")) {
        return console_prepare(r, &d);
    } else if (str_eq(method, "upload") || str_eq(method, "download")) {
        return transfer_prepare(r, &d, method);
    } else if (str_eq(method, "look")) {
        return look_prepare(r, &d);
    } else if (str_eq(method, "xml")) {
        return describe_prepare(r, &d);
    } else if (is_about_guest(method)) {
        return guest_prepare(r, &d, method);
    } else if (str_eq(method, "sources")) {
        return sources_prepare(r, &d);
    } else if (str_eq(method, "top")) {
        return stats_top_prepare(r, &d);
    } else if (str_eq(method, "stats")) {
        return stats_read_prepare(r, &d);
    } else if (str_eq(method, "ping")) {
        r->libvirt = r->agent->listed;
        r->run = ping_serve;
        return decode_end(&d);
    } else if (str_eq(method, "probe")) {
        r->run = probe_serve;
        return decode_end(&d);
    }
    decode_ignore_rest(&d);
    TRY(decode_end(&d));
    return err_new(ERR_UNSUPPORTED, "there is no method '%s'", method);
}

static void
on_run(void *aux)
{
    struct request *r = aux;
    r->run(r);
}

static void
on_done(void *aux, bool dropped)
{
    struct request *r = aux;

    if (!dropped && r->done) {
        r->done(r);
    }
    service_request_done(r->service);
    request_free(r);
}

/* The client says nothing more: what can be read is its end.  Then nobody needs the transfer. */
static void
on_hangup(void *aux, int ready UNUSED)
{
    struct request *r = aux;
    char byte;
    ssize_t n = recv(r->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
        loop_fd_set(r->hangup, 0);
        *ticket_flag(r->ticket) = r->cancel = 1;
    }
}

static void
begin_transfer(struct request *r)
{
    char who[64];

    r->ticket = ticket_new(
        r->agent, r->priv.verb == PRIV_VOL_UPLOAD ? "vol.upload" : "vol.download", "volume",
        &r->vol_row, NULL, ticket_who(r->peer, who, sizeof who));
    err_free(loop_fd_new(r->agent->loop, r->fd, on_hangup, r, &r->hangup));
    if (r->hangup) { /* Without it the next progress that cannot be sent tells nobody. */
        loop_fd_set(r->hangup, LOOP_READ);
    }
}

void
request_submit(struct request *r)
{
    if (r->run == transfer_serve) {
        begin_transfer(r);
    }
    work_submit(r->agent->slow, NULL, on_run, on_done, r);
}
