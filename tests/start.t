#!/usr/bin/env python3
"""start.t - how the process begins, whatever its starter hands in: sockets
that listen, descriptors that are closed, open or the client's, a hostile
environment; and what a login leaves in memory. What truly needs root is left
out where it is not. All of it runs at once. SEED repeats the passwords. TAP.
"""

import fcntl
import os
import re
import resource
import shutil
import socket
import string
import subprocess
import sys
import tempfile
import threading

sys.dont_write_bytecode = True
import login
from login import ROOT, Room, Tap, loopback
from start import GCONV, OTHER, RANDOM, SEED, Secrets, Server, Skip, Syslog, \
    begin, compiled, end_all, furnish, hash_pieces, may_look, memory, \
    own_options, put, run_all, status_of, still_there, waits

HANG = 200                      # seconds: then all that we started is ended
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
EX_OSERR, EX_CONFIG = 71, 78
# Root as in a container: it may look only into what lets itself be seen.
# Since Linux 6.13 that is no matter of sys_ptrace alone (38 is perfmon).
LESS = "-sys_ptrace,-sys_admin,-cap_38"
BOUND = ["setpriv", "--bounding-set=" + LESS, "--inh-caps=" + LESS, "--"]


# ---- a socket that listens ----

def listener(room, name):
    if name == "TCP":
        door = socket.create_server(("127.0.0.1", 0))
    else:
        door = socket.socket(socket.AF_UNIX)
        door.bind(tempfile.mktemp(dir=room.base))
        door.listen()
    near = socket.socket(door.family)
    near.connect(door.getsockname())
    return door, near


def untouched(door, near):
    """Has nobody spoken to the client, nor taken its connection?"""
    door.setblocking(False)
    near.setblocking(False)
    try:
        yield "it says to the client " + login.show(near.recv(1000))
    except BlockingIOError:
        pass
    try:
        door.accept()[0].close()
    except BlockingIOError:
        yield "it has taken the client's connection"


def hear_listening(room, family, options, all_three, syslog=None):
    door, near = listener(room, family)
    with door, near, tempfile.TemporaryFile() as log:
        p = begin([*(syslog.wrap if syslog else ()), room.program, *options],
                  stdin=door, stdout=door, cwd="/",
                  stderr=door if all_three else log,
                  env={"PATH": os.defpath, "USER": "x", "HOME": "/"})
        status = p.wait(login.WATCHDOG)
        yield from untouched(door, near)
        log.seek(0)
        words = syslog.said() if syslog else log.read().decode("latin-1")
    if status != EX_CONFIG:
        yield "status %d" % status
    if "wait = no" not in words and (syslog or not all_three):
        yield "the log has %r" % words


def listening(room):
    for family in "TCP", "UNIX":
        for options in (["--log=stderr"], [], ["--auth=file:" + room.passwd],
                        ["--preauth", "--log=stderr"]):
            for all_three in False, True:
                for x in hear_listening(room, family, options, all_three):
                    yield "%s %s: %s" % (family, options, x)


def listening_syslog(room):
    for family in "TCP", "UNIX":
        yield from hear_listening(room, family, [], True,
                                  Syslog(room, "log-" + family))


# ---- rights that the file gives ----

def privileged(room):
    if not ROOT:
        raise Skip("needs root")
    with open("/proc/self/status") as f:
        if "NoNewPrivs:\t1" in f.read() or \
                os.statvfs(room.base).f_flag & os.ST_NOSUID:
            raise Skip("setuid has no effect here")
    if login.sanitised():
        raise Skip("LeakSanitizer can not look into such a process")
    for program in room.privileged:
        for ends in loopback, socket.socketpair:
            for options in [], ["--preauth"]:
                with Server(room, options, program=program, uid=OTHER,
                            ends=ends, env={"USER": "x", "HOME": "/"}) as s:
                    yield from s.refusal(EX_CONFIG, "setuid or setgid")


