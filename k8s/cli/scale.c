/* sqmqos scale: the ScaledObjects of manifests alone, where the webhook injects the sidecars. */
#include "k8s/cli/cli.h"
#include "k8s/cli/scaled.h"
#include "proto/annotations/annotations.h"

struct scaling {
	struct sq_cli *cli;
	const struct sq_input *in;
	size_t document;
	bool denied;
};

static void
scaling_object(void *user, json_t *object, const char *pointer)
{
	struct scaling *s = user;
	struct sq_cli *c = s->cli;
	struct sq_target t;
	struct sq_patch p;
	bool good;

	if (sq_target_find(object, &t) != 0)
		return;
	sq_patch_validate(object, &c->settings, SQ_ASKS_UNKNOWN, &p);
	sq_notes_prefix(&p.reasons, pointer);
	sq_notes_prefix(&p.warnings, pointer);
	sq_cli_notes(s->in, s->document, &p.reasons, false, &c->err);
	sq_cli_notes(s->in, s->document, &p.warnings, true, &c->err);
	good = p.outcome != SQ_PATCH_DENIED &&
	    sq_cli_scaled(c, &(struct sq_cli_place){s->in, s->document, pointer}, object, &t);
	s->denied |= !good;
	sq_patch_free(&p);
}

enum sq_cli_exit
sq_cli_scale(struct sq_cli *c)
{
	struct scaling s = {.cli = c};

	for (size_t f = 0; f < c->inputs.n; f++) {
		s.in = &c->inputs.v[f];
		s.denied |= sq_cli_malformed(s.in, &c->err);
		for (s.document = 0; s.document < s.in->documents.n; s.document++)
			sq_cli_objects(s.in->documents.v[s.document].value, scaling_object, &s);
	}
	if (s.denied)
		sq_buf_fini(&c->out); /* nothing rather than a part */
	else if (sq_buf_len(&c->out) == 0)
		sq_buf_printf(&c->err, "sqmqos: nothing there with " SQ_ANNOTATION_SCALE "\n");
	return s.denied ? SQ_CLI_PROBLEMS : SQ_CLI_GOOD;
}
