#!/usr/bin/env python3
"""doctor.t - imapd --check says each fault of a mailbox and no other;
--repair mends what it may, loses no text, keeps the original, and can be
killed at any call.

Each fault is planted alone in a mailbox that is otherwise sound. What is
text is compared without the program's help: with the metadata fields taken
out the file is as it was, but for the line ends that a fault lacks.
"""

import fcntl
import os
import re
import socket
import subprocess
import sys

sys.dont_write_bytecode = True
import kill
import mailboxes
import traced
from tree import Tap

FROM = b'From u%d@example.org Thu Nov 29 22:33:52 2001\n'
BASE = b'X-IMAPbase: 1234567890 0000000010 $Work\n'
METADATA = re.compile(
    rb'(?im)^(?:Status|X-Status|X-Keywords|X-UID|X-IMAP|X-IMAPbase|'
    rb'Content-Length|X-IMAPd-Quoted):[^\n]*\n(?:[ \t][^\n]*\n)*')


def fields(n):
    return (b'From: U %d <u%d@example.org>\nX-Number: %d\nSubject: s\n' %
            (n, n, n))


def stamp(n, base=BASE, status=b'RO', keywords=b' $Work', uid=None):
    return ((base if n == 1 else b'') + b'Status: %s\nX-Status: \n'
            b'X-Keywords:%s          \nX-UID: %s\n' % (
                status, keywords, uid or b'%d' % n))


def text(n):
    return b'ID:%d\na line\nEND:%d\n' % (n, n)


def mail(n, block=None, line=None, body=None, empty=b'\n', behind=b'\n'):
    return ((line or FROM % n) + fields(n) +
            (stamp(n) if block is None else block) + empty +
            (text(n) if body is None else body) + behind)


SOUND = [mail(n) for n in (1, 2, 3, 4)]


def put(n, message):
    """The sound mailbox with another message n."""
    return b''.join(SOUND[:n - 1] + [message] + SOUND[n:])


def more(n, block):
    return put(n, mail(n, block))


class Fault:
    """A mailbox, the message and words that are told of it; text is what
    its visible text becomes, where that is not what it was; left: these
    words stay, for it is not mended. uids: so many messages keep theirs,
    if not all."""

    def __init__(self, name, data, msg, words, text=None, left=False,
                 also=(), uids=None):
        self.name, self.data, self.msg, self.words = name, data, msg, words
        self.text = visible(data) if text is None else text
        self.left, self.also, self.uids = left, also, uids


def visible(data):
    return METADATA.sub(b'', data)


def marks(data, n):
    """UID and keywords of the first n messages."""
    return [(re.findall(rb'(?m)^X-UID: (\d+)', m)[:1],
             b'$Work' in re.sub(rb'X-IMAPbase.*', b'', m))
            for m in kill.split(data)[:n]]


def no_blank():
    data = put(2, mail(2, behind=b''))
    return Fault('a missing empty line', data, 3, 'no empty line before',
                 visible(b''.join(SOUND)))


def cut():
    data = put(4, mail(4, behind=b''))[:-1]
    return Fault('a last line without an end', data, 4,
                 'the last line of the file has no end',
                 visible(b''.join(SOUND)))


def open_header():
    data = put(2, FROM % 2 + fields(2) + stamp(2))
    return Fault('a header without its empty line', data, 2,
                 'no empty line ends the header',
                 visible(put(2, FROM % 2 + fields(2) + b'\n')))


ODD = b'From u2@example.org Thu, 29 Nov 2001 22:33:52 +0000\n'
NAKED = b'From u9@example.org Thu Nov 29 22:33:52 2001\n'
PSEUDO_BASE = b'X-IMAP: 1234567890 0000000010\n'

