/* store/test_gate.c: a row is a test; the real gate and backends run, no disk is touched. */
#include "test.h"

#include "base/str.h"
#include "store/conflict.h"
#include "store/fetch.h"
#include "store/gate.h"
#include "store/poolxml.h"
#include "store/volxml.h"

enum verb { CREATE, DELETE, RESIZE, STAT, UPLOAD, UPLOAD_ALL, DOWNLOAD, WIPE };

#define ROOT "open directory /p\n"
#define FINISH(name, mode)                                                                 \
    "set mode " mode "\nsync and name it " name "\nundo: remove file " name                \
    "\nlook at " name "\n"
#define TEMP(name)                                                                         \
    "make temporary file for " name "\nundo: discard temporary file for " name "\n"

static const struct plan_case {
    const char *why;
    enum verb verb;
    const char *vol; /* Body of <volume>. */
    int flags;
    int64_t n; /* New capacity, offset, or algorithm. */
    const char *want;
} cases[] = {
    /* clang-format off */
    { "sparse raw", CREATE, "<name>a</name><capacity>10</capacity><allocation>0</allocation>", 0, 0,
      ROOT "check room for 10 bytes, 0 of them at once\n" TEMP("a") "set size to 10 bytes\n" FINISH("a", "0600") },
    { "full raw with owner", CREATE, "<name>a</name><capacity>10</capacity><target><permissions><mode>0644</mode>"
      "<owner>5</owner></permissions></target>", 0, 0,
      ROOT "check room for 10 bytes, 10 of them at once\n" TEMP("a") "set size to 10 bytes\nallocate 10 bytes\n"
      "set owner 5\n" FINISH("a", "0644") },
    { "iso is raw", CREATE, "<name>a</name><capacity>1</capacity><allocation>0</allocation><target><format type='iso'/></target>",
      0, 0, ROOT "check room for 1 bytes, 0 of them at once\n" TEMP("a") "set size to 1 bytes\n" FINISH("a", "0600") },
    { "qcow2 is made with compat 1.1, KiB round up", CREATE,
      "<name>a b</name><capacity>1025</capacity><target><format type='qcow2'/></target>", 0, 0,
      ROOT "check room for 1025 bytes, 0 of them at once\n" TEMP("a b")
      "qemu-img create -q -f qcow2 -o compat=1.1 '/p/a b' 2K\n" FINISH("a b", "0600") },
    { "all of qcow2's options in libvirt's order", CREATE,
      "<name>a</name><capacity>1024</capacity><target><format type='qcow2'/><nocow/><clusterSize unit='k'>64</clusterSize>"
      "<features><extended_l2/><lazy_refcounts/></features></target>"
      "<backingStore><path>/b</path><format type='qcow2'/></backingStore>", 0, 0,
      ROOT "check room for 1024 bytes, 0 of them at once\ncheck backing image /b\n" TEMP("a")
      "qemu-img create -q -f qcow2 -b /b -o backing_fmt=qcow2,nocow=on,compat=1.1,cluster_size=65536,lazy_refcounts=on,"
      "extended_l2=on /p/a 1K\n" FINISH("a", "0600") },
    { "an overlay takes the size of what is below", CREATE,
      "<name>a</name><target><format type='qcow2'/></target><backingStore><path>b</path></backingStore>", 0, 0,
      ROOT "check room for 0 bytes, 0 of them at once\ncheck backing image b\n" TEMP("a")
      "qemu-img create -q -f qcow2 -b b -o backing_fmt=raw,compat=1.1 /p/a\n" FINISH("a", "0600") },
    { "preallocated metadata", CREATE, "<name>a</name><capacity>4096</capacity><allocation>0</allocation>"
      "<target><format type='qcow2'/></target>", VOL_PREALLOC_METADATA, 0,
      ROOT "check room for 4096 bytes, 0 of them at once\n" TEMP("a")
      "qemu-img create -q -f qcow2 -o preallocation=metadata,compat=1.1 /p/a 4K\n" FINISH("a", "0600") },
    { "other formats", CREATE, "<name>a</name><capacity>4096</capacity><target><format type='vdi'/></target>", 0, 0,
      ROOT "check room for 4096 bytes, 0 of them at once\n" TEMP("a") "qemu-img create -q -f vdi /p/a 4K\n" FINISH("a", "0600") },
    { "a directory", CREATE, "<name>a</name><capacity>0</capacity><target><format type='dir'/></target>", 0, 0,
      ROOT "make directory a\nundo: remove directory a\nlook at a\n" },
    { "a name cannot leave the pool", CREATE, "<name>../etc</name><capacity>1</capacity>", 0, 0,
      "! 55: volume name '../etc' cannot contain '/'" },
    { "a name is not an option", CREATE, "<name>-f</name><capacity>1</capacity>", 0, 0,
      "! 55: volume name '-f' cannot start with '-'" },
    { "raw has no backing", CREATE, "<name>a</name><capacity>1</capacity><backingStore><path>/b</path></backingStore>", 0, 0,
      "! 3: backing storage not supported for raw volumes" },
    { "raw has no metadata", CREATE, "<name>a</name><capacity>1</capacity>", VOL_PREALLOC_METADATA, 0,
      "! 67: metadata preallocation is not supported for raw volumes" },
    { "nor has vdi", CREATE, "<name>a</name><capacity>1</capacity><target><format type='vdi'/></target>", VOL_PREALLOC_METADATA, 0,
      "! 67: metadata preallocation only available with qcow2" },
    { "compat elsewhere", CREATE, "<name>a</name><capacity>1</capacity><target><format type='vdi'/><compat>1.1</compat></target>", 0, 0,
      "! 67: compatibility option only available with qcow2" },
    { "lazy in 0.10", CREATE, "<name>a</name><capacity>1</capacity><target><format type='qcow2'/><compat>0.10</compat>"
      "<features><lazy_refcounts/></features></target>", 0, 0, "! 67: lazy_refcounts not supported with compat level 0.10" },
    { "metadata and backing", CREATE, "<name>a</name><capacity>1</capacity><target><format type='qcow2'/></target>"
      "<backingStore><path>/b</path></backingStore>", VOL_PREALLOC_METADATA, 0,
      "! 67: metadata preallocation conflicts with backing store" },
    { "a backing store is a file", CREATE, "<name>a</name><capacity>1</capacity><target><format type='qcow2'/></target>"
      "<backingStore><path>nbd:x</path></backingStore>", 0, 0, "! 67: backing store 'nbd:x' is not the path of a file" },
    { "qcow encryption", CREATE, "<name>a</name><capacity>1</capacity><target><format type='qcow2'/><encryption format='qcow'/>"
      "</target>", 0, 0, "! 67: creation of qcow2 encrypted image is not supported" },
    { "encrypted vmdk", CREATE, "<name>a</name><capacity>1</capacity><target><format type='vmdk'/><encryption format='luks'/>"
      "</target>", 0, 0, "! 67: volume encryption unsupported with format vmdk" },
    { "luks needs its secret", CREATE, "<name>a</name><capacity>1</capacity><target><encryption format='luks'/></target>", 0, 0,
      "! 8: A single <secret type='passphrase'...> element is expected in encryption description" },
    { "unknown flag", CREATE, "<name>a</name><capacity>1</capacity>", 1024, 0,
      "! 8: unsupported flags (0x400) in function gate_vol_create" },
    { "file", DELETE, "<name>a</name><capacity>1</capacity>", 0, 0, ROOT "remove file a\n" },
    { "directory", DELETE, "<name>a</name><capacity>1</capacity><target><format type='dir'/></target>", 0, 0,
      ROOT "remove directory a\n" },
    { "raw grows", RESIZE, "<name>a</name><capacity>1</capacity>", 0, 4096,
      ROOT "open a for writing\ncheck that it has at most 4096 bytes\ncheck room for 4096 bytes, 0 of them at once\n"
      "set size to 4096 bytes\nlook at a\n" },
    { "and gets its blocks", RESIZE, "<name>a</name><capacity>1</capacity>", VOL_ALLOCATE, 4096,
      ROOT "open a for writing\ncheck that it has at most 4096 bytes\ncheck room for 4096 bytes, 0 of them at once\n"
      "set size to 4096 bytes\nallocate 4096 bytes\nlook at a\n" },
    { "the format is said, sectors round up", RESIZE, "<name>a</name><capacity>1</capacity><target><format type='qcow2'/></target>", 0, 4097,
      ROOT "open a for writing\ncheck that it has at most 4097 bytes\ncheck room for 4097 bytes, 0 of them at once\n"
      "qemu-img resize -q -f qcow2 /p/a 4608\nlook at a\n" },
    { "shrink", RESIZE, "<name>a</name><capacity>1</capacity><target><format type='qcow2'/></target>", VOL_SHRINK, 512,
      ROOT "open a for writing\ncheck that it has at most 512 bytes\ncheck room for 512 bytes, 0 of them at once\n"
      "qemu-img resize -q --shrink -f qcow2 /p/a 512\nlook at a\n" },
    { "allocate qcow2", RESIZE, "<name>a</name><capacity>1</capacity><target><format type='qcow2'/></target>", VOL_ALLOCATE, 4096,
      "! 84: preallocate is only supported for raw type volume" },
    { "to nothing", RESIZE, "<name>a</name><capacity>1</capacity>", 0, 0,
      "! 8: capacity in virStorageVolResize cannot be zero without 'delta' or 'shrink' flags set" },
    { "upload", UPLOAD, "<name>a</name><capacity>1</capacity>", 0, 512,
      ROOT "open a for writing\nreceive data at 512, 10 bytes\nlook at a\n" },
    { "download", DOWNLOAD, "<name>a</name><capacity>1</capacity>", 0, 0, ROOT "open a for reading\nsend data at 0, 10 bytes\n" },
    { "no range", DOWNLOAD, "<name>a</name><capacity>1</capacity>", 0, -1, "! 8: offset -1 and length 10 are no range" },
    { "zeros", WIPE, "<name>a</name><capacity>1</capacity>", 0, WIPE_ZERO,
      ROOT "open a for writing\noverwrite: zero\nlook at a\n" },
    { "by an algorithm", WIPE, "<name>a</name><capacity>1</capacity>", 0, WIPE_PFITZNER7,
      ROOT "open a for writing\noverwrite: pfitzner7\nlook at a\n" },
    { "an image is made anew", WIPE,
      "<name>a</name><capacity>1</capacity><target><format type='qcow2'/></target>", 0, WIPE_TRIM,
      ROOT "open a for writing\noverwrite: trim\nqemu-img create -q -f qcow2 -o compat=1.1 /p/a 1K\nlook at a\n" },
    { "what cannot be made anew", WIPE,
      "<name>a</name><capacity>1</capacity><target><format type='dir'/></target>", 0, WIPE_ZERO,
      "! 84: a volume of format dir cannot be wiped" },
    { "upload of all", UPLOAD_ALL, "<name>a</name><capacity>1</capacity>", 0, 0,
      ROOT "open source /p/a\nmake temporary file for a\nundo: discard temporary file for a\n"
      "make it like the old one\nreceive data at 0\nkeep what lies behind\n"
      "sync and put it in the place of a\nlook at a\n" },
    { "unknown algorithm", WIPE, "<name>a</name><capacity>1</capacity>", 0, 99, "! 8: wiping algorithm 99 not supported" },
    { "look", STAT, "<name>a</name><capacity>1</capacity>", 0, 0, ROOT "look at a\n" },
    /* clang-format on */
};

