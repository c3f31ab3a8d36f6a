/* engine/fetch.c: a file from a server, into the file in work.
 *
 * The network is curl(1)'s business, in a process that has no rights: as the user nobody when we are
 * root, no new ones by what it executes, limits on memory and time.  Here only bytes arrive, in
 * order, and are hashed as they are written.  The URL goes in by standard input, never by argv.
 * Bounds. http and https only, REDIRECTS_MAX redirects (from https only to https), STALL_S seconds
 *         without a byte, the room that the file system had at the beginning.
 * Breaks. A connection that breaks is taken up where it broke, TRIES times, but only if a checksum
 *         will tell whether the parts belong together.  After a kill nothing is left but a temporary
 *         that the next scan removes.
 * Why curl and not a library: a parser of headers, TLS and certificates does not belong into a
 *         process of root; and one that is a child anyway may as well be a program. */
#include <errno.h>
#include <poll.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/str.h"
#include "digest/digest.h"
#include "engine/engine_i.h"
#include "loop/child.h"
#include "store/code.h"
#include "store/fetch.h"
#include "store/probe.h"

#define REDIRECTS_MAX 5
#define CONNECT_S 30
#define STALL_S 60
#define LOOK_MS 30000 /* For the question how long it is. */
#define TRIES 5
#define PAUSE_MS 1000
#define NOBODY "65534"
#define MESSAGE_MAX_BYTES 4096
#define MEMORY_BYTES (1 * GIB)

struct fetch {
    struct engine *engine;
    const char *url;
    int64_t at, total, room; /* Bytes: here, of all (0: not said), that may come. */
    struct digest *digest;
    struct err *e; /* What stopped it. */
};

/* curl's own language, from its standard input.  The URL has passed fetch_check(): no quote, no
 * backslash, no control character. */
static void
put_config(const struct fetch *f, bool only_length, struct buf *out)
{
    const char *protocols = str_starts(f->url, "https:") ? "=https" : "=http,https";

    buf_printf(out, "url = \"%s\"\ngloboff\nsilent\nshow-error\nfail\nlocation\n", f->url);
    buf_printf(out, "max-redirs = %d\nproto = \"=http,https\"\nproto-redir = \"%s\"\n",
               REDIRECTS_MAX, protocols);
    buf_printf(out, "connect-timeout = %d\nspeed-limit = 1\nspeed-time = %d\n", CONNECT_S,
               STALL_S);
    if (only_length) {
        buf_str(out,
                "head\noutput = \"/dev/null\"\nwrite-out = \"%header{content-length}\"\n");
    } else if (f->at > 0) {
        buf_printf(out, "continue-at = %" PRId64 "\n", f->at);
    }
}

static void
on_output(void *aux, bool is_stderr, const char *bytes, size_t n)
{
    struct fetch *f = aux;
    if (is_stderr || f->e) {
        return;
    } else if ((int64_t) n > f->room - f->at) {
        f->e = err_hint(
            err_tag(err_new(ERR_NO_SPACE,
                            "what comes is longer than the %" PRId64 " bytes that are free",
                            f->room),
                    VE_OPERATION_FAILED),
            "make room in the pool, or use another one");
        return;
    }
    f->e = stream_put(f->engine, bytes, n, f->at);
    if (!f->e) {
        digest_add(f->digest, bytes, n);
        f->at += (int64_t) n;
        f->engine->ret->n_bytes = f->at;
    }
}

static bool
go_on(void *aux)
{
    struct fetch *f = aux;
    f->e = f->e ? f->e : engine_interrupted(f->engine);
    engine_progress(f->engine, f->at,
                    max64(f->total, f->at)); /* Also when nothing comes. */
    return !f->e;
}

static bool
only_waits(void *aux)
{
    struct fetch *f = aux;
    err_free(f->e);
    f->e = engine_interrupted(f->engine);
    return !f->e;
}

static MUST_CHECK struct err *
curl(struct fetch *f, bool only_length, struct child_result *ret)
{
    static const struct child_limits limits = { .memory_bytes = MEMORY_BYTES };
    CLEANUP(buf_done) struct buf config = BUF_INIT;
    CLEANUP(free_drop) char *program = NULL;
    CLEANUP(free_drop) char *drop = NULL;
    CLEANUP(fd_done) int input = -1;
    const char *as_nobody[] = { NULL,
                                "--reuid=" NOBODY,
                                "--regid=" NOBODY,
                                "--clear-groups",
                                "--no-new-privs",
                                "--",
                                NULL,
                                "-q",
                                "--config",
                                "-",
                                NULL };

    put_config(f, only_length, &config);
    TRY(command_input(buf_cstr(&config), &input));
    TRY(command_find("curl", &program));
    TRY(command_find("setpriv", &drop));
    as_nobody[0] = drop;
    as_nobody[6] = program;
    struct child_spec spec = {
        .argv = geteuid() == 0 ? as_nobody : as_nobody + 6,
        .dir = "/",
        .limits = &limits,
        .deadline_ms = only_length ? LOOK_MS : 0,
        .stdin_fd = &input,
        .stdout_max_bytes = only_length ? MESSAGE_MAX_BYTES : 1,
        .stderr_max_bytes = MESSAGE_MAX_BYTES,
        .on_output = only_length ? NULL : on_output,
        .go_on = only_length ? only_waits : go_on,
        .aux = f,
    };
    struct err *e = child_run_blocking(&spec, -1, NULL, ret);
    if (!e && f->e) {
        e = TAKE(f->e);
    }
    return e;
}

