/* Names of an installation's objects and Services; all follow from its settings, but
 * for those that the configuration gives. */
#ifndef SQ_K8S_INJECTOR_NAMES_H
#define SQ_K8S_INJECTOR_NAMES_H

#include <stddef.h>

#include "k8s/injector/config.h"
#include "k8s/patch/settings.h"

enum {
	SQ_NAMES_OF_SERVICES = 8, /* of the broker's */
	SQ_NAMES_BROKER = SQ_NAMES_OF_SERVICES + SQ_INJECTOR_BROKER_NAMES_MAX,
	SQ_NAMES_SERVING = 4,
};

struct sq_names {
	char *space; /* namespace */
	char *fullname, *domain;
	char *title;   /* "sqmqos-system/sqmqos": in the CA's name */
	char *service; /* of the webhook */
	char *ca_secret, *broker_secret, *webhooks;
	/* DNS names: short, in the namespace, .svc, full; each broker's own by the headless
	 * Service; then those of the configuration. */
	char *broker[SQ_NAMES_BROKER], *serving[SQ_NAMES_SERVING];
	size_t n_broker;
};

void
sq_names_make(struct sq_names *, const struct sq_settings *, const struct sq_injector_config *);
void sq_names_free(struct sq_names *);

#endif
