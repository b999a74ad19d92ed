/*
 * folder_state.c - what is kept for a user beside the mailboxes, in
 * ~/.imapd: the highest UIDVALIDITY that was ever given out, and the lock
 * under which sessions change the small files. No mail is lost with either.
 * Touches no mailbox.
 */
#include <sys/file.h>

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "folder.h"
#include "folder_own.h"
#include "lib/fs.h"
#include "lib/log.h"

int
folder_state_dir(const struct folders *f, struct path *path)
{
	if (path_set(path, str_c(f->home)) && path_add(path, STR(".imapd")))
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

/*
 * The locked file is none of those that change: they are replaced, and a
 * lock does not follow. flock, since the file is ours alone and others look
 * for no lock on it; the kernel gives the lock of a dead process to the
 * next, so there is no time-out.
 */
int
folder_state_lock(const struct folders *f)
{
	struct path dir;
	int fd, r;

	if (folder_state_dir(f, &dir) != 0 || fs_own_dir(dir.p) != 0)
		return -1;
	fd = fs_own(dir.p, "lock", true);
	if (fd < 0)
		return -1;
	while ((r = flock(fd, LOCK_EX)) != 0 && errno == EINTR)
		continue;
	if (r == 0)
		return fd;
	close(fd);
	return -1;
}

/* 0 where there is none yet. A file that says nothing is none. */
static enum err
read_highest(const char *dir, uint32_t *highest, struct why *why)
{
	struct buf text = BUF_MAX(64);
	enum err e = E_OK;

	*highest = 0;
	if (fs_read(dir, "uidvalidity", &text) == 0) {
		if (!str_u32(str_trim(buf_str(&text)), highest))
			log_warn("~/.imapd/uidvalidity is damaged");
	} else if (errno == EFBIG)
		log_warn("~/.imapd/uidvalidity is damaged");
	else if (folder_errno(errno) != E_NOENT)
		e = why_set(why, folder_errno(errno),
		    "cannot read ~/.imapd/uidvalidity: %s", strerror(errno));
	buf_free(&text);
	return e;
}

static enum err
write_highest(const char *dir, uint32_t highest, struct why *why)
{
	struct buf text = BUF_MAX(64);
	enum err e = E_OK;

	buf_addf(&text, "%u\n", highest);
	if (fs_replace(dir, "uidvalidity", buf_str(&text)) != 0)
		e = why_set(why, folder_errno(errno),
		    "cannot write ~/.imapd/uidvalidity: %s", strerror(errno));
	buf_free(&text);
	return e;
}

/*
 * DESIGN 6: "UIDVALIDITY and UIDNEXT stay below 2^31", for there are clients
 * that keep it in a signed number. What lies beyond (a clock after January
 * 2038, numbers that another program has used up) does not count, which
 * repeats a number at worst 68 years after it was used.
 */
static uint32_t
next_after(int64_t since, uint32_t highest, uint32_t at_least)
{
	uint32_t next = 1;

	if (since > 0 && since <= INT32_MAX)
		next = (uint32_t)since;
	if (highest >= next && highest < INT32_MAX)
		next = highest + 1;
	if (at_least > next && at_least <= INT32_MAX)
		next = at_least;
	return next;
}

enum err
folder_uidvalidity(const struct folders *f, uint32_t at_least, uint32_t *out,
    struct why *why)
{
	struct path dir;
	uint32_t highest;
	enum err e;
	int lock;

	lock = folder_state_lock(f);
	if (lock < 0) {
		log_warn("no memory of UIDVALIDITYs in ~/.imapd: %s",
		    strerror(errno));
		*out = next_after(time(NULL), 0, at_least);
		return E_OK;
	}
	folder_state_dir(f, &dir);
	e = read_highest(dir.p, &highest, why);
	if (e == E_OK) {
		*out = next_after(time(NULL), highest, at_least);
		e = write_highest(dir.p, *out, why);
	}
	close(lock);
	return e;
}

/*
 * Without the lock: the file is replaced, never changed. What may not be
 * read will not be written to either, and is no memory.
 */
static enum err
look_highest(const struct folders *f, uint32_t *highest, struct why *why)
{
	struct path dir;
	enum err e = E_OK;

	*highest = 0;
	if (folder_state_dir(f, &dir) == 0)
		e = read_highest(dir.p, highest, why);
	return e == E_PERM ? E_OK : e;
}

enum err
folder_uidvalidity_peek(const struct folders *f, int64_t since,
    uint32_t *out)
{
	uint32_t highest;
	enum err e = look_highest(f, &highest, NULL);

	*out = next_after(since, highest, 0);
	return e;
}

bool
folder_uidvalidity_last(const struct folders *f, uint32_t v)
{
	uint32_t highest;

	return look_highest(f, &highest, NULL) == E_OK && highest == v;
}

/* Two sessions may raise the number at once: it is read again under the
 * lock. */
enum err
folder_uidvalidity_used(const struct folders *f, uint32_t v, struct why *why)
{
	struct path dir;
	uint32_t highest;
	enum err e = look_highest(f, &highest, why);
	int lock;

	if (e != E_OK || v <= highest || v > INT32_MAX)
		return e;
	lock = folder_state_lock(f);
	if (lock < 0)
		return E_OK;
	folder_state_dir(f, &dir);
	e = read_highest(dir.p, &highest, why);
	if (e == E_OK && v > highest)
		e = write_highest(dir.p, v, why);
	close(lock);
	return e;
}
