#!/usr/bin/env python3
"""interop.t - Dovecot, UW's c-client, mutt, deliveries and ours take turns on
one mailbox, and none of them undoes what another did: the same messages with
the same bodies, UIDVALIDITY, UIDs, flags and keywords for all.

ROUNDS turns are taken (24), by lot; SEED repeats a run. Where a program does
not do what the others do, that is written beside the code that knows of it:

 - mutt knows neither UIDs nor keywords, which it leaves alone, nor \\Draft,
   which it drops from what it rewrites: all from the first change on. It
   expunges whatever is \\Deleted as it leaves. What it marks as
   answered is seen. It writes Lines, which clients see, into what it
   rewrites; Dovecot remembers how long a message was, and would cut so much
   off its end: so all mail here has Lines before mutt comes.
 - When mutt expunges the first message, X-IMAPbase goes with it. Whoever comes
   next begins anew under a larger UIDVALIDITY; only Dovecot may have the old
   one in its index.
 - c-client can not be asked for \\Draft (its criteria are of IMAP2); the
   file says that.
 - Dovecot, expunging the first message of what UW or we have stamped, puts
   X-IMAPbase behind X-Keywords. c-client reads from above, does not know the
   first message's keywords then, and drops them when it rewrites it.
 - Dovecot, the first to number a mailbox, does not see what others do to the
   flags of its first message (look_dovecot).
 - Dovecot takes a mailbox of the same size and second for unchanged; so the
   file is given another second before each turn.
 - \\Recent is for whoever looks first, so it is not compared.
"""

import glob
import os
import random
import shutil
import sys
import tempfile
import time

sys.dont_write_bytecode = True
import interop
from hostile import Tap, World, show
from interop import SYSTEM, House, plain, visible

ROUNDS = int(os.environ.get("ROUNDS", 24))
SEED = int(os.environ.get("SEED", random.randrange(10 ** 6)))
KEYWORDS = ["Work", "$Junk", "NonJunk", "Later", "zebra", "$MDNSent"]
ASKED = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted"]


class Known:
    """What must be in the mailbox."""

    def __init__(self, ident, text, flags=(), keywords=()):
        self.ident = ident
        self.text = visible(text)
        self.flags = set(flags)
        self.keywords = set(keywords)
        self.uid = None         # until somebody has given it one


class Model:
    def __init__(self):
        self.msgs = []
        self.uidvalidity = None
        self.last = 0           # the highest UID that was ever seen

    def add(self, house, text, flags=(), keywords=()):
        self.msgs.append(Known(house.n, text, flags, keywords))

    def pick(self, rng, most=6):
        n = min(len(self.msgs), rng.randint(1, most))
        return sorted(rng.sample(self.msgs, n), key=lambda m: m.uid)

    def expunge(self):
        self.msgs = [m for m in self.msgs if "\\Deleted" not in m.flags]

    def blinded(self, house):
        """The message whose keywords c-client will not see."""
        return self.msgs[0] if self.msgs and house.blind() else None

    def misread(self, house, m):
        """What is left of them."""
        for s in plain(house.inbox)[2]:
            if m is not None and s.ident == m.ident:
                m.keywords &= s.keywords

    # ---- judging ----

    def settle(self, seen, who):
        """What is new gets the UIDs that the first to look gave it."""
        uidvalidity, _, found = seen
        bad = []
        if self.uidvalidity is None:
            self.uidvalidity = uidvalidity
        by = {s.ident: s.uid for s in found}
        for m in self.msgs:
            if m.uid is not None:
                continue
            m.uid = by.get(m.ident)
            if m.uid is None:
                bad.append("%s: message %d is not there" % (who, m.ident))
            elif m.uid <= self.last:
                bad.append("%s: message %d got UID %d, but %d was given" %
                           (who, m.ident, m.uid, self.last))
            self.last = max(self.last, m.uid or 0)
        return bad

    def judge(self, seen, who, but=()):
        """but: flags that it can not tell."""
        uidvalidity, uidnext, found = seen
        bad = []
        if uidvalidity != self.uidvalidity:
            bad.append("UIDVALIDITY %s, not %s" % (uidvalidity,
                                                   self.uidvalidity))
        if uidnext is not None and uidnext <= self.last:
            bad.append("UIDNEXT %d, but %d was given" % (uidnext, self.last))
        if [s.ident for s in found] != [m.ident for m in self.msgs]:
            bad.append("messages %s, not %s" % (
                [s.ident for s in found], [m.ident for m in self.msgs]))
            return [who + ": " + b for b in bad]
        for s, m in zip(found, self.msgs):
            if s.uid != m.uid:
                bad.append("message %d has UID %s, not %s" % (
                    m.ident, s.uid, m.uid))
            if s.flags - set(but) != m.flags - set(but) or \
                    s.keywords != m.keywords:
                bad.append("message %d is %s, not %s" % (
                    m.ident, sorted(s.flags | s.keywords),
                    sorted(m.flags | m.keywords)))
            if s.text != m.text:
                bad.append("message %d is another: %s, not %s" % (
                    m.ident, *differ(s.text, m.text)))
        return [who + ": " + b for b in bad]


