#include "store/postgres/pg_priv.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/mem.h"

enum { PARAMETERS = 20, SECRET_BYTES = 4096 };

/* What a server of this machine has no authority for, the system's serve for. */
#define SYSTEM_CAS "/etc/ssl/certs/ca-certificates.crt"

struct parameters {
	const char *names[PARAMETERS], *values[PARAMETERS];
	size_t n;
};

static void
dial_set(struct parameters *p, const char *name, const char *value)
{
	assert(p->n < PARAMETERS - 1);
	p->names[p->n] = name;
	p->values[p->n++] = value;
}

/* Of numbers of transactions that run out, which comes with each one for weeks before they have: it is
 * said before the commit, and nothing of that. */
static bool
dial_is_of_age(const PGresult *r)
{
	static const char *const files[] = {"varsup.c", "multixact.c"};
	const char *file = PQresultErrorField(r, PG_DIAG_SOURCE_FILE);

	for (size_t i = 0; file != NULL && i < sizeof files / sizeof files[0]; i++)
		if (strcmp(file, files[i]) == 0)
			return true;
	return false;
}

/* A notice of class 01 with a result: it is done here, and perhaps nowhere else. */
static void
dial_notice(void *arg, const PGresult *r)
{
	struct sq_shared *c = arg;
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

	if (state == NULL || strncmp(state, "01", 2) != 0 || dial_is_of_age(r))
		return;
	c->doubt = true;
	sq_pg_say(c, "%s (%s)", text != NULL ? text : "a warning", state);
}

/* The password without its line's end; the caller wipes it. */
static int
dial_password(const struct sq_log_postgres_cfg *cfg, struct sq_buf *out, struct sq_buf *err)
{
	int e;

	(void)sq_buf_reserve(out, SECRET_BYTES + 1);
	if (cfg->password_file == NULL) {
		sq_buf_u8(out, 0);
		return SQ_OK;
	}
	e = sq_file_read_secret(cfg->password_file, SECRET_BYTES, out);
	if (e != SQ_OK) {
		sq_buf_printf(err, "%s: %s", cfg->password_file, sq_file_reason(e));
		return SQ_EIO;
	}
	while (sq_buf_len(out) > 0 && strchr("\r\n", out->base[out->end - 1]) != NULL)
		out->end--;
	sq_buf_u8(out, 0);
	return SQ_OK;
}

/* Who the server must prove to be. */
static void
dial_set_tls(struct parameters *p, const struct sq_log_postgres_cfg *cfg, bool near)
{
	bool sure = !near || cfg->ca_file != NULL;

	dial_set(p, "sslmode", sure ? "verify-full" : "prefer");
	dial_set(p, "sslrootcert", cfg->ca_file != NULL ? cfg->ca_file : SYSTEM_CAS);
	if (cfg->cert_file != NULL)
		dial_set(p, "sslcert", cfg->cert_file);
	if (cfg->key_file != NULL)
		dial_set(p, "sslkey", cfg->key_file);
	dial_set(p, "gssencmode", "disable");
}

/* A host as libpq has it, with each of its addresses: libpq's own lookup would have no deadline. */
struct dial_host {
	char name[SQ_PG_HOST], port[SQ_PG_HOST];
	char names[SQ_PG_ADDRESSES * SQ_PG_HOST], addresses[SQ_PG_ADDRESSES * SQ_PG_ADDRESS];
	bool local; /* a Unix socket's directory */
};

/* Finds c->host; a line is in error. */
static int
dial_find(struct sq_shared *c, struct dial_host *h)
{
	struct sq_pg_addresses found;
	bool good = sq_pg_host_split(c->host, h->name, h->port);
	size_t names = 0, addresses = 0;
	const char *why = NULL;
	int e;

	assert(good);
	h->local = h->name[0] == '/';
	(void)snprintf(h->names, sizeof h->names, "%s", h->name);
	if (h->local)
		return SQ_OK;
	e = sq_pg_lookup(h->name, c->until_ms, &found, &why);
	if (e != SQ_OK) {
		c->silent = e == SQ_EAGAIN;
		sq_pg_say(c, "%s", why);
		return SQ_EIO;
	}
	for (size_t i = 0; i < found.n; i++) {
		names += (size_t)snprintf(
		    h->names + names, sizeof h->names - names, "%s%s", i > 0 ? "," : "", h->name);
		addresses += (size_t)snprintf(h->addresses + addresses,
		    sizeof h->addresses - addresses, "%s%s", i > 0 ? "," : "", found.v[i]);
	}
	return SQ_OK;
}

