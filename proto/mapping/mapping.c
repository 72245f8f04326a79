#include "proto/mapping/mapping.h"

#include <assert.h>
#include <string.h>

#include "core/utf8.h"
#include "proto/mapping/mapping_priv.h"
#include "proto/topic/topic.h"

/* Checking. */

/* Whether a literal may have the byte. */
static bool
place_has(enum sq_mapping_place place, unsigned char c)
{
	switch (place) {
	case SQ_MAPPING_TOPIC:
		return c != '+' && c != '#';
	case SQ_MAPPING_PATH:
		return c > ' ' && c < 0x7f && strchr("\"#<>\\^`{|}", c) == NULL;
	case SQ_MAPPING_TEXT:
		return c >= ' ' && c != 0x7f;
	case SQ_MAPPING_HEADER:
		break;
	}
	return c >= ' ' && c < 0x7f;
}

static const char *
place_fault(enum sq_mapping_place place)
{
	return place == SQ_MAPPING_TOPIC ? "no topic has a + or #"
	    : place == SQ_MAPPING_PATH   ? "no URL has such a character"
	    : place == SQ_MAPPING_TEXT   ? "it has a control character"
					 : "no header has such a character";
}

static bool
literal_good(enum sq_mapping_place place, struct sq_bytes text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (!place_has(place, text.p[i]))
			return false;
	}
	return true;
}

/* Why a finished text is none of its place; NULL: it is. */
static const char *
topic_fault(struct sq_bytes topic)
{
	const char *why = sq_topic_closed(topic);

	if (why == NULL && sq_topic_name_check(topic, &why) == SQ_OK)
		why = NULL;
	return why;
}

/* Whether the first 'len' bytes are "." or "..", also as %2e. */
static bool
segment_dots(const unsigned char *p, size_t len)
{
	size_t dots = 0, i = 0;

	while (i < len) {
		bool escaped = len - i >= 3 && p[i] == '%' && p[i + 1] == '2' &&
		    (p[i + 2] | 0x20) == 'e';

		if (!escaped && p[i] != '.')
			return false;
		i += escaped ? 3 : 1;
		dots++;
	}
	return dots == 1 || dots == 2;
}

static const char *
path_fault(struct sq_bytes path)
{
	const unsigned char *query = memchr(path.p, '?', path.len);
	size_t len = query != NULL ? (size_t)(query - path.p) : path.len, from = 0;

	for (size_t i = 0; i <= len; i++) {
		if (i < len && path.p[i] != '/')
			continue;
		if (segment_dots(path.p + from, i - from))
			return "a path would have a segment of dots";
		from = i + 1;
	}
	return NULL;
}

static const char *
finished_fault(enum sq_mapping_place place, struct sq_bytes text)
{
	if (text.len > (place == SQ_MAPPING_TOPIC ? SQ_TOPIC_MAX : SQ_MAPPING_TEXT_MAX))
		return "the text would be too long";
	if (text.len == 0 && place != SQ_MAPPING_HEADER && place != SQ_MAPPING_TEXT)
		return "it is empty";
	if ((place == SQ_MAPPING_TOPIC || place == SQ_MAPPING_TEXT) &&
	    !sq_utf8_valid(text.p, text.len))
		return "it is no UTF-8";
	return place == SQ_MAPPING_TOPIC ? topic_fault(text)
	    : place == SQ_MAPPING_PATH   ? path_fault(text)
					 : NULL;
}

/* Whether such a message has such a name. */
static bool
check_of(enum sq_mapping_of of, enum sq_mapping_kind kind)
{
	switch (kind) {
	case SQ_MAPPING_PROP:
		return of == SQ_MAPPING_OF_QUEUE;
	case SQ_MAPPING_KEY:
	case SQ_MAPPING_KEY_PARTS:
	case SQ_MAPPING_PEERS:
		return of == SQ_MAPPING_OF_PEER;
	case SQ_MAPPING_LITERAL:
	case SQ_MAPPING_WHOLE:
	case SQ_MAPPING_LEVEL:
	case SQ_MAPPING_LEVELS:
	case SQ_MAPPING_SPACE:
	case SQ_MAPPING_QUEUE:
	case SQ_MAPPING_TAG:
		break;
	}
	return true;
}

