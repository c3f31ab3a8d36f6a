/* import/vmcfg.c: keys of a vm.cfg to typed values.  Three tables say what each key is; what stands in none of them is
 * told in a warning. */
#include "import/vmcfg.h"

#include "base/buf.h"

#define WEIGHT_USUAL 27500
#define SHARES_USUAL 1024

static const char *const domain_names[] = { "xen_hvm", "xen_hvm_pv", "xen_pvm" };

/* clang-format off */
static const struct {
    const char *key;
    size_t offset;
} texts[] = {
    { "name", offsetof(struct vmcfg, name) },
    { "OVM_simple_name", offsetof(struct vmcfg, simple_name) },
    { "OVM_description", offsetof(struct vmcfg, description) },
    { "guest_os_type", offsetof(struct vmcfg, guest_os) },
    { "OVM_os_type", offsetof(struct vmcfg, os_type) },
    { "boot", offsetof(struct vmcfg, boot) },
    { "on_poweroff", offsetof(struct vmcfg, on_poweroff) },
    { "on_reboot", offsetof(struct vmcfg, on_reboot) },
    { "on_crash", offsetof(struct vmcfg, on_crash) },
    { "vnclisten", offsetof(struct vmcfg, vnc_listen) },
    { "keymap", offsetof(struct vmcfg, keymap) },
    { "kernel", offsetof(struct vmcfg, kernel) },
    { "ramdisk", offsetof(struct vmcfg, ramdisk) },
    { "extra", offsetof(struct vmcfg, extra) },
}, bools[] = {
    { "OVM_high_availability", offsetof(struct vmcfg, high_availability) },
    { "vnc", offsetof(struct vmcfg, vnc) },
    { "localtime", offsetof(struct vmcfg, localtime) },
};

static const struct {
    const char *key;
    size_t offset;
    int64_t min, max;
} numbers[] = {
    { "memory", offsetof(struct vmcfg, memory_mib), 1, 16777216 },
    { "maxmem", offsetof(struct vmcfg, max_memory_mib), 1, 16777216 },
    { "vcpus", offsetof(struct vmcfg, vcpus), 1, 4096 },
    { "maxvcpus", offsetof(struct vmcfg, max_vcpus), 1, 4096 },
    { "cpu_weight", offsetof(struct vmcfg, weight), 0, 65535 },
    { "cpu_cap", offsetof(struct vmcfg, cap_percent), 0, 409600 },
};

/* Read by code of their own, or of no meaning here. */
static const char *const others[] = { "uuid", "builder", "OVM_domain_type", "disk", "vif", "cpus", "serial", "usbdevice",
    "vncunused", "vncdisplay", "OVM_cpu_compat_group", "device_model", "acpi", "apic", "pae", "sdl", "stdvga", "shadow_memory",
    "vfb", "bootloader", "expose_host_uuid", "xen_platform_pci", "timer_mode" };
/* clang-format on */

#define MEMBER(cfg, offset, type) (*(type *) (void *) ((char *) (cfg) + (offset)))

const char *
vmcfg_domain_name(enum vmcfg_domain domain)
{
    return domain_names[domain];
}

int64_t
vmcfg_shares(int64_t weight)
{
    return weight > 0 ? max64(2, (weight * SHARES_USUAL + WEIGHT_USUAL / 2) / WEIGHT_USUAL)
                      : SHARES_USUAL;
}

void
vmcfg_done(struct vmcfg *cfg)
{
    free(cfg->disks);
    free(cfg->vifs);
    strvec_done(&cfg->warnings);
    memset(cfg, 0, sizeof *cfg);
}

static struct err *
wrong(const char *key, const char *wanted)
{
    return err_wrap(
        err_hint(err_new(ERR_SYNTAX, "must be %s", wanted), "correct it in the file"), "%s",
        key);
}

/* "16384" counts as 16384. */
static struct err *
number_of(const struct json *value, const char *key, int64_t min, int64_t max, int64_t *ret)
{
    int64_t n;
    if (value->type == JSON_INTEGER) {
        n = value->integer;
    } else if (value->type != JSON_STRING || !str_to_i64(value->string, &n)) {
        return wrong(key, "a number");
    }
    if (n < min || n > max) {
        return err_wrap(err_new(ERR_CONSTRAINT,
                                "%" PRId64 " is not within %" PRId64 " and %" PRId64, n,
                                min, max),
                        "%s", key);
    }
    *ret = n;
    return NULL;
}

