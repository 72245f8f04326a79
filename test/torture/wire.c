/* MQTT 3.1.1 and 5 packets of the torture app.  Written from the standard, not
 * from our codec, so that both do not share one mistake. */
#include "app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SESSION_EXPIRY_S = 3600,
	HEADER_MAX = 5,
	WILL_QOS_2 = 0x14,
	PROPERTY = 5,
	PROP_SESSION_EXPIRY = 0x11,
	PROP_RECEIVE_MAX = 0x21,
	PROP_USER = 0x26,
};

static const char wire_dead[] = "$dead/";

uint64_t
app_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t
wire_mix(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

size_t
app_payload(
    unsigned publisher, unsigned stream, uint32_t number, unsigned max_size, unsigned char *out)
{
	uint64_t x = wire_mix(((uint64_t)publisher << 40 | (uint64_t)stream << 32 | number) + 1);
	size_t size = 32 + x % 200;
	int head;

	if (x >> 40 & 15)
		size = size > max_size ? max_size : size;
	else
		size = 32 + (x >> 8) % (max_size > 32 ? max_size - 32 : 1);
	head = snprintf((char *)out, 64, "%u %u %u %zu ", publisher, stream, number, size);
	if (size < (size_t)head)
		size = (size_t)head;
	for (size_t i = (size_t)head; i < size; i++) {
		if (i % 8 == 0)
			x = wire_mix(x + i);
		out[i] = (unsigned char)(x >> i % 8 * 8);
	}
	return size;
}

/* --- encoding: a body is built behind room for its header --- */

struct wire_body {
	unsigned char *p;
	size_t n;
};

static unsigned char wire_scratch[APP_PAYLOAD_MAX + 1024];

static struct wire_body
wire_begin(void)
{
	return (struct wire_body){wire_scratch, 0};
}

static void
wire_u8(struct wire_body *b, unsigned v)
{
	b->p[b->n++] = (unsigned char)v;
}

static void
wire_u16(struct wire_body *b, unsigned v)
{
	wire_u8(b, v >> 8);
	wire_u8(b, v & 0xff);
}

static void
wire_u32(struct wire_body *b, uint32_t v)
{
	wire_u16(b, v >> 16);
	wire_u16(b, v & 0xffff);
}

static void
wire_bytes(struct wire_body *b, const void *p, size_t n)
{
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static void
wire_text(struct wire_body *b, const char *s)
{
	wire_u16(b, (unsigned)strlen(s));
	wire_bytes(b, s, strlen(s));
}

static void
wire_send(struct app *a, int type, int flags, const struct wire_body *b)
{
	unsigned char *out = a->out + a->out_n;
	size_t left = b->n, i = 1;

	if (a->out_n + b->n + HEADER_MAX > APP_BUFFER_MAX)
		abort(); /* the windows bound what may be unsent */
	out[0] = (unsigned char)(type << 4 | flags);
	do {
		out[i] = left & 0x7f;
		left >>= 7;
		if (left > 0)
			out[i] |= 0x80;
		i++;
	} while (left > 0);
	memcpy(out + i, b->p, b->n);
	a->out_n += i + b->n;
}

static void
wire_will(const struct app *a, struct wire_body *b)
{
	static unsigned char payload[APP_PAYLOAD_MAX];
	char topic[64];
	size_t n = app_payload(a->o.number, 2, 1, a->o.max_size, payload);

	if (a->o.version == 5)
		wire_u8(b, 0);
	snprintf(topic, sizeof topic, "%s/%u/2", a->o.root, a->o.number);
	wire_text(b, topic);
	wire_u16(b, (unsigned)n);
	wire_bytes(b, payload, n);
}

void
app_send_connect(struct app *a, bool clean)
{
	struct wire_body b = wire_begin();

	wire_text(&b, "MQTT");
	wire_u8(&b, (unsigned)a->o.version);
	wire_u8(&b, (clean ? 2u : 0) | (a->o.willed ? WILL_QOS_2 : 0));
	wire_u16(&b, 0);
	if (a->o.version == 5) {
		wire_u8(&b, a->o.receive_max > 0 ? 8 : 5);
		wire_u8(&b, PROP_SESSION_EXPIRY);
		wire_u32(&b, clean ? 0 : SESSION_EXPIRY_S);
		if (a->o.receive_max > 0) {
			wire_u8(&b, PROP_RECEIVE_MAX);
			wire_u16(&b, a->o.receive_max);
		}
	}
	wire_text(&b, a->o.id);
	if (a->o.willed)
		wire_will(a, &b);
	wire_send(a, CONNECT, 0, &b);
}

void
app_send_subscribe(struct app *a)
{
	struct wire_body b = wire_begin();

	wire_u16(&b, 65535);
	if (a->o.version == 5)
		wire_u8(&b, 0);
	wire_text(&b, a->o.filter);
	wire_u8(&b, (unsigned)a->o.qos);
	wire_send(a, SUBSCRIBE, 2, &b);
}

void
app_send_turn(struct app *a, const struct app_turn *t)
{
	struct wire_body b = wire_begin();

	wire_u16(&b, t->id);
	if (a->o.version == 5)
		wire_u8(&b, 0);
	for (unsigned i = 0; i < a->o.n_turn; i++) {
		if ((t->mask >> i & 1) == 0)
			continue;
		wire_text(&b, a->o.turn[i]);
		if (t->on)
			wire_u8(&b, (unsigned)a->o.qos);
	}
	wire_send(a, t->on ? SUBSCRIBE : UNSUBSCRIBE, 2, &b);
}

static void
wire_property(struct wire_body *b, const char *name, const char *value)
{
	wire_u8(b, PROP_USER);
	wire_text(b, name);
	wire_text(b, value);
}

void
app_send_publish(struct app *a, const struct app_flight *f, bool dup)
{
	struct wire_body b = wire_begin();
	unsigned qos = f->stream == 3 ? 2 : f->stream;
	unsigned char payload[APP_PAYLOAD_MAX];
	char topic[64];

	snprintf(topic, sizeof topic, "%s/%u/%u", a->o.root, a->o.number, f->stream);
	wire_text(&b, topic);
	if (qos > 0)
		wire_u16(&b, f->id);
	if (a->o.version == 5 && f->stream == 3) {
		char key[32];

		snprintf(key, sizeof key, "%u-%u", a->o.number, f->number);
		wire_u8(
		    &b, PROPERTY + 11 + (a->o.keyed ? PROPERTY + 10 + (unsigned)strlen(key) : 0));
		wire_property(&b, "sqmqos-qos", "3");
		if (a->o.keyed)
			wire_property(&b, "sqmqos-key", key);
	} else if (a->o.version == 5) {
		wire_u8(&b, 0);
	}
	wire_bytes(
	    &b, payload, app_payload(a->o.number, f->stream, f->number, a->o.max_size, payload));
	wire_send(a, PUBLISH, (int)((unsigned)dup << 3 | qos << 1), &b);
}

void
app_send_ack(struct app *a, int type, uint16_t id)
{
	struct wire_body b = wire_begin();

	wire_u16(&b, id);
	wire_send(a, type, type == PUBREL ? 2 : 0, &b);
}

void
app_send_disconnect(struct app *a)
{
	struct wire_body b = wire_begin();

	wire_send(a, DISCONNECT, 0, &b);
}

/* --- decoding --- */

long
app_packet_next(const unsigned char *bytes, size_t n, struct app_packet *out)
{
	size_t length = 0, i = 1;

	for (;; i++) {
		if (i > 4)
			return -1;
		if (i >= n)
			return 0;
		length |= (size_t)(bytes[i] & 0x7f) << 7 * (i - 1);
		if (bytes[i] < 0x80)
			break;
	}
	i++;
	if (n - i < length)
		return length > APP_BUFFER_MAX / 2 ? -1 : 0;
	*out = (struct app_packet){bytes[0] >> 4, bytes[0] & 15, bytes + i, length};
	return (long)(i + length);
}

/* Takes the property block off the head of a body; 'props' and 'props_n' get what is in it. */
static bool
wire_take_properties(
    const unsigned char **p, size_t *n, const unsigned char **props, size_t *props_n)
{
	size_t length = 0, i = 0;

	do {
		if (i >= 4 || i >= *n)
			return false;
		length |= (size_t)((*p)[i] & 0x7f) << 7 * i;
	} while ((*p)[i++] >= 0x80);
	if (*n - i < length)
		return false;
	*props = *p + i;
	*props_n = length;
	*p += i + length;
	*n -= i + length;
	return true;
}

/* Takes a string off the head of bytes. */
static bool
wire_take_text(const unsigned char **p, size_t *n, const char **text, size_t *text_n)
{
	if (*n < 2 || (*text_n = (size_t)(*p)[0] << 8 | (*p)[1]) > *n - 2)
		return false;
	*text = (const char *)*p + 2;
	*p += 2 + *text_n;
	*n -= 2 + *text_n;
	return true;
}

/* The value of a user property, "-" where there is none.  The properties of dead letters that
 * we publish are all of this kind. */
static void
wire_user_property(const unsigned char *p, size_t n, const char *name, char *out, size_t out_size)
{
	const char *key, *value;
	size_t key_n, value_n;

	snprintf(out, out_size, "-");
	while (n > 0 && *p == PROP_USER) {
		p++;
		n--;
		if (!wire_take_text(&p, &n, &key, &key_n) ||
		    !wire_take_text(&p, &n, &value, &value_n))
			return;
		if (key_n == strlen(name) && memcmp(key, name, key_n) == 0)
			snprintf(out, out_size, "%.*s", (int)value_n, value);
	}
}

/* Whether 'm' is what was published, by its numbers, to that topic. */
static bool
wire_is_genuine(const struct app *a, const struct app_message *m, const char *topic,
    const unsigned char *payload, size_t n)
{
	static unsigned char expected[APP_PAYLOAD_MAX];
	char name[64];

	snprintf(name, sizeof name, "%s/%u/%u", a->o.root, m->publisher, m->stream);
	return strcmp(topic, name) == 0 &&
	    app_payload(m->publisher, m->stream, m->number, a->o.max_size, expected) == n &&
	    memcmp(expected, payload, n) == 0;
}

bool
app_message_read(const struct app *a, const struct app_packet *packet, struct app_message *out)
{
	const unsigned char *p = packet->body, *props = NULL;
	size_t n = packet->n, props_n = 0, topic_n, size;
	char head[64] = "", name[64];
	const char *topic;
	bool dead;

	*out = (struct app_message){.qos = packet->flags >> 1 & 3, .dup = packet->flags >> 3};
	if (!wire_take_text(&p, &n, &topic, &topic_n) || topic_n >= sizeof name)
		return false;
	snprintf(name, sizeof name, "%.*s", (int)topic_n, topic);
	if (out->qos > 0) {
		if (n < 2)
			return false;
		out->id = (uint16_t)(p[0] << 8 | p[1]);
		p += 2;
		n -= 2;
	}
	if (a->o.version == 5 && !wire_take_properties(&p, &n, &props, &props_n))
		return false;
	memcpy(head, p, n < sizeof head - 1 ? n : sizeof head - 1);
	if (sscanf(head, "%u %u %u %zu", &out->publisher, &out->stream, &out->number, &size) != 4 ||
	    out->stream >= APP_STREAMS || size != n || n > APP_PAYLOAD_MAX)
		return false;
	dead = strncmp(name, wire_dead, sizeof wire_dead - 1) == 0;
	if (dead) {
		wire_user_property(
		    props, props_n, "sqmqos-dead-reason", out->reason, sizeof out->reason);
		wire_user_property(
		    props, props_n, "sqmqos-dead-queue", out->queue, sizeof out->queue);
	}
	return wire_is_genuine(a, out, name + (dead ? sizeof wire_dead - 1 : 0), p, n);
}