static int
check_piece(enum sq_mapping_place place, enum sq_mapping_of of,
    const struct sq_mapping_piece *piece, struct sq_buf *err)
{
	if (!check_of(of, piece->kind)) {
		sq_buf_printf(err, "%s",
		    of == SQ_MAPPING_OF_PEER
			? "what comes from a peer has {header:NAME} in place of {prop:NAME}"
			: "only what comes from a peer has a {key} or a {header:NAME}");
		return SQ_EINVAL;
	}
	if ((piece->kind == SQ_MAPPING_LITERAL || piece->kind == SQ_MAPPING_LEVELS ||
		piece->kind == SQ_MAPPING_KEY_PARTS) &&
	    !literal_good(place, piece->text)) {
		sq_buf_printf(err, "%s", place_fault(place));
		return SQ_EINVAL;
	}
	if (!literal_good(place, piece->def)) {
		sq_buf_printf(err, "%s", place_fault(place));
		return SQ_EINVAL;
	}
	return SQ_OK;
}

/* Checks each piece; 'names' and 'fixed' are the number of names, and the text if there is none. */
static int
check_pieces(const char *tmpl, enum sq_mapping_place place, enum sq_mapping_of of, unsigned *names,
    struct sq_buf *fixed, struct sq_buf *err)
{
	struct sq_mapping_piece piece;
	struct sq_buf why = {0};
	const char *at = tmpl, *from = at;
	int rc;

