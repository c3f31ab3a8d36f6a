/* import/test_vmcfg.c: whole files, their parts, and what is wrong with others. */
#include "import/vmcfg.h"

#include "test.h"

static struct err *
read_text(struct arena *arena, const char *text, struct vmcfg *ret)
{
    struct json json;
    memset(ret, 0, sizeof *ret);
    TRY(pyliteral_file(arena, "vm.cfg", text, strlen(text), &json));
    return vmcfg_read(arena, &json, ret);
}

static const char whole[] =
    "vif = ['mac=00:21:f6:2a:00:68,bridge=172.24.19.0', 'type=ioemu,mac=00:21:f6:2a:01:68,bridge=100bc68c90,model=e1000']\n"
    "OVM_simple_name = 'sv104'\n"
    "vnclisten = '127.0.0.1'\n"
    "serial = 'pty'\n"
    "disk = ['file:/OVS/Repositories/r1/VirtualDisks/a.img,xvda,w', 'phy:/dev/mapper/36e8,xvdb,w!', "
    "'file:/OVS/Repositories/r1/ISOs/b.iso,xvdc:cdrom,r']\n"
    "vncunused = 1\n"
    "uuid = '0004fb00-0006-0000-63c6-16814464d177'\n"
    "on_reboot = 'restart'\n"
    "boot = 'cd'\n"
    "name = '0004fb000006000063c616814464d177'\n"
    "cpu_weight = 27500\n"
    "memory = '16384'\n"
    "cpu_cap = 0\n"
    "maxvcpus = 8\n"
    "OVM_high_availability = False\n"
    "OVM_description = 'a = b, \"quoted\"'\n"
    "on_poweroff = 'destroy'\n"
    "on_crash = 'coredump-restart'\n"
    "guest_os_type = 'linux'\n"
    "usbdevice = 'tablet'\n"
    "builder = 'hvm'\n"
    "vcpus = 4\n"
    "vnc = 1\n"
    "keymap = 'de'\n"
    "OVM_os_type = 'Oracle Linux 7'\n"
    "OVM_cpu_compat_group = ''\n"
    "cpus = ['12-19', '^14']\n"
    "OVM_domain_type = 'xen_hvm_pv'\n";

TEST(a_whole_file)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(vmcfg_done) struct vmcfg cfg;
    CHECK_OK("reads", read_text(&arena, whole, &cfg));
    CHECK_STR("name", cfg.name, "0004fb000006000063c616814464d177");
    CHECK_STR("people's name", cfg.simple_name, "sv104");
    CHECK_STR("description", cfg.description, "a = b, \"quoted\"");
    CHECK_STR("uuid", UUID_TEXT(&cfg.uuid), "0004fb00-0006-0000-63c6-16814464d177");
    CHECK_INT("memory as text", cfg.memory_mib, 16384);
    CHECK_INT("its maximum", cfg.max_memory_mib, 16384);
    CHECK_INT("vcpus", cfg.vcpus, 4);
    CHECK_INT("at most", cfg.max_vcpus, 8);
    CHECK_INT("domain", cfg.domain, VMCFG_HVM_PV);
    CHECK_STR("cpus", cfg.cpus, "12-19,^14");
    CHECK_STR("on_crash", cfg.on_crash, "coredump-restart");
    CHECK("flags",
          cfg.vnc && cfg.tablet && cfg.serial && !cfg.high_availability && !cfg.localtime);
    CHECK_INT("disks", (int64_t) cfg.n_disks, 3);
    CHECK_STR("path", cfg.disks[0].path, "/OVS/Repositories/r1/VirtualDisks/a.img");
    CHECK("a LUN that others have too",
          cfg.disks[1].scheme == VMCFG_BLOCK && cfg.disks[1].shared);
    CHECK("a CD", cfg.disks[2].cdrom && cfg.disks[2].readonly);
    CHECK_STR("its device", cfg.disks[2].target, "xvdc");
    CHECK_INT("cards", (int64_t) cfg.n_vifs, 2);
    CHECK_STR("bridge", cfg.vifs[0].bridge, "172.24.19.0");
    CHECK("emulated", cfg.vifs[1].emulated && str_eq(cfg.vifs[1].model, "e1000"));
    CHECK_INT("one warning", (int64_t) cfg.warnings.n, 1);
    CHECK_STR("of the shared disk", cfg.warnings.v[0],
              "disk xvdb: is shared with other machines (w!)");
}

