/* engine/iscsi.c: iSCSI sessions as the kernel tells them, and the password in a node record.
 *
 *     /sys/class/iscsi_session/session1/{targetname,initiatorname,state}
 *     /sys/class/iscsi_session/session1 -> ../../devices/platform/host3/session1/...
 *     /etc/iscsi/nodes/IQN/ADDRESS,PORT,TPGT/IFACE       0600, "name = value" lines */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/luns_i.h"
#include "store/code.h"

#define RECORD_MAX_BYTES (256 * INT64_C(1024))
#define NODES_DIR "/etc/iscsi/nodes"

/* "3" of ".../host3/session1/iscsi_session/session1"; NULL: not to be told. */
static char *
host_of_session(const char *session)
{
    char real[PATH_MAX];
    CLEANUP(free_drop)
    char *link = str_dupf("%s/class/iscsi_session/%s", luns_roots.sys, session);
    ssize_t n = readlink(link, real, sizeof real - 1);
    real[n > 0 ? n : 0] = '\0';
    const char *at = strstr(real, "/host");
    size_t digits = at ? strspn(at + 5, "0123456789") : 0;
    return digits ? str_dup_n(at + 5, digits) : NULL;
}

struct err *
iscsi_hosts(const struct pool *pool, struct strvec *ret, char **ret_down)
{
    CLEANUP(free_drop) char *dir = str_dupf("%s/class/iscsi_session", luns_roots.sys);
    CLEANUP(strvec_done) struct strvec sessions = sys_list(dir);
    *ret_down = NULL;
    for (size_t i = 0; i < sessions.n; i++) {
        CLEANUP(free_drop)
        char *target = sys_attribute("iscsi_session", sessions.v[i], "targetname");
        CLEANUP(free_drop)
        char *initiator = sys_attribute("iscsi_session", sessions.v[i], "initiatorname");
        CLEANUP(free_drop)
        char *state = sys_attribute("iscsi_session", sessions.v[i], "state");
        CLEANUP(free_drop) char *host = host_of_session(sessions.v[i]);
        if (!host || !str_eq(target, pool->source.devices[0].path) ||
            (pool->source.initiator && !str_eq(initiator, pool->source.initiator))) {
            continue;
        }
        strvec_add(ret, host);
        if (!str_eq(state, "LOGGED_IN") && !*ret_down) {
            *ret_down = str_dup(state ? state : "gone");
        }
    }
    return NULL;
}

struct err *
iscsi_session(struct engine *engine, const struct plan_step *step)
{
    const struct pool *pool = step->aux;
    CLEANUP(strvec_done) struct strvec hosts = STRVEC_INIT;
    CLEANUP(free_drop) char *down = NULL;
    TRY(iscsi_hosts(pool, &hosts, &down));
    engine->ret->active = hosts.n > 0;
    if (!down || !step->strict) {
        return NULL;
    }
    CLEANUP(free_drop) char *what = pool_source_text(pool);
    return err_hint(
        err_tag(err_new(ERR_IO, "the iSCSI session to %s is down (%s)", what, down),
                VE_SYSTEM_ERROR),
        "it comes back with the target; see iscsiadm -m session -P 1");
}

void
iscsi_record_edit(const char *record, const char *username, const char *password,
                  struct buf *out)
{
    static const char *const names[] = { "node.session.auth.authmethod",
                                         "node.session.auth.username",
                                         "node.session.auth.password" };
    const char *values[] = { "CHAP", username, password };
    bool told = false;
    for (const char *line = record; *line;) {
        size_t n = strcspn(line, "\n");
        bool ours = false;
        for (size_t i = 0; i < N_ELEMS(names); i++) {
            size_t n_name = strlen(names[i]);
            ours |= n >= n_name && memcmp(line, names[i], n_name) == 0 &&
                    (line[n_name] == ' ' || line[n_name] == '=');
        }
        bool is_end = n >= 5 && memcmp(line, "# END", 5) == 0;
        if ((ours || is_end) && !told) {
            told = true;
            for (size_t i = 0; i < N_ELEMS(names); i++) {
                buf_printf(out, "%s = %s\n", names[i], values[i]);
            }
        }
        if (!ours) {
            buf_add(out, line, n);
            buf_str(out, "\n");
        }
        line += n + (line[n] == '\n');
    }
}

/* The records that "--op new" made for this portal: in a directory "ADDRESS,PORT,TPGT", one a
 * network interface. */
static struct err *
edit_record(const char *path, const struct pool_auth *auth)
{
    CLEANUP(buf_done) struct buf old = BUF_INIT, new = BUF_INIT;
    TRY(fs_read(path, RECORD_MAX_BYTES, &old));
    iscsi_record_edit(old.data, auth->username, auth->password, &new);
    struct err *e = fs_write_atomic(path, new.data, new.n, 0600);
    explicit_bzero(new.data, new.n);
    return e;
}

static struct err *
check_word(const char *what, const char *text)
{
    for (const char *p = text; *p; p++) {
        if ((uint8_t) *p < 0x20 || *p == 0x7f) {
            return store_err(VE_INVALID_ARG, "the CHAP %s has a control character", what);
        }
    }
    return *text ? NULL : store_err(VE_INVALID_ARG, "the CHAP %s is empty", what);
}

struct err *
iscsi_chap(struct engine *engine, const struct plan_step *step)
{
    const struct pool *pool = step->aux;
    const struct pool_auth *auth = &pool->source.auth;
    if (!auth->password || !auth->username) {
        return err_hint(
            err_tag(err_new(ERR_NOT_FOUND,
                            "no secret with the CHAP password of "
                            "user '%s'",
                            auth->username ? auth->username : ""),
                    VE_NO_SECRET),
            "give it: byre pool auth NAME --username USER --password-file FILE");
    }
    TRY(check_word("name", auth->username));
    TRY(check_word("password", auth->password));
    const char *iface = iscsi_iface(&engine->ret->vols.arena, pool);
    CLEANUP(free_drop)
    char *target = str_dupf("%s/%s", NODES_DIR, pool->source.devices[0].path);
    CLEANUP(free_drop)
    char *portal = str_dupf("%s,%d,", pool->source.hosts[0].name,
                            pool->source.hosts[0].port ? pool->source.hosts[0].port : 3260);
    CLEANUP(strvec_done) struct strvec portals = sys_list(target);
    bool found = false;
    for (size_t i = 0; i < portals.n; i++) {
        CLEANUP(free_drop)
        char *record =
            str_dupf("%s/%s/%s", target, portals.v[i], iface ? iface : "default");
        if (str_starts(portals.v[i], portal) && fs_exists(record)) {
            found = true;
            TRY(err_tag(edit_record(record, auth), VE_SYSTEM_ERROR));
        }
    }
    return found ? NULL
                 : err_tag(
                       err_new(ERR_NOT_FOUND, "iscsiadm made no node record in %s", target),
                       VE_SYSTEM_ERROR);
}
