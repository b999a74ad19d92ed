/*
 * auth.c - is this password right, and whose is it? The only file that knows
 * PAM and crypt(3). Looks at one try in a worker process (auth_worker.c),
 * believes nothing that the worker answers without checking it again, and
 * decides "no" wherever it does not decide "yes".
 *
 * Here "parent" is the process that asks, "worker" the one that looks.
 */
#include "auth.h"

#include <crypt.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifndef WITHOUT_PAM
#include <security/pam_appl.h>
#endif

#include "auth_own.h"
#include "lib/log.h"
#include "lib/params.h"

enum {
	MAGIC = 0x696d6170,
	/* A name that log_clean has made longer. */
	CLEAN_ROOM = 260,
};

/* Of a hash that nobody's password has: Debian's usual cost. */
#define DUMMY	"$y$j9T$QbPcB5wTM9MxuTj7DEaRS/$"

/* What crosses from the worker to the parent, in one write. */
struct result {
	uint32_t magic;
	uint32_t reason;	/* enum auth_reason */
	uint32_t method;	/* who decided; auth.n: nobody */
	int32_t detail;		/* errno or PAM's number, for the log */
	struct identity who;	/* zero unless AUTH_RIGHT */
};

struct try {
	const struct auth *auth;
	const struct login *login;
	const char *peer;
};

struct worker {
	const struct try *try;
	struct str name;	/* empty: refused already, so nobody's */
	bool hashed;		/* a hash of the usual cost was computed */
	char dummy[AUTH_HASH_ROOM];
	struct result result;
};

enum detail { NO_DETAIL, ERRNO, PAM_NUMBER };

static const struct {
	enum login_answer answer;
	const char *text;
	enum detail detail;
} reasons[AUTH_REASONS] = {
	[AUTH_NOTHING] = { LOGIN_UNAVAILABLE, "no answer" },
	[AUTH_RIGHT] = { LOGIN_YES, "" },
	[AUTH_UNKNOWN] = { LOGIN_NO, "there is no such user" },
	[AUTH_BAD_NAME] = { LOGIN_NO, "no user can have that name" },
	[AUTH_NO_PASSWORD] = { LOGIN_NO, "the password is empty" },
	[AUTH_WRONG_PASSWORD] = { LOGIN_NO, "wrong password" },
	[AUTH_EMPTY_HASH] = { LOGIN_NO, "no password is set" },
	[AUTH_LOCKED] = { LOGIN_NO, "the password is locked" },
	[AUTH_DES] = { LOGIN_NO,
	    "the password is hashed with DES, which is refused" },
	[AUTH_NO_HASH] = { LOGIN_NO, "what should be a hash is none" },
	[AUTH_NO_CRYPT] = { LOGIN_UNAVAILABLE,
	    "crypt(3) can not compute it: unknown method, or no memory" },
	[AUTH_ROOT] = { LOGIN_NO, "uid and gid 0 never log in" },
	[AUTH_SYSTEM_USER] = { LOGIN_NO, "the uid is the system's own" },
	[AUTH_OTHER_USER] = { LOGIN_NO,
	    "not the user that this server runs as" },
	[AUTH_NO_ID] = { LOGIN_NO, "the uid or gid is nobody's number" },
	[AUTH_NO_HOME] = { LOGIN_NO, "the home is no absolute path" },
	[AUTH_BAD_LINE] = { LOGIN_NO,
	    "the line is not user:hash:uid:gid:gecos:/home" },
	[AUTH_PAM_NO] = { LOGIN_NO, "refused", PAM_NUMBER },
	[AUTH_PAM_ACCOUNT_NO] = { LOGIN_NO,
	    "right password, refused account", PAM_NUMBER },
	[AUTH_PAM_USER] = { LOGIN_NO,
	    "right password of a user that the system does not know" },
	[AUTH_AS_OTHER] = { LOGIN_NOT_AS,
	    "right password, but may not act as another" },
	[AUTH_EXPIRED] = { LOGIN_EXPIRED,
	    "right password, expired account" },
	[AUTH_PASSWORD_OLD] = { LOGIN_EXPIRED,
	    "right password, but too old" },
	[AUTH_MUST_CHANGE] = { LOGIN_EXPIRED,
	    "right password, but it must be changed first" },
	[AUTH_PAM_EXPIRED] = { LOGIN_EXPIRED,
	    "right password, refused account", PAM_NUMBER },
	[AUTH_PAM_BROKEN] = { LOGIN_UNAVAILABLE, "failed", PAM_NUMBER },
	[AUTH_NO_METHOD] = { LOGIN_UNAVAILABLE,
	    "nobody can be asked: built for --auth=file:/PATH alone, which is"
	    " missing" },
	[AUTH_NOT_ROOT] = { LOGIN_UNAVAILABLE, "only root may ask it" },
	[AUTH_FILE_CLOSED] = { LOGIN_UNAVAILABLE, "can not read it", ERRNO },
	[AUTH_FILE_OPEN_TO_ALL] = { LOGIN_UNAVAILABLE,
	    "not used: others than its reader and root may write to it" },
	[AUTH_FILE_NONE] = { LOGIN_UNAVAILABLE, "no regular file" },
	[AUTH_NO_WORKER] = { LOGIN_UNAVAILABLE,
	    "can not make a process that looks", ERRNO },
	[AUTH_TIMED_OUT] = { LOGIN_UNAVAILABLE, "no answer in time" },
	[AUTH_STOPPED] = { LOGIN_UNAVAILABLE, "the server is ending" },
	[AUTH_BAD_RESULT] = { LOGIN_UNAVAILABLE,
	    "the process that looks has died or lies" },
};

