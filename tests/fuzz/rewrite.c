/*
 * A mailbox of a few messages, some to be dropped, some to get other headers:
 * the file afterwards is, byte for byte, what a naive program builds in
 * memory, by windows of any size. And patches and appended mail likewise.
 */
#include "fuzz.h"
#include "../twin_rewrite.h"

enum { PATCHES = 8 };

static struct buf want = BUF_MAX(1 << 20), got = BUF_MAX(1 << 20);
static struct world w = { .file = BUF_MAX(1 << 20) };

static void
clean(void)
{
	char journal[100];

	snprintf(journal, sizeof(journal), "%s/journal", dir);
	unlink(journal);
	unlink(path);
	rmdir(dir);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	snprintf(dir, sizeof(dir), access("/dev/shm", W_OK) == 0 ?
	    "/dev/shm/imapd-rewrite.XXXXXX" : "/tmp/imapd-rewrite.XXXXXX");
	MUST(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/mbox", dir);
	keyword_add(&names, STR("Important"));
	keyword_add(&names, STR("$Label1"));
	return atexit(clean);
}

/* Header fields without an empty line among them, then a body. */
static void
message(struct str *in, bool last)
{
	struct rewrite_item *it = &w.items[w.n++];
	unsigned how = fuzz_byte(in), more = fuzz_byte(in);
	struct str header = fuzz_until(in, '\f'), body, line;
	const char *eol = how & 128 ? "\r\n" : "\n";

	memset(it, 0, sizeof(*it));
	it->off = (int64_t)w.file.n;
	buf_addf(&w.file, "From a@b Thu Nov 29 22:33:52 2001%s", eol);
	while (str_line(&header, &line)) {
		line = str_chomp(line);
		if (line.n == 0)
			continue;
		buf_add(&w.file, line);
		buf_add(&w.file, str_c(eol));
	}
	buf_add(&w.file, str_c(eol));
	it->head = (uint32_t)((int64_t)w.file.n - it->off);
	body = fuzz_until(in, '\f');
	for (how &= 127; body.n > 0; body = str_from(body, 1))
		buf_addc(&w.file, body.p[0] == 'F' ? 'f' : body.p[0]);
	/* A last line without an end gets one, which the twin knows not. */
	if (!last || how & 64 || w.file.p[w.file.n - 1] != '\n')
		buf_add(&w.file, str_c(eol));
	it->len = (int64_t)w.file.n - it->off;
	it->drop = how & 1;
	it->stamped = how & 2;
	it->eol = (uint8_t)(how >> 2 & 3) % 3;
	it->stamp = (struct stamp){ .uid = w.n, .flags = more & FLAGS_SYSTEM,
	    .keywords = more >> 5 & 3, .base = w.n == 1,
	    .uidvalidity = 1000000000, .uidlast = 77, .names = &names };
}

static void
whole_rewrite(void)
{
	struct rewrite r;
	struct why why = { "" };
	enum err e;

	naive(&w, &want);
	put_file(buf_str(&w.file));
	r = rewrite_of(&w, open(path, O_RDWR));
	e = rewrite_all(&r, &why);
	/* No window of these holds that header: real ones are larger. */
	if (e == E_LIMIT) {
		close(r.fd);
		return;
	}
	MUST(e == E_OK);
	get_file(&got);
	MUST(equal_but_pad(buf_str(&got), buf_str(&want)));
	MUST(items_true(&r, buf_str(&got)) || r.n == 0);
	MUST(rewrite_recover(dir, r.fd, false, &why) == E_OK);
	close(r.fd);
}

static void
patches(struct str in)
{
	struct rewrite_patch p[PATCHES];
	struct rewrite r = { .path = path, .dir = dir, .names = &names };
	size_t at = 0, n, i;

	get_file(&want);
	for (n = 0; n < PATCHES && in.n > 1; n++) {
		at += fuzz_byte(&in) * 3u;
		p[n].at = (int64_t)at;
		p[n].bytes = str_sub(in, 0, fuzz_byte(&in) % 64);
		if (at + p[n].bytes.n > want.n)
			break;
		at += p[n].bytes.n;
	}
	for (i = 0; i < n; i++)
		if (p[i].bytes.n > 0)
			memcpy(want.p + p[i].at, p[i].bytes.p, p[i].bytes.n);
	r.fd = open(path, O_RDWR);
	MUST(rewrite_patch(&r, p, n, NULL) == E_OK);
	close(r.fd);
	get_file(&got);
	MUST(str_eq(buf_str(&got), buf_str(&want)));
}

static int
next(void *ctx, char *to, size_t n)
{
	struct str *in = ctx;

	MUST(in->n >= n);
	memcpy(to, in->p, n);
	*in = str_from(*in, n);
	return 0;
}

static void
append(struct str in)
{
	struct rewrite r = { .path = path, .dir = dir, .names = &names };
	struct str left = in;
	struct rewrite_source source = { next, &left, (int64_t)in.n };

	get_file(&want);
	r.size = (int64_t)want.n;
	buf_add(&want, in);
	r.fd = open(path, O_RDWR);
	MUST(rewrite_append(&r, &source, NULL) == E_OK);
	close(r.fd);
	get_file(&got);
	MUST(str_eq(buf_str(&got), buf_str(&want)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_sub(fuzz_input(data, size), 0, 6000), all = in;
	size_t window = 700 + fuzz_byte(&in) * 20;
	unsigned n = 1 + fuzz_byte(&in) % (MESSAGES - 1);
	struct journal j;

	MUST(journal_open(&j, dir, false, NULL) == E_OK);
	MUST(journal_make(&j, 20, window) == 0);
	journal_close(&j);
	buf_clear(&w.file);
	for (w.n = 0; w.n < n;)
		message(&in, w.n == n - 1);
	whole_rewrite();
	patches(all);
	append(all);
	return 0;
}
