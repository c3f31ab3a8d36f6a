/* dbserver/convert.c: the method "convert": another schema under a database that is being served.
 * The new file takes the place of the old one whole, or nothing happens. */
#define LOG_MODULE "dbserver"
#include "base/clock.h"
#include "base/log.h"
#include "data/rfc7047.h"
#include "dbserver/dbfile.h"
#include "dbserver/peer_i.h"

struct err *
served_convert(struct served *s, const struct json *schema_json, bool read_only)
{
    CLEANUP(schema_drop) struct schema *schema = NULL;
    CLEANUP(db_drop) struct db *db = NULL;

    TRY(schema_parse(schema_json, &schema));
    if (!str_eq(schema->name, s->name)) {
        return rfc_err(RFC_INVALID_PARAMETERS,
                       "new schema name (%s) does not match database name (%s)",
                       schema->name, s->name);
    } else if (!s->journal || read_only) {
        return rfc_err(RFC_NOT_ALLOWED,
                       "conversion is not allowed for read-only database %s", s->name);
    }
    TRY(db_convert(s->db, schema, &db));
    compact_cancel(s);
    TRY(dbfile_replace(s->journal, db, "converted by byre-dbd"));

    monitors_cancel(s);
    struct db *old = s->db;
    s->db = TAKE(db);
    db_free(old);
    s->compacted_ms = clock_mono_ms();
    self_update(s->server, s);
    dbremotes_changed(s->server);
    log_info("%s: converted to schema version %s", s->name, schema->version);
    return NULL;
}
