"""login_talk.py - dialogues over a login that can be read aloud, how they are
played, and those that are written by hand. For login.t."""

import base64
import re
import sys

sys.dont_write_bytecode = True
from login import HOST, all_at_once

FAILED = "%s NO [AUTHENTICATIONFAILED] %s failed"
DONE = "%s OK [CAPABILITY <caps>] %s completed"


# ---- dialogues, which can be read aloud ----
#
# C: is a line that is sent, C~: the same without a line end, S: the end of the
# server's answer (a tagged line, a "+", a BYE), E: that it hangs up, log: all
# that the log must hold then, in this order. <64:text> is text in base64,
# <caps> what can stand in a response code, <any> anything; escapes as \0, \t
# and \xNN. After a dialogue without E: the client hangs up, and the log says
# so.

ESCAPE = re.compile(rb"\\(?:([0trn\\])|x([0-9a-f]{2}))")
ESCAPED = {b"0": b"\0", b"t": b"\t", b"r": b"\r", b"n": b"\n", b"\\": b"\\"}


def unescape(text):
    return ESCAPE.sub(lambda m: ESCAPED[m.group(1)] if m.group(1) else
                      bytes([int(m.group(2), 16)]), text)


def meant(text):
    """The bytes of a line as it is sent."""
    return unescape(re.sub(
        rb"<64:(.*?)>", lambda m: base64.b64encode(unescape(m.group(1))),
        text.encode("latin-1")))


def pattern(text):
    """What a line of the server must match."""
    text = meant(text)
    return re.compile(b".*".join(
        b"[^\\]]+".join(map(re.escape, part.split(b"<caps>")))
        for part in text.split(b"<any>")))


class Dialogue:
    def __init__(self, name):
        self.name = name
        self.options = []
        self.steps = []         # ("C", bytes) or ("S", pattern, its text)
        self.log = []
        self.ended = False      # the server hangs up

    def add(self, line):
        kind, _, text = line.partition(": ")
        if kind == "C":
            self.steps.append(("C", meant(text) + b"\r\n"))
        elif kind == "C~":
            self.steps.append(("C", meant(text)))
        elif kind == "S":
            self.steps.append(("S", pattern(text), text))
            self.ended |= text.startswith("* BYE")
        elif kind == "log":
            self.log.append(text.replace("<host>", HOST))
        elif kind == "E:":
            self.ended = True
        else:
            raise ValueError("what is this: " + line)


def dialogues(text):
    """From a text in which each begins with "# its name"."""
    found = []
    for line in text.strip().splitlines():
        if line.startswith("# "):
            found.append(Dialogue(line[2:]))
        elif line:
            found[-1].add(line)
    return found


def last_words(log):
    """What the log says when the client hangs up."""
    for line in log:
        m = re.match(r"(?:Login|Authenticated) (user=\S+ host=\S+)", line)
        if m:
            return "Connection closed " + m.group(1)
    return "Connection closed user=??? host=" + HOST


def reasons(line):
    """The words on why, which only the log is told."""
    return line.startswith("no login for ")


def speak(room, d):
    """Plays it; complaints."""
    with room.client(options=d.options) as c:
        c.line()
        for step in d.steps:
            if step[0] == "C":
                c.send(step[1])
                continue
            said = c.answer()[-1]
            if not step[1].fullmatch(said):
                return [c.wrong("%s: expected %s" % (d.name, step[2]))]
        if d.ended:
            while c.line():
                pass
        # A response is no command, even if it looks like a literal's head.
        bad = c.finish() + c.check_said(not any(
            step[1] in (b"{5+}\r\n", b"x\0{5+}\r\n") for step in d.steps))
        log = [line for line in c.log() if not reasons(line)]
        want = d.log + ([] if d.ended else [last_words(d.log)])
        if log != want:
            bad.append("%s: the log has\n  %s\nnot\n  %s" % (
                d.name, "\n  ".join(log), "\n  ".join(want)))
        note_log(c.log())
        return [c.wrong(d.name + ": " + x) for x in bad]


# All lines of all logs, for those who look at them together.
LOG = []


