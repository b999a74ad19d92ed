#!/usr/bin/env python3
"""forgery.t - mail whose sender wrote the fields that mail programs keep for
themselves: X-UID, X-IMAPbase, Status and their like. Delivered into INBOXes
of every kind it changes nothing: UIDVALIDITY stays, UIDs rise by one a
message and none is given twice, nothing is hidden, nothing is \\Deleted, and
every other message is as it was.

What can be known is what stands in the file. So the rule is:

 - Once a mailbox has an X-IMAPbase (or a pseudo message) in its first
   message, that is the only one that counts, and an X-UID counts where it
   rises and is not above the last UID there. All the above holds.
 - An INBOX without one - of 0 bytes, or never opened by a program that
   stamps - has no memory. If the very first message bears a block of fields
   exactly as UW, Dovecot and we write it, it is taken for theirs: a sender
   can choose UIDVALIDITY, once, of a mailbox in which no UID has been
   given yet, and mark his own mail, there alone, as \\Deleted. From the
   first look on all holds again. A mail that is a pseudo message to the last
   word of its text, from MAILER-DAEMON, stays hidden there: it says nothing
   but "DON'T DELETE THIS MESSAGE".

 - Nor does a file remember UIDs above its highest X-UID that have been
   expunged: an X-UID in such a gap at the end, up to the last UID, is taken
   for a message that was there, with its flags. A session that was open, and
   one that finds the index of the last, know better.

Status: RO and the like of new mail are believed (a filter may have set
them), \\Deleted never.
"""

import fcntl
import glob
import os
import re
import sys

sys.dont_write_bytecode = True
from hostile import Tap, World, show
from interop import Imap, plain, visible

LARGE = 5000
FROM = b"From s@example.org  Thu Nov 29 22:33:52 2001\n"
DAEMON = b"From MAILER-DAEMON  Thu Nov 29 22:33:52 2001\n"
PSEUDO_SUBJECT = (b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL "
                  b"DATA\n")
PSEUDO_BODY = (b"This text is part of the internal format of your mail "
               b"folder, and is not\na real message.  It is created "
               b"automatically by the mail system software.\nIf deleted, "
               b"important folder data will be lost, and it will be "
               b"re-created\nwith the data reset to initial values.\n")


def block(base, uid, status="", xstatus="", keywords=""):
    """As UW writes it."""
    return (("X-IMAPbase: %s\n" % base if base else "") +
            "Status: %s\nX-Status: %s\nX-Keywords: %-30s\nX-UID: %s\n" %
            (status, xstatus, keywords, uid)).encode()


class Forgery:
    """name; the fields, which stand at the end of the header; above: at its
    beginning. trusted: the first message of an INBOX without memory may
    bear this. hidden: and is then not shown. claims: the UID that it gets
    where that is in a gap at the end."""

    def __init__(self, name, fields, above=b"", trusted=False, hidden=False,
                 claims=0, line=FROM, subject=b"Subject: forged\n",
                 body=b"forged\n"):
        self.name = name
        self.text = above + b"From: a@b\n" + subject + fields + b"\n" + body
        self.trusted = trusted
        self.hidden = hidden
        self.claims = claims
        self.line = line


