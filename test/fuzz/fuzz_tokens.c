/* The tokens file: any text is a table, or is refused with the line that is wrong and
 * nothing of what the line has; and whom the table lets in has a line that says so. */
#include "broker/auth/tokens/tokens_file.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads 64 digits. */
static void
read_digest(const char *hex, unsigned char out[SQ_DIGEST_SIZE])
{
	for (int i = 0; i < SQ_DIGEST_SIZE; i++) {
		unsigned byte = 0;

		assert(sscanf(hex + (ptrdiff_t)i * 2, "%2x", &byte) == 1);
		out[i] = (unsigned char)byte;
	}
}

/* A line of a good file, without its end; returns whether it has a token. */
static int
check_line(const struct sq_tokens *t, char *line)
{
	char *rest, *name = strtok_r(line, " \t\r", &rest), *spaces, *hash;
	unsigned char digest[SQ_DIGEST_SIZE];
	const struct sq_token *token;
	size_t n = 0;

	if (name == NULL || *name == '#')
		return 0;
	spaces = strtok_r(NULL, " \t\r", &rest);
	hash = strtok_r(NULL, " \t\r", &rest);
	assert(spaces != NULL && hash != NULL && strncmp(hash, "SHA256:", 7) == 0);
	assert(strlen(hash) == 7 + 2 * SQ_DIGEST_SIZE);
	read_digest(hash + 7, digest);
	token = sq_tokens_find(t, digest);
	assert(token != NULL && sq_tokens_have(t, token->basis));
	assert(strncmp(token->identity->name, "token:", 6) == 0);
	assert(strcmp(token->identity->name + 6, name) == 0);
	for (char *s = strtok_r(spaces, ",", &rest); s != NULL; s = strtok_r(NULL, ",", &rest)) {
		assert(sq_identity_has_space(token->identity, s));
		n++;
	}
	assert(n >= token->identity->n_spaces && token->identity->n_spaces > 0);
	return 1;
}

static void
check(const struct sq_tokens *t, const uint8_t *data, size_t size)
{
	size_t n = 0;

	for (const uint8_t *p = data, *end = data + size; p < end;) {
		const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((nl != NULL ? nl : end) - p);
		char *line = malloc(len + 1);

		memcpy(line, p, len);
		line[len] = '\0';
		n += (size_t)check_line(t, line);
		free(line);
		p = nl != NULL ? nl + 1 : end;
	}
	assert(n == sq_tokens_count(t));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sq_buf err = {0};
	struct sq_tokens *t = sq_tokens_parse((struct sq_bytes){data, size}, &err);

	assert((t == NULL) == (sq_buf_len(&err) > 0));
	assert(sq_buf_len(&err) < 200);
	if (t != NULL)
		check(t, data, size);
	sq_tokens_free(&t);
	sq_buf_fini(&err);
	return 0;
}
