/*
 * What mbox_append makes of a mailbox when not all is well: no room on the
 * disk, for keywords, for UIDs or for the file itself, a tail that others
 * left, messages that do not fit into memory. The usual is in the scripts.
 */
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "../mbox_write.h"
#include "../lib/buf.h"
#include "../lib/params.h"
#include "unit.h"

#define HEAD "From a@b Thu Aug 22 12:36:23 2002\nSubject: x\n"
#define BLOCK(n) "Status: O\nX-Status: \nX-Keywords:                  \n" \
	"X-UID: " n "\n\nhi\n"
#define BASE(last) HEAD "X-IMAPbase: 1000000000 " last "\n"

static const struct date now = { .time = 760661884, .zone = 0 };
static char base[] = "/tmp/unit_append.XXXXXX";
static char path[64], own[64];
static struct folders folders;
static struct mbox_writer writer;
static struct mbox *mbox;
static struct why why;

static void
put(struct str text, int flags)
{
	int fd = open(path, O_WRONLY | O_CREAT | flags, 0600);

	if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n ||
	    close(fd) != 0)
		exit(99);
}

static struct str
get(void)
{
	static char bytes[65536];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));

	if (fd >= 0)
		close(fd);
	return (struct str){ bytes, n < 0 ? 0 : (size_t)n };
}

/* Opens the mailbox anew, with this in its file. */
static void
begin(struct str text, enum mbox_mode mode)
{
	mbox_close(mbox);
	put(text, O_TRUNC);
	if (mbox_open_writer(&mbox, path, true, mode, &writer, &why) !=
	    E_OK) {
		printf("# %s\n", why.text);
		exit(99);
	}
}

/* A draft of n messages, with these keywords; each has this body. */
static struct draft *
make(unsigned n, const struct keywords *names, struct str body)
{
	struct draft *d = draft_new(own);

	while (n-- > 0)
		if (!draft_begin(d, STR("me@here"), &now, FLAG_SEEN, names) ||
		    draft_add(d, STR("Subject: new\r\n\r\n"), &why) != E_OK ||
		    draft_add(d, body, &why) != E_OK ||
		    draft_end(d, &why) != E_OK)
			exit(99);
	return d;
}

static enum err
append(unsigned n, const struct keywords *names, struct str body,
    uint32_t *first)
{
	struct draft *d = make(n, names, body);
	enum err e = mbox_append(mbox, d, first, &why);

	draft_free(d);
	return e;
}

/* The disk ends here, for the mailbox; what is before it is written. */
static off_t disk_end;

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
	struct stat st, inbox;

	if (disk_end > 0 && fstat(fd, &st) == 0 && stat(path, &inbox) == 0 &&
	    st.st_ino == inbox.st_ino && at + (off_t)n > disk_end) {
		n = at < disk_end ? (size_t)(disk_end - at) : 0;
		if (n == 0) {
			errno = ENOSPC;
			return -1;
		}
	}
	return (ssize_t)syscall(SYS_pwrite64, fd, p, n, at);
}

static void
check_room(void)
{
	const struct str text = STR(BASE("0000000007") BLOCK("7") "\n");
	static char big[100000];
	struct str body = { big, sizeof(big) };
	uint32_t first;
	enum err e;

	memset(big, 'x', sizeof(big));
	begin(text, MBOX_EXAMINE);
	CHECK("a message is added", append(1, NULL, STR("hi\r\n"), &first) ==
	    E_OK && first == 8 && mbox->n == 2 && mbox->uidnext == 9);
	begin(text, MBOX_EXAMINE);
	disk_end = 50000;
	e = append(1, NULL, body, &first);
	disk_end = 0;
	CHECK("without room on the disk it is not", e == E_FULL);
	CHECK("nothing of it is there", get().n == text.n &&
	    mbox_sync(mbox, NULL, &why) == E_OK && mbox->n == 1);
	disk_end = 50000;
	e = append(3, NULL, str_sub(body, 0, 20000), &first);
	disk_end = 0;
	CHECK("of several neither", e == E_FULL &&
	    get().n == text.n);
	CHECK("when there is room again it is added", append(1, NULL, body,
	    &first) == E_OK && mbox->n == 2 && mbox->msgs[1].uid == first &&
	    first > 7 && mbox->msgs[1].size == 16 + sizeof(big) + 2);
}

