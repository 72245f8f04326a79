#include "proto/annotations/quantity.h"

#include <stdbool.h>
#include <string.h>

/* The number, as digits without the point, times ten to the power of 'exponent'. */
struct number {
	uint64_t digits;
	int exponent;
};

/* Reads digits with at most one point; returns the bytes, or 0. */
static size_t
number_parse(const char *text, size_t len, struct number *n)
{
	bool point = false, any = false, full = false;
	size_t i;

	*n = (struct number){0};
	for (i = 0; i < len; i++) {
		if (text[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (text[i] < '0' || text[i] > '9')
			break;
		any = true;
		/* Zeros at the end of a fraction say nothing; behind 18 digits no value is
		 * left in bounds, or it is too fine. */
		full = full || n->digits >= UINT64_C(100000000000000000);
		if (full && text[i] == '0') {
			n->exponent += !point;
			continue;
		}
		if (full)
			return 0;
		n->digits = n->digits * 10 + (uint64_t)(text[i] - '0');
		n->exponent -= point;
	}
	return any ? i : 0;
}

/* The power of ten, or of two, that a suffix stands for.  True: it is one. */
static bool
suffix_parse(const char *text, size_t len, int *ten, int *two)
{
	static const char binary[] = "KMGTPE", decimal[] = "kMGTPE";
	const char *at;
	size_t i = 1;
	bool minus;
	int e = 0;

	if (len == 0)
		return true;
	if (len == 2 && text[1] == 'i' && (at = memchr(binary, text[0], 6)) != NULL) {
		*two = 10 * (int)(at - binary + 1);
		return true;
	}
	if (len == 1 && memchr("num", text[0], 3) != NULL) {
		*ten = text[0] == 'n' ? -9 : text[0] == 'u' ? -6 : -3;
		return true;
	}
	if (len == 1 && (at = memchr(decimal, text[0], 6)) != NULL) {
		*ten = 3 * (int)(at - decimal + 1);
		return true;
	}
	if (text[0] != 'e' && text[0] != 'E')
		return false;
	minus = len > 1 && text[1] == '-';
	i += minus || (len > 1 && text[1] == '+');
	if (i == len || len - i > 3)
		return false;
	for (; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		e = e * 10 + (text[i] - '0');
	}
	*ten = minus ? -e : e;
	return true;
}

/* Into thousandths. */
static int
number_scale(const struct number *n, int ten, int two, uint64_t *milli, const char **why)
{
	uint64_t v = n->digits;

	for (; two > 0 && v != 0; two--) {
		if (v > (uint64_t)INT64_MAX / 2) {
			*why = "is too large";
			return SQ_EINVAL;
		}
		v *= 2;
	}
	for (ten += n->exponent + 3; ten > 0 && v != 0; ten--) {
		if (v > (uint64_t)INT64_MAX / 10) {
			*why = "is too large";
			return SQ_EINVAL;
		}
		v *= 10;
	}
	for (; ten < 0 && v != 0; ten++) {
		if (v % 10 != 0) {
			*why = "is finer than a thousandth";
			return SQ_EINVAL;
		}
		v /= 10;
	}
	*milli = v;
	return 0;
}

int
sq_quantity_parse(const char *text, size_t len, uint64_t *milli, const char **why)
{
	static const char form[] = "is no quantity such as 100m, 0.5, 64Mi or 1Gi";
	struct number n;
	int ten = 0, two = 0;
	size_t used;

	*why = form;
	if (len == 0 || len > SQ_QUANTITY_MAX)
		return SQ_EINVAL;
	if (text[0] == '-') {
		*why = "must not be negative";
		return SQ_EINVAL;
	}
	if (text[0] == '+') {
		text++;
		len--;
	}
	used = number_parse(text, len, &n);
	if (used == 0 || !suffix_parse(text + used, len - used, &ten, &two))
		return SQ_EINVAL;
	return number_scale(&n, ten, two, milli, why);
}