static struct err *
run_gate(const struct pool *pool, const struct vol *vol, const struct plan_case *c,
         struct plan *plan)
{
    switch (c->verb) {
    case CREATE: return gate_vol_create(pool, vol, c->flags, plan);
    case DELETE: return gate_vol_delete(pool, vol, plan);
    case RESIZE: return gate_vol_resize(pool, vol, c->n, c->flags, plan);
    case STAT: return gate_vol_stat(pool, vol, plan);
    case UPLOAD: return gate_vol_upload(pool, vol, c->n, 10, plan);
    case UPLOAD_ALL: return gate_vol_upload(pool, vol, 0, 0, plan);
    case DOWNLOAD: return gate_vol_download(pool, vol, c->n, 10, plan);
    case WIPE: return gate_vol_wipe(pool, vol, (enum wipe_algorithm) c->n, plan);
    }
    return NULL;
}

static void
make_pool(struct pool *pool)
{
    pool_init(pool);
    pool->name = "fast";
    pool->target.path = "/p";
}

TEST(volumes)
{
    struct pool pool;
    make_pool(&pool);
    for (const struct plan_case *c = cases; c < cases + N_ELEMS(cases); c++) {
        CLEANUP(vol_done) struct vol vol;
        vol_init(&vol);
        CLEANUP(free_drop) char *xml = str_dupf("<volume>%s</volume>", c->vol);
        CHECK_OK(c->why, volxml_parse(xml, strlen(xml), POOL_DIR, 0, &vol));
        CLEANUP(plan_done) struct plan plan = PLAN_INIT;
        CLEANUP(err_drop) struct err *e = run_gate(&pool, &vol, c, &plan);
        CLEANUP(free_drop)
        char *got = e ? str_dupf("! %s", err_brief(e)) : str_dup(plan_text(&plan));
        CHECK_STR(c->why, got, c->want);
    }
}