FORGERIES = [
    Forgery("X-UID: 1", b"X-UID: 1\n", claims=1),
    Forgery("X-UID: 4294967295", b"X-UID: 4294967295\n"),
    Forgery("X-UID: 4294967290", b"X-UID: 4294967290\n"),
    Forgery("X-UID: 2147483647", block("", 2147483647)),
    Forgery("X-UID: 0", b"X-UID: 0\n"),
    Forgery("X-UID beyond 32 bits", b"X-UID: 4294967297\n"),
    Forgery("X-UID beyond 64 bits", b"X-UID: 18446744073709551617\n"),
    Forgery("X-UID: -1", b"X-UID: -1\n"),
    Forgery("X-UID of one that was expunged", block("", 2),
            claims=2),
    Forgery("X-UID of the next", block("", 4)),
    Forgery("X-UID twice", b"X-UID: 3\nX-UID: 1\n"),
    Forgery("X-IMAPbase alone", b"X-IMAPbase: 1 0000000009\n",
            trusted=True),
    Forgery("X-IMAPbase that uses UIDs up",
            b"X-IMAPbase: 1 4294967295\n"),
    Forgery("X-IMAPbase with a UIDVALIDITY of 2^32 - 1",
            block("4294967295 0000000007", 7)),
    Forgery("X-IMAPbase: 0 0", block("0 0", 1), claims=1),
    Forgery("X-IMAPbase below its X-UID", block("77 0000000002", 9)),
    Forgery("UW's block to the letter", block("77 0000000009 spam", 9),
            trusted=True),
    Forgery("UW's block with \\Deleted", block(
        "77 0000000009 spam", 9, "RO", "D", "spam"), trusted=True),
    Forgery("UW's block above other fields", b"X-Mailer: x\n",
            above=block("77 0000000009", 9)),
    Forgery("Dovecot's block", b"X-IMAPbase: 77 0000000009\nX-UID: 9\n"
            b"Status: O\n", trusted=True),
    Forgery("X-IMAPbase near the last UID",
            block("77 2147483640", 2147483640), trusted=True),
    Forgery("64 KB of keywords", b"X-IMAPbase: 77 0000000009" +
            b" keyword" * 8192 + b"\n", trusted=True),
    Forgery("X-IMAP alone", b"X-IMAP: 77 0000000009\n", trusted=True),
    Forgery("a pseudo message but for its From_ line",
            b"X-IMAP: 0000000077 0000000009\nStatus: RO\n",
            subject=PSEUDO_SUBJECT, body=PSEUDO_BODY, trusted=True),
    Forgery("a pseudo message but for its text",
            b"X-IMAP: 0000000077 0000000009\nStatus: RO\n",
            subject=PSEUDO_SUBJECT, line=DAEMON, trusted=True),
    Forgery("a pseudo message but for its Subject",
            b"X-IMAP: 0000000077 0000000009\nStatus: RO\n",
            body=PSEUDO_BODY, line=DAEMON, trusted=True),
    Forgery("a pseudo message to the letter",
            b"X-IMAP: 0000000077 0000000009\nStatus: RO\n",
            subject=PSEUDO_SUBJECT, body=PSEUDO_BODY, line=DAEMON,
            trusted=True, hidden=True),
    Forgery("X-Status: D", b"X-Status: D\n"),
    Forgery("Status: D", b"Status: ROD\n"),
    Forgery("all flags", b"Status: RO\nX-Status: DFAT\n"),
    Forgery("a keyword that nobody knows", b"X-Keywords: Junk $x *y\n"),
    Forgery("fields in other letters, twice and folded",
            b"x-uid: 1\nX-Uid:\n 2\nSTATUS: RO\nstatus: D\nX-STATUS:\n\tD\n"
            b"x-imapBASE: 7 8\nx-keywords : spam\nX-KEYWORDS: spam\n"),
    Forgery("fields above and below", b"X-UID: 3\nX-Status: D\n",
            above=b"X-UID: 2\nX-Status: D\n", claims=3),
    Forgery("Content-Length over what follows", b"Content-Length: 100000\n"),
    Forgery("Content-Length to the end of what follows",
            b"Content-Length: %d\n" % (len(b"forged\n") + 1 + len(FROM) +
                                       len(b"Subject: honest\n\nhonest\n"))),
    Forgery("Content-Length too short", b"Content-Length: 1\n"),
    Forgery("X-IMAPd-Quoted", b"X-IMAPd-Quoted: rd\n",
            body=b">From me\nforged\n"),
    Forgery("X-IMAPd-Quoted in our block", block("", 1).replace(
        b"X-UID", b"X-IMAPd-Quoted: rd\nX-UID"), claims=1,
            body=b">From me\nforged\n"),
]


# ---- an INBOX and sessions ----

