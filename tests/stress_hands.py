"""stress_hands.py - IMAP sessions that do this and that, several commands at
once or one by one, each with what its answer says about the mailboxes
(stress_model.py). For stress.t.
"""

import os
import random
import re
import subprocess
import time

import stress
from login import crypted
from stress import BOXES, NUMBER, PATIENCE, Wrong, flat
from stress_model import DELETED, FIRST_DELIVERED, appended

FLAGS = re.compile(rb'\bFLAGS \(([^)]*)\)')
COPYUID = re.compile(rb'\[COPYUID (\d+) (\S+) (\S+)\]')
# What a session may be told though nothing is wrong.
ALLOWED = (b'NO [EXPUNGEISSUED]', b'NO [INUSE]')
ADDED = re.compile(rb'(?im)^(?:Lines|Content-Length):[^\n]*\n')
SEARCHED = {b'\\Flagged': b'FLAGGED', b'\\Answered': b'ANSWERED',
            b'\\Seen': b'SEEN', b'\\Draft': b'DRAFT', DELETED: b'DELETED'}


def uid_list(chosen):
    return b','.join(b'%d' % uid for uid, _ in sorted(chosen))


def members(text):
    found = []
    for part in text.split(b','):
        first, _, last = part.partition(b':')
        found += range(int(first), int(last or first) + 1)
    return found


def unquoted(text):
    return re.sub(rb'(?m)^>+From ', b'From ', text)


class Job:
    """A command, and what is to be done with its answer."""

    def __init__(self, text, after, literals=()):
        self.text, self.after, self.literals = text, after, literals