static struct err *
bool_of(const struct json *value, const char *key, bool *ret)
{
    int64_t n = 0;
    if (json_is_bool(value)) {
        *ret = value->type == JSON_TRUE;
        return NULL;
    }
    TRY(number_of(value, key, 0, 1, &n));
    *ret = n;
    return NULL;
}

/* 32 digits, with dashes or without. */
static struct err *
uuid_of(const struct json *value, struct uuid *ret)
{
    char text[UUID_CHARS + 1];
    const char *from = value->type == JSON_STRING ? value->string : "";
    size_t n = 0;

    for (; *from && n < UUID_CHARS; from++) {
        if (*from != '-') {
            if (n == 8 || n == 13 || n == 18 || n == 23) {
                text[n++] = '-';
            }
            text[n++] = *from;
        }
    }
    text[n] = '\0';
    return *from == '\0' && uuid_parse(text, ret) ? NULL : wrong("uuid", "a UUID");
}

static char *
piece(struct arena *a, const char *begin, const char *end)
{
    return arena_printf(a, "%.*s", (int) (end - begin), begin);
}

/* The last comma before 'end'; NULL. */
static const char *
last_comma(const char *text, const char *end)
{
    const char *p = end;
    while (p > text && p[-1] != ',') {
        p--;
    }
    return p > text ? p - 1 : NULL;
}

static struct err *
disk_wrong(const char *text, const char *why)
{
    return err_wrap(
        err_hint(err_new(ERR_SYNTAX, "%s", why),
                 "SCHEME:PATH,DEVICE[:cdrom],MODE, as file:/disks/a.img,xvda,w"),
        "disk '%s'", text);
}

static struct err *
disk_source(struct arena *a, const char *text, const char *source, struct vmcfg_disk *ret)
{
    static const char *const files[] = { "file",      "tap:aio", "tap2:aio", "tap:qcow",
                                         "tap:qcow2", "qcow",    "qcow2" };

    if (!*source) {
        ret->scheme = VMCFG_EMPTY;
        ret->path = "";
        return NULL;
    }
    bool block = str_starts(source, "phy:");
    const char *path = block ? source + 4 : NULL;
    for (size_t i = 0; i < N_ELEMS(files) && !path; i++) {
        size_t n = strlen(files[i]);
        if (str_starts(source, files[i]) && source[n] == ':') {
            path = source + n + 1;
        }
    }
    if (!path) {
        return disk_wrong(text, "the scheme is none of file, phy, tap");
    }
    while (path[0] == '/' && path[1] == '/') { /* file:///disks/a.img */
        path++;
    }
    if (block && *path && *path != '/') {
        path = arena_printf(a, "/dev/%s", path);
    } else if (*path && *path != '/') {
        return disk_wrong(text, "the path does not begin with /");
    }
    ret->scheme = !*path ? VMCFG_EMPTY : block ? VMCFG_BLOCK : VMCFG_FILE;
    ret->path = arena_str(a, path);
    return NULL;
}

struct err *
vmcfg_disk_parse(struct arena *a, const char *text, struct vmcfg_disk *ret)
{
    *ret = (struct vmcfg_disk){ 0 };
    const char *mode = last_comma(text, text + strlen(text));
    const char *device = mode ? last_comma(text, mode) : NULL;
    if (!device) {
        return disk_wrong(text, "it needs three parts");
    }
    char *target = piece(a, device + 1, mode);
    char *kind = strchr(target, ':');
    if (kind) {
        *kind++ = '\0';
        ret->cdrom = str_eq(kind, "cdrom");
    }
    mode++;
    ret->shared = str_eq(mode, "w!");
    ret->readonly = str_eq(mode, "r");
    ret->target = target;
    if (!*target || (kind && !ret->cdrom && !str_eq(kind, "disk"))) {
        return disk_wrong(text, "the device is none");
    } else if (!ret->shared && !ret->readonly && !str_eq(mode, "w")) {
        return disk_wrong(text, "the mode is none of r, w, w!");
    }
    return disk_source(a, text, piece(a, text, device), ret);
}

