"""stress_model.py - what must be in each mailbox, exactly, though many change
it at once. For stress.t.

A key is (mailbox, UIDVALIDITY, UID). Each flag of each message has one owner
among the sessions, who alone sets and clears it, so that what it was told
with OK holds whatever the others do; see Model.owner(). A flag is True or
False, or None where nobody can know: its command has not been answered, or
another program has the message in hand, or the log was spoilt before a flush.

Ticks order what happened. Events are kept, so that a failure can tell the
story of the message.
"""

import collections
import os
import threading
import time

import stress
from stress import BOXES, Wrong

DELETED = b'\\Deleted'
KEPT = 30               # events that a complaint tells
FIRST_DELIVERED = 10 ** 6       # lower numbers come from sessions


def delivered(n):
    """As an MDA writes it: with a From_ line and an empty line behind."""
    text = [b'>' + line if line.startswith(b'From ') else line
            for line in stress.body(n)]
    lines = stress.header(n) + [b'Lines: %d' % len(text), b''] + text
    return b'From sender@example.org  Sun Jan  4 ' \
        b'10:%02d:%02d 1998\n' % (n // 60 % 60, n % 60) + \
        b'\n'.join(lines) + b'\n\n'


def appended(n):
    text = stress.body(n)
    return b'\r\n'.join(stress.header(n) + [b'Lines: %d' % len(text), b''] +
                        text) + b'\r\n'


class Model(stress.Model):
    def __init__(self, base, plan):
        super().__init__(os.path.join(base, 'home'), plan)
        self.base = base
        # Another reader's rewriting drops \\Draft, and is not to blame.
        self.words = [b'\\Flagged', b'\\Answered', b'\\Seen', b'$Kept',
                      b'Other', b'third', DELETED] + \
            ([] if plan['others'] else [b'\\Draft'])
        # Where UIDs and flags are taken away by others, numbers are left.
        self.exact = not (plan['strip'] or plan['unbase'])
        self.ticks = 0
        self.flags = {}         # key: {word: True, False or None}
        self.born = {}          # number: the flags that it came with
        self.copied = set()     # numbers that may be in two places
        self.most = {}          # number: how often it may be there
        self.fates = {}         # key: 'doomed', maybe gone; 'gone'
        self.moved = set()      # keys that MOVE has named
        self.loose = set()      # copies, of what may have been \Deleted
        self.gone_at = {}
        self.since = {}         # key: when \\Deleted was last acknowledged
        self.unflushed = {}     # (key, word): when that was acknowledged
        self.hands = collections.Counter()      # number: other programs
        self.touched = {}       # number: when one of them last had it
        self.validities = {}
        self.uidnext = dict.fromkeys(BOXES, 0)
        self.spoils = 0         # counts what was done to the logs
        self.spoilt_at = 0      # when that was
        self.rotten = set()     # mailboxes whose log may be damaged within
        self.ailing = 0         # faults that last at this moment
        self.open = 0           # others have read INBOX, and may write it
        self.purging = 0        # of those, who will remove what is \\Deleted
        self.shut = False       # no message may come to INBOX as a copy
        self.coming = collections.Counter()     # client: those on their way
        self.alone = threading.Lock()   # other mail programs, one by one
        self.torn = None        # when a session was killed at work, if no
        self.visits = 0         # other has looked since; who may not see it
        self.doubles = False    # ... has, so mail may be there twice
        self.unseen = 0         # messages that a session had, unread
        self.events = collections.deque(maxlen=1 << 18)

    def path(self, name):
        return os.path.join(self.base, 'spool', 'alex') if name == 'INBOX' \
            else os.path.join(self.home, name)

    def tick(self):
        with self.lock:
            self.ticks += 1
            return self.ticks

    def lasting(self):
        return self.exact and not self.doubles

    def note(self, who, what, numbers):
        """An event; numbers: the messages concerned, or all."""
        self.events.append((self.tick(), who, what, tuple(numbers)))

    def story(self, n):
        events = list(self.events)
        told = [e for e in events if n in e[3]][-KEPT:]
        told += [e for e in events if not e[3] and told and
                 e[0] > told[0][0]][-KEPT // 2:]
        return ''.join('\n    %d %s: %s' % e[:3] for e in sorted(told))

    def complain(self, text, n=None):
        super().complain(text + (self.story(n) if n is not None else ''))

    # ---- messages

    def owner(self, n, word):
        """Every fourth message's flags are all one's, so that he may
        replace them; else each flag is somebody's."""
        if n % 4 == 1:
            return n // 4 % self.plan['sessions']
        return (n + self.words.index(word)) % self.plan['sessions']

    def number(self):
        n = super().number()
        with self.lock:
            self.most[n] = 1
        return n

    def learn(self, key, n, who):
        with self.lock:
            super().learn(key, n, who)
            if key not in self.flags:
                self.note(who, 'is told of %s' % (key,), [n])
                self.flags[key] = self.first_flags(n)
                if n in self.copied and n % 3:
                    self.loose.add(key)
                self.purge(key)

    def first_flags(self, n):
        """Of a copy they are what the original's were at that moment."""
        if n in self.copied or self.hands[n] or n in self.touched:
            return dict.fromkeys(self.words)
        return {word: word in self.born.get(n, ()) for word in self.words}

    def came(self, n):
        with self.lock:
            self.sure.add(n)

    def is_doomed(self, key, n):
        return n in self.doomed or key in self.fates or \
            key in self.moved or key in self.loose

    def doom(self, keys):
        with self.lock:
            for key in keys:
                self.fates.setdefault(key, 'doomed')

    def reprieve(self, key, since):
        """Its text came after \\Deleted was taken away: it stays. Others
        look at the file, which may not say so yet."""
        with self.lock:
            if self.flags[key][DELETED] is False and \
                    key not in self.moved and \
                    self.fates.get(key) == 'doomed' and \
                    self.since.get(key, since) < since and \
                    self.lasting() and not self.plan['others'] and \
                    not self.plan['foreign']:
                del self.fates[key]

    def gone(self, keys, who):
        with self.lock:
            for key in keys:
                self.fates[key] = 'gone'
                self.gone_at.setdefault(key, self.tick())
                self.note(who, 'has removed %s' % (key,), [self.uids[key]])

    def marked(self, box, validity):
        """What EXPUNGE must remove if it begins now."""
        with self.lock:
            return [key for key, flags in self.flags.items()
                    if flags[DELETED] and key[:2] == (box, validity) and
                    self.fates.get(key) == 'doomed']

    def removed(self, keys, since, who):
        """By EXPUNGE; one that could not open the log when it began does not
        know what others have marked."""
        if self.plan['spoil']:
            return
        with self.lock:
            self.gone([k for k in keys if self.flags[k][DELETED] and
                       self.since.get(k, since) < since], who)

    def was_gone(self, key, since):
        return self.lasting() and self.gone_at.get(key, since) < since

    # ---- sizes

    def bring(self, who):
        """Before copies go to INBOX: False if they had better not."""
        with self.lock:
            if not self.shut:
                self.coming[who] += 1
            return not self.shut

    def brought(self, who):
        with self.lock:
            self.coming[who] -= 1

    def close(self, limit):
        """None come any more, until open_again(); False if they do. One that
        goes and a copy that comes leave the file's size as it was."""
        self.shut = True
        while any(self.coming.values()):
            if time.monotonic() > limit:
                return False
            time.sleep(0.001)
        return True

    def open_again(self):
        self.shut = False

    # ---- flags

    def storing(self, key, words):
        """Before a STORE; what end_store needs."""
        with self.lock:
            for word in words:
                self.flags[key][word] = None
                self.unflushed.pop((key, word), None)
            self.purge(key)
            return self.tick(), self.spoils

    def stored(self, key, n, values, begun):
        """It was answered with OK."""
        since, spoils = begun
        with self.lock:
            if not self.exact or self.hands[n] or \
                    self.open and key[0] == 'INBOX' or \
                    key[0] in self.rotten or \
                    self.touched.get(n, 0) > since or spoils != self.spoils:
                return
            now = self.tick()
            self.flags[key].update(values)
            for word in values:
                self.unflushed[key, word] = now
            if DELETED in values:
                self.since[key] = now

    def settled(self, key, n, word, shown, since):
        """Its owner has seen what became of a command without an answer."""
        with self.lock:
            if self.exact and not self.plan['spoil'] and \
                    not self.hands[n] and not self.open and \
                    self.spoilt_at < since and \
                    self.touched.get(n, 0) < since:
                self.flags[key][word] = shown
                if word == DELETED:
                    self.since[key] = self.tick()

    def expect(self, key, word):
        return self.flags[key][word] if self.exact else None

    def borrow(self, n):
        """Another program may write this message's flags from now on."""
        with self.lock:
            self.hands[n] += 1
            self.touched[n] = self.tick()
            for key, number in self.uids.items():
                if number == n and key in self.flags:
                    self.flags[key] = dict.fromkeys(self.words)

    def give_back(self, n):
        self.borrow(n)
        with self.lock:
            self.hands[n] -= 2

    # ---- the log

    def spoilt(self, within=False, old=False):
        """Called before and after it: what no flush has followed may be
        lost. Damage within a log may be found late: then also what was
        added behind it, up to a flush. Where there is no room for another
        log either, a session goes without one to its end, and others may
        write what it has undone. An old log beside an old index, or none, is
        believed (INDEX)."""
        with self.lock:
            if within or old or self.plan['full']:
                self.rotten.update(BOXES)
            if old:
                for key in self.flags:
                    self.flags[key] = dict.fromkeys(self.words)
            self.spoils += 1
            self.spoilt_at = self.tick()
            for key, word in self.unflushed:
                self.flags[key][word] = None
            self.unflushed = {}

    def reading(self, yes, removes):
        """mutt opens INBOX, and leaves. It takes a file of the same size for
        unchanged, so it may undo what was not in the file before it came;
        and \\Deleted is gone when it was told not to remove any."""
        step = 1 if yes else -1
        with self.lock:
            self.spoilt()
            self.open += step
            self.purging += step * removes
            for key, flags in self.flags.items():
                self.purge(key)
                if key[0] == 'INBOX':
                    flags[DELETED] = None

    def purge(self, key):
        """When mutt finds a mailbox changed it looks by the header for the
        messages that it knows, and marks what it has seen \\Deleted: so with
        one message each copy of it may go."""
        n = self.uids[key]
        if self.purging and key[0] == 'INBOX' and n % 3 and \
                self.flags[key][DELETED] is not False:
            self.doomed.add(n)

    def flushed(self, box, begun):
        """A command that writes all flags into the file has ended well."""
        since, spoils = begun
        with self.lock:
            if spoils == self.spoils and not self.ailing and \
                    not self.open and not self.plan['full']:
                self.rotten.discard(box)
                self.unflushed = {kw: t for kw, t in self.unflushed.items()
                                  if kw[0][0] != box or t > since}

    # ---- killed sessions, and programs that do not know our journal

    def killed(self, at_work):
        with self.lock:
            self.count('killed at work' if at_work else 'killed at rest')
            if at_work:
                self.torn = self.tick()
                self.doubles |= self.visits > 0

    def looked(self, since):
        """A session has opened INBOX, and what was torn is whole again."""
        with self.lock:
            if self.torn is not None and since > self.torn:
                self.torn = None

    def visit(self):
        """False if another program had better not come now."""
        with self.lock:
            if self.torn is not None and not self.plan['overlap']:
                return False
            self.visits += 1
            self.doubles |= self.torn is not None
            return True

    def leave(self):
        with self.lock:
            self.visits -= 1
