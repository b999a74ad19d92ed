"""start.py - servers that are started in every way there is, with libraries
around them that make noise, in a /dev of their own; and what is in a
process's memory. For start.t; what is right stands there.

SEED repeats the passwords.
"""

import base64
import os
import random
import re
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import login
from login import ROOT, loopback, message

SEED = int(os.environ.get("SEED", random.randrange(1 << 32)))
RANDOM = random.Random(SEED)
OTHER = 64099                   # an ordinary user, when root runs this
STARTED = []                    # all that we have, to be ended


class Skip(Exception):
    pass


# ---- what is compiled ----

# At each of these calls it tells on descriptor 2 and on stderr what is no
# protocol; a worker's call also on 0 and 1, and with it its environment.
NOISE = r"""
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char path[4096];

static void __attribute__((constructor)) begin(void)
{
	if (getenv("NOISE"))
		strncpy(path, getenv("NOISE"), sizeof(path) - 1);
}

static void note(const char *what)
{
	int fd = open(path, O_WRONLY | O_APPEND);
	if (fd < 0 || write(fd, what, strlen(what)) < 0 ||
	    write(fd, "\n", 1) < 0)
		abort();
	close(fd);
}

static void noise(const char *who)
{
	char line[100];
	int n = snprintf(line, sizeof(line), "* BYE noise of %s\r\n", who);
	note(who);
	if (write(2, line, n) < 0)
		errno = 0;	/* so it may be */
	fputs(line, stderr);
	fflush(stderr);
	perror("* BYE noise of perror");
}

void tzset(void)
{
	noise("tzset");
	((void (*)(void))dlsym(RTLD_NEXT, "tzset"))();
}

void openlog(const char *name, int a, int b)
{
	noise("openlog");
	((void (*)(const char *, int, int))dlsym(RTLD_NEXT, "openlog"))(name,
	    a, b);
}

struct tm *localtime_r(const time_t *t, struct tm *tm)
{
	noise("localtime_r");
	return ((struct tm *(*)(const time_t *, struct tm *))dlsym(RTLD_NEXT,
	    "localtime_r"))(t, tm);
}

char *crypt_r(const char *key, const char *hash, void *data)
{
	static const char line[] = "* BYE noise of a worker\r\n";
	int fd, i;
	noise("crypt_r");
	for (fd = 0; fd <= 1; fd++)
		if (write(fd, line, sizeof(line) - 1) < 0)
			errno = 0;
	for (i = 0; environ[i]; i++)
		note(environ[i]);
	return ((char *(*)(const char *, const char *, void *))dlsym(RTLD_NEXT,
	    "crypt_r"))(key, hash, data);
}
"""

# A module for iconv(3) that is none.
GCONV = r"""
#include <fcntl.h>
#include <unistd.h>
static void __attribute__((constructor)) begin(void)
{
	close(open(LOADED, O_WRONLY | O_CREAT, 0666));
}
int gconv_init(void *step)
{
	return 1;	/* __GCONV_NOCONV */
}
int gconv(void *step)
{
	return 1;
}
"""
GCONV_MODULES = "module BIG5// INTERNAL bad 1\n" \
    "module INTERNAL BIG5// bad 1\n"


def put(path, text, mode=0o644):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)
    return path


def compiled(room, path, text, *words):
    source = put(room.base + "/source.c", text)
    subprocess.run([os.environ.get("CC", "gcc"), "-D_GNU_SOURCE", "-shared",
                    "-fPIC", "-o", path, *words, source, "-ldl"], check=True)
    return path


# ---- servers ----

