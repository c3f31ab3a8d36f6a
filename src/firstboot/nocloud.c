/* firstboot/nocloud.c: the texts of a NoCloud disk. */
#include "firstboot/nocloud.h"

#include <ctype.h>

#include "base/arena.h"
#include "base/str.h"
#include "json/json.h"

#define TEXT_MAX 16384

static struct err *
wrong(const char *field, const char *why)
{
    return err_wrap(err_new(ERR_SYNTAX, "%s", why), "%s", field);
}

/* A line of text. */
static struct err *
check_line(const char *field, const char *text)
{
    size_t n = text ? strlen(text) : 0;
    if (n > TEXT_MAX) {
        return wrong(field, "it is too long");
    } else if (n && !str_is_utf8(text, n)) {
        return wrong(field, "it is no UTF-8");
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char) text[i] < ' ' || text[i] == 127) {
            return wrong(field, "it has a control character");
        }
    }
    return NULL;
}

/* RFC 1123. */
static bool
is_hostname(const char *name)
{
    size_t label = 0, n = strlen(name);
    if (n == 0 || n > 253) {
        return false;
    }
    for (size_t i = 0; i <= n; i++) {
        char c = name[i];
        if (c == '.' || c == '\0') {
            if (label == 0 || name[i - 1] == '-') {
                return false;
            }
            label = 0;
        } else if (!(isalnum((unsigned char) c) || (c == '-' && label > 0)) ||
                   ++label > 63) {
            return false;
        }
    }
    return true;
}

static bool
is_user(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return n > 0 && n <= 32 && name[n] == '\0' &&
           (islower((unsigned char) name[0]) || name[0] == '_');
}

static struct err *
check_lines(const char *field, const char *const *texts)
{
    for (size_t i = 0; texts && texts[i]; i++) {
        if (i >= NOCLOUD_MAX_TEXTS) {
            return wrong(field, "too many");
        }
        TRY(check_line(field, texts[i]));
    }
    return NULL;
}

static struct err *
check_card(const struct nocloud_card *card)
{
    if (!card->mac || strlen(card->mac) != 17 ||
        strspn(card->mac, "0123456789abcdef:") != 17) {
        return wrong("card", "its MAC address is none");
    }
    TRY(check_lines("address", card->addresses));
    TRY(check_lines("name server", card->dns));
    TRY(check_line("gateway", card->gateway4));
    return check_line("gateway", card->gateway6);
}

struct err *
nocloud_check(const struct nocloud *n)
{
    if (!n->hostname || !is_hostname(n->hostname)) {
        return wrong("host name",
                     "it is none: letters, digits and -, parts with dots between");
    } else if (n->user && !is_user(n->user)) {
        return wrong("user", "it is no user's name: small letters, digits, _ and -");
    } else if (n->password_hash &&
               (n->password_hash[0] != '$' || strpbrk(n->password_hash, " :\n"))) {
        return wrong("password", "it must be a hash as crypt(5) makes them");
    } else if (n->n_cards > NOCLOUD_MAX_CARDS) {
        return wrong("cards", "too many");
    } else if (n->user_data && strlen(n->user_data) > TEXT_MAX * 4) {
        return wrong("user data", "it is too long");
    }
    TRY(check_lines("SSH key", n->ssh_keys));
    TRY(check_line("URL", n->done_url));
    for (size_t i = 0; i < n->n_cards; i++) {
        TRY(check_card(&n->cards[i]));
    }
    return NULL;
}

static struct json
list_of(struct arena *a, const char *const *texts)
{
    struct json list = json_array();
    for (size_t i = 0; texts && texts[i]; i++) {
        json_add(a, &list, json_string_ref(texts[i]));
    }
    return list;
}

static void
make_meta(struct arena *a, const struct nocloud *n, struct json *out)
{
    *out = json_object();
    json_put(a, out, "instance-id", json_string(a, UUID_TEXT(&n->instance)));
    json_put(a, out, "local-hostname", json_string_ref(n->hostname));
}

