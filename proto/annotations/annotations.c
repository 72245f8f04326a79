/* The annotations file and the plain forms of sqmqos.io/subscribe; the YAML form
 * is in subscribe.c, sqmqos.io/client-id in client_id.c. */
#include "proto/annotations/annotations.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/msg.h"
#include "core/suggest.h"
#include "core/utf8.h"
#include "proto/annotations/annotations_priv.h"
#include "proto/topic/topic.h"

static void
declaration_fini(struct sq_declaration *d)
{
	free(d->filter);
	free(d->tag);
	free(d->group);
}

void
sq_declarations_free(struct sq_declarations *ds)
{
	for (size_t i = 0; i < ds->n; i++)
		declaration_fini(&ds->v[i]);
	free(ds->v);
	sq_client_ids_free(&ds->client_ids);
	sq_publish_rules_free(&ds->publish);
	free(ds->misspelt);
	*ds = (struct sq_declarations){0};
}

struct sq_declaration *
sq_declarations_add(struct sq_declarations *ds, unsigned line, struct sq_buf *err)
{
	if (ds->n == SQ_DECLARATIONS_MAX) {
		sq_buf_printf(
		    err, "line %u: more than %d subscriptions", line, SQ_DECLARATIONS_MAX);
		return NULL;
	}
	ds->v = sq_xrealloc(ds->v, (ds->n + 1) * sizeof *ds->v);
	ds->v[ds->n] = (struct sq_declaration){.qos = 1, .durable = true, .line = line};
	return &ds->v[ds->n++];
}

static struct sq_bytes
bytes_of(const char *s)
{
	return (struct sq_bytes){(const unsigned char *)s, strlen(s)};
}

static int
declaration_group(const struct sq_declaration *d, unsigned line, struct sq_buf *err)
{
	if (d->group == NULL)
		return 0;
	if (d->pod)
		sq_buf_printf(err, "line %u: group has no meaning with delivery: pod", line);
	else if (d->group[0] == '\0' || strlen(d->group) > SQ_GROUP_MAX)
		sq_buf_printf(err, "line %u: group must have 1 to %d bytes", line, SQ_GROUP_MAX);
	else if (strpbrk(d->group, "/+#:") != NULL)
		sq_buf_printf(err, "line %u: group must not contain / + # or :", line);
	else if (!sq_utf8_valid(d->group, strlen(d->group)))
		sq_buf_printf(err, "line %u: group is not UTF-8", line);
	else
		return 0;
	return SQ_EINVAL;
}

/* As the broker has it: letters are taken whole. */
static int
declaration_dead(const struct sq_declaration *d, unsigned line, struct sq_buf *err)
{
	bool dead = strcmp(d->filter, "$dead") == 0 || strncmp(d->filter, "$dead/", 6) == 0;

	if (!dead || (strcmp(d->filter, "$dead/#") == 0 && d->tag == NULL))
		return 0;
	sq_buf_printf(err, "line %u: bad filter '%s': dead letters are taken whole, by $dead/#",
	    line, d->filter);
	return SQ_EINVAL;
}

int
sq_declaration_check(struct sq_declaration *d, unsigned line, struct sq_buf *err)
{
	struct sq_topic_filter f;
	const char *why = NULL;
	char *plain;

	if (d->filter == NULL && d->tag == NULL) {
		sq_buf_printf(err, "line %u: a filter or a tag is needed", line);
		return SQ_EINVAL;
	}
	if (d->filter == NULL)
		d->filter = sq_xstrdup("#");
	if (!sq_utf8_valid(d->filter, strlen(d->filter)))
		why = "it is not UTF-8";
	if (why != NULL || sq_topic_filter_parse(bytes_of(d->filter), &f, &why) != 0) {
		sq_buf_printf(err, "line %u: bad filter '%s': %s", line, d->filter, why);
		return SQ_EINVAL;
	}
	if (f.share.len != 0) {
		sq_buf_printf(err, "line %u: '%s': use group instead of $share", line, d->filter);
		return SQ_EINVAL;
	}
	if (f.tag.len != 0 && d->tag != NULL) {
		sq_buf_printf(err, "line %u: two tags, in the filter and as tag", line);
		return SQ_EINVAL;
	}
	if (d->tag != NULL &&
	    (!sq_utf8_valid(d->tag, strlen(d->tag)) ||
		sq_topic_tag_check(bytes_of(d->tag), &why) != 0)) {
		sq_buf_printf(err, "line %u: bad tag: %s", line, why != NULL ? why : "not UTF-8");
		return SQ_EINVAL;
	}
	if (f.tag.len != 0) {
		d->tag = sq_xmemdup0(f.tag.p, f.tag.len);
		plain = sq_xmemdup0(f.filter.p, f.filter.len);
		free(d->filter);
		d->filter = plain;
		/* It travels without its tag and must not be read as more than a filter. */
		if (sq_topic_filter_parse(bytes_of(plain), &f, &why) != 0 || f.tag.len != 0 ||
		    f.share.len != 0) {
			sq_buf_printf(err, "line %u: bad filter '%s' behind the tag", line, plain);
			return SQ_EINVAL;
		}
	}
	if (declaration_dead(d, line, err) != 0)
		return SQ_EINVAL;
	return declaration_group(d, line, err);
}

