/* tests/fuzz/fuzz_cluster.c: files of ovsdb-server's clusters, as byre-dbtool reads them.
 *
 * The input is a JSON array, each element a record of the file (or it is a file as it is, which only tries
 * the reader).  Reading ends; what is read keeps Raft's rules; a file fits itself but for being
 * the same member; and the content, if it is accepted, can be written and read again. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/fs.h"
#include "db_fuzz.h"
#include "dbserver/dbfile.h"
#include "journal/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* The file's bytes. */
static void
make_file(const uint8_t *data, size_t n_bytes, struct buf *file)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json records;
    struct err *e = json_parse(&arena, (const char *) data, n_bytes, &records);

    if (e || records.type != JSON_ARRAY) {
        err_free(e);
        buf_add(file, data, n_bytes);
        return;
    }
    for (uint32_t i = 0; i < records.n; i++) {
        CLEANUP(free_drop) char *text = json_text(&records.elems[i], 0);
        record_header_cluster(text, strlen(text), file);
        buf_str(file, text);
        buf_char(file, '\n');
    }
}

static void
check_content(const struct cluster_file *f)
{
    CLEANUP(db_drop) struct db *db = NULL;
    struct err *e = dbfile_of_cluster(f, &db);

    ASSERT(!e || !db);
    err_free(e);
    if (db) {
        CLEANUP(db_drop) struct db *again = db_new(db_schema(db));
        CLEANUP(arena_done) struct arena arena = ARENA_INIT;
        CLEANUP(free_drop) char *text = content(db);
        struct json record;
        e = json_parse_str(&arena, text, &record);
        ASSERT(!e);
        e = db_replay(again, &record);
        ASSERT(!e);
        CLEANUP(free_drop) char *text_again = content(again);
        ASSERT(strlen(text) == strlen(text_again));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    CLEANUP(buf_done) struct buf file = BUF_INIT;
    CLEANUP(cluster_file_done) struct cluster_file f;
    CLEANUP(fd_done) int fd = memfd_create("cluster", MFD_CLOEXEC);

    ASSERT(fd >= 0);
    make_file(data, n_bytes, &file);
    err_free(fd_write_all(fd, file.data, file.n));
    struct err *e = cluster_file_read(&f, "fuzz", fd);
    if (!e) {
        ASSERT(f.name && f.sid && f.address && f.commit_index >= f.prev_index);
        err_free(cluster_file_check(&f));
        if (cluster_file_joined(&f)) {
            struct err *same = cluster_file_compare(&f, &f);
            ASSERT(same && strstr(err_text(same), "both of server"));
            err_free(same);
        }
        check_content(&f);
    }
    err_free(e);
    return 0;
}
