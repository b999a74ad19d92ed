"""traced.py - runs the program as it is shipped, under trace (trace.c), in
a directory that can be put back as it was; reads what it said and what it
did. Knows how answers and logs are written, and no more of IMAP.

IMAPD names the program (./imapd); trace lies beside VALIDATE
(obj/tests/validate). All that touches mailboxes must run as the user that
as_nobody() makes, since a server of root's serves nobody.
"""

import atexit
import os
import pickle
import re
import shutil
import signal
import sys
import tempfile

import disk

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IMAPD = os.path.abspath(os.environ.get('IMAPD', os.path.join(TOP, 'imapd')))
TRACE = os.path.join(os.path.dirname(os.path.abspath(os.environ.get(
    'VALIDATE', os.path.join(TOP, 'obj', 'tests', 'validate')))), 'trace')

NOBODY = 65534
ROOT = os.geteuid() == 0
# Seconds that no session takes; a lock that stays behind does.
WATCHDOG = 15
LITERAL = re.compile(rb'\{(\d+)\}$')
REPORT = re.compile(rb'trace: points=(\d+) lines=(\d+) killed=(.*)\n\Z')


def as_nobody():
    if ROOT:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def seed():
    n = int(os.environ.get('SEED') or
            int.from_bytes(os.urandom(4), 'little'))
    print('# seed %d' % n, flush=True)
    return n


# ---- processes that share the work

def spread(work, n=2):
    """[what work(i, n) returned for each i], each in a process of its own
    that is nobody's."""
    ends = []
    for i in range(n):
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(ours)
                as_nobody()
                with os.fdopen(theirs, 'wb') as f:
                    pickle.dump(work(i, n), f)
                status = 0
            finally:
                sys.stdout.flush()
                if status:
                    sys.excepthook(*sys.exc_info())
                os._exit(status)
        os.close(theirs)
        ends.append((pid, ours))
    found = []
    for pid, ours in ends:
        with os.fdopen(ours, 'rb') as f:
            data = f.read()
        if os.waitpid(pid, 0)[1] != 0:
            raise SystemExit('a process of the test failed')
        found.append(pickle.loads(data))
    return found


# ---- what was said

def responses(out):
    """(line without literals and CRLF, [literals]) of each whole answer."""
    at, line, literals = 0, b'', []
    while True:
        end = out.find(b'\r\n', at)
        if end < 0:
            return
        piece = out[at:end]
        line += piece
        at = end + 2
        m = LITERAL.search(piece)
        if m is None:
            yield line, literals
            line, literals = b'', []
            continue
        n = int(m.group(1))
        if at + n > len(out):
            return
        literals.append(out[at:at + n])
        at += n


class Script:
    """Commands, one after the other, and after how many reads of a line
    each has begun to act."""

    def __init__(self):
        self.text = b''
        self.lines = 0
        self.commands = []      # (tag, lines read when it is whole)

    def add(self, text):
        """A command without its tag; literals are {n+}."""
        tag = b'c%d' % len(self.commands)
        data = tag + b' ' + text + b'\r\n'
        self.text += data
        self.lines += data.count(b'\n')
        self.commands.append((tag, self.lines))
        return self


class Run:
    """What came of one run."""

    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        m = REPORT.search(err)
        self.points, self.lines = (int(m.group(1)), int(m.group(2))) \
            if m else (0, 0)
        self.killed = m.group(3).decode() if m else None
        self.words = err[:m.start()] if m else err
        self.timeout = False

    def results(self):
        """tag -> (OK NO BAD, the text behind it)."""
        found = {}
        for line, _ in responses(self.out):
            m = re.match(rb'(c\d+) (OK|NO|BAD) ?(.*)', line)
            if m:
                found[m.group(1)] = (m.group(2), m.group(3))
        return found


# ---- what was done

# Numbers of the fields that are numbers, by the letter of a line.
NUMBERS = {'p': (1,), 'R': (1,), 'W': (1,), 'w': (1, 2, 3), 't': (1, 2),
           'a': (1, 2, 3, 4), 's': (1,), 'c': (1,), 'm': (1,), 'n': (1,),
           'l': (1,), 'u': (1,), 'd': (1,), 'k': (1, 2), 'x': (1,)}


