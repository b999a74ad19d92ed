#!/usr/bin/env python3
"""stress.t - several sessions, an MDA and another mail reader at work on two
mailboxes at once, a session killed now and then: no message is lost, none is
doubled, a UID is one message for ever, and what was acknowledged stays.

Rounds go on for SECONDS (16) in all; ROUNDS says how many instead, LENGTH
how long each lasts (4 s). SEED repeats the choices of the first round, though
not the order in which the system runs the actors. PLAN="kill=0 foreign" fixes
what may happen in each. KEEP=DIR keeps what a failed round left there.
"""

import os
import random
import sys
import time

sys.dont_write_bytecode = True
import stress
from tree import Tap

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IMAPD = [os.path.abspath(p) for p in
         os.environ.get('IMAPD', os.path.join(TOP, 'imapd')).split()]


def main():
    tap = Tap()
    seed = int(os.environ.get('SEED') or random.randrange(1 << 31))
    length = float(os.environ.get('LENGTH', '4'))
    rounds = int(os.environ.get('ROUNDS') or
                 max(1, float(os.environ.get('SECONDS', '16')) // length))
    for i in range(rounds):
        plan, done, wrong = stress.play(seed + i, length, IMAPD,
                                        os.environ.get('KEEP'))
        words = [name for name in sorted(plan)
                 if plan[name] and name != 'sessions']
        tap.point(not wrong, 'seed %d: %d sessions, %s' % (seed + i,
            plan['sessions'], ', '.join(words) or 'nothing else'),
            [text[:600] for text in wrong[:10]])
        if wrong or 'VERBOSE' in os.environ:
            print('# ' + ', '.join('%s %d' % item for item in
                                   sorted(done.items())))
        sys.stdout.flush()
    tap.end()


if __name__ == '__main__':
    main()
