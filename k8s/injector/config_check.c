/* The checks of a start; see k8s/injector/config_check.h.  Each uses the very function
 * that opens the thing later. */
#include "k8s/injector/config_check.h"

#include "core/file.h"
#include "core/listen.h"
#include "core/program.h"
#include "k8s/injector/cert.h"
#include "k8s/injector/keeper.h"
#include "net/kube_api/kube_api.h"
#include "web/admin.h"

static void
check_settings(const struct sq_injector_config *c, struct sq_buf *problems)
{
	struct sq_settings s;
	struct sq_buf why = {0};

	if (sq_keeper_read_settings(c->settings_file, &s, &why) == SQ_OK)
		sq_settings_free(&s);
	sq_program_problem(problems, &why);
}

static void
check_address(const char *key, const char *address, struct sq_buf *notes, struct sq_buf *problems)
{
	struct sq_listen_found found;
	struct sq_buf why = {0};

	if (sq_listen_check(key, address, &found, &why) == SQ_OK && found.in_use)
		sq_buf_printf(notes, "; %s %s is in use just now", key, address);
	sq_program_problem(problems, &why);
}

static void
check_file(const char *key, const char *file, struct sq_buf *problems)
{
	struct sq_buf text = {0}, why = {0};
	int rc = sq_file_read(file, SQ_CERT_TEXT_MAX, &text);

	if (rc != SQ_OK)
		sq_buf_printf(&why, "%s: %s: %s", key, file, sq_file_reason(rc));
	sq_buf_fini(&text);
	sq_program_problem(problems, &why);
}

static void
check_api(const struct sq_injector_config *c, struct sq_buf *problems)
{
	struct sq_buf why = {0};
	struct sq_kube_api *api = sq_kube_api_new(
	    &(struct sq_kube_api_cfg){
		.server = sq_config_text(c->api_server),
		.token_file = c->token_file,
		.ca_file = c->api_ca_file,
	    },
	    &why);

	if (api != NULL)
		sq_kube_api_free(&api);
	sq_program_problem(problems, &why);
}

void
sq_injector_config_check(
    const struct sq_injector_config *c, struct sq_buf *notes, struct sq_buf *problems)
{
	check_settings(c, problems);
	check_address("listen.address", c->listen, notes, problems);
	if (sq_config_is_set(c->admin_listen))
		check_address(SQ_ADMIN_KEY, c->admin_listen, notes, problems);
	if (c->mode != SQ_CERTS_FILES) {
		check_api(c, problems);
		return;
	}
	check_file("certificates.cert-file", c->cert_file, problems);
	check_file("certificates.key-file", c->key_file, problems);
	check_file("certificates.ca-file", c->ca_file, problems);
}
