/* base/log_syslog.h: the log's way to syslog: through libc, or as datagrams of our own to a unix socket or
 * over UDP.  What goes there log_levels.h decides; nothing unless somebody asks.
 *
 * Apart from log.h because <syslog.h> has the same names for other numbers.  One thread at a time. */
#ifndef BASE_LOG_SYSLOG_H
#define BASE_LOG_SYSLOG_H 1

#include "base/base.h"

/* By what name the program is known there; kept, not copied. */
void log_syslog_ident(const char *name);
/* "libc", "null", "unix:FILE", "udp:IP:PORT".  ERR_UNSUPPORTED: none of these; ERR_SYNTAX, ERR_IO: an
 * address that cannot be sent to, and then nothing is sent. */
struct err *log_syslog_method(const char *method) MUST_CHECK;
/* "IP:PORT": also there, by UDP. */
struct err *log_syslog_target(const char *where) MUST_CHECK;
bool log_syslog_facility(const char *name); /* False: there is none of that name. */

struct syslog_line {
    int severity;        /* RFC 5424's, 0 to 7. */
    const char *time;    /* 2026-11-21T21:40:02.123Z */
    const char *module;  /* Of the program. */
    const char *text;    /* "ovs|00001|dbserver|INFO|listening" */
    const char *message; /* "listening" */
};
void log_syslog_send(const struct syslog_line *); /* What cannot be sent is lost. */

#endif /* base/log_syslog.h */
