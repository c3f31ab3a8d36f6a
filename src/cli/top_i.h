/* cli/top_i.h: one screen of `byre top` as text.  Pure: what the agent measured in, lines out.
 *
 * Shape.   xentop's: three lines about the host, then a row a machine in its 19 columns, and below a row what
 *          the keys asked for (networks, disks, virtual CPUs).  Unlike xentop's, names are never cut, and the columns
 *          are as wide as what stands in them. */
#ifndef CLI_TOP_I_H
#define CLI_TOP_I_H 1

#include "base/buf.h"
#include "json/json.h"

/* In the order of the columns that can be sorted by. */
/* clang-format off */
enum top_sort { TOP_NAME, TOP_CPU_S, TOP_CPU, TOP_MEM, TOP_VCPUS, TOP_NETTX, TOP_NETRX, TOP_RD, TOP_WR, N_TOP_SORTS };
/* clang-format on */
extern const char *const top_sort_names[N_TOP_SORTS];
bool top_sort_parse(const char *name, enum top_sort *ret);

struct top_view {
    enum top_sort sort;
    bool reverse;
    bool networks, disks, vcpus;
    const char *filter; /* Pattern of names; NULL: all. */
    int rows;           /* Height of the screen; 0: no limit. */
    int first;          /* Machine that stands at the top. */
    const char *time;   /* "01:25:09" */
};

/* Does the filter let this machine, an object of the answer, through? */
bool top_is_shown(const struct json *domain, const struct top_view *);

/* 'sample' is the agent's answer to "top". */
void top_print(struct buf *, const struct json *sample, const struct top_view *);

#endif /* cli/top_i.h */
