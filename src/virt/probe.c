/* virt/probe.c: runs the smallest guest there is and sees whether it lived.
 *
 * The guest, at 0000:7c00 after the BIOS has loaded it:
 *
 *     66 b9 00 00 40 00    mov  ecx, 0x400000
 *     66 49           1:   dec  ecx
 *     75 fc                jnz  1b
 *     b0 31                mov  al, 0x31
 *     ba f4 00             mov  dx, 0x00f4
 *     ee                   out  dx, al      ; isa-debug-exit: QEMU exits with (0x31 << 1) | 1
 *     f4              2:   hlt
 *     eb fd                jmp  2b
 *
 * 99 is no status that QEMU has of its own (0, 1, or 128 + a signal).  The loop is what tells
 * hardware from a KVM that emulates instruction by instruction: it takes 2 ms on a processor,
 * 20 ms under TCG, and 5 s there, beyond any deadline.  (A processor before 2010 that cannot run
 * real mode in a guest looks the same; TCG is the safe answer for it.) */
#include "virt/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "loop/child.h"

#define SECTOR_BYTES 512
#define LIVED_STATUS 99
#define DEADLINE_MS 5000 /* For translation, and at most for KVM. */
#define KVM_MIN_MS 2000  /* Enough for a processor, even a busy one ... */
#define KVM_PER_TCG                                                                        \
    10 /* ... whose guests are never that much slower than translated ones. */
#define EMULATOR "qemu-system-x86_64"
#define KEPT_MAX_BYTES 4096

static const uint8_t guest_code[] = {
    0xb0, 0x31, 0xba, 0xf4, 0x00, 0xee, 0xf4, 0xeb, 0xfd
};

/* Unlinks the file that 'path' names and frees the path. */
static void
image_drop(char **path)
{
    if (*path) {
        unlink(*path);
        free(*path);
    }
}

static struct err *
image_write(const char *path)
{
    uint8_t sector[SECTOR_BYTES] = { 0 };

    memcpy(sector, guest_code, sizeof guest_code);
    sector[SECTOR_BYTES - 2] = 0x55;
    sector[SECTOR_BYTES - 1] = 0xaa;
    return fs_write_atomic(path, sector, sizeof sector, 0600);
}

struct err *
probe_accel(const char *emulator, const char *accel, const char *dir, int64_t deadline_ms)
{
    CLEANUP(free_drop) char *run = path_join(dir, "run");
    TRY(fs_mkdirs(run, 0711));
    CLEANUP(image_drop)
    char *image = str_dupf("%s/probe-%s-%d.img", run, accel, (int) getpid());
    TRY(image_write(image));

    CLEANUP(free_drop)
    char *drive = str_dupf("file=%s,format=raw,if=ide,readonly=off", image);
    const char *argv[] = { emulator ? emulator : EMULATOR,
                           "-accel",
                           accel,
                           "-machine",
                           "pc",
                           "-m",
                           "16",
                           "-nodefaults",
                           "-no-user-config",
                           "-display",
                           "none",
                           "-no-reboot",
                           "-device",
                           "isa-debug-exit,iobase=0xf4,iosize=4",
                           "-drive",
                           drive,
                           NULL };
    struct child_spec spec = { .argv = argv,
                               .deadline_ms = deadline_ms,
                               .stderr_max_bytes = 4096 };
    CLEANUP(child_result_done) struct child_result result = CHILD_RESULT_INIT;
    TRY(child_run_blocking(&spec, -1, NULL, &result));

    if (result.timed_out) {
        return err_new(ERR_TIMEOUT, "a probe guest did not start within %" PRId64 " ms",
                       deadline_ms);
    } else if (result.exit_status == LIVED_STATUS) {
        return NULL;
    }
    struct err *e = child_result_check(&result, &spec);
    return e ? e : err_new(ERR_IO, "the probe guest ended without saying so");
}

/* What must be the same for a kept answer to hold: the boot (a reboot may change the BIOS's
 * settings, the modules, the hypervisor below) and the emulator. */
