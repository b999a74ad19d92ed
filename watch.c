/*
 * watch.c - inotify on one mailbox file and its directory. Opens nothing and
 * reads nothing but hints.
 */
#include "watch.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/str.h"

enum {
	ON_FILE = IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF,
	ON_DIR = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
	    IN_ONLYDIR,
	ROOM = 4096,		/* of events; one has less than 300 bytes */
};

/* What stands behind the last slash. */
static struct str
last_part(struct str path)
{
	size_t at = path.n;

	while (at > 0 && path.p[at - 1] != '/')
		at--;
	return str_from(path, at);
}

/* The file that has the name now; the watch of an earlier one is of no use. */
static void
watch_file(struct watch *w)
{
	int file = inotify_add_watch(w->fd, w->path, ON_FILE | IN_DONT_FOLLOW);

	if (w->file >= 0 && file != w->file)
		inotify_rm_watch(w->fd, w->file);
	w->file = file;
}

void
watch_also(struct watch *w, const char *path)
{
	int also = -1;

	if (w->fd < 0)
		return;
	if (path != NULL)
		also = inotify_add_watch(w->fd, path, ON_FILE |
		    IN_DONT_FOLLOW);
	if (w->also >= 0 && also != w->also)
		inotify_rm_watch(w->fd, w->also);
	w->also = also;
}

void
watch_open(struct watch *w, const char *path)
{
	char dir[PATH_MAX];
	struct str all = str_c(path), name = last_part(all);

	*w = (struct watch){
		.fd = -1, .file = -1, .dir = -1, .also = -1, .path = path,
	};
	if (name.n >= all.n || all.n - name.n >= sizeof(dir))
		return;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		return;
	memcpy(dir, all.p, all.n - name.n);
	dir[all.n - name.n] = '\0';
	w->dir = inotify_add_watch(w->fd, dir, ON_DIR);
	watch_file(w);
	/* Without one of both too much would be missed. */
	if (w->dir < 0)
		watch_close(w);
}

/* In a spool there are others' mailboxes, too. */
static bool
is_ours(const struct watch *w, const struct inotify_event *event)
{
	struct str name = last_part(str_c(w->path)), got;

	if (event->mask & (IN_Q_OVERFLOW | IN_IGNORED))
		return true;
	if (event->wd != w->dir)
		return event->wd == w->file || event->wd == w->also;
	got = (struct str){ event->name, strnlen(event->name, event->len) };
	return str_starts(got, name) && (got.n == name.n ||
	    str_eq(str_from(got, name.n), STR(".lock")));
}

/* All that there is is read, so that one look answers a hundred hints. */
bool
watch_take(struct watch *w)
{
	_Alignas(struct inotify_event) char bytes[ROOM];
	const struct inotify_event *event;
	bool ours = false;
	ssize_t n, at;

	while ((n = read(w->fd, bytes, sizeof(bytes))) > 0)
		for (at = 0; at < n; at += (ssize_t)(sizeof(*event) +
		    event->len)) {
			event = (const void *)(bytes + at);
			ours = is_ours(w, event) || ours;
		}
	if (ours)
		watch_file(w);
	/* Where hints can not be read there will be none. */
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		watch_close(w);
		ours = true;
	}
	return ours;
}

void
watch_close(struct watch *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = w->file = w->dir = w->also = -1;
}
