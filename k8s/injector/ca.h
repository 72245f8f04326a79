/* An authority's state, as the CA Secret has it: which certificates are trusted, who
 * signs, and what becomes due.  A part of k8s/injector/authority. */
#ifndef SQ_K8S_INJECTOR_CA_H
#define SQ_K8S_INJECTOR_CA_H

#include "k8s/injector/authority.h"
#include "k8s/injector/cert.h"

/* Zeroed: none. */
struct sq_ca {
	STACK_OF(X509) * bundle;    /* newest first; NULL: there is no CA */
	EVP_PKEY *key;              /* of the newest */
	EVP_PKEY *previous;         /* of bundle[1], until the switch; or NULL */
	STACK_OF(X509) * cross;     /* newest first */
	int64_t switch_s, forget_s; /* 0: not due */
};

/* Makes one.  'old', if not NULL, are CAs that signed what is in use until then. */
void sq_ca_make(struct sq_ca *, const struct sq_authority_cfg *, STACK_OF(X509) * old,
    int64_t switch_s, int64_t now_s);
/* Reads what a Secret has; false, with '*ca' zeroed, if that is nothing or broken. */
bool sq_ca_read(struct sq_ca *, const struct sq_ca_texts *);
void sq_ca_write(const struct sq_ca *, struct sq_ca_texts *out);
void sq_ca_fini(struct sq_ca *);
/* Moves '*from' to '*to', which is freed first. */
void sq_ca_move(struct sq_ca *to, struct sq_ca *from);
void sq_ca_copy(struct sq_ca *to, const struct sq_ca *from);

/* Does what is due: renewal, switch, forgetting; true if anything has changed. */
bool sq_ca_advance(struct sq_ca *, const struct sq_authority_cfg *, int64_t now_s);
/* Whether 'seen' must give way to 'held': it comes before it, or is of another line
 * that is younger. */
bool sq_ca_gives_way(const struct sq_ca *seen, const struct sq_ca *held, int64_t now_s);

/* Who signs at that time. */
struct sq_cert_issuer sq_ca_signer(const struct sq_ca *, int64_t now_s);
/* Whether what an older CA signed stays in use, though nobody has its key. */
bool sq_ca_keeps_old(const struct sq_ca *, int64_t now_s);
/* What is sent behind a certificate of that issuer: cross certificates, or NULL. */
STACK_OF(X509) * sq_ca_chain(const struct sq_ca *, const X509 *issuer);

/* A span of 'life_s' from now on: a tenth of it, at most five minutes, lies before
 * now, for clients whose clocks are behind. */
struct sq_cert_span sq_ca_span(int64_t now_s, int64_t life_s);
/* When it is to be renewed: two thirds of the span. */
int64_t sq_ca_renew_s(struct sq_cert_span);

#endif
