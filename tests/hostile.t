#!/usr/bin/env python3
"""hostile.t - bad input, from clients and in mailboxes, over the real
program: each is answered clearly, costs bounded memory, and leaves a
connection that can be used or a BYE. Names of known holes in other servers
(CVE-...) stand where their kind is tried on ours. See hostile.py.

Nothing here asserts a duration; WATCHDOG is for what never ends."""

import os
import random
import re
import socket
import stat
import sys

sys.dont_write_bytecode = True
from hostile import (MB, ROOT, SAN, Case, Tap, World, lines, play,
                     show)

INBOX = (
    b"From a@b Thu Aug 22 12:36:23 2002\nFrom: A <a@b>\nTo: b@c\n"
    b"Subject: two words\nDate: Thu, 22 Aug 2002 12:36:23 +0200\n"
    b"X-IMAPbase: 1000000000 0000000009 Junk\nStatus: RO\nX-Status: F\n"
    b"X-Keywords: Junk     \nX-UID: 3\n\nhello\n\n"
    b"From a@b Fri Aug 23 12:36:23 2002\nMIME-Version: 1.0\n"
    b"Content-Type: multipart/mixed; boundary=b\nStatus: O\nX-UID: 5\n\n"
    b"--b\n\ntext\n--b\nContent-Type: message/rfc822\n\n"
    b"Subject: in\n\ninner\n--b--\n\n"
    b"From a@b Sat Aug 24 12:36:23 2002\nSubject: three\nStatus: RO\n"
    b"X-Status: A\nX-UID: 9\n\nlast\n\n")
SELECT = b"s SELECT INBOX\r\n"

# Bytes of memory that a command may cost, and a mailbox.
COMMAND_MOST = 16 * MB
MAILBOX_MOST = 64 * MB


# ---- commands, spoilt at every place ----

# Without tag and line end; each is answered OK.
LEGAL = [
    b"CAPABILITY",
    b"NOOP",
    b"LOGOUT",
    b"NAMESPACE",
    b"ID NIL",
    b'ID ("name" "x y" "os" NIL {1+}\r\na {1}\r\nb)',
    b"CHECK",
    b"CLOSE",
    b"UNSELECT",
    b"SELECT INBOX",
    b'SELECT "INBOX"',
    b"SELECT {5}\r\nINBOX",
    b"EXAMINE {5+}\r\nINBOX",
    b"STATUS INBOX (MESSAGES UIDNEXT)",
    b"STATUS {5}\r\nINBOX (UNSEEN)",
    b'LIST "" *',
    b'LIST {0}\r\n {1+}\r\n%',
    b'LSUB "" "*"',
    b"FETCH 1 FLAGS",
    b"FETCH 1 ALL",
    b"FETCH 1:2,* (UID BODY.PEEK[2.1.MIME]<0.5>)",
    b'FETCH 1 BODY[HEADER.FIELDS (To "From" {4}\r\nDate)]',
    b"FETCH 1 (ENVELOPE BODYSTRUCTURE)",
    b"UID FETCH 3:* (FLAGS RFC822.SIZE INTERNALDATE)",
    b"UID FETCH 9 RFC822.HEADER",
    b"SEARCH ALL",
    b'SEARCH CHARSET UTF-8 TEXT "hello"',
    b"SEARCH OR (SEEN 1:*) NOT FROM {1}\r\na",
    b'SEARCH HEADER Subject "two words" SINCE 1-Jan-2000',
    b"UID SEARCH UID 3,5:7 LARGER 10 KEYWORD Junk",
]

# Commands that are refused before their arguments are looked at.
REFUSED = [
    b"LOGIN alex secret",
    b"SUBSCRIBE {5+}\r\nINBOX",
    b"STORE 1 +FLAGS (\\Seen)",
    b"UID COPY 3 INBOX",
]

GARBAGE = [b"%n%s%x%n", b"(", b")", b'"', b"\\", b"{", b"}", b"*", b"]", b"<",
           b"0", b"4294967296", b"-1", b'""', b"NIL", b"\x7f", b"~"]

TOKEN = re.compile(rb'"[^"]*"|\{(\d+)\+?\}\r\n|[A-Za-z0-9]+|.')


