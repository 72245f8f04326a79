/* See broker/auth/cert_name.h. */
#include "broker/auth/cert_name.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "core/glob.h"
#include "core/mem.h"

/* The one name of that type; false with 'many' if there are several. */
static bool
name_find(const GENERAL_NAMES *names, int type, struct sq_bytes *out, bool *many)
{
	unsigned n = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type != type)
			continue;
		*out = (struct sq_bytes){
		    ASN1_STRING_get0_data(g->d.ia5), (size_t)ASN1_STRING_length(g->d.ia5)};
		n++;
	}
	*many = n > 1;
	return n == 1;
}

bool
sq_cert_name(X509 *cert, struct sq_buf *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	struct sq_bytes found = {0};
	size_t from = sq_buf_len(out);
	bool many, good;

	good = name_find(names, GEN_URI, &found, &many) ||
	    (!many && name_find(names, GEN_DNS, &found, &many));
	good = good && found.len > 0 && memchr(found.p, '\0', found.len) == NULL;
	if (good) {
		sq_buf_append(out, found.p, found.len);
		sq_buf_u8(out, 0);
		good = sq_identity_text(
		    (const char *)sq_buf_data(out) + from, SQ_IDENTITY_NAME_MAX);
	}
	GENERAL_NAMES_free(names);
	return good;
}

/* Takes one part of the path up to 'end'; NULL: it is not so. */
static const char *
name_after(const char *at, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(at, prefix, len) == 0 ? at + len : NULL;
}

/* NAMESPACE of spiffe://TRUST/ns/NAMESPACE/sa/ACCOUNT, the caller's; NULL: it is no such. */
static char *
name_namespace(const char *name)
{
	const char *trust = name_after(name, "spiffe://"), *path, *ns, *end, *account;
	char *space;

	path = trust != NULL ? strchr(trust, '/') : NULL;
	ns = path != NULL && path > trust ? name_after(path, "/ns/") : NULL;
	end = ns != NULL ? strchr(ns, '/') : NULL;
	account = end != NULL ? name_after(end, "/sa/") : NULL;
	if (account == NULL || *account == '\0' || strchr(account, '/') != NULL)
		return NULL;
	space = sq_xmemdup0(ns, (size_t)(end - ns));
	if (!sq_identity_text(space, SQ_KEY_PART_MAX)) {
		free(space);
		return NULL;
	}
	return space;
}

static const struct sq_identity *
name_identity(const char *name, const char *const *spaces, size_t n, int64_t expires_s)
{
	struct sq_buf text = {0};
	const struct sq_identity *who;

	sq_buf_printf(&text, "cert:%s%c", name, 0);
	who = sq_identity_new(&(struct sq_identity){
	    .id = sq_identity_id("cert", "", "", name),
	    .expires_s = expires_s,
	    .name = (const char *)sq_buf_data(&text),
	    .spaces = spaces,
	    .n_spaces = n,
	});
	sq_buf_fini(&text);
	return who;
}

const struct sq_identity *
sq_cert_identity(
    const char *name, const struct sq_auth_certificate *rules, size_t n, int64_t expires_s)
{
	const struct sq_identity *who = NULL;
	char *space;

	for (size_t i = 0; i < n; i++)
		if (sq_glob_match(rules[i].name, name))
			return name_identity(name, rules[i].spaces, rules[i].n_spaces, expires_s);
	space = n == 0 ? name_namespace(name) : NULL;
	if (space != NULL)
		who = name_identity(name, (const char *const *)&space, 1, expires_s);
	free(space);
	return who;
}
