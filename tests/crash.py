"""crash.py - mailboxes that are rewritten, killed, cut off and judged.

A Lab is one directory with a mailbox and a journal. Its program is
unit_rewrite (see there), under the library shim.c. Nothing here shares a
line with the program: a mailbox is parsed and judged as another mail
reader would.
"""

import os
import re
import struct
import subprocess

FROM = re.compile(rb'^From (\S+) \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}\r?$',
                  re.M)
BODY = re.compile(rb'ID:(\d+) .*?END:\1\b', re.S)
OK = 0
HOT = 18                # 10 - E_IO
FULL = 19               # 10 - E_FULL
SECTOR = 512


def parse(mbox):
    """(offset, length) of each message."""
    at = [m.start() for m in FROM.finditer(mbox)]
    return [(a, b - a) for a, b in zip(at, at[1:] + [len(mbox)])]


def messages(mbox):
    return [mbox[a:a + n] for a, n in parse(mbox)]


def ident(message):
    m = re.search(rb'ID:(\d+) ', message)
    return int(m.group(1)) if m else None


def bodies(mbox):
    """What makes a message, for each number, as often as it is there."""
    found = {}
    for m in BODY.finditer(mbox):
        found.setdefault(int(m.group(1)), []).append(m.group(0))
    return found


class Item:
    def __init__(self, off, n, head, drop=False, stamp=None, base=False):
        self.off, self.n, self.head = off, n, head
        self.drop, self.stamp, self.base = drop, stamp, base

    def line(self):
        uid, flags, keywords = self.stamp or (0, 0, 0)
        return '%d %d %d %d %d 0 %d %d %d %d\n' % (
            self.off, self.n, self.head, self.drop, self.stamp is not None,
            uid, flags, keywords, self.base)


# ---- mailboxes

def block(kind, number):
    if kind == 'uw':
        return (b'Status: RO\nX-Status: \nX-Keywords:%sX-UID: %d\n'
                % (b' ' * 18 + b'\n', number))
    if kind == 'dovecot':
        return (b'X-UID: %d\nStatus: O\nContent-Length: 123456\n'
                b'X-Keywords:%s\n' % (number, b' ' * 60))
    return b''


def message(rng, number, kind='', size=None):
    words = (b'abc', b'defgh ', b'\n', b'x\n\n', b'>From there', b'\tqu')
    if size is None:
        size = rng.choice((0, 3, 20, 60, 160))
    text = b''.join(rng.choice(words) for _ in range(size))
    text = text.replace(b'\nFrom ', b'\n>From ')
    return (b'From u%d@x Thu Nov 29 22:33:52 2001\nFrom: u@x\n'
            b'Subject: number %d\n%s\nID:%d %s END:%d\n\n'
            % (number, number, block(kind, number), number, text, number))


PSEUDO = (b"From MAILER-DAEMON Thu Nov 29 22:33:52 2001\n"
          b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
          b"X-IMAP: 1000000000 0000000077\nStatus: RO\n\n"
          b"ID:99 text of the folder END:99\n\n")

# name, stamped as by, line ends, window, messages. Only in the one shape is
# a message bigger than a window that can not grow.
SHAPES = [
    ('LF', '', 'lf', 1400, 9),
    ('CRLF', '', 'crlf', 1500, 8),
    ('mixed line ends', '', 'mixed', 1500, 9),
    ('no final line end', '', 'none', 1400, 7),
    ('pseudo-message', 'uw', 'pseudo', 1500, 6),
    ('stamped by UW', 'uw', 'lf', 2000, 12),
    ('stamped by Dovecot', 'dovecot', 'lf', 1600, 9),
    ('one big message, bigger journal', '', 'big', 1500, 4),
    ('one big message, in pieces', '', 'pieces', 600, 4),
    ('one window', '', 'lf', 60000, 6),
    ('one message', '', 'lf', 1400, 1),
    ('tiny messages', 'uw', 'tiny', 700, 14),
]


APPENDS = [
    ('one window', '', 'lf', 60000, 3),
    ('several windows', '', 'lf', 300, 3),
    ('an empty mailbox', '', 'lf', 500, 0),
    ('behind half a line', '', 'none', 60000, 2),
    ('behind half a line, by windows', '', 'none', 400, 2),
]


