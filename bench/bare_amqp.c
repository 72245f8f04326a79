/* The floor of bridges to RabbitMQ: librabbitmq alone, on one thread and one connection.
 *
 *   bench_bare_amqp declare PORT QUEUE quorum|classic    the queue, empty
 *   bench_bare_amqp publish PORT QUEUE N WINDOW BYTES plain|said
 *                                                        durable messages, each confirmed; 'said': with
 *                                                        the properties and headers of a bridge's
 *   bench_bare_amqp consume PORT QUEUE N PREFETCH        acknowledged, a fifth of the prefetch at a time
 *
 * Prints {"rate":…,"cpu":…}: messages a second, and µs of this process's CPU each. */
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "bench/procstat.h"
#include "core/clock.h"
#include "core/mem.h"

enum { CHANNEL = 1, FRAME_MAX = 131072, WAIT_S = 60, AT_ONCE = 64 };

struct run {
	double cpu_s;
	uint64_t begun_us;
};

static void
bare_die(const char *why)
{
	fprintf(stderr, "bench_bare_amqp: %s\n", why);
	exit(1);
}

static void
bare_must(amqp_connection_state_t c, const char *what)
{
	amqp_rpc_reply_t r = amqp_get_rpc_reply(c);

	if (r.reply_type != AMQP_RESPONSE_NORMAL)
		bare_die(what);
}

static amqp_connection_state_t
bare_open(int port)
{
	amqp_connection_state_t c = amqp_new_connection();
	amqp_socket_t *s = amqp_tcp_socket_new(c);

	if (s == NULL || amqp_socket_open(s, "127.0.0.1", port) != AMQP_STATUS_OK)
		bare_die("no connection");
	if (amqp_login(c, "/", 0, FRAME_MAX, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest")
		.reply_type != AMQP_RESPONSE_NORMAL)
		bare_die("no login");
	amqp_channel_open(c, CHANNEL);
	bare_must(c, "no channel");
	return c;
}

static void
bare_declare(amqp_connection_state_t c, const char *queue, const char *type)
{
	amqp_table_entry_t entry = {.key = amqp_cstring_bytes("x-queue-type"),
	    .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(type)}};
	amqp_table_t arguments = {.num_entries = 1, .entries = &entry};

	amqp_queue_delete(c, CHANNEL, amqp_cstring_bytes(queue), 0, 0);
	bare_must(c, "the queue can't be deleted");
	amqp_queue_declare(c, CHANNEL, amqp_cstring_bytes(queue), 0, 1, 0, 0, arguments);
	bare_must(c, "the queue can't be declared");
}

/* What has been confirmed: single confirms overtake others. */
struct confirms {
	unsigned char *done; /* by number */
	uint64_t low, n;     /* all below 'low' are; so many are in all */
};

static void
bare_confirm(struct confirms *f, uint64_t tag)
{
	f->n += f->done[tag] == 0;
	f->done[tag] = 1;
}

/* Takes a frame, waiting for it or not; false: there was none. */
static bool
bare_confirms(amqp_connection_state_t c, bool waits, struct confirms *f)
{
	struct timeval time = {waits ? WAIT_S : 0, 0};
	amqp_frame_t frame;
	int rc = amqp_simple_wait_frame_noblock(c, &frame, &time);
	const amqp_basic_ack_t *ack;

	if (rc == AMQP_STATUS_TIMEOUT && !waits)
		return false;
	if (rc != AMQP_STATUS_OK || frame.frame_type != AMQP_FRAME_METHOD ||
	    frame.payload.method.id != AMQP_BASIC_ACK_METHOD)
		bare_die("no confirm");
	ack = frame.payload.method.decoded;
	bare_confirm(f, ack->delivery_tag);
	for (; ack->multiple && f->low < ack->delivery_tag; f->low++)
		bare_confirm(f, f->low);
	return true;
}

#define TEXT(s) \
	{ \
		.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = { sizeof(s) - 1, s } \
	}

/* What a bridge says of each message. */
static amqp_table_entry_t headers[] = {
    {.key = {13, "sqmqos-origin"},
	.value = TEXT("0123456789abcdef-0123456789abcdef0123456789abcdef")},
    {.key = {11, "sqmqos-hops"}, .value = TEXT("host-0123456789abcdef/out-quorum")},
    {.key = {12, "sqmqos-topic"}, .value = TEXT("bench/out-quorum")},
};

