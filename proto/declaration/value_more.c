/* Values that may be none: texts, secrets, rates, lists of statuses, headers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/http_token.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "proto/declaration/declaration_priv.h"

enum { SECRET_NAME_MAX = 128, HEADER_NAME_MAX = 128, HUNDRED = 100 };

static const struct {
	char unit;
	uint32_t ms;
} rate_units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}};

static void *
more_at(struct sq_declaration *d, const struct sq_setting *s)
{
	return (char *)d + s->offset;
}

static const void *
more_at_const(const struct sq_declaration *d, const struct sq_setting *s)
{
	return (const char *)d + s->offset;
}

static const char *
more_text(const struct sq_declaration *d, const struct sq_setting *s)
{
	return *(char *const *)more_at_const(d, s);
}

static bool
more_is_text(const struct sq_setting *s)
{
	return s->type < SQ_SETTING_RATE;
}

static bool
text_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Texts. */

static const char key_prefix[] = "whsec_"; /* of Standard Webhooks */
static const char token_prefix[] = "eyJ";  /* of a JSON web token: {" in base64 */

static bool
text_begins(struct sq_bytes text, const char *with)
{
	return text.len > strlen(with) && memcmp(text.p, with, strlen(with)) == 0;
}

static bool
secret_good(struct sq_bytes name)
{
	bool good = name.len > 0 && name.len <= SECRET_NAME_MAX && name.p[0] != '.';

	for (size_t i = 0; good && i < name.len; i++) {
		uint8_t c = name.p[i];

		good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    c == '.' || c == '_' || c == '-';
	}
	return good;
}

/* What is wrong with a text; NULL: nothing. */
static const char *
text_fault(const struct sq_setting *s, struct sq_bytes text)
{
	if (s->type == SQ_SETTING_SECRET && text_begins(text, key_prefix))
		return "is a key itself, not the name of one in push.secrets-dir";
	if (s->type == SQ_SETTING_SECRET && text_begins(text, token_prefix) &&
	    memchr(text.p, '.', text.len) != NULL)
		return "is a token itself, not the name of one in push.secrets-dir";
	if (s->type == SQ_SETTING_SECRET)
		return secret_good(text)
		    ? NULL
		    : "is not the name of a secret: 1 to 128 of A-Z a-z 0-9 . _ -, no . in front";
	if (text.len > s->max)
		return "is too long";
	if (!sq_utf8_valid(text.p, text.len))
		return "is no UTF-8";
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < ' ' || text.p[i] == 0x7f)
			return "has a control character";
	}
	return s->type == SQ_SETTING_FILE && text.p[0] != '/' ? "is not a path that starts with /"
							      : NULL;
}

static int
text_set(
    struct sq_declaration *d, const struct sq_setting *s, struct sq_bytes text, struct sq_buf *why)
{
	char **at = more_at(d, s);
	const char *fault = text.len > 0 ? text_fault(s, text) : NULL;

	if (fault != NULL) {
		if (s->type == SQ_SETTING_TEXT && text.len <= s->max)
			sq_setting_quote(why, text);
		sq_buf_printf(why, "%s%s", sq_buf_len(why) > 0 ? " " : "", fault);
		return SQ_EINVAL;
	}
	free(*at);
	*at = text.len > 0 ? sq_xmemdup0(text.p, text.len) : NULL;
	return SQ_OK;
}

/* Rates. */

static int
rate_set(
    struct sq_declaration *d, const struct sq_setting *s, struct sq_bytes text, struct sq_buf *why)
{
	struct sq_push_rate *at = more_at(d, s);
	uint64_t n = 0;
	size_t i = 0;

	if (sq_bytes_are(text, s->words[0])) {
		*at = (struct sq_push_rate){0};
		return SQ_OK;
	}
	for (; i < text.len && text.p[i] >= '0' && text.p[i] <= '9' && n <= s->max; i++)
		n = 10 * n + (uint64_t)(text.p[i] - '0');
	for (size_t k = 0; k < SQ_ARRAY_LEN(rate_units); k++) {
		if (i == 0 || n < s->min || n > s->max || i + 2 != text.len || text.p[i] != '/' ||
		    text.p[i + 1] != (uint8_t)rate_units[k].unit)
			continue;
		*at = (struct sq_push_rate){(uint32_t)n, rate_units[k].ms};
		return SQ_OK;
	}
	sq_setting_quote(why, text);
	sq_buf_printf(why, " is not a rate like 100/s, 600/m or 50/h, up to %llu, or %s",
	    (unsigned long long)s->max, s->words[0]);
	return SQ_EINVAL;
}

static void
rate_print(const struct sq_push_rate *r, const struct sq_setting *s, struct sq_buf *out)
{
	if (r->n == 0)
		sq_buf_printf(out, "%s", s->words[0]);
	for (size_t k = 0; r->n != 0 && k < SQ_ARRAY_LEN(rate_units); k++) {
		if (rate_units[k].ms == r->per_ms)
			sq_buf_printf(out, "%u/%c", (unsigned)r->n, rate_units[k].unit);
	}
}

