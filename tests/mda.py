"""mda.py - the delivery programs of Debian, and writers that know one lock
only, each made to put numbered mail into a mailbox of ours, locking in a way
of its own; hands that work on the mailbox over IMAP meanwhile; and the
judgement over what stands there in the end. For mda.t, which has the rounds;
Postfix, which wants more, has mda_postfix.py.

What may become of a message its number says (as in stress.py, whose client
this is):

	n % 3 == 0	no session deletes it; sessions may copy it
	n % 5 == 0	no session copies it

A session marks a message \\Deleted only when it has read all of it and has
recorded its number. So in the end each number either stands in the file, once
and with its text, or in the record.
"""

import contextlib
import os
import queue
import random
import re
import subprocess
import sys
import tempfile
import threading
import time

import stress
from hostile import ROOT, TOP, WATCHDOG
from stress import Wrong

SENDER = 'sender@example.org'
PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
KINDS = 8                       # of bodies
FROM_LINE = re.compile(rb'From \S+ +\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}$')
MARKS = (b'\\Flagged', b'$Kept')


# ---- the mail

def body(n):
    """What is hard to keep; all but the empty one name their number."""
    rng = random.Random(n)
    lines = [b'line %d of number %d %s' % (i, n, b'x' * rng.randrange(70))
             for i in range(rng.choice((1, 3, 20)))]
    text = b'\n'.join(lines) + b'\n'
    return (text,
            b'From the first line on, says %d\n\nFrom a@example.org Sat Jan '
            b' 3 01:05:34 1998\nX-Other: 0\n\n>From b\n>>From c\n%s'
            b'From the last\n' % (n, text),
            text + b'no line end behind number %d' % n,
            b'',
            text + b'%d ' % n * 15000 + b'\n' + text,
            text + b'J\xf8rgen \xe2\x98\x83 \xff\xfe\x80 %d\n' % n,
            b''.join(b'%06d of number %d %s\n' % (i, n, b'y' * 40)
                     for i in range(3200)),
            b'\n\n.\n..\n %d \n\t\n\n\n%s' % (n, text))[n % KINDS]


def message(n, eol=b'\n'):
    """Without a From_ line, as a mail transport hands it on."""
    lines = stress.header(n) + [b'Date: Sun, 4 Jan 1998 10:00:00 +0000', b'']
    return eol.join(lines + body(n).split(b'\n'))


def quote_from(text):
    return re.sub(rb'^From ', b'>From ', text, flags=re.M)


def quote_all(text):
    return re.sub(rb'^(>*From )', rb'>\1', text, flags=re.M)


def plain(text):
    """Without the marks that keep a line from being a From_ line."""
    return re.sub(rb'^>+From ', b'From ', text, flags=re.M)


# ---- the programs

class Mda:
    """One program, set up for one mailbox. Subclasses: NAME, PROGRAM, how it
    quotes, which LOCKS it can be told to take (the first: as packaged), in
    how many LANES it delivers at once, whether it ASKS_PASSWD who is who, how
    many seconds a session is to REST at most between two commands."""

    ASKS_PASSWD, REST = False, .12
    MADE = []                   # all that may have something running

    def __init__(self, place, service, user, locks, group=None):
        self.locks, self.inbox = locks, service.inbox(user)
        self.uid, self.gid = service.ids(user)
        if group is not None:
            self.gid = group
        self.env = dict(service.env(user), PATH=PATH)
        self.dir = tempfile.mkdtemp(dir=place, prefix=self.NAME.split()[0] +
                                    '.')
        self.owned(self.dir, 0o700)
        self.MADE.append(self)
        self.argv = self.set_up()

    def __str__(self):
        return '%s (%s)' % (self.NAME, self.locks)

    @classmethod
    def lacks(cls):
        """Why it can not be tried, if so."""
        if not os.path.exists(cls.PROGRAM):
            return cls.PROGRAM + ' is not installed'
        return None

    def owned(self, path, mode):
        os.chmod(path, mode)
        if ROOT:
            os.chown(path, self.uid, self.gid)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, 'w') as f:
            f.write(text.format(inbox=self.inbox, dir=self.dir, uid=self.uid,
                                gid=self.gid))
        self.owned(path, 0o600)
        return path

    def who(self):
        return {'user': self.uid, 'group': self.gid, 'extra_groups': []} \
            if ROOT else {}

    def run(self, argv, data=b''):
        """What it has to say if it has failed."""
        done = subprocess.run(argv, input=data, env=self.env, cwd='/',
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=WATCHDOG, **self.who())
        return '' if done.returncode == 0 else '%s: status %d: %s' % (
            self, done.returncode, done.stdout[-300:].decode('latin-1'))

    def deliver(self, n):
        return self.run(self.argv, message(n))

    def finish(self):
        """Complaints about what is not delivered yet."""
        return ''

    def close(self):
        """Nothing of it runs any more; also if it never did."""


