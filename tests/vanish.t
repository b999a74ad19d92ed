#!/usr/bin/env python3
"""vanish.t - every state of a session x every way to end that no LOGOUT
announces: SIGTERM, SIGHUP, a client that hangs up, shuts down its half or
crashes. Afterwards no process is left, nothing was expunged, what was
acknowledged is in the mailbox, and the log says how it ended."""

import itertools
import os
import re
import signal
import socket
import sys

sys.dont_write_bytecode = True
import login
from login import HOST, Failure, Room, Tap, all_at_once, children, message, \
    reset, running, wait_until, workers

PASSWORD = b"firetruck"
# What crypt(3) takes half a second or more for: time to find the worker in.
SLOW = login.sha512(2500000)
BIG = 6 << 20       # bytes of mail, more than sockets hold


# ---- states: each brings a client there; what the log has by then ----

def said_in(p):
    return ["Login user=%s host=%s" % (p.name.decode(), HOST)]


def said_no(p, what="failed"):
    name = p.name.decode()
    return ["Login %s user=%s auth=%s host=%s" % (what, name, name, HOST)]


def greeted(c, p):
    c.line()
    return []


def half_line(c, p):
    c.line()
    c.send(b"a LOGIN ri")
    return []


def login_literal(c, p):
    c.line()
    c.cmd(b"a LOGIN {5}")
    c.send(b"ri")
    return []


def authenticate(c, p):
    c.line()
    c.cmd(b"a AUTHENTICATE PLAIN")
    return []


def authenticate_half(c, p):
    authenticate(c, p)
    c.send(b"AGZpcm")
    return []


def worker_right(c, p, password=PASSWORD):
    """While the worker looks at a password, at which it is stopped."""
    c.line()
    c.send(b"a LOGIN %s %s\r\n" % (p.name, password))
    c.worker = wait_until(lambda: workers(c.process.pid), "a worker")[0]
    os.kill(c.worker, signal.SIGSTOP)
    return said_in(p)


def worker_wrong(c, p):
    worker_right(c, p, b"no")
    return said_no(p)


def refusal(c, p):
    """While a refusal is held back: why is in the log already."""
    c.line()
    c.send(b"a LOGIN %s no\r\n" % p.name)
    wait_until(lambda: any(x.startswith("no login for ") for x in c.log()),
               "the reason of a refusal")
    wait_until(lambda: not workers(c.process.pid), "the worker's end")
    return said_no(p)


def inside(c, p):
    c.line()
    if not c.cmd(b"a LOGIN %s %s" % (p.name, PASSWORD))[-1].startswith(
            b"a OK "):
        raise Failure(c.wrong("not in"))
    return said_in(p)


def selected(c, p):
    log = inside(c, p)
    c.cmd(b"b SELECT INBOX")
    return log


def marked(c, p):
    """Two messages are \\Deleted, another is flagged, and it was told so."""
    log = selected(c, p)
    for command in (b"c STORE 1,3 +FLAGS (\\Deleted)",
                    b"d STORE 2 +FLAGS (\\Flagged \\Answered)",
                    b"e STORE 4 +FLAGS ($Work)"):
        if b" OK " not in c.cmd(command)[-1]:
            raise Failure(c.wrong("not stored"))
    return log


def marked_half_line(c, p):
    log = marked(c, p)
    c.send(b"f EXPUN")
    return log


def append_literal(c, p):
    log = marked(c, p)
    c.cmd(b"f APPEND INBOX {1000}")
    c.send(b"Subject: never\r\n\r\nhalf of i")
    return log


def append_second(c, p):
    """MULTIAPPEND: the first message is whole, the second is not."""
    log = marked(c, p)
    text = b"Subject: never\r\n\r\nwhole\r\n"
    c.send(b"f APPEND INBOX {%d+}\r\n%s {1000+}\r\nSubject:" % (
        len(text), text))
    return log


def fetching(c, p):
    """A FETCH of more than the sockets hold, and nobody reads on."""
    log = marked(c, p)
    c.send(b"f FETCH 1:* BODY.PEEK[]\r\n")
    wait_until(lambda: len(c.sock.recv(1000, socket.MSG_PEEK)) == 1000,
               "a FETCH")
    return log


STATES = [greeted, half_line, login_literal, authenticate, authenticate_half,
          worker_right, worker_wrong, refusal, inside, selected, marked,
          marked_half_line, append_literal, append_second, fetching]


# ---- ways to end; each says what the log says of it ----

def sigterm(c):
    c.process.send_signal(signal.SIGTERM)
    return "Killed (terminated)"


def sighup(c):
    c.process.send_signal(signal.SIGHUP)
    return "Killed (terminated)"


def hangs_up(c):
    c.sock.close()
    return "Connection closed"


def shuts_down(c):
    """Its half: the other is read to the end."""
    c.sock.shutdown(socket.SHUT_WR)
    return "Connection closed"


def crashes(c):
    reset(c.sock)
    return "Connection closed"


WAYS = [sigterm, sighup, hangs_up, shuts_down, crashes]


# ---- what must be then ----

OURS = re.compile(rb"(Status|X-Status|X-UID|X-Keywords|X-IMAPbase|X-IMAP):")


