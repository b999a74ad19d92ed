/*
 * msgid.c - Message IDs as real mail writes them: between phrases, folded,
 * quoted without need. Compares nothing.
 */
#include "msgid.h"

/* RFC 5322 2.1.1: no line has more than 998 characters. */
enum { ID_MAX = 1000 };

/* The inside of "<...>" without quotes, escapes and white space: its length,
 * with *end behind the ">"; 0 when it is none. */
static size_t
inside(struct str s, char to[ID_MAX], size_t *end)
{
	bool quoted = false, at = false;
	size_t i, n = 0, host = 0;

	for (i = 1; i < s.n && n < ID_MAX; i++) {
		if (s.p[i] == '"') {
			quoted = !quoted;
			continue;
		}
		if (ascii_space((unsigned char)s.p[i]))
			continue;
		if (!quoted && (s.p[i] == '>' || s.p[i] == '<'))
			break;
		if (quoted && s.p[i] == '\\' && i + 1 < s.n)
			i++;
		if (!quoted && s.p[i] == '@' && n > 0 && !at) {
			at = true;
			host = n + 1;
		}
		to[n++] = s.p[i];
	}
	*end = i < s.n && s.p[i] == '>' ? i + 1 : 1;
	return *end > 1 && at && n > host ? n : 0;
}

bool
msgid_next(struct pool *pool, struct str *rest, struct str *id)
{
	char bytes[ID_MAX];
	size_t n, end;

	for (;;) {
		*rest = str_from(*rest, str_index(*rest, '<'));
		if (rest->n == 0)
			return false;
		n = inside(*rest, bytes, &end);
		*rest = str_from(*rest, end);
		if (n > 0)
			break;
	}
	*id = pool_copy(pool, (struct str){ bytes, n });
	return true;
}
