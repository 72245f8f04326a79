#include "proto/declaration/declaration.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/suggest.h"
#include "proto/declaration/declaration_priv.h"

void
sq_declaration_init(struct sq_declaration *d)
{
	memset(d, 0, sizeof *d);
	for (size_t i = 0; i < sq_n_settings; i++) {
		if (!sq_setting_is_alias(&sq_settings[i]))
			sq_setting_reset(d, &sq_settings[i]);
	}
}

void
sq_declaration_fini(struct sq_declaration *d)
{
	sq_declaration_unbind_all(d);
	for (size_t i = 0; i < sq_n_settings; i++) {
		if (sq_setting_may_be_none(&sq_settings[i]))
			sq_setting_reset(d, &sq_settings[i]);
	}
}

static const struct sq_setting *
declaration_setting(struct sq_bytes name)
{
	for (size_t i = 0; i < sq_n_settings; i++) {
		if (sq_bytes_are(name, sq_settings[i].name))
			return &sq_settings[i];
	}
	return NULL;
}

/* The name of the header in "push.headers.x-tenant"; .p NULL: it is none. */
static struct sq_bytes
declaration_header(struct sq_bytes name)
{
	static const char map[] = "push.headers.";
	size_t n = sizeof map - 1;

	if (name.len <= n || memcmp(name.p, map, n) != 0)
		return (struct sq_bytes){0};
	return (struct sq_bytes){name.p + n, name.len - n};
}

enum sq_declared_shape
sq_declaration_shape(struct sq_bytes name)
{
	const struct sq_setting *s = declaration_setting(name);

	for (size_t i = 0; i < sq_n_settings; i++) {
		const char *known = sq_settings[i].name;

		if (strlen(known) > name.len && known[name.len] == '.' &&
		    memcmp(known, name.p, name.len) == 0)
			return s != NULL ? SQ_DECLARED_EITHER : SQ_DECLARED_GROUP;
	}
	if (declaration_header(name).p != NULL)
		return SQ_DECLARED_VALUE;
	return s == NULL                     ? SQ_DECLARED_NOTHING
	    : s->type == SQ_SETTING_STATUSES ? SQ_DECLARED_LIST
	    : s->type == SQ_SETTING_HEADERS  ? SQ_DECLARED_GROUP
					     : SQ_DECLARED_VALUE;
}

static void
declaration_unknown(struct sq_bytes name, struct sq_buf *err)
{
	static const char bindings[] = "bindings"; /* stands beside the settings */
	struct sq_suggest s = sq_suggest_start((const char *)name.p, name.len);

	for (size_t i = 0; i < sq_n_settings; i++) {
		const char *known = sq_settings[i].name;

		sq_suggest_offer(&s, known, strlen(known), known, strlen(known));
	}
	sq_suggest_offer(&s, bindings, strlen(bindings), bindings, strlen(bindings));
	sq_setting_quote(err, name);
	sq_buf_printf(err, ": unknown setting");
	if (s.best != NULL)
		sq_buf_printf(err, ", did you mean %.*s?", (int)s.best_len, s.best);
}

int
sq_declaration_set(
    struct sq_declaration *d, struct sq_bytes name, struct sq_bytes value, struct sq_buf *err)
{
	const struct sq_setting *s = declaration_setting(name);
	struct sq_bytes header = declaration_header(name);
	struct sq_buf why = {0};
	int rc;