FAULTS = [
    # The file.
    Fault('empty lines before all', b'\n\n' + b''.join(SOUND), 0,
          'begins with empty lines', left=True),
    Fault('NULs before all', b'\0\0' + b''.join(SOUND), 0,
          'begins with empty lines', left=True, also=('NUL',)),
    Fault('text before all', b'Torn.\n\n' + b''.join(SOUND), 1,
          'text stands before', left=True, also=(
              'can not have it', 'but the mailbox has no X-IMAPbase',
              'a word that X-IMAPbase does not list')),
    cut(),
    # Where messages begin.
    no_blank(),
    Fault('a From_ line glued to a line', put(2, mail(
        2, body=text(2) + b'torn' + NAKED + b'X-Hidden: y\n\nmail\n')), 2,
        'glued to the end of another line', left=True),
    Fault('a From_ line without a date', put(2, mail(
        2, body=text(2) + b'\nFrom u9@example.org yesterday\nTo: me\n\n'
        b'mail\n')), 2, 'without a date', left=True),
    Fault('a From_ line with an odd date', put(2, mail(2, line=ODD)), 2,
          'written oddly', left=True),
    Fault('a body line that looks like one', put(2, mail(
        2, body=b'text\n' + NAKED + b'goes on\n')), 2,
        'looks like a From_ line', left=True),
    Fault('a From_ line of text', put(2, mail(
        2, body=text(2) + b'\n' + NAKED + b'is no header\n\n')) +
        b'', 3, 'no header behind', left=True,
        also=('no X-UID, but messages behind it have one',)),
    open_header(),
    # Bytes.
    Fault('NULs', put(2, mail(2, body=b'a\0\0b\n')), 2,
          'NUL bytes (count 2)', left=True),
    Fault('bare CRs', put(2, mail(2, body=b'a\rb\n')), 2,
          'CRs that no LF follows (count 1)', left=True),
    Fault('mixed line ends', put(2, mail(2, body=b'a\r\nb\n')), 2,
          'lines end in LF and in CRLF', left=True),
    # UIDs.
    Fault('a UID twice', more(4, stamp(4, uid=b'2')), 4,
          'an earlier message has the same X-UID (X-UID 2)', uids=3),
    Fault('a falling UID', put(2, mail(2, stamp(2, uid=b'3'))).replace(
        b'X-UID: 3\n\nID:3', b'X-UID: 2\n\nID:3'), 3,
        'X-UID is below one before it (X-UID 2)', uids=2),
    Fault('a UID above the last', more(4, stamp(4, uid=b'11')), 4,
          'X-UID is above the last UID that X-IMAPbase knows (X-UID 11)',
          uids=3),
    Fault('a UID that is none', more(4, stamp(4, uid=b'99999999999')), 4,
          'X-UID is no number', uids=3),
    Fault('a UID missing', more(3, b'Status: RO\n'), 3,
          'no X-UID, but messages behind it have one', uids=2),
    Fault('UIDs without a base', more(1, stamp(1, b'', keywords=b''))
          .replace(b' $Work', b''), 1, 'but the mailbox has no X-IMAPbase',
          uids=0),
    # The base field.
    Fault('a base of impossible numbers', more(1, stamp(
        1, b'X-IMAPbase: 1234567890 9999999999\n', keywords=b'')).replace(
        b' $Work', b''), 1, 'does not hold two numbers', uids=0),
    Fault('a base below its own UID', more(1, stamp(
        1, b'X-IMAPbase: 1234567890 0000000010\n', keywords=b'',
        uid=b'11')).replace(b' $Work', b''), 1, 'does not agree', uids=0),
    Fault('a second base', more(3, BASE + stamp(3)), 3,
          'in a message that can not have it'),
    Fault('a forged pseudo message', more(3, PSEUDO_BASE + stamp(3)), 3,
          'in a message that can not have it'),
    Fault('two bases in one header', more(1, stamp(1, BASE + BASE,
          keywords=b'')).replace(b'Keywords: $Work', b'Keywords:'), 1,
          'stands a second time', uids=0),
    # Other metadata.
    Fault('Status twice', more(2, b'Status: O\n' + stamp(2)), 2,
          'stands a second time'),
    Fault('X-Keywords twice', more(2, b'X-Keywords: $Work\n' + stamp(2)), 2,
          'stands a second time'),
    Fault('X-UID twice', more(4, stamp(4) + b'X-UID: 5\n'), 4,
          'stands a second time', uids=3),
    Fault('metadata before other fields', more(
        2, b'Status: RO\nX-Other: behind it\n' + stamp(2)), 2,
        'stand before other fields',
        also=('stands a second time',)),
    Fault('odd letters', more(2, stamp(2, status=b'urgent')), 2,
          'says what no mail program writes'),
    Fault('a keyword of nobody', more(2, stamp(2, keywords=b' Odd')), 2,
          'a word that X-IMAPbase does not list', left=True),
    Fault('a length too long', more(2, b'Content-Length: 99\n' + stamp(2)),
          2, 'Content-Length is wrong (the text has 18)'),
    Fault('a length too short', more(2, b'Content-Length: 3\n' + stamp(2)),
          2, 'Content-Length is wrong (the text has 18)'),
    Fault('a quoting mark', more(2, b'X-IMAPd-Quoted: rd\n' + stamp(2)), 2,
          'X-IMAPd-Quoted stands where'),
]

