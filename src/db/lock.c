/* db/lock.c: see lock.h.  A lock's queue holds its waiters; the first one owns it. */
#include "db/lock.h"

#include "base/str.h"
#include "data/rfc7047.h"
#include "json/decode.h"

struct lock {
    char *name;
    struct list queue; /* Of struct lock_waiter: the owner, then those who wait. */
};

struct lock_waiter {
    struct lock
        *lock; /* NULL: it had been stolen and was stolen from: waits for nothing. */
    struct lock_session *session;
    struct list in_queue;   /* In the lock's 'queue'. */
    struct list in_session; /* In the session's 'waiters'. */
    enum lock_mode mode;
    char *name;
};

void
lock_server_done(struct lock_server *server)
{
    ASSERT(map_count(&server->locks) == 0);
    map_done(&server->locks);
}

void
lock_session_init(struct lock_session *s, struct lock_server *server, void *user)
{
    *s = (struct lock_session){ .server = server, .user = user };
    list_init(&s->waiters);
}

void
lock_notices_done(struct lock_notices *notices)
{
    VEC_FOR_EACH (struct lock_notice *n, &notices->v) {
        free(n->name);
    }
    VEC_DONE(&notices->v);
}

static void
tell(struct lock_notices *notices, struct lock_session *to, const char *name, bool stolen)
{
    *VEC_ADD(&notices->v) = (struct lock_notice){ to, stolen, str_dup(name) };
}

static struct lock_waiter *
find_waiter(const struct lock_session *s, const char *name)
{
    LIST_FOR_EACH (struct lock_waiter, w, in_session, &s->waiters) {
        if (strcmp(w->name, name) == 0) {
            return w;
        }
    }
    return NULL;
}

static struct lock_waiter *
owner_of(const struct lock *lock)
{
    return CONTAINER_OF(lock->queue.next, struct lock_waiter, in_queue);
}

static struct err *
parse_name(const struct json *params, const char *method, const char **ret)
{
    if (params->type != JSON_ARRAY || params->n != 1 ||
        params->elems[0].type != JSON_STRING || !json_is_id(params->elems[0].string)) {
        return rfc_syntax(params, "%s request params must be <id>", method);
    }
    *ret = params->elems[0].string;
    return NULL;
}

static struct lock *
get_lock(struct lock_server *server, const char *name)
{
    struct lock *lock = map_get(&server->locks, name);
    if (!lock) {
        lock = NEW(struct lock);
        lock->name = str_dup(name);
        list_init(&lock->queue);
        map_put(&server->locks, name, lock);
    }
    return lock;
}

/* The thief 'w' goes in front. */
static void
steal(struct lock *lock, struct lock_waiter *w, struct lock_notices *notices)
{
    if (!list_empty(&lock->queue)) {
        struct lock_waiter *victim = owner_of(lock);
        tell(notices, victim->session, lock->name, true);
        victim->session->n_lost++;
        if (victim->mode == LOCK_STEAL) { /* Who stole does not get it back. */
            list_remove(&victim->in_queue);
            victim->lock = NULL;
        }
    }
    list_push_front(&lock->queue, &w->in_queue);
}

struct err *
lock_request(struct lock_session *s, const struct json *params, enum lock_mode mode,
             bool *ret_locked, struct lock_notices *notices)
{
    const char *method = mode == LOCK_STEAL ? "steal" : "lock", *name = NULL;
    TRY(parse_name(params, method, &name));
    if (find_waiter(s, name)) {
        return rfc_syntax(params, "must issue \"unlock\" before new \"%s\"", method);
    } else if (s->n_waiters >= LOCKS_MAX) {
        return rfc_err(RFC_OVSDB, "a session may hold or await %d locks", LOCKS_MAX);
    }

    struct lock *lock = get_lock(s->server, name);
    struct lock_waiter *w = NEW(struct lock_waiter);
    *w = (struct lock_waiter){
        .lock = lock, .session = s, .mode = mode, .name = str_dup(name)
    };
    list_push_back(&s->waiters, &w->in_session);
    s->n_waiters++;
    if (mode == LOCK_STEAL) {
        steal(lock, w, notices);
    } else {
        list_push_back(&lock->queue, &w->in_queue);
    }
    *ret_locked = owner_of(lock) == w;
    return NULL;
}

static void
remove_waiter(struct lock_waiter *w, struct lock_notices *notices)
{
    struct lock *lock = w->lock;
    if (lock) {
        bool owned = owner_of(lock) == w;
        list_remove(&w->in_queue);
        if (list_empty(&lock->queue)) {
            map_remove(&w->session->server->locks, lock->name);
            free(lock->name);
            free(lock);
        } else if (owned) {
            tell(notices, owner_of(lock)->session, lock->name, false);
        }
    }
    list_remove(&w->in_session);
    w->session->n_waiters--;
    free(w->name);
    free(w);
}

struct err *
lock_release(struct lock_session *s, const struct json *params,
             struct lock_notices *notices)
{
    const char *name = NULL;
    TRY(parse_name(params, "unlock", &name));
    struct lock_waiter *w = find_waiter(s, name);
    if (!w) {
        return rfc_syntax(params, "unlock: \"unlock\" without \"lock\" or \"steal\"");
    }
    remove_waiter(w, notices);
    return NULL;
}

void
lock_session_done(struct lock_session *s, struct lock_notices *notices)
{
    LIST_FOR_EACH_SAFE (struct lock_waiter, w, in_session, &s->waiters) {
        remove_waiter(w, notices);
    }
}

bool
lock_holds(const struct lock_session *s, const char *name)
{
    const struct lock_waiter *w = find_waiter(s, name);
    return w && w->lock && owner_of(w->lock) == w;
}

void
lock_session_names(const struct lock_session *s, struct strvec *held,
                   struct strvec *waiting, struct strvec *lost)
{
    LIST_FOR_EACH (struct lock_waiter, w, in_session, &s->waiters) {
        bool owns = w->lock && owner_of(w->lock) == w;
        strvec_add(owns ? held : w->mode == LOCK_WAIT ? waiting : lost, w->name);
    }
}
