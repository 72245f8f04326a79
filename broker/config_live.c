#include "broker/config_live.h"

#include "broker/config.h"

void
sq_config_live_init(struct sq_config_live *live, int argc, char **argv, char **envp)
{
	*live = (struct sq_config_live){
	    .argc = argc, .argv = argv, .envp = envp, .file = sq_config_file(argc, argv, envp)};
	if (live->file != NULL)
		sq_file_stamp(live->file, &live->taken);
	live->looked = live->taken;
}

static int
live_read(const struct sq_config_live *live, struct sq_acl **acl, struct sq_buf *err)
{
	struct sq_broker_config c = {0};
	int rc = sq_broker_config_load(&c, live->argc, live->argv, live->envp, err);

	*acl = rc == SQ_OK ? sq_broker_config_acl(&c, err) : NULL;
	sq_broker_config_free(&c);
	return *acl != NULL ? SQ_OK : SQ_EINVAL;
}

int
sq_config_live_look(struct sq_config_live *live, struct sq_acl **acl, struct sq_buf *err)
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
	return live_read(live, acl, err);
}
