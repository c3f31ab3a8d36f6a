/* sched/converge.c: the geometric series of a pre-copy migration. */
#include "sched/converge.h"

/* One stream of data that is sent while it changes. */
struct stream {
    double bytes; /* To send in the first pass. */
    double dirty; /* Bytes/s that become stale. */
};

/* Sends 's' with 'bandwidth' until 'left' at most is left.  False: it does not get there. */
static bool
send_down_to(const struct stream *s, double bandwidth, double left, int *ret_passes,
             double *ret_seconds, double *ret_rest)
{
    double r = s->dirty / bandwidth;
    double bytes = s->bytes, seconds = 0;

    for (int pass = 0; pass < CONVERGE_MAX_PASSES; pass++) {
        if (bytes <= left) {
            *ret_passes = pass;
            *ret_seconds = seconds;
            *ret_rest = bytes;
            return true;
        } else if (r >= 1 && pass > 0) {
            return false;
        }
        seconds += bytes / bandwidth;
        bytes *= r;
    }
    return false;
}

struct converge
converge_forecast(const struct converge_in *in)
{
    double bandwidth = (double) max64(in->bandwidth, 1);
    double left = bandwidth * (double) in->downtime_ms / 1000;
    /* What disks write takes its share of the link while memory goes over. */
    struct stream disk = { (double) in->disk, (double) in->write_rate };
    double for_memory = in->disk > 0 ? bandwidth - disk.dirty : bandwidth;
    struct stream memory = { (double) in->memory, (double) in->dirty_rate };
    struct converge out = { .ratio = memory.dirty / bandwidth };
    double seconds = 0, rest = 0, disk_seconds = 0, disk_rest = 0;
    int passes = 0, disk_passes = 0;

    if (in->disk > 0 &&
        (disk.dirty >= bandwidth ||
         !send_down_to(&disk, bandwidth, left, &disk_passes, &disk_seconds, &disk_rest))) {
        out.seconds = disk.bytes / bandwidth;
        out.sent = in->disk;
        out.advice =
            "the guest writes to its disks faster than the link carries: shared storage, a faster link, "
            "or move it while it is stopped";
        return out;
    }
    if (for_memory > 0 &&
        send_down_to(&memory, for_memory, for_memory * (double) in->downtime_ms / 1000,
                     &passes, &seconds, &rest)) {
        out.ends = true;
        out.n_passes = passes;
        out.seconds = disk_seconds + seconds + rest / for_memory;
        out.pause_ms = 1000 * rest / for_memory;
        out.sent = (int64_t) (out.seconds * bandwidth);
        return out;
    }
    /* Slowed to this share of its speed, the guest dirties 9/10 of what the link carries. */
    out.throttle = memory.dirty > 0 ? 1 - 0.9 * for_memory / memory.dirty : 0;
    out.seconds = disk_seconds + memory.bytes / bandwidth;
    out.sent = in->disk + in->memory;
    out.advice = out.throttle < 0.99 ? "auto-converge (the guest is slowed) or post-copy"
                                     : "post-copy, or move it while it is paused";
    return out;
}

static double
mib(int64_t bytes)
{
    return (double) bytes / (double) MIB;
}

void
converge_explain(struct buf *out, const struct converge_in *in, const struct converge *f,
                 bool dirty_known, bool link_known)
{
    buf_printf(out, "memory in use   %10.1f MiB\n", mib(in->memory));
    if (in->disk > 0) {
        buf_printf(out, "disks to copy   %10.1f MiB, written at %.1f MiB/s\n",
                   mib(in->disk), mib(in->write_rate));
    }
    buf_printf(out, "dirtied         %10.1f MiB/s%s\n", mib(in->dirty_rate),
               dirty_known ? "" : " (not measured)");
    buf_printf(out, "link            %10.1f MiB/s%s\n", mib(in->bandwidth),
               link_known ? "" : " (assumed: its driver does not tell)");
    buf_printf(out, "allowed pause   %10" PRId64 " ms\n", in->downtime_ms);
    if (f->ends) {
        buf_printf(out, "passes          %10d\n", f->n_passes);
        buf_printf(out, "sent            %10.1f MiB\n", mib(f->sent));
        buf_printf(out, "time            %10.1f s\n", f->seconds);
        buf_printf(out, "pause           %10.0f ms, and what its devices take\n",
                   f->pause_ms);
        buf_str(out, "verdict         it converges");
        return;
    }
    buf_printf(out, "one pass        %10.1f s\n", f->seconds);
    buf_printf(out, "verdict         it does not converge: %s", f->advice ? f->advice : "");
    if (f->throttle > 0 && f->throttle < 1) {
        buf_printf(out, "; slowed by %.0f %% it would", 100 * f->throttle);
    }
}
