/* tests/fuzz/fuzz_volxml.c: volume XML, for a pool of files and for one of block devices, and
 * the gate behind it: what it lets through can be planned. */
#include "base/str.h"
#include "store/gate.h"
#include "store/volxml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void
plan_it(const struct vol *vol)
{
    struct pool pool;
    pool_init(&pool);
    pool.name = "p";
    pool.target.path = "/p";
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    CLEANUP(err_drop) struct err *e = gate_vol_create(&pool, vol, 0, &plan);
    if (e) {
        ASSERT(err_code(e) != 0);
        return;
    }
    ASSERT(*plan_text(&plan));
    ASSERT(!strchr(vol->name, '/') && vol->name[0] != '-');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const enum pool_type types[] = { POOL_DIR, POOL_LOGICAL, POOL_DISK };
    for (size_t i = 0; i < N_ELEMS(types); i++) {
        CLEANUP(vol_done) struct vol vol;
        vol_init(&vol);
        CLEANUP(err_drop)
        struct err *e = volxml_parse((const char *) data, n_bytes, types[i], 0, &vol);
        if (e) {
            continue;
        }
        CLEANUP(buf_done) struct buf text = BUF_INIT;
        volxml_format(&vol, types[i], &text);
        if (types[i] == POOL_DIR) {
            plan_it(&vol);
        }
    }
    return 0;
}