def make(rng, shape):
    name, kind, form, _, n = shape
    parts = [message(rng, i + 1, kind, 0 if form == 'tiny' else None)
             for i in range(n)]
    if form in ('big', 'pieces'):
        parts[rng.randrange(n)] = message(rng, 50, '', 900)
    if form == 'crlf':
        parts = [p.replace(b'\n', b'\r\n') for p in parts]
    if form == 'mixed':
        parts = [p.replace(b'\n', b'\r\n') if rng.random() < .5 else p
                 for p in parts]
    if form == 'none':
        parts[-1] = parts[-1].rstrip(b'\n')
    if form == 'pseudo':
        parts.insert(0, PSEUDO)
    return b''.join(parts)


def plan(rng, mbox, op):
    """Items for op: which are dropped, which get a new header."""
    items = []
    places = parse(mbox)
    for i, (a, n) in enumerate(places):
        text = mbox[a:a + n]
        head = re.search(rb'\r?\n\r?\n', text).end()
        it = Item(a, n, head)
        pseudo = text.startswith(b'From MAILER-DAEMON')
        if op != 'expand' and not pseudo:
            it.drop = rng.random() < .4 or op == 'empty'
        if op in ('all', 'expand') and not pseudo and rng.random() < .7:
            # Stamps that grow: those of a stamped message stay as they are.
            it.stamp = (i + 1, rng.randrange(32), rng.randrange(4))
            it.base = i == 0
        items.append(it)
    if op == 'compact' and not any(i.drop for i in items):
        items[-1].drop = True
    if op == 'expand':
        for it in items:
            text = mbox[it.off:it.off + it.head]
            if b'Status:' in text:
                it.stamp = None
        if not any(it.stamp for it in items):
            return None
    return items


def kept(mbox, items):
    """Numbers that may never be missing, with their bytes."""
    must = {}
    for it in items:
        if not it.drop:
            must.update(bodies(mbox[it.off:it.off + it.n]))
    return must


# ---- a directory with a mailbox and a journal

