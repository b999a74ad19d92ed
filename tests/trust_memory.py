"""trust_memory.py - for trust.t: what is left of passwords and of their hashes
in the memory of those who go on after a login. All memory that can be written
to is searched, as root can; that the search finds what is there, is shown on
processes that still need it."""

import base64
import os
import random
import re
import signal
import string

import login
from login import ROOT, all_at_once
from trust_hands import HOW, connect, front_of, until_held, worker_of

PIECE = 12      # bytes: a piece of a secret this long counts as it
SLOW = login.sha512(2500000)


def marker(n=32):
    """Letters that nobody else has in memory."""
    return "".join(random.SystemRandom().choice(
        string.ascii_letters + string.digits) for _ in range(n)).encode()


def pieces(secret, what):
    """{bytes: what they are}: none of it that is long enough escapes."""
    return {secret[i:i + PIECE]: "%s, bytes %d to %d" % (what, i, i + PIECE)
            for i in range(0, len(secret) - PIECE + 1)}


def forms(password):
    """As it is, and in base 64 wherever it may begin."""
    found = pieces(password, "the password")
    for before in range(3):
        text = base64.b64encode(b"\0" * before + password)
        first = -(-before * 8 // 6)
        last = (before + len(password)) * 8 // 6
        found.update(pieces(text[first:last], "the password in base 64"))
    return found


def secrets(room, password, hashed):
    found = forms(password)
    found.update(pieces(hashed.rpartition("$")[2].encode(), "the hash"))
    return found


MAP = re.compile(r"(\w+)-(\w+) rw\S+ \S+ \S+ \S+ *(.*)")


def memory(pid):
    """(name, address, bytes) of what it can write to."""
    with open("/proc/%d/maps" % pid) as f:
        maps = [MAP.match(line) for line in f]
    with open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for m in filter(None, maps):
            start, end = int(m.group(1), 16), int(m.group(2), 16)
            try:
                mem.seek(start)
                data = mem.read(end - start)
            except (OSError, ValueError):
                continue
            yield m.group(3).strip() or "memory without a name", start, data


def search(pid, wanted):
    """What of it is there, and where."""
    any_of = re.compile(b"|".join(map(re.escape, wanted)))
    for name, start, data in memory(pid):
        for m in any_of.finditer(data):
            yield "%s: at %#x in %s" % (wanted[m.group()], start + m.start(),
                                        name)


def plain(user, password):
    return base64.b64encode(b"\0%s\0%s" % (user, password))


def say_login(c, user, password):
    return c.cmd(b"a LOGIN %s %s" % (user, password))


def say_quoted(c, user, password):
    return c.cmd(b'a LOGIN "%s" "%s"' % (user, password))


def say_literal(c, user, password):
    return c.cmd(b"a LOGIN %s {%d+}\r\n%s" % (user, len(password), password))


def say_plain(c, user, password):
    c.cmd(b"a AUTHENTICATE PLAIN")
    return c.cmd(plain(user, password))


def say_plain_ir(c, user, password):
    return c.cmd(b"a AUTHENTICATE PLAIN " + plain(user, password))


def say_sasl_login(c, user, password):
    c.cmd(b"a AUTHENTICATE LOGIN")
    c.cmd(base64.b64encode(user))
    return c.cmd(base64.b64encode(password))


def say_far(c, user, password):
    """Behind much else in one piece, where no short answer of ours happens
    to overwrite it."""
    c.cmd(b'i ID ("name" "%s")\r\na LOGIN %s %s' % (b"x" * 900, user,
                                                   password))
    return c.answer()


SAY = [say_login, say_quoted, say_literal, say_plain, say_plain_ir,
       say_sasl_login, say_far]


def look(pid, who, wanted):
    return ["in the %s: %s" % (who, x) for x in search(pid, wanted)][:3]


def after_login(room, case):
    """After a wrong password, and after a right one; idle both times."""
    how, say, user = case
    p = room.people[user]
    wrong = marker()
    wanted = secrets(room, p.password, p.hashed)
    wanted.update({k: "wrong, " + v for k, v in forms(wrong).items()})
    with connect(room, how) as c:
        c.line()
        monitor = c.process.pid
        front = front_of(monitor)
        if say(c, user, wrong)[-1][:4] != b"a NO":
            return [c.wrong("not refused")]
        bad = look(front, "front, refused", wanted)
        bad += look(monitor, "monitor, refused", wanted)
        if say(c, user, p.password)[-1][:4] != b"a OK":
            return [c.wrong("not in")]
        bad += look(monitor, "session", wanted)
        if how != "plain":
            bad += look(front, "relay", wanted)
        c.cmd(b"b SELECT INBOX")
        bad += look(monitor, "session with a mailbox", wanted)
        c.finish()
        return ["%s, %s: %s" % (how, say.__name__, x) for x in bad]


def nothing_is_left(room):
    cases = []
    for how in HOW:
        for say in SAY:
            user = b"m%d" % len(cases)
            password = marker()
            hashed = login.crypted(password)
            room.person(user, password, hashed,
                        login.message(1)).hashed = hashed
            cases.append((how, say, user))
    return [x for _, bad in all_at_once(
        lambda case: after_login(room, case), cases) for x in bad]


def is_found(room):
    """Each of them has it as long as it needs it."""
    user, password = b"found", marker()
    hashed = login.crypted(password, SLOW)
    room.person(user, password, hashed, login.message(1))
    wanted = secrets(room, password, hashed)
    return [x for how in HOW for say in SAY for x in until_held(
        lambda: look_while_held(room, how, say, user, password, wanted))]


def look_while_held(room, how, say, user, password, wanted):
    bad = []
    with connect(room, how) as c:
        c.line()
        front = front_of(c.process.pid)
        ask(c, say, user, password)
        worker = worker_of(c)
        for who, pid in (("monitor", c.process.pid), ("front", front),
                         ("worker", worker)):
            if not any(True for _ in search(pid, wanted)):
                bad.append("%s, %s: nothing in the %s" % (
                    how, say.__name__, who))
        if not any("hash" in x for x in search(worker, wanted)):
            bad.append("%s: no hash in the worker" % how)
        os.kill(worker, signal.SIGKILL)
        c.process.kill()
    return bad


def ask(c, say, user, password):
    """Says it, and does not wait for the last answer."""
    class Deaf:
        def __init__(self):
            self.left = {say_plain: 1, say_sasl_login: 2}.get(say, 0)

        def cmd(self, text):
            if self.left:
                self.left -= 1
                return c.cmd(text)
            c.send(text + b"\r\n")

        def answer(self):
            pass
    say(Deaf(), user, password)


def lacks(tap, name):
    if ROOT and not login.sanitised():
        return False
    tap.skip(name, "a sanitised program keeps what was freed" if ROOT else
             "needs root")
    return True


TESTS = [
    ("P5: the search finds passwords and hashes where they are", lacks,
     is_found),
    ("P5: no byte of them is in who goes on, however it was said", lacks,
     nothing_is_left),
]
