/* virt/test_conn.c: the connection against a real libvirtd, with real (TCG) guests; the probe.
 *
 * The guest is a boot sector that writes to the serial port and halts: it needs no kernel and is up
 * in a moment.  libvirtd and virtlogd are started if nothing answers, and left running. */
#include "virt/conn.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "loop/child.h"
#include "loop/loop.h"
#include "test.h"
#include "virt/probe.h"

#define WAIT_MS 30000

/* What libvirt told, in order. */
struct heard {
    struct virt_event v[64];
    size_t n;
};

static void
on_event(void *aux, const struct virt_event *event)
{
    struct heard *heard = aux;

    if (heard->n < N_ELEMS(heard->v)) {
        heard->v[heard->n++] = *event;
    }
}

struct fixture {
    struct loop *loop;
    struct virt *virt;
    struct heard heard;
    struct uuid uuid;
    char *name, *disk, *log;
};

static void
run(const char *const *argv)
{
    struct child_spec spec = { .argv = argv, .deadline_ms = WAIT_MS };
    CLEANUP(child_result_done) struct child_result result = CHILD_RESULT_INIT;
    err_free(child_run_blocking(&spec, -1, NULL, &result));
}

/* No service manager where tests run: a daemon that answers is used, else one is started. */
static struct err *
connect_or_start(struct virt *v)
{
    struct err *e = virt_connect(v);

    if (e) {
        err_free(e);
        run((const char *[]){ "virtlogd", "-d", NULL });
        run((const char *[]){ "libvirtd", "-d", NULL });
        int64_t until = clock_mono_ms() + WAIT_MS;
        while ((e = virt_connect(v)) && clock_mono_ms() < until) {
            err_free(e);
            usleep(100000);
        }
    }
    return e;
}

/* mov dx,0x3f8; then "ok\r\n" byte by byte; then echo what comes in, for ever. */
static const uint8_t guest[] = {
    0xba, 0xf8, 0x03,                   /*      mov dx, 0x3f8 */
    0xb0, 'o',  0xee,                   /*      out dx, 'o' */
    0xb0, 'k',  0xee,                   /*      out dx, 'k' */
    0xb0, '\n', 0xee,                   /*      out dx, '\n' */
    0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, /*   1: in al, 0x3fd; test al, 1 */
    0x74, 0xf8,                         /*      jz 1b */
    0xba, 0xf8, 0x03, 0xec, 0xee,       /*      in al, 0x3f8; out 0x3f8, al */
    0xeb, 0xf1,                         /*      jmp 1b */
};

/* A check that fails leaves its test in the middle: what it made must go all the same. */
static struct strvec made;

static void
remove_made(void)
{
    for (size_t i = 0; i < made.n; i++) {
        run((const char *[]){ "virsh", "-q", "destroy", made.v[i], NULL });
        run((const char *[]){ "virsh", "-q", "undefine", made.v[i], NULL });
    }
    strvec_done(&made);
}

static void
fixture_open(struct fixture *f)
{
    static int n;

    memset(f, 0, sizeof *f);
    CHECK_OK("loop", loop_new(&f->loop));
    f->virt = virt_new("qemu:///system", f->loop, on_event, &f->heard);
    CHECK_OK("connect", connect_or_start(f->virt));
    uuid_random(&f->uuid);
    f->name = str_dupf("byre-test-%d-%d", (int) getpid(), n++);
    if (made.n == 0) {
        atexit(remove_made);
    }
    strvec_add(&made, f->name);
    f->disk = str_dupf("%s/%s.img", test_dir(), f->name);
    f->log = str_dupf("%s/%s.log", test_dir(), f->name);
    CHECK("QEMU's own user must get there", chmod(test_dir(), 0711) == 0);

    static uint8_t
        disk[1 * MIB]; /* The BIOS boots from no virtio disk that is much smaller. */
    memcpy(disk, guest, sizeof guest);
    disk[510] = 0x55;
    disk[511] = 0xaa;
    CHECK_OK("disk", fs_write_atomic(f->disk, disk, sizeof disk, 0644));
}

