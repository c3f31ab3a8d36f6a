/* engine/command.c: a step that is a program.
 *
 * Programs are looked up in fixed directories, never in the caller's PATH: what root runs must
 * not depend on who started it.  They get the C locale and no shell (loop/child.h), a time
 * limit, and secrets only on standard input.  One that is not installed is named together with
 * the Debian package that has it. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "engine/engine_i.h"
#include "engine/mounts_i.h"
#include "engine/qemu_img_i.h"
#include "loop/child.h"
#include "store/code.h"

#define MESSAGE_MAX_BYTES 4096
#define PROGRAM_PATH "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"

/* Debian's packages.  A prefix stands for all that begin so. */
static const struct program_row {
    const char *prefix, *package;
} programs[] = {
    { "qemu-img", "qemu-utils" },
    { "mkfs.ext", "e2fsprogs" },
    { "resize2fs", "e2fsprogs" },
    { "xfs_growfs", "xfsprogs" },
    { "btrfs", "btrfs-progs" },
    { "tunefs.ocfs2", "ocfs2-tools" },
    { "mkfs.xfs", "xfsprogs" },
    { "mkfs.vfat", "dosfstools" },
    { "mkfs.ocfs2", "ocfs2-tools" },
    { "mkfs.gfs2", "gfs2-utils" },
    { "mkfs.udf", "udftools" },
    { "mkfs.hfsplus", "hfsprogs" },
    { "mkfs.btrfs", "btrfs-progs" },
    { "mount.nfs", "nfs-common" },
    { "mount.cifs", "cifs-utils" },
    { "mount.glusterfs", "glusterfs-client" },
    { "showmount", "nfs-common" },
    { "gluster", "glusterfs-cli" },
    { "mount", "mount" },
    { "umount", "mount" },
    { "blkid", "util-linux" },
    { "parted", "parted" },
    { "partprobe", "parted" },
    { "sfdisk", "fdisk" },
    { "partx", "util-linux" },
    { "kpartx", "kpartx" },
    { "lv", "lvm2" },
    { "vg", "lvm2" },
    { "pv", "lvm2" },
    { "iscsiadm", "open-iscsi" },
    { "multipath", "multipath-tools" },
    { "dmsetup", "dmsetup" },
    { "udevadm", "udev" },
    { "scrub", "scrub" },
    { "curl", "curl" },
    { "setpriv", "util-linux" },
};

struct err *
command_find(const char *name, char **ret_path)
{
    if (name[0] == '/') {
        *ret_path = str_dup(name);
        return NULL;
    }
    CLEANUP(strvec_done) struct strvec dirs = STRVEC_INIT;
    strvec_split(&dirs, PROGRAM_PATH, ":");
    for (size_t i = 0; i < dirs.n; i++) {
        CLEANUP(free_drop) char *path = path_join(dirs.v[i], name);
        if (access(path, X_OK) == 0) {
            *ret_path = TAKE(path);
            return NULL;
        }
    }
    struct err *e = err_tag(
        err_new(ERR_NOT_FOUND, "Cannot find '%s' in path: No such file or directory", name),
        VE_SYSTEM_ERROR);
    for (size_t i = 0; i < N_ELEMS(programs); i++) {
        if (str_starts(name, programs[i].prefix)) {
            return err_hint(e,
                            "install the program '%s' on this host (Debian: apt-get "
                            "install %s)",
                            name, programs[i].package);
        }
    }
    return err_hint(e, "install the program '%s' on this host", name);
}

/* What a command gets for an argument.  Open files go by /proc, so that what is opened is what
 * was checked, whatever happens to the names meanwhile. */
static char *
arg_text(const struct engine *engine, const struct plan_arg *arg)
{
    switch (arg->kind) {
    case ARG_FILE: return str_dupf("/proc/%d/fd/%d", (int) getpid(), engine->file);
    case ARG_SOURCE: return str_dupf("/proc/%d/fd/%d", (int) getpid(), engine->source);
    case ARG_FILE_AT:
        return str_dupf("/proc/%d/fd/%d/%s", (int) getpid(), engine->root,
                        engine->temp_name ? engine->temp_name : path_base(arg->text));
    case ARG_TEXT: break;
    }
    return str_dup(arg->text);
}

/* What the command complained about, with its arguments as the user knows them. */
static char *
complaint(const struct plan_step *step, const struct strvec *argv, struct buf *text)
{
    char *s = str_dup_n(text->data ? text->data : "",
                        min64((int64_t) text->n, MESSAGE_MAX_BYTES));
    for (size_t i = 0; i < step->n_args; i++) {
        size_t from = 0; /* Never into what was put in: it may hold the same text. */
        char *at;
        while (step->args[i].kind != ARG_TEXT && (at = strstr(s + from, argv->v[i]))) {
            char *rest = at + strlen(argv->v[i]);
            char *longer =
                str_dupf("%.*s%s%s", (int) (at - s), s, step->args[i].text, rest);
            from = (size_t) (at - s) + strlen(step->args[i].text);
            free(s);
            s = longer;
        }
    }
    return s;
}

