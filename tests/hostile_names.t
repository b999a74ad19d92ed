#!/usr/bin/env python3
"""hostile_names.t - names that no mailbox may have, and traps laid in the
home: whatever command they come in, nothing outside is opened or shown, and
nothing is waited for. See hostile.py."""

import os
import re
import socket
import stat
import sys
from functools import partial

sys.dont_write_bytecode = True
from hostile import Case, Tap, World, lines, play, show

SECRET = b"From a@b Thu Aug 22 12:36:23 2002\nSubject: not for you\n\nx\n"
MINE = b"From a@b Thu Aug 22 12:36:23 2002\nSubject: mine\n\nx\n"

# What LIST may show, and these open. Links that stay inside are fine.
# What is no name on the wire is shown as one (RFC 3501 5.1.3).
GOOD = [b"INBOX", b"good", b"inside", b"dir/x", b"dirlink/x", b"%n%s%x%n",
        b"empty", b"dir&-AC8-x", b"&-"]

DIRS = [b"dir", b"dirlink"]
FETCH = b"f UID FETCH 1:* BODY.PEEK[]\r\n"

# Behind each of these is something, where that can be: what opens nothing
# because there is nothing shows nothing. "OUT" is the directory outside.
FORBIDDEN = [
    b"..", b"../outside/secret", b"dir/../../outside/secret", b"dir/../good",
    b"../home/good", b"./good", b"dir/./x", b"dir/..", b"/", b"//", b"//good",
    b"good/", b"dir//x", b"dir/", b"dir", b"/good", b"/etc/passwd",
    b"/dev/null", b"OUT/secret", b"OUT/../home/good", b"/../..OUT/secret",
    b"~", b"~root", b"~root/x", b"~alex/good", b"~/..", b"~/../outside/secret",
    b"~//good", b"#mh/", b"#mh/x", b"#news.x", b"{host}", b"{host}x",
    b"{localhost/imap}x", b".ssh/x", b".hidden", b"dir/.b", b"x.lock",
    b"dir/y.lock", b"..&AC8-outside&AC8-secret", b"dir&AC8-x", b"&AC8-",
    b"&AAA-", b"good&AAA-", b"good\0", b"good\0x", b"\0", b"good\r", b"good\n",
    b"go\nod", b"good\r\nz OK", b"good\x7f", b"good\x1b[2J", b"\xff\xfe",
    b"caf\xc3\xa9", b"good\xc0\xaf", b"&", b"&-&", b"g" * 1025, b"g" * 4096,
    b"../" * 1000 + b"etc/passwd", b"d/" * 500 + b"x", b"fifo", b"fifolink",
    b"socket", b"device", b"null", b"zero", b"memory", b"outlink",
    b"outdir/secret", b"loop", b"loopdir/x", b"self/self/self/fifo",
    b"locked", b"lockeddir/x", b"notmail", b"dangling", b"no such",
]


def make_names(world):
    world.file(os.path.join(world.base, "outside", "secret"), SECRET)
    for name in ("good", "dir/x", "%n%s%x%n", "dir&AC8-x", "&"):
        world.file(name, MINE)
    world.file("empty")
    for name in ("#mh/x", "#news.x", "{host}", "{host}x",
                 "{localhost/imap}x", "~root", "~alex/good", ".ssh/x",
                 ".hidden", "dir/.b", "x.lock", "dir/y.lock", "good\n",
                 "good\x7f", "locked", "lockeddir/x", "caf\udce9"):
        world.file(name, SECRET)
    world.file("notmail", b"root:x:0:0::/:/bin/sh\n")
    os.chmod(world.path("locked"), 0)
    os.chmod(world.path("lockeddir"), 0)
    world.link("inside", "good")
    world.link("dirlink", "dir")
    world.link("outlink", "../outside/secret")
    world.link("outdir", "../outside")
    world.link("dangling", "nothing")
    world.link("loop", "loop")
    world.link("loopdir", "loopdir2")
    world.link("loopdir2", "loopdir")
    world.link("self", ".")
    world.link("null", "/dev/null")
    world.link("zero", "/dev/zero")
    world.link("memory", "/proc/self/mem")
    world.link("fifolink", "fifo")
    world.give(os.mkfifo(world.path("fifo")) or world.path("fifo"))
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(world.path("socket"))
    try:
        os.mknod(world.path("device"), stat.S_IFCHR | 0o666,
                 os.makedev(1, 5))
    except PermissionError:
        pass


def spellings(name):
    """A name as atom, quoted and literal, as far as the grammar has it."""
    if re.fullmatch(rb'[^\0- (){%*"\\\x7f-\xff]+', name):
        yield name
    if not re.search(rb"[\0\r\n]", name):
        yield b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    yield b"{%d+}\r\n%s" % (len(name), name)
    yield b"{%d}\r\n%s" % (len(name), name)