/* Statuses. */

static bool
status_read(const struct sq_setting *s, struct sq_bytes text, struct sq_push_status *out)
{
	bool digits = text.len == 3;

	out->all = digits && (text.p[1] | ' ') == 'x' && (text.p[2] | ' ') == 'x';
	for (size_t i = 0; digits && i < (out->all ? 1u : 3u); i++)
		digits = text.p[i] >= '0' && text.p[i] <= '9';
	if (!digits)
		return false;
	out->status = (uint16_t)(HUNDRED * (text.p[0] - '0'));
	if (!out->all)
		out->status = (uint16_t)(out->status + 10 * (text.p[1] - '0') + (text.p[2] - '0'));
	return out->status >= s->min && out->status <= s->max;
}

/* Puts a status into its place; one that is there already counts once. */
static bool
status_add(struct sq_push_statuses *l, struct sq_push_status v)
{
	size_t at = 0;

	while (at < l->n &&
	    (l->v[at].status < v.status || (l->v[at].status == v.status && l->v[at].all < v.all)))
		at++;
	if (at < l->n && l->v[at].status == v.status && l->v[at].all == v.all)
		return true;
	if (l->n == SQ_PUSH_STATUSES_MAX)
		return false;
	l->v = sq_xrealloc(l->v, (l->n + 1) * sizeof *l->v);
	memmove(&l->v[at + 1], &l->v[at], (l->n - at) * sizeof l->v[0]);
	l->v[at] = v;
	l->n++;
	return true;
}

/* Adds those of a text to an empty list. */
static int
statuses_read(struct sq_push_statuses *l, const struct sq_setting *s, struct sq_bytes text,
    struct sq_buf *why)
{
	size_t from = 0;

	for (size_t i = 0; text.len > 0 && i <= text.len; i++) {
		struct sq_bytes one = {text.p + from, i - from};
		struct sq_push_status v;

		if (i < text.len && text.p[i] != ',')
			continue;
		if (!status_read(s, one, &v)) {
			sq_setting_quote(why, one);
			sq_buf_printf(why,
			    " is not a status of %u to %u, or all of a hundred as 4xx",
			    (unsigned)s->min, (unsigned)s->max);
			return SQ_EINVAL;
		}
		if (!status_add(l, v)) {
			sq_buf_printf(why, "has more than %d statuses", SQ_PUSH_STATUSES_MAX);
			return SQ_EINVAL;
		}
		from = i + 1;
	}
	return SQ_OK;
}

static int
statuses_set(
    struct sq_declaration *d, const struct sq_setting *s, struct sq_bytes text, struct sq_buf *why)
{
	struct sq_push_statuses *to = more_at(d, s), l = {0};

	if (statuses_read(&l, s, text, why) != SQ_OK) {
		free(l.v);
		return SQ_EINVAL;
	}
	free(to->v);
	*to = l;
	return SQ_OK;
}

static void
statuses_own(struct sq_push_statuses *l)
{
	const struct sq_push_status *was = l->v;

	if (l->n == 0)
		return;
	l->v = sq_xmalloc(l->n * sizeof *l->v);
	memcpy(l->v, was, l->n * sizeof *l->v);
}

static bool
statuses_equal(const struct sq_push_statuses *a, const struct sq_push_statuses *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = a->v[i].status == b->v[i].status && a->v[i].all == b->v[i].all;
	return same;
}

static void
statuses_print(const struct sq_push_statuses *l, struct sq_buf *out)
{
	for (size_t i = 0; i < l->n; i++) {
		if (i > 0)
			sq_buf_u8(out, ',');
		if (l->v[i].all)
			sq_buf_printf(out, "%uxx", l->v[i].status / HUNDRED);
		else
			sq_buf_printf(out, "%u", l->v[i].status);
	}
}

/* Headers. */

static void
headers_free(struct sq_declared_push *p)
{
	for (size_t i = 0; i < p->n_headers; i++) {
		free(p->headers[i].name);
		free(p->headers[i].value);
	}
	free(p->headers);
	p->headers = NULL;
	p->n_headers = 0;
}

static bool
header_name_good(struct sq_bytes name)
{
	return name.len <= HEADER_NAME_MAX && sq_http_token_good((const char *)name.p, name.len);
}

/* The name in lower case. */
static char *
header_name(struct sq_bytes name)
{
	char *low = sq_xmemdup0(name.p, name.len);

	for (size_t i = 0; i < name.len; i++) {
		if (low[i] >= 'A' && low[i] <= 'Z')
			low[i] = (char)(low[i] - 'A' + 'a');
	}
	return low;
}

/* The place of a header of that name; 'there': whether there is one. */
static size_t
header_place(const struct sq_declared_push *p, const char *name, bool *there)
{
	size_t at = 0;

	while (at < p->n_headers && strcmp(p->headers[at].name, name) < 0)
		at++;
	*there = at < p->n_headers && strcmp(p->headers[at].name, name) == 0;
	return at;
}

