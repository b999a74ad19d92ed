#!/usr/bin/env python3
"""faults.t - a system call that fails damages no mailbox, and no answer
lies about it.

Each operation runs once to number its calls; then again for every number,
and that call fails: no room, no quota, a broken disk, an interruption, half
of a write done, no memory. What is answered OK must be so, the rest may be;
the judge is that of kill.t. Interrupted and short writes are to go on as if
nothing were. The next session must be able to write.

Last a real file system without room, where only root can make one.

Here each operation meets one shape of mailbox, and each call of it that
changes something one fault, with some of the calls that look or ask for
memory. FAULTS=all: each shape, every fault; TORTURE=n ends that after n.
The seed is printed; SEED repeats it. SHAPE and OP choose.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import kill
import traced
from tree import Tap

ALL = os.environ.get('FAULTS') == 'all'
MOST = int(os.environ.get('TORTURE', '1000000' if ALL else '1500'))
WRITES = ('write', 'pwrite64', 'writev', 'pwritev', 'sendto')
MEMORY = ('mmap', 'brk', 'mremap')
NO_ROOM = ('ENOSPC', 'EDQUOT')
AGAIN = traced.Script().add(b'SELECT INBOX').add(
    b'STORE 1 +FLAGS (\\Answered)').add(b'LOGOUT')


def of_changes(case):
    """For each call that changes something the faults it can meet."""
    assert case.learn('changes')
    for n, name in enumerate(case.names, 1):
        ways = ['--fail=%d=%s' % (n, e) for e in NO_ROOM + ('EIO',)]
        ways.append('--fail=%d+=ENOSPC' % n)
        if name in WRITES:
            ways += ['--short=%d' % n, '--fail=%d=EINTR' % n]
        yield [('changes', name, way) for way in ways]


def of_looks(case):
    assert case.learn('files')
    for n, name in enumerate(case.names, 1):
        yield [('files', name, '--fail=%d=EIO' % n),
               ('files', name, '--fail=%d=EINTR' % n)]


def of_memory(case):
    """A sanitiser needs memory of its own, and ends without."""
    with open(traced.IMAPD, 'rb') as f:
        if b'__asan_' in f.read():
            return
    assert case.learn('all')
    for n, name in enumerate(case.names, 1):
        if name in MEMORY:
            yield [('all', name, '--fail=%d=ENOMEM' % n),
                   ('all', name, '--fail=%d+=ENOMEM' % n)]


def faults(rng, case):
    changes, looks, memory = (list(of(case)) for of in (
        of_changes, of_looks, of_memory))
    if ALL:
        found = [f for ways in changes + looks + memory for f in ways]
    else:
        looks = rng.sample(looks, min(len(looks), 15))
        found = [rng.choice(ways) for ways in changes + looks]
        memory = rng.sample(memory, min(len(memory), 5))
        found += [way for ways in memory for way in ways]
    rng.shuffle(found)
    return found


def harmless(name, way):
    return name in WRITES and ('short' in way or 'EINTR' in way)


def one(case, level, name, way):
    place = case.place
    place.restore(case.start)
    run = place.trace(case.script, '--points=' + level,
                      '--from=%d' % case.skip, way)
    if run.timeout:
        return 'hangs'
    if run.status > 125:
        return 'ended by signal %d' % (run.status - 128)
    if run.words:
        return 'says %r' % run.words
    results = [r[0] for r in run.results().values()]
    if harmless(name, way) and (results.count(b'OK') !=
                                len(case.script.commands)):
        return 'is not taken up again: %s' % results
    bad = kill.Judge(case, run, strict=False).verdict()
    if bad:
        return '%s; answered %s' % (bad, results)
    if place.read('INBOX'):
        run = place.play(AGAIN)
        results = run.results()
        shown = kill.look(place, ['INBOX'])[1]['INBOX'].messages
        if shown and [r[0] for r in results.values()] != [b'OK'] * 3:
            return 'the next session can not write: %s' % results
    return None


def pair(seed, place, shape, op_number, most):
    rng = random.Random('%d %s %d' % (seed, shape.name, op_number))
    case = kill.make_case(rng, place, shape, op_number)
    if not case.learn():
        return case.op.name, 0, ['%s, %s: %s' % (shape.name, case.op.name,
                                                 case.fault)]
    bad, tried = [], 0
    for level, name, way in faults(rng, case)[:most]:
        tried += 1
        complaint = one(case, level, name, way)
        if complaint:
            bad.append('%s, %s, --points=%s %s (%s): %s' % (
                shape.name, case.op.name, level, way, name, complaint))
        if len(bad) == 20:
            break
    return case.op.name, tried, bad


def plan(seed):
    """(shape, number of the operation); OP does not change the shape."""
    shapes = [s for s in kill.SHAPES if s.form != 'big' and
              kill.wanted('SHAPE', s.name)]
    ops = [i for i, name in enumerate(kill.OPS) if kill.wanted('OP', name)]
    if ALL:
        return [(s, i) for s in shapes for i in ops]
    return [(random.Random('%d %d' % (seed, i)).choice(shapes), i)
            for i in ops]


# ---- a file system without room

def fill(place):
    """To the last byte."""
    fd = os.open(os.path.join(place.home, 'filler'),
                 os.O_WRONLY | os.O_CREAT, 0o600)
    for size in (1 << 20, 4096, 1):
        try:
            while True:
                os.write(fd, b'x' * size)
        except OSError:
            pass
    os.close(fd)


def full(where):
    """(what is shown, complaint) where nothing can be written any more;
    the journal is there, and the mailbox was opened before."""
    rng = random.Random(5)
    with traced.Place(where) as place:
        kill.prime(place)
        # Nothing is put back: a hole would be a place without room.
        case = kill.make_case(rng, place, kill.Shape('LF', seen=None),
                              kill.OPS.index('EXPUNGE some'))
        case.first_state()
        fill(place)
        run = place.play(case.script)
        yield 'EXPUNGE on a full disk is answered OK', [
            r for r in run.results().values() if r[0] != b'OK']
        bad = kill.Judge(case, run).verdict()
        yield 'and nothing but what was to go is gone', bad and [bad]
        before = place.read('INBOX')
        run = place.play(APPENDS)
        answer = run.results().get(b'c0', (b'nothing', b''))
        yield 'APPEND on a full disk is answered NO', \
            [] if answer[0] == b'NO' else [answer]
        yield 'and nothing of it stays', \
            [] if len(place.read('INBOX')) == len(before) else ['it grew']
        os.unlink(os.path.join(place.home, 'filler'))
        answer = place.play(APPENDS).results().get(b'c0', (b'nothing',))
        yield 'APPEND is answered OK where there is room again', \
            [] if answer[0] == b'OK' else [answer]


SAME = traced.Script().add(b'SELECT INBOX').add(
    b'STORE 1:* +FLAGS.SILENT (\\Deleted)').add(b'EXPUNGE').add(
    b'CHECK').add(b'UID SEARCH ALL')
SEEN = traced.Script().add(b'SELECT INBOX').add(b'UID SEARCH ALL').add(
    b'LOGOUT')


def uids(run):
    found = re.findall(rb'^\* SEARCH(.*?)\r?$', run.out, re.M)
    return [int(uid) for uid in found[-1].split()] if found else None


def in_step(i, n):
    """Each call of EXPUNGE fails that changes a file: what the session
    shows then is what the file holds, under the UIDs of before."""
    bad, tried = [], 0
    with traced.Place() as place:
        kill.prime(place)
        place.write('INBOX', kill.SHAPES[0].make(random.Random(1)))
        before = uids(place.play(SEEN))
        state = place.save()
        _, log = place.logged(SAME, '--points=changes')
        for k, (_, _, name, *_) in enumerate(
                (e for e in log if e[0] == 'p'), 1):
            place.restore(state)
            run = place.trace(SAME, '--points=changes', '--fail=%d=EIO' % k)
            shown, held = uids(run), uids(place.play(SEEN))
            if shown is None:       # the client's own line was cut
                continue
            tried += 1
            if shown != held or not set(held or ()) <= set(before):
                bad.append('%d (%s): shown %s, held %s' % (k, name, shown,
                                                           held))
    return tried, bad


APPENDS = traced.Script().add(b'APPEND INBOX {300000+}\r\nA: b\r\n\r\n' +
                              b'x' * 299990 + b'\r\n').add(b'LOGOUT')


def real_disk(tap):
    what = 'a file system without room'
    where = tempfile.mkdtemp(prefix='imapd-full.')
    mount = traced.ROOT and subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=24m,mode=777', 'tmpfs', where],
        stderr=subprocess.DEVNULL).returncode == 0
    if mount:
        try:
            points = traced.spread(lambda i, n: list(full(where)), 1)[0]
        finally:
            subprocess.run(['umount', '-l', where], check=True)
        for name, bad in points:
            tap.point(not bad, name, [str(b) for b in bad or ()])
    else:
        print('# no tmpfs can be mounted here: only root can')
        tap.point(True, what + ' # SKIP not root')
    os.rmdir(where)


def main():
    start = time.monotonic()
    seed = traced.seed()
    traced.ours_alone()
    work = plan(seed)

    def some(i, n):
        found, left = [], MOST // n
        with traced.Place() as place:
            kill.prime(place)
            for shape, op in work[i::n]:
                found.append(pair(seed, place, shape, op, left))
                left -= found[-1][1]
            return found, place.runs
    results = traced.spread(some)
    tap = Tap()
    kill.report(tap, [p for found, _ in results for p in found], 'failed')
    tried, bad = traced.spread(in_step, 1)[0]
    tap.point(tried > 0 and not bad, 'a session is in step after a failed '
              'EXPUNGE: %d failed, %d bad' % (tried, len(bad)), bad)
    real_disk(tap)
    print('# %d runs in %.0f s' % (sum(r for _, r in results),
                                   time.monotonic() - start))
    tap.end()


if __name__ == '__main__':
    main()
