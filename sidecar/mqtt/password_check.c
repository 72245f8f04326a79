/* Checks passwords on a thread; see sidecar/mqtt/password_check.h. */
#include "sidecar/mqtt/password_check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/list.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/thread.h"
#include "sidecar/mqtt/password.h"

struct sq_password_ask {
	struct sq_list node; /* waiting or done, under the lock; while it is checked in neither */
	struct sq_password_check *check;
	void (*done)(void *owner, bool good); /* of the loop; NULL: forgotten */
	void *owner;
	bool good;
	size_t user_len, password_len;
	unsigned char bytes[]; /* the user, then the password */
};

struct sq_password_check {
	struct ev_loop *loop;
	ev_async answered;
	pthread_t thread;
	struct sq_passwords *passwords; /* the thread's */
	pthread_mutex_t lock;           /* of what follows */
	pthread_cond_t asked;
	struct sq_list waiting, done;
	unsigned n_waiting;
	bool stop;
};

/* Frees an ask; its password has been wiped, or is now. */
static void
ask_free(struct sq_password_ask *a)
{
	explicit_bzero(a->bytes, a->user_len + a->password_len);
	free(a);
}

/* --- on the thread --- */

static void
check_refresh(struct sq_password_check *k)
{
	struct sq_buf why = {0};

	if (sq_passwords_refresh(k->passwords, &why))
		SQ_INFO("password", "read the users again: %zu", sq_passwords_users(k->passwords));
	else if (sq_buf_len(&why) > 0)
		SQ_WARN("password", "%.*s; the users of before stay", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
}

static void
check_one(struct sq_password_check *k, struct sq_password_ask *a)
{
	check_refresh(k);
	a->good = sq_passwords_match(k->passwords, (struct sq_bytes){a->bytes, a->user_len},
	    (struct sq_bytes){a->bytes + a->user_len, a->password_len});
	explicit_bzero(a->bytes, a->user_len + a->password_len);
}

static void *
check_run(void *arg)
{
	struct sq_password_check *k = arg;
	struct sq_password_ask *a;

	pthread_mutex_lock(&k->lock);
	while (!k->stop) {
		a = SQ_LIST_FIRST(&k->waiting, struct sq_password_ask, node);
		if (a == NULL) {
			pthread_cond_wait(&k->asked, &k->lock);
			continue;
		}
		sq_list_remove(&a->node);
		k->n_waiting--;
		pthread_mutex_unlock(&k->lock);
		check_one(k, a);
		pthread_mutex_lock(&k->lock);
		sq_list_push_back(&k->done, &a->node);
		ev_async_send(k->loop, &k->answered);
	}
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

/* --- on the loop --- */

static void
check_on_answered(struct ev_loop *loop, ev_async *w, int events)
{
	struct sq_password_check *k = w->data;
	struct sq_password_ask *a;
	struct sq_list done;

	(void)loop;
	(void)events;
	sq_list_init(&done);
	pthread_mutex_lock(&k->lock);
	sq_list_splice(&done, &k->done);
	pthread_mutex_unlock(&k->lock);
	while ((a = SQ_LIST_FIRST(&done, struct sq_password_ask, node)) != NULL) {
		void (*tell)(void *, bool) = a->done;
		void *owner = a->owner;
		bool good = a->good;

		sq_list_remove(&a->node);
		ask_free(a);
		if (tell != NULL)
			tell(owner, good);
	}
}

struct sq_password_check *
sq_password_check_new(struct ev_loop *loop, const char *file, struct sq_buf *err)
{
	struct sq_passwords *passwords = sq_passwords_open(file, err);
	struct sq_password_check *k;

	if (passwords == NULL)
		return NULL;
	k = sq_xcalloc(1, sizeof *k);
	k->loop = loop;
	k->passwords = passwords;
	sq_list_init(&k->waiting);
	sq_list_init(&k->done);
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->asked, NULL);
	ev_async_init(&k->answered, check_on_answered);
	k->answered.data = k;
	ev_async_start(loop, &k->answered);
	sq_thread_start(&k->thread, check_run, k);
	return k;
}

void
sq_password_check_free(struct sq_password_check **kp)
{
	struct sq_password_check *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_cond_signal(&k->asked);
	pthread_mutex_unlock(&k->lock);
	pthread_join(k->thread, NULL);
	ev_async_stop(k->loop, &k->answered);
	sq_list_splice(&k->waiting, &k->done);
	SQ_LIST_FOR_EACH_SAFE(a, &k->waiting, struct sq_password_ask, node)
		ask_free(a);
	pthread_cond_destroy(&k->asked);
	pthread_mutex_destroy(&k->lock);
	sq_passwords_free(&k->passwords);
	free(k);
}

struct sq_password_ask *
sq_password_ask(struct sq_password_check *k, struct sq_bytes user, struct sq_bytes password,
    void (*done)(void *owner, bool good), void *owner)
{
	struct sq_password_ask *a;

	pthread_mutex_lock(&k->lock);
	if (k->n_waiting >= SQ_PASSWORD_WAITING_MAX) {
		pthread_mutex_unlock(&k->lock);
		return NULL;
	}
	a = sq_xmalloc(sizeof *a + user.len + password.len);
	*a = (struct sq_password_ask){.check = k,
	    .done = done,
	    .owner = owner,
	    .user_len = user.len,
	    .password_len = password.len};
	if (user.len > 0)
		memcpy(a->bytes, user.p, user.len);
	if (password.len > 0)
		memcpy(a->bytes + user.len, password.p, password.len);
	sq_list_init(&a->node);
	sq_list_push_back(&k->waiting, &a->node);
	k->n_waiting++;
	pthread_cond_signal(&k->asked);
	pthread_mutex_unlock(&k->lock);
	return a;
}

/* While it is checked, or done, the loop frees it when it comes by. */
void
sq_password_forget(struct sq_password_ask **ap)
{
	struct sq_password_ask *a = *ap;
	struct sq_password_check *k;

	*ap = NULL;
	if (a == NULL)
		return;
	k = a->check;
	a->done = NULL;
	pthread_mutex_lock(&k->lock);
	SQ_LIST_FOR_EACH_SAFE(w, &k->waiting, struct sq_password_ask, node) {
		if (w == a) {
			sq_list_remove(&a->node);
			k->n_waiting--;
			pthread_mutex_unlock(&k->lock);
			ask_free(a);
			return;
		}
	}
	pthread_mutex_unlock(&k->lock);
}
