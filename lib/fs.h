/*
 * fs.h - small file helpers that know no mailbox.
 */
#ifndef FS_H
#define FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "str.h"

/* Reads n bytes at `at`, over interrupts; 0, or -1 with errno (0 at an
 * early end of file). */
int	fs_pread(int fd, char *to, size_t n, int64_t at);

/*
 * A new unlinked file, mode 0600, in `dir`, which is made when it is not
 * there, else (also when dir is NULL) in $TMPDIR: nothing of the file can
 * be found or stays behind. The descriptor, or -1 with errno.
 */
int	fs_spool(const char *dir);
/* Copies n bytes from `from` at `at` to the end of `to`; 0 or -1. */
int	fs_copy(int to, int from, int64_t at, uint64_t n);
/* A private, writable map of the first n bytes of our own spool file;
 * NULL with errno. fs_unmap forgets it. */
char	*fs_map(int fd, size_t n);
void	fs_unmap(char *p, size_t n);

/* Writes n bytes at `at`, over interrupts and short writes; 0, or -1 with
 * errno, when any part of them may have been written. */
int	fs_pwrite(int fd, const char *p, size_t n, int64_t at);
/* What was written to fd, and its size, are on the disk; 0 or -1. */
int	fs_sync(int fd);
/* It was changed now, to the nanosecond, not to the tick; 0 or -1. */
int	fs_touch(int fd);
/* Cuts the file off at `size`; 0 or -1. */
int	fs_truncate(int fd, int64_t size);
/* Makes the file at least `size` bytes that the disk has room for. */
int	fs_reserve(int fd, int64_t size);
/*
 * Opens our private file `name` in `dir` for reading and writing: regular,
 * ours alone, with no second name, no symbolic link. With `create` it is
 * made, mode 0600, when it is not there. The descriptor, or -1 with errno.
 */
int	fs_own(const char *dir, const char *name, bool create);
/* Gives a file in `dir` another name there, in place of what had it. */
int	fs_rename_own(const char *dir, const char *from, const char *to);

/* The names in the directory open on fd are on the disk; 0 or -1. */
int	fs_sync_dir(int fd);
/* Makes our private directory, mode 0700, where there is none; -1 with errno
 * when it can not be had or others may write to it. */
int	fs_own_dir(const char *dir);
/*
 * Appends all of `name` in `dir` to out. -1 with errno: EFBIG when it is
 * more than out may hold, EPERM when it is no regular file, ELOOP for a
 * symbolic link.
 */
int	fs_read(const char *dir, const char *name, struct buf *out);
/*
 * The file `name` in `dir` holds these bytes, or at a failure what it held
 * before (if only the last sync failed, either); a kill or a power cut
 * leaves one of both. Made by way of NAME.new: one process at a time.
 */
int	fs_replace(const char *dir, const char *name, struct str bytes);
/*
 * The same for what can be done without: does not wait for the disk, so that
 * after a power cut the file may hold anything, and leaves it to another
 * process that is just doing it (-1, EWOULDBLOCK).
 */
int	fs_cache(const char *dir, const char *name, struct str bytes);
/* Removes our file `name`; one that is not there is no failure. */
int	fs_drop(const char *dir, const char *name);
/*
 * A new file, mode 0600, of these bytes in the directory open on `dir`;
 * EEXIST when the name is taken. At any failure nothing of it is left.
 */
int	fs_create(int dir, const char *name, struct str bytes);

/* Closes all descriptors from `first` to `last`; INT_MAX: all that follow. */
void	fs_close(int first, int last);

/*
 * What is read from ends[0] is at its end, what is written to ends[1]
 * vanishes: one descriptor of /dev/null, twice, or in a jail without /dev a
 * pipe that waits for nobody. Closed on exec; -1 with errno.
 */
int	fs_nowhere(int ends[2]);

#endif
