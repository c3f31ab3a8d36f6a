/* base/log_levels.h: how much each module says, and where: the part of the log that decides. */
#ifndef BASE_LOG_LEVELS_H
#define BASE_LOG_LEVELS_H 1

#include "base/log.h"

enum log_place { LOG_CONSOLE, LOG_SYSLOG, LOG_FILE, N_LOG_PLACES };

/* Without a lock: the caller of log_write() has one. */
enum log_level log_levels_of(const char *module, enum log_place);
enum log_level log_levels_max(enum log_place);       /* Of all modules. */
void log_levels_set(enum log_place, enum log_level); /* Of all modules. */

#endif /* base/log_levels.h */