/* --- What --auth says ---------------------------------------------- */

#ifdef WITHOUT_PAM
static const bool have_pam = false;
#else
static const bool have_pam = true;
#endif
#ifdef WITHOUT_NSS
static const bool have_shadow = false;
#else
static const bool have_shadow = true;
#endif

static enum err
add(struct auth *a, enum auth_kind kind, const char *path)
{
	a->methods[a->n].kind = kind;
	a->methods[a->n].path = path;
	a->n++;
	return E_OK;
}

enum err
auth_add(struct auth *a, const char *value, struct why *why)
{
	const struct str file = STR("file:/");

	if (a->n == AUTH_METHODS)
		return why_set(why, E_LIMIT, "more than %d methods",
		    AUTH_METHODS);
	if (a->n > 0 && a->methods[a->n - 1].kind != AUTH_FILE)
		return why_set(why, E_NAME, "pam and shadow have the last "
		    "word: nothing may come after");
	if (strcmp(value, "shadow") == 0)
		return have_shadow ? add(a, AUTH_SHADOW, NULL) :
		    why_set(why, E_NAME, "built without the system's users:"
		    " use file:/PATH");
	if (strcmp(value, "pam") == 0)
		return have_pam ? add(a, AUTH_PAM, NULL) :
		    why_set(why, E_NAME, "built without PAM");
	if (str_starts(str_c(value), file))
		return add(a, AUTH_FILE, value + file.n - 1);
	return why_set(why, E_NAME, "it is pam, shadow or file:/PATH");
}

void
auth_default(struct auth *a)
{
	a->n = 0;
	if (have_pam || have_shadow)
		add(a, have_pam ? AUTH_PAM : AUTH_SHADOW, NULL);
}

const char *
auth_built_in(void)
{
	return have_pam ? "pam shadow file" : have_shadow ? "shadow file" :
	    "file";
}

/* --- crypt(3) ------------------------------------------------------ */

/* Takes the same time wherever the difference lies. */
static bool
same(struct str a, struct str b)
{
	volatile unsigned char differ = 0;
	size_t i;

	if (a.n != b.n)
		return false;
	for (i = 0; i < a.n; i++)
		differ |= (unsigned char)(a.p[i] ^ b.p[i]);
	return differ == 0;
}

/*
 * crypt(3) has two ways to fail: NULL, and "*0" or "*1". Then nobody knows
 * whether the password is right, and nobody is to be shut out for it.
 */
static enum auth_reason
compare(const char *password, const char *hash)
{
	enum auth_reason reason = AUTH_WRONG_PASSWORD;
	struct crypt_data data;
	const char *got;

	memset(&data, 0, sizeof(data));
	got = crypt_r(password, hash, &data);
	if (got == NULL || got[0] == '*')
		reason = AUTH_NO_CRYPT;
	else if (same(str_c(got), str_c(hash)))
		reason = AUTH_RIGHT;
	login_wipe(&data, sizeof(data));
	return reason;
}

static void
set_c(char to[AUTH_HASH_ROOM], struct str s)
{
	memcpy(to, s.p, s.n);
	to[s.n] = '\0';
}