class Server(login.Client):
    """One that is started in other ways than login.py's. As a caller's it
    serves whoever runs it, not yet logged in otherwise.

    options: besides --log=stderr; env: besides PATH and TZ; wrap: the
    command that starts it; two: its descriptor 2 is the client's; fds: what
    is left open for it; uid: whose it is, if root runs this."""

    def __init__(self, room, options=None, ends=loopback, env={}, wrap=(),
                 two=False, fds=(), uid=None, cwd="/", log="stderr",
                 caller=False, program=None):
        self.room = room
        self.sent, self.raw = bytearray(), bytearray()
        self.at, self.eof, self.status, self.heard = 0, False, None, []
        own = {"PATH": os.defpath, "TZ": "UTC"}
        if caller:
            ends, uid = socket.socketpair, OTHER
            own.update(USER="caller", HOME=room.base + "/home/caller",
                       MAIL=room.spool + "/caller")
        elif options is None:
            options = ["--auth=file:" + room.passwd,
                       "--inbox=" + room.spool + "/%u"]
        self.sock, theirs = ends()
        self.sock.settimeout(login.WATCHDOG)
        self.stderr = tempfile.TemporaryFile()
        self.process = begin(
            [*wrap, program or room.program, "--log=" + log,
             *(options or [])], uid,
            stdin=theirs, stdout=theirs, stderr=theirs if two else
            self.stderr, cwd=cwd, pass_fds=fds, env={**own, **env})
        theirs.close()

    @property
    def proc(self):
        return "/proc/%d/" % self.process.pid

    def in_as(self, person):
        """Logs in; what is wrong."""
        self.line()
        said = self.cmd(b"a LOGIN %s %s" % (person.name, person.password))
        return [] if said[-1].startswith(b"a OK ") else [
            self.wrong("not in: " + " / ".join(self.log()))]

    def words(self):
        """All that it wrote on its stderr."""
        os.lseek(self.stderr.fileno(), 0, os.SEEK_SET)
        return self.stderr.read().decode("latin-1")

    def refusal(self, status, words):
        """Complaints unless it ended so, without a word to the client, and
        the log says why."""
        while not self.eof:
            self.take_in()
        self.end()
        if self.raw:
            yield self.wrong("it says to the client " +
                             login.show(self.raw))
        if self.status != status:
            yield "status %s, not %d: %s" % (
                self.status, status, self.words()[-300:])
        if words not in self.words():
            yield "the log does not say %r: %r" % (words, self.words())


def begin(argv, uid=None, **how):
    """A process of ours; uid only if we can choose."""
    if ROOT and uid is not None:
        how.update(user=uid, group=uid, extra_groups=[])
    # The starter's own ways, which must not be ours.
    p = subprocess.Popen(argv, umask=0, **how)
    STARTED.append(p)
    return p


# uid, gid and mode of a program.
PRIVILEGED = [(0, 0, 0o4755), (0, 0, 0o2755), (0, 0, 0o6755),
              (OTHER + 1, 0, 0o4755), (0, OTHER + 1, 0o2755)]


def privileged(room, uid, gid, mode):
    program = shutil.copy(room.program, tempfile.mktemp(dir=room.base))
    os.chown(program, uid, gid)
    os.chmod(program, mode)
    return program


def furnish(room):
    room.riley = room.person(b"riley", b"firetruck", mail=message(1))
    # Who is written to.
    room.alex = room.person(b"alex", b"firetruck", mail=message(1))
    uid = OTHER if ROOT else os.geteuid()
    room.give(room.dir("home/caller"), uid)
    room.give(put(room.spool + "/caller", message(2).decode(), 0o600), uid)
    room.give(room.base + "/home/caller", uid)
    # Of an ordinary user who runs a server of his own.
    room.own = room.give(put(
        room.base + "/own", "caller:%s:%d:%d::%s/home/caller:\n" % (
            login.crypted(b"firetruck"), uid, uid if ROOT else os.getegid(),
            room.base), 0o600), uid)
    room.caller = login.Person(b"caller", b"firetruck", uid, None, None)
    # Before anything is started: what a process that has just been forked
    # holds open for writing can not be executed.
    room.privileged = [privileged(room, *x) for x in PRIVILEGED if ROOT]
    room.noise = compiled(room, room.base + "/noise.so", NOISE)
    room.gconv = room.dir("gconv")
    put(room.gconv + "/gconv-modules", GCONV_MODULES)


def own_options(room):
    return ["--auth=file:" + room.own, "--inbox=" + room.spool + "/%u"]


# ---- a mount namespace in which there is a /dev/log ----

DEV = """mount -t tmpfs none /dev && ln -s "$0" /dev/log &&
{ [ "$1" = bare ] || mknod -m 666 /dev/null c 1 3; } && shift && exec "$@"
"""


class Syslog:
    """bare: /dev has nothing else, not even null."""

    def __init__(self, room, name, bare=False):
        path = os.path.join(room.base, name)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        self.sock.setblocking(False)
        self.wrap = ["unshare", "--mount", "--propagation", "private", "sh",
                     "-c", DEV, path, "bare" if bare else "null"]
        if not ROOT or subprocess.run([*self.wrap, "true"],
                                      capture_output=True).returncode:
            raise Skip("needs root and a mount namespace")

    def said(self):
        text = []
        while True:
            try:
                text.append(self.sock.recv(4096).decode("latin-1"))
            except BlockingIOError:
                return "\n".join(text)


# ---- memory ----

