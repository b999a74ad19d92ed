/*
 * unit_path.c - paths in fixed memory, at their limits above all.
 */
#include <stdlib.h>

#include "unit.h"
#include "../lib/path.h"

static bool
whole(const struct path *path, const char *want)
{
	return path->n == strlen(want) && strcmp(path->p, want) == 0;
}

static void
test_building(void)
{
	static struct path path;

	CHECK("a path is set",
	    path_set(&path, STR("/home/alex")) && whole(&path, "/home/alex"));
	CHECK("a part is added behind a slash",
	    path_add(&path, STR("mail")) && whole(&path, "/home/alex/mail"));
	path_cut(&path, 10);
	CHECK("and cut off again", whole(&path, "/home/alex"));
	CHECK_STR("its bytes are borrowed", path_str(&path),
	    STR("/home/alex"));
	CHECK("the root directory is the empty path",
	    path_set(&path, STR("")) && path_add(&path, STR("etc")) &&
	    whole(&path, "/etc"));
}

static void
test_limits(void)
{
	static char long_name[PATH_MAX + 1];
	struct path *path = malloc(sizeof(*path));

	if (path == NULL)
		exit(99);
	memset(long_name, 'x', sizeof(long_name));
	CHECK("the longest path fits",
	    path_set(path, (struct str){ long_name, PATH_MAX - 1 }) &&
	    path->n == PATH_MAX - 1 && path->p[PATH_MAX - 1] == '\0');
	CHECK("not even an empty part does then",
	    !path_add(path, STR("")) && path->n == PATH_MAX - 1);
	CHECK("a longer path does not",
	    !path_set(path, (struct str){ long_name, PATH_MAX }));
	path_set(path, STR("/a"));
	CHECK("nor a part that is too long by one",
	    !path_add(path, (struct str){ long_name, PATH_MAX - 3 }) &&
	    whole(path, "/a"));
	CHECK("one that just fits does",
	    path_add(path, (struct str){ long_name, PATH_MAX - 4 }) &&
	    path->n == PATH_MAX - 1 && path->p[PATH_MAX - 1] == '\0');
	free(path);
}

static void
test_within(void)
{
	CHECK("a path is within what is above it",
	    path_within(STR("/home"), STR("/home/alex")) &&
	    path_within(STR("/home"), STR("/home/alex/mail")));
	CHECK("not within itself",
	    !path_within(STR("/home"), STR("/home")) &&
	    !path_within(STR("/home"), STR("/home/")));
	CHECK("not within a name that begins alike",
	    !path_within(STR("/home"), STR("/home2/alex")));
	CHECK("not within what is below or beside it",
	    !path_within(STR("/home/alex"), STR("/home")) &&
	    !path_within(STR("/home/alex"), STR("/home/rile/mail")));
	CHECK("everything is within the root directory",
	    path_within(STR(""), STR("/home")) &&
	    !path_within(STR(""), STR("/")));
}

int
main(void)
{
	test_building();
	test_limits();
	test_within();
	return unit_end();
}
