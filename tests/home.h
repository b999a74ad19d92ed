/*
 * home.h - a home directory made anew for each group of tests, with a spool
 * and some foreign place beside it. openat and readdir pass through here,
 * to count what is opened and to fail on demand.
 */
#ifndef HOME_H
#define HOME_H

#include <sys/stat.h>
#include <sys/syscall.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit.h"
#include "../folder_own.h"

#define MAIL	"From alex@example.org Sat Jan  3 01:05:34 1998\n" \
		"Subject: x\n\ntext\n\n"

/* The made world. */
static struct {
	unsigned opened;	/* files opened by name, without directories */
	unsigned opened_dirs;
	unsigned entries;	/* of directories, read */
	bool opened_special;	/* a FIFO, a socket or a device was */
	int readdir_errno;	/* every directory fails after its first */
} world;

#ifndef HOME_BASE
#define HOME_BASE	"/tmp/unit_home.XXXXXX"
#endif
static char base[] = HOME_BASE;
static char home[64];
static struct folders f;

int
openat(int at, const char *name, int flags, ...)
{
	struct stat st;

	if ((flags & O_DIRECTORY) != 0) {
		world.opened_dirs++;
	} else {
		world.opened++;
		if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    !S_ISREG(st.st_mode))
			world.opened_special = true;
	}
	return (int)syscall(SYS_openat, at, name, flags, 0);
}

struct dirent *
readdir(DIR *dir)
{
	static struct dirent *(*real)(DIR *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "readdir");
	if (world.readdir_errno != 0) {
		errno = world.readdir_errno;
		return NULL;
	}
	world.entries++;
	return real(dir);
}

static inline const char *
in_home(const char *name)
{
	static char path[4][PATH_MAX];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, PATH_MAX, "%s/%s", home, name);
	return p;
}

static inline void
put(const char *name, const char *text, size_t n)
{
	int fd = open(in_home(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd == -1 || write(fd, text, n) != (ssize_t)n)
		exit(99);
	close(fd);
}

static inline void
mail(const char *name)
{
	put(name, MAIL, sizeof(MAIL) - 1);
}

static inline void
text(const char *name, const char *s)
{
	put(name, s, strlen(s));
}

static inline void
dir(const char *name)
{
	if (mkdir(in_home(name), 0755) == -1)
		exit(99);
}

/* A link in the home; `to` below the home unless it is absolute. */
static inline void
link_to(const char *name, const char *to)
{
	if (symlink(to, in_home(name)) == -1)
		exit(99);
}

static inline int
remove_one(const char *path, const struct stat *st, int type,
    struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void
begin_in(const char *mail_dir, const char *inbox)
{
	struct why why;

	folder_free(&f);
	if (folder_init(&f, home, mail_dir, inbox, &why) != E_OK)
		exit(99);
}

/* Makes the home anew, empty, with the spool beside it. */
static inline void
begin(const char *mail_dir)
{
	char inbox[PATH_MAX];

	nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (mkdir(home, 0755) == -1)
		exit(99);
	if (mail_dir != NULL)
		dir(mail_dir);
	snprintf(inbox, sizeof(inbox), "%s/spool/alex", base);
	begin_in(mail_dir, inbox);
}

static struct folder found;

static inline enum err
look(const char *name)
{
	struct why why = { "" };
	enum err e = folder_path(&f, str_c(name), &found, &why);

	return (e == E_OK) == (why.text[0] == '\0') ? e : (enum err)1;
}

/* Begins and ends a test program. */
static inline void
home_make(void)
{
	if (mkdtemp(base) == NULL || chmod(base, 0755) == -1)
		exit(99);
	snprintf(home, sizeof(home), "%s/home", base);
	if (mkdir(home, 0755) == -1)
		exit(99);
	dir("../spool");
	mail("../spool/other");
	dir("../elsewhere");
	dir("../elsewhere/deep");
	mail("../elsewhere/other");
	mail("../elsewhere/deep/other");
}

static inline void
home_remove(void)
{
	folder_free(&f);
	nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
