#!/usr/bin/env python3
"""prelogin.t - who is not logged in, and means harm: sizes of literals, bytes
that belong nowhere at each place of each command, and clients that take their
time. Who knows the right password is login.t's. Names of known holes in other
servers (CVE-...) stand where their kind is tried on ours. TAP."""

import base64
import re
import select
import ssl
import sys
import time

sys.dont_write_bytecode = True
import login
import tls_client
from login import HOST, Room, Tap, all_at_once
from login_talk import complaints
from tls_client import TLS, hello, starttls, tls_at_once

RIGHT = base64.b64encode(b"\0riley\0firetruck")
FAILED = rb"a NO \[AUTHENTICATIONFAILED\] LOGIN failed"
TOO_BIG = rb"a BAD \[TOOBIG\] Literal too big"
NO_SIZE = rb"a BAD (Invalid literal size|Missing or invalid argument)"
GOODBYE = rb"\* BYE \[TOOBIG\] Literal too big"
READY = rb"\+ Ready for argument"


# ---- literals ----
#
# lib/params.h: before a login a literal has 4096 bytes at most. RFC 3501
# section 9: "number: Unsigned 32-bit integer"; 7.5: where the "+" is not
# wanted, the tagged line comes in its place. RFC 7888 section 4: one that is
# too big and waits for nobody is read or ends the connection; here it is
# read up to 64 MiB.

# What is said to the line, and how many bytes follow it.
SIZES = [
    (b"{0}", READY, 0),
    (b"{1}", READY, 1),
    (b"{4096}", READY, 4096),
    (b"{4097}", TOO_BIG, None),
    (b"{8192}", TOO_BIG, None),
    (b"{2147483647}", TOO_BIG, None),
    (b"{2147483648}", TOO_BIG, None),
    (b"{4294967295}", TOO_BIG, None),
    (b"{4294967296}", TOO_BIG, None),
    (b"{18446744073709551615}", TOO_BIG, None),
    (b"{18446744073709551616}", TOO_BIG, None),
    (b"{" + b"9" * 40 + b"}", TOO_BIG, None),
    (b"{0+}", None, 0),
    (b"{1+}", None, 1),
    (b"{4096+}", None, 4096),
    (b"{4097+}", TOO_BIG, 4097),
    (b"{8192+}", TOO_BIG, 8192),
    (b"{1048577+}", TOO_BIG, 1048577),
    (b"{67108865+}", GOODBYE, None),
    (b"{4294967295+}", GOODBYE, None),
    (b"{4294967296+}", GOODBYE, None),
    (b"{18446744073709551616+}", GOODBYE, None),
    (b"{" + b"9" * 40 + b"+}", GOODBYE, None),
    (b"{}", NO_SIZE, None),
    (b"{+}", NO_SIZE, None),
    (b"{-1}", NO_SIZE, None),
    (b"{+1}", NO_SIZE, None),
    (b"{1-}", NO_SIZE, None),
    (b"{1++}", NO_SIZE, None),
    (b"{0x1}", NO_SIZE, None),
    (b"{0x1+}", NO_SIZE, None),
    (b"{1e3}", NO_SIZE, None),
    (b"{1 }", NO_SIZE, None),
    (b"{ 1}", NO_SIZE, None),
    (b"{ 1+}", NO_SIZE, None),
    (b"{1 +}", NO_SIZE, None),
    (b"{1", NO_SIZE, None),
    (b"{", NO_SIZE, None),
    (b"{1}x", NO_SIZE, None),
    (b"{1+}x", NO_SIZE, None),
    (b"{1}{1}", NO_SIZE, None),
    (b"{01}", NO_SIZE, None),
    # No size that we take, but one that is announced.
    (b"{01+}", NO_SIZE, 1),
    (b"{1+}{2+}", NO_SIZE, 2),
]


