"""kill.py - mailboxes, sessions that change them, and a judge of what is
left when such a session has died. Nothing here shares a line with the
program: a mailbox is read as another mail reader would read it.

A message has a number that stands in its header and in its body. A state
is {mailbox: {number: flags}}, in the mailbox's order; each command says
which state follows from one. The judge is told which commands were
answered OK and which had begun, and what others did since.
"""

import fcntl
import os
import random
import re

import traced

FROM = re.compile(rb'^From [^\n]*\d\d:\d\d:\d\d[^\n]* \d{4}( [-+]\d{4})?\r?$',
                  re.M)
NUMBER = re.compile(rb'^X-Number: (\d+)\r?$', re.M)
HIDDEN = (b'status', b'x-status', b'x-keywords', b'x-uid', b'x-imap',
          b'x-imapbase', b'content-length', b'x-imapd-quoted')
FIELD = re.compile(rb'[^\n]*\n(?:[ \t][^\n]*\n)*')
SEAM = re.compile(rb'^From imapd-seam', re.M)
SEAM_OR_NUL = re.compile(rb'^From imapd-seam|^\0', re.M)
KEYWORD = b'$Work'


# ---- a reader of mailboxes

class Message:
    """As it stands in a file; or sent, as a client appends it."""

    def __init__(self, raw, sent=False):
        text = raw.replace(b'\r\n', b'\n')
        line = text.find(b'\n') + 1
        end = text.find(b'\n\n', line - 1) + 2
        head, self.body = ((text[line:end - 1], text[end:]) if end > 1
                           else (text[line:] + b'\n', b''))
        fields = FIELD.findall(head)
        seen = [f for f in fields
                if f.split(b':')[0].lower() not in HIDDEN]
        self.head = b''.join(seen)
        if any(f.lower().startswith(b'x-imapd-quoted:') for f in fields):
            self.body = re.sub(rb'^>(>*From )', rb'\1', self.body,
                               flags=re.M)
        m = NUMBER.search(self.head)
        self.number = int(m.group(1)) if m else None
        m = re.search(rb'\n\r?\n', raw)
        self.raw_body = raw[m.end():] if m else b''
        self.sent = sent
        self.pseudo = raw.startswith((b'From MAILER-DAEMON',
                                      b'From MAILER_DAEMON'))

    def without_separator(self):
        """Every message in a file has an empty line behind it."""
        if not self.sent and self.body.endswith(b'\n\n'):
            return self.head, self.body[:-1]
        return self.head, self.body

    def same(self, other, edited=False, loose=False):
        """Are these the same mail? loose: but for its last line ends;
        edited: but for its header."""
        mine, theirs = self.without_separator(), other.without_separator()
        if loose:
            mine, theirs = [(h, b.rstrip(b'\n'))
                            for h, b in (mine, theirs)]
        return mine[1] == theirs[1] and (edited or mine[0] == theirs[0])

    def wire(self):
        """As a client is to see it."""
        return (self.head + b'\n' + self.without_separator()[1]).replace(
            b'\n', b'\r\n')


def split(mbox):
    at = [m.start() for m in FROM.finditer(mbox)]
    return [mbox[a:b] for a, b in zip(at, at[1:] + [len(mbox)])]


# ---- mailboxes

UIDVALIDITY = 1234567890


def block(kind, n, first):
    """What UW or Dovecot writes at the end of a header."""
    flags = (b'RO', b'O', b'O', b'RO')[n % 4]
    more = (b'', b'F', b'', b'A')[n % 4]
    if kind == 'uw':
        text = b'X-IMAPbase: %d 200 %s\n' % (UIDVALIDITY, KEYWORD) \
            if first else b''
        text += b'Status: %s\nX-Status: %s\nX-Keywords:' % (flags, more)
        text += b' ' * max(0, (80 if first else 50) - len(text) - 1)
        return text + b'\nX-UID: %d\n' % (2 * (n % 100))
    if kind == 'dovecot':
        text = b'X-IMAPbase: %d %010d %s\n' % (UIDVALIDITY, 200, KEYWORD) \
            if first else b''
        text += b'X-UID: %d\nStatus: %s\n' % (2 * (n % 100), flags)
        if more:
            text += b'X-Status: %s\n' % more
        return text + b'X-Keywords:%s\n' % (b' ' * 56)
    return b''


