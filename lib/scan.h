/*
 * scan.h - the fused scan over a mailbox block: finds places where a From_
 * line may begin and counts line feeds in the same pass. AVX2, SSE2 or NEON
 * where there is one, and a portable twin that gives the same answers.
 */
#ifndef SCAN_H
#define SCAN_H

#include <stddef.h>
#include <stdint.h>

/*
 * Looks at p[at..n) for the first i with p[i] LF or NUL and p[i+1..] =
 * "From "; returns i, or n when there is none that is complete before n.
 * Adds to *bare the number of LFs in [at, end) that no CR precedes, where
 * end is i + 1 when one is found (that LF counts), else n. p[at-1] is read
 * when at > 0; at 0 the byte before counts as no CR.
 */
size_t	scan_from(const char *p, size_t n, size_t at, uint64_t *bare);
/* The portable twin. */
size_t	scan_from_plain(const char *p, size_t n, size_t at, uint64_t *bare);

/* LFs, and LFs that no CR precedes, in p[0..n). Either may be NULL. */
void	scan_lines(const char *p, size_t n, uint64_t *lf, uint64_t *bare);
void	scan_lines_plain(const char *p, size_t n, uint64_t *lf,
	    uint64_t *bare);

/*
 * First place at or behind `at` where needle (its ASCII letters in lower
 * case already) stands in p[0..n), ASCII letters compared without case; n
 * when it does not. An empty needle is found at once.
 */
size_t	scan_find(const char *p, size_t n, size_t at,
	    const char *needle, size_t needle_n);
size_t	scan_find_plain(const char *p, size_t n, size_t at,
	    const char *needle, size_t needle_n);

#endif
