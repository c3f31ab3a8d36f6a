/* cli/pool_find.c: what pools could be made of: the volume groups of this host, the exports and
 * targets of a server.  Prints libvirt's <sources>. */
#include "base/clock.h"
#include "cli/agent_i.h"
#include "cli/pool_i.h"
#include "cli/storage_i.h"
#include "xml/writer.h"

const struct opt_spec opts_pool_find[] = {
    { "port", "PORT", "of the server" },
    { "source-initiator", "IQN", "of iscsi: as whom to ask" },
    { NULL },
};
const struct opt_spec opts_pool_find_xml[] = { { NULL } };

static struct err *
ask(struct cli *cli, const char *type, const char *xml)
{
    struct arena *a = &cli->arena;
    struct json request = json_object();
    struct json result;
    int64_t limit_ms = cli->timeout_ms ? clock_mono_ms() + cli->timeout_ms : 0;

    json_put(a, &request, "method", json_string_ref("sources"));
    json_put(a, &request, "type", json_string(a, type));
    if (xml) {
        json_put(a, &request, "xml", json_string(a, xml));
    }
    TRY(err_wrap(agent_call(cli, &request, -1, limit_ms, type, &result, NULL),
                 "sources of type %s", type));
    const char *answer = json_get_string(&result, "xml");
    if (!answer) {
        return err_new(ERR_SYNTAX, "the agent gave no sources");
    }
    fputs(answer, stdout);
    return NULL;
}

struct err *
pool_find_as(struct cli *cli, const struct args *args)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;
    struct xml_writer w;
    const char *host = args->pos.n > 1 ? args->pos.v[1] : NULL;
    const char *port = args_get(args, "port");
    const char *initiator = args_get(args, "source-initiator");

    xml_writer_init(&w, &xml);
    xml_open(&w, "source");
    if (host) {
        xml_open(&w, "host");
        xml_put(&w, "name", host);
        xml_put(&w, "port", port);
        xml_close(&w);
    }
    if (initiator) {
        xml_open(&w, "initiator");
        xml_open(&w, "iqn");
        xml_put(&w, "name", initiator);
        xml_close(&w);
        xml_close(&w);
    }
    xml_close_wide(&w);
    return ask(cli, args->pos.v[0], host || initiator ? buf_cstr(&xml) : NULL);
}

struct err *
pool_find(struct cli *cli, const struct args *args)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT;

    if (args->pos.n > 1) {
        TRY(read_input(args->pos.v[1], &xml));
    }
    return ask(cli, args->pos.v[0], args->pos.n > 1 ? buf_cstr(&xml) : NULL);
}
