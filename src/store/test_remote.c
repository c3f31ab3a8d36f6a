/* store/test_remote.c: plans of pools whose storage is elsewhere: netfs, iscsi, scsi, mpath; and what
 * their programs print. */
#include "test.h"

#include "base/str.h"
#include "store/backend/lun_i.h"
#include "store/gate.h"
#include "store/poolxml.h"
#include "store/sources.h"

enum verb {
    CHECK_IT,
    BUILD,
    START,
    STOP,
    REFRESH,
    DELETE,
    FIND,
    CREATE,
    UPLOAD,
    DOWNLOAD,
    WIPE
};

#define NFS(format, more)                                                                  \
    "<pool type='netfs'><name>n</name><source><host name='h'/><dir path='/x'/>" format     \
    "</source><target><path>/p</path></target>" more "</pool>"
#define LOOK(what) "look for the mount of " what " on /p\n"
#define SCAN(what) "open directory /p, where it must be mounted: " what "\nlist volumes\n"
#define ISCSI(host, more)                                                                  \
    "<pool type='iscsi'><name>i</name><source><host name='" host "'/>"                     \
    "<device path='iqn.2024-01.t:x'/>" more "</source>"                                    \
    "<target><path>/dev/disk/by-path</path></target></pool>"
#define NODE "iscsiadm --mode node --portal h:3260,1 --targetname iqn.2024-01.t:x "
#define IF_OFF " # unless it is active\n"
#define IF_ON " # if it is active\n"
#define LUNS(what)                                                                         \
    "look for new LUNs and sizes at " what "\nwait for udev\nlist LUNs of " what "\n"
#define TARGET_X "target iqn.2024-01.t:x at h:3260"
#define SCSI(adapter)                                                                      \
    "<pool type='scsi'><name>s</name><source>" adapter "</source>"                         \
    "<target><path>/dev/disk/by-id</path></target></pool>"
#define FC(more)                                                                           \
    SCSI("<adapter type='fc_host' wwnn='2000000000000001' wwpn='1000000000000001' "        \
         "parent='scsi_host5'" more "/>")
#define MPATH                                                                              \
    "<pool type='mpath'><name>m</name><target><path>/dev/mapper</path></target></pool>"