@contextlib.contextmanager
def all_closed():
    """In the end nothing runs, whatever has happened."""
    try:
        yield
    finally:
        for mda in Mda.MADE:
            mda.close()


class Procmail(Mda):
    """It waits for a second, holding its locks, where the mailbox was read
    in the very second in which it writes to it; who comes next need not."""

    NAME, PROGRAM, LANES, REST = 'procmail', '/usr/bin/procmail', 4, .3
    LOCKS = ('dotlock fcntl', 'fcntl')
    quoted = staticmethod(quote_from)

    def set_up(self):
        # A second colon asks for the dotlock; fcntl it always takes. Who
        # finds the dotlock sleeps: there more of them must try.
        if 'dotlock' in self.locks:
            self.LANES = 20
        rc = self.write('procmailrc', 'SHELL=/bin/sh\nLOCKSLEEP=1\n'
                        'DEFAULT={inbox}\nLOGFILE={dir}/log\n:0%s\n{inbox}\n'
                        % (':' if 'dotlock' in self.locks else ''))
        return [self.PROGRAM, '-f', SENDER, '-m', rc]


class Maildrop(Mda):
    """It runs in circles while it waits for a dotlock."""

    NAME, PROGRAM, LANES = 'maildrop', '/usr/bin/maildrop', 2
    ASKS_PASSWD = True
    LOCKS = ('dotlock fcntl',)
    quoted = staticmethod(quote_all)

    def set_up(self):
        rc = self.write('mailfilter', 'LOCKSLEEP=1\nto "{inbox}"\n')
        return [self.PROGRAM, '-f', SENDER, '-V0', rc]


EXIM = '''unknown_login = mda
unknown_username = MDA
exim_user = {uid}
exim_group = {gid}
never_users =
untrusted_set_sender = *
primary_hostname = localhost
spool_directory = {dir}/spool
log_file_path = {dir}/%slog
keep_environment =
domainlist local_domains = example.org
begin routers
all:
	driver = accept
	domains = +local_domains
	transport = mail_spool
begin transports
mail_spool:
	driver = appendfile
	file = {inbox}
	user = {uid}
	group = {gid}
	mode_fail_narrower = false
	lock_interval = 1s
	lock_retries = 60
	transport_filter = /bin/sh {dir}/filter $message_size
'''
# Exim waits in the middle of a long message, its locks held.
FILTER = 'test $1 -gt 60000 && head -c 30000 && sleep .2\ncat\n'


class Exim(Mda):
    """With -C and run by anybody but root it gives up root's rights at once
    and delivers as its caller."""

    NAME, PROGRAM, LANES = 'Exim', '/usr/sbin/exim4', 5
    LOCKS = ('dotlock fcntl', 'fcntl', 'dotlock', 'flock')
    quoted = staticmethod(quote_from)

    def set_up(self):
        wanted = self.locks.split()
        self.write('filter', FILTER)
        conf = self.write('exim.conf', EXIM + ''.join(
            '\t%s = %s\n' % (option, str(lock in wanted).lower())
            for option, lock in (('use_lockfile', 'dotlock'),
                                 ('use_fcntl_lock', 'fcntl'),
                                 ('use_flock_lock', 'flock'))))
        self.queue = [self.PROGRAM, '-C', conf]
        return self.queue + ['-odf', '-i', '-f', SENDER, 'u@example.org']

    def finish(self):
        """Status 0 says only that Exim is responsible for it."""
        self.run(self.queue + ['-qff'])
        queue = os.path.join(self.dir, 'spool', 'input')
        left = os.listdir(queue) if os.path.exists(queue) else ['no queue']
        if not left:
            return ''
        log = subprocess.run(['tail', '-n', '4', os.path.join(
            self.dir, 'mainlog')], capture_output=True).stdout
        return '%s: not delivered: %s; %s' % (self, left, log)


