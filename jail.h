/*
 * jail.h - the way into --chroot. What was opened before, the log and the
 * zone's rules, stays; every path after it is one inside the jail.
 */
#ifndef JAIL_H
#define JAIL_H

/*
 * Makes dir, an absolute path, the root of this process. It has to be root's,
 * and nobody else's to write into. Called as root, with the log open and the
 * time zone known, before anything is read that a path names. Ends the
 * process, with words in the log, where any of that can not be.
 */
void	jail_enter(const char *dir);

#endif
