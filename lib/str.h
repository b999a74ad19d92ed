/*
 * str.h - borrowed bytes with a length. A str owns nothing and need not end
 * in NUL; it lives as long as the pool, buffer or window it points into.
 */
#ifndef STR_H
#define STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
	const char *p;
	size_t n;
};

#define STR(literal)	((struct str){ "" literal, sizeof(literal) - 1 })

static inline unsigned char
ascii_lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

static inline bool
ascii_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
ascii_alpha(unsigned char c)
{
	c |= 0x20;
	return c >= 'a' && c <= 'z';
}

/* SP, TAB, CR, LF: the white space of RFC 5322. */
static inline bool
ascii_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Bytes of a C string of our own; never for client or mailbox data. */
struct str	str_c(const char *s);

bool	str_eq(struct str a, struct str b);
/* ASCII case-insensitive. */
bool	str_ieq(struct str a, struct str b);
bool	str_starts(struct str s, struct str prefix);
bool	str_istarts(struct str s, struct str prefix);

/* From byte `at` on; empty when `at` is beyond the end. */
struct str	str_from(struct str s, size_t at);
/* At most n bytes from `at` on. */
struct str	str_sub(struct str s, size_t at, size_t n);
/* Without SP, TAB, CR, LF at both ends. */
struct str	str_trim(struct str s);
/* Without one LF or CRLF at the end. */
struct str	str_chomp(struct str s);

/* Index of the first c, or s.n when there is none. */
size_t	str_index(struct str s, char c);

/*
 * Cuts the first line (with its LF) off *rest. False when *rest is empty.
 * The last line may lack its LF.
 */
bool	str_line(struct str *rest, struct str *line);

/*
 * The whole of s as an unsigned decimal number: digits only, at least one.
 * False when it is anything else or does not fit.
 */
bool	str_u32(struct str s, uint32_t *out);
bool	str_u64(struct str s, uint64_t *out);

#endif
