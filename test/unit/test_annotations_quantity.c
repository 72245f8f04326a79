/* Kubernetes quantities. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/mem.h"
#include "proto/annotations/quantity.h"

Test(annotations_quantity, what_kubernetes_takes)
{
	static const struct {
		const char *text;
		uint64_t milli;
	} rows[] = {
	    {"0", 0},
	    {"1", 1000},
	    {"+1", 1000},
	    {"5m", 5},
	    {"0.1", 100},
	    {".5", 500},
	    {"5.", 5000},
	    {"1.500", 1500},
	    {"0.0010", 1},
	    {"64Ki", 65536000},
	    {"8Mi", UINT64_C(8388608000)},
	    {"1.5Gi", UINT64_C(1610612736000)},
	    {"1k", 1000000},
	    {"1M", 1000000000},
	    {"1e3", 1000000},
	    {"1E3", 1000000},
	    {"12e-1", 1200},
	    {"1e+2", 100000},
	    {"1000000u", 1000},
	    {"1000000n", 1},
	    {"1P", UINT64_C(1000000000000000000)},
	    {"0Ei", 0},
	    {"0e999", 0},
	    {"00000000000000000000000001", 1000},
	    {"1.0000000000000000000000000000", 1000},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		const char *why = NULL;
		uint64_t milli = 7;

		cr_expect_eq(sq_quantity_parse(rows[i].text, strlen(rows[i].text), &milli, &why), 0,
		    "%s: %s", rows[i].text, why);
		cr_expect_eq(
		    milli, rows[i].milli, "%s: %llu", rows[i].text, (unsigned long long)milli);
	}
}

Test(annotations_quantity, what_is_refused)
{
	static const char form[] = "is no quantity such as 100m, 0.5, 64Mi or 1Gi";
	static const struct {
		const char *text, *why;
	} rows[] = {
	    {"", form},
	    {".", form},
	    {"m", form},
	    {"Mi", form},
	    {"1 Mi", form},
	    {"1mi", form},
	    {"1K", form},
	    {"1ki", form},
	    {"1g", form},
	    {"1MB", form},
	    {"1e", form},
	    {"1e+", form},
	    {"1e1.5", form},
	    {"1e9999", form},
	    {"1.2.3", form},
	    {"++1", form},
	    {"0x10", form},
	    {"1Mi ", form},
	    {"-1", "must not be negative"},
	    {"-0", "must not be negative"},
	    {"0.0001", "is finer than a thousandth"},
	    {"1u", "is finer than a thousandth"},
	    {"1e-4", "is finer than a thousandth"},
	    {"1Ei", "is too large"},
	    {"1e20", "is too large"},
	    {"99999999999999999999999", form},
	    {"1111111111111111111111111111111111111111111111111", form},
	};

	for (size_t i = 0; i < SQ_ARRAY_LEN(rows); i++) {
		const char *why = NULL;
		uint64_t milli;

		cr_expect_eq(sq_quantity_parse(rows[i].text, strlen(rows[i].text), &milli, &why),
		    SQ_EINVAL, "%s", rows[i].text);
		cr_expect_str_eq(why, rows[i].why, "%s: %s", rows[i].text, why);
	}
}
