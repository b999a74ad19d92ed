"""stress.py - numbered mail, what several hands may learn of it, and an IMAP
client that believes nothing. stress_*.py and mda.py build on it; stress.t has
the manual.

Every message has a number, in its header and in each line of its body. What
a number may suffer is decided by the number itself, so that whoever loses a
message that nobody may remove is found out however the actors interleave:

	n % 3 == 0	nobody deletes or drops it
	n % 5 == 0	nobody copies or moves it: it never stands twice

Each session knows which UID is which number, and all that any session ever
learns about a UID of a UIDVALIDITY must agree. Nothing here shares a line
with the program: mailboxes are read by Python's mailbox module.
"""

import mailbox
import os
import random
import re
import socket
import subprocess
import threading
import time
import traceback

NOBODY = 65534          # who the servers are when root runs the tests
# With LOGIN set the servers begin as root, and each session with a login.
LOGIN = 'LOGIN' in os.environ and os.geteuid() == 0
ROOT = os.geteuid() == 0
PATIENCE = 90           # seconds; nothing takes as long
BOXES = ('INBOX', 'box')
NUMBER = re.compile(rb'^X-Number: (\d+)\r?$', re.M)
ITEM = re.compile(rb'\* (\d+) (EXISTS|EXPUNGE|FETCH)\b')


class Wrong(Exception):
    """The server has broken a rule; n: with which message."""

    def __init__(self, text, n=None):
        super().__init__(text)
        self.n = n


# ---- the mail

def body(n):
    """Lines of their own length and words; some look like a From_ line."""
    rng = random.Random(n)
    lines = [b'line %d of %d %s' % (i, n, b'x' * rng.randrange(60))
             for i in range(rng.choice((1, 2, 3, 20, 300)))]
    if n % 7 == 0:
        lines.insert(1, b'From here to there, says %d' % n)
    return lines


def header(n):
    return [b'From: sender%d@example.org' % (n % 5),
            b'Subject: number %d' % n, b'X-Number: %d' % n,
            b'Message-ID: <%d@example.org>' % n]


def demote():
    if ROOT:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


# ---- what is known of it

class Model:
    """What all know together; every actor writes to it."""

    def __init__(self, home, plan):
        self.home, self.plan = home, plan
        self.lock = threading.RLock()
        self.next = 0
        self.sure = set()       # numbers that have come into a mailbox
        self.doomed = set()     # may be gone
        self.uids = {}          # (mailbox, validity, uid): number
        self.places = {}        # (mailbox, validity, number): uid
        self.recent = {}        # the same as of uids: whose \\Recent it was
        self.wrong = []
        self.done = {}

    def path(self, name):
        raise NotImplementedError

    def number(self):
        with self.lock:
            self.next += 1
            return self.next

    def count(self, what, n=1):
        with self.lock:
            self.done[what] = self.done.get(what, 0) + n

    def complain(self, text, n=None):
        with self.lock:
            self.wrong.append(text)

    def lasting(self):
        """Does a message keep its UID, and \\Recent its meaning?"""
        return True

    def learn(self, key, n, who):
        with self.lock:
            old = self.uids.setdefault(key, n)
            if old != n:
                raise Wrong('%s: UID %s is number %d, but was %d' %
                            (who, key, n, old), n)
            if n % 5 or not self.lasting():
                return
            # It never stood anywhere else, so it keeps its UID.
            old = self.places.setdefault((key[0], key[1], n), key[2])
            if old != key[2]:
                raise Wrong('%s: number %d is UID %s, but was %d' %
                            (who, n, key, old), n)


# ---- an IMAP client that believes nothing

def flat(line):
    """An answer without its literals."""
    m = re.search(rb'\{(\d+)\}\r\n', line)
    if m is None:
        return line
    return line[:m.end()] + flat(line[m.end() + int(m.group(1)):])


