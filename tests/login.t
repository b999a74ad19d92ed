#!/usr/bin/env python3
"""login.t - who gets in and who does not: LOGIN, AUTHENTICATE PLAIN and
AUTHENTICATE LOGIN in every form, right and wrong, bad bytes in all of them,
what is counted and what is not, and what the log says. Each answer goes
through the validator. Names of known holes in other servers (CVE-...) stand
where their kind is tried on ours. The dialogues are in login_talk.py and
login_cases.py; what looks at a password has tests of its own."""

import base64
import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
import login
import login_cases
from login import HOST, ROOT, Room, Tap, message
from login_cases import ODD, clean, odd_name, plain_text
from login_talk import CANCELLED, COUNTED, LOG, ORDER, complaints, dialogues, \
    note_log, play


# ---- cut off ----

# A login, and what its last bytes are.
CUT = [
    (b"a LOGIN riley firetruck\r\nb NOOP\r\n", b"firetruck\r\n"),
    (b"a LOGIN {5+}\r\nriley {9+}\r\nfiretruck\r\nb NOOP\r\n",
     b"firetruck\r\n"),
    (b"a AUTHENTICATE PLAIN AHJpbGV5AGZpcmV0cnVjaw==\r\nb NOOP\r\n",
     b"aw==\r\n"),
    (b"a AUTHENTICATE PLAIN\r\nAHJpbGV5AGZpcmV0cnVjaw==\r\nb NOOP\r\n",
     b"aw==\r\n"),
    (b"a AUTHENTICATE LOGIN\r\ncmlsZXk=\r\nZmlyZXRydWNr\r\nb NOOP\r\n",
     b"dWNr\r\n"),
]


def hear_cut(room, case):
    """Ends the input behind the first n bytes. In is who sent the whole
    command, and nobody else."""
    data, last, n = case
    with room.client() as c:
        c.send(data[:n])
        bad = c.finish() + c.check_said()
        log = c.log()
        whole = n >= data.index(last) + len(last)
        said = re.search(rb"^a OK ", bytes(c.raw), re.M) is not None
        logged = any(re.match("(Login|Authenticated) user=riley", line)
                     for line in log)
        if not whole == said == logged:
            bad.append("it is %sin" % ("" if said else "not "))
        if b"a NO" in c.raw:
            bad.append("half a command was tried")
        if not log or not log[-1].startswith("Connection closed user="):
            bad.append("the log does not say how it ended")
        note_log(log)
        return [c.wrong("%r cut at %d: %s" % (data, n, x)) for x in bad]


def test_cut(room, tap):
    cases = [(data, last, n) for data, last in CUT
             for n in range(len(data) + 1)]
    tap.point("CVE-2017-15132, CVE-2019-11494: the client hangs up behind "
              "each byte: %d connections" % len(cases),
              complaints(hear_cut, room, cases))


def hear_bytes(room, data):
    with room.client() as c:
        c.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(data)):
            c.send(data[i:i + 1])
        bad = c.finish() + c.check_said()
        if not re.search(rb"^a OK .*^b OK ", bytes(c.raw), re.M | re.S):
            bad.append("not in")
        return [c.wrong("%r, byte by byte: %s" % (data, x)) for x in bad]


def test_bytes(room, tap):
    tap.point("each byte of a login in a segment of its own",
              complaints(hear_bytes, room, [data for data, _ in CUT]))


# ---- who one is then ----

def capabilities(line):
    return re.search(rb"CAPABILITY ([^\]\r\n]*)", line).group(1).split()


def ask_capabilities(c):
    return capabilities(next(line for line in c.cmd(b"c CAPABILITY")
                             if line.startswith(b"* CAPABILITY")))


BEFORE_LOGIN = {b"AUTH=PLAIN", b"AUTH=LOGIN", b"SASL-IR"}


def check_capabilities(greeting, before, code, after):
    if greeting != before:
        yield "the greeting has other capabilities than CAPABILITY"
    if code != after:
        yield "the code has other capabilities than CAPABILITY"
    for one in BEFORE_LOGIN | {b"IMAP4rev1"}:
        if before.count(one) != 1:
            yield "%s is not there before login" % one.decode()
    if set(before) - set(after) != BEFORE_LOGIN:
        yield "login takes away %r" % (set(before) - set(after))
    for one in before + after:
        if one in (b"LOGINDISABLED", b"STARTTLS"):
            yield "%s is there" % one.decode()
    if any(one.startswith(b"AUTH=") for one in after):
        yield "AUTH= is there after login"


