#!/usr/bin/env python3
"""run_script.t - does the transcript runner see what is wrong? A test that
cannot fail shows nothing, so each way to fail is tried here: scripts that
must fail are played against a made server, a few lines of sh, and must fail
with the words expected. Needs the validator, not the server."""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

# What the made server says before it reads, and then line by line.
GREETING = r"printf '* PREAUTH ready\r\n'; "
NOOP = GREETING + r"read x; printf 'a1 OK done\r\n'; read x"
LITERAL = GREETING + r"read x; printf '* OK [ALERT] x\r\n* 1 EXISTS\r\n" \
    r"* 1 FETCH (BODY[] {5}\r\nab\r\nc UID 7)\r\na1 OK done\r\n'; read x"
MUTE = GREETING + "read x; read x"

SCRIPT = "# a title\nC: a1 NOOP\nS: a1 OK done\n"
LITERAL_SCRIPT = "# a title\nC: a1 NOOP\n...\nS: * 1 FETCH (BODY[] {n}\n" \
    "L: ab\nL~: c\nS:  UID <number>)\nS: a1 OK <any>\n"

# (what, server, script, words of the complaint; None: it must pass)
CASES = [
    ("a right script passes", NOOP, SCRIPT, None),
    ("another text", NOOP, SCRIPT.replace("done", "gone"),
        "line 3: the server says something else"),
    ("more text behind", NOOP, SCRIPT.replace("done", "don"),
        "line 3: the server says something else"),
    ("a line too many", NOOP.replace("done", r"done\r\n* 3 EXISTS"), SCRIPT,
        "says more than expected"),
    ("a line too few", NOOP[:-8], SCRIPT + "S: a2 OK done\n",
        "line 4: the server has ended"),
    ("a bare LF", NOOP.replace(r"done\r", "done"), SCRIPT,
        "+ S: a1 OK done<LF>"),
    ("no line end", NOOP[:-8].replace(r"done\r\n", "done"), SCRIPT,
        "+ S: a1 OK done<end>"),
    ("a greeting that is none", NOOP.replace("PREAUTH", "OK"), SCRIPT,
        "line 2: the server says something else"),
    ("words on stderr", NOOP + "; echo oops >&2", SCRIPT, "+ oops"),
    ("an exit status", NOOP + "; exit 3", SCRIPT, "exit status 3"),
    ("another exit status than expected", NOOP + "; exit 1",
        SCRIPT + "E: 0\n", "line 4: exit status 1, not 0"),
    ("death by a signal", NOOP + "; kill -9 $$", SCRIPT, "exit status -9"),
    ("wrong grammar that no line asks for", NOOP.replace("a1", r"* x\r\na1"),
        SCRIPT.replace("S:", "...\nS:"), "the validator objects"),
    ("a tag answered twice", NOOP.replace("done", r"done\r\na1 OK done"),
        SCRIPT + "S: a1 OK done\n", "the validator objects"),

    ("a right literal passes", LITERAL, LITERAL_SCRIPT, None),
    ("another literal", LITERAL, LITERAL_SCRIPT.replace("L: ab", "L: aB"),
        "- aB"),
    ("a literal too short", LITERAL, LITERAL_SCRIPT.replace("L~: c", "L: c"),
        "a literal of 5 octets, other than the 7 expected"),
    ("a literal where none is expected", LITERAL, "# a title\nC: a1 NOOP\n"
        "...\nS: * 1 FETCH (BODY[] NIL)\n", "line 4: "),
    ("another number with the same letter", LITERAL, LITERAL_SCRIPT.replace(
        "...", "S: * OK [ALERT] x\nS: * <number n> EXISTS").replace(
        "UID <number>", "UID <number n>"), "line 8: "),
    ("a tagged line is not skipped", NOOP.replace("a1", r"a0 OK x\r\na1"),
        SCRIPT.replace("S:", "...\nS:"), "+ S: a0 OK x"),
    ("what is banned", LITERAL, LITERAL_SCRIPT.replace("C:",
        "!: EXISTS\nC:"), "what line 2 bans was said"),
    ("what is banned, in a literal", LITERAL, LITERAL_SCRIPT.replace("C:",
        "!: ^ab\nC:"), "what line 2 bans was said"),
    ("a ban ends with the tagged line", NOOP.replace("done", r"done\r\n* 3 "
        "EXISTS"), SCRIPT.replace("C:", "!: EXISTS\nC:") + "S: * 3 EXISTS\n",
        None),
    ("any order of a group passes", LITERAL.replace(r"* 1 FETCH (BODY[] {5}"
        r"\r\nab\r\nc UID 7)\r\n", ""), "# a title\nC: a1 NOOP\nS*: * 1 "
        "EXISTS\nS*: * OK [ALERT] x\nS: a1 OK done\n", None),
    ("a group's line that does not come", LITERAL, "# a title\nC: a1 NOOP\n"
        "S*: * 1 EXISTS\nS*: * 2 EXISTS\n", "- S*: * 2 EXISTS"),

    ("a file that is not unchanged", "echo x >>$HOME/box; " + NOOP,
        "# a title\n@mailbox box\n\ttext\n" + SCRIPT +
        "@after box unchanged\n", "+ x"),
    ("a file that is another", NOOP, "# a title\n@mailbox box\n\ttext\n" +
        SCRIPT + "@after box\n\ttext\n\tmore\n", "- more"),
    ("a file that is not missing", NOOP, "# a title\n@mailbox box\n" +
        SCRIPT + "@after box missing\n", "it is there"),
    ("a file that is missing", "rm -f $HOME/box; " + NOOP, "# a title\n"
        "@mailbox box\n" + SCRIPT + "@after box unchanged\n",
        "it is missing"),
    ("a block's bytes", "set -- `od -An -tx1 $HOME/box`; printf '* PREAUTH "
        "%s\\r\\n' \"$*\"; read x", "# a title\n@file box\n\n\ta\\x00\\\\\n\n"
        "\t<3*b>\n\t\\c\n\nS: * PREAUTH 0a 61 00 5c 0a 0a 62 62 62\n", None),
    ("an ordinary user's rights", "printf '* PREAUTH %s\\r\\n' `id -u`; read "
        "x", "# a title\nS: * PREAUTH %d\n" % (os.getuid() or 65534),
        None),

    ("silence", MUTE, SCRIPT, "the server says nothing within 0.5 s"),

    ("no title", NOOP, SCRIPT[10:], "no comment says"),
    ("no such step", NOOP, SCRIPT + "@nothing\n", "line 4: "),
    ("a wrong argument", NOOP, SCRIPT + "@dir\n", "line 4: "),
    ("a wrong line", NOOP, SCRIPT + "s: a2\n", "line 4: what is this?"),
    ("a block of nothing", NOOP, SCRIPT + "\tx\n", "a block of what?"),
    ("a literal of nothing", NOOP, SCRIPT + "L: x\n", "no S: with"),
    ("a wrong escape", NOOP, SCRIPT + "C~: \\q\n", "no such escape"),
    ("nothing to skip to", NOOP, SCRIPT + "...\nE: 0\n", "wants an S:"),
    ("a path out of the script's directory", NOOP, SCRIPT +
        "@file /tmp/../etc/x\n", "not below"),
]


def play(place, number, server, script):
    """(exit status, what was printed)"""
    paths = []
    for kind, text in (("server", "#!/bin/sh\n%s\n" % server),
            ("test", script)):
        paths.append(os.path.join(place, "%d.%s" % (number, kind)))
        with open(paths[-1], "w") as f:
            f.write(text)
        os.chmod(paths[-1], 0o755)
    env = dict(os.environ, IMAPD=paths[0])
    if server == MUTE:
        env["DEADLINE"] = "0.5"
    ran = subprocess.run([os.path.join(HERE, "run_script"), paths[1]],
        env=env, capture_output=True, text=True)
    return ran.returncode, ran.stdout + ran.stderr


def main():
    print("1..%d" % len(CASES))
    with tempfile.TemporaryDirectory() as place:
        for number, (what, server, script, words) in enumerate(CASES, 1):
            status, said = play(place, number, server, script)
            good = (status, said) == (0, "") if words is None else \
                status == 1 and words in said
            print("%sok %d - %s" % ("" if good else "not ", number, what))
            if not good:
                print("# status %d, wanted: %s" % (status, words))
                print("".join("# %s\n" % line
                    for line in said.splitlines()), end="")


main()
