/* base/log_levels.c: levels a module and a place, and the specs that set them.
 *
 * A spec is Open vSwitch's: words with colons, commas or blanks between, in any order: a module, a
 * place, a level.  What is left out means all modules, all places, "dbg".
 * Source.  ovs-appctl(8), vlog/set. */
#include "base/log_levels.h"

#include <pthread.h>

#include "base/buf.h"
#include "base/log_syslog.h"
#include "base/str.h"

/* Ours, and those of ovsdb-server that scripts name: a level of theirs is kept, and does nothing
 * where we have no such module. */
static const char *const names[] = {
    "agent",        "agentd",      "byred",
    "daemon",       "daemon_unix", "dbd",
    "dbserver",     "file",        "host",
    "http",         "jsonrpc",     "lockfile",
    "memory",       "ovsdb_cs",    "ovsdb_error",
    "ovsdb_server", "pool",        "poll_loop",
    "priv",         "raft",        "reconnect",
    "relay",        "replication", "report",
    "service",      "socket_util", "socket_util_unix",
    "stats",        "storage",     "stored",
    "stream",       "stream_ssl",  "stream_tcp",
    "stream_unix",  "super",       "timeval",
    "transaction",  "unixctl",     "util",
    "vlog",         "vm",          "volume",
    "webd",
};
static const char *const places[] = { "console", "syslog", "file" };
static const char *const tags[] = { "OFF", "EMER", "ERR", "WARN", "INFO", "DBG" };
static const char *const level_names[] = { "off", "emer", "err", "warn", "info", "dbg" };

/* One more: what has no name here. */
static unsigned char levels[N_ELEMS(names) + 1][N_LOG_PLACES];
static unsigned char max_levels[N_LOG_PLACES] = { LOG_INFO, LOG_OFF, LOG_INFO };
static bool any_set; /* Until then all are as 'max_levels' says. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static size_t
find(const char *module)
{
    size_t i = 0;
    while (i < N_ELEMS(names) && strcmp(names[i], module) != 0) {
        i++;
    }
    return i;
}

bool
log_is_module(const char *name)
{
    return find(name) < N_ELEMS(names);
}

enum log_level
log_levels_of(const char *module, enum log_place place)
{
    return (enum log_level)(any_set ? levels[find(module)][place] : max_levels[place]);
}

enum log_level
log_levels_max(enum log_place place)
{
    return (enum log_level) max_levels[place];
}

static void
begin_set(void)
{
    for (size_t i = 0; !any_set && i < N_ELEMS(levels); i++) {
        memcpy(levels[i], max_levels, sizeof max_levels);
    }
    any_set = true;
}

static void
note_max(enum log_place place)
{
    unsigned char max = LOG_OFF;
    for (size_t i = 0; i < N_ELEMS(levels); i++) {
        max = levels[i][place] > max ? levels[i][place] : max;
    }
    max_levels[place] = max;
}

void
log_levels_set(enum log_place place, enum log_level level)
{
    pthread_mutex_lock(&lock);
    begin_set();
    for (size_t i = 0; i < N_ELEMS(levels); i++) {
        levels[i][place] = (unsigned char) level;
    }
    note_max(place);
    pthread_mutex_unlock(&lock);
}

bool
log_level_parse(const char *name, enum log_level *ret)
{
    for (size_t i = 0; i < N_ELEMS(level_names); i++) {
        if (strcasecmp(name, level_names[i]) == 0) {
            *ret = (enum log_level) i;
            return true;
        }
    }
    return false;
}

static size_t
find_place(const char *word)
{
    size_t i = 0;
    while (i < N_LOG_PLACES && strcasecmp(word, places[i]) != 0) {
        i++;
    }
    return i;
}

/* What a spec says. */
struct spec {
    size_t place, module; /* N_LOG_PLACES, N_ELEMS(levels): all. */
    bool has_level;
    enum log_level level;
};

static struct err *
twice(const char *what)
{
    return err_new(ERR_SYNTAX, "cannot specify multiple %s", what);
}

/* A word that is both, "file", is a place. */
static struct err *
read_word(const char *word, struct spec *s)
{
    size_t place = find_place(word), module = find(word);
    enum log_level level;

    if (strcasecmp(word, "any") == 0) {
        return NULL;
    } else if (place < N_LOG_PLACES) {
        bool again = s->place < N_LOG_PLACES;
        s->place = place;
        return again ? twice("destinations") : NULL;
    } else if (log_level_parse(word, &level)) {
        bool again = s->has_level;
        s->has_level = true;
        s->level = level;
        return again ? twice("levels") : NULL;
    } else if (module < N_ELEMS(names)) {
        bool again = s->module < N_ELEMS(levels);
        s->module = module;
        return again ? twice("modules") : NULL;
    }
    return err_new(ERR_NOT_FOUND, "no destination, level, or module \"%s\"", word);
}

/* "PATTERN:DESTINATION:..." is checked, and no more: the format is what it is.  "FACILITY:NAME". */
static struct err *
read_other(const struct strvec *words)
{
    const char *word = words->n > 1 ? words->v[1] : NULL;

    if (strcasecmp(words->v[0], "PATTERN") == 0) {
        bool known =
            word && (strcasecmp(word, "any") == 0 || find_place(word) < N_LOG_PLACES);
        return !word   ? err_new(ERR_SYNTAX, "missing destination")
               : known ? NULL
                       : err_new(ERR_NOT_FOUND, "unknown destination \"%s\"", word);
    }
    return word && log_syslog_facility(word) ? NULL
                                             : err_new(ERR_SYNTAX, "invalid facility");
}

struct err *
log_set_spec(const char *text)
{
    CLEANUP(strvec_done) struct strvec words = STRVEC_INIT;
    struct spec s = { N_LOG_PLACES, N_ELEMS(levels), false, LOG_DBG };

    strvec_split(&words, text, ": ,\t");
    if (words.n && (strcasecmp(words.v[0], "PATTERN") == 0 ||
                    strcasecmp(words.v[0], "FACILITY") == 0)) {
        return read_other(&words);
    }
    for (size_t i = 0; i < words.n; i++) {
        TRY(read_word(words.v[i], &s));
    }
    pthread_mutex_lock(&lock);
    begin_set();
    for (size_t i = 0; i < N_ELEMS(levels); i++) {
        for (size_t p = 0; p < N_LOG_PLACES; p++) {
            if ((s.module == N_ELEMS(levels) || s.module == i) &&
                (s.place == N_LOG_PLACES || s.place == p)) {
                levels[i][p] = (unsigned char) s.level;
            }
        }
    }
    for (size_t p = 0; p < N_LOG_PLACES; p++) {
        note_max((enum log_place) p);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

void
log_list(struct buf *out)
{
    buf_str(out, "                 console    syslog    file\n"
                 "                 -------    ------    ------");
    for (size_t i = 0; i < N_ELEMS(names); i++) {
        buf_printf(out, "\n%-16s  %4s       %4s       %4s", names[i],
                   tags[log_levels_of(names[i], LOG_CONSOLE)],
                   tags[log_levels_of(names[i], LOG_SYSLOG)],
                   tags[log_levels_of(names[i], LOG_FILE)]);
    }
}
