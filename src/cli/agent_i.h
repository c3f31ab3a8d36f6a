/* cli/agent_i.h: requests to the agent of this host, over DIR/run/agent.sock.
 *
 * One request a connection: a line of JSON there, lines of JSON back: any number of
 * {"progress":R,"message":S}, then {"result":{...}} or {"error":{...}}. */
#ifndef CLI_AGENT_I_H
#define CLI_AGENT_I_H 1

#include "cli/cli_i.h"

/* Sends 'request'; 'pass_fd' >= 0 goes with it (SCM_RIGHTS).  *ret_fd: the connection,
 * for the caller to close; NULL closes it.  Progress is a live line on a terminal.
 * 'deadline_ms' (of clock_mono_ms()) bounds the wait; 0: none. */
struct err *agent_call(struct cli *, const struct json *request, int pass_fd,
                       int64_t deadline_ms, const char *label, struct json *ret_result,
                       int *ret_fd) MUST_CHECK;

#endif /* cli/agent_i.h */
