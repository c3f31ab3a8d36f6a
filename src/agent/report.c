/* agent/report.c: facts into the database.
 *
 * What is known is compared with the row and only what differs is written; so a report that was
 * lost is simply made again by the next pass, and a fact that has not changed wakes nobody.  One
 * report is on its way at a time: the passes meanwhile decide, and report when it has arrived. */
#define LOG_MODULE "report"
#include "agent/agent_i.h"

#include "base/clock.h"
#include "base/log.h"

#define REPORT_ROWS 512 /* Volumes of one report: a transaction keeps others waiting. */

struct facts
facts_begin(struct agent *a, const struct replica_row *row)
{
    return (struct facts){ .agent = a, .row = row };
}

static struct txn_row *
out(struct facts *f)
{
    if (!f->out) {
        f->agent->n_reported++;
        f->out =
            txn_update(report_txn(f->agent), f->row->table->schema->name, &f->row->uuid);
    }
    return f->out;
}

void
facts_string(struct facts *f, const char *column, const char *is, const char *should)
{
    if (!str_eq(is, should)) {
        txn_set_string(out(f), column, should);
    }
}

void
facts_int(struct facts *f, const char *column, int64_t is, int64_t should)
{
    if (is != should) {
        txn_set_int(out(f), column, should);
    }
}

void
facts_opt_int(struct facts *f, const char *column, const struct typed_int *is,
              int64_t should)
{
    if (should < 0 && is->has) {
        txn_clear(out(f), column);
    } else if (should >= 0 && (!is->has || is->v != should)) {
        txn_set_int(out(f), column, should);
    }
}

void
facts_bool(struct facts *f, const char *column, bool is, bool should)
{
    if (is != should) {
        txn_set_bool(out(f), column, should);
    }
}

void
facts_uuid(struct facts *f, const char *column, const struct uuid *is,
           const struct uuid *should)
{
    if (!uuid_eq(is, should)) {
        txn_set_uuid(out(f), column, uuid_is_zero(should) ? NULL : should);
    }
}

void
facts_strings(struct facts *f, const char *column, const struct typed_set *is,
              const struct strvec *should)
{
    bool same = is->n == should->n;

    for (size_t i = 0; same && i < should->n; i++) {
        same = typed_set_has(is, should->v[i]);
    }
    if (same) {
        return;
    }
    struct arena *arena = txn_arena(report_txn(f->agent));
    struct json elems = json_array();
    for (size_t i = 0; i < should->n; i++) {
        json_add(arena, &elems, json_string(arena, should->v[i]));
    }
    txn_set(out(f), column, json_pair(arena, json_string_ref("set"), elems));
}

void
facts_end(struct facts *f)
{
    if (f->out) {
        txn_set_int(f->out, "observed_at", clock_wall_ms());
    }
}

bool
report_has_room(struct agent *a)
{
    return a->n_reported < REPORT_ROWS;
}

struct txn *
report_txn(struct agent *a)
{
    if (!a->txn) {
        a->txn = txn_new(replica_database(a->replica));
    }
    return a->txn;
}

static void
on_reported(void *aux, struct txn *txn UNUSED, struct err *e)
{
    struct agent *a = aux;

    a->reporting = false;
    if (!e) {
        a->report_retry_ms = 0;
    } else if (trouble_may_pass(e) || err_is(e, ERR_NOT_FOUND)) {
        err_free(
            e); /* Somebody was quicker, or the database went away: the next pass knows more. */
        a->report_retry_ms = clamp64(2 * a->report_retry_ms, 50, 1000);
    } else {
        log_failure(LOG_WARN, LOG_MODULE, err_wrap(e, "facts were refused"));
        a->report_retry_ms = clamp64(2 * a->report_retry_ms, RETRY_MIN_MS, RETRY_MAX_MS);
    }
    a->report_at_ms = agent_now_ms(a) + a->report_retry_ms;
    agent_touch_jobs(a); /* Who had something to say does not rest. */
}

bool
report_send(struct agent *a)
{
    bool whole = report_has_room(a);

    a->n_reported = 0;
    if (!a->txn || txn_is_empty(a->txn)) {
        txn_free(TAKE(a->txn));
        return whole;
    }
    bool too_early = agent_now_ms(a) < a->report_at_ms;
    if (a->reporting || too_early) {
        txn_free(TAKE(a->txn)); /* on_reported() calls for another pass. */
        if (too_early) {
            agent_wake(a, a->report_at_ms);
        }
        return a->report_retry_ms >=
               RETRY_MIN_MS; /* Refused: nobody shall wait for that. */
    }
    a->reporting = true;
    txn_commit(TAKE(a->txn), replica_session(a->replica), on_reported, a);
    return whole;
}

/* Lines are the separators, so a text that has some gets blanks instead; and the database takes
 * no text that is not UTF-8, which names of files need not be. */
static void
put_line(struct buf *b, const char *text, bool last)
{
    bool utf8 = str_is_utf8(text, strlen(text));

    for (; *text; text++) {
        unsigned char c = (unsigned char) *text;
        buf_char(b, c < ' ' || c == 0x7f ? ' ' : c >= 0x80 && !utf8 ? '?' : (char) c);
    }
    if (!last) {
        buf_char(b, '\n');
    }
}

char *
error_text(const struct err *e)
{
    const char *next = err_next(e);
    CLEANUP(buf_done) struct buf text = BUF_INIT;

    put_line(&text, err_what(e)[0] ? err_what(e) : "it could not be done", false);
    put_line(&text, err_why(e), false);
    put_line(&text, next ? next : "remove the cause and give the command again", true);
    return buf_take(&text);
}
