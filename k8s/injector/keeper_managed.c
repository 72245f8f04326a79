/* Certificates that are made here, and the two Secrets that have them; see
 * k8s/injector/keeper.h.  What is to be done authority.h says. */
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/tls.h"
#include "k8s/injector/keeper_priv.h"
#include "k8s/injector/object.h"

enum { CA_ENTRIES = 6, PAIR_ENTRIES = 3 };

/* The names of the Secrets' entries. */
static void
managed_ca_entries(struct sq_ca_texts *t, struct sq_object_entry out[CA_ENTRIES])
{
	const struct sq_object_entry entries[CA_ENTRIES] = {
	    {"ca.crt", &t->bundle},
	    {"ca.key", &t->key},
	    {"previous.key", &t->previous_key},
	    {"cross.crt", &t->cross},
	    {"switch-at", &t->switch_at},
	    {"forget-at", &t->forget_at},
	};

	memcpy(out, entries, sizeof entries);
}

static void
managed_pair_entries(struct sq_pair_texts *t, struct sq_object_entry out[PAIR_ENTRIES])
{
	const struct sq_object_entry entries[PAIR_ENTRIES] = {
	    {"tls.crt", &t->chain},
	    {"tls.key", &t->key},
	    {"ca.crt", &t->bundle},
	};

	memcpy(out, entries, sizeof entries);
}

/* Writes a Secret; true if it was so.  Else says why not, or asks for another look. */
static bool
managed_write(struct sq_keeper *k, const struct sq_keeper_object *o, enum sq_state_item item,
    const struct sq_object_entry *entries, size_t n)
{
	struct sq_buf patch = {0}, why = {0};
	int rc;

	sq_object_write(o->json, entries, n, &patch);
	rc = sq_keeper_patch(k, o, SQ_OBJECT_MERGE, &patch, &why);
	if (rc == SQ_ESTALE)
		k->again = true;
	else if (rc != SQ_OK)
		sq_state_troubled(
		    k->cfg.state, item, "%.*s", (int)sq_buf_len(&why), sq_buf_data(&why));
	else
		SQ_INFO("keeper", "Secret %s/%s is written", k->cfg.names->space, o->name);
	sq_buf_wipe(&patch);
	sq_buf_fini(&why);
	return rc == SQ_OK;
}

/* Whether there is a CA to work with. */
static bool
managed_has_ca(const struct sq_keeper *k)
{
	return sq_buf_len(sq_authority_bundle(k->made)) > 0;
}

static void
managed_ca(struct sq_keeper *k, const struct sq_keeper_object *ca,
    const struct sq_pair_texts *broker, int64_t now_s)
{
	struct sq_ca_texts seen = {0}, write = {0};
	struct sq_object_entry entries[CA_ENTRIES];

	managed_ca_entries(&seen, entries);
	sq_object_read(ca->json, false, entries, CA_ENTRIES);
	switch (sq_authority_ca(k->made, &seen, broker, now_s, &write)) {
	case SQ_AUTHORITY_KEEP:
		sq_state_good(k->cfg.state, SQ_STATE_CA);
		break;
	case SQ_AUTHORITY_WRITE:
		managed_ca_entries(&write, entries);
		if (!managed_write(k, ca, SQ_STATE_CA, entries, CA_ENTRIES))
			break;
		sq_metric_add(&sq_injector_metrics, SQ_IM_WROTE_CA, 1);
		sq_authority_ca_written(k->made);
		sq_state_good(k->cfg.state, SQ_STATE_CA);
		break;
	case SQ_AUTHORITY_WAIT:
		sq_state_troubled(k->cfg.state, SQ_STATE_CA,
		    "Secret %s/%s is empty, but brokers have certificates: waiting a little for an "
		    "injector that still has their authority",
		    k->cfg.names->space, ca->name);
		break;
	}
	sq_ca_texts_fini(&seen);
	sq_ca_texts_fini(&write);
}

