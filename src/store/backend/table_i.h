/* store/backend/table_i.h: a table of partitions and what is free in it. */
#ifndef STORE_BACKEND_TABLE_I_H
#define STORE_BACKEND_TABLE_I_H 1

#include "store/plan.h"

#define TABLE_DOS_PRIMARIES 4 /* Primary and extended ones have the numbers up to this. */

enum part_kind { PART_PRIMARY, PART_EXTENDED, PART_LOGICAL, PART_FREE };

struct part {
    enum part_kind kind;
    int number;         /* 0: free. */
    int64_t start, end; /* [start, end). */
    bool inside;        /* Free: of the extended partition. */
};

struct table {
    const char *path, *label;
    struct part *parts;
    size_t n;
};

/* What the output "parted" says; all lies in the arena. */
struct err *table_read(struct arena *, const struct plan_seen *,
                       struct table *ret) MUST_CHECK;
const struct part *table_extended(const struct table *); /* Or NULL. */
/* The smallest free stretch that holds 'size' bytes from a whole MiB on (libvirt aligns to
 * nothing), logical ones inside of the extended one; *ret_start is where they begin. */
struct err *table_place(const struct table *, enum part_kind, int64_t size,
                        int64_t *ret_start) MUST_CHECK;
int table_next_number(const struct table *,
                      enum part_kind); /* That the kernel will give. */
int64_t table_align_up(int64_t x, int64_t unit);

#endif /* store/backend/table_i.h */
