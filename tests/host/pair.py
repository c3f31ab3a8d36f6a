"""Two throwaway hosts with one Byre: node 1 has the database, node 2 an agent of its own on it.

Node 1's script calls `up()`; node 2's calls `serve()` and then does what node 1 asks of it (`there()`), through files in
the directory that both see.  Their libvirt daemons listen for each other on the private link between the two.
"""

import json
import os
import pathlib
import shlex
import subprocess
import time

import guest

NODE = int(os.environ.get("TESTHOST_NODE", "1"))
SHARE = pathlib.Path(os.environ["TESTHOST_SHARE"])
ADDRESS = "10.77.0.%d"
PORT = 6640
_asked = 0


def _write(name, text):
    """Appears whole."""
    part = SHARE / (name + ".part")
    part.write_text(text)
    part.rename(SHARE / name)


def _libvirt():
    """libvirtd that takes other hosts' requests without a key: this link is nobody else's."""
    config = pathlib.Path("/tmp/libvirtd.conf")
    config.write_text('listen_tls = 0\nlisten_tcp = 1\nauth_tcp = "none"\nlisten_addr = "%s"\n'
                      "keepalive_interval = 5\nkeepalive_count = 4\n" % (ADDRESS % NODE))
    guest.libvirt("--listen", "--config", str(config))


def there(*command, check=True, seconds=60 * guest.SLOW):
    """Runs a command on node 2; what it printed."""
    global _asked
    _asked += 1
    answer = SHARE / ("answer-%d" % _asked)
    _write("ask-%d" % _asked, json.dumps(command))
    guest.wait_for("node 2: " + " ".join(command), answer.exists, seconds=seconds)
    done = json.loads(answer.read_text())
    assert not check or done["status"] == 0, done
    return done["output"]


def there_sh(script, **more):
    return there("/bin/bash", "-euc", script, **more)


def agent_command(state):
    return [str(guest.build() / "byre-agentd"), "--db", "tcp:%s:%d" % (ADDRESS % 1, PORT), "--state", state,
            "--stats", "sqlite:%s/stats.db" % state]


def serve():
    """Node 2, until the hosts end."""
    guest.wait_for("node 1's database", (SHARE / "database").exists, seconds=1500)
    _libvirt()
    state = guest.host.temporary_state()
    os.makedirs(state + "/run", exist_ok=True)
    if os.path.exists("/dev/kvm"):
        guest.trust_kvm(state)
    log = open(SHARE / "node2.log", "w")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
    bin_dir = str(guest.build())
    subprocess.Popen([bin_dir + "/byre-stored", "--socket", state + "/run/stored.sock"], **quiet)
    restart = pathlib.Path("/tmp/agent.sh")  # Started again when it ends, as byred would.
    restart.write_text("while :; do %s & echo $! > %s/agent.pid; wait; sleep 1; done\n"
                       % (shlex.join(agent_command(state)), state))
    subprocess.Popen(["/bin/bash", str(restart)], **quiet)
    guest.wait_for("the agent", pathlib.Path(state + "/run/agent.sock").exists)
    # "node add" asks the agent beside the database's socket: there is one by this.
    subprocess.Popen(["socat", "UNIX-LISTEN:%s/run/db.sock,fork" % state, "TCP:%s:%d" % (ADDRESS % 1, PORT)], **quiet)
    guest.wait_for("the way to the database", pathlib.Path(state + "/run/db.sock").exists)
    add = [bin_dir + "/byre", "--db", "unix:%s/run/db.sock" % state, "node", "add", "n2", "--ip", ADDRESS % 2]
    guest.wait_for("the node", lambda: subprocess.run(add, **quiet).returncode == 0)
    _write("joined", state)
    number = 0
    while True:
        number += 1
        ask = SHARE / ("ask-%d" % number)
        while not ask.exists():
            time.sleep(0.05)
        done = subprocess.run(json.loads(ask.read_text()), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace")
        _write("answer-%d" % number, json.dumps({"status": done.returncode, "output": done.stdout}))


def up():
    """Node 1: Byre, and node 2 in it.  Returns (byre, the state directory of node 2)."""
    config = pathlib.Path("/tmp/byre.conf")
    config.write_text("[dbd]\nremotes = ptcp:%d:%s\n" % (PORT, ADDRESS % 1))
    _libvirt()
    byre = guest.byre(config)
    byre.byre("set", "hostnode", "n1", "ip=" + ADDRESS % 1)
    byre.byre("cluster", "set", "migration_transport=tcp")
    _write("database", "")
    guest.wait_for("node 2", (SHARE / "joined").exists, seconds=1500)
    return byre, (SHARE / "joined").read_text()


def log():
    return (SHARE / "node2.log").read_text(errors="replace")


def cable(plugged):
    """Node 1's end of the link."""
    guest.run("qmp", "set_link", "name=net0", "up=" + ("true" if plugged else "false"))
