/*
 * str.h - borrowed bytes with a length. A str owns nothing and need not end
 * in NUL; it lives as long as the pool, buffer or window it points into.
 */
#ifndef STR_H
#define STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* ASCII case-insensitive. */
bool	str_ieq(struct str a, struct str b);
bool	str_istarts(struct str s, struct str prefix);

/* From byte `at` on; empty when `at` is beyond the end. */
static inline struct str
str_from(struct str s, size_t at)
{
	if (at >= s.n)
		return (struct str){ s.p == NULL ? NULL : s.p + s.n, 0 };
	return (struct str){ s.p + at, s.n - at };
}

/* At most n bytes from `at` on. */
static inline struct str
str_sub(struct str s, size_t at, size_t n)
{
	s = str_from(s, at);
	if (s.n > n)
		s.n = n;
	return s;
}

/* Without SP, TAB, CR, LF at both ends. */
struct str	str_trim(struct str s);
/* Without one LF or CRLF at the end. */
static inline struct str
str_chomp(struct str s)
{
	if (s.n > 0 && s.p[s.n - 1] == '\n') {
		s.n--;
		if (s.n > 0 && s.p[s.n - 1] == '\r')
			s.n--;
	}
	return s;
}

/* Index of the first c, or s.n when there is none. */
static inline size_t
str_index(struct str s, char c)
{
	const char *at;

	at = s.n == 0 ? NULL : memchr(s.p, c, s.n);
	return at == NULL ? s.n : (size_t)(at - s.p);
}

static inline bool
str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool
str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq(str_sub(s, 0, prefix.n), prefix);
}

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
