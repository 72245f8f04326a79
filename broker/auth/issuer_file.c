/* Keys of an issuer from a file; see broker/auth/issuers_priv.h. */
#include <errno.h>

#include "broker/auth/issuers_priv.h"
#include "core/log.h"
#include "core/mem.h"

/* Reads the file if it has changed: SQ_EAGAIN if not.  On an error a line in 'err'; keys
 * that don't parse are not looked at again until they change. */
static int
file_read(struct sq_issuer *i, struct sq_jwks **out, struct sq_buf *err)
{
	struct sq_buf text = {0};
	struct sq_file_stamp stamp;
	int rc;

	*out = NULL;
	sq_file_stamp(i->file, &stamp);
	if (stamp.inode != 0 && sq_file_stamp_equal(&stamp, &i->stamp))
		return SQ_EAGAIN;
	rc = sq_file_read(i->file, SQ_JWKS_SIZE_MAX, &text);
	if (rc == SQ_OK) {
		i->stamp = stamp;
		*out = sq_jwks_parse(i->issuer, sq_buf_data(&text), sq_buf_len(&text), err);
		if (*out == NULL)
			rc = SQ_EINVAL;
	} else {
		sq_buf_printf(err, "%s", sq_file_reason(rc));
	}
	sq_buf_fini(&text);
	return rc;
}

int
sq_issuer_file_open(struct sq_issuer *i, struct sq_buf *err)
{
	struct sq_buf why = {0};
	struct sq_jwks *keys;
	int rc = file_read(i, &keys, &why);

	if (rc == SQ_OK)
		sq_issuer_set_keys(i, keys);
	else
		sq_buf_printf(err, "keys-file: %s: %.*s", i->file, (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
	return rc;
}

/* The file was taken away: that ends what rests on it. */
static void
file_gone(struct sq_issuer *i)
{
	if (i->keys == NULL)
		return;
	SQ_WARN("auth", "%s: %s: gone, and with it the keys of %s", i->key, i->file, i->issuer);
	i->stamp = (struct sq_file_stamp){0};
	sq_issuer_set_keys(i, NULL);
}

void
sq_issuer_file_refresh(struct sq_issuer *i)
{
	struct sq_buf why = {0};
	struct sq_jwks *keys;
	int rc;

	pthread_mutex_lock(&i->all->lock);
	rc = file_read(i, &keys, &why);
	if (rc == SQ_OK) {
		SQ_INFO("auth", "%s: %s read again: %zu keys of %s", i->key, i->file,
		    sq_jwks_count(keys), i->issuer);
		sq_issuer_set_keys(i, keys);
	} else if (rc == SQ_EIO && (errno == ENOENT || errno == ENOTDIR)) {
		file_gone(i);
	} else if (rc != SQ_EAGAIN) {
		SQ_WARN("auth", "%s: %s: %.*s; the last keys stay", i->key, i->file,
		    (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
	}
	pthread_mutex_unlock(&i->all->lock);
	sq_buf_fini(&why);
}
