/* agent/guest_request.c: requests of agent.sock that are about a running guest.
 *
 *     {"method":"keys","vm":ROW,"keys":[[29,56,111],...],"hold_ms":50}   -> {"result":{}}
 *     {"method":"screen","vm":ROW} + fd                                 -> {"result":{"mime":M,"bytes":N}}
 *     {"method":"dump","vm":ROW,"live":false} + fd                      -> {"result":{"bytes":N}}
 *     {"method":"usb","vm":ROW,"attach":true,"vendor":1133,"product":49271}  (or "bus", "device")  -> {"result":{}}
 *
 * They go around the database because they are no rows: pictures and memory are bytes, and what is typed may be a
 * password.  Bytes are written to the caller's own descriptor, so that nobody's rights but his decide where. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/service_i.h"

#include "base/fs.h"
#include "json/decode.h"
#include "virt/guest.h"

#define KEYS_MAX 4096 /* Presses in one request. */
#define HOLD_MS_MAX 10000
#define KEY_CODE_MAX 255
#define COPY_BYTES ((size_t) 1 * MIB)

static void
answer(struct request *r, struct err *e, struct json result)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    struct json reply = json_object();

    if (e) {
        service_send_error(r->fd, e);
        err_free(e);
        return;
    }
    json_put(&r->arena, &reply, "result", result);
    json_print(&reply, 0, &line);
    service_send_line(r->fd, &line);
}

static void
keys_serve(struct request *r)
{
    answer(r,
           virt_press(r->agent->virt, &r->domain, r->guest.chords, r->guest.n_chords,
                      r->guest.hold_ms),
           json_object());
}

static void
screen_serve(struct request *r)
{
    CLEANUP(buf_done) struct buf picture = BUF_INIT;
    CLEANUP(free_drop) char *mime = NULL;
    struct json result = json_object();

    struct err *e = virt_screen(r->agent->virt, &r->domain, &picture, &mime);
    if (!e) {
        e = fd_write_all(r->passed_fd, picture.data, picture.n);
        json_put(&r->arena, &result, "mime", json_string(&r->arena, mime));
        json_put(&r->arena, &result, "bytes", json_int((int64_t) picture.n));
    }
    answer(r, e, result);
}

static struct err *
copy_all(int from, int to, int64_t *ret_bytes)
{
    CLEANUP(free_drop) char *bytes = xmalloc(COPY_BYTES);

    *ret_bytes = 0;
    for (;;) {
        ssize_t n = read(from, bytes, COPY_BYTES);
        if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0) {
            return err_io(errno, "read the dump");
        } else if (n == 0) {
            return NULL;
        }
        TRY(fd_write_all(to, bytes, (size_t) n));
        *ret_bytes += n;
    }
}

/* libvirt writes to a file of ours, which has no name any more once it is read. */
static struct err *
dump_take(struct request *r, int64_t *ret_bytes)
{
    CLEANUP(free_drop) char *path = str_dupf("%s/run/dump-XXXXXX", r->agent->dir);
    CLEANUP(fd_done) int fd = mkstemp(path);

    if (fd < 0) {
        return err_io(errno, "make %s", path);
    }
    struct err *e = virt_dump(r->agent->virt, &r->domain, path, r->guest.live);
    CLEANUP(fd_done) int written = e ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    unlink(path);
    if (e) {
        return e;
    } else if (written < 0) {
        return err_io(errno, "open the dump");
    }
    return copy_all(written, r->passed_fd, ret_bytes);
}

static void
dump_serve(struct request *r)
{
    struct json result = json_object();
    int64_t n_bytes = 0;

    struct err *e = dump_take(r, &n_bytes);
    json_put(&r->arena, &result, "bytes", json_int(n_bytes));
    answer(r, e, result);
}

static void
usb_serve(struct request *r)
{
    answer(r, virt_usb(r->agent->virt, &r->domain, &r->guest.usb, r->guest.attach),
           json_object());
}

static void
usb_read(struct request *r, struct decode *d)
{
    struct virt_usb *usb = &r->guest.usb;
    r->guest.attach = decode_bool(d, "attach", 0, true);
    usb->vendor = (unsigned) decode_int(d, "vendor", DECODE_OPTIONAL, 0, 0, 0xffff);
    usb->product = (unsigned) decode_int(d, "product", DECODE_OPTIONAL, 0, 0, 0xffff);
    usb->bus = (unsigned) decode_int(d, "bus", DECODE_OPTIONAL, 0, 0, 999);
    usb->device = (unsigned) decode_int(d, "device", DECODE_OPTIONAL, 0, 0, 999);
    r->run = usb_serve;
}

static struct err *
chord_read(const struct json *keys, struct virt_chord *ret)
{
    if (keys->type != JSON_ARRAY || keys->n == 0 || keys->n > VIRT_CHORD_KEYS) {
        return err_new(ERR_SYNTAX, "keys pressed together are 1 to %d", VIRT_CHORD_KEYS);
    }
    for (uint32_t i = 0; i < keys->n; i++) {
        const struct json *code = &keys->elems[i];
        if (code->type != JSON_INTEGER || code->integer < 1 ||
            code->integer > KEY_CODE_MAX) {
            return err_new(ERR_SYNTAX, "a key code is 1 to %d", KEY_CODE_MAX);
        }
        ret->codes[i] = (unsigned) code->integer;
    }
    ret->n = (int) keys->n;
    return NULL;
}

static struct err *
keys_read(struct request *r, const struct json *keys)
{
    if (!keys || keys->type != JSON_ARRAY || keys->n == 0 || keys->n > KEYS_MAX) {
        return err_new(ERR_SYNTAX, "a request presses 1 to %d keys", KEYS_MAX);
    }
    r->guest.chords = arena_zalloc(&r->arena, keys->n * sizeof *r->guest.chords);
    r->guest.n_chords = keys->n;
    for (uint32_t i = 0; i < keys->n; i++) {
        TRY(chord_read(&keys->elems[i], &r->guest.chords[i]));
    }
    return NULL;
}

static struct err *
find_running(struct request *r, const char *text)
{
    const struct row_vm *vm;
    TRY(request_find_vm(r, text, &vm));
    const struct virt_dom *seen = host_seen(r->agent, &r->domain);
    if (!seen || !seen->marked || !vms_is_on(seen)) {
        return err_hint(err_new(ERR_CONSTRAINT, "machine %s is not running", vm->name),
                        "byre vm start %s", vm->name);
    }
    return NULL;
}

struct err *
guest_prepare(struct request *r, struct decode *d, const char *method)
{
    const char *vm = decode_string(d, "vm", 0, NULL);
    const struct json *keys = NULL;

    if (str_eq(method, "keys")) {
        keys = decode_member(d, "keys", DECODE_ARRAY);
        r->guest.hold_ms =
            (unsigned) decode_int(d, "hold_ms", DECODE_OPTIONAL, 50, 1, HOLD_MS_MAX);
        r->run = keys_serve;
    } else if (str_eq(method, "usb")) {
        usb_read(r, d);
    } else if (str_eq(method, "dump")) {
        r->guest.live = decode_bool(d, "live", DECODE_OPTIONAL, false);
        r->run = dump_serve;
    } else {
        r->run = screen_serve;
    }
    TRY(decode_end(d));
    if (keys) {
        TRY(keys_read(r, keys));
    } else if (r->passed_fd < 0 && r->run != usb_serve) {
        return err_new(ERR_SYNTAX, "a file must come along with the request");
    }
    return find_running(r, vm);
}
