"""stress_round.py - one round: who takes part in it, and the judgement over
what all have seen, and what stands in the files in the end. For stress.t.
"""

import os
import random
import re
import shutil
import subprocess
import tempfile
import time

import interop
import stress
from stress import BOXES, NOBODY, ROOT, Wrong, flat, parsed
from stress_hands import FLAGS, Client, Job, Killer, Session, unquoted
from stress_model import FIRST_DELIVERED, Model, delivered
from stress_others import Dovecot, Foreign, House, Mda, Mutt, Spoiler

MOST = 10               # complaints of one kind
HOME_BYTES = 256 << 20  # the disk that is filled


# ---- the end: what the sessions see

def agree(model, sessions):
    """After CHECK and NOOP all show the same."""
    alive = [s for s in sessions if s.client is not None]
    seen = {}
    for word in (b'CHECK', b'NOOP'):
        for s in alive:
            s.client.run([] if s.client.box is None else
                         [s_job(s, word)])
    for s in alive:
        client = s.client
        if client.box is None:
            continue
        lines, end = client.ask(b'FETCH 1:* (UID FLAGS)')
        shown = [(re.search(rb'UID (\d+)', line).group(1), frozenset(
            FLAGS.search(flat(line)).group(1).split()) - {b'\\Recent'})
            for line in lines if b' FETCH (' in line]
        if client.box in seen and seen[client.box][1] != shown and \
                model.lasting():
            yield from differ(client, *seen[client.box], shown)
        seen.setdefault(client.box, (client.who, shown))


def s_job(s, word):
    if word == b'CHECK' and s.client.how == b'SELECT':
        return s.check()
    return Job(word, lambda *_: None)


def differ(client, who, theirs, ours):
    theirs, ours = dict(theirs), dict(ours)
    bad = [uid for uid in sorted(theirs.keys() | ours.keys(), key=int)
           if theirs.get(uid) != ours.get(uid)]
    for uid in bad[:MOST]:
        yield '%s: in %s, UID %s is %s for %s, %s for %s' % (
            'after CHECK', client.box, uid.decode(), theirs.get(uid), who,
            ours.get(uid), client.who), client.model.uids.get(
                client.key(int(uid)))


# ---- the end: what the files hold

def judge_file(model, name, found):
    """A file by itself: whole messages, UIDs that rise."""
    uids = [uid for _, uid, _, _ in found]
    if uids != sorted(set(uids)) or 0 in uids:
        yield '%s: X-UIDs in the file do not rise: %s' % (name, uids), None
    for n, uid, _, text in found:
        if n is None:
            if not model.doubles:
                yield '%s: UID %d is nobody\'s message: %s' % (
                    name, uid, text[:80]), None
            continue
        want = b'\n'.join(stress.body(n))
        if unquoted(text.rstrip(b'\n')) != want:
            yield '%s: the text of number %d is damaged: %s ... %s' % (
                name, n, text[:100], text[-100:]), n


def judge_keys(model, box, validity, found):
    """Each message that was ever seen, and each of its flags."""
    there = {uid: marks for _, uid, marks, _ in found}
    for key, flags in model.flags.items():
        if key[:2] != (box, validity):
            continue
        n, marks = model.uids[key], there.get(key[2])
        if marks is None:
            if not model.is_doomed(key, n):
                yield '%s, number %d, is lost' % (key, n), n
            continue
        if model.fates.get(key) == 'gone':
            yield '%s, number %d, was expunged and is there' % (key, n), n
        for word, value in flags.items():
            if value is not None and value != (word in marks):
                yield '%s, number %d, %s %s: it has %s' % (
                    key, n, 'has lost' if value else 'has nobody\'s',
                    word.decode(), sorted(marks)), n