TEST(clones)
{
    struct pool pool, from;
    make_pool(&pool);
    make_pool(&from);
    from.target.path = "/q";
    static const struct {
        const char *why, *source_format, *format;
        int64_t capacity, allocation;
        int flags;
        const char *want;
    } rows[] = {
        /* clang-format off */
        { "sparse raw", "raw", "raw", 100, 0, 0,
          ROOT "open source /q/s\ncheck room for 100 bytes, 0 of them at once\n" TEMP("n")
          "copy source, up to 100 bytes, keeping holes\nset size to 100 bytes\n" FINISH("n", "0600") },
        { "full raw, larger", "raw", "raw", 200, -1, 0,
          ROOT "open source /q/s\ncheck room for 200 bytes, 200 of them at once\n" TEMP("n")
          "copy source, up to 100 bytes\nset size to 200 bytes\nallocate 200 bytes\n" FINISH("n", "0600") },
        { "conversion", "vdi", "qcow2", 100, -1, 0,
          ROOT "open source /q/s\ncheck room for 100 bytes, 0 of them at once\n" TEMP("n")
          "qemu-img convert -p -f vdi -O qcow2 -o compat=1.1 /q/s /p/n\n" FINISH("n", "0600") },
        { "a larger clone really is larger", "qcow2", "raw", 1024, 0, 0,
          ROOT "open source /q/s\ncheck room for 1024 bytes, 0 of them at once\n" TEMP("n")
          "qemu-img convert -p -f qcow2 -O raw /q/s /p/n\nqemu-img resize -q -f raw /p/n 1024\n" FINISH("n", "0600") },
        { "reflink of images", "qcow2", "qcow2", 100, 0, VOL_REFLINK,
          "! 8: reflink is only possible between raw volumes" },
        { "directories", "dir", "raw", 100, 0, 0, "! 67: a volume of format dir cannot be cloned" },
        /* clang-format on */
    };
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct vol source, vol;
        vol_init(&source);
        vol_init(&vol);
        source.name = "s";
        source.capacity = 100;
        source.target.format = rows[i].source_format;
        vol.name = "n";
        vol.capacity = rows[i].capacity;
        vol.allocation = rows[i].allocation;
        vol.target.format = rows[i].format;
        CLEANUP(plan_done) struct plan plan = PLAN_INIT;
        CLEANUP(err_drop)
        struct err *e = gate_vol_clone(&pool, &vol, &from, &source, rows[i].flags, &plan);
        CLEANUP(free_drop)
        char *got = e ? str_dupf("! %s", err_brief(e)) : str_dup(plan_text(&plan));
        CHECK_STR(rows[i].why, got, rows[i].want);
    }

    struct vol same;
    vol_init(&same);
    same.name = "s";
    same.capacity = 1;
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    CHECK_BRIEF("onto itself", gate_vol_clone(&pool, &same, &pool, &same, 0, &plan),
                "1: storage volume name 's' already in use.");
}

