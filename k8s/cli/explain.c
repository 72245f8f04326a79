/* sqmqos explain: what would exist for each workload of the manifests, in words. */
#include "k8s/cli/cli.h"
#include "k8s/cli/told.h"
#include "k8s/patch/annotated.h"
#include "k8s/patch/target.h"

struct explanation {
	struct sq_cli *cli;
	const struct sq_input *in;
	size_t document;
	bool denied;
};

static const char *
text_of(const json_t *map, const char *key)
{
	const char *s = json_string_value(json_object_get(map, key));

	return s != NULL ? s : "";
}

static void
explain_head(struct explanation *e, const json_t *object, const struct sq_target *t)
{
	const json_t *meta = json_object_get(object, "metadata");
	const char *space = e->cli->space != NULL ? e->cli->space : text_of(meta, "namespace");
	const char *name = text_of(meta, "name");

	sq_buf_printf(&e->cli->out, "%s%s %s%s%s (%s)\n", sq_buf_len(&e->cli->out) > 0 ? "\n" : "",
	    text_of(object, "kind"), space, space[0] != '\0' ? "/" : "",
	    name[0] != '\0' ? name : t->workload, e->in->name);
}

static void
explain_sidecar(struct explanation *e, const struct sq_target *t, const struct sq_annotations *said)
{
	const json_t *labels = json_object_get(json_object_get(t->pod, "metadata"), "labels");
	struct sq_buf *out = &e->cli->out;
	unsigned port = said->port != 0 ? said->port : SQ_SIDECAR_MQTT_PORT;

	sq_buf_printf(out, "Sidecar: %s\n",
	    json_object_get(labels, SQ_LABEL_INJECT) != NULL
		? "the pod's label asks for it"
		: "where the namespace has the label " SQ_LABEL_INJECT
		  ": \"true\"; the pod has none");
	sq_buf_printf(out,
	    "  the app finds MQTT at mqtt://localhost:%u, which SQMQOS_URL says, too\n"
	    "  its sessions are those of workload %s in the pod's namespace\n",
	    port, said->workload != NULL ? said->workload : t->workload);
}

static void
explain_made(struct explanation *e, const struct sq_target *t)
{
	struct sq_notes known = {0}; /* from sq_patch_validate() */
	struct sq_buf *out = &e->cli->out;
	struct sq_annotations said;
	const char *workload;

	sq_annotated_check(json_object_get(t->pod, "metadata"), t->workload, &said, &known, &known);
	sq_notes_free(&known);
	workload = said.workload != NULL ? said.workload : t->workload;
	explain_sidecar(e, t, &said);
	sq_buf_printf(out, "Receives:\n");
	sq_told_subscriptions(&said, workload, out);
	sq_buf_printf(out, "Publishes:\n");
	sq_told_publish(&said, out);
	sq_buf_printf(out, "Publishes wait while no broker is there:\n");
	sq_told_outbox(&said, out);
	sq_told_scale(&said, out);
	sq_annotations_free(&said);
}

static void
explain_object(void *user, json_t *object, const char *pointer)
{
	struct explanation *e = user;
	struct sq_patch p;
	struct sq_target t;

	if (sq_target_find(object, &t) != 0)
		return;
	sq_patch_validate(object, &e->cli->settings, SQ_ASKS_UNKNOWN, &p);
	sq_notes_prefix(&p.reasons, pointer);
	sq_notes_prefix(&p.warnings, pointer);
	explain_head(e, object, &t);
	if (p.outcome == SQ_PATCH_UNTOUCHED)
		sq_buf_printf(&e->cli->out, "No sidecar: the pod's label says so.\n");
	else if (p.outcome == SQ_PATCH_DENIED)
		sq_buf_printf(&e->cli->out, "Its pods would be refused:\n");
	else
		explain_made(e, &t);
	sq_cli_notes(e->in, e->document, &p.reasons, false, &e->cli->out);
	sq_cli_notes(e->in, e->document, &p.warnings, true, &e->cli->out);
	e->denied |= p.outcome == SQ_PATCH_DENIED;
	sq_patch_free(&p);
}

enum sq_cli_exit
sq_cli_explain(struct sq_cli *c)
{
	struct explanation e = {.cli = c};
	bool malformed = false;

	for (size_t f = 0; f < c->inputs.n; f++) {
		e.in = &c->inputs.v[f];
		malformed |= sq_cli_malformed(e.in, &c->err);
		for (e.document = 0; e.document < e.in->documents.n; e.document++)
			sq_cli_objects(e.in->documents.v[e.document].value, explain_object, &e);
	}
	if (sq_buf_len(&c->out) == 0 && !malformed)
		sq_buf_printf(&c->err, "sqmqos: nothing there that makes pods\n");
	return malformed || e.denied ? SQ_CLI_PROBLEMS : SQ_CLI_GOOD;
}
