#include "broker/config/who.h"

#include "broker/engine/engines/engines.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/memory.h"

void
sq_broker_config_say_who(const struct sq_broker_config *c)
{
	const struct {
		const char *key;
		bool set;
	} ways[] = {
	    {"auth.tokens-file", sq_config_is_set(c->tokens_file)},
	    {"auth.client-ca-file", sq_config_is_set(c->client_ca_file)},
	    {"auth.kubernetes", c->kubernetes},
	    {"auth.issuers", c->issuers.n > 0},
	};
	struct sq_buf by = {0};

	for (size_t i = 0; i < SQ_ARRAY_LEN(ways); i++)
		if (ways[i].set)
			sq_buf_printf(&by, "%s%s", sq_buf_len(&by) > 0 ? ", " : "", ways[i].key);
	if (sq_buf_len(&by) == 0)
		sq_buf_printf(&by, "nothing: nobody is asked for a credential");
	SQ_INFO("broker", "who may come is known by %.*s; rules of acl: %zu; limits.memory: %llu",
	    (int)sq_buf_len(&by), (const char *)sq_buf_data(&by), c->acl.n,
	    (unsigned long long)sq_memory_limit());
	sq_buf_fini(&by);
	if (sq_broker_config_open(c) && c->insecure)
		SQ_WARN("broker",
		    "auth.insecure: whoever reaches %s may read and publish everything", c->listen);
	if (!sq_engines[c->engine]->durable)
		SQ_INFO("broker", "engine %s: sessions and messages do not survive a restart",
		    sq_engines[c->engine]->name);
}
