"""The checks check: each finds what it is for, in a small tree made for it."""

import json
import pathlib
import subprocess

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"


def run(tool, *args):
    return subprocess.run(["/usr/bin/python3", TOOLS / tool, *args], capture_output=True, text=True)


LAYERS = """
base:
wire: base   # a comment
top: base wire
bin: *
<uv.h>: wire
<libfoo/>: top
"""


@pytest.mark.parametrize("path, text, complaint", [
    ("base/a.c", '#include "base/a.h"\n#include <stdio.h>\n', None),
    ("wire/a.c", '\n#include "base/a.h"\n#include <uv.h>\n', None),
    ("bin/a.c", '#include "top/a.h"\n#include "base/a.h"\n', None),
    ("top/test_a.c", '#include "test.h"\n', None),
    ("top/deep/a.c", '#include "top/deep/b_i.h"\n', None),
    ("base/a.c", '#include "wire/a.h"\n', 'base/a.c:1: "wire/a.h": room base may not see room wire'),
    ("wire/a.c", '#include "top/a.h"\n', 'wire/a.c:1: "top/a.h": room wire may not see room top'),
    ("base/a.c", '\n\n  #  include <uv.h>\n', "base/a.c:3: <uv.h> is not for room base"),
    ("wire/a.c", "#include <libfoo/foo.h>\n", "wire/a.c:1: <libfoo/foo.h> is not for room wire"),
    ("wire/a.c", "#include <libfoo.h>\n", "wire/a.c:1: <libfoo.h> is not for room wire"),
    ("top/a.c", '#include "wire/a_i.h"\n', 'top/a.c:1: "wire/a_i.h" is private to room wire'),
    ("top/a.c", '#include "a.h"\n', 'top/a.c:1: "a.h": write the room, "room/a.h"'),
    ("top/a.c", '#include "test.h"\n', 'top/a.c:1: "test.h": write the room, "room/test.h"'),
    ("nobody/a.c", "", "nobody:1: room nobody has no line in LAYERS"),
    ("LAYERS", "base: wire\nwire: base\n", "LAYERS:1: wire does not stand above"),
])
def test_layers(tmp_path, path, text, complaint):
    src = tmp_path / "src"
    (src / path).parent.mkdir(parents=True)
    (src / "LAYERS").write_text(LAYERS)
    (src / path).write_text(text)
    done = run("check_layers.py", tmp_path)
    if complaint:
        assert done.returncode == 1 and done.stdout == "%s/%s\n" % (src, complaint)
    else:
        assert (done.returncode, done.stdout) == (0, "")


SCHEMA = {"tables": {"t": {"columns": {"a": {}, "b": {}}}}}
GOOD = "# Title\n\n## t\n\nWords.\n\n`a` (want; integer). What a\nmeans.\n\n`b` (fact; text). What b means.\n"


@pytest.mark.parametrize("change, complaint", [
    (("", ""), None),
    (("`b` (fact; text). What b means.", ""), ":3: t.b has no paragraph"),
    (("What b means.", ""), ":10: t.b is named but not explained"),
    (("`b`", "`c`"), ":10: no column t.c in"),
    (("fact", "facts"), ":10: say want, fact or ref"),
    (("## t", "## u"), ":3: no table u in"),
    (("`b`", "`a`"), ":7: t.a more than once"),
])
def test_documents(tmp_path, change, complaint):
    (tmp_path / "s").write_text(json.dumps(SCHEMA))
    (tmp_path / "d").write_text(GOOD.replace(*change))
    done = run("doc_check.py", tmp_path / "s", tmp_path / "d")
    assert done.returncode == (1 if complaint else 0)
    assert (complaint or "") in done.stdout


def test_documents_in_order(tmp_path):
    (tmp_path / "s").write_text(json.dumps({"tables": {"t": {"columns": {"b": {}, "a": {}}}}}))
    (tmp_path / "d").write_text(GOOD)
    assert "not in the order" in run("doc_check.py", tmp_path / "s", tmp_path / "d").stdout


@pytest.mark.parametrize("text, last, status", [
    ("ok one\nok two\n", "2 passed, 0 failed", 0),
    ("ok one\nskip two\n", "1 passed, 1 skipped, 0 failed", 0),
    ("ok one\nnot ok two\n", "1 passed, 1 failed", 1),
    ("", "0 passed, 0 failed", 1),
    ("<testsuites><testsuite name='s' failures='0'><testcase name='a'/></testsuite></testsuites>",
     "1 passed, 0 failed", 0),
    ("<testsuite name='s' failures='1'><testcase name='a'><failure/></testcase><testcase name='b'/></testsuite>",
     "1 passed, 1 failed", 1),
    ("<testsuite name='s' errors='1'><testcase name='a'/></testsuite>", "1 passed, 1 failed", 1),
    ("<testsuite", "0 passed, 1 failed", 1),
])
def test_summary(tmp_path, text, last, status):
    (tmp_path / "f").write_text(text)
    done = run("test_summary.py", tmp_path / "f")
    assert (done.stdout.splitlines()[-1], done.returncode) == (last, status)


def test_summary_names(tmp_path):
    (tmp_path / "f").write_text("<testsuite name='s' failures='1'><testcase name='a'><failure message='why&#10;more'/></testcase>"
                                "<testcase name='b'/></testsuite>")
    (tmp_path / "g").write_text("not ok c\n")
    done = run("test_summary.py", "--names", tmp_path / "f", tmp_path / "g")
    assert (done.stdout, done.returncode) == ("FAILED     a: why\nFAILED     c\n", 0)
