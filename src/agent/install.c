/* agent/install.c: machines whose system is not installed yet: those with a one-time key (vm.opkey).
 *
 * Before the first start the disk of room firstboot is made: DIR/firstboot/UUID.iso, 0600, because it
 * holds a key and a password's hash.  As soon as it is there the key in the database becomes its
 * SHA-256: enough to know it again.  When the key is gone (byre-webd took it) so is the disk.
 * Reboots that belong to the installation are counted as libvirt tells of them.  Without
 * cluster.install_url nobody can report: then the first reboot or stop is the end. */
#define LOG_MODULE "install"
#include "agent/install_i.h"

#include <errno.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "data/istring.h"
#include "digest/digest.h"
#include "firstboot/nocloud.h"
#include "model/network.h"
#include "virt/hot.h"

#define HASHED "sha256:"
#define CARDS_MAX NOCLOUD_MAX_CARDS
#define ADDRESSES_MAX 16

/* All that a disk is made of, in one arena. */
struct making {
    struct agent *agent;
    const struct row_vm *row;
    struct arena arena;
    struct nocloud_card cards[CARDS_MAX];
    size_t n_cards;
};

static bool
has_disk(const struct row_vm *row)
{
    const struct row_vmi *vmi = row_vm_get_vmi(row);
    return !uuid_is_zero(&row->opkey) && vmi && vmi->cloud_init;
}

static bool
is_installer(const struct row_vmi *vmi)
{
    return vmi && str_eq(vmi->kind, "installer") && !uuid_is_zero(&vmi->kernel);
}

static const char *
install_url(struct agent *a)
{
    ROW_FOR_EACH (struct row_cluster, cluster, row_cluster_table(a->replica)) {
        return cluster->install_url;
    }
    return NULL;
}

/* "192.0.2.5/24": the address with the length of its network's prefix. */
static const char *
with_prefix(struct making *m, const char *address, const struct row_network *network)
{
    bool is_6 = strchr(address, ':') != NULL;
    const char *subnet = is_6 ? network->subnet6 : network->subnet;
    const char *slash = subnet ? strchr(subnet, '/') : NULL;
    return arena_printf(&m->arena, "%s%s", address, slash ? slash : is_6 ? "/64" : "/24");
}

/* Cards in networks with DHCP ask for their address; others are told. */
static void
add_card(struct making *m, const struct row_iface *iface)
{
    const struct row_network *network = row_iface_get_network(iface);
    struct nocloud_card *card = &m->cards[m->n_cards++];
    *card = (struct nocloud_card){ .mac = iface->mac };
    if (!network || network->dhcp || !network->subnet) {
        return;
    }
    const char *const *plain = model_iface_addresses(iface, &m->arena);
    const char **addresses =
        arena_zalloc(&m->arena, (ADDRESSES_MAX + 1) * sizeof *addresses);
    for (size_t i = 0; plain[i] && i < ADDRESSES_MAX; i++) {
        addresses[i] = with_prefix(m, plain[i], network);
    }
    const char **dns = arena_zalloc(&m->arena, (NOCLOUD_MAX_TEXTS + 1) * sizeof *dns);
    for (size_t i = 0; i < network->dns.n && i < NOCLOUD_MAX_TEXTS; i++) {
        dns[i] = network->dns.v[i].string->s;
    }
    card->addresses = addresses;
    card->gateway4 = network->gateway;
    card->gateway6 = network->gateway6;
    card->dns = dns;
}

/* A host name from a machine's name, which may have what no host name has. */
static const char *
hostname_of(struct making *m)
{
    if (m->row->domain && *m->row->domain) {
        return m->row->domain;
    }
    char *name = arena_str(&m->arena, m->row->name);
    for (char *p = name; *p; p++) {
        *p = *p == '_' ? '-' : *p;
    }
    return name;
}

