"""interop.py - the mail programs that share a mailbox with ours, each led
through one session and asked what it sees: Dovecot's imap, UW's c-client
(cclient.c, and mailutil), mutt, a delivery; and a reader that is nothing but
the mbox format. What they are made to do stands in interop.t.

Nobody here waits for ever: a session that says nothing for WATCHDOG seconds
is killed, and that is a complaint.
"""

import os
import pty
import re
import select
import shutil
import subprocess
import time

from hostile import NOBODY, ROOT, TOP, WATCHDOG, lines

DOVECOT = "/usr/lib/dovecot/imap"
CCLIENT = "/usr/lib/libc-client.so.2007e"
NEEDED = {"dovecot-imapd": DOVECOT, "uw-mailutils": "/usr/bin/mailutil",
          "mutt": "/usr/bin/mutt"}

SYSTEM = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"]
LETTERS = {"R": "\\Seen", "A": "\\Answered", "F": "\\Flagged",
           "D": "\\Deleted", "T": "\\Draft"}
# Fields that a mail program keeps for itself. Content-Length is UW's clients'
# to see and nobody else's; Lines is mutt's, which adds it to what it rewrites.
PRIVATE = re.compile(rb"(?im)^(status|x-status|x-keywords|x-uid|x-imap|"
                     rb"x-imapbase|content-length|lines|x-imapd-quoted)"
                     rb"[ \t]*:.*\n(?:[ \t].*\n)*")
FROM = re.compile(rb"^From [^\n]* \w{3} \w{3} [ \d]\d [\d:]{5,8} \d{4}"
                  rb"( [-+]\d{4})?\r?\n", re.M)
IDENT = re.compile(rb"(?im)^message-id: <id-(\d+)@x>")


def missing():
    return [name for name, path in NEEDED.items() if not os.path.exists(path)]


