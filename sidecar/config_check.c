/* The checks of a start; see sidecar/config_check.h.  Each uses the very function that
 * opens the thing later, and closes it again. */
#include "sidecar/config_check.h"

#include <string.h>

#include "core/listen.h"
#include "core/program.h"
#include "net/peers.h"
#include "sidecar/mqtt/listener.h"
#include "net/conn/pair.h"
#include "sidecar/mqtt/password.h"
#include "sidecar/declared/pod_annotations.h"
#include "net/conn/bearer.h"
#include "net/trust.h"
#include "store/dir.h"
#include "web/admin.h"

/* Checks the keys of links. */
static void
check_links(const struct sq_sidecar_cfg *cfg, struct sq_buf *problems)
{
	struct sq_buf why = {0};
	struct sq_bearer *token;

	if (sq_peers_check(&cfg->brokers, &why) != 0)
		sq_program_problem(problems, &why);
	token = sq_bearer_open(cfg->token_file, &why);
	sq_bearer_free(&token);
	sq_program_problem(problems, &why);
	if (cfg->tls) {
		struct sq_trust_cfg trusted = {.ca_file = cfg->ca_file, .ca = cfg->ca};
		struct sq_trust *trust = sq_trust_new(&trusted, &why);

		sq_trust_free(&trust);
	}
	sq_program_problem(problems, &why);
	if (cfg->tls && sq_config_is_set(cfg->cert_file)) {
		struct sq_pair *pair = sq_pair_open(cfg->cert_file, cfg->key_file, &why);

		sq_pair_free(&pair);
	}
	sq_program_problem(problems, &why);
}

static void
check_passwords(const struct sq_sidecar_cfg *cfg, struct sq_buf *problems)
{
	struct sq_buf why = {0};
	struct sq_passwords *p;

	if (!sq_config_is_set(cfg->password_file))
		return;
	p = sq_passwords_open(cfg->password_file, &why);
	sq_passwords_free(&p);
	sq_program_problem(problems, &why);
}

static void
check_addresses(const struct sq_sidecar_cfg *cfg, struct sq_buf *notes, struct sq_buf *problems)
{
	struct sq_listen_found found;
	struct sq_buf why = {0};
	bool in_use;

	if (sq_listener_check(cfg, &in_use, &why) == 0 && in_use)
		sq_buf_printf(notes, "; an address for MQTT clients is in use just now");
	sq_program_problem(problems, &why);
	if (!sq_config_is_set(cfg->admin_listen))
		return;
	if (sq_listen_check(SQ_ADMIN_KEY, cfg->admin_listen, &found, &why) == 0 && found.in_use)
		sq_buf_printf(notes, "; " SQ_ADMIN_KEY " %s is in use just now", cfg->admin_listen);
	sq_program_problem(problems, &why);
}

static void
check_outbox(const struct sq_sidecar_cfg *cfg, const struct sq_outbox_annotation *annotated,
    struct sq_buf *problems)
{
	struct sq_buf why = {0}, line = {0};

	if ((annotated->set ? annotated->mode : cfg->outbox_mode) != SQ_OUTBOX_DISK)
		return;
	if (!sq_config_is_set(cfg->outbox_dir)) /* else the configuration is refused before */
		sq_buf_printf(&line,
		    "annotations.file: %s: " SQ_ANNOTATION_OUTBOX ": disk needs outbox.dir",
		    cfg->annotations_file);
	else if (sq_store_dir_check(cfg->outbox_dir, &why) != 0)
		sq_buf_printf(&line, "outbox.dir: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	sq_program_problem(problems, &line);
}

/* The sidecar does without it. */
static void
check_state(const struct sq_sidecar_cfg *cfg, struct sq_buf *notes)
{
	struct sq_buf why = {0};

	if (sq_config_is_set(cfg->state_dir) && sq_store_dir_check(cfg->state_dir, &why) != 0)
		sq_buf_printf(notes, "; state.dir can't be used: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
}

void
sq_sidecar_config_check(
    const struct sq_sidecar_cfg *cfg, bool all, struct sq_buf *notes, struct sq_buf *problems)
{
	struct sq_outbox_annotation annotated;

	check_links(cfg, problems);
	check_passwords(cfg, problems);
	check_addresses(cfg, notes, problems);
	if (!all)
		return;
	annotated = sq_pod_annotations_verify(cfg, notes, problems);
	check_outbox(cfg, &annotated, problems);
	check_state(cfg, notes);
}