LISTED = re.compile(rb'\* (?:LIST|LSUB) \((.*)\) "/" (?:"(.*)"|(\S+))')


def leaks(world, raw):
    """Names that may not be listed, and content that may not be seen."""
    home = os.fsencode(world.home) + b"/"
    for m in filter(None, map(LISTED.fullmatch, lines(raw))):
        name = m.group(3) or m.group(2)
        short = name.removeprefix(b"~/").removeprefix(home)
        # "" and "/": the name of the root (RFC 3501 6.3.8).
        if short not in (DIRS + [b"", b"/"] if b"\\Noselect" in m.group(1)
                         else GOOD):
            yield "lists " + show(name)
    if b"not for you" in raw:
        yield "shows what is not for you"


def test_names(tap, world):
    """Whatever is selected is looked into."""
    out = os.path.join(world.base, "outside").encode()
    forbidden = [n.replace(b"OUT", out) for n in FORBIDDEN]
    for form in (b"SELECT %s", b"EXAMINE %s", b"STATUS %s (MESSAGES UIDNEXT)"):
        cases = [Case(want, b"cc " + form % said + b"\r\n" + FETCH, want)
                 for names, want in ((forbidden, "NO BAD"), (GOOD, "OK"))
                 for name in names for said in spellings(name)]
        tap.point("CVE-2006-2414, CVE-2007-2231, CVE-2018-19518: %s of %d "
                  "spellings opens mailboxes, no FIFO and no link out" %
                  (form.split()[0].decode(), len(cases)),
                  play(world, cases, look=partial(leaks, world)))
    cases = [Case("LIST", b"cc " + form % said + b"\r\n", "OK NO BAD")
             for name in forbidden for said in spellings(name)
             for form in (b'LIST "" %s', b"LIST %s *", b"LIST %s %%",
                          b'LIST %s ""', b"LIST ~/ %s", b"LSUB %s *")]
    cases += [Case("LIST", b'cc %s "" %s\r\n' % (command, pattern),
                   "OK NO BAD") for command in (b"LIST", b"LSUB")
              for pattern in (b"*", b"%/%", b"*/*", b"~/*", b".*", b"*.*",
                              b"../*", b"/*", b"/etc/*", b"#*", b"~*", b"*/x",
                              b"dir/../*", b"*/../*", b".ssh/*", b"*.lock",
                              b"out*/*", b"*&AC8-*", b"{*", b"loop*/*")]
    tap.point("CVE-2006-2414: %d times LIST and LSUB show no such name" %
              len(cases), play(world, cases, look=partial(leaks, world)))


def test_list_exactly(tap, world):
    with world.client() as c:
        c.talk(b'a LIST "" *\r\n', b"a ")
        bad = c.finish()
        names = sorted(line.split(b'"/" ')[1].strip(b'"') for line in
                       lines(c.raw) if line.startswith(b"* LIST"))
    if names != sorted(GOOD + DIRS):
        bad.append("it shows " + show(b" ".join(names), 400))
    tap.point("LIST of a home full of traps shows the mailboxes", bad)


def test_echoed_name(tap, world):
    """CVE-2004-0777: what comes back is the name, to the letter."""
    with world.client() as c:
        c.talk(b'a STATUS "%n%s%x%n" (MESSAGES)\r\n'
               b'b SELECT "%n%s%x%n"\r\n', b"b ")
        bad = c.finish() + world.validate(c.raw)
    path = os.path.join(world.home, "%n%s%x%n").encode()
    for what in (b'* STATUS "%n%s%x%n" (MESSAGES 1)',
                 b"first unseen message in " + path, b"b OK ["):
        if what not in c.raw:
            bad.append("without " + show(what))
    tap.point("CVE-2004-0777: a mailbox called %n%s%x%n", bad)


def test_strange_inbox(tap, world):
    """Someone has put another thing where INBOX should be."""
    bad = []
    for name in ("fifo", "fifolink", "socket", "device", "null", "zero",
                 "dir", "loop", "locked"):
        if not os.path.lexists(world.path(name)):
            continue    # only root makes devices
        cases = [Case(name, b"cc %s\r\n" % line, "NO") for line in (
            b"SELECT INBOX", b"EXAMINE inbox", b"STATUS INBOX (MESSAGES)")]
        cases.append(Case(name, b'cc LIST "" *\r\n', "OK"))
        bad += play(world, cases, mail=world.path(name))
        if bad:
            break       # each could cost a WATCHDOG
    tap.point("INBOX that is a FIFO, a device, a directory: NO at once", bad)


def main():
    tap = Tap()
    with World() as world:
        world.file(world.inbox, MINE)
        make_names(world)
        test_names(tap, world)
        test_list_exactly(tap, world)
        test_echoed_name(tap, world)
        test_strange_inbox(tap, world)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
