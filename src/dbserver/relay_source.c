/* dbserver/relay_source.c: what a relay's source tells of itself in its _Server, and whether it may be
 * followed: it must have the database, be in touch with its own source or cluster, and not be behind
 * what we have seen of the cluster. */
#include "dbserver/relay_i.h"

static void
read_row(struct relay_source *s, const struct json *row)
{
    const struct json *m;

    if ((m = json_get(row, "model")) != NULL && m->type == JSON_STRING) {
        s->alone = str_eq(m->string, "standalone");
    }
    if ((m = json_get(row, "connected")) != NULL) {
        s->connected = m->type == JSON_TRUE;
    }
    if ((m = json_get(row, "leader")) != NULL) {
        s->leader = m->type == JSON_TRUE;
    }
    if ((m = json_get(row, "index")) != NULL) {
        s->index = m->type == JSON_INTEGER ? m->integer : 0;
    }
    if ((m = json_get(row, "cid")) != NULL && m->type == JSON_ARRAY && m->n == 2 &&
        m->elems[1].type == JSON_STRING && m->elems[1].n == UUID_CHARS) {
        memcpy(s->cid, m->elems[1].string, UUID_CHARS + 1);
    }
}

void
relay_read_source(struct relay *r, const struct json *updates)
{
    const struct json *rows = json_get(updates, "Database");

    if (!json_is(rows, JSON_OBJECT)) {
        return;
    }
    JSON_FOR_EACH_MEMBER (m, rows) {
        const struct json *whole = json_get(&m->value, "initial");
        whole = whole ? whole : json_get(&m->value, "insert");
        const struct json *some = json_get(&m->value, "modify");
        if (json_is(whole, JSON_OBJECT)) {
            r->source = (struct relay_source){ .known = true, .there = true };
            read_row(&r->source, whole);
        } else if (json_is(some, JSON_OBJECT)) {
            read_row(&r->source, some);
        } else if (json_get(&m->value, "delete")) {
            r->source.there = false;
        }
    }
}

struct err *
relay_judge_source(const struct relay *r)
{
    const struct relay_source *s = &r->source;
    const char *remote = session_io_remote(r->session);

    if (!s->known) { /* No _Server: an old server, which has one of a kind. */
        return NULL;
    } else if (!s->there) {
        return err_new(ERR_NOT_FOUND, "%s: there is no database %s", remote,
                       r->served->name);
    } else if (!s->connected) {
        return err_new(ERR_BUSY,
                       "%s: database %s is disconnected from its own source or cluster",
                       remote, r->served->name);
    } else if (r->leader_only && !s->leader) {
        return err_new(ERR_BUSY, "%s: is not the leader of database %s", remote,
                       r->served->name);
    } else if (s->cid[0] && r->cid[0] && !str_eq(s->cid, r->cid)) {
        return err_hint(
            err_new(ERR_CONSTRAINT, "%s: belongs to cluster %s, not to %s", remote, s->cid,
                    r->cid),
            "name members of one cluster only; for another one add the database "
            "anew");
    } else if (s->cid[0] && s->index < r->min_index) {
        return err_new(ERR_BUSY,
                       "%s: is behind: it has index %" PRId64 ", we have seen %" PRId64,
                       remote, s->index, r->min_index);
    }
    return NULL;
}

void
relay_note_index(struct relay *r)
{
    if (r->source.cid[0]) {
        memcpy(r->cid, r->source.cid, sizeof r->cid);
        r->min_index = max64(r->min_index, r->source.index);
    }
}

static void
on_self_reply(void *relay, struct jsonrpc_msg *reply, struct err *e)
{
    struct relay *r = relay;

    if (!e && reply->kind == JSONRPC_REPLY) {
        r->source = (struct relay_source){ .known = true };
        relay_read_source(r, &reply->result);
    }
    err_free(e);
    jsonrpc_msg_free(reply);
}

void
relay_ask_self(struct relay *r)
{
    CLEANUP(buf_done) struct buf params = BUF_INIT;
    struct json name = json_string_ref(r->served->name);

    r->source = (struct relay_source){ .known = false };
    buf_str(&params,
            "[\"_Server\",\"" RELAY_SELF_MONITOR
            "\",{\"Database\":[{\"columns\":[\"model\","
            "\"connected\",\"leader\",\"index\",\"cid\"],\"where\":[[\"name\",\"==\",");
    json_print(&name, 0, &params);
    buf_str(&params, "]]}]}]");
    session_io_request_text(r->session, "monitor_cond", buf_cstr(&params), on_self_reply,
                            r);
    session_io_request_text(r->session, "set_db_change_aware", "[true]", NULL, NULL);
}
