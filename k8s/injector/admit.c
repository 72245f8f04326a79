/* Reviews and verdicts; see k8s/injector/admit.h. */
#include "k8s/injector/admit.h"

#include <string.h>

#include "k8s/injector/review.h"
#include "k8s/patch/patch.h"
#include "k8s/patch/target.h"
#include "proto/annotations/table.h"

enum { ADMIT_DENIED = 403 };

static bool
admit_is_pod(const struct sq_review *r)
{
	return *r->group == '\0' && strcmp(r->kind, "Pod") == 0;
}

/* Whether an update leaves all that we look at as it was: a workload that was made
 * before there was anybody to refuse it must still scale, and go. */
static bool
admit_is_same(const struct sq_review *r)
{
	struct sq_target was, now;

	return r->old_object != NULL && sq_target_find(r->old_object, &was) == SQ_OK &&
	    sq_target_find(r->object, &now) == SQ_OK && was.is_template &&
	    json_equal(was.pod, now.pod) == 1;
}

/* Whether something in 'of' has a key of ours. */
static bool
admit_has_key(json_t *of)
{
	const char *key;
	json_t *v;

	json_object_foreach(of, key, v)
	{
		if (strncmp(key, SQ_ANNOTATION_PREFIX, strlen(SQ_ANNOTATION_PREFIX)) == 0)
			return true;
	}
	return false;
}

/* Whether an object's pods mention us at all.  Where nobody knows of the namespace, others
 * are none of our business: they must never be stopped. */
static bool
admit_mentions_us(const struct sq_review *r)
{
	const json_t *meta;
	struct sq_target t;

	if (sq_target_find(r->object, &t) != SQ_OK)
		return false;
	meta = json_object_get(t.pod, "metadata");
	return admit_has_key(json_object_get(meta, "labels")) ||
	    admit_has_key(json_object_get(meta, "annotations"));
}

static void
admit_validate(enum sq_admit_kind kind, const struct sq_review *r,
    const struct sq_settings *settings, struct sq_patch *p)
{
	enum sq_asks asks = kind == SQ_ADMIT_VALIDATE_ASKED ? SQ_ASKS
	    : kind == SQ_ADMIT_VALIDATE_UNASKED             ? SQ_ASKS_NOT
							    : SQ_ASKS_UNKNOWN;
	bool update = r->operation == SQ_REVIEW_UPDATE;

	*p = (struct sq_patch){.outcome = SQ_PATCH_UNTOUCHED};
	if (update && admit_is_pod(r) && r->old_object != NULL)
		sq_patch_validate_edit(r->old_object, r->object, p);
	else if ((!update || !admit_is_same(r)) &&
	    (asks != SQ_ASKS_UNKNOWN || admit_mentions_us(r)))
		sq_patch_validate(r->object, settings, asks, p);
}

/* Asks k8s/patch. */
static void
admit_ask(enum sq_admit_kind kind, const struct sq_review *r, const struct sq_settings *settings,
    const char *trust_bundle, struct sq_patch *p)
{
	if (r->object == NULL)
		*p = (struct sq_patch){.outcome = SQ_PATCH_UNTOUCHED};
	else if (kind != SQ_ADMIT_MUTATE)
		admit_validate(kind, r, settings, p);
	else if (r->operation == SQ_REVIEW_CREATE && admit_is_pod(r))
		sq_patch_make(&(struct sq_patch_request){.pod = r->object,
				  .settings = settings,
				  .trust_bundle = trust_bundle,
				  .asks = SQ_ASKS},
		    p);
	else
		*p = (struct sq_patch){.outcome = SQ_PATCH_UNTOUCHED};
}

static json_t *
admit_warnings(const struct sq_notes *notes)
{
	json_t *list = json_array();
	struct sq_buf line = {0};

	for (size_t i = 0; i < notes->n; i++) {
		sq_buf_fini(&line);
		sq_note_print(&notes->v[i], &line);
		json_array_append_new(
		    list, json_stringn((const char *)sq_buf_data(&line), sq_buf_len(&line)));
	}
	sq_buf_fini(&line);
	return list;
}

/* "Pod shop/app-" of an object whose name the API server has yet to make. */
static void
admit_subject(const struct sq_review *r, struct sq_buf *out)
{
	const json_t *meta = json_object_get(r->object, "metadata");
	const char *name = r->name,
		   *begins = json_string_value(json_object_get(meta, "generateName"));

	if (*name == '\0' && begins != NULL)
		name = begins;
	sq_buf_printf(out, "%s %s/%s", r->kind, r->name_space, name);
}

static void
admit_answer(const struct sq_review *r, const struct sq_patch *p, struct sq_buf *out,
    struct sq_admitted *result)
{
	json_t *warnings = admit_warnings(&p->warnings);
	struct sq_review_verdict verdict = {
	    .allowed = p->outcome != SQ_PATCH_DENIED,
	    .code = ADMIT_DENIED,
	    .patch = p->ops,
	    .warnings = warnings,
	};

	result->warnings = json_array_size(warnings);
	result->outcome = json_array_size(p->ops) > 0 ? SQ_PATCHED : SQ_ADMITTED;
	if (!verdict.allowed) {
		result->outcome = SQ_DENIED;
		sq_notes_print(&p->reasons, &result->message);
		sq_buf_u8(&result->message, '\0');
		result->message.end--;
		verdict.message = (const char *)sq_buf_data(&result->message);
	}
	sq_review_answer(r, &verdict, out);
	json_decref(warnings);
}

void
sq_admit(enum sq_admit_kind kind, const struct sq_settings *settings, const char *trust_bundle,
    const void *body, size_t len, struct sq_buf *out, struct sq_admitted *result)
{
	struct sq_review r;
	struct sq_patch p;

	*result = (struct sq_admitted){.outcome = SQ_MALFORMED};
	if (sq_review_read(&r, body, len, out) != SQ_OK)
		return;
	admit_subject(&r, &result->subject);
	admit_ask(kind, &r, settings, trust_bundle, &p);
	admit_answer(&r, &p, out, result);
	sq_patch_free(&p);
	sq_review_fini(&r);
}

void
sq_admitted_fini(struct sq_admitted *a)
{
	sq_buf_fini(&a->subject);
	sq_buf_fini(&a->message);
}
