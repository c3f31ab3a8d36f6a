/* store/backend/blank_i.h: devices that a pool is to be made on. */
#ifndef STORE_BACKEND_BLANK_I_H
#define STORE_BACKEND_BLANK_I_H 1

#include "store/plan.h"

/* A device's path as a command may get it: absolute, one line, no "..". */
struct err *device_path_check(const char *path) MUST_CHECK;

/* Refuses unless nothing is on the device, in libvirt's words: VE_POOL_BUILT if what is there is
 * of 'format' ("ext4", "LVM2_member", "gpt") or of another one. */
void plan_blank(struct plan *, const char *device, const char *format);
/* Refuses a device that is in use or not there; then zeros over both of its ends. */
void plan_clear(struct plan *, const char *device);

#endif /* store/backend/blank_i.h */