def note_log(log):
    LOG.extend(log)


def complaints(work, room, cases):
    """work(room, case) for each, as many as can be at once."""
    return [x for _, bad in all_at_once(lambda case: work(room, case), cases)
            for x in bad]


def play(room, tap, families):
    """All at once: most of the time they wait for refusals."""
    work = [(name, d) for name, found in families for d in found]
    wrong = all_at_once(lambda one: speak(room, one[1]), work)
    for name in dict.fromkeys(name for name, _ in work):
        bad = [bad for (of, _), bad in wrong if of == name]
        tap.point("%s: %d dialogues" % (name, len(bad)), sum(bad, []))


# ---- what costs neither time nor a try ----

CANCELLED = r'''
# a line of "*" ends each exchange, at each step, as often as one likes
C: a1 AUTHENTICATE PLAIN
S: + <any>
C: *
S: a1 NO AUTHENTICATE PLAIN failed
C: a2 AUTHENTICATE LOGIN
S: + VXNlciBOYW1lAA==
C: *
S: a2 NO AUTHENTICATE LOGIN failed
C: a3 AUTHENTICATE LOGIN
S: + VXNlciBOYW1lAA==
C: <64:riley>
S: + UGFzc3dvcmQA
C: *
S: a3 NO AUTHENTICATE LOGIN failed
C: a4 AUTHENTICATE LOGIN <64:riley>
S: + UGFzc3dvcmQA
C: *
S: a4 NO AUTHENTICATE LOGIN failed
C: a5 authenticate plain
S: + <any>
C: *
S: a5 NO AUTHENTICATE PLAIN failed
C: a6 LOGIN riley firetruck
S: a6 OK [CAPABILITY <caps>] LOGIN completed
log: Login user=riley host=<host>

# mechanisms that nobody knows are refused by their name, as often as one likes
C: a1 AUTHENTICATE KERBEROS_V4
S: a1 NO AUTHENTICATE KERBEROS_V4 failed
C: a2 AUTHENTICATE GSSAPI
S: a2 NO AUTHENTICATE GSSAPI failed
C: a3 AUTHENTICATE CRAM-MD5
S: a3 NO AUTHENTICATE CRAM-MD5 failed
C: a4 AUTHENTICATE SCRAM-SHA-256 biwsbj1yaWxleQ==
S: a4 NO AUTHENTICATE SCRAM-SHA-256 failed
C: a5 authenticate gssapi
S: a5 NO AUTHENTICATE GSSAPI failed
C: a6 AUTHENTICATE PLAINS
S: a6 NO AUTHENTICATE PLAINS failed
C: a7 AUTHENTICATE PLAI
S: a7 NO AUTHENTICATE PLAI failed
C: a8 AUTHENTICATE ANONYMOUS =
S: a8 NO AUTHENTICATE ANONYMOUS failed
C: a9 AUTHENTICATE EXTERNAL =
S: a9 NO AUTHENTICATE EXTERNAL failed
C: b1 LOGIN riley firetruck
S: b1 OK [CAPABILITY <caps>] LOGIN completed
log: Login user=riley host=<host>

# the name of a mechanism is said again only if it can be one
C: a1 AUTHENTICATE %n%s%x
S: a1 BAD <any>
C: a2 AUTHENTICATE x'y
S: a2 NO AUTHENTICATE failed
C: a3 AUTHENTICATE ABCDEFGHIJKLMNOPQRSTU
S: a3 NO AUTHENTICATE failed
C: a4 AUTHENTICATE ABCDEFGHIJKLMNOPQRST
S: a4 NO AUTHENTICATE ABCDEFGHIJKLMNOPQRST failed

# neither is a try: three refusals may still come
C: a1 AUTHENTICATE GSSAPI
S: a1 NO AUTHENTICATE GSSAPI failed
C: a2 AUTHENTICATE PLAIN
S: + <any>
C: *
S: a2 NO AUTHENTICATE PLAIN failed
C: a3 LOGIN riley no-1
S: a3 NO [AUTHENTICATIONFAILED] LOGIN failed
C: a4 AUTHENTICATE PLAIN
S: + <any>
C: *
S: a4 NO AUTHENTICATE PLAIN failed
C: a5 LOGIN riley no-2
S: a5 NO [AUTHENTICATIONFAILED] LOGIN failed
C: a6 AUTHENTICATE GSSAPI
S: a6 NO AUTHENTICATE GSSAPI failed
C: a7 LOGIN riley firetruck
S: a7 OK [CAPABILITY <caps>] LOGIN completed
log: Login failed user=riley auth=riley host=<host>
log: Login failed user=riley auth=riley host=<host>
log: Login user=riley host=<host>
'''


