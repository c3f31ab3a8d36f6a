/* cli/xm_create.c: `xm create` and `xm new`: a vm.cfg becomes rows.
 *
 * The file is read by room import, which parses literals and evaluates nothing.  What it says becomes the rows that
 * `vm create` would make; a disk whose file is a volume of a pool becomes that volume, any other file is attached where
 * it lies.  What has no counterpart is named, and never dropped in silence. */
#include "base/fs.h"
#include "cli/xm_i.h"
#include "cli/vm_i.h"
#include "import/vmcfg.h"

#define CONFIG_DIR "/etc/xen/"
#define MAC_PREFIX "52:54:00"

struct making {
    struct vmcfg cfg;
    const char *path;
    struct uuid row, node;
    bool used[26]; /* Letters of targets. */
};

/* "key=value" behind the file's name: as if it stood at the end of the file. */
static struct err *
add_variable(struct buf *text, const char *word)
{
    const char *equals = strchr(word, '=');
    const char *value = equals + 1;
    if (strpbrk(value, "'\\\n")) {
        return err_new(ERR_SYNTAX, "%s: quotes belong into the file", word);
    }
    bool is_list = value[0] == '[';
    buf_printf(text, "\n%.*s = %s%s%s\n", (int) (equals - word), word, is_list ? "" : "'",
               value, is_list ? "" : "'");
    return NULL;
}

static struct err *
read_config(struct cli *cli, const struct xm_args *args, struct making *m)
{
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct json object;
    m->path = xm_get(args, "defconfig");
    for (size_t i = 0; i < args->pos.n && !m->path; i++) {
        m->path = strchr(args->pos.v[i], '=') ? NULL : args->pos.v[i];
    }
    if (xm_get(args, "config")) {
        return err_hint(err_new(ERR_UNSUPPORTED, "-F: SXP is not read"),
                        "give a file in the syntax of xmdomain.cfg(5)");
    } else if (!m->path) {
        return err_new(ERR_SYNTAX, "no configuration file was given");
    } else if (!strchr(m->path, '/') && !fs_exists(m->path)) {
        m->path = arena_printf(&cli->arena, CONFIG_DIR "%s", m->path);
    }
    struct err *e = fs_read(m->path, PYLITERAL_MAX_BYTES, &text);
    if (e) {
        err_free(e);
        return err_new(ERR_NOT_FOUND, "Unable to open config file: %s", m->path);
    }
    if (!xm_has(args, "quiet")) {
        printf("Using config file \"%s\".\n", m->path);
        fflush(stdout);
    }
    for (size_t i = 0; i < args->pos.n; i++) {
        if (strchr(args->pos.v[i], '=')) {
            TRY(add_variable(&text, args->pos.v[i]));
        }
    }
    TRY(pyliteral_file(&cli->arena, m->path, text.data, text.n, &object));
    TRY(err_wrap(vmcfg_read(&cli->arena, &object, &m->cfg), "%s", m->path));
    for (size_t i = 0; i < m->cfg.warnings.n; i++) {
        fprintf(stderr, "Warning: %s\n", m->cfg.warnings.v[i]);
    }
    return NULL;
}

/* The volume whose file that is; *ret_found false: none of any pool. */
static struct err *
volume_at(struct cli *cli, const char *path, struct uuid *ret, bool *ret_found)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), where = json_array(), results;
    json_add(a, &where, q_clause(a, "filepath", "==", json_string(a, path)));
    json_add(a, &ops, q_select(a, "volume", where, "_uuid"));
    TRY(db_transact(cli, &ops, &results));
    *ret_found = q_rows(&results, 0)->n > 0;
    if (*ret_found) {
        *ret = row_uuid(&q_rows(&results, 0)->elems[0]);
    }
    return NULL;
}

