"""trust_trace.py - for trust.t: what each process of a login asks the system
for, as strace(1) sees it, and a checker for that. The checker is shown traces
that were spoiled on purpose, and must complain of each."""

import os
import re
import shutil
import subprocess

import login
from login import ROOT, TOP, all_at_once
from trust_hands import HOW, connect, wrapped

PASSWORD = b"firetruck"

LINE = re.compile(r"(\d+) +(.*)")
CALL = re.compile(r"(\w+)\((.*)")
RESULT = re.compile(r"\) += (-?\w+)[^=]*$")
OUT_OF = re.compile(r"(read|readv|pread64|preadv2?|recv\w*|ppoll|poll)\b")
# Those whose arguments are paths, or descriptors that strace names.
PATHS = re.compile(r"(open|stat|newfstat|fstat|lstat|access|facc|readlink|"
                   r"mkdir|rmdir|unlink|rename|link|symlink|mknod|ch|fch|"
                   r"lch|truncate|getdents|statfs)")


class Call:
    def __init__(self, pid, name, args):
        self.pid, self.name, self.args = pid, name, args
        self.result = None

    def __str__(self):
        return "%s(%s = %s" % (self.name, self.args[:120], self.result)


def parse(lines):
    """[Call] in the order in which they began; a process's end is "exit"."""
    calls, waiting = [], {}
    for line in lines:
        m = LINE.match(line)
        if not m:
            continue
        pid, text = int(m.group(1)), m.group(2)
        if text.startswith("+++ "):
            calls.append(Call(pid, "exit", ""))
        elif text.startswith("<... "):
            call = waiting.pop(pid, None)
            if call is not None:
                call.args += text.partition("resumed>")[2]
                finish(call)
        elif CALL.match(text):
            call = Call(pid, *CALL.match(text).groups())
            calls.append(call)
            if text.endswith("<unfinished ...>"):
                call.args = call.args[:-len("<unfinished ...>")]
                waiting[pid] = call
            else:
                finish(call)
    return calls


def finish(call):
    m = RESULT.search(call.args)
    if m:
        call.result = m.group(1)


def allowed_calls():
    """What sandbox.c lets the front do."""
    with open(os.path.join(TOP, "sandbox.c")) as f:
        text = f.read()
    rules = text[text.index("front_rules[] = {"):]
    rules = rules[:rules.index("\n};")]
    return {name.lower() for name in
            re.findall(r"\.call = (?:SYS|NR)_(\w+), ALLOW", rules)}


class Trace:
    """Who is who, and when what is."""

    def __init__(self, calls):
        self.calls = calls
        self.monitor = calls[0].pid
        self.parent = {int(c.result): c.pid for c in calls
                       if c.name in ("clone", "fork", "vfork", "clone3") and
                       (c.result or "").isdigit()}
        own = [child for child, pid in self.parent.items()
               if pid == self.monitor]
        self.front = own[0]
        self.others = [pid for pid in self.parent if pid != self.front]

    def of(self, pid):
        return [c for c in self.calls if c.pid == pid]

    def at(self, pid, start, good=True):
        """The index of its first call that begins so, or None."""
        for n, c in enumerate(self.calls):
            if c.pid == pid and str(c).startswith(start) and (
                    not good or c.result == "0"):
                return n
        return None


LOCKED = "prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER"
OK = re.compile(r'sendto\(1<[^>]*>, "a OK ')


def client_socket(t):
    """As strace names descriptor 0 of the monitor at its start."""
    for c in t.of(t.monitor):
        m = re.search(r"\b0(<[^>]*>)", c.args)
        if m:
            return m.group(1)
    return None