def as_user():
    """Who the mail programs are when root runs the tests."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} \
        if ROOT else {}


class Seen:
    """One message as one program shows it."""

    def __init__(self, uid, flags, keywords, text):
        self.uid = uid
        self.flags = frozenset(flags) & frozenset(SYSTEM)
        self.keywords = frozenset(keywords)
        self.text = visible(text)
        m = IDENT.search(text)
        self.ident = int(m.group(1)) if m else None

    def __repr__(self):
        return "%s uid %s %s" % (self.ident, self.uid, " ".join(
            sorted(self.flags) + sorted(self.keywords)))


def visible(text):
    """A message without what belongs to mail programs, with LFs."""
    text = text.replace(b"\r\n", b"\n")
    end = text.find(b"\n\n") + 1
    return PRIVATE.sub(b"", text[:end]) + text[end:]


# ---- the format alone ----

def field(header, name):
    m = re.search(rb"(?im)^" + name + rb":[ \t]*(.*)$", header)
    return m.group(1).strip().decode() if m else None


def plain(path):
    """(uidvalidity, uidlast, [Seen]) of a file, by the letter of the
    format: what is not there is None."""
    with open(path, "rb") as f:
        data = f.read()
    at = [m.start() for m in FROM.finditer(data)
          if m.start() == 0 or data[:m.start()].endswith((b"\n\n",
                                                          b"\n\r\n"))]
    base, found = None, []
    for a, b in zip(at, at[1:] + [len(data)]):
        text = data[data.index(b"\n", a) + 1:b].replace(b"\r\n", b"\n")
        header = text[:text.find(b"\n\n") + 1]
        base = base or field(header, rb"X-IMAP(?:base)?")
        if field(header, b"X-IMAP") is not None:
            continue
        letters = (field(header, b"Status") or "") + \
            (field(header, b"X-Status") or "")
        uid = field(header, b"X-UID")
        if text.endswith(b"\n\n"):
            text = text[:-1]
        found.append(Seen(int(uid) if uid else None,
                          [LETTERS[c] for c in letters if c in LETTERS],
                          (field(header, b"X-Keywords") or "").split(), text))
    numbers = base.split()[:2] if base else [None, None]
    return (*[n and int(n) for n in numbers], found)


# ---- processes ----

class Process:
    """A program over pipes, and all that it said."""

    def __init__(self, argv, env, cwd):
        self.raw = bytearray()
        self.process = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **as_user())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout,
                     self.process.stderr):
            pipe.close()
        self.process.wait()

    def put(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def until(self, end):
        """Takes in what comes until end(bytes) has a value, which it
        returns."""
        at = len(self.raw)
        stdout = self.process.stdout
        limit = time.monotonic() + WATCHDOG
        while True:
            got = end(self.raw[at:])
            if got is not None:
                return got
            wait = limit - time.monotonic()
            if wait < 0 or not select.select([stdout], [], [], wait)[0]:
                raise RuntimeError("%s hangs" % self.process.args[0])
            data = os.read(stdout.fileno(), 1 << 16)
            if not data:
                raise RuntimeError("%s ended: %r %r" % (
                    self.process.args[0], bytes(self.raw[at:])[-300:],
                    self.process.stderr.read()[-3000:]))
            self.raw += data

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(WATCHDOG)
        except subprocess.TimeoutExpired:
            raise RuntimeError("%s does not end" % self.process.args[0])


class Imap(Process):
    """An IMAP session, ours or Dovecot's."""

    def __init__(self, argv, env, cwd):
        super().__init__(argv, env, cwd)
        self.n = 0
        self.asked = b""        # for the validator
        self.until(lambda raw: True if b"\r\n" in raw else None)

    def ask(self, command, want="OK"):
        """Untagged answers, their literals as they came; bytes are sent as
        they are."""
        self.n += 1
        tag = b"t%d" % self.n
        data = command if isinstance(command, bytes) else command.encode()
        self.asked += tag + b" " + data.split(b"\n")[0].rstrip() + b"\n"
        self.put(tag + b" " + data + b"\r\n")
        self.last = tag + b" "
        raw = self.until(self.whole)
        result = raw[raw.rindex(b"\r\n" + self.last) + 2:] \
            if b"\r\n" + self.last in raw else raw
        self.said = result.decode("latin-1").strip()
        if want and not result.startswith(self.last + want.encode()):
            raise RuntimeError("%s: %s: %s" % (
                self.process.args[0], show_command(data), self.said))
        return raw

    def whole(self, raw):
        if not raw.endswith(b"\r\n"):
            return None
        at = raw.rfind(b"\r\n" + self.last)
        if at < 0 and not raw.startswith(self.last):
            return None
        return bytes(raw)

    def read(self, uids="1:*"):
        """(uidvalidity, uidnext, [Seen]) of the mailbox that is open."""
        raw = self.ask("UID FETCH %s (UID FLAGS BODY.PEEK[])" % uids)
        found, at = [], 0
        for m in re.finditer(rb"\* \d+ FETCH \(([^\r\n]*?)BODY\[\] "
                             rb"(?:\{(\d+)\}\r\n|NIL|\"\")", raw):
            if m.start() < at:
                continue        # in a literal
            n = int(m.group(2) or 0)
            text = raw[m.end():m.end() + n]
            at = m.end() + n
            uid = re.search(rb"UID (\d+)", m.group(1) + raw[at:at + 200])
            flags = re.search(rb"FLAGS \(([^)]*)\)", m.group(1) +
                              raw[at:at + 2000]).group(1).decode().split()
            found.append(Seen(int(uid.group(1)), flags,
                              [f for f in flags if f[0] != "\\"], text))
        return self.uidvalidity, self.uidnext, found

    def select(self, name="INBOX", how="SELECT"):
        raw = self.ask("%s %s" % (how, name))
        self.uidvalidity = int(
            re.search(rb"\[UIDVALIDITY (\d+)\]", raw).group(1))
        m = re.search(rb"\[UIDNEXT (\d+)\]", raw)
        self.uidnext = int(m.group(1)) if m else None
        return self

    def append(self, text, flags=(), name="INBOX"):
        text = text.replace(b"\n", b"\r\n")
        self.ask(b"APPEND %s (%s) {%d+}\r\n%s" % (
            name.encode(), " ".join(flags).encode(), len(text), text))

    def bye(self):
        self.ask("LOGOUT")
        self.end()


def show_command(data):
    return repr(data[:70])


