/* See broker/front/door/fields.h. */
#include "broker/front/door/fields.h"

#include <stdbool.h>

enum {
	FIELD,  /* the first byte of one */
	INDEX,  /* more bytes of a number that matters not */
	NAME,   /* the length of a name */
	VALUE,  /* that of a value */
	LENGTH, /* more bytes of one of these */
	STRING, /* the string itself */
};

enum {
	MORE = 0x80,       /* another byte of the number follows */
	LENGTH_MAX = 0x7f, /* in the first byte of a length: more follow */
	SHIFT_MAX = 56,
};

/* The forms of a field, by its first byte: 'number' are the bits of its index. */
static const struct form {
	unsigned char mask, is, number;
	bool literal;
} forms[] = {
    {0x80, 0x80, 0x7f, false}, /* of a table, name and value */
    {0xc0, 0x40, 0x3f, true},  /* goes into the table */
    {0xe0, 0x20, 0x1f, false}, /* the size of the table */
    {0xe0, 0x00, 0x0f, true},  /* does not go into it, or must not */
};

static void
fields_begin(struct sq_fields *f, unsigned char b)
{
	const struct form *form = forms;
	unsigned number;

	while ((b & form->mask) != form->is)
		form++;
	number = b & form->number;
	f->n++;
	f->after = FIELD;
	if (form->literal)
		f->after = number == 0 ? NAME : VALUE;
	f->at = number == form->number ? INDEX : f->after;
}

/* The length is known. */
static void
fields_string(struct sq_fields *f)
{
	f->at = f->left > 0 ? STRING : f->after;
}

/* 'after': the part behind the string. */
static void
fields_length(struct sq_fields *f, unsigned char b, unsigned char after)
{
	f->left = b & LENGTH_MAX;
	f->after = after;
	f->shift = 0;
	if (f->left == LENGTH_MAX)
		f->at = LENGTH;
	else
		fields_string(f);
}

static void
fields_more(struct sq_fields *f, unsigned char b)
{
	if (f->shift < SHIFT_MAX)
		f->left += (uint64_t)(b & LENGTH_MAX) << f->shift;
	f->shift = f->shift < SHIFT_MAX ? f->shift + 7 : SHIFT_MAX;
	if ((b & MORE) == 0)
		fields_string(f);
}

static void
fields_byte(struct sq_fields *f, unsigned char b)
{
	switch (f->at) {
	case FIELD:
		fields_begin(f, b);
		break;
	case INDEX:
		f->at = (b & MORE) != 0 ? INDEX : f->after;
		break;
	case NAME:
		fields_length(f, b, VALUE);
		break;
	case VALUE:
		fields_length(f, b, FIELD);
		break;
	default:
		fields_more(f, b);
	}
}

void
sq_fields_take(struct sq_fields *f, const unsigned char *p, size_t len)
{
	while (len > 0) {
		size_t n = 1;

		if (f->at == STRING) {
			n = f->left < len ? (size_t)f->left : len;
			f->left -= n;
			fields_string(f);
		} else {
			fields_byte(f, *p);
		}
		p += n;
		len -= n;
	}
}
