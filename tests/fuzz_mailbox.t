#!/bin/sh
# 100,000 mutated mailboxes, under the sanitizers.
exec "${SAN:-obj-san}/tests/fuzz_mailbox" "${COUNT:-100000}" ${SEED:+"$SEED"}
