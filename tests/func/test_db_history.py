"""Many clients, a server that is killed and compacted in between, and a judge (histories.py) of what they saw.

BYRE_HISTORY_TXNS makes it run longer: so many transactions a writer (60)."""

import copy
import os
import random
import time

import pytest

import rpc
from histories import COLUMNS, SCHEMA, Reader, Txn, Watcher, Writer, Wrong, elements, initial_ops, judge

N_TXNS = int(os.environ.get("BYRE_HISTORY_TXNS", "60"))
SEED = int(os.environ.get("BYRE_HISTORY_SEED", "1"))
N_WRITERS = 4


def read_all(client):
    """The content in the model's form."""
    tables = dict(COLUMNS, Done={"id": ""})
    results = client.transact("H", *({"op": "select", "table": t, "where": [], "columns": ["_uuid"] + list(c)} for t, c in tables.items()))
    content = {}
    for t, result in zip(tables, results):
        content[t] = {row.pop("_uuid")[1]: Watcher.python(t, row) for row in result["rows"]}
    return content


def settle(watchers, n):
    """Waits until every copy is at n."""
    deadline = time.monotonic() + 120
    for w in watchers:
        while w.is_alive() and not (w.seen and w.seen[-1][0] == n):
            assert time.monotonic() < deadline, "a watcher (%s) stays at %r instead of %d" % (w.method, w.seen[-1:] and w.seen[-1][0], n)
            time.sleep(0.02)


def compact(server):
    with rpc.Rpc("unix:%s" % server.ctl) as ctl:
        ctl.call("ovsdb-server/compact")


def go(writes_to, reads_from, trouble, seed):
    """Lets clients loose on the servers and calls trouble(i) again and again meanwhile.  The transactions, the watchers and the
    readers."""
    writers = [Writer(writes_to, 100 * seed + i, N_TXNS) for i in range(N_WRITERS)]
    # Each watches one server: another one may be behind.
    watchers = [Watcher([reads_from[i % len(reads_from)]], 100 * seed + 50 + i, method, moody) for i, (method, moody) in enumerate([
        ("monitor_cond_since", False), ("monitor_cond_since", True), ("monitor_cond", False), ("monitor_cond", True), ("monitor", False),
        ("monitor_cond_since", False)])]
    readers = [Reader(remote, 100 * seed + 80 + i, is_source=len(reads_from) == 1) for i, remote in enumerate(reads_from)]
    for client in writers + watchers + readers:
        client.start()
    r, i, progress = random.Random(seed), 0, 0
    while any(w.is_alive() for w in writers):
        n = sum(len(w.txns) for w in writers)
        if n > progress + r.randint(20, 60):
            trouble(i)
            i, progress = i + 1, n
        time.sleep(0.01)
    for w in writers + readers:
        w.stop()
    return [txn for w in writers for txn in w.txns], watchers, readers


def finish(server, txns, watchers, readers, late_s=0):
    """After a last kill: everything is there, and everybody knows."""
    server.kill()
    server.start()
    with server.connect() as client:
        final = read_all(client)
    settle(watchers, next(iter(final["Counter"].values()))["n"])
    for w in watchers:
        w.stop()
    n = judge(txns, watchers, final, late_s, readers)
    assert all(reader.reads for reader in readers)
    assert n > len(txns) / 3, "most transactions must succeed"
    assert len([t for t in txns if t.error == "timed out"]) > 0, "compare and set must fail now and then"
    return n


@pytest.fixture
def server(make_dbd):
    server = make_dbd(schema=SCHEMA, name="source").start()
    with server.connect() as client:
        client.transact("H", *initial_ops())
    return server


def test_history_with_kills(server):
    r = random.Random(SEED)

    def trouble(i):
        if i % 3 == 2:
            compact(server)
        if i % 3 != 2 or r.random() < 0.5:  # Sometimes in the middle of compacting.
            time.sleep(r.random() / 50)
            server.kill()
            server.start()

    txns, watchers, readers = go([server.remote], [server.remote], trouble, SEED)
    finish(server, txns, watchers, readers)
    assert sum(w.n_found for w in watchers) > 0
    assert sum(w.n_not_found for w in watchers) == 0, "the history reaches back to whatever a client has seen"


def test_history_without_trouble(server):
    """All replies come, so that the judge has no freedom."""
    txns, watchers, readers = go([server.remote], [server.remote], lambda i: compact(server), SEED + 1)
    assert not [t for t in txns if t.unknown]
    finish(server, txns, watchers, readers)


def test_history_through_relays(server, make_dbd):
    """Two in a row; any of the three is killed.  Some write to the source, others to a relay; each
    watches one of them."""
    tiers = [server]
    for i in range(2):
        relay = make_dbd(schema=SCHEMA, name="relay%d" % i)
        relay.argv[-1] = "relay:H:%s" % tiers[-1].remote
        tiers.append(relay.start())
    r = random.Random(SEED)

    def trouble(i):
        victim = r.choice(tiers)
        time.sleep(r.random() / 50)
        victim.kill()
        victim.start()

    remotes = [tier.remote for tier in tiers]
    txns, watchers, readers = go(remotes, list(reversed(remotes)), trouble, SEED + 2)
    finish(server, txns, watchers, readers, late_s=10)


