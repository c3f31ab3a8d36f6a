/* store/test_grow.c: what growing does and refuses, by looks that hosts could have taken. */
#include "test.h"

#include "base/str.h"
#include "store/grow.h"

#define L(...) ((struct grow_layer){ __VA_ARGS__ })
#define DISK(n, m, kernel, itself)                                                         \
    L(.kind = GROW_DISK, .name = n, .node = "/dev/" n, .map = m, .bytes = kernel,          \
      .target_bytes = itself)
#define MAP(kernel)                                                                        \
    L(.kind = GROW_MAP, .name = "mpatha", .node = "/dev/mapper/mpatha", .bytes = kernel)
#define FS(type, on)                                                                       \
    L(.kind = GROW_FS, .name = type, .node = "/srv/p", .below = on, .bytes = 90)
#define PART(n, on)                                                                        \
    L(.kind = GROW_PART, .name = "sda1", .node = "/dev/sda1", .below = on, .number = n)
#define PV(on) L(.kind = GROW_PV, .name = on, .node = on)
#define LV L(.kind = GROW_LV, .name = "vg/lv", .node = "/dev/mapper/vg-lv")
#define TWO_PATHS(a, b, map)                                                               \
    DISK("sda", "mpatha", a, 200), DISK("sdb", "mpatha", b, 200), MAP(map)

static const struct grow_case {
    const char *why;
    struct grow_layer layers[8];
    const char *host, *top; /* Plans, or "! <text>". */
} cases[] = {
    /* clang-format off */
    { "one disk", { DISK("sda", NULL, 100, 200), FS("ext4", "/dev/sda") },
      "echo 1 > /sys/class/block/sda/device/rescan\n", "! host h: its kernel does not know the new size on all paths" },
    { "known already: only the top is left", { DISK("sda", NULL, 200, 200), FS("ext4", "/dev/sda") }, "", "resize2fs /dev/sda\n" },
    { "each path, then the map", { TWO_PATHS(100, 100, 100), FS("xfs", "/dev/mapper/mpatha") },
      "echo 1 > /sys/class/block/sda/device/rescan\necho 1 > /sys/class/block/sdb/device/rescan\nmultipathd resize map mpatha\n",
      "! host h: its kernel does not know the new size on all paths" },
    { "broken off half way", { TWO_PATHS(200, 100, 100), FS("xfs", "/dev/mapper/mpatha") },
      "echo 1 > /sys/class/block/sdb/device/rescan\nmultipathd resize map mpatha\n",
      "! host h: its kernel does not know the new size on all paths" },
    { "the map is behind", { TWO_PATHS(200, 200, 100), FS("xfs", "/dev/mapper/mpatha") }, "multipathd resize map mpatha\n",
      "! host h: its kernel does not know the new size on all paths" },
    { "all known", { TWO_PATHS(200, 200, 200), FS("xfs", "/dev/mapper/mpatha") }, "", "xfs_growfs /srv/p\n" },
    { "btrfs", { DISK("sda", NULL, 200, 200), FS("btrfs", "/dev/sda") }, "", "btrfs filesystem resize max /srv/p\n" },
    { "ocfs2", { DISK("sda", NULL, 200, 200), FS("ocfs2", "/dev/sda") }, "", "tunefs.ocfs2 -y -S /dev/sda\n" },
    { "vfat", { DISK("sda", NULL, 200, 200), FS("vfat", "/dev/sda") }, "", "! a file system of type vfat does not grow here" },
    { "a partition", { DISK("sda", NULL, 200, 200), PART(1, "/dev/sda"), FS("ext4", "/dev/sda1") }, "",
      "sfdisk --quiet --force --no-reread --relocate gpt-bak-std /dev/sda\n"
      "sfdisk --quiet --force --no-reread --partno 1 /dev/sda\npartx --update --nr 1 /dev/sda\n"
      "wait for udev\nresize2fs /dev/sda1\n" },
    { "an LV", { DISK("sda", NULL, 200, 200), PV("/dev/sda"), LV, FS("ext4", "/dev/mapper/vg-lv") }, "",
      "pvresize /dev/sda\nlvextend -l +100%FREE vg/lv\nresize2fs /dev/mapper/vg-lv\n" },
    { "a volume group", { DISK("sda", NULL, 200, 200), PV("/dev/sda") }, "", "pvresize /dev/sda\n" },
    { "one path has not grown", { DISK("sda", "mpatha", 100, 200), DISK("sdb", "mpatha", 100, 100), MAP(100) },
      "! host h: the paths of mpatha disagree: sda has 200 bytes, sdb has 100",
      "! host h: the paths of mpatha disagree: sda has 200 bytes, sdb has 100" },
    { "one path is off", { DISK("sda", "mpatha", 100, 200),
      L(.kind = GROW_DISK, .name = "sdb", .node = "/dev/sdb", .map = "mpatha", .bytes = 100, .error = "the path is offline"), MAP(100) },
      "! host h: sdb: the path is offline", "! host h: sdb: the path is offline" },
    { "it shrank", { DISK("sda", NULL, 200, 100) }, "! host h: sda has become smaller: 100 bytes, it had 200",
      "! host h: sda has become smaller: 100 bytes, it had 200" },
    { "no disk", { FS("ext4", "/dev/sda") }, "! host h sees no disk below the pool", "! host h sees no disk below the pool" },
    /* clang-format on */
};

