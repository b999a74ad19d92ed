/*
 * fuzz_mailbox COUNT [SEED] - mutated mailboxes, each opened and read with
 * every FETCH item and a few searches, or changed and read again. Whatever
 * stands in the file, the answers must be grammar, every message's parts
 * must add up to its size, and nothing may crash, leak or overrun (run it
 * under the sanitizers).
 */
#include <fcntl.h>
#include <time.h>

#include "inproc.h"

#define FROM "From a@b Thu Aug 22 12:36:23 2002\n"

/* Where a mutation can bite: real forms, small, one of each kind. */
static const char *const seeds[] = {
	FROM "From: A <a@b>\nTo: \"B, C\" <b@c>, d@e (D)\nSubject: =?utf-8?q?"
	"h=C3=A9?= x\nDate: Thu, 22 Aug 2002 12:36:23 +0200\nMessage-ID: "
	"<1@a>\n\nhello\nworld\n\n" FROM "Subject: two\nX-UID: 4\n\nx\n\n",
	FROM "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\""
	"\n\npre\n--b\nContent-Type: text/plain; charset=utf-8\nContent-"
	"Transfer-Encoding: base64\n\naGVsbG8=\n--b\nContent-Type: message/"
	"rfc822\n\nSubject: in\nContent-Type: multipart/alternative; boundary"
	"=bb\n\n--bb\n\na\n--bb\nContent-Type: text/html\nContent-"
	"Disposition: attachment; filename*0=a; filename*1=b\n\n<p>\n--bb--\n"
	"--b\nContent-Language: en, de\nContent-Location: x\nContent-MD5: q"
	"\n\nz\n--b--\npost\n\n",
	FROM "X-IMAPbase: 1000000000 0000000007 Junk\nStatus: RO\nX-Status: A\n"
	"X-Keywords: Junk          \nX-UID: 3\n\nbody\n\n" FROM "Status: O\n"
	"X-UID: 5\nX-Keywords: Junk\nSubject: y\n\nbody\n\n",
	"From MAILER-DAEMON Thu Aug 22 12:36:23 2002\nSubject: DON'T DELETE "
	"THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 0937243866 0000000007"
	"\n\nThis text is part of the internal format of your mail folder, "
	"and\n\n" FROM "To: g: a@b, c@d; , x y <@r,@s:z@q>\nCc: (c (n) ) u\n"
	"X-UID: 7\n\n\n",
	FROM "Content-Type: multipart/digest; boundary=x\nReferences: <a> <b>"
	"\nIn-Reply-To: <c>\n\n--x\n\nSubject: d\n\n1\n--x\n\nFrom: e@f\n\n2\n"
	"--x--\n\n" FROM "Content-Type: text/plain; charset=iso-2022-jp\n"
	"Content-Transfer-Encoding: quoted-printable\n\n=1B$B=\n=E9\n.\n",
};

static const char *const words[] = {
	"From ", "\n\n", "\r\n", "\n--b\n", "--b--", "\nFrom a@b Thu Aug 22 "
	"12:36:23 2002\n", "X-UID: 4294967296\n", "Content-Length: 99999\n",
	"\nContent-Type: multipart/mixed; boundary=b\n", "=?utf-8?b?", "?=",
	"\"", "\\", "(", ")", "<", ">", ";", ",", ":", "\0", "\377", "\t",
	"\n ", "boundary=\"\"", "charset=utf-7", "Status: RO\n", "=\n", "@",
	"X-IMAPbase: 1 2\n", "{5}", "%", "*",
};

static const struct str input = STR(
    "a1 SELECT INBOX\r\n"
    "a2 FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY "
    "BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT])\r\n"
    "a3 UID FETCH 1:* (BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2.HEADER] "
    "BODY.PEEK[2.1.TEXT] BODY.PEEK[HEADER.FIELDS (SUBJECT X-UID)] "
    "BODY.PEEK[HEADER.FIELDS.NOT (FROM)]<3.20> RFC822.HEADER BODY[]<5.9>)"
    "\r\n"
    "a4 SEARCH TEXT hello\r\n"
    "a5 SEARCH CHARSET utf-8 OR SUBJECT {2+}\r\n\303\251 BODY world NOT "
    "SENTBEFORE 1-Jan-2003\r\n"
    "a6 SEARCH FROM a TO b CC \"\" HEADER x-uid \"\" SMALLER 999 SINCE "
    "1-Jan-1990 KEYWORD Junk\r\n"
    "a7 NOOP\r\na8 LOGOUT\r\n");
