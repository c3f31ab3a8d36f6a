/* store/test_poolxml.c: pool XML against what libvirt 9.0 prints for the same input.  The
 * expected texts were printed by virsh -c test:///default, with the sizes set to 0. */
#include "test.h"

#include "base/buf.h"
#include "base/str.h"
#include "store/code.h"
#include "store/poolxml.h"

#define UUID "9ae81bdd-ddba-4d38-b42e-80796f1bfc6d"
#define HEAD(type, name)                                                                   \
    "<pool type='" type "'>\n  <name>" name "</name>\n  <uuid>" UUID "</uuid>\n"           \
    "  <capacity unit='bytes'>0</capacity>\n  <allocation unit='bytes'>0</allocation>\n"   \
    "  <available unit='bytes'>0</available>\n"
#define TARGET(path) "  <target>\n    <path>" path "</path>\n  </target>\n</pool>\n"

/* The document as it comes out again, or "! code: text". */
static void
check_pool(const char *why, const char *xml, const char *want)
{
    CLEANUP(pool_done) struct pool pool;
    pool_init(&pool);
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    CLEANUP(err_drop) struct err *e = poolxml_parse(xml, strlen(xml), &pool);
    if (e) {
        buf_printf(&out, "! %s", err_brief(e));
    } else {
        if (uuid_is_zero(&pool.uuid)) {
            CHECK("uuid", uuid_parse(UUID, &pool.uuid));
        }
        poolxml_format(&pool, &out);
    }
    CHECK_STR(why, buf_cstr(&out), want);

    if (!e) { /* What comes out is a fixed point. */
        CLEANUP(pool_done) struct pool again;
        pool_init(&again);
        CHECK_OK(why, poolxml_parse(out.data, out.n, &again));
        CLEANUP(buf_done) struct buf out2 = BUF_INIT;
        poolxml_format(&again, &out2);
        CHECK_STR(why, buf_cstr(&out2), want);
    }
}

/* The examples of libvirt's page on storage of 2010, word for word. */
TEST(examples_of_the_eight_types)
{
    check_pool("dir",
               "<pool type=\"dir\">\n"
               "  <name>virtimages</name>\n"
               "  <target>\n"
               "    <path>/var/lib/virt/images</path>\n"
               "  </target>\n"
               "</pool>",
               HEAD("dir", "virtimages") "  <source>\n  </source>\n" TARGET(
                   "/var/lib/virt/images"));
    check_pool("fs",
               "<pool type=\"fs\">\n"
               "  <name>virtimages</name>\n"
               "  <source>\n"
               "    <device path=\"/dev/VolGroup00/VirtImages\"/>\n"
               "  </source>\n"
               "  <target>\n"
               "    <path>/var/lib/virt/images</path>\n"
               "  </target>\n"
               "</pool>",
               HEAD("fs", "virtimages") "  <source>\n"
                                        "    <device path='/dev/VolGroup00/VirtImages'/>\n"
                                        "    <format type='auto'/>\n  </source>\n" TARGET(
                                            "/var/lib/virt/images"));
    check_pool(
        "netfs",
        "<pool type=\"netfs\">\n"
        "  <name>virtimages</name>\n"
        "  <source>\n"
        "    <host name=\"nfs.example.com\"/>\n"
        "    <dir path=\"/var/lib/virt/images\"/>\n"
        "  </source>\n"
        "  <target>\n"
        "    <path>/var/lib/virt/images</path>\n"
        "  </target>\n"
        "</pool>",
        HEAD(
            "netfs",
            "virtimages") "  <source>\n"
                          "    <host name='nfs.example.com'/>\n    <dir path='/var/lib/virt/images'/>\n"
                          "    <format type='auto'/>\n  </source>\n" TARGET(
                              "/var/lib/virt/images"));
    check_pool(
        "logical",
        "<pool type=\"logical\">\n"
        "  <name>HostVG</name>\n"
        "  <source>\n"
        "    <device path=\"/dev/sda1\"/>\n"
        "    <device path=\"/dev/sdb1\"/>\n"
        "    <device path=\"/dev/sdc1\"/>\n"
        "  </source>\n"
        "  <target>\n"
        "    <path>/dev/HostVG</path>\n"
        "  </target>\n"
        "</pool>",
        HEAD(
            "logical",
            "HostVG") "  <source>\n    <device path='/dev/sda1'/>\n"
                      "    <device path='/dev/sdb1'/>\n    <device path='/dev/sdc1'/>\n"
                      "    <name>HostVG</name>\n    <format type='lvm2'/>\n  </source>\n" TARGET(
                          "/dev/HostVG"));
    check_pool(
        "disk",
        "<pool type=\"disk\">\n"
        "  <name>sda</name>\n"
        "  <source>\n"
        "    <device path='/dev/sda'/>\n"
        "  </source>\n"
        "  <target>\n"
        "    <path>/dev</path>\n"
        "  </target>\n"
        "</pool>",
        HEAD("disk", "sda") "  <source>\n    <device path='/dev/sda'/>\n"
                            "    <format type='unknown'/>\n  </source>\n" TARGET("/dev"));
    check_pool("iscsi",
               "<pool type=\"iscsi\">\n"
               "  <name>virtimages</name>\n"
               "  <source>\n"
               "    <host name=\"iscsi.example.com\"/>\n"
               "    <device path=\"demo-target\"/>\n"
               "  </source>\n"
               "  <target>\n"
               "    <path>/dev/disk/by-path</path>\n"
               "  </target>\n"
               "</pool>",
               HEAD("iscsi",
                    "virtimages") "  <source>\n    <host name='iscsi.example.com'/>\n"
                                  "    <device path='demo-target'/>\n  </source>\n" TARGET(
                                      "/dev/disk/by-path"));
    check_pool(
        "scsi",
        "<pool type=\"scsi\">\n"
        "  <name>virtimages</name>\n"
        "  <source>\n"
        "    <adapter name=\"host0\"/>\n"
        "  </source>\n"
        "  <target>\n"
        "    <path>/dev/disk/by-path</path>\n"
        "  </target>\n"
        "</pool>",
        HEAD(
            "scsi",
            "virtimages") "  <source>\n"
                          "    <adapter type='scsi_host' name='host0'/>\n  </source>\n" TARGET(
                              "/dev/disk/by-path"));
    check_pool(
        "mpath",
        "<pool type=\"mpath\">\n"
        "  <name>virtimages</name>\n"
        "  <target>\n"
        "    <path>/dev/mapper</path>\n"
        "  </target>\n"
        "</pool>",
        HEAD("mpath", "virtimages") "  <source>\n  </source>\n" TARGET("/dev/mapper"));
}

