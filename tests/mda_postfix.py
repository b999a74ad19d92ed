"""mda_postfix.py - Postfix as one more of the delivery programs of mda.py.

Its package and Exim's exclude each other, so it is unpacked into a directory
of the test and never installed: no configuration, queue, user or service of
the system is touched. What runs is a whole Postfix, small and private - its
master, smtpd behind a socket in its own queue, cleanup, qmgr - and so its
local(8) is started, fed and given a user's rights as on any host. It opens no
port. postfix and postdrop, whom it wants to know, stand in the passwd and
group files of the test's own name space.
"""

import glob
import os
import re
import signal
import socket
import subprocess
import time

from hostile import ROOT, WATCHDOG
from mda import PATH, SENDER, Mda, message, quote_from
from service import FIRST_UID, POLL

INSTALLED = '/usr/lib/postfix/sbin/master'
OWNER, DROP = FIRST_UID - 1, FIRST_UID - 2
PASSWD = 'postfix:x:%d:%d::/nonexistent:/usr/sbin/nologin\n' % (OWNER, OWNER)
GROUP = 'postfix:x:%d:\npostdrop:x:%d:\n' % (OWNER, DROP)
LONGEST = '7200'    # seconds; then it ends though nobody has ended it
QUEUES = ('active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold',
          'incoming', 'maildrop', 'private', 'public', 'saved', 'trace')

MAIN = '''compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
meta_directory = {dir}
command_directory = {tree}/usr/sbin
daemon_directory = {tree}/usr/lib/postfix/sbin
shlib_directory = {tree}/usr/lib/postfix
import_environment = MAIL_CONFIG TZ LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME
	LD_LIBRARY_PATH
maillog_file = {dir}/log
maillog_file_prefixes = {dir}
myhostname = localhost.example.org
mydestination = example.org
inet_interfaces = loopback-only
inet_protocols = ipv4
local_recipient_maps =
alias_maps =
alias_database =
smtpd_relay_restrictions =
smtpd_recipient_restrictions = reject_unauth_destination
biff = no
in_flow_delay = 0
mailbox_size_limit = 0
local_destination_concurrency_limit = {lanes}
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
mail_spool_directory = {spool}
mailbox_delivery_lock = {locks}
'''
MASTER = '''smtpd unix n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
local unix - n n - - local
postlog unix-dgram n - n - 1 postlogd
'''