TEST(pools)
{
    struct pool pool;
    make_pool(&pool);
    CLEANUP(plan_done) struct plan plan = PLAN_INIT;
    CHECK_OK("check", gate_pool_check(&pool, &plan));
    CHECK_OK("build", gate_pool_build(&pool, 0, &plan));
    CHECK_OK("start lists", gate_pool_start(&pool, &plan));
    CHECK_OK("stop is nothing", gate_pool_stop(&pool, &plan));
    CHECK_OK("delete", gate_pool_delete(&pool, &plan));
    CHECK_STR("text", plan_text(&plan),
              "look for directory /p\nmake directory /p\nopen directory /p\nlist volumes\n"
              "remove directory /p\n");
    CHECK_BRIEF("no mkfs for a directory", gate_pool_build(&pool, BUILD_OVERWRITE, &plan),
                "55: No source device specified when formatting pool 'fast'");
    CHECK_BRIEF("both", gate_pool_build(&pool, BUILD_OVERWRITE | BUILD_NO_OVERWRITE, &plan),
                "8: overwrite and no-overwrite flags are mutually exclusive");
    pool.type = POOL_RBD;
    CHECK_BRIEF("no backend", gate_pool_define(&pool),
                "1: missing backend for pool type 9 (rbd)");
}

TEST(targets)
{
    static const struct {
        const char *path, *want;
    } rows[] = {
        { "/srv/images", "success" },
        { "//srv/images", "success" },
        { "/etcetera", "success" },
        { "/var/lib/byre/pools/a..b", "success" },
        { "srv", "8: target path 'srv' of pool 'fast' is not absolute" },
        { "/srv/../etc", "8: target path '/srv/../etc' of pool 'fast' contains '..'" },
        { "/srv/..", "8: target path '/srv/..' of pool 'fast' contains '..'" },
        { "/", "8: target path '/' of pool 'fast' is a directory of the system" },
        { "/etc/ssh",
          "8: target path '/etc/ssh' of pool 'fast' is a directory of the system" },
        { "//usr", "8: target path '//usr' of pool 'fast' is a directory of the system" },
        { "/s\nrv", "8: target path of pool 'fast' has a control character" },
    };
    struct pool pool;
    make_pool(&pool);
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        pool.target.path = rows[i].path;
        CHECK_BRIEF(rows[i].path, gate_pool_define(&pool), rows[i].want);
    }
}

