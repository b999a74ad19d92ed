/*
 * watch.h - tells at once that something may have happened to a mailbox
 * file, or to another that belongs to it, by inotify(7). It is only a hint:
 * what happened, if anything, is for mbox_sync to find, and hints can be
 * lacking (other hosts' changes over NFS, no inotify instances left), so the
 * caller also looks now and then.
 */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>

struct watch {
	int fd;			/* readable: look; -1: there are no hints */
	int file;		/* descriptors of inotify, or -1 */
	int dir;
	int also;
	const char *path;	/* the caller's */
};

/* Begins to watch the file, whether it is there or not, and its directory: a
 * file may be replaced, and a dotlock that goes means that it is ready. */
void	watch_open(struct watch *w, const char *path);
/* Watches this file besides, from now on; NULL: none. In place of the one
 * that was named before. */
void	watch_also(struct watch *w, const char *path);
/* Takes the hints. False if all were about other files of the directory. */
bool	watch_take(struct watch *w);
void	watch_close(struct watch *w);

#endif