/* --- did you mean --- */

const char *
sq_did_you_mean(const char *written, const char *const *words)
{
	struct sq_suggest s = sq_suggest_start(written, strlen(written));

	for (; *words != NULL; words++)
		sq_suggest_offer(&s, *words, strlen(*words), *words, strlen(*words));
	return s.best;
}

/* --- the plain forms --- */

bool
sq_value_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool
sq_value_blank(const char *v, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!sq_value_space(v[i]))
			return false;
	}
	return true;
}

bool
sq_value_is_yaml(const char *v, size_t len)
{
	while (len > 0 && sq_value_space(*v)) {
		v++;
		len--;
	}
	if (len == 0)
		return false;
	return v[0] == '[' || v[0] == '{' || v[0] == '#' ||
	    (v[0] == '-' && (len == 1 || sq_value_space(v[1]))) ||
	    (len >= 3 && memcmp(v, "---", 3) == 0);
}

bool
sq_value_item(struct sq_bytes *list, struct sq_bytes *item)
{
	const unsigned char *v = list->p, *end, *stop, *comma;

	if (v == NULL)
		return false;
	end = v + list->len;
	comma = memchr(v, ',', list->len);
	stop = comma != NULL ? comma : end;
	*list = comma != NULL ? (struct sq_bytes){comma + 1, (size_t)(end - comma - 1)}
			      : (struct sq_bytes){0};
	while (v < stop && sq_value_space((char)*v))
		v++;
	while (stop > v && sq_value_space((char)stop[-1]))
		stop--;
	*item = (struct sq_bytes){v, (size_t)(stop - v)};
	return true;
}

static int
subscribe_item(struct sq_bytes filter, struct sq_declarations *out, struct sq_buf *err)
{
	struct sq_declaration *d;

	if (filter.len == 0) {
		sq_buf_printf(err, "line 1: an empty filter");
		return SQ_EINVAL;
	}
	if ((d = sq_declarations_add(out, 1, err)) == NULL)
		return SQ_EINVAL;
	if (memchr(filter.p, '\0', filter.len) != NULL) {
		sq_buf_printf(err, "line 1: a NUL in a filter");
		return SQ_EINVAL;
	}
	d->filter = sq_xmemdup0(filter.p, filter.len);
	return sq_declaration_check(d, 1, err);
}

static int
subscribe_list(const char *value, size_t len, struct sq_declarations *out, struct sq_buf *err)
{
	struct sq_bytes list = {(const unsigned char *)value, len}, filter;
	int rc = 0;

	while (rc == 0 && sq_value_item(&list, &filter))
		rc = subscribe_item(filter, out, err);
	return rc;
}

int
sq_annotations_subscribe(
    const char *value, size_t len, struct sq_declarations *out, struct sq_buf *err)
{
	if (sq_value_blank(value, len))
		return 0;
	return sq_value_is_yaml(value, len) ? sq_declarations_yaml(value, len, out, err)
					    : subscribe_list(value, len, out, err);
}

/* --- the file --- */

static const char ours[] = "sqmqos.io/";