def differ(a, b):
    """Both from where they differ, for a person."""
    n = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y),
             min(len(a), len(b)))
    return show(a[max(0, n - 10):], 60), show(b[max(0, n - 10):], 60)


# ---- who looks ----

def look_ours(house):
    with house.ours() as c:
        seen = c.select().read()
        c.bye()
    return seen


def look_dovecot(house):
    """Having been the one to number a mailbox it takes its first message for
    changed, and then believes its index about that one's flags, whatever
    others write; so that index goes."""
    based = plain(house.inbox)[0]
    with house.dovecot() as c:
        seen = c.select().read()
        c.bye()
    if not based:
        house.forget_index()
    return seen


def look_uw(house):
    with house.uw() as c:
        seen = c.read(KEYWORDS)
        c.end()
    return seen


def look_plain(house):
    uidvalidity, last, found = plain(house.inbox)
    return uidvalidity, last and last + 1, found


LOOKS = {"imapd": (look_ours, ()), "Dovecot": (look_dovecot, ()),
         "c-client": (look_uw, ["\\Draft"])}


def look(house, model, rng):
    """All look, in any order; the first to come sees to new mail. The file
    itself comes last."""
    bad = []
    order = list(LOOKS)
    rng.shuffle(order)
    for i, who in enumerate(order):
        how, but = LOOKS[who]
        house.tick()
        blind = model.blinded(house) if who == "c-client" else None
        seen = how(house)
        model.misread(house, blind)
        if i == 0:
            bad += model.settle(seen, who)
        if blind and seen[2] and not seen[2][0].keywords:
            seen[2][0].keywords = blind.keywords
        bad += model.judge(seen, who, but)
    bad += model.judge(look_plain(house), "the file")
    said = house.mailutil("check", os.path.basename(house.inbox))
    if "%d total" % len(model.msgs) not in said and model.msgs:
        bad.append("mailutil check: " + said)
    return ["(%s) %s" % (", ".join(order), b) for b in bad]


# ---- what is done ----

def uids(msgs):
    return ",".join(str(m.uid) for m in msgs)


def change(rng, model, names):
    """Flags or keywords for some messages: (their uids, +, - or "", names)."""
    msgs = model.pick(rng)
    how = rng.choice(("+", "+", "-"))
    words = rng.sample(names, rng.randint(1, 2))
    for m in msgs:
        for word in words:
            kind = m.flags if word[0] == "\\" else m.keywords
            (kind.add if how == "+" else kind.discard)(word)
    return uids(msgs), how, words


def some_flags(rng):
    return rng.sample(SYSTEM, rng.randint(0, 2)), \
        rng.sample(KEYWORDS, rng.randint(0, 2))


def imap_store(house, model, rng, c):
    where, how, words = change(rng, model, SYSTEM + KEYWORDS)
    c.ask("UID STORE %s %sFLAGS (%s)" % (where, how, " ".join(words)))


def imap_set(house, model, rng, c):
    msgs = model.pick(rng)
    flags, keywords = some_flags(rng)
    for m in msgs:
        m.flags, m.keywords = set(flags), set(keywords)
    c.ask("UID STORE %s FLAGS.SILENT (%s)" % (uids(msgs), " ".join(
        flags + keywords)))


def imap_append(house, model, rng, c):
    for _ in range(rng.randint(1, 3)):
        text = house.text(rng)
        flags, keywords = some_flags(rng)
        c.append(text, flags + keywords)
        model.add(house, text, flags, keywords)
    c.ask("NOOP")


def imap_expunge(house, model, rng, c, msgs=None):
    msgs = msgs or model.pick(rng)
    c.ask("UID STORE %s +FLAGS.SILENT (\\Deleted)" % uids(msgs))
    for m in msgs:
        m.flags.add("\\Deleted")
    c.ask("EXPUNGE")
    model.expunge()


def imap_first(house, model, rng, c):
    imap_expunge(house, model, rng, c, model.msgs[:1])


def imap_all(house, model, rng, c):
    imap_expunge(house, model, rng, c, model.msgs[:])


