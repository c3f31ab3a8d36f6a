/* web/install.h: answers POST /install/KEY: a guest tells that its system is installed.
 *
 * The key is the whole proof; the database holds its SHA-256 (or the key itself, until the first-boot
 * disk is made), as secret that vm.opkey names.  One transaction takes the key away, so it works
 * once; when no reboot is expected any more it sets vm.osinstalled.  A key that was used and one that
 * never was are answered alike: 404.
 * Limits. INSTALL_OPEN_MAX at once (503), INSTALL_PER_S a second with bursts of INSTALL_BURST (429). */
#ifndef WEB_INSTALL_H
#define WEB_INSTALL_H 1

#include "base/base.h"

#define INSTALL_PATH "/install/"
#define INSTALL_OPEN_MAX 64
#define INSTALL_PER_S 20
#define INSTALL_BURST 100
#define INSTALL_TIMEOUT_MS 10000

struct loop;
struct install;
struct http_request;
struct session_io;

/* The session is borrowed. */
struct install *install_new(struct loop *, struct session_io *);
void install_free(struct install *); /* NULL is fine.  Nothing may be open. */
void install_ask(struct install *, struct http_request *, const char *key);
void install_forget(struct install *, struct http_request *); /* It is gone. */

#endif /* web/install.h */