/* Connects to c->host; a line is in error. */
static int
dial_connect(struct sq_shared *c, const char *password)
{
	const struct sq_log_postgres_cfg *cfg = c->cfg;
	struct parameters p = {.n = 0};
	char application[80], timeout[16];
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;
	struct dial_host host;

	if (dial_find(c, &host) != SQ_OK)
		return SQ_EIO;
	(void)snprintf(
	    application, sizeof application, "sqmqos-broker/%.60s", cfg->id != NULL ? cfg->id : "");
	(void)snprintf(timeout, sizeof timeout, "%u", c->deadline_ms);
	dial_set(&p, "host", host.names);
	if (!host.local)
		dial_set(&p, "hostaddr", host.addresses);
	dial_set(&p, "port", host.port);
	dial_set(&p, "dbname", cfg->database != NULL ? cfg->database : "sqmqos");
	dial_set(&p, "user", cfg->user != NULL ? cfg->user : "sqmqos");
	dial_set(&p, "password", password);
	dial_set(&p, "passfile", "/dev/null/none"); /* nobody's own */
	dial_set(&p, "application_name", application);
	dial_set(&p, "client_encoding", "UTF8");
	dial_set(&p, "options", " "); /* nor the environment's */
	dial_set(&p, "target_session_attrs", "read-write");
	dial_set(&p, "tcp_user_timeout", timeout);
	dial_set_tls(&p, cfg, sq_pg_host_is_near(host.name));
	c->pg = PQconnectStartParams(p.names, p.values, 0);
	if (c->pg == NULL)
		return SQ_ENOMEM;
	(void)PQsetNoticeReceiver(c->pg, dial_notice, c);
	while (PQstatus(c->pg) != CONNECTION_BAD && state != PGRES_POLLING_FAILED) {
		if (!sq_pg_wait(c, state == PGRES_POLLING_READING, state == PGRES_POLLING_WRITING))
			return SQ_EIO;
		state = PQconnectPoll(c->pg);
		if (state == PGRES_POLLING_OK)
			return PQsetnonblocking(c->pg, 1) == 0 ? SQ_OK : SQ_EIO;
	}
	sq_pg_say_lost(c);
	return SQ_EIO;
}

static void
dial_end(struct sq_shared *c)
{
	if (c->pg == NULL)
		return;
	if (c->silent && PQsocket(c->pg) >= 0) /* nobody would read a farewell */
		(void)shutdown(PQsocket(c->pg), SHUT_RDWR);
	sq_pg_clear(c);
	PQfinish(c->pg);
	c->pg = NULL;
	memset(c->prepared, 0, sizeof c->prepared);
}

/* Tries one host until 'until_ms'; what it says goes to 'err'. */
static int
dial_host(struct sq_shared *c, const char *password, uint64_t until_ms, struct sq_buf *err)
{
	int e;

	sq_pg_begin(c);
	c->until_ms = until_ms;
	e = dial_connect(c, password);
	c->doubt =
	    false; /* a greeting may warn of the database's collation, and no commit is in it */
	if (e == SQ_OK)
		e = sq_pg_ready(c);
	if (e == SQ_OK)
		return SQ_OK;
	if (c->silent)
		sq_pg_hosts_note(c->host, false);
	sq_buf_printf(err, "%s%s: %s", sq_buf_len(err) > 0 ? "; " : "", c->host, c->error);
	dial_end(c);
	return e;
}

int
sq_pg_dial(struct sq_shared **out, const void *cfg, unsigned deadline_ms, struct sq_buf *err)
{
	struct sq_shared *c = sq_xcalloc(1, sizeof *c);
	struct sq_buf password = {0};
	struct sq_pg_hosts hosts;
	uint64_t end_ms = sq_clock_ms() + deadline_ms;
	int e;

	c->cfg = cfg;
	c->deadline_ms = deadline_ms;
	(void)snprintf(c->schema, sizeof c->schema, "%s",
	    c->cfg->schema != NULL ? c->cfg->schema : SQ_LOG_POSTGRES_SCHEMA);
	e = sq_pg_hosts_read(&hosts, c->cfg->hosts, err);
	if (e == SQ_OK && !sq_log_postgres_name_ok(c->schema)) {
		sq_buf_printf(err, "schema: \"%s\" is no plain name", c->schema);
		e = SQ_EINVAL;
	}
	if (e == SQ_OK)
		e = dial_password(c->cfg, &password, err);
	for (size_t i = 0; e == SQ_OK && i < hosts.n; i++) {
		uint64_t now = sq_clock_ms();
		uint64_t slice = now < end_ms ? (end_ms - now) / (hosts.n - i) : 0;

		(void)snprintf(c->host, sizeof c->host, "%s", hosts.host[i]);
		e = dial_host(c, (const char *)sq_buf_data(&password), now + slice, err);
		if (e == SQ_OK || e == SQ_EINVAL)
			break;
		e = i + 1 < hosts.n ? SQ_OK : SQ_EIO; /* the next one */
	}
	sq_buf_wipe(&password);
	if (e != SQ_OK)
		sq_pg_hang_up(&c);
	*out = c;
	return e;
}

void
sq_pg_hang_up(struct sq_shared **c)
{
	if (*c == NULL)
		return;
	dial_end(*c);
	free((*c)->segments);
	free(*c);
	*c = NULL;
}