static void
make_user(struct arena *a, const struct nocloud *n, struct json *out)
{
    struct json user = json_object(), users = json_array(), home = json_object();
    const char *dot = strchr(n->hostname, '.');

    *out = json_object();
    json_put(a, out, "hostname",
             dot ? json_stringf(a, "%.*s", (int) (dot - n->hostname), n->hostname)
                 : json_string_ref(n->hostname));
    if (dot) {
        json_put(a, out, "fqdn", json_string_ref(n->hostname));
    }
    json_put(a, out, "manage_etc_hosts", json_bool(true));
    json_put(a, out, "ssh_pwauth", json_bool(n->password_hash != NULL));
    if (n->user) {
        json_put(a, &user, "name", json_string_ref(n->user));
        json_put(a, &user, "shell", json_string_ref("/bin/bash"));
        json_put(a, &user, "sudo", json_string_ref("ALL=(ALL) NOPASSWD:ALL"));
        json_put(a, &user, "lock_passwd", json_bool(!n->password_hash));
        if (n->password_hash) {
            json_put(a, &user, "passwd", json_string_ref(n->password_hash));
        }
        json_put(a, &user, "ssh_authorized_keys", list_of(a, n->ssh_keys));
        json_add(a, &users, user);
        json_put(a, out, "users", users);
    } else {
        json_put(a, out, "ssh_authorized_keys", list_of(a, n->ssh_keys));
        if (n->password_hash) {
            json_put(a, out, "password", json_string_ref(n->password_hash));
            struct json change = json_object();
            json_put(a, &change, "expire", json_bool(false));
            json_put(a, out, "chpasswd", change);
        }
    }
    if (n->done_url) {
        json_put(a, &home, "url", json_string_ref(n->done_url));
        json_put(a, &home, "post",
                 list_of(a, (const char *const[]){ "instance_id", "hostname", NULL }));
        json_put(a, &home, "tries", json_int(10));
        json_put(a, out, "phone_home", home);
    }
}

static struct json
route(struct arena *a, const char *to, const char *via)
{
    struct json r = json_object();
    json_put(a, &r, "to", json_string_ref(to));
    json_put(a, &r, "via", json_string_ref(via));
    return r;
}

static struct json
card_json(struct arena *a, const struct nocloud_card *card)
{
    struct json out = json_object(), match = json_object(), routes = json_array(),
                servers = json_object();
    bool fixed = card->addresses && card->addresses[0];

    json_put(a, &match, "macaddress", json_string_ref(card->mac));
    json_put(a, &out, "match", match);
    json_put(a, &out, "dhcp4", json_bool(!fixed));
    if (!fixed) {
        return out;
    }
    json_put(a, &out, "addresses", list_of(a, card->addresses));
    if (card->gateway4) {
        json_add(a, &routes, route(a, "0.0.0.0/0", card->gateway4));
    }
    if (card->gateway6) {
        json_add(a, &routes, route(a, "::/0", card->gateway6));
    }
    if (routes.n) {
        json_put(a, &out, "routes", routes);
    }
    if (card->dns && card->dns[0]) {
        json_put(a, &servers, "addresses", list_of(a, card->dns));
        json_put(a, &out, "nameservers", servers);
    }
    return out;
}

static void
make_network(struct arena *a, const struct nocloud *n, struct json *out)
{
    struct json cards = json_object();
    *out = json_object();
    json_put(a, out, "version", json_int(2));
    for (size_t i = 0; i < n->n_cards; i++) {
        json_put(a, &cards, arena_printf(a, "card%zu", i), card_json(a, &n->cards[i]));
    }
    json_put(a, out, "ethernets", cards);
}

void
nocloud_texts(const struct nocloud *n, struct buf *ret_meta, struct buf *ret_user,
              struct buf *ret_network)
{
    CLEANUP(arena_done) struct arena a = ARENA_INIT;
    struct json meta, user, network;

    make_meta(&a, n, &meta);
    make_network(&a, n, &network);
    json_print(&meta, JSON_PRETTY, ret_meta);
    buf_char(ret_meta, '\n');
    json_print(&network, JSON_PRETTY, ret_network);
    buf_char(ret_network, '\n');
    if (n->user_data) {
        buf_str(ret_user, n->user_data);
        return;
    }
    make_user(&a, n, &user);
    buf_str(ret_user, "#cloud-config\n");
    json_print(&user, JSON_PRETTY, ret_user);
    buf_char(ret_user, '\n');
}
