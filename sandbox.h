/*
 * sandbox.h - what a process that talks to strangers gives away before it
 * does: files, system calls, room to grow. Who it is, is priv.h's matter.
 * May include floor 0 only.
 *
 * Both need what priv.h sets: that no program run later can gain rights.
 * What this kernel can not do is left out, and said in one line of the log:
 * the ids are the wall, this is the ditch before it.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The front, before it says a word: no file and no socket can be opened, no
 * process made or met. What is left are the descriptors it has, memory and
 * the clock; to try to make a process or a socket ends it (SIGSYS). Nothing
 * can be logged any more. A poll(2) takes at most 8 descriptors from here on.
 */
void	sandbox_front(void);

/* A directory, or one file, and all that is below it now or later. */
struct sandbox_dir {
	const char *path;	/* "" is "/"; what does not exist is left out */
	bool write;
};

/*
 * The session, once it is the user: it reads and writes the n places, reads
 * what iconv and localtime need, and opens no other file. A symbolic link
 * counts as what it leads to. It runs no program, makes no process, has no
 * socket but AF_UNIX and sends no signal but to itself (0 can be sent, which
 * is none). Descriptors that are open already stay as they are.
 */
void	sandbox_session(const struct sandbox_dir *dirs, size_t n);

#endif
