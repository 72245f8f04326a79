/* The keys about a log of several brokers. */
#include "broker/config/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/engine/engines/engines.h"
#include "core/mem.h"
#include "store/shared/driver.h"

enum {
	LOG_RECOVERY_MS = 5000,
	LOG_RECOVERY_SHARED_MS = 2000, /* sidecars have been told where to go */
	LOG_SCHEMA = 47,
	LOG_HOSTS = 16,
};

static bool
log_id_ok(const char *id)
{
	size_t n = strlen(id);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)id[i]) && strchr("._-", id[i]) == NULL)
			return false;
	return n > 0 && n < SQ_SHARED_NAME;
}

/* Lower case, as SQL has names without quotes. */
static bool
log_schema_ok(const char *schema)
{
	size_t n = strlen(schema);

	for (size_t i = 0; i < n; i++)
		if (!islower((unsigned char)schema[i]) && schema[i] != '_' &&
		    (i == 0 || !isdigit((unsigned char)schema[i])))
			return false;
	return n > 0 && n <= LOG_SCHEMA && strncmp(schema, "pg_", 3) != 0;
}

/* HOST:PORT with neither part empty, a wildcard, or with what would end a header. */
static bool
log_address_ok(const char *address)
{
	const char *colon = strrchr(address, ':');
	char *end;
	unsigned long port;

	if (colon == NULL || colon == address || *address == '*' ||
	    !isdigit((unsigned char)colon[1]))
		return false;
	for (const char *c = address; *c != '\0'; c++)
		if (!isgraph((unsigned char)*c) || *c == '"')
			return false;
	port = strtoul(colon + 1, &end, 10);
	return *end == '\0' && port > 0 && port < 65536 && strlen(address) < SQ_SHARED_ADDRESS;
}

/* Whether 'listen' is of every address. */
static bool
log_any(const char *listen)
{
	static const char *const any[] = {":", "*:", "0.0.0.0:", "[::]:"};

	for (size_t i = 0; i < SQ_ARRAY_LEN(any); i++)
		if (strncmp(listen, any[i], strlen(any[i])) == 0)
			return true;
	return false;
}

/* The address that others are told: 'listen' where it is none of every address. */
static char *
log_advertised(const char *listen, const char *host)
{
	const char *colon = strrchr(listen, ':');
	struct sq_buf out = {0};
	char *text;

	if (log_any(listen) && colon != NULL)
		sq_buf_printf(&out, "%s%s", host, colon);
	else
		sq_buf_printf(&out, "%s", listen);
	sq_buf_u8(&out, '\0');
	text = sq_xstrdup((const char *)sq_buf_data(&out));
	sq_buf_fini(&out);
	return text;
}

static void
log_fill(char **value, char *with)
{
	if (sq_config_is_set(*value)) {
		free(with);
		return;
	}
	free(*value);
	*value = with;
}

static int
log_bad(struct sq_buf *err, const char *key, const char *value, const char *why)
{
	sq_buf_printf(err, "%s: %s%s%s", key, value, *value != '\0' ? ": " : "", why);
	return SQ_EINVAL;
}

/* Who this broker is. */
static int
log_self(struct sq_broker_config *c, struct sq_buf *err)
{
	struct sq_broker_log *l = &c->log;
	char host[SQ_SHARED_ADDRESS] = "";

	(void)gethostname(host, sizeof host - 1);
	log_fill(&l->id, sq_xstrdup(host));
	log_fill(&l->advertise, log_advertised(c->listen, host));
	if (!log_id_ok(l->id))
		return log_bad(err, "broker.id", l->id,
		    "not 1 to 63 letters, digits, dots, hyphens and underscores");
	if (!log_address_ok(l->advertise))
		return log_bad(err, "listen.advertise", l->advertise,
		    "not host:port where others reach this broker");
	if (!sq_config_is_set(c->admin_listen))
		return SQ_OK;
	(void)snprintf(host, sizeof host, "%.*s", (int)(strrchr(l->advertise, ':') - l->advertise),
	    l->advertise);
	log_fill(&l->admin_advertise, log_advertised(c->admin_listen, host));
	if (!log_address_ok(l->admin_advertise))
		return log_bad(err, "admin.advertise", l->admin_advertise,
		    "not host:port where others reach this broker");
	return SQ_OK;
}

static int
log_postgres(const struct sq_broker_log *l, struct sq_buf *err)
{
	if (l->hosts.n == 0)
		return log_bad(err, "log.postgres.hosts", "", "needed with log.kind: postgres");
	if (l->hosts.n > LOG_HOSTS)
		return log_bad(err, "log.postgres.hosts", "", "more than 16");
	for (size_t i = 0; i < l->hosts.n; i++)
		if (l->hosts.v[i][0] == '\0' || strpbrk(l->hosts.v[i], ", \t'\\") != NULL ||
		    strlen(l->hosts.v[i]) >= SQ_SHARED_ADDRESS)
			return log_bad(err, "log.postgres.hosts", l->hosts.v[i], "not host:port");
	if (!sq_config_is_set(l->database))
		return log_bad(err, "log.postgres.database", "", "needed with log.kind: postgres");
	if (!sq_config_is_set(l->user))
		return log_bad(err, "log.postgres.user", "", "needed with log.kind: postgres");
	if (!log_schema_ok(l->schema))
		return log_bad(err, "log.postgres.schema", l->schema,
		    "not 1 to 47 of a-z, 0-9 and _, with neither a digit nor pg_ first");
	if (sq_config_is_set(l->cert_file) != sq_config_is_set(l->key_file))
		return log_bad(err,
		    sq_config_is_set(l->cert_file) ? "log.postgres.key-file"
						   : "log.postgres.cert-file",
		    "", "needed with the other of the two");
	return SQ_OK;
}

int
sq_broker_config_log(struct sq_broker_config *c, struct sq_buf *err)
{
	int rc;

	if (c->log.kind == SQ_BROKER_LOG_LOCAL)
		return SQ_OK;
	if (!sq_engines[c->engine]->durable)
		return log_bad(
		    err, "log.kind", "", "only the embedded engine has a log of several brokers");
	rc = log_postgres(&c->log, err);
	return rc == SQ_OK ? log_self(c, err) : rc;
}

uint64_t
sq_broker_config_recovery_ms(const struct sq_broker_config *c, bool yielded)
{
	if (c->recovery_ms != SQ_RECOVERY_AUTO)
		return c->recovery_ms;
	if (c->log.kind == SQ_BROKER_LOG_LOCAL)
		return LOG_RECOVERY_MS;
	return yielded ? 0 : LOG_RECOVERY_SHARED_MS;
}