class Writer(Mda):
    """Whoever keeps just one lock: mda_writer.py, a process for each lane,
    which judges as well whether the others keep it."""

    NAME, LANES = 'writer', 2
    LOCKS = ('dotlock', 'fcntl', 'flock')
    quoted = staticmethod(quote_from)
    pieces, hands = 3, ()

    @classmethod
    def lacks(cls):
        return None

    def set_up(self):
        argv = [sys.executable, '-B', os.path.join(TOP, 'tests',
                'mda_writer.py'), self.locks, self.inbox]
        if ROOT:
            argv += [str(self.uid), str(self.gid)]
        self.hands = [subprocess.Popen(
            argv, env=self.env, cwd='/', stdin=subprocess.PIPE,
            stdout=subprocess.PIPE) for _ in range(self.LANES)]
        self.free = queue.SimpleQueue()
        for hand in self.hands:
            self.free.put(hand)

    def deliver(self, n):
        data = quote_from(message(n))
        data = time.strftime('From %s  %%a %%b %%e %%H:%%M:%%S %%Y\n' %
                             SENDER, time.gmtime()).encode() + data + \
            (b'\n' if data.endswith(b'\n') else b'\n\n')
        hand = self.free.get()
        hand.stdin.write(b'%d %d\n' % (len(data), self.pieces) + data)
        hand.stdin.flush()
        said = hand.stdout.readline()
        self.free.put(hand)
        return '' if said == b'\n' else '%s: number %d: %s' % (
            self, n, said.decode('latin-1').strip() or 'it has ended')

    def close(self):
        for hand in self.hands:
            hand.stdin.close()
            hand.stdout.close()
            hand.wait()


class OneWrite(Writer):
    """One that may write beside others who keep another lock: each message
    goes in by one write(2), which the system lets nobody come between."""

    NAME = 'writer at one stroke'
    pieces = 1


MDAS = (Procmail, Maildrop, Exim)


# ---- the hands

class Model(stress.Model):
    """What is known of all messages of one user."""

    def __init__(self, service, user):
        super().__init__(service.home(user), dict.fromkeys(
            ('strip', 'unbase', 'kill', 'foreign'), 0))
        self.service, self.user = service, user
        self.texts = {}         # number: its text as a client gets it
        self.here = {}          # (mailbox, number): how often it is there
        self.flags = {}         # UID in INBOX: marks acknowledged
        self.validities = set()
        self.idle = threading.Event()   # when nobody delivers any more

    def path(self, name):
        return self.service.inbox(self.user) if name == 'INBOX' else \
            os.path.join(self.home, name)

    def learn(self, key, n, who):
        """What nobody copies stands in one place, as long as it stands."""
        super().learn(key, n, who)
        if n % 3 == 0:
            return
        with self.lock:
            old = self.places.setdefault((key[0], key[1], n), key[2])
        if old != key[2]:
            raise Wrong('%s: number %d is UID %s, but was %d' % (
                who, n, key, old))

    def known(self, n, text):
        """A number that is to come; its text, but for line ends at the end,
        which mbox does not keep."""
        with self.lock:
            self.texts[n] = text.rstrip(b'\n')

    def came(self, n, box='INBOX'):
        with self.lock:
            self.here[box, n] = self.here.get((box, n), 0) + 1


