#include "sidecar/outbox/id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"

enum { DIGITS = 16 };

static int
id_error(const char *dir, const char *name, int rc, struct sq_buf *err)
{
	sq_buf_printf(err, "%s/%s: %s", dir, name, rc == SQ_EINVAL ? "not an id" : strerror(errno));
	return rc;
}

static int
id_open_dir(const char *dir)
{
	return open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int
sq_outbox_id_read(const char *dir, const char *name, uint64_t *out, struct sq_buf *err)
{
	int at = id_open_dir(dir), rc = SQ_EIO;
	struct sq_buf text = {0};

	if (at >= 0)
		rc = sq_file_read_at(at, name, DIGITS, &text);
	if (rc == SQ_EIO && at >= 0 && errno == ENOENT)
		rc = SQ_ENOTFOUND;
	if (rc == SQ_OK)
		sq_buf_u8(&text, 0);
	if (rc == SQ_ETOOBIG ||
	    (rc == SQ_OK &&
		(sq_buf_len(&text) != DIGITS + 1 ||
		    (*out = strtoull((char *)sq_buf_data(&text), NULL, 16)) == 0)))
		rc = SQ_EINVAL;
	if (rc != SQ_OK && rc != SQ_ENOTFOUND)
		id_error(dir, name, rc, err);
	sq_buf_fini(&text);
	if (at >= 0)
		close(at);
	return rc;
}

int
sq_outbox_id_draw(const char *dir, const char *name, uint64_t *out, struct sq_buf *err)
{
	uint64_t id = sq_random_u64();
	char text[DIGITS + 1];

	id += id == 0;
	snprintf(text, sizeof text, "%016llx", (unsigned long long)id);
	if (sq_file_replace(dir, name, text, DIGITS, true) != SQ_OK) {
		id_error(dir, name, SQ_EIO, err);
		return SQ_EIO;
	}
	*out = id;
	return SQ_OK;
}
