"""What Open vSwitch's own tests do with a server, as shell lines: the same lines with Debian's ovsdb-server and with byre-dbd
under that name must print the same and end with the same status.

A row: what it shows, and a script that runs in an empty directory, which is OVS_RUNDIR, OVS_LOGDIR and OVS_DBDIR, with `$DB`,
a file with the schema of conftest.py.  UUIDs are numbered in their order, as uuidfilt does.
"""

import difflib
import json
import os
import pathlib
import re
import subprocess

import pytest

from conftest import TEST_SCHEMA
from twins import UUID

START = """
ovsdb-server --detach --no-chdir --pidfile --log-file --remote=punix:socket -vconsole:off -vsyslog:off -vvlog:off -vfile -vraft $DB || exit 99
trap 'ovs-appctl -t ovsdb-server exit; while [ -e ovsdb-server.pid ]; do sleep 0.05; done' EXIT
ctl() { ovs-appctl -t ovsdb-server "$@" 2>&1; echo "status $?"; }
"""
INSERT = """ovsdb-client transact unix:socket '["T",{"op":"insert","table":"U","row":{"a":"%s","b":%d}}]'\n"""

SCRIPTS = [
    ("starts, is asked and ends", START + "ls *.pid *.log socket\n" + INSERT % ("x", 1) + "ovsdb-client dump unix:socket T U a b\n"),
    ("warns of nothing", START + INSERT % ("x", 1) + "trap - EXIT; ctl exit; while [ -e ovsdb-server.pid ]; do sleep 0.05; done\n"
     "grep -E '[|](WARN|ERR|EMER)[|]' *.log; ls *.pid *.ctl socket 2> /dev/null; true"),
    ("runs a command", """
ovsdb-server --remote=punix:socket --unixctl=$PWD/ctl -vconsole:off --run="ovsdb-client list-dbs unix:socket; exit 3" $DB 2> /dev/null; echo $?
ovsdb-server --remote=punix:socket --unixctl=$PWD/ctl -vconsole:off --run="sh -c 'echo fine'" $DB; echo $?"""),
    ("a command that fails", """
for run in nosuch 'kill -9 $$' 'echo said >&2; exit 4' 'cat; exit 5'; do
echo input | ovsdb-server --unixctl=$PWD/ctl -vconsole:off --run="$run" $DB > out 2>&1; echo $?; sed 's/^[a-z-]*: \\(.*child exited\\)/\\1/' out; done"""),
    ("a pid file in the way", START + """cp $DB db2; second="ovsdb-server --detach --no-chdir --pidfile -vconsole:off --unixctl=$PWD/second --remote=punix:socket2"
$second db2 2> /dev/null; echo $?; first=$(cat ovsdb-server.pid)
$second --overwrite-pidfile db2; echo $?; ls *.pid; [ $(cat ovsdb-server.pid) = $first ] || echo another
ovs-appctl -t $PWD/second exit; while [ -e second ]; do sleep 0.05; done; ls *.pid 2> /dev/null
trap - EXIT; ovs-appctl -t $PWD/ovsdb-server.$first.ctl exit; while kill -0 $first 2> /dev/null; do sleep 0.05; done"""),
    ("watched over in the foreground", """
ovsdb-server --monitor --pidfile --no-chdir --remote=punix:socket -vconsole:off $DB & watcher=$!
while [ ! -S socket ]; do sleep 0.05; done; [ $(cat ovsdb-server.pid) = $watcher ] || echo another
ovs-appctl -t ovsdb-server exit; wait $watcher; echo $?; ls *.pid 2> /dev/null"""),
    ("the same database twice", START.replace("$DB ||", "$DB $DB ||") + "ctl ovsdb-server/list-dbs"),
    ("a backup", START.replace("$DB ||", "$DB --sync-from=unix:nowhere --sync-exclude-tables=T:U ||") + """
ctl ovsdb-server/sync-status; ctl ovsdb-server/get-active-ovsdb-server; ctl ovsdb-server/get-sync-exclude-tables
ctl ovsdb-server/disconnect-active-ovsdb-server; ctl ovsdb-server/sync-status; ctl ovsdb-server/connect-active-ovsdb-server; ctl ovsdb-server/sync-status
ovsdb-server --detach --no-chdir --pidfile=$PWD/active.pid --unixctl=$PWD/active --remote=punix:active.sock -vconsole:off $DB.active
for what in disconnect-active-ovsdb-server 'set-active-ovsdb-server unix:active.sock' connect-active-ovsdb-server; do ctl ovsdb-server/$what; done
for i in $(seq 300); do ctl ovsdb-server/sync-status | grep -q replicating && break; sleep 0.1; done; ctl ovsdb-server/sync-status
ovs-appctl -t $PWD/active exit""".replace("$DB.active", "active.db").replace("ovsdb-server --detach --no-chdir --pidfile=$PWD/active", "cp $DB active.db; ovsdb-server --detach --no-chdir --pidfile=$PWD/active")),
    ("databases come and go", START + """
sed 's/"T"/"T2"/' schema > schema2; ovsdb-tool create db2 schema2
ctl ovsdb-server/list-dbs; ctl ovsdb-server/add-db db2; ctl ovsdb-server/list-dbs; ovsdb-client list-dbs unix:socket
ctl ovsdb-server/add-db db2 | tail -1; ctl ovsdb-server/add-db nowhere | tail -1
ctl ovsdb-server/remove-db T2; ctl ovsdb-server/list-dbs; ctl ovsdb-server/remove-db T2; ctl ovsdb-server/remove-db _Server
ctl ovsdb-server/compact _Server; ctl ovsdb-server/compact nothing; ctl ovsdb-server/compact T; ctl ovsdb-server/compact"""),
    ("remotes come and go", START + """
ctl ovsdb-server/list-remotes; ctl ovsdb-server/add-remote punix:second; ctl ovsdb-server/add-remote punix:second; ctl ovsdb-server/list-remotes
ovsdb-client list-dbs unix:second; ctl ovsdb-server/remove-remote punix:second; ctl ovsdb-server/remove-remote punix:second; ctl ovsdb-server/list-remotes
ctl ovsdb-server/add-remote db:nodb,U,a; ctl ovsdb-server/add-remote db:T,notable,a; ctl ovsdb-server/add-remote db:T,U,nocolumn
ctl ovsdb-server/add-remote db:T,U,a; ctl ovsdb-server/list-remotes; ctl ovsdb-server/add-remote db:T,U"""),
    ("a port of its own choice", """
ovsdb-server --detach --no-chdir --pidfile --log-file --remote=ptcp:0:127.0.0.1 --remote=ptcp:0:[::1] -vconsole:off $DB
sed -n 's/.*|\\(.*listening on port\\) [0-9]*/\\1/p' ovsdb-server.log | sort
for port in $(sed -n 's/.*127.0.0.1: listening on port \\([0-9]*\\)$/\\1/p' ovsdb-server.log); do ovsdb-client list-dbs tcp:127.0.0.1:$port; done
ovs-appctl -t ovsdb-server -e exit 2> /dev/null || ovs-appctl -t ovsdb-server exit"""),
    ("a control socket of its own name", """
ovsdb-server --detach --no-chdir --pidfile=my.pid --unixctl=unixctl1 --remote=punix:socket -vconsole:off $DB; cat my.pid | tr -c -d '\\n'
ovs-appctl -t "$(pwd)"/unixctl1 ovsdb-server/list-dbs; ovs-appctl -t "$(pwd)"/unixctl1 exit; while [ -e my.pid ]; do sleep 0.05; done; ls"""),
    ("what cannot start", """
for remote in db:x,y,z db:T,y,z db:T,U,z db:T,U db:; do for option in --remote -p -c -C --ssl-ciphers --ssl-protocols; do
ovsdb-server $option $remote --unixctl=$PWD/ctl $DB --run=true > out 2>&1; echo $?; grep -o '"db:.*' out | head -1; done; done
for option in -p -c -C; do ovsdb-server $option db:T,U,b --unixctl=$PWD/ctl $DB --run=true > out 2>&1; echo $?; grep -o '"db:.*' out | head -1; done
ovsdb-server --unixctl=$PWD/ctl --run=true nowhere > out 2>&1; echo $?; echo junk > junk; ovsdb-server --unixctl=$PWD/ctl --run=true junk > out 2>&1; echo $?"""),
    ("a file with junk at its end", START.replace("exit 99", "exit 99").replace("\novsdb-server", "\necho 'xxx' >> $DB\novsdb-server", 1) +
     "grep -c 'parse error.* in header line \"xxx\"' *.log | sed 's/[1-9][0-9]*/some/'\n" + INSERT % ("x", 1) +
     "ovsdb-client dump unix:socket T U a\novs-appctl -t ovsdb-server exit; trap - EXIT; while [ -e ovsdb-server.pid ]; do sleep 0.05; done; ovsdb-tool query $DB '[\"T\",{\"op\":\"select\",\"table\":\"U\",\"where\":[],\"columns\":[\"a\"]}]'"),
    ("clients look at the schema", START + """
ovsdb-client get-schema unix:socket T | python3 -m json.tool --sort-keys; ovsdb-client get-schema-version unix:socket T
ovsdb-client list-tables unix:socket T; ovsdb-client list-columns unix:socket T U; ovsdb-client needs-conversion unix:socket schema
sed 's/1.2.3/1.2.4/' schema > schema2; ovsdb-client needs-conversion unix:socket schema2; ovsdb-client convert unix:socket schema2; echo $?
ovsdb-client get-schema-version unix:socket T"""),
    ("backup and restore", START + INSERT % ("x", 1) + INSERT % ("y", 2) + """
ovsdb-client backup unix:socket T > backup
ovsdb-client transact unix:socket '["T",{"op":"delete","table":"U","where":[["b","==",1]]}]'; ovsdb-client dump unix:socket T U a b
ovsdb-client restore unix:socket T < backup; ovsdb-client dump unix:socket T U a b"""),
    ("query leaves nothing behind", START + """ovsdb-client query unix:socket '["T",{"op":"insert","table":"U","row":{"a":"x"}},{"op":"select","table":"U","where":[],"columns":["a"]}]'
ovsdb-client dump unix:socket T U a; ovsdb-client transact unix:socket '["T",{"op":"bogus"}]'; ovsdb-client transact unix:socket '["nothing"]' 2>&1; echo $?"""),
    ("a monitor", START + """
for how in monitor monitor-cond; do where=; [ $how = monitor ] || where='[["b",">",1]]'
ovsdb-client --detach --no-chdir --pidfile=$how.pid -d json $how unix:socket T $where U a b > $how.out 2> /dev/null; done
""" + INSERT % ("x", 1) + INSERT % ("y", 2) + """ovsdb-client transact unix:socket '["T",{"op":"update","table":"U","where":[["b","==",2]],"row":{"a":"z"}}]'
ovsdb-client transact unix:socket '["T",{"op":"delete","table":"U","where":[["b","==",1]]}]'
ovs-appctl -t ovsdb-server exit; trap - EXIT; while [ -e monitor.pid ] || [ -e monitor-cond.pid ]; do sleep 0.05; done; cat monitor.out monitor-cond.out"""),
    ("waiting for a database", START + """sed 's/"T"/"T2"/' schema > schema2; ovsdb-tool create db2 schema2
ovsdb-client wait unix:socket T2 added & sleep 0.2; ctl ovsdb-server/add-db db2; wait $!; echo $?; ovsdb-client -t 20 wait unix:socket T connected; echo $?
ovsdb-client wait unix:socket T2 removed & sleep 0.2; ctl ovsdb-server/remove-db T2; wait $!; echo $?"""),
    ("commands that are none", START + """ctl bogus; ctl ovsdb-server/list-dbs too many; ctl ovsdb-server/add-db; ctl ovsdb-server/sync-status
ctl ovsdb-server/get-active-ovsdb-server; ctl ovsdb-server/get-sync-exclude-tables; ctl vlog/set jsonrpc:file:dbg
ctl version | tail -1; ctl ovsdb-server/reconnect; ctl ovsdb-server/perf-counters-clear; ctl ovsdb-server/disable-monitor-cond"""),
    ("an update in the log", START + """ctl vlog/set jsonrpc:file:dbg
ovsdb-client --detach --no-chdir --pidfile=m.pid -d json monitor-cond-since unix:socket T U a > /dev/null 2>&1
""" + INSERT % ("x", 1) + "ctl exit | tail -1; trap - EXIT; while [ -e m.pid ]; do sleep 0.05; done; grep -c 'method=\"update3\"' ovsdb-server.log"),
]


