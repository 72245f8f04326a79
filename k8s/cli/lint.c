/* sqmqos lint: what is wrong in manifests, and where. */
#include "k8s/cli/cli.h"

/* False: it has problems. */
static bool
lint_document(struct sq_cli *c, const struct sq_input *in, size_t i)
{
	struct sq_patch p;
	bool ok;

	sq_patch_validate(in->documents.v[i].value, &c->settings, SQ_ASKS_UNKNOWN, &p);
	sq_cli_notes(in, i, &p.reasons, false, &c->out);
	sq_cli_notes(in, i, &p.warnings, true, &c->out);
	ok = p.outcome != SQ_PATCH_DENIED;
	sq_patch_free(&p);
	return ok;
}

enum sq_cli_exit
sq_cli_lint(struct sq_cli *c)
{
	bool ok = true;

	for (size_t f = 0; f < c->inputs.n; f++) {
		const struct sq_input *in = &c->inputs.v[f];

		if (sq_cli_malformed(in, &c->out))
			ok = false;
		for (size_t i = 0; i < in->documents.n; i++)
			ok = lint_document(c, in, i) && ok;
	}
	return ok ? SQ_CLI_GOOD : SQ_CLI_PROBLEMS;
}
