/* The password of a CONNECT, with a password file (MQTT 5.0 §3.1.3.5, §3.1.3.6, §3.1.4).  The
 * CONNECT is kept, without the password, until the check is done, and then handled like a new one;
 * later input is not read meanwhile. */
#include "sidecar/mqtt/client.h"

#include <assert.h>
#include <string.h>

#include "proto/link/notes.h"
#include "sidecar/mqtt/client_priv.h"
#include "sidecar/mqtt/password_check.h"

static void
password_refuse(struct sq_client *c, enum sq_sidecar_metric counter, uint8_t reason,
    const char *why, struct sq_bytes user)
{
	unsigned char room[SQ_NOTE_TEXT_MAX];
	struct sq_buf text = {0};

	user = sq_note_text_clean(user, room);
	sq_buf_printf(&text, "%s", why);
	if (user.len > 0)
		sq_buf_printf(&text, ", user %.*s", (int)user.len, (const char *)user.p);
	sq_buf_u8(&text, '\0');
	sq_holds_count(c->of->holds, counter, 1);
	sq_client_refuse(c, reason, (const char *)sq_buf_data(&text));
	sq_buf_fini(&text);
}

/* Decodes the CONNECT that was kept. */
static void
password_kept(const struct sq_client *c, struct sq_mqtt_packet *out)
{
	struct sq_mqtt_decoder d = {.role = SQ_MQTT_SERVER, .max_packet = c->in.decoder.max_packet};
	size_t used;
	int rc = sq_mqtt_decode(
	    &d, sq_buf_data(&c->con.packet), sq_buf_len(&c->con.packet), out, &used);

	assert(rc == 0 && out->type == SQ_MQTT_CONNECT);
	(void)rc;
}

static void
password_done(void *owner, bool good)
{
	struct sq_client *c = owner;
	struct sq_mqtt_packet p;

	c->con.ask = NULL;
	assert(c->state == SQ_CLIENT_CHECKING);
	password_kept(c, &p);
	if (good) {
		sq_client_enter(c, SQ_CLIENT_NEW);
		sq_client_connect(c, &p);
		sq_client_resume(c);
	} else {
		password_refuse(c, SQ_M_CLIENTS_PASSWORD, SQ_MQTT_RC_BAD_CREDENTIALS,
		    "no such user, or another password", p.connect.username);
	}
	sq_buf_fini(&c->con.packet);
}

/* Keeps the CONNECT, its password blanked. */
static void
password_keep(
    struct sq_client *c, const struct sq_mqtt_connect *k, const unsigned char *bytes, size_t len)
{
	sq_buf_append(&c->con.packet, bytes, len);
	if (k->password.len > 0)
		explicit_bzero(
		    sq_buf_data(&c->con.packet) + (k->password.p - bytes), k->password.len);
}

static void
password_ask(
    struct sq_client *c, const struct sq_mqtt_packet *p, const unsigned char *bytes, size_t len)
{
	const struct sq_mqtt_connect *k = &p->connect;

	if (!sq_client_may_connect(c, p))
		return;
	if (!k->has_username || k->username.len == 0) {
		password_refuse(c, SQ_M_CLIENTS_ANONYMOUS, SQ_MQTT_RC_NOT_AUTHORIZED,
		    "a user name and password are needed", (struct sq_bytes){0});
		return;
	}
	c->con.ask = sq_password_ask(c->of->passwords, k->username, k->password, password_done, c);
	if (c->con.ask == NULL) {
		password_refuse(c, SQ_M_CLIENTS_BUSY, SQ_MQTT_RC_SERVER_BUSY,
		    "too many passwords wait to be checked", k->username);
		return;
	}
	password_keep(c, k, bytes, len);
	c->since_ms = sq_holds_now(c->of->holds);
	sq_client_enter(c, SQ_CLIENT_CHECKING);
}

void
sq_client_first(
    struct sq_client *c, const struct sq_mqtt_packet *p, unsigned char *bytes, size_t len)
{
	if (c->of->passwords == NULL)
		sq_client_connect(c, p);
	else
		password_ask(c, p, bytes, len);
	explicit_bzero(bytes, len);
}