def imap_turn(house, model, rng, c):
    """One to three things in a session; UIDs of new mail are learnt by
    looking, so an append comes last."""
    done = []
    for _ in range(rng.randint(1, 3)):
        act = imap_append if not model.msgs else rng.choices(
            (imap_store, imap_set, imap_expunge, imap_first, imap_all,
             imap_append), (6, 3, 4, 3, .4, 5))[0]
        act(house, model, rng, c)
        done.append(act.__name__[5:])
        if act is imap_append:
            break
    c.ask(rng.choice(("NOOP", "CHECK", "UNSELECT")))
    c.bye()
    return done


def turn_ours(house, model, rng):
    with house.ours("--expunge-on=expunge") as c:
        c.select()
        return imap_turn(house, model, rng, c)


def turn_dovecot(house, model, rng):
    with house.dovecot() as c:
        c.select()
        return imap_turn(house, model, rng, c)


def turn_uw(house, model, rng):
    if not model.msgs:
        return turn_mailutil(house, model, rng)
    with house.uw() as c:
        where, how, words = change(rng, model, ASKED)
        c.ask("flag %s %s %s" % ("set" if how == "+" else "clear", where,
                                 " ".join(words)))
        for word in rng.sample(KEYWORDS, 2):
            msgs = model.pick(rng)
            for m in msgs:
                m.keywords.add(word)
            c.ask("flag set %s %s" % (uids(msgs), word))
        if rng.random() < .5:
            msgs = model.msgs[:1] if rng.random() < .4 else model.pick(rng)
            c.ask("flag set %s \\Deleted" % uids(msgs))
            for m in msgs:
                m.flags.add("\\Deleted")
            c.ask("expunge")
            model.expunge()
        c.end()
    return ["c-client flags"]


def turn_mailutil(house, model, rng):
    """It appends what stands in another file, with its flags; prunes what a
    search finds, and with it all that is \\Deleted."""
    inbox = os.path.basename(house.inbox)
    if rng.random() < .5 and model.msgs:
        m = rng.choice(model.msgs)
        house.mailutil("prune", inbox, 'subject "number %d"' % m.ident)
        for other in model.msgs:
            if b"Subject: number %d" % m.ident in other.text:
                other.flags.add("\\Deleted")
        model.expunge()
        return ["mailutil prune"]
    text = house.text(rng)
    house.world.file(os.path.join(house.spool, "other"),
                     b"From a@b Thu Nov 29 22:33:52 2001\n" + text.replace(
                         b"\n\n", b"\nStatus: RO\nX-Status: AT\n\n", 1) +
                     b"\n")
    house.mailutil("append", "-kw", "other", inbox)
    model.add(house, text, ["\\Seen", "\\Answered", "\\Draft"])
    return ["mailutil append"]


def turn_mutt(house, model, rng):
    """The first message stays: see above."""
    if not model.msgs or "\\Deleted" in model.msgs[0].flags:
        return turn_deliver(house, model, rng)
    keys = ""
    for name, key in (("\\Flagged", "<set-flag>!"), ("\\Seen",
                      "<clear-flag>N"), ("\\Answered", "<set-flag>r"),
                      ("\\Deleted", "<set-flag>D")):
        msgs = model.pick(rng)
        if name == "\\Deleted":
            msgs = [m for m in msgs if m is not model.msgs[0]]
        if not msgs or rng.random() < .3:
            continue
        for m in msgs:
            if name == "\\Answered" and name not in m.flags:
                m.flags.add("\\Seen")
            m.flags.add(name)
        keys += '<untag-pattern>~A<enter><tag-pattern>~i "id-(%s)@"<enter>' \
            '<tag-prefix>%s' % ("|".join(str(m.ident) for m in msgs), key)
    house.mutt(keys)
    model.expunge()
    drafts = {s.ident for s in plain(house.inbox)[2] if "\\Draft" in s.flags}
    for m in model.msgs:
        if m.ident not in drafts:
            m.flags.discard("\\Draft")
    return ["mutt"]


def turn_deliver(house, model, rng):
    for _ in range(rng.randint(1, 3)):
        text = house.text(rng)
        house.deliver(text, rng.choice(("postfix", "procmail")))
        model.add(house, text)
    return ["delivery"]