static enum auth_reason
check_hash(struct worker *w, struct str hash)
{
	enum auth_reason kind = auth_hash_kind(hash);
	char text[AUTH_HASH_ROOM];

	if (kind != AUTH_RIGHT)
		return kind;
	set_c(text, hash);
	w->hashed = true;
	return compare(w->try->login->password, text);
}

/*
 * The time that an answer takes must not say who exists (CVE-2016-6210), nor
 * may the time of the processor that others on this host see pass. With the
 * same password, for some hashes take longer for longer ones.
 */
static void
spend_the_time(struct worker *w)
{
	if (!w->hashed)
		compare(w->try->login->password, w->dummy);
}

/* --- A password file ----------------------------------------------- */

/* As UW did it: if the name as given is unknown, in lower case. */
static struct str
lower(struct str s, char to[LOGIN_USER_BYTES + 1])
{
	size_t i;

	for (i = 0; i < s.n; i++)
		to[i] = (char)ascii_lower((unsigned char)s.p[i]);
	to[s.n] = '\0';
	return (struct str){ to, s.n };
}

static enum auth_reason
ask_file(struct worker *w, const char *path)
{
	struct buf bytes = BUF_MAX(AUTH_FILE_BYTES);
	char name[LOGIN_USER_BYTES + 1];
	struct auth_entry e;
	enum auth_reason reason;
	struct str text, hash;

	reason = auth_file_read(path, &bytes);
	w->result.detail = errno;
	if (reason != AUTH_RIGHT)
		return reason;
	text = buf_str(&bytes);
	hash = auth_file_hash(text);
	if (hash.n > 0)
		set_c(w->dummy, hash);
	if (!auth_file_find(text, w->name, &e) &&
	    !auth_file_find(text, lower(w->name, name), &e))
		return AUTH_UNKNOWN;
	if (!e.whole)
		return AUTH_BAD_LINE;
	reason = auth_identity(&w->result.who, e.user, e.home, e.uid, e.gid);
	return reason == AUTH_RIGHT ? check_hash(w, e.hash) : reason;
}

/* --- The system's users -------------------------------------------- */

static enum auth_reason
find_user(struct worker *w, struct str *hash, enum auth_reason *age)
{
	struct identity *who = &w->result.who;
	char name[LOGIN_USER_BYTES + 1];
	enum auth_reason reason;

	if (w->name.n == 0)
		return AUTH_UNKNOWN;
	reason = auth_user(w->name.p, who, hash, age);
	if (reason == AUTH_UNKNOWN)
		reason = auth_user(lower(w->name, name).p, who, hash, age);
	return reason;
}

/* The age last: only who knows the password is told of it. */
static enum auth_reason
ask_shadow(struct worker *w, const char *path)
{
	enum auth_reason reason, age;
	struct str hash;

	(void)path;
	if (geteuid() != 0)
		return AUTH_NOT_ROOT;
	reason = find_user(w, &hash, &age);
	if (reason == AUTH_RIGHT)
		reason = check_hash(w, hash);
	return reason == AUTH_RIGHT ? age : reason;
}

/* --- PAM ----------------------------------------------------------- */

#ifdef WITHOUT_PAM

static enum auth_reason
ask_pam(struct worker *w, const char *path)
{
	(void)w;
	(void)path;
	return AUTH_NOTHING;
}

static const char *
pam_text(int number)
{
	(void)number;
	return "built without PAM";
}

#else

/* What PAM's numbers mean to us; any other is a no. */
static const struct {
	int number;
	enum auth_reason authenticate;
	enum auth_reason account;
} pam_numbers[] = {
	{ PAM_SUCCESS, AUTH_RIGHT, AUTH_RIGHT },
	{ PAM_ACCT_EXPIRED, AUTH_PAM_NO, AUTH_PAM_EXPIRED },
	{ PAM_AUTHTOK_EXPIRED, AUTH_PAM_NO, AUTH_PAM_EXPIRED },
	{ PAM_NEW_AUTHTOK_REQD, AUTH_PAM_NO, AUTH_PAM_EXPIRED },
	{ PAM_AUTHINFO_UNAVAIL, AUTH_PAM_BROKEN, AUTH_PAM_BROKEN },
	{ PAM_ABORT, AUTH_PAM_BROKEN, AUTH_PAM_BROKEN },
	{ PAM_SYSTEM_ERR, AUTH_PAM_BROKEN, AUTH_PAM_BROKEN },
	{ PAM_BUF_ERR, AUTH_PAM_BROKEN, AUTH_PAM_BROKEN },
	{ PAM_OPEN_ERR, AUTH_PAM_BROKEN, AUTH_PAM_BROKEN },
	{ PAM_SYMBOL_ERR, AUTH_PAM_BROKEN, AUTH_PAM_BROKEN },
	{ PAM_SERVICE_ERR, AUTH_PAM_BROKEN, AUTH_PAM_BROKEN },
	{ PAM_MODULE_UNKNOWN, AUTH_PAM_BROKEN, AUTH_PAM_BROKEN },
};

