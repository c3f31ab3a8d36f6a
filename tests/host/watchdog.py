"""Before a throwaway host is out of time, says what everything in it waits for."""

import itertools
import os
import pathlib
import subprocess
import sys
import threading
import time
import traceback

NOTICE_S = 60  # For what is printed here: each program takes a second or two.
DEPTH = 4  # Functions of the kernel that are shown.


class Process:
    def __init__(self, folder):
        state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
        self.pid, self.state, self.parent = int(folder.name), state, int(parent)
        self.command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        self.name = self.command or "[%s]" % (folder / "comm").read_text().strip()
        self.stacks = [self._stack(thread) for thread in sorted((folder / "task").iterdir())]

    @staticmethod
    def _stack(thread):
        """Innermost first: pipe_read < vfs_read < ksys_read."""
        lines = (thread / "stack").read_text().splitlines()
        return " < ".join(line.split("] ")[-1].partition("+")[0] for line in lines[:DEPTH])

    def __str__(self):
        threads = ["%d x %s" % (len(list(same)), stack) for stack, same in itertools.groupby(sorted(self.stacks))]
        return "%d (of %d) %s %s\n    %s" % (self.pid, self.parent, self.state, self.name[:200], "\n    ".join(threads))


def _processes():
    """Those that a test may wait for: kernel threads only where they cannot go on."""
    found = []
    for folder in sorted(pathlib.Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            process = Process(folder)
        except OSError:  # It has just ended.
            continue
        if process.command or process.state == "D":
            found.append(process)
    return found


def _awaited(processes):
    """The last of what this script has started, the children that have no children, and of what they may wait for in turn:
    the storage server's programs, and whatever the kernel does not let go on."""
    parents = {process.parent for process in processes}
    ours, found = {os.getpid()}, []
    for process in processes:
        wanted = process.parent in ours
        if wanted or "/byre-stored " in process.command:
            ours.add(process.pid)
        if (wanted and process.pid not in parents) or process.state == "D":
            found.append("%s (%s)" % (process.name[:100], process.stacks[0]))
    return ", ".join(found) or "nothing of its own"


def _said(*command):
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return "%s\n" % error


def _tell(running, logs):
    processes = _processes()
    stack = sys._current_frames()[threading.main_thread().ident]
    print("not ok %s\nTraceback (most recent call last):\n%sAssertionError: out of time, waiting for %s\n"
          % (running(), "".join(traceback.format_stack(stack)), _awaited(processes)), flush=True)
    print("\n".join(map(str, processes)), flush=True)
    print("\n".join(_said("dmesg").splitlines()[-40:]), flush=True)
    print(logs(), flush=True)
    os._exit(1)


def start(running, logs):
    """running(): the name of what runs; logs(): a text to end with.  Nothing happens where the host has no limit."""
    end = float(os.environ.get("TESTHOST_END", 0))
    if not end:
        return
    timer = threading.Timer(max(0, end - NOTICE_S - time.time()), _tell, (running, logs))
    timer.daemon = True
    timer.start()
