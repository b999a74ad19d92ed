#!/usr/bin/env python3
"""trust.t - the processes behind a connection, as they look from outside: who
they are and what they hold (P2), what they ask the system for (P3), what is
left of a password in them (P5), what happens when one of them is killed (P7),
and what they bear (P8). The numbers are those of the plan for the split. What
a client sees of TLS stands in tls.t. TAP."""

import os
import pwd
import resource
import signal
import socket
import subprocess
import sys
import traceback

sys.dont_write_bytecode = True
import login
import trust_bear
import trust_kill
import trust_memory
import trust_trace
from login import ROOT, Room, Tap
from tls_client import built_in, make_keys
from trust_hands import HOW, connect, front_of, open_files, status, \
    until_held, worker_of, wrapped

PASSWORD = b"firetruck"
# What crypt(3) takes half a second or more for.
SLOW = login.sha512(2500000)

# What each holds: an eighth descriptor is a mistake.
# A sanitizer reports where the log is.
LOG = ["log"] if login.sanitised() else []
HOLDS = {
    ("plain", "monitor"): ["client", "client", "log", "channel"],
    ("plain", "front"): ["client", "client", *LOG, "channel"],
    ("plain", "session"): ["client", "client", "log"],
    ("tls", "monitor"): ["client", "client", "log", "stream", "stream",
                         "channel"],
    ("tls", "front"): ["client", "client", *LOG, "stream", "channel"],
    # The channel tells when the relay has ended.
    ("tls", "session"): ["stream", "stream", "log", "channel"],
    ("tls", "relay"): ["client", "client", *LOG, "stream", "channel"],
    "worker": ["/dev/null", "/dev/null", "/dev/null", "pipe"],
}


def front_ids():
    try:
        p = pwd.getpwnam("imapd-net")
        return p.pw_uid, p.pw_gid
    except KeyError:
        return 65534, 65534


NO_RIGHT = "0" * 16


def look_at(pid, uid, gid, groups, away):
    """What is wrong with who it is."""
    s = status(pid)
    want = {"Uid": [str(uid)] * 4, "Gid": [str(gid)] * 4, "Groups": groups,
            "NoNewPrivs": ["1"], "CapEff": [NO_RIGHT], "CapPrm": [NO_RIGHT],
            "CapInh": [NO_RIGHT], "CapAmb": [NO_RIGHT]}
    if not login.sanitised():
        want["Seccomp"] = ["2"]
    for name, value in want.items():
        if s.get(name) != value:
            yield "%s is %s, not %s" % (name, s.get(name), value)
    root = os.readlink("/proc/%d/root" % pid)
    if away != root.endswith(" (deleted)") or (root == "/") == away:
        yield "its root directory is " + root


# Of a front that was taken: it may outlive its session, with no more than
# this.
LIMITS = {"Max cpu time": "3600", "Max address space": str(256 << 20),
          "Max open files": "8", "Max processes": "0", "Max file size": "0",
          "Max core file size": "0"}


def limited(pid):
    """A sanitizer needs more."""
    with open("/proc/%d/limits" % pid) as f:
        found = {line[:26].strip(): line[26:].split()[1] for line in f}
    return ["%s of the front is %s" % (name, found[name])
            for name, most in LIMITS.items() if found[name] != most] * (
                not login.sanitised())


def held(c, how, who, pid):
    want = HOLDS[who if who == "worker" else
                 ("plain" if how == "plain" else "tls", who)]
    got = open_files(c, pid)
    return [] if got == want else ["the %s holds %s" % (who, got)]


