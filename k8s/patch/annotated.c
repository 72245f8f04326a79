/* A pod's annotations as notes with their places; see annotated.h. */
#include "k8s/patch/annotated.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "k8s/patch/edit.h"

static void
annotated_note(struct sq_notes *notes, const struct sq_annotation_problem *p)
{
	struct sq_buf path = {0};
	struct sq_note *n;

	sq_pointer_add(&path, "metadata");
	sq_pointer_add(&path, "annotations");
	if (p->key != NULL)
		sq_pointer_add(&path, p->key);
	n = sq_notes_add(notes, sq_pointer_text(&path), "%s", p->text);
	if (n != NULL && p->key != NULL) {
		n->key = sq_xstrdup(p->key);
		n->line = p->at.line;
		n->column = p->at.column;
	}
	sq_buf_fini(&path);
}

void
sq_annotated_check(const json_t *meta, const char *workload, struct sq_annotations *said,
    struct sq_notes *reasons, struct sq_notes *warnings)
{
	json_t *annotations = json_object_get(meta, "annotations"), *v;
	struct sq_annotation_problems problems = {0};
	struct sq_annotation *pairs;
	const char *key;
	size_t n = 0;

	pairs = sq_xcalloc(json_object_size(annotations) + 1, sizeof *pairs);
	json_object_foreach(annotations, key, v)
	{
		if (json_is_string(v))
			pairs[n++] = (struct sq_annotation){
			    key, json_string_value(v), json_string_length(v)};
	}
	if (sq_annotations_check(pairs, n, SQ_ANNOTATIONS_OF_POD, workload, said, &problems) != 0)
		*said = (struct sq_annotations){0};
	for (size_t i = 0; i < problems.n; i++)
		annotated_note(problems.v[i].warning ? warnings : reasons, &problems.v[i]);
	reasons->more += problems.errors + problems.warnings - problems.n;
	sq_annotation_problems_free(&problems);
	free(pairs);
}
