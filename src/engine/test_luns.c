/* engine/test_luns.c: node records, adapters and virtual ports, in a tree that looks like sysfs. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/luns_i.h"

TEST(a_record_gets_name_and_password_once)
{
    static const struct {
        const char *why, *record, *want;
    } cases[] = {
        { "before the end", "# BEGIN RECORD 2.1.8\nnode.name = x\n# END RECORD\n",
          "# BEGIN RECORD 2.1.8\nnode.name = x\nnode.session.auth.authmethod = CHAP\n"
          "node.session.auth.username = u\nnode.session.auth.password = p w\n# END RECORD\n" },
        { "in place of what was there",
          "a = 1\nnode.session.auth.authmethod = None\nb = 2\nnode.session.auth.password = old\n"
          "node.session.auth.password_in = stays\n# END RECORD\n",
          "a = 1\nnode.session.auth.authmethod = CHAP\nnode.session.auth.username = u\n"
          "node.session.auth.password = p w\nb = 2\nnode.session.auth.password_in = stays\n"
          "# END RECORD\n" },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(buf_done) struct buf out = BUF_INIT;
        iscsi_record_edit(cases[i].record, "u", "p w", &out);
        CHECK_STR(cases[i].why, buf_cstr(&out), cases[i].want);
    }
}

/* A small sysfs with one Fibre Channel port, host5, and one SCSI host at a PCI address, host2. */
static char root[] = "/tmp/byre-sys-XXXXXX";

static void
put(const char *path, const char *text)
{
    CLEANUP(free_drop) char *whole = path_join(root, path);
    CLEANUP(free_drop) char *dir = path_dir(whole);
    CHECK_OK(path, fs_mkdirs(dir, 0700));
    CHECK_OK(path, fs_write_atomic(whole, text, strlen(text), 0600));
}

static char *
got(const char *path)
{
    CLEANUP(free_drop) char *whole = path_join(root, path);
    return sys_read(whole);
}

static void
make_tree(void)
{
    CHECK("a directory", mkdtemp(root));
    luns_roots.sys = root;
    put("devices/pci0000:00/0000:00:1f.2/host2/unique_id", "1\n");
    put("class/scsi_host/README", "");
    CLEANUP(free_drop) char *link = path_join(root, "class/scsi_host/host2");
    CHECK("a link", symlink("../../devices/pci0000:00/0000:00:1f.2/host2", link) == 0);
    put("class/fc_host/host5/node_name", "0x2000000000000001\n");
    put("class/fc_host/host5/port_name", "0x1000000000000001\n");
    put("class/fc_host/host5/vport_create", "");
    put("class/fc_host/host5/vport_delete", "");
    put("class/scsi_host/host5/scan", "");
}

static struct err *
check(struct pool_adapter adapter, bool strict, bool *ret_active)
{
    struct pool pool = { .type = POOL_SCSI, .name = "s", .source.adapter = adapter };
    struct plan_step step = { .kind = STEP_ADAPTER, .aux = &pool, .strict = strict };
    struct engine_result result;
    engine_result_init(&result);
    struct engine engine = { .ret = &result };
    struct err *e = hosts_check(&engine, &step);
    *ret_active = result.active;
    engine_result_done(&result);
    return e;
}

TEST(adapters)
{
    bool active;
    make_tree();
    CHECK_OK("by number",
             check((struct pool_adapter){ .type = ADAPTER_SCSI_HOST, .name = "scsi_host2" },
                   true, &active));
    CHECK("is there", active);
    CHECK_OK("by another",
             check((struct pool_adapter){ .type = ADAPTER_SCSI_HOST, .name = "host7" },
                   false, &active));
    CHECK("is not", !active);
    CHECK_ERR("must be",
              check((struct pool_adapter){ .type = ADAPTER_SCSI_HOST, .name = "host7" },
                    true, &active),
              ERR_NOT_FOUND);
    struct pool_adapter at = { .type = ADAPTER_SCSI_HOST,
                               .has_parentaddr = true,
                               .slot = 0x1f,
                               .function = 2,
                               .unique_id = 1 };
    CHECK_OK("by its place", check(at, true, &active));
    CHECK("there", active);
    at.unique_id = 2;
    CHECK_ERR("with its number", check(at, true, &active), ERR_NOT_FOUND);

    struct pool_adapter fc = { .type = ADAPTER_FC_HOST,
                               .wwnn = "2000000000000001",
                               .wwpn = "1000000000000002",
                               .parent = "scsi_host5" };
    CHECK_OK("no such port yet", check(fc, false, &active));
    CHECK("none", !active);
    struct pool pool = { .type = POOL_SCSI, .name = "s", .source.adapter = fc };
    struct plan_step step = { .kind = STEP_VPORT, .aux = &pool, .write = true };
    CHECK_OK("is made", hosts_vport(NULL, &step));
    CLEANUP(free_drop) char *made = got("class/fc_host/host5/vport_create");
    CHECK_STR("port first", made, "1000000000000002:2000000000000001");
    pool.source.adapter.parent = NULL; /* Then the first that can. */
    step.write = false;
    CHECK_OK("and removed", hosts_vport(NULL, &step));
    CLEANUP(free_drop) char *gone = got("class/fc_host/host5/vport_delete");
    CHECK_STR("the same", gone, "1000000000000002:2000000000000001");
    pool.source.adapter.parent = "host9";
    CHECK_BRIEF("no parent", hosts_vport(NULL, &step),
                "27: parent 'host9' specified for vHBA does not exist");

    put("class/fc_host/host6/node_name", "0x2000000000000001\n");
    put("class/fc_host/host6/port_name", "0x1000000000000002\n");
    put("class/scsi_host/host6/scan", "");
    CHECK_OK("when the kernel has made it", check(fc, true, &active));
    CHECK("it is there", active);
    CLEANUP(free_drop) char *clean = str_dupf("rm -r %s", root);
    CHECK_INT("tidy", system(clean), 0);
}

TEST(one_thing_by_two_names)
{
    static const struct {
        const char *why, *a, *b;
        bool hosts, same;
    } cases[] = {
        { "a host and its address", "localhost", "127.0.0.1", true, true },
        { "another address of it", "127.0.0.1", "127.0.0.7", true, true },
        { "two hosts", "192.0.2.1", "192.0.2.2", true, false },
        { "one elsewhere", "localhost", "192.0.2.1", true, false },
        { "no host at all", "nobody.invalid", "127.0.0.1", true, false },
        { "a directory and a way round", "/proc/self/../..", "/", false, true },
        { "two directories", "/proc", "/", false, false },
        { "what is not there", "/nowhere", "/nowhere/", false, false },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct plan_step step = { .kind = STEP_DISTINCT,
                                  .name = "p",
                                  .dir = cases[i].a,
                                  .backing = cases[i].b,
                                  .strict = cases[i].hosts };
        CLEANUP(err_drop) struct err *e = distinct_check(NULL, &step);
        CHECK_INT(cases[i].why, e != NULL, cases[i].same);
    }
}