	while ((rc = sq_mapping_next(&at, &piece, &why)) == SQ_OK &&
	    (rc = check_piece(place, of, &piece, &why)) == SQ_OK) {
		*names += piece.kind != SQ_MAPPING_LITERAL;
		sq_buf_append(fixed, piece.text.p, piece.text.len);
		from = at;
	}
	if (rc == SQ_EINVAL)
		sq_buf_printf(err, "at byte %zu: %.*s", (size_t)(from - tmpl),
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc == SQ_ENOTFOUND ? SQ_OK : rc;
}

int
sq_mapping_check(
    const char *tmpl, enum sq_mapping_place place, enum sq_mapping_of of, struct sq_buf *err)
{
	struct sq_buf fixed = {0};
	const char *fault = NULL;
	unsigned names = 0;
	int rc;

	if (!sq_utf8_valid(tmpl, strlen(tmpl))) {
		sq_buf_printf(err, "is no UTF-8");
		return SQ_EINVAL;
	}
	rc = check_pieces(tmpl, place, of, &names, &fixed, err);
	if (rc == SQ_OK && names == 0)
		fault = finished_fault(place, sq_buf_bytes(&fixed));
	else if (rc == SQ_OK && names > SQ_MAPPING_NAMES_MAX)
		fault = "it has more than 16 names";
	else if (rc == SQ_OK && place == SQ_MAPPING_PATH)
		fault = path_fault(sq_bytes_of(tmpl));
	if (fault != NULL) {
		sq_buf_printf(err, "%s", fault);
		rc = SQ_EINVAL;
	}
	sq_buf_fini(&fixed);
	return rc;
}

/* Filling. */

static bool
fill_plain(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    c == '-' || c == '.' || c == '_' || c == '~';
}

/* Appends a byte of a value; 'slash': '/' stays. */
static void
fill_byte(enum sq_mapping_place place, unsigned char c, bool slash, struct sq_buf *out)
{
	switch (place) {
	case SQ_MAPPING_TOPIC:
		sq_buf_u8(out, c == '+' || c == '#' || c == '\0' || (c == '/' && !slash) ? '_' : c);
		break;
	case SQ_MAPPING_PATH:
		if (fill_plain(c) || (c == '/' && slash))
			sq_buf_u8(out, c);
		else
			sq_buf_printf(out, "%%%02X", c);
		break;
	case SQ_MAPPING_HEADER:
		if ((c & 0xc0) != 0x80) /* of a character of several bytes one is there */
			sq_buf_u8(out, c >= ' ' && c < 0x7f ? c : '?');
		break;
	case SQ_MAPPING_TEXT:
		sq_buf_u8(out, c >= ' ' && c != 0x7f ? c : '?');
		break;
	}
}

static void
fill_value(enum sq_mapping_place place, struct sq_bytes v, bool slash, struct sq_buf *out)
{
	for (size_t i = 0; i < v.len; i++)
		fill_byte(place, v.p[i], slash, out);
}

/* Takes the next part off the rest of a topic or key, up to 'between'.  False: there is none. */
static bool
fill_part(struct sq_bytes *rest, char between, struct sq_bytes *level)
{
	const unsigned char *slash;

	if (rest->p == NULL)
		return false;
	slash = memchr(rest->p, between, rest->len);
	*level = (struct sq_bytes){rest->p, slash != NULL ? (size_t)(slash - rest->p) : rest->len};
	if (slash == NULL)
		*rest = (struct sq_bytes){0};
	else
		*rest = (struct sq_bytes){slash + 1, rest->len - level->len - 1};
	return true;
}

/* The first user property of that name; 'filled': that is not empty. */
static struct sq_bytes
fill_prop(struct sq_bytes props, struct sq_bytes wanted, bool filled)
{
	struct sq_bytes name, found;

	while (sq_props_user_next(&props, &name, &found)) {
		if (name.len == wanted.len && memcmp(name.p, wanted.p, name.len) == 0 &&
		    (found.len > 0 || !filled))
			return found;
	}
	return (struct sq_bytes){0};
}

/* What one name of the message stands for; empty: nothing. */
static struct sq_bytes
fill_find(const struct sq_mapping_piece *piece, const struct sq_mapping_from *from)
{
	struct sq_bytes rest = from->topic, found = {0};

	switch (piece->kind) {
	case SQ_MAPPING_LITERAL:
	case SQ_MAPPING_WHOLE:
	case SQ_MAPPING_LEVELS:
		return from->topic;
	case SQ_MAPPING_LEVEL:
		for (unsigned i = 0; i < piece->level; i++) {
			if (!fill_part(&rest, '/', &found))
				return (struct sq_bytes){0};
		}
		return found;
	case SQ_MAPPING_SPACE:
		return sq_bytes_of(from->space);
	case SQ_MAPPING_QUEUE:
		return sq_bytes_of(from->queue);
	case SQ_MAPPING_TAG:
		return fill_prop(from->props, sq_bytes_of("tag"), true);
	case SQ_MAPPING_KEY:
	case SQ_MAPPING_KEY_PARTS:
		return from->key;
	case SQ_MAPPING_PEERS:
		return from->header != NULL ? from->header(from->arg, piece->text) : found;
	case SQ_MAPPING_PROP:
		break;
	}
	return fill_prop(from->props, piece->text, false);
}

static void
fill_parts(enum sq_mapping_place place, const struct sq_mapping_piece *piece, struct sq_bytes whole,
    char between, struct sq_buf *out)
{
	struct sq_bytes level;

	for (bool first = true; fill_part(&whole, between, &level); first = false) {
		if (!first)
			sq_buf_append(out, piece->text.p, piece->text.len);
		fill_value(place, level, false, out);
	}
}

/* Appends what a piece stands for. */
static int
fill_piece(const struct sq_mapping_piece *piece, enum sq_mapping_place place,
    const struct sq_mapping_from *from, struct sq_buf *out, struct sq_buf *why)
{
	struct sq_bytes found = fill_find(piece, from);

	if (piece->kind == SQ_MAPPING_LITERAL) {
		sq_buf_append(out, piece->text.p, piece->text.len);
	} else if (found.len == 0 && !piece->has_default) {
		sq_buf_printf(why, "the message has nothing for {%.*s}", (int)piece->name.len,
		    (const char *)piece->name.p);
		return SQ_ENOTFOUND;
	} else if (found.len == 0) {
		sq_buf_append(out, piece->def.p, piece->def.len);
	} else if (piece->kind == SQ_MAPPING_LEVELS || piece->kind == SQ_MAPPING_KEY_PARTS) {
		fill_parts(place, piece, found, piece->kind == SQ_MAPPING_LEVELS ? '/' : '.', out);
	} else {
		fill_value(place, found, piece->kind == SQ_MAPPING_WHOLE, out);
	}
	return SQ_OK;
}

bool
sq_mapping_is_of_message(const char *tmpl)
{
	struct sq_mapping_piece piece;

	while (sq_mapping_next(&tmpl, &piece, NULL) == SQ_OK) {
		if (piece.kind != SQ_MAPPING_LITERAL && piece.kind != SQ_MAPPING_SPACE &&
		    piece.kind != SQ_MAPPING_QUEUE)
			return true;
	}
	return false;
}

int
sq_mapping_fill(const char *tmpl, enum sq_mapping_place place, const struct sq_mapping_from *from,
    struct sq_buf *out, struct sq_buf *why)
{
	struct sq_mapping_piece piece;
	struct sq_buf text = {0};
	const char *at = tmpl, *fault;
	size_t had = sq_buf_len(why);
	int rc;

	while ((rc = sq_mapping_next(&at, &piece, NULL)) == SQ_OK) {
		rc = fill_piece(&piece, place, from, &text, why);
		if (rc != SQ_OK || sq_buf_len(&text) > SQ_TOPIC_MAX)
			break;
	}
	assert(rc != SQ_EINVAL); /* the template was checked */
	if (rc == SQ_ENOTFOUND && sq_buf_len(why) == had)
		rc = SQ_OK; /* the template's end */
	if (rc == SQ_OK) {
		fault = finished_fault(place, sq_buf_bytes(&text));
		if (fault != NULL) {
			sq_buf_printf(why, "%s", fault);
			rc = SQ_EINVAL;
		} else {
			sq_buf_append(out, sq_buf_data(&text), sq_buf_len(&text));
		}
	}
	sq_buf_fini(&text);
	return rc;
}