static void
fixture_close(struct fixture *f)
{
    err_free(virt_destroy(f->virt, &f->uuid));
    err_free(virt_undefine(f->virt, &f->uuid));
    virt_free(f->virt);
    loop_turn(f->loop, 0);
    loop_free(f->loop);
    ASSERT(str_eq(made.v[made.n - 1], f->name));
    free(made.v[--made.n]);
    made.v[made.n] = NULL;
    free(f->name);
    free(f->disk);
    free(f->log);
}

static char *
fixture_xml(const struct fixture *f, int64_t mem_mib)
{
    struct virt_disk disk = {
        .path = f->disk, .format = "raw", .target = "vda", .bus = "virtio"
    };
    struct virt_domain d = { .name = f->name,
                             .uuid = f->uuid,
                             .row = f->uuid,
                             .mem_mib = mem_mib,
                             .vcpus = 1,
                             .console_log = f->log,
                             .disks = &disk,
                             .n_disks = 1 };
    CLEANUP(buf_done) struct buf xml = BUF_INIT;

    CHECK_OK("values", virt_domain_check(&d));
    virt_domain_xml(&d, &xml);
    return buf_take(&xml);
}

/* Turns the loop until this kind of event came for our domain after the 'from'th. */
static bool
wait_event(struct fixture *f, enum virt_event_kind kind, size_t *from,
           enum virt_reason *ret_why)
{
    int64_t until = clock_mono_ms() + WAIT_MS;

    do {
        for (; *from < f->heard.n; (*from)++) {
            const struct virt_event *event = &f->heard.v[*from];
            if (event->kind == kind && uuid_eq(&event->domain, &f->uuid)) {
                *ret_why = event->reason;
                (*from)++;
                return true;
            }
        }
        loop_turn(f->loop, 100);
    } while (clock_mono_ms() < until);
    return false;
}

static void
define(struct fixture *f, int64_t mem_mib)
{
    CLEANUP(free_drop) char *xml = fixture_xml(f, mem_mib);
    CHECK_OK("define", virt_define(f->virt, xml));
}

TEST(a_domains_life)
{
    struct fixture f;
    struct virt_dom dom;
    enum virt_reason why = 0;
    size_t at = 0;

    fixture_open(&f);
    define(&f, 16);
    CHECK("defined", wait_event(&f, VIRT_EV_DEFINED, &at, &why));
    CHECK_OK("look", virt_look(f.virt, &f.uuid, &dom));
    CHECK_INT("off", dom.state, VIRT_SHUTOFF);
    CHECK("marked", dom.marked && uuid_eq(&dom.mark.row, &f.uuid) && dom.mark.print[0]);
    CHECK_STR("nothing runs", dom.live_print, "");
    CHECK_INT("no id", dom.domid, -1);
    virt_dom_done(&dom);

    CHECK_OK("start", virt_start(f.virt, &f.uuid, false));
    CHECK("started", wait_event(&f, VIRT_EV_STARTED, &at, &why));
    define(&f, 24); /* For the next start. */
    CHECK_OK("look", virt_look(f.virt, &f.uuid, &dom));
    CHECK_INT("on", dom.state, VIRT_RUNNING);
    CHECK("what runs is not what is on file",
          dom.live_print[0] && !str_eq(dom.live_print, dom.mark.print));
    CHECK("id", dom.domid > 0);
    virt_dom_done(&dom);
    CHECK_OK("pause", virt_suspend(f.virt, &f.uuid));
    CHECK("paused", wait_event(&f, VIRT_EV_PAUSED, &at, &why));
    CHECK_OK("resume", virt_resume(f.virt, &f.uuid));
    CHECK("resumed", wait_event(&f, VIRT_EV_RESUMED, &at, &why));
    CHECK_OK("reset", virt_reset(f.virt, &f.uuid));
    CHECK("rebooted", wait_event(&f, VIRT_EV_REBOOTED, &at, &why));
    CHECK_ERR("twice", virt_start(f.virt, &f.uuid, false), ERR_CONSTRAINT);
    CHECK_OK("destroy", virt_destroy(f.virt, &f.uuid));
    CHECK("stopped", wait_event(&f, VIRT_EV_STOPPED, &at, &why));
    CHECK_INT("why", why, VIRT_WHY_DESTROYED);

    CHECK_OK("start paused", virt_start(f.virt, &f.uuid, true));
    CHECK_OK("look", virt_look(f.virt, &f.uuid, &dom));
    CHECK_INT("paused", dom.state, VIRT_PAUSED);
    CHECK_INT("by us", dom.reason, VIRT_WHY_OTHER);
    virt_dom_done(&dom);
    CHECK_OK("destroy", virt_destroy(f.virt, &f.uuid));
    CHECK_OK("undefine", virt_undefine(f.virt, &f.uuid));
    CHECK_ERR("gone", virt_look(f.virt, &f.uuid, &dom), ERR_NOT_FOUND);
    fixture_close(&f);
}

