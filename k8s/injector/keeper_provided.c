/* Certificates of others, from Secrets or files; see k8s/injector/keeper.h.  Nothing is
 * made here: what does not fit together yet is waited out, and what was good stays. */
#include <openssl/x509v3.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/tls.h"
#include "k8s/injector/cert.h"
#include "k8s/injector/keeper_priv.h"
#include "k8s/injector/object.h"

/* What a pair's texts say, for use. */
struct parsed {
	X509 *cert;
	STACK_OF(X509) * chain, *bundle;
	EVP_PKEY *key;
};

static void
parsed_fini(struct parsed *p)
{
	X509_free(p->cert);
	sk_X509_pop_free(p->chain, X509_free);
	sk_X509_pop_free(p->bundle, X509_free);
	EVP_PKEY_free(p->key);
}

/* Fills '*p', which the caller frees; what is wrong with it, or NULL. */
static const char *
provided_parse(struct parsed *p, const struct sq_pair_texts *t)
{
	*p = (struct parsed){
	    .chain = sq_cert_read(sq_buf_data(&t->chain), sq_buf_len(&t->chain)),
	    .bundle = sq_cert_read(sq_buf_data(&t->bundle), sq_buf_len(&t->bundle)),
	    .key = sq_cert_read_key(sq_buf_data(&t->key), sq_buf_len(&t->key)),
	};
	if (p->bundle == NULL)
		return "no authorities in PEM format, or too many";
	if (p->chain == NULL)
		return "no certificate in PEM format";
	p->cert = sk_X509_shift(p->chain);
	if (p->key == NULL)
		return "no private key in PEM format";
	return sq_cert_has_key(p->cert, p->key) ? NULL : "not the key of the certificate";
}

/* What the API server, or a sidecar, will not like about them. */
static void
provided_judge(struct sq_keeper *k, const struct parsed *p, int64_t now_s)
{
	/* What the API server asks for is the Service's name with .svc. */
	const char *name = k->cfg.names->serving[1];

	if (!sq_cert_names(p->cert, &name, 1) &&
	    X509_check_host(p->cert, name, strlen(name), 0, NULL) != 1)
		SQ_WARN("keeper", "the webhook's certificate is not for %s", name);
	if (!sq_cert_verifies(p->cert, p->chain, p->bundle, now_s))
		SQ_WARN("keeper",
		    "the webhook's certificate is not signed by the authorities, or not "
		    "valid now");
}

/* Uses new texts if they are good. */
static void
provided_take(struct sq_keeper *k, struct sq_pair_texts *t, int64_t now_s)
{
	struct sq_buf why = {0};
	SSL_CTX *ctx = NULL;
	struct parsed p;
	const char *wrong = provided_parse(&p, t);

	if (wrong == NULL &&
	    (ctx = sq_tls_server_with(&sq_tls_alpn_http1, p.cert, p.chain, p.key, &why)) == NULL)
		wrong = "not of use to TLS";
	if (wrong != NULL) {
		sq_state_troubled(k->cfg.state, SQ_STATE_SERVING, "%s", wrong);
	} else {
		provided_judge(k, &p, now_s);
		k->cfg.serve(k->cfg.owner, ctx);
		atomic_store(&k->serving_end_s, sq_cert_span_of(p.cert).until_s);
		atomic_store(&k->ca_end_s, sq_cert_span_of(sk_X509_value(p.bundle, 0)).until_s);
		sq_pair_texts_fini(&k->taken);
		k->taken = *t;
		*t = (struct sq_pair_texts){0};
		sq_keeper_trust(k, &k->taken.bundle);
		sq_state_good(k->cfg.state, SQ_STATE_SERVING);
	}
	parsed_fini(&p);
	sq_buf_fini(&why);
}

static void
provided_offer(struct sq_keeper *k, struct sq_pair_texts *t, int64_t now_s)
{
	if (sq_buf_equal(&t->chain, &k->taken.chain) && sq_buf_equal(&t->key, &k->taken.key) &&
	    sq_buf_equal(&t->bundle, &k->taken.bundle))
		sq_state_good(k->cfg.state, SQ_STATE_SERVING);
	else
		provided_take(k, t, now_s);
}

static void
provided_trouble(struct sq_keeper *k, const struct sq_buf *why)
{
	sq_state_troubled(
	    k->cfg.state, SQ_STATE_SERVING, "%.*s", (int)sq_buf_len(why), sq_buf_data(why));
}

void
sq_keeper_provided(struct sq_keeper *k, int64_t now_s)
{
	const char *map = k->cfg.config->ca_config_map;
	bool plain = map != NULL && *map != '\0';
	struct sq_keeper_object serving = {
	    .kind = SQ_KEEPER_SECRET, .name = k->cfg.config->serving_secret};
	struct sq_keeper_object ca = {.kind = plain ? SQ_KEEPER_CONFIG_MAP : SQ_KEEPER_SECRET,
	    .name = plain ? map : k->cfg.names->ca_secret};
	struct sq_pair_texts t = {0};
	const struct sq_object_entry entries[] = {{"tls.crt", &t.chain}, {"tls.key", &t.key}};
	const struct sq_object_entry trust = {"ca.crt", &t.bundle};
	struct sq_buf why = {0};

	sq_keeper_get(k, &serving, &why);
	if (serving.json != NULL)
		sq_keeper_get(k, &ca, &why);
	if (serving.json != NULL && ca.json != NULL) {
		sq_object_read(serving.json, false, entries, SQ_ARRAY_LEN(entries));
		sq_object_read(ca.json, plain, &trust, 1);
		provided_offer(k, &t, now_s);
	} else {
		provided_trouble(k, &why);
	}
	sq_keeper_object_fini(&serving);
	sq_keeper_object_fini(&ca);
	sq_pair_texts_fini(&t);
	sq_buf_fini(&why);
}

/* Reads one file, or says in 'why' why not. */
static bool
files_read(const char *key, const char *file, struct sq_buf *out, struct sq_buf *why)
{
	int rc = sq_file_read(file, SQ_CERT_TEXT_MAX, out);

	if (rc != SQ_OK)
		sq_buf_printf(why, "%s: %s: %s", key, file, sq_file_reason(rc));
	return rc == SQ_OK;
}

void
sq_keeper_files(struct sq_keeper *k, int64_t now_s)
{
	const struct sq_injector_config *c = k->cfg.config;
	struct sq_pair_texts t = {0};
	struct sq_buf why = {0};

	if (files_read("certificates.cert-file", c->cert_file, &t.chain, &why) &&
	    files_read("certificates.key-file", c->key_file, &t.key, &why) &&
	    files_read("certificates.ca-file", c->ca_file, &t.bundle, &why))
		provided_offer(k, &t, now_s);
	else
		provided_trouble(k, &why);
	sq_pair_texts_fini(&t);
	sq_buf_fini(&why);
}
