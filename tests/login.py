"""login.py - people with passwords, and servers that were started for one
connection each, as xinetd would, so that every state of a login can be
reached, hundreds at once, and what became of each process seen. For login.t
and vanish.t; what is right stands there.

IMAPD names the program (./imapd), VALIDATE the response validator
(obj/tests/validate).
"""

import concurrent.futures
import ctypes
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
import talk

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IMAPD = os.path.abspath(os.environ.get("IMAPD", os.path.join(TOP, "imapd")))
VALIDATE = os.path.abspath(os.environ.get(
    "VALIDATE", os.path.join(TOP, "obj", "tests", "validate")))

ROOT = os.geteuid() == 0
FIRST_UID = 64101       # whom the mailboxes belong to when root runs this
WATCHDOG = 60           # seconds: longer is a hang, whatever the machine
# Connections, most of which wait for a refusal; with ASan they are fat.
AT_ONCE, AT_ONCE_FAT = 300, 100

HOST = "[127.0.0.1]"
TAGGED = re.compile(rb"([^*+ ]\S*) (OK|NO|BAD) ")
EVENT = re.compile(r"imapd\[(\d+)\]: (.*)")


class Failure(Exception):
    pass


class Tap:
    def __init__(self):
        self.n = self.bad = 0

    def point(self, name, complaints):
        """One test; the first complaints say what is wrong."""
        complaints = list(complaints)
        self.n += 1
        self.bad += bool(complaints)
        print("%sok %d - %s" % ("not " if complaints else "", self.n, name))
        for text in complaints[:8]:
            print("\n".join("#   " + line for line in text.splitlines()))
        if len(complaints) > 8:
            print("#   and %d more" % (len(complaints) - 8))
        sys.stdout.flush()

    def skip(self, name, why):
        self.n += 1
        print("ok %d - %s # SKIP %s" % (self.n, name, why))

    def end(self):
        print("1..%d" % self.n)
        return 1 if self.bad else 0


# As passwd(1) makes it.
YESCRYPT = b"$y$j9T$saltsaltsaltsalt$"


def sha512(rounds=1000):
    return b"$6$rounds=%d$saltsalt$" % rounds


def crypted(password, setting=sha512()):
    """As crypt(3) has it; Python's own module for it is going away."""
    # One after the other: crypt(3) has one place for its answer.
    lib = ctypes.PyDLL("libcrypt.so.1")
    lib.crypt.restype = ctypes.c_char_p
    return lib.crypt(password, setting).decode()


def message(n):
    return (b"From a@b Thu Aug 22 12:36:%02d 2002\nFrom: A <a@b>\n"
            b"Subject: number %d\n\nhello %d\n\n" % (n % 60, n, n))


class Person:
    def __init__(self, name, password, uid, home, inbox):
        self.name = name            # bytes, as the password too
        self.password = password
        self.uid = uid
        self.home = home
        self.inbox = inbox


class Room:
    """Homes, a spool, a password file and a copy of the program."""

    def __init__(self):
        self.base = os.path.realpath(tempfile.mkdtemp(prefix="imapd-in."))
        os.chmod(self.base, 0o755)
        self.program = shutil.copy(IMAPD, os.path.join(self.base, "imapd"))
        os.chmod(self.program, 0o755)
        self.spool = self.dir("spool")
        # As on Debian, where everybody may make a dotlock.
        os.chmod(self.spool, 0o1777)
        self.dir("home")
        self.passwd = os.path.join(self.base, "passwd")
        with open(self.passwd, "wb"):
            pass
        os.chmod(self.passwd, 0o600)
        self.people = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.base)

    def dir(self, name, uid=None):
        path = os.path.join(self.base, name)
        os.mkdir(path, 0o755)
        return self.give(path, uid)

    def give(self, path, uid):
        if ROOT and uid is not None:
            os.chown(path, uid, uid)
        return path

    def entry(self, name, hashed, uid, home):
        """A line of the password file."""
        with open(self.passwd, "ab") as f:
            f.write(name + b":%s:%d:%d:A Person:%s:/bin/sh\n" % (
                hashed.encode(), uid, uid, os.fsencode(home)))

    def person(self, name, password, hashed=None, mail=b""):
        """Somebody who may log in; mail is what INBOX holds."""
        number = len(self.people)
        uid = FIRST_UID + number if ROOT else os.geteuid()
        home = self.dir("home/%d" % number, uid)
        inbox = os.path.join(self.spool, os.fsdecode(name))
        with open(inbox, "wb") as f:
            f.write(mail)
        os.chmod(inbox, 0o600)
        self.give(inbox, uid)
        self.entry(name, hashed or crypted(password), uid, home)
        self.people[name] = p = Person(name, password, uid, home, inbox)
        return p

    def client(self, **how):
        return Client(self, **how)

    def validate(self, raw, commands=None):
        """Complaints about all that a server said on one connection."""
        argv, given = [VALIDATE], None
        if commands is not None:
            given = tempfile.NamedTemporaryFile()
            given.write(commands)
            given.flush()
            argv += ["-c", given.name]
        run = subprocess.run(argv, input=bytes(raw), capture_output=True)
        if given is not None:
            given.close()
        text = (run.stdout + run.stderr).decode("latin-1")
        return ["validator: " + line for line in text.splitlines()]


