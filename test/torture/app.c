/* The torture app: its loop, and the two kinds of it; see app.h. */
#include "app.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	CONNECT_PAUSE_MS = 20,
	CONNACK_TIMEOUT_MS = 40000,
	OUT_ENOUGH = 256 << 10,
	LEAVE_TIMEOUT_S = 2,
};

static volatile sig_atomic_t app_asked; /* to come to its end */
static volatile sig_atomic_t app_rest;  /* to come to rest, if it turns; to end at the next */
static volatile sig_atomic_t app_told;  /* to leave as it is */

static void
app_on_signal(int number)
{
	if (number == SIGTERM)
		app_told = 1;
	else if (number == SIGUSR2)
		app_rest = 1;
	else
		app_asked = 1;
}

/* --- session state --- */

struct app_flight *
app_flight_add(struct app *a, uint16_t id, unsigned stream, uint32_t number)
{
	struct app_flight *f = &a->flights[a->n_flights++];

	if (a->n_flights >= APP_FLIGHTS_MAX)
		abort();
	*f = (struct app_flight){.id = id, .stream = (uint8_t)stream, .number = number};
	a->in_window[stream]++;
	return f;
}

struct app_flight *
app_flight_find(struct app *a, uint16_t id)
{
	for (size_t i = 0; i < a->n_flights; i++)
		if (a->flights[i].id == id)
			return &a->flights[i];
	return NULL;
}

void
app_flight_remove(struct app *a, struct app_flight *f)
{
	size_t i = (size_t)(f - a->flights);

	a->in_window[f->stream]--;
	memmove(f, f + 1, (--a->n_flights - i) * sizeof *f);
}

void
app_session_new(struct app *a)
{
	memset(a->held, 0, 65536 * sizeof *a->held);
	a->subscribed = false;
	app_turns_none(a);
	for (size_t i = 0; i < a->n_flights; i++)
		a->flights[i].sent = false;
}

/* --- the connection --- */

static void
app_close(struct app *a, const char *why)
{
	a->ended = a->ending && a->connected;
	close(a->fd);
	a->fd = -1;
	a->connected = false;
	a->in_n = a->out_n = a->out_done = 0;
	a->n_hands = 0;
	app_ledger(a, "D %s", why);
}

static void
app_connect(struct app *a)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)a->o.port)};
	int one = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (a->fd < 0 || connect(a->fd, (struct sockaddr *)&to, sizeof to) != 0) {
		if (a->fd >= 0)
			close(a->fd);
		a->fd = -1;
		poll(NULL, 0, CONNECT_PAUSE_MS);
		return;
	}
	setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	fcntl(a->fd, F_SETFL, O_NONBLOCK);
	a->last_us = app_now_us();
	app_send_connect(a, a->o.transient || a->ending);
}

/* What is unfinished again, in its first order (MQTT-4.4.0-1). */
static void
app_resend(struct app *a)
{
	for (size_t i = 0; i < a->n_flights; i++) {
		struct app_flight *f = &a->flights[i];

		if (f->received)
			app_send_ack(a, PUBREL, f->id);
		else
			app_send_publish(a, f, f->sent);
		f->sent = true;
	}
}

static void
app_give_up(struct app *a)
{
	while (a->n_flights > 0) {
		struct app_flight *f = &a->flights[0];

		app_ledger(a, "G %u %u %u", f->id, f->stream, f->number);
		app_flight_remove(a, f);
	}
}

static void
app_on_connack(struct app *a, const struct app_packet *p)
{
	if (p->n < 2 || p->body[1] != 0) {
		app_close(a, "refused");
		poll(NULL, 0, CONNECT_PAUSE_MS);
		return;
	}
	a->connected = true;
	a->due = a->due_turns = 0;
	a->last_us = app_now_us();
	if (a->ending) {
		app_send_disconnect(a);
		return;
	}
	app_ledger(a, "C %u", p->body[0] & 1u);
	if ((p->body[0] & 1) == 0)
		app_session_new(a);
	if (a->o.transient)
		app_give_up(a);
	if (a->o.filter != NULL && !a->subscribed)
		app_send_subscribe(a);
	app_resend(a);
	app_turns_again(a);
}

/* --- what comes in --- */

/* The message is in the ledger, and then acknowledged. */
static void
app_take(struct app *a, const struct app_message *m)
{
	struct app_held *h = &a->held[m->id];

	if (m->qos == 2 && h->held) {
		app_ledger(a, "I %u %u %u %u", m->id, m->publisher, m->stream, m->number);
	} else {
		app_ledger(a, "M %u %d %u %d %u %u %s %s", m->id, m->qos, m->publisher, m->dup,
		    m->stream, m->number, m->reason, m->queue);
		if (m->qos == 2)
			*h = (struct app_held){true, (uint8_t)m->stream, m->publisher, m->number};
	}
	if (m->qos > 0)
		app_send_ack(a, m->qos == 1 ? PUBACK : PUBREC, m->id);
}

