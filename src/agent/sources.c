/* agent/sources.c: what pools could be made of, as libvirt's pool source discovery tells it.
 *
 *     {"method":"sources","type":"netfs","xml":"<source><host name='h'/></source>"}
 *                                              -> {"result":{"xml":"<sources>..."}}
 *
 * The host is asked, or a server named in the XML: volume groups, exports, targets. */
#include "agent/service_i.h"

#include "json/decode.h"
#include "store/poolxml.h"

#define XML_MAX_BYTES (64 * KIB)

static void
sources_serve(struct request *r)
{
    CLEANUP(buf_done) struct buf xml = BUF_INIT, line = BUF_INIT;
    struct json answer = json_object(), result = json_object();

    struct err *e = stored_call(r->agent->stored, &r->priv, -1, NULL, &r->reply);
    if (e) {
        service_send_error(r->fd, e);
        err_free(e);
        return;
    }
    source_list_format(&r->reply.sources, r->pool.type, &xml);
    json_put(&r->arena, &result, "xml", json_string(&r->arena, buf_cstr(&xml)));
    json_put(&r->arena, &answer, "result", result);
    json_print(&answer, 0, &line);
    service_send_line(r->fd, &line);
}

struct err *
sources_prepare(struct request *r, struct decode *d)
{
    const char *type = decode_string(d, "type", 0, NULL);
    const char *xml = decode_string(d, "xml", DECODE_OPTIONAL, NULL);
    enum pool_type pool_type;

    TRY(decode_end(d));
    if (!pool_type_parse(type, &pool_type)) {
        return err_new(ERR_SYNTAX, "there is no pool type '%s'", type);
    } else if (xml && strlen(xml) > XML_MAX_BYTES) {
        return err_new(ERR_CONSTRAINT, "the XML is too long");
    }
    pool_init(&r->pool);
    vol_init(&r->vol);
    priv_reply_init(&r->reply);
    r->has_models = true;
    if (xml) {
        TRY(poolxml_parse_source(xml, strlen(xml), pool_type, &r->pool));
    }
    r->pool.type = pool_type;
    r->pool.name = "sources"; /* The pool's own name counts for nothing here. */
    r->priv = (struct priv_request){ .verb = PRIV_FIND_SOURCES, .pool = &r->pool };
    r->run = sources_serve;
    return NULL;
}
