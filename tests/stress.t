#!/usr/bin/env python3
"""stress.t - many sessions, two MDAs, mutt, Dovecot and whoever spoils the
files in ~/.imapd, at work on two mailboxes at once, a session killed now and
then: no message is lost, doubled or mixed with another, a UID is one message
for ever, what was acknowledged stays, and in the end all see the same.

SESSIONS (10) work for DURATION seconds (10) in all. Up to 30 that is one
round each with nothing else than deliveries; with kills; with other programs;
with kills and a spoiler. Longer ones are rounds of LENGTH seconds (20) whose
plans are drawn by lot from SEED, which is printed; the order in which the
system runs the actors can not be repeated. PLAN="kill=0 foreign" fixes what
may happen in each. KEEP=DIR keeps what a failed round left there. VERBOSE
says what was done. With LOGIN=1, as root, each session begins with a login.
"""

import os
import random
import sys

sys.dont_write_bytecode = True
import stress_round
from tree import Tap

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IMAPD = [os.path.abspath(p) for p in
         os.environ.get('IMAPD', os.path.join(TOP, 'imapd')).split()]
PLANS = ({}, {'kill': True}, {'others': True},
         {'kill': True, 'spoil': True, 'full': True})
SHORT = 30


def rounds(duration):
    """(plan or None, seconds) of each."""
    if duration <= SHORT:
        return [(plan, duration / len(PLANS)) for plan in PLANS]
    length = float(os.environ.get('LENGTH', '20'))
    return [(None, length)] * max(1, round(duration / length))


def main():
    tap = Tap()
    seed = int(os.environ.get('SEED') or random.randrange(1 << 31))
    sessions = int(os.environ.get('SESSIONS', '10'))
    todo = rounds(float(os.environ.get('DURATION', '10')))
    for i, (plan, seconds) in enumerate(todo):
        plan, done, wrong = stress_round.play(
            seed + i, plan, sessions, seconds, IMAPD,
            os.environ.get('KEEP'))
        words = [name for name in sorted(plan)
                 if plan[name] and name != 'sessions']
        tap.point(not wrong, 'seed %d: %d sessions, %s' % (
            seed + i, sessions, ', '.join(words) or 'nothing else'),
            [text[:6000] for text in wrong[:10]])
        if wrong or 'VERBOSE' in os.environ:
            print('# ' + ', '.join('%s %d' % item for item in
                                   sorted(done.items())))
        sys.stdout.flush()
    tap.end()


if __name__ == '__main__':
    main()
