#!/usr/bin/env python3
"""crash_rewrite.t - no crash, no power cut and no full disk loses a message.

A rewrite, or an append, is killed at every call by which it changes a file;
then perhaps mail is delivered, or another mail reader rewrites the mailbox;
then it is recovered, and that is killed too. A reader of its own judges what
is left.

CASES=n power cuts in all (1000), and ROUNDS=n mailboxes of each shape (1).
The seed is printed; SEED repeats it.
"""

import itertools
import os
import random
import re
import subprocess
import sys
import tempfile

import crash
from tree import Tap

HERE = os.path.dirname(os.path.abspath(__file__))
OPS = ('compact', 'all', 'expand', 'empty')
ERRORS = (28, 5, 122, 27)       # ENOSPC EIO EDQUOT EFBIG
EINTR = 4
SEAM = b'From imapd-seam'


def program():
    """The one that lies beside the validator."""
    validate = os.environ.get('VALIDATE', 'obj/tests/validate')
    path = os.path.join(os.path.dirname(validate), 'unit_rewrite')
    return os.path.abspath(os.environ.get('REWRITE', path))


def build_shim(top):
    path = os.path.join(top, 'shim.so')
    subprocess.run([os.environ.get('CC', 'gcc'), '-std=c11', '-D_GNU_SOURCE',
                    '-O1', '-shared', '-fPIC', '-o', path,
                    os.path.join(HERE, 'shim.c')], check=True)
    return path


class Case:
    """A mailbox with what is to be done to it, and how that may end."""

    def __init__(self, rng, lab, shape, op):
        self.shape, self.op = shape, op
        self.mbox = crash.make(rng, shape)
        self.items = crash.plan(rng, self.mbox, op)
        if self.items is None:
            return
        self.verb = 'compact' if op == 'empty' else op
        self.states = crash.legal(lab, self.mbox, self.items, op, shape)
        self.must = crash.kept(self.mbox, self.items)
        lab.start(self.mbox, shape)
        lab.run(self.verb, self.items)
        self.calls = lab.counted()

    def begin(self, lab):
        lab.start(self.mbox, self.shape)

    def ended_well(self, found, delivered):
        """A program that delivers behind half a rewrite may see no line
        end, or one that goes with the rewrite: some are kept then."""
        ends = (b'',)
        if delivered and not self.mbox.endswith(b'\n'):
            ends = (b'', b'\n', b'\n\n', b'\0')
        return any(found == s + end + delivered
                   for s in self.states for end in ends)


class Append(Case):
    """Messages to be appended, by a window or many."""

    def __init__(self, rng, lab, shape):
        self.shape, self.op, self.verb = shape, 'append', 'append'
        self.mbox = crash.make(rng, shape)
        data = b''.join(crash.message(rng, n) for n in range(200, 203))
        if self.mbox and not self.mbox.endswith(b'\n'):
            data = b'\n\n' + data
        self.items = [data.decode()]
        self.states = [self.mbox, self.mbox + data]
        self.must = crash.bodies(self.mbox)
        self.begin(lab)
        lab.run('append', self.items)
        self.calls = lab.counted()


def cases(rng, lab, rounds):
    for _ in range(rounds):
        for shape in crash.SHAPES:
            for op in OPS:
                case = Case(rng, lab, shape, op)
                if case.items is not None:
                    yield case
        for shape in crash.APPENDS:
            yield Append(rng, lab, shape)


class Tally:
    def __init__(self):
        self.tried, self.bad = 0, []

    def judge(self, good, *what):
        self.tried += 1
        if not good:
            self.bad.append(' '.join(str(w) for w in what))

    def point(self, tap, what):
        tap.point(self.tried > 0 and not self.bad, '%s: %d tried, %d bad' % (
            what, self.tried, len(self.bad)), self.bad[:10])


