# imapd. `make` builds ./imapd; `make check` tests it; `make run` shows it.
#
#   make DEV=1	-Werror and the strict set      make SAN=1	ASan + UBSan
#   make WITHOUT=pam	for hosts without PAM: crypt(3) alone
#   make STATIC=1	obj-static/imapd for a bare jail: one file, crypt(3) and
#			password files, nothing of the system besides
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
# For libFuzzer, which is clang's; gcc says by itself that ASan is there.
ifdef FUZZER
O = obj-fuzz
BIN = $(O)/imapd
CC = clang
WARN += -Wno-missing-field-initializers
OPT = -O1 -g -fno-omit-frame-pointer
HARDEN = -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all -D__SANITIZE_ADDRESS__
LDHARDEN = -fsanitize=fuzzer,address,undefined
endif
# The same to count the lines that a corpus reaches.
ifdef COVER
O = obj-cover
BIN = $(O)/imapd
CC = clang
WARN += -Wno-missing-field-initializers
OPT = -O1 -g
HARDEN = -fprofile-instr-generate -fcoverage-mapping
LDHARDEN = -fprofile-instr-generate -fsanitize=fuzzer
endif
# No user database and no iconv: glibc would load parts of both at run time.
ifdef STATIC
O = obj-static
BIN = $(O)/imapd
LDHARDEN = -static-pie -Wl,-z,relro,-z,now,-z,noexecstack
override WITHOUT = pam tls nss iconv unicode
endif
ifdef DEV
WARN += $(STRICT)
endif

# WITHOUT="pam ...": each word leaves a library out.
DEFINES = $(if $(filter pam,$(WITHOUT)),-DWITHOUT_PAM) \
	$(if $(filter tls,$(WITHOUT)),-DWITHOUT_TLS) \
	$(if $(filter nss,$(WITHOUT)),-DWITHOUT_NSS) \
	$(if $(filter iconv,$(WITHOUT)),-DWITHOUT_ICONV) \
	$(if $(filter unicode,$(WITHOUT)),-DWITHOUT_UNICODE)
LIBS = $(if $(filter pam,$(WITHOUT)),,-lpam) \
	$(if $(filter tls,$(WITHOUT)),,-lssl -lcrypto) \
	$(if $(filter unicode,$(WITHOUT)),,-lutf8proc) -lcrypt

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 $(OPT) $(WARN) \
	$(HARDEN) $(DEFINES) -I. -Ilib -MMD -MP $(CFLAGS)

