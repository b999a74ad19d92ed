"""mda_writer.py HOW MAILBOX [UID GID] - for mda.py: puts mail at a mailbox's
end and takes one lock only, HOW: dotlock, fcntl or flock. So it meets nobody
who does not take this one as well, and sees whether all that a server does to
the file is done under it: from the lock's taking to its end nothing but this
hand may change the file's size, its time or the dotlock.

Reads "LENGTH PIECES" and a message of so many octets, again and again, and
says in a line what has gone wrong, or nothing. With one piece it neither
waits nor looks: then the system itself keeps appended pieces apart, and
others may write that know nothing of its lock. UID and GID: who it
shall be, if root starts it.
"""

import fcntl
import os
import random
import signal
import sys
import time

PATIENCE = 90       # seconds; nothing takes as long


class Held:
    """The mailbox, open for appending and locked."""

    def __init__(self, how, path):
        self.how, self.path = how, path

    def __enter__(self):
        if self.how == 'dotlock':
            self.dotlock()
        self.fd = os.open(self.path, os.O_RDWR | os.O_APPEND)
        if self.how == 'fcntl':
            fcntl.lockf(self.fd, fcntl.LOCK_EX)
        elif self.how == 'flock':
            fcntl.flock(self.fd, fcntl.LOCK_EX)
        return self

    def dotlock(self):
        while True:
            try:
                self.dot = os.open(self.path + '.lock', os.O_CREAT |
                                   os.O_EXCL | os.O_WRONLY, 0o444)
                return
            except FileExistsError:
                time.sleep(random.uniform(.01, .05))

    def __exit__(self, *unused):
        os.close(self.fd)
        if self.how == 'dotlock':
            os.close(self.dot)
            os.unlink(self.path + '.lock')

    def state(self):
        st = os.fstat(self.fd)
        return st.st_size, st.st_mtime_ns

    def quiet(self):
        """Others get time to do what they may not."""
        before = self.state()
        time.sleep(.01)
        if self.state() != before:
            raise OSError('changed under its %s: %s, then %s' % (
                self.how, before, self.state()))
        if self.how == 'dotlock' and os.fstat(self.dot).st_nlink != 1:
            raise OSError('its dotlock was removed')


def append(held, data, pieces):
    if pieces == 1:
        if os.write(held.fd, data) != len(data):
            raise OSError('a short write')
        return
    held.quiet()
    step = len(data) // pieces + 1
    for at in range(0, len(data), step):
        os.write(held.fd, data[at:at + step])
        held.quiet()


def main():
    how, path, *ids = sys.argv[1:]
    if ids:
        os.setgroups([])
        os.setgid(int(ids[1]))
        os.setuid(int(ids[0]))
    for line in sys.stdin.buffer:
        length, pieces = map(int, line.split())
        data = sys.stdin.buffer.read(length)
        signal.alarm(PATIENCE)
        said = ''
        try:
            with Held(how, path) as held:
                append(held, data, pieces)
        except OSError as e:
            said = str(e)
        signal.alarm(0)
        print(said, flush=True)


if __name__ == '__main__':
    main()
