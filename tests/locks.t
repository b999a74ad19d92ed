#!/usr/bin/env python3
"""locks.t - which locks are held when, seen from outside.

Every command that reads or writes mail runs under trace: no lock is held
while the client is read from or written to, a mailbox is written to under
fcntl, flock and dotlock at once, and never are two mailboxes locked. Then
others hold one lock, of each style in turn: EXPUNGE waits, answers NO
[INUSE], and works when the lock is gone.
"""

import fcntl
import os
import random
import select
import socket
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import kill
import traced
from tree import Tap

# Seconds that a server waits for a lock: what it can be told to, if it can.
PATIENCE = 30
ENOUGH = 90             # a server that says nothing for so long hangs


class Held:
    """The locks of one process, as the log goes on."""

    def __init__(self, boxes):
        self.boxes = boxes      # paths of mailboxes
        self.locks = {}         # (fd, kind) -> (how, path)
        self.dot = set()        # PATH, of PATH.lock
        self.made = set()       # inodes of new files
        self.told = []          # a readable trace
        self.bad = {'talk': [], 'write': [], 'two': []}

    def names(self, path=None):
        """Of the locks on one file, or on all."""
        found = {'%s-%s' % (kind, how) for (_, kind), (how, where)
                 in self.locks.items() if path in (None, where)}
        return found | {'dotlock' for p in self.dot if path in (None, p)}

    def note(self, text):
        held = sorted('%s %s' % (how if kind != 'dot' else '', path)
                      for (_, kind), (how, path) in self.locks.items())
        self.told.append('%s %s' % (text, held + sorted(self.dot)))

    def complain(self, what, text):
        self.note(text)
        self.bad[what] += self.told[-6:]

    def lock(self, e):
        kind, how = e[3].rsplit('-', 1)
        self.locks.pop((e[1], kind), None)
        if how != 'u':
            self.locks[e[1], kind] = how, e[4]
        self.note('%s on %s, now' % (e[3], e[4]))
        if len({path for _, path in self.locks.values()
                if path in self.boxes}) > 1:
            self.complain('two', 'two mailboxes are locked:')

    def named(self, path, there):
        if path.endswith('.lock') and path[:-5] in self.boxes:
            (self.dot.add if there else self.dot.discard)(path[:-5])

    def wrote(self, ino, path):
        if path not in self.boxes or ino in self.made:
            return
        missing = {'fcntl-w', 'flock-w', 'dotlock'} - self.names(path)
        self.note('%s written' % path)
        if missing:
            self.complain('write', 'without %s:' % ', '.join(
                sorted(missing)))

    def talk(self, who, text):
        self.note('%s: %s' % (who, text[:60]))
        if self.locks or self.dot:
            self.complain('talk', 'locks are held:')

    def event(self, e):
        kind = e[0]
        if kind == 'k':
            self.lock(e)
        elif kind == 'x':
            for lock in [k for k in self.locks if k[0] == e[1]]:
                del self.locks[lock]
        elif kind in 'RW':
            self.talk('C' if kind == 'R' else 'S', e[2])
        elif kind in 'wta':
            self.wrote(e[1], e[-2] if kind == 'w' else e[-1])
        elif kind in 'cl':
            if kind == 'c':
                self.made.add(e[1])
            self.named(e[-1], True)
        elif kind == 'n':
            self.named(e[2], False)
            self.named(e[3], True)
        elif kind == 'u':
            self.named(e[2], False)


# What each session does; INBOX has 12 messages or more.
SESSIONS = [
    b'SELECT INBOX', b'EXAMINE INBOX', b'STATUS other (MESSAGES UNSEEN)',
    (b'SELECT INBOX', b'FETCH 1:* (FLAGS BODY.PEEK[])'),
    (b'SELECT INBOX', b'FETCH 3 BODY[]'),
    (b'SELECT INBOX', b'SEARCH TEXT "qu"'),
    (b'SELECT INBOX', b'STORE 1:* +FLAGS (\\Seen $Work)'),
    (b'SELECT INBOX', b'STORE 1,3 +FLAGS (\\Deleted)', b'EXPUNGE'),
    (b'SELECT INBOX', b'STORE 1 +FLAGS (\\Deleted)', b'CLOSE'),
    (b'SELECT INBOX', b'STORE 2 +FLAGS (\\Deleted)'),
    (b'SELECT INBOX', b'NOOP', b'CHECK'),
    b'APPEND other {10+}\r\nA: b\r\n\r\nc\r\n',
    (b'SELECT INBOX', b'COPY 1:3 other'),
    (b'SELECT INBOX', b'MOVE 1:3 other'),
    (b'CREATE third', b'RENAME third fourth', b'DELETE fourth'),
    b'RENAME INBOX old',
]


def watch(place, shape, commands):
    """(complaints by rule, of what was not OK)"""
    commands = [commands] if isinstance(commands, bytes) else commands
    script = traced.Script()
    for c in commands:
        script.add(c)
    script.add(b'LOGOUT')
    run, log = place.logged(script)
    held = Held([place.box(name) for name in (
        'INBOX', 'other', 'third', 'fourth', 'old')])
    for e in log:
        held.event(e)
    if os.environ.get('VERBOSE'):
        print('\n'.join('# ' + t for t in held.told))
    wrong = [b'%s: %s' % (c, b' '.join(r)) for c, r in zip(
        commands, run.results().values()) if r[0] != b'OK']
    return held, [str(w) for w in wrong]