def check_person(c, p):
    """Are these his mailboxes?"""
    with open(p.inbox, "rb") as f:
        n = len(re.findall(b"^From ", f.read(), re.M))
    if b"* STATUS INBOX (MESSAGES %d)" % n not in c.cmd(
            b"s STATUS INBOX (MESSAGES)"):
        yield "it is not %s's INBOX" % p.name.decode()
    c.cmd(b"d CREATE made")
    if not os.path.exists(os.path.join(p.home, "made")):
        yield "it is not %s's home" % p.name.decode()


def core_size(proc):
    with open(proc + "limits") as f:
        return re.search(r"^Max core file size +(\S+)", f.read(), re.M)[1]


def check_process(c, p):
    """What the process is, and what is left of the login."""
    proc = "/proc/%d/" % c.process.pid
    with open(proc + "status") as f:
        status = {key: value.split() for key, _, value in
                  (line.partition(":") for line in f)}
    gid = p.uid if ROOT else os.getegid()
    if status["Uid"] != [str(p.uid)] * 4 or \
            status["Gid"] != [str(gid)] * 4:
        yield "its ids are %s and %s" % (status["Uid"], status["Gid"])
    if ROOT and status["Groups"] not in ([], [str(gid)]):
        yield "it has the groups %s" % status["Groups"]
    if ROOT and int(status["CapEff"][0], 16) | int(status["CapPrm"][0], 16):
        yield "it has capabilities of the system"
    if status["NoNewPrivs"] != ["1"]:
        yield "it could gain rights by exec"
    if os.stat(proc + "status").st_uid != 0:
        yield "his other processes can look into it"
    if core_size(proc) != "0":
        yield "it could leave a core with mail in it"
    if login.children(c.process.pid):
        yield "a process of the login is still there"
    for fd in os.listdir(proc + "fd") if ROOT else []:
        if os.readlink(proc + "fd/" + fd) == c.room.passwd:
            yield "the password file is open"


def look_inside(room, case):
    p, command = case
    with room.client() as c:
        greeting = capabilities(c.line())
        before = ask_capabilities(c)
        code = capabilities(c.cmd(command)[-1])
        after = ask_capabilities(c)
        bad = list(check_capabilities(greeting, before, code, after))
        bad += check_person(c, p)
        bad += check_process(c, p)
        bad += c.finish() + c.check_said()
        note_log(c.log())
        return [c.wrong(x) for x in bad]


def test_inside(room, tap):
    cases = []
    for name in (b"riley", b"alex", b"per%cent", b"x" * 255):
        p = room.people[name]
        cases += [(p, b'a LOGIN "%s" "%s"' % (p.name, p.password)), (
            p, b"a AUTHENTICATE PLAIN " + base64.b64encode(
                plain_text(p.name, p.password)))]
    tap.point("after login: his mailboxes, his ids, no rights besides, and "
              "capabilities that agree", complaints(look_inside, room, cases))


# ---- while it is asked ----

def look_at_worker(c):
    """The process that sees the password file, and nothing of the client."""
    worker = login.wait_until(lambda: login.workers(c.process.pid),
                              "a worker")[0]
    proc = "/proc/%d/" % worker
    # It sets itself apart first; then it looks for about a second.
    login.wait_until(lambda: os.readlink(proc + "fd/0") == "/dev/null",
                     "a worker set apart")
    for fd in os.listdir(proc + "fd"):
        if os.readlink(proc + "fd/" + fd).startswith("socket:"):
            yield "the worker has the client's socket"
    if core_size(proc) != "0":
        yield "the worker could leave a core with hashes in it"
    with open("/proc/%d/status" % c.process.pid) as f:
        uid = re.search(r"^Uid:\t(\d+)", f.read(), re.M)[1]
    if uid != str(os.geteuid()):
        yield "it is somebody before it is known who"


def test_worker(room, tap):
    name = "CVE-1999-1224, CVE-1999-1445: who looks at the password is apart from the " \
        "client, and leaves no core"
    if not ROOT:
        tap.skip(name, "needs root")    # so well apart is it
        return
    with room.client() as c:
        c.line()
        c.send(b"a LOGIN slow firetruck\r\n")
        bad = list(look_at_worker(c))
        if not c.answer()[-1].startswith(b"a OK "):
            bad.append(c.wrong("not in"))
        bad += c.finish() + c.check_said()
        note_log(c.log())
    tap.point(name, bad)