def say_literal(c, line, answer, n, rest):
    """Complaints about one literal; `rest` ends its command."""
    if n is None:
        c.send(line)
        return said(c, answer)
    bad = []
    c.send(line)
    if answer == READY:
        bad += said(c, READY)
    c.send(b"x" * n + rest)
    return bad + said(c, FAILED if answer in (None, READY) else answer)


def said(c, pattern):
    line = c.answer()[-1]
    return [] if re.fullmatch(pattern, line) else [c.wrong(
        "%r, not %s" % (line, pattern))]


def size(room, case):
    (token, answer, n), where = case
    with room.client() as c:
        c.line()
        bad = say_literal(
            c, (b"a LOGIN %s\r\n" if where == "user" else
                b"a LOGIN riley %s\r\n") % token, answer, n,
            b" x\r\n" if where == "user" else b"\r\n")
        if answer == GOODBYE:
            bad += ["it goes on"] * (c.line() != b"")
        else:
            bad += ["it does not go on"] * (
                c.cmd(b"n NOOP") != [b"n OK NOOP completed"])
        bad += c.finish() + c.check_said(False)
        bad += ["the log has " + x for x in c.log() if not re.match(
            "Connection closed|Refused" if answer in (
                TOO_BIG, NO_SIZE, GOODBYE) else
            "Connection closed|Login failed|no login for", x)]
        return [c.wrong("%s as %s: %s" % (token.decode(), where, x))
                for x in bad]


# Two in a row: lines, and what is said after each.
TWO = [
    [(b"a LOGIN {5}", READY), (b"riley {9}", READY),
     (b"firetruck", rb"a OK \[.*")],
    [(b"a LOGIN {5+}\r\nriley {9}", READY), (b"firetruck", rb"a OK \[.*")],
    [(b"a LOGIN {5+}\r\nriley {9+}\r\nfiretruck", rb"a OK \[.*")],
    [(b"a LOGIN {4096}", READY), (b"x" * 4096 + b" {4096}", READY),
     (b"x" * 4096, FAILED)],
    [(b"a LOGIN {4096}", READY), (b"x" * 4096 + b" {4097}", TOO_BIG)],
    [(b"a LOGIN {4097+}\r\n" + b"x" * 4097 + b" {4097+}\r\n" + b"x" * 4097,
      TOO_BIG)],
    # Behind what is refused another is announced that waits: it need not.
    [(b"a LOGIN {4097+}\r\n" + b"x" * 4097 + b" {5}", TOO_BIG)],
    # No space between them.
    [(b"a LOGIN {5}", READY), (b"riley{9}",
                               rb"a BAD Missing or invalid argument")],
    [(b"a LOGIN {5+}\r\nriley{9+}\r\nfiretruck",
      rb"a BAD Missing or invalid argument")],
    # A third.
    [(b"a LOGIN {5+}\r\nriley {9+}\r\nfiretruck {1+}\r\nx",
      rb"a BAD Argument given when none expected")],
    [(b"a LOGIN {5}", READY), (b"riley {9}", READY), (
        b"firetruck {1}", rb"a BAD Argument given when none expected")],
    # Where none can stand.
    [(b"a {4+}\r\nNOOP", rb"a BAD .*")],
    [(b"{1+}\r\nxa NOOP\r\nb NOOP", rb"b OK NOOP completed")],
    [(b"a AUTHENTICATE {5+}\r\nPLAIN", rb"a BAD .*")],
    [(b"a AUTHENTICATE PLAIN {24+}\r\n" + RIGHT, rb"a BAD .*")],
    [(b"a AUTHENTICATE PLAIN {24}", rb"a BAD .*")],
    [(b"a NOOP {4294967296+}", GOODBYE)],
    [(b"a AUTHENTICATE PLAIN {67108865+}", GOODBYE)],
    # Cut off in the middle of what is thrown away.
    [(b"a NOOP {67108800+}\r\n" + b"x" * 1000, None)],
]


