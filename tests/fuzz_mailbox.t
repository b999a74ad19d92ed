#!/bin/sh
# 40,000 mutated mailboxes, under the sanitizers.
exec "${SAN:-obj-san}/tests/fuzz_mailbox" "${COUNT:-40000}" ${SEED:+"$SEED"}
