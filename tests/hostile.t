#!/usr/bin/env python3
"""hostile.t - bad commands, over the real program: each is answered clearly,
costs bounded memory, and leaves a connection that can be used or a BYE.
Names of known holes in other servers (CVE-...) stand where their kind is
tried on ours. Names of mailboxes are in hostile_names.t, mail is in
hostile_mail.t, and how it is done in hostile.py."""

import os
import random
import re
import sys

sys.dont_write_bytecode = True
from hostile import MB, ROOT, Case, Tap, World, lines, play, show

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

# Bytes of memory that the process may use, whatever a client says.
COMMAND_MOST = 16 * MB
LINE_MOST = 65536


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
    b'SEARCH SUBJECT "a\\\\b" TEXT "\\"" BODY ""',
    b"UID SEARCH UID 3,5:7 LARGER 10 KEYWORD Junk",
    b"SORT (DATE) {5+}\r\nUTF-8 ALL",
    b'UID SORT (REVERSE SUBJECT SIZE) "us-ascii" 1:3',
    b"UID THREAD REFERENCES UTF-8 ALL",
    b"THREAD ORDEREDSUBJECT US-ASCII TEXT {1}\r\na",
    b"SUBSCRIBE {5+}\r\nINBOX",
    b"STORE 1 +FLAGS (\\Seen)",
    b"STORE 1,2:3 FLAGS.SILENT $Junk \\Answered",
    b"UID STORE 3:* -FLAGS ()",
    b"EXPUNGE",
    b"UID EXPUNGE 3,5:*",
    b"COPY 1 {5}\r\nINBOX",
    b"UID COPY 3 INBOX",
    b"UID MOVE 5 INBOX",
]

# Commands that are refused before their arguments are looked at.
REFUSED = [
    b"LOGIN alex secret",
    b"ENABLE CONDSTORE",
]

GARBAGE = [b"%n%s%x%n", b"(", b")", b'"', b"\\", b"{", b"}", b"*", b"]", b"<",
           b"0", b"4294967296", b"-1", b'""', b"NIL", b"\x7f", b"~"]

