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
#include <sys/stat.h>
#include <unistd.h>

#include "broker/auth/jwks.h"
#include "core/crc32c.h"

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

static bool
cache_write(int fd, const struct sq_buf *text)
{
	size_t at = 0, len = sq_buf_len(text);

	while (at < len) {
		ssize_t n = write(fd, sq_buf_data(text) + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return fsync(fd) == 0;
}

/* Writes beside the file, then renames over it. */
static bool
cache_replace(int dirfd, const char *name, const struct sq_buf *text)
{
	char fresh[300];
	bool good;
	int fd;

	snprintf(fresh, sizeof fresh, "%s.new", name);
	fd = openat(dirfd, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return false;
	good = cache_write(fd, text);
	good = close(fd) == 0 && good;
	good = good && renameat(dirfd, fresh, dirfd, name) == 0 && fsync(dirfd) == 0;
	if (!good) {
		int saved = errno;

		(void)unlinkat(dirfd, fresh, 0);
		errno = saved;
	}
	return good;
}

int
sq_key_cache_save(const char *dir, const char *name, const char *issuer, const struct sq_buf *jwks,
    struct sq_buf *err)
{
	struct sq_buf body = {0}, text = {0};
	int dirfd = -1, rc = SQ_OK;

	sq_buf_printf(&body, "%s\n", issuer);
	sq_buf_append(&body, sq_buf_data(jwks), sq_buf_len(jwks));
	sq_buf_printf(&text, CACHE_HEAD "%08x\n",
	    (unsigned)sq_crc32c(0, sq_buf_data(&body), sq_buf_len(&body)));
	sq_buf_append(&text, sq_buf_data(&body), sq_buf_len(&body));
	if ((mkdir(dir, 0700) != 0 && errno != EEXIST) ||
	    (dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 ||
	    !cache_replace(dirfd, name, &text))
		rc = cache_error(dir, name, err);
	if (dirfd >= 0)
		close(dirfd);
	sq_buf_fini(&body);
	sq_buf_fini(&text);
	return rc;
}

/* Reads the file, up to one byte more than it may have. */
static int
cache_read(const char *dir, const char *name, struct sq_buf *out)
{
	char path[4096];
	ssize_t n;
	int fd;

	if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return SQ_EIO;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? SQ_ENOTFOUND : SQ_EIO;
	do {
		n = read(fd, sq_buf_reserve(out, 4096), 4096);
		if (n > 0)
			sq_buf_commit(out, (size_t)n);
	} while ((n > 0 && sq_buf_len(out) <= CACHE_SIZE_MAX) || (n < 0 && errno == EINTR));
	close(fd);
	return n < 0 ? SQ_EIO : SQ_OK;
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
	} else if (rc == SQ_OK && !cache_take(&text, issuer, jwks)) {
		sq_buf_printf(err, "%s/%s: damaged", dir, name);
		rc = SQ_EINVAL;
	}
	sq_buf_fini(&text);
	return rc;
}
