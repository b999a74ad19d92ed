"""compare_grammar.py - what the RFCs themselves say of a field's bytes, for
the predicates: RFC 5322's address-list and date-time with the obsolete forms,
and RFC 2045's Content-Type and its kin. Written from the grammar, not from
imapd's code, so that it can judge that.

It has no mercy: bytes that no production matches are None, and what to make
of them no RFC says.
"""

import calendar
import re

WSP = b" \t"
ATEXT = re.compile(rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
DTEXT = re.compile(rb"(?:[!-Z^-~]|\\[\0-\x7f])*")
TOKEN = re.compile(rb"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+")
DAY = rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
MONTHS = b"jan feb mar apr may jun jul aug sep oct nov dec".split()
DATE = re.compile(rb"(?i)(?:(" + DAY + rb") ?, ?)?(\d{1,2}) ?([a-z]{3}) ?"
                  rb"(\d{2,}) (\d\d) ?: ?(\d\d)(?: ?: ?(\d\d))?"
                  rb" ?([+-]\d{4}|[a-z]+)")
ZONES = {b"ut": 0, b"gmt": 0, b"est": -5, b"edt": -4, b"cst": -6,
         b"cdt": -5, b"mst": -7, b"mdt": -6, b"pst": -8, b"pdt": -7}


class Not(Exception):
    """The grammar has no such production."""


class Words:
    """The tokens of RFC 5322 3.2."""

    def __init__(self, data):
        self.data = data
        self.at = 0
        self.comments = []

    def peek(self):
        return self.data[self.at:self.at + 1]

    def take(self, char):
        if self.peek() != char:
            return False
        self.at += 1
        return True

    def need(self, char):
        if not self.take(char):
            raise Not(char)

    def cfws(self):
        """True when there was any."""
        begin = self.at
        while True:
            m = re.compile(rb"(?:[ \t]|\r\n[ \t])+").match(self.data, self.at)
            if m:
                self.at = m.end()
            elif self.peek() == b"(":
                self.comments.append(self.comment())
            else:
                return self.at > begin

    def comment(self):
        begin, depth = self.at, 0
        while self.at < len(self.data):
            c = self.peek()
            if c == b"\\":
                self.quoted_pair()
                continue
            depth += (c == b"(") - (c == b")")
            self.visible(c)
            self.at += 1
            if depth == 0:
                return self.data[begin + 1:self.at - 1]
        raise Not("comment")

    def quoted_pair(self):
        self.at += 1
        c = self.peek()
        if c in (b"", b"\r", b"\n", b"\0") or c > b"\x7f":
            raise Not("quoted-pair")
        self.at += 1
        return c

    def visible(self, c):
        """qtext and ctext; a line end only as folding."""
        if c == b"\r":
            if self.data[self.at + 1:self.at + 2] != b"\n" or \
                    self.data[self.at + 2:self.at + 3] not in (b" ", b"\t"):
                raise Not("CR")
        elif c == b"\n":
            if self.data[self.at - 1:self.at] != b"\r":
                raise Not("LF")
        elif c != b"\t" and not b" " <= c <= b"~":
            raise Not("byte")

    def quoted(self):
        """A quoted-string's inside, as 3.2.4 reads it."""
        self.need(b'"')
        out = b""
        while not self.take(b'"'):
            c = self.peek()
            if not c:
                raise Not("quote")
            if c == b"\\":
                out += self.quoted_pair()
                continue
            self.visible(c)
            self.at += 1
            out += c if c not in b"\r\n" else b""
        return out

    def atom(self):
        m = ATEXT.match(self.data, self.at)
        if m is None:
            raise Not("atom")
        self.at = m.end()
        return m.group()

    def word(self):
        return self.quoted() if self.peek() == b'"' else self.atom()


class Addresses(Words):
    """address-list as ENVELOPE has it: [name, route, mailbox, host]. A name
    that could only be a comment is the set of all of the item's."""

    def whole(self):
        out = []
        while True:
            self.comments = []
            self.cfws()
            if self.at < len(self.data) and self.peek() != b",":
                out += self.address()
                self.cfws()
            if self.at == len(self.data):
                return out
            self.need(b",")

    def address(self):
        begin, before = self.at, self.comments[:]
        try:
            name = self.phrase()
            if self.take(b":"):
                return self.group(name)
            if self.peek() == b"<":
                return [self.angle(name)]
        except Not:
            pass
        self.at = begin
        self.comments = before
        if self.peek() == b"<":
            return [self.angle(b"")]
        return [self.spec(b"", None)]

    def phrase(self):
        """One space between words; obs-phrase has dots, too."""
        out = self.word()
        while True:
            space = self.cfws()
            c = self.peek()
            if c == b".":
                self.at += 1
                out += b" ." if space else b"."
            elif c == b'"' or ATEXT.match(self.data, self.at):
                word = self.word()
                out += b" " + word if space else word
            else:
                return out

    def group(self, name):
        out = [[None, None, name, None]]
        while True:
            self.comments = []
            self.cfws()
            if self.take(b";"):
                return out + [[None, None, None, None]]
            if self.peek() != b",":
                inner = self.address()
                if len(inner) != 1:
                    raise Not("group in a group")
                out += inner
                self.cfws()
            if self.peek() != b";":
                self.need(b",")

    def angle(self, name):
        self.need(b"<")
        self.cfws()
        route = None
        if self.peek() in (b"@", b","):
            route = b""
            while not self.take(b":"):
                self.cfws()
                if self.take(b"@"):
                    self.cfws()
                    route += (b",@" if route else b"@") + self.domain()
                elif not self.take(b","):
                    raise Not("route")
                self.cfws()
            self.cfws()
            if not route:
                raise Not("route")
        one = self.spec(name, route)
        self.cfws()
        self.need(b">")
        self.cfws()
        return self.named(one, name)

    def spec(self, name, route):
        mailbox = self.dotted(self.word)
        self.cfws()
        self.need(b"@")
        self.cfws()
        host = self.domain()
        return self.named([None, route, mailbox, host], name)

    def named(self, one, name):
        if name:
            one[0] = name
        else:
            # What follows up to the comma may hold it, too.
            self.cfws()
            names = [re.sub(rb"\\(.)", rb"\1", c, flags=re.S).replace(
                b"\r\n", b"").strip() for c in self.comments]
            names = [n for n in names if n]
            one[0] = Any(names) if names else None
        return one

    def dotted(self, part):
        out = part()
        while True:
            begin = self.at
            self.cfws()
            if not self.take(b"."):
                self.at = begin
                return out
            self.cfws()
            out += b"." + part()

    def domain(self):
        if self.peek() != b"[":
            return self.dotted(self.atom)
        m = re.compile(rb"\[(?:[ \t\r\n]*[!-Z^-~])*[ \t\r\n]*\]").match(
            self.data, self.at)
        if m is None:
            raise Not("domain-literal")
        self.at = m.end()
        return re.sub(rb"[ \t\r\n]", b"", m.group())


class Any:
    """One of these, or nothing: the RFCs call no comment a name for sure."""

    def __init__(self, values):
        self.values = list(values)

    def __eq__(self, other):
        return other is None or other in self.values


def address_list(value):
    """[] when the field is empty, which no grammar has but all mean."""
    try:
        return Addresses(value).whole()
    except Not:
        return None


def without_comments(value):
    """The field with one space for each run of CFWS; None when it is not
    sound."""
    words = Words(value)
    out = b""
    try:
        while words.at < len(value):
            if words.cfws():
                out += b" "
            elif words.peek() == b'"':
                begin = words.at
                words.quoted()
                out += value[begin:words.at]
            else:
                out += words.peek()
                words.at += 1
    except Not:
        return None
    return out.strip()


def date_time(value):
    """(seconds, zone in minutes) of a date-time of RFC 5322 3.3 or 4.3."""
    plain = without_comments(value)
    m = plain is not None and DATE.fullmatch(plain)
    if not m:
        return None
    day, mon, digits = int(m.group(2)), m.group(3).lower(), m.group(4)
    year = int(digits)
    if len(digits) == 2:
        year += 2000 if year < 50 else 1900
    elif len(digits) == 3:
        year += 1900
    hour, minute, second = (int(x or 0) for x in m.group(5, 6, 7))
    zone = zone_minutes(m.group(8).lower())
    if mon not in MONTHS or not 1900 <= year <= 9999 or hour > 23 or \
            minute > 59 or second > 60 or zone is None:
        return None
    month = MONTHS.index(mon) + 1
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return (calendar.timegm((year, month, day, hour, minute, second)) -
            zone * 60, zone)


def zone_minutes(word):
    """"Other multi-character (usually between 3 and 5) alphabetic time
    zones [...] SHOULD be considered equivalent to "-0000"": so are the
    military ones (4.3)."""
    if word[:1] in (b"+", b"-"):
        hours, minutes = int(word[1:3]), int(word[3:])
        if minutes > 59 or hours > 23:
            return None
        return (hours * 60 + minutes) * (-1 if word[:1] == b"-" else 1)
    return ZONES.get(word, 0) * 60


def parameters(words):
    """*(";" parameter), names in small letters."""
    out = []
    words.cfws()
    while words.take(b";"):
        words.cfws()
        name = token(words)
        words.cfws()
        words.need(b"=")
        words.cfws()
        value = words.quoted() if words.peek() == b'"' else token(words)
        out.append((name.lower(), value))
        words.cfws()
    if words.at < len(words.data):
        raise Not("parameter")
    return out


def token(words):
    m = TOKEN.match(words.data, words.at)
    if m is None:
        raise Not("token")
    words.at = m.end()
    return m.group()


def content_type(value):
    """(type/subtype in small letters, parameters)"""
    words = Words(value)
    try:
        words.cfws()
        kind = token(words)
        words.cfws()
        words.need(b"/")
        words.cfws()
        kind += b"/" + token(words)
        return kind.lower(), parameters(words)
    except Not:
        return None


def disposition(value):
    """The same of Content-Disposition, RFC 2183 2."""
    words = Words(value)
    try:
        words.cfws()
        return token(words).lower(), parameters(words)
    except Not:
        return None


def one_token(value):
    """Content-Transfer-Encoding."""
    plain = without_comments(value)
    return plain.lower() if plain and TOKEN.fullmatch(plain) else None


def unfold(value):
    """RFC 5322 2.2.3: "Unfolding is accomplished by simply removing any CRLF
    that is immediately followed by WSP"; white space at the ends says
    nothing."""
    return re.sub(rb"\r?\n", b"", value).strip(b" \t\r\n")


def fields(header, name):
    """The values of all fields of that name, folded; name without case."""
    found = re.findall(rb"(?im)^" + re.escape(name) +
                       rb"[ \t]*:((?:[^\n]*)(?:\n[ \t][^\n]*)*)", header)
    return [v[:-1] if v.endswith(b"\r") else v for v in found]
