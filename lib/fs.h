/*
 * fs.h - small file helpers that know no mailbox.
 */
#ifndef FS_H
#define FS_H

#include <stddef.h>
#include <stdint.h>

#include "str.h"

/* Reads n bytes at `at`, over interrupts; 0, or -1 with errno (0 at an
 * early end of file). */
int	fs_pread(int fd, char *to, size_t n, int64_t at);

/*
 * A new unlinked file, mode 0600, in `dir`, which is made when it is not
 * there: nothing of the file can be found or stays behind. The descriptor,
 * or -1 with errno.
 */
int	fs_spool(const char *dir);
/* Copies n bytes from `from` at `at` to the end of `to`; 0 or -1. */
int	fs_copy(int to, int from, int64_t at, uint64_t n);
/* A private, writable map of the first n bytes of our own spool file;
 * NULL with errno. fs_unmap forgets it. */
char	*fs_map(int fd, size_t n);
void	fs_unmap(char *p, size_t n);

#endif
