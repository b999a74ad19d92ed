#!/usr/bin/env python3
"""crash_rewrite.t - no crash, no power cut and no full disk loses a message.

A rewrite is killed at every call by which it changes a file; then perhaps
mail is delivered, or another mail reader rewrites the mailbox; then it is
recovered, and that is killed too. A reader of its own judges what is left.

CASES=n power cuts in all (1000), and ROUNDS=n mailboxes of each shape (1).
The seed is printed; SEED repeats it.
"""

import os
import random
import subprocess
import sys
import tempfile

import crash
from tree import Tap

HERE = os.path.dirname(os.path.abspath(__file__))
OPS = ('compact', 'all', 'expand', 'empty')
ERRORS = (28, 5, 122, 27)       # ENOSPC EIO EDQUOT EFBIG
EINTR = 4


def program():
    """The plain one: a library can not be put before the sanitisers'."""
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
        """A program that delivers during an expansion sees a line end at
        the end of the file: that is kept where there was none before."""
        ends = (b'',)
        if delivered and not self.mbox.endswith(b'\n'):
            ends = (b'', b'\n', b'\0')
        return any(found == s + end + delivered
                   for s in self.states for end in ends)


def cases(rng, lab, rounds):
    for _ in range(rounds):
        for shape in crash.SHAPES:
            for op in OPS:
                case = Case(rng, lab, shape, op)
                if case.items is not None:
                    yield case


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
        for _ in range(rng.choice((0, 0, 0, 1, 2))):
            state = [held[i] for i in inos]
            lab.restore(state)
            _, more = logged(lab, 'recover', ())
            held = crash.power_cut(rng, more, dict(zip(inos, state)))
        lab.restore([held[i] for i in inos])
        if rng.random() < .3:
            delivered = lab.deliver(rng)
        rc = lab.run('recover')
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
            t.judge(good, case.shape[0], case.op, how, value, 'rc', rc)


class Patches:
    """Bytes to be overwritten in a mailbox of "o", across sectors or not."""
    shape = ('patches', '', 'lf', 4096, 0)

    def __init__(self, rng):
        self.old = b'From a@b Thu Nov 29 22:33:52 2001\n\n' + b'o' * 9000
        new, self.spans, at = bytearray(self.old), [], rng.randint(40, 500)
        while at < 8900:
            n = rng.randint(1, 60)
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
    names = ('kill', 'foreign', 'nested', 'cut', 'kept', 'fault', 'order',
             'patch')
    t = {name: Tally() for name in names}
    with tempfile.TemporaryDirectory() as top:
        lab = crash.Lab(top, program(), build_shim(top))
        # Not every shape has something to expand.
        per = 1 + cuts // (rounds * len(crash.SHAPES) * (len(OPS) - 1))
        for i, case in enumerate(cases(rng, lab, rounds)):
            kills(rng, lab, case, t['kill'], False)
            kills(rng, lab, case, t['foreign'], True)
            every_nested(lab, case, t['nested'])
            order = power_cuts(rng, lab, case, per, t['cut'])
            if case.op != 'all':
                rule = (crash.EXPAND if case.op == 'expand' else
                        crash.COMPACT)
                t['order'].judge(rule.fullmatch(order), case.shape[0],
                                 case.op, order)
            acknowledged(lab, case, t['kept'])
            if i % 3 == 0:
                faults(rng, lab, case, t['fault'])
        patches(rng, lab, t['patch'], 1 + cuts // 20)
        runs = lab.runs
    t['kill'].point(tap, 'killed at every call, mail delivered')
    t['foreign'].point(tap, 'killed, then rewritten by another program')
    t['nested'].point(tap, 'recovery killed at every call')
    t['cut'].point(tap, 'power cuts')
    t['kept'].point(tap, 'what is acknowledged is on the disk')
    t['fault'].point(tap, 'calls that fail')
    t['order'].point(tap, 'journal, sync, mailbox, sync')
    t['patch'].point(tap, 'patches are whole')
    print('# %d runs' % runs)
    tap.end()


if __name__ == '__main__':
    sys.exit(main())
