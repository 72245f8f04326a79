/* See core/rfc3339.h. */
#include "core/rfc3339.h"

#include <stdbool.h>
#include <time.h>

/* The next 'n' digits; -1: they are none. */
static int
rfc3339_digits(struct sq_reader *r, size_t n)
{
	const unsigned char *p = sq_read_bytes(r, n);
	int out = 0;

	for (size_t i = 0; p != NULL && i < n; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		out = out * 10 + (p[i] - '0');
	}
	return p != NULL ? out : -1;
}

/* Whether 'mark' is next, of either case, which is then behind. */
static bool
rfc3339_mark(struct sq_reader *r, char mark)
{
	unsigned char c = sq_read8(r);

	return c == (unsigned char)mark || (mark >= 'A' && c == (unsigned char)(mark | 0x20));
}

/* Days since 1970 of a day of the Gregorian calendar; false: there is none such. */
static bool
rfc3339_days(int year, int month, int day, int64_t *out)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	int64_t years = year - 1; /* full ones since the year 1 */

	if (year < 0 || month < 1 || month > 12 || day < 1 ||
	    day > before[month] - before[month - 1] + (leap && month == 2))
		return false;
	if (year == 0) /* a leap year, 366 days before the year 1 */
		years = 0, day -= 366;
	*out = years * 365 + years / 4 - years / 100 + years / 400 + before[month - 1] +
	    (leap && month > 2) + day - 1 - 719162;
	return true;
}

static bool
rfc3339_fraction(struct sq_reader *r, int64_t *ms)
{
	int64_t unit = 100;
	bool any = false;

	for (; sq_reader_left(r) > 0 && *r->p >= '0' && *r->p <= '9'; unit /= 10, any = true)
		*ms += unit * (sq_read8(r) - '0');
	return any;
}

/* The offset of the local time, in minutes. */
static bool
rfc3339_offset(struct sq_reader *r, int *minutes)
{
	unsigned char c = sq_read8(r);
	int hour, minute;

	*minutes = 0;
	if (c == 'Z' || c == 'z')
		return true;
	if (c != '+' && c != '-')
		return false;
	hour = rfc3339_digits(r, 2);
	if (!rfc3339_mark(r, ':'))
		return false;
	minute = rfc3339_digits(r, 2);
	*minutes = (hour * 60 + minute) * (c == '-' ? -1 : 1);
	return hour >= 0 && hour < 24 && minute >= 0 && minute < 60;
}

int
sq_rfc3339_read(struct sq_bytes text, int64_t *ms)
{
	struct sq_reader r = sq_reader(text.p, text.len);
	int year, month, day, hour, minute, second, ahead;
	int64_t days, fraction = 0;
	bool marks;

	year = rfc3339_digits(&r, 4);
	marks = rfc3339_mark(&r, '-');
	month = rfc3339_digits(&r, 2);
	marks &= rfc3339_mark(&r, '-');
	day = rfc3339_digits(&r, 2);
	marks &= rfc3339_mark(&r, 'T');
	hour = rfc3339_digits(&r, 2);
	marks &= rfc3339_mark(&r, ':');
	minute = rfc3339_digits(&r, 2);
	marks &= rfc3339_mark(&r, ':');
	second = rfc3339_digits(&r, 2);
	if (!marks || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
	    second > 60 || !rfc3339_days(year, month, day, &days))
		return SQ_EINVAL;
	if (sq_reader_left(&r) > 0 && *r.p == '.') {
		r.p++;
		if (!rfc3339_fraction(&r, &fraction))
			return SQ_EINVAL;
	}
	if (!rfc3339_offset(&r, &ahead) || r.bad || sq_reader_left(&r) > 0)
		return SQ_EINVAL;
	*ms = ((days * 24 + hour) * 60 + minute - ahead) * 60000 + second * 1000 + fraction;
	return 0;
}

/* The last 'n' digits of a number, and a mark behind them; returns what is behind. */
static char *
rfc3339_put(char *out, unsigned number, unsigned n, char mark)
{
	for (unsigned i = n; i-- > 0; number /= 10)
		out[i] = (char)('0' + number % 10);
	out[n] = mark;
	return out + n + 1;
}

void
sq_rfc3339_write(int64_t ms, char out[SQ_RFC3339_MAX])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm = {0};

	(void)gmtime_r(&seconds, &tm);
	/* By hand: each message that is pulled has one, and strftime() takes its time. */
	out = rfc3339_put(out, (unsigned)tm.tm_year + 1900, 4, '-');
	out = rfc3339_put(out, (unsigned)tm.tm_mon + 1, 2, '-');
	out = rfc3339_put(out, (unsigned)tm.tm_mday, 2, 'T');
	out = rfc3339_put(out, (unsigned)tm.tm_hour, 2, ':');
	out = rfc3339_put(out, (unsigned)tm.tm_min, 2, ':');
	out = rfc3339_put(out, (unsigned)tm.tm_sec, 2, '.');
	out = rfc3339_put(out, (unsigned)(ms % 1000), 3, 'Z');
	*out = '\0';
}
