"""clients.py - what stands around a mail program when it talks to the server
through xinetd (service.py): a relay that keeps both sides' bytes for the
validator, a home of its own, a terminal; the mail that it finds; and a reader
of mbox files that accounts for each byte. What the programs do, and what must
come of it, stands in clients.t.
"""

import os
import pty
import re
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time

import mailboxes
from hostile import NOBODY, ROOT, VALIDATE, WATCHDOG, lines, show
from talk import commands

# ---- mail ----

# From_ lines, as each program makes them, and messages as it stores them.
FRESH = [
    (b"From sven@example.se  Sat Mar 14 10:02:11 2026\n",
     b"Return-Path: <sven@example.se>\nFrom: Sven <sven@example.se>\n"
     b"To: all@smallorg.example\nSubject: Eight bits\n"
     b"Message-ID: <fresh-1@example.se>\nX-Status-Page: green\n"
     b"MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\n"
     b"Content-Transfer-Encoding: 8bit\n\nSm\xf6rg\xe5s, \xff and \xa0.\n"),
    (b"From dos@example.org  Sat Mar 14 10:03:00 2026\r\n",
     b"From: Dos <dos@example.org>\r\nSubject: Carriage returns\r\n"
     b"Message-ID: <fresh-2@example.org>\r\nX-UIDL: (a&b\"c\r\n"
     b"\r\none\r\n\r\ntwo\r\n"),
    (b"From odile@example.fr  Sat Mar 14 10:04:00 2026\n",
     b"From: Odile <odile@example.fr>\nSubject: Quoted by the MDA\n"
     b"Message-ID: <fresh-3@example.fr>\nX-Priority: 3\n"
     b"X-Keywords-Of-Mine: x\n\n"
     b">From here it is 4 m.\n\n>From there\n>>From twice\n"),
    (b"From yuki@example.jp  Sat Mar 14 10:05:00 2026\n",
     b"From: Yuki <yuki@example.jp>\nSubject: An empty body\n"
     b"Message-ID: <fresh-4@example.jp>\n\n"),
    (b"From tomas@example.net  Sat Mar 14 10:06:00 2026\n",
     b"From: Tomas <tomas@example.net>\nSubject: With a file\n"
     b"Message-ID: <fresh-5@example.net>\nMIME-Version: 1.0\n" +
     mailboxes.multipart("mixed", "=_f", [
         mailboxes.plain("Attached.\n"),
         mailboxes.part("application/octet-stream; name=all.bin",
                        bytes(range(256)) * 64, "base64",
                        disposition="attachment; filename=all.bin")])),
    (b"From ewan@example.net  Sat Mar 14 10:07:00 2026\n",
     b"From: Ewan <ewan@example.net>\nSubject: Blank lines at the end\n"
     b"Message-ID: <fresh-6@example.net>\n\n\n\nin the middle\n\n\n"),
]

# What clients add: lines like From_ are quoted by the server, not by them.
ADDED = [
    b"From: Me <me@example.org>\nSubject: Added, plain\n"
    b"Date: Sat, 14 Mar 2026 12:00:00 +0100\n"
    b"Message-ID: <added-1@example.org>\nX-Mine: kept\n\nHello.\n",
    b"From: Me <me@example.org>\nSubject: Added, like From_\n"
    b"Date: Sat, 14 Mar 2026 12:01:00 +0100\n"
    b"Message-ID: <added-2@example.org>\n\nFirst\n\n"
    b"From me@example.org Sat Mar 14 12:00:00 2026\nSubject: not one\n\n"
    b">From quoted before\n",
    b"From: Me <me@example.org>\nSubject: Added, eight bits\n"
    b"Date: Sat, 14 Mar 2026 12:02:00 +0100\n"
    b"Message-ID: <added-3@example.org>\nMIME-Version: 1.0\n"
    b"Content-Type: text/plain; charset=utf-8\n"
    b"Content-Transfer-Encoding: 8bit\n\nGr\xc3\xbc\xc3\x9fe\n",
]


