/* What all commands say about documents. */
#include <stdio.h>

#include "k8s/cli/cli.h"

/* The place in the value is said where the file's place does not have it. */
static void
report_note(const struct sq_note *n, const struct sq_spot *spot, struct sq_buf *out)
{
	struct sq_note whole = *n;

	if (spot->exact)
		whole.line = 0;
	sq_note_print(&whole, out);
	sq_buf_u8(out, '\n');
}

void
sq_cli_notes(const struct sq_input *in, size_t document, const struct sq_notes *notes,
    bool warnings, struct sq_buf *out)
{
	for (size_t i = 0; i < notes->n; i++) {
		struct sq_spot spot = sq_input_spot(in, document, &notes->v[i]);

		sq_buf_printf(out, "%s:%u:%u: %s", in->name, spot.line, spot.column,
		    warnings ? "warning: " : "");
		report_note(&notes->v[i], &spot, out);
	}
	if (notes->more > 0)
		sq_buf_printf(out, "%s: and %zu more%s\n", in->name, notes->more,
		    warnings ? " warnings" : "");
}

bool
sq_cli_malformed(const struct sq_input *in, struct sq_buf *out)
{
	if (in->malformed)
		sq_buf_printf(out, "%s:%u:%u: %s\n", in->name, in->error.line, in->error.column,
		    in->error.text);
	return in->malformed;
}

void
sq_cli_objects(
    json_t *document, void (*each)(void *user, json_t *object, const char *pointer), void *user)
{
	json_t *items = json_object_get(document, "items"), *item;
	size_t i;

	if (!json_is_array(items)) {
		each(user, document, "");
		return;
	}
	json_array_foreach(items, i, item)
	{
		char pointer[40];

		snprintf(pointer, sizeof pointer, "/items/%zu", i);
		each(user, item, pointer);
	}
}
