"""compare_cases.py - mail for compare.py: messages written out, one for each
thing that servers read differently, and spoilt copies of any messages.

All lines end in LF, as in an mbox. A line "From " is quoted in every copy,
so that both servers see the same messages. What is expected of them stands
nowhere here: the other server and compare_rules.py have it.
"""

import re

FROM = re.compile(rb"(?m)^From [^\n]*\d{4}( [+-]\d{4})?\r?$")
HEAD = b"From: A <a@b.c>\nTo: d@e.f\nDate: Thu, 29 Nov 2001 22:33:52 +0000\n"
MIME = HEAD + b"Subject: parts\nMIME-Version: 1.0\nContent-Type: "


def field(*lines):
    """A message with these header lines."""
    return HEAD + b"".join(x + b"\n" for x in lines) + b"\ntext\n"


def to(value):
    return b"From: A <a@b.c>\nTo: " + value + b"\n\ntext\n"


def dated(value):
    return b"From: a@b.c\nDate: " + value + b"\nSubject: date\n\ntext\n"


def part(kind, body):
    """A message of one type, its body as it is."""
    return MIME + kind + b"\n\n" + body


def mixed(body, more=b""):
    return part(b"multipart/mixed; boundary=bb" + more, body)


ADDRESSES = (
    b"friends: a@b.c, D <d@e.f>;", b"empty:;", b"empty: ;, x@y.z",
    b"one: a@b;, two: c@d;", b'"quoted group": a@b;', b"open: a@b, c@d",
    b"<@r1.x,@r2.y:a@b.c>", b"N <@r1.x:a@b.c>", b"<@r:a@b>, c@d",
    b"a@b (Name)", b"(before) a@b", b"a (in) @ b", b"N <a@b> (after)",
    b"a@b (one (nested) two)", b"(only a comment)", b"a@b(\\) quoted)",
    b'"Joe \\"Q\\" P" <a@b>', b'"a b"@c.d', b'"a\\"b"@c.d', b"a.b.c@d.e",
    b"a . b @ c . d", b"J. R. Name <a@b>", b'"  spaces  " <a@b>',
    b'"two\n lines" <a@b>', b"two\n lines <a@b>", b"a@[1.2.3.4]",
    b"a@[IPv6:1::2]", b"a@b,, c@d", b", a@b", b"a@b,", b"a@b c@d",
    b"a@b; c@d", b"a", b"a <>", b"<>", b"<a>", b"@b", b"a@", b"<a@b",
    b"N <a@b", b"a@b>", b'"open <a@b>', b"(open a@b", b"a@b@c", b"",
    b"   ", b"N <a@b> x <c@d>", b"=?utf-8?Q?J=C3=B6rg?= <a@b>",
    b"=?utf-8?B?SsO2cmc=?= =?utf-8?Q?_x?= <a@b>", b"J\xc3\xb6rg <j@b>",
    b"J\xf6rg <j@b>", b"j\xf6rg@b", b"'a' <a@b>", b"a\tb <a@b>",
    b"A/B <a@b>", b"N <N <a@b>>", b"a:b@c", b"a@b.", b".a@b", b"a..b@c",
    b"undisclosed-recipients: ;", b"<undisclosed:;>", b"N<a@b>",
    b'"N"<a@b>', b"N\\ M <a@b>", b'""@b', b'"" <a@b>', b"A A A A",
    b"group: inner: a@b;;", b"a@b (x) , (y) c@d", b"N (c) M <a@b>",
)

DATES = (
    b"Thu, 29 Nov 2001 22:33:52 +0000", b"29 Nov 2001 22:33 GMT",
    b"Thu, 29 Nov 01 22:33:52 EST", b"29 Nov 2001 22:33:52 A",
    b"29 Nov 2001 22:33:52 XYZ", b"29 Nov 2001 22:33:52 +0100 (CET)",
    b"Thu (day), 29 (x) Nov 2001 22 : 33 : 52 -0330",
    b"Thu Nov 29 22:33:52 2001", b"2001-11-29 22:33:52 +0000",
    b"Thu, 31 Nov 2001 22:33:52 +0000", b"1 Jan 1890 00:00:00 +0000",
    b"29 Nov 101 22:33:52 +0000", b"29 Nov 2001", b"29 Nov 2001 25:00:00",
    b"29 Nov 2001 22:33:60 +0000", b"29 Nov 2001 22:33:52 GMT+1",
    b"29 Nov 2001 22:33:52 +9999", b"29-Nov-2001 22:33:52 +0000",
    b"Thursday, 29 Nov 2001 22:33:52 +0000", b"", b"nothing",
    b"29 November 2001 22:33:52 +0000", b"Thu,29 Nov 2001 22:33:52 +0000",
    b"29 Nov 2001 23:59:59 -1200", b"30 Nov 2001 00:00:00 +1400",
    b"29 Nov 99 22:33:52 +0000", b"29 Nov 49 22:33:52 +0000",
    b"29 Nov 50 22:33:52 +0000", b"29\n Nov\n 2001 22:33:52 +0000",
)