def sessions(i, n):
    rng, found = random.Random(3), []
    with traced.Place() as place:
        kill.prime(place)
        for shape in kill.SHAPES[:1] + kill.SHAPES[5:8]:
            case = kill.make_case(rng, place, shape, 0)
            for commands in SESSIONS:
                place.restore(case.start)
                held, wrong = watch(place, shape, commands)
                found.append((str(commands), held.bad, wrong,
                              any('written' in t for t in held.told)))
    return found


# ---- who waits for others

class Client:
    """A server on pipes; it is not waited for unless asked."""

    def __init__(self, place, options):
        self.process = subprocess.Popen(
            [traced.IMAPD] + options, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=place.env, cwd='/')
        self.seen = b''

    def send(self, text):
        self.process.stdin.write(text + b'\r\n')
        self.process.stdin.flush()

    def speaks(self, seconds):
        return select.select([self.process.stdout], [], [], seconds)[0] != []

    def answer(self, tag):
        """The tagged line, if it comes."""
        while True:
            for line in self.seen.split(b'\r\n')[:-1]:
                if line.startswith(tag + b' '):
                    return line
            if not self.speaks(ENOUGH):
                return b'nothing'
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return b'the end'
            self.seen += data

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


def holder(path, lock):
    """A process holds it: ours would lose an fcntl lock with any close of
    the same file. What ends it is returned."""
    ours, theirs = os.pipe()
    said, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(theirs)
        lock(os.open(path, os.O_RDWR), fcntl.LOCK_EX)
        os.write(ready, b'!')
        os.read(ours, 1)
        os._exit(0)
    os.close(ours)
    os.close(ready)
    os.read(said, 1)
    os.close(said)

    def drop():
        os.write(theirs, b'!')
        os.close(theirs)
        os.waitpid(pid, 0)
    return drop


def hold_fcntl(path):
    return holder(path, fcntl.lockf)


def hold_flock(path):
    return holder(path, fcntl.flock)


def hold_dotlock(path):
    """Ours: its maker lives."""
    with open(path + '.lock', 'x') as f:
        f.write('%d:%s' % (os.getpid(), socket.gethostname()))
    return lambda: os.unlink(path + '.lock')


STYLES = {'fcntl': hold_fcntl, 'flock': hold_flock, 'a dotlock': hold_dotlock}


class Waiting:
    """One mailbox that somebody else locks, and a server that wants to
    expunge."""

    def __init__(self, style, options):
        self.style = style
        self.place = traced.Place()
        shape = kill.SHAPES[5]
        self.place.write('INBOX', shape.make(random.Random(4)))
        self.client = Client(self.place, options)
        self.client.send(b'a SELECT INBOX\r\n'
                         b'b STORE 2,5 +FLAGS (\\Deleted)')
        self.fault = b' OK' not in self.client.answer(b'b')
        self.drop = STYLES[style](self.place.inbox)
        self.before = self.place.read('INBOX')
        self.client.send(b'c EXPUNGE')

    def end(self):
        self.client.end()
        self.place.__exit__()


def waits(i, n):
    """Points: those that give up, and those that get what they want."""
    options, points = [], []
    usage = subprocess.run([traced.IMAPD, '--help'], capture_output=True)
    if b'--lock-timeout' in usage.stdout:
        options = ['--lock-timeout=3']
    patient = [Waiting(style, []) for style in STYLES]
    hasty = [Waiting(style, options) for style in STYLES]
    for w in patient:
        # That it does not answer at once must be seen for some time.
        early = w.client.speaks(.3)
        w.drop()
        line = w.client.answer(b'c')
        points.append(('EXPUNGE waits for %s, then works' % w.style,
                       [] if line.startswith(b'c OK') and not early and
                       w.place.read('INBOX') != w.before else [str(line)]))
        w.end()
    for w in hasty:
        line = w.client.answer(b'c')
        same = w.place.read('INBOX') == w.before
        points.append(('EXPUNGE gives up on %s: NO [INUSE]' % w.style,
                       [] if line.startswith(b'c NO [INUSE]') and same
                       else [str(line)]))
        w.drop()
        w.client.send(b'd EXPUNGE')
        line = w.client.answer(b'd')
        points.append(('and works when %s is gone' % w.style,
                       [] if line.startswith(b'd OK') else [str(line)]))
        w.end()
    return points


def both(i, n):
    return waits(i, n) if i == 0 else sessions(i, n)


def main():
    start = time.monotonic()
    traced.ours_alone()
    points, found = traced.spread(both)
    tap = Tap()
    for rule, text in (
            ('talk', 'no lock is held while talking to the client'),
            ('write', 'mailboxes are written under all three locks'),
            ('two', 'never are two mailboxes locked')):
        bad = ['%s: %s' % (name, line) for name, bad, _, _ in found
               for line in bad[rule]]
        tap.point(found and not bad, '%s: %d sessions' % (
            text, len(found)), bad[:20])
    wrong = [w for _, _, more, _ in found for w in more]
    tap.point(not wrong, 'all commands are answered OK', wrong[:10])
    tap.point(any(wrote for *_, wrote in found), 'mailboxes were written')
    for name, bad in points:
        tap.point(not bad, name, bad)
    print('# %.0f s' % (time.monotonic() - start))
    tap.end()


if __name__ == '__main__':
    main()
