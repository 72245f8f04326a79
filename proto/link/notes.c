#include "proto/link/notes.h"

#include <string.h>

#include "core/utf8.h"
#include "proto/mqtt/reason.h"

enum {
	NOTE_FIXED = 7, /* index, n, refusal, length of the text */
	NOTE_N_AT = 2,
};

const char *
sq_refusal_name(unsigned refusal)
{
#define REFUSAL_NAME(symbol, number, name, text) [number] = name,
	static const char *const names[] = {SQ_REFUSALS(REFUSAL_NAME)};
#undef REFUSAL_NAME

	return refusal < SQ_REFUSAL_COUNT ? names[refusal] : names[SQ_REFUSAL_OTHER];
}

enum sq_refusal
sq_refusal_of_code(uint8_t code)
{
	switch (code) {
	case SQ_MQTT_RC_NOT_AUTHORIZED:
		return SQ_REFUSAL_DENIED;
	case SQ_MQTT_RC_FILTER_INVALID:
	case SQ_MQTT_RC_TOPIC_INVALID:
		return SQ_REFUSAL_TOPIC;
	case SQ_MQTT_RC_PACKET_TOO_LARGE:
	case SQ_MQTT_RC_QUOTA_EXCEEDED:
		return SQ_REFUSAL_QUOTA;
	default:
		return sq_mqtt_reason_failed(code) ? SQ_REFUSAL_OTHER : SQ_REFUSAL_NONE;
	}
}

struct sq_bytes
sq_note_text_clean(struct sq_bytes text, unsigned char *room)
{
	text.len = sq_utf8_cut(text.p, text.len, SQ_NOTE_TEXT_MAX);
	if (!sq_utf8_valid(text.p, text.len))
		return (struct sq_bytes){0};
	for (size_t i = 0; i < text.len; i++)
		room[i] = text.p[i] < 0x20 || text.p[i] == 0x7f ? '?' : text.p[i];
	return (struct sq_bytes){room, text.len};
}

/* The note at the front of 'b', which holds a whole one. */
static struct sq_note
note_take(struct sq_bytes *b)
{
	struct sq_reader r = sq_reader(b->p, b->len);
	struct sq_note note = {.index = sq_read16(&r), .n = sq_read16(&r), .refusal = sq_read8(&r)};

	note.text.len = sq_read16(&r);
	note.text.p = sq_read_bytes(&r, note.text.len);
	*b = (struct sq_bytes){r.p, sq_reader_left(&r)};
	return note;
}

/* Whether the last note covers entry 'index' - 1 and says the same. */
static bool
notes_joins(const struct sq_notes *notes, uint16_t index, uint8_t refusal, struct sq_bytes text)
{
	struct sq_bytes b = sq_notes_view(notes);
	struct sq_note last;

	if (notes->n == 0)
		return false;
	b.p += notes->last;
	b.len -= notes->last;
	last = note_take(&b);
	return last.index + last.n == index && last.refusal == refusal &&
	    last.text.len == text.len &&
	    (text.len == 0 || memcmp(last.text.p, text.p, text.len) == 0);
}

void
sq_notes_add(struct sq_notes *notes, uint16_t index, uint8_t refusal, struct sq_bytes text)
{
	unsigned char room[SQ_NOTE_TEXT_MAX];

	text = sq_note_text_clean(text, room);
	if (notes->n_texts >= SQ_NOTE_TEXTS_MAX && !notes_joins(notes, index, refusal, text))
		text = (struct sq_bytes){0};
	if (notes_joins(notes, index, refusal, text)) {
		unsigned char *n = sq_buf_data(&notes->body) + notes->last + NOTE_N_AT;

		sq_put16(n, (uint16_t)(sq_get16(n) + 1));
		return;
	}
	notes->last = sq_buf_len(&notes->body);
	notes->n++;
	notes->n_texts = (uint16_t)(notes->n_texts + (text.len > 0));
	sq_buf_u16(&notes->body, index);
	sq_buf_u16(&notes->body, 1);
	sq_buf_u8(&notes->body, refusal);
	sq_buf_u16(&notes->body, (uint16_t)text.len);
	sq_buf_append(&notes->body, text.p, text.len);
}

void
sq_notes_fini(struct sq_notes *notes)
{
	sq_buf_fini(&notes->body);
	*notes = (struct sq_notes){0};
}

void
sq_notes_encode(struct sq_buf *b, struct sq_bytes notes)
{
	struct sq_bytes rest = notes;
	struct sq_note note;
	uint16_t n = 0;

	while (sq_note_next(&rest, &note))
		n++;
	sq_buf_u16(b, n);
	sq_buf_append(b, notes.p, notes.len);
}

bool
sq_note_text_valid(struct sq_bytes text)
{
	if (text.len > SQ_NOTE_TEXT_MAX || !sq_utf8_valid(text.p, text.len))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < 0x20 || text.p[i] == 0x7f)
			return false;
	}
	return true;
}

int
sq_notes_decode(const void *p, size_t len, uint16_t n_codes, struct sq_bytes *out)
{
	struct sq_reader r = sq_reader(p, len);
	uint16_t n = sq_read16(&r);
	unsigned next = 0; /* the first entry that the next note may name */

	*out = (struct sq_bytes){r.p, sq_reader_left(&r)};
	for (uint16_t i = 0; i < n; i++) {
		unsigned index = sq_read16(&r), covers = sq_read16(&r);
		struct sq_bytes text;

		(void)sq_read8(&r);
		text.len = sq_read16(&r);
		text.p = sq_read_bytes(&r, text.len);
		if (r.bad || covers == 0 || index < next || index + covers > n_codes ||
		    !sq_note_text_valid(text))
			return SQ_EINVAL;
		next = index + covers;
	}
	return r.bad || sq_reader_left(&r) > 0 ? SQ_EINVAL : SQ_OK;
}

bool
sq_note_next(struct sq_bytes *notes, struct sq_note *out)
{
	if (notes->len < NOTE_FIXED)
		return false;
	*out = note_take(notes);
	return true;
}

struct sq_note
sq_note_find(struct sq_bytes notes, uint16_t index)
{
	struct sq_note note;

	while (sq_note_next(&notes, &note)) {
		if (index >= note.index && index - note.index < note.n)
			return note;
	}
	return (struct sq_note){.index = index, .n = 1};
}
