/* The token file; see sidecar/token.h. */
#include "sidecar/token.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"

static const char token_scheme[] = "Bearer ";

struct sq_token {
	char *file; /* NULL: none */
	struct timespec mtime;
	ino_t inode;
	off_t size;
	struct sq_block *header;
};

static int
token_io_error(const struct sq_token *t, struct sq_buf *err)
{
	sq_buf_printf(err, "auth.token-file: %s: %s", t->file, strerror(errno));
	return SQ_EIO;
}

/* Reads at most SQ_TOKEN_MAX + 1 bytes; returns how many or -1. */
static ssize_t
token_read_file(const char *file, char *out)
{
	size_t have = 0;
	ssize_t n;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	while ((n = read(fd, out + have, SQ_TOKEN_MAX + 1 - have)) > 0)
		have += (size_t)n;
	close(fd);
	return n < 0 ? -1 : (ssize_t)have;
}

/* Takes the text of the file: one run of visible ASCII (RFC 6750 §2.1), with
 * white space around it. */
static int
token_take(struct sq_token *t, const char *p, size_t len, struct sq_buf *err)
{
	const size_t scheme = sizeof token_scheme - 1;
	struct sq_block *header;

	while (len > 0 && memchr(" \t\r\n", p[len - 1], 4) != NULL)
		len--;
	while (len > 0 && memchr(" \t\r\n", p[0], 4) != NULL) {
		p++;
		len--;
	}
	for (size_t i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] > '~')
			len = 0;
	if (len == 0 || len > SQ_TOKEN_MAX) {
		sq_buf_printf(err, "auth.token-file: %s: %s", t->file,
		    len == 0 ? "it does not hold one token" : "it is too long");
		return SQ_EINVAL;
	}
	header = sq_block_new(scheme + len);
	memcpy(header->bytes, token_scheme, scheme);
	memcpy(header->bytes + scheme, p, len);
	sq_block_unref(&t->header);
	t->header = header;
	return 0;
}

int
sq_token_refresh(struct sq_token *t, struct sq_buf *err)
{
	char *text;
	struct stat st;
	ssize_t n;
	int rc;

	if (t->file == NULL)
		return 0;
	if (stat(t->file, &st) != 0)
		return token_io_error(t, err);
	if (t->header != NULL && st.st_ino == t->inode && st.st_size == t->size &&
	    st.st_mtim.tv_sec == t->mtime.tv_sec && st.st_mtim.tv_nsec == t->mtime.tv_nsec)
		return 0;
	text = sq_xmalloc(SQ_TOKEN_MAX + 1);
	n = token_read_file(t->file, text);
	rc = n < 0 ? token_io_error(t, err) : token_take(t, text, (size_t)n, err);
	if (n > 0)
		OPENSSL_cleanse(text, (size_t)n);
	free(text);
	if (rc != 0)
		return rc;
	t->mtime = st.st_mtim;
	t->inode = st.st_ino;
	t->size = st.st_size;
	return 0;
}

struct sq_token *
sq_token_open(const char *file, struct sq_buf *err)
{
	struct sq_token *t = sq_xcalloc(1, sizeof *t);

	t->file = file != NULL && file[0] != '\0' ? sq_xstrdup(file) : NULL;
	if (sq_token_refresh(t, err) != 0)
		sq_token_free(&t);
	return t;
}

void
sq_token_free(struct sq_token **tp)
{
	struct sq_token *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	sq_block_unref(&t->header);
	free(t->file);
	free(t);
}

struct sq_block *
sq_token_header(const struct sq_token *t)
{
	return t->header != NULL ? sq_block_ref(t->header) : NULL;
}
