/* The checks of bridges.dir; see broker/config/check.h. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "broker/bridge/cfg.h"
#include "broker/bridge/file.h"
#include "broker/bridge/kinds/kinds.h"
#include "broker/config/bridge_dir.h"
#include "broker/config/check.h"
#include "broker/config/file_dir.h"
#include "core/file.h"
#include "core/program.h"

enum { SECRET_MAX = 4096 }; /* bytes */

static void
check_say(
    const struct sq_bridge_cfg *c, const char *key, struct sq_buf *why, struct sq_buf *problems)
{
	struct sq_buf line = {0};

	if (sq_buf_len(why) > 0) {
		sq_buf_printf(&line, "%s: bridges.%s.%s: %.*s", c->record.where, c->record.name,
		    key, (int)sq_buf_len(why), (const char *)sq_buf_data(why));
		sq_file_dir_line(problems, &line);
	}
	sq_buf_fini(&line);
	sq_buf_fini(why);
}

static void
check_readable(
    const struct sq_bridge_cfg *c, const char *key, const char *file, struct sq_buf *problems)
{
	struct sq_buf why = {0};

	if (sq_config_is_set(file) && access(file, R_OK) != 0)
		sq_buf_printf(&why, "%s: %s", file, strerror(errno));
	check_say(c, key, &why, problems);
}

static void
check_secret(
    const struct sq_bridge_cfg *c, const char *key, const char *file, struct sq_buf *problems)
{
	struct sq_buf secret = {0}, why = {0};
	int rc = sq_config_is_set(file) ? sq_file_read_secret(file, SECRET_MAX, &secret) : SQ_OK;

	if (rc != SQ_OK)
		sq_buf_printf(&why, "%s: %s", file, sq_file_reason(rc));
	sq_buf_wipe(&secret);
	check_say(c, key, &why, problems);
}

static void
check_bridge(const struct sq_bridge_cfg *c, struct sq_buf *problems)
{
	struct sq_buf why = {0};

	if (sq_bridge_kind(c->kind) == NULL)
		sq_buf_printf(
		    &why, "this program is built without %s", sq_bridge_kind_names[c->kind]);
	check_say(c, "kind", &why, problems);
	check_readable(c, "tls.ca-file", c->ca_file, problems);
	check_readable(c, "tls.cert-file", c->cert_file, problems);
	check_secret(c, "tls.key-file", c->key_file, problems);
	check_secret(c, "credentials.user-file", c->user_file, problems);
	check_secret(c, "credentials.password-file", c->password_file, problems);
	check_secret(c, "credentials.access-key-file", c->access_key_file, problems);
	check_secret(c, "credentials.secret-key-file", c->secret_key_file, problems);
	check_secret(c, "credentials.session-token-file", c->session_token_file, problems);
}

void
sq_broker_config_check_bridges(const struct sq_broker_config *config, struct sq_buf *problems)
{
	struct sq_bridge_dir *d = sq_bridge_dir_new(config->bridges_dir);
	struct sq_bridge_file *const *v;
	struct sq_buf lines = {0};
	bool whole;
	size_t n;

	(void)sq_bridge_dir_look(d, true, &lines);
	n = sq_bridge_dir_files(d, &v, &whole);
	for (size_t i = 0; i < n; i++) {
		const struct sq_bridge_cfgs *of = sq_bridge_file_cfgs(v[i]);

		for (size_t k = 0; k < of->bridges.n; k++)
			check_bridge(&((const struct sq_bridge_cfg *)of->bridges.v)[k], &lines);
	}
	sq_bridge_dir_free(&d);
	sq_program_problem(problems, &lines);
}