class CClient(Process):
    """A c-client session; see cclient.c."""

    def ask(self, line):
        self.put(line.encode() + b"\n")
        return bytes(self.until(
            lambda raw: raw if raw == b".\n" or raw.endswith(b"\n.\n")
            else None))

    def read(self, keywords=()):
        raw = self.ask(("read " + " ".join(keywords)).strip())
        at, head, found = raw.find(b"message "), raw, []
        head = raw if at < 0 else raw[:at]
        bits = {}
        for line in head.decode().splitlines():
            words = line.split()
            key = words.pop(0)
            if key == "KEYWORD":
                key = words.pop(0)
            bits[key] = [int(w) for w in words if w.isdigit()]
        while raw[at:at + 8] == b"message " and at >= 0:
            end = raw.index(b"\n", at)
            uid, n = map(int, raw[at + 8:end].split())
            found.append(Seen(
                uid, ["\\" + k.capitalize() for k, v in bits.items()
                      if uid in v and k.isupper() and
                      "\\" + k.capitalize() in SYSTEM],
                [k for k in keywords if uid in bits[k]],
                raw[end + 1:end + 1 + n]))
            at = end + 1 + n + 1
        return bits["uidvalidity"][0], bits["uidnext"][0], found

    def give_up(self):
        """Ends, whatever it may have to complain of."""
        self.process.stdin.close()
        self.process.wait(WATCHDOG)


# ---- the house ----

CONF = """base_dir = {base}/run
log_path = /dev/null
protocols = imap
ssl = no
mail_location = mbox:{base}/dovecot:INBOX={inbox}
mail_access_groups =
mbox_write_locks = dotlock fcntl
first_valid_uid = 0
mail_fsync = never
"""

MUTT = ("set sort=mailbox-order quit=yes delete=yes move=no mark_old=yes "
        "confirmappend=no wait_key=no beep=no header_cache='' "
        "crypt_use_gpgme=no read_inc=0 write_inc=0 sleep_time=0 "
        "mail_check=0 timeout=1")


class Mutt:
    """mutt on a terminal of its own; it begins with the keys that are
    pushed."""

    def __init__(self, house, pushed=""):
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            ["mutt", "-n", "-F", "/dev/null", "-e", MUTT, "-e",
             "set tmpdir='%s' folder='%s'" % (house.world.home, house.spool),
             "-e",
             "push '%s'" % pushed, "-f", house.inbox],
            stdin=theirs, stdout=theirs, stderr=theirs,
            env=house.env(house.world.home), start_new_session=True,
            **as_user())
        os.close(theirs)
        self.said = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)

    def until(self, text):
        """Reads what it draws until `text` was there, or it has ended."""
        limit = time.monotonic() + WATCHDOG
        while text is None or text not in self.said:
            if time.monotonic() > limit:
                raise RuntimeError("mutt hangs: %r" % self.said[-300:])
            if not select.select([self.ours], [], [], 1)[0]:
                continue
            try:
                self.said += os.read(self.ours, 1 << 16)
            except OSError:     # the last one has closed the terminal
                if text is None:
                    return
                raise RuntimeError("mutt ended: %r" % self.said[-300:])

    def keys(self, keys):
        """Types, when it has drawn itself, and waits until it shows that
        it has read the last of them."""
        self.until(b"Mutt:")
        self.said = b""
        os.write(self.ours, keys)
        self.until(b"Flag:")

    def end(self, keys=b""):
        os.write(self.ours, keys)
        self.until(None)
        if self.process.wait() != 0:
            raise RuntimeError("mutt: %r" % self.said[-300:])