def initial():
    """A mailbox that UW left, and what MDAs have put behind it."""
    return mailboxes.make("demo") + b"".join(
        line + text + (b"\r\n" if line.endswith(b"\r\n") else b"\n")
        for line, text in FRESH)


def crlf(text):
    return re.sub(rb"\r?\n", b"\r\n", text)


def lf(text):
    return text.replace(b"\r\n", b"\n")


def quoted(text):
    """As the server stores what a client sends."""
    return re.sub(rb"(?m)^(>*From )", rb">\1", text)


def subject(text):
    m = re.search(rb"(?im)^subject:[ \t]*(.*?)\r?$",
                  text[:text.find(b"\n\n") + 1] or text)
    return m.group(1) if m else b""


# ---- the file ----

FROM = re.compile(rb"^From \S+ +\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d "
                  rb"\d{4}( [-+]\d{4})?\r?\n", re.M)
NAMES = rb"X-IMAPbase|X-IMAP|Status|X-Status|X-Keywords|X-UID|X-IMAPd-Quoted"
OURS = re.compile(rb"(?im)^(" + NAMES + rb")[ \t]*:[ \t]*(.*?)[ \t]*\r?\n")
# The block at the end of a header, as UW writes it.
BLOCK = re.compile(
    rb"((?:X-IMAPbase: \d{10} \d{10}(?: [^ \n]+)* *\n)?"
    rb"Status: R?(O?)\nX-Status: D?F?A?T?\nX-Keywords:(?: [^ \n]+)* *\n"
    rb"(?:X-IMAPd-Quoted: rd\n)?X-UID: \d+\n)")
SYSTEM = {"R": "\\Seen", "D": "\\Deleted", "F": "\\Flagged",
          "A": "\\Answered", "T": "\\Draft"}


class Message:
    """line: its From_ line, None where a client's message has any. text: all
    behind it that is not the server's, as it stands in the file. uid: None
    where it is the next. theirs: a regular expression for what the client
    adds to the header."""

    theirs = None

    def __init__(self, text, line=None, flags=(), keywords=(), uid=None,
                 as_is=True):
        self.text, self.line, self.uid = text, line, uid
        self.flags, self.keywords = set(flags), set(keywords)
        self.quoted = not as_is and quoted(text) != text
        if self.quoted:
            self.text = quoted(text)

    def copy(self):
        """As COPY makes it: another From_ line, flags and keywords."""
        return Message(self.seen(), None, self.flags, self.keywords,
                       as_is=False)

    def seen(self):
        """As clients see it, with LFs."""
        text = lf(self.text)
        return re.sub(rb"(?m)^>(>*From )", rb"\1", text) if self.quoted \
            else text

    def subject(self):
        return subject(lf(self.text))

    def __repr__(self):
        return "%s (uid %s %s)" % (show(self.subject(), 40), self.uid,
                                   " ".join(sorted(self.flags |
                                                   self.keywords)))


class Box:
    """A mailbox file: its bytes are From_ line, text, block and empty line
    of one message after the other; what can not be read so is in bad."""

    def __init__(self, data):
        self.bad, self.msgs, self.base = [], [], None
        at = [m.start() for m in FROM.finditer(data) if m.start() == 0 or
              data[:m.start()].endswith((b"\n\n", b"\n\r\n"))]
        if data and (not at or at[0] != 0):
            self.bad.append("no From_ line first: " + show(data))
        for a, b in zip(at, at[1:] + [len(data)]):
            self.take(data[a:b])

    def take(self, data):
        end = data.index(b"\n") + 1
        line, rest = data[:end], data[end:]
        m = re.search(rb"\r?\n\r?\n", rest)
        cut = m.end() if m else len(rest)
        head, body = rest[:cut], rest[cut:]
        fields = {k.lower(): v for k, v in OURS.findall(head)}
        if b"x-imap" in fields:
            self.base = fields[b"x-imap"].split()
            if self.msgs:
                self.bad.append("a pseudo message behind mail")
            return
        text = OURS.sub(b"", head) + body
        eol = b"\r\n" if line.endswith(b"\r\n") else b"\n"
        if not text.endswith(eol):
            self.bad.append("no empty line behind " + show(text[-40:]))
        msg = Message(text[:-len(eol)], line)
        self.base = self.base or fields.get(b"x-imapbase", b"").split()
        letters = (fields.get(b"status", b"") +
                   fields.get(b"x-status", b"")).decode()
        msg.flags = {SYSTEM[c] for c in letters if c in SYSTEM}
        msg.keywords = set(fields.get(b"x-keywords", b"").decode().split())
        msg.uid = int(fields.get(b"x-uid", 0)) or None
        msg.quoted = b"x-imapd-quoted" in fields
        self.msgs.append(msg)
        msg.block = lf(re.search(rb"((?:^(?:%s):[^\n]*\n)*)\r?\n?\Z" % NAMES,
                                 head, re.M | re.I).group(1))


