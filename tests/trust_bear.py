"""trust_bear.py - for trust.t: what a relay and a host have to bear: clients
that do not read, that go in every way, and hundreds of them at once."""

import collections
import contextlib
import re
import socket
import ssl
import threading

import login
from login import all_at_once, children, reset, running, wait_until
from trust_hands import connect, front_of, private, state, ticks
from trust_kill import small

PASSWORD = b"firetruck"
TIMES, MESSAGE = 64, 1 << 20
ROOM = 1024         # KiB that a relay may need more than at the login
USERS = 20
AT_ONCE, HALF_OPEN = 100, 500
FAT = 10            # a sanitised program takes that much more


def still(pids):
    """Nothing moves any more: who writes waits for who does not read."""
    last = collections.deque(maxlen=50)

    def same():
        last.append([(ticks(pid), state(pid)) for pid in pids])
        return len(last) == 50 and all(x == last[0] for x in last) and \
            all(state(pid) == b"S" for pid in pids)
    wait_until(same, "silence")


def big_message():
    return login.message(1) + (b"y" * 76 + b"\n") * (MESSAGE // 77) + b"\n"


def stuffed(room, how, ends=small):
    """A session of which 64 MB are wanted by a client that reads nothing."""
    c = connect(room, how, ends=ends)
    c.line()
    c.cmd(b"a LOGIN big " + PASSWORD)
    c.cmd(b"b SELECT INBOX")
    relay = front_of(c.process.pid)
    before = private(relay)
    c.send(b"".join(b"f%d FETCH 1 BODY.PEEK[]\r\n" % n
                    for n in range(TIMES)))
    # More than the sockets hold; then the session waits, too.
    still([c.process.pid, relay])
    return c, relay, before


SIZE = re.compile(rb"\* 1 FETCH \(BODY\[\] \{(\d+)\}\r\n")


def all_came(c):
    """Reads all of it; complaints."""
    bad = []
    for n in range(TIMES):
        line = c.line()
        m = SIZE.fullmatch(line + b"\r\n")
        if not m:
            return [c.wrong("not a FETCH: %r" % line[:80])]
        size = int(m.group(1))
        while len(c.raw) - c.at < size:
            c.take_in()
            if c.eof:
                return bad + ["it ends in message %d" % n]
        bad += ["message %d is another" % n] * (
            c.raw.count(b"y" * 76, c.at, c.at + size) != MESSAGE // 77)
        c.at += size
        while not c.line().startswith(b"f%d OK" % n):
            if c.eof:
                return bad + ["no answer to %d" % n]
        del c.raw[:c.at]
        c.at = 0
    return bad


def bears_silence(room):
    """64 MB for a client that reads nothing, and then all of it."""
    bad = []
    for how in "starttls", "tls":
        c, relay, before = stuffed(room, how)
        with c:
            more = private(relay) - before
            print("# %s: the relay has %d KiB, %d more than at the login" % (
                how, before + more, more))
            if not login.sanitised() and more > ROOM:
                bad.append("it holds %d KiB more" % more)
            bad += all_came(c)
            more = private(relay) - before
            if not login.sanitised() and more > ROOM:
                bad.append("in the end it holds %d KiB more" % more)
            c.cmd(b"z LOGOUT")
            bad += c.finish()
    return bad


# ---- ways to go ----

def half_closes(c):
    """TCP's end, without a word of TLS; what is still said is heard."""
    socket.socket.shutdown(c.sock, socket.SHUT_WR)


def says_so(c):
    """close_notify. What was still to be said is read, as it is: Python's
    TLS hears nothing any more."""
    try:
        c.sock = c.sock.unwrap()
    except (ssl.SSLError, OSError):
        pass
    while socket.socket.recv(c.sock, 1 << 20):
        pass


def crashes(c):
    reset(c.sock)


def hangs_up(c):
    c.sock.close()


GOES = [half_closes, says_so, crashes, hangs_up]


def gone(room, case):
    how, go, full = case
    if full:
        c = stuffed(room, how)[0]
    else:
        c = connect(room, how)
        c.line()
        c.cmd(b"a LOGIN big " + PASSWORD)
    with c:
        pids = [c.process.pid] + children(c.process.pid)
        go(c)
        if full and go is half_closes:
            return all_came(c) + ended(c, pids)
        try:
            while c.sock.fileno() >= 0 and not c.eof:
                c.take_in()
        except (ssl.SSLError, OSError):
            pass
        return ended(c, pids)


def ended(c, pids):
    status = c.process.wait(login.WATCHDOG)
    for pid in pids:
        wait_until(lambda: not running(pid), "the end of %d" % pid)
    return ["status %d" % status] * (status not in (0, 1))


def goes(room):
    cases = [(how, go, full) for how in ("starttls", "tls") for go in GOES
             for full in (False, True)]

    def work(case):
        return ["%s, %s, %s: %s" % (case[0], case[1].__name__,
                                    "full" if case[2] else "idle", x)
                for x in gone(room, case)]
    return [x for _, bad in all_at_once(work, cases) for x in bad]


# ---- many ----

def many_at_once(room):
    """All are in before one of them leaves."""
    n = AT_ONCE // (FAT if login.sanitised() else 1)
    barrier = threading.Barrier(2 * n, timeout=login.WATCHDOG)

    def work(case):
        how, user = case
        try:
            with connect(room, how) as c:
                c.line()
                bad = [] if c.cmd(b"a LOGIN %s %s" % (user, PASSWORD))[-1][
                    :4] == b"a OK" else [c.wrong("not in")]
                bad += [] if b"* 3 EXISTS" in c.cmd(b"b EXAMINE INBOX") \
                    else [c.wrong("not his INBOX")]
                barrier.wait()
                c.cmd(b"c LOGOUT")
                return bad + c.finish()
        except BaseException:
            barrier.abort()
            raise
    cases = [(how, b"many%d" % (i % USERS)) for i in range(n)
             for how in ("plain", "starttls")]
    return [x for _, bad in all_at_once(work, cases) for x in bad]


def half_open(room):
    """Nobody who says nothing keeps others out."""
    n = HALF_OPEN // (FAT if login.sanitised() else 1)
    bad = []
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(room.client()) for _ in range(n)]
        bad += ["not greeted: %r" % c.heard for c in silent
                if not c.line().startswith(b"* OK ")]
        for how in "plain", "starttls", "tls":
            with connect(room, how) as c:
                c.line()
                if c.cmd(b"a LOGIN riley " + PASSWORD)[-1][:4] != b"a OK":
                    bad.append(c.wrong("not in"))
                bad += c.finish()
        bad += ["one has ended" for c in silent if c.process.poll()
                is not None]
        for c in silent:
            c.sock.close()
        for c in silent:
            bad += c.end()
    return bad


def furnish(room):
    room.person(b"big", PASSWORD, mail=big_message())
    mail = b"".join(map(login.message, range(1, 4)))
    for n in range(USERS):
        room.person(b"many%d" % n, PASSWORD, mail=mail)


def with_people(test):
    """Made for the first of them."""
    def run(room):
        if b"big" not in room.people:
            furnish(room)
        return test(room)
    return run


TESTS = [(name, None, with_people(test)) for name, test in [
    ("P8: 64 MB for a client that reads nothing, and then all of it",
     bears_silence),
    ("P8: half-close, close_notify, reset: all processes end", goes),
    ("two hundred are in at once, half of them through TLS", many_at_once),
    ("a login succeeds while five hundred say nothing", half_open),
]]
