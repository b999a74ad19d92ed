"""trust_kill.py - for trust.t: each process of a connection is killed at each
step, at once or after it had been stopped for a while. Then nobody of them is
left, the client is told by a BYE or by the end, the mail is what it was, and
the next session has all its locks."""

import os
import re
import signal
import socket
import ssl

import login
from login import Failure, all_at_once, children, running, \
    wait_until
from trust_hands import connect, front_of, until_held, worker_of

PASSWORD = b"firetruck"
SLOW = login.sha512(2500000)
MAIL = 3
BIG = 4 << 20       # bytes of the last message, more than sockets hold


class Scene:
    """One connection, and who is behind it."""

    def __init__(self, c, how, p):
        self.c, self.how, self.p = c, how, p
        self.monitor = c.process.pid
        self.front = front_of(self.monitor)
        self.worker = None


# ---- steps: a login in its order ----

def started(s):
    """Nothing was waited for: keys are read, rights given up."""


def greeted(s):
    s.c.line()


def half_line(s):
    greeted(s)
    s.c.send(b"a LOGIN ri")


def looked_at(s):
    """The worker is at it, and held."""
    greeted(s)
    s.c.send(b"a LOGIN %s %s\r\n" % (s.p.name, PASSWORD))
    s.worker = worker_of(s.c)


def refused(s):
    """The refusal is held back."""
    greeted(s)
    s.c.send(b"a LOGIN %s no\r\n" % s.p.name)
    wait_until(lambda: any("failed" in x for x in s.c.log()), "a refusal")


def inside(s):
    greeted(s)
    if s.c.cmd(b"a LOGIN %s %s" % (s.p.name, PASSWORD))[-1][:4] != b"a OK":
        raise Failure(s.c.wrong("not in"))


def selected(s):
    inside(s)
    s.c.cmd(b"b SELECT INBOX")


def in_append(s):
    selected(s)
    s.c.cmd(b"c APPEND INBOX {1000}")
    s.c.send(b"Subject: never\r\n\r\nhalf of i")


def in_idle(s):
    selected(s)
    s.c.cmd(b"c IDLE")


def in_fetch(s):
    """Of more than the sockets hold, and nobody reads."""
    selected(s)
    s.c.send(b"c FETCH 1:* BODY.PEEK[]\r\n")


BEFORE = [started, greeted, half_line, looked_at, refused]
AFTER = [inside, selected, in_append, in_idle, in_fetch]
STEPS = BEFORE + AFTER


def cases():
    """(how, step, whom, is stopped before)"""
    for how in "plain", "handshake", "starttls", "tls":
        for step in STEPS if how != "handshake" else [started]:
            for whom in "monitor", "front", "worker":
                if whom == "worker" and step is not looked_at:
                    continue
                if whom == "front" and step in AFTER and how == "plain":
                    continue
                if step is started and how == "starttls":
                    continue
                for stop in False, True:
                    yield how, step, whom, stop


def name_of(case):
    how, step, whom, stop = case
    return "%s-%s-%s-%s" % (how, step.__name__, whom,
                            "stop" if stop else "kill")


# ---- what must be then ----

def end_of(c):
    """Reads on until the end."""
    try:
        while not c.eof:
            c.take_in()
    except (ssl.SSLError, OSError):     # cut off without a close_notify
        pass


def not_told(c, whom):
    """BYE or the end; but for the worker, whom others can do without."""
    if whom != "worker":
        end_of(c)
        return []
    try:
        said = c.answer()[-1]
    except (ssl.SSLError, OSError):
        said = b""
    bad = [] if re.match(rb"a NO \[UNAVAILABLE\]", said) else [
        c.wrong("a dead worker is %r" % said)]
    return bad + c.finish()


TEXT = re.compile(rb"^Subject: (.*)\n", re.M)


def check_mail(p, big):
    with open(p.inbox, "rb") as f:
        data = f.read()
    want = [b"number %d" % n for n in range(1, MAIL + 1)]
    if TEXT.findall(data) != want:
        yield "there are %s" % TEXT.findall(data)
    if data.count(b"y" * 76) != big // 77:
        yield "the big message is another"
    for n in range(1, MAIL + 1):
        if b"\n\nhello %d\n" % n not in data:
            yield "message %d is not what it was" % n


def check_next(room, p):
    """The mailbox can be written to, all of it."""
    with room.client() as c:
        c.line()
        for line in (b"a LOGIN %s %s" % (p.name, PASSWORD),
                     b"b SELECT INBOX", b"c STORE 1 +FLAGS.SILENT (\\Seen)",
                     b"d COPY 1 INBOX", b"e CLOSE"):
            said = c.cmd(line)[-1]
            if said[2:5] != b"OK ":
                yield c.wrong("the next session: %r" % said)
        yield from c.finish()


def kill(room, case):
    how, step, whom, stop = case
    p = room.people[name_of(case).encode()]
    try:
        c = connect(room, how, ends=small)
    except (ssl.SSLError, OSError) as e:
        return ["%s: %r" % (name_of(case), e)]
    with c:
        s = Scene(c, how, p)
        wait_until(lambda: front_of(s.monitor), "a front")
        s.front = front_of(s.monitor)
        step(s)
        all_of_them = [s.monitor] + children(s.monitor)
        victim = {"monitor": s.monitor, "front": s.front,
                  "worker": s.worker}[whom]
        if stop:
            os.kill(victim, signal.SIGSTOP)
            c.send(b"\r\nz NOOP\r\n")
        os.kill(victim, signal.SIGKILL)
        if s.worker is not None and whom == "front":
            os.kill(s.worker, signal.SIGCONT)
        bad = not_told(c, whom)
        c.process.wait(login.WATCHDOG)
        for pid in all_of_them:
            wait_until(lambda: not running(pid), "the end of %d (of %s)" % (
                pid, all_of_them))
        bad += check_mail(p, big_of(case))
        bad += check_next(room, p)
        return ["%s: %s" % (name_of(case), x) for x in bad]


def small():
    """A connection that soon is full."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        near = socket.socket()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        near.connect(door.getsockname())
        return near, door.accept()[0]


def big_of(case):
    return BIG if case[1] is in_fetch else 0


def furnish(room, case, hashed):
    text = b"".join(map(login.message, range(1, MAIL + 1)))[:-1]
    room.person(name_of(case).encode(), PASSWORD, hashed,
                text + (b"y" * 76 + b"\n") * (big_of(case) // 77) + b"\n")


def each(room):
    every = list(cases())
    quick = login.crypted(PASSWORD)
    slow = login.crypted(PASSWORD, SLOW)
    for case in every:
        furnish(room, case, slow if case[1] is looked_at else quick)
    # Those that take three seconds first.
    every.sort(key=lambda case: case[1] not in (looked_at, refused))
    print("# %d connections" % len(every))
    bad = [x for _, found in all_at_once(
        lambda case: until_held(lambda: kill(room, case)), every)
           for x in found]
    names = {name_of(case) for case in every}
    return bad + ["left in the spool: " + x for x in os.listdir(room.spool)
                  if x not in names and x.encode() not in room.people]


def left_over(room):
    """Processes of ours that still run."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink("/proc/%s/exe" % name) == room.program and \
                    running(int(name)):
                yield "process %s is left" % name
        except OSError:
            pass


TESTS = [
    ("P7: whoever is killed, at each step: nobody is left, and no lock",
     None, each),
]
