/* cli/cmd_top.c: `byre top`: the screen that goes on, its keys, and the batch. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "cli/agent_i.h"
#include "cli/list_i.h"
#include "cli/top_i.h"

#define DELAY_S_DEFAULT 3
#define FILTER_MAX 64
#define SCREEN_ON "\033[?1049h\033[?25l"
#define SCREEN_OFF "\033[?25h\033[?1049l"

struct top {
    struct cli *cli;
    struct top_view view;
    int64_t delay_s, iterations; /* 0: for ever. */
    char filter[FILTER_MAX + 3];
    bool typing;  /* A filter. */
    bool helping; /* Help stands where the machines would. */
};

static const char help_text[] =
    "  q        quit\n"
    "  n        networks of each machine\n"
    "  d        disks\n"
    "  v        virtual CPUs\n"
    "  s        sort by the next column: name, cpu(sec), cpu, mem, vcpus, nettx, netrx, reads, writes\n"
    "  r        the other way round\n"
    "  f        show only machines that have a text in their names, or fit a pattern (web*); Enter ends it\n"
    "  down, j  one machine down;  up, k  one up\n"
    "  ?, h     this help; any key ends it\n"
    "\n"
    "  STATE: d dying, s shut down, b blocked, c crashed, p paused, r running.  CPU(%): of one processor.\n"
    "  MEM(%): of the host's memory.  NETTX, NETRX, VBD_*: since the machine was started.\n";

static struct termios before; /* What to restore, also from a signal. */

static void
restore(void)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    (void) !write(STDOUT_FILENO, SCREEN_OFF, strlen(SCREEN_OFF));
}

static void
on_signal(int signal_number)
{
    restore();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static struct err *
ask(struct cli *cli, struct json *ret)
{
    struct json request = json_object();
    json_put(&cli->arena, &request, "method", json_string_ref("top"));
    return err_wrap(
        agent_call(cli, &request, -1, clock_mono_ms() + CALL_MS, "top", ret, NULL), "top");
}

static void
render(struct top *top, const struct json *sample, struct buf *out)
{
    char text[16];
    time_t now = (time_t) (clock_wall_ms() / 1000);
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(text, sizeof text, "%H:%M:%S", &tm);
    top->view.time = text;
    top_print(out, sample, &top->view);
}

/* The screen in one write: no flicker.  What a line holds beyond the width is cut by the terminal (wrapping is
 * off while we draw). */
static void
draw(struct top *top, const struct json *sample)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT, out = BUF_INIT;
    struct winsize size = { .ws_row = 24 };

    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    top->view.rows = max64(size.ws_row - 1, 6);
    if (top->helping) {
        buf_str(&text, help_text);
    } else {
        render(top, sample, &text);
    }
    buf_str(&out, "\033[H\033[?7l");
    int n_lines = 0;
    for (size_t at = 0; at < text.n && n_lines < top->view.rows; n_lines++) {
        const char *end = memchr(text.data + at, '\n', text.n - at);
        size_t n = end ? (size_t) (end - text.data) - at : text.n - at;
        buf_add(&out, text.data + at, n);
        buf_str(&out, "\033[K\r\n");
        at += n + 1;
    }
    buf_str(&out, "\033[J");
    if (top->typing) {
        buf_printf(&out, "filter: %s", top->filter);
    } else {
        buf_printf(
            &out,
            "? help  q quit  n networks  d disks  v vcpus  s sort by %s  r reverse  f filter%s%s",
            top_sort_names[top->view.sort], top->filter[0] ? " " : "", top->filter);
    }
    buf_str(&out, "\033[?7h");
    err_free(fd_write_all(STDOUT_FILENO, out.data, out.n));
}

/* A character of the filter. */
static void
type(struct top *top, char c)
{
    size_t n = strlen(top->filter);
    if (c == '\r' || c == '\n' || c == 27) {
        top->typing = false;
    } else if ((c == 127 || c == 8) && n > 0) {
        top->filter[n - 1] = '\0';
    } else if (c >= ' ' && c < 127 && n < FILTER_MAX) {
        top->filter[n] = c;
        top->filter[n + 1] = '\0';
    }
}

/* False: the end. */
static bool
press(struct top *top, char c)
{
    struct top_view *view = &top->view;
    if (top->typing) {
        type(top, c);
        return true;
    } else if (top->helping) {
        top->helping = false;
        return c != 'q' && c != 3;
    }
    switch (c) {
    case 'q':
    case 'Q':
    case 3: return false;
    case 'n': view->networks = !view->networks; break;
    case 'd':
    case 'b': view->disks = !view->disks; break;
    case 'v': view->vcpus = !view->vcpus; break;
    case 's': view->sort = (enum top_sort)((view->sort + 1) % N_TOP_SORTS); break;
    case 'r': view->reverse = !view->reverse; break;
    case 'f':
        top->typing = true;
        top->filter[0] = '\0';
        break;
    case '?':
    case 'h': top->helping = true; break;
    case 'j':
    case 'B': view->first++; break; /* Also the last byte of the arrows. */
    case 'k':
    case 'A': view->first = (int) max64(view->first - 1, 0); break;
    default: break;
    }
    return true;
}

/* A filter without a wildcard means "has this in its name". */
static void
apply_filter(struct top *top, char *pattern, size_t n_bytes)
{
    bool plain = !strpbrk(top->filter, "*?[");
    snprintf(pattern, n_bytes, plain ? "*%s*" : "%s", top->filter);
    top->view.filter = top->filter[0] ? pattern : NULL;
}

