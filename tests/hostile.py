"""hostile.py - starts the real program, talks to it while neither side ever
waits for the other, and judges what comes back. What bad input is, and what
it deserves, stands in hostile.t.

IMAPD names the program (./imapd). SAN names the directory of a sanitised
build: its program gets all that does not measure memory. VALIDATE names the
response validator (obj/tests/validate).
"""

import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IMAPD = os.path.abspath(os.environ.get("IMAPD", os.path.join(TOP, "imapd")))
SAN = os.environ.get("SAN")
HARD = os.path.abspath(os.path.join(SAN, "imapd")) if SAN else IMAPD
VALIDATE = os.path.abspath(os.environ.get(
    "VALIDATE", os.path.join(TOP, "obj", "tests", "validate")))

WATCHDOG = 60       # seconds: longer is a hang, whatever the machine
NOBODY = 65534      # who the server is when root runs the tests
ROOT = os.geteuid() == 0
MB = 1 << 20

# "tag = 1*<any ASTRING-CHAR except "+">"; a whole one ends so.
TAG = re.compile(rb'([^\0- (){%*"\\+\x7f-\xff]+)( |\r?\n)?')
RESULT = re.compile(rb"(\S+) (OK|NO|BAD) ")
LITERAL = re.compile(rb"\{(\d+)\}$")
PEAK = re.compile(rb"VmHWM:\s*(\d+) kB")


class Tap:
    def __init__(self):
        self.n = self.bad = 0

    def point(self, name, complaints):
        """One test; the first complaints say what is wrong."""
        self.n += 1
        self.bad += bool(complaints)
        print("%sok %d - %s" % ("not " if complaints else "", self.n, name))
        for text in complaints[:10]:
            print("#   " + text)
        if len(complaints) > 10:
            print("#   and %d more" % (len(complaints) - 10))

    def skip(self, name, why):
        self.n += 1
        print("ok %d - %s # SKIP %s" % (self.n, name, why))

    def end(self):
        print("1..%d" % self.n)
        return 1 if self.bad else 0


def show(data, most=70):
    """Bytes for a person who reads a failure."""
    text = repr(bytes(data[:most]))[1:]
    return text + ("... (%d bytes)" % len(data) if len(data) > most else "")


def sanitised(program):
    """Then its memory says nothing about the program's own."""
    with open(program, "rb") as f:
        return b"__asan_" in f.read()


class World:
    """A home, a spool and something outside that is nobody's business."""

    def __init__(self):
        self.base = os.path.realpath(tempfile.mkdtemp(prefix="imapd-bad."))
        os.chmod(self.base, 0o755)
        self.home = os.path.join(self.base, "home")
        self.inbox = os.path.join(self.base, "spool", "alex")
        for name in ("home", "spool", "outside"):
            self.dir(os.path.join(self.base, name))
        self.plain = shutil.copy(IMAPD, os.path.join(self.base, "plain"))
        self.hard = shutil.copy(HARD, os.path.join(self.base, "hard"))
        for path in (self.plain, self.hard):
            os.chmod(path, 0o755)
        self.measured = not sanitised(self.plain)
        if not self.measured:
            print("# a sanitised program's memory is not measured")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for path, names, _ in os.walk(self.base):
            for name in names:          # some are closed on purpose
                if not os.path.islink(os.path.join(path, name)):
                    os.chmod(os.path.join(path, name), 0o700)
        shutil.rmtree(self.base)

    def give(self, path):
        if ROOT:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        return path

    def path(self, name):
        """Where a name lies, absolute or below the home; parents made."""
        path = os.path.join(self.home, name)
        parent = os.path.dirname(path)
        if not os.path.isdir(parent):
            self.dir(parent)
        return path

    def dir(self, name):
        path = self.path(name)
        os.mkdir(path, 0o755)
        return self.give(path)

    def file(self, name, data=b""):
        path = self.path(name)
        with open(path, "wb") as f:
            f.write(data)
        return self.give(path)

    def link(self, name, target):
        os.symlink(target, self.path(name))

    def client(self, **how):
        return Client(self, **how)

    def validate(self, raw, commands=None):
        """Complaints about all that a server said on one connection."""
        said = self.file(os.path.join(self.base, "said"), raw)
        argv = [VALIDATE, "-b", said]
        if commands is not None:
            argv[1:1] = ["-c", self.file(
                os.path.join(self.base, "commands"), commands)]
        run = subprocess.run(argv, capture_output=True)
        if run.returncode == 0:
            return []
        text = (run.stdout + run.stderr).decode("latin-1")
        return ["validator: " + line for line in text.splitlines()]