def two(room, lines):
    with room.client() as c:
        c.line()
        bad = []
        for line, answer in lines:
            c.send(line + b"\r\n")
            bad += said(c, answer) if answer else []
        if answer not in (GOODBYE, None):
            bad += ["it does not go on"] * (
                c.cmd(b"n NOOP") != [b"n OK NOOP completed"])
        bad += c.finish() + c.check_said(False)
        return [c.wrong("%r...: %s" % (lines[0][0][:40], x)) for x in bad]


def peak(pid):
    """The most memory that it has had, in KiB."""
    with open("/proc/%d/status" % pid) as f:
        return int(re.search(r"^VmHWM:\s*(\d+) kB", f.read(), re.M)[1])


def literal_memory(room):
    """Refused, drained and taken a thousand times: one pool, used again."""
    round_ = (b"a LOGIN {4294967295}\r\nb LOGIN {4097+}\r\n%s x\r\nn NOOP\r\n"
              b"d LOGIN {4096+}\r\n%s {4096+}\r\n%s x\r\nn NOOP\r\n"
              b'e ID ("x" {4096+}\r\n%s)\r\nn NOOP\r\n' % (
                  b"x" * 4097, b"x" * 4096, b"x" * 4096, b"x" * 4096))
    with room.client() as c:
        c.line()
        front, = login.children(c.process.pid)
        for n in range(500):
            c.send(round_)
            for want in (b"a BAD [TOOBIG]", b"b BAD [TOOBIG]", b"n OK",
                         b"d BAD", b"n OK", b"e BAD", b"n OK"):
                line = c.answer()[-1]
                if not line.startswith(want):
                    return [c.wrong("round %d: %r" % (n, line))]
            if n == 50:
                before = peak(front), peak(c.process.pid)
        after = peak(front), peak(c.process.pid)
        bad = c.finish()
    if not login.sanitised() and max(
            b - a for a, b in zip(before, after)) > 64:
        bad.append("it grows from %s to %s KiB" % (before, after))
    return bad


# ---- bytes that belong nowhere ----

COMMANDS = [
    b"a LOGIN riley firetruck",
    b'a LOGIN "riley" "firetruck"',
    b"a LOGIN {5+}\r\nriley {9+}\r\nfiretruck",
    b"a AUTHENTICATE PLAIN " + RIGHT,
    b"a AUTHENTICATE PLAIN\r\n" + RIGHT,
    b"a AUTHENTICATE LOGIN cmlsZXk=\r\nZmlyZXRydWNr",
    b"a AUTHENTICATE LOGIN\r\ncmlsZXk=\r\nZmlyZXRydWNr",
    b"a CAPABILITY",
    b"a NOOP",
    b'a ID ("name" "x")',
    b"a STARTTLS",
    b"a LOGOUT",
    b"tag.of-14-chars NOOP",
]
POISON = [b"\0", b"\r", b"\n", b"\x80", b"\xff", b"%n%s%x"]
# Places that one client tries: three refused logins would end it.
PLACES = 6


def whole(command, at, poison):
    """A line end before or behind leaves the command as it is."""
    return poison == b"\n" and at in (0, len(command))


def check_client(c):
    """What must be so at its end, whatever was said to it."""
    bad = c.finish() + c.check_said(False)
    if b"%" in c.raw:
        bad.append("it says after us what may be a format")
    for line in c.log():
        if re.match("the front|BUG|<not a log line>", line):
            bad.append("the log has: " + line)
    return [c.wrong(x) for x in bad]


def try_places(c, command, poison, places):
    """Takes places away until the server hangs up, or somebody is in."""
    while places:
        at = places.pop(0)
        # The first ends an exchange that goes on, the second is answered.
        c.send(command[:at] + poison + command[at:] +
               b"\r\nm NOOP\r\nn%d NOOP\r\n" % at)
        start = c.at
        while c.line() != b"n%d OK NOOP completed" % at and not (
                c.eof and c.at == len(c.raw)):
            pass
        if re.search(rb"(?m)^a OK .*\] (LOGIN|AUTHENTICATE) ",
                     c.raw[start:]):
            if not whole(command, at, poison):
                yield c.wrong("in, with %r at %d" % (poison, at))
            return
        if c.eof:
            if b"\n* BYE " not in c.raw[start - 1:]:
                yield c.wrong("no goodbye after %r at %d" % (poison, at))
            return


