#!/usr/bin/env python3
#
# validate.t - is the response validator right? It judges all other tests'
# output, so it is itself judged here: what is legal must pass, and each
# corruption must be refused, at the very byte where it begins.
#
#	tests/validate/legal	whole sessions that are legal
#	tests/validate/broken	whole sessions that break a rule once
#	tests/validate/lines	an answer, and what can be wrong with it
#
# and answers taken apart here, token by token (see spoil below).
#
# In a session file "== words" begins a session, "C: " is a line of the
# client (tag and command; it is for the rules that need to know the command,
# a session without C: lines is checked without them; "C| " continues one),
# "S: " a line of the server, and "S! " the one that must be refused: at its
# <!> or, without one, anywhere in it. "S!" alone stands for the end.
# "@greeted" stands for a greeting, "@selected 7" for that and the answer to
# "a0 SELECT" of a mailbox of 7 messages, "@binary" allows RFC 3516. Tokens
# such as <CRLF>: see tests/validate/lines.
#
# VALIDATE names the program, obj/tests/validate if unset.

import os
import random
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "validate")
VALIDATE = os.environ.get("VALIDATE",
    os.path.join(os.path.dirname(HERE), "obj", "tests", "validate"))

GREETED = b"* PREAUTH IMAP4rev1 server ready\r\n"
SELECTED = (b"* %d EXISTS\r\n* FLAGS (\\Answered \\Seen)\r\n* 0 RECENT\r\n"
    b"a0 OK [READ-WRITE] SELECT completed\r\n")
BEGIN = GREETED + SELECTED % 20
END = b"z OK done\r\n"

TOKEN = re.compile(r"<(CR|LF|CRLF|NUL|end|!|x[0-9A-F]{2}|(\d+)\*(.))>")
BYTES = {"CR": b"\r", "LF": b"\n", "CRLF": b"\r\n", "NUL": b"\0",
    "end": b"", "!": b""}


def bail(why):
    print("Bail out! " + why)
    sys.exit(1)


def encode(text):
    """The bytes of a line, and where its <!> stands (or None)."""
    out, mark, last = b"", None, 0
    for m in TOKEN.finditer(text):
        out += text[last:m.start()].encode("ascii")
        if m.group(1) == "!":
            mark = len(out)
        elif m.group(2):
            out += m.group(3).encode("ascii") * int(m.group(2))
        elif m.group(1) in BYTES:
            out += BYTES[m.group(1)]
        else:
            out += bytes([int(m.group(1)[1:], 16)])
        last = m.end()
    out += text[last:].encode("ascii")
    return out + (b"" if text.endswith("<end>") else b"\r\n"), mark


class Case:
    """A stream, with what the validator must say of it."""

    def __init__(self, name, stream, low=None, high=None):
        self.name = name
        self.stream = stream
        self.low, self.high = low, high     # None: it is legal
        self.commands = b""
        self.knows = False                  # the commands
        self.options = []
        self.said = ""

    def good(self):
        m = re.search(r":(\d+): byte (\d+): expected ", self.said)
        if self.low is None or m is None:
            return self.low is None and self.said == ""
        offset = int(m.group(2))
        line = self.stream[:offset].count(b"\n") + 1
        return self.low <= offset <= self.high and int(m.group(1)) == line

    def explain(self):
        print("# %r" % self.stream[-400:])
        want = ("no breach" if self.low is None else
            "a breach at byte %d to %d" % (self.low, self.high))
        print("# wanted %s; said: %s" % (want, self.said or "nothing"))


def run(cases):
    """Fills in what the validator says; few processes, so that it is fast."""
    groups = {}
    for case in cases:
        key = (tuple(case.options), case.commands if case.knows else None)
        groups.setdefault(key, []).append(case)
    with tempfile.TemporaryDirectory() as tmp:
        for (options, commands), group in groups.items():
            args = [VALIDATE, *options]
            if commands is not None:
                path = os.path.join(tmp, "commands")
                with open(path, "wb") as f:
                    f.write(commands)
                args += ["-c", path]
            names = {}
            for i, case in enumerate(group):
                path = os.path.join(tmp, str(i))
                with open(path, "wb") as f:
                    f.write(case.stream)
                names[path] = case
            for i in range(0, len(group), 500):
                part = list(names)[i:i + 500]
                ran = subprocess.run(args + part, capture_output=True)
                lines = ran.stdout.decode("ascii").splitlines()
                for line in lines:
                    names[line.split(":")[0]].said = line
                if ran.stderr or ran.returncode != (1 if lines else 0):
                    bail("%s: status %d %s" % (VALIDATE,
                        ran.returncode, ran.stderr.decode("ascii", "replace")))


