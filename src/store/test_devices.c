/* store/test_devices.c: plans for pools on devices.  A row is a test: what programs would print
 * is given, the steps that parse it or decide by it run, and all of the plan is compared. */
#include "test.h"

#include "base/str.h"
#include "store/code.h"
#include "store/gate.h"
#include "store/poolxml.h"
#include "store/sources.h"
#include "store/volxml.h"

/* The seed's examples, word for word. */
#define FS_XML                                                                             \
    "<pool type=\"fs\">\n<name>virtimages</name>\n<source>\n"                              \
    "<device path=\"/dev/VolGroup00/VirtImages\"/>\n</source>\n<target>\n"                 \
    "<path>/var/lib/virt/images</path>\n</target>\n</pool>"
#define LOGICAL_XML                                                                          \
    "<pool type=\"logical\">\n<name>HostVG</name>\n<source>\n<device path=\"/dev/sda1\"/>\n" \
    "<device path=\"/dev/sdb1\"/>\n<device path=\"/dev/sdc1\"/>\n</source>\n<target>\n"      \
    "<path>/dev/HostVG</path>\n</target>\n</pool>"
#define DISK_XML                                                                           \
    "<pool type=\"disk\">\n<name>sda</name>\n<source>\n<device path='/dev/sda'/>\n"        \
    "</source>\n<target>\n<path>/dev</path>\n</target>\n</pool>"

#define POOL(type, source, target)                                                         \
    "<pool type='" type "'><name>p</name><source>" source "</source><target><path>" target \
    "</path></target></pool>"
#define EXT4 POOL("fs", "<device path='/dev/x'/><format type='ext4'/>", "/p")
#define VG POOL("logical", "<name>vg</name>", "/dev/vg")
#define THIN POOL("logical", "<name>vg/tp</name>", "/dev/vg")
#define GPT POOL("disk", "<device path='/dev/sdx'/><format type='gpt'/>", "/dev")
#define NVME POOL("disk", "<device path='/dev/nvme0n1'/><format type='gpt'/>", "/dev")
#define DOS POOL("disk", "<device path='/dev/sdx'/><format type='dos'/>", "/dev")
#define VOL(name, capacity) "<name>" name "</name><capacity>" capacity "</capacity>"

#define REPORT                                                                             \
    "--config devices/ignore_suspended_devices=1 --reportformat json --units b "           \
    "--nosuffix -o "
#define LVS_COLUMNS                                                                        \
    "lv_name,origin,lv_uuid,devices,segtype,stripes,seg_size,vg_extent_size,lv_size,"      \
    "lv_attr,data_percent,metadata_percent,pool_lv,lv_health_status"
#define LIST(words)                                                                        \
    "wait for udev\nvgs " REPORT                                                           \
    "vg_name,vg_attr,vg_size,vg_free,vg_missing_pv_count vg\n"                             \
    "lvs " REPORT LVS_COLUMNS " vg\n" words "\nlook at the volumes' devices\n"
#define LV_ROW(name, attr, size, more)                                                     \
    "{\"lv_name\":\"" name "\",\"lv_attr\":\"" attr "\",\"lv_size\":\"" size               \
    "\",\"seg_size\":\"" size "\",\"vg_extent_size\":\"4194304\"" more "}"
#define LVS(rows) "{\"report\":[{\"lv\":[" rows "]}]}"
#define VGS                                                                                \
    "{\"report\":[{\"vg\":[{\"vg_name\":\"vg\",\"vg_size\":\"100\",\"vg_free\":\"60\","    \
    "\"vg_missing_pv_count\":\"0\"}]}]}"
#define PART(number, start, end, type)                                                     \
    "{\"number\":" number ",\"start\":\"" start "B\",\"end\":\"" end                       \
    "B\",\"type\":\"" type "\"}"
#define TABLE(path, label, parts)                                                          \
    "{\"disk\":{\"path\":\"" path "\",\"size\":\"1000000000B\",\"label\":\"" label         \
    "\",\"partitions\":[" parts "]}}"
#define PARTED(device) "parted --script --json " device " unit B print free\n"
#define LIST_PART(device)                                                                  \
    "wait for udev\n" PARTED(device) "find the partition\nlook at the volumes' devices\n"

