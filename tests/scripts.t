#!/bin/sh
# Every session transcript is one test point. SAN names the directory of the
# sanitised build: then each must pass on that program, too.
set -eu
cd "$(dirname "$0")/.."
IMAPD="${IMAPD:-./imapd}"
[ -z "${SAN:-}" ] || [ "$IMAPD" = "$SAN/imapd" ] ||
	IMAPD="$IMAPD $SAN/imapd"
export IMAPD
exec tests/run_script --tap tests/scripts/*.test
