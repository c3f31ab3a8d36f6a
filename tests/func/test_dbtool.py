"""byre-dbtool beside ovsdb-tool: the same words, the same output, the same exit status, on each other's files."""

import json
import re
import shutil
import subprocess

import pytest

SCHEMA = {
    "name": "T", "version": "1.2.3", "cksum": "1 2",
    "tables": {"A": {"columns": {"i": {"type": "integer"}, "name": {"type": "string"},
                                 "n": {"type": {"key": "string", "min": 0, "max": "unlimited"}}}, "isRoot": True}},
}
NEWER = json.loads(json.dumps(SCHEMA).replace("1.2.3", "1.3.0").replace('"i": {"type": "integer"}', '"i": {"type": "integer"}, "k": {"type": "string"}'))
UNFIT = json.loads(json.dumps(SCHEMA).replace('"i": {"type": "integer"}', '"i": {"type": "string"}'))
PLAIN = {"name": "T", "tables": {"A": {"columns": {"i": {"type": "integer"}}}}}


def run(tool, directory, *args):
    done = subprocess.run([tool, *args], cwd=directory, capture_output=True, text=True, timeout=60)
    assert "Sanitizer" not in done.stderr, done.stderr
    assert done.returncode != 0 or not done.stderr, done.stderr
    return done.returncode, done.stdout


@pytest.fixture
def tools(program, state_dir):
    """(ours, theirs): each in a directory of its own with the same files."""
    result = []
    for name in ("byre-dbtool", "ovsdb-tool"):
        directory = state_dir / name
        directory.mkdir()
        for file, schema in (("s", SCHEMA), ("newer", NEWER), ("unfit", UNFIT), ("plain", PLAIN)):
            (directory / (file + ".json")).write_text(json.dumps(schema))
        result.append(lambda *args, tool=program(name), directory=directory: run(tool, directory, *args))
    return result


INSERT = '["T",{"op":"insert","table":"A","uuid":"11111111-1111-1111-1111-111111111111","row":{"i":5,"name":"web","n":["set",["x","y z"]]}}]'

STEPS = [
    ["create", "a.db", "s.json"],
    ["create", "a.db", "s.json"],  # Exists.
    ["transact", "a.db", INSERT],
    ["transact", "a.db", '["T",{"op":"update","table":"A","where":[["i","==",5]],"row":{"i":6}},{"op":"mutate","table":"A","where":[],"mutations":[["n","insert","q"]]}]'],
    ["transact", "a.db", '["T",{"op":"insert","table":"Z","row":{}}]'],
    ["transact", "a.db", '["X"]'],
    ["transact", "a.db", '{"T":1}'],
    ["transact", "a.db", '["T",'],
    ["transact", "a.db", '["T"]'],
    ["query", "a.db", '["T",{"op":"select","table":"A","where":[],"columns":["i","n","name"]}]'],
    ["query", "a.db", '["T",{"op":"select","table":"A","where":[],"columns":["zz"]}]'],
    ["query", "a.db", '["T",{"op":"wait","table":"A","where":[],"columns":["i"],"until":"==","rows":[]}]'],
    ["query", "a.db", '["T",{"op":"wait","timeout":0,"table":"A","where":[],"columns":["i"],"until":"==","rows":[]}]'],
    ["query", "none.db", '["T"]'],
    ["db-name", "a.db"], ["db-version", "a.db"], ["db-cksum", "a.db"], ["db-name", "none.db"], ["db-name", "a.db", "b", "c"],
    ["schema-name", "s.json"], ["schema-version", "s.json"], ["schema-cksum", "s.json"], ["schema-name", "none"],
    ["schema-version", "plain.json"], ["schema-cksum", "plain.json"],
    ["db-is-standalone", "a.db"], ["db-is-clustered", "a.db"], ["db-is-standalone", "none.db"], ["db-is-clustered", "s.json"],
    ["needs-conversion", "a.db", "s.json"], ["needs-conversion", "a.db", "newer.json"], ["needs-conversion", "a.db", "none"],
    ["show-log", "a.db"], ["-m", "show-log", "a.db"], ["-mm", "show-log", "a.db"],
    ["convert", "a.db", "unfit.json"], ["db-version", "a.db"],
    ["convert", "a.db", "newer.json", "b.db"], ["db-version", "a.db"], ["db-version", "b.db"],
    ["query", "b.db", '["T",{"op":"select","table":"A","where":[],"columns":["i","k","n","name","_uuid"]}]'],
    ["convert", "a.db", "newer.json"], ["db-version", "a.db"], ["-mm", "show-log", "a.db"],
    ["compact", "a.db"], ["compact", "a.db", "c.db"], ["-m", "show-log", "c.db"], ["compact", "a.db", "c.db"],
    ["transact", "a.db", '["T",{"op":"delete","table":"A","where":[]}]'], ["-mm", "show-log", "a.db"],
    ["bogus"], [], ["compare-versions", "1.2.3", "<"],
]


