/* agent/alarm.c: rows of table alarm: what somebody should look at, as long as it holds.
 *
 * One row an object and kind.  It begins with its condition and ends with it; nobody has to
 * acknowledge anything. */
#include "agent/agent_i.h"

#include "base/clock.h"

static struct row_alarm *
alarm_find(const struct agent *a, const struct uuid *object, const char *kind)
{
    ROW_FOR_EACH (struct row_alarm, alarm, row_alarm_table(a->replica)) {
        if (uuid_eq(&alarm->object, object) && str_eq(alarm->kind, kind)) {
            return alarm;
        }
    }
    return NULL;
}

void
alarm_set(struct agent *a, const struct alarm_object *object, const char *kind,
          const char *text)
{
    const struct row_alarm *alarm = alarm_find(a, &object->uuid, kind);

    if (alarm && !text) {
        txn_delete(report_txn(a), "alarm", &alarm->base.uuid);
    } else if (alarm && !str_eq(alarm->text, text)) {
        txn_set_string(txn_update(report_txn(a), "alarm", &alarm->base.uuid), "text", text);
    } else if (!alarm && text) {
        struct txn_row *row = txn_insert(report_txn(a), "alarm");
        txn_set_uuid(row, "object", &object->uuid);
        txn_set_string(row, "object_table", object->table);
        txn_set_uuid(row, "hostnode", &object->hostnode);
        txn_set_string(row, "kind", kind);
        txn_set_int(row, "since", clock_wall_ms());
        txn_set_string(row, "text", text);
    }
}
