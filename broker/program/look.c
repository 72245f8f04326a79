/* The configuration, read again. */
#include "broker/program/main_priv.h"

#include "broker/auth/acl/acl.h"
#include "broker/broker.h"
#include "broker/config/fit.h"
#include "broker/config/live.h"
#include "broker/config/push_live.h"
#include "broker/metrics/metrics.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/notify.h"

static const char *
main_source(const struct sq_main *p)
{
	return p->live->file != NULL ? p->live->file : "the configuration";
}

void
sq_main_memory(const struct sq_broker_config *c)
{
	sq_memory_limit_set(c->memory != 0 ? c->memory : sq_memory_share(sq_memory_room(""), 3));
}

/* Puts in force what is live of a configuration that was read again. */
static void
main_take(struct sq_main *p, const struct sq_broker_config *now, struct sq_acl *acl)
{
	struct sq_broker_cfg cfg = sq_broker_config_cfg(now);
	size_t n = sq_acl_rules(acl);

	sq_main_memory(now); /* what else is in force follows from it */
	sq_broker_config_fit(&cfg);
	sq_log_set_level((enum sq_log_level)now->log_level);
	if (p->broker != NULL)
		sq_broker_set_limits(p->broker, &cfg);
	sq_broker_config_set_limits(p->config, now);
	if (p->broker != NULL) {
		sq_broker_set_acl(p->broker, acl); /* before the log says so */
		sq_push_live_take(p->push, p->broker, now);
	} else {
		sq_acl_unref(&acl);
		p->changed = true; /* it is read again once there is a broker */
	}
	SQ_INFO("broker", "%s was read again: %zu rule%s of acl in force", main_source(p), n,
	    n == 1 ? "" : "s");
	sq_reload_good(&p->reload, main_source(p), p->config, now);
}

bool
sq_main_look(struct sq_main *p, bool asked)
{
	struct sq_broker_config now = {0};
	struct sq_acl *acl = NULL;
	struct sq_buf err = {0};
	int rc;

	if (asked)
		sq_notify_set(p->notify, SQ_NOTIFY_RELOADING);
	rc = sq_config_live_look(p->live, asked, &now, &err);
	if (rc == SQ_OK)
		acl = sq_broker_config_acl(&now, &err);
	if (rc != SQ_EAGAIN)
		sq_metric_set(&sq_broker_metrics, SQ_M_ACL_STALE, acl == NULL);
	if (acl != NULL)
		main_take(p, &now, acl);
	else if (rc != SQ_EAGAIN)
		sq_reload_bad(&p->reload, "the rules of acl and all else stay", &err);
	sq_broker_config_free(&now);
	sq_buf_fini(&err);
	return acl != NULL;
}
