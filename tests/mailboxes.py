#!/usr/bin/env python3
#
# mailboxes.py - mailboxes for tests and for the demo, made by rule: the same
# name and number make the same bytes on every machine.
#
#	python3 tests/mailboxes.py NAME[(N)] > file
#
#	demo	what a person finds in the INBOX of a small organisation, as
#		UW-imapd left it: flags, UIDs, keywords, and some new mail
#	lacking	everything that real archives of mailing lists lack: the From_
#		lines of each program that writes an mbox, CR and NUL,
#		metadata real and forged, a pseudo message, broken tails
#	many	N short messages, 1000 if not said

import base64
import re
import struct
import sys
import time
import zlib

REGISTRY = {}


def mailbox(make):
    REGISTRY[make.__name__] = make
    return make


def make(spec):
    """The bytes of "name" or "name(number)"."""
    m = re.fullmatch(r"([a-z]+)(?:\(([0-9]+)\))?", spec)
    if m is None or m.group(1) not in REGISTRY:
        raise KeyError("no mailbox is made by " + spec)
    return REGISTRY[m.group(1)](*([int(m.group(2))] if m.group(2) else []))


# ---- pieces of messages ----

ZONES = {"+0100": 3600, "+0200": 7200, "+0000": 0, "-0500": -18000,
    "+0900": 32400}


def asctime(when):
    return time.asctime(time.gmtime(when))


def date_822(when, zone):
    """when, as the Date field of someone who lives in that zone."""
    return time.strftime("%a, %d %b %Y %H:%M:%S ",
        time.gmtime(when + ZONES[zone])) + zone


def words(charset, text, how="B"):
    """RFC 2047 encoded words, as many as it takes, folded."""
    pieces, piece = [], ""
    for c in text:
        if len((piece + c).encode(charset)) > (39 if how == "B" else 20):
            pieces.append(piece)
            piece = ""
        piece += c
    out = []
    for piece in pieces + [piece]:
        data = piece.encode(charset)
        if how == "B":
            coded = base64.b64encode(data).decode()
        else:
            coded = "".join(chr(c) if chr(c).isalnum() and c < 128 else
                "_" if c == 32 else "=%02X" % c for c in data)
        out.append("=?%s?%s?%s?=" % (charset, how, coded))
    return "\n ".join(out)


def base64_lines(data):
    text = base64.b64encode(data)
    return b"".join(text[i:i + 76] + b"\n" for i in range(0, len(text), 76))


def quoted_printable(data):
    """The bytes of a text; what LF ends stays a line, if it is short."""
    out = b""
    for line in data.split(b"\n"):
        width = 0
        for i, c in enumerate(line):
            plain = 33 <= c <= 126 and c != 61 or c == 32 and \
                i < len(line) - 1
            piece = bytes([c]) if plain else b"=%02X" % c
            if width + len(piece) > 75:
                out += b"=\n"
                width = 0
            out += piece
            width += len(piece)
        out += b"\n"
    return out[:-1]


def part(kind, data, encoding=None, **more):
    """A MIME part: header, empty line and body."""
    head = "Content-Type: %s\n" % kind
    if encoding:
        head += "Content-Transfer-Encoding: %s\n" % encoding
    for name, value in more.items():
        head += "Content-%s: %s\n" % (name.capitalize(), value)
    if isinstance(data, str):
        data = data.encode("utf-8")
    if encoding == "base64":
        data = base64_lines(data)
    if encoding == "quoted-printable":
        data = quoted_printable(data)
    return head.encode("utf-8") + b"\n" + data


def multipart(kind, boundary, parts, preamble=b"", epilogue=b""):
    head = "Content-Type: multipart/%s; boundary=\"%s\"\n\n" % (kind,
        boundary)
    line = b"--" + boundary.encode()
    return head.encode() + preamble + b"".join(line + b"\n" + p + b"\n"
        for p in parts) + line + b"--\n" + epilogue


def plain(text, charset="us-ascii", encoding="7bit"):
    data = text.encode(charset)
    return part("text/plain; charset=" + charset, data, encoding)


