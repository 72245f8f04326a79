/* Answers' headers; see net/h2/answer.h. */
#include "net/h2/answer.h"

#include <stdbool.h>
#include <string.h>

#include "core/bytes.h"

/* Decimal; saturates at 'max', 0 for anything that is no number. */
static uint64_t
answer_number(const uint8_t *p, size_t len, uint64_t max)
{
	uint64_t v = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
		if (v > (max - (p[i] - '0')) / 10)
			return max;
		v = v * 10 + (p[i] - '0');
	}
	return v;
}

static bool
answer_is(const uint8_t *p, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(p, text, len) == 0;
}

static void
answer_reason(struct sq_answer *a, const uint8_t *p, size_t len)
{
	enum sq_denied denied = sq_denied_find(p, len);

	if (a->full == SQ_FULL_NOT && answer_is(p, len, "full"))
		a->full = SQ_FULL_UNSAID;
	if (denied != SQ_DENIED_NONE)
		a->denied = denied;
}

static void
answer_full(struct sq_answer *a, const uint8_t *p, size_t len)
{
	enum sq_full full = sq_full_find(p, len);

	if (full != SQ_FULL_NOT)
		a->full = full;
}

/* An address; nothing that is longer or could be none. */
static void
answer_address(char out[SQ_WHERE_ADDRESS], const uint8_t *p, size_t len)
{
	if (len >= SQ_WHERE_ADDRESS)
		return;
	for (size_t i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return;
	memcpy(out, p, len);
	out[len] = '\0';
}

/* 1 to 16 hexadecimal digits. */
static bool
answer_hex(const uint8_t *p, size_t len, uint64_t *out)
{
	uint64_t v = 0;

	if (len == 0 || len > 16)
		return false;
	for (size_t i = 0; i < len; i++) {
		int digit = sq_hex_digit((char)p[i]);

		if (digit < 0)
			return false;
		v = v << 4 | (uint64_t)digit;
	}
	*out = v;
	return true;
}

static void
answer_told(
    struct sq_where *t, const uint8_t *name, size_t name_len, const uint8_t *value, size_t len)
{
	if (answer_is(name, name_len, "sqmqos-owner")) {
		answer_address(t->owner, value, len);
	} else if (answer_is(name, name_len, "sqmqos-standby")) {
		answer_address(t->standby, value, len);
	} else if (answer_is(name, name_len, "sqmqos-epoch")) {
		t->epoch = answer_number(value, len, UINT64_MAX);
		t->has_epoch = t->epoch != 0;
	} else if (answer_is(name, name_len, "sqmqos-store")) {
		t->has_store = answer_hex(value, len, &t->store);
	}
	t->shared = t->has_epoch && t->has_store;
}

void
sq_answer_header(
    struct sq_answer *a, const uint8_t *name, size_t name_len, const uint8_t *value, size_t len)
{
	if (answer_is(name, name_len, ":status"))
		a->status = (unsigned)answer_number(value, len, 999);
	else if (answer_is(name, name_len, "sqmqos-conflict"))
		a->conflict = sq_conflict_find(value, len);
	else if (answer_is(name, name_len, "sqmqos-last"))
		a->last = answer_number(value, len, UINT64_MAX);
	else if (answer_is(name, name_len, "sqmqos-reason"))
		answer_reason(a, value, len);
	else if (answer_is(name, name_len, "sqmqos-full"))
		answer_full(a, value, len);
	else if (answer_is(name, name_len, "sqmqos-link"))
		a->version = (unsigned)answer_number(value, len, UINT32_MAX);
	else if (answer_is(name, name_len, "retry-after"))
		a->retry_after_ms = 1000u * (unsigned)answer_number(value, len, 3600);
	else if (a->told != NULL)
		answer_told(a->told, name, name_len, value, len);
}
