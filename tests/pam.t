#!/usr/bin/env python3
"""pam.t - LOGIN with the system's real PAM and real shadow passwords: who
gets in, who does not, and what PAM's modules can do to us. Needs root, and
touches nothing of the system: each server runs in a mount namespace of its
own, where /etc/passwd and its like are the test's. TAP.

Where PAM should do something odd, a module does it that is compiled here.
"""

import concurrent.futures
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from login import YESCRYPT, crypted

IMAPD = os.path.abspath(os.environ.get("IMAPD", "./imapd"))
WATCHDOG = 100              # seconds: longer is a hang
HANG = 30                   # of what is killed, and should be gone at once
TODAY = int(time.time()) // 86400

MODULE = r"""
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <security/pam_appl.h>
#include <security/pam_modules.h>

static const char *item(pam_handle_t *pam, int type)
{
	const void *p = NULL;
	return pam_get_item(pam, type, &p) == PAM_SUCCESS && p ? p : "none";
}

static int question(pam_handle_t *pam, int style)
{
	struct pam_message m = { style, "Code: " };
	const struct pam_message *list = &m;
	struct pam_response *out = NULL;
	const void *conv;
	pam_get_item(pam, PAM_CONV, &conv);
	return ((const struct pam_conv *)conv)->conv(1, &list, &out,
	    ((const struct pam_conv *)conv)->appdata_ptr);
}

static int noise(void)
{
	int i;
	for (i = 0; i < 20000; i++) {
		printf("* BYE printed by a module\r\n");
		fprintf(stderr, "* BYE said by a module\r\n");
		if (write(0, "* BYE\r\n", 7) < 0)
			continue;
	}
	fflush(stdout);
	return PAM_SUCCESS;
}

static int hang(const char *fifo, int done)
{
	char text[20];
	int fd, n;
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	fd = open(fifo, O_WRONLY);
	n = snprintf(text, sizeof(text), "%d\n", getpid());
	if (write(fd, text, n) == n && close(done) == 0)
		for (;;)
			pause();
	return PAM_ABORT;
}

/* Until the helper has said who it is. */
static int linger(const char *fifo)
{
	int ends[2];
	char c;
	if (pipe(ends) != 0)
		return PAM_ABORT;
	if (fork() == 0)
		hang(fifo, ends[1]);
	close(ends[1]);
	return read(ends[0], &c, 1) == 0 ? PAM_SUCCESS : PAM_ABORT;
}

int pam_sm_authenticate(pam_handle_t *pam, int flags, int n, const char **v)
{
	FILE *f;
	if (strcmp(v[0], "items") == 0) {
		f = fopen(v[1], "w");
		fprintf(f, "service=%s user=%s rhost=%s tty=%s ruser=%s",
		    item(pam, PAM_SERVICE), item(pam, PAM_USER),
		    item(pam, PAM_RHOST), item(pam, PAM_TTY),
		    item(pam, PAM_RUSER));
		fclose(f);
	} else if (strcmp(v[0], "user") == 0)
		return pam_set_item(pam, PAM_USER, v[1]);
	else if (strcmp(v[0], "asks") == 0)
		return question(pam, PAM_PROMPT_ECHO_OFF);
	else if (strcmp(v[0], "tells") == 0)
		return question(pam, PAM_TEXT_INFO);
	else if (strcmp(v[0], "prints") == 0)
		return noise();
	else if (strcmp(v[0], "hangs") == 0)
		return hang(v[1], 0);
	else if (strcmp(v[0], "aborts") == 0)
		abort();
	else if (strcmp(v[0], "exits") == 0)
		exit(0);
	else if (strcmp(v[0], "lingers") == 0)
		return linger(v[1]);
	return PAM_SUCCESS;
}

int pam_sm_acct_mgmt(pam_handle_t *pam, int flags, int n, const char **v)
{
	return PAM_SUCCESS;
}

int pam_sm_setcred(pam_handle_t *pam, int flags, int n, const char **v)
{
	return pam_set_item(pam, PAM_USER, "root");
}

int pam_sm_open_session(pam_handle_t *pam, int f, int n, const char **v)
{
	abort();
}
"""

