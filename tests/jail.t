#!/usr/bin/env python3
"""jail.t - whole sessions in a bare jail: a password file, two homes, a spool
and nothing else, neither /dev nor /proc nor /etc nor /lib. Once with the
static program inside, started there as a chrooted xinetd would; once with the
usual program outside and --chroot. Then what --chroot refuses.

Root's server becomes the user there. An ordinary user gets his jail in a user
namespace, where the system lets him have one, and is served as himself.
"""

import ctypes
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import login
from login import ROOT, TOP, Client, Failure, Room, Tap, crypted

CLONE_NEWUSER, CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = \
    0x10000000, 0x20000, 0x1000, 0x4000, 0x40000
LIBC = ctypes.CDLL(None, use_errno=True)

MULTIPART = (b'Content-Type: multipart/mixed; boundary="x"\n\n--x\n'
             b"Content-Type: text/plain; charset=koi8-u\n\n\xa7\xd6\xc1\xcb\n"
             b"--x\nContent-Type: image/png; name=\"a.png\"\n"
             b"Content-Transfer-Encoding: base64\n\nAAAA\n--x--\n")
# Subject as it stands there, header and body, and what SEARCH finds it by.
MAIL = [
    (b"=?koi8-r?B?8NLJ18XU?=", b"Content-Type: text/plain; charset=koi8-r\n"
     b"Content-Transfer-Encoding: 8bit\n\n\xcd\xc9\xd2\n", "Привет", "мир"),
    (b"=?iso-8859-2?Q?P=F8=EDtel?=", b"Content-Type: text/plain;\n"
     b" charset=\"windows-1250\"\n\nna svete je kr\xe1sn\xec\n",
     "PřítEL", "krásně"),
    (b"=?windows-1253?Q?=EA=FC=F3=EC=EF=F2?=", b"Content-Type: text/plain; "
     b"charset=iso-8859-7\nContent-Transfer-Encoding: quoted-printable\n\n"
     b"=EA=E1=EB=E7=EC=DD=F1=E1\n", "κόσμος", "καλημέρα"),
    (b"=?windows-1258?Q?Vi=EA=F2t?=", MULTIPART, "việt", "їжак"),
    (b"plain", b"\nto be removed\n", "PLAIN", "removed"),
]


def mailbox():
    return b"".join(
        b"From a@b Thu Aug 22 12:36:%02d 2002\nFrom: A <a@b>\nTo: riley@x\n"
        b"Date: Thu, 22 Aug 2002 12:36:00 +0000\nSubject: %s\n%s\n" %
        (n, subject, rest) for n, (subject, rest, _, _) in enumerate(MAIL))


def must(r, what):
    if r != 0:
        raise OSError(ctypes.get_errno(), what)


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def own_namespace():
    """Lets an ordinary user, who stays who he is, go into a jail."""
    uid, gid = os.geteuid(), os.getegid()
    must(LIBC.unshare(CLONE_NEWUSER), "unshare")
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", "%d %d 1" % (uid, uid))
    write("/proc/self/gid_map", "%d %d 1" % (gid, gid))


def enter(jail):
    """In the child, before the static program is started."""
    if not ROOT:
        own_namespace()
    os.chroot(jail)
    os.chdir("/")


def no_namespace():
    """Why an ordinary user has no jail here, or None."""
    pid = os.fork()
    if pid == 0:
        try:
            enter("/")
        except OSError:
            os._exit(1)
        os._exit(0)
    return None if os.waitpid(pid, 0)[1] == 0 else \
        "an ordinary user may make no user namespaces here"


