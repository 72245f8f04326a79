#include "cli/view/ask.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/term/interrupt.h"
#include "cli/view/safe.h"
#include "core/json_bounds.h"
#include "core/mem.h"

enum {
	ASK_TRIES = 6,
	ASK_DETAIL_MAX = 300, /* bytes of a problem's detail that are said */
	ASK_PROBLEM_MAX = 65536,
	ASK_DEPTH_MAX = 16,
	ASK_VALUES_MAX = 1000,
};

struct sq_ask {
	struct sq_once *once;
	char *via; /* NULL: nothing is in between */
	size_t max_body;
	bool parting; /* a signal ends nothing */
	struct sq_once_answer answer;
};

static bool
ask_interrupted(void *owner)
{
	const struct sq_ask *a = owner;

	return sq_interrupted() && !a->parting;
}

struct sq_ask *
sq_ask_new(const struct sq_once_cfg *cfg, const char *via, struct sq_buf *err)
{
	struct sq_ask *a = sq_xcalloc(1, sizeof *a);
	struct sq_once_cfg own = *cfg;
	struct sq_buf why = {0};

	own.interrupted = ask_interrupted;
	own.arg = a;
	a->via = via != NULL ? sq_xstrdup(via) : NULL;
	a->max_body = cfg->max_body;
	a->once = sq_once_new(&own, &why);
	if (a->once == NULL) {
		sq_buf_printf(err, "%s%s", via != NULL ? via : "", via != NULL ? ": " : "");
		sq_buf_append(err, sq_buf_data(&why), sq_buf_len(&why));
		sq_ask_free(&a);
	}
	sq_buf_fini(&why);
	return a;
}

void
sq_ask_free(struct sq_ask **ap)
{
	struct sq_ask *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	sq_once_free(&a->once);
	sq_buf_fini(&a->answer.body);
	free(a->via);
	free(a);
}

struct sq_once *
sq_ask_once(struct sq_ask *a)
{
	return a->once;
}

int
sq_ask_bearer(struct sq_ask *a, const char *name, const char *token, struct sq_buf *err)
{
	struct sq_buf value = {0};
	int rc;

	(void)sq_buf_reserve(&value, strlen(token) + 16);
	sq_buf_printf(&value, "Bearer %s%c", token, 0);
	rc = sq_once_header_always(a->once, name, (char *)sq_buf_data(&value));
	sq_buf_wipe(&value);
	if (rc != SQ_OK)
		sq_buf_printf(err, "the token has control characters");
	return rc;
}

void
sq_ask_yields(struct sq_ask *a, bool yields)
{
	a->parting = !yields;
}

/* ---- what is wrong ---- */

void
sq_ask_say_where(const struct sq_ask *a, const char *path, struct sq_buf *err)
{
	const char *base = sq_once_base(a->once);

	if (a->via != NULL)
		sq_buf_printf(err, "%s: ", a->via);
	sq_safe(err, base, strlen(base));
	sq_safe(err, path, strcspn(path, "?"));
	sq_buf_printf(err, ": ");
}

static void
ask_say_failed(const struct sq_ask *a, enum sq_once_end end, const char *path, struct sq_buf *err)
{
	const struct sq_once_answer *got = &a->answer;

	sq_ask_say_where(a, path, err);
	if (end == SQ_ONCE_TOO_LARGE)
		sq_buf_printf(err, "the answer is larger than %zu MiB", a->max_body >> 20);
	else if (end == SQ_ONCE_TIMEOUT)
		sq_buf_printf(err, "it did not answer within %llu s",
		    (unsigned long long)((got->took_us + 500000) / 1000000));
	else
		sq_safe(err, got->why, strlen(got->why));
}

enum sq_ask_said
sq_ask_say_status(const struct sq_ask *a, const char *path, struct sq_buf *err)
{
	const char *text = (const char *)sq_buf_data(&a->answer.body), *detail, *kind;
	size_t len = sq_buf_len(&a->answer.body);
	json_t *problem = NULL;
	bool status;

	sq_ask_say_where(a, path, err);
	sq_buf_printf(err, "status %u", a->answer.status);
	if (len > 0 && len <= ASK_PROBLEM_MAX &&
	    sq_json_bounded(text, len, ASK_DEPTH_MAX, ASK_VALUES_MAX))
		problem = json_loadb(text, len, 0, NULL);
	kind = json_string_value(json_object_get(problem, "kind"));
	status = a->via != NULL && kind != NULL && strcmp(kind, "Status") == 0;
	detail = json_string_value(json_object_get(problem, status ? "message" : "detail"));
	if (detail != NULL) {
		text = detail;
		len = strlen(detail);
	}
	if (len > 0) {
		sq_buf_printf(err, "%s", status ? ", the API server says: " : ", ");
		sq_safe(err, text, len < ASK_DETAIL_MAX ? len : ASK_DETAIL_MAX);
	}
	json_decref(problem);
	return status        ? SQ_ASK_SAID_STATUS
	    : detail != NULL ? SQ_ASK_SAID_PROBLEM
			     : SQ_ASK_SAID_NOTHING;
}

/* ---- requests ---- */

enum sq_once_end
sq_ask(struct sq_ask *a, const struct sq_once_request *r, const struct sq_once_answer **out,
    struct sq_buf *err)
{
	struct sq_once_request own = *r;
	enum sq_once_end end;

	own.tries = r->tries > 0 ? r->tries : ASK_TRIES;
	end = sq_once_do(a->once, &own, &a->answer);
	*out = &a->answer;
	if (end != SQ_ONCE_ANSWERED)
		ask_say_failed(a, end, r->path, err);
	return end;
}
