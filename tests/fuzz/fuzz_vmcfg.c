/* tests/fuzz/fuzz_vmcfg.c: Xen's vm.cfg.  A literal that is accepted is JSON that parses, and a machine that is
 * accepted has what every machine must have. */
#include "import/vmcfg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(vmcfg_done) struct vmcfg cfg = { .warnings = STRVEC_INIT };
    CLEANUP(buf_done) struct buf text = BUF_INIT;
    struct json object, again;

    struct err *e = pyliteral_file(&arena, "fuzz", (const char *) data, n_bytes, &object);
    if (!e) {
        json_print(&object, 0, &text);
        struct err *bad = json_parse(&arena, text.data, text.n, &again);
        ASSERT(!bad);
        e = vmcfg_read(&arena, &object, &cfg);
    }
    if (!e) {
        ASSERT(cfg.name || cfg.simple_name);
        ASSERT(cfg.memory_mib > 0 && cfg.max_memory_mib >= cfg.memory_mib &&
               cfg.max_vcpus >= cfg.vcpus);
    }
    err_free(e);
    return 0;
}