TEST(everything_a_pool_can_say)
{
    check_pool(
        "iscsi with all of it",
        "<pool type='iscsi'><target><path>/dev//x/</path><permissions><mode>0</mode>"
        "<owner>-1</owner><group>0744</group><label>a&lt;b</label></permissions></target>"
        "<source><product name='P'/><vendor name='V'/><initiator><iqn name='i'/></initiator>"
        "<auth username='u' type='chap'><secret type='iscsi' usage='z'/></auth>"
        "<device path='d' part_separator='no'/><host port='3260' name='h'/></source>"
        "<name>p</name></pool>",
        HEAD(
            "iscsi",
            "p") "  <source>\n    <host name='h' port='3260'/>\n"
                 "    <device path='d' part_separator='no'/>\n    <initiator>\n"
                 "      <iqn name='i'/>\n    </initiator>\n"
                 "    <auth type='chap' username='u'>\n      <secret type='iscsi' usage='z'/>\n"
                 "    </auth>\n    <vendor name='V'/>\n    <product name='P'/>\n  </source>\n"
                 "  <target>\n    <path>/dev/x</path>\n    <permissions>\n      <mode>00</mode>\n"
                 "      <group>744</group>\n      <label>a&lt;b</label>\n    </permissions>\n"
                 "  </target>\n</pool>\n");
    check_pool(
        "stable scsi host",
        "<pool type='scsi'><name>p</name><source><adapter type='scsi_host'><parentaddr "
        "unique_id='2'><address domain='0' bus='0x00' slot='31' function='0x2'/>"
        "</parentaddr></adapter></source><target><path>/dev</path></target></pool>",
        HEAD(
            "scsi",
            "p") "  <source>\n    <adapter type='scsi_host'>\n"
                 "      <parentaddr unique_id='2'>\n        <address domain='0x0000' bus='0x00' "
                 "slot='0x1f' function='0x2'/>\n      </parentaddr>\n    </adapter>\n"
                 "  </source>\n" TARGET("/dev"));
    check_pool(
        "options, features and refresh",
        "<pool type='fs' xmlns:f='http://libvirt.org/schemas/storagepool/fs/1.0'>"
        "<name>p</name><features><cow state='no'/></features><source>"
        "<device path='/d'/><format type='xfs'/></source><target><path>/m</path></target>"
        "<f:mount_opts><f:option name='sync'/></f:mount_opts><refresh><volume "
        "allocation='capacity'/></refresh></pool>",
        "<pool type='fs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'>\n"
        "  <name>p</name>\n  <uuid>" UUID "</uuid>\n"
        "  <capacity unit='bytes'>0</capacity>\n  <allocation unit='bytes'>0</allocation>\n"
        "  <available unit='bytes'>0</available>\n  <features>\n    <cow state='no'/>\n"
        "  </features>\n  <source>\n    <device path='/d'/>\n    <format type='xfs'/>\n"
        "  </source>\n  <target>\n    <path>/m</path>\n  </target>\n  <refresh>\n"
        "    <volume allocation='capacity'/>\n  </refresh>\n  <fs:mount_opts>\n"
        "    <fs:option name='sync'/>\n  </fs:mount_opts>\n</pool>\n");
    check_pool(
        "parts that the type has not are read and not printed",
        "<pool type='dir'><name>p</name><bogus/><source><name>q</name><host name='h'/>"
        "<device path='/d'/><vendor name='V'/></source><target><path>/m</path></target>"
        "</pool>",
        HEAD("dir", "p") "  <source>\n    <vendor name='V'/>\n  </source>\n" TARGET("/m"));
    check_pool(
        "the source names a logical pool, its target is forced",
        "<pool type='logical'><source><name>vg</name></source><target><path>/x</path>"
        "</target></pool>",
        HEAD("logical", "vg") "  <source>\n    <name>vg</name>\n    <format type='lvm2'/>\n"
                              "  </source>\n" TARGET("/dev/vg"));
}