static void
app_on_message(struct app *a, const struct app_packet *p)
{
	struct app_hand *hand = &a->hands[a->n_hands];

	if (!app_message_read(a, p, &hand->message)) {
		app_ledger(a, "X %d %u", hand->message.qos, hand->message.id);
	} else if (a->o.hold_ms == 0 || a->n_hands + 1 == APP_HANDS_MAX) {
		app_take(a, &hand->message);
	} else {
		hand->due_us = app_now_us() + a->o.hold_ms * UINT64_C(1000);
		a->n_hands++;
	}
}

/* Takes what it has had in its hands for long enough. */
static void
app_work(struct app *a)
{
	uint64_t now = app_now_us();
	size_t n = 0;

	while (n < a->n_hands && a->hands[n].due_us <= now)
		app_take(a, &a->hands[n++].message);
	a->n_hands -= n;
	memmove(a->hands, a->hands + n, a->n_hands * sizeof *a->hands);
}

static void
app_on_ack(struct app *a, const struct app_packet *p)
{
	uint16_t id = p->n >= 2 ? (uint16_t)(p->body[0] << 8 | p->body[1]) : 0;
	unsigned code = p->n >= 3 ? p->body[2] : 0;
	struct app_flight *f = app_flight_find(a, id);

	if (f == NULL) {
		app_ledger(a, "Z acknowledgement %d of id %u, which is not in flight", p->type, id);
		return;
	}
	if (p->type == PUBREC && code < 0x80) {
		app_ledger(a, "R %u %u", id, code);
		f->received = true;
		f->reason = (uint8_t)code;
		app_send_ack(a, PUBREL, id);
		return;
	}
	if (p->type != (f->stream == 1 ? PUBACK : f->received ? PUBCOMP : PUBREC)) {
		app_ledger(a, "Z packet %d of id %u of QoS %u", p->type, id, f->stream);
		return;
	}
	app_ledger(a, "A %u %u %u %u %u", id, f->stream, f->number, f->received ? f->reason : code,
	    f->received ? code : 0);
	app_flight_remove(a, f);
}

static void
app_on_packet(struct app *a, const struct app_packet *p)
{
	uint16_t id = p->n >= 2 ? (uint16_t)(p->body[0] << 8 | p->body[1]) : 0;

	switch (p->type) {
	case CONNACK:
		app_on_connack(a, p);
		break;
	case PUBLISH:
		app_on_message(a, p);
		break;
	case PUBACK:
	case PUBREC:
	case PUBCOMP:
		app_on_ack(a, p);
		break;
	case PUBREL:
		app_ledger(a, "L %u", id);
		a->held[id].held = false;
		app_send_ack(a, PUBCOMP, id);
		break;
	case SUBACK:
		if (a->o.n_turn > 0) {
			app_turns_answer(a, p);
			break;
		}
		app_ledger(a, "S %u", p->n > 0 ? p->body[p->n - 1] : 255u);
		a->subscribed = true;
		break;
	case UNSUBACK:
		app_turns_answer(a, p);
		break;
	case DISCONNECT:
		app_ledger(a, "Q %u", p->n > 0 ? p->body[0] : 0u);
		break;
	default:
		app_ledger(a, "Z packet type %d", p->type);
	}
}

static void
app_read(struct app *a)
{
	struct app_packet p;
	size_t at = 0;
	ssize_t n = read(a->fd, a->in + a->in_n, APP_BUFFER_MAX - a->in_n);
	long size = 0;

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		app_close(a, n == 0 ? "end" : "error");
		return;
	}
	a->in_n += (size_t)n;
	/* Acknowledgements wait in 'out': leave room for those of the rest. */
	while (a->fd >= 0 && a->out_n < APP_BUFFER_MAX / 2 &&
	    (size = app_packet_next(a->in + at, a->in_n - at, &p)) > 0) {
		at += (size_t)size;
		app_on_packet(a, &p);
	}
	if (a->fd < 0)
		return;
	if (size < 0) {
		app_ledger(a, "Z bytes that are no packet");
		app_close(a, "malformed");
		return;
	}
	memmove(a->in, a->in + at, a->in_n - at);
	a->in_n -= at;
}

static void
app_flush(struct app *a)
{
	uint64_t now = app_now_us();

	if (a->out_n == 0 || now - a->flushed_us < a->o.linger_ms * UINT64_C(1000))
		return;
	a->flushed_us = now;
	while (a->out_done < a->out_n) {
		ssize_t n = send(a->fd, a->out + a->out_done, a->out_n - a->out_done, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			app_close(a, "error");
			return;
		}
		a->out_done += (size_t)n;
	}
	a->out_n = a->out_done = 0;
}

/* --- publishing --- */

