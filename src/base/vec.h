/* base/vec.h: a typed array that grows.
 *
 *     VEC(struct point) points = VEC_INIT;
 *     *VEC_ADD(&points) = (struct point){ 1, 2 };
 *     VEC_FOR_EACH (struct point *p, &points) { ... }
 *     VEC_DONE(&points);                 // Frees the array, not what its elements own.
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H 1

#include "base/base.h"

#define VEC(type)                                                                          \
    struct {                                                                               \
        type *v;                                                                           \
        size_t n, cap;                                                                     \
    }
#define VEC_INIT                                                                           \
    {                                                                                      \
        NULL, 0, 0                                                                         \
    }

/* Room for n elements in all, so that adding them allocates nothing. */
#define VEC_RESERVE(vec, n)                                                                \
    vec_reserve_((void **) &(vec)->v, (n), &(vec)->cap, sizeof *(vec)->v)
/* Appends a zeroed element and evaluates to its address. */
#define VEC_ADD(vec)                                                                       \
    ({                                                                                     \
        if (UNLIKELY((vec)->n == (vec)->cap)) {                                            \
            vec_reserve_((void **) &(vec)->v, (vec)->n + 1, &(vec)->cap,                   \
                         sizeof *(vec)->v);                                                \
        }                                                                                  \
        (__typeof__((vec)->v)) memset(&(vec)->v[(vec)->n++], 0, sizeof *(vec)->v);         \
    })
#define VEC_FOR_EACH(decl, vec)                                                            \
    for (size_t i_ = 0, once_; i_ < (vec)->n; i_++)                                        \
        for (once_ = 1; once_;)                                                            \
            for (decl = &(vec)->v[i_]; once_; once_ = 0)
#define VEC_REMOVE_AT(vec, i)                                                              \
    ((vec)->n--, (void) memmove(&(vec)->v[i], &(vec)->v[(i) + 1],                          \
                                ((vec)->n - (i)) * sizeof *(vec)->v))
#define VEC_DONE(vec) (free((vec)->v), (vec)->v = NULL, (vec)->n = (vec)->cap = 0)

void vec_reserve_(void **v, size_t n, size_t *cap, size_t elem_bytes);

#endif /* base/vec.h */