#define T "<target><path>/x</path></target>"

TEST(what_is_refused_and_in_which_words)
{
    static const struct {
        const char *xml, *want;
    } cases[] = {
        /* clang-format off */
        { "<volume/>", "! 27: expecting root element of 'pool', not 'volume'" },
        { "<pool/>", "! 27: Missing required attribute 'type' in element 'pool'" },
        { "<pool type='foo'/>", "! 27: Invalid value for attribute 'type' in element 'pool': 'foo'." },
        { "<pool type='dir'>\n<a>\n</b></pool>",
          "! 35: (storage_pool_definition):3: Opening and ending tag mismatch: a line 2 and b\n"
          "</b></pool>\n----^" },
        { "<pool type='dir'><name></name>" T "</pool>", "! 27: missing pool source name element" },
        { "<pool type='dir'><name>a/b</name>" T "</pool>", "! 27: name a/b cannot contain '/'" },
        { "<pool type='dir'><name>a\nb</name>" T "</pool>", "! 35: invalid char in name: \n" },
        { "<pool type='dir'><name>p</name><uuid>x</uuid></pool>", "! 27: malformed uuid element" },
        { "<pool type='dir'><name>p</name></pool>", "! 27: missing storage pool target path" },
        { "<pool type='netfs'><name>p</name><features><cow state='yes'/></features></pool>",
          "! 3: cow feature may only be used for 'fs' and 'dir' pools" },
        { "<pool type='fs'><name>p</name><source><format type='btrfs'/></source></pool>",
          "! 67: unknown pool format type btrfs" },
        { "<pool type='fs'><name>p</name></pool>", "! 27: missing storage pool source device name" },
        { "<pool type='netfs'><name>p</name></pool>", "! 27: missing storage pool source host name" },
        { "<pool type='netfs'><name>p</name><source><host name='h'/></source></pool>",
          "! 27: missing storage pool source path" },
        { "<pool type='scsi'><name>p</name></pool>", "! 27: missing storage pool source adapter" },
        { "<pool type='netfs'><name>p</name><source><host/></source></pool>",
          "! 27: missing storage pool host name" },
        { "<pool type='netfs'><name>p</name><source><host name='h' port='x'/></source></pool>",
          "! 27: Invalid value for attribute 'port' in element 'host': 'x'. Expected integer value" },
        { "<pool type='fs'><name>p</name><source><device/></source></pool>",
          "! 27: missing storage pool source device path" },
        { "<pool type='netfs'><name>p</name><source><host name='h'/><dir path='/x'/><format type='cifs'/>"
          "<protocol ver='3'/></source>" T "</pool>",
          "! 67: storage pool protocol ver unsupported for pool type 'cifs'" },
        { "<pool type='netfs'><name>p</name><source><host name='h'/><dir path='/x'/>"
          "<protocol ver='3,rw'/></source>" T "</pool>",
          "! 35: storage pool protocol ver '3,rw' must not contain ','" },
        { "<pool type='iscsi'><name>p</name><source><host name='h'/><auth/></source>" T "</pool>",
          "! 27: missing username for auth" },
        { "<pool type='iscsi'><name>p</name><source><host name='h'/><auth username='u' type='x'/></source>" T "</pool>",
          "! 67: unknown auth type 'x'" },
        { "<pool type='iscsi'><name>p</name><source><host name='h'/><auth username='u' type='chap'/></source>" T "</pool>",
          "! 27: Missing <secret> element in auth" },
        { "<pool type='rbd'><name>p</name><source/></pool>", "! 27: element 'name' is mandatory for RBD pool" },
        { "<pool type='iscsi-direct'><name>p</name><source><host name='h'/></source></pool>",
          "! 67: missing initiator IQN" },
        { "<pool type='scsi'><name>p</name><source><adapter wwnn='1'/></source>" T "</pool>",
          "! 27: Use of 'wwnn', 'wwpn', and 'parent' attributes requires use of the adapter 'type'" },
        { "<pool type='scsi'><name>p</name><source><adapter type='scsi_host'/></source>" T "</pool>",
          "! 27: Either 'name' or 'parent' must be specified for the 'scsi_host' adapter" },
        { "<pool type='scsi'><name>p</name><source><adapter type='fc_host'/></source>" T "</pool>",
          "! 27: 'wwnn' and 'wwpn' must be specified for adapter type 'fchost'" },
        { "<pool type='scsi'><name>p</name><source><adapter type='fc_host' wwnn='2000' wwpn='1'/></source>" T "</pool>",
          "! 1: Malformed wwn: 2000" },
        { "<pool type='dir'><name>p</name><target><path>/x</path><permissions><mode>01777</mode>"
          "</permissions></target></pool>", "! 27: malformed octal mode" },
        { "<pool type='dir'><name>p</name><target><path>/x</path><permissions><owner>5 </owner>"
          "</permissions></target></pool>", "! 27: malformed owner element" },
        { "<pool type='dir'><name>p</name><target><path>/x</path><permissions><group>-2</group>"
          "</permissions></target></pool>", "! 27: malformed group element" },
        { "<pool type='dir'><name>p</name>" T "<refresh><volume allocation='x'/></refresh></pool>",
          "! 67: unknown storage pool volume refresh allocation type x" },
        { "<pool type='fs' xmlns:f='http://libvirt.org/schemas/storagepool/fs/1.0'><name>p</name><source>"
          "<device path='/d'/></source>" T "<f:mount_opts><f:option/></f:mount_opts></pool>",
          "! 27: no fs mount option name specified" },
        /* Two faults: the one that libvirt meets first. */
        { "<pool type='fs'><source><format type='btrfs'/></source><uuid>x</uuid></pool>",
          "! 67: unknown pool format type btrfs" },
        { "<pool type='fs'><name>a/b</name><uuid>x</uuid></pool>", "! 27: name a/b cannot contain '/'" },
        /* clang-format on */
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        check_pool(cases[i].xml, cases[i].xml, cases[i].want);
    }
}

TEST(paths_are_tidied)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        { "//srv//pool1///sub/", "//srv/pool1/sub" },
        { "///srv", "/srv" },
        { "/", "/" },
        { "//", "//" },
        { "////", "/" },
        { "/a/../b/.", "/a/../b/." },
        { "a/b//c", "a/b/c" },
        { "x://y//z/", "x://y//z/" },
    };
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CHECK_STR(cases[i].in, pool_path_tidy(&arena, cases[i].in), cases[i].want);
    }
    CHECK("NULL", !pool_path_tidy(&arena, NULL));
}

TEST(messages_have_libvirts_prefixes)
{
    CLEANUP(err_drop) struct err *e = store_err(VE_XML_ERROR, "malformed uuid element");
    CLEANUP(free_drop) char *text = store_err_message(e);
    CHECK_STR("27", text, "XML error: malformed uuid element");
    CHECK_STR("55", store_code_prefix(VE_OPERATION_INVALID),
              "Requested operation is not valid: ");
    CHECK_STR("not one of libvirt's", store_code_prefix(4711), "");
}
