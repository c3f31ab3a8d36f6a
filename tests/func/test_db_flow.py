"""Clients that do not read, send halves, come in crowds: what they cost the others."""

import pytest

from rpc import Closed
from test_dbserver import appctl, insert, wait_for


def memory(program, dbd):
    """memory/show as a dictionary."""
    return {k: int(v) for k, v in (pair.split(":") for pair in appctl(program, dbd, "memory/show").split())}


def cells(row):
    """The columns "i" and "tags" of a row, the latter as a set."""
    tags = row.get("tags", ["set", []])
    return {"i": row.get("i", 0), "tags": frozenset(tags[1]) if isinstance(tags, list) else frozenset([tags])}


class Replica:
    """A client's copy of table A, by the rules of update and update2."""

    def __init__(self, version):
        self.version, self.rows = version, {}

    def apply(self, updates):
        for uuid, row in updates.get("A", {}).items():
            if self.version == 1:
                assert ("old" in row) == (uuid in self.rows)
                old = row.get("old", {})
                assert all(cells(old)[c] == self.rows[uuid][c] for c in old)
                self.rows[uuid] = cells(row["new"]) if "new" in row else None
            else:
                ((kind, columns),) = row.items()
                assert (uuid in self.rows) == (kind in ("modify", "delete")), (kind, uuid)
                if kind == "modify":
                    new = cells(columns)
                    old = self.rows[uuid]
                    self.rows[uuid] = {"i": new["i"] if "i" in columns else old["i"], "tags": old["tags"] ^ new["tags"]}
                else:
                    self.rows[uuid] = None if kind == "delete" else cells(columns)
            if self.rows[uuid] is None:
                del self.rows[uuid]


@pytest.mark.parametrize("version", [1, 2])
def test_what_a_stuck_client_missed_is_merged(dbd, program, version):
    """It reads nothing while rows come, change and go a thousand times: little waits for it, and in the end it knows all."""
    params = {"A": {"columns": ["tags", "i"]}}
    if version == 2:
        params["A"]["where"] = [["i", "<", 1000000]]
    with dbd.connect() as stuck, dbd.connect() as writer:
        uuids = [r["uuid"] for r in writer.transact("T", *[insert(name="row-%d" % i, i=i) for i in range(50)])]
        replica = Replica(version)
        replica.apply(stuck.result(["monitor", "monitor_cond"][version - 1], "T", "m", params))
        n = 0
        for turn in range(30):
            for row in range(50):
                n += 1
                i = 2000000 + n if (row + turn) % 7 == 0 else n  # The condition does not want it then.
                ops = [{"op": "update", "table": "A", "where": [["_uuid", "==", uuids[row]]], "row": {"i": i, "tags": ["set", ["x" * 2000 + str(n), str(row)]]}}]
                if row % 10 == 0:
                    ops.append(insert(name="more", i=n, tags="a"))
                if row % 20 == 5:
                    ops.append({"op": "delete", "table": "A", "where": [["i", "<", n - 60], ["name", "==", "more"]]})
                writer.request("transact", "T", *ops)
            for _ in range(50):
                assert all(r and "error" not in r for r in writer.recv()["result"])
        assert memory(program, dbd)["backlog"] < 3 << 20
        assert "gathered for it" in dbd.text()
        (result,) = writer.transact("T", {"op": "select", "table": "A", "where": [], "columns": ["_uuid", "tags", "i"]})
        want = {r["_uuid"][1]: cells(r) for r in result["rows"] if version == 1 or r["i"] < 1000000}
        # Its own transaction's update comes before the reply; with it all that it had missed.
        stuck.reply(stuck.request("transact", "T", insert(name="last", i=7, tags="last")))
        for note in stuck.notes:
            assert note["method"] == ["update", "update2"][version - 1]
            replica.apply(note["params"][1])
        (last,) = [u for u, r in replica.rows.items() if "last" in r["tags"]]
        del replica.rows[last]
        assert replica.rows == want
        assert len(stuck.notes) < 1400, "they were merged"
        wait_for("nothing waits", lambda: memory(program, dbd)["backlog"] == 0)


def test_who_cannot_be_helped_is_cut_off(dbd):
    """More has changed than the history holds for anybody."""
    with dbd.connect() as stuck, dbd.connect() as writer:
        big = "x" * (1 << 20)
        uuids = [writer.transact("T", insert(tags=big))[0]["uuid"] for i in range(12)]
        stuck.result("monitor", "T", "m", {"A": {"columns": ["tags"]}})
        for uuid in uuids:
            writer.transact("T", {"op": "update", "table": "A", "where": [["_uuid", "==", uuid]], "row": {"tags": big + "y"}})
        with pytest.raises(Closed):
            while True:
                stuck.recv(60)
        wait_for("the reason", lambda: "did not read for too long" in dbd.text())
        assert writer.transact("T", insert(name="on"))[0]["uuid"]