def apt(place, *what):
    """Its complaint, if any."""
    try:
        done = subprocess.run(
            ['apt-get', '-qq', '-o', 'APT::Sandbox::User=root', '-o',
             'Acquire::http::Timeout=20', *what], cwd=place, timeout=120,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
    except (OSError, subprocess.TimeoutExpired) as e:
        return str(e)
    said = done.stdout.decode('latin-1').strip().splitlines()
    return said[-1] if done.returncode and said else ''


def unpack(place):
    """Why there is no Postfix below `place` now, if so."""
    for before in ([], ['update']):
        if before and apt(place, *before):
            break
        said = apt(place, 'download', 'postfix')
        found = glob.glob(os.path.join(place, 'postfix_*.deb'))
        if found:
            break
    if not found:
        return 'the package postfix can not be had: ' + said
    tree = os.path.join(place, 'postfix')
    done = subprocess.run(['dpkg-deb', '-x', found[0], tree],
                          stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE)
    if done.returncode:
        return done.stderr[-200:].decode('latin-1').strip()
    Postfix.TREE = tree
    libraries = subprocess.run(
        ['ldd', tree + '/usr/lib/postfix/sbin/local'], env=Postfix.outer(),
        stdout=subprocess.PIPE).stdout.decode('latin-1')
    missing = re.findall(r'(\S+) => not found', libraries)
    return 'Postfix needs ' + ', '.join(missing) if missing else None


class Postfix(Mda):
    """local takes the dotlock before anything else, then the others; where
    the spool is root's alone, it does so with root's rights."""

    NAME, LANES, ASKS_PASSWD = 'Postfix', 10, True
    LOCKS = ('dotlock fcntl', 'fcntl', 'flock')
    TREE, WHY, master = '', None, None
    quoted = staticmethod(quote_from)

    @classmethod
    def provide(cls, place):
        """Installed or unpacked; asked for once."""
        if ROOT and not os.path.exists(INSTALLED):
            os.mkdir(place)
            os.chmod(place, 0o755)
            cls.WHY = unpack(place)

    @classmethod
    def lacks(cls):
        return cls.WHY if ROOT else 'Postfix needs root'

    @classmethod
    def outer(cls):
        return {'PATH': PATH, 'TZ': 'UTC', 'LD_LIBRARY_PATH':
                cls.TREE + '/usr/lib/postfix'}

    def set_up(self):
        """master reads its files once more while they are younger than a
        second."""
        os.chown(self.dir, 0, 0)
        os.chmod(self.dir, 0o755)
        for name, text in (('main.cf', MAIN), ('master.cf', MASTER)):
            path = os.path.join(self.dir, name)
            with open(path, 'w') as f:
                f.write(text.format(
                    dir=self.dir, tree=self.TREE, lanes=self.LANES,
                    spool=os.path.dirname(self.inbox),
                    locks=self.locks.replace(' ', ', ')))
            os.utime(path, (0, 0))
        self.log = os.path.join(self.dir, 'log')
        self.socket = os.path.join(self.dir, 'queue', 'public', 'smtpd')
        self.make_queue()
        self.start()

    def make_queue(self):
        for name in ('data', 'queue', 'queue/pid') + tuple(
                'queue/' + name for name in QUEUES):
            path = os.path.join(self.dir, name)
            os.mkdir(path)
            os.chmod(path, 0o755)
            if name not in ('queue', 'queue/pid'):
                os.chown(path, OWNER, OWNER)

    def start(self):
        self.master = subprocess.Popen(
            [self.TREE + INSTALLED, '-d', '-e', LONGEST, '-c', self.dir],
            cwd='/',
            env=dict(self.outer(), MAIL_CONFIG=self.dir),
            stdin=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + WATCHDOG
        while not os.path.exists(self.socket):
            if self.master.poll() is not None or time.monotonic() > end:
                self.close()
                raise RuntimeError('Postfix does not start: ' +
                                   self.logged(0)[-400:])
            time.sleep(POLL)

    def logged(self, at):
        try:
            with open(self.log, 'rb') as f:
                f.seek(at)
                return f.read().decode('latin-1')
        except FileNotFoundError:
            return ''

    def submit(self, data):
        """Its name in the queue."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(WATCHDOG)
            s.connect(self.socket)
            with s.makefile('rwb') as f:
                self.say(f, b'')
                user = os.path.basename(self.inbox).encode()
                for line in (b'HELO localhost',
                             b'MAIL FROM:<%s>' % SENDER.encode(),
                             b'RCPT TO:<%s@example.org>' % user, b'DATA'):
                    self.say(f, line + b'\r\n')
                dots = re.sub(rb'^\.', b'..', data, flags=re.M)
                if not dots.endswith(b'\r\n'):
                    dots += b'\r\n'
                got = self.say(f, dots + b'.\r\n')
                f.write(b'QUIT\r\n')
        return got.split()[-1].decode()

    def say(self, f, data):
        f.write(data)
        f.flush()
        got = f.readline()
        if got[:1] not in (b'2', b'3'):
            raise OSError('%s: %s: %s' % (self, data[:40], got))
        return got

    def deliver(self, n):
        """Who finds the mailbox locked for 20 seconds tries again later."""
        at = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        name = self.submit(message(n, b'\r\n'))
        end = time.monotonic() + 3 * WATCHDOG
        while time.monotonic() < end:
            said = self.logged(at)
            if name + ': removed' in said:
                return '' if re.search(
                    name + r': to=.* \(delivered to mailbox\)', said) else \
                    '%s: not delivered: %s' % (self, said[-600:])
            time.sleep(POLL)
        return '%s: number %d stays in its queue: %s' % (
            self, n, self.logged(at)[-600:])

    def close(self):
        """All that it has started is of its process group."""
        if self.master is None or self.master.returncode is not None:
            return
        self.master.terminate()
        self.master.wait()
        try:
            os.killpg(self.master.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
