/* bench/dbload.c: the client of bench/db: puts load on a database server at a Unix socket and prints
 * one line of JSON with what it measured.  It knows as little of JSON as it can, so that the server
 * is what is measured: requests are printed, answers are split by counting brackets.
 *
 *     dbload SOCKET fill ROWS TABLE                  {"rows_per_s":...}
 *     dbload SOCKET transact CLIENTS DEPTH SECONDS OP [durable]
 *                                                    {"per_s":...,"p50_us":...,"p99_us":...,"max_us":...}
 *            OP is insert, update (by _uuid) or find (update by an indexed column); of each
 *            client DEPTH requests are under way at a time; SIGTERM: it has been long enough
 *     dbload SOCKET initial                          {"ms":...,"mb":...}: the whole table, once
 *     dbload SOCKET watch WATCHERS SECONDS DEPTH [row]
 *                                                    {"per_s":...,"delivered_per_s":...,...}
 *            of table W; one writer with DEPTH updates under way; with "row" each watcher has a condition on a row of
 *            its own (of the first WATCHERS), else all see all.  The clock stops when all arrived.
 *            The median of WATCH_ROUNDS rounds of SECONDS each, after a short one that does not count.
 *     dbload SOCKET clients CLIENTS SECONDS PID      {"connect_ms":...,"kib":...,"lost":...,"per_s":...,...}
 *            of table C, as watch with "row", and the memory that the server PID took for each client, and
 *            how many of them it had dropped in the end
 *     dbload - memory MIB                            {"ms":...}: touches so much and gives it back.  A hypervisor
 *            that takes free memory back (free page reporting) needs milliseconds to hand 2 MiB out again; whoever
 *            is measured next should not find that in his figures */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define IN_BYTES (1 << 18)
#define SAMPLES_MAX (1 << 22)
#define DEPTH_MAX 1024
#define WATCH_ROUNDS 5
#define REST_MS 60000

struct conn {
    int fd;
    char *out; /* Not sent yet. */
    size_t n_out, cap_out;
    int depth; /* Of brackets, at the end of what was read. */
    bool in_string, escaped;
    uint64_t n_messages, n_bytes;
    uint64_t sent_us[DEPTH_MAX]; /* When the requests under way went out; a ring. */
    uint64_t n_sent;
};

static const char *sock;
static char in[IN_BYTES];
static uint32_t *samples;
static size_t n_samples;
static uint64_t max_us, max_at_us,
    begun_us; /* The slowest one, and when it was answered. */
static volatile sig_atomic_t enough;
static int ep;

static uint64_t
now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static void
die(const char *what)
{
    fprintf(stderr, "dbload: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void
conn_open(struct conn *c)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    *c = (struct conn){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    snprintf(a.sun_path, sizeof a.sun_path, "%s", sock);
    while (connect(c->fd, (struct sockaddr *) &a, sizeof a) < 0) {
        if (errno != EAGAIN) {
            die(sock);
        }
        usleep(1000); /* The listening queue is full. */
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) < 0) {
        die("epoll_ctl");
    }
}

static void
flush(struct conn *c)
{
    size_t done = 0;
    while (done < c->n_out) {
        ssize_t n = write(c->fd, c->out + done, c->n_out - done);
        if (n > 0) {
            done += (size_t) n;
        } else if (errno == EAGAIN) {
            struct pollfd p = { c->fd, POLLOUT, 0 };
            if (done) {
                break;
            }
            poll(&p, 1, 10);
            break;
        } else {
            die("write");
        }
    }
    memmove(c->out, c->out + done, c->n_out - done);
    c->n_out -= done;
}

__attribute__((format(printf, 2, 3))) static void
say(struct conn *c, const char *fmt, ...)
{
    va_list args;
    for (;;) {
        va_start(args, fmt);
        size_t room = c->cap_out - c->n_out;
        size_t n = (size_t) vsnprintf(c->out ? c->out + c->n_out : NULL, room, fmt, args);
        va_end(args);
        if (n < room) {
            c->n_out += n;
            return;
        }
        c->cap_out = 2 * c->cap_out + n + 4096;
        c->out = realloc(c->out, c->cap_out);
    }
}

/* Returns how many messages were completed. */
static uint64_t
take(struct conn *c, const char *p, size_t n)
{
    uint64_t done = 0;
    c->n_bytes += n;
    for (const char *end = p + n; p < end; p++) {
        if (c->in_string) {
            if (c->escaped) {
                c->escaped = false;
            } else if (*p == '\\') {
                c->escaped = true;
            } else if (*p == '"') {
                c->in_string = false;
            }
        } else if (*p == '"') {
            c->in_string = true;
        } else if (*p == '{' || *p == '[') {
            c->depth++;
        } else if ((*p == '}' || *p == ']') && --c->depth == 0) {
            done++;
        }
    }
    c->n_messages += done;
    return done;
}

static uint64_t
read_some(struct conn *c)
{
    ssize_t n = read(c->fd, in, sizeof in);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        errno = n ? errno : ECONNRESET;
        die("read");
    }
    if (n > 0 && memmem(in, (size_t) n, "\"error\":{", 9)) {
        fprintf(stderr, "dbload: the server says %.*s\n", (int) (n > 500 ? 500 : n), in);
        exit(1);
    }
    return n > 0 ? take(c, in, (size_t) n) : 0;
}

