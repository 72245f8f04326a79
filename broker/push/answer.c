/* See broker/push/answer.h. */
#include "broker/push/answer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* What answers mean where 'on' does not say else; the first row that has the status counts. */
static const struct row {
	uint16_t from, to;
	enum sq_push_verdict verdict;
	bool healthy;
	enum sq_taker_never why; /* where it is NEVER, or 'on' says so */
	bool busy; /* says nothing about a message: kept from what 'on' says of a hundred */
} table[] = {
    {200, 299, SQ_PUSH_OK, true, SQ_NEVER_REFUSED, false},
    {300, 399, SQ_PUSH_FAILED, true, SQ_NEVER_REFUSED, false}, /* never followed */
    {408, 409, SQ_PUSH_FAILED, true, SQ_NEVER_REFUSED, false},
    {410, 410, SQ_PUSH_PAUSE, true, SQ_NEVER_REFUSED, false},
    {413, 413, SQ_PUSH_NEVER, true, SQ_NEVER_TOO_LARGE, false},
    {425, 425, SQ_PUSH_FAILED, true, SQ_NEVER_REFUSED, false},
    {429, 429, SQ_PUSH_LATER, true, SQ_NEVER_REFUSED, true},
    {400, 499, SQ_PUSH_NEVER, true, SQ_NEVER_REFUSED, false},
    {503, 503, SQ_PUSH_LATER, false, SQ_NEVER_REFUSED, true},
    {0, UINT16_MAX, SQ_PUSH_FAILED, false, SQ_NEVER_REFUSED, false},
};

static const struct row *
row_of(unsigned status)
{
	const struct row *r = table;

	while (status < r->from || status > r->to)
		r++;
	return r;
}

/* Whether the list has the status; 'all': its hundred in place of itself. */
static bool
on_has(const struct sq_push_statuses *list, unsigned status, bool all)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i].all == all &&
		    list->v[i].status == (all ? status / 100 * 100 : status))
			return true;
	return false;
}

/* What 'on' says of a status, or its hundred.  False: nothing. */
static bool
on_says(const struct sq_declared_push *push, unsigned status, bool all, struct row *out)
{
	const struct {
		const struct sq_push_statuses *list;
		enum sq_push_verdict verdict;
	} lists[] = {{&push->on.pause, SQ_PUSH_PAUSE}, {&push->on.retry, SQ_PUSH_FAILED},
	    {&push->on.dead_letter, SQ_PUSH_NEVER}};

	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
		if (on_has(lists[i].list, status, all)) {
			out->verdict = lists[i].verdict;
			return true;
		}
	return false;
}

static bool
judge_is_batch(const struct sq_declared_push *push)
{
	return push->batch.max > 1;
}

static void
judge_detail(struct sq_push_judged *j, unsigned status, const char *more)
{
	(void)snprintf(j->detail, sizeof j->detail, "status %u%s%s", status,
	    more != NULL ? ", " : "", more != NULL ? more : "");
}

/* Whether a body may name failures of a batch: a JSON object. */
static bool
judge_may_name_failures(const struct sq_buf *body)
{
	const unsigned char *p = sq_buf_data(body);

	for (size_t i = 0; i < sq_buf_len(body); i++)
		if (memchr(" \t\r\n", p[i], 4) == NULL)
			return p[i] == '{';
	return false;
}

/* A 2xx: all were taken, but for what the body says. */
static void
judge_taken(
    const struct sq_declared_push *push, const struct sq_out_request *r, struct sq_push_judged *out)
{
	bool cut = r->end == SQ_OUT_TOO_LARGE;

	if (judge_is_batch(push) && cut) {
		out->verdict = SQ_PUSH_FAILED;
		judge_detail(out, r->status, "its body is too long to say which have failed");
	} else if (judge_is_batch(push) && judge_may_name_failures(&r->answer)) {
		out->verdict = SQ_PUSH_PARTLY;
	}
}

