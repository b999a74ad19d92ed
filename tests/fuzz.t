#!/bin/sh
# libFuzzer's targets: the inputs that are kept, then new ones, 60 s in all.
exec tests/fuzz_targets tap "${FUZZ_SECONDS:-60}"