def check_front(t, allowed):
    locked = t.at(t.front, LOCKED)
    if locked is None:
        yield "the front never locks itself in"
        return
    client = client_socket(t)
    for n, c in enumerate(t.calls):
        if c.pid != t.front or c.name == "exit" or n == locked:
            continue
        if n > locked and c.name not in allowed:
            yield "the front calls %s" % c
        if n > locked and "PROT_EXEC" in c.args:
            yield "the front makes code: %s" % c
        if n < locked and client in c.args and (
                OUT_OF.match(c.name) or c.name in ("sendto", "write")):
            yield "before it is locked in it speaks: %s" % c


def became(t, pid):
    return t.at(pid, "setresuid(")


def check_monitor(t):
    """Nobody with rights hears the client, whatever his number is."""
    client = client_socket(t)
    for pid in [t.monitor, *t.others]:
        for n, c in enumerate(t.calls):
            if c.pid == pid and OUT_OF.match(c.name) and client in c.args \
                    and (became(t, pid) is None or n < became(t, pid)):
                yield "a process with rights reads the client: %s" % c


def check_paths(t, places):
    """The user's files are opened with the user's rights."""
    for n, c in enumerate(t.calls):
        if not PATHS.match(c.name) or not any(
                re.search(r'["<]%s[/">]' % re.escape(place), c.args)
                for place in places):
            continue
        if c.pid != t.monitor or became(t, c.pid) is None or \
                n < became(t, c.pid):
            yield "too early: %s" % c


def check_order(t, who):
    at = [t.at(who, name) for name in
          ("setgroups(", "setresgid(", "setresuid(")]
    if None in at or at != sorted(at):
        yield "groups, gid, uid are at %s" % at


def check_nobody_is_root(t):
    """Who is root when the client is told that it is in, and later."""
    uid, told = {t.monitor: "0"}, False
    for c in t.calls:
        if c.name == "exit":
            uid.pop(c.pid, None)
        elif c.result is not None and c.result.isdigit():
            if c.name in ("clone", "fork", "vfork", "clone3"):
                uid[int(c.result)] = uid[c.pid]
            elif c.name in ("setresuid", "setuid", "setreuid") and \
                    c.result == "0":
                uid[c.pid] = re.match(r"\d+", c.args).group()
        told |= OK.match(str(c)) is not None
        if told:
            yield from ("%d is root at %s" % (pid, c)
                        for pid, n in uid.items() if n == "0")
    if not told:
        yield "nobody was told that he is in"


def check(lines, places, allowed, inside=True):
    t = Trace(parse(lines))
    yield from check_front(t, allowed)
    yield from check_monitor(t)
    yield from check_paths(t, places)
    yield from check_order(t, t.front)
    if inside:
        yield from check_order(t, t.monitor)
        yield from check_nobody_is_root(t)


# ---- traces ----

def record(room, case):
    how, state = case
    path = os.path.join(room.base, "trace.%s.%s" % (how, state))
    traced = wrapped(room, "strace.%s.%s" % (how, state),
                     "strace -f -y -s 40 -o %s %s" % (path, room.program))
    with connect(traced, how) as c:
        c.line()
        if state == "failed":
            c.cmd(b"a LOGIN riley no")
        else:
            if c.cmd(b"a LOGIN riley %s" % PASSWORD)[-1][:4] != b"a OK":
                raise login.Failure(c.wrong("not in"))
            c.cmd(b"b SELECT INBOX")
            c.cmd(b"c FETCH 1 BODY[]")
            c.cmd(b"d LOGOUT")
        c.finish()
    with open(path, errors="replace") as f:
        lines = [re.sub(r"^(\d+) +", r"\1 ", x) for x in f]
    os.unlink(path)
    return [x.rstrip("\n") for x in lines]


def places(room):
    return [room.people[b"riley"].home, room.spool]


def traces(room):
    """The point, and one trace for the spoilers."""
    cases = [(how, state) for how in HOW for state in ("in", "failed")]
    kept = {}

    def work(case):
        kept[case] = record(room, case)
        return ["%s, %s: %s" % (*case, x) for x in check(
            kept[case], places(room), allowed_calls(), case[1] == "in")]
    bad = [x for _, found in all_at_once(work, cases) for x in found]
    room.trace = kept.get(("plain", "in"))
    return bad