/* Sends what is there and waits for one message. */
static void
call(struct conn *c)
{
    uint64_t want = c->n_messages + 1;
    while (c->n_messages < want) {
        flush(c);
        struct pollfd p = { c->fd, POLLIN, 0 };
        poll(&p, 1, c->n_out ? 1 : 1000);
        if (p.revents) {
            read_some(c);
        }
    }
}

static int
sample_cmp(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
    return x < y ? -1 : x > y;
}

static void
sample(uint64_t us)
{
    if (us > max_us) {
        max_us = us;
        max_at_us = now_us() - begun_us;
    }
    if (n_samples < SAMPLES_MAX) {
        samples[n_samples++] = (uint32_t) us;
    }
}

static void
print_latency(void)
{
    qsort(samples, n_samples, sizeof *samples, sample_cmp);
    printf("\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%" PRIu64 ",\"max_at_us\":%" PRIu64
           "}\n",
           n_samples ? samples[n_samples / 2] : 0,
           n_samples ? samples[n_samples * 99 / 100] : 0, max_us, max_at_us);
}

/* The UUID of row i; it looks random, as those that servers choose do. */
static const char *
row_uuid(uint64_t i)
{
    static char text[37];
    uint64_t a = (i + 1) * UINT64_C(0x9e3779b97f4a7c15), b;
    a = (a ^ (a >> 31)) * UINT64_C(0xbf58476d1ce4e5b9);
    b = (a ^ (a >> 29)) * UINT64_C(0x94d049bb133111eb);
    snprintf(text, sizeof text, "%08x-%04x-4%03x-8%03x-%012" PRIx64, (unsigned) a,
             (unsigned) (a >> 32 & 0xffff), (unsigned) (a >> 48 & 0xfff),
             (unsigned) (b >> 52), b & UINT64_C(0xffffffffffff));
    return text;
}

static void
say_insert(struct conn *c, const char *table, uint64_t i)
{
    say(c,
        "{\"op\":\"insert\",\"table\":\"%s\",\"uuid\":\"%s\",\"row\":{\"name\":\"row-%" PRIu64
        "\",\"n\":%" PRIu64
        ",\"state\":\"running\",\"note\":\"this is the description of row %" PRIu64
        "\",\"tags\":[\"set\",[\"a%" PRIu64 "\",\"b%" PRIu64
        "\"]],\"ids\":[\"map\",[[\"owner\",\"o%" PRIu64 "\"],[\"zone\",\"z%" PRIu64
        "\"]]]}}",
        table, row_uuid(i), i, i, i, i % 10, i % 7, i % 100, i % 3);
}