def fields(n):
    return (b'Received: from here by there; Thu, 29 Nov 2001 22:33:52 +0000\n'
            b'From: U %d <u%d@example.org>\nX-Number: %d\nSubject: number %d'
            b'\nDate: Thu, 29 Nov 2001 22:33:%02d +0000\n'
            b'Message-Id: <%d@example.org>\n' % (n, n, n, n, n % 60, n))


TEXTS = (b'abc', b'defgh ', b'x\n\n', b'\n>From there\n', b'\tqu\n',
         b'\nFrom me to you\n', b'\xc3\xa4\xe4 ', b'=20\n', b'a line.\n')


def body(rng, n, size=None):
    if size is None:
        size = rng.choice((0, 1, 5, 40, 200, 900))
    text = b''.join(rng.choices(TEXTS, k=size))
    return b'ID:%d\n%s\nEND:%d\n%s' % (n, text, n,
                                       rng.choice((b'', b'', b'\n')))


def mail(rng, n, kind='', first=False, size=None):
    return (b'From u%d@example.org Thu Nov 29 22:33:%02d 2001\n' %
            (n, n % 60) + fields(n) + block(kind, n, first) + b'\n' +
            body(rng, n, size) + b'\n')


PSEUDO = (b"From MAILER-DAEMON Thu Nov 29 22:33:52 2001\n"
          b"Date: 29 Nov 2001 22:33:52 +0000\n"
          b"From: Mail System Internal Data <MAILER-DAEMON@example.org>\n"
          b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
          b"Message-ID: <1007073232@example.org>\n"
          b"X-IMAP: 1234567890 0000000200 $Work\nStatus: RO\n\n"
          b"This text is part of the internal format of your mail folder, "
          b"and is not\na real message.  It is created automatically by the "
          b"mail system software.\nIf deleted, important folder data will "
          b"be lost, and it will be re-created\nwith the data reset to "
          b"initial values.\n\n")

BIG = 40 << 20


