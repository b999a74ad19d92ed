/*
 * priv.h - the one place where the process changes who it is. May include
 * floor 0 only.
 */
#ifndef PRIV_H
#define PRIV_H

#include "lib/login.h"

/*
 * Becomes `who` for good: groups, gid, uid, in that order, and proves that no
 * way leads back. Where we are not root who must be what we are already. No
 * program that is run afterwards can gain rights. Any failure ends the process
 * (log_fatal): it never goes on half privileged.
 */
void	priv_become(const struct identity *who);
/*
 * Becomes who the front is: the user PRIV_FRONT_USER, else number 65534, no
 * groups, in a root directory that is empty and stays so. Where we are not
 * root, who we are already. As above there is no way back and no failure
 * that it survives, but for the directory: that is logged.
 */
#define PRIV_FRONT_USER	"imapd-net"
void	priv_front(void);
/* Nobody else is to have this process's memory, not even in a core. */
void	priv_hide(void);

#endif