static void
do_fill(uint64_t n_rows, const char *table)
{
    struct conn c;
    conn_open(&c);
    uint64_t begun = now_us();
    for (uint64_t i = 0; i < n_rows;) {
        say(&c, "{\"id\":%" PRIu64 ",\"method\":\"transact\",\"params\":[\"B\"", i);
        for (uint64_t k = 0; k < 1000 && i < n_rows; k++, i++) {
            say(&c, ",");
            say_insert(&c, table, i);
        }
        say(&c, "]}");
        call(&c);
    }
    printf("{\"rows_per_s\":%.0f}\n", (double) n_rows * 1e6 / (double) (now_us() - begun));
}

static void
say_update(struct conn *c, const char *table, uint64_t row, bool by_name, uint64_t n)
{
    say(c, "{\"op\":\"update\",\"table\":\"%s\",\"where\":[[", table);
    if (by_name) {
        say(c, "\"name\",\"==\",\"row-%" PRIu64 "\"", row);
    } else {
        say(c, "\"_uuid\",\"==\",[\"uuid\",\"%s\"]", row_uuid(row));
    }
    say(c, "]],\"row\":{\"n\":%" PRIu64 "}}", n);
}

static void
request(struct conn *c, uint64_t i, const char *op, const char *tail)
{
    say(c, "{\"id\":%" PRIu64 ",\"method\":\"transact\",\"params\":[\"B\",", i);
    if (strcmp(op, "insert") == 0) {
        say_insert(c, "T", i);
    } else {
        say_update(c, "T", i % 1000, strcmp(op, "find") == 0, i);
    }
    say(c, "%s]}", tail);
    c->sent_us[c->n_sent++ % DEPTH_MAX] = now_us();
}

/* What is still under way is part of the latencies: it may be what was kept waiting most. */
static void
wait_for_rest(struct conn *c)
{
    struct pollfd p = { c->fd, POLLIN, 0 };
    flush(c);
    while (c->n_messages < c->n_sent && poll(&p, 1, REST_MS) > 0) {
        uint64_t done = read_some(c);
        for (uint64_t k = 0; k < done; k++) {
            sample(now_us() - c->sent_us[(c->n_messages - done + k) % DEPTH_MAX]);
        }
        flush(c);
    }
    if (c->n_messages < c->n_sent) {
        fprintf(stderr, "dbload: no answer\n");
        exit(1);
    }
}

static void
do_transact(int n_conns, int depth, double seconds, const char *op, bool durable)
{
    const char *tail = durable ? ",{\"op\":\"commit\",\"durable\":true}" : "";
    struct conn *conns = calloc((size_t) n_conns, sizeof *conns);
    uint64_t next = (uint64_t) time(NULL) * 1000000, n_done = 0;

    for (int i = 0; i < n_conns; i++) {
        conn_open(&conns[i]);
    }
    uint64_t begun = now_us(), stop = begun + (uint64_t) (seconds * 1e6), now = begun;
    for (int i = 0; i < n_conns; i++) {
        for (int k = 0; k < depth; k++) {
            request(&conns[i], next++, op, tail);
        }
        flush(&conns[i]);
    }
    begun_us = begun;
    while (now < stop && !enough) {
        struct epoll_event ev[256];
        int n = epoll_wait(ep, ev, 256, 100);
        now = now_us();
        for (int i = 0; i < n; i++) {
            struct conn *c = ev[i].data.ptr;
            uint64_t done = read_some(c);
            for (uint64_t k = 0; k < done; k++) {
                sample(now - c->sent_us[(c->n_messages - done + k) % DEPTH_MAX]);
                request(c, next++, op, tail);
            }
            n_done += done;
        }
        for (int i = 0; i < n; i++) {
            flush(ev[i].data.ptr);
        }
    }
    printf("{\"per_s\":%.0f,", (double) n_done * 1e6 / (double) (now - begun));
    for (int i = 0; i < n_conns; i++) {
        wait_for_rest(&conns[i]);
    }
    print_latency();
}

static void
say_monitor(struct conn *c, const char *table, const char *where)
{
    say(c,
        "{\"id\":1,\"method\":\"monitor_cond\",\"params\":[\"B\",\"m\",{\"%s\":[{\"columns\":"
        "[\"name\",\"n\",\"state\",\"note\",\"tags\",\"ids\"]%s}]}]}",
        table, where);
}

