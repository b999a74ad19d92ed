/*
 * A session of UW's c-client, the mail library of UW-imapd, Pine and Alpine,
 * led by lines of standard input: what mailutil can not do. It is linked
 * with the library that mailutil uses; its headers are in no package that
 * the tests ask for, so what is called stands here, as documented.
 *
 *	read			uidvalidity, then each message
 *	flag set|clear UIDS FLAGS
 *	expunge, ping, check
 *
 * Every answer ends with a line ".". At the end of the input the mailbox is
 * closed, and so written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct stream;
struct pgm;
struct driver;
struct status {
	long flags;
	unsigned long messages, recent, unseen, uidnext, uidvalidity;
	unsigned long more[8];
};
enum { OP_PLAIN = 0, SE_UID_FREE = 3, ST_UID = 1, ST_SET = 4, FT_PEEK = 2 };
enum { SA_UIDNEXT = 8, SA_UIDVALIDITY = 16 };

extern struct driver unixdriver, dummydriver;
void		 mail_link(struct driver *);
struct stream	*mail_open(struct stream *, char *, long);
struct stream	*mail_close_full(struct stream *, long);
long		 mail_status(struct stream *, char *, long);
long		 mail_ping(struct stream *);
void		 mail_check(struct stream *);
long		 mail_expunge_full(struct stream *, char *, long);
void		 mail_flag(struct stream *, char *, char *, long);
struct pgm	*mail_criteria(char *);
long		 mail_search_full(struct stream *, char *, struct pgm *, long);
unsigned long	 mail_uid(struct stream *, unsigned long);
char		*mail_fetch_message(struct stream *, unsigned long,
		    unsigned long *, long);

void	mm_searched(struct stream *, unsigned long);
void	mm_exists(struct stream *, unsigned long);
void	mm_expunged(struct stream *, unsigned long);
void	mm_flags(struct stream *, unsigned long);
void	mm_notify(struct stream *, char *, long);
void	mm_list(struct stream *, int, char *, long);
void	mm_lsub(struct stream *, int, char *, long);
void	mm_status(struct stream *, char *, struct status *);
void	mm_log(char *, long);
void	mm_dlog(char *);
void	mm_login(void *, char *, char *, long);
void	mm_critical(struct stream *);
void	mm_nocritical(struct stream *);
long	mm_diskerror(struct stream *, long, long);
void	mm_fatal(char *);

static unsigned long exists;
static struct status told;

/* ---- what the library calls ---- */

void
mm_searched(struct stream *s, unsigned long uid)
{
	(void)s;
	printf(" %lu", uid);
}

void
mm_exists(struct stream *s, unsigned long n)
{
	(void)s;
	exists = n;
}

void
mm_expunged(struct stream *s, unsigned long n)
{
	(void)s;
	(void)n;
	exists--;
}

void
mm_flags(struct stream *s, unsigned long n)
{
	(void)s;
	(void)n;
}

void
mm_notify(struct stream *s, char *text, long kind)
{
	(void)s;
	mm_log(text, kind);
}

void
mm_list(struct stream *s, int delimiter, char *name, long attributes)
{
	(void)s;
	(void)delimiter;
	(void)name;
	(void)attributes;
}

void
mm_lsub(struct stream *s, int delimiter, char *name, long attributes)
{
	mm_list(s, delimiter, name, attributes);
}

void
mm_status(struct stream *s, char *name, struct status *status)
{
	(void)s;
	(void)name;
	told = *status;
}

/* Kind 0 is chatter; 1 a warning, 2 an error. */
void
mm_log(char *text, long kind)
{
	if (kind != 0)
		fprintf(stderr, "%s\n", text);
}

void
mm_dlog(char *text)
{
	(void)text;
}

void
mm_login(void *net, char *user, char *password, long trial)
{
	(void)net;
	(void)trial;
	*user = *password = '\0';
}

void
mm_critical(struct stream *s)
{
	(void)s;
}

void
mm_nocritical(struct stream *s)
{
	(void)s;
}

long
mm_diskerror(struct stream *s, long error, long serious)
{
	(void)s;
	(void)serious;
	fprintf(stderr, "disk error %ld\n", error);
	return 1;
}

void
mm_fatal(char *text)
{
	fprintf(stderr, "%s\n", text);
}

/* ---- commands ---- */

/* "KEYWORD x 3 4": which messages, by UID, are that. */
static void
search(struct stream *s, const char *what)
{
	char text[200];

	snprintf(text, sizeof(text), "%s", what);
	printf("%s", what);
	mail_search_full(s, NULL, mail_criteria(text), SE_UID_FREE);
	printf("\n");
}

static void
read_all(struct stream *s, char *name, char *keywords)
{
	static const char *const flags[] = {
		"SEEN", "ANSWERED", "FLAGGED", "DELETED",
	};
	unsigned long i, n;
	char text[200], *word;

	mail_status(s, name, SA_UIDNEXT | SA_UIDVALIDITY);
	printf("uidvalidity %lu\nuidnext %lu\n", told.uidvalidity,
	    told.uidnext);
	for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		search(s, flags[i]);
	while ((word = strsep(&keywords, " ")) != NULL) {
		snprintf(text, sizeof(text), "KEYWORD %s", word);
		search(s, text);
	}
	for (i = 1; i <= exists; i++) {
		word = mail_fetch_message(s, i, &n, FT_PEEK);
		printf("message %lu %lu\n", mail_uid(s, i), n);
		fwrite(word, 1, n, stdout);
		printf("\n");
	}
}

static int
command(struct stream *s, char *name, char *line)
{
	char *word = strsep(&line, " "), *how, *uids;

	if (strcmp(word, "read") == 0) {
		read_all(s, name, line);
	} else if (strcmp(word, "flag") == 0) {
		how = strsep(&line, " ");
		uids = strsep(&line, " ");
		mail_flag(s, uids, line, ST_UID |
		    (strcmp(how, "set") == 0 ? ST_SET : 0));
	} else if (strcmp(word, "expunge") == 0) {
		mail_expunge_full(s, NULL, 0);
	} else if (strcmp(word, "ping") == 0) {
		mail_ping(s);
	} else if (strcmp(word, "check") == 0) {
		mail_check(s);
	} else {
		return -1;
	}
	printf(".\n");
	fflush(stdout);
	return 0;
}

int
main(int argc, char **argv)
{
	struct stream *s;
	char line[4096];

	if (argc != 2)
		return 2;
	mail_link(&unixdriver);
	mail_link(&dummydriver);
	s = mail_open(NULL, argv[1], OP_PLAIN);
	if (s == NULL)
		return 1;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (command(s, argv[1], line) != 0)
			return 2;
	}
	mail_close_full(s, 0);
	return 0;
}