/* Other programs have annotations of this prefix, too, so an unknown one is no error. */
static void
annotation_unknown(const char *key, unsigned line, struct sq_declarations *out)
{
	static const char *const known[] = {&SQ_ANNOTATION_SUBSCRIBE[sizeof ours - 1],
	    &SQ_ANNOTATION_PUBLISH[sizeof ours - 1], &SQ_ANNOTATION_CLIENT_ID[sizeof ours - 1],
	    &SQ_ANNOTATION_OUTBOX[sizeof ours - 1], NULL};
	const char *near = sq_did_you_mean(&key[sizeof ours - 1], known);
	struct sq_buf text = {0};

	if (near == NULL || out->misspelt != NULL)
		return;
	sq_buf_printf(&text, "line %u: %s is unknown and does nothing, did you mean %s%s?", line,
	    key, ours, near);
	out->misspelt = sq_xmemdup0(sq_buf_data(&text), sq_buf_len(&text));
	sq_buf_fini(&text);
}

static int
annotation_take(const char *key, const struct sq_buf *value, unsigned line,
    struct sq_declarations *out, struct sq_buf *err)
{
	const char *text = (const char *)sq_buf_data(value);
	size_t len = sq_buf_len(value);

	if (strcmp(key, SQ_ANNOTATION_SUBSCRIBE) == 0)
		return sq_annotations_subscribe(text != NULL ? text : "", len, out, err);
	if (strcmp(key, SQ_ANNOTATION_OUTBOX) == 0)
		return sq_annotations_outbox(text != NULL ? text : "", len, &out->outbox, err);
	if (strcmp(key, SQ_ANNOTATION_PUBLISH) == 0) {
		sq_publish_rules_free(&out->publish);
		return sq_annotations_publish(text != NULL ? text : "", len, &out->publish, err);
	}
	if (strcmp(key, SQ_ANNOTATION_CLIENT_ID) == 0) {
		sq_client_ids_free(&out->client_ids);
		return sq_annotations_client_id(
		    text != NULL ? text : "", len, &out->client_ids, err);
	}
	annotation_unknown(key, line, out);
	return 0;
}

/* One line, without its end.  Returns the bytes used, or an error. */
static long
annotation_line(
    const char *p, size_t len, unsigned line, struct sq_declarations *out, struct sq_buf *err)
{
	const char *eq = memchr(p, '=', len), *why;
	struct sq_buf value = {0}, reason = {0};
	char key[128] = "";
	bool mine;
	long n;
	int rc;

	if (eq == NULL || eq == p) {
		sq_buf_printf(err, "line %u: not of the form key=\"value\"", line);
		return SQ_EINVAL;
	}
	mine = (size_t)(eq - p) < sizeof key && strncmp(p, ours, sizeof ours - 1) == 0;
	if (mine)
		memcpy(key, p, (size_t)(eq - p));
	n = sq_go_unquote(eq + 1, len - (size_t)(eq + 1 - p), &value, &why);
	if (n < 0) {
		sq_buf_printf(
		    err, "line %u: %.*s: %s", line, (int)(eq - p < 100 ? eq - p : 100), p, why);
		sq_buf_fini(&value);
		return SQ_EINVAL;
	}
	if (strcmp(key, SQ_ANNOTATION_SUBSCRIBE) == 0)
		out->line = line;
	rc = mine ? annotation_take(key, &value, line, out, &reason) : 0;
	if (rc != 0)
		sq_buf_printf(err, "line %u: %s: %.*s", line, key, (int)sq_buf_len(&reason),
		    (const char *)sq_buf_data(&reason));
	sq_buf_fini(&value);
	sq_buf_fini(&reason);
	return rc != 0 ? rc : eq + 1 - p + n;
}

int
sq_annotations_parse(const char *text, size_t len, struct sq_declarations *out, struct sq_buf *err)
{
	unsigned line = 1;
	long n = 0;

	*out = (struct sq_declarations){0};
	if (len > SQ_ANNOTATIONS_SIZE_MAX) {
		sq_buf_printf(
		    err, "line 1: the file is larger than %d bytes", SQ_ANNOTATIONS_SIZE_MAX);
		return SQ_ETOOBIG;
	}
	for (size_t at = 0; at < len; line++) {
		const char *nl = memchr(text + at, '\n', len - at);
		size_t size = nl != NULL ? (size_t)(nl - text) - at : len - at;

		if (size > 0 && text[at + size - 1] == '\r')
			size--;
		if (size > 0) {
			n = annotation_line(text + at, size, line, out, err);
			if (n >= 0 && (size_t)n != size) {
				sq_buf_printf(err, "line %u: something follows the value", line);
				n = SQ_EINVAL;
			}
			if (n < 0) {
				sq_declarations_free(out);
				return (int)n;
			}
		}
		at = nl != NULL ? (size_t)(nl - text) + 1 : len;
	}
	return 0;
}
