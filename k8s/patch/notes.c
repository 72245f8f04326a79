/* Reasons and warnings; see notes.h. */
#include "k8s/patch/notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/mem.h"
#include "core/utf8.h"

static void
note_fini(struct sq_note *n)
{
	free(n->path);
	free(n->key);
	free(n->text);
}

/* What is written by others may be in the text: one line, no control characters. */
static char *
text_clean(char *text)
{
	size_t len = 0;

	for (; text[len] != '\0'; len++) {
		if ((unsigned char)text[len] < ' ' || text[len] == 0x7f)
			text[len] = ' ';
	}
	return sq_xmemdup0(text, sq_utf8_cut(text, len, SQ_NOTE_TEXT_MAX));
}

struct sq_note *
sq_notes_add(struct sq_notes *notes, const char *path, const char *fmt, ...)
{
	char text[SQ_NOTE_TEXT_MAX + 8];
	va_list ap;

	if (notes->n == SQ_NOTES_MAX) {
		notes->more++;
		return NULL;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	notes->v = sq_xrealloc(notes->v, (notes->n + 1) * sizeof *notes->v);
	notes->v[notes->n] = (struct sq_note){.path = sq_xstrdup(path), .text = text_clean(text)};
	return &notes->v[notes->n++];
}

void
sq_notes_free(struct sq_notes *notes)
{
	for (size_t i = 0; i < notes->n; i++)
		note_fini(&notes->v[i]);
	free(notes->v);
	*notes = (struct sq_notes){0};
}

void
sq_notes_prefix(struct sq_notes *notes, const char *prefix)
{
	for (size_t i = 0; i < notes->n; i++) {
		struct sq_buf path = {0};

		sq_buf_printf(&path, "%s%s", prefix, notes->v[i].path);
		free(notes->v[i].path);
		notes->v[i].path = sq_buf_take_text(&path);
	}
}

void
sq_notes_move(struct sq_notes *to, struct sq_notes *from)
{
	size_t n = from->n < SQ_NOTES_MAX - to->n ? from->n : SQ_NOTES_MAX - to->n;

	to->v = sq_xrealloc(to->v, (to->n + n + 1) * sizeof *to->v);
	for (size_t i = 0; i < from->n; i++) {
		if (i < n)
			to->v[to->n++] = from->v[i];
		else
			note_fini(&from->v[i]);
	}
	to->more += from->more + from->n - n;
	free(from->v);
	*from = (struct sq_notes){0};
}

void
sq_note_print(const struct sq_note *n, struct sq_buf *out)
{
	if (n->key != NULL)
		sq_buf_printf(out, "%s: ", n->key);
	if (n->line != 0)
		sq_buf_printf(out, "line %u, column %u: ", n->line, n->column);
	sq_buf_printf(out, "%s", n->text);
}

void
sq_notes_print(const struct sq_notes *notes, struct sq_buf *out)
{
	size_t all = notes->n + notes->more;

	if (all > 1)
		sq_buf_printf(out, "%zu problems:", all);
	for (size_t i = 0; i < notes->n; i++) {
		sq_buf_printf(out, "%s", all > 1 ? "\n- " : "");
		sq_note_print(&notes->v[i], out);
	}
	if (notes->more > 0)
		sq_buf_printf(out, "\n- and %zu more", notes->more);
}
