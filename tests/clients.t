#!/usr/bin/env python3
"""clients.t - mail programs that people use read and change mail through real
xinetd: each logs in, lists, fetches all, sets flags, appends, copies or moves,
deletes and expunges, as far as it can do so at all; the two that keep a copy
sync both ways, and a second sync transfers nothing. Afterwards each byte of
the mailboxes is accounted for, no command has been answered BAD (or NO, but
where a program tries), the validator has read all that the server said, and
the log has one login for each connection.

Each program has a mailbox and a home of its own; started by root it runs as
nobody. A name behind clients.t runs that one alone. What a program does that
others do not is written beside it.
"""

import concurrent.futures
import imaplib
import os
import re
import shutil
import sys
import traceback

sys.dont_write_bytecode = True
from clients import (ADDED, LOGINS, LOGOUT, PASSWORD, Message, Scene, bare,
                     compare, crlf, lf, maildir)
from hostile import HARD, Tap
from service import XINETD, Service

DELIVERED = b"From: Mda <mda@example.org>\nSubject: Just delivered\n" \
    b"Message-ID: <mda-1@example.org>\n\nFirst.\n\nFrom the MDA.\n"


# ---- Python's imaplib ----

def imaplib_client(scene):
    """All there is, each command by its method."""
    c = imaplib.IMAP4("127.0.0.1", scene.port)
    c.login(scene.user, scene.password)
    bad = []

    def ok(answer):
        if answer[0] != "OK":
            bad.append("imaplib: %r" % (answer,))
        return answer[1]

    if ok(c.list()) != [b'(\\HasNoChildren) "/" INBOX']:
        bad.append("LIST: %r" % (c.list(),))
    if ok(c.select()) != [b"%d" % len(scene.msgs)]:
        bad.append("SELECT does not tell how many messages there are")
    texts = [part[1] for part in ok(c.fetch("1:*", "(UID BODY.PEEK[])"))
             if isinstance(part, tuple)]
    if texts != [crlf(m.text) for m in scene.msgs]:
        bad += compare(texts, [m.text for m in scene.msgs], "FETCH")
    ok(c.create("imaplib/saved"))
    ok(c.subscribe("imaplib/saved"))
    ok(c.store("3", "+FLAGS", "(\\Flagged Work)"))
    scene.msgs[2].flags.add("\\Flagged")
    scene.msgs[2].keywords.add("Work")
    ok(c.uid("STORE", "5", "-FLAGS", "(\\Seen)"))
    scene.msgs[4].flags.discard("\\Seen")
    for text, flags in zip(ADDED, ("(\\Seen)", "(\\Draft \\Flagged)", None)):
        ok(c.append("INBOX", flags, None, crlf(text)))
        scene.add(text, re.findall(r"\\\w+", flags or ""))
    ok(c.copy("3:4", "imaplib/saved"))
    saved = [m.copy() for m in scene.msgs[2:4]]
    ok(c.uid("MOVE", "6", "imaplib/saved"))
    saved.append(scene.msgs.pop(5).copy())
    if ok(c.search(None, "SUBJECT", "roof", "UNDELETED"))[0].split() != [
            b"%d" % n for n, m in enumerate(scene.msgs, 1)
            if b"roof" in m.subject().lower() and
            "\\Deleted" not in m.flags]:
        bad.append("SEARCH finds something else")
    ok(c.store("1,9", "+FLAGS.SILENT", "\\Deleted"))
    for n in (0, 8):
        scene.msgs[n].flags.add("\\Deleted")
    ok(c.expunge())
    scene.expunge()
    ok(c.status("imaplib/saved", "(MESSAGES UIDNEXT)"))
    ok(c.close())
    c.logout()
    bad += scene.talked("", 1)
    bad += scene.judge_folder("imaplib/saved", saved)
    for name, answer in (
            ("PLAIN", lambda _: ("\0%s\0%s" % (scene.user, scene.password))
             .encode()),
            ("LOGIN", lambda asked: (scene.password if b"ass" in asked else
                                     scene.user).encode())):
        c = imaplib.IMAP4("127.0.0.1", scene.port)
        c.authenticate(name, answer)
        c.select(readonly=True)
        c.logout()
        bad += scene.talked(name, 1)
    return bad


# ---- curl ----