def judge(path, want, uidvalidity, last):
    """What is wrong with a mailbox file that should hold these messages;
    last: the highest UID before anything was added."""
    with open(path, "rb") as f:
        box = Box(f.read())
    bad, name = box.bad, os.path.basename(path)
    if len(box.msgs) != len(want):
        bad.append("%d messages, not %d: %s" % (
            len(box.msgs), len(want), difference(box.msgs, want)))
    if uidvalidity and (not box.base or int(box.base[0]) != uidvalidity):
        bad.append("UIDVALIDITY of %s, not %d" % (box.base, uidvalidity))
    for i, (got, msg) in enumerate(zip(box.msgs, want), 1):
        where = "message %d, %s" % (i, msg)
        if msg.line is not None and got.line != msg.line:
            bad.append("%s: From_ line %r" % (where, got.line))
        if msg.theirs is not None:
            got.text = re.sub(msg.theirs, b"", got.text, 1)
        if got.text != msg.text:
            bad.append("%s: text: %s" % (where, first_difference(
                got.text, msg.text)))
        if (got.flags, got.keywords) != (msg.flags, msg.keywords):
            bad.append("%s: flags %s" % (where, got))
        if got.quoted != msg.quoted:
            bad.append("%s: quoted: %s" % (where, got.quoted))
        m = BLOCK.fullmatch(got.block)
        if m is None or msg.uid is not None and not m.group(2):
            bad.append("%s: block %r" % (where, got.block))
        if msg.uid is not None and got.uid != msg.uid or \
                msg.uid is None and (got.uid or 0) <= last:
            bad.append("%s: UID %s, last was %d" % (where, got.uid, last))
        last = max(last, got.uid or 0)
    if not box.base or int(box.base[1]) < last:
        bad.append("last UID of %s, not %d" % (box.base, last))
    return [name + ": " + text for text in bad]


def difference(got, want):
    a, b = [m.text for m in got], [m.text for m in want]
    return "too many %s; missing %s" % (
        [show(subject(lf(t)), 40) for t in a if t not in b],
        [show(subject(lf(t)), 40) for t in b if t not in a])


def first_difference(got, want):
    n = next((i for i, (x, y) in enumerate(zip(got, want)) if x != y),
             min(len(got), len(want)))
    return "at byte %d %s, not %s" % (n, show(got[max(0, n - 20):]),
                                      show(want[max(0, n - 20):]))


# Fields that clients add when they store a message, or take for themselves.
THEIRS = re.compile(rb"(?im)^(Status|X-Status|Lines|Content-Length|X-TUID|"
                    rb"X-OfflineIMAP|X-Keywords)[ \t]*:.*\n")


def bare(text):
    """A message without them, with LFs."""
    text = lf(text)
    end = text.find(b"\n\n") + 1
    return THEIRS.sub(b"", text[:end]) + text[end:]


