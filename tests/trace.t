#!/usr/bin/env python3
"""trace.t - the tools of kill.t, power.t, faults.t and locks.t find what
they are made to find: trace numbers calls and lets them go wrong, its log
tells all that was done to files, a disk that was cut off loses what was not
synced and no more, and the judge sees damage that is done on purpose.
"""

import os
import random
import re
import subprocess
import sys

sys.dont_write_bytecode = True
import disk
import kill
import traced
from tree import Tap

# Reads lines, then changes files; says how some of the calls ended.
PROGRAM = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
say(const char *what, long result)
{
	dprintf(1, "%s %ld%s\r\n", what, result, result >= 0 ? "" :
	    errno == ENOSPC ? " ENOSPC" : " other");
}

int
main(int argc, char **argv)
{
	struct flock whole = { .l_type = F_WRLCK };
	char text[3000];
	int fd;

	if (argc != 2 || chdir(argv[1]) != 0 || read(0, text, 100) < 0 ||
	    read(0, text, 100) < 0)
		return 1;
	memset(text, 'x', sizeof(text));
	fd = open("a", O_RDWR | O_CREAT, 0600);
	say("pwrite", pwrite(fd, text, 3000, 100));
	say("fdatasync", fdatasync(fd));
	fcntl(fd, F_SETLK, &whole);
	say("ftruncate", ftruncate(fd, 2500));
	say("rename", rename("a", "b"));
	say("pwrite", pwrite(fd, "yy", 2, 2500));
	mkdir("d", 0700);
	close(open("d/c", O_RDWR | O_CREAT, 0600));
	unlink("d/c");
	return 0;
}
"""
NAMES = ['openat', 'pwrite64', 'write', 'fdatasync', 'write', 'fcntl',
         'ftruncate', 'write', 'rename', 'write', 'pwrite64', 'write',
         'mkdir', 'openat', 'unlink']


def build(tools):
    path = os.path.join(tools, 'program')
    subprocess.run([os.environ.get('CC', 'gcc'), '-D_GNU_SOURCE', '-x', 'c',
                    '-o', path, '-'], input=PROGRAM.encode(), check=True)
    return path


def run(place, *how):
    """Of PROGRAM, in an empty home. (what it said, the log, Run)"""
    place.restore(([], {}))
    log = place.path('log')
    r = place.collect(place.spawn(b'one\ntwo\n', [
        traced.TRACE, '--step', '--from=1', '--log=' + log] + list(how) +
        [os.path.join(os.path.dirname(traced.TRACE), 'program'),
         place.home]))
    return r.out, traced.read_log(log), r


def size(place, name):
    path = os.path.join(place.home, name)
    return os.path.getsize(path) if os.path.exists(path) else None


def tracing(place):
    """(what is shown, is it so)"""
    out, log, r = run(place)
    names = [re.sub('(at|at2)$', '', e[2]) for e in log if e[0] == 'p']
    yield 'calls that change something are numbered', \
        names == [re.sub('at$', '', n) for n in NAMES] and \
        r.points == len(NAMES)
    yield 'each read gets one line', r.lines == 2 and [
        e[2] for e in log if e[0] == 'R'] == [b'one\n', b'two\n']
    yield 'locks are told', [e[3] for e in log if e[0] == 'k'] == ['fcntl-w']
    before = disk.Disk({}, {})
    for e in log:
        before.event(e, 512)
    yield 'the log tells what was done to files', settled(
        place, before) == {'b': b'\0' * 100 + b'x' * 2400 + b'yy'}
    run(place, '--kill=2')
    yield 'killed before a call', size(place, 'a') == 0
    _, _, r = run(place, '--kill-after=2')
    yield 'killed behind a call', size(place, 'a') == 3100 and \
        r.killed == 'pwrite64' and r.status == 128 + 9
    run(place, '--torn=2')
    yield 'killed in a call, at a sector', size(place, 'a') == 2048
    run(place, '--torn=11')
    yield 'no sector is torn', size(place, 'b') == 2500
    out, _, r = run(place, '--short=2')
    yield 'a call does half', b'pwrite 1500\r\n' in out and r.status == 0
    out, _, _ = run(place, '--fail=2=ENOSPC')
    yield 'a call fails', out.startswith(b'pwrite -1 ENOSPC') and \
        b'pwrite 2\r\n' in out
    out, _, _ = run(place, '--fail=2+=ENOSPC')
    yield 'all calls fail that need room', \
        out.count(b'pwrite -1 ENOSPC') == 2 and b'rename 0' in out
    _, _, r = run(place, '--points=files')
    yield 'other calls are numbered when asked for', r.points > len(NAMES)


def settled(place, before):
    """All that was done, as if all of it had been synced."""
    for ino, f in before.files.items():
        before.sync(ino, '')
    for path in list(before.moves):
        before.sync(0, path)
    place.settle(*before.cut(random.Random(1)))
    return {name: open(os.path.join(place.home, name), 'rb').read()
            for name in os.listdir(place.home)
            if os.path.isfile(os.path.join(place.home, name))}


def disks():
    """(what is shown, is it so)"""
    def cuts(*events):
        for i in range(200):
            d = disk.Disk({'/d': None, '/d/f': 1},
                          {1: [('w', 0, b'old'), ('t', 3)]})
            for e in events:
                d.event(e, 512)
            yield d.cut(random.Random(i))
    write = ('w', 1, 0, 1024, '/d/f', b'n' * 1024)
    ends = [len(files[1]) for _, files in cuts(write)]
    yield 'a write that is not synced is lost, torn or there', \
        {2, 3, 4} <= set(ends)
    ends = [files[1][2:4] for _, files in cuts(write, ('s', 1, '/d/f'))]
    yield 'one that is synced is there', all(
        e == [('w', 0, b'n' * 512), ('w', 512, b'n' * 512)] for e in ends)
    rename = ('n', 1, '/d/f', '/d/g')
    ends = {tuple(sorted(names)) for names, _ in cuts(rename)}
    yield 'a name has changed, or not', ends == {('/d', '/d/f'),
                                                 ('/d', '/d/g')}
    ends = {tuple(sorted(names)) for names, _ in cuts(
        rename, ('s', 9, '/d'))}
    yield 'and has, when its directory is synced', ends == {('/d', '/d/g')}


SPOILT = [
    ('a message is gone', lambda parts: parts[:4] + parts[5:]),
    ('a message is there twice', lambda parts: parts + parts[4:5]),
    ('a byte is another', lambda parts: parts[:4] + [
        parts[4].replace(b'END', b'EnD')] + parts[5:]),
    ('a header field is another', lambda parts: parts[:4] + [
        parts[4].replace(b'Subject: n', b'Subject: m')] + parts[5:]),
    ('a message is cut off', lambda parts: parts[:4] + [
        parts[4][:-15] + b'\n\n'] + parts[5:]),
    ('a line end is another', lambda parts: parts[:4] + [
        parts[4].replace(b'\n', b'\r\n')] + parts[5:]),
    ('two have changed places', lambda parts: parts[:4] + [
        parts[5], parts[4]] + parts[6:]),
    ('a flag is another', lambda parts: parts[:4] + [re.sub(
        rb'X-Status: F? ?', b'X-Status: D', parts[4])] + parts[5:]),
    ('a UID is another', lambda parts: parts[:-1] + [
        parts[-1].replace(b'X-UID: ', b'X-UID: 1')]),
    ('a seam is left', lambda parts: parts + [
        b'From imapd-seam.0123456789abcdef Thu Jan  1 00:00:00 1970\n\n']),
    ('mail of nobody', lambda parts: parts + [
        kill.mail(random.Random(1), 99)]),
    ('a NUL is left', lambda parts: parts[:4] + [b'\0' * 9] + parts[4:]),
    ('nothing is there', lambda parts: []),
]


def judging(place):
    """(what is shown, is it so): a session that changes nothing leaves a
    mailbox, which is then spoilt."""
    rng = random.Random(7)
    kill.prime(place)
    case = kill.make_case(rng, place, kill.SHAPES[5], 0)
    case.first_state()
    place.restore(case.start)
    run = place.trace(case.script)
    state = place.save()
    parts = kill.split(place.read('INBOX'))
    yield 'a good mailbox is found good', \
        kill.Judge(case, run).verdict() is None
    for what, spoil in SPOILT:
        place.restore(state)
        place.write('INBOX', b''.join(spoil(list(parts))))
        bad = kill.Judge(case, run).verdict()
        yield 'seen: %s (%s)' % (what, bad), bad is not None
    place.restore(state)
    with open(place.inbox + '.lock', 'w') as f:
        f.write('1:' + os.uname().nodename)
    place.timeout = 1
    case = kill.make_case(rng, place, kill.SHAPES[0], 0)
    with open(place.inbox + '.lock', 'w') as f:
        f.write('1:' + os.uname().nodename)
    run, _ = kill.look(place, ['INBOX'])
    yield 'seen: a lock that stops the next session', run.timeout


def main():
    tools = traced.ours_alone()
    build(tools)

    def some(i, n):
        with traced.Place() as place:
            points = list(tracing(place)) + list(disks())
            place.restore(([], {}))
            return points + list(judging(place))
    tap = Tap()
    for what, good in traced.spread(some, 1)[0]:
        tap.point(good, what)
    tap.end()


if __name__ == '__main__':
    main()
