/* bin/dbtool_record.c: how show-log and history put a record of the log in words. */
#include <stdio.h>
#include <time.h>

#include "base/str.h"
#include "bin/dbtool_i.h"
#include "data/datum.h"

char *
tool_value_text(const struct table_schema *table, const char *name,
                const struct json *value)
{
    const struct column *column = table ? schema_find_column(table, name) : NULL;
    struct datum datum;
    struct err *e =
        column ? datum_parse(&datum, &column->type, value, NULL, DATUM_ANY_SIZE) : NULL;

    if (!column || e) {
        err_free(e);
        return json_text(value, JSON_SORTED);
    }
    struct buf text = BUF_INIT;
    datum_print_text(&datum, &column->type, &text);
    datum_done(&datum, &column->type);
    return buf_take(&text);
}

bool
tool_date_of(const struct json *record, int64_t *ret_ms)
{
    bool has = json_get_int(record, "_date", ret_ms);
    if (!has) {
        *ret_ms = 0;
    } else if (*ret_ms < INT64_C(1) << 32) {
        *ret_ms *= 1000; /* Ancient files have seconds. */
    }
    return has;
}

char *
tool_date_text(int64_t date_ms)
{
    time_t seconds = (time_t) (date_ms / 1000);
    struct tm tm;
    char text[32];

    if (!gmtime_r(&seconds, &tm) ||
        !strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm)) {
        return str_dup("?");
    }
    return str_dupf("%s.%03d", text, (int) (date_ms % 1000));
}

struct err *
tool_damage(const struct journal *journal)
{
    const struct journal_damage *d = journal_damage(journal);
    return d->why ? err_hint(
                        err_new(ERR_SYNTAX, "stopped at the damage: %s", err_text(d->why)),
                        "see: byre-dbtool check %s", journal_path(journal))
                  : NULL;
}