FIELDS = (
    (b"Subject: a  b\tc",), (b"Subject: folded\n  twice\n\tand more",),
    (b"Subject:",), (b"Subject: ",), (b"Subject:no space",),
    (b"subject: small",), (b"Subject : before the colon",),
    (b"Subject: \xe4 raw",), (b"Subject: one", b"Subject: two"),
    (b"Subject: Re: [x] Fwd: same (fwd)",), (b"Subject: same",),
    (b"Subject: =?iso-8859-1?Q?a_b=E4?=",), (b"Subject: =?x?y?z?=",),
    (b"Subject: =?utf-8?B?w6Q=?= =?utf-8?B?w7Y=?= and",),
    (b"Subject: trailing   ",), (b"Subject:\n on the next line",),
    (b"Sender: S <s@t>",), (b"Sender:", b"Reply-To:"),
    (b"Reply-To: R <r@t>, q@t",), (b"Sender: s@t", b"Sender: u@v"),
    (b"To: second@x",), (b"Cc: c@d",), (b"Bcc: e@f",),
    (b"In-Reply-To: <x@y>", b"Message-ID: <m@n>"),
    (b"In-Reply-To: Your message of \"today\" <x@y>",),
    (b"In-Reply-To: <x@y> ", b"Message-ID:  <m2@n>  "),
    (b"References: <m@n>", b"Message-ID: <m3@n>", b"Subject: Re: thread"),
    (b"References: <m@n> <m3@n>", b"Message-ID: <m4@n>", b"Subject: x"),
    (b"References: broken <m@n", b"Message-ID: <m5@n>"),
    (b"Message-ID: <m@n>",), (b"Message-ID: no brackets",),
    (b"no colon here",), (b"Bad Name: x",), (b": no name",),
    (b" begins folded: x",), (b"X-Empty:", b"X-Next: y"),
    (b"X: bare\rCR",), (b"X: \x01\x7f", b"Subject: controls"),
    (b"X: " + b"long " * 300,), (b"From: second@from",),
)

TYPES = (
    b"text/plain", b"TEXT/HTML; CHARSET=UTF-8", b"text", b"text/", b"/x", b"",
    b"text/plain; charset", b"text/plain; charset=", b"text/plain; =x",
    b"text/plain; charset=\"utf-8", b"text/plain charset=utf-8",
    b"text/plain; charset=utf-8;", b"text/plain;; charset=utf-8",
    b"text/plain; a=b; a=c", b"text/plain; name=\"a\\\"b\"",
    b"text/plain; (c) charset (c) = (c) utf-8 (c)", b"(c) text / plain",
    b"text/plain; name*0=\"a\"; name*1=\"b\"",
    b"text/plain; name*=utf-8''%41%C3%A4",
    b"text/plain; name*0*=utf-8'en'a%20; name*1=b; name*2*=%41",
    b"text/plain; name*1=b; name*0=a", b"text/plain; name*0=a; name*2=c",
    b"text/plain; name=a b", b"text/plain; name=a/b", b"text/plain; name=\xe4",
    b"application/octet-stream", b"application/x; x=\"\"", b"x-y/z",
    b"text/plain;\n\tcharset=us-ascii", b"\"text\"/plain", b"text/plain/x",
    b"message/rfc822", b"message/delivery-status", b"message/partial; id=1",
    b"multipart/mixed", b"multipart/mixed; boundary=",
    b"multipart/mixed; boundary=\"\"", b"multipart/mixed; boundary=none",
    b"multipart", b"text/plain; format=flowed; charset=\"iso-8859-1\"",
)