class Client(stress.Client):
    """Over TCP, logged in."""

    def __init__(self, model, who):
        self.model, self.who, self.tags, self.name = model, who, 0, b''
        link = model.service.connect(model.user)
        self.socket, self.file = link.socket, link.file
        self.log = os.memfd_create(who)
        self.new = set()        # UIDs that were \\Recent here
        self.leave()

    def refresh(self):
        """Asks for the numbers of the messages that it does not know. Some
        may stay unknown: what is gone by now, what has come meanwhile."""
        if None not in self.numbers:
            return
        self.command(b'FETCH %d:* (UID FLAGS BODY.PEEK[HEADER.FIELDS '
                     b'(X-NUMBER)])' % (self.numbers.index(None) + 1))
        uids = [known[0] for known in self.numbers if known]
        if uids != sorted(set(uids)):
            raise Wrong('%s: UIDs do not rise: %s' % (self.who, uids))

    def select(self, box, how=b'SELECT'):
        """Mail may come while it is answered: of two EXISTS the second
        counts."""
        self.leave()
        self.how = how
        lines, _ = self.ok(how + b' ' + box.encode())
        text = b'\n'.join(lines)
        if b'UIDNOTSTICKY' in text:
            raise Wrong('%s: no lasting UIDs in %s' % (self.who, box))
        self.box = box
        self.validity = int(re.search(rb'UIDVALIDITY (\d+)', text).group(1))
        self.model.validities.add((box, self.validity))
        for line in lines:
            self.untagged(line)
        self.refresh()

    def untagged(self, line):
        """Nothing goes that no session has recorded."""
        m = re.match(rb'\* (\d+) EXPUNGE\b', line)
        if m and self.box and 0 < int(m.group(1)) <= len(self.numbers):
            known = self.numbers[int(m.group(1)) - 1]
            if known and known[1] not in self.model.doomed:
                raise Wrong('%s: %s: UID %d, number %d, which nobody has '
                            'marked' % ((self.who, line) + known))
        super().untagged(line)

    def new_to_us(self, uid):
        super().new_to_us(uid)
        self.new.add(uid)

    def read(self, uid, n):
        """False if it is not there any more."""
        lines, _ = self.command(b'UID FETCH %d (UID FLAGS BODY[TEXT])' % uid)
        for line in lines:
            m = re.search(rb'BODY\[TEXT\] \{\d+\}\r\n(.*)\)$', line, re.S)
            if m and b'UID %d ' % uid in line:
                got = m.group(1).replace(b'\r\n', b'\n').rstrip(b'\n')
                if got != self.model.texts[n]:
                    raise Wrong('%s: UID %d is not number %d as it came: %s '
                                '... %s' % (self.who, uid, n, got[:100],
                                            got[-100:]))
                return True
        return False

    def ok(self, text, literals=()):
        lines, end = self.command(text, literals)
        if not end.startswith(b'OK'):
            raise Wrong('%s: %s -> %s' % (self.who, text[:60], end))
        return lines, end

    def append(self):
        n = self.model.number()
        self.model.known(n, body(n))
        text = message(n, b'\r\n')
        _, end = self.ok(b'APPEND INBOX {%d+}\r\n' % len(text), [text])
        self.model.came(n)
        m = re.search(rb'APPENDUID (\d+) (\d+)', end)
        self.model.learn(('INBOX', int(m.group(1)), int(m.group(2))), n,
                         self.who)

    def last_words(self):
        """What was said lately, for who must find out why."""
        size = os.fstat(self.log).st_size
        said = os.pread(self.log, 2000, max(0, size - 2000))
        return said.decode('latin-1').partition('\n')[2]

    def logout(self):
        self.ok(b'LOGOUT')
        self.discard()

    def discard(self):
        self.file.close()
        self.socket.close()
        os.close(self.log)


