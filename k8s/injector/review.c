/* The codec of AdmissionReview; see k8s/injector/review.h. */
#include "k8s/injector/review.h"

#include <stdlib.h>
#include <string.h>

#include "core/base64.h"
#include "core/json_bounds.h"
#include "core/mem.h"
#include "core/utf8.h"

#define REVIEW_VERSION "admission.k8s.io/v1"
#define REVIEW_KIND "AdmissionReview"

static const struct reason {
	unsigned code;
	const char *name;
} reasons[] = {
    {400, "BadRequest"},
    {403, "Forbidden"},
    {422, "Invalid"},
    {500, "InternalError"},
    {503, "ServiceUnavailable"},
};

/* ---- request ---- */

/* The text of a member, "" without one; NULL if it is something else. */
static const char *
review_text(const json_t *of, const char *name)
{
	const json_t *v = json_object_get(of, name);

	return v == NULL || json_is_null(v) ? "" : json_string_value(v);
}

/* A member that is an object, or NULL. */
static json_t *
review_object(const json_t *of, const char *name)
{
	json_t *v = json_object_get(of, name);

	return json_is_object(v) ? v : NULL;
}

static enum sq_review_operation
review_operation(const char *text)
{
	return strcmp(text, "CREATE") == 0 ? SQ_REVIEW_CREATE
	    : strcmp(text, "UPDATE") == 0  ? SQ_REVIEW_UPDATE
					   : SQ_REVIEW_OTHER;
}

/* Fills '*r' from its root; returns what is wrong, or NULL. */
static const char *
review_take(struct sq_review *r)
{
	const char *version = review_text(r->root, "apiVersion");
	const char *kind = review_text(r->root, "kind");
	const json_t *request = review_object(r->root, "request");
	const json_t *of = review_object(request, "kind");
	const char *operation = review_text(request, "operation");

	if (version == NULL || strcmp(version, REVIEW_VERSION) != 0 || kind == NULL ||
	    strcmp(kind, REVIEW_KIND) != 0)
		return "not an " REVIEW_KIND " of " REVIEW_VERSION;
	if (request == NULL)
		return "request: not an object";
	r->uid = review_text(request, "uid");
	if (r->uid == NULL || *r->uid == '\0' || strlen(r->uid) > SQ_REVIEW_UID_MAX)
		return "request.uid: missing, or not a UID";
	r->group = review_text(of, "group");
	r->kind = review_text(of, "kind");
	if (r->group == NULL || r->kind == NULL || *r->kind == '\0')
		return "request.kind: missing, or not a kind";
	r->name_space = review_text(request, "namespace");
	r->name = review_text(request, "name");
	if (r->name_space == NULL || r->name == NULL)
		return "request.namespace, request.name: not texts";
	if (operation == NULL || *operation == '\0')
		return "request.operation: missing, or not a text";
	r->operation = review_operation(operation);
	r->dry_run = json_is_true(json_object_get(request, "dryRun"));
	r->object = review_object(request, "object");
	r->old_object = review_object(request, "oldObject");
	if (r->object == NULL && r->operation != SQ_REVIEW_OTHER)
		return "request.object: not an object";
	return NULL;
}

int
sq_review_read(struct sq_review *r, const void *body, size_t len, struct sq_buf *why)
{
	const char *wrong;
	json_error_t at;

	*r = (struct sq_review){0};
	if (len > SQ_REVIEW_BODY_MAX ||
	    !sq_json_bounded(body, len, SQ_REVIEW_DEPTH_MAX, SQ_REVIEW_VALUES_MAX)) {
		sq_buf_printf(why, "the body is too long, too deep or has too many values");
		return SQ_ETOOBIG;
	}
	/* A NUL may stand in any value; those that we read are checked for it, where it matters. */
	r->root = json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &at);
	if (r->root == NULL) {
		/* The parser's own text quotes the body. */
		sq_buf_printf(
		    why, "the body is not JSON at line %d, column %d", at.line, at.column);
		return SQ_EINVAL;
	}
	wrong = review_take(r);
	if (wrong == NULL)
		return SQ_OK;
	sq_buf_printf(why, "%s", wrong);
	sq_review_fini(r);
	return SQ_EINVAL;
}

