/* agent/diff_net.h: what to do next about one network of this host.  Pure, as diff.h. */
#ifndef AGENT_DIFF_NET_H
#define AGENT_DIFF_NET_H 1

#include "base/base.h"
#include "virt/domain.h"

#define NET_LOOK_MS 15000 /* Between two looks at what nobody tells us of: bridges. */
#define NET_RETRY_MIN_MS 2000
#define NET_RETRY_MAX_MS 60000

/* clang-format off */
enum net_step { NET_DO_NOTHING, NET_DO_LOOK,
                NET_DO_BRIDGE, NET_DO_UNBRIDGE,            /* Of type bridge. */
                NET_DO_DEFINE, NET_DO_START, NET_DO_HOSTS, /* Of nat and route. */
                NET_DO_LEASES, /* Leases of those who have the address no more. */
                NET_DO_STOP, NET_DO_UNDEFINE,
                NET_DO_ROW_GONE, /* Nothing of it is left here: the host's row may go. */
                N_NET_STEPS };
/* clang-format on */
const char *net_step_name(enum net_step); /* "start" */

/* A network row, as this host sees it. */
struct net_want {
    bool is_bridge;
    bool has_nic; /* A bridge that Byre may make. */
    bool deleted;
    int64_t generation;
    const char *print; /* Fingerprint of the definition; NULL: it cannot be built ... */
    const char *hosts; /* (the same of DHCP's hosts) */
    const char *error; /* ... and why. */
    const char *users; /* Machines that are on and in it here, in words; NULL: none. */
};

/* As last seen; valid once 'looked'. */
struct net_seen {
    bool looked, exists, active;
    bool ours;    /* Made by Byre: its mark is in libvirt's definition, or on the bridge. */
    bool renamed; /* libvirt has it under another name. */
    bool attached; /* Of a bridge: its NIC is a port of it. */
    char print[VIRT_PRINT_CHARS + 1], live_print[VIRT_PRINT_CHARS + 1];
    char hosts[VIRT_PRINT_CHARS + 1]; /* Of what runs; of the definition if nothing runs. */
    bool stale_leases; /* DHCP holds addresses for machines that have them no more. */
};

struct net_memo {
    bool failed; /* At this want: */
    int64_t failed_generation;
    bool failed_deleted;
    char failed_print[VIRT_PRINT_CHARS + 1];
    char *error; /* If failed; owned. */
    int64_t retry_at_ms, retry_ms;
};

struct net_decision {
    enum net_step step;
    bool settled;
    const char *state; /* For the row; NULL: leave what is there. */
    const char *error; /* For the row; NULL: none. */
    bool needs_restart;
    int64_t wake_ms;
};

struct net_decision net_decide(const struct net_want *, const struct net_seen *,
                               const struct net_memo *, int64_t now_ms);
void net_memo_failed(struct net_memo *, const struct net_want *, const char *error,
                     int64_t now_ms);
void net_memo_worked(struct net_memo *);
void net_memo_done(struct net_memo *);

#endif /* agent/diff_net.h */
