/* agent/bridge.h: bridges that Byre makes of a network card.
 *
 * Blocking, for worker threads; needs CAP_NET_ADMIN.  A bridge of ours says so in its alias
 * ("byre:ROW-UUID"), so that no other is ever changed or removed. */
#ifndef AGENT_BRIDGE_H
#define AGENT_BRIDGE_H 1

#include "base/base.h"
#include "base/uuid.h"

struct bridge_look {
    bool exists; /* A bridge of that name. */
    bool other;  /* An interface of that name that is no bridge. */
    bool ours;   /* Of this row. */
    bool attached;
};

/* 'nic' NULL or a card's name, 'vlan' 0 or the tag. */
struct bridge_look bridge_look(const char *name, const struct uuid *row, const char *nic,
                               int64_t vlan);
/* Makes what is missing.  ERR_CONSTRAINT: the card has addresses, is part of another bridge, or is
 * not there; ERR_EXISTS: another interface has the name. */
struct err *bridge_make(const char *name, const struct uuid *row, const char *nic,
                        int64_t vlan, int64_t mtu) MUST_CHECK;
struct err *bridge_remove(const char *name, const struct uuid *row, const char *nic,
                          int64_t vlan) MUST_CHECK;

#endif /* agent/bridge.h */