static void
do_initial(void)
{
    struct conn c;
    conn_open(&c);
    uint64_t begun = now_us();
    say_monitor(&c, "T", "");
    call(&c);
    printf("{\"ms\":%.1f,\"mb\":%.1f}\n", (double) (now_us() - begun) / 1e3,
           (double) c.n_bytes / 1e6);
}

/* Reads what watchers have, without waiting. */
static void
drain(uint64_t *delivered)
{
    struct epoll_event ev[256];
    int n = epoll_wait(ep, ev, 256, 0);
    for (int i = 0; i < n; i++) {
        *delivered += read_some(ev[i].data.ptr);
    }
}

/* Resident memory of a process, KiB. */
static uint64_t
rss_kib(int pid)
{
    char path[64], line[256];
    uint64_t kib = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) {
        sscanf(line, "VmRSS: %" SCNu64, &kib);
    }
    if (f) {
        fclose(f);
    }
    return kib;
}

static struct conn *
open_watchers(int n_watchers, const char *table, bool by_row)
{
    struct conn *conns = calloc((size_t) n_watchers, sizeof *conns);
    for (int i = 0; i < n_watchers; i++) {
        char where[64] = "";
        if (by_row) {
            snprintf(where, sizeof where, ",\"where\":[[\"name\",\"==\",\"row-%d\"]]", i);
        }
        conn_open(&conns[i]);
        say_monitor(&conns[i], table, where);
        call(&conns[i]);
        free(conns[i].out);
        conns[i].out = NULL;
        conns[i].cap_out = 0;
    }
    return conns;
}

struct round {
    double per_s, delivered_per_s, merged;
};

/* One writer with 'depth' updates under way; the clock stops when all that it wrote has arrived. */
static struct round
watch_round(struct conn *w, int n_watchers, double seconds, bool by_row, unsigned depth)
{
    uint64_t delivered = 0, n = 0, first = w->n_messages;
    uint64_t begun = now_us(), stop = begun + (uint64_t) (seconds * 1e6);
    for (;;) {
        uint64_t at = now_us(), under_way = n - (w->n_messages - first);
        if (at >= stop && under_way == 0) {
            break;
        }
        for (; at < stop && under_way < depth; under_way++) {
            say(w, "{\"id\":1,\"method\":\"transact\",\"params\":[\"B\",");
            say_update(w, "W", n % (uint64_t) n_watchers, false, at);
            say(w, "]}");
            w->sent_us[n++ % DEPTH_MAX] = at;
        }
        flush(w);
        struct pollfd p[] = { { w->fd, POLLIN, 0 }, { ep, POLLIN, 0 } };
        poll(p, 2, 1000);
        if (p[0].revents) {
            uint64_t answered = w->n_messages - first;
            read_some(w);
            for (; answered < w->n_messages - first; answered++) {
                sample(now_us() - w->sent_us[answered % DEPTH_MAX]);
            }
        }
        if (p[1].revents) {
            drain(&delivered);
        }
    }
    uint64_t want = by_row ? n : n * (uint64_t) n_watchers, last = now_us();
    while (delivered < want && now_us() < last + 2000000) {
        uint64_t before = delivered;
        struct pollfd p = { ep, POLLIN, 0 };
        poll(&p, 1, 100);
        drain(&delivered);
        last = delivered > before ? now_us() : last;
    }
    double s = (double) ((delivered < want ? last : now_us()) - begun) / 1e6;
    return (struct round){ (double) n / s, (double) delivered / s,
                           1 - (double) delivered / (double) want };
}

static int
round_cmp(const void *a, const void *b)
{
    double x = ((const struct round *) a)->per_s, y = ((const struct round *) b)->per_s;
    return x < y ? -1 : x > y;
}

