/*
 * folder_subs.c - SUBSCRIBE and UNSUBSCRIBE: the list that LSUB reads, with
 * a line more or less. It is UW's, ~/.mailboxlist; Dovecot's .subscriptions
 * counts as long as it is the only one (DESIGN 6) and is not written. Lines
 * that mean nothing to us stay as they are.
 *
 * Names are kept as the client spelt them ("~/mail/x"): by that spelling it
 * asks for them again.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"
#include "folder_own.h"
#include "lib/fs.h"

/* As much as LSUB reads. */
enum { LIST_MAX_BYTES = 1048576 };

static const char list_name[] = ".mailboxlist";

/* ---- the list ---- */

static void
add_line(struct buf *list, struct str name)
{
	if (list->n > 0 && list->p[list->n - 1] != '\n')
		buf_addc(list, '\n');
	buf_add(list, name);
	buf_addc(list, '\n');
}

static void
add_shown(void *ctx, struct str name, unsigned attributes)
{
	if (!(attributes & FOLDER_NOSELECT))
		add_line(ctx, name);
}

/* What LSUB would show, when it is Dovecot's list that it shows. */
static enum err
take_over(const struct folders *f, struct buf *list, struct why *why)
{
	struct pool *pool = pool_new();
	enum err e;

	e = folder_lsub(f, pool, STR(""), STR("*"), add_shown, list, why);
	pool_free(pool);
	return e;
}

static enum err
read_list(const struct folders *f, struct buf *list, struct why *why)
{
	if (fs_read(f->home, list_name, list) == 0)
		return E_OK;
	if (errno == ENOENT)
		return take_over(f, list, why);
	return why_set(why, errno == EFBIG ? E_LIMIT : folder_errno(errno),
	    "cannot read ~/%s: %s", list_name, strerror(errno));
}

static enum err
write_list(const struct folders *f, const struct buf *list, struct why *why)
{
	if (list->over)
		return why_set(why, E_LIMIT, "too many subscriptions");
	if (fs_replace(f->home, list_name, buf_str(list)) == 0)
		return E_OK;
	return why_set(why, folder_errno(errno),
	    "cannot write ~/%s: %s", list_name, strerror(errno));
}

/* Is this line the name? A list may hold it in UTF-8, INBOX in any case. */
static bool
is_name(struct str line, struct str name)
{
	struct buf shown = BUF_MAX(FOLDER_SHOWN_MAX);
	bool same;

	line = str_chomp(line);
	same = str_eq(line, name) || (str_ieq(name, STR("INBOX")) &&
	    str_ieq(line, name)) || (folder_shown(line, &shown) &&
	    str_eq(buf_str(&shown), name));
	buf_free(&shown);
	return same;
}

/* Appends to rest, when it is not NULL, all lines but those of the name.
 * True when there was one. */
static bool
take_out(const struct buf *list, struct str name, struct buf *rest)
{
	struct str text = buf_str(list), line;
	bool found = false;

	while (str_line(&text, &line))
		if (is_name(line, name))
			found = true;
		else if (rest != NULL)
			buf_add(rest, line);
	return found;
}

/* ---- what the commands do ---- */

/* Reads the list under the lock, which *lock then holds: against sessions
 * of ours alone, UW locks nothing. */
static enum err
begin(const struct folders *f, struct buf *list, int *lock, struct why *why)
{
	*lock = folder_state_lock(f);
	if (*lock < 0)
		return why_set(why, folder_errno(errno),
		    "cannot lock the subscriptions in ~/.imapd: %s",
		    strerror(errno));
	return read_list(f, list, why);
}

static void
end(int lock)
{
	if (lock >= 0)
		close(lock);
}

/*
 * RFC 3501 6.3.6: "A server MAY validate the mailbox argument to SUBSCRIBE
 * to verify that it exists." Ours does not, like Dovecot: mail programs
 * subscribe to what they are about to create.
 */
enum err
folder_subscribe(const struct folders *f, struct str name, struct why *why)
{
	struct buf list = BUF_MAX(LIST_MAX_BYTES);
	struct str bare = str_from(name, folder_lead(f, name));
	enum err e;
	int lock;

	if (!folder_good(bare))
		return why_set(why, E_NAME, "not a name that a mailbox may "
		    "have");
	if (str_ieq(name, STR("INBOX")))
		name = STR("INBOX");
	e = begin(f, &list, &lock, why);
	if (e == E_OK && !take_out(&list, name, NULL)) {
		add_line(&list, name);
		e = write_list(f, &list, why);
	}
	end(lock);
	buf_free(&list);
	return e;
}

enum err
folder_unsubscribe(const struct folders *f, struct str name, struct why *why)
{
	struct buf list = BUF_MAX(LIST_MAX_BYTES);
	struct buf rest = BUF_MAX(LIST_MAX_BYTES);
	enum err e;
	int lock;

	e = begin(f, &list, &lock, why);
	if (e == E_OK)
		e = take_out(&list, name, &rest) ?
		    write_list(f, &rest, why) :
		    why_set(why, E_NOENT, "not subscribed to this mailbox");
	end(lock);
	buf_free(&rest);
	buf_free(&list);
	return e;
}