enum verb { BUILD, START, STOP, SCAN, POOL_DELETE, CREATE, RESIZE, VOL_DELETE, WIPE };

static const struct device_case {
    const char *why, *pool;
    enum verb verb;
    const char *vol; /* Body of <volume>. */
    int flags;
    int64_t n;              /* Resize: the capacity. */
    const char *seen[3][2]; /* What is printed: name of the output, text. */
    const char *want;       /* The plan, then "= name capacity allocation path" a volume. */
} cases[] = {
    /* clang-format off */
    { "fs: the seed's example starts", FS_XML, START, NULL, 0, 0, { { NULL } },
      "read the first page of /dev/VolGroup00/VirtImages\nlook for the mount of /dev/VolGroup00/VirtImages on /var/lib/virt/images\n"
      "mount -o nodev,nosuid,noexec -t auto /dev/VolGroup00/VirtImages /var/lib/virt/images # unless it is active\n"
      "undo: umount /var/lib/virt/images\n"
      "open directory /var/lib/virt/images, where it must be mounted: /dev/VolGroup00/VirtImages\nlist volumes\n" },
    { "fs: auto is no format to make", FS_XML, BUILD, NULL, BUILD_OVERWRITE, 0, { { NULL } },
      "! 67: a file system of format 'auto' cannot be made" },
    { "fs: plain build makes no file system", EXT4, BUILD, NULL, 0, 0, { { NULL } }, "make directory /p\n" },
    { "fs: overwrite", EXT4, BUILD, NULL, BUILD_OVERWRITE, 0, { { NULL } },
      "make directory /p\nopen device /dev/x for writing\nmkfs.ext4 -q -F /dev/x\n" },
    { "fs: nothing there", EXT4, BUILD, NULL, BUILD_NO_OVERWRITE, 0, { { "blkid /dev/x", "" } },
      "make directory /p\nopen device /dev/x for writing\nblkid -p -o export /dev/x\n"
      "make sure that nothing is on /dev/x\nmkfs.ext4 -q -F /dev/x\n" },
    { "fs: the same there", EXT4, BUILD, NULL, BUILD_NO_OVERWRITE, 0, { { "blkid /dev/x", "DEVNAME=/dev/x\nTYPE=ext4\n" } },
      "! 76: Device '/dev/x' already formatted using 'ext4'" },
    { "fs: a table there", EXT4, BUILD, NULL, BUILD_NO_OVERWRITE, 0, { { "blkid /dev/x", "DEVNAME=/dev/x\nPTTYPE=dos\n" } },
      "! 76: Format of device '/dev/x' does not match the expected format 'ext4', forced overwrite is necessary" },
    { "fs: two devices", POOL("fs", "<device path='/dev/x'/><device path='/dev/y'/>", "/p"), START, NULL, 0, 0, { { NULL } },
      "! 67: expected exactly 1 device for the storage pool" },
    { "fs: a device is no option", POOL("fs", "<device path='-f'/>", "/p"), START, NULL, 0, 0, { { NULL } },
      "! 8: device path '-f' is not absolute" },
    { "logical: the seed's example is built", LOGICAL_XML, BUILD, NULL, BUILD_OVERWRITE, 0, { { NULL } },
#define MAKE_PV(dev) "open device " dev " for writing\nzeros over the first and last MiB\npvcreate --yes " dev \
      "\nundo: pvremove --yes " dev "\n"
      MAKE_PV("/dev/sda1") MAKE_PV("/dev/sdb1") MAKE_PV("/dev/sdc1")
      "vgcreate --yes HostVG /dev/sda1 /dev/sdb1 /dev/sdc1\nundo: vgremove -f HostVG\n" },
    { "logical: is deleted", LOGICAL_XML, POOL_DELETE, NULL, 0, 0, { { NULL } },
      "vgremove -f HostVG\npvremove --yes /dev/sda1\npvremove --yes /dev/sdb1\npvremove --yes /dev/sdc1\n" },
    { "logical: nothing to build on", VG, BUILD, NULL, 0, 0, { { NULL } }, "! 67: pool 'p' has no source devices to build it on" },
    { "logical: a group's name is no option", POOL("logical", "<name>-f</name>", "/x"), STOP, NULL, 0, 0, { { NULL } },
      "! 8: '-f' is no name for a volume group of LVM" },
    { "logical: nor a path", POOL("logical", "<name>a/b/c</name>", "/x"), STOP, NULL, 0, 0, { { NULL } },
      "! 8: 'b/c' is no name for a thin pool of LVM" },
    { "logical: no such group", VG, START, NULL, 0, 0, { { "vgs", "{\"report\":[{\"vg\":[]}]}" } },
      "! 67: cannot find logical volume group name 'vg'" },
#define ACTIVITY "lvs " REPORT "lv_name,lv_active,lv_device_open,pool_lv,lv_attr vg\n"
    { "logical: stops", VG, STOP, NULL, 0, 0,
      { { "lvs", LVS("{\"lv_name\":\"a\",\"lv_active\":\"active\",\"lv_device_open\":\"\",\"lv_attr\":\"-wi-a-----\"}") } },
      ACTIVITY "deactivate the volumes unless one is in use\nvgchange -aln vg\n" },
    { "logical: in use", VG, STOP, NULL, 0, 0,
      { { "lvs", LVS("{\"lv_name\":\"a\",\"lv_active\":\"active\",\"lv_device_open\":\"open\",\"lv_attr\":\"-wi-ao----\"}") } },
      "! 55: volumes of pool 'p' are in use: a" },
    { "logical: nothing active", VG, STOP, NULL, 0, 0, { { "lvs", LVS("") } },
      ACTIVITY "deactivate the volumes unless one is in use\n" },
    { "thin pool: stops what is its own", THIN, STOP, NULL, 0, 0,
      { { "lvs", LVS("{\"lv_name\":\"t\",\"lv_active\":\"active\",\"lv_device_open\":\"\",\"lv_attr\":\"Vwi-a-tz--\","
                     "\"pool_lv\":\"tp\"}") } },
      ACTIVITY "deactivate the volumes unless one is in use\nlvchange -aln --select 'vg_name=vg && pool_lv=tp'\n"
      "lvchange -aln vg/tp\n" },
#define ABSENT "lvs " REPORT "lv_name vg\nmake sure that there is no such volume\n"
#define NODE(name) "undo: lvremove -f vg/" name "\nwait for /dev/vg/" name "\nopen device /dev/vg/" name \
      " for writing\nset mode 0600\n"
    { "logical: KiB round up", VG, CREATE, VOL("db1", "4097"), 0, 0, { { "lvs", LVS("") } },
      ABSENT "lvcreate --name db1 -L 5K vg --yes\n" NODE("db1") LIST("find the volume") },
    { "logical: less room than size is a sparse snapshot", VG, CREATE, VOL("a", "8192") "<allocation>1</allocation>", 0, 0,
      { { "lvs", LVS("") } },
      ABSENT "lvcreate --name a -L 1K --type snapshot --virtualsize 8K vg --yes\n" NODE("a") LIST("find the volume") },
    { "logical: a snapshot of a volume", VG, CREATE, VOL("a", "8192") "<allocation>4096</allocation><backingStore>"
      "<path>/dev/vg/b-c</path></backingStore>", 0, 0, { { "lvs", LVS("") } },
      ABSENT "lvcreate --name a -L 4K -s /dev/vg/b-c --yes\n" NODE("a") LIST("find the volume") },
    { "thin pool: a volume", THIN, CREATE, VOL("a", "8192"), 0, 0, { { "lvs", LVS("") } },
      ABSENT "lvcreate --name a -V 8K --thinpool vg/tp --yes\n" NODE("a") LIST("find the volume") },
    { "thin pool: a snapshot takes no room", THIN, CREATE, VOL("a", "8192") "<backingStore><path>/dev/vg/b</path></backingStore>",
      0, 0, { { "lvs", LVS("") } },
      ABSENT "lvcreate --name a -s -kn -ay vg/b --yes\n" NODE("a") LIST("find the volume") },
    { "logical: exists", VG, CREATE, VOL("a", "4097"), 0, 0, { { "lvs", LVS(LV_ROW("a", "-wi-a-----", "4", "")) } },
      "! 90: storage volume 'a' exists already" },
    { "logical: a name that LVM does not take", VG, CREATE, VOL("a b", "1"), 0, 0, { { NULL } },
      "! 8: 'a b' is no name for a volume of LVM" },
    { "logical: a snapshot's origin is in the group", VG, CREATE, VOL("a", "1") "<backingStore><path>/dev/other/x</path>"
      "</backingStore>", 0, 0, { { "lvs", LVS("") } }, "! 67: backing volume '/dev/other/x' is not of volume group 'vg'" },
    { "logical: segments, stripes, thin volumes, snapshots", VG, SCAN, NULL, 0, 0,
      { { "vgs", VGS }, { "lvs", LVS(
        LV_ROW("a", "-wi-a-----", "8388608", ",\"devices\":\"/dev/sda(3),/dev/sdb(0)\"") ","
        LV_ROW("a", "-wi-a-----", "8388608", ",\"devices\":\"/dev/sda(9)\"") ","
        LV_ROW("off", "-wi-------", "8388608", "") ","
        LV_ROW("tp", "twi-aotz--", "8388608", ",\"data_percent\":\"95.00\"") ","
        LV_ROW("t", "Vwi-a-tz--", "1000000", ",\"data_percent\":\"50.00\",\"pool_lv\":\"tp\"") ","
        LV_ROW("s", "swi-a-s---", "4194304", ",\"origin\":\"a\",\"data_percent\":\"100.00\"")) } },
      LIST("list the volumes") "remove clones that were never finished\n"
      "= a 8388608 8388608 /dev/vg/a [/dev/sda 12582912-20971520] [/dev/sdb 0-8388608] [/dev/sda 37748736-46137344]\n"
      "= s -1 4194304 /dev/vg/s < /dev/vg/a ! the snapshot is full and can no longer be read\n"
      "= t 1000000 500000 /dev/vg/t\n"
      "# thin pool 'tp': it is nearly full (data 95.00%, metadata 0.00% used)\n" },
    { "logical: a half-made clone is seen to", VG, SCAN, NULL, 0, 0,
      { { "vgs", VGS }, { "lvs", LVS(LV_ROW(".a.new-000000", "-wi-a-----", "8388608", "")) } },
      LIST("list the volumes") "remove clones that were never finished\ntake the lock lvm-vg\nlvs " REPORT "lv_name vg\n"
      "remove clones whose writers are dead\nlvremove -f vg/.a.new-000000\n" },
    { "logical: a missing disk", VG, SCAN, NULL, 0, 0,
      { { "vgs", "{\"report\":[{\"vg\":[{\"vg_size\":\"100\",\"vg_free\":\"60\",\"vg_missing_pv_count\":\"1\"}]}]}" },
        { "lvs", LVS(LV_ROW("a", "-wi-a---p-", "8", "")) } },
      LIST("list the volumes") "remove clones that were never finished\n= a 8 8 /dev/vg/a ! a physical volume of it is missing\n"
      "# 1 physical volume(s) of volume group 'vg' are missing\n" },
    { "logical: no report", VG, SCAN, NULL, 0, 0, { { "vgs", "oops" } }, "! 0: LVM printed no report" },
    { "thin pool: its space", THIN, SCAN, NULL, 0, 0,
      { { "vgs", VGS }, { "lvs", LVS(
        LV_ROW("tp", "twi-aotzD-", "8388608", ",\"data_percent\":\"100.00\",\"metadata_percent\":\"12.30\"") ","
        LV_ROW("other", "-wi-a-----", "1000000", "")) } },
      LIST("list the volumes") "remove clones that were never finished\n"
      "# the thin pool is out of data space: data 100.00%, metadata 12.30% used\n" },
    { "logical: grows", VG, RESIZE, VOL("a", "1"), 0, 8 * MIB,
      { { "vgs", VGS }, { "lvs", LVS(LV_ROW("a", "-wi-a-----", "4194304", "")) } },
      "lvs " REPORT "lv_name,lv_size,lv_device_open,vg_extent_size vg\nlvextend or lvreduce it to 8388608 bytes\n"
      "lvextend --yes -L 8192K vg/a\n" LIST("find the volume") "= a 4194304 4194304 /dev/vg/a\n" },
    { "logical: shrinks only if asked", VG, RESIZE, VOL("a", "1"), 0, MIB,
      { { "vgs", VGS }, { "lvs", LVS(LV_ROW("a", "-wi-a-----", "8388608", "")) } },
      "! 8: Can't shrink capacity below current capacity unless shrink flag explicitly specified" },
    { "logical: an extent is no shrinking", VG, RESIZE, VOL("a", "1"), 0, 5 * MIB,
      { { "vgs", VGS }, { "lvs", LVS(LV_ROW("a", "-wi-a-----", "8388608", "")) } },
      "lvs " REPORT "lv_name,lv_size,lv_device_open,vg_extent_size vg\nlvextend or lvreduce it to 5242880 bytes\n"
      LIST("find the volume") "= a 8388608 8388608 /dev/vg/a\n" },
    { "logical: delete what is gone", VG, VOL_DELETE, VOL("a", "1"), 0, 0, { { "lvs", LVS("") } },
      "! 50: no storage vol with matching name 'a'" },
    { "logical: delete what is in use", VG, VOL_DELETE, VOL("a", "1"), 0, 0,
      { { "lvs", LVS("{\"lv_name\":\"a\",\"lv_device_open\":\"open\"}") } }, "! 55: volume 'a' is still in use." },
    { "logical: wipe of a sparse one", VG, WIPE, VOL("a", "1"), 0, 0,
      { { "lvs", LVS(LV_ROW("a", "swi-a-s---", "4194304", "")) } },
      "! 3: logical volume 'a' is sparse, volume wipe not supported" },
    { "disk: the seed's example is built as dos", DISK_XML, BUILD, NULL, BUILD_OVERWRITE, 0, { { NULL } },
      "open device /dev/sda for writing\nopen device /dev/sda for writing\nzeros over the first and last MiB\n"
      "parted --script /dev/sda mklabel msdos\nwait for udev\n" },
    { "disk: libvirt looks without a flag, too", GPT, BUILD, NULL, 0, 0,
      { { "blkid /dev/sdx", "" }, { "parted", TABLE("/dev/sdx", "bsd", "") } },
      "! 76: Device '/dev/sdx' already formatted using 'bsd'" },
    { "disk: no table", GPT, SCAN, NULL, 0, 0, { { "parted", TABLE("/dev/sdx", "unknown", "") } },
      "! 75: Device '/dev/sdx' is unrecognized, requires build" },
    { "disk: another table", GPT, SCAN, NULL, 0, 0, { { "parted", TABLE("/dev/sdx", "msdos", "") } },
      "! 55: Format of device '/dev/sdx' does not match the expected format 'gpt'" },
    { "disk: listing", DOS, SCAN, NULL, 0, 0,
      { { "parted", TABLE("/dev/sdx", "msdos", PART("1", "1048576", "20971519", "primary") ","
          PART("2", "20971520", "419430399", "extended") "," PART("5", "22020096", "52428799", "logical") ","
          PART("0", "52428800", "419430399", "free")) } },
      "wait for udev\n" PARTED("/dev/sdx") "list the partitions\nlook at the volumes' devices\n"
      "= sdx1 19922944 19922944 /dev/sdx1 [/dev/sdx 1048576-20971520]\n"
      "= sdx2 398458880 30408704 /dev/sdx2 [/dev/sdx 20971520-419430400]\n"
      "= sdx5 30408704 30408704 /dev/sdx5 [/dev/sdx 22020096-52428800]\n" },
#define MAKE_PART(size) PARTED("/dev/sdx") "make a partition of " size \
      " bytes in the smallest free stretch that holds it, at a whole MiB\n"
#define TWO_HOLES PART("0", "17408", "1048575", "free") "," PART("1", "1048576", "2097151", "primary") "," \
      PART("0", "2097152", "104857599", "free") "," PART("3", "104857600", "209715199", "primary") "," \
      PART("0", "209715200", "999999999", "free")
    { "disk: the smallest stretch, a whole MiB, the kernel's name", GPT, CREATE, VOL("sdx2", "1000001"), 0, 0,
      { { "parted", TABLE("/dev/sdx", "gpt", TWO_HOLES) } },
      MAKE_PART("1000001") "parted --script /dev/sdx mkpart primary ext2 2097152B 3100671B\n"
      "undo: parted --script /dev/sdx rm 2\nwait for udev\nwait for /dev/sdx2\nopen device /dev/sdx2 for writing\nsync\n"
      LIST_PART("/dev/sdx") },
    { "disk: a logical one leaves room for its record", DOS, CREATE, VOL("sdx5", "4096") "<target><format type='linux-swap'/>"
      "</target>", 0, 0,
      { { "parted", TABLE("/dev/sdx", "msdos", PART("1", "1048576", "99614719", "extended") ","
          PART("0", "2097152", "99614719", "free")) } },
      MAKE_PART("4096") "parted --script /dev/sdx mkpart logical linux-swap 3145728B 3149823B\n"
      "undo: parted --script /dev/sdx rm 5\nwait for udev\nwait for /dev/sdx5\nopen device /dev/sdx5 for writing\nsync\n"
      LIST_PART("/dev/sdx") },
    { "disk: a name of one's own", GPT, CREATE, VOL("data", "1000"), 0, 0,
      { { "parted", TABLE("/dev/sdx", "gpt", TWO_HOLES) } }, "! 8: invalid partition name 'data', expected 'sdx2'" },
    { "disk: nvme has a p", NVME, CREATE, VOL("nvme0n12", "1000"), 0, 0,
      { { "parted", TABLE("/dev/nvme0n1", "gpt", TWO_HOLES) } },
      "! 8: invalid partition name 'nvme0n12', expected 'nvme0n1p2'" },
    { "disk: too large", GPT, CREATE, VOL("sdx2", "900000000"), 0, 0,
      { { "parted", TABLE("/dev/sdx", "gpt", TWO_HOLES) } }, "! 1: no large enough free extent" },
    { "disk: four primaries", DOS, CREATE, VOL("sdx5", "1000"), 0, 0,
      { { "parted", TABLE("/dev/sdx", "msdos", PART("1", "1", "2", "primary") "," PART("2", "3", "4", "primary") ","
          PART("3", "5", "6", "primary") "," PART("4", "7", "8", "primary")) } },
      "! 1: no extended partition found and no primary partition available" },
    { "disk: one extended", DOS, CREATE, VOL("sdx2", "1000") "<target><format type='extended'/></target>", 0, 0,
      { { "parted", TABLE("/dev/sdx", "msdos", PART("1", "1", "2", "extended")) } },
      "! 1: extended partition already exists" },
    { "disk: deletes by number on nvme", NVME, VOL_DELETE, VOL("nvme0n1p3", "1"), 0, 0,
      { { "parted", TABLE("/dev/nvme0n1", "gpt", TWO_HOLES) } },
      PARTED("/dev/nvme0n1") "remove the partition from the table\nwait for udev\nopen device /dev/nvme0n1p3 for writing\n"
      "parted --script /dev/nvme0n1 rm 3\nwait for udev\n" },
    { "disk: an extended one with logical ones stays", DOS, VOL_DELETE, VOL("sdx1", "1"), 0, 0,
      { { "parted", TABLE("/dev/sdx", "msdos", PART("1", "1", "99", "extended") "," PART("5", "2", "9", "logical")) } },
      "! 55: partition 'sdx1' holds logical partitions" },
    { "disk: nor is it wiped", DOS, WIPE, VOL("sdx1", "1"), 0, 0,
      { { "parted", TABLE("/dev/sdx", "msdos", PART("1", "1", "99", "extended")) } },
      "! 3: cannot wipe extended partition 'sdx1'" },
    { "disk: no resize", GPT, RESIZE, VOL("sdx1", "1"), 0, MIB, { { NULL } },
      "! 3: storage pool does not support changing of volume capacity" },
    { "disk: a table from nowhere", GPT, SCAN, NULL, 0, 0, { { "parted", TABLE("/dev/sdx", "gpt", PART("1", "9", "1", "primary")) } },
      "! 0: parted tells of a partition from nowhere" },
    /* clang-format on */
};

