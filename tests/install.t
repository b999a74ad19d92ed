#!/usr/bin/env python3
"""make install and make uninstall, into a directory of their own: which files
come, whose and with which rights; what an admin has edited is kept; nothing
else stays. xinetd takes the files for xinetd.d and libpam the one for pam.d as
they were installed; systemd.t asks systemd. TAP."""

import ctypes
import os
import re
import socket
import ssl
import stat
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hostile
from service import XINETD, crypt_hash, listens

tap = hostile.Tap()
DOCS = ("README DESIGN INDEX LOCKING SECURITY VIOLATIONS CHANGES "
        "LICENSE").split()
XINETD_D = "etc/xinetd.d/imap"
XINETD_TLS = "etc/xinetd.d/imaps"
PAM_D = "etc/pam.d/imap"
CONFIG = [XINETD_D, XINETD_TLS, PAM_D]
UNITS = "imap.socket imap@.service imaps.socket imaps@.service".split()
# The kind of build that is tested, else make would first make another; what
# else "make check" was told stands in MAKEFLAGS.
SAN = ["SAN=1"] if os.path.basename(os.path.dirname(hostile.IMAPD)) == \
    "obj-san" else []


def make(*words, umask=0o077):
    """What it says. The umask is an anxious admin's."""
    flags = re.sub(r"(--jobserver|-j)\S*", "", os.environ.get("MAKEFLAGS", ""))
    env = {**os.environ, "MAKEFLAGS": flags, "DESTDIR": ""}
    env.pop("SAN", None)        # names a directory there, not a kind
    p = subprocess.run(["make", "-s", "-C", hostile.TOP, *words, *SAN],
                       env=env, text=True, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT,
                       preexec_fn=lambda: os.umask(umask))
    return p.returncode, p.stdout


def unit(prefix, name):
    return prefix + "/lib/systemd/system/" + name


def wanted(prefix):
    """{path: (mode, where it lies in the tree)}"""
    found = {prefix + "/sbin/imapd": (0o755, None),
             prefix + "/share/man/man8/imapd.8": (0o644, "imapd.8")}
    found.update({prefix + "/share/doc/imapd/" + d: (0o644, d) for d in DOCS})
    found.update({unit(prefix, u): (0o644, "systemd/" + u) for u in UNITS})
    found.update({c: (0o644, c[len("etc/"):]) for c in CONFIG})
    return found


def files(top):
    """{path: mode} of all that is no directory."""
    found = {}
    for where, _, names in os.walk(top):
        for name in names:
            path = os.path.join(where, name)
            found[os.path.relpath(path, top)] = os.lstat(path).st_mode
    return found


def read(*path):
    with open(os.path.join(*path)) as f:
        return f.read()


def write(text, *path):
    with open(os.path.join(*path), "w") as f:
        f.write(text)


def installed(top, prefix, text):
    bad = [] if text[0] == 0 else ["make says " + text[1]]
    found = files(top)
    want = {name: stat.S_IFREG | mode
            for name, (mode, _) in wanted(prefix).items()}
    for name in sorted(set(found) | set(want)):
        if found.get(name) != want.get(name):
            bad.append("%s: mode %o, should be %o" % (
                name, found.get(name, 0), want.get(name, 0)))
    for where, names, _ in os.walk(top):
        st = os.stat(where)
        if where != top and stat.S_IMODE(st.st_mode) != 0o755:
            bad.append("%s/: mode %o" % (where, st.st_mode))
    bad += ["%s is of %d" % (name, os.lstat(os.path.join(top, name)).st_uid)
            for name in found
            if os.lstat(os.path.join(top, name)).st_uid != os.geteuid()]
    for name, (_, source) in wanted(prefix).items():
        if source and name in found and read(top, name) != read(
                hostile.TOP, source).replace("/usr/local/sbin",
                                             "/%s/sbin" % prefix):
            bad.append(name + " is not what we ship")
    return bad


def same_program(path):
    with open(path, "rb") as a, open(hostile.IMAPD, "rb") as b:
        return [] if a.read() == b.read() else ["another program"]


