/* virt/guest.h: what is done to a running guest from outside that is no state of the machine: keys pressed, its
 * screen, its memory as a file.
 *
 * Threads and errors: as conn.h. */
#ifndef VIRT_GUEST_H
#define VIRT_GUEST_H 1

#include "base/buf.h"
#include "virt/conn.h"

/* Keys pressed together: Linux key codes, as linux/input-event-codes.h numbers them. */
#define VIRT_CHORD_KEYS 16 /* libvirt's limit. */
struct virt_chord {
    unsigned codes[VIRT_CHORD_KEYS];
    int n;
};
/* Presses them one after the other, each for 'hold_ms'. */
struct err *virt_press(struct virt *, const struct uuid *, const struct virt_chord *,
                       size_t n_chords, unsigned hold_ms) MUST_CHECK;

/* The screen's picture.  *ret_mime: "image/png" or "image/x-portable-pixmap", as QEMU makes it; the caller frees it. */
#define VIRT_SCREEN_MAX_BYTES ((size_t) 64 * MIB)
struct err *virt_screen(struct virt *, const struct uuid *, struct buf *ret,
                        char **ret_mime) MUST_CHECK;

/* Writes the guest's memory to 'path' as an ELF core.  It stands still meanwhile, unless 'live'. */
struct err *virt_dump(struct virt *, const struct uuid *, const char *path,
                      bool live) MUST_CHECK;

/* A USB device of the host, by what it is or by where it is plugged in (the other pair 0): given to the running guest,
 * or taken from it. */
struct virt_usb {
    unsigned vendor, product;
    unsigned bus, device;
};
struct err *virt_usb(struct virt *, const struct uuid *, const struct virt_usb *,
                     bool attach) MUST_CHECK;

#endif /* virt/guest.h */