TOKEN = re.compile(rb'"(?:\\.|[^"\\])*"|\{(\d+)\+?\}\r\n|[A-Za-z0-9]+|.')


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
        world.file(world.inbox, INBOX)
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
STORE
STORE 1
STORE 1 FLAGS
STORE 1 +FLAGS
STORE 1 FLAGS (
STORE 1 FLAGS (\\Seen
STORE 1 FLAGS \\Seen)
STORE 1 FLAGS ("Seen")
STORE 1 FLAGS (\\Recent)
STORE 1 FLAGS \\Seen \\Recent
STORE 1 FLAGS (\\)
STORE 1 FLAGS (\\\\Seen)
STORE 1 FLAGS (\\*)
STORE 1 FLAGS () x
STORE 1 FLAGS ()()
STORE 1 + FLAGS ()
STORE 1 +-FLAGS ()
STORE 1 +FLAGS.LOUD ()
STORE 1 \\Seen
STORE 4 FLAGS ()
STORE 0 FLAGS ()
STORE (1) FLAGS ()
UID STORE 1
EXPUNGE 1
UID EXPUNGE
UID EXPUNGE 0
UID EXPUNGE 1 2
UID CLOSE
COPY
COPY 1
COPY INBOX 1
COPY 1 INBOX x
COPY 1 IN%BOX
COPY 0 INBOX
COPY 4 INBOX
UID COPY 1
MOVE 1
MOVE 1:4 INBOX
UID MOVE x INBOX
APPEND
APPEND INBOX
APPEND INBOX x
APPEND INBOX ()
APPEND INBOX (\\Seen) ""
'''


def test_wrong(tap, world):
    cases = [Case("wrong", b"cc %s\r\n" % line, "BAD")
             for line in WRONG.strip().split(b"\n")]
    # RFC 3501 6.4.4 lets no syntax error be a NO; nor a tag be a "+".
    cases += [Case("tag", line + b"\r\n", "BAD") for line in (
        b"", b" ", b"cc", b"cc ", b" cc NOOP", b"+ NOOP", b"c+ NOOP",
        b"* NOOP", b"% NOOP", b"() NOOP", b'"c" NOOP', b"{2}", b"\\ NOOP",
        b"cc  NOOP", b"cc\tNOOP", b"c" * 65 + b" NOOP", b"\x7f NOOP")]
    for case in cases:
        case.before = SELECT
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
    b"UID SEARCH NOT SUBJECT @", b"SORT (DATE) @ ALL",
    b"UID THREAD REFERENCES UTF-8 TEXT @", b"CREATE @", b"RENAME @ x", b"RENAME x @",
    b"SUBSCRIBE @", b"UNSUBSCRIBE @", b"COPY 1 @", b"UID MOVE 77 @",
    b"DELETE @",
]
REFUSED_POSITIONS = [
    b"LOGIN @ x", b"LOGIN x @", b"APPEND ../x @",
    b"XYZZY @", b"NOOP @", b"STORE 1 FLAGS @",
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
    cases = []
    for position in POSITIONS + REFUSED_POSITIONS:
        more = list(size_cases(position, position in POSITIONS))
        more[0].before = SELECT
        cases += more
    for how in ({}, {"most": COMMAND_MOST}):
        tap.point("CVE-2003-0297, CVE-2007-0221: %d literals of impossible "
                  "size are refused without a +%s" % (
                      len(cases), ", in little memory" if how else ""),
                  play(world, cases, SELECT, **how))
    cases = [Case(p.decode(), spoken(p, b"{%s+}\r\nx" % size), "", bye=True,
                  code=b"* BYE [TOOBIG]")
             for p in POSITIONS + REFUSED_POSITIONS
             for size in (TOO_BIG if p == POSITIONS[0] else TOO_BIG[1::5])]
    tap.point("CVE-2003-0297: %d LITERAL+ that nobody would read to the end "
              "end the connection" % len(cases), play(world, cases, SELECT))


def test_smuggled(tap, world):
    """RFC 7888 section 3: a LITERAL+ is a literal, whatever the grammar made
    of its line. Read as commands its octets would be a stranger's, in a
    message that a mail program uploads or in a word that it looks for."""
    octets = b"evil NOOP\r\nevil LIST \"\" *\r\nevil LOGOUT\r\n"
    more = b"{%d+}\r\n%s" % (len(octets), octets)
    heads = [p.split(b"@")[0] for p in POSITIONS + REFUSED_POSITIONS]
    heads += [head + wrong for head in heads
              for wrong in (b"\0 ", b"\r ", b'"', b'"\\', b"((", b"x ",
                            b"{3} ", b"{3+} ", b"{", b"\xe9 ",
                            b"a" * LINE_MOST)]
    heads += [b"", b" ", b"FETCH 1 BODY[", b"FETCH 9999 (UID) ", b"UID NOOP "]
    cases = [Case("smuggled", b"cc " + head + more * n + tail + b"\r\n",
                  "NO BAD OK") for head in heads for n in (1, 3)
             for tail in (b"", b" x", more)]
    cases += [Case("smuggled", start + more + b"\r\n", "NO BAD")
              for start in (b"", b"\0", b"+ ", b"c" * 100, b"cc\t", b"cc")]
    big = b"evil NOOP\r\n" * 10000
    cases += [Case("smuggled", b"cc %s{%d+}\r\n%s\r\n" %
                   (head, len(big), big), "NO BAD") for head in heads[:40]]
    tap.point("what stands in %d refused literals is not run" % len(cases),
              play(world, cases, SELECT, look=lambda raw: [
                  show(line) for line in lines(raw)
                  if line.startswith(b"evil")]))


def cut_off(world, data, want, given):
    """Complaints about an input that ends so, in a file or not."""
    case = Case("cut", data, want)
    with world.client(given=SELECT + data if given else None) as c:
        if not given:
            c.talk(SELECT + data)
        bad = c.finish() + world.validate(c.raw)
        return bad + case.judge(list(lines(c.raw)), False)


def test_cut_off(tap, world):
    """The end of a file ends its last line, too. A connection that breaks
    in the middle of a line must not run the half that came."""
    for given in (False, True):
        bad = []
        for position in POSITIONS + REFUSED_POSITIONS[:3]:
            for literal in (b"{5}\r\n", b"{5+}\r\nab", b"{5", b"{5+}\r"):
                bad += cut_off(world, b"cc " + position.split(b"@")[0] +
                               literal, "BAD" if position in POSITIONS else
                               "NO BAD", given)
        tap.point("a literal is announced and the %s ends: BAD" %
                  ("file" if given else "connection"), bad)
    bad = []
    for command in LEGAL + REFUSED:
        for end in (b"", b"\r"):
            bad += cut_off(world, b"cc " + command + end, "BAD", False)
    tap.point("a whole command without its line end is not run", bad)


# ---- much of everything ----

# (what, head, what is repeated, tail, the answer to a line of 64 KiB)
LONG = [
    ("tag", b"", b"c", b"", "BAD"),
    ("command name", b"", b"X", b"", "BAD"),
    ("spaces", b"NOOP", b" ", b"", "BAD"),
    ("mailbox, an atom", b"SELECT ", b"a", b"", "BAD"),
    ("mailbox, quoted", b'SELECT "', b"a", b'"', "BAD"),
    ("astring", b"SEARCH TEXT ", b"a", b"", "OK"),
    ("quoted", b'SEARCH TEXT "', b"a", b'"', "OK"),
    ("quoted, 8-bit", b'SEARCH FROM "', b"\xe9", b'"', "OK"),
    ("escapes", b'SEARCH TEXT "', b"\\\\", b'"', "OK"),
    ("keyword", b"SEARCH KEYWORD ", b"a", b"", "OK"),
    ("field name", b'SEARCH HEADER "', b"a", b'" x', "OK"),
    ("charset", b"SEARCH CHARSET ", b"a", b" ALL", "NO"),
    ("number", b"SEARCH LARGER ", b"1", b"", "BAD"),
    ("zeros", b"SEARCH LARGER ", b"0", b"", "OK BAD"),
    ("date", b"SEARCH ON ", b"1", b"-Jan-2000", "BAD"),
    ("keys", b"SEARCH", b" ALL", b"", "OK"),
    ("keys with text", b"SEARCH", b" NOT TO x", b"", "OK"),
    ("set", b"SEARCH 1", b",1:3", b"", "OK"),
    ("falling set", b"UID SEARCH UID 9", b",9:1", b"", "OK"),
    ("set of FETCH", b"UID FETCH 1", b",*:7", b" UID", "OK"),
    ("part numbers", b"FETCH 1 BODY[1", b".1", b"]", "BAD"),
    ("header fields", b"FETCH 1 BODY[HEADER.FIELDS (a", b" a", b")]", "OK"),
    ("FETCH items", b"FETCH 1 (UID", b" UID", b")", "OK"),
    ("sections", b"FETCH 1 (UID", b" BODY[2.1]", b")", "OK"),
    ("partial", b"FETCH 1 BODY[]<0.", b"1", b">", "BAD"),
    ("STATUS items", b"STATUS INBOX (UNSEEN", b" UNSEEN", b")", "OK"),
    ("flags", b"UID STORE 3 FLAGS (a", b" a", b")", "OK"),
    ("a keyword", b"UID STORE 3 FLAGS ", b"a", b"", "NO"),
    ("keywords", b"UID STORE 3 FLAGS (", b"\\Seen abc ", b"x)", "OK"),
    ("set of COPY", b"UID COPY 77", b",78", b" INBOX", "OK"),
    ("mailbox of COPY", b"COPY 1 ", b"a", b"", "BAD"),
    ("ID", b"ID (", b'"a" "b" ', b'"a" "b")', "BAD"),
    ("LIST reference", b'LIST "', b"a", b'" *', "NO BAD"),
    ("LIST pattern", b'LIST "" ', b"*", b"", "NO BAD"),
    ("LIST levels", b'LIST "" %', b"/%", b"", "NO BAD"),
]


def long_line(head, unit, tail, size):
    """So many bytes before the line end, to the byte: the tag makes up for
    what the unit leaves over."""
    n = (size - len(head) - len(tail) - 3) // len(unit)
    line = b" " + head + unit * n + tail
    return b"c" * (size - len(line)) + line


def test_long_lines(tap, world):
    """The bytes of a literal do not count as the line's."""
    cases = []
    for what, head, unit, tail, want in LONG:
        for size in (LINE_MOST - 1, LINE_MOST, LINE_MOST + 1, MB):
            line = long_line(head, unit, tail, size) if what != "tag" else \
                unit * size
            over = size > LINE_MOST
            cases.append(Case(
                "%s, %d" % (what, size), line + b"\r\n",
                "BAD" if over else want,
                code=b"[LIMIT]" if over and want == "OK" else b""))
            cases[-1].before = SELECT
    for size, want in ((65535, "OK"), (65536, "OK"), (65537, "BAD"),
                       (MB, "BAD")):
        cases.append(Case("literal, %d" % size, b"cc SEARCH TEXT {%d+}\r\n%s"
                          b"\r\n" % (size, b"a" * size), want))
    for how in ({}, {"most": COMMAND_MOST}):
        tap.point("%d lines of 64 KiB, a byte less, a byte more, and 1 MB%s" %
                  (len(cases), ", in little memory" if how else ""),
                  play(world, cases, SELECT, **how))


def nested(head, before, core, after, n, tail=b""):
    return b"cc " + head + before * n + core + after * n + tail + b"\r\n"


def many_cases():
    """Of more than one kind, so written out."""
    for n, want in ((99, "OK"), (100, "OK"), (101, "BAD"), (4000, "BAD"),
                    (100000, "BAD")):
        for what in ((b"SEARCH ", b"(", b"ALL", b")"),
                     (b"SEARCH ", b"NOT ", b"ALL", b""),
                     (b"SEARCH ", b"OR ", b"ALL", b" ALL"),
                     (b"SEARCH ", b"OR ALL ", b"ALL", b"")):
            yield Case("nested %d" % n, nested(*what, n), want,
                       code=b"[LIMIT]" if n > 100 else b"")
    for n in (4000, 100000):
        for head in (b"", b"NOOP ", b"SELECT ", b"STATUS INBOX ", b"ID ",
                     b"FETCH 1 ", b"FETCH 1 (UID ", b'LIST "" ', b"STORE 1 ",
                     b"FETCH 1 BODY[HEADER.FIELDS ", b"LOGIN ", b"SEARCH "):
            for byte in (b"(", b")", b"[", b"((a) "):
                yield Case("CVE-2026-27857", nested(head, byte, b"", b"", n),
                           "NO BAD")
    text = b" TEXT {1+}\r\na"
    yield Case("10,000 literals", b"cc SEARCH" + text * 10000 + b"\r\n",
               "BAD", code=b"[LIMIT]")
    yield Case("6,000 literals", b"cc SEARCH" + text * 6000 + b"\r\n", "OK")
    yield Case("6,000 sync", b"cc SEARCH" + b" TEXT {1}\r\na" * 6000 +
               b"\r\n", "OK", plus=6000)
    yield Case("10,000 empty", b"cc NOOP" + b" {0+}\r\n" * 10000 + b"\r\n",
               "BAD")
    # A megabyte of literals is one command's share.
    text = b" TO {65536+}\r\n" + b"a" * 65536
    yield Case("1 MB of literals", b"cc SEARCH" + text * 16 + b"\r\n", "OK")
    yield Case("more", b"cc SEARCH" + text * 17 + b"\r\n", "BAD",
               code=b"[TOOBIG]")
    falling = b",".join(b"%d" % n for n in range(20000, 0, -2))
    ranges = b",".join([b"1:3"] * 10000)
    for numbers in (falling, ranges):
        yield Case("10,000 ranges", b"cc UID FETCH %s UID\r\n" % numbers,
                   "OK")
        yield Case("10,000 ranges", b"cc SEARCH NOT %s UID %s\r\n" %
                   (numbers, numbers[:1000].rstrip(b",:")), "OK")


def test_many(tap, world):
    cases = list(many_cases())
    for how in ({}, {"most": COMMAND_MOST}):
        tap.point("CVE-2024-34055, CVE-2024-37358, CVE-2026-27857: 10,000 "
                  "literals, 100,000 parentheses, 10,000 ranges: %d commands"
                  "%s" % (len(cases), ", in little memory" if how else ""),
                  play(world, cases, SELECT, **how))


# Inside each kind of token, the byte that comes and comes.
ENDLESS = [
    (b"", b"c"), (b"", b"\0"), (b"", b" "), (b"", b"("), (b"cc ", b"X"),
    (b"cc UID ", b"X"), (b"cc NOOP ", b"("), (b"cc SELECT ", b"a"),
    (b'cc SELECT "', b"a"), (b'cc SEARCH TEXT "', b"\\"),
    (b"cc SELECT {", b"1"), (b"cc SELECT {5", b"+"), (b"cc SELECT {", b"0"),
    (b"cc SEARCH TEXT {65536+}\r\n", b"a"),
    (b"cc SEARCH TEXT {16777216+}\r\n", b"a"), (b"cc XYZZY {", b"{"),
    (b"cc STATUS INBOX (", b"M"), (b"cc STATUS INBOX (UNSEEN", b" "),
    (b"cc FETCH ", b"1"), (b"cc FETCH 1", b","), (b"cc FETCH 1:", b"*"),
    (b"cc FETCH 1 BODY[", b"1"), (b"cc FETCH 1 BODY[", b"T"),
    (b"cc FETCH 1 BODY[HEADER.FIELDS (", b"a"), (b"cc FETCH 1 BODY[]<", b"0"),
    (b"cc FETCH 1 (", b"U"), (b'cc LIST "" ', b"*"), (b"cc LIST ", b"%"),
    (b"cc SEARCH ", b"("), (b"cc SEARCH KEYWORD ", b"a"),
    (b"cc SEARCH ON ", b"1"), (b'cc SEARCH ON "', b"1"),
    (b"cc SEARCH LARGER ", b"0"), (b"cc ID (", b'"'), (b'cc ID ("', b"a"),
    (b"cc LOGIN ", b"a"), (b"cc NOOP", b"\r"), (b"cc NOOP ", b"\xff"),
]


def test_endless(tap, world):
    """Then a line end, after all. See Client.measure for the memory."""
    bad = []
    for head, byte in ENDLESS:
        data = head + byte * (16 * MB) + b"\r\n"
        bad += play(world, [Case("16 MB", data, "BAD NO")], SELECT,
                    most=COMMAND_MOST)
    tap.point("CVE-2025-61600: inside each of %d tokens 16 MB without an "
              "end, in little memory" % len(ENDLESS), bad)


def test_patterns(tap, world):
    """Names that nearly match, at 2,000 places."""
    for i in range(2000):
        world.file("wild/" + "a" * 40 + "%d" % i)
    patterns = [b"*a" * 100 + b"*b", b"%a" * 100 + b"%b", b"*a%a" * 50 + b"b",
                b"wild/" + b"*a" * 11 + b"*b", b"*%" * 200 + b"b",
                b"%/" * 100 + b"*", b"*/" * 100 + b"*", b"*" * 1000 + b"b",
                b"wild/%" + b"a*%" * 100, b"%" * 1000]
    cases = [Case("pattern", b'cc %s "" %s\r\n' % (command, pattern), "OK")
             for pattern in patterns for command in (b"LIST", b"LSUB")]
    cases += [Case("pattern", b'cc LIST wild/ %s\r\n' % (b"*a" * 12), "OK")]
    tap.point("CVE-2021-40110, CVE-2011-0762: 100 wildcards over 2,000 names",
              play(world, cases) + play(world, cases, most=COMMAND_MOST))
    for i in range(2000):
        os.unlink(world.path("wild/" + "a" * 40 + "%d" % i))


# ---- who does not mean us ----

HELLO = bytes.fromhex(
    "1603010200010001fc0303") + bytes(range(32)) + b" " + bytes(range(32)) + \
    bytes.fromhex("003e130213031301c02cc030009fcca9cca8ccaac02bc02f009ec0240a")
STRANGERS = [
    ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"),
    ("HTTP, posted", b"POST / HTTP/1.1\r\n" + b"X-Field: x\r\n" * 20 +
     b"\r\nzz LOGOUT\r\n"),
    ("TLS", HELLO + b"\r\n"),
    ("SMTP", b"EHLO localhost\r\nMAIL FROM:<a@b>\r\nQUIT\r\n"),
    ("POP3", b"USER alex\r\nPASS x\r\nQUIT\r\n"),
    ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\0\0\5\xdc\x06\x14" + b"\n"),
    ("a proxy's header", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"),
    ("a proxy's header 2", b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c" + b"\n"),
]


def test_strangers(tap, world):
    for root in [False] + [True] * ROOT:
        bad = []
        for what, data in STRANGERS:
            with world.client(root=root) as c:
                c.talk(data + b"zz NOOP\r\n", b"zz ")
                bad += c.finish() + world.validate(c.raw)
            answer = list(lines(c.raw))[1:]
            if len(answer) < 2 or any(not re.match(
                    rb"\S+ BAD |\* BYE |zz OK NOOP", x) for x in answer):
                bad.append("%s: %s" % (what, show(b" / ".join(answer), 200)))
        tap.point("HTTP, TLS, SMTP and others are BAD or BYE" +
                  (" before login" if root else ""), bad)


def test_bad_max(tap, world):
    """params.h: BAD_MAX in a row. One that is good begins a new row."""
    for root, most in [(False, 20)] + [(True, 3)] * ROOT:
        bad = []
        for data, alive in ((b"x\r\n" * most, False),
                            (b"x\r\n" * (most - 1), True),
                            ((b"x\r\n" * (most - 1) + b"a NOOP\r\n") * 5,
                             True),
                            (b"\r\n" * most, False),
                            (b"\n" * 100000, False)):
            with world.client(root=root) as c:
                c.talk(data + b"zz NOOP\r\n", b"zz ")
                bad += c.finish() + world.validate(c.raw)
            n = len(re.findall(rb"^\S+ BAD ", bytes(c.raw), re.M))
            if alive != (b"\nzz OK " in c.raw) or \
                    alive == (b"\n* BYE " in c.raw) or \
                    (not alive and n != most):
                bad.append("%s: %d BAD and then %s" % (
                    show(data), n, show(c.raw[-60:])))
        tap.point("%d bad commands in a row, not one less, are BYE%s" %
                  (most, " before login" if root else ""), bad)


def test_noise(tap, world):
    """A megabyte; a line is as long as chance has it."""
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    noise = random.Random(seed)
    print("# SEED=%d" % seed)
    cases = []
    while len(cases) < 2048:
        data = noise.randbytes(512)
        # As if it had been said behind a tag: what it says must be BAD.
        for line in (data.replace(b"\n", b"\r"), data):
            cases.append(Case("noise", b"cc " + line[:253] + b"\r\n",
                              "BAD", bye=True))
    for how in ({}, {"most": COMMAND_MOST}):
        tap.point("binary noise of 1 MB is BAD", play(world, cases, **how))
    bad = []
    for root in [False] + [True] * ROOT:
        with world.client(root=root) as c:
            c.talk(noise.randbytes(MB), b"\0")
            bad += c.finish() + world.validate(c.raw)
        if b"\n* BYE " not in c.raw:
            bad.append("no BYE: " + show(c.raw[-60:]))
    tap.point("binary noise of 1 MB without a pause is BYE", bad)


# ---- before login ----

def test_login(tap, world):
    """The arguments are a stranger's, and the process is root's. What is a
    try, and waits for its refusal, is in login.t."""
    if not ROOT:
        tap.skip("CVE-1999-0005: AUTHENTICATE of all lengths", "needs root")
        return
    cases = []
    for k in range(0, 21):
        for n in {0, 1, 2 ** k - 1, 2 ** k, 2 ** k + 1}:
            text = b"a" * n
            for said in (text or b'""', b'"%s"' % text,
                         b"{%d+}\r\n%s" % (n, text)):
                cases += [Case("login", b"cc %s\r\n" % (form % said),
                               "NO BAD", plus=0) for form in (
                    b"LOGIN %s ", b"AUTHENTICATE %s",
                    b"AUTHENTICATE PLAIN {%s}")]
    for said in (b'"a\\', b"{3+}\r\na\0b", b"{-1}", b"{4294967296}", b"("):
        cases += [Case("login", b"cc LOGIN %s x\r\n" % said, "NO BAD"),
                  Case("login", b"cc LOGIN x %s\r\n" % said, "NO BAD")]
    for line in (b"SELECT INBOX", b'LIST "" *', b"FETCH 1 ALL", b"CREATE x",
                 b"IDLE", b"NOOP " + b"(" * 4000, b"STARTTLS x"):
        cases.append(Case("too early", b"cc %s\r\n" % line, "NO BAD"))
    for how in ({}, {"most": COMMAND_MOST}):
        tap.point("CVE-1999-0005, CVE-1999-0042, CVE-2004-1011, "
                  "CVE-2019-10691: before login, %d commands%s" % (
                      len(cases), ", in little memory" if how else ""),
                  play(world, cases, root=True, **how))


def main():
    tap = Tap()
    with World() as world:
        for test in (test_spoilt, test_wrong, test_literal_sizes,
                     test_smuggled, test_cut_off, test_long_lines,
                     test_many, test_endless, test_patterns, test_strangers,
                     test_bad_max, test_noise, test_login):
            world.file(world.inbox, INBOX)
            test(tap, world)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