def peak(c):
    """The most memory that it has had, in KiB."""
    with open("/proc/%d/status" % c.process.pid) as f:
        return int(re.search(r"^VmHWM:\s*(\d+) kB", f.read(), re.M)[1])


def test_many_cancelled(room, tap):
    """One connection, one exchange after the other."""
    bad = []
    measured = not login.sanitised()
    with room.client() as c:
        c.line()
        for n in range(1100):
            c.cmd(b"a AUTHENTICATE LOGIN " + base64.b64encode(b"x" * 3000))
            if c.cmd(b"*") != [b"a NO AUTHENTICATE LOGIN failed"]:
                bad.append(c.wrong("exchange %d" % n))
                break
            if n == 100:
                before = peak(c)
        if not bad and measured and peak(c) > before + 64:
            bad.append("it grows from %d to %d KiB" % (before, peak(c)))
        bad += c.finish() + c.check_said()
        note_log(c.log())
    tap.point("CVE-2019-11499: a thousand cancelled exchanges take no "
              "memory", bad)


# ---- what the log is told ----

NAMES = re.compile(r"(user=|auth=|no login for )\S*")
KNOWN = re.compile(r"(Login|Authenticated|Logout|Refused|Connection closed|"
                   r"no login for) [ -~]*")


def test_log(room, tap):
    """All that was logged by now. A name that was typed is no secret."""
    secrets = {clean(p.password) for p in room.people.values()} | {
        "Firetruck", base64.b64encode(b"\0riley\0firetruck").decode(),
        base64.b64encode(b"firetruck").decode()}
    told = "\n".join(NAMES.sub("", line) for line in LOG)
    tap.point("no password is in the log: %d lines" % len(LOG),
              ["it has the password " + s for s in secrets if s in told])
    tap.point("each line of the log is of a known kind",
              [line for line in LOG if not KNOWN.fullmatch(line)])


FILTER = "/etc/fail2ban/filter.d/uwimap-auth.conf"


def fail2ban(lines):
    """The addresses that its stock filter finds, one for each line that it
    matches."""
    with tempfile.NamedTemporaryFile("w", suffix=".log") as f:
        f.writelines("Nov 23 12:00:00 mailhost imapd[4711]: %s\n" % line
                     for line in lines)
        f.flush()
        return subprocess.run(
            ["fail2ban-regex", "--usedns=no", "-o", "ip", f.name, FILTER],
            capture_output=True, text=True).stdout.split()


def test_fail2ban(tap):
    name = "fail2ban's stock filter finds who was refused, and nobody else"
    if shutil.which("fail2ban-regex") is None or not os.path.exists(FILTER):
        tap.skip(name, "fail2ban is not installed")
        return
    failed = [line for line in LOG if re.match(
        "Login (failed|excessive login failures) ", line)]
    others = [line for line in LOG if line not in set(failed)]
    # As if somebody else had typed each.
    lines = {"10.0.%d.%d" % divmod(n, 250): line
             for n, line in enumerate(failed)}
    got = fail2ban([line.replace(HOST, "[%s]" % ip)
                    for ip, line in lines.items()])
    bad = [] if failed else ["nobody was refused"]
    bad += ["it misses " + line for ip, line in lines.items()
            if ip not in got]
    bad += ["it finds %s there" % ip for ip in set(got) - set(lines)]
    bad += ["it finds %s in other lines" % x for x in fail2ban(others)]
    v6 = "2001:db8::7"
    if fail2ban(["Login failed user=x auth=x host=[%s]" % v6]) != [v6]:
        bad.append("it does not find IPv6")
    tap.point(name + ": %d lines" % len(lines), bad)


# ---- without privacy ----

def says_disabled(line):
    """Do the capabilities say that no password is taken? True, False, or
    None if they do not know."""
    found = set(capabilities(line)) & (BEFORE_LOGIN | {b"LOGINDISABLED"})
    return True if found == {b"LOGINDISABLED"} else \
        False if found == BEFORE_LOGIN else None


def test_plaintext(room, tap):
    bad = []
    for option in ("no", "yes", "auto"):
        with room.client(options=["--plaintext=" + option]) as c:
            for line in (c.line(), c.cmd(b"a CAPABILITY")[0]):
                if says_disabled(line) is not (option == "no"):
                    bad.append(c.wrong("--plaintext=" + option))
            bad += c.finish() + c.check_said()
    tap.point("--plaintext shows in the capabilities", bad)