def messages(data):
    """[(its bytes without bookkeeping, {field: value})] of an mbox."""
    found = []
    for text in re.split(rb"^(?=From )", data, flags=re.M)[1:]:
        head, _, body = text.partition(b"\n\n")
        kept, ours = [], {}
        for line in head.split(b"\n"):
            m = OURS.match(line)
            if m:
                ours[m.group(1)] = line[m.end():].strip()
            else:
                kept.append(line)
        found.append((b"\n".join(kept) + b"\n\n" + body, ours))
    return found


def check_mail(p, before, was_marked):
    with open(p.inbox, "rb") as f:
        after = f.read()
    if before == after:
        if was_marked:
            yield "the flags that were acknowledged are not in the mailbox"
        return
    now = messages(after)
    if [text for text, _ in now] != [text for text, _ in messages(before)]:
        yield "the mail is not what it was: %d messages" % len(now)
        return
    flags = [set(ours.get(b"X-Status", b"").decode()) for _, ours in now]
    if was_marked and flags[:4] != [{"D"}, {"F", "A"}, {"D"}, set()]:
        yield "the flags that were acknowledged are %s" % flags[:4]
    if was_marked and now[3][1].get(b"X-Keywords") != b"$Work":
        yield "the keyword that was acknowledged is not there"
    if not was_marked and any(flags):
        yield "flags that nobody set: %s" % flags


def check_log(c, p, log, end):
    got = [x for x in c.log() if not x.startswith("no login for ")]
    user = p.name.decode() if log == said_in(p) else "???"
    if got != log + ["%s user=%s host=%s" % (end, user, HOST)]:
        yield "the log has %s" % got


# A client is there to hear of the end, if it listens.
SIGNALS = (sigterm, sighup)
MARKED = (marked, marked_half_line, append_literal, append_second, fetching)


def check_said(c, state):
    """The last word is BYE, as far as it can be said."""
    while not c.eof:
        c.take_in()
    if state is not fetching and not re.search(
            rb"^\* BYE [^\r\n]*\r\n\Z", bytes(c.raw), re.M):
        yield "it does not say BYE"


def vanish(room, case):
    state, way = case
    p = room.people[name_of(case)]
    with open(p.inbox, "rb") as f:
        before = f.read()
    with room.client(ends=small) as c:
        c.worker = None
        log = state(c, p)
        end = way(c)
        if c.worker is not None and way in SIGNALS:
            # It is not waited for: nobody lets it go on.
            log = said_no(p, "unavailable")
        elif c.worker is not None:
            os.kill(c.worker, signal.SIGCONT)
        if way is shuts_down:
            while not c.eof:
                c.take_in()
        bad = c.end()
        if way in SIGNALS:
            bad += check_said(c, state)
        if c.status != 1:
            bad.append("exit status %s" % c.status)
        if c.worker is not None and running(c.worker):
            bad.append("the worker is left")
        bad += check_mail(p, before, state in MARKED)
        bad += check_log(c, p, log, end)
    bad += ["left in the home: " + x for x in set(os.listdir(p.home)) -
            {".imapd"} | kept(p)]
    return [c.wrong("%s, %s: %s" % (words(state), words(way), x))
            for x in bad]


def kept(p):
    """In ~/.imapd, but for what has its place there."""
    own = os.path.join(p.home, ".imapd")
    names = set(os.listdir(own)) if os.path.isdir(own) else set()
    return {x for x in names - {"journal", "lock", "uidvalidity"}
            if not re.fullmatch(r"(index|changes)\.[0-9a-f]+\.[0-9a-f]+", x)}


def small():
    """A connection that soon is full."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        near = socket.socket()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        near.connect(door.getsockname())
        return near, door.accept()[0]


def words(function):
    return function.__name__.replace("_", " ")


def name_of(case):
    return b"%s-%s" % tuple(f.__name__.encode() for f in case)


def furnish(room, cases):
    quick = login.crypted(PASSWORD)
    slow = login.crypted(PASSWORD, SLOW)
    mail = b"".join(map(message, range(1, 6)))
    big = mail + message(6)[:-1] + b"x" * 70 + b"\n"
    big += (b"y" * 76 + b"\n") * (BIG // 77) + b"\n"
    for case in cases:
        room.person(name_of(case), PASSWORD,
                    slow if case[0] in (worker_right, worker_wrong) else quick,
                    big if case[0] is fetching else mail)


def left_over(room):
    """Processes of ours that still run."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink("/proc/%s/exe" % name) == room.program and \
                    running(int(name)):
                yield "process %s is left" % name
        except OSError:
            pass


def main():
    tap = Tap()
    cases = list(itertools.product(STATES, WAYS))
    with Room() as room:
        furnish(room, cases)
        # Those whose worker takes its time first.
        cases.sort(key=lambda case: case[0] not in (worker_right,
                                                    worker_wrong))
        wrong = all_at_once(lambda case: vanish(room, case), cases)
        for state in STATES:
            tap.point("%s: SIGTERM, SIGHUP, and the client gone" %
                      words(state), [x for case, bad in wrong for x in bad
                                     if case[0] is state])
        tap.point("no process is left", left_over(room))
        tap.point("no lock is left", set(os.listdir(room.spool)) - {
            name_of(case).decode() for case in cases})
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
