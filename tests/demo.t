#!/usr/bin/env python3
"""The demo, as "make run" starts it: what it prints can be typed and shows
the sample mail, and when it ends nothing runs on. It works in a clone whose
path has a space, as root and as an ordinary user. TAP."""

import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hostile
from service import XINETD, Client, listens

tap = hostile.Tap()
READY = "Ready; Ctrl-C ends it.\n"
MAIN = 54           # messages in the INBOX that the demo makes


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def clone(place, name):
    """As much of one as the demo takes: the program and the tests."""
    top = os.path.join(place, name)
    os.mkdir(top)
    os.symlink(os.path.join(hostile.TOP, "tests"), os.path.join(top, "tests"))
    shutil.copy(hostile.IMAPD, os.path.join(top, "imapd"))
    return top


def environment(**more):
    return {**os.environ, "IMAPD": "./imapd", "LC_ALL": "C.UTF-8", **more}


def hear():
    """Who runs the tests in the background, or under nohup, may not know
    Ctrl-C, or the terminal's end."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Demo:
    """One that runs; what it printed until it was ready."""

    def __init__(self, top, port=None):
        self.top = top
        self.port = port or free_port()
        self.process = subprocess.Popen(
            ["tests/demo"], cwd=top, env=environment(PORT=str(self.port)),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
            preexec_fn=hear)
        self.text = ""
        while not self.text.endswith(READY):
            line = self.process.stdout.readline()
            if not line:
                self.process.stdout.close()
                raise RuntimeError("the demo ends, status %d: %s" % (
                    self.process.wait(), self.text))
            self.text += line
        self.place = os.path.realpath(os.path.join(top, "demo"))
        with open(os.path.join(self.place, "xinetd.pid")) as f:
            self.xinetd = int(f.read())
        self.password = re.search(r"password +(\S+)", self.text).group(1)
        self.spool = os.path.join(self.place, "spool", "riley")

    def command(self, *words):
        """The one line it prints that begins and ends so."""
        found = [line.strip() for line in self.text.splitlines()
                 if line.startswith("    " + words[0] + " ") and
                 line.endswith(words[-1])]
        if len(found) != 1:
            raise RuntimeError("%r: %r" % (words, found))
        return found[0]

    def typed(self, command):
        p = subprocess.run(["sh", "-c", command], cwd="/", env=environment(
            HOME=self.top), stdin=subprocess.DEVNULL, capture_output=True)
        return p.returncode, p.stdout

    def log(self):
        with open(os.path.join(self.place, "log")) as f:
            return f.read()

    def left(self):
        """Processes with its directory in their command line."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    words = f.read()
            except OSError:     # it has ended meanwhile
                continue
            if self.place.encode() + b"/" in words:
                found.append(words.replace(b"\0", b" ").decode())
        return found

    def ended(self, end):
        """Complaints after end(), which is to end it."""
        end()
        rest = self.process.stdout.read()   # until nobody holds it
        status = self.process.wait()
        bad = [] if status == 0 else ["exit status %d" % status]
        if not rest.endswith("The demo has ended.\n"):
            bad.append("its last words are " + rest[-200:])
        bad += ["still there: " + words for words in self.left()]
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", self.port)) == 0:
                bad.append("the port is still open")
        self.text += rest
        return bad

    def discard(self):
        """Whatever has happened to it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(hostile.WATCHDOG)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.stdout.close()
        clean(self.top)


def clean(top):
    return subprocess.run(["tests/demo", "clean"], cwd=top).returncode


def expect(want, got):
    return [] if want == got else ["%r, should be %r" % (got, want)]


def curl(demo):
    number = " ".join(map(str, range(1, MAIN + 1))).encode()
    status, said = demo.typed(demo.command("curl", 'INBOX?ALL"'))
    bad = expect((0, b"* SEARCH " + number + b"\r\n"), (status, said))
    status, said = demo.typed(demo.command("curl", 'MAILINDEX=1"'))
    with open(demo.spool, "rb") as f:
        body = f.read().split(b"\n\n", 1)[1].split(b"\nFrom ")[0]
    head, text = said.replace(b"\r\n", b"\n").split(b"\n\n", 1)
    if not (status == 0 and b"\nSubject: Workshop roof\n" in head and
            text.strip() == body.strip()):
        bad.append("one message, status %d: %r" % (status, said[:200]))
    return bad


def mutt(demo):
    """Under a terminal: reads what comes until the INBOX stands there, then
    types x, which leaves it as it is."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir("/")
        os.execvpe("sh", ["sh", "-c", demo.command("mutt", "INBOX\"")],
                   environment(HOME=demo.top, TERM="vt100"))
    screen, typed = b"", False
    end = time.monotonic() + hostile.WATCHDOG
    while time.monotonic() < end and select.select([fd], [], [], 10)[0]:
        try:
            data = os.read(fd, 65536)
        except OSError:         # the terminal's way to say the end
            data = b""
        if not data:
            break
        screen += data
        if not typed and b"Msgs:%d " % MAIN in screen:
            os.write(fd, b"x")
            typed = True
    else:
        os.kill(pid, signal.SIGKILL)
    os.close(fd)
    status = os.waitpid(pid, 0)[1]
    return [] if typed and status == 0 else ["status %d, screen: %r" % (
        status, screen[-300:])]