SOUND_ONES = [
    ('four messages', b''.join(SOUND)),
    ('no message', b''),
    ('new mail behind', b''.join(SOUND) + mail(5, b'')),
    ('mail that no program has numbered', mail(1, b'') + mail(2, b'')),
    ('CRLF', b''.join(SOUND).replace(b'\n', b'\r\n')),
    ('a length that is right', more(2, b'Content-Length: 18\n' + stamp(2))),
    ('quoted From_ lines', put(2, mail(2, body=b'>' + NAKED + b'X: y\n'))),
    ('a pseudo message alone', kill.PSEUDO),
    ('a pseudo message and mail', kill.PSEUDO.replace(b'0200', b'0010') +
     mail(2) + mail(3)),
    ('demo', mailboxes.make('demo')),
    ('many', mailboxes.make('many(300)')),
] + [(s.name, s) for s in kill.SHAPES[:8] if s.form not in (
    'mixed', 'none')]


class Box:
    """A mailbox, and the doctor."""

    def __init__(self, place, data):
        self.place, self.path = place, place.inbox
        self.env = dict(place.env)
        for name in list(place.names()[1]):
            if not name.endswith(('/journal', '/uidvalidity')):
                os.unlink(name)
        with open(self.path, 'wb') as f:
            f.write(data)
        os.chmod(self.path, 0o600)

    def read(self):
        with open(self.path, 'rb') as f:
            return f.read()

    def run(self, *args):
        done = subprocess.run([traced.IMAPD] + list(args), env=self.env,
                              stdin=subprocess.DEVNULL, cwd='/',
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.decode('latin-1')

    def check(self):
        return self.run('--check', self.path)

    def repair(self, *more):
        return self.run(*more, '--repair', self.path)

    def kept(self, where=None):
        """The bytes of all originals that are kept."""
        where = where or os.path.join(self.place.home, '.imapd')
        names = os.listdir(where) if os.path.isdir(where) else []
        found = []
        for name in sorted(n for n in names if '.before.' in n):
            with open(os.path.join(where, name), 'rb') as f:
                found.append(f.read())
        return found


def told(out):
    """What was found, without the last line and what was done."""
    return [line for line in out.splitlines()
            if re.match(r'byte |the file |a dotlock |a change ', line)]


def exactly(fault, out):
    lines = told(out)
    wanted = [fault.words] + list(fault.also)
    strange = [line for line in lines
               if not any(w in line for w in wanted)]
    mark = 'message %d: ' % fault.msg if fault.msg else \
        'before all messages: '
    here = [line for line in lines if fault.words in line]
    return (not strange and len(here) == 1 and mark in here[0] and
            all(any(w in line for line in lines) for w in wanted))


def one_fault(point, place, fault):
    box = Box(place, fault.data)
    status, out = box.check()
    point(status == 1 and exactly(fault, out) and
          box.read() == fault.data,
          'check: %s' % fault.name, out.splitlines())
    status, out = box.repair()
    after = box.read()
    good = visible(after) == fault.text
    if fault.left:
        good = good and status == 1 and fault.words in out
    else:
        good = good and status == 0 and box.kept() == [fault.data] and \
            marks(after, fault.uids) == marks(fault.data, fault.uids)
    point(good, 'repair: %s: %s, the text is as it was' % (
        fault.name, 'is left' if fault.left else 'mended'),
        out.splitlines() + ['%r' % visible(after)])
    kept = box.kept()
    box.repair()
    point(box.read() == after and box.kept() == kept,
          'repair: %s: a second time changes nothing' % fault.name)


# ---- what stands around

def dead_pid():
    child = subprocess.Popen(['true'])
    child.wait()
    return child.pid


def around(point, place):
    box = Box(place, b''.join(SOUND))
    lock = box.path + '.lock'

    def says(what, words, status=1, count=1):
        got, out = box.check()
        lines = told(out)
        point(got == status and len(lines) == count and
              all(any(w in line for line in lines) for w in words),
              'check: ' + what, out.splitlines())

    def dotlock(content):
        with open(lock, 'w') as f:
            f.write(content)
    host = socket.gethostname()
    dotlock('%d:%s' % (os.getpid(), host))
    says('a dotlock that is held', ['process %d on' % os.getpid(),
                                    'which is alive'][:1])
    says('and that its holder lives', ['which is alive'])
    pid = dead_pid()
    dotlock('%d:%s' % (pid, host))
    says('a stale dotlock and its holder', ['process %d' % pid])
    says('and that its holder is dead', ['which is dead: it is stale'])
    status, out = box.repair()
    point(status == 0 and not os.path.exists(lock) and box.kept() == [],
          'repair: a stale dotlock is removed', out.splitlines())
    dotlock('')
    says('a dotlock of nobody', ['of an unknown process'])
    os.unlink(lock)
    os.link(box.path, box.path + '2')
    says('a second name', ['the file has a second name (2 links)'])
    status, out = box.repair()
    point(status == 2 and 'second name' in out,
          'repair: not with a second name', out.splitlines())
    os.unlink(box.path + '2')
    os.chmod(box.path, 0o602)
    says('a mode that lets others write', ['the mode 0602'])
    os.chmod(box.path, 0o600)
    says('nothing when all is well', [], 0, 0)
    for path, words in ((box.path + '3', 'no such file'),
                        (place.spool, 'not a regular file')):
        status, out = box.run('--check', path)
        point(status == 2 and words in out, 'check: ' + words,
              out.splitlines())
    status, _ = box.run('--check')
    point(status == 64, 'check: without a file it is refused')


def keeping(point, place):
    fault = FAULTS[-1]
    box = Box(place, fault.data)
    where = place.path('keep')
    os.mkdir(where)
    status, out = box.repair('--keep=' + where)
    point(status == 0 and box.kept(where) == [fault.data] and
          box.kept() == [], 'repair: --keep=DIR has the original',
          out.splitlines())
    with open(box.path, 'wb') as f:
        f.write(FAULTS[-2].data)
    status, out = box.repair('--keep=' + where)
    point(status == 0 and box.kept(where) ==
          [fault.data, FAULTS[-2].data],
          'repair: a second original has a name of its own',
          out.splitlines())
    box = Box(place, fault.data)
    status, out = box.repair('--keep=' + where + '/none')
    point(status == 2 and box.read() == fault.data,
          'repair: where no original can be kept nothing is changed',
          out.splitlines())


def waiting(place):
    """Starts a check that has to wait; what is to be closed in the end."""
    path = os.path.join(place.spool, 'locked')
    held = open(path, 'w+b')
    os.chmod(path, 0o600)
    fcntl.lockf(held, fcntl.LOCK_EX)
    fcntl.flock(held, fcntl.LOCK_EX)
    return held, subprocess.Popen(
        [traced.IMAPD, '--check', path], env=place.env, cwd='/',
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def table(_, __):
    points = []

    def point(good, what, notes=()):
        points.append((good, what, () if good else list(notes)))
    with traced.Place() as other, traced.Place() as place:
        held, process = waiting(other)
        for name, data in SOUND_ONES:
            if isinstance(data, kill.Shape):
                data = data.make(kill.random.Random(1))
            status, out = Box(place, data).check()
            point(status == 0 and told(out) == [] and 'no faults' in out,
                  'check: sound: %s' % name, out.splitlines())
        for fault in FAULTS:
            one_fault(point, place, fault)
        around(point, place)
        keeping(point, place)
        out = process.communicate()[0].decode()
        held.close()
        point(process.returncode == 2 and 'keeps the mailbox locked' in out
              and ('process %d' % os.getpid() in out or
                   not other.base.startswith('/dev/shm/')),
              'check: who holds a lock for too long is named',
              out.splitlines())
    return points


# ---- killed

def sick():
    """All that is mended, in one mailbox."""
    parts = [mail(n) for n in range(1, 13)]
    parts[1] = mail(2, b'Status: O\n' + stamp(2))
    parts[2] = mail(3, b'Content-Length: 3\n' + stamp(3), behind=b'')
    parts[3] = mail(4, BASE + stamp(4))
    parts[4] = mail(5, stamp(5), body=text(5) * 60, behind=b'')
    parts[5] = FROM % 6 + fields(6) + stamp(6)
    parts[7] = mail(8, stamp(8, uid=b'2'))
    parts[9] = mail(10, stamp(10, uid=b'77'))
    parts[11] = mail(12, behind=b'')[:-1]
    return parts


def numbers(place):
    """What a session shows: (number, text) of each message."""
    _, seen = kill.look(place, ['INBOX'])
    found = []
    for _, _, body in seen['INBOX'].messages:
        head, _, rest = body.partition(b'\r\n\r\n')
        n = kill.NUMBER.search(head.replace(b'\r\n', b'\n') + b'\n')
        found.append((int(n.group(1)), rest.rstrip(b'\r\n')))
    return found


def after_kill(box, parts, want):
    """What is wrong after a kill, or None; and whether a change was told
    to be half done."""
    _, out = box.check()
    hot = 'was interrupted in the middle of' in out
    # One of them is killed before a session, one before a repair.
    state = box.place.save()
    got = numbers(box.place)
    if got != want:
        return hot, 'a session shows %r' % [n for n, _ in got]
    box.place.restore(state)
    status, out = box.repair()
    if status != 0:
        return hot, 'a repair says %r' % out
    got = numbers(box.place)
    if got != want:
        return hot, 'after a repair a session shows %r' % [
            n for n, _ in got]
    if not all(k.count(b'X-Number') == len(parts) for k in box.kept()):
        return hot, 'half an original is kept'
    return hot, None


def killing(_, __):
    points, hot, bad, parts = [], 0, [], sick()
    want = [(kill.Message(p).number,
             kill.Message(p).wire().partition(b'\r\n\r\n')[2].rstrip(
                 b'\r\n')) for p in parts]
    with traced.Place() as place:
        box = Box(place, b'')
        numbers(place)			# makes the journal
        box = Box(place, b''.join(parts))
        start = place.save()

        def trace(how):
            place.restore(start)
            os.chmod(box.path, 0o600)
            done = subprocess.run(
                [traced.TRACE, '--points=changes', how, traced.IMAPD,
                 '--repair', box.path], env=place.env, cwd='/',
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE)
            return done, traced.Run(0, b'', done.stderr)
        done, run = trace('--count')
        points.append((done.returncode == 0 and numbers(place) == want and
                       box.kept() == [b''.join(parts)] and run.points > 50,
                       'repair: all faults at once are mended',
                       done.stdout.decode('latin-1').splitlines()))
        for i in range(1, run.points + 1):
            for how in 'kill', 'torn':
                done, killed = trace('--%s=%d' % (how, i))
                if killed.killed is None or done.returncode == 0:
                    continue
                was_hot, fault = after_kill(box, parts, want)
                hot += was_hot
                if fault:
                    bad.append('%s at call %d, %s: %s' % (
                        how, i, killed.killed, fault))
    points.append((not bad, 'repair: killed at each of its %d calls, no '
                   'message is lost or there twice' % run.points, bad[:20]))
    print('# killed at %d calls, %d times in the middle of a change' % (
        run.points, hot))
    points.append((hot > 10, 'check: an interrupted change is told', ()))
    return points


# ---- root

def as_root(tap):
    what = 'check and repair: root is sent to the owner'
    if not traced.ROOT:
        tap.point(True, what + ' # SKIP needs root')
        return
    with traced.Place() as place:
        box = Box(place, FAULTS[-1].data)
        os.chown(box.path, traced.NOBODY, traced.NOBODY)
        got = [box.check(), box.repair()]
        good = all(status == 2 and 'run this as its owner' in out
                   for status, out in got) and \
            box.read() == FAULTS[-1].data
        tap.point(good, what, () if good else [out for _, out in got])


def main():
    traced.ours_alone()
    tap = Tap()
    as_root(tap)

    def work(i, n):
        return (table, killing)[i](i, n)
    for points in traced.spread(work):
        for good, what, notes in points:
            tap.point(good, what, () if good else notes)
    tap.end()


if __name__ == '__main__':
    main()
