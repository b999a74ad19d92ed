#!/usr/bin/env python3
"""systemd.t - the units as they are shipped: systemd takes them and finds
them little exposed, and imapd does all of its work under them: TLS, PAM, three
refusals, mailboxes in home and spool, dotlocks. TAP.

Where systemd does not run, as in a container, its systemd-socket-activate
starts what ExecStart says, and what the unit takes away this file takes away
in its place ("confine"), with the calls that systemd would make: mounts, the
bounding set, and filters for system calls, by libseccomp. Needs root for that.
"""

import concurrent.futures
import ctypes
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import login
from login import ROOT, WATCHDOG, Room, Tap, wait_until
from service import Client, listens
from tls_client import TLS, make_keys

UNITS = os.path.join(login.TOP, "systemd")
SERVICES = ("imap@.service", "imaps@.service")
ACTIVATE = "systemd-socket-activate"
PROGRAM = "/usr/local/sbin/imapd"
CERT, KEY = "/etc/ssl/certs/imapd.pem", "/etc/ssl/private/imapd.pem"
MOST = 4.0          # exposure; 10 is everything
PASSWORD = "firetruck"


class Unit(dict):
    """{"Section.Name": [values]} of a file."""

    def __init__(self, name):
        with open(os.path.join(UNITS, name)) as f:
            text = f.read().replace("\\\n", " ")
        section = ""
        for line in text.splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif line and line[0] not in "#;":
                key, _, value = line.partition("=")
                self.setdefault(section + "." + key, []).append(value)

    def words(self, name):
        return " ".join(self.get("Service." + name, [])).split()

    def on(self, name):
        return self.words(name) == ["yes"]


# ---- what a unit takes away ----

CLONE_NEWNS = 0x20000
PR_CAPBSET_DROP = 24
CAPS = ("CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID "
        "SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN "
        "NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
        "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE "
        "SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL "
        "SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND "
        "AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE").split()
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
LAST_FAMILY = 63

# The setting and what it refuses: calls, the argument, its bits that are
# looked at, and what they are then.
REFUSALS = [
    ("MemoryDenyWriteExecute", "mmap", 2, 6, 6),
    ("MemoryDenyWriteExecute", "mprotect pkey_mprotect", 2, 4, 4),
    ("MemoryDenyWriteExecute", "shmat", 2, 0o100000, 0o100000),
    ("RestrictSUIDSGID", "chmod fchmod mkdir", 1, 0o4000, 0o4000),
    ("RestrictSUIDSGID", "chmod fchmod mkdir", 1, 0o2000, 0o2000),
    ("RestrictSUIDSGID", "fchmodat mkdirat", 2, 0o4000, 0o4000),
    ("RestrictSUIDSGID", "fchmodat mkdirat", 2, 0o2000, 0o2000),
    ("RestrictSUIDSGID", "open", 2, 0o4000, 0o4000),
    ("RestrictSUIDSGID", "openat", 3, 0o4000, 0o4000),
    ("RestrictNamespaces", "setns", 0, 0, 0),
] + [("RestrictNamespaces", "clone unshare", 0, bit, bit)
     for bit in (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000,
                 0x20000000, 0x40000000)]

# What /etc and homes are for the test, and then ProtectSystem=full,
# PrivateDevices, ProtectKernelTunables and ProtectProc.
MOUNTS = """set -e
mount --make-rslave /
if [ -n "$PAM" ]; then
	for f in passwd shadow group nsswitch.conf pam.d; do
		mount --bind "$PAM/$f" "/etc/$f"
	done
fi
for d in /usr /etc /boot /efi /proc/sys /sys; do
	[ ! -d $d ] || [ -L $d ] || { mount --rbind $d $d
		mount -o remount,bind,ro $d; }
done
mount -t tmpfs -o mode=755 dev "$DEV"
for f in null zero full random urandom tty; do
	>"$DEV/$f"
	mount --bind /dev/$f "$DEV/$f"
done
ln -s /run/systemd/journal/dev-log "$DEV/log"
mount --rbind "$DEV" /dev
mount -t proc -o hidepid=invisible proc /proc 2>/dev/null || true
"""


class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int),
                ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


