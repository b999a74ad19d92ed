#!/usr/bin/env python3
"""tls.t - STARTTLS and --tls as a client has them: what is offered when, that
nothing which came in the clear is ever taken for what came through TLS, and
who the processes are before and after a login. T-S1 to T-S9 are the kinds of
holes that a study of STARTTLS has found in servers (NO STARTTLS, USENIX
Security 2021). TAP."""

import base64
import os
import re
import ssl
import subprocess
import sys

sys.dont_write_bytecode = True
import login
import tls_client
from login import HOST, ROOT, Room, Tap, all_at_once, wait_until
from login_talk import complaints
from tls_client import TLS, begin_tls, done, make_keys, secure, starttls, \
    tls_at_once

PASSWORD = b"firetruck"
BIG = 8 << 20


def expect(text, *patterns):
    return ["%r is not %s" % (text, p) for p in patterns
            if not re.search(p, text)]


WAYS = (starttls, tls_at_once)


def log_out(c):
    bad = expect(c.cmd(b"zz LOGOUT")[0], rb"^\* BYE ")
    return bad + done(c)


def answers(c, *pairs):
    """Commands, and what the last line of each answer is."""
    bad = []
    for command, pattern in pairs:
        said = c.cmd(command)[-1]
        if not re.search(pattern, said):
            bad.append(c.wrong("%r is answered with %r, not %s" % (
                command, said, pattern)))
    return bad


# ---- what is offered ----

def offered(room):
    """RFC 3501 6.2.1: a client "SHOULD issue a new CAPABILITY command"."""
    with room.client() as c:
        bad = ["STARTTLS without a key"] * (b"STARTTLS" in c.line())
        bad += expect(c.cmd(b"a STARTTLS")[-1], rb"^a NO ")
        bad += c.finish()
    with room.client(options=room.options + ["--plaintext=no"]) as c:
        bad += expect(c.line(), rb" STARTTLS", rb"LOGINDISABLED")
        bad += expect(c.cmd(b"a LOGIN riley firetruck")[-1],
                      rb"^a NO \[PRIVACYREQUIRED\]")
        bad += c.finish()
    with starttls(room, ["--plaintext=no"]) as c:
        said = b" ".join(c.cmd(b"b CAPABILITY"))
        bad += expect(said, rb"AUTH=PLAIN")
        bad += ["LOGINDISABLED through TLS"] * (b"LOGINDISABLED" in said)
        bad += ["STARTTLS through TLS"] * (b"STARTTLS" in said)
        bad += expect(c.cmd(b"c STARTTLS")[-1], rb"^c BAD ")
        bad += expect(c.cmd(b"d STARTTLS x")[-1], rb"^d BAD ")
        bad += c.finish()
    return bad