struct err *
vmcfg_vif_parse(struct arena *a, const char *text, struct vmcfg_vif *ret)
{
    struct strvec parts = STRVEC_INIT;

    *ret = (struct vmcfg_vif){ 0 };
    strvec_split(&parts, text, ",");
    for (size_t i = 0; i < parts.n; i++) {
        char *key = parts.v[i] + strspn(parts.v[i], " \t"), *value = strchr(key, '=');
        if (!value) {
            continue;
        }
        *value++ = '\0';
        const char *copy = arena_str(a, value);
        if (str_eq(key, "mac")) {
            ret->mac = copy;
        } else if (str_eq(key, "bridge")) {
            ret->bridge = copy;
        } else if (str_eq(key, "model")) {
            ret->model = copy;
        } else if (str_eq(key, "ip")) {
            ret->ip = copy;
        } else if (str_eq(key, "type")) {
            ret->emulated = str_eq(copy, "ioemu");
        }
    }
    strvec_done(&parts);
    struct err *e = ret->mac && (strlen(ret->mac) != 17 ||
                                 strspn(ret->mac, "0123456789abcdefABCDEF:") != 17)
                        ? err_new(ERR_SYNTAX, "\"%s\" is no MAC address", ret->mac)
                        : NULL;
    return err_wrap(e, "vif '%s'", text);
}

/* The list under 'key'; its elements must be text. */
static struct err *
list_of(const struct json *object, const char *key, const struct json **ret)
{
    const struct json *list = json_get(object, key);
    *ret = list;
    if (!list || list->type == JSON_NULL) {
        *ret = NULL;
        return NULL;
    } else if (list->type != JSON_ARRAY || list->n > VMCFG_MAX_DEVICES) {
        return wrong(key, "a list, and not too long a one");
    }
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->elems[i].type != JSON_STRING) {
            return wrong(key, "a list of text");
        }
    }
    return NULL;
}

static struct err *
read_devices(struct arena *a, const struct json *object, struct vmcfg *cfg)
{
    const struct json *disks, *vifs;

    TRY(list_of(object, "disk", &disks));
    TRY(list_of(object, "vif", &vifs));
    cfg->disks = xcalloc(disks ? disks->n + 1 : 1, sizeof *cfg->disks);
    cfg->vifs = xcalloc(vifs ? vifs->n + 1 : 1, sizeof *cfg->vifs);
    for (uint32_t i = 0; disks && i < disks->n; i++, cfg->n_disks++) {
        TRY(vmcfg_disk_parse(a, disks->elems[i].string, &cfg->disks[i]));
    }
    for (uint32_t i = 0; vifs && i < vifs->n; i++, cfg->n_vifs++) {
        TRY(vmcfg_vif_parse(a, vifs->elems[i].string, &cfg->vifs[i]));
    }
    return NULL;
}

/* '12-19', or a list of such. */
static struct err *
read_cpus(struct arena *a, const struct json *object, struct vmcfg *cfg)
{
    const struct json *cpus = json_get(object, "cpus");
    CLEANUP(buf_done) struct buf joined = BUF_INIT;

    if (!cpus || cpus->type == JSON_NULL) {
        return NULL;
    } else if (cpus->type == JSON_STRING) {
        buf_str(&joined, cpus->string);
    } else if (cpus->type == JSON_INTEGER) {
        buf_i64(&joined, cpus->integer);
    } else if (cpus->type == JSON_ARRAY) {
        for (uint32_t i = 0; i < cpus->n; i++) {
            const struct json *one = &cpus->elems[i];
            buf_str(&joined, i ? "," : "");
            if (one->type == JSON_INTEGER) {
                buf_i64(&joined, one->integer);
            } else {
                buf_str(&joined, one->type == JSON_STRING ? one->string : "?");
            }
        }
    }
    const char *text = joined.n ? buf_cstr(&joined) : "";
    if (!*text || strspn(text, "0123456789,-^ ") != strlen(text)) {
        return wrong("cpus", "CPUs like '0-3,^2'");
    }
    cfg->cpus = arena_str(a, text);
    return NULL;
}

/* OVM_domain_type decides; without it the builder. */
static struct err *
read_domain(const struct json *object, struct vmcfg *cfg)
{
    const char *type = json_get_string(object, "OVM_domain_type"),
               *builder = json_get_string(object, "builder");

    for (size_t i = 0; i < N_ELEMS(domain_names); i++) {
        if (str_eq(type, domain_names[i])) {
            cfg->domain = (enum vmcfg_domain) i;
            return NULL;
        }
    }
    if (type && *type) {
        return wrong("OVM_domain_type", "xen_hvm, xen_hvm_pv or xen_pvm");
    }
    cfg->domain = !builder || str_eq(builder, "linux") || str_eq(builder, "generic")
                      ? VMCFG_PV
                      : VMCFG_HVM;
    return NULL;
}