def killed_recovery(rng, lab, meanwhile):
    """Recovers, killed up to three times at random calls before."""
    for _ in range(rng.choice((0, 1, 1, 3))):
        how = rng.choice(('kill', 'torn'))
        if lab.run('recover', **{how: rng.randint(1, 12)}) == crash.OK:
            return crash.OK
        meanwhile()
    return lab.run('recover')


def kills(rng, lab, case, t, foreign):
    """Each call once in its place, and each write that is half done."""
    # Which messages a reader sees that are in pieces, nobody can say.
    if case.shape[2] == 'pieces' and foreign:
        return
    for n in range(1, case.calls + 1):
        for how in ('kill', 'torn'):
            case.begin(lab)
            if lab.run(case.verb, case.items, sync=rng.random() < .7,
                       **{how: n}) == crash.OK:
                continue
            one_kill(rng, lab, case, t, foreign, (how, n))


def one_kill(rng, lab, case, t, foreign, where):
    delivered, gone = [], set()

    def meanwhile():
        if rng.random() < .4:
            delivered.append(lab.deliver(rng, foreign))
        if foreign and (rng.random() < .4 or not gone):
            gone.add(lab.reader(rng))
            if rng.random() < .3:
                delivered.append(lab.deliver(rng, foreign))

    meanwhile()
    rc = killed_recovery(rng, lab, meanwhile)
    found = lab.read()
    if foreign:
        must = dict(case.must)
        for text in delivered:
            must.update(crash.bodies(text))
        missing = crash.lost(found, must, gone)
        good = rc == crash.OK and not missing
        t.judge(good, case.shape[0], case.op, where, 'rc', rc, 'lost',
                missing)
    else:
        good = rc == crash.OK and case.ended_well(found, b''.join(delivered))
        t.judge(good, case.shape[0], case.op, where, 'rc', rc, 'lost',
                crash.lost(found, case.must))


def visible(lab, case, t):
    """Another reader of a half-done file sees every message that is kept,
    beginning with its From_ line, at least once."""
    if case.shape[2] in ('pieces', 'none'):
        return
    for n in range(1, case.calls + 1):
        case.begin(lab)
        lab.run(case.verb, case.items, kill=n)
        seen = {crash.ident(m): m for m in crash.messages(lab.read())}
        hidden = [i for i, texts in case.must.items()
                  if not any(x in m for m in [seen.get(i, b'')]
                             for x in texts)]
        t.judge(not hidden, case.shape[0], case.op, 'kill', n, hidden)


def intruded(rng, lab, case, t):
    """A program that cut the file off and delivered mail, or that set flags,
    made bytes stand where recovery would write: they are not overwritten."""
    if case.shape[2] == 'pieces':
        return
    ino = os.stat(lab.mbox).st_ino
    small = crash.message(rng, 777, '', 0)
    # One within a sector, one that is longer; and flags set in place.
    texts = (small, small.replace(b'ID:', b'x' * crash.SECTOR + b'\nID:'),
             b'Status: ROX')
    for n in range(1, case.calls + 1):
        case.begin(lab)
        lab.run(case.verb, case.items, **{rng.choice(('kill', 'torn')): n})
        state = lab.state()
        _, calls = logged(lab, 'recover', ())
        places = [(off, new) for kind, which, off, new in calls
                  if kind == 'w' and which == ino]
        for (place, new), text in itertools.product(places, texts):
            # Nobody sets flags in a seam, where the next window will go.
            if len(text) < 64 and (place, new) != places[0]:
                continue
            room = min(len(new), len(state[0]) - place) - len(text)
            if room < 0:
                continue
            at = rng.randint(0, room)
            # What is smaller than a grain may look like its torn half.
            torn = len(os.path.commonprefix((new, state[0][place:])))
            if len(text) < 64 and abs(at - torn) < 160 or new[:15] == SEAM:
                continue
            at += place
            lab.restore((state[0][:at] + text + state[0][at + len(text):],
                         state[1]))
            rc = lab.run('recover')
            t.judge(rc == crash.OK and text in lab.read(), case.shape[0],
                    case.op, 'kill', n, 'rc', rc)


