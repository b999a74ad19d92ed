/*
 * str.c - borrowed bytes: comparing, cutting, reading numbers. Never
 * allocates, never writes, never looks beyond s.n.
 */
#include "str.h"

#include <string.h>

struct str
str_c(const char *s)
{
	return (struct str){ s, strlen(s) };
}

bool
str_ieq(struct str a, struct str b)
{
	size_t i;

	if (a.n != b.n)
		return false;
	for (i = 0; i < a.n; i++)
		if (ascii_lower((unsigned char)a.p[i]) !=
		    ascii_lower((unsigned char)b.p[i]))
			return false;
	return true;
}

bool
str_istarts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_ieq(str_sub(s, 0, prefix.n), prefix);
}

struct str
str_trim(struct str s)
{
	while (s.n > 0 && ascii_space((unsigned char)s.p[s.n - 1]))
		s.n--;
	while (s.n > 0 && ascii_space((unsigned char)s.p[0])) {
		s.p++;
		s.n--;
	}
	return s;
}

bool
str_line(struct str *rest, struct str *line)
{
	size_t n;

	if (rest->n == 0)
		return false;
	n = str_index(*rest, '\n');
	*line = str_sub(*rest, 0, n + 1);
	*rest = str_from(*rest, n + 1);
	return true;
}

bool
str_u64(struct str s, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	if (s.n == 0)
		return false;
	for (i = 0; i < s.n; i++)
		if (!ascii_digit((unsigned char)s.p[i]) ||
		    __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return false;
	*out = v;
	return true;
}

bool
str_u32(struct str s, uint32_t *out)
{
	uint64_t v;

	if (!str_u64(s, &v) || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}
