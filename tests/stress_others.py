"""stress_others.py - who else has his hands in a mailbox: MDAs, mutt, Dovecot,
a program that rewrites it as they do, and whoever spoils what is kept in
~/.imapd. For stress.t.
"""

import errno
import fcntl
import os
import random
import re
import select
import struct
import sys
import time

import interop
import stress
from stress import BOXES, NOBODY, NUMBER, PATIENCE, ROOT, Wrong
from stress_model import FIRST_DELIVERED, delivered

OFD_SETLK = 37          # which older fcntl modules do not name
FROM = re.compile(rb'(?:\A|(?<=\n\n))(?=From \S+ +\w{3} \w{3} +\d+ '
                  rb'\d+:\d+:\d+ \d{4}\n)')
METADATA = re.compile(rb'^(?:X-IMAPbase|X-UID|Status|X-Status|X-Keywords|'
                      rb'X-IMAPd-Quoted):[^\n]*\n', re.M | re.I)


class Locked:
    """A mailbox as others lock it: a dotlock, then fcntl."""

    def __init__(self, path, whence=os.SEEK_SET):
        self.path = path
        self.flock = struct.pack('hhqqi4x', fcntl.F_WRLCK, whence, 0, 0, 0)

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
                self.unlock()

    def unlock(self):
        try:
            os.unlink(self.path + '.lock')
        except FileNotFoundError:
            pass

    def __enter__(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.dotlock()
            self.fd = os.open(self.path, os.O_RDWR)
            try:
                fcntl.fcntl(self.fd, OFD_SETLK, self.flock)
                return self.fd
            except OSError:
                self.__exit__()
                time.sleep(0.01)
        raise Wrong('a lock stays: ' + self.path)

    def __exit__(self, *unused):
        os.close(self.fd)
        self.unlock()


# ---- deliveries

class Mda:
    """A process of its own that delivers numbers of its own, as Postfix or as
    procmail does it, which locks only what lies behind the end. A long
    message takes two writes."""

    def __init__(self, model, rng, i, until):
        self.model, self.n = model, FIRST_DELIVERED * i
        self.report = os.path.join(model.base, 'mda%d' % i)
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                with open(self.report, 'w') as f:
                    stress.demote()
                    self.deliver(rng, until, f)
                status = 0
            finally:
                if status:
                    sys.excepthook(*sys.exc_info())
                sys.stderr.flush()
                os._exit(status)

    def deliver(self, rng, until, report):
        path = self.model.path('INBOX')
        while time.monotonic() < until:
            time.sleep(rng.uniform(0, 0.2))
            some = [self.n + i for i in range(rng.choice((1, 1, 1, 3)))]
            self.n += len(some)
            with Locked(path, rng.choice((os.SEEK_SET, os.SEEK_END))) as fd:
                os.lseek(fd, 0, os.SEEK_END)
                text = b''.join(map(delivered, some))
                half = rng.randrange(len(text)) if len(text) > 4096 else 0
                os.write(fd, text[:half])
                time.sleep(0.02 * bool(half))
                os.write(fd, text[half:])
            for n in some:
                print(n, file=report, flush=True)

    def join(self):
        _, status = os.waitpid(self.pid, 0)
        with open(self.report) as f:
            some = [int(line) for line in f]
        for n in some:
            self.model.came(n)
        self.model.count('delivered', len(some))
        if status:
            self.model.complain('an MDA ended with %d' % status)


# ---- whoever spoils the help

class Spoiler(stress.Actor):
    """Does to the indexes and logs in ~/.imapd what a disk, a backup or a bad
    hand may do: it may cost time, and flags that are nowhere else."""

    def __init__(self, *args):
        super().__init__(*args)
        self.dir = os.path.join(self.model.home, '.imapd')
        self.old = []

    def files(self):
        try:
            return [os.path.join(self.dir, n) for n in os.listdir(self.dir)
                    if n.startswith(('index.', 'changes.'))]
        except FileNotFoundError:
            return []

    def turn(self):
        time.sleep(self.rng.uniform(0, 0.1))
        paths = self.files()
        if not paths:
            return
        way = self.rng.choice((self.remove, self.shorten, self.flip,
                               self.swap, self.keep, self.put_back,
                               self.put_in_place, self.age, self.protect,
                               self.close, self.fill))
        path = self.rng.choice(paths)
        kind = path.rpartition('/')[2].partition('.')[0]
        other = self.rng.choice([p for p in paths if kind in p])
        self.model.note('spoiler', '%s %s' % (way.__name__, path), ())
        within = kind == 'changes' and way in (self.shorten, self.flip)
        old = kind == 'changes' and way in (self.swap, self.put_back,
                                            self.put_in_place)
        with self.model.lock:
            self.model.ailing += 1
            self.model.spoilt(within, old)
        try:
            way(path, other)
            self.model.count('%s: %s' % (kind, way.__name__))
        except OSError as e:    # a session was there before; it is full
            if e.errno not in (errno.ENOENT, errno.ENOSPC):
                raise
        finally:
            with self.model.lock:
                self.model.ailing -= 1
                self.model.spoilt(within, old)

    def remove(self, path, _):
        os.unlink(path)

    def shorten(self, path, _):
        os.truncate(path, self.rng.randrange(os.stat(path).st_size + 1))

    def flip(self, path, _):
        with open(path, 'r+b') as f:
            data = f.read()
            if data:
                at = self.rng.randrange(len(data))
                f.seek(at)
                f.write(bytes([data[at] ^ 1 << self.rng.randrange(8)]))

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
            os.chmod(path + '.y', 0o600)
            os.rename(path + '.y', path)

    def put_in_place(self, path, _):
        """What it was a while ago; the file stays the same one."""
        same = [data for p, data in self.old if p == path]
        if same:
            with open(path, 'r+b') as f:
                f.write(self.rng.choice(same))
                f.truncate()

    def age(self, path, _):
        then = time.time() - self.rng.choice((1, 3600, 10 ** 6))
        os.utime(path, (then, then))

    def a_while(self):
        time.sleep(self.rng.uniform(0.02, 0.4))

    def protect(self, path, _):
        os.chmod(path, 0o400)
        self.a_while()
        os.chmod(path, 0o600)

    def close(self, *_):
        os.chmod(self.dir, 0o500)
        self.a_while()
        os.chmod(self.dir, 0o700)

    def fill(self, *_):
        """The disk that holds the home, which is one of its own."""
        if not self.model.plan['full']:
            return
        path = os.path.join(self.model.home, '.full')
        fd = os.open(path, os.O_CREAT | os.O_WRONLY)
        try:
            room = os.fstatvfs(fd)
            os.posix_fallocate(fd, 0, room.f_bavail * room.f_bsize)
            self.a_while()
        except OSError:         # it was too quick for us
            pass
        finally:
            os.close(fd)
            os.unlink(path)


# ---- other mail programs

class Visitor(stress.Actor):
    """Comes when no session has left a rewrite half done (unless the plan
    says so), and may write the flags of the messages that it names. They come
    one by one: what they do to each other is not our concern."""

    PAUSE = 0.3

    def turn(self):
        time.sleep(self.rng.uniform(0, self.PAUSE))
        with self.model.alone:
            self.knock()

    def knock(self):
        if not self.model.visit():
            return
        try:
            self.visit()
            self.model.count(self.who)
        except RuntimeError as e:
            raise Wrong(str(e))
        finally:
            self.model.leave()

    def some(self, box='INBOX'):
        """Numbers that may be there."""
        with self.model.lock:
            known = [n for key, n in self.model.uids.items()
                     if key[0] == box and key not in self.model.fates]
        return self.rng.sample(known, min(len(known), 2))

    def drop(self, n):
        with self.model.lock:
            self.model.doomed.add(n)


class House(interop.House):
    """For mutt and Dovecot, as interop.py drives them."""

    def __init__(self, model):
        self.inbox, self.world = model.path('INBOX'), self
        self.spool = os.path.dirname(self.inbox)
        self.base = os.path.join(model.base, 'others')
        self.home = os.path.join(self.base, 'home')
        for name in ('', 'run', 'dovecot', 'home'):
            path = os.path.join(self.base, name)
            os.mkdir(path)
            if ROOT:
                os.chown(path, NOBODY, NOBODY)
        self.conf = os.path.join(self.base, 'dovecot.conf')
        with open(self.conf, 'w') as f:
            f.write(interop.CONF.format(base=self.base, inbox=self.inbox))


class Terminal(interop.Mutt):
    def end(self):
        """Where it has forgotten the keys that were pushed, as it does when
        something is not as expected, it is told to go."""
        try:
            while True:
                if select.select([self.ours], [], [], 0.5)[0]:
                    self.said += os.read(self.ours, 1 << 16)
                elif time.monotonic() > self.limit:
                    raise RuntimeError('mutt hangs: %r' % self.said[-900:])
                else:
                    os.write(self.ours, b'\7x')
        except OSError:         # it has closed the terminal
            pass

    limit = float('inf')


class Mutt(Visitor):
    """Flags a message, or removes what is marked, or only looks. It tries to
    write twice: once it may find that the mailbox has changed. Its own marks
    are not wanted: it would take \\Recent away. A mailbox in which one message
    has taken another's place, and whose size is the same, it damages; so no
    copies come meanwhile."""

    PAUSE = 0.5
    KEYS = '<untag-pattern>~A<enter><tag-pattern>~s "number %d$"<enter>' \
        '<tag-prefix-cond>%s<end-cond>'

    def __init__(self, house, *args):
        super().__init__(*args)
        self.house = house

    def visit(self):
        try:
            if self.model.close(time.monotonic() + PATIENCE):
                self.session()
        finally:
            self.model.open_again()

    def session(self):
        keys, some = ':set nomark_old<enter>', self.some()
        removes = self.rng.random() < 0.3
        if not removes:
            keys += ':set delete=no<enter>'
        for n in some:
            drops = removes and n % 3
            if drops:
                self.drop(n)
            keys += self.KEYS % (n, '<delete-message>' if drops else
                                 '<flag-message>')
            self.model.borrow(n)
        self.model.note('mutt', 'comes, for %s%s' % (
            some, ', to remove' if removes else ''), ())
        self.model.reading(True, removes)
        with Terminal(self.house, keys + '<sync-mailbox>'
                      '<sync-mailbox><exit>') as mutt:
            mutt.limit = time.monotonic() + PATIENCE
            mutt.end()
        self.model.reading(False, removes)
        self.model.note('mutt', 'leaves', ())
        for n in some:
            self.model.give_back(n)


class Dovecot(Visitor):
    """An IMAP session, with an index of its own that lasts. It takes a file
    of the same size and second for unchanged, and hangs up when it then finds
    something else where it looks; and it writes all flags of those that are
    \\Recent for it as it once has read them (LOCKING)."""

    PAUSE = 0.5
    LOOK = 'FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-NUMBER)])'
    LOOKED = re.compile(rb'UID (\d+) FLAGS \(([^)]*)\)[^\n]*\n'
                        rb'(?i:X-Number): (\d+)')

    def __init__(self, house, *args):
        super().__init__(*args)
        self.house = house

    def visit(self):
        self.taken = []
        try:
            self.session()
        except RuntimeError as e:
            if 'Internal error occurred' not in str(e):
                raise
            self.model.count('dovecot hung up')
        for n in self.taken:
            self.model.give_back(n)

    def take(self, some):
        for n in some:
            self.taken.append(n)
            self.model.borrow(n)

    def look(self, c):
        """(UID, number) of all that are there."""
        there = self.LOOKED.findall(c.ask(self.LOOK, None))
        self.take(int(n) for _, flags, n in there
                  if b'\\Recent' in flags and int(n) not in self.taken)
        return [(int(uid), int(n)) for uid, _, n in there]

    def session(self):
        with self.house.dovecot() as c:
            c.select()
            there = self.look(c)
            some = self.rng.sample(there, min(len(there), 2))
            self.take(n for _, n in some)
            self.model.note('dovecot', 'comes, for %s' % some, ())
            for uid, n in some:
                c.ask('UID STORE %d %sFLAGS (%s)' % (
                    uid, self.rng.choice('+-'), self.rng.choice(
                        ('\\Flagged', '\\Answered', '$Kept'))), None)
                self.look(c)
            c.ask(self.rng.choice(('CHECK', 'EXPUNGE', 'NOOP')), None)
            self.look(c)
            c.bye()
            self.model.note('dovecot', 'leaves', ())


class Foreign(Visitor):
    """Another mail reader rewrites a mailbox, as mutt does it."""

    def visit(self):
        with Locked(self.model.path(self.rng.choice(BOXES))) as fd:
            old = os.pread(fd, os.fstat(fd).st_size, 0)
            pieces = FROM.split(old)
            start = pieces[:1] if pieces[0] else []
            n, pieces = self.changed(pieces[len(start):] if start else
                                     pieces[1:])
            if n is None:
                return
            self.model.borrow(n)
            new = b''.join(start + pieces)
            os.pwrite(fd, new, 0)
            os.ftruncate(fd, len(new))
        self.model.give_back(n)

    def number_of(self, piece):
        m = NUMBER.search(piece[:piece.find(b'\n\n') + 1])
        return int(m.group(1)) if m else None

    def changed(self, pieces):
        """(number of the one that was changed, all)"""
        if not pieces:
            return None, pieces
        i = self.rng.randrange(len(pieces))
        first = b'\nX-IMAP' in pieces[i][:pieces[i].find(b'\n\n') + 1]
        n = self.number_of(pieces[i])
        if n is None or (first and not self.model.plan['unbase']):
            return None, pieces
        how = self.rng.choice(('drop', 'strip', 'status', 'touch'))
        if how == 'strip' and not self.model.plan['strip']:
            how = 'status'
        if how == 'drop':
            if n % 3 == 0:
                return None, pieces
            self.drop(n)
            self.model.note('foreign', 'drops it', [n])
            return n, pieces[:i] + pieces[i + 1:]
        self.model.note('foreign', how, [n])
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
        return n, pieces
