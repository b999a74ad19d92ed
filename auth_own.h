/*
 * auth_own.h - what auth.c shares with auth_file.c, auth_user.c and
 * auth_worker.c: why a try ends as it does, and what each of them does.
 * Nobody else includes it.
 */
#ifndef AUTH_OWN_H
#define AUTH_OWN_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/buf.h"
#include "lib/login.h"
#include "lib/str.h"

enum {
	/* A hash with its NUL: CRYPT_OUTPUT_SIZE of crypt(3). */
	AUTH_HASH_ROOM = 384,
	/* Longer lines of a password file are no entries. */
	AUTH_LINE_BYTES = 8192,
	/* Ten thousands of users; the worker has to hold it in memory. */
	AUTH_FILE_BYTES = 16777216,
};

/* What to answer, and what to log, stands in a table of auth.c. */
enum auth_reason {
	AUTH_NOTHING,		/* zero: an answer never given is no yes */
	AUTH_RIGHT,
	AUTH_UNKNOWN,		/* not listed: the next method is asked */
	AUTH_BAD_NAME,
	AUTH_NO_PASSWORD,
	AUTH_WRONG_PASSWORD,
	AUTH_EMPTY_HASH,
	AUTH_LOCKED,
	AUTH_DES,
	AUTH_NO_HASH,
	AUTH_NO_CRYPT,
	AUTH_ROOT,
	AUTH_SYSTEM_USER,
	AUTH_OTHER_USER,
	AUTH_NO_ID,
	AUTH_NO_HOME,
	AUTH_BAD_LINE,
	AUTH_PAM_NO,
	AUTH_PAM_ACCOUNT_NO,
	AUTH_PAM_USER,
	AUTH_AS_OTHER,
	/* Right, but too old. */
	AUTH_EXPIRED,
	AUTH_PASSWORD_OLD,
	AUTH_MUST_CHANGE,
	AUTH_PAM_EXPIRED,
	/* Nobody could be asked. */
	AUTH_PAM_BROKEN,
	AUTH_NO_METHOD,
	AUTH_NOT_ROOT,
	AUTH_FILE_CLOSED,
	AUTH_FILE_OPEN_TO_ALL,
	AUTH_FILE_NONE,
	AUTH_NO_WORKER,
	AUTH_TIMED_OUT,
	AUTH_STOPPED,
	AUTH_BAD_RESULT,
	AUTH_REASONS
};

/* Borrows from the file's bytes. */
struct auth_entry {
	struct str user;
	struct str hash;
	struct str home;
	uid_t uid;
	gid_t gid;
	bool whole;		/* else only user counts */
};

/*
 * Reads the password file into out, when it is a regular file of ours or
 * root's that nobody else may write to; else says why not, with errno where
 * that says more, else 0.
 */
enum auth_reason	auth_file_read(const char *path, struct buf *out);
/* The first entry for the user, whole or not; false when there is none. */
bool	auth_file_find(struct str text, struct str user,
	    struct auth_entry *entry);
/* The first hash in the file that can be one; empty when there is none. */
struct str	auth_file_hash(struct str text);
/* AUTH_RIGHT when crypt(3) may be asked about it; else what it is. */
enum auth_reason	auth_hash_kind(struct str hash);


/* Asked by the worker, and again by who heard its answer. */
enum auth_reason	auth_may_log_in(uid_t uid, gid_t gid);
/* Fills who, but for the groups; AUTH_RIGHT or why that person may not log
 * in. */
enum auth_reason	auth_identity(struct identity *who, struct str user,
			    struct str home, uid_t uid, gid_t gid);
/* The groups that the system gives the user, LOGIN_GROUPS at most, without
 * "mail"; the gid alone where it does not know the user. */
void	auth_groups(struct identity *who);
/*
 * What the system knows of a user: AUTH_UNKNOWN, why the user may not log
 * in, or AUTH_RIGHT with the hash (the C library's, until it is asked again)
 * and what to say of its age once the password is known to be right.
 */
enum auth_reason	auth_user(const char *name, struct identity *who,
			    struct str *hash, enum auth_reason *age);

/*
 * Runs look(arg, out) in a process of its own, where it may spoil whatever it
 * likes, and brings back the n bytes of out (at most 32 KiB, zeroed before).
 * AUTH_RIGHT when they are here, of which nothing else is known; else
 * AUTH_TIMED_OUT, AUTH_STOPPED (*stop was set), AUTH_BAD_RESULT or, with
 * errno, AUTH_NO_WORKER, and out as it was. The process and its helpers are
 * gone when this returns.
 */
enum auth_reason	auth_worker(void (*look)(const void *arg, void *out),
			    const void *arg, void *out, size_t n,
			    const volatile sig_atomic_t *stop);

#endif