UNIX = "auth required pam_unix.so\naccount required pam_unix.so\n"
NULLOK = UNIX.replace("so\na", "so nullok\na")
# As Debian's common-auth has it.
DEBIAN = ("auth [success=1 default=ignore] pam_unix.so nullok\n"
          "auth requisite pam_deny.so\nauth required pam_permit.so\n"
          "account [success=1 new_authtok_reqd=done default=ignore] "
          "pam_unix.so\naccount requisite pam_deny.so\n"
          "account required pam_permit.so\n")
NOTHING = "# not even that"
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..",
                       "pam.d/imap"), encoding="ascii") as shipped:
    SHIPPED = shipped.read()
DENY = "auth required pam_deny.so\naccount required pam_deny.so\n"


def ours(what):
    """pam_unix, and then what the module does."""
    return UNIX.replace("account", "auth required MODULE %s\naccount" % what)


def first(what):
    return "auth required MODULE %s\n" % what + UNIX


GOOD = crypted(b"secret", YESCRYPT)

# name: uid, gid, hash, last change, maximum, inactive, expires
PEOPLE = {
    "root": (0, 0, GOOD, TODAY, "", "", ""),
    "system": (50, 2001, GOOD, TODAY, "", "", ""),
    "rootgroup": (2009, 0, GOOD, TODAY, "", "", ""),
    "alex": (2001, 2001, GOOD, TODAY, 99999, "", ""),
    "other": (2002, 2001, GOOD, TODAY, 99999, "", ""),
    "sha": (2003, 2001, crypted(b"secret", b"$6$salt$"), TODAY, "", "", ""),
    "locked": (2004, 2001, "!" + GOOD, TODAY, "", "", ""),
    "star": (2005, 2001, "*", TODAY, "", "", ""),
    "empty": (2006, 2001, "", TODAY, "", "", ""),
    "expired": (2007, 2001, GOOD, TODAY, "", "", TODAY - 1),
    "aged": (2008, 2001, GOOD, TODAY - 50, 30, "", ""),
    "inactive": (2010, 2001, GOOD, TODAY - 50, 30, 10, ""),
    "mustchange": (2011, 2001, GOOD, 0, 99999, "", ""),
    "mailgroup": (2012, 8, GOOD, TODAY, "", "", ""),
}
GROUPS = "root:x:0:\nmail:x:8:alex,other\nstaff:x:50:alex\n" \
    "people:x:2001:\nclub:x:2077:other,alex\n"

OK = r"a OK \[CAPABILITY [^\]]+\] LOGIN completed"
FAILED = r"a NO \[AUTHENTICATIONFAILED\] LOGIN failed"
EXPIRED = r"a NO \[EXPIRED\] LOGIN failed"
UNAVAILABLE = r"a NO \[UNAVAILABLE\] LOGIN failed"

