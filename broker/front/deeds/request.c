#include "broker/front/deeds/request.h"

#include <assert.h>
#include <string.h>

#include "broker/deed/answer.h"
#include "core/json_bounds.h"
#include "core/mem.h"
#include "core/utf8.h"

enum {
	SHOWN_MAX = 64, /* bytes of a text from outside in an error */
	DEPTH_MAX = 2,  /* of a body: the parser goes as deep on the stack of a small thread */
	VALUES_MAX = SQ_DEED_LETTERS_MAX + 32,
};

enum member {
	MEMBER_SESSION,
	MEMBER_FORCE,
	MEMBER_QUEUE,
	MEMBER_SPACE,
	MEMBER_BURY,
	MEMBER_LETTERS,
	MEMBER_MAX,
	MEMBER_AFTER,
	MEMBERS
};

#define BIT(member) (1u << MEMBER_##member)

static const char *const member_names[MEMBERS] = {
    [MEMBER_SESSION] = "session",
    [MEMBER_FORCE] = "force",
    [MEMBER_QUEUE] = "queue",
    [MEMBER_SPACE] = "space",
    [MEMBER_BURY] = "dead-letters",
    [MEMBER_LETTERS] = "letters",
    [MEMBER_MAX] = "max",
    [MEMBER_AFTER] = "after",
};

static const struct deed_path {
	const char *what;
	enum sq_deed_kind kind;
	unsigned takes, needs; /* members */
} deed_paths[] = {
    {"sessions/remove", SQ_DEED_REMOVE, BIT(SESSION) | BIT(FORCE), BIT(SESSION)},
    {"queues/purge", SQ_DEED_PURGE, BIT(QUEUE) | BIT(SPACE) | BIT(BURY) | BIT(MAX) | BIT(AFTER),
	BIT(QUEUE)},
    {"dead-letters/redrive", SQ_DEED_REDRIVE,
	BIT(QUEUE) | BIT(SPACE) | BIT(LETTERS) | BIT(MAX) | BIT(AFTER), 0},
};

/* ---- values ---- */

/* Each of these takes a member's value; false with what it should be in '*wants'. */

static bool
take_text(const json_t *v, const char **out, const char **wants)
{
	*wants = "a text";
	*out = json_string_value(v);
	return *out != NULL && (*out)[0] != '\0';
}

static bool
take_truth(const json_t *v, bool *out, const char **wants)
{
	*wants = "true or false";
	*out = json_is_true(v);
	return json_is_boolean(v);
}

static bool
take_number(const json_t *v, uint64_t *out, const char **wants)
{
	*wants = "a number above 0";
	*out = (uint64_t)json_integer_value(v);
	return json_is_integer(v) && json_integer_value(v) > 0;
}

static bool
take_letters(struct sq_deed_request *r, const json_t *v, struct sq_deed *d, const char **wants)
{
	const char *ignored;

	static_assert(SQ_DEED_LETTERS_MAX == 1000, "the text says so");
	*wants = "a list of 1 to 1000 numbers above 0";
	d->letters = r->letters;
	d->n_letters = json_array_size(v);
	for (size_t i = 0; i < d->n_letters && i < SQ_DEED_LETTERS_MAX; i++) {
		if (!take_number(json_array_get(v, i), &r->letters[i], &ignored))
			return false;
	}
	return d->n_letters >= 1 && d->n_letters <= SQ_DEED_LETTERS_MAX;
}

/* What an answer has called "next". */
static bool
take_after(const json_t *v, struct sq_deed_place *at, const char **wants)
{
	const char *text = json_string_value(v);

	*wants = "the \"next\" of an answer";
	return text != NULL && sq_deed_place_read(text, at);
}

