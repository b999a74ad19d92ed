"""stress.py - many hands on two mailboxes at once, and a model of what may
become of each message. For stress.t, which has the manual.

Every message has a number, in its header and in each line of its body. What
a number may suffer is decided by the number itself, so that whoever loses a
message that nobody may remove is found out however the actors interleave:

	n % 3 == 0	nobody deletes or drops it
	n % 5 == 0	nobody copies or moves it: it never stands twice

Each session knows which UID is which number, and all that any session ever
learns about a UID of a UIDVALIDITY must agree. Nothing here shares a line
with the program: mailboxes are read by Python's mailbox module.
"""

import fcntl
import mailbox
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

NOBODY = 65534          # who the servers are when root runs the tests
ROOT = os.geteuid() == 0
PATIENCE = 90           # seconds; nothing takes as long
BOXES = ('INBOX', 'box')
OFD_SETLK = 37          # which older fcntl modules do not name
NUMBER = re.compile(rb'^X-Number: (\d+)\r?$', re.M)
FROM = re.compile(rb'(?:\A|(?<=\n\n))(?=From \S+ +\w{3} \w{3} +\d+ '
                  rb'\d+:\d+:\d+ \d{4}\n)')
METADATA = re.compile(rb'^(?:X-IMAPbase|X-UID|Status|X-Status|X-Keywords|'
                      rb'X-IMAPd-Quoted):[^\n]*\n', re.M | re.I)
FETCHED = re.compile(rb'^\* (\d+) FETCH \((.*)', re.S)


class Wrong(Exception):
    """The server has broken a rule."""


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