def png(width, height, pixel):
    """A picture; pixel(x, y) is its red, green and blue."""
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y))
        for x in range(width)) for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + \
            struct.pack(">I", zlib.crc32(kind + data))
    # Stored, not deflated: what zlib makes differs between its versions.
    blocks = b"".join(struct.pack("<BHH", i + 65535 >= len(rows),
        len(rows[i:i + 65535]), len(rows[i:i + 65535]) ^ 0xffff) +
        rows[i:i + 65535] for i in range(0, len(rows), 65535))
    return b"\x89PNG\r\n\x1a\n" + \
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0,
        0)) + chunk(b"IDAT", b"\x78\x01" + blocks +
        struct.pack(">I", zlib.adler32(rows))) + chunk(b"IEND", b"")


PDF = (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\n"
    b"endobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n3 0 obj\n"
    b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>\nendobj\ntrailer\n"
    b"<</Root 1 0 R>>\n%%EOF\n")


def stamp(uid, flags="", keywords=(), base=None):
    """The block that UW-imapd writes at the end of a header."""
    out = "" if base is None else "X-IMAPbase: %s\n" % base
    out += "Status: %s\n" % "".join(c for c in flags if c in "RO")
    out += "X-Status: %s\n" % "".join(c for c in flags if c in "DFAT")
    out += "X-Keywords:" + "".join(" " + k for k in keywords)
    out = out.ljust(50 if base is None else 80) + "\n"
    return (out + "X-UID: %d\n" % uid).encode()


def quote_from(data):
    return re.sub(rb"(?m)^From ", b">From ", data)


# ---- demo ----

MARTHA = "Martha Keller <martha@smallorg.example>"
RILEY = "Riley Firth <riley@smallorg.example>"
ALEX = "Alex Doran <alex@smallorg.example>"
TOMAS = words("iso-8859-2", "Tomáš Dvořák", "Q") + " <tomas@example.net>"
SINIKKA = words("utf-8", "Sinikka Hämäläinen", "Q") + \
    " <sinikka@example.org>"
LIST = "Woodturners of the north <turners@lists.example.org>"

ROOF = [
    (MARTHA, "the north side of the workshop roof leaks again, right above "
        "the bandsaw.\nI put a tarpaulin over it. Who knows a roofer who "
        "answers the phone?"),
    (RILEY, "My cousin does roofs. She can come on Thursday and have a look, "
        "but she\nwants to know: slate or corrugated?"),
    (ALEX, "Corrugated. The drawings from 1987 are in the grey cabinet, "
        "second drawer."),
    (MARTHA, "There is no second drawer. There is a first and a third."),
    (RILEY, "That explains where the drawer from the reception came from.\n\n"
        "Thursday at nine, then. Please move the bandsaw before she brings "
        "a ladder."),
    (TOMAS, "Do not move the bandsaw! It is levelled to a tenth of a "
        "millimetre.\nBuild a scaffold around it."),
    (ALEX, "A scaffold costs 40 a day. Levelling takes Tomas an afternoon."),
    (TOMAS, "An afternoon and a new set of feelings."),
    (MARTHA, "Quotes are in: 2,180 with gutters, 1,640 without. I vote for "
        "gutters."),
    (RILEY, "Gutters."),
    (ALEX, "Gutters. I will ask the bank for the form."),
    (SINIKKA, "Gutters, and may the old ones come to the allotment? They "
        "make good\nplanters."),
    (MARTHA, "Roof is tight since four o'clock. Sinikka, take the gutters, "
        "they block\nthe door."),
]

TURNING = [
    ("Ewan Baird <ewan@example.net>", "Green ash for bowls?", "Storm took "
        "down a big ash. Is it worth turning green, or will it\ncrack while "
        "I look at it?"),
    ("Yuki Tanaka <yuki@example.jp>", "Re: Green ash for bowls?", "Turn it "
        "green, leave the wall a tenth of the diameter, paint the end\ngrain, "
        "and forget it for half a year."),
    ("Ewan Baird <ewan@example.net>", "Re: Green ash for bowls?", "The "
        "forgetting I can do."),
    ("Odile Marchand <odile@example.fr>", "Re: Green ash for bowls?",
        "Ash moves little. From experience: mine cracked only where the pith "
        "was\nstill in.\n\nFrom the bark side you see it first."),
    ("Sven Larsson <sven@example.se>", "Sharpening day in March",
        "We have the hall on the 14th from ten. Bring the tool you are "
        "ashamed of."),
    ("Odile Marchand <odile@example.fr>", "Re: Sharpening day in March",
        "All of them, then. Is there a train before nine?"),
]


