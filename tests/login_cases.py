"""login_cases.py - dialogues by the hundred: each form of a login x what is
right and wrong in it. For login.t."""

import base64
import itertools
import os
import re
import shutil
import sys

sys.dont_write_bytecode = True
from login import HOST, ROOT
from login_talk import DONE, FAILED, NO_PRIVACY, UNAVAILABLE, Dialogue, \
    dialogues

# What AUTHENTICATE LOGIN asks, "User Name" and "Password", a NUL behind each.
ASKS_USER = b"+ VXNlciBOYW1lAA=="
ASKS_PASSWORD = b"+ UGFzc3dvcmQA"


# ---- the truth table ----

def spelt(how, text):
    """An astring in one of its forms: pieces, with a "+" awaited between
    them."""
    if how == "atom":
        return [text]
    if how == "quoted":
        return [b'"' + re.sub(rb'(["\\])', rb"\\\1", text) + b'"']
    if how == "literal+":
        return [b"{%d+}\r\n%s" % (len(text), text)]
    return [b"{%d}\r\n" % len(text), text]


FORMS = ("atom", "quoted", "literal", "literal+")


def login_line(d, tag, user, password, forms=("quoted", "quoted"),
               verb=b"LOGIN"):
    """Adds LOGIN with its arguments in these forms."""
    pieces = [tag + b" " + verb + b" "]
    for text, form in zip((user, password), forms):
        more = spelt(form, text)
        pieces[-1] += more[0]
        pieces += more[1:]
        pieces[-1] += b" "
    pieces[-1] = pieces[-1][:-1] + b"\r\n"
    for piece in pieces[:-1]:
        d.steps += [("C", piece), ("S", re.compile(rb"\+ .*"), "+")]
    d.steps.append(("C", pieces[-1]))


def then_in(d):
    """What came before has done no harm."""
    d.add("C: z LOGIN riley firetruck")
    d.add("S: " + DONE % ("z", "LOGIN"))
    d.log.append(said_in(b"riley"))
    return d


def clean(name):
    """A name as the log has it."""
    return "".join(chr(c) if 0x20 < c < 0x7f and c not in b'[]\\"' else
                   "\\x%02x" % c for c in name[:64])


def said_in(name):
    return "Login user=%s host=%s" % (clean(name), HOST)


def said_no(user, auth=None):
    return "Login failed user=%s auth=%s host=%s" % (
        clean(user), clean(user if auth is None else auth), HOST)


def with_login(name, user, password, forms=("quoted", "quoted"),
               good=False, verb=b"LOGIN"):
    d = Dialogue(name)
    login_line(d, b"a", user, password, forms, verb)
    d.add("S: " + (DONE if good else FAILED) % ("a", "LOGIN"))
    d.log.append(said_in(user) if good else said_no(user))
    return d


def login_forms():
    """Every form of both arguments, right and wrong."""
    for forms in itertools.product(FORMS, FORMS):
        for user, password in ((b"riley", b"firetruck"),
                               (b"alex", b"hay.stack"),
                               (b"riley", b"hay.stack"),
                               (b"alex", b"firetruck"),
                               (b"nobody-here", b"firetruck"),
                               (b"riley", b"Firetruck"),
                               (b"riley", b"firetruc"),
                               (b"riley", b"firetruckk")):
            good = (user, password) in ((b"riley", b"firetruck"),
                                        (b"alex", b"hay.stack"))
            yield with_login("%s as %s, %s as %s" % (
                user.decode(), forms[0], password.decode(), forms[1]),
                user, password, forms, good)
    # Who is unknown as he is spelt is looked for in lower case.
    d = with_login("RILEY", b"RILEY", b"firetruck", good=True)
    d.log = [said_in(b"riley")]
    yield d
    yield with_login("ALEX", b"ALEX", b"firetruck")
    for verb in (b"login", b"LoGiN"):
        yield with_login(verb.decode(), b"riley", b"firetruck", good=True,
                         verb=verb)


def plain_text(user, password, authz=b""):
    return authz + b"\0" + user + b"\0" + password