TEST(conflicts)
{
#define DIR(path)                                                                          \
    "<pool type='dir'><name>N</name><target><path>" path "</path></target></pool>"
#define DEV(type, path)                                                                    \
    "<pool type='" type "'><name>N</name><source><device path='" path                      \
    "'/></source><target>"                                                                 \
    "<path>/m</path></target></pool>"
#define NFS(host, dir)                                                                     \
    "<pool type='netfs'><name>N</name><source><host name='" host "'/><dir path='" dir      \
    "'/></source><target><path>/m</path></target></pool>"
#define ISCSI(host, iqn, init)                                                             \
    "<pool type='iscsi'><name>N</name><source><host name='" host "'/><device path='" iqn   \
    "'/>" init "</source><target><path>/dev</path></target></pool>"
#define SCSI(adapter)                                                                      \
    "<pool type='scsi'><name>N</name><source><adapter " adapter "</source><target>"        \
    "<path>/dev</path></target></pool>"
#define FC(n, rest)                                                                        \
    "type='fc_host' wwnn='200000000000000" n "' wwpn='1000000000000000'" rest "/>"
    static const struct {
        const char *why, *a, *b;
        bool conflict;
    } rows[] = {
        { "one directory, spelt twice", DIR("/a//b/"), DIR("/a/b"), true },
        { "two directories", DIR("/a"), DIR("/b"), false },
        { "a dir pool on a mount point", DIR("/m"), DEV("fs", "/dev/x"), false },
        { "fs and logical", DEV("fs", "/dev/x"), DEV("logical", "/dev/x"), true },
        { "disk and fs, other device", DEV("disk", "/dev/x"), DEV("fs", "/dev/y"), false },
        { "one export", NFS("h", "/x"), NFS("h", "/x"), true },
        { "two exports", NFS("h", "/x"), NFS("h", "/y"), false },
        { "names of hosts are text", NFS("localhost", "/x"), NFS("127.0.0.1", "/x"),
          false },
        { "one target, two portals", ISCSI("h", "iqn", ""), ISCSI("i", "iqn", ""), true },
        { "two initiators", ISCSI("h", "iqn", "<initiator><iqn name='a'/></initiator>"),
          ISCSI("h", "iqn", ""), false },
        { "iscsi is no block type", ISCSI("h", "/dev/x", ""), DEV("fs", "/dev/x"), false },
        { "host3 and scsi_host3", SCSI("name='host3'/>"), SCSI("name='scsi_host3'/>"),
          true },
        { "host3 and host4", SCSI("name='host3'/>"), SCSI("name='host4'/>"), false },
        { "one vHBA", SCSI(FC("1", "")), SCSI(FC("1", "")), true },
        { "two vHBAs", SCSI(FC("1", "")), SCSI(FC("2", "")), false },
        { "a vHBA and its parent", SCSI(FC("1", " parent='scsi_host3'")),
          SCSI("name='host3'/>"), true },
        { "multipath",
          "<pool type='mpath'><name>N</name><target><path>/a</path></target></pool>",
          "<pool type='mpath'><name>N</name><target><path>/b</path></target></pool>",
          true },
    };
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        CLEANUP(pool_done) struct pool a;
        CLEANUP(pool_done) struct pool b;
        pool_init(&a);
        pool_init(&b);
        CHECK_OK(rows[i].why, poolxml_parse(rows[i].a, strlen(rows[i].a), &a));
        CHECK_OK(rows[i].why, poolxml_parse(rows[i].b, strlen(rows[i].b), &b));
        const struct pool *others[] = { &b };
        CHECK_OK("itself", conflict_check(&a, others, 1)); /* Both are called N. */
        a.name = "new";
        CHECK_BRIEF(rows[i].why, conflict_check(&a, others, 1),
                    rows[i].conflict ? "9: Storage source conflict with pool: 'N'"
                                     : "success");
    }
}