# ---- what is counted ----

COUNTED = r'''
# who hangs up and waits for no refusal is in the log all the same
C: a1 LOGIN riley no-1
log: Login failed user=riley auth=riley host=<host>

# the third refusal is the last
C: a1 LOGIN riley no-1
S: a1 NO [AUTHENTICATIONFAILED] LOGIN failed
C: a2 AUTHENTICATE PLAIN <64:\0riley\0no-2>
S: a2 NO [AUTHENTICATIONFAILED] AUTHENTICATE PLAIN failed
C: a3 AUTHENTICATE LOGIN <64:riley>
S: + UGFzc3dvcmQA
C: <64:no-3>
S: a3 NO [AUTHENTICATIONFAILED] AUTHENTICATE LOGIN failed
S: * BYE Too many login failures
E:
log: Login failed user=riley auth=riley host=<host>
log: Login failed user=riley auth=riley host=<host>
log: Login excessive login failures user=riley auth=riley host=<host>
log: Refused user=??? host=<host>

# the right password behind the third refusal comes too late
C~: a1 LOGIN riley 1\r\na2 LOGIN alex 2\r\na3 LOGIN riley 3\r\n
C~: a4 LOGIN riley firetruck\r\n
S: a1 NO [AUTHENTICATIONFAILED] LOGIN failed
S: a2 NO [AUTHENTICATIONFAILED] LOGIN failed
S: a3 NO [AUTHENTICATIONFAILED] LOGIN failed
S: * BYE Too many login failures
E:
log: Login failed user=riley auth=riley host=<host>
log: Login failed user=alex auth=alex host=<host>
log: Login excessive login failures user=riley auth=riley host=<host>
log: Refused user=??? host=<host>

# a login that is right at the third try is in
C: a1 LOGIN riley no-1
S: a1 NO [AUTHENTICATIONFAILED] LOGIN failed
C: a2 LOGIN riley no-2
S: a2 NO [AUTHENTICATIONFAILED] LOGIN failed
C: a3 LOGIN riley firetruck
S: a3 OK [CAPABILITY <caps>] LOGIN completed
log: Login failed user=riley auth=riley host=<host>
log: Login failed user=riley auth=riley host=<host>
log: Login user=riley host=<host>

# other commands between them do not make tries forgotten
C: a1 LOGIN riley no-1
S: a1 NO [AUTHENTICATIONFAILED] LOGIN failed
C: n1 NOOP
S: n1 OK NOOP completed
C: a2 LOGIN riley no-2
S: a2 NO [AUTHENTICATIONFAILED] LOGIN failed
C: n2 XYZZY
S: n2 BAD <any>
C: n3 CAPABILITY
S: n3 OK CAPABILITY completed
C: a3 LOGIN riley no-3
S: a3 NO [AUTHENTICATIONFAILED] LOGIN failed
S: * BYE Too many login failures
E:
log: Login failed user=riley auth=riley host=<host>
log: Login failed user=riley auth=riley host=<host>
log: Login excessive login failures user=riley auth=riley host=<host>
log: Refused user=??? host=<host>

# refusing to act as another is a try
C: a1 AUTHENTICATE PLAIN <64:alex\0riley\0firetruck>
S: a1 NO [AUTHORIZATIONFAILED] AUTHENTICATE PLAIN failed
C: a2 AUTHENTICATE PLAIN <64:alex\0riley\0firetruck>
S: a2 NO [AUTHORIZATIONFAILED] AUTHENTICATE PLAIN failed
C: a3 AUTHENTICATE PLAIN <64:alex\0riley\0firetruck>
S: a3 NO [AUTHORIZATIONFAILED] AUTHENTICATE PLAIN failed
S: * BYE Too many login failures
E:
log: Login failed user=alex auth=riley host=<host>
log: Login failed user=alex auth=riley host=<host>
log: Login excessive login failures user=alex auth=riley host=<host>
log: Refused user=??? host=<host>

# three bad commands, and the server hangs up
C: a1 XYZZY
S: a1 BAD <any>
C: a2 LOGIN riley
S: a2 BAD <any>
C: a3 SELECT INBOX
S: a3 BAD <any>
S: * BYE Too many bad commands
E:
log: Refused user=??? host=<host>

# bad SASL responses are bad commands, and no tries
C: a1 AUTHENTICATE PLAIN
S: + <any>
C: !!!!
S: a1 BAD <any>
C: a2 AUTHENTICATE LOGIN
S: + VXNlciBOYW1lAA==
C: abc
S: a2 BAD <any>
C: a3 LOGIN riley firetruck
S: a3 OK [CAPABILITY <caps>] LOGIN completed
log: Login user=riley host=<host>

# a good command starts the count of bad ones anew
C: a1 XYZZY
S: a1 BAD <any>
C: a2 XYZZY
S: a2 BAD <any>
C: a3 NOOP
S: a3 OK NOOP completed
C: a4 XYZZY
S: a4 BAD <any>
C: a5 XYZZY
S: a5 BAD <any>
C: a6 LOGIN riley firetruck
S: a6 OK [CAPABILITY <caps>] LOGIN completed
log: Login user=riley host=<host>
'''