def preauth_root(room):
    if not ROOT:
        raise Skip("needs root")
    env = {"USER": "riley", "HOME": room.riley.home,
           "MAIL": room.riley.inbox}
    for ends in loopback, socket.socketpair:
        with Server(room, ["--preauth"], ends=ends, env=env) as s:
            yield from s.refusal(EX_CONFIG, "--preauth")
    p = begin([room.program, "--preauth"], stdin=subprocess.DEVNULL,
              stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    out, words = p.communicate(timeout=login.WATCHDOG)
    if p.returncode != EX_CONFIG or out or b"--preauth" not in words:
        yield "without a socket: status %d, %r, %r" % (
            p.returncode, out, words)


# ---- descriptors ----

def preloaded(room):
    """An environment with the noisy library, and the file of its notes."""
    # Where a session may write, too.
    notes = put(tempfile.mktemp(dir=room.spool), "", 0o666)
    return {"LD_PRELOAD": room.noise, "NOISE": notes,
            "ASAN_OPTIONS": "verify_asan_link_order=0"}, notes


def noted(notes):
    with open(notes) as f:
        return f.read().splitlines()


def check_two(s):
    """Where its descriptor 2 leads."""
    two, one = (os.readlink(s.proc + "fd/%d" % n) for n in (2, 1))
    if not one.startswith("socket:") or two.startswith("socket:"):
        yield "descriptor 1 is %s, 2 is %s" % (one, two)


def check_noise(s, notes, wanted):
    made = set(noted(notes))
    for name in wanted - made:
        yield "no noise was made by " + name
    if b"noise" in s.raw:
        yield "the client hears noise: " + login.show(
            s.raw[max(0, s.raw.index(b"noise") - 60):])
    yield from s.check_said()


def use(s):
    """What a client does."""
    for command in (b"b SELECT INBOX", b"c FETCH 1:* INTERNALDATE",
                    b"d APPEND INBOX {9+}\r\nA: b\r\n\r\nc", b"e LOGOUT"):
        s.send(command + b"\r\n")
        if not s.answer()[-1][2:].startswith(b"OK") and command[:1] != b"e":
            yield s.wrong("not OK")
    yield from s.finish()


def noise_in(room):
    """Not yet logged in, then in."""
    env, notes = preloaded(room)
    with Server(room, two=True, env=env) as s:
        yield from s.in_as(room.alex)
        if ROOT:
            yield from check_two(s)
        yield from use(s)
        yield from check_noise(s, notes, {"tzset", "openlog", "crypt_r",
                                          "localtime_r"})


def noise_caller(room):
    env, notes = preloaded(room)
    with Server(room, two=True, env=env, caller=True) as s:
        s.line()
        yield from check_two(s)
        yield from use(s)
        yield from check_noise(s, notes, {"tzset", "openlog"})


def noise_syslog(room):
    """As xinetd starts it; the second host has no /dev/null."""
    for bare in False, True:
        log = Syslog(room, "log-%d" % bare, bare)
        # The shell before it needs no such library.
        env, notes = preloaded(room)
        wrap = log.wrap + ["env"] + ["%s=%s" % item for item in env.items()]
        with Server(room, two=True, wrap=wrap, log="syslog") as s:
            yield from s.in_as(room.alex)
            yield from check_two(s)
            yield from use(s)
            yield from check_noise(s, notes, {"tzset", "openlog", "crypt_r",
                                              "localtime_r"})
        if "Login user=alex host=" not in log.said():
            yield "syslog has not heard of the login"


def closed(room):
    """The shell closes it; nothing may come from the two others."""
    for n, options in ((n, o) for n in range(3) for o in (
            ["--log=stderr"], [], ["--auth=file:" + room.passwd])):
        near, theirs = loopback()
        with near, theirs, tempfile.TemporaryFile() as said:
            files = [theirs, theirs, said]
            files[n] = subprocess.DEVNULL
            p = begin(["sh", "-c", 'exec "$0" "$@" %d>&-' % n, room.program,
                       *options], cwd=room.base, env={
                           "PATH": os.defpath, "USER": "x", "HOME": "/"},
                      stdin=files[0], stdout=files[1], stderr=files[2])
            theirs.close()
            try:
                status = p.wait(login.WATCHDOG)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
                status = "hangs"
            said.seek(0)
            words = said.read()
            heard = near.recv(1000)
        if status != EX_OSERR or words or heard:
            yield "without %d, %s: status %s, %r to the client, %r on " \
                "stderr" % (n, options, status, heard, words)


def check_open(proc, most, usual=(0, 1, 2)):
    """What is open besides: `most` sockets, not the client's."""
    found = {int(n): os.readlink(proc + "fd/" + n)
             for n in os.listdir(proc + "fd")}
    more = {n: link for n, link in found.items() if n not in usual}
    if not set(usual) <= set(found):
        yield "one of %s is closed: %s" % (usual, found)
    if len(more) > most or any(not link.startswith("socket:") or
                               link == found[0] for link in more.values()):
        yield "open: %s" % more


def left_open(room, **how):
    """Low and high numbers, of files, a pipe and a socket."""
    pipe, pair = os.pipe(), socket.socketpair()
    file = os.open(room.passwd, os.O_RDONLY)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    high = []
    for want in (100, 1000, 1030, soft - 20):
        if 100 <= want < soft:
            high.append(fcntl.fcntl(file, fcntl.F_DUPFD, want))
    try:
        return Server(room, fds=[*pipe, pair[0].fileno(), file, *high],
                      **how)
    finally:
        for fd in [*pipe, file, *high]:
            os.close(fd)
        for s in pair:
            s.close()


def inherited(room):
    if not ROOT:
        raise Skip("needs root")
    with left_open(room) as s:
        s.line()
        # That to the front, and the front's to us.
        yield from check_open(s.proc, 1)
        front, = login.children(s.process.pid)
        # Which opens nothing that could take the log's place.
        yield from check_open("/proc/%d/" % front, 1,
                              (0, 1, 2) if login.sanitised() else (0, 1))
        yield from s.finish()


def inherited_syslog(room):
    log = Syslog(room, "log-open")
    with left_open(room, wrap=log.wrap, log="syslog") as s:
        yield from s.in_as(room.riley)
        yield from check_open(s.proc, 1)
        yield from s.finish()


# ---- the environment ----

def hostile_environment(room, env):
    env.update({
        "GCONV_PATH": room.gconv, "HOME": room.base + "/home/caller",
        "MAIL": room.spool + "/caller", "USER": "caller",
        "LOGNAME": "caller", "PATH": room.base + ":" + os.defpath,
        "LD_LIBRARY_PATH": room.gconv, "TMPDIR": room.base,
        "LOCPATH": room.gconv, "NLSPATH": room.gconv, "LANG": "xx_XX",
        "REMOTE_HOST": "127.0.0.1", "IMAPD_INBOX": room.passwd,
        "IMAPD": "x", "MALLOC_TRACE": room.base + "/trace",
        "HOSTALIASES": room.passwd, "TZ": "XYZ-5:30"})


def environment(room):
    env, notes = preloaded(room)
    hostile_environment(room, env)
    with Server(room, env=env) as s:
        yield from s.in_as(room.riley)
        names = [x for x in noted(notes) if "=" in x]
        if sorted(names) != ["PATH=" + PATH, "TZ=XYZ-5:30"]:
            yield "there is still %s" % names
        if b"* STATUS INBOX (MESSAGES 1)" not in s.cmd(
                b"b STATUS INBOX (MESSAGES)"):
            yield s.wrong("it is not riley's INBOX")
        s.cmd(b"c CREATE here")
        if not os.path.exists(room.riley.home + "/here"):
            yield "it is not riley's home"
        s.cmd(b"d SELECT INBOX")
        if b'+0530"' not in s.cmd(b"e FETCH 1 INTERNALDATE")[0]:
            yield s.wrong("it has forgotten the time zone")
        yield from s.finish() + s.check_said()


def gconv(room):
    """The first server, an ordinary user's own, shows that it would work."""
    result = []
    for caller in True, False:
        # Where the session may read and write.
        home = room.base + "/home/caller" if caller else room.riley.home
        path, loaded = home + "/gconv", home + "/loaded"
        shutil.copytree(room.gconv, path)
        compiled(room, path + "/bad.so", GCONV,
                 '-DLOADED="%s"' % loaded)
        with Server(room, caller=caller, env={"GCONV_PATH": path}) as s:
            if caller:
                s.line()
            else:
                yield from s.in_as(room.riley)
            s.cmd(b"b SELECT INBOX")
            said = s.cmd(b"c SEARCH CHARSET BIG5 TEXT hello")
            result.append((os.path.exists(loaded), said))
            yield from s.finish()
        shutil.rmtree(path)
        if os.path.exists(loaded):
            os.unlink(loaded)
    if not result[0][0]:
        yield "iconv(3) does not heed GCONV_PATH: this shows nothing"
    if result[1][0]:
        yield "a module of the starter's GCONV_PATH was loaded"
    if result[1][1] != [b"* SEARCH 1", b"c OK SEARCH completed"]:
        yield "SEARCH: %s" % result[1][1]


def no_mail(room):
    """Nor does MAIL count where no --inbox says more."""
    name = "t" + "".join(RANDOM.choices(string.ascii_lowercase, k=20))
    passwd = put(room.base + "/nomail", "%s:%s:%d:%d::%s:\n" % (
        name, login.crypted(b"firetruck"), room.riley.uid,
        room.riley.uid if ROOT else os.getegid(), room.riley.home), 0o600)
    person = login.Person(name.encode(), b"firetruck", 0, None, None)
    with Server(room, ["--auth=file:" + passwd], env={
            "MAIL": room.riley.inbox, "HOME": room.base}) as s:
        yield from s.in_as(person)
        if any(b"MESSAGES 1" in x for x in s.cmd(
                b"b STATUS INBOX (MESSAGES)")):
            yield "INBOX is the starter's MAIL"
        yield from s.finish()


# ---- the process ----

def check_process(s, home, root):
    with open(s.proc + "limits") as f:
        core = re.search(r"^Max core file size +(\S+) +(\S+)", f.read(), re.M)
    if core.groups() != ("0", "0"):
        yield "a core of %s to %s bytes" % core.groups()
    if status_of(s, "Umask") != "0077":
        yield "its umask is " + status_of(s, "Umask")
    if root and os.readlink(s.proc + "cwd") != "/":
        yield "it stands in " + os.readlink(s.proc + "cwd")
    if home is None:
        return
    s.cmd(b"m CREATE made/deep")
    s.cmd(b"m SUBSCRIBE made/deep")
    for path, names, files in os.walk(home):
        # What the test of GCONV_PATH puts there, at the same time.
        names[:] = [x for x in names if x != "gconv"]
        for name in set(names + files) - {"loaded"}:
            mode = os.stat(os.path.join(path, name)).st_mode & 0o777
            if mode & 0o077:
                yield "%s has mode %o" % (name, mode)


def process(room):
    home = room.base + "/home/caller"
    for caller in False, True:
        with Server(room, caller=caller, cwd=room.base) as s:
            if caller:
                s.line()
            else:
                yield from s.in_as(room.riley)
            yield from check_process(s, home if caller else room.riley.home,
                                     ROOT and not caller)
            yield from s.finish() + s.check_said()
    with Server(room, cwd=room.base) as s:
        s.line()
        yield from check_process(s, None, ROOT)
        yield from s.finish()


# ---- who can look into it ----

LOOK = """for f in mem environ auxv; do
(: <"/proc/$0/$f") 2>/dev/null && echo $f; done; true"""


def visible(pid, uid=None, wrap=()):
    """What another process of that user can open of it."""
    p = begin([*wrap, "sh", "-c", LOOK, str(pid)], uid,
              stdout=subprocess.PIPE)
    return set(p.communicate()[0].decode().split())


def check_hidden(s, uid, wrap, when):
    """Against a process that does not hide."""
    cat = begin([*wrap, "cat"], uid, stdin=subprocess.PIPE)
    plain = login.wait_until(lambda: visible(cat.pid, uid, wrap),
                             "a process that can be looked into")
    cat.communicate()
    seen = visible(s.process.pid, uid, wrap)
    if "mem" not in plain:
        print("# the memory of processes is closed here anyway")
    if seen & plain:
        yield "%s others of %s can open its %s" % (
            when, uid or "root's", ", ".join(sorted(seen)))


def hidden(room):
    """An ordinary user's own."""
    uid = OTHER if ROOT else None
    with Server(room, own_options(room), uid=OTHER) as s:
        s.line()
        yield from check_hidden(s, uid, (), "before login")
        said = s.cmd(b"a LOGIN caller firetruck")
        if not said[-1].startswith(b"a OK "):
            yield s.wrong("not in")
        yield from check_hidden(s, uid, (), "after login")
        yield from s.finish()


def hidden_root(room):
    if not ROOT:
        raise Skip("needs root")
    if subprocess.run([*BOUND, "true"], capture_output=True).returncode:
        raise Skip("needs setpriv")
    with Server(room, wrap=BOUND) as s:
        s.line()
        yield from check_hidden(s, None, BOUND, "before login")
        said = s.cmd(b"a LOGIN riley firetruck")
        if not said[-1].startswith(b"a OK "):
            yield s.wrong("not in")
        yield from check_hidden(s, room.riley.uid, (), "after login")
        yield from s.finish()


# ---- groups ----

ETC = """for f in passwd group; do mount --bind "$0.$f" /etc/$f || exit; done
exec "$@"
"""


def groups(room):
    """riley is in the system's groups root, club and mail."""
    etc = room.base + "/etc"
    put(etc + ".passwd", "root:x:0:0::/:/bin/sh\nriley:x:%d:%d::/:/bin/sh\n"
        % (room.riley.uid, room.riley.uid))
    put(etc + ".group", "root:x:0:riley\nmail:x:8:riley\nclub:x:2077:riley\n")
    wrap = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
            ETC, etc]
    if not ROOT or subprocess.run([*wrap, "true"],
                                  capture_output=True).returncode:
        raise Skip("needs root and a mount namespace")
    with Server(room, wrap=wrap) as s:
        yield from s.in_as(room.riley)
        want = sorted([str(room.riley.uid), "2077"])
        if sorted(status_of(s, "Groups").split()) != want:
            yield "its groups are " + status_of(s, "Groups")
        yield from s.finish()


