/*
 * doctor_place.c - what stands around a mailbox, for the doctor: the file's
 * owner, mode and second names, a dotlock beside it and who made it, locks
 * that the kernel knows of, and a change of ours that was interrupted. Looks
 * only; whether a dotlock is removed is decided in dotlock.c alone.
 */
#include "doctor_own.h"

#include <sys/sysmacros.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "journal.h"
#include "lib/fs.h"
#include "lib/log.h"

enum {
	HOST_ROOM = 65,
	TEXT_ROOM = 128,
	LOCKS_ROOM = 1048576,
	/* As in dotlock.c: seconds without a change, of the dotlock and of
	 * the mailbox. */
	OLD_LOCK = 300,
	OLD_MAILBOX = 120,
};

static void
say_file(const struct stat *st, struct report *report)
{
	const mode_t odd = S_IWOTH | S_IXUSR | S_IXGRP | S_IXOTH | S_ISUID |
	    S_ISGID | S_ISVTX, owner = S_IRUSR | S_IWUSR;

	if (st->st_nlink > 1)
		doctor_say(report, "the file has a second name (%lu links);"
		    " imapd only reads it, since other programs would lock "
		    "it by that", (unsigned long)st->st_nlink);
	if (st->st_uid != geteuid())
		doctor_say(report, "the file belongs to another user (uid "
		    "%lu); imapd can do what its mode allows",
		    (unsigned long)st->st_uid);
	if (st->st_mode & odd || (st->st_mode & owner) != owner)
		doctor_say(report, "the file has the mode %04o; a mailbox "
		    "has 0600 or 0660, and imapd never changes it",
		    (unsigned)(st->st_mode & 07777));
}

/* ---- the dotlock ---- */

struct holder {
	uint32_t pid;		/* 0: not told */
	bool here;		/* on this host */
	char host[HOST_ROOM];
};

/* "PID:HOST", or a PID alone; other programs write nothing, or 0. */
static void
read_holder(const char *path, struct holder *h)
{
	struct buf text = BUF_MAX(TEXT_ROOM);
	char host[HOST_ROOM] = "";
	struct str rest;
	size_t n;

	if (fs_read("/", path + 1, &text) == 0) {
		rest = str_trim(buf_str(&text));
		n = str_index(rest, ':');
		if (!str_u32(str_sub(rest, 0, n), &h->pid) ||
		    h->pid > INT_MAX)
			h->pid = 0;
		rest = str_from(rest, n + 1);
		gethostname(host, HOST_ROOM - 1);
		h->here = rest.n > 0 && str_eq(rest, str_c(host));
		log_clean(rest, h->host, sizeof(h->host));
	}
	buf_free(&text);
}

/* Is the maker there? Who may not be sent a signal lives, too. */
static const char *
state_of(const struct holder *h, int64_t age, int64_t quiet)
{
	if (h->pid > 0 && h->here)
		return kill((pid_t)h->pid, 0) == 0 || errno != ESRCH ?
		    "which is alive; imapd waits for it" : "which is dead: "
		    "it is stale, and imapd removes it";
	if (age > OLD_LOCK && quiet > OLD_MAILBOX)
		return "and nothing has changed for long: it is stale, and "
		    "imapd removes it";
	return "whose maker can not be asked; imapd waits until it is old";
}

static void
say_dotlock(const struct doctor *d, const struct stat *mailbox,
    struct report *report)
{
	char path[PATH_MAX], who[HOST_ROOM + 64] = "of an unknown process";
	struct holder h = { .pid = 0 };
	struct stat st;
	int64_t now = time(NULL);
	int n = snprintf(path, sizeof(path), "%s.lock", d->path);

	if (n < 0 || (size_t)n >= sizeof(path) || lstat(path, &st) != 0)
		return;
	if (S_ISREG(st.st_mode))
		read_holder(path, &h);
	if (h.pid > 0)
		snprintf(who, sizeof(who), "of process %lu%s%s",
		    (unsigned long)h.pid, h.host[0] != '\0' ? " on " : "",
		    h.host);
	doctor_say(report, "a dotlock stands beside the file, %s, %lld s "
	    "old, %s", who, (long long)(now - st.st_mtime),
	    state_of(&h, now - st.st_mtime, now - mailbox->st_mtime));
}

/* ---- an interrupted change ---- */

static const char *
plan_words(uint32_t kind)
{
	switch (kind) {
	case PLAN_COMPACT:
		return "removing or moving messages";
	case PLAN_EXPAND:
		return "writing UIDs and flags into headers";
	case PLAN_PATCH:
		return "changing flags";
	case PLAN_APPEND:
		return "adding messages";
	default:
		return "something unknown";
	}
}

static void
say_journal(const struct doctor *d, const struct stat *mailbox,
    struct report *report)
{
	struct journal j;
	struct plan plan;

	if (journal_look(&j, d->writer->dir) != E_OK)
		return;
	if (journal_plan(&j, &plan, false) == 1 &&
	    plan.dev == (uint64_t)mailbox->st_dev &&
	    plan.ino == (uint64_t)mailbox->st_ino)
		doctor_say(report, "a change of this mailbox was interrupted "
		    "in the middle of %s (%lu in the plan); imapd finishes "
		    "it when the mailbox is opened next", plan_words(
		    plan.kind), (unsigned long)plan.n);
	journal_close(&j);
}

void
doctor_place(const struct doctor *d, const struct stat *st,
    struct report *report)
{
	say_file(st, report);
	say_dotlock(d, st, report);
	say_journal(d, st, report);
}

/* ---- locks that are held ---- */

static struct str
next_word(struct str *rest)
{
	struct str word;

	*rest = str_trim(*rest);
	word = str_sub(*rest, 0, str_index(*rest, ' '));
	*rest = str_from(*rest, word.n);
	return word;
}

/* "1: POSIX  ADVISORY  WRITE 3568 fd:00:2531452 0 EOF"; a process that
 * waits has "->" behind the number. */
static void
say_lock(struct str line, struct str file)
{
	struct str kind, mode, pid;
	uint32_t number;

	next_word(&line);
	kind = next_word(&line);
	next_word(&line);
	mode = next_word(&line);
	pid = next_word(&line);
	if (!str_eq(next_word(&line), file) || kind.p[0] == '-')
		return;
	if (!str_u32(pid, &number))
		number = 0;
	doctor_tell("a lock is held: %.*s, %.*s, by process %lu%s\n",
	    (int)kind.n, kind.p, (int)mode.n, mode.p, (unsigned long)number,
	    number == 0 ? " (the kernel does not tell which)" : "");
}

void
doctor_holders(const struct stat *st)
{
	char file[64];
	struct buf text = BUF_MAX(LOCKS_ROOM);
	char *p = buf_grow(&text, LOCKS_ROOM);
	int fd = open("/proc/locks", O_RDONLY | O_CLOEXEC);
	struct str rest, line;

	snprintf(file, sizeof(file), "%02x:%02x:%llu", major(st->st_dev),
	    minor(st->st_dev), (unsigned long long)st->st_ino);
	if (fd >= 0 && p != NULL) {
		/* It ends where it ends: its size is not known before. */
		memset(p, 0, LOCKS_ROOM);
		fs_pread(fd, p, LOCKS_ROOM, 0);
		rest = str_sub((struct str){ p, LOCKS_ROOM }, 0,
		    str_index((struct str){ p, LOCKS_ROOM }, '\0'));
		while (str_line(&rest, &line))
			say_lock(str_chomp(line), str_c(file));
	}
	if (fd >= 0)
		close(fd);
	buf_free(&text);
}
