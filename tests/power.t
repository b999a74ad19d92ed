#!/usr/bin/env python3
"""power.t - no power cut loses a message, or what was answered OK.

Each operation on each shape of mailbox runs once, and all that it does to
files is logged. From the log disks are made that the machine may find when
the power comes back (disk.py); the server opens them, and may be cut off
again. The judge is that of kill.t: what the client had been told before the
cut must hold after it.

CUTS=n in all (1000), chosen by seed; SEED repeats them. SHAPE and OP
choose those with this in their names.
"""

import os
import random
import re
import sys
import time

sys.dont_write_bytecode = True
import kill
import traced
from tree import Tap

CUTS = int(os.environ.get('CUTS', '1000'))
# Of the 40 MB shape: each takes as long as many of another.
BIG_SHARE = 20


def heard(log):
    """What the client knows after these events."""
    out = b''.join(e[2] for e in log if e[0] == 'W')
    lines = sum(e[0] == 'R' for e in log)
    return traced.Run(0, out, b'trace: points=0 lines=%d killed=\n' % lines)


def cut_log(rng, log):
    """A prefix of it; sometimes up to an answer, to see what that is
    worth."""
    spoken = [i for i, e in enumerate(log) if e[0] == 'W']
    if spoken and rng.random() < .3:
        return log[:rng.choice(spoken) + 1]
    return log[:rng.randint(0, len(log))]


def broken_lock(path):
    """A dotlock whose text never reached the disk can be told from one that
    is held only by its age: older than the machine is up. Here it is not,
    so it is taken away."""
    with open(path, 'rb') as f:
        if not re.match(rb'\d+:.', f.read()):
            os.unlink(path)


def cut(rng, place, log, before):
    """Cuts a run off that began with the disk `before`; what the client
    knows, and where it was cut."""
    log = cut_log(rng, log)
    size = rng.choice((512, 4096))
    for e in log:
        before.event(e, size)
    names, files = before.cut(rng)
    place.settle(names, files)
    for path in names:
        if path.endswith('.lock'):
            broken_lock(path)
    return heard(log), '%d events (%d byte sectors)' % (len(log), size)


def one(rng, case, log, before):
    place = case.place
    run, what = cut(rng, place, log, before)
    judge = kill.Judge(case, run)
    while rng.random() < .25:
        disk = place.disk()
        again, more = place.logged(OPENS)
        if again.timeout:
            return '%s, %s: cut after %s: the next hangs: %s' % (
                case.shape.name, case.op.name, what,
                [os.path.basename(p) for p in place.names()[1]])
        _, again = cut(rng, place, more, disk)
        what += ', the next after ' + again
    meanwhile = judge.meanwhile(rng, rng.choice(('none', 'none', 'mail')))
    bad = judge.verdict()
    return bad and '%s, %s: cut after %s, then %s: %s' % (
        case.shape.name, case.op.name, what, meanwhile, bad)


OPENS = traced.Script().add(b'SELECT INBOX').add(
    b'UID FETCH 1:* (UID FLAGS)').add(b'LOGOUT')


def pair(seed, place, shape, op_number, share):
    """Chance is of this pair alone: OP and SHAPE do not change it."""
    key = '%d %s %d' % (seed, shape.name, op_number)
    rng = random.Random(key)
    case = kill.make_case(rng, place, shape, op_number)
    if not case.learn():
        return case.op.name, 0, ['%s, %s: %s' % (shape.name, case.op.name,
                                                 case.fault)]
    place.forget()
    place.restore(case.start)
    before = place.disk()
    run, log = place.logged(case.script)
    bad = []
    for n in range(share):
        rng = random.Random('%s %d' % (key, n))
        complaint = one(rng, case, log, before.copy())
        bad += [complaint] if complaint else []
        if len(bad) == 20:
            return case.op.name, n + 1, bad
    place.forget()
    return case.op.name, share, bad


def main():
    start = time.monotonic()
    seed = traced.seed()
    traced.ours_alone()
    work = kill.plan(CUTS, BIG_SHARE)

    def some(i, n):
        found = []
        with traced.Place() as place:
            kill.prime(place)
            for shape, op, share in work[i::n]:
                found.append(pair(seed, place, shape, op, share))
            return found, place.runs
    results = traced.spread(some)
    tap = Tap()
    kill.report(tap, [p for found, _ in results for p in found], 'cut off')
    print('# %d runs in %.0f s' % (sum(r for _, r in results),
                                   time.monotonic() - start))
    tap.end()


if __name__ == '__main__':
    main()