def poisoned(room, case):
    command, poison, places = case
    bad, places = [], list(places)
    while places:
        with room.client() as c:
            c.line()
            bad += try_places(c, command, poison, places)
            bad += check_client(c)
            if not bad and any(
                    re.match("Login user=|Authenticated user=", line)
                    for line in c.log()) != (
                        re.search(rb"(?m)^a OK \[", c.raw) is not None):
                bad.append(c.wrong("the log and the client differ"))
    return ["%r in %r: %s" % (poison, command, x) for x in bad]


def poison_cases():
    for command in COMMANDS:
        for poison in POISON:
            for first in range(0, len(command) + 1, PLACES):
                yield command, poison, range(
                    first, min(first + PLACES, len(command) + 1))


# ---- who takes his time ----

DEADLINE = ["--login-timeout=1"]
PACE = 20           # ms between two pieces


def trickle(c, piece, until):
    """Sends it again and again, until the server hangs up."""
    n = 0
    poll = select.poll()
    poll.register(c.sock, select.POLLIN)
    while not c.eof and time.monotonic() < until:
        # With TLS what was decrypted wakes no poll.
        if poll.poll(PACE) or getattr(c.sock, "pending", int)():
            try:
                c.take_in()
            except ssl.SSLError:
                c.eof = True
            continue
        try:
            c.sock.sendall(piece[n % len(piece):][:1] if len(piece) > 9
                           else piece)
            n += 1
        except OSError:
            pass
    return [] if c.eof else [c.wrong("it is still there")]


def in_clear(room):
    c = room.client(options=room.options + DEADLINE)
    c.line()
    return c


def in_handshake(room):
    c = in_clear(room)
    c.cmd(b"s STARTTLS")
    return c


def in_handshake_at_once(room):
    return room.client(options=room.options + DEADLINE + ["--tls"])


def in_tls(room):
    return starttls(room, DEADLINE)


def in_tls_at_once(room):
    return tls_at_once(room, DEADLINE)


BYE = b"* BYE Autologout (idle for too long)\r\n"
TIMED_OUT = ["Autologout user=??? host=" + HOST]
NO_TLS = ["TLS handshake failed user=??? host=" + HOST]

# Where it is, what it has sent before, and what it sends piece by piece; a
# long piece byte by byte.
SLOW = [
    ("nothing", in_clear, b"", b""),
    ("a word without end", in_clear, b"", b"a"),
    ("half a command", in_clear, b"a LOGIN riley fire", b"t"),
    ("a quoted string", in_clear, b'a LOGIN "riley', b"y"),
    ("a line that is refused already", in_clear, b"\0", b"x"),
    ("a literal", in_clear, b"a LOGIN {4000}\r\n", b"x"),
    ("a literal that is thrown away", in_clear, b"a LOGIN {60000000+}\r\n",
     b"x"),
    ("a response of PLAIN", in_clear, b"a AUTHENTICATE PLAIN\r\n", b"A"),
    ("a password of AUTHENTICATE LOGIN", in_clear,
     b"a AUTHENTICATE LOGIN cmlsZXk=\r\n", b"A"),
    ("commands that are right", in_clear, b"", b"a NOOP\r\n"),
    ("cancelled logins", in_clear, b"", b"a AUTHENTICATE PLAIN\r\n*\r\n"
     * 20),
    ("nothing for a handshake", in_handshake, b"", b""),
    ("a handshake", in_handshake, b"", hello() * 9),
    ("nothing for a handshake of --tls", in_handshake_at_once, b"", b""),
    ("a handshake of --tls", in_handshake_at_once, b"", hello() * 9),
    ("nothing in TLS", in_tls, b"", b""),
    ("a word without end in TLS", in_tls, b"", b"a"),
    ("a literal in TLS", in_tls_at_once, b"a LOGIN {4000}\r\n", b"x"),
    ("commands in TLS", in_tls_at_once, b"", b"a NOOP\r\n"),
]