def cut_off(rng, lab, case, t):
    """A program deletes the last messages that it sees, and mail comes in:
    that, and what was left, stays."""
    for n in range(1, case.calls + 1):
        case.begin(lab)
        lab.run(case.verb, case.items, **{rng.choice(('kill', 'torn')): n})
        before = lab.read()
        places = [a for a, _ in crash.parse(before)] + [len(before)]
        lab.write(before[:rng.choice(places)])
        must = {i: texts for i, texts in case.must.items()
                if i not in crash.lost(lab.read(), {i: texts})}
        for _ in range(rng.choice((1, 1, 2, 5, 20))):
            must.update(crash.bodies(lab.deliver(rng, True)))
        rc = lab.run('recover')
        missing = crash.lost(lab.read(), must)
        t.judge(rc == crash.OK and not missing, case.shape[0], case.op,
                'kill', n, 'rc', rc, 'lost', missing)


def every_nested(lab, case, t):
    """One crash in the middle; recovery killed at each of its calls."""
    n = case.calls // 2
    case.begin(lab)
    lab.run(case.verb, case.items, kill=n)
    state = lab.state()
    if lab.run('recover') != crash.OK:
        t.judge(False, case.shape[0], case.op, 'cannot be recovered')
        return
    for m in range(1, lab.counted() + 1):
        lab.restore(state)
        lab.run('recover', kill=m)
        rc = lab.run('recover')
        t.judge(rc == crash.OK and case.ended_well(lab.read(), b''),
                case.shape[0], case.op, 'kill', n, 'then', m)


def logged(lab, verb, items):
    if os.path.exists(lab.log):
        os.unlink(lab.log)
    rc = lab.run(verb, items, log=lab.log)
    calls = crash.read_log(lab.log) if os.path.exists(lab.log) else []
    return rc, calls


def power_cuts(rng, lab, case, n, t):
    """One run is cut off at n places; some of the recoveries too."""
    inos = [os.stat(lab.mbox).st_ino, os.stat(lab.journal).st_ino]
    case.begin(lab)
    before = lab.state()
    _, calls = logged(lab, case.verb, case.items)
    for _ in range(n):
        held = crash.power_cut(rng, calls, dict(zip(inos, before)))
        delivered = b''
        for left in range(rng.choice((0, 0, 0, 1, 2)), -1, -1):
            lab.restore([held[i] for i in inos])
            if not delivered and rng.random() < .3:
                delivered = lab.deliver(rng)
            state = lab.state()
            rc, more = logged(lab, 'recover', ())
            if left > 0:
                held = crash.power_cut(rng, more, dict(zip(inos, state)))
        found = lab.read()
        good = rc == crash.OK and case.ended_well(found, delivered)
        t.judge(good, case.shape[0], case.op, 'rc', rc, 'lost',
                crash.lost(found, case.must))
    return crash.schedule(calls, inos[0])


def acknowledged(lab, case, t):
    """What was answered OK is on the disk."""
    case.begin(lab)
    before = lab.state()
    rc, calls = logged(lab, case.verb, case.items)
    ino = os.stat(lab.mbox).st_ino
    disk, waiting = bytearray(before[0]), []
    for kind, which, off, text in calls:
        if which == ino and kind == 's':
            for op in waiting:
                crash.apply(disk, *op)
            waiting = []
        elif which == ino:
            waiting.append((kind, off, text))
    t.judge(rc == crash.OK and bytes(disk) == case.states[-1] == lab.read(),
            case.shape[0], case.op)


