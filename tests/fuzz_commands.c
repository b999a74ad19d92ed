/*
 * fuzz_commands COUNT [SEED] - commands made from the grammar of RFC 3501
 * section 9. Half of the sessions hold legal commands only: each must be
 * answered once, in order, and never with BAD. In the other half bytes are
 * changed, cut and put in: whatever comes back must still be grammar. Every
 * second pair of sessions writes, too, and then names messages by UID alone,
 * since those that are there do not stay.
 */
#include <fcntl.h>
#include <time.h>

#include "inproc.h"

#define N(array)	(sizeof(array) / sizeof((array)[0]))

enum { PER_SESSION = 50 };

static const char mailbox[] =
    "From a@b Thu Aug 22 12:36:23 2002\nFrom: A <a@b>\nTo: b@c\n"
    "Subject: one\nDate: Thu, 22 Aug 2002 12:36:23 +0200\n"
    "X-IMAPbase: 1000000000 0000000009 Junk\nStatus: RO\nX-Status: F\n"
    "X-Keywords: Junk     \nX-UID: 3\n\nhello\n\n"
    "From a@b Fri Aug 23 12:36:23 2002\nMIME-Version: 1.0\n"
    "Content-Type: multipart/mixed; boundary=b\nStatus: O\nX-UID: 5\n\n"
    "--b\n\ntext\n--b\nContent-Type: message/rfc822\n\n"
    "Subject: in\n\ninner\n--b--\n\n"
    "From a@b Sat Aug 24 12:36:23 2002\nSubject: three\nStatus: RO\n"
    "X-Status: A\nX-UID: 9\n\nlast\n\n";

struct gen {
	struct buf *out;
	uint64_t *seed;
	unsigned depth;
	bool writes;
};

static uint32_t
below(struct gen *g, uint32_t n)
{
	return inproc_below(g->seed, n);
}

static void
text(struct gen *g, const char *s)
{
	buf_add(g->out, str_c(s));
}

static void
pick(struct gen *g, const char *const *from, size_t n)
{
	text(g, from[below(g, (uint32_t)n)]);
}

#define PICK(g, array)	pick((g), (array), N(array))

static void
number(struct gen *g)
{
	static const char *const some[] = {
		"1", "2", "3", "4", "5", "9", "10", "4294967295", "77"
	};

	PICK(g, some);
}

/*
 * Any numbers for uids; for sequence numbers those that there are, since
 * RFC 3501 section 9, seq-number, would have others answered BAD.
 */
static void
member(struct gen *g, bool uid)
{
	if (uid)
		number(g);
	else
		buf_addf(g->out, "%u", 1 + below(g, 3));
}

static void
set(struct gen *g, bool uid)
{
	uint32_t n = 1 + below(g, 3);

	while (n-- > 0) {
		if (below(g, 5) == 0)
			text(g, "*");
		else
			member(g, uid);
		if (below(g, 3) == 0) {
			text(g, ":");
			if (below(g, 3) == 0)
				text(g, "*");
			else
				member(g, uid);
		}
		if (n > 0)
			text(g, ",");
	}
}

/* One value as atom, quoted string, or literal of either kind. */
static void
astring(struct gen *g, const char *value)
{
	switch (value[0] == '\0' ? 1 + below(g, 3) : below(g, 4)) {
	case 0:
		text(g, value);
		break;
	case 1:
		buf_addf(g->out, "\"%s\"", value);
		break;
	case 2:
		buf_addf(g->out, "{%zu+}\r\n%s", strlen(value), value);
		break;
	default:
		buf_addf(g->out, "{%zu}\r\n%s", strlen(value), value);
	}
}

static void
some_string(struct gen *g)
{
	static const char *const some[] = {
		"hello", "one", "a@b", "x", "inner", "th"
	};

	astring(g, some[below(g, N(some))]);
}

static void
any_mailbox(struct gen *g)
{
	static const char *const some[] = {
		"INBOX", "inbox", "none", "a/b", "..", "~/x", "&AOk-", "&",
		".ssh", "x.lock", "#mh", "/etc/passwd"
	};

	astring(g, some[below(g, N(some))]);
}

