/* Notes: words behind the codes of an answer (docs/link.md, "Notes").
 *
 * An answer of the link is a list of reason codes, one for each entry of the
 * request.  From version 2 on an answer may have notes on some of them: the reason of a refusal, or
 * the difference between an accepted entry and its request. */
#ifndef SQ_PROTO_LINK_NOTES_H
#define SQ_PROTO_LINK_NOTES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/bytes.h"
#include "core/err.h"
#include "core/msg.h"
#include "proto/link/refusal.h"

enum {
	SQ_NOTE_TEXT_MAX = 512, /* bytes of a text; a longer one is cut at a character */
	SQ_NOTE_TEXTS_MAX = 32, /* notes of an answer that keep their text */
};

/* 'n' consecutive entries of the answer from 'index' on. */
struct sq_note {
	uint16_t index, n;
	uint8_t refusal;      /* enum sq_refusal, or a number not known here; 0: accepted */
	struct sq_bytes text; /* UTF-8 without control characters; may be empty */
};

/* Notes that are being written; zeroed at first. */
struct sq_notes {
	struct sq_buf body;
	uint16_t n, n_texts;
	size_t last; /* offset of the last note in 'body' */
};

/* Adds a note on entry 'index', which is above those before.  A note equal to that of the entry right
 * before joins it.  Control characters become '?'; a text that is not UTF-8 is left out. */
void sq_notes_add(struct sq_notes *, uint16_t index, uint8_t refusal, struct sq_bytes text);
void sq_notes_fini(struct sq_notes *);
/* The part of 'text' that may travel, in 'room', which has SQ_NOTE_TEXT_MAX bytes: see above. */
struct sq_bytes sq_note_text_clean(struct sq_bytes text, unsigned char *room);
/* Whether a text is UTF-8 without control characters, fit for a log and an MQTT Reason String. */
bool sq_note_text_valid(struct sq_bytes text);

/* A view for sq_note_next(), until the next note is added. */
static inline struct sq_bytes
sq_notes_view(const struct sq_notes *notes)
{
	return sq_buf_bytes(&notes->body);
}

/* Appends the count of the notes, a view for sq_note_next(), and the notes. */
void sq_notes_encode(struct sq_buf *, struct sq_bytes notes);
/* Takes the notes of an answer with 'n_codes' codes, which end the input.  'out' is a
 * view for sq_note_next(). */
int
sq_notes_decode(const void *p, size_t len, uint16_t n_codes, struct sq_bytes *out) SQ_MUST_CHECK;
/* Takes the next note; false at the end. */
bool sq_note_next(struct sq_bytes *notes, struct sq_note *out);
/* The note on entry 'index', or one without refusal and text. */
struct sq_note sq_note_find(struct sq_bytes notes, uint16_t index);

#endif
