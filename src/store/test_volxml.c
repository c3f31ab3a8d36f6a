/* store/test_volxml.c: volume XML against what libvirt 9.0 prints for the same input. */
#include "test.h"

#include "base/buf.h"
#include "base/str.h"
#include "store/volxml.h"

static void
check_vol(const char *why, enum pool_type type, const char *xml, const char *want)
{
    CLEANUP(vol_done) struct vol vol;
    vol_init(&vol);
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    CLEANUP(err_drop) struct err *e = volxml_parse(xml, strlen(xml), type, 0, &vol);
    if (e) {
        buf_printf(&out, "! %s", err_brief(e));
    } else {
        volxml_format(&vol, type, &out);
    }
    CHECK_STR(why, buf_cstr(&out), want);
}

TEST(round_trips)
{
    check_vol(
        "the least", POOL_DIR, "<volume><name>v</name><capacity>10</capacity></volume>",
        "<volume type='file'>\n  <name>v</name>\n  <capacity unit='bytes'>10</capacity>\n"
        "  <allocation unit='bytes'>10</allocation>\n  <target>\n"
        "    <format type='raw'/>\n  </target>\n</volume>\n");
    check_vol(
        "all of a file", POOL_DIR,
        "<volume type='file'><name>&lt;v&gt;</name><key>k</key>"
        "<allocation unit='k'>1</allocation><capacity unit='GiB'>2</capacity>"
        "<target><path>/p/v</path><format type='qcow2'/><permissions><mode>0644</mode>"
        "<owner>1</owner><group>4294967295</group></permissions><nocow/>"
        "<clusterSize unit='k'>64</clusterSize><features><lazy_refcounts/></features>"
        "</target><backingStore><path>b.raw</path></backingStore></volume>",
        "<volume type='file'>\n  <name>&lt;v&gt;</name>\n  <key>k</key>\n"
        "  <capacity unit='bytes'>2147483648</capacity>\n"
        "  <allocation unit='bytes'>1024</allocation>\n  <target>\n"
        "    <path>/p/v</path>\n    <format type='qcow2'/>\n    <permissions>\n"
        "      <mode>0644</mode>\n      <owner>1</owner>\n    </permissions>\n"
        "    <compat>1.1</compat>\n    <clusterSize unit='B'>65536</clusterSize>\n"
        "    <features>\n      <lazy_refcounts/>\n    </features>\n  </target>\n"
        "  <backingStore>\n    <path>b.raw</path>\n    <format type='raw'/>\n"
        "  </backingStore>\n</volume>\n");
    check_vol(
        "encrypted", POOL_DIR,
        "<volume><name>v</name><capacity>1</capacity><target><encryption format='luks' "
        "engine='qemu'><secret type='passphrase' usage='u'/><cipher name='aes' size='256' "
        "mode='cbc' hash='sha256'/><ivgen name='plain64'/></encryption></target></volume>",
        "<volume type='file'>\n  <name>v</name>\n  <capacity unit='bytes'>1</capacity>\n"
        "  <allocation unit='bytes'>1</allocation>\n  <target>\n"
        "    <format type='raw'/>\n    <encryption format='luks' engine='qemu'>\n"
        "      <secret type='passphrase' usage='u'/>\n"
        "      <cipher name='aes' size='256' mode='cbc' hash='sha256'/>\n"
        "      <ivgen name='plain64'/>\n    </encryption>\n  </target>\n</volume>\n");
    check_vol(
        "a logical volume has no format", POOL_LOGICAL,
        "<volume type='block'><name>v</name><capacity>1</capacity><target>"
        "<format type='zz'/></target></volume>",
        "<volume type='block'>\n  <name>v</name>\n  <capacity unit='bytes'>1</capacity>\n"
        "  <allocation unit='bytes'>1</allocation>\n  <target>\n  </target>\n</volume>\n");
    check_vol(
        "capacity may come from the backing store", POOL_DIR,
        "<volume><name>v</name><target><features/></target><backingStore><path>/b</path>"
        "<format type='qcow2'/></backingStore></volume>",
        "<volume type='file'>\n  <name>v</name>\n  <capacity unit='bytes'>0</capacity>\n"
        "  <allocation unit='bytes'>0</allocation>\n  <target>\n"
        "    <format type='raw'/>\n    <compat>1.1</compat>\n    <features/>\n  </target>\n"
        "  <backingStore>\n    <path>/b</path>\n    <format type='qcow2'/>\n"
        "  </backingStore>\n</volume>\n");
}