static void
date(struct gen *g)
{
	static const char *const some[] = {
		"1-Jan-1990", "22-Aug-2002", "\"23-Aug-2002\"",
		"31-dec-9999", "\"1-FEB-0001\""
	};

	PICK(g, some);
}

static void keys(struct gen *g);

static void
key(struct gen *g)
{
	static const char *const plain[] = {
		"ALL", "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "NEW",
		"OLD", "RECENT", "SEEN", "UNANSWERED", "UNDELETED",
		"UNDRAFT", "UNFLAGGED", "UNSEEN", "seen"
	};
	static const char *const strings[] = {
		"BCC ", "BODY ", "CC ", "FROM ", "SUBJECT ", "TEXT ", "TO ",
		"HEADER Subject ", "HEADER x-none "
	};
	static const char *const dates[] = {
		"BEFORE ", "ON ", "SINCE ", "SENTBEFORE ", "SENTON ",
		"SENTSINCE "
	};
	static const char *const numbers[] = { "LARGER ", "SMALLER " };
	static const char *const keywords[] = {
		"KEYWORD Junk", "UNKEYWORD Junk", "KEYWORD none"
	};
	uint32_t kind = below(g, g->depth < 5 ? 10 : 7);

	g->depth++;
	switch (kind) {
	case 0:
		PICK(g, plain);
		break;
	case 1:
		PICK(g, strings);
		some_string(g);
		break;
	case 2:
		PICK(g, dates);
		date(g);
		break;
	case 3:
		PICK(g, numbers);
		number(g);
		break;
	case 4:
		PICK(g, keywords);
		break;
	case 5:
		set(g, false);
		break;
	case 6:
		text(g, "UID ");
		set(g, true);
		break;
	case 7:
		text(g, "NOT ");
		key(g);
		break;
	case 8:
		text(g, "OR ");
		key(g);
		text(g, " ");
		key(g);
		break;
	default:
		text(g, "(");
		keys(g);
		text(g, ")");
	}
	g->depth--;
}

static void
keys(struct gen *g)
{
	uint32_t n = 1 + below(g, 3);

	while (n-- > 0) {
		key(g);
		if (n > 0)
			text(g, " ");
	}
}

static void
section(struct gen *g)
{
	static const char *const parts[] = { "1", "2", "2.1", "1.1", "7.8" };
	static const char *const last[] = { "HEADER", "TEXT", "header" };
	static const char *const fields[] = {
		"HEADER.FIELDS (", "HEADER.FIELDS.NOT ("
	};
	bool part = below(g, 2) == 0;

	text(g, below(g, 2) ? "BODY[" : "BODY.PEEK[");
	if (part)
		PICK(g, parts);
	switch (below(g, 4)) {
	case 0:
		if (part)
			text(g, ".");
		PICK(g, last);
		break;
	case 1:
		if (part)
			text(g, ".");
		PICK(g, fields);
		some_string(g);
		text(g, " ");
		some_string(g);
		text(g, ")");
		break;
	case 2:
		if (part)
			text(g, ".MIME");
		break;
	default:
		break;
	}
	text(g, "]");
	if (below(g, 3) == 0)
		buf_addf(g->out, "<%u.%u>", below(g, 30), 1 + below(g, 30));
}

static void
attribute(struct gen *g)
{
	static const char *const plain[] = {
		"FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE",
		"BODY", "BODYSTRUCTURE", "RFC822", "RFC822.HEADER",
		"RFC822.TEXT", "flags", "Body"
	};

	if (below(g, 2))
		PICK(g, plain);
	else
		section(g);
}

static void
attributes(struct gen *g)
{
	static const char *const macros[] = { "ALL", "FAST", "FULL", "full" };
	uint32_t n = 1 + below(g, 4);

	if (below(g, 4) == 0) {
		PICK(g, macros);
		return;
	}
	if (n == 1 && below(g, 2)) {
		attribute(g);
		return;
	}
	text(g, "(");
	while (n-- > 0) {
		attribute(g);
		text(g, n > 0 ? " " : ")");
	}
}

