"""disk.py - what a disk may hold when the power goes, from a log of what a
program did (trace.c).

Between two syncs of a file its sectors reach the disk in any order, or
never; so do its new lengths. What happens to the names of a directory gets
there in order, as far as it gets, unless the directory is synced; a file
that is synced may still have no name.
"""

import os


class File:
    def __init__(self, ops=()):
        self.durable = list(ops)        # ('w', offset, bytes), ('t', size),
        self.waiting = []               # ('a', size at least)


def pieces(off, data, size):
    """One write for each sector."""
    at = 0
    while at < len(data):
        n = size - (off + at) % size
        yield 'w', off + at, data[at:at + n]
        at += n


class Disk:
    """The state before the log begins, and then after some of it."""

    def __init__(self, names, files):
        self.names = dict(names)        # path -> inode; None: directory
        self.files = {ino: File(ops) for ino, ops in files.items()}
        self.moves = {}                 # directory -> [what to do to names]
        self.dirs = {p for p, ino in self.names.items() if ino is None}

    def copy(self):
        return Disk(self.names, {ino: f.durable
                                 for ino, f in self.files.items()})

    def file(self, ino):
        return self.files.setdefault(ino, File())

    def name(self, path, ino):
        self.moves.setdefault(os.path.dirname(path), []).append((path, ino))

    def event(self, e, size):
        kind = e[0]
        if kind == 'w':
            self.file(e[1]).waiting += pieces(e[2], e[5], size)
        elif kind == 't':
            self.file(e[1]).waiting.append(('t', e[2]))
        elif kind == 'a':
            self.file(e[1]).waiting.append(('a', e[2] + e[3]))
        elif kind == 's':
            self.sync(e[1], e[2])
        elif kind == 'c':
            self.files[e[1]] = File()
            self.name(e[2], e[1])
        elif kind == 'm':
            self.dirs.add(e[2])
            self.name(e[2], None)
        elif kind == 'l':
            self.name(e[3], e[1])
        elif kind in 'ud':
            self.name(e[2], -1)
        elif kind == 'n':
            # Both names change at once; one directory's list has both.
            self.moves.setdefault(os.path.dirname(e[3]), []).append(
                (e[3], e[1], e[2]))

    def sync(self, ino, path):
        if ino in self.files:
            f = self.files[ino]
            f.durable += f.waiting
            f.waiting = []
        for move in self.moves.pop(path, ()):
            self.move(*move)

    def move(self, path, ino, old=None):
        if old is not None:
            self.names.pop(old, None)
        if ino == -1:
            self.names.pop(path, None)
        else:
            self.names[path] = ino

    def cut(self, rng):
        """{path: inode}, {inode: operations}: what is left."""
        chance = rng.choice((0, .1, .5, .5, .9, 1))
        for moves in self.moves.values():
            for move in moves[:rng.randint(0, len(moves))]:
                self.move(*move)
        left = {}
        for ino, f in self.files.items():
            ops = list(f.durable)
            if f.waiting and rng.random() < .3:
                ops += [op for op in lengths(f.waiting)
                        if rng.random() < .7]
            ops += [op for op in f.waiting if rng.random() < chance]
            left[ino] = ops
        return {path: ino for path, ino in self.names.items()
                if self.has_place(path)}, left

    def has_place(self, path):
        """What stands in a directory that is not there is not there."""
        above = os.path.dirname(path)
        return above not in self.dirs or (above in self.names and
                                          self.has_place(above))


def lengths(ops):
    """The size may get there before what it is the size of."""
    for op in ops:
        if op[0] == 'w':
            yield 'a', op[1] + len(op[2])
        else:
            yield op


def write_file(path, ops):
    """In place, as the inode is what others know a mailbox by."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(fd, 0)
    for op in ops:
        if op[0] == 'w':
            os.pwrite(fd, op[2], op[1])
        elif op[0] == 't' or os.fstat(fd).st_size < op[1]:
            os.ftruncate(fd, op[1])
    os.close(fd)