static struct err *
read_plain(struct arena *a, const struct json *object, struct vmcfg *cfg)
{
    const struct json *value;

    for (size_t i = 0; i < N_ELEMS(texts); i++) {
        value = json_get(object, texts[i].key);
        if (value && value->type == JSON_STRING) {
            MEMBER(cfg, texts[i].offset, const char *) = arena_str(a, value->string);
        } else if (value && value->type != JSON_NULL) {
            return wrong(texts[i].key, "text");
        }
    }
    for (size_t i = 0; i < N_ELEMS(bools); i++) {
        if ((value = json_get(object, bools[i].key)) != NULL) {
            TRY(bool_of(value, bools[i].key, &MEMBER(cfg, bools[i].offset, bool)));
        }
    }
    for (size_t i = 0; i < N_ELEMS(numbers); i++) {
        if ((value = json_get(object, numbers[i].key)) != NULL) {
            TRY(number_of(value, numbers[i].key, numbers[i].min, numbers[i].max,
                          &MEMBER(cfg, numbers[i].offset, int64_t)));
        }
    }
    if ((value = json_get(object, "uuid")) != NULL) {
        TRY(uuid_of(value, &cfg->uuid));
        cfg->has_uuid = true;
    }
    return NULL;
}

static bool
is_known(const char *key)
{
    for (size_t i = 0; i < N_ELEMS(texts); i++) {
        if (str_eq(key, texts[i].key)) {
            return true;
        }
    }
    for (size_t i = 0; i < N_ELEMS(bools); i++) {
        if (str_eq(key, bools[i].key)) {
            return true;
        }
    }
    for (size_t i = 0; i < N_ELEMS(numbers); i++) {
        if (str_eq(key, numbers[i].key)) {
            return true;
        }
    }
    for (size_t i = 0; i < N_ELEMS(others); i++) {
        if (str_eq(key, others[i])) {
            return true;
        }
    }
    return false;
}

static void
warn(const struct json *object, struct vmcfg *cfg)
{
    JSON_FOR_EACH_MEMBER (m, object) {
        if (str_eq(m->name, "vncpasswd")) {
            strvec_add(&cfg->warnings, "vncpasswd: not taken over; set a new password");
        } else if (!is_known(m->name)) {
            strvec_addf(&cfg->warnings, "%.64s: there is no counterpart, it is left out",
                        m->name);
        }
    }
    for (size_t i = 0; i < cfg->n_disks; i++) {
        if (cfg->disks[i].shared) {
            strvec_addf(&cfg->warnings, "disk %s: is shared with other machines (w!)",
                        cfg->disks[i].target);
        }
    }
    if (cfg->domain == VMCFG_PV) {
        strvec_add(
            &cfg->warnings,
            "xen_pvm: a paravirtual machine needs another kernel and a boot loader before it runs on KVM");
    }
}

struct err *
vmcfg_read(struct arena *a, const struct json *object, struct vmcfg *ret)
{
    CLEANUP(vmcfg_done) struct vmcfg cfg = { .warnings = STRVEC_INIT };
    const char *usb = json_get_string(object, "usbdevice");

    TRY(read_plain(a, object, &cfg));
    TRY(read_domain(object, &cfg));
    TRY(read_cpus(a, object, &cfg));
    TRY(read_devices(a, object, &cfg));
    cfg.tablet = str_eq(usb, "tablet");
    cfg.serial = json_get(object, "serial") != NULL;
    if (!cfg.name && !cfg.simple_name) {
        return err_hint(err_new(ERR_SYNTAX, "the file names no machine"),
                        "it needs a line name = '...'");
    } else if (cfg.memory_mib == 0) {
        return wrong("memory", "given");
    }
    cfg.max_memory_mib = max64(cfg.max_memory_mib, cfg.memory_mib);
    cfg.vcpus = max64(cfg.vcpus, 1);
    cfg.max_vcpus = max64(cfg.max_vcpus, cfg.vcpus);
    warn(object, &cfg);
    *ret = cfg;
    cfg = (struct vmcfg){ .warnings = STRVEC_INIT };
    return NULL;
}