LIB = $(patsubst %.c,$(O)/%.o,$(sort $(wildcard lib/*.c)))
TOP = $(patsubst %.c,$(O)/%.o,$(sort $(filter-out imapd.c,$(wildcard *.c))))

.PHONY: all
all: $(BIN)

$(BIN): $(O)/imapd.o $(TOP) $(LIB)
	@$(CC) $(LDHARDEN) -o $@ $^ $(LDFLAGS) $(LIBS)

$(O)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@$(CC) $(ALL_CFLAGS) -c -o $@ $<

# A missing library is said in one line; what WITHOUT changes is made anew.
.PHONY: always
$(O)/without: always
	@$(if $(filter pam,$(WITHOUT)),true,echo \
		'#include <security/pam_appl.h>' | $(CC) $(CFLAGS) \
		-E - >/dev/null 2>&1) || { echo "PAM is missing:" \
		"apt-get install libpam0g-dev, or make WITHOUT=pam" >&2; \
		exit 1; }
	@$(if $(filter tls,$(WITHOUT)),true,echo \
		'#include <openssl/ssl.h>' | $(CC) $(CFLAGS) \
		-E - >/dev/null 2>&1) || { echo "OpenSSL is missing:" \
		"apt-get install libssl-dev, or make WITHOUT=tls" >&2; \
		exit 1; }
	@$(if $(filter unicode,$(WITHOUT)),true,echo \
		'#include <utf8proc.h>' | $(CC) $(CFLAGS) \
		-E - >/dev/null 2>&1) || { echo "utf8proc is missing:" \
		"apt-get install libutf8proc-dev, or make WITHOUT=unicode" \
		>&2; exit 1; }
	@mkdir -p $(@D)
	@echo '$(WITHOUT)' | cmp -s - $@ || echo '$(WITHOUT)' >$@
$(O)/auth.o $(O)/auth_user.o $(O)/imapd.o $(O)/priv.o $(O)/lib/charset.o \
	$(O)/tests/unit_auth.o: $(O)/without
$(O)/lib/casemap.o $(O)/tls.o $(O)/tests/unit_tls.o $(O)/tests/unit_tls_session.o: \
	$(O)/without

# A unit test or harness: tests/NAME.c -> $(O)/tests/NAME
VALIDATE = $(patsubst %,$(O)/tests/%.o,validate validate_fetch \
	validate_rules validate_state validate_text)
$(O)/tests/validate: $(O)/tests/validate_main.o $(VALIDATE)
	@$(CC) $(LDHARDEN) -o $@ $^ $(LDFLAGS) $(LIBS)
$(O)/tests/fuzz_%: $(O)/tests/fuzz_%.o $(VALIDATE) $(TOP) $(LIB)
	@$(CC) $(LDHARDEN) -o $@ $^ $(LDFLAGS) $(LIBS)
$(O)/tests/unit_%: $(O)/tests/unit_%.o $(TOP) $(LIB)
	@$(CC) $(LDHARDEN) -o $@ $^ $(LDFLAGS) $(LIBS)

$(O)/tests/trace: $(O)/tests/trace.o
	@$(CC) $(LDHARDEN) -o $@ $^ $(LDFLAGS) $(LIBS)

# A target for libFuzzer: tests/fuzz/NAME.c, with what of the program it asks
# for, since all that is linked in is looked at after each input.
$(O)/all.a: $(VALIDATE) $(TOP) $(LIB)
	@rm -f $@
	@ar rcs $@ $^
$(O)/tests/fuzz/%: $(O)/tests/fuzz/%.o $(O)/all.a
	@$(CC) $(LDHARDEN) -o $@ $^ $(LDFLAGS) $(LIBS)
TARGETS = $(patsubst %.c,$(O)/%,$(sort $(wildcard tests/fuzz/*.c)))
.PHONY: targets
targets: $(TARGETS)

UNITS = $(patsubst %.c,$(O)/%,$(sort $(wildcard tests/unit_*.c)))
FUZZ = $(patsubst %.c,$(O)/%,$(sort $(wildcard tests/fuzz_*.c)))

# What the scripts in tests/ need of this build.
.PHONY: tests
tests: $(BIN) $(UNITS) $(FUZZ) $(O)/tests/validate $(O)/tests/trace

# A mail server that is there already is not pushed out by another: then its
# tests are left out.
#
# The sessions run on the plain program and, like all that is compiled into
# a test, on the sanitised one; with SAN=1 everything runs sanitised.
.PHONY: check
check:
	@tests/packages python3=python3 perl=prove \
		libpam0g-dev=/usr/include/security/pam_appl.h \
		libssl-dev=/usr/include/openssl/ssl.h \
		libutf8proc-dev=/usr/include/utf8proc.h \
		dovecot-imapd=/usr/lib/dovecot/imap uw-mailutils=mailutil \
		xinetd=/usr/sbin/xinetd curl=curl mutt=mutt isync=mbsync \
		fetchmail=fetchmail imapfilter=imapfilter \
		offlineimap3=offlineimap procmail=procmail \
		libsasl2-modules=$(wildcard /usr/lib/*/sasl2/libplain.so) \
		iproute2=/sbin/ip maildrop=maildrop \
		exim4-daemon-light=/usr/sbin/sendmail \
		strace=strace systemd=systemd-socket-activate \
		openssl=openssl $(CLANG)
	@$(MAKE) -s tests
	@$(MAKE) -s SAN=1 tests
	@$(MAKE) -s FUZZER=1 targets
	@$(MAKE) -s STATIC=1
	@rm -rf $(O)/tap && mkdir $(O)/tap
	@IMAPD=$(BIN) VALIDATE=$(O)/tests/validate SAN=obj-san \
		PERL_TEST_HARNESS_DUMP_TAP=$(O)/tap \
		prove -j2 tests/*.t obj-san/tests/unit_*[!.]? || \
		tests/failed $(O)/tap

.PHONY: run
run:
	@tests/packages python3=python3 perl=perl xinetd=/usr/sbin/xinetd \
		curl=curl $(if $(filter 0,$(shell id -u)),mutt=mutt) \
		libpam0g-dev=/usr/include/security/pam_appl.h \
		libssl-dev=/usr/include/openssl/ssl.h \
		libutf8proc-dev=/usr/include/utf8proc.h
	@$(MAKE) -s
	@IMAPD=$(BIN) tests/demo

# make install DESTDIR= PREFIX= SYSCONFDIR=: nothing is ever setuid.
# Configuration that is there already and differs is an admin's work: it is
# kept. Units of systemd are not: hers are in /etc, beside ours. Running
# sessions keep the program that they have.
#
# It makes files alone, and uninstall takes all of them away; a user is made by
# who reads the line, or by a package in its own way.
SYSCONFDIR = /etc
DOCS = README DESIGN INDEX LOCKING SECURITY VIOLATIONS CHANGES LICENSE
CONFIG = xinetd.d/imap xinetd.d/imaps pam.d/imap
UNITS = imap.socket imap@.service imaps.socket imaps@.service
SBIN = $(DESTDIR)$(PREFIX)/sbin
MAN8 = $(DESTDIR)$(PREFIX)/share/man/man8
DOC = $(DESTDIR)$(PREFIX)/share/doc/imapd
UNIT = $(DESTDIR)$(PREFIX)/lib/systemd/system
ETC = $(DESTDIR)$(SYSCONFDIR)
CONFIGURED = sed s,/usr/local/sbin,$(PREFIX)/sbin,
# PAM is configured in one way by Debian and in another by Red Hat, which has
# this file.
PAM = $(if $(wildcard $(SYSCONFDIR)/pam.d/password-auth),.redhat)
OURS = ours=$$f; test $$f != pam.d/imap || ours=pam.d/imap$(PAM)
FRONT = imapd-net

.PHONY: install
install: $(BIN)
	@case '$(PREFIX)$(SYSCONFDIR)' in [!/]*|*[!A-Za-z0-9_./+-]*) \
		echo "PREFIX=$(PREFIX): xinetd takes absolute paths without" \
			"spaces and signs only" >&2; exit 1;; esac
	@set -e; umask 022; \
	install -d "$(SBIN)" "$(MAN8)" "$(DOC)" "$(UNIT)" \
		"$(ETC)/xinetd.d" "$(ETC)/pam.d"; \
	install -m 755 $(BIN) "$(SBIN)/imapd.new"; \
	mv -f "$(SBIN)/imapd.new" "$(SBIN)/imapd"; \
	install -m 644 imapd.8 "$(MAN8)/imapd.8"; \
	install -m 644 $(DOCS) "$(DOC)"; \
	for f in $(UNITS); do \
		$(CONFIGURED) systemd/$$f >"$(UNIT)/$$f"; \
	done; \
	for f in $(CONFIG); do \
		$(OURS); \
		if test ! -e "$(ETC)/$$f"; then \
			$(CONFIGURED) $$ours >"$(ETC)/$$f"; \
		elif ! $(CONFIGURED) $$ours | cmp -s - "$(ETC)/$$f"; then \
			echo "$(ETC)/$$f is kept; how ours differs:"; \
			echo "    $(CONFIGURED) $$ours |" \
				"diff -u '$(ETC)/$$f' -"; \
		fi; \
	done; \
	test "$(DESTDIR)" || test "$$(id -u)" != 0 || id $(FRONT) >/dev/null \
		2>&1 || { echo "What reads the network becomes nobody; to" \
		"have it become a user of its own:"; echo "    useradd" \
		"--system --user-group --no-create-home" \
		"--home-dir /nonexistent --shell /usr/sbin/nologin $(FRONT)"; \
	}; \
	echo "How to turn it on stands in $(ETC)/xinetd.d/imap and, for" \
		"systemd, $(UNIT)/imap.socket."

.PHONY: uninstall
uninstall:
	@rm -f "$(SBIN)/imapd" "$(MAN8)/imapd.8"
	@for f in $(DOCS); do rm -f "$(DOC)/$$f"; done
	@for f in $(UNITS); do rm -f "$(UNIT)/$$f"; done
	@rmdir "$(DOC)" 2>/dev/null || true
	@for f in $(CONFIG); do \
		$(OURS); \
		if $(CONFIGURED) $$ours | cmp -s - "$(ETC)/$$f"; then \
			rm -f "$(ETC)/$$f"; \
		elif test -e "$(ETC)/$$f"; then \
			echo "$(ETC)/$$f was edited and stays"; \
		fi; \
	done

# make bench MBOX=FILE: beside Dovecot.
MBOX = demo/spool/riley
.PHONY: bench
bench: all
	@tests/packages python3=python3 dovecot-imapd=/usr/lib/dovecot/imap \
		time=/usr/bin/time
	@tests/bench $(MBOX)

# What a person notices, in seconds: in IDLE others' doings show within one;
# what hostile mail is asked is answered within two.
.PHONY: check-time
check-time:
	@tests/packages python3=python3 procmail=procmail mutt=mutt
	@$(MAKE) -s all
	@IMAPD=$(BIN) tests/check_time
	@IMAPD=$(BIN) tests/check_mail_time

# make footprint: the memory of a connection, by root.
.PHONY: footprint
footprint: all
	@IMAPD=$(BIN) tests/footprint

# make torture TORTURE=n: n kills and n power cuts, and every call failing
# in every way there is, n at most; 1,000 messages by each MDA and each lock;
# 32 sessions, MDAs, mutt and Dovecot at once for ten minutes, some killed, what
# is in ~/.imapd damaged; the seeds are printed.
TORTURE = 50000
.PHONY: torture
torture:
	@tests/packages python3=python3 perl=perl xinetd=/usr/sbin/xinetd \
		procmail=procmail maildrop=maildrop \
		exim4-daemon-light=/usr/sbin/sendmail mutt=mutt \
		dovecot-imapd=/usr/lib/dovecot/imap uw-mailutils=mailutil
	@$(MAKE) -s tests
	@bad=0; for t in mda stress kill power faults; do \
		IMAPD=$(BIN) VALIDATE=$(O)/tests/validate FAULTS=all \
		COUNT=1000 DURATION=600 SESSIONS=32 \
		KILLS=$(TORTURE) CUTS=$(TORTURE) TORTURE=$(TORTURE) \
		tests/$$t.t || bad=1; done; exit $$bad

# libFuzzer is in the second of them.
CLANG = clang=clang libclang-rt-dev=$(firstword $(wildcard \
	/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a) /none) \
	llvm=llvm-cov

# make fuzz T=SECONDS: libFuzzer's targets in turn, for so long together; as
# long new seeds of ours; then 100,000 lies for the monitor.
T = 600
.PHONY: fuzz
fuzz:
	@tests/packages python3=python3 $(CLANG)
	@$(MAKE) -s FUZZER=1 targets
	@tests/fuzz_targets run $(T)
	@$(MAKE) -s SAN=1 tests
	@tests/fuzz_for $(T) obj-san/tests/fuzz_commands \
		obj-san/tests/fuzz_mailbox
	@LIES=100000 obj-san/tests/unit_monitor

# make fuzz-keep: what the last runs found goes into tests/fuzz/*.corpus, as
# far as it reaches what nothing else does. make fuzz-cover: the lines of the
# parsers that the kept inputs reach, 95 in a hundred at least.
.PHONY: fuzz-keep fuzz-cover
fuzz-keep:
	@$(MAKE) -s FUZZER=1 targets
	@tests/fuzz_targets keep
fuzz-cover:
	@tests/packages python3=python3 $(CLANG)
	@$(MAKE) -s COVER=1 targets
	@tests/fuzz_targets cover

# The same commands to ours and to Debian's Dovecot on copies of the mailbox
# MBOX; a difference that no row of tests/compare_rules.py predicts is told.
.PHONY: compare
compare: imapd
	@tests/packages python3=python3 \
	    dovecot-imapd=/usr/lib/dovecot/imap
	@IMAPD=$(CURDIR)/imapd python3 tests/compare.py $(MBOX)

.PHONY: clean
clean:
	@tests/demo clean
	@rm -rf obj obj-san obj-fuzz obj-cover obj-static imapd

.SECONDARY:
-include $(wildcard $(O)/*.d $(O)/lib/*.d $(O)/tests/*.d \
	$(O)/tests/fuzz/*.d)