LANGUAGES = [
    ("utf-8", "B", "olena@example.org", "Олена Шевчук",
        "Запрошення на виставку", "Виставка відкриється в суботу."),
    ("iso-8859-1", "Q", "jose@example.org", "José Peña",
        "Año nuevo, taller nuevo", "¿Vienes el sábado? Hay café."),
    ("iso-8859-15", "Q", "odile@example.fr", "Odile Marchand",
        "Devis : 1 640 € hors gouttières", "Voilà le devis révisé."),
    ("koi8-r", "B", "ivan@example.net", "Иван Петров",
        "Токарный станок", "Станок готов к отправке."),
    ("windows-1251", "B", "petar@example.net", "Петър Иванов",
        "Поръчка № 118", "Поръчката е изпратена."),
    ("windows-1252", "Q", "niamh@example.ie", "Niamh O’Brien",
        "The “good” chisels", "They are back – don’t lend them."),
    ("iso-2022-jp", "B", "yuki@example.jp", "田中 有紀",
        "刃物の研ぎ方について", "砥石は千番と六千番で十分です。"),
    ("gb18030", "B", "lihua@example.cn", "李华",
        "关于木材报价", "附件是新的报价单,请查收。"),
    ("big5", "B", "meiling@example.tw", "陳美玲",
        "工作坊時間", "下週三下午兩點可以嗎?"),
    ("euc-kr", "B", "minjun@example.kr", "김민준",
        "공방 방문 안내", "목요일에 뵙겠습니다."),
]


class Inbox:
    """Messages on their way into one file."""

    def __init__(self):
        self.out = []
        self.when = 1767603000      # 5 January 2026, 08:50 UTC
        self.last = {}              # thread -> Message-IDs

    def add(self, sender, subject, body, flags="RO", keywords=(), to=ALEX,
            zone="+0100", more="", thread=None, gap=23 * 3600 + 1260):
        """body is a MIME part: its header goes into the message's."""
        self.when += gap
        n = len(self.out) + 1
        ident = "<%08x.%d@mail.smallorg.example>" % (
            zlib.crc32(b"%d" % (n * 7919)), n)
        envelope = self.address(sender)
        if "MAILER-DAEMON" in envelope:
            envelope = ""
        head = "Return-Path: <%s>\n" % envelope
        head += "Received: from mx.example.net (mx.example.net " \
            "[192.0.2.%d])\n\tby shadrach.smallorg.example (Postfix) with " \
            "ESMTPS id %X\n\tfor <alex@smallorg.example>; %s\n" % (n % 250 +
            1, self.when, date_822(self.when, "+0000"))
        head += "From: %s\nTo: %s\nSubject: %s\nDate: %s\nMessage-ID: %s\n" \
            % (sender, to, subject, date_822(self.when - 40, zone), ident)
        if thread is not None:
            before = self.last.setdefault(thread, [])
            if before:
                head += "In-Reply-To: %s\nReferences: %s\n" % (before[-1],
                    "\n\t".join(before[-10:]))
            before.append(ident)
        head = (head + more + "MIME-Version: 1.0\n").encode("utf-8")
        self.out.append((envelope or "MAILER-DAEMON", self.when, head, body,
            flags, keywords))

    @staticmethod
    def address(sender):
        return re.search(r"<([^>]*)>", sender).group(1)

    def file(self):
        base = "1767603000 %010d $Forwarded Receipts" % len(self.out)
        data = b""
        for n, (sender, when, head, body, flags, words_) in enumerate(
                self.out, 1):
            fields, text = body.split(b"\n\n", 1)
            data += b"From %s  %s\n" % (sender.encode(),
                asctime(when).encode())
            data += head + fields + b"\n"
            data += stamp(n, flags, words_, base if n == 1 else None)
            data += b"\n" + quote_from(text)
            data += b"\n" if text.endswith(b"\n") or not text else b"\n\n"
        return data