def sessions(name):
    """The sessions of a file of them."""
    cases, case = [], None
    with open(os.path.join(DATA, name), encoding="ascii") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if line.startswith("== "):
                case = Case(line[3:], b"")
                cases.append(case)
            elif line.startswith("C: "):
                case.commands += line[3:].encode("ascii") + b"\r\n"
                case.knows = True
            elif line.startswith("S: "):
                case.stream += encode(line[3:])[0]
            elif line.startswith("S!"):
                at, mark = len(case.stream), None
                if line != "S!":
                    added, mark = encode(line[3:])
                    case.stream += added
                case.low = at + (mark or 0)
                case.high = len(case.stream) if mark is None else case.low
            elif line == "@greeted":
                case.stream = GREETED
            elif line.startswith("@selected "):
                case.stream = GREETED + SELECTED % int(line[10:])
                case.commands = b"a0 SELECT INBOX\r\n"
            elif line == "@binary":
                case.options.append("-b")
            elif line and not line.startswith(("#", "C| ")):
                bail("%s:%d: what is this?" % (name, number))
    return cases


def lines(name):
    """The answers of tests/validate/lines, and their corruptions."""
    cases, legal = [], None
    with open(os.path.join(DATA, name), encoding="ascii") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if line.startswith("legal: "):
                legal = line[7:]
                cases.append(Case("legal: " + legal[:60],
                    BEGIN + encode(legal)[0] + END))
            elif line.startswith("wrong: "):
                what, wrong = line[7:].split(" | ", 1)
                stream, mark = encode(wrong)
                if mark is None:
                    bail("%s:%d: no <!>" % (name, number))
                at = len(BEGIN) + mark
                cases.append(Case("%s: %s" % (legal.split("(")[0].strip()[:30],
                    what), BEGIN + stream + END, at, at))
            elif line and not line.startswith("#"):
                bail("%s:%d: what is this?" % (name, number))
    return cases