# ---- nobody can be asked ----

def unavailable(room):
    with Server(room, ["--auth=file:/not/there"]) as s:
        s.line()
        for n in range(3):
            said = s.cmd(b"a%d LOGIN riley firetruck" % n)
            if said != [b"a%d NO [UNAVAILABLE] LOGIN failed" % n]:
                yield s.wrong("try %d" % n)
        if not s.line().startswith(b"* BYE Too many login failures"):
            yield s.wrong("no BYE")
        yield from s.finish() + s.check_said()
        if any(x.startswith("Login failed") or "excessive" in x
               for x in s.log()):
            yield "the log blames the client: %s" % s.log()


# ---- memory ----

# What is sent piece by piece, an answer awaited behind each, until the one
# to the tag z. {U} a user, {P} the password, {W} a wrong one; {u}, {p}, {w}
# the same in base64, {m} and {x} PLAIN's messages with them, {M} as oneself.
FORMS = {
    "LOGIN with atoms": ["z LOGIN {U} {P}\r\n"],
    "LOGIN with quoted strings": ['z LOGIN "{U}" "{P}"\r\n'],
    "LOGIN with literals": ["z LOGIN {{{un}}}\r\n", "{U} {{{n}}}\r\n",
                            "{P}\r\n"],
    "LOGIN with literals that wait for nobody":
        ["z LOGIN {{{un}+}}\r\n{U} {{{n}+}}\r\n{P}\r\n"],
    "AUTHENTICATE PLAIN": ["z AUTHENTICATE PLAIN\r\n", "{m}\r\n"],
    "AUTHENTICATE PLAIN with an initial response":
        ["z AUTHENTICATE PLAIN {m}\r\n"],
    "AUTHENTICATE PLAIN as oneself": ["z AUTHENTICATE PLAIN {M}\r\n"],
    "AUTHENTICATE LOGIN": ["z AUTHENTICATE LOGIN\r\n", "{u}\r\n", "{p}\r\n"],
    "AUTHENTICATE LOGIN with an initial response":
        ["z AUTHENTICATE LOGIN {u}\r\n", "{p}\r\n"],
    "two wrong tries before": ["x LOGIN {U} {W}\r\n",
                               "y AUTHENTICATE PLAIN {x}\r\n",
                               "z LOGIN {U} {P}\r\n"],
    "LOGIN and others in one write":
        ["a NOOP\r\nb LOGIN {U} {P}\r\nc NOOP\r\nd LIST \"\" *\r\n"
         "z NOOP\r\n"],
    "AUTHENTICATE and others in one write":
        ["b AUTHENTICATE PLAIN\r\n{m}\r\nc NOOP\r\nz NOOP\r\n"],
    "literals and others in one write":
        ["b LOGIN {{{un}+}}\r\n{U} {{{n}+}}\r\n{P}\r\nc NOOP\r\nz NOOP\r\n"],
    "LOGIN across two reads": ["{filling}z LOGIN {U} {P}\r\n"],
    "two commands before it, misspelt":
        ["x LOGN {U} {P}\r\n", "y LOGIN {U} {P} {P}\r\n",
         "z LOGIN {U} {P}\r\n"],
    "a password without a command before it":
        ["{P}\r\n", "x {P} {W}\r\n", "z LOGIN {U} {P}\r\n"],
    "base64 that is none before it":
        ["x AUTHENTICATE PLAIN {m}!\r\n", "y AUTHENTICATE PLAIN\r\n",
         "{m}{m}!\r\n", "z LOGIN {U} {P}\r\n"],
    "unknown mechanisms and cancelled exchanges before it":
        ["x AUTHENTICATE CRAM-MD5 {m}\r\n", "x AUTHENTICATE LOGIN {u}\r\n",
         "*\r\n", "z AUTHENTICATE LOGIN\r\n", "{u}\r\n", "{p}\r\n"],
    "LOGIN again": ["x LOGIN {U} {P}\r\n", "y LOGIN {U} {P}\r\n",
                    'z LOGIN "{U}" "{P}"\r\n'],
    "LOGIN again with literals":
        ["x LOGIN {U} {P}\r\n", "y LOGIN {{{un}}}\r\n",
         "z LOGIN {{{un}+}}\r\n{U} {{{n}+}}\r\n{P}\r\n"],
    "AUTHENTICATE again": ["x AUTHENTICATE PLAIN {m}\r\n",
                           "y AUTHENTICATE LOGIN {p}\r\n",
                           "z AUTHENTICATE PLAIN {m}\r\n"],
    "a refusal": ["z LOGIN {U} {W}\r\n"],
    "a refusal of AUTHENTICATE": ["x AUTHENTICATE LOGIN\r\n", "{u}\r\n",
                                  "{w}\r\n", "z NOOP\r\n"],
    "a misspelt command": ["x LOGN {U} {P}\r\n", "z NOOP\r\n"],
    "a word that is no command": ["{P}\r\n", "z NOOP\r\n"],
    "a refusal for want of privacy":
        ["x LOGIN {U} {P}\r\n", "y AUTHENTICATE PLAIN {m}\r\n",
         "z LOGIN {{{un}+}}\r\n{U} {{{n}+}}\r\n{P}\r\n"],
}
# Behind which nobody is in.
OUTSIDE = {name for name in FORMS if name.startswith("a ")} - {
    "a password without a command before it"}