/* store/fetch.h */
static const struct url_case {
    const char *why, *url, *sha256, *want; /* NULL: fine. */
} urls[] = {
    /* clang-format off */
    { "plain", "http://example.org/a.img", NULL, NULL },
    { "with a port, a query, TLS", "https://[2001:db8::1]:8443/x?k=%20", NULL, NULL },
    { "another scheme", "ftp://example.org/a", NULL, "syntax: the URL is neither http:// nor https://" },
    { "a file", "/etc/passwd", NULL, "syntax: the URL is neither http:// nor https://" },
    { "capitals would pass by the prefix", "HTTP://example.org/", NULL, "syntax: the URL is neither http:// nor https://" },
    { "no host", "http:///a", NULL, "syntax: the URL has no host" },
    { "only a port", "http://:80/a", NULL, "syntax: the URL has no host" },
    { "a password", "http://u:p@example.org/", NULL, "syntax: the URL holds a user's name or password" },
    { "an @ in the path is none", "http://example.org/a@b", NULL, NULL },
    { "an @ behind a ?", "http://example.org?a@b", NULL, NULL },
    { "a second option for curl", "http://example.org/\"\noutput = \"/etc/x", NULL, "syntax: the URL has a character that must be written as %XX" },
    { "a backslash", "http://example.org\\@evil/", NULL, "syntax: the URL holds a user's name or password" },
    { "a space", "http://example.org/a b", NULL, "syntax: the URL has a character that must be written as %XX" },
    { "a short digest", "http://example.org/a", "12ab", "syntax: a SHA-256 is 64 small hexadecimal digits" },
    /* clang-format on */
};

TEST(urls_of_images)
{
    for (const struct url_case *c = urls; c < urls + N_ELEMS(urls); c++) {
        CLEANUP(err_drop) struct err *e = fetch_check(c->url, c->sha256);
        CHECK_STR(c->why, e ? err_brief(e) : NULL, c->want);
    }
}

#define SUM_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SUM_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

TEST(lists_of_checksums)
{
    static const char list[] = "# comment\n" SUM_A "  other.img\n" SUM_B " *disk.img\n"
                               "SHA256 (bsd.img) = " SUM_A "\r\n" SUM_A "  ./dot.img\n"
                               "abc  short.img";
    static const struct {
        const char *name, *want;
    } sums[] = { { "disk.img", SUM_B }, { "other.img", SUM_A }, { "bsd.img", SUM_A },
                 { "dot.img", SUM_A },  { "short.img", NULL },  { "isk.img", NULL },
                 { "", NULL } };
    for (size_t i = 0; i < N_ELEMS(sums); i++) {
        char got[65];
        CLEANUP(err_drop) struct err *e = fetch_find_sum(list, sums[i].name, got);
        CHECK_STR(sums[i].name, e ? NULL : got, sums[i].want);
    }
}
