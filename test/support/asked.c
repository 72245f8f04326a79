#include "asked.h"

#include <stdio.h>
#include <stdlib.h>

int
asked_by_pipes(void (*answer)(struct sq_bytes text, struct sq_buf *out))
{
	unsigned char head[4];
	struct sq_buf out = {0};

	while (fread(head, 1, sizeof head, stdin) == sizeof head) {
		size_t len = sq_get32(head);
		/* Of its very size, so that a sanitizer sees a look behind its end. */
		unsigned char *text = malloc(len);

		if (text == NULL || fread(text, 1, len, stdin) != len)
			return 1;
		answer((struct sq_bytes){text, len}, &out);
		free(text);
		sq_put32(head, (uint32_t)sq_buf_len(&out));
		fwrite(head, 1, sizeof head, stdout);
		fwrite(sq_buf_data(&out), 1, sq_buf_len(&out), stdout);
		sq_buf_drain(&out, sq_buf_len(&out));
	}
	sq_buf_fini(&out);
	return fflush(stdout) == 0 ? 0 : 1;
}
