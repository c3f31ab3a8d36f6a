/* dbserver/commands_tlog.c: what happens in a table, in the log: ovsdb-server/tlog-set and tlog-list.
 * Source.  ovsdb-server(1), "Transaction Logging Commands". */
#define LOG_MODULE "transaction"
#include "base/log.h"
#include "base/str.h"
#include "dbserver/commands_i.h"

struct err *
do_tlog_set(struct dbserver *s, const char **argv, size_t argc UNUSED,
            struct buf *out UNUSED)
{
    CLEANUP(strvec_done) struct strvec parts = STRVEC_INIT;
    bool on = strcasecmp(argv[1], "on") == 0;

    strvec_split(&parts, argv[0], ":");
    const struct served *found = parts.n == 2 ? server_find_db(s, parts.v[0]) : NULL;
    if (!on && strcasecmp(argv[1], "off") != 0) {
        return err_new(ERR_SYNTAX, "invalid command argument");
    } else if (parts.n != 2) {
        return err_new(ERR_SYNTAX, "invalid DB:TABLE argument");
    } else if (!found || !found->db) {
        return err_new(ERR_NOT_FOUND, "no such database");
    } else if (!schema_find_table(db_schema(found->db), parts.v[1])) {
        return err_new(ERR_NOT_FOUND, "no such table");
    }
    struct served *served = server_find_db(s, parts.v[0]);
    struct strvec old = served->logged;
    served->logged = STRVEC_INIT;
    for (size_t i = 0; i < old.n; i++) {
        if (!str_eq(old.v[i], parts.v[1])) {
            strvec_add(&served->logged, old.v[i]);
        }
    }
    strvec_done(&old);
    if (on) {
        strvec_add(&served->logged, parts.v[1]);
    }
    return NULL;
}

struct err *
do_tlog_list(struct dbserver *s, const char **argv UNUSED, size_t argc UNUSED,
             struct buf *out)
{
    buf_str(out, "database        table                       logging\n"
                 "--------        -----                       -------");
    MAP_FOR_EACH (entry, &s->dbs) {
        const struct served *served = entry->value;
        const struct schema *schema = served->db ? db_schema(served->db) : NULL;
        buf_printf(out, "\n%-16s ", served->name);
        for (size_t i = 0; schema && i < schema->n_tables; i++) {
            const char *name = schema->tables[i].name;
            buf_printf(out, "\n                %-27s %s", name,
                       strvec_has(&served->logged, name) ? "ON" : "OFF");
        }
    }
    return NULL;
}

void
tlog_write(const struct served *s, const struct buf *record)
{
    CLEANUP(arena_done) struct arena arena = ARENA_INIT;
    struct json json;

    if (s->logged.n == 0 || record->n == 0) {
        return;
    }
    struct err *e = json_parse(&arena, record->data, record->n, &json);
    ASSERT(!e); /* It is ours. */
    const char *comment = json_get_string(&json, "_comment");
    for (size_t i = 0; i < s->logged.n; i++) {
        const struct json *rows = json_get(&json, s->logged.v[i]);
        CLEANUP(free_drop) char *text = rows ? json_text(rows, JSON_SORTED) : NULL;
        if (text) {
            log_info("%s:%s: %s (%s)", s->name, s->logged.v[i], text,
                     comment ? comment : "");
        }
    }
}