static void
statuses(struct gen *g)
{
	static const char *const items[] = {
		"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN",
		"APPENDLIMIT"
	};
	uint32_t first = below(g, N(items)), n = 1 + below(g, N(items)), i;

	text(g, " (");
	for (i = 0; i < n; i++) {
		text(g, items[(first + i) % N(items)]);
		text(g, i + 1 < n ? " " : ")");
	}
}

static void
reference(struct gen *g)
{
	static const char *const some[] = {
		"\"\"", "a/", "~/", "INBOX", "\"%\""
	};

	PICK(g, some);
}

static void
pattern(struct gen *g)
{
	static const char *const some[] = {
		"*", "%", "INBOX", "a/*", "%/%", "*x*", "i*", "~/%"
	};

	if (below(g, 3) == 0)
		text(g, "\"\"");
	else
		PICK(g, some);
}

static void
flag(struct gen *g)
{
	static const char *const some[] = {
		"\\Seen", "\\Deleted", "\\deleted", "\\Answered",
		"\\Flagged", "\\Draft", "\\Odd", "Junk", "new", "$Other"
	};

	PICK(g, some);
}

static void
flags(struct gen *g, bool list)
{
	uint32_t n = below(g, 4);

	text(g, list ? " (" : " ");
	while (n-- > 0) {
		flag(g);
		text(g, n > 0 ? " " : "");
	}
	text(g, list ? ")" : "");
}

static void
target(struct gen *g)
{
	static const char *const some[] = { "INBOX", "box", "none", "box" };

	text(g, " ");
	astring(g, some[below(g, N(some))]);
}

/* A command that may change a mailbox. */
static const char *
writing(struct gen *g)
{
	static const char *const names[] = {
		"UID STORE", "UID STORE", "UID EXPUNGE", "EXPUNGE",
		"UID COPY", "UID MOVE", "APPEND"
	};
	static const char *const items[] = {
		" FLAGS", " +FLAGS", " -FLAGS", " +FLAGS.SILENT",
		" flags.silent", " -FLAGS.SILENT"
	};
	const char *name = names[below(g, N(names))];

	text(g, name);
	if (name[0] == 'U') {
		text(g, " ");
		set(g, true);
	}
	switch (name[4]) {
	case 'S':
		PICK(g, items);
		if (below(g, 2)) {
			flags(g, true);
			break;
		}
		text(g, " ");
		flag(g);
		break;
	case 'C':
	case 'M':
		target(g);
		break;
	case 'N':
		if (name[0] == 'E')
			break;
		/* One that waits may be refused: who does not wait, too,
		 * for an answer would go on with its bytes. */
		target(g);
		if (below(g, 2))
			flags(g, true);
		text(g, below(g, 2) ? " {12+}\r\nA: b\r\n\r\nFrom" :
		    " \"22-Aug-2002 12:36:23 +0200\" {5+}\r\nA: b\n");
		break;
	default:
		break;
	}
	return name;
}

/* One command without its tag and line end. */
static const char *
command(struct gen *g)
{
	static const char *const plain[] = {
		"CAPABILITY", "NOOP", "CHECK", "NAMESPACE", "ID NIL",
		"ID (\"name\" \"x\" \"os\" NIL)", "noop"
	};
	static const char *const names[] = {
		"SELECT", "EXAMINE", "STATUS", "LIST", "LSUB", "FETCH",
		"UID FETCH", "SEARCH", "UID SEARCH"
	};
	uint32_t kind = below(g, 14);
	const char *name = names[kind < 9 ? kind : 5 + kind % 4];

	if (g->writes && below(g, 3) == 0)
		return writing(g);
	if (g->writes && name[0] == 'F')
		name = "UID FETCH";
	if (below(g, 8) == 0) {
		PICK(g, plain);
		return "NOOP";
	}
	text(g, name);
	text(g, " ");
	switch (name[0]) {
	case 'F':
		set(g, false);
		text(g, " ");
		attributes(g);
		break;
	case 'U':
		if (name[4] == 'F') {
			set(g, true);
			text(g, " ");
			attributes(g);
			break;
		}
		keys(g);
		break;
	case 'L':
		reference(g);
		text(g, " ");
		pattern(g);
		break;
	case 'E':
		text(g, "INBOX");
		break;
	default:
		if (name[1] == 'T') {
			any_mailbox(g);
			statuses(g);
		} else if (name[2] == 'A') {
			if (below(g, 5) == 0)
				text(g, "CHARSET UTF-8 ");
			keys(g);
		} else
			text(g, "INBOX");
	}
	return name;
}