def whole(c, p):
    bad = expect(c.cmd(b"a LOGIN %s %s" % (p.name, PASSWORD))[-1],
                 rb"^a OK \[CAPABILITY ")
    bad += expect(c.cmd(b"b SELECT INBOX")[-1], rb"^b OK \[READ-WRITE\]")
    text = b"x" * 100 + b"\r\n"
    text = b"A: b\r\n\r\n" + text * (BIG // len(text))
    c.send(b"c APPEND INBOX {%d+}\r\n" % len(text) + text + b"\r\n")
    bad += expect(c.answer()[-1], rb"^c OK \[APPENDUID ")
    c.send(b"d FETCH * BODY.PEEK[TEXT]\r\n")
    while c.raw.find(b"\nd OK ", c.at) < 0 and not c.eof:
        c.take_in()
    bad += ["the text is another"] * (text[8:] not in c.raw[c.at:])
    c.at = c.raw.rfind(b"\nd OK ") + 1
    c.line()
    bad += expect(c.cmd(b"e LOGOUT")[0], rb"^\* BYE ")
    return bad


def sessions(room):
    bad = []
    for options in [], ["--tls"]:
        p = room.people[b"whole%d" % len(options)]
        with tls_at_once(room) if options else starttls(room) as c:
            bad += whole(c, p) + c.finish()
            bad += ["status %s" % c.status] * (c.status != 0)
            bad += expect("\n".join(c.log()), "^Login user=%s host=%s\n"
                          "Logout user=%s host=%s$" % (
                              (p.name.decode(), re.escape(HOST)) * 2))
    return bad


def pipelined(room):
    """What comes behind the LOGIN in one piece is the session's."""
    with starttls(room) as c:
        c.send(b"a LOGIN riley firetruck\r\nb SELECT INBOX\r\nc NOOP\r\n")
        bad = [c.wrong("no " + tag) for tag in "abc" if
               not c.answer()[-1].startswith(b"%s OK" % tag.encode())]
        return bad + c.finish()


# ---- what came in the clear ----

BEHIND = b"b NOOP\r\nc LOGIN riley firetruck\r\n"
LINE = b"a STARTTLS\r\n"


def inject(room, case):
    """The first `at` bytes in one segment, the rest in the clear, or through
    TLS where there is any. Whoever injects can not stop the client from
    shaking hands then; so we do."""
    at, rest = case
    text = LINE + BEHIND
    with room.client(options=room.options) as c:
        c.line()
        c.send(text[:at])
        if rest == "later":
            wait_until(lambda: not unread(c), "the server to read")
        if rest != "through TLS":
            c.send(text[at:])
        ok = c.line() == b"a OK Begin TLS negotiation now"
        bad = []
        # Behind the line alone there may be an OK: what is injected then is
        # read by the handshake.
        if ok and at != len(LINE):
            bad.append("STARTTLS is obeyed")
        if ok and shook_hands(c):
            if rest == "through TLS":
                c.send(text[at:])
            c.send(b"z LOGOUT\r\n")
        bad += done(c)
        said = bytes(c.raw)
        if re.search(rb"(?m)^[bc] ", said):
            bad.append("what was injected is answered")
        if any("Login" in line for line in c.log()):
            bad.append("it is a login")
        return [c.wrong("at byte %d, the rest %s: %s: %r" % (
            at, rest, x, said[said.find(b"\n") + 1:])) for x in bad]


def shook_hands(c):
    try:
        c.sock = TLS.wrap_socket(c.sock)
    except (ssl.SSLError, OSError):
        c.eof = True
        return False
    return True


def injected(room):
    """CVE-2011-0411, CVE-2021-33515: "MUST discard any knowledge", and what
    was read with the line is some."""
    n = len(LINE + BEHIND)
    cases = [(at, rest) for at in range(1, n)
             for rest in ("at once", "later")]
    cases += [(at, "through TLS") for at in range(len(LINE) + 1, n)]
    cases += [(n, "at once")]
    return complaints(inject, room, cases)


def unread(c):
    with open("/proc/net/tcp") as f:
        port = "%04X" % c.sock.getsockname()[1]
        return any(x[2].endswith(":" + port) and
                   x[4].split(":")[1] != "0" * 8
                   for x in (line.split() for line in list(f)[1:]))


def injected_log(room):
    with room.client(options=room.options) as c:
        c.line()
        c.send(b"a STARTTLS\r\nb NOOP\r\n")
        bad = expect(c.answer()[-1], rb"^a BAD ") + c.finish()
        return bad + expect("\n".join(c.log()), "behind STARTTLS")


def nothing_survives(room):
    """T-S3: a literal that was announced in the clear is no literal."""
    with room.client(options=room.options) as c:
        c.line()
        bad = expect(c.cmd(b"a LOGIN riley {9}")[-1], rb"^\+ ")
        c.send(b"a STARTTLS\r\n")
        bad += ["%r" % c.raw] * (b"Begin TLS" in bytes(c.raw))
        bad += c.finish()
        return bad + ["%r" % c.raw] * (b"Begin TLS" in bytes(c.raw))


def literal_plus(room):
    """T-S3: nor is one that needs no "+": it swallows the STARTTLS."""
    with room.client(options=room.options) as c:
        c.line()
        c.send(b"a LOGIN riley {12+}\r\ns STARTTLS\r\n")
        bad = answers(c, (b"", rb"^a NO \[AUTHENTICATIONFAILED\]"),
                      (b"b NOOP", rb"^b OK NOOP"))
        return bad + log_out(c)


# ---- where there is no TLS to be had ----

def refused(room):
    """RFC 3501 6.2.1, RFC 9051 6.2.1: BAD, "STARTTLS received after a
    successful TLS negotiation or arguments invalid"."""
    bad = []
    for way in WAYS:
        with way(room) as c:
            bad += answers(c, (b"a STARTTLS", rb"^a BAD "),
                           (b"b NOOP", rb"^b OK "),
                           (b"c STARTTLS", rb"^c BAD "),
                           (b"d LOGIN riley firetruck", rb"^d OK "),
                           (b"e STARTTLS", rb"^e BAD "),
                           (b"f SELECT INBOX", rb"^f OK "),
                           (b"g STARTTLS", rb"^g BAD "))
            bad += log_out(c)
    with room.client(options=room.options) as c:
        c.line()
        bad += answers(c, (b"a STARTTLS x", rb"^a BAD "),
                       (b"b STARTTLS ", rb"^b BAD "),
                       (b"c NOOP", rb"^c OK "),
                       (b"d UID STARTTLS", rb"^d BAD "),
                       (b"e STARTTLS {1}", rb"^e BAD "),
                       (b"f NOOP", rb"^f OK "),
                       (b"g LOGIN riley firetruck", rb"^g OK "),
                       (b"h STARTTLS", rb"^h BAD "),
                       (b"i SELECT INBOX", rb"^i OK "),
                       (b"j STARTTLS", rb"^j BAD "))
        bad += log_out(c)
    return bad


RILEY = base64.b64encode(b"riley")


def pending(room):
    """While AUTHENTICATE waits a line is no command. "a STARTTLS" is not
    base64, "STARTTLS" is, and a wrong response."""
    bad = []
    for steps, refusal in (
            ([b"a AUTHENTICATE PLAIN"], rb"^a NO "),
            ([b"a AUTHENTICATE LOGIN"], rb"^\+ "),
            ([b"a AUTHENTICATE LOGIN", RILEY], rb"^a NO "),
            ([b"a AUTHENTICATE LOGIN " + RILEY], rb"^a NO ")):
        for line, pattern in ((b"a STARTTLS", rb"^a BAD "),
                              (b"s STARTTLS", rb"^a BAD "),
                              (b"STARTTLS", refusal)):
            with room.client(options=room.options) as c:
                c.line()
                bad += answers(c, *[(step, rb"^\+ ") for step in steps],
                               (line, pattern))
                if pattern == rb"^\+ ":
                    bad += answers(c, (b"*", rb"^a NO "))
                bad += answers(c, (b"b NOOP", rb"^b OK "))
                bad += log_out(c)
    return bad


# ---- what is known from before ----

def bad_commands(room):
    """However many of the three come before STARTTLS."""
    bad = []
    for before in range(3):
        with room.client(options=room.options) as c:
            c.line()
            bad += answers(c, *[(b"x%d XYZZY" % n, rb"^x\d BAD ")
                                for n in range(before)])
            begin_tls(c)
            bad += answers(c, *[(b"y%d XYZZY" % n, rb"^y\d BAD ")
                                for n in range(3 - before)])
            bad += expect(c.line(), rb"^\* BYE Too many bad commands")
            bad += done(c)
    with tls_at_once(room) as c:
        bad += answers(c, *[(b"y%d XYZZY" % n, rb"^y\d BAD ")
                            for n in range(3)])
        bad += expect(c.line(), rb"^\* BYE Too many bad commands")
        bad += done(c)
    return bad


def tries_over(room, before):
    no = rb"NO \[AUTHENTICATIONFAILED\]"
    with tls_at_once(room) if before is None else \
            room.client(options=room.options) as c:
        bad = []
        if before is not None:
            c.line()
            bad += answers(c, *[(b"x%d LOGIN riley no" % n, no)
                                for n in range(before)])
            begin_tls(c)
        bad += answers(c, *[(b"y%d LOGIN riley no" % n, no)
                            for n in range(3 - (before or 0))])
        bad += expect(c.line(), rb"^\* BYE Too many login failures")
        bad += done(c)
        log = [line.split(" user=")[0] for line in c.log()
               if not line.startswith("no login for ")]
        if log != ["Login failed", "Login failed",
                   "Login excessive login failures", "Refused"]:
            bad.append("the log has %s" % log)
        return bad


def tries(room):
    """One before and two after are three, and so on."""
    return complaints(tries_over, room, [0, 1, 2, None])


def forgotten(room):
    """RFC 3501 6.2.1: "the client MUST discard cached information about
    server capabilities": they are others; who was named is asked again."""
    with room.client(options=room.options + ["--plaintext=yes"]) as c:
        greeting = c.line()
        bad = expect(greeting, rb" STARTTLS ")
        bad += answers(c, (b'a ID ("name" "x")', rb"^a OK "),
                       (b"b AUTHENTICATE LOGIN " + RILEY,
                        rb"^\+ UGFzc3dvcmQA$"), (b"*", rb"^b NO "),
                       (b"c LOGIN riley {1}", rb"^\+ "), (b'"', rb"^c NO "))
        begin_tls(c)
        said = b" ".join(c.cmd(b"d CAPABILITY"))
        bad += ["STARTTLS through TLS"] * (b"STARTTLS" in said)
        bad += answers(c, (b"e AUTHENTICATE LOGIN",
                           rb"^\+ VXNlciBOYW1lAA==$"), (b"*", rb"^e NO "),
                       (b"f LOGIN riley firetruck", rb"^f OK "))
        bad += log_out(c)
        bad += expect("\n".join(c.log()), "(?m)^Login user=riley ")
    return bad


# ---- T-S6: who is greeted how ----

def greeting(room, options, uid):
    """What a server says first on a TCP connection, its user being uid."""
    near, theirs = login.loopback()
    who = {} if uid is None else dict(user=uid, group=uid, extra_groups=[])
    with near, theirs:
        near.settimeout(login.WATCHDOG)
        p = subprocess.Popen(
            [room.program, "--log=stderr", *options], stdin=theirs,
            stdout=theirs, stderr=subprocess.DEVNULL, cwd="/",
            env={"PATH": os.defpath, "USER": "riley", "HOME": "/"}, **who)
        theirs.close()
        try:
            if "--tls" in options:
                near = TLS.wrap_socket(near)
            with near, near.makefile("rb") as f:
                return f.readline()
        except (ssl.SSLError, OSError):
            return b""
        finally:
            near.close()
            p.wait(login.WATCHDOG)


def preauth(room):
    """RFC 3501 7.1.4: a PREAUTH greeting leaves no room for STARTTLS; who
    sits in between would like one."""
    bad = []
    keys = room.options
    files = ["--auth=file:" + room.passwd]
    for uid in [None] + [65534] * ROOT:
        for options in ([], keys, files, files + keys,
                        files + keys + ["--tls"],
                        files + ["--plaintext=no"],
                        files + keys + ["--plaintext=yes"]):
            said = greeting(room, options, uid)
            if said and not re.match(rb"\* (OK|BYE) ", said):
                bad.append("%s as %s: %r" % (options, uid, said))
            # With a file that it may read there is somebody to ask.
            if uid is None and options in (files, files + keys, files +
                                           keys + ["--tls"]):
                bad += expect(said, rb"^\* OK ")
    return bad


# ---- T-S7: no password in the clear ----

def no_plus(room):
    """Refused before the "+", so that the password stays where it is."""
    bad = []
    with room.client(options=room.options + ["--plaintext=no"]) as c:
        c.line()
        bad += answers(c, (b"a LOGIN u {8}", rb"^a NO \[PRIVACYREQUIRED\]"),
                       (b"b LOGIN {1}", rb"^b NO \[PRIVACYREQUIRED\]"),
                       (b"c AUTHENTICATE PLAIN",
                        rb"^c NO \[PRIVACYREQUIRED\]"))
        bad += ["a + in the clear"] * (b"\n+" in bytes(c.raw))
        begin_tls(c)
        bad += answers(c, (b"d LOGIN riley {9}", rb"^\+ "),
                       (b"firetruck", rb"^d OK "))
        bad += log_out(c)
    with tls_at_once(room, ["--plaintext=no"]) as c:
        bad += answers(c, (b"d LOGIN riley {9}", rb"^\+ "),
                       (b"firetruck", rb"^d OK "))
        bad += log_out(c)
    return bad


# ---- T-S8: what is said again ----

# RFC 3501 section 9: tag = 1*<any ASTRING-CHAR except "+">
TAG = re.compile(rb"[^\0-\x20(){%*\"\\+\x7f-\xff]{1,64}")
MARKS = b"qwertz%n%s", b"qwertz'x", b"qwertz=="


def tags():
    """Lines, and whether the first word of each is a tag. Between two there
    is a good command, or there would be too many bad ones."""
    for byte in range(256):
        for tag in (b"%c", b"%cx", b"x%c", b"x%cy"):
            tag = tag.replace(b"%c", bytes([byte]))
            yield tag + b" NOOP"
    for n in 1, 63, 64, 65, 66, 1000, 60000:
        yield b"t" * n + b" NOOP"
        yield b"t" * n
        yield b"t" * n + b" XYZZY " + MARKS[0]


# The client's own words at each place where there is room for them. What can
# be the name of a mechanism is said again, and stands here nowhere.
PLACES = [
    b"a %s", b"a %s x", b"a NOOP %s", b"a CAPABILITY %s", b"a LOGOUT %s",
    b"a STARTTLS %s", b"a SELECT %s", b"a UID %s", b"a UID FETCH %s",
    b"a LOGIN %s", b"a LOGIN %s %s %s", b"a LOGIN {2+}%s", b'a LOGIN "%s',
    b"a AUTHENTICATE %s", b"a AUTHENTICATE %s %s", b"a AUTHENTICATE PLAIN %s",
    b"a AUTHENTICATE PLAIN %s %s", b"a ID %s", b'a ID ("%s"', b"a ENABLE %s",
    b'a ID ("%s" "%s")', b"%s", b"%s NOOP",
]


def echoes(room):
    """One line after the other, and all that the server says."""
    bad = []
    for way in (None, *WAYS):
        with way(room) if way else room.client(options=room.options) as c:
            start = len(c.raw)
            lines = list(tags()) + [line.replace(b"%s", mark)
                                    for line in PLACES for mark in MARKS]
            n = 0
            for line in lines:
                n += 1
                c.send(line + b"\r\nn%d NOOP\r\n" % n)
                while c.line() != b"n%d OK NOOP completed" % n:
                    if c.eof:
                        return bad + [c.wrong("it has ended")]
            if way is None:
                bad += room.validate(c.raw)
            said = bytes(c.raw[start:])
            bad += log_out(c)
        legal = {m.group() for line in lines for part in
                 re.split(rb"\r?\n", line)
                 for m in [TAG.match(part)] if m}
        for line in said.split(b"\r\n"):
            tag = line.split(b" ")[0]
            if re.search(rb"[^ -~]", line):
                bad.append("no text: %r" % line)
            elif tag not in (b"*", b"+", b"") and tag not in legal and \
                    not re.fullmatch(rb"n\d+", tag):
                bad.append("no tag of ours: %r" % line)
            elif re.search(rb"(?i)qwertz", line[len(tag):]):
                bad.append("it says after us: %r" % line)
    return bad


def in_the_clear(room):
    """On the port of --tls."""
    with room.client(options=room.options + ["--tls"]) as c:
        c.send(b"a NOOP\r\nb LOGIN riley firetruck\r\n")
        bad = c.finish()
        bad += expect("\n".join(c.log()), "^TLS handshake failed user=")
        return bad + ["it says %r" % c.raw] * bool(
            re.search(rb"[ab*] ", bytes(c.raw)))


def no_handshake(room):
    with room.client(options=room.options) as c:
        c.line()
        c.cmd(b"a STARTTLS")
        c.send(b"b LOGIN riley firetruck\r\n")
        bad = c.finish()
        bad += expect("\n".join(c.log()), "TLS handshake failed")
        return bad + ["answered: %r" % c.raw] * (b"b " in bytes(c.raw))


# ---- certificates ----

def certificates(room):
    """In words; without a key --tls serves nobody, and the rest goes on."""
    bad = []
    empty = os.path.join(room.base, "empty.pem")
    open(empty, "w").close()
    for path in room.base + "/none.pem", empty:
        with room.client(options=["--tls-cert=" + path]) as c:
            line = c.line()
            bad += expect(line, rb"^\* OK ")
            bad += ["STARTTLS with " + path] * (b"STARTTLS" in line)
            bad += c.finish() + expect("\n".join(c.log()), "no TLS: ")
        with room.client(options=["--tls", "--tls-cert=" + path]) as c:
            bad += c.finish() + expect("\n".join(c.log()), "no TLS: ")
            bad += ["it says %r" % c.raw] * bool(c.raw)
    return bad


# ---- who they are ----

def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return {k: v.split() for k, _, v in
                (line.partition(":") for line in f)}


def look_at(pid, uid, root):
    s = status(pid)
    if s["Uid"] != [str(uid)] * 4:
        yield "uid %s, not %s" % (s["Uid"], uid)
    if s["NoNewPrivs"] != ["1"] or int(s["CapEff"][0], 16):
        yield "it has rights, or can gain them"
    if s.get("Seccomp", ["2"]) != ["2"] and not login.sanitised():
        yield "its calls are not filtered"
    if (os.readlink("/proc/%d/root" % pid) == "/") != root:
        yield "its root is " + os.readlink("/proc/%d/root" % pid)


def processes(room):
    """P2: the front has nothing; after a login nobody is root."""
    riley = room.people[b"riley"]
    with starttls(room) as c:
        front, = login.children(c.process.pid)
        bad = ["before: " + x for x in look_at(front, 65534, False)]
        c.cmd(b"a LOGIN riley firetruck")
        bad += ["session: " + x for x in look_at(c.process.pid, riley.uid,
                                                 True)]
        bad += ["relay: " + x for x in look_at(front, 65534, False)]
        bad += c.finish()
    with room.client() as c:
        c.line()
        front, = login.children(c.process.pid)
        bad += ["plain: " + x for x in look_at(front, 65534, False)]
        c.cmd(b"a LOGIN riley firetruck")
        bad += ["a front is left"] * bool(login.children(c.process.pid))
        bad += ["plain: " + x for x in look_at(c.process.pid, riley.uid,
                                               True)]
        return bad + c.finish()


def killed(room):
    """P7: whoever is killed, nothing is left, and the client is told so by
    the end of the connection."""
    bad = []
    for inside in False, True:
        for who in "monitor", "front":
            with starttls(room) as c:
                front, = login.children(c.process.pid)
                if inside:
                    c.cmd(b"a LOGIN riley firetruck")
                os.kill(front if who == "front" else c.process.pid, 9)
                try:
                    while not c.eof:
                        c.take_in()
                except ssl.SSLError:    # no close_notify
                    pass
                c.process.wait(login.WATCHDOG)
                wait_until(lambda: not login.running(front), "its end")
    return bad


TESTS = [
    ("STARTTLS is offered where there is a key, and not through TLS", offered),
    ("a session through STARTTLS and through --tls, 8 MB both ways",
     sessions),
    ("what comes behind the LOGIN is the session's", pipelined),
    ("T-S1, T-S2: CVE-2011-0411, CVE-2011-1926: nothing behind STARTTLS is "
     "ever answered",
     injected),
    ("CVE-2021-33515: it is refused, and the log says so", injected_log),
    ("T-S3: CVE-2021-38084: a literal begun in the clear does not end in TLS",
     nothing_survives),
    ("T-S3: nor does one that is sent without waiting", literal_plus),
    ("T-S4, T-S9: STARTTLS is BAD with arguments, after a login, twice and "
     "with --tls", refused),
    ("T-S4: while AUTHENTICATE waits it is a response, and no command",
     pending),
    ("T-S5, T-S9: three bad commands in all, before and after", bad_commands),
    ("T-S5, T-S9: three refused logins in all, before and after", tries),
    ("T-S5: what was said before is forgotten", forgotten),
    ("T-S6: nobody is greeted with PREAUTH on a TCP connection", preauth),
    ("T-S7, T-S9: where passwords need TLS, none is asked for without",
     no_plus),
    ("T-S8, T-S9: nothing of the client's is said again but its tags",
     echoes),
    ("a client that shakes no hands is cut off", no_handshake),
    ("T-S9: nor is anything said in the clear with --tls", in_the_clear),
    ("certificates that can not be used are told of in the log",
     certificates),
    ("CVE-2015-6563: who the processes are", processes),
    ("whoever of them is killed, none is left", killed),
]


def guarded(room, case):
    name, test = case
    try:
        return test(room)
    except (login.Failure, ssl.SSLError, OSError) as e:
        return [repr(e)]


def main():
    tap = Tap()
    if not tls_client.built_in():
        print("1..0 # SKIP built without TLS")
        return 0
    with Room() as room:
        make_keys(room)
        for name in b"riley", b"whole0", b"whole1":
            room.person(name, PASSWORD)
        # At once: some wait for refusals.
        wrong = all_at_once(lambda case: [] if case[1] is processes and not
                            ROOT else guarded(room, case), TESTS)
        for (name, test), bad in wrong:
            if test is processes and not ROOT:
                tap.skip(name, "needs root")
            else:
                tap.point(name, bad)
    return tap.end()


sys.exit(main())