# (what, stack or None for --auth=shadow, user, password, answer, the log)
ALEX = "2001 2001 50 2001 2077"       # uid, gid, groups
CASES = [
    ("PAM: right", UNIX, "alex", "secret", OK, ALEX),
    ("another hash", UNIX, "sha", "secret", OK, "2003 2001 2001"),
    ("wrong", UNIX, "alex", "wrong", FAILED, "refused: Auth"),
    ("wrong, and long", UNIX, "alex", "s" * 511, FAILED, "refused: Auth"),
    ("longer than any password", UNIX, "alex", "s" * 600, FAILED,
     "no user can have"),
    ("unknown", UNIX, "nobody-here", "secret", FAILED, "refused: "),
    ("the name in capitals", UNIX, "ALEX", "secret", OK, ALEX),
    ("an empty password", UNIX, "alex", "", FAILED, "is empty"),
    ("locked", UNIX, "locked", "secret", FAILED, "refused: "),
    ("locked: the whole field as password", UNIX, "locked", "!" + GOOD,
     FAILED, "refused: "),
    ("no hash but *", UNIX, "star", "*", FAILED, "refused: "),
    ("an empty hash", UNIX, "empty", "secret", FAILED, "no password is set"),
    ("an empty hash, and nullok", NULLOK, "empty", "secret", FAILED,
     "no password is set"),
    ("an empty hash, nullok and no password", NULLOK, "empty", "", FAILED,
     "is empty"),
    ("an empty hash, and Debian's own stack", DEBIAN, "empty", "x", FAILED,
     "no password is set"),
    ("Debian's own stack: right", DEBIAN, "alex", "secret", OK, ALEX),
    ("Debian's own stack: wrong", DEBIAN, "alex", "x", FAILED, "refused: "),
    ("pam.d/imap as it is shipped: right", SHIPPED, "alex", "secret", OK,
     ALEX),
    ("as shipped: wrong", SHIPPED, "alex", "x", FAILED, "refused: Auth"),
    ("as shipped: an empty hash", SHIPPED, "empty", "x", FAILED,
     "no password is set"),
    ("as shipped: expired", SHIPPED, "expired", "secret", EXPIRED,
     "right password, refused account: "),
    ("an expired account", UNIX, "expired", "secret", EXPIRED,
     "right password, refused account: "),
    ("an expired account, wrong password", UNIX, "expired", "x", FAILED,
     "refused: Auth"),
    ("a password that is too old", UNIX, "aged", "secret", EXPIRED,
     "right password, refused account: "),
    ("one that is inactive", UNIX, "inactive", "secret", EXPIRED,
     "right password, refused account: "),
    ("one that must be changed", UNIX, "mustchange", "secret", EXPIRED,
     "right password, refused account: "),
    ("one that must be changed, in Debian's stack", DEBIAN, "mustchange",
     "secret", EXPIRED, "right password, refused account: "),
    ("root", UNIX, "root", "secret", FAILED, "uid and gid 0"),
    ("root in capitals", UNIX, "ROOT", "secret", FAILED, "uid and gid 0"),
    ("gid 0", UNIX, "rootgroup", "secret", FAILED, "uid and gid 0"),
    ("a system user", UNIX, "system", "secret", FAILED, "system's own"),
    ("mail as a user's own group", UNIX, "mailgroup", "secret", OK,
     "2012 8 "),

    ("pam_permit lets nobody in whom the system does not know",
     "auth required pam_permit.so\naccount required pam_permit.so\n",
     "nobody-here", "x", FAILED, "system does not know"),
    ("pam_permit lets root not in",
     "auth required pam_permit.so\naccount required pam_permit.so\n",
     "root", "x", FAILED, "uid and gid 0"),
    ("a refused account", UNIX.replace("account required pam_unix",
                                       "account required pam_deny"),
     "alex", "secret", FAILED, "right password, refused account: "),
    ("nothing about accounts: \"other\" decides",
     UNIX.split("account")[0], "alex", "secret", FAILED,
     "right password, refused account: "),
    ("pam_deny", DENY, "alex", "secret", FAILED, "refused: "),
    ("a delay of half an hour that a module asks for",
     "auth optional pam_faildelay.so delay=1800000000\n" + UNIX, "alex",
     "wrong", FAILED, "refused: Auth"),
    ("a module that is not there",
     "auth required pam_none.so\naccount required pam_unix.so\n", "alex",
     "secret", UNAVAILABLE, "failed: Module is unknown"),
    ("no file for us: \"other\" decides", "", "alex", "secret", FAILED,
     "refused: "),
    ("no file for us and no \"other\"", NOTHING, "alex", "secret",
     UNAVAILABLE, "failed: "),
    ("pam_access sees the address",
     UNIX + "account required pam_access.so accessfile=BASE/access\n",
     "alex", "secret", OK, ALEX),
    ("and refuses by it",
     UNIX + "account required pam_access.so accessfile=BASE/access\n",
     "other", "secret", FAILED, "right password, refused account: "),
    ("what a module sees of us", ours("items BASE/items"), "alex", "secret",
     OK, ALEX),
    ("a module that names another user", ours("user other"), "alex",
     "secret", OK, "2002 2001 2001 2077"),
    ("a module that makes a user of a name", first("user alex"),
     "alex@example.org", "secret", OK, ALEX),
    ("a module that names root", ours("user root"), "alex", "secret",
     FAILED, "uid and gid 0"),
    ("a module that names a system user", ours("user system"), "alex",
     "secret", FAILED, "system's own"),
    ("a module that names one with an empty hash", ours("user empty"),
     "alex", "secret", FAILED, "no password is set"),
    ("a module that names a stranger", ours("user stranger"), "alex",
     "secret", FAILED, "right password, refused account: "),
    ("and another that lets the stranger in",
     ours("user stranger").replace("account required pam_unix",
                                   "account required pam_permit"),
     "alex", "secret", FAILED, "system does not know"),
    ("a module that names a path, and one that lets it in",
     ours("user ../alex").replace("account required pam_unix",
                                  "account required pam_permit"),
     "alex", "secret", FAILED, "no user can have"),
    ("a module that asks a second question", ours("asks"), "alex", "secret",
     FAILED, "refused: "),
    ("a module that only tells something", ours("tells"), "alex", "secret",
     OK, ALEX),
    ("a module that prints on 0, 1 and 2", ours("prints"), "alex", "secret",
     OK, ALEX),
    ("a module that aborts", ours("aborts"), "alex", "secret", UNAVAILABLE,
     "died"),
    ("a module that exits", ours("exits"), "alex", "secret", UNAVAILABLE,
     "died"),

    ("shadow: right", None, "alex", "secret", OK, ALEX),
    ("shadow: another hash", None, "sha", "secret", OK, "2003 2001 2001"),
    ("shadow: wrong", None, "alex", "wrong", FAILED, "wrong password"),
    ("shadow: unknown", None, "nobody-here", "x", FAILED, "no such user"),
    ("shadow: in capitals", None, "Alex", "secret", OK, ALEX),
    ("shadow: an empty password", None, "alex", "", FAILED, "is empty"),
    ("shadow: locked", None, "locked", "secret", FAILED, "locked"),
    ("shadow: *", None, "star", "*", FAILED, "locked"),
    ("shadow: an empty hash", None, "empty", "secret", FAILED,
     "no password is set"),
    ("shadow: an expired account", None, "expired", "secret", EXPIRED,
     "expired account"),
    ("shadow: an expired account, wrong password", None, "expired", "x",
     FAILED, "wrong password"),
    ("shadow: too old", None, "aged", "secret", EXPIRED, "too old"),
    ("shadow: inactive", None, "inactive", "secret", EXPIRED, "too old"),
    ("shadow: must be changed", None, "mustchange", "secret", EXPIRED,
     "must be changed"),
    ("shadow: root", None, "root", "secret", FAILED, "uid and gid 0"),
    ("shadow: gid 0", None, "rootgroup", "secret", FAILED, "uid and gid 0"),
    ("shadow: a system user", None, "system", "secret", FAILED,
     "system's own"),
]