static uint16_t
app_take_id(struct app *a)
{
	do
		a->next_id = a->next_id >= 65000 ? 1 : (uint16_t)(a->next_id + 1);
	while (app_flight_find(a, a->next_id) != NULL);
	return a->next_id;
}

void
app_publish_one(struct app *a, unsigned stream)
{
	struct app_flight zero = {.stream = 0, .number = a->next[0]}, *f = &zero;

	if (a->in_window[stream] >= a->o.window)
		return;
	if (stream > 0)
		f = app_flight_add(a, app_take_id(a), stream, a->next[stream]);
	a->next[stream]++;
	app_ledger(a, "P %u %u %u", f->id, stream, f->number);
	app_send_publish(a, f, false);
	f->sent = true;
}

uint64_t
app_random(struct app *a)
{
	a->rng = a->rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return a->rng >> 33;
}

static void
app_publish(struct app *a)
{
	uint64_t now = app_now_us();

	app_turns(a, now - a->last_us);
	a->due += (double)(now - a->last_us) * a->o.rate / 1e6;
	a->last_us = now;
	if (a->due > a->o.rate / 4.0 + 1) /* what a stop has held up is not made good */
		a->due = a->o.rate / 4.0 + 1;
	while (a->due >= 1 && a->out_n < OUT_ENOUGH) {
		uint64_t r = app_random(a);
		unsigned most = a->o.n_turn > 0 ? 2 : 3; /* see turns_publish() */
		unsigned stream = r >> 27 < 2 ? 0 : (unsigned)(1 + r % most);

		if (a->o.only >= 0)
			stream = (unsigned)a->o.only;
		a->due--;
		app_publish_one(a, stream);
	}
}

/* --- the loop --- */

static void
app_turn(struct app *a)
{
	struct pollfd p = {.fd = a->fd, .events = POLLIN};
	bool active = a->o.publisher && a->connected && !a->stopping && !app_rest;

	if (a->fd < 0) {
		app_connect(a);
		return;
	}
	if (active)
		app_publish(a);
	app_work(a);
	app_flush(a);
	if (a->fd < 0)
		return;
	if (a->out_n > 0 && a->o.linger_ms == 0)
		p.events |= POLLOUT;
	poll(&p, 1, active || a->out_n > 0 || a->n_hands > 0 ? 2 : 200);
	if (p.revents & ~POLLOUT)
		app_read(a);
	if (a->fd >= 0 && !a->connected && app_now_us() - a->last_us > CONNACK_TIMEOUT_MS * 1000ull)
		app_close(a, "no CONNACK");
}

/* Comes to an end: a publisher once all is answered, a subscriber at once; over
 * a last connection that leaves no session. */
static void
app_end(struct app *a)
{
	a->stopping = true;
	if (a->ending || a->n_flights > 0)
		return;
	a->ending = true;
	if (a->fd >= 0) {
		close(a->fd);
		a->fd = -1;
		a->connected = false;
		a->in_n = a->out_n = a->out_done = a->n_hands = 0;
	}
}

/* Says so once all is answered that one who turns has asked for. */
static void
app_come_to_rest(struct app *a)
{
	if (!app_rest || a->rests || a->n_flights > 0 || a->n_turns > 0 || !a->connected)
		return;
	a->rests = true;
	app_ledger(a, "F");
}

/* Goes as a client library does: what it has done is acknowledged, what it has in its hands is
 * not, DISCONNECT, close.  What has arrived and was not read yet makes that a reset. */
static void
app_leave(struct app *a)
{
	struct timeval limit = {.tv_sec = LEAVE_TIMEOUT_S};

	a->ended = true;
	if (a->fd < 0)
		return;
	app_send_disconnect(a);
	fcntl(a->fd, F_SETFL, 0);
	setsockopt(a->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (send(a->fd, a->out + a->out_done, a->out_n - a->out_done, MSG_NOSIGNAL) < 0)
		app_ledger(a, "D error");
	close(a->fd);
}

static void
app_run(struct app *a)
{
	while (!a->ended) {
		if (app_told) {
			app_leave(a);
			break;
		}
		if (app_asked)
			app_end(a);
		app_come_to_rest(a);
		app_turn(a);
	}
	app_ledger(a, "E");
}

int
main(int argc, char **argv)
{
	static struct app a;
	struct sigaction act = {.sa_handler = app_on_signal};

	app_options(&a.o, argc, argv);
	app_asked = a.o.end;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGUSR2, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	a.fd = -1;
	a.rng = app_now_us();
	a.in = malloc(APP_BUFFER_MAX);
	a.out = malloc(APP_BUFFER_MAX);
	a.held = calloc(65536, sizeof *a.held);
	for (int i = 0; i < APP_STREAMS; i++)
		a.next[i] = 1;
	app_ledger_open(&a);
	app_run(&a);
	return 0;
}
