#include "broker/config/push_live.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/config/config.h"
#include "broker/config/push.h"
#include "broker/push/policy.h"
#include "broker/push/push.h"
#include "broker/push/secrets.h"
#include "core/log.h"
#include "core/mem.h"
#include "net/cred/cred.h"
#include "net/curl/shared.h"

enum { NAME_MAX_LEN = 253 };

struct sq_push_live {
	struct sq_push_policy *policy;
	struct sq_secrets *secrets;
	struct sq_out_shared *out;
	struct sq_creds *creds;
	struct sq_push_cfg cfg;
	char name[NAME_MAX_LEN + 1]; /* the machine's */
};

struct sq_push_live *
sq_push_live_new(
    const struct sq_broker_config *c, void (*wake)(void *), void *arg, struct sq_buf *err)
{
	struct sq_push_policy *policy = sq_broker_config_policy(c, err);
	struct sq_push_live *live;

	if (policy == NULL)
		return NULL;
	live = sq_xcalloc(1, sizeof *live);
	live->policy = policy;
	live->secrets = sq_secrets_new(sq_config_text(c->push_secrets_dir), wake, arg);
	live->out = sq_out_shared_new(&(struct sq_out_cfg){
	    .user_agent = "sqmqos/" SQ_VERSION,
	    .proxy = sq_config_text(c->push_proxy),
	    .per_origin = (unsigned)c->push_per_origin,
	});
	live->creds = sq_creds_new(&(struct sq_creds_cfg){.out = live->out});
	if (gethostname(live->name, NAME_MAX_LEN) != 0 || live->name[0] == '\0')
		(void)snprintf(live->name, sizeof live->name, "sqmqos");
	live->cfg = (struct sq_push_cfg){
	    .install = sq_config_is_set(c->push_origin) ? c->push_origin : live->name,
	    .metrics_queues = (size_t)c->metrics_queues,
	    .max_reply = (size_t)c->max_packet,
	    .policy = live->policy,
	    .secrets = live->secrets,
	    .out = live->out,
	};
	return live;
}

void
sq_push_live_free(struct sq_push_live **lp)
{
	struct sq_push_live *live = *lp;

	*lp = NULL;
	if (live == NULL)
		return;
	sq_out_shared_free(&live->out);
	sq_creds_free(&live->creds);
	sq_secrets_free(&live->secrets);
	sq_push_policy_unref(&live->policy);
	free(live);
}

const struct sq_push_cfg *
sq_push_live_cfg(const struct sq_push_live *live)
{
	return &live->cfg;
}

struct sq_out_shared *
sq_push_live_out(const struct sq_push_live *live)
{
	return live->out;
}

struct sq_creds *
sq_push_live_creds(const struct sq_push_live *live)
{
	return live->creds;
}

void
sq_push_live_look(struct sq_push_live *live, uint64_t now_ms)
{
	sq_secrets_look(live->secrets, now_ms);
	sq_creds_look(live->creds);
}

void
sq_push_live_take(
    struct sq_push_live *live, struct sq_broker *b, const struct sq_broker_config *now)
{
	struct sq_buf err = {0};
	struct sq_push_policy *policy = sq_broker_config_policy(now, &err);

	if (policy == NULL) { /* it was good a moment ago, as the configuration was read */
		SQ_ERROR("broker", "%.*s; where pushes may go stays as before",
		    (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	} else {
		sq_pushes_set_policy(sq_broker_pushes(b), policy);
		sq_push_policy_unref(&live->policy);
		live->policy = live->cfg.policy = policy;
	}
	sq_buf_fini(&err);
}