TEST(a_list_shows_ours_among_others)
{
    struct fixture f;
    struct virt_doms doms = VIRT_DOMS_INIT;

    fixture_open(&f);
    define(&f, 16);
    CHECK_OK("list", virt_list(f.virt, &doms));
    const struct virt_dom *dom = virt_doms_find(&doms, &f.uuid);
    CHECK("found", dom && dom->marked && dom->persistent);
    CHECK_STR("name", dom->name, f.name);
    CHECK_INT("memory", dom->mem_mib, 16);
    virt_doms_done(&doms);
    fixture_close(&f);
}

TEST(a_missing_disk_says_so)
{
    struct fixture f;

    fixture_open(&f);
    define(&f, 16);
    CHECK("unlink", unlink(f.disk) == 0);
    CLEANUP(err_drop) struct err *e = virt_start(f.virt, &f.uuid, false);
    CHECK("libvirt names the file", e && strstr(err_text(e), f.disk));
    fixture_close(&f);
}

/* Reads what comes within the time; enough once 'until' was seen. */
static void
read_until(int fd, const char *until, struct buf *got)
{
    int64_t end = clock_mono_ms() + WAIT_MS;

    while (!(got->n && strstr(buf_cstr(got), until)) && clock_mono_ms() < end) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        if (poll(&poll_fd, 1, 100) == 1) {
            ssize_t n = read(fd, buf_reserve(got, 4096), 4096);
            if (n <= 0) {
                return;
            }
            got->n += (size_t) n;
        }
    }
}