def turn_spoil(house, _, rng):
    """Our index or our log is damaged, or an old one comes back."""
    what = rng.choice(("index", "changes"))
    paths = glob.glob(os.path.join(house.world.home, ".imapd", what + ".*"))
    old = house.old.setdefault(what, [])
    if not paths:
        return ["no " + what]
    with open(paths[0], "r+b") as f:
        data = f.read() or b"x"
        old[:] = (old + [data])[-4:]
        how = rng.choice(("shorter", "another bit", "an old one"))
        at = rng.randrange(len(data))
        new = {"shorter": data[:at], "an old one": rng.choice(old),
               "another bit": data[:at] + bytes([data[at] ^ 1 << at % 8]) +
               data[at + 1:]}[how]
        f.seek(0)
        f.write(new)
        f.truncate()
    return [what + " " + how]


TURNS = [turn_spoil, turn_ours, turn_ours, turn_dovecot, turn_dovecot,
         turn_uw, turn_uw, turn_mailutil, turn_mutt, turn_mutt, turn_deliver]


def begin(world, rng, n=30):
    house, model = House(world), Model()
    for _ in range(n):
        text = house.text(rng)
        house.deliver(text)
        model.add(house, text)
    return house, model


def alternations(tap):
    """Every program in its turn at least once in so many."""
    rng = random.Random(SEED)
    with World() as world:
        house, model = begin(world, rng)
        bad = look(house, model, rng)
        tap.point("%d messages that nobody has opened" % len(model.msgs), bad)
        order = []
        for i in range(ROUNDS):
            if bad:
                break
            order = order or rng.sample(TURNS, len(TURNS))
            turn = order.pop()
            house.tick()
            blind = model.blinded(house) \
                if turn in (turn_uw, turn_mailutil) else None
            done = turn(house, model, rng)
            model.misread(house, blind)
            bad = look(house, model, rng) + house.complaints()
            tap.point("turn %d: %s: %s; %d messages" % (
                i + 1, turn.__name__[5:], ", ".join(done),
                len(model.msgs)), bad)
        if bad:
            print("# the mailbox is in " + shutil.copy(
                house.inbox, os.path.join(tempfile.gettempdir(),
                                          "imapd-interop.failed")))


# ---- while another has it open ----