def curl(scene):
    """One URL is one command, or two, on a connection of its own. It takes a
    mechanism, with an initial response. What it uploads is \\Seen."""
    base, bad = "imap://127.0.0.1:%d/" % scene.port, []
    scene.file("rc", 'user = "%s:%s"\n' % (scene.user, re.sub(
        r'(["\\])', r"\\\1", scene.password)))

    def run(url, *argv, want=None, login="AUTH=PLAIN"):
        said = scene.run("curl", "-sS", "-K", "rc", "--login-options",
                         login, *argv, base + url)
        if want is not None and said != want:
            bad.append("%s %s: %r" % (url, argv, said))

    def request(command, *lines, url="INBOX"):
        run(url, "-X", command, want=crlf(b"".join(lines)),
            login="AUTH=LOGIN")

    run("INBOX;UID=[1-%d]" % len(scene.msgs), "-o", "#1")
    got = [scene.read(str(n)) for n in range(1, len(scene.msgs) + 1)]
    if got != [crlf(m.text) for m in scene.msgs]:
        bad += compare(got, [m.text for m in scene.msgs], "fetched")
    for m in scene.msgs:
        m.flags.add("\\Seen")
    run("INBOX;MAILINDEX=2;SECTION=TEXT",
        want=crlf(scene.msgs[1].text).split(b"\r\n\r\n", 1)[1])
    run("INBOX?SUBJECT%20roof", want=b"* SEARCH%s\r\n" % b"".join(
        b" %d" % n for n, m in enumerate(scene.msgs, 1)
        if b"roof" in m.subject().lower()))
    bad += scene.talked("PLAIN", 3)

    request("CREATE curl/saved", url="")
    run("", login="AUTH=LOGIN", want=crlf(
        b'* LIST (\\HasNoChildren) "/" INBOX\n'
        b'* LIST (\\Noselect \\HasChildren) "/" curl\n'
        b'* LIST (\\Noinferiors) "/" curl/saved\n'))
    request("STORE 3 +FLAGS (\\Flagged Work)",
            b"* 3 FETCH (FLAGS (\\Flagged \\Seen Work))\n")
    scene.msgs[2].flags.add("\\Flagged")
    scene.msgs[2].keywords.add("Work")
    for text in ADDED:
        run("INBOX", "-T", scene.file("up", crlf(text)), login="AUTH=LOGIN")
        scene.add(text, ["\\Seen"])
    request("COPY 3:4 curl/saved")
    request("MOVE 5 curl/saved")
    saved = [m.copy() for m in scene.msgs[2:5]]
    del scene.msgs[4]
    # What a session has marked goes with it, the rest with EXPUNGE.
    request("STORE 7 +FLAGS.SILENT \\Deleted")
    del scene.msgs[6]
    n = [m.flags >= {"\\Deleted"} for m in scene.msgs].index(True)
    request("EXPUNGE", b"* %d EXPUNGE\n* %d EXISTS\n* 0 RECENT\n" % (
        n + 1, len(scene.msgs) - 1))
    scene.expunge()
    bad += scene.talked("LOGIN", 10)
    return bad + scene.judge_folder("curl/saved", saved)


# ---- mutt ----

MUTT = """set imap_user="%s" imap_pass="%s" ssl_starttls=no ssl_force_tls=no
set imap_authenticators="%s" folder="%s" spoolfile="+INBOX"
set mbox_type=Maildir confirmappend=no confirmcreate=no quit=yes delete=yes
set move=no mark_old=no copy=no wait_key=no beep=no sleep_time=0 net_inc=0
set read_inc=0 write_inc=0 timeout=1 mail_check=0 imap_check_subscribed=no
set header_cache="" message_cachedir="" sort=mailbox-order
set crypt_use_gpgme=no record=""
push "%s"
"""


def keys_for(title, keys):
    """mutt's keys for something to do with the messages that have this in
    their subject."""
    return "<untag-pattern>~A<enter><tag-pattern>~s '%s'<enter>" \
        "<tag-prefix>%s" % (title, keys)