# ---- is each of them seen? ----

def number(lines, pattern):
    return next(n for n, x in enumerate(lines) if re.search(pattern, x))


def pids(lines):
    t = Trace(parse(lines))
    return t.monitor, t.front


def put_in(lines, before, line):
    n = number(lines, before)
    return lines[:n] + [line] + lines[n:]


def without(lines, pattern):
    n = number(lines, pattern)
    return lines[:n] + lines[n + 1:]


def swapped(lines, a, b):
    a, b = number(lines, a), number(lines, b)
    lines = list(lines)
    lines[a], lines[b] = lines[b], lines[a]
    return lines


def spoilers(room, lines):
    """(what it shows, the spoiled trace)"""
    monitor, front = pids(lines)
    client = client_socket(Trace(parse(lines)))
    greeting, ok = r'"\* OK \[CAPA', r'"a OK \['
    home, spool = places(room)
    become = r"^%d setresuid\(" % monitor
    yield "a call that is not allowed", put_in(
        lines, ok, "%d uname({}) = 0" % front)
    yield "an allowed one before the lock-down, with the client", put_in(
        lines, r"^%d setgroups" % front, '%d read(0%s, "x", 1) = 1' % (
            front, client))
    yield "memory that can be run", put_in(
        lines, ok, "%d mmap(NULL, 1, PROT_READ|PROT_EXEC, 0) = 0" % front)
    yield "no lock-down", without(lines, r"^%d %s" % (
        front, re.escape(LOCKED)))
    yield "a monitor that reads", put_in(
        lines, become, '%d recvfrom(0%s, "a LO", 4) = 4' % (monitor, client))
    yield "a home that is looked at by root", put_in(
        lines, become, '%d newfstatat(AT_FDCWD</>, "%s/.imapd", {}, 0) = 0' %
        (monitor, home))
    yield "a mailbox that is opened by root", put_in(
        lines, become, '%d openat(3<%s>, "riley", O_RDONLY) = 4' % (
            monitor, spool))
    for who in monitor, front:
        yield "groups after the uid", swapped(
            lines, r"^%d setgroups\(" % who, r"^%d setresuid\(" % who)
    yield "no groups", without(lines, r"^%d setgroups\(" % monitor)
    yield "a session that is root", without(lines, become)
    yield "a worker that is left", [
        x for x in lines if not re.search(r"\+\+\+ (exited|killed)", x)]
    n = number(lines, ok) + 1
    yield "a way back", [*lines[:n], "%d setuid(0) = 0" % monitor, *lines[n:]]


def seen(room):
    if room.trace is None:
        return ["there is no trace"]
    return ["not seen: " + what for what, lines in spoilers(room, room.trace)
            if not list(check(lines, places(room), allowed_calls()))]


def few(room):
    """F14: 25 calls."""
    names = allowed_calls()
    print("# the front may make %d calls" % len(names))
    return ["there are %d: %s" % (len(names), sorted(names))] * (
        not 10 < len(names) <= 25)


def lacks(tap, name):
    if not ROOT:
        why = "needs root"
    elif login.sanitised():
        why = "a sanitised program calls what it likes"
    elif shutil.which("strace") is None:
        why = "needs strace"
    elif subprocess.run(["strace", "-f", "-o", "/dev/null", "true"],
                        capture_output=True).returncode != 0:
        why = "nobody may be traced here"
    else:
        return False
    tap.skip(name, why)
    return True


TESTS = [
    ("P3: CVE-2005-1151: the calls of logins, in the clear, by STARTTLS, by "
     "--tls, refused",
     lacks, traces),
    ("P3: each kind of wrong call is seen", lacks, seen),
    ("P3: the front may make few calls", None, few),
]
