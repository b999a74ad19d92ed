"""hostile_mail.py - mail that was sent to hurt, and all that is asked of it.
For hostile_mail.t, which shows that it is answered right in bounded memory,
and check_mail_time, which shows how soon. Names of known holes in other
servers (CVE-...) stand where their kind is tried on ours. Talks to nobody.
"""

from hostile import MB

FROM = b"From a@b Thu Aug 22 12:36:23 2002\n"
MIXED = b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="
METADATA = [b"Status", b"X-Status", b"X-Keywords", b"X-UID", b"X-IMAP",
            b"X-IMAPbase", b"Content-Length", b"X-IMAPd-Quoted"]
# Behind each hostile message: it must be there, alone and unhurt.
NEXT = FROM + b"Subject: the next one\n\nunhurt\n\n"

# All that a mail program asks, and what attacks a parser of ours.
ASKED = [
    b"FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)",
    b"FETCH 1:* ENVELOPE",
    b"FETCH 1:* (BODY BODYSTRUCTURE)",
    b"FETCH 1:* BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)]",
    b"FETCH 1:* (BODY.PEEK[] RFC822.HEADER)",
    b"FETCH 1:* (BODY.PEEK[1.MIME] BODY.PEEK[1.1.1.1] BODY.PEEK[2.TEXT])",
    b"FETCH 1:* BODY.PEEK[TEXT]<1000.100>",
    b"FETCH 1:* (BINARY.SIZE[] BINARY.PEEK[2.2] BINARY.PEEK[]<0.100>)",
    b"SEARCH TEXT unhurt",
    b"SEARCH BODY nowhere",
    b"SEARCH OR TO nobody FROM nobody",
    b"SEARCH HEADER X-Mailer x SUBJECT next",
    b"SEARCH SENTSINCE 1-Jan-2000 SENTBEFORE 1-Jan-2001",
    b"SEARCH KEYWORD Junk",
    b"SORT (SUBJECT FROM TO CC DATE SIZE) UTF-8 ALL",
    b"THREAD REFERENCES UTF-8 ALL",
    b"THREAD ORDEREDSUBJECT UTF-8 ALL",
]


# ---- the mail; n tells how much of it ----

def message(header, body=b"x"):
    return FROM + header + b"\n\n" + body + b"\n\n"


def addresses(n):
    return message(b"To: " + b",\n ".join(
        b"a%d <b%d@c.example>" % (i, i) for i in range(n)))


def groups(n):
    return message(b"To: " + b", ".join(b"g%d: a@b, c@d;" % i
                                        for i in range(n)) + b"\nCc: " +
                   b"g:" * n + b"\nBcc: " + b"<" * n + b"\nFrom: " +
                   b",;@" * n)


def comments(n):
    return message(b"From: " + b"(" * n + b" a@b\nTo: " + b'"' * n +
                   b"\nCc: " + b"\\" * n + b"\nSubject: " + b"=?" * n +
                   b"\nDate: " + b"(" * n + b"1 Jan 2000 00:00:00 +0000")


def multiparts(n):
    """Each in the one before."""
    return message(MIXED + b"b0", b"".join(
        b"--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n" %
        (i, i + 1) for i in range(n)))


def one_boundary(n):
    """All of them have the same."""
    return message(MIXED + b"b", b"--b\nContent-Type: multipart/mixed; "
                   b"boundary=b\n\n" * n)


def prefixes(n):
    """Each boundary begins like the ones before."""
    n = min(n, 1000)
    return message(MIXED + b"b", b"".join(
        b"--%s\nContent-Type: multipart/mixed; boundary=%s\n\n" %
        (b"b" * i, b"b" * (i + 1)) for i in range(1, n)) +
        b"".join(b"--%s--\n" % (b"b" * i) for i in range(n, 0, -1)))


def messages(n):
    """Mail in mail in mail."""
    return message(b"Content-Type: message/rfc822",
                   b"Content-Type: message/rfc822\n\n" * n)


def parts(n):
    return message(MIXED + b"b", b"--b\n\nx\n" * n + b"--b--")