def beside(tap, name, open_it, turns, ask):
    """A session stays open while others take turns, and then is asked."""
    rng = random.Random(SEED + 1)
    with World() as world:
        house, model = begin(world, rng, 12)
        bad = look(house, model, rng)
        done = []
        with open_it(house) as c:
            c.select()
            c.uidnext = None
            for i in range(max(ROUNDS // 3, len(turns))):
                turn = turns[i % len(turns)]
                blind = model.blinded(house)
                house.tick()
                done += turn(house, model, rng)
                model.misread(house, blind)
                house.tick()
                c.ask(ask)
                seen = c.read()
                bad += model.settle(seen, name) + model.judge(seen, name)
                if i % 2 and model.msgs and not bad:
                    imap_store(house, model, rng, c)
                    c.ask("CHECK")
                if bad:
                    bad.append("after " + done[-1])
                    break
            c.bye()
        bad = bad or look(house, model, rng) + house.complaints()
        tap.point("%s has it open: %s" % (name, ", ".join(done)), bad)


def beside_mutt(tap):
    """mutt has a flag to write when the mailbox changes beneath it; it may
    forget that flag, but no mail, UID or keyword."""
    rng = random.Random(SEED + 2)
    with World() as world:
        house, model = begin(world, rng, 12)
        bad = look(house, model, rng)
        with house.mutt_open() as mutt:
            mutt.keys(b"j" * 7 + b"F")
            with house.ours("--expunge-on=expunge") as c:
                c.select()
                imap_expunge(house, model, rng, c, model.msgs[2:4])
                imap_store(house, model, rng, c)
                imap_append(house, model, rng, c)
                c.bye()
            mutt.end(b"$q")
        # Having read it anew it may leave what it would expunge.
        left = {s.ident for s in plain(house.inbox)[2]}
        model.msgs = [m for m in model.msgs if m.ident in left or
                      "\\Deleted" not in m.flags]
        seen = look_ours(house)
        bad += model.settle(seen, "imapd")
        known = {s.ident: s for s in seen[2]}
        for m in model.msgs:
            if m.ident in known:
                m.flags = set(known[m.ident].flags)
        bad += look(house, model, rng) + house.complaints()
        tap.point("mutt has it open, and a flag to write, while imapd "
                  "expunges and appends", bad)


def beside_uw(tap):
    """The same with c-client. It gives up what it had to write when the
    mailbox is shorter than it was; that flags in place are its own to
    overwrite it believes."""
    rng = random.Random(SEED + 3)
    with World() as world:
        house, model = begin(world, rng, 12)
        bad = look(house, model, rng)
        with house.uw() as uw:
            uw.ask("flag set %d \\Flagged" % model.msgs[7].uid)
            with house.ours("--expunge-on=expunge") as c:
                c.select()
                imap_expunge(house, model, rng, c, model.msgs[2:4])
                imap_store(house, model, rng, c)
                c.bye()
            uw.give_up()
        bad += look(house, model, rng) + house.complaints()
        tap.point("c-client has it open, and a flag to write, while imapd "
                  "expunges", bad)


# ---- what happens seldom ----

def mutt_takes_base(tap):
    """With the first message goes X-IMAPbase. UIDs begin anew, for all, and
    under a UIDVALIDITY that is larger, though the old one was of a clock
    that was fast. Dovecot 2.3 sees that, but goes on
    believing the sizes that it remembers by UID, and hangs up where they are
    wrong; so this once its index goes."""
    rng = random.Random(SEED + 4)
    with World() as world:
        house, model = begin(world, rng, 6)
        look_uw(house)
        before = int(time.time()) + 10 ** 6
        house.set_uidvalidity(before)
        bad = look(house, model, rng)
        house.mutt("<first-entry><set-flag>D")
        model.msgs.pop(0)
        for m in model.msgs:
            m.uid, m.keywords = None, set()
        model.uidvalidity, model.last = None, 0
        seen = look_ours(house)
        bad += model.settle(seen, "imapd")
        if seen[0] <= before:
            bad.append("UIDVALIDITY %d was %d" % (seen[0], before))
        house.forget_index()
        bad += look(house, model, rng) + house.complaints()
        tap.point("mutt expunges the first message, and X-IMAPbase", bad)


def empty(house, model, rng, who):
    if who == "c-client":
        with house.uw() as c:
            c.ask("flag set %s \\Deleted" % uids(model.msgs))
            c.ask("expunge")
            c.end()
        model.msgs = []
        return
    with house.ours() if who == "imapd" else house.dovecot() as c:
        c.select()
        imap_all(house, model, rng, c)
        c.bye()


def emptied(tap):
    """Each empties it, mail comes, and the others go on from there: the
    UIDs after those that are gone."""
    rng = random.Random(SEED + 5)
    for who in ("imapd", "Dovecot", "c-client"):
        with World() as world:
            house, model = begin(world, rng, 3)
            bad = look(house, model, rng)
            for _ in range(2):
                house.tick()
                empty(house, model, rng, who)
                bad += look(house, model, rng)
                house.tick()
                turn_deliver(house, model, rng)
                bad += look(house, model, rng)
            tap.point("emptied by %s, twice, and mail came" % who,
                      bad + house.complaints())


def quoted(tap):
    """Lines like From_ in what we append: others show a ">" before them, we
    take it away, where they leave our field in its place. c-client and
    Dovecot move it: VIOLATIONS."""
    rng = random.Random(SEED + 6)
    for who, turn in (("mutt", turn_mutt), ("imapd", turn_ours)):
        with World() as world:
            house, model = begin(world, rng, 2)
            bad = look(house, model, rng)
            with house.ours() as c:
                c.select()
                for _ in range(4):
                    text = house.text(rng, lines_from=True)
                    c.append(text)
                    model.add(house, text)
                c.bye()
            for i in range(4):
                seen = look_ours(house)
                bad += model.settle(seen, "imapd") + model.judge(
                    seen, "imapd")
                house.tick()
                turn(house, model, rng)
                if bad:
                    break
            tap.point("From_ lines that we stored come back, although %s "
                      "wrote" % who, bad + house.complaints())


def main():
    tap = Tap()
    print("# SEED=%d ROUNDS=%d" % (SEED, ROUNDS))
    lack = interop.missing()
    if lack:
        why = "packages are missing: " + " ".join(lack)
        print("interop.t is skipped: " + why, file=sys.stderr)
        tap.skip("other mail programs", why)
        return tap.end()
    others = [turn_dovecot, turn_deliver, turn_mutt, turn_uw, turn_mailutil]
    for test, *args in (
            [alternations],
            [beside, "imapd", lambda h: h.ours("--expunge-on=expunge"),
             others, "NOOP"],
            # Dovecot looks for others' flags only then (mbox_dirty_syncs).
            [beside, "Dovecot", lambda h: h.dovecot(),
             [turn_ours, turn_deliver, turn_ours], "CHECK"],
            [beside_mutt], [beside_uw], [mutt_takes_base], [emptied],
            [quoted]):
        try:
            test(tap, *args)
        except RuntimeError as e:       # a program that hangs, or says NO
            tap.point(test.__name__, [str(e)])
    return tap.end()


sys.exit(main())