static bool
request_take(struct sq_deed_request *r, enum member m, const json_t *v, struct sq_deed *d,
    const char **wants)
{
	switch (m) {
	case MEMBER_SESSION:
	case MEMBER_QUEUE:
		return take_text(v, &d->name, wants);
	case MEMBER_SPACE:
		return take_text(v, &d->space, wants);
	case MEMBER_FORCE:
		return take_truth(v, &d->force, wants);
	case MEMBER_BURY:
		return take_truth(v, &d->bury, wants);
	case MEMBER_LETTERS:
		return take_letters(r, v, d, wants);
	case MEMBER_MAX:
		return take_number(v, &d->most, wants);
	case MEMBER_AFTER:
		return take_after(v, &d->at, wants);
	case MEMBERS:
		break;
	}
	return false;
}

/* ---- requests ---- */

static enum member
member_find(const char *name, unsigned takes)
{
	for (unsigned m = 0; m < MEMBERS; m++) {
		if ((takes & (1u << m)) != 0 && strcmp(member_names[m], name) == 0)
			return (enum member)m;
	}
	return MEMBERS;
}

static bool
request_members(
    struct sq_deed_request *r, const struct deed_path *p, struct sq_deed *d, struct sq_buf *why)
{
	unsigned given = 0;
	const char *name, *wants;
	json_t *v;

	json_object_foreach(r->body, name, v)
	{
		enum member m = member_find(name, p->takes);

		if (m == MEMBERS) {
			sq_buf_printf(why, "\"%.*s\" is nothing for %s",
			    (int)sq_utf8_cut(name, strlen(name), SHOWN_MAX), name, p->what);
			return false;
		}
		if (!request_take(r, m, v, d, &wants)) {
			sq_buf_printf(why, "%s: %s is wanted", name, wants);
			return false;
		}
		given |= 1u << m;
	}
	for (unsigned m = 0; m < MEMBERS; m++) {
		if ((p->needs & ~given & (1u << m)) == 0)
			continue;
		sq_buf_printf(why, "%s is missing", member_names[m]);
		return false;
	}
	return true;
}

/* What no member alone shows to be wrong. */
static bool
request_fits(const struct sq_deed *d, struct sq_buf *why)
{
	if (d->kind == SQ_DEED_REDRIVE && d->name == NULL && d->space == NULL)
		sq_buf_printf(why, "queue or space is missing");
	else if (d->letters != NULL && d->name == NULL)
		sq_buf_printf(why, "letters are numbers in a queue, and queue is missing");
	else
		return true;
	return false;
}

static bool
request_parse(struct sq_deed_request *r, struct sq_bytes body, struct sq_buf *why)
{
	json_error_t err;

	if (!sq_json_bounded(body.p, body.len, DEPTH_MAX, VALUES_MAX)) {
		sq_buf_printf(why, "the body has more in it than any deed takes");
		return false;
	}
	r->body = json_loadb(
	    body.len > 0 ? (const char *)body.p : "", body.len, JSON_REJECT_DUPLICATES, &err);
	if (json_is_object(r->body))
		return true;
	if (r->body == NULL)
		sq_buf_printf(why, "the body is no JSON: line %d: %s", err.line, err.text);
	else
		sq_buf_printf(why, "the body is no object");
	return false;
}

unsigned
sq_deed_request_read(struct sq_deed_request *r, const char *path, struct sq_bytes body,
    struct sq_deed *d, struct sq_buf *why)
{
	const size_t len = sizeof SQ_DEEDS_PATH - 1;

	for (size_t i = 0; i < SQ_ARRAY_LEN(deed_paths); i++) {
		const struct deed_path *p = &deed_paths[i];

		if (strncmp(path, SQ_DEEDS_PATH, len) != 0 || strcmp(path + len, p->what) != 0)
			continue;
		r->what = p->what;
		d->kind = p->kind;
		d->most = UINT64_MAX;
		return request_parse(r, body, why) && request_members(r, p, d, why) &&
			request_fits(d, why)
		    ? 200
		    : 400;
	}
	sq_buf_printf(why, "there are sessions/remove, queues/purge and dead-letters/redrive");
	return 404;
}

void
sq_deed_request_fini(struct sq_deed_request *r)
{
	json_decref(r->body);
	r->body = NULL;
}
