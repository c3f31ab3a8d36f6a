/* cli/live.c: what the agent can tell of a volume or a pool this moment, beyond its row. */
#include "base/clock.h"
#include "cli/agent_i.h"
#include "cli/query_i.h"
#include "cli/storage_i.h"

#define LIVE_MS 10000

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