void
sq_review_fini(struct sq_review *r)
{
	json_decref(r->root);
	*r = (struct sq_review){0};
}

/* ---- answer ---- */

/* A string of at most 'max' bytes; a longer one is cut between two characters. */
static json_t *
review_cut(const char *text, size_t len, size_t max)
{
	static const char dots[] = "...";
	struct sq_buf cut = {0};
	size_t n;
	json_t *v;

	if (len <= max)
		return json_stringn(text, len);
	n = sq_utf8_cut(text, len, max - (sizeof dots - 1));
	sq_buf_append(&cut, text, n);
	sq_buf_append(&cut, dots, sizeof dots - 1);
	v = json_stringn((const char *)sq_buf_data(&cut), sq_buf_len(&cut));
	sq_buf_fini(&cut);
	return v;
}

static const char *
review_reason(unsigned code)
{
	for (size_t i = 0; i < SQ_ARRAY_LEN(reasons); i++)
		if (reasons[i].code == code)
			return reasons[i].name;
	return NULL;
}

static json_t *
review_status(const struct sq_review_verdict *v)
{
	json_t *status = json_object();
	const char *reason = review_reason(v->code);

	json_object_set_new(status, "code", json_integer(v->code));
	if (reason != NULL)
		json_object_set_new(status, "reason", json_string(reason));
	json_object_set_new(
	    status, "message", review_cut(v->message, strlen(v->message), SQ_REVIEW_MESSAGE_MAX));
	return status;
}

/* The warnings that the API server will show, and one that counts the others. */
static json_t *
review_warnings(const json_t *warnings)
{
	static const char more[] = "%zu more warnings of SQMQOS are not shown";
	const size_t room = SQ_REVIEW_WARNINGS_MAX - sizeof more - 20;
	json_t *out = json_array();
	size_t used = 0, i;
	const json_t *w;

	for (i = 0; i < json_array_size(warnings); i++) {
		json_t *cut;

		w = json_array_get(warnings, i);
		cut = review_cut(
		    json_string_value(w), json_string_length(w), SQ_REVIEW_WARNING_MAX);
		used += json_string_length(cut);
		if (used > room) {
			json_decref(cut);
			break;
		}
		json_array_append_new(out, cut);
	}
	if (i < json_array_size(warnings))
		json_array_append_new(out, json_sprintf(more, json_array_size(warnings) - i));
	return out;
}

static json_t *
review_patch(const json_t *patch)
{
	char *text = json_dumps(patch, JSON_COMPACT);
	struct sq_buf encoded = {0};
	json_t *v;

	sq_base64_put(&encoded, text, strlen(text));
	free(text);
	v = json_stringn((const char *)sq_buf_data(&encoded), sq_buf_len(&encoded));
	sq_buf_fini(&encoded);
	return v;
}

void
sq_review_answer(const struct sq_review *r, const struct sq_review_verdict *v, struct sq_buf *out)
{
	json_t *answer = json_object(), *response = json_object();
	char *text;

	json_object_set_new(answer, "apiVersion", json_string(REVIEW_VERSION));
	json_object_set_new(answer, "kind", json_string(REVIEW_KIND));
	json_object_set_new(answer, "response", response);
	json_object_set_new(response, "uid", json_string(r->uid));
	json_object_set_new(response, "allowed", json_boolean(v->allowed));
	if (!v->allowed) {
		json_object_set_new(response, "status", review_status(v));
	} else if (json_array_size(v->patch) > 0) {
		json_object_set_new(response, "patchType", json_string("JSONPatch"));
		json_object_set_new(response, "patch", review_patch(v->patch));
	}
	if (json_array_size(v->warnings) > 0)
		json_object_set_new(response, "warnings", review_warnings(v->warnings));
	text = json_dumps(answer, JSON_COMPACT);
	sq_buf_append(out, text, strlen(text));
	free(text);
	json_decref(answer);
}
