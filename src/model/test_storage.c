/* model/test_storage.c: rows made by hand become pools and volumes. */
#include "test.h"

#include "base/str.h"
#include "data/istring.h"
#include "model/storage.h"

TEST(a_dir_pool)
{
    struct row_metapool m = { .name = "default",
                              .type = "dir",
                              .target_path = "/srv//vm/",
                              .target_mode = "0711",
                              .target_owner = { true, 7 } };
    struct row_pool row = { .name = "default",
                            .capacity = { true, 100 },
                            .available = { true, 60 } };
    uuid_random(&row.base.uuid);

    CLEANUP(pool_done) struct pool p;
    CHECK_OK("taken", model_pool(&m, &row, &p));
    CHECK_INT("type", p.type, POOL_DIR);
    CHECK_STR("path is tidied", p.target.path, "/srv/vm");
    CHECK_INT("mode", p.target.perms.mode, 0711);
    CHECK_INT("owner", p.target.perms.owner, 7);
    CHECK_INT("group unset", p.target.perms.group, -1);
    CHECK("uuid is the row's", uuid_eq(&p.uuid, &row.base.uuid));
    CHECK_INT("capacity", p.capacity, 100);
    CHECK("no options", p.mount_opts == NULL);
}

/* Each of these columns lands where its name says: the same table writes them. */
TEST(plain_texts)
{
    struct row_metapool m = { .name = "n", .type = "iscsi" };
    struct row_pool row = { .name = "n" };
    struct pool p;
    for (size_t i = 0; i < N_MODEL_POOL_TEXTS; i++) {
        *(const char **) (void *) ((char *) &m + model_pool_texts[i].in_row) =
            model_pool_texts[i].column;
    }
    CHECK_OK("taken", model_pool(&m, &row, &p));
    const struct {
        const char *got, *want;
    } rows[] = {
        { p.source.name, "source_name" },
        { p.source.dir, "source_dir" },
        { p.source.format, "source_format" },
        { p.source.initiator, "source_initiator" },
        { p.source.protocol_ver, "source_protocol_ver" },
        { p.source.adapter.name, "source_adapter_name" },
        { p.source.adapter.parent, "source_adapter_parent" },
        { p.source.adapter.wwnn, "source_adapter_wwnn" },
        { p.source.adapter.wwpn, "source_adapter_wwpn" },
        { p.source.auth.type, "auth_type" },
        { p.source.auth.username, "auth_username" },
        { p.target.path, "target_path" },
    };
    CHECK_INT("all", N_ELEMS(rows), N_MODEL_POOL_TEXTS);
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        CHECK_STR(rows[i].want, rows[i].got, rows[i].want);
    }
    pool_done(&p);
}

TEST(hosts_and_options)
{
    static const struct {
        const char *text, *name;
        int port; /* -1: refused. */
    } cases[] = {
        { "nas", "nas", 0 },
        { "nas:2049", "nas", 2049 },
        { "[fe80::1]:3260", "fe80::1", 3260 },
        { "[fe80::1]", "fe80::1", 0 },
        { "fe80::1", "fe80::1", 0 },
        { "nas:0", "", -1 },
        { "nas:x", "", -1 },
        { "nas:70000", "", -1 },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        union atom host = { .string = istring_new(cases[i].text, strlen(cases[i].text)) };
        struct row_metapool m = { .name = "n",
                                  .type = "netfs",
                                  .target_path = "/mnt",
                                  .source_dir = "/x",
                                  .mount_options = "ro,nosuid",
                                  .source_hosts = { 1, &host } };
        struct row_pool row = { .name = "n" };
        struct pool p;
        struct err *e = model_pool(&m, &row, &p);
        if (cases[i].port < 0) {
            CHECK_ERR(cases[i].text, e, ERR_CONSTRAINT);
        } else {
            CHECK_OK(cases[i].text, e);
            CHECK_STR(cases[i].text, p.source.hosts[0].name, cases[i].name);
            CHECK_INT(cases[i].text, p.source.hosts[0].port, cases[i].port);
            CHECK_STR("second option", p.mount_opts[1], "nosuid");
            CHECK_STR("default format", p.source.format, "auto");
            pool_done(&p);
        }
        istring_unref(host.string);
    }
}

TEST(bad_rows_are_refused)
{
    struct row_pool row = { .name = "p" };
    struct pool p;
    struct row_metapool type = { .type = "floppy" };
    CHECK_BRIEF("type", model_pool(&type, &row, &p),
                "constraint: type 'floppy' is not a type of pool");
    struct row_metapool mode = { .type = "dir", .target_mode = "0888" };
    CHECK_BRIEF("mode", model_pool(&mode, &row, &p),
                "constraint: target_mode '0888' is not an octal mode up to 0777");
}

TEST(volumes)
{
    struct row_volume row = { .name = "db1", .size = { true, 10 }, .format = "qcow2" };
    CHECK_INT("MiB", model_vol_capacity(&row), 10 * MIB);
    row.wanted_capacity = (struct typed_int){ true, 4097 };
    CHECK_INT("bytes win", model_vol_capacity(&row), 4097);

    struct vol v;
    CHECK_OK("taken", model_vol(&row, NULL, POOL_DIR, &v));
    CHECK_STR("format", v.target.format, "qcow2");
    CHECK_INT("sparse unless asked", v.allocation, 0);
    CHECK("no backing", v.backing.path == NULL);
    vol_done(&v);

    struct row_volume base = { .name = "base", .filepath = "/srv/base", .format = "raw" };
    uuid_random(&row.backing);
    CHECK_OK("on another", model_vol(&row, &base, POOL_DIR, &v));
    CHECK_STR("path", v.backing.path, "/srv/base");
    CHECK_STR("format", v.backing.format, "raw");
    vol_done(&v);
    base.filepath = NULL;
    CHECK_ERR("which is not made yet", model_vol(&row, &base, POOL_DIR, &v), ERR_NOT_FOUND);
}