static MUST_CHECK struct err *
make_image(struct making *m, const char *key, struct buf *ret)
{
    const struct row_vm *row = m->row;
    const struct row_secret *password = row_vm_get_guest_password(row);
    const char *url = install_url(m->agent);
    const char **keys = arena_zalloc(&m->arena, (row->guest_keys.n + 1) * sizeof *keys);

    for (size_t i = 0; i < row->guest_keys.n; i++) {
        keys[i] = row->guest_keys.v[i].string->s;
    }
    const struct row_iface *ifaces[CARDS_MAX];
    size_t n = model_vm_ifaces(row, ifaces, CARDS_MAX);
    for (size_t i = 0; i < n && i < CARDS_MAX; i++) {
        add_card(m, ifaces[i]);
    }
    struct nocloud disk = {
        .instance = model_vm_uuid(row),
        .hostname = hostname_of(m),
        .user = row->guest_user,
        .ssh_keys = keys,
        .password_hash = password && password->value ? password->value : NULL,
        .cards = m->cards,
        .n_cards = m->n_cards,
        .done_url = url && *url ? arena_printf(&m->arena, "%s/install/%s", url, key) : NULL,
    };
    return nocloud_iso(&disk, ret);
}

static MUST_CHECK struct err *
make_disk(struct agent *a, const struct row_vm *row, const char *path, const char *key)
{
    struct making m = { .agent = a, .row = row, .arena = ARENA_INIT };
    CLEANUP(buf_done) struct buf image = BUF_INIT;
    struct err *e = make_image(&m, key, &image);
    e = e ? e : fs_mkdirs(a->firstboot_dir, 0711);
    e = e ? e : fs_write_atomic(path, image.data, image.n, 0600);
    arena_done(&m.arena);
    return e;
}

static void
hash_key(struct agent *a, const struct row_vm *row, const struct row_secret *secret)
{
    char sum[DIGEST_CHARS + 1];
    struct txn *txn = txn_new(replica_database(a->replica));
    CLEANUP(free_drop) char *value = NULL;

    digest_of(secret->value, strlen(secret->value), sum);
    value = str_dupf(HASHED "%s", sum);
    txn_verify(txn, &row->base, "opkey");
    txn_set_string(txn_update(txn, "secret", &secret->base.uuid), "value", value);
    txn_comment(txn, "byre-agentd: %s has its first-boot disk", row->name);
    txn_commit(txn, replica_session(a->replica), NULL, NULL);
}

static char *
failure_text(struct err *e)
{
    e = err_wrap(e, "the first-boot disk cannot be made");
    char *text = error_text(e);
    err_free(e);
    return text;
}

char *
install_pass(struct agent *a, struct vm_obj *obj, const struct row_vm *row)
{
    struct uuid domain = model_vm_uuid(row);
    bool wanted = has_disk(row) && !str_eq(row->state, "deleted");
    const struct row_secret *secret = wanted ? row_vm_get_opkey(row) : NULL;

    if (obj->firstboot == FIRSTBOOT_NONE && !wanted) {
        return NULL; /* Nearly always. */
    }
    CLEANUP(free_drop) char *path = model_vm_firstboot(a->firstboot_dir, &domain);
    if (obj->firstboot == FIRSTBOOT_UNKNOWN) {
        obj->firstboot = access(path, F_OK) == 0 ? FIRSTBOOT_THERE : FIRSTBOOT_NONE;
    }
    if (!wanted) {
        install_forget(a, &domain);
        obj->firstboot = FIRSTBOOT_NONE;
        return NULL;
    } else if (!secret || !secret->value) {
        return NULL; /* It was used this moment. */
    }
    bool is_plain = digest_is_text(secret->value);
    if (obj->firstboot == FIRSTBOOT_NONE && !is_plain) {
        return failure_text(
            err_hint(err_new(ERR_NOT_FOUND, "it is gone, and its key is not kept"),
                     "make the machine anew"));
    } else if (obj->firstboot == FIRSTBOOT_NONE) {
        struct err *e = make_disk(a, row, path, secret->value);
        if (e) {
            return failure_text(
                err_hint(e, "correct what it names: byre vm set %s ...", row->name));
        }
        obj->firstboot = FIRSTBOOT_THERE;
        log_info("%s: its first-boot disk is made", row->name);
    }
    if (is_plain && obj->hashed_ms + HASH_AGAIN_MS <= agent_now_ms(a)) {
        obj->hashed_ms = agent_now_ms(a);
        hash_key(a, row, secret);
    }
    return NULL;
}

