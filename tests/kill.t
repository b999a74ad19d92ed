#!/usr/bin/env python3
"""kill.t - the server, as it is shipped, is killed at its system calls,
and no message is lost.

Each operation on each shape of mailbox runs once to number its calls; then
again and again, killed before one of them or with half of a write done.
Then mail is delivered, or another program rewrites the mailbox, or nothing
is done; then the next session opens it, and may be killed as well. A reader
of its own judges what is left (kill.py).

KILLS=n in all (1000): as many of each operation and shape, chosen by seed;
SEED repeats them. With more than CALLS of a pair new mailboxes are made,
and every call is counted that knows a descriptor or a name, not only those
that change something. SHAPE and OP choose those with this in their names.
"""

import os
import random
import sys
import time

sys.dont_write_bytecode = True
import kill
import traced
from tree import Tap

KILLS = int(os.environ.get('KILLS', '1000'))
LEVEL = 'changes' if KILLS <= 2000 else 'files'
WRITES = ('write', 'pwrite64', 'writev', 'pwritev', 'sendto')
RECOVERY = 'recovery'
# Of the 40 MB shape: each takes as long as many of another.
BIG_SHARE = 10


def choices(rng, case, n):
    """n different ways to kill it, if there are so many."""
    ways = [('kill', i + 1) for i in range(len(case.names))]
    ways += [('torn', i + 1) for i, name in enumerate(case.names)
             if name in WRITES]
    return rng.sample(ways, min(n, len(ways)))


def tell(case, ways, what):
    names = ['%s before call %d' % (how, n) if how == 'kill' else
             '%s in call %d' % (how, n) for how, n in ways]
    return '%s, %s, %s: %s' % (case.shape.name, case.op.name,
                               ', '.join(names), what)


def killed(case, how, n, script=None, skip=None):
    return case.place.trace(script or case.script, '--points=' + LEVEL,
                            '--from=%d' % (case.skip if skip is None
                                           else skip),
                            '--%s=%d' % (how, n))


def meanwhile(rng, how, judge):
    """What others do before the next open. A write that was torn only the
    journal can mend, and not when another program has moved the torn bytes
    before: a part of a header, of a seam or of an append can not be told
    from mail that came so. What stood whole is never lost by that, which
    crash_rewrite.t shows."""
    return judge.meanwhile(rng, rng.choice(('none', 'mail'))
                           if how == 'torn' else None)


def one(key, case, how, n):
    """Chance is of this way alone: OP and SHAPE do not change it."""
    rng = random.Random('%s %s %d' % (key, how, n))
    case.place.restore(case.start)
    run = killed(case, how, n)
    if run.killed is None or run.timeout:
        return tell(case, [(how, n)], 'does not come so far')
    judge = kill.Judge(case, run)
    others = meanwhile(rng, how, judge)
    bad = judge.verdict()
    return bad and tell(case, [(how, n)], '%s, then %s: %s' % (
        run.killed, others, bad))


def recovery(rng, case, n):
    """n sessions are killed that open what a killed one has left. The
    complaints."""
    opens = traced.Script().add(b'SELECT INBOX').add(
        b'UID FETCH 1:* (UID FLAGS)').add(b'LOGOUT')
    bad = []
    while n > 0:
        first = choices(rng, case, 1)[0]
        case.place.restore(case.start)
        run = killed(case, *first)
        state = case.place.save()
        count = killed(case, 'kill', 10 ** 6, opens, 0).points
        for second in rng.sample(range(1, count + 1), min(n, count, 8)):
            n -= 1
            case.place.restore(state)
            judge = kill.Judge(case, run)
            others = meanwhile(rng, first[0], judge)
            how = rng.choice(('kill', 'kill', 'torn'))
            killed(case, how, second, opens, 0)
            others += ', ' + meanwhile(rng, 'torn' if 'torn' in (
                first[0], how) else 'kill', judge)
            complaint = judge.verdict()
            if complaint:
                bad.append(tell(case, [first, (how, second)], '%s: %s' % (
                    others, complaint)))
    return bad


def pair(seed, place, shape, op_number, share):
    """(operation's name, killed, complaints)."""
    tried, bad, again, rounds = 0, [], op_number < 0, 0
    while tried < share and len(bad) < 20:
        rounds += 1
        key = '%d %s %d %d' % (seed, shape.name, op_number, rounds)
        rng = random.Random(key)
        number = rng.choice(DAMAGING) if again else op_number
        case = kill.make_case(rng, place, shape, number)
        name = RECOVERY if again else case.op.name
        if not case.learn(LEVEL):
            return name, tried, bad + ['%s, %s: %s' % (
                shape.name, case.op.name, case.fault)]
        if again:
            n = min(share - tried, 40)
            bad += recovery(rng, case, n)
            tried += n
            continue
        ways = choices(rng, case, share - tried)
        for how, n in ways:
            complaint = one(key, case, how, n)
            bad += [complaint] if complaint else []
        tried += len(ways)
    return name, tried, bad


# Which leave most to be recovered.
DAMAGING = [i for i, name in enumerate(kill.OPS)
            if 'EXPUNGE' in name or 'first' in name or 'MOVE' in name
            or 'APPEND' in name]


def plan():
    """kill.plan, and for each shape the recovery, of twice the weight."""
    work = kill.plan(KILLS * 7 // 8, BIG_SHARE)
    if not kill.wanted('OP', RECOVERY):
        return work
    share = {}
    for shape, _, n in work or kill.plan(KILLS, BIG_SHARE, ''):
        share[shape.name] = shape, n
    return work + [(shape, -1, 2 * n) for shape, n in share.values()]


def main():
    start = time.monotonic()
    seed = traced.seed()
    traced.ours_alone()
    work = plan()

    def some(i, n):
        found = []
        with traced.Place() as place:
            kill.prime(place)
            for shape, op, share in work[i::n]:
                found.append(pair(seed, place, shape, op, share))
            return found, place.runs
    results = traced.spread(some)
    tap = Tap()
    kill.report(tap, [p for found, _ in results for p in found], 'killed')
    print('# %d runs in %.0f s' % (sum(r for _, r in results),
                                   time.monotonic() - start))
    tap.end()


if __name__ == '__main__':
    main()
