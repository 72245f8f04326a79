/* What a plain scalar of YAML means: the rules of go-yaml 2, which kubectl has. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "k8s/patch/yaml_json.h"

enum { NUMBER_MAX = 64 };

static bool
plain_one_of(const char *text, size_t len, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (strlen(*words) == len && memcmp(*words, text, len) == 0)
			return true;
	}
	return false;
}

static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const trues[] = {
    "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y", NULL};
static const char *const falses[] = {
    "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N", NULL};
static const char *const not_finite[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf",
    "-.Inf", "-.INF", ".nan", ".NaN", ".NAN", NULL};

/* Digits of 'base' from 's' to its end, at least one. */
static bool
digits_only(const char *s, int base)
{
	const char *all = "0123456789abcdef";
	char low;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		low = *s >= 'A' && *s <= 'F' ? (char)(*s + 32) : *s;
		if (memchr(all, low, (size_t)base) == NULL)
			return false;
	}
	return true;
}

static bool
plain_integer(const char *s, json_int_t *out)
{
	const char *digits = *s == '-' || *s == '+' ? s + 1 : s;
	int base = 10;
	char *end;
	unsigned long long v;

	if (digits[0] == '0' && digits[1] != '\0') {
		base = digits[1] == 'x' || digits[1] == 'X' ? 16
		    : digits[1] == 'b' || digits[1] == 'B'  ? 2
							    : 8;
		digits += base != 8 || digits[1] == 'o' || digits[1] == 'O' ? 2 : 1;
	}
	if (!digits_only(digits, base))
		return false;
	errno = 0;
	v = strtoull(digits, &end, base);
	if (errno != 0 || v > (unsigned long long)INT64_MAX)
		return false;
	*out = *s == '-' ? -(json_int_t)v : (json_int_t)v;
	return true;
}

/* [-+]? ( . digits | digits [ . digits? ] ) [ e [-+]? digits ] */
static bool
plain_is_real(const char *s)
{
	size_t whole, part = 0;

	if (*s == '-' || *s == '+')
		s++;
	whole = strspn(s, "0123456789");
	s += whole;
	if (*s == '.') {
		part = strspn(s + 1, "0123456789");
		s += part + 1;
	}
	if (whole + part == 0)
		return false;
	if (*s == 'e' || *s == 'E') {
		s++;
		if (*s == '-' || *s == '+')
			s++;
		if (*s < '0' || *s > '9')
			return false;
		s += strspn(s, "0123456789");
	}
	return *s == '\0';
}

/* Without the underscores that YAML 1.1 allows between digits. */
static bool
plain_number_text(const char *text, size_t len, char out[NUMBER_MAX])
{
	size_t n = 0;

	if (len == 0 || len >= NUMBER_MAX || strchr("+-.0123456789", text[0]) == NULL)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\0')
			return false;
		if (text[i] != '_')
			out[n++] = text[i];
	}
	out[n] = '\0';
	return n > 0;
}

json_t *
sq_yaml_plain(const char *text, size_t len)
{
	char number[NUMBER_MAX];
	json_int_t integer;
	double real;

	if (plain_one_of(text, len, nulls))
		return json_null();
	if (plain_one_of(text, len, trues))
		return json_true();
	if (plain_one_of(text, len, falses))
		return json_false();
	if (plain_one_of(text, len, not_finite))
		return NULL;
	if (plain_number_text(text, len, number)) {
		if (plain_integer(number, &integer))
			return json_integer(integer);
		if (plain_is_real(number)) {
			real = strtod(number, NULL);
			return isfinite(real) ? json_real(real) : NULL;
		}
	}
	return json_stringn(text, len);
}