class Filter:
    """One that is loaded beside others: of their verdicts the harshest
    counts. libseccomp would set NoNewPrivileges, which no unit of ours has."""

    ALLOW, REFUSE = 0x7fff0000, 0x50000
    EQUAL, NOT_LESS, MASKED = 4, 5, 7
    NO_NEW_PRIVS = 3

    def __init__(self, default):
        self.lib = ctypes.CDLL("libseccomp.so.2")
        self.lib.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.lib.seccomp_init(
            ctypes.c_uint32(default)))
        self.lib.seccomp_attr_set(self.context, self.NO_NEW_PRIVS,
                                  ctypes.c_uint32(0))

    def add(self, verdict, name, *comparison):
        """A call that this machine lacks is none to allow or refuse."""
        number = self.lib.seccomp_syscall_resolve_name(name.encode())
        c = (Comparison * 1)(*([comparison] if comparison else []))
        if number >= 0 and self.lib.seccomp_rule_add_array(
                self.context, ctypes.c_uint32(verdict), number,
                bool(comparison), c):
            raise SystemExit("no rule for " + name)

    def load(self):
        if self.lib.seccomp_load(self.context):
            raise SystemExit("no filter")


def calls_of(words):
    """Names of system calls, groups resolved as systemd has them here."""
    found = set()
    for word in words:
        if word[0] != "@":
            found.add(word)
            continue
        said = subprocess.run(["systemd-analyze", "syscall-filter", word],
                              check=True, capture_output=True, text=True)
        found |= calls_of(x.strip() for x in said.stdout.splitlines()[1:]
                          if x.strip() and "#" not in x)
    return found


def allowed_calls(unit):
    """systemd.exec(5): the first line says whether it is a list of what is
    allowed; a ~ takes away. @default is always allowed."""
    allowed = calls_of(["@default"])
    for line in unit["Service.SystemCallFilter"]:
        if line[0] == "~":
            allowed -= calls_of(line[1:].split()) - calls_of(["@default"])
        else:
            allowed |= calls_of(line.split())
    return allowed


def refuse_errno(n):
    return Filter.REFUSE | n


def load_filters(unit, calls):
    EPERM, EAFNOSUPPORT = 1, 97
    main = Filter(refuse_errno(EPERM))
    for name in calls:
        main.add(Filter.ALLOW, name)
    others = Filter(Filter.ALLOW)
    for setting, names, argument, mask, value in REFUSALS:
        for name in names.split() if unit.on(setting) else ():
            others.add(refuse_errno(EPERM), name, argument, Filter.MASKED,
                       mask, value)
    families = [FAMILIES[w] for w in unit.words("RestrictAddressFamilies")]
    for n in set(range(LAST_FAMILY)) - set(families):
        others.add(refuse_errno(EAFNOSUPPORT), "socket", 0, Filter.EQUAL, n, 0)
    others.add(refuse_errno(EAFNOSUPPORT), "socket", 0, Filter.NOT_LESS,
               LAST_FAMILY, 0)
    others.load()
    main.load()


def capabilities(unit):
    return {w[len("CAP_"):] for w in unit.words("CapabilityBoundingSet")}


def confine(name, place, *argv):
    """Runs argv as the unit has it."""
    unit = Unit(name)
    with open(os.path.join(place, "calls")) as f:
        calls = f.read().split()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        raise SystemExit("no mount namespace")
    pam = os.path.join(place, "etc")
    subprocess.run(["sh", "-c", MOUNTS], check=True, stdin=subprocess.DEVNULL,
                   env={**os.environ, "DEV": os.path.join(place, "dev"),
                        "PAM": pam if os.path.isdir(pam) else ""})
    os.umask(int(unit.words("UMask")[0], 8))
    for n, cap in enumerate(CAPS):
        if cap not in capabilities(unit):
            libc.prctl(PR_CAPBSET_DROP, n, 0, 0, 0)
    load_filters(unit, calls)
    os.execv(argv[0], argv)


# ---- what stands in the units ----

def analyze(*args):
    p = subprocess.run(["systemd-analyze", *args], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       env={**os.environ, "SYSTEMD_COLORS": "0", "LC_ALL": "C"})
    return p.returncode, p.stdout


def exposure():
    for name in SERVICES:
        said = analyze("security", "--offline=yes", "--no-pager",
                       os.path.join(UNITS, name))[1]
        m = re.search(r"Overall exposure level for .*: ([0-9.]+)", said)
        if m is None or float(m.group(1)) > MOST:
            yield "%s: %s" % (name, said.splitlines()[-1:])
        else:
            print("# %s: %s" % (name, m.group(1)))


def verified(room):
    """The program is where we say it is."""
    place = room.dir("units")
    for name in os.listdir(UNITS):
        with open(os.path.join(UNITS, name)) as f:
            text = f.read().replace(PROGRAM, room.program)
        with open(os.path.join(place, name), "w") as f:
            f.write(text)
    status, said = analyze("verify", "--man=no", *(
        os.path.join(place, name) for name in sorted(os.listdir(place))))
    return [said or "status %d" % status] if status or said.strip() else []