def sasl(name, mechanism, responses, initial, log, end, tag="a"):
    """AUTHENTICATE with these responses, the first of them with the command
    or not."""
    d = Dialogue(name)
    lines = [base64.b64encode(r) for r in responses]
    asks = [b"+ "] if mechanism.upper() == "PLAIN" else \
        [ASKS_USER, ASKS_PASSWORD]
    line = b"%s AUTHENTICATE %s" % (tag.encode(), mechanism.encode())
    if initial:
        line += b" " + (lines.pop(0) or b"=")
        asks.pop(0)
    d.steps.append(("C", line + b"\r\n"))
    for ask, line in zip(asks, lines):
        d.steps.append(("S", re.compile(re.escape(ask)), ask.decode()))
        d.steps.append(("C", line + b"\r\n"))
    d.add("S: " + end)
    d.log += log
    return d


def said_sasl(user, mechanism):
    return "Authenticated user=%s host=%s mech=%s" % (
        clean(user), HOST, mechanism)


def sasl_forms():
    """Both mechanisms x initial response x case x who x as whom."""
    people = ((b"riley", b"firetruck"), (b"riley", b"wrong"), (b"riley", b""),
              (b"", b"firetruck"), (b"nobody-here", b"firetruck"))
    for mechanism, initial, case, (user, password), authz in \
            itertools.product(("PLAIN", "LOGIN"), (False, True),
                              (str.upper, str.lower, str.capitalize), people,
                              (b"", b"riley", b"alex", b"nobody-here")):
        if authz and mechanism == "LOGIN":
            continue            # it has no place for it
        responses = [plain_text(user, password, authz)] \
            if mechanism == "PLAIN" else [user, password]
        good = (user, password) == people[0]
        end, log = FAILED, said_no(authz or user, user)
        if good and authz in (b"", user):
            end, log = DONE, said_sasl(user, mechanism)
        elif good:
            end = "%s NO [AUTHORIZATIONFAILED] %s failed"
        what = "AUTHENTICATE" if end is DONE else "AUTHENTICATE " + mechanism
        yield sasl("%s%s, %s %s as %s" % (
            case(mechanism), " with SASL-IR" if initial else "",
            user.decode(), password.decode(), authz.decode() or "himself"),
            case(mechanism), responses, initial, [log], end % ("a", what))


# ---- bad responses ----

# What comes in place of a good response, and whether it is BAD; else it is
# a login that is wrong.
BAD_LINES = [
    ("an empty line", b"", False),
    ("no base64", b"!!!!", True),
    ("a space", b" ", True),
    ("a space behind", b"AHJpbGV5AGZpcmV0cnVjaw== ", True),
    ("a space before", b" AHJpbGV5AGZpcmV0cnVjaw==", True),
    ("one letter", b"A", True),
    ("two letters", b"AA", True),
    ("three letters", b"AAA", True),
    ("no padding", b"AHJpbGV5AGZpcmV0cnVjaw", True),
    ("half of the padding", b"AHJpbGV5AGZpcmV0cnVjaw=", True),
    ("too much padding", b"AHJpbGV5AGZpcmV0cnVjaw===", True),
    ("padding in the middle", b"AHJp=bGV5AGZpcmV0cnVjaw=", True),
    ("padding in the middle, twice", b"AHJpbGV5AA==AGZpcmV0cnVj", True),
    ("padding alone", b"=", True),
    ("padding alone, four times", b"====", True),
    ("bits behind the end", b"AHJpbGV5AGZpcmV0cnVjax==", True),
    ("the URL alphabet", b"_-__", True),
    ("\"*\" with more", b"*x", True),
    ("\"**\"", b"**", True),
    ("8-bit bytes", b"\xe9\xff\x80\xc3", True),
    ("a command", b"a9 NOOP", True),
    ("a literal", b"{5+}", True),
    ("8 KiB, that is no message", base64.b64encode(b"x" * 6144), False),
    ("8 KiB and 4 bytes", base64.b64encode(b"x" * 6147), True),
    ("12 KB", base64.b64encode(b"x" * 9216), True),
    ("60 KB", base64.b64encode(b"x" * 45000), True),
    ("80 KB", base64.b64encode(b"x" * 60000), True),
    ("a NUL and what looks like a literal", b"x\0{5+}", True),
    ("a NUL", b"AHJpbGV5\0AGZpcmV0cnVjaw==", True),
    ("a bare CR", b"AHJpbGV5\rAGZpcmV0cnVjaw==", True),
    ("a bare CR at the end", b"AHJpbGV5AGZpcmV0cnVjaw==\r", True),
]