/* By its status, as 'on' or the table says. */
static struct sq_push_judged
judge_status(const struct sq_declared_push *push, const struct sq_out_request *r, int64_t now_s)
{
	struct row row = *row_of(r->status);
	struct sq_push_judged j = {.healthy = row.healthy};

	if (row.verdict != SQ_PUSH_OK && !on_says(push, r->status, false, &row) && !row.busy)
		(void)on_says(push, r->status, true, &row);
	if (row.why == SQ_NEVER_TOO_LARGE && judge_is_batch(push))
		row.verdict = SQ_PUSH_FAILED; /* of them together, not of one */
	j.verdict = row.verdict;
	j.why = row.why;
	judge_detail(
	    &j, r->status, r->status >= 300 && r->status < 400 ? "which is not followed" : NULL);
	if (row.busy &&
	    sq_push_retry_after(sq_out_answer_header(r, "retry-after"), now_s, &j.after_ms) !=
		SQ_OK)
		j.after_ms = 0;
	if (row.verdict == SQ_PUSH_OK)
		judge_taken(push, r, &j);
	return j;
}

static bool
judge_has_url(const struct sq_out_request *r)
{
	struct sq_buf why = {0};
	int rc = sq_out_url_check(r->url, NULL, NULL, 0, NULL, &why);

	sq_buf_fini(&why);
	return rc == SQ_OK;
}

struct sq_push_judged
sq_push_judge(const struct sq_declared_push *push, const struct sq_out_request *r, int64_t now_s)
{
	struct sq_push_judged j = {.verdict = SQ_PUSH_FAILED};

	switch (r->end) {
	case SQ_OUT_ANSWERED:
		return judge_status(push, r, now_s);
	case SQ_OUT_TOO_LARGE:
		if (r->status != 0)
			return judge_status(push, r, now_s);
		break;
	case SQ_OUT_FORBIDDEN:
		j.unseen = true;
		(void)snprintf(j.detail, sizeof j.detail, "address not allowed by push.allow");
		return j;
	case SQ_OUT_INVALID: /* no URL of this message, or else a file that may come */
		j.unseen = true;
		if (!judge_has_url(r)) {
			j.verdict = SQ_PUSH_NEVER;
			j.why = SQ_NEVER_UNMAPPABLE;
		}
		break;
	case SQ_OUT_CROWDED: /* it was not asked */
	case SQ_OUT_CANCELLED:
		j.verdict = SQ_PUSH_LATER;
		j.unseen = true;
		break;
	default:
		break;
	}
	(void)snprintf(j.detail, sizeof j.detail, "%s%s%.140s", sq_out_end_name(r->end),
	    r->why[0] != '\0' ? ": " : "", r->why);
	return j;
}

/* ---- Retry-After */

static int
after_seconds(struct sq_bytes text, uint64_t *ms)
{
	uint64_t s = 0;

	if (text.len > 18)
		return SQ_EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return SQ_EINVAL;
		s = s * 10 + (text.p[i] - '0');
	}
	*ms = s <= UINT32_MAX ? s * 1000 : (uint64_t)UINT32_MAX * 1000;
	return SQ_OK;
}

int
sq_push_retry_after(struct sq_bytes text, int64_t now_s, uint64_t *ms)
{
	/* RFC 9110 §5.6.7: the form of today, and two that are obsolete. */
	static const char *const forms[] = {
	    "%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"};
	char date[40];

	if (text.len == 0 || text.len >= sizeof date)
		return SQ_EINVAL;
	if (after_seconds(text, ms) == SQ_OK)
		return SQ_OK;
	memcpy(date, text.p, text.len);
	date[text.len] = '\0';
	for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
		struct tm tm = {0};
		const char *end = strptime(date, forms[i], &tm);
		int64_t at;

		if (end == NULL || *end != '\0' || strlen(date) != text.len)
			continue;
		at = (int64_t)timegm(&tm);
		if (at - now_s > UINT32_MAX)
			at = now_s + UINT32_MAX;
		*ms = at > now_s ? (uint64_t)(at - now_s) * 1000 : 0;
		return SQ_OK;
	}
	return SQ_EINVAL;
}