def alike():
    for a, b, may in (*SERVICES, {"Unit.Description", "Service.ExecStart"}), \
            ("imap.socket", "imaps.socket",
             {"Unit.Description", "Socket.ListenStream"}):
        a, b = Unit(a), Unit(b)
        yield from ("%s: %s, %s" % (key, a.get(key), b.get(key))
                    for key in set(a) | set(b)
                    if a.get(key) != b.get(key) and key not in may)


# What would break it, whatever it gains.
NEVER = ("User Group DynamicUser NoNewPrivileges ProtectHome PrivateTmp "
         "PrivateNetwork PrivateUsers RemoveIPC ProcSubset IPAddressDeny "
         "RootDirectory InaccessiblePaths TemporaryFileSystem "
         "NoExecPaths MemoryMax SecureBits AmbientCapabilities").split()
ALWAYS = {
    "Service.StandardInput": "socket", "Service.StandardError": "journal",
    "Service.SuccessExitStatus": "1", "Service.KillMode": "mixed",
    "Service.ProtectSystem": "full", "Service.SystemCallErrorNumber": "EPERM",
    "Unit.CollectMode": "inactive-or-failed",
}
SOCKET = {
    "Accept": "yes", "KeepAlive": "yes", "NoDelay": "yes",
    "MaxConnections": "200", "MaxConnectionsPerSource": "20",
    "TriggerLimitIntervalSec": "0",
}
# To become a user without any; to leave the front without files, and end it;
# for PAM: to
# read shadow and faillock's files, to give those to their users, and to tell
# the audit log, without which libpam lets nobody in where there is one.
CAPABILITIES = set("SETUID SETGID SETPCAP SYS_CHROOT KILL DAC_OVERRIDE CHOWN "
                   "FOWNER AUDIT_WRITE".split())
CALLS = ("setresuid setresgid setgroups chroot prctl prlimit64 seccomp "
         "landlock_create_ruleset landlock_add_rule landlock_restrict_self "
         "fchown fchmod flock fcntl fsync ftruncate rename renameat2 linkat "
         "inotify_init1 mlock kill wait4 clone clone3 execve setsid capget "
         "statx ppoll socketpair getrandom").split()


def table(calls):
    for name in SERVICES:
        unit = Unit(name)
        yield from ("%s: %s" % (name, x) for x in NEVER
                    if "Service." + x in unit)
        yield from ("%s: %s is %s" % (name, key, unit.get(key))
                    for key, value in ALWAYS.items()
                    if unit.get(key) != [value])
        yield from ("%s: %s is refused" % (name, x) for x in CALLS
                    if x not in calls)
        yield from ("%s: CAP_%s" % (name, x)
                    for x in capabilities(unit) ^ CAPABILITIES)
        if set(unit.words("RestrictAddressFamilies")) != set(FAMILIES):
            yield name + ": other families than syslog, LDAP and audit want"
    for name, port in ("imap.socket", "143"), ("imaps.socket", "993"):
        unit = Unit(name)
        for key, value in {**SOCKET, "ListenStream": port}.items():
            if unit.get("Socket." + key) != [value]:
                yield "%s: %s is %s" % (name, key, unit.get("Socket." + key))
        if unit.get("Install.WantedBy") != ["sockets.target"]:
            yield name + " is wanted by " + repr(unit.get("Install.WantedBy"))


# ---- sessions ----

class Secure(Client):
    """TLS from the first byte on."""

    def __init__(self, port):
        self.socket = TLS.wrap_socket(socket.create_connection(
            ("127.0.0.1", port), WATCHDOG))
        self.file = self.socket.makefile("rb")
        self.raw, self.n = b"", 0
        self.greeting = self.answer()