# ---- a client from elsewhere ----

class Elsewhere:
    """Two hosts: network namespaces with a cable between them. A socket
    stays in the one in which it was made; so does what a thread starts."""

    HERE, THERE = "192.0.2.1", "192.0.2.2"

    def __init__(self):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.there = self.new()
        self.here = self.new()
        self.ip("link", "add", "near", "type", "veth", "peer", "name", "far",
                "netns", "/proc/%d/fd/%d" % (os.getpid(), self.there))
        self.plug(self.here, "near", self.HERE)
        self.plug(self.there, "far", self.THERE)

    def call(self, what, *args):
        if getattr(self.libc, what)(*args) != 0:
            raise OSError(ctypes.get_errno(), what)

    def new(self):
        self.call("unshare", 0x40000000)        # CLONE_NEWNET
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def enter(self, fd):
        self.call("setns", fd, 0x40000000)

    def ip(self, *args):
        subprocess.run(["ip", *args], check=True, capture_output=True)

    def plug(self, fd, name, address):
        self.enter(fd)
        self.ip("link", "set", "lo", "up")
        self.ip("addr", "add", address + "/24", "dev", name)
        self.ip("link", "set", name, "up")

    def ends(self, client):
        """A connection to the host HERE, on which this thread is then."""
        self.enter(self.here)
        with socket.create_server((self.HERE, 0)) as door:
            self.enter(client)
            near = socket.create_connection(door.getsockname(), 30)
            self.enter(self.here)
            return near, door.accept()[0]

    def far(self):
        return self.ends(self.there)

    def own(self):
        return self.ends(self.here)

    def close(self):
        os.close(self.here)
        os.close(self.there)


def from_elsewhere(room, e):
    for ends, host, options, disabled in (
            (e.far, e.THERE, ["--plaintext=auto"], True),
            (e.far, e.THERE, [], True),
            (e.far, e.THERE, ["--plaintext=yes"], False),
            (e.far, e.THERE, ["--plaintext=no"], True),
            (e.own, e.HERE, ["--plaintext=auto"], False),
            (e.own, e.HERE, [], False),
            (e.own, e.HERE, ["--plaintext=no"], True)):
        what = "%s from %s: " % (options, host)
        with room.client(options=options, ends=ends) as c:
            if says_disabled(c.line()) is not disabled:
                yield c.wrong(what + "wrong greeting")
            said = c.cmd(b"a LOGIN riley firetruck")[-1]
            if not said.startswith(b"a NO [PRIVACYREQUIRED] " if disabled
                                   else b"a OK ["):
                yield c.wrong(what + "wrong answer")
            yield from c.finish() + c.check_said()
            want = "Connection closed user=%s host=[%s]" % (
                "???" if disabled else "riley", host)
            if c.log()[-1:] != [want]:
                yield "%sthe log has %s, not %s" % (what, c.log()[-1:], want)


def test_elsewhere(room, tap):
    name = "from another host a password in clear text only as --plaintext " \
        "says"
    if not ROOT:
        tap.skip(name, "needs root")
        return
    result = []

    def work():
        try:
            e = Elsewhere()
        except (OSError, AttributeError, subprocess.CalledProcessError) as x:
            result.append((tap.skip, "no network namespaces here: %s" % x))
            return
        try:
            result.append((tap.point, list(from_elsewhere(room, e))))
        except Exception as x:
            result.append((tap.point, [repr(x)]))
        e.close()

    # In a thread of its own: this process stays where it is.
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    for say, what in result:
        say(name, what)


def inet6(address, family):
    """How to connect to a server that listens on IPv6."""
    def ends():
        with socket.socket(socket.AF_INET6) as door:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            door.bind(("::", 0))
            door.listen()
            near = socket.socket(family)
            near.connect((address, door.getsockname()[1]))
            return near, door.accept()[0]
    return ends


def test_inet6(room, tap):
    name = "IPv6, and IPv4 in IPv6: this host is this host"
    try:
        for end in inet6("::1", socket.AF_INET6)():
            end.close()
    except OSError:
        tap.skip(name, "there is no IPv6 here")
        return
    bad = []
    for address, family, host in (("::1", socket.AF_INET6, "[::1]"),
                                  ("127.0.0.1", socket.AF_INET, HOST)):
        with room.client(ends=inet6(address, family)) as c:
            c.line()
            c.cmd(b"a LOGIN riley firetruck")
            bad += c.finish() + c.check_said()
            if c.log()[:1] != ["Login user=riley host=" + host]:
                bad.append(c.wrong("the log has %s" % c.log()))
    tap.point(name, bad)


