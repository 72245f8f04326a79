/* Bindings of a declaration. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/utf8.h"
#include "proto/declaration/declaration_priv.h"
#include "proto/topic/topic.h"

static bool
text_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

void
sq_declared_binding_fini(struct sq_declared_binding *b)
{
	free(b->id);
	free(b->filter);
	free(b->tag);
	*b = (struct sq_declared_binding){0};
}

bool
sq_declared_binding_equal(const struct sq_declared_binding *a, const struct sq_declared_binding *b)
{
	return text_equal(a->filter, b->filter) && text_equal(a->tag, b->tag);
}

const struct sq_declared_binding *
sq_declaration_binding(const struct sq_declaration *d, const char *id)
{
	for (size_t i = 0; i < d->n_bindings; i++) {
		if (strcmp(d->bindings[i].id, id) == 0)
			return &d->bindings[i];
	}
	return NULL;
}

/* The id of a binding that names none: what an MQTT client would subscribe to. */
static char *
binding_id(const struct sq_declared_binding *b)
{
	struct sq_buf text = {0};

	if (b->tag != NULL)
		sq_buf_printf(&text, "$tag/%s%s", b->tag, b->filter != NULL ? "/" : "");
	if (b->filter != NULL)
		sq_buf_append(&text, b->filter, strlen(b->filter));
	return sq_buf_take_text(&text);
}

static int
binding_wrong(struct sq_buf *err, const char *member, const char *why)
{
	sq_buf_printf(err, "%s: %s", member, why);
	return SQ_EINVAL;
}

static int
binding_check_filter(struct sq_bytes filter, struct sq_buf *err)
{
	struct sq_topic_filter parsed;
	const char *why = NULL;

	if (filter.len > SQ_QUEUE_FILTER_MAX)
		return binding_wrong(err, "filter", "has more than 1024 bytes");
	if (!sq_utf8_valid(filter.p, filter.len))
		return binding_wrong(err, "filter", "is no UTF-8");
	if (sq_topic_is_reply(filter))
		return binding_wrong(err, "filter", "is $reply, to which nobody subscribes");
	why = sq_topic_closed(filter);
	if (why != NULL || sq_topic_filter_parse(filter, &parsed, &why) != SQ_OK)
		return binding_wrong(err, "filter", why);
	return SQ_OK;
}

static int
binding_check(const struct sq_declared_binding *b, struct sq_buf *err)
{
	const char *why = NULL;
	int rc;

	if (b->filter == NULL && b->tag == NULL)
		return binding_wrong(err, "filter", "there is neither a filter nor a tag");
	if (b->qos != 1 && b->qos != 2)
		return binding_wrong(err, "qos", "is not 1 or 2");
	if (b->tag != NULL) {
		if (!sq_utf8_valid(b->tag, strlen(b->tag)))
			return binding_wrong(err, "tag", "is no UTF-8");
		rc = sq_topic_tag_check(sq_bytes_of(b->tag), &why);
		if (rc != SQ_OK)
			return binding_wrong(err, "tag", why);
	}
	return b->filter != NULL ? binding_check_filter(sq_bytes_of(b->filter), err) : SQ_OK;
}

/* Sets the id of a binding that has none, and checks one that is given.  With a tag, any topic is no
 * filter. */
static int
binding_name(struct sq_declared_binding *b, struct sq_buf *err)
{
	char *made;

	if (b->tag != NULL && b->filter != NULL && strcmp(b->filter, "#") == 0) {
		free(b->filter);
		b->filter = NULL;
	}
	made = binding_id(b);
	if (b->id == NULL) {
		b->id = made;
		return SQ_OK;
	}
	if (strcmp(b->id, made) != 0 && !sq_queue_name_good(sq_bytes_of(b->id))) {
		free(made);
		return binding_wrong(err, "id", "is not 1 to 128 of A-Z a-z 0-9 . _ -");
	}
	free(made);
	return SQ_OK;
}

int
sq_declaration_bind_owned(
    struct sq_declaration *d, struct sq_declared_binding *owned, struct sq_buf *err)
{
	const struct sq_declared_binding *there;
	int rc = binding_check(owned, err);

	if (rc == SQ_OK)
		rc = binding_name(owned, err);
	if (rc != SQ_OK) {
		sq_declared_binding_fini(owned);
		return rc;
	}
	there = sq_declaration_binding(d, owned->id);
	if (there != NULL) {
		if (!sq_declared_binding_equal(there, owned))
			rc = binding_wrong(
			    err, "id", "is that of a binding with another filter or tag");
		else
			d->bindings[there - d->bindings].qos = owned->qos;
		sq_declared_binding_fini(owned);
		return rc;
	}
	if (d->n_bindings == SQ_QUEUE_BINDINGS_MAX) {
		sq_declared_binding_fini(owned);
		return binding_wrong(err, "bindings", "a queue has at most 256");
	}
	d->bindings = sq_xrealloc(d->bindings, (d->n_bindings + 1) * sizeof *d->bindings);
	d->bindings[d->n_bindings++] = *owned;
	*owned = (struct sq_declared_binding){0};
	return SQ_OK;
}

int
sq_declaration_bind(
    struct sq_declaration *d, const struct sq_declared_binding *b, struct sq_buf *err)
{
	struct sq_declared_binding copy = {.id = b->id != NULL ? sq_xstrdup(b->id) : NULL,
	    .filter = b->filter != NULL ? sq_xstrdup(b->filter) : NULL,
	    .tag = b->tag != NULL ? sq_xstrdup(b->tag) : NULL,
	    .qos = b->qos};

	return sq_declaration_bind_owned(d, &copy, err);
}

bool
sq_declaration_unbind(struct sq_declaration *d, const char *id)
{
	const struct sq_declared_binding *there = sq_declaration_binding(d, id);
	size_t at;

	if (there == NULL)
		return false;
	at = (size_t)(there - d->bindings);
	sq_declared_binding_fini(&d->bindings[at]);
	d->n_bindings--;
	memmove(&d->bindings[at], &d->bindings[at + 1], (d->n_bindings - at) * sizeof *d->bindings);
	return true;
}

void
sq_declaration_unbind_all(struct sq_declaration *d)
{
	for (size_t i = 0; i < d->n_bindings; i++)
		sq_declared_binding_fini(&d->bindings[i]);
	free(d->bindings);
	d->bindings = NULL;
	d->n_bindings = 0;
}