# In the namespace, before the server: what is bound where.
ENTER = """set -e
for f in passwd shadow group nsswitch.conf; do
	mount --bind "$BASE/$f" "/etc/$f"
done
mount --bind "$PAM" /etc/pam.d
exec "$@" 2>>"$LOG"
"""


class Failure(Exception):
    pass


def write(path, text, mode=0o644):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


class Room:
    def __init__(self, base):
        self.base = base
        os.chmod(base, 0o755)
        self.program = shutil.copy(IMAPD, os.path.join(base, "imapd"))
        os.mkdir(self.at("home"))
        os.mkdir(self.at("spool"))
        os.chmod(self.at("spool"), 0o1777)
        self.people()
        write(self.at("group"), GROUPS)
        write(self.at("nsswitch.conf"),
              "passwd: files\ngroup: files\nshadow: files\n")
        write(self.at("access"),
              "+:alex:127.0.0.1\n+:other:192.0.2.1\n-:ALL:ALL\n")
        self.module()
        self.stacks = {}

    def at(self, name):
        return os.path.join(self.base, name)

    def people(self):
        passwd = shadow = ""
        for name, (uid, gid, hashed, *ages) in PEOPLE.items():
            home = self.at("home/" + name)
            os.mkdir(home)
            os.chown(home, uid, gid)
            passwd += "%s:x:%d:%d::%s:/usr/sbin/nologin\n" % (name, uid, gid,
                                                           home)
            shadow += "%s:%s:%s::%s::%s:%s:\n" % (name, hashed, *ages)
        write(self.at("passwd"), passwd)
        write(self.at("shadow"), shadow, 0o640)

    def module(self):
        write(self.at("module.c"), MODULE)
        subprocess.run([os.environ.get("CC", "gcc"), "-shared", "-fPIC",
                        "-o", self.at("pam_odd.so"), self.at("module.c")],
                       check=True)

    def stack(self, text):
        """The directory of a stack; "" has none for us, only "other"."""
        if text not in self.stacks:
            path = self.stacks[text] = self.at("pam.%d" % len(self.stacks))
            os.mkdir(path)
            if text != NOTHING:
                write(os.path.join(path, "other"), DENY)
            if text not in ("", NOTHING):
                write(os.path.join(path, "imap"), text
                      .replace("MODULE", self.at("pam_odd.so"))
                      .replace("BASE", self.base))
        return self.stacks[text]


