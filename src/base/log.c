/* base/log.c: one line a message, one write(2) a line, so that lines of several threads and
 * processes never mix. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/log_levels.h"
#include "base/log_syslog.h"
#include "base/str.h"

static const char *const level_tags[] = {
    [LOG_OFF] = "OFF",   [LOG_EMER] = "EMER", [LOG_ERR] = "ERR",
    [LOG_WARN] = "WARN", [LOG_INFO] = "INFO", [LOG_DBG] = "DBG",
};

/* RFC 5424's, as Open vSwitch takes them. */
static const int severities[] = {
    [LOG_EMER] = 1, [LOG_ERR] = 3, [LOG_WARN] = 4, [LOG_INFO] = 5, [LOG_DBG] = 7
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *path;  /* NULL: no file. */
static int fd = -1; /* The file, or -1. */
static unsigned n_lines;

static MUST_CHECK struct err *
open_file(const char *file, int *ret_fd)
{
    *ret_fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    return *ret_fd < 0 ? err_io(errno, "open log file %s", file) : NULL;
}

struct err *
log_open(const char *file)
{
    int new_fd = -1;
    if (file) {
        TRY(open_file(file, &new_fd));
    }
    pthread_mutex_lock(&lock);
    fd_done(&fd);
    free(path);
    fd = new_fd;
    path = str_dup(file);
    if (file) {
        log_levels_set(LOG_CONSOLE, LOG_ERR);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

struct err *
log_reopen(void)
{
    pthread_mutex_lock(&lock);
    CLEANUP(free_drop) char *file = str_dup(path);
    pthread_mutex_unlock(&lock);
    if (!file) {
        return NULL;
    }
    int new_fd;
    TRY(open_file(file, &new_fd));
    pthread_mutex_lock(&lock);
    fd_done(&fd);
    fd = new_fd;
    pthread_mutex_unlock(&lock);
    return NULL;
}

bool
log_has_file(void)
{
    return path != NULL;
}

void
log_close(void)
{
    pthread_mutex_lock(&lock);
    fd_done(&fd);
    pthread_mutex_unlock(&lock);
}

void
log_set_level(enum log_level file, enum log_level console)
{
    log_levels_set(LOG_FILE, file);
    log_levels_set(LOG_CONSOLE, console);
}

bool
log_enabled(enum log_level level)
{
    return level <= log_levels_max(LOG_CONSOLE) || level <= log_levels_max(LOG_SYSLOG) ||
           (fd >= 0 && level <= log_levels_max(LOG_FILE));
}

static void
add_time(struct buf *line)
{
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    buf_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
               tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
               (int) (now.tv_nsec / 1000000));
}

void
log_write(enum log_level level, const char *module, const char *fmt, ...)
{
    if (!log_enabled(level)) {
        return;
    }
    bool to_file = level <= log_levels_of(module, LOG_FILE);
    bool to_console = level <= log_levels_of(module, LOG_CONSOLE);
    bool to_syslog = level <= log_levels_of(module, LOG_SYSLOG);
    if (!to_file && !to_console && !to_syslog) {
        return;
    }
    int saved_errno = errno;
    CLEANUP(buf_done) struct buf line = BUF_INIT;
    pthread_mutex_lock(&lock);
    add_time(&line);
    size_t behind_time = line.n;
    buf_printf(&line, "|%05u|%s|%s|", ++n_lines, module, level_tags[level]);

    size_t start = line.n;
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&line, fmt, args);
    va_end(args);
    for (size_t i = start; i < line.n; i++) { /* A text from outside stays one line. */
        if ((unsigned char) line.data[i] < ' ') {
            line.data[i] = ' ';
        }
    }
    if (to_syslog) {
        CLEANUP(free_drop) char *text = str_dupf("ovs%s", buf_cstr(&line) + behind_time);
        CLEANUP(free_drop) char *time = str_dup_n(line.data, behind_time);
        struct syslog_line l = { .severity = severities[level],
                                 .time = time,
                                 .module = module,
                                 .text = text,
                                 .message = buf_cstr(&line) + start };
        log_syslog_send(&l);
    }
    buf_char(&line, '\n');

    /* A log that cannot be written must not stop the program. */
    if (fd >= 0 && to_file) {
        err_free(fd_write_all(fd, line.data, line.n));
    }
    if (to_console) {
        err_free(fd_write_all(STDERR_FILENO, line.data, line.n));
    }
    pthread_mutex_unlock(&lock);
    errno = saved_errno;
}

void
log_failure(enum log_level level, const char *module, struct err *e)
{
    if (e) {
        const char *next = err_next(e);
        log_write(level, module, "%s (%s)%s%s", err_text(e), err_where(e), next ? "; " : "",
                  next ? next : "");
        err_free(e);
    }
}
