#!/usr/bin/env python3
"""rootlines.t - how much of the program is ever run by root. It is built
anew so that it counts its lines (rootlines.c), and then does as root all that
it does as root: logins of every kind and end. Which lines were counted while
the process was root, is told by file; a file that is not in the list may not
have any. TAP.

What is counted are lines of our own, as gcov sees them, not those of the C
library, of PAM and of OpenSSL."""

import json
import os
import shutil
import ssl
import subprocess
import sys

sys.dont_write_bytecode = True
import login
from login import ROOT, TOP, Room, Tap, all_at_once, reset
from tls_client import make_keys
from trust_hands import HOW, connect, wrapped

MOST = 1200
# Each file that root may run, and what for.
ALLOWED = {
    "imapd.c": "to start",
    "options.c": "the command line",
    "monitor.c": "the monitor",
    "front.c": "until it gives up what it has",
    "priv.c": "to give it up",
    "jail.c": "--chroot",
    "tls.c": "the keys, before a client is heard",
    "auth.c": "the monitor's question and the worker's answer",
    "auth_worker.c": "the same",
    "auth_file.c": "the worker: a password file",
    "auth_user.c": "the worker: the system's users",
    "session.c": "the first lines of a session: who it is to be",
    "session_open.c": "the same, up to priv_become",
    "lib/await.c": "to wait",
    "lib/buf.c": "to hold a password file",
    "lib/buf.h": "the same",
    "lib/ending.c": "the log's last line",
    "lib/fs.c": "a password file; descriptors",
    "lib/io.c": "to hand over what a client has sent",
    "lib/limit.c": "the worker's limits",
    "lib/log.c": "the log",
    "lib/login.c": "names, and to wipe",
    "lib/mem.c": "memory",
    "lib/peer.c": "who the client is",
    "lib/str.c": "text of known length",
    "lib/str.h": "the same",
    "lib/wire.c": "what the front says",
    "lib/err.c": "why",
    # Unused, and empty then: nothing is open yet.
    "folder.c": "to free what was never made",
}
WRAPS = "setresuid chroot write _exit".split()
PASSWORD = b"firetruck"


def build(room):
    """The program that counts; None and why not."""
    out = room.dir("o")
    wrap = os.path.join(out, "rootlines.o")
    make = ["make", "-s", "-j2", "O=" + out, "BIN=" + out + "/imapd",
            "OPT=-O0 -g", "HARDEN=", "LDHARDEN=", "CFLAGS=--coverage",
            "LDFLAGS=%s --coverage -Wl,%s" % (wrap, ",".join(
                "--wrap=" + name for name in WRAPS))]
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "SAN", "DEV")}
    for argv in ["gcc", "-O1", "-Wall", "-c", "-o", wrap,
                 "tests/rootlines.c"], make:
        run = subprocess.run(argv, cwd=TOP, env=env, text=True,
                             capture_output=True)
        if run.returncode != 0:
            raise login.Failure("it is not built: " + run.stderr[-2000:])
    room.program = os.path.join(out, "imapd")
    return out


# ---- what root does ----

def inside(c, p):
    c.line()
    bad = c.cmd(b"a LOGIN %s %s" % (p.name, PASSWORD))[-1]
    c.cmd(b"b SELECT INBOX")
    c.cmd(b"c LOGOUT")
    return [] if bad.startswith(b"a OK ") else [c.wrong("not in")]


def refused(c, p):
    """Until it is enough."""
    c.line()
    c.cmd(b"a LOGIN %s no" % p.name)
    c.cmd(b"b LOGIN nobody-at-all no")
    c.cmd(b"c AUTHENTICATE PLAIN AAA=")
    return [] if b"BYE" in c.answer()[-1] else [c.wrong("it goes on")]


def strange(c, p):
    """Names, passwords and bytes that are refused beforehand."""
    c.line()
    c.cmd(b"a LOGIN ../x {3+}\r\nfoo")
    c.cmd(b'b LOGIN "" ""')
    c.cmd(b"c AUTHENTICATE PLAIN AHJpbGV5AA==")
    return []


def as_another(c, p):
    c.line()
    c.cmd(b"a AUTHENTICATE PLAIN " + login_plain(b"alex", p.name))
    return []


def login_plain(authz, user):
    import base64
    return base64.b64encode(b"\0".join((authz, user, PASSWORD)))


def nothing_said(c, p):
    """Up to the deadline, or the end of the input."""
    c.line()
    return []


def waits(c, p):
    while not c.eof:
        c.take_in()
    return [] if b"BYE" in bytes(c.raw) else ["no BYE"]


def terminated(c, p):
    c.line()
    c.process.terminate()
    return waits(c, p)


def crashes(c, p):
    c.line()
    c.send(b"a LOGIN %s %s\r\n" % (p.name, PASSWORD))
    reset(c.sock)
    return []


def nonsense(c, p):
    c.send(b"GET / HTTP/1.0\r\n" * 3)
    return waits(c, p)


def bad_front(c, p):
    """A process that dies is told of in the log."""
    c.line()
    for pid in login.children(c.process.pid):
        os.kill(pid, 9)
    return []


# Users of a system of their own; the third's password is too old.
SYSTEM = """unshare --mount --propagation private sh -c 'cd %s &&
mount --bind system.passwd /etc/passwd &&
mount --bind system.shadow /etc/shadow && cd / && exec %s "$@"' imapd"""


