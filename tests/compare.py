#!/usr/bin/env python3
"""compare.py MBOX [MUTANTS [SEED]] - the same commands to ours and to
Debian's Dovecot, on copies of one mailbox; the answers are compared as trees.
With MUTANTS the mailbox is so many spoilt copies of its messages.

A difference must be predicted by a row of compare_rules.py from the message's
bytes; one that is not fails. The shape of our BODYSTRUCTURE is also held
against Python's email package (compare_oracle.py). One line per item: how
often it was compared, was equal, we are right by the RFC, Dovecot is, the RFC
says neither, and unpredicted; then each unpredicted difference."""

import os
import random
import re
import sys
from collections import Counter

sys.dont_write_bytecode = True
import compare_cases
import compare_oracle
import compare_rules
import compare_search
import compare_tree
from hostile import World, show

MEMBERS = ("date", "subject", "from", "sender", "reply-to", "to", "cc",
           "bcc", "in-reply-to", "message-id")
ONCE = (b"ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER] "
        b"BODY.PEEK[TEXT] BODY.PEEK[]<0.100> BODY.PEEK[]<37.1000> "
        b"BODY.PEEK[TEXT]<5.2000> BODY.PEEK[HEADER]<20.4000000> "
        b"BODY.PEEK[1]<10.100>")
STEP = 200      # messages in one FETCH


def lower(text):
    return text.lower() if isinstance(text, bytes) else text


def pairs(params):
    """Names in small letters, and values as they are."""
    if params is None:
        return None
    values = [list(p) for p in zip(params[0::2], params[1::2])]
    return [(name.lower(), value.lower() if name.lower() == b"charset"
             and value.lower() == b"us-ascii" else value)
            for name, value in values]


def disposed(value):
    return value and (lower(value[0]), pairs(value[1]))


class Parts:
    """A body structure, flat. shape: {name: its kind and how many are in
    it}; fields: {(name, field): value}; header: {name: the section with its
    header}. A multipart that is a message's body is called TEXT."""

    def __init__(self, tree):
        self.shape = {}
        self.fields = {}
        self.header = {}
        self.sections = []
        self.body(tree, "", "HEADER")

    def body(self, tree, above, header):
        """What is in a message, whose number is `above`."""
        prefix = above + "." if above else ""
        if isinstance(tree[0], list):
            self.multipart(tree, prefix + "TEXT", prefix, header)
        else:
            self.sections.append(prefix + "1")
            self.single(tree, prefix + "1", header)

    def multipart(self, tree, name, prefix, header):
        n = next(i for i, x in enumerate(tree) if not isinstance(x, list))
        self.shape[name] = "multipart/%d" % n
        self.header[name] = header
        self.put(name, "subtype", lower(tree[n]))
        self.put(name, "params", pairs(tree[n + 1]))
        self.ends(name, tree[n + 2:])
        for i, child in enumerate(tree[:n], 1):
            at = prefix + str(i)
            self.sections += [at, at + ".MIME"]
            if isinstance(child[0], list):
                self.multipart(child, at, at + ".", at + ".MIME")
            else:
                self.single(child, at, at + ".MIME")

    def single(self, tree, name, header):
        kind = lower(tree[0])
        message = kind == b"message" and lower(tree[1]) == b"rfc822"
        self.shape[name] = "message" if message else "leaf"
        self.header[name] = header
        for field, value in zip(
                ("type", "params", "id", "description", "encoding", "size"),
                (kind + b"/" + lower(tree[1]), pairs(tree[2]), tree[3],
                 tree[4], lower(tree[5]), tree[6])):
            self.put(name, field, value)
        rest = tree[7:]
        if message:
            for member, value in zip(MEMBERS, rest[0]):
                self.put(name, "envelope " + member, value)
            self.sections += [name + ".HEADER", name + ".TEXT"]
            self.body(rest[1], name, name + ".HEADER")
            rest = rest[2:]
        if message or kind == b"text":
            self.put(name, "lines", rest[0])
            rest = rest[1:]
        self.put(name, "md5", rest[0])
        self.ends(name, rest[1:])

    def ends(self, name, rest):
        self.put(name, "disposition", disposed(rest[0]))
        self.put(name, "language", rest[1] and [
            lower(x) for x in (rest[1] if isinstance(rest[1], list)
                               else [rest[1]])])
        self.put(name, "location", rest[2])

    def put(self, name, field, value):
        self.fields[name, field] = value


class Message:
    """One message as both show it."""

    def __init__(self, n, ours, theirs):
        self.n = n
        self.ours = ours
        self.theirs = theirs
        self.header = ours["BODY[HEADER]"] or b""
        self.text = ours["BODY[TEXT]"] or b""
        self.parts = Parts(ours["BODYSTRUCTURE"])
        self.their_parts = Parts(theirs["BODYSTRUCTURE"])
        self.predicted = set()      # rules that spoke

    def section(self, name):
        return self.ours.get("BODY[%s]" % name) or b""

    def slim(self):
        """Only what SEARCH, SORT and THREAD are judged by."""
        keep = ("ENVELOPE", "INTERNALDATE", "RFC822.SIZE")
        self.ours = {k: self.ours[k] for k in keep}
        self.theirs = {k: self.theirs[k] for k in keep}


