/* What holds for bridges of any kind.  Each fault begins with its key. */
#include <stdlib.h>
#include <string.h>

#include "broker/bridge/cfg_priv.h"
#include "core/utf8.h"
#include "proto/declaration/declaration.h"
#include "proto/link/key.h"
#include "proto/mapping/mapping.h"
#include "proto/topic/topic.h"

#define FROM_A_TO_Z "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static int
check_text(const char *key, const char *text, struct sq_buf *err)
{
	if (!sq_utf8_valid(text, strlen(text))) {
		sq_buf_printf(err, "%s: is no UTF-8", key);
		return SQ_EINVAL;
	}
	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f) {
			sq_buf_printf(err, "%s: has a control character", key);
			return SQ_EINVAL;
		}
	}
	return SQ_OK;
}

/* --- rules --- */

static int
check_template(const char *list, size_t i, const char *key, const char *tmpl,
    enum sq_mapping_place place, enum sq_mapping_of of, struct sq_buf *err)
{
	struct sq_buf why = {0};
	int rc = sq_config_is_set(tmpl) ? sq_mapping_check(tmpl, place, of, &why) : SQ_OK;

	if (rc != SQ_OK)
		sq_buf_printf(err, "%s[%zu].%s: %.*s", list, i, key, (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc;
}

/* Whether whatever matches 'later' matches 'first'. */
static bool
out_covers(const struct sq_bridge_out *first, const struct sq_bridge_out *later)
{
	const char *wide = first->filter != NULL ? first->filter : "#",
		   *narrow = later->filter != NULL ? later->filter : "#";

	return (first->tag == NULL ||
		   (later->tag != NULL && strcmp(first->tag, later->tag) == 0)) &&
	    sq_topic_covers(sq_bytes_of(wide), sq_bytes_of(narrow));
}

/* Checks the rule as a binding of the queue, which has those before it. */
static int
check_out_binding(
    const struct sq_bridge_cfg *c, size_t i, struct sq_declaration *queue, struct sq_buf *err)
{
	const struct sq_bridge_out *r = sq_bridge_cfg_out(c, i);
	const struct sq_declared_binding b = {
	    .filter = r->filter, .tag = r->tag, .qos = (uint8_t)r->qos};
	struct sq_buf why = {0};
	int rc = sq_declaration_bind(queue, &b, &why);

	if (rc != SQ_OK)
		sq_buf_printf(err, "out[%zu].%.*s", i, (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc;
}

static int
check_out_reached(const struct sq_bridge_cfg *c, size_t i, struct sq_buf *err)
{
	for (size_t k = 0; k < i; k++) {
		if (!out_covers(sq_bridge_cfg_out(c, k), sq_bridge_cfg_out(c, i)))
			continue;
		sq_buf_printf(err, "out[%zu]: is never reached: out[%zu] (%s) takes all of it", i,
		    k, sq_bridge_cfg_out(c, k)->record.where);
		return SQ_EINVAL;
	}
	return SQ_OK;
}

static int
check_out(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	struct sq_declaration queue;
	int rc = SQ_OK;

	sq_declaration_init(&queue);
	for (size_t i = 0; i < c->out.n && rc == SQ_OK; i++) {
		const struct sq_bridge_out *r = sq_bridge_cfg_out(c, i);

		rc = check_out_binding(c, i, &queue, err);
		if (rc == SQ_OK)
			rc = check_out_reached(c, i, err);
		if (rc == SQ_OK)
			rc = check_template("out", i, "to.exchange", r->exchange, SQ_MAPPING_TEXT,
			    SQ_MAPPING_OF_QUEUE, err);
		if (rc == SQ_OK)
			rc = check_template(
			    "out", i, "to.key", r->key, SQ_MAPPING_TEXT, SQ_MAPPING_OF_QUEUE, err);
		if (rc == SQ_OK)
			rc = check_template("out", i, "to.group", r->group, SQ_MAPPING_TEXT,
			    SQ_MAPPING_OF_QUEUE, err);
	}
	sq_declaration_fini(&queue);
	return rc;
}

static bool
text_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Two rules of one queue of the peer would share its messages, and no one could say how. */
static int
check_in_queue(const struct sq_bridge_cfg *c, size_t i, struct sq_buf *err)
{
	const struct sq_bridge_in *r = sq_bridge_cfg_in(c, i);

	if (!sq_config_is_set(r->queue) || !sq_config_is_set(r->to)) {
		sq_buf_printf(err, "in[%zu].%s: is empty", i, r->queue == NULL ? "queue" : "to");
		return SQ_EINVAL;
	}
	for (size_t k = 0; k < i; k++) {
		const struct sq_bridge_in *other = sq_bridge_cfg_in(c, k);

		if (!text_same(other->queue, r->queue) || !text_same(other->account, r->account))
			continue;
		sq_buf_printf(
		    err, "in[%zu].queue: is that of in[%zu] (%s)", i, k, other->record.where);
		return SQ_EINVAL;
	}
	return SQ_OK;
}

static int
check_in(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	int rc = SQ_OK;

	for (size_t i = 0; i < c->in.n && rc == SQ_OK; i++) {
		const struct sq_bridge_in *r = sq_bridge_cfg_in(c, i);
		const char *why = NULL;

		rc = check_in_queue(c, i, err);
		if (rc == SQ_OK)
			rc = check_template(
			    "in", i, "to", r->to, SQ_MAPPING_TOPIC, SQ_MAPPING_OF_PEER, err);
		if (rc != SQ_OK || r->tag == NULL)
			continue;
		if (!sq_utf8_valid(r->tag, strlen(r->tag)))
			why = "is no UTF-8";
		else if (sq_topic_tag_check(sq_bytes_of(r->tag), &why) == SQ_OK)
			why = NULL;
		if (why != NULL) {
			sq_buf_printf(err, "in[%zu].tag: %s", i, why);
			rc = SQ_EINVAL;
		}
	}
	return rc;
}

/* --- loops --- */

/* Whether a message that came in by 'in' and goes out by 'out' is in the same queue again.  Names of
 * templates are not looked through: no is no promise, and hops guard the rest (carry.h). */
static bool
loop_same(
    enum sq_bridge_kind_index kind, const struct sq_bridge_in *in, const struct sq_bridge_out *out)
{
	const char *type = out->type != NULL ? out->type : "topic";

	if (kind == SQ_BRIDGE_KIND_SQS)
		return out->queue != NULL && strcmp(in->queue, out->queue) == 0 &&
		    text_same(in->account, out->account);
	if (out->exchange == NULL)
		return out->key != NULL && strcmp(out->key, in->queue) == 0;
	if (in->exchange == NULL || strcmp(in->exchange, out->exchange) != 0)
		return false;
	return strcmp(type, "fanout") == 0 ||
	    (strcmp(type, "topic") == 0 && strcmp(in->bind, "#") == 0) ||
	    (strcmp(type, "headers") != 0 && strcmp(in->bind, out->key) == 0);
}

/* Whether what comes in by 'in' goes out by 'out', if no rule before it takes that. */
static bool
loop_takes(
    const struct sq_bridge_in *in, const struct sq_bridge_out *out, const struct sq_buf *topics)
{
	return (out->tag == NULL || text_same(in->tag, out->tag)) &&
	    (out->filter == NULL ||
		sq_topic_covers(sq_bytes_of(out->filter), sq_buf_bytes(topics)));
}

static bool
loop_may_take(
    const struct sq_bridge_cfg *c, const struct sq_bridge_in *in, const struct sq_bridge_out *out)
{
	return (out->tag == NULL || in->tag == NULL || strcmp(in->tag, out->tag) == 0) &&
	    sq_mapping_may_match(
		in->to, c->space, in->queue, out->filter != NULL ? out->filter : "#");
}

static int
check_loop(const struct sq_bridge_cfg *c, size_t i, struct sq_buf *err)
{
	const struct sq_bridge_in *in = sq_bridge_cfg_in(c, i);
	struct sq_buf topics = {0};
	int rc = SQ_OK;

	sq_mapping_filter(in->to, &topics);
	for (size_t k = 0; k < c->out.n; k++) {
		const struct sq_bridge_out *out = sq_bridge_cfg_out(c, k);

		if (loop_takes(in, out, &topics)) {
			if (!loop_same(c->kind, in, out))
				break;
			sq_buf_printf(err,
			    "in[%zu].to: all that comes in would go back to where it came from, by "
			    "out[%zu] (%s)",
			    i, k, out->record.where);
			rc = SQ_EINVAL;
			break;
		}
		if (loop_may_take(c, in, out))
			break;
	}
	sq_buf_fini(&topics);
	return rc;
}

/* --- the bridge --- */

/* Two keys of which one is nothing without the other. */
static int
check_pair(const char *one, const char *a, const char *other, const char *b, struct sq_buf *err)
{
	if ((a != NULL) == (b != NULL))
		return SQ_OK;
	sq_buf_printf(
	    err, "%s: is nothing without %s", a != NULL ? one : other, a != NULL ? other : one);
	return SQ_EINVAL;
}

static int
check_names(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	const char *name = c->record.name;
	size_t len = strlen(name);

	if (len == 0 || len > SQ_BRIDGE_NAME_MAX ||
	    name[strspn(name, FROM_A_TO_Z "0123456789_-")] != '\0') {
		sq_buf_printf(err, "name: is not 1 to %d of A-Z a-z 0-9 _ -", SQ_BRIDGE_NAME_MAX);
		return SQ_EINVAL;
	}
	if (!sq_config_is_set(c->space) || strlen(c->space) > SQ_KEY_PART_MAX) {
		sq_buf_printf(err, "space: is no name of a space");
		return SQ_EINVAL;
	}
	if (check_text("space", c->space, err) != SQ_OK)
		return SQ_EINVAL;
	if (c->out.n + c->in.n == 0) {
		sq_buf_printf(err, "out: there is neither \"out\" nor \"in\"");
		return SQ_EINVAL;
	}
	return SQ_OK;
}

static int
check_urls(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	if (c->urls.n > SQ_BRIDGE_URLS_MAX) {
		sq_buf_printf(err, "url: has more than %d", SQ_BRIDGE_URLS_MAX);
		return SQ_EINVAL;
	}
	for (size_t i = 0; i < c->urls.n; i++) {
		for (size_t k = 0; k < i; k++) {
			if (strcmp(c->urls.v[i], c->urls.v[k]) == 0) {
				sq_buf_printf(err, "url: has one twice");
				return SQ_EINVAL;
			}
		}
	}
	return SQ_OK;
}

static int
check_pairs(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	int rc = check_pair("tls.cert-file", c->cert_file, "tls.key-file", c->key_file, err);

	if (rc == SQ_OK)
		rc = check_pair("credentials.user-file", c->user_file, "credentials.password-file",
		    c->password_file, err);
	if (rc == SQ_OK)
		rc = check_pair("credentials.access-key-file", c->access_key_file,
		    "credentials.secret-key-file", c->secret_key_file, err);
	if (rc == SQ_OK && c->session_token_file != NULL)
		rc = check_pair("credentials.session-token-file", c->session_token_file,
		    "credentials.access-key-file", c->access_key_file, err);
	return rc;
}

int
sq_bridge_cfg_check(const struct sq_bridge_cfg *c, struct sq_buf *err)
{
	int rc = check_names(c, err);

	if (rc == SQ_OK)
		rc = check_urls(c, err);
	if (rc == SQ_OK)
		rc = check_pairs(c, err);
	if (rc == SQ_OK)
		rc = check_out(c, err);
	if (rc == SQ_OK)
		rc = check_in(c, err);
	for (size_t i = 0; i < c->in.n && rc == SQ_OK; i++)
		rc = check_loop(c, i, err);
	return rc;
}