CONTENT = (
    b"Content-Disposition: attachment; filename=\"a b.txt\"",
    b"Content-Disposition: inline", b"Content-Disposition: ",
    b"Content-Disposition: attachment; filename*=utf-8''a%20b",
    b"Content-Disposition: attachment; filename=a b.txt",
    b"Content-Disposition: attachment; filename*0=a; filename*1=b",
    b"Content-Disposition: \"inline\"", b"Content-Language: en",
    b"Content-Language: en, de , fr", b"Content-Language: ",
    b"Content-Language: en (English), de", b"Content-Location: http://x/y",
    b"Content-Location: http://x/\n y", b"Content-Location: ",
    b"Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==", b"Content-MD5:",
    b"Content-ID: <a@b>", b"Content-ID: ", b"Content-ID: <a@b> ",
    b"Content-Description: some  text", b"Content-Description: a\n b",
    b"Content-Description: ", b"Content-Transfer-Encoding: BASE64",
    b"Content-Transfer-Encoding: x-none (comment)",
    b"Content-Transfer-Encoding: ", b"Content-Transfer-Encoding: 8 bit",
    b"Content-Transfer-Encoding: quoted-printable;",
    b"Content-Transfer-Encoding: \"7bit\"",
)

BODIES = (
    b"--bb\n\none\n--bb\n\ntwo\n--bb--\n", b"preamble\n--bb\n\none\n--bb--\n",
    b"--bb\n\none\n--bb--\nepilogue\n", b"--bb\n\none\n", b"", b"text\n",
    b"--bb\n--bb\n--bb--\n", b"--bb\n\n--bb--\n", b"--bb--\n", b"--bb\n",
    b"--bb\none line\n--bb--\n", b"--bb\nX: y\n--bb--\n",
    b"--bb  \n\none\n--bb \n\ntwo\n--bb-- \n", b"--bbx\n\none\n--bb--\n",
    b"--bb\n\none\n--bb--x\n\ntwo\n--bb--\n", b" --bb\n\none\n--bb--\n",
    b"--bb\n\none\n\n--bb\n\n\ntwo\n\n\n--bb--\n\n\n",
    b"--bb\n\none\n--bb--\n--bb\n\nafter\n--bb--\n",
    b"--bb\n\none\n-- bb\n\n--b\n--bb--", b"--bb\n\na\rb\n--bb--\n",
    b"--bb\nContent-Type: text/html\n\n<p>\n--bb\nContent-Type: image/gif\n"
    b"Content-Transfer-Encoding: base64\n\nAAAA\n--bb--\n",
    b"--bb\nContent-Type: multipart/alternative; boundary=cc\n\n--cc\n\none\n"
    b"--cc\n\ntwo\n--cc--\n\n--bb\n\nthree\n--bb--\n",
    b"--bb\nContent-Type: multipart/alternative; boundary=bbb\n\n--bbb\n\n"
    b"one\n--bbb--\n--bb\n\ntwo\n--bb--\n",
    b"--bb\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\none\n"
    b"--b--\n--bb\n\ntwo\n--bb--\n",
    b"--bb\nContent-Type: multipart/alternative; boundary=bb\n\n--bb\n\none\n"
    b"--bb--\n--bb\n\ntwo\n--bb--\n",
    b"--bb\nContent-Type: multipart/alternative; boundary=cc\n\n--cc\n\none\n"
    b"--bb\n\ntwo\n--bb--\n",
    b"--bb\nContent-Type: multipart/alternative; boundary=cc\n\nnothing\n"
    b"--bb\n\ntwo\n--bb--\n",
    b"--bb\nContent-Type: multipart/alternative\n\n--cc\n\nno boundary\n"
    b"--bb\n\ntwo\n--bb--\n",
    b"--bb\nContent-Type: message/rfc822\n\nSubject: in\nFrom: x@y\n\ninner\n"
    b"--bb--\n",
    b"--bb\nContent-Type: message/rfc822\n\nSubject: in\n\n--bb\n\nnext\n"
    b"--bb--\n",
    b"--bb\nContent-Type: message/rfc822\n\nSubject: no body\n--bb--\n",
    b"--bb\nContent-Type: message/rfc822\n\n--bb--\n",
    b"--bb\nContent-Type: message/rfc822\n--bb--\n",
    b"--bb\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; "
    b"boundary=cc\nSubject: deep\n\n--cc\n\none\n--cc\nContent-Type: message/"
    b"rfc822\n\nFrom: z@z\n\nin\n--cc--\n--bb\n\nlast\n--bb--\n",
    b"--bb\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64"
    b"\n\nU3ViamVjdDogeAoKeAo=\n--bb--\n",
    b"--bb\nContent-Type: message/delivery-status\n\nA: b\n\nC: d\n--bb--\n",
)

DIGEST = (b"--bb\n\nFrom: a@b\nSubject: one\n\none\n--bb\n\nSubject: two\n\n"
          b"two\n--bb\nContent-Type: text/plain\n\nplain\n--bb--\n")


