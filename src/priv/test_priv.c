/* priv/test_priv.c: a real server on a real socket, with workers and clients that die. */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/str.h"
#include "priv/call.h"
#include "priv/line_i.h"
#include "priv/serve.h"
#include "store/code.h"

/* A server in a child, a pool below the test's directory. */
struct bed {
    char *socket, *path;
    pid_t server;
    struct pool pool;
    struct priv_reply reply;
};

static pid_t
start_server(const char *socket_path, int max_workers)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* Of a failed test. */
        log_set_level(LOG_OFF, LOG_OFF);
        struct priv_serve_config config = { .socket_path = socket_path,
                                            .allow_uid = geteuid(),
                                            .max_workers = max_workers };
        struct err *e = priv_serve(&config);
        _exit(e != NULL);
    }
    for (int i = 0; i < 500 && !test_listens(socket_path); i++) {
        usleep(10000);
    }
    return pid;
}

static void
stop_server(pid_t pid, int signo)
{
    kill(pid, signo);
    int status;
    CHECK_INT("server", waitpid(pid, &status, 0), pid);
    CHECK("it ended as it should",
          signo == SIGKILL || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

static struct err *
ask(struct bed *bed, struct priv_request *request, int fd, const struct priv_watch *watch)
{
    request->pool = &bed->pool;
    request->timeout_ms = request->timeout_ms ? request->timeout_ms : 60000;
    priv_reply_done(&bed->reply);
    return priv_call(bed->socket, request, fd, watch, &bed->reply);
}
#define ASK(bed, ...) ask(bed, &(struct priv_request){ __VA_ARGS__ }, -1, NULL)

static void
bed_init(struct bed *bed, int max_workers)
{
    static int n;
    bed->socket = str_dupf("%s/sock%d", test_dir(), n);
    bed->path = str_dupf("%s/pool%d", test_dir(), n++);
    bed->server = start_server(bed->socket, max_workers);
    pool_init(&bed->pool);
    bed->pool.name = "p";
    bed->pool.target.path = bed->path;
    priv_reply_init(&bed->reply);
    CHECK_OK("build", ASK(bed, .verb = PRIV_POOL_BUILD));
    CHECK_OK("start", ASK(bed, .verb = PRIV_POOL_START));
    CHECK("active", bed->reply.active && bed->reply.has_stat);
}

static void
bed_done(struct bed *bed)
{
    if (bed->server) {
        stop_server(bed->server, SIGTERM);
        CHECK("no socket is left", !fs_exists(bed->socket));
    }
    priv_reply_done(&bed->reply);
    free(bed->socket);
    free(bed->path);
}

static int
count_entries(const struct bed *bed)
{
    DIR *dir = opendir(bed->path);
    int n = -2;
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

static void
make_vol(struct vol *vol, const char *name, const char *format, int64_t capacity)
{
    vol_init(vol);
    vol->name = name;
    vol->target.format = format;
    vol->capacity = capacity;
    vol->allocation = 0;
}

TEST(all_verbs)
{
    struct bed bed = { 0 };
    bed_init(&bed, 0);
    struct vol vol, clone;
    make_vol(&vol, "v", "raw", MIB);
    CHECK_OK("create", ASK(&bed, .verb = PRIV_VOL_CREATE, .vol = &vol));
    CHECK_INT("one", (int64_t) bed.reply.vols.vols.n, 1);
    CHECK_INT("capacity", bed.reply.vols.vols.v[0].capacity, MIB);

    CLEANUP(err_drop) struct err *e = ASK(&bed, .verb = PRIV_VOL_CREATE, .vol = &vol);
    CHECK("exists", err_is(e, ERR_EXISTS) && err_next(e));
    CHECK_INT("code", err_code(e), VE_VOL_EXISTS);
    CHECK_STR("why", err_why(e), "storage volume 'v' exists already");

    CLEANUP(free_drop) char *file = path_join(test_dir(), "data");
    CLEANUP(fd_done) int fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK("data", pwrite(fd, "hello", 5, 0) == 5);
    struct priv_request up = { .verb = PRIV_VOL_UPLOAD, .vol = &vol, .offset = 10 };
    CHECK_OK("upload", ask(&bed, &up, fd, NULL));
    CHECK_INT("bytes", bed.reply.n_bytes, 5);
    make_vol(&clone, "c", "qcow2", -1);
    vol.capacity = MIB;
    CHECK_OK("clone", ASK(&bed, .verb = PRIV_VOL_CLONE, .vol = &clone,
                          .source_pool = &bed.pool, .source = &vol));
    CHECK_STR("format", bed.reply.vols.vols.v[0].target.format, "qcow2");
    CHECK_OK("resize",
             ASK(&bed, .verb = PRIV_VOL_RESIZE, .vol = &vol, .capacity = 2 * MIB));
    CHECK_INT("capacity", bed.reply.vols.vols.v[0].capacity, 2 * MIB);
    struct priv_request down = {
        .verb = PRIV_VOL_DOWNLOAD, .vol = &vol, .offset = 10, .length = 5
    };
    CHECK("again", ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    CHECK_OK("download", ask(&bed, &down, fd, NULL));
    char text[6] = "";
    CHECK("read", pread(fd, text, 5, 0) == 5);
    CHECK_STR("content", text, "hello");
    CHECK_OK("wipe", ASK(&bed, .verb = PRIV_VOL_WIPE, .vol = &vol));
    CHECK_OK("refresh", ASK(&bed, .verb = PRIV_POOL_REFRESH));
    CHECK_INT("two", (int64_t) bed.reply.vols.vols.n, 2);
    CHECK_STR("first", bed.reply.vols.vols.v[0].name, "c");
    CHECK_OK("stat", ASK(&bed, .verb = PRIV_VOL_STAT, .vol = &vol));
    CHECK_OK("delete", ASK(&bed, .verb = PRIV_VOL_DELETE, .vol = &vol));
    CHECK_OK("delete", ASK(&bed, .verb = PRIV_VOL_DELETE, .vol = &clone));
    CHECK_ERR("stat", ASK(&bed, .verb = PRIV_VOL_STAT, .vol = &vol), ERR_NOT_FOUND);
    CHECK_OK("stop", ASK(&bed, .verb = PRIV_POOL_STOP));
    CHECK_OK("delete", ASK(&bed, .verb = PRIV_POOL_DELETE));
    CHECK_OK("check", ASK(&bed, .verb = PRIV_POOL_CHECK));
    CHECK("gone", !bed.reply.active);
    bed_done(&bed);
}

static int
connect_raw(const struct bed *bed)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    strcpy(sun.sun_path, bed->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK("connect", connect(fd, (struct sockaddr *) &sun, sizeof sun) == 0);
    return fd;
}

/* The answer to any bytes. */
static void
check_raw(const struct bed *bed, const char *send, const char *want)
{
    CLEANUP(fd_done) int fd = connect_raw(bed);
    err_free(line_write(fd, send, strlen(send), -1));
    CLEANUP(line_reader_done) struct line_reader reader;
    line_reader_init(&reader, fd, 1000);
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    CHECK_OK(want, line_read(&reader, clock_mono_ms() + 20000, NULL, &line));
    CHECK_STR(want, buf_cstr(&line), want);
}

TEST(nonsense)
{
    struct bed bed = { 0 };
    bed_init(&bed, 0);
    check_raw(&bed, "{}\n",
              "{\"error\":{\"kind\":\"syntax\",\"code\":0,\"text\":"
              "\"Parsing request failed: Required 'verb' member is missing.\"}}");
    check_raw(
        &bed, "{\"verb\":\"rm\"}\n",
        "{\"error\":{\"kind\":\"syntax\",\"code\":0,\"what\":\"Parsing request failed\","
        "\"text\":\"unknown verb 'rm'\"}}");
    CLEANUP(buf_done) struct buf large = BUF_INIT;
    memset(buf_reserve(&large, 2 * MIB), ' ', 2 * MIB);
    large.n = 2 * MIB;
    check_raw(&bed, buf_cstr(&large),
              "{\"error\":{\"kind\":\"constraint\",\"code\":0,\"text\":"
              "\"a line is longer than 1048576 bytes\"}}");
    CLEANUP(fd_done) UNUSED int gone = connect_raw(&bed); /* And says nothing. */
    struct vol vol;
    make_vol(&vol, "../v", "raw", 1);
    CHECK_BRIEF("names", ASK(&bed, .verb = PRIV_VOL_CREATE, .vol = &vol),
                "55: volume name '../v' cannot contain '/'");
    bed.pool.target.path = "/etc";
    CHECK_ERR("places", ASK(&bed, .verb = PRIV_POOL_REFRESH), ERR_CONSTRAINT);
    bed_done(&bed);
}

TEST(too_many)
{
    struct bed bed = { 0 };
    bed_init(&bed, 2);
    usleep(100000); /* What was asked so far is over. */
    int idle[2] = { connect_raw(&bed), connect_raw(&bed) };
    usleep(50000);
    CHECK_ERR("the third waits for nobody", ASK(&bed, .verb = PRIV_POOL_CHECK), ERR_BUSY);
    close(idle[0]);
    close(idle[1]);
    usleep(100000);
    CHECK_OK("now there is room", ASK(&bed, .verb = PRIV_POOL_CHECK));
    bed_done(&bed);
}

TEST(nobody_there)
{
    struct priv_reply reply;
    priv_reply_init(&reply);
    struct pool pool;
    pool_init(&pool);
    pool.name = "p";
    struct priv_request request = { .verb = PRIV_POOL_CHECK, .pool = &pool };
    CLEANUP(err_drop)
    struct err *e = priv_call("/nonexistent/sock", &request, -1, NULL, &reply);
    CHECK("says so", err_is(e, ERR_BUSY) && err_next(e));
    priv_reply_done(&reply);
}

struct upload {
    volatile int cancel;
    int n_progress;
};

static void
on_progress(void *aux, const struct priv_progress *p)
{
    struct upload *upload = aux;
    upload->n_progress++;
    if (str_starts(p->message, "receive")) {
        upload->cancel = 1;
    }
}

TEST(cancel_and_deadline)
{
    struct bed bed = { 0 };
    bed_init(&bed, 0);
    struct vol vol;
    make_vol(&vol, "v", "raw", MIB);
    CHECK_OK("create", ASK(&bed, .verb = PRIV_VOL_CREATE, .vol = &vol));
    int pipe_fd[2];
    CHECK("pipe", pipe2(pipe_fd, O_CLOEXEC) == 0); /* Nothing ever comes. */

    struct upload upload = { 0, 0 };
    struct priv_watch watch = { on_progress, &upload, &upload.cancel };
    struct priv_request up = { .verb = PRIV_VOL_UPLOAD, .vol = &vol };
    int64_t start_ms = clock_mono_ms();
    CHECK_ERR("canceled", ask(&bed, &up, pipe_fd[0], &watch), ERR_CANCELED);
    CHECK("progress came", upload.n_progress >= 2);
    CHECK("soon", clock_mono_ms() - start_ms < 20000);

    up.timeout_ms = 300;
    CHECK_ERR("deadline", ask(&bed, &up, pipe_fd[0], NULL), ERR_TIMEOUT);
    CHECK_OK("the volume is free again", ASK(&bed, .verb = PRIV_VOL_DELETE, .vol = &vol));
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    bed_done(&bed);
}

/* Ends a client in the middle of a create; its worker must undo. */
TEST(vanished_clients)
{
    struct bed bed = { 0 };
    bed_init(&bed, 0);
    for (int i = 0; i < 10; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (int k = 0;; k++) {
                char name[32];
                snprintf(name, sizeof name, "v%d-%d", i, k);
                struct vol vol;
                make_vol(&vol, name, i % 2 ? "qcow2" : "raw", MIB);
                err_free(ASK(&bed, .verb = PRIV_VOL_CREATE, .vol = &vol));
            }
        }
        usleep((useconds_t) (5000 + i * 3700));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    usleep(300000);
    CHECK_OK("refresh", ASK(&bed, .verb = PRIV_POOL_REFRESH));
    CHECK_INT("only whole volumes", count_entries(&bed), (int64_t) bed.reply.vols.vols.n);
    VEC_FOR_EACH (const struct vol *v, &bed.reply.vols.vols) {
        CHECK_INT(v->name, v->capacity, MIB);
    }
    bed_done(&bed);
}

/* Ends the server, and with it its workers, by SIGKILL while volumes are made. */
TEST(killed_servers)
{
    struct bed bed = { 0 };
    bed_init(&bed, 0);
    for (int i = 0; i < 8; i++) {
        pid_t client = fork();
        if (client == 0) {
            for (int k = 0; k < 1000; k++) {
                char name[32];
                snprintf(name, sizeof name, "v%d-%d", i, k);
                struct vol vol;
                make_vol(&vol, name, i % 2 ? "qcow2" : "raw", MIB);
                struct err *e = ASK(&bed, .verb = PRIV_VOL_CREATE, .vol = &vol);
                if (e) {
                    err_free(e);
                    _exit(0); /* The server is gone. */
                }
            }
            _exit(1);
        }
        usleep((useconds_t) (8000 + i * 5300));
        stop_server(bed.server, SIGKILL);
        int status;
        CHECK_INT("client", waitpid(client, &status, 0), client);
        CHECK("it was told", WIFEXITED(status) && WEXITSTATUS(status) == 0);
        unlink(bed.socket);
        bed.server = start_server(bed.socket, 0);
    }
    usleep(300000);
    CHECK_OK("refresh", ASK(&bed, .verb = PRIV_POOL_REFRESH));
    CHECK_INT("only whole volumes", count_entries(&bed), (int64_t) bed.reply.vols.vols.n);
    bed_done(&bed);
}

/* SIGTERM cancels what runs, undoes it, and then the server is gone. */
TEST(stopped_servers)
{
    struct bed bed = { 0 };
    bed_init(&bed, 0);
    struct vol vol;
    make_vol(&vol, "v", "raw", MIB);
    CHECK_OK("create", ASK(&bed, .verb = PRIV_VOL_CREATE, .vol = &vol));
    int pipe_fd[2];
    CHECK("pipe", pipe2(pipe_fd, O_CLOEXEC) == 0);
    pid_t client = fork();
    if (client == 0) {
        struct priv_request up = { .verb = PRIV_VOL_UPLOAD, .vol = &vol };
        struct err *e = ask(&bed, &up, pipe_fd[0], NULL);
        _exit(err_is(e, ERR_CANCELED) ? 0 : 1);
    }
    usleep(200000);
    int64_t start_ms = clock_mono_ms();
    stop_server(bed.server, SIGTERM);
    CHECK("soon", clock_mono_ms() - start_ms < 20000);
    bed.server = 0;
    int status;
    waitpid(client, &status, 0);
    CHECK("the client was answered", WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    bed_done(&bed);
}

/* Peers that connect and say nothing: the others are told at once, and served when these go. */
TEST(silent_peers)
{
    struct bed bed = { 0 };
    bed_init(&bed, 8);
    int fds[200];
    for (size_t i = 0; i < N_ELEMS(fds); i++) {
        fds[i] = connect_raw(&bed);
    }
    int64_t start_ms = clock_mono_ms();
    CHECK_ERR("told", ASK(&bed, .verb = PRIV_POOL_CHECK), ERR_BUSY);
    CHECK("at once", clock_mono_ms() - start_ms < 20000);
    for (size_t i = 0; i < N_ELEMS(fds); i++) {
        close(fds[i]);
    }
    struct err *e = NULL;
    for (int i = 0; i < 100; i++) { /* The workers see it within their slice. */
        e = ASK(&bed, .verb = PRIV_POOL_CHECK);
        if (!err_is(e, ERR_BUSY)) {
            break;
        }
        err_free(TAKE(e));
        usleep(20000);
    }
    CHECK_OK("served", e);
    bed_done(&bed);
}

/* A server that is there and does not move: the caller is told, and nothing happens later. */
TEST(stopped_by_a_signal)
{
    struct bed bed = { 0 };
    bed_init(&bed, 0);
    struct vol vol;
    make_vol(&vol, "v", "raw", MIB);
    struct priv_request create = { .verb = PRIV_VOL_CREATE, .vol = &vol };
    struct priv_watch watch = { .answer_ms = 300 };
    CHECK_INT("stop", kill(bed.server, SIGSTOP), 0);
    int64_t start_ms = clock_mono_ms();
    CHECK_ERR("told", ask(&bed, &create, -1, &watch), ERR_TIMEOUT);
    CHECK("soon", clock_mono_ms() - start_ms < 20000);
    CHECK_INT("go on", kill(bed.server, SIGCONT), 0);
    CHECK_OK("it answers again", ASK(&bed, .verb = PRIV_POOL_REFRESH));
    usleep(200000);
    CHECK_INT("and made nothing", count_entries(&bed), 0);
    bed_done(&bed);
}

/* No descriptor left for a connection: the server waits and does not turn. */
TEST(no_descriptors)
{
    struct bed bed = { 0 };
    bed_init(&bed, 0);
    struct rlimit none = { 3, 64 }, some = { 64, 64 };
    clockid_t clock;
    struct timespec before, after;
    CHECK("clock", clock_getcpuclockid(bed.server, &clock) == 0);
    CHECK("limit", prlimit(bed.server, RLIMIT_NOFILE, &none, NULL) == 0);
    int fd = connect_raw(&bed);
    usleep(100000);
    CHECK("before", clock_gettime(clock, &before) == 0);
    usleep(500000);
    CHECK("after", clock_gettime(clock, &after) == 0);
    int64_t ms =
        (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    CHECK("it does not turn", ms < 100);
    CHECK("limit", prlimit(bed.server, RLIMIT_NOFILE, &some, NULL) == 0);
    CHECK_OK("served again", ASK(&bed, .verb = PRIV_POOL_CHECK));
    close(fd);
    bed_done(&bed);
}

TEST(strangers)
{
    if (geteuid() == 0) {
        struct bed bed = { 0 };
        bed_init(&bed, 0);
        CHECK_INT("open the way", chmod(test_dir(), 0755), 0);
        CHECK_INT("even if the socket lets everybody in", chmod(bed.socket, 0666), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct err *e = setuid(65534) == 0 ? ASK(&bed, .verb = PRIV_POOL_CHECK) : NULL;
            _exit(err_is(e, ERR_DENIED) ? 0 : 1);
        }
        int status;
        waitpid(pid, &status, 0);
        CHECK("refused", WIFEXITED(status) && WEXITSTATUS(status) == 0);
        bed_done(&bed);
    }
}
