#include "broker/config/live.h"

#include <string.h>

#include "broker/config/config.h"

enum { WAITS_NAMED = 8 };

void
sq_config_live_init(struct sq_config_live *live, int argc, char **argv, char **envp)
{
	*live = (struct sq_config_live){
	    .argc = argc, .argv = argv, .envp = envp, .file = sq_config_file(argc, argv, envp)};
	if (live->file != NULL)
		sq_file_stamp(live->file, &live->taken);
	live->looked = live->taken;
}

void
sq_config_live_fini(struct sq_config_live *live)
{
	sq_buf_fini(&live->waits);
}

/* Which keys wait for a start; into 'restart', where that is news. */
static void
live_waits(struct sq_config_live *live, const struct sq_broker_config *running,
    const struct sq_broker_config *now, struct sq_buf *restart)
{
	static const char *const taken_up[] = {"acl", "acl-default", NULL};
	struct sq_buf waits = {0}, was = live->waits;
	size_t len;

	sq_config_differ(
	    running, now, sq_broker_config_keys, sq_broker_config_n, taken_up, WAITS_NAMED, &waits);
	len = sq_buf_len(&waits);
	if (len > 0 &&
	    (len != sq_buf_len(&was) || memcmp(sq_buf_data(&waits), sq_buf_data(&was), len) != 0))
		sq_buf_append(restart, sq_buf_data(&waits), len);
	live->waits = waits;
	sq_buf_fini(&was);
}

static int
live_read(struct sq_config_live *live, const struct sq_broker_config *running, struct sq_acl **acl,
    struct sq_buf *restart, struct sq_buf *err)
{
	struct sq_broker_config c = {0};
	int rc = sq_broker_config_load(&c, live->argc, live->argv, live->envp, err);

	*acl = rc == SQ_OK ? sq_broker_config_acl(&c, err) : NULL;
	if (*acl != NULL)
		live_waits(live, running, &c, restart);
	sq_broker_config_free(&c);
	return *acl != NULL ? SQ_OK : SQ_EINVAL;
}

int
sq_config_live_look(struct sq_config_live *live, const struct sq_broker_config *running,
    struct sq_acl **acl, struct sq_buf *restart, struct sq_buf *err)
{
	struct sq_file_stamp now;
	bool still;

	if (live->file == NULL)
		return SQ_EAGAIN;
	sq_file_stamp(live->file, &now);
	still = sq_file_stamp_equal(&now, &live->looked);
	live->looked = now;
	if (!still || sq_file_stamp_equal(&now, &live->taken))
		return SQ_EAGAIN;
	live->taken = now;
	return live_read(live, running, acl, restart, err);
}