/* xvda is vda for who has drivers for it, else sda; a CD is on SATA.  Letters stay, unless two devices want one. */
static const char *
target_of(struct cli *cli, struct making *m, const struct vmcfg_disk *disk, bool sata)
{
    size_t n = strlen(disk->target);
    size_t letter = n > 2 && disk->target[2] >= 'a' && disk->target[2] <= 'z'
                        ? (size_t) (disk->target[2] - 'a')
                        : 0;
    if (n > 3 && str_starts(disk->target, "xvd") && disk->target[3] >= 'a' &&
        disk->target[3] <= 'z') {
        letter = (size_t) (disk->target[3] - 'a');
    }
    while (m->used[letter]) {
        letter = (letter + 1) % N_ELEMS(m->used);
    }
    m->used[letter] = true;
    return arena_printf(&cli->arena, "%cd%c", sata ? 's' : 'v', (int) ('a' + letter));
}

static struct err *
add_disk(struct cli *cli, struct making *m, const struct vmcfg_disk *disk, int boot_order)
{
    struct arena *a = &cli->arena;
    struct json row = json_object();
    struct uuid volume;
    bool found = false;
    bool sata = disk->cdrom || m->cfg.domain == VMCFG_HVM;
    json_put(a, &row, "vm", q_uuid(a, &m->row));
    json_put(a, &row, "type", json_string_ref(disk->cdrom ? "cdrom" : "disk"));
    json_put(a, &row, "controller", json_string_ref(sata ? "sata" : "virtio"));
    json_put(a, &row, "targetdev", json_string_ref(target_of(cli, m, disk, sata)));
    json_put(a, &row, "readonly", json_bool(disk->readonly || disk->cdrom));
    json_put(a, &row, "shareable", json_bool(disk->shared));
    json_put(a, &row, "info", json_stringf(a, "was %s", disk->target));
    if (boot_order) {
        json_put(a, &row, "boot_order", json_int(boot_order));
    }
    if (disk->scheme != VMCFG_EMPTY) {
        TRY(volume_at(cli, disk->path, &volume, &found));
        if (found) {
            json_put(a, &row, "volume", q_uuid(a, &volume));
        } else if (!fs_exists(disk->path)) {
            return err_new(ERR_NOT_FOUND, "disk %s: %s does not exist.", disk->target,
                           disk->path);
        } else {
            json_put(a, &row, "filepath", json_string(a, disk->path));
        }
    }
    change_insert(cli, "device", row, NULL);
    return NULL;
}

/* "cd": disks before CDs.  n, the network, has no order of its own here. */
static struct err *
add_disks(struct cli *cli, struct making *m)
{
    const char *boot = m->cfg.boot ? m->cfg.boot : "c";
    int order = 0, orders[VMCFG_MAX_DEVICES] = { 0 };
    for (; *boot; boot++) {
        for (size_t i = 0; i < m->cfg.n_disks; i++) {
            bool meant = (*boot == 'c' && !m->cfg.disks[i].cdrom) ||
                         (*boot == 'd' && m->cfg.disks[i].cdrom);
            if (meant && !orders[i]) {
                orders[i] = ++order;
            }
        }
    }
    for (size_t i = 0; i < m->cfg.n_disks; i++) {
        TRY(add_disk(cli, m, &m->cfg.disks[i], orders[i]));
    }
    return NULL;
}

/* By its name, or by the bridge that it is; without a name the main one. */
static struct err *
network_of(struct cli *cli, const struct vmcfg_vif *vif, struct uuid *ret)
{
    struct arena *a = &cli->arena;
    struct json ops = json_array(), results;
    json_add(a, &ops, q_select(a, "network", json_array(), "_uuid,name,bridge,main"));
    TRY(db_transact(cli, &ops, &results));
    const struct json *rows = q_rows(&results, 0);
    for (uint32_t i = 0; i < rows->n; i++) {
        const struct json *row = &rows->elems[i];
        bool meant = vif->bridge ? str_eq(row_string(row, "bridge"), vif->bridge) ||
                                       str_eq(row_string(row, "name"), vif->bridge)
                                 : row_bool(row, "main");
        if (meant) {
            *ret = row_uuid(row);
            return NULL;
        }
    }
    struct err *e =
        vif->bridge
            ? err_new(ERR_NOT_FOUND, "vif: there is no network with bridge %s", vif->bridge)
            : err_new(ERR_NOT_FOUND, "vif: it names no bridge, and no network "
                                     "is the main one");
    return err_hint(e, "make one (byre help network), or take the vif out of the file");
}