# Answers that are taken apart. In none of them may a member be left out or
# come twice, and none holds a place where a string or NIL may be an atom, so
# that each spoiling is wrong whatever token it hits: ENVELOPE has ten members
# and an address four, BODY has no optional tail, a flag is not told twice.
WHOLE = [
    '* 12 FETCH (FLAGS (\\Seen \\Draft) UID 7 RFC822.SIZE 44 INTERNALDATE '
    '"17-Jul-1996 02:44:25 -0700")',
    '* 12 FETCH (ENVELOPE ("Wed, 17 Jul 1996 02:23:25 -0700" "a \\"b\\"" '
    '(("Terry" NIL "gray" "cac")) (("Terry" NIL "gray" "cac")) '
    '(("Terry" NIL "gray" "cac")) ((NIL NIL "imap" "cac")(NIL "@a,@b" "x" '
    '"y")) NIL NIL NIL "<B27397@cac>"))',
    '* 12 FETCH (BODY ("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "F" "flowed") '
    'NIL "a description" "7BIT" 3028 92))',
    '* 12 FETCH (BODY (("TEXT" "PLAIN" NIL NIL NIL "7BIT" 1152 23)("MESSAGE" '
    '"RFC822" NIL "<a@b>" NIL "7BIT" 500 ("d" "s" NIL NIL NIL NIL NIL NIL NIL '
    '"<1@b>") ("IMAGE" "GIF" NIL NIL NIL "BASE64" 400) 10) "MIXED"))',
    '* STATUS "stuff/junk" (MESSAGES 4 UNSEEN 4)',
    '* NAMESPACE (("" "/")) NIL NIL',
    '* ID ("name" "imapd" "version" "0.1")',
]
PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[ ()]|[^ ()"]+')


def spoil(tokens, i):
    """All (what, tokens) in which token i is wrong: provably so."""
    t = tokens[i]
    before, after = tokens[:i], tokens[i + 1:]
    put = lambda what, *new: (what, before + list(new) + after)
    inside = 0 < before.count("(") - before.count(")")

    if t == " ":
        yield put("space left out")
        yield put("space twice", " ", " ")
        yield put("space a TAB", "\t")
    elif t in "()":
        yield put("parenthesis left out")
        yield put("parenthesis twice", t, t)
        yield put("parenthesis turned", "(" if t == ")" else ")")
        yield put("parenthesis a brace", "{" if t == "(" else "}")
        yield put("space within the parenthesis",
            *(["(", " "] if t == "(" else [" ", ")"]))
    elif inside:
        # A member goes with the space before or behind it; without one of
        # its flags a list is still legal.
        if t[0] == "\\":
            yield put("flag with a letter more", t + "x")
            yield put("flag with two backslashes", "\\" + t)
        elif after[0] == " ":
            yield "member left out", before + after[1:]
        elif before[-1] == " ":
            yield "member left out", before[:-1] + after
        yield put("member twice", t, " ", t)
        yield "line cut short", before
        if t[0] == '"':
            yield put("closing quote left out", t[:-1])
            yield put("opening quote left out", t[1:])
            yield put("8-bit byte in quotes", t[:-1] + '\xe4"')
            yield put("CR in quotes", t[:-1] + '\r"')
            yield put("LF in quotes", t[:-1] + '\n"')
            yield put("NUL in quotes", t[:-1] + '\0"')
            yield put("lone backslash in quotes", t[:-1] + '\\n"')
        elif t == "NIL":
            yield put("NIL misspelt", "NUL")
            yield put("NIL cut", "NI")
            yield put("NIL longer", "NILS")
        elif t.isdigit():
            yield put("number in quotes", '"%s"' % t)
            yield put("number too big", "4294967296")
            yield put("number negative", "-" + t)
            yield put("number NIL", "NIL")
            yield put("number with a letter", t + "k")
        elif t[0] != "\\":
            yield put("name with a letter more", t + "X")
            yield put("name in quotes", '"%s"' % t)


def taken_apart():
    cases = []
    for answer in WHOLE:
        cases.append(Case("legal: " + answer[:60],
            BEGIN + answer.encode("ascii") + b"\r\n" + END))
        tokens = PIECE.findall(answer)
        first = tokens.index(" ", 3)
        for i in range(first, len(tokens)):
            for what, spoilt in spoil(tokens, i):
                line = "".join(spoilt).encode("latin-1") + b"\r\n"
                cases.append(Case(what, BEGIN + line + END,
                    len(BEGIN), len(BEGIN) + len(line)))
    return cases


def nested():
    """As deep as any mail, and deeper than any stack should go."""
    part = '("A" "B" NIL NIL NIL "7BIT" 1)'
    cases = []
    for depth, limit in ((100, None), (3000, None), (100000, 4000)):
        for name, before, inner, after in (
                ("multiparts", "* 1 FETCH (BODY ", part, ")"),
                ("threads", "* THREAD ", "(1)", "")):
            around = ' "MIXED")' if inner == part else "(1))"
            line = (before + "(" * depth + inner + around * depth + after)
            # The first thread or body stands in the first parenthesis.
            at = limit and len(BEGIN) + len(before) + limit + 1
            cases.append(Case("%d %s in each other" % (depth, name),
                BEGIN + line.encode("ascii") + b"\r\n" + END, at, at))
    return cases


def thrown_dice(streams, seed):
    """Bytes changed at random: it must come to a verdict, any verdict."""
    dice = random.Random(seed)
    cases = []
    for i in range(500):
        stream = bytearray(dice.choice(streams))
        for _ in range(dice.randint(1, 4)):
            at = dice.randrange(len(stream))
            stream[at:at + dice.randint(0, 2)] = bytes([dice.choice(
                b" ()\"\\{}[]<>*+%\r\n\0\xe4019NILnil~")])
        cases.append(Case(str(i), bytes(stream)))
    return cases


class Tap:
    def __init__(self):
        self.n = 0

    def ok(self, good, name):
        self.n += 1
        print("%sok %d - %s" % ("" if good else "not ", self.n,
            name.replace("#", "\\#")))
        return good


def main():
    if not os.access(VALIDATE, os.X_OK):
        bail("%s is not there" % VALIDATE)
    tap = Tap()
    legal, broken = sessions("legal"), sessions("broken")
    table, apart = lines("lines") + nested(), taken_apart()
    for cases in (legal, broken, table, apart):
        run(cases)

    for kind, cases in (("legal session", legal), ("broken session", broken),
            ("", table)):
        for case in cases:
            name = kind + ": " + case.name if kind else case.name
            if not tap.ok(case.good(), name):
                case.explain()

    # One test point for each way of spoiling.
    ways = {}
    for case in apart:
        if case.low is not None:
            ways.setdefault(case.name, []).append(case)
    tap.ok(all(case.good() for case in apart if case.low is None),
        "the answers to be taken apart are legal as they stand")
    for name, cases in ways.items():
        bad = [case for case in cases if not case.good()]
        if not tap.ok(not bad, "%s (%d times)" % (name, len(cases))):
            bad[0].explain()

    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    run(thrown_dice([c.stream for c in legal], seed))
    tap.ok(True, "any bytes come to a verdict (SEED=%d)" % seed)

    print("1..%d" % tap.n)
    sound = [c for c in legal + table + apart if c.low is None]
    wrong = [c for c in broken + table if c.low is not None]
    print("# %d legal streams, %d corruptions by hand, %d by taking apart" %
        (len(sound), len(wrong), sum(c.low is not None for c in apart)))


main()