/* As it comes from another host: through JSON. */
static void
make_look(const struct grow_layer *layers, size_t n, struct grow_look *ret)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(grow_look_done) struct grow_look look = GROW_LOOK_INIT;
    look.host = "h";
    for (size_t i = 0; i < n && layers[i].name; i++) {
        *grow_look_add(&look, layers[i].kind) = layers[i];
    }
    struct json j = grow_look_encode(&arena, &look);
    CHECK_OK("as JSON and back", grow_look_decode(&j, ret));
}

static char *
planned(const struct grow_look *look,
        struct err *(*fn)(const struct grow_look *, struct plan *) )
{
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    CLEANUP(err_drop) struct err *e = fn(look, &plan);
    return e ? str_dupf("! %s", err_why(e)) : str_dup(plan_text(&plan));
}

TEST(plans)
{
    for (const struct grow_case *c = cases; c < cases + N_ELEMS(cases); c++) {
        CLEANUP(grow_look_done) struct grow_look look;
        make_look(c->layers, N_ELEMS(c->layers), &look);
        CLEANUP(free_drop) char *host = planned(&look, grow_plan_host);
        CLEANUP(free_drop) char *top = planned(&look, grow_plan_top);
        CHECK_STR(c->why, host, c->host);
        CHECK_STR(c->why, top, c->top);
    }
}

TEST(hosts_must_agree)
{
    static const struct grow_layer old[] = { DISK("sdc", NULL, 100, 100),
                                             FS("ocfs2", "/dev/sdc") };
    static const struct grow_layer new[] = { DISK("sda", NULL, 100, 200),
                                             FS("ocfs2", "/dev/sda") };
    static const struct grow_layer two[] = { TWO_PATHS(100, 100, 100),
                                             FS("ocfs2", "/dev/mapper/mpatha") };
    CLEANUP(grow_look_done) struct grow_look a, b, c;
    make_look(old, 2, &a);
    make_look(new, 2, &b);
    make_look(two, 4, &c);
    b.host = "g";
    CLEANUP(err_drop) struct err *e = grow_check_hosts(&a, &b);
    CHECK_STR("one still has the old size", err_why(e),
              "hosts h and g disagree: sdc has 100 bytes, sda has 200");
    CHECK_OK("names and paths are each host's own", grow_check_hosts(&b, &c));
    CHECK_ERR("another host sees no disk at all",
              grow_check_hosts(&b, &(struct grow_look){ .host = "x" }), ERR_CONSTRAINT);
    CLEANUP(free_drop) char *text = grow_text(&c);
    CHECK_STR(
        "for people", text,
        "sda 200 B (kernel: 100 B) > sdb 200 B (kernel: 100 B) > mpatha 100 B > ocfs2 on /srv/p 90 B");
}

TEST(nonsense_is_no_look)
{
    static const char *const texts[] = {
        "[]",
        "{}",
        "{\"layers\":[{}]}",
        "{\"layers\":[{\"kind\":\"moon\",\"name\":\"a\",\"node\":\"b\",\"bytes\":1}]}",
        "{\"layers\":[{\"kind\":\"disk\",\"name\":\"a\",\"node\":\"b\",\"bytes\":-1}]}",
        "{\"layers\":[{\"kind\":\"disk\",\"name\":\"a\",\"bytes\":1}]}"
    };
    for (size_t i = 0; i < N_ELEMS(texts); i++) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        CLEANUP(grow_look_done) struct grow_look look;
        struct json j;
        CHECK_OK("JSON", json_parse_str(&arena, texts[i], &j));
        CHECK_ERR(texts[i], grow_look_decode(&j, &look), ERR_SYNTAX);
    }
}
