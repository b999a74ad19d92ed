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
    """The program's own files; tests are in `tests`, other rules hold."""

    def __init__(self, top):
        self.program = [File(top, n) for n in
                        names(top, '') + names(top, 'lib')]
        self.tests = [File(top, n) for n in names(top, 'tests')]
        self.all = self.program + self.tests


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
    for under in ('', 'lib', 'tests'):
        os.makedirs(os.path.join(to, under), exist_ok=True)
        for name in names(top, under):
            shutil.copy(os.path.join(top, name), os.path.join(to, name))


def plant(top, name, text):
    """Adds text to a file, or makes it anew; returns how to undo that."""
    path = os.path.join(top, name)
    old = None
    if os.path.exists(path):
        with open(path, 'rb') as f:
            old = f.read()
    with open(path, 'ab') as f:
        f.write(text.encode('utf-8'))

    def undo():
        os.remove(path)
        if old is not None:
            with open(path, 'wb') as f:
                f.write(old)
    return undo


def main(rules, plants):
    """rules: (name, function). plants: (rule's name, file, text added)."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    top = sys.argv[1] if len(sys.argv) > 1 else here
    tap = Tap()
    found = Tree(top)
    for name, rule in rules:
        complaints = list(rule(found))
        tap.point(bool(found.program) and not complaints, name, complaints)
    rule = dict(rules)
    with tempfile.TemporaryDirectory() as other:
        copy(top, other)
        for name, where, text in plants:
            before = len(list(rule[name](Tree(other))))
            undo = plant(other, where, text)
            after = [c for c in rule[name](Tree(other))
                     if c.startswith(where + ':')]
            undo()
            tap.point(len(after) > 0 and before == len(list(
                rule[name](found))), 'found when planted: %s: %s' %
                (name, ' '.join(text.split())[:60]))
    tap.end()