static const struct remote_case {
    const char *why, *xml;
    enum verb verb;
    int flags;
    const char *want;
} cases[] = {
    /* clang-format off */
    { "the kernel knows what is mounted", NFS("", ""), CHECK_IT, 0, LOOK("h:/x") },
    { "auto: no -t", NFS("", ""), START, 0, LOOK("h:/x") "mount -o nodev,nosuid,noexec h:/x /p" IF_OFF SCAN("h:/x") },
    { "nfs with its version", NFS("<format type='nfs'/><protocol ver='4.1'/>", ""), START, 0,
      LOOK("h:/x") "mount -o nodev,nosuid,noexec,nfsvers=4.1 -t nfs h:/x /p" IF_OFF SCAN("h:/x") },
    { "glusterfs", NFS("<format type='glusterfs'/>", ""), START, 0,
      LOOK("h:/x") "mount -o nodev,nosuid,noexec,direct-io-mode=1 -t glusterfs h:/x /p" IF_OFF SCAN("h:/x") },
    { "cifs", NFS("<format type='cifs'/>", ""), START, 0,
      LOOK("//h/x") "mount -o nodev,nosuid,noexec,guest -t cifs //h/x /p" IF_OFF SCAN("//h/x") },
    { "options of the user's", "<pool type='netfs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'><name>n</name>"
      "<source><host name='h'/><dir path='/x'/></source><target><path>/p</path></target>"
      "<fs:mount_opts><fs:option name='soft'/><fs:option name='timeo=5'/></fs:mount_opts></pool>", START, 0,
      LOOK("h:/x") "mount -o nodev,nosuid,noexec,soft,timeo=5 h:/x /p" IF_OFF SCAN("h:/x") },
    { "but not two in one", "<pool type='netfs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'><name>n</name>"
      "<source><host name='h'/><dir path='/x'/></source><target><path>/p</path></target>"
      "<fs:mount_opts><fs:option name='soft,suid'/></fs:mount_opts></pool>", START, 0, "! 27: 'soft,suid' is no mount option" },
    { "IPv6", "<pool type='netfs'><name>n</name><source><host name='fe80::1'/><dir path='/x'/></source>"
      "<target><path>/p</path></target></pool>", CHECK_IT, 0, LOOK("'[fe80::1]:/x'") },
    { "stop", NFS("", ""), STOP, 0, LOOK("h:/x") "umount /p" IF_ON },
    { "two servers", "<pool type='netfs'><name>n</name><source><host name='h'/><host name='g'/><dir path='/x'/></source>"
      "<target><path>/p</path></target></pool>", START, 0, "! 67: expected exactly 1 host for the storage pool" },
    { "a server is not an option", "<pool type='netfs'><name>n</name><source><host name='-o'/><dir path='/x'/></source>"
      "<target><path>/p</path></target></pool>", START, 0, "! 8: '-o' is no name of a host" },
    { "a build makes the directory", NFS("", ""), BUILD, 0, "make directory /p\n" },
    { "and formats nothing", NFS("", ""), BUILD, BUILD_OVERWRITE, "! 55: No source device specified when formatting pool 'n'" },
    { "a delete removes it", NFS("", ""), DELETE, 0, "remove directory /p\n" },
    { "nothing is made on a bare mount point", NFS("", ""), CREATE, 0,
      "open directory /p, where it must be mounted: h:/x\ncheck room for 1 bytes, 0 of them at once\n"
      "make temporary file for v\nundo: discard temporary file for v\nset size to 1 bytes\nset mode 0600\n"
      "sync and name it v\nundo: remove file v\nlook at v\n" },
    { "exports", NFS("", ""), FIND, 0, "showmount --no-headers --exports h\nlist the exports\n" },

    { "a session is asked of the kernel", ISCSI("h", ""), CHECK_IT, 0, "look for a session to " TARGET_X "\n" },
    { "login", ISCSI("h", ""), START, 0, "look for a session to " TARGET_X "\n" NODE "--op new" IF_OFF NODE "--login" IF_OFF
      LUNS(TARGET_X) },
    { "the password is in no argument", ISCSI("h", "<auth type='chap' username='u'><secret usage='s'/></auth>"), START, 0,
      "look for a session to " TARGET_X "\n" NODE "--op new" IF_OFF
      "write name and password into the node record of " TARGET_X IF_OFF NODE "--login" IF_OFF LUNS(TARGET_X) },
    { "an initiator of one's own", ISCSI("h", "<initiator><iqn name='iqn.2024-01.t:me'/></initiator>"), START, 0,
      "look for a session to " TARGET_X "\niscsiadm --mode iface --interface byre-3116d1c9 --op new" IF_OFF
      "iscsiadm --mode iface --interface byre-3116d1c9 --op update --name iface.initiatorname --value iqn.2024-01.t:me" IF_OFF
      NODE "--interface byre-3116d1c9 --op new" IF_OFF NODE "--login --interface byre-3116d1c9" IF_OFF LUNS(TARGET_X) },
    { "a name of a target goes into a path", ISCSI("h", ""), STOP, 0,
      "look for a session to " TARGET_X "\nmake sure that nothing uses a LUN of " TARGET_X IF_ON
      "iscsiadm --mode node --targetname iqn.2024-01.t:x --logout" IF_ON NODE "--op delete" IF_ON },
    { "so it is looked at", "<pool type='iscsi'><name>i</name><source><host name='h'/><device path='../x'/></source>"
      "<target><path>/dev</path></target></pool>", START, 0, "! 8: '../x' is no name of an iSCSI target" },
    { "a host is not an option", ISCSI("-x", ""), START, 0, "! 8: '-x' is no name of a host" },
    { "LUNs are made on the target", ISCSI("h", ""), CREATE, 0, "! 3: storage pool does not support volume creation" },
    { "no such thing as building", ISCSI("h", ""), BUILD, 0, "" },
    { "nor as deleting", ISCSI("h", ""), DELETE, 0, "! 3: pool does not support pool deletion" },
    { "a LUN is looked up by its name", ISCSI("h", ""), UPLOAD, 0, "open LUN v\nreceive data at 5, 10 bytes\n" },
    { "and read", ISCSI("h", ""), DOWNLOAD, 0, "open LUN v\nsend data at 5, 10 bytes\n" },
    { "targets", ISCSI("h", ""), FIND, 0,
      "iscsiadm --mode discovery --type sendtargets --portal h:3260 --op nonpersistent\nlist the targets\n" },

    { "an adapter is there or not", SCSI("<adapter type='scsi_host' name='scsi_host3'/>"), CHECK_IT, 0, "look for scsi_host3\n" },
    { "its LUNs", SCSI("<adapter type='scsi_host' name='scsi_host3'/>"), START, 0, "look for scsi_host3\n" LUNS("scsi_host3") },
    { "no adapter", SCSI("<adapter name='foo'/>"), START, 0, "! 1: Invalid adapter name 'foo' for SCSI pool" },
    { "a virtual port is made", FC(""), START, 0, "look for fc_host 1000000000000001\nmake the virtual port fc_host 1000000000000001"
      IF_OFF "look for fc_host 1000000000000001\n" LUNS("fc_host 1000000000000001") },
    { "stays, if it is not ours", FC(""), STOP, 0, "look for fc_host 1000000000000001\n" },
    { "or goes", FC(" managed='yes'"), STOP, 0,
      "look for fc_host 1000000000000001\nremove the virtual port fc_host 1000000000000001" IF_ON },
    { "sources", SCSI("<adapter name='host3'/>"), FIND, 0, "! 3: pool type 'scsi' does not support source discovery" },

    { "multipath maps", MPATH, REFRESH, 0, "wait for udev\n"
      "dmsetup info -c --noheadings --separator / -o minor,name,uuid\ndmsetup status --target multipath\n"
      "list the multipath maps\nlook at the volumes' devices\n" },
    { "nothing to stop", MPATH, STOP, 0, "" },
    { "wipe", MPATH, WIPE, WIPE_ZERO, "open LUN v\noverwrite: zero\n" },
    /* clang-format on */
};

