#!/usr/bin/env python3
"""hostile_mail.t - mail that was sent to hurt (hostile_mail.py): whatever it
holds, it is found, shown, searched and sorted to the end, in grammar, in
bounded memory. See hostile.py."""

import re
import sys

sys.dont_write_bytecode = True
from hostile import MB, SAN, Tap, World, lines, show
from hostile_mail import ASKED, FROM, MAIL, NEXT

# Bytes of memory that the process may use, whatever the mail.
MAILBOX_MOST = 64 * MB


def ask(world, how):
    """Complaints about one session that asks everything."""
    asked = [b"s SELECT INBOX"] + [
        b"a%d %s" % (i, line) for i, line in enumerate(ASKED)]
    with world.client(**how) as c:
        for line in asked:
            tag = line.split()[0] + b" "
            if not c.talk(line + b"\r\n", tag):
                return ["hangs at " + show(line)]
            if c.eof:
                break
        c.talk(b"l LOGOUT\r\n", b"l ")
        bad = c.finish() + world.validate(c.raw, b"".join(
            line + b"\n" for line in asked + [b"l LOGOUT"]))
    with open(world.inbox, "rb") as f:
        mail = f.read()
    return bad + complete(c.raw, asked, mail.count(b"\n" + FROM) + 1,
                          len(re.findall(rb"^From ", mail, re.M)))


def complete(raw, asked, least, most):
    """Is each command answered OK, each message once, are there as many as
    there are From_ lines, and is the last one as it should be?"""
    said = list(lines(raw))
    bad = [show(line) + ": not OK" for line in asked if not any(
        x.startswith(line.split()[0] + b" OK ") for x in said)]
    exists = re.search(rb"^\* (\d+) EXISTS", raw, re.M)
    count = int(exists.group(1)) if exists else 0
    if not least <= count <= most:
        bad.append("%d messages, not %d" % (count, least))
    uidnext = re.search(rb"\[UIDNEXT (\d+)\]", raw)
    if uidnext and int(uidnext.group(1)) >= 1 << 31:
        bad.append("no more UIDs than " + show(uidnext.group()))
    shown = sum(re.match(rb"\* \d+ FETCH ", x) is not None for x in said)
    times = sum(b" FETCH " in b" " + line for line in asked)
    if shown != count * times:
        bad.append("%d times FETCH, not %d" % (shown, count * times))
    if b"\r\n\r\nunhurt\r\n" not in raw:
        bad.append("the message behind is not shown")
    if not re.search(rb"^\* SEARCH(?: \d+)* %d\r" % count, raw, re.M):
        bad.append("the message behind is not found")
    return bad


def main():
    tap = Tap()
    with World() as world:
        for name, mail, much, less in MAIL:
            world.file(world.inbox, mail(much) + NEXT)
            tap.point(name + ", in bounded memory",
                      ask(world, {"most": MAILBOX_MOST}))
            if SAN:
                if less != much:
                    world.file(world.inbox, mail(less) + NEXT)
                tap.point(name + ", sanitised", ask(world, {}))
    return tap.end()


if __name__ == "__main__":
    sys.exit(main())