def demo_talk(box):
    """Threads of two kinds: among colleagues, and on a mailing list."""
    for i, (who, text) in enumerate(ROOF):
        body = "Hello all,\n\n" + text if i == 0 else \
            "> " + ROOF[i - 1][1].split("\n")[0] + "\n\n" + text
        box.add(who, ("" if i == 0 else "Re: ") + "Workshop roof",
            plain(body + "\n\n-- \n" + who.split()[0].strip('"') + "\n"
            if who[0] != "=" else body + "\n"),
            to="all@smallorg.example" if i == 0 else MARTHA,
            flags="ROA" if who != ALEX and i in (1, 8) else "RO",
            more="" if i == 0 else "Cc: all@smallorg.example\n",
            thread="roof", gap=5400 + 1800 * (i % 4))
    for who, subject, text in TURNING:
        box.add(who, "[turners] " + subject, plain(text + "\n\n____________"
            "_____________\nturners mailing list\nhttps://lists.example.org/"
            "turners\n"), to=LIST, thread=subject.replace("Re: ", ""),
            zone="+0900" if "Yuki" in who else "+0100", gap=31000,
            more="List-Id: <turners.lists.example.org>\nPrecedence: list\n"
            "List-Post: <mailto:turners@lists.example.org>\n"
            "List-Unsubscribe: <https://lists.example.org/turners/leave>\n"
            "Sender: turners-bounces@lists.example.org\n")


def demo_languages(box):
    """Subjects, names and texts that are not ASCII, as they come."""
    for charset, how, sender, name, subject, text in LANGUAGES:
        box.add(words(charset, name, how) + " <%s>" % sender,
            words(charset, subject, how), part("text/plain; charset=\"%s\"" %
            charset, (text + "\n").encode(charset), "base64" if how == "B"
            else "quoted-printable"), flags="RO" if how == "Q" else "O",
            zone="+0900" if sender.endswith(("jp", "kr")) else "+0200")
    # What is wrong here is so on purpose: it is what arrives.
    box.add("Gr\u00fcner Daumen <info@example.de>", "Fr\u00fchjahrskatalog",
        part("text/plain; charset=utf-8", "Neu: Kürbis, Möhre, Rübe.\n",
        "8bit"))
    box.add("Jens <jens@example.dk>", "8-bit without a word about it",
        b"X-Mailer: TheWolf 0.9\n\nR\xf8dgr\xf8d med fl\xf8de.\n", flags="O")
    box.add("Zo\u00eb <zoe@example.org>", "=?utf-8?q?broken_=E2=82?= "
        "=?utf-8?q?=AC_word?= =?x-unknown?b?AAAA?= =?utf-8?b?4pyT", plain(
        "The subject holds a character cut in two, a charset nobody knows, "
        "and\na word without an end.\n"), flags="O")
    # The first line breaks after a word, so that spaces stand before "=".
    box.add(SINIKKA, "Allotment minutes", part("text/plain; charset=utf-8; "
        "format=flowed; delsp=yes", "Present: all of us, and a hedgehog. The "
        "water will be turned on  \nwhen the nights stay above zero.\n\n>> Who "
        "has the key?\n> Riley.\nTomáš has the other key.\n",
        "quoted-printable"), keywords=("$Forwarded",))