class Client(stress.Client):
    """One server process; all that it says is held to the grammar."""

    def __init__(self, model, slot, who, program):
        self.model, self.slot, self.who = model, slot, who
        self.dead = False       # we have killed it
        self.at_work = False
        self.whole = 0, 0       # bytes and answers, up to the last answer
        self.busy = set()       # keys that a command without answer names
        self.began = model.tick()
        self.paths = [os.path.join(model.base, who + end)
                      for end in ('.log', '.said', '.asked')]
        self.log = os.open(self.paths[0], os.O_WRONLY | os.O_CREAT |
                           os.O_APPEND, 0o666)
        self.said, self.asked = (open(p, 'wb') for p in self.paths[1:])
        env = {'HOME': model.home, 'USER': 'alex', 'TZ': 'UTC',
               'MAIL': model.path('INBOX'), 'PATH': os.environ['PATH']}
        for name in ('ASAN_OPTIONS', 'UBSAN_OPTIONS'):
            if name in os.environ:
                env[name] = os.environ[name]
        self.start(program + self.doors() if stress.LOGIN else program, env,
                   self.log)
        if stress.LOGIN:
            self.ask(b'LOGIN alex firetruck')

    def doors(self):
        """Who may come in, and where the mail is."""
        path = os.path.join(self.model.base, 'passwords')
        if not os.path.exists(path):
            with open(path + self.who, 'w') as f:
                f.write('alex:%s:%d:%d::%s\n' % (
                    crypted(b'firetruck'), stress.NOBODY,
                    stress.NOBODY, self.model.home))
            os.chmod(path + self.who, 0o600)
            os.rename(path + self.who, path)
        return ['--auth=file:' + path, '--plaintext=yes']

    def heard(self, data):
        self.said.write(data)

    def run(self, jobs):
        """All of them at once, then their answers."""
        self.looked, self.began = self.began, self.model.tick()
        self.at_work = True
        tags, data = [], b''
        for job in jobs:
            tags.append(self.tag())
            self.asked.write(tags[-1] + b' ' + job.text.split(b'\r')[0] +
                             b'\n')
            data += tags[-1] + b' ' + job.text + b''.join(job.literals) + \
                b'\r\n'
        self.send(data)
        for tag, job in zip(tags, jobs):
            lines, end = self.answer(tag, job.text)
            self.whole = self.said.tell(), self.tags - len(jobs) + \
                tags.index(tag) + 1
            job.after(lines, end)
            if not end.startswith(b'OK'):
                self.refused(job.text, end)
        self.busy = set()
        self.at_work = False

    def refused(self, text, end):
        self.model.count('refused: ' + end.decode()[:60])
        plan = self.model.plan
        if not end.startswith(ALLOWED) and not plan['spoil'] and \
                not plan['full'] and self.model.lasting():
            raise Wrong('%s: %s -> %s' % (self.who, text[:80], end))

    def ask(self, text):
        """One command by itself: its lines and its end."""
        got = []
        self.run([Job(text, lambda *answer: got.extend(answer))])
        return got

    def key(self, uid):
        """Where numbers may begin anew only one session's word counts."""
        key = super().key(uid)
        return key if self.model.exact else key + (self.who,)

    def fetched(self, n, line):
        first = self.numbers[n - 1] is None
        super().fetched(n, line)
        known = self.numbers[n - 1]
        if known is None:
            return
        uid, number = known
        key = self.key(uid)
        if first and self.model.was_gone(key, self.opened):
            raise Wrong('%s: UID %d was expunged before' % (self.who, uid),
                        number)
        m = FLAGS.search(flat(line))
        if m:
            self.observe(key, number, m.group(1).split())

    def new_to_us(self, uid):
        """Where keywords leave no room for it in the header, "old" can not
        be written: so it is for deliveries only. Other programs may remove
        it; a log that is lost forgets it."""
        model, n = self.model, self.model.uids.get(self.key(uid))
        if n is not None and n >= FIRST_DELIVERED and \
                n not in model.copied and n not in model.touched and \
                not model.plan['spoil']:
            super().new_to_us(uid)

    def observe(self, key, n, shown):
        """Flags that are ours are as we have left them. What others did
        since the command before this one it need not know yet."""
        for word in self.model.words:
            if self.model.owner(n, word) != self.slot:
                continue
            want, has = self.model.expect(key, word), word in shown
            if want is None:
                if key not in self.busy:
                    self.model.settled(key, n, word, has, self.looked)
            elif want != has and \
                    self.model.touched.get(n, 0) < self.looked:
                raise Wrong('%s: %s is %s: %s, not %s' % (self.who, key,
                    shown, word.decode(), want), n)

    def select(self, box, how=b'SELECT'):
        self.leave()
        self.how = how
        self.opened = self.model.tick()
        lines, end = self.ask(how + b' ' + box.encode())
        if not end.startswith(b'OK'):
            return False
        text = b'\n'.join(lines)
        self.box = box
        self.validity = int(re.search(rb'UIDVALIDITY (\d+)', text).group(1))
        if b'UIDNOTSTICKY' in text:
            if self.model.lasting() and not self.model.plan['spoil']:
                raise Wrong(self.who + ': UIDNOTSTICKY')
            self.validity = (self.validity, self.who)
        elif self.model.lasting():
            old = self.model.validities.setdefault(box, self.validity)
            if old != self.validity:
                raise Wrong('%s: UIDVALIDITY of %s was %d, is %d' % (
                    self.who, box, old, self.validity))
        # Mail may come while SELECT is answered: then there are two.
        self.numbers = [None] * int(re.findall(rb'\* (\d+) EXISTS',
                                               text)[-1])
        self.model.looked(self.opened)
        self.refresh()
        return True

    def refresh(self):
        """Asks which messages those are that it does not know."""
        if None not in self.numbers:
            return
        self.ask(b'FETCH %d:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-NUMBER)'
                 b'])' % (self.numbers.index(None) + 1))
        uids = [known[0] for known in self.numbers if known]
        if uids != sorted(set(uids)):
            raise Wrong('%s: UIDs do not rise: %s' % (self.who, uids))

    def leave(self):
        """What it was told of and has not looked at nobody may have seen
        as \\Recent."""
        if getattr(self, 'numbers', None) and self.how == b'SELECT':
            with self.model.lock:
                self.model.unseen += self.numbers.count(None)
        super().leave()

    def text(self, lines, uid, n):
        """Did its whole text come? It must be what belongs to the number."""
        for line in lines:
            m = re.search(rb'BODY\[\] \{(\d+)\}\r\n', line)
            if m is None or b'UID %d ' % uid not in line[:m.start()]:
                continue
            got = line[m.end():m.end() + int(m.group(1))]
            want = appended(n)
            if n >= FIRST_DELIVERED or self.model.plan['strip']:
                got, want = unquoted(got), unquoted(want)
            if ADDED.sub(b'', got).rstrip() != ADDED.sub(b'', want).rstrip():
                raise Wrong('%s: UID %d is not number %d: %s ... %s' % (
                    self.who, uid, n, got[:300], got[-100:]), n)
            return True
        return False

    def discard(self):
        """Ends it, and judges all that it has said."""
        self.leave()
        self.socket.close()
        self.file.close()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Wrong(self.who + ': does not end')
        self.model.coming.pop(self, None)
        for f in (self.said, self.asked):
            f.close()
        os.close(self.log)
        if status not in (0, 1) and not self.dead:
            raise Wrong('%s: exit status %d' % (self.who, status))
        self.validate()

    def validate(self):
        """Of one that was killed, up to the last whole answer."""
        validator = os.environ.get('VALIDATE')
        if self.dead:
            os.truncate(self.paths[1], self.whole[0])
            with open(self.paths[2], 'r+b') as f:
                for _ in range(self.whole[1]):
                    f.readline()
                f.truncate(f.tell())
        if validator and os.path.getsize(self.paths[1]):
            done = subprocess.run([validator, '-c', self.paths[2],
                                   self.paths[1]], capture_output=True)
            if done.returncode:
                raise Wrong((done.stdout + done.stderr).decode('latin-1'))
        self.model.count('streams judged')
        for path in self.paths[1:]:
            os.unlink(path)


