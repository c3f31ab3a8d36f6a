/* base/log.h: the log of a program, in Open vSwitch's format:
 *
 *     2026-11-21T21:40:02.123Z|00001|dbserver|INFO|listening on ./var/run/db.sock
 *
 * Libraries do not log; the top handlers do, once per failure.  LOG_MODULE names the room:
 * define it before including this header.  Thread-safe.  No secret goes in here. */
#ifndef BASE_LOG_H
#define BASE_LOG_H 1

#include "base/base.h"

struct buf;

enum log_level { LOG_OFF, LOG_EMER, LOG_ERR, LOG_WARN, LOG_INFO, LOG_DBG };

/* 'file' NULL: standard error only.  With a file, standard error still gets up to
 * 'console'. */
struct err *log_open(const char *file) MUST_CHECK;
void log_set_level(enum log_level file, enum log_level console);
bool log_level_parse(const char *name, enum log_level *ret);
/* Open vSwitch's vlog spec, "dbg", "console:off", "relay:file:dbg" ...  ERR_NOT_FOUND: a word that is
 * no module, place or level. */
struct err *log_set_spec(const char *spec) MUST_CHECK;
bool log_is_module(const char *name);
void log_list(struct buf *out); /* The levels of all modules, as "vlog/list" has them. */
struct err *log_reopen(void) MUST_CHECK; /* After logrotate moved the file. */
bool log_has_file(void);
void log_close(void);             /* The file, until log_reopen(). */
bool log_enabled(enum log_level); /* Of some module. */
void log_write(enum log_level, const char *module, const char *fmt, ...) PRINTF(3, 4);
/* Takes 'e'; logs it with its place in the code.  NULL is fine. */
void log_failure(enum log_level, const char *module, struct err *e);

#ifdef LOG_MODULE
#define log_err(...) log_write(LOG_ERR, LOG_MODULE, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, LOG_MODULE, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, LOG_MODULE, __VA_ARGS__)
#define log_dbg(...)                                                                       \
    (log_enabled(LOG_DBG) ? log_write(LOG_DBG, LOG_MODULE, __VA_ARGS__) : (void) 0)
#endif

#endif /* base/log.h */
