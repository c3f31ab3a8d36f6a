/* engine/scsi.c: a command to a SCSI disk, by the kernel's SG_IO. */
#include <errno.h>
#include <scsi/sg.h>
#include <sys/ioctl.h>

#include "engine/scsi_i.h"

/* Sense data come in two shapes: fixed (0x70, 0x71) and by descriptors (0x72, 0x73). */
static void
take_sense(const uint8_t *sense, struct scsi_answer *answer)
{
    bool fixed = (sense[0] & 0x7f) < 0x72;
    answer->key = (fixed ? sense[2] : sense[1]) & 0xf;
    answer->asc = fixed ? sense[12] : sense[2];
    answer->ascq = fixed ? sense[13] : sense[3];
}

struct scsi_answer
scsi_ask(int fd, const uint8_t *command, size_t n_command, void *data, size_t n_data,
         unsigned timeout_ms)
{
    uint8_t copy[16], sense[64] = { 0 };
    ASSERT(n_command <= sizeof copy);
    memcpy(copy, command, n_command);
    struct sg_io_hdr io = { .interface_id = 'S',
                            .cmd_len = (unsigned char) n_command,
                            .cmdp = copy,
                            .mx_sb_len = sizeof sense,
                            .sbp = sense,
                            .dxfer_direction = data ? SG_DXFER_FROM_DEV : SG_DXFER_NONE,
                            .dxferp = data,
                            .dxfer_len = (unsigned) n_data,
                            .timeout = timeout_ms };
    struct scsi_answer answer = { 0 };
    if (ioctl(fd, SG_IO, &io) < 0) {
        answer.errnum = errno;
        return answer;
    }
    answer.ok = (io.info & SG_INFO_OK_MASK) == SG_INFO_OK;
    answer.host_status = io.host_status;
    take_sense(sense, &answer);
    return answer;
}
