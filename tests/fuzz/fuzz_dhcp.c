/* tests/fuzz/fuzz_dhcp.c: answers of a DHCPv6 server, and names of clients. */
#include "base/str.h"
#include "net/dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    uint32_t xid =
        n_bytes >= 4 ? (uint32_t) data[1] << 16 | (uint32_t) data[2] << 8 | data[3] : 0;
    CLEANUP(free_drop) char *text = str_dupf("%.*s", (int) n_bytes, (const char *) data);
    struct net_dhcp_id id;

    if (net_dhcp6_server(data, n_bytes, xid, &id)) {
        ASSERT(id.n > 0 && id.n <= sizeof id.bytes);
    }
    if (net_dhcp_id_parse(text, &id)) {
        ASSERT(strlen(text) == 3 * id.n - 1);
    }
    return 0;
}
