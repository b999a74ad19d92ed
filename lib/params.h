/*
 * params.h - every limit, with its reason. A limit that is exceeded gives
 * the client a clear NO or BAD with a response code; none is silent.
 */
#ifndef PARAMS_H
#define PARAMS_H

#define IMAPD_NAME	"imapd"
#define IMAPD_VERSION	"0.1"

enum {
	/*
	 * A command line without its literals. Mail programs that choose
	 * long lines by capability send up to 8 KiB; UW took 64 KiB.
	 */
	LINE_MAX_BYTES = 65536,
	TAG_MAX_BYTES = 64,

	/* One literal of a command other than APPEND, and before login. */
	LITERAL_MAX_BYTES = 65536,
	LITERAL_MAX_PREAUTH = 4096,
	/* All literals of one command together: bounds a command's memory. */
	LITERALS_MAX_BYTES = 1048576,
	/*
	 * A LITERAL+ that is too big is read and thrown away up to this
	 * size; a bigger one ends the connection (RFC 7888 section 4).
	 */
	LITERAL_DRAIN_BYTES = 67108864,

	/* Nested parentheses and NOT/OR in one command. */
	NEST_MAX = 100,
	/* Bad commands in a row before we hang up. */
	BAD_MAX = 20,
	BAD_MAX_PREAUTH = 3,

	/* MIME caps; what lies beyond is shown as one opaque part. */
	MIME_DEPTH_MAX = 100,
	MIME_PARTS_MAX = 10000,
	MIME_PARAMS_MAX = 128,

	/* Mailbox names on the wire; longer ones are refused. */
	NAME_MAX_BYTES = 1024,
	/* Directory levels that LIST descends. */
	LIST_DEPTH_MAX = 20,

	/* UW-imapd's own limits on keywords, kept for file compatibility. */
	KEYWORDS_MAX = 30,
	KEYWORD_MAX_BYTES = 50,

	/* One output write, one input read. */
	IO_OUT_BYTES = 65536,
	IO_IN_BYTES = 16384,

	/* A message up to this size is copied into memory, else to a file. */
	MBOX_MEMORY_BYTES = 67108864,
	/* Header fields beyond this belong to the body. */
	HEADER_MAX_BYTES = 1073741824,

	/* What one APPEND may bring for each of its messages: ten times what
	 * the large providers take. */
	APPEND_MAX_BYTES = 268435456,
	/* Messages on their way into a mailbox: up to this in memory. */
	DRAFT_MEMORY = 8388608,
	/* The longest header that is taken in. A rewrite has to hold it
	 * (journal.h), and mail of today has some 10 KiB. */
	DRAFT_HEAD_MAX = 16777216,
	/* Longest sender written into a From_ line: RFC 5321 4.5.3.1.3 has
	 * 256 bytes, and Dovecot once fell over lines of 8 KiB. */
	SENDER_MAX_BYTES = 512,

	/* Seconds: autologout (RFC 3501 5.4), silence inside a command. */
	IDLE_TIMEOUT = 1800,
	COMMAND_TIMEOUT = 300,
	LOGIN_TIMEOUT = 180,
	/* Seconds for a TLS handshake; for a client to take the last bytes, and
	 * the end, of a connection with TLS. */
	TLS_TIMEOUT = 60,
	TLS_END_TIMEOUT = 10,
	/* Refused logins; then the connection ends. UW and Dovecot: 3. */
	LOGIN_TRIES = 3,
	/* Milliseconds: a refusal leaves at a whole multiple of this after
	 * the command, as UW slept for 3 seconds. */
	REFUSAL_MS = 3000,
	/* Seconds for one worker that looks at a password: PAM modules may
	 * have to ask other hosts. */
	AUTH_TIMEOUT = 60,
	/* Uids below it are the system's own: daemons, not people. */
	AUTH_UID_MIN = 100,
	/* One line of a SASL exchange: base64 of three strings. */
	SASL_LINE_BYTES = 8192,
	/*
	 * Milliseconds in IDLE: between two looks at the mailbox where
	 * inotify would tell of changes, and where it does not; between two
	 * signs of life (Dovecot's two minutes); how long hints are gathered.
	 */
	IDLE_LOOK_MS = 30000,
	IDLE_LOOK_BLIND_MS = 5000,
	IDLE_ALIVE_MS = 120000,
	IDLE_GATHER_MS = 50,
	/* Milliseconds without a command; then flags that the sessions have
	 * told each other are written into the mailbox file. */
	FLUSH_MS = 60000,
	/* Seconds that this waits for a lock then, and as a mailbox is left:
	 * the next session can do it as well. */
	FLUSH_LOCK_TIMEOUT = 1,
	/* Seconds that a command waits for a mailbox lock. */
	LOCK_TIMEOUT = 30,
};

#endif
