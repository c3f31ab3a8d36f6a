/* engine/test_bed.c: see test_bed_i.h. */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/str.h"
#include "engine/test_bed_i.h"

void
bed_done(struct bed *bed)
{
    engine_result_done(&bed->result);
    pool_done(&bed->pool);
    free(bed->path);
}

struct err *
bed_run(struct bed *bed, struct err *e, struct plan *plan)
{
    engine_result_done(&bed->result);
    e = e ? e : engine_run(plan, &bed->env, &bed->result);
    plan_done(plan);
    return e;
}

void
bed_init(struct bed *bed)
{
    static int n;
    *bed = (struct bed){ .env = ENGINE_ENV_INIT };
    bed->path = str_dupf("%s/pool%d", test_dir(), n++);
    pool_init(&bed->pool);
    bed->pool.name = "p";
    bed->pool.target.path = bed->path;
    engine_result_init(&bed->result);
    struct plan plan = PLAN_INIT;
    CHECK_OK("build", RUN(bed, gate_pool_build(&bed->pool, 0, &plan)));
}

struct err *
create(struct bed *bed, const char *name, const char *format, int64_t capacity,
       int64_t allocation)
{
    struct vol vol;
    vol_init(&vol);
    vol.name = name;
    vol.target.format = format;
    vol.capacity = capacity;
    vol.allocation = allocation;
    struct plan plan = PLAN_INIT;
    return RUN(bed, gate_vol_create(&bed->pool, &vol, 0, &plan));
}

struct err *
with_vol(struct bed *bed, const char *name, const char *format,
         struct err *(*gate)(const struct pool *, const struct vol *, struct plan *) )
{
    struct vol vol;
    vol_init(&vol);
    vol.name = name;
    vol.target.format = format;
    struct plan plan = PLAN_INIT;
    return RUN(bed, gate(&bed->pool, &vol, &plan));
}

struct err *
resize(struct bed *bed, const char *name, const char *format, int64_t capacity, int flags)
{
    struct vol vol;
    vol_init(&vol);
    vol.name = name;
    vol.target.format = format;
    struct plan plan = PLAN_INIT;
    return RUN(bed, gate_vol_resize(&bed->pool, &vol, capacity, flags, &plan));
}

/* Number of entries, hidden ones too. */
int
count_entries(const struct bed *bed)
{
    DIR *dir = opendir(bed->path);
    int n = -2; /* . and .. */
    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

int
open_in(const struct bed *bed, const char *name, int flags)
{
    CLEANUP(free_drop) char *path = path_join(bed->path, name);
    int fd = open(path, flags | O_CLOEXEC, 0600);
    CHECK(path, fd >= 0);
    return fd;
}

void
write_in(const struct bed *bed, const char *name, const char *bytes, size_t n)
{
    CLEANUP(fd_done) int fd = open_in(bed, name, O_WRONLY | O_CREAT);
    CHECK_OK(name, fd_write_all(fd, bytes, n));
}
