#include "broker/session/background_txn.h"

#include <stdlib.h>

#include "broker/session/session.h"
#include "core/mem.h"

struct sq_background_txn {
	struct sq_txn txn;
	struct sq_session *session;
};

static void
background_done(struct sq_txn *txn, int err)
{
	struct sq_background_txn *background = SQ_CONTAINER_OF(txn, struct sq_background_txn, txn);
	struct sq_session *s = background->session;

	if (err != SQ_OK) /* unsettled items come again, but a PUT is lost */
		sq_attachment_failed(&s->at);
	free(background);
	sq_session_txn_end(s);
}

struct sq_txn *
sq_background_txn(struct sq_session *s, struct sq_background_txn **background)
{
	if (*background == NULL) {
		*background = sq_xcalloc(1, sizeof **background);
		(*background)->session = s;
		sq_session_txn_begin(&(*background)->txn, s, background_done);
	}
	return &(*background)->txn;
}

void
sq_background_commit(struct sq_background_txn **background)
{
	struct sq_background_txn *l = *background;

	*background = NULL;
	if (l != NULL)
		l->txn.engine->ops->txn.commit(&l->txn);
}