def mutt(scene):
    """On a terminal, from INBOX and then from a local file. It saves by COPY
    and \\Deleted, and uploads with the flags that the file has."""
    base, bad = "imap://127.0.0.1:%d/" % scene.port, []

    def run(keys, *argv, how="login"):
        scene.file("muttrc", MUTT % (scene.user, re.sub(
            r'([\\"])', r"\\\1", scene.password), how, base,
            keys.replace("\\", "\\\\").replace('"', '\\"') + "<quit>"))
        return scene.run_on_terminal("mutt", "-n", "-F", "muttrc", *argv)

    run("<tag-pattern>~A<enter><tag-prefix><copy-message>~/all<enter>" +
        keys_for("Seeds have", "<flag-message>") +
        keys_for("signed: level", "<set-flag>r") +
        keys_for("Sharpening day", "<set-flag>N") +
        keys_for("Invitation", "<copy-message>=mutt/saved<enter>") +
        keys_for("Boxes in", "<save-message>=mutt/saved<enter>") +
        keys_for("Board:", "<delete-message>") +
        keys_for("Carriage", "<delete-message>") + "<sync-mailbox>"
        "<change-folder>?<exit>")
    bad += compare(maildir(scene.path("all")).values(),
                   [m.text for m in scene.msgs], "copied to a Maildir")
    scene.find(b"Seeds have arrived").flags.add("\\Flagged")
    scene.find(b"signed: levelling protocol").flags.add("\\Answered")
    for title in b"", b"Re: ":
        scene.find(b"[turners] " + title + b"Sharpening day in March") \
            .flags.discard("\\Seen")
    saved = [scene.find(b"Invitation: seed swap").copy(),
             scene.find(b"Boxes in boxes in boxes").copy()]
    scene.expunge(b"Boxes in boxes in boxes", b"Board: dates",
                  b"Carriage returns")
    bad += scene.talked(None, 1, sent=[
        rb'LIST "" ', rb"UID COPY .*mutt/saved", rb"EXPUNGE"],
        no=[rb"(STATUS|UID COPY .*) \"mutt/saved"])
    scene.maildir("up", {"S": ADDED[0], "FR": ADDED[1],
                         "": ADDED[2]})
    run("<tag-pattern>~A<enter><tag-prefix><copy-message>=INBOX<enter>",
        "-f", "up", "-e", "set sort=date", how="plain")
    for text, flags in zip(ADDED, (["\\Seen"], ["\\Flagged", "\\Answered"],
                                   [])):
        scene.add(text, flags)
    bad += scene.talked("PLAIN", 1)
    return bad + scene.judge_folder("mutt/saved", saved)


# ---- two that keep a copy: mbsync and offlineimap3 ----

LETTERS = {"S": "\\Seen", "R": "\\Answered", "F": "\\Flagged",
           "D": "\\Draft", "T": "\\Deleted"}


def near_side(scene, path):
    """{bare text: (name, flags)} of a Maildir."""
    return {bare(text): (name, {LETTERS[c] for c in
                                name.rpartition(":2,")[2] if c in LETTERS}
                         if ":2," in name else set())
            for name, text in maildir(scene.path(path)).items()}


def alike(scene, path, msgs):
    """Has a Maildir the messages of a mailbox, with their flags?"""
    near = near_side(scene, path)
    bad = compare(maildir(scene.path(path)).values(),
                  [m.seen() for m in msgs], path)
    return bad + ["%s: %s is %s there" % (path, m, sorted(near[text][1]))
                  for m in msgs for text in [bare(m.seen())]
                  if text in near and near[text][1] != m.flags]


def near_flags(scene, path, msg, letters):
    """Gives a message in a Maildir these flags and those that it has."""
    name, flags = near_side(scene, path)[bare(msg.seen())]
    msg.flags = flags | {LETTERS[c] for c in letters}
    os.rename(scene.path(path, name), scene.path(
        path, "cur", os.path.basename(name).partition(":2,")[0] + ":2," +
        "".join(sorted(c for c in LETTERS if LETTERS[c] in msg.flags))))