struct talk {
	struct str user;
	struct str password;
	bool told;		/* the password has been given */
};

static enum auth_reason
pam_reason(int number, bool account)
{
	size_t i;

	for (i = 0; i < sizeof(pam_numbers) / sizeof(pam_numbers[0]); i++)
		if (pam_numbers[i].number == number)
			return account ? pam_numbers[i].account :
			    pam_numbers[i].authenticate;
	return account ? AUTH_PAM_ACCOUNT_NO : AUTH_PAM_NO;
}

static const char *
pam_text(int number)
{
	return pam_strerror(NULL, number);
}

static int
reply_with(struct pam_response *to, struct str s)
{
	to->resp = calloc(1, s.n + 1);
	if (to->resp == NULL)
		return PAM_BUF_ERR;
	memcpy(to->resp, s.p, s.n);
	return PAM_SUCCESS;
}

/*
 * The first hidden question is for the password. A second one is for a code
 * or for a new password, of which we have neither.
 */
static int
reply_to(struct talk *talk, const struct pam_message *m,
    struct pam_response *to)
{
	switch (m->msg_style) {
	case PAM_PROMPT_ECHO_OFF:
		if (talk->told)
			return PAM_CONV_ERR;
		talk->told = true;
		return reply_with(to, talk->password);
	case PAM_PROMPT_ECHO_ON:
		return reply_with(to, talk->user);
	case PAM_TEXT_INFO:
	case PAM_ERROR_MSG:
		return PAM_SUCCESS;
	default:
		return PAM_CONV_ERR;
	}
}

static void
forget(struct pam_response *replies, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (replies[i].resp != NULL) {
			login_wipe(replies[i].resp,
			    str_c(replies[i].resp).n);
			free(replies[i].resp);
		}
	free(replies);
}

