#include "rabbit_bridge_peer.h"

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/bridge/amqp/amqp.h"

static char user_file[200], password_file[200], control[200], url[64];
static char target[PEER_TEXT], source[PEER_TEXT]; /* queues */
static char *urls[] = {url};
static int port;
static unsigned n_begun;
static amqp_connection_state_t connection; /* the suite's own; NULL: none */

/* --- the suite's own connection --- */

static void
peer_text(const char *file, char text[100])
{
	FILE *f = fopen(file, "r");

	cr_assert_not_null(f, "%s", file);
	cr_assert_not_null(fgets(text, 100, f));
	text[strcspn(text, "\r\n")] = '\0';
	(void)fclose(f);
}

static void
peer_disconnect(void)
{
	if (connection != NULL)
		amqp_destroy_connection(connection);
	connection = NULL;
}

static amqp_connection_state_t
peer_connect(void)
{
	amqp_socket_t *socket;
	char user[100], password[100];

	if (connection != NULL)
		return connection;
	connection = amqp_new_connection();
	socket = amqp_tcp_socket_new(connection);
	peer_text(user_file, user);
	peer_text(password_file, password);
	cr_assert_eq(amqp_socket_open(socket, "127.0.0.1", port), AMQP_STATUS_OK);
	cr_assert_eq(
	    (int)amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, user, password)
		.reply_type,
	    (int)AMQP_RESPONSE_NORMAL);
	cr_assert_not_null(amqp_channel_open(connection, 1));
	return connection;
}

/* --- what the suite asks for --- */

static void
peer_declare(const char *name, const char *type)
{
	amqp_table_entry_t of = {.key = amqp_cstring_bytes("x-queue-type"),
	    .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(type)}};

	cr_assert_not_null(amqp_queue_declare(
	    peer_connect(), 1, amqp_cstring_bytes(name), 0, 1, 0, 0, (amqp_table_t){1, &of}));
}

static void
peer_begin(const char *address, const char *type)
{
	cr_assert_eq(
	    sscanf(address, "%d %199s %199s %199s", &port, user_file, password_file, control), 4);
	(void)snprintf(url, sizeof url, "amqp://127.0.0.1:%d", port);
	n_begun++;
	(void)snprintf(target, sizeof target, "got-%s-%d-%u", type, (int)getpid(), n_begun);
	(void)snprintf(source, sizeof source, "source-%s-%d-%u", type, (int)getpid(), n_begun);
	peer_declare(target, type);
	peer_declare(source, type);
}

static void
begin_classic(const char *address)
{
	peer_begin(address, "classic");
}

static void
begin_quorum(const char *address)
{
	peer_begin(address, "quorum");
}

static void
peer_end(void)
{
	amqp_queue_delete(peer_connect(), 1, amqp_cstring_bytes(target), 0, 0);
	amqp_queue_delete(peer_connect(), 1, amqp_cstring_bytes(source), 0, 0);
	peer_disconnect();
}

static void
peer_configure(struct sq_bridge_cfg *cfg, struct sq_bridge_out *out, struct sq_bridge_in *in)
{
	cfg->urls = (struct sq_strings){urls, 1};
	cfg->user_file = user_file;
	cfg->password_file = password_file;
	out->key = target; /* of the default exchange */
	in->queue = source;
}

static void
peer_header(const amqp_basic_properties_t *p, const char *name, char text[PEER_TEXT])
{
	text[0] = '\0';
	for (int i = 0; i < p->headers.num_entries; i++) {
		const amqp_table_entry_t *e = &p->headers.entries[i];
		const amqp_bytes_t *v = &e->value.value.bytes;

		if (e->value.kind == AMQP_FIELD_KIND_UTF8 && e->key.len == strlen(name) &&
		    memcmp(e->key.bytes, name, e->key.len) == 0 && v->len < PEER_TEXT)
			(void)snprintf(text, PEER_TEXT, "%.*s", (int)v->len, (char *)v->bytes);
	}
}

static bool
peer_next(struct peer_message *m)
{
	amqp_connection_state_t c = peer_connect();
	amqp_rpc_reply_t r = amqp_basic_get(c, 1, amqp_cstring_bytes(target), 1);
	amqp_message_t message;

	cr_assert_eq((int)r.reply_type, (int)AMQP_RESPONSE_NORMAL);
	if (r.reply.id != AMQP_BASIC_GET_OK_METHOD)
		return false;
	cr_assert_eq(
	    (int)amqp_read_message(c, 1, &message, 0).reply_type, (int)AMQP_RESPONSE_NORMAL);
	(void)snprintf(
	    m->payload, PEER_TEXT, "%.*s", (int)message.body.len, (char *)message.body.bytes);
	peer_header(&message.properties, "sqmqos-topic", m->topic);
	peer_header(&message.properties, "sqmqos-origin", m->origin);
	peer_header(&message.properties, "sqmqos-hops", m->hops);
	amqp_destroy_message(&message);
	amqp_maybe_release_buffers(c);
	return true;
}

static amqp_table_entry_t
peer_entry(const char *name, const char *text)
{
	return (amqp_table_entry_t){.key = amqp_cstring_bytes(name),
	    .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(text)}};
}

static void
peer_put(const struct peer_message *m)
{
	amqp_table_entry_t entries[] = {
	    peer_entry("sqmqos-origin", m->origin), peer_entry("sqmqos-hops", m->hops)};
	const amqp_basic_properties_t p = {
	    ._flags = AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG,
	    .delivery_mode = 2,
	    .headers = {m->hops[0] != '\0' ? 2 : 1, entries}};

	cr_assert_eq(amqp_basic_publish(peer_connect(), 1, amqp_cstring_bytes(""),
			 amqp_cstring_bytes(source), 0, 0, &p, amqp_cstring_bytes(m->payload)),
	    AMQP_STATUS_OK);
}

/* Runs the control program; the number that it prints. */
static size_t
peer_control(const char *command, const char *arg)
{
	char line[500];
	size_t n = 0;
	FILE *f;

	(void)snprintf(line, sizeof line, "%s %s %s", control, command, arg);
	f = popen(line, "r");
	cr_assert_not_null(f);
	if (fscanf(f, "%zu", &n) != 1)
		n = 0;
	cr_assert_eq(pclose(f), 0, "%s", line);
	return n;
}

static size_t
peer_left(void)
{
	return peer_control("left", source);
}

static void
peer_away(bool away)
{
	if (away)
		peer_disconnect();
	(void)peer_control(away ? "away" : "back", "");
}

#define PEER_OPS \
	.kind = &sq_bridge_amqp, .address = "SQMQOS_TEST_AMQP", .end = peer_end, \
	.configure = peer_configure, .next = peer_next, .put = peer_put, .left = peer_left, \
	.away = peer_away, .ordered = true, .has_hops = true

const struct bridge_peer rabbit_classic_bridge_peer = {
    .name = "amqp, classic queues", .begin = begin_classic, PEER_OPS};
const struct bridge_peer rabbit_quorum_bridge_peer = {
    .name = "amqp, quorum queues", .begin = begin_quorum, PEER_OPS};
