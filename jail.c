/*
 * jail.c - the process's root becomes a directory, for good. A jail keeps
 * nobody in who is root; that is priv.c's to end. It may know floor 0 only,
 * and runs before anything of the client was read.
 */
#include "jail.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"

static void
must(int r, const char *dir, const char *what)
{
	if (r != 0)
		log_fatal("can not go into --chroot=%.200s: %s: %s", dir, what,
		    strerror(errno));
}

/*
 * The C library looks for /etc/nsswitch.conf and loads modules from /lib and
 * /usr/lib, as root: who can make these in the jail could have anything run
 * by us (FreeBSD-SA-11:07.chroot). The look is at where we are, so it can not
 * be another directory that we stay in.
 */
static void
must_be_roots(const char *dir)
{
	struct stat st;

	must(stat(".", &st), dir, "stat");
	if (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		log_fatal("can not go into --chroot=%.200s: others than root"
		    " may write into it", dir);
}

void
jail_enter(const char *dir)
{
	must(chdir(dir), dir, "chdir");
	must_be_roots(dir);
	must(chroot("."), dir, "chroot");
	must(chdir("/"), dir, "chdir /");
}