# ---- before and after ----

ORDER = r'''
# commands behind LOGIN in the same segment are all answered
C~: a LOGIN riley firetruck\r\nb SELECT INBOX\r\nc FETCH 1 UID\r\nd LOGOUT\r\n
S: a OK [CAPABILITY <caps>] LOGIN completed
S: b OK [READ-WRITE] SELECT completed
S: c OK FETCH completed
S: * BYE <any>
S: d OK LOGOUT completed
E:
log: Login user=riley host=<host>
log: Logout user=riley host=<host>

# and so they are behind a refused one
C~: a1 LOGIN riley no\r\na2 NOOP\r\na3 LOGIN riley firetruck\r\na4 NOOP\r\n
S: a1 NO [AUTHENTICATIONFAILED] LOGIN failed
S: a2 OK NOOP completed
S: a3 OK [CAPABILITY <caps>] LOGIN completed
S: a4 OK NOOP completed
log: Login failed user=riley auth=riley host=<host>
log: Login user=riley host=<host>

# and behind AUTHENTICATE, the response among them
C~: a AUTHENTICATE PLAIN\r\n<64:\0riley\0firetruck>\r\nb NOOP\r\nc LOGOUT\r\n
S: + <any>
S: a OK [CAPABILITY <caps>] AUTHENTICATE completed
S: b OK NOOP completed
S: * BYE <any>
S: c OK LOGOUT completed
E:
log: Authenticated user=riley host=<host> mech=PLAIN
log: Logout user=riley host=<host>

# a second login is BAD, whoever it is for, and costs nothing
C: a1 LOGIN riley firetruck
S: a1 OK [CAPABILITY <caps>] LOGIN completed
C: a2 LOGIN riley firetruck
S: a2 BAD <any>
C: a3 LOGIN alex hay.stack
S: a3 BAD <any>
C: a4 AUTHENTICATE PLAIN
S: a4 BAD <any>
C: a5 AUTHENTICATE PLAIN <64:\0alex\0hay.stack>
S: a5 BAD <any>
C: a6 LOGIN {4}
S: a6 BAD <any>
C: a7 STATUS INBOX (MESSAGES)
S: a7 OK STATUS completed
log: Login user=riley host=<host>

# before login no mailbox can be reached, after a refusal neither
C: a1 SELECT INBOX
S: a1 BAD <any>
C: a2 LOGIN riley no
S: a2 NO [AUTHENTICATIONFAILED] LOGIN failed
C: a3 SELECT INBOX
S: a3 BAD <any>
C: a4 LIST "" *
S: a4 BAD <any>
log: Login failed user=riley auth=riley host=<host>

# LOGOUT without a login
C: a1 LOGOUT
S: * BYE <any>
S: a1 OK LOGOUT completed
E:
log: Logout user=??? host=<host>

# LOGIN with too few, too many and wrong arguments is BAD and no try
C: a1 LOGIN
S: a1 BAD <any>
C: a2 NOOP
S: a2 OK NOOP completed
C: a3 LOGIN riley
S: a3 BAD <any>
C: a4 LOGIN riley firetruck now
S: a4 BAD <any>
C: a5 NOOP
S: a5 OK NOOP completed
C: a6 LOGIN  riley firetruck
S: a6 BAD <any>
C: a7 LOGIN (riley firetruck)
S: a7 BAD <any>
C: a8 NOOP
S: a8 OK NOOP completed
C: a9 LOGIN "riley firetruck
S: a9 BAD <any>
C: b1 UID LOGIN riley firetruck
S: b1 BAD <any>
C: b2 NOOP
S: b2 OK NOOP completed
C: b3 LOGIN NIL NIL
S: b3 NO [AUTHENTICATIONFAILED] LOGIN failed
C: b4 LOGIN riley firetruck
S: b4 OK [CAPABILITY <caps>] LOGIN completed
log: Login failed user=NIL auth=NIL host=<host>
log: Login user=riley host=<host>
'''


