/* The token file; see net/conn/bearer.h. */
#include "net/conn/bearer.h"

#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/mem.h"

static const char bearer_scheme[] = "Bearer ";

enum { BEARER_FILE_MAX = SQ_BEARER_MAX + 64 }; /* bytes, with white space around the token */

struct sq_bearer {
	char *file;                 /* NULL: none */
	struct sq_file_stamp stamp; /* of the file that 'header' was made from */
	struct sq_block *header;
};

/* Takes the text of the file: one run of visible ASCII (RFC 6750 §2.1), with
 * white space around it. */
static int
bearer_take(struct sq_bearer *t, const char *p, size_t len, struct sq_buf *err)
{
	const size_t scheme = sizeof bearer_scheme - 1;
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
	if (len == 0 || len > SQ_BEARER_MAX) {
		sq_buf_printf(err, "auth.token-file: %s: %s", t->file,
		    len == 0 ? "it does not hold one token" : "it is too long");
		return SQ_EINVAL;
	}
	header = sq_block_new(scheme + len);
	memcpy(header->bytes, bearer_scheme, scheme);
	memcpy(header->bytes + scheme, p, len);
	sq_bearer_release(&t->header);
	t->header = header;
	return 0;
}

int
sq_bearer_refresh(struct sq_bearer *t, struct sq_buf *err)
{
	struct sq_file_stamp stamp;
	struct sq_buf text = {0};
	int rc;

	if (t->file == NULL)
		return 0;
	sq_file_stamp(t->file, &stamp);
	if (t->header != NULL && stamp.inode != 0 && sq_file_stamp_equal(&stamp, &t->stamp))
		return 0;
	rc = sq_file_read(t->file, BEARER_FILE_MAX, &text);
	if (rc == SQ_OK)
		rc = bearer_take(t, (const char *)sq_buf_data(&text), sq_buf_len(&text), err);
	else
		sq_buf_printf(err, "auth.token-file: %s: %s", t->file, sq_file_reason(rc));
	sq_buf_wipe(&text);
	if (rc == SQ_OK)
		t->stamp = stamp;
	return rc;
}

struct sq_bearer *
sq_bearer_open(const char *file, struct sq_buf *err)
{
	struct sq_bearer *t = sq_xcalloc(1, sizeof *t);

	t->file = file != NULL && file[0] != '\0' ? sq_xstrdup(file) : NULL;
	if (sq_bearer_refresh(t, err) != 0)
		sq_bearer_free(&t);
	return t;
}

void
sq_bearer_free(struct sq_bearer **tp)
{
	struct sq_bearer *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	sq_bearer_release(&t->header);
	free(t->file);
	free(t);
}

struct sq_block *
sq_bearer_header(const struct sq_bearer *t)
{
	return t->header != NULL ? sq_block_ref(t->header) : NULL;
}

void
sq_bearer_release(struct sq_block **header)
{
	struct sq_block *b = *header;

	if (b != NULL && atomic_load(&b->refs) == 1)
		explicit_bzero(b->bytes, b->size);
	sq_block_unref(header);
}
