#!/usr/bin/env python3
"""load.t - over real xinetd: many connections at once, many in a row, and
those that never log in. None fails, nothing leaks, and who says too little
is cut off at the deadline. Durations are asserted nowhere."""

import concurrent.futures
import os
import re
import select
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.dont_write_bytecode = True
from hostile import ROOT, VALIDATE, WATCHDOG, Tap
from service import FIRST_UID, Service

USERS = ["user%d" % n for n in range(20)]
AT_ONCE = 100
IN_A_ROW = 1000
LANES = 8
MAIL = 5            # messages in each INBOX at the start
TRIES = 20


def message(n):
    return (b"From a@b Thu Aug 22 12:36:%02d 2002\nFrom: A <a@b>\n"
            b"Subject: number %d\n\nhello %d\n\n" % (n % 60, n, n))


def furnish(service):
    for user in USERS:
        with open(service.inbox(user), "wb") as f:
            f.write(b"".join(map(message, range(1, MAIL + 1))))


def validate(raws):
    """Complaints about what was said on each connection."""
    with tempfile.TemporaryDirectory() as base:
        names = []
        for n, raw in enumerate(raws):
            names.append(os.path.join(base, "said%d" % n))
            with open(names[-1], "wb") as f:
                f.write(raw)
        run = subprocess.run([VALIDATE, *names], capture_output=True,
                             text=True, errors="replace")
        return (run.stdout + run.stderr).splitlines()


def threads(n, work):
    """work(0) to work(n-1), all at once; complaints."""
    def one(i):
        try:
            return work(i)
        except Exception:
            return [traceback.format_exc()]

    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return sum(pool.map(one, range(n)), [])


# ---- what may not grow ----

def descriptors(service):
    return len(os.listdir("/proc/%d/fd" % service.pid))


# What a session keeps in ~/.imapd; an index for each mailbox besides.
KEPT = {"journal", "lock", "uidvalidity"}
HELPS = re.compile(r"(index|changes)\.[0-9a-f]+\.[0-9a-f]+")


def files(service):
    """All that is there, but for what is to be kept."""
    found = set()
    for path, dirs, names in os.walk(service.dir):
        own = path.endswith("/.imapd")
        found |= {os.path.join(path, name)
                  for name in set(dirs + names) - (KEPT if own else
                                                   {".imapd"})
                  if not (own and HELPS.fullmatch(name))}
    return found