def alternatives(n):
    return message(MIXED + b"b", b"--b\nContent-Type: message/rfc822\n\n"
                   b"Subject: x\n\n" * n)


def boundary(n):
    return message(MIXED + b'"' + b"b" * n + b'"',
                   b"--" + b"b" * n + b"\n\nx\n--" + b"b" * n + b"--")


def parameters(n):
    return message(
        b"MIME-Version: 1.0\nContent-Type: text/plain" +
        b"".join(b";\n name*%d*=utf-8''x%%41" % i for i in range(n)) +
        b"\nContent-Disposition: attachment" + b"; filename*0=x" * n +
        b"\nContent-Language: " + b"en, " * n +
        b"\nContent-Type: text/html" + b"; a" * n + b";" * n)


def header_line(n):
    return message(b"Subject: " + b"a" * n)


def folded(n):
    return message(b"Subject: a" + b"\n\t=?UTF-8?Q?=C3?=" * n)


def fields(n):
    return message(b"\n".join(b"X-Field-%d: x" % i for i in range(n)))


def same_field(n):
    return message(b"To: a@b\nSubject: x\nDate: x\nContent-Type: x/y\n" * n +
                   b"X: x")


def no_field(n):
    return message(b":\n: x\nx\n" * n + b"X: x")


def keywords(n):
    return message(b"X-IMAPbase: 1000000000 5 " + b"Key " * n +
                   b"\nX-Keywords: " + b"Junk " * n + b"\nX-UID: 5")


def long_keyword(n):
    return message(b"X-IMAPbase: 1000000000 5 " + b"K" * n +
                   b"\nX-Keywords: " + b"K" * n + b"\nStatus: " + b"RO" * n +
                   b"\nX-Status: " + b"AF" * n + b"\nX-UID: " + b"5" * n +
                   b"\nContent-Length: " + b"9" * n)


def uids(n):
    return message(b"X-IMAPbase: 1000000000 5\n" + b"".join(
        b"X-UID: %d\n" % i for i in range(n)) + b"Status: O\n" * n)


def metadata_nul(n):
    """Before, in and behind each name and each value."""
    out = []
    for name in METADATA:
        for field in (b"%s: \0", b"%s: 5\0", b"\0%s: 5", b"%s\0: 5",
                      b"%s:\0 5", b"%s: R\0O", b"%s: 5 \0 5\n \0"):
            out.append(message(b"Subject: x\n" + field % name))
        out.append(message(name[:2] + b"\0" + name[2:] + b": 5"))
    return b"".join(out)


def header_nul(n):
    """In all else, and in From_ lines, which may then be none."""
    return b"".join([
        message(b"Sub\0ject: x\0y\nTo: a\0@b\nFrom: \0\nDate: 1\0 Jan 2000"),
        message(MIXED + b'"b\0b"', b"--b\0b\n\nx\0\n--b\0b--"),
        message(b"Content-Type: text/pl\0ain; name=\"\0\""),
        message(b"To: \"a\0b\" <c\0@d>, (x\0) e@f"), message(b"\0"),
        message(b"Subject: x", b"\0" * 1000), message(b"X:" + b"\0" * 1000),
        b"From a@b\0 Thu Aug 22 12:36:23 2002\nSubject: x\n\nx\n\n",
        b"From a@b Thu Aug\0 22 12:36:23 2002\nSubject: x\n\nx\n\n"])