TEST(what_is_left_out_is_told)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(vmcfg_done) struct vmcfg cfg;
    CHECK_OK(
        "reads",
        read_text(
            &arena,
            "name='a'\nmemory=64\nbuilder='linux'\nvncpasswd='secret'\nvtpm=[]\nuuid='0004fb000006000063c616814464d177'\n",
            &cfg));
    CHECK_INT("builder decides", cfg.domain, VMCFG_PV);
    CHECK("a UUID without dashes", cfg.has_uuid);
    CHECK_INT("three", (int64_t) cfg.warnings.n, 3);
    for (size_t i = 0; i < cfg.warnings.n; i++) {
        CHECK("no secret", !strstr(cfg.warnings.v[i], "secret"));
    }
    CHECK("by name", strstr(cfg.warnings.v[1], "vtpm"));
}

static const struct {
    const char *text, *want; /* "scheme path target flags", or "!". */
} disks[] = {
    { "file:/a.img,xvda,w", "0 /a.img xvda w" },
    { "file:///disks/a.img,hda,w", "0 /disks/a.img hda w" },
    { "file:/with,comma:and=colon.img,xvda,w", "0 /with,comma:and=colon.img xvda w" },
    { "phy:/dev/mapper/36e8,xvdb,w!", "1 /dev/mapper/36e8 xvdb s" },
    { "phy:vg0/lv,xvdb,w", "1 /dev/vg0/lv xvdb w" },
    { "tap:aio:/a.img,xvda,r", "0 /a.img xvda r" },
    { "tap2:aio:/a.img,xvda,w", "0 /a.img xvda w" },
    { "qcow:/a.img,xvda,w", "0 /a.img xvda w" },
    { ",hdc:cdrom,r", "2  hdc rc" },
    { "file:,hdc:cdrom,r", "2  hdc rc" },
    { "file:/a.iso,hdc:cdrom,r", "0 /a.iso hdc rc" },
    { "file:/a.img,sda:disk,w", "0 /a.img sda w" },
    { "file:a.img,xvda,w", "!" },
    { "nbd:host,xvda,w", "!" },
    { "file:/a.img,xvda", "!" },
    { "file:/a.img,,w", "!" },
    { "file:/a.img,xvda,rw", "!" },
    { "file:/a.img,xvda:tape,w", "!" },
    { "", "!" },
};

TEST(disk_items)
{
    for (size_t i = 0; i < N_ELEMS(disks); i++) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        CLEANUP(free_drop) char *got = NULL;
        struct vmcfg_disk d;
        CLEANUP(err_drop) struct err *e = vmcfg_disk_parse(&arena, disks[i].text, &d);
        got = e ? str_dup("!")
                : str_dupf("%d %s %s %s%s", d.scheme, d.path, d.target,
                           d.shared     ? "s"
                           : d.readonly ? "r"
                                        : "w",
                           d.cdrom ? "c" : "");
        CHECK_STR(disks[i].text, got, disks[i].want);
        CHECK(disks[i].text, !e || err_next(e));
    }
}

TEST(files_that_are_refused)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "memory = 64\n", "the file names no machine" },
        { "name = 'a'\n", "memory: must be given" },
        { "name = 'a'\nmemory = 'lots'\n", "memory: must be a number" },
        { "name = 'a'\nmemory = 99999999999\n",
          "memory: 99999999999 is not within 1 and 16777216" },
        { "name = 5\nmemory = 64\n", "name: must be text" },
        { "name = 'a'\nmemory = 64\nuuid = 'x'\n", "uuid: must be a UUID" },
        { "name = 'a'\nmemory = 64\ndisk = 'file:/a,xvda,w'\n",
          "disk: must be a list, and not too long a one" },
        { "name = 'a'\nmemory = 64\ndisk = [1]\n", "disk: must be a list of text" },
        { "name = 'a'\nmemory = 64\nvif = ['mac=1']\n",
          "vif 'mac=1': \"1\" is no MAC address" },
        { "name = 'a'\nmemory = 64\ncpus = 'all'\n", "cpus: must be CPUs like '0-3,^2'" },
        { "name = 'a'\nmemory = 64\nvnc = 'on'\n", "vnc: must be a number" },
        { "name = 'a'\nmemory = 64\nOVM_domain_type = 'ldoms'\n",
          "OVM_domain_type: must be xen_hvm, xen_hvm_pv or xen_pvm" },
    };
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        CLEANUP(vmcfg_done) struct vmcfg cfg;
        CLEANUP(err_drop) struct err *e = read_text(&arena, cases[i].text, &cfg);
        CHECK_STR(cases[i].text, e ? err_text(e) : "accepted", cases[i].says);
    }
}

TEST(weights)
{
    CHECK_INT("Oracle VM's usual", vmcfg_shares(27500), 1024);
    CHECK_INT("twice", vmcfg_shares(55000), 2048);
    CHECK_INT("the least", vmcfg_shares(1), 2);
    CHECK_INT("not given", vmcfg_shares(0), 1024);
}
