/* agent/obj.c: what all objects have in common. */
#include "agent/agent_i.h"

void
obj_init(struct obj *o, struct agent *a, const struct replica_row *row)
{
    o->agent = a;
    o->row = row;
    o->uuid = row->uuid;
}

void
obj_trouble(struct obj *o, struct err *e)
{
    o->retry_ms = clamp64(2 * o->retry_ms, RETRY_MIN_MS, RETRY_MAX_MS);
    o->retry_at_ms = loop_now_ms(o->agent->loop) + o->retry_ms;
    free(o->trouble);
    o->trouble = error_text(e);
    err_free(e);
}

void
obj_fine(struct obj *o)
{
    o->retry_ms = o->retry_at_ms = 0;
    free(TAKE(o->trouble));
}

bool
obj_must_wait(struct obj *o)
{
    if (o->retry_at_ms <= loop_now_ms(o->agent->loop)) {
        return false;
    }
    agent_wake(o->agent, o->retry_at_ms);
    return true;
}

void
obj_done(struct obj *o)
{
    free(TAKE(o->trouble));
}