static void
mutate(struct buf *b, uint64_t *seed)
{
	static const char bytes[] = "(){}[]<>\"\\*%+.:,;\r\n \0\377a0-~";
	uint32_t times = 1 + inproc_below(seed, 30), at;

	while (times-- > 0) {
		at = inproc_below(seed, (uint32_t)b->n);
		switch (inproc_below(seed, 3)) {
		case 0:
			b->p[at] = bytes[inproc_below(seed, sizeof(bytes))];
			break;
		case 1:
			memmove(b->p + at, b->p + at + 1, b->n - at - 1);
			b->n--;
			break;
		default:
			if (buf_grow(b, 1) == NULL)
				return;
			memmove(b->p + at + 1, b->p + at, b->n - at);
			b->p[at] = bytes[inproc_below(seed, sizeof(bytes))];
			b->n++;
		}
	}
}

static bool
has(const struct buf *b, const char *word)
{
	return memmem(b->p, b->n, word, strlen(word)) != NULL;
}

/* The mailboxes as they are when a session begins. */
static void
put(const char *path, struct str content)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		inproc_die(path);
	inproc_put(fd, content);
	close(fd);
}

static void
session(struct inproc *ip, uint64_t number, struct buf *in, struct buf *cmds)
{
	uint64_t seed = number * UINT64_C(0x9e3779b97f4a7c15) | 1;
	struct gen g = { .out = in, .seed = &seed,
	    .writes = number % 4 < 2 };
	bool legal = number % 2 == 0;
	unsigned i;

	put(ip->inbox, str_c(mailbox));
	put(ip->box, STR(""));
	buf_clear(in);
	buf_clear(cmds);
	buf_add(in, STR("s SELECT INBOX\r\n"));
	buf_add(cmds, STR("s SELECT\n"));
	for (i = 0; i < PER_SESSION; i++) {
		buf_addf(in, "t%u ", i);
		buf_addf(cmds, "t%u %s\n", i, command(&g));
		buf_add(in, below(&g, 2) ? STR("\n") : STR("\r\n"));
	}
	buf_add(in, STR("z LOGOUT\r\n"));
	buf_add(cmds, STR("z LOGOUT\n"));
	if (!legal)
		mutate(in, &seed);
	inproc_run(ip, buf_str(in));
	inproc_validate(ip, number, buf_str(in), legal ? buf_str(cmds) :
	    (struct str){ NULL, 0 }, STR(""));
	if (legal && (has(&ip->output, " BAD ") ||
	    !has(&ip->output, "z OK LOGOUT")))
		inproc_fail(ip, "a legal command was answered BAD", number,
		    buf_str(in), STR(""));
}

int
main(int argc, char **argv)
{
	uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
	uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) :
	    (uint64_t)time(NULL) * 1000 + (uint64_t)getpid();
	struct buf in = BUF_MAX(1048576), cmds = BUF_MAX(1048576);
	static struct inproc ip;
	uint64_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setenv("TZ", "UTC", 1);
	printf("# %" PRIu64 " commands, sessions from seed %" PRIu64 " on\n",
	    count, first);
	inproc_begin(&ip);
	for (i = 0; i < (count + PER_SESSION - 1) / PER_SESSION; i++)
		session(&ip, first + i, &in, &cmds);
	printf("ok 1 - %" PRIu64 " commands\n1..1\n", count);
	inproc_end(&ip);
	buf_free(&in);
	buf_free(&cmds);
	return 0;
}