static struct err *
make_plan(const struct device_case *c, const struct pool *pool, const struct vol *vol,
          struct plan *plan)
{
    switch (c->verb) {
    case BUILD: return gate_pool_build(pool, c->flags, plan);
    case START: return gate_pool_start(pool, plan);
    case STOP: return gate_pool_stop(pool, plan);
    case SCAN: return gate_pool_refresh(pool, plan);
    case POOL_DELETE: return gate_pool_delete(pool, plan);
    case CREATE: return gate_vol_create(pool, vol, c->flags, plan);
    case RESIZE: return gate_vol_resize(pool, vol, c->n, c->flags, plan);
    case VOL_DELETE: return gate_vol_delete(pool, vol, plan);
    case WIPE: return gate_vol_wipe(pool, vol, WIPE_ZERO, plan);
    }
    return NULL;
}

/* What the engine does with the steps that look at output.  Of a creation only the first: what
 * is there afterwards is not what was there before. */
static struct err *
play(const struct device_case *c, struct plan *plan, struct vol_list *vols)
{
    struct plan_seen seen = PLAN_SEEN_INIT;
    struct source_list sources = SOURCE_LIST_INIT;
    struct pool_stat stat = { .perms = PERMS_INIT };
    bool active = false, has_stat = false;
    const struct plan_found found = { &active, &has_stat, &stat, vols, &sources };
    struct err *e = NULL;
    size_t n_left = c->verb == CREATE ? 1 : SIZE_MAX;
    for (size_t i = 0; i < N_ELEMS(c->seen) && c->seen[i][0]; i++) {
        plan_seen_put(&seen, c->seen[i][0], c->seen[i][1], strlen(c->seen[i][1]));
    }
    for (size_t i = 0; i < plan->steps.n && !e && n_left > 0; i++) {
        const struct plan_step *step = plan->steps.v[i];
        n_left -= step->kind == STEP_PARSE || step->kind == STEP_THEN;
        e = step->kind == STEP_PARSE  ? step->parse(&seen, step->aux, &found)
            : step->kind == STEP_THEN ? step->then(&seen, step->aux, plan)
                                      : NULL;
    }
    plan_seen_done(&seen);
    source_list_done(&sources);
    return e;
}

