/* The bundle of authorities; see bundle.h. */
#include "broker/front/link/bundle.h"

#include <openssl/ssl.h>
#include <stdlib.h>

#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/tls.h"
#include "proto/link/trust.h"

struct sq_bundle {
	char *file; /* NULL: none */
	struct sq_file_stamp stamp;
	struct sq_buf text;
	uint64_t digest;
	bool said; /* that the file can't be taken */
};

struct sq_bundle *
sq_bundle_new(const char *file)
{
	struct sq_bundle *b = sq_xcalloc(1, sizeof *b);

	b->file = file != NULL && *file != '\0' ? sq_xstrdup(file) : NULL;
	(void)sq_bundle_refresh(b);
	return b;
}

void
sq_bundle_free(struct sq_bundle **bp)
{
	struct sq_bundle *b = *bp;

	*bp = NULL;
	if (b == NULL)
		return;
	sq_buf_fini(&b->text);
	free(b->file);
	free(b);
}

/* Whether a sidecar can use the text; else a line in 'err'. */
static bool
bundle_good(const struct sq_bundle *b, const struct sq_buf *text, struct sq_buf *err)
{
	struct sq_buf why = {0};
	SSL_CTX *ctx = sq_tls_client_text(b->file, sq_buf_data(text), sq_buf_len(text), &why);

	if (ctx == NULL)
		sq_buf_printf(err, "tls.bundle-file: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	SSL_CTX_free(ctx);
	return ctx != NULL;
}

/* Reads the file into 'text'; false with a line in 'err'. */
static bool
bundle_read(const struct sq_bundle *b, struct sq_buf *text, struct sq_buf *err)
{
	int rc = sq_file_read(b->file, SQ_TRUST_MAX, text);

	if (rc != SQ_OK)
		sq_buf_printf(err, "tls.bundle-file: %s: %s", b->file, sq_file_reason(rc));
	return rc == SQ_OK && bundle_good(b, text, err);
}

bool
sq_bundle_refresh(struct sq_bundle *b)
{
	struct sq_buf text = {0}, err = {0};
	struct sq_file_stamp stamp;
	bool good, other;

	if (b->file == NULL)
		return false;
	sq_file_stamp(b->file, &stamp);
	if (b->digest != 0 && sq_file_stamp_equal(&stamp, &b->stamp))
		return false;
	good = bundle_read(b, &text, &err);
	if (!good && !b->said)
		SQ_WARN("front", "%.*s", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	b->said = !good;
	other = good && sq_trust_digest(sq_buf_data(&text), sq_buf_len(&text)) != b->digest;
	if (good) {
		struct sq_buf was = b->text;

		b->text = text;
		text = was;
		b->stamp = stamp;
		b->digest = sq_trust_digest(sq_buf_data(&b->text), sq_buf_len(&b->text));
	}
	sq_buf_fini(&text);
	sq_buf_fini(&err);
	return other;
}

struct sq_bytes
sq_bundle_text(const struct sq_bundle *b)
{
	return sq_buf_bytes(&b->text);
}

uint64_t
sq_bundle_digest(const struct sq_bundle *b)
{
	return b->digest;
}