def slow(room, case):
    """One deadline stands from the first byte on: what is sent moves it
    nowhere. How long it took is not asked here; without a deadline this
    would take the watchdog's minute."""
    name, where, before, piece = case
    with where(room) as c:
        c.send(before)
        bad = trickle(c, piece, time.monotonic() + login.WATCHDOG)
        if bad:
            return [name + ": " + x for x in bad]
        bad += c.end()
        shaking = where in (in_handshake, in_handshake_at_once)
        if not shaking and not c.raw.endswith(BYE):
            bad.append(c.wrong("no goodbye: %r" % c.raw[-60:]))
        if c.log() != (NO_TLS if shaking else TIMED_OUT):
            bad.append("the log has %s" % c.log())
        return [name + ": " + x for x in bad]


def deaf(room):
    """Says much, and takes nothing: the server can not go on saying."""
    with in_clear(room) as c:
        poll = select.poll()
        poll.register(c.sock, select.POLLOUT | select.POLLERR)
        c.sock.setblocking(False)
        end = time.monotonic() + login.WATCHDOG
        while c.process.poll() is None and time.monotonic() < end:
            if poll.poll(PACE):
                try:
                    c.sock.send(b"a CAPABILITY\r\n" * 5000)
                except OSError:
                    pass
        if c.process.poll() is None:
            return ["it is still there"]
        bad = c.end()
        if c.log() not in (TIMED_OUT, [TIMED_OUT[0].replace(
                "Autologout", "Connection closed")]):
            bad.append("the log has %s" % c.log())
        return bad


def held_back(room):
    """A refusal is told though the deadline has passed; then it is over."""
    with in_clear(room) as c:
        c.send(b"a LOGIN riley no\r\nb NOOP\r\n")
        bad = said(c, FAILED)
        while not c.eof:
            c.line()
        bad += c.end()
        bad += ["%r" % c.raw] * (not c.raw.endswith(BYE))
        log = [x for x in c.log() if not x.startswith("no login for ")]
        want = ["Login failed user=riley auth=riley host=" + HOST] + TIMED_OUT
        return bad + ["the log has %s" % log] * (log != want)


def main():
    tap = Tap()
    cases = [(row, where) for row in SIZES for where in ("user", "password")]
    poison = list(poison_cases())
    with Room() as room:
        room.person(b"riley", b"firetruck")
        tls = tls_client.built_in()
        room.options = []
        if tls:
            tls_client.make_keys(room)
        late = [case for case in SLOW if tls or case[1] is in_clear]
        points = [
            ("CVE-2003-0297, CVE-2007-0221: literals of every size: %d "
             "connections" % len(cases), lambda: complaints(size, room,
                                                            cases)),
            ("CVE-2024-37358: two literals, and literals where none can "
             "stand", lambda: complaints(two, room, TWO)),
            ("no literal is kept: memory does not grow",
             lambda: literal_memory(room)),
            ("CVE-2019-11500, CVE-2004-0777: NUL, CR, LF, 8-bit bytes and "
             "formats at every place of every command: %d" % sum(
                 len(case[2]) for case in poison),
             lambda: complaints(poisoned, room, poison)),
            ("CVE-2014-3430: no byte moves the deadline: %d clients" %
             len(late), lambda: complaints(slow, room, late)),
            ("nor does one who takes nothing", lambda: deaf(room)),
            ("a refusal that is held back is told behind the deadline",
             lambda: held_back(room)),
        ]
        # At once: most of them wait.
        for (name, _), bad in all_at_once(lambda point: point[1](), points):
            tap.point(name, bad)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
