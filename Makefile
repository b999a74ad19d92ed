# imapd. `make` builds ./imapd; `make check` tests it; `make run` shows it.
#
#   make DEV=1	-Werror and the strict set      make SAN=1	ASan + UBSan
#
# Objects of each kind of build have a directory of their own, so that the
# plain and the sanitised program can stand side by side.

PREFIX = /usr/local
CC = gcc
OPT = -O2 -g

WARN = -Wall -Wextra
STRICT = -Werror -Wshadow -Wformat=2 -Wstrict-prototypes \
	-Wmissing-prototypes -Wwrite-strings -Wpointer-arith -Wundef -Wvla \
	-Wcast-qual -Wold-style-definition -Wredundant-decls
# Ever on: what exploits need is taken away before they are found.
HARDEN = -fPIE -fstack-protector-strong -fstack-clash-protection \
	-D_FORTIFY_SOURCE=2 -fno-common
LDHARDEN = -pie -Wl,-z,relro,-z,now,-z,noexecstack

O = obj
BIN = imapd
ifdef SAN
O = obj-san
BIN = $(O)/imapd
OPT = -O1 -g -fno-omit-frame-pointer
HARDEN = -fsanitize=address,undefined -fno-sanitize-recover=all
LDHARDEN = -fsanitize=address,undefined
endif
ifdef DEV
WARN += $(STRICT)
endif

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $(OPT) $(WARN) \
	$(HARDEN) -I. -Ilib -MMD -MP $(CFLAGS)

LIB = $(patsubst %.c,$(O)/%.o,$(sort $(wildcard lib/*.c)))
TOP = $(patsubst %.c,$(O)/%.o,$(sort $(filter-out imapd.c,$(wildcard *.c))))

.PHONY: all
all: $(BIN)

$(BIN): $(O)/imapd.o $(TOP) $(LIB)
	@$(CC) $(LDHARDEN) -o $@ $^ $(LDFLAGS)

$(O)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -c -o $@ $<

# A unit test or harness: tests/NAME.c -> $(O)/tests/NAME
VALIDATE = $(patsubst %,$(O)/tests/%.o,validate validate_fetch \
	validate_rules validate_state validate_text)
$(O)/tests/validate: $(O)/tests/validate_main.o $(VALIDATE)
	@$(CC) $(LDHARDEN) -o $@ $^ $(LDFLAGS)
$(O)/tests/fuzz_%: $(O)/tests/fuzz_%.o $(VALIDATE) $(TOP) $(LIB)
	@$(CC) $(LDHARDEN) -o $@ $^ $(LDFLAGS)
$(O)/tests/unit_%: $(O)/tests/unit_%.o $(TOP) $(LIB)
	@$(CC) $(LDHARDEN) -o $@ $^ $(LDFLAGS)

$(O)/tests/trace: $(O)/tests/trace.o
	@$(CC) $(LDHARDEN) -o $@ $^ $(LDFLAGS)

UNITS = $(patsubst %.c,$(O)/%,$(sort $(wildcard tests/unit_*.c)))
FUZZ = $(patsubst %.c,$(O)/%,$(sort $(wildcard tests/fuzz_*.c)))

# What the scripts in tests/ need of this build.
.PHONY: tests
tests: $(BIN) $(UNITS) $(FUZZ) $(O)/tests/validate $(O)/tests/trace

# The sessions run on the plain program and, like all that is compiled into
# a test, on the sanitised one; with SAN=1 everything runs sanitised.
.PHONY: check
check:
	@tests/packages python3=python3 perl=prove \
		dovecot-imapd=/usr/lib/dovecot/imap uw-mailutils=mailutil \
		mutt=mutt
	@$(MAKE) -s tests
	@$(MAKE) -s SAN=1 tests
	@IMAPD=$(BIN) VALIDATE=$(O)/tests/validate SAN=obj-san \
		prove -j2 tests/*.t obj-san/tests/unit_*[!.]?

.PHONY: run
run:
	@tests/packages python3=python3
	@$(MAKE) -s
	@tests/demo

# make bench MBOX=FILE: beside Dovecot.
MBOX = demo/inbox
.PHONY: bench
bench: all
	@tests/packages python3=python3 dovecot-imapd=/usr/lib/dovecot/imap \
		time=/usr/bin/time
	@tests/bench $(MBOX)

# make torture TORTURE=n: n kills and n power cuts, and every call failing
# in every way there is, n at most; the seeds are printed.
TORTURE = 50000
.PHONY: torture
torture:
	@tests/packages python3=python3
	@$(MAKE) -s tests
	@bad=0; for t in kill power faults; do \
		IMAPD=$(BIN) VALIDATE=$(O)/tests/validate FAULTS=all \
		KILLS=$(TORTURE) CUTS=$(TORTURE) TORTURE=$(TORTURE) \
		tests/$$t.t || bad=1; done; exit $$bad

# make fuzz T=SECONDS: new seeds until the time is over.
T = 600
.PHONY: fuzz
fuzz:
	@$(MAKE) -s SAN=1 tests
	@tests/fuzz_for $(T) obj-san/tests/fuzz_commands \
		obj-san/tests/fuzz_mailbox

.PHONY: clean
clean:
	@rm -rf obj obj-san imapd demo

.SECONDARY:
-include $(wildcard $(O)/*.d $(O)/lib/*.d $(O)/tests/*.d)