class Hand(stress.Actor):
    """A session that does this and that until all is delivered, and for
    TURNS at least."""

    TURNS = 12

    def __init__(self, model, rng, who, seconds, rest):
        super().__init__(model, rng, who, time.monotonic() + seconds)
        self.rest = rest
        self.client, self.turns = None, 0

    def turn(self):
        if self.client is None:
            self.client = Client(self.model, self.who)
        try:
            self.some_turn()
        except Wrong as e:
            raise Wrong('%s\n%s' % (e, self.client.last_words()))

    def some_turn(self):
        if self.model.idle.is_set() and self.turns >= self.TURNS:
            self.until = 0
            return
        self.turns += 1
        if self.client.box is None or self.rng.random() < .05:
            self.client.select('INBOX')
        self.client.refresh()
        act = self.rng.choices(*zip(*self.ACTS))[0]
        self.model.count(act)
        getattr(self, act)(self.client)
        # Who delivers looks for the dotlock once a second.
        time.sleep(self.rng.uniform(0, self.rest))

    ACTS = (('fetch', 6), ('noop', 2), ('flag', 5), ('delete', 6),
            ('expunge', 5), ('uid_expunge', 3), ('append', 3), ('copy', 3),
            ('close', 1))

    def some(self, allow):
        fit = [k for k in self.client.numbers if k and allow(k[1])]
        return self.rng.sample(fit, min(len(fit), self.rng.choice((1, 3))))

    def fetch(self, client):
        for uid, n in self.some(lambda n: True):
            if not client.read(uid, n) and n % 3 == 0:
                raise Wrong('%s: UID %d, number %d, is not there' % (
                    client.who, uid, n))

    def noop(self, client):
        client.ok(b'NOOP')

    def store(self, client, chosen, what):
        """True if all of them were still there."""
        _, end = client.command(b'UID STORE %s %s' % (
            b','.join(b'%d' % uid for uid, _ in chosen), what))
        return end.startswith(b'OK')

    def flag(self, client):
        chosen, mark = self.some(lambda n: True), self.rng.choice(MARKS)
        if chosen and self.store(client, chosen, b'+FLAGS (%s)' % mark):
            with self.model.lock:
                for uid, _ in chosen:
                    self.model.flags.setdefault(uid, set()).add(mark)

    def delete(self, client):
        """First it is read and compared, then recorded, then marked."""
        chosen = [k for k in self.some(lambda n: n % 3) if client.read(*k)]
        with self.model.lock:
            self.model.doomed.update(n for _, n in chosen)
        if chosen:
            self.store(client, chosen, b'+FLAGS.SILENT (\\Deleted)')

    def expunge(self, client):
        client.ok(b'EXPUNGE')

    def uid_expunge(self, client):
        client.ok(b'UID EXPUNGE 1:*')

    def append(self, client):
        client.append()

    def copy(self, client):
        chosen = self.some(lambda n: n % 3 == 0 and n % 5)
        box = self.rng.choice(stress.BOXES)
        if not chosen:
            return
        client.ok(b'UID COPY %s %s' % (b','.join(
            b'%d' % uid for uid, _ in chosen), box.encode()))
        for _, n in chosen:
            self.model.came(n, box)

    def close(self, client):
        client.ok(b'CLOSE')
        client.leave()

    def end(self):
        """What is still marked goes, too."""
        if self.client is None or self.model.wrong:
            return
        self.client.select('INBOX')
        self.client.ok(b'EXPUNGE')
        self.client.logout()


class Lane(threading.Thread):
    """One delivery after the other, by one program or by some in turn."""

    def __init__(self, model, mdas, rng, count):
        super().__init__(daemon=True)
        self.model, self.rng = model, rng
        self.mdas = mdas * count

    def run(self):
        try:
            for mda in self.mdas:
                if self.model.wrong:
                    return
                deliver(self.model, mda)
                time.sleep(self.rng.uniform(0, .1))
        except (Wrong, OSError, subprocess.SubprocessError) as e:
            self.model.complain(repr(e))


def deliver(model, mda):
    n = model.number()
    model.known(n, mda.quoted(body(n)))
    said = mda.deliver(n)
    if said:
        raise Wrong(said)
    model.came(n)
    model.count(str(mda))
    return n


# ---- a round, and the judgement over it

def judge_from_lines(path):
    """Each line that begins as a From_ line is one."""
    with open(path, 'rb') as f:
        data = f.read()
    for m in re.finditer(rb'^From .*', data, re.M):
        if not FROM_LINE.match(m.group(0)):
            yield '%s: a From_ line in no form: %s' % (path, m.group(0)[:80])
    if data and not data.startswith(b'From '):
        yield '%s begins with %s' % (path, data[:40])