static int
converse(int n, const struct pam_message **m, struct pam_response **out,
    void *arg)
{
	struct pam_response *replies;
	int i, r = PAM_SUCCESS;

	if (n <= 0 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	replies = calloc((size_t)n, sizeof(*replies));
	if (replies == NULL)
		return PAM_BUF_ERR;
	for (i = 0; i < n && r == PAM_SUCCESS; i++)
		r = reply_to(arg, m[i], &replies[i]);
	if (r == PAM_SUCCESS)
		*out = replies;
	else
		forget(replies, n);
	return r;
}

/* ask.c holds a refusal back for the same time whatever the reason; PAM's
 * own delay differs, and would add to that. */
static void
no_delay(int status, unsigned usec, void *arg)
{
	(void)status;
	(void)usec;
	(void)arg;
}

static int
set_items(pam_handle_t *pam, const char *peer)
{
	int r;

	r = pam_set_item(pam, PAM_FAIL_DELAY, (const void *)no_delay);
	if (r == PAM_SUCCESS)
		r = pam_set_item(pam, PAM_TTY, "imap");
	if (r == PAM_SUCCESS && *peer != '\0')
		r = pam_set_item(pam, PAM_RHOST, peer);
	return r;
}

/* A module may have named another user than we asked for: that one it is. */
static enum auth_reason
take_user(pam_handle_t *pam, char user[LOGIN_USER_BYTES + 1])
{
	const void *item = NULL;
	struct str s;

	if (pam_get_item(pam, PAM_USER, &item) != PAM_SUCCESS || item == NULL)
		return AUTH_PAM_USER;
	s = str_c(item);
	if (!login_name_ok(s))
		return AUTH_BAD_NAME;
	memcpy(user, s.p, s.n);
	user[s.n] = '\0';
	return AUTH_RIGHT;
}

/*
 * No credentials and no session: nothing of PAM outlives the worker. The
 * account is looked at also because pam_faillock forgets failures there.
 */
static enum auth_reason
run_pam(struct worker *w, char user[LOGIN_USER_BYTES + 1])
{
	const int flags = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;
	const struct login *l = w->try->login;
	struct talk talk = { str_c(user), { l->password, l->password_n },
	    false };
	const struct pam_conv conv = { converse, &talk };
	enum auth_reason reason = AUTH_PAM_BROKEN;
	pam_handle_t *pam = NULL;
	int r;

	r = pam_start("imap", user, &conv, &pam);
	if (r == PAM_SUCCESS && (r = set_items(pam, w->try->peer)) ==
	    PAM_SUCCESS) {
		r = pam_authenticate(pam, flags);
		reason = pam_reason(r, false);
		if (reason == AUTH_RIGHT) {
			r = pam_acct_mgmt(pam, flags);
			reason = pam_reason(r, true);
		}
		if (reason == AUTH_RIGHT)
			reason = take_user(pam, user);
	}
	w->result.detail = r;
	if (pam != NULL)
		pam_end(pam, r);
	return reason;
}

/*
 * "nullok" in PAM's configuration, which Debian has, lets anyone in whose
 * hash is empty, with any password: so that is looked at here. A user without
 * a hash of this host costs PAM less time.
 */
static enum auth_reason
check_known(struct worker *w, struct str hash)
{
	w->hashed = auth_hash_kind(hash) == AUTH_RIGHT;
	return hash.n == 0 ? AUTH_EMPTY_HASH : AUTH_RIGHT;
}

/*
 * Modules call what they like, and may have named another user: who it is,
 * is looked up anew, under exactly the name that PAM says.
 */
static enum auth_reason
take_known(struct worker *w, const char *user)
{
	enum auth_reason reason, age;
	struct str hash;

	reason = auth_user(user, &w->result.who, &hash, &age);
	if (reason == AUTH_UNKNOWN)
		return AUTH_PAM_USER;
	return reason == AUTH_RIGHT ? check_known(w, hash) : reason;
}

/* A user whom the system does not know is asked about all the same: PAM
 * counts and logs, and a module may give it another name. */
static enum auth_reason
ask_pam(struct worker *w, const char *path)
{
	char user[LOGIN_USER_BYTES + 1] = "";
	enum auth_reason reason, age;
	struct str hash, name = w->name;

	(void)path;
	if (geteuid() != 0)
		return AUTH_NOT_ROOT;
	if (name.n == 0)
		return AUTH_UNKNOWN;
	reason = find_user(w, &hash, &age);
	if (reason == AUTH_RIGHT) {
		reason = check_known(w, hash);
		name = str_c(w->result.who.user);
	}
	if (reason != AUTH_RIGHT && reason != AUTH_UNKNOWN)
		return reason;
	memcpy(user, name.p, name.n);
	reason = run_pam(w, user);
	return reason == AUTH_RIGHT ? take_known(w, user) : reason;
}

#endif

/* --- The worker ---------------------------------------------------- */

static enum auth_reason (*const ask[])(struct worker *w, const char *path) = {
	[AUTH_PAM] = ask_pam,
	[AUTH_SHADOW] = ask_shadow,
	[AUTH_FILE] = ask_file,
};

/*
 * What is refused beforehand goes the same way as an unknown user, with a
 * name that nobody has.
 */
static enum auth_reason
decide(struct worker *w)
{
	const struct auth *a = w->try->auth;
	const struct login *l = w->try->login;
	enum auth_reason before = AUTH_RIGHT, reason = AUTH_UNKNOWN;
	uint32_t i;

	w->result.method = (uint32_t)a->n;
	if (a->n == 0)
		return AUTH_NO_METHOD;
	w->name = (struct str){ l->user, l->user_n };
	if (!login_name_ok(w->name))
		before = AUTH_BAD_NAME;
	else if (l->password_n == 0)
		before = AUTH_NO_PASSWORD;
	if (before != AUTH_RIGHT)
		w->name.n = 0;
	for (i = 0; i < a->n && reason == AUTH_UNKNOWN; i++) {
		w->result.method = i;
		reason = ask[a->methods[i].kind](w, a->methods[i].path);
	}
	if (before == AUTH_RIGHT)
		return reason;
	w->result.method = (uint32_t)a->n;
	return before;
}

/* Runs in the worker; fills *result, whatever happens. */
static void
look(const void *arg, void *result)
{
	struct worker w;
	enum auth_reason reason;

	memset(&w, 0, sizeof(w));
	w.try = arg;
	set_c(w.dummy, STR(DUMMY));
	reason = decide(&w);
	spend_the_time(&w);
	if (reason == AUTH_RIGHT)
		auth_groups(&w.result.who);
	else
		memset(&w.result.who, 0, sizeof(w.result.who));
	w.result.reason = reason;
	w.result.magic = MAGIC;
	memcpy(result, &w.result, sizeof(w.result));
}

/* --- The parent ---------------------------------------------------- */

/* A text with a NUL behind it, and nothing but NULs behind that. */
static bool
is_text(const char *p, size_t room)
{
	size_t n = str_index((struct str){ p, room }, '\0'), i;

	for (i = n; i < room; i++)
		if (p[i] != '\0')
			return false;
	return n < room;
}

static bool
is_person(const struct identity *who)
{
	size_t i;

	for (i = 0; i < who->groups_n && i < LOGIN_GROUPS; i++)
		if (who->groups[i] == 0)
			return false;
	return is_text(who->user, sizeof(who->user)) &&
	    is_text(who->home, sizeof(who->home)) &&
	    login_name_ok(str_c(who->user)) && who->home[0] == '/' &&
	    who->groups_n <= LOGIN_GROUPS &&
	    auth_may_log_in(who->uid, who->gid) == AUTH_RIGHT;
}

/* The worker ran strangers' code: it may say anything. */
static enum auth_reason
judge(const struct try *t, const struct result *r)
{
	if (r->magic != MAGIC || r->reason >= AUTH_REASONS ||
	    r->method > t->auth->n)
		return AUTH_BAD_RESULT;
	if (r->reason == AUTH_RIGHT && !is_person(&r->who))
		return AUTH_BAD_RESULT;
	return (enum auth_reason)r->reason;
}

/* The lengths are what the bytes say, as login_set leaves it. */
static bool
is_login(const struct login *l)
{
	return is_text(l->user, sizeof(l->user)) &&
	    is_text(l->authz, sizeof(l->authz)) &&
	    is_text(l->password, sizeof(l->password)) &&
	    str_c(l->user).n == l->user_n &&
	    str_c(l->authz).n == l->authz_n &&
	    str_c(l->password).n == l->password_n;
}

static bool
as_another(const struct login *l, const struct identity *who)
{
	return l->authz_n > 0 && strcmp(l->authz, l->user) != 0 &&
	    strcmp(l->authz, who->user) != 0;
}

static const char *
detail_text(enum auth_reason reason, int detail)
{
	switch (reasons[reason].detail) {
	case ERRNO:
		return detail == 0 ? "" : strerror(detail);
	case PAM_NUMBER:
		return pam_text(detail);
	default:
		return "";
	}
}

/* Of what the worker said only numbers come here, no text. */
static void
log_no(const struct try *t, enum auth_reason reason, const struct result *r)
{
	static const char *const names[] = {
		[AUTH_PAM] = "pam: ",
		[AUTH_SHADOW] = "shadow: ",
		[AUTH_FILE] = "file ",
	};
	const struct auth *a = t->auth;
	const char *path = r->method < a->n ? a->methods[r->method].path :
	    NULL;
	const char *detail = detail_text(reason, r->detail);
	char user[CLEAN_ROOM];

	log_clean((struct str){ t->login->user, t->login->user_n }, user,
	    sizeof(user));
	(reasons[reason].answer == LOGIN_UNAVAILABLE ? log_warn : log_info)(
	    "no login for %s: %s%.200s%s%s%s%s", user,
	    r->method < a->n ? names[a->methods[r->method].kind] : "",
	    path == NULL ? "" : path, path == NULL ? "" : ": ",
	    reasons[reason].text, *detail == '\0' ? "" : ": ", detail);
}

enum login_answer
auth_check(const struct auth *a, const struct login *l, const char *peer,
    const volatile sig_atomic_t *stop, struct identity *who)
{
	const struct try t = { a, l, peer };
	enum auth_reason reason;
	struct result r;

	if (!is_login(l))
		log_bug("a login with wrong lengths");
	memset(&r, 0, sizeof(r));
	r.method = (uint32_t)a->n;
	reason = auth_worker(look, &t, &r, sizeof(r), stop);
	if (reason == AUTH_RIGHT)
		reason = judge(&t, &r);
	else
		r.detail = errno;
	if (reason == AUTH_RIGHT && as_another(l, &r.who))
		reason = AUTH_AS_OTHER;
	if (reason == AUTH_RIGHT)
		*who = r.who;
	else
		log_no(&t, reason, &r);
	return reasons[reason].answer;
}
