/* sqmqos inject: manifests as the webhook would make their pods. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "k8s/cli/cli.h"
#include "k8s/patch/target.h"

/* One document in the making. */
struct injection {
	struct sq_cli *cli;
	const struct sq_input *in;
	size_t document;
	bool changed, denied;
};

/* Puts the patched pod into the object in place of its own. */
static void
injection_put(const struct sq_target *t, json_t *pod)
{
	json_object_clear(t->pod);
	json_object_update(t->pod, pod);
}

static void
injection_object(void *user, json_t *object, const char *pointer)
{
	struct injection *j = user;
	struct sq_target t;
	struct sq_patch p;
	struct sq_buf prefix = {0};
	char *path;

	if (sq_target_find(object, &t) != 0)
		return;
	sq_patch_make(
	    &(struct sq_patch_request){
		.pod = t.pod,
		.workload = t.is_template ? t.workload : NULL,
		.claim_templates = t.claim_templates,
		.settings = &j->cli->settings,
		.trust_bundle = j->cli->trust_bundle,
		.asks = SQ_ASKS_UNKNOWN,
	    },
	    &p);
	sq_buf_printf(&prefix, "%s%s", pointer, t.path);
	path = sq_xmemdup0(sq_buf_data(&prefix), sq_buf_len(&prefix));
	sq_notes_prefix(&p.reasons, path);
	sq_notes_prefix(&p.warnings, path);
	sq_cli_notes(j->in, j->document, &p.reasons, false, &j->cli->err);
	sq_cli_notes(j->in, j->document, &p.warnings, true, &j->cli->err);
	j->denied |= p.outcome == SQ_PATCH_DENIED;
	if (p.outcome == SQ_PATCH_MADE && json_array_size(p.ops) > 0) {
		j->changed = true;
		injection_put(&t, p.pod);
	}
	sq_patch_free(&p);
	sq_buf_fini(&prefix);
	free(path);
}

/* Puts the ScaledObjects behind the document. */
static void
injection_scaled(void *user, json_t *object, const char *pointer)
{
	struct injection *j = user;
	struct sq_target t;

	if (sq_target_find(object, &t) == 0 &&
	    !sq_cli_scaled(j->cli, &(struct sq_cli_place){j->in, j->document, pointer}, object, &t))
		j->denied = true;
}

static bool
inject_out(struct sq_cli *c, const struct sq_input *in, size_t i, bool changed)
{
	if (!changed) {
		sq_cli_out_verbatim(c, in, i);
		return true;
	}
	if (in->json) {
		sq_cli_out_json(c, in->documents.v[i].value);
		return true;
	}
	if (sq_cli_out_yaml(c, in->documents.v[i].value, in->documents.v[i].separated))
		return true;
	sq_buf_printf(
	    &c->err, "%s:%u:1: can't be written as YAML\n", in->name, in->documents.v[i].line);
	return false;
}

/* False: the document can't be injected. */
static bool
inject_document(struct sq_cli *c, const struct sq_input *in, size_t i)
{
	struct injection j = {.cli = c, .in = in, .document = i};
	json_t *object = in->documents.v[i].value;

	sq_cli_objects(object, injection_object, &j);
	if (j.denied || !inject_out(c, in, i, j.changed))
		return false;
	sq_cli_objects(object, injection_scaled, &j);
	return !j.denied;
}

enum sq_cli_exit
sq_cli_inject(struct sq_cli *c)
{
	bool ok = true;

	if (c->trust_bundle == NULL)
		sq_buf_printf(&c->err,
		    "sqmqos: without --trust-bundle the sidecars have no authority to trust, "
		    "unless an injector adds it\n");
	for (size_t f = 0; f < c->inputs.n; f++) {
		const struct sq_input *in = &c->inputs.v[f];

		if (sq_cli_malformed(in, &c->err))
			ok = false;
		for (size_t i = 0; i < in->documents.n; i++)
			ok = inject_document(c, in, i) && ok;
	}
	if (!ok)
		sq_buf_fini(&c->out); /* nothing rather than a part */
	return ok ? SQ_CLI_GOOD : SQ_CLI_PROBLEMS;
}
