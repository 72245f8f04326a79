#include "cli/view/deeds.h"

#include <string.h>
#include <time.h>

#include "cli/term/interrupt.h"
#include "cli/view/remote.h"

enum {
	DEEDS_IDLE_MAX = 10, /* answers in a row in which nothing was done, */
	DEEDS_IDLE_S = 1,    /* with a wait behind each */
	DEEDS_NEXT_MAX = 128,
};

static int
deeds_strange(const char *deed, struct sq_buf *err)
{
	sq_buf_printf(
	    err, "/v1/do/%s: a strange answer; is it the admin endpoint of a broker?", deed);
	return SQ_EINVAL;
}

/* Adds what the answer says; '*more' says whether the body is to be sent again, and '*idle' whether
 * nothing was done. */
static int
deeds_take(const char *deed, const json_t *answer, json_t *body, struct sq_deeds_done *out,
    bool *more, bool *idle, struct sq_buf *err)
{
	const json_t *done = json_object_get(answer, "done");
	const json_t *stayed = json_object_get(answer, "stayed");
	const char *next = json_string_value(json_object_get(answer, "next"));

	if (!json_is_integer(done) || json_integer_value(done) < 0 ||
	    (next != NULL && strlen(next) > DEEDS_NEXT_MAX))
		return deeds_strange(deed, err);
	out->done += (uint64_t)json_integer_value(done);
	if (json_is_integer(stayed) && json_integer_value(stayed) > 0)
		out->stayed += (uint64_t)json_integer_value(stayed);
	*more = json_is_true(json_object_get(answer, "more"));
	*idle = json_integer_value(done) == 0 && json_integer_value(stayed) == 0;
	if (*more && next == NULL)
		return deeds_strange(deed, err);
	if (*more)
		json_object_set_new(body, "after", json_string(next));
	return 0;
}

int
sq_deeds_do(struct sq_remote *remote, const char *deed, json_t *body, uint64_t most,
    struct sq_deeds_done *out, struct sq_buf *err)
{
	struct sq_buf path = {0};
	bool more = true, idle = false;
	unsigned n_idle = 0;
	int rc = 0;

	*out = (struct sq_deeds_done){0};
	sq_buf_printf(&path, "/v1/do/%s%c", deed, 0);
	while (rc == 0 && more && !sq_interrupted()) {
		json_t *answer = NULL;

		if (most > 0)
			json_object_set_new(body, "max",
			    json_integer((json_int_t)(most - out->done - out->stayed)));
		rc = sq_remote_do(
		    remote, "POST", (const char *)sq_buf_data(&path), body, &answer, err);
		if (rc == 0)
			rc = deeds_take(deed, answer, body, out, &more, &idle, err);
		json_decref(answer);
		if (most > 0 && out->done + out->stayed >= most)
			break;
		n_idle = idle ? n_idle + 1 : 0;
		if (rc == 0 && more && n_idle > DEEDS_IDLE_MAX) {
			sq_buf_printf(
			    err, "/v1/do/%s: the broker can't read what is left just now", deed);
			rc = SQ_EAGAIN;
		} else if (rc == 0 && more && idle) {
			(void)nanosleep(&(struct timespec){.tv_sec = DEEDS_IDLE_S}, NULL);
		}
	}
	sq_buf_fini(&path);
	return rc;
}