def both_ways(scene, run, theirs, keeps_deleted):
    """Mail, flags and removal. run(how, step) syncs in one of two ways, and
    complains if it has not done what is to be done then. theirs: what it
    puts into mail that it uploads."""
    bad, boxes = [], {"INBOX": scene.msgs}

    def everything():
        """Each byte of each mailbox on both sides."""
        return [(scene.bytes(name), maildir(scene.path("near", name)))
                for name in boxes]

    def sync(step):
        """Both sides are alike then, and the next leaves every byte."""
        bad.extend(run(0, step))
        if not keeps_deleted:
            scene.expunge()
        boxes["INBOX"] = scene.msgs
        for path, msgs in boxes.items():
            bad.extend(alike(scene, "near/" + path, msgs))
        before = everything()
        bad.extend(run(1, "nothing"))
        if everything() != before:
            bad.append("behind %s: the next sync changed something" % step)
        bad.extend("behind %s: %s" % (step, b) for b in scene.judge())

    scene.dir("near")
    sync("all")
    scene.deliver(DELIVERED)
    sync("a delivery")

    if keeps_deleted:
        with scene.other_client() as c:
            c.ok("EXPUNGE")
            c.logout()
        scene.expunge()
        sync("a removal")

    # Near: three are new, one has other flags, one goes; a new mailbox.
    for text, letters in zip(ADDED, ("S", "FS", "")):
        scene.put_near("near/INBOX", text, letters)
        scene.add(text, [LETTERS[c] for c in letters]).theirs = theirs
    near_flags(scene, "near/INBOX", scene.find(b"Eight bits"), "FRS")
    gone = scene.find(b"keys")
    os.unlink(scene.path("near/INBOX", near_side(scene, "near/INBOX")[
        bare(gone.seen())][0]))
    scene.expunge(b"keys")
    scene.maildir("near/made", {"S": ADDED[1]})
    boxes["made"] = [Message(ADDED[1], flags=["\\Seen"], as_is=False)]
    boxes["made"][0].theirs = theirs
    sync("changes near")

    # Far: the same by another client.
    n = 1 + scene.msgs.index(scene.find(b"Carriage returns"))
    other = ADDED[1].replace(b"added-2", b"added-9")
    with scene.other_client() as c:
        c.ok("STORE %d +FLAGS (\\Flagged \\Draft Work)" % n)
        c.append("INBOX", crlf(other), "\\Answered")
        c.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
        c.ok("EXPUNGE")
        c.logout()
    scene.msgs[n - 1].flags |= {"\\Flagged", "\\Draft"}
    scene.msgs[n - 1].keywords.add("Work")
    scene.add(other, ["\\Answered"])
    del scene.msgs[2], scene.msgs[0]
    sync("changes far")
    return bad + scene.judge_folder("made", boxes["made"])


MBSYNC = """FSync no

IMAPAccount far
Host 127.0.0.1
Port %d
User %s
Pass "%s"
SSLType None
AuthMechs %s

IMAPStore far
Account far

MaildirStore near
Path ~/near/
Inbox ~/near/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""


def mbsync(scene):
    """It marks what it uploads, and expunges what is \\Deleted."""
    # What it counts far and near: new, with other flags, gone.
    counts = {"nothing": (0, 0, 0, 0, 0, 0),
              "all": (0, 0, 0, len(scene.msgs) - 1, 0, 0),
              "a delivery": (0, 0, 0, 1, 0, 0),
              "changes near": (4, 2, 0, 0, 0, 0),
              "changes far": (0, 0, 0, 1, 3, 0)}

    def run(how, step):
        # With PLAIN only where the machine has SASL's libraries.
        scene.file("mbsyncrc", MBSYNC % (scene.port, scene.user, re.sub(
            r'([\\"])', r"\\\1", scene.password), ("LOGIN", "PLAIN LOGIN")
            [how]))
        said = scene.run_on_terminal("mbsync", "-c", "mbsyncrc", "all")
        bad = scene.talked(None if how else "", 1)
        got = re.findall(rb"F: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+ +"
                         rb"N: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+", said)
        if not got or tuple(map(int, got[-1])) != counts[step]:
            bad.append("%s: it says %r, not %r" % (
                step, said[-200:], counts[step]))
        return bad

    return both_ways(scene, run, rb"X-TUID: \S{12}\n", False)


OFFLINEIMAP = """[general]
accounts = all
metadata = ~/metadata
ui = basic
socktimeout = 60
fsync = no

[Account all]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = ~/near

