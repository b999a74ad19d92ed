"""compare_search.py - SEARCH by every key of RFC 3501, SORT by every key and
THREAD by both algorithms: what is asked, with words and dates of the mailbox
itself, and how answers are compared. One command at a time: Dovecot runs
SEARCHes side by side.

A message that only one of both found is a difference, and has to be
predicted from its bytes like any other. SORT and THREAD are an order of all
messages: there a message may stand elsewhere if a row predicts another sort
key for it, and all others must stand as they do at Dovecot.
"""

import bisect
import re

from compare_rules import Case, moves
from compare_tree import Gone

FLAGS = (b"ANSWERED", b"DELETED", b"DRAFT", b"FLAGGED", b"NEW", b"OLD",
         b"RECENT", b"SEEN", b"UNANSWERED", b"UNDELETED", b"UNDRAFT",
         b"UNFLAGGED", b"UNSEEN", b"KEYWORD Junk", b"UNKEYWORD Junk",
         b"ALL")
SORTS = (b"ARRIVAL", b"CC", b"DATE", b"FROM", b"SIZE", b"SUBJECT", b"TO")
MONTHS = ("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").split()
WORD = re.compile(rb"[A-Za-z0-9]{3,12}")
NAME = re.compile(rb"(?m)^([A-Za-z-]{2,30}):[ \t]*([^\r\n]*)")


def some(rng, values, n):
    values = sorted(values)
    return rng.sample(values, min(n, len(values)))


def dates(messages, rng):
    """Days of the mailbox and those beside them, some."""
    found = {m.ours["INTERNALDATE"][:11].strip().lstrip(b"0")
             for m in messages}
    for m in messages:
        for d, mon, y in re.findall(
                rb"(?m)^Date:.*?(\d{1,2}) ([A-Z][a-z][a-z]) (\d{4})\b",
                m.header):
            if mon.decode() in MONTHS and 0 < int(d) < 29:
                found.add(b"%d-%s-%s" % (int(d), mon, y))
    return some(rng, found, 8)


