"""service.py - the program as a service of real xinetd on 127.0.0.1, with
users, homes, spool files and passwords of its own, and a small client. What
is asked of it stands in the tests that use it.

Started by root, xinetd and its servers are root's and each user has a uid of
his own, which no system knows; started by an ordinary user all is the
caller's. xinetd hands out the client's socket as descriptor 2, so a script
between it and the server sends the log into a file.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from hostile import IMAPD, ROOT, WATCHDOG

FIRST_UID = 64001
POLL = .01          # seconds between two looks at what tells of no event
TRIES = 20          # free ports that somebody else may take in between
LITERAL = re.compile(rb"\{(\d+)\}\r\n$")

# An ordinary user's PATH need not have /usr/sbin.
XINETD = shutil.which("xinetd", path=os.environ.get("PATH", os.defpath) +
                      ":/usr/sbin:/sbin")

WRAPPER = """#!/bin/sh
exec {dir}/imapd --log=stderr --auth=file:{dir}/passwd \\
    --inbox={dir}/spool/%u "$@" 2>>{dir}/log
"""


def crypt_hash(password, salt="$6$rounds=1000$imapdtests$"):
    """Few rounds: the tests are not to be about crypt(3)."""
    return subprocess.run(
        ["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", password, salt],
        check=True, capture_output=True, text=True).stdout


def processes():
    """{pid: (parent, state)} of all that run now."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as f:
                rest = f.read().rpartition(b") ")[2].split()
        except OSError:         # it has ended meanwhile
            continue
        found[int(name)] = int(rest[1]), rest[0].decode()
    return found


def listens(pid, port):
    """Has the process a socket that listens on 127.0.0.1:port?"""
    here = "0100007F:%04X" % port
    with open("/proc/net/tcp") as f:
        wanted = {"socket:[%s]" % w[9] for w in map(str.split, f)
                  if w[1] == here and w[3] == "0A"}
    try:
        return any(os.readlink("/proc/%d/fd/%s" % (pid, fd)) in wanted
                   for fd in os.listdir("/proc/%d/fd" % pid))
    except OSError:
        return False


