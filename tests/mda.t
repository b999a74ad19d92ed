#!/usr/bin/env python3
"""mda.t - Debian's delivery programs put mail into mailboxes on which two
sessions mark and expunge over real xinetd: procmail, maildrop, Exim and
Postfix, each with the locks that it takes as packaged and with those it can
be told to take; and writers that know one lock only. In a spool where
everybody can make dotlocks, in one like Debian's, where only group mail can,
and in one where none but root can. Each by itself, all at once, and one after
the other. No message is lost, doubled, mixed with another or changed;
delivered mail shows at the next NOOP.

At once in pieces write only those that have a lock in common: that they must,
whoever the server is. Three that have none write at one stroke. Nobody who
knows the dotlock alone writes where the server can not make one: as LOCKING
says, he is not kept apart from it (and in the closed spool can make none
himself).

COUNT (50) messages by each, SEED repeats the choices though not the order in
which the system runs all these. Procmail holds its locks for a second where
the mailbox was read in the second in which it writes; all waits overlap.
"""

import ctypes
import grp
import itertools
import os
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
import mda
import mda_postfix
from hostile import ROOT, Tap
from service import Service

MDAS = mda.MDAS + (mda_postfix.Postfix, mda.Writer)
COUNT = int(os.environ.get('COUNT', '50'))
CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000


class Round:
    """A mailbox of its own, and who delivers into it."""

    NUMBERS = itertools.count(1)

    def __init__(self, name, wanted, count=COUNT, in_turn=False):
        self.name, self.wanted, self.count = name, wanted, count
        self.in_turn = in_turn
        self.user = 'user%d' % next(self.NUMBERS)


def alone(program, locks, name='%s, %s', count=COUNT):
    return Round(name % (program.NAME, locks), [(program, locks)], count)