class Lab:
    def __init__(self, top, program, shim):
        self.dir = os.path.join(top, 'imapd')
        os.mkdir(self.dir, 0o700)
        self.mbox = os.path.join(top, 'mbox')
        self.journal = os.path.join(self.dir, 'journal')
        self.log = os.path.join(top, 'log')
        self.count = os.path.join(top, 'count')
        self.program, self.shim = program, shim
        self.fresh = {}
        self.limit = None
        self.runs = 0
        self.write(b'')

    def run(self, op, items=(), sync=True, **shim):
        env = dict(os.environ, LD_PRELOAD=self.shim, SHIM_COUNT=self.count,
                   ASAN_OPTIONS='verify_asan_link_order=0')
        env.update(('SHIM_' + k.upper(), str(v)) for k, v in shim.items())
        if 'log' not in shim:
            env['SHIM_NOSYNC'] = '1'
        if self.limit is not None:
            env['LIMIT'] = str(self.limit)
        text = ''.join(i if isinstance(i, str) else i.line() for i in items)
        self.runs += 1
        p = subprocess.run([self.program, self.dir, self.mbox, op,
                            '1' if sync else '0'], input=text.encode(),
                           env=env, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        return p.returncode

    def counted(self):
        with open(self.count) as f:
            return int(f.read())

    @staticmethod
    def put(path, data):
        """In place: the inode is what the journal knows a mailbox by."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        at = 0
        while at < len(data):
            at += os.write(fd, data[at:])
        os.close(fd)

    @staticmethod
    def get(path):
        with open(path, 'rb') as f:
            return f.read()

    def write(self, data):
        self.put(self.mbox, data)

    def read(self):
        return self.get(self.mbox)

    def start(self, mbox, shape):
        """A mailbox, and a journal in which nothing ever stood."""
        window = shape[3]
        if window not in self.fresh:
            self.limit = None
            if os.path.exists(self.journal):
                os.unlink(self.journal)
            if self.run('journal-%d' % window) != OK:
                raise SystemExit('no journal')
            self.fresh[window] = self.get(self.journal)
        self.put(self.journal, self.fresh[window])
        # No room for more, unless this shape needs it.
        self.limit = (None if shape[2] == 'big' else
                      max(len(self.fresh[window]), len(mbox) * 2))
        self.write(mbox)

    def state(self):
        return self.read(), self.get(self.journal)

    def restore(self, state):
        self.write(state[0])
        self.put(self.journal, state[1])

    # -- what others do meanwhile

    def deliver(self, rng, careful=False):
        """As a mail delivery agent does: at the end, whatever is there; a
        careful one ends the line there first."""
        number = rng.randrange(1000, 10 ** 6)
        text = message(rng, number, '', 3)
        if careful and not self.read().endswith(b'\n'):
            text = b'\n' + text
        with open(self.mbox, 'ab') as f:
            f.write(text)
        return text

    def reader(self, rng):
        """A mail reader that rewrites the whole file: it deletes a message
        or makes a header longer, or both so that the file is as long as it
        was. Returns the number that it deleted."""
        before = self.read()
        parts = messages(before)
        if not parts:
            return None
        gone, how = None, rng.randrange(4)
        if how != 1:
            gone = ident(parts.pop(rng.randrange(len(parts))))
        more = len(before) - len(b''.join(parts)) if how == 2 else 17
        if how > 0 and parts and more >= 10:
            i = rng.randrange(len(parts))
            from_line, lf, rest = parts[i].partition(b'\n')
            # A torn append may end within its From_ line.
            if lf:
                parts[i] = (from_line + lf + b'X-Other: ' +
                            b'o' * (more - 10) + b'\n' + rest)
        self.write(b''.join(parts))
        return gone


# ---- judging

def legal(lab, mbox, items, op, shape):
    """Every state that recovery may leave, by runs that nobody disturbs;
    the last is that of the finished rewrite."""
    states = [mbox]
    steps = {'all': ('compact', 'all'), 'empty': ('compact',)}
    for step in steps.get(op, (op,)):
        lab.start(mbox, shape)
        if lab.run(step, items) != OK:
            raise SystemExit('%s of %s fails by itself' % (op, shape[0]))
        states.append(lab.read())
    return states


def lost(mbox, must, but=()):
    """Numbers that are not there whole. A message is whole when what makes
    it stands in one piece."""
    return sorted(n for n, texts in must.items() if n not in but and
                  not any(t in mbox for t in texts))


# ---- power cuts

def read_log(path):
    """(kind, inode, offset, bytes) of each call."""
    with open(path, 'rb') as f:
        data = f.read()
    at, calls = 0, []
    while at < len(data):
        kind = chr(data[at])
        ino, off, n = struct.unpack_from('qqq', data, at + 1)
        at += 25
        text = data[at:at + n] if kind == 'w' else b''
        at += len(text)
        calls.append((kind, ino, off, text))
    return calls


def apply(disk, kind, off, text):
    if kind == 't':
        if off <= len(disk):
            del disk[off:]
        else:
            disk.extend(bytes(off - len(disk)))
        return
    if len(disk) < off:
        disk.extend(bytes(off - len(disk)))
    disk[off:off + len(text)] = text


def sectors(off, text, size):
    while text:
        n = size - off % size
        yield off, text[:n]
        off, text = off + n, text[n:]


def power_cut(rng, calls, disks, least=0):
    """What the disk may hold when the power goes after some of the calls,
    at least so many. disks: inode -> bytes before. Between two syncs of a file the sectors
    reach it in any order, or never."""
    calls = calls[:rng.randint(least, len(calls))]
    size = rng.choice((SECTOR, 4096))
    chance = rng.choice((0, .1, .5, .5, .9, 1))
    held = {}
    for ino, before in disks.items():
        disk, waiting = bytearray(before), []
        for kind, which, off, text in calls:
            if which != ino:
                continue
            if kind == 's':
                for op in waiting:
                    apply(disk, *op)
                waiting = []
            elif kind == 't':
                waiting.append((kind, off, text))
            else:
                waiting.extend(('w', o, t)
                               for o, t in sectors(off, text, size))
        for op in waiting:
            if rng.random() < chance:
                apply(disk, *op)
        held[ino] = bytes(disk)
    return held


def schedule(calls, mbox):
    """One letter a call: j J journal written, synced; m M the mailbox; t."""
    out = []
    for kind, ino, _, _ in calls:
        letter = {'w': 'jm', 's': 'JM', 't': 'tt'}[kind]
        out.append(letter[ino == mbox])
    return ''.join(out)


# rewrite_model's rule: the plan before all; for each window the journal
# before the mailbox, the mailbox before the next; last the plan wiped.
# (A seam of an expansion is synced by itself.) Around it the journal may
# get more room and give it back, with both plans void.
ROOM = 't?(j{4}JjJt)?'
COMPACT = re.compile('%sj+J(j{2,3}JmM)*(jJtM)?jJ%s' % (ROOM, ROOM))
# An append needs no sync of its plan, and where it was one window, none of
# the plan's end.
APPEND = re.compile('jjjJmM(j|(jjJmM)+jJ)')
EXPAND = re.compile('%sj+JjJm*M(j{2,3}JmM(mM)?)*jJ%s' % (ROOM, ROOM))