def bad_line(name, line, bad, mechanism, before):
    """before: the good responses before it; None: it is an initial one."""
    d = Dialogue("%s: %s behind %s" % (mechanism, name, before))
    head = b"a AUTHENTICATE " + mechanism.encode()
    if before is None:
        d.steps.append(("C", head + b" " + line + b"\r\n"))
    else:
        d.steps.append(("C", head + b"\r\n"))
        for one in before:
            d.add("S: + <any>")
            d.steps.append(("C", base64.b64encode(one) + b"\r\n"))
        d.add("S: + <any>")
        d.steps.append(("C", line + b"\r\n"))
    if not bad and mechanism == "LOGIN" and not before:
        d.add("S: + UGFzc3dvcmQA")
        d.add("C: <64:firetruck>")
    if bad:
        d.add("S: a BAD <any>")
    else:
        d.add("S: " + FAILED % ("a", "AUTHENTICATE " + mechanism))
        name = base64.b64decode(line)
        d.log.append(said_no(name, b"") if mechanism == "PLAIN" else
                     said_no(b"riley" if before else name))
    return then_in(d)


def bad_lines():
    """At each step of each exchange, and as an initial response where it
    can stand there. Behind each a good login works."""
    for (name, line, bad), (mechanism, before) in itertools.product(
            BAD_LINES, (("PLAIN", []), ("LOGIN", []), ("LOGIN", [b"riley"]),
                        ("PLAIN", None), ("LOGIN", None))):
        if before is None and (line in (b"", b"=") or b"{5+}" in line):
            continue            # none, an empty one, and a real literal
        yield bad_line(name, line, bad, mechanism, before)


BAD_MESSAGES = [
    # message, user, authz, as the log then has them
    (b"riley", b"", b"riley"),
    (b"riley\0firetruck", b"firetruck", b"riley"),
    (b"\0riley", b"riley", b""),
    (b"\0riley\0", b"riley", b""),
    (b"\0\0", b"", b""),
    (b"\0", b"", b""),
    (b"\0\0\0", b"", b""),
    (b"\0\0firetruck", b"", b""),
    (b"\0riley\0firetruck\0", b"riley", b""),
    (b"\0riley\0firetruck\0x", b"riley", b""),
    (b"\0riley\0\0firetruck", b"riley", b""),
    (b"\0\0riley\0firetruck", b"", b""),
    (b"riley\0riley\0firetruck\0", b"riley", b"riley"),
    (b"\0riley\0firetruck\r\n", b"riley", b""),
    (b"\0riley\n\0firetruck", b"riley\n", b""),
    (b"\0 riley\0firetruck", b" riley", b""),
    (b" \0riley\0firetruck", b"riley", b" "),
    (b"RILEY\0riley\0firetruck", b"riley", b"RILEY"),
    (b"\0riley\0firetruck ", b"riley", b""),
]


def bad_messages():
    """PLAIN's message with NULs missing, with too many, and so on."""
    for (text, user, authz), initial in itertools.product(
            BAD_MESSAGES, (False, True)):
        yield then_in(sasl(
            "PLAIN with %r" % text, "PLAIN", [text], initial,
            [said_no(authz or user, user)],
            "a NO [AUTH<any>FAILED] AUTHENTICATE PLAIN failed"))


# ---- sizes ----

SIZES = (0, 1, 2, 63, 64, 65, 255, 256, 257, 511, 512, 513, 1023, 1024, 4095,
         4096, 4097, 65535, 65536, 1 << 20)


