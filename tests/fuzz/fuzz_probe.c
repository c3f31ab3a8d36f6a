/* tests/fuzz/fuzz_probe.c: headers of images.  The first half of the bytes is the head, the last
 * 512 are the tail. */
#include "store/probe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct probe probe;
    size_t n_head = n_bytes < PROBE_HEAD_BYTES ? n_bytes : PROBE_HEAD_BYTES;
    size_t n_tail = n_bytes >= PROBE_TAIL_BYTES ? PROBE_TAIL_BYTES : 0;
    probe_image(&arena, data, n_head, data + n_bytes - n_tail, n_tail, (int64_t) n_bytes,
                &probe);
    ASSERT(probe.format && probe.capacity >= 0 && probe.cluster_bytes >= 0);
    ASSERT(!probe.backing || *probe.backing);
    return 0;
}