/* Not every server says it. */
static MUST_CHECK struct err *
ask_length(struct fetch *f)
{
    CLEANUP(child_result_done) struct child_result result = CHILD_RESULT_INIT;
    TRY(curl(f, true, &result));
    int64_t length = 0;
    if (result.exit_status == 0 && str_to_i64(buf_cstr(&result.out), &length) &&
        length > f->room) {
        return err_hint(
            err_tag(err_new(ERR_NO_SPACE,
                            "it has %" PRId64 " bytes, the pool has %" PRId64 " free",
                            length, f->room),
                    VE_OPERATION_FAILED),
            "make room in the pool, or use another one");
    }
    f->total = max64(length, 0);
    return NULL;
}

/* Exit statuses of curl(1) behind which the next try may find a better network. */
static bool
may_pass(int status)
{
    static const int passing[] = { 6, 7, 16, 18, 28, 35, 52, 55, 56, 92 };
    for (size_t i = 0; i < N_ELEMS(passing); i++) {
        if (passing[i] == status) {
            return true;
        }
    }
    return false;
}

/* "curl: (22) The requested URL returned error: 404" */
static struct err *
failure(const struct fetch *f, struct child_result *result)
{
    CLEANUP(free_drop)
    char *text = str_dup_n(result->err.n ? result->err.data : "", result->err.n);
    text[strcspn(text, "\n")] = '\0';
    const char *why = str_starts(text, "curl: (") ? strchr(text, ')') : NULL;
    why = why ? why + 1 + (why[1] == ' ') : *text ? text : "curl failed";
    struct err *e = err_tag(err_new(ERR_IO, "%s", why), VE_OPERATION_FAILED);
    e = f->at > 0 ? err_wrap(e, "after %" PRId64 " bytes", f->at) : e;
    return err_hint(e, "see whether the URL is right and this host reaches it");
}

static MUST_CHECK struct err *
nap(struct engine *engine)
{
    for (int64_t end_ms = clock_mono_ms() + PAUSE_MS; clock_mono_ms() < end_ms;) {
        TRY(engine_interrupted(engine));
        poll(NULL, 0, 100);
    }
    return NULL;
}

static MUST_CHECK struct err *
get_all(struct fetch *f, bool may_resume)
{
    for (int i = 1;; i++) {
        CLEANUP(child_result_done) struct child_result result = CHILD_RESULT_INIT;
        TRY(curl(f, false, &result));
        if (result.exit_status == 0) {
            return NULL;
        } else if (i == TRIES || !may_pass(result.exit_status) ||
                   (f->at > 0 && !may_resume)) {
            return failure(f, &result);
        }
        TRY(nap(f->engine));
    }
}

static MUST_CHECK struct err *
check_sum(struct fetch *f, const char *want)
{
    char got[DIGEST_CHARS + 1];
    digest_text(f->digest, got);
    if (!want || str_eq(got, want)) {
        return NULL;
    }
    return err_hint(
        err_tag(err_new(ERR_CONSTRAINT, "what came has the SHA-256 %s, not %s", got, want),
                VE_OPERATION_INVALID),
        "nothing of it was kept; see whether URL and checksum belong together");
}

static MUST_CHECK struct err *
fetch(struct fetch *f, const struct plan_step *step)
{
    struct statvfs fs;
    if (fstatvfs(f->engine->file, &fs) < 0) {
        return engine_io(errno, "cannot stat the file system of '%s'",
                         f->engine->plan->file);
    }
    f->room = (int64_t) fs.f_bavail * (int64_t) fs.f_frsize;
    TRY(ask_length(f));
    TRY(get_all(f, step->sha256 != NULL));
    if (ftruncate(f->engine->file, f->at) < 0) { /* Zeros at the end were not written. */
        return engine_io(errno, "cannot extend file '%s'", f->engine->plan->file);
    } else if (f->at == 0) {
        return err_tag(err_new(ERR_CONSTRAINT, "the server sent nothing"),
                       VE_OPERATION_FAILED);
    }
    return check_sum(f, step->sha256);
}

struct err *
fetch_run(struct engine *engine, const struct plan_step *step)
{
    struct fetch f = { .engine = engine, .url = step->name, .digest = digest_new() };
    struct err *e = fetch(&f, step);
    err_free(f.e);
    digest_free(f.digest);
    return err_wrap(e, "fetching it");
}

struct err *
fetch_look(struct engine *engine, const struct plan_step *step)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    const char *path = engine->plan->file, *want = step->format;
    struct stat st;
    struct probe probe;
    if (fstat(engine->file, &st) < 0) {
        return engine_io(errno, "cannot stat '%s'", path);
    }
    int errnum = scan_probe(&arena, engine->file, &st, &probe);
    if (errnum) {
        return engine_io(errnum, "cannot read '%s'", path);
    } else if (want && !str_eq(probe.format, want)) {
        return err_hint(store_err(VE_OPERATION_INVALID,
                                  "it should be of format %s, but it is %s", want,
                                  probe.format),
                        "--format %s, if that is what you want", probe.format);
    }
    return image_check(engine->root, engine->file, path, probe.format, NULL);
}