def sized_login(n, which, form, user, password):
    d = Dialogue("%s of %d bytes, as %s" % (which, n, form))
    too_big = n > (4096 if "literal" in form else 60000)
    if form == "literal" and too_big:
        # Refused before a byte of it is sent.
        d.steps.append(("C", b"a LOGIN %s{%d}\r\n" % (
            b"" if which == "user" else b"riley ", n)))
    else:
        login_line(d, b"a", user, password, (
            form if which == "user" else "atom",
            form if which == "password" else "atom"))
    if too_big:
        d.add("S: a BAD [<caps>] <any>")
    else:
        d.add("S: " + FAILED % ("a", "LOGIN"))
        d.log.append(said_no(user))
    d.add("C: n NOOP")
    d.add("S: n OK NOOP completed")
    return d


def sizes():
    """None of these is right; those that can be are in longest()."""
    for n, which in itertools.product(SIZES, ("user", "password")):
        long = b"x" * n
        user, password = (long, b"firetruck") if which == "user" else \
            (b"riley", long)
        for form in FORMS:
            if form != "atom" or n > 0:
                yield sized_login(n, which, form, user, password)
        if n > 6000:
            continue            # a line of SASL has 8 KiB
        for mechanism, initial in itertools.product(("PLAIN", "LOGIN"),
                                                    (False, True)):
            yield sasl("%s of %d bytes, %s" % (which, n, mechanism),
                       mechanism, [plain_text(user, password)]
                       if mechanism == "PLAIN" else [user, password],
                       initial, [said_no(user)],
                       FAILED % ("a", "AUTHENTICATE " + mechanism))


def longest():
    """What is longest of all that can be right, and one byte more."""
    user, password = b"x" * 255, b"y" * 511
    yield with_login("255 and 511 bytes", user, password, good=True)
    yield with_login("255 and 511 bytes, literals", user, password,
                     ("literal", "literal+"), good=True)
    yield with_login("255 and 512 bytes", user, password + b"y")
    yield with_login("256 and 511 bytes", user + b"x", password)
    yield with_login("255 and 510 bytes", user, password[:-1])
    yield sasl("255, 255 and 511 bytes", "PLAIN",
               [plain_text(user, password, user)], False,
               [said_sasl(user, "PLAIN")], DONE % ("a", "AUTHENTICATE"))
    yield sasl("authz of 256 bytes", "PLAIN",
               [plain_text(user, password, user + b"x")], False,
               [said_no(user)], FAILED % ("a", "AUTHENTICATE PLAIN"))


# ---- odd bytes ----

def nul_anywhere():
    """A NUL at every place of what is otherwise right. In a literal or a
    quoted string it is BAD; base64 can hold one, and then the login is
    wrong."""
    for which, text in (("user", b"riley"), ("password", b"firetruck")):
        for at in range(len(text) + 1):
            bad = text[:at] + b"\0" + text[at:]
            user, password = (bad, b"firetruck") if which == "user" else \
                (b"riley", bad)
            for form in FORMS:
                d = Dialogue("NUL at %d of the %s as %s" % (at, which, form))
                login_line(d, b"a", user, password, (
                    form if which == "user" else "atom",
                    form if which == "password" else "atom"))
                d.add("S: a BAD <any>")
                d.add("C: n NOOP")
                d.add("S: n OK NOOP completed")
                yield d
            yield sasl("NUL at %d of the %s, AUTHENTICATE" % (at, which),
                       "LOGIN", [user, password], False, [said_no(user)],
                       FAILED % ("a", "AUTHENTICATE LOGIN"))


# What has a meaning to one program or another. Each is a part of a right
# password, and of nobody's name.
ODD = [b"\t", b"\r", b"\n", b"\r\n", b":", b"*", b"%", b"%s%n", b"\xff",
       b"\xc3\xa9", b"\xc3\x28", b"\xed\xa0\x80", b"\x7f", b"\x01", b"/",
       b"..", b"\\", b'"', b" ", b"[", b"]", b"$", b"`id`", b"'", b";",
       b"\x1b[0m", b"firetruck", b"host=[203.0.113.9]"]


