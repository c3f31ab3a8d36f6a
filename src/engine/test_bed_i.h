/* engine/test_bed_i.h: a pool on a real directory, for the tests of this room. */
#ifndef ENGINE_TEST_BED_I_H
#define ENGINE_TEST_BED_I_H 1

#include "engine/engine.h"
#include "store/gate.h"

/* A pool in a directory of its own, and the last result. */
struct bed {
    char *path;
    struct pool pool;
    struct engine_env env;
    struct engine_result result;
};
void bed_init(struct bed *); /* Builds the pool. */
void bed_done(struct bed *); /* For CLEANUP(). */
/* Runs 'plan' unless 'e' says that it could not be made; both are gone after. */
struct err *bed_run(struct bed *, struct err *e, struct plan *plan) MUST_CHECK;
#define RUN(bed, call) bed_run(bed, call, &plan)

struct err *create(struct bed *, const char *name, const char *format, int64_t capacity,
                   int64_t allocation) MUST_CHECK;
struct err *with_vol(struct bed *, const char *name, const char *format,
                     struct err *(*gate)(const struct pool *, const struct vol *,
                                         struct plan *) ) MUST_CHECK;
struct err *resize(struct bed *, const char *name, const char *format, int64_t capacity,
                   int flags) MUST_CHECK;
int count_entries(const struct bed *); /* Hidden ones too. */
int open_in(const struct bed *, const char *name, int flags);
void write_in(const struct bed *, const char *name, const char *bytes, size_t n);

#endif /* engine/test_bed_i.h */