class Client:
    """One server process and its client.

    most: the program whose memory is measured, and what it may use. root:
    not yet logged in. mail: another INBOX. given: the input, all of it, in
    a file."""

    def __init__(self, world, most=None, root=False, mail=None, given=None):
        self.raw = bytearray()      # all that the server said
        self.seen = 0               # up to where talk() has looked
        self.eof = False
        self.peak = 0               # bytes of memory that were in use
        self.most = most if world.measured else None
        self.ours, theirs = socket.socketpair()
        self.stderr = tempfile.TemporaryFile()
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} \
            if ROOT and not root else {}
        stdin = theirs if given is None else tempfile.TemporaryFile()
        if given is not None:
            stdin.write(given)
            stdin.seek(0)
        self.process = subprocess.Popen(
            [world.plain if most else world.hard], stdin=stdin,
            stdout=theirs, stderr=self.stderr, cwd="/",
            env={"USER": "alex", "HOME": world.home, "TZ": "UTC",
                 "MAIL": mail or world.inbox, "PATH": os.defpath}, **who)
        stdin.close()
        theirs.close()
        self.ours.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.ours.close()
        self.stderr.close()

    def measure(self):
        """The kernel's high-water mark; a process that ended has none, so
        it is looked at all the time."""
        try:
            with open("/proc/%d/status" % self.process.pid, "rb") as f:
                m = PEAK.search(f.read())
        except OSError:
            return
        if m:
            self.peak = max(self.peak, int(m.group(1)) * 1024)

    def take_in(self):
        try:
            data = self.ours.recv(MB)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self.raw += data
        self.eof = not data

    def put(self, data):
        """Sends some of it; returns the rest."""
        try:
            return data[self.ours.send(data[:MB]):]
        except BlockingIOError:
            return data
        except (BrokenPipeError, ConnectionResetError):
            return data[:0]

    def found(self, until):
        """Does a line begin so in what has not been looked at?"""
        at = self.raw.find(b"\n" + until, max(0, self.seen - len(until)))
        if at < 0:
            self.seen = len(self.raw)
        return at >= 0 and self.raw.find(b"\n", at + 1) >= 0

    def talk(self, data, until=None):
        """Sends data and takes in what comes, up to the line that begins
        with `until`, or to the end. False when the watchdog barked."""
        data = memoryview(data)
        end = time.monotonic() + WATCHDOG
        poll = select.poll()
        while not self.eof and (data or (until is not None and
                                         not self.found(until))):
            poll.register(self.ours, select.POLLIN |
                          (select.POLLOUT if data else 0))
            ready = poll.poll(max(0, end - time.monotonic()) * 1000)
            if not ready:
                return False
            if ready[0][1] & ~select.POLLOUT:
                self.take_in()
            if ready[0][1] & select.POLLOUT:
                data = self.put(data)
            if self.most:
                self.measure()
        return True

    def finish(self):
        """Ends the input; complaints about how the process ended."""
        try:
            self.ours.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        bad = []
        if not self.eof and not self.talk(b"", b"\0"):
            bad.append("hangs at the end of the input")
            self.process.kill()
        status = self.process.wait()
        self.stderr.seek(0)
        words = self.stderr.read()
        if status not in (0, 1):
            bad.append("the process ended with %d" % status)
        if words:
            bad.append("it says on stderr: " + show(words, 400))
        if self.most and self.peak < MB // 4:
            bad.append("its memory could not be measured")
        if self.most and self.peak > self.most:
            bad.append("used %d KiB of memory" % (self.peak // 1024))
        return bad


def lines(raw):
    """The answers in what a server said, without the literals' octets."""
    at, line = 0, b""
    while at < len(raw):
        end = raw.find(b"\r\n", at)
        end = len(raw) if end < 0 else end
        piece = bytes(raw[at:end])
        line += piece
        at = end + 2
        m = LITERAL.search(piece)
        if m:
            at += int(m.group(1))
        else:
            yield line
            line = b""
    if line:
        yield line


class Case:
    """A command's bytes, line end and all, and what it deserves.

    want: the results that are right, as "NO BAD". bye: hanging up is, too.
    code: what must stand in the answer. plus: how often the server says
    "+", if that is known. before: a good command that must go before."""

    def __init__(self, name, data, want, bye=False, code=b"", plus=None):
        self.name = name
        self.data = data
        self.want = want.split()
        self.bye = bye
        self.code = code
        self.plus = plus
        self.before = b""

    def tags(self):
        """What may stand before the result: the tag, if it is one."""
        m = TAG.match(self.data)
        if m and m.end(1) <= 64 and m.group(2):
            return [m.group(1)]
        return [b"*"] + ([m.group(1)] if m else [])

    def judge(self, answer, ended):
        """What is wrong with these lines; ended: no more came."""
        tags = self.tags()
        first, result = next(
            ((line, m.group(2).decode()) for line in answer
             for m in [RESULT.match(line)] if m and m.group(1) in tags and
             (m.group(1) != b"*" or m.group(2) == b"BAD")), (b"", None))
        said = b" / ".join(answer[-3:])
        if ended and not (self.bye and any(line.startswith(b"* BYE ")
                                           for line in answer)):
            return [self.wrong("the connection ended", said)]
        if not ended and result not in self.want:
            return [self.wrong("not " + " or ".join(self.want), said)]
        if self.code not in (said if ended else first):
            return [self.wrong("without " + repr(self.code), said)]
        if self.plus is not None and self.plus != sum(
                x.startswith(b"+ ") for x in answer):
            return [self.wrong("not %d times +" % self.plus, said)]
        return []

    def wrong(self, what, said):
        return "%s: %s: C: %s S: %s" % (self.name, what, show(self.data),
                                        show(said, 160))


def cut(raw, first, n):
    """{number: (its lines, was its NOOP answered OK)}: what stands between
    the answers to the NOOPs, which are numbered from first on"""
    found, now = {}, []
    at = first
    for line in lines(raw):
        m = re.match(rb"noop(\d+) (OK)?", line)
        if m and first <= int(m.group(1)) < n:
            at = int(m.group(1))
            found[at] = (now, m.group(2) is not None)
            at, now = at + 1, []
        else:
            now.append(line)
    found.setdefault(at, (now, None))
    return found


def play_some(world, cases, first, before, look, how):
    """Plays cases[first:] until the server hangs up. Returns the number of
    the first that was not played, and complaints."""
    data = before + b"".join(
        case.before + case.data + b"noop%d NOOP\r\n" % i
        for i, case in enumerate(cases[first:], first))
    with world.client(**how) as c:
        alive = c.talk(data, b"noop%d " % (len(cases) - 1))
        bad = c.finish() if alive else ["hangs, and no more is tried"]
        bad += world.validate(c.raw) + list(look(c.raw))
        found = cut(c.raw, first, len(cases))
    for i in range(first, len(cases)):
        answer, noop = found.get(i, ([], False))
        if noop:
            bad += cases[i].judge(answer, False)
        elif max(found) > i:
            bad.append(cases[i].wrong("swallowed the NOOP behind it",
                                      b" / ".join(answer)))
        else:
            bad += cases[i].judge(answer, True)
            return i + 1 if alive else len(cases), bad
    return len(cases), bad


def play(world, cases, before=b"", look=lambda raw: [], **how):
    """Each case and a NOOP behind it, which must be answered OK unless the
    server may hang up; pipelined, as many as one connection takes. `look`
    returns complaints about all that the server says on one."""
    bad, at = [], 0
    while at < len(cases) and len(bad) < 50:
        at, more = play_some(world, cases, at, before, look, how)
        bad += more
    return bad
