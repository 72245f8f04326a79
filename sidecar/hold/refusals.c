#include "sidecar/hold/refusals.h"

#include <assert.h>
#include <stdio.h>

#include "core/log.h"
#include "sidecar/hold/table.h"

enum { QUIET_MS = 10000, BEFORE_MAX = 64 };

static_assert(
    SQ_M_REFUSED_BY_MEMORY - SQ_M_REFUSED_BY_PROPERTY == SQ_REFUSAL_MEMORY - SQ_REFUSAL_PROPERTY,
    "the rows of the metrics follow those of the refusals");

void
sq_refusals_count(struct sq_holds *h, enum sq_refusal refusal)
{
	if (refusal == SQ_REFUSAL_NONE || refusal >= SQ_REFUSAL_COUNT)
		refusal = SQ_REFUSAL_OTHER;
	sq_holds_count(h, SQ_M_REFUSED_BY_PROPERTY + (refusal - SQ_REFUSAL_PROPERTY), 1);
}

/* Whether there is to be a line; then 'before' says how many had none. */
static bool
refusals_say(const struct sq_holds *h, struct sq_refusals *of, char before[BEFORE_MAX])
{
	uint64_t now_ms = sq_holds_now(h);

	before[0] = '\0';
	if (now_ms < of->quiet_until_ms) {
		of->unsaid++;
		return false;
	}
	if (of->unsaid > 0)
		snprintf(
		    before, BEFORE_MAX, " (and %llu before it)", (unsigned long long)of->unsaid);
	of->unsaid = 0;
	of->quiet_until_ms = now_ms + QUIET_MS;
	return true;
}

void
sq_refusals_note(struct sq_holds *h, struct sq_refusals *of, const struct sq_refusal_seen *r)
{
	uint8_t refusal = r->refusal != 0 ? r->refusal : (uint8_t)sq_refusal_of_code(r->code);
	const char *name = sq_refusal_name(refusal);
	struct sq_bytes text = r->text;
	char before[BEFORE_MAX];

	sq_refusals_count(h, refusal);
	if (!refusals_say(h, of, before))
		return;
	if (text.len == 0)
		text = sq_bytes_of(name);
	SQ_WARN("client", "%s: %s refused with 0x%02x%s%s%s: %.*s", r->client, r->what, r->code,
	    before, r->then != NULL ? ", " : "", r->then != NULL ? r->then : "", (int)text.len,
	    (const char *)text.p);
}

void
sq_refusals_closed(struct sq_holds *h, const char *client, struct sq_bytes text)
{
	char before[BEFORE_MAX];

	if (refusals_say(h, &h->closed, before))
		SQ_WARN("client",
		    "%s: closed%s, its publish was refused for session.refused-max and nothing "
		    "else went on%s%.*s",
		    client, before, text.len > 0 ? ": " : "", (int)text.len, (const char *)text.p);
}
