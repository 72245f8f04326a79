/* The thread that makes and removes segments: while it keeps one ready, a commit never waits for
 * zeros to be written or for a directory. */
#include "store/journal/journal_priv.h"

#include <errno.h>
#include <string.h>

#include "core/log.h"
#include "store/held.h"

/* All with the lock held; they let go of it for what takes time. */

static void
maker_wake_writer(struct sq_journal *j)
{
	if (j->wanting)
		pthread_cond_signal(&j->work);
}

/* A file that was written through once is worth keeping: no metadata changes
 * when it is written again.  Not what a backup copies: that has it open, and reads on when it is
 * removed. */
static bool
maker_can_recycle(const struct sq_journal *j, const struct sq_segment *s)
{
	return j->make.spare == NULL && j->chain_len < j->cfg.max_segments && !s->broken &&
	    s->size == j->cfg.segment_bytes && s->size >= j->make.want && !j->make.stop &&
	    sq_held_for(j->dirfd, SQ_HELD_JOURNAL) == 0;
}

static void
maker_bury(struct sq_journal *j)
{
	struct sq_segment *s = SQ_LIST_FIRST(&j->make.dead, struct sq_segment, node);
	bool recycle = maker_can_recycle(j, s);
	uint64_t no = recycle ? j->make.next_no++ : 0;

	sq_list_remove(&s->node);
	j->make.busy = true;
	pthread_mutex_unlock(&j->lock);
	if (recycle && sq_segment_rename(j->dirfd, s, no) != 0)
		recycle = false;
	if (!recycle) {
		sq_segment_remove(j->dirfd, s);
		sq_segment_free(&s);
	}
	pthread_mutex_lock(&j->lock);
	j->make.busy = false;
	j->make.spare = recycle ? s : j->make.spare;
	j->make.error = 0;
	maker_wake_writer(j);
}

static void
maker_make(struct sq_journal *j)
{
	uint64_t no = j->make.next_no++;
	uint64_t size = j->make.want > j->cfg.segment_bytes ? j->make.want : j->cfg.segment_bytes;
	struct sq_segment *s;
	int error;

	j->make.busy = true;
	pthread_mutex_unlock(&j->lock);
	s = sq_segment_make(j->dirfd, no, size);
	error = s != NULL ? 0 : errno;
	pthread_mutex_lock(&j->lock);
	j->make.busy = false;
	j->make.spare = s;
	j->make.error = error;
	maker_wake_writer(j);
}

static void
maker_grow(struct sq_journal *j)
{
	struct sq_segment *s = j->make.spare;
	uint64_t size = j->make.want;
	int rc, error;

	j->make.spare = NULL;
	j->make.busy = true;
	pthread_mutex_unlock(&j->lock);
	rc = sq_segment_grow(s, size);
	error = rc == 0 ? 0 : errno;
	pthread_mutex_lock(&j->lock);
	j->make.busy = false;
	j->make.error = error;
	if (s->broken)
		sq_list_push_back(&j->make.dead, &s->node);
	else
		j->make.spare = s;
	maker_wake_writer(j);
}

void *
sq_journal_maker(void *arg)
{
	struct sq_journal *j = arg;

	pthread_mutex_lock(&j->lock);
	for (;;) {
		if (!sq_list_empty(&j->make.dead))
			maker_bury(j);
		else if (j->make.stop)
			break;
		else if (j->make.error != 0)
			pthread_cond_wait(&j->chores, &j->lock);
		else if (j->make.spare == NULL && j->chain_len < j->cfg.max_segments)
			maker_make(j);
		else if (j->make.spare != NULL && j->make.spare->size < j->make.want)
			maker_grow(j);
		else
			pthread_cond_wait(&j->chores, &j->lock);
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

void
sq_journal_reap(struct sq_journal *j)
{
	bool any = false;

	while (!sq_list_empty(&j->chain)) {
		struct sq_segment *s = SQ_LIST_FIRST(&j->chain, struct sq_segment, node);

		/* The newest with something in it stays: it knows where the journal is. */
		if (s->node.next == &j->chain || s->last > j->released ||
		    sq_segment_is_empty(SQ_CONTAINER_OF(s->node.next, struct sq_segment, node)))
			break;
		sq_list_remove(&s->node);
		j->chain_len--;
		sq_list_push_back(&j->make.dead, &s->node);
		any = true;
	}
	if (any)
		pthread_cond_signal(&j->chores);
}