static void
put_volumes(const struct vol_list *list, struct buf *out)
{
    for (size_t i = 0; i < list->vols.n; i++) {
        const struct vol *vol = &list->vols.v[i];
        buf_printf(out, "= %s %" PRId64 " %" PRId64 " %s", vol->name, vol->capacity,
                   vol->allocation, vol->target.path);
        for (size_t x = 0; x < vol->n_extents; x++) {
            buf_printf(out, " [%s %" PRId64 "-%" PRId64 "]", vol->extents[x].path,
                       vol->extents[x].start, vol->extents[x].end);
        }
        buf_printf(out, "%s%s%s%s\n", vol->backing.path ? " < " : "",
                   vol->backing.path ? vol->backing.path : "", vol->error ? " ! " : "",
                   vol->error ? vol->error : "");
    }
    for (size_t i = 0; i < list->warnings.n; i++) {
        buf_printf(out, "# %s\n", list->warnings.v[i]);
    }
}

TEST(devices)
{
    for (const struct device_case *c = cases; c < cases + N_ELEMS(cases); c++) {
        CLEANUP(pool_done) struct pool pool;
        CLEANUP(vol_done) struct vol vol;
        CLEANUP(plan_done) struct plan plan = PLAN_INIT;
        CLEANUP(vol_list_done) struct vol_list vols = VOL_LIST_INIT;
        CLEANUP(buf_done) struct buf got = BUF_INIT;
        pool_init(&pool);
        vol_init(&vol);
        struct err *e = poolxml_parse(c->pool, strlen(c->pool), &pool);
        if (!e && c->vol) {
            CLEANUP(free_drop) char *xml = str_dupf("<volume>%s</volume>", c->vol);
            e = volxml_parse(xml, strlen(xml), pool.type, 0, &vol);
        }
        e = e ? e : make_plan(c, &pool, c->vol ? &vol : NULL, &plan);
        e = e ? e : play(c, &plan, &vols);
        if (e) {
            buf_printf(&got, "! %d: %s", err_code(e), err_why(e));
        } else {
            buf_str(&got, plan_text(&plan));
            put_volumes(&vols, &got);
        }
        err_free(e);
        CHECK_STR(c->why, buf_cstr(&got), c->want);
    }
}
