/* agent/service_i.h: between the socket (service.c) and the requests (request.c).  Private. */
#ifndef AGENT_SERVICE_I_H
#define AGENT_SERVICE_I_H 1

#include "agent/agent_i.h"
#include "agent/stats.h"
#include "json/json.h"
#include "virt/guest.h"

/* A request and its connection.  Made on the loop, served in a thread, freed on the loop. */
struct request {
    struct agent *agent;
    struct service *service;
    int fd;        /* The connection; -1 once a console owns it, or before it is known. */
    int passed_fd; /* That came along; -1: none. */
    struct arena arena;
    struct json json;
    void (*run)(struct request *);
    void (*done)(struct request *); /* On the loop, after run(); may be NULL. */

    bool libvirt; /* ping: it answers. */
    /* console */
    struct uuid domain;
    char *console_log;
    bool log_only;
    /* upload, download */
    struct uuid vol_row;
    bool has_models;
    struct pool pool;
    struct vol vol;
    struct priv_request priv;
    struct err *e;
    struct priv_reply reply;
    volatile int cancel; /* The client has gone: for what has no ticket. */
    struct ticket *ticket;
    struct loop_fd *hangup; /* Sees the client go, whatever the transfer waits for. */
    int64_t told_ms;
    bool worked;
    uid_t peer; /* Who asks. */
    /* stats */
    struct {
        enum sql_table table;
        int64_t from_s, to_s;
        bool has_uuid; /* Of 'domain'. */
        int cpus;      /* Of this host. */
    } stats;
    /* keys, screen, dump; xml */
    struct {
        struct virt_chord *chords; /* In the arena. */
        size_t n_chords;
        unsigned hold_ms;
        bool live, attach, inactive;
        struct virt_usb usb;
    } guest;
    /* probe */
    struct virt_host host;
    struct probe probe;
    struct uuid uid;
};

/* Reads the request, and from the rows what it needs.  'run' is set then. */
struct decode;
struct err *describe_prepare(struct request *, struct decode *) MUST_CHECK; /* describe.c */
struct err *look_prepare(struct request *, struct decode *) MUST_CHECK;
struct err *guest_prepare(struct request *, struct decode *,
                          const char *method) MUST_CHECK; /* guest_request.c */
struct err *sources_prepare(struct request *, struct decode *) MUST_CHECK; /* sources.c */
struct err *request_prepare(struct request *) MUST_CHECK;
/* The row 'text' names, of a machine of this host; 'domain' becomes its UUID.  'ret' may be NULL. */
struct err *request_find_vm(struct request *, const char *text,
                            const struct row_vm **ret) MUST_CHECK;
void request_submit(struct request *); /* Takes it. */
void request_free(struct request *);

/* The thread's side: one line of JSON.  Adds the end of line. */
void service_send_line(int fd, struct buf *line);
void service_send_error(int fd, const struct err *);
void service_request_done(struct service *); /* One connection less. */

#endif /* agent/service_i.h */