# The judge must be able to say no.

@pytest.fixture(scope="module")
def truth():
    """A small true history, made by hand with the model."""
    from histories import ZERO, initial_state, run, seen_text

    txns, state = [], initial_state()
    writer = Writer([], 7, 0)
    watcher, reader = Watcher([], 8), Reader(None, 9, is_source=True)
    while len(txns) < 30:
        txn = Txn("w7.%d" % len(txns), writer.ops("w7.%d" % len(txns)))
        attempt = copy.deepcopy(state)
        try:
            txn.results = run(attempt, txn.ops)
        except Exception:
            continue
        state = attempt
        txn.begin, txn.end, txn.n = len(txns), len(txns) + 0.5, txn.results[-1]["rows"][0]["n"]
        txns.append(txn)
        watcher.seen.append((txn.n, None, seen_text(state)))
        watcher.ids[ZERO[:-2] + "%02d" % txn.n] = txn.n
        reader.reads.append((txn.begin + 0.6, txn.begin + 0.7, txn.n, seen_text(state)))
    return txns, watcher, reader, state


def lose_ack(txns, watcher, final):
    del final["Done"][next(u for u, row in final["Done"].items() if row["id"] == txns[11].id)]


def half_a_transaction(txns, watcher, final):
    del final["Reg"][sorted(final["Reg"])[2]]


def stale_read(txns, watcher, final):
    rows = [result["rows"] for txn in txns for result in txn.results if result.get("rows") and "v" in result["rows"][0]]
    rows[-1][0]["v"] += 1


def out_of_time(txns, watcher, final):
    txns[3].begin, txns[3].end = 100, 101


def twice(txns, watcher, final):
    txns[5].n = txns[6].n


def step_back(txns, watcher, final):
    watcher.seen[8], watcher.seen[9] = watcher.seen[9], watcher.seen[8]


def missed_update(txns, watcher, final):
    n, keys, text = watcher.seen[20]
    watcher.seen[20] = (n, keys, text.replace('"key"', '"val"', 1))


def groundless_failure(txns, watcher, final):
    txn = Txn("w7.x", txns[-1].ops[-2:])
    txn.begin, txn.end, txn.error = 200, 201, "timed out"
    txns.append(txn)


def two_names(txns, watcher, final):
    first = sorted(watcher.ids)[0]
    other = Watcher([], 9)
    other.ids[first] = 29
    return [other]


def stale_reader(reader):
    begin, end, n, text = reader.reads[9]
    reader.reads[9] = (begin, end, *reader.reads[8][2:])


def early_reader(reader):
    begin, end, n, text = reader.reads[9]
    reader.reads[9] = (begin - 2, end - 2, n, text)


def torn_reader(reader):
    begin, end, n, text = reader.reads[9]
    reader.reads[9] = (begin, end, n, reader.reads[8][3])


def nothing(txns, watcher, final):
    pass


@pytest.mark.parametrize("lie", [nothing, lose_ack, half_a_transaction, stale_read, out_of_time, twice, step_back, missed_update, groundless_failure, two_names])
def test_judge(truth, lie):
    txns, final = copy.deepcopy([truth[0], truth[3]])
    final["Done"] = {str(i): {"id": txn.id} for i, txn in enumerate(txns)}
    watcher = Watcher([], 8)
    watcher.seen, watcher.ids = list(truth[1].seen), dict(truth[1].ids)
    others = lie(txns, watcher, final) or []
    if lie is nothing:
        assert judge(txns, [watcher], final) == 30
        txns[14].n = txns[14].results = None  # Its reply was lost: there is one place for it.
        assert judge(txns, [watcher], final) == 30
    else:
        with pytest.raises(Wrong):
            judge(txns, [watcher] + others, final)


@pytest.mark.parametrize("lie", [None, stale_reader, early_reader, torn_reader])
def test_judge_of_readers(truth, lie):
    final = copy.deepcopy(truth[3])
    final["Done"] = {str(i): {"id": txn.id} for i, txn in enumerate(truth[0])}
    reader = Reader(None, 9, is_source=True)
    reader.reads = list(truth[2].reads)
    if not lie:
        assert judge(truth[0], [], final, readers=[reader]) == 30
        return
    lie(reader)
    with pytest.raises(Wrong, match="a reader saw"):
        judge(truth[0], [], final, readers=[reader])


def test_rows_come_once():
    w = Watcher([], 1)
    insert = {"Item": {"u": {"insert": {"key": "a"}}}}
    w.apply(insert)
    for wrong in (insert, {"Item": {"x": {"delete": None}}}, {"Item": {"x": {"modify": {}}}}, {"Item": {"u": {"new": {"key": "a"}}}}):
        with pytest.raises(Wrong):
            w.apply(wrong)
    assert elements(["set", [1, 2]]) == [1, 2]