def strays():
    """What belongs to one of our users in the places for all."""
    found = set()
    for place in {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"}:
        for name in os.listdir(place) if os.path.isdir(place) else ():
            try:
                uid = os.lstat(os.path.join(place, name)).st_uid
            except OSError:
                continue
            if ROOT and FIRST_UID <= uid < FIRST_UID + len(USERS):
                found.add(os.path.join(place, name))
    return found


class Still:
    """Nothing is left of all that goes on within."""

    def __init__(self, service):
        self.service = service
        self.bad = []

    def now(self):
        return descriptors(self.service), files(self.service), strays()

    def __enter__(self):
        self.before = self.now()
        return self

    def __exit__(self, *_):
        try:
            self.service.wait_idle()
        except RuntimeError as e:
            self.bad.append(str(e))
        fds, names, more = self.before
        try:
            # xinetd closes what a server had when it is told of its end.
            self.service.until(
                lambda: descriptors(self.service) <= fds, "", 20)
        except RuntimeError:
            self.bad.append("xinetd has %d descriptors, it had %d" % (
                descriptors(self.service), fds))
        self.bad += ["left: " + x for x in
                     (files(self.service) - names) | (strays() - more)]
        self.bad += ["gone: " + x for x in names - files(self.service)]


# ---- many ----

def subjects(path):
    with open(path, "rb") as f:
        return re.findall(rb"^Subject: (.*)$", f.read(), re.M)


def whole_session(service, n, together, raws):
    """Logs in when all others can, too."""
    user = USERS[n % len(USERS)]
    c = service.connect()
    together.wait(WATCHDOG)
    c.ok("LOGIN %s %s" % (user, service.password(user)))
    said = c.ok("SELECT INBOX")
    bad = [] if any(re.fullmatch(rb"\* \d+ EXISTS", x) for x in said) \
        else ["%s: no EXISTS" % user]
    said = c.ok("FETCH 1:%d BODY.PEEK[]" % MAIL)
    for i in range(1, MAIL + 1):
        if sum(b"Subject: number %d\r\n" % i in x for x in said) != 1:
            bad.append("%s: message %d is not there" % (user, i))
    said = c.append("INBOX", b"Subject: from %d\r\n\r\nhello\r\n" % n)
    if not said.startswith(b"OK [APPENDUID "):
        bad.append("%s: %r" % (user, said))
    c.logout()
    raws.append(c.raw)
    return bad


def test_at_once(tap, service):
    together, raws = threading.Barrier(AT_ONCE), []
    with Still(service) as still:
        bad = threads(AT_ONCE, lambda n: whole_session(
            service, n, together, raws))
    for i, user in enumerate(USERS):
        want = [b"number %d" % n for n in range(1, MAIL + 1)]
        want += [b"from %d" % n for n in range(i, AT_ONCE, len(USERS))]
        got = subjects(service.inbox(user))
        if got[:MAIL] != want[:MAIL] or sorted(got) != sorted(want):
            bad.append("%s has %s" % (user, got))
    log = service.log()
    for word in ("Login", "Logout"):
        n = len(re.findall(r"^imapd\[\d+\]: %s user=user\d+ host=\[127\.0\."
                           r"0\.1\]$" % word, log, re.M))
        if n != AT_ONCE:
            bad.append("the log has %d times %s" % (n, word))
    tap.point("%d connections at once log in, select, fetch, append and log "
              "out" % AT_ONCE, bad)
    tap.point("what they said is the grammar", validate(raws))
    tap.point("nothing is left of them", still.bad)


def lane(service, n):
    for i in range(IN_A_ROW // LANES):
        user = USERS[(n + i) % len(USERS)]
        c = service.connect(user)
        c.ok("STATUS INBOX (MESSAGES)")
        c.logout()
        service.clients.remove(c)
    return []


def test_in_a_row(tap, service):
    at = len(service.log())
    with Still(service) as still:
        bad = threads(LANES, lambda n: lane(service, n))
    done = len(re.findall(r"^imapd\[\d+\]: Logout user=", service.log()[at:],
                          re.M))
    if done != IN_A_ROW:
        bad.append("%d of them logged out" % done)
    tap.point("%d connections in %d rows log in and out" % (
        IN_A_ROW, LANES), bad)
    tap.point("nothing is left of them, either", still.bad)


# ---- too few words ----

def silent(c):
    """Says nothing."""


def half_line(c):
    """Half a command."""
    c.send(b"a LOGIN us")


def half_literal(c):
    """Half a literal that was asked for."""
    c.send(b"a LOGIN {5}\r\n")
    c.answer()
    c.send(b"us")


def half_literal_plus(c):
    """Half a literal that nobody asked for, and too big."""
    c.send(b"a LOGIN {60000+}\r\n" + b"u" * 30000)


def half_exchange(c):
    """AUTHENTICATE without a response."""
    c.send(b"a AUTHENTICATE LOGIN\r\n")
    c.answer()


def half_response(c):
    """Half a response."""
    c.send(b"a AUTHENTICATE PLAIN\r\n")
    c.answer()
    c.send(b"AHVz")


def refused(c):
    """A refusal is held back beyond the deadline."""
    c.send(b"a LOGIN user0 wrong\r\n")


def cancelling(c):
    """One exchange after the other, each cancelled."""
    chatter(c, b"a AUTHENTICATE PLAIN\r\n*\r\n")


def busy(c):
    """Good commands all the time."""
    chatter(c, b"a NOOP\r\n")


def one_byte(c):
    """A byte of a command now and then."""
    chatter(c, b"x")


def one_byte_of_literal(c):
    """A byte of a literal now and then."""
    c.send(b"a LOGIN {4000+}\r\n")
    chatter(c, b"x")


def one_byte_of_response(c):
    """A byte of a response now and then."""
    c.send(b"a AUTHENTICATE PLAIN\r\n")
    chatter(c, b"A")


def deaf(c):
    """Asks and asks, and reads nothing."""
    c.socket.setblocking(False)
    asked = b"a CAPABILITY\r\n" * 5000

    def ask():
        try:
            c.socket.send(asked)
        except BlockingIOError:
            pass                # the server takes nothing: it waits for us

    until_it_hangs_up(c, ask)
    c.socket.settimeout(WATCHDOG)


def chatter(c, data):
    until_it_hangs_up(c, lambda: c.send(data))


def until_it_hangs_up(c, say):
    """Says it now and then, and does not read."""
    end = time.monotonic() + WATCHDOG
    poll = select.poll()
    poll.register(c.socket, select.POLLRDHUP)
    while not poll.poll(20):
        if time.monotonic() > end:
            raise RuntimeError("the server does not hang up")
        try:
            say()
        except ConnectionError:
            return


QUIET = [silent, half_line, half_literal, half_literal_plus, half_exchange,
         half_response, refused]
# What these say last may be on its way still when the server hangs up; then
# TCP resets the connection, and what the server said last is lost.
LOUD = [cancelling, busy, one_byte, one_byte_of_literal, one_byte_of_response,
        deaf]
HALVES = (QUIET + LOUD) * 3


def half_open(service, half):
    """Complaints about how it ends."""
    c = service.connect()
    if not c.greeting.startswith(b"* OK "):
        return ["no greeting: %r" % c.greeting]
    try:
        half(c)
        while c.answer():
            pass
    except ConnectionResetError:
        return [] if half in LOUD else [half.__doc__ + " It was reset."]
    except RuntimeError as e:
        return [half.__doc__ + " " + str(e)]
    last = c.raw.split(b"\r\n")[-2]
    if half in QUIET and not last.startswith(b"* BYE "):
        return ["%s The last word is %r" % (half.__doc__, last)]
    return []


def test_half_open(tap, service):
    at = len(service.log())
    with Still(service) as still:
        bad = threads(len(HALVES), lambda n: half_open(service, HALVES[n]))
    log = service.log()[at:]
    # Who reads nothing can not be told from who is gone.
    ended = re.findall(r"^imapd\[\d+\]: (Autologout|Connection closed) "
                       r"user=\?\?\? host=\[127\.0\.0\.1\]$", log, re.M)
    tap.point("--login-timeout ends who has not logged in, whatever is said "
              "or not: %d connections" % len(HALVES), bad)
    tap.point("the log says so of each",
              [] if len(ended) == len(HALVES) and ended.count("Autologout") >=
              len(HALVES) - HALVES.count(deaf) else
              ["%d times Autologout, %d ends in all" % (
                  ended.count("Autologout"), len(ended)), log])
    tap.point("nothing is left of them", still.bad)


def in_time(service):
    """Logged in before the deadline, which a busy machine may miss."""
    for _ in range(TRIES):
        try:
            return service.connect("user1")
        except (RuntimeError, OSError):
            pass
    raise RuntimeError("nobody can log in before the deadline")


def outlive(service):
    """Who has logged in is served when those are gone who have not."""
    c = in_time(service)
    late = service.connect()
    while late.answer():
        pass
    said = c.cmd("NOOP")[1]
    c.logout()
    return [] if said.startswith(b"OK ") else ["NOOP: %r" % said]


def test_deadline_is_over(tap, service):
    tap.point("who has logged in stays", threads(
        1, lambda _: outlive(service)))


def main():
    tap = Tap()
    with Service(users=USERS) as service:
        furnish(service)
        test_at_once(tap, service)
        test_in_a_row(tap, service)
    with Service(users=USERS[:2], options=["--login-timeout=1"]) as service:
        test_half_open(tap, service)
        test_deadline_is_over(tap, service)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