/* Puts a header into its place; why not, or NULL. */
static const char *
header_put(struct sq_declared_push *p, struct sq_bytes name, struct sq_bytes value)
{
	char *low = header_name(name);
	bool there;
	size_t at = header_place(p, low, &there);

	if (there || p->n_headers == SQ_PUSH_HEADERS_MAX) {
		free(low);
		return there ? "is there twice" : "is one header too many: there are at most 32";
	}
	p->headers = sq_xrealloc(p->headers, (p->n_headers + 1) * sizeof *p->headers);
	memmove(&p->headers[at + 1], &p->headers[at], (p->n_headers - at) * sizeof *p->headers);
	p->headers[at] = (struct sq_push_header){low, sq_xmemdup0(value.p, value.len)};
	p->n_headers++;
	return NULL;
}

int
sq_setting_set_header(
    struct sq_declaration *d, struct sq_bytes name, struct sq_bytes value, struct sq_buf *why)
{
	const char *fault = NULL;

	if (!header_name_good(name))
		fault = "is no name of a header";
	else if (value.len > SQ_PUSH_HEADER_MAX)
		fault = "is too long";
	else if (value.len == 0)
		fault = "is empty";
	else if (!sq_utf8_valid(value.p, value.len) || memchr(value.p, '\0', value.len) != NULL)
		fault = "is no text";
	else
		fault = header_put(&d->push, name, value);
	if (fault != NULL)
		sq_buf_printf(why, "%s", fault);
	return fault == NULL ? SQ_OK : SQ_EINVAL;
}

static bool
headers_equal(const struct sq_declared_push *a, const struct sq_declared_push *b)
{
	bool same = a->n_headers == b->n_headers;

	for (size_t i = 0; same && i < a->n_headers; i++)
		same = strcmp(a->headers[i].name, b->headers[i].name) == 0 &&
		    strcmp(a->headers[i].value, b->headers[i].value) == 0;
	return same;
}

static void
headers_own(struct sq_declared_push *p)
{
	struct sq_push_header *own = NULL;

	if (p->n_headers > 0)
		own = sq_xcalloc(p->n_headers, sizeof *own);
	for (size_t i = 0; i < p->n_headers; i++)
		own[i] = (struct sq_push_header){
		    sq_xstrdup(p->headers[i].name), sq_xstrdup(p->headers[i].value)};
	p->headers = own;
}

/* All of them. */

int
sq_setting_set_more(
    struct sq_declaration *d, const struct sq_setting *s, struct sq_bytes text, struct sq_buf *why)
{
	if (more_is_text(s))
		return text_set(d, s, text, why);
	if (s->type == SQ_SETTING_RATE)
		return rate_set(d, s, text, why);
	if (s->type == SQ_SETTING_STATUSES)
		return statuses_set(d, s, text, why);
	if (text.len > 0) {
		sq_buf_printf(why, "is not a map");
		return SQ_EINVAL;
	}
	headers_free(&d->push);
	return SQ_OK;
}

void
sq_setting_print_more(
    const struct sq_declaration *d, const struct sq_setting *s, struct sq_buf *out)
{
	const char *text;

	if (s->type == SQ_SETTING_RATE) {
		rate_print(more_at_const(d, s), s, out);
	} else if (s->type == SQ_SETTING_STATUSES) {
		statuses_print(more_at_const(d, s), out);
	} else if (more_is_text(s)) {
		text = more_text(d, s);
		sq_buf_append(out, text, text != NULL ? strlen(text) : 0);
	}
}

bool
sq_setting_equal_more(
    const struct sq_declaration *a, const struct sq_declaration *b, const struct sq_setting *s)
{
	const struct sq_push_rate *ra = more_at_const(a, s), *rb = more_at_const(b, s);

	if (s->type == SQ_SETTING_RATE)
		return ra->n == rb->n && ra->per_ms == rb->per_ms;
	if (s->type == SQ_SETTING_STATUSES)
		return statuses_equal(more_at_const(a, s), more_at_const(b, s));
	if (s->type == SQ_SETTING_HEADERS)
		return headers_equal(&a->push, &b->push);
	return text_equal(more_text(a, s), more_text(b, s));
}

bool
sq_setting_none(const struct sq_declaration *d, const struct sq_setting *s)
{
	if (!sq_setting_may_be_none(s) || s->type == SQ_SETTING_RATE)
		return false; /* a rate has a word for that */
	if (s->type == SQ_SETTING_STATUSES)
		return ((const struct sq_push_statuses *)more_at_const(d, s))->n == 0;
	return s->type == SQ_SETTING_HEADERS ? d->push.n_headers == 0 : more_text(d, s) == NULL;
}

void
sq_setting_own(struct sq_declaration *d, const struct sq_setting *s)
{
	char **text;

	if (s->type == SQ_SETTING_HEADERS)
		headers_own(&d->push);
	if (s->type == SQ_SETTING_STATUSES)
		statuses_own(more_at(d, s));
	if (!sq_setting_may_be_none(s) || !more_is_text(s))
		return;
	text = more_at(d, s);
	if (*text != NULL)
		*text = sq_xstrdup(*text);
}
