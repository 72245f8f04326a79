/* The certificates of an installation: an authority (CA), the broker's certificate
 * and the injector's own, each renewed at two thirds of its life.
 *
 *   CA Secret      bundle, keys, cross certificates, shared by replicas
 *   broker Secret  chain, key, bundle, mounted by brokers
 *   serving pair   of each replica, in memory only
 *
 * Pure: the contents of Secrets and the time in, contents to write out.  Its user reads and writes the
 * Secrets, as other replicas do: nothing new is used before it is written, and a replica that lost a
 * race reads again.
 *
 * A new CA comes in three steps, so that no peer is ever refused:
 *
 *   renewal  the bundle has both, the old one signs on; it also signs the new one's key
 *   switch   (overlap later) the new one signs; the old one's key is deleted.  The cross
 *            certificate is sent in each chain until the old CA ends, for clients whose
 *            bundle is older than the renewal
 *   forget   (overlap later) the bundle has the new one alone
 *
 * A Secret that lost its data gets the data held here; so does a Secret with a predecessor, or with
 * a strange CA that is younger than the one held.  Where no replica holds a CA but brokers still have
 * a certificate, the CA that signed it stays in the bundle, and the certificate in use, until a
 * switch as above. */
#ifndef SQ_K8S_INJECTOR_AUTHORITY_H
#define SQ_K8S_INJECTOR_AUTHORITY_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

struct sq_authority;

/* Borrowed as long as the authority lives. */
struct sq_authority_cfg {
	const char *name;                                       /* in the CAs' common name */
	const char *const *broker_names, *const *serving_names; /* DNS, most telling first */
	size_t n_broker_names, n_serving_names;
	int64_t ca_s, leaf_s, overlap_s; /* lifetimes; see the map above */
};

/* The CA Secret's data: PEM, and times as RFC 3339 has them.  Empty: not there. */
struct sq_ca_texts {
	struct sq_buf bundle;       /* newest first */
	struct sq_buf key;          /* of the newest */
	struct sq_buf previous_key; /* of the one before, until the switch */
	struct sq_buf cross;        /* newest first */
	struct sq_buf switch_at, forget_at;
};

/* The broker Secret's. */
struct sq_pair_texts {
	struct sq_buf chain, key, bundle;
};

enum sq_authority_step {
	SQ_AUTHORITY_KEEP,  /* the Secret is right, and used from now on */
	SQ_AUTHORITY_WRITE, /* it must be written first */
	SQ_AUTHORITY_WAIT,  /* a new CA is put off: a replica that holds the old one may write it */
};

/* Ends of certificates, in seconds since 1970; 0: there is none. */
struct sq_authority_ends {
	int64_t ca_s, broker_s, serving_s;
};

struct sq_authority *sq_authority_new(const struct sq_authority_cfg *);
void sq_authority_free(struct sq_authority **);

/* The next step for the CA Secret, given both Secrets.  WRITE fills 'write', which the caller frees;
 * once it is written, the caller calls sq_authority_ca_written(). */
enum sq_authority_step sq_authority_ca(struct sq_authority *, const struct sq_ca_texts *seen,
    const struct sq_pair_texts *broker, int64_t now_s, struct sq_ca_texts *write);
void sq_authority_ca_written(struct sq_authority *);

/* From here on there must be a CA: KEEP, or written. */

/* The same of the broker Secret; never WAIT. */
enum sq_authority_step sq_authority_broker(struct sq_authority *, const struct sq_pair_texts *seen,
    int64_t now_s, struct sq_pair_texts *write);
void sq_authority_broker_written(struct sq_authority *);
/* Makes a serving pair if there is none or the time has come; true if so. */
bool sq_authority_serving(struct sq_authority *, int64_t now_s);

/* The serving pair; the authority's, until it makes another. */
X509 *sq_authority_cert(const struct sq_authority *);
EVP_PKEY *sq_authority_key(const struct sq_authority *);
STACK_OF(X509) * sq_authority_chain(const struct sq_authority *); /* what is sent behind it */
/* The bundle that clients trust, PEM; empty without a CA. */
const struct sq_buf *sq_authority_bundle(const struct sq_authority *);
struct sq_authority_ends sq_authority_ends(const struct sq_authority *);

/* Free texts; keys are wiped. */
void sq_ca_texts_fini(struct sq_ca_texts *);
void sq_pair_texts_fini(struct sq_pair_texts *);

#endif