class Table:
    """Counts, and what nobody predicted."""

    COLUMNS = ("compared", "equal", "ours", "dovecot", "neither",
               "unpredicted")

    def __init__(self):
        self.rows = {}
        self.rules = Counter()
        self.unpredicted = []
        self.died = []              # commands that Dovecot died of

    def count(self, item, column, n=1):
        row = self.rows.setdefault(item, Counter())
        row[column] += n
        row["compared"] += n

    def difference(self, case):
        """Has it judged; case: compare_rules.Case."""
        rule = compare_rules.judge(case)
        if rule is None:
            self.count(case.item, "unpredicted")
            self.unpredicted.append(case)
            return
        case.message.predicted.add(rule.name)
        self.rules[rule.name] += 1
        self.count(case.item, rule.right)

    def same(self, case):
        if case.ours == case.theirs:
            self.count(case.item, "equal")
        else:
            self.difference(case)

    def show(self, most=int(os.environ.get('MOST', 40))):
        print("%-26s" % "" + "".join("%12s" % c for c in self.COLUMNS))
        for item, row in self.rows.items():
            print("%-26s" % item + "".join("%12d" % row[c]
                                           for c in self.COLUMNS))
        for what in self.died[:5]:
            print("# %s (%d in all)" % (what, len(self.died)))
        for name, n in sorted(self.rules.items()):
            print("# %6d %s" % (n, name))
        for case in self.unpredicted[:most]:
            print("unpredicted: message %d %s %s\n    ours:    %s\n"
                  "    Dovecot: %s" % (
                      case.message.n, case.item, case.path,
                      repr(case.ours)[:300], repr(case.theirs)[:300]))
        if len(self.unpredicted) > most:
            print("and %d more" % (len(self.unpredicted) - most))


def compare_message(table, m):
    def case(item, ours, theirs, path="", header=m.header):
        table.same(compare_rules.Case(m, item, path, header, ours, theirs))

    for name, a, b in zip(MEMBERS, m.ours["ENVELOPE"],
                          m.theirs["ENVELOPE"]):
        case("ENVELOPE " + name, a, b)
    for key, value in m.ours.items():
        if key in ("ENVELOPE", "BODYSTRUCTURE"):
            continue
        there = m.theirs.get(key)
        item = re.sub(r"\[[0-9.]*\d", "[n", key)
        item = "partial" if "<" in item else item
        if key == "INTERNALDATE":
            # date-day-fixed: " 2" and "02" are one day.
            value, there = (v.replace(b" ", b"0", 1) if v[:1] == b" " else v
                            for v in (value, there))
        path = key[5:-1] if key.startswith("BODY[") else key
        case(item, value, there, path)
    compare_structure(case, m)
    compare_oracle.compare(table, m)


def compare_structure(case, m):
    a, b = m.parts, m.their_parts
    case("structure parts", a.shape, b.shape)
    both = {name for name in a.shape if a.shape[name] == b.shape.get(name)}
    for (name, field), value in a.fields.items():
        if name in both and (name, field) in b.fields:
            header = name + ".HEADER" if field.startswith("envelope ") \
                else a.header[name]
            case("structure " + field, value, b.fields[name, field], name,
                 m.section(header))


def ask(table, sides, numbers, items, answers):
    """FETCH at both. A Dovecot that dies of it is begun anew and asked for
    one message at a time; what it dies of then is not compared."""
    text = b",".join(b"%d" % i for i in numbers)
    sides[0].fetch(text, items, answers[0])
    try:
        sides[1].fetch(text, items, answers[1])
        return
    except compare_tree.Gone as gone:
        table.died.append(str(gone))
        sides[1].again()
    if len(numbers) == 1:
        del answers[0][numbers[0]]
        return
    for i in numbers:
        ask(table, sides, [i], items, answers)


def fetch(table, sides, n):
    """All messages, STEP at a time; parts are asked for of all those of
    one shape in one command."""
    for first in range(1, n + 1, STEP):
        numbers = list(range(first, min(n, first + STEP - 1) + 1))
        answers = [{}, {}]
        ask(table, sides, numbers, ONCE, answers)
        shapes = {}
        for i in sorted(answers[0]):
            parts = Parts(answers[0][i]["BODYSTRUCTURE"])
            shapes.setdefault(tuple(parts.sections), []).append(i)
        for sections, of in shapes.items():
            items = [b"BODY.PEEK[%s]" % s.encode() for s in sections]
            for at in range(0, len(items), 100):
                of = [i for i in of if i in answers[0]]
                if of:
                    ask(table, sides, of, b" ".join(items[at:at + 100]),
                        answers)
        for i in sorted(answers[0]):
            yield Message(i, answers[0][i], answers[1][i])


def compare(world, data, seed=1, spoil=None):
    """The table for a mailbox of these bytes. spoil: alters our answers, to
    see that it is seen."""
    table = Table()
    ours, theirs, n = compare_tree.begin(world, data)
    try:
        messages = []
        for m in fetch(table, (ours, theirs), n):
            if spoil is not None:
                m = spoil(m)
            compare_message(table, m)
            m.slim()
            messages.append(m)
        theirs.again()
        compare_search.compare(table, ours, theirs, messages,
                               random.Random(seed))
        ours.bye()
        theirs.bye()
    finally:
        ours.kill()
        theirs.kill()
    return table


def main():
    with open(sys.argv[1], "rb") as f:
        data = f.read()
    mutants = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else \
        random.randrange(10 ** 6)
    print("seed %d" % seed)
    if mutants:
        data = compare_cases.mutants(data, mutants, random.Random(seed))
        if os.environ.get("KEEP"):
            with open(os.environ["KEEP"], "wb") as f:
                f.write(data)
    with World() as world:
        table = compare(world, data, seed)
    table.show()
    return 1 if table.unpredicted else 0


if __name__ == "__main__":
    sys.exit(main())
