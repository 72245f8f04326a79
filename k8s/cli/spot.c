/* Where notes stand in a file; see input.h. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "k8s/cli/input.h"

/* A line of a text, without its end. */
struct line {
	const char *p;
	size_t len;
};

/* Bytes of the break at the start of 'p', as libyaml counts lines: CR LF, CR, LF, NEL, LS, PS; 0:
 * there is none. */
static size_t
break_len(const char *p, size_t len)
{
	const unsigned char *u = (const unsigned char *)p;

	if (len >= 2 && u[0] == '\r' && u[1] == '\n')
		return 2;
	if (len >= 1 && (u[0] == '\r' || u[0] == '\n'))
		return 1;
	if (len >= 2 && u[0] == 0xc2 && u[1] == 0x85)
		return 2;
	if (len >= 3 && u[0] == 0xe2 && u[1] == 0x80 && (u[2] == 0xa8 || u[2] == 0xa9))
		return 3;
	return 0;
}

/* Line 'n', from 1; behind the last one an empty one at the text's end. */
static struct line
line_of(const char *text, size_t len, unsigned n)
{
	size_t at = 0, end;

	for (; n > 1 && at < len; at++) {
		size_t b = break_len(text + at, len - at);

		if (b > 0) {
			at += b - 1;
			n--;
		}
	}
	for (end = at; end < len && break_len(text + end, len - end) == 0;)
		end++;
	return (struct line){text + at, end - at};
}

/* Byte of character 'column', from 1, in a line; its length where it ends before. */
static size_t
line_byte(struct line l, unsigned column)
{
	size_t i = 0;

	while (i < l.len && column > 1) {
		i++;
		while (i < l.len && ((unsigned char)l.p[i] & 0xc0) == 0x80)
			i++;
		column--;
	}
	return i;
}

static unsigned
line_column(struct line l, size_t byte)
{
	unsigned column = 1;

	for (size_t i = 0; i < byte; i++)
		column += ((unsigned char)l.p[i] & 0xc0) != 0x80;
	return column;
}

static struct line
input_line(const struct sq_input *in, unsigned n)
{
	if (sq_buf_len(&in->text) == 0)
		return (struct line){"", 0};
	return line_of((const char *)sq_buf_data(&in->text), sq_buf_len(&in->text), n);
}

/* The text at a note's path; NULL: there is none.  Its parts need few escapes. */
static const json_t *
value_at(const json_t *v, const char *pointer)
{
	while (v != NULL && *pointer == '/') {
		char part[256];
		size_t n = 0;

		for (pointer++; *pointer != '\0' && *pointer != '/' && n + 1 < sizeof part; n++) {
			part[n] = *pointer++;
			if (part[n] == '~')
				part[n] = *pointer++ == '0' ? '~' : '/';
		}
		part[n] = '\0';
		if (json_is_array(v))
			v = strspn(part, "0123456789") == n && n > 0 && n < 9
			    ? json_array_get(v, (size_t)strtoul(part, NULL, 10))
			    : NULL;
		else
			v = json_object_get(v, part);
	}
	return v;
}

/* Looks for the line 'wanted' of a value in the file's line 'n', at byte 'at' or, with SIZE_MAX, at
 * that line's end. */
static bool
spot_matches(const struct sq_input *in, unsigned n, size_t at, struct line wanted, unsigned column,
    struct sq_spot *out)
{
	struct line l = input_line(in, n);
	size_t skip = line_byte(wanted, column);

	if (at == SIZE_MAX) {
		if (wanted.len > l.len)
			return false;
		at = l.len - wanted.len;
	}
	if (at + wanted.len > l.len || memcmp(l.p + at, wanted.p, wanted.len) != 0)
		return false;
	*out = (struct sq_spot){n, line_column(l, at + skip), true};
	return true;
}

/* Of a place within a value which begins at 'm'. */
static bool
spot_in_value(const struct sq_input *in, const struct sq_yaml_mark *m, const json_t *value,
    const struct sq_note *note, struct sq_spot *out)
{
	const char *text = json_string_value(value);
	size_t len = json_string_length(value), at;
	struct line first = input_line(in, m->line), wanted;

	if (text == NULL)
		return false;
	at = line_byte(first, m->column);
	wanted = line_of(text, len, note->line);
	if (at < first.len && first.p[at] == '|')
		return spot_matches(in, m->line + note->line, SIZE_MAX, wanted, note->column, out);
	if (note->line != 1 || wanted.len != len)
		return false;
	if (at < first.len && (first.p[at] == '"' || first.p[at] == '\''))
		at++;
	return spot_matches(in, m->line, at, wanted, note->column, out);
}

struct sq_spot
sq_input_spot(const struct sq_input *in, size_t i, const struct sq_note *note)
{
	const struct sq_yaml_document *d = &in->documents.v[i];
	const struct sq_yaml_mark *m = sq_yaml_mark_find(d->mark, note->path);
	struct sq_spot spot;

	if (m == NULL)
		return (struct sq_spot){1, 1, false};
	if (note->line != 0 && spot_in_value(in, m, value_at(d->value, note->path), note, &spot))
		return spot;
	if (m->key_line != 0)
		return (struct sq_spot){m->key_line, m->key_column, false};
	return (struct sq_spot){m->line, m->column, false};
}

struct sq_bytes
sq_input_document(const struct sq_input *in, size_t i)
{
	const struct sq_yaml_documents *ds = &in->documents;
	const char *text = sq_buf_len(&in->text) > 0 ? (const char *)sq_buf_data(&in->text) : "";
	const char *from = i == 0 ? text : input_line(in, ds->v[i].line).p;
	const char *to = i + 1 < ds->n ? input_line(in, ds->v[i + 1].line).p
				       : text + sq_buf_len(&in->text);

	return (struct sq_bytes){(const unsigned char *)from, (size_t)(to - from)};
}
