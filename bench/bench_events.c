/* What an event costs to read: the JSON alone, all of it as tokens, and as a CloudEvent into the user
 * properties of a message.  CPU time of one thread, the best of five. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/cloudevents/cloudevents.h"

enum { ROUNDS = 200000, BEST_OF = 5, ROOM = 64 };

/* The event of the design: its numbers are more than a double has. */
static const char event[] =
    "{\"specversion\":\"1.0\",\"type\":\"com.example.order.created\",\"source\":\"/shop/orders\","
    "\"id\":\"A234-1234-1234\",\"time\":\"2018-04-05T17:31:00Z\",\"subject\":\"orders/17\","
    "\"comexampleextension1\":\"value\",\"datacontenttype\":\"application/json\",\"data\":"
    "{\"id\":9007199254740993, \"price\":19.90, \"big\":123456789012345678901234567890,"
    "\"items\":[{\"sku\":\"A-1\",\"n\":1},{\"sku\":\"B-2\",\"n\":2}],\"note\":\"caf\xc3\xa9 "
    "\\\"x\\\"\"}}";
static const struct sq_bytes text = {(const unsigned char *)event, sizeof event - 1};

static void
read_tokens(void)
{
	struct sq_json_token at[ROOM];
	struct sq_json_tokens t = {.at = at, .room = ROOM, .depth = SQ_JSON_DEPTH_MAX};
	struct sq_json_error err;

	if (sq_json_read(&t, text, &err) != 0)
		abort();
}

static void
read_event(void)
{
	static struct sq_ce ce;
	static struct sq_buf props;
	struct sq_ce_error err;

	if (sq_ce_structured(&ce, text, &err) != 0)
		abort();
	sq_buf_drain(&props, sq_buf_len(&props));
	sq_ce_props(&ce, &props);
}

static void
write_event(void)
{
	static struct sq_ce ce;
	static struct sq_buf json;
	struct sq_ce_error err;

	if (ce.id.len == 0 && sq_ce_structured(&ce, text, &err) != 0)
		abort();
	sq_buf_drain(&json, sq_buf_len(&json));
	sq_ce_json(&ce, &json);
}

static double
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
measure(const char *name, void (*step)(void))
{
	double best = 1e18;

	for (int i = 0; i < BEST_OF; i++) {
		double start = cpu_ns(), each;

		for (int k = 0; k < ROUNDS; k++)
			step();
		each = (cpu_ns() - start) / ROUNDS;
		best = each < best ? each : best;
	}
	printf("%-28s %6.0f ns\n", name, best);
}

int
main(void)
{
	printf("an event of %zu bytes\n", text.len);
	measure("JSON into tokens", read_tokens);
	measure("JSON into a message's parts", read_event);
	measure("a message's parts into JSON", write_event);
	return 0;
}