def tokens(line):
    """[(start, end, where a literal's octets start or None)]"""
    found, at = [], 0
    while at < len(line):
        m = TOKEN.match(line, at)
        end = m.end() + int(m.group(1) or 0)
        found.append((at, end, m.end() if m.group(1) else None))
        at = end
    return found


def any_octet(line, at, inserted):
    """Is any octet but NUL right here: in a quoted string, in a literal?
    One put into a literal pushes another out of it."""
    for start, end, octets in tokens(line):
        if octets is not None and not inserted and octets <= at < end:
            return "literal"
        if line[start:start + 1] == b'"' and start < at < end - (
                not inserted):
            return "quoted"
    return None


def spoilt_bytes(command, usual):
    """NUL, CR and an 8-bit byte put in at every offset, and put in place
    of every byte. The last LF stays: without it there is no command."""
    line = b"cc " + command
    whole = line + b"\r\n"
    for at in range(len(whole)):
        for byte in (b"\0", b"\r", b"\xe9"):
            for inserted in (True, False):
                data = whole[:at] + byte + whole[at + (not inserted):]
                if data == whole or not data.endswith(b"\n"):
                    continue
                where = any_octet(line, at, inserted)
                legal = (byte == b"\xe9" and where) or (
                    byte == b"\r" and where == "literal")
                yield Case("byte %d" % at, data,
                           "OK NO BAD" if legal else usual)


