#!/usr/bin/env python3
"""doors.t - each danger has one door: who may call what.

A row names a danger, the files that may meet it, and the words that are
it: functions (looked for as calls), and constants or headers as written.
Where a second file is allowed the note says what for. A new name in a row
is a decision, not a formality.
"""

import functools
import re

import tree

NOWHERE = ''

DOORS = [
    # danger, files, functions, other words
    ('charset conversion', 'lib/charset.c',
     'iconv iconv_open iconv_close', '<iconv.h>'),
    # The others lock small files of ours.
    ('file locks', 'lock.c folder_state.c journal.c changes.c lib/fs.c',
     'flock lockf',
     'F_SETLK F_SETLKW F_GETLK F_OFD_SETLK F_OFD_SETLKW F_OFD_GETLK '
     'LOCK_SH LOCK_EX LOCK_UN F_SETLEASE'),
    # imapd.c asks whether descriptors 0 to 2 are open.
    ('fcntl', 'lock.c imapd.c', 'fcntl', ''),
    # io.c asks what is there already.
    ('waiting', 'lib/io.c lib/await.c', 'poll ppoll select pselect', ''),
    # tls.c passes a session's bytes on, which are not the client's yet.
    # wire.c: between our own processes.
    ('the client\'s bytes', 'lib/io.c tls.c lib/wire.c',
     'send sendto sendmsg recv recvfrom recvmsg readv writev', ''),
    # folder.c looks at the first bytes of a file; auth_worker.c: its pipe;
    # watch.c: inotify's hints.
    ('read', 'lib/io.c folder.c auth_worker.c watch.c', 'read', ''),
    # fs.c fills our own unlinked files, dotlock.c says whose a lock is.
    ('write', 'lib/io.c lib/fs.c dotlock.c auth_worker.c', 'write', ''),
    ('reading at a place', 'lib/fs.c mbox_scan.c', 'pread preadv', ''),
    ('writing at a place', 'lib/fs.c',
     'pwrite pwritev copy_file_range sendfile splice', ''),
    # journal.c, changes.c: their own files; draft.c: an unlinked one.
    ('writing to a mailbox',
     'lib/fs.c lib/fs.h rewrite.c rewrite_plan.c rewrite_patch.c '
     'rewrite_tail.c rewrite_append.c journal.c changes.c draft.c',
     'fs_pwrite fs_truncate fs_reserve', ''),
    ('streams', NOWHERE,
     'fopen fdopen freopen popen fread fwrite fgets getline tmpfile', ''),
    # fs.c makes our own files, mbox_append.c opens the spool directory,
    # changes.c that of its file to sync it,
    # lib/fs.c /dev/null, too, auth_file.c a password file;
    # doctor_place.c the kernel's list of locks, doctor_repair.c what it mends
    # and the copy of that; priv.c a directory of its own, sandbox.c places,
    # without reading them, for the kernel to know.
    ('opening files',
     'mbox.c mbox_write.c mbox_append.c dotlock.c folder.c folder_change.c '
     'folder_list.c lib/fs.c lib/io.c auth_file.c '
     'doctor_place.c doctor_repair.c changes.c priv.c sandbox.c',
     'open openat openat2 creat', ''),
    ('reading directories', 'folder_list.c',
     'opendir fdopendir readdir scandir glob wordexp nftw ftw',
     '<dirent.h>'),
    # fs.c and dotlock.c: our own files; folder_change.c: mailboxes;
    # doctor_repair.c: the copy of an original; priv.c: a directory without
    # a name.
    ('making and removing names',
     'lib/fs.c dotlock.c folder_change.c doctor_repair.c priv.c',
     'unlink unlinkat rename renameat renameat2 link linkat symlink '
     'symlinkat mkdir mkdirat rmdir mkfifo mknod mkstemp mkostemp mkdtemp '
     'remove tmpnam', ''),
    # Not a mailbox: dotlock.c's own lock has a mode, and is kept young.
    ('changing files', 'dotlock.c lib/fs.c',
     'truncate ftruncate fallocate posix_fallocate chmod fchmod fchmodat '
     'chown fchown lchown fchownat utime utimes futimens utimensat', ''),
    # sandbox.c says what may not be mapped; monitor.c: a page that is never
    # written to disk, for a password.
    ('memory maps', 'lib/fs.c sandbox.c monitor.c', 'mmap munmap mremap mprotect',
     '<sys/mman.h>'),
    ('hints', 'watch.c',
     'inotify_init inotify_init1 inotify_add_watch inotify_rm_watch',
     '<sys/inotify.h>'),
    ('other programs', NOWHERE,
     'system execl execle execlp execv execve execvp execvpe fexecve '
     'posix_spawn posix_spawnp vfork clone dlopen dlsym', ''),
    ('other processes', 'auth_worker.c monitor.c', 'fork wait waitpid wait4', ''),
    # jail.c: before anybody has been let in, for --chroot; chroot alone.
    ('changing identity', 'priv.c jail.c',
     'setuid setgid seteuid setegid setreuid setregid setresuid setresgid '
     'setgroups initgroups setfsuid setfsgid chroot', ''),
    # auth_worker.c: no core with hashes in it, and no life without parent.
    # sandbox.c: filters; front.c: that it ends with the monitor.
    ('what a process may do', 'priv.c auth_worker.c sandbox.c front.c',
     'prctl syscall setsid capset', '<sys/prctl.h>'),
    ('strings without a length', NOWHERE,
     'strcpy strcat strncpy strncat stpcpy stpncpy sprintf vsprintf strtok '
     'strtok_r gets', ''),
    ('numbers without a check', NOWHERE,
     'atoi atol atoll atof strtol strtoul strtoll strtoull strtod scanf '
     'sscanf fscanf vscanf vsscanf', ''),
    ('stack of unknown size', NOWHERE, 'alloca strdupa strndupa', ''),
    # The locale decides what these say, and a signed char breaks them.
    ('letters by locale', NOWHERE,
     'isalpha isalnum isdigit isspace isupper islower isprint ispunct '
     'iscntrl isxdigit tolower toupper setlocale strcasecmp strncasecmp '
     'strcoll', '<ctype.h> <locale.h>'),
    # fs.c's copy may fail without ending the process; auth.c's answers to
    # PAM are freed by PAM.
    ('memory that may be refused', 'lib/mem.c lib/fs.c auth.c',
     'malloc calloc realloc reallocarray strdup strndup asprintf vasprintf '
     'posix_memalign aligned_alloc', ''),
    # doctor.c: there is no client; its words are for a person.
    ('the standard streams', 'options.c lib/log.c doctor.c',
     'printf vprintf fprintf vfprintf puts fputs putchar fputc putc perror',
     'stdout stderr stdin'),
    ('the system log', 'lib/log.c', 'syslog vsyslog openlog closelog',
     '<syslog.h>'),
    # fs.c asks for $TMPDIR.
    ('the environment', 'imapd.c lib/fs.c',
     'getenv secure_getenv setenv putenv unsetenv', 'environ'),
    # dotlock.c and doctor_place.c ask whether the maker of a lock lives, by
    # signal 0;
    # auth_worker.c is that process, and ends it.
    ('the end of the process',
     'options.c imapd.c lib/log.c dotlock.c auth_worker.c doctor_place.c '
     'monitor.c front.c',
     'exit _exit _Exit quick_exit abort atexit raise kill', ''),
    # await.c lets signals in while it waits and at no other moment;
    # auth_worker.c starts a process that has none of ours.
    ('signals', 'imapd.c lib/await.c auth_worker.c',
     'signal sigaction sigprocmask sigsuspend alarm setitimer', ''),
    ('jumps', NOWHERE, 'setjmp longjmp sigsetjmp siglongjmp', ''),
    # priv.c: the front's own user.
    ('users', 'imapd.c auth_user.c priv.c',
     'getpwuid getpwnam getpwuid_r getpwnam_r getlogin getpwent',
     '<pwd.h>'),
    ('groups and hashes', 'auth_user.c',
     'getgrnam getgrgid getgrent getgrouplist getspnam getspent',
     '<shadow.h>'),
    # dotlock.c has a host's name in its locks, doctor_place.c reads it.
    ('hosts and sockets', 'imapd.c dotlock.c lib/peer.c doctor_place.c monitor.c',
     'gethostname getaddrinfo gethostbyname gethostbyaddr getnameinfo '
     'getsockname getpeername getsockopt setsockopt socket connect bind '
     'listen accept socketpair', '<netdb.h>'),
    ('time zones', 'lib/date.c imapd.c',
     'localtime localtime_r mktime gmtime gmtime_r tzset strftime ctime '
     'asctime', ''),
    ('sleeping', 'lock.c changes.c',
     'sleep usleep nanosleep clock_nanosleep', ''),
    ('weak chance', NOWHERE, 'rand random srand srandom drand48 rand_r', ''),
    ('strong chance', 'lock.c journal.c changes.c mbox.c',
     'getrandom getentropy', ''),
    ('passwords', 'auth.c', 'crypt crypt_r pam_start pam_authenticate',
     '<crypt.h> <security/pam_appl.h>'),
    ('TLS', 'tls.c',
     'SSL_new SSL_read SSL_write SSL_CTX_new BIO_new BIO_new_file RAND_bytes',
     '<openssl/ssl.h> <openssl/evp.h> <openssl/bio.h> <openssl/err.h> '
     '<openssl/pem.h> <openssl/rand.h>'),
    ("Unicode's tables", 'lib/casemap.c',
     'utf8proc_totitle utf8proc_decompose_char utf8proc_map',
     '<utf8proc.h>'),
]


