"""tree.py - reads the source tree for the tests that are greps.

A rule is a function from a Tree to complaints ("file:line: what"). main()
checks every rule on the tree named on the command line (else the one that
holds this file), then plants one offence after the other in a copy and
requires that each is found: a rule that cannot fail shows nothing.
"""

import os
import re
import shutil
import sys
import tempfile

UNDER = ('', 'lib', 'tests', 'tests/fuzz')
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"'
                   r"|'(?:\\.|[^'\\\n])*'", re.S)


def blank(match):
    """Comments and literals become spaces, so that lines and columns stay."""
    return re.sub(r'[^\n]', ' ', match.group(0))


class File:
    def __init__(self, top, name):
        self.name = name
        with open(os.path.join(top, name), 'rb') as f:
            self.bytes = f.read()
        self.text = self.bytes.decode('utf-8', 'replace')
        self.lines = self.text.split('\n')
        self.code = TOKEN.sub(blank, self.text)

    def at(self, offset, what):
        line = self.text.count('\n', 0, offset) + 1
        return '%s:%d: %s' % (self.name, line, what)


class Tree:
    """Files of the program, and C files of the tests: other rules hold."""

    def __init__(self, files):
        self.program = [f for f in files if not f.name.startswith('tests/')]
        self.tests = [f for f in files if f.name.startswith('tests/')]
        self.all = self.program + self.tests

    def instead(self, file):
        return Tree([f for f in self.all if f.name != file.name] + [file])


def read(top):
    return Tree([File(top, name) for under in UNDER
                 for name in names(top, under)])


def names(top, under):
    found = os.listdir(os.path.join(top, under))
    return sorted(os.path.join(under, n) for n in found
                  if n.endswith(('.c', '.h')))


class Tap:
    def __init__(self):
        self.n = self.bad = 0

    def point(self, good, what, notes=()):
        self.n += 1
        self.bad += not good
        print('%sok %d - %s' % ('' if good else 'not ', self.n, what))
        for note in notes:
            print('# ' + note)

    def end(self):
        print('1..%d' % self.n)
        sys.exit(1 if self.bad else 0)


def copy(top, to):
    for under in UNDER:
        os.makedirs(os.path.join(to, under), exist_ok=True)
        for name in names(top, under):
            shutil.copy(os.path.join(top, name), os.path.join(to, name))


def planted(top, name, text):
    """The file with text added, or anew, or (text None) emptied."""
    path = os.path.join(top, name)
    old = None
    if os.path.exists(path):
        with open(path, 'rb') as f:
            old = f.read()
    with open(path, 'wb' if text is None else 'ab') as f:
        f.write((text or '').encode('utf-8'))
    file = File(top, name)
    os.remove(path)
    if old is not None:
        with open(path, 'wb') as f:
            f.write(old)
    return file


def main(rules, plants):
    """rules: (name, function). plants: (rule's name, file, text added)."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    top = sys.argv[1] if len(sys.argv) > 1 else here
    tap = Tap()
    found = read(top)
    for name, rule in rules:
        complaints = list(rule(found))
        tap.point(bool(found.program) and not complaints, name, complaints)
    rule = dict(rules)
    with tempfile.TemporaryDirectory() as other:
        copy(top, other)
        clean = read(other)
        usual = {name: list(r(clean)) for name, r in rules}
        for name, where, text in plants:
            def here_of(complaints):
                return sum(c.startswith(where + ':') for c in complaints)
            worse = clean.instead(planted(other, where, text))
            tap.point(here_of(rule[name](worse)) > here_of(usual[name]),
                      'found when planted: %s: %s' % (
                          name, ' '.join((text or where).split())[:60]))
    tap.end()