def demo_mime(box):
    """Attachments, pictures, invitations, signatures, bounces."""
    logo = png(48, 32, lambda x, y: (x * 5, y * 8, 128))
    photo = png(96, 72, lambda x, y: (x ^ y, x * y & 255, 255 - x))
    html = "<html><body><p>Dear members,</p><p>dues are <b>60</b> this year."\
        "</p><img src=\"cid:logo@smallorg\"></body></html>\n"
    both = multipart("alternative", "=_alt", [plain("Dear members,\n\ndues "
        "are *60* this year.\n"), part("text/html; charset=utf-8", html,
        "quoted-printable")])
    box.add(MARTHA, "Membership dues", both)
    box.add(MARTHA, "Membership dues, with the logo", multipart("related",
        "=_rel", [both, part("image/png; name=logo.png", logo, "base64",
        id="<logo@smallorg>", disposition="inline; filename=logo.png")]),
        flags="ROF")
    box.add(RILEY, "Roof: offer and drawing", multipart("mixed", "=_mix",
        [plain("Both attached. The drawing is to scale, the price is not.\n"),
        part("application/pdf; name=\"offer.pdf\"", PDF, "base64",
        disposition="attachment; filename=\"offer.pdf\"; size=%d" % len(PDF),
        description="the offer"), part("image/png", photo, "base64",
        disposition="attachment; filename*0*=utf-8''Gr%C3%BC;\n"
        "\tfilename*1*=ne%20Zeichnung.png")]), keywords=("Receipts",))
    box.add("Till <noreply@shop.example.com>", "Your order 4711 is on its "
        "way", multipart("mixed", "----=_Part_1_4711", [part("text/html; "
        "charset=\"UTF-8\"", "<p>2 × sanding discs, 120&nbsp;grit</p>\n",
        "quoted-printable"), part("text/csv; name=invoice.csv; charset="
        "us-ascii", "item;pieces;price\ndisc;2;7.90\n", "7bit",
        disposition="attachment; filename=invoice.csv")],
        b"This is a multi-part message in MIME format.\n"), flags="O",
        keywords=("Receipts",))
    box.add(SINIKKA, "Invitation: seed swap", multipart("alternative",
        "=_cal", [plain("Saturday, ten o'clock, in the shed.\n"),
        part("text/calendar; method=REQUEST; charset=utf-8",
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\n"
        "UID:seed-swap@example.org\r\nDTSTART:20260418T080000Z\r\nSUMMARY:"
        "Seed swap\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", "base64")]))
    box.add(TOMAS, "signed: levelling protocol", multipart("signed; "
        "micalg=pgp-sha256;\n\tprotocol=\"application/pgp-signature\"",
        "=_sig", [plain("Deviation over 2 m: 0.04 mm. Nobody touch it.\n"),
        part("application/pgp-signature; name=signature.asc",
        "-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0WIQ==\n=aaaa\n"
        "-----END PGP SIGNATURE-----\n", description="a signature")]))
    forwarded = b"From: Roofing Ltd <office@roof.example>\nTo: riley@" \
        b"smallorg.example\nSubject: Offer\nDate: Mon, 2 Feb 2026 10:00:00 " \
        b"+0000\n\nDear Sir or Madam,\n\nfrom 1,640 upwards.\n"
    box.add(RILEY, "Fwd: Offer", multipart("mixed", "=_fwd", [plain(
        "See below.\n"), part("message/rfc822", forwarded,
        disposition="inline")]), flags="ROA", keywords=("$Forwarded",))
    box.add("Mail Delivery System <MAILER-DAEMON@mail.smallorg.example>",
        "Undelivered Mail Returned to Sender", multipart("report; "
        "report-type=delivery-status", "7A31.1770000000/mail", [part(
        "text/plain; charset=us-ascii", "I'm sorry to have to inform you "
        "that your message could not be delivered.\n",
        description="Notification"), part("message/delivery-status",
        "Reporting-MTA: dns; mail.smallorg.example\n\nFinal-Recipient: "
        "rfc822; roofer@nowhere.example\nAction: failed\nStatus: 5.1.2\n",
        description="Delivery report"), part("text/rfc822-headers",
        "From: alex@smallorg.example\nTo: roofer@nowhere.example\n"
        "Subject: Roof?\n")]), flags="O", more="Auto-Submitted: auto-replied"
        "\n")
    box.add(LIST, "turners digest, Vol 12, Issue 3", multipart("digest",
        "=_dig", [b"\n" + b"From: %s\nSubject: %s\nDate: Sun, %d Mar 2026 "
        b"12:00:00 +0000\n\n%s\n" % (who.encode(), subject.encode(), 8 + i,
        text.encode()) for i, (who, subject, text) in
        enumerate(TURNING[:3])]), to=LIST)
    nest = plain("The innermost. You found it.\n")
    for depth in range(9):
        nest = multipart("mixed", "=_%d" % depth, [plain("Level %d.\n" %
            depth), nest if depth % 3 else part("message/rfc822",
            b"From: x@example.org\nSubject: level %d\nMIME-Version: 1.0\n" %
            depth + nest)])
    box.add(TOMAS, "Boxes in boxes in boxes", nest, flags="O")