static void
bare_publish(amqp_connection_state_t c, const char *queue, uint64_t n, uint64_t window, size_t len,
    bool said)
{
	struct confirms confirms = {.done = calloc(1, n + 1), .low = 1};
	char *body = calloc(1, len + 1), id[64];
	amqp_basic_properties_t p = {._flags = AMQP_BASIC_DELIVERY_MODE_FLAG,
	    .delivery_mode = AMQP_DELIVERY_PERSISTENT,
	    .timestamp = sq_clock_wall_ms() / 1000,
	    .headers = {SQ_ARRAY_LEN(headers), headers}};
	uint64_t sent = 0;

	if (body == NULL || confirms.done == NULL)
		bare_die("no memory");
	if (said)
		p._flags |= AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG |
		    AMQP_BASIC_HEADERS_FLAG;
	memset(body, 'x', len);
	amqp_confirm_select(c, CHANNEL);
	bare_must(c, "no confirms");
	while (confirms.n < n) {
		for (int i = 0; i < AT_ONCE && sent < n && sent - confirms.n < window; i++) {
			(void)snprintf(id, sizeof id, "0123456789abcdef-%032ju", (uintmax_t)++sent);
			p.message_id = amqp_cstring_bytes(id);
			if (amqp_basic_publish(c, CHANNEL, amqp_empty_bytes,
				amqp_cstring_bytes(queue), 1, 0, &p,
				(amqp_bytes_t){len, body}) != AMQP_STATUS_OK)
				bare_die("a publish failed");
		}
		while (bare_confirms(
		    c, confirms.n < n && (sent == n || sent - confirms.n >= window), &confirms))
			continue;
		amqp_maybe_release_buffers(c);
	}
	free(confirms.done);
	free(body);
}

static void
bare_consume(amqp_connection_state_t c, const char *queue, uint64_t n, uint16_t prefetch)
{
	uint64_t got = 0, each = prefetch / 5 > 0 ? prefetch / 5 : 1;

	amqp_basic_qos(c, CHANNEL, 0, prefetch, 0);
	bare_must(c, "no prefetch");
	amqp_basic_consume(
	    c, CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0, amqp_empty_table);
	bare_must(c, "nothing to consume");
	while (got < n) {
		struct timeval wait = {WAIT_S, 0};
		amqp_envelope_t e;

		if (amqp_consume_message(c, &e, &wait, 0).reply_type != AMQP_RESPONSE_NORMAL)
			bare_die("no delivery");
		if (++got % each == 0 || got == n)
			amqp_basic_ack(c, CHANNEL, e.delivery_tag, 1);
		amqp_destroy_envelope(&e);
		amqp_maybe_release_buffers(c);
	}
}

static void
bare_report(const struct run *r, uint64_t n)
{
	double took_s = (double)(sq_clock_us() - r->begun_us) / 1e6;

	printf("{\"rate\":%.0f,\"cpu\":%.1f}\n", (double)n / took_s,
	    (sq_procstat_own_s() - r->cpu_s) / (double)n * 1e6);
}

int
main(int argc, char **argv)
{
	const char *what = argc >= 5 ? argv[1] : "";
	amqp_connection_state_t c;
	struct run r;
	uint64_t n;

	if (argc < 5)
		bare_die("declare|publish|consume PORT QUEUE ...");
	c = bare_open(atoi(argv[2]));
	n = strtoull(argv[4], NULL, 10);
	r = (struct run){sq_procstat_own_s(), sq_clock_us()};
	if (strcmp(what, "declare") == 0)
		bare_declare(c, argv[3], argv[4]);
	else if (strcmp(what, "publish") == 0 && argc == 8)
		bare_publish(c, argv[3], n, strtoull(argv[5], NULL, 10),
		    strtoull(argv[6], NULL, 10), strcmp(argv[7], "said") == 0);
	else if (strcmp(what, "consume") == 0 && argc == 6)
		bare_consume(c, argv[3], n, (uint16_t)atoi(argv[5]));
	else
		bare_die("declare|publish|consume PORT QUEUE ...");
	if (strcmp(what, "declare") != 0)
		bare_report(&r, n);
	else
		puts("{}");
	amqp_connection_close(c, AMQP_REPLY_SUCCESS);
	amqp_destroy_connection(c);
	return 0;
}