static struct err *
add_vif(struct cli *cli, struct making *m, const struct vmcfg_vif *vif)
{
    static const char *const models[] = { "virtio", "e1000", "e1000e", "rtl8139" };
    struct arena *a = &cli->arena;
    struct json row = json_object();
    struct uuid network, dice;
    const char *model = m->cfg.domain == VMCFG_HVM ? "rtl8139" : "virtio";
    for (size_t i = 0; i < N_ELEMS(models); i++) {
        model = str_eq(vif->model, models[i]) ? models[i] : model;
    }
    if (vif->model && !str_eq(vif->model, model)) {
        fprintf(stderr, "Warning: vif model %s: there is no such card, it is %s\n",
                vif->model, model);
    }
    uuid_random(&dice);
    TRY(network_of(cli, vif, &network));
    json_put(a, &row, "vm", q_uuid(a, &m->row));
    json_put(a, &row, "network", q_uuid(a, &network));
    json_put(a, &row, "mac",
             vif->mac ? json_string(a, vif->mac)
                      : json_stringf(a, MAC_PREFIX ":%02x:%02x:%02x", dice.b[0], dice.b[1],
                                     dice.b[2]));
    json_put(a, &row, "model", json_string_ref(model));
    json_put(a, &row, "antispoof", json_bool(false)); /* As Xen's bridges are. */
    change_insert(cli, "iface", row, NULL);
    return NULL;
}

/* A PV machine's kernel lies on the host; here it must be a volume. */
static struct err *
put_boot_file(struct cli *cli, const char *column, const char *path, struct json *row)
{
    struct uuid volume;
    bool found;
    TRY(volume_at(cli, path, &volume, &found));
    if (!found) {
        return err_hint(err_new(ERR_NOT_FOUND, "%s %s is in no pool", column, path),
                        "put it into one: byre vol upload POOL/NAME FILE");
    }
    json_put(&cli->arena, row, column, q_uuid(&cli->arena, &volume));
    return NULL;
}

static void
put_text(struct cli *cli, const char *column, const char *text, struct json *row)
{
    if (text && *text) {
        json_put(&cli->arena, row, column, json_string(&cli->arena, text));
    }
}

static struct err *
put_machine(struct cli *cli, struct making *m, struct json *row)
{
    const struct vmcfg *c = &m->cfg;
    struct arena *a = &cli->arena;
    struct uuid uuid = c->uuid;
    if (!c->has_uuid) {
        uuid_random(&uuid);
    }
    json_put(a, row, "name", json_string(a, c->name));
    json_put(a, row, "uuid", q_uuid(a, &uuid));
    json_put(a, row, "hostnode", q_uuid(a, &m->node));
    json_put(a, row, "mem", json_int(c->memory_mib));
    json_put(a, row, "vcpu", json_int(c->vcpus));
    if (c->max_memory_mib > c->memory_mib) {
        json_put(a, row, "mem_max", json_int(c->max_memory_mib));
    }
    if (c->max_vcpus > c->vcpus) {
        json_put(a, row, "vcpu_max", json_int(c->max_vcpus));
    }
    if (c->weight) {
        json_put(a, row, "cputune", json_int(vmcfg_shares(c->weight)));
    }
    if (c->cap_percent) {
        json_put(a, row, "cpu_cap", json_int(c->cap_percent));
    }
    put_text(cli, "cpuset", c->cpus, row);
    put_text(cli, "on_poweroff", c->on_poweroff, row);
    put_text(cli, "on_reboot", c->on_reboot, row);
    put_text(cli, "on_crash", c->on_crash, row);
    put_text(cli, "description", c->description ? c->description : c->simple_name, row);
    json_put(a, row, "high_availability", json_bool(c->high_availability));
    json_put(a, row, "display", json_string_ref(c->vnc ? "vnc" : "none"));
    json_put(a, row, "imported", json_bool(true));
    json_put(a, row, "generation", json_int(1));
    vm_put_asked(cli, row);
    if (c->kernel && c->domain == VMCFG_PV) { /* An HVM machine's is its BIOS. */
        TRY(put_boot_file(cli, "kernel", c->kernel, row));
        if (c->ramdisk) {
            TRY(put_boot_file(cli, "initrd", c->ramdisk, row));
        }
        put_text(cli, "cmdline", c->extra, row);
    }
    return NULL;
}