def faults(rng, lab, case, t):
    for n in range(1, case.calls + 1):
        for how, value in (
                ('fail', '%d:%d' % (n, rng.choice(ERRORS))),
                ('fail', '%d+:%d' % (n, rng.choice(ERRORS))),
                ('fail', '%d:%d' % (n, EINTR)), ('short', n)):
            case.begin(lab)
            rc = lab.run(case.verb, case.items, **{how: value})
            found = lab.read()
            if rc == crash.OK:
                good = found == case.states[-1]
            elif rc == crash.FULL:
                # Nothing is left half-done. (The items of what was done are
                # others by now.)
                good = found in case.states and lab.run('recover') == crash.OK
                good = good and lab.read() == found
                good = good and (found != case.mbox or lab.run(
                    case.verb, case.items) == crash.OK)
            else:
                # While it is hot nothing more is done to it.
                again = lab.run(case.verb, case.items)
                good = again == crash.OK or lab.read() == found
                good = good and lab.run('recover') == crash.OK
                good = good and (again == crash.OK or
                                 case.ended_well(lab.read(), b''))
                good = good and not crash.lost(lab.read(), case.must)
            if how == 'short' or value.endswith(':%d' % EINTR):
                good = good and rc == crash.OK
            elif case.op == 'append' and '+' not in value:
                # One failure, after which all else can be done.
                good = good and (rc == crash.OK or found == case.mbox)
            t.judge(good, case.shape[0], case.op, how, value, 'rc', rc)


