/* super/control.c: finds the other byred by the lock on its pid file; the number in the file
 * alone proves nothing. */
#include "super/control.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"

#define STOP_DEADLINE_MS 60000 /* Four programs, each 10 s and a kill. */
#define STOP_LOOK_MS 50

int
control_stop(const struct place *place)
{
    CLEANUP(free_drop) char *pidfile = place_path(place, "run/byred.pid");
    pid_t pid = pidfile_holder(pidfile);

    for (int64_t waited_ms = 0; pid > 0 && waited_ms < STOP_DEADLINE_MS;
         waited_ms += STOP_LOOK_MS) {
        if (waited_ms == 0 && kill(pid, SIGTERM) < 0) {
            fprintf(stderr, "byred: cannot end process %d\nwhy:  %s\n", (int) pid,
                    strerror(errno));
            return 1;
        }
        usleep(STOP_LOOK_MS * 1000);
        pid = pidfile_holder(pidfile);
    }
    if (pid > 0) {
        fprintf(stderr, "byred: process %d does not end\nnext: read %s/log/byred.log\n",
                (int) pid, place->state_dir);
        return 1;
    }
    return 0;
}

int
control_status(const struct place *place)
{
    CLEANUP(free_drop) char *pidfile = place_path(place, "run/byred.pid");
    pid_t pid = pidfile_holder(pidfile);
    bool all = pid > 0;

    printf("%-12s %s\n", "byred", pid > 0 ? "runs" : "does not run");
    for (int i = 0; i < N_PROGRAMS; i++) {
        CLEANUP(free_drop) char *file = program_pidfile((enum program) i, place);
        bool runs = pidfile_holder(file) > 0;
        all = all && runs;
        printf("%-12s %s\n", program_name((enum program) i),
               runs ? "runs" : "does not run");
    }
    return all ? 0 : 3;
}