def compare(got, want, what):
    """Two piles of messages, in any order."""
    got, want = sorted(map(bare, got)), sorted(map(bare, want))
    if got == want:
        return []
    more = [t for t in got if t not in want]
    less = [t for t in want if t not in got]
    bad = ["%s: %d messages, not %d" % (what, len(got), len(want))]
    bad += ["%s: another message: %s" % (what, first_difference(a, b))
            for a, b in zip(more, less)]
    return bad + ["%s: missing: %s" % (what, show(t)) for t in
                  less[len(more):]]


def maildir(path):
    """{name: bytes} of the messages in one."""
    found = {}
    for part in ("cur", "new"):
        for name in sorted(os.listdir(os.path.join(path, part))):
            with open(os.path.join(path, part, name), "rb") as f:
                found[part + "/" + name] = f.read()
    return found


# ---- the relay ----

class Passing:
    """One connection through the relay, and all that was said on it."""

    def __init__(self, near, port):
        self.near = near
        self.far = socket.create_connection(("127.0.0.1", port))
        self.sent, self.said = bytearray(), bytearray()

    def mechanism(self):
        """By which it logged in; "" by LOGIN."""
        m = re.search(rb"(?im)^\S+ +AUTHENTICATE +(\S+)", self.sent)
        return m.group(1).decode().upper() if m else ""

    def run(self):
        """Until the server has hung up, or both are silent for long."""
        ways = {self.near: (self.far, self.sent),
                self.far: (self.near, self.said)}
        with self.near, self.far:
            while self.far in ways:
                ready = select.select(list(ways), [], [], WATCHDOG)[0]
                if not ready:
                    return
                for end in ready:
                    other, kept = ways[end]
                    try:
                        data = end.recv(1 << 16)
                    except ConnectionError:
                        data = b""
                    kept += data
                    try:
                        if data:
                            other.sendall(data)
                        else:
                            del ways[end]
                            other.shutdown(socket.SHUT_WR)
                    except OSError:     # it has gone already
                        pass


class Relay:
    """Stands between clients and the server."""

    def __init__(self, port):
        self.server = port
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        self.passings, self.threads = [], []
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def accept(self):
        while True:
            near = self.door.accept()[0]
            if self.closing:
                near.close()
                return
            passing = Passing(near, self.server)
            self.passings.append(passing)
            self.threads.append(threading.Thread(target=passing.run,
                                                 daemon=True))
            self.threads[-1].start()

    closing = False

    def close(self):
        """When all that was said has been passed on."""
        self.closing = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        self.thread.join()
        self.door.close()
        for thread in self.threads:
            thread.join()

    def take(self):
        """The finished connections since the last time."""
        for thread in self.threads:
            thread.join()
        found, self.passings, self.threads = self.passings, [], []
        return found


def validate(passing):
    """Complaints about all that the server said on a connection."""
    said, sent = bytes(passing.said), bytes(passing.sent)
    with tempfile.NamedTemporaryFile() as a, \
            tempfile.NamedTemporaryFile() as b:
        a.write(said)
        b.write(commands(sent, said, False))
        a.flush()
        b.flush()
        run = subprocess.run([VALIDATE, "-c", b.name, a.name],
                             capture_output=True, text=True,
                             errors="replace")
    return ["validator: " + line for line in
            (run.stdout + run.stderr).splitlines()] if run.returncode else []


# ---- a program and its house ----

PASSWORD = "two words \"quoted\" 100%"
# What the log has of a session; all these programs take their leave.
LOGINS, LOGOUT = ("Login", "Authenticated"), "Logout"


