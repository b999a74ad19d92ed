#!/bin/sh
# Every byte of every message, compared with another reader of the file.
set -eu
mbox=$(mktemp)
trap 'rm -f "$mbox"' EXIT
python3 tests/mailboxes.py demo >"$mbox"
chmod 644 "$mbox"
tests/bodies "$mbox"
