#!/usr/bin/env python3
"""SIGTERM and SIGHUP end a server whose client has stopped reading, whatever
its output is: a socket, a pipe or a terminal. TAP."""

import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mailboxes

IMAPD = os.environ.get("IMAPD", "./imapd")
COMMANDS = b"a SELECT INBOX\r\nb FETCH 1:* BODY.PEEK[]\r\n" * 20
DEADLINE = 60


def drop():
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def ends(kind):
    """The server's end of the output, and ours."""
    if kind == "pipe":
        ours, theirs = os.pipe()
    elif kind == "terminal":
        ours, theirs = pty.openpty()
    else:
        a, b = socket.socketpair()
        ours, theirs = a.detach(), b.detach()
    if os.getuid() == 0:
        os.fchown(theirs, 65534, 65534)
    return ours, theirs


def stuck(home, program, kind, number, n):
    """Reads n bytes, no more, sends the signal; did the server end?"""
    ours, theirs = ends(kind)
    with tempfile.TemporaryFile() as commands:
        commands.write(COMMANDS)
        commands.seek(0)
        p = subprocess.Popen(
            [program], stdin=commands, stdout=theirs,
            stderr=subprocess.DEVNULL, preexec_fn=drop,
            env={"USER": "u", "HOME": home,
                 "MAIL": os.path.join(home, "inbox")})
    os.close(theirs)
    while n > 0:
        n -= len(os.read(ours, min(n, 4096)))
    p.send_signal(number)
    try:
        p.wait(DEADLINE)
        good = True
    except subprocess.TimeoutExpired:
        p.kill()
        p.wait()
        good = False
    os.close(ours)
    return good


def main():
    count = 0
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o755)
        program = shutil.copy(IMAPD, os.path.join(home, "imapd"))
        with open(os.path.join(home, "inbox"), "wb") as f:
            f.write(mailboxes.make("many(2000)"))
        for kind in ("socket", "pipe", "terminal"):
            for number in (signal.SIGTERM, signal.SIGHUP):
                for n in (1, 70000):
                    count += 1
                    print("%sok %d - %s ends a server with a full %s, "
                          "%d bytes read" %
                          ("" if stuck(home, program, kind, number, n)
                           else "not ", count, number.name, kind, n))
    print("1..%d" % count)


main()
