/* tests/fuzz/fuzz_parcel.c: the history of a machine as text, from another host.  What a store takes, it can pack
 * again, and another takes that. */
#include "base/str.h"
#include "sql/parcel.h"

#define NOW_S 1400025600
#define RUNS_A_STORE 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void
note(void *aux, const struct uuid *uuid)
{
    *(struct uuid *) aux = *uuid;
}

static void
pack_again(struct sql *from, struct sql *to)
{
    struct uuid machine = { { 0 } }, left = { { 0 } };

    err_free(sql_machines(from, note, &machine));
    CLEANUP(err_drop)
    struct err *e = sql_pack(from, &machine, &machine, NOW_S, &SQL_KEEP_INIT);
    ASSERT(!e);
    err_free(sql_machines(from, note, &left));
    ASSERT(uuid_is_zero(&left));
    for (;;) {
        CLEANUP(sql_parcel_done) struct sql_parcel p;
        CLEANUP(err_drop) struct err *none = sql_parcel_next(from, NULL, 0, &p);
        ASSERT(!none);
        if (!p.text) {
            break;
        }
        CLEANUP(err_drop) struct err *again = sql_take(to, &p.id, p.text, NOW_S);
        CLEANUP(err_drop) struct err *dropped = sql_parcel_drop(from, &p.id);
        ASSERT(!again && !dropped);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static struct sql *from, *to;
    static int runs;
    CLEANUP(free_drop) char *text = str_dupf("%.*s", (int) n_bytes, (const char *) data);
    struct uuid id;

    if (runs++ % RUNS_A_STORE == 0) {
        sql_close(from);
        sql_close(to);
        err_free(sql_open("sqlite::memory:", &from));
        err_free(sql_open("sqlite::memory:", &to));
    }
    uuid_random(&id);
    CLEANUP(err_drop) struct err *e = sql_take(from, &id, text, NOW_S);
    if (e) {
        ASSERT(err_is(e, ERR_SYNTAX));
    } else {
        pack_again(from, to);
    }
    return 0;
}