def loopback():
    """A connection between two addresses of this host."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        near = socket.create_connection(door.getsockname())
        return near, door.accept()[0]


def reset(sock):
    """Ends the connection at once, as a client that has crashed."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


def hide(text):
    return re.sub(r"[^ -~]", lambda m: "\\x%02x" % ord(m.group()),
                  text.decode("latin-1"))


def show(data, most=150):
    text = hide(bytes(data[:most]))
    return text + ("... (%d bytes)" % len(data) if len(data) > most else "")


def children(pid):
    """Processes whose parent is pid."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as f:
                if int(f.read().rpartition(b")")[2].split()[1]) == pid:
                    found.append(int(name))
        except (OSError, IndexError):
            pass
    return found


def workers(pid):
    """Of the monitor's processes those that came after the front."""
    def birth(child):
        try:
            with open("/proc/%d/stat" % child, "rb") as f:
                return int(f.read().rpartition(b")")[2].split()[19]), child
        except (OSError, IndexError):
            return float("inf"), child
    return sorted(children(pid), key=birth)[1:]


def running(pid):
    """A process that is there and has not ended."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as f:
            return f.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


def wait_until(true, what):
    """No event tells of it: looks again and again."""
    end = time.monotonic() + WATCHDOG
    while True:
        found = true()
        if found:
            return found
        if time.monotonic() > end:
            raise Failure("not within %d s: %s" % (WATCHDOG, what))
        time.sleep(0.002)


class Client:
    """One server process and its client, on a TCP connection.

    options: of the server; ends: the two sockets."""

    def __init__(self, room, options=(), ends=loopback):
        self.room = room
        self.sent = bytearray()
        self.raw = bytearray()      # all that the server said
        self.at = 0                 # up to where it was looked at
        self.eof = False
        self.status = None
        self.heard = []             # lines, for a person who reads a failure
        self.sock, theirs = ends()
        self.sock.settimeout(WATCHDOG)
        self.stderr = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [room.program, "--log=stderr", "--auth=file:" + room.passwd,
             "--inbox=" + room.spool + "/%u", *options],
            stdin=theirs, stdout=theirs, stderr=self.stderr, cwd="/",
            env={"PATH": os.defpath, "TZ": "UTC"})
        theirs.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.sock.close()
        self.stderr.close()

    def send(self, data):
        """A server that is gone is found out by who waits for its answer."""
        self.sent += data
        self.heard.append("C: " + show(data))
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        except socket.timeout:
            raise Failure(self.wrong("the server reads nothing"))

    def take_in(self):
        try:
            data = self.sock.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        except socket.timeout:
            raise Failure(self.wrong("the server says nothing"))
        self.raw += data
        self.eof = not data

    def line(self):
        """The next line without its end; nothing when all has ended."""
        while self.raw.find(b"\n", self.at) < 0 and not self.eof:
            self.take_in()
        end = self.raw.find(b"\n", self.at) + 1 or len(self.raw)
        line = bytes(self.raw[self.at:end])
        self.at = end
        self.heard.append("S: " + (show(line) if line else "<end>"))
        return line.rstrip(b"\r\n")

    def answer(self):
        """Lines up to a tagged one, a "+", a BYE or the end."""
        lines = []
        while True:
            lines.append(self.line())
            if lines[-1][:2] in (b"", b"+ ") or TAGGED.match(lines[-1]) or \
                    lines[-1].startswith(b"* BYE "):
                return lines

    def cmd(self, text):
        self.send(text + b"\r\n")
        return self.answer()

    def finish(self):
        """Ends the input and waits for the server; what is wrong."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        while not self.eof:
            self.take_in()
        return self.end()

    def end(self):
        try:
            self.status = self.process.wait(WATCHDOG)
        except subprocess.TimeoutExpired:
            raise Failure(self.wrong("the server does not end"))
        return [] if self.status in (0, 1) else [
            "the process ended with %d" % self.status]

    def log(self):
        """The lines that it wrote into the log, without name and pid."""
        os.lseek(self.stderr.fileno(), 0, os.SEEK_SET)
        text = self.stderr.read().decode("latin-1")
        found = []
        for line in text.splitlines():
            m = EVENT.fullmatch(line)
            found.append(m.group(2) if m else "<not a log line> " + line)
        return found

    def wrong(self, what):
        return what + "\n" + "\n".join("  " + x for x in self.heard[-8:])

    def check_said(self, known=True):
        """Complaints of the validator, which knows the commands or not."""
        return self.room.validate(self.raw, talk.commands(
            bytes(self.sent), bytes(self.raw), False) if known else None)


def sanitised():
    with open(IMAPD, "rb") as f:
        return b"__asan_" in f.read()


def all_at_once(work, cases):
    """work(case) for each: [(case, its complaints)] in their order."""
    def one(case):
        try:
            return list(work(case))
        except Failure as e:
            return [str(e)]
        except Exception:
            return [traceback.format_exc()]

    with concurrent.futures.ThreadPoolExecutor(
            AT_ONCE_FAT if sanitised() else AT_ONCE) as pool:
        return list(zip(cases, pool.map(one, cases)))