static void
managed_broker(struct sq_keeper *k, const struct sq_keeper_object *broker,
    const struct sq_pair_texts *seen, int64_t now_s)
{
	struct sq_pair_texts write = {0};
	struct sq_object_entry entries[PAIR_ENTRIES];

	if (sq_authority_broker(k->made, seen, now_s, &write) == SQ_AUTHORITY_KEEP) {
		sq_state_good(k->cfg.state, SQ_STATE_BROKER);
		return;
	}
	managed_pair_entries(&write, entries);
	if (managed_write(k, broker, SQ_STATE_BROKER, entries, PAIR_ENTRIES)) {
		sq_metric_add(&sq_injector_metrics, SQ_IM_WROTE_BROKER, 1);
		sq_authority_broker_written(k->made);
		sq_state_good(k->cfg.state, SQ_STATE_BROKER);
	}
	sq_pair_texts_fini(&write);
}

static void
managed_serving(struct sq_keeper *k, int64_t now_s)
{
	struct sq_buf why = {0};
	SSL_CTX *ctx;

	if (!sq_authority_serving(k->made, now_s))
		return;
	ctx = sq_tls_server_with(&sq_tls_alpn_http1, sq_authority_cert(k->made),
	    sq_authority_chain(k->made), sq_authority_key(k->made), &why);
	if (ctx != NULL) {
		k->cfg.serve(k->cfg.owner, ctx);
		sq_state_good(k->cfg.state, SQ_STATE_SERVING);
	} else {
		sq_state_troubled(k->cfg.state, SQ_STATE_SERVING, "%.*s", (int)sq_buf_len(&why),
		    sq_buf_data(&why));
	}
	sq_buf_fini(&why);
}

static void
managed_ends(struct sq_keeper *k)
{
	struct sq_authority_ends ends = sq_authority_ends(k->made);

	atomic_store(&k->ca_end_s, ends.ca_s);
	atomic_store(&k->broker_end_s, ends.broker_s);
	atomic_store(&k->serving_end_s, ends.serving_s);
}

/* Says why a Secret can't be had. */
static void
managed_trouble(struct sq_keeper *k, enum sq_state_item item, const struct sq_keeper_object *o,
    struct sq_buf *why)
{
	sq_state_troubled(k->cfg.state, item, "%.*s%s", (int)sq_buf_len(why), sq_buf_data(why),
	    o->missing ? "; the chart makes it, the injector may not: it is filled when it is there"
		       : "");
}

void
sq_keeper_managed(struct sq_keeper *k, int64_t now_s)
{
	struct sq_keeper_object ca = {.kind = SQ_KEEPER_SECRET, .name = k->cfg.names->ca_secret};
	struct sq_keeper_object broker = {
	    .kind = SQ_KEEPER_SECRET, .name = k->cfg.names->broker_secret};
	struct sq_buf why_ca = {0}, why_broker = {0};
	struct sq_object_entry entries[PAIR_ENTRIES];
	struct sq_pair_texts seen = {0};

	sq_keeper_get(k, &ca, &why_ca);
	sq_keeper_get(k, &broker, &why_broker);
	managed_pair_entries(&seen, entries);
	sq_object_read(broker.json, false, entries, PAIR_ENTRIES);
	/* Whether brokers have certificates must be known before a CA is made. */
	if (ca.json == NULL)
		managed_trouble(k, SQ_STATE_CA, &ca, &why_ca);
	else if (managed_has_ca(k) || broker.json != NULL || broker.missing)
		managed_ca(k, &ca, &seen, now_s);
	if (broker.json == NULL)
		managed_trouble(k, SQ_STATE_BROKER, &broker, &why_broker);
	else if (managed_has_ca(k) && !k->again)
		managed_broker(k, &broker, &seen, now_s);
	if (managed_has_ca(k)) {
		managed_serving(k, now_s);
		sq_keeper_trust(k, sq_authority_bundle(k->made));
	}
	managed_ends(k);
	sq_keeper_object_fini(&ca);
	sq_keeper_object_fini(&broker);
	sq_pair_texts_fini(&seen);
	sq_buf_fini(&why_ca);
	sq_buf_fini(&why_broker);
}
