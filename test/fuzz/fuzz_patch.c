/* Manifests and settings in YAML, the patch, and YAML again.  Whatever is written: a value or a
 * reason with its place; what is emitted is read as the same value; a patch can be applied, gives
 * the pod that the core says, and a second one is empty. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../support/json_patch.h"
#include "k8s/cli/input.h"
#include "k8s/cli/yaml_emit.h"
#include "k8s/patch/patch.h"

static struct sq_settings settings;

static void
check_emitted(const json_t *v)
{
	struct sq_yaml_documents ds;
	struct sq_yaml_error err;
	struct sq_buf out = {0};

	assert(sq_yaml_emit(v, &out) == 0);
	/* Escapes may be longer than what was read. */
	if (sq_yaml_json_read((const char *)sq_buf_data(&out), sq_buf_len(&out), &ds, &err) == 0) {
		assert(ds.n == 1 && json_equal(ds.v[0].value, v));
		sq_yaml_documents_free(&ds);
	} else {
		assert(sq_buf_len(&out) > SQ_YAML_SIZE_MAX);
	}
	sq_buf_fini(&out);
}

static void
check_notes(const struct sq_input *in, size_t i, const struct sq_notes *notes)
{
	struct sq_buf out = {0};

	for (size_t k = 0; k < notes->n; k++) {
		struct sq_spot s = sq_input_spot(in, i, &notes->v[k]);

		assert(s.line > 0 && s.column > 0);
	}
	sq_notes_print(notes, &out);
	sq_buf_fini(&out);
}

static void
check_patch(const json_t *pod)
{
	struct sq_patch_request rq = {.pod = pod, .settings = &settings, .asks = SQ_ASKS};
	struct sq_patch p, again;
	json_t *applied;

	sq_patch_make(&rq, &p);
	assert((p.outcome == SQ_PATCH_DENIED) == (p.reasons.n > 0));
	assert((p.outcome == SQ_PATCH_MADE) == (p.ops != NULL));
	if (p.ops != NULL) {
		applied = json_patch_apply(pod, p.ops);
		assert(applied != NULL && json_equal(applied, p.pod));
		rq.pod = applied;
		sq_patch_make(&rq, &again);
		assert(again.outcome == SQ_PATCH_MADE && json_array_size(again.ops) == 0);
		sq_patch_free(&again);
		json_decref(applied);
	}
	sq_patch_free(&p);
}

static void
check_document(const struct sq_input *in, size_t i)
{
	json_t *v = in->documents.v[i].value;
	struct sq_patch p;

	check_emitted(v);
	for (int asks = SQ_ASKS_UNKNOWN; asks <= SQ_ASKS_NOT; asks++) {
		sq_patch_validate(v, &settings, (enum sq_asks)asks, &p);
		check_notes(in, i, &p.reasons);
		check_notes(in, i, &p.warnings);
		sq_patch_free(&p);
	}
	check_patch(v);
	if (i > 0) {
		sq_patch_validate_edit(in->documents.v[i - 1].value, v, &p);
		sq_patch_free(&p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_buf text = {0}, err = {0};
	struct sq_settings s;
	struct sq_input in;

	if (settings.version == NULL)
		sq_settings_init(&settings);
	if (sq_settings_parse("s", (const char *)data, size, &s, &err) == 0)
		sq_settings_free(&s);
	else
		assert(sq_buf_len(&err) > 0);
	sq_buf_fini(&err);
	sq_buf_append(&text, data, size);
	in = sq_input_parse("f", &text);
	if (in.malformed)
		assert(in.error.line > 0 && in.error.column > 0 && in.error.text[0] != '\0');
	for (size_t i = 0; i < in.documents.n; i++)
		check_document(&in, i);
	sq_input_free(&in);
	return 0;
}