def twice(top):
    """What was edited is kept, the rest made anew; make says how to see the
    difference, and what it says can be typed."""
    edited = {name: read(top, name) + "# ours\n" for name in CONFIG}
    for name, text in edited.items():
        write(text, top, name)
    ours = ["usr/local/share/man/man8/imapd.8",
            unit("usr/local", "imap.socket")]
    for name in ours:
        write("old", top, name)
    status, said = make("install", "DESTDIR=" + top)
    bad = [] if status == 0 else ["make says " + said]
    bad += [name + " is not kept" for name in CONFIG
            if read(top, name) != edited[name]]
    bad += [name + ": nothing is said: " + said for name in CONFIG
            if os.path.join(top, name) not in said]
    bad += [name + " is old" for name in ours if read(top, name) == "old"]
    commands = re.findall(r"^    (sed .*)$", said, re.M)
    for command in commands:
        p = subprocess.run(["sh", "-c", command], cwd=hostile.TOP, text=True,
                           capture_output=True)
        if p.returncode != 1 or not p.stdout.endswith("-# ours\n"):
            bad.append("%s: %s%s" % (command, p.stdout[-200:], p.stderr))
    if len(commands) != len(CONFIG):
        bad.append("%d commands" % len(commands))
    bad += [name for name in files(top) if name not in wanted("usr/local")]
    return bad


def quiet(top):
    """What was not edited is no news."""
    status, said = make("install", "DESTDIR=" + top)
    return [] if status == 0 and said.count("\n") == 1 else [said]


def gone(top, stays, *words):
    status, said = make("uninstall", "DESTDIR=" + top, *words)
    bad = [] if status == 0 else ["make says " + said]
    bad += [name + " stays" for name in files(top) if name not in stays]
    for name in stays:
        if not os.path.exists(os.path.join(top, name)):
            bad.append(name + " is gone")
        if os.path.join(top, name) + " was edited and stays" not in said:
            bad.append("%s: nothing is said: %s" % (name, said))
    if os.path.exists(os.path.join(top, "usr/local/share/doc/imapd")):
        bad.append("its directory of documents stays")
    if not os.path.isdir(os.path.dirname(os.path.join(top, XINETD_D))):
        bad.append("a directory that others use is gone")
    return bad


def no_such_prefix(top):
    bad = []
    for prefix in ("/usr/lo cal", "local", "/a&b"):
        status, said = make("install", "DESTDIR=" + top, "PREFIX=" + prefix)
        if status == 0 or "PREFIX=" + prefix not in said:
            bad.append("%s: %s" % (prefix, said))
    return bad + list(files(top))


# ---- onto this host ----

def onto(place, uid, there, *files):
    """What install says that is not for a package; who asks has this uid,
    and the front's user is there, or not. All of it lies below place."""
    here = os.path.join(place, "host.%d.%d.%d" % (uid, there, len(files)))
    for name in ("bin", "etc/pam.d"):
        os.makedirs(os.path.join(here, name))
    for name in files:
        write("", here, "etc", name)
    write("#!/bin/sh\ntest $1 = imapd-net && exit %d\necho %d\n" % (
        not there, uid), here, "bin/id")
    os.chmod(os.path.join(here, "bin/id"), 0o755)
    path = os.environ["PATH"]
    os.environ["PATH"] = os.path.join(here, "bin") + ":" + path
    try:
        return here, *make("install", "PREFIX=" + here + "/usr",
                           "SYSCONFDIR=" + here + "/etc")
    finally:
        os.environ["PATH"] = path


def tells_of_user(place):
    """Root, whose server would have the front be nobody, and no one else."""
    bad = []
    for uid, there in (0, False), (0, True), (1000, False):
        _, status, said = onto(place, uid, there)
        line = re.search(r"(?m)^    useradd .* imapd-net$", said) is not None
        if status or line != (uid == 0 and not there) or \
                said.count("\n") != (3 if line else 1):
            bad.append("uid %d, %s: %s" % (uid, there, said))
    return bad


def pam_of_host(place):
    """Where there is a password-auth, its words; made anew it is the same,
    and uninstall knows it."""
    here, status, said = onto(place, 0, True, "pam.d/password-auth")
    name = os.path.join(here, "etc/pam.d/imap")
    bad = [said] * (status != 0)
    if read(name) != read(hostile.TOP, "pam.d/imap.redhat"):
        bad.append("it is another file")
    words = ["PREFIX=" + here + "/usr", "SYSCONFDIR=" + here + "/etc"]
    bad += ["again: " + x for x in [make("install", *words)[1]]
            if "kept" in x]
    bad += [x for x in [make("uninstall", *words)[1]] if x]
    return bad + ["it stays"] * os.path.exists(name)


# ---- xinetd ----