/* What programs say of a full disk, a full volume group, a full thin pool. */
static bool
is_about_space(const char *text)
{
    return strstr(text, "No space left on device") ||
           strstr(text, "insufficient free space") ||
           strstr(text, "nsufficient suitable allocatable extents") ||
           strstr(text, "free data space") || strstr(text, "overfill thin pool");
}

static struct err *
command_error(const struct plan_step *step, const struct strvec *argv,
              struct child_result *result)
{
    CLEANUP(free_drop) char *command = step_text(step);
    CLEANUP(free_drop) char *text = complaint(step, argv, &result->err);
    struct err *e;
    if (result->exit_status < 0) {
        e = err_new(ERR_IO, "Child process (%s) unexpected fatal signal %d: %s", command,
                    result->signal, text);
        return err_tag(e, VE_INTERNAL);
    }
    if (str_eq(step->args[0].text, "umount") && strstr(text, "busy")) {
        CLEANUP(free_drop) char *users = mounts_users(argv->v[argv->n - 1]);
        return err_hint(
            err_tag(err_new(ERR_IO, "Child process (%s) unexpected exit status %d: %s",
                            command, result->exit_status, text),
                    VE_INTERNAL),
            "end what uses it: %s", users ? users : "fuser -vm shows what does");
    }
    bool no_space = is_about_space(text);
    e = err_tag(err_new(no_space ? ERR_NO_SPACE : ERR_IO,
                        "Child process (%s) unexpected exit status %d: %s", command,
                        result->exit_status, text),
                VE_INTERNAL);
    return no_space ? err_hint(e, "make room in the pool, or choose a smaller size") : e;
}

struct err *
command_input(const char *input, int *ret_fd)
{
    CLEANUP(fd_done) int fd = memfd_create("input", MFD_CLOEXEC);
    if (fd < 0) {
        return err_io(errno, "memfd_create");
    }
    TRY(fd_write_all(fd, input, strlen(input)));
    if (lseek(fd, 0, SEEK_SET) < 0) {
        return err_io(errno, "lseek");
    }
    *ret_fd = fd_take(&fd);
    return NULL;
}

static int64_t
time_limit_ms(const struct engine *engine, const struct plan_step *step)
{
    int64_t limit_ms = step->timeout_ms;
    if (engine->env->deadline_ms && !engine->undoing) {
        int64_t left_ms = max64(engine->env->deadline_ms - clock_mono_ms(), 1);
        limit_ms = limit_ms ? min64(limit_ms, left_ms) : left_ms;
    }
    return limit_ms;
}

static struct err *
run(struct engine *engine, const struct plan_step *step)
{
    static const char *const env[] = { "PATH=" PROGRAM_PATH, NULL };
    CLEANUP(strvec_done) struct strvec argv = STRVEC_INIT;
    CLEANUP(fd_done) int input = -1;
    char *program = NULL;
    TRY(command_find(step->args[0].text, &program));
    strvec_take(&argv, program);
    for (size_t i = 1; i < step->n_args; i++) {
        strvec_take(&argv, arg_text(engine, &step->args[i]));
    }
    struct child_spec spec = { .argv = (const char *const *) argv.v,
                               .env = env,
                               .deadline_ms = time_limit_ms(engine, step) };
    if (step->input) {
        TRY(command_input(step->input, &input));
        spec.stdin_fd = &input;
    }
    struct qemu_img q;
    qemu_img_prepare(&q, engine, step, &spec);
    CLEANUP(child_result_done) struct child_result result = CHILD_RESULT_INIT;
    TRY(child_run_blocking(&spec, engine->undoing ? -1 : engine->env->cancel_fd,
                           engine->undoing ? NULL : engine->env->cancel_flag, &result));
    int status = result.exit_status;
    bool is_ok =
        status == 0 || (status > 0 && status < 64 && step->ok_exits & PLAN_EXIT(status));
    if (result.timed_out || result.canceled) {
        return child_result_check(&result, &spec);
    } else if (!is_ok) {
        return command_error(step, &argv, &result);
    } else if (step->output) {
        plan_seen_put(&engine->seen, step->output, result.out.data, result.out.n);
    }
    return NULL;
}

struct err *
command_run(struct engine *engine, const struct plan_step *step)
{
    struct err *e = run(engine, step);
    if (e && step->or_so && !err_is(e, ERR_CANCELED)) {
        vol_list_warn(&engine->ret->vols, "%s: %s", step->or_so, err_text(e));
        err_free(e);
        return engine_interrupted(engine);
    }
    return e;
}