def keys(messages, rng):
    """The simple keys to ask for, each a command of its own."""
    out = [(key, None) for key in FLAGS]
    for day in dates(messages, rng):
        for name in (b"BEFORE", b"ON", b"SINCE", b"SENTBEFORE", b"SENTON",
                     b"SENTSINCE"):
            out.append((name, day))
    for size in some(rng, {m.ours["RFC822.SIZE"] for m in messages}, 6):
        out += [(b"LARGER", b"%d" % size), (b"SMALLER", b"%d" % size)]
    n = len(messages)
    out += [(b"%d:*" % (n // 2 + 1), None), (b"1,%d" % n, None)]
    return out + word_keys(messages, rng)


def word_keys(messages, rng):
    out = []
    fields, words, texts = {}, {}, set()
    for m in messages:
        for name, value in NAME.findall(m.header):
            fields.setdefault(name.lower(), set()).update(
                WORD.findall(value))
    for m in rng.sample(messages, min(60, len(messages))):
        texts.update(WORD.findall(m.text[:4000]))
    words = {key: fields.get(key.lower(), set())
             for key in (b"From", b"To", b"Cc", b"Bcc", b"Subject")}
    for key, found in words.items():
        out += [(key.upper(), w) for w in some(rng, found, 10)]
    for name in some(rng, fields, 12):
        out += [(b"HEADER " + name, w) for w in some(rng, fields[name], 2)]
        out.append((b"HEADER " + name, b""))
    for key in (b"BODY", b"TEXT"):
        out += [(key, w) for w in some(rng, texts, 10)]
    return out


def quoted(key, arg):
    if arg is None:
        return key
    if key in (b"LARGER", b"SMALLER"):
        return key + b" " + arg
    return key + b' "' + arg + b'"'


def found(side, command):
    """The numbers of its one SEARCH answer."""
    return {n for tree in side.want(b"SEARCH " + command)
            if tree[1:2] == ["SEARCH"] for n in tree[2:]}


def both(table, sides, how, command):
    """What ours and theirs answer; None when Dovecot died of it, which is
    none of our business but is told."""
    ours = how(sides[0], command)
    try:
        return ours, how(sides[1], command)
    except Gone as gone:
        table.died.append(str(gone))
        sides[1].again()
        return None


def compare_searches(table, sides, messages, rng):
    answers = {}
    asked = keys(messages, rng)
    for key, arg in asked:
        command = quoted(key, arg)
        answer = both(table, sides, found, command)
        if answer is None:
            continue
        answers[command] = a, b = answer
        item = "SEARCH " + key.split()[0].decode()
        item = "SEARCH flags and sets" if arg is None else item
        table.count(item, "equal", len(messages) - len(a ^ b))
        for n in a ^ b:
            m = messages[n - 1]
            table.difference(Case(m, item, command.decode("latin-1"),
                                  m.header, n in a, n in b, (key, arg)))
    compare_compounds(table, sides, messages, rng, answers)


def compare_compounds(table, sides, messages, rng, answers):
    """NOT and OR: where the answers to their parts are the same, theirs
    must be. What the parts differ in has been judged."""
    every = set(range(1, len(messages) + 1))
    for _ in range(20):
        x, y = rng.sample(sorted(answers), 2)
        for command, made in (
                (b"NOT " + x, lambda p, q: every - p),
                (b"OR %s %s" % (x, y), lambda p, q: p | q),
                (b"%s NOT (%s)" % (x, y), lambda p, q: p - q)):
            answer = both(table, sides, found, command)
            for i, got in enumerate(answer or ()):
                want = made(answers[x][i], answers[y][i])
                table.count("SEARCH NOT, OR", "equal",
                            len(every) - len(got ^ want))
                for n in got ^ want:
                    m = messages[n - 1]
                    table.difference(Case(
                        m, "SEARCH NOT, OR", command.decode("latin-1"),
                        m.header, n in got, n in want,
                        (sides[i].name, command)))


def order(side, command):
    return [n for tree in side.want(command)
            if tree[1:2] == ["SORT"] for n in tree[2:]]


def elsewhere(a, b):
    """The fewest that must be taken out so that both orders are one: all
    but a longest common run."""
    at = {n: i for i, n in enumerate(b)}
    ends, last, before = [], [], {}
    for n in a:
        if n not in at:
            continue
        i = bisect.bisect_left(ends, at[n])
        ends[i:i + 1] = [at[n]]
        last[i:i + 1] = [n]
        before[n] = last[i - 1] if i else None
    stay, n = set(), last[-1] if last else None
    while n is not None:
        stay.add(n)
        n = before[n]
    return (set(a) | set(b)) - stay


def compare_orders(table, item, command, messages, keys, a, b):
    """Two orders of the same messages."""
    if a == b:
        table.count(item, "equal", len(messages))
        return
    movers = {m.n: moves(m, keys) for m in messages}
    movers = {n: rule for n, rule in movers.items() if rule}
    left = [n for n in a if n not in movers]
    right = [n for n in b if n not in movers]
    moved = elsewhere(a, b) & set(movers)
    for n in moved:
        table.rules[movers[n].name] += 1
        table.count(item, movers[n].right)
    bad = elsewhere(left, right)
    table.count(item, "equal", len(messages) - len(moved) - len(bad))
    for n in sorted(bad):
        m = messages[n - 1]
        i, j = (o.index(n) if n in o else -1 for o in (left, right))
        table.difference(Case(
            m, item, command.decode(), m.header,
            (i, left[max(0, i - 1):i + 2]), (j, right[max(0, j - 1):j + 2]),
            ("place", keys)))


def compare_sorts(table, sides, messages):
    programs = [((key,), key) for key in SORTS]
    programs += [((key,), b"REVERSE " + key) for key in SORTS]
    programs += [((b"SUBJECT", b"DATE"), b"SUBJECT REVERSE DATE"),
                 ((b"FROM", b"SIZE"), b"REVERSE FROM SIZE")]
    for keys_, program in programs:
        command = b"SORT (%s) UTF-8 ALL" % program
        answer = both(table, sides, order, command)
        if answer is None:
            continue
        a, b = answer
        compare_orders(table, "SORT " + b" ".join(keys_).decode(), command,
                       messages, keys_, a, b)


def threads(side, command):
    return [tree[2:] for tree in side.want(command)
            if tree[1:2] == ["THREAD"]][0]


def members(tree):
    out = []
    below = [tree]
    while below:
        for x in below.pop():
            if isinstance(x, list):
                below.append(x)
            else:
                out.append(x)
    return out


def drop(forest, movers):
    """The threads in which nobody of `movers` is."""
    return [t for t in forest if not movers.intersection(members(t))]


def thread_of(forest, n):
    return next((t for t in forest if n in members(t)), None)


def compare_threads(table, sides, messages, algorithm):
    command = b"THREAD %s UTF-8 ALL" % algorithm
    answer = both(table, sides, threads, command)
    if answer is None:
        return
    a, b = answer
    item = "THREAD " + algorithm.decode()
    rules = {}
    if a != b:
        for m in messages:
            rule = moves(m, (algorithm,))
            if rule is not None:
                rules[m.n] = rule
    gone = set(rules)
    more = True
    while more and a != b:
        reached = {n for forest in (a, b) for t in forest
                   if gone.intersection(members(t)) for n in members(t)}
        more = not reached <= gone
        gone |= reached
    left, right = drop(a, gone), drop(b, gone)
    bad = [n for t in left if t not in right for n in members(t)]
    if not bad and left != right:
        bad = [members(x)[0] for x, y in zip(left, right) if x != y]
    # Of those that may stand elsewhere, the ones that do.
    moved = [n for n in rules if thread_of(a, n) != thread_of(b, n)]
    for n in moved:
        table.rules[rules[n].name] += 1
        table.count(item, rules[n].right)
    table.count(item, "equal", len(messages) - len(bad) - len(moved))
    for n in bad:
        m = messages[n - 1]
        table.difference(Case(
            m, item, command.decode(), m.header,
            *([t for t in forest if n in members(t)] for forest in
              (left, right)), ("thread", algorithm)))


def compare(table, ours, theirs, messages, rng):
    sides = (ours, theirs)
    compare_searches(table, sides, messages, rng)
    compare_sorts(table, sides, messages)
    for algorithm in (b"ORDEREDSUBJECT", b"REFERENCES"):
        compare_threads(table, sides, messages, algorithm)