def read_log(path):
    """Tuples as trace.c has them; data is the last of its tuple."""
    with open(path, 'rb') as f:
        log = f.read()
    at, found = 0, []
    while at < len(log):
        end = log.find(b'\n', at)
        if end < 0:
            break               # the watchdog barked in the middle of it
        fields = log[at:end].decode('latin-1').split('\t')
        at = end + 1
        kind = fields[0]
        if kind == '?':
            raise SystemExit('trace can not tell what %s did' % fields[1])
        for i in NUMBERS[kind]:
            fields[i] = int(fields[i])
        if kind in 'RWw':
            n = fields[3 if kind == 'w' else 1]
            fields.append(log[at:at + n])
            at += n + 1
        found.append(tuple(fields))
    return found


# ---- a place for one user's mail

def data_of(path):
    """(size, [(offset, bytes)]): a journal is mostly holes."""
    fd = os.open(path, os.O_RDONLY)
    size, at, pieces = os.fstat(fd).st_size, 0, []
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        at = os.lseek(fd, start, os.SEEK_HOLE)
        data = os.pread(fd, at - start, start)
        # A reserved place is read as zeroes, and kept as a hole.
        if data.count(0) < len(data):
            pieces += full_blocks(start, data)
    os.close(fd)
    return size, pieces


def full_blocks(at, data, size=65536):
    if len(data) <= 2 * size:
        return [(at, data)]
    empty = bytes(size)
    return [(at + i, data[i:i + size]) for i in range(0, len(data), size)
            if data[i:i + size] != empty]


def put_data(path, data):
    """In place: the inode is what others know a mailbox by."""
    size, pieces = data
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.ftruncate(fd, 0)
    for at, piece in pieces:
        done = 0
        while done < len(piece):
            done += os.pwrite(fd, memoryview(piece)[done:], at + done)
    os.ftruncate(fd, size)
    os.close(fd)