TEST(what_a_scan_knows)
{
    struct vol_extent extents[] = { { "/dev/a", 0, 10 },
                                    { "/dev/a", 20, 30 },
                                    { "/dev/b", 5, 6 } };
    struct vol vol;
    vol_init(&vol);
    vol.name = "v";
    vol.type = VOL_BLOCK;
    vol.capacity = vol.allocation = vol.physical = 16;
    vol.extents = extents;
    vol.n_extents = 3;
    vol.target.has_times = true;
    vol.target.atime = (struct vol_time){ 5, 7 };
    vol.target.mtime = (struct vol_time){ 6, -1 };
    vol.target.format = "vhdx"; /* Which libvirt takes for raw. */
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    volxml_format(&vol, POOL_DIR, &out);
    CHECK_STR(
        "text", buf_cstr(&out),
        "<volume type='block'>\n  <name>v</name>\n  <source>\n    <device path='/dev/a'>\n"
        "      <extent start='0' end='10'/>\n      <extent start='20' end='30'/>\n"
        "    </device>\n    <device path='/dev/b'>\n      <extent start='5' end='6'/>\n"
        "    </device>\n  </source>\n  <capacity unit='bytes'>16</capacity>\n"
        "  <allocation unit='bytes'>16</allocation>\n"
        "  <physical unit='bytes'>16</physical>\n  <target>\n    <format type='raw'/>\n"
        "    <timestamps>\n      <atime>5.000000007</atime>\n      <ctime>0</ctime>\n"
        "      <btime>0</btime>\n    </timestamps>\n  </target>\n</volume>\n");
}

#define C "<name>v</name><capacity>1</capacity>"

TEST(what_is_refused_and_in_which_words)
{
    static const struct {
        const char *body, *want;
    } cases[] = {
        /* clang-format off */
        { "", "! 27: missing volume name element" },
        { "<name/>", "! 27: missing volume name element" },
        { "<name>v</name>", "! 27: missing capacity element" },
        { "<name>v</name><capacity/>", "! 27: missing capacity element" },
        { "<name>v</name><capacity>-1</capacity>", "! 27: malformed capacity element" },
        { "<name>v</name><capacity>10 </capacity>", "! 27: malformed capacity element" },
        { "<name>v</name><capacity>1.5</capacity>", "! 27: malformed capacity element" },
        { "<name>v</name><capacity>18446744073709551616</capacity>", "! 27: malformed capacity element" },
        { "<name>v</name><capacity unit='X'>1</capacity>", "! 8: unknown suffix 'X'" },
        { "<name>v</name><capacity>18446744073709551615</capacity>",
          "! 82: value too large: 18446744073709551615" },
        { "<name>v</name><capacity unit='k'>9223372036854775807</capacity>",
          "! 82: value too large: 9223372036854775807k" },
        { C "<allocation>x</allocation>", "! 27: malformed capacity element" },
        { C "<target><format type='luks'/></target>", "! 67: unknown volume format type luks" },
        { C "<target><format type='none'/></target>", "! 67: unknown volume format type none" },
        { C "<backingStore><path>x</path><format type='zz'/></backingStore>",
          "! 67: unknown volume format type zz" },
        { C "<target><compat>1.x</compat></target>", "! 27: forbidden characters in 'compat' attribute" },
        { C "<target><compat>1</compat></target>", "! 27: forbidden characters in 'compat' attribute" },
        { C "<target><features><foo/></features></target>", "! 67: unsupported feature foo" },
        { C "<target><clusterSize>-1</clusterSize></target>",
          "! 27: Invalid value '-1' for element or attribute './target/clusterSize'" },
        { C "<target><encryption/></target>", "! 27: unknown volume encryption format" },
        { C "<target><encryption format='x'/></target>", "! 67: unknown volume encryption format type x" },
        { C "<target><encryption format='luks'><secret type='zzz'/></encryption></target>",
          "! 67: unknown volume encryption secret type zzz" },
        { C "<target><encryption format='luks'><ivgen name='x'/></encryption></target>",
          "! 27: ivgen element found, but cipher is missing" },
        { C "<target><encryption format='luks'><cipher name='aes'/></encryption></target>",
          "! 27: Missing required attribute 'size' in element 'cipher'" },
        /* clang-format on */
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(free_drop) char *xml = str_dupf("<volume>%s</volume>", cases[i].body);
        check_vol(cases[i].body, POOL_DIR, xml, cases[i].want);
    }
    check_vol("root", POOL_DIR, "<pool/>",
              "! 27: expecting root element of 'volume', not 'pool'");
    check_vol("type", POOL_DIR, "<volume type='zzz'><name>v</name></volume>",
              "! 67: unknown volume type 'zzz'");
}

TEST(names)
{
    static const struct {
        const char *name, *want;
    } cases[] = {
        { "a.raw", "success" },
        { ".hidden", "success" },
        { "\xc3\xa9 with blanks", "success" },
        { ".a.new-12345", "success" },
        { ".a.new-12345X", "success" },
        { "", "27: missing volume name element" },
        { "../etc", "55: volume name '../etc' cannot contain '/'" },
        { "-f", "55: volume name '-f' cannot start with '-'" },
        { "..", "55: volume name '..' is a directory's" },
        { "a\nb", "55: volume name contains the control character 0x0a" },
        { "a\xff", "55: volume name is not valid UTF-8" },
        { ".a.new-12345x",
          "55: volume name '.a.new-12345x' is kept for volumes in the making" },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CHECK_BRIEF(cases[i].name, vol_name_check(cases[i].name), cases[i].want);
    }
    char longest[VOL_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[VOL_NAME_MAX + 1] = '\0';
    CHECK_BRIEF("256", vol_name_check(longest), "55: volume name is longer than 255 bytes");
    longest[VOL_NAME_MAX] = '\0';
    CHECK_OK("255", vol_name_check(longest));
}