class Client:
    """An IMAP client that knows little: whole answers, no more."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), WATCHDOG)
        self.file = self.socket.makefile("rb")
        self.raw = b""          # all that the server said
        self.n = 0
        self.greeting = self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def answer(self):
        """One answer with its literals, without the last line end; b"" when
        the server has hung up."""
        whole = b""
        while True:
            line = self.file.readline()
            whole += line
            m = LITERAL.search(line)
            if m is None:
                break
            whole += self.file.read(int(m.group(1)))
        self.raw += whole
        return whole[:-2] if whole.endswith(b"\r\n") else whole

    def cmd(self, line):
        """Sends a tag, the line (str or bytes; a literal is sent as {n+})
        and CRLF. Returns the untagged answers and the tagged line without
        its tag, all bytes. RuntimeError if the server hangs up before."""
        self.n += 1
        tag = b"c%d " % self.n
        data = line.encode() if isinstance(line, str) else line
        self.send(tag + data + b"\r\n")
        untagged = []
        while True:
            answer = self.answer()
            if answer.startswith(tag):
                return untagged, answer[len(tag):]
            if not answer:
                raise RuntimeError("hung up behind %r: %r" % (
                    data[:60], untagged[-3:]))
            untagged.append(answer)

    def ok(self, line):
        """The same, for what must be OK: the untagged answers."""
        untagged, tagged = self.cmd(line)
        if not tagged.startswith(b"OK"):
            raise RuntimeError("%r: %r" % (line[:60], tagged))
        return untagged

    def append(self, name, text, flags=""):
        """Returns the tagged line."""
        return self.cmd(b"APPEND %s (%s) {%d+}\r\n%s" % (
            name.encode(), flags.encode(), len(text), text))[1]

    def logout(self):
        """Waits until the server has hung up."""
        self.ok("LOGOUT")
        while self.answer():
            pass
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()


class Service:
    """users: their names. options: of the program, behind those that all
    need. xinetd: attributes of its service entry, {name: value}; None takes
    one away. program: ours if not said. passwords: {user: password} where a
    test wants its own."""

    def __init__(self, users=("riley", "alex"), options=(), xinetd={},
                 program=None, passwords={}):
        self.users = list(users)
        self.passwords = {u: passwords.get(u, "pass-" + u) for u in users}
        self.clients = []
        self.process = None
        self.dir = os.path.realpath(tempfile.mkdtemp(prefix="imapd-service."))
        os.chmod(self.dir, 0o755)
        try:
            self.furnish(program or IMAPD)
            self.start(options, xinetd)
        except BaseException:
            self.discard()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.stop()
        except RuntimeError:
            if kind is None:    # else what has gone wrong says more
                raise

    # ---- what lies where ----

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def home(self, user):
        return self.path("home", user)

    def inbox(self, user):
        return self.path("spool", user)

    def password(self, user):
        return self.passwords[user]

    def ids(self, user):
        """(uid, gid) of a user."""
        if not ROOT:
            return os.getuid(), os.getgid()
        n = FIRST_UID + self.users.index(user)
        return n, n

    def own(self, path, user=None):
        """Gives a file to the user (the first); returns its path."""
        if ROOT:
            os.chown(path, *self.ids(user or self.users[0]),
                     follow_symlinks=False)
        return path

    def as_user(self, user):
        """What stands in front of a command that the user gives."""
        uid, gid = self.ids(user)
        return ["setpriv", "--reuid=%d" % uid, "--regid=%d" % gid,
                "--clear-groups", "--"] if ROOT else []

    def env(self, user):
        """And its environment."""
        return {"USER": user, "LOGNAME": user, "HOME": self.home(user),
                "MAIL": self.inbox(user), "TZ": "UTC", "LC_ALL": "C",
                "PATH": os.defpath, "TERM": "vt100"}

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def furnish(self, program):
        for name, mode in (("home", 0o755), ("spool", 0o1777)):
            os.mkdir(self.path(name))
            os.chmod(self.path(name), mode)
        entries = ""
        for user in self.users:
            os.mkdir(self.home(user), 0o700)
            with open(self.inbox(user), "wb"):
                os.chmod(self.inbox(user), 0o600)
            self.own(self.home(user), user)
            self.own(self.inbox(user), user)
            entries += "%s:%s:%d:%d::%s:\n" % (
                user, crypt_hash(self.password(user)), *self.ids(user),
                self.home(user))
        self.write("passwd", entries, 0o600)
        self.write("log", "")
        self.write("serve", WRAPPER.format(dir=self.dir), 0o755)
        # Before anything is started: what a process that has just been
        # forked holds open for writing can not be executed.
        os.chmod(shutil.copyfile(program, self.path("imapd")), 0o755)

    # ---- xinetd ----

    def configuration(self, options, more):
        entry = {"type": "UNLISTED", "socket_type": "stream",
                 "protocol": "tcp", "wait": "no", "bind": "127.0.0.1",
                 "port": self.port, "server": self.path("serve"),
                 "user": "root" if ROOT else os.getuid(),
                 "instances": "UNLIMITED", "per_source": "UNLIMITED",
                 "cps": "100000 1", "flags": "NOLIBWRAP",
                 "log_type": "FILE " + self.path("xinetd.log"),
                 "server_args": " ".join(options) or None, **more}
        return "service imap-test\n{\n" + "".join(
            "\t%s = %s\n" % item for item in entry.items()
            if item[1] is not None) + "}\n"

    def start(self, options, more):
        if XINETD is None:
            raise RuntimeError("xinetd is not installed")
        for _ in range(TRIES):
            with socket.create_server(("127.0.0.1", 0)) as s:
                self.port = s.getsockname()[1]
            conf = self.write("xinetd.conf", self.configuration(
                options, more))
            with open(self.path("xinetd.log"), "ab") as said:
                self.process = subprocess.Popen(
                    [XINETD, "-dontfork", "-f", conf, "-filelog",
                     self.path("xinetd.log"), "-pidfile",
                     self.path("xinetd.pid")], cwd="/",
                    env={"PATH": os.defpath, "TZ": "UTC"},
                    stdin=subprocess.DEVNULL, stdout=said, stderr=said)
            self.pid = self.process.pid
            self.until(lambda: self.process.poll() is not None or
                       listens(self.pid, self.port), "xinetd to listen")
            if self.process.poll() is None:
                return
        with open(self.path("xinetd.log"), errors="replace") as f:
            raise RuntimeError("xinetd does not start: " + f.read()[-600:])

    def until(self, done, what, seconds=WATCHDOG):
        """Looks again and again; what done() returns when it is true."""
        end = time.monotonic() + seconds
        while True:
            got = done()
            if got:
                return got
            if time.monotonic() > end:
                raise RuntimeError("waited in vain for " + what)
            time.sleep(POLL)

    def servers(self):
        """The pids of all that xinetd has started, and of their children."""
        now = processes()
        found = {self.pid}
        while True:
            more = {pid for pid, (parent, state) in now.items()
                    if parent in found and state != "Z"} - found
            if not more:
                return sorted(found - {self.pid})
            found |= more

    def wait_idle(self):
        """Until no server runs."""
        self.until(lambda: not self.servers(), "the servers to end")

    def stop(self):
        """Ends xinetd; RuntimeError if a server is left when all of our
        clients have gone."""
        bad = ""
        for client in self.clients:
            client.close()
        try:
            self.wait_idle()
        except RuntimeError:
            bad = "servers left: %s; log: %s" % (
                self.servers(), self.log()[-600:])
        finally:
            self.discard()
        if bad:
            raise RuntimeError(bad)

    def discard(self):
        if self.process is not None and self.process.returncode is None:
            for pid in self.servers():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.terminate()
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- what a test does with it ----

    def connect(self, user=None):
        """A client that has read the greeting, and is logged in if a user
        is named."""
        client = Client(self.port)
        self.clients.append(client)
        if user is not None:
            client.ok('LOGIN %s "%s"' % (user, re.sub(
                r'(["\\])', r"\\\1", self.password(user))))
        return client

    def log(self):
        """What the servers have written to their log so far."""
        with open(self.path("log"), encoding="latin-1") as f:
            return f.read()

    def wait_log(self, regex, at=0):
        """The match of a regular expression (with re.M) in the log from
        `at` on, as soon as there is one."""
        return self.until(lambda: re.compile(regex, re.M).search(
            self.log(), at), "a log line like " + regex)
