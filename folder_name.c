/*
 * folder_name.c - what a mailbox name may be. A name from a client, or of a
 * file on disk, is a hostile thing until it has passed here. Opens nothing.
 *
 * With a mail directory (--mail-dir=mail) the names below it are as short
 * as without one: "x" is ~/mail/x. For clients that were set up before, the
 * old spellings go on to work: "~/x" and "/home/alex/x" are "x", and so are
 * "~/mail/x" and "/home/alex/mail/x"; "mail/x" is "x" unless something in
 * the mail directory has the name "mail" itself.
 */
#include <string.h>

#include "folder_own.h"
#include "lib/codec.h"

bool
folder_part(struct str *rest, struct str *part)
{
	size_t n = str_index(*rest, '/');

	if (rest->p == NULL)
		return false;
	*part = str_sub(*rest, 0, n);
	if (n < rest->n)
		*rest = (struct str){ rest->p + n + 1, rest->n - n - 1 };
	else
		*rest = (struct str){ NULL, 0 };
	return true;
}

/*
 * ".." is refused here, and with it all that begins with a dot (.ssh,
 * .forward, .procmailrc). "x.lock" is what other mail programs lock the
 * mailbox x with.
 */
bool
folder_visible(struct str part)
{
	const struct str lock = STR(".lock");

	return part.n > 0 && part.p[0] != '.' && (part.n < lock.n ||
	    !str_eq(str_from(part, part.n - lock.n), lock));
}

bool
folder_all_visible(struct str name)
{
	struct str part;

	while (folder_part(&name, &part))
		if (!folder_visible(part))
			return false;
	return true;
}

static bool
has_control(struct str s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return true;
	return false;
}

/*
 * s, printable ASCII, in UTF-8 if it is modified UTF-7 in its one right form
 * (RFC 3501 5.1.3). A control character is legal there, but nobody's wish
 * in a name; NUL and LF least of all.
 */
static bool
decode(struct str s, struct buf *raw)
{
	return utf7_to_utf8(s, raw) == 0 && !raw->over &&
	    !has_control(buf_str(raw));
}

/* Is s a name as it goes over the wire? */
static bool
wire_form(struct str s)
{
	struct buf raw = BUF_MAX(FOLDER_SHOWN_MAX);
	bool good;
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 ||
		    (unsigned char)s.p[i] > 0x7e)
			return false;
	if (str_index(s, '&') == s.n)
		return true;
	good = decode(s, &raw);
	buf_free(&raw);
	return good;
}

bool
folder_raw(struct str part, struct buf *raw)
{
	return str_index(part, '&') < part.n && decode(part, raw);
}

/*
 * RFC 3501 5.1.3: a server whose store "does not follow the modified UTF-7
 * convention MUST convert to modified UTF-7 any mailbox name that contains
 * either non-ASCII characters or the "&" character." Our store does follow
 * it; a file that some other program named in UTF-8 is the exception.
 */
bool
folder_shown(struct str raw, struct buf *out)
{
	if (!wire_form(raw))
		return !has_control(raw) && utf7_from_utf8(raw, out) == 0;
	buf_add(out, raw);
	return !out->over;
}

/*
 * "{" begins the name of a remote mailbox in UW's library (CVE-2005-2933,
 * CVE-2018-19518), "#" one of another namespace (RFC 3501 5.1.2), "~"
 * another user's home.
 */
bool
folder_ours(struct str name)
{
	return name.n > 0 && memchr("~{#", name.p[0], 3) == NULL;
}

bool
folder_good(struct str name)
{
	return folder_ours(name) && name.n <= NAME_MAX_BYTES &&
	    wire_form(name) && folder_all_visible(name);
}

/* Bytes of dir and a slash at the start of name, or 0. */
static size_t
dir_lead(struct str name, struct str dir)
{
	return str_starts(name, dir) && name.n > dir.n &&
	    name.p[dir.n] == '/' ? dir.n + 1 : 0;
}

size_t
folder_home_lead(const struct folders *f, struct str name)
{
	size_t n;

	if ((n = dir_lead(name, STR("~"))) > 0 ||
	    (n = dir_lead(name, str_c(f->given))) > 0)
		return n;
	return dir_lead(name, str_c(f->home));
}

/* Is there something in the root under the mail directory's own name? */
static bool
subdir_taken(const struct folders *f)
{
	struct str subdir = str_c(f->subdir);
	struct path path;
	struct stat st;

	return !path_set(&path, str_c(f->root)) ||
	    !path_add(&path, str_sub(subdir, 0, str_index(subdir, '/'))) ||
	    lstat(path.p, &st) == 0;
}

size_t
folder_lead(const struct folders *f, struct str name)
{
	size_t n = folder_home_lead(f, name), more = 0;

	if (f->subdir[0] != '\0')
		more = dir_lead(str_from(name, n), str_c(f->subdir));
	if (more > 0 && n == 0 && subdir_taken(f))
		return 0;
	return n + more;
}
