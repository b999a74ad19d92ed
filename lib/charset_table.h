/*
 * charset_table.h - the common charsets of one byte as tables. What bytes
 * below 0x80 mean is the same in all of them: ASCII. Only charset.c includes
 * it.
 */
#ifndef CHARSET_TABLE_H
#define CHARSET_TABLE_H

#include <stddef.h>
#include <stdint.h>

enum { CHARSET_TONES = 5 };

struct charset_name {
	const char *name;	/* in small letters */
	uint8_t table;
};

struct charset_toned {
	uint16_t letter;
	uint16_t with[CHARSET_TONES];
};

/* Of the bytes from 0x80 on; U+FFFD where there is no character. The first
 * is windows-1252. */
extern const uint16_t charset_tables[][128];
/* In order. */
extern const struct charset_name charset_names[];
extern const size_t charset_names_n;

/*
 * In Vietnamese text of windows-1258 a tone follows its letter. People type
 * the two as one character, so that is how they are to be found: the tones
 * by themselves, and letters with each of them, up to a letter 0.
 */
extern const uint16_t charset_tones[CHARSET_TONES];
extern const struct charset_toned charset_toned[];

#endif