static struct err *
run(const struct remote_case *c, const struct pool *pool, struct plan *plan)
{
    struct vol vol;
    vol_init(&vol);
    vol.name = "v";
    vol.capacity = 1;
    vol.allocation = 0;
    switch (c->verb) {
    case CHECK_IT: return gate_pool_check(pool, plan);
    case BUILD: return gate_pool_build(pool, c->flags, plan);
    case START: return gate_pool_start(pool, plan);
    case STOP: return gate_pool_stop(pool, plan);
    case REFRESH: return gate_pool_refresh(pool, plan);
    case DELETE: return gate_pool_delete(pool, plan);
    case FIND: return gate_find_sources(pool, plan);
    case CREATE: return gate_vol_create(pool, &vol, 0, plan);
    case UPLOAD: return gate_vol_upload(pool, &vol, 5, 10, plan);
    case DOWNLOAD: return gate_vol_download(pool, &vol, 5, 10, plan);
    case WIPE: return gate_vol_wipe(pool, &vol, (enum wipe_algorithm) c->flags, plan);
    }
    return NULL;
}

TEST(plans)
{
    for (const struct remote_case *c = cases; c < cases + N_ELEMS(cases); c++) {
        CLEANUP(pool_done) struct pool pool;
        CLEANUP(plan_done) struct plan plan = PLAN_INIT;
        pool_init(&pool);
        CLEANUP(err_drop) struct err *e = poolxml_parse(c->xml, strlen(c->xml), &pool);
        e = e ? e : run(c, &pool, &plan);
        CLEANUP(free_drop)
        char *failure = e ? str_dupf("! %d: %s", err_code(e), err_why(e)) : NULL;
        CHECK_STR(c->why, failure ? failure : plan_text(&plan), c->want);
    }
}

/* Runs 'parse' over what one command (or two) printed. */
struct parsed {
    bool active, has_stat;
    struct pool_stat stat;
    struct vol_list vols;
    struct source_list sources;
};

static struct err *
parse(plan_parse_fn *fn, const void *aux, const char *name, const char *text,
      const char *name_2, const char *text_2, struct parsed *ret)
{
    CLEANUP(plan_seen_done) struct plan_seen seen = PLAN_SEEN_INIT;
    *ret = (struct parsed){ .vols = VOL_LIST_INIT, .sources = SOURCE_LIST_INIT };
    plan_seen_put(&seen, name, text, strlen(text));
    if (name_2) {
        plan_seen_put(&seen, name_2, text_2, strlen(text_2));
    }
    struct plan_found found = { &ret->active, &ret->has_stat, &ret->stat, &ret->vols,
                                &ret->sources };
    return fn(&seen, aux, &found);
}

