/* Bearer tokens from a file; see broker/auth/tokens.h. */
#include "broker/auth/tokens.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "core/mem.h"

#define TOKENS_FILE_MAX 65536u
#define TOKENS_MAX 16u

struct sq_tokens {
	char *file; /* NULL: no tokens are asked for */
	struct sq_buf text;
	struct sq_bytes tokens[TOKENS_MAX]; /* into 'text' */
	unsigned n;
	struct timespec mtime;
	ino_t inode;
	off_t size;
};

/* Empties a buffer that held secrets. */
static void
tokens_wipe(struct sq_buf *text)
{
	if (text->base != NULL)
		explicit_bzero(text->base, text->cap);
	sq_buf_fini(text);
}

/* Appends the whole file to 'out' and fills 'st'. */
static int
tokens_read(const char *file, struct sq_buf *out, struct stat *st)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	if (fd < 0)
		return SQ_EIO;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode)) {
		do {
			n = read(fd, sq_buf_reserve(out, 4096), 4096);
			if (n > 0)
				sq_buf_commit(out, (size_t)n);
		} while (
		    (n > 0 && sq_buf_len(out) <= TOKENS_FILE_MAX) || (n < 0 && errno == EINTR));
	} else {
		n = -1;
		errno = EINVAL;
	}
	close(fd);
	return n == 0 ? SQ_OK : n < 0 ? SQ_EIO : SQ_ETOOBIG;
}

static bool
tokens_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Splits 'text' into one token per line; returns how many, at most 'max'. */
static unsigned
tokens_split(const struct sq_buf *text, struct sq_bytes *tokens, unsigned max)
{
	const unsigned char *p = sq_buf_data(text), *end = p + sq_buf_len(text);
	unsigned n = 0;

	while (p < end && n < max) {
		const unsigned char *from;

		while (p < end && tokens_blank(*p))
			p++;
		for (from = p; p < end && !tokens_blank(*p); p++)
			;
		if (p > from)
			tokens[n++] = (struct sq_bytes){from, (size_t)(p - from)};
	}
	return n;
}

/* Whether no token has a byte that a header could not carry (RFC 6750 §2.1). */
static bool
tokens_printable(const struct sq_bytes *tokens, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (size_t at = 0; at < tokens[i].len; at++) {
			if (tokens[i].p[at] <= 0x20 || tokens[i].p[at] >= 0x7f)
				return false;
		}
	}
	return true;
}

/* Replaces the tokens by the file's.  On an error they stay. */
static int
tokens_load(struct sq_tokens *a)
{
	struct sq_buf text = {0};
	struct sq_bytes tokens[TOKENS_MAX];
	struct stat st;
	unsigned n;
	int err = tokens_read(a->file, &text, &st);

	n = err == SQ_OK ? tokens_split(&text, tokens, TOKENS_MAX) : 0;
	if (err == SQ_OK && (n == 0 || !tokens_printable(tokens, n)))
		err = SQ_EINVAL;
	if (err != SQ_OK) {
		tokens_wipe(&text);
		return err;
	}
	tokens_wipe(&a->text);
	a->text = text;
	memcpy(a->tokens, tokens, sizeof tokens);
	a->n = n;
	a->mtime = st.st_mtim;
	a->inode = st.st_ino;
	a->size = st.st_size;
	return SQ_OK;
}

static const char *
tokens_reason(int err)
{
	return err == SQ_EIO   ? strerror(errno)
	    : err == SQ_EINVAL ? "no token in it, or not in printable ASCII"
			       : sq_strerror(err);
}

struct sq_tokens *
sq_tokens_new(const char *token_file, struct sq_buf *err)
{
	struct sq_tokens *a = sq_xcalloc(1, sizeof *a);
	int rc;

	if (token_file == NULL || *token_file == '\0')
		return a;
	a->file = sq_xstrdup(token_file);
	rc = tokens_load(a);
	if (rc != SQ_OK) {
		sq_buf_printf(err, "auth.token-file: %s: %s", token_file, tokens_reason(rc));
		sq_tokens_free(&a);
	}
	return a;
}

void
sq_tokens_free(struct sq_tokens **ap)
{
	struct sq_tokens *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	tokens_wipe(&a->text);
	free(a->file);
	free(a);
}

void
sq_tokens_refresh(struct sq_tokens *a)
{
	struct stat st;
	int err;

	if (a->file == NULL)
		return;
	if (stat(a->file, &st) != 0) {
		SQ_WARN("auth", "auth.token-file: %s: %s; the last tokens stay", a->file,
		    strerror(errno));
		return;
	}
	if (st.st_mtim.tv_sec == a->mtime.tv_sec && st.st_mtim.tv_nsec == a->mtime.tv_nsec &&
	    st.st_ino == a->inode && st.st_size == a->size)
		return;
	err = tokens_load(a);
	if (err != SQ_OK)
		SQ_WARN("auth", "auth.token-file: %s: %s; the last tokens stay", a->file,
		    tokens_reason(err));
	else
		SQ_INFO("auth", "auth.token-file: %s read again", a->file);
}

int
sq_tokens_check(const struct sq_tokens *a, struct sq_bytes header, struct sq_identity *out)
{
	static const char scheme[] = "Bearer ";
	const size_t skip = sizeof scheme - 1;
	bool good = false;

	memset(out, 0, sizeof *out);
	if (a->file == NULL)
		return SQ_OK;
	if (header.len <= skip || strncasecmp((const char *)header.p, scheme, skip) != 0)
		return SQ_EDENIED;
	for (unsigned i = 0; i < a->n; i++)
		if (a->tokens[i].len == header.len - skip &&
		    sq_secret_equal(a->tokens[i].p, header.p + skip, header.len - skip))
			good = true;
	if (!good)
		return SQ_EDENIED;
	out->id = SQ_IDENTITY_TOKEN;
	return SQ_OK;
}
