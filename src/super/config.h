/* super/config.h: byred's config file.  All of it may be left out.
 *
 *     [dbd]
 *     remotes = ptcp:6640:127.0.0.1 pssl:6641   ; besides DIR/run/db.sock
 *     private_key = /etc/byre/key.pem           ; these three for pssl
 *     certificate = /etc/byre/cert.pem
 *     ca_cert = /etc/byre/ca.pem
 *     [agent]
 *     libvirt = qemu:///system                  ; an ordinary user's default: qemu:///session
 *     stats = sqlite:/var/lib/byre/stats.db     ; or mariadb://USER@HOST/DATABASE, or none
 *     [web]
 *     listen = tcp:127.0.0.1:8080               ; default: unix:DIR/run/web.sock
 *
 * Format: INI as inih reads it, at most CONFIG_LINE_MAX bytes a line.  Anything unknown is
 * refused with its line number: a setting with a spelling mistake must not be silently off. */
#ifndef SUPER_CONFIG_H
#define SUPER_CONFIG_H 1

#include "base/base.h"
#include "base/str.h"

#define CONFIG_LINE_MAX 190 /* inih cuts at 200 without a word. */
#define CONFIG_FILE_MAX_BYTES (64 * KIB)

struct config {
    struct strvec dbd_remotes;
    char *dbd_private_key, *dbd_certificate, *dbd_ca_cert; /* NULL: not given. */
    char *agent_stats;   /* Where statistics go; NULL: the agent's default. */
    char *agent_libvirt; /* NULL: the default. */
    char *web_listen;    /* NULL: the default. */
};
#define CONFIG_INIT ((struct config){ STRVEC_INIT, NULL, NULL, NULL, NULL, NULL })

/* 'name' is that of the file, for messages.  ERR_SYNTAX with "NAME:LINE: ...". */
struct err *config_parse(const char *name, const char *text, struct config *ret) MUST_CHECK;
void config_done(struct config *); /* For CLEANUP(). */

#endif /* super/config.h */