class Server:
    """One connection, from 127.0.0.1, to a server of its own."""

    def __init__(self, room, number, stack):
        self.log = room.at("log.%d" % number)
        env = {"PATH": os.environ["PATH"], "BASE": room.base,
               "LOG": self.log, "PAM": room.stack(UNIX if stack is None
                                                  else stack)}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        with socket.create_server(("127.0.0.1", 0)) as door:
            self.socket = socket.create_connection(door.getsockname())
            theirs = door.accept()[0]
        self.socket.settimeout(WATCHDOG)
        with theirs:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private",
                 "sh", "-c", ENTER, "sh", room.program, "--log=stderr",
                 "--inbox=" + room.at("spool/%u")] +
                (["--auth=shadow"] if stack is None else []),
                stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL,
                env=env, cwd="/")
        self.file = self.socket.makefile("rb")
        self.said = []

    def line(self):
        text = self.file.readline().decode("latin-1")
        if not text.endswith("\r\n"):
            raise Failure("the server ended: %r" % text)
        self.said.append(text[:-2])
        return text[:-2]

    def send(self, text):
        self.socket.sendall(text.encode() + b"\r\n")

    def command(self, text):
        """The tagged line; what stands before it must not be there."""
        self.send(text)
        line = self.line()
        if not line.startswith(text.split()[0] + " "):
            raise Failure("it says %r" % line)
        return line

    def ids(self):
        """uid, gid and groups, if there is one of each kind only."""
        with open("/proc/%d/status" % self.process.pid) as f:
            have = dict(re.findall(r"^(\w+):[ \t]*(.*?)[ \t]*$", f.read(), re.M))
        uids, gids = set(have["Uid"].split()), set(have["Gid"].split())
        if len(uids) != 1 or len(gids) != 1 or have["NoNewPrivs"] != "1" or \
                int(have["CapEff"], 16) or int(have["CapPrm"], 16):
            raise Failure("rights are left: %s" % have)
        return " ".join([uids.pop(), gids.pop(),
                         " ".join(sorted(have["Groups"].split()))])

    def logged(self):
        with open(self.log) as f:
            return f.read()

    def end(self):
        self.file.close()
        self.socket.close()
        try:
            return self.process.wait(WATCHDOG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failure("the server does not end")


def quoted(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def ids_of(words):
    parts = words.split(" ")
    return " ".join(parts[:2] + [" ".join(sorted(parts[2:]))])


def login(server, user, password, answer, words):
    """Complaints about one LOGIN and what follows."""
    if not server.line().startswith("* OK [CAPABILITY "):
        yield "greeting: %s" % server.said[-1]
    line = server.command("a LOGIN %s %s" % (quoted(user), quoted(password)))
    if not re.fullmatch(answer, line):
        yield "answer: %s" % line
    got_in = " OK " in line
    if got_in and (ids := server.ids()) != ids_of(words):
        yield "it became %r" % ids
    if not re.match(r"b OK ", line := server.command("b NOOP")):
        yield "NOOP: %s" % line
    log = server.logged()
    reasons = re.findall(r"^imapd\[\d+\]: (no login for .*)$", log, re.M)
    if len(reasons) != (0 if got_in else 1) or \
            (reasons and words not in reasons[0]):
        yield "log: %s" % log
    if len(password) > 5 and password in log:
        yield "the password is in the log"


def run(room, number, case):
    what, stack, user, password, answer, words = case
    server = None
    try:
        server = Server(room, number, stack)
        complaints = list(login(server, user, password, answer, words))
    except (Failure, OSError) as e:
        complaints = [str(e)]
        if server and os.path.exists(server.log):
            complaints += server.logged().splitlines()
    if server:
        try:
            server.end()
        except Failure as e:
            complaints.append(str(e))
    if what.startswith("what a module sees") and not complaints:
        with open(room.at("items")) as f:
            seen = f.read()
        if seen != "service=imap user=alex rhost=127.0.0.1 tty=imap " \
                "ruser=none":
            complaints.append(seen)
    return what, complaints


def gone(fifo, pid):
    """Has nobody the other end any more? Else the worker, pid, is ended."""
    poll = select.poll()
    poll.register(fifo, 0)
    if any(event & select.POLLHUP for _, event in poll.poll(HANG * 1000)):
        return True
    os.kill(pid, signal.SIGKILL)
    return False


def hanging(room, number):
    """SIGTERM while a module hangs that will not hear of it."""
    what = "a module that hangs, and SIGTERM"
    path = room.at("hang.fifo")
    os.mkfifo(path)
    server = Server(room, number, first("hangs " + path))
    server.line()
    server.send("a LOGIN alex secret")
    complaints = []
    with open(path) as fifo:
        pid = int(fifo.readline())
        server.process.send_signal(signal.SIGTERM)
        rest = server.file.read().decode("latin-1")
        if " OK " in rest or "* BYE " not in rest:
            complaints.append("it says %r" % rest)
        server.end()
        if not gone(fifo, pid):
            complaints.append("the worker lives on")
    return what, complaints


def killed(room, number):
    what = "a module that hangs, and SIGKILL for the server"
    path = room.at("kill.fifo")
    os.mkfifo(path)
    server = Server(room, number, first("hangs " + path))
    server.line()
    server.send("a LOGIN alex secret")
    with open(path) as fifo:
        pid = int(fifo.readline())
        server.process.kill()
        server.end()
        good = gone(fifo, pid)
    return what, [] if good else ["the worker lives on"]


def lingering(room, number):
    what = "a module whose helper stays"
    path = room.at("linger.fifo")
    os.mkfifo(path)
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as fifo:
        server = Server(room, number, first("lingers " + path))
        complaints = list(login(server, "alex", "secret", OK, ALEX))
        if not gone(fifo, int(fifo.readline())):
            complaints.append("the helper lives on")
        server.end()
    return what, complaints


def guarded(function, room, number):
    try:
        return function(room, number)
    except (Failure, OSError) as e:
        return function.__name__, [str(e)]


def cannot():
    """Why this can not be run here; None where it can."""
    if os.geteuid() != 0:
        return "needs root"
    for path in ("passwd", "shadow", "group", "nsswitch.conf", "pam.d"):
        if not os.path.exists("/etc/" + path):
            return "there is no /etc/" + path
    if subprocess.run(["unshare", "--mount", "--propagation", "private",
                       "mount", "--bind", "/etc/passwd", "/etc/passwd"],
                      stderr=subprocess.DEVNULL).returncode:
        return "needs a mount namespace"
    if subprocess.run([IMAPD, "--auth=pam", "--version"],
                      stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL).returncode:
        return "built without PAM"
    return None


def main():
    why = cannot()
    if why:
        print("1..0 # SKIP %s" % why)
        return
    odd = [hanging, killed, lingering]
    count = bad = 0
    with tempfile.TemporaryDirectory(prefix="imapd-pam.") as base:
        room = Room(base)
        for case in CASES:
            room.stack(UNIX if case[1] is None else case[1])
        for function, fifo in zip(odd, ("hang", "kill", "linger")):
            room.stack(first("%ss %s/%s.fifo" % (
                "hang" if fifo == "kill" else fifo, base, fifo)))
        with concurrent.futures.ThreadPoolExecutor(80) as pool:
            jobs = [pool.submit(run, room, n, case)
                    for n, case in enumerate(CASES)]
            jobs += [pool.submit(guarded, function, room, 1000 + n)
                     for n, function in enumerate(odd)]
            for job in jobs:
                what, complaints = job.result()
                count += 1
                bad += bool(complaints)
                print("%sok %d - %s" % ("not " if complaints else "", count,
                                        what))
                for text in complaints:
                    for line in text.splitlines():
                        print("# " + line)
    print("1..%d" % count)
    sys.exit(1 if bad else 0)


main()