TEST(what_servers_offer)
{
    struct pool_host host = { "h", 0 };
    struct pool spec = { .type = POOL_NETFS, .source = { .hosts = &host, .n_hosts = 1 } };
    struct parsed p;
    CHECK_OK("exports",
             parse(netfs_parse_exports, &spec, "exports",
                   "/srv/x      *\n/srv/a b    10.0.0.0/8,h2\nnonsense\n", NULL, NULL, &p));
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    source_list_format(&p.sources, POOL_NETFS, &xml);
    CHECK_STR(
        "as libvirt tells them", buf_cstr(&xml),
        "<sources>\n  <source>\n    <host name='h'/>\n    <dir path='/srv/x'/>\n"
        "    <format type='nfs'/>\n  </source>\n  <source>\n    <host name='h'/>\n"
        "    <dir path='/srv/a b'/>\n    <format type='nfs'/>\n  </source>\n</sources>\n");
    source_list_done(&p.sources);
    CLEANUP(err_drop)
    struct err *none = parse(netfs_parse_exports, &spec, "exports", "", NULL, NULL, &p);
    CHECK_STR("none", err_why(none), "no storage pools were found on host 'h'");
    CHECK_INT("as libvirt says it", err_code(none), 9);
    source_list_done(&p.sources);

    CHECK_OK("targets", parse(iscsi_parse_targets, &spec, "targets",
                              "127.0.0.1:3260,1 iqn.2024-01.test:t1\n"
                              "[fe80::1]:3260,1 iqn.2024-01.test:t1\n"
                              "127.0.0.1:3260,1 iqn.2024-01.test:t2\n"
                              "127.0.0.1:3260,1 ../../etc\n",
                              NULL, NULL, &p));
    buf_clear(&xml);
    source_list_format(&p.sources, POOL_ISCSI, &xml);
    CHECK_STR("each once, and what could be one", buf_cstr(&xml),
              "<sources>\n  <source>\n    <host name='h' port='3260'/>\n"
              "    <device path='iqn.2024-01.test:t1'/>\n  </source>\n  <source>\n"
              "    <host name='h' port='3260'/>\n    <device path='iqn.2024-01.test:t2'/>\n"
              "  </source>\n</sources>\n");
    source_list_done(&p.sources);
}

TEST(multipath_maps)
{
    struct parsed p;
    CHECK_OK(
        "maps",
        parse(
            mpath_parse, NULL, "maps",
            "0/mpatha/mpath-0QEMU_QEMU_HARDDISK_disk1\n"
            " 11/a b/mpath-3600\n1/tvg-lv0/LVM-rXx\n2/mpathc/mpath-36001\nrubbish\n",
            "status",
            "mpatha: 0 2097152 multipath 2 0 0 0 2 1 A 0 1 2 8:16 A 0 0 1 E 0 1 2 8:32 F 1 0 1 \n"
            "mpathc: 0 8 multipath 2 0 0 0 1 1 A 0 1 2 8:48 F 4 0 1 \n"
            "tvg-lv0: 0 100 linear \n",
            &p));
    CHECK_INT("three are multipath's", (int) p.vols.vols.n, 3);
    const struct vol *a = vol_list_find(&p.vols, "dm-0"),
                     *b = vol_list_find(&p.vols, "dm-11");
    const struct vol *c = vol_list_find(&p.vols, "dm-2");
    CHECK("by minor number", a && b && c);
    CHECK_STR("a path that stays", a->target.path, "/dev/mapper/mpatha");
    CHECK_STR("whatever it is called", b->target.path, "/dev/mapper/a b");
    CHECK_INT("in sectors", a->capacity, 2097152 * 512);
    CHECK_STR("one path of two is enough", a->error, NULL);
    CHECK_STR("none is not", c->error,
              "'/dev/mapper/mpathc' has no working path left (1 failed)");
    CHECK_INT("both are told", (int) p.vols.warnings.n, 2);
    CHECK_STR("who", p.vols.warnings.v[0], "volume 'dm-0' (mpatha): 1 of 2 paths failed");
    CHECK("the pool runs", p.active && p.has_stat);
    vol_list_done(&p.vols);
}
