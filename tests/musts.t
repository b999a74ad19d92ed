#!/usr/bin/env python3
"""musts.t - is each demand of the RFCs shown to be met?

Holds tests/musts.tsv against the tests that it names. Then spoils the table
in each way that must be found, for a rule that cannot fail shows nothing.
"""

import glob
import os
import re
import sys

sys.dont_write_bytecode = True
import tree

HERE = os.path.dirname(os.path.abspath(__file__))
STATUS = re.compile(r'now|departs|should|issue [0-9]+|client|n/a')
ID = re.compile(r'([0-9]+ [0-9]+(?:\.[0-9]+)*)/([0-9]+)')
TEST = re.compile(r'(?P<script>scripts/[\w-]+\.test)|'
                  r'(?P<unit>unit_\w+): "(?P<point>.+)"|'
                  r'validate: "(?P<session>.+)"|(?P<family>\w+)')


class Row:
    def __init__(self, number, line):
        self.at = 'musts.tsv:%d: ' % number
        self.columns = line.split('\t')
        self.id, self.sentence, self.status, tests, self.note = \
            (self.columns + [''] * 5)[:5]
        self.tests = tests.split('; ') if tests else []


def read(text):
    return [Row(n, line) for n, line in enumerate(text.split('\n'), 1)
            if line and not line.startswith('#')]


def columns(rows):
    for row in rows:
        if len(row.columns) != 5:
            yield row.at + 'not five columns'
        elif row.columns != [c.strip() for c in row.columns]:
            yield row.at + 'white space around a column'
        elif not row.sentence:
            yield row.at + 'no sentence'


def ids(rows):
    """Those of a section stand together and count from 1."""
    last, seen = None, set()
    for row in rows:
        m = ID.fullmatch(row.id)
        if m is None:
            yield row.at + 'no id: ' + row.id
            continue
        number = int(m.group(2))
        if number == 1 and m.group(1) in seen or \
                number > 1 and (m.group(1), number - 1) != last:
            yield row.at + 'out of order: ' + row.id
        seen.add(m.group(1))
        last = (m.group(1), number)


def statuses(rows):
    for row in rows:
        if not STATUS.fullmatch(row.status):
            yield row.at + 'no status: ' + row.status


def shown(rows):
    for row in rows:
        if row.status in ('now', 'departs') and not row.tests:
            yield row.at + 'no test shows it: ' + row.sentence


def reasons(rows):
    for row in rows:
        if row.status in ('departs', 'should', 'n/a') and not row.note:
            yield row.at + 'no word on why: ' + row.sentence


def text(*names):
    found = []
    for name in names:
        with open(os.path.join(HERE, name), encoding='latin-1') as f:
            found.append(f.read())
    return '\n'.join(found)


def there(test, texts):
    """Does the tree have this test?"""
    m = TEST.fullmatch(test)
    if m is None:
        return False
    if m['script']:
        return os.path.exists(os.path.join(HERE, m['script']))
    if m['unit']:
        name = m['unit'] + '.c'
        if name not in texts:
            path = os.path.join(HERE, name)
            texts[name] = text(name) if os.path.exists(path) else ''
        return '"%s"' % m['point'] in texts[name]
    if m['session']:
        what = re.escape(m['session'])
        return re.search(r'^(== %s$|wrong: %s \|)' % (what, what),
                         texts['validate'], re.M) is not None
    return bool(glob.glob(os.path.join(HERE, m['family'] + '.t')) +
                glob.glob(os.path.join(HERE, m['family'] + '_*.t')))


def tests(rows):
    texts = {'validate': text('validate/legal', 'validate/broken',
                              'validate/lines')}
    for row in rows:
        for test in row.tests:
            if not there(test, texts):
                yield row.at + 'no such test: ' + test


RULES = {
    'the columns are five': columns,
    'ids count from 1 in each section': ids,
    'each status is a known one': statuses,
    'what is done is shown by a test': shown,
    'what is not done has its reason': reasons,
    'each test named is there': tests,
}

GOOD = '1 2.3/1\tX MUST y.\tnow\tscripts/greeting.test\t'
SPOILED = [
    ('the columns are five', '1 2.3/1\tX MUST y.\tnow\tvalidate'),
    ('the columns are five', GOOD + '\t'),
    ('the columns are five', GOOD + ' a note'),
    ('the columns are five', '1 2.3/1\t\tclient\t\t'),
    ('ids count from 1 in each section', GOOD.replace('/1', '')),
    ('ids count from 1 in each section', GOOD.replace('1 2', '2')),
    ('ids count from 1 in each section', GOOD.replace('/1', '/2')),
    ('ids count from 1 in each section', GOOD + '\n' + GOOD),
    ('ids count from 1 in each section',
     GOOD + '\n' + GOOD.replace('/1', '/3')),
    ('ids count from 1 in each section',
     GOOD + '\n' + GOOD.replace('2.3/1', '2.4/2')),
    ('each status is a known one', GOOD.replace('now', 'done')),
    ('each status is a known one', GOOD.replace('now', 'issue')),
    ('what is done is shown by a test', '1 2.3/1\tX MUST y.\tnow\t\tso'),
    ('what is done is shown by a test', '1 2.3/1\tX MUST y.\tdeparts\t\tso'),
    ('what is not done has its reason', GOOD.replace('now', 'departs')),
    ('what is not done has its reason', GOOD.replace('now', 'should')),
    ('what is not done has its reason', GOOD.replace('now', 'n/a')),
    ('each test named is there', GOOD.replace('greeting', 'greetings')),
    ('each test named is there', GOOD.replace('.test', '.test;')),
    ('each test named is there', GOOD.replace('.test', '.test, fuzz')),
    ('each test named is there',
     GOOD.replace('scripts/greeting.test', 'unit_set: "no such point"')),
    ('each test named is there',
     GOOD.replace('scripts/greeting.test', 'unit_none: "a point"')),
    ('each test named is there',
     GOOD.replace('scripts/greeting.test', 'validate: "EXISTS shrink"')),
    ('each test named is there',
     GOOD.replace('scripts/greeting.test', 'fuzzy')),
]


def main():
    tap = tree.Tap()
    rows = read(text('musts.tsv'))
    for name, rule in RULES.items():
        complaints = list(rule(rows))
        tap.point(bool(rows) and not complaints, name, complaints)
    for name, rule in RULES.items():
        tap.point(not list(rule(read(GOOD))), 'a good row: ' + name)
    for name, spoiled in SPOILED:
        tap.point(bool(list(RULES[name](read(spoiled)))),
                  'found when spoiled: %s: %r' % (name, spoiled))
    tap.end()


main()
