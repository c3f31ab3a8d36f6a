/* virt/guest.c: keys, screen and memory of a running guest. */
#include "virt/guest.h"

#include "base/str.h"
#include "virt/conn_i.h"

struct err *
virt_press(struct virt *v, const struct uuid *uuid, const struct virt_chord *chords,
           size_t n_chords, unsigned hold_ms)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    TRY(virt_dom_take(v, uuid, &dom));

    for (size_t i = 0; i < n_chords; i++) {
        unsigned codes[VIRT_CHORD_KEYS];
        memcpy(codes, chords[i].codes, sizeof codes);
        if (virDomainSendKey(dom, VIR_KEYCODE_SET_LINUX, hold_ms, codes, chords[i].n, 0) <
            0) {
            return virt_last_error(v, "press keys");
        }
    }
    return NULL;
}

static int
on_screen_bytes(virStreamPtr stream UNUSED, const char *bytes, size_t n, void *aux)
{
    struct buf *picture = aux;

    if (picture->n + n > VIRT_SCREEN_MAX_BYTES) {
        return -1;
    }
    buf_add(picture, bytes, n);
    return (int) n;
}

static struct err *
screen_receive(struct virt *v, virDomainPtr dom, virStreamPtr stream, struct buf *ret,
               char **ret_mime)
{
    CLEANUP(free_drop) char *mime = virDomainScreenshot(dom, stream, 0, 0);

    if (!mime) {
        return virt_last_error(v, "take a picture of the screen");
    } else if (virStreamRecvAll(stream, on_screen_bytes, ret) < 0) {
        return virt_last_error(v, "receive the picture of the screen");
    } else if (virStreamFinish(stream) < 0) {
        return virt_last_error(v, "finish the picture of the screen");
    }
    *ret_mime = TAKE(mime);
    return NULL;
}

struct err *
virt_screen(struct virt *v, const struct uuid *uuid, struct buf *ret, char **ret_mime)
{
    CLEANUP(virt_conn_drop) virConnectPtr conn = NULL;
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    TRY(virt_conn_take(v, &conn));
    TRY(virt_dom_take(v, uuid, &dom));

    virStreamPtr stream = virStreamNew(conn, 0);
    if (!stream) {
        return virt_last_error(v, "open a stream");
    }
    struct err *e = screen_receive(v, dom, stream, ret, ret_mime);
    if (e) {
        virStreamAbort(stream);
    }
    virStreamFree(stream);
    return e;
}

struct err *
virt_dump(struct virt *v, const struct uuid *uuid, const char *path, bool live)
{
    unsigned flags = VIR_DUMP_MEMORY_ONLY | (live ? VIR_DUMP_LIVE : 0);
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    TRY(virt_dom_take(v, uuid, &dom));

    return virDomainCoreDumpWithFormat(dom, path, VIR_DOMAIN_CORE_DUMP_FORMAT_RAW, flags) <
                   0
               ? virt_last_error(v, "dump the guest's memory")
               : NULL;
}

struct err *
virt_usb(struct virt *v, const struct uuid *uuid, const struct virt_usb *usb, bool attach)
{
    CLEANUP(virt_dom_drop) virDomainPtr dom = NULL;
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    TRY(virt_dom_take(v, uuid, &dom));

    buf_str(&xml, "<hostdev mode='subsystem' type='usb'><source>");
    if (usb->vendor) {
        buf_printf(&xml, "<vendor id='0x%04x'/><product id='0x%04x'/>", usb->vendor,
                   usb->product);
    } else {
        buf_printf(&xml, "<address bus='%u' device='%u'/>", usb->bus, usb->device);
    }
    buf_str(&xml, "</source></hostdev>");
    int failed =
        attach ? virDomainAttachDeviceFlags(dom, buf_cstr(&xml), VIR_DOMAIN_AFFECT_LIVE)
               : virDomainDetachDeviceFlags(dom, buf_cstr(&xml), VIR_DOMAIN_AFFECT_LIVE);
    if (failed == 0) {
        return NULL;
    }
    struct err *e = virt_last_error(v, attach ? "give the guest a USB device"
                                              : "take a USB device from the guest");
    return strstr(err_text(e), "no USB bus support")
               ? err_hint(
                     e,
                     "a machine with a screen has USB: byre vm set NAME display=vnc, and start it again")
               : e;
}
