/* dbserver/commands_i.h: the functions behind the table of commands.c. */
#ifndef DBSERVER_COMMANDS_I_H
#define DBSERVER_COMMANDS_I_H 1

#include "dbserver/peer_i.h"

/* Appends its text to 'out', or fails; 'argv' has as many strings as the table allows. */
typedef struct err *ctl_fn(struct dbserver *, const char **argv, size_t argc,
                           struct buf *out);

/* commands_sync.c */
ctl_fn do_set_active, do_get_active, do_connect_active, do_disconnect_active;
ctl_fn do_set_active_probe, do_set_exclude, do_get_exclude, do_sync_status;
ctl_fn do_set_relay_probe;

/* commands_tlog.c */
ctl_fn do_tlog_set, do_tlog_list;

#endif /* dbserver/commands_i.h */
