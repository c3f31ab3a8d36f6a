/* cli/test_top.c: what a screen of top says of one answer of the agent. */
#include "cli/top_i.h"

#include "test.h"

static const char sample[] =
    "{\"host\":{\"name\":\"sv091\",\"cpus\":16,\"mhz\":1698,\"mem_kib\":134089040,\"mem_free_kib\":28216812},\"domains\":["
    "{\"name\":\"0004fb00000600004a27037b0835a489\",\"status\":\"running\",\"partial\":false,\"cpu_ms\":1161531000,"
    "\"mem_kib\":16744412,\"max_mem_kib\":16744448,\"vcpu\":4,\"vcpus_ms\":[1000,2000],\"nets\":[{\"name\":\"vnet0\","
    "\"rx\":2594877440,\"tx\":4493680640,\"prx\":7,\"ptx\":8}],\"disks\":[{\"name\":\"vda\",\"rd_req\":5,\"wr_req\":6,"
    "\"rd_bytes\":5120,\"wr_bytes\":1024}],\"rates\":{\"cpu_ms\":1048,\"rx\":10}},"
    "{\"name\":\"a\\u001b[31m\",\"status\":\"paused\",\"partial\":true,\"cpu_ms\":5000,\"mem_kib\":1024,\"max_mem_kib\":2048,"
    "\"vcpu\":1,\"vcpus_ms\":[],\"nets\":[],\"disks\":[],\"rates\":{}}]}";

static const char *
shown(struct buf *out, struct top_view view)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json json;
    CHECK_OK("parses", json_parse(&arena, sample, strlen(sample), &json));
    view.time = "01:25:09";
    buf_clear(out);
    top_print(out, &json, &view);
    return buf_cstr(out);
}

TEST(xentops_lines)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    CHECK_STR(
        "names whole, columns aligned, no escape reaches the terminal",
        shown(&out, (struct top_view){ .sort = TOP_CPU }),
        "byre top - 01:25:09   sv091\n"
        "2 domains: 1 running, 0 blocked, 1 paused, 0 crashed, 0 dying, 0 shutdown\n"
        "Mem: 134089040k total, 105872228k used, 28216812k free    CPUs: 16 @ 1698MHz\n"
        "NAME                              STATE CPU(sec) CPU(%)   MEM(k) MEM(%) MAXMEM(k) MAXMEM(%) VCPUS NETS NETTX(k) NETRX(k) "
        "VBDS VBD_OO VBD_RD VBD_WR VBD_RSECT VBD_WSECT SSID\n"
        "0004fb00000600004a27037b0835a489 -----r  1161531  104.8 16744412   12.5  16744448      12.5     4    1  4388360  2534060 "
        "   1      0      5      6        10         2    0\n"
        "a?[31m                           ----p-        5    0.0     1024    0.0      2048       0.0     1    0        0        0 "
        "   0      0      0      0         0         0    0\n");
}

TEST(what_is_not_current_says_so)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    struct json json;
    const char text[] =
        "{\"domains\":[],\"trouble\":\"libvirt cannot be reached\\u001b\\nno socket\"}";
    CHECK_OK("parses", json_parse(&arena, text, strlen(text), &json));
    top_print(&out, &json, &(struct top_view){ .time = "01:25:09" });
    CHECK("its first line",
          strstr(buf_cstr(&out),
                 "0 shutdown   (not current: libvirt cannot be reached?)\nMem"));
}

TEST(order_filter_and_devices)
{
    CLEANUP(buf_done) struct buf out = BUF_INIT;
    const char *text = shown(&out, (struct top_view){ .sort = TOP_NAME, .reverse = true });
    CHECK("by name, from the end", strstr(text, "a?[31m") < strstr(text, "0004fb"));
    CHECK("filter", !strstr(shown(&out, (struct top_view){ .filter = "a*" }), "0004fb"));
    CHECK("the count is of those",
          strstr(shown(&out, (struct top_view){ .filter = "a*" }), "1 domains"));
    text = shown(&out, (struct top_view){ .networks = true, .disks = true, .vcpus = true });
    CHECK("networks",
          strstr(text,
                 "\n  Net0 vnet0 RX: 2594877440bytes 7pkts  TX: 4493680640bytes 8pkts\n"));
    CHECK("disks", strstr(text, "\n  VBD vda RD: 5  WR: 6  RSECT: 10  WSECT: 2\n"));
    CHECK("virtual CPUs", strstr(text, "\n  VCPUs(sec): 0: 1s  1: 2s\n"));
    text = shown(&out, (struct top_view){ .rows = 5, .first = 1, .sort = TOP_NAME });
    CHECK("scrolled", !strstr(text, "0004fb") && strstr(text, "a?[31m"));
}
