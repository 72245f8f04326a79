/* An authority's state, as in the CA Secret: trusted certificates, the signer, and steps that are due.
 * A part of k8s/injector/authority. */
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

/* Makes a new CA.  'old', if not NULL, has CAs whose certificates stay in use until the switch. */
void sq_ca_make(struct sq_ca *, const struct sq_authority_cfg *, STACK_OF(X509) * old,
    int64_t switch_s, int64_t now_s);
/* Reads a Secret's data; false, with '*ca' zeroed: there is none, or it is broken. */
bool sq_ca_read(struct sq_ca *, const struct sq_ca_texts *);
void sq_ca_write(const struct sq_ca *, struct sq_ca_texts *out);
void sq_ca_fini(struct sq_ca *);
/* Moves '*from' to '*to', which is freed first. */
void sq_ca_move(struct sq_ca *to, struct sq_ca *from);
void sq_ca_copy(struct sq_ca *to, const struct sq_ca *from);

/* Does the steps that are due (renewal, switch, forgetting); true if anything has changed. */
bool sq_ca_advance(struct sq_ca *, const struct sq_authority_cfg *, int64_t now_s);
/* Whether 'seen' must give way to 'held': it is a predecessor, or of another line that is younger. */
bool sq_ca_gives_way(const struct sq_ca *seen, const struct sq_ca *held, int64_t now_s);

/* The signer at that time. */
struct sq_cert_issuer sq_ca_signer(const struct sq_ca *, int64_t now_s);
/* Whether certificates of an older CA stay in use, though its key is gone. */
bool sq_ca_keeps_old(const struct sq_ca *, int64_t now_s);
/* The chain behind a certificate of that issuer: cross certificates, or NULL. */
STACK_OF(X509) * sq_ca_chain(const struct sq_ca *, const X509 *issuer);

/* A span of 'life_s' from now on: a tenth of it, at most five minutes, lies before
 * now, for clients whose clocks are behind. */
struct sq_cert_span sq_ca_span(int64_t now_s, int64_t life_s);
/* The time of renewal, after two thirds of the span. */
int64_t sq_ca_renew_s(struct sq_cert_span);

#endif