static const struct str commands = STR("a1 SELECT\na2 FETCH\na3 UID FETCH\n"
    "a4 SEARCH\na5 SEARCH\na6 SEARCH\na7 NOOP\na8 LOGOUT\n");
/* What changes the file, and what it is then. */
static const struct str changes = STR(
    "a1 SELECT INBOX\r\na2 UID FETCH 1:* BODY[TEXT]\r\n"
    "a3 UID STORE 2:3 +FLAGS (\\Deleted $Junk)\r\n"
    "a4 UID COPY 1:* INBOX\r\na5 EXPUNGE\r\na6 SELECT INBOX\r\n"
    "a7 UID FETCH 1:* (FLAGS BODY.PEEK[])\r\n"
    "a8 UID STORE 1 +FLAGS (\\Deleted)\r\na9 LOGOUT\r\n");
static const struct str change_commands = STR("a1 SELECT\na2 UID FETCH\n"
    "a3 UID STORE\na4 UID COPY\na5 EXPUNGE\na6 SELECT\na7 UID FETCH\n"
    "a8 UID STORE\na9 LOGOUT\n");
/* One in so many: it takes three times as long. */
enum { CHANGE_EACH = 8 };

/* Cuts, doubles, changes and inserts; several times over. */
static void
mutate(struct buf *b, uint64_t *seed)
{
	static char copy[65536];
	uint32_t times = 1 + inproc_below(seed, 6), at, n;
	struct str word, rest;

	while (times-- > 0 && b->n > 0 && b->n < sizeof(copy) / 2) {
		at = inproc_below(seed, (uint32_t)b->n);
		n = 1 + inproc_below(seed, 40);
		if (n > b->n - at)
			n = (uint32_t)b->n - at;
		memcpy(copy, b->p, b->n);
		switch (inproc_below(seed, 6)) {
		case 0:			/* cut */
			memmove(b->p + at, b->p + at + n, b->n - at - n);
			b->n -= n;
			break;
		case 1:			/* double */
			rest = (struct str){ copy + at, b->n - at };
			b->n = at + n;
			buf_add(b, rest);
			break;
		case 2:			/* change */
			b->p[at] = (char)inproc_random(seed);
			break;
		case 3:			/* LF to CRLF */
			if (b->p[at] == '\n')
				b->p[at] = '\r';
			break;
		case 4:			/* end here */
			b->n = at;
			break;
		default:		/* insert a word */
			word = str_c(words[inproc_below(seed,
			    sizeof(words) / sizeof(words[0]))]);
			if (word.n == 0)	/* the NUL */
				word.n = 1;
			rest = (struct str){ copy + at, b->n - at };
			b->n = at;
			buf_add(b, word);
			buf_add(b, rest);
		}
	}
}

static void
make(struct buf *b, uint64_t *seed)
{
	uint32_t n = 1 + inproc_below(seed, 3);

	buf_clear(b);
	while (n-- > 0)
		buf_add(b, str_c(seeds[inproc_below(seed,
		    sizeof(seeds) / sizeof(seeds[0]))]));
	mutate(b, seed);
}

int
main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) :
	    (uint64_t)time(NULL) * 1000 + (uint64_t)getpid();
	static struct inproc ip;
	struct buf mailbox = BUF_MAX(1048576);
	uint64_t i, seed;
	struct str say;
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setenv("TZ", "UTC", 1);
	printf("# %" PRIu64 " mailboxes from seed %" PRIu64 " on\n", count,
	    first);
	inproc_begin(&ip);
	fd = open(ip.inbox, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		inproc_die(ip.inbox);
	for (i = 0; i < count; i++) {
		seed = (first + i) * UINT64_C(0x9e3779b97f4a7c15) | 1;
		make(&mailbox, &seed);
		inproc_put(fd, buf_str(&mailbox));
		say = (first + i) % CHANGE_EACH == 0 ? changes : input;
		if (inproc_run(&ip, say) != 0)
			inproc_fail(&ip, "the session did not end by LOGOUT",
			    first + i, say, buf_str(&mailbox));
		inproc_validate(&ip, first + i, say, say.p == input.p ?
		    commands : change_commands, buf_str(&mailbox));
	}
	printf("ok 1 - %" PRIu64 " mutated mailboxes\n1..1\n", count);
	close(fd);
	inproc_end(&ip);
	buf_free(&mailbox);
	return 0;
}