class Scene:
    """One user's mail, one program that reads it, the bytes between them."""

    def __init__(self, service, user):
        self.service, self.user = service, user
        self.password = service.password(user)
        self.inbox = service.inbox(user)
        self.mail = service.home(user)
        self.home = service.path("client-" + user)
        os.mkdir(self.home, 0o700)
        self.give(self.home)
        with open(self.inbox, "wb") as f:
            f.write(initial())
        with open(self.inbox, "rb") as f:
            self.msgs = Box(f.read()).msgs
        self.last = 54
        for n, msg in enumerate(self.msgs, 1):
            msg.uid = n         # which the fresh ones will get
        self.uidvalidity = 1767603000
        self.relay = Relay(service.port)
        self.port = self.relay.port
        self.made = 0           # messages in Maildirs
        self.logins = {}        # {what the log must have: how often}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.relay.close()

    # ---- the expectation ----

    def bytes(self, name="INBOX"):
        """Of a mailbox file."""
        with open(self.inbox if name == "INBOX" else
                  os.path.join(self.mail, name), "rb") as f:
            return f.read()

    def find(self, title):
        """The one message with this subject."""
        found = [m for m in self.msgs if m.subject() == title]
        if len(found) != 1:
            raise RuntimeError("%d messages are called %r" % (len(found),
                                                              title))
        return found[0]

    def expunge(self, *titles):
        """The messages that have these subjects, and those that had been
        deleted before, are gone."""
        for title in titles:
            self.find(title).flags.add("\\Deleted")
        self.msgs = [m for m in self.msgs if "\\Deleted" not in m.flags]

    def add(self, text, flags=(), keywords=()):
        msg = Message(text, None, flags, keywords, as_is=False)
        self.msgs.append(msg)
        return msg

    def deliver(self, text):
        """By procmail, as the mailbox's user."""
        rc = self.service.write("procmailrc-" + self.user,
                                ":0:\n%s\n" % self.inbox)
        subprocess.run(
            self.service.as_user(self.user) +
            ["procmail", "-f", "mda@example.org", "-m", rc], input=text,
            env=self.service.env(self.user), check=True, timeout=WATCHDOG,
            stderr=subprocess.DEVNULL)
        # As it stores it.
        self.msgs.append(Message(re.sub(rb"(?m)^From ", b">From ", text)))

    # ---- the program ----

    def give(self, path):
        if ROOT:
            os.chown(path, NOBODY, NOBODY)
        return path

    def path(self, *names):
        return os.path.join(self.home, *names)

    def file(self, name, data, mode=0o600):
        path = self.path(name)
        with open(path, "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        os.chmod(path, mode)
        return self.give(path)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def dir(self, name):
        os.mkdir(self.path(name), 0o700)
        return self.give(self.path(name))

    def maildir(self, name, msgs):
        """Makes one of messages: {flags: bytes}."""
        for part in ("", "tmp", "new", "cur"):
            self.dir(os.path.join(name, part))
        for letters, text in msgs.items():
            self.put_near(name, text, letters)

    def put_near(self, name, text, letters):
        """A message with these flags in a Maildir."""
        self.made += 1
        self.file("%s/%s/%d.%d.here%s" % (
            name, "cur" if letters else "new", 1773486000 + self.made,
            self.made, ":2," + letters if letters else ""), text)

    def env(self):
        return {"HOME": self.home, "PATH": os.defpath, "LC_ALL": "C.UTF-8",
                "USER": "nobody", "LOGNAME": "nobody", "TZ": "UTC",
                "TERM": "vt100", "TMPDIR": self.home}

    def command(self, argv):
        """The caller's own mail and settings are none of a client's."""
        return ["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY,
                "--clear-groups", "--"] + argv if ROOT else argv

    def run(self, *argv, status=0, stdin=b""):
        """What the program says on both its outputs."""
        run = subprocess.run(self.command(list(argv)), env=self.env(),
                             cwd=self.home, input=stdin,
                             stdout=subprocess.PIPE, timeout=WATCHDOG,
                             stderr=subprocess.STDOUT)
        if run.returncode != status:
            raise RuntimeError("%s: status %d: %s; %s" % (
                argv[0], run.returncode,
                run.stdout[-800:].decode(errors="replace"),
                self.last_words()))
        return run.stdout

    def run_on_terminal(self, *argv):
        """The same for a program that draws."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            self.command(list(argv)), env=self.env(), cwd=self.home,
            stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True)
        os.close(theirs)
        said, end = b"", time.monotonic() + WATCHDOG
        try:
            while select.select([ours], [], [],
                                max(0, end - time.monotonic()))[0]:
                try:
                    said += os.read(ours, 1 << 16)
                except OSError:     # the last one has closed the terminal
                    break
            else:
                raise RuntimeError("%s hangs: %s; %s" % (
                    argv[0], show(said[-600:], 600), self.last_words()))
            if process.wait(WATCHDOG) != 0:
                raise RuntimeError("%s: status %d: %r" % (
                    argv[0], process.returncode, said[-600:]))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            os.close(ours)
        return said

    def last_words(self):
        """Of the last connection, for who reads a failure."""
        if not self.relay.passings:
            return "it did not connect"
        passing = self.relay.passings[-1]
        return "C: %s S: %s" % (show(passing.sent[-300:], 300),
                                show(passing.said[-600:], 600))

    # ---- judging ----

    def talked(self, mechanism=None, connections=None, no=(), sent=()):
        """What is wrong with the connections since the last time.
        mechanism: how each must have logged in, "" for LOGIN, None where
        that is up to the program; connections: how many there were, where
        that is known; no: regular expressions for commands that NO may
        answer; sent: regular expressions for commands that must have been
        sent."""
        bad, passed = [], self.relay.take()
        for passing in passed:
            bad += validate(passing) + refused(passing, no)
            how = passing.mechanism()
            if mechanism not in (None, how):
                bad.append("logged in by %r, not %r" % (how, mechanism))
            self.expect_login(how)
        if not passed or connections not in (None, len(passed)):
            bad.append("%d connections, not %s" % (len(passed), connections))
        everything = b"".join(passing.sent for passing in passed)
        for want in sent:
            if not re.search(want, everything, re.I | re.M):
                bad.append("nothing like %r was sent: %s" % (
                    want, show(everything, 300)))
        self.service.until(
            lambda: sum(event not in LOGINS for event, _ in self.events())
            >= sum(self.logins.values()),
            "the servers of %s to end" % self.user)
        events = self.events()
        bad += ["%d times in the log: %s user=%s%s, not %d" % (
            events.count(event), event[0], self.user, event[1], n)
            for event, n in self.logins.items() if events.count(event) != n]
        return bad + [
            "in the log: %s user=%s%s" % (event[0], self.user, event[1])
            for event in events
            if event not in self.logins and event[0] != LOGOUT]

    def expect_login(self, mechanism):
        """One more line in the log."""
        line = (LOGINS[1], " host=[127.0.0.1] mech=" + mechanism) \
            if mechanism else (LOGINS[0], " host=[127.0.0.1]")
        self.logins[line] = self.logins.get(line, 0) + 1

    def events(self):
        """What the log has of this user: (event, what follows the name)."""
        return re.findall(r"(?m)^imapd\[\d+\]: (.*?) user=%s( .*)$" %
                          self.user, self.service.log())

    def judge(self):
        return judge(self.inbox, self.msgs, self.uidvalidity, self.last)

    def judge_folder(self, name, msgs):
        """Another mailbox of the user, made anew."""
        return judge(os.path.join(self.mail, name), msgs, None, 0)

    def other_client(self):
        """Somebody else at the same mailbox, past the relay."""
        client = self.service.connect(self.user)
        client.ok("SELECT INBOX")
        self.expect_login("")
        return client


def refused(passing, no):
    """What was answered BAD, or NO to what should work."""
    bad, asked = [], {}
    for line in passing.sent.split(b"\n"):
        m = re.match(rb"(\S+) +([A-Za-z]+.*?)\r?$", line)
        if m:
            asked[m.group(1)] = m.group(2)
    for line in lines(passing.said):
        m = re.match(rb"(\S+) (BAD|NO)\b", line)
        if m and (m.group(2) == b"BAD" or not any(
                re.match(r, asked.get(m.group(1), b""), re.I) for r in no)):
            bad.append("%s answered %s" % (
                show(asked.get(m.group(1), b"?")), show(line, 100)))
    return bad