class Client:
    """One session: what it was told of the mailbox that is selected."""

    def start(self, program, env, log):
        """A server at the other end of a socket."""
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(program, stdin=theirs,
            stdout=theirs, stderr=log, env=env, cwd='/',
            preexec_fn=None if LOGIN else demote)
        theirs.close()
        ours.settimeout(PATIENCE)
        self.socket, self.file = ours, ours.makefile('rb')
        self.tags, self.name = 0, b''
        self.leave()
        self.line()

    def leave(self):
        self.box = self.validity = None
        self.numbers = []       # by sequence number: (uid, number), or None

    def heard(self, data):
        """All that the server says, as it comes."""

    def line(self):
        """One line with its literals."""
        all_of_it = b''
        while True:
            try:
                line = self.file.readline()
                self.heard(line)
                if not line.endswith(b'\r\n'):
                    raise EOFError
                all_of_it += line
                m = re.search(rb'\{(\d+)\}\r\n$', line)
                if m is None:
                    return all_of_it[:-2]
                literal = self.file.read(int(m.group(1)))
            except socket.timeout:
                raise Wrong('%s: no answer to %s' % (self.who, self.name))
            except ConnectionResetError:
                raise EOFError
            self.heard(literal)
            all_of_it += literal

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise EOFError

    def tag(self):
        self.tags += 1
        return b'%s%d' % (self.who.encode(), self.tags)

    def command(self, text, literals=()):
        """Returns the untagged lines and the tagged one's words."""
        tag = self.tag()
        self.send(tag + b' ' + text + b''.join(literals) + b'\r\n')
        return self.answer(tag, text)

    def answer(self, tag, text):
        self.name = text
        lines = []
        while True:
            line = self.line()
            os.write(self.log, b'%s -> %s\n' % (text[:70], line[:100]))
            if line.startswith(tag + b' '):
                if line.startswith(tag + b' BAD'):
                    raise Wrong('%s: %s -> %s' % (self.who, text, line))
                return lines, line[len(tag) + 1:]
            self.untagged(line)
            lines.append(line)

    def untagged(self, line):
        """What every line does to the numbering."""
        m = ITEM.match(line)
        if m is None or self.box is None:
            return
        n, what = int(m.group(1)), m.group(2)
        if what == b'EXISTS':
            if n < len(self.numbers):
                raise Wrong('%s: %s, but there were %d' %
                            (self.who, line, len(self.numbers)))
            self.numbers += [None] * (n - len(self.numbers))
            return
        if not 0 < n <= len(self.numbers):
            raise Wrong('%s: %s of %d' % (self.who, line[:60],
                                          len(self.numbers)))
        if what == b'FETCH':
            self.fetched(n, line)
            return
        if re.match(rb'(FETCH|STORE|SEARCH)\b', self.name):
            raise Wrong('%s: %s during %s' % (self.who, line, self.name))
        del self.numbers[n - 1]

    def fetched(self, n, line):
        uid = re.search(rb'\bUID (\d+)', line)
        number = NUMBER.search(line)
        known = self.numbers[n - 1]
        if uid is None:
            return
        uid = int(uid.group(1))
        if known is not None and known[0] != uid:
            raise Wrong('%s: message %d has UID %d, had %d' %
                        (self.who, n, uid, known[0]), known[1])
        if number is not None:
            number = int(number.group(1))
            self.numbers[n - 1] = uid, number
            self.model.learn(self.key(uid), number, self.who)
        if b'\\Recent' in flat(line) and self.how == b'SELECT':
            self.new_to_us(uid)

    def key(self, uid):
        return self.box, self.validity, uid

    def new_to_us(self, uid):
        """\\Recent is for one session, unless others remove Status, as mutt
        does when it writes what it read before we marked it."""
        if not self.model.lasting() or self.model.plan.get('others'):
            return
        with self.model.lock:
            whose = self.model.recent.setdefault(self.key(uid), self.who)
        if whose != self.who:
            raise Wrong('%s: UID %d is \\Recent, and was so for %s' %
                        (self.who, uid, whose),
                        self.model.uids.get(self.key(uid)))


# ---- the actors

class Actor(threading.Thread):
    def __init__(self, model, rng, name, until):
        super().__init__(daemon=True)
        self.model, self.rng, self.who, self.until = model, rng, name, until

    def run(self):
        try:
            while time.monotonic() < self.until and not self.model.wrong:
                self.turn()
            self.end()
        except Wrong as e:
            self.model.complain(str(e), e.n)
        except Exception as e:      # the test's own fault: say so
            self.model.complain('%s: %r %s' % (self.who, e,
                ' / '.join(traceback.format_exc().splitlines()[-5:])))

    def end(self):
        pass


# ---- a mailbox as another mail reader sees it

def parsed(path):
    """Number, X-UID, flags and body of each message, by Python's reader."""
    box = mailbox.mbox(path, create=False)
    found = []
    for key in box.keys():
        raw = box.get_bytes(key)
        head = raw.partition(b'\n\n')[0] + b'\n'
        m = NUMBER.search(head)
        if b"\nSubject: DON'T DELETE THIS MESSAGE" in b'\n' + head:
            continue
        uid = re.search(rb'^X-UID: (\d+)', head, re.M)
        words = re.search(rb'^X-Keywords:([^\n]*)', head, re.M)
        marks = set(words.group(1).split() if words else ())
        letters = b''.join(re.findall(rb'^(?:X-)?Status:([^\n]*)', head,
                                      re.M))
        marks |= {flag for letter, flag in FLAG.items() if letter in letters}
        found.append((int(m.group(1)) if m else None,
                      int(uid.group(1)) if uid else 0, marks,
                      raw.partition(b'\n\n')[2]))
    box.close()
    return found


FLAG = {b'R': b'\\Seen', b'A': b'\\Answered', b'F': b'\\Flagged',
        b'D': b'\\Deleted', b'T': b'\\Draft'}
