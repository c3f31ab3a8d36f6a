/* dhcp6 CARD: asks by DHCPv6 for one address and prints it, "2001:db8::5"; exit status 1 if nobody gives one.
 *
 * Debian's busybox has no udhcpc6.  Solicit, Request, and no more: RFC 8415 18.2.1, 18.2.2.  The client is called by
 * its MAC (DUID-LL), the association by the MAC's end.  The card must be up and its link-local address in use. */
#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    SOLICIT = 1,
    ADVERTISE = 2,
    REQUEST = 3,
    REPLY = 7,
    CLIENT_ID = 1,
    SERVER_ID = 2,
    IA_NA = 3,
    ADDRESS = 5,
    ELAPSED = 8
};
enum { TRIES = 10, ANSWER_MS = 1000, MAX_ID = 130 };

static uint8_t client[10] = { 0, 3, 0, 1 }, server[MAX_ID], message[512];
static size_t n_server, n_message;

static void
put(int code, const void *value, size_t n)
{
    uint8_t head[4] = { (uint8_t) (code >> 8), (uint8_t) code, (uint8_t) (n >> 8),
                        (uint8_t) n };
    memcpy(message + n_message, head, 4);
    memcpy(message + n_message + 4, value, n);
    n_message += 4 + n;
}

static void
make(int type)
{
    uint8_t ia[12] = { 0 };
    memcpy(ia, client + 6, 4);
    memcpy(message, (uint8_t[4]){ (uint8_t) type, 'd', 'h', (uint8_t) type }, 4);
    n_message = 4;
    put(CLIENT_ID, client, sizeof client);
    if (n_server) {
        put(SERVER_ID, server, n_server);
    }
    put(ELAPSED, ia + 4, 2);
    put(IA_NA, ia, sizeof ia);
}

/* The value of an option among those from 'p' on; NULL: there is none. */
static const uint8_t *
find(const uint8_t *p, const uint8_t *end, int code, size_t *n)
{
    while (end - p >= 4) {
        int is = p[0] << 8 | p[1];
        *n = (size_t) (p[2] << 8 | p[3]);
        p += 4;
        if (*n > (size_t) (end - p)) {
            return NULL;
        } else if (is == code) {
            return p;
        }
        p += *n;
    }
    return NULL;
}

/* Sends what was made until an answer of 'type' comes; the address in it, or NULL. */
static const uint8_t *
ask(int fd, const struct sockaddr_in6 *to, int type)
{
    static uint8_t reply[2048];

    for (int i = 0; i < TRIES; i++) {
        sendto(fd, message, n_message, 0, (const struct sockaddr *) to, sizeof *to);
        struct pollfd p = { .fd = fd, .events = POLLIN };
        if (poll(&p, 1, ANSWER_MS) <= 0) {
            continue;
        }
        ssize_t got = recv(fd, reply, sizeof reply, 0);
        size_t n;
        if (got < 4 || reply[0] != type || memcmp(reply + 1, message + 1, 3) != 0) {
            continue;
        }
        const uint8_t *end = reply + got, *id = find(reply + 4, end, SERVER_ID, &n);
        if (id && n <= MAX_ID) {
            memcpy(server, id, n);
            n_server = n;
        }
        const uint8_t *ia = find(reply + 4, end, IA_NA, &n);
        const uint8_t *address = ia && n > 12 ? find(ia + 12, ia + n, ADDRESS, &n) : NULL;
        if (address && n >= 16) {
            return address;
        }
    }
    return NULL;
}

int
main(int argc, char *argv[])
{
    char text[INET6_ADDRSTRLEN];
    struct ifreq r = { .ifr_flags = 0 };
    int fd = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 own = { .sin6_family = AF_INET6, .sin6_port = htons(546) };
    struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(547) };

    if (argc != 2) {
        return 2;
    }
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", argv[1]);
    to.sin6_scope_id = if_nametoindex(argv[1]);
    inet_pton(AF_INET6, "ff02::1:2", &to.sin6_addr);
    if (ioctl(fd, SIOCGIFHWADDR, &r) < 0 ||
        bind(fd, (struct sockaddr *) &own, sizeof own) < 0) {
        perror(argv[1]);
        return 2;
    }
    memcpy(client + 4, r.ifr_hwaddr.sa_data, 6);
    make(SOLICIT);
    if (!ask(fd, &to, ADVERTISE)) {
        return 1;
    }
    make(REQUEST);
    const uint8_t *address = ask(fd, &to, REPLY);
    if (!address) {
        return 1;
    }
    puts(inet_ntop(AF_INET6, address, text, sizeof text));
    return 0;
}
