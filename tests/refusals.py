"""refusals.py - how long a client waits for its NO, whoever it says to be and
whoever is asked: a password file, and as root PAM and shadow, in a mount
namespace where /etc/passwd and its like are the test's. For check_time.

CVE-2016-6210: looking at a password takes longer for one who exists, so a
refusal leaves at a whole multiple of three seconds behind the command."""

import concurrent.futures
import os
import random
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import login
from login import FIRST_UID, ROOT

STEP = 3000         # ms: lib/params.h, REFUSAL_MS
APART = 5           # ms: most between the medians of two kinds
LATE = 20           # ms: most between a median and a whole multiple
EVERY = .06         # seconds between two commands, whoever's
AT_ONCE = 120
TODAY = int(time.time()) // 86400

UNIX = "auth required pam_unix.so\naccount required pam_unix.so\n"
# What is mounted over the host's own.
ENTER = """set -e
for f in passwd shadow group nsswitch.conf; do
	mount --bind "$BASE/etc/$f" "/etc/$f"
done
mount --bind "$BASE/etc/pam.d" /etc/pam.d
exec "$@"
"""

# kind: user, password, the answer's code
KINDS = {
    "unknown user": (b"nobody-here", b"firetruck", b"AUTHENTICATIONFAILED"),
    "wrong password": (b"riley", b"wrong", b"AUTHENTICATIONFAILED"),
    "locked": (b"locked", b"firetruck", b"AUTHENTICATIONFAILED"),
    "expired": (b"expired", b"firetruck", b"EXPIRED"),
    "expired, wrong password": (b"expired", b"wrong",
                                b"AUTHENTICATIONFAILED"),
    "password too long": (b"riley", b"x" * 600, b"AUTHENTICATIONFAILED"),
    "root": (b"root", b"firetruck", b"AUTHENTICATIONFAILED"),
}


def write(path, text, mode=0o644):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def furnish(room):
    """The same people in all three."""
    hashed = login.crypted(b"firetruck", login.YESCRYPT)
    uid = FIRST_UID if ROOT else os.geteuid()
    people = [("riley", uid, hashed, ""), ("locked", uid, "!" + hashed, ""),
              ("expired", uid, hashed, TODAY - 1), ("root", 0, hashed, "")]
    etc = room.dir("etc")
    os.mkdir(etc + "/pam.d")
    for name, uid, field, _ in people:
        room.entry(name.encode(), field, uid, room.base)
    write(etc + "/passwd", "".join("%s:x:%d:%d::%s:/bin/sh\n" % (
        name, uid, uid, room.base) for name, uid, *_ in people))
    write(etc + "/shadow", "".join("%s:%s:%d::99999:::%s:\n" % (
        name, field, TODAY, expires)
        for name, _, field, expires in people), 0o600)
    write(etc + "/group", "root:x:0:\n")
    write(etc + "/nsswitch.conf",
          "passwd: files\ngroup: files\nshadow: files\n")
    write(etc + "/pam.d/imap", UNIX)
    write(etc + "/pam.d/other", UNIX)


def methods(room):
    """Who can be asked here."""
    found = ["file:" + room.passwd]
    if ROOT and subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "mount",
             "--bind", "/etc/passwd", "/etc/passwd"],
            capture_output=True).returncode == 0:
        found += [m for m in ("shadow", "pam") if subprocess.run(
            [room.program, "--auth=" + m, "--version"],
            capture_output=True).returncode == 0]
    return found


def ask(room, method, kind, at):
    """Milliseconds from the command to its NO; the command is sent at `at`,
    when the greeting has long been here."""
    user, password, code = KINDS[kind]
    sock, theirs = login.loopback()
    sock.settimeout(login.WATCHDOG)
    argv = [room.program, "--log=stderr", "--auth=" + method]
    if not method.startswith("file:"):
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                ENTER, "sh"] + argv
    with sock, sock.makefile("rb") as f:
        with theirs:
            p = subprocess.Popen(
                argv, stdin=theirs, stdout=theirs, cwd="/",
                stderr=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "BASE": room.base})
        greeting = f.readline()
        time.sleep(max(0, at - time.monotonic()))
        start = time.monotonic()
        sock.sendall(b"a LOGIN %s %s\r\n" % (user, password))
        line = f.readline()
        end = time.monotonic()
    p.wait(login.WATCHDOG)
    if not greeting.startswith(b"* OK ") or \
            not line.startswith(b"a NO [%s] " % code):
        raise RuntimeError("%s, %s: %r" % (method, kind, line))
    return (end - start) * 1000


def off(ms):
    """How far from a whole multiple; a refusal is never before one."""
    return ms - max(1, round(ms / STEP)) * STEP


def measure(tap, rng, repeat):
    """A table, and a point for each who is asked."""
    with login.Room() as room:
        furnish(room)
        jobs = [(method, kind) for method in methods(room) for kind in KINDS
                if not (method.startswith("file:") and
                        kind.startswith("expired"))] * repeat
        # Whatever else the machine does then meets all kinds alike.
        rng.shuffle(jobs)
        start = time.monotonic() + 2
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            times = list(pool.map(
                lambda job: ask(room, *job[1], start + job[0] * EVERY),
                enumerate(jobs)))
    found = {}
    for (method, kind), ms in zip(jobs, times):
        found.setdefault(method.partition(":")[0], {}).setdefault(
            kind, []).append(ms)
    for method, kinds in found.items():
        judge(tap, method, kinds)


def judge(tap, method, kinds):
    bad = []
    print("# %-7s %-24s %3s %8s %8s %8s ms" % (
        method, "refused:", "n", "median", "first", "last"))
    for kind in sorted(kinds):
        print("# %-7s %-24s %3d %8.1f %8.1f %8.1f" % (
            "", kind, len(kinds[kind]), statistics.median(kinds[kind]),
            min(kinds[kind]), max(kinds[kind])))
        bad += ["%s: %.1f ms is too soon" % (kind, ms)
                for ms in kinds[kind] if ms < STEP]
    medians = {kind: statistics.median(ms) for kind, ms in kinds.items()}
    apart = max(medians.values()) - min(medians.values())
    print("# %-7s medians are %.1f ms apart" % ("", apart))
    if apart > APART:
        bad.append("medians are %.1f ms apart" % apart)
    bad += ["%s: the median is %.1f ms from a multiple of %d" % (
        kind, off(ms), STEP) for kind, ms in medians.items()
        if not 0 <= off(ms) <= LATE]
    tap.point("refusal by %s: after whole multiples of %d ms, whoever it is"
              % (method, STEP), bad)


if __name__ == "__main__":
    tap_ = login.Tap()
    seed = int(os.environ.get("SEED") or random.randrange(1 << 31))
    print("# SEED=%d" % seed)
    measure(tap_, random.Random(seed), int(os.environ.get("REPEAT", "20")))
    sys.exit(tap_.end())