class Session(stress.Actor):
    """Commands by chance. Whoever is killed comes again."""

    def __init__(self, model, rng, slot, until, program):
        super().__init__(model, rng, 's%d' % slot, until)
        self.slot, self.program, self.client = slot, program, None
        self.lives = 0

    def begin(self):
        self.lives += 1
        self.client = Client(self.model, self.slot, '%sx%d' % (
            self.who, self.lives), self.program)

    def kill(self):
        """From another thread: only what is at work, for a while."""
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            client = self.client
            if client is not None and client.at_work:
                break
            time.sleep(0.001)
        with self.model.lock:
            client = self.client
            if client is None or client.dead or \
                    self.model.visits and not self.model.plan['overlap']:
                return
            client.dead = True
            client.process.kill()
            self.model.killed(client.at_work)
            self.model.note(client.who, 'is killed', ())

    def guarded(self, act):
        """False if the session was killed meanwhile."""
        client = self.client
        try:
            act()
            return True
        except EOFError:
            if not client.dead:
                raise Wrong('%s has ended: %s' % (client.who, client.name))
            self.client = None
            client.discard()
            return False

    def turn(self):
        if self.client is None:
            try:
                self.begin()
            except EOFError:
                raise Wrong(self.who + ' does not begin')
        self.guarded(self.some_act)

    def some_act(self):
        client = self.client
        if client.box is None:
            self.reselect()
            return
        client.refresh()
        if self.rng.random() < 0.15:
            act = self.rng.choices(*zip(*self.ALONE))[0]
            self.model.count(act)
            getattr(self, act)()
            return
        self.numbered = self.rng.random() < 0.3
        wanted = 1 if self.numbered else self.rng.choice((1, 1, 2, 4))
        jobs = []
        for act in self.rng.choices(*zip(*self.ACTS), k=wanted):
            if act in self.CHANGES and client.how != b'SELECT':
                act = 'fetch'
            jobs.append(getattr(self, act)())
            if jobs[-1] is not None:
                self.model.count(act)
        client.run([job for job in jobs if job])

    ALONE = (('reselect', 5), ('close', 2), ('unselect', 1), ('logout', 2),
             ('idle', 3))
    ACTS = (('fetch', 20), ('flag', 25), ('replace', 5), ('delete', 9),
            ('undelete', 2), ('append', 7), ('copy', 6), ('move', 5),
            ('expunge', 4), ('uid_expunge', 3), ('search', 4), ('status', 2),
            ('noop', 5), ('check', 3))
    CHANGES = ('flag', 'replace', 'delete', 'undelete', 'move', 'expunge',
               'uid_expunge', 'check')

    # ---- helpers

    def some(self, allow, most=4):
        """A few messages, none of which is named already."""
        client = self.client
        known = [k for k in client.numbers if k and allow(k[1]) and
                 client.key(k[0]) not in client.busy]
        wanted = min(most, self.rng.choice((1, 1, 2, 4)))
        return sorted(self.rng.sample(known, min(len(known), wanted)))

    def named(self, command, chosen):
        """The first words of a command for these, in one form or other."""
        client = self.client
        client.busy.update(client.key(uid) for uid, _ in chosen)
        if not self.numbered:
            return b'UID %s %s' % (command, uid_list(chosen))
        return b'%s %s' % (command, b','.join(
            b'%d' % (client.numbers.index(k) + 1) for k in chosen))

    def mine(self, word):
        return lambda n: self.model.owner(n, word) == self.slot

    def note(self, what, chosen):
        self.model.note(self.client.who, what, [n for _, n in chosen])

    # ---- what changes nothing

    def fetch(self):
        client, model = self.client, self.model
        chosen = self.some(lambda n: True, 1)
        if not chosen:
            return None
        (uid, n), = chosen
        # It has looked since the last command began; before the next one it
        # need not (RFC 2180 4.1).
        key, since = client.key(uid), client.began
        # Whoever owns \Seen may set it by looking.
        seen = client.how == b'SELECT' and self.mine(b'\\Seen')(n) and \
            self.rng.random() < 0.5
        begun = model.storing(key, [b'\\Seen']) if seen else None
        what = b' (UID FLAGS BODY%s[])' % (b'' if seen else b'.PEEK')

        def after(lines, end):
            if client.text(lines, uid, n):
                if model.was_gone(key, since):
                    raise Wrong('%s: reads UID %d, which is expunged' % (
                        client.who, uid), n)
                if seen and end.startswith(b'OK'):
                    model.stored(key, n, {b'\\Seen': True}, begun)
                    self.note('has seen it', chosen)
                model.reprieve(key, since)
            elif end.startswith(b'OK') and self.numbered:
                raise Wrong('%s: no text of UID %d' % (client.who, uid), n)
            elif n % 15 == 0 and model.lasting():
                raise Wrong('%s: UID %d has gone' % (client.who, uid), n)
        return Job(self.named(b'FETCH', chosen) + what, after)

    def search(self):
        client, model = self.client, self.model
        word = self.rng.choice(model.words)
        known = {client.key(uid): n for uid, n in filter(None, client.numbers)
                 if self.mine(word)(n) and client.key(uid) not in client.busy}
        want = {key: model.expect(key, word) for key in known}
        began = model.tick()

        def after(lines, end):
            text = b' '.join(x for x in lines if x.startswith(b'* SEARCH'))
            found = {int(x) for x in text.split() if x.isdigit()}
            for key, value in want.items():
                n = known[key]
                if value is None or value != model.expect(key, word) or \
                        model.touched.get(n, 0) >= began or \
                        not end.startswith(b'OK'):
                    continue
                if (key[2] in found) != value and (
                        not value or not model.is_doomed(key, n)):
                    raise Wrong('%s: %s of %s is %s, but SEARCH found %s' % (
                        client.who, word, key, value, sorted(found)), n)
        return Job(b'UID SEARCH ' + SEARCHED.get(word, b'KEYWORD ' + word),
                   after)

    def status(self):
        model, box = self.model, self.rng.choice(BOXES)
        least = model.uidnext[box]

        def after(lines, end):
            m = re.search(rb'UIDNEXT (\d+) UIDVALIDITY (\d+)',
                          b' '.join(lines))
            if m is None or not model.lasting():
                return
            nextuid, validity = map(int, m.groups())
            with model.lock:
                model.uidnext[box] = max(model.uidnext[box], nextuid)
            if nextuid < least or validity != model.validities.get(
                    box, validity):
                raise Wrong('%s: %s, but UIDNEXT was %d, UIDVALIDITY %s' % (
                    self.client.who, m.group(0), least, model.validities))
        return Job(b'STATUS %s (UIDNEXT UIDVALIDITY)' % box.encode(), after)

    def noop(self):
        return Job(b'NOOP', lambda *_: None)

    # ---- flags

    def store(self, chosen, how, values):
        client, model = self.client, self.model
        begun = [model.storing(client.key(uid), values)
                 for uid, _ in chosen]
        words = b' '.join(w for w in values if how not in (b'', b'+') or
                          values[w])
        silent = self.rng.choice((b'', b'.SILENT'))
        text = b' %sFLAGS%s (%s)' % (how, silent, words)
        self.note('sends' + text.decode(), chosen)

        def after(lines, end):
            if not end.startswith(b'OK'):
                return
            for (uid, n), b in zip(chosen, begun):
                model.stored(client.key(uid), n, values, b)
            self.note('has OK for' + text.decode(), chosen)
        return Job(self.named(b'STORE', chosen) + text, after)

    def flag(self):
        word = self.rng.choice([w for w in self.model.words if w != DELETED])
        chosen = self.some(self.mine(word))
        how = self.rng.choice((b'+', b'+', b'-'))
        return self.store(chosen, how, {word: how == b'+'}) if chosen \
            else None

    def replace(self):
        chosen = self.some(lambda n: n % 4 == 1 and self.mine(DELETED)(n))
        values = {word: word != DELETED and self.rng.random() < 0.3
                  for word in self.model.words}
        return self.store(chosen, b'', values) if chosen else None

    def delete(self):
        chosen = self.some(lambda n: n % 3 and self.mine(DELETED)(n))
        self.model.doom(self.client.key(uid) for uid, _ in chosen)
        return self.store(chosen, b'+', {DELETED: True}) if chosen else None

    def undelete(self):
        chosen = self.some(lambda n: n % 3 and self.mine(DELETED)(n))
        return self.store(chosen, b'-', {DELETED: False}) if chosen else None

    def check(self):
        return Job(b'CHECK', self.flushes(self.client.box))

    def flushes(self, box):
        """EXPUNGE that finds nothing waits for no lock, and flushes nothing;
        CLOSE and UNSELECT wait a second for it, and go without (DESIGN)."""
        begun = self.model.tick(), self.model.spoils

        def after(lines, end):
            if end.startswith((b'OK CHECK', b'OK Expunged')):
                self.model.flushed(box, begun)
        return after

    # ---- messages come and go

    def expunges(self, among=None):
        client, model = self.client, self.model
        box, since = client.box, model.tick()
        flushed = self.flushes(box)
        marked = model.marked(box, client.validity)
        if among is not None:
            marked = [key for key in marked if key[2] in among]

        def after(lines, end):
            flushed(lines, end)
            if end.startswith(b'OK'):
                model.removed(marked, since, client.who)
        return after

    def expunge(self):
        return Job(b'EXPUNGE', self.expunges())

    def uid_expunge(self):
        chosen = self.some(lambda n: n % 3)
        if not chosen:
            return None
        return Job(b'UID EXPUNGE ' + uid_list(chosen),
                   self.expunges([uid for uid, _ in chosen]))

    def append(self):
        client, model, n = self.client, self.model, self.model.number()
        flags = [w for w in model.words if w != DELETED and
                 self.rng.random() < 0.2]
        model.born[n] = flags
        box, text = self.rng.choice(BOXES), appended(n)
        self.note('appends it to %s with %s' % (box, flags), [(0, n)])

        def after(lines, end):
            m = re.search(rb'APPENDUID (\d+) (\d+)', end)
            if end.startswith(b'OK'):
                model.came(n)
                if m and model.exact:
                    model.learn((box, int(m.group(1)), int(m.group(2))), n,
                                client.who)
            elif end.startswith(b'NO'):
                model.most[n] = 0
        return Job(b'APPEND %s (%s) {%d+}\r\n' % (box.encode(), b' '.join(
            flags), len(text)), after, [text])

    def transfer(self, word):
        client, model = self.client, self.model
        chosen = self.some(lambda n: n % 5)
        if not chosen:
            return None
        moves, to = word == b'MOVE', self.rng.choice(BOXES)
        if to == 'INBOX' and not model.bring(client):
            to = 'box'
        keys = {uid: client.key(uid) for uid, _ in chosen}
        numbers = dict(chosen)
        with model.lock:
            for uid, n in chosen:
                model.most[n] = model.most.get(n, 1) + 1
                model.copied.add(n)
            was_doomed = {uid for uid in keys if keys[uid] in model.fates or
                          keys[uid] in model.loose}
            flags = {uid: dict(model.flags[keys[uid]]) for uid in keys}
            if moves:
                model.moved.update(keys.values())
        began, spoils = model.tick(), model.spoils
        self.note('%ss it to %s' % (word.decode().lower(), to), chosen)

        def after(lines, end):
            if to == 'INBOX':
                model.brought(client)
            m = COPYUID.search(end) or COPYUID.search(b' '.join(
                x for x in lines if x.startswith(b'* OK')))
            pairs = list(zip(members(m.group(2)), members(m.group(3)))) \
                if m else []
            if not end.startswith(b'OK'):
                if not moves:
                    self.fewer(numbers.values())
                return
            # What another has moved or removed meanwhile stands there once
            # more: there is no lock over two mailboxes.
            self.fewer(n for uid, n in chosen if uid not in dict(pairs) or
                       moves and model.exact and
                       model.fates.get(keys[uid]) != 'gone')
            if not model.exact:
                return
            for old, new in pairs:
                key, n = (to, int(m.group(1)), new), numbers[old]
                model.learn(key, n, client.who)
                with model.lock:
                    if old in was_doomed or keys[old] in model.fates:
                        model.doom([key])
                    model.loose.discard(key)
                    if spoils == model.spoils and not model.hands[n] and \
                            model.touched.get(n, 0) < began:
                        self.inherit(key, n, flags[old])
            if moves:
                model.gone([keys[old] for old, _ in pairs], client.who)
            self.note('%s ends: %s' % (word.decode(), pairs), chosen)
        return Job(self.named(word, chosen) + b' ' + to.encode(), after)

    def fewer(self, numbers):
        with self.model.lock:
            for n in numbers:
                self.model.most[n] -= 1

    def inherit(self, key, n, flags):
        """Nobody but us could change our flags while it was copied."""
        for word in self.model.words:
            if self.mine(word)(n) and self.model.flags[key][word] is None \
                    and key not in self.model.since:
                self.model.flags[key][word] = flags[word]

    def copy(self):
        return self.transfer(b'COPY')

    def move(self):
        return self.transfer(b'MOVE')

    # ---- what is done alone

    def reselect(self):
        how = b'EXAMINE' if self.rng.random() < 0.1 else b'SELECT'
        self.client.select(self.rng.choice(('INBOX', 'INBOX', 'box')), how)

    def leave_by(self, word, after):
        client = self.client
        client.run([Job(word, after)])
        client.leave()

    def close(self):
        writes = self.client.how == b'SELECT'
        self.leave_by(b'CLOSE', self.expunges() if writes else
                      lambda *_: None)

    def unselect(self):
        self.leave_by(b'UNSELECT', lambda *_: None)

    def idle(self):
        client = self.client
        client.looked, client.began = client.began, self.model.tick()
        client.at_work = True
        tag = client.tag()
        client.asked.write(tag + b' IDLE\n')
        client.name = b'IDLE'
        client.send(tag + b' IDLE\r\n')
        line = client.line()
        while not line.startswith(b'+'):
            client.untagged(line)
            line = client.line()
        time.sleep(self.rng.uniform(0, 0.2))
        client.send(b'DONE\r\n')
        client.answer(tag, b'IDLE')
        client.whole = client.said.tell(), client.tags
        client.at_work = False

    def logout(self):
        """Its last command may be answered by nobody, if it is killed."""
        client = self.client
        client.ask(b'LOGOUT')
        self.client = None
        client.discard()


class Killer(stress.Actor):
    def __init__(self, model, rng, until, sessions):
        super().__init__(model, rng, 'killer', until)
        self.sessions = sessions

    def turn(self):
        time.sleep(self.rng.uniform(0.05, 0.6))
        if time.monotonic() < self.until:
            self.rng.choice(self.sessions).kill()
