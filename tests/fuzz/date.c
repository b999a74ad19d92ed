/*
 * Dates of mail, of IMAP and of From_ lines: what was read, written in each
 * form, is read again as the same instant in the same zone.
 */
#include <time.h>

#include "fuzz.h"
#include "../../lib/date.h"
#include "../../lib/fromline.h"

static const int64_t first = -62135596800, last = 253402300799;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	/* Clocks that change, without a file of theirs. */
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	return 0;
}

static bool
is(struct date a, struct date b)
{
	return a.time == b.time && a.zone == b.zone;
}

/* As INTERNALDATE, and as a Date field. */
static void
written(struct date d)
{
	int64_t wall = d.time + (int64_t)d.zone * 60, day;
	struct date back;
	char text[27], bare[12];

	if (wall < first || wall > last || d.zone < -1439 || d.zone > 1439)
		return;
	date_to_imap(&d, text);
	MUST(date_from_imap((struct str){ text, 26 }, &back) == 0);
	MUST(is(back, d));
	memcpy(bare, text, sizeof(bare));
	bare[0] = bare[0] == ' ' ? '0' : bare[0];
	MUST(date_day_from_imap((struct str){ bare, 11 }, &day) == 0);
	MUST(day == date_day_written(&d));
	text[2] = text[6] = ' ';
	MUST(date_from_822((struct str){ text, 26 }, &back) == 0);
	MUST(is(back, d));
}

/* Its line says the same; a sender with blanks in it is none to be written. */
static void
line(struct str in)
{
	struct buf b = BUF_MAX(1 << 20);
	struct fromline f, back;
	struct date d, e;
	enum fromline_kind kind = fromline_read(in, &f);

	(void)fromline_header_like(in);
	MUST(fromline_read(in, NULL) == kind);
	if (kind == FROMLINE_NOT)
		return;
	MUST(fuzz_inside(f.sender, in));
	fromline_date(&f, &d);
	fromline_write(STR("a@b"), &d, &b);
	MUST(fromline_read(buf_str(&b), &back) == FROMLINE_STRICT);
	MUST(str_eq(back.sender, STR("a@b")));
	fromline_date(&back, &e);
	MUST(is(d, e));
	buf_free(&b);
}

/* The server's clock: what it showed was shown at that time, unless it never
 * showed that. */
static void
local(int64_t wall)
{
	struct date d, back;

	if (wall > INT64_MAX / 2 || wall < INT64_MIN / 2)
		return;
	date_from_local(wall, &d);
	MUST(d.time + (int64_t)d.zone * 60 == wall);
	back = d;
	date_to_local(&back);
	if (back.zone != d.zone)
		MUST(back.zone == 120 && d.zone == 60);
	date_to_imap(&d, (char[27]){ 0 });
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = fuzz_input(data, size), number = in;
	struct date d;
	int64_t day;

	if (date_from_822(in, &d) == 0)
		written(d);
	if (date_from_imap(in, &d) == 0)
		written(d);
	if (date_day_from_imap(in, &day) == 0)
		written((struct date){ .time = day * 86400 });
	line(in);
	if (in.n > 0)
		line(str_sub(in, 0, in.n - 1));
	d.time = (int64_t)fuzz_number(&number, 8);
	local(d.time);
	local(d.time % 8000000000);
	date_to_local(&d);
	written(d);
	return 0;
}
