#include "store/shared/check.h"

#include <inttypes.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/buf.h"
#include "core/mem.h"
#include "store/shared/record.h"

enum {
	CHECK_MS = 30000,     /* of each call */
	CHECK_PAGE = 4 << 20, /* bytes of a read */
	CHECK_FAULTS = 20,    /* that are printed */
};

struct check {
	const struct sq_shared_ops *driver;
	struct sq_shared *conn;
	FILE *out;
	uint64_t next;  /* lsn */
	uint64_t chain; /* of the record before it; 0: not known */
	uint64_t records, bytes, faults;
};

static void
check_fault(struct check *c, uint64_t lsn, const char *what, size_t len)
{
	if (c->faults++ < CHECK_FAULTS)
		fprintf(c->out, "record %" PRIu64 ": %.*s\n", lsn, (int)len, what);
}

static void
check_say(struct check *c, uint64_t lsn, const char *what)
{
	check_fault(c, lsn, what, strlen(what));
}

static bool
check_record(void *arg, uint64_t lsn, uint64_t epoch, uint64_t sure, struct sq_bytes data)
{
	struct sq_shared_record record = {0};
	struct check *c = arg;
	struct sq_buf why = {0};

	(void)epoch;
	if (lsn < c->next)
		return true;
	if (lsn > c->next)
		check_say(c, c->next, "is missing");
	if (sq_shared_record_read(data, &record, &why) != SQ_OK)
		check_fault(c, lsn, (const char *)sq_buf_data(&why), sq_buf_len(&why));
	else if (lsn == c->next && c->chain != 0 &&
	    record.chain !=
		sq_shared_chain(c->chain, lsn, (uint32_t)record.entries.len, record.crc))
		check_say(c, lsn, "does not follow the one before it");
	if (sure >= lsn)
		check_say(c, lsn, "says of itself that it is acknowledged");
	sq_buf_fini(&why);
	c->chain = record.chain;
	c->next = lsn + 1;
	c->records++;
	c->bytes += data.len;
	return true;
}

/* False: the log can't be read. */
static bool
check_records(struct check *c, struct sq_shared_head *head)
{
	uint64_t from;

	if (sq_shared_read_head(c->driver, c->conn, head) != SQ_SHARED_DONE)
		return false;
	c->next = head->first;
	if (head->first == 1)
		c->chain = 0;
	do {
		from = c->next;
		if (c->driver->read(c->conn, from - 1, CHECK_PAGE, head, check_record, c) !=
		    SQ_SHARED_DONE)
			return false;
	} while (c->next > from);
	return true;
}

static void
check_say_head(struct check *c, const struct sq_shared_head *h)
{
	fprintf(c->out, "log %016" PRIx64 ": epoch %" PRIu64 ", %s%s\n", h->store, h->epoch,
	    h->holder[0] != '\0' ? "owned by " : "owned by nobody", h->holder);
	if (h->copies > 0)
		fprintf(c->out, "copies that confirm a commit: %u\n", h->copies);
	if (h->moved)
		fprintf(c->out, "it was moved to a store of files: nobody may own it any more\n");
	fprintf(c->out, "records %" PRIu64 " to %" PRIu64 ": %" PRIu64 ", %" PRIu64 " bytes\n",
	    h->first, c->next - 1, c->records, c->bytes);
	if (h->sure >= c->next) /* it was acknowledged, and is not there */
		check_say(c, h->sure, "was acknowledged, and is missing");
}

/* Its rows, one behind the other, have the hash; false: they can't be read. */
static bool
check_rows(struct check *c, const struct sq_shared_snapshot *s, unsigned char *sha, uint64_t *bytes)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	enum sq_shared_result got;
	struct sq_buf row = {0};
	unsigned len;

	EVP_DigestInit_ex(md, EVP_sha256(), NULL);
	*bytes = 0;
	for (uint32_t i = 0; (got = c->driver->snap_get(c->conn, s->n, i, &row)) == SQ_SHARED_DONE;
	     i++) {
		EVP_DigestUpdate(md, sq_buf_data(&row), sq_buf_len(&row));
		*bytes += sq_buf_len(&row);
		sq_buf_drain(&row, sq_buf_len(&row));
	}
	EVP_DigestFinal_ex(md, sha, &len);
	EVP_MD_CTX_free(md);
	sq_buf_fini(&row);
	return got == SQ_SHARED_NOT_DONE;
}

static bool
check_snapshot(struct check *c, const struct sq_shared_snapshot *s)
{
	unsigned char sha[EVP_MAX_MD_SIZE];
	uint64_t bytes;
	bool sound;

	if (s->n == 0)
		return true;
	if (!check_rows(c, s, sha, &bytes))
		return false;
	sound = bytes == s->bytes && memcmp(sha, s->sha256, sizeof s->sha256) == 0;
	fprintf(c->out, "snapshot %" PRIu64 " up to record %" PRIu64 ": %" PRIu64 " bytes%s\n",
	    s->n, s->lsn, bytes, sound ? "" : ", which are not those that were written");
	c->faults += !sound;
	return true;
}

static bool
check_all(struct check *c)
{
	struct sq_shared_snapshot newest = {0}, older = {0};
	struct sq_shared_head head;

	if (!check_records(c, &head))
		return false;
	check_say_head(c, &head);
	if (c->driver->snap_newest == NULL)
		return true;
	return c->driver->snap_newest(c->conn, &newest, &older) == SQ_SHARED_DONE &&
	    check_snapshot(c, &newest) && check_snapshot(c, &older);
}

int
sq_shared_check(const struct sq_shared_ops *driver, const void *cfg, FILE *out)
{
	struct check c = {.driver = driver, .out = out};
	struct sq_buf err = {0};

	if (driver->dial(&c.conn, cfg, CHECK_MS, &err) != SQ_OK) {
		fprintf(out, "%.*s\n", (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
		c.faults = 1;
	} else if (!check_all(&c)) {
		fprintf(out, "%s\n", driver->error(c.conn));
		c.faults++;
	}
	if (c.faults == 0)
		fprintf(out, "sound\n");
	else if (c.conn != NULL)
		fprintf(out, "%" PRIu64 " faults\n", c.faults);
	driver->hang_up(&c.conn);
	sq_buf_fini(&err);
	return c.faults == 0 ? 0 : 1;
}