# ---- nobody can be asked, or may be ----

# Nobody could be asked: that is no fault of who asks, and nobody is to be
# shut out for it.
UNAVAILABLE = r'''
# whom no file lists that could be read
C: a1 LOGIN nobody-here firetruck
S: a1 NO [UNAVAILABLE] LOGIN failed
C: a2 AUTHENTICATE PLAIN <64:\0nobody-here\0firetruck>
S: a2 NO [UNAVAILABLE] AUTHENTICATE PLAIN failed
log: Login unavailable user=nobody-here auth=nobody-here host=<host>
log: Login unavailable user=nobody-here auth=nobody-here host=<host>

# whom the first file lists
C: a1 LOGIN riley firetruck
S: a1 OK [CAPABILITY <caps>] LOGIN completed
log: Login user=riley host=<host>

# and is refused by it
C: a1 LOGIN riley wrong
S: a1 NO [AUTHENTICATIONFAILED] LOGIN failed
log: Login failed user=riley auth=riley host=<host>
'''

NO_PRIVACY = r'''
# no password is taken in clear text, and none need be sent
C: a1 CAPABILITY
S: a1 OK CAPABILITY completed
C: a2 LOGIN riley firetruck
S: a2 NO [PRIVACYREQUIRED] LOGIN failed
C: a3 LOGIN riley {9}
S: a3 NO [PRIVACYREQUIRED] LOGIN failed
C: a4 LOGIN {5}
S: a4 NO [PRIVACYREQUIRED] LOGIN failed
C~: a5 LOGIN {5+}\r\nriley {9+}\r\nfiretruck\r\n
S: a5 NO [PRIVACYREQUIRED] LOGIN failed
C: a6 AUTHENTICATE PLAIN
S: a6 NO [PRIVACYREQUIRED] AUTHENTICATE PLAIN failed
C: a7 AUTHENTICATE PLAIN <64:\0riley\0firetruck>
S: a7 NO [PRIVACYREQUIRED] AUTHENTICATE PLAIN failed
C: a8 AUTHENTICATE LOGIN
S: a8 NO [PRIVACYREQUIRED] AUTHENTICATE LOGIN failed
C: a9 LOGIN riley wrong
S: a9 NO [PRIVACYREQUIRED] LOGIN failed
C: b1 AUTHENTICATE GSSAPI
S: b1 NO AUTHENTICATE GSSAPI failed
C: b2 SELECT INBOX
S: b2 BAD <any>
C: b3 LOGOUT
S: * BYE <any>
S: b3 OK LOGOUT completed
E:
log: Logout user=??? host=<host>
'''
