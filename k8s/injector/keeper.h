/* The keeper: a thread that checks settings, certificates and objects around the injector every few
 * seconds, and repairs those that the injector owns.
 *
 *   keeper.c           the thread; settings; context of the server
 *   keeper_managed.c   certificates that are made here: authority.h and its two Secrets
 *   keeper_provided.c  certificates of others: Secrets, ConfigMap or files
 *   keeper_webhooks.c  the caBundle of both webhook configurations
 *   keeper_api.c       the API server's objects
 *
 * New settings and certificates go to its user by calls on the keeper's thread. */
#ifndef SQ_K8S_INJECTOR_KEEPER_H
#define SQ_K8S_INJECTOR_KEEPER_H

#include <openssl/ssl.h>

#include "core/buf.h"
#include "k8s/injector/config.h"
#include "k8s/injector/names.h"
#include "k8s/injector/state.h"
#include "k8s/patch/settings.h"

struct sq_keeper;

struct sq_keeper_cfg {
	const struct sq_injector_config *config; /* borrowed, all of them */
	const struct sq_names *names;
	struct sq_state *state;
	/* Calls on the keeper's thread.  A new context of the server, now the callee's. */
	void (*serve)(void *owner, SSL_CTX *);
	/* The bundle that sidecars trust, PEM. */
	void (*trust)(void *owner, const struct sq_buf *bundle);
	/* Settings of sidecars, whose contents the callee takes. */
	void (*settings)(void *owner, struct sq_settings *);
	void *owner;
};

/* NULL with a line in 'err' if there is no API server to ask. */
struct sq_keeper *sq_keeper_start(const struct sq_keeper_cfg *, struct sq_buf *err);
/* Ends the thread, a running request included.  Nulls '*k', which may be NULL. */
void sq_keeper_stop(struct sq_keeper **k);

/* Reads the settings file. SQ_EINVAL with a line in 'err' that begins with its name. */
int sq_keeper_read_settings(
    const char *file, struct sq_settings *out, struct sq_buf *err) SQ_MUST_CHECK;
/* Sets the gauges of the certificates' ends.  Thread: any. */
void sq_keeper_set_ends(const struct sq_keeper *);

#endif
