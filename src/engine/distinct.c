/* engine/distinct.c: are two names names of one thing?
 *
 * Paths are the same if they lead to one inode, or to one block device.  Hosts are the same if they have
 * an address in common, where all addresses of this host count as one.  What cannot be
 * resolved is taken for something else: starting it fails soon enough. */
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/str.h"
#include "engine/luns_i.h"
#include "store/code.h"

static bool
same_path(const char *a, const char *b)
{
    struct stat one, other;
    if (stat(a, &one) < 0 || stat(b, &other) < 0) {
        return false;
    }
    return S_ISBLK(one.st_mode) ? S_ISBLK(other.st_mode) && one.st_rdev == other.st_rdev
                                : one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static bool
same_address(const struct sockaddr *a, const struct sockaddr *b)
{
    if (!a || !b || a->sa_family != b->sa_family) {
        return false;
    } else if (a->sa_family == AF_INET) {
        return ((const struct sockaddr_in *) (const void *) a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *) (const void *) b)->sin_addr.s_addr;
    }
    return a->sa_family == AF_INET6 &&
           memcmp(&((const struct sockaddr_in6 *) (const void *) a)->sin6_addr,
                  &((const struct sockaddr_in6 *) (const void *) b)->sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

static bool
is_own(const struct sockaddr *address, const struct ifaddrs *own)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *) (const void *) address;
        if (ntohl(in->sin_addr.s_addr) >> 24 == 127) {
            return true; /* All of 127.0.0.0/8. */
        }
    }
    for (; own; own = own->ifa_next) {
        if (same_address(address, own->ifa_addr)) {
            return true;
        }
    }
    return false;
}

static bool
overlap(const struct addrinfo *a, const struct addrinfo *b, const struct ifaddrs *own)
{
    for (; a; a = a->ai_next) {
        bool a_is_own = is_own(a->ai_addr, own);
        for (const struct addrinfo *i = b; i; i = i->ai_next) {
            if (same_address(a->ai_addr, i->ai_addr) ||
                (a_is_own && is_own(i->ai_addr, own))) {
                return true;
            }
        }
    }
    return false;
}

static bool
same_host(const char *a, const char *b)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *one = NULL, *other = NULL;
    struct ifaddrs *own = NULL;
    bool same = getaddrinfo(a, NULL, &hints, &one) == 0 &&
                getaddrinfo(b, NULL, &hints, &other) == 0 && getifaddrs(&own) == 0 &&
                overlap(one, other, own);
    if (one) {
        freeaddrinfo(one);
    }
    if (other) {
        freeaddrinfo(other);
    }
    if (own) {
        freeifaddrs(own);
    }
    return same;
}

struct err *
distinct_check(struct engine *engine UNUSED, const struct plan_step *step)
{
    if (step->strict ? !same_host(step->dir, step->backing)
                     : !same_path(step->dir, step->backing)) {
        return NULL;
    }
    return err_hint(store_err(VE_OPERATION_FAILED,
                              "Storage source conflict with pool: '%s' "
                              "('%s' is '%s')",
                              step->name, step->dir, step->backing),
                    "use pool '%s', or give this one a source of its own", step->name);
}