def spoilt_tokens(command):
    """Each token missing, doubled, replaced, followed by another, and the
    line cut behind it. Some are legal still."""
    line = b"cc " + command
    for start, end, octets in tokens(line):
        token = line[start:end]
        made = [line[:start] + line[end:], line[:end] + line[start:],
                line[:start], line[:end]]
        if octets is None:
            made.append(line[:start + len(token) // 2])
        for bad in GARBAGE:
            made.append(line[:start] + bad + line[end:])
            made.append(line[:end] + bad + line[end:])
        for data in made:
            if data != line:
                yield Case("token at %d" % start, data + b"\r\n", "OK NO BAD")


def test_spoilt(tap, world):
    """Each on a connection of its own, so that one's fault is not
    another's."""
    for command in LEGAL + REFUSED:
        word = command.split()[0]
        legal = command in LEGAL
        cases = [Case("as it is", b"cc %s\r\n" % command,
                      "OK" if legal else "NO BAD")]
        cases += spoilt_bytes(command, "BAD" if legal else "NO BAD")
        cases += spoilt_tokens(command)
        for case in cases:
            case.bye = word == b"LOGOUT"
            if word in (b"SELECT", b"EXAMINE", b"CLOSE", b"UNSELECT"):
                case.before = SELECT
        tap.point("%s, spoilt at each byte and token, in %d ways "
                  "(CVE-2019-11500, CVE-2004-0777)" %
                  (command.decode().replace("\r\n", " "), len(cases)),
                  play(world, cases, SELECT))


# ---- wrong syntax, by hand ----

WRONG = b'''
NOOP x
NOOP (((
UID
UID NOOP
UID CAPABILITY
FETCH
XYZZY
SELECT
SELECT  INBOX
SELECT INBOX x
SELECT ""
SELECT (INBOX)
SELECT "INBOX
SELECT "INBOX\\
SELECT "INBOX\\"
SELECT "IN\\BOX"
SELECT INBOX"
SELECT IN%BOX
SELECT {5
SELECT {5+
SELECT ~{5}
STATUS INBOX
STATUS INBOX ()
STATUS INBOX MESSAGES
STATUS INBOX (MESSAGES
STATUS INBOX (MESSAGES))
STATUS INBOX (MESSAGES  UIDNEXT)
STATUS INBOX (SIZES)
STATUS (MESSAGES)
LIST
LIST ""
LIST "" (
LIST "" * x
LIST "" "*
LSUB "*"
ID
ID (
ID ()()
ID (x y)
ID ("x")
ID ("x" y)
ID ("x" "y" "z")
FETCH 1
FETCH 1 ()
FETCH 1 (UID
FETCH 1 (UID))
FETCH 1 (UID  FLAGS)
FETCH 1 (ALL UID)
FETCH 1 UID FLAGS
FETCH 0 UID
FETCH 4 UID
FETCH 01 UID
FETCH 1: UID
FETCH :1 UID
FETCH 1, UID
FETCH 1:2:3 UID
FETCH 1-2 UID
FETCH 4294967296 UID
FETCH 18446744073709551617 UID
FETCH "1" UID
FETCH (1) UID
FETCH 1 BODY.PEEK
FETCH 1 BODY[
FETCH 1 body[p
FETCH 1 BODY[]]
FETCH 1 BODY[0]
FETCH 1 BODY[1.]
FETCH 1 BODY[.1]
FETCH 1 BODY[1..2]
FETCH 1 BODY[4294967296]
FETCH 1 BODY[MIME]
FETCH 1 BODY[TEXT.1]
FETCH 1 BODY[HEADER.FIELDS]
FETCH 1 BODY[HEADER.FIELDS ()]
FETCH 1 BODY[HEADER.FIELDS (To)
FETCH 1 BODY[HEADER.FIELDS To]
FETCH 1 BODY[HEADER.FIELDS (To From]
FETCH 1 BODY[]<
FETCH 1 BODY[]<0>
FETCH 1 BODY[]<0.0>
FETCH 1 BODY[]<0.4294967296>
FETCH 1 BODY[]<4294967296.1>
FETCH 1 BODY[]<-1.5>
FETCH 1 BODY[]<0.5
FETCH 1 RFC822.PEEK
FETCH 1 BODYSTRUCTURE[]
UID FETCH 1:*
SEARCH
SEARCH  ALL
SEARCH (ALL
SEARCH ALL)
SEARCH ()
SEARCH NOT
SEARCH OR ALL
SEARCH OR ALL OR
SEARCH CHARSET
SEARCH CHARSET UTF-8
SEARCH ALL CHARSET UTF-8 ALL
SEARCH KEYWORD
SEARCH KEYWORD (x)
SEARCH KEYWORD "x"
SEARCH LARGER
SEARCH LARGER -1
SEARCH LARGER 4294967296
SEARCH LARGER "1"
SEARCH ON 1-Foo-2000
SEARCH ON 32-Jan-2000
SEARCH ON 0-Jan-2000
SEARCH ON 1-Jan-20
SEARCH ON 1-Jan-2000-
SEARCH ON "1-Jan-2000
SEARCH UID
SEARCH UID 0
SEARCH UID ALL
SEARCH 0
SEARCH HEADER
SEARCH HEADER To
SEARCH SUBJECT
SEARCH XYZZY
SEARCH SEEN SEEN)
'''


def test_wrong(tap, world):
    cases = [Case("wrong", b"cc %s\r\n" % line, "BAD")
             for line in WRONG.strip().split(b"\n")]
    # RFC 3501 6.4.4 lets no syntax error be a NO; nor a tag be a "+".
    cases += [Case("tag", line + b"\r\n", "BAD") for line in (
        b"", b" ", b"cc", b"cc ", b" cc NOOP", b"+ NOOP", b"c+ NOOP",
        b"* NOOP", b"% NOOP", b"() NOOP", b'"c" NOOP', b"{2}", b"\\ NOOP",
        b"cc  NOOP", b"cc\tNOOP", b"c" * 65 + b" NOOP", b"\x7f NOOP")]
    tap.point("%d commands with wrong syntax are BAD (CVE-2000-0284, "
              "CVE-2002-0379, CVE-2005-2933, CVE-2008-1358)" % len(cases),
              play(world, cases, SELECT))


# ---- literals ----

# "@" is where the literal stands; what stands behind it goes on the line.
POSITIONS = [
    b"SELECT @", b"EXAMINE @", b"STATUS @ (UNSEEN)", b"LIST @ *",
    b'LIST "" @', b"LSUB @ *", b'LSUB "" @', b"ID (@ NIL)",
    b'ID ("a" @)', b"FETCH 1 BODY[HEADER.FIELDS (@)]",
    b"FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (To @ From)]<0.1>",
    b"SEARCH CHARSET @ ALL", b"SEARCH TEXT @", b"SEARCH FROM @ SEEN",
    b"SEARCH HEADER @ x", b"SEARCH HEADER To @", b"SEARCH (OR BODY @ NOT 1)",
    b"UID SEARCH NOT SUBJECT @",
]
REFUSED_POSITIONS = [
    b"LOGIN @ x", b"LOGIN x @", b"CREATE @", b"RENAME @ x", b"SUBSCRIBE @",
    b"APPEND INBOX @", b"COPY 1 @", b"XYZZY @", b"NOOP @",
]

TOO_BIG = [b"2147483647", b"2147483648", b"4294967295", b"4294967296",
           b"18446744073709551615", b"18446744073709551616", b"9" * 40]
# No sizes at all.
NO_SIZE = [b"-1", b"+1", b"1e3", b" 5", b"5 ", b"", b"0x5", b"5.", b"%n"]


def spoken(position, literal):
    return b"cc " + position.replace(b"@", literal) + b"\r\n"


def size_cases(position, legal):
    """The sizes at which nobody hangs up."""
    bad = "BAD" if legal else "NO BAD"
    name = position.decode()
    for octets in (b"", b"a"):
        for kind in (b"", b"+"):
            yield Case(name, spoken(position, b"{%d%s}\r\n%s" % (
                len(octets), kind, octets)), "OK NO BAD",
                plus=1 if legal and not kind else 0)
    for size in TOO_BIG + [b"65537", b"1048576"]:
        yield Case(name, b"cc %s{%s}\r\n" % (
            position.split(b"@")[0], size), bad, plus=0,
            code=b"[TOOBIG]" if legal else b"")
    yield Case(name, spoken(position, b"{65537+}\r\n" + b"a" * 65537), bad,
               plus=0, code=b"[TOOBIG]" if legal else b"")
    # Whatever the receiver thinks of the zero, the octets come.
    yield Case(name, spoken(position, b"{05+}\r\naaaaa"), bad, plus=0)
    for size in NO_SIZE + [b"05"]:
        yield Case(name, spoken(position, b"{%s}" % size), bad, plus=0)
    for size in NO_SIZE:
        yield Case(name, spoken(position, b"{%s+}" % size), bad, plus=0)
    for literal in (b"{5}x", b"{5+}x", b"{5+}+", b"{{5}", b"{5}}", b"{+5}",
                    b"{5++}", b"~{5+", b"{5+", b"{5", b"{", b"}"):
        yield Case(name, spoken(position, literal + b" "), bad, plus=0)


def test_literal_sizes(tap, world):
    every = [(p, True) for p in POSITIONS] + [
        (p, False) for p in REFUSED_POSITIONS]
    cases = [c for p, legal in every for c in size_cases(p, legal)]
    for how in ({}, {"most": COMMAND_MOST}):
        tap.point("CVE-2003-0297, CVE-2007-0221: %d literals of impossible "
                  "size are refused without a +%s" % (
                      len(cases), ", in little memory" if how else ""),
                  play(world, cases, SELECT, **how))
    cases = [Case(p.decode(), spoken(p, b"{%s+}\r\nx" % size), "", bye=True,
                  code=b"* BYE [TOOBIG]") for p, _ in every for size in
             (TOO_BIG if p == POSITIONS[0] else TOO_BIG[1::5])]
    tap.point("CVE-2003-0297: %d LITERAL+ that nobody would read to the end "
              "end the connection" % len(cases),
              play(world, cases, SELECT, most=COMMAND_MOST))


def test_cut_off(tap, world):
    """The input ends inside; what was begun is not run."""
    bad = []
    for position in POSITIONS + REFUSED_POSITIONS[:3]:
        for literal in (b"{5}\r\n", b"{5+}\r\nab", b"{5", b"{5+}\r"):
            data = b"cc " + position.split(b"@")[0] + literal
            case = Case("cut", data, "BAD")
            with world.client() as c:
                if not c.talk(SELECT + data):
                    bad.append(case.wrong("is not read", b""))
                bad += c.finish() + world.validate(c.raw)
                bad += case.judge(list(lines(c.raw)), False)
    tap.point("a literal announced and the input ends: BAD, nothing is run",
              bad)


def main():
    random.seed(1)
    tap = Tap()
    with World() as world:
        world.file(world.inbox, INBOX)
        test_spoilt(tap, world)
        test_wrong(tap, world)
        test_literal_sizes(tap, world)
        test_cut_off(tap, world)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
