#!/usr/bin/env python3
"""style.t - what of the style a machine can see.

The rest (plain words, comments that say why) needs a reader.
"""

import os
import re

import tree

COLUMNS = 80
FUNCTION_LINES = 60
FILE_LINES = 800

# Variables of the process, not of a session, each with its reason.
GLOBALS = {
    # Where the log goes, and what is said at the very end.
    'lib/log.c': {'log_to', 'log_last_words', 'log_last_arg'},
    # What a signal handler can reach.
    'imapd.c': {'stop_signal'},
    # Never are two mailboxes locked at once.
    'lock.c': {'held'},
}

UNDONE = re.compile(r'\b(%s)\b' % '|'.join(('TO' 'DO', 'FIX' 'ME', 'X' 'XX')))
NAMED = re.compile(r'[A-Za-z_]\w*\s*\(')


def columns(t):
    for f in t.all:
        for n, line in enumerate(f.lines, 1):
            if len(line.expandtabs(8)) > COLUMNS:
                yield '%s:%d: more than %d columns' % (f.name, n, COLUMNS)


def blanks(t):
    for f in t.all:
        for n, line in enumerate(f.lines, 1):
            if line != line.rstrip():
                yield '%s:%d: white space at the end' % (f.name, n)
            if re.match(r'\t* {8}', line) or re.match(r' +\t', line):
                yield '%s:%d: spaces where a tab belongs' % (f.name, n)
        if not f.text.endswith('\n') or f.text.endswith('\n\n'):
            yield '%s:%d: ends in no line end, or in two' % (
                f.name, len(f.lines))


def ascii_only(t):
    """But for tests, which show what they feed in."""
    for f in t.program:
        for m in re.finditer(rb'[^\n\t\x20-\x7e]', f.bytes):
            yield '%s:%d: a byte that is not ASCII' % (
                f.name, f.bytes.count(b'\n', 0, m.start()) + 1)
            break


def opening(t):
    """A file of the program says its name, a test what it shows."""
    for f in t.all:
        name = os.path.basename(f.name) + ' - ' if f in t.program else ''
        if not re.match(r'/\*\n \* %s\w' % re.escape(name), f.text):
            yield f.at(0, 'does not open with a comment on what it is')


def guards(t):
    for f in t.all:
        if f.name.endswith('.h'):
            word = os.path.basename(f.name).upper().replace('.', '_')
            if '#ifndef %s\n#define %s\n' % (word, word) not in f.text:
                yield f.at(0, 'has no guard %s' % word)


def comments(t):
    """Only the long form; "//" outlives no backslash."""
    for f in t.all:
        for m in tree.TOKEN.finditer(f.text):
            if m.group(0).startswith('//'):
                yield f.at(m.start(), 'a // comment')


def typedefs(t):
    for f in t.all:
        for m in re.finditer(r'\btypedef\s+(?:const\s+)?(struct|union|enum)\b'
                             r'[^;(]*;', f.code):
            yield f.at(m.start(), 'a typedef of a ' + m.group(1))


def undone(t):
    for f in t.all:
        for m in UNDONE.finditer(f.text):
            yield f.at(m.start(), m.group(0))


def functions(f):
    """(name, line of the name or None, line of the last brace)."""
    lines = f.code.split('\n')
    for n, line in enumerate(lines):
        if line.rstrip() != '{' or not lines[n - 1].rstrip().endswith(')'):
            continue
        end = next((i for i in range(n, len(lines))
                    if lines[i].startswith('}')), len(lines) - 1)
        at = n - 1
        while at > 0 and lines[at][:1] in ' \t':
            at -= 1
        yield lines[at], at + 1, end + 1


def return_types(t):
    """On a line of their own, so that ^name( finds the definition."""
    for f in t.all:
        for first, at, end in functions(f):
            if not re.match(NAMED, first):
                yield '%s:%d: the return type stands with the name' % (
                    f.name, at)


def lengths(t):
    """A longer function says why in a comment above or within. Tests may
    be as long as their lists."""
    for f in t.program:
        for first, at, end in functions(f):
            if end - at + 1 <= FUNCTION_LINES:
                continue
            above = at - 2		# the line of the return type
            while above > 0 and f.lines[above - 1].strip():
                above -= 1
            if 'Long because' not in '\n'.join(f.lines[above:end]):
                yield '%s:%d: a function of %d lines' % (
                    f.name, at, end - at + 1)


def file_lengths(t):
    for f in t.program:
        if len(f.lines) - 1 > FILE_LINES:
            yield '%s:%d: a file of %d lines' % (
                f.name, len(f.lines) - 1, len(f.lines) - 1)


def outermost(code):
    """Code with what stands in braces blanked, but for initialisers' and
    bodies' outer braces; preprocessor lines too."""
    code = re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*',
                  lambda m: re.sub(r'[^\n]', ' ', m.group(0)), code,
                  flags=re.M)
    out, depth = [], 0
    for c in code:
        if c == '}':
            depth -= 1
        out.append(c if depth == 0 or c == '\n' else ' ')
        if c == '{':
            depth += 1
    return ''.join(out)


def mutable(declaration):
    """The name of the variable that a declaration makes, if it is one and
    can be written to."""
    head = re.split(r'[={]', declaration, maxsplit=1)[0]
    head = re.sub(r'__attribute__\s*\(\(.*?\)\)|_Alignas\s*\([^)]*\)', '',
                  head)
    # A pointer to a function is declared as a pointer to anything else.
    head = re.sub(r'\(\s*\*([^()]*)\)\s*\([^()]*\)', r'*\1', head)
    if '(' in head or re.match(r'\s*(typedef\b|extern\b|'
                               r'(struct|union|enum)(\s+\w+)?\s*$)', head):
        return None
    m = re.match(r'(.*?)(\w+)\s*((\[[^]]*\]\s*)*)$', head.strip(), re.S)
    if not m or not m.group(1).strip():
        return None
    kind = m.group(1)
    if re.search(r'\bconst\b', kind[kind.rfind('*') + 1:]):
        return None
    return m.group(2)