class Place:
    """home and spool/alex below one directory, or below `mail`."""

    def __init__(self, mail=None, timeout=WATCHDOG):
        shm = '/dev/shm'
        self.base = tempfile.mkdtemp(
            prefix='imapd-kill.',
            dir=shm if os.access(shm, os.W_OK | os.X_OK) else None)
        mail = mail or self.base
        self.home = os.path.join(mail, 'home')
        self.spool = os.path.join(mail, 'spool')
        self.inbox = os.path.join(self.spool, 'alex')
        os.mkdir(self.home, 0o700)
        os.mkdir(self.spool, 0o700)
        os.mkdir(self.path('limbo'), 0o700)
        self.timeout = timeout
        self.options = []
        self.env = {'USER': 'alex', 'HOME': self.home, 'TZ': 'UTC',
                    'MAIL': self.inbox, 'PATH': os.defpath,
                    # A sanitiser can not look for leaks under ptrace.
                    'ASAN_OPTIONS': 'detect_leaks=0'}
        self.runs = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.base, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.base, name)

    def box(self, name):
        return self.inbox if name == 'INBOX' else os.path.join(self.home,
                                                               name)

    # -- states

    def names(self):
        """Paths of all files, those of directories before."""
        dirs, files = [], []
        for top in (self.home, self.spool):
            for path, below, names in os.walk(top):
                dirs += [os.path.join(path, d) for d in below]
                files += [os.path.join(path, n) for n in names]
        return dirs, files

    def save(self):
        dirs, files = self.names()
        return dirs, {path: data_of(path) for path in files}

    def restore(self, state):
        dirs, files = state
        have_dirs, have = self.names()
        for path in have:
            if path not in files:
                os.unlink(path)
        for path in sorted(have_dirs, reverse=True):
            if path not in dirs:
                os.rmdir(path)
        for path in sorted(dirs):
            if path not in have_dirs:
                os.mkdir(path, 0o700)
        for path, data in files.items():
            put_data(path, data)

    def keep(self, where, state, why):
        """A copy of a state, for people: below `where`, which anyone can
        write to, in home and spool."""
        to = tempfile.mkdtemp(prefix='bad.', dir=where)
        for path in state[0]:
            os.makedirs(to + path[len(self.base):], exist_ok=True)
        for path, data in state[1].items():
            path = to + path[len(self.base):]
            os.makedirs(os.path.dirname(path), exist_ok=True)
            put_data(path, data)
        with open(os.path.join(to, 'why'), 'w') as f:
            f.write(why + '\n')

    # -- disks

    def disk(self):
        """What is there, as disk.py has it."""
        dirs, paths = self.names()
        names = {path: os.stat(path).st_ino for path in paths}
        files = {}
        for path, ino in names.items():
            size, found = data_of(path)
            files[ino] = [('w', at, data) for at, data in found]
            files[ino].append(('t', size))
        names.update((path, None) for path in dirs)
        return disk.Disk(names, files)

    def settle(self, names, files):
        """Makes it so. A file that is there, or was when this was called
        before, keeps its inode."""
        limbo = self.path('limbo')
        dirs, paths = self.names()
        for path in paths:
            os.rename(path, os.path.join(limbo, str(os.stat(path).st_ino)))
        for path in sorted(dirs, reverse=True):
            os.rmdir(path)
        for path in sorted(p for p, ino in names.items() if ino is None):
            os.mkdir(path, 0o700)
        there = {}
        for path, ino in names.items():
            if ino is None:
                continue
            if ino in there:
                os.link(there[ino], path)
                continue
            there[ino] = path
            kept = os.path.join(limbo, str(ino))
            if os.path.exists(kept):
                os.rename(kept, path)
            disk.write_file(path, files.get(ino, ()))

    def forget(self):
        """What settle kept."""
        limbo = self.path('limbo')
        for name in os.listdir(limbo):
            os.unlink(os.path.join(limbo, name))

    def write(self, name, text):
        put_data(self.box(name), (len(text), [(0, text)]))

    def read(self, name):
        """The bytes of a mailbox; None when there is none."""
        try:
            with open(self.box(name), 'rb') as f:
                return f.read()
        except FileNotFoundError:
            return None

    # -- runs

    def spawn(self, script, argv):
        with open(self.path('in'), 'wb') as f:
            f.write(script.text if isinstance(script, Script) else script)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        return os.posix_spawn(argv[0], argv, self.env, file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, self.path('in'), os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, self.path('out'), flags, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, self.path('err'), flags, 0o600)])

    def collect(self, pid):
        barked = []

        def bark(*_):
            barked.append(True)
            os.kill(pid, signal.SIGKILL)
        signal.signal(signal.SIGALRM, bark)
        signal.alarm(self.timeout)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        signal.alarm(0)
        with open(self.path('out'), 'rb') as f:
            out = f.read()
        with open(self.path('err'), 'rb') as f:
            err = f.read()
        self.runs += 1
        run = Run(status, out, err)
        run.timeout = bool(barked)
        return run

    def play(self, script):
        """Not traced."""
        return self.collect(self.spawn(script, [IMAPD] + self.options))

    def trace(self, script, *how):
        """Under trace; its client waits for each answer."""
        return self.collect(self.spawn(script, [TRACE, '--step'] +
                                       list(how) + [IMAPD] + self.options))

    def logged(self, script, *how):
        log = self.path('log')
        run = self.trace(script, '--log=' + log, *how)
        return run, read_log(log)


def ours_alone():
    """Programs where nobody can run them, wherever the tree lies, up to
    the end of the test. The directory."""
    global IMAPD, TRACE
    base = tempfile.mkdtemp(prefix='imapd-tools.', dir='/tmp')
    atexit.register(shutil.rmtree, base, True)
    os.chmod(base, 0o755)
    IMAPD = shutil.copy(IMAPD, os.path.join(base, 'imapd'))
    TRACE = shutil.copy(TRACE, os.path.join(base, 'trace'))
    for path in (IMAPD, TRACE):
        os.chmod(path, 0o755)
    return base