def demo_rest(box):
    """What else there is in a mailbox."""
    box.add("Cron Daemon <root@shadrach.smallorg.example>", "Cron <root@"
        "shadrach> test -x /usr/sbin/backup", plain("backup: 41 files, 3 "
        "minutes, 0 errors\n"), more="Auto-Submitted: auto-generated\n",
        flags="O")
    box.add(SINIKKA, "", plain("No subject, sorry. Bring gloves.\n"))
    box.add(RILEY, "(this message has no text)", plain(""))
    box.add(MARTHA, "keys", plain("Same as last year.\n"),
        to="undisclosed-recipients:;", flags="ROF")
    box.add(MARTHA, "Board: dates", plain("1st and 3rd Tuesday.\n"), to=
        "Board: martha@smallorg.example, \"Firth, Riley\" <riley@smallorg."
        "example>;,\n " + ALEX, more="Reply-To: board@smallorg.example, " +
        RILEY + "\nBcc: archive@smallorg.example\n")
    box.add("\"Newsletter (\\\"Tools\\\") \" <news@shop.example.com>",
        "Re: Re: Fwd: 50% off everything that turns", part("text/html",
        "<table>" + "<tr><td>Lathe</td><td>now</td></tr>" * 400 +
        "</table>\n", "quoted-printable"), flags="OD")
    box.add(TOMAS, "A line that does not end", plain("saw " * 2500 + "\n"))
    box.add(RILEY, "quoting", plain("From here to the door it is 4 m.\n\n"
        "From the door to the street, 11.\n>From is not quoted twice.\n"))
    box.add(SINIKKA, "Seeds have arrived", plain("Parsnip, leek, and "
        "something blue.\n"), flags="", gap=172800)
    box.add(MARTHA, "Re: Membership dues", plain("Paid, all but two.\n"),
        flags="", gap=3600)
    box.add(TOMAS, "Tonight", plain("Open until ten. Bring the gouge.\n"),
        flags="", gap=4100)


@mailbox
def demo():
    box = Inbox()
    demo_talk(box)
    demo_languages(box)
    demo_mime(box)
    demo_rest(box)
    return box.file()


# ---- lacking ----

PSEUDO = (b"From MAILER-DAEMON Fri Jul  3 12:00:00 1998\n"
    b"Date: 03 Jul 1998 12:00:00 +0000\n"
    b"From: Mail System Internal Data <MAILER-DAEMON@shadrach.smallorg.org>\n"
    b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n"
    b"Message-ID: <899467200@shadrach.smallorg.org>\n"
    b"X-IMAP: 0899467200 0000000030 $Forwarded NonJunk\nStatus: RO\n\n"
    b"This text is part of the internal format of your mail folder, and is "
    b"not\na real message.  It is created automatically by the mail system "
    b"software.\nIf deleted, important folder data will be lost, and it will "
    b"be re-created\nwith the data reset to initial values.\n\n")


def small(title, text=b"text\n", more=b"", eol=b"\n"):
    """A header that names what the message is for, and a text."""
    head = b"From: %s <test@example.org>\nSubject: %s\n" \
        b"Date: Sat, 3 Jan 1998 01:05:34 +0000\n" % (b"A", title.encode())
    return (head + more).replace(b"\n", eol) + eol + text


