/* agent/diff_net.c: see diff_net.h.
 *
 * What runs and is in use is never torn down: libvirt would take the network away from below the
 * guests' interfaces.  Then the file on disk is what it shall be, and the row says that a restart of
 * the network is needed and who is in the way. */
#include "agent/diff_net.h"

#include "base/str.h"

static const char *const names[N_NET_STEPS] = {
    [NET_DO_NOTHING] = "nothing",   [NET_DO_LOOK] = "look",
    [NET_DO_BRIDGE] = "bridge",     [NET_DO_UNBRIDGE] = "unbridge",
    [NET_DO_DEFINE] = "define",     [NET_DO_START] = "start",
    [NET_DO_HOSTS] = "hosts",       [NET_DO_LEASES] = "leases",
    [NET_DO_STOP] = "stop",         [NET_DO_UNDEFINE] = "undefine",
    [NET_DO_ROW_GONE] = "row-gone",
};

const char *
net_step_name(enum net_step step)
{
    return names[step];
}

static struct net_decision
take(enum net_step step)
{
    return (struct net_decision){ .step = step };
}

static struct net_decision
settled(const char *state, const char *error)
{
    return (struct net_decision){ .settled = true, .state = state, .error = error };
}

static const char in_use[] =
    "the network is in use on this host\nmachines that run are in it\nstop them first: byre vm list "
    "tells which";

static struct net_decision
decide_bridge(const struct net_want *want, const struct net_seen *seen)
{
    if (want->deleted) {
        bool made = seen->exists && seen->ours;
        return !made         ? take(NET_DO_ROW_GONE)
               : want->users ? settled("active", in_use)
                             : take(NET_DO_UNBRIDGE);
    } else if (want->error) {
        return settled(seen->exists ? "active" : "missing", want->error);
    } else if (want->has_nic && (!seen->exists || (seen->ours && !seen->attached))) {
        return take(NET_DO_BRIDGE);
    } else if (!seen->exists) {
        return settled(
            "missing",
            "the network's bridge is not on this host\nthere is no bridge of that "
            "name\nmake it in the host's own configuration, or name a network card that "
            "Byre makes it of: byre network set NETWORK nic=eth1");
    }
    return settled("active", NULL);
}

static struct net_decision
decide_deleted(const struct net_want *want, const struct net_seen *seen)
{
    if (!seen->exists || !seen->ours) {
        return take(NET_DO_ROW_GONE);
    } else if (seen->active && want->users) {
        return settled("active", in_use);
    }
    return take(seen->active ? NET_DO_STOP : NET_DO_UNDEFINE);
}

static struct net_decision
decide_libvirt(const struct net_want *want, const struct net_seen *seen)
{
    const char *now = seen->active ? "active" : seen->exists ? "inactive" : "missing";
    bool differs =
        seen->active && (seen->renamed || !str_eq(seen->live_print, want->print));

    if (want->deleted) {
        return decide_deleted(want, seen);
    } else if (seen->exists && !seen->ours) {
        return settled("inactive",
                       "libvirt has a network of that name that Byre did not "
                       "make\nByre never touches such a network\ngive this one "
                       "another name, or remove libvirt's (virsh net-undefine)");
    } else if (want->error) {
        return settled(now, want->error);
    } else if (!seen->exists) {
        return take(NET_DO_DEFINE);
    } else if (!seen->renamed && !str_eq(seen->print, want->print)) {
        return take(NET_DO_DEFINE);
    } else if (differs && want->users) {
        struct net_decision d = settled(
            "active", "the network still runs as it was before the last change\na restart "
                      "would cut off the machines that run in it\nstop them (byre vm list "
                      "tells which); it then restarts by itself");
        d.needs_restart = true;
        return d;
    } else if (differs) {
        return take(NET_DO_STOP);
    } else if (seen->renamed) {
        return take(NET_DO_UNDEFINE);
    } else if (!seen->active) {
        return take(NET_DO_START);
    } else if (!str_eq(seen->hosts, want->hosts)) {
        return take(NET_DO_HOSTS);
    } else if (seen->stale_leases) {
        return take(NET_DO_LEASES);
    }
    return settled("active", NULL);
}

static bool
has_failed(const struct net_memo *memo, const struct net_want *want)
{
    return memo->failed && memo->failed_generation == want->generation &&
           memo->failed_deleted == want->deleted &&
           str_eq(memo->failed_print, want->print ? want->print : "");
}

struct net_decision
net_decide(const struct net_want *want, const struct net_seen *seen,
           const struct net_memo *memo, int64_t now_ms)
{
    if (!seen->looked) {
        return take(NET_DO_LOOK);
    }
    struct net_decision d =
        want->is_bridge ? decide_bridge(want, seen) : decide_libvirt(want, seen);
    if (d.step != NET_DO_NOTHING && d.step != NET_DO_ROW_GONE && has_failed(memo, want) &&
        now_ms < memo->retry_at_ms) {
        d = settled(seen->active   ? "active"
                    : seen->exists ? "inactive"
                                   : "missing",
                    memo->error);
        d.wake_ms = memo->retry_at_ms;
    }
    return d;
}

void
net_memo_failed(struct net_memo *memo, const struct net_want *want, const char *error,
                int64_t now_ms)
{
    memo->retry_ms = clamp64(has_failed(memo, want) ? 2 * memo->retry_ms : 0,
                             NET_RETRY_MIN_MS, NET_RETRY_MAX_MS);
    memo->retry_at_ms = now_ms + memo->retry_ms;
    memo->failed = true;
    memo->failed_generation = want->generation;
    memo->failed_deleted = want->deleted;
    memset(memo->failed_print, 0, sizeof memo->failed_print);
    if (want->print) {
        memcpy(memo->failed_print, want->print, VIRT_PRINT_CHARS);
    }
    free(memo->error);
    memo->error = str_dup(error);
}

void
net_memo_worked(struct net_memo *memo)
{
    memo->failed = false;
    free(TAKE(memo->error));
}

void
net_memo_done(struct net_memo *memo)
{
    free(memo->error);
    memset(memo, 0, sizeof *memo);
}
