/* engine/scsi_i.h: commands to SCSI disks. */
#ifndef ENGINE_SCSI_I_H
#define ENGINE_SCSI_I_H 1

#include "base/base.h"

struct scsi_answer {
    int errnum; /* The kernel did not send it: ENOTTY, EINVAL if it is no SCSI disk.  Else 0. */
    bool ok;
    unsigned host_status;    /* Not 0: the transport fails. */
    unsigned key, asc, ascq; /* If not ok: the sense data. */
};

/* Sends 'command' (16 bytes at most), and takes the answer's data into 'data' (NULL: it has
 * none).  Blocks up to 'timeout_ms'. */
struct scsi_answer scsi_ask(int fd, const uint8_t *command, size_t n_command, void *data,
                            size_t n_data, unsigned timeout_ms);

#endif /* engine/scsi_i.h */