def backslashes(n):
    """What ends inside, at the end of the field and of the mail."""
    odd = [b"(\\", b"a (\\", b'"\\', b'"a\\', b"<a\\", b"a@b (x\\)",
           b"a <@", b"a <@x:", b"a@[", b"a@[\\", b"=?utf-8?B?", b"=?utf-8?Q",
           b"=?", b"=?x?b?=?=", b"a:", b"a:;", b":;", b"a: b: c@d;;", b"<>",
           b"@", b",", b"\\", b'"', b"(", b")", b"a@b,,,c@d", b"\t\n\t\n ",
           b"1 Jan 2000 00:00:00 (\\", b"text/plain; a=\"\\", b"x/y; (\\",
           b"multipart/mixed; boundary=\"", b"multipart/mixed; boundary=",
           b"multipart/mixed", b"message/rfc822; (", b"/", b"x/", b";;", b""]
    names = [b"From", b"To", b"Date", b"Subject", b"Content-Type", b"Sender",
             b"Content-Disposition", b"Content-Language", b"In-Reply-To",
             b"Message-ID", b"Content-Transfer-Encoding", b"Content-ID"]
    out = [message(b"%s: %s" % (name, value)) for value in odd
           for name in names]
    out += [message(b"\n".join(b"%s: %s" % (name, value) for name in names),
                    value) for value in odd]
    return b"".join(out)


def injections(n):
    """Answers of ours in what is not ours (RFC 3501 9: quoted)."""
    bad = b"x)\r\na OK done\r* BYE\r\n \"\\ {5+}\r\n\x1b\xff"
    bad = bad.replace(b"\n", b"\n ")
    return b"".join(message(b"%s: %s" % (name, form % bad)) for name in (
        b"From", b"Subject", b"Content-Type", b"Content-ID", b"X-Keywords",
        b"Content-MD5", b"Content-Location", b"Date", b"Message-ID")
        for form in (b"%s", b'"%s" <a@b>', b"text/x; name=\"%s\"", b"(%s)"))


def forgeries(n):
    """Metadata that a sender made up. That it is believed no further than
    it can be trusted is shown by the tests of the mailbox."""
    return b"".join(message(b"X-Field: x\n" + field) for field in (
        b"X-UID: 4294967290", b"X-UID: 4294967296", b"X-UID: 0",
        b"X-UID: -1", b"X-IMAPbase: 4294967295 4294967295",
        b"X-IMAP: 1 99999999999999999999 K", b"Content-Length: 99999999",
        b"Content-Length: -1", b"Content-Length: 18446744073709551615",
        b"Status: RODXYZ", b"X-Status: DDDDD", b"X-Keywords: \\Deleted (",
        b"X-IMAPbase: 1 1 (x) \"y\" \\Seen %n ] { *"))


# (name, mail, how much of it, how much of it for the sanitised program)
MAIL = [
    ("CVE-2024-23184: a million addresses", addresses, 1000000, 200000),
    ("CVE-2017-14461, CVE-2019-19722: groups", groups, 100000, 20000),
    ("CVE-2008-4907: open comments and quotes", comments, MB, MB),
    ("CVE-2020-12100: 100,000 multiparts nested", multiparts, 100000, 100000),
    ("CVE-2020-12100: of one boundary", one_boundary, 100000, 10000),
    ("CVE-2026-26312: mail in 100,000 mails", messages, 100000, 100000),
    ("boundaries that begin alike", prefixes, 1000, 1000),
    ("a million parts", parts, 1000000, 100000),
    ("100,000 parts that hold mail", alternatives, 100000, 100000),
    ("a boundary of 1 MB", boundary, MB, MB),
    ("CVE-2026-27859: 100,000 parameters", parameters, 100000, 100000),
    ("CVE-2024-23185: a header line of 20 MB", header_line, 20 * MB, 2 * MB),
    ("100,000 folds", folded, 100000, 100000),
    ("50,000 header fields", fields, 50000, 50000),
    ("the same fields 20,000 times", same_field, 20000, 20000),
    ("lines that are no field", no_field, 20000, 20000),
    ("CVE-2000-0847: X-Keywords of 1 MB", keywords, 200000, 200000),
    ("CVE-2000-0847: one keyword of 1 MB", long_keyword, MB, MB),
    ("10,000 X-UID fields", uids, 10000, 10000),
    ("CVE-2011-1929: NUL in each metadata field", metadata_nul, 0, 0),
    ("CVE-2011-1929: NUL in other places", header_nul, 0, 0),
    ("CVE-2008-5514, CVE-2026-47088: fields that end inside", backslashes, 0,
     0),
    ("CRLF, quotes and answers in fields", injections, 0, 0),
    ("forged metadata", forgeries, 0, 0),
]
