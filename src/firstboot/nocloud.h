/* firstboot/nocloud.h: the disk that cloud-init reads: an ISO 9660 image named CIDATA with three files.
 *
 *     meta-data       instance-id, local-hostname
 *     user-data       "#cloud-config" and JSON, which is YAML
 *     network-config  version 2, by MAC address
 *
 * Source. cloud-init, "NoCloud", "Networking Config Version 2", "Phone Home". */
#ifndef FIRSTBOOT_NOCLOUD_H
#define FIRSTBOOT_NOCLOUD_H 1

#include "base/buf.h"
#include "base/uuid.h"

#define NOCLOUD_MAX_CARDS 32
#define NOCLOUD_MAX_TEXTS 64 /* Of each list. */

/* NULL-ended lists of borrowed text; NULL: none. */
struct nocloud_card {
    const char *mac;              /* "52:54:00:..", lower case. */
    const char *const *addresses; /* "192.0.2.5/24", "2001:db8::5/64"; none: DHCP. */
    const char *gateway4, *gateway6;
    const char *const *dns;
};

struct nocloud {
    struct uuid instance; /* Another one makes cloud-init run anew. */
    const char *hostname; /* "web1" or "web1.example.org". */
    const char *user;     /* NULL: the image's own default user. */
    const char *const *ssh_keys;
    const char *password_hash; /* crypt(5); NULL: no login by password. */
    const struct nocloud_card *cards;
    size_t n_cards;
    const char *done_url;  /* Called by POST when it is done; NULL: nobody. */
    const char *user_data; /* Instead of what would be made; NULL. */
};

/* Refuses what cloud-init would stumble over, or what could be taken for something else: control characters, a
 * host name that is none, a hash that is none.  ERR_SYNTAX with the field's name. */
struct err *nocloud_check(const struct nocloud *) MUST_CHECK;
/* The three texts. */
void nocloud_texts(const struct nocloud *, struct buf *ret_meta, struct buf *ret_user,
                   struct buf *ret_network);
/* Checks, and makes the whole image. */
struct err *nocloud_iso(const struct nocloud *, struct buf *ret) MUST_CHECK;

#endif /* firstboot/nocloud.h */
