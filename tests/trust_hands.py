"""trust_hands.py - for trust.t and rootlines.t: connections in the clear and
with TLS, and what /proc tells of the processes behind them."""

import copy
import os
import re
import signal
import subprocess

import login
from login import ROOT, Failure, children, wait_until, workers
from tls_client import TLS

# How a client comes: in the clear, by STARTTLS, by --tls.
HOW = ["plain", "starttls", "tls"]


def wrapped(room, name, text):
    """The same room, in which servers are started by a line of shell."""
    other = copy.copy(room)
    other.program = os.path.join(room.base, name)
    # Never open for writing here: a process that another thread forks just
    # then would have it open, too, and nobody could execute it.
    subprocess.run(["sh", "-c", 'cat >"$0" && chmod 755 "$0"', other.program],
                   input="#!/bin/sh\nexec %s \"$@\"\n" % text, text=True,
                   check=True)
    return other


def secure(c):
    c.sock = TLS.wrap_socket(c.sock)


def connect(room, how, options=(), **more):
    """A client before the line that it is greeted with (by STARTTLS: behind
    it, and c.line() says it once more). "handshake": STARTTLS, and no more."""
    keys = [] if how == "plain" else room.options
    if how == "tls":
        keys = keys + ["--tls"]
    c = room.client(options=keys + list(options), **more)
    try:
        if how == "tls":
            secure(c)
        elif how != "plain":
            greeting = c.line()
            if c.cmd(b"s STARTTLS")[-1][:4] != b"s OK":
                raise Failure(c.wrong("no STARTTLS"))
            if how == "starttls":
                secure(c)
                c.line = Once(greeting, c.line)
    except BaseException:
        c.__exit__()
        raise
    return c


class Once:
    """c.line() that first says again what was said in the clear."""

    def __init__(self, said, then):
        self.said, self.then = [said], then

    def __call__(self):
        return self.said.pop() if self.said else self.then()


# ---- who they are, by /proc ----

def front_of(monitor):
    """The oldest of the monitor's processes; a relay is one, too."""
    found = children(monitor)
    others = set(workers(monitor))
    return next((pid for pid in found if pid not in others), None)


class Missed(Failure):
    """The worker had ended before it could be held."""


def worker_of(c):
    """Held at a hash that takes long, to be looked at for as long as one
    likes: until then it still has what is the monitor's."""
    found = wait_until(lambda: workers(c.process.pid) or any(
        x.startswith("Login ") for x in c.log()), "a worker")
    if found is True:
        raise Missed("no worker was seen")
    pid = found[0]
    try:
        wait_until(lambda: ticks(pid) >= 3, "the worker to compute")
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: state(pid) in b"TZ", "the worker to stop")
        if state(pid) == b"T":
            return pid
    except OSError:
        pass
    raise Missed("the worker was quicker")


def until_held(work):
    """What work() returns, which is begun anew where it has missed him."""
    for _ in range(20):
        try:
            return work()
        except Missed:
            pass
    raise Failure("no worker can be held")


def stat(pid):
    with open("/proc/%d/stat" % pid, "rb") as f:
        return f.read().rpartition(b")")[2].split()


def state(pid):
    return stat(pid)[0]


def ticks(pid):
    """How long it has run, in hundredths of seconds as a rule."""
    return sum(map(int, stat(pid)[11:13]))


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return {k: v.split() for k, _, v in
                (line.partition(":") for line in f)}


KINDS = {"0001": "stream", "0002": "datagram", "0005": "channel"}


def sockets():
    """{inode: what it is}"""
    found = {}
    for name, at in ("tcp", 9), ("tcp6", 9), ("unix", 6):
        try:
            with open("/proc/net/" + name) as f:
                rows = [line.split() for line in list(f)[1:]]
        except OSError:
            continue
        for row in rows:
            found[row[at]] = KINDS.get(row[4], row[4]) if name == "unix" \
                else "client"
    return found


def open_files(c, pid):
    """What stands behind its descriptors, in their order."""
    known = sockets()
    log = os.fstat(c.stderr.fileno()).st_ino
    found = []
    for fd in sorted(map(int, os.listdir("/proc/%d/fd" % pid))):
        path = "/proc/%d/fd/%d" % (pid, fd)
        to = os.readlink(path)
        m = re.fullmatch(r"(\w+):\[(\d+)\]", to)
        if m:
            to = known.get(m.group(2), "?") if m.group(1) == "socket" \
                else m.group(1)
        elif os.stat(path).st_ino == log:
            to = "log"
        found.append(to)
    return found


def private(pid):
    """KiB of memory that nobody shares with it; 0 but for root, since
    nobody else may look into them."""
    if not ROOT:
        return 0
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return sum(int(line.split()[1]) for line in f
                   if line.startswith("Private_"))
