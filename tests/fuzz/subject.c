/*
 * Base subjects: what has been cut leaves nothing to be cut, more marks of
 * replies and forwards change nothing, and no byte is made up.
 */
#include "fuzz.h"
#include "../../lib/casemap.h"
#include "../../lib/subject.h"

static struct buf all = BUF_MAX(1 << 22), one = BUF_MAX(1 << 22),
    two = BUF_MAX(1 << 22);

/* The subject with something around it has this base, and is an answer. */
static void
still(const char *before, struct str s, const char *after, struct str base)
{
	bool answer = false;

	buf_clear(&all);
	buf_add(&all, str_c(before));
	buf_add(&all, s);
	buf_add(&all, str_c(after));
	MUST(str_eq(subject_base(buf_str(&all), &two, &answer), base));
	MUST(answer);
}

/* A text and the same in capitals stand in one place. */
static void
sorts(struct str text)
{
	char *other = fuzz_copy(text);
	size_t i;

	for (i = 0; i < text.n; i++)
		if (ascii_alpha((unsigned char)other[i]))
			other[i] ^= 0x20;
	buf_clear(&all);
	buf_clear(&two);
	casemap_add(text, &all);
	casemap_add((struct str){ other, text.n }, &two);
	MUST(str_eq(buf_str(&two), buf_str(&all)));
	free(other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_sub(fuzz_input(data, size), 0, 5000), base;
	bool answer;

	base = subject_base(in, &one, &answer);
	MUST(base.n <= in.n && fuzz_inside(base, buf_str(&one)));
	MUST(base.n == 0 || (base.p[0] != ' ' && base.p[base.n - 1] != ' '));
	MUST(str_eq(subject_base(base, &two, &answer), base) && !answer);
	still("Re: ", in, "", base);
	still("\tFW [list\t1] :\r\n ", in, "", base);
	still("[x] fWd:", in, "", base);
	still("", in, " (FwD)  ", base);
	if (str_index(in, '[') == in.n && str_index(in, ']') == in.n)
		still("[Fwd: ", in, "] ", base);
	sorts(in);
	return 0;
}
