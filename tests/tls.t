#!/usr/bin/env python3
"""tls.t - STARTTLS and --tls as a client has them: what is offered when, that
nothing which came in the clear is ever taken for what came through TLS, and
who the processes are before and after a login. TAP."""

import os
import re
import ssl
import subprocess
import sys

sys.dont_write_bytecode = True
import login
from login import HOST, ROOT, Room, Tap, wait_until

PASSWORD = b"firetruck"
TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE
BIG = 8 << 20


def make_keys(room):
    """A certificate of our own, in a file of the server's."""
    room.cert = os.path.join(room.base, "cert.pem")
    room.key = os.path.join(room.base, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-keyout", room.key, "-out",
         room.cert, "-days", "2", "-subj", "/CN=localhost"],
        check=True, capture_output=True)
    os.chmod(room.key, 0o600)
    room.options = ["--tls-cert=" + room.cert, "--tls-key=" + room.key]


def secure(c):
    c.sock = TLS.wrap_socket(c.sock)


def expect(text, *patterns):
    return ["%r is not %s" % (text, p) for p in patterns
            if not re.search(p, text)]


def starttls(room, options=()):
    c = room.client(options=room.options + list(options))
    c.line()
    if c.cmd(b"s STARTTLS") != [b"s OK Begin TLS negotiation now"]:
        raise login.Failure(c.wrong("no STARTTLS"))
    secure(c)
    return c


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
        p = room.person(b"whole%d" % len(options), PASSWORD)
        if options:
            c = room.client(options=room.options + options)
            secure(c)
            c.line()
        else:
            c = starttls(room)
        with c:
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

def injected(room):
    """CVE-2011-0411, CVE-2021-33515: at every byte of what is put behind."""
    whole_text = b"a STARTTLS\r\n" + b"b NOOP\r\nc LOGIN riley firetruck\r\n"
    bad = []
    for at in range(1, len(whole_text)):
        with room.client(options=room.options) as c:
            c.line()
            c.send(whole_text[:at])
            # The server has read the first half, or not: both must do.
            if at % 2:
                wait_until(lambda: not unread(c), "the server to read")
            c.send(whole_text[at:])
            bad += c.finish()
            said = bytes(c.raw)
            if re.search(rb"(?m)^[bc] ", said) and b"a OK" in said:
                bad.append("byte %d: %r" % (at, said))
            if re.search(rb"(?m)^c OK", said) or b"Login user" in \
                    "\n".join(c.log()).encode():
                bad.append("byte %d: logged in: %r" % (at, said))
    return bad


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
        return bad + c.finish()


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
    ("CVE-2011-0411: nothing behind STARTTLS is ever answered", injected),
    ("CVE-2021-33515: it is refused, and the log says so", injected_log),
    ("CVE-2021-38084: a literal begun in the clear does not end in TLS",
     nothing_survives),
    ("a client that shakes no hands is cut off", no_handshake),
    ("certificates that can not be used are told of in the log",
     certificates),
    ("CVE-2015-6563: who the processes are", processes),
    ("whoever of them is killed, none is left", killed),
]


def main():
    tap = Tap()
    if "tls" not in subprocess.run([login.IMAPD, "--version"], text=True,
                                   capture_output=True).stdout:
        print("1..0 # SKIP built without TLS")
        return 0
    with Room() as room:
        make_keys(room)
        room.person(b"riley", PASSWORD)
        for name, test in TESTS:
            if test is processes and not ROOT:
                tap.skip(name, "needs root")
                continue
            try:
                bad = test(room)
            except (login.Failure, ssl.SSLError, OSError) as e:
                bad = [repr(e)]
            tap.point(name, bad)
    return tap.end()


sys.exit(main())