def with_users(room):
    """A room with PAM and shadow(5); None where nothing can be mounted."""
    uid = room.people[b"riley"].uid
    names = ["riley", "alex", "old"]
    for what, line in ("passwd", "%s:x:" + "%d:%d::%s:/bin/sh\n" % (
            uid, uid, room.people[b"riley"].home)), ("shadow", "%s:" +
            login.crypted(PASSWORD) + ":%s:0:%s:::%s:\n"):
        with open("/etc/" + what) as f:
            text = "".join(x for x in f if x.split(":")[0] not in names)
        for name in names:
            old = name == "old"
            text += line % (name if what == "passwd" else
                            (name, 1 if old else "", 5 if old else "", ""))
        path = os.path.join(room.base, "system." + what)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600 if what == "shadow" else 0o644)
    other = wrapped(room, "with-users", SYSTEM % (room.base, room.program))
    with other.client() as c:
        return other if c.line().startswith(b"* OK ") else None


def too_old(c, p):
    """Right, but for its age."""
    c.line()
    c.cmd(b"a LOGIN old " + PASSWORD)
    c.cmd(b"b LOGIN OLD " + PASSWORD)
    return []


def cases(room):
    files = ["--auth=file:" + room.passwd]
    closed = ["--auth=file:" + room.base + "/none"]
    opened = os.path.join(room.base, "opened")
    shutil.copy(room.passwd, opened)
    os.chmod(opened, 0o666)
    for how in HOW:
        yield how, inside, []
    yield "plain", inside, ["--chroot=" + room.base]
    yield "plain", inside, ["--plaintext=yes", "--log=syslog"]
    for more in [], ["--auth=pam"], ["--auth=shadow"]:
        yield "plain", refused, more
        yield "plain", strange, more
    yield "plain", strange, files + closed
    yield "plain", strange, ["--auth=file:" + opened]
    for how in "plain", "starttls":
        yield how, as_another, []
        yield how, refused, []
    yield "plain", waits, ["--login-timeout=1"]
    yield "starttls", waits, ["--login-timeout=1"]
    for more in [["--auth=pam"], ["--auth=shadow"]]:
        for state in inside, too_old:
            yield "plain", state, more + ["--users"]
    for state in nothing_said, terminated, crashes, nonsense, bad_front:
        yield "plain", state, []
    yield "plain", nothing_said, ["--tls-cert=" + room.base + "/none"]


def play(room, case):
    how, state, more = case
    p = room.people[b"riley"]
    if more[-1:] == ["--users"]:
        # The password file, which is asked first, does not know her.
        p = login.Person(b"alex", PASSWORD, p.uid, p.home, p.inbox)
        room, more = room.users, more[:-1]
    if room is None:
        return []
    with connect(room, how, more) as c:
        try:
            bad = state(c, p)
            if c.sock.fileno() >= 0:
                c.finish()
        except (ssl.SSLError, OSError):
            bad = []
        c.process.wait(login.WATCHDOG)
        return ["%s, %s %s: %s" % (how, state.__name__, more, x)
                for x in bad]


# ---- what was counted ----

def counted(out):
    """{file: {line: its function}} of the lines that root has run."""
    found = {}
    names = [os.path.join(path, name) for path, _, files in os.walk(out)
             for name in files if name.endswith(".gcda")]
    run = subprocess.run(["gcov", "--json-format", "--stdout", *names],
                         cwd=TOP, capture_output=True, text=True)
    for text in run.stdout.splitlines():
        for f in json.loads(text)["files"]:
            if f["file"].startswith("/"):
                continue
            lines = found.setdefault(os.path.normpath(f["file"]), {})
            lines.update((x["line_number"], x.get("function_name", "?"))
                         for x in f["lines"] if x["count"] > 0)
    return {name: lines for name, lines in found.items() if lines}


def table(found):
    for name in sorted(found, key=lambda name: -len(found[name])):
        yield "%5d %s" % (len(found[name]), name)
        if name not in ALLOWED or code(found) >= MOST:
            functions = list(found[name].values())
            for function in sorted(set(functions)):
                yield "      %5d %s" % (functions.count(function), function)


def total(found):
    return sum(map(len, found.values()))


def braces(found):
    """Where a function begins or ends gcov counts a line, too."""
    n = 0
    for name, numbers in found.items():
        with open(os.path.join(TOP, name)) as f:
            lines = f.read().split("\n")
        n += sum(lines[i - 1].strip() == "}" for i in numbers)
    return n


def code(found):
    return total(found) - braces(found)


def main():
    if not ROOT:
        print("1..0 # SKIP needs root")
        return 0
    if shutil.which("gcov") is None:
        print("1..0 # SKIP needs gcov")
        return 0
    tap = Tap()
    with Room() as room:
        try:
            out = build(room)
        except login.Failure as e:
            tap.point("it is built so that it counts", [str(e)])
            return tap.end()
        make_keys(room)
        room.person(b"riley", PASSWORD, mail=login.message(1))
        room.users = with_users(room)
        if room.users is None:
            print("# without a right login by PAM: nothing can be mounted")
        wrong = all_at_once(lambda case: play(room, case),
                            list(cases(room)))
        tap.point("root does all that it does",
                  [x for _, bad in wrong for x in bad])
        found = counted(out)
        print("# %d lines of ours were run by root; %d of them are no more "
              "than a brace" % (total(found), braces(found)))
        for line in table(found):
            print("# " + line)
        tap.point("they are the files that root may run", [
            name for name in found if name not in ALLOWED])
        tap.point("the monitor, the worker and the front were there", [
            name for name in ("monitor.c", "auth.c", "auth_file.c", "priv.c",
                              "auth_user.c", "tls.c", "lib/wire.c")
            if name not in found])
        tap.point("they are fewer than %d" % MOST,
                  ["%d" % code(found)] * (code(found) >= MOST))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