class House:
    """A world (hostile.py) with everybody's programs and one INBOX."""

    def __init__(self, world):
        self.world = world
        self.inbox = world.inbox
        self.spool = os.path.dirname(world.inbox)
        for name in ("run", "dovecot"):
            world.dir(os.path.join(world.base, name))
        self.conf = world.file(
            os.path.join(world.base, "dovecot.conf"),
            CONF.format(base=world.base, inbox=world.inbox).encode())
        self.cclient = os.path.join(world.base, "cclient")
        subprocess.run(["cc", "-o", self.cclient,
                        os.path.join(TOP, "tests", "cclient.c"), CCLIENT],
                       check=True)
        os.chmod(self.cclient, 0o755)
        self.n = 0              # messages made so far
        self.second = int(time.time()) - 10 ** 6
        self.spoke = []         # our sessions, for the validator
        self.old = {}           # what stood in ~/.imapd

    def env(self, home):
        return {"USER": "alex", "HOME": home, "TZ": "UTC", "LC_ALL": "C",
                "MAIL": self.inbox, "PATH": os.defpath, "TERM": "vt100"}

    def ours(self, *options):
        session = Imap([self.world.hard, "--log=stderr", *options],
                       self.env(self.world.home), "/")
        self.spoke.append(session)
        return session

    def dovecot(self):
        return Imap([DOVECOT, "-c", self.conf], self.env(self.world.home),
                    "/")

    def forget_index(self):
        shutil.rmtree(os.path.join(self.world.base, "dovecot", ".imap"))

    def uw(self):
        """c-client takes a name below its home."""
        return CClient([self.cclient, os.path.basename(self.inbox)],
                       self.env(self.spool), self.spool)

    def mailutil(self, *argv):
        run = subprocess.run(["mailutil", *argv], env=self.env(self.spool),
                             cwd=self.spool, stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=WATCHDOG,
                             **as_user())
        text = (run.stdout + run.stderr).decode()
        # Its exit status is 1 also when all went well.
        if "no such" in text or "failed" in text:
            raise RuntimeError("mailutil %s: %s" % (" ".join(argv), text))
        return text

    def mutt_open(self):
        return Mutt(self)

    def mutt(self, keys):
        with Mutt(self, keys + "<quit>") as mutt:
            mutt.end()

    # ---- mail ----

    def text(self, rng, lines_from=False):
        """A new message; lines_from: with lines that look like From_."""
        self.n += 1
        words = [b"word ", b"x\n", b"\n", b"longer words here ",
                 b"\tindented\n", b".\n", "gr\u00fc\u00dfe ".encode()]
        if lines_from:
            words += [b"\nFrom here on\n", b"\n>From there\n",
                      b"\nFrom a@b Thu Nov 29 22:33:52 2001\n"]
        body = b"".join(rng.choice(words) for _ in range(
            rng.choice((0, 3, 30, 300))))
        body += b"end of %d\n" % self.n
        return (b"From: Someone <s@example.org>\n"
                b"Date: Thu, 29 Nov 2001 22:33:52 +0000\n"
                b"Subject: number %d\nMessage-ID: <id-%d@x>\n"
                b"Lines: %d\n\n" % (self.n, self.n, body.count(b"\n"))
                + body)

    def deliver(self, text, how="postfix"):
        """As these programs write it; they quote every line "From "."""
        text = text.replace(b"\nFrom ", b"\n>From ")
        head = b"From s@example.org  Thu Nov 29 22:33:52 2001\n"
        before, after = {
            "postfix": (b"", b"\n"), "maildrop": (b"\n", b"\n"),
            "procmail": (b"", b"\n")}[how]
        if not os.path.exists(self.inbox) or \
                os.path.getsize(self.inbox) == 0:
            before = b""
        with open(self.inbox, "ab") as f:
            f.write(before + head + text + after)
        self.world.give(self.inbox)

    def tick(self):
        """Another second of modification than all before."""
        self.second += 1
        os.utime(self.inbox, (self.second, self.second))

    def blind(self):
        """Does X-IMAPbase stand behind X-Keywords?"""
        with open(self.inbox, "rb") as f:
            head = f.read(1 << 16)
        head = head[:head.find(b"\n\n")]
        return 0 <= head.find(b"\nX-Keywords:") < \
            head.find(b"\nX-IMAPbase:")

    def set_uidvalidity(self, number):
        with open(self.inbox, "r+b") as f:
            data = re.sub(rb"(?m)^(X-IMAPbase: )\d{10}",
                          b"\\g<1>%010d" % number, f.read(), 1)
            f.seek(0)
            f.write(data)

    def complaints(self):
        """What the validator has to say of our sessions so far."""
        bad = []
        for session in self.spoke:
            bad += self.world.validate(bytes(session.raw))
        self.spoke = []
        return bad