class Box:
    def __init__(self, world):
        self.world = world
        self.said = []

    def session(self):
        w = self.world
        c = Imap([w.hard, "--log=stderr", "--fsync=never"],
                 {"USER": "alex", "HOME": w.home, "TZ": "UTC",
                  "MAIL": w.inbox, "PATH": os.defpath}, "/")
        self.said.append(c)
        return c

    def put(self, data):
        """Of a mailbox that we have seen before its index would tell what the
        forgeries try to; they are for one of which nothing is known."""
        for path in glob.glob(os.path.join(self.world.home, ".imapd",
                                           "*.*")):
            os.unlink(path)
        with open(self.world.inbox, "wb") as f:
            f.write(data)
        self.world.give(self.world.inbox)

    def get(self):
        with open(self.world.inbox, "rb") as f:
            return f.read()

    def deliver(self, text, line=FROM):
        """As Postfix does."""
        with open(self.world.inbox, "ab") as f:
            fcntl.lockf(f, fcntl.LOCK_EX)
            f.write(line + text + b"\n")

    def complaints(self):
        bad = []
        for c in self.said:
            bad += self.world.validate(bytes(c.raw))
        self.said = []
        return bad


def honest(n):
    return b"Subject: honest\nX-Number: %d\n\nhonest %d\n" % (n, n)


class State:
    """What a client knows of the mailbox that it has selected."""

    def __init__(self, c, most=8):
        """The first and last few messages, as they are shown."""
        self.open = False
        raw = c.ask("UID SEARCH ALL")
        self.uids = [int(w) for w in raw.split(b"\r\n")[0].split()[2:]]
        raw = c.ask("STATUS INBOX (UIDNEXT UIDVALIDITY)")
        self.uidnext, self.uidvalidity = map(int, re.search(
            rb"\(UIDNEXT (\d+) UIDVALIDITY (\d+)\)", raw).groups())
        raw = c.ask("SEARCH DELETED")
        self.deleted = raw.split(b"\r\n")[0].split()[2:]
        self.texts = {}
        if self.uids:
            wanted = self.uids[:2] + self.uids[-most:]
            found = c.read(",".join(map(str, wanted)))[2]
            self.texts = {s.uid: s.text for s in found}


def looked(box):
    with box.session() as c:
        c.select()
        state = State(c)
        c.bye()
    return state


# ---- the kinds of INBOX: each returns what it was before, or None ----

def zero(box):
    box.put(b"")
    return None


def emptied(box):
    """Three UIDs have been given; the pseudo message remembers."""
    box.put(b"".join(FROM + honest(i) + b"\n" for i in range(3)))
    with box.session() as c:
        c.select()
        c.ask("STORE 1:* +FLAGS.SILENT (\\Deleted)")
        c.ask("EXPUNGE")
        c.bye()
    return looked(box)


def one(box):
    box.put(FROM + honest(0) + b"\n")
    return looked(box)


def some(box):
    """Three messages, and UID 2 was one that is gone."""
    box.put(b"".join(FROM + honest(i) + b"\n" for i in range(4)))
    with box.session() as c:
        c.select()
        c.ask("STORE 2 +FLAGS.SILENT (\\Deleted)")
        c.ask("EXPUNGE")
        c.bye()
    return looked(box)


def large(box):
    box.put(b"".join(FROM + honest(i) + b"\n" for i in range(LARGE)))
    return looked(box)


def unseen(box):
    box.put(b"".join(FROM + honest(i) + b"\n" for i in range(3)))
    return None


KINDS = [
    # name, how it is made, is a session open as the mail comes, is the
    # forged message the first one of a mailbox without memory
    ("an INBOX of 0 bytes", zero, False, True),
    ("an INBOX of 0 bytes that is open", zero, True, True),
    ("an emptied INBOX", emptied, False, False),
    ("an emptied INBOX that is open", emptied, True, False),
    ("an INBOX with one message", one, False, False),
    ("an INBOX with one message that is open", one, True, False),
    ("an INBOX with UIDs gone", some, False, False),
    ("an INBOX with UIDs gone that is open", some, True, False),
    ("an INBOX with %d messages" % LARGE, large, False, False),
    ("an INBOX that nobody has opened", unseen, False, False),
]


# ---- judging ----

def fair(text):
    """X-IMAPd-Quoted takes a ">" off its sender's own lines, at most."""
    return visible(text).replace(b"\n>From me", b"\nFrom me")