def processes(room, how):
    """One connection, and all who come and go behind it."""
    p = room.people[b"slow"]
    bad = []
    with connect(room, how) as c:
        c.line()
        monitor = c.process.pid
        front = front_of(monitor)
        bad += ["front: " + x for x in look_at(front, *front_ids(), [], True)]
        bad += held(c, how, "front", front) + limited(front)
        bad += held(c, how, "monitor", monitor)
        c.send(b"a LOGIN slow %s\r\n" % PASSWORD)
        worker = worker_of(c)
        bad += held(c, how, "worker", worker)
        os.kill(worker, signal.SIGCONT)
        if c.answer()[-1][:4] != b"a OK":
            return [c.wrong("not in")]
        bad += ["session: " + x for x in look_at(
            monitor, p.uid, p.uid, [str(p.uid)], False)]
        bad += held(c, how, "session", monitor)
        if how == "plain":
            bad += ["a front is left"] * (front_of(monitor) is not None)
        else:
            bad += ["another process became the relay"] * (
                front_of(monitor) != front)
            bad += ["relay: " + x for x in look_at(front, *front_ids(), [],
                                                   True)]
            bad += held(c, how, "relay", front)
        c.cmd(b"b SELECT INBOX")
        mine = open_files(c, monitor)
        bad += ["it holds %s" % x for x in mine
                if x.startswith("/") and x != p.inbox]
        bad += ["the mailbox is not open"] * (p.inbox not in mine)
        return bad + c.finish()


# ---- /dev/log ----

DEV = """mount -t tmpfs none /dev && mknod /dev/null c 1 3 &&
ln -s %s/log /dev/log && exec %s "$@" """
NAMESPACE = ["unshare", "--mount", "--propagation", "private"]


def log_is_shut(room):
    """Where there is a syslogd its socket is open from the start: the front
    may not keep it, or whoever takes it over writes into our log."""
    script = os.path.join(room.base, "dev")
    with open(script, "w") as f:
        f.write(DEV % (room.base, room.program))
    inside = wrapped(room, "with-log", " ".join(NAMESPACE) + " sh " + script)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(room.base + "/log")
        os.chmod(room.base + "/log", 0o666)
        with inside.client(options=["--log=syslog"]) as c:
            c.line()
            front = front_of(c.process.pid)
            bad = ["the front holds the log's socket"] * (
                "datagram" in open_files(c, front))
            bad += ["the monitor does not"] * (
                "datagram" not in open_files(c, c.process.pid))
            return bad + c.finish()


def can_mount():
    return subprocess.run(
        NAMESPACE + ["mount", "-t", "tmpfs", "none", "/dev"],
        capture_output=True).returncode == 0


def bounded(room):
    """capabilities(7), "Capability bounding set": what no program that is run
    later could gain. It is more than is needed beside NoNewPrivs."""
    bad = []
    with connect(room, "plain") as c:
        c.line()
        front = front_of(c.process.pid)
        bad += ["front: CapBnd is %s" % x for x in status(front)["CapBnd"]
                if x != NO_RIGHT]
        c.cmd(b"a LOGIN riley " + PASSWORD)
        bad += ["session: CapBnd is %s" % x for x in
                status(c.process.pid)["CapBnd"] if x != NO_RIGHT]
        return bad + c.finish()


# ---- all of them ----

def needs_root(tap, name):
    if not ROOT:
        tap.skip(name, "needs root")
    return not ROOT


def tests():
    """(name, what it needs, test)"""
    for how in HOW:
        yield ("P2, %s: who each process is, and all that it holds" % how,
               needs_root, lambda room, how=how: until_held(
                   lambda: processes(room, how)))
    yield ("P2: the front has no way to the system's log", needs_mount,
           log_is_shut)
    yield "P2: no capability is left to be gained", needs_root, bounded
    yield from trust_trace.TESTS
    yield from trust_memory.TESTS
    yield from trust_kill.TESTS
    yield from trust_bear.TESTS


def needs_mount(tap, name):
    if needs_root(tap, name):
        return True
    if can_mount():
        return False
    tap.skip(name, "needs a mount namespace")
    return True


def furnish(room):
    make_keys(room)
    mail = b"".join(map(login.message, range(1, 4)))
    room.person(b"riley", PASSWORD, mail=mail)
    room.person(b"slow", PASSWORD, login.crypted(PASSWORD, SLOW), mail)


def main():
    if not built_in():
        print("1..0 # SKIP built without TLS")
        return 0
    tap = Tap()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with Room() as room:
        furnish(room)
        for name, lacks, test in tests():
            if lacks is not None and lacks(tap, name):
                continue
            try:
                bad = test(room)
            except Exception:
                bad = [traceback.format_exc()]
            tap.point(name, bad)
        tap.point("no process is left", trust_kill.left_over(room))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
