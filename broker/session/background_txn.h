/* A transaction of a session that answers nobody. */
#ifndef SQ_BROKER_SESSION_BACKGROUND_TXN_H
#define SQ_BROKER_SESSION_BACKGROUND_TXN_H

struct sq_background_txn;
struct sq_session;
struct sq_txn;

/* Made by the first use. */
struct sq_txn *sq_background_txn(struct sq_session *, struct sq_background_txn **);
/* Commits it, if it was used, and nulls the pointer. */
void sq_background_commit(struct sq_background_txn **);

#endif
