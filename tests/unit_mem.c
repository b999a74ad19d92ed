/*
 * unit_mem.c - memory by lifetime, and sizes that no memory has: each must be
 * the end of the process and none the beginning of a small piece
 * (CVE-2005-1513).
 */
#include <errno.h>
#include <stdint.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "unit.h"
#include "../lib/buf.h"
#include "../lib/log.h"
#include "../lib/mem.h"

/* True when the attempt has ended as running out of memory does. */
static bool
ends(void (*attempt)(void))
{
	pid_t pid;
	int status = 0;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		log_open(LOG_TO_NONE);
		attempt();
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return pid > 0 && WIFEXITED(status) &&
	    WEXITSTATUS(status) == EX_SOFTWARE;
}

static void
product_wraps(void)
{
	pool_array(pool_new(), SIZE_MAX / 2 + 2, 2);
}

static void
rounding_wraps(void)
{
	pool_alloc(pool_new(), SIZE_MAX - 3);
}

static void
header_wraps(void)
{
	pool_alloc(pool_new(), SIZE_MAX - 20);
}

static void
copy_wraps(void)
{
	pool_copy(pool_new(), (struct str){ "", SIZE_MAX });
}

static void
again_wraps(void)
{
	xrealloc(NULL, SIZE_MAX / 4 + 2, 4);
}

static void
check_wraps(void)
{
	CHECK("a product that wraps (CVE-2005-1513)", ends(product_wraps));
	CHECK("a size that wraps when it is rounded", ends(rounding_wraps));
	CHECK("one that wraps with its header", ends(header_wraps));
	CHECK("one that wraps with its NUL", ends(copy_wraps));
	CHECK("an array that grows and wraps", ends(again_wraps));
}

static void
check_buf(void)
{
	struct buf b = BUF_MAX(SIZE_MAX);

	buf_add(&b, STR("abc"));
	CHECK("a buffer does not wrap", buf_grow(&b, SIZE_MAX - 2) == NULL &&
	    b.over);
	CHECK_STR("and keeps what it has", buf_str(&b), STR("abc"));
	buf_addc(&b, 'd');
	CHECK_STR("nothing is added behind what was not", buf_str(&b),
	    STR("abc"));
	buf_free(&b);
}

static void
check_limit(void)
{
	struct buf b = BUF_MAX(4);

	buf_add(&b, STR("abcd"));
	CHECK("as many as the limit says", b.n == 4 && !b.over);
	buf_addc(&b, 'e');
	CHECK("and not one more", b.n == 4 && b.over);
	buf_clear(&b);
	buf_add(&b, STR("abcde"));
	CHECK("an addition happens whole or not at all", b.n == 0 && b.over);
	buf_free(&b);
}

static void
check_pool(void)
{
	struct pool *pool = pool_new();
	char *p = pool_alloc(pool, 100), *q = pool_alloc(pool, 0);
	char *big = pool_alloc(pool, 1 << 20), *r = pool_alloc(pool, 1);
	struct str s = pool_copy(pool, STR("ab"));

	CHECK("memory is aligned", (uintptr_t)p % 16 == 0 &&
	    (uintptr_t)big % 16 == 0 && (uintptr_t)r % 16 == 0);
	CHECK("each piece is another", p != q && q != big && big != r &&
	    p[0] == 0 && p[99] == 0 && big[(1 << 20) - 1] == 0);
	CHECK("a copy has a NUL behind it", str_eq(s, STR("ab")) &&
	    s.p[2] == '\0');
	CHECK("what is taken is counted", pool_used(pool) >= 101 + (1 << 20));
	memset(p, 'x', 100);
	memset(big, 'x', 1 << 20);
	pool_wipe(pool);
	CHECK("wiped, nothing is left", p[0] == 0 && p[99] == 0 &&
	    big[0] == 0 && big[(1 << 20) - 1] == 0 && s.p[0] == 0);
	pool_reset(pool);
	p = pool_alloc(pool, 100);
	CHECK("memory that is used again is zero", p[0] == 0 && p[99] == 0 &&
	    pool_used(pool) < 200);
	pool_free(pool);
}

int
main(void)
{
	check_wraps();
	check_buf();
	check_limit();
	check_pool();
	return unit_end();
}