def run(script, directory, program, server):
    directory.mkdir()
    (directory / "bin").mkdir()
    (directory / "bin" / "ovsdb-server").symlink_to(program(server))
    work = directory / "work"
    work.mkdir()
    (work / "schema").write_text(json.dumps(TEST_SCHEMA))
    subprocess.run([program("ovsdb-tool"), "create", str(work / "db"), str(work / "schema")], check=True)
    env = dict(os.environ, PATH="%s:%s" % (directory / "bin", os.environ["PATH"]), DB=str(work / "db"), OVS_RUNDIR=str(work),
               OVS_LOGDIR=str(work), OVS_DBDIR=str(work), LC_ALL="C")
    done = subprocess.run(["bash", "-c", script], cwd=work, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    names = {}
    text = done.stdout.replace(str(directory), "DIR") + "end %d\n" % done.returncode
    return re.sub(r"ovsdb-server\.\d+\.ctl", "CTL", UUID.sub(lambda m: "<%d>" % names.setdefault(m.group(), len(names)), text))


@pytest.mark.parametrize("what, script", SCRIPTS, ids=[s[0] for s in SCRIPTS])
def test_same_output(program, state_dir, what, script):
    state = pathlib.Path(state_dir)
    want, got = [run(script, state / name, program, server) for name, server in (("reference", "ovsdb-server"), ("ours", "byre-dbd"))]
    difference = "\n".join(difflib.unified_diff(want.splitlines(), got.splitlines(), "ovsdb-server", "byre-dbd", lineterm=""))
    assert not difference, difference