def judge_file(model, box, found):
    """found: what Python's reader finds, see stress.parsed()."""
    uids = [uid for _, uid, _, _ in found]
    if uids != sorted(set(uids)) or 0 in uids:
        yield '%s: X-UIDs in the file do not rise: %s' % (box, uids)
    for n, uid, marks, text in found:
        if n not in model.texts:
            yield '%s: UID %d is nobody\'s message: %s' % (box, uid, text[:80])
        elif plain(text.rstrip(b'\n')) != plain(model.texts[n]):
            yield '%s: number %d is damaged: %s ... %s' % (
                box, n, text[:100], text[-100:])
        gone = model.flags.get(uid, set()) - marks
        if gone and box == 'INBOX':
            yield 'number %d has lost %s' % (n, gone)


def judge_numbers(model, box, numbers):
    for n in model.texts:
        want = model.here.get((box, n), 0)
        if n in model.doomed:
            want = 0
        if numbers.count(n) != want:
            yield '%s: number %d is there %d times, not %d' % (
                box, n, numbers.count(n), want)


def look(model, box):
    """What a new session sees, and what the file holds."""
    client = Client(model, 'last')
    client.select(box)
    if None in client.numbers:
        raise Wrong('%s: a message has no number' % box)
    for uid, n in client.numbers:
        if not client.read(uid, n):
            yield '%s: UID %d has no text' % (box, uid)
    shown = [(n, uid) for uid, n in client.numbers]
    client.ok(b'UNSELECT')
    client.logout()
    found = stress.parsed(model.path(box))
    if [(n, uid) for n, uid, _, _ in found] != shown:
        yield '%s: the file has %s, the client sees %s' % (
            box, [f[:2] for f in found], shown)
    yield from judge_from_lines(model.path(box))
    yield from judge_file(model, box, found)
    yield from judge_numbers(model, box, [n for n, _, _, _ in found])


def judge(model):
    boxes = [box for box in stress.BOXES
             if box == 'INBOX' or os.path.exists(model.path(box))]
    for box in boxes:
        yield from look(model, box)
    if len(model.validities) != len(boxes):
        yield 'UIDVALIDITY has changed: %s' % model.validities
    for name in os.listdir(os.path.dirname(model.path('INBOX'))):
        if name.startswith(model.user + '.'):
            yield name + ' is left'


def prepare(model):
    """INBOX has a UIDVALIDITY, which it gets with its first message, and
    COPY has where to copy to."""
    client = Client(model, 'prepare')
    client.append()
    client.ok(b'CREATE box')
    client.logout()


def lanes(model, mdas, count, rng, in_turn):
    if in_turn:
        return [Lane(model, mdas, random.Random(rng.random()), count)]
    return [Lane(model, [mda], random.Random(rng.random()),
                 count // mda.LANES + (i < count % mda.LANES))
            for mda in mdas for i in range(mda.LANES)]


def work(model, mdas, count, rng, in_turn):
    seconds = 2 * WATCHDOG + count * len(mdas)
    rest = max(mda.REST for mda in mdas)
    hands = [Hand(model, random.Random(rng.random()), who, seconds, rest)
             for who in ('s1', 's2')]
    deliveries = lanes(model, mdas, count, rng, in_turn)
    for thread in hands + deliveries:
        thread.start()
    for lane in deliveries:
        lane.join()
    for said in filter(None, [mda.finish() for mda in mdas]):
        model.complain(said)
    model.idle.set()
    for hand in hands:
        hand.join()


def play(service, user, mdas, count, seed, in_turn=False):
    """count messages by each of the MDAs, and two sessions meanwhile:
    (complaints, what was done)."""
    model = Model(service, user)
    if not mdas:
        return [], {}
    try:
        prepare(model)
        work(model, mdas, count, random.Random(seed), in_turn)
        for text in [] if model.wrong else judge(model):
            model.complain(text)
    except (Wrong, EOFError, OSError, RuntimeError) as e:
        model.complain(repr(e))
    finally:
        for mda in mdas:
            mda.close()
    return model.wrong, model.done


def passwd(service):
    """Lines of passwd for the service's users."""
    return ''.join('%s:x:%d:%d::%s:/bin/sh\n' % (
        (user,) + service.ids(user) + (service.home(user),))
        for user in service.users)
