/* virt/host.c: what libvirt knows about the host it runs on. */
#include <stdio.h>

#include <libvirt/virterror.h>

#include "base/arena.h"
#include "base/str.h"
#include "virt/conn_i.h"
#include "xml/tree.h"

/* The text between two marks, for the two leaves of the capabilities that are wanted here:
 *
 *     <capabilities>
 *       <host>
 *         <uuid>16b8a5d4-2dbe-49c5-b4ba-d40da9149598</uuid>
 *         <cpu>
 *           <arch>x86_64</arch>
 *           <model>kvm64</model>
 */
static bool
leaf(const char *xml, const char *open, char *ret, size_t n_bytes)
{
    const char *at = strstr(xml, open);
    if (!at) {
        return false;
    }
    at += strlen(open);
    size_t n = strcspn(at, "<");
    if (n >= n_bytes) {
        return false;
    }
    memcpy(ret, at, n);
    ret[n] = '\0';
    return true;
}

static void
version_text(virConnectPtr conn, char *ret, size_t n_bytes)
{
    unsigned long lib = 0, hv = 0;
    const char *type = virConnectGetType(conn);

    virConnectGetLibVersion(conn, &lib);
    virConnectGetVersion(conn, &hv);
    snprintf(ret, n_bytes, "libvirt %lu.%lu.%lu, %s %lu.%lu.%lu", lib / 1000000,
             lib / 1000 % 1000, lib % 1000, type ? type : "hypervisor", hv / 1000000,
             hv / 1000 % 1000, hv % 1000);
}

/* Of the domain capabilities:
 *
 *     <os supported='yes'>
 *       <enum name='firmware'>
 *         <value>efi</value>
 *     ...
 *       <tpm supported='yes'>
 *         <enum name='backendModel'>
 *           <value>emulator</value>
 */
static bool
offers(const struct xml_node *at, const char *name, const char *value)
{
    for (const struct xml_node *e = xml_find(at, "enum"); e; e = xml_next(e)) {
        if (!str_eq(xml_string(e, "@name"), name)) {
            continue;
        }
        for (const struct xml_node *v = xml_find(e, "value"); v; v = xml_next(v)) {
            if (str_eq(v->text, value)) {
                return true;
            }
        }
    }
    return false;
}

/* A driver that cannot tell has neither. */
static void
guest_facts(virConnectPtr conn, struct virt_host *host)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct xml_node *root;
    CLEANUP(free_drop)
    char *xml = virConnectGetDomainCapabilities(conn, NULL, NULL, "q35", NULL, 0);
    struct err *e =
        xml ? xml_parse(&arena, "(domain capabilities)", xml, strlen(xml), &root) : NULL;

    if (xml && !e) {
        host->efi = offers(xml_find(root, "os"), "firmware", "efi");
        host->tpm = offers(xml_find(root, "devices/tpm"), "backendModel", "emulator");
    }
    err_free(e);
}

struct err *
virt_host_facts(struct virt *v, struct virt_host *ret)
{
    CLEANUP(virt_conn_drop) virConnectPtr conn = NULL;
    TRY(virt_conn_take(v, &conn));

    struct virt_host host = { .cpus = 0 };
    virNodeInfo info;
    if (virNodeGetInfo(conn, &info) < 0) {
        return virt_last_error(v, "read the host's facts");
    }
    host.cpus = (int) info.cpus;
    host.mem_mib = (int64_t) (info.memory / 1024);
    host.mem_free_mib = (int64_t) (virNodeGetFreeMemory(conn) / MIB);

    CLEANUP(free_drop) char *xml = virConnectGetCapabilities(conn);
    if (!xml) {
        return virt_last_error(v, "read the host's capabilities");
    }
    char uid[UUID_CHARS + 1];
    if (virt_kind_of(v->uri) == VIRT_KIND_TEST) {
        uuid_random(&host.uid); /* It tells none; who asks keeps the first. */
    } else if (!leaf(xml, "<uuid>", uid, sizeof uid) || !uuid_parse(uid, &host.uid)) {
        return err_new(ERR_UNSUPPORTED, "libvirt at %s tells no host UUID", v->uri);
    }
    if (!leaf(xml, "<arch>", host.arch, sizeof host.arch)) {
        host.arch[0] = '\0';
    }
    if (!leaf(xml, "<model>", host.cpu_model, sizeof host.cpu_model)) {
        snprintf(host.cpu_model, sizeof host.cpu_model, "%s", info.model);
    }
    guest_facts(conn, &host);
    version_text(conn, host.version, sizeof host.version);
    *ret = host;
    return NULL;
}
