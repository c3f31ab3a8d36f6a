/* agent/nets.h: networks of this host.  Private to the room. */
#ifndef AGENT_NETS_H
#define AGENT_NETS_H 1

#include "agent/agent_i.h"
#include "agent/diff_net.h"

struct net_job;
struct net_obj {
    struct obj o;
    struct net_memo memo;
    struct net_seen seen;
    int64_t look_at_ms;  /* When to look whether it is still so. */
    struct net_job *job; /* The step under way, or NULL. */
    bool leases_stay;    /* They could not be given back; that is told once. */
};

void nets_pass(struct agent *);  /* Before vms_pass(): machines wait for networks. */
void nets_event(struct agent *); /* libvirt says that some network changed. */
void net_obj_orphan(struct net_obj *);

#endif /* agent/nets.h */