class Shape:
    def __init__(self, name, form='lf', kind='', seen=True, most=40):
        self.name, self.form, self.kind = name, form, kind
        self.seen, self.most = seen, most

    def make(self, rng, n=None, first=1):
        """The bytes of a mailbox of n messages, numbered from first on."""
        small = n is not None
        if n is None:
            n = rng.randint(12, self.most)
        pseudo = self.form == 'pseudo'
        parts = [mail(rng, first + i, self.kind, i == 0 and not pseudo)
                 for i in range(n)]
        if self.form == 'crlf':
            parts = [p.replace(b'\n', b'\r\n') for p in parts]
        if self.form == 'mixed':
            parts = [p.replace(b'\n', b'\r\n') if rng.random() < .5 else p
                     for p in parts]
        if self.form == 'none':
            parts[-1] = parts[-1].rstrip(b'\n')
        if self.form == 'big' and not small:
            parts[5] = mail(rng, first + 5)
            parts[5] = parts[5].replace(b'END:', b'a line of 40 MB of mail'
                                        b'.\n' * (BIG // 25) + b'END:')
        if pseudo:
            parts.insert(0, PSEUDO)
        return b''.join(parts)


SHAPES = [
    Shape('LF'),
    Shape('CRLF', 'crlf'),
    Shape('mixed line ends', 'mixed'),
    Shape('no final line end', 'none'),
    Shape('pseudo-message', 'pseudo', 'uw'),
    Shape('stamped by UW', 'lf', 'uw'),
    Shape('stamped by Dovecot', 'lf', 'dovecot'),
    Shape('INBOX never seen before', seen=False),
    Shape('one message of 40 MB', 'big', most=12),
]


# ---- commands

class Command:
    """text: as sent, without a tag. after: what it makes of a state. How
    it may stop half-way: atomic (not at all), each (any message has the
    one state or the other), or move (all new are there before one goes).
    adds: to which mailbox."""

    def __init__(self, text, after=None, how='each', adds=None):
        self.text, self.after, self.how = text, after, how
        self.adds = adds


def copy(state):
    return {box: dict(messages) for box, messages in state.items()}


def plain(text):
    return Command(text, copy)


def numbers(state, seqs):
    """Those of INBOX that a client means by sequence numbers from 1."""
    have = list(state['INBOX'])
    return [have[i - 1] for i in seqs]


def store(seqs, flags, text):
    def after(state):
        new = copy(state)
        for n in numbers(state, seqs):
            new['INBOX'][n] = new['INBOX'][n] | flags
        return new
    return Command(b'STORE %s +FLAGS.SILENT (%s)' % (
        text, b' '.join(sorted(flags))), after)


def expunge(text):
    def after(state):
        new = copy(state)
        new['INBOX'] = {n: f for n, f in state['INBOX'].items()
                        if b'\\Deleted' not in f}
        return new
    return Command(text, after)


def append(mails, box=b'INBOX'):
    """mails: {number: bytes}."""
    text = b'APPEND ' + box
    for i, data in enumerate(mails.values()):
        data = data.replace(b'\n', b'\r\n')
        text += b' (\\Flagged) {%d+}\r\n%s' % (len(data), data)

    def after(state):
        new = copy(state)
        for n in mails:
            new[box.decode()][n] = frozenset([b'\\Flagged'])
        return new
    return Command(text, after, 'atomic', box.decode())


def transfer(verb, seqs, text):
    def after(state):
        new = copy(state)
        for n in numbers(state, seqs):
            new['other'][n] = state['INBOX'][n]
            if verb == b'MOVE':
                del new['INBOX'][n]
        return new
    return Command(verb + b' ' + text + b' other', after,
                   'move' if verb == b'MOVE' else 'atomic', 'other')


def rename():
    def after(state):
        new = copy(state)
        new['new'], new['INBOX'] = state['INBOX'], {}
        return new
    return Command(b'RENAME INBOX new', after, 'move')


class Op:
    """before: commands that are not under attack; then those that are."""

    def __init__(self, name, before, commands):
        self.name, self.before, self.commands = name, before, commands


LOOK = b'FETCH 1:* (UID FLAGS)'
DELETED, SEEN = frozenset([b'\\Deleted']), frozenset([b'\\Seen'])
WORDS = frozenset([b'\\Flagged', KEYWORD])


def operations(rng, n):
    """All of them, on an INBOX of n messages."""
    look = [plain(b'SELECT INBOX'), plain(LOOK)]

    def deleted(seqs, text):
        return look + [store(seqs, DELETED, text)]
    some = sorted(rng.sample(range(1, n + 1), rng.randint(2, n // 2)))
    text = b','.join(b'%d' % i for i in some)
    every = list(range(1, n + 1))
    mails = {i: fields(i) + b'\n' + body(rng, i) for i in (601, 602, 603)}
    one = {601: mails[601]}
    five = [2, 3, 4, 5]
    # It expunges what this session has marked.
    out = expunge(b'LOGOUT')
    return [
        Op('first stamping', [], look + [out]),
        Op('STORE \\Seen', look, [store(every, SEEN, b'1:*'), out]),
        Op('STORE a keyword', look, [store(five, WORDS, b'2:5'), out]),
        Op('EXPUNGE some', deleted(some, text), [expunge(b'EXPUNGE'), out]),
        Op('EXPUNGE the first', deleted([1], b'1'),
           [expunge(b'EXPUNGE'), out]),
        Op('EXPUNGE all', deleted(every, b'1:*'),
           [expunge(b'EXPUNGE'), out]),
        Op('STORE and CLOSE', look,
           [store(five, DELETED, b'2:5'), expunge(b'CLOSE'), out]),
        Op('LOGOUT', deleted(some, text), [expunge(b'LOGOUT')]),
        Op('APPEND', [], [append(one), out]),
        Op('APPEND to the selected', look, [append(one), out]),
        Op('MULTIAPPEND', [], [append(mails), out]),
        Op('COPY', look, [transfer(b'COPY', five, b'2:5'), out]),
        Op('MOVE', look, [transfer(b'MOVE', five, b'2:5'), out]),
        Op('RENAME INBOX', [], [rename(), out]),
    ]


# ---- one case: a shape and an operation

FLAGS = re.compile(rb'FLAGS \(([^)]*)\)')
UID = re.compile(rb'UID (\d+)')
SELECTED = re.compile(rb'\* OK \[UIDVALIDITY (\d+)\]')
FETCH = re.compile(rb'\* (\d+) FETCH \(')
ADDED = re.compile(rb'\[(?:APPENDUID|COPYUID) (\d+) (?:\S+ )?(\S+)\]')


class Seen:
    """What a client was told of a mailbox that it has opened."""

    def __init__(self, uidvalidity):
        self.uidvalidity = uidvalidity
        self.sticky = True      # its UIDs are not of this session alone
        self.messages = []      # (uid, flags, body or None)

    def take(self, line, literals):
        if b'[UIDNOTSTICKY]' in line:
            self.sticky = False
        uid, flags = UID.search(line), FLAGS.search(line)
        if FETCH.match(line) and uid and flags:
            self.messages.append((
                int(uid.group(1)), frozenset(flags.group(1).split()) -
                {b'\\Recent'}, literals[0] if literals else None))

    @classmethod
    def each(cls, out):
        """Of all that a session has opened, in order."""
        found = []
        for line, literals in traced.responses(out):
            m = SELECTED.match(line)
            if m:
                found.append(cls(int(m.group(1))))
            if found:
                found[-1].take(line, literals)
        return found


class Case:
    """One INBOX and `other`, and one operation on them."""

    def __init__(self, place, shape, op, inbox, other, state):
        self.place, self.shape, self.op = place, shape, op
        self.start = state
        self.script = traced.Script()
        for c in op.before + op.commands:
            self.script.add(c.text)
        self.skip = self.script.commands[len(op.before) - 1][1] \
            if op.before else 0
        self.mails = {}
        for m in map(Message, split(inbox) + split(other)):
            if m.number is not None:
                self.mails[m.number] = m
        for c in op.commands:
            self.add_sent(c)
        # Messages whose last line end is not their own.
        self.loose = {Message(split(text)[-1]).number
                      for text in (inbox, other) if text[-1:] != b'\n'}
        self.boxes = {'INBOX': inbox, 'other': other}
        self.fault = None

    def add_sent(self, command):
        """Messages of an APPEND."""
        for m in re.finditer(rb'\{(\d+)\+\}\r\n', command.text):
            data = command.text[m.end():m.end() + int(m.group(1))]
            sent = Message(b'From x\n' + data, True)
            self.mails[sent.number] = sent

    def learn(self, level='changes'):
        """Runs it undisturbed. False, and why in fault, when it is not
        answered OK."""
        self.place.restore(self.start)
        self.first_state()
        self.place.restore(self.start)
        run, log = self.place.logged(self.script, '--points=' + level,
                                     '--from=%d' % self.skip)
        self.names = [e[2] for e in log if e[0] == 'p']
        results = run.results()
        for (tag, _), c in zip(self.script.commands,
                               self.op.before + self.op.commands):
            if results.get(tag, (b'',))[0] != b'OK':
                self.fault = '%r is answered %r' % (
                    c.text[:60], b' '.join(results.get(tag, (b'nothing',))))
                return False
        if run.words or run.timeout:
            self.fault = 'says %r' % run.words
            return False
        bad = Judge(self, run).verdict()
        if bad:
            self.fault = 'undisturbed: ' + bad
            return False
        return True

    def first_state(self):
        """What a client sees before the operation: flags by number. In
        that alone the program is believed."""
        self.state = {}
        all_seen = look(self.place, list(self.boxes))[1]
        for box, text in self.boxes.items():
            found = [m.number for m in map(Message, split(text))
                     if m.number is not None]
            seen = all_seen.get(box, Seen(0))
            if len(seen.messages) == len(found):
                self.state[box] = {n: f for n, (_, f, _) in
                                   zip(found, seen.messages)}
            else:
                raise SystemExit('%s, %s: %d messages, %d shown' % (
                    self.shape.name, box, len(found), len(seen.messages)))


def look(place, boxes):
    """Opens mailboxes, one after the other, and fetches all that is there.
    (run, {mailbox: what was seen})"""
    script = traced.Script()
    for box in boxes:
        script.add(b'SELECT ' + box.encode())
        script.add(b'UID FETCH 1:* (UID FLAGS BODY.PEEK[])')
    run = place.play(script.add(b'LOGOUT'))
    return run, dict(zip(boxes, Seen.each(run.out)))


# ---- what others do to a mailbox

def deliver(rng, place, number):
    """As Postfix does: a dotlock, an old one of which is removed, or
    fcntl alone; appends, having ended the last line."""
    path, lock = place.inbox, place.inbox + '.lock'
    dotlock = rng.random() < .5
    if dotlock and os.path.exists(lock):
        os.unlink(lock)
    if dotlock:
        os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0))
    text = mail(rng, number)
    with open(path, 'a+b') as f:
        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        f.seek(0)
        before = f.read()
        if before and not before.endswith(b'\n'):
            text = b'\n' + text
        f.write(text)
    if dotlock:
        os.unlink(lock)
    return Message(text.lstrip(b'\n'))


def rewrite(rng, place):
    """As mutt does: reads all, deletes a message or makes a header longer
    or both, so that the file may be as long as it was, and writes all.
    (number deleted, number edited, was the first deleted)"""
    with open(place.inbox, 'r+b') as f:
        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        before = f.read()
        parts = split(before)
        known = [i for i, p in enumerate(parts)
                 if Message(p).number is not None]
        if not known:
            return None, None, False
        gone = edited = None
        how, first = rng.randrange(4), False
        if how != 1:
            i = rng.choice(known)
            first = i == 0
            gone = Message(parts.pop(i)).number
        more = len(before) - len(b''.join(parts)) if how == 2 else 17
        known = [i for i, p in enumerate(parts)
                 if Message(p).number is not None]
        if how > 0 and known and more >= 10:
            i = rng.choice(known)
            edited = Message(parts[i]).number
            line = parts[i].index(b'\n') + 1
            parts[i] = (parts[i][:line] + b'X-Other: ' + b'o' * (more - 10)
                        + b'\n' + parts[i][line:])
        f.seek(0)
        f.write(b''.join(parts))
        f.truncate()
    return gone, edited, first


# ---- the judge

class Judge:
    """What may and what must be there after a run. strict: LOGOUT, which
    can not be refused, has done its work when it is answered OK."""

    def __init__(self, case, run, strict=True):
        self.case, self.place = case, case.place
        self.mails = dict(case.mails)
        self.delivered = []
        self.gone, self.edited = set(), set()
        self.foreign = False    # all was rewritten: there may be copies
        self.reset = False      # UIDVALIDITY may be another one
        self.told = {}          # box -> what the client was told
        self.states = [copy(case.state)]    # each may be what is there
        self.how = None         # how what was not answered OK may stop
        self.hear(run, strict)

    def hear(self, run, strict):
        """Goes through the commands as far as the session got."""
        results = run.results()
        commands = self.case.op.before + self.case.op.commands
        for (tag, lines), c in zip(self.case.script.commands, commands):
            answer = results.get(tag)
            if run.lines < lines and not answer:
                break
            sure = answer and answer[0] == b'OK' and (
                strict or c.text != b'LOGOUT')
            after = [c.after(state) for state in self.states]
            if sure:
                self.hear_uids(c, self.states[0], after[0], run.out)
                self.states = after
            else:
                self.states += after
                self.how = c.how if self.how is None else 'each'
            if not answer:
                break
        have = list(self.case.state['INBOX'])
        for seen in Seen.each(run.out)[:1]:
            if seen.sticky and len(seen.messages) == len(have):
                more = self.told.get('INBOX', (0, {}))[1]
                self.told['INBOX'] = (seen.uidvalidity, {**more, **{
                    n: uid for n, (uid, _, _) in zip(have, seen.messages)}})

    def hear_uids(self, command, before, after, out):
        """Of APPENDUID and COPYUID."""
        m = ADDED.search(out)
        if command.adds is None or m is None:
            return
        new = [n for n in after[command.adds]
               if n not in before[command.adds]]
        uids = []
        for part in m.group(2).split(b','):
            first, _, last = part.partition(b':')
            uids += range(int(first), int(last or first) + 1)
        self.told[command.adds] = int(m.group(1)), dict(zip(new, uids))

    def meanwhile(self, rng, kind=None):
        """Others are at work before the next session."""
        kind = kind or rng.choice(('none', 'none', 'none', 'mail', 'mail',
                                   'rewrite'))
        if kind == 'mail':
            m = deliver(rng, self.place, 700 + len(self.delivered))
            self.mails[m.number] = m
            self.delivered.append(m.number)
        if kind == 'rewrite':
            self.foreign = True
            gone, edited, first = rewrite(rng, self.place)
            self.gone.add(gone)
            self.edited.add(edited)
            self.reset |= first
        return kind

    def verdict(self):
        """What is wrong, in words, or None."""
        keep = os.environ.get('KEEP')
        state = self.place.save() if keep else None
        bad = self.complaint()
        if bad and keep:
            self.place.keep(keep, state, bad)
        return bad

    def complaint(self):
        """Opens all mailboxes twice:
        what the first session shows of them the second must show, too."""
        boxes = sorted({box for state in self.states for box in state})
        there = [b for b in boxes if self.place.read(b) is not None]
        for box in boxes:
            if box in self.states[0] and box not in there:
                return box + ' is gone'
        found = {box: [] for box in boxes}
        for _ in range(2):
            run, seen = look(self.place, there)
            bad = self.judge_run(run)
            for box in there:
                bad = bad or self.judge_box(box, seen[box], found)
            if bad:
                return bad
        return self.judge_whole(found)

    def judge_run(self, run):
        if run.timeout:
            return 'the next session does not end'
        if run.words:
            return 'the next session says %r' % run.words
        if {r[0] for r in run.results().values()} != {b'OK'}:
            return 'the next session fails: %r' % run.out[-200:]
        return None

    def judge_box(self, box, seen, found):
        text = self.place.read(box)
        if self.foreign and SEAM.search(text):
            return self.judge_kept_seam(box, text, found)
        if SEAM_OR_NUL.search(text):
            return box + ': a seam or NUL is left'
        messages = [m for m in map(Message, split(text)) if not m.pseudo]
        found[box] = [m.number for m in messages]
        bad = (self.judge_messages(box, messages) or
               self.judge_shown(box, messages, seen) or
               self.judge_uids(box, found[box], seen))
        return bad and '%s: %s' % (box, bad)

    def judge_kept_seam(self, box, text, found):
        """Another program has taken a seam for a message: it stays, since
        what stands behind it may be what that program made of mail."""
        messages = [m for m in map(Message, (
            p for p in split(text) if not SEAM.match(p))) if not m.pseudo]
        found[box] = [m.number for m in messages]
        bad = self.judge_messages(box, messages)
        return bad and '%s: %s' % (box, bad)

    def whole(self, box, m):
        """Is this message what it should be? Line ends at its end may come
        from a program that rewrote a half-done file."""
        if not m.same(self.mails[m.number], m.number in self.edited,
                      self.foreign or m.number in self.case.loose):
            return False
        return box != 'INBOX' or m.number not in self.case.state[box] or \
            m.raw_body.rstrip(b'\r\n') == \
            self.mails[m.number].raw_body.rstrip(b'\r\n')

    def judge_messages(self, box, messages):
        may = {n for state in self.states for n in state.get(box, {})}
        if box == 'INBOX':
            may |= set(self.delivered)
        numbers = [m.number for m in messages]
        good = {m.number for m in messages
                if m.number in may and self.whole(box, m)}
        for m in messages:
            if m.number not in may:
                return 'message %s should not be there' % m.number
            # Who rewrites a half-done file makes messages of its pieces.
            if m.number not in good | self.gone or not (
                    self.foreign or self.whole(box, m)):
                return 'message %d is not whole' % m.number
        if self.foreign:
            return None
        if len(set(numbers)) < len(numbers):
            return 'twice: %s' % sorted(n for n in set(numbers)
                                        if numbers.count(n) > 1)
        # INBOX's own order, then what was added.
        old = [n for n in self.case.state.get(box, {}) if n in numbers]
        if [n for n in numbers if n in old] != old:
            return 'not in their order: %s' % numbers
        return None

    def judge_shown(self, box, messages, seen):
        """Does the program show what the file holds?"""
        if len(seen.messages) != len(messages):
            return '%d messages there, %d shown' % (len(messages),
                                                    len(seen.messages))
        for m, (_, flags, body) in zip(messages, seen.messages):
            if body.rstrip(b'\r\n') != m.wire().rstrip(b'\r\n') or (
                    m.number not in self.case.loose and body != m.wire()):
                return 'message %d is shown otherwise' % m.number
            if m.number in self.delivered or self.foreign:
                continue
            allowed = [state[box][m.number] for state in self.states
                       if m.number in state.get(box, {})]
            if flags not in allowed:
                return 'message %d has the flags %s, not %s' % (
                    m.number, sorted(flags), [sorted(a) for a in allowed])
        return None

    def judge_uids(self, box, numbers, seen):
        uids = [uid for uid, _, _ in seen.messages]
        if uids != sorted(set(uids)):
            return 'UIDs do not rise: %s' % uids
        told = self.told.get(box)
        if not seen.sticky:
            return None if told is None else 'UIDs do not stay'
        if told is None or (self.reset and told[0] != seen.uidvalidity):
            self.told[box] = seen.uidvalidity, dict(zip(numbers, uids))
            return None
        if told[0] != seen.uidvalidity:
            return 'UIDVALIDITY was %d, is %d' % (told[0], seen.uidvalidity)
        owner = {uid: n for n, uid in told[1].items()}
        for n, uid in zip(numbers, uids):
            if owner.get(uid, n) != n:
                return 'UID %d was of message %d, is of %d' % (
                    uid, owner[uid], n)
            # What was saved from a file that others rewrote half-done is
            # another message.
            if told[1].get(n, uid) != uid and not self.foreign:
                return 'message %d had UID %d, has %d' % (n, told[1][n], uid)
        told[1].update(zip(numbers, uids))
        return None

    def judge_whole(self, found):
        """All that is kept is there; what is half done may be so."""
        states = [{(b, n) for b in state for n in state[b]}
                  for state in self.states]
        before, after = states[0], states[-1]
        there = {(b, n) for b in found for n in found[b]}
        excused = {('INBOX', n) for n in self.gone}
        must = set.intersection(*states) - excused
        must |= {('INBOX', n) for n in self.delivered} - excused
        if must - there:
            return 'lost: %s' % sorted(must - there)
        new, old = after - before, (before - after) - excused
        if self.how in (None, 'each'):
            return None
        if new & there and new - there - excused:
            return 'half done: %s of %s' % (sorted(new & there), sorted(new))
        if self.how == 'move' and old - there and new - there:
            return 'neither here nor there: %s' % sorted(old - there)
        return None


# ---- what a test goes through

OPS = [op.name for op in operations(random.Random(0), 12)]


def make_case(rng, place, shape, op_number):
    inbox = shape.make(rng)
    other = shape.make(rng, 3, 501)
    count = len([p for p in split(inbox)
                 if Message(p).number is not None])
    op = operations(rng, count)[op_number]
    if shape.seen is not None:
        place.restore(place.seen if shape.seen else place.empty)
    place.write('INBOX', inbox)
    place.write('other', other)
    return Case(place, shape, op, inbox, other, place.save())


def prime(place):
    """A home in which a session has written before."""
    place.empty = place.save()
    rng = random.Random(1)
    place.write('INBOX', SHAPES[0].make(rng))
    place.play(traced.Script().add(b'SELECT INBOX').add(
        b'STORE 1 +FLAGS (\\Deleted)').add(b'EXPUNGE').add(b'LOGOUT'))
    os.unlink(place.inbox)
    place.seen = place.save()


def wanted(variable, name):
    return os.environ.get(variable, '') in name


# Each on 40 MB takes as long as many others.
BIG_FEW = ('first stamping', 'EXPUNGE the first', 'COPY')


def plan(total, big_share, op=None):
    """(shape, number of the operation, how often): together `total`."""
    pairs = [(s, i) for s in SHAPES for i in range(len(OPS))
             if wanted('SHAPE', s.name) and
             (op is not None or wanted('OP', OPS[i])) and
             (s.form != 'big' or total > 2000 or OPS[i] in BIG_FEW)]
    weight = [1 / big_share if s.form == 'big' else 1 for s, _ in pairs]
    return [(s, i, max(1, round(total * w / sum(weight))))
            for (s, i), w in zip(pairs, weight)]


def report(tap, pairs, what):
    """A point for each operation; pairs: (name, tried, complaints)."""
    for name in dict.fromkeys(p[0] for p in sorted(pairs, key=lambda p: (
            OPS.index(p[0]) if p[0] in OPS else len(OPS)))):
        mine = [p for p in pairs if p[0] == name]
        bad = [b for p in mine for b in p[2]]
        tap.point(not bad, '%s: %d shapes, %d %s, %d bad' % (
            name, len(mine), sum(p[1] for p in mine), what, len(bad)),
            bad[:10])
    tried = sum(p[1] for p in pairs)
    tap.point(tried > 0, '%s in all: %d' % (what, tried))