static int64_t
n_shown(const struct top *top, const struct json *sample)
{
    const struct json *domains = json_get(sample, "domains");
    int64_t n = 0;
    for (uint32_t i = 0; domains && i < domains->n; i++) {
        n += top_is_shown(&domains->elems[i], &top->view);
    }
    return n;
}

static struct err *
go_on(struct top *top)
{
    for (int64_t i = 0; top->iterations == 0 || i < top->iterations; i++) {
        struct json sample;
        TRY(ask(top->cli, &sample));
        int64_t until_ms = clock_mono_ms() + top->delay_s * 1000;
        for (int64_t left_ms = 0; left_ms >= 0; left_ms = until_ms - clock_mono_ms()) {
            char pattern[FILTER_MAX + 8], c;
            struct pollfd keys = { STDIN_FILENO, POLLIN, 0 };
            apply_filter(top, pattern, sizeof pattern);
            top->view.first =
                (int) clamp64(top->view.first, 0, max64(n_shown(top, &sample) - 1, 0));
            draw(top, &sample);
            if (poll(&keys, 1, (int) max64(until_ms - clock_mono_ms(), 0)) > 0 &&
                (read(STDIN_FILENO, &c, 1) != 1 || !press(top, c))) {
                return NULL;
            }
        }
    }
    return NULL;
}

static struct err *
interactive(struct top *top)
{
    if (tcgetattr(STDIN_FILENO, &before) != 0) {
        return err_io(errno, "terminal");
    }
    struct termios raw = before;
    cfmakeraw(&raw);
    raw.c_lflag |= ISIG;
    raw.c_oflag |= OPOST;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGHUP, on_signal);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    (void) !write(STDOUT_FILENO, SCREEN_ON, strlen(SCREEN_ON));
    struct err *e = go_on(top);
    restore();
    return e;
}

static struct err *
batch(struct top *top)
{
    bool json = top->cli->format == OUT_JSON || top->cli->format == OUT_JSONL;
    int64_t n = top->iterations ? top->iterations : 1;
    for (int64_t i = 0; i < n; i++) {
        CLEANUP(buf_done) struct buf out = BUF_INIT;
        struct json sample;
        if (i) {
            poll(NULL, 0, (int) top->delay_s * 1000);
        }
        TRY(ask(top->cli, &sample));
        if (json) {
            const struct json *domains = json_get(&sample, "domains");
            json_print(domains ? domains : &sample,
                       top->cli->format == OUT_JSON ? JSON_PRETTY : 0, &out);
            buf_char(&out, '\n');
        } else {
            render(top, &sample, &out);
        }
        TRY(fd_write_all(STDOUT_FILENO, out.data, out.n));
    }
    return NULL;
}

static struct err *
cmd_top(struct cli *cli, const struct args *args)
{
    struct top top = { .cli = cli,
                       .delay_s = DELAY_S_DEFAULT,
                       .view = { .sort = TOP_CPU } };
    const char *sort = args_get(args, "sort");
    char pattern[FILTER_MAX + 8];

    TRY(args_int(args, "delay", 1, 3600, &top.delay_s));
    TRY(args_int(args, "iterations", 1, INT32_MAX, &top.iterations));
    if (sort && !top_sort_parse(sort, &top.view.sort)) {
        return err_hint(err_new(ERR_SYNTAX, "there is no column \"%s\" to sort by", sort),
                        "name, cpu(sec), cpu, mem, vcpus, nettx, netrx, reads or writes");
    }
    snprintf(top.filter, sizeof top.filter - 2, "%s", args->pos.n ? args->pos.v[0] : "");
    apply_filter(&top, pattern, sizeof pattern);
    top.view.networks = args_has(args, "networks");
    top.view.disks = args_has(args, "vbds");
    top.view.vcpus = args_has(args, "vcpus");
    bool screen =
        cli->tty_in && cli->tty_out && cli->format == OUT_TABLE && !args_has(args, "batch");
    return screen ? interactive(&top) : batch(&top);
}

static const struct opt_spec opts_top[] = {
    { "batch", NULL, "no screen: the lines once, or as often as --iterations says", NULL,
      'b' },
    { "delay", "SECONDS", "between looks; 3", NULL, 'd' },
    { "iterations", "N", "how often; for ever on a terminal, else once", NULL, 'i' },
    { "networks", NULL, "each network card below its machine" },
    { "vbds", NULL, "each disk below its machine", NULL, 'x' },
    { "vcpus", NULL, "each virtual CPU's time below its machine" },
    { "full-name", NULL, "for scripts that call xentop so: names are never cut", NULL,
      'f' },
    { "sort", "COLUMN", "name, cpu(sec), cpu, mem, vcpus, nettx, netrx, reads, writes; cpu",
      "name|cpu(sec)|cpu|mem|vcpus|nettx|netrx|reads|writes" },
    { NULL },
};

const struct command cmds_top[] = {
    { NULL, "top", "[PATTERN]", "this host and its machines as they run, like xentop",
      cmd_top, CMD_OFFLINE, opts_top, "vm",
      "Keys: q quit, n networks, d disks, v virtual CPUs, s next column to sort by, r reverse,\n"
      "f filter, arrows scroll, ? help.  In a pipe or with -b it prints xentop's 19 columns; -o json gives\n"
      "all that was measured.\n" },
    { NULL },
};
