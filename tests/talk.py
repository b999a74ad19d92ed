"""talk.py - one connection of a session transcript: the server's process,
what it was sent and what it said. For run_script, which has the manual."""

import array
import fcntl
import os
import re
import select
import socket
import subprocess
import tempfile
import termios
import time

# Seconds, far more than any step takes.
DEADLINE = float(os.environ.get("DEADLINE", "30"))

LITERAL = re.compile(rb"\{([0-9]+)\}\r\n$")


class Failure(Exception):
    """The server is wrong: lines that say how."""


class Mistake(Exception):
    """The script is wrong."""


def show(data):
    """Bytes as one line of text."""
    if isinstance(data, str):
        data = data.encode("latin-1")
    data = data[:-2] if data.endswith(b"\r\n") else \
        data[:-1] + b"<LF>" if data.endswith(b"\n") else data + b"<end>"
    return re.sub(rb"[^ -~]", lambda m: b"\\x%02x" % m.group()[0],
        data).decode("ascii")


def difference(want, got):
    """Where two byte strings differ first: the lines there."""
    want, got = want.splitlines(True), got.splitlines(True)
    same = 0
    while same < min(len(want), len(got)) and want[same] == got[same]:
        same += 1
    lines = ["  (%d lines are right)" % same] if same else []
    lines += ["- " + show(line) for line in want[same:same + 3]]
    lines += ["+ " + show(line) for line in got[same:same + 3]]
    return lines