static struct err *
add_all(struct cli *cli, struct making *m, const char *state)
{
    struct json row = json_object();
    TRY(fail_unless_name("domain", m->cfg.name));
    uuid_random(&m->row);
    TRY(put_machine(cli, m, &row));
    json_put(&cli->arena, &row, "state", json_string_ref(state));
    TRY(add_disks(cli, m));
    for (size_t i = 0; i < m->cfg.n_vifs; i++) {
        TRY(add_vif(cli, m, &m->cfg.vifs[i]));
    }
    change_insert_as(cli, "vm", &m->row, row);
    change_await(cli, GOAL_APPLIED, "vm", &m->row, 1,
                 arena_printf(&cli->arena, "vm %s", m->cfg.name), state);
    TRY(change_commit(cli));
    return change_wait(cli);
}

/* A name that is there: what is off is what an earlier create left, and goes on as its row says by now. */
static struct err *
start_again(struct cli *cli, const struct named *vm, bool paused)
{
    if (row_int(vm->row, "domid", -1) >= 0) {
        return err_new(ERR_EXISTS,
                       "Domain with name '%s' already exists with ID '%" PRId64 "'",
                       vm->label, row_int(vm->row, "domid", 0));
    }
    fprintf(stderr,
            "Warning: %s is known already: it is started as Byre has it, the file is not "
            "read again\n",
            vm->label);
    const char *words[] = { "vm", "start", arena_str(&cli->arena, UUID_TEXT(&vm->uuid)),
                            paused ? "--paused" : NULL, NULL };
    return xm_byre(cli, words);
}

static struct err *
make(struct cli *cli, const struct xm_args *args, struct making *m, bool start)
{
    struct named known;
    bool paused = xm_has(args, "paused");
    TRY(read_config(cli, args, m));
    TRY(xm_own_node(cli, &m->node));
    struct err *e = xm_find(cli, m->cfg.name, &known);
    bool exists = !e;
    if (e && !err_is(e, ERR_NOT_FOUND)) {
        return e;
    }
    err_free(e);
    cli->dry_run = xm_has(args, "dryrun");
    if (exists && !start) {
        return err_new(ERR_EXISTS, "Domain with name '%s' already exists.", m->cfg.name);
    }
    cli->change.comment = cli->as;
    TRY(exists ? start_again(cli, &known, paused)
               : add_all(cli, m,
                         !start   ? "stopped"
                         : paused ? "paused"
                                  : "running"));
    if (!start || cli->dry_run) {
        return NULL;
    }
    TRY(xm_find(cli, m->cfg.name, &known));
    if (!xm_has(args, "quiet")) {
        printf("Started domain %s (id=%" PRId64 ")\n", known.label,
               row_int(known.row, "domid", 0));
    }
    if (!xm_has(args, "console_autoconnect")) {
        return NULL;
    }
    change_done(&cli->change);
    cli->change = (struct change){ 0 };
    const char *words[] = { "vm", "console", arena_str(&cli->arena, UUID_TEXT(&known.uuid)),
                            NULL };
    return xm_byre(cli, words);
}

struct err *
xm_create(struct cli *cli, const struct xm_args *args)
{
    struct making m = { .cfg = { .warnings = STRVEC_INIT } };
    struct err *e = make(cli, args, &m, true);
    vmcfg_done(&m.cfg);
    return e;
}

struct err *
xm_new(struct cli *cli, const struct xm_args *args)
{
    struct making m = { .cfg = { .warnings = STRVEC_INIT } };
    struct err *e = make(cli, args, &m, false);
    vmcfg_done(&m.cfg);
    return e;
}
