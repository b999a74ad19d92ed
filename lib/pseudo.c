/*
 * pseudo.c - writes the pseudo message as UW-imapd 2007f does for CREATE, so
 * that UW, Alpine and Dovecot take it for their own and do not show it. To
 * the byte but for blanks behind the keywords: there numbers and keywords
 * are changed in place (stamp.h). Dovecot pads that line too. What UW adds
 * when it empties a mailbox, a Message-ID, is left out: no program looks at
 * it.
 */
#include "pseudo.h"

#include "meta.h"

/* Room for a dozen keywords of the length that clients make them. */
enum { PADDING = 200 };

/* "Fri Jul  3 12:00:00 1998" of ctime, "03 Jul 1998 12:00:00 +0000" of UW's
 * rfc822_fixed_date; both from the one form that date.c prints. */
static void
add_ctime(struct buf *out, const struct date *now, struct str imap)
{
	static const char weekdays[] = "ThuFriSatSunMonTueWed";
	int64_t day = date_day_written(now) % 7;

	if (day < 0)
		day += 7;
	buf_add(out, (struct str){ weekdays + 3 * day, 3 });
	buf_addc(out, ' ');
	buf_add(out, str_sub(imap, 3, 3));
	buf_addc(out, ' ');
	buf_add(out, str_sub(imap, 0, 2));
	buf_add(out, str_sub(imap, 11, 9));
	buf_add(out, STR(" "));
	buf_add(out, str_sub(imap, 7, 4));
}

static void
add_date(struct buf *out, struct str imap)
{
	buf_addc(out, imap.p[0] == ' ' ? '0' : imap.p[0]);
	buf_add(out, str_sub(imap, 1, 1));
	buf_addc(out, ' ');
	buf_add(out, str_sub(imap, 3, 3));
	buf_addc(out, ' ');
	buf_add(out, str_from(imap, 7));
}

void
pseudo_message(struct buf *out, struct str host, const struct date *now,
    uint32_t uidvalidity, uint32_t uidlast, const struct keywords *names)
{
	char text[27];
	struct str imap = { text, sizeof(text) - 1 };
	unsigned i;

	date_to_imap(now, text);
	buf_add(out, STR("From MAILER-DAEMON "));
	add_ctime(out, now, imap);
	buf_add(out, STR("\nDate: "));
	add_date(out, imap);
	buf_add(out, STR("\nFrom: Mail System Internal Data <MAILER-DAEMON@"));
	buf_add(out, host);
	buf_add(out, STR(">\nSubject: "));
	buf_add(out, meta_pseudo_subject);
	buf_addf(out, "\nX-IMAP: %010u %010u", uidvalidity, uidlast);
	for (i = 0; i < names->n; i++) {
		buf_addc(out, ' ');
		buf_add(out, keyword_name(names, i));
	}
	for (i = 0; i < PADDING; i++)
		buf_addc(out, ' ');
	buf_add(out, STR("\nStatus: RO\n\n"));
	buf_add(out, meta_pseudo_body);
	buf_add(out, STR(", and is not\n"
	    "a real message.  It is created automatically by the mail system "
	    "software.\n"
	    "If deleted, important folder data will be lost, and it will be "
	    "re-created\n"
	    "with the data reset to initial values.\n\n"));
}
