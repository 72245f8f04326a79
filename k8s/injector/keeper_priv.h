/* The inner interface of the keeper. */
#ifndef SQ_K8S_INJECTOR_KEEPER_PRIV_H
#define SQ_K8S_INJECTOR_KEEPER_PRIV_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/file.h"
#include "k8s/injector/authority.h"
#include "k8s/injector/keeper.h"
#include "k8s/injector/metrics.h"
#include "net/kube_api/kube_api.h"

struct sq_keeper {
	struct sq_keeper_cfg cfg;
	struct sq_kube_api *api;    /* NULL with files */
	struct sq_authority *made;  /* NULL unless managed */
	struct sq_pair_texts taken; /* provided, files: the pair in use */
	struct sq_buf trusted;      /* the bundle handed over last */
	struct sq_file_stamp settings;
	bool again; /* another replica wrote at the same time: look again at once */
	/* Ends of certificates, in seconds since 1970; 0: none.  Thread: any. */
	_Atomic int64_t ca_end_s, broker_end_s, serving_end_s;
	pthread_t thread;
	pthread_mutex_t lock; /* guards 'ended' */
	pthread_cond_t ending;
	bool ended;
};

/* keeper_trust.c */
/* Hands the bundle over if it differs from the last one. */
void sq_keeper_trust(struct sq_keeper *, const struct sq_buf *bundle);

/* keeper_managed.c, keeper_provided.c, keeper_webhooks.c: a look each. */
void sq_keeper_managed(struct sq_keeper *, int64_t now_s);
void sq_keeper_provided(struct sq_keeper *, int64_t now_s);
void sq_keeper_files(struct sq_keeper *, int64_t now_s);
void sq_keeper_webhooks(struct sq_keeper *);

/* keeper_api.c */
enum { SQ_KEEPER_PATH_MAX = 640 };

enum sq_keeper_kind {
	SQ_KEEPER_SECRET,
	SQ_KEEPER_CONFIG_MAP,
	SQ_KEEPER_MUTATING,
	SQ_KEEPER_VALIDATING,
};

/* An object by name, as the API server has it. */
struct sq_keeper_object {
	enum sq_keeper_kind kind;
	const char *name;
	json_t *json; /* NULL: it is missing, or could not be read */
	bool missing;
};

/* Reads an object; where there is none, appends a line to 'why': "Secret a/b is not there". */
void sq_keeper_get(struct sq_keeper *, struct sq_keeper_object *, struct sq_buf *why);
void sq_keeper_object_fini(struct sq_keeper_object *);
/* Sends a patch of an object.  SQ_ESTALE: the object has changed meanwhile; SQ_EIO with the reason in
 * 'why'. */
int sq_keeper_patch(struct sq_keeper *, const struct sq_keeper_object *, const char *type,
    const struct sq_buf *patch, struct sq_buf *why) SQ_MUST_CHECK;

#endif
