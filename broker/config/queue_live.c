#include "broker/config/queue_live.h"

#include <stdlib.h>
#include <time.h>

#include "broker/config/file_dir.h"
#include "broker/config/queue_dir.h"
#include "broker/subscriber/subscriber.h"
#include "core/mem.h"

void
sq_queue_live_look(struct sq_queue_dir *d, struct sq_subscribers *to, bool asked)
{
	const struct sq_file_queue *const *v;
	struct sq_subscriber_file *files;
	struct sq_buf err = {0};
	bool whole, is_new = sq_queue_dir_look(d, asked, &err);
	size_t n;

	if (sq_buf_len(&err) > 0)
		sq_file_dir_say(&err);
	sq_buf_fini(&err);
	if (!is_new)
		return;
	n = sq_queue_dir_queues(d, &v, &whole);
	files = sq_xcalloc(n + 1, sizeof *files);
	for (size_t i = 0; i < n; i++)
		files[i] = (struct sq_subscriber_file){.space = v[i]->space,
		    .name = v[i]->name,
		    .decl = &v[i]->decl,
		    .where = v[i]->where};
	sq_subscribers_set_files(to, files, n, whole);
	free(files);
}

void
sq_queue_live_begin(struct sq_queue_dir *d, struct sq_subscribers *to, const _Atomic bool *end)
{
	const struct timespec poll = {0, 1000000};

	sq_queue_live_look(d, to, true);
	while (!sq_subscribers_files_done(to) && !*end)
		nanosleep(&poll, NULL);
}