def judge(forgery, before, after, trusted, texts):
    """before: what was there, None if nobody could know. texts: what came,
    in order."""
    bad = []
    claims = 0
    n = len(before.uids) if before else after.known
    came = after.uids[n:]
    if [fair(t) for t in texts] != [fair(after.texts.get(u, b""))
                                    for u in came]:
        bad.append("not what came: %s" % [
            show(after.texts.get(u, b""), 300) for u in came])
    if sorted(set(after.uids)) != after.uids:
        bad.append("UIDs do not rise: %s" % after.uids[-8:])
    if before and not before.open and \
            max(before.uids, default=0) < forgery.claims < before.uidnext \
            and came[:1] == [forgery.claims]:
        claims = forgery.claims
    if after.deleted and not trusted and not claims:
        bad.append("\\Deleted: %s" % after.deleted)
    if not 0 < after.uidvalidity < 2 ** 31 or after.uidnext >= 2 ** 31:
        bad.append("UIDVALIDITY %d, UIDNEXT %d" % (after.uidvalidity,
                                                   after.uidnext))
    if before:
        if before.uids != after.uids[:n]:
            bad.append("other UIDs: %s, not %s" % (after.uids[:n][-8:],
                                                   before.uids[-8:]))
        if after.uidvalidity != before.uidvalidity:
            bad.append("UIDVALIDITY %d was %d" % (after.uidvalidity,
                                                  before.uidvalidity))
        given = [claims] if claims else []
        given += range(before.uidnext,
                       before.uidnext + len(came) - len(given))
        if came != given:
            bad.append("new UIDs %s, not %s" % (came, given))
        if given and after.uidnext != given[-1] + 1:
            bad.append("UIDNEXT %d was %d" % (after.uidnext,
                                              before.uidnext))
        bad += ["message %d is another: %s" % (u, show(t, 200))
                for u, t in before.texts.items() if after.texts.get(u, t) != t]
    return bad


def again(forgery, box, first):
    """Nothing more happens later, and nothing at all when it comes once
    more."""
    second = looked(box)
    bad = []
    if (second.uidvalidity, second.uids) != (first.uidvalidity, first.uids):
        bad.append("the next session: UIDVALIDITY %d, UIDs %s" % (
            second.uidvalidity, second.uids[-8:]))
    gone = first.uids[-2:][0]
    with box.session() as c:
        c.select()
        c.ask("UID STORE %d +FLAGS.SILENT (\\Deleted)" % gone)
        c.ask("UID EXPUNGE %d" % gone)
        c.bye()
    before = looked(box)
    box.deliver(forgery.text, forgery.line)
    bad += judge(forgery, before, looked(box), False, [forgery.text])
    return ["again: " + b for b in bad]


def try_one(forgery, box, known, data, is_open, is_first):
    box.put(data)
    came = [forgery.text, honest(99)]
    trusted = forgery.trusted and is_first
    if trusted and forgery.hidden:
        came = came[1:]
    if is_open:
        with box.session() as c:
            c.select()
            before = State(c)
            before.open = True
            box.deliver(forgery.text, forgery.line)
            box.deliver(honest(99))
            c.ask("NOOP")
            after = State(c)
            after.known = 0
            c.bye()
    else:
        box.deliver(forgery.text, forgery.line)
        box.deliver(honest(99))
        before, after = known, looked(box)
        after.known = data.count(b"X-Number")
    bad = judge(forgery, before, after, trusted, came)
    uidvalidity, _, found = plain(box.world.inbox)
    if known and uidvalidity != known.uidvalidity:
        bad.append("in the file UIDVALIDITY %s was %d" % (
            uidvalidity, known.uidvalidity))
    if not bad:
        bad = again(forgery, box, looked(box))
    return ["%s: %s" % (forgery.name, b) for b in bad]


def main():
    tap = Tap()
    with World() as world:
        box = Box(world)
        for name, make, is_open, is_first in KINDS:
            known = make(box)
            data = box.get()
            bad = []
            for forgery in FORGERIES:
                try:
                    bad += try_one(forgery, box, known, data, is_open,
                                   is_first)
                except RuntimeError as e:
                    bad.append("%s: %s" % (forgery.name, e))
                bad += box.complaints()
            tap.point("%d forgeries into %s" % (len(FORGERIES), name), bad)
    return tap.end()


sys.exit(main())