	if (s == NULL && header.p == NULL) {
		declaration_unknown(name, err);
		return SQ_EINVAL;
	}
	rc = s != NULL ? sq_setting_set(d, s, value, &why)
		       : sq_setting_set_header(d, header, value, &why);
	if (rc != SQ_OK) {
		sq_setting_quote(err, name);
		sq_buf_printf(
		    err, ": %.*s", (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	}
	sq_buf_fini(&why);
	return rc;
}

/* Of a declaration without push.url: whether something of a push is said all the same. */
static int
declaration_check_no_push(const struct sq_declaration *d, struct sq_buf *err)
{
	struct sq_declaration none;
	int rc = SQ_OK;

	sq_declaration_init(&none);
	for (size_t i = 0; rc == SQ_OK && i < sq_n_settings; i++) {
		if (!sq_setting_of_push(&sq_settings[i]) ||
		    sq_setting_equal(d, &none, &sq_settings[i]))
			continue;
		sq_buf_printf(err, "push.url: is missing");
		rc = SQ_EINVAL;
	}
	sq_declaration_fini(&none);
	return rc;
}

int
sq_declaration_check(const struct sq_declaration *d, struct sq_buf *err)
{
	if (d->retry.first_ms > d->retry.max_ms) {
		sq_buf_printf(err, "retry.first: is longer than retry.max");
		return SQ_EINVAL;
	}
	if (d->blocks && d->order == SQ_ORDER_NONE) {
		sq_buf_printf(err, "on-give-up: block needs an order");
		return SQ_EINVAL;
	}
	return d->push.url != NULL ? sq_push_check(d, err) : declaration_check_no_push(d, err);
}

bool
sq_declaration_equal(const struct sq_declaration *a, const struct sq_declaration *b)
{
	if (a->n_bindings != b->n_bindings)
		return false;
	for (size_t i = 0; i < sq_n_settings; i++) {
		if (!sq_setting_is_alias(&sq_settings[i]) &&
		    !sq_setting_equal(a, b, &sq_settings[i]))
			return false;
	}
	for (size_t i = 0; i < a->n_bindings; i++) {
		const struct sq_declared_binding *at = &a->bindings[i];
		const struct sq_declared_binding *other = sq_declaration_binding(b, at->id);

		if (other == NULL || !sq_declared_binding_equal(at, other) || at->qos != other->qos)
			return false;
	}
	return true;
}

bool
sq_declaration_push_equal(const struct sq_declaration *a, const struct sq_declaration *b)
{
	for (size_t i = 0; i < sq_n_settings; i++) {
		const struct sq_setting *s = &sq_settings[i];

		if (sq_setting_of_push(s) && !sq_setting_is_alias(s) && !sq_setting_equal(a, b, s))
			return false;
	}
	return true;
}

bool
sq_declaration_push_has_files(const struct sq_declaration *d)
{
	for (size_t i = 0; i < sq_n_settings; i++) {
		const struct sq_setting *s = &sq_settings[i];

		if (s->type == SQ_SETTING_FILE && !sq_setting_none(d, s))
			return true;
	}
	return false;
}

void
sq_declaration_copy(struct sq_declaration *out, const struct sq_declaration *d)
{
	*out = *d;
	for (size_t i = 0; i < sq_n_settings; i++) {
		if (!sq_setting_is_alias(&sq_settings[i]))
			sq_setting_own(out, &sq_settings[i]);
	}
	out->bindings = NULL;
	if (d->n_bindings > 0)
		out->bindings = sq_xcalloc(d->n_bindings, sizeof *out->bindings);
	for (size_t i = 0; i < d->n_bindings; i++) {
		const struct sq_declared_binding *b = &d->bindings[i];

		out->bindings[i] = (struct sq_declared_binding){.id = sq_xstrdup(b->id),
		    .filter = b->filter != NULL ? sq_xstrdup(b->filter) : NULL,
		    .tag = b->tag != NULL ? sq_xstrdup(b->tag) : NULL,
		    .qos = b->qos};
	}
}

/* Whether a limit, of which 0 is the largest, is smaller. */
static bool
declaration_smaller(uint64_t now, uint64_t old)
{
	return now != 0 && (old == 0 || now < old);
}

const char *
sq_declaration_loses(const struct sq_declaration *old, const struct sq_declaration *now)
{
	if (declaration_smaller(now->max_messages, old->max_messages))
		return "max-messages is smaller";
	if (declaration_smaller(now->max_bytes, old->max_bytes))
		return "max-bytes is smaller";
	return NULL;
}

static void
declaration_markdown(struct sq_buf *out, bool push)
{
	struct sq_declaration d;

	sq_declaration_init(&d);
	sq_buf_printf(out, "| setting | JSON | default | |\n|---|---|---|---|\n");
	for (size_t i = 0; i < sq_n_settings; i++) {
		const struct sq_setting *s = &sq_settings[i];

		if (sq_setting_is_alias(s) || sq_setting_of_push(s) != push)
			continue;
		sq_buf_printf(out, "| `%s` | `", s->name);
		sq_setting_camel(s->name, strlen(s->name), out);
		sq_buf_printf(out, "` | ");
		if (sq_setting_none(&d, s)) {
			sq_buf_printf(out, "none");
		} else {
			sq_buf_u8(out, '`');
			sq_setting_print(&d, s, out);
			sq_buf_u8(out, '`');
		}
		sq_buf_printf(out, " | %s", s->help);
		sq_setting_bounds(s, out);
		sq_buf_printf(out, " |\n");
	}
	sq_declaration_fini(&d);
}

void
sq_declaration_markdown(struct sq_buf *out)
{
	declaration_markdown(out, false);
}

void
sq_declaration_push_markdown(struct sq_buf *out)
{
	declaration_markdown(out, true);
}