[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = %d
remoteuser = %s
remotepassfile = ~/password
ssl = no
starttls = no
auth_mechanisms = %s
maxconnections = 1
"""


def offlineimap(scene):
    """It keeps what is \\Deleted until somebody removes it."""
    # How many it copies.
    counts = {"nothing": 0, "all": len(scene.msgs), "a delivery": 1,
              "a removal": 0, "changes near": 4, "changes far": 1}

    def run(how, step):
        scene.file("offlineimaprc", OFFLINEIMAP % (
            scene.port, scene.user, ("LOGIN", "PLAIN")[how]))
        said = scene.run("offlineimap", "-c", "offlineimaprc", "-o")
        bad = scene.talked("PLAIN" if how else "")
        done = re.findall(rb"(?m)^ *(?:Copy|Add|Delet).*", said)
        if sum(b"Copy" in line for line in done) != counts[step] or \
                step == "nothing" and done:
            bad.append("%s: it says %r" % (step, done))
        return bad

    scene.file("password", scene.password + "\n")
    return both_ways(scene, run, None, True)


# ---- fetchmail ----

FETCHMAIL = """set invisible
set no bouncemail
poll 127.0.0.1 port %d protocol imap auth password uidl
user "%s" password "%s" sslproto "" no rewrite mda "./store" %s
"""


def fetchmail(scene):
    """Takes what is new and leaves it; then takes all away. It has LOGIN
    only, and puts other bytes into lines that are longer than its buffer."""
    bad = []

    def pieces(texts):
        return [text if max(map(len, text.split(b"\n"))) < 8000 else
                text.split(b"\n\n")[0] for text in texts]

    def run(want, how, status=0):
        scene.dir("got")
        scene.file("fetchmailrc", FETCHMAIL % (
            scene.port, scene.user, re.sub(r'[\\"]', lambda m: r"\%03o" %
                                           ord(m.group()), scene.password),
            how), 0o700)
        scene.run("fetchmail", "-v", "-f", "fetchmailrc", "--pidfile", "pid",
                  "--nosyslog", "--nodetach", status=status)
        got = [scene.read("got/" + n) for n in os.listdir(scene.path("got"))]
        bad.extend(compare(pieces(got), pieces(m.text for m in want), how))
        shutil.rmtree(scene.path("got"))
        bad.extend(scene.talked("", 1))

    scene.file("store", "#!/bin/sh\nexec cat >$(mktemp got/XXXXXX)\n", 0o700)
    run(scene.msgs, "keep fetchall")
    for m in scene.msgs:
        m.flags.add("\\Seen")
    bad += scene.judge()
    run([], "keep", status=1)       # there is nothing new
    with scene.other_client() as c:
        c.append("INBOX", crlf(ADDED[1]))
        c.ok("STORE 7 -FLAGS (\\Seen)")
        c.logout()
    new = scene.add(ADDED[1])
    scene.msgs[6].flags.remove("\\Seen")
    run([Message(new.seen()), scene.msgs[6]], "keep")
    for m in scene.msgs:
        m.flags.add("\\Seen")
    bad += scene.judge()
    scene.expunge()     # its first EXPUNGE takes what had been \Deleted
    run([Message(m.seen()) for m in scene.msgs], "nokeep fetchall expunge 7")
    scene.msgs = []
    return bad


# ---- imapfilter ----

IMAPFILTER = r"""
options.timeout = 30
options.info = false
far = IMAP { server = '127.0.0.1', port = %d, username = '%s',
    password = [[%s]] }
far:create_mailbox('imapfilter/saved')
far:subscribe_mailbox('imapfilter/saved')
mailboxes, folders = far:list_all()
print(table.concat(mailboxes, ' ') .. ', ' .. table.concat(folders, ' '))
mailboxes = far:list_subscribed('imapfilter')
print(table.concat(mailboxes, ' '))
print(far.INBOX:check_status())
all = far.INBOX:select_all()
for _, message in ipairs(all) do
    mailbox, uid = table.unpack(message)
    file = io.open('got/' .. uid, 'w')
    file:write(mailbox[uid]:fetch_message())
    file:close()
end
far.INBOX:contain_subject('Workshop roof'):mark_flagged()
far.INBOX:contain_subject('Seeds have'):add_flags({ 'Garden', '\\Answered' })
far.INBOX:is_recent():mark_seen()
far.INBOX:contain_subject('Invitation: seed'):copy_messages(
    far['imapfilter/saved'])
far.INBOX:match_subject('^Boxes in'):move_messages(far['imapfilter/saved'])
file = io.open('added')
far.INBOX:append_message(file:read('*a'))
far.INBOX:contain_from('tomas@example.net'):delete_messages()
"""


def imapfilter(scene):
    """A script in Lua."""
    scene.dir("got")
    scene.file("added", crlf(ADDED[1]))
    scene.file("config.lua", IMAPFILTER % (scene.port, scene.user,
                                           scene.password))
    said = scene.run("imapfilter", "-c", "config.lua", "-l", "log")
    bad = compare([scene.read("got/" + n) for n in
                   os.listdir(scene.path("got"))],
                  [m.text for m in scene.msgs], "fetched")
    want = b"INBOX, imapfilter\nimapfilter/saved\n%d\t9\t%d\t%d\n" % (
        len(scene.msgs), sum("\\Seen" not in m.flags for m in scene.msgs),
        len(scene.msgs) + 1)
    if said != want:
        bad.append("it says %r, not %r" % (said, want))
    # Fresh mail is recent: what UW has not left an O in.
    for m in scene.msgs:
        if b"Workshop roof" in m.subject():
            m.flags.add("\\Flagged")
    scene.find(b"Seeds have arrived").flags.add("\\Answered")
    scene.find(b"Seeds have arrived").keywords.add("Garden")
    for m in scene.msgs[-9:]:
        m.flags.add("\\Seen")
    saved = [scene.find(b"Invitation: seed swap").copy(),
             scene.find(b"Boxes in boxes in boxes").copy()]
    scene.expunge(b"Boxes in boxes in boxes")
    scene.msgs = [m for m in scene.msgs if b"<tomas@example.net>\n" not in
                  lf(m.text).partition(b"\n\n")[0]]
    scene.add(ADDED[1])
    bad += scene.talked("", 1)
    return bad + scene.judge_folder("imapfilter/saved", saved)


# ---- all of them ----

CLIENTS = {
    # Name: (what it does, test, programs that it needs, their packages).
    "imaplib": ("every command", imaplib_client, [], []),
    "curl": ("a connection for each command or two", curl, ["curl"],
             ["curl"]),
    "mutt": ("reads, flags, saves, deletes, uploads", mutt, ["mutt"],
             ["mutt"]),
    "fetchmail": ("leaves mail, then takes it away", fetchmail,
                  ["fetchmail"], ["fetchmail"]),
    "imapfilter": ("a script of searches and what they find", imapfilter,
                   ["imapfilter"], ["imapfilter"]),
    "mbsync": ("both ways, and nothing twice", mbsync,
               ["mbsync", "procmail"], ["isync", "procmail"]),
    "offlineimap": ("both ways, and nothing twice", offlineimap,
                    ["offlineimap", "procmail"],
                    ["offlineimap3", "procmail"]),
}


def play(service, name):
    """Complaints, or None if it is not there."""
    _, test, programs, _ = CLIENTS[name]
    if not all(shutil.which(p, path=os.defpath) for p in programs):
        return None
    try:
        with Scene(service, name) as scene:
            try:
                return test(scene) + scene.judge()
            except Exception:
                return traceback.format_exc().splitlines()[-3:] + [
                    scene.last_words()]
    except RuntimeError as e:       # the server does not end
        return [str(e)]


def left_behind(service):
    """What the log and the spool should not have."""
    log, bad = service.log(), []
    bad += ["in the log: " + line for line in log.splitlines()
            if not re.match(r"imapd\[\d+\]: (%s) user=\w+ host=" %
                            "|".join((*LOGINS, LOGOUT)), line)]
    if PASSWORD in log or PASSWORD.split()[1] in log:
        bad.append("the password is in the log")
    spool = sorted(os.listdir(service.path("spool")))
    if spool != sorted(service.users):
        bad.append("in the spool directory: %s" % spool)
    return bad


def main():
    tap = Tap()
    names = sys.argv[1:] or list(CLIENTS)
    if XINETD is None:
        print("clients.t is skipped: xinetd is missing", file=sys.stderr)
        tap.skip("real clients", "xinetd is missing")
        return tap.end()
    with Service(names, passwords=dict.fromkeys(names, PASSWORD),
                 program=HARD) as service, \
            concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        for name, bad in zip(names, pool.map(
                lambda name: play(service, name), names)):
            if bad is None:
                print("clients.t: %s is skipped: packages %s" % (
                    name, " ".join(CLIENTS[name][3])), file=sys.stderr)
                tap.skip(name, "it is not installed")
            else:
                tap.point("%s: %s" % (name, CLIENTS[name][0]), bad)
        tap.point("nothing else in the log, nothing left in the spool",
                  left_behind(service))
    return tap.end()


sys.exit(main())
