#include "broker/config/live.h"

#include "broker/config/config.h"

void
sq_config_live_init(struct sq_config_live *live, int argc, char **argv, char **envp)
{
	*live = (struct sq_config_live){
	    .argc = argc, .argv = argv, .envp = envp, .file = sq_config_file(argc, argv, envp)};
	if (live->file != NULL)
		sq_file_stamp(live->file, &live->taken);
	live->looked = live->taken;
}

int
sq_config_live_look(
    struct sq_config_live *live, bool asked, struct sq_broker_config *now, struct sq_buf *err)
{
	struct sq_file_stamp stamp;
	bool still;

	if (live->file == NULL && !asked)
		return SQ_EAGAIN;
	if (live->file != NULL) {
		sq_file_stamp(live->file, &stamp);
		still = sq_file_stamp_equal(&stamp, &live->looked);
		live->looked = stamp;
		if (!asked && (!still || sq_file_stamp_equal(&stamp, &live->taken)))
			return SQ_EAGAIN;
		live->taken = stamp;
	}
	return sq_broker_config_load(now, live->argc, live->argv, live->envp, err);
}
