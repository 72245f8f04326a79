/* The tables' way from a log of files to one of several brokers, and back: whose they are changes by one
 * commit. */
#include "broker/engine/embedded/table_priv.h"

/* What 'next' says is in the transaction; LMDB's error. */
static int
move_write(struct sq_table *t, MDB_txn *txn, enum sq_table_format format)
{
	struct table_key k;
	int rc = sq_table_write_format(t, txn, format);

	if (rc == 0)
		rc = sq_table_write_state(t, txn);
	if (rc != 0)
		return rc;
	if (t->meta.shared)
		return sq_table_write_mark(t, txn, &t->meta.mark);
	sq_table_key_text(&k, TABLE_MARK_KEY);
	return mdb_del(txn, t->dbi[TABLE_META], &k.val, NULL);
}

static int
move_to(struct sq_table *t, const struct sq_table_meta *next, enum sq_table_format format)
{
	const struct sq_table_meta was = t->meta;
	MDB_txn *txn;
	int rc = mdb_txn_begin(t->env, NULL, 0, &txn);

	if (rc != 0)
		return sq_table_lmdb_fail(t, rc, "beginning a transaction");
	t->meta = *next;
	rc = move_write(t, txn, format);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else
		mdb_txn_abort(txn);
	if (rc != 0) {
		t->meta = was;
		return sq_table_lmdb_fail(t, rc, "changing its log");
	}
	t->format = t->format_next = format;
	return SQ_OK;
}

int
sq_table_share(struct sq_table *t)
{
	struct sq_table_meta next = t->meta;

	next.shared = true;
	next.mark = (struct sq_log_mark){.lsn = next.lsn};
	return move_to(t, &next, SQ_TABLE_FORMAT_SHARED);
}

int
sq_table_unshare(struct sq_table *t, uint64_t boots)
{
	struct sq_table_meta next = t->meta;

	next.shared = false;
	next.mark = (struct sq_log_mark){0};
	if (next.boots < boots)
		next.boots = boots;
	return move_to(t, &next, SQ_TABLE_FORMAT_NAMED);
}
