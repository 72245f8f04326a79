/* Documents that the commands print. */
#include <stdlib.h>
#include <string.h>

#include "k8s/cli/cli.h"
#include "k8s/cli/scaled.h"
#include "k8s/cli/yaml_emit.h"

static void
out_begin(struct sq_cli *c, bool separated)
{
	if (sq_buf_len(&c->out) > 0 || separated)
		sq_buf_printf(&c->out, "---\n");
}

void
sq_cli_out_verbatim(struct sq_cli *c, const struct sq_input *in, size_t i)
{
	struct sq_bytes text = sq_input_document(in, i);

	if (!in->documents.v[i].separated)
		out_begin(c, false);
	sq_buf_append(&c->out, text.p, text.len);
	if (text.len > 0 && text.p[text.len - 1] != '\n')
		sq_buf_u8(&c->out, '\n');
}

void
sq_cli_out_json(struct sq_cli *c, const json_t *value)
{
	char *text = json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY);

	out_begin(c, false);
	sq_buf_append(&c->out, text, strlen(text));
	sq_buf_u8(&c->out, '\n');
	free(text);
}

bool
sq_cli_out_yaml(struct sq_cli *c, const json_t *value, bool separated)
{
	struct sq_buf text = {0};
	bool ok = sq_yaml_emit(value, &text) == 0;

	out_begin(c, separated);
	sq_buf_append(&c->out, sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_fini(&text);
	return ok;
}

bool
sq_cli_scaled(struct sq_cli *c, const struct sq_cli_place *at, const json_t *object,
    const struct sq_target *t)
{
	struct sq_scaled_request rq = {object, t, c->space, &c->settings};
	struct sq_buf why = {0};
	struct sq_notes notes = {0};
	json_t *made = sq_scaled_object(&rq, &why);
	bool ok = sq_buf_len(&why) == 0;

	if (!ok) {
		sq_notes_add(&notes, at->pointer, "%.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
		sq_cli_notes(at->in, at->document, &notes, false, &c->err);
		sq_notes_free(&notes);
	} else if (made != NULL && at->in->json) {
		sq_cli_out_json(c, made);
	} else if (made != NULL) {
		ok = sq_cli_out_yaml(c, made, false);
	}
	json_decref(made);
	sq_buf_fini(&why);
	return ok;
}