class Jail(Room):
    """A directory with what a session needs, and no more."""

    def __init__(self):
        self.base = os.path.realpath(tempfile.mkdtemp(prefix="imapd-jail."))
        os.chmod(self.base, 0o755)
        self.people = {}
        self.dir("jail")
        self.jail = os.path.join(self.base, "jail")
        self.program = shutil.copy(login.IMAPD,
                                   os.path.join(self.base, "imapd"))
        self.dir("jail/home")
        os.chmod(self.dir("jail/spool"), 0o1777)
        self.passwd = os.path.join(self.jail, "passwd")
        for name in (b"riley", b"alex"):
            self.somebody(name)
        os.chmod(self.passwd, 0o600)

    def somebody(self, name):
        uid = login.FIRST_UID + len(self.people) if ROOT else os.geteuid()
        gid = uid if ROOT else os.getegid()
        self.people[name] = uid
        home = self.dir("jail/home/" + name.decode(), uid)
        inbox = os.path.join(self.jail, "spool", name.decode())
        with open(inbox, "wb") as f:
            f.write(mailbox())
        os.chmod(inbox, 0o600)
        self.give(inbox, uid)
        with open(self.passwd, "ab") as f:
            f.write(b"%s:%s:%d:%d::%s:\n" % (
                name, crypted(b"secret of " + name).encode(), uid, gid,
                home[len(self.jail):].encode()))

    def link(self):
        """The static program: its objects are there, or are made."""
        env = {k: v for k, v in os.environ.items()
               if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        return subprocess.run(
            ["make", "-s", "-C", TOP, "STATIC=1",
             "BIN=" + os.path.join(self.jail, "imapd")], env=env,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def box(self, path):
        with open(os.path.join(self.jail, path), "rb") as f:
            return f.read()


class Inmate(Client):
    """A server in the jail and its client. inside: the static program is
    started there; else the usual one goes in by itself. As xinetd has it,
    descriptor 2 is the client's, unless `stderr` watches it."""

    def __init__(self, room, inside, stderr=False, env=None,
                 options=("--auth=file:/passwd",), setup=None):
        self.room = room
        self.sent, self.raw = bytearray(), bytearray()
        self.at, self.eof, self.status, self.heard = 0, False, None, []
        self.sock, theirs = login.loopback()
        self.sock.settimeout(login.WATCHDOG)
        self.stderr = tempfile.TemporaryFile()
        where = ["/imapd"] if inside else [
            room.program, "--chroot=" + room.jail]
        self.process = subprocess.Popen(
            where + ["--inbox=/spool/%u", *options],
            stdin=theirs, stdout=theirs, cwd="/",
            stderr=self.stderr if stderr else theirs,
            env={"ASAN_OPTIONS": "detect_leaks=0", **(env or {})},
            preexec_fn=setup or ((lambda: enter(room.jail)) if inside
                                 else None))
        theirs.close()

    def on_stderr(self):
        os.lseek(self.stderr.fileno(), 0, os.SEEK_SET)
        return self.stderr.read()


class Talk:
    """A session, command by command; what is wrong with the answers."""

    def __init__(self, client):
        self.c = client
        self.bad = []
        self.n = 0

    def ask(self, command, *wanted, end=b"OK"):
        """Every regular expression is found in the answer."""
        self.n += 1
        tag = b"t%d" % self.n
        return self.look(command, self.c.cmd(tag + b" " + command), tag + b" "
                         + end, wanted)

    def look(self, command, lines, end, wanted):
        said = b"\n".join(lines)
        if not lines[-1].startswith(end):
            self.bad.append(self.c.wrong("%r: not %s" % (command, end)))
        for one in wanted:
            if not re.search(one, said, re.M | re.S):
                self.bad.append(self.c.wrong("%r: no %r" % (command, one)))
        return said

    def literal(self, command, data, *wanted):
        self.c.send(b"lit %s {%d}\r\n" % (command, len(data)))
        if not self.c.line().startswith(b"+ "):
            self.bad.append(self.c.wrong("%r: no +" % command))
        return self.look(command, self.c.cmd(data), b"lit OK", wanted)

    def login(self, name=b"riley"):
        self.bad += [] if self.c.line().startswith(b"* OK [") else [
            "no greeting"]
        self.ask(b"LOGIN %s \"secret of %s\"" % (name, name))


def read_mail(t):
    t.ask(b"CAPABILITY", rb"^\* CAPABILITY .*\bIDLE\b")
    t.ask(b"SELECT INBOX", rb"^\* 5 EXISTS", rb"UIDVALIDITY", rb"READ-WRITE")
    t.ask(b"FETCH 2 (ENVELOPE INTERNALDATE)",
          rb'ENVELOPE \("Thu, 22 Aug 2002 12:36:00 \+0000" "=\?iso-8859-2\?Q',
          rb'INTERNALDATE "22-Aug-2002 12:36:01 \+0000"')
    t.ask(b"FETCH 4 BODYSTRUCTURE", rb'"text" "plain" \("charset" "koi8-u"\)',
          rb'(?i)"image" "png"')
    t.ask(b"FETCH 3 BODY.PEEK[TEXT]", rb"=EA=E1=EB=E7=EC=DD=F1=E1")


def search(t):
    """In every charset that the mail has; ASCII letters of another case too:
    there are no tables for others."""
    for n, (_, _, subject, body) in enumerate(MAIL, 1):
        for key, text in ((b"SUBJECT", subject), (b"BODY", body)):
            text = text.encode()
            t.literal(b"SEARCH CHARSET UTF-8 " + key, text,
                      rb"^\* SEARCH %d$" % n)
    t.literal(b"SEARCH CHARSET KOI8-R TEXT", "мир".encode("koi8-r"),
              rb"^\* SEARCH 1$")
    t.ask(b"SEARCH CHARSET x-none ALL", end=b"NO [BADCHARSET")


def change_mail(t):
    t.ask(b"STORE 1 +FLAGS (\\Flagged $Work)", rb"FETCH \(FLAGS .*\\Flagged")
    t.ask(b"STORE 5 +FLAGS \\Deleted", rb"\\Deleted")
    t.ask(b"EXPUNGE", rb"^\* 5 EXPUNGE")
    t.ask(b"CREATE plans/new")
    t.literal(b"APPEND plans/new (\\Seen) \"01-Feb-2003 04:05:06 +0700\"",
              b"Subject: appended\r\n\r\nx\r\n", rb"APPENDUID")
    t.ask(b"COPY 1:2 plans/new", rb"COPYUID")
    t.ask(b"CHECK")
    t.ask(b"CREATE gone")
    t.ask(b'LIST "" *', rb"^\* LIST .* INBOX$", rb"^\* LIST .* gone$",
          rb"^\* LIST .* plans/new$")
    t.ask(b"DELETE gone")
    if b"gone" in t.ask(b'LIST "" *'):
        t.bad.append("gone is still there")
    t.ask(b"STATUS plans/new (MESSAGES)", rb"MESSAGES 3")
    t.ask(b"SELECT ../passwd", end=b"NO")
    t.ask(b"SELECT /passwd", end=b"NO")


def idle(t, room, name):
    """What arrives is announced."""
    t.ask(b"SELECT INBOX", rb"^\* 4 EXISTS")
    t.c.send(b"idle IDLE\r\n")
    if not t.c.line().startswith(b"+ "):
        t.bad.append(t.c.wrong("IDLE"))
    fd = os.open(os.path.join(room.jail, "spool", name),
                 os.O_WRONLY | os.O_APPEND)
    os.write(fd, login.message(9))
    os.close(fd)
    line = t.c.line()
    while not re.match(rb"\* 5 EXISTS", line):
        if not line.startswith(b"* "):
            t.bad.append(t.c.wrong("not announced"))
            break
        line = t.c.line()
    t.look(b"DONE", t.c.cmd(b"DONE"), b"idle OK", [])


def leave(t):
    t.c.send(b"bye LOGOUT\r\n")
    said = t.c.answer() + t.c.answer()      # the BYE is one
    if not said[-1].startswith(b"bye OK"):
        t.bad.append(t.c.wrong("LOGOUT"))
    t.bad += t.c.finish()
    if t.c.status != 0:
        t.bad.append("exit status %s" % t.c.status)
    t.bad += t.c.check_said()


def check_files(room, name, uid):
    """The mailboxes afterwards."""
    box = room.box("spool/" + name)
    subjects = re.findall(rb"^Subject: (.*)$", box, re.M)
    if subjects != [m[0] for m in MAIL[:4]] + [b"number 9"]:
        yield "INBOX has %r" % subjects
    for _, rest, _, _ in MAIL[:4]:
        if rest.partition(b"\n\n")[2] not in box:
            yield "INBOX lacks %r" % rest
    if not re.search(rb"^X-IMAP(base)?: \d+ ", box, re.M) or len(re.findall(
            rb"^X-UID: [1-4]\s*$", box, re.M)) != 4:
        yield "the UIDs are not in INBOX"
    if not re.search(rb"^X-Status: .*F", box, re.M):
        yield "no message is flagged in INBOX"
    made = "home/%s/plans/new" % name
    if re.findall(rb"^Subject: (.*)$", room.box(made), re.M)[-3:] != [
            b"appended"] + [m[0] for m in MAIL[:2]]:
        yield "%s has %r" % (made, room.box(made))
    for path in ("spool/" + name, made):
        st = os.stat(os.path.join(room.jail, path))
        if st.st_uid != uid or st.st_mode & 0o077:
            yield "%s belongs to %d" % (path, st.st_uid)
    left = set(os.listdir(os.path.join(room.jail, "spool")))
    if left != {b.decode() for b in room.people}:
        yield "the spool has %s" % left


def check_bare(room):
    """Nothing has come into the jail that would have helped."""
    extra = set(os.listdir(room.jail)) - {"imapd", "passwd", "home", "spool"}
    return ["the jail has %s" % sorted(extra)] if extra else []


def session(room, inside, name):
    """All of it, by one user; what is wrong."""
    with Inmate(room, inside, env={"TZ": ""}) as c:
        t = Talk(c)
        t.login(name)
        read_mail(t)
        search(t)
        change_mail(t)
        idle(t, room, name.decode())
        leave(t)
        t.bad += check_files(room, name.decode(), room.people[name])
    return t.bad + check_bare(room)


def quiet(room, inside):
    """A wrong password is refused; nothing is said on descriptor 2, even if
    there is nowhere to log to."""
    with Inmate(room, inside, stderr=True) as c:
        t = Talk(c)
        t.c.line()
        t.ask(b"LOGIN riley wrong", end=b"NO [AUTHENTICATIONFAILED]")
        t.ask(b"LOGIN riley \"secret of riley\"")
        t.ask(b"STATUS INBOX (UIDNEXT)")
        leave(t)
        if c.on_stderr():
            t.bad.append("on descriptor 2: %r" % c.on_stderr())
    return t.bad


def nobody_knows(room):
    """Root's server without --auth, which has no other way to look."""
    with Inmate(room, True, stderr=True, options=["--log=stderr"]) as c:
        t = Talk(c)
        t.c.line()
        t.ask(b"LOGIN riley \"secret of riley\"", end=b"NO [UNAVAILABLE]")
        leave(t)
        if b"built for --auth=file:/PATH alone" not in c.on_stderr():
            t.bad.append("the log has %r" % c.on_stderr())
    return t.bad


# ---- what time it is there ----

def zone_file(path, seconds):
    """tzfile(5): one time all the year."""
    with open(path, "wb") as f:
        f.write(b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 5) +
                struct.pack(">lbb", seconds, 0, 0) + b"HERE\0")
    os.chmod(path, 0o644)
    return path


def zone_of(room, inside, env, setup=None):
    """The zone of the internal dates, twice: the log is written between."""
    # What was seen once keeps its date, and changed mail is not seen.
    shutil.rmtree(os.path.join(room.jail, "home/riley/.imapd"),
                  ignore_errors=True)
    with open(os.path.join(room.jail, "spool/riley"), "wb") as f:
        f.write(mailbox())
    with Inmate(room, inside, env=env, setup=setup) as c:
        t = Talk(c)
        t.login()
        t.ask(b"EXAMINE INBOX")
        said = [t.ask(b"FETCH 1 INTERNALDATE"), t.ask(b"FETCH 2 INTERNALDATE")]
        leave(t)
    found = {m.decode() for one in said
             for m in re.findall(rb'INTERNALDATE "[^"]* ([+-]\d{4})"', one)}
    return t.bad + ["%s: zone %s" % (env, z) for z in found], found


def zones(room, inside, wanted, setup=None):
    for env, zone in wanted:
        bad, found = zone_of(room, inside, env, setup)
        if found != {zone}:
            yield "wanted %s\n%s" % (zone, "\n".join(bad))


RULE = {"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}


def other_localtime(path):
    """In the child: the host's own zone is the one of the file."""
    def setup():
        must(LIBC.unshare(CLONE_NEWNS), "unshare")
        must(LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None),
             "mount")
        must(LIBC.mount(path.encode(), os.path.realpath(
            "/etc/localtime").encode(), None, MS_BIND, None), "mount")
    return setup


def can_mount(path):
    pid = os.fork()
    if pid == 0:
        try:
            other_localtime(path)()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def test_zones(room, tap, why_not):
    name = "in the jail there is UTC, or what TZ spells out"
    unknown = {"TZ": "Europe/Nowhere"}
    if why_not:
        tap.skip(name, why_not)
    else:
        tap.point(name, zones(room, True, [
            ({}, "+0000"), ({"TZ": ""}, "+0000"), (unknown, "+0000"),
            ({"TZ": ":/etc/localtime"}, "+0000"), (RULE, "+0200")]))
    name = "--chroot keeps the zone that TZ names outside"
    if not ROOT:
        tap.skip(name, "needs root")
        tap.skip("--chroot keeps the host's own zone", "needs root")
        return
    zone = zone_file(os.path.join(room.base, "zone"), 19800)
    tap.point(name, zones(room, False, [
        ({"TZ": ":" + zone}, "+0530"), ({"TZ": zone}, "+0530"),
        (RULE, "+0200")]))
    name = "--chroot keeps the host's own zone"
    if os.path.exists("/etc/localtime") and can_mount(zone):
        tap.point(name, zones(room, False, [({}, "+0530")],
                              other_localtime(zone)))
    else:
        tap.skip(name, "can not put another /etc/localtime in place here")


# ---- what is refused ----

def refusal(program, *options):
    """Exit status, and what it says to a person."""
    ran = subprocess.run([program, "--log=stderr", *options], cwd="/",
                         stdin=subprocess.DEVNULL, capture_output=True)
    return ran.returncode, (ran.stdout + ran.stderr).decode()


def refused(program, rows):
    for options, words in rows:
        status, said = refusal(program, *options)
        if status == 0 or words not in said:
            yield "%s: %d %r" % (options, status, said)


def test_refused(room, tap, static):
    rows = [(["--chroot=jail"], "needs the whole path")]
    if ROOT:
        open_to_all = room.dir("open")
        os.chmod(open_to_all, 0o777)
        theirs = room.dir("theirs", login.FIRST_UID)
        group = room.dir("group")
        os.chmod(group, 0o775)
        others = "others than root may write into it"
        rows += [(["--chroot=" + d], others)
                 for d in (open_to_all, theirs, group)]
        rows += [(["--chroot=" + room.base + "/none"],
                  "chdir: No such file or directory"),
                 (["--chroot=" + room.passwd], "chdir: Not a directory")]
    else:
        closed = "chroot: Operation not permitted"
        rows += [(["--chroot=/"], closed), (["--chroot=/nowhere"], "chdir: ")]
    tap.point("--chroot is refused in words", refused(room.program, rows))
    tap.point("the static program refuses what it lacks, in words",
              refused(static, [
                  (["--auth=shadow"], "built without the system's users"),
                  (["--auth=pam"], "built without PAM")]))


def test_static(room, tap):
    said = room.link()
    static = os.path.join(room.jail, "imapd")
    there = os.path.exists(static)
    tap.point("make STATIC=1 says nothing, the linker neither",
              [said.decode()] if said or not there else [])
    if not there:
        return None
    with open(static, "rb") as f:
        data = f.read()
    tap.point("its program needs no loader and no library", [
        w for w in ("/lib64/ld-linux", "libcrypt.so", "libnss_")
        if w.encode() in data])
    ran = subprocess.run([static, "--version"], capture_output=True)
    tap.point("--version says what is in it", [] if re.fullmatch(
        rb"imapd [0-9.]+\n(.*\n)*--auth: file\n(.*\n)*"
        rb"charsets: UTF-8, those of one byte\n(.*\n)*", ran.stdout) else [repr(ran.stdout)])
    return static


def test_sessions(room, tap, why_not):
    for inside, name, how, skip in (
            (True, b"riley", "the static program in a bare jail", why_not),
            (False, b"alex", "the usual program and --chroot",
             None if ROOT else "needs root")):
        for what, run in (
                ("a whole session", lambda: session(room, inside, name)),
                ("a wrong password, and nothing on descriptor 2",
                 lambda: quiet(room, inside))):
            try:
                if skip:
                    tap.skip("%s: %s" % (how, what), skip)
                else:
                    tap.point("%s: %s" % (how, what), run())
            except (Failure, OSError, IndexError) as e:
                tap.point("%s: %s" % (how, what), [repr(e)])


def test_nobody_knows(room, tap):
    name = "the static program without --auth lets nobody in, and says why"
    if ROOT:
        tap.point(name, nobody_knows(room))
    else:
        tap.skip(name, "needs root")


def main():
    tap = Tap()
    why_not = None if ROOT else no_namespace()
    with Jail() as room:
        static = test_static(room, tap)
        if static is not None:
            test_sessions(room, tap, why_not)
            test_nobody_knows(room, tap)
            test_zones(room, tap, why_not)
            test_refused(room, tap, static)
    sys.exit(tap.end())


main()
