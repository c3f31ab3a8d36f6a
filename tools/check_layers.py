#!/usr/bin/python3
"""Does every file include only what src/LAYERS allows its room?

    check_layers.py [ROOT]

src/LAYERS has a line `room: room room ...` a room (`*` means all) and, for system headers that
have one home, `<header.h>: room ...` or `<folder/>: room ...`.  Checked are `#include "room/x.h"`
and `#include <x.h>` in src/*/*.[ch].  Tests may also use tests/lib, and another room's private
headers (`*_i.h`) are closed to everybody.  The file is checked as well: a room after the colon
must stand above, so that no cycle can be written, and every folder of src must have a line.

Prints what is wrong as FILE:LINE and exits 1.
"""

import os
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
TEST_HEADERS = {"test.h", "fuzz.h"}  # Of tests/lib.
GENERATED = {"vmmgr_rows.h": "replica"}  # Built, not written: in no folder of src.


class Layers:
    def __init__(self, path):
        self.rooms = {}  # Room -> set of rooms it may include, None for all.
        self.system = {}  # Header or folder/ -> set of rooms.
        self.complaints = []
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                self.read_line(path, number, line.partition("#")[0].strip())

    def read_line(self, path, number, line):
        if not line:
            return
        name, colon, rest = line.partition(":")
        names = rest.split()
        if not colon:
            self.complaints.append(f"{path}:{number}: no colon")
        elif name.startswith("<"):
            self.system[name.strip("<>")] = set(names)
        else:
            for other in names:
                if other != "*" and other not in self.rooms:
                    self.complaints.append(f"{path}:{number}: {other} does not stand above")
            self.rooms[name] = None if names == ["*"] else set(names)

    def allows_room(self, room, other):
        allowed = self.rooms[room]
        return other == room or allowed is None or other in allowed

    def allows_system(self, room, header):
        for pattern, rooms in self.system.items():
            hit = header.startswith(pattern) if pattern.endswith("/") else header == pattern
            # <libvirt/> also stands for <libvirt.h>, <libsmartcols/> for <libsmartcols.h>.
            hit = hit or header == pattern.rstrip("/") + ".h"
            if hit:
                return room in rooms
        return True


def check_include(layers, room, is_test, project, system):
    """Returns what is wrong with one include, or None."""
    if system:
        if not layers.allows_system(room, system):
            return f"<{system}> is not for room {room}"
        return None
    folder, slash, base = project.rpartition("/")
    other = folder.split("/")[0] if slash else GENERATED.get(project)
    if other is None:
        if is_test and project in TEST_HEADERS:
            return None
        return f'"{project}": write the room, "room/{project}"'
    if other not in layers.rooms:
        return f'"{project}": no room {other} in LAYERS'
    if not layers.allows_room(room, other):
        return f'"{project}": room {room} may not see room {other}'
    if other != room and base.endswith("_i.h"):
        return f'"{project}" is private to room {other}'
    return None


def check_file(layers, room, path):
    is_test = os.path.basename(path).startswith("test_")
    with open(path, encoding="utf-8", errors="replace") as f:
        for number, line in enumerate(f, 1):
            match = INCLUDE.match(line)
            if match:
                wrong = check_include(layers, room, is_test, match.group(1), match.group(2))
                if wrong:
                    yield f"{path}:{number}: {wrong}"


def check_tree(root):
    src = os.path.join(root, "src")
    layers = Layers(os.path.join(src, "LAYERS"))
    complaints = list(layers.complaints)
    for folder, folders, files in sorted(os.walk(src)):
        folders.sort()
        room = os.path.relpath(folder, src).split(os.sep)[0]
        sources = [f for f in sorted(files) if f.endswith((".c", ".h"))]
        if not sources:
            continue
        if room not in layers.rooms:
            complaints.append(f"{folder}:1: room {room} has no line in LAYERS")
            continue
        for name in sources:
            complaints += check_file(layers, room, os.path.join(folder, name))
    return complaints


def main(argv):
    root = argv[1] if len(argv) > 1 else os.path.join(os.path.dirname(__file__), "..")
    complaints = check_tree(os.path.normpath(root))
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