WRITERS = [
    # What wrote it, its From_ line, the message, what it puts behind.
    ("Postfix", b"From alex@example.org  Sat Jan  3 01:05:34 1998",
        small("Postfix", b"a\n>From b\n>From c, which was quoted before\n"),
        b"\n"),
    ("Postfix, null sender", b"From MAILER-DAEMON  Sat Jan  3 01:05:34 1998",
        small("a bounce"), b"\n"),
    ("Postfix, spaces in the sender",
        b"From \"odd name\"@example.org  Sat Jan  3 01:05:34 1998",
        small("sender with a space"), b"\n"),
    ("Postfix, From in the header",
        b"From alex@example.org  Sat Jan  3 01:05:34 1998",
        b">From the header\n" + small("quoted in the header"), b"\n"),
    ("Exim", b"From alex@example.org Sat Jan 03 01:05:34 1998",
        small("Exim", b"zero padded\n>From x\n"), b"\n"),
    ("procmail", b"From alex@example.org  Sat Jan  3 01:05:34 1998",
        b">From root Sat Jan  3 01:05:34 1998\n" + small("procmail"), b"\n"),
    ("procmail, with a length", b"From alex@example.org  Sat Jan  3 01:05:34"
        b" 1998", small("its body is not quoted",
        b"From here on nothing is quoted.\n", b"Content-Length: 32\n"),
        b"\n"),
    ("maildrop", b"From alex@example.org Sat Jan  3 01:05:34 1998",
        small("maildrop", b">>From was >From\n>From was From\n"), b"\n\n"),
    ("mail.local", b"From alex@example.org Sat Jan  3 01:05:34 1998",
        small("mail.local", b"a line before\nFrom stays bare\n"), b"\n"),
    ("UW-imapd", b"From alex@shadrach.smallorg.org Sat Jan  3 02:05:34 1998 "
        b"+0100", small("UW APPEND", b"\x80 was NUL\n>From x\n"), b"\n"),
    ("Dovecot", b"From alex@example.org  Sat Jan 03 01:05:34 1998",
        small("Dovecot", b"text\n", b"X-UID: 3\nStatus: O\nX-Keywords: NonJunk"
        + b" " * 40 + b"\nContent-Length: 5\n"), b"\n"),
    ("mutt", b"From alex@example.org Sat Jan  3 01:05:34 1998",
        small("mutt", b"text\n", b"Status: RO\nContent-Length: 5\n"
        b"Lines: 1\n"), b"\n"),
    ("mblaze", b"From <alex@example.org> Sat Jan  3 01:05:34 1998",
        small("mblaze", b">>From x\n"), b"\n"),
]

DATES = [
    ("zone word before the year", b"Sat Jan  3 01:05:34 GMT 1998"),
    ("zone before the year", b"Sat Jan  3 01:05:34 +0100 1998"),
    ("zone word behind the year", b"Sat Jan  3 01:05:34 1998 EST"),
    ("two zone words", b"Sat Jan  3 01:05:34 MET DST 1998"),
    ("no seconds", b"Sat Jan  3 01:05 1998"),
    ("remote from", b"Sat Jan  3 01:05:34 1998 remote from shadrach"),
    ("day without padding", b"Sat Jan 3 01:05:34 1998"),
    ("lower case", b"sat jan  3 01:05:34 1998"),
    ("lax: as in mail", b"Sat, 3 Jan 1998 01:05:34 +0100"),
    ("lax: short year", b"Sat Jan  3 01:05:34 98"),
]

METADATA = [
    ("all of UW's flags", b"Status: RO\nX-Status: DFAT\nX-Keywords: "
        b"$Forwarded NonJunk\nX-UID: 7\n"),
    ("odd spelling", b"STATUS: R\nstatus: O\nx-uid: 8\n"),
    ("folded", b"Status: R\n O\nX-Keywords: NonJunk\n\t$Forwarded\nX-UID:\n 9"
        b"\n"),
    ("not the last fields", b"Status: RO\nX-UID: 10\nX-Other: behind them\n"),
    ("falling UID", b"X-UID: 2\n"),
    ("UID above all", b"X-UID: 4294967295\n"),
    ("UID that is none", b"X-UID: 99999999999999999999\n"),
    ("two UIDs", b"X-UID: 11\nX-UID: 12\n"),
    ("forged base", b"X-IMAPbase: 1 4294967295\nX-UID: 13\n"),
    ("forged pseudo message", b"X-IMAP: 1 1\nStatus: RO\n"),
    ("unknown keyword", b"X-Keywords: Nonsense\n"),
    ("unknown letters", b"Status: ZU\nX-Status: ?!\n"),
    ("length beyond the end", b"Content-Length: 99999999999999999999\n"),
    ("length negative", b"Content-Length: -5\n"),
    ("length too short", b"Content-Length: 1\n"),
    ("quoting mark", b"X-IMAPd-Quoted: rd\n"),
]

