/*
 * Changes to the index of a mailbox. Where its check sum is wrong the mailbox
 * is read, and what is given out is what reading gives. Where it was made
 * right again the index may say what it likes, but no byte beyond bounds is
 * read, and the mail in the file stays what it was.
 */
#include "fuzz.h"
#define HOME_BASE	"/dev/shm/imapd-index.XXXXXX"
#include "../twin_index.h"

static struct buf good = BUF_MAX(1 << 20), box = BUF_MAX(1 << 20),
    said = BUF_MAX(1 << 20), first = BUF_MAX(1 << 20);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	home_make();
	begin(NULL);
	snprintf(own_dir, sizeof(own_dir), "%s/.imapd", f.home);
	writer = (struct mbox_writer){ .folders = &f, .dir = own_dir,
	    .user = "alex", .host = "host.example" };
	return atexit(home_remove);
}

/* The mail, as anybody reads it. */
static void
mail_of(struct buf *out)
{
	struct mbox *mbox;
	struct mbox_text t;
	struct why why;
	uint32_t i;

	fs_drop(own_dir, index_of("box"));
	mbox = open_box("box");
	buf_clear(out);
	for (i = 0; i < mbox->n; i++)
		if (mbox_text(mbox, mbox->msgs[i].uid, true, &t, &why) == E_OK)
			buf_add(out, t.whole);
	mbox_close(mbox);
}

/* "at, width, value", again and again; true if that is another index. */
static bool
forge(struct str *in)
{
	uint64_t v;
	size_t at, width;
	struct buf was = BUF_MAX(1 << 20);
	bool other;

	buf_add(&was, buf_str(&good));
	while (in->n > 2) {
		at = fuzz_number(in, 2);
		width = (size_t)1 << (at >> 14);
		at = (AT_KEY + 16 + (at & 0x3fff)) % (good.n - 8);
		v = fuzz_number(in, (unsigned)width);
		memcpy(good.p + at, &v, width);
	}
	other = !str_eq(buf_str(&was), buf_str(&good));
	buf_free(&was);
	return other;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_sub(fuzz_input(data, size), 0, 200);
	unsigned how = fuzz_byte(&in);
	struct mbox *mbox;
	bool other, used;

	make("box", THREE);
	buf_free(&good);
	good = index_bytes("box");
	mail_of(&first);
	make("box", THREE);
	buf_free(&good);
	good = index_bytes("box");
	if (how & 2)
		good.n = fuzz_number(&in, 2) % good.n;
	other = how & 2 ? true : forge(&in);
	if (how & 1 && good.n > AT_KEY + 16)
		fix_check(&good);
	put_index("box", buf_str(&good));
	if (!(how & 1)) {
		MUST(as_read("box", &used));
		MUST(used == !other);
		return 0;
	}
	mbox = open_box("box");
	show(mbox, &said);
	mbox_close(mbox);
	mail_of(&box);
	MUST(str_eq(buf_str(&box), buf_str(&first)));
	return 0;
}