def judge_numbers(model, all_found):
    """None lost, none doubled."""
    times = {}
    for n, _, _, _ in all_found:
        times[n] = times.get(n, 0) + 1
    keys = {}
    for key, n in model.uids.items():
        keys.setdefault(n, []).append(key)
    for n in sorted(model.sure):
        # Whom nobody has ever seen nobody could remove.
        doomed = n % 3 and (n in model.doomed or any(
            model.is_doomed(key, n) for key in keys.get(n, ())))
        if n not in times and not doomed:
            yield 'number %d is lost' % n, n
    # Of a rewrite that was killed, another reader may keep both halves.
    if model.doubles:
        return
    for n, count in times.items():
        if n is not None and count > model.most.get(n, 1):
            yield 'number %d is there %d times, not %d' % (
                n, count, model.most.get(n, 1)), n


def judge_recent(model):
    """What was delivered and stays was \\Recent for one session, but for
    what one was told of with its last answer."""
    plan = model.plan
    if any(plan[name] for name in ('kill', 'spoil', 'others', 'foreign')):
        return
    none = [key for key, n in model.uids.items() if n >= FIRST_DELIVERED and
            key[0] == 'INBOX' and n not in model.copied and
            not model.is_doomed(key, n) and key not in model.recent]
    if len(none) > model.unseen:
        yield '%d messages were \\Recent for nobody (%d allowed): %s' % (
            len(none), model.unseen, none[:MOST]), model.uids[none[0]]


def look_again(model, program):
    """A new session's view of both, and the files it leaves."""
    all_found = []
    for name in BOXES:
        client = Client(model, -1, 'last' + name, program)
        if not client.select(name):
            yield name + ' can not be selected', None
            continue
        for uid, n in filter(None, client.numbers):
            lines, _ = client.ask(b'UID FETCH %d (UID BODY.PEEK[])' % uid)
            if not client.text(lines, uid, n):
                yield '%s: UID %d has no text' % (name, uid), n
        shown = [(known and known[1], known and known[0])
                 for known in client.numbers]
        validity = client.validity
        client.ask(b'UNSELECT')
        client.ask(b'LOGOUT')
        client.discard()
        found = parsed(model.path(name))
        if [(n, uid) for n, uid, _, _ in found] != shown and \
                not model.doubles:
            yield '%s: the file has %s, the client sees %s' % (name,
                [f[:2] for f in found], shown), None
        yield from judge_file(model, name, found)
        if model.lasting():
            yield from judge_keys(model, name, validity, found)
        all_found += found
    yield from judge_numbers(model, all_found)
    yield from judge_recent(model)


# ---- a round

def plan_of(rng):
    """What happens in a round that is drawn by lot."""
    chance = rng.random
    plan = {'kill': chance() < 0.6, 'others': chance() < 0.4,
            'foreign': chance() < 0.4, 'spoil': chance() < 0.4,
            'sync': chance() < 0.3, 'overlap': chance() < 0.5}
    # Where stamps can not be written for a while, the last UID in the file
    # is all there is to keep them apart.
    plan['strip'] = plan['foreign'] and not plan['spoil'] and chance() < 0.4
    plan['unbase'] = plan['foreign'] and not plan['spoil'] and chance() < 0.3
    plan['full'] = plan['spoil'] and chance() < 0.5
    return plan


def complete(plan, sessions):
    """What the machine can do of it, too."""
    for name in ('kill', 'others', 'foreign', 'spoil', 'sync', 'overlap',
                 'strip', 'unbase', 'full'):
        plan.setdefault(name, False)
    for word in os.environ.get('PLAN', '').split():
        name, _, value = word.partition('=')
        plan[name] = bool(int(value or 1))
    plan['full'] &= plan['spoil'] and ROOT
    plan['sessions'] = sessions
    return plan