def odd_name(n):
    """Who has the odd password."""
    return b"odd%d" % n


def odd_bytes():
    for n, odd in enumerate(ODD):
        user, password = odd_name(n), b"fire" + odd + b"truck"
        forms = ["literal", "literal+"]
        if not re.search(rb"[\r\n]", odd):
            forms.append("quoted")
        for form in forms:
            yield with_login("%r in a right password, %s" % (odd, form),
                             user, password, ("atom", form), True)
        for name in (b"ri" + odd + b"ley", b"riley" + odd, odd + b"riley"):
            yield with_login("%r as a name" % name, name, b"firetruck",
                             (forms[-1], "atom"))
        yield with_login("%r behind a right password" % odd, user,
                         password + odd, ("atom", "literal"))
        yield sasl("%r in a right password, PLAIN" % odd, "PLAIN",
                   [plain_text(user, password)], True,
                   [said_sasl(user, "PLAIN")], DONE % ("a", "AUTHENTICATE"))
        yield sasl("%r in a right password, LOGIN" % odd, "LOGIN",
                   [user, password], False,
                   [said_sasl(user, "LOGIN")], DONE % ("a", "AUTHENTICATE"))


# ---- who can not log in, whatever the password ----

STRANGERS = [
    (b"nohash", b""), (b"nohash", b"x"), (b"bang", b"firetruck"),
    (b"star", b"firetruck"), (b"star", b"*"), (b"other", b"firetruck"),
    (b"system", b"firetruck"), (b"toor", b"firetruck"),
    (b".dot", b"firetruck"), (b"-dash", b"firetruck"),
    (b"sl/ash", b"firetruck"), (b"", b"firetruck"), (b"", b""),
    (b"riley", b""), (b"#comment", b"firetruck")]


def strangers():
    """Most stand in the password file, and are refused all the same."""
    for name, password in STRANGERS:
        if name == b"other" and ROOT:
            continue            # another's uid, to an ordinary user
        for form in ("quoted", "literal"):
            yield with_login("%r %r" % (name, password), name, password,
                             (form, form))
        yield sasl("%r %r, PLAIN" % (name, password), "PLAIN",
                   [plain_text(name, password)], True, [said_no(name)],
                   FAILED % ("a", "AUTHENTICATE PLAIN"))


def unavailable(room):
    """A second password file that is not there, is none, or can be written
    to by everybody."""
    loose = shutil.copy(room.passwd, os.path.join(room.base, "loose"))
    os.chmod(loose, 0o666)
    for path in (os.path.join(room.base, "missing"), room.base, loose):
        for d in dialogues(UNAVAILABLE):
            d.name += ", --auth=file:" + path
            d.options.append("--auth=file:" + path)
            yield d


# ---- names that look like log lines ----

FORGED = [
    b"riley host=[203.0.113.9]", b"x auth=x host=[203.0.113.9]\r\n",
    b"riley\nimapd[1]: Login failed user=x auth=x host=[203.0.113.9]",
    b"riley\r\nLogin user=root host=[203.0.113.9]", b"[203.0.113.9]",
    b"host=[203.0.113.9]", b"a" * 40 + b" host=[203.0.113.9]",
    b"a" * 63 + b"\n" + b"b" * 20, b"\\x0a", b"\"", b"\x1b[2J", b"%s%s%n",
    b"\xff\xfe", b"203.0.113.9", b"]", b"[", b"a]b[c", b"x" * 100,
    b"[" * 64, b"\xff" * 255]


def forged():
    for name in FORGED:
        yield with_login("%r as a name" % name, name, b"firetruck",
                         ("literal", "atom"))
        yield sasl("%r as authz" % name, "PLAIN",
                   [plain_text(b"riley", b"firetruck", name)], True,
                   [said_no(name, b"riley")],
                   "a NO [AUTHORIZATIONFAILED] AUTHENTICATE PLAIN failed")


# ---- without privacy ----

def no_privacy():
    for d in dialogues(NO_PRIVACY):
        d.options.append("--plaintext=no")
        yield d