def canonical(text):
    """What may differ: the time, who says that it converted, our lines about who did it and which state a snapshot is,
    and the order of members."""
    text = re.sub(r"\d{4}-\d\d-\d\d [\d:.]{12}", "TIME", text)
    text = re.sub(r' "by uid \d+ byre-dbtool"', "", text)
    text = re.sub(r"(byre-dbtool|ovsdb-tool) [\d.]+", "TOOL", text)
    text = re.sub(r"\\n(state [-0-9a-f]{36} )?archive \d+", "", text)  # Our snapshots say which state they are.
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return sorted(text.splitlines())


def test_the_same_as_ovsdb_tool(tools):
    ours, theirs = tools
    for step in STEPS:
        (want_status, want), (status, got) = theirs(*step), ours(*step)
        assert (status, canonical(got)) == (want_status, canonical(want)), step


@pytest.mark.parametrize("op", ["<", "<=", "==", ">=", ">", "!=", "lt", "="])
def test_compare_versions(tools, op):
    for a, b in (("1.2.3", "1.10.0"), ("1.2.3", "1.2.3"), ("2.0.0", "1.99.99"), ("1.2", "1.2.3"), ("1.2.x", "1.2.3")):
        results = [tool("compare-versions", a, op, b) for tool in tools]
        assert results[0] == results[1], (a, op, b)


def test_each_reads_what_the_other_wrote(tools, state_dir):
    names = ("byre-dbtool", "ovsdb-tool")
    for writer, reader, directory, other in ((0, 1, *names), (1, 0, *reversed(names))):
        tools[writer]("create", "x.db", "s.json")
        assert tools[writer]("transact", "x.db", INSERT)[0] == 0
        shutil.copy(state_dir / directory / "x.db", state_dir / other / "y.db")
        status, text = tools[reader]("query", "y.db", '["T",{"op":"select","table":"A","where":[],"columns":["name"]}]')
        assert (status, json.loads(text)) == (0, [{"rows": [{"name": "web"}]}])


def test_a_query_never_writes(tools, state_dir):
    """ovsdb-tool lets it fail at the file; here it is refused in words."""
    ours, _ = tools
    ours("create", "a.db", "s.json")
    before = (state_dir / "byre-dbtool" / "a.db").read_bytes()
    status, text = ours("query", "a.db", INSERT)
    assert status == 0 and json.loads(text)[0]["error"] == "not allowed"
    assert (state_dir / "byre-dbtool" / "a.db").read_bytes() == before


def test_a_torn_file_is_not_written_to(tools, state_dir):
    ours, _ = tools
    ours("create", "a.db", "s.json")
    ours("transact", "a.db", INSERT)
    path = state_dir / "byre-dbtool" / "a.db"
    path.write_bytes(path.read_bytes()[:-9])
    torn = path.read_bytes()
    for command in (["transact", "a.db", INSERT], ["convert", "a.db", "newer.json"], ["convert", "a.db", "newer.json", "b.db"],
                    ["compact", "a.db", "b.db"], ["query", "a.db", '["T"]']):
        assert ours(*command)[0] == 1, command
        assert path.read_bytes() == torn and not (path.parent / "b.db").exists()


def test_rbac_role(tools, state_dir):
    """A role restricts as on a server; there is no client's name, which ovsdb-tool prints as "(null)"."""
    from test_db_tls import RBAC_SCHEMA

    results = []
    for tool, name in zip(tools, ("byre-dbtool", "ovsdb-tool")):
        (state_dir / name / "r.json").write_text(json.dumps(RBAC_SCHEMA))
        assert tool("create", "r.db", "r.json")[0] == 0
        results.append([tool(*role, command, "r.db", '["R",{"op":"delete","table":"Open","where":[]}]')
                        for role in ([], ["--rbac-role=worker"]) for command in ("transact",)])
    theirs = [(status, text.replace("(null)", "")) for status, text in results[1]]
    assert [(s, json.loads(t)) for s, t in results[0]] == [(s, json.loads(t)) for s, t in theirs]
    assert "permission error" in results[0][1][1]