static void
check_keywords(void)
{
	struct keywords names = { .n = 0 };
	struct buf text = BUF_MAX(65536);
	char word[8];
	unsigned i;
	uint32_t first;

	buf_add(&text, STR(BASE("0000000007 k00")));
	text.n--;
	for (i = 1; i < KEYWORDS_MAX - 1; i++) {
		snprintf(word, sizeof(word), " k%02u", i);
		buf_add(&text, str_c(word));
	}
	buf_add(&text, STR("\n" BLOCK("7") "\n"));
	begin(buf_str(&text), MBOX_EXAMINE);
	keyword_add(&names, STR("k05"));
	keyword_add(&names, STR("new1"));
	keyword_add(&names, STR("new2"));
	CHECK("a mailbox of many keywords takes the message",
	    append(1, &names, STR("hi\r\n"), &first) == E_OK &&
	    mbox->n == 2);
	CHECK("and of its keywords those that have room",
	    mbox->keywords.n == KEYWORDS_MAX && mbox->msgs[1].keywords ==
	    (1u << 5 | 1u << 29));
	buf_free(&text);
}

static void
check_uids(void)
{
	uint32_t first;
	struct str text = STR(BASE("2113929214") BLOCK("7") "\n");

	begin(text, MBOX_EXAMINE);
	CHECK("high UIDs go on", append(2, NULL, STR("hi\r\n"), &first) ==
	    E_OK && first == 2113929215 && mbox->uidnext == 2113929217);
}

static void
check_files(void)
{
	uint32_t first;

	mbox_close(mbox);
	mbox = NULL;
	unlink(path);
	if (!CHECK("an INBOX without a file opens", mbox_open_writer(&mbox,
	    path, true, MBOX_SELECT, &writer, &why) == E_OK))
		return;
	put(STR(HEAD "\nhi\n\n"), 0);
	CHECK("a delivery may be faster than we are", append(1, NULL,
	    STR("ho\r\n"), &first) == E_OK && first == 2 && mbox->n == 2);
	CHECK("both are \\Recent here",
	    mbox->msgs[0].flags & FLAG_RECENT &&
	    mbox->msgs[1].flags & FLAG_RECENT);
	put(STR(HEAD "\nno end"), O_APPEND);
	CHECK("a tail that others leave is ended", append(1, NULL,
	    STR("ho\r\n"), &first) == E_OK && mbox->n == 4 &&
	    mbox->msgs[3].uid == first && first == 4);
	put(STR("\n\n\n"), O_APPEND);
	CHECK("and may have more empty lines", append(1, NULL,
	    STR("hu\r\n"), &first) == E_OK && mbox->n == 5 &&
	    mbox->msgs[4].uid == first);
	put(STR(""), O_TRUNC);
	CHECK("an emptied file begins anew, behind all UIDs",
	    append(2, NULL, STR("hu\r\n"), &first) == E_OK &&
	    mbox->n == 2 && first == 6 && mbox->msgs[1].uid == 7);
	mbox_close(mbox);
	CHECK("and they last",
	    mbox_open(&mbox, path, true, NULL, &why) == E_OK &&
	    mbox->sticky && mbox->n == 2 && mbox->msgs[0].uid == 6);
}

static void
check_big(void)
{
	struct buf body = BUF_MAX(SIZE_MAX / 2);
	struct mbox_text text;
	uint32_t first, i, lines = DRAFT_MEMORY / 8 + 100000;
	bool good;

	for (i = 0; i < lines; i++)
		buf_add(&body, STR("From i\r\n"));
	begin(STR(""), MBOX_EXAMINE);
	good = append(1, NULL, buf_str(&body), &first) == E_OK &&
	    mbox->n == 1 && mbox_text(mbox, first, true, &text, &why) ==
	    E_OK && text.body.n == (size_t)lines * 7;
	for (i = 0; i < lines && good; i++)
		good = str_eq(str_sub(text.body, (size_t)i * 7, 7),
		    STR("From i\n"));
	CHECK("a message bigger than memory comes back", good &&
	    mbox->msgs[0].size == 16 + body.n);
	buf_free(&body);
}

static int
remove_one(const char *name, const struct stat *st, int type,
    struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(name);
}

int
main(void)
{
	setenv("TZ", "UTC", 1);
	if (mkdtemp(base) == NULL)
		return 99;
	snprintf(path, sizeof(path), "%s/inbox", base);
	snprintf(own, sizeof(own), "%s/.imapd", base);
	if (folder_init(&folders, base, NULL, path, &why) != E_OK)
		return 99;
	writer = (struct mbox_writer){
		.folders = &folders, .dir = own, .user = "me",
		.host = "here", .dotlock = DOTLOCK_TRY, .sync = false,
	};
	check_room();
	check_keywords();
	check_uids();
	check_files();
	check_big();
	mbox_close(mbox);
	folder_free(&folders);
	nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return unit_end();
}
