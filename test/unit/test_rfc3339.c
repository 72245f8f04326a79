/* core/rfc3339: instants, and what is none. */
#include "core/rfc3339.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <time.h>

static const struct {
	const char *text;
	int64_t ms;
} good[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"1970-01-01t00:00:00z", 0},
    {"2018-04-05T17:31:00Z", 1522949460000},
    {"2018-04-05T17:31:00.25+02:00", 1522942260250},
    {"2018-04-05T17:31:00.1239999999-23:59", 1523035800123},
    {"1990-12-31T23:59:60Z", 662688000000},
    {"1937-01-01T12:00:27.87+00:20", -1041337172130},
    {"2000-02-29T00:00:00-00:00", 951782400000},
    {"1969-12-31T23:59:59.999Z", -1},
    {"0001-01-01T00:00:00Z", -62135596800000},
    {"0000-01-01T00:00:00Z", -62167219200000},
    {"0000-12-31T00:00:00Z", -62135683200000},
    {"9999-12-31T23:59:59Z", 253402300799000},
};

static const char *const bad[] = {"", "2018", "2018-04-05", "2018-04-05T17:31:00",
    "2018-04-05 17:31:00Z", "2018-04-05T17:31Z", "2018-4-05T17:31:00Z", "18-04-05T17:31:00Z",
    "2018-04-05T17:31:00.Z", "2018-04-05T17:31:00,5Z", "2018-04-05T17:31:00+0200",
    "2018-04-05T17:31:00+02", "2018-04-05T17:31:00+24:00", "2018-04-05T17:31:00+00:60",
    "2018-04-05T17:31:00Z ", " 2018-04-05T17:31:00Z", "2018-04-05T24:00:00Z",
    "2018-04-05T23:60:00Z", "2018-04-05T23:59:61Z", "2018-00-05T17:31:00Z", "2018-13-05T17:31:00Z",
    "2018-04-00T17:31:00Z", "2018-04-31T17:31:00Z", "2018-02-29T17:31:00Z", "1900-02-29T17:31:00Z",
    "2018-04-05T17:31:00ZZ", "-018-04-05T17:31:00Z", "2018-04-05T+7:31:00Z"};

Test(rfc3339, instants_are_read_in_milliseconds)
{
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		int64_t ms = 1;

		cr_expect(sq_rfc3339_read(sq_bytes_of(good[i].text), &ms) == 0, "%s", good[i].text);
		cr_expect(ms == good[i].ms, "%s: %lld", good[i].text, (long long)ms);
	}
}

Test(rfc3339, other_texts_are_refused)
{
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int64_t ms = 7;

		cr_expect(sq_rfc3339_read(sq_bytes_of(bad[i]), &ms) == SQ_EINVAL && ms == 7, "%s",
		    bad[i]);
	}
}

Test(rfc3339, days_are_those_of_the_c_library)
{
	for (int64_t day = -800000; day < 2900000; day += 37) {
		time_t t = (time_t)(day * 86400 + 12345);
		char text[80];
		struct tm tm;
		int64_t ms;

		gmtime_r(&t, &tm);
		if (tm.tm_year < -1900 || tm.tm_year > 8099)
			continue;
		snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		cr_assert(sq_rfc3339_read(sq_bytes_of(text), &ms) == 0, "%s", text);
		cr_assert(ms == (int64_t)t * 1000, "%s", text);
	}
}

Test(rfc3339, is_written_with_milliseconds)
{
	static const struct {
		int64_t ms;
		const char *text;
	} of[] = {
	    {0, "1970-01-01T00:00:00.000Z"},
	    {1522943460250, "2018-04-05T15:51:00.250Z"},
	    {951782399009, "2000-02-28T23:59:59.009Z"},
	    {253402300799999, "9999-12-31T23:59:59.999Z"},
	};

	for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
		char text[SQ_RFC3339_MAX];

		sq_rfc3339_write(of[i].ms, text);
		cr_expect_str_eq(text, of[i].text);
	}
}
