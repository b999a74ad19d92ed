#!/bin/sh
# 200,000 commands made from the grammar, under the sanitizers.
exec "${SAN:-obj-san}/tests/fuzz_commands" "${COUNT:-200000}" ${SEED:+"$SEED"}
