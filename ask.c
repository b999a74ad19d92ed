/*
 * ask.c - asks whether a login is right, counts the tries that were refused
 * and holds refusals back. Decides nothing about passwords, and tells the
 * client nothing: cmd_login.c does.
 */
#include "ask.h"

#include "lib/params.h"

/*
 * Looking at a password takes 0.1 ms for a name that nobody has and up to
 * 100 ms for one that somebody has. What is slower than one step is held
 * back for the next, so only the number of steps can be told.
 */
static void
hold_back(struct io *io, int64_t since)
{
	int64_t steps = (io_now() - since) / REFUSAL_MS + 1;

	io_pause(io, since + steps * REFUSAL_MS);
}

enum login_answer
ask_login(struct ask *ask, struct io *io, struct login *l)
{
	int64_t since = io_now();
	enum login_answer answer = ask->check(ask->arg, l);

	login_wipe(l, sizeof(*l));
	if (answer == LOGIN_YES)
		return answer;
	ask->tries++;
	hold_back(io, since);
	return answer;
}

bool
ask_is_over(const struct ask *ask)
{
	return ask->tries >= LOGIN_TRIES;
}
