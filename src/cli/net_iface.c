/* cli/net_iface.c: an interface as it is typed, as rows: NET,key=value... */
#include "cli/net_i.h"

#define IPS_MAX 16

struct spec {
    const char *network, *mac, *model, *inbound, *outbound, *antispoof;
    const char *ips[IPS_MAX]; /* As typed; n_ips 0: as the network's ranges say. */
    size_t n_ips;
    bool no_ip;
};

static struct err *
spec_option(struct spec *s, const char *word)
{
    static const char *const keys[] = { "mac", "model", "inbound", "outbound",
                                        "antispoof" };
    const char **const values[] = { &s->mac, &s->model, &s->inbound, &s->outbound,
                                    &s->antispoof };
    const char *equals = strchr(word, '=');
    size_t n = equals ? (size_t) (equals - word) : 0;

    for (size_t i = 0; i < N_ELEMS(keys); i++) {
        if (n == strlen(keys[i]) && memcmp(word, keys[i], n) == 0) {
            *values[i] = equals + 1;
            return NULL;
        }
    }
    if (str_eq(word, "ip=none")) {
        s->no_ip = true;
    } else if (str_starts(word, "ip=") && s->n_ips < N_ELEMS(s->ips)) {
        s->ips[s->n_ips++] = word + strlen("ip=");
    } else {
        return err_hint(err_new(ERR_SYNTAX, "\"%s\" says nothing about an interface", word),
                        "mac=, ip=, model=, inbound=, outbound=, antispoof=");
    }
    return NULL;
}

static struct err *
put_limit(struct cli *cli, const char *name, const char *text, struct json *row)
{
    int64_t kib;

    if (!text) {
        return NULL;
    } else if (!str_to_i64(text, &kib) || kib < 1) {
        return err_hint(err_new(ERR_SYNTAX, "%s=%s is no limit", name, text),
                        "KiB a second, as %s=10240", name);
    }
    json_put(&cli->arena, row, name, json_int(kib));
    return NULL;
}

static struct err *
iface_row(struct cli *cli, const struct spec *s, const struct uuid *vm,
          const struct uuid *network, struct json *row)
{
    static const char *const models[] = { "virtio", "e1000", "e1000e", "rtl8139" };
    struct arena *a = &cli->arena;
    uint8_t mac[NET_MAC_BYTES];
    char text[NET_MAC_CHARS + 1];
    bool known = !s->model;

    if (s->mac && !net_mac_parse(s->mac, mac)) {
        return err_hint(err_new(ERR_SYNTAX, "mac=%s is no MAC address of one host", s->mac),
                        "as mac=52:12:34:56:78:9a; without one, one is made");
    }
    for (size_t i = 0; i < N_ELEMS(models); i++) {
        known |= str_eq(s->model, models[i]);
    }
    if (!known) {
        return err_hint(err_new(ERR_SYNTAX, "there is no model \"%s\"", s->model),
                        "one of: virtio, e1000, e1000e, rtl8139");
    }
    *row = json_object();
    json_put(a, row, "vm", q_uuid(a, vm));
    json_put(a, row, "network", q_uuid(a, network));
    if (s->mac) {
        net_mac_format(mac, text);
    }
    json_put(a, row, "mac",
             s->mac ? json_string(a, text) : json_string_ref(net_new_mac(cli)));
    if (s->model) {
        json_put(a, row, "model", json_string(a, s->model));
    }
    if (s->antispoof && !str_eq(s->antispoof, "on") && !str_eq(s->antispoof, "off")) {
        return err_hint(err_new(ERR_SYNTAX, "antispoof=%s says nothing", s->antispoof),
                        "antispoof=on or antispoof=off");
    } else if (s->antispoof) {
        json_put(a, row, "antispoof", json_bool(str_eq(s->antispoof, "on")));
    }
    TRY(put_limit(cli, "inbound", s->inbound, row));
    return put_limit(cli, "outbound", s->outbound, row);
}

static struct err *
give_addresses(struct cli *cli, const struct spec *s, const struct uuid *network,
               const struct uuid *vm, const struct uuid *iface, const char **ret_primary)
{
    for (size_t i = 0; i < s->n_ips; i++) {
        struct net_state n; /* Loaded again: the one before counts too. */
        const char *address;
        TRY(net_state_load(cli, network, &n));
        TRY(net_give_this(cli, &n, s->ips[i], vm, iface, &address));
        *ret_primary = *ret_primary ? *ret_primary : address;
    }
    for (int v6 = 0; v6 < 2 && s->n_ips == 0 && !s->no_ip; v6++) {
        struct net_state n;
        const char *address;
        TRY(net_state_load(cli, network, &n));
        if (net_has_range(&n, v6)) {
            TRY(net_give(cli, &n, v6, vm, iface, &address));
            *ret_primary = *ret_primary ? *ret_primary : address;
        }
    }
    return NULL;
}

static struct err *
add(struct cli *cli, const struct uuid *vm, const struct spec *s, const char **ret_primary)
{
    struct named network;
    struct uuid iface;
    struct json row;

    TRY(names_find(cli, "network", s->network, "deleted", &network));
    if (row_bool(network.row, "deleted")) {
        return err_new(ERR_CONSTRAINT, "network %s is being deleted", network.label);
    }
    TRY(iface_row(cli, s, vm, &network.uuid, &row));
    net_unless_deleted(cli, &network.uuid);
    uuid_random(&iface);
    change_insert_as(cli, "iface", &iface, row);
    if (!s->mac) {
        net_mac_may_change(cli);
    }
    return give_addresses(cli, s, &network.uuid, vm, &iface, ret_primary);
}

struct err *
net_add_iface(struct cli *cli, const struct uuid *vm, const char *text,
              const char **ret_primary)
{
    struct strvec words = STRVEC_INIT;
    struct spec s = { .network = NULL };
    const char *primary = NULL;

    strvec_split(&words, text, ",");
    struct err *e = words.n ? NULL : err_new(ERR_SYNTAX, "no network is named");
    for (size_t i = 1; i < words.n && !e; i++) {
        e = spec_option(&s, words.v[i]);
    }
    if (!e) {
        s.network = words.v[0];
        e = add(cli, vm, &s, &primary);
    }
    strvec_done(&words);
    if (ret_primary) {
        *ret_primary = primary;
    }
    return e;
}