def delivered(n):
    """As Postfix writes it."""
    lines = header(n) + [b''] + [
        b'>' + line if line.startswith(b'From ') else line
        for line in body(n)]
    return (b'From sender@example.org  Sun Jan  4 10:%02d:%02d 1998\n' %
            (n // 60 % 60, n % 60) + b'\n'.join(lines) + b'\n\n')


class Model:
    """What is known of all messages; every actor writes to it."""

    def __init__(self, home, plan):
        self.home, self.plan = home, plan
        self.lock = threading.RLock()
        self.next = 0
        self.sure = set()       # numbers that have come into a mailbox
        self.quoted = set()     # those that an MDA delivered
        self.doomed = set()     # may be gone
        self.most = {}          # number: how often it may stand there
        self.void = set()       # their flags may be anything
        self.kept = {}          # number: acknowledged marks
        self.uids = {}          # (mailbox, validity, uid): number
        self.places = {}        # (mailbox, validity, number): uid
        self.recent = {}        # the same: whose \\Recent it was
        self.wrong = []
        self.killed = 0
        self.done = {}

    def path(self, name):
        return os.path.join(self.home, 'spool/alex' if name == 'INBOX'
                            else name)

    def number(self):
        with self.lock:
            self.next += 1
            self.most[self.next] = 1
            return self.next

    def count(self, what):
        with self.lock:
            self.done[what] = self.done.get(what, 0) + 1

    def complain(self, text):
        with self.lock:
            self.wrong.append(text)

    def learn(self, key, n, who):
        with self.lock:
            old = self.uids.setdefault(key, n)
            if old != n:
                raise Wrong('%s: UID %s is number %d, but was %d' %
                            (who, key, n, old))
            if n % 5 or self.plan['strip'] or self.plan['unbase'] or \
                    self.plan['kill'] and self.plan['foreign']:
                return
            # It never stood anywhere else, so it keeps its UID.
            old = self.places.setdefault((key[0], key[1], n), key[2])
            if old != key[2]:
                raise Wrong('%s: number %d is UID %s, but was %d' %
                            (who, n, key, old))


def demote():
    if ROOT:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


# ---- an IMAP client that believes nothing

class Client:
    def __init__(self, model, who, program):
        self.model, self.who = model, who
        ours, theirs = socket.socketpair()
        self.log = os.open(os.path.join(model.home, '..', who + '.log'),
                           os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        env = {'HOME': model.home, 'USER': 'alex', 'TZ': 'UTC',
               'MAIL': model.path('INBOX'), 'PATH': os.environ['PATH']}
        for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS'):
            if name in os.environ:
                env[name] = os.environ[name]
        self.process = subprocess.Popen(program, stdin=theirs,
            stdout=theirs, stderr=self.log, env=env, cwd='/',
            preexec_fn=demote)
        theirs.close()
        ours.settimeout(PATIENCE)
        self.socket, self.file = ours, ours.makefile('rb')
        self.tags = 0
        self.leave()
        self.line()

    def leave(self):
        self.box = self.validity = None
        self.numbers = []       # by sequence number: (uid, number), or None

    def line(self):
        """One line with its literals."""
        all_of_it = b''
        while True:
            try:
                line = self.file.readline()
            except socket.timeout:
                raise Wrong(self.who + ': no answer')
            except ConnectionResetError:
                raise EOFError
            if not line.endswith(b'\r\n'):
                raise EOFError
            all_of_it += line
            m = re.search(rb'\{(\d+)\}\r\n$', line)
            if m is None:
                return all_of_it[:-2]
            all_of_it += self.file.read(int(m.group(1)))

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise EOFError

    def command(self, text, literals=()):
        """Returns the untagged lines and the tagged one's words."""
        self.tags += 1
        tag = b'%s%d' % (self.who.encode(), self.tags)
        self.name = text
        self.send(tag + b' ' + text + b''.join(literals) + b'\r\n')
        lines = []
        while True:
            line = self.line()
            os.write(self.log, b'%.3f %s -> %s\n' % (time.time(), text[:70],
                                                     line[:100]))
            if line.startswith(tag + b' '):
                if line.startswith(tag + b' BAD'):
                    raise Wrong('%s: %s -> %s' % (self.who, text, line))
                return lines, line[len(tag) + 1:]
            self.untagged(line)
            lines.append(line)

    def untagged(self, line):
        """What every line does to the numbering."""
        m = re.match(rb'\* (\d+) (EXISTS|EXPUNGE|FETCH)\b', line)
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
        if b'\\Recent' in line and self.how == b'SELECT':
            self.new_to_us(uid)
        if known is not None and known[0] != uid:
            raise Wrong('%s: message %d has UID %d, had %d' %
                        (self.who, n, uid, known[0]))
        if number is None:
            return
        number = int(number.group(1))
        self.numbers[n - 1] = (uid, number)
        for key in self.keys(uid):
            self.model.learn(key, number, self.who)

    def new_to_us(self, uid):
        """\\Recent is for one session, unless others remove Status."""
        plan = self.model.plan
        if plan['strip'] or plan['unbase']:
            return
        with self.model.lock:
            whose = self.model.recent.setdefault(
                (self.box, self.validity, uid), self.who)
        if whose != self.who:
            raise Wrong('%s: UID %d is \\Recent, and was so for %s' %
                        (self.who, uid, whose))

    def keys(self, uid):
        """Where numbers may begin anew only one session's word counts."""
        key = (self.box, self.validity, uid)
        if self.model.plan['unbase']:
            key += (self.who,)
        return [key]

    def select(self, box, how=b'SELECT'):
        self.leave()
        self.how = how
        lines, end = self.command(how + b' ' + box.encode())
        if not end.startswith(b'OK'):
            return False
        text = b'\n'.join(lines)
        self.box = box
        self.validity = int(re.search(rb'UIDVALIDITY (\d+)', text).group(1))
        if b'UIDNOTSTICKY' in text:
            self.validity = (self.validity, self.who)
        # Mail may come while SELECT is answered: then there are two.
        self.numbers = [None] * int(re.findall(rb'\* (\d+) EXISTS',
                                               text)[-1])
        self.refresh()
        return True

    def refresh(self):
        """Asks which messages those are that it does not know."""
        if None not in self.numbers:
            return
        first = self.numbers.index(None) + 1
        self.command(b'FETCH %d:* (UID BODY.PEEK[HEADER.FIELDS (X-NUMBER)])'
                     % first)
        uids = [known[0] for known in self.numbers if known]
        if uids != sorted(set(uids)):
            raise Wrong('%s: UIDs do not rise: %s' % (self.who, uids))

    def read(self, uid, n):
        """Its whole body must be the one that belongs to the number."""
        lines, end = self.command(b'UID FETCH %d (UID FLAGS BODY[TEXT])'
                                  % uid)
        for line in lines:
            m = re.search(rb'BODY\[TEXT\] \{\d+\}\r\n(.*)\)$', line, re.S)
            if m and b'UID %d ' % uid in line:
                got = m.group(1).split(b'\r\n')
                want = body(n)
                if n in self.model.quoted or self.model.plan['strip']:
                    got = [re.sub(rb'^>+From ', b'From ', g) for g in got]
                if got[:len(want)] != want or any(got[len(want):]):
                    raise Wrong('%s: the text of UID %d is not that of '
                                'number %d: %s' % (self.who, uid, n,
                                                   m.group(1)[:200]))

    def discard(self, kill=False):
        if kill:
            self.process.kill()
        self.socket.close()
        self.file.close()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Wrong(self.who + ': does not end')
        os.close(self.log)
        if status not in (0, 1) and not kill:
            raise Wrong('%s: exit status %d' % (self.who, status))


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
            self.model.complain(str(e))
        except Exception as e:      # the test's own fault: say so
            import traceback
            self.model.complain('%s: %r %s' % (self.who, e,
                ' / '.join(traceback.format_exc().splitlines()[-5:])))

    def end(self):
        pass


class Session(Actor):
    """Commands by chance; killed now and then when the plan says so."""

    def __init__(self, model, rng, name, until, program):
        super().__init__(model, rng, name, until)
        self.program, self.client, self.timer = program, None, None
        self.lives = 0

    def begin(self):
        self.lives += 1
        self.dead = False
        self.client = Client(self.model, '%s%s' % (self.who,
            chr(96 + self.lives % 26)), self.program)
        if self.model.plan['kill'] and self.rng.random() < 0.5:
            self.timer = threading.Timer(self.rng.uniform(0.05, 1.5),
                                         self.kill)
            self.timer.start()

    def kill(self):
        self.dead = True
        with self.model.lock:
            self.model.killed += 1
        self.client.process.send_signal(signal.SIGKILL)

    def turn(self):
        if self.client is None:
            self.begin()
        client = self.client
        try:
            if client.box is None or self.rng.random() < 0.04:
                how = b'EXAMINE' if self.rng.random() < 0.1 else b'SELECT'
                self.changes = how == b'SELECT'
                client.select(self.rng.choice(BOXES), how)
                return
            client.refresh()
            self.act(client)
        except EOFError:
            if not self.dead:
                raise Wrong(client.who + ' has ended: ' + repr(client.name))
            self.client = None
            client.discard(True)

    def some(self, allow):
        """A few messages that a command may name."""
        known = [k for k in self.client.numbers if k and allow(k[1])]
        if not known:
            return []
        return sorted(self.rng.sample(known, min(len(known),
                                                 self.rng.choice((1, 1, 3)))))

    def act(self, client):
        acts = [(30, self.fetch), (10, self.noop), (8, self.append)]
        if self.changes:
            acts += [(25, self.flag), (10, self.delete), (6, self.expunge),
                     (6, self.copy), (5, self.move), (2, self.close)]
        else:
            acts += [(6, self.copy)]
        acts += [(1, self.logout), (1, self.status)]
        act = self.rng.choices([a for _, a in acts],
                               [w for w, _ in acts])[0]
        self.model.count(act.__name__)
        act(client)

    def fetch(self, client):
        for uid, n in self.some(lambda n: True)[:1]:
            client.read(uid, n)

    def noop(self, client):
        client.command(self.rng.choice((b'NOOP', b'NOOP', b'CHECK')))

    def status(self, client):
        client.command(b'STATUS %s (MESSAGES UIDNEXT)' %
                       self.rng.choice(BOXES).encode())

    def append(self, client):
        n = self.model.number()
        text = b'\r\n'.join(header(n) + [b''] + body(n)) + b'\r\n'
        box = self.rng.choice(BOXES).encode()
        _, end = client.command(b'APPEND %s {%d+}\r\n' % (box, len(text)),
                                [text])
        if end.startswith(b'OK'):
            with self.model.lock:
                self.model.sure.add(n)
            m = re.search(rb'APPENDUID (\d+) (\d+)', end)
            if m and not self.model.plan['unbase']:
                self.model.learn((box.decode(), int(m.group(1)),
                                  int(m.group(2))), n, client.who)
        else:
            self.model.count('refused ' + end.decode()[:60])

    def store(self, client, uids, what):
        _, end = client.command(b'UID STORE %s %s' % (
            b','.join(b'%d' % u for u in uids), what))
        if not end.startswith(b'OK'):
            self.model.count('refused ' + end.decode()[:60])
        return end.startswith(b'OK')

    def flag(self, client):
        chosen = self.some(lambda n: True)
        word = self.rng.choice((b'\\Flagged', b'$Kept', b'\\Answered',
                                b'$Other'))
        if word in (b'\\Flagged', b'$Kept') or self.rng.random() < 0.5:
            ok = chosen and self.store(client, [u for u, _ in chosen],
                                       b'+FLAGS (%s)' % word)
            if ok:
                with self.model.lock:
                    for _, n in chosen:
                        self.model.kept.setdefault(n, set()).add(word)
        elif chosen:
            self.store(client, [u for u, _ in chosen], b'-FLAGS.SILENT (%s)'
                       % word)

    def delete(self, client):
        chosen = self.some(lambda n: n % 3)
        with self.model.lock:
            self.model.doomed.update(n for _, n in chosen)
        if chosen:
            self.store(client, [u for u, _ in chosen],
                       b'+FLAGS (\\Deleted)')

    def expunge(self, client):
        client.command(b'EXPUNGE')

    def transfer(self, client, word):
        chosen = self.some(lambda n: n % 5)
        if not chosen:
            return
        with self.model.lock:
            for _, n in chosen:
                self.model.most[n] += 1
                self.model.void.add(n)
        to = self.rng.choice(BOXES)
        lines, end = client.command(b'UID %s %s %s' % (word,
            b','.join(b'%d' % u for u, _ in chosen), to.encode()))
        if not end.startswith(b'OK'):
            self.model.count('refused ' + end.decode()[:60])

    def copy(self, client):
        self.transfer(client, b'COPY')

    def move(self, client):
        self.transfer(client, b'MOVE')

    def close(self, client):
        _, end = client.command(b'CLOSE')
        if end.startswith(b'OK'):
            client.leave()

    def logout(self, client):
        self.end()

    def end(self):
        if self.timer is not None:
            self.timer.cancel()
            self.timer.join()
            self.timer = None
        client, self.client = self.client, None
        if client is None:
            return
        try:
            client.command(b'LOGOUT')
        except EOFError:
            if not self.dead:
                raise Wrong(client.who + ' has ended')
        client.discard(self.dead)


class Locked:
    """A mailbox as others lock it: a dotlock, then fcntl."""

    def __init__(self, path):
        self.path = path

    def dotlock(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                fd = os.open(self.path + '.lock', os.O_CREAT | os.O_EXCL |
                             os.O_WRONLY, 0o644)
                os.close(fd)
                return
            except FileExistsError:
                self.seize()
                time.sleep(0.01)
        raise Wrong('a dotlock stays: ' + self.path)

    def seize(self):
        """That of a killed session, as maildrop and Dovecot would."""
        try:
            with open(self.path + '.lock') as f:
                pid = int(f.read().split(':')[0] or 0)
            if pid:
                os.kill(pid, 0)
        except (OSError, ValueError) as e:
            if isinstance(e, ProcessLookupError):
                try:
                    os.unlink(self.path + '.lock')
                except FileNotFoundError:
                    pass

    def __enter__(self):
        end = time.monotonic() + PATIENCE
        flock = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)
        while time.monotonic() < end:
            self.dotlock()
            self.fd = os.open(self.path, os.O_RDWR)
            try:
                fcntl.fcntl(self.fd, OFD_SETLK, flock)
                return self.fd
            except OSError:
                self.__exit__()
                time.sleep(0.01)
        raise Wrong('a lock stays: ' + self.path)

    def __exit__(self, *unused):
        os.close(self.fd)
        os.unlink(self.path + '.lock')


class Delivery(Actor):
    """Numbered mail, as Postfix delivers it."""

    def turn(self):
        time.sleep(self.rng.uniform(0, 0.08))
        some = [self.model.number()
                for _ in range(self.rng.choice((1, 1, 1, 4)))]
        with Locked(self.model.path('INBOX')) as fd:
            os.lseek(fd, 0, os.SEEK_END)
            with self.model.lock:
                self.model.quoted.update(some)
            os.write(fd, b''.join(map(delivered, some)))
        with self.model.lock:
            self.model.sure.update(some)
        self.model.count('delivered')


class Spoiler(Actor):
    """Does to the indexes in ~/.imapd what a disk, a backup or a bad hand may
    do: they may cost time, and nothing else."""

    def __init__(self, *args):
        super().__init__(*args)
        self.dir = os.path.join(self.model.home, '.imapd')
        self.old = []

    def turn(self):
        time.sleep(self.rng.uniform(0, 0.05))
        if not os.path.isdir(self.dir):
            return
        names = [n for n in os.listdir(self.dir) if n.startswith('index.')]
        if not names:
            return
        path = os.path.join(self.dir, self.rng.choice(names))
        way = self.rng.choice((self.remove, self.shorten, self.flip,
                               self.swap, self.keep, self.put_back))
        try:
            way(path, os.path.join(self.dir, self.rng.choice(names)))
            self.model.count('indexes spoilt')
        except FileNotFoundError:       # a session was there before
            pass

    def remove(self, path, _):
        os.unlink(path)

    def shorten(self, path, _):
        os.truncate(path, self.rng.randrange(os.stat(path).st_size + 1))

    def flip(self, path, _):
        with open(path, 'r+b') as f:
            data = bytearray(f.read())
            if data:
                data[self.rng.randrange(len(data))] ^= \
                    1 << self.rng.randrange(8)
                f.seek(0)
                f.write(data)

    def swap(self, path, other):
        os.rename(path, path + '.x')
        if other != path:
            os.rename(other, path)
        os.rename(path + '.x', other)

    def keep(self, path, _):
        with open(path, 'rb') as f:
            self.old = (self.old + [(path, f.read())])[-5:]

    def put_back(self, *_):
        """Over the one that is there, as a session itself replaces it."""
        if self.old:
            path, data = self.rng.choice(self.old)
            with open(path + '.y', 'wb') as f:
                f.write(data)
            if ROOT:
                os.chown(path + '.y', NOBODY, NOBODY)
            os.rename(path + '.y', path)


class Foreign(Actor):
    """Another mail reader rewrites a mailbox, as mutt does it."""

    def turn(self):
        time.sleep(self.rng.uniform(0, 0.25))
        with Locked(self.model.path(self.rng.choice(BOXES))) as fd:
            old = os.pread(fd, os.fstat(fd).st_size, 0)
            pieces = FROM.split(old)
            new = b''.join(pieces[:1] + self.changed(pieces[1:])
                           if pieces[0] else self.changed(pieces[1:]))
            if new == old:
                return
            os.pwrite(fd, new, 0)
            os.ftruncate(fd, len(new))
        self.model.count('rewritten')

    def number_of(self, piece):
        m = NUMBER.search(piece[:piece.find(b'\n\n') + 1])
        return int(m.group(1)) if m else None

    def changed(self, pieces):
        if not pieces:
            return pieces
        i = self.rng.randrange(len(pieces))
        first = b'\nX-IMAP' in pieces[i][:pieces[i].find(b'\n\n') + 1]
        n = self.number_of(pieces[i])
        if n is None or (first and not self.model.plan['unbase']):
            return pieces
        how = self.rng.choice(('drop', 'strip', 'status', 'touch'))
        if how == 'strip' and not self.model.plan['strip']:
            how = 'status'
        self.model.count('foreign ' + how)
        if how == 'drop':
            if n % 3 == 0:
                return pieces
            with self.model.lock:
                self.model.doomed.add(n)
            return pieces[:i] + pieces[i + 1:]
        with self.model.lock:
            if how == 'strip' or first:
                self.model.void.add(n)
        head, _, text = pieces[i].partition(b'\n\n')
        head += b'\n'
        if how == 'strip':
            head = METADATA.sub(b'', head)
        elif how == 'status':
            head = re.sub(rb'^Status:[^\n]*\n', b'', head, flags=re.M)
            head += b'Status: RO\n'
        else:
            head += b'Lines: %d\n' % text.count(b'\n')
        pieces[i] = head + b'\n' + text
        return pieces


# ---- a round, and the judgement over it

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
        status = re.search(rb'^X-Status: ?([^\n]*)', head, re.M)
        marks = set(words.group(1).split() if words else ())
        if status and b'F' in status.group(1):
            marks.add(b'\\Flagged')
        found.append((int(m.group(1)) if m else None,
                      int(uid.group(1)) if uid else 0, marks,
                      raw.partition(b'\n\n')[2]))
    box.close()
    return found


def judge_file(model, name, found):
    """A file by itself: whole messages, UIDs that rise."""
    uids = [uid for _, uid, _, _ in found]
    if uids != sorted(set(uids)) or 0 in uids:
        yield '%s: X-UIDs in the file do not rise: %s' % (name, uids)
    for n, uid, _, text in found:
        if n is None:
            yield '%s: UID %d is nobody\'s message: %s' % (name, uid,
                                                           text[:80])
            continue
        got = [re.sub(rb'^>+From ', b'From ', line)
               for line in text.rstrip(b'\n').split(b'\n')]
        if got != body(n):
            yield '%s: the text of number %d is damaged: %s ... %s' % (
                name, n, text[:100], text[-100:])


def judge_numbers(model, all_found):
    """None lost, none doubled, no acknowledged mark gone."""
    times = {}
    for n, _, marks, _ in all_found:
        times[n] = times.get(n, 0) + 1
        # With the first message another program takes the list of keywords.
        lasting = {b'\\Flagged'} if model.plan['unbase'] else \
            {b'\\Flagged', b'$Kept'}
        gone = model.kept.get(n, set()) & lasting - marks
        if gone and n not in model.void:
            yield 'number %d has lost %s' % (n, gone)
    for n in sorted(model.sure):
        if n not in times and n not in model.doomed:
            yield 'number %d is lost' % n
    # Of a rewrite that was killed, another reader may keep both halves.
    if model.killed and model.plan['foreign']:
        return
    for n, count in times.items():
        if n is not None and count > model.most.get(n, 0):
            yield 'number %d is there %d times' % (n, count)


def look_again(model, program):
    """A new session's view of both, and the files it leaves."""
    all_found = []
    for name in BOXES:
        client = Client(model, 'last' + name, program)
        if not client.select(name):
            yield name + ' can not be selected'
        for uid, n in client.numbers:
            client.read(uid, n)
        shown = [(n, uid) for uid, n in client.numbers]
        client.command(b'UNSELECT')
        client.discard()
        found = parsed(model.path(name))
        if [(n, uid) for n, uid, _, _ in found] != shown:
            yield '%s: the file has %s, the client sees %s' % (name,
                [f[:2] for f in found], shown)
        yield from judge_file(model, name, found)
        all_found += found
    yield from judge_numbers(model, all_found)


def seed_mailboxes(model):
    os.makedirs(os.path.join(model.home, 'spool'))
    for name in BOXES:
        with open(model.path(name), 'wb') as f:
            for _ in range(8):
                n = model.number()
                f.write(delivered(n))
                model.quoted.add(n)
                model.sure.add(n)
        os.chmod(model.path(name), 0o666)
    for where in (model.home, os.path.join(model.home, 'spool')):
        os.chmod(where, 0o777)
        if ROOT:
            os.chown(where, NOBODY, NOBODY)


def plan_of(rng):
    """What happens in a round; each can be told by an environment word."""
    plan = {'kill': rng.random() < 0.5, 'foreign': rng.random() < 0.6,
            'sessions': rng.choice((2, 3, 4)),
            'sync': rng.random() < 0.5}
    plan['strip'] = plan['foreign'] and rng.random() < 0.4
    plan['spoil'] = rng.random() < 0.5
    plan['unbase'] = plan['foreign'] and rng.random() < 0.3
    for word in os.environ.get('PLAN', '').split():
        name, _, value = word.partition('=')
        plan[name] = int(value or 1)
    return plan


def play(seed, seconds, program, keep=None):
    """One round: (plan, what was done, complaints)."""
    rng = random.Random(seed)
    plan = plan_of(rng)
    base = tempfile.mkdtemp(prefix='imapd-stress.', dir=keep)
    os.chmod(base, 0o777)
    model = Model(os.path.join(base, 'home'), plan)
    os.makedirs(model.home)
    seed_mailboxes(model)
    program = program + ['--log=stderr',
                         '--inbox=' + model.path('INBOX'),
                         '--fsync=' + ('always' if plan['sync'] else
                                       'never')]
    until = time.monotonic() + seconds
    actors = [Session(model, random.Random(rng.random()), 's%d' % i, until,
                      program) for i in range(plan['sessions'])]
    actors.append(Delivery(model, random.Random(rng.random()), 'mda',
                           until))
    if plan['spoil']:
        actors.append(Spoiler(model, random.Random(rng.random()), 'spoiler',
                              until))
    if plan['foreign']:
        actors.append(Foreign(model, random.Random(rng.random()), 'mutt',
                              until))
    for actor in actors:
        actor.start()
    for actor in actors:
        actor.join()
    if not model.wrong:
        try:
            for text in look_again(model, program):
                model.complain(text)
        except Wrong as e:
            model.complain(str(e))
        except EOFError:
            model.complain('the last session has ended')
    if keep is None or not model.wrong:
        shutil.rmtree(base)
    else:
        model.wrong.append('kept in ' + base)
    return plan, model.done, model.wrong