def play(s, secrets, texts, bytewise):
    s.line()
    s.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for n, text in enumerate(texts):
        data = secrets.fill(text)
        for i in range(0, len(data), 1 if bytewise else len(data)):
            s.send(data[i:i + 1] if bytewise else data)
        last = s.answer()[-1]
        while n == len(texts) - 1 and last and not last.startswith(b"z "):
            last = s.answer()[-1]
    if not last:
        yield s.wrong("it has hung up")


def everywhere(pid):
    """The memory of a server before a login, or of a session."""
    return b"".join(map(memory, [pid, *login.children(pid)]))


def remembers(room, name, secrets, bytewise):
    """What is left of a login in the server's memory."""
    options = ["--auth=file:" + room.passwd, "--inbox=" + room.spool + "/%u"]
    if name == "a refusal for want of privacy":
        options.append("--plaintext=no")
    with Server(room, options) as s:
        yield from play(s, secrets, FORMS[name], bytewise)
        login.wait_until(lambda: waits(s), "the next command")
        data = everywhere(s.process.pid)
        yield from secrets.found(data, room.hashes)
        inside = re.search(rb"^[a-z] OK \[CAPABILITY ", s.raw, re.M)
        if bool(inside) == (name in OUTSIDE):
            yield s.wrong("in" if inside else "not in")
        if inside and secrets.person.name not in data:
            yield "not even the user's name is there: this shows nothing"
        yield from s.finish()


