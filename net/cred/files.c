/* Credentials in files.  The three are read together, once none of them has changed for a while, so that
 * the id of one key does not sign with the secret of another. */
#include <errno.h>
#include <string.h>

#include "net/cred/cred_priv.h"

enum {
	PAUSE_MS = 1000,  /* between two looks */
	SETTLE_MS = 1000, /* for which they must look the same */
};

static void
files_stamp(char *const paths[SQ_CRED_N_FILES], struct sq_file_stamp out[SQ_CRED_N_FILES])
{
	for (size_t i = 0; i < SQ_CRED_N_FILES; i++) {
		if (paths[i] != NULL)
			sq_file_stamp(paths[i], &out[i]);
		else
			out[i] = (struct sq_file_stamp){0};
	}
}

static bool
files_same(
    const struct sq_file_stamp a[SQ_CRED_N_FILES], const struct sq_file_stamp b[SQ_CRED_N_FILES])
{
	for (size_t i = 0; i < SQ_CRED_N_FILES; i++) {
		if (!sq_file_stamp_equal(&a[i], &b[i]))
			return false;
	}
	return true;
}

/* The value; NULL with the reason in 'why'. */
static struct sq_cred_kept *
files_read(char *const paths[SQ_CRED_N_FILES], struct sq_buf *why)
{
	struct sq_buf text[SQ_CRED_N_FILES] = {0};
	struct sq_cred_kept *kept = NULL;
	bool good = true;

	for (size_t i = 0; good && i < SQ_CRED_N_FILES; i++) {
		int rc = paths[i] != NULL
		    ? sq_file_read_secret(paths[i], SQ_CRED_TEXT_MAX + 2, &text[i])
		    : SQ_OK;

		good = rc == SQ_OK;
		if (!good)
			sq_buf_printf(why, "%s: %s", paths[i], sq_file_reason(rc));
	}
	if (good)
		kept = sq_cred_kept_new(
		    &(struct sq_cred_parts){.key_id = sq_cred_trim(sq_buf_bytes(&text[0])),
			.secret = sq_cred_trim(sq_buf_bytes(&text[1])),
			.token = sq_cred_trim(sq_buf_bytes(&text[2]))},
		    why);
	if (good && kept == NULL)
		sq_buf_printf(why, " (%s)", paths[0]);
	for (size_t i = 0; i < SQ_CRED_N_FILES; i++)
		sq_buf_wipe(&text[i]);
	return kept;
}

/* Whether it is time to read: at first, and when they have changed and settled. */
static bool
files_due(struct sq_cred_files *f, const struct sq_file_stamp now[SQ_CRED_N_FILES], uint64_t now_ms)
{
	bool same = f->begun && files_same(now, f->seen);

	if (!same) {
		bool first = !f->begun;

		f->begun = true;
		memcpy(f->seen, now, sizeof f->seen);
		f->seen_ms = now_ms;
		return first;
	}
	return !files_same(now, f->done) && now_ms - f->seen_ms >= SETTLE_MS;
}

bool
sq_cred_files_look(struct sq_cred_files *f, char *const paths[SQ_CRED_N_FILES], uint64_t now_ms,
    struct sq_cred_kept **out, struct sq_buf *why)
{
	struct sq_file_stamp now[SQ_CRED_N_FILES];

	*out = NULL;
	if (f->begun && now_ms - f->looked_ms < PAUSE_MS)
		return false;
	f->looked_ms = now_ms;
	files_stamp(paths, now);
	if (!files_due(f, now, now_ms))
		return false;
	*out = files_read(paths, why);
	files_stamp(paths, now);
	if (*out != NULL && files_same(now, f->seen)) {
		memcpy(f->done, now, sizeof f->done);
		return true;
	}
	if (*out == NULL) {
		f->seen_ms =
		    now_ms; /* once more a while later: not all that is wrong has a stamp */
		return true;
	}
	sq_cred_kept_unref(*out);
	*out = NULL;
	return false;
}