class Place:
    """Where a round happens. What is to be filled is a disk of its own, if
    we may mount one."""

    def __init__(self, plan, keep):
        self.base = tempfile.mkdtemp(prefix='imapd-stress.', dir=keep)
        os.chmod(self.base, 0o755)
        self.home = os.path.join(self.base, 'home')
        for path in (self.home, os.path.join(self.base, 'spool')):
            os.mkdir(path)
        if plan['full']:
            plan['full'] = subprocess.run(
                ['mount', '-t', 'tmpfs', '-o', 'size=%d' % HOME_BYTES, 'none',
                 self.home], capture_output=True).returncode == 0
        self.mounted = plan['full']
        for path in (self.home, os.path.join(self.base, 'spool')):
            os.chmod(path, 0o755)
            if ROOT:
                os.chown(path, NOBODY, NOBODY)

    def clear(self, keep):
        if self.mounted:
            if keep:
                shutil.copytree(self.home, self.home + '.kept')
            subprocess.run(['umount', self.home], check=True)
        if not keep:
            shutil.rmtree(self.base)


def seed_mailboxes(model):
    """The first message of INBOX is one that nobody removes: with it a mail
    program that is not ours would take X-IMAPbase away."""
    n = 3 * FIRST_DELIVERED
    for name in BOXES:
        with open(model.path(name), 'wb') as f:
            for _ in range(8):
                f.write(delivered(n))
                model.came(n)
                n += 1
        os.chmod(model.path(name), 0o600)
        if ROOT:
            os.chown(model.path(name), NOBODY, NOBODY)


def cast(model, rng, until, program):
    """(sessions, the other threads, MDAs), all of them by lot."""
    def lot():
        return random.Random(rng.random())
    plan = model.plan
    mdas = [Mda(model, lot(), i, until) for i in (1, 2)]
    sessions = [Session(model, lot(), i, until, program)
                for i in range(plan['sessions'])]
    others = []
    if plan['kill']:
        others.append(Killer(model, lot(), until, sessions))
    if plan['spoil']:
        others.append(Spoiler(model, lot(), 'spoiler', until))
    if plan['foreign']:
        others.append(Foreign(model, lot(), 'rewriter', until))
    if plan['others']:
        house = House(model)
        if os.path.exists('/usr/bin/mutt'):
            others.append(Mutt(house, model, lot(), 'mutt', until))
        if os.path.exists(interop.DOVECOT):
            others.append(Dovecot(house, model, lot(), 'dovecot', until))
    return sessions, others, mdas


def finish(model, sessions, program):
    """All say what they see, and go."""
    for s in sessions:
        if s.client is not None and s.client.dead:
            client, s.client = s.client, None
            client.discard()
        if s.client is None:
            s.begin()
        if s.client.box is None:
            s.client.select('INBOX')
        s.client.refresh()
    yield from agree(model, sessions)
    for s in sessions:
        s.logout()
    yield from look_again(model, program)


def work(model, rng, seconds, program):
    until = time.monotonic() + seconds
    sessions, others, mdas = cast(model, rng, until, program)
    for actor in sessions + others:
        actor.start()
    for actor in sessions + others + mdas:
        actor.join()
    try:
        for text, n in [] if model.wrong else finish(model, sessions,
                                                     program):
            model.complain(text, n)
    except Wrong as e:
        model.complain(str(e), e.n)
    except EOFError:
        model.complain('a session has ended, at the end')
    finally:
        for s in sessions:
            if s.client is not None and s.client.process.poll() is None:
                s.client.process.kill()
                s.client.process.wait()


def play(seed, plan, sessions, seconds, program, keep=None):
    """One round: (plan, what was done, complaints)."""
    rng = random.Random(seed)
    plan = complete(dict(plan) if plan is not None else plan_of(rng),
                    sessions)
    place = Place(plan, keep)
    model = Model(place.base, plan)
    try:
        seed_mailboxes(model)
        work(model, rng, seconds, program + [
            '--log=stderr', '--inbox=' + model.path('INBOX'),
            '--fsync=' + ('always' if plan['sync'] else 'never')])
    finally:
        place.clear(keep is not None and bool(model.wrong))
    if keep is not None and model.wrong:
        model.wrong.append('kept in ' + place.base)
    return plan, model.done, model.wrong