void
install_forget(struct agent *a, const struct uuid *domain)
{
    CLEANUP(free_drop) char *path = model_vm_firstboot(a->firstboot_dir, domain);
    if (unlink(path) < 0 && errno != ENOENT) {
        log_failure(LOG_WARN, LOG_MODULE, err_io(errno, "remove %s", path));
    }
}

/* One reboot fewer to come; it is installed when nothing is left to wait for. */
static void
count_reboot(struct agent *a, const struct row_vm *row, bool ends_here)
{
    struct txn *txn = txn_new(replica_database(a->replica));
    struct txn_row *out = txn_update(txn, "vm", &row->base.uuid);
    int64_t left = max64(row->needrebootcount.v - 1, 0);

    txn_verify(txn, &row->base, "needrebootcount");
    txn_verify(txn, &row->base, "opkey");
    txn_set_int(out, "needrebootcount", ends_here ? 0 : left);
    if (ends_here && !uuid_is_zero(&row->opkey)) {
        txn_clear(out, "opkey");
        txn_delete(txn, "secret", &row->opkey);
    }
    if (ends_here || (left == 0 && uuid_is_zero(&row->opkey))) {
        txn_set_bool(out, "osinstalled", true);
    }
    txn_comment(txn,
                "byre-agentd: %s has rebooted, its installation expects %" PRId64 " more",
                row->name, ends_here ? 0 : left);
    log_info("%s: a reboot of its installation; %" PRId64 " to come", row->name,
             ends_here ? 0 : left);
    txn_commit(txn, replica_session(a->replica), NULL, NULL);
}

/* QEMU boots its -kernel again when the guest resets itself.  What an installer has put on the disk
 * shall boot now, so the machine is switched off instead; its row wants it on, without a kernel. */
struct cycle {
    struct agent *agent;
    struct uuid domain;
    char *name;
    struct err *e;
};

static void
cycle_run(void *aux)
{
    struct cycle *c = aux;
    c->e = virt_destroy(c->agent->virt, &c->domain);
}

static void
cycle_done(void *aux, bool dropped)
{
    struct cycle *c = aux;

    log_failure(LOG_INFO, LOG_MODULE,
                err_wrap(c->e, "%s: off after its installer", c->name));
    if (!dropped) {
        agent_touch(c->agent);
    }
    free(c->name);
    free(c);
}

static bool
boots_kernel(const struct agent *a, const struct row_vm *row)
{
    struct uuid domain = model_vm_uuid(row);
    const struct virt_dom *seen = host_seen(a, &domain);
    return seen && seen->live && seen->live->d.kernel;
}

static void
cycle(struct agent *a, const struct row_vm *row)
{
    struct cycle *c = NEW(struct cycle);

    log_info("%s: installed; its disk boots now", row->name);
    c->agent = a;
    c->domain = model_vm_uuid(row);
    c->name = str_dup(row->name);
    work_submit(a->work, "install", cycle_run, cycle_done, c);
}

void
install_event(struct agent *a, const struct row_vm *row, enum virt_event_kind kind)
{
    const struct row_vmi *vmi = row_vm_get_vmi(row);
    const char *url = install_url(a);
    bool is_end = kind == VIRT_EV_REBOOTED || kind == VIRT_EV_STOPPED;
    bool awaited = has_disk(row) || (!uuid_is_zero(&row->opkey) && is_installer(vmi));
    bool deaf = awaited && !(url && *url) && row->needrebootcount.v <= 1;
    bool counts = kind == VIRT_EV_REBOOTED && row->needrebootcount.v > 0;
    bool last = counts && row->needrebootcount.v == 1 && uuid_is_zero(&row->opkey);

    if (deaf && is_end) {
        count_reboot(a, row, true);
    } else if (counts) {
        count_reboot(a, row, false);
    }
    if (kind == VIRT_EV_REBOOTED && is_installer(vmi) && uuid_is_zero(&row->kernel) &&
        (row->osinstalled || deaf || last) && boots_kernel(a, row)) {
        cycle(a, row);
    }
}