WORD = re.compile(r'(?<![\w.])(?<!->)\b(\w+)\b(\s*\()?|<[\w/]+\.h>')


@functools.lru_cache(maxsize=None)
def uses(file):
    """Where each word stands; a call under its name with "(". Members, and
    names that only end alike, are other words."""
    found = {}
    for m in WORD.finditer(file.code):
        word = m.group(1) or m.group(0)
        found.setdefault(word, []).append(m.start())
        if m.group(2):
            found.setdefault(word + '(', []).append(m.start())
    return found


def looked_for(functions, words):
    return [name + '(' for name in functions.split()] + words.split()


def door(files, functions, words):
    def rule(t):
        for f in t.program:
            if f.name not in files.split():
                for word in looked_for(functions, words):
                    for at in uses(f).get(word, ()):
                        yield f.at(at, word.rstrip('('))
    return rule


def still_used(t):
    """A file that no longer needs its door has it taken away."""
    have = {f.name: f for f in t.program}
    for danger, files, functions, words in DOORS:
        for name in files.split():
            if name not in have:
                yield '%s:1: no such file (%s)' % (name, danger)
            elif not any(word in uses(have[name])
                         for word in looked_for(functions, words)):
                yield '%s:1: does not use its door (%s)' % (name, danger)


def rules():
    for danger, files, functions, words in DOORS:
        yield ('%s: %s' % (danger, files or 'nowhere'),
               door(files, functions, words))
    yield 'every door is used', still_used


def plants():
    """Of every row one function and one other word, where neither may be;
    in a file that no row allows."""
    for danger, files, functions, words in DOORS:
        name = '%s: %s' % (danger, files or 'nowhere')
        if functions:
            yield name, 'view.c', 'int x = %s (1);\n' % functions.split()[-1]
        if words:
            word = words.split()[-1]
            yield name, 'lib/set.h', '%s%s\n' % (
                '#include ' if word[0] == '<' else 'int x = ', word)
    yield 'every door is used', 'lock.c', None


tree.main(list(rules()), list(plants()))