IN_BYTES = 16384                # that the server reads at once
PIECE, PIECE64 = 8, 12          # how much of a password is too much


def b64(data):
    return base64.b64encode(data).decode()


def windows(text, n):
    return {text[i:i + n] for i in range(len(text) - n + 1)}


def forms64(password):
    """Its pieces in base64, however it lies in a message."""
    found = set()
    for n in range(3):
        text = base64.b64encode(b"\0" * n + password)
        found |= windows(text[4 if n else 0:-4], PIECE64)
    return found


def hash_pieces(passwd):
    """Of the hashes what is not the same in all. Who has 31 letters of one
    has one of these."""
    with open(passwd, "rb") as f:
        for line in f:
            own = line.split(b":")[1].rpartition(b"$")[2]
            for i in range(0, len(own) - 15, 16):
                yield own[i:i + 16]


def secret(n):
    return "".join(RANDOM.choices(string.ascii_letters + string.digits,
                                  k=n)).encode()


def memory(pid):
    """All that it can read, but what is a file's and can not have changed."""
    found = []
    with open("/proc/%d/maps" % pid) as maps, \
            open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            span, rights, _, _, _, *name = line.split(None, 5)
            if rights[0] != "r" or line.rstrip().endswith("]") and \
                    "[v" in line or rights[1] != "w" and "/" in line:
                continue
            low, high = (int(x, 16) for x in span.split("-"))
            mem.seek(low)
            found.append(mem.read(high - low))
            if len(found[-1]) != high - low:
                raise login.Failure("can not read " + line)
    return b"\n".join(found)


def status_of(s, field):
    with open(s.proc + "status") as f:
        return re.search(r"^%s:\s*(.*)$" % field, f.read(), re.M)[1]


def may_look():
    """Into processes that hide."""
    with open("/proc/self/status") as f:
        return int(re.search(r"^CapEff:\s*(\w+)", f.read(), re.M)[1],
                   16) >> 19 & 1


def waits(s):
    """Is it back at its client's next command?"""
    return status_of(s, "State").startswith("S")


class Secrets:
    """One who logs in, and what nobody may find afterwards."""

    def __init__(self, room, size=24):
        name = RANDOM.choices(string.ascii_lowercase, k=20)
        self.person = room.person("".join(name).encode(), secret(size))
        self.wrong = secret(24)

    def fill(self, text):
        p = self.person
        user, password = p.name, p.password
        known = dict(
            U=user.decode(), P=password.decode(), W=self.wrong.decode(),
            u=b64(user), p=b64(password), w=b64(self.wrong),
            m=b64(b"\0%s\0%s" % (user, password)),
            x=b64(b"\0%s\0%s" % (user, self.wrong)),
            M=b64(b"%s\0%s\0%s" % (user, user, password)),
            un=len(user), n=len(password))
        # So that the middle of the password is where a read ends.
        left = IN_BYTES - len("z LOGIN %s " % known["U"]) - \
            len(password) // 2
        noop = "%s NOOP\r\n" % ("a" * (1 + left % 8))
        known["filling"] = noop + "a NOOP\r\n" * ((left - len(noop)) // 8)
        return text.format(**known).encode()

    def found(self, data, hashes):
        for word in (self.person.password, self.wrong):
            for piece in windows(word, PIECE):
                if piece in data:
                    yield "a piece of a password: %s of %s" % (
                        piece.decode(), word.decode())
            for piece in forms64(word):
                if piece in data:
                    yield "a piece of it in base64: " + piece.decode()
        for piece in hashes:
            if piece in data:
                yield "a piece of a hash: " + piece.decode()


# ---- all at once ----

def still_there(room):
    """Our programs that run though they were waited for; they are ended."""
    for p in STARTED:
        if p.poll() is None:
            yield "%s runs" % p.args
            p.kill()
            p.wait()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            exe = os.readlink("/proc/%s/exe" % name)
        except OSError:
            continue
        if exe.startswith(room.base + "/") and login.running(int(name)):
            yield "process %s runs" % name
            os.kill(int(name), signal.SIGKILL)


def end_all():
    print("Bail out! It hangs.")
    sys.stdout.flush()
    for p in STARTED:
        if p.poll() is None:
            p.kill()
    os._exit(1)


def run_all(room, tap, tests):
    skipped = {}

    def work(test):
        name, run = test
        try:
            yield from run(room)
        except Skip as why:
            skipped[name] = str(why)

    for (name, _), bad in login.all_at_once(work, tests):
        if name in skipped:
            tap.skip(name, skipped[name])
        else:
            tap.point(name, bad)