TEST(the_console_carries_bytes_both_ways)
{
    struct fixture f;
    int pair[2], other[2];
    CLEANUP(buf_done) struct buf got = BUF_INIT, tail = BUF_INIT;
    char byte;

    fixture_open(&f);
    define(&f, 16);
    CHECK("pair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK_ERR("a domain that is off has none",
              virt_console(f.virt, &f.uuid, NULL, NULL, pair[1]), ERR_CONSTRAINT);
    close(pair[0]);
    CHECK_OK("start paused, so that nothing is missed", virt_start(f.virt, &f.uuid, true));
    CHECK("pair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK_OK("console", virt_console(f.virt, &f.uuid, "hi\n", f.log, pair[1]));
    CHECK_OK("go", virt_resume(f.virt, &f.uuid));
    read_until(pair[0], "ok\n", &got);
    CHECK("the guest is heard", got.n && strstr(buf_cstr(&got), "ok\n"));
    CHECK("write", write(pair[0], "hello", 5) == 5);
    read_until(pair[0], "hello", &got);
    CHECK("and hears", strstr(buf_cstr(&got), "hello") != NULL);

    CHECK("pair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other) == 0);
    CHECK_OK("another takes over", virt_console(f.virt, &f.uuid, "hi\n", f.log, other[1]));
    read_until(other[0], "hello", &tail);
    CHECK("it is told what was said before",
          tail.n && str_starts(buf_cstr(&tail), "hi\nok\nhello"));
    CHECK("the first one is closed", read(pair[0], &byte, 1) == 0);
    CHECK_OK("destroy", virt_destroy(f.virt, &f.uuid));
    CHECK("the end of the guest ends it", read(other[0], &byte, 1) == 0);
    close(pair[0]);
    close(other[0]);
    fixture_close(&f);
}

TEST(the_host_tells_about_itself)
{
    struct fixture f;
    struct virt_host host;

    fixture_open(&f);
    CHECK_OK("facts", virt_host_facts(f.virt, &host));
    CHECK("uid", !uuid_is_zero(&host.uid));
    CHECK_INT("cpus", host.cpus, sysconf(_SC_NPROCESSORS_ONLN));
    CHECK("memory", host.mem_mib > 0 && host.mem_free_mib <= host.mem_mib);
    CHECK("version", str_starts(host.version, "libvirt "));
    CHECK("model", host.cpu_model[0] != '\0');
    fixture_close(&f);
}

TEST(no_libvirt_is_an_error_in_three_parts)
{
    struct loop *loop;
    struct heard heard = { .n = 0 };

    CHECK_OK("loop", loop_new(&loop));
    CLEANUP(free_drop)
    char *uri = str_dupf("qemu+unix:///system?socket=%s/none", test_dir());
    struct virt *v = virt_new(uri, loop, on_event, &heard);
    struct virt_doms doms;
    struct err *e = virt_connect(v);
    CHECK("fails", e != NULL);
    CHECK("what", strstr(err_what(e), "libvirt cannot be reached"));
    CHECK("why", strstr(err_why(e), "none"));
    CHECK("next", strstr(err_next(e), "libvirtd"));
    CHECK_INT("may work later", err_kind(e), ERR_BUSY);
    err_free(e);
    CHECK_ERR("and calls say the same", virt_list(v, &doms), ERR_BUSY);
    virt_free(v);
    loop_free(loop);
}

TEST(a_probe_guest_runs_under_translation)
{
    CHECK_OK("tcg", probe_accel(NULL, "tcg", test_dir(), WAIT_MS));
    CHECK_ERR("too slow is a time-out", probe_accel(NULL, "tcg", test_dir(), 1),
              ERR_TIMEOUT);
    CHECK_ERR("no such accelerator", probe_accel(NULL, "none-such", test_dir(), WAIT_MS),
              ERR_IO);
    CHECK_ERR("no emulator", probe_accel("none-such", "tcg", test_dir(), WAIT_MS),
              ERR_NOT_FOUND);
    CHECK_ERR("an emulator that lies", probe_accel("true", "tcg", test_dir(), WAIT_MS),
              ERR_IO);
}

TEST(the_probes_answer_is_kept_for_a_boot)
{
    CLEANUP(free_drop) char *path = path_join(test_dir(), "run/probe");
    CLEANUP(buf_done) struct buf kept = BUF_INIT;
    struct probe first, second;

    unlink(path);
    probe_host(test_dir(), false, &first);
    CHECK("translation works anywhere", first.tcg && !first.tcg_why[0]);
    CHECK("KVM works, or it is said why not", first.kvm == !first.kvm_why[0]);
    CHECK_OK("kept", fs_read(path, 4096, &kept));

    /* Another answer in the file comes back: it was not probed again. */
    char *tcg = strstr(buf_cstr(&kept), "tcg 1");
    memcpy(tcg, "tcg 0", 5);
    CHECK_OK("changed", fs_write_atomic(path, kept.data, kept.n, 0600));
    probe_host(test_dir(), false, &second);
    CHECK_INT("as kept", second.tcg, false);
    CHECK_INT("as kept", second.kvm, first.kvm);
    CHECK_STR("as kept", second.kvm_why, first.kvm_why);
    kept.data[6] ^= 1; /* Another boot. */
    CHECK_OK("changed", fs_write_atomic(path, kept.data, kept.n, 0600));
    probe_host(test_dir(), false, &second);
    CHECK_INT("probed anew", second.tcg, true);
}