def edge():
    """All that is written here, as messages."""
    out = [to(v) for v in ADDRESSES]
    out += [dated(v) for v in DATES]
    out += [field(*lines) for lines in FIELDS]
    out += [part(kind, b"text\n") for kind in TYPES]
    out += [part(b"text/plain\n" + f, b"text\n") for f in CONTENT]
    out += [mixed(b"--bb\n" + f + b"\n\ntext\n--bb--\n") for f in CONTENT]
    out += [mixed(b"--bb\nContent-Type: " + kind + b"\n\ntext\n--bb--\n")
            for kind in TYPES]
    out += [mixed(body) for body in BODIES]
    out += [mixed(b"--bb\n\nx\n--bb--\n", more) for more in
            (b" ; x=y", b"; charset=utf-8", b"\nContent-Language: en",
             b"\nContent-Disposition: inline; a=b",
             b"\nContent-Location: x", b"\nContent-Type: text/plain")]
    out += [part(b"multipart/digest; boundary=bb", DIGEST),
            part(b"multipart/mixed; boundary=\"b b\"", b"--b b\n\nx\n--b b--\n"),
            part(b"multipart/mixed; boundary=\"bb \"", b"--bb\n\nx\n--bb--\n"),
            part(b"multipart/mixed; boundary*0=b; boundary*1=b",
                 b"--bb\n\nx\n--bb--\n"),
            part(b"message/rfc822", b"Subject: all\n\nin\n"),
            part(b"message/rfc822", b""),
            b"Subject: a header and no empty line\n",
            b"\nno header at all\n", b"\n", b"just text\nno header\n"]
    return out


def messages(data):
    """The messages of an mbox, without their From_ lines."""
    at = [m for m in FROM.finditer(data)
          if m.start() == 0 or data[m.start() - 2:m.start()] == b"\n\n"]
    ends = [m.start() - 1 for m in at[1:]] + [len(data)]
    return [data[m.end() + 1:end].replace(b"\r\n", b"\n")
            for m, end in zip(at, ends)]


def mailbox(texts):
    """An mbox of them, a day between each two."""
    out = []
    for i, text in enumerate(texts):
        text = re.sub(rb"(?m)^From ", b">From ", text)
        text += b"" if text.endswith(b"\n") else b"\n"
        out.append(b"From a@b.c Mon %s %2d %02d:00:00 %d\n%s\n" % (
            (b"Jan", b"Jul", b"Nov")[i % 3], i % 28 + 1, i % 24,
            1999 + i % 9, text))
    return b"".join(out)


# ---- spoilt copies ----

NOISE = b"\x00\x01\t\r\n \"\"(),.:;;<>@@[]\\=?/--ab09\x80\xc3\xa4\xff"
BOUNDARY = re.compile(rb"(?im)^--[^\n]*$|^content-[^\n]*$|boundary=[^\n]*")
FIELD = re.compile(rb"(?im)^(?:date|from|to|cc|subject|sender|reply-to|"
                   rb"in-reply-to|references|message-id)[ \t]*:[^\n]*"
                   rb"(?:\n[ \t][^\n]*)*")


def target(rng, text):
    """A stretch to be spoilt: a field that servers read, a line of MIME, or
    anywhere."""
    found = [m.span() for m in rng.choice((FIELD, BOUNDARY)).finditer(text)]
    if found and rng.random() < 0.85:
        return rng.choice(found)
    return 0, len(text)


def flip(rng, piece):
    i = rng.randrange(len(piece))
    return piece[:i] + bytes([rng.choice(NOISE)]) + piece[i + 1:]


def insert(rng, piece):
    i = rng.randrange(len(piece) + 1)
    return piece[:i] + bytes([rng.choice(NOISE)]) + piece[i:]


def delete(rng, piece):
    i = rng.randrange(len(piece))
    return piece[:i] + piece[i + rng.choice((1, 1, 2, 5)):]


def double(rng, piece):
    return piece + rng.choice((b"", b"\n", b" ")) + piece


def swap(rng, piece):
    words = re.split(rb"([ \n;,])", piece)
    i, j = rng.randrange(len(words)), rng.randrange(len(words))
    words[i], words[j] = words[j], words[i]
    return b"".join(words)


def mutant(rng, text):
    for _ in range(rng.choice((1, 1, 2, 4))):
        a, b = target(rng, text)
        if a < b:
            spoil = rng.choice((flip, insert, delete, double, swap))
            text = text[:a] + spoil(rng, text[a:b]) + text[b:]
    return text


def mutants(data, n, rng, most=20000):
    """An mbox of n spoilt copies of what is in another, of the edge cases if
    that is None. Long messages are left out: nothing more is in them."""
    of = edge() if data is None else \
        [t for t in messages(data) if len(t) < most]
    return mailbox([mutant(rng, rng.choice(of)) for _ in range(n)])