def sees(room, secrets):
    """That memory() finds what is there: logins without their ends."""
    for text in "a LOGIN {U} {P}", "b AUTHENTICATE PLAIN {m}":
        with Server(room) as s:
            s.line()
            s.send(secrets.fill(text))
            login.wait_until(lambda: list(secrets.found(
                everywhere(s.process.pid), [])), "its password in memory")
            yield from s.finish()


def memory_tests(room):
    """(name, test) of each; the file has all users before the first runs."""
    def test(what, *args):
        def run(room):
            if not ROOT or not may_look():
                raise Skip("needs root and CAP_SYS_PTRACE")
            if login.sanitised():
                raise Skip("a sanitised program keeps what it has freed")
            yield from what(room, *args)
        return run

    found = [("an unfinished login is seen in memory",
              test(sees, Secrets(room)))]
    for way, size, bytewise, most in (
            ("", 24, False, None), (", byte by byte", 24, True, 9),
            (", 500 letters", 500, False, 9)):
        found += [("no password and no hash is left in memory: " + name + way,
                   test(remembers, name, Secrets(room, size), bytewise))
                  for name in list(FORMS)[:most]]
    return found


# ---- all of them ----

TESTS = [
    # The slowest first: each refusal takes three seconds.
    ("LOGIN that nobody can judge counts as a try", unavailable),
    ("a socket that listens is refused, and its clients hear nothing",
     listening),
    ("the same as xinetd with wait = yes starts it: syslog says so",
     listening_syslog),
    ("a program that is installed setuid or setgid refuses to run",
     privileged),
    ("--preauth is refused to root", preauth_root),
    ("the client's socket as 0, 1 and 2: what a library says on stderr never "
     "comes to the client who logs in", noise_in),
    ("nor to one who is served as the caller", noise_caller),
    ("nor with syslog, with or without /dev/null", noise_syslog),
    ("without 0, 1 or 2 it ends, and says nothing anywhere", closed),
    ("what the starter left open is closed before the greeting", inherited),
    ("and after login nothing but the log is open", inherited_syslog),
    ("after a login nothing of the starter's environment is left but TZ",
     environment),
    ("GCONV_PATH of the starter loads no code", gconv),
    ("MAIL of the starter is nobody's INBOX", no_mail),
    ("cwd, umask and cores are our own, before and after a login", process),
    ("no process of the same user can look into it, before and after a login",
     hidden),
    ("nor one of root's that may not look into all", hidden_root),
    ("who is in root's group is not there in a session", groups),
]


def main():
    print("# SEED=%d" % SEED)
    timer = threading.Timer(HANG, end_all)
    timer.daemon = True
    timer.start()
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    tap = Tap()
    with Room() as room:
        furnish(room)
        tests = memory_tests(room)
        room.hashes = list(hash_pieces(room.passwd))
        run_all(room, tap, TESTS[:1] + tests + TESTS[1:])
        tap.point("no process is left", still_there(room))
    timer.cancel()
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
