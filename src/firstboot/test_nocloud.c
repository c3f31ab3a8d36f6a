/* firstboot/test_nocloud.c: the texts, what is refused, and the image as libarchive reads it back. */
#include "firstboot/nocloud.h"

#include <archive.h>
#include <archive_entry.h>

#include "base/str.h"
#include "test.h"

static const char *const keys[] = { "ssh-ed25519 AAAA me@desk", NULL };
static const char *const addresses[] = { "192.0.2.5/24", "2001:db8::5/64", NULL };
static const char *const dns[] = { "192.0.2.1", NULL };
static const struct nocloud_card cards[] = {
    { .mac = "52:54:00:00:00:01",
      .addresses = addresses,
      .gateway4 = "192.0.2.1",
      .gateway6 = "2001:db8::1",
      .dns = dns },
    { .mac = "52:54:00:00:00:02" },
};

static struct nocloud
example(void)
{
    return (struct nocloud){ .instance = { { 0x11, [15] = 0x22 } },
                             .hostname = "web1.example.org",
                             .user = "admin",
                             .ssh_keys = keys,
                             .cards = cards,
                             .n_cards = 2,
                             .done_url = "http://192.0.2.1:8080/install/done?key=k" };
}

TEST(texts)
{
    CLEANUP(buf_done) struct buf meta = BUF_INIT, user = BUF_INIT, network = BUF_INIT;
    struct nocloud n = example();
    CHECK_OK("fine", nocloud_check(&n));
    nocloud_texts(&n, &meta, &user, &network);
    CHECK_STR(
        "meta-data", buf_cstr(&meta),
        "{\n  \"instance-id\": \"11000000-0000-0000-0000-000000000022\",\n  \"local-hostname\": \"web1.example.org\"\n}\n");
    CHECK("cloud-config", str_starts(buf_cstr(&user), "#cloud-config\n{"));
    CHECK("short name", strstr(buf_cstr(&user), "\"hostname\": \"web1\""));
    CHECK("long name", strstr(buf_cstr(&user), "\"fqdn\": \"web1.example.org\""));
    CHECK("key", strstr(buf_cstr(&user), "ssh-ed25519 AAAA me@desk"));
    CHECK("no login by password", strstr(buf_cstr(&user), "\"lock_passwd\": true") &&
                                      strstr(buf_cstr(&user), "\"ssh_pwauth\": false"));
    CHECK("whom to call",
          strstr(buf_cstr(&user), "http://192.0.2.1:8080/install/done?key=k"));
    CHECK("fixed addresses", strstr(buf_cstr(&network), "192.0.2.5/24") &&
                                 strstr(buf_cstr(&network), "\"to\": \"::/0\""));
    CHECK("DHCP where there is none", strstr(buf_cstr(&network), "\"dhcp4\": true"));
}

TEST(own_user_data)
{
    CLEANUP(buf_done) struct buf meta = BUF_INIT, user = BUF_INIT, network = BUF_INIT;
    struct nocloud n = example();
    n.user_data = "#!/bin/sh\necho hello\n";
    nocloud_texts(&n, &meta, &user, &network);
    CHECK_STR("as it is", buf_cstr(&user), "#!/bin/sh\necho hello\n");
}

TEST(what_is_refused)
{
    static const char *const bad_names[] = { "",      "-web", "web-", "a..b", "web_1",
                                             "web 1", "a.",   ".a",   "x\ny", NULL };
    static const char *const bad_users[] = {
        "", "Root", "a b", "1a", "x:y", "a/../b", NULL
    };
    for (size_t i = 0; bad_names[i]; i++) {
        struct nocloud n = example();
        n.hostname = bad_names[i];
        CHECK_ERR(bad_names[i], nocloud_check(&n), ERR_SYNTAX);
    }
    for (size_t i = 0; bad_users[i]; i++) {
        struct nocloud n = example();
        n.user = bad_users[i];
        CHECK_ERR(bad_users[i], nocloud_check(&n), ERR_SYNTAX);
    }
    struct nocloud n = example();
    n.password_hash = "geheim";
    CHECK_ERR("a password in clear", nocloud_check(&n), ERR_SYNTAX);
    n.password_hash = "$y$j9T$abc$def";
    CHECK_OK("a hash", nocloud_check(&n));
    n.ssh_keys = (const char *const[]){ "ssh-rsa A\nruncmd: [x]", NULL };
    CHECK_ERR("a key of two lines", nocloud_check(&n), ERR_SYNTAX);
    n = example();
    struct nocloud_card card = { .mac = "52:54:00:00:00:0G" };
    n.cards = &card;
    n.n_cards = 1;
    CHECK_ERR("no MAC address", nocloud_check(&n), ERR_SYNTAX);
}

/* Text stays text: nothing in it becomes a member of its own. */
TEST(quoting)
{
    CLEANUP(buf_done) struct buf meta = BUF_INIT, user = BUF_INIT, network = BUF_INIT;
    struct nocloud n = example();
    n.ssh_keys =
        (const char *const[]){ "ssh-rsa A \"quoted\", \"runcmd\": [\"x\"] \\", NULL };
    nocloud_texts(&n, &meta, &user, &network);
    CHECK("escaped",
          strstr(buf_cstr(&user), "A \\\"quoted\\\", \\\"runcmd\\\": [\\\"x\\\"] \\\\\""));
}

TEST(the_image_reads_back)
{
    CLEANUP(buf_done)
    struct buf iso = BUF_INIT, meta = BUF_INIT, user = BUF_INIT, network = BUF_INIT;
    struct nocloud n = example();
    struct archive_entry *entry;
    int n_found = 0;

    CHECK_OK("made", nocloud_iso(&n, &iso));
    CHECK("named for cloud-init",
          iso.n > 32768 + 80 && memcmp(iso.data + 32768 + 40, "CIDATA ", 7) == 0);
    nocloud_texts(&n, &meta, &user, &network);
    struct archive *a = archive_read_new();
    archive_read_support_format_iso9660(a);
    CHECK_INT("opens", archive_read_open_memory(a, iso.data, iso.n), ARCHIVE_OK);
    while (archive_read_next_header(a, &entry) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(entry);
        const struct buf *want = str_eq(name, "meta-data")        ? &meta
                                 : str_eq(name, "user-data")      ? &user
                                 : str_eq(name, "network-config") ? &network
                                                                  : NULL;
        if (want) {
            char got[8192];
            la_ssize_t n_got = archive_read_data(a, got, sizeof got);
            CHECK(name,
                  n_got == (la_ssize_t) want->n && memcmp(got, want->data, want->n) == 0);
            n_found++;
        }
    }
    archive_read_free(a);
    CHECK_INT("all three", n_found, 3);
}
