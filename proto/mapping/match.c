/* Whether a template may give a topic that a filter matches.
 *
 * The template is read as a set of texts that has all that it can give: a level, a property or a name
 * is any text without '/', {topic} is any text.  The filter is an automaton over bytes, whose states
 * are places in its text; a set of these goes along the template. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "proto/mapping/mapping_priv.h"

struct match {
	const char *filter;
	size_t n;
	bool *at, *next; /* by place, n + 1 of them */
};

/* Goes on without a byte: a '+' may be over. */
static void
match_rest(const struct match *m, bool *set)
{
	for (size_t i = 0; i < m->n; i++)
		set[i + 1] |= set[i] && m->filter[i] == '+';
}

static void
match_byte(struct match *m, unsigned char c)
{
	bool *was = m->at;

	memset(m->next, 0, m->n + 1);
	for (size_t i = 0; i < m->n; i++) {
		char f = m->filter[i];

		if (!was[i])
			continue;
		if (f == '#' || (f == '+' && c != '/'))
			m->next[i] = true;
		else if (f != '+' && (unsigned char)f == c)
			m->next[i + 1] = true;
	}
	m->at = m->next;
	m->next = was;
	match_rest(m, m->at);
}

static void
match_text(struct match *m, struct sq_bytes text)
{
	for (size_t i = 0; i < text.len; i++)
		match_byte(m, text.p[i]);
}

/* Any text, with '/' or without. */
static void
match_any(struct match *m, bool slash)
{
	for (size_t i = 0; i < m->n; i++)
		m->at[i + 1] |= m->at[i] && (slash || m->filter[i] != '/') && m->filter[i] != '#';
}

static bool
match_ends(const struct match *m)
{
	bool ends = m->at[m->n];

	if (m->n > 0 && m->filter[m->n - 1] == '#') {
		ends |= m->at[m->n - 1]; /* "a/#" matches "a/b", and "a", too */
		ends |= m->n > 1 && m->at[m->n - 2];
	}
	return ends;
}

/* What a value of the message, or of its queue, can be. */
static void
match_value(struct match *m, const struct sq_mapping_piece *piece, const char *known)
{
	struct sq_bytes text = sq_bytes_of(known);

	if (piece->kind == SQ_MAPPING_WHOLE ||
	    ((piece->kind == SQ_MAPPING_LEVELS || piece->kind == SQ_MAPPING_KEY_PARTS) &&
		memchr(piece->text.p, '/', piece->text.len) != NULL)) {
		match_any(m, true);
	} else if (known != NULL) {
		for (size_t i = 0; i < text.len; i++) /* as it is filled in */
			match_byte(m, strchr("+#/", text.p[i]) != NULL ? '_' : text.p[i]);
	} else {
		match_any(m, false);
	}
}

static void
match_swap(struct match *m, bool *set)
{
	memcpy(m->next, m->at, m->n + 1);
	memcpy(m->at, set, m->n + 1);
	memcpy(set, m->next, m->n + 1);
}

static void
match_piece(
    struct match *m, const struct sq_mapping_piece *piece, const char *space, const char *queue)
{
	const char *known = piece->kind == SQ_MAPPING_SPACE ? space
	    : piece->kind == SQ_MAPPING_QUEUE               ? queue
							    : NULL;
	bool *given;

	if (piece->kind == SQ_MAPPING_LITERAL) {
		match_text(m, piece->text);
		return;
	}
	if (!piece->has_default) {
		match_value(m, piece, known);
		return;
	}
	given = sq_xcalloc(m->n + 1, sizeof *given);
	memcpy(given, m->at, m->n + 1);
	match_text(m, piece->def);
	match_swap(m, given);
	match_value(m, piece, known);
	for (size_t i = 0; i <= m->n; i++)
		m->at[i] |= given[i];
	free(given);
}

bool
sq_mapping_may_match(const char *tmpl, const char *space, const char *queue, const char *filter)
{
	struct match m = {.filter = filter, .n = strlen(filter)};
	struct sq_mapping_piece piece;
	const char *at = tmpl;
	bool may;

	if (tmpl[0] == '$' && (filter[0] == '+' || filter[0] == '#'))
		return false; /* MQTT 5.0 §4.7.2 */
	m.at = sq_xcalloc(m.n + 1, sizeof *m.at);
	m.next = sq_xcalloc(m.n + 1, sizeof *m.next);
	m.at[0] = true;
	match_rest(&m, m.at);
	while (sq_mapping_next(&at, &piece, NULL) == SQ_OK)
		match_piece(&m, &piece, space, queue);
	may = match_ends(&m);
	free(m.at);
	free(m.next);
	return may;
}

/* Whether what the piece gives may have a '/'. */
static bool
filter_deep(const struct sq_mapping_piece *piece)
{
	return piece->kind == SQ_MAPPING_WHOLE ||
	    (piece->has_default && memchr(piece->def.p, '/', piece->def.len) != NULL) ||
	    ((piece->kind == SQ_MAPPING_LEVELS || piece->kind == SQ_MAPPING_KEY_PARTS) &&
		memchr(piece->text.p, '/', piece->text.len) != NULL);
}

void
sq_mapping_filter(const char *tmpl, struct sq_buf *out)
{
	char *filter = sq_xcalloc(strlen(tmpl) + 1, 1); /* a name is longer than its '+' */
	struct sq_mapping_piece piece;
	size_t n = 0, level = 0;        /* where the last level begins */
	bool any = false, deep = false; /* of that level */

	while (!deep && sq_mapping_next(&tmpl, &piece, NULL) == SQ_OK) {
		any |= piece.kind != SQ_MAPPING_LITERAL;
		deep = piece.kind != SQ_MAPPING_LITERAL && filter_deep(&piece);
		for (size_t i = 0; piece.kind == SQ_MAPPING_LITERAL && i < piece.text.len; i++) {
			if (piece.text.p[i] == '/' && any) {
				n = level;
				filter[n++] = '+';
			}
			filter[n++] = (char)piece.text.p[i];
			if (piece.text.p[i] == '/') {
				level = n;
				any = false;
			}
		}
	}
	if (any) {
		n = level;
		filter[n++] = deep ? '#' : '+';
	}
	sq_buf_append(out, filter, n);
	free(filter);
}
