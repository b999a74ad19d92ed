/*
 * unit_flags.c - flag names, Status letters, and what may be a keyword.
 */
#include "../lib/flags.h"
#include "unit.h"

static const struct {
	const char *name;
	unsigned bit;
} names[] = {
	{ "\\Seen", FLAG_SEEN }, { "\\sEEN", FLAG_SEEN },
	{ "\\ANSWERED", FLAG_ANSWERED }, { "\\flagged", FLAG_FLAGGED },
	{ "\\Deleted", FLAG_DELETED }, { "\\Draft", FLAG_DRAFT },
	{ "\\Recent", FLAG_RECENT },
	{ "Seen", 0 }, { "\\Seen2", 0 }, { "\\See", 0 }, { "\\", 0 },
	{ "", 0 }, { "\\*", 0 }, { "\\Old", 0 },
};

static const struct {
	const char *value;
	unsigned bits;
} statuses[] = {
	{ "RO", FLAG_SEEN | FLAG_OLD }, { "O", FLAG_OLD }, { "", 0 },
	{ "AFTD", FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT | FLAG_DELETED },
	{ "DFAT", FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT | FLAG_DELETED },
	{ " R O \t", FLAG_SEEN | FLAG_OLD },
	{ "roNxZ09\xff", 0 }, { "RRRR", FLAG_SEEN },
};

static const struct {
	const char *what;
	struct str s;
	bool valid;
} keywords[] = {
	{ "a word is a keyword", { "Junk", 4 }, true },
	{ "$Forwarded is a keyword", { "$Forwarded", 10 }, true },
	{ "punctuation of atoms is", { "a+b-c_d.e/f[g}~!", 16 }, true },
	{ "the empty text is none", { "", 0 }, false },
	{ "a space ends an atom", { "a b", 3 }, false },
	{ "( is an atom-special", { "a(", 2 }, false },
	{ ") is an atom-special", { ")", 1 }, false },
	{ "{ is an atom-special", { "{1}", 3 }, false },
	{ "* is a list-wildcard", { "a*", 2 }, false },
	{ "% is a list-wildcard", { "%", 1 }, false },
	{ "a quote is a quoted-special", { "\"a\"", 3 }, false },
	{ "a backslash is a quoted-special", { "\\Seen", 5 }, false },
	{ "] is a resp-special", { "a]", 2 }, false },
	{ "NUL is no CHAR", { "a\0b", 3 }, false },
	{ "CR and LF are CTL", { "a\r\n", 3 }, false },
	{ "TAB is CTL", { "a\tb", 3 }, false },
	{ "DEL is CTL", { "a\x7f", 2 }, false },
	{ "8-bit bytes are no CHAR", { "caf\xc3\xa9", 5 }, false },
	{ "50 bytes are a keyword", {
	    "12345678901234567890123456789012345678901234567890", 50 }, true },
	{ "51 bytes are none", {
	    "123456789012345678901234567890123456789012345678901", 51 },
	    false },
};

static void
check_system(void)
{
	size_t i;
	unsigned bit;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CHECK(names[i].name,
		    flag_find(str_c(names[i].name)) == names[i].bit);
	for (bit = 1; bit <= FLAGS_SYSTEM; bit <<= 1)
		CHECK("the name of a system flag finds it",
		    flag_find(flag_name(bit)) == bit);
	CHECK_STR("\\Recent has its name", flag_name(FLAG_RECENT),
	    STR("\\Recent"));
	CHECK("what no client sees has no name",
	    flag_name(FLAG_OLD).n == 0 && flag_name(1 << 20).n == 0);
	CHECK("NUL is no letter", status_read(STR("R\0O")) ==
	    (FLAG_SEEN | FLAG_OLD));
	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		CHECK("Status letters are read, others ignored",
		    status_read(str_c(statuses[i].value)) ==
		    statuses[i].bits);
}

static void
check_keywords(void)
{
	struct keywords k = { 0 };
	char name[16];
	int i, bad = 0;

	for (i = 0; i < (int)(sizeof(keywords) / sizeof(keywords[0])); i++)
		CHECK(keywords[i].what,
		    keyword_valid(keywords[i].s) == keywords[i].valid);
	CHECK("no keyword is found in none",
	    keyword_find(&k, STR("Junk")) == -1);
	CHECK("the first keyword has index 0",
	    keyword_add(&k, STR("Junk")) == 0);
	CHECK("the next one has 1", keyword_add(&k, STR("NonJunk")) == 1);
	CHECK("case does not make another keyword",
	    keyword_add(&k, STR("JUNK")) == 0 && k.n == 2 &&
	    keyword_find(&k, STR("nonjunk")) == 1);
	CHECK_STR("a keyword keeps its first spelling",
	    keyword_name(&k, 0), STR("Junk"));
	CHECK("what is no atom is not added",
	    keyword_add(&k, STR("a b")) == -1 && k.n == 2);
	for (i = 2; i < KEYWORDS_MAX; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		bad += keyword_add(&k, str_c(name)) != i;
	}
	CHECK("there is room for 30", bad == 0 && k.n == KEYWORDS_MAX);
	CHECK("but not for 31", keyword_add(&k, STR("more")) == -1);
	CHECK("the known are still known when it is full",
	    keyword_add(&k, STR("k29")) == 29);
}

int
main(void)
{
	check_system();
	check_keywords();
	return unit_end();
}