def one_each():
    """Half as many with locks that a package does not come with."""
    return [alone(program, locks, count=COUNT if usual else COUNT // 2)
            for program in MDAS for locks in program.LOCKS
            for usual in [locks == program.LOCKS[0] or program is mda.Writer]]


def together(name, fits, count=COUNT // 5, **how):
    """Each with the first of its locks that fits."""
    wanted = []
    for program in MDAS:
        locks = [l for l in program.LOCKS if fits(l)]
        wanted += [(program, locks[0])] if locks else []
    return Round(name, wanted, max(1, count), **how)


def knows_users(place, service):
    """Maildrop and Postfix ask passwd and group who is who: in a name space
    of ours alone there are some that know. Why not, else."""
    if not ROOT:
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or \
            libc.mount(b'none', b'/', None, MS_REC | MS_PRIVATE, None):
        return 'no mount of our own: ' + os.strerror(ctypes.get_errno())
    for name, lines in (('passwd', mda.passwd(service) + mda_postfix.PASSWD),
                        ('group', mda_postfix.GROUP)):
        path = os.path.join(place, name)
        with open(path, 'w') as f, open('/etc/' + name) as known:
            # The first line of a name counts.
            f.write(known.read() + lines)
        os.chmod(path, 0o644)
        if libc.mount(path.encode(), b'/etc/' + name.encode(), None, MS_BIND,
                      None):
            return 'no mount: ' + os.strerror(ctypes.get_errno())
    return None


def open_to_all(service):
    """1777, as Service makes it: every lock can be had."""


def as_debian(service):
    """Programs of group mail make dotlocks, we can not."""
    mail = grp.getgrnam('mail').gr_gid
    for user in service.users:
        os.chown(service.inbox(user), service.ids(user)[0], mail)
        os.chmod(service.inbox(user), 0o660)
    os.chown(service.path('spool'), 0, mail)
    os.chmod(service.path('spool'), 0o2775)


def closed(service):
    os.chmod(service.path('spool'), 0o755 if ROOT else 0o555)


SPOOLS = (
    ('a spool open to all', open_to_all, None, one_each() + [
        together('all at once', lambda locks: 'dotlock' in locks),
        together('one after the other', lambda locks: 'dotlock' in locks,
                 COUNT // 10, in_turn=True),
        Round('three with no lock in common',
              [(mda.OneWrite, locks) for locks in mda.OneWrite.LOCKS],
              COUNT // 2)]),
    ('a spool as Debian has it', as_debian, 'mail', [
        together('all as group mail', lambda locks: 'fcntl' in locks)]),
    ('a spool without dotlocks', closed, None, [
        together('all with fcntl alone', lambda locks: locks == 'fcntl'),
        alone(mda.Writer, 'flock'),
        alone(mda_postfix.Postfix, 'dotlock fcntl',
              '%s, %s, made by root')]),
)


NOOP = Round('noop', [(p, p.LOCKS[0]) for p in MDAS])


def programs(place, service, round, group, unknown):
    """(those that can be had, why others can not)"""
    found, lacks = [], []
    for program, locks in round.wanted:
        why = program.lacks() or program.ASKS_PASSWD and unknown
        if why:
            lacks.append(why)
        else:
            found.append(program(place, service, round.user, locks,
                                 group and grp.getgrnam(group).gr_gid))
    return found, lacks


def shows_at_noop(place, service, round, unknown):
    """(points, why programs are not there); two sessions look, now one first
    and now the other."""
    model = mda.Model(service, round.user)
    clients = [mda.Client(model, who) for who in ('first', 'second')]
    for client in clients:
        client.select('INBOX')
    there, points = 0, []
    mdas, lacks = programs(place, service, round, None, unknown)
    for program in mdas:
        wrong = []
        for count in (1, 3):
            there += count
            clients.reverse()
            try:
                for _ in range(count):
                    mda.deliver(model, program)
                wrong += look_both(clients, there, count)
            except mda.Wrong as e:
                wrong.append(str(e))
        points.append((str(program), wrong))
        program.close()
    for client in clients:
        client.discard()
    return points, lacks


def look_both(clients, there, count):
    for client in clients:
        before = set(client.new)
        lines, _ = client.ok(b'NOOP')
        if [l for l in lines if l.endswith(b' EXISTS')] != \
                [b'* %d EXISTS' % there]:
            yield '%s: not %d EXISTS but %s' % (client.who, there, lines)
        client.refresh()
        fresh = client.new - before
        if len(fresh) != (count if client is clients[0] else 0):
            yield '%s: of %d messages %d are \\Recent' % (
                client.who, count, len(fresh))


def play_all(place, service, unknown, seed, rounds, group):
    """The rounds of one spool at once: (round, programs, why others are not
    there, complaints, what was done) of each."""
    with ThreadPoolExecutor(len(rounds)) as pool:
        plays = []
        for round in rounds:
            mdas, lacks = programs(place, service, round, group, unknown)
            plays.append((round, mdas, lacks, pool.submit(
                mda.play, service, round.user, mdas, round.count, seed,
                round.in_turn)))
        return [play[:3] + play[3].result() for play in plays]


def spool(place, users, unknown, seed, prepare, group, rounds):
    if prepare is as_debian and not ROOT:
        return [(round, [], ['needs root'], [], {}) for round in rounds]
    with Service(users) as service:
        try:
            prepare(service)
            return play_all(place, service, unknown, seed, rounds, group)
        finally:
            os.chmod(service.path('spool'), 0o1777)


def point(tap, title, round, mdas, lacks, wrong, done):
    """One round's; a program that could not be had is a test not made."""
    name = '%s: %s' % (title, round.name)
    for m in mdas:
        if done.get(str(m)) != round.count and not wrong:
            wrong.append('%s delivered %s' % (m, done.get(str(m))))
    if mdas:
        name += ': %d, none lost, doubled or changed' % (
            len(mdas) * round.count)
        tap.point(name, [line[:600] for text in wrong
                         for line in text.splitlines()])
    for why in lacks:
        tap.skip(name, why)


def main():
    start = time.monotonic()
    seed = int(os.environ.get('SEED') or random.randrange(1 << 31))
    print('# SEED=%d' % seed)
    tap, done = Tap(), Counter()
    users = [r.user for *_, rounds in SPOOLS for r in rounds] + [NOOP.user]
    with tempfile.TemporaryDirectory(prefix='imapd-mda.') as place, \
            mda.all_closed(), ThreadPoolExecutor(len(SPOOLS)) as pool, \
            Service(users) as service:
        os.chmod(place, 0o755)
        mda_postfix.Postfix.provide(os.path.join(place, 'debian'))
        unknown = knows_users(place, service)
        plays = [(title, pool.submit(spool, place, users, unknown, seed + i,
                                     *how))
                 for i, (title, *how) in enumerate(SPOOLS)]
        points, lacks = shows_at_noop(place, service, NOOP, unknown)
        for name, wrong in points:
            tap.point('%s: what it delivers shows at the next NOOP, '
                      '\\Recent in one session' % name, wrong)
        for why in lacks:
            tap.skip('what is delivered shows at the next NOOP', why)
        for title, play in plays:
            for found in play.result():
                point(tap, title, *found)
                done += Counter(found[-1])
    acts = [act for act, _ in mda.Hand.ACTS]
    tap.point('all was done meanwhile: ' + ', '.join(
        '%s %d' % (act, done[act]) for act in acts),
        [act for act in acts if not done[act]])
    print('# %.0f s' % (time.monotonic() - start))
    sys.exit(tap.end())


if __name__ == '__main__':
    main()
