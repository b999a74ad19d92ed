/*
 * utf8.c - UTF-8, read one character at a time and never trusted: overlong
 * forms, surrogates and what lies beyond U+10FFFF are no characters.
 */
#include "utf8.h"

#include <string.h>

size_t
utf8_get(struct str s, uint32_t *cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s.p;
	uint32_t v;
	size_t i, n;

	if (s.n == 0)
		return 0;
	n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 :
	    p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
	if (n == 0 || n > s.n)
		return 0;
	v = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3f);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*cp = v;
	return n;
}

size_t
utf8_put(char to[4], uint32_t cp)
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t i, n;

	if (cp < 0x80) {
		to[0] = (char)cp;
		return 1;
	}
	n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	for (i = n - 1; i > 0; i--, cp >>= 6)
		to[i] = (char)(0x80 | (cp & 0x3f));
	to[0] = (char)(lead[n] | cp);
	return n;
}

size_t
ascii_prefix(struct str s)
{
	uint64_t eight;
	size_t i = 0;

	for (; s.n - i >= sizeof(eight); i += sizeof(eight)) {
		memcpy(&eight, s.p + i, sizeof(eight));
		if ((eight & 0x8080808080808080u) != 0)
			break;
	}
	while (i < s.n && (unsigned char)s.p[i] < 0x80)
		i++;
	return i;
}

size_t
utf8_prefix(struct str s)
{
	uint32_t cp;
	size_t i = 0, n;

	for (;;) {
		i += ascii_prefix(str_from(s, i));
		n = utf8_get(str_from(s, i), &cp);
		if (n == 0)
			return i;
		i += n;
	}
}

bool
utf8_valid(struct str s)
{
	return utf8_prefix(s) == s.n;
}
