/* super/program.c: command lines.  Only here is known what each program is called with. */
#include "super/program.h"

#include "base/fs.h"

static const struct {
    const char *name, *socket; /* In run/. */
} programs[N_PROGRAMS] = {
    [PROGRAM_DBD] = { "byre-dbd", "db.sock" },
    [PROGRAM_STORED] = { "byre-stored", "stored.sock" },
    [PROGRAM_AGENTD] = { "byre-agentd", "agent.sock" },
    [PROGRAM_WEBD] = { "byre-webd", "web.sock" },
};

static const char *
default_libvirt(unsigned uid)
{
    return uid == 0 ? "qemu:///system" : "qemu:///session";
}

char *
place_path(const struct place *place, const char *rest)
{
    return path_join(place->state_dir, rest);
}

struct err *
place_check(const struct place *place)
{
    CLEANUP(free_drop) char *longest = place_path(place, "run/byre-agentd.ctl");
    size_t n = strlen(longest);
    if (n > SUPER_SOCKET_MAX) {
        struct err *e = err_new(ERR_CONSTRAINT,
                                "%s would have %zu bytes, and the path of a socket has at "
                                "most %d",
                                longest, n, SUPER_SOCKET_MAX);
        return err_hint(e, "choose a state directory with a shorter path: --state DIR");
    }
    return NULL;
}

const char *
program_name(enum program p)
{
    return programs[p].name;
}

char *
program_socket(enum program p, const struct place *place, const struct config *config)
{
    if (p == PROGRAM_WEBD && config->web_listen) {
        bool is_unix = str_starts(config->web_listen, "unix:");
        return is_unix ? str_dup(config->web_listen + strlen("unix:")) : NULL;
    }
    CLEANUP(free_drop) char *rest = str_dupf("run/%s", programs[p].socket);
    return place_path(place, rest);
}

char *
program_pidfile(enum program p, const struct place *place)
{
    CLEANUP(free_drop) char *rest = str_dupf("run/%s.pid", programs[p].name);
    return place_path(place, rest);
}

char *
program_stderr(enum program p, const struct place *place)
{
    CLEANUP(free_drop) char *rest = str_dupf("log/%s.stderr", programs[p].name);
    return place_path(place, rest);
}

char *
program_path(const char *name, const struct place *place)
{
    if (*place->bin_dir) {
        CLEANUP(free_drop) char *path = path_join(place->bin_dir, name);
        if (fs_exists(path)) {
            return TAKE(path);
        }
    }
    return str_dup(name);
}

static void
add_option(struct strvec *argv, const char *option, const char *value)
{
    if (value) {
        strvec_addf(argv, "%s=%s", option, value);
    }
}

static void
argv_dbd(const char *dir, const struct config *config, struct strvec *argv)
{
    strvec_addf(argv, "--remote=punix:%s/run/db.sock", dir);
    for (size_t i = 0; i < config->dbd_remotes.n; i++) {
        strvec_addf(argv, "--remote=%s", config->dbd_remotes.v[i]);
    }
    add_option(argv, "--private-key", config->dbd_private_key);
    add_option(argv, "--certificate", config->dbd_certificate);
    add_option(argv, "--ca-cert", config->dbd_ca_cert);
    strvec_addf(argv, "--unixctl=%s/run/byre-dbd.ctl", dir);
}

static void
argv_agentd(const char *dir, const struct place *place, const struct config *config,
            struct strvec *argv)
{
    strvec_addf(argv, "--db=unix:%s/run/db.sock", dir);
    strvec_addf(argv, "--state=%s", dir);
    strvec_addf(argv, "--libvirt=%s",
                config->agent_libvirt ? config->agent_libvirt
                                      : default_libvirt(place->uid));
    strvec_addf(argv, "--stored=%s/run/stored.sock", dir);
    add_option(argv, "--stats", config->agent_stats);
}

static void
argv_webd(const char *dir, const struct config *config, struct strvec *argv)
{
    if (config->web_listen) {
        strvec_addf(argv, "--listen=%s", config->web_listen);
    } else {
        strvec_addf(argv, "--listen=unix:%s/run/web.sock", dir);
    }
    strvec_addf(argv, "--db=unix:%s/run/db.sock", dir);
    strvec_addf(argv, "--agent=%s/run/agent.sock", dir);
}

void
program_argv(enum program p, const struct place *place, const struct config *config,
             struct strvec *argv)
{
    const char *dir = place->state_dir, *name = programs[p].name;

    strvec_take(argv, program_path(name, place));
    switch (p) {
    case PROGRAM_DBD: argv_dbd(dir, config, argv); break;
    case PROGRAM_STORED:
        strvec_addf(argv, "--socket=%s/run/stored.sock", dir);
        strvec_addf(argv, "--allow-uid=%u", place->uid);
        strvec_addf(argv, "--scan-dir=%s/run/scan", dir);
        break;
    case PROGRAM_AGENTD: argv_agentd(dir, place, config, argv); break;
    case PROGRAM_WEBD: argv_webd(dir, config, argv); break;
    case N_PROGRAMS: ASSERT(!"no such program");
    }
    strvec_addf(argv, "--pidfile=%s/run/%s.pid", dir, name);
    strvec_addf(argv, "--log-file=%s/log/%s.log", dir, name);
    if (p == PROGRAM_DBD) {
        strvec_addf(argv, "%s/db/vmmgr.db", dir);
    }
}
