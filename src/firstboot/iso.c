/* firstboot/iso.c: the image around the texts.  The only file that sees libarchive.
 *
 * Rock Ridge and Joliet, so that any system finds the names as they are.  The volume's name becomes CIDATA in the primary
 * descriptor and cidata in Joliet's; cloud-init takes either. */
#include "firstboot/nocloud.h"

#include <archive.h>
#include <archive_entry.h>

#define OPTIONS "volume-id=cidata,joliet,rockridge=useful"

static struct err *
archive_err(struct archive *a)
{
    const char *why = archive_error_string(a);
    return err_new(ERR_IO, "ISO image: %s", why ? why : "no reason given");
}

static la_ssize_t
on_bytes(struct archive *a, void *aux, const void *bytes, size_t n)
{
    buf_add(aux, bytes, n);
    return (la_ssize_t) n;
}

static struct err *
add_file(struct archive *a, const char *name, const struct buf *text)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0400);
    archive_entry_set_size(entry, (la_int64_t) text->n);
    bool fine = archive_write_header(a, entry) == ARCHIVE_OK &&
                archive_write_data(a, text->data, text->n) == (la_ssize_t) text->n;
    archive_entry_free(entry);
    return fine ? NULL : archive_err(a);
}

static struct err *
write_all(struct archive *a, const struct nocloud *n, struct buf *ret)
{
    CLEANUP(buf_done) struct buf meta = BUF_INIT, user = BUF_INIT, network = BUF_INIT;

    nocloud_texts(n, &meta, &user, &network);
    if (archive_write_set_format_iso9660(a) != ARCHIVE_OK ||
        archive_write_set_options(a, OPTIONS) != ARCHIVE_OK ||
        archive_write_open(a, ret, NULL, on_bytes, NULL) != ARCHIVE_OK) {
        return archive_err(a);
    }
    TRY(add_file(a, "meta-data", &meta));
    TRY(add_file(a, "user-data", &user));
    TRY(add_file(a, "network-config", &network));
    return archive_write_close(a) == ARCHIVE_OK ? NULL : archive_err(a);
}

struct err *
nocloud_iso(const struct nocloud *n, struct buf *ret)
{
    TRY(nocloud_check(n));
    struct archive *a = archive_write_new();
    ASSERT(a);
    struct err *e = write_all(a, n, ret);
    archive_write_free(a);
    return e;
}