def users(demo):
    """Both can log in; a wrong password lets nobody in."""
    bad = []
    with Client(demo.port) as c:
        tagged = c.cmd("LOGIN alex wrong" + demo.password)[1]
        if not tagged.startswith(b"NO [AUTHENTICATIONFAILED]"):
            bad.append("wrong password: %r" % tagged)
        c.ok("LOGIN alex " + demo.password)
        c.ok("SELECT INBOX")
        c.ok("CREATE attic/old")
        c.ok("COPY 1:3 attic/old")
        c.logout()
    with Client(demo.port) as c:
        c.ok("LOGIN riley " + demo.password)
        names = {line.split()[-1].decode() for line in c.ok('LIST "" *')
                 if b"Noselect" not in line}
        bad += expect({"INBOX", "lists/odd", "office/roof"}, names)
        for name in names:
            c.ok("SELECT " + name)
        c.logout()
    made = os.path.join(demo.place, "home", "alex", "attic", "old")
    want = 64002 if hostile.ROOT else os.getuid()
    return bad + expect(want, os.stat(made).st_uid)


def secrets(demo):
    """Only the owner reads the file; the hashes are SHA-512."""
    mode = os.stat(os.path.join(demo.place, "passwd")).st_mode & 0o777
    bad = expect(0o600, mode)
    with open(os.path.join(demo.place, "passwd")) as f:
        entries = [line.split(":") for line in f]
    bad += ["hash " + e[1] for e in entries
            if not re.fullmatch(r"\$6\$[a-z2-9]{12}\$[./0-9A-Za-z]{86}", e[1])]
    bad += expect(["riley", "alex"], [e[0] for e in entries])
    if demo.password in demo.log():
        bad.append("the password is in the log")
    return bad


def only_here(demo):
    """The one socket of xinetd listens on 127.0.0.1."""
    return [] if listens(demo.xinetd, demo.port) else ["it does not"]


def log_shown(demo):
    """What is in demo/log was printed as well."""
    want = demo.log()
    bad = [] if demo.text.endswith(READY + want + "The demo has ended.\n") \
        else ["printed: %r" % demo.text[-300:]]
    for line in (r"Login user=alex host=\[127.0.0.1\]",
                 r"Authenticated user=riley host=\[127.0.0.1\] mech=PLAIN",
                 r"Login failed user=alex auth=alex host=\[127.0.0.1\]",
                 r"Logout user=riley host=\[127.0.0.1\]"):
        if not re.search(line + "$", want, re.M):
            bad.append("no line %s in %r" % (line, want))
    return bad


def refused(top, port, *words):
    """It ends at once, with these words, and touches nothing."""
    before = os.path.realpath(os.path.join(top, "demo"))
    try:
        Demo(top, port).discard()
        return ["it runs"]
    except RuntimeError as e:
        said = str(e)
    bad = ["no %r in %r" % (word, said) for word in words if word not in said]
    if os.path.realpath(os.path.join(top, "demo")) != before or \
            os.path.exists(before) != os.path.exists(before + "/spool"):
        bad.append("./demo has changed")
    return bad


