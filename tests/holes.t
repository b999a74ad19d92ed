#!/usr/bin/env python3
"""holes.t - SECURITY names known holes of others and the tests that show that
they are not here: is each of them shown where it says, and each that a test
knows named there? Then spoils the page in the ways that must be found. TAP."""

import glob
import os
import re
import sys

sys.dont_write_bytecode = True
import tree

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(os.path.dirname(HERE), 'SECURITY')
ID = re.compile(r'\bCVE-[0-9]{4}-[0-9]{4,}\b|\bT-S[0-9]\b')
FILE = re.compile(r'\b\w+\.(?:t|c|py)\b')


def read(name):
    with open(os.path.join(HERE, name), encoding='latin-1') as f:
        return f.read()


def part(page, begin, end):
    at = page.index(begin) + len(begin)
    return page[at:page.index(end, at) if end else len(page)]


def parts(page):
    """With numbers, without, and those that are not shown."""
    a, b, c = ('has found.', 'that have no number:',
               'not shown by a test:')
    return part(page, a, b), part(page, b, c), part(page, c, None)


def rows(text):
    """What stands at one TAB, and what stands at two below it."""
    for m in re.finditer(r'((?:^\t(?!\t).*\n)+)((?:^\t\t.*\n)+)', text, re.M):
        yield m.group(1), ' '.join(m.group(2).split('\n\t\t'))


def told(name):
    """What a test says, and what it has put into a module of its name."""
    return ''.join(read(n) for n in {name, name[:-1] + 'py'}
                   if os.path.exists(os.path.join(HERE, n)))


def shown(page):
    for head, tests in rows(parts(page)[0]):
        files = FILE.findall(tests)
        if not files:
            yield 'no file: ' + head
        for number in ID.findall(head):
            for name in files:
                if not os.path.exists(os.path.join(HERE, name)):
                    yield 'no such file: ' + name
            if not any(number in told(name) for name in files):
                yield 'no test of that name: ' + number


def pointed(page):
    for line in re.findall(r'^\t\t(.*)$', parts(page)[1], re.M):
        name, _, point = line.partition(': ')
        if not os.path.exists(os.path.join(HERE, name)) or \
                point not in read(name):
            yield 'no such point: ' + line


def named(page):
    known = set(ID.findall(page))
    for path in glob.glob(os.path.join(HERE, '*.[tc]')) + \
            glob.glob(os.path.join(HERE, '*.py')):
        name = os.path.basename(path)
        if name == 'holes.t':
            continue
        for number in set(ID.findall(read(name))) - known:
            yield '%s knows %s' % (name, number)


RULES = {
    'each hole is shown by a test that names it': shown,
    'each other mistake is shown by a point': pointed,
    'each hole that a test names is on the page': named,
}

SPOILED = [
    ('each hole is shown by a test that names it', 'T-S4', 'T-S0'),
    ('each hole is shown by a test that names it', 'CVE-2016-6210',
     'CVE-2016-6211'),
    ('each hole is shown by a test that names it', ': unit_mem.c', ': all'),
    ('each hole is shown by a test that names it', ': unit_mem.c',
     ': unit_none.c'),
    ('each other mistake is shown by a point', 'trust.t: P5', 'trust.t: P99'),
    ('each other mistake is shown by a point', 'trust.t: P5', 'trusty.t: P5'),
    ('each hole that a test names is on the page', 'CVE-2005-1513', 'CVE'),
]


def main():
    tap = tree.Tap()
    page = read(PAGE)
    for name, rule in RULES.items():
        complaints = list(rule(page))
        tap.point(not complaints, name, complaints)
    tap.point(len(list(rows(parts(page)[0]))) > 30, 'the table is read')
    for name, old, new in SPOILED:
        tap.point(old in page and
                  bool(list(RULES[name](page.replace(old, new)))),
                  'found when spoiled: %s for %s' % (new, old))
    tap.end()


main()