BYTES = [
    ("CRLF", small("CRLF", b"a\r\nb\r\n", eol=b"\r\n")),
    ("CRLF in the body only", small("CRLF body", b"a\r\nb\r\n")),
    ("mixed", small("mixed", b"a\r\nb\nc\r\n")),
    ("bare CR", small("bare CR", b"a\rb\r\rc\n\rd\n")),
    ("CR CR LF", small("CR CR LF", b"a\r\r\nb\r\r\r\n")),
    ("CR in the header", small("CR", b"a\n", b"X-Cr: a\rb\r\r\n c\n")),
    ("NUL in the body", small("NUL", b"a\0b\0\0c\n\0\n")),
    ("NUL in the header", small("NUL head", b"a\n", b"X-Nul: a\0b\n"
        b"To: \0 <a\0b@example.org>\n")),
    ("8-bit header", small("8-bit", b"a\n", b"To: J\xf8rgen <j@example.dk>"
        b"\nComments: \xe2\x98\x83 \xff\xfe\n")),
    ("8-bit body", small("8-bit body", b"\xe9\xff\x80\xc3\n")),
    ("no header", b"\nonly a text\n"),
    ("no body", small("no body", b"")),
    ("header that is none", b"this is no header field\n" + small("x")),
    ("empty names", b": nothing\n:\n" + small("x")),
    ("only spaces", small("spaces", b"  \n\t\n   \n")),
    ("blank lines", small("blank lines", b"\n\n\na\n\n\n")),
    ("long line", small("long line", b"x" * 70000 + b"\n")),
    ("long header", small("long header", b"a\n", b"X-Long: " + b"y" * 70000 +
        b"\nX-Folded: a\n" + b"\t<z@example.org>,\n" * 3000)),
    ("From_ of no date", small("no date", b"\nFrom now on\n\nFrom : x\n")),
    ("MIME without an end", small("no end", b"--b\nContent-Type: text/plain"
        b"\n\nx\n--b\n", b"Content-Type: multipart/mixed; boundary=b\n")),
]


@mailbox
def lacking():
    plain_from = b"From alex@example.org Sat Jan  3 01:05:34 1998"
    data = PSEUDO
    for _, line, message, behind in WRITERS:
        data += line + b"\n" + message + behind
    for title, date in DATES:
        data += b"From alex@example.org " + date + b"\n" + small(title) + \
            b"\n"
    data += b"From alex at example.org Sat Jan  3 01:05:34 1998\n" + \
        small("archive's sender") + b"\n"
    data += b"From Sat Jan  3 01:05:34 1998\n" + small("no sender") + b"\n"
    for title, fields in METADATA:
        data += plain_from + b"\n" + small(title, more=fields) + b"\n"
    for title, message in BYTES:
        eol = b"\r\n" if title == "CRLF" else b"\n"
        data += plain_from + eol + message + eol
    # A header that only the next From_ line ends; a text that has no empty
    # line behind it; a torn tail of NULs; a cut last line.
    data += plain_from + b"\n" + small("no empty line")[:-6]
    data += plain_from + b"\n" + small("nothing behind it")
    data += plain_from + b"\n" + small("torn", b"half a li" + b"\0" * 512)
    data += plain_from + b"\n" + small("after the torn tail") + b"\n\n\n"
    return data + plain_from + b"\n" + small("no line end", b"the end")


# ---- many ----

@mailbox
def many(n=1000):
    data = b""
    for i in range(1, n + 1):
        when = 883789534 + i * 61
        head = "From: Sender %d <s%d@example.org>\nSubject: message %d\n" \
            "Date: %s\nMessage-ID: <%d@example.org>\n" % (i % 17, i % 17, i,
            date_822(when, "+0100"), i)
        data += b"From s%d@example.org  %s\n" % (i % 17,
            asctime(when).encode())
        data += head.encode()
        data += stamp(i, "RO"[:i % 3], (), "883789534 %010d" % n if i == 1
            else None)
        data += b"\n" + b"line of the text\n" * (i % 5) + b"\n"
    return data


if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(make(" ".join(sys.argv[1:])))
    except KeyError:
        sys.exit("usage: mailboxes.py NAME[(N)], one of " +
            " ".join(sorted(REGISTRY)))