static void
key_now(struct buf *ret)
{
    CLEANUP(buf_done) struct buf boot = BUF_INIT;
    struct err *e = fs_read("/proc/sys/kernel/random/boot_id", KEPT_MAX_BYTES, &boot);
    struct stat st;

    buf_printf(ret, "boot %.36s emulator %lld\n", e || boot.n < 36 ? "?" : boot.data,
               stat("/usr/bin/" EMULATOR, &st) == 0 ? (long long) st.st_mtime : 0);
    err_free(e);
}

/* One line of the kept file, "kvm 0 why" or "kvm 1"; moves '*at' behind it. */
static bool
kept_line(const char **at, const char *accel, bool *ret_works, char *ret_why,
          size_t n_bytes)
{
    const char *s = *at;

    if (!str_starts(s, accel) || (s[strlen(accel)] != '0' && s[strlen(accel)] != '1')) {
        return false;
    }
    s += strlen(accel);
    *ret_works = *s++ == '1';
    s += *s == ' ';
    size_t n = strcspn(s, "\n");
    snprintf(ret_why, n_bytes, "%.*s", (int) n, s);
    *at = s + n + (s[n] == '\n');
    return true;
}

/* The kept file: the key's line, then one line an accelerator:
 *     boot 6f3d... emulator 1700000000
 *     kvm 0 a probe guest did not start within 5000 ms
 *     tcg 1 */
static bool
kept_read(const char *path, const char *key, struct probe *ret)
{
    CLEANUP(buf_done) struct buf kept = BUF_INIT;
    struct err *e = fs_read(path, KEPT_MAX_BYTES, &kept);
    if (e) {
        err_free(e);
        return false;
    }
    if (!str_starts(buf_cstr(&kept), key)) {
        return false;
    }
    struct probe probe;
    const char *at = kept.data + strlen(key);
    if (!kept_line(&at, "kvm ", &probe.kvm, probe.kvm_why, sizeof probe.kvm_why) ||
        !kept_line(&at, "tcg ", &probe.tcg, probe.tcg_why, sizeof probe.tcg_why)) {
        return false;
    }
    *ret = probe;
    return true;
}

static void
kept_write(const char *path, const char *key, const struct probe *probe)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    buf_printf(&text, "%skvm %d %s\ntcg %d %s\n", key, probe->kvm, probe->kvm_why,
               probe->tcg, probe->tcg_why);
    err_free(fs_write_atomic(path, text.data, text.n, 0600)); /* Else it is probed again. */
}

static bool
try_accel(const char *accel, const char *dir, int64_t deadline_ms, char *ret_why,
          size_t n_bytes)
{
    struct err *e = probe_accel(NULL, accel, dir, deadline_ms);
    if (!e) {
        ret_why[0] = '\0';
        return true;
    }
    snprintf(ret_why, n_bytes, "%s", err_text(e));
    for (char *c = ret_why; *c; c++) {
        *c = *c == '\n' ? ' ' : *c; /* One line in the kept file. */
    }
    err_free(e);
    return false;
}

static void
probe_both(const char *dir, struct probe *ret)
{
    int64_t begun_ms = clock_mono_ms();

    memset(ret, 0, sizeof *ret);
    ret->tcg = try_accel("tcg", dir, DEADLINE_MS, ret->tcg_why, sizeof ret->tcg_why);
    int64_t kvm_ms =
        clamp64(KVM_PER_TCG * (clock_mono_ms() - begun_ms), KVM_MIN_MS, DEADLINE_MS);
    if (access("/dev/kvm", R_OK | W_OK) != 0) {
        snprintf(ret->kvm_why, sizeof ret->kvm_why, "/dev/kvm: %s", strerror(errno));
    } else {
        ret->kvm = try_accel("kvm", dir, kvm_ms, ret->kvm_why, sizeof ret->kvm_why);
    }
}

void
probe_host(const char *dir, bool fresh, struct probe *ret)
{
    static pthread_mutex_t one_at_a_time =
        PTHREAD_MUTEX_INITIALIZER; /* The second reads it. */
    CLEANUP(free_drop) char *path = path_join(dir, "run/probe");
    CLEANUP(buf_done) struct buf key = BUF_INIT;

    pthread_mutex_lock(&one_at_a_time);
    key_now(&key);
    if (fresh || !kept_read(path, buf_cstr(&key), ret)) {
        probe_both(dir, ret);
        kept_write(path, buf_cstr(&key), ret);
    }
    pthread_mutex_unlock(&one_at_a_time);
}
