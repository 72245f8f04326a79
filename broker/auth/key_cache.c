/* Keys on the broker's volume; see broker/auth/key_cache.h.
 *
 *   sqmqos-keys 1 <CRC-32C of the rest, 8 hex digits>\n
 *   <issuer>\n
 *   <JWK Set> */
#include "broker/auth/key_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/auth/jwt/jwks.h"
#include "core/crc32c.h"
#include "core/file.h"

#define CACHE_HEAD "sqmqos-keys 1 "

enum {
	CACHE_HEAD_LEN = sizeof CACHE_HEAD - 1 + 8 + 1,
	CACHE_SIZE_MAX = SQ_JWKS_SIZE_MAX + 8192,
};

static int
cache_error(const char *dir, const char *name, struct sq_buf *err)
{
	sq_buf_printf(err, "%s/%s: %s", dir, name, strerror(errno));
	return SQ_EIO;
}

int
sq_key_cache_save(const char *dir, const char *name, const char *issuer, const struct sq_buf *jwks,
    struct sq_buf *err)
{
	struct sq_buf body = {0}, text = {0};
	int rc;

	sq_buf_printf(&body, "%s\n", issuer);
	sq_buf_append(&body, sq_buf_data(jwks), sq_buf_len(jwks));
	sq_buf_printf(&text, CACHE_HEAD "%08x\n",
	    (unsigned)sq_crc32c(0, sq_buf_data(&body), sq_buf_len(&body)));
	sq_buf_append(&text, sq_buf_data(&body), sq_buf_len(&body));
	rc = sq_file_replace(dir, name, sq_buf_data(&text), sq_buf_len(&text), true);
	if (rc != SQ_OK)
		cache_error(dir, name, err);
	sq_buf_fini(&body);
	sq_buf_fini(&text);
	return rc;
}

/* SQ_ENOTFOUND: there is none. */
static int
cache_read(const char *dir, const char *name, struct sq_buf *out)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = SQ_EIO, error;

	if (dirfd >= 0)
		rc = sq_file_read_at(dirfd, name, CACHE_SIZE_MAX, out);
	error = errno;
	if (dirfd >= 0)
		close(dirfd);
	errno = error;
	if (rc == SQ_EIO && (error == ENOENT || error == ENOTDIR))
		return SQ_ENOTFOUND;
	return rc == SQ_EIO || rc == SQ_OK ? rc : SQ_EINVAL;
}

/* Takes a file apart; false: it is not one that was written here. */
static bool
cache_take(const struct sq_buf *text, struct sq_buf *issuer, struct sq_buf *jwks)
{
	const char *p = (const char *)sq_buf_data(text), *end = p + sq_buf_len(text), *line;
	char crc[9];

	if (sq_buf_len(text) <= CACHE_HEAD_LEN || sq_buf_len(text) > CACHE_SIZE_MAX ||
	    memcmp(p, CACHE_HEAD, sizeof CACHE_HEAD - 1) != 0)
		return false;
	p += CACHE_HEAD_LEN;
	snprintf(crc, sizeof crc, "%08x", (unsigned)sq_crc32c(0, p, (size_t)(end - p)));
	if (memcmp(p - 9, crc, 8) != 0 || p[-1] != '\n')
		return false;
	line = memchr(p, '\n', (size_t)(end - p));
	if (line == NULL || line == p)
		return false;
	sq_buf_append(issuer, p, (size_t)(line - p));
	sq_buf_u8(issuer, 0);
	sq_buf_append(jwks, line + 1, (size_t)(end - line - 1));
	return true;
}

int
sq_key_cache_load(const char *dir, const char *name, struct sq_buf *issuer, struct sq_buf *jwks,
    struct sq_buf *err)
{
	struct sq_buf text = {0};
	int rc = cache_read(dir, name, &text);

	if (rc == SQ_EIO) {
		(void)cache_error(dir, name, err);
	} else if (rc == SQ_EINVAL || (rc == SQ_OK && !cache_take(&text, issuer, jwks))) {
		sq_buf_printf(err, "%s/%s: damaged", dir, name);
		rc = SQ_EINVAL;
	}
	sq_buf_fini(&text);
	return rc;
}
