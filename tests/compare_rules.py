"""compare_rules.py - where ours and Dovecot (or Python's email package) may
differ: each row names the items, the sentence of the RFC that decides, who is
right by it, and a predicate on the message's bytes.

A predicate says, from those bytes and the grammar of compare_grammar.py, what
ours must be; "neither" is for bytes that no RFC gives a meaning. A row is no
place for our own faults: those are mended.
"""

import re

import compare_grammar as grammar
from compare_grammar import fields, unfold

ADDRESSES = {"from": b"From", "sender": b"Sender", "reply-to": b"Reply-To",
             "to": b"To", "cc": b"Cc", "bcc": b"Bcc"}
TEXTS = {"date": b"Date", "subject": b"Subject",
         "in-reply-to": b"In-Reply-To", "message-id": b"Message-ID"}


class Case:
    """One difference. path: the part's number, or the command; header: of
    the message or part that the item is about; word: of SEARCH, the key and
    its argument."""

    def __init__(self, message, item, path, header, ours, theirs, word=None):
        self.message = message
        self.item = item
        self.path = path
        self.header = header
        self.ours = ours
        self.theirs = theirs
        self.word = word

    def member(self):
        """The member of an envelope that it is about, or ""."""
        words = self.item.lower().split()
        return words[-1] if "envelope" in words else ""


class Rule:
    def __init__(self, name, right, law, test):
        self.name = name
        self.right = right      # "ours", "dovecot", "neither"
        self.law = law
        self.test = test


def first(header, name):
    found = fields(header, name)
    return found[0] if found else None


# ---- envelopes ----

def address_values(case):
    """The fields that make the member: From stands in for an absent or
    empty Sender or Reply-To (RFC 3501 7.4.2)."""
    name = case.member()
    if name not in ADDRESSES:
        return None
    found = fields(case.header, ADDRESSES[name])
    if name in ("sender", "reply-to") and not any(
            grammar.address_list(v) != [] for v in found):
        found = fields(case.header, b"From")
    return found


def wanted_addresses(values):
    """What they are by the grammar; None where it does not know."""
    out = []
    for value in values:
        more = grammar.address_list(value)
        if more is None:
            return None
        out += more
    return out or None


def text_unfolded(case):
    name = TEXTS.get(case.member())
    value = name and first(case.header, name)
    return value is not None and case.ours == unfold(value) and \
        case.theirs is not None and \
        re.sub(rb"[ \t]+", b" ", case.ours) == case.theirs.strip(b" \t")


def text_ends(case):
    name = TEXTS.get(case.member())
    value = name and first(case.header, name)
    return value is not None and case.ours == unfold(value) and \
        case.theirs is not None and \
        unfold(case.theirs) == unfold(value)


def addresses_sound(case):
    values = address_values(case)
    want = values and wanted_addresses(values)
    return bool(want) and want == case.ours and want != case.theirs


def addresses_comment(case):
    values = address_values(case)
    want = values and wanted_addresses(values)
    return bool(want) and want == case.ours and want == case.theirs


def addresses_repeated(case):
    values = address_values(case)
    return bool(values) and len(values) > 1 and \
        case.theirs in [wanted_addresses([v]) for v in values]


def addresses_none(case):
    values = address_values(case)
    return bool(values) and any(grammar.address_list(v) is None
                                for v in values)


# ---- structure ----

def delimiter_behind(case):
    """Dovecot counts the CRLF before an outer delimiter to the part inside:
    in the message what is ours is followed by CRLF and that delimiter."""
    if case.item not in ("BODY[n]", "BODY[n.TEXT]") or \
            case.theirs != (case.ours or b"") + b"\r\n":
        return False
    parts = case.message.parts
    found = [dict(parts.fields[name, "params"] or ()).get(b"boundary")
             for name in parts.shape
             if parts.shape[name].startswith("multipart")]
    return any(b and (case.ours or b"") + b"\r\n--" + b in case.message.text
               for b in found)


# ---- SEARCH ----

def sent(case):
    """(key, day asked for, the Date field) of a SENT* key."""
    if not case.item.startswith("SEARCH SENT"):
        return None
    key, day = case.word
    d, mon, year = day.lower().split(b"-")
    return (key, (int(year), grammar.MONTHS.index(mon), int(d)),
            first(case.header, b"Date"))


def sent_no_date(case):
    asked = sent(case)
    return asked is not None and asked[2] is not None and \
        grammar.date_time(asked[2]) is None


RULES = [
    Rule("runs of white space in a text", "ours",
         'RFC 5322 2.2.3: "simply removing any CRLF"', text_unfolded),
    Rule("white space around a text", "neither",
         'RFC 5322 2.2.3 unfolds; it does not trim', text_ends),
    Rule("address-list by the grammar", "ours",
         'RFC 3501 7.4.2: "after removing any quoting"', addresses_sound),
    Rule("a comment as an address's name", "neither",
         'RFC 5322 3.4: "included the name of the recipient in parentheses '
         'as a comment"', addresses_comment),
    Rule("an address field twice", "neither",
         "RFC 5322 3.6: these fields occur once at most",
         addresses_repeated),
    Rule("what is no address-list", "neither",
         "RFC 5322 3.4 has no such address-list", addresses_none),
    Rule("a line end before a delimiter", "ours",
         'RFC 2046 5.1.1: "the initial CRLF is considered to be attached to '
         'the boundary delimiter line"', delimiter_behind),
    Rule("SENT* and what is no date-time", "neither",
         "RFC 5322 3.3 has no such date-time", sent_no_date),
]


def judge(case):
    """The row that predicts it, or None."""
    for rule in RULES:
        if rule.test(case):
            return rule
    return None


# ---- SORT and THREAD ----

def date_moves(m):
    value = first(m.header, b"Date")
    return value is not None and grammar.date_time(value) is None


def bytes_8bit(value):
    return value is not None and re.search(rb"[\x80-\xff]", value)


def subject_moves(m):
    return bytes_8bit(first(m.header, b"Subject"))


def mailbox_of(envelope, i):
    return envelope[i][0][2] if envelope[i] else None


def mailbox_moves(name, i):
    def test(m):
        a, b = (mailbox_of(v["ENVELOPE"], i) for v in (m.ours, m.theirs))
        return a != b or bytes_8bit(a)
    return test


NO_DATE = Rule("sorted by what is no date-time", "neither",
               'RFC 5256 2.2: "cannot be parsed"', date_moves)
RAW_SUBJECT = Rule("sorted by a Subject with 8-bit bytes", "neither",
                   "RFC 5256 2.1 decodes encoded words alone",
                   subject_moves)
MAILBOX = {key: Rule("sorted by a mailbox that is none, or 8-bit", "neither",
                     "RFC 5322 3.4 has no such address",
                     mailbox_moves(key, i))
           for key, i in ((b"FROM", 2), (b"TO", 5), (b"CC", 6))}
MOVES = {
    b"DATE": [NO_DATE],
    b"SUBJECT": [RAW_SUBJECT],
    b"FROM": [MAILBOX[b"FROM"]],
    b"TO": [MAILBOX[b"TO"]],
    b"CC": [MAILBOX[b"CC"]],
    b"ORDEREDSUBJECT": [RAW_SUBJECT, NO_DATE],
    b"REFERENCES": [NO_DATE, RAW_SUBJECT],
}


def moves(message, keys):
    """The row that predicts another place by one of these keys, or None."""
    for key in keys:
        for rule in MOVES.get(key, ()):
            if rule.test(message):
                return rule
    return None