def entry(top, service="imap"):
    """{attribute: value} of the file as it is installed."""
    lines = [line.strip() for line in
             read(top, "etc/xinetd.d", service).splitlines()]
    lines = [line for line in lines if line and line[0] != "#"]
    if lines[:2] != ["service " + service, "{"] or lines[-1] != "}":
        raise ValueError(lines)
    return dict(re.match(r"(\w+)\s*=\s*(.*)$", line).groups()
                for line in lines[2:-1])


def entry_is_right(top, prefix):
    want = {"disable": "yes", "socket_type": "stream", "wait": "no",
            "flags": "KEEPALIVE NODELAY", "user": "root",
            "server": "/%s/sbin/imapd" % prefix, "instances": "200",
            "per_source": "20", "cps": "100 5", "rlimit_as": "1024M",
            "nice": "5", "umask": "077", "passenv": "",
            "log_type": "SYSLOG mail info",
            "log_on_success": "HOST PID EXIT DURATION",
            "log_on_failure": "HOST"}
    tls = {**want, "server_args": "--tls --tls-cert=/etc/ssl/certs/imapd.pem"
           " --tls-key=/etc/ssl/private/imapd.pem"}
    return ["%s: %s = %s, should be %s" % (service, name, have.get(name),
                                           want.get(name))
            for service, want in (("imap", want), ("imaps", tls))
            for have in [entry(top, service)]
            for name in sorted(set(have) | set(want))
            if have.get(name) != want.get(name)]


def greeting(s):
    lines = s.makefile("rb")
    said = lines.readline()
    s.shutdown(socket.SHUT_WR)
    lines.read()
    return said


def xinetd(top, changes, service="imap", talk=greeting):
    """What talk hears, as a client, from the installed file with these
    changes, and xinetd's own log. xinetd reads no path with a space, so it
    is shown the root directory of the installation by a link."""
    with tempfile.TemporaryDirectory(prefix="imapd-install.") as place:
        os.chmod(place, 0o755)
        os.symlink(top, os.path.join(place, "root"))
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        text = read(top, "etc/xinetd.d", service)
        changes = {**changes, "server": place + "/root" +
                   entry(top, service)["server"]}
        for name, value in changes.items():
            text = re.sub(r"(?m)^(\t%s\s*)=.*" % name,
                          lambda m: m.group(1) + "= " + value, text)
        text = text.replace("{\n", "{\n\ttype = UNLISTED\n\tprotocol = tcp\n"
                            "\tbind = 127.0.0.1\n\tport = %d\n" % port, 1)
        os.mkdir(os.path.join(place, "xinetd.d"))
        write(text, place, "xinetd.d", service)
        write("defaults\n{\n}\nincludedir %s/xinetd.d\n" % place, place,
              "xinetd.conf")
        log = os.path.join(place, "log")
        p = subprocess.Popen(
            [XINETD, "-dontfork", "-f", place + "/xinetd.conf", "-filelog",
             log, "-pidfile", place + "/pid"],
            env={"PATH": os.defpath, "TZ": "UTC"}, stdin=subprocess.DEVNULL)
        said = b""
        try:
            end = hostile.time.monotonic() + hostile.WATCHDOG
            while not (os.path.exists(log) and "Started" in read(log)) and \
                    p.poll() is None and hostile.time.monotonic() < end:
                hostile.time.sleep(.01)
            if listens(p.pid, port):
                with socket.create_connection(("127.0.0.1", port),
                                              hostile.WATCHDOG) as s:
                    said = talk(s)
        finally:
            p.terminate()
            p.wait()
        return said.decode(), read(log)


def as_caller():
    """What must be changed so that the file can be tried here."""
    changes = {"disable": "no"}
    if not hostile.ROOT:
        changes["user"] = str(os.getuid())
    if SAN:             # whose shadow is terabytes
        changes["rlimit_as"] = "UNLIMITED"
    return changes


def greets(top):
    said, log = xinetd(top, as_caller())
    # An ordinary user's imapd can log nobody in, and says so.
    want = r"\* OK \[CAPABILITY " if hostile.ROOT else r"\* BYE "
    bad = [] if re.match(want, said) else ["it greets %r" % said]
    bad += [line for line in log.splitlines() if re.search(
        "ERROR|WARNING(?!: Exiting)|bad|unknown|CRITICAL", line)]
    return bad


def is_off(top, service):
    changes = as_caller()
    del changes["disable"]
    said, log = xinetd(top, changes, service)
    return [] if said == "" and "working: 0" in log else [said, log]