static void
do_watch(int n_watchers, double seconds, unsigned depth, bool by_row)
{
    open_watchers(n_watchers, "W", by_row);
    struct conn w;
    struct round rounds[WATCH_ROUNDS];
    conn_open(&w);
    epoll_ctl(ep, EPOLL_CTL_DEL, w.fd, NULL);
    watch_round(&w, n_watchers, seconds / 4, by_row,
                depth); /* The first ones build caches. */
    n_samples = 0;
    for (int i = 0; i < WATCH_ROUNDS; i++) {
        rounds[i] = watch_round(&w, n_watchers, seconds, by_row, depth);
    }
    qsort(rounds, WATCH_ROUNDS, sizeof *rounds, round_cmp);
    const struct round *median = &rounds[WATCH_ROUNDS / 2];
    printf("{\"per_s\":%.0f,\"slowest_per_s\":%.0f,\"fastest_per_s\":%.0f,"
           "\"delivered_per_s\":%.0f,\"merged\":%.2f,",
           median->per_s, rounds[0].per_s, rounds[WATCH_ROUNDS - 1].per_s,
           median->delivered_per_s, median->merged);
    print_latency();
}

/* How many connections the server has closed. */
static int
count_lost(struct conn *conns, int n)
{
    int lost = 0;
    for (int i = 0; i < n; i++) {
        char byte;
        lost += recv(conns[i].fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    }
    return lost;
}

static void
do_clients(int n, double seconds, int pid)
{
    struct conn w;
    conn_open(&w);
    epoll_ctl(ep, EPOLL_CTL_DEL, w.fd, NULL);
    uint64_t kib = rss_kib(pid), begun = now_us();
    struct conn *conns = open_watchers(n, "C", true);
    double connect_ms = (double) (now_us() - begun) / 1e3;
    double each_kib = (double) (rss_kib(pid) - kib) / n;
    uint64_t delivered = 0, n_done = 0, stop = now_us() + (uint64_t) (seconds * 1e6);
    while (now_us() < stop) { /* Until its watcher has heard of it, too. */
        uint64_t at = now_us(), want = ++n_done;
        say(&w, "{\"id\":1,\"method\":\"transact\",\"params\":[\"B\",");
        say_update(&w, "C", at % (uint64_t) n, false, at);
        say(&w, "]}");
        while (w.n_messages < want) {
            call(&w);
        }
        while (delivered < want && now_us() < at + 5000000) {
            drain(&delivered);
        }
        sample(now_us() - at);
    }
    printf("{\"connect_ms\":%.0f,\"kib\":%.2f,\"lost\":%d,\"missing\":%" PRIu64 ",",
           connect_ms, each_kib, count_lost(conns, n), n_done - delivered);
    print_latency();
}

static void
do_memory(size_t mib)
{
    size_t n = mib << 20;
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        die("mmap");
    }
    madvise(p, n, MADV_HUGEPAGE);
    for (size_t i = 0; i < n; i += 4096) {
        p[i] = 1;
    }
    printf("{\"ms\":%.1f}\n", (double) (now_us() - begun_us) / 1000);
}

static void
on_term(int signal)
{
    enough = signal;
}

int
main(int argc, char **argv)
{
    struct rlimit limit = { 20000, 20000 };
    const char *mode = argc > 2 ? argv[2] : "";

    begun_us = now_us();
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGTERM, on_term);
    samples = malloc(SAMPLES_MAX * sizeof *samples);
    ep = epoll_create1(EPOLL_CLOEXEC);
    sock = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "fill") == 0 && argc == 5) {
        do_fill(strtoull(argv[3], NULL, 10), argv[4]);
    } else if (strcmp(mode, "transact") == 0 && argc >= 7) {
        do_transact(atoi(argv[3]), atoi(argv[4]), atof(argv[5]), argv[6], argc > 7);
    } else if (strcmp(mode, "initial") == 0) {
        do_initial();
    } else if (strcmp(mode, "memory") == 0 && argc == 4) {
        do_memory(strtoull(argv[3], NULL, 10));
    } else if (strcmp(mode, "clients") == 0 && argc == 6) {
        do_clients(atoi(argv[3]), atof(argv[4]), atoi(argv[5]));
    } else if (strcmp(mode, "watch") == 0 && argc >= 6 && atoi(argv[5]) <= DEPTH_MAX) {
        do_watch(atoi(argv[3]), atof(argv[4]), (unsigned) atoi(argv[5]), argc > 6);
    } else {
        fprintf(stderr, "usage: see the head of bench/dbload.c\n");
        return 2;
    }
    return 0;
}
