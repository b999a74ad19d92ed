"""compare_tree.py - two servers on copies of one mailbox, asked the same, and
their answers as trees: a quoted string and a literal are the same bytes, NIL
is None, a number an int, an atom a str in capitals, parentheses a list.

It knows IMAP's syntax and no mail; what a difference means is compare.py's
and compare_rules.py's. Nobody waits for ever: a server that is silent for
WATCHDOG seconds is a RuntimeError.
"""

import os
import re
import select
import shutil
import subprocess

from hostile import NOBODY, ROOT, WATCHDOG

DOVECOT = "/usr/lib/dovecot/imap"
CONF = """base_dir = {base}/run
log_path = /dev/null
protocols = imap
ssl = no
mail_location = mbox:{base}/dovecot:INBOX={inbox}
mail_access_groups =
mbox_write_locks = fcntl
first_valid_uid = 0
mail_fsync = never
"""

TOKEN = re.compile(rb' *(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n'
                   rb'|([^\s(){"]+))', re.S)
TEXT_LINE = re.compile(rb"(?:\* (?:OK|NO|BAD|BYE|PREAUTH)|[^*+ ]\S*) "
                       rb"[^\r\n]*\r\n")


def atom(word):
    if word.isdigit():
        return int(word)
    word = word.upper()
    return None if word == b"NIL" else word.decode("latin-1")


def line_read(raw, at):
    """(list of what stands in one line, where the next begins)"""
    out = []
    above = []
    while not raw.startswith(b"\r\n", at):
        m = TOKEN.match(raw, at)
        if m is None:
            raise RuntimeError("no answer: %r" % raw[at - 50:at + 50])
        at = m.end()
        kind = m.lastindex
        if kind == 1:
            above.append(out)
            out = []
        elif kind == 2:
            above[-1].append(out)
            out = above.pop()
        elif kind == 3:
            text = m.group(3)
            out.append(re.sub(rb"\\(.)", rb"\1", text)
                       if b"\\" in text else text)
        elif kind == 4:
            n = int(m.group(4))
            out.append(raw[at:at + n])
            at += n
        else:
            out.append(atom(m.group(5)))
    return out, at + 2


def untagged(raw):
    """The trees of all lines but those of plain text."""
    at = 0
    while at < len(raw):
        m = TEXT_LINE.match(raw, at)
        if m:
            at = m.end()
            continue
        tree, at = line_read(raw, at)
        yield tree


class Gone(RuntimeError):
    """A server that ended, or is silent."""


class Side:
    """One server's process, PREAUTH over pipes. forget: what is removed
    before each start: Dovecot 2.3 dies of an assertion in SEARCH where its
    index knows the structure of some broken mail."""

    def __init__(self, name, argv, env, forget=None):
        self.name = name
        self.argv = argv
        self.env = env
        self.forget = forget
        self.n = 0
        self.process = None
        self.start()

    def start(self):
        if self.process is not None:
            self.kill()
        if self.forget:
            shutil.rmtree(self.forget, ignore_errors=True)
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} \
            if ROOT else {}
        self.command = b"its start"
        self.process = subprocess.Popen(
            self.argv, env=self.env, cwd="/", stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **who)
        self.until(b"* PREAUTH")

    def again(self):
        """A new process with the mailbox selected."""
        self.start()
        self.want(b"SELECT INBOX")

    def until(self, begin):
        """What it says up to a line that begins so, in linear time."""
        pieces, end = [], b""
        out = self.process.stdout
        while True:
            at = end.rfind(b"\n", 0, -1) + 1
            if end.endswith(b"\r\n") and end.startswith(begin, at):
                return b"".join(pieces)
            if not select.select([out], [], [], WATCHDOG)[0]:
                raise Gone("%s hangs at %r" % (
                    self.name, self.command))
            data = os.read(out.fileno(), 1 << 20)
            if not data:
                raise Gone("%s ended at %r: %r" % (
                    self.name, self.command, end))
            pieces.append(data)
            end = (end + data)[-4000:]

    def ask(self, command):
        """(untagged trees, the tagged line); bytes as they are"""
        self.n += 1
        self.command = command[:100]
        tag = b"cmp%d " % self.n
        try:
            self.process.stdin.write(tag + command + b"\r\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Gone("%s ended before %r" % (self.name, self.command))
        raw = self.until(tag)
        at = raw.rfind(b"\r\n" + tag)
        at = at + 2 if at >= 0 else 0
        said = raw[at + len(tag):].strip()
        return list(untagged(raw[:at])), said

    def want(self, command):
        trees, said = self.ask(command)
        if not said.startswith(b"OK"):
            raise RuntimeError("%s: %s: %s" % (self.name, command[:100],
                                               said))
        return trees

    def fetch(self, numbers, items, into):
        """Adds what it says of these messages to {number: {item: tree}}."""
        for tree in self.want(b"FETCH %s (%s)" % (numbers, items)):
            if len(tree) == 4 and tree[2] == "FETCH":
                values = tree[3]
                into.setdefault(tree[1], {}).update(
                    zip(values[0::2], values[1::2]))

    def bye(self):
        self.ask(b"LOGOUT")
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(WATCHDOG)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                pipe.close()
            except BrokenPipeError:
                pass
        self.process.wait()


def begin(world, data):
    """Both sides, INBOX selected; world is of hostile.py."""
    ours = world.file(world.inbox, data)
    theirs = world.file(os.path.join(world.base, "spool", "other"), data)
    for name in ("run", "dovecot"):
        world.dir(os.path.join(world.base, name))
    conf = world.file(os.path.join(world.base, "dovecot.conf"),
                      CONF.format(base=world.base, inbox=theirs).encode())
    env = {"USER": "alex", "HOME": world.home, "TZ": "UTC", "LC_ALL": "C",
           "MAIL": ours, "PATH": os.defpath}
    sides = [Side("ours", [world.plain, "--log=stderr"], env)]
    try:
        sides.append(Side("Dovecot", [DOVECOT, "-c", conf], env,
                          os.path.join(world.base, "dovecot", ".imap")))
        counts = [exists(side) for side in sides]
        if counts[0] != counts[1]:
            raise RuntimeError("%d messages, Dovecot has %d" %
                               tuple(counts))
    except BaseException:
        for side in sides:
            side.kill()
        raise
    return sides[0], sides[1], counts[0]


def exists(side):
    return next(t[1] for t in side.want(b"SELECT INBOX")
                if t[2:] == ["EXISTS"])