class Activated:
    """systemd-socket-activate with what a unit says to start, and options of
    ours behind that."""

    def __init__(self, room, name, place, confined, options):
        argv = shlex.split(Unit(name)["Service.ExecStart"][0])
        argv = [{PROGRAM: room.program}.get(x, x).replace(
            CERT, room.cert).replace(KEY, room.key) for x in argv]
        argv += ["--log=stderr", "--inbox=" + room.spool + "/%u",
                 "--dotlock=require", *options]
        if confined:
            argv = [sys.executable, os.path.abspath(__file__), "confine",
                    name, place] + argv
        self.log = os.path.join(place, "log")
        self.secure = name == "imaps@.service"
        for _ in range(20):
            with socket.create_server(("127.0.0.1", 0)) as s:
                self.port = s.getsockname()[1]
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen(
                    [ACTIVATE, "--accept", "--inetd", "-l",
                     "127.0.0.1:%d" % self.port, *argv], cwd="/",
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            wait_until(lambda: self.process.poll() is not None or
                       listens(self.process.pid, self.port),
                       "systemd-socket-activate to listen")
            if self.process.poll() is None:
                return
        raise login.Failure(self.said())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in login.children(self.process.pid):
            if login.running(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.terminate()
        self.process.wait()

    def client(self):
        try:
            return (Secure if self.secure else Client)(self.port)
        except OSError as e:
            raise login.Failure("%s; %s" % (e, self.said()))

    def server(self):
        return next(pid for pid in login.children(self.process.pid)
                    if login.running(pid))

    def end(self):
        """Nothing is left of its sessions."""
        wait_until(lambda: not any(map(login.running, login.children(
            self.process.pid))), "the session's end")

    def said(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def events(self):
        return re.findall(r"(?m)^imapd\[\d+\]: (.*)", self.said())


def status_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.split(":", 1) for line in f.read().splitlines())


def session(room, a, user, bounding=None):
    """A login, and work of each kind on mailboxes."""
    c = a.client()
    with c:
        if not c.greeting.startswith(b"* OK [CAPABILITY "):
            yield "it greets %r; %s" % (c.greeting, a.said())
            return
        status = status_of(a.server())
        if bounding is not None and int(status["CapBnd"], 16) != bounding:
            yield "CapBnd is" + status["CapBnd"]
        c.ok("LOGIN %s %s" % (user, PASSWORD))
        status = status_of(a.server())
        if ROOT and int(status["CapBnd"], 16) or \
                int(status["CapEff"], 16) or \
                status["NoNewPrivs"].strip() != "1":
            yield "it has rights left"
        if b"* 1 EXISTS" not in c.ok("SELECT INBOX"):
            yield "it is another INBOX"
        c.ok(r"STORE 1 +FLAGS (\Flagged)")
        c.ok("CREATE made")
        c.ok("COPY 1 made")
        c.ok("RENAME made below/renamed")
        c.append("INBOX", b"Subject: y\r\n\r\nand this\r\n")
        c.ok("SEARCH CHARSET ISO-8859-15 TEXT and")
        c.ok("EXPUNGE")
        c.logout()
    a.end()
    with open(os.path.join(room.spool, user)) as f:
        text = f.read()
    if "X-Status: F" not in text or "and this" not in text:
        yield "the spool file has " + text
    if not os.path.exists(os.path.join(
            room.people[user.encode()].home, "below/renamed")):
        yield "the mailbox is not there"
    want = ["Login user=%s host=[127.0.0.1]" % user,
            "Logout user=%s host=[127.0.0.1]" % user]
    if [x for x in a.events() if x not in room.usual] != want:
        yield "the log has %s" % a.said()


def refused(room, a, user):
    """Of two passwords the second is right. What faillock notes is in a file
    of the user's."""
    with a.client() as c:
        answer = c.cmd("LOGIN %s wrong" % user)[1]
        if not answer.startswith(b"NO [AUTHENTICATIONFAILED]"):
            yield "it says %r" % answer
        note = os.path.join(os.path.dirname(a.log), "faillock", user)
        if os.stat(note).st_uid != room.people[user.encode()].uid:
            yield "faillock's file is not the user's"
        c.ok("LOGIN %s %s" % (user, PASSWORD))
        c.logout()
    a.end()


def stopped(room, a, user):
    """As systemctl stop has it: the first process, then the front, which is
    another user's by then."""
    with a.client() as c:
        os.kill(a.server(), signal.SIGTERM)
        said = c.answer()
        if not said.startswith(b"* BYE "):
            yield "it says %r: %s" % (said, a.said())
        a.end()


# ---- where they are held ----

def put(text, *path, mode=0o644):
    path = os.path.join(*path)
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


# As authselect has it with faillock.
PASSWORD_AUTH = """auth required pam_faillock.so preauth dir={0} deny=9
auth [success=1 default=bad] pam_unix.so
auth [default=die] pam_faillock.so authfail dir={0} deny=9
auth sufficient pam_faillock.so authsucc dir={0}
auth required pam_deny.so
account required pam_faillock.so
account required pam_unix.so
"""


def pam_etc(room, place, source):
    """An /etc with one user, whose shadow file has Red Hat's mode."""
    etc = os.path.join(place, "etc")
    os.makedirs(etc + "/pam.d")
    faillock = os.path.join(place, "faillock")
    os.mkdir(faillock)
    shutil.copy(os.path.join(login.TOP, "pam.d", source), etc + "/pam.d/imap")
    put(PASSWORD_AUTH.format(faillock), etc, "pam.d/password-auth")
    passwd = shadow = ""
    for p in room.people.values():
        name = p.name.decode()
        passwd += "%s:x:%d:%d::%s:/bin/sh\n" % (name, p.uid, p.uid, p.home)
        shadow += "%s:%s:19000::::::\n" % (name, login.crypted(p.password))
    put(passwd, etc, "passwd")
    put(shadow, etc, "shadow", mode=0)
    put("root:x:0:\n", etc, "group")
    put("passwd: files\ngroup: files\nshadow: files\n", etc, "nsswitch.conf")


# Name, unit, PAM's file or none for a password file, and what is done.
CONFINED = [
    ("a session of imap@.service", SERVICES[0], None, session),
    ("a session of imaps@.service", SERVICES[1], None, session),
    ("systemctl stop before a login", SERVICES[0], None, stopped),
    ("a session, PAM as on Debian", SERVICES[0], "imap", session),
    ("a session through TLS, PAM as on Red Hat", SERVICES[1], "imap.redhat",
     session),
    ("a wrong password and a right one, with pam_faillock", SERVICES[0],
     "imap.redhat", refused),
]


def run(room, number, case, confined, calls):
    name, unit, pam, work = case
    user = "user%d" % number
    place = tempfile.mkdtemp(prefix="unit.", dir=room.base)
    os.chmod(place, 0o755)
    os.mkdir(os.path.join(place, "dev"))
    put("\n".join(calls), place, "calls")
    if pam is not None:
        pam_etc(room, place, pam)
    options = ["--auth=file:" + room.passwd] if pam is None else []
    try:
        with Activated(room, unit, place, confined, options) as a:
            try:
                if confined and work is session:
                    caps = sum(1 << CAPS.index(c) for c in capabilities(
                        Unit(unit)))
                    return list(work(room, a, user, caps))
                return list(work(room, a, user))
            except (login.Failure, RuntimeError, OSError) as e:
                return ["%r; %s" % (e, a.said())]
    except (login.Failure, OSError) as e:
        return [repr(e)]


def find_usual(room):
    """Lines about what this kernel can not do: those that a session has
    without any unit."""
    room.usual = set()
    with room.client() as c:
        c.line()
        c.cmd(b"a LOGIN user0 " + PASSWORD.encode())
        c.finish()
        room.usual = {x for x in c.log() if x.startswith("sandbox:")}


def built_with(*options):
    return subprocess.run([login.IMAPD, *options, "--version"], text=True,
                          capture_output=True)


def cannot_confine():
    if not ROOT:
        return "needs root"
    if login.sanitised():
        return "a sanitiser needs other calls"
    if subprocess.run(["unshare", "--mount", "true"],
                      stderr=subprocess.DEVNULL).returncode:
        return "needs a mount namespace"
    return None


def held(room, tap, calls):
    tls = "tls" in built_with().stdout
    pam = built_with("--auth=pam").returncode == 0
    why = cannot_confine()
    cases = [("socket activation: " + CONFINED[n][0], n, False)
             for n in (0, 1)]
    cases += [("as confined: " + c[0], n, True)
              for n, c in enumerate(CONFINED)]
    jobs = []
    with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
        for i, (name, n, confined) in enumerate(cases):
            case = CONFINED[n]
            no = why if confined else None
            if case[1] == SERVICES[1] and not tls:
                no = "built without TLS"
            elif case[2] is not None and not pam:
                no = "built without PAM"
            jobs.append((name, no, None if no else pool.submit(
                run, room, i, case, confined, calls)))
    for name, no, job in jobs:
        if no:
            tap.skip(name, no)
        else:
            tap.point(name, job.result())


def main():
    for command in "systemd-analyze", ACTIVATE:
        if shutil.which(command) is None:
            print("1..0 # SKIP %s is not installed" % command)
            return 0
    tap = Tap()
    with Room() as room:
        make_keys(room)
        for n in range(2 + len(CONFINED)):
            room.person(b"user%d" % n, PASSWORD.encode(),
                        mail=login.message(1))
        calls = sorted(allowed_calls(Unit(SERVICES[0])))
        tap.point("exposure is %s at most" % MOST, exposure())
        tap.point("systemd takes the units without a word", verified(room))
        tap.point("what stands in one stands in the other", alike())
        tap.point("no line takes what it needs, or more than it should",
                  table(calls))
        find_usual(room)
        held(room, tap, calls)
    return tap.end()


if __name__ == "__main__":
    if sys.argv[1:2] == ["confine"]:
        confine(*sys.argv[2:])
    sys.exit(main())
