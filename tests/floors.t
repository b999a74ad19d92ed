#!/usr/bin/env python3
"""floors.t - a file includes only its own floor or a lower one.

The table is the drawing of the house; a new file gets its place here
before it can be built on.
"""

import os
import re

import tree

FLOORS = {
    0: 'params str mem buf log io err fs path login peer await ending wire '
       'limit',
    1: 'set flags hash scan date fromline quote meta stamp match utf8 codec charset charset_table '
       'rfc822 mime pseudo casemap subject msgid',
    2: 'lock dotlock watch mbox mbox_own mbox_scan mbox_match '
       'mbox_text mbox_index mbox_changes mbox_write mbox_store mbox_expunge mbox_append draft '
       'folder folder_own folder_name folder_list folder_change '
       'folder_subs folder_state '
       'changes changes_own changes_record '
       'journal rewrite rewrite_own rewrite_plan rewrite_patch '
       'rewrite_recover rewrite_tail rewrite_append',
    3: 'parse reply command ask tls',
    4: 'fetch body search searchtext sort thread thread_own thread_refs thread_forest view',
    5: 'cmd_any cmd_folder cmd_folder_change cmd_message cmd_search cmd_expunge cmd_copy '
       'cmd_append cmd_login cmd_idle cmd_tls session.h '
       'doctor doctor_own doctor_read doctor_head doctor_words doctor_place '
       'doctor_repair',
    6: 'session session_open options imapd front monitor auth auth_own '
       'auth_file auth_user auth_worker priv jail sandbox',
}

FLOOR = {name: n for n, row in FLOORS.items() for name in row.split()}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]*)"', re.M)
# What a floor that is "pure: slices in, structs out" has no use for.
SYSTEM = re.compile(r'^[ \t]*#[ \t]*include[ \t]*<((?:sys/|arpa/|netinet/)'
                    r'[^>]*|unistd\.h|fcntl\.h|dirent\.h|poll\.h|signal\.h|'
                    r'stdio\.h|syslog\.h|pwd\.h|grp\.h)>', re.M)


def floor(name):
    """Of session.h as of session.c, where no own row says otherwise."""
    base = os.path.basename(name)
    return FLOOR.get(base, FLOOR.get(os.path.splitext(base)[0]))


def in_table(t):
    for f in t.program:
        n = floor(f.name)
        if n is None:
            yield f.at(0, 'has no floor')
        elif (n < 2) != f.name.startswith('lib/'):
            yield f.at(0, 'floor %d does not lie here' % n)


def downwards(t):
    for f in t.program:
        for m in INCLUDE.finditer(f.text):
            own, other = floor(f.name), floor(m.group(1))
            if own is None or other is None or other > own:
                yield f.at(m.start(), 'includes "%s"' % m.group(1))


def spelled(t):
    """From above "lib/x.h", within lib "x.h": the floor shows in the line."""
    have = {f.name for f in t.program}
    for f in t.program:
        under = os.path.dirname(f.name)
        for m in INCLUDE.finditer(f.text):
            if os.path.join(under, m.group(1)) not in have:
                yield f.at(m.start(), 'no such file: "%s"' % m.group(1))


def family(t):
    """x_own.h is for x.c and x_*.c alone."""
    for f in t.program:
        base = os.path.splitext(os.path.basename(f.name))[0]
        for m in INCLUDE.finditer(f.text):
            own = re.match(r'(?:.*/)?(\w+)_own\.h$', m.group(1))
            if own and base != own.group(1) and \
                    not base.startswith(own.group(1) + '_'):
                yield f.at(m.start(), 'includes "%s"' % m.group(1))


# What the monitor has done for it.
BELOW = {'monitor': ('auth',)}


def apart(t):
    """Who looks at passwords, or has rights, or gives them up, knows no mail
    and no IMAP: there is nothing there that an attacker could feed."""
    for f in t.program:
        base = os.path.splitext(os.path.basename(f.name))[0]
        if not re.match(r'(auth|priv|sandbox|jail|monitor)(_|$)', base):
            continue
        for m in INCLUDE.finditer(f.text):
            other = os.path.splitext(m.group(1))[0]
            if other not in (base, 'auth_own') + BELOW.get(base, ()) and \
                    floor(other) != 0:
                yield f.at(m.start(), 'includes "%s"' % m.group(1))


def pure(t):
    for f in t.program:
        if floor(f.name) == 1:
            for m in SYSTEM.finditer(f.text):
                yield f.at(m.start(), 'includes <%s>' % m.group(1))


RULES = [
    ('every file has a floor', in_table),
    ('no file includes a higher floor', downwards),
    ('includes name files where they lie', spelled),
    ('private headers stay in the family', family),
    ('floor 1 knows no descriptors', pure),
    ('who has rights knows floor 0 alone', apart),
]

PLANTS = [
    ('every file has a floor', 'attic.c', '/* attic.c - nowhere. */\n'),
    ('every file has a floor', 'lib/session.c', '/* a session below. */\n'),
    ('every file has a floor', 'codec.c', '/* a codec above. */\n'),
    ('no file includes a higher floor', 'lib/str.c',
     '#include "codec.h"\n'),
    ('no file includes a higher floor', 'lib/mime.h',
     '#include "mbox.h"\n'),
    ('no file includes a higher floor', 'folder.c',
     '#  include "reply.h"\n'),
    ('no file includes a higher floor', 'fetch.c',
     '#include "session.h"\n'),
    ('no file includes a higher floor', 'view.c', '#include "cellar.h"\n'),
    ('includes name files where they lie', 'view.c', '#include "str.h"\n'),
    ('includes name files where they lie', 'lib/mime.c',
     '#include "lib/str.h"\n'),
    ('private headers stay in the family', 'fetch.c',
     '#include "folder_own.h"\n'),
    ('floor 1 knows no descriptors', 'lib/mime.c',
     '#include <unistd.h>\n'),
    ('floor 1 knows no descriptors', 'lib/set.h',
     '#include <sys/stat.h>\n'),
    ('who has rights knows floor 0 alone', 'auth_user.c',
     '#include "lib/scan.h"\n'),
    ('who has rights knows floor 0 alone', 'priv.c',
     '#include "auth.h"\n'),
    ('who has rights knows floor 0 alone', 'sandbox.c',
     '#include "folder.h"\n'),
    ('who has rights knows floor 0 alone', 'monitor.c',
     '#include "parse.h"\n'),
    ('who has rights knows floor 0 alone', 'jail.c',
     '#include "options.h"\n'),
]

tree.main(RULES, PLANTS)