def session_through_tls(s):
    """All that the server says to LOGIN, SELECT and LOGOUT."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    with c.wrap_socket(s) as secure, secure.makefile("rb") as lines:
        said = lines.readline()
        secure.sendall(b"a LOGIN riley firetruck\r\nb SELECT INBOX\r\n"
                       b"c LOGOUT\r\n")
        return said + lines.read()


def serves_tls(place, top):
    """The line of the file, with files of ours in it and a password file, as
    passwords of this host are not for us to know."""
    uid = 64200 if hostile.ROOT else os.geteuid()
    keys = [os.path.join(place, name) for name in ("cert.pem", "key.pem")]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-out", keys[0], "-keyout",
         keys[1], "-days", "2", "-subj", "/CN=localhost"], check=True,
        capture_output=True)
    home = os.path.join(place, "home")
    os.mkdir(home)
    write("From a@b Thu Aug 22 12:36:23 2002\nSubject: x\n\nhello\n\n", home,
          "inbox")
    for path in (home, home + "/inbox"):
        os.chown(path, uid, uid if hostile.ROOT else os.getegid())
    write("riley:%s:%d:%d::%s:\n" % (
        crypt_hash("firetruck"), uid, uid if hostile.ROOT else os.getegid(),
        home), place, "passwd")
    os.chmod(os.path.join(place, "passwd"), 0o600)
    args = entry(top, "imaps")["server_args"]
    for name, key in zip(("certs", "private"), keys):
        args = args.replace("/etc/ssl/%s/imapd.pem" % name, key)
    args += " --inbox=~/inbox --auth=file:%s/passwd" % place
    said, log = xinetd(top, {**as_caller(), "server_args": args}, "imaps",
                       session_through_tls)
    want = r"(?s)\* OK \[CAP.*^a OK .*^\* 1 EXISTS.*^b OK .*^c OK "
    return [] if re.match(want, said, re.M) else [said, log]


# ---- PAM ----

def pam_lines(path, want):
    lines = [line.split() for line in read(path).splitlines()
             if line and line[0] != "#"]
    bad = [] if lines == want else ["lines: %r" % lines]
    live = [re.sub("^#", "", line) for line in read(path).splitlines()
            if re.match("#?(auth|account|session|password)\t", line)]
    bad += [line for line in live if "nullok" in line or
            not re.match(r"(auth|account)\t\S.*\tpam_\w+\.so\b|"
                         r"(auth|account)\t(substack|include)\t", line)]
    return bad


class Message(ctypes.Structure):
    _fields_ = [("style", ctypes.c_int), ("text", ctypes.c_char_p)]


class Response(ctypes.Structure):
    _fields_ = [("text", ctypes.c_void_p), ("code", ctypes.c_int)]


CONVERSE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.POINTER(Message)),
    ctypes.POINTER(ctypes.POINTER(Response)), ctypes.c_void_p)
NO_DELAY = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_uint,
                            ctypes.c_void_p)


class Conversation(ctypes.Structure):
    _fields_ = [("converse", CONVERSE), ("data", ctypes.c_void_p)]


def pam(directory):
    """libpam's answers to authenticate and acct_mgmt with that directory in
    the place of /etc/pam.d, for a user whom no system has; None where libpam
    is too old to take one."""
    PAM_FAIL_DELAY = 10
    libc = ctypes.CDLL(None)
    try:
        lib = ctypes.CDLL("libpam.so.0")
        begin = lib.pam_start_confdir
    except (OSError, AttributeError):
        return None
    libc.calloc.restype = ctypes.c_void_p
    libc.strdup.restype = ctypes.c_void_p

    def answer(n, messages, responses, data):
        memory = libc.calloc(n, ctypes.sizeof(Response))
        responses[0] = ctypes.cast(memory, ctypes.POINTER(Response))
        for i in range(n):
            responses[0][i].text = libc.strdup(b"wrong")
        return 0

    handle = ctypes.c_void_p()
    conversation = Conversation(CONVERSE(answer), None)
    no_delay = NO_DELAY(lambda status, wait, data: None)
    status = begin(b"imap", b"imapd-nobody", ctypes.byref(conversation),
                   directory.encode(), ctypes.byref(handle))
    if status != 0:
        return [status]
    lib.pam_set_item(handle, PAM_FAIL_DELAY, no_delay)
    all_ = [lib.pam_authenticate(handle, 0), lib.pam_acct_mgmt(handle, 0)]
    lib.pam_end(handle, all_[-1])
    return all_


def both_pam_lines(top):
    unix = [["auth", "required", "pam_unix.so"],
            ["account", "required", "pam_unix.so"]]
    theirs = [["auth", "substack", "password-auth"],
              ["account", "include", "password-auth"]]
    return pam_lines(os.path.join(top, PAM_D), unix) + ["Red Hat: " + x for x
        in pam_lines(os.path.join(hostile.TOP, "pam.d/imap.redhat"), theirs)]


def pam_takes(directory):
    """A file that libpam can not read, or a module that is not there, gives
    PAM_ABORT, PAM_MODULE_UNKNOWN and their like."""
    refused = {7: "PAM_AUTH_ERR", 10: "PAM_USER_UNKNOWN",
               9: "PAM_AUTHINFO_UNAVAIL"}
    got = pam(directory)
    return ["it says %r" % got] if len(got) != 2 or \
        any(n not in refused for n in got) else []


def pam_takes_redhat(place):
    """With a password-auth as authselect makes it, in short; libpam looks for
    what is included in /etc alone, if there is no path."""
    there = os.path.join(place, "redhat")
    os.mkdir(there)
    write(read(hostile.TOP, "pam.d/imap.redhat").replace(
        "password-auth", there + "/password-auth"), there, "imap")
    bad = ["without a password-auth"] * (pam_takes(there) == [])
    write("auth sufficient pam_unix.so nullok\nauth required pam_deny.so\n"
          "account required pam_unix.so\n", there, "password-auth")
    return bad + pam_takes(there)


def has_tls():
    return "tls" in subprocess.run([hostile.IMAPD, "--version"], text=True,
                                   capture_output=True).stdout


def main():
    with tempfile.TemporaryDirectory(prefix="imapd-install.") as place:
        os.chmod(place, 0o755)
        top = os.path.join(place, "a root")
        other = os.path.join(place, "other")
        make("all", umask=0o022)
        said = make("install", "DESTDIR=" + top)
        tap.point("install makes these files and no others, readable by all, "
                  "setuid none, where the umask is 077",
                  installed(top, "usr/local", said))
        tap.point("the program is the one that was built",
                  same_program(top + "/usr/local/sbin/imapd"))
        tap.point("the xinetd files are off and have these attributes",
                  entry_is_right(top, "usr/local"))
        tap.point("the PAM files ask what they should, know no nullok, open "
                  "no session", both_pam_lines(top))
        if XINETD:
            tap.point("xinetd starts imapd from the xinetd file", greets(top))
            tap.point("xinetd leaves it off until it is turned on",
                      is_off(top, "imap") + is_off(top, "imaps"))
        else:
            tap.skip("xinetd starts imapd from the xinetd file", "no xinetd")
            tap.skip("xinetd leaves it off", "no xinetd")
        if XINETD and has_tls():
            tap.point("xinetd starts imapd from the xinetd file for TLS, and "
                      "somebody logs in and out", serves_tls(place, top))
        else:
            tap.skip("xinetd starts imapd for TLS", "no xinetd, or no TLS")
        if pam(os.path.join(top, "etc/pam.d")):
            tap.point("libpam takes the PAM file",
                      pam_takes(os.path.join(top, "etc/pam.d")))
            tap.point("and Red Hat's, with a password-auth",
                      pam_takes_redhat(place))
        else:
            tap.skip("libpam takes the PAM file", "no pam_start_confdir")
            tap.skip("and Red Hat's", "no pam_start_confdir")
        tap.point("a second install says nothing of what nobody has edited",
                  quiet(top))
        tap.point("a second install keeps configuration that was edited, and "
                  "shows how to compare", twice(top))
        tap.point("uninstall leaves edited configuration and nothing else",
                  gone(top, CONFIG))
        said = make("install", "DESTDIR=" + other, "PREFIX=/usr")
        tap.point("PREFIX moves the program, also in the xinetd file",
                  installed(other, "usr", said) +
                  entry_is_right(other, "usr"))
        tap.point("uninstall of what nobody has edited leaves nothing",
                  gone(other, [], "PREFIX=/usr"))
        tap.point("root is told of the user whom the front needs, if there "
                  "is none", tells_of_user(place))
        tap.point("where PAM has a password-auth, imap asks that",
                  pam_of_host(place))
        tap.point("a PREFIX that xinetd can not read is refused",
                  no_such_prefix(other))
    return tap.end()


sys.exit(main())