# ---- what may not be ----

def test_start(room, tap):
    bad = []
    for option in ("--auth=x", "--auth=file:", "--auth=", "--plaintext=",
                   "--plaintext=perhaps", "--login-timeout=x",
                   "--login-timeout=-1", "--login-timeout="):
        with room.client(options=[option]) as c:
            if c.line() or c.end() == [] or c.status != 64:
                bad.append(c.wrong("%s: status %s" % (option, c.status)))
    tap.point("options that make no sense are refused, and nobody is greeted",
              bad)


def test_no_auth(room, tap):
    """DESIGN 4: not root and on an internet socket, but without --auth."""
    name = "an ordinary user's server without --auth turns everybody away"
    if ROOT:
        tap.skip(name, "for an ordinary user")
        return
    near, theirs = login.loopback()
    with near, near.makefile("rb") as said, theirs:
        p = subprocess.Popen([room.program, "--log=stderr"], stdin=theirs,
                             stdout=theirs, stderr=subprocess.DEVNULL,
                             cwd="/", env={"PATH": os.defpath})
        theirs.close()
        words = said.read()
        p.wait()
    tap.point(name, [] if re.fullmatch(rb"\* BYE [^\r\n]*\r\n", words) and
              p.returncode == 1 else [login.show(words)])


def furnish(room):
    room.person(b"riley", b"firetruck", mail=message(1))
    room.person(b"alex", b"hay.stack", mail=message(1) + message(2))
    room.person(b"per%cent", b"firetruck",
                mail=b"".join(map(message, range(3))))
    room.person(b"x" * 255, b"y" * 511,
                mail=b"".join(map(message, range(4))))
    for n, odd in enumerate(ODD):
        room.person(odd_name(n), b"fire" + odd + b"truck")
    room.person(b"slow", b"firetruck", login.crypted(
        b"firetruck", login.sha512(4000000)))
    hashed, home = login.crypted(b"firetruck"), room.dir("nobody")
    uid = 64090 if ROOT else os.geteuid()
    for name, field, who in (
            (b"nohash", "", uid), (b"bang", "!" + hashed, uid),
            (b"star", "*", uid), (b"other", hashed, uid + 1),
            (b"system", hashed, 99), (b"toor", hashed, 0),
            (b".dot", hashed, uid), (b"-dash", hashed, uid),
            (b"sl/ash", hashed, uid), (b"#comment", hashed, uid),
            # A name that is there twice: the first counts.
            (b"riley", login.crypted(b"no-1"), uid)):
        room.entry(name, field, who, home)


def main():
    tap = Tap()
    with Room() as room:
        furnish(room)
        play(room, tap, [
            # The slowest first: three refusals, one behind the other.
            ("what is counted", dialogues(COUNTED)),
            ("what costs no try", dialogues(CANCELLED)),
            ("before and after a login", dialogues(ORDER)),
            ("CVE-2005-0198: LOGIN in every form", login_cases.login_forms()),
            ("CVE-2005-0198: AUTHENTICATE in every form",
             login_cases.sasl_forms()),
            ("CVE-2025-59028: bad responses at each step",
             login_cases.bad_lines()),
            ("bad messages of PLAIN", login_cases.bad_messages()),
            ("CVE-1999-0005, CVE-1999-0042, CVE-2004-1011: names and "
             "passwords of every size", login_cases.sizes()),
            ("the longest that can be right", login_cases.longest()),
            ("CVE-2019-11500: NUL at every place", login_cases.nul_anywhere()),
            ("CVE-2008-1218, CVE-2019-10691, CVE-2020-7046, "
             "CVE-2004-0777: bytes with a "
             "meaning", login_cases.odd_bytes()),
            ("who can not log in", login_cases.strangers()),
            ("nobody can be asked", login_cases.unavailable(room)),
            ("names that look like log lines", login_cases.forged()),
            ("T-S7: --plaintext=no", login_cases.no_privacy())])
        for test in (test_cut, test_bytes, test_inside, test_worker,
                     test_many_cancelled, test_plaintext,
                     test_elsewhere, test_inet6, test_start, test_no_auth,
                     test_log):
            test(room, tap)
        test_fail2ban(tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
