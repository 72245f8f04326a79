#include "broker/port/queue.h"

#include <stdlib.h>

void
sq_queue_out_fini(struct sq_queue_out *o)
{
	struct sq_pulled *pulled = (void *)sq_buf_data(&o->pulled);
	struct sq_queue_info *infos = (void *)sq_buf_data(&o->infos);

	for (size_t i = 0; i < sq_queue_out_pulled(o); i++)
		sq_msg_unref(&pulled[i].msg);
	for (size_t i = 0; i < sq_queue_out_infos(o); i++) {
		free(infos[i].name);
		free(infos[i].pause_why);
		sq_buf_fini(&infos[i].user);
		sq_declaration_fini(&infos[i].decl);
	}
	sq_buf_fini(&o->detail);
	sq_buf_fini(&o->pulled);
	sq_buf_fini(&o->lost);
	sq_buf_fini(&o->infos);
	sq_buf_fini(&o->tested.type);
}