def taken(top):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = str(s.getsockname()[1])
        bad = refused(top, port, "status 1", port, "make run PORT=")
    return bad + refused(top, "imap", "status 1", "make run PORT=")


def cleaned(demo):
    """A second demo and "make clean" take the first one's place away."""
    bad = expect(0, clean(demo.top))
    return bad + ["%s is still there" % path
                  for path in (os.path.join(demo.top, "demo"), demo.place)
                  if os.path.lexists(path)]


def foreign_link(top):
    """./demo may be a link of somebody's own making."""
    other = os.path.join(top, "other")
    os.mkdir(other)
    os.symlink(other, os.path.join(top, "demo"))
    clean(top)
    return expect((True, False), (os.path.isdir(other), os.path.lexists(
        os.path.join(top, "demo"))))


def in_a_space(place):
    """Ended by Ctrl-C, which the terminal sends to all of its processes."""
    demo = Demo(clone(place, "a clone"))
    try:
        tap.point("in a clone with a space in its path it runs from /tmp",
                  [] if demo.place.startswith("/tmp/imapd-demo.") else
                  [demo.place])
        tap.point("xinetd listens on 127.0.0.1", only_here(demo))
        tap.point("the curl lines show the INBOX and a message", curl(demo))
        if shutil.which("mutt"):
            tap.point("the mutt line opens the INBOX", mutt(demo))
        else:
            tap.skip("the mutt line opens the INBOX", "no mutt")
        tap.point("both users log in and have their mailboxes", users(demo))
        tap.point("passwords are kept from others",
                  secrets(demo))
        tap.point("a second demo leaves the first one alone",
                  refused(demo.top, None, "status 1", "runs already"))
        tap.point("Ctrl-C ends it, and nothing runs on", demo.ended(
            lambda: os.killpg(demo.process.pid, signal.SIGINT)))
        tap.point("log lines are printed", log_shown(demo))
        tap.point("clean takes away what it made", cleaned(demo))
    finally:
        demo.discard()


def session_ends(demo, end):
    """While somebody is logged in."""
    with Client(demo.port) as c:
        c.ok("LOGIN riley " + demo.password)
        c.ok("SELECT INBOX")
        bad = demo.ended(end)
        bad += expect((b"* BYE Server shutting down", b""),
                      (c.answer(), c.answer()))
    if not demo.log().endswith("Killed (terminated) user=riley "
                               "host=[127.0.0.1]\n"):
        bad.append("log: " + demo.log())
    return bad


def one_by_one(place):
    """Started again and again in one clone."""
    top = clone(place, "clone")
    seen = set()
    for number, (name, private, end) in enumerate((
            ("SIGTERM ends it, and the session of a client", False,
             lambda d: d.process.terminate()),
            ("the terminal's end ends it and the session", True,
             lambda d: os.killpg(d.process.pid, signal.SIGHUP)),
            ("it ends when xinetd ends, and the session, too", False,
             lambda d: os.kill(d.xinetd, signal.SIGTERM)))):
        os.chmod(place, 0o700 if private else 0o755)
        demo = Demo(top)
        try:
            seen.add(demo.password)
            if private and hostile.ROOT:
                tap.point("where users can not go it runs from /tmp",
                          [] if demo.place.startswith("/tmp/imapd-demo.")
                          else [demo.place])
            elif number < 2:
                tap.point("elsewhere it runs from ./demo",
                          expect(os.path.join(top, "demo"), demo.place))
            tap.point(name, session_ends(demo, lambda: end(demo)))
        finally:
            demo.discard()
    tap.point("each one has another password", expect(3, len(seen)))


def hangs(number, frame):
    raise RuntimeError("something hangs")


def main():
    signal.signal(signal.SIGALRM, hangs)
    signal.alarm(4 * hostile.WATCHDOG)
    if XINETD is None:
        print("1..0 # SKIP no xinetd")
        return 0
    with tempfile.TemporaryDirectory(prefix="imapd-demotest.") as place:
        place = os.path.realpath(place)
        os.chmod(place, 0o755)
        in_a_space(place)
        one_by_one(place)
        top = clone(place, "third")
        tap.point("a port that it can not have is said", taken(top))
        tap.point("clean follows no other link", foreign_link(top))
    return tap.end()


sys.exit(main())
