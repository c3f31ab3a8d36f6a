/* cli/live.c: what the agent can tell of a volume or a pool this moment, beyond its row. */
#include "base/clock.h"
#include "cli/agent_i.h"
#include "cli/query_i.h"
#include "cli/storage_i.h"

#define LIVE_MS 10000
#define LOOK_MS 5000 /* For the row of a file that was found. */

struct err *
live_xml(struct cli *cli, const char *noun, const struct uuid *row, const char *label,
         const char **ret_xml)
{
    struct arena *a = &cli->arena;
    struct json request = json_object(), result;

    *ret_xml = NULL;
    json_put(a, &request, "method", json_string_ref("xml"));
    json_put(a, &request, noun, json_string(a, UUID_TEXT(row)));
    struct err *e =
        agent_call(cli, &request, -1, clock_mono_ms() + LIVE_MS, label, &result, NULL);
    if (err_is(e, ERR_NOT_FOUND)) {
        return e; /* The row says that it is there, and it is not. */
    } else if (e) {
        err_free(e); /* Another host's, or nobody answers: the row will do. */
        return NULL;
    }
    const struct json *xml = json_get(&result, "xml");
    *ret_xml = xml && xml->type == JSON_STRING ? xml->string : NULL;
    return NULL;
}

/* Until the agent's row is there for us too. */
static bool
await_row(struct cli *cli, const struct uuid *pool, const char *name)
{
    struct arena *a = &cli->arena;
    struct json op = json_object(), ops = json_array(), where = json_array();
    struct json rows = json_array(), row = json_object(), columns = json_array(), results;

    json_add(a, &where, q_clause(a, "pool", "==", q_uuid(a, pool)));
    json_add(a, &where, q_clause(a, "name", "==", json_string(a, name)));
    json_add(a, &columns, json_string_ref("name"));
    json_put(a, &row, "name", json_string(a, name));
    json_add(a, &rows, row);
    json_put(a, &op, "op", json_string_ref("wait"));
    json_put(a, &op, "table", json_string_ref("volume"));
    json_put(a, &op, "where", where);
    json_put(a, &op, "columns", columns);
    json_put(a, &op, "until", json_string_ref("=="));
    json_put(a, &op, "rows", rows);
    json_put(a, &op, "timeout", json_int(LOOK_MS));
    json_add(a, &ops, op);
    struct err *e = db_transact(cli, &ops, &results);
    bool there = !e;
    err_free(e);
    return there;
}

bool
live_look_up(struct cli *cli, const char *spec)
{
    struct arena *a = &cli->arena;
    const char *slash = strrchr(spec, '/');
    struct json request = json_object(), result;
    struct named pool;

    if (cli->looked_up || !slash || slash == spec || !slash[1] || strpbrk(spec, "*?[")) {
        return false;
    }
    cli->looked_up = true;
    struct err *e = names_find(cli, "pool", arena_dup(a, spec, (size_t) (slash - spec)),
                               "_uuid", &pool);
    if (!e) {
        json_put(a, &request, "method", json_string_ref("look"));
        json_put(a, &request, "pool", json_string(a, UUID_TEXT(&pool.uuid)));
        json_put(a, &request, "name", json_string(a, slash + 1));
        e = agent_call(cli, &request, -1, clock_mono_ms() + LIVE_MS, spec, &result, NULL);
    }
    if (e) {
        err_free(e); /* Then it is as the rows say. */
        return false;
    }
    const struct json *found = json_get(&result, "found");
    return found && found->type == JSON_TRUE && await_row(cli, &pool.uuid, slash + 1);
}