class Connection:
    """
    world gives the process (spawn), the meaning of an expected line
    (pattern, match), and takes notes of the dialogue (note).
    """

    def __init__(self, world, number, greet):
        self.world = world
        self.mark = "" if number == 1 else "%d " % number
        self.kind = world.input
        self.greet = greet          # read the greeting when it comes
        self.raw = bytearray()      # all that the server said
        self.at = 0                 # up to where it was expected
        self.inside = False         # a literal ended there
        self.sent = b""
        self.banned = []            # (regex, place in raw, line of script)
        self.process = None
        self.eof = False
        self.status = None
        if self.kind != "file":
            self.begin()

    # Starting and ending.

    def begin(self):
        """Starts the server, if it is not there already."""
        if self.process is None:
            self.start()
        if self.greet:
            self.greet = False
            self.expect("* PREAUTH <any>")

    def start(self):
        self.stderr = tempfile.TemporaryFile()
        self.ours = self.wfd = None
        if self.kind in ("socket", "tcp"):
            self.ours, theirs = sockets(self.kind)
            self.process = self.world.spawn(theirs, theirs, self.stderr)
            theirs.close()
            self.rfd = self.wfd = self.ours.fileno()
        else:
            source = subprocess.PIPE
            if self.kind == "file":
                source = tempfile.TemporaryFile()
                source.write(self.sent)
                source.seek(0)
            self.process = self.world.spawn(source, subprocess.PIPE,
                self.stderr)
            self.rfd = self.process.stdout.fileno()
            if self.kind == "pipe":
                self.wfd = self.process.stdin.fileno()
        for fd in {self.rfd, self.wfd} - {None}:
            os.set_blocking(fd, False)

    def close(self):
        """Ends the input."""
        self.begin()
        if self.wfd is None:
            return
        self.wfd = None
        if self.ours is None:
            self.process.stdin.close()
            return
        try:
            self.ours.shutdown(socket.SHUT_WR)
        except OSError:
            pass        # it is gone already

    def reap(self):
        try:
            self.status = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise Failure("the server does not end")

    def finish(self, statuses):
        """Ends the input, if it has not ended, and waits for the server."""
        self.close()
        self.need(lambda: False, "the server does not end")
        self.reap()
        if self.at < len(self.raw):
            raise Failure("the server says more than expected",
                *("+ S: " + show(line) for line in
                bytes(self.raw[self.at:]).splitlines(True)))
        self.check_banned()
        if self.status not in statuses:
            raise Failure("exit status %d, not %s" % (self.status,
                " or ".join(map(str, statuses))), *self.complaint())
        if self.complaint():
            raise Failure("words on stderr", *self.complaint())

    def complaint(self):
        self.stderr.seek(0)
        return ["+ " + show(line) for line in self.stderr]

    def discard(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for end in (self.ours, self.process.stdin, self.process.stdout,
                self.stderr):
            if end is not None:
                end.close()

    # Bytes, both ways.

    def await_event(self, end, writing, what):
        """
        Takes in what the server says, if it says something. True when there
        is room to write; false, if that is not awaited, when it has spoken.
        """
        masks = {} if self.eof else {self.rfd: select.POLLIN}
        if writing:
            masks[self.wfd] = masks.get(self.wfd, 0) | select.POLLOUT
        poll = select.poll()
        for fd, mask in masks.items():
            poll.register(fd, mask)
        left = end - time.monotonic()
        ready = dict(poll.poll(left * 1000)) if left > 0 else {}
        if not ready:
            raise Failure("%s within %g s" % (what, DEADLINE))
        if not self.eof and ready.get(self.rfd, 0) & ~select.POLLOUT:
            self.take_in()
        return writing and ready.get(self.wfd, 0) & ~select.POLLIN != 0

    def take_in(self):
        try:
            data = os.read(self.rfd, 1 << 20)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        self.raw += data
        self.eof = not data

    def need(self, ready, what):
        """Waits until ready() is true, or the server has ended."""
        end = time.monotonic() + DEADLINE
        while not ready() and not self.eof:
            self.await_event(end, False, what)

    def send(self, data):
        """A server that is gone is found out by who waits for its answer."""
        self.sent += data
        if self.kind == "file":
            if self.process is not None:
                raise Mistake("with @input file all C: come before S:")
            return
        if self.wfd is None:
            raise Mistake("the input has ended")
        end = time.monotonic() + DEADLINE
        while data:
            if not self.await_event(end, True, "the server reads nothing"):
                continue
            try:
                data = data[os.write(self.wfd, data):]
            except BlockingIOError:
                pass
            except (BrokenPipeError, ConnectionResetError):
                return

    def unread(self):
        """Bytes that the server has not yet read."""
        n = array.array("i", [0])
        fcntl.ioctl(self.wfd, termios.FIONREAD if self.kind == "pipe" else
            termios.TIOCOUTQ, n)
        return n[0]

    def send_and_see(self, data):
        """Returns when the server has read it (TCP does not tell)."""
        self.send(data)
        if self.kind not in ("socket", "pipe"):
            return
        end = time.monotonic() + DEADLINE
        while not self.eof and self.unread() > 0:
            if time.monotonic() > end:
                raise Failure("the server reads nothing within %g s" %
                    DEADLINE)
            # No event tells of it: look again soon.
            if select.select([self.rfd], [], [], 0.0005)[0]:
                self.take_in()

    # What the server says, and should say.

    def next_line(self):
        """The next line with its end; what there is when all ends."""
        self.begin()
        self.need(lambda: self.raw.find(b"\n", self.at) >= 0,
            "the server says nothing")
        end = self.raw.find(b"\n", self.at) + 1 or len(self.raw)
        line = bytes(self.raw[self.at:end])
        self.at = end
        if line:
            self.world.note(self.mark + "S: ", line)
        return line

    def next_octets(self, n):
        self.need(lambda: len(self.raw) - self.at >= n,
            "the server does not send a literal's %d octets" % n)
        data = bytes(self.raw[self.at:self.at + n])
        self.at += len(data)
        for line in data.splitlines(True):
            self.world.note(self.mark + "L: ", line)
        return data

    def ban(self, regex, line):
        self.begin()
        self.banned.append((re.compile(regex.encode("latin-1"), re.M),
            self.at, line))

    def check_banned(self):
        for regex, start, line in self.banned:
            m = regex.search(bytes(self.raw[start:self.at]))
            if m:
                raise Failure("what line %d bans was said" % line,
                    "- !: " + regex.pattern.decode("latin-1"),
                    "+ S: " + show(m.group()))
        self.banned = []

    def passed(self, line):
        """After a line was taken. Was it the end of an answer?"""
        tagged = not self.inside and line[:1] not in (b"*", b"+")
        self.inside = LITERAL.search(line) is not None
        if tagged:
            self.check_banned()
        return tagged

    def expect(self, text, literal=None, skip=False):
        """The server's next line, or one behind untagged ones."""
        regex = self.world.pattern(text)
        while True:
            line = self.next_line()
            if self.world.match(regex, line):
                break
            if not skip or not line or self.passed(line):
                self.unlike(["- S: " + text], line)
            if self.inside:
                self.next_octets(int(LITERAL.search(line).group(1)))
        self.passed(line)
        if literal is not None:
            self.expect_literal(literal, line)

    def expect_literal(self, literal, line):
        got = self.next_octets(int(LITERAL.search(line).group(1)))
        if got != literal:
            raise Failure("a literal of %d octets, other than the %d "
                "expected" % (len(got), len(literal)),
                *difference(literal, got))

    def expect_group(self, texts):
        """Lines that may come in any order."""
        left = [(text, self.world.pattern(text)) for text in texts]
        while left:
            line = self.next_line()
            found = [one for one in left if self.world.match(one[1], line)]
            if not found:
                self.unlike(["- S*: " + text for text, _ in left], line)
            self.passed(line)
            left.remove(found[0])

    def unlike(self, wanted, line):
        if line:
            raise Failure("the server says something else", *wanted,
                "+ S: " + show(line))
        self.close()
        self.reap()
        raise Failure("the server has ended, status %s" % self.status,
            *wanted, *self.complaint())


def sockets(kind):
    if kind == "socket":
        return socket.socketpair()
    with socket.create_server(("127.0.0.1", 0)) as door:
        near = socket.create_connection(door.getsockname())
        return near, door.accept()[0]


# ---- the client's commands, for the validator ----

TAG = re.compile(rb'([^\0-\x20(){%*"\\+\x7f-\xff]{1,64})(?: |\r?\n)')
ANNOUNCED = re.compile(rb"\{([0-9]+)(\+?)\}\r?\n$")


def answers(raw):
    """For each "+" (True) and tagged line (False) of a server, in order."""
    found, at, inside = [], 0, False
    while at < len(raw):
        end = raw.find(b"\n", at) + 1 or len(raw)
        if not inside and raw[at:at + 2] != b"* ":
            found.append(raw[at:at + 1] == b"+")
        m = LITERAL.search(raw[at:end])
        inside = m is not None
        at = end + int(m.group(1)) if inside else end
    return found


def commands(sent, raw, in_file):
    """
    The client's commands, a line for each that has a tag. What of the input
    belongs to a command hangs on whether the server said "+" to it.
    """
    pending, lines, at = answers(raw), [], 0
    if in_file and not sent.endswith(b"\n"):
        sent += b"\n"
    while at < len(sent):
        first, more = None, True
        while more and at < len(sent):
            end = sent.find(b"\n", at) + 1 or len(sent)
            line, at = sent[at:end], end
            first = line if first is None else first
            m = ANNOUNCED.search(line)
            more = m is not None and m.group(2) == b"+"
            if not more and pending and pending[0]:
                pending.pop(0)
                more = True
            if m is not None and more:
                at += int(m.group(1))
        if TAG.match(first):
            lines.append(b" ".join(first.split()[:3]) + b"\n")
            while pending and pending.pop(0):
                pass
    return b"".join(lines)