def no_room(rng, lab, case, t):
    """The mailbox can not grow: all is as it was, and works later."""
    if case.op not in ('expand', 'append'):
        return
    ino = os.stat(lab.mbox).st_ino
    case.begin(lab)
    _, calls = logged(lab, case.verb, case.items)
    end = len(case.mbox)
    # Where the filler, or the last window, ends.
    grows = max(off + len(text) for kind, which, off, text in calls
                if kind == 'w' and which == ino)
    for room in {0, 1, (grows - end) // 2, grows - end - 1}:
        if not 0 <= room < grows - end:
            continue
        for mail in (False, True):
            case.begin(lab)
            rc = lab.run(case.verb, case.items, room='%d:%d' % (
                ino, end + room))
            good = rc == crash.FULL and lab.read() == case.mbox
            text = lab.deliver(rng) if mail else b''
            if not mail:
                good = good and lab.run(case.verb, case.items) == crash.OK
                good = good and lab.read() == case.states[-1]
            good = good and lab.run('recover') == crash.OK
            good = good and lab.read().endswith(text)
            t.judge(good, case.shape[0], case.op, 'room', room, 'rc', rc)


def stale(rng, lab, case, n, t):
    """What was appended and acknowledged is there after a power cut,
    whatever came next."""
    if case.op != 'append':
        return
    inos = [os.stat(lab.mbox).st_ino, os.stat(lab.journal).st_ino]
    case.begin(lab)
    before = lab.state()
    _, first = logged(lab, 'append', case.items)
    _, more = logged(lab, 'append', case.items[::-1])
    whole = case.states[-1]
    for _ in range(n):
        held = crash.power_cut(rng, first + more, dict(zip(inos, before)),
                               len(first))
        lab.restore([held[i] for i in inos])
        rc = lab.run('recover')
        t.judge(rc == crash.OK and lab.read() in (
            whole, whole + case.items[0].encode()), case.shape[0], 'rc', rc)


def torn_tails(rng, lab, case, t):
    """An append that stops at any byte, and mail delivered behind it."""
    if case.op != 'append':
        return
    ino = os.stat(lab.mbox).st_ino
    data = case.items[0].encode()
    case.begin(lab)
    _, calls = logged(lab, 'append', case.items)
    for n, (kind, which, off, text) in enumerate(calls, 1):
        if kind != 'w' or which != ino:
            continue
        case.begin(lab)
        lab.run('append', case.items, kill=n)
        _, journal = lab.state()
        last = off + len(text) == len(case.mbox) + len(data)
        begins = [m.start() for m in re.finditer(b'From u', text)]
        ends = [max(0, len(text) - i) for i in (1, 2)]
        some = rng.sample(range(len(text)), min(len(text), 4))
        for k in {*begins, *ends, *some}:
            torn = data[:off - len(case.mbox) + k]
            nuls = bytes(min(90, len(text) - k))
            for part in (torn, torn + nuls):
                one_tail(rng, lab, case, part, last, journal, t)


def one_tail(rng, lab, case, part, last, journal, t):
    data, whole = case.items[0].encode(), case.states[-1]
    lab.restore((case.mbox + part, journal))
    rc = lab.run('recover')
    # Where but line ends are missing they are added, unless they are in a
    # window that was not begun: what that held nobody knows.
    all_there = data.rstrip(b'\n') == part.rstrip(b'\n') and last
    good = lab.read() == (whole if all_there else case.mbox)
    t.judge(rc == crash.OK and good, case.shape[0], 'torn', len(part),
            'rc', rc)
    # What ends the line before, where that does not itself.
    keep = b''
    if part and not case.mbox.endswith(b'\n') and case.mbox:
        keep = part[:2].rstrip(b'\0') or b'\0'
    # The other mail may begin as what was to be there does.
    mail = crash.message(rng, rng.choice((20, 999)), '', 2)
    inos = [os.stat(lab.mbox).st_ino, os.stat(lab.journal).st_ino]
    for end in b'', b'\n':
        want = [case.mbox + keep + mail, case.mbox + keep + end + mail]
        if part + end == data:
            want = [whole + mail]
        state = case.mbox + part + end + mail, journal
        lab.restore(state)
        rc, calls = logged(lab, 'recover', ())
        t.judge(rc == crash.OK and lab.read() in want, case.shape[0],
                'torn', len(part), end, mail[:9], 'rc', rc)
        for _ in range(2):
            held = crash.power_cut(rng, calls, dict(zip(inos, state)))
            lab.restore([held[i] for i in inos])
            rc = lab.run('recover')
            t.judge(rc == crash.OK and lab.read() in want, case.shape[0],
                    'torn', len(part), end, mail[:9], 'cut, rc', rc)


def unread(lab, case, t):
    """A journal that can not be read is no empty one."""
    ino = os.stat(lab.journal).st_ino
    for n in range(1, case.calls + 1, 3):
        case.begin(lab)
        lab.run(case.verb, case.items, kill=n)
        state = lab.state()
        tried = [lab.run('append', ['x'], unread=ino),
                 lab.run('patch', ['0 F\n'], unread=ino),
                 lab.run('recover', unread=ino)]
        good = crash.OK not in tried and lab.state() == state
        good = good and lab.run('recover') == crash.OK
        good = good and case.ended_well(lab.read(), b'')
        t.judge(good, case.shape[0], case.op, 'kill', n, tried)


class Patches:
    """Bytes to be overwritten in a mailbox of "o", across sectors or not."""
    shape = ('patches', '', 'lf', 4096, 0)

    def __init__(self, rng):
        self.old = b'From a@b Thu Nov 29 22:33:52 2001\n\n' + b'o' * 9000
        new, self.spans, at = bytearray(self.old), [], rng.choice((0, 90))
        while at < 8300:
            # Flags, or the first message of an emptied mailbox.
            n = 600 if at == 0 else rng.randint(1, 60)
            self.spans.append((at, at + n))
            new[at:at + n] = b'N' * n
            at += n + rng.choice((1, 200, 450, 512 - n % 512))
        self.new = bytes(new)
        self.lines = ['%d %s\n' % (a, 'N' * (b - a)) for a, b in self.spans]

    def whole(self, found):
        """Each patch old or new, and no other byte changed."""
        want = bytearray(self.old)
        for a, b in self.spans:
            if found[a:b] == self.new[a:b]:
                want[a:b] = self.new[a:b]
        return found == want


def patches(rng, lab, t, cuts):
    for _ in range(6):
        p = Patches(rng)
        lab.start(p.old, p.shape)
        lab.run('patch', p.lines)
        t.judge(lab.read() == p.new, 'patches')
        for n in range(1, lab.counted() + 1):
            lab.start(p.old, p.shape)
            lab.run('patch', p.lines, kill=n)
            rc = killed_recovery(rng, lab, lambda: None)
            t.judge(rc == crash.OK and p.whole(lab.read()), 'kill', n)
        lab.start(p.old, p.shape)
        inos = [os.stat(lab.mbox).st_ino, os.stat(lab.journal).st_ino]
        before = lab.state()
        _, calls = logged(lab, 'patch', p.lines)
        for _ in range(cuts):
            held = crash.power_cut(rng, calls, dict(zip(inos, before)))
            lab.restore([held[i] for i in inos])
            rc = lab.run('recover')
            t.judge(rc == crash.OK and p.whole(lab.read()), 'power cut')


def main():
    seed = int(os.environ.get('SEED') or random.SystemRandom().getrandbits(32))
    cuts = int(os.environ.get('CASES', '1000'))
    rounds = int(os.environ.get('ROUNDS', '1'))
    print('# seed %d' % seed)
    rng, tap = random.Random(seed), Tap()
    names = ('kill', 'foreign', 'visible', 'intruded', 'short', 'nested',
             'cut', 'kept', 'stale', 'torn', 'fault', 'room', 'unread', 'order',
             'patch')
    t = {name: Tally() for name in names}
    with tempfile.TemporaryDirectory() as top:
        lab = crash.Lab(top, program(), build_shim(top))
        # Not every shape has something to expand.
        per = 1 + cuts // (rounds * (len(crash.SHAPES) * (len(OPS) - 1) +
                                     len(crash.APPENDS)))
        for i, case in enumerate(cases(rng, lab, rounds)):
            kills(rng, lab, case, t['kill'], False)
            kills(rng, lab, case, t['foreign'], True)
            if i % 2 == 0:
                visible(lab, case, t['visible'])
                intruded(rng, lab, case, t['intruded'])
                cut_off(rng, lab, case, t['short'])
                unread(lab, case, t['unread'])
            every_nested(lab, case, t['nested'])
            order = power_cuts(rng, lab, case, per, t['cut'])
            if case.op != 'all':
                rule = {'expand': crash.EXPAND, 'append': crash.APPEND}.get(
                    case.op, crash.COMPACT)
                t['order'].judge(rule.fullmatch(order), case.shape[0],
                                 case.op, order)
            acknowledged(lab, case, t['kept'])
            stale(rng, lab, case, per, t['stale'])
            torn_tails(rng, lab, case, t['torn'])
            no_room(rng, lab, case, t['room'])
            if i % 3 == 0 or case.op == 'append':
                faults(rng, lab, case, t['fault'])
        patches(rng, lab, t['patch'], 1 + cuts // 20)
        runs = lab.runs
    t['kill'].point(tap, 'killed at every call, mail delivered')
    t['foreign'].point(tap, 'killed, then rewritten by another program')
    t['visible'].point(tap, 'whole messages in every half-done state')
    t['intruded'].point(tap, 'mail where recovery would write is kept')
    t['short'].point(tap, 'cut off by another program, and mail delivered')
    t['nested'].point(tap, 'recovery killed at every call')
    t['cut'].point(tap, 'power cuts')
    t['kept'].point(tap, 'what is acknowledged is on the disk')
    t['stale'].point(tap, 'what was appended, and then a power cut')
    t['torn'].point(tap, 'appends torn at any byte')
    t['fault'].point(tap, 'calls that fail')
    t['unread'].point(tap, 'the journal can not be read')
    t['room'].point(tap, 'no room for the mailbox to grow')
    t['order'].point(tap, 'journal, sync, mailbox, sync')
    t['patch'].point(tap, 'patches are whole')
    print('# %d runs' % runs)
    tap.end()


if __name__ == '__main__':
    sys.exit(main())
