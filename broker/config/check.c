/* The checks of a start; see broker/config/check.h.  Each uses the very function that
 * opens the thing later, and closes it again. */
#include "broker/config/check.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "broker/config/auth.h"
#include "broker/engine/engines/engines.h"
#include "core/file.h"
#include "core/listen.h"
#include "core/program.h"
#include "core/tls.h"
#include "store/dir.h"
#include "web/admin.h"

enum { SECRET_MAX = 4096 }; /* bytes of a file with a password */

static void
check_tls(const struct sq_broker_config *c, struct sq_buf *problems)
{
	struct sq_buf why = {0};
	SSL_CTX *tls;

	if (!c->tls)
		return;
	tls = sq_tls_server(c->tls_cert, c->tls_key, &why);
	SSL_CTX_free(tls);
	sq_program_problem(problems, &why);
}

static void
check_readable(const char *key, const char *file, struct sq_buf *problems)
{
	struct sq_buf why = {0};

	if (sq_config_is_set(file) && access(file, R_OK) != 0)
		sq_buf_printf(&why, "%s: %s: %s", key, file, strerror(errno));
	sq_program_problem(problems, &why);
}

/* A secret, which nobody but owner and group may read. */
static void
check_secret(const char *key, const char *file, struct sq_buf *problems)
{
	struct sq_buf secret = {0}, why = {0};
	int e = sq_config_is_set(file) ? sq_file_read_secret(file, SECRET_MAX, &secret) : SQ_OK;

	if (e != SQ_OK)
		sq_buf_printf(&why, "%s: %s: %s", key, file, sq_file_reason(e));
	sq_buf_wipe(&secret);
	sq_program_problem(problems, &why);
}

static void
check_log(const struct sq_broker_config *c, struct sq_buf *problems)
{
	if (c->log.kind == SQ_BROKER_LOG_LOCAL)
		return;
	check_secret("log.postgres.password-file", c->log.password_file, problems);
	check_readable("log.postgres.ca-file", c->log.ca_file, problems);
	check_readable("log.postgres.cert-file", c->log.cert_file, problems);
	check_readable("log.postgres.key-file", c->log.key_file, problems);
}

static void
check_auth(const struct sq_broker_config *c, struct sq_buf *problems)
{
	struct sq_buf why = {0};
	struct sq_auth *auth = sq_broker_config_auth(c, false, NULL, &why);

	sq_auth_free(&auth);
	sq_program_problem(problems, &why);
	if (!c->kubernetes)
		return;
	check_readable("auth.api-token-file", c->api_token_file, problems);
	check_readable("auth.api-ca-file", c->api_ca_file, problems);
}

static void
check_address(const char *key, const char *address, struct sq_listen_found *found,
    struct sq_buf *notes, struct sq_buf *problems)
{
	struct sq_buf why = {0};

	if (sq_listen_check(key, address, found, &why) == SQ_OK && found->in_use)
		sq_buf_printf(notes, "; %s %s is in use just now", key, address);
	sq_program_problem(problems, &why);
}

static void
check_http_listen(const struct sq_broker_config *c, struct sq_buf *notes, struct sq_buf *problems)
{
	struct sq_listen_found found;
	struct sq_buf why = {0};

	check_address("http.listen", c->http_listen, &found, notes, problems);
	if (found.beyond && sq_broker_config_open(c) && !c->insecure)
		sq_buf_printf(&why,
		    "auth.insecure: other machines reach http.listen %s, where no token is asked "
		    "for",
		    c->http_listen);
	sq_program_problem(problems, &why);
}

static void
check_listen(const struct sq_broker_config *c, struct sq_buf *notes, struct sq_buf *problems)
{
	struct sq_listen_found found;
	struct sq_buf why = {0};

	check_address("listen.address", c->listen, &found, notes, problems);
	if (found.beyond && sq_broker_config_open(c) && !c->insecure)
		sq_buf_printf(&why,
		    "auth.insecure: other machines reach listen.address %s, and with "
		    "tls.enabled: false and no tokens asked for anybody there could read and "
		    "publish everything; set one of the two, listen on 127.0.0.1, or say "
		    "auth.insecure: true",
		    c->listen);
	sq_program_problem(problems, &why);
	if (c->http && sq_config_is_set(c->http_listen))
		check_http_listen(c, notes, problems);
	if (sq_config_is_set(c->admin_listen))
		check_address(SQ_ADMIN_KEY, c->admin_listen, &found, notes, problems);
}

static void
check_store(const struct sq_broker_config *c, struct sq_buf *problems)
{
	struct sq_buf why = {0}, line = {0};

	if (!sq_engines[c->engine]->durable)
		return;
	if (sq_store_dir_check(c->store_dir, &why) != SQ_OK)
		sq_buf_printf(&line, "store.dir: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	sq_program_problem(problems, &line);
}

void
sq_broker_config_check(
    const struct sq_broker_config *c, struct sq_buf *notes, struct sq_buf *problems)
{
	check_tls(c, problems);
	check_auth(c, problems);
	check_listen(c, notes, problems);
	check_store(c, problems);
	check_log(c, problems);
	check_readable("push.secrets-dir", c->push_secrets_dir, problems);
}