def no_globals(t):
    for f in t.program:
        allowed = GLOBALS.get(f.name, set())
        outer = outermost(f.code)
        # A body's "}" ends a function; an initialiser's goes on to ";".
        for m in re.finditer(r'[^;]+?(?:;|\)\s*\{\s*\})', outer):
            name = mutable(m.group(0).rstrip(';').strip())
            if not m.group(0).endswith('}') and name and \
                    name not in allowed:
                at = m.start() + len(m.group(0)) - len(m.group(0).lstrip())
                yield f.at(at, 'a variable of the process: ' + name)
        for m in re.finditer(r'^[ \t]+static\b([^;]*);', f.code, re.M):
            name = mutable(m.group(1))
            if name and name not in allowed:
                yield f.at(m.start(), 'a static in a function: ' + name)


def handlers(t):
    """CVE-2024-6387 and CVE-2006-5051 are what comes of more."""
    for f in t.program:
        for m in re.finditer(r'\bsa_(?:handler|sigaction) = (\w+)|'
                             r'\bsignal\s*\(\s*\w+,\s*(\w+)', f.code):
            name = m.group(1) or m.group(2)
            if not name.startswith('SIG_') and not re.search(
                    r'^%s\(int sig\)\n\{\n\t\w+ = sig;\n\}' % name,
                    f.code, re.M):
                yield f.at(m.start(), 'does work: ' + name)


H = 'a signal handler only says so (CVE-2024-6387, CVE-2006-5051)'

RULES = [
    ('no line has more than 80 columns', columns),
    ('white space is in its place', blanks),
    ('sources are ASCII', ascii_only),
    ('each file opens by saying what it is', opening),
    ('each header has its guard', guards),
    ('comments are of the long form', comments),
    ('no structure hides behind a typedef', typedefs),
    ('nothing is marked as undone', undone),
    ('return types stand on a line of their own', return_types),
    ('long functions say why they are', lengths),
    ('no file is too long', file_lengths),
    ('the process has no variables but the known ones', no_globals),
    (H, handlers),
]

LONG = 'static void\nlong_one(void)\n{\n%s}\n' % ('\tnext();\n' * 60)
G = 'the process has no variables but the known ones'

PLANTS = [
    ('no line has more than 80 columns', 'view.c',
     '/* %s */\n' % ('x' * 75)),
    ('no line has more than 80 columns', 'view.c', '\t' * 10 + 'x\n'),
    ('white space is in its place', 'view.c', 'int x; \n'),
    ('white space is in its place', 'view.c', '\treturn;\t\n'),
    ('white space is in its place', 'view.c', '        return;\n'),
    ('white space is in its place', 'view.c', '    \treturn;\n'),
    ('white space is in its place', 'view.c', '\n'),
    ('white space is in its place', 'view.c', 'int x;'),
    ('sources are ASCII', 'view.h', '/* \u00e4 */\n'),
    ('sources are ASCII', 'view.c', 'int x;\r\n'),
    ('each file opens by saying what it is', 'new.c', '/*\n * A new file.\n'),
    ('each file opens by saying what it is', 'new.c',
     '/*\n * old.c - another one.\n */\n'),
    ('each file opens by saying what it is', 'tests/new.c',
     '#include "unit.h"\n'),
    ('each header has its guard', 'lib/new.h', '#define NEW_H\n'),
    ('comments are of the long form', 'view.c', 'int x; // why\n'),
    ('no structure hides behind a typedef', 'view.h',
     'typedef struct view view_t;\n'),
    ('no structure hides behind a typedef', 'view.c',
     'typedef enum {\n\tA,\n} letter;\n'),
    ('nothing is marked as undone', 'view.c', '/* TO' 'DO: all */\n'),
    ('return types stand on a line of their own', 'view.c',
     'static int one(void)\n{\n}\n'),
    ('return types stand on a line of their own', 'view.c',
     'static int one(int a,\n    int b)\n{\n}\n'),
    ('long functions say why they are', 'view.c', LONG),
    ('no file is too long', 'view.c', '\n' * 800),
    (G, 'view.c', 'static int count;\n'),
    (G, 'view.c', 'struct view last_view = { 0 };\n'),
    (G, 'view.c', 'static const char *names[] = { "a", "b" };\n'),
    (G, 'view.c', 'static bool seen[256];\n'),
    (G, 'view.c', 'static void (*hook)(int, char *);\n'),
    (G, 'view.c', 'static struct { int a; } pair;\n'),
    (G, 'view.c', 'static char *const *next;\n'),
    (G, 'view.c', 'int\ncount(void)\n{\n\tstatic int n;\n\n\treturn n;\n}\n'),
    (G, 'lock.c', 'static int other;\n'),
    (H, 'imapd.c', 'static void\non_hup(int sig)\n{\n\tlog_info("x");\n}\n'
     'static struct sigaction hup = { .sa_handler = on_hup };\n'),
    (H, 'imapd.c', '\tsignal(SIGALRM, elsewhere);\n'),
    (G, 'lib/set.h', 'extern int x;\nint y;\n'),
]

tree.main(RULES, PLANTS)
