/*
 * casemap.c - texts as i;unicode-casemap compares them (RFC 5051). Unicode's
 * tables are utf8proc's; what it does besides, as to reorder marks, is not
 * asked for. Reads no mail and knows no header.
 */
#include "casemap.h"

#include "utf8.h"

#ifdef WITHOUT_UNICODE

bool
casemap_known(void)
{
	return false;
}

static void
add_char(uint32_t cp, struct str bytes, struct buf *out)
{
	(void)cp;
	buf_add(out, bytes);
}

#else

#include <utf8proc.h>

enum {
	/* The longest, U+FDFA, has 18 characters. */
	DECOMPOSED_MAX = 32,
	/* Their parts are computed: UnicodeData.txt, by which RFC 5051 goes,
	 * lists none. */
	HANGUL_FIRST = 0xac00, HANGUL_LAST = 0xd7a3,
};

bool
casemap_known(void)
{
	return true;
}

/*
 * RFC 5051 section 2: "(a) If the codepoint has a titlecase property [...],
 * it is converted", "(b) If the resulting codepoint [...] has a decomposition
 * property [...], it is converted to the codepoints in the decomposition
 * property. This step is recursively applied".
 */
static void
add_char(uint32_t cp, struct str bytes, struct buf *out)
{
	utf8proc_int32_t title = utf8proc_totitle((utf8proc_int32_t)cp);
	utf8proc_int32_t parts[DECOMPOSED_MAX] = { title };
	utf8proc_ssize_t i, n = 1;
	char to[4];
	int last = 0;

	(void)bytes;
	if (cp < HANGUL_FIRST || cp > HANGUL_LAST)
		n = utf8proc_decompose_char(title, parts, DECOMPOSED_MAX,
		    UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &last);
	for (i = 0; i < n && i < DECOMPOSED_MAX; i++)
		buf_add(out, (struct str){ to,
		    utf8_put(to, (uint32_t)parts[i]) });
}

#endif

/* Bytes of ASCII at the start of s, added in capitals (RFC 4790 9.2.1). */
static size_t
add_ascii(struct str s, struct buf *out)
{
	size_t i, n = ascii_prefix(s);
	char *to = buf_grow(out, n);

	if (to == NULL)
		return n;
	for (i = 0; i < n; i++)
		to[i] = (char)(s.p[i] >= 'a' && s.p[i] <= 'z' ?
		    s.p[i] - 0x20 : s.p[i]);
	out->n += n;
	return n;
}

void
casemap_add(struct str utf8, struct buf *out)
{
	uint32_t cp;
	size_t n;

	while (utf8.n > 0 && !out->over) {
		utf8 = str_from(utf8, add_ascii(utf8, out));
		if (utf8.n == 0)
			break;
		n = utf8_get(utf8, &cp);
		if (n > 0)
			add_char(cp, str_sub(utf8, 0, n), out);
		else
			buf_addc(out, utf8.p[0]);
		utf8 = str_from(utf8, n > 0 ? n : 1);
	}
}
